"""`pgcourse grade`: notebooks graded, and their grades for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from pgcourse.course.copies import changed, original
from pgcourse.course.runner import find_root
from pgcourse.grading import report
from pgcourse.grading.exercise import ExerciseResult, plain
from pgcourse.grading.grade import Graded, exercises_for, notebooks
from pgcourse.grading.grade import grade as grade_one
from pgcourse.grading.sandbox import ALWAYS, CannotGrade, Sandbox, find
from pgcourse.lab.provenance import MINE


@click.command(
    epilog="""\b
Examples:
  pgcourse grade                                  your own answers, in my/exercises
  pgcourse grade my/exercises/03_reinforce.ipynb
  pgcourse grade submissions/ --seed 8231 --out grades/
  pgcourse grade my/exercises/03_reinforce.ipynb --require 100 --json"""
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Draws the inputs of the checks."
)
@click.option("--sandbox", "isolation", type=click.Choice(["auto", "none", "bwrap"]), default="auto", show_default=True)
@click.option("--i-trust-these-submissions", "trusted", is_flag=True, help="Several submissions without a sandbox.")
@click.option("--chapter", metavar="NN", help="The chapter to grade.  [default: from each notebook's name]")
@click.option("--require", type=click.FloatRange(0, 100), metavar="PERCENT", help="Exit with 1 if a score is below.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Write grades there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
def grade(
    paths: tuple[Path, ...],
    seed: int,
    isolation: str,
    trusted: bool,
    chapter: str | None,
    require: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Grade exercise notebooks, or all notebooks in folders.

    Without PATH, your own: the notebooks in my/exercises (see `pgcourse lab`) that you have written in.

    A notebook's definitions are read without executing its cells, its answers run in a process of their own, and what
    they return is judged outside of it, on inputs drawn from --seed: choose one and keep it to yourself. Ids and points
    in the notebook do not matter.

    With --sandbox auto a submission runs in bubblewrap where that works (on Linux). Where it does not, a single
    notebook is graded without a sandbox, and that is said; several are refused.

    --out writes grades.json and gradebook.csv. The exit status is 0 when everything was graded, whatever the scores,
    and all of them reach --require if that is given.
    """
    screen = Console(stderr=as_json)
    try:
        trusted = trusted or not paths  # one's own work
        submissions, sandbox, finished = grade_all(paths or own_work(), screen, isolation, trusted, chapter, seed)
    except CannotGrade as error:
        raise click.ClickException(str(error)) from None
    show(screen, submissions, sandbox)
    if out:
        report.write(out, submissions, sandbox, seed)
        screen.print(f"written: {out / 'grades.json'}, {out / 'gradebook.csv'}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps(report.document(submissions, sandbox, seed), indent=2))
    if not finished:
        sys.exit(130)
    if require is not None and (below := [graded for graded in submissions if graded.percent < require]):
        screen.print(f"Below {require:g} %: {len(below)} of {len(submissions)}.")
        sys.exit(1)


def own_work() -> list[Path]:
    """The exercise notebooks in my/ that were changed.

    Raises:
        CannotGrade: there is none, or no clone of the course.
    """
    try:
        root = find_root()
    except FileNotFoundError as error:
        raise CannotGrade(str(error)) from None
    found = [path for path in changed(root, "exercises") if original(path).is_file()]
    if not found:
        first = min((root / "exercises").glob("*.ipynb"), default=root / "exercises" / "NN_name.ipynb")
        raise CannotGrade(
            f"nothing to grade: no answer has been written in {root / MINE / 'exercises'} yet. `pgcourse lab "
            f"exercises/{first.name}` opens an exercise; to grade other notebooks, name them or their folder"
        )
    here = Path.cwd()
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in found]


def grade_all(
    paths: Sequence[Path],
    console: Console,
    isolation: str = "auto",
    trusted: bool = False,
    chapter: str | None = None,
    seed: int = 1,
) -> tuple[list[Graded], Sandbox, bool]:
    """Grade notebooks, and all notebooks in folders, with their progress on the console.

    Returns:
        The grades, the sandbox, and whether that was all: Ctrl-C keeps what was graded until then.

    Raises:
        CannotGrade: no such path, an unknown chapter, or no sandbox as asked for.
    """
    found = notebooks(paths)
    exercises = [exercises_for(path, chapter) for path in found]
    sandbox = find(isolation, several=len(found) > 1, trusted=trusted)
    work = list(zip(found, exercises, strict=True))
    graded: list[Graded] = []
    with suppress(KeyboardInterrupt):
        for path, some in track(work, "grading", console=console, transient=True, disable=not console.is_terminal):
            graded.append(grade_one(path, some, sandbox, seed))
    if len(graded) < len(found):
        console.print(f"Interrupted: {len(graded)} of {len(found)} notebooks were graded.")
    return graded, sandbox, len(graded) == len(found)


def show(console: Console, submissions: Sequence[Graded], sandbox: Sandbox) -> None:
    """One notebook check by check, several in a row each; the remarks; and what the grades can be trusted for."""
    if len(submissions) == 1:
        console.print(details(submissions[0]))
    elif submissions:
        console.print(overview(submissions))
    for graded in submissions:
        for note in graded.notes:
            console.print(Text(f"{plain(str(graded.path))}: {note}", style="yellow"))
    console.print(Text(f"{sandbox.guarantee} {ALWAYS}", style="dim"))


def details(graded: Graded) -> Table:
    """One notebook, a row for each check."""
    table = Table("exercise", "check", "points", "", title=_text(graded.path), title_justify="left")
    table.columns[2].justify = "right"
    for result in graded.exercises:
        name, said = result.exercise.name, set[str]()
        for check in result.checks:
            words = [text for text in (check.message, check.diagnosis) if text and text not in said]
            said.update(words)
            points = Text(f"{check.points}/{check.check.points}", style="green" if check.passed else "red")
            table.add_row(
                name, check.check.name, points, Text(". ".join(words) if words or check.passed else "as above")
            )
            name = ""
        table.add_section()
    table.add_row("total", "", f"{graded.points}/{graded.max_points}", f"{graded.percent:.0f} %")
    return table


def overview(submissions: Sequence[Graded]) -> Table:
    """Many notebooks, a row for each."""
    table = Table("submission", "exercise by exercise", "points", "%", title="Grades", title_justify="left")
    table.columns[0].overflow = "fold"
    for column in table.columns[2:]:
        column.justify = "right"
    for graded in submissions:
        states = "\n".join(f"{result.exercise.name}: {_state(result)}" for result in graded.exercises)
        points = f"{graded.points}/{graded.max_points}"
        table.add_row(_text(graded.path), Text(states), points, f"{graded.percent:.0f}", end_section=True)
    return table


def _state(result: ExerciseResult) -> str:
    """The state, and why where nothing is right."""
    wrong = result.attempted and not result.points
    return f"{result.state}, {result.checks[0].message}" if wrong else result.state


def _text(path: Path) -> Text:
    return Text(plain(str(path)))
