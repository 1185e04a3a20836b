"""Trust region policy optimisation and the natural gradient. Schulman et al. (2015), Kakade (2002). Chapter 07."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgcourse.algorithms.learner import Adam, Learner
from pgcourse.algorithms.options import in_range
from pgcourse.core import Critic, Policy, Streams
from pgcourse.core.trust_region import fisher_product, trust_region_step
from pgcourse.rl import Trajectory, gae
from pgcourse.rl.objectives import masked_mean, surrogate, value_loss


@dataclass(frozen=True)
class TRPO:
    """Improve the surrogate on one rollout, as far as the policy may move from the one that acted:

        max_θ E[ π_θ(a|s) / π_old(a|s) · Â ]    subject to    E[ KL(π_old(·|s) ‖ π_θ(·|s)) ] ≤ δ,

    with Â = GAE(γ, λ) under v_φ. The step is the natural gradient's, as long as δ allows to second order; it is then
    shrunk until it does improve the surrogate and keep to δ, and where it never does θ stays as it is. After it, φ is
    fitted to the rollout. docs/trpo.md explains every option and metric.

    Options:
        envs, rollout: N copies of the world, T steps of each between updates.
        gamma, lam: γ and λ.
        max_kl: δ, in nats.
        damping: added to the diagonal of the Fisher matrix.
        fisher_every: the Fisher matrix is that of the states of every so manyth time step.
        cg_steps: conjugate gradient steps, at most, to solve for the natural gradient.
        search: whether the step has to improve the surrogate within δ; without it this is the natural gradient.
        backtracks, shrink: how often the search may shrink the step, and by which factor.
        normalize_advantage: shift and scale each seed's advantages to mean 0 and standard deviation 1 in every batch.
        critic_lr, critic_steps: Adam's step size for φ, and how many steps on the whole rollout it makes.

    Metrics: `kl` (nats), `improvement` of the surrogate, `predicted_improvement` (its gradient times the step) and
    `step_norm`, of the step taken: 0 where none was; `accepted`, 1 or 0; `backtracks`; `cg_residual`, relative to the
    gradient; of the policy before the step `entropy` (nats); of the critic before its fit `value_loss` (½ squared error
    against the GAE target) and `explained_variance`, 1 - Var(target - v) / Var(target).
    """

    envs: int = 8
    rollout: int = 128
    gamma: float = 0.99
    lam: float = 0.95
    max_kl: float = 0.01
    damping: float = 0.1
    fisher_every: int = 4
    cg_steps: int = 10
    search: bool = True
    backtracks: int = 10
    shrink: float = 0.8
    normalize_advantage: bool = True
    critic_lr: float = 1e-2
    critic_steps: int = 10

    def __post_init__(self) -> None:
        for name in ("envs", "rollout", "fisher_every", "cg_steps", "critic_steps"):
            in_range(self, name, 1)
        for name in ("gamma", "lam", "shrink"):
            in_range(self, name, 0, 1)
        in_range(self, "damping", 0)
        in_range(self, "backtracks", 0)
        for name in ("max_kl", "critic_lr"):
            in_range(self, name, 0, exclusive=True)

    def start(self, policy: Policy, critic: Critic, streams: Streams) -> Learner:
        theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
        return Learner(policy, critic, Adam(theta, 1.0), Adam(phi, self.critic_lr))

    def update(
        self, learner: Learner, batch: Trajectory, progress: float, streams: Streams | None = None
    ) -> dict[str, Tensor]:
        """One step of θ and a fit of φ on a fixed-length rollout; metrics [seed]."""
        with torch.no_grad():
            value = learner.critic(learner.phi, batch.obs)
            next_value = learner.critic(learner.phi, batch.next_obs)
            advantage = gae(batch.reward, value, next_value, batch.terminated, batch.truncated, self.gamma, self.lam)
            target = advantage + value
            if self.normalize_advantage:
                std, mean = torch.std_mean(advantage, (1, 2), keepdim=True)
                advantage = (advantage - mean) / (std + 1e-8)
            old = learner.policy(learner.theta.detach(), batch.obs)
            old_log_prob = old.log_prob(batch.action)

        def objective(theta: Tensor) -> tuple[Tensor, Tensor]:
            dist = learner.policy(theta, batch.obs)
            ratio = (dist.log_prob(batch.action) - old_log_prob).exp()
            return masked_mean(surrogate(ratio, advantage), batch.mask), masked_mean(old.kl(dist), batch.mask)

        every = slice(None, None, self.fisher_every)
        fisher = fisher_product(learner.policy, learner.theta.detach(), batch.obs[:, every], batch.mask[:, every])
        step = trust_region_step(learner.theta.detach(), objective, fisher, self.max_kl, self.damping, self.cg_steps, self.search, self.backtracks, self.shrink)
        learner.policy_optimizer.parameters = step.theta.requires_grad_()
        metrics = {name: x.to(step.kl.dtype) for name, x in step._asdict().items() if name != "theta"}
        for _ in range(self.critic_steps):
            error = value_loss(learner.critic(learner.phi, batch.obs), target)
            learner.critic_optimizer.minimize(masked_mean(error, batch.mask))
        unexplained, variance = (x.var((1, 2), correction=0) for x in (target - value, target))
        return metrics | {
            "entropy": masked_mean(old.entropy(), batch.mask),
            "value_loss": masked_mean(value_loss(value, target), batch.mask),
            "explained_variance": 1 - unexplained / variance.clamp_min(1e-12),
        }


@dataclass(frozen=True)
class NaturalGradient(TRPO):
    """Step along F⁻¹∇L, the direction in which the policy improves most for the KL divergence it costs. Kakade (2002).

    TRPO without the search: every step is taken whole, as long as a KL divergence of `max_kl` allows to second order
    (the normalised step of Rajeswaran et al., 2017). Options and metrics are those of `TRPO`.
    """

    search: bool = False
