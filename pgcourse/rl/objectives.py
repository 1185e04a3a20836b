"""Objectives and losses: pure functions that read like their equations, elementwise unless they say otherwise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CORRECTIONS = ("none", "truncated", "masked")


def score_function(log_prob: Tensor, weight: Tensor) -> Tensor:
    """Ψ log π_θ(a|s). Its gradient is Ψ ∇log π_θ(a|s): summed over an episode, the policy gradient. Williams (1992).

    The weight Ψ is data: it is detached, so that no gradient flows through a return or an advantage.
    """
    return weight.detach() * log_prob


def surrogate(ratio: Tensor, advantage: Tensor) -> Tensor:
    """r A, r = π_θ(a|s) / π_old(a|s): its gradient at θ_old is the policy gradient. Schulman et al. (2015), eq. 14."""
    return ratio * advantage


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float, clip_high: float | None = None) -> Tensor:
    """min(r A, clip(r, 1-ε_low, 1+ε_high) A). Schulman et al. (2017), eq. 7; ε_high apart: Yu et al. (2025), eq. 8.

    Steps of CartPole or tokens of a response; without `clip_high` both sides have the same ε.
    """
    high = clip if clip_high is None else clip_high
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + high) * advantage)


def clip_binds(ratio: Tensor, advantage: Tensor, clip: float, clip_high: float | None = None) -> Tensor:
    """Where the clipped surrogate has no gradient: r > 1+ε_high with A > 0, or r < 1-ε_low with A < 0.

    A ratio that has left the interval on the other side still learns: the minimum takes the unclipped term there.
    """
    high = clip if clip_high is None else clip_high
    return ((ratio > 1 + high) & (advantage > 0)) | ((ratio < 1 - clip) & (advantage < 0))


def truncated_score_function(log_prob: Tensor, ratio: Tensor, advantage: Tensor, bound: float) -> Tensor:
    """sg(min(r, c)) A log π_θ(a|s), sg without gradient. CISPO: MiniMax (2025), eq. 4, with its upper bound only.

    The weight is bounded and not the objective, so that no token loses its gradient.
    """
    return score_function(log_prob, ratio.clamp(max=bound) * advantage)


def dual_clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float, bound: float) -> Tensor:
    """max(min(r A, clip(r, 1-ε, 1+ε) A), c A) where A < 0, the clipped surrogate elsewhere. Ye et al. (2020).

    Without it r A has no bound below: one action that has become much more probable decides about a whole minibatch.
    """
    gain = clipped_surrogate(ratio, advantage, clip)
    return gain if bound == math.inf else torch.where(advantage < 0, gain.maximum(bound * advantage), gain)


def penalized_surrogate(ratio: Tensor, advantage: Tensor, kl: Tensor, beta: Tensor) -> Tensor:
    """r A - β KL(π_old ‖ π_θ), the KL divergence that of the sample's state. Schulman et al. (2017), eq. 8."""
    return ratio * advantage - beta * kl


def adapted_penalty(beta: Tensor, kl: Tensor, target: float) -> Tensor:
    """β for the next update: half of it after one that moved less than target/1.5, twice after more than 1.5·target.

    Schulman et al. (2017), section 4. It stays above 0, from where no doubling would lead away.
    """
    adapted = torch.where(kl < target / 1.5, beta / 2, torch.where(kl > 1.5 * target, beta * 2, beta))
    return adapted.clamp_min(torch.finfo(adapted.dtype).tiny)


def value_loss(value: Tensor, target: Tensor) -> Tensor:
    """½ (v_φ(s) - target)², the target held fixed. Sutton & Barto (2018), eq. 9.1 for one state."""
    return 0.5 * (value - target.detach()).square()


def clipped_value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float) -> Tensor:
    """½ max((v - target)², (v_old + clip(v - v_old, -ε, ε) - target)²): the larger error of the two.

    Of OpenAI's implementation (Dhariwal et al., 2017), not of the paper. The gradient is zero where the value has moved
    by more than ε and is nearer to the target than v_old ± ε would be.
    """
    near = old_value + (value - old_value).clamp(-clip, clip)
    return torch.maximum(value_loss(value, target), value_loss(near, target))


def mismatch_weight(log_ratio: Tensor, correction: str, high: float, low: float = 0.0) -> Tensor:
    """w of what a sampler drew that is not quite the learner: stale, rounded, another program. It is data, no gradient.

    * `none`: 1, as if they were the same; the gradient is biased.
    * `truncated`: min(r, high), r = π_learner / π_sampler. Ionides (2008); Yao et al. (2025). Some bias, little
      variance.
    * `masked`: r where low ≤ r ≤ high, else 0. Ling Team (2025), "IcePop".

    Args:
        log_ratio: log r of a token, or of its response: `pgcourse.rl.policy_log_ratio` of the learner, as it was when
            the batch came, to the sampler.
    """
    if correction == "none":
        return torch.ones_like(log_ratio)
    ratio = log_ratio.detach().exp()
    if correction == "truncated":
        return ratio.clamp(low, high)
    if correction != "masked":
        raise ValueError(f"correction must be one of {', '.join(CORRECTIONS)}, got {correction!r}")
    return ratio.where((ratio >= low) & (ratio <= high), 0.0)


def masked_sum(x: Tensor, mask: Tensor) -> Tensor:
    """Sum over the real entries of each seed, [seed, ...] to [seed]: steps or tokens; padding may hold anything."""
    return x.where(mask, 0.0).flatten(1).sum(1)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real entries of each seed, [seed, ...] to [seed]: steps or tokens."""
    return masked_sum(x, mask) / mask.flatten(1).sum(1)
