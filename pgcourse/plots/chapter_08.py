"""The clip, how far an update goes, and what the details of an implementation are worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pgcourse.plots import style
from pgcourse.stats import welch_test


def clip_cases(clip: float = 0.2) -> list[Axes]:
    """The clipped surrogate of one sample against its ratio, for an advantage of 1 and of -1."""
    panels = plt.subplots(1, 2, figsize=(7.2, 3.0), sharey=True)[1]
    ratio = np.linspace(0, 2, 401)
    for ax, advantage in zip(panels, (1.0, -1.0), strict=True):
        plain, clipped = ratio * advantage, np.clip(ratio, 1 - clip, 1 + clip) * advantage
        flat = ratio > 1 + clip if advantage > 0 else ratio < 1 - clip
        ax.plot(ratio, plain, color=style.GREY, lw=1.2, ls="--")
        ax.plot(ratio, np.minimum(plain, clipped), color=style.BLUE, lw=2.2)
        ax.fill_between(ratio, -2.2, 2.2, where=flat, color=style.VERMILION, alpha=0.10, lw=0)
        ax.plot(1, advantage, "o", color=style.BLACK, ms=5)
        ax.text(*((1.65, 1.85) if advantage > 0 else (0.12, 0.1)), "r A", color=style.GREY)
        ax.set(xlabel="ratio r", title=f"A = {'+' if advantage > 0 else '−'}1", ylim=(-2.2, 2.2))
        middle = (1 + clip + 2) / 2 if advantage > 0 else (1 - clip) / 2
        ax.text(middle, -1.9 * advantage, "no gradient", color=style.VERMILION, ha="center", va="center", fontsize=9)
    panels[0].set_ylabel("min( r A, clip(r) A )")
    return list(panels)


def against_passes(
    runs: Mapping[str, ArrayLike], ylabel: str, *, target: float | None = None, logarithmic: bool = False
) -> Axes:
    """What each pass over one rollout adds: {name: [seed, pass]}, seeds as thin lines under their mean."""
    ax = style.axes()
    color = style.colors(runs)
    for name, given in runs.items():
        values = np.asarray(given, dtype=float)
        passes = np.arange(values.shape[1])
        ax.plot(passes, values.T, color=color[name], lw=0.5, alpha=0.35)
        ax.plot(passes, values.mean(0), color=color[name], lw=2, label=name)
    if target is not None:
        ax.axhline(target, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    if logarithmic:
        ax.set_yscale("symlog", linthresh=1e-3)
    ax.set(xlabel="passes over the rollout", ylabel=ylabel)
    ax.margins(x=0)
    ax.legend(loc="lower right")
    style.note(ax, f"{len(values)} seeds, each a thin line; thick: their mean")
    return ax


def details(panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]], xlabel: str) -> list[Axes]:
    """What changing one detail does: {environment: {detail: (with the change, without)}}, one value a seed.

    A dot is the difference of means; the thick line its 95 % interval (Welch), the thin one with Bonferroni's
    correction for all comparisons shown. Coloured is what is clear of zero even then. Panels share their rows: a detail
    that one of them lacks stays empty there.
    """
    names = _merged(panels.values())
    comparisons = sum(map(len, panels.values()))
    figure, grid = plt.subplots(1, len(panels), figsize=(8.2, 0.9 + 0.27 * len(names)), sharey=True, squeeze=False)
    rows = {name: row for row, name in enumerate(reversed(names))}
    for ax, (title, pairs) in zip(grid[0], panels.items(), strict=True):
        for name, (a, b) in pairs.items():
            thick, thin = (welch_test(a, b, level).difference for level in (0.95, 1 - 0.05 / comparisons))
            color = style.GREY if thin.low <= 0 <= thin.high else style.BLUE if thin.low > 0 else style.VERMILION
            ax.plot([thin.low, thin.high], [rows[name]] * 2, color=color, lw=0.9)
            ax.plot([thick.low, thick.high], [rows[name]] * 2, color=color, lw=2.6)
            ax.plot(thick.estimate, rows[name], "o", color=color, ms=4)
        ax.axvline(0, color=style.BLACK, lw=0.8, ls="--")
        ax.grid(axis="y", visible=False)
        ax.set(title=title, ylim=(-0.6, len(names) - 0.4))
    grid[0, 0].set_yticks(list(rows.values()), list(rows))
    seeds = sorted({np.size(sample) for pairs in panels.values() for pair in pairs.values() for sample in pair})
    note = f"{' or '.join(map(str, seeds))} seeds each; thick: 95 %; thin: 95 % for all {comparisons} together"
    figure.supxlabel(f"{xlabel}\n{note}", fontsize=9)
    return list(grid[0])


def film_strips(films: Mapping[str, Sequence[ArrayLike]], pictures: int = 8) -> list[Axes]:
    """A row for each film [height, width, 3]: pictures from its first to its last, with their numbers."""
    panels = plt.subplots(len(films), pictures, figsize=(8.4, 1.25 * len(films) + 0.2), squeeze=False)[1]
    for row, (name, frames) in zip(panels, films.items(), strict=True):
        for ax, t in zip(row, np.linspace(0, len(frames) - 1, pictures).round().astype(int), strict=True):
            ax.imshow(frames[t], interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.set_title(f"step {t}", fontsize=8)
        row[0].set_ylabel(name, fontsize=9)
    return list(panels.flat)


def _merged(lists: Iterable[Iterable[str]]) -> list[str]:
    """All names once, each as far as possible behind the one that it follows in its own list."""
    merged: list[str] = []
    for names in lists:
        last = -1
        for name in names:
            if name not in merged:
                merged.insert(last + 1, name)
            last = merged.index(name)
    return merged
