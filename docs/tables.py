"""Write into the pages what stands elsewhere: `python docs/tables.py`.

A page holds `<!-- options: PPO -->` and below it a table, whose first three columns are option, default and meaning of
the dataclass. Further columns are the page's own: they stay with their option.

The README holds `<!-- chapters -->` and below it a table of the chapters, from their first screens and from the
exercise notebooks.

`<!-- minutes -->` stands above a table of the minutes that each chapter and its exercises take, and `<!-- plan -->`
above one whose second column names chapters: what they take is filled in behind it, and the sums below. With
`<!-- plan: importance 5 -->` only exercises of that importance count.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from pgcourse import algorithms, rlhf
from pgcourse.course import pages
from pgcourse.course.runner import CHAPTER, find_chapters
from pgcourse.grading.catalogue import EXERCISES

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = re.compile(r"(?<=<!-- chapters -->\n)(?:\|.*\n)+")
MINUTES = re.compile(r"(?<=<!-- minutes -->\n)(?:\|.*\n)+")
PLAN = re.compile(r"(<!-- plan(?:: importance (\d))? -->\n)((?:\|.*\n)+)")
TABLE = re.compile(r"<!-- options: (\w+) -->\n((?:\|.*\n)+)")
GENERATED = 3  # columns
TIME = ("reading", "exercises", "solving", "points")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def shown(default: Any) -> str:
    if default == math.inf:
        return "∞"
    if isinstance(default, str | tuple):
        return f"`{default}`"
    return f"{default:,}" if type(default) is int else str(default)


def written(page: str) -> str:
    """The page with every option's default and meaning as its dataclass has them, in the order of the fields."""

    def table(match: re.Match[str]) -> str:
        head, rule, *rows = match[2].splitlines()
        own = {cells(row)[0]: cells(row)[GENERATED:] for row in rows}
        lines = [head, rule]
        kind = getattr(algorithms if hasattr(algorithms, match[1]) else rlhf, match[1])
        for field in dataclasses.fields(kind):
            name, meaning = f"`{field.name}`", field.metadata["help"].replace("|", r"\|")
            further = own.get(name, [""] * (len(cells(head)) - GENERATED))
            lines.append(f"| {' | '.join([name, shown(field.default), meaning, *further])} |")
        return f"<!-- options: {match[1]} -->\n" + "\n".join(lines) + "\n"

    page = CHAPTERS.sub(lambda match: chapters(), TABLE.sub(table, page))
    return PLAN.sub(plan, MINUTES.sub(lambda match: minutes(), page))


def chapters() -> str:
    """The chapters' table: question, minutes to read, how many graded exercises, first figure."""
    lines = ["| chapter | the question | minutes to read | exercises | its first figure |", "| --- " * 5 + "|"]
    minutes = exercises = 0
    for path in find_chapters(ROOT):
        match = CHAPTER.fullmatch(path.stem)
        assert match
        of = pages.opening(json.loads(path.read_text("utf-8")), path.name)
        graded = ROOT / "exercises" / path.name
        count = number_of_exercises(graded)
        minutes, exercises = minutes + of.minutes, exercises + count
        link = f"[{count}](exercises/{path.name})" if count else ""
        figure = f"![The first figure of chapter {match['number']}](docs/figures/{match['number']}.png)"
        cells = (f"[{of.title}](chapters/{path.name})", of.question, str(of.minutes), link, figure)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines.append(f"| together | | {minutes} | {exercises} | |")
    return "\n".join(lines) + "\n"


def number_of_exercises(notebook: Path) -> int:
    """How many cells of an exercise notebook wait for an answer; 0 where there is no such notebook."""
    if not notebook.is_file():
        return 0
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return sum(cell["metadata"].get("nbgrader", {}).get("solution", False) for cell in cells)


def time_of(chapter: str, importance: int = 1) -> Counter[str]:
    """The minutes to read of a chapter, how many exercises it has, their minutes and points."""
    path = next(path for path in find_chapters(ROOT) if path.stem.partition("_")[0] == chapter)
    own = [one for one in EXERCISES.of(chapter) if one.importance >= importance]
    return Counter(
        reading=pages.opening(json.loads(path.read_text("utf-8")), path.name).minutes,
        exercises=len(own),
        solving=sum(one.minutes for one in own),
        points=sum(one.points for one in own),
    )


def minutes() -> str:
    """The table of what the chapters and their exercises take."""
    lines = ["| chapter | minutes to read | exercises | minutes for them | points |", "| --- " * 5 + "|"]
    together: Counter[str] = Counter()
    for path in find_chapters(ROOT):
        title = pages.opening(json.loads(path.read_text("utf-8")), path.name).title
        time = time_of(path.stem.partition("_")[0])
        together += time
        lines.append(f"| [{title}](../chapters/{path.name}) | {' | '.join(str(time[key]) for key in TIME)} |")
    lines.append(f"| together | {' | '.join(str(together[key]) for key in TIME)} |")
    return "\n".join(lines) + "\n"


def plan(match: re.Match[str]) -> str:
    """A plan with its minutes: `| when | 00, 01 |`, then those, then columns of the page's own."""
    head, rule, *rows = match[3].splitlines()
    lines, together = [head, rule], Counter[str]()
    for row in rows:
        when, named, _, _, _, *own = cells(row)
        if not named:  # the sums
            continue
        time = sum((time_of(chapter, int(match[2] or 1)) for chapter in named.split(", ")), Counter[str]())
        together += time
        lines.append(f"| {' | '.join([when, named, *(str(time[key]) for key in TIME[:3]), *own])} |")
    sums = [str(together[key]) for key in TIME[:3]]
    lines.append(f"| {' | '.join(['together', '', *sums, *[''] * (len(cells(head)) - 5)])} |")
    return match[1] + "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path in (*Path(__file__).parent.glob("*.md"), ROOT / "README.md"):
        page = path.read_text(encoding="utf-8")
        if (new := written(page)) != page:
            path.write_text(new, encoding="utf-8", newline="\n")
            print(path)
