"""Continuous actions: what bins cost, densities at the bounds, an arm that reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from pgcourse.plots import style
from pgcourse.plots.learning import t_interval


def bins_against_joints(returns: pd.DataFrame, families: Mapping[str, Mapping[str, Mapping[int, int]]]) -> list[Axes]:
    """Return of the final policies against the joints of an arm, a panel a family; and the outputs of their networks.

    `returns` has a row a seed: joints, variant, seed, mean_return. A family maps its variants to the outputs they take
    for each number of joints. Dots are seeds; lines join means, bars are their 95 % t-intervals.
    """
    outputs = {variant: each for family in families.values() for variant, each in family.items()}
    color = style.colors(outputs)
    _, (*panels, right) = plt.subplots(1, len(families) + 1, figsize=(3.4 * (len(families) + 1), 3.9))
    for ax, (title, family) in zip(panels, families.items(), strict=True):
        shift = np.linspace(-0.12, 0.12, len(family))
        for variant, aside in zip(family, shift, strict=True):
            seeds = returns[returns["variant"] == variant]
            table = [(joints, group["mean_return"].to_numpy()) for joints, group in seeds.groupby("joints")]
            x = np.array([joints for joints, _ in table]) + aside
            for place, (_, values) in zip(x, table, strict=True):
                ax.plot(np.full(len(values), place), values, ".", color=color[variant], alpha=0.3, ms=4)
            means, halves = zip(*(t_interval(values) for _, values in table), strict=True)
            ax.errorbar(x, means, halves, color=color[variant], lw=1.8, marker="o", ms=5, capsize=3, label=variant)
        ax.set(title=title, xlabel="joints", xticks=sorted(returns["joints"].unique()))
        ax.legend(loc="lower left", fontsize=8)
        ax.sharey(panels[0])
    panels[0].set_ylabel("return of an episode")
    for variant, each in outputs.items():
        right.plot(list(each), list(each.values()), color=color[variant], lw=1.8, marker="o", ms=4, label=variant)
    ticks = sorted({joints for each in outputs.values() for joints in each})
    right.set(title="outputs of the network", xlabel="joints", yscale="log", xticks=ticks)
    right.legend(fontsize=8)
    counts = returns.groupby(["variant", "joints"])["seed"].nunique()
    numbers = " to ".join(map(str, sorted({counts.min(), counts.max()})))
    style.note(panels[-1], f"{numbers} seeds (dots); bars: 95 % t-intervals")
    return [*panels, right]


def action_densities(
    x: ArrayLike, panels: Mapping[str, tuple[ArrayLike, Mapping[float, float]]], bounds: tuple[float, float]
) -> list[Axes]:
    """Densities of an action side by side, with the bounds dashed.

    A panel is a density over `x` and its atoms, place to probability, drawn as bars on an axis of probability (right).
    """
    _, grid = plt.subplots(1, len(panels), figsize=(9.0, 3.2), sharex=True, sharey=True, squeeze=False)
    x = np.asarray(x, dtype=float)
    for ax, (title, (density, atoms)) in zip(grid[0], panels.items(), strict=True):
        ax.plot(x, np.asarray(density, dtype=float), color=style.BLUE, lw=2)
        ax.fill_between(x, np.asarray(density, dtype=float), color=style.BLUE, alpha=0.15, lw=0)
        for bound in bounds:
            ax.axvline(bound, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        for place, probability in atoms.items():
            ax.plot([place, place], [0, probability], color=style.VERMILION, lw=4, solid_capstyle="butt")
            right = place > min(bounds)
            ax.annotate(
                f"{probability:.1%}", (place, probability), (5 if right else -5, 2), textcoords="offset points",
                ha="left" if right else "right", va="bottom", color=style.VERMILION, fontsize=9,
            )  # fmt: skip
        ax.set(title=title, xlabel="action")
    grid[0, 0].set(ylabel="density; bars: probability", ylim=(0, None))
    return list(grid[0])


def reaches(panels: Mapping[str, ArrayLike], targets: ArrayLike) -> list[Axes]:
    """An arm's postures over an episode, early ones pale, with the tip's path and the target: a row a panel.

    A panel is [episode, time, point, 2] (m), the points of the arm from its base to its tip; `targets` is [episode, 2].
    """
    targets = np.asarray(targets, dtype=float)
    episodes = len(targets)
    figure, grid = plt.subplots(
        len(panels), episodes, figsize=(2.2 * episodes, 2.3 * len(panels)), sharex=True, sharey=True, squeeze=False
    )
    for row, (title, postures) in zip(grid, panels.items(), strict=True):
        for ax, arm, target in zip(row, np.asarray(postures, dtype=float), targets, strict=True):
            shown = np.unique(np.geomspace(1, len(arm), 12).astype(int)) - 1
            for order, time in enumerate(shown):
                ax.plot(
                    *arm[time].T, "o-", color=style.BLUE, lw=1.8, ms=2.5, alpha=0.1 + 0.9 * order / (len(shown) - 1)
                )
            ax.plot(*arm[:, -1].T, color=style.VERMILION, lw=1)
            ax.plot(*target, "x", color=style.BLACK, ms=8, mew=2)
            ax.set(aspect="equal", xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        row[0].set_ylabel(f"{title}\ny (m)")
    for ax in grid[-1]:
        ax.set_xlabel("x (m)")
    marks: dict[str, dict[str, Any]] = {
        "arm, late postures dark": {"color": style.BLUE, "marker": "o", "ms": 4},
        "path of the tip": {"color": style.VERMILION},
        "target": {"color": style.BLACK, "marker": "x", "ls": ""},
    }
    handles = [Line2D([], [], **form) for form in marks.values()]
    figure.legend(handles, list(marks), loc="outside upper center", ncols=len(marks), fontsize=9)
    return list(grid.flat)
