"""The first iterations of a run, to be compared with those of a repetition: as they are, and computed in float64.

In float32 they are compared bit for bit: on another kind of processor, rounding is soon as large as the numbers. In
float64 they are the same everywhere up to rounding, their *fingerprint*.

How much rounding changes differs by orders of magnitude: conjugate gradients amplify it by ten in one update, PPO on
CartPole by less in twenty. So it is measured. A twin of the run sees observations and rewards that are changed by
`NUDGE`, which is more than any processor's rounding; what comes out otherwise by more than `DETERMINED` is no property
of the program, and left out of the fingerprint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms import Curves, Progress, training
from pgcourse.core import Streams
from pgcourse.envs import Env, Step, make
from pgcourse.lab.studies import Block

PREFIX = 16  # iterations of which a record holds every number
# A repetition ends before that where every seed has seen so many steps, but not before so many iterations: large
# batches would take most of the time, and tell no more.
ENOUGH_STEPS, ENOUGH_ITERATIONS = 10_000, 4

SEEDS = 2  # of the block that have a fingerprint: seeds share nothing, and the others would show nothing else
STEPS, ITERATIONS = 5_000, 3  # it ends where every seed has seen so many steps, but not before so many iterations
NUDGE = 1e-12  # relative; float64 rounds by 1e-16, and an iteration is millions of operations
DETERMINED = 1e-8  # in units of the largest number of a column
INDEX = ["seed", "iteration"]
COUNTS = ["step", "active", "episodes", "length"]


def compute_prefix(block: Block) -> pd.DataFrame:
    """The `prefix` table of a run's record or its first rows, by training no longer than that.

    Raises:
        StudyError, FloatingPointError: as `pgcourse.lab.compute`.
    """
    return prefix(_until(train(block), ENOUGH_STEPS, ENOUGH_ITERATIONS, PREFIX), block.seeds)


def compute_fingerprint(block: Block) -> pd.DataFrame:
    """The `fingerprint` table: columns as in `prefix`, and `theta_norm`, ‖θ‖ after the iteration; NaN as above.

    Raises:
        StudyError, FloatingPointError: as `pgcourse.lab.compute`.
    """
    table = _in_float64(block, _until(_train_in_float64(block), STEPS, ITERATIONS))
    twin = repeat_fingerprint(block, table["iteration"].max(), NUDGE)
    numbers = table.columns.drop(INDEX)
    told = (table - twin).abs()[numbers] <= DETERMINED * _sizes(table[numbers])
    last = table["iteration"][told.drop(columns=COUNTS).any(axis=1)].max()
    kept = table[numbers].where(told)
    return pd.concat([table[INDEX], kept], axis=1)[table["iteration"] <= last].reset_index(drop=True)


def repeat_fingerprint(block: Block, iterations: int, nudge: float = 0.0) -> pd.DataFrame:
    """So many iterations in float64, with every number; of a twin that sees what is `nudge`d."""
    return _in_float64(block, islice(_train_in_float64(block, nudge), iterations))


def fingerprint_distance(kept: pd.DataFrame, now: pd.DataFrame) -> tuple[float, str]:
    """max |x - y| over the numbers x that a fingerprint tells and a repetition's y, and the column where that is.

    In units of the largest |x| of a column. Infinite where there are other columns or rows, or nothing to compare.
    """
    if sorted(kept.columns) != sorted(now.columns):
        return math.inf, ", ".join(sorted(set(kept.columns) ^ set(now.columns)))
    told, numbers = kept.set_index(INDEX), now.set_index(INDEX).reindex(kept.set_index(INDEX).index)
    if not told.notna().any(axis=None):
        return math.inf, "nothing is told"
    apart = (told - numbers[told.columns]).abs() / _sizes(told)
    worst = apart.fillna(math.inf).where(told.notna(), 0.0).max().to_dict()
    name = max(worst, key=lambda name: worst[name])
    return float(worst[name]), str(name)


def prefix(iterations: Iterable[Progress] | dict[str, Tensor], seeds: tuple[int, ...]) -> pd.DataFrame:
    """Every number of the first `PREFIX` iterations: seed, iteration, step, active, episodes, and the sums and metrics.

    `return` and `length` are summed over the episodes that ended in the iteration.
    """
    columns = iterations if isinstance(iterations, dict) else _columns(iterations)
    return single(_table({name: column[:, :PREFIX] for name, column in columns.items()}, seeds))


def single(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its numbers rounded to float32: what is kept, compared and digested."""
    return table.astype({name: np.float32 for name, dtype in table.dtypes.items() if dtype.kind == "f"})


def train(block: Block, **options: Any) -> Iterator[Progress]:
    """`pgcourse.training` of a run. Raises as it does, and `StudyError` where the environment cannot be made."""
    environment = block.environment
    arguments = {"env": environment.make, "seeds": block.seeds} | options
    return training(
        block.algorithm,
        steps=environment.steps,
        policy=block.networks()[0],
        critic=block.networks()[1],
        checkpoint_steps=environment.checkpoint_steps,
        **arguments,
    )


class _Nudged:
    """A world whose observations and rewards are changed a little, in each step by another factor."""

    def __init__(self, world: Env, nudge: float) -> None:
        self._world, self._nudge = world, nudge
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def reset(self, streams: Streams) -> Tensor:
        return self._change(self._world.reset(streams))

    def step(self, action: Tensor, noise: Tensor) -> Step:
        self._steps += 1
        step = self._world.step(action, noise)
        seen = {name: self._change(getattr(step, name)) for name in ("obs", "reward", "next_obs")}
        return step._replace(**seen)

    def _change(self, x: Tensor) -> Tensor:
        return x * (1 + self._nudge * math.sin(1 + self._steps)) if x.is_floating_point() else x


def _train_in_float64(block: Block, nudge: float = 0.0) -> Iterator[Progress]:
    def world(envs: int, **options: Any) -> Env:
        world = make(block.environment.make, envs, **options)
        return _Nudged(world, nudge) if nudge else world

    return train(block, env=world, seeds=block.seeds[:SEEDS], dtype=torch.float64)


def _until(iterations: Iterator[Progress], steps: int, least: int, most: int | None = None) -> Iterator[Progress]:
    for iteration in islice(iterations, most):
        yield iteration
        if iteration.number + 1 >= least and int(iteration.steps.min()) >= steps:
            return


def _in_float64(block: Block, iterations: Iterable[Progress]) -> pd.DataFrame:
    table = _table(_columns(iterations, norms=True), block.seeds[:SEEDS])
    return table.astype(dict.fromkeys(table.columns.drop(INDEX), np.float64))


def _columns(iterations: Iterable[Progress], norms: bool = False) -> dict[str, Tensor]:
    curves, norm = Curves(1), []
    for iteration in iterations:
        curves.add(iteration)
        norm.append(iteration.policy.theta.norm(dim=1))
    return curves.iterations() | ({"theta_norm": torch.stack(norm, 1)} if norms else {})


def _table(columns: dict[str, Tensor], seeds: tuple[int, ...]) -> pd.DataFrame:
    """A row for each seed and iteration, from columns [seed, iteration]."""
    index = pd.MultiIndex.from_product([seeds, range(1, columns["step"].shape[1] + 1)], names=INDEX)
    whole = columns | {"active": columns["active"].int()}
    return pd.DataFrame({name: column.flatten().numpy() for name, column in whole.items()}, index).reset_index()


def _sizes(table: pd.DataFrame) -> pd.Series:
    sizes = table.abs().max()
    return sizes.where(sizes > 0, 1.0)
