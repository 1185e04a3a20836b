"""Figures of chapter 09d: episodes one by one, and how long they last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy.stats import CensoredData, ecdf

from pgcourse.plots import style


def every_episode(episodes: pd.DataFrame, target: float | None = None) -> Axes:
    """The return of every episode, a dot, seed by seed: sorted within a seed; the stroke is the seed's mean.

    `episodes` has the columns seed and return. A dashed line is the target.
    """
    ax = style.axes(figsize=(8.0, 3.6))
    seeds = sorted(episodes["seed"].unique())
    for place, seed in enumerate(seeds):
        returns = np.sort(episodes.loc[episodes["seed"] == seed, "return"].to_numpy())
        ax.plot(place + np.linspace(-0.36, 0.36, len(returns)), returns, ".", ms=3.5, color=style.BLUE)
        ax.plot([place - 0.42, place + 0.42], [returns.mean()] * 2, color=style.BLACK, lw=1.6)
    if target is not None:
        ax.axhline(target, color=style.GREY, ls="--", lw=1)
    ax.set_xticks(range(len(seeds)), [str(seed) for seed in seeds])
    ax.set(xlabel="seed", ylabel="return of an episode")
    ax.grid(axis="x", visible=False)
    return ax


def survival(lives: Mapping[str, tuple[ArrayLike, ArrayLike]], xlabel: str, rates: Sequence[float] = ()) -> list[Axes]:
    """The part that has not fallen yet, after Kaplan and Meier (1958), on a logarithmic axis: a panel a name.

    A life is how long each episode lasted, and whether it ended in a fall, [episode] each; what ended otherwise counts
    as on its feet up to there. With `rates` a dashed line each for a rate of falling that is constant, exp(-rate t).
    """
    _, axes = plt.subplots(1, len(lives), figsize=(4.4 * len(lives), 3.2), squeeze=False)
    for number, (ax, (name, (lasted, fell))) in enumerate(zip(axes.flat, lives.items(), strict=True)):
        lasted, fell = np.asarray(lasted, float), np.asarray(fell, bool)
        found = ecdf(CensoredData(uncensored=lasted[fell], right=lasted[~fell])).sf
        time, up = np.append(0.0, found.quantiles), np.append(1.0, found.probabilities)
        ax.step(time, up, where="post", color=style.BLUE)
        if number < len(rates):
            ax.plot(time, np.exp(-rates[number] * time), "--", color=style.GREY, lw=1)
        ax.set(title=name, xlabel=xlabel, yscale="log")
        ax.yaxis.set_major_formatter("{x:.3g}")
        ax.yaxis.set_minor_formatter("{x:.3g}")
    axes[0, 0].set_ylabel("part that has not fallen")
    return list(axes.flat)
