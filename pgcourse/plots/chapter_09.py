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

LEG_COLORS = dict(zip(LEGS, (style.BLUE, style.VERMILION), strict=True))
# From falling, red, over what does not get ahead, orange and grey, to walking, green and blue.
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
