"""Figures of chapter 09b: published numbers beside the seeds of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pgcourse.plots import style


def reported(others: pd.DataFrame, ours: Mapping[str, ArrayLike], metric: str, xlabel: str) -> Axes:
    """Published scores, a row each, and below them ours [seed]: hollow dots are numbers that others report.

    `others` has the columns of `pgcourse.lab.published`; its sources are the name of a library and a place in it. A bar
    is ± the standard deviation that is reported beside a score, over seeds or, dotted, over the episodes of one run; a
    dot of ours is a seed, the stroke their mean. Beside a row stands what kind of score it is, of ours `metric`.
    """
    color = style.colors([*others["algorithm"], *ours])
    count = len(others) + len(ours)
    ax = style.axes(figsize=(9.0, 0.9 + 0.32 * count))
    labels: list[str] = []
    said: list[str] = []
    published: Iterable[Any] = others.itertuples()
    for row, other in enumerate(published):
        if pd.notna(other.spread):
            over_seeds = other.spread_kind == "sd"
            ends = [other.score - other.spread, other.score + other.spread]
            ax.plot(ends, [row, row], color=color[other.algorithm], lw=1.5, ls="-" if over_seeds else ":")
        ax.plot(other.score, row, "o", color=color[other.algorithm], mfc="white", ms=7)
        version, steps = other.environment.rpartition("-")[2], f"{other.env_steps / 1e6:g}M"
        seeds = f"{other.seeds:g} seed{'s' * (other.seeds > 1)}"
        library = other.source.rpartition(" ")[0]
        labels.append(f"{library}: {other.algorithm}, {version}, {steps}, {seeds}")
        said.append(other.metric)
    for row, (name, scores) in enumerate(ours.items(), len(others)):
        scores = np.asarray(scores, float)
        ax.plot(scores, np.full(len(scores), row), "o", color=color[name], ms=5, alpha=0.6, mew=0)
        ax.plot([scores.mean()] * 2, [row - 0.35, row + 0.35], color=color[name], lw=2)
        labels.append(f"here: {name}, {len(scores)} seeds")
        said.append(metric)
    for row, kind in enumerate(said):
        ax.annotate(kind, (1, row), (6, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=8)
    if len(others):
        ax.axhline(len(others) - 0.5, color=style.GREY, lw=0.7)
    ax.set_yticks(range(count), labels, fontsize=9)
    ax.set(xlabel=xlabel, ylim=(count - 0.4, -0.6))
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.locator_params(axis="x", nbins=5)
    ax.grid(axis="y", visible=False)
    return ax
