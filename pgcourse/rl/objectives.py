"""Objectives and losses: pure functions that read like their equations, elementwise unless they say otherwise."""

from __future__ import annotations

from torch import Tensor


def score_function(log_prob: Tensor, weight: Tensor) -> Tensor:
    """Ψ log π_θ(a|s). Its gradient is Ψ ∇log π_θ(a|s): summed over an episode, the policy gradient. Williams (1992).

    The weight Ψ is data: it is detached, so that no gradient flows through a return or an advantage.
    """
    return weight.detach() * log_prob


def value_loss(value: Tensor, target: Tensor) -> Tensor:
    """½ (v_φ(s) - target)², the target held fixed. Sutton & Barto (2018), eq. 9.1 for one state."""
    return 0.5 * (value - target.detach()).square()


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real steps of each seed: [seed, time, env] to [seed]; padding may hold anything."""
    return x.where(mask, 0.0).sum((1, 2)) / mask.sum((1, 2))
