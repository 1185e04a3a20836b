"""Figures of chapter 00: how the choice of seeds changes a conclusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pgcourse.plots import style
from pgcourse.plots.learning import on_common_steps, thousands


def papers(curves: pd.DataFrame, choices: Mapping[str, Sequence[int]], target: float | None = None) -> list[Axes]:
    """One experiment published several times: each panel shows one choice of its seeds, mean ± standard error."""
    _, axes = plt.subplots(1, len(choices), figsize=(2.6 * len(choices), 2.9), sharex=True, sharey=True, squeeze=False)
    color = style.colors(choices)
    for ax, (name, seeds) in zip(axes.flat, choices.items(), strict=True):
        steps, values = on_common_steps(curves[curves["seed"].isin(seeds)], "return")
        mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
        ax.plot(steps, values.T, color=color[name], lw=0.7, alpha=0.5)
        ax.plot(steps, mean, color=color[name], lw=2)
        ax.fill_between(steps, mean - error, mean + error, color=color[name], alpha=0.2, lw=0)
        ax.set_title(f"{name}: seeds {', '.join(map(str, seeds))}", fontsize=10)
        ax.xaxis.set_major_formatter(thousands)
        if target is not None:
            ax.axhline(target, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    axes[0, 0].set_ylabel("return of an episode")
    axes[0, 0].figure.supxlabel(
        "environment steps of one seed (thin: seeds; thick: their mean; band: ± standard error)", fontsize=9
    )
    return list(axes.flat)


def spread_of_choices(values: Sequence[float], truth: float, xlabel: str, ax: Axes | None = None) -> Axes:
    """A histogram of what each choice of seeds would have reported, and the mean over all seeds."""
    ax = style.axes(ax, figsize=(7, 2.8))
    ax.hist(values, bins=list(range(0, 501, 20)), color=style.SKY, edgecolor="white")
    ax.axvline(truth, color=style.BLACK, lw=1.5)
    ax.annotate("all seeds", (truth, 1), (6, -2), ("data", "axes fraction"), "offset points", va="top")
    ax.set(xlabel=f"mean return: {xlabel}", ylabel="choices")
    style.note(ax, f"{len(values)} choices of three seeds")
    return ax
