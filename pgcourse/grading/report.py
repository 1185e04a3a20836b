"""Grades for people and for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from pgcourse.grading.exercise import CheckResult, ExerciseResult, plain
from pgcourse.grading.grade import Graded, exercises_for, grade, notebooks
from pgcourse.grading.sandbox import ALWAYS, Sandbox, find

LOG_CHARACTERS = 2000


def run(
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
            graded.append(grade(path, some, sandbox, seed))
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


def message(result: CheckResult) -> str:
    """Why a check gave no points, with the diagnosis where there is one."""
    return f"{result.message}. {result.diagnosis}" if result.diagnosis else result.message


def document(submissions: Sequence[Graded], sandbox: Sandbox, seed: int) -> dict[str, Any]:
    """Everything as one JSON document."""
    return {
        "seed": seed,
        "sandbox": sandbox.name,
        "guarantee": [sandbox.guarantee, ALWAYS],
        "submissions": [
            {
                "path": plain(str(graded.path)),
                "points": graded.points,
                "max_points": graded.max_points,
                "exercises": [
                    {
                        "exercise": result.exercise.name,
                        "state": result.state,
                        "points": result.points,
                        "max_points": result.exercise.points,
                        "checks": [
                            {
                                "check": check.check.name,
                                "points": check.points,
                                "max_points": check.check.points,
                                "message": message(check),
                            }
                            for check in result.checks
                        ],
                    }
                    for result in graded.exercises
                ],
                "notes": list(graded.notes),
                "log": [plain(line) for line in graded.log[:LOG_CHARACTERS].splitlines()],
            }
            for graded in submissions
        ],
    }


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


def write(folder: Path, submissions: Sequence[Graded], sandbox: Sandbox, seed: int) -> None:
    """`grades.json`, and `gradebook.csv` with a row for each submission and a column for each exercise."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(submissions, sandbox, seed), indent=1, ensure_ascii=False)
    (folder / "grades.json").write_text(text + "\n", encoding="utf-8")
    names = list(dict.fromkeys(result.exercise.name for graded in submissions for result in graded.exercises))
    with (folder / "gradebook.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["submission", *names, "points", "max_points", "percent"])
        for graded in submissions:
            points = {result.exercise.name: result.points for result in graded.exercises}
            writer.writerow(
                [
                    _cell(graded.path),
                    *(points.get(name, "") for name in names),
                    graded.points,
                    graded.max_points,
                    f"{graded.percent:.1f}",
                ]
            )


def _text(path: Path) -> Text:
    return Text(plain(str(path)))


def _cell(path: Path) -> str:
    """A spreadsheet takes text that starts with one of these for a formula."""
    text = plain(str(path))
    return f"'{text}" if text[0] in "=+-@" else text
