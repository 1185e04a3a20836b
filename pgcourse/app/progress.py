"""`pgcourse progress`: the exercises of the course, and which of them are solved."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from pgcourse.grading.progress import progress as measure

STYLES = {"solved": "green", "begun": "yellow", "to do": "dim"}


@click.command(
    epilog="""\b
Examples:
  pgcourse progress
  pgcourse progress 03       one chapter
  pgcourse progress --json   for a program

\b
In a notebook:
  from pgcourse.grading import progress
  progress("03")"""
)
@click.argument("chapter", required=False, metavar="[NN]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def progress(chapter: str | None, as_json: bool) -> None:
    """Show which exercises are solved.

    Those of the course, or of one chapter. It reads what `check` has noted in your notebooks, and executes nothing. The
    best result of an exercise counts: what was solved once stays solved. An exercise is *begun* once an answer was
    checked that is not right yet.
    """
    try:
        found = measure(chapter)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        keys = ("exercise", "title", "state", "points", "of", "minutes", "tries")
        values = [
            (s.exercise.name, s.exercise.title, s.words, s.best or 0, s.exercise.points, s.exercise.minutes, s.tries)
            for s in found.states
        ]
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in values], indent=2))
        return
    console = Console()
    table = Table("exercise", "", "state", "points", "minutes")
    for column in table.columns[3:]:
        column.justify = "right"
    for name, title, state, points, minutes in found.rows():
        table.add_row(name, title, f"[{STYLES[state]}]{state}[/]", points, minutes)
    console.print(table)
    console.print(found.total, highlight=False)
