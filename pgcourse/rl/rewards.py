"""Scaling of rewards by the standard deviation of their discounted sums."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.core.moments import RunningMoments
from pgcourse.rl.trajectory import Trajectory


class RewardScale(NamedTuple):
    """The standard deviation of the discounted sums of rewards so far, Σ_k γ^k r_{t-k}. Engstrom et al. (2020).

    Rewards are divided by it and not by their own standard deviation, because the critic predicts sums of rewards.
    """

    ret: Tensor  # [seed, env], the sum of every copy's running episode
    moments: RunningMoments  # of the sums at all steps so far

    @classmethod
    def init(cls, like: Tensor) -> RewardScale:
        """The scale before the first reward, for sums of shape [seed, env]."""
        zero = like.new_zeros(len(like), 1)
        return cls(torch.zeros_like(like), RunningMoments(zero, zero, zero))

    @torch.no_grad()
    def scaled(self, batch: Trajectory, gamma: float, clip: float = math.inf) -> tuple[Tensor, RewardScale]:
        """The batch's rewards over that standard deviation, the batch's sums included, clipped to ±`clip`."""
        ret, sums = self.ret, []
        for reward, done in zip(batch.reward.unbind(1), batch.done.unbind(1), strict=True):
            ret = gamma * ret + reward
            sums.append(ret)
            ret = ret.where(~done, 0.0)
        followed = torch.stack(sums, 1).flatten(1).unsqueeze(-1)
        moments = self.moments.merged(followed, batch.mask.flatten(1))
        reward = batch.reward / (moments.variance + 1e-8).sqrt().unsqueeze(-1)
        return (reward.clamp(-clip, clip) if clip < math.inf else reward), RewardScale(ret, moments)
