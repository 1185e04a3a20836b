"""The discount that practice drops, and going up: vector fields over θ, policies on a grid, ascents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pgcourse.exact import Gridworld
from pgcourse.exact.builders import MOVES
from pgcourse.plots import chapter_02, style

COLORS = chapter_02.COLORS | {
    "exact": style.BLACK,
    "sampled": style.BLUE,  # the theorem's expectation, as in chapter 02
    "start at S": style.VERMILION,
    "start anywhere": style.SKY,
}
FLOOR = 1e-5  # occupancies below are drawn as empty


def landscape(
    axis: ArrayLike,
    height: ArrayLike,
    field: ArrayLike,
    paths: Mapping[str, ArrayLike] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """J over two parameters, with its gradient field and paths over it.

    Args:
        axis: values of both parameters, [n].
        height: J, [n, n]; the first index is the first parameter.
        field: a vector at every point, [n, n, 2].
        paths: named bundles of paths, each [seed, step, 2]; a ring marks each start, a dot each end.

    Raises:
        ValueError: a path leaves the picture.
    """
    for name, bundle in (paths or {}).items():
        if (reach := np.abs(np.asarray(bundle)).max()) > (edge := np.abs(np.asarray(axis)).max()):
            raise ValueError(f"path {name!r} reaches {reach:.3g}, the axes end at {edge:.3g}: widen them")
    ax = style.axes(ax, figsize=(6.2, 4.8))
    axis, height = np.asarray(axis), np.asarray(height)
    filled = ax.contourf(axis, axis, height.T, levels=24, cmap="Greys", alpha=0.75)
    ax.figure.colorbar(filled, ax=ax, label=r"$J(\theta)$", format="%.1f", shrink=0.9)
    _arrows(ax, axis, field, style.GREEN)
    seeds = 0
    for k, (name, bundle) in enumerate((paths or {}).items()):
        color = COLORS.get(name, style.CYCLE[k])
        seeds = len(np.asarray(bundle))
        for path in np.asarray(bundle):
            ax.plot(*path.T, color=color, lw=1.1)
            ax.plot(*path[0], "o", ms=5, mfc="white", mec=color, zorder=3)
            ax.plot(*path[-1], "o", ms=4, color=color, zorder=3)
        ax.plot([], [], color=color, label=name)
    ax.set(xlim=axis[[0, -1]], ylim=axis[[0, -1]], title=title, aspect="equal", **_LOGITS)
    ax.grid(False)
    if paths:
        ax.legend(loc="upper left", frameon=True, framealpha=0.9, fontsize=9)
        style.note(ax, f"{seeds} seeds; rings: starts, dots: ends; arrows: direction, longer = steeper")
    else:
        style.note(ax, "arrows: direction of the gradient, longer = steeper")
    return ax


def curl(axis: ArrayLike, panels: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> list[Axes]:
    """Vector fields over two parameters, each with its curl ∂F_1/∂θ_0 - ∂F_0/∂θ_1 as shade, on one scale.

    `panels` names (curl [n, n], field [n, n, 2]); the first index is the first parameter. A gradient has curl 0.
    """
    axis = np.asarray(axis)
    figure, axes = plt.subplots(1, len(panels), figsize=(4.1 * len(panels), 3.9), sharey=True, squeeze=False)
    limit = max(np.abs(np.asarray(value)).max() for value, _ in panels.values())
    for ax, (name, (value, field)) in zip(axes[0], panels.items(), strict=True):
        image = ax.pcolormesh(axis, axis, np.asarray(value).T, cmap="PuOr", vmin=-limit, vmax=limit, shading="gouraud")
        _arrows(ax, axis, field, style.BLACK)
        ax.set(title=name, aspect="equal", xlim=axis[[0, -1]], ylim=axis[[0, -1]], **_LOGITS)
        ax.label_outer()
        ax.grid(False)
    figure.colorbar(image, ax=list(axes[0]), label="curl", shrink=0.85)
    return list(axes[0])


_LOGITS = {"xlabel": "logit of switching in state 0", "ylabel": "logit of switching in state 1"}


def _arrows(ax: Axes, axis: NDArray, field: ArrayLike, color: str, count: int = 12) -> None:
    """A coarse grid of arrows whose length is the cube root of the vector's: fields range over many magnitudes."""
    step = len(axis) // count
    pick = np.arange(step // 2, len(axis), step)
    vector = np.asarray(field)[np.ix_(pick, pick)]
    size = np.linalg.norm(vector, axis=-1, keepdims=True)
    vector = vector / np.where(size > 0, size, 1) * np.cbrt(size / size.max())
    u, v = (0.95 * (axis[step] - axis[0]) * vector).transpose(2, 1, 0)
    ax.quiver(
        axis[pick], axis[pick], u, v, color=color, angles="xy", scale_units="xy", scale=1, width=0.004, pivot="mid"
    )


def grid_policies(mdp: Gridworld, panels: Mapping[str, tuple[Tensor, Tensor]], columns: int = 1) -> list[Axes]:
    """Policies on a grid: arrows as long as their action is probable, cells shaded by their occupancy d_π.

    `panels` names (π [state, action], d_π [state]). All panels share one logarithmic scale.
    """
    rows = -(-len(panels) // columns)
    height, width = len(mdp.picture), len(mdp.picture[0])
    cell = min(0.65, 7.0 / (columns * width))  # inches
    size = (columns * (cell * width + 0.2) + 0.9, rows * (cell * height + 0.4))
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    norm = LogNorm(FLOOR, max(np.max(np.asarray(occupancy)) for _, occupancy in panels.values()))
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (name, (pi, occupancy)) in zip(grid.flat, panels.items(), strict=False):
        shade = np.asarray(mdp.grid(occupancy))
        image = ax.imshow(np.where(shade > 0, np.maximum(shade, FLOOR), np.nan), cmap="Blues", norm=norm)
        _draw_map(ax, mdp)
        row, column = np.array(mdp.cells)[~mdp.terminal.numpy()].T
        for move, p in zip(mdp.action_names, np.asarray(pi)[~mdp.terminal.numpy()].T, strict=True):
            down, right = (0.46 * p * step for step in MOVES[move])
            ax.quiver(column, row, right, down, color=style.VERMILION, **_ARROWS)
        ax.set_title(name, fontsize=9.5)
    figure.colorbar(image, ax=list(grid.flat), label=r"occupancy $d_\pi(s)$", aspect=14 * rows)
    return list(grid.flat)[: len(panels)]


_ARROWS = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "xy", "width": 0.055, "minlength": 0}


def _draw_map(ax: Axes, mdp: Gridworld) -> None:
    for i, row in enumerate(mdp.picture):
        for j, sign in enumerate(row):
            if sign in "C#":
                color, hatch = (style.BLACK, None) if sign == "#" else ("#f0f0f0", "////")
                ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fc=color, ec=style.GREY, lw=0, hatch=hatch))
            if sign in "SG":
                text = ax.annotate(sign, (j - 0.42, i + 0.40), fontsize=8, color=style.BLACK, weight="bold")
                text.set_path_effects([withStroke(linewidth=2, foreground="white")])  # readable on a dark cell, too
    ax.set_xticks(np.arange(len(mdp.picture[0]) + 1) - 0.5, [])
    ax.set_yticks(np.arange(len(mdp.picture) + 1) - 0.5, [])
    ax.tick_params(length=0)
    ax.grid(color=style.GREY, lw=0.4, alpha=0.6)
    ax.spines[:].set_visible(True)


def ascents(
    steps: Sequence[int],
    gaps: Mapping[str, ArrayLike],
    levels: Mapping[str, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """J* - J along ascents, log-log; every seed a thin line, their median a thick one.

    `gaps` names [seed, step] arrays at `steps` (which begin at 1 or later); `levels` names gaps that are drawn dashed.
    """
    ax = style.axes(ax, figsize=(7.4, 4.2))
    for k, (name, values) in enumerate(gaps.items()):
        gap, color = np.asarray(values), COLORS.get(name, style.CYCLE[k])
        ax.plot(steps, gap.T, color=color, lw=0.6, alpha=0.5)
        middle = np.median(gap, axis=0)
        ax.plot(steps, middle, color=color, lw=2)
        ax.annotate(name, (steps[-1], middle[-1]), (6, 0), textcoords="offset points", va="center", color=color)
    for name, value in (levels or {}).items():
        ax.axhline(value, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.annotate(name, (steps[0], value), (2, 3), textcoords="offset points", fontsize=8.5)
    ax.set(xscale="log", yscale="log", xlabel="steps of gradient ascent", ylabel=r"$J^*-J(\theta)$", title=title)
    ax.set_xlim(steps[0], steps[-1])
    style.note(ax, f"{len(gap)} seeds, thin; thick: their median")
    return ax


def angles(gammas: Sequence[float], worlds: Mapping[str, ArrayLike], columns: int = 2) -> list[Axes]:
    """Angle between the gradient without its γ^t and ∇J, against γ < 1, a panel for each world.

    `worlds` names [seed, γ] arrays in degrees. Both axes are logarithmic, the horizontal one in 1 - γ.
    """
    rows = -(-len(worlds) // columns)
    size = (3.8 * columns, 2.5 * rows)
    _, grid = plt.subplots(rows, columns, sharex=True, sharey=True, squeeze=False, figsize=size)
    horizon, color = 1 - np.asarray(gammas), COLORS[r"$\gamma^t$ dropped"]
    gaps = np.diff(np.log10(horizon), prepend=np.inf)
    labels = [f"{gamma:g}" if abs(gap) > 0.4 else "" for gamma, gap in zip(gammas, gaps, strict=True)]
    for ax in grid.flat[len(worlds) :]:
        ax.set_visible(False)
    for ax, (name, values) in zip(grid.flat, worlds.items(), strict=False):
        angle = np.asarray(values)
        ax.plot(horizon, angle.T, color=color, lw=0.6, alpha=0.5)
        ax.plot(horizon, angle.mean(0), "o-", ms=3.5, color=color, lw=2)
        ax.axhline(90, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.set(xscale="log", yscale="log", title=name, xlabel=r"discount $\gamma$", ylabel="angle (degrees)")
        ax.set_xticks(horizon, labels, fontsize=8.5)
        ax.xaxis.set_minor_locator(plt.NullLocator())
        ax.yaxis.set_major_formatter(plt.FormatStrFormatter("%g"))
        ax.label_outer()
    grid[0, 0].set_xlim(1.5 * horizon.max(), horizon.min() / 1.5)
    grid[0, 0].annotate("90 degrees", (horizon.min(), 90), (0, -3), textcoords="offset points", va="top", ha="right")
    style.note(grid[-1, -1], f"{len(angle)} random policies, thin; thick: their mean")
    return list(grid.flat)[: len(worlds)]


def objectives(curves: Mapping[str, Mapping[str, ArrayLike]]) -> list[Axes]:
    """Each objective in a panel of its own: `curves` maps its name to {which update was followed: [seed, step]}."""
    _, axes = plt.subplots(1, len(curves), figsize=(4.4 * len(curves), 3.2), squeeze=False)
    for ax, (objective, lines) in zip(axes[0], curves.items(), strict=True):
        for k, (name, values) in enumerate(lines.items()):
            line, color = np.asarray(values), COLORS.get(name, style.CYCLE[k])
            ax.plot(line.T, color=color, lw=1)
            end = (line.shape[1] - 1, line[:, -1].mean())
            ax.annotate(name, end, (6, 0), textcoords="offset points", va="center", color=color)
        ax.set(xlabel="steps of ascent", ylabel=objective)
    style.note(axes[0, -1], f"{len(line)} starting points, one line each")
    return list(axes[0])
