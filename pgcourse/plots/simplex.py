"""The triangle of all distributions over three actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
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
    ax.figure.colorbar(shade, ax=ax, label="expected reward $J$", shrink=0.8)
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
