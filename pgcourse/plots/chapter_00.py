"""Figures of chapter 00: how the choice of seeds changes a conclusion, and what an interval promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pgcourse.plots import style
from pgcourse.plots.learning import on_common_steps, thousands

MOST = 500.0  # what an episode of CartPole can earn


def papers(
    curves: pd.DataFrame,
    choices: Mapping[str, Sequence[int]],
    target: float | None = None,
    label: str = "no baseline",
) -> list[Axes]:
    """One experiment published several times: each panel shows one choice of its seeds, mean ± standard error.

    Every panel also has the mean of all seeds of `curves`. Bands end at what an episode can earn; all panels have the
    colour of `label`, the algorithm that they all show.
    """
    figure, axes = plt.subplots(
        1, len(choices), figsize=(2.6 * len(choices), 3.1), sharex=True, sharey=True, squeeze=False
    )
    color = style.colors([label])[label]
    everyone, everything = on_common_steps(curves, "return")
    for ax, (name, seeds) in zip(axes.flat, choices.items(), strict=True):
        steps, values = on_common_steps(curves[curves["seed"].isin(seeds)], "return")
        mean, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
        ax.plot(steps, values.T, color=color, lw=0.7, alpha=0.6)
        ax.plot(steps, mean, color=color, lw=2.2)
        ax.fill_between(steps, (mean - error).clip(0, MOST), (mean + error).clip(0, MOST), color=color, alpha=0.3, lw=0)
        ax.plot(everyone, everything.mean(0), color=style.VERMILION, lw=1.2)
        ax.set_title(f"{name}: seeds {', '.join(map(str, seeds))}", fontsize=10)
        ax.xaxis.set_major_formatter(thousands)
        if target is not None:
            ax.axhline(target, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    axes[0, 0].set_ylabel("return of an episode")
    figure.supxlabel(
        "environment steps of one seed\n"
        f"grey: three seeds (thin), their mean ± standard error; red: the mean of all {len(everything)} seeds",
        fontsize=9,
    )
    return list(axes.flat)


def spread_of_choices(values: Sequence[float], truth: float, xlabel: str, ax: Axes | None = None) -> Axes:
    """A histogram of what each choice of seeds would have reported, and the mean over all seeds."""
    ax = style.axes(ax, figsize=(7, 2.8))
    ax.hist(values, bins=list(range(0, 501, 20)), color=style.SKY, edgecolor="white")
    ax.axvline(truth, color=style.VERMILION, lw=1.5)
    ax.annotate("all seeds", (truth, 1), (6, -2), ("data", "axes fraction"), "offset points", va="top")
    ax.set(xlabel=f"mean return: {xlabel}", ylabel="choices")
    style.note(ax, f"{len(values)} choices of three seeds")
    return ax


def coverage(mean: ArrayLike, half: Mapping[str, ArrayLike], shown: int = 40) -> list[Axes]:
    """The first `shown` of many experiments whose true mean is 0, as bars mean ± half; those that miss 0 in colour.

    A panel for each kind of interval in `half`. Its title says what share of all experiments miss.
    """
    mean = np.asarray(mean)
    figure, axes = plt.subplots(1, len(half), figsize=(3.75 * len(half), 2.8), sharey=True, squeeze=False)
    for ax, (name, each) in zip(axes.flat, half.items(), strict=True):
        each = np.asarray(each)
        misses = np.abs(mean) > each
        color = np.where(misses[:shown], style.VERMILION, style.GREY)
        ax.vlines(np.arange(shown), (mean - each)[:shown], (mean + each)[:shown], colors=list(color), lw=2)
        ax.axhline(0, color=style.BLACK, lw=0.8)
        ax.set_title(f"{name}: {misses.mean():.1%} miss", fontsize=10)
        ax.set_xticks([])
    axes[0, 0].set_ylim(-6, 6)
    axes[0, 0].set_ylabel("distance from the truth")
    figure.supxlabel(
        f"{shown} of {len(mean):,} experiments with three normal seeds each; red misses the truth", fontsize=9
    )
    return list(axes.flat)
