"""Makes logs.csv, the curves of `08.logs`: python -m pgcourse.exercises.ch08._runs (a minute)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import pgcourse as pg

FILE = Path(__file__).with_name("logs.csv")
COLUMNS = ["return", "kl", "clip_fraction", "entropy", "explained_variance", "value_loss", "grad_norm"]
STEPS, SEEDS = 20_480, 3
COMMON: dict[str, Any] = {"envs": 16, "horizon": 32, "epochs": 4, "lr": 0.01, "critic_lr": 0.01, "anneal": False}
HEALTHY = pg.PPO(**COMMON)


class WrongSign(pg.PPO):
    def loss(self, *args):
        loss, seen = super().loss(*args)
        return -loss, seen


class NoEnds(pg.PPO):
    def update(self, state, batch, progress, streams):
        stored = torch.cat([batch.obs[:, 1:], batch.next_obs[:, -1:]], 1)
        never = torch.zeros_like(batch.terminated)
        batch = replace(batch, next_obs=stored, terminated=never, truncated=never)
        return super().update(state, batch, progress, streams)


class EveryEndIsATimeLimit(pg.PPO):
    def update(self, state, batch, progress, streams):
        batch = replace(batch, terminated=torch.zeros_like(batch.terminated), truncated=batch.done)
        return super().update(state, batch, progress, streams)


class EntropySubtracted(pg.PPO):
    def loss(self, policy, theta, samples, *rest):
        loss, seen = super().loss(policy, theta, samples, *rest)
        return loss + 0.3 * policy(theta, samples.obs).entropy().mean(1), seen


class OldAnew(pg.PPO):
    def loss(self, policy, theta, samples, *rest):
        now = policy(theta, samples.obs).log_prob(samples.action).detach()
        return super().loss(policy, theta, samples._replace(log_prob=now), *rest)


class OneConstant(pg.PPO):
    def critic_loss(self, value, samples):
        return 0.5 * (value.unsqueeze(2) - samples.target.unsqueeze(1)).square().mean((1, 2))


class LargeRewards(pg.PPO):
    def update(self, state, batch, progress, streams):
        return super().update(state, replace(batch, reward=100 * batch.reward), progress, streams)


RUNS = {
    "healthy": HEALTHY,
    "step size too large": replace(HEALTHY, lr=0.06),
    "step size too small": replace(HEALTHY, lr=1e-5),
    "wrong sign": WrongSign(**COMMON),
    "ends ignored": NoEnds(**COMMON),
    "every end a time limit": EveryEndIsATimeLimit(**COMMON),
    "entropy subtracted": EntropySubtracted(**COMMON),
    "entropy bonus too large": replace(HEALTHY, entropy=1.0),
    "advantages not normalised": replace(HEALTHY, normalize_advantage="never"),
    "old log-probabilities anew": OldAnew(**COMMON),
    "policy never updated": replace(HEALTHY, lr=1e-30),
    "critic compared with every target": OneConstant(**COMMON),
    "rewards times 100": LargeRewards(**COMMON),
}


def main() -> None:
    tables = []
    for name, algorithm in RUNS.items():
        curves = pg.train(algorithm, "CartPole-v1", seeds=SEEDS, steps=STEPS).curves
        some = curves[curves["step"] % (2 * 512) == 0]
        tables.append(some.assign(run=name)[["run", "seed", "step", *COLUMNS]])
    pd.concat(tables).to_csv(FILE, index=False, float_format="%.3g")


if __name__ == "__main__":
    main()
