"""Figures of chapter 11: what few seeds would have said, beside what two hundred say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pgcourse import stats
from pgcourse.plots import style


def conclusions(
    scores: Mapping[str, ArrayLike],
    picks: Sequence[Mapping[str, Sequence[int]]],
    most: float,
    algorithm: str | None = None,
) -> list[Axes]:
    """Papers made from one record: a panel for each choice of seeds, with every seed, mean ± standard error.

    `scores` are [seed] of each algorithm, at most `most`; a pick holds each algorithm's seeds. The title
    names the winner. Where all are one `algorithm` under several names, all have its colour.
    """
    names = list(scores)
    color = style.colors(names) if algorithm is None else dict.fromkeys(names, style.COLORS[algorithm])
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
    """Shares of experiments against the number of seeds: a panel a table, whose index is the seeds, a line a column.

    A column has one colour in all panels.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(2.4 + 3.2 * len(panels), 3.2), sharey=True, squeeze=False)
    color = style.colors(str(name) for table in panels.values() for name in table)
    lines = {}
    for ax, (title, table) in zip(axes.flat, panels.items(), strict=True):
        for name, shares in table.items():
            (lines[name],) = ax.plot(table.index, shares, "o-", ms=4, lw=1.8, color=color[str(name)], label=name)
        if promised is not None:
            ax.axhline(promised, color=style.BLACK, lw=0.9, ls="--")
        ax.set(title=title, xscale="log")
        ax.set_xticks(list(table.index), [str(n) for n in table.index])
        ax.minorticks_off()
        ax.yaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    axes[0, 0].set_ylabel(ylabel)
    axes[0, -1].legend(handles=list(lines.values()), loc="upper left", bbox_to_anchor=(1, 1))
    figure.supxlabel(f"seeds of each algorithm{note}", fontsize=9)
    return list(axes.flat)


def profiles_and_curves(
    scores: pd.DataFrame, curves: pd.DataFrame, rng: np.random.Generator, y: str = "score", task: str = "env"
) -> list[Axes]:
    """What runs over several tasks reach, and how soon: a column an algorithm, the others in grey.

    Above, the performance profile of the final scores: the share of runs above τ. Below, the IQM of all runs against
    `step`, the part of the training that is done. Bands are 95 % stratified bootstrap intervals, pointwise. `scores`
    has a row a run, `curves` a row a report: variant, seed, `task`, `y`.
    """
    taus = np.linspace(scores[y].min() - 0.02, scores[y].max() + 0.02, 150)
    bands: dict[str, list[tuple[ArrayLike, ...]]] = {}
    for name, table in scores.groupby("variant", sort=False):
        matrix = stats.score_matrix(table, y, task)
        learned = stats.sample_efficiency(
            curves[curves["variant"] == name].drop(columns="variant"), rng, y, task=task, steps=60
        )
        profile = (taus, *stats.performance_profile(matrix, taus, rng, resamples=2_000))
        bands[str(name)] = [profile, tuple(learned[each] for each in ("step", "estimate", "low", "high"))]
    color = style.colors(bands)
    figure, axes = plt.subplots(2, len(bands), figsize=(1.2 + 1.7 * len(bands), 4.4), sharex="row", sharey="row")
    for name, column in zip(bands, axes.T, strict=True):
        for row, ax in enumerate(column):
            for other in bands:
                ax.plot(*bands[other][row][:2], color=style.GREY, lw=0.7, alpha=0.6)
            x, estimate, low, high = bands[name][row]
            ax.plot(x, estimate, color=color[name], lw=2)
            ax.fill_between(x, low, high, color=color[name], alpha=0.25, lw=0)
        column[0].set_title(name, fontsize=10)
    middle = len(bands) // 2
    axes[0, 0].set(ylabel="share of runs\nabove τ", ylim=(-0.02, 1.02))
    axes[0, middle].set_xlabel("τ: score of the final policy")
    axes[1, 0].set_ylabel("score in training,\nIQM of all runs")
    axes[1, middle].set_xlabel("part of the training")
    seeds, tasks = stats.score_matrix(table, y, task).shape
    figure.supxlabel(f"{seeds} seeds on each of {tasks} tasks; bands: 95 % stratified bootstrap, pointwise", fontsize=9)
    return list(axes.flat)


def improvements(scores: pd.DataFrame, rng: np.random.Generator, y: str = "score", task: str = "env") -> Axes:
    """For every pair of variants, how likely a run of the first scores higher than one of the second on the same task.

    95 % stratified bootstrap intervals; grey where one half is inside. `scores` as in `profiles_and_curves`. The better
    of each pair stands first.
    """
    matrices = {str(name): stats.score_matrix(table, y, task) for name, table in scores.groupby("variant", sort=False)}
    found: dict[str, tuple[float, float, float]] = {}
    for a, b in combinations(matrices, 2):
        estimate, low, high = map(float, stats.probability_of_improvement(matrices[a], matrices[b], rng).average)
        if estimate >= 0.5:
            found[f"{a} > {b}"] = (estimate, low, high)
        else:
            found[f"{b} > {a}"] = (1 - estimate, 1 - high, 1 - low)
    found = dict(sorted(found.items(), key=lambda item: item[1]))
    ax = style.axes(figsize=(6.8, 0.9 + 0.3 * len(found)))
    for row, (estimate, low, high) in enumerate(found.values()):
        color = style.GREY if low <= 0.5 <= high else style.BLUE
        ax.plot([low, high], [row, row], color=color, lw=2)
        ax.plot(estimate, row, "o", color=color)
    ax.axvline(0.5, color=style.BLACK, lw=0.8, ls="--")
    ax.set_yticks(range(len(found)), list(found))
    ax.set(xlabel="probability that a run of the first scores higher", ylim=(-0.6, len(found) - 0.4))
    ax.grid(axis="y", visible=False)
    seeds, tasks = next(iter(matrices.values())).shape
    style.note(ax, f"{seeds} seeds on each of {tasks} tasks; 95 % stratified bootstrap; grey: one half is inside")
    return ax
