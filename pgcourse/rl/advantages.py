"""Advantages, with `terminated` and `truncated` apart as in `pgcourse.rl.returns`, and the samples of an update.

Functions of [seed, time, env] raise ValueError for arguments of unlike shapes (which would broadcast to a wrong number)
and for γ or λ outside [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from pgcourse.rl.trajectory import Trajectory, require

ROUNDINGS = 4  # that a target may have gone through on its way


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
    steps, carries = list(advantage.unbind(1)), carry.unbind(1)
    for t in reversed(range(len(steps) - 1)):
        steps[t] = torch.addcmul(steps[t], carries[t], steps[t + 1])
    return torch.stack(steps, 1)


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


class Samples(NamedTuple):
    """A rollout's steps in one row for each seed, [seed, sample, ...]."""

    obs: Tensor
    action: Tensor
    advantage: Tensor
    value: Tensor  # v_φ(s) before the update
    target: Tensor  # what v_φ(s) is to become, Â + v_φ(s)
    log_prob: Any = None  # log π_old(a|s) of the policy that acted [seed, sample], where an update asks for it

    def shuffled(self, order: Tensor, parts: int) -> Iterator[Samples]:
        """One pass: the samples in this order [seed, sample], each seed its own, divided into `parts`.

        Raises:
            ValueError: parts that do not divide the samples.
        """
        return minibatches(self, order, parts)


Columns = TypeVar("Columns", bound=NamedTuple)


def minibatches(samples: Columns, order: Tensor, parts: int) -> Iterator[Columns]:
    """One pass over a NamedTuple of tensors [seed, sample, ...], in this order [seed, sample], divided into `parts`.

    Each seed has an order of its own. Columns that are None stay so.

    Raises:
        ValueError: parts that do not divide the samples.
    """
    seeds, size = order.shape
    if parts < 1 or size % parts:  # `chunk` would make fewer
        raise ValueError(f"parts must divide the {size} samples, got {parts}")
    flat = (order + size * torch.arange(seeds, device=order.device).unsqueeze(1)).flatten()
    columns: dict[str, Any] = {name: x for name, x in samples._asdict().items() if x is not None}
    for dtype in {x.dtype for x in columns.values()}:  # columns of one type are gathered together
        names = [name for name, x in columns.items() if x.dtype == dtype]
        rows = [columns[name].reshape(seeds * size, -1) for name in names]
        gathered = torch.cat(rows, 1).index_select(0, flat).split([row.shape[1] for row in rows], 1)
        columns |= {
            name: x.view(seeds, size, *columns[name].shape[2:]) for name, x in zip(names, gathered, strict=True)
        }
    for part in zip(*(x.chunk(parts, 1) for x in columns.values()), strict=True):
        yield samples._replace(**dict(zip(columns, part, strict=True)))


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
    """The samples of a fixed-length rollout, with GAE(γ, λ) under v_φ as advantages: Schulman et al. (2016).

    `reward` takes the place of the batch's, where an algorithm scales it. Without `bootstrap` a time limit counts as
    the end of the world.
    """
    value, next_value = critic(phi, batch.obs), critic(phi, batch.next_obs)
    terminated = batch.terminated if bootstrap else batch.done
    reward = batch.reward if reward is None else reward
    advantage = gae(reward, value, next_value, terminated, batch.truncated, gamma, lam)
    parts = batch.obs, batch.action, advantage, value, advantage + value
    return Samples(*(x.flatten(1, 2) for x in parts))


def standardized(advantage: Tensor, mask: Tensor | None = None) -> Tensor:
    """Each seed's advantages shifted and scaled to mean 0 and standard deviation 1: "whitened".

    [seed, ...], steps or tokens. With a mask the padding counts for nothing, may hold anything, and is given back as 0.
    """
    axes = tuple(range(1, advantage.ndim))
    if mask is None:
        std, mean = torch.std_mean(advantage, axes, keepdim=True)
        return (advantage - mean) / (std + 1e-8)
    count = mask.sum(axes, keepdim=True)
    mean = advantage.where(mask, 0.0).sum(axes, keepdim=True) / count
    centred = (advantage - mean).where(mask, 0.0)
    std = (centred.square().sum(axes, keepdim=True) / (count - 1)).sqrt()
    return centred / (std + 1e-8)


def explained_variance(target: Tensor, value: Tensor) -> Tensor:
    """1 - Var(target - v) / Var(target) of each seed, [seed, sample] to [seed]; NaN where targets do not vary.

    A target is Â + v, so it varies a little by rounding alone, by ε of the larger of target and v: that does not count.
    """
    unexplained, variance = ((x - x.mean(1, keepdim=True)).square().sum(1) for x in (target - value, target))
    rounding = torch.finfo(target.dtype).eps * torch.maximum(target.abs(), value.abs()).amax(1)
    varies = variance > target.shape[1] * (ROUNDINGS * rounding).square()
    return torch.where(varies, 1 - unexplained / variance, math.nan)
