"""REINFORCE. Williams (1992); Sutton & Barto (2018), section 13.3 and 13.4. Chapters 03 and 04 build it step by
step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pgcourse.algorithms.learner import Learner
from pgcourse.algorithms.options import in_range, one_of
from pgcourse.core import Critic, Policy, Streams
from pgcourse.rl import Trajectory, leave_one_out_mean, reward_to_go
from pgcourse.rl.objectives import masked_mean, score_function, value_loss


@dataclass(frozen=True)
class REINFORCE:
    """Monte Carlo policy gradient: play whole episodes, then step along

        ĝ = 1/N Σ_i Σ_t Ψ_{i,t} ∇log π_θ(a_{i,t}|s_{i,t}),    Ψ = G_t - b.

    Options:
        envs: N, the episodes of one update.
        lr, critic_lr: Adam's step sizes for θ and φ.
        gamma: discount γ.
        weight: "reward_to_go" (G_t, what follows the action) or "return" (G_0, the whole episode's).
        baseline: b, one of "none", "leave_one_out" (mean over the other episodes at the same t) and "value" (v_φ(s_t),
            which then also stands in for the rest of an episode that the time limit cut off).
        keep_discount: multiply step t by γ^t, as the theorem for the discounted start value demands; practice drops it.
        critic_updates: gradient steps on φ for one on θ (baseline "value" only).
        max_grad_norm: clip each seed's gradient to this norm.

    Metrics: `entropy` of the policy at visited states (nats), `grad_norm` before clipping, `value_loss` (baseline
    "value").
    """

    envs: int = 16
    lr: float = 1e-2
    gamma: float = 0.99
    weight: Literal["reward_to_go", "return"] = "reward_to_go"
    baseline: Literal["none", "leave_one_out", "value"] = "leave_one_out"
    keep_discount: bool = False
    critic_lr: float = 1e-2
    critic_updates: int = 4
    max_grad_norm: float = float("inf")

    rollout: ClassVar[None] = None  # whole episodes

    def __post_init__(self) -> None:
        in_range(self, "envs", 1)
        in_range(self, "gamma", 0, 1)
        in_range(self, "critic_updates", 1)
        for name in ("lr", "critic_lr"):
            in_range(self, name, 0, exclusive=True)
        in_range(self, "max_grad_norm", 0, exclusive=True, infinite=True)
        one_of(self, "weight", ("reward_to_go", "return"))
        one_of(self, "baseline", ("none", "leave_one_out", "value"))
        if self.keep_discount and self.weight == "return":
            raise ValueError(
                "REINFORCE: keep_discount belongs to weight='reward_to_go'; G_0 weights every step of an episode alike"
            )

    def start(self, policy: Policy, critic: Critic, streams: Streams) -> Learner:
        return Learner.start(policy, critic, streams, self.lr, self.critic_lr, self.max_grad_norm)

    def update(
        self, learner: Learner, batch: Trajectory, progress: float = 0.0, streams: Streams | None = None
    ) -> dict[str, Tensor]:
        """One step of θ (and φ) on whole episodes; metrics [seed]. `progress` is not used: step sizes are constant."""
        ret = self.returns(learner, batch)
        dist = learner.policy(learner.theta, batch.obs)
        loss = self.loss(dist.log_prob(batch.action), self.weights(learner, batch, ret), batch.mask)
        metrics = {
            "grad_norm": learner.policy_optimizer.minimize(loss),
            "entropy": masked_mean(dist.entropy().detach(), batch.mask),
        }
        if self.baseline == "value":
            for _ in range(self.critic_updates):
                error = masked_mean(value_loss(learner.critic(learner.phi, batch.obs), ret), batch.mask)
                learner.critic_optimizer.minimize(error)
            metrics["value_loss"] = error.detach()
        return metrics

    def loss(self, log_prob: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        """-1/N Σ_i Σ_t Ψ_{i,t} log π_θ(a_{i,t}|s_{i,t}): summed over time, averaged over episodes. [seed]."""
        return -score_function(log_prob.where(mask, 0.0), weight.where(mask, 0.0)).sum(1).mean(1)

    @torch.no_grad()
    def returns(self, learner: Learner, batch: Trajectory) -> Tensor:
        """G_t, or G_0 at every t where `weight` is "return"; [seed, time, env]."""
        next_value = learner.critic(learner.phi, batch.next_obs) if self.baseline == "value" else None
        ret = reward_to_go(batch.reward, batch.terminated, batch.truncated, self.gamma, next_value)
        return ret if self.weight == "reward_to_go" else ret[:, :1].expand_as(ret)

    @torch.no_grad()
    def weights(self, learner: Learner, batch: Trajectory, ret: Tensor) -> Tensor:
        """Ψ_t = G_t - b, times γ^t where `keep_discount`; [seed, time, env]."""
        if self.baseline == "value":
            ret = ret - learner.critic(learner.phi, batch.obs)
        elif self.baseline == "leave_one_out":
            ret = ret - leave_one_out_mean(ret, batch.mask)
        if self.keep_discount:
            ret = ret * self.gamma ** torch.arange(ret.shape[1], dtype=ret.dtype, device=ret.device).view(1, -1, 1)
        return ret
