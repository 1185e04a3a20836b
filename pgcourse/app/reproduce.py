"""`pgcourse reproduce`: committed studies are computed again, and a verdict on each is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from pgcourse.app.blocks import follow
from pgcourse.app.run import execute
from pgcourse.course.reproduce import Verdict
from pgcourse.course.reproduce import reproduce as repeat
from pgcourse.course.runner import Result, find_root
from pgcourse.lab import Study, StudyError, study_names
from pgcourse.lab.reproduction import TOLERANCE, VERDICTS, Comparison

COLOURS = dict(zip(VERDICTS, ("green", "yellow", "red", "red"), strict=True))


@click.command(
    epilog="""\b
Examples:
  pgcourse reproduce                        the first iterations of every committed run
  pgcourse reproduce a2c-cartpole --full    every run of one study, to its end
  pgcourse reproduce --json > verdicts.json"""
)
@click.argument("names", nargs=-1, metavar="[STUDY]...")
@click.option("--full", is_flag=True, help="Compute whole runs, not only their first iterations.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes at a time.  [default: cores]")
def reproduce(names: tuple[str, ...], full: bool, as_json: bool, workers: int | None) -> None:
    """Compute committed studies again and compare with their records.

    Without a STUDY, all of them. Each is then

    \b
    repeated    the same numbers, bit for bit
    reproduced  on another kind of machine: the same up to rounding, or, with
                --full, every claim that rests on the study holds
    drifted     neither
    failed      a record cannot be read, or a run cannot be computed

    Records are not touched. The exit status is 0 if every study is repeated or reproduced.
    """
    torch.set_num_threads(1)  # as in the processes that compute
    screen = Console(stderr=as_json)
    try:
        root = find_root()
        studies = [Study.read(name) for name in dict.fromkeys(names or study_names())]
    except (FileNotFoundError, StudyError) as error:
        raise click.ClickException(str(error)) from None

    def chapters(notebooks: Sequence[Path], build: Path, results: Path) -> list[Result]:
        return execute(notebooks, build, screen, results=results)[0]

    try:
        verdicts = repeat(studies, root, partial(follow, screen), chapters, workers, full=full)
    except KeyboardInterrupt:
        screen.print("Stopped." + " The same command goes on from here." * full)
        sys.exit(130)
    show(verdicts, screen)
    if as_json:
        click.echo(json.dumps({"studies": [verdict.to_json() for verdict in verdicts]}, indent=2))
    sys.exit(any(verdict.verdict in ("drifted", "failed") for verdict in verdicts))


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """The table, and what is to be said of every study that was not repeated."""
    table = Table("study", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("runs", justify="right")
    table.add_column("verdict")
    for verdict in verdicts:
        table.add_row(
            verdict.study.name,
            str(len(verdict.study.blocks())),
            f"[{COLOURS[verdict.verdict]}]{verdict.verdict}[/]",
        )
    console.print(table)
    for verdict in verdicts:
        if verdict.verdict != "repeated":
            console.print(f"\n[{COLOURS[verdict.verdict]}]{verdict.study.name}: {verdict.verdict}[/]")
            for line in _reasons(verdict):
                console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _reasons(verdict: Verdict) -> Iterable[str]:
    yield from (f"{run}: {problem}" for run, problem in verdict.problems.items())
    for run, comparison in verdict.unequal.items():
        yield f"{run}: {comparison.unequal}; {_fingerprint(comparison)}"
    if not verdict.unequal:
        return
    if verdict.elsewhere:
        yield "What may explain different bits (here / when the record was made):"
        yield from (f"    {what}: {here} / {there}" for what, (here, there) in verdict.elsewhere.items())
    else:
        yield "Machine, versions, constraints and code are those of the record: something else decides numbers, too."
    if verdict.claims:
        failed = {name: why for name, why in verdict.claims.items() if why}
        yield f"{len(verdict.claims) - len(failed)} of {len(verdict.claims)} claims that rest on the study hold."
        yield from (f"    claim {name}: {why}" for name, why in failed.items())


def _fingerprint(comparison: Comparison) -> str:
    if comparison.distance is None:
        return "the record has no fingerprint to compare with"
    size = "rounding" if comparison.distance <= TOLERANCE else f"more than rounding ({TOLERANCE:g})"
    return f"in float64 {comparison.distance:.1e} apart ({comparison.farthest}), {size}"
