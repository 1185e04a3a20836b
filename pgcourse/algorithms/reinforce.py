"""REINFORCE, the Monte Carlo policy gradient. Williams (1992); Sutton & Barto (2018), section 13.3. Chapters 03, 04."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Critic, Policy, Streams
from pgcourse.core.adam import Adam, AdamState, clipped, gradient
from pgcourse.rl import Trajectory, leave_one_out_mean, reward_to_go
from pgcourse.rl.objectives import masked_mean, score_function, value_loss


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
    entropy: Tensor  # of π_θ at the visited states, in nats
    value_loss: Tensor | None  # ½ squared error against G_t; None without a value baseline


@dataclass(frozen=True)
class REINFORCE:
    """Monte Carlo policy gradient: play whole episodes, then step along

        ĝ = 1/N Σ_i Σ_t Ψ_{i,t} ∇log π_θ(a_{i,t}|s_{i,t}),    Ψ = G_t - b.

    docs/reinforce.md explains every option and metric.
    """

    envs: int = option(16, "N, the episodes of one update", low=1)
    lr: float = option(1e-2, "Adam's step size for θ", above=0)
    gamma: float = option(0.99, "discount γ", low=0, high=1)
    weight: str = option(
        "reward_to_go",
        "`reward_to_go`, G_t, what follows the action; or `return`, G_0, the whole episode's",
        choices=("reward_to_go", "return"),
    )
    baseline: str = option(
        "leave_one_out",
        "b: `none`; `leave_one_out`, the mean over the other episodes at the same t; or `value`, v_φ(s_t), which then "
        "also stands in for the rest of an episode that the time limit cut off",
        choices=("none", "leave_one_out", "value"),
    )
    keep_discount: bool = option(
        False, "multiply step t by γ^t, as the theorem for the discounted start value demands; practice drops it"
    )
    critic_lr: float = option(1e-2, "Adam's step size for φ", above=0)
    critic_updates: int = option(4, "gradient steps on φ for one on θ, with the baseline `value`", low=1)
    max_grad_norm: float = option(float("inf"), "clip each seed's gradients to this norm", above=0, infinite=True)
    adam_eps: float = option(1e-5, "ε of Adam, which bounds its steps where gradients are small", above=0, neutral=1e-5)

    horizon: ClassVar[None] = None  # whole episodes

    def __post_init__(self) -> None:
        check(self)
        if self.keep_discount and self.weight == "return":
            raise ValueError(
                "REINFORCE: keep_discount belongs to weight='reward_to_go'; G_0 weights every step of an episode alike"
            )

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> State:
        theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
        adam = Adam(self.lr, self.adam_eps)
        return State(policy, critic, theta, phi, adam.init(theta), adam.init(phi))

    def update(
        self, state: State, batch: Trajectory, progress: float = 0.0, streams: Streams | None = None
    ) -> tuple[State, Metrics]:
        """One step of θ (and φ) on whole episodes. `progress` is not used: step sizes are constant."""
        policy, critic, theta, phi, theta_adam, phi_adam = state
        ret = self.returns(state, batch)
        theta = theta.detach().requires_grad_()
        dist = policy(theta, batch.obs)
        loss = self.loss(dist.log_prob(batch.action), self.weights(state, batch, ret), batch.mask)
        (step,), (norm,) = clipped(gradient(loss, theta), self.max_grad_norm)
        theta, theta_adam = Adam(self.lr, self.adam_eps).step(theta.detach(), step, theta_adam)
        error = None
        if self.baseline == "value":
            for _ in range(self.critic_updates):
                phi = phi.detach().requires_grad_()
                error = masked_mean(value_loss(critic(phi, batch.obs), ret), batch.mask)
                (step,), _ = clipped(gradient(error, phi), self.max_grad_norm)
                phi, phi_adam = Adam(self.critic_lr, self.adam_eps).step(phi.detach(), step, phi_adam)
        theta, phi = policy.observe(theta, batch.obs, batch.mask), critic.observe(phi, batch.obs, batch.mask)
        entropy = masked_mean(dist.entropy().detach(), batch.mask)
        metrics = Metrics(norm, entropy, None if error is None else error.detach())
        return State(policy, critic, theta, phi, theta_adam, phi_adam), metrics

    def loss(self, log_prob: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        """-1/N Σ_i Σ_t Ψ_{i,t} log π_θ(a_{i,t}|s_{i,t}): summed over time, averaged over episodes. [seed]."""
        return -score_function(log_prob.where(mask, 0.0), weight.where(mask, 0.0)).sum(1).mean(1)

    @torch.no_grad()
    def returns(self, state: State, batch: Trajectory) -> Tensor:
        """G_t, or G_0 at every t where `weight` is "return"; [seed, time, env]."""
        next_value = state.critic(state.phi, batch.next_obs) if self.baseline == "value" else None
        ret = reward_to_go(batch.reward, batch.terminated, batch.truncated, self.gamma, next_value)
        return ret if self.weight == "reward_to_go" else ret[:, :1].expand_as(ret)

    @torch.no_grad()
    def weights(self, state: State, batch: Trajectory, ret: Tensor) -> Tensor:
        """Ψ_t = G_t - b, times γ^t where `keep_discount`; [seed, time, env]."""
        ret = ret - BASELINES[self.baseline](state, batch, ret)
        if self.keep_discount:
            ret = ret * self.gamma ** torch.arange(ret.shape[1], dtype=ret.dtype, device=ret.device).view(1, -1, 1)
        return ret


# b of every step, [seed, time, env].
BASELINES = {
    "none": lambda state, batch, ret: 0.0,
    "leave_one_out": lambda state, batch, ret: leave_one_out_mean(ret, batch.mask),
    "value": lambda state, batch, ret: state.critic(state.phi, batch.obs),
}
