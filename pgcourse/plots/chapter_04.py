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


def ledger(found: Ledger, ax: Axes | None = None) -> Axes:
    """Every estimator in the plane of |z| against the exact gradient (across) and variance (up), for the first seed.

    What lies in the shaded part is as far from ∇J as chance alone would put it.
    """
    table = _first_seed(found.table).sort_values("trace")
    threshold, episodes = table["z_threshold"].iloc[0], table["episodes"].iloc[0]
    low, high = 0.4 * table["max_z"].min(), 2.5 * table["max_z"].max()
    ax = style.axes(ax, figsize=(9.0, 5.2))
    ax.set(
        xscale="log", yscale="log", xlim=(low / 60, high * 30), xlabel="largest |z| of a component's mean against ∇J"
    )
    ax.set_ylim(table["trace"].min() / 1.5, table["trace"].max() * 1.5)
    ax.set_ylabel("variance of one episode's estimate, tr Cov(g)")
    ax.axvspan(low / 60, threshold, color=style.GREEN, alpha=0.08, lw=0)
    ax.axvline(threshold, color=style.GREEN, lw=1)
    ax.scatter(table["max_z"], table["trace"], s=34, color=[FAMILY[name] for name in table["family"]], zorder=3)
    inside = table["max_z"] <= threshold
    _name_points(ax, table[inside], low, "right")
    _name_points(ax, table[~inside], high, "left")
    for factor, side, text in ((1 / 1.15, "right", "as chance allows"), (1.15, "left", "biased")):
        where = (threshold * factor, 1)
        ax.annotate(text, where, (0, 5), ("data", "axes fraction"), "offset points", ha=side, color=style.GREEN)
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])
    ax.set_xticks([], minor=True)
    ax.grid(False)
    style.note(ax, f"{episodes:,} episodes of one policy, the same for all; threshold by Bonferroni")
    return ax


def _name_points(ax: Axes, table: pd.DataFrame, at: float, side: str) -> None:
    """Names in a column at the abscissa `at`, on the left or right of it, with a thin line to each point."""
    low, high = np.log(ax.get_ylim())
    heights = np.exp(low + (high - low) * spread((np.log(table["trace"]) - low) / (high - low), 0.058))
    for (_, row), y in zip(table.iterrows(), heights, strict=True):
        color = FAMILY[row["family"]]
        ax.plot([at, row["max_z"]], [y, row["trace"]], color=color, lw=0.5, alpha=0.6)
        ax.text(at, y, f" {row['estimator']} ", ha=side, va="center", fontsize=8.5, color=color)


def spread(values: ArrayLike, gap: float) -> NDArray:
    """Ascending values moved as little as possible (least squares) until neighbours are `gap` apart."""
    values = np.asarray(values, dtype=float)
    steps = gap * np.arange(len(values))
    return isotonic_regression(values - steps).x + steps


def error_against_batch_size(found: Ledger, estimators: Sequence[str]) -> tuple[Axes, Axes]:
    """Cosine and error of a batch's mean estimate, for the first seed: dots measured, lines √(‖bias‖² + variance/N).

    The lines are exact; estimators without exact values have dots alone.
    """
    table = _first_seed(found.table).set_index("estimator").loc[list(estimators)]
    batches = _first_seed(found.batches).set_index("estimator").loc[list(estimators)]
    _, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.9), width_ratios=(1, 1.2))
    n = np.geomspace(1, 100 * batches["batch_size"].max(), 200)
    color = _family_colors(table["family"])
    ends = {}
    for name, line in table.iterrows():
        rows, look = batches.loc[[name]], {"color": color[str(name)], "ms": 4}
        left.errorbar(rows["batch_size"], rows["cosine"], 2 * rows["cosine_error"], fmt="o-", lw=1, **look)
        error, width = rows["relative_error"], 2 * rows["relative_error_error"]
        right.errorbar(rows["batch_size"], error, width, fmt="o", **look)
        expected = np.sqrt(line["exact_bias"] ** 2 + line["exact_trace"] / line["gradient_norm"] ** 2 / n)
        right.plot(n, expected, color=look["color"], lw=1)
        ends[str(name)] = (n[-1], expected[-1]) if np.isfinite(expected[-1]) else (n[-1], error.iloc[-1])
    right.set(xscale="log", yscale="log", xlabel="episodes in the batch, N", ylabel="‖ĝ - ∇J‖ / ‖∇J‖, root mean square")
    left.set(xscale="log", xlabel="episodes in the batch, N", ylabel="mean cosine of ĝ and ∇J")
    _name_ends(right, ends, color)
    style.note(right, "dots: measured, ±2 standard errors; lines: √(bias² + variance/N), exact")
    return left, right


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
        ax.annotate(name, where, (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=color[name])


def variance_sources(parts: Mapping[str, GradientMoments], ax: Axes | None = None) -> Axes:
    """Where tr Cov of one episode's estimate comes from: a dot for each source, a bar for the sum; means over seeds."""
    ax = style.axes(ax, figsize=(7.6, 1.2 + 0.38 * len(parts)))
    rows = np.arange(len(parts))[::-1]
    total = np.array([part.trace.mean().item() for part in parts.values()])
    ax.barh(rows, total, height=0.62, color=style.GREY, alpha=0.2, lw=0)
    for source, color in SOURCE.items():
        values = [getattr(part, source).mean().item() for part in parts.values()]
        ax.plot(values, rows, "o", color=color)
        ax.annotate(source, (values[0], rows[0]), (0, 11), textcoords="offset points", ha="center", color=color)
    for row, width in zip(rows, total, strict=True):
        ax.annotate(f"{width:.3g}", (width, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(rows, list(parts))
    ax.set(xscale="log", xlabel="variance of one episode's estimate, tr Cov(g)", ylim=(-0.6, len(parts) - 0.2))
    ax.grid(axis="y", visible=False)
    style.note(ax, "exact; dots: parts, on a logarithmic axis; bar and number: their sum")
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
    ax.set(xlabel="constant baseline b", ylabel="tr Cov(g), exact", ylim=(0, None))
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
        ax.set_title(f"{name}: less in {(ratio < 1).sum()} of {len(ratio)}", fontsize=9.5)
        ax.set(xscale="log", yticks=[])
        ax.spines["left"].set_visible(False)
        ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(FixedLocator([0.2, 0.3, 0.5, 0.7, 1.0]))
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("ratio of the two variances, exact; one count a random world and policy")
    return list(grid[:, 0])
