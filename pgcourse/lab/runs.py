"""Computing one run of a study: train, evaluate, digest, store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

from pgcourse.algorithms import Iteration, evaluate, training
from pgcourse.algorithms.train import Curves
from pgcourse.lab.provenance import commit, constraints_hash, fingerprint, tensor_digest
from pgcourse.lab.studies import Block

PREFIX = (1, 2, 4, 8, 16, 32, 64)  # after so many iterations a run's metrics are digested


def compute(block: Block, report: Callable[[float], None] = lambda fraction: None, *, replace: bool = False) -> str:
    """Compute a run and store its record; the run's id. `report` is told the fraction of the steps done.

    Raises:
        StudyError: the environment cannot be made.
        FloatingPointError: training has diverged to NaN or infinity.
        OSError: the record cannot be written.
    """
    study = block.study
    source = commit()  # now, while the files are those that were just imported
    wall, cpu = time.perf_counter(), time.process_time()
    curves, prefix = Curves(study.steps), Prefix()
    for iteration in training(block.algorithm, study.env, block.seeds, study.steps, *study.networks()):
        curves.add(iteration)
        prefix.add(iteration)
        report(min(1.0, int(iteration.steps.min()) / study.steps))
    evaluations = evaluate(iteration.policy, study.evaluation_episodes)
    manifest = {
        **source,
        "constraints": constraints_hash(),
        "machine": fingerprint(),
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "iterations": iteration.number + 1,
        "prefix": prefix.digests,
    }
    tensors = {"theta": iteration.policy.theta} if study.keep_policies else None
    study.store.write(block.config, curves.frame(block.seeds), evaluations, manifest, tensors, replace=replace)
    return block.run_id


class Prefix:
    """Digests of all that a run has reported after its first iterations: {iterations: digest}, for each of `PREFIX`.

    A run computed again for as many iterations gives the same digest, or something has drifted.
    """

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self._hash = hashlib.sha256()

    def add(self, iteration: Iteration) -> None:
        count = iteration.number + 1
        if count > PREFIX[-1]:
            return
        numbers = {
            "steps": iteration.steps,
            "active": iteration.active,
            "episodes": iteration.episodes,
            "return": iteration.total_return,
            "length": iteration.total_length,
            **iteration.metrics,
        }
        for name, tensor in sorted(numbers.items()):
            self._hash.update(f"{name}:{tensor_digest(tensor)}\n".encode())
        if count in PREFIX:
            self.digests[str(count)] = self._hash.hexdigest()
