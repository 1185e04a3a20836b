"""How far one update may go: the surrogate beside the truth, distances between policies, and steps of all lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from pgcourse.plots import style
from pgcourse.plots.learning import BAND, on_common_steps, t_interval, thousands
from pgcourse.plots.simplex import CORNERS, barycentric

ROLES = {"truth": style.BLACK, "surrogate": style.SKY}
WAYS = {"plain gradient": style.COLORS["REINFORCE"], "natural gradient": style.COLORS["natural gradient"]}
METRICS = {"KL": WAYS["natural gradient"], "Euclid": WAYS["plain gradient"]}  # each gradient's own measure of a step
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#b4b4b4"])  # the darker, the higher


def one_step_too_far(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]], delta: float | None = None
) -> list[Axes]:
    """What a step along ∇J promises and what it gives, against its length; a panel a world.

    `panels` maps a title to (length of the step as a KL divergence [step], true change of J and that of the surrogate,
    both [seed, step]). Of several seeds each is a thin line under their mean and its 95 % t-interval. `delta` is a
    length to mark. A panel shows all means and intervals; single seeds may leave it.
    """
    _, grid = plt.subplots(1, len(panels), figsize=(1.6 + 4.4 * len(panels), 3.8), squeeze=False)
    for ax, (title, (kl, *changes)) in zip(grid[0], panels.items(), strict=True):
        x, shown = np.asarray(kl, dtype=float), []
        for (name, color), values in zip(ROLES.items(), changes, strict=True):
            seeds = np.asarray(values, dtype=float)
            mean, half = t_interval(seeds)
            if len(seeds) > 1:
                ax.plot(x, seeds.T, color=color, lw=0.5, alpha=0.35)
                ax.fill_between(x, mean - half, mean + half, color=color, alpha=0.2, lw=0)
            ax.plot(x, mean, color=color, lw=2.2, label=name)
            shown.append(mean if len(seeds) == 1 else [mean - half, mean + half])
        ax.axhline(0, color=style.BLACK, lw=0.8, zorder=0)
        if delta is not None:
            _mark(ax, delta)
        low, high = min(map(np.min, shown)), max(map(np.max, shown))
        ax.set(xscale="log", xlim=(x[0], x[-1]), ylim=(low - 0.1 * (high - low), high + 0.15 * (high - low)))
        ax.set(xlabel="length of the step (KL to second order, nats)", title=f"{title}, {_policies(len(seeds))}")
    grid[0, 0].set_ylabel("change of the return")
    grid[0, 0].legend(loc="lower left", fontsize=9)
    if max(np.shape(truth)[0] for _, truth, _ in panels.values()) > 1:
        style.note(grid[0, -1], "thin: seeds; thick: their mean; band: its 95 % t-interval")
    return list(grid[0])


def _mark(ax: Axes, delta: float, at: float = 0.98, right: bool = False) -> None:
    """A dashed line at δ, its name beside it at the height `at` of the axes."""
    ax.axvline(delta, color=style.GREY, lw=1, ls="--", zorder=0)
    ax.annotate(
        rf"$\delta={delta:g}$",
        xy=(delta, at),
        xycoords=("data", "axes fraction"),
        xytext=(4 if right else -4, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        color=style.GREY,
        fontsize=9,
    )


def _policies(count: int) -> str:
    return f"{count} policies" if count > 1 else "one policy"


def penalties(error: ArrayLike, bounds: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """Bounds on the surrogate's error against the error itself, log-log, a dot a pair of policies; all are [pair]."""
    ax = style.axes(ax, figsize=(6.6, 4.4))
    truth = np.asarray(error, dtype=float)
    for (name, values), color in zip(bounds.items(), (style.GREY, style.SKY), strict=True):
        ax.plot(truth, np.asarray(values, dtype=float), ".", ms=1.5, alpha=0.3, color=color, rasterized=True)
        ax.plot([], [], "o", color=color, label=name)
    ends = np.quantile(truth[truth > 0], [0.001, 1])
    ax.plot(ends, ends, color=style.BLACK, lw=1.2)
    middle = np.sqrt(ends[:1] * ends[1:]).repeat(2)
    ax.annotate("a tight bound", middle, (12, -4), textcoords="offset points", va="top", fontsize=9)
    ax.set(xscale="log", yscale="log", xlabel=r"the surrogate's error $|J(\theta')-L(\theta')|$", ylabel="bound on it")
    ax.set_xlim(ends[0], 2 * ends[1])
    ax.legend(loc="upper left", fontsize=9)
    style.note(ax, f"{len(truth):,} pairs of policies")
    return ax


def policy_balls(
    policies: Sequence[ArrayLike], gaussians: Sequence[tuple[float, float]], delta: float = 0.02
) -> list[Axes]:
    """All policies within KL(π ‖ ·) ≤ δ of some centres, and the Euclidean balls in parameters that fit the first one.

    Left, softmax policies over three actions on the simplex; right, Gaussians (μ, log σ). Euclidean balls are those of
    the logits and of (μ, log σ), their one radius such that to second order ball and KL ball touch at the first centre.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.1))
    turn = np.linspace(0, 2 * np.pi, 181)
    flat = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])  # an orthonormal basis of Σ z = 0
    around = np.stack([np.cos(turn), np.sin(turn)], 1)
    first = np.asarray(policies[0], dtype=float)
    curvature = flat @ (np.diag(first) - np.outer(first, first)) @ flat.T
    radius = np.sqrt(2 * delta / np.linalg.eigvalsh(curvature).max())
    left.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color=style.BLACK, lw=1)
    for centre in policies:
        logits = np.log(np.asarray(centre, dtype=float))
        reach = _reach(lambda z, c=logits: _softmax_kl(c, z), logits, around @ flat, delta)
        for name, length in (("KL", reach), ("Euclid", radius)):
            boundary = _softmax(logits + np.broadcast_to(length, len(turn))[:, None] * (around @ flat)) @ CORNERS
            left.fill(*boundary.T, color=METRICS[name], alpha=0.15, lw=0)
            left.plot(*boundary.T, color=METRICS[name], lw=1.8)
        left.plot(*(_softmax(logits) @ CORNERS), ".", color=style.BLACK)
    left.set(aspect="equal", title="softmax over three actions")
    left.axis("off")
    radius = np.sqrt(2 * delta) * min(np.exp(gaussians[0][1]), np.sqrt(0.5))
    for centre in gaussians:
        point = np.asarray(centre, dtype=float)
        reach = _reach(lambda p, c=point: _gaussian_kl(c, p), point, around, delta)
        for name, length in (("KL", reach), ("Euclid", radius)):
            boundary = point + np.broadcast_to(length, len(turn))[:, None] * around
            right.fill(*boundary.T, color=METRICS[name], alpha=0.15, lw=0)
            right.plot(*boundary.T, color=METRICS[name], lw=1.8)
        right.plot(*point, ".", color=style.BLACK)
    right.set(aspect="equal", xlabel=r"mean $\mu$", ylabel=r"$\log\sigma$", title="Gaussian")
    names = {"KL": rf"$\mathrm{{KL}}(\pi\,\|\,\cdot)={delta:g}$ nats", "Euclid": "one length of the parameters"}
    handles = [Line2D([], [], color=METRICS[name], lw=2, label=label) for name, label in names.items()]
    left.figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=9)
    return [left, right]


def _softmax(z: NDArray) -> NDArray:
    weight = np.exp(z - z.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def _softmax_kl(centre: NDArray, z: NDArray) -> NDArray:
    pi = _softmax(centre)
    return (pi * (np.log(pi) - np.log(_softmax(z)))).sum(-1)


def _gaussian_kl(centre: NDArray, p: NDArray) -> NDArray:
    log_ratio = centre[1] - p[:, 1]
    return -log_ratio + 0.5 * (np.exp(2 * log_ratio) + ((centre[0] - p[:, 0]) / np.exp(p[:, 1])) ** 2 - 1)


def _reach(kl, centre: NDArray, directions: NDArray, delta: float) -> NDArray:
    """The length along each direction at which KL = δ, by bisection of where it is first exceeded."""
    low, high = np.zeros(len(directions)), np.full(len(directions), 1e-3)
    while (inside := kl(centre + high[:, None] * directions) < delta).any():
        high = np.where(inside, 2 * high, high)
    for _ in range(50):
        middle = 0.5 * (low + high)
        inside = kl(centre + middle[:, None] * directions) < delta
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


def gradient_paths(
    reward: ArrayLike,
    simplex: Mapping[str, ArrayLike],
    gaussian: Mapping[str, Mapping[str, ArrayLike]],
    objective: ArrayLike,
    extent: tuple[float, float, float, float],
    marks: int = 10,
) -> list[Axes]:
    """Where gradients lead: on the simplex of three actions, shaded by J = πᵀ reward, and in (μ, log σ).

    `simplex` names curves [path, time, 3], a dot every `marks` points of time. `gaussian` names, for each way, the
    coordinates that it was followed in, and curves [path, time, 2]: a colour a way, a line style a system of
    coordinates. `objective` [log σ, μ] is J over `extent` (lowest μ, highest μ, lowest log σ, highest log σ).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.5))
    pi = barycentric(60)
    left.tricontourf(*(pi @ CORNERS).T, pi @ np.asarray(reward, dtype=float), levels=18, cmap=SHADES)
    for name, paths in simplex.items():
        for path in np.asarray(paths, dtype=float) @ CORNERS:
            left.plot(*path.T, color=WAYS[name], lw=1.8)
            left.plot(*path[::marks].T, ".", color=WAYS[name], ms=6)
            left.plot(*path[0], "o", color=style.BLACK, ms=5)
    for corner, value, shift in zip(CORNERS, np.asarray(reward), ((-6, -14), (6, -14), (0, 6)), strict=True):
        left.annotate(f"reward {value:g}", corner, shift, textcoords="offset points", ha="center", fontsize=9)
    left.set(aspect="equal", ylim=(-0.1, 0.97))
    left.axis("off")
    low, high, bottom, top = extent
    height = np.asarray(objective, dtype=float)
    mu, log_std = np.linspace(low, high, height.shape[1]), np.linspace(bottom, top, height.shape[0])
    right.contourf(mu, log_std, height, levels=18, cmap=SHADES)
    systems = dict.fromkeys(system for ways in gaussian.values() for system in ways)
    dashes = dict(zip(systems, ("-", (0, (2, 1.5)), ":"), strict=False))
    for name, ways in gaussian.items():
        for system, paths in ways.items():
            for path in np.asarray(paths, dtype=float):
                right.plot(*path.T, color=WAYS[name], lw=4 if dashes[system] == "-" else 2, ls=dashes[system],
                           alpha=0.5 if dashes[system] == "-" else 1)  # fmt: skip
                right.plot(*path[0], "o", color=style.BLACK, ms=5)
    right.set(xlim=(low, high), ylim=(bottom, top), xlabel=r"mean $\mu$", ylabel=r"$\log\sigma$")
    lines = [Line2D([], [], color=color, lw=2.5, label=name) for name, color in WAYS.items()]
    lines += [Line2D([], [], color=style.GREY, lw=2, ls=ls, label=f"in {system}") for system, ls in dashes.items()]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), fontsize=9)
    return [left, right]


def residuals(curves: Mapping[str, ArrayLike], mark: int | None = None, ax: Axes | None = None) -> Axes:
    """A solver's relative residual after each iteration, [seed, iteration], the first after none."""
    ax = style.axes(ax, figsize=(7.0, 4.0))
    shades = plt.get_cmap("Greys")(np.linspace(0.9, 0.4, len(curves)))
    for (name, values), color in zip(curves.items(), shades, strict=True):
        seeds = np.asarray(values, dtype=float)
        ax.plot(seeds.T, color=color, lw=0.5, alpha=0.5)
        ax.plot(np.median(seeds, axis=0), color=color, lw=2.2, label=name)
    if mark is not None:
        ax.axvline(mark, color=style.GREY, lw=1, ls="--", zorder=0)
    ax.set(yscale="log", xlabel="steps of conjugate gradients", ylabel=r"residual / $\|g\|$")
    ax.set_xlim(0, seeds.shape[1] - 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=9, loc="lower left")
    style.note(ax, f"{len(seeds)} seeds, thin; thick: their median")
    return ax


def step_lengths(kl: Mapping[str, ArrayLike], delta: float, unit: str = "updates", ax: Axes | None = None) -> Axes:
    """The share of updates that move the policy by at most so much KL, one line a method, δ marked; [seed, update].

    `unit` says what they are if not single updates, such as the rows of a record.
    """
    ax = style.axes(ax, figsize=(7.0, 3.8))
    color = style.colors(kl)
    every = {name: np.asarray(values, dtype=float) for name, values in kl.items()}
    shortest = min(np.quantile(values, 0.001) for values in every.values())
    longest = max(values.max() for values in every.values())
    for name, values in every.items():
        lengths = np.sort(values, axis=None)
        ax.plot(lengths, (1 + np.arange(len(lengths))) / len(lengths), color=color[name], lw=2, label=name)
    _mark(ax, delta, at=0.12, right=True)
    ax.set(xscale="log", ylabel=f"share of the {unit}", ylim=(0, 1.02))
    ax.set_xlabel(r"$\mathrm{KL}(\pi_{\mathrm{old}}\,\|\,\pi)$ of an update (nats)")
    ax.set_xlim(0.7 * shortest, max(1.5 * longest, 6 * delta))
    if longest < 1000 * shortest:  # too few powers of ten to read between
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(loc="center left", fontsize=9)
    counts = (f"{name}: {v.shape[0]} seeds, {v.shape[1]} {unit} each" for name, v in every.items())
    style.note(ax, "; ".join(counts))
    return ax


def learning_panels(curves: pd.DataFrame, target: float, most: float) -> list[Axes]:
    """Returns over training, a panel a variant in its own colour; thin seeds, their mean and its 95 % t-interval.

    `curves` has the columns variant, seed, step and return; `target` is drawn dashed, and nothing is above `most`.
    """
    color = style.colors(curves["variant"])
    figure, grid = plt.subplots(1, len(color), figsize=(9.6, 3.2), sharex=True, sharey=True)
    for ax, (variant, shade) in zip(grid, color.items(), strict=True):
        steps, values = on_common_steps(curves[curves["variant"] == variant], "return")
        mean, half = t_interval(values)
        ax.plot(steps, values.T, color=shade, lw=0.5, alpha=0.4)
        ax.fill_between(steps, mean - half, np.minimum(mean + half, most), color=shade, alpha=0.2, lw=0)
        ax.plot(steps, mean, color=shade, lw=2)
        ax.axhline(target, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.set(title=f"{variant}, {len(values)} seeds", ylim=(0, 1.04 * most))
        ax.xaxis.set_major_formatter(thousands)
    grid[0].set_ylabel("return of an episode")
    figure.supxlabel(f"environment steps of one seed ({BAND})", fontsize=9)
    return list(grid)
