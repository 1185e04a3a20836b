"""What experiments with few seeds would have found, where many seeds are known.

The many seeds are taken for the truth: an experiment draws its seeds from them with replacement, and what it estimates
is the statistic of all of them. So it is known exactly whether an interval covers and whether a winner is the right
one. Every share comes with its standard error over the redrawn experiments, √(p(1 - p)/redraws).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from math import comb, factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.bootstrap import BATCH
from pgcourse.stats.intervals import checked, student_t

STATISTICS = ("mean", "median", "iqm")
METHODS = ("t", "percentile", "bca")


class Share(NamedTuple):
    """A share of experiments, and its standard error."""

    share: float
    error: float


def mean_share(shares: Sequence[Share]) -> Share:
    """The mean of independent shares, and its standard error √(Σ e²)/k."""
    values, errors = zip(*shares, strict=True)
    return Share(float(np.mean(values)), float(np.linalg.norm(errors) / len(errors)))


class Optimism(NamedTuple):
    """Of the settings that the tuning seeds chose: their mean score on those seeds, and on the seeds set aside."""

    on_tuning_seeds: float
    on_other_seeds: float


def order_weights(statistic: str, n: int) -> NDArray[np.float64]:
    """c, with which a statistic of n values is Σ_i c_i x_(i), the x_(i) in ascending order.

    `mean`: 1/n each. `median`: one or both in the middle. `iqm`: 1/(n - 2k) each but for k = ⌊n/4⌋ at either end, which
    have none.

    Raises:
        ValueError: another statistic, or no values.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(STATISTICS)}, got {statistic!r}")
    if n < 1:
        raise ValueError(f"n is a number of values, 1 or more, got {n}")
    cut = {"mean": 0, "median": (n - 1) // 2, "iqm": n // 4}[statistic]
    weights = np.zeros(n)
    weights[cut : n - cut] = 1 / (n - 2 * cut)
    return weights


def coverage(
    population: ArrayLike,
    seeds: int,
    rng: np.random.Generator,
    method: str = "t",
    statistic: str = "mean",
    level: float = 0.95,
    redraws: int = 10_000,
    resamples: int = 1_000,
) -> Share:
    """How often an interval from so few seeds holds the statistic of the whole population.

    Args:
        population: [seed], or [seed, task] for the stratified bootstrap, whose statistic is that of all runs together.
        method: `t`, Student's interval of the mean; `percentile`, the bootstrap's quantiles, with tasks as strata;
            `bca`, bias-corrected and accelerated, Efron (1987). Where all resamples agree, both are that one number.
        statistic: `mean`, `median` or `iqm`.

    Raises:
        ValueError: an unknown method or statistic; Student's interval of another statistic than the mean, or one but
            the percentile bootstrap of several tasks; fewer than two seeds; populations as in `mean_interval`.
    """
    x = checked(population, level)
    tasks = x[:, None] if x.ndim == 1 else x
    _check(method, statistic, tasks, seeds)
    truth = _statistic(tasks.ravel()[None], statistic)[0]
    batch = max(1, BATCH // (seeds * tasks.shape[1] * (1 if method == "t" else resamples)))
    covered = 0
    for start in range(0, redraws, batch):
        count = min(batch, redraws - start)
        chosen = rng.integers(len(tasks), size=(count, seeds, tasks.shape[1]))
        drawn = tasks[chosen, np.arange(tasks.shape[1])]
        low, high = _intervals(drawn, rng, method, statistic, level, resamples)
        rounding = 1e-9 * np.ptp(tasks)
        covered += int(((low <= truth + rounding) & (truth - rounding <= high)).sum())
    return _share(covered / redraws, redraws)


def false_winners(
    a: ArrayLike, b: ArrayLike, seeds: int, rng: np.random.Generator, statistic: str = "mean", redraws: int = 10_000
) -> Share:
    """How often the worse of two populations, by the mean of all, has the higher statistic among so few seeds of each.

    A tie counts one half. Of two equal populations it is one half.

    Raises:
        ValueError: populations as in `mean_interval`; an unknown statistic.
    """
    x, y = checked(a), checked(b)
    better, worse = (x, y) if x.mean() >= y.mean() else (y, x)
    first, second = (_statistic(rng.choice(each, (redraws, seeds)), statistic) for each in (better, worse))
    return _share(float(((second > first) + 0.5 * (second == first)).mean()), redraws)


def right_rankings(
    populations: Mapping[str, ArrayLike],
    seeds: int,
    rng: np.random.Generator,
    statistic: str = "mean",
    redraws: int = 10_000,
) -> Share:
    """How often so few seeds of each rank all populations as the same statistic of the whole populations does.

    Raises:
        ValueError: fewer than two populations; others as `false_winners`.
    """
    if len(populations) < 2:
        raise ValueError(f"a ranking needs two populations, got {len(populations)}")
    all_seeds = [checked(each) for each in populations.values()]
    truth = np.argsort([_statistic(each[None], statistic)[0] for each in all_seeds])
    found = np.stack([_statistic(rng.choice(each, (redraws, seeds)), statistic) for each in all_seeds], 1)
    ordered = np.diff(found[:, truth], axis=1) > 0
    return _share(float(ordered.all(1).mean()), redraws)


def disagreeing(
    populations: Mapping[str, ArrayLike], seeds: int, rng: np.random.Generator, papers: int = 3, tries: int = 10_000
) -> list[dict[str, list[int]]]:
    """The first experiments drawn that have different winners: for each, which seeds of each population it has.

    Experiments are drawn one after the other, each with so many different seeds of every population; one is kept if its
    winner, by the mean, is that of no experiment kept before.

    Raises:
        ValueError: after so many tries there are not as many winners; populations with fewer seeds.
    """
    all_seeds = {name: checked(each) for name, each in populations.items()}
    found: dict[str, dict[str, list[int]]] = {}
    for _ in range(tries):
        drawn = {name: rng.choice(len(each), seeds, replace=False).tolist() for name, each in all_seeds.items()}
        winner = max(drawn, key=lambda name: all_seeds[name][drawn[name]].mean())
        found.setdefault(winner, drawn)
        if len(found) == papers:
            return list(found.values())
    raise ValueError(
        f"{tries:,} experiments had only {len(found)} winners, {', '.join(found)}; {papers} were asked for"
    )


def tuning_optimism(scores: ArrayLike, tuning: int) -> Optimism:
    """What is reported where the settings with the best mean on the tuning seeds are judged by those seeds again.

    Beside it, what the same settings reach on all other seeds. Both are means over every way to choose the tuning
    seeds. `scores` are [seed, setting].

    Raises:
        ValueError: no second axis; not at least one seed on either side.
    """
    x = checked(scores)
    if x.ndim != 2:
        raise ValueError(f"scores are [seed, setting], got shape {x.shape}")
    if not 1 <= tuning < len(x):
        raise ValueError(f"tuning is a number of seeds from 1 to {len(x) - 1}, got {tuning}")
    reported, fresh = [], []
    for chosen in combinations(range(len(x)), tuning):
        mask = np.isin(np.arange(len(x)), chosen)
        best = x[mask].mean(0).argmax()
        reported.append(x[mask, best].mean())
        fresh.append(x[~mask, best].mean())
    return Optimism(float(np.mean(reported)), float(np.mean(fresh)))


def _share(share: float, redraws: int) -> Share:
    return Share(share, float(np.sqrt(share * (1 - share) / redraws)))


def _check(method: str, statistic: str, tasks: NDArray, seeds: int) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "t" and statistic != "mean":
        raise ValueError(f"Student's interval is one of the mean, not of the {statistic}; take percentile or bca")
    if method != "percentile" and tasks.shape[1] > 1:
        raise ValueError(f"several tasks have the stratified percentile bootstrap only, not {method!r}")
    if seeds < 2:
        raise ValueError(f"an interval over seeds needs two seeds or more, got {seeds}")


def _statistic(x: NDArray, statistic: str) -> NDArray:
    """Of [..., value]."""
    if statistic == "mean":
        return x.mean(-1)
    result: NDArray = np.sort(x, -1) @ order_weights(statistic, x.shape[-1])
    return result


def _intervals(
    x: NDArray, rng: np.random.Generator, method: str, statistic: str, level: float, resamples: int
) -> tuple[NDArray, NDArray]:
    """(low, high) of each experiment [experiment, seed, task]."""
    n = x.shape[1]
    if method == "t":
        half = student_t((1 + level) / 2, n - 1) * x[..., 0].std(1, ddof=1) / np.sqrt(n)
        return x[..., 0].mean(1) - half, x[..., 0].mean(1) + half
    tails = (1 - level) / 2, (1 + level) / 2
    if x.shape[2] > 1:
        chosen = rng.integers(n, size=(resamples, n, x.shape[2]))
        pooled = x[:, chosen, np.arange(x.shape[2])].reshape(len(x), resamples, -1)
        low, high = np.quantile(_statistic(pooled, statistic), tails, axis=1)
        return low, high
    ordered = np.sort(x[..., 0], 1)
    weights, chances = _resampled_weights(n, rng, statistic, resamples)
    found = ordered @ weights.T
    if (chances == chances[0]).all():
        found.sort(1)
        upto = chances.cumsum()  # the same for all experiments
    else:
        places = found.argsort(1)
        found, upto = np.take_along_axis(found, places, 1), chances[places].cumsum(1)
    if method == "percentile":
        return _quantile(found, upto, np.full(len(x), tails[0])), _quantile(found, upto, np.full(len(x), tails[1]))
    return _bca(ordered, found, upto, statistic, tails)


def _quantile(found: NDArray, upto: NDArray, alpha: NDArray) -> NDArray:
    """The smallest of each experiment's ordered values up to which α of the probability lies."""
    alpha = alpha - 1e-9
    place = np.searchsorted(upto, alpha) if upto.ndim == 1 else (upto < alpha[:, None]).sum(1)
    return np.take_along_axis(found, place.clip(max=found.shape[1] - 1)[:, None], 1)[:, 0]


def _resampled_weights(
    n: int, rng: np.random.Generator, statistic: str, resamples: int
) -> tuple[NDArray, NDArray[np.float64]]:
    """([resample, n], [resample]): the statistic of bootstrap samples as weights of the original's values in ascending
    order, and the samples' probabilities.

    A sample that holds x_(i) w_i times gives x_(i) the weights of positions w_1 + … + w_(i-1) + 1 to w_1 + … + w_i. All
    experiments share the resamples, which makes them one matrix product. Where there are no more than `resamples`
    different ones, they are all there: of three seeds a random selection would be off by percents.
    """
    if comb(2 * n - 1, n) <= resamples:
        counts = np.array([np.bincount(each, minlength=n) for each in combinations_with_replacement(range(n), n)])
        chances = np.array([factorial(n) / prod(map(factorial, each)) / n**n for each in counts.tolist()])
    else:
        counts = rng.multinomial(n, np.full(n, 1 / n), resamples)
        chances = np.full(resamples, 1 / resamples)
    upto = np.concatenate([[0.0], order_weights(statistic, n).cumsum()])
    return np.diff(upto[counts.cumsum(1)], axis=1, prepend=0.0), chances


def _bca(
    ordered: NDArray, found: NDArray, upto: NDArray, statistic: str, tails: tuple[float, float]
) -> tuple[NDArray, NDArray]:
    """Efron (1987), as scipy.stats.bootstrap has it: ẑ₀ counts ties one half, â is from the jackknife."""
    from scipy.special import ndtr, ndtri  # scipy.stats would take a second

    n = ordered.shape[1]
    estimate, rounding = (ordered @ order_weights(statistic, n))[:, None], 1e-9 * np.ptp(ordered, 1, keepdims=True)
    chance = np.broadcast_to(np.concatenate([np.zeros_like(upto[..., :1]), upto], -1), (len(found), found.shape[1] + 1))
    # Of three seeds, two resamples in nine are the sample itself: whether they tie is not for rounding to decide.
    counts = [(found < estimate - rounding).sum(1), (found <= estimate + rounding).sum(1)]
    below = sum(np.take_along_axis(chance, count[:, None], 1)[:, 0] for count in counts) / 2
    left_out = ordered @ np.stack([np.insert(order_weights(statistic, n - 1), i, 0.0) for i in range(n)]).T
    away = left_out.mean(1, keepdims=True) - left_out
    spread = (away**2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = np.where(spread > 0, (away**3).sum(1) / (6 * spread**1.5), 0.0)
        bias = ndtri(below)
        ends = []
        for tail in tails:
            z = bias + ndtri(tail)
            ends.append(ndtr(bias + z / (1 - acceleration * z)))
    low, high = (_quantile(found, upto, np.clip(np.nan_to_num(end, nan=0.5), 0, 1)) for end in ends)
    return low, high
