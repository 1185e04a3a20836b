"""The policy gradient theorem: gradients by sampling, and which reward teaches which action."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from torch import Tensor

from pgcourse.exact import GradientMoments
from pgcourse.exact.sampling import batch_errors
from pgcourse.plots import style
from pgcourse.plots.style import BLUE, PURPLE, VERMILION

COLORS = {
    "reward-to-go": BLUE,
    "own reward only": VERMILION,
    r"$\gamma^t$ kept": BLUE,
    r"$\gamma^t$ dropped": PURPLE,
}


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
    left.annotate(r"bars: exact $\nabla J$", (0.03, 0.95), xycoords="axes fraction", va="top")
    left.set(
        xticks=[],
        xlabel=r"components of $\theta$, sorted by $\partial J/\partial\theta$",
        ylabel="component of the gradient",
    )
    left.grid(False)
    right.set(
        xscale="log", yscale="log", xlabel="episodes averaged, $n$", ylabel=r"$\|\hat{g}-\nabla J\|\;/\;\|\nabla J\|$"
    )
    right.set_title("error of the mean; dashed: theory", fontsize=10)
    left.set_title(f"means of {episodes:,} episodes", fontsize=10)
    style.note(right, f"one policy, {seeds} seeds: dots left, thin lines right; large dots: root mean square")
    return left, right


def credit(matrix: ArrayLike, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Norms of E[γ^k r_k ∇log π(a_t|s_t)]: a row for each reward's time k, a column for each action's time t."""
    matrix = np.asarray(matrix)
    ax = style.axes(ax, figsize=(5.2, 4.2))
    image = ax.imshow(matrix, cmap="Blues", vmin=0)
    for (k, t), value in np.ndenumerate(matrix):
        color = "white" if value > 0.6 * matrix.max() else style.GREY if k < t else style.BLACK
        text = f"{value:.3f}" if value > 1e-12 else "0"
        ax.annotate(text, (t, k), ha="center", va="center", fontsize=8.5, color=color)
    ax.set(xlabel="time $t$ of the action", ylabel="time $k$ of the reward", title=title)
    ax.set_xticks(range(matrix.shape[1]))
    ax.set_yticks(range(matrix.shape[0]))
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label=r"$\|\mathbb{E}[\gamma^k r_k\nabla\log\pi(a_t|s_t)]\|$", shrink=0.85)
    return ax
