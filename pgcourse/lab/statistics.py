"""How sure a few seeds make us: aggregates, intervals, tests, and how many seeds a difference needs.

The first axis of `values` is the seed, further axes are kept. `scores` are [seed, task, ...]: a run is one seed on one
task. Statistics are called as numpy calls them, `statistic(x, axis=...)`: np.mean, np.median and those defined here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import comb
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Values: TypeAlias = np.float64 | NDArray[np.float64]
Axis: TypeAlias = int | tuple[int, ...] | None

BATCH = 2**22  # numbers resampled at a time: 32 MiB
MANY_SEEDS = 2**20
TIE = 1e-6  # distances of means that differ by less, in units of the values' span, are equal
QUADRATURE = 128  # nodes a side: power to 1e-4 for two seeds, to 1e-5 for more


class Interval(NamedTuple):
    """An estimate and its confidence interval; numbers, or arrays where the values had further axes."""

    estimate: Values
    low: Values
    high: Values


class Improvement(NamedTuple):
    """P(X > Y): averaged over tasks, and task by task."""

    average: Interval
    by_task: Interval


class Comparison(NamedTuple):
    """A difference of means with its confidence interval, and the p-value of no difference."""

    difference: Interval
    p_value: Values


# Aggregates


def iqm(values: ArrayLike, axis: Axis = 0) -> Values:
    """Interquartile mean: the mean of what remains when a quarter of the values is cut off at either end.

    Agarwal et al. (2021), section 4.3. With n values, ⌊n/4⌋ go at each end. `axis=None` and tuples of axes pool.

    Raises:
        ValueError: no values, or a NaN among them, which would be cut off as if it were the best.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0 or np.isnan(x).any():
        raise ValueError(f"no interquartile mean of values with NaN or of none; got {_brief(x)}")
    if isinstance(axis, tuple):
        x = np.moveaxis(x, axis, range(len(axis)))
        x, axis = x.reshape(-1, *x.shape[len(axis) :]), 0
    return stats.trim_mean(x, 0.25, axis=axis)


def task_median(scores: ArrayLike, axis: tuple[int, int] = (0, 1)) -> Values:
    """Median over tasks of the mean over seeds. `axis` holds the seeds' axis, then that of the tasks.

    What Agarwal et al. (2021) call the median; np.median pools the runs instead.
    """
    return np.median(np.asarray(scores).mean(axis[0], keepdims=True), axis)


def optimality_gap(scores: ArrayLike, axis: Axis = None, target: float = 1.0) -> Values:
    """How far runs fall short of a target γ on average: γ - mean min(score, γ).

    Agarwal et al. (2021), section 4.3. What lies above the target makes up for nothing.
    """
    return target - np.minimum(scores, target).mean(axis)


# Intervals


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval: x̄ ± t_{(1+level)/2, n-1} s/√n.

    Exact for normal values; between seeds, n is the number of seeds, never that of episodes or steps. Values are
    [seed, ...], all further axes are kept.

    Raises:
        ValueError: fewer than two seeds, a value that is NaN or infinite, or a level outside (0, 1).
    """
    x = _checked(values, level)
    n = len(x)
    mean = x.mean(0)
    half = stats.t.ppf((1 + level) / 2, n - 1) * x.std(0, ddof=1) / np.sqrt(n)
    return Interval(mean, mean - half, mean + half)


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
    x = _checked(values, level)
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
        raise ValueError(f"thresholds are a list of finite numbers, got {_brief(taus)}")

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


# Tables


def score_matrix(table: pd.DataFrame, y: str, task: str | None = None) -> NDArray[np.float64]:
    """Scores [seed, task] from a tidy table, a row per seed and task; `task` names the column that tells tasks apart.

    Tasks come in the order of the table, seeds are sorted within each.

    Raises:
        ValueError: a missing column, a seed that occurs twice, tasks with different numbers of seeds.
    """
    tasks = _by_task(table, y, task)
    for name, rows in tasks.items():
        if rows["seed"].duplicated().any():
            seed = rows["seed"][rows["seed"].duplicated()].iloc[0]
            raise ValueError(
                f"seed {seed} has several rows{_on(name)}: choose one variant, and average the episodes of a seed first"
            )
    return np.stack([rows.sort_values("seed")[y] for rows in tasks.values()], 1).astype(np.float64)


def on_common_steps(
    curves: pd.DataFrame, y: str = "return", *, task: str | None = None, steps: ArrayLike | int = 200
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(steps [step], values [seed, task, step]): every seed's learning curve on one axis of steps.

    Seeds report at steps of their own. Between two reports a curve is a straight line; reports without a value (no
    episode ended) are left out; nothing is extrapolated. `steps` is the axis itself, or how many equal steps to divide
    the range in which every run has reports.

    Raises:
        ValueError: a missing column, no common range, given steps outside it, a run that reports twice at one step.
    """
    tasks = {name: _runs(rows, y, name) for name, rows in _by_task(curves, y, task).items()}
    runs = [run for seeds in tasks.values() for run in seeds]
    first, last = max(x[0] for x, _ in runs), min(x[-1] for x, _ in runs)
    if first > last:
        raise ValueError(f"no step at which every run reports: one begins at {first:g}, another ends at {last:g}")
    if isinstance(steps, int | np.integer):
        axis = np.linspace(first, last, int(steps))
    else:
        axis = np.asarray(steps, dtype=np.float64)
    if axis.min() < first or axis.max() > last:
        raise ValueError(
            f"every run has reports from step {first:g} to {last:g}; steps were asked from {axis.min():g} to "
            f"{axis.max():g}, and curves are not extrapolated"
        )
    values = [[np.interp(axis, x, values) for x, values in seeds] for seeds in tasks.values()]
    return axis, np.stack(values, 1)


def sample_efficiency(
    curves: pd.DataFrame,
    rng: np.random.Generator,
    y: str = "return",
    *,
    task: str | None = None,
    steps: ArrayLike | int = 200,
    statistic: Callable[..., Any] = iqm,
    level: float = 0.95,
    resamples: int = 2_000,
) -> pd.DataFrame:
    """An aggregate over runs against environment steps: variant, step, estimate, low, high.

    Pointwise stratified bootstrap intervals (Agarwal et al., 2021), a run's whole curve drawn at once. Curves meet on
    the steps of `on_common_steps`, each variant in its own range. Without a column `variant` there is none.

    Raises:
        ValueError: as `on_common_steps` and `stratified_interval`.
    """

    def aggregate(table: pd.DataFrame) -> pd.DataFrame:
        at, values = on_common_steps(table, y, task=task, steps=steps)
        interval = stratified_interval(values, rng, statistic, level, resamples)
        return pd.DataFrame({"step": at, **interval._asdict()})

    if "variant" not in curves:
        return aggregate(curves)
    variants = {name: aggregate(table) for name, table in curves.groupby("variant", sort=False)}
    return pd.concat(variants, names=["variant"]).reset_index("variant").reset_index(drop=True)


# Tests of a difference


def welch_test(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Comparison:
    """Mean of x minus mean of y over seeds, with Welch's interval and two-sided p-value (Welch, 1947).

    t = (x̄ - ȳ)/√(s²_x/n_x + s²_y/n_y), with Satterthwaite's degrees of freedom. `x` and `y` are [seed, ...], further
    axes are kept; the numbers of seeds may differ.

    Raises:
        ValueError: as `mean_interval`; further axes that differ; values of which neither side varies between seeds.
    """
    a, b = _checked(x, level), _checked(y, level)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"x and y differ in more than their seeds: shapes {a.shape} and {b.shape}")
    if ((np.ptp(a, 0) == 0) & (np.ptp(b, 0) == 0)).any():
        raise ValueError("the seeds agree on both sides: Welch's test needs a spread, permutation_test does not")
    result = stats.ttest_ind(a, b, equal_var=False)
    low, high = result.confidence_interval(level)
    return Comparison(Interval(a.mean(0) - b.mean(0), low, high), result.pvalue)


def permutation_test(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 9_999) -> float:
    """p-value of "x and y come from one distribution": how often relabelled seeds differ as much in their means.

    Fisher (1935), section 21; two-sided, the statistic is |x̄ - ȳ|. Exact, over all ways to split the seeds, where there
    are at most `resamples` of them; else (b + 1)/(m + 1) with b of m random splits (Phipson & Smyth, 2010). `x` and `y`
    are [seed].

    Raises:
        ValueError: fewer than two seeds, further axes, NaN or infinity, no resamples.
    """
    a, b = _checked(x), _checked(y)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"a permutation test compares lists of seeds, got shapes {a.shape} and {b.shape}")
    _check_resamples(resamples)

    def distance(a: NDArray, b: NDArray, axis: int) -> NDArray:
        return np.abs(a.mean(axis) - b.mean(axis))

    result = stats.permutation_test(
        (a, b),
        distance,
        n_resamples=resamples,
        batch=max(1, BATCH // (len(a) + len(b))),
        alternative="greater",
        rng=rng,
    )
    # Splits that tie in exact arithmetic tie here, too: scipy's own tolerance is lost on values far from 0.
    rounding = TIE * np.ptp(np.concatenate([a, b]))
    as_far = int((result.null_distribution >= result.statistic - rounding).sum())
    exact = comb(len(a) + len(b), len(a)) <= resamples
    return (as_far + (not exact)) / (len(result.null_distribution) + (not exact))


# How many seeds


def welch_power(seeds: int, difference: float, sd: float | tuple[float, float], alpha: float = 0.05) -> float:
    """Probability that Welch's two-sided test at level α finds a true difference, with so many seeds on either side.

    For normal values of standard deviations σ₁, σ₂ (`sd`, one number if they are equal) and τ² = (σ₁² + σ₂²)/n,

        power = E[Φ((difference - c)/τ) + Φ((-difference - c)/τ)],    c = t_{1-α/2, ν} √((s₁² + s₂²)/n),

    the mean taken over both sample variances, (n-1) s²/σ² ~ χ²(n-1), on which c and Satterthwaite's ν depend: given
    them, x̄ - ȳ is still normal. Exact, by quadrature; one noncentral t would be so for Student's test only.

    Raises:
        ValueError: fewer than two seeds, a difference that is not finite, an sd that is not positive, α outside (0, 1).
    """
    n = seeds
    if n < 2 or n != int(n):
        raise ValueError(f"seeds is the number of seeds on either side, 2 or more, got {seeds}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
    if np.shape(sd) not in ((), (2,)) or not (np.isfinite(sd) & (np.asarray(sd) > 0)).all():
        raise ValueError(f"sd is a positive number, or one for each side, got {sd}")
    if not np.isfinite(difference):
        raise ValueError(f"difference must be finite, got {difference}")
    first, second = np.broadcast_to(np.square(sd, dtype=np.float64), 2)
    tau = np.sqrt((first + second) / n)
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    ratio = stats.chi2.ppf((1 + nodes) / 2, n - 1) / (n - 1)
    s, t = first * ratio[:, None] / n, second * ratio / n  # s₁²/n and s₂²/n
    df = (n - 1) * (s + t) ** 2 / (s**2 + t**2)
    critical = stats.t.isf(alpha / 2, df) * np.sqrt(s + t)
    power = stats.norm.cdf((difference - critical) / tau) + stats.norm.cdf((-difference - critical) / tau)
    return float(weights @ power @ weights / 4)


def seeds_needed(difference: float, sd: float | tuple[float, float], alpha: float = 0.05, power: float = 0.8) -> int:
    """Fewest seeds on either side with which Welch's test at level α finds a difference with probability `power`.

    Raises:
        ValueError: as `welch_power`; a power outside (α, 1); a difference that needs over a million seeds.
    """
    if not alpha < power < 1:
        raise ValueError(f"power must lie between alpha = {alpha} and 1, got {power}")
    n = 2
    while welch_power(n, difference, sd, alpha) < power:
        n *= 2
        if n > MANY_SEEDS:
            raise ValueError(
                f"a difference of {difference} at sd {sd} needs over a million seeds: ask for a larger one"
            )
    return 2 + bisect_left(range(2, n), power, key=lambda n: welch_power(n, difference, sd, alpha))


def _checked(values: ArrayLike, level: float = 0.95) -> NDArray:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim < 1 or len(x) < 2:
        raise ValueError(f"an interval over seeds needs two seeds or more, got values of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values contain NaN or infinity: say what a missing value means before averaging")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return x


def _checked_scores(scores: ArrayLike, level: float, resamples: int) -> NDArray:
    x = _checked(scores, level)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"scores are [seed, task, ...], got shape {x.shape}; a single task is scores[:, None]")
    _check_resamples(resamples)
    return x


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"resamples must be positive, got {resamples}")


def _percentiles(draw: Callable[[int], NDArray], level: float, resamples: int, size: int) -> NDArray:
    """(low, high) of `resamples` statistics, drawn so many at a time that samples of `size` numbers fit into memory."""
    batch = max(1, BATCH // size)
    drawn = [draw(min(batch, resamples - start)) for start in range(0, resamples, batch)]
    return np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)


def _by_task(table: pd.DataFrame, y: str, task: str | None) -> dict[Any, pd.DataFrame]:
    """The table of each task, in the table's order; each with the same number of seeds."""
    missing = [name for name in ("seed", y, task) if name is not None and name not in table]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}")
    tasks = {None: table} if task is None else dict(iter(table.groupby(task, sort=False)))
    seeds = {name: rows["seed"].nunique() for name, rows in tasks.items()}
    if len(set(seeds.values())) != 1 or not all(seeds.values()):
        raise ValueError(f"every task needs the same number of seeds, got {seeds or 'an empty table'}")
    return tasks


def _runs(rows: pd.DataFrame, y: str, task: Any) -> list[tuple[NDArray, NDArray]]:
    """(steps, values) of every seed's reports, in the order of the seeds."""
    runs = []
    for seed, reports in rows.groupby("seed"):
        reports = reports.dropna(subset=[y]).sort_values("step")
        steps, values = reports["step"].to_numpy(np.float64), reports[y].to_numpy(np.float64)
        if not len(steps):
            raise ValueError(f"seed {seed} has no value of {y!r}{_on(task)}: leave the seed out, or train it longer")
        if (np.diff(steps) == 0).any():
            raise ValueError(f"seed {seed} reports twice at one step{_on(task)}: choose one variant")
        runs.append((steps, values))
    return runs


def _on(task: Any) -> str:
    return "" if task is None else f" on {task}"


def _brief(x: NDArray) -> str:
    return np.array2string(x, threshold=6, edgeitems=2)
