"""Policies as distributions: the simplex, scores, and what estimators cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from pgcourse.plots import style

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])  # of the triangle that shows three probabilities


def simplex_field(reward: Tensor, names: Sequence[str], paths: Mapping[str, Tensor] | None = None) -> Axes:
    """All softmax policies over three actions as a triangle: J as shade, the motion that ∇_z J causes as arrows.

    A point's barycentric coordinates are its probabilities. Arrows are dπ = (diag π - π πᵀ) ∇_z J with
    ∇_z J = π (r - J); their length grows with that of the motion. `paths` are curves π(t), [time, 3].
    """
    _, ax = plt.subplots(figsize=(6.2, 4.6))
    pi = barycentric(60)
    objective = pi @ reward.numpy()
    x, y = (pi @ CORNERS).T
    shade = ax.tricontourf(x, y, objective, levels=20, cmap="Blues")
    ax.figure.colorbar(shade, ax=ax, label="expected score J", shrink=0.8)
    pi = barycentric(16)
    pi = pi[(pi > 0).all(1)]
    motion = softmax_motion(pi, reward.numpy())
    norm = np.linalg.norm(motion, axis=1, keepdims=True)
    arrows = motion / np.maximum(norm, 1e-12) * norm**0.5  # square root: the short ones stay visible
    ax.quiver(*(pi @ CORNERS).T, *(arrows @ CORNERS).T, color=style.BLACK, width=0.004, pivot="mid", alpha=0.8)
    color = style.colors(paths or {})
    for name, path in (paths or {}).items():
        x, y = (path.numpy() @ CORNERS).T
        ax.plot(x, y, color=color[name], lw=2.5)
        ax.plot(x[0], y[0], "o", color=color[name], ms=7, label=name)
    for corner, name, shift in zip(CORNERS, names, ((-8, -14), (8, -14), (0, 8)), strict=True):
        ax.annotate(name, corner, shift, textcoords="offset points", ha="center")
    if paths:
        ax.legend(loc="upper left", bbox_to_anchor=(-0.12, 1.02), fontsize=9)
    ax.set(aspect="equal", ylim=(-0.12, 1.0))
    ax.axis("off")
    return ax


def barycentric(n: int) -> NDArray:
    """All (i, j, k)/n with i + j + k = n."""
    return np.array([(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]) / n


def softmax_motion(pi: NDArray, reward: NDArray) -> NDArray:
    """dπ/dt under gradient flow dz/dt = ∇_z J; [point, action]."""
    gradient = pi * (reward - (pi @ reward)[:, None])
    return pi * (gradient - (pi * gradient).sum(1, keepdims=True))


def over_updates(curves: Mapping[str, Tensor], ylabel: str, *, log: bool = False, mark: float | None = None) -> Axes:
    """One line a name against the number of updates; `mark` is a dashed level."""
    ax = style.axes()
    color = style.colors(curves)
    for name, values in curves.items():
        ax.plot(values, color=color[name], lw=2, label=name)
    if mark is not None:
        ax.axhline(mark, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    if log:
        ax.set_yscale("log")
    ax.set(xlabel="updates", ylabel=ylabel)
    ax.legend(fontsize=9)
    return ax


def power_laws(
    x: Sequence[float],
    curves: Mapping[str, Tensor],
    xlabel: str,
    ylabel: str,
    note: str,
    exact: Mapping[str, Tensor] | None = None,
) -> Axes:
    """Log-log points, each curve labelled with its slope between the last two; lines through `exact` where given."""
    ax = style.axes(figsize=(7.5, 3.8))
    color = style.colors(curves)
    for name, y in curves.items():
        ax.plot(x, y, "o", color=color[name])
        ax.plot(x, (exact or curves)[name], color=color[name])
        label = f"{name}\n(slope {slope(x[-2:], y[-2:]):.1f})"
        ax.annotate(label, (x[-1], float(y[-1])), (8, 0), textcoords="offset points", va="center", color=color[name])
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(x, [f"{value:g}" for value in x])
    ax.minorticks_off()
    style.note(ax, note)
    return ax


def slope(x: Sequence[float], y: Tensor) -> float:
    """d log y / d log x, least squares."""
    return float(np.polyfit(np.log(np.asarray(x)), torch.as_tensor(y).log().numpy(), 1)[0])


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
