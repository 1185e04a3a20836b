"""Bias against variance along λ, and what a time limit does to a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from pgcourse.plots import style

SHADES = (style.SKY, style.BLUE, style.GREEN, style.PURPLE)  # of batch sizes


def sweet_spots(
    lams: ArrayLike, critics: Mapping[str, tuple[ArrayLike, ArrayLike]], batch_sizes: Sequence[int]
) -> list[Axes]:
    """bias² + variance / N of GAE(λ) against λ, a panel a critic, a line a batch size N, with a dot where it is lowest.

    `critics` maps a panel's title to (bias², variance of one episode's estimate), each [seed, λ] in units of ‖∇J‖²; the
    lines are means over seeds.

    Raises:
        ValueError: more batch sizes than there are colours for.
    """
    if len(batch_sizes) > len(SHADES):
        raise ValueError(f"there are colours for {len(SHADES)} batch sizes, got {len(batch_sizes)}")
    lams = np.asarray(lams, dtype=float)
    _, grid = plt.subplots(1, len(critics), figsize=(9.0, 3.9), sharex=True, sharey=True, squeeze=False)
    low, high, seeds = np.inf, 0.0, set()
    for ax, (title, (bias, variance)) in zip(grid[0], critics.items(), strict=True):
        seeds.add(len(np.asarray(bias)))
        bias, variance = (np.asarray(part, dtype=float).mean(0) for part in (bias, variance))
        ax.plot(lams, bias, color=style.VERMILION, lw=1.5, ls="--")
        for n, color in zip(batch_sizes, SHADES, strict=False):
            error = bias + variance / n
            best = error.argmin()
            ax.plot(lams, variance / n, color=color, lw=1, ls=":")
            ax.plot(lams, error, color=color, lw=2)
            ax.plot(lams[best], error[best], "o", color=color, ms=7, mec="white", zorder=3)
            low, high = min(low, (variance / n).min()), max(high, error.max())
        ax.set_title(title)
        ax.set(yscale="log", xlim=(-0.03, 1.03), xticks=[0, 0.5, 1])
        ax.set_xticklabels(["0", "0.5", "1"])
    grid[0, 0].set(ylabel="squared error / ‖∇J‖²", ylim=(low / 12, 2 * high))
    grid[0, len(critics) // 2].set_xlabel("λ")
    lines = [Line2D([], [], color=color, lw=2) for _, color in zip(batch_sizes, SHADES, strict=False)]
    parts = [Line2D([], [], color=style.VERMILION, lw=1.5, ls="--"), Line2D([], [], color=style.GREY, lw=1, ls=":")]
    names = [f"error, {n} episodes" for n in batch_sizes]
    grid[0, 0].figure.legend(
        [*lines, *parts], [*names, "bias²", "variance"], loc="outside upper center", ncols=len(names) + 2, fontsize=8.5
    )
    style.note(grid[0, -1], f"exact; means over {' or '.join(map(str, sorted(seeds)))} policies and critics")
    return list(grid[0])


def value_against_time_limit(
    limits: ArrayLike, learned: Mapping[str, ArrayLike], theory: Mapping[str, ArrayLike], ax: Axes | None = None
) -> Axes:
    """A learned value (dots) beside its closed form (lines), against the time limit of an episode; [limit] each."""
    ax = style.axes(ax)
    color = style.colors(learned)
    for name, values in learned.items():
        ax.plot(limits, np.asarray(theory[name], dtype=float), color=color[name], lw=1.2)
        ax.plot(limits, np.asarray(values, dtype=float), "o", color=color[name])
        end = (np.asarray(limits)[-1], np.asarray(values, dtype=float)[-1])
        ax.annotate(name, end, (8, 0), textcoords="offset points", va="center", color=color[name])
    ax.set(xscale="log", xlabel="time limit of an episode (steps)", ylabel="learned value of the state", ylim=(0, None))
    ax.set_xticks(np.asarray(limits), [f"{h:g}" for h in np.asarray(limits)])
    ax.set_xticks([], minor=True)
    style.note(ax, "dots: learned; lines: closed form")
    return ax
