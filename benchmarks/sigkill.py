"""Studies that are killed with SIGKILL at random moments, again and again: is anything lost, torn or changed?

    python -m benchmarks.sigkill                    100 kills, then a table
    python -m benchmarks.sigkill --json FILE        and the figures in a file

Three studies (a tensor world, Box2D, MuJoCo) with frequent checkpoints are computed by `pgcourse study` and killed: the
command and its workers at once, the command alone, or a worker alone. After every kill, each record that was ever there
must be there, and verify, as must every checkpoint. When the studies are complete, every table and θ is compared bit
for bit with the same runs computed without checkpoints or interruption, and the studies begin anew, until there have
been as many kills as asked for. One such lane runs for each processor, in a temporary folder. The exit status is 0 only
if nothing was lost, torn or changed, nothing foreign was left beside the records, and no process outlived its command.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import numpy as np
import psutil
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from pgcourse.lab import Computed, MissingRecord, Record, RecordError, Store, Study, compute, machine
from pgcourse.lab.checkpoints import UnusableCheckpoint
from pgcourse.lab.records import STAGING, metrics_digest, tensor_digest

STUDIES = {  # environment, steps of each seed, steps between checkpoints, seeds, seeds of a block
    "cartpole": ("CartPole-v1", 24_000, 2_000, 4, 2),
    "walker": ("BipedalWalker-v3", 1_500, 250, 2, 2),
    "reacher": ("Reacher-v5", 4_000, 400, 4, 4),
}
DECLARATION = """
title = "To be killed"
env = "{}"
steps = {}
checkpoint_steps = {}
seeds = {}
seeds_per_block = {}
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
WRITING, STORING = f".checkpoints/{STAGING}*", f"{STAGING}*"
PATIENCE = 300.0  # seconds in which something must happen, on a machine that others use too

Digests: TypeAlias = dict[tuple[str, str], dict[str, str]]  # of every table and θ, by study and record


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: to whom, in which of the `PHASES`, how long after the last checkpoint or record, or the start."""

    victim: str
    phase: str
    seconds_lost: float | None  # None with two workers, of which nobody outside knows how far each has come


@dataclass
class Figures:
    """What the kills did."""

    kills: list[Kill] = field(default_factory=list)
    records: int = 0  # completed
    resumed: int = 0  # of them, those that went on from a checkpoint at least once
    resumptions: int = 0
    lost: int = 0  # records that were there and later were not
    torn: int = 0  # records or checkpoints that did not verify
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
    stop = threading.Event()

    def lane(number: int) -> Figures:
        figures = Figures()
        share = kills // lanes + (number < kills % lanes)
        while len(figures.kills) < share:
            played = Round(folder, generators[number], expected, on_kill, stop).play(share - len(figures.kills))
            figures.add(played)
        return figures

    total = Figures()
    # torch counts threads for each Python thread; one, as in the workers, lets their checkpoints be read
    with ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for each in pool.map(lane, range(lanes)):
                total.add(each)
        finally:  # interrupted, or one lane has failed: so end the others
            stop.set()
    return total


def undisturbed(folder: Path) -> Digests:
    """What the runs give in this process, without checkpoints or interruption."""
    declare(folder)
    with patch.dict(os.environ, PGCOURSE_RESULTS=str(folder)):
        blocks = [block for name in STUDIES for block in Study.read(name).blocks()]
    return {(block.study.name, block.name): digests(compute(block)) for block in blocks}


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
        self,
        folder: Path,
        rng: np.random.Generator,
        expected: Digests,
        on_kill: Callable[[], object],
        stop: threading.Event,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="round-", dir=folder))
        self.rng, self.expected, self.on_kill, self.stop = rng, expected, on_kill, stop
        self.figures = Figures()
        self.seen: set[tuple[str, str]] = set()  # records that were there
        self.left: set[Path] = set()  # unfinished files of killed writers
        declare(self.folder)

    def play(self, kills: int) -> Figures:
        """Kill the studies so many times, less often if they are complete before; then complete and verify them."""
        try:
            complete = False
            while not complete and len(self.figures.kills) < kills:
                complete = self._life(kills)
            if self._end(self._start(workers=2)) != 0:
                raise RuntimeError(f"the studies cannot be completed: {self._log()}")
            self._inspect()
            self._conclude()
        finally:
            for process in self._alive():
                process.kill()
        return self.figures

    def _life(self, kills: int) -> bool:
        """Start the command and kill until it is dead; True where it lives to complete the studies."""
        workers = int(self.rng.integers(1, 3))
        command, started, hurt = self._start(workers), time.time(), False
        while len(self.figures.kills) < kills and self._wait(command):
            victim = self._kill(command)
            phase, wrote = self._phase(started), self._wrote(started)
            self.figures.kills.append(Kill(victim, phase, max(0.0, time.time() - wrote) if workers == 1 else None))
            self.on_kill()
            self._inspect()
            if victim != "worker":
                return False
            hurt = True
        if self._end(command) != 0 and not hurt:  # where a worker was killed, its run has failed
            raise RuntimeError(f"the studies ended with exit status {command.returncode}: {self._log()}")
        return command.returncode == 0

    def _start(self, workers: int) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", "pgcourse.app.console", "study", *STUDIES, "--workers", str(workers)]
        environment = os.environ | {"PGCOURSE_RESULTS": str(self.folder), "OMP_NUM_THREADS": "1"}
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                arguments, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self, command: subprocess.Popen[bytes]) -> bool:
        """Until a random moment has come; False where the command ends first."""
        wanted, patience = {
            "any": ("", self.rng.uniform(0, 8)),
            "progress": (".checkpoints/*.pt", self.rng.exponential(0.5)),
            "checkpoint": (WRITING, self.rng.choice([0.0, 0.002, 0.01])),
            "record": (STORING, self.rng.choice([0.0, 0.002, 0.01, 0.02])),
        }[str(self.rng.choice(list(MOMENTS), p=list(MOMENTS.values())))]
        before, deadline = self._traces(wanted), time.monotonic() + PATIENCE
        while wanted and self._traces(wanted) <= before:
            if command.poll() is not None or self.stop.is_set():
                return False
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing happens: {self._log()}")
            time.sleep(0.0005)
        time.sleep(patience)
        return command.poll() is None

    def _end(self, command: subprocess.Popen[bytes]) -> int:
        """Its exit status, once it has ended by itself."""
        while command.poll() is None:
            if self.stop.is_set():
                raise RuntimeError("stopped, because another lane was, or by Ctrl-C")
            time.sleep(0.05)
        return command.returncode

    def _kill(self, command: subprocess.Popen[bytes]) -> str:
        """Kill somebody at random and say whom."""
        victim = str(self.rng.choice(list(VICTIMS), p=list(VICTIMS.values())))
        if victim == "worker" and (workers := [each for each in self._alive() if each.ppid() == command.pid]):
            self.rng.choice(np.array(workers)).kill()
            return victim
        if victim == "command":
            command.kill()
        else:
            victim = "all"
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        return victim

    def _phase(self, started: float) -> str:
        """What was going on, from what was left unfinished."""
        for pattern, phase in ((STORING, "storing a record"), (WRITING, "writing a checkpoint")):
            left = {path for path, _ in self._traces(pattern)} - self.left
            self.left |= left
            if left:
                return phase
        return "start-up, first steps" if self._wrote(started) == started else "training"

    def _wrote(self, started: float) -> float:
        """When the command had last put a checkpoint or a record on the disk, or else when it started."""
        finished = self._traces(".checkpoints/*.pt") | self._traces("*/manifest.json")
        return max([started, *(time for _, time in finished)])

    def _traces(self, pattern: str) -> set[tuple[Path, float]]:
        """Files in the studies' folders, and when they were written."""
        found = set()
        for path in self.folder.glob(f"*/{pattern}") if pattern else ():
            try:
                found.add((path, path.stat().st_mtime))
            except FileNotFoundError:  # replaced or deleted meanwhile
                continue
        return found

    def _inspect(self) -> None:
        """Every record that was there is there; it verifies, and so does each checkpoint."""
        present = set()
        for store, run in self._records():
            try:
                store.read(run)
                present.add((store.root.name, run))
            except MissingRecord:
                continue
            except RecordError:
                self.figures.torn += 1
        for block in (block for name in STUDIES for block in Study.at(self.folder / name).blocks()):
            try:
                block.study.checkpoints.load(block)
            except UnusableCheckpoint:
                self.figures.torn += 1
        self.figures.lost += len(self.seen - present)
        self.seen = present

    def _conclude(self) -> None:
        """Everything is there once, in the undisturbed runs' numbers, and nothing else is, nor lives."""
        records = {(store.root.name, run): store.read(run) for store, run in self._records()}
        for key, digest in self.expected.items():
            self.figures.changed += key not in records or digests(records[key]) != digest
        for record in records.values():
            self.figures.records += 1
            self.figures.resumed += record.manifest["resumed"] > 0
            self.figures.resumptions += record.manifest["resumed"]
        own = {"study.toml", ".checkpoints"} | {run for _, run in self.expected}
        own |= {
            f"{run}.pt" for _, run in self.expected
        }  # of a worker that outlived its command; the next one tidies up
        found = [*self.folder.glob("*/*"), *self.folder.glob("*/.checkpoints/*")]
        self.figures.foreign += sum(path.name not in own and not path.name.startswith(STAGING) for path in found)
        _, alive = psutil.wait_procs(list(self._alive()), timeout=30)
        self.figures.orphans += len(alive)

    def _records(self) -> list[tuple[Store, str]]:
        stores = [Store(self.folder / name) for name in STUDIES]
        return [(store, run) for store in stores for run in store.names()]

    def _alive(self) -> Iterator[psutil.Process]:
        """The processes that work on this folder."""
        for process in psutil.process_iter():
            try:
                if process.environ().get("PGCOURSE_RESULTS") == str(self.folder):
                    yield process
            except psutil.Error:  # gone, or somebody else's
                continue

    def _log(self) -> str:
        return (self.folder / "log.txt").read_text("utf-8", errors="replace")[-2000:]


def report(figures: Figures, console: Console) -> None:
    phases = Table("what was going on", *(f"killed: {victim}" for victim in VICTIMS), "seconds lost: mean", "maximum")
    for phase in PHASES:
        kills = [kill for kill in figures.kills if kill.phase == phase]
        counts = [str(sum(kill.victim == victim for kill in kills)) for victim in VICTIMS]
        phases.add_row(phase, *counts, *(f"{seconds:.1f}" for seconds in seconds_lost(kills).values()))
    console.print(phases)
    console.print(
        f"{len(figures.kills)} kills, {figures.records} records, {figures.resumed} of them of resumed runs "
        f"({figures.resumptions} resumptions)\n"
        f"records lost {figures.lost}, torn {figures.torn}; bit-identical: {'no' if figures.changed else 'yes'}; "
        f"left in the stores {figures.foreign}, orphans {figures.orphans}",
        highlight=False,
    )


def seconds_lost(kills: list[Kill]) -> dict[str, float]:
    """Mean and maximum, where one worker ran; NaN without any such kill."""
    seconds = [kill.seconds_lost for kill in kills if kill.seconds_lost is not None] or [math.nan]
    return {"mean": float(np.mean(seconds)), "max": max(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims (default 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if os.name != "posix":
        raise SystemExit("this needs SIGKILL: Linux or macOS")
    torch.set_num_threads(1)  # as in a study's workers
    lanes = psutil.cpu_count() or 1
    console = Console()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        bar = progress.add_task("kills", total=options.kills)
        figures = torture(Path(folder), options.kills, options.seed, lanes, lambda: progress.advance(bar))
    report(figures, console)
    if options.json:
        document = {"machine": machine() | {"processors": lanes}, "seed": options.seed, **asdict(figures)}
        document |= {"seconds_lost": seconds_lost(figures.kills), "sound": figures.sound}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if figures.sound else 1)


if __name__ == "__main__":
    main()
