"""Grading submissions. The verdict is computed here, from numbers; a submission's process never sees one."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pgcourse
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.collect import Unreadable
from pgcourse.grading.exercise import Examination, Exercise, ExerciseResult
from pgcourse.grading.process import Host, Session
from pgcourse.grading.sandbox import CannotGrade

NOTEBOOKS = Path(pgcourse.__file__).resolve().parents[1] / "exercises"
NOTEBOOK_BYTES = 50 << 20
KINDS = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
BOUND = re.compile(rb'(?:"|\\n)(?:async +)?(?:(?:def|class) +(\w+)|(\w+) *=[^=])')  # in a file that is not read yet
KINDS |= {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


@dataclass(frozen=True)
class Graded:
    """A notebook's results.

    `notes` are remarks that cost no points, `log` is what its process printed, `left_out` are the statements that no
    answer needs, and `seconds` the CPU time of its processes. `unreadable` says why the file is no notebook.
    """

    exercises: tuple[ExerciseResult, ...]
    notes: tuple[str, ...] = ()
    log: str = ""
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0
    unreadable: str = ""

    @property
    def points(self) -> int:
        return sum(result.points for result in self.exercises)

    @property
    def max_points(self) -> int:
        return sum(result.exercise.points for result in self.exercises)

    @property
    def percent(self) -> float:
        return 100 * self.points / self.max_points


def chapters() -> list[str]:
    """The chapters that have graded exercises."""
    return EXERCISES.chapters()


def chapter_in(name: str, chapter: str | None = None) -> tuple[str, str]:
    """The chapter in the name of a notebook, and what stands before it there.

    Numbers of groups and dates stand in names, too. So the whole name of an exercise notebook counts first, and its two
    digits only where there is none. Of a chapter that is given, the whole name alone does: without it, the name has no
    part that is the chapter's.

    Raises:
        CannotGrade: no chapter, or more than one.
    """
    whole = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*_*.ipynb"))]
    places = {one[:2]: match.start() for one in whole if (match := re.search(re.escape(one), name, re.I))}
    if chapter:
        return chapter, name[: places.get(chapter, len(name))]
    known = chapters()
    digits = re.finditer(r"(?<!\d)\d\d(?=[a-z]?_)", name)
    places = places or {match[0]: match.start() for match in digits if match[0] in known}
    if len(places) == 1:
        chapter, place = places.popitem()
        return chapter, name[:place]
    which = f"which chapter is it, {' or '.join(sorted(places))}?" if places else "which chapter is it?"
    example = min(whole, key=lambda one: one[:2] not in places, default=f"{known[0]}_name")
    raise CannotGrade(f"{which} Give the file its name in the course, such as {example}.ipynb")


def other_chapter(content: bytes, chapter: str) -> str:
    """The chapter whose answers a notebook's file holds, if it holds none of this one's; "" otherwise."""

    def entries(one: str) -> set[str]:
        return {exercise.entry for exercise in EXERCISES.of(one)}

    bound = {name.decode() for names in BOUND.findall(content) for name in names}
    own = entries(chapter)
    if 2 * len(bound & own) >= len(own):  # as nearly always: the other chapters' need not be imported
        return ""
    other = max(chapters(), key=lambda one: len(bound & entries(one)))
    theirs = entries(other)
    return other if bound & (theirs - own) and not bound & (own - theirs) else ""


def grade(
    content: bytes,
    exercises: Sequence[Exercise],
    host: Host,
    seed: int,
    kept: dict[str, Any] | None = None,
    examinations: dict[str, Examination] | None = None,
) -> Graded:
    """Grade a notebook: any gets a result, whatever it is or does.

    Args:
        content: of its file; see `read_file`.
        kept: what was kept when it was graded before, with the same seed: its replies are judged again, and it is
            only run for what it was not asked then. Filled with what there is to keep now.
        examinations: those of this seed that were held already, by the exercise's name. Filled with these.

    Raises:
        CannotGrade: the process for it does not start.
    """
    kept = {} if kept is None else kept
    examinations = {} if examinations is None else examinations
    session = Session(host, content, [exercise.entry for exercise in exercises])
    try:
        if not kept:
            submission = session.submission
            kept.update(notes=submission.notes, left_out=submission.left_out)
        replies = kept.setdefault("replies", {})
        results = []
        for exercise in exercises:
            examination = examinations.setdefault(exercise.name, Examination(exercise, seed))
            memory = replies.setdefault(exercise.name, {})
            results.append(examination.judge(session.answer(exercise.entry, exercise.limits, memory)))
    except Unreadable as error:
        return Graded(tuple(ExerciseResult.zero(exercise, str(error)) for exercise in exercises), unreadable=str(error))
    finally:
        session.stop()
    if session.loaded:
        kept["unchanged"] = session.unchanged
    log = kept.setdefault("log", "") or session.log
    kept["log"] = log
    notes = (*kept["notes"], *kept.get("unchanged", ()))
    return Graded(tuple(results), notes, log, tuple(kept["left_out"]), session.seconds)


def read_file(path: Path) -> bytes:
    """The content of a notebook's file.

    Raises:
        CannotGrade: a link, a folder, a FIFO, a device, or too large. None of these is opened to the end.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise CannotGrade(f"{KINDS.get(stat.S_IFMT(status.st_mode), 'no ordinary file')}, not a notebook's file")
        # Between the two lines, somebody could put another thing in its place.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CannotGrade("no ordinary file")
            content = file.read(NOTEBOOK_BYTES + 1)
    except OSError as error:
        raise CannotGrade(f"cannot be read: {error.strerror}") from None
    if len(content) > NOTEBOOK_BYTES:
        size, limit = status.st_size >> 20, NOTEBOOK_BYTES >> 20
        raise CannotGrade(f"the notebook has {size} MB, more than {limit} MB: clear its outputs and try again")
    return content
