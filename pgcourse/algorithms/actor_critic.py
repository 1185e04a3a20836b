"""Advantage actor-critic, synchronous (A2C). Mnih et al. (2016), with GAE from Schulman et al. (2016). Chapter 05."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgcourse.algorithms.learner import Learner
from pgcourse.algorithms.options import in_range
from pgcourse.core import Critic, Policy, Streams
from pgcourse.rl import Trajectory, gae
from pgcourse.rl.objectives import masked_mean, score_function, value_loss


@dataclass(frozen=True)
class A2C:
    """Act for a few steps, judge each step by what a critic thinks of its consequences, step θ and φ once:

        ĝ = 1/(T N) Σ_{t,i} Â_{t,i} ∇log π_θ(a|s) + entropy · ∇H(π_θ(·|s)),    Â = GAE(γ, λ) under v_φ.

    Options:
        envs: N, copies of the world that run side by side.
        rollout: T, steps of each copy between updates.
        lr, critic_lr: Adam's step sizes for θ and φ.
        gamma, lam: γ and λ.
        entropy: weight of the entropy bonus.
        normalize_advantage: shift and scale each seed's advantages to mean 0 and standard deviation 1 in every batch.
        max_grad_norm: clip each seed's gradient to this norm.
        anneal: let both step sizes fall linearly to 0 over the training, as Mnih et al. (2016) do.

    Metrics: `entropy` (nats), `grad_norm` before clipping, `value_loss` (½ squared error against the GAE target),
    `explained_variance` of the critic: 1 - Var(target - v) / Var(target).
    """

    envs: int = 8
    rollout: int = 16
    lr: float = 3e-3
    gamma: float = 0.99
    lam: float = 0.95
    entropy: float = 0.0
    critic_lr: float = 5e-3
    normalize_advantage: bool = False
    max_grad_norm: float = 1.0
    anneal: bool = True

    def __post_init__(self) -> None:
        in_range(self, "envs", 1)
        in_range(self, "rollout", 1)
        in_range(self, "gamma", 0, 1)
        in_range(self, "lam", 0, 1)
        in_range(self, "entropy", 0)
        for name in ("lr", "critic_lr"):
            in_range(self, name, 0, exclusive=True)
        in_range(self, "max_grad_norm", 0, exclusive=True, infinite=True)

    def start(self, policy: Policy, critic: Critic, streams: Streams) -> Learner:
        return Learner.start(policy, critic, streams, self.lr, self.critic_lr, self.max_grad_norm)

    def update(
        self, learner: Learner, batch: Trajectory, progress: float, streams: Streams | None = None
    ) -> dict[str, Tensor]:
        """One step of θ and φ on a fixed-length rollout; metrics [seed]."""
        rate = 1 - progress if self.anneal else 1.0
        value = learner.critic(learner.phi, batch.obs)
        with torch.no_grad():
            next_value = learner.critic(learner.phi, batch.next_obs)
            advantage = gae(
                batch.reward, value.detach(), next_value, batch.terminated, batch.truncated, self.gamma, self.lam
            )
            target = advantage + value
            if self.normalize_advantage:
                std, mean = torch.std_mean(advantage, (1, 2), keepdim=True)
                advantage = (advantage - mean) / (std + 1e-8)
        dist = learner.policy(learner.theta, batch.obs)
        bonus = dist.entropy()
        objective = score_function(dist.log_prob(batch.action), advantage) + self.entropy * bonus
        error = masked_mean(value_loss(value, target), batch.mask)
        learner.critic_optimizer.minimize(error, rate)
        grad_norm = learner.policy_optimizer.minimize(-masked_mean(objective, batch.mask), rate)
        return {
            "grad_norm": grad_norm,
            "entropy": masked_mean(bonus.detach(), batch.mask),
            "value_loss": error.detach(),
            "explained_variance": 1 - _variance(target - value.detach()) / _variance(target).clamp_min(1e-12),
        }


def _variance(x: Tensor) -> Tensor:
    """Of all steps of a seed's rollout; 0 for a rollout of one step."""
    return x.var((1, 2), correction=0)
