"""Makes logs.csv, the curves of `08.logs`: python -m pgcourse.exercises.ch08._runs (a minute)."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pgcourse.algorithms import PPO, train

FILE = Path(__file__).with_name("logs.csv")
COLUMNS = ["return", "kl", "clip_fraction", "entropy", "explained_variance", "value_loss", "grad_norm"]
STEPS, SEEDS = 20_480, 3
COMMON: dict[str, Any] = {"envs": 16, "horizon": 32, "epochs": 4, "lr": 0.01, "critic_lr": 0.01, "anneal": False}
HEALTHY = PPO(**COMMON)


class WrongSign(PPO):
    def loss(self, *args):
        loss, seen = super().loss(*args)
        return -loss, seen


class NoEnds(PPO):
    def update(self, state, batch, progress, streams):
        stored = torch.cat([batch.obs[:, 1:], batch.next_obs[:, -1:]], 1)
        never = torch.zeros_like(batch.terminated)
        batch = replace(batch, next_obs=stored, terminated=never, truncated=never)
        return super().update(state, batch, progress, streams)


class EveryEndIsATimeLimit(PPO):
    def update(self, state, batch, progress, streams):
        batch = replace(batch, terminated=torch.zeros_like(batch.terminated), truncated=batch.done)
        return super().update(state, batch, progress, streams)


class EntropySubtracted(PPO):
    def loss(self, policy, theta, samples, *rest):
        loss, seen = super().loss(policy, theta, samples, *rest)
        return loss + 0.3 * policy(theta, samples.obs).entropy().mean(1), seen


class OldAnew(PPO):
    def loss(self, policy, theta, samples, *rest):
        now = policy(theta, samples.obs).log_prob(samples.action).detach()
        return super().loss(policy, theta, samples._replace(log_prob=now), *rest)


class OneConstant(PPO):
    def critic_loss(self, value, samples):
        return 0.5 * (value.unsqueeze(2) - samples.target.unsqueeze(1)).square().mean((1, 2))


class LargeRewards(PPO):
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


def table(name: str, updates: float = math.inf) -> pd.DataFrame:
    """A run's rows, those of its first updates."""
    curves = train(RUNS[name], "CartPole-v1", SEEDS, STEPS, watch=lambda now: now.number + 1 < updates).curves
    some = curves[curves["step"] % (2 * 512) == 0]
    return some.assign(run=name)[["run", "seed", "step", *COLUMNS]]


def main() -> None:
    pd.concat([table(name) for name in RUNS]).to_csv(FILE, index=False, float_format="%.3g")


if __name__ == "__main__":
    main()
