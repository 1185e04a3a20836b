"""The steps of a rollout with what a critic thinks of them: what an update is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.rl.advantages import gae
from pgcourse.rl.trajectory import Trajectory


class Samples(NamedTuple):
    """A rollout's steps in one row for each seed, [seed, sample, ...]."""

    obs: Tensor
    action: Tensor
    advantage: Tensor
    value: Tensor  # v_φ(s) before the update
    target: Tensor  # what v_φ(s) is to become, Â + v_φ(s)
    log_prob: Tensor | None = None  # log π_old(a|s) of the policy that acted, where the update asks for it

    def shuffled(self, order: Tensor, parts: int) -> Iterator[Samples]:
        """One pass: the samples in this order [seed, sample], each seed its own, divided into `parts`."""
        seeds, size = order.shape
        flat = (order + size * torch.arange(seeds, device=order.device).unsqueeze(1)).flatten()
        together = Samples(*(x if x is None else _rows(x, flat, seeds) for x in self))
        for part in zip(*(x.chunk(parts, 1) if x is not None else [None] * parts for x in together), strict=True):
            yield Samples(*part)


def _rows(x: Tensor, index: Tensor, seeds: int) -> Tensor:
    return x.flatten(0, 1).index_select(0, index).unflatten(0, (seeds, -1))


@torch.no_grad()
def judged(
    critic: Callable[[Tensor, Tensor], Tensor],
    phi: Tensor,
    batch: Trajectory,
    gamma: float,
    lam: float,
    reward: Tensor | None = None,
    bootstrap: bool = True,
) -> Samples:
    """The steps of a fixed-length rollout with GAE(γ, λ) under v_φ as their advantages, Schulman et al. (2016).

    `reward` takes the place of the batch's, where an algorithm scales it. Without `bootstrap` a time limit counts as the
    end of the world.
    """
    value, next_value = critic(phi, batch.obs), critic(phi, batch.next_obs)
    terminated = batch.terminated if bootstrap else batch.done
    reward = batch.reward if reward is None else reward
    advantage = gae(reward, value, next_value, terminated, batch.truncated, gamma, lam)
    parts = batch.obs, batch.action, advantage, value, advantage + value
    return Samples(*(x.flatten(1, 2) for x in parts))


def standardized(advantage: Tensor) -> Tensor:
    """Each seed's advantages [seed, sample] shifted and scaled to mean 0 and standard deviation 1."""
    std, mean = torch.std_mean(advantage, 1, keepdim=True)
    return (advantage - mean) / (std + 1e-8)


def explained_variance(target: Tensor, value: Tensor) -> Tensor:
    """1 - Var(target - v) / Var(target) of each seed, [seed, sample] to [seed]; NaN where targets do not vary."""
    unexplained, variance = ((x - x.mean(1, keepdim=True)).square().sum(1) for x in (target - value, target))
    return torch.where(variance > 0, 1 - unexplained / variance, math.nan)
