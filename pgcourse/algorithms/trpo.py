"""Trust region policy optimisation and the natural gradient. Schulman et al. (2015), Kakade (2002). Chapter 07."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Critic, Policy, Streams, normalized
from pgcourse.core.adam import Adam, AdamState, gradient
from pgcourse.core.trust_region import backtracking, dot, fisher_product, natural_step, whole_step
from pgcourse.rl import RewardScale, Samples, Trajectory, explained_variance, judged, standardized
from pgcourse.rl.objectives import surrogate, value_loss


class State(NamedTuple):
    """What lasts from update to update."""

    policy: Policy
    critic: Critic
    theta: Tensor  # [seed, parameter]
    phi: Tensor  # [seed, parameter]
    phi_adam: AdamState
    rewards: RewardScale | None  # where rewards are normalised


class Metrics(NamedTuple):
    """Each [seed]. The first six are of the step taken: 0 where none was."""

    kl: Tensor  # KL(π_old ‖ π_θ), in nats
    improvement: Tensor  # of the surrogate
    predicted_improvement: Tensor  # the surrogate's gradient times the step
    accepted: Tensor  # 1 or 0
    backtracks: Tensor  # how often the step was shrunk
    step_norm: Tensor
    cg_residual: Tensor  # relative to the gradient's norm
    entropy: Tensor  # of the policy before the step, in nats
    value_loss: Tensor  # of the critic before its fit, ½ squared error against the GAE target
    explained_variance: Tensor  # of the critic before its fit, 1 - Var(target - v) / Var(target)


@dataclass(frozen=True)
class TRPO:
    """Maximise the surrogate on one rollout within a KL divergence δ of the policy that acted:

        max_θ E[ π_θ(a|s) / π_old(a|s) · Â ]    subject to    E[ KL(π_old(·|s) ‖ π_θ(·|s)) ] ≤ δ,

    with Â = GAE(γ, λ) under v_φ. The step is the natural gradient's, as long as δ allows to second order; it is then
    shrunk until it does improve the surrogate and keep to δ, and where it never does θ stays as it is. After it, φ is
    fitted to the rollout. docs/trpo.md explains every option and metric.
    """

    envs: int = option(8, "N, copies of the world that run side by side", low=1)
    horizon: int = option(128, "T, steps of each copy between updates", low=1)
    gamma: float = option(0.99, "discount γ", low=0, high=1)
    lam: float = option(0.95, "λ of GAE", low=0, high=1)
    max_kl: float = option(0.01, "δ, in nats", above=0)
    damping: float = option(0.1, "added to the diagonal of the Fisher matrix", low=0)
    fisher_every: int = option(4, "the Fisher matrix is that of the states of every n-th step of each copy", low=1)
    cg_steps: int = option(10, "conjugate gradient steps, at most, to solve for the natural gradient", low=1)
    search: bool = option(
        True, "the step has to improve the surrogate within δ; without it this is the natural gradient"
    )
    backtracks: int = option(10, "how often the search may shrink the step", low=0)
    shrink: float = option(0.8, "the factor by which the search shrinks it", low=0, high=1)
    normalize_advantage: bool = option(
        True, "shift and scale each seed's advantages to mean 0 and standard deviation 1 in every batch"
    )
    critic_lr: float = option(1e-2, "Adam's step size for φ", above=0)
    critic_steps: int = option(10, "Adam's steps for φ, on the whole rollout", low=1)
    adam_eps: float = option(1e-5, "ε of Adam, which bounds its steps where gradients are small", above=0, neutral=1e-5)
    normalize_observation: bool = option(
        False,
        "the networks see observations standardised with the moments of all that their seed has seen, clipped to ±10; "
        "the moments are part of θ and φ, and no step moves them",
        neutral=False,
    )
    normalize_reward: bool = option(
        False,
        "divide rewards by the standard deviation of the discounted sum of an episode's rewards so far (Engstrom et "
        "al., 2020); reported returns are those of the world",
        neutral=False,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.normalize_advantage and self.envs * self.horizon < 2:
            raise ValueError(
                f"{type(self).__name__}: normalize_advantage takes envs · horizon = 2 or more: one sample has no spread"
            )

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> State:
        if self.normalize_observation:
            policy, critic = normalized(policy), normalized(critic)
        theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
        rewards = RewardScale.init(theta.new_zeros(len(theta), self.envs)) if self.normalize_reward else None
        return State(policy, critic, theta, phi, Adam(self.critic_lr, self.adam_eps).init(phi), rewards)

    def update(
        self, state: State, batch: Trajectory, progress: float, streams: Streams | None = None
    ) -> tuple[State, Metrics]:
        """One step of θ and a fit of φ on a fixed-length rollout."""
        policy, critic, old, phi, phi_adam, scale = state
        reward = batch.reward
        if scale is not None:
            reward, scale = scale.scaled(batch, self.gamma)
        samples = self.samples(state, batch, reward)
        with torch.no_grad():
            acted = policy(old, samples.obs)

        def objective(theta: Tensor) -> tuple[Tensor, Tensor]:
            dist = policy(theta, samples.obs)
            return self.surrogate(dist.log_prob(samples.action), samples), acted.kl(dist).mean(1)

        leaf = old.detach().requires_grad_()
        gain, _ = objective(leaf)
        (g,) = gradient(gain, leaf)
        every = slice(None, None, self.fisher_every)
        fisher = fisher_product(policy, old, batch.obs[:, every], batch.mask[:, every])
        step, residual = natural_step(g, fisher, self.max_kl, self.damping, self.cg_steps)
        if self.search:
            taken = backtracking(old, gain.detach(), step, objective, self.max_kl, self.backtracks, self.shrink)
        else:
            taken = whole_step(old, gain.detach(), step, objective)
        moved = taken.theta - old
        metrics = Metrics(
            kl=taken.kl,
            improvement=taken.improvement,
            predicted_improvement=dot(g, moved),
            accepted=taken.accepted.to(moved.dtype),
            backtracks=taken.backtracks,
            step_norm=moved.norm(dim=1),
            cg_residual=residual,
            entropy=acted.entropy().mean(1),
            value_loss=value_loss(samples.value, samples.target).mean(1),
            explained_variance=explained_variance(samples.target, samples.value),
        )
        phi, phi_adam = self.fitted(critic, phi, phi_adam, samples)
        theta = policy.observe(taken.theta, batch.obs, batch.mask)
        return State(policy, critic, theta, critic.observe(phi, batch.obs, batch.mask), phi_adam, scale), metrics

    @torch.no_grad()
    def samples(self, state: State, batch: Trajectory, reward: Tensor | None = None) -> Samples:
        """What the update is computed from, as it was when the policy acted; `reward` is the batch's unless given."""
        samples = judged(state.critic, state.phi, batch, self.gamma, self.lam, reward)
        advantage = standardized(samples.advantage) if self.normalize_advantage else samples.advantage
        log_prob = state.policy(state.theta, samples.obs).log_prob(samples.action)
        return samples._replace(advantage=advantage, log_prob=log_prob)

    def surrogate(self, log_prob: Tensor, samples: Samples) -> Tensor:
        """E[ π_θ(a|s) / π_old(a|s) · Â ], [seed]."""
        return surrogate((log_prob - samples.log_prob).exp(), samples.advantage).mean(1)

    def fitted(self, critic: Critic, phi: Tensor, phi_adam: AdamState, samples: Samples) -> tuple[Tensor, AdamState]:
        """φ after `critic_steps` steps towards the targets."""
        adam = Adam(self.critic_lr, self.adam_eps)
        for _ in range(self.critic_steps):
            phi = phi.detach().requires_grad_()
            (g,) = gradient(value_loss(critic(phi, samples.obs), samples.target).mean(1), phi)
            phi, phi_adam = adam.step(phi.detach(), g, phi_adam)
        return phi, phi_adam


@dataclass(frozen=True)
class NaturalGradient(TRPO):
    """Step along F⁻¹∇L, the direction in which the policy improves most for the KL divergence it costs. Kakade (2002).

    TRPO without the line search: every step has the length at which the second-order KL divergence is `max_kl` (the
    normalised step of Rajeswaran et al., 2017). Options and metrics are those of `TRPO`.
    """

    search: bool = option(False, "the step has to improve the surrogate within δ: see `TRPO`")
