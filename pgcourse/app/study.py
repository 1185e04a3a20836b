"""`pgcourse study`: declared studies computed, listed, begun, and reported on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
import torch
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from pgcourse.app.begin_study import begin
from pgcourse.app.blocks import INTERRUPTED, begun, compute_block, follow, is_there, state_of, store_block, tidy
from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.engines import Event, Failed, Task, local
from pgcourse.lab.records import RecordError, write_whole
from pgcourse.lab.results import load
from pgcourse.lab.studies import Block, Study, StudyError, study_names
from pgcourse.lab.study_report import TESTS, markdown, page

Engine: TypeAlias = Callable[[Task, Sequence[Any]], Generator[Event, None, None]]
FORMS: Mapping[str, tuple[str, ...]] = {"list": (), "new": (), "report": ("to", "test")}  # and the options of each


@click.command(
    epilog="""\b
Examples:
  pgcourse study list                          every study and how much of it is there
  pgcourse study reinforce-cartpole --dry-run  what would be computed
  pgcourse study reinforce-cartpole            compute what is missing
  pgcourse study new my-question               a declaration and a notebook to begin with
  pgcourse study report a2c-cartpole           scores, intervals, checklist, as Markdown and HTML
  pgcourse study my-question --engine ray --address 10.0.0.1:6379 --checkpoints /shared/checkpoints"""
)
@click.argument("names", nargs=-1, required=True, metavar="list | new NAME | report NAME... | NAME...")
@click.option("--dry-run", is_flag=True, help="Show the state of every run and compute nothing.")
@click.option("--refresh", is_flag=True, help="Compute again what is there, too.")
@click.option("--prune", is_flag=True, help="Delete records that no variant leads to any more.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Runs at a time.  [default: as many as fit]")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--address", help="Of a Ray cluster; without one, Ray runs on this machine.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="For the state of unfinished runs, seen by all nodes.  [default: beside the records; none with Ray]",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where reports are written.  [default: the study's]",
)
@click.option(
    "--test",
    type=click.Choice(TESTS),
    default=TESTS[0],
    show_default=True,
    help="How reports compare: seed by seed, since variants share their seeds, or as if each had its own.",
)
@click.pass_context
def study(
    ctx: click.Context,
    names: tuple[str, ...],
    dry_run: bool,
    refresh: bool,
    prune: bool,
    workers: int | None,
    engine: str,
    address: str | None,
    checkpoints: Path | None,
    to: Path | None,
    test: str,
) -> None:
    """Compute the studies declared in results/NAME/study.toml.

    A run whose record is there is not computed again. Ctrl-C keeps every finished run, and of the others what they had
    computed up to their last checkpoint.
    """
    _require_used(ctx, names)
    if address is not None and engine != "ray":
        raise click.UsageError("--address is that of a Ray cluster: add --engine ray")
    torch.set_num_threads(1)  # as in the processes that compute: what they left is compared with this one
    screen = Console()
    try:
        if names[0] == "list":
            if len(names) > 1:
                raise click.UsageError("list takes no names: it shows every study")
            overview(screen)
            return
        if names[0] in ("new", "report") and len(names) == 1:
            raise click.UsageError(f"{names[0]} what? Name a study: pgcourse study {names[0]} NAME")
        if names[0] == "new":
            begin(screen, *names[1:])
            return
        if names[0] == "report":
            report(screen, names[1:], to, test)
            return
        studies = [Study.read(name) for name in dict.fromkeys(names)]
        for each in studies:
            each.check()
        if engine == "ray":
            from pgcourse.lab.engines.ray import ray

            chosen: Engine = partial(ray, address=address, workers=workers)
        else:
            chosen = partial(local, workers=workers)

        def kept(each: Study) -> Checkpoints | None:
            if checkpoints:  # in a folder for each study: runs of several may have one name
                return Checkpoints(checkpoints.resolve() / each.name)
            return each.checkpoints if engine == "local" else None

        status = compute(screen, studies, chosen, kept, dry_run=dry_run, refresh=refresh, prune=prune)
    except (StudyError, RecordError, ConnectionError, ModuleNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


def _require_used(ctx: click.Context, names: Sequence[str]) -> None:
    """Raises `click.UsageError` for an option that was given and that this form of the command does not use."""
    for option in (each for each in ctx.command.params if isinstance(each, click.Option)):
        if ctx.get_parameter_source(option.name or "") is not ParameterSource.COMMANDLINE:
            continue
        if names[0] in FORMS and option.name not in FORMS[names[0]]:
            raise click.UsageError(f"pgcourse study {names[0]} takes no {option.opts[0]}")
        if names[0] not in FORMS and option.name in FORMS["report"]:
            raise click.UsageError(
                f"{option.opts[0]} is for reports: pgcourse study report {' '.join(names)} {option.opts[0]} ..."
            )


def overview(console: Console) -> None:
    """All studies, three lines each."""
    for study in map(Study.read, study_names()):
        there = [is_there(block) for block in study.blocks()]
        console.print(f"[bold]{study.name}[/bold]  {sum(there)} of {len(there)} records", highlight=False)
        console.print(f"  {study.title}", markup=False, highlight=False)
        variants = f"{len(study.variants)} variant{'s' * (len(study.variants) > 1)} × {study.seeds} seeds"
        envs = ", ".join(f"{each.name} ({each.steps:,} steps)" for each in study.environments.values())
        console.print(f"  {variants} in {envs}", markup=False, highlight=False)


def report(console: Console, names: Sequence[str], to: Path | None, test: str) -> None:
    """Write NAME.md and NAME.html of each study, or report.md and report.html into its folder. Errors as `load`."""
    for name in names:
        results = load(name)
        folder, stem = (results.study.folder, "report") if to is None else (to, name)
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in (("md", markdown(results, test)), ("html", page(results, test))):
            write_whole(folder / f"{stem}.{suffix}", text.encode())
            console.print(str(folder / f"{stem}.{suffix}"), markup=False, highlight=False, soft_wrap=True)


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
            tidy(study, checkpoints(study))
        if prune:
            for name in _undeclared(study):
                study.store.remove(name)
    failed = 0
    try:
        if todo:
            failed = _run(console, todo, engine, checkpoints, refresh)
    except KeyboardInterrupt:
        again = ", and computes the finished ones again" * refresh
        console.print(
            f"Stopped. Finished runs are kept, others as their last checkpoints; the same command goes on{again}."
        )
        return INTERRUPTED
    if failed:
        console.print(f"[red]{failed} of {len(todo)} runs failed[/red]")
    return 1 if failed or unusable else 0


def _plan(
    console: Console, studies: Sequence[Study], checkpoints: Callable[[Study], Checkpoints | None], refresh: bool
) -> tuple[list[Block], int]:
    """The runs to compute, and how many records are there but cannot be used."""
    table = Table("study", "run", "record", "state")
    todo, unusable = [], []
    for study in studies:
        for block in study.blocks():
            state = state_of(block)
            if refresh or state == "missing":
                todo.append(block)
                state = "missing" if state == "missing" else "to be computed again"
                state += begun(block, checkpoints(study))
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
    for event in follow(console, engine(compute_block, tasks), names, sizes, f"all {len(blocks)} runs"):
        block, kept = tasks[event.task]
        error = event.error if isinstance(event, Failed) else store_block(block, event, kept, replace=refresh)
        if error is None:
            console.print(f"[green]done[/green] {names[event.task]}", highlight=False)
        else:
            failed += 1
            console.print(f"[red]failed[/red] {names[event.task]}")
            console.print(error, markup=False, highlight=False)
    return failed


def _undeclared(study: Study) -> list[str]:
    """Records that no variant leads to any more: left from other hyper-parameters."""
    declared = set()
    for block in study.blocks():
        try:
            declared.add(block.find())
        except RecordError:  # what is there may be this run's
            declared.add(block.name)
    return [name for name in study.store.names() if name not in declared]
