"""What to look at while a language model learns from a reward, for anybody's run."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from pgcourse.plots import style
from pgcourse.plots.learning import lines_of, seeds_and_mean, thousands
from pgcourse.rlhf.diagnostics import spikes

# Panels against the training, after that of reward against distance: title to {metric: its name in the panel}.
PANELS = {
    "KL from the reference, nats": {"kl": ""},
    "KL of an update, nats a token": {"update_kl": ""},
    "largest ratio of a token": {"largest_ratio": ""},
    "part of the tokens clipped": {"clip_fraction": "outside", "clip_binds": "without gradient"},
    r"$\sigma$ of a group's scores": {"group_std": ""},
    "entropy of a token, nats": {"entropy": ""},
    "tokens of a response": {"tokens": ""},
    "parts of all": {"unique": "unique", "finished": "finished", "silent_groups": "silent groups"},
}
LOGARITHMIC = {"largest_ratio", "update_kl"}
JUMPS = {"kl", "update_kl", "largest_ratio"}  # where updates that jumped are marked
STEPS = ("step", "responses", "iteration")


def rlhf_diagnostics(curves: pd.DataFrame) -> list[Axes]:
    """The numbers that show how a training from rewards goes wrong, a panel each; docs/rlhf.md has their readings.

    Reward against distance: the proxy, and gold where it is known, against √KL. Then KL divergences, ratios, clipping,
    entropy, length and uniqueness against the training. A dotted line is an update that moved more than three times as
    far as the median of the eight before it.

    Args:
        curves: a row a report, with the metrics of `RLHF`: `metrics.csv` of `pgcourse rlhf train`, or `run.curves`. Of
            several seeds, which a column `seed` tells apart, each is a thin line and their mean a thick one.

    Raises:
        ValueError: a table without these metrics.
    """
    metrics = [metric for panel in PANELS.values() for metric in panel]
    missing = [name for name in ("proxy", *metrics) if name not in curves]
    if missing or not set(STEPS) & {*curves}:
        wanted = missing or [f"one of {', '.join(STEPS)}"]
        raise ValueError(f"these are no metrics of a training from rewards: {', '.join(wanted)} missing")
    at = next(name for name in STEPS if name in curves)
    curves = curves if "seed" in curves else curves.assign(seed=0)
    figure, grid = plt.subplots(3, 3, figsize=(9.4, 7.6))
    _against_distance(grid[0, 0], curves)
    jumps = _jumps(curves, at)
    for ax, (title, panel) in zip(grid.flat[1:], PANELS.items(), strict=True):
        for (metric, label), color in zip(panel.items(), style.CYCLE, strict=False):
            table = curves.pivot(index=at, columns="seed", values=metric)
            seeds_and_mean(ax, table, color, label or None)
            if metric in JUMPS:
                for step in jumps:
                    ax.axvline(step, color=style.GREY, lw=1, ls=":", zorder=0)
            if metric in LOGARITHMIC and (table.to_numpy() > 0).any():
                ax.set_yscale("log")
        if any(panel.values()):
            ax.set_ylim(-0.03, 1.03)
            ax.legend(fontsize=8, frameon=True)  # over lines, which may be anywhere
        ax.set_title(title, fontsize=10)
        ax.xaxis.set_major_formatter(thousands)
    unit, told = "iterations" if at == "iteration" else "responses of one seed", lines_of(curves["seed"].nunique())
    figure.supxlabel(f"{unit} ({told}; dotted: an update that jumped)", fontsize=9)
    return list(grid.flat)


def _against_distance(ax: Axes, curves: pd.DataFrame) -> None:
    named = {"proxy": style.BLUE}
    if "gold" in curves and curves["gold"].notna().any():
        named["gold"] = style.VERMILION
    for metric, color in named.items():
        for number, (_, seed) in enumerate(curves.groupby("seed")):
            d = np.sqrt(seed["kl"].clip(lower=0))
            ax.plot(d, seed[metric], "o-", ms=2.5, lw=1, color=color, label=None if number else metric)
    ax.set_title("reward of the responses", fontsize=10)
    ax.set_xlabel(r"$\sqrt{\mathrm{KL}}$ from the reference", fontsize=9)
    ax.legend(fontsize=8)


def _jumps(curves: pd.DataFrame, at: str) -> list[float]:
    """Steps where an update of any seed jumped."""
    steps: set[float] = set()
    for _, seed in curves.sort_values(at).groupby("seed"):
        jumped = spikes(torch.tensor(seed["update_kl"].to_numpy(dtype=float)))
        steps |= {*seed[at].to_numpy()[jumped.numpy()].tolist()}
    return sorted(steps)
