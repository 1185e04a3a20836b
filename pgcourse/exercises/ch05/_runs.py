"""The runs of the exercise 05.curves: `python -m pgcourse.exercises.ch05._runs` trains them and writes runs.csv.

A2C on CartPole, 24,000 steps, seeds 0 to 2. With other seeds as arguments it prints how many of them show which sign.
Of the seeds 100 to 129 all show the sign of their own run in A, B, D and E, 29 in C, and 25 in F; of 900 foreign
signs 4 are shown, 2 of them those of E by F.
"""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms import A2C, train
from pgcourse.exercises._recording import Sign, record

PATH = Path(__file__).with_name("runs.csv")
STEPS = 24_000
RECORDED, ROWS = 101, 24  # of a seed: rows of its curves, and of the table, each the mean of some of these


class Metrics(NamedTuple):
    """Each [seed]."""

    entropy: Tensor
    explained_variance: Tensor
    mean_u: Tensor  # what the critic says of the states played, on average


class WatchedA2C(A2C):
    """A2C that also reports what its critic says."""

    def update(self, state, batch, progress, streams=None):
        with torch.no_grad():
            mean_u = state.critic(state.phi, batch.obs).mean((1, 2))
        state, metrics = super().update(state, batch, progress, streams)
        return state, Metrics(metrics.entropy, metrics.explained_variance, mean_u)


class Flipped(WatchedA2C):
    """The policy's loss without its minus."""

    def loss(self, policy, theta, samples):
        loss, entropy = super().loss(policy, theta, samples)
        return -loss, entropy


RUNS = {
    "A": WatchedA2C(critic_lr=1e-12),
    "B": WatchedA2C(gamma=0.5),
    "C": WatchedA2C(),
    "D": WatchedA2C(lr=1e-12),
    "E": Flipped(),
    "F": WatchedA2C(lam=0.0),
}


SIGNS: dict[str, Sign] = {
    "A": lambda t: t["mean_u"].abs().iloc[-1] < 1,
    "B": lambda t: 1.7 < t["mean_u"].iloc[-1] < 2.1,
    "C": lambda t: t["mean_u"].iloc[-1] > 30 and t["return"].iloc[-ROWS // 4 :].mean() > 90,
    "D": lambda t: (t["entropy"] - math.log(2)).abs().max() < 0.005,
    "E": lambda t: t["return"].iloc[-ROWS // 4 :].mean() < 12,
    "F": lambda t: t["mean_u"].iloc[-1] > 10 and 25 < t["return"].iloc[-ROWS // 4 :].mean() < 90,
}


def table(name: str, seeds: Iterable[int], updates: float = math.inf) -> pd.DataFrame:
    """A run's rows, those of its first `updates` updates. The last row may then miss some of its part."""
    curves = train(RUNS[name], "CartPole-v1", seeds, STEPS, watch=lambda now: now.number + 1 < updates).curves
    part = (curves.groupby("seed").cumcount() * ROWS // RECORDED).rename("part")
    columns = ["step", "return", *Metrics._fields]
    means = curves.groupby(["seed", part])[columns].mean().reset_index()
    return means.assign(run=name)[["run", "seed", *columns]]


if __name__ == "__main__":
    record(RUNS, table, SIGNS, PATH, [int(seed) for seed in sys.argv[1:]])
