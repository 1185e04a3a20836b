"""Bootstrap intervals over runs. Scores are [seed, task, ...]: a run is one seed on one task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.intervals import Interval, checked
from pgcourse.stats.iqm import Axis, brief, iqm

BATCH = 2**22  # numbers resampled at a time: 32 MiB


class Improvement(NamedTuple):
    """P(X > Y): averaged over tasks, and task by task."""

    average: Interval
    by_task: Interval


def bootstrap_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    statistic: Callable[..., Any] = np.mean,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """A statistic over seeds with its percentile bootstrap interval: Efron & Tibshirani (1993), section 13.3.

    Seeds are drawn with replacement. The percentile interval is chosen because it stays defined where seeds agree (a
    solved task). `statistic(values, axis=...)` is vectorised, such as `np.mean`, `np.median` or `iqm`.

    Raises:
        ValueError: fewer than two seeds, a value that is NaN or infinite, or a level outside (0, 1).
    """
    from scipy import stats  # takes a second

    x = checked(values, level)
    result = stats.bootstrap(
        (x,),
        statistic,
        axis=0,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=rng,
    )
    return Interval(statistic(x, axis=0), result.confidence_interval.low, result.confidence_interval.high)


def stratified_interval(
    scores: ArrayLike,
    rng: np.random.Generator,
    statistic: Callable[..., Any] = iqm,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """An aggregate over runs with its stratified percentile bootstrap interval: Agarwal et al. (2021), section 4.1.

    Scores are [seed, task, ...], all further axes are kept, a run along them (its learning curve) in one piece. Tasks
    are the strata: in each, as many runs are drawn with replacement as it has; tasks are fixed, so the interval speaks
    of other seeds, not of other tasks. `statistic(x, axis=(0, 1))` is `iqm`, `task_median`, `optimality_gap`, np.mean.

    It is narrow for few seeds: for a mean over n seeds, by the factor √((n-1)/n), as every bootstrap of means is.

    Raises:
        ValueError: no task axis, fewer than two seeds, NaN or infinity, a level outside (0, 1), no resamples.
    """
    x = _checked_scores(scores, level, resamples)
    tasks = np.arange(x.shape[1])[:, None]

    def aggregates_of(count: int) -> NDArray:
        chosen = rng.integers(len(x), size=(*x.shape[:2], count))
        return statistic(x[chosen, tasks], axis=(0, 1))

    return Interval(statistic(x, axis=(0, 1)), *_percentiles(aggregates_of, level, resamples, x.size))


def performance_profile(
    scores: ArrayLike,
    thresholds: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Share of runs that score above each threshold, P(score > τ), with pointwise stratified bootstrap intervals.

    The run-score distribution of Agarwal et al. (2021), section 4.2. Scores are [seed, task]; thresholds and what is
    returned are [τ].

    Raises:
        ValueError: as `stratified_interval`; thresholds that are no list of finite numbers.
    """
    taus = np.asarray(thresholds, dtype=np.float64)
    if taus.ndim != 1 or not taus.size or not np.isfinite(taus).all():
        raise ValueError(f"thresholds are a list of finite numbers, got {brief(taus)}")

    def shares_above(x: NDArray, axis: Axis) -> NDArray:
        return np.stack([(x > tau).mean(axis) for tau in taus], -1)

    return stratified_interval(scores, rng, shares_above, level, resamples)


def probability_of_improvement(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, level: float = 0.95, resamples: int = 10_000
) -> Improvement:
    """How likely a run of X scores higher than a run of Y on the same task, P(X > Y) + P(X = Y)/2.

    Agarwal et al. (2021), section 4.3: Mann & Whitney's U over the number of pairs; stratified percentile bootstrap
    intervals, X and Y resampled independently. `x` and `y` are [seed, task] and may differ in their number of seeds.

    Raises:
        ValueError: as `stratified_interval`; x and y with different numbers of tasks, or with further axes.
    """
    a, b = _checked_scores(x, level, resamples), _checked_scores(y, level, resamples)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"x and y are [seed, task] with the same tasks, got shapes {a.shape} and {b.shape}")
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)  # [seed of x, seed of y, task]

    def shares(seeds: int, count: int) -> NDArray:
        """Share of each run in bootstrap samples, [resample, task, seed]."""
        return rng.multinomial(seeds, np.full(seeds, 1 / seeds), (count, a.shape[1])) / seeds

    def probabilities_of(count: int) -> NDArray:
        """In bootstrap samples: the average over tasks, then each task."""
        by_task = np.einsum("rti,ijt,rtj->rt", shares(len(a), count), wins, shares(len(b), count), optimize=True)
        return np.column_stack([by_task.mean(1), by_task])

    low, high = _percentiles(probabilities_of, level, resamples, a.size + b.size)
    by_task = wins.mean((0, 1))
    return Improvement(Interval(by_task.mean(), low[0], high[0]), Interval(by_task, low[1:], high[1:]))


def _checked_scores(scores: ArrayLike, level: float, resamples: int) -> NDArray:
    x = checked(scores, level)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"scores are [seed, task, ...], got shape {x.shape}; a single task is scores[:, None]")
    check_resamples(resamples)
    return x


def check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be positive, got {resamples}")


def _percentiles(draw: Callable[[int], NDArray], level: float, resamples: int, size: int) -> NDArray:
    """(low, high) of `resamples` statistics, drawn so many at a time that samples of `size` numbers fit into memory."""
    batch = max(1, BATCH // size)
    drawn = [draw(min(batch, resamples - start)) for start in range(0, resamples, batch)]
    return np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
