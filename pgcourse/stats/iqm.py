"""Aggregates of scores over seeds and tasks, with numpy's signature `statistic(x, axis=...)`."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.intervals import Values, as_numbers

Axis: TypeAlias = int | tuple[int, ...] | None


def iqm(values: ArrayLike, axis: Axis = 0) -> Values:
    """Interquartile mean: the mean of what remains when a quarter of the values is cut off at either end.

    Agarwal et al. (2021), section 4.3. With n values, ⌊n/4⌋ go at each end. `axis=None` and tuples of axes pool.

    Raises:
        ValueError: no values, or a NaN among them, which would be cut off as if it were the best; masked values.
    """
    from scipy import stats  # takes a second

    x = _known(values, "interquartile mean")
    if isinstance(axis, tuple):
        x = np.moveaxis(x, axis, range(len(axis)))
        x, axis = x.reshape(-1, *x.shape[len(axis) :]), 0
    return stats.trim_mean(x, 0.25, axis=axis)


def task_median(scores: ArrayLike, axis: tuple[int, int] = (0, 1)) -> Values:
    """Median over tasks of the mean over seeds. `axis` holds the seeds' axis, then that of the tasks.

    What Agarwal et al. (2021) call the median; np.median pools the runs instead.

    Raises:
        ValueError: no scores, or NaN or masked ones among them.
    """
    return np.median(_known(scores, "median").mean(axis[0], keepdims=True), axis)


def optimality_gap(scores: ArrayLike, axis: Axis = None, target: float = 1.0) -> Values:
    """How far runs fall short of a target γ on average: γ - mean min(score, γ).

    Agarwal et al. (2021), section 4.3. What lies above the target makes up for nothing.

    Raises:
        ValueError: no scores, or NaN or masked ones among them.
    """
    return target - np.minimum(_known(scores, "optimality gap"), target).mean(axis)


def _known(values: ArrayLike, what: str) -> NDArray:
    """The values as an array, of which `what` can be taken: there are some, and all are known."""
    x = as_numbers(values)
    if x.size == 0 or np.isnan(x).any():
        raise ValueError(f"no {what} of values with NaN or of none; got {brief(x)}")
    return x


def brief(x: NDArray) -> str:
    """The array in one short line, for messages."""
    return np.array2string(x, threshold=6, edgeitems=2)
