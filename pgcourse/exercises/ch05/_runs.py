"""The runs of the exercise 05.curves: `python -m pgcourse.exercises.ch05._runs` trains them and writes runs.csv.

A2C on CartPole, 24,000 steps, seeds 0 to 2. With other seeds as arguments it prints how many of them show which sign.
Of the seeds 100 to 129 all show the sign of their own run in A, B, D and E, 29 in C, and 25 in F; of 900 foreign
signs 4 are shown, 2 of them those of E by F.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

import pgcourse as pg

PATH = Path(__file__).with_name("runs.csv")
ROWS = 24  # of a seed


class Metrics(NamedTuple):
    """Each [seed]."""

    entropy: Tensor
    explained_variance: Tensor
    mean_u: Tensor  # what the critic says of the states played, on average


class Watched(pg.A2C):
    """A2C that also reports what its critic says."""

    def update(self, state, batch, progress, streams=None):
        with torch.no_grad():
            mean_u = state.critic(state.phi, batch.obs).mean((1, 2))
        state, metrics = super().update(state, batch, progress, streams)
        return state, Metrics(metrics.entropy, metrics.explained_variance, mean_u)


class Flipped(Watched):
    """The policy's loss without its minus."""

    def loss(self, policy, theta, samples):
        loss, entropy = super().loss(policy, theta, samples)
        return -loss, entropy


RUNS = {
    "A": Watched(critic_lr=1e-12),
    "B": Watched(gamma=0.5),
    "C": Watched(),
    "D": Watched(lr=1e-12),
    "E": Flipped(),
    "F": Watched(lam=0.0),
}


SIGNS: dict[str, Callable[[pd.DataFrame], bool]] = {  # what tells a run from the others, in the table of one seed
    "A": lambda t: t["mean_u"].abs().iloc[-1] < 1,
    "B": lambda t: 1.7 < t["mean_u"].iloc[-1] < 2.1,
    "C": lambda t: t["mean_u"].iloc[-1] > 30 and t["return"].iloc[-ROWS // 4 :].mean() > 90,
    "D": lambda t: (t["entropy"] - math.log(2)).abs().max() < 0.005,
    "E": lambda t: t["return"].iloc[-ROWS // 4 :].mean() < 12,
    "F": lambda t: t["mean_u"].iloc[-1] > 10 and 25 < t["return"].iloc[-ROWS // 4 :].mean() < 90,
}


def main(seeds: list[int]) -> None:
    tables = []
    for name, algorithm in RUNS.items():
        curves = pg.train(algorithm, "CartPole-v1", seeds=seeds or range(3), steps=24_000).curves
        part = curves.groupby("seed")["step"].transform(lambda step: (step.rank() - 1) * ROWS // len(step))
        columns = ["step", "return", *Metrics._fields]
        tables.append(curves.groupby(["seed", part.rename("part")])[columns].mean().reset_index().assign(run=name))
    table = pd.concat(tables)[["run", "seed", "step", "return", *Metrics._fields]]
    if seeds:
        for run, rows in table.groupby("run"):
            print(run, {sign: sum(bool(shows(t)) for _, t in rows.groupby("seed")) for sign, shows in SIGNS.items()})
    else:
        table.round(3).to_csv(PATH, index=False)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]])
