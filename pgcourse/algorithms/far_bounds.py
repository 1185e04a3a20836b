"""Bounds of actions that a Gaussian policy does not know: how many of its actions they clip, and whether it can reach
them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.core import GaussianPolicy
from pgcourse.envs import Env

FAR = 10.0  # how many σ the bounds may be apart, or how many times narrower they may be than it


class FarBounds(UserWarning):
    """The bounds of the actions are not of the size of what the policy does."""


@dataclass(frozen=True)
class Bounds:
    """Where a world clips the actions of a Gaussian; `center` and `sigma` are where the policy starts, [action]."""

    low: Tensor
    high: Tensor
    center: Tensor
    sigma: Tensor

    def clipped(self, action: Tensor, mask: Tensor) -> Tensor:
        """The share of actions [seed, time, env, action] of which a number lies outside, where mask, [seed]."""
        low, high = (bound.to(action.device, action.dtype) for bound in (self.low, self.high))
        outside = ((action < low) | (action > high)).any(-1) & mask
        return outside.sum((1, 2)) / mask.sum((1, 2))

    def far(self) -> str:
        """What is wrong with the bounds, and the remedy; "" where nothing is.

        A mean learns to go as far as some σ; where it has to go farther the return tells it nothing for long. Where the
        bounds lie much closer than σ nearly all actions are clipped, and say nothing of the mean.
        """
        half, middle = (self.high - self.low) / 2, (self.high + self.low) / 2
        apart = torch.maximum(half, (middle - self.center).abs()) > FAR * self.sigma
        narrow = half < self.sigma / FAR
        at = next(iter((apart | narrow).nonzero().flatten().tolist()), None)
        if at is None:
            return ""
        low, high, center, sigma = (each[at].item() for each in (self.low, self.high, self.center, self.sigma))
        means = "hardly ever reach them" if apart[at] else "are nearly all clipped"
        return (
            f"actions are bounded by {low:g} and {high:g}, and those of the policy, which begins at {center:g} with "
            f"σ = {sigma:g}, {means}. Let actions be measured in units of the bounds: rescale_action=True of "
            "Architecture (--rescale-action), or gymnasium.wrappers.RescaleAction"
        )


def bounds_of(policy: Any, world: Env) -> Bounds | None:
    """The bounds that clip a policy's actions; None where nothing is clipped."""
    space = world.action_space
    if not (isinstance(policy, GaussianPolicy) and isinstance(space, spaces.Box) and len(space.shape) == 1):
        return None
    low, high = (torch.as_tensor(bound, dtype=torch.float64) for bound in (space.low, space.high))
    if policy.actions != len(low) or (low.isinf() & high.isinf()).all():
        return None
    center, scale = policy.center or (0.0,) * len(low), policy.scale or (1.0,) * len(low)
    sigma = math.exp(policy.log_std) * torch.tensor(scale, dtype=torch.float64)
    return Bounds(low, high, torch.tensor(center, dtype=torch.float64), sigma)
