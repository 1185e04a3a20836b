"""Write the options of algorithms and architectures into the pages, from their dataclasses: `python docs/tables.py`.

A page holds `<!-- options: PPO -->` and below it a table, whose first three columns are option, default and meaning.
Further columns are the page's own: they stay with their option.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

from pgcourse import algorithms

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

    return TABLE.sub(table, page)


if __name__ == "__main__":
    for path in Path(__file__).parent.glob("*.md"):
        page = path.read_text(encoding="utf-8")
        if (new := written(page)) != page:
            path.write_text(new, encoding="utf-8", newline="\n")
            print(path)
