"""One run of a study: it is trained, evaluated and described, and its result is stored.

The first iterations are kept to be compared with those of a repetition, as they are and computed in float64. In float32
they are compared bit for bit: on another kind of processor, rounding is soon as large as the numbers. In float64 they
are the same everywhere up to rounding, their *fingerprint*.

How much rounding changes differs by orders of magnitude: conjugate gradients amplify it by ten in one update, PPO on
CartPole by less in twenty, and a pole that is balanced for five seconds by a hundred million within one episode. So it
is measured. In a twin of the run observations, rewards and the states of tensor worlds are changed by `NUDGE` in every
step, which is more than any processor's rounding; what comes out otherwise by more than `DETERMINED` is no property of
the program, and left out of the fingerprint. So is all that a seed does once the twin has taken another path: episodes
are counted in whole numbers, which may be equal by chance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms import Curves, LatestReturn, Progress, evaluate, training
from pgcourse.core import Streams
from pgcourse.envs import Env, Step, TensorWorld, make
from pgcourse.lab.checkpoints import Checkpoints, Saved, UnusableCheckpoint
from pgcourse.lab.configurations import world_kind
from pgcourse.lab.engines import Report
from pgcourse.lab.provenance import commit, constraints_hash, machine
from pgcourse.lab.records import Record
from pgcourse.lab.studies import Block, stage_name

PREFIX = 16  # iterations of which a record holds every number
PREFIX_SEEDS = 10  # of so many seeds of a block: the others are rows of the same matrix products
FINGERPRINT_SEEDS = 2  # of a block: seeds share nothing, and the others would show nothing else
# A fingerprint ends where every seed has seen so many steps, but not before so many iterations. So does a repetition of
# the prefix (in a block of many seeds, with as many steps together as ten would have): large batches would take most of
# the time, and tell no more.
ENOUGH_STEPS, ENOUGH_ITERATIONS = 5_000, 3
NUDGE = 1e-12  # relative; float64 rounds by 1e-16, and an iteration is millions of operations
DETERMINED = 1e-8  # in units of the largest number of a column
ANOTHER_PATH = 1e-3  # in the same units: a step more or less, an action that was not taken
INDEX = ["seed", "iteration"]
COUNTS = ["step", "active", "episodes", "length"]


@dataclass(frozen=True)
class Computed:
    """What a run gives, ready for the store."""

    tables: dict[str, pd.DataFrame]
    manifest: dict[str, Any]
    tensors: dict[str, Tensor]


def compute(
    block: Block, report: Report = lambda fraction, value=None: None, checkpoints: Checkpoints | None = None
) -> Computed:
    """Compute a run. `report` is told the fraction of the steps done, and the mean return over seeds as it is now.

    With `checkpoints`, the run's state is kept there every `checkpoint_steps` steps of its study, and a run that was
    stopped goes on from there; where its checkpoint cannot be used it starts anew. The numbers are the same either way.

    Raises:
        StudyError: the environment cannot be made.
        FloatingPointError: training has diverged to NaN or infinity.
        OSError: a checkpoint cannot be written.
    """
    study = block.study
    source = commit() | {"source": block.code}  # now, while the files are those that were just imported
    saved = _load(checkpoints, block)
    clock = _Clock(saved)
    curves = Curves(block.environment.steps, saved.iterations if saved else None, study.reports)
    returns = LatestReturn(curves.width)
    stages = dict(saved.stages) if saved else {}
    for iteration in train(block, resume=saved.checkpoint if saved else None):
        curves.add(iteration)
        done = min(1.0, int(iteration.steps.min()) / block.environment.steps)
        for stage in study.stages:
            if done >= stage:
                stages.setdefault(stage_name(stage), iteration.policy.theta)
        if checkpoints and iteration.checkpoint:
            checkpoints.save(block, Saved(iteration.checkpoint, curves.iterations(), *clock.read(), stages))
        report(done, returns.follow(iteration))
    tables = {
        "curves": single(curves.frame(block.seeds)),
        "evaluations": single(evaluate(iteration.policy, study.evaluation_episodes)),
        "prefix": prefix(curves.iterations(), block.seeds),
        "fingerprint": compute_fingerprint(block),
    }
    wall_seconds, cpu_seconds, resumed = clock.read()
    manifest = {
        **source,
        "constraints": constraints_hash(),
        "machine": machine(),
        "world": block.world,
        **({"algorithm": own} if (own := block.own_algorithm) else {}),
        "wall_seconds": wall_seconds,
        "cpu_seconds": cpu_seconds,
        "resumed": resumed,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "iterations": iteration.number + 1,
    }
    return Computed(tables, manifest, {"theta": iteration.policy.theta, **stages} if study.keep_policies else {})


def store(block: Block, computed: Computed, checkpoints: Checkpoints | None = None, *, replace: bool = False) -> Record:
    """Put a run's record into its study's store and let go of its checkpoint. Arguments and errors as `Store.write`."""
    record = block.study.store.write(
        block.configuration, block.name, computed.tables, computed.manifest, computed.tensors, replace=replace
    )
    if checkpoints:
        checkpoints.discard(block.name)
    return record


def compute_prefix(block: Block, enough: Callable[[pd.DataFrame], object] = lambda first: False) -> pd.DataFrame:
    """The `prefix` table of a run's record or its first rows, by training no longer than that.

    It is that of the first iteration alone, if this is `enough`.

    Raises:
        StudyError, FloatingPointError: as `pgcourse.lab.compute`.
    """
    steps = ENOUGH_STEPS * min(len(block.seeds), PREFIX_SEEDS) // (len(block.seeds) * _work(block))
    iterations = _until(train(block), steps, ENOUGH_ITERATIONS, PREFIX)
    begun = [next(iterations)]
    first = prefix(begun, block.seeds)
    return first if enough(first) else prefix(chain(begun, iterations), block.seeds)


def compute_fingerprint(block: Block) -> pd.DataFrame:
    """The `fingerprint` table: columns as in `prefix`, and `theta_norm`, ‖θ‖ after the iteration; NaN as above.

    Raises:
        StudyError, FloatingPointError: as `pgcourse.lab.compute`.
    """
    table = _in_float64(block, _until(_train_in_float64(block), ENOUGH_STEPS // _work(block), ENOUGH_ITERATIONS))
    twin = repeat_fingerprint(block, table["iteration"].max(), NUDGE)
    numbers = table.set_index(INDEX)
    told = determined(numbers, twin.set_index(INDEX))
    return numbers.where(told)[told.drop(columns=COUNTS).any(axis=1)].reset_index()


def determined(numbers: pd.DataFrame, twin: pd.DataFrame) -> pd.DataFrame:
    """Which numbers of a fingerprint, by seed and iteration, rounding does not decide: those that its twin has, too."""
    apart = (numbers - twin).abs() / column_sizes(numbers)
    elsewhere = (apart > ANOTHER_PATH).any(axis=1).groupby("seed").cummax()
    return (apart <= DETERMINED).mul(~elsewhere, axis=0)


def repeat_fingerprint(block: Block, iterations: int, nudge: float = 0.0) -> pd.DataFrame:
    """So many iterations in float64, with every number; of a twin that sees what is `nudge`d."""
    return _in_float64(block, islice(_train_in_float64(block, nudge), iterations))


def prefix(iterations: Iterable[Progress] | dict[str, Tensor], seeds: tuple[int, ...]) -> pd.DataFrame:
    """Every number of the first `PREFIX` iterations: seed, iteration, step, active, episodes, and the sums and metrics.

    `return` and `length` are summed over the episodes that ended in the iteration. Of a block of many seeds the
    first `PREFIX_SEEDS` are kept.
    """
    seeds = seeds[:PREFIX_SEEDS]
    columns = iterations if isinstance(iterations, dict) else _columns(iterations)
    return single(_table({name: column[: len(seeds), :PREFIX] for name, column in columns.items()}, seeds))


def single(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its numbers rounded to float32: what is kept, compared and digested."""
    return table.astype({name: np.float32 for name, dtype in table.dtypes.items() if dtype.kind == "f"})


def column_sizes(table: pd.DataFrame) -> pd.Series:
    """The largest |x| of every column, 1 where all are 0: the units in which fingerprints differ."""
    sizes = table.abs().max()
    return sizes.where(sizes > 0, 1.0)


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


def _load(checkpoints: Checkpoints | None, block: Block) -> Saved | None:
    try:
        return checkpoints.load(block) if checkpoints else None
    except UnusableCheckpoint:  # whoever plans the run has said so
        return None


class _Clock:
    """Seconds that a run has taken, its earlier parts included, and how often it was taken up again."""

    def __init__(self, saved: Saved | None) -> None:
        self._wall = time.perf_counter() - (saved.wall_seconds if saved else 0.0)
        self._cpu = time.process_time() - (saved.cpu_seconds if saved else 0.0)
        self._resumed = saved.resumed + 1 if saved else 0

    def read(self) -> tuple[float, float, int]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu, self._resumed


class _Nudged:
    """A world whose state, observations and rewards are changed a little, in each step by another factor."""

    def __init__(self, world: Env, nudge: float) -> None:
        self._world, self._nudge = world, nudge
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def reset(self, streams: Streams) -> Tensor:
        return self._change(self._world.reset(streams))

    def step(self, action: Tensor, noise: Tensor) -> Step:
        self._steps += 1
        if isinstance(self._world, TensorWorld):  # whose arithmetic is torch's, and rounds as torch does
            self._world.load({name: self._change_inside(x) for name, x in self._world.state().items()})
        step = self._world.step(action, noise)
        seen = {name: self._change(getattr(step, name)) for name in ("obs", "reward", "next_obs")}
        return step._replace(**seen)

    def _change(self, x: Tensor) -> Tensor:
        return x * (1 + self._nudge * math.sin(1 + self._steps)) if x.is_floating_point() else x

    def _change_inside(self, x: Tensor) -> Tensor:
        """Whole numbers, which may be places on a grid, are exact on every machine."""
        return torch.where(x == x.round(), x, self._change(x)) if x.is_floating_point() else x


def _train_in_float64(block: Block, nudge: float = 0.0) -> Iterator[Progress]:
    def world(envs: int, **options: Any) -> Env:
        world = make(block.environment.make, envs, **options)
        return _Nudged(world, nudge) if nudge else world

    return train(block, env=world, seeds=block.seeds[:FINGERPRINT_SEEDS], dtype=torch.float64)


def _work(block: Block) -> int:
    """How many ordinary steps one of this world's is worth: a language model's is a whole response."""
    return getattr(world_kind(block.env, block.environment.arguments), "work", 1)


def _until(iterations: Iterator[Progress], steps: int, least: int, most: int | None = None) -> Iterator[Progress]:
    for iteration in islice(iterations, most):
        yield iteration
        if iteration.number + 1 >= least and int(iteration.steps.min()) >= steps:
            return


def _in_float64(block: Block, iterations: Iterable[Progress]) -> pd.DataFrame:
    table = _table(_columns(iterations, norms=True), block.seeds[:FINGERPRINT_SEEDS])
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
