"""Studies on the terminal: what is there, what would be computed, progress while it is computed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pgcourse.lab import engines
from pgcourse.lab.records import MissingRecord, RecordError
from pgcourse.lab.runs import compute
from pgcourse.lab.studies import Block, Study, study_names


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def state(block: Block) -> str:
    """`done` for a record that verifies, `missing`, or what is wrong with it."""
    try:
        block.study.store.read(block.run_id)
    except MissingRecord:
        return "missing"
    except RecordError as error:
        return str(error)
    return "done"


def undeclared(study: Study) -> list[str]:
    """Records that no variant leads to any more: left from earlier hyper-parameters."""
    declared = {block.run_id for block in study.blocks()}
    return [run_id for run_id in study.store.run_ids() if run_id not in declared]


def overview(console: Console) -> None:
    """A table of all studies."""
    table = Table("study", "environment", "variants", "seeds", "steps", "records", "what it asks")
    for column in table.columns[2:5]:
        column.justify = "right"
    for study in map(Study.read, study_names()):
        blocks = study.blocks()
        done = sum(state(block) == "done" for block in blocks)
        table.add_row(
            study.name,
            study.env,
            str(len(study.variants)),
            str(study.seeds),
            f"{study.steps:,}",
            f"{done} of {len(blocks)}",
            study.title,
        )
    console.print(table)


def plan(console: Console, studies: Sequence[Study], refresh: bool) -> tuple[list[Block], int]:
    """Show the state of every run; those to compute, and how many records cannot be used."""
    table = Table("study", "variant", "seeds", "run", "state")
    todo, unusable = [], 0
    for study in studies:
        for block in study.blocks():
            found = state(block)
            if refresh or found == "missing":
                todo.append(block)
                shown = "missing" if found == "missing" else "to be computed again"
            else:
                unusable += found != "done"
                shown = found
            table.add_row(study.name, block.variant, f"{block.seeds[0]}–{block.seeds[-1]}", block.run_id, shown)
        for run_id in undeclared(study):
            table.add_row(study.name, "", "", run_id, "belongs to no variant; --prune deletes it")
    console.print(table)
    return todo, unusable


def prune(console: Console, study: Study) -> None:
    """Delete the records that belong to no variant."""
    for run_id in undeclared(study):
        study.store.remove(run_id)
        console.print(f"deleted {study.folder / run_id}")


def run(console: Console, blocks: Sequence[Block], workers: int, refresh: bool) -> int:
    """Compute runs with a progress display; how many failed. An interrupt keeps what is finished."""
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        total = sum(block.study.steps * len(block.seeds) for block in blocks)
        overall = progress.add_task(f"{len(blocks)} runs", total=total)
        bars: dict[int, TaskID] = {}
        done = dict.fromkeys(range(len(blocks)), 0.0)
        for event in engines.local(partial(compute, replace=refresh), blocks, workers):
            block = blocks[event.task]
            name = f"{block.study.name}: {block.variant}, seeds {block.seeds[0]}–{block.seeds[-1]}"
            bar = bars.get(event.task) or bars.setdefault(event.task, progress.add_task(name, total=1.0))
            done[event.task] = event.fraction if isinstance(event, engines.Progress) else 1.0
            progress.update(bar, completed=done[event.task])
            steps = sum(each.study.steps * len(each.seeds) * done[i] for i, each in enumerate(blocks))
            progress.update(overall, completed=steps)
            if isinstance(event, engines.Progress):
                continue
            progress.remove_task(bar)
            if isinstance(event, engines.Failed):
                failed += 1
                progress.console.print(f"[red]failed[/red]  {name}")
                progress.console.print(event.error, markup=False, highlight=False)
            else:
                progress.console.print(f"[green]done[/green]    {name}, {event.result}")
    return failed
