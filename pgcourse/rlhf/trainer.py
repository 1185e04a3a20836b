"""Policy gradients for language models: PPO and its relatives as values of one update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.core import Streams
from pgcourse.core.adam import Adam, AdamState, clipped, gradient
from pgcourse.rl import Trajectory, explained_variance, group_advantage, standardized, token_gae, token_reward
from pgcourse.rl.advantages import minibatches
from pgcourse.rl.divergences import ESTIMATORS, k1, kl_loss
from pgcourse.rl.groups import BASELINES, SCALES
from pgcourse.rl.objectives import (
    clip_binds,
    clipped_surrogate,
    masked_mean,
    truncated_score_function,
    value_loss,
)
from pgcourse.rl.tokens import AGGREGATIONS, LEVELS, aggregated, policy_log_ratio
from pgcourse.rlhf.diagnostics import Diagnostics, diagnosed
from pgcourse.rlhf.language import LanguageCritic, LanguagePolicy


class State(NamedTuple):
    """What lasts from update to update."""

    policy: LanguagePolicy
    critic: LanguageCritic
    theta: Tensor  # [seed, parameter]
    phi: Tensor  # [seed, parameter]; as it was where there is no critic in the algorithm
    theta_adam: AdamState
    phi_adam: AdamState
    reference: Tensor  # θ that the policy is kept near, [seed, parameter]


class Metrics(NamedTuple):
    """Each [seed]. Those of the responses are of the policy that wrote them, before the update."""

    proxy: Tensor  # the judge's score
    gold: Tensor | None  # what the responses are really worth, where somebody knows; nothing learns from it
    kl: Tensor  # and the others: see `Diagnostics`
    kl_k1: Tensor
    entropy: Tensor
    tokens: Tensor
    finished: Tensor
    unique: Tensor
    group_std: Tensor  # the mean over prompts of the scores' standard deviation
    silent_groups: Tensor  # the part of the prompts whose responses all score the same: groups learn nothing there
    clip_fraction: Tensor  # the part of the tokens with r outside [1-ε, 1+ε_high], over all minibatches
    clip_binds: Tensor  # and that whose gradient the clip takes away
    largest_ratio: Tensor  # the largest r of a token
    update_kl: Tensor  # E[r - 1 - log r] in the last minibatch, an estimate of KL(π_old ‖ π_θ) of a token, in nats
    grad_norm: Tensor  # of θ, before clipping: the mean over minibatches
    value_loss: Tensor | None  # of the critic, the mean over minibatches
    explained_variance: Tensor | None  # of the critic before the update, over tokens


class Written(NamedTuple):
    """A batch of responses with all that the loss asks of them, [seed, response, ...]."""

    prompt: Tensor  # [seed, response, token]
    response: Tensor
    mask: Tensor  # where the response has tokens
    log_prob: Tensor  # log π_old, of the policy that wrote them
    ref_log_prob: Tensor  # log π_ref
    advantage: Tensor
    value: Tensor | None = None
    target: Tensor | None = None


@dataclass(frozen=True)
class RLHF:
    """Several passes over a batch of responses, each along the gradient of

        E[ min(r Â, clip(r, 1-ε, 1+ε_high) Â) ] - β · KL,    r = π_θ / π_old of a token or of a whole response,

    where the KL is to the reference: in each token's reward, or a term of the loss. What distinguishes PPO, RLOO, GRPO
    and the others are the options; `VARIANTS` has them by name. An iteration's step is a response.
    """

    envs: int = option(256, "responses of an iteration", low=2)
    group: int = option(8, "responses to each prompt, side by side; the world has to give so many", low=1)
    baseline: str = option(
        "critic",
        "what is subtracted from the return: a `critic`'s value of each token, with GAE; the mean score of the "
        "prompt's other responses (`leave_one_out`), of all of them (`group`), or of the whole `batch`",
        choices=("critic", *BASELINES),
    )
    scale: str = option(
        "batch",
        "divide advantages by the standard deviation of the `group`'s scores, of the `batch`'s (with a critic: of its "
        "tokens' advantages, which are centred, too), or by `none`",
        choices=SCALES,
    )
    ratio: str = option(
        "token",
        "r is of a `token`, of the response as the geometric mean of its tokens' (`sequence`), or as their `product`",
        choices=LEVELS,
    )
    clip: float = option(0.2, "ε: how far r may fall below 1 before its gradient ends", above=0, infinite=True)
    clip_high: float = option(0.2, "ε_high: and how far above", above=0, infinite=True)
    objective: str = option(
        "clip",
        "`clip`, the minimum above, or `truncated`: sg(min(r, 1+ε_high)) Â log π_θ, which no token drops out of",
        choices=("clip", "truncated"),
    )
    aggregate: str = option(
        "token",
        "the loss is a mean over all tokens (`token`), over responses of the mean over their tokens (`sequence`), or a "
        "sum over tokens divided by a `constant`, the limit of a response's length times the number of responses",
        choices=AGGREGATIONS,
    )
    beta: float = option(0.1, "β: the price of a nat of KL from the reference, in units of the score", low=0)
    kl: str = option(
        "reward",
        "where the KL stands: k1 in each token's `reward`, or one of the estimators as a term of the loss",
        choices=("reward", *ESTIMATORS),
    )
    kl_weighted: bool = option(False, "in the loss, weight it by r, so that its gradient stays right in later passes")
    epochs: int = option(2, "passes over the batch", low=1)
    minibatches: int = option(4, "into how many parts each pass divides the batch", low=1)
    lr: float = option(3e-4, "Adam's step size for θ", above=0)
    critic_lr: float = option(1e-3, "Adam's step size for φ", above=0)
    gamma: float = option(1.0, "discount γ, from token to token", low=0, high=1)
    lam: float = option(0.95, "λ of GAE", low=0, high=1)
    eos_penalty: float = option(1.0, "taken from the score of a response that is cut at the limit", low=0)
    max_grad_norm: float = option(1.0, "clip each seed's gradients to this norm", above=0, infinite=True)
    horizon: ClassVar[int] = 1  # a response is one step

    def __post_init__(self) -> None:
        check(self)
        if self.envs % self.group or self.envs % self.minibatches:
            raise ValueError(
                f"RLHF: group and minibatches must divide envs = {self.envs}, got {self.group} and {self.minibatches}"
            )
        if self.group < 2 and (self.baseline in ("leave_one_out", "group") or self.scale == "group"):
            raise ValueError("RLHF: to compare a prompt's responses, group must be 2 or more, got 1")
        if self.baseline == "critic" and self.scale == "group":
            raise ValueError(
                "RLHF: scale must be batch or none with baseline = 'critic', whose advantages are of tokens, "
                "got 'group'"
            )

    def init(self, policy: LanguagePolicy, critic: LanguageCritic, streams: Streams) -> State:
        theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
        adam = Adam(self.lr)
        return State(policy, critic, theta, phi, adam.init(theta), adam.init(phi), theta)

    def update(self, state: State, batch: Trajectory, progress: float, streams: Streams) -> tuple[State, Metrics]:
        """`epochs` passes over a batch of responses, each in an order of its own."""
        policy, critic, theta, phi, theta_adam, phi_adam, _ = state
        score = batch.reward.flatten(1, 2)
        written, diagnostics = self.written(state, batch)
        adam, critic_adam = Adam(self.lr), Adam(self.critic_lr)
        seen, errors = [], []
        for _ in range(self.epochs):
            for part in minibatches(written, streams.uniform(self.envs).argsort(1), self.minibatches):
                theta = theta.detach().requires_grad_()
                loss, log_ratio = self.loss(policy, theta, part)
                (step,), (norm,) = clipped(gradient(loss, theta), self.max_grad_norm)
                theta, theta_adam = adam.step(theta, step, theta_adam)
                seen.append((*self._clipping(log_ratio, part), norm))
                if self.baseline == "critic":
                    phi = phi.detach().requires_grad_()
                    error = masked_mean(value_loss(critic(phi, part.prompt, part.response), part.target), part.mask)  # type: ignore[arg-type]
                    (step,), _ = clipped(gradient(error, phi), self.max_grad_norm)
                    phi, phi_adam = critic_adam.step(phi, step, phi_adam)
                    errors.append(error.detach())
        state = state._replace(theta=theta.detach(), phi=phi.detach(), theta_adam=theta_adam, phi_adam=phi_adam)
        return state, self._metrics(policy, score, written, diagnostics, seen, errors)

    @torch.no_grad()
    def written(self, state: State, batch: Trajectory) -> tuple[Written, Diagnostics]:
        """The batch's responses as the loss sees them, cut behind the longest; and how they are."""
        policy = state.policy
        prompt, response, score = (x.flatten(1, 2) for x in (batch.obs, batch.action, batch.reward))
        self._require_groups(prompt)
        response = response[:, :, : int((response != policy.pad).sum(-1).max())]
        mask = response != policy.pad
        own, reference = (policy.tokens(theta, prompt, response) for theta in (state.theta, state.reference))
        kl, ended = k1(own.log_prob, reference.log_prob), (response == policy.eos).any(-1)
        in_reward = self.beta if self.kl == "reward" else 0.0
        reward = token_reward(score, kl, mask, in_reward, ended, self.eos_penalty)
        value = target = None
        if self.baseline == "critic":
            value = state.critic(state.phi, prompt, response).where(mask, 0.0)
            advantage = token_gae(reward, value, mask, self.gamma, self.lam)
            target = advantage + value
            if self.scale == "batch":
                advantage = standardized(advantage, mask)
        else:
            total = reward.sum(-1).view(len(reward), -1, self.group)
            advantage = group_advantage(total, self.baseline, self.scale).flatten(1).unsqueeze(-1).expand_as(reward)
        written = Written(prompt, response, mask, own.log_prob, reference.log_prob, advantage, value, target)
        return written, diagnosed(own, reference, response, mask, policy.eos)

    def loss(self, policy: LanguagePolicy, theta: Tensor, part: Written) -> tuple[Tensor, Tensor]:
        """What is made small, [seed]; and log r of every token, for the metrics."""
        log_prob = policy.tokens(theta, part.prompt, part.response).log_prob
        log_ratio = policy_log_ratio(log_prob, part.log_prob, part.mask, self.ratio)
        ratio = log_ratio.exp()
        if self.objective == "truncated":
            gain = truncated_score_function(log_prob, ratio, part.advantage, 1 + self.clip_high)
        else:
            gain = clipped_surrogate(ratio, part.advantage, self.clip, self.clip_high)
        loss = -gain
        if self.kl != "reward" and self.beta:
            weight = (log_prob - part.log_prob).where(part.mask, 0.0).exp() if self.kl_weighted else None
            loss = loss + self.beta * kl_loss(log_prob, part.ref_log_prob, self.kl, weight)
        return aggregated(loss, part.mask, self.aggregate, policy.longest), log_ratio.detach()

    def _require_groups(self, prompt: Tensor) -> None:
        groups = prompt.unflatten(1, (-1, self.group))
        if self.baseline != "critic" and (groups != groups[:, :, :1]).any():
            raise ValueError(
                f"RLHF: the world gives other prompts within a group of {self.group}; make it with group={self.group}"
            )

    def _clipping(self, log_ratio: Tensor, part: Written) -> tuple[Tensor, ...]:
        """The part of the tokens outside the clip's interval, that without gradient; max r; E[r - 1 - log r]."""
        ratio, mask = log_ratio.exp(), part.mask
        outside = (ratio > 1 + self.clip_high) | (ratio < 1 - self.clip)
        binds = clip_binds(ratio, part.advantage, self.clip, self.clip_high) & (self.objective == "clip")
        shares = (masked_mean(x.to(ratio.dtype), mask) for x in (outside, binds))
        return *shares, ratio.where(mask, 0.0).flatten(1).amax(1), masked_mean(ratio - 1 - log_ratio, mask)

    def _metrics(
        self,
        policy: LanguagePolicy,
        score: Tensor,
        written: Written,
        diagnostics: Diagnostics,
        seen: list[tuple[Tensor, ...]],
        errors: list[Tensor],
    ) -> Metrics:
        outside, binds, largest, moved, norm = (torch.stack(x) for x in zip(*seen, strict=True))
        spread = score.unflatten(1, (-1, self.group)).std(2) if self.group > 1 else torch.zeros_like(score)
        told = written.value is not None and written.target is not None
        return Metrics(
            proxy=score.mean(1),
            gold=policy.gold(written.prompt, written.response).to(score.dtype).mean(1) if policy.gold else None,
            **diagnostics._asdict(),
            group_std=spread.mean(1),
            silent_groups=(spread == 0).to(score.dtype).mean(1),
            clip_fraction=outside.mean(0),
            clip_binds=binds.mean(0),
            largest_ratio=largest.amax(0),
            update_kl=moved[-1],
            grad_norm=norm.mean(0),
            value_loss=torch.stack(errors).mean(0) if errors else None,
            explained_variance=_explained(written) if told else None,
        )


def _explained(written: Written) -> Tensor:
    """`explained_variance` over the tokens of each seed."""
    value: Any = written.value
    target: Any = written.target
    rows = zip(target, value, written.mask, strict=True)
    return torch.cat([explained_variance(t[m].unsqueeze(0), v[m].unsqueeze(0)) for t, v, m in rows])


# By the names of their papers, as far as the loss goes: batch sizes, step sizes and sampling are the options' defaults.
VARIANTS: Mapping[str, RLHF] = {
    # Ziegler et al. (2019); Stiennon et al. (2020)
    "PPO": RLHF(),
    # Ahmadian et al. (2024)
    "RLOO": RLHF(baseline="leave_one_out", scale="none", ratio="product", aggregate="sequence"),
    # Shao et al. (2024)
    "GRPO": RLHF(baseline="group", scale="group", aggregate="sequence", kl="k3"),
    # Liu et al. (2025)
    "Dr. GRPO": RLHF(baseline="group", scale="none", aggregate="constant", beta=0.0),
    # Yu et al. (2025)
    "DAPO": RLHF(baseline="group", scale="group", clip_high=0.28, beta=0.0),
    # Zheng et al. (2025)
    "GSPO": RLHF(
        baseline="group", scale="group", aggregate="sequence", ratio="sequence", clip=3e-4, clip_high=4e-4, beta=0.0
    ),
    # MiniMax (2025)
    "CISPO": RLHF(baseline="group", scale="group", objective="truncated", beta=0.0),
    # Hu et al. (2025)
    "REINFORCE++": RLHF(baseline="batch", scale="batch"),
}
