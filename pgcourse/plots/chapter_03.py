"""Figures of chapter 03: CartPole's returns with and without a baseline, and the noise of gradient estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from pgcourse.plots import style
from pgcourse.plots.learning import BAND, learning_curve_grid, learning_curves, on_common_steps, t_interval, thousands

MOST = 500  # no episode of CartPole returns more
TARGET = 475  # from here on Gymnasium calls it solved


def with_and_without_baseline(curves: pd.DataFrame) -> list[Axes]:
    """The learning curves of two variants side by side on common axes, each seed a thin line."""
    variants = list(dict.fromkeys(curves["variant"]))
    color = style.colors(variants)
    figure, panels = plt.subplots(1, len(variants), figsize=(7.5, 3.4), sharex=True, sharey=True, squeeze=False)
    for ax, variant in zip(panels.flat, variants, strict=True):
        steps, values = on_common_steps(curves[curves["variant"] == variant], "return")
        mean, half = t_interval(values)
        ax.plot(steps, values.T, color=color[variant], lw=0.6, alpha=0.45)
        ax.plot(steps, mean, color=color[variant], lw=2)
        ax.fill_between(
            steps, (mean - half).clip(0), (mean + half).clip(max=MOST), color=color[variant], alpha=0.2, lw=0
        )
        ax.axhline(TARGET, color=style.BLACK, lw=0.7, ls="--", zorder=0)
        ax.set_title(variant)
        ax.set_ylim(0, MOST + 10)
        ax.xaxis.set_major_formatter(thousands)
    seeds = curves["seed"].nunique()
    figure.supxlabel(f"environment steps of one seed ({seeds} seeds; {BAND})", fontsize=9)
    panels[0, 0].set_ylabel("return of an episode")
    return list(panels.flat)


def one_learner(lengths: ArrayLike, ax: Axes | None = None) -> Axes:
    """One learner's episodes as dots and the mean of each batch as a line; `lengths` is [update, episode].

    On CartPole an episode's return is its length. Dots are drawn where their batch ends.
    """
    lengths = np.asarray(lengths)
    steps = lengths.sum(1).cumsum()
    ax = style.axes(ax)
    ax.plot(np.repeat(steps, lengths.shape[1]), lengths.flatten(), ".", color=style.COLORS["no baseline"], alpha=0.6)
    ax.plot(steps, lengths.mean(1), color=style.COLORS["REINFORCE"], lw=2)
    _cartpole(ax)
    ax.set_title("From an empty file: one seed, live")
    style.note(ax, f"1 seed; dot: an episode; line: mean of the {lengths.shape[1]} episodes of an update")
    return ax


def several_learners(lengths: ArrayLike, episodes: int, ax: Axes | None = None) -> Axes:
    """The learning curves of all seeds; `lengths` [update, seed] are the steps of each update's `episodes`."""
    lengths = np.asarray(lengths)
    table = [
        pd.DataFrame({"seed": seed, "step": column.cumsum(), "return": column / episodes})
        for seed, column in enumerate(lengths.T)
    ]
    ax = learning_curves(pd.concat(table), target=TARGET, ax=ax)
    ax.set(
        ylim=(0, MOST + 10), ylabel="return of an episode", title=f"The same on the seed axis: {len(table)} seeds, live"
    )
    return ax


def returns_grid(curves: pd.DataFrame, columns: int) -> list[Axes]:
    """`learning_curve_grid` on CartPole: no return is below 0 or above 500."""
    panels = learning_curve_grid(curves, columns, target=TARGET)
    for ax in panels:
        ax.set_ylim(0, MOST + 10)
    return panels


def agreement(sizes: Sequence[int], cosines: Mapping[str, Sequence[ArrayLike]], ax: Axes | None = None) -> Axes:
    """Cosine between independent gradient estimates against the episodes behind each; one line a moment of training.

    `cosines[moment]` has for every size one number a learner; drawn is their mean with its 95 % t-interval.
    """
    ax = style.axes(ax)
    color = style.colors(cosines)
    learners = 0
    for shift, (moment, rows) in enumerate(cosines.items()):
        values: NDArray = np.asarray(rows).T  # [learner, size]
        learners = len(values)
        mean, half = t_interval(values)
        x = np.asarray(sizes) * 2 ** (0.06 * (shift - 1))  # apart, so that intervals do not hide each other
        ax.errorbar(x, mean, half, fmt="o-", capsize=3, color=color[moment], label=moment)
    ax.axhline(0, color=style.BLACK, lw=0.7)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.set(ylim=(-0.2, 1), xlabel="episodes behind one estimate", ylabel="cosine between two estimates")
    ax.set_title("Do two estimates at the same policy agree where to go?")
    ax.legend(loc="upper left", fontsize=9)
    style.note(ax, f"mean over {learners} learners, each trained by itself; bar: its 95 % t-interval")
    return ax


def _cartpole(ax: Axes) -> None:
    ax.axhline(TARGET, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    ax.set(ylim=(0, MOST + 10), xlabel="environment steps of one seed", ylabel="return of an episode")
    ax.xaxis.set_major_formatter(thousands)
