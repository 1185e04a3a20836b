"""Figures that several exercises share: the curves of anonymous runs, which learners tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def runs(table: pd.DataFrame, x: str, panels: Mapping[str, str], label: str) -> np.ndarray:
    """A row of panels for each run of a table, a thin line for each seed; the axes, [run, panel].

    Args:
        table: columns `run` and `seed`, `x`, and those of the panels.
        x: the column on the horizontal axis, called `label`.
        panels: columns, and what stands above them.
    """
    import matplotlib.pyplot as plt

    names = list(table["run"].unique())
    size = (10, 1.5 * len(names))
    _, grid = plt.subplots(len(names), len(panels), figsize=size, sharex=True, sharey="col", layout="constrained")
    for row, name in zip(grid, names, strict=True):
        for ax, column in zip(row, panels, strict=True):
            one = table[table["run"] == name].pivot(index=x, columns="seed", values=column)
            ax.plot(one.index, one, color="C0", lw=0.8, alpha=0.7)
        row[0].set_ylabel(name, rotation=0, fontsize=14, labelpad=14)
    for ax, title in zip(grid[0], panels.values(), strict=True):
        ax.set_title(title, fontsize=10)
    for ax in grid[-1]:
        ax.set_xlabel(label)
    axes: np.ndarray[Any, Any] = grid
    return axes
