"""Figures of a machine that is steered: what was asked for and what it did, and which of four feet was down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pgcourse.gait import FEET, Ride, bridged, following, footwork, stances
from pgcourse.plots import style

ASKED = ("speed ahead (m/s)", "speed to the left (m/s)", "turning (rad/s)")
PAIR = ("command", "velocity")
SIDES = {"left": style.BLUE, "right": style.VERMILION}  # as robots are drawn: see `pgcourse.gait.picture`


def steered(rides: Mapping[str, Ride]) -> list[Axes]:
    """What the joystick asked for (black steps) and what the machine did (blue), a row a ride, a column a velocity."""
    _, grid = plt.subplots(
        len(rides), 3, figsize=(10.0, 0.6 + 1.7 * len(rides)), squeeze=False, sharex=True, sharey="col"
    )
    for axes, (title, one) in zip(grid, rides.items(), strict=True):
        time = np.arange(len(one)) * one.dt
        for ax, velocity, command in zip(axes, one.velocity.T, one.command.T, strict=True):
            ax.plot(time, velocity, color=style.BLUE, lw=0.8)
            ax.step(time, command, color=style.BLACK, lw=1.3, where="post")
            if one.fell:
                ax.plot(time[-1], velocity[-1], "x", color=style.VERMILION, ms=8, mew=2)
        axes[0].set_title(title, fontsize=10, loc="left")
    for ax in grid[-1]:
        ax.set_xlabel("time (s)")
    for row in grid:
        for ax, label in zip(row, ASKED, strict=True):
            ax.set_ylabel(label, fontsize=8)
    known = {"asked for": (style.BLACK, "-", ""), "done": (style.BLUE, "-", "")}
    known |= {"falls": (style.VERMILION, "", "x")} if any(one.fell for one in rides.values()) else {}
    lines = [Line2D([], [], color=color, ls=line, marker=mark) for color, line, mark in known.values()]
    grid[0, -1].legend(lines, known, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1, 1.0), borderaxespad=0.2)
    return list(grid.flat)


def asked_and_done(rides: Sequence[Ride], every: float = 0.2) -> list[Axes]:
    """What was done against what was asked, a panel a velocity: a dot each `every` seconds, a line a seed.

    The lines have the slopes of `pgcourse.gait.following`, the dotted one that of a machine that follows.
    """
    _, grid = plt.subplots(1, 3, figsize=(10.0, 3.2))
    slopes, colors = following(rides), style.colors(str(ride.seed) for ride in rides)
    for k, (ax, label) in enumerate(zip(grid, ASKED, strict=True)):
        for seed, slope in slopes.iloc[:, k].items():
            some = [ride for ride in rides if ride.seed == seed]
            asked, done = (np.concatenate([getattr(ride, name)[:, k] for ride in some]) for name in PAIR)
            step = max(1, round(every / some[0].dt))
            color = colors[str(seed)]
            ax.plot(asked[::step], done[::step], ".", color=color, ms=3, alpha=0.3, mew=0)
            ends = np.array([asked.min(), asked.max()])
            line = done.mean() + slope * (ends - asked.mean())
            ax.plot(ends, line, color=color, lw=2, label=f"seed {seed}: slope {slope:.2f}")
        ends = np.array(ax.get_xlim())
        ax.plot(ends, ends, ":", color=style.BLACK, lw=1, label="follows: slope 1")
        ax.set(xlim=ends, xlabel=f"{label}, asked", ylabel="done" if k == 0 else "")
        ax.legend(fontsize=7, loc="upper left", borderaxespad=0.1)
    return list(grid)


def four_feet(rides: Mapping[str, Ride], seconds: float = 3.0, start: float = 0.0) -> list[Axes]:
    """When which foot is on the ground, a panel a ride, from `start` (s) on: a bar is a stance. Hildebrand (1965).

    Feet stand as in his diagrams: the hind ones outside, the front ones between them. Beside a foot's bars stand its
    duty factor and its phase over the whole ride (see `pgcourse.gait.footwork`).
    """
    order = ("hind left", "front left", "front right", "hind right")
    _, grid = plt.subplots(len(rides), 1, figsize=(8.0, 0.5 + 1.5 * len(rides)), squeeze=False, sharex=True)
    for ax, (title, one) in zip(grid[:, 0], rides.items(), strict=True):
        table = footwork(one)
        for row, foot in enumerate(reversed(order)):
            spans = stances(bridged(one.contact[:, FEET.index(foot)], one.dt), one.dt)
            spans = spans.clip(start, min(start + seconds, one.seconds))
            ax.broken_barh(
                [(a, b - a) for a, b in spans if b > a],
                (row - 0.38, 0.76),
                facecolors=SIDES[foot.split()[1]],
                linewidth=0,
            )
            duty, phase = (float(table[name][foot]) for name in ("duty_factor", "phase"))
            said = "" if np.isnan(duty) else f"{duty:.0%}" + ("" if np.isnan(phase) else f", phase {phase:.2f}")
            ax.annotate(said, (1, (row + 0.5) / 4), (6, 0), "axes fraction", "offset points", va="center", fontsize=9)
        ax.set_title(title, fontsize=10, loc="left")
        ax.set(yticks=range(4), yticklabels=list(reversed(order)), ylim=(-0.5, 3.5), xlim=(start, start + seconds))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
    grid[-1, 0].set_xlabel("time (s)")
    return list(grid[:, 0])
