"""`pgcourse grade`: notebooks graded, and their grades for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from pgcourse.course.copies import changed, original
from pgcourse.course.runner import find_root
from pgcourse.grading import report
from pgcourse.grading.batch import Batch, HandedIn, Row, find, made_by_macos, mark_resubmissions, settings
from pgcourse.grading.exercise import plain
from pgcourse.grading.sandbox import CannotGrade
from pgcourse.grading.sandbox import find as find_sandbox
from pgcourse.lab.provenance import MINE


@click.command(
    epilog="""\b
Examples:
  pgcourse grade                                  your own answers, in my/exercises
  pgcourse grade my/exercises/03_reinforce.ipynb
  pgcourse grade submissions/ --out grades/ --jobs 4
  pgcourse grade submissions/ --out grades/ --resume --private-checks mine.py
  pgcourse grade my/exercises/03_reinforce.ipynb --require 100 --json

\b
Exit status: 0 all graded; 1 a score that counts is below --require, or the command was wrong;
3 a submission could not be graded, the others were; 130 after Ctrl-C, what was graded is kept."""
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Draws the inputs of the checks.  [default: 1 for one notebook, a random one, which is told, for several]",
)
@click.option(
    "--sandbox", "isolation", type=click.Choice(["auto", "none", "bwrap", "docker"]), default="auto", show_default=True
)
@click.option("--i-trust-these-submissions", "trusted", is_flag=True, help="Several submissions without a sandbox.")
@click.option("--chapter", metavar="NN", help="The chapter to grade.  [default: from each notebook's name]")
@click.option("--jobs", type=click.IntRange(min=1), help="Submissions at a time.  [default: the cores, at most 8]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Keep grades there.")
@click.option("--resume", is_flag=True, help="Go on with the grades in --out, as they were made.")
@click.option(
    "--private-checks",
    "private",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Python with CHECKS = {exercise: {name: Check(...)}}, added to the exercises'.",
)
@click.option(
    "--resubmissions",
    type=click.Choice(["latest", "best"]),
    help="Which of a student's versions of a chapter counts.  [default: latest]",
)
@click.option("--require", type=click.FloatRange(0, 100), metavar="PERCENT", help="Exit with 1 if a score is below.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
@click.option(
    "--gradescope",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write one notebook's results as Gradescope's results.json.",
)
def grade(
    paths: tuple[Path, ...],
    seed: int | None,
    isolation: str,
    trusted: bool,
    chapter: str | None,
    jobs: int | None,
    out: Path | None,
    resume: bool,
    private: Path | None,
    resubmissions: str | None,
    require: float | None,
    as_json: bool,
    gradescope: Path | None,
) -> None:
    """Grade exercise notebooks, or all notebooks in folders.

    Without PATH, your own: the notebooks in my/exercises (see `pgcourse lab`) that you have written in.

    Of a notebook, only what its answers need is executed, in a process of its own, and what they return is judged
    outside of it, on inputs drawn from --seed: keep that to yourself. Ids and points in the notebook do not matter.

    With --sandbox auto a submission runs in bubblewrap where that works (on Linux). Where it does not, a single
    notebook is graded without a sandbox, and that is said; several are refused.

    --out keeps grades.jsonl, a line for each submission as it ends, replies/, with what each one answered, and, at the
    end, grades.json, gradebook.csv and feedback/, a page for each student.
    """
    screen = Console(stderr=as_json)
    try:
        if resume and not out:
            raise CannotGrade("--resume goes on with grades in a folder: say which, with --out")
        asked = {"chapter": chapter, "resubmissions": resubmissions, "private-checks": private and private.absolute()}
        before = settings(out) if out and resume else {}
        again = {name: before[name] for name in asked if name in before and not asked[name]}
        if again:
            words = " ".join(f"--{name} {value}" for name, value in again.items())
            screen.print(Text(f"as before: {words}"), soft_wrap=True)
        chosen = {name: str(value) for name, value in {**asked, **again}.items() if value}
        chapter, resubmissions = chosen.get("chapter"), chosen.get("resubmissions", "latest")
        private = Path(chosen["private-checks"]) if "private-checks" in chosen else None
        if private and not private.is_file():
            raise CannotGrade(f"{out} was graded with {private}, which is gone: name it by --private-checks")
        trusted = trusted or not paths  # one's own work
        paths = paths or tuple(own_work())
        found = find_submission(paths, chapter, gradescope) if gradescope else find(paths, chapter)
        sandbox = find_sandbox(isolation, several=len(found) > 1, trusted=trusted)
        batch = Batch(found, sandbox, seed, private, out, resume, chosen)
        rows, finished = grade_all(batch, screen, jobs or min(os.cpu_count() or 1, 8))
    except CannotGrade as error:
        raise click.ClickException(str(error)) from None
    remarks = mark_resubmissions(rows, resubmissions)
    show(screen, rows, batch.header, resubmissions)
    for remark in remarks:
        screen.print(Text(remark, style="yellow"), soft_wrap=True)
    try:
        if out:
            written = report.write(out, rows, batch.header)
            screen.print(Text(f"written: {', '.join(map(str, written))}"), soft_wrap=True)
        if gradescope and rows:
            gradescope.write_text(json.dumps(report.gradescope(rows[0]), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        kept = "; what was graded is kept, and --resume writes it" if out else ""
        raise click.ClickException(f"{error.filename or out}: {error.strerror}{kept}") from None
    if as_json:
        click.echo(json.dumps(report.document(rows, batch.header), indent=2))
    if not finished:
        sys.exit(130)
    if len(report.scored(rows)) < len(rows):
        sys.exit(3)
    counting = [row for row in rows if row["counts"]]
    if require is not None and (below := [row for row in counting if report.percent(row) < require]):
        screen.print(f"Below {require:g} %: {len(below)} of {len(counting)}.")
        sys.exit(1)


def find_submission(paths: Sequence[Path], chapter: str | None, results: Path) -> list[HandedIn]:
    """The one notebook among what Gradescope gives. Where there is none, or more, its results tell the student so.

    Raises:
        CannotGrade: not one notebook.
    """
    try:
        notebooks = [one for one in find(paths, chapter) if one.path.suffix.lower() == ".ipynb"]
        found = [one for one in notebooks if not made_by_macos(one.path)]
        if len(found) != 1:
            names = ", ".join(one.path.name for one in found) or "no notebook"
            raise CannotGrade(f"hand in one notebook (*.ipynb), instead of {names}")
    except CannotGrade as error:
        row = {"state": f"not graded: {plain(str(error))}"}
        results.write_text(json.dumps(report.gradescope(row), indent=1) + "\n", encoding="utf-8")
        raise
    return found


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


def grade_all(batch: Batch, console: Console, jobs: int) -> tuple[list[Row], bool]:
    """The rows in the order of the submissions, with a line for each on the console as it ends.

    Returns:
        The rows, and whether these are all: Ctrl-C keeps what was graded until then.
    """
    total = len(batch.submissions)
    rows: dict[str, Row] = {}
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal or total == 1) as progress:
            task = progress.add_task("grading", total=total)
            for row in batch.run(jobs):
                rows[row["path"]] = row
                if total > 1:
                    progress.print(line(row), soft_wrap=True)
                progress.advance(task)
    except KeyboardInterrupt:
        console.print(f"Interrupted: {len(rows)} of {total} notebooks were graded.")
    return [rows[found.name] for found in batch.submissions if found.name in rows], len(rows) == total


def line(row: Row) -> Text:
    """A submission in one line."""
    if row["state"] != "graded":
        return Text(f"  –    {row['path']}: {row['state']}", style="yellow")
    full = row["points"] == row["max_points"]
    text = Text(f"{row['points']:>3}/{row['max_points']:<3}", style="green" if full else "red")
    return text.append(f" {row['path']}", style="default").append(f"  {report.state(row)}", style="dim")


def show(console: Console, rows: Sequence[Row], how: Row, resubmissions: str) -> None:
    """One notebook check by check, several as a class; the remarks; and what the grades can be trusted for."""
    if len(rows) == 1:
        console.print(details(rows[0]) if rows[0]["state"] == "graded" else line(rows[0]), soft_wrap=True)
    for row in rows:
        for note in row.get("notes", []):
            console.print(Text(f"{row['path']}: {note}", style="yellow"))
        if len(rows) == 1 and row.get("left_out"):
            console.print(
                Text(f"not executed, as no answer needs it: {len(row['left_out'])} statements (--json)"), style="dim"
            )
    if len(rows) > 1:
        console.print()
        for text in report.summary(rows):
            console.print(Text(text), soft_wrap=True)
        if several := sum(not row["counts"] for row in rows):
            console.print(
                f"{several} older or worse versions do not count: of each student's, the {resubmissions} does."
            )
        console.print(Text(f"seed {how['seed']}"))
    if any("which chapter is it" in row["state"] for row in rows):
        console.print("Where a name does not say the chapter, --chapter NN does.")
    console.print(Text(" ".join(how["guarantee"]), style="dim"))


def details(row: Row) -> Table:
    """One notebook, a row for each check."""
    table = Table("exercise", "check", "points", "", title=Text(row["path"]), title_justify="left")
    table.columns[2].justify = "right"
    for exercise in row["exercises"]:
        name, said = exercise["exercise"], set[str]()
        for check in exercise["checks"]:
            message, diagnosis, hint = check["message"], check["diagnosis"], check["hint"]
            if message in said and not (diagnosis or hint):  # nothing was tried: the reason is the same
                message = "as above"
            words = [text for text in (message, "" if diagnosis in said else diagnosis) if text]
            said |= {message, diagnosis}
            points = Text(f"{check['points']}/{check['max_points']}", style="red" if message else "green")
            table.add_row(name, Text(check["check"]), points, Text(". ".join(words)))
            name = ""
        table.add_section()
    table.add_row("total", "", f"{row['points']}/{row['max_points']}", f"{report.percent(row):.0f} %")
    return table
