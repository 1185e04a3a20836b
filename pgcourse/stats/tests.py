"""Tests of a difference between two samples of seeds."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.bootstrap import BATCH, check_resamples
from pgcourse.stats.intervals import Interval, Values, checked, standard_error, student_t

if TYPE_CHECKING:
    import pandas as pd

TIE = 1e-6  # distances of means that differ by less, in units of the values' span, are equal


class MeanDifference(NamedTuple):
    """A difference of means with its confidence interval, and the p-value of no difference."""

    difference: Interval
    p_value: Values


def welch_test(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> MeanDifference:
    """Mean of x minus mean of y over seeds, with Welch's interval and two-sided p-value (Welch, 1947).

    t = (x̄ - ȳ)/√(s²_x/n_x + s²_y/n_y), with Satterthwaite's degrees of freedom. `x` and `y` are [seed, ...], further
    axes are kept; the numbers of seeds may differ.

    Raises:
        ValueError: as `mean_interval`; further axes that differ; values of which neither side varies between seeds.
    """
    a, b = checked(x, level), checked(y, level)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"x and y differ in more than their seeds: shapes {a.shape} and {b.shape}")
    if ((np.ptp(a, 0) == 0) & (np.ptp(b, 0) == 0)).any():
        raise ValueError("the seeds agree on both sides: Welch's test needs a spread, permutation_test does not")
    error, freedom = standard_error([a.var(0, ddof=1), b.var(0, ddof=1)], [len(a), len(b)])
    return _by_student(a.mean(0) - b.mean(0), error, freedom, level)


def paired_test(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> MeanDifference:
    """Mean of x - y over seeds that both sides share, with Student's paired interval and two-sided p-value.

    t = d̄/(s_d/√n) with n - 1 degrees of freedom, d = x - y (Student, 1908). For learners that start from the same
    policies and differ in one setting: their scores are not independent. `x` and `y` are [seed, ...], further axes are
    kept.

    Raises:
        ValueError: as `mean_interval`; shapes that differ; differences that are the same for every seed.
    """
    a, b = checked(x, level), checked(y, level)
    if a.shape != b.shape:
        raise ValueError(f"x and y are not pairs: shapes {a.shape} and {b.shape}")
    d = a - b
    if (np.ptp(d, 0) == 0).any():
        raise ValueError("all seeds have the same difference: a paired test needs a spread")
    return _by_student(d.mean(0), d.std(0, ddof=1) / np.sqrt(len(d)), len(d) - 1, level)


def _by_student(difference: Values, error: Values, freedom: Any, level: float) -> MeanDifference:
    """Interval and two-sided p-value of a difference whose t = difference/error has Student's distribution."""
    from scipy.special import stdtr  # scipy.stats would take a second to import

    half = student_t((1 + level) / 2, freedom) * error
    p_value = 2 * stdtr(freedom, -np.abs(difference) / error)
    return MeanDifference(Interval(difference, difference - half, difference + half), p_value)


def effects(pairs: Mapping[str, tuple[ArrayLike, ArrayLike]], comparisons: int | None = None) -> pd.DataFrame:
    """What each change does to a score: a row for each of {name: (each seed's score with the change, without it)}.

    Columns are `change`, the mean difference, `low` and `high`, the ends of its 95 % interval (`paired_test`), and
    `verdict`: `clear` where zero is excluded even after Bonferroni's correction for so many `comparisons` (as many as
    there are pairs, unless given), `not clear after correction` where only the plain interval excludes it, and
    `no detectable effect` where even that contains zero.
    """
    import pandas as pd

    rows = {}
    for name, (a, b) in pairs.items():
        (change, low, high), p_value = paired_test(a, b)
        clear = p_value < 0.05 / (comparisons or len(pairs))
        plain = "no detectable effect" if low <= 0 <= high else "not clear after correction"
        rows[name] = (float(change), float(low), float(high), "clear" if clear else plain)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["change", "low", "high", "verdict"])


def permutation_test(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 9_999) -> float:
    """p-value of "x and y come from one distribution": how often relabelled seeds differ as much in their means.

    Fisher (1935), section 21; two-sided, the statistic is |x̄ - ȳ|. Exact, over all ways to split the seeds, where
    there are at most `resamples` of them; else (b + 1)/(m + 1) with b of m random splits (Phipson & Smyth, 2010). `x`
    and `y` are [seed].

    Raises:
        ValueError: fewer than two seeds, further axes, NaN or infinity, no resamples.
    """
    from scipy import stats  # takes a second

    a, b = checked(x), checked(y)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"a permutation test compares lists of seeds, got shapes {a.shape} and {b.shape}")
    check_resamples(resamples)

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


def z_threshold(comparisons: int, sigmas: float = 3.0) -> float:
    """The |z| that the largest of several z-scores exceeds by chance no more often than a single one exceeds `sigmas`.

    z* = Φ⁻¹(1 - α / 2m),    α = 2 Φ(-sigmas)                                              (Bonferroni)
    """
    normal = NormalDist()
    return -normal.inv_cdf(normal.cdf(-sigmas) / comparisons)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values of a family, corrected: Holm (1979). With what is at most α, one error or more has probability α.

    The i-th smallest of m is multiplied by m - i + 1, and is no smaller than the one before. It finds what Bonferroni's
    correction finds, and often more.

    Raises:
        ValueError: no list, or numbers that are not in [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are a list of numbers from 0 to 1, got {p_values!r}")
    order = p.argsort()
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected
