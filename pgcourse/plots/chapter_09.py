"""Figures of walking robots: strips of poses, footfall diagrams, phase portraits, how many walk and how many fall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from pgcourse.gait import KINDS, LEGS, Recording, bridged, limb_phase, stances
from pgcourse.plots import style
from pgcourse.stats import mean_interval

LEG_COLORS = dict(zip(LEGS, (style.BLUE, style.VERMILION), strict=True))
# From falling, dark orange, over what does not get ahead, orange and grey, to walking, green and blue.
KIND_COLORS = dict(
    zip(
        KINDS,
        ("#D55E00", "#F0A37A", "#888888", "#CC79A7", "#E69F00", "#F3D08B", "#56B4E9", "#009E73", "#0072B2"),
        strict=True,
    )
)


def pose_strips(strips: Mapping[str, ArrayLike]) -> list[Axes]:
    """Pictures [height, width, 3] of one width below each other, such as `pgcourse.gait.strip` gives, with titles."""
    pictures = {title: np.asarray(strip) for title, strip in strips.items()}
    heights = [picture.shape[0] / picture.shape[1] for picture in pictures.values()]
    wide = 9.0
    _, grid = plt.subplots(
        len(pictures), 1, figsize=(wide, wide * sum(heights) + 0.3 * len(heights)), height_ratios=heights, squeeze=False
    )
    for ax, (title, picture) in zip(grid[:, 0], pictures.items(), strict=True):
        ax.imshow(picture, aspect="equal", interpolation="antialiased")
        ax.set_title(title)
        ax.set_axis_off()
    return list(grid[:, 0])


def footfalls(recordings: Mapping[str, Recording], seconds: float = 4.0, start: float | None = None) -> list[Axes]:
    """When which foot is on the ground, a panel a recording: a bar is a stance. Hildebrand (1965).

    Shown are `seconds` from `start` on, by default out of the middle of the episode. What is written beside a foot's
    bars is its duty factor, over all of its whole strides, and beside the title the phase (see
    `pgcourse.gait.limb_phase`).
    """
    _, grid = plt.subplots(len(recordings), 1, figsize=(8.0, 0.45 + 1.1 * len(recordings)), squeeze=False, sharex=True)
    for ax, (title, recording) in zip(grid[:, 0], recordings.items(), strict=True):
        begin = max(0.0, (recording.seconds - seconds) / 2) if start is None else start
        strides = recording.strides()
        for row, leg in enumerate(LEGS):
            spans = stances(bridged(recording.contact[:, row], recording.dt), recording.dt) - begin
            spans = spans.clip(0, min(seconds, recording.seconds - begin))
            ax.broken_barh(
                [(a, b - a) for a, b in spans if b > a], (0.62 - row, 0.76), facecolors=LEG_COLORS[leg], linewidth=0
            )
            duty = strides[strides["leg"] == leg]["duty_factor"].mean()
            said = "" if np.isnan(duty) else f"{duty:.0%} of a stride"
            ax.annotate(
                said, (1, (1 - row) / 2 + 0.25), (6, 0), "axes fraction", "offset points", va="center", fontsize=9
            )
        phase = limb_phase(strides)
        ax.set_title(title if np.isnan(phase) else f"{title}, phase {phase:.2f}", fontsize=10)
        ax.set(yticks=[1, 0], yticklabels=LEGS, ylim=(-0.5, 1.5), xlim=(0, seconds))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
    grid[-1, 0].set_xlabel("time (s)")
    return list(grid[:, 0])


def phase_portraits(portraits: Mapping[str, pd.DataFrame]) -> list[Axes]:
    """Angle against angular speed of each joint, a row for each table of `pgcourse.gait.phase_portrait`.

    Thin lines are strides, thick ones their mean at each phase, a dot is the touchdown. A gait that repeats itself
    draws one closed curve; where both legs do the same, theirs lie on each other.
    """
    joints = list(dict.fromkeys(joint for table in portraits.values() for joint in table["joint"]))
    _, grid = plt.subplots(
        len(portraits), len(joints), figsize=(3.4 * len(joints), 2.9 * len(portraits)), squeeze=False,
        sharex="col", sharey="col",
    )  # fmt: skip
    for axes, (title, table) in zip(grid, portraits.items(), strict=True):
        for ax, joint in zip(axes, joints, strict=True):
            for leg in LEGS:
                own = table[(table["leg"] == leg) & (table["joint"] == joint)]
                for _, stride in own.groupby("stride"):
                    ax.plot(stride["angle"], stride["speed"], color=LEG_COLORS[leg], lw=0.5, alpha=0.25)
                mean = own.groupby("phase")[["angle", "speed"]].mean()
                if len(mean):
                    ax.plot(mean["angle"], mean["speed"], color=LEG_COLORS[leg], lw=2)
                    ax.plot(*mean.iloc[0], "o", color=LEG_COLORS[leg], mec="white", ms=7)
            ax.set_title(f"{title}: {joint}" if title else joint, fontsize=10)
        axes[0].set_ylabel("angular speed (rad/s)")
    for ax in grid[-1]:
        ax.set_xlabel("angle (rad)")
    grid[0, -1].legend(
        [Line2D([], [], color=color, lw=2) for color in LEG_COLORS.values()], LEGS, fontsize=9, loc="upper right"
    )
    return list(grid.flat)


def kinds(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Of how many episodes the robot walks, limps, falls ...: a bar for each table of `pgcourse.gait.counts`."""
    ax = style.axes(ax, figsize=(7.5, 0.9 + 0.42 * len(tables)))
    shares = {title: table[list(KINDS)].sum() / table.to_numpy().sum() for title, table in tables.items()}
    begin = np.zeros(len(shares))
    here = np.arange(len(shares))[::-1]
    for kind in KINDS:
        share = np.array([each[kind] for each in shares.values()])
        ax.barh(here, share, left=begin, color=KIND_COLORS[kind], height=0.7)
        begin += share
    shown: dict[str, Any] = {
        kind: Patch(color=KIND_COLORS[kind]) for kind in KINDS if any(each[kind] for each in shares.values())
    }
    ax.legend(shown.values(), shown, fontsize=8, ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    ax.set(yticks=here, yticklabels=list(shares), xlim=(0, 1), xlabel="part of the episodes")
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.grid(axis="y", visible=False)
    numbers = sorted({int(table.to_numpy().sum()) for table in tables.values()})
    style.note(ax, f"{' to '.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} episodes a bar")
    return ax


def gait_measures(table: pd.DataFrame, panels: Mapping[str, str]) -> list[Axes]:
    """Measures of gaits against training, a panel each: a dot a seed, bars are the mean's 95 % t-interval.

    `table` has the rows of `pgcourse.gait.measure` and a column `stage`, in the order in which stages are drawn; of a
    seed's episodes the mean counts. `panels` maps columns to what stands above them. Where fewer than three seeds have
    a measure, such as strides, there is no interval.
    """
    stages = list(dict.fromkeys(table["stage"]))
    _, grid = plt.subplots(1, len(panels), figsize=(2.6 * len(panels), 2.8), squeeze=False)
    for ax, (column, title) in zip(grid[0], panels.items(), strict=True):
        for place, stage in enumerate(stages):
            values = table[table["stage"] == stage].groupby("seed")[column].mean()
            values = values[np.isfinite(values)].to_numpy()
            _dots(ax, place, values, style.BLUE)
        ax.set_xticks(range(len(stages)), stages, fontsize=8, rotation=30, ha="right")
        ax.set_title(title, fontsize=10)
        ax.set_xlim(-0.5, len(stages) - 0.5)
    figure = grid[0, 0].figure
    seeds = table["seed"].nunique()
    figure.supxlabel(f"environment steps of one seed ({seeds} seeds; bars: the mean's 95 % t-interval)", fontsize=9)
    return list(grid[0])


def disturbances(table: pd.DataFrame, panels: Mapping[str, str]) -> list[Axes]:
    """Returns against the strength of a disturbance, a panel a kind: a dot a seed, and a bar at their mean.

    `table` has the columns kind, strength, seed and return; of a seed's episodes the mean counts. `panels` maps kinds
    to the labels of their axes.
    """
    _, grid = plt.subplots(1, len(panels), figsize=(2.6 * len(panels), 2.8), squeeze=False, sharey=True)
    for ax, (kind, label) in zip(grid[0], panels.items(), strict=True):
        of_kind = table[table["kind"] == kind]
        strengths = sorted(of_kind["strength"].unique())
        for place, strength in enumerate(strengths):
            values = of_kind[of_kind["strength"] == strength].groupby("seed")["return"].mean().to_numpy()
            ax.plot(place + np.linspace(-0.2, 0.2, len(values)), values, "o", color=style.BLUE, ms=4, alpha=0.6, mew=0)
            ax.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color=style.BLACK, lw=1.5)
        ax.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
        ax.set(xlabel=label, xlim=(-0.5, len(strengths) - 0.5))
    grid[0, 0].set_ylabel("return of an episode")
    episodes = table.groupby(["kind", "strength", "seed"]).size().max()
    each = f"{episodes} episode{'s' * int(episodes > 1)} of each of {table['seed'].nunique()} seeds"
    grid[0, 0].figure.suptitle(f"{each}, a dot a seed; bars: their mean", fontsize=9)
    return list(grid[0])


def _dots(ax: Axes, place: float, values: np.ndarray, color: str) -> None:
    """A dot a value at `place`, spread a little, and beside them their mean with its interval."""
    aside = np.linspace(-0.18, 0.06, len(values))
    ax.plot(place + aside, values, "o", color=color, ms=3, alpha=0.5, mew=0)
    if len(values) >= 3:
        mean, low, high = mean_interval(values)
        ax.plot([place + 0.2] * 2, [low, high], color=color, lw=2)
        ax.plot(place + 0.2, mean, "o", color=color, ms=5)
