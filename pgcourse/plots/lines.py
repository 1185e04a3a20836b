"""Line plots of quantities against the number of updates, and of power laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from pgcourse.plots import style


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
