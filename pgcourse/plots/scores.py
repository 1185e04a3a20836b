"""Final scores of variants as distributions over runs, and differences between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from pgcourse import stats
from pgcourse.plots import style

AGGREGATES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"mean": np.mean, "IQM": stats.iqm, "median run": np.median}
)


def performance_profile(
    scores: pd.DataFrame,
    rng: np.random.Generator,
    y: str = "mean_return",
    *,
    task: str | None = None,
    thresholds: ArrayLike | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of runs that score above τ, against τ, with 95 % bands: the higher a variant's line, the better.

    `scores` has a row a run: variant, seed, `y`, and the column `task` if it is named. A line crosses one half at its
    median run. Bands are those of `pgcourse.stats.performance_profile`; thresholds not given are 200 over the range of
    all scores.
    """
    matrices = _matrices(scores, y, task)
    color = style.colors(matrices)
    if thresholds is None:
        low, high = min(x.min() for x in matrices.values()), max(x.max() for x in matrices.values())
        margin = 0.02 * (high - low) or 1.0
        thresholds = np.linspace(low - margin, high + margin, 200)
    ax = style.axes(ax)
    for variant, matrix in matrices.items():
        estimate, low, high = stats.performance_profile(matrix, thresholds, rng)
        ax.step(thresholds, estimate, where="post", color=color[variant], lw=2, label=variant)
        ax.fill_between(thresholds, low, high, step="post", color=color[variant], alpha=0.2, lw=0)
    ax.axhline(0.5, color=style.BLACK, lw=0.7, ls="--", zorder=0)
    ax.set(xlabel=f"τ: {_words(y)}", ylabel="share of runs above τ", ylim=(-0.02, 1.02), title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    style.note(ax, f"{_runs(matrices)}; bands: 95 % stratified bootstrap, pointwise")
    return ax


def aggregates(
    scores: pd.DataFrame,
    rng: np.random.Generator,
    y: str = "mean_return",
    *,
    task: str | None = None,
    statistics: Mapping[str, Callable[..., Any]] = AGGREGATES,
) -> list[Axes]:
    """Several aggregates side by side, a row a variant: the estimate and its 95 % stratified bootstrap interval.

    `scores` as in `performance_profile`. `statistics` names functions of [seed, task] scores with an argument `axis`:
    `pgcourse.stats.task_median` is one for several tasks, `pgcourse.stats.optimality_gap` for scores with a target.
    """
    matrices = _matrices(scores, y, task)
    color = style.colors(matrices)
    rows = range(len(matrices))
    size = (2.6 + 1.7 * len(statistics), 1.0 + 0.34 * len(matrices))
    figure, grid = plt.subplots(1, len(statistics), figsize=size, sharey=True, squeeze=False)
    for ax, (name, statistic) in zip(grid.flat, statistics.items(), strict=True):
        for row, (variant, matrix) in zip(rows, matrices.items(), strict=True):
            estimate, low, high = stats.stratified_interval(matrix, rng, statistic)
            ax.plot([low, high], [row, row], color=color[variant], lw=7, alpha=0.45, solid_capstyle="butt")
            ax.plot([estimate], [row], "|", color=style.BLACK, ms=11, mew=1.8)
        ax.set_title(name, fontsize=10)
        ax.xaxis.set_major_locator(plt.MaxNLocator(4))
        ax.tick_params(axis="y", length=0)
    grid[0, 0].set_yticks(rows, list(matrices))
    grid[0, 0].set_ylim(len(matrices) - 0.4, -0.6)
    figure.supxlabel(f"{_words(y)} ({_runs(matrices)}; bars: 95 % stratified bootstrap intervals)", fontsize=9)
    return list(grid.flat)


def differences(pairs: Mapping[str, tuple[ArrayLike, ArrayLike]], xlabel: str, ax: Axes | None = None) -> Axes:
    """Differences of means between independent samples, one value a seed, with Welch's 95 % interval."""
    ax = style.axes(ax, figsize=(7.2, 0.9 + 0.42 * len(pairs)))
    rows = np.arange(len(pairs))[::-1]
    for row, (a, b) in zip(rows, pairs.values(), strict=True):
        difference, low, high = stats.welch_test(a, b).difference
        color = style.GREY if low <= 0 <= high else style.BLUE
        ax.plot([low, high], [row, row], color=color, lw=2)
        ax.plot(difference, row, "o", color=color)
    ax.axvline(0, color=style.BLACK, lw=0.8, ls="--")
    ax.set_yticks(rows, list(pairs))
    ax.set(xlabel=xlabel, ylim=(-0.6, len(pairs) - 0.4))
    ax.grid(axis="y", visible=False)
    seeds = sorted({len(np.asarray(sample)) for pair in pairs.values() for sample in pair})
    style.note(ax, f"{' or '.join(map(str, seeds))} seeds each; Welch's 95 % interval; grey: it contains 0")
    return ax


def _matrices(scores: pd.DataFrame, y: str, task: str | None) -> dict[str, NDArray]:
    """Scores [seed, task] of each variant, in the table's order."""
    if "variant" not in scores:
        scores = scores.assign(variant="")
    return {str(name): stats.score_matrix(rows, y, task) for name, rows in scores.groupby("variant", sort=False)}


def _runs(matrices: Mapping[str, NDArray]) -> str:
    shapes = {x.shape for x in matrices.values()}
    seeds, tasks = {n for n, _ in shapes}, {m for _, m in shapes}
    count = f"{min(seeds)} seeds" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)} seeds"
    return count if tasks == {1} else f"{count} on each of {max(tasks)} tasks"


def _words(column: str) -> str:
    return column.replace("_", " ")
