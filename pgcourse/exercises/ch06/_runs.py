"""The runs of the exercise 06.sigma_collapse: `python -m pgcourse.exercises.ch06._runs` makes them, in runs.csv.

PPO with a linear Gaussian policy on chapter 06's mass on a line, 50 updates as there, seeds 0 to 2. With other seeds as
arguments it prints how many of them show which sign. Of the seeds 100 to 129 all show the sign of their own run in A,
B, C and E, and 27 in D; none shows that of another run.
"""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms import PPO, train
from pgcourse.core import MLP, Critic, GaussianPolicy
from pgcourse.envs import DoubleIntegrator
from pgcourse.exercises._recording import Sign, record

PATH = Path(__file__).with_name("runs.csv")
UPDATES = 50
OPTIONS: dict[str, Any] = {"envs": 128, "horizon": 25, "epochs": 5, "minibatches": 8, "gamma": 0.95, "lr": 0.05}
OPTIONS |= {"critic_lr": 0.03, "normalize_advantage": "batch"}
BEST = DoubleIntegrator().optimal_gain(OPTIONS["gamma"])  # K*


class Metrics(NamedTuple):
    """Each [seed]."""

    entropy: Tensor  # of π after the update, as σ and the distance are
    gradient: Tensor  # the norm of θ's, before clipping
    sigma: Tensor
    distance: Tensor  # of the gain from K*


def entropy(theta: Tensor) -> Tensor:
    """log σ + ½ log 2πe."""
    return theta[:, -1] + 0.5 * math.log(2 * math.pi * math.e)


class WatchedPPO(PPO):
    """PPO that also reports σ and the gain: θ is two weights, -K, a bias and log σ."""

    def update(self, state, batch, progress, streams):
        after, metrics = super().update(state, batch, progress, streams)
        distance = (-after.theta[:, :2] - BEST[0]).norm(dim=1)
        return after, Metrics(entropy(after.theta), metrics.grad_norm, after.theta[:, -1].exp(), distance)


class Frozen(WatchedPPO):
    """log σ, the last entry of θ, stays as it is."""

    def update(self, state, batch, progress, streams):
        after, metrics = super().update(state, batch, progress, streams)
        theta = torch.cat([after.theta[:, :-1], state.theta[:, -1:]], 1)
        return after._replace(theta=theta), metrics._replace(sigma=theta[:, -1].exp(), entropy=entropy(theta))


class Negative(WatchedPPO):
    """The entropy bonus with the wrong sign: it is a price."""

    weight = 0.1

    def loss(self, policy, theta, samples, old, beta, clip):
        loss, (log_ratio, entropy) = super().loss(policy, theta, samples, old, beta, clip)
        return loss + self.weight * policy(theta, samples.obs).entropy().mean(1), (log_ratio, entropy)


RUNS = {  # the algorithm, and log σ at the start
    "A": (WatchedPPO(**OPTIONS, entropy=0.15), 0.0),
    "B": (WatchedPPO(**OPTIONS), -3.0),
    "C": (Frozen(**OPTIONS), 0.0),
    "D": (WatchedPPO(**OPTIONS), 0.0),
    "E": (Negative(**OPTIONS), 0.0),
}


SIGNS: dict[str, Sign] = {
    "A": lambda t: t["sigma"].max() > 2.5,
    "B": lambda t: t["sigma"].iloc[0] < 0.2,
    "C": lambda t: t["sigma"].nunique() == 1,
    "D": lambda t: t["sigma"].iloc[0] > 0.5 and 0.05 < t["sigma"].iloc[-1] < 0.9 and t["sigma"].max() < 2.5,
    "E": lambda t: t["sigma"].iloc[-1] < 0.05 and t["distance"].iloc[-1] > 2,
}


def table(name: str, seeds: Iterable[int], updates: int = UPDATES) -> pd.DataFrame:
    """A run's rows, those of its first updates, and before them what it starts with."""
    algorithm, log_std = RUNS[name]
    networks = GaussianPolicy(MLP((2, 1), last_gain=0.01), log_std=log_std), Critic(MLP((2, 32, 1)))
    steps = UPDATES * algorithm.envs * algorithm.horizon
    curves = train(
        algorithm, "DoubleIntegrator-v0", seeds, steps, *networks, watch=lambda now: now.number + 1 < updates
    ).curves
    start = curves.groupby("seed", as_index=False)[["seed"]].first().assign(sigma=math.exp(log_std))
    start["entropy"] = entropy(torch.tensor([[log_std]])).item()
    both = pd.concat([start, curves])
    both = both.assign(run=name, update=both.groupby("seed").cumcount()).sort_values(["seed", "update"])
    return both[["run", "seed", "update", *Metrics._fields]]


if __name__ == "__main__":
    record(RUNS, table, SIGNS, PATH, [int(seed) for seed in sys.argv[1:]])
