"""Figures of chapter 01: the diver drawn and filmed, the learners of the corridor, samples as histograms."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pgcourse.envs.worlds.diver import Diver, Flight
from pgcourse.exact import TabularMDP
from pgcourse.plots import style
from pgcourse.plots.explorable import MINUS, Choice, Curve, Dot, Explorable, Mark, Number, Panel, Segment, Slider, Text
from pgcourse.plots.simplex import CORNERS

BODY, TUCKED = 2.0, 1.0  # m from hands to feet


def dives(actions: Tensor, titles: Sequence[str], samples: int = 13) -> list[Axes]:
    """One panel a dive, as a sequence of poses from take-off to entry; `actions` [dive, 3]."""
    figure, axes = plt.subplots(
        1, len(actions), figsize=(2.1 * len(actions) + 1.4, 5.0), sharex=True, sharey=True, squeeze=False
    )
    for ax, action, title in zip(axes.flat, actions, titles, strict=True):
        flight = Diver.flight(action, samples)
        scene(ax)
        ax.plot(flight.x, flight.z, color=style.SKY, lw=1, zorder=1)
        for k in range(samples):
            draw_body(ax, flight, k, alpha=0.35 + 0.65 * k / (samples - 1))
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel("height above the water (m)")
    figure.supxlabel("distance from the platform's edge (m)", fontsize=9)
    figure.legend(handles=KEY, loc="outside right upper", fontsize=9)
    return list(axes.flat)


KEY = [
    Line2D([], [], color=style.BLUE, lw=2.5, label="stretched"),
    Line2D([], [], color=style.ORANGE, lw=5, label="tucked"),
    Line2D([], [], color=style.VERMILION, marker="o", ms=4, lw=0, label="hands"),
    Line2D([], [], color=style.SKY, lw=1, label="centre of mass"),
]


@dataclass(frozen=True)
class MovingPicture:
    """A GIF that a notebook and its web page show; `alt` says what is to be seen for those who cannot see it."""

    data: bytes
    alt: str

    def _repr_html_(self) -> str:
        return f'<img src="data:image/gif;base64,{b64encode(self.data).decode()}" alt="{escape(self.alt)}">'

    def __repr__(self) -> str:
        return f"[{self.alt}]"


def animate_dives(
    actions: Tensor, titles: Sequence[str], alt: str, samples: int = 40, seconds: float = 3.0
) -> MovingPicture:
    """The dives [panel, dive, 3] as a film: a panel for each title, in which its dives are made at the same time."""
    figure, axes = plt.subplots(
        1, len(actions), figsize=(2.9 * len(actions), 5.2), dpi=90, sharex=True, sharey=True, squeeze=False
    )
    flights = [[Diver.flight(action, samples) for action in panel] for panel in actions]
    for ax, title, panel in zip(axes.flat, titles, flights, strict=True):
        scene(ax)
        for flight in panel:
            ax.plot(flight.x, flight.z, color=style.SKY, lw=0.8)
        ax.set_title(title, fontsize=10)
    axes[0, 0].set_ylabel("height above the water (m)")
    canvas: Any = figure.canvas
    canvas.draw()  # all that stands still, once
    figure.set_layout_engine("none")
    empty = canvas.copy_from_bbox(figure.bbox)
    pictures = []
    for k in range(samples):
        canvas.restore_region(empty)
        for ax, panel in zip(axes.flat, flights, strict=True):
            for artist in [part for flight in panel for part in draw_body(ax, flight, k, alpha=0.75)]:
                ax.draw_artist(artist)
                artist.remove()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    plt.close(figure)
    each = round(1000 * seconds / samples)
    duration = [each] * (samples - 1) + [each * (1 + samples // 3)]  # the last pose stays before all begins again
    buffer = BytesIO()
    indexed = [picture.quantize(64, dither=Image.Dither.NONE) for picture in pictures]
    indexed[0].save(buffer, "GIF", save_all=True, append_images=indexed[1:], duration=duration, loop=0)
    return MovingPicture(buffer.getvalue(), alt)


def scene(ax: Axes) -> None:
    """Platform and water."""
    ax.fill_between([-2.2, 3.2], -1.2, 0, color=style.SKY, alpha=0.25, lw=0)
    ax.plot([-2.2, 0], [10, 10], color=style.GREY, lw=5, solid_capstyle="butt")
    ax.set(xlim=(-2.2, 3.2), ylim=(-1.2, 13.2), aspect="equal")
    ax.grid(visible=False)


def draw_body(ax: Axes, flight: Flight, k: int, alpha: float = 1.0) -> list:
    """The body at sample k: a line from feet to hands, the hands a dot; short and thick in the tuck."""
    feet, hands = body(flight, k)
    tucked = bool(flight.tucked[..., k])
    color = style.ORANGE if tucked else style.BLUE
    (stick,) = ax.plot(
        *np.stack([feet, hands], 1), color=color, lw=5 if tucked else 2.5, alpha=alpha, solid_capstyle="round"
    )
    (dot,) = ax.plot(*hands, "o", color=style.VERMILION, ms=4, alpha=alpha)
    return [stick, dot]


def body(flight: Flight, k: int) -> tuple[NDArray, NDArray]:
    """(feet, hands) in metres; angle 0 is upright, and a forward somersault turns clockwise."""
    centre = np.array([flight.x[..., k], flight.z[..., k]])
    angle = float(flight.angle[..., k])
    up = np.array([np.sin(angle), np.cos(angle)])
    half = 0.5 * (TUCKED if flight.tucked[..., k] else BODY)
    return centre - half * up, centre + half * up


def spread_over_updates(mean: Tensor, std: Tensor, names: Sequence[str]) -> list[Axes]:
    """What the diver tries against the updates: μ ± σ for each quantity; [update, seed, quantity], one line a seed."""
    _, axes = plt.subplots(1, len(names), figsize=(7.5, 2.9), sharex=True)
    for j, (ax, name) in enumerate(zip(axes, names, strict=True)):
        mu, sigma = mean[..., j], std[..., j]
        for seed in range(mean.shape[1]):
            low, high = mu[:, seed] - sigma[:, seed], mu[:, seed] + sigma[:, seed]
            ax.fill_between(np.arange(len(mu)), low, high, color=style.SKY, alpha=0.08, lw=0)
        ax.plot(mu, color=style.BLUE, lw=0.7, alpha=0.7)
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("updates")
    axes[0].set_ylabel("action (its own units)")
    style.note(axes[-1], rf"{mean.shape[1]} seeds: lines $\mu$, shade $\mu \pm \sigma$")
    return list(axes)


def step_sizes(grades: Mapping[str, Tensor], spreads: Mapping[str, Tensor], marked: int | None = None) -> list[Axes]:
    """Grade above, spread below, a column for each step size; [update, seed], one line a seed.

    `marked` is an update at which a dotted line is drawn in every panel.
    """
    _, axes = plt.subplots(2, len(grades), figsize=(7.5, 4.4), sharex=True, sharey="row", squeeze=False)
    for column, name in zip(axes.T, grades, strict=True):
        for ax, lines in zip(column, (grades[name], spreads[name]), strict=True):
            ax.plot(np.arange(1, 1 + len(lines)), lines, color=style.COLORS["REINFORCE"], lw=0.8, alpha=0.6)
            if marked is not None:
                ax.axvline(marked, color=style.BLACK, lw=0.8, ls=":")
        column[0].set_title(name, fontsize=10)
        column[1].set(yscale="log", xlabel="updates")
    axes[0, 0].set(ylabel="mean grade of a batch", ylim=(-0.3, 10.3))
    axes[1, 0].set_ylabel(r"spread $\sigma$")
    style.note(axes[1, -1], f"{next(iter(grades.values())).shape[1]} seeds, one line each")
    return list(axes.flat)


def corridor_learners(p: Tensor, value: Tensor, paths: Tensor, path_values: Tensor) -> list[Axes]:
    """The corridor's value against p(right), with where learners begin and end; and p(right) over their updates.

    `p` and `value` [point] are the exact curve; `paths` and `path_values` [update, seed] the learners.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(7.8, 3.3), width_ratios=(1.15, 1))
    best = value.argmax()
    color = style.COLORS["REINFORCE"]
    left.plot(p, value, color=style.COLORS["exact"], lw=1.5)
    left.plot(paths[0], path_values[0], "o", mfc="white", mec=color, ms=6, label="first policies")
    left.plot(paths[-1], path_values[-1], "o", color=color, ms=5, alpha=0.6, label="learned policies")
    left.annotate(
        f"best: $p = {p[best]:.2f}$, $J = {value[best]:.1f}$",
        (float(p[best]), float(value[best])),
        (0, -34),
        textcoords="offset points",
        ha="center",
        arrowprops={"arrowstyle": "-", "lw": 0.8},
        fontsize=9,
    )
    left.set(xlabel="$p$ = probability of “right”", ylabel="expected return $J$", ylim=(-95, 0), xlim=(0, 1))
    left.legend(fontsize=9, loc="lower center")
    right.plot(paths, color=color, lw=0.8, alpha=0.6)
    right.axhline(float(p[best]), color=style.BLACK, lw=0.8, ls="--")
    right.set(xlabel="updates", ylabel="$p$", ylim=(0, 1))
    style.note(right, f"{paths.shape[1]} seeds, one line each; dashed: best $p$")
    return [left, right]


def histograms(samples: Mapping[str, Tensor], xlabel: str, bins: int = 60) -> Axes:
    """Densities of several samples on common bins between the 0.5 % and 99.5 % quantiles, their means as lines."""
    ax = style.axes(figsize=(7, 3.2))
    color = style.colors(samples)
    everything = torch.cat(list(samples.values()))
    low, high = np.quantile(everything.numpy(), [0.005, 0.995])
    edges = np.linspace(low, high, bins).tolist()
    for k, (name, values) in enumerate(samples.items()):
        ax.hist(values, edges, density=True, alpha=0.5, color=color[name], label=name)
        ax.axvline(float(values.mean()), color=color[name], lw=2, ls=(3 * k, (3, 3 * (len(samples) - 1))))
    ax.set(xlabel=xlabel, ylabel="density")
    ax.legend(fontsize=9)
    size = {len(values) for values in samples.values()}
    style.note(ax, f"{max(size):,} samples each, cut at the 0.5 % and 99.5 % quantiles; vertical lines: their means")
    return ax


def explore_softmax(mdp: TabularMDP, logits: Sequence[float], steps: Sequence[float]) -> Explorable:
    """The softmax policy of three actions in a triangle, its exact gradient, and where a step along it leads.

    The reader moves the logits of the first two actions over `logits`, from 0 on, that of the third is 0, and chooses
    the size of the step among `steps`. `mdp` has one state in which one acts; π, J and ∇J are its own.
    """
    z = np.asarray(logits, dtype=float)
    pairs = torch.cartesian_prod(torch.as_tensor(z), torch.as_tensor(z))
    theta = torch.zeros(len(pairs), mdp.policy.size, dtype=torch.float64)
    theta[:, :2] = pairs
    gradient = mdp.gradient(theta)
    after = [theta + step * gradient for step in steps]

    def on_grid(values: Tensor, last: int = 1) -> NDArray:
        return values.numpy().reshape(len(z), len(z), last)

    pi = on_grid(mdp.pi(theta)[:, 0], 3)[:, :, None]  # [z₁, z₂, step size, action]
    new = on_grid(torch.stack([mdp.pi(each)[:, 0] for each in after], 1), 3 * len(steps)).reshape(*pi.shape[:2], -1, 3)
    slope = on_grid(gradient[:, :3], 3)[:, :, None]
    (x0, y0), (x1, y1) = np.moveaxis(pi @ CORNERS, -1, 0), np.moveaxis(new @ CORNERS, -1, 0)
    start = int(np.abs(z).argmin())
    names, reward = mdp.action_names, mdp.reward[0].numpy()
    places = ((0.0, -0.09, "start"), (1.0, -0.09, "end"), (0.5, 0.91, "middle"))
    marks: list[Mark] = [Curve(CORNERS[[0, 1, 2, 0], 0], CORNERS[[0, 1, 2, 0], 1], width=1.5)]
    marks += [Text(x, y, name, anchor=anchor) for (x, y, anchor), name in zip(places, names, strict=True)]
    for level in np.linspace(reward.min(), reward.max(), 6)[1:-1]:
        x, y = level_line(reward, level)
        marks.append(Curve(x, y, style.GREY, width=1, dashed=True))
        marks.append(Text(x[y.argmax()] - 0.03, y.max() - 0.01, f"J = {level:g}", style.GREY, "end"))
    marks.append(Segment(x0, y0, x1, y1, style.VERMILION, width=2.5))
    marks.append(Dot(x1, y1, style.VERMILION, radius=5, hollow=True, label="after the step"))
    marks.append(Dot(x0, y0, style.BLUE, radius=7, label="the policy"))
    bars: list[Mark] = [Segment(k, 0, k, slope[..., k], style.BLUE, width=44) for k in range(3)]
    bars += [
        Text(k, slope[..., k] + np.where(slope[..., k] < 0, -0.042, 0.012), _signed(slope[..., k])) for k in range(3)
    ]
    panels = [
        Panel("The policy π in the triangle", marks, (-0.12, 1.12), (-0.14, 1.0), bare=True),
        Panel(
            "The gradient, one component an action",
            [Segment(-0.5, 0, 2.5, 0, width=1), *bars],
            (-0.5, 2.5),
            (-0.3, 0.3),
            "action",
            "∂J/∂z",
            xticks={float(k): name for k, name in enumerate(names)},
        ),
    ]
    words = np.empty(pi.shape[:-1], dtype=object)
    for at in np.ndindex(words.shape):
        words[at] = "(" + ", ".join(f"{p:.3f}" for p in pi[at]) + ")"
    numbers = [
        Number("π", words),
        Number("J", on_grid(mdp.objective(theta)), "{:.3f}"),
        Number("length of the gradient", np.linalg.norm(slope, axis=-1), "{:.4f}"),
        Number(
            "J after the step", on_grid(torch.stack([mdp.objective(each) for each in after], 1), len(steps)), "{:.3f}"
        ),
    ]
    shown = [f"{each:g}".replace("-", MINUS) for each in z]
    return Explorable(
        "Two sliders set the logits of a softmax policy over three actions, a third control the step size. A triangle "
        "shows the policy and where one step along the exact gradient leads; bars show the gradient's components.",
        [
            Slider("logit z₁", shown, start),
            Slider("logit z₂", shown, start),
            Choice("step size", [f"{s:g}" for s in steps], 1),
        ],
        panels,
        numbers,
    )


def level_line(reward: NDArray, level: float) -> NDArray:
    """x and y of the ends of the line in the triangle on which the expected reward is `level`, [coordinate, end]."""
    ends = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        if min(reward[i], reward[j]) <= level < max(reward[i], reward[j]):
            part = (level - reward[i]) / (reward[j] - reward[i])
            ends.append((1 - part) * CORNERS[i] + part * CORNERS[j])
    return np.array(ends).T


def _signed(values: NDArray) -> NDArray:
    words = np.char.mod("%+.3f", values)
    return np.char.replace(words, "-", MINUS).astype(object)
