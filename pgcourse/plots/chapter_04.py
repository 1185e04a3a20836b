"""Bias and variance of gradient estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from pgcourse.exact import GradientMoments, Ledger
from pgcourse.plots import style
from pgcourse.stats import mean_interval

FAMILY = {
    "total return": style.BLACK,
    "reward-to-go": style.BLUE,
    "known values": style.GREEN,
    "bootstrapped": style.VERMILION,
    "γ^t dropped": style.PURPLE,
    "baseline of the action": style.ORANGE,
}
BINS = 50  # of a histogram of ratios
SOURCE = {"start": style.BLACK, "actions": style.BLUE, "dynamics": style.ORANGE}


def ledger(found: Ledger) -> list[Axes]:
    """A row for every estimator, noisiest first: measured variance on the left, exact bias on the right; first seed.

    Both are relative to ∇J, so that a variance of 50 says: fifty episodes until the noise is as long as the gradient.
    """
    table = _first_seed(found.table).sort_values("trace", kind="stable")
    variance, rows = table["trace"] / table["gradient_norm"] ** 2, np.arange(len(table))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 1.1 + 0.27 * len(table)), sharey=True, width_ratios=(5, 3))
    colors = [FAMILY[name] for name in table["family"]]
    left.scatter(variance, rows, s=40, color=colors, zorder=3)
    for row, value, color in zip(rows, variance, colors, strict=True):
        left.annotate(
            f"{value:.1f}", (value, row), (7, 0), textcoords="offset points", va="center", fontsize=8, color=color
        )
    left.set(xscale="log", xlim=(variance.min() / 1.4, variance.max() * 2), ylim=(-0.7, len(table) - 0.3))
    left.set_yticks(rows, [style.mathtext(name) for name in table["estimator"]])
    for label, color in zip(left.get_yticklabels(), colors, strict=True):
        label.set_color(color)
    left.set_xlabel(r"variance of one episode, $\mathrm{tr\,Cov}(g)\,/\,\|\nabla J\|^2$")
    right.axvline(0, color=style.GREEN, lw=1)
    right.scatter(table["exact_bias"], rows, s=40, color=colors, zorder=3)
    right.set_xlabel(r"exact bias, $\|\mathbb{E}[g]-\nabla J\|\,/\,\|\nabla J\|$")
    right.set_xlim(-0.08, max(1.1, 1.1 * table["exact_bias"].max()))
    right.annotate("no bias", (0, 1), (-6, 4), ("data", "axes fraction"), "offset points", color=style.GREEN)
    for ax in (left, right):
        ax.grid(axis="y", alpha=0.25)
        ax.tick_params(axis="y", length=0)
    said = f"variance: {table['episodes'].iloc[0]:,} episodes of one policy, the same for all; bias: no sampling"
    figure.supxlabel(said, x=0.99, ha="right", fontsize=8, color=style.GREY)
    return [left, right]


def spread(values: ArrayLike, gap: float) -> NDArray:
    """Ascending values moved as little as possible (least squares) until neighbours are `gap` apart."""
    values = np.asarray(values, dtype=float)
    steps = gap * np.arange(len(values))
    return isotonic_regression(values - steps).x + steps


def error_against_batch_size(found: Ledger, estimators: Sequence[str], ax: Axes | None = None) -> Axes:
    """Error of a batch's mean estimate, for the first seed: dots measured, lines √(‖bias‖² + variance/N).

    The lines are exact; estimators without exact variance have dots alone.
    """
    table = _first_seed(found.table).set_index("estimator").loc[list(estimators)]
    batches = _first_seed(found.batches).set_index("estimator").loc[list(estimators)]
    ax = style.axes(ax, figsize=(7.2, 3.9))
    n = np.geomspace(1, 100 * batches["batch_size"].max(), 200)
    color = _family_colors(table["family"])
    ends = {}
    for name, line in table.iterrows():
        rows = batches.loc[[name]]
        error, width = rows["relative_error"], 1.96 * rows["relative_error_error"]
        ax.errorbar(rows["batch_size"], error, width, fmt="o", color=color[str(name)], ms=4)
        expected = np.sqrt(line["exact_bias"] ** 2 + line["exact_trace"] / line["gradient_norm"] ** 2 / n)
        ax.plot(n, expected, color=color[str(name)], lw=1)
        ends[str(name)] = (n[-1], expected[-1]) if np.isfinite(expected[-1]) else (n[-1], error.iloc[-1])
    ax.set(xscale="log", yscale="log", xlabel="episodes in the batch, $N$")
    ax.set_ylabel(r"$\|\hat g-\nabla J\|\,/\,\|\nabla J\|$, root mean square")
    _name_ends(ax, ends, color)
    style.note(ax, r"dots: measured, 95 % intervals; lines: $\sqrt{\mathrm{bias}^2+\mathrm{variance}/N}$, exact")
    return ax


def _first_seed(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["seed"] == table["seed"].iloc[0]]


def _family_colors(family: pd.Series) -> dict[str, str]:
    """The first of a family has its colour, the others what is left of the cycle."""
    own = {str(name): FAMILY[kind] for name, kind in family.drop_duplicates().items()}
    free = iter([c for c in style.CYCLE if c not in own.values()] * len(family))
    return {str(name): own.get(str(name)) or next(free) for name in family.index}


def _name_ends(ax: Axes, ends: Mapping[str, tuple[float, float]], color: Mapping[str, str]) -> None:
    """Names at the lines' ends on a logarithmic axis, moved apart where they would touch."""
    low, high = np.log(ax.get_ylim())
    ordered = sorted(ends.items(), key=lambda item: item[1][1])
    heights = spread([(np.log(y) - low) / (high - low) for _, (_, y) in ordered], 0.07)
    for (name, (x, _)), height in zip(ordered, heights, strict=True):
        where = (x, np.exp(low + height * (high - low)))
        text = ax.annotate(style.mathtext(name), where, (5, 0), textcoords="offset points", va="center", fontsize=8.5)
        text.set_color(color[name])


def variance_sources(parts: Mapping[str, GradientMoments], ax: Axes | None = None) -> Axes:
    """Where tr Cov of one episode's estimate comes from: a dot for each source, a ring for the sum."""
    ax = style.axes(ax, figsize=(7.6, 1.2 + 0.38 * len(parts)))
    rows = np.arange(len(parts))[::-1]
    total = np.array([part.trace.mean().item() for part in parts.values()])
    least = np.full(len(parts), np.inf)
    for source, color in SOURCE.items():
        values = np.array([getattr(part, source).mean().item() for part in parts.values()])
        least = np.minimum(least, values)
        ax.plot(values, rows, "o", color=color, zorder=3)
        ax.annotate(source, (values[0], rows[0]), (0, 11), textcoords="offset points", ha="center", color=color)
    ax.plot(total, rows, "o", mfc="none", mec=style.GREY, mew=1.4, ms=10)
    ax.hlines(rows, least, total, color=style.GREY, lw=0.7, alpha=0.5, zorder=0)
    for row, width in zip(rows, total, strict=True):
        ax.annotate(
            f"{'sum ' if row == rows[0] else ''}{width:.3g}",
            (width, row),
            (10, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ax.set_yticks(rows, [style.mathtext(name) for name in parts])
    ax.set(xscale="log", xlabel=r"variance of one episode's estimate, $\mathrm{tr\,Cov}(g)$, exact")
    ax.set(xlim=(least.min() / 2, total.max() * 3), ylim=(-0.6, len(parts) - 0.2))
    ax.grid(axis="y", visible=False)
    return ax


def variance_against_baseline(
    baseline: ArrayLike, trace: ArrayLike, marks: Mapping[str, tuple[float, float]], ax: Axes | None = None
) -> Axes:
    """The parabola tr Cov over a constant baseline; `marks` names points (baseline, trace) on it."""
    ax = style.axes(ax, figsize=(6.6, 3.4))
    baseline, trace = np.asarray(baseline, dtype=float), np.asarray(trace, dtype=float)
    ax.plot(baseline, trace, color=style.BLUE, lw=2)
    lowest, step = baseline[trace.argmin()], np.ptp(baseline) / 50
    for name, (x, y) in marks.items():
        side = "center" if abs(x - lowest) < step else "right" if x < lowest else "left"
        shift = {"right": -6, "center": 0, "left": 6}[side]
        ax.plot(x, y, "o", color=style.VERMILION, zorder=3)
        ax.annotate(name, (x, y), (shift, -6), textcoords="offset points", ha=side, va="top", color=style.VERMILION)
    ax.set(xlabel="constant baseline $b$", ylabel=r"$\mathrm{tr\,Cov}(g)$, exact", ylim=(0, None))
    return ax


def variance_ratios(ratios: Mapping[str, ArrayLike]) -> list[Axes]:
    """For each comparison a histogram of variance ratios over many worlds, on one logarithmic axis; 1 is no change."""
    values = {name: np.asarray(ratio, dtype=float) for name, ratio in ratios.items()}
    logs = np.log(np.concatenate([*values.values(), np.ones(1)]))
    width = np.ptp(logs) / BINS or 1.0
    bins = np.exp(width * np.arange(np.floor(logs.min() / width), np.ceil(logs.max() / width) + 1))  # 1 is an edge
    _, grid = plt.subplots(len(values), 1, figsize=(7.2, 0.7 + 1.15 * len(values)), sharex=True, squeeze=False)
    for ax, (name, ratio) in zip(grid[:, 0], values.items(), strict=True):
        ax.hist(ratio, bins.tolist(), color=style.BLUE)
        ax.axvline(1, color=style.VERMILION, lw=1.2)
        ax.set_title(f"{style.mathtext(name)}: less in {(ratio < 1).sum()} of {len(ratio)}", fontsize=9.5)
        ax.set(xscale="log", yticks=[])
        ax.spines["left"].set_visible(False)
        ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(FixedLocator([0.2, 0.3, 0.5, 0.7, 1.0]))
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("ratio of the two variances, exact; one count a random world and policy")
    return list(grid[:, 0])


def critic_fit(
    steps: ArrayLike, explained: ArrayLike, variance: ArrayLike, known: tuple[float, float]
) -> tuple[Axes, Axes]:
    """Explained variance of a critic [seed, step], and the variance of the gradient with it as a baseline.

    `known` holds both numbers of v_π itself, drawn as dashed lines.
    """
    _, axes = plt.subplots(1, 2, figsize=(8.4, 3.2))
    ylabels = ("explained variance, fresh episodes", r"$\mathrm{tr\,Cov}(g)$ with this baseline, exact")
    rows = zip(axes, (explained, variance), known, ylabels, (4, -12), strict=True)
    for ax, values, level, ylabel, shift in rows:
        values = np.asarray(values, dtype=float)
        ax.plot(steps, values.T, color=style.GREEN, lw=0.6, alpha=0.4)
        ax.plot(steps, values.mean(0), color=style.GREEN, lw=2)
        ax.axhline(level, color=style.BLACK, lw=0.9, ls="--")
        ax.annotate(r"$v_\pi$ itself", (0.02, level), (0, shift), ("axes fraction", "data"), "offset points")
        ax.set(xlabel="gradient steps on the critic", ylabel=ylabel)
    axes[1].set_ylim(0, None)
    axes[0].set_ylim(None, 1.25 * known[0])
    style.note(axes[1], f"{len(np.asarray(explained))} seeds, each a thin line; thick: their mean")
    return axes[0], axes[1]


def normalisation(
    angle: Mapping[str, Mapping[int, float]], learned: Mapping[str, Mapping[float, ArrayLike]]
) -> tuple[Axes, Axes]:
    """What dividing by the standard deviation does: to the mean's direction, and to learning at each scale of rewards.

    `angle` maps a policy to degrees between the estimate's mean and ∇J, by batch size; `learned` maps a learner to its
    final expected reward of each seed, by the factor on all rewards.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.5))
    for color, (name, line) in zip(style.CYCLE, angle.items(), strict=False):
        left.plot(list(line), list(line.values()), "o-", color=color, lw=1.5, ms=4, label=name)
    left.set(xscale="log", xlabel="pulls in the batch, $N$", ylim=(0, None))
    left.set_ylabel(r"angle of $\mathbb{E}[\hat g]$ to $\nabla J$ (degrees), exact")
    left.set_xticks(ticks := sorted({n for line in angle.values() for n in line}), list(map(str, ticks)))
    left.xaxis.set_minor_locator(NullLocator())
    left.legend(title="policy", fontsize=8.5, title_fontsize=8.5)
    for color, (name, returns) in zip((style.BLACK, style.VERMILION), learned.items(), strict=True):
        estimate, low, high = mean_interval(np.array(list(returns.values())).T)
        right.errorbar(
            list(returns), estimate, (estimate - low, high - estimate), fmt="o-", color=color, ms=4, label=name
        )
    right.set(xscale="log", xlabel="factor on all rewards", ylabel="expected reward at the end / factor")
    right.legend(fontsize=8.5)
    seeds = {len(np.asarray(x)) for line in learned.values() for x in line.values()}
    style.note(right, f"right: {seeds.pop()} seeds, 95 % intervals")
    return left, right


def paired_differences(differences: Mapping[str, ArrayLike], xlabel: str, ax: Axes | None = None) -> Axes:
    """Differences between two learners that share their seeds: seeds as small dots, mean and 95 % t-interval."""
    ax = style.axes(ax, figsize=(7.6, 0.9 + 0.5 * len(differences)))
    rows = np.arange(len(differences))[::-1]
    for row, values in zip(rows, differences.values(), strict=True):
        mean, low, high = mean_interval(values)
        color = style.GREY if low <= 0 <= high else style.BLUE
        ax.plot(values, np.full(len(np.asarray(values)), row - 0.22), "o", color=color, ms=3, alpha=0.5)
        ax.plot([low, high], [row, row], color=color, lw=2)
        ax.plot(mean, row, "o", color=color)
    ax.axvline(0, color=style.BLACK, lw=0.8, ls="--")
    ax.set_yticks(rows, [style.mathtext(name) for name in differences])
    ax.set(xlabel=xlabel, ylim=(-0.6, len(differences) - 0.4))
    ax.grid(axis="y", visible=False)
    seeds = sorted({len(np.asarray(values)) for values in differences.values()})
    style.note(ax, f"{' or '.join(map(str, seeds))} seeds (small dots), paired; 95 % interval; grey: it contains 0")
    return ax
