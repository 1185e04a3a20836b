"""Bias against variance along λ, what a time limit does to a value, and where a young critic's gradients point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from pgcourse.exact import GradientMoments
from pgcourse.plots import style
from pgcourse.plots.explorable import Choice, Curve, Dot, Explorable, Mark, Number, Panel, Segment, Slider
from pgcourse.plots.learning import BAND, on_common_steps, t_interval, thousands

SHADES = ("#9ECAE1", "#4292C6", "#084594", "#041F4A")  # of batch sizes, the larger the darker
SOURCE = {"actions": style.BLUE, "dynamics": style.ORANGE, "start": style.GREY}


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
    _, grid = plt.subplots(1, len(critics), figsize=(9.0, 3.7), sharex=True, sharey=True, squeeze=False)
    low, high, seeds = np.inf, 0.0, set()
    for ax, (title, (bias, variance)) in zip(grid[0], critics.items(), strict=True):
        seeds.add(len(np.asarray(bias)))
        bias, variance = (np.asarray(part, dtype=float).mean(0) for part in (bias, variance))
        ax.plot(lams, bias, color=style.BLACK, lw=1.3, ls="--")
        for n, color in zip(batch_sizes, SHADES, strict=False):
            error = bias + variance / n
            best = error.argmin()
            ax.plot(lams, error, color=color, lw=2)
            ax.plot(lams[best], error[best], "o", color=color, ms=8, mec="white", zorder=3)
            low, high = min(low, error.min()), max(high, error.max())
        ax.set_title(title)
        ax.set(yscale="log", xlim=(-0.03, 1.03), xticks=[0, 0.5, 1])
        ax.set_xticklabels(["0", "0.5", "1"])
    grid[0, 0].set(ylabel=r"squared error / $\|\nabla J\|^2$", ylim=(low / 4, 2 * high))
    grid[0, len(critics) // 2].set_xlabel(r"$\lambda$")
    handles = [Line2D([], [], color=color, lw=2) for _, color in zip(batch_sizes, SHADES, strict=False)]
    handles.append(Line2D([], [], color=style.BLACK, lw=1.3, ls="--"))
    names = [f"error, {n} episodes" for n in batch_sizes]
    grid[0, 0].figure.legend(
        handles, [*names, r"bias$^2$ alone"], loc="outside upper center", ncols=len(handles), fontsize=8.5
    )
    style.note(grid[0, -1], f"exact; means over {' or '.join(map(str, sorted(seeds)))} policies and critics")
    return list(grid[0])


def bias_against_steps(steps: ArrayLike, worlds: Mapping[str, ArrayLike], gamma: float, ax: Axes | None = None) -> Axes:
    """The bias of n-step advantages in units of that at n = 1, [seed, n] a world, with γ^(n-1) as the dashed line."""
    ax = style.axes(ax)
    steps = np.asarray(steps)
    for (name, bias), color in zip(worlds.items(), (style.BLUE, style.ORANGE, style.GREEN), strict=False):
        bias = np.asarray(bias, dtype=float)
        if len(bias) > 1:
            ax.plot(steps, bias.T, color=color, lw=0.6, alpha=0.4)
        ax.plot(steps, bias.mean(0), "o-", color=color, lw=2, ms=4)
        ax.annotate(name, (steps[-1], bias.mean(0)[-1]), (8, 0), textcoords="offset points", va="center", color=color)
    discount = gamma ** (steps - 1.0)
    ax.plot(steps, discount, color=style.BLACK, lw=1, ls="--")
    ax.annotate(r"$\gamma^{n-1}$ alone", (steps[-1], discount[-1]), (-6, 5), textcoords="offset points", ha="right")
    ax.set(
        yscale="log",
        ylim=(None, 4),
        xlabel="steps $n$ before the critic is asked",
        ylabel="bias / bias at $n=1$",
        xticks=steps,
    )
    style.note(ax, "exact; thin: each policy and critic, thick: their mean")
    return ax


def variance_along_lambda(
    lams: ArrayLike, right: Sequence[GradientMoments], ratio: ArrayLike, title: str
) -> tuple[Axes, Axes]:
    """Left: the sources of variance along λ, stacked, in units of the sum at λ = 1, means over seeds.

    Right, under `title`: another critic's variance over that at λ = 1, `ratio` [seed, λ], a line a seed, in pink
    where the first step away from λ = 1 adds noise.
    """
    lams, ratio = np.asarray(lams, dtype=float), np.asarray(ratio, dtype=float)
    _, (left, other) = plt.subplots(1, 2, figsize=(9.0, 3.7))
    total = right[-1].trace
    parts = [np.array([(getattr(m, source) / total).mean().item() for m in right]) for source in SOURCE]
    left.stackplot(lams, parts, colors=list(SOURCE.values()), alpha=0.75, lw=0)
    base = 0.0
    for part, (source, color) in zip(parts, SOURCE.items(), strict=True):
        if part.max() > 0.02:  # thinner than its name
            where = (lams[-1], base + part[-1] / 2)
            left.annotate(source, where, (6, 0), textcoords="offset points", va="center", color=color)
        base += part[-1]
    left.set_title("a critic that is right")
    left.set(ylabel=r"variance / variance at $\lambda=1$", ylim=(0, 1.03))
    rises = ratio[:, -2] > 1
    for line, above in zip(ratio, rises, strict=True):
        other.plot(lams, line, color=style.PURPLE if above else style.GREY, lw=1.4)
    other.axhline(1, color=style.BLACK, lw=0.8, ls="--")
    other.set_title(f"{title}: {rises.sum()} of {len(rises)} rise at once")
    other.set_ylim(0, None)
    for ax in (left, other):
        ax.set(xlabel=r"$\lambda$", xlim=(0, 1), xticks=[0, 0.5, 1])
    style.note(other, f"exact; left: mean over {len(total)} policies, right: a line a policy")
    return left, other


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


def side_by_side(
    curves: Mapping[str, pd.DataFrame], *, algorithm: str | None = None, target: float = 475, top: float = 500
) -> list[Axes]:
    """Learning curves as small multiples: in each panel one table's seeds, mean and interval, in grey the other means.

    Colours are those of the algorithms named, or of `algorithm` in all panels. No return is above `top`, and so no
    interval is drawn beyond it.
    """
    figure, grid = plt.subplots(1, len(curves), figsize=(9.0, 3.3), sharex=True, sharey=True, squeeze=False)
    color = {name: style.COLORS[algorithm or name] for name in curves}
    found = {name: on_common_steps(table, "return") for name, table in curves.items()}
    for ax, (name, (steps, values)) in zip(grid[0], found.items(), strict=True):
        for other, (their_steps, theirs) in found.items():
            if other != name:
                ax.plot(their_steps, theirs.mean(0), color=style.GREY, lw=1.2, alpha=0.7)
        ax.plot(steps, values.T, color=color[name], lw=0.5, alpha=0.35)
        mean, half = t_interval(values)
        ax.plot(steps, mean, color=color[name], lw=2)
        ax.fill_between(
            steps, np.maximum(mean - half, 0), np.minimum(mean + half, top), color=color[name], alpha=0.2, lw=0
        )
        ax.axhline(target, color=style.BLACK, lw=0.7, ls="--", zorder=0)
        ax.set_title(name)
        ax.xaxis.set_major_formatter(thousands)
    grid[0, 0].set(ylim=(0, 1.03 * top))
    seeds = " or ".join(map(str, sorted({len(values) for _, values in found.values()})))
    figure.supylabel("return of an episode", fontsize=9.5)
    figure.supxlabel(
        f"environment steps of one seed ({seeds} seeds; {BAND}; grey: means of the other panels)", fontsize=9
    )
    return list(grid[0])


def directions(cosines: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """The cosine of each learner's mean gradient with the reference, a row an estimator, a dot a learner."""
    ax = style.axes(ax, figsize=(7.2, 1.0 + 0.5 * len(cosines)))
    names = list(cosines)[::-1]
    for row, name in enumerate(names):
        values = np.asarray(cosines[name], dtype=float)
        ax.plot(values, np.full(len(values), row), "o", color=style.COLORS["A2C"], alpha=0.55, ms=7, mec="white")
        ax.plot([values.mean()] * 2, [row - 0.25, row + 0.25], color=style.BLACK, lw=2)
    ax.axvline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(-1.05, 1.05), ylim=(-0.6, len(cosines) - 0.4), xlabel="cosine with the reference gradient")
    ax.grid(axis="y", visible=False)
    count = {len(np.asarray(values)) for values in cosines.values()}
    style.note(ax, f"dots: {' or '.join(map(str, sorted(count)))} learners; bar: their mean")
    return ax


def explore_gae(
    lams: ArrayLike,
    critics: Mapping[float, tuple[ArrayLike, ArrayLike]],
    batch_sizes: Sequence[int],
    start: float = 0.5,
    terms: int = 10,
) -> Explorable:
    """What λ weighs, and what it costs: the weights of the n-step terms, and bias² and variance / N at that λ.

    The reader moves λ over `lams` and chooses the critic and the number of episodes N. `critics` maps the size of a
    critic's error to (bias², variance of one episode's estimate), each [seed, λ] in units of ‖∇J‖²; what is shown are
    means over seeds.
    """
    lams = np.asarray(lams, dtype=float)
    parts = [[np.asarray(part, dtype=float).mean(0) for part in each] for each in critics.values()]
    bias = np.stack([each[0] for each in parts])[:, None]  # [critic, 1, λ]
    variance = np.stack([each[1] for each in parts])[:, None] / np.asarray(batch_sizes)[:, None]  # [critic, N, λ]
    error = bias + variance
    best = error.argmin(-1)
    low, high = error.min() / 4, 2 * error.max()
    weight, places = n_step_weights(lams, terms), [*range(1, terms + 1), terms + 1.5]
    bars = [Segment(n, 0, n, weight[:, k, None, None], style.BLUE, width=18) for k, n in enumerate(places)]
    at = {"bias²": bias, "variance / N": variance, "error": error}
    color = {"bias²": style.VERMILION, "variance / N": style.ORANGE, "error": style.BLUE}
    lines = [Curve(lams, each[None], color[name], name, dashed=name == "bias²") for name, each in at.items()]
    here = {name: np.moveaxis(each, -1, 0) for name, each in at.items()}  # [λ, critic, N]
    x = lams[:, None, None]
    lowest = np.take_along_axis(error, best[..., None], -1)[..., 0]
    marks: list[Mark] = [
        Segment(x, low, x, high, width=1, dashed=True),
        *lines,
        Dot(lams[best][None], lowest[None], style.BLUE, "lowest", radius=9, hollow=True),
        *[Dot(x, each, color[name], opacity=each >= low) for name, each in here.items()],
    ]
    ticks = {float(n): str(n) for n in range(1, terms + 1)} | {places[-1]: "more"}
    panels = [
        Panel("Weights of the n-step advantages", bars, (0.3, terms + 2.2), (0, 1), "n", "weight", xticks=ticks),
        Panel(
            "Squared error in units of ‖∇J‖²", marks, (0, 1), (low, high), "λ", "squared error", log=True,
            xticks={0.0: "0", 0.5: "0.5", 1.0: "1"},
        ),
    ]  # fmt: skip
    numbers = [Number(name, each, "{:.4f}") for name, each in here.items()]
    numbers.append(Number("lowest at λ", lams[best][None], "{:.2f}"))
    first = int(np.abs(lams - start).argmin())
    return Explorable(
        "A slider sets λ, two choices the critic's error and the number of episodes. Bars show the weights of the "
        "n-step advantages, curves show squared bias, variance and their sum against λ, dots mark the slider's λ.",
        [
            Slider("λ", [f"{lam:.2f}" for lam in lams], first),
            Choice("critic wrong by", [f"{size:g}" for size in critics], len(critics) // 2),
            Choice("episodes N", [str(n) for n in batch_sizes], len(batch_sizes) // 2),
        ],
        panels,
        numbers,
    )


def n_step_weights(lams: ArrayLike, terms: int) -> NDArray:
    """(1-λ) λ^(n-1) of the advantages of n = 1 … `terms` steps, then what all longer ones weigh, [λ, terms + 1]."""
    lam = np.asarray(lams, dtype=float)[:, None]
    powers = lam ** np.arange(terms + 1)
    return np.concatenate([(1 - lam) * powers[:, :-1], powers[:, -1:]], 1)
