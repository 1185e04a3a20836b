"""All exercises of the course, found by folder: pgcourse/exercises/chNN/NAME.py holds the exercise NN.NAME.

One is imported when it is asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pgcourse
from pgcourse.grading.exercise import Exercise

FOLDER = Path(pgcourse.__file__).resolve().parent / "exercises"


class Catalogue(Mapping[str, Exercise]):
    """The exercises by name."""

    def __iter__(self) -> Iterator[str]:
        for path in sorted(FOLDER.glob("ch[0-9][0-9]*/*.py")):
            if not path.stem.startswith("_"):
                yield f"{path.parent.name[2:]}.{path.stem}"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> Exercise:
        if not (isinstance(name, str) and re.fullmatch(r"\d\d\w*\.[A-Za-z]\w*", name)) or not path(name).is_file():
            raise KeyError(name)
        return _load(name)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def chapters(self) -> list[str]:
        """The chapters that have exercises."""
        return sorted({name.partition(".")[0] for name in self})

    def chapter(self, name: str) -> str:
        """A chapter's number as exercises have it: "03" of "3".

        Raises:
            ValueError: it has no exercises.
        """
        number = name.zfill(len(name.lstrip("0123456789")) + 2)
        if number not in self.chapters():
            raise ValueError(f"chapter {name!r} has no exercises; these have: {', '.join(self.chapters())}")
        return number

    def of(self, chapter: str) -> list[Exercise]:
        """A chapter's exercises."""
        return [self[name] for name in self if name.partition(".")[0] == chapter]


def path(name: str) -> Path:
    """The file of an exercise."""
    chapter, _, short = name.partition(".")
    return FOLDER / f"ch{chapter}" / f"{short}.py"


def digest(chapter: str) -> str:
    """SHA-256 of all that declares a chapter's exercises: another one where what is asked may be another."""
    found = hashlib.sha256()
    for file in sorted([*FOLDER.glob("_*.py"), *(FOLDER / f"ch{chapter}").glob("*.*")]):
        found.update(f"{file.name}\n".encode() + file.read_bytes())
    return found.hexdigest()


@cache
def _load(name: str) -> Exercise:
    chapter, _, short = name.partition(".")
    module = import_module(f"pgcourse.exercises.ch{chapter}.{short}")
    return replace(module.EXERCISE, name=name)


EXERCISES = Catalogue()
