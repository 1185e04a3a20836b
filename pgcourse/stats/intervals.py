"""Student's t confidence intervals of means over seeds.

The first axis of `values` is the seed, further axes are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values: TypeAlias = np.float64 | NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and its confidence interval; numbers, or arrays where the values had further axes."""

    estimate: Values
    low: Values
    high: Values


def student_t(level: float, freedom: Any) -> Any:
    """Quantile of Student's t distribution, t_{level, freedom}; a number, or an array where `freedom` is one."""
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    return stdtrit(freedom, level)


def margin(values: NDArray, level: float = 0.95) -> NDArray:
    """Half the width of Student's t interval of the mean over the first axis: t_{(1+level)/2, n-1} s/√n."""
    n = len(values)
    return student_t((1 + level) / 2, n - 1) * values.std(0, ddof=1) / np.sqrt(n)


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval: x̄ ± t_{(1+level)/2, n-1} s/√n.

    Exact for normal values; between seeds, n is the number of seeds, never that of episodes or steps. Values are
    [seed, ...], all further axes are kept.

    Raises:
        ValueError: fewer than two seeds, a value that is NaN, infinite or masked, or a level outside (0, 1).
    """
    x = checked(values, level)
    mean, half = x.mean(0), margin(x, level)
    return Interval(mean, mean - half, mean + half)


def standard_error(variances: Sequence[Any], sizes: Sequence[int]) -> tuple[Any, Any]:
    """(standard error, degrees of freedom) of a sum or difference of means of independent samples.

    √(Σ s²_i/n_i) (Welch, 1947) and (Σ s²_i/n_i)² / Σ (s²_i/n_i)²/(n_i - 1) (Satterthwaite, 1946). `variances` are s²_i,
    numbers or arrays; of one sample the degrees of freedom are n - 1.
    """
    parts = [variance / n for variance, n in zip(variances, sizes, strict=True)]
    total = sum(parts)
    return np.sqrt(total), total**2 / sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True))


def checked(values: ArrayLike, level: float = 0.95) -> NDArray:
    """The values as an array of float64; raises ValueError as `mean_interval` says."""
    x = as_numbers(values)
    if x.ndim < 1 or len(x) < 2:
        raise ValueError(f"an interval over seeds needs two seeds or more, got values of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values contain NaN or infinity: say what a missing value means before averaging")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return x


def as_numbers(values: ArrayLike) -> NDArray:
    """The values as an array of float64. Raises ValueError where some are masked, which would count here."""
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise ValueError(
            f"{np.ma.count_masked(values)} of the values are masked: say what a missing value means before averaging, "
            "or leave it out with `values.compressed()`"
        )
    return np.asarray(values, dtype=np.float64)
