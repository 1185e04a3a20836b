"""Figures of chapter 03: the noise of gradient estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from pgcourse.plots import style


def agreement(
    sizes: Sequence[int], cosines: Mapping[str, Sequence[float]], copies: int, ax: Axes | None = None
) -> Axes:
    """Mean cosine between independent gradient estimates against the episodes behind each; one line a policy."""
    ax = style.axes(ax)
    color = style.colors(cosines)
    for name, values in cosines.items():
        ax.plot(sizes, values, "o-", color=color[name])
        ax.annotate(name, (sizes[-1], values[-1]), (8, 0), textcoords="offset points", va="center", color=color[name])
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.set(ylim=(-0.1, 1), xlabel="episodes behind one estimate", ylabel="cosine between two estimates")
    ax.set_title("Do two learners at the same point agree where to go?")
    style.note(ax, f"mean over all pairs of {copies} independent estimates at the same θ")
    return ax
