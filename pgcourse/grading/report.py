"""Reports of grades, all made from the rows that `batch` keeps: JSON, a gradebook, pages for students, Gradescope."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from pgcourse.grading.exercise import plain
from pgcourse.grading.grade import Graded
from pgcourse.grading.sandbox import ALWAYS, Sandbox

LOG_CHARACTERS = 2000
NAME_BYTES = 200  # of a page's name; systems allow 255
Row = dict[str, Any]


def header(sandbox: Sandbox, seed: int) -> Row:
    """How a number of submissions was graded."""
    return {"seed": seed, "sandbox": sandbox.name, "guarantee": [sandbox.guarantee, ALWAYS]}


def row(graded: Graded) -> Row:
    """One submission's results."""
    return {
        "state": "graded",
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
                        "message": check.message,
                        "diagnosis": check.diagnosis,
                        "hint": check.check.hint if check.trial and not check.diagnosis else "",
                    }
                    for check in result.checks
                ],
            }
            for result in graded.exercises
        ],
        "notes": list(graded.notes),
        "left_out": list(graded.left_out),
        "seconds": round(graded.seconds, 2),
        "log": [plain(line) for line in graded.log[:LOG_CHARACTERS].splitlines()],
    }


def scored(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["state"] == "graded"]


def each_check(row: Row) -> Iterator[tuple[str, Row]]:
    """(exercise, check) of a row."""
    for exercise in row.get("exercises", []):
        for check in exercise["checks"]:
            yield exercise["exercise"], check


def percent(row: Row) -> float:
    return 100 * float(row["points"]) / row["max_points"] if row.get("max_points") else 0.0


def message(check: Row) -> str:
    """Why a check gave no points, with the diagnosis where there is one."""
    return ". ".join(text for text in (check["message"], check["diagnosis"]) if text)


def state(row: Row) -> str:
    """A submission in a few words: which checks it fails, and why where nothing is right."""
    if row["state"] != "graded":
        return str(row["state"])
    if one := _reason_for_nothing(row):
        return one
    parts = []
    for exercise in row["exercises"]:
        failed = [check for check in exercise["checks"] if check["message"]]
        words = exercise["state"]
        if exercise["points"]:
            words = "fails " + ", ".join(check["check"] for check in failed)
        elif words != "not attempted" and failed:
            words = failed[0]["message"]
        if failed:
            parts.append(f"{exercise['exercise']}: {words}")
    return "; ".join(parts) or "solved"


def _reason_for_nothing(row: Row) -> str:
    """What is said of every check alike, such as that the file is no notebook; "" if they differ."""
    said = {check["message"] for _, check in each_check(row)}
    if all(exercise["state"] == "not attempted" for exercise in row["exercises"]):
        return "not attempted"
    return said.pop() if len(said) == 1 else ""


def document(rows: Sequence[Row], how: Row) -> Row:
    """Everything as one JSON document, the same however long it took and wherever the files lie."""
    return {**how, "submissions": [{key: row[key] for key in row if key not in ("seconds", "file")} for row in rows]}


def summary(rows: Sequence[Row]) -> list[str]:
    """A class in some lines: what how many fail, and what their most frequent mistake is, the worst first."""
    done = [row for row in scored(rows) if row.get("counts", True)]
    lines = []
    if done:
        scores = sorted(percent(row) for row in done)
        full = sum(score == 100 for score in scores)
        middle = (scores[(len(scores) - 1) // 2] + scores[len(scores) // 2]) / 2
        lines.append(f"{len(done)} graded: {full} with all points, median {middle:.0f} %")
    nothing = Counter(reason for row in done if (reason := _reason_for_nothing(row)))
    judged = [row for row in done if not _reason_for_nothing(row)]
    asked: Counter[tuple[str, str]] = Counter()
    failed: dict[tuple[str, str], Counter[str]] = {}
    given: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for exercise in (exercise for row in judged for exercise in row["exercises"]):
        name = exercise["exercise"]
        given[name] += 1
        if exercise["state"] == "not attempted":
            left[name] += 1
            continue
        for check in exercise["checks"]:
            asked[name, check["check"]] += 1
            if check["message"]:
                words = check["diagnosis"] or check["message"]
                failed.setdefault((name, check["check"]), Counter())[words] += 1
    for key, words in sorted(failed.items(), key=lambda item: (-item[1].total(), item[0])):
        often, times = words.most_common(1)[0]
        most = f"; most frequent ({times}): {often}" if times > 1 else ""
        lines.append(f"{words.total()} of {asked[key]} fail {key[0]}, {key[1]}{most}")
    lines += [f"{times} of {given[name]} have not attempted {name}" for name, times in left.most_common()]
    for reason, times in nothing.most_common():
        lines.append(f"{times} of {len(done)} get no points: {reason}")
    if missed := len(rows) - len(scored(rows)):
        lines.append(f"{missed} not graded")
    return lines


def write(folder: Path, rows: Sequence[Row], how: Row) -> list[Path]:
    """`grades.json`, `gradebook.csv` with a row for each submission, and `feedback/`, a page for each."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(rows, how), indent=1, ensure_ascii=False)
    with _replacing(folder / "grades.json") as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    with _replacing(folder / "gradebook.csv") as partial:
        _write_gradebook(partial, rows)
    pages = folder / "feedback"
    pages.mkdir(exist_ok=True)
    names = [_page_name(row) for row in rows]
    often = Counter(name.lower() for name in names)
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        if often[name.lower()] > 1:  # the same one whoever else there is, so that nobody gets another one's page
            names[number] += f"-{hashlib.sha256(row['path'].encode()).hexdigest()[:8]}"
    for old in pages.glob("*.html"):
        if old.stem not in names:
            old.unlink()
    for name, row in zip(names, rows, strict=True):
        (pages / f"{name}.html").write_text(page(row, how), encoding="utf-8")
    return [folder / "grades.json", folder / "gradebook.csv", pages]


def _page_name(row: Row) -> str:
    name = re.sub(r"[^\w.-]+", "_", f"{row['student']}_{Path(row['path']).stem}").strip("._")
    return name.encode()[:NAME_BYTES].decode(errors="ignore") or "submission"


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Another file to write to, which then takes the place of this one: a full disk costs nothing that was there."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_gradebook(path: Path, rows: Sequence[Row]) -> None:
    columns = list(dict.fromkeys((exercise, check["check"]) for row in rows for exercise, check in each_check(row)))
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # without the mark, Excel garbles names
        writer = csv.writer(file)
        names = [f"{exercise}: {check}" for exercise, check in columns]
        writer.writerow(
            ["student", "submission", "chapter", "counts", "state", *names, "points", "max_points", "percent"]
        )
        for row in rows:
            points = {(exercise, check["check"]): check["points"] for exercise, check in each_check(row)}
            scored = row["state"] == "graded"
            writer.writerow(
                [
                    _cell(row["student"]),
                    _cell(row["path"]),
                    row.get("chapter", ""),
                    "yes" if row.get("counts", True) else "no",
                    _cell(state(row)),
                    *(points.get(column, "") for column in columns),
                    *((row["points"], row["max_points"], f"{percent(row):.1f}") if scored else ("", "", "")),
                ]
            )


def _cell(text: str) -> str:
    """A spreadsheet takes text that starts with one of these for a formula."""
    return f"'{text}" if unicodedata.normalize("NFKC", text[:1]) in ("=", "+", "-", "@") else text


def gradescope(row: Row) -> Row:
    """One submission as Gradescope's autograder reads it from `results.json`."""
    if row["state"] != "graded":
        return {"score": 0, "output": row["state"], "output_format": "text", "tests": []}
    return {
        "score": row["points"],
        "output": "\n".join([*row["notes"], *([f"left out: {len(row['left_out'])}"] if row["left_out"] else [])]),
        "output_format": "text",
        "tests": [
            {
                "name": f"{exercise}: {check['check']}",
                "score": check["points"],
                "max_score": check["max_points"],
                "status": "failed" if check["message"] else "passed",
                "output": message(check),
                "output_format": "text",
                "visibility": "visible",
            }
            for exercise, check in each_check(row)
        ],
    }


PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
{% macro words(text) %}
{% for part in text.split("`") %}
{%- if loop.index is even %}<code>{{ part }}</code>{% else %}{{ part }}{% endif %}
{%- endfor %}
{% endmacro %}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ row.student }}: {{ file }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; width: 100% }
td, th { border-top: 1px solid #d0d7de; padding: .4rem .6rem; text-align: left; vertical-align: top }
.yes { color: #1a7f37 } .no { color: #cf222e } .quiet { color: #59636e }
td, li { overflow-wrap: anywhere } td:not(:last-child) { white-space: nowrap }
</style>
</head>
<body>
<h1>{{ row.student }}</h1>
<p class="quiet">{{ file }}</p>
{% if row.state != "graded" %}
<p class="no">{{ row.state }}
{%- if not row.get("counts", True) %}. Another version that you handed in counts{% endif %}</p>
{% else %}
<p><b>{{ row.points }} of {{ row.max_points }} points</b>
{%- if not row.get("counts", True) %}. Another version that you handed in counts{% endif %}</p>
{% for exercise in row.exercises %}
<h2>{{ exercise.exercise }}: {{ exercise.state }}</h2>
<table>
{% for check in exercise.checks %}
<tr>
<td class="{{ "no" if check.message else "yes" }}">{{ "✗" if check.message else "✓" }}</td>
<td>{{ check.check }}</td>
<td>{{ check.points }}/{{ check.max_points }}</td>
<td>{{ check.message }}
{%- if check.diagnosis %}<br><b>{{ words(check.diagnosis) }}</b>{% endif %}
{%- if check.hint %}<br>{{ words(check.hint) }}{% endif %}</td>
</tr>
{% endfor %}
</table>
{% endfor %}
{% if row.notes %}
<h2>Remarks, which cost no points</h2>
<ul>
{% for note in row.notes %}
<li>{{ note }}</li>
{% endfor %}
</ul>
{% endif %}
{% if row.left_out %}
<details><summary>What no answer needs and was not executed</summary>
<ul>
{% for line in row.left_out %}
<li>{{ line }}</li>
{% endfor %}
</ul>
</details>
{% endif %}
{% if row.log %}
<details><summary>What your code printed</summary>
<ul>
{% for line in row.log %}
<li>{{ line }}</li>
{% endfor %}
</ul>
</details>
{% endif %}
{% endif %}
<p class="quiet">{{ how.guarantee | join(" ") }}</p>
</body>
</html>
""")


def page(row: Row, how: Row) -> str:
    """A submission's results for who handed it in, as HTML."""
    return PAGE.render(row=row, how=how, file=Path(row["path"]).name)
