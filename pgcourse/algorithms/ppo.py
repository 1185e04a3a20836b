"""Proximal policy optimisation. Schulman et al. (2017). Chapter 08."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Critic, GaussianPolicy, Policy, Streams, normalized, shared
from pgcourse.core.adam import Adam, AdamState, clipped, gradient
from pgcourse.rl import RewardScale, Samples, Trajectory, explained_variance, judged, standardized
from pgcourse.rl.objectives import (
    adapted_penalty,
    clipped_value_loss,
    dual_clipped_surrogate,
    penalized_surrogate,
    surrogate,
    value_loss,
)


class State(NamedTuple):
    """What lasts from update to update."""

    policy: Policy
    critic: Critic
    theta: Tensor  # [seed, parameter]
    phi: Tensor  # [seed, parameter]; where policy and critic share their network, the beginning of θ
    theta_adam: AdamState
    phi_adam: AdamState  # never used there
    beta: Tensor  # [seed], β of the KL penalty
    rewards: RewardScale | None  # where rewards are normalised


class Metrics(NamedTuple):
    """Each [seed], a mean over the minibatches unless it says otherwise."""

    kl: Tensor  # E[r - 1 - log r] ≥ 0, an estimate of KL(π_old ‖ π_θ) in nats (Schulman, 2020)
    clip_fraction: Tensor  # the part of the samples with |r - 1| > ε
    entropy: Tensor  # of π_θ, in nats
    grad_norm: Tensor  # of θ, before clipping
    critic_grad_norm: Tensor  # of φ, before clipping; that of θ where they share a network
    value_loss: Tensor
    stopped: Tensor  # the part of the minibatches that `max_kl` left out
    explained_variance: Tensor  # of the critic before the update, 1 - Var(target - v) / Var(target)
    beta: Tensor | None  # that the update used; None without the penalty


class Minibatch(NamedTuple):
    """A minibatch as the objectives see it, [seed, sample]."""

    ratio: Tensor  # r = π_θ(a|s) / π_old(a|s)
    advantage: Tensor
    clip: float  # ε
    dual_clip: float  # c
    beta: Tensor  # [seed, 1]
    kl: Callable[[], Tensor]  # KL(π_old ‖ π_θ) in every state


OBJECTIVES: dict[str, Callable[[Minibatch], Tensor]] = {
    "clip": lambda step: dual_clipped_surrogate(step.ratio, step.advantage, step.clip, step.dual_clip),
    "penalty": lambda step: penalized_surrogate(step.ratio, step.advantage, step.kl(), step.beta),
    "surrogate": lambda step: surrogate(step.ratio, step.advantage),
}


def _as_they_are(advantage: Tensor) -> Tensor:
    return advantage


# What becomes of the whole batch's advantages, and then of each minibatch's.
NORMALISATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "minibatch": (_as_they_are, standardized),
    "batch": (standardized, _as_they_are),
    "never": (_as_they_are, _as_they_are),
}


@dataclass(frozen=True)
class PPO:
    """Take several epochs of gradient steps on the clipped surrogate of one rollout:

        max_θ E[ min(r_θ Â, clip(r_θ, 1-ε, 1+ε) Â) ] + entropy · E[H(π_θ)],    r_θ = π_θ(a|s) / π_old(a|s).

    φ has a step of its own; where policy and critic are one network (`Architecture.shared`), one step follows the
    sum of both gradients. Every detail is an option; chapter 08 takes them away one by one. docs/ppo.md explains each,
    and every metric.
    """

    envs: int = option(8, "N, copies of the world that run side by side", low=1)
    horizon: int = option(32, "T, steps of each copy between updates", low=1)
    epochs: int = option(10, "passes over the rollout", low=1)
    minibatches: int = option(4, "into how many parts each pass divides the rollout", low=1)
    objective: str = option(
        "clip",
        "`clip`, as above; `penalty`, E[ r Â - β KL(π_old ‖ π_θ) ] with a β for each seed that starts at 1 and is "
        "doubled or halved after updates that have moved too far or not far enough from kl_target; or `surrogate`, "
        "E[ r Â ], which nothing holds back",
        choices=tuple(OBJECTIVES),
    )
    clip: float = option(
        0.2, "ε: a sample whose r is outside of 1 ± ε, on the side that its Â pays for, has no gradient", above=0
    )
    kl_target: float = option(0.01, "the KL divergence, in nats, that an update with the penalty aims at", above=0)
    lr: float = option(1e-3, "Adam's step size for θ", above=0)
    gamma: float = option(0.99, "discount γ", low=0, high=1)
    lam: float = option(0.95, "λ of GAE", low=0, high=1)
    entropy: float = option(0.0, "weight of the entropy bonus", low=0)
    critic_lr: float = option(1e-3, "Adam's step size for φ", above=0)
    normalize_observation: bool = option(
        False,
        "the networks see observations standardised with the moments of all that their seed has seen, clipped to ±10; "
        "the moments are part of θ and φ",
    )
    normalize_reward: bool = option(
        False,
        "divide rewards by the standard deviation of the discounted sum of an episode's rewards so far (Engstrom et "
        "al., 2020); reported returns are those of the world",
    )
    value_clip: float = option(
        math.inf,
        "ε_v: a value that has moved by more than this in an update, and so come nearer to its target, has no gradient",
        above=0,
        infinite=True,
    )
    normalize_advantage: str = option(
        "minibatch",
        "shift and scale each seed's advantages to mean 0 and standard deviation 1 in each `minibatch`, in the whole "
        "`batch`, or `never`",
        choices=tuple(NORMALISATIONS),
    )
    bootstrap: bool = option(
        True,
        "what follows a step at which the time limit cut the episode is worth v(s'); otherwise nothing, as if the "
        "world had ended",
    )
    max_grad_norm: float = option(0.5, "clip each seed's gradients to this norm", above=0, infinite=True)
    max_kl: float = option(
        math.inf,
        "a seed's update ends at the first minibatch whose estimated KL divergence from the old policy is above this",
        above=0,
        infinite=True,
    )
    anneal: bool = option(True, "let both step sizes fall linearly to 0 over the training")
    anneal_clip: bool = option(False, "let ε do so, too")
    adam_eps: float = option(1e-5, "ε of Adam, which bounds its steps where gradients are small", above=0, neutral=1e-5)
    clip_jointly: bool = option(
        False,
        "clip the norm of θ's and φ's gradients taken together, as implementations with one loss do, not of each",
        neutral=False,
    )
    clip_reward: float = option(
        math.inf, "clip rewards to ± this after they were normalised", above=0, infinite=True, neutral=math.inf
    )
    moments_first: bool = option(
        False,
        "a rollout's observations enter the moments before the update that learns from it, not after",
        neutral=False,
    )
    dual_clip: float = option(
        math.inf,
        "c: with the clip, what a sample with a negative Â adds to the objective is c Â at least, however probable its "
        "action has become (Ye et al., 2020)",
        above=1,
        infinite=True,
        neutral=math.inf,
    )
    final_std: float = option(
        math.inf,
        "a Gaussian's σ, where it is the same in all states, may not be above a bound that falls geometrically from "
        "where σ starts to this value at the end of the training, so that what acts becomes what its mean would do",
        above=0,
        infinite=True,
        neutral=math.inf,
    )
    final_gamma: float = option(
        0.0,
        "γ at the end of the training; 0: γ is `gamma` throughout. 1/(1-γ), the steps that it looks ahead, grows from "
        "its first value to its last: with the part p of the training over it is first · (last/first)^(p²) (after "
        "François-Lavet et al., 2015)",
        low=0,
        high=1,
        neutral=0.0,
    )
    value_weight: float = option(
        1.0,
        "w: the critic's loss is w ½ E[ (v - target)² ]; in a network that policy and critic share, w decides what "
        "part of the step is the critic's",
        above=0,
        neutral=1.0,
    )
    shares: ClassVar[bool] = True  # learns with one network for policy and critic, too

    def __post_init__(self) -> None:
        check(self)
        if self.final_gamma and not self.gamma <= self.final_gamma < 1:
            raise ValueError(
                f"PPO: final_gamma must be 0 or from gamma = {self.gamma} to below 1, got {self.final_gamma}"
            )
        if self.envs * self.horizon % self.minibatches or self.envs * self.horizon // self.minibatches < 2:
            raise ValueError(
                f"PPO: minibatches must divide envs · horizon = {self.envs * self.horizon} into parts of 2 samples or "
                f"more, got {self.minibatches}"
            )
        if self.clip_reward < math.inf and not self.normalize_reward:
            raise ValueError(
                "PPO: clip_reward is for normalised rewards: set normalize_reward, or leave clip_reward at inf, "
                f"got {self.clip_reward}"
            )
        if self.dual_clip < math.inf and self.objective != "clip":
            raise ValueError(
                f"PPO: dual_clip is for objective = 'clip', not {self.objective!r}: leave it at inf, "
                f"got {self.dual_clip}"
            )

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> State:
        if self.normalize_observation:
            if shared(policy, critic):
                raise ValueError("PPO: normalize_observation must be False where policy and critic share a network")
            policy, critic = normalized(policy), normalized(critic)
        self._bound(policy, 0.0)
        theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
        if shared(policy, critic):
            phi = theta[:, : critic.size]
        adam = Adam(self.lr, self.adam_eps)
        rewards = RewardScale.init(theta.new_zeros(len(theta), self.envs)) if self.normalize_reward else None
        return State(policy, critic, theta, phi, adam.init(theta), adam.init(phi), theta.new_ones(len(theta)), rewards)

    def update(self, state: State, batch: Trajectory, progress: float, streams: Streams) -> tuple[State, Metrics]:
        """`epochs` passes over a fixed-length rollout, each in an order of its own."""
        if self.final_gamma:
            now = replace(self, gamma=self.discount(progress), final_gamma=0.0)
            return PPO.update(now, state, batch, progress, streams)  # a subclass's is under way already
        if self.moments_first:
            state = observed(state, batch)
        samples, state = self.samples(state, batch)
        policy, critic, old, _, theta_adam, phi_adam, beta, _ = state
        theta, phi, one_network = old, state.phi, shared(policy, critic)
        adam, critic_adam = Adam(self.lr, self.adam_eps), Adam(self.critic_lr, self.adam_eps)
        rate = 1 - progress if self.anneal else 1.0
        clip = self.clip * (1 - progress) if self.anneal_clip else self.clip
        going = None if self.max_kl == math.inf else torch.ones(len(theta), dtype=torch.bool, device=theta.device)
        seen = []
        for _ in range(self.epochs):
            for part in samples.shuffled(self.order(streams), self.minibatches):
                theta = theta.detach().requires_grad_()
                phi = theta[:, : critic.size] if one_network else phi.detach().requires_grad_()
                loss, (log_ratio, entropy) = self.loss(policy, theta, part, old, beta, clip)
                error = self.critic_loss(critic(phi, part.obs), part)
                learned = (theta,) if one_network else (theta, phi)
                gradients = gradient(loss + self.value_weight * error, *learned)
                (g_theta, *g_phi), norms = clipped(gradients, self.max_grad_norm, self.clip_jointly)
                if going is not None:
                    going = going & (_kl(log_ratio).mean(1) <= self.max_kl)
                theta, theta_adam = adam.step(theta, g_theta, theta_adam, rate, going)
                if not one_network:
                    phi, phi_adam = critic_adam.step(phi, g_phi[0], phi_adam, rate, going)
                seen.append((log_ratio, entropy, error.detach(), norms[0], norms[-1], going))
        theta = theta.detach()
        if (bound := self._bound(policy, progress)) < math.inf:
            theta = policy.narrowed(theta, bound)  # type: ignore[attr-defined]
        phi = theta[:, : critic.size] if one_network else phi.detach()
        metrics = self.metrics(seen, samples, clip, beta)
        if self.objective == "penalty":
            with torch.no_grad():
                moved = policy(old, samples.obs).kl(policy(theta, samples.obs)).mean(1)
            beta = adapted_penalty(beta, moved, self.kl_target)
        state = state._replace(theta=theta, phi=phi, theta_adam=theta_adam, phi_adam=phi_adam, beta=beta)
        return state if self.moments_first else observed(state, batch), metrics

    def _bound(self, policy: Policy, progress: float) -> float:
        """Of log σ. Raises `ValueError` where there is to be one, and the policy is not a Gaussian with one σ."""
        if self.final_std == math.inf:
            return math.inf
        if not isinstance(policy, GaussianPolicy) or policy.state_dependent_std:
            raise ValueError(
                "PPO: final_std is for Gaussians whose σ is the same in all states, "
                f"got {self.final_std} with a {type(policy).__name__}; leave it at inf"
            )
        return (1 - progress) * policy.log_std + progress * math.log(self.final_std)

    def discount(self, progress: float) -> float:
        """γ after a part of the training, where there is a `final_gamma`."""
        return 1 - (1 - self.gamma) * ((1 - self.final_gamma) / (1 - self.gamma)) ** (progress**2)

    def order(self, streams: Streams) -> Tensor:
        """In which order a pass takes the samples, [seed, sample]."""
        return streams.uniform(self.envs * self.horizon).argsort(1)

    @torch.no_grad()
    def samples(self, state: State, batch: Trajectory) -> tuple[Samples, State]:
        """What the update is computed from, as the policy acted; and the state with its rewards' moments."""
        reward, scale = batch.reward, state.rewards
        if scale is not None:
            reward, scale = scale.scaled(batch, self.gamma, self.clip_reward)
        samples = judged(state.critic, state.phi, batch, self.gamma, self.lam, reward, self.bootstrap)
        whole, _ = NORMALISATIONS[self.normalize_advantage]
        log_prob = state.policy(state.theta, samples.obs).log_prob(samples.action)
        return samples._replace(log_prob=log_prob, advantage=whole(samples.advantage)), state._replace(rewards=scale)

    def loss(
        self, policy: Policy, theta: Tensor, samples: Samples, old: Tensor, beta: Tensor, clip: float
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """-E[ min(r Â, clip(r, 1-ε, 1+ε) Â) ] - entropy · E[H(π_θ)], or another objective; [seed].

        Also log r and the entropies [seed, sample], for the metrics. `old` is θ as it acted.
        """
        dist = policy(theta, samples.obs)
        log_ratio = dist.log_prob(samples.action) - samples.log_prob
        _, each = NORMALISATIONS[self.normalize_advantage]

        def kl() -> Tensor:
            with torch.no_grad():
                before = policy(old, samples.obs)
            return before.kl(dist)

        step = Minibatch(log_ratio.exp(), each(samples.advantage), clip, self.dual_clip, beta.unsqueeze(1), kl)
        gain = OBJECTIVES[self.objective](step)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.entropy > 0):  # without a weight it is a metric
            entropy = dist.entropy()
        if self.entropy:
            gain = gain + self.entropy * entropy
        return -gain.mean(1), (log_ratio.detach(), entropy.detach())

    def critic_loss(self, value: Tensor, samples: Samples) -> Tensor:
        """½ E[ (v_φ(s) - target)² ] without its weight, [seed]; with `value_clip` the larger of two errors."""
        if self.value_clip < math.inf:
            return clipped_value_loss(value, samples.value, samples.target, self.value_clip).mean(1)
        return value_loss(value, samples.target).mean(1)

    def metrics(self, seen: list[tuple], samples: Samples, clip: float, beta: Tensor) -> Metrics:
        """Of all minibatches together: reducing them once an update is cheaper than once a minibatch."""
        log_ratio, entropy, error, norm, critic_norm = (torch.stack(x) for x in list(zip(*seen, strict=True))[:5])
        going = [each[-1] for each in seen if each[-1] is not None]
        return Metrics(
            kl=_kl(log_ratio).mean((0, 2)),
            clip_fraction=(log_ratio.expm1().abs() > clip).to(norm.dtype).mean((0, 2)),
            entropy=entropy.mean((0, 2)),
            grad_norm=norm.mean(0),
            critic_grad_norm=critic_norm.mean(0),
            value_loss=error.mean(0),
            stopped=1 - torch.stack(going).to(norm.dtype).mean(0) if going else torch.zeros_like(norm[0]),
            explained_variance=explained_variance(samples.target, samples.value),
            beta=beta if self.objective == "penalty" else None,
        )


def _kl(log_ratio: Tensor) -> Tensor:
    """r - 1 - log r: never negative, and its mean over actions of π_old is KL(π_old ‖ π_θ)."""
    return log_ratio.exp() - 1 - log_ratio


def observed(state: State, batch: Trajectory) -> State:
    """The state with a batch's observations in the moments of networks that standardise theirs."""
    theta = state.policy.observe(state.theta, batch.obs, batch.mask)
    return state._replace(theta=theta, phi=state.critic.observe(state.phi, batch.obs, batch.mask))
