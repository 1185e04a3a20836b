"""Reports of grades: a JSON document and a CSV gradebook."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgcourse.grading.exercise import CheckResult, plain
from pgcourse.grading.grade import Graded
from pgcourse.grading.sandbox import ALWAYS, Sandbox

LOG_CHARACTERS = 2000


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


def _cell(path: Path) -> str:
    """A spreadsheet takes text that starts with one of these for a formula."""
    text = plain(str(path))
    return f"'{text}" if text[0] in "=+-@" else text
