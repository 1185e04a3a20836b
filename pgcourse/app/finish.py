"""A run of one's own, brought to its end: computed under a bar of progress, summed up, drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pgcourse import film, plots
from pgcourse.app.blocks import INTERRUPTED, begun, compute_block, state_of, store_block, tidy
from pgcourse.lab import Results, personal
from pgcourse.lab.engines import Advanced, Done, Failed, local
from pgcourse.lab.records import RecordError
from pgcourse.lab.results import late_returns
from pgcourse.lab.studies import Block, Study, StudyError
from pgcourse.stats import mean_interval


def finish(study: Study) -> None:
    """Compute what is missing of a run, say what came out, draw its curves; ends the command where that fails."""
    torch.set_num_threads(1)  # as in the processes that compute: what they left is compared with this one
    screen = Console()
    try:
        if status := compute(screen, study):
            raise SystemExit(status)
        results = personal.results(study)
    except (StudyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for line in summary(results):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        figure = draw(results, study.folder / "curves.png")
    except ValueError as error:
        screen.print(f"no figure: {error}", markup=False, highlight=False, soft_wrap=True)
    else:
        screen.print(f"figure: {figure}", markup=False, highlight=False, soft_wrap=True)
    with suppress(film.CannotDraw):
        film.stage(study.env)
        screen.print(f"see it act: pgcourse watch {study.name}", markup=False, highlight=False)


def compute(console: Console, study: Study) -> int:
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
            if so_far := begun(block, study.checkpoints):
                console.print(f"{block.title}{so_far}", markup=False, highlight=False)
        elif isinstance(state, RecordError):
            what = getattr(state, "what", str(state))
            remedy = f"delete that folder, then: pgcourse train --resume {study.name}"
            console.print(f"[red]{study.folder / block.name}[/red]: {what}; {remedy}", highlight=False, soft_wrap=True)
            return 1
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
        with closing(local(compute_block, tasks, workers=max(1, len(tasks)))) as events:
            for event in events:
                done[event.task] = event.fraction if isinstance(event, Advanced) else 1.0
                if isinstance(event, Advanced) and event.value is not None:
                    values[event.task] = event.value
                value = f"mean return {sum(values.values()) / len(values):,.4g}" if values else ""
                progress.update(bar, completed=study.steps * sum(done) / len(done), value=value)
                if not isinstance(event, Advanced):
                    yield event


def reason(error: str) -> str:
    """Of a traceback what was said, where that names the thing and the remedy; else all of it."""
    last = error.rpartition("Traceback (most recent call last):\n")[2]
    said = re.search(r"^(?:FloatingPointError|ValueError|pgcourse[\w.]*Error): (.*)\Z", last, re.DOTALL | re.MULTILINE)
    return said[1] if said else error


def summary(results: Results) -> Iterator[str]:
    """The mean return at the end of training, and that of the final policies."""
    study = results.study
    try:
        late = late_returns(results.curves, results.curves["step"].max()).to_numpy()
    except ValueError as error:
        yield f"training:    {error}"
    else:
        yield f"training:    mean return {interval(late)}; episodes of the last tenth of the steps"
    evaluated = results.evaluations["mean_return"].to_numpy()
    yield (
        f"evaluation:  mean return {interval(evaluated)}; {study.evaluation_episodes} episodes of each final policy, "
        "actions sampled"
    )


def interval(values: Any) -> str:
    """The mean over seeds with its 95 % t-interval, to two digits of the interval's half-width."""
    if len(values) < 2:
        return f"{values.mean():,.4g} (one seed: no interval)"
    estimate, low, high = mean_interval(values)
    half = float(high - estimate)
    places = max(0, 1 - math.floor(math.log10(half))) if half > 0 else 1
    numbers = [f"{number:,.{places}f}" for number in (estimate, half, low, high)]
    return "{} ± {} (95 % interval over {n} seeds: {} to {})".format(*numbers, n=len(values))


def draw(results: Results, path: Path) -> Path:
    """The learning curves of a run, as a PNG file.

    Raises:
        ValueError: a seed has ended no episode, so that there is no curve.
    """
    late_returns(results.curves, results.curves["step"].max())
    figure = Figure()  # no window's, whatever this machine has
    plots.learning_curves(results.curves, title=results.study.title, ax=figure.subplots())
    figure.savefig(path)
    return path
