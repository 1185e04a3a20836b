"""The ledger: bias and variance of every gradient estimator, on the same rollouts, beside their exact values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pgcourse.core import Streams
from pgcourse.exact import estimators as est
from pgcourse.exact import variance
from pgcourse.exact.mdp import TabularMDP
from pgcourse.exact.sampling import batch_errors, batch_means, rollouts_in_parts, z_scores
from pgcourse.exact.variance import GradientMoments
from pgcourse.rl.advantages import leave_one_out_mean
from pgcourse.rl.returns import discounted_return, reward_to_go
from pgcourse.rl.trajectory import Trajectory
from pgcourse.stats import z_threshold

if TYPE_CHECKING:
    import pandas as pd

LAMBDAS = (0.0, 0.5, 0.9, 1.0)


@dataclass(frozen=True)
class Estimator:
    """One line of the ledger.

    Attributes:
        name: as in the tables; family: what it is a variant of.
        unbiased: whether theory says that E[g] = ∇J.
        gradients: the estimates of single episodes, Trajectory to [seed, env, parameter].
        exact: mean and variance by linear algebra, where there is a formula for them.
    """

    name: str
    family: str
    unbiased: bool
    gradients: Callable[[Trajectory], Tensor]
    exact: GradientMoments | None = None


@dataclass(frozen=True)
class Ledger:
    """What `ledger` found, as tidy frames; `seed` is that of the stream.

    table, a row for each seed and estimator:
        family, unbiased_in_theory: as in `Estimator`.
        episodes, gradient_norm: how many were sampled, and ‖∇J‖.
        bias, bias_noise: ‖mean - ∇J‖ / ‖∇J‖ over all episodes, and the size that chance alone gives it.
        max_z: the largest |z| of a component's mean against ∇J.
        trace, trace_error: tr Cov of one episode's estimate, and its standard error.
        exact_bias, exact_trace: by linear algebra; NaN where there is no formula.
        z_threshold: for all components, estimators and seeds together, see `pgcourse.stats.z_threshold`.
        unbiased: max_z <= z_threshold.
    batches, a row for each seed, estimator and batch_size:
        cosine, cosine_error: mean cosine between a batch's mean estimate ĝ and ∇J, and its standard error.
        relative_error, relative_error_error: root mean square of ‖ĝ - ∇J‖ / ‖∇J‖, and its standard error.
    pairs, a row for each seed and comparison of two variances, paired by episode:
        kind: "least of its class", a best baseline against each other one of its class: a theorem up to the pilot's
            error; or "ordering", what causality, baselines and λ are said to do: true of most worlds, not of all.
        smaller, larger: the two estimators.
        difference, difference_error: trace(larger) - trace(smaller), and its standard error.
        lower_bound, holds: difference minus three standard errors, and whether that is above 0.
    """

    table: pd.DataFrame
    batches: pd.DataFrame
    pairs: pd.DataFrame


# For each class of baselines its member of least variance, and all its other members.
RETURN_CONSTANTS = ("total return", "total return - mean")
TO_GO_CONSTANTS = ("reward-to-go", "reward-to-go - mean")
CLASSES = {
    "total return - b*": RETURN_CONSTANTS,
    "total return - b* per component": (*RETURN_CONSTANTS, "total return - b*"),
    "reward-to-go - b*": TO_GO_CONSTANTS,
    "reward-to-go - b*(s)": (*TO_GO_CONSTANTS, "reward-to-go - b*", "reward-to-go - v(s)"),
}


def catalogue(
    mdp: TabularMDP, theta: Tensor, pilot: Trajectory, critic: Tensor, lams: Sequence[float] = LAMBDAS
) -> tuple[Estimator, ...]:
    """Every estimator of the course. Means and best baselines are fitted on `pilot`, so that they are constants for all
    other episodes; `critic` [seed, state] is what the bootstrapped estimators believe v to be."""
    gamma, policy = mdp.gamma, mdp.policy
    v, q = mdp.v(theta), mdp.q(theta)
    advantage = q - v.unsqueeze(-1)
    everywhere = torch.ones(mdp.states, dtype=v.dtype)
    pilot_return = discounted_return(pilot.reward, gamma, pilot.mask)
    pilot_to_go = reward_to_go(pilot.reward, pilot.terminated, pilot.truncated, gamma)
    mean_to_go = (pilot_to_go * pilot.mask).sum((1, 2)) / pilot.mask.sum((1, 2))
    best_return = est.optimal_return_baseline(policy, theta, pilot, gamma)
    best_component = est.optimal_return_baseline(policy, theta, pilot, gamma, per_component=True)
    best_constant = est.optimal_baseline(policy, theta, pilot, gamma, torch.ones(1, dtype=v.dtype))
    best_state = est.optimal_baseline(policy, theta, pilot, gamma, one_hot(pilot.obs, mdp.states))

    def line(
        name: str,
        family: str,
        weight: Callable[[Trajectory], Tensor],
        exact: GradientMoments | None = None,
        unbiased: bool = True,
    ) -> Estimator:
        return Estimator(name, family, unbiased, lambda t: est.episode_gradients(policy, theta, t, weight(t)), exact)

    def total(name: str, baseline: Tensor) -> Estimator:  # [seed]
        exact = variance.total_return_moments(mdp, theta, baseline)
        return line(name, "total return", lambda t: est.total_return_weight(t, gamma, baseline.unsqueeze(-1)), exact)

    def to_go(name: str, baseline: Tensor) -> Estimator:  # [seed, state]
        exact = variance.gae_moments(mdp, theta, baseline)
        return line(name, "reward-to-go", lambda t: est.reward_to_go_weight(t, gamma, est.at(baseline, t.obs)), exact)

    def known(name: str, table: Tensor) -> Estimator:  # [seed, state, action]
        exact = variance.table_moments(mdp, theta, table)
        return line(name, "known values", lambda t: est.table_weight(t, gamma, table), exact)

    def bootstrapped(name: str, lam: float, value: Tensor, unbiased: bool) -> Estimator:  # [seed, state]
        exact = variance.gae_moments(mdp, theta, value, lam)
        return line(
            name,
            "bootstrapped",
            lambda t: est.gae_weight(t, gamma, lam, est.at(value, t.obs), est.at(value, t.next_obs)),
            exact,
            unbiased,
        )

    def per_component(t: Trajectory) -> Tensor:
        score = est.episode_gradients(policy, theta, t, torch.ones_like(t.reward))
        ret = discounted_return(t.reward, gamma, t.mask).unsqueeze(-1)
        return score * (ret - best_component.unsqueeze(1))

    def leave_one_out(t: Trajectory) -> Tensor:
        ret = reward_to_go(t.reward, t.terminated, t.truncated, gamma)
        return est.reward_to_go_weight(t, gamma, leave_one_out_mean(ret, t.mask))

    return (
        total("total return", torch.zeros_like(v[:, 0])),
        total("total return - mean", pilot_return.mean(1)),
        total("total return - b*", best_return.squeeze(-1)),
        Estimator("total return - b* per component", "total return", True, per_component),
        to_go("reward-to-go", torch.zeros_like(v)),
        to_go("reward-to-go - mean", mean_to_go.unsqueeze(-1) * everywhere),
        line("reward-to-go - leave-one-out mean", "reward-to-go", leave_one_out),
        to_go("reward-to-go - b*", best_constant * everywhere),
        to_go("reward-to-go - v(s)", v),
        to_go("reward-to-go - b*(s)", best_state),
        known("q(s,a) known", q),
        known("A(s,a) known", advantage),
        bootstrapped("TD, v known", 0.0, v, unbiased=True),
        *(bootstrapped(_gae_name(lam), lam, critic, unbiased=lam == 1) for lam in lams),
        line(
            "reward-to-go, γ^t dropped",
            "γ^t dropped",
            lambda t: est.reward_to_go_weight(t, gamma, keep_discount=False),
            variance.gae_moments(mdp, theta, keep_discount=False),
            unbiased=False,
        ),
        line(
            "reward-to-go - q(s,a)",
            "baseline of the action",
            lambda t: est.reward_to_go_weight(t, gamma) - est.table_weight(t, gamma, q),
            unbiased=False,
        ),
    )


def ledger(
    mdp: TabularMDP,
    theta: Tensor,
    streams: Streams,
    episodes: int = 100_000,
    batch_sizes: Sequence[int] = (1, 10, 100, 1000),
    critic_error: float | Tensor = 1.0,
    lams: Sequence[float] = LAMBDAS,
    pilot_episodes: int = 20_000,
) -> Ledger:
    """Every estimator of the catalogue on the same `episodes` episodes of each seed.

    The critic of the bootstrapped estimators is v_π plus `critic_error`: a table [state] or [seed, state], or a number,
    the standard deviation of an independent error at every state, in units of return.

    Raises:
        ValueError: a batch size below 1, or fewer than two batches of it; what `TabularMDP.rollouts` raises.
    """
    if min(batch_sizes) < 1 or 2 * max(batch_sizes) > episodes:
        raise ValueError(f"batch_sizes must be from 1 to episodes / 2 = {episodes // 2}, got {list(batch_sizes)}")
    if len(theta) != len(streams):
        raise ValueError(f"theta has {len(theta)} rows and streams has {len(streams)} seeds; they must be as many")
    theta = theta.detach().to(torch.float64)
    if not isinstance(critic_error, Tensor):
        noise = Streams(streams.seeds, streams.child("critic error").path, dtype=torch.float64)
        critic_error = critic_error * noise.normal(mdp.states)
    critic = (mdp.v(theta) + critic_error) * ~mdp.terminal
    pilot_path, sample_path = streams.child("pilot").path, streams.child("sample").path
    table, batches, pairs, comparisons = [], [], [], 0
    for seed, one, believed in zip(streams.seeds, theta.split(1), critic.split(1), strict=True):
        truth = mdp.gradient(one)
        lines = catalogue(mdp, one, mdp.rollouts(one, Streams([seed], pilot_path), pilot_episodes), believed, lams)
        parts = rollouts_in_parts(mdp, one, Streams([seed], sample_path), episodes)
        samples = _columns([line.gradients(part) for line in lines] for part in parts)
        deviation = {}  # ‖g_i - mean‖² of every episode, whose mean is tr Cov
        for line, sample in zip(lines, samples, strict=True):
            centred = sample - sample.mean(1, keepdim=True)
            deviation[line.name] = centred.square().sum(-1)[0]
            comparisons += int((centred != 0).any(1).sum())
            table.append({"seed": seed} | _line(line, sample, truth, deviation[line.name]))
            for size in batch_sizes:
                key = {"seed": seed, "estimator": line.name, "family": line.family, "batch_size": size}
                batches.append(key | _batch(sample, truth, size))
        for kind, smaller, larger in _comparisons(lams):
            key = {"seed": seed, "kind": kind, "smaller": smaller, "larger": larger}
            pairs.append(key | _paired(deviation[larger] - deviation[smaller]))
    import pandas as pd  # not before it is needed: tabular worlds import this package

    frame = pd.DataFrame(table).assign(z_threshold=z_threshold(comparisons))
    frame = frame.assign(unbiased=frame.max_z <= frame.z_threshold)
    return Ledger(frame, pd.DataFrame(batches), pd.DataFrame(pairs))


def _columns(rows: Iterable[list[Tensor]]) -> list[Tensor]:
    """[part][estimator] of [seed, env, parameter] to [estimator] of [seed, episode, parameter]."""
    return [torch.cat(column, 1) for column in zip(*rows, strict=True)]


def _gae_name(lam: float) -> str:
    return f"GAE({lam:g})" if lam else "TD"


def _comparisons(lams: Sequence[float]) -> Iterator[tuple[str, str, str]]:
    """(kind, smaller, larger)."""
    for best, others in CLASSES.items():
        yield from (("least of its class", best, other) for other in others)
    ladder = ("reward-to-go - v(s)", "reward-to-go", "total return")
    along = [_gae_name(lam) for lam in sorted(lams)]
    for smaller, larger in (*itertools.pairwise(ladder), *itertools.pairwise(along)):
        yield "ordering", smaller, larger


def _line(line: Estimator, sample: Tensor, truth: Tensor, square: Tensor) -> dict:
    size, episodes = truth.norm(), sample.shape[1]
    exact = line.exact
    return {
        "estimator": line.name,
        "family": line.family,
        "unbiased_in_theory": line.unbiased,
        "episodes": episodes,
        "gradient_norm": float(size),
        "bias": float((sample.mean(1) - truth).norm() / size),
        "bias_noise": float((square.mean() / episodes).sqrt() / size),
        "exact_bias": math.nan if exact is None else float((exact.mean - truth).norm() / size),
        "max_z": float(z_scores(sample, truth).abs().max()),
        "trace": float(square.sum() / (episodes - 1)),
        "trace_error": float(square.std() / math.sqrt(episodes)),
        "exact_trace": math.nan if exact is None else float(exact.trace),
    }


def _batch(sample: Tensor, truth: Tensor, size: int) -> dict:
    cosine = torch.cosine_similarity(batch_means(sample, size), truth.unsqueeze(1), -1)[0]
    square = batch_errors(sample, truth, size)[0].square()
    root = square.mean().sqrt()
    by_batch = math.sqrt(len(square))
    return {
        "cosine": float(cosine.mean()),
        "cosine_error": float(cosine.std() / by_batch),
        "relative_error": float(root),
        "relative_error_error": float(square.std() / by_batch / (2 * root)),
    }


def _paired(difference: Tensor) -> dict:
    mean, error = float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))
    bound = mean - 3 * error
    return {"difference": mean, "difference_error": error, "lower_bound": bound, "holds": bound > 0}
