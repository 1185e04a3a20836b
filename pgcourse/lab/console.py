"""Studies and runs on the terminal: what is there, what would be computed, progress while it is computed."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from typing import Any, TypeAlias

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
from rich.table import Table

from pgcourse.lab import runs
from pgcourse.lab.checkpoints import Checkpoints, UnusableCheckpoint
from pgcourse.lab.engines import Done, Event, Failed, Report, Task, local
from pgcourse.lab.engines import Progress as Advanced
from pgcourse.lab.records import MissingRecord, RecordError
from pgcourse.lab.studies import Block, Study, study_names

BARS = 16  # runs that are shown one by one
INTERRUPTED = 130  # the exit status of a program that Ctrl-C has ended

Engine: TypeAlias = Callable[[Task, Sequence[Any]], Generator[Event, None, None]]


def overview(console: Console) -> None:
    """All studies, three lines each."""
    for study in map(Study.read, study_names()):
        there = [_is_there(block) for block in study.blocks()]
        console.print(f"[bold]{study.name}[/bold]  {sum(there)} of {len(there)} records", highlight=False)
        console.print(f"  {study.title}", markup=False, highlight=False)
        variants = f"{len(study.variants)} variant{'s' * (len(study.variants) > 1)} × {study.seeds} seeds"
        envs = ", ".join(f"{each.name} ({each.steps:,} steps)" for each in study.environments.values())
        console.print(f"  {variants} in {envs}", markup=False, highlight=False)


def compute(
    console: Console,
    studies: Sequence[Study],
    engine: Engine,
    checkpoints: Callable[[Study], Checkpoints | None],
    *,
    dry_run: bool,
    refresh: bool,
    prune: bool,
) -> int:
    """Show the state of every run and compute what is missing; the exit status, 0 where every record is there.

    `checkpoints` says where the runs of a study keep their state, if anywhere.
    """
    todo, unusable = _plan(console, studies, checkpoints, refresh)
    if dry_run:
        return 1 if unusable else 0
    for study in studies:
        study.store.sweep()
        if not refresh:
            _tidy(study, checkpoints(study))
        if prune:
            for name in _undeclared(study):
                study.store.remove(name)
    failed = 0
    try:
        if todo:
            failed = _run(console, todo, engine, checkpoints, refresh)
    except KeyboardInterrupt:
        console.print("Stopped. Finished runs are kept, others as their last checkpoints; the same command goes on.")
        return INTERRUPTED
    if failed:
        console.print(f"[red]{failed} of {len(todo)} runs failed[/red]")
    return 1 if failed or unusable else 0


def train(console: Console, study: Study) -> int:
    """Compute what is missing of a run of one's own, showing the mean return as it is now; the exit status."""
    title = f"{study.title}, {study.seeds} seed{'s' * (study.seeds > 1)} × {study.steps:,} steps"
    console.print(f"[bold]{study.name}[/bold]  {title}", highlight=False)
    console.print(f"kept in {study.folder}", markup=False, highlight=False, soft_wrap=True)
    study.store.sweep()
    _tidy(study, study.checkpoints)
    todo = []
    for block in study.blocks():
        if (state := _state(block)) == "missing":
            todo.append(block)
            if begun := _begun(block, study.checkpoints):
                console.print(f"{block.title}{begun}", markup=False, highlight=False)
        elif isinstance(state, RecordError):
            what = getattr(state, "what", str(state))
            remedy = f"delete that folder, then: pgcourse train --resume {study.name}"
            console.print(f"[red]{study.folder / block.name}[/red]: {what}; {remedy}", highlight=False, soft_wrap=True)
            return 1
    failed = 0
    try:
        for event in _watched(console, study, todo) if todo else ():
            block = todo[event.task]
            error = (
                _reason(event.error) if isinstance(event, Failed) else _store(block, event, study.checkpoints, False)
            )
            if error is not None:
                failed += 1
                console.print(f"[red]failed[/red] {block.title}", highlight=False)
                console.print(error, markup=False, highlight=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print(
            "Stopped. What was computed up to the last checkpoint is kept; the same command goes on, and so does\n"
            f"  pgcourse train --resume {study.name}",
            highlight=False,
        )
        return INTERRUPTED
    return 1 if failed else 0


def _watched(console: Console, study: Study, blocks: Sequence[Block]) -> Generator[Done | Failed, None, None]:
    """What training some seeds of a run comes to, with a bar for all of them."""
    columns = (
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} steps"),
        TextColumn("{task.fields[value]}", style="bold"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    tasks = [(block, study.checkpoints) for block in blocks]
    done = [0.0] * len(blocks)
    values: dict[int, float] = {}
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        bar = progress.add_task("", total=study.steps, value="")
        with closing(local(_compute, tasks, workers=max(1, len(tasks)))) as events:
            for event in events:
                done[event.task] = event.fraction if isinstance(event, Advanced) else 1.0
                if isinstance(event, Advanced) and event.value is not None:
                    values[event.task] = event.value
                value = f"mean return {sum(values.values()) / len(values):,.4g}" if values else ""
                progress.update(bar, completed=study.steps * sum(done) / len(done), value=value)
                if not isinstance(event, Advanced):
                    yield event


def _reason(error: str) -> str:
    """Of a traceback what was said, where that names the thing and the remedy; else all of it."""
    last = error.rpartition("Traceback (most recent call last):\n")[2]
    said = re.search(r"^(?:FloatingPointError|ValueError|pgcourse[\w.]*Error): (.*)\Z", last, re.DOTALL | re.MULTILINE)
    return said[1] if said else error


def _plan(
    console: Console, studies: Sequence[Study], checkpoints: Callable[[Study], Checkpoints | None], refresh: bool
) -> tuple[list[Block], int]:
    """The runs to compute, and how many records are there but cannot be used."""
    table = Table("study", "run", "record", "state")
    todo, unusable = [], []
    for study in studies:
        for block in study.blocks():
            state = _state(block)
            if refresh or state == "missing":
                todo.append(block)
                state = "missing" if state == "missing" else "to be computed again"
                state += _begun(block, checkpoints(study))
            elif state != "done":
                unusable.append(state)
                state = "[red]cannot be used[/red]"
            table.add_row(study.name, block.title, block.name, state)
        for name in _undeclared(study):
            table.add_row(study.name, "", name, "of no variant; --prune deletes it")
    console.print(table)
    for error in unusable:
        console.print(f"[red]{type(error).__name__}[/red] {error}", highlight=False, soft_wrap=True)
    return todo, len(unusable)


def _run(
    console: Console,
    blocks: Sequence[Block],
    engine: Engine,
    checkpoints: Callable[[Study], Checkpoints | None],
    refresh: bool,
) -> int:
    """Compute with a progress display, storing every run as it ends; how many failed."""
    failed = 0
    tasks = [(block, checkpoints(block.study)) for block in blocks]
    names = [f"{block.study.name}: {block.title}" for block in blocks]
    sizes = [block.environment.steps * len(block.seeds) for block in blocks]
    for event in follow(console, engine(_compute, tasks), names, sizes, f"all {len(blocks)} runs"):
        block, kept = tasks[event.task]
        error = event.error if isinstance(event, Failed) else _store(block, event, kept, refresh)
        if error is None:
            console.print(f"[green]done[/green] {names[event.task]}", highlight=False)
        else:
            failed += 1
            console.print(f"[red]failed[/red] {names[event.task]}")
            console.print(error, markup=False, highlight=False)
    return failed


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


def _compute(task: tuple[Block, Checkpoints | None], report: Report) -> runs.Computed:
    block, checkpoints = task
    return runs.compute(block, report, checkpoints)


def _store(block: Block, done: Done, checkpoints: Checkpoints | None, replace: bool) -> str | None:
    """Store what a run has given; why that was not possible, if so."""
    try:
        runs.store(block, done.result, checkpoints, replace=replace)
    except (OSError, RecordError) as error:
        return f"computed, but not stored: {type(error).__name__}: {error}"
    return None


def _state(block: Block) -> str | RecordError:
    """`done` for a record that verifies and is of the world as it is now, `missing`, or what is wrong with it."""
    try:
        block.check_world(block.record())
    except MissingRecord:
        return "missing"
    except RecordError as error:
        return error
    return "done"


def _is_there(block: Block) -> bool:
    try:
        return bool(block.record())
    except RecordError:
        return False


def _begun(block: Block, checkpoints: Checkpoints | None) -> str:
    """How far a run has come that was stopped, as an addition to its state."""
    try:
        saved = checkpoints.load(block) if checkpoints else None
    except UnusableCheckpoint as error:
        return f"; {error}: it starts anew"
    return f", {int(saved.checkpoint.steps.min()) / block.environment.steps:.0%} done" if saved else ""


def _tidy(study: Study, checkpoints: Checkpoints | None) -> None:
    """Let go of checkpoints whose runs are done: a worker may outlive a killed command by a moment, and write one."""
    for block in study.blocks():
        with suppress(RecordError):
            if checkpoints and block.find():
                checkpoints.discard(block.name)


def _undeclared(study: Study) -> list[str]:
    """Records that no variant leads to any more: left from other hyper-parameters."""
    declared = set()
    for block in study.blocks():
        try:
            declared.add(block.find())
        except RecordError:  # what is there may be this run's
            declared.add(block.name)
    return [name for name in study.store.names() if name not in declared]
