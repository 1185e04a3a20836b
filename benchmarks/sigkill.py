"""Studies that are killed with SIGKILL at random moments, again and again: is anything lost, torn or changed?

    python -m benchmarks.sigkill                    100 kills, then a table
    python -m benchmarks.sigkill --json FILE        and the figures in a file

Three studies (a tensor world, Box2D, MuJoCo) with frequent checkpoints are computed by `pgcourse study` and killed: the
command and its workers at once, the command alone, or a worker alone. After every kill, each record that was ever there
must be there and verify. When the studies are complete, every table and θ is compared bit for bit with the same runs
computed without checkpoints or interruption, and the studies begin anew, until there have been as many kills as asked
for. One such lane runs for each processor, in a temporary folder. The exit status is 0 only if nothing was lost, torn or
changed, nothing foreign was left beside the records, and no process outlived its command.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np
import psutil
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from pgcourse.lab import Computed, MissingRecord, Record, RecordError, Store, Study, compute, fingerprint
from pgcourse.lab.files import STAGING
from pgcourse.lab.provenance import metrics_digest, tensor_digest

STUDIES = {  # environment, steps of each seed, steps between checkpoints, seeds, seeds of a block
    "cartpole": ("CartPole-v1", 24_000, 2_000, 4, 2),
    "walker": ("BipedalWalker-v3", 2_000, 250, 2, 2),
    "reacher": ("Reacher-v5", 4_000, 400, 4, 4),
}
DECLARATION = """
title = "To be killed"
env = "{}"
steps = {}
checkpoint_steps = {}
seeds = {}
seeds_per_block = {}
hidden = [16]
evaluation_episodes = 2
keep_policies = true

[variants.a2c]
algorithm = "a2c"
envs = 4
"""
SECOND = """
[variants.reinforce]
algorithm = "reinforce"
envs = 4
"""
MOMENTS = {"any": 0.25, "progress": 0.35, "checkpoint": 0.25, "record": 0.15}  # what a kill waits for, and how often
VICTIMS = {"all": 0.6, "command": 0.2, "worker": 0.2}
PHASES = ("start-up, first steps", "training", "writing a checkpoint", "storing a record")
PATIENCE = 300.0  # seconds in which something must happen, on a machine that others use too

Digests: TypeAlias = dict[tuple[str, str], dict[str, str]]  # of every table and θ, by study and run id


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: to whom, in which of the `PHASES`, how long after something was last put on the disk."""

    victim: str
    phase: str
    seconds_lost: float  # since the newest checkpoint or record, at most since the command started


@dataclass
class Figures:
    """What the kills did."""

    kills: list[Kill] = field(default_factory=list)
    records: int = 0  # completed
    resumed: int = 0  # of them, those that went on from a checkpoint at least once
    resumptions: int = 0
    lost: int = 0  # records that were there and later were not
    torn: int = 0  # records that did not verify
    changed: int = 0  # runs that ended without a record, or in other numbers than undisturbed
    foreign: int = 0  # what lies beside the complete records and does not belong there
    orphans: int = 0  # processes that outlived their command

    @property
    def sound(self) -> bool:
        return not (self.lost or self.torn or self.changed or self.foreign or self.orphans)

    def add(self, other: Figures) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def torture(folder: Path, kills: int, seed: int, lanes: int, on_kill: Callable[[], object] = lambda: None) -> Figures:
    """Kill the studies so many times, side by side in as many lanes, everything inside `folder`.

    Raises:
        RuntimeError: a study fails by itself, or does not get on.
    """
    expected = undisturbed(folder / "undisturbed")
    generators = np.random.default_rng(seed).spawn(lanes)

    def lane(number: int) -> Figures:
        figures = Figures()
        share = kills // lanes + (number < kills % lanes)
        while len(figures.kills) < share:
            figures.add(Round(folder, generators[number], expected, on_kill).play(share - len(figures.kills)))
        return figures

    total = Figures()
    with ThreadPoolExecutor(lanes) as pool:
        for each in pool.map(lane, range(lanes)):
            total.add(each)
    return total


def undisturbed(folder: Path) -> Digests:
    """What the runs give in this process, without checkpoints or interruption."""
    declare(folder)
    with patch.dict(os.environ, PGCOURSE_RESULTS=str(folder)):
        blocks = [block for name in STUDIES for block in Study.read(name).blocks()]
    return {(block.study.name, block.run_id): digests(compute(block)) for block in blocks}


def digests(run: Computed | Record) -> dict[str, str]:
    tables = {name: metrics_digest(table) for name, table in run.tables.items()}
    return tables | {"theta": tensor_digest(run.tensors["theta"])}


def declare(folder: Path) -> None:
    for name, values in STUDIES.items():
        (folder / name).mkdir(parents=True)
        text = DECLARATION.format(*values) + SECOND * (name == "cartpole")
        (folder / name / "study.toml").write_text(text, encoding="utf-8")


class Round:
    """The studies in a new results folder, from nothing to completion."""

    def __init__(
        self, folder: Path, rng: np.random.Generator, expected: Digests, on_kill: Callable[[], object]
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="round-", dir=folder))
        self.rng, self.expected, self.on_kill = rng, expected, on_kill
        self.figures = Figures()
        self.seen: set[tuple[str, str]] = set()  # records that were there once
        self.sessions: list[int] = []
        declare(self.folder)

    def play(self, kills: int) -> Figures:
        """Kill the studies so many times, less often if they are complete before; complete and verify them."""
        try:
            while len(self.figures.kills) < kills and not self._life(kills):
                pass
            with self._start(workers=2) as command:
                if command.wait() != 0:
                    raise RuntimeError(f"the studies cannot be completed: {self._log()}")
            self._inspect()
            self._conclude()
        finally:
            for process in self._alive():
                process.kill()
        return self.figures

    def _life(self, kills: int) -> bool:
        """Start the command and kill, until it is dead; True where it lived to complete the studies."""
        hurt = False
        with self._start(workers=int(self.rng.integers(1, 3))) as command:
            started = time.time()
            while len(self.figures.kills) < kills and self._wait(command):
                victim = self._kill(command, started)
                self.on_kill()
                self._inspect()
                if victim != "worker":
                    return False
                hurt = True
            if command.poll() is None:  # there have been enough kills
                command.wait()
        if command.returncode != 0 and not hurt:  # the run of a killed worker has failed
            raise RuntimeError(f"the studies ended with exit status {command.returncode}: {self._log()}")
        return command.returncode == 0

    def _start(self, workers: int) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", "pgcourse.cli", "study", *STUDIES, "--workers", str(workers)]
        environment = os.environ | {"PGCOURSE_RESULTS": str(self.folder), "OMP_NUM_THREADS": "1"}
        with (self.folder / "log.txt").open("ab") as log:
            command = subprocess.Popen(
                arguments, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.sessions.append(command.pid)
        return command

    def _wait(self, command: subprocess.Popen[bytes]) -> bool:
        """Until a random moment has come; False where the command ends first."""
        moment = self.rng.choice(list(MOMENTS), p=list(MOMENTS.values()))
        delay = {"any": self.rng.uniform(0, 8), "progress": self.rng.exponential(0.5)}.get(moment, 0.0)
        before = self._traces(moment)
        deadline = time.monotonic() + PATIENCE
        while moment != "any" and self._traces(moment) == before:
            if command.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing happens: {self._log()}")
            time.sleep(0.002)
        time.sleep(delay)
        return command.poll() is None

    def _traces(self, moment: str) -> set[tuple[Path, float]]:
        """What the disk shows of checkpoints that are there, are being written, or of records being written."""
        patterns = {"progress": ".checkpoints/*.pt", "checkpoint": f".checkpoints/{STAGING}*", "record": f"{STAGING}*"}
        found = set()
        for path in self.folder.glob(f"*/{patterns[moment]}") if moment in patterns else ():
            try:
                found.add((path, path.stat().st_mtime))
            except FileNotFoundError:  # replaced or deleted meanwhile
                continue
        return found

    def _kill(self, command: subprocess.Popen[bytes], started: float) -> str:
        """Kill somebody, note what was going on, and say who it was."""
        victim = str(self.rng.choice(list(VICTIMS), p=list(VICTIMS.values())))
        workers = _workers(command) if victim == "worker" else []
        if workers:
            workers[self.rng.integers(len(workers))].kill()
        elif victim == "command":
            command.kill()
        else:
            victim = "all"
            os.killpg(command.pid, signal.SIGKILL)
        killed = time.time()
        if victim != "worker":
            command.wait()
        self.figures.kills.append(Kill(victim, self._phase(started), killed - self._newest(started)))
        return victim
