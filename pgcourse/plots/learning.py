"""Learning curves as distributions over seeds."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pgcourse.plots import style
from pgcourse.stats import tables
from pgcourse.stats.intervals import margin

GRID = 200  # points of the common step axis


def learning_curves(
    curves: pd.DataFrame | Mapping[str, pd.DataFrame],
    y: str = "return",
    *,
    target: float | None = None,
    label: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Every seed as a thin line, their mean with its 95 % t-interval; one colour a variant.

    `curves` has the columns seed, step and `y`, and may have a column `variant`; or it maps names to such tables. Seeds
    report at steps of their own, so each is interpolated on a common axis; the mean ends where the first seed ends.
    `target` draws a dashed line.

    Raises:
        ValueError: a variant in several environments, or one whose seeds have no steps in common; a missing column.
    """
    if isinstance(curves, Mapping):
        curves = pd.concat([table.assign(variant=name) for name, table in curves.items()])
    if "variant" not in curves:
        curves = curves.assign(variant=label or "")
    ax = style.axes(ax)
    color = style.colors(curves["variant"])
    ends = {}
    for variant in color:
        table = curves[curves["variant"] == variant]
        steps, values = on_common_steps(table, y)
        for seed in values:
            ax.plot(steps, seed, color=color[variant], lw=0.6, alpha=0.3)
        mean, low, high = band(values)
        ax.plot(steps, mean, color=color[variant], lw=2)
        ax.fill_between(steps, low, high, color=color[variant], alpha=0.2, lw=0)
        ends[variant] = (steps[-1], mean[-1])
    _label_ends(ax, ends, color, target)
    if target is not None:
        ax.axhline(target, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    ax.set(xlabel="environment steps of one seed", ylabel=_NAMES.get(y, y), title=title)
    ax.xaxis.set_major_formatter(thousands)
    style.note(ax, f"{_seed_count(curves)}; {BAND}")
    return ax


def learning_curve_grid(
    curves: pd.DataFrame, columns: int, y: str = "return", *, target: float | None = None, algorithm: str | None = None
) -> list[Axes]:
    """Small multiples on common axes, one a variant in the table's order, filled row by row; otherwise as above.

    A variant that has a colour of its own in the course, or begins with an algorithm's name, has that colour. All
    others have that of `algorithm`, if it is given.
    """
    variants = list(dict.fromkeys(curves["variant"]))
    rows = -(-len(variants) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(7.5, 0.6 + 1.55 * rows), sharex=True, sharey=True, squeeze=False
    )
    for ax, variant in zip(grid.flat, variants, strict=False):
        table = curves[curves["variant"] == variant]
        steps, values = on_common_steps(table, y)
        color = style.color_of(variant, style.COLORS[algorithm] if algorithm else style.BLUE)
        ax.plot(steps, values.T, color=color, lw=0.5, alpha=0.35)
        mean, low, high = band(values)
        ax.plot(steps, mean, color=color, lw=1.8)
        ax.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
        ax.set_title(style.mathtext(variant), fontsize=9)
        ax.xaxis.set_major_formatter(thousands)
        if target is not None:
            ax.axhline(target, color=style.BLACK, lw=0.7, ls="--", zorder=0)
    for number in range(len(variants), grid.size):
        grid.flat[number].set_axis_off()
        grid.flat[number - columns].tick_params(labelbottom=True)
    figure.supxlabel(f"environment steps of one seed ({_seed_count(curves)}; {BAND})", fontsize=9)
    figure.supylabel(_NAMES.get(y, y), fontsize=9)
    return list(grid.flat)[: len(variants)]


def metric_curves(
    curves: pd.DataFrame,
    metrics: Mapping[str, str],
    xlabel: str = "environment steps of one seed",
    *,
    columns: int = 3,
    smooth: int = 1,
) -> list[Axes]:
    """Metrics over training, a panel each with a line a variant: seeds thin, their mean thick.

    `curves` has the columns variant, seed, step and the metrics, which map to titles. `smooth` is over how many reports
    a seed's running mean goes.
    """
    color, columns = style.colors(curves["variant"]), min(columns, len(metrics))
    rows = -(-len(metrics) // columns)
    size = (3.1 * columns + 0.4, 0.7 + 2.4 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, sharex=True, squeeze=False)
    for ax, (metric, title) in zip(grid.flat, metrics.items(), strict=False):
        for name, shade in color.items():
            table = curves[curves["variant"] == name].pivot(index="step", columns="seed", values=metric)
            seeds_and_mean(ax, table.rolling(smooth, min_periods=1).mean(), shade, style.mathtext(name))
        ax.set_title(title, fontsize=10)
        ax.xaxis.set_major_formatter(thousands)
        ax.margins(y=0.12)
    for ax in grid.flat[len(metrics) :]:
        ax.set_axis_off()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), fontsize=9)
    running = f"; running means of {smooth} reports" if smooth > 1 else ""
    figure.supxlabel(f"{xlabel} ({lines_of(curves['seed'].nunique())}{running})", fontsize=9)
    return list(grid.flat)[: len(metrics)]


def seeds_and_mean(ax: Axes, table: pd.DataFrame, color: str, label: str | None) -> None:
    """A thin line for each column, a seed, against the index, and a thick one for their mean; of one seed, one line."""
    if table.shape[1] > 1:
        ax.plot(table.index, table.to_numpy(), color=color, lw=0.6, alpha=0.4)
    ax.plot(table.index, table.mean(axis=1), color=color, lw=2, label=label)


def lines_of(seeds: int) -> str:
    """What the lines of `seeds_and_mean` are, in words."""
    return f"thin: {seeds} seeds; thick: their mean" if seeds > 1 else "one seed"


def on_common_steps(table: pd.DataFrame, y: str) -> tuple[NDArray, NDArray]:
    """(steps [grid], values [seed, grid]) of one variant's seeds: see `pgcourse.stats.on_common_steps`.

    Raises:
        ValueError: as there; several environments.
    """
    if "env" in table and len(envs := table["env"].unique()) > 1:
        raise ValueError(f"one curve for {', '.join(map(str, envs))}: choose one, results.on({envs[0]!r}).curves")
    steps, values = tables.on_common_steps(table, y, steps=GRID)
    return steps, values[:, 0]


def t_interval(values: NDArray, level: float = 0.95) -> tuple[NDArray, NDArray]:
    """Mean over the first axis (seeds) and the half-width of its t-interval; no width for a single seed."""
    return values.mean(0), margin(values, level) if len(values) > 1 else np.zeros(values.shape[1:])


def band(values: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Mean over the first axis (seeds) and the ends of its t-interval, cut to the range of all values seen.

    A mean cannot leave the range of what is possible, an interval made for normal values can.
    """
    mean, half = t_interval(values)
    return mean, np.maximum(mean - half, values.min()), np.minimum(mean + half, values.max())


BAND = "thick: mean over seeds; band: its 95 % t-interval"

_NAMES = {"return": "return of an episode", "length": "length of an episode (steps)", "entropy": "entropy (nats)"}


def thousands(x: float, _: float) -> str:
    """A tick label: 25k for 25,000; 200 as it is."""
    return f"{x / 1000:g}k" if abs(x) >= 1000 else f"{x:g}"


def _seed_count(curves: pd.DataFrame) -> str:
    seeds = curves.groupby("variant")["seed"].nunique()
    return f"{seeds.min()} seeds" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()} seeds"


def _label_ends(
    ax: Axes, ends: Mapping[str, tuple[float, float]], color: Mapping[str, str], target: float | None = None
) -> None:
    """Names at the lines' ends, moved apart where they would touch one another or the line of the target."""
    low, high = ax.get_ylim()
    gap = 0.055 * (high - low)
    y = -np.inf
    for name, (x, value) in sorted(ends.items(), key=lambda item: item[1][1]):
        y = max(value, y + gap)
        if target is not None and abs(y - target) < 0.8 * gap:
            y = target + 0.8 * gap
        ax.annotate(
            name, (x, y), (6, 0), textcoords="offset points", va="center", color=color[name], annotation_clip=False
        )
