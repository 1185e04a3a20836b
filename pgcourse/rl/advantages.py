"""Advantages over [seed, time, env], with `terminated` and `truncated` apart as in `pgcourse.rl.returns`.

All functions raise ValueError for arguments of unlike shapes (which would broadcast to a wrong number) and for γ or λ
outside [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from pgcourse.rl.returns import require


def td_residual(reward: Tensor, value: Tensor, next_value: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """δ_t = r_t + γ v(s_{t+1}) - v(s_t), with v = 0 after termination. Sutton & Barto (2018), eq. 6.5."""
    require(reward, value=value, next_value=next_value, terminated=terminated, gamma=gamma)
    return reward + gamma * next_value.where(~terminated, 0.0) - value


def gae(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Â_t = Σ_l (γλ)^l δ_{t+l}, the sum stopping at the episode's end. Schulman et al. (2016), eq. 16.

    All arguments are [seed, time, env]; `value` is v(s_t) and `next_value` is v of the true successor. λ = 0 gives the
    TD residual, λ = 1 the Monte Carlo return (bootstrapped where truncated) minus the value. Chapter 05 derives it.
    """
    require(reward, terminated=terminated, truncated=truncated, lam=lam)
    advantage = td_residual(reward, value, next_value, terminated, gamma)
    carry = gamma * lam * (~(terminated | truncated)).to(reward.dtype)
    for t in reversed(range(reward.shape[1] - 1)):
        advantage[:, t].addcmul_(carry[:, t], advantage[:, t + 1])
    return advantage


def n_step_advantage(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    n: int,
) -> Tensor:
    """Â_t = r_t + ... + γ^(n-1) r_{t+n-1} + γ^n v(s_{t+n}) - v(s_t) = Σ_{l<n} γ^l δ_{t+l}, [seed, time, env].

    Schulman et al. (2016), eq. 14. The sum stops at the episode's end; n = 1 gives the TD residual. Chapter 05.

    Raises:
        ValueError: n below 1.
    """
    if n < 1:
        raise ValueError(f"n must be 1 or more, got {n}")
    require(reward, terminated=terminated, truncated=truncated)
    residual = td_residual(reward, value, next_value, terminated, gamma)
    carry = gamma * (~(terminated | truncated)).to(reward.dtype)
    advantage = residual
    for _ in range(min(n, reward.shape[1]) - 1):
        advantage = residual + carry * torch.cat([advantage[:, 1:], torch.zeros_like(advantage[:, :1])], 1)
    return advantage


def leave_one_out_mean(ret: Tensor, mask: Tensor) -> Tensor:
    """b_{t,i} = mean of G_{t,j} over the other episodes j ≠ i that still run at t; 0 where there is none.

    All [seed, time, env]. Independent of episode i's own actions, so subtracting it keeps the policy gradient's mean.
    """
    require(ret, mask=mask)
    ret = ret.where(mask, 0.0)
    others = mask.sum(2, keepdim=True) - mask.to(ret.dtype)
    return ((ret.sum(2, keepdim=True) - ret) / others.clamp_min(1)).where(mask, 0.0)
