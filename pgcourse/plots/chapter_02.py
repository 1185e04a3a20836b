"""The policy gradient theorem: gradients by sampling, vector fields over θ, policies on a grid, ascents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pgcourse.exact import GradientMoments, Gridworld
from pgcourse.exact.builders import MOVES
from pgcourse.exact.sampling import batch_errors
from pgcourse.plots import style

COLORS = {
    "γ^t kept": style.BLUE,
    "γ^t dropped": style.PURPLE,
    "exact": style.BLACK,
    "sampled": style.SKY,
    "start at S": style.VERMILION,
    "start anywhere": style.BLUE,
}
FLOOR = 1e-5  # occupancies below are drawn as empty


def gradient_by_sampling(
    gradients: Mapping[str, Tensor], exact: Tensor, moments: Mapping[str, GradientMoments]
) -> tuple[Axes, Axes]:
    """Sampled gradients of one policy: component by component, and their error against the number of episodes.

    Args:
        gradients: of every episode, [seed, episode, parameter], for each estimator.
        exact: ∇J, [parameter].
        moments: exact mean and variance of the same estimators; their first row gives the lines.

    Left: the mean over all episodes of each seed is a dot. Right: each seed is a thin line, the dots are the root mean
    square over seeds and batches, the dashed lines √(‖bias‖² + tr Cov(g)/n), all over ‖∇J‖.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.7), width_ratios=(1, 1.15))
    order = exact.argsort()
    order = order[exact[order] != 0]  # terminal states have parameters, too
    place = np.arange(len(order))
    left.hlines(exact[order], place - 0.45, place + 0.45, color=style.BLACK, lw=1.4)
    seeds, episodes, _ = next(iter(gradients.values())).shape
    sizes = 2 ** np.arange(int(np.log2(episodes)) + 1)
    ends = {}
    for k, (name, sample) in enumerate(gradients.items()):
        color = COLORS.get(name, style.CYCLE[k])
        x = place + 0.22 * (2 * k - len(gradients) + 1)
        left.plot(x, sample.mean(1).T[order], "o", ms=2.4, color=color, alpha=0.6, mew=0)
        square = np.stack(
            [batch_errors(sample, exact.expand(seeds, -1), int(n)).square().mean(1) for n in sizes], axis=-1
        )
        right.plot(sizes, np.sqrt(square.T), color=color, lw=0.5, alpha=0.35)
        right.plot(sizes, np.sqrt(square.mean(0)), "o", ms=3.5, color=color)
        bias, trace = (moments[name].mean[0] - exact).norm().item(), moments[name].trace[0].item()
        theory = np.sqrt(bias**2 + trace / sizes) / exact.norm().item()
        right.plot(sizes, theory, "--", lw=1.1, color=color)
        ends[name] = (color, theory[-1])
    for name, (color, y) in ends.items():
        right.annotate(name, (sizes[-1], y), (6, 0), textcoords="offset points", va="center", color=color)
    left.axhline(0, color=style.GREY, lw=0.6)
    left.annotate("bars: exact ∇J", (0.03, 0.95), xycoords="axes fraction", va="top")
    left.set(xticks=[], xlabel="components of θ, sorted by ∂J/∂θ", ylabel="component of the gradient")
    left.grid(False)
    right.set(xscale="log", yscale="log", xlabel="episodes averaged, n", ylabel="‖ĝ - ∇J‖ / ‖∇J‖")
    right.set_title("error; dashed: theory", fontsize=10)
    left.set_title(f"means of {episodes:,} episodes", fontsize=10)
    style.note(right, f"one policy, {seeds} seeds: dots left, thin lines right; large dots: root mean square")
    return left, right


def credit(matrix: ArrayLike, title: str | None = None, ax: Axes | None = None) -> Axes:
    """‖E[γ^k r_k ∇log π(a_t|s_t)]‖ for every pair of a reward's time k (down) and an action's time t (across)."""
    matrix = np.asarray(matrix)
    ax = style.axes(ax, figsize=(5.2, 4.2))
    image = ax.imshow(matrix, cmap="Blues", vmin=0)
    for (k, t), value in np.ndenumerate(matrix):
        color = "white" if value > 0.6 * matrix.max() else style.GREY if k < t else style.BLACK
        text = f"{value:.3f}" if value > 1e-12 else "0"
        ax.annotate(text, (t, k), ha="center", va="center", fontsize=8.5, color=color)
    ax.set(xlabel="time t of the action", ylabel="time k of the reward", title=title)
    ax.set_xticks(range(matrix.shape[1]))
    ax.set_yticks(range(matrix.shape[0]))
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label="‖E[γ^k r_k ∇log π(a_t|s_t)]‖", shrink=0.85)
    return ax


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
    """
    ax = style.axes(ax, figsize=(6.2, 4.8))
    axis, height = np.asarray(axis), np.asarray(height)
    filled = ax.contourf(axis, axis, height.T, levels=24, cmap="Greys", alpha=0.75)
    ax.figure.colorbar(filled, ax=ax, label="J(θ)", format="%.1f", shrink=0.9)
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
    figure.colorbar(image, ax=list(grid.flat), label="occupancy d_π(s)", aspect=14 * rows)
    return list(grid.flat)[: len(panels)]


_ARROWS = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "xy", "width": 0.055, "minlength": 0}


def _draw_map(ax: Axes, mdp: Gridworld) -> None:
    for i, row in enumerate(mdp.picture):
        for j, sign in enumerate(row):
            if sign in "C#":
                color, hatch = (style.BLACK, None) if sign == "#" else ("#f0f0f0", "////")
                ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fc=color, ec=style.GREY, lw=0, hatch=hatch))
            if sign in "SG":
                ax.annotate(sign, (j - 0.42, i + 0.40), fontsize=8, color=style.BLACK, weight="bold")
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
    ax.set(xscale="log", yscale="log", xlabel="steps of gradient ascent", ylabel="J* - J(θ)", title=title)
    ax.set_xlim(steps[0], steps[-1])
    style.note(ax, f"{len(gap)} seeds, thin; thick: their median")
    return ax


def angles(gammas: Sequence[float], worlds: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """Angle between the gradient without its γ^t and ∇J, against γ < 1; `worlds` names [seed, γ] arrays in degrees."""
    ax = style.axes(ax, figsize=(7.2, 4.0))
    horizon = 1 - np.asarray(gammas)
    color = style.colors(worlds)
    for name, values in worlds.items():
        angle = np.asarray(values)
        ax.plot(horizon, angle.T, color=color[name], lw=0.5, alpha=0.4)
        ax.plot(horizon, angle.mean(0), "o-", ms=3.5, color=color[name], lw=2, label=name)
    ax.set(xscale="log", yscale="log", xlabel="discount γ", ylabel="angle to ∇J (degrees)")
    ax.set_xticks(horizon, [f"{gamma:g}" for gamma in gammas])
    ax.xaxis.set_minor_locator(plt.NullLocator())
    ax.yaxis.set_major_formatter(plt.FormatStrFormatter("%g"))
    ax.axhline(90, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    ax.annotate("90°: no longer uphill", (horizon.min(), 90), (0, -3), textcoords="offset points", va="top", ha="right")
    ax.set_xlim(1.05 * horizon.max(), horizon.min() / 1.05)
    ax.legend(loc="lower left")
    style.note(ax, f"{len(angle)} random policies, thin; thick: their mean; horizontal scale: log(1 - γ)")
    return ax


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
