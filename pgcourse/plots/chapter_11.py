"""Figures of chapter 11: what few seeds would have said, beside what two hundred say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pgcourse.plots import style


def conclusions(
    scores: Mapping[str, ArrayLike], picks: Sequence[Mapping[str, Sequence[int]]], most: float
) -> list[Axes]:
    """Papers made from one record: a panel for each choice of seeds, with every seed, mean ± standard error.

    `scores` are [seed] of each algorithm, at most `most`; a pick holds each algorithm's seeds. The title
    names the winner.
    """
    names = list(scores)
    color = style.colors(names)
    figure, axes = plt.subplots(1, len(picks), figsize=(2.7 * len(picks), 3.2), sharey=True, squeeze=False)
    for number, (ax, pick) in enumerate(zip(axes.flat, picks, strict=True), 1):
        means = {}
        for place, name in enumerate(names):
            x = np.asarray(scores[name], dtype=float)[list(pick[name])]
            means[name], error = x.mean(), x.std(ddof=1) / np.sqrt(len(x))
            ends = np.clip([means[name] - error, means[name] + error], None, most)
            ax.plot([place, place], ends, color=color[name], lw=7, alpha=0.35, solid_capstyle="butt")
            ax.plot(np.full(len(x), place), x, "o", ms=3, color=color[name], alpha=0.7)
            ax.plot(place, means[name], "_", ms=16, mew=2.5, color=color[name])
        ax.set_title(f"paper {number}: {max(means, key=lambda name: means[name])} wins", fontsize=10)
        ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("final return")
    seeds = len(next(iter(picks[0].values())))
    figure.supxlabel(f"{seeds} seeds of each (dots), their mean ± standard error", fontsize=9)
    return list(axes.flat)


def every_seed(worlds: Mapping[str, Mapping[str, ArrayLike]]) -> list[Axes]:
    """All seeds of each algorithm as dots beside each other, sorted, with their mean: a panel a world."""
    figure, axes = plt.subplots(1, len(worlds), figsize=(4.2 * len(worlds), 3.2), squeeze=False)
    seeds = 0
    for ax, (world, scores) in zip(axes.flat, worlds.items(), strict=True):
        color = style.colors(scores)
        for place, (name, values) in enumerate(scores.items()):
            x = np.sort(np.asarray(values, dtype=float))
            seeds = len(x)
            ax.plot(place + np.linspace(-0.38, 0.38, len(x)), x, ".", ms=2.5, color=color[name])
            ax.plot([place - 0.42, place + 0.42], [x.mean()] * 2, color=style.BLACK, lw=1.4)
        ax.set_xticks(range(len(scores)), list(scores))
        ax.set_title(world, fontsize=10)
        ax.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("final return of a seed")
    figure.supxlabel(f"{seeds} seeds of each, from worst to best; black: the mean", fontsize=9)
    return list(axes.flat)


def shares_against_seeds(
    panels: Mapping[str, pd.DataFrame], ylabel: str, promised: float | None = None, note: str = ""
) -> list[Axes]:
    """Shares of experiments against the number of seeds: a panel a table, whose index is the seeds, a line a column."""
    figure, axes = plt.subplots(1, len(panels), figsize=(2.4 + 3.2 * len(panels), 3.2), sharey=True, squeeze=False)
    for ax, (title, table) in zip(axes.flat, panels.items(), strict=True):
        for name in table:
            ax.plot(table.index, table[name], "o-", ms=4, lw=1.8, label=name)
        if promised is not None:
            ax.axhline(promised, color=style.BLACK, lw=0.9, ls="--")
        ax.set(title=title, xscale="log")
        ax.set_xticks(list(table.index), [str(n) for n in table.index])
        ax.minorticks_off()
        ax.yaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    axes[0, 0].set_ylabel(ylabel)
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.supxlabel(f"seeds of each algorithm{note}", fontsize=9)
    return list(axes.flat)
