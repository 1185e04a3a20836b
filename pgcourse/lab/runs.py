"""Computing one run of a study: train, evaluate, and note how; storing what came out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms import Curves, Progress, evaluate
from pgcourse.lab.beginning import compute_fingerprint, prefix, single, train
from pgcourse.lab.checkpoints import Checkpoints, Saved, UnusableCheckpoint
from pgcourse.lab.engines import Report
from pgcourse.lab.provenance import commit, constraints_hash, machine
from pgcourse.lab.records import Record
from pgcourse.lab.studies import Block


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
    curves = Curves(block.environment.steps, saved.iterations if saved else None)
    returns = _Returns(curves.width)
    for iteration in train(block, resume=saved.checkpoint if saved else None):
        curves.add(iteration)
        if checkpoints and iteration.checkpoint:
            checkpoints.save(block, Saved(iteration.checkpoint, curves.iterations(), *clock.read()))
        report(min(1.0, int(iteration.steps.min()) / block.environment.steps), returns.follow(iteration))
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
        "wall_seconds": wall_seconds,
        "cpu_seconds": cpu_seconds,
        "resumed": resumed,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "iterations": iteration.number + 1,
    }
    return Computed(tables, manifest, {"theta": iteration.policy.theta} if study.keep_policies else {})


def store(block: Block, computed: Computed, checkpoints: Checkpoints | None = None, *, replace: bool = False) -> Record:
    """Put a run's record into its study's store and let go of its checkpoint. Arguments and errors as `Store.write`."""
    record = block.study.store.write(
        block.configuration, block.name, computed.tables, computed.manifest, computed.tensors, replace=replace
    )
    if checkpoints:
        checkpoints.discard(block.name)
    return record


def _load(checkpoints: Checkpoints | None, block: Block) -> Saved | None:
    try:
        return checkpoints.load(block) if checkpoints else None
    except UnusableCheckpoint:  # whoever plans the run has said so
        return None


class _Returns:
    """The latest point of the learning curve: the mean over seeds of the returns that ended in the last `width` steps.

    Or in more, as many as it takes until every seed has ended an episode; None until then.
    """

    def __init__(self, width: int) -> None:
        self._width = self._due = width
        self._total, self._count = torch.zeros(1), torch.zeros(1)
        self._latest: float | None = None

    def follow(self, iteration: Progress) -> float | None:
        self._total = self._total + iteration.total_return
        self._count = self._count + iteration.episodes
        steps = int(iteration.steps.min())
        if steps >= self._due and self._count.all():
            self._latest = float((self._total / self._count).mean())
            self._total, self._count, self._due = torch.zeros(1), torch.zeros(1), steps + self._width
        return self._latest


class _Clock:
    """Seconds that a run has taken, its earlier parts included, and how often it was taken up again."""

    def __init__(self, saved: Saved | None) -> None:
        self._wall = time.perf_counter() - (saved.wall_seconds if saved else 0.0)
        self._cpu = time.process_time() - (saved.cpu_seconds if saved else 0.0)
        self._resumed = saved.resumed + 1 if saved else 0

    def read(self) -> tuple[float, float, int]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu, self._resumed
