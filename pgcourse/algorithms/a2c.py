"""Advantage actor-critic, synchronous (A2C). Mnih et al. (2016), with GAE from Schulman et al. (2016). Chapter 05."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Critic, Policy, Streams
from pgcourse.core.adam import Adam, AdamState, clipped, gradient
from pgcourse.rl import Samples, Trajectory, explained_variance, judged, standardized
from pgcourse.rl.objectives import score_function, value_loss


class State(NamedTuple):
    """What lasts from update to update."""

    policy: Policy
    critic: Critic
    theta: Tensor  # [seed, parameter]
    phi: Tensor  # [seed, parameter]
    theta_adam: AdamState
    phi_adam: AdamState


class Metrics(NamedTuple):
    """Each [seed]."""

    grad_norm: Tensor  # of θ, before clipping
    entropy: Tensor  # of π_θ, in nats
    value_loss: Tensor  # ½ squared error against the GAE target
    explained_variance: Tensor  # of the critic, 1 - Var(target - v) / Var(target)


@dataclass(frozen=True)
class A2C:
    """Act for a few steps, estimate their advantages with a critic, take one gradient step of θ and φ:

        ĝ = 1/(T N) Σ_{t,i} Â_{t,i} ∇log π_θ(a|s) + entropy · ∇H(π_θ(·|s)),    Â = GAE(γ, λ) under v_φ.

    docs/a2c.md explains every option and metric.
    """

    envs: int = option(8, "N, copies of the world that run side by side", low=1)
    horizon: int = option(16, "T, steps of each copy between updates", low=1)
    lr: float = option(3e-3, "Adam's step size for θ", above=0)
    gamma: float = option(0.99, "discount γ", low=0, high=1)
    lam: float = option(0.95, "λ of GAE", low=0, high=1)
    entropy: float = option(0.0, "weight of the entropy bonus", low=0)
    critic_lr: float = option(5e-3, "Adam's step size for φ", above=0)
    normalize_advantage: bool = option(
        False, "shift and scale each seed's advantages to mean 0 and standard deviation 1 in every batch"
    )
    max_grad_norm: float = option(1.0, "clip each seed's gradients to this norm", above=0, infinite=True)
    anneal: bool = option(True, "let both step sizes fall linearly to 0 over the training, as Mnih et al. (2016) do")
    adam_eps: float = option(1e-5, "ε of Adam, which bounds its steps where gradients are small", above=0, neutral=1e-5)
    clip_jointly: bool = option(
        False,
        "clip the norm of θ's and φ's gradients taken together, as implementations with one loss do, not of each",
        neutral=False,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.normalize_advantage and self.envs * self.horizon < 2:
            raise ValueError("A2C: normalize_advantage takes envs · horizon = 2 or more: one sample has no spread")

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> State:
        theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
        adam = Adam(self.lr, self.adam_eps)
        return State(policy, critic, theta, phi, adam.init(theta), adam.init(phi))

    def update(
        self, state: State, batch: Trajectory, progress: float, streams: Streams | None = None
    ) -> tuple[State, Metrics]:
        """One step of θ and φ on a fixed-length rollout."""
        policy, critic, theta, phi, theta_adam, phi_adam = state
        samples = judged(critic, phi, batch, self.gamma, self.lam)
        theta, phi = theta.detach().requires_grad_(), phi.detach().requires_grad_()
        loss, entropy = self.loss(policy, theta, samples)
        error = value_loss(critic(phi, samples.obs), samples.target).mean(1)
        gradients, norms = clipped(gradient(loss + error, theta, phi), self.max_grad_norm, self.clip_jointly)
        rate = 1 - progress if self.anneal else 1.0
        theta, theta_adam = Adam(self.lr, self.adam_eps).step(theta.detach(), gradients[0], theta_adam, rate)
        phi, phi_adam = Adam(self.critic_lr, self.adam_eps).step(phi.detach(), gradients[1], phi_adam, rate)
        theta, phi = policy.observe(theta, batch.obs, batch.mask), critic.observe(phi, batch.obs, batch.mask)
        metrics = Metrics(norms[0], entropy.mean(1), error.detach(), explained_variance(samples.target, samples.value))
        return State(policy, critic, theta, phi, theta_adam, phi_adam), metrics

    def loss(self, policy: Policy, theta: Tensor, samples: Samples) -> tuple[Tensor, Tensor]:
        """-E[ Â log π_θ(a|s) ] - entropy · E[ H(π_θ) ], [seed]; and the entropies [seed, sample], for the metrics."""
        dist = policy(theta, samples.obs)
        advantage = standardized(samples.advantage) if self.normalize_advantage else samples.advantage
        entropy = dist.entropy()
        gain = score_function(dist.log_prob(samples.action), advantage) + self.entropy * entropy
        return -gain.mean(1), entropy.detach()
