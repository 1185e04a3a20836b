"""Returns and advantages over [seed, time, env], with `terminated` and `truncated` apart.

A terminated episode is worth nothing more; a truncated one goes on unseen, so its last step bootstraps from the value
of its true successor. The same holds for the last step of a rollout that is cut in the middle of an episode.

All functions raise ValueError for arguments of unlike shapes (which would broadcast to a wrong number) and for γ or λ
outside [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor


def discounted_return(reward: Tensor, gamma: float, mask: Tensor | None = None) -> Tensor:
    """G_0 = Σ_t γ^t r_t over the time axis: [seed, time, env] to [seed, env]. Sutton & Barto (2018), eq. 3.8.

    One episode a column; `mask` leaves out padding.
    """
    _require(reward, gamma=gamma)
    discount = gamma ** torch.arange(reward.shape[1], dtype=reward.dtype, device=reward.device).view(1, -1, 1)
    if mask is not None:
        reward = reward.where(mask, 0.0)
    return (discount * reward).sum(1)


def reward_to_go(
    reward: Tensor, terminated: Tensor, truncated: Tensor, gamma: float, next_value: Tensor | None = None
) -> Tensor:
    """G_t = r_t + γ G_{t+1} up to the episode's end, then γ v(s'). [seed, time, env]. Sutton & Barto (2018), eq. 3.9.

    `next_value` is v at every step's true successor; it counts only where an episode is truncated or the rollout stops
    in the middle of one. Without it what was not seen counts as 0: the return of the time-limited episode.
    """
    _require(reward, terminated=terminated, truncated=truncated, next_value=next_value, gamma=gamma)
    unseen = torch.zeros_like(reward) if next_value is None else next_value.where(~terminated, 0.0)
    ends = terminated | truncated
    ret = torch.empty_like(reward)
    after = unseen[:, -1]
    for t in reversed(range(reward.shape[1])):
        after = reward[:, t] + gamma * torch.where(ends[:, t], unseen[:, t], after)
        ret[:, t] = after
    return ret


def td_residual(reward: Tensor, value: Tensor, next_value: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """δ_t = r_t + γ v(s_{t+1}) - v(s_t), with v = 0 after termination. Sutton & Barto (2018), eq. 6.5."""
    _require(reward, value=value, next_value=next_value, terminated=terminated, gamma=gamma)
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
    _require(reward, terminated=terminated, truncated=truncated, lam=lam)
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
    _require(reward, terminated=terminated, truncated=truncated)
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
    _require(ret, mask=mask)
    ret = ret.where(mask, 0.0)
    others = mask.sum(2, keepdim=True) - mask.to(ret.dtype)
    return ((ret.sum(2, keepdim=True) - ret) / others.clamp_min(1)).where(mask, 0.0)


def _require(reward: Tensor, **others: Tensor | float | None) -> None:
    """Tensors shaped like the reward, numbers in [0, 1]."""
    if reward.ndim != 3:
        raise ValueError(f"rewards and returns must be [seed, time, env], got shape {list(reward.shape)}")
    for name, other in others.items():
        if isinstance(other, Tensor):
            if other.shape != reward.shape:
                raise ValueError(f"{name} must have shape {list(reward.shape)}, got {list(other.shape)}")
        elif other is not None and not 0 <= other <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {other}")
