"""The ledger measures bias and variance of all gradient estimators on the same episodes, beside their exact values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pgcourse.core import Policy, Streams
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
    """A gradient estimator, one row of the ledger's table.

    Attributes:
        name: as in the tables; family: what it is a variant of.
        unbiased: whether theory says that E[g] = ∇J.
        gradients: the estimates of single episodes, Trajectory to [seed, env, parameter].
        mean: E[g] exactly, [seed, parameter]: by linear algebra, or by a proof where there is none.
        exact: mean and variance by linear algebra, where there is a formula for the variance.
    """

    name: str
    family: str
    unbiased: bool
    gradients: Callable[[Trajectory], Tensor]
    mean: Tensor
    exact: GradientMoments | None = None


@dataclass(frozen=True)
class Ledger:
    """The results of `ledger` as tidy tables; their column `seed` is the stream's seed.

    table, a row for each seed and estimator:
        family, unbiased_in_theory: as in `Estimator`.
        episodes, gradient_norm: how many were sampled, and ‖∇J‖.
        bias, bias_noise: ‖mean - ∇J‖ / ‖∇J‖ over all episodes, and the size that chance alone gives it.
        max_z: the largest |z| of a component's mean against ∇J.
        trace, trace_error: tr Cov of one episode's estimate, and its standard error.
        exact_bias: ‖E[g] - ∇J‖ / ‖∇J‖, no sampling in it.
        exact_trace: by linear algebra; NaN where there is no formula.
        z_threshold: for all components, estimators and seeds together, see `pgcourse.stats.z_threshold`.
        unbiased: max_z <= z_threshold.
    batches, a row for each seed, estimator and batch_size:
        cosine, cosine_error: mean cosine between a batch's mean estimate ĝ and ∇J, and its standard error.
        relative_error, relative_error_error: root mean square of ‖ĝ - ∇J‖ / ‖∇J‖, and its standard error.
    pairs, a row for each seed and comparison of two variances, paired by episode:
        kind: "least of its class", a best baseline against each other one, a theorem up to the pilot's error; or
        "ordering", what causality, baselines and λ are said to do: true of most worlds, not of all.
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
    """Every estimator of the course, family by family.

    Means and best baselines are fitted on `pilot`, so that they are constants for all other episodes. The bootstrapped
    estimators take `critic` [seed, state] for v; without any λ they are left out (chapter 04 has no critic yet).
    """
    context = _Context(mdp, theta, pilot)
    return (
        *_total_returns(context),
        *_rewards_to_go(context),
        *_known_values(context),
        *(_bootstrapped(context, critic, lams) if lams else ()),
        *_counter_examples(context),
    )


@dataclass(frozen=True)
class _Context:
    """What the estimators of a catalogue share: the MDP, θ, and the episodes on which baselines are fitted."""

    mdp: TabularMDP
    theta: Tensor
    pilot: Trajectory

    @property
    def gamma(self) -> float:
        return self.mdp.gamma

    @property
    def problem(self) -> tuple[Policy, Tensor, Trajectory, float]:
        """The first arguments of the functions that fit baselines of least variance."""
        return self.mdp.policy, self.theta, self.pilot, self.gamma

    @cached_property
    def v(self) -> Tensor:
        return self.mdp.v(self.theta)

    @cached_property
    def q(self) -> Tensor:
        return self.mdp.q(self.theta)

    @cached_property
    def truth(self) -> Tensor:
        return self.mdp.gradient(self.theta)

    def gradients(self, t: Trajectory, weight: Tensor) -> Tensor:
        """g_i = Σ_t Ψ_t ∇log π(a_t|s_t) of every episode, [seed, env, parameter]."""
        return est.episode_gradients(self.mdp.policy, self.theta, t, weight)

    def estimator(
        self,
        name: str,
        family: str,
        weight: Callable[[Trajectory], Tensor],
        exact: GradientMoments | None = None,
        unbiased: bool = True,
        mean: Tensor | None = None,
    ) -> Estimator:
        """The estimator whose weights Ψ_t are `weight`, Trajectory to [seed, time, env].

        Without exact moments its mean is the one given, or ∇J.
        """
        if exact is not None:
            mean = exact.mean
        mean = self.truth if mean is None else mean
        return Estimator(name, family, unbiased, lambda t: self.gradients(t, weight(t)), mean, exact)


def _total_returns(c: _Context) -> list[Estimator]:
    """Ψ_t = G_0 - b for constants b: 0, the mean return, and the best one for g or for each component of g."""
    returns = discounted_return(c.pilot.reward, c.gamma, c.pilot.mask)
    best = est.optimal_return_baseline(*c.problem).squeeze(-1)
    best_component = est.optimal_return_baseline(*c.problem, per_component=True)

    def total_return(name: str, b: Tensor) -> Estimator:  # b [seed]
        exact = variance.total_return_moments(c.mdp, c.theta, b)
        return c.estimator(name, "total return", lambda t: est.total_return_weight(t, c.gamma, b.unsqueeze(-1)), exact)

    def per_component(t: Trajectory) -> Tensor:
        """S_j (G_0 - b_j) with the episode's score S = Σ_t ∇log π(a_t|s_t)."""
        score = c.gradients(t, torch.ones_like(t.reward))
        return score * (discounted_return(t.reward, c.gamma, t.mask).unsqueeze(-1) - best_component.unsqueeze(1))

    return [
        total_return("total return", torch.zeros_like(best)),
        total_return("total return - mean", returns.mean(1)),
        total_return("total return - b*", best),
        Estimator("total return - b* per component", "total return", True, per_component, c.truth),
    ]


def _rewards_to_go(c: _Context) -> list[Estimator]:
    """Ψ_t = γ^t (G_t - b) for constants b, functions b(s_t) of the state, and the mean of the other episodes."""
    states = c.mdp.states
    everywhere = torch.ones(states, dtype=c.v.dtype)
    returns = reward_to_go(c.pilot.reward, c.pilot.terminated, c.pilot.truncated, c.gamma)
    mean = (returns * c.pilot.mask).sum((1, 2)) / c.pilot.mask.sum((1, 2))
    best_constant = est.optimal_baseline(*c.problem, torch.ones(1, dtype=c.v.dtype))
    best_of_state = est.optimal_baseline(*c.problem, one_hot(c.pilot.obs, states))

    def to_go(name: str, b: Tensor) -> Estimator:  # b [seed, state]
        exact = variance.gae_moments(c.mdp, c.theta, b)
        return c.estimator(name, "reward-to-go", lambda t: est.reward_to_go_weight(t, c.gamma, est.at(b, t.obs)), exact)

    def leave_one_out(t: Trajectory) -> Tensor:
        returns = reward_to_go(t.reward, t.terminated, t.truncated, c.gamma)
        return est.reward_to_go_weight(t, c.gamma, leave_one_out_mean(returns, t.mask))

    return [
        to_go("reward-to-go", torch.zeros_like(c.v)),
        to_go("reward-to-go - mean", mean.unsqueeze(-1) * everywhere),
        c.estimator("reward-to-go - leave-one-out mean", "reward-to-go", leave_one_out),
        to_go("reward-to-go - b*", best_constant * everywhere),
        to_go("reward-to-go - v(s)", c.v),
        to_go("reward-to-go - b*(s)", best_of_state),
    ]


def _known_values(c: _Context) -> list[Estimator]:
    """Ψ_t = γ^t f(s_t, a_t) for f = q_π and f = A_π, which only linear algebra knows."""

    def known(name: str, f: Tensor) -> Estimator:  # f [seed, state, action]
        exact = variance.table_moments(c.mdp, c.theta, f)
        return c.estimator(name, "known values", lambda t: est.table_weight(t, c.gamma, f), exact)

    return [known("q(s,a) known", c.q), known("A(s,a) known", c.q - c.v.unsqueeze(-1))]


def _bootstrapped(c: _Context, critic: Tensor, lams: Sequence[float]) -> list[Estimator]:
    """Ψ_t = γ^t Σ_l (γλ)^l δ_{t+l}: with v_π itself for λ = 0, and with the critic, which biases all λ < 1."""

    def gae(name: str, lam: float, value: Tensor, unbiased: bool) -> Estimator:  # value [seed, state]
        def weight(t: Trajectory) -> Tensor:
            return est.gae_weight(t, c.gamma, lam, est.at(value, t.obs), est.at(value, t.next_obs))

        exact = variance.gae_moments(c.mdp, c.theta, value, lam)
        return c.estimator(name, "bootstrapped", weight, exact, unbiased)

    with_critic = [gae(_gae_name(lam), lam, critic, unbiased=lam == 1) for lam in lams]
    return [gae("TD, v known", 0.0, c.v, unbiased=True), *with_critic]


def _counter_examples(c: _Context) -> list[Estimator]:
    """Two biased estimators: Ψ_t = G_t without its γ^t, and Ψ_t = γ^t (G_t - q_π(s_t, a_t))."""
    undiscounted = variance.gae_moments(c.mdp, c.theta, keep_discount=False)
    return [
        c.estimator(
            "reward-to-go, γ^t dropped",
            "γ^t dropped",
            lambda t: est.reward_to_go_weight(t, c.gamma, keep_discount=False),
            undiscounted,
            unbiased=False,
        ),
        c.estimator(
            "reward-to-go - q(s,a)",
            "baseline of the action",
            lambda t: est.reward_to_go_weight(t, c.gamma) - est.table_weight(t, c.gamma, c.q),
            unbiased=False,
            mean=torch.zeros_like(c.truth),  # E[G_t - q(s_t, a_t)|s_t, a_t] = 0
        ),
    ]


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
    critic = _critic(mdp, theta, streams, critic_error)
    pilot_path, sample_path = streams.child("pilot").path, streams.child("sample").path
    table, batches, pairs, components = [], [], [], 0
    for seed, one, value in zip(streams.seeds, theta.split(1), critic.split(1), strict=True):
        truth = mdp.gradient(one)
        lines = catalogue(mdp, one, mdp.rollouts(one, Streams([seed], pilot_path), pilot_episodes), value, lams)
        parts = rollouts_in_parts(mdp, one, Streams([seed], sample_path), episodes)
        samples = _columns([line.gradients(part) for line in lines] for part in parts)
        squares = {line.name: _deviation(x).square().sum(-1)[0] for line, x in zip(lines, samples, strict=True)}
        components += sum(int((_deviation(x) != 0).any(1).sum()) for x in samples)
        for line, sample in zip(lines, samples, strict=True):
            table.append({"seed": seed} | _line(line, sample, truth, squares[line.name]))
            batches += [{"seed": seed} | _batch(line, sample, truth, size) for size in batch_sizes]
        pairs += [{"seed": seed} | row for row in _pairs(squares, lams)]
    import pandas as pd  # not before it is needed: tabular worlds import this package

    frame = pd.DataFrame(table).assign(z_threshold=z_threshold(components))
    frame = frame.assign(unbiased=frame.max_z <= frame.z_threshold)
    return Ledger(frame, pd.DataFrame(batches), pd.DataFrame(pairs))


def _critic(mdp: TabularMDP, theta: Tensor, streams: Streams, error: float | Tensor) -> Tensor:
    """v_π plus the error, 0 at terminal states, [seed, state]; a number is the standard deviation of a random error."""
    if not isinstance(error, Tensor):
        noise = Streams(streams.seeds, streams.child("critic error").path, dtype=torch.float64)
        error = error * noise.normal(mdp.states)
    return (mdp.v(theta) + error) * ~mdp.terminal


def _columns(rows: Iterable[list[Tensor]]) -> list[Tensor]:
    """[part][estimator] of [seed, env, parameter] to [estimator] of [seed, episode, parameter]."""
    return [torch.cat(column, 1) for column in zip(*rows, strict=True)]


def _deviation(sample: Tensor) -> Tensor:
    """g_i - mean of every episode i, [seed, episode, parameter]."""
    return sample - sample.mean(1, keepdim=True)


def _gae_name(lam: float) -> str:
    return f"GAE({lam:g})" if lam else "TD"


def _comparisons(lams: Sequence[float]) -> Iterator[tuple[str, str, str]]:
    """Every comparison of two variances as (kind, smaller, larger), by names of estimators."""
    for best, others in CLASSES.items():
        yield from (("least of its class", best, other) for other in others)
    ladder = ("reward-to-go - v(s)", "reward-to-go", "total return")
    along = [_gae_name(lam) for lam in sorted(lams)]
    for smaller, larger in (*itertools.pairwise(ladder), *itertools.pairwise(along)):
        yield "ordering", smaller, larger


def _line(line: Estimator, sample: Tensor, truth: Tensor, square: Tensor) -> dict:
    """A row of `Ledger.table`; `square` [episode] holds ‖g_i - mean‖², whose mean is tr Cov(g)."""
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
        "exact_bias": float((line.mean - truth).norm() / size),
        "max_z": float(z_scores(sample, truth).abs().max()),
        "trace": float(square.sum() / (episodes - 1)),
        "trace_error": float(square.std() / math.sqrt(episodes)),
        "exact_trace": math.nan if exact is None else float(exact.trace),
    }


def _batch(line: Estimator, sample: Tensor, truth: Tensor, size: int) -> dict:
    """A row of `Ledger.batches`."""
    cosine = torch.cosine_similarity(batch_means(sample, size), truth.unsqueeze(1), -1)[0]
    square = batch_errors(sample, truth, size)[0].square()
    root = square.mean().sqrt()
    by_batch = math.sqrt(len(square))
    return {
        "estimator": line.name,
        "family": line.family,
        "batch_size": size,
        "cosine": float(cosine.mean()),
        "cosine_error": float(cosine.std() / by_batch),
        "relative_error": float(root),
        "relative_error_error": float(square.std() / by_batch / (2 * root)),
    }


def _pairs(squares: dict[str, Tensor], lams: Sequence[float]) -> Iterator[dict]:
    """The rows of `Ledger.pairs`, from ‖g_i - mean‖² [episode] of every estimator."""
    for kind, smaller, larger in _comparisons(lams):
        difference = squares[larger] - squares[smaller]
        mean, error = float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))
        bound = mean - 3 * error
        yield {
            "kind": kind,
            "smaller": smaller,
            "larger": larger,
            "difference": mean,
            "difference_error": error,
            "lower_bound": bound,
            "holds": bound > 0,
        }
