"""How sure a few seeds make us: intervals and the interquartile mean. The first axis of `values` is the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Values: TypeAlias = np.float64 | NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and its confidence interval; numbers, or arrays where the values had further axes."""

    estimate: Values
    low: Values
    high: Values


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


def iqm(values: ArrayLike, axis: int | None = 0) -> Values:
    """Interquartile mean: the mean of what remains when a quarter of the values is cut off at either end.

    Agarwal et al. (2021), section 4.3. With n values, ⌊n/4⌋ go at each end. `axis=None` pools all values.
    """
    return stats.trim_mean(np.asarray(values), 0.25, axis=axis)


def _checked(values: ArrayLike, level: float) -> NDArray:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim < 1 or len(x) < 2:
        raise ValueError(f"an interval over seeds needs two seeds or more, got values of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values contain NaN or infinity: say what a missing value means before averaging")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return x
