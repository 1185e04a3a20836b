"""Grading submissions. The verdict is computed here, from numbers; a submission's process never sees one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.collect import Unreadable, collect
from pgcourse.grading.exercise import Exercise, ExerciseResult, judge, plain
from pgcourse.grading.process import Session
from pgcourse.grading.sandbox import CannotGrade, Sandbox


@dataclass(frozen=True)
class Graded:
    """One notebook's results; `notes` are remarks that cost no points, `log` what its process printed."""

    path: Path
    exercises: tuple[ExerciseResult, ...]
    notes: tuple[str, ...] = ()
    log: str = ""

    @property
    def points(self) -> int:
        return sum(result.points for result in self.exercises)

    @property
    def max_points(self) -> int:
        return sum(result.exercise.points for result in self.exercises)

    @property
    def percent(self) -> float:
        return 100 * self.points / self.max_points


def notebooks(paths: Sequence[Path]) -> list[Path]:
    """The notebooks named, and all those in the folders named.

    Raises:
        CannotGrade: a path that does not exist, or nothing to grade.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*.ipynb") if p.is_file() and ".ipynb_checkpoints" not in p.parts)
            if not inside:
                raise CannotGrade(f"no notebook (*.ipynb) in the folder {path}")
            found.extend(inside)
        elif path.exists():
            found.append(path)
        else:
            raise CannotGrade(f"no such file or folder: {path}")
    return list(dict.fromkeys(found))


def chapters() -> list[str]:
    """The chapters that have graded exercises."""
    return EXERCISES.chapters()


def exercises_for(path: Path, chapter: str | None = None) -> list[Exercise]:
    """The exercises of a chapter: the one given, or the one whose two digits stand in the notebook's name.

    Raises:
        CannotGrade: no such chapter, or a file name that does not say.
    """
    known = chapters()
    if chapter is None:
        chapter = next((digits for digits in re.findall(r"(?<!\d)\d\d(?=_)", path.name) if digits in known), "")
    chapter = chapter.zfill(2)
    if chapter not in known:
        raise CannotGrade(
            f"{path}: which chapter is it? Its name should have the chapter's number as in the course, such as "
            f"{known[0]}_name.ipynb; or say --chapter with one of: {', '.join(known)}"
        )
    return EXERCISES.of(chapter)


def grade(
    path: Path,
    exercises: Sequence[Exercise],
    sandbox: Sandbox,
    seed: int,
) -> Graded:
    """Grade one notebook: any submission gets a result, whatever it is or does.

    Raises:
        CannotGrade: the process for it does not start.
    """
    try:
        submission = collect(path, [exercise.entry for exercise in exercises])
    except Unreadable as error:
        return Graded(path, tuple(ExerciseResult.zero(exercise, str(error)) for exercise in exercises))
    session = Session(submission, sandbox)
    results = []
    try:
        for exercise in exercises:
            if exercise.entry in submission.defined:
                results.append(judge(exercise, session.answer(exercise.entry, exercise.limits), seed))
            else:
                reason = submission.missing.get(exercise.entry, f"there is no function {exercise.entry}")
                results.append(ExerciseResult.zero(exercise, plain(f"not defined: {reason}")))
    finally:
        session.stop()
    return Graded(path, tuple(results), tuple(plain(note) for note in submission.notes), session.log)
