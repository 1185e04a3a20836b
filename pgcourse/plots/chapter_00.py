"""Figures of chapter 00: how the choice of seeds changes a conclusion, and what an interval promises."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from pgcourse.plots import style
from pgcourse.plots.explorable import FAINT, MINUS, Boxes, Dot, Explorable, Mark, Number, Panel, Segment
from pgcourse.plots.learning import on_common_steps, thousands
from pgcourse.stats import mean_interval

MOST = 500.0  # what an episode of CartPole can earn
NONE = "no seed is ticked"


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
        f"grey: three seeds (thin), their mean ± standard error; orange: the mean of all {len(everything)} seeds",
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
        f"{shown} of {len(mean):,} experiments with three normal seeds each; orange misses the truth", fontsize=9
    )
    return list(axes.flat)


def explore_seeds(
    scores: Mapping[str, Sequence[float]], most: float = MOST, picked: Sequence[int] = (0, 1, 2)
) -> Explorable:
    """Two variants, judged by the seeds that the reader ticks: mean, 95 % interval, and how rare such a choice is.

    `scores` maps a variant to its seeds' mean returns [seed], at most `most`; the same seeds are taken of both. The
    rank of the difference is among all choices of as many seeds, 1 the largest.

    Raises:
        ValueError: not two variants with as many seeds each, or more seeds than a page can hold the choices of.
    """
    names, values = list(scores), [np.asarray(each, dtype=float) for each in scores.values()]
    if len(values) != 2 or values[0].shape != values[1].shape:
        raise ValueError(f"two variants with the same seeds are compared, got {[each.shape for each in values]}")
    seeds = len(values[0])
    if seeds > 10:
        raise ValueError(f"at most 10 seeds, which are 1024 choices, got {seeds}")
    grid = (2,) * seeds
    means = np.full((2, *grid), np.nan)
    low, high = means.copy(), means.copy()
    difference, rank = (np.full(grid, NONE, dtype=object) for _ in range(2))
    for k in range(1, seeds + 1):
        choices = np.array(list(itertools.combinations(range(seeds), k)))
        at = tuple((choices[:, :, None] == np.arange(seeds)).any(1).T.astype(int))  # [seed][choice], ticked or not
        for variant, each in enumerate(values):
            samples = each[choices].T  # [ticked, choice]
            means[variant][at] = samples.mean(0)
            if k > 1:
                _, low[variant][at], high[variant][at] = mean_interval(samples)
        apart = np.round(means[0][at] - means[1][at], 6)  # equal differences share a rank
        above = (apart[None] > apart[:, None]).sum(1)
        rank[at] = [f"{1 + n} of {len(choices)}" for n in above]
        difference[at] = [f"{each:.0f}".replace("-", MINUS) for each in apart]
    panels, numbers = [], []
    for variant, (name, each) in enumerate(zip(names, values, strict=True)):
        color = style.COLORS.get(name, style.BLUE)
        mean, ends = means[variant], (low[variant].clip(0, most), high[variant].clip(0, most))
        shown = (~np.isnan(mean)).astype(float)
        band = 0.3 * ~np.isnan(ends[0])
        middle = np.nan_to_num(mean)
        left, right, half = np.nan_to_num(ends[0]), np.nan_to_num(ends[1]), (seeds - 1) / 2
        marks: list[Mark] = [
            Segment(left, half, right, half, color, "95 % interval", 168, opacity=band),
            Segment(each.mean(), -0.5, each.mean(), seeds - 0.5, label="mean of all", dashed=True),
            Segment(middle, -0.5, middle, seeds - 0.5, color, "mean of ticked", 3, opacity=shown),
        ]
        for seed, score in enumerate(each):
            axes = [1] * seeds
            axes[seed] = 2
            marks.append(Dot(score, seed, color, opacity=np.array([FAINT, 1.0]).reshape(axes)))
        ticks = {float(seed): str(seed) for seed in range(seeds)}
        panels.append(
            Panel(name, marks, (0, most), (seeds - 0.5, -0.5), "mean return after training", "seed", yticks=ticks)
        )
        numbers.append(Number(name, _with_interval(mean, low[variant], high[variant])))
    numbers.append(Number(f"{names[0]} minus {names[1]}", difference))
    numbers.append(Number("rank of the difference among all choices of as many seeds", rank))
    return Explorable(
        f"Mean returns of {seeds} seeds of {names[0]} and of {names[1]}, with a box to tick for each seed. Ticked "
        "seeds decide the means and their intervals.",
        [Boxes("seeds", [str(seed) for seed in range(seeds)], picked)],
        panels,
        numbers,
    )


def _with_interval(mean: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """ "431 (95 % interval 133 to 500)" for each choice; an interval may end where no return can be."""
    words = np.full(mean.shape, NONE, dtype=object)
    for at in zip(*np.nonzero(~np.isnan(mean)), strict=True):
        words[at] = f"{mean[at]:.0f}"
        if not np.isnan(low[at]):
            words[at] += f" (95 % interval {low[at]:.0f} to {high[at]:.0f})".replace("-", MINUS)
    return words
