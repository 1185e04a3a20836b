"""What keeping records costs: its share of a study's CPU time, the store's rates, the time to load all records.

    python -m benchmarks.bookkeeping                tables
    python -m benchmarks.bookkeeping --json FILE    and the figures in a file

Two committed studies are computed anew, in a temporary folder, as `pgcourse study` does it: each run by a worker of its
own, one after the other, with checkpoints, shown on a terminal, stored by the parent. In the worker, each function that
trains nothing is timed in CPU seconds, git's included; so is all that the parent does. The display is drawn by a thread
of the parent's so many times a second, however little the worker gets to do meanwhile: it is counted, and shown beside
the seconds that passed. Imports are reported apart. Of two rounds the one that took least counts. The exit status is
0 only if bookkeeping takes less than 1 % of each study, and all committed records load in less than 2 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import torch
from rich.console import Console
from rich.table import Table

from pgcourse.algorithms import Curves
from pgcourse.lab import Checkpoints, Store, Study, console, engines, load, machine, runs
from pgcourse.lab.engines import Done, Event, Task

STUDIES = "a2c-cartpole", "reinforce-grid"  # that with the least training of all, and that with the shortest runs
ROUNDS = 2
SHARE, SECONDS = 0.01, 2.0  # of a study's CPU time; to load all records
RECORDS = 100  # written and read to measure the store
IN_WORKER: dict[str, list[tuple[Any, str]]] = {  # what a run calls beside training
    "gather the curves": [(Curves, "add")],
    "checkpoint": [(Curves, "iterations"), (Checkpoints, "save"), (Checkpoints, "load")],
    "tables": [(Curves, "frame"), (runs, "prefix")],
    "provenance": [(runs, name) for name in ("commit", "constraints_hash", "machine")],
}
IN_PARENT: dict[str, list[tuple[Any, str]]] = {"store": [(runs, "store")]}


class Stopwatch:
    """CPU seconds by name. Where timed functions call each other, the outermost counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._busy = False

    def timed(self, name: str, function: Callable) -> Callable:
        @wraps(function)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if self._busy:
                return function(*arguments, **options)
            self._busy, begun = True, time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                self._busy = False
                self.seconds[name] = self.seconds.get(name, 0.0) + time.thread_time() - begun
                self.calls[name] = self.calls.get(name, 0) + 1

        return wrapper

    @contextmanager
    def watching(self, functions: dict[str, list[tuple[Any, str]]]) -> Iterator[None]:
        with ExitStack() as stack:
            for name, places in functions.items():
                for owner, attribute in places:
                    stack.enter_context(patch.object(owner, attribute, self.timed(name, getattr(owner, attribute))))
            yield


@dataclasses.dataclass(frozen=True)
class Share:
    """Where a study's CPU seconds went."""

    study: str
    runs: int
    start_up: float  # imports of the workers
    training: float  # and the evaluations
    wall: float  # seconds that the command took
    bookkeeping: dict[str, float]
    calls: dict[str, int]

    @property
    def share(self) -> float:
        """Of bookkeeping in everything but the workers' start-up."""
        total = sum(self.bookkeeping.values())
        return total / (total + self.training)


def measured(function: Task, argument: Any, report: Callable[[float], None]) -> tuple[Any, dict[str, Any]]:
    """In a worker: what the task gives, and where the time went."""
    begun, watch = time.thread_time(), Stopwatch()
    with watch.watching(IN_WORKER):
        result = function(argument, watch.timed("progress", report))
    training = time.thread_time() - begun - sum(watch.seconds.values())
    git = resource.getrusage(resource.RUSAGE_CHILDREN)  # the only process that a worker starts
    watch.seconds["provenance"] += git.ru_utime + git.ru_stime
    watch.timed("send the result", pickle.dumps)(result)
    return result, {"start_up": begun, "training": training, "seconds": watch.seconds, "calls": watch.calls}


def share(name: str) -> Share:
    """Compute all runs of a committed study and watch."""
    taken: list[dict[str, Any]] = []

    def engine(function: Task, arguments: Sequence[Any]) -> Generator[Event, None, None]:
        for event in engines.local(partial(measured, function), arguments, workers=1):
            if isinstance(event, Done):
                result, figures = event.result
                taken.append(figures)
                event = Done(event.task, result)
            yield event

    with tempfile.TemporaryDirectory() as folder:
        study = dataclasses.replace(Study.read(name), folder=Path(folder) / name)
        screen, watch = Console(file=io.StringIO(), force_terminal=True), Stopwatch()
        begun = time.perf_counter(), time.thread_time(), time.process_time()  # of the parent alone
        with watch.watching(IN_PARENT):
            flags = {"dry_run": False, "refresh": False, "prune": False}
            status = console.compute(screen, [study], engine, lambda each: each.checkpoints, **flags)
        ended = time.perf_counter(), time.thread_time(), time.process_time()
    wall, thread, process = (b - a for a, b in zip(begun, ended, strict=True))
    if status != 0 or len(taken) != len(study.blocks()):
        raise RuntimeError(f"{name} could not be computed")
    seconds, calls = Counter(watch.seconds), Counter(watch.calls)
    for run in taken:
        seconds.update(run["seconds"])
        calls.update(run["calls"])
    seconds |= Counter({"plan, start, events": thread - watch.seconds["store"], "display": process - thread})
    start_up, training = (sum(run[key] for run in taken) for key in ("start_up", "training"))
    return Share(name, len(taken), start_up, training, wall, dict(seconds), dict(calls))


def throughput(name: str) -> dict[str, float]:
    """Records a second that the store writes, reading each back once, and reads; the best of all rounds."""
    record = next(iter(load(name).records.values()))[0]
    best = {"written": 0.0, "read": 0.0}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            begun = time.perf_counter()
            written = [
                store.write({"number": number}, str(number), record.tables, {}, record.tensors).name
                for number in range(RECORDS)
            ]
            best["written"] = max(best["written"], RECORDS / (time.perf_counter() - begun))
            begun = time.perf_counter()
            for each in written:
                store.read(each)
            best["read"] = max(best["read"], RECORDS / (time.perf_counter() - begun))
    return best


LOADING = """
import time
begun = time.process_time(), time.perf_counter()
from pgcourse import lab
imported = time.process_time(), time.perf_counter()
records = sum(len(blocks) for name in lab.study_names() for blocks in lab.load(name).records.values())
loaded = time.process_time(), time.perf_counter()
print(records, *(b - a for a, b in zip(begun, imported)), *(b - a for a, b in zip(imported, loaded)))
"""


def loading() -> dict[str, float]:
    """Seconds to import the package and to load every committed record, in a fresh process: the best of five."""
    names = ("records", "import_cpu", "import_wall", "load_cpu", "load_wall")
    rounds = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=True)
        rounds.append(dict(zip(names, map(float, done.stdout.split()), strict=True)))
    return {name: min(each[name] for each in rounds) for name in names}


def report(shares: list[Share], rates: dict[str, float], times: dict[str, float], screen: Console) -> None:
    table = Table("CPU milliseconds", *(f"{each.study}, {each.runs} runs" for each in shares))
    names = dict.fromkeys(name for each in shares for name in each.bookkeeping)
    for name in names:
        counts = [f" ({each.calls[name]} calls)" if name in each.calls else "" for each in shares]
        cells = [f"{1000 * each.bookkeeping[name]:.1f}{count}" for each, count in zip(shares, counts, strict=True)]
        table.add_row(name, *cells)
    table.add_section()
    table.add_row("bookkeeping", *(f"{1000 * sum(each.bookkeeping.values()):.1f}" for each in shares))
    table.add_row("training, evaluation", *(f"{1000 * each.training:.0f}" for each in shares))
    table.add_row("share of bookkeeping", *(f"{each.share:.2%}" for each in shares))
    table.add_section()
    table.add_row("passed on the clock", *(f"{1000 * each.wall:.0f}" for each in shares))
    table.add_row("apart: imports of the workers", *(f"{1000 * each.start_up:.0f}" for each in shares))
    screen.print(table)
    screen.print(f"store: {rates['written']:.0f} records written, {rates['read']:.0f} read a second")
    screen.print(
        f"all {times['records']:.0f} records loaded in {times['load_wall']:.2f} s ({times['load_cpu']:.2f} s of CPU), "
        f"imports before it {times['import_wall']:.2f} s ({times['import_cpu']:.2f} s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as in a study's workers
    screen = Console(highlight=False)
    rounds = [[share(name) for name in STUDIES] for _ in range(ROUNDS)]
    shares = [min(each, key=lambda one: one.training) for each in zip(*rounds, strict=True)]
    rates, times = throughput(STUDIES[0]), loading()
    report(shares, rates, times, screen)
    if options.json:
        document = {
            "machine": machine() | {"processors": psutil.cpu_count()},
            "studies": [dataclasses.asdict(each) | {"share": each.share} for each in shares],
            "records_per_second": rates,
            "loading": times,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if max(each.share for each in shares) < SHARE and times["load_wall"] < SECONDS else 1)


if __name__ == "__main__":
    main()
