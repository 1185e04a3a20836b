"""Aggregates of scores over seeds and tasks, with numpy's signature `statistic(x, axis=...)`."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.intervals import Values

Axis: TypeAlias = int | tuple[int, ...] | None


def iqm(values: ArrayLike, axis: Axis = 0) -> Values:
    """Interquartile mean: the mean of what remains when a quarter of the values is cut off at either end.

    Agarwal et al. (2021), section 4.3. With n values, ⌊n/4⌋ go at each end. `axis=None` and tuples of axes pool.

    Raises:
        ValueError: no values, or a NaN among them, which would be cut off as if it were the best.
    """
    from scipy import stats  # takes a second

    x = np.asarray(values, dtype=np.float64)
    if x.size == 0 or np.isnan(x).any():
        raise ValueError(f"no interquartile mean of values with NaN or of none; got {brief(x)}")
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


def brief(x: NDArray) -> str:
    """The array in one short line, for messages."""
    return np.array2string(x, threshold=6, edgeitems=2)
