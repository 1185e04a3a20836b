"""Training as a generator of iterations; `train` drains it into tidy curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms.architecture import default_critic, default_policy
from pgcourse.algorithms.learner import Learner
from pgcourse.algorithms.rollout import episodes, rollout
from pgcourse.core import Critic, Policy, Streams
from pgcourse.envs import Env, make
from pgcourse.rl import Trajectory

REPORTS = 200  # rows of a seed's curve, at most about


class Algorithm(Protocol):
    """A frozen dataclass of hyper-parameters and its update."""

    @property
    def envs(self) -> int:
        """Copies of the world for each seed."""

    @property
    def rollout(self) -> int | None:
        """Steps between updates, or None for whole episodes."""

    def start(self, policy: Policy, critic: Critic, streams: Streams) -> Learner: ...

    def update(self, learner: Learner, batch: Trajectory, progress: float, streams: Streams) -> dict[str, Tensor]:
        """One update of θ and φ; `progress` is the part of the training already done, for schedules.

        The iteration's noise, if it takes any, comes from `streams`.
        """


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy with its parameters: one row of θ for each seed."""

    policy: Policy
    theta: Tensor
    seeds: tuple[int, ...]
    env: str | Callable[[int], Env]


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on from a moment at which the worlds are made anew: see `training`."""

    number: int  # iterations so far
    steps: Tensor  # [seed]
    active: Tensor  # [seed]
    final: Tensor  # θ, for each seed that has used up its steps the one it had then
    learner: dict[str, Tensor]


@dataclass(frozen=True)
class Iteration:
    """One update of every seed. All tensors are [seed]."""

    number: int
    steps: Tensor  # environment steps so far
    active: Tensor  # False once a seed has used up its steps: its policy is final
    episodes: Tensor  # episodes that ended in this iteration
    total_return: Tensor  # and the sums of their undiscounted returns
    total_length: Tensor  # and of their lengths
    metrics: dict[str, Tensor]
    policy: TrainedPolicy
    checkpoint: Checkpoint | None  # where the worlds are made anew after this iteration


@dataclass(frozen=True)
class Run:
    """A finished training. `curves` has a row per seed and report: seed, step, episodes, return, length, metrics."""

    algorithm: Algorithm
    policy: TrainedPolicy
    curves: pd.DataFrame


def training(
    algorithm: Algorithm,
    env: str | Callable[[int], Env],
    seeds: int | Iterable[int] = 10,
    steps: int = 100_000,
    policy: Policy | None = None,
    critic: Critic | None = None,
    restart_every: int | None = None,
    resume: Checkpoint | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Iterator[Iteration]:
    """Train all seeds side by side, yielding after every update until each seed has seen `steps` environment steps.

    Saving, showing progress and stopping early belong to the caller. What a seed does depends on no other seed: where
    whole episodes use up one seed's steps earlier than another's, the first one's policy is kept from that moment on.

    Each time that all seeds have passed another `restart_every` steps, the worlds are made anew, whether or not anybody
    keeps the iteration's `checkpoint`. Not every simulator can save what it is doing; so nothing has to, and training
    that resumes from a checkpoint, with all other arguments as they were, gives the same bits as if it had never
    stopped.

    On another `device` than the CPU everything but the random numbers is computed there, the tensor world included, and
    so are the tensors of an iteration. Its numbers are those of the CPU up to rounding.

    Raises:
        ValueError: unknown environment, unsupported space, steps or restart_every below 1, a world that knows only the
            CPU on another device.
        FloatingPointError: a reward, observation or gradient that is NaN or infinite.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, got {steps}")
    if restart_every is not None and restart_every < 1:
        raise ValueError(f"restart_every must be 1 or more, got {restart_every}")
    streams = Streams(seeds, device=device, dtype=dtype)
    where: dict[str, object] = {} if streams.device.type == "cpu" else {"device": streams.device}
    where |= {} if dtype == torch.float32 else {"dtype": dtype}
    world = make(env, algorithm.envs, **where)
    learner = algorithm.start(policy or default_policy(world), critic or default_critic(world), streams.child("init"))
    if resume is None:
        number = 0
        done_steps = torch.zeros(len(streams), dtype=torch.int64, device=streams.device)
        active = torch.ones(len(streams), dtype=torch.bool, device=streams.device)
        final = learner.theta.detach().clone()
        obs = world.reset(streams.child("reset"))
    else:
        number, done_steps, active, final = resume.number, resume.steps, resume.active, resume.final
        learner.load(resume.learner)
        obs = world.reset(streams.child(f"reset {number}"))
    ends = Episodes.start(streams, world.envs)
    while active.any():
        noise = streams.child(number)
        if algorithm.rollout is None:
            batch = episodes(learner.policy, learner.theta, world, noise, active=active)
            ends = Episodes.start(streams, world.envs)
        else:
            batch, obs = rollout(learner.policy, learner.theta, world, obs, algorithm.rollout, noise)
        for name, given in (("an observation", batch.obs), ("a reward", batch.reward)):
            if not (fine := given.isfinite()).all() and (seeds_hit := _seeds_with(~fine, batch, streams.seeds)):
                raise FloatingPointError(
                    f"{world.name} gave {name} that is NaN or infinite in iteration {number}, to seeds {seeds_hit}"
                )
        ends, (count, total_return, total_length) = ends.follow(batch)
        metrics = algorithm.update(learner, batch, min(1.0, done_steps.min().item() / steps), noise.child("update"))
        learner.observe(batch)  # now, so that the policy that acted is the one that the update began with
        before, done_steps = done_steps, done_steps + batch.mask.sum((1, 2))
        final = learner.theta.detach().where(active.unsqueeze(1), final)
        trained = TrainedPolicy(learner.policy, final, streams.seeds, env)
        trained_now, active = active, active & (done_steps < steps)
        number += 1
        checkpoint = None
        if restart_every and done_steps.min() // restart_every > before.min() // restart_every and active.any():
            checkpoint = Checkpoint(number, done_steps, active, final, learner.state())
            world = make(env, algorithm.envs, **where)
            obs = world.reset(streams.child(f"reset {number}"))
            ends = Episodes.start(streams, world.envs)
        yield Iteration(
            number - 1, done_steps, trained_now, count, total_return, total_length, metrics, trained, checkpoint
        )


def _seeds_with(fault: Tensor, batch: Trajectory, seeds: tuple[int, ...]) -> list[int]:
    """The seeds that a fault [seed, time, env, ...] has hit in a step that was played."""
    hit = (fault.flatten(3).any(-1) if fault.ndim > 3 else fault) & batch.mask
    return [seed for seed, one in zip(seeds, hit.flatten(1).any(1).tolist(), strict=True) if one]


def train(
    algorithm: Algorithm,
    env: str | Callable[[int], Env],
    seeds: int | Iterable[int] = 10,
    steps: int = 100_000,
    policy: Policy | None = None,
    critic: Critic | None = None,
    device: str | torch.device = "cpu",
) -> Run:
    """Drain `training` and keep about 200 rows of curves for each seed. Arguments and errors as `training`.

    What comes back is on the CPU.
    """
    curves = Curves(steps)
    iteration = None
    for iteration in training(algorithm, env, seeds, steps, policy, critic, device=device):
        curves.add(iteration)
    assert iteration is not None
    trained = replace(iteration.policy, theta=iteration.policy.theta.cpu())
    return Run(algorithm, trained, curves.frame(trained.seeds))


@dataclass(frozen=True)
class Episodes:
    """Follows returns and lengths of episodes that run across rollouts: what every copy has collected so far."""

    ret: Tensor  # [seed, env]
    length: Tensor

    @classmethod
    def start(cls, streams: Streams, envs: int) -> Episodes:
        zero = torch.zeros(len(streams), envs, dtype=streams.dtype, device=streams.device)
        return cls(zero, zero.clone())

    def follow(self, batch: Trajectory) -> tuple[Episodes, tuple[Tensor, Tensor, Tensor]]:
        """The state after a rollout; and number, summed returns and lengths of the episodes that ended in it."""
        ended = batch.done & batch.mask
        steps = torch.arange(ended.shape[1], device=ended.device).view(1, -1, 1).expand_as(ended)
        ends_before = torch.where(ended, steps, -1).cummax(1).values.roll(1, 1)
        ends_before[:, 0] = -1
        reset = ends_before >= 0

        def since_start(amount: Tensor, carried: Tensor) -> Tensor:
            total = carried.unsqueeze(1) + amount.cumsum(1)
            return total - total.gather(1, ends_before.clamp_min(0)).where(reset, 0.0)

        ret = since_start(batch.reward.where(batch.mask, 0.0), self.ret)
        length = since_start(batch.mask.to(ret.dtype), self.length)
        after = Episodes(ret[:, -1].where(~ended[:, -1], 0.0), length[:, -1].where(~ended[:, -1], 0.0))
        return after, (ended.sum((1, 2)), ret.where(ended, 0.0).sum((1, 2)), length.where(ended, 0.0).sum((1, 2)))


class Curves:
    """Gathers iterations into a tidy table: a row per seed and report, about `REPORTS` reports over the whole training.

    Columns: `seed`, `step` (environment steps so far), `episodes` (that ended since the last report), `return` and
    `length` (their means, undiscounted; NaN where no episode ended), and the means of the algorithm's metrics.
    """

    def __init__(self, steps: int, iterations: dict[str, Tensor] | None = None) -> None:
        self.width = max(1, steps // REPORTS)
        self._stacked = dict(iterations or {})
        self._rows: list[dict[str, Tensor]] = []  # added since those were stacked

    def add(self, iteration: Iteration) -> None:
        self._rows.append(
            {
                "step": iteration.steps,
                "active": iteration.active,
                "episodes": iteration.episodes,
                "return": iteration.total_return,
                "length": iteration.total_length,
                **iteration.metrics,
            }
        )

    def iterations(self) -> dict[str, Tensor]:
        """All that was added, each [seed, iteration]: another `Curves` goes on from it."""
        if self._rows:
            added = {name: torch.stack([row[name] for row in self._rows], 1) for name in self._rows[0]}
            before = self._stacked
            self._stacked = {name: torch.cat([before[name], added[name]], 1) for name in added} if before else added
            self._rows = []
        return self._stacked

    def frame(self, seeds: Iterable[int]) -> pd.DataFrame:
        columns = {name: column.cpu().numpy() for name, column in self.iterations().items()}
        seed = np.repeat(list(seeds), columns["step"].shape[1])
        table = pd.DataFrame({"seed": seed, **{name: column.ravel() for name, column in columns.items()}})
        table = table[table.pop("active")]
        report = ((table["step"] - 1) // self.width).rename("report")
        how = dict.fromkeys(table.columns.drop("seed"), "mean") | {
            "step": "max", "episodes": "sum", "return": "sum", "length": "sum",
        }  # fmt: skip
        table = table.groupby(["seed", report]).agg(how).reset_index().drop(columns="report")
        ended = table["episodes"].where(table["episodes"] > 0)
        return table.assign(**{"return": table["return"] / ended, "length": table["length"] / ended})
