"""`pgcourse doctor`: what is wrong with this machine, and the remedy."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgcourse.course.doctor import COLOURS, Diagnosis
from pgcourse.course.doctor import doctor as examine


@click.command(
    epilog="""\b
Examples:
  pgcourse doctor
  pgcourse doctor --json > machine.json"""
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
def doctor(as_json: bool) -> None:
    """Check this machine: Python, packages, torch, the notebook kernel, disk.

    Where something is wrong, the remedy stands under it. The exit status is 0 unless there is a problem.
    """
    screen = Console(stderr=as_json)
    with screen.status("Checking this machine"):
        diagnosis = examine()
    screen.print(table(diagnosis))
    if as_json:
        click.echo(json.dumps(diagnosis.to_json(), indent=2))
    sys.exit(diagnosis.status == "problem")


def table(diagnosis: Diagnosis) -> Table:
    """A row for each check; the remedy under what was found."""
    drawn = Table("check", "", "found", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for check in diagnosis.checks:
        found = Text(check.found)
        if check.remedy:
            found.append(f"\n{check.remedy}", style="italic")
        drawn.add_row(check.name, Text(check.status, style=COLOURS[check.status]), found)
    return drawn
