"""The course's own answers, from its solution notebooks, and the known mistakes made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pgcourse
from pgcourse.grading import worker
from pgcourse.grading.collect import Submission, read
from pgcourse.grading.exercise import START, Change, Edit, Exercise

SOLUTIONS = Path(pgcourse.__file__).resolve().parents[1] / "solutions"
MODULES = "torch", "math"
MARKER = re.compile(r"^ *### (?:BEGIN|END) SOLUTION *\n?", re.M)


class BadEdit(ValueError):
    """A change that does not fit the solution that it is to change."""


def notebook(chapter: str) -> Path | None:
    """The solution notebook of a chapter; None where there is none at hand."""
    return next(iter(sorted(SOLUTIONS.glob(f"{chapter}_*.ipynb"))), None)


def source(exercise: Exercise) -> str:
    """The cell with the answer in the course's solution notebook; "" where that is not at hand."""
    path = notebook(exercise.chapter)
    # nbformat would take longer to be imported than all else that a check does.
    for cell in json.loads(path.read_text("utf-8"))["cells"] if path else ():
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and defines(text, exercise.entry):
            return MARKER.sub("", text).rstrip()
    return ""


def defines(text: str, entry: str) -> bool:
    """Whether a cell holds an answer."""
    return bool(re.search(rf"^(?:def|class) {entry}\b", text, re.M))


def edited(exercise: Exercise, text: str, change: Change) -> str:
    """The solution's source with the edits of a change made.

    Raises:
        BadEdit: the old text of an edit does not stand in it exactly once.
    """
    for old, new in edits(change):
        if (count := text.count(old)) != 1:
            raise BadEdit(f"{exercise.name}: stands {count} times in the solution of {exercise.entry}: {old!r}")
        text = text.replace(old, new)
    return text


def edits(change: Change) -> list[Edit]:
    """The edits of a change: none of an expression, one of a pair, or all of a list."""
    if isinstance(change, str):
        return []
    return [change] if isinstance(change, tuple) else list(change)


def mutants(exercise: Exercise) -> dict[str, Callable[..., Any]]:
    """The known mistakes of an exercise by their words, and by `START` what a repair starts with.

    Raises:
        BadEdit: a change that does not fit the solution.
    """
    if not source(exercise):
        return {}
    made = {mistake.words: mutant(exercise, mistake.change) for mistake in exercise.mistakes}
    return made | ({START: mutant(exercise, exercise.start)} if exercise.start else {})


def solution(exercise: Exercise) -> Callable[..., Any]:
    """The course's own answer."""
    return mutant(exercise, [])


def mutant(exercise: Exercise, change: Change) -> Callable[..., Any]:
    """The solution with a change.

    Raises:
        BadEdit: it does not fit the solution.
    """
    submission = _collected(exercise.chapter, exercise.entry)
    solution = worker.Notebook()
    module = solution.module
    for cell in submission.cells:
        source = cell.source
        if defines(source, exercise.entry):
            source = edited(exercise, MARKER.sub("", source), change)
        for index, _ in cell.keep:
            try:
                solution.execute(cell.name, source, index)
            except Exception as error:
                raise BadEdit(f"{exercise.name}: {change}: {type(error).__name__}: {error}") from error
    answer: Callable[..., Any] = getattr(module, exercise.entry)
    return _around(exercise, answer, change, vars(module)) if isinstance(change, str) else answer


def _around(exercise: Exercise, answer: Callable[..., Any], change: str, scope: dict[str, Any]) -> Callable[..., Any]:
    expression = compile(change, f"<{exercise.name}>", "eval")
    names = exercise.arguments

    def wrong(*a: Any) -> Any:
        return eval(
            expression, {"torch": torch, "np": np, **scope, "f": answer, "a": a, **dict(zip(names, a, strict=False))}
        )

    return wrong


@cache
def _collected(chapter: str, entry: str) -> Submission:
    path = notebook(chapter)
    if path is None:
        raise BadEdit(f"no solution notebook of chapter {chapter} in {SOLUTIONS}")
    return read(path.read_bytes(), [entry, *MODULES])  # a change may use what the answer itself does not


def explanation(exercise: Exercise) -> str:
    """What the solution notebook says about its answer: the Markdown cells behind it that are tagged `solution`."""
    path = notebook(exercise.chapter)
    return "\n\n".join(_explanations(path, exercise.entry)) if path else ""


def _explanations(path: Path, entry: str) -> Iterator[str]:
    found = False
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            if found and not text.startswith("check("):
                return
            found = found or defines(text, entry)
        elif found and "solution" in cell["metadata"].get("tags", []):
            yield text
        elif found:
            return
