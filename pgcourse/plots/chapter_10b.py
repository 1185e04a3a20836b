"""Figures of chapter 10b: the family of algorithms that learn from rewards of whole responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from pgcourse.plots import style

# What a line of a figure is of, in any of them.
ESTIMATORS = {"k1": style.BLUE, "k2": style.GREEN, "k3": style.VERMILION}


def family_planes(curves: pd.DataFrame, families: Mapping[str, Sequence[str]], columns: int = 3) -> list[Axes]:
    """Gold against KL while it trains: a panel a variant, coloured by its family, all other variants grey behind it.

    `curves` has the columns variant, seed, step, kl and gold. A line is the mean over seeds of every report, a dot
    where a seed has ended: the mean of its last five reports.
    """
    names = [name for family in families.values() for name in family]
    paths = {name: curves[curves["variant"] == name].groupby("step")[["kl", "gold"]].mean() for name in names}
    last = curves.groupby(["variant", "seed"])[["kl", "gold"]].apply(lambda seed: seed.tail(5).mean())
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(8.4, 0.7 + 1.9 * rows), sharex=True, sharey=True, squeeze=False)
    shade = dict(zip(families, style.CYCLE, strict=False))
    of = {name: shade[family] for family, members in families.items() for name in members}
    for ax, name in zip(grid.flat, names, strict=False):
        for other in names:
            if other != name:
                ax.plot(*paths[other].to_numpy().T, color="0.82", lw=1)
        ax.plot(*paths[name].to_numpy().T, color=of[name], lw=2)
        ax.plot(*last.loc[name].to_numpy().T, "o", ms=5, color=of[name], mec="white", mew=0.6)
        ax.set_title(name, fontsize=10)
    for ax in grid.flat[len(names) :]:
        ax.set_axis_off()
    figure.supylabel("gold", fontsize=10)
    seeds = last.index.to_frame()["seed"].groupby(level=0).nunique().loc[names]
    count = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} or {seeds.max()}"
    figure.supxlabel(f"KL from the reference (nats); line: mean over {count} seeds; dots: where seeds end", fontsize=9)
    patches = [plt.Line2D([], [], color=color, lw=3, label=family) for family, color in shade.items()]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(patches), fontsize=9)
    return list(grid.flat)[: len(names)]


def family_spreads(
    points: Mapping[str, tuple[ArrayLike, ArrayLike]], xlabel: str, ylabel: str, note: str, trend: bool = False
) -> Axes:
    """Standard deviations as dots on logarithmic axes: {name: (x, y)}; `trend` draws each name's power law."""
    figure, ax = plt.subplots(figsize=(7.4, 3.8))
    color = style.colors(points) | {name: ESTIMATORS[name] for name in points if name in ESTIMATORS}
    for name, (x, y) in points.items():
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        label = name
        if trend:
            power, level = np.polyfit(np.log(x), np.log(y), 1)
            ends = np.array([x.min(), x.max()])
            ax.plot(ends, np.exp(level) * ends**power, color=color[name], lw=1.6)
            label = f"{name}: power {power:.2f}".replace("-", "\N{MINUS SIGN}")
        ax.plot(x, y, "o", ms=4, alpha=0.7, color=color[name], label=label)
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.xaxis.set_minor_formatter(lambda x, _: "")
    figure.legend(loc="outside upper center", ncols=len(points), fontsize=9)
    figure.supxlabel(note, fontsize=8)
    return ax


def family_gradients(panels: Mapping[str, Mapping[str, Mapping[int, ArrayLike]]], xlabel: str) -> list[Axes]:
    """Cosines with the right gradient: {title: {estimator: {x: one for each seed}}}; seeds are dots, lines medians.

    A panel's places are those of its first estimator.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(8.0, 3.2), sharey=True, squeeze=False)
    for ax, (title, lines) in zip(grid[0], panels.items(), strict=True):
        ticks = list(next(iter(lines.values())))
        for place, (name, cosines) in enumerate(lines.items()):
            values = np.stack([np.asarray(each, dtype=float) for each in cosines.values()])
            at = np.array([ticks.index(x) for x in cosines]) + 0.12 * (place - (len(lines) - 1) / 2)
            ax.plot(at, values, ".", ms=4, alpha=0.5, color=ESTIMATORS[name])
            ax.plot(at, np.median(values, 1), "o-", ms=5, lw=1.6, color=ESTIMATORS[name], label=name)
        ax.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks])
        ax.axhline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.set(title=title, ylim=(-1.08, 1.08))
    grid[0, 0].set_ylabel(r"cosine with $\nabla\,\mathrm{KL}(\pi_\theta\|\pi_\mathrm{ref})$")
    grid[0, 0].legend(loc="lower left", fontsize=9)
    figure.supxlabel(f"{xlabel} ({values.shape[1]} seeds, each a dot; lines: their median)", fontsize=9)
    return list(grid[0])


def pass_curves(base: Mapping[int, float], trained: Mapping[str, Mapping[int, ArrayLike]]) -> Axes:
    """pass@k against k: the model that training began with, dashed, and trained ones, {name: {k: [seed]}}."""
    ax = style.axes(figsize=(6.6, 3.6))
    color = style.colors(trained)
    ax.plot(list(base), list(base.values()), "--", color=style.BLACK, lw=1.8, label="pretrained model")
    seeds = 0
    for name, passes in trained.items():
        values = np.stack([np.asarray(each, dtype=float) for each in passes.values()])
        seeds = values.shape[1]
        ax.plot(list(passes), values, color=color[name], lw=0.7, alpha=0.5)
        ax.plot(list(passes), values.mean(1), "o-", ms=4, color=color[name], lw=2, label=name)
    ticks = list(base)
    ax.set(xscale="log", xlabel="$k$, responses to one prompt", ylabel="pass@$k$", ylim=(0, 1.03))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=9)
    ax.minorticks_off()
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    style.note(ax, f"{seeds} seeds, thin; thick: their mean")
    return ax
