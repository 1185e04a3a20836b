"""Blocks of seeds: how far each has come, its computation under a bar of progress, and the storing of its record."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

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

from pgcourse.course.watched import A_MINUTE, Meter
from pgcourse.lab import personal, runs
from pgcourse.lab.checkpoints import Checkpoints, OtherWorld, UnusableCheckpoint
from pgcourse.lab.engines import Advanced, Done, Event, Failed, Report, local
from pgcourse.lab.errors import reason
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
            fraction = _part(event, done[event.task])
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
        remedy = "; make room, and the same command goes on from the last checkpoint" * isinstance(error, OSError)
        return f"computed, but not stored: {type(error).__name__}: {error}{remedy}"
    return None


def compute_run(console: Console, study: Study) -> int:
    """Compute what is missing of a run of one's own, showing the mean return so far; the exit status."""
    title = f"{study.title}, {study.seeds} seed{'s' * (study.seeds > 1)} × {study.steps:,} steps"
    console.print(f"[bold]{study.name}[/bold]  {title}", highlight=False)
    console.print(f"kept in {study.folder}", markup=False, highlight=False, soft_wrap=True)
    study.store.sweep()
    tidy(study, study.checkpoints)
    todo = []
    for block in study.blocks():
        if (state := state_of(block)) == "missing":
            todo.append(block)
            try:
                so_far = begun(block, study.checkpoints, refuse=(OtherWorld,))
            except OtherWorld as other:
                remedy = "have the old one again, or begin another run with --name"
                console.print(f"[red]{block.title}[/red]: {other}; {remedy}", highlight=False, soft_wrap=True)
                return 1
            if so_far:
                console.print(f"{block.title}{so_far}", markup=False, highlight=False)
        elif isinstance(state, RecordError):
            what, remedy = getattr(state, "what", str(state)), personal.anew(study, state)
            console.print(f"[red]{study.folder / block.name}[/red]: {what}; {remedy}", highlight=False, soft_wrap=True)
            return 1
    if not todo:
        console.print("finished before: nothing is computed, and this is what came out", highlight=False)
    failed = 0
    try:
        for event in watched(console, study, todo) if todo else ():
            block = todo[event.task]
            error = (
                reason(event.error)
                if isinstance(event, Failed)
                else store_block(block, event, study.checkpoints, False)
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


def watched(console: Console, study: Study, blocks: Sequence[Block]) -> Generator[Done | Failed, None, None]:
    """What training some seeds of a run comes to, and how far it is."""
    tasks = [(block, study.checkpoints) for block in blocks]
    done = [0.0] * len(blocks)
    values: dict[int, float] = {}
    with (
        display(console, study) as show,
        closing(local(compute_block, tasks, workers=max(1, len(tasks)))) as events,
    ):
        for event in events:
            done[event.task] = _part(event, done[event.task])
            if isinstance(event, Advanced) and event.value is not None:
                values[event.task] = event.value
            show(round(study.steps * sum(done) / len(done)), sum(values.values()) / len(values) if values else None)
            if not isinstance(event, Advanced):
                yield event


def _part(event: Event, before: float) -> float:
    """How much of a task is done; a failed one stays where it was."""
    if isinstance(event, Failed):
        return before
    return event.fraction if isinstance(event, Advanced) else 1.0


@contextmanager
def display(console: Console, study: Study) -> Iterator[Callable[[int, float | None], None]]:
    """Shows steps and the mean return: under a bar, or a line a minute where that goes into a file."""
    if not console.is_terminal:

        def say(text: str, part: float, last: bool) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        meter = Meter(study.name, study.steps, say, A_MINUTE)
        try:
            yield meter.show
        finally:
            meter.end()
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} steps"),
        TextColumn("{task.fields[value]}", style="bold"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        bar = progress.add_task("", total=study.steps, value="")

        def update(steps: int, value: float | None) -> None:
            text = "" if value is None else f"mean return {value:,.4g}"
            progress.update(bar, completed=steps, value=text)

        yield update


def state_of(block: Block) -> str | RecordError:
    """`done` for a record that verifies and is of world and algorithm as they are now, `missing`, or what is wrong."""
    try:
        block.check(block.record())
    except MissingRecord:
        return "missing"
    except RecordError as error:
        return error
    return "done"


def begun(block: Block, checkpoints: Checkpoints | None, refuse: tuple[type[UnusableCheckpoint], ...] = ()) -> str:
    """How far a run has come that was stopped, as an addition to its state. Raises what is to be refused."""
    try:
        saved = checkpoints.load(block) if checkpoints else None
    except refuse:
        raise
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
