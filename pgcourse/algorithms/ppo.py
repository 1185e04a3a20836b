"""Proximal policy optimisation. Schulman et al. (2017). Chapter 08."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.algorithms.learner import Learner
from pgcourse.algorithms.options import in_range, one_of
from pgcourse.core import Critic, Moments, Policy, Streams, normalized
from pgcourse.rl import Trajectory, gae
from pgcourse.rl.objectives import (
    adapted_penalty,
    clipped_surrogate,
    clipped_value_loss,
    penalized_surrogate,
    surrogate,
    value_loss,
)


class Samples(NamedTuple):
    """A rollout's steps in one row for each seed, [seed, sample, ...]."""

    obs: Tensor
    action: Tensor
    log_prob: Tensor  # under the policy that acted
    advantage: Tensor
    value: Tensor  # what the critic thought then
    target: Tensor

    def take(self, index: Tensor) -> Samples:
        """The samples with these indices [seed, minibatch], each seed its own."""
        seeds, size = self.advantage.shape
        flat = (index + size * torch.arange(seeds, device=index.device).unsqueeze(1)).flatten()
        return Samples(*(x.flatten(0, 1).index_select(0, flat).view(*index.shape, *x.shape[2:]) for x in self))


@dataclass(frozen=True)
class PPO:
    """Improve the surrogate on one rollout several times, as far as the clip lets every action's probability move:

        max_θ E[ min(r_θ Â, clip(r_θ, 1-ε, 1+ε) Â) ] + entropy · E[H(π_θ)],    r_θ = π_θ(a|s) / π_old(a|s).

    Every detail is an option; chapter 08 takes them away one by one.

    Options:
        envs, rollout: N copies of the world, T steps of each between updates.
        epochs, minibatches: passes over the rollout, and into how many parts each pass divides it.
        objective: `clip`, as above; `penalty`, E[ r_θ Â - β KL(π_old ‖ π_θ) ] with a β for each seed that starts at 1
            and is doubled or halved after updates that have moved too far or not far enough from `kl_target`; or
            `surrogate`, E[ r_θ Â ], which nothing holds back.
        clip: ε.
        kl_target: the KL divergence, in nats, that an update with the penalty aims at.
        lr, critic_lr: Adam's step sizes for θ and φ.
        gamma, lam: γ and λ of GAE.
        entropy: weight of the entropy bonus.
        normalize_observation: the networks see observations standardised with the moments of all that their seed has
            seen, clipped to ±10. The moments are part of θ and φ (`pgcourse.core.Normalized`).
        normalize_reward: divide rewards by the standard deviation of Σ_k γ^k r_{t-k}, the discounted sum of an
            episode's rewards so far, over all that the seed has seen (Engstrom et al., 2020). Reported returns are
            those of the world.
        value_clip: how far a value may move from what it was, within an update; infinity: as far as it likes.
        normalize_advantage: shift and scale each seed's advantages to mean 0 and standard deviation 1 in each
            `minibatch`, in the whole `batch`, or `never`.
        bootstrap: what follows a step at which the time limit cut the episode is worth v_φ(s'); otherwise nothing, as
            if the world had ended.
        max_grad_norm: clip each seed's gradients, of θ and of φ, to this norm.
        max_kl: a seed's update ends at the first minibatch whose estimated KL divergence from the old policy is above.
        anneal: let both step sizes fall linearly to 0 over the training.
        anneal_clip: let ε do so, too.

    Metrics, means over the minibatches: `kl`, E[r - 1 - log r], an estimate of KL(π_old ‖ π_θ) that is never negative
    (Schulman, 2020); `clip_fraction`, the part of the samples with |r - 1| > ε; `entropy` (nats); `grad_norm` of θ and
    `critic_grad_norm` of φ before clipping; `value_loss`; `stopped`, the part of the minibatches that `max_kl` left
    out. Of the whole batch: `explained_variance` of the critic before the update, 1 - Var(target - v) / Var(target);
    with the penalty, the `beta` that was used.
    """

    envs: int = 8
    rollout: int = 32
    epochs: int = 10
    minibatches: int = 4
    objective: str = "clip"
    clip: float = 0.2
    kl_target: float = 0.01
    lr: float = 1e-3
    gamma: float = 0.99
    lam: float = 0.95
    entropy: float = 0.0
    critic_lr: float = 1e-3
    normalize_observation: bool = False
    normalize_reward: bool = False
    value_clip: float = math.inf
    normalize_advantage: str = "minibatch"
    bootstrap: bool = True
    max_grad_norm: float = 0.5
    max_kl: float = math.inf
    anneal: bool = True
    anneal_clip: bool = False

    def __post_init__(self) -> None:
        for name in ("envs", "rollout", "epochs", "minibatches"):
            in_range(self, name, 1)
        in_range(self, "gamma", 0, 1)
        in_range(self, "lam", 0, 1)
        in_range(self, "entropy", 0)
        for name in ("clip", "kl_target", "lr", "critic_lr"):
            in_range(self, name, 0, exclusive=True)
        for name in ("value_clip", "max_grad_norm", "max_kl"):
            in_range(self, name, 0, exclusive=True, infinite=True)
        one_of(self, "objective", ("clip", "penalty", "surrogate"))
        one_of(self, "normalize_advantage", ("minibatch", "batch", "never"))
        if self.envs * self.rollout % self.minibatches or self.envs * self.rollout // self.minibatches < 2:
            raise ValueError(
                f"PPO: minibatches must divide envs · rollout = {self.envs * self.rollout} into parts of 2 samples or "
                f"more, got {self.minibatches}"
            )

    def start(self, policy: Policy, critic: Critic, streams: Streams) -> Learner:
        if self.normalize_observation:
            policy, critic = normalized(policy), normalized(critic)
        learner = Learner.start(policy, critic, streams, self.lr, self.critic_lr, self.max_grad_norm)
        if self.objective == "penalty":
            learner.memory["beta"] = torch.ones(len(streams), dtype=streams.dtype, device=streams.device)
        if self.normalize_reward:
            zero = torch.zeros(len(streams), 1, dtype=streams.dtype, device=streams.device)
            learner.memory.update(Moments(zero, zero, zero)._asdict(), ret=zero.repeat(1, self.envs))
        return learner

    def update(self, learner: Learner, batch: Trajectory, progress: float, streams: Streams) -> dict[str, Tensor]:
        """`epochs` passes over a fixed-length rollout, each in an order of its own; metrics [seed]."""
        samples = self.samples(learner, batch)
        old = learner.theta.detach().clone()
        seeds, size = samples.advantage.shape
        going = torch.ones(seeds, dtype=torch.bool, device=old.device)
        metrics = []
        for _ in range(self.epochs):
            order = streams.uniform(size).argsort(1)
            for index in order.split(size // self.minibatches, 1):
                going, report = self.step(learner, samples.take(index), old, progress, going)
                metrics.append(report)
        means = {name: torch.stack([each[name] for each in metrics]).mean(0) for name in metrics[0]}
        if self.objective == "penalty":
            means["beta"] = learner.memory["beta"]
            moved = self.kl(learner, old, samples.obs).detach().mean(1)
            learner.memory["beta"] = adapted_penalty(learner.memory["beta"], moved, self.kl_target)
        unexplained = (samples.target - samples.value).var(1) / samples.target.var(1).clamp_min(1e-12)
        return means | {"explained_variance": 1 - unexplained}

    @torch.no_grad()
    def samples(self, learner: Learner, batch: Trajectory) -> Samples:
        """What the update is computed from, as it was when the policy acted."""
        reward = scaled_reward(learner, batch, self.gamma) if self.normalize_reward else batch.reward
        value = learner.critic(learner.phi, batch.obs)
        next_value = learner.critic(learner.phi, batch.next_obs)
        terminated = batch.terminated if self.bootstrap else batch.done
        advantage = gae(reward, value, next_value, terminated, batch.truncated, self.gamma, self.lam)
        log_prob = learner.policy(learner.theta, batch.obs).log_prob(batch.action)
        parts = Samples(batch.obs, batch.action, log_prob, advantage, value, advantage + value)
        flat = Samples(*(x.flatten(1, 2) for x in parts))
        return flat._replace(advantage=_normalized(flat.advantage)) if self.normalize_advantage == "batch" else flat

    def step(
        self, learner: Learner, samples: Samples, old: Tensor, progress: float, going: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One minibatch, for the seeds that are `going`; which go on after it, and its metrics, all [seed].

        `old` is θ as it acted.
        """
        rate = 1 - progress if self.anneal else 1.0
        clip = self.clip * (1 - progress) if self.anneal_clip else self.clip
        advantage = _normalized(samples.advantage) if self.normalize_advantage == "minibatch" else samples.advantage
        dist = learner.policy(learner.theta, samples.obs)
        log_ratio = dist.log_prob(samples.action) - samples.log_prob
        ratio = log_ratio.exp()
        entropy = dist.entropy()
        kl = (ratio - 1 - log_ratio).detach().mean(1)
        going = going & (kl <= self.max_kl)
        if self.objective == "clip":
            gain = clipped_surrogate(ratio, advantage, clip)
        elif self.objective == "penalty":
            beta = learner.memory["beta"].unsqueeze(1)
            gain = penalized_surrogate(ratio, advantage, self.kl(learner, old, samples.obs), beta)
        else:
            gain = surrogate(ratio, advantage)
        objective = gain + self.entropy * entropy
        error = self.critic_loss(learner.critic(learner.phi, samples.obs), samples)
        return going, {
            "kl": kl,
            "clip_fraction": ((ratio - 1).abs() > clip).float().mean(1),
            "entropy": entropy.detach().mean(1),
            "grad_norm": learner.policy_optimizer.minimize(-objective.mean(1), rate, going),
            "critic_grad_norm": learner.critic_optimizer.minimize(error, rate, going),
            "value_loss": error.detach(),
            "stopped": (~going).float(),
        }

    def kl(self, learner: Learner, old: Tensor, obs: Tensor) -> Tensor:
        """KL(π_old ‖ π_θ) in each state."""
        with torch.no_grad():
            before = learner.policy(old, obs)
        return before.kl(learner.policy(learner.theta, obs))

    def critic_loss(self, value: Tensor, samples: Samples) -> Tensor:
        if self.value_clip < math.inf:
            return clipped_value_loss(value, samples.value, samples.target, self.value_clip).mean(1)
        return value_loss(value, samples.target).mean(1)


@torch.no_grad()
def scaled_reward(learner: Learner, batch: Trajectory, gamma: float) -> Tensor:
    """Rewards over the standard deviation of the discounted sums so far; the learner's memory follows the sums."""
    memory, sums = learner.memory, []
    ret = memory["ret"]
    for reward, done in zip(batch.reward.unbind(1), batch.done.unbind(1), strict=True):
        ret = gamma * ret + reward
        sums.append(ret)
        ret = ret.where(~done, 0.0)
    followed = torch.stack(sums, 1).flatten(1).unsqueeze(-1)
    seen = Moments(*(memory[name] for name in Moments._fields))
    moments = seen.merged(followed, batch.mask.flatten(1))
    memory.update(moments._asdict(), ret=ret)
    return batch.reward / (moments.variance + 1e-8).sqrt().unsqueeze(-1)


def _normalized(advantage: Tensor) -> Tensor:
    std, mean = torch.std_mean(advantage, 1, keepdim=True)
    return (advantage - mean) / (std + 1e-8)
