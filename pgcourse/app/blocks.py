"""Blocks of seeds on their way to a record: how far they are, computed under bars of progress, stored."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import closing, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pgcourse.lab import runs
from pgcourse.lab.checkpoints import Checkpoints, UnusableCheckpoint
from pgcourse.lab.engines import Advanced, Done, Event, Failed, Report
from pgcourse.lab.records import MissingRecord, RecordError
from pgcourse.lab.studies import Block, Study

BARS = 16  # blocks that are shown one by one
INTERRUPTED = 130  # the exit status of a program that Ctrl-C has ended


def follow(
    console: Console,
    events: Generator[Event, None, None],
    names: Sequence[str],
    sizes: Sequence[float],
    overall: str,
) -> Generator[Done | Failed, None, None]:
    """What an engine's tasks come to, with a bar for each, if they are several, and one for all, where size counts."""
    gc.freeze()  # one collection that looks at all that was imported takes longer than the display does in a minute
    done = [0.0] * len(names)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    clocks = (TimeElapsedColumn(), TimeRemainingColumn())
    progress = Progress(*columns, *clocks, console=console, refresh_per_second=1)  # ten outweigh all bookkeeping
    with progress, closing(events):
        one = len(names) == 1
        whole = progress.add_task(names[0] if one else overall, total=sum(sizes))
        bars: dict[int, TaskID] = {}
        for event in events:
            fraction = event.fraction if isinstance(event, Advanced) else 1.0
            progress.advance(whole, sizes[event.task] * (fraction - done[event.task]))
            done[event.task] = fraction
            if not one and event.task not in bars and len(bars) < BARS:
                bars[event.task] = progress.add_task(names[event.task], total=1.0)
            if event.task in bars:
                progress.update(bars[event.task], completed=fraction)
            if not isinstance(event, Advanced):
                if event.task in bars:
                    progress.remove_task(bars.pop(event.task))
                yield event


def compute_block(task: tuple[Block, Checkpoints | None], report: Report) -> runs.Computed:
    """For an engine: compute a block, with its checkpoints."""
    block, checkpoints = task
    return runs.compute(block, report, checkpoints)


def store_block(block: Block, done: Done, checkpoints: Checkpoints | None, replace: bool) -> str | None:
    """Store what a run has given; why that was not possible, if so."""
    try:
        runs.store(block, done.result, checkpoints, replace=replace)
    except (OSError, RecordError) as error:
        return f"computed, but not stored: {type(error).__name__}: {error}"
    return None


def state_of(block: Block) -> str | RecordError:
    """`done` for a record that verifies and is of the world as it is now, `missing`, or what is wrong with it."""
    try:
        block.check_world(block.record())
    except MissingRecord:
        return "missing"
    except RecordError as error:
        return error
    return "done"


def begun(block: Block, checkpoints: Checkpoints | None) -> str:
    """How far a run has come that was stopped, as an addition to its state."""
    try:
        saved = checkpoints.load(block) if checkpoints else None
    except UnusableCheckpoint as error:
        return f"; {error}: it starts anew"
    return f", {int(saved.checkpoint.steps.min()) / block.environment.steps:.0%} done" if saved else ""


def tidy(study: Study, checkpoints: Checkpoints | None) -> None:
    """Let go of checkpoints whose runs are done: a worker may outlive a killed command by a moment, and write one."""
    for block in study.blocks():
        with suppress(RecordError):
            if checkpoints and block.find():
                checkpoints.discard(block.name)


def is_there(block: Block) -> bool:
    """Whether a record of the block can be read."""
    try:
        return bool(block.record())
    except RecordError:
        return False
