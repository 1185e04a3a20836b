"""Write into the pages what stands elsewhere: `python docs/tables.py`.

A page holds `<!-- options: PPO -->` and below it a table, whose first three columns are option, default and meaning of
the dataclass. Further columns are the page's own: they stay with their option.

The README holds `<!-- chapters -->` and below it a table of the chapters, from their first screens and from the
exercise notebooks.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

from pgcourse import algorithms
from pgcourse.course import pages
from pgcourse.course.runner import CHAPTER, find_chapters

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = re.compile(r"(?<=<!-- chapters -->\n)(?:\|.*\n)+")
TABLE = re.compile(r"<!-- options: (\w+) -->\n((?:\|.*\n)+)")
GENERATED = 3  # columns


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
        for field in dataclasses.fields(getattr(algorithms, match[1])):
            name, meaning = f"`{field.name}`", field.metadata["help"].replace("|", r"\|")
            further = own.get(name, [""] * (len(cells(head)) - GENERATED))
            lines.append(f"| {' | '.join([name, shown(field.default), meaning, *further])} |")
        return f"<!-- options: {match[1]} -->\n" + "\n".join(lines) + "\n"

    return CHAPTERS.sub(lambda match: chapters(), TABLE.sub(table, page))


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


if __name__ == "__main__":
    for path in (*Path(__file__).parent.glob("*.md"), ROOT / "README.md"):
        page = path.read_text(encoding="utf-8")
        if (new := written(page)) != page:
            path.write_text(new, encoding="utf-8", newline="\n")
            print(path)
