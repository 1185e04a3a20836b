"""The diver, drawn: a stick with a head, ten metres of air, and the water; samples as histograms."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Image
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from pgcourse.envs.worlds.diver import Diver, Flight
from pgcourse.plots import style

BODY, TUCKED = 2.0, 1.0  # m from hands to feet


def dives(actions: Tensor, titles: Sequence[str], samples: int = 13) -> list[Axes]:
    """One panel a dive, as a sequence of poses from take-off to entry; `actions` [dive, 3]."""
    figure, axes = plt.subplots(
        1, len(actions), figsize=(2.1 * len(actions), 4.8), sharex=True, sharey=True, squeeze=False
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
    return list(axes.flat)


def animate_dives(actions: Tensor, titles: Sequence[str], samples: int = 25, seconds: float = 2.0) -> Image:
    """The dives [dive, 3] side by side as a GIF that a notebook shows."""
    figure, axes = plt.subplots(
        1, len(actions), figsize=(1.9 * len(actions), 4.4), sharex=True, sharey=True, squeeze=False
    )
    flights = [Diver.flight(action, samples) for action in actions]
    for ax, title in zip(axes.flat, titles, strict=True):
        scene(ax)
        ax.set_title(title, fontsize=10)
    artists: list = []

    def frame(k: int) -> list:
        while artists:
            artists.pop().remove()
        for ax, flight in zip(axes.flat, flights, strict=True):
            artists.extend(draw_body(ax, flight, min(k, samples - 1)))
        return artists

    pause = samples // 3  # the last picture stands still before the dive begins again
    animation = FuncAnimation(figure, frame, frames=samples + pause, blit=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dives.gif"
        animation.save(path, PillowWriter(fps=round(samples / seconds)), dpi=70)
        plt.close(figure)
        return Image(data=path.read_bytes(), format="gif")


def scene(ax: Axes) -> None:
    """Platform and water."""
    ax.fill_between([-2.2, 3.2], -1.2, 0, color=style.SKY, alpha=0.25, lw=0)
    ax.plot([-2.2, 0], [10, 10], color=style.GREY, lw=5, solid_capstyle="butt")
    ax.set(xlim=(-2.2, 3.2), ylim=(-1.2, 13.2), aspect="equal")
    ax.grid(visible=False)


def draw_body(ax: Axes, flight: Flight, k: int, alpha: float = 1.0) -> list:
    """The body at sample k: a line from feet to hands, the head a dot; short and thick in the tuck."""
    feet, hands = body(flight, k)
    tucked = bool(flight.tucked[..., k])
    color = style.ORANGE if tucked else style.BLUE
    (stick,) = ax.plot(
        *np.stack([feet, hands], 1), color=color, lw=5 if tucked else 2.5, alpha=alpha, solid_capstyle="round"
    )
    (head,) = ax.plot(*hands, "o", color=style.VERMILION, ms=4, alpha=alpha)
    return [stick, head]


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
    style.note(axes[-1], f"{mean.shape[1]} seeds: lines μ, shade μ ± σ")
    return list(axes)


def histograms(samples: Mapping[str, Tensor], xlabel: str, bins: int = 60) -> Axes:
    """Densities of several samples on common bins, their means as lines."""
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
    style.note(ax, f"{max(size):,} samples each; vertical lines: their means")
    return ax
