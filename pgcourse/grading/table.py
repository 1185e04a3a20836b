"""Which mistakes each exercise finds, by which checks, and what it says: `python -m pgcourse.grading.table [--check]`.

Written to docs/mistakes.md, in a clone of the course.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import START, Examination, Exercise, ExerciseResult, InProcess
from pgcourse.grading.solutions import mutants, solution

PAGE = Path("docs/mistakes.md")
DRAWS = 5
PLAYED_DRAWS = 2  # of an exercise whose checks train, or play with the answer


@dataclass(frozen=True)
class Found:
    """What became of a known mistake: the checks that it failed on every draw, and what was said on each."""

    words: str
    results: tuple[ExerciseResult, ...]

    @property
    def played(self) -> bool:
        """Whether only checks fail that ask the answer themselves: these say what is wrong, and know no mistake."""
        failed = [one for result in self.results for one in result.checks if not one.passed]
        return all(one.check.play for one in failed)

    @property
    def failed(self) -> list[str]:
        """The checks that fail on every draw."""
        sets = [{one.check.name for one in result.checks if not one.passed} for result in self.results]
        return [one.check.name for one in self.results[0].checks if all(one.check.name in some for some in sets)]

    @property
    def caught(self) -> bool:
        """Whether it loses points on every draw."""
        return all(result.state != "solved" for result in self.results)

    @property
    def named(self) -> int:
        """On how many draws it was called by its name, and by no other."""
        return sum(self._said(result) == {self.words} for result in self.results)

    @property
    def misnamed(self) -> set[str]:
        """What else it was called."""
        return {words for result in self.results for words in self._said(result)} - {self.words}

    @staticmethod
    def _said(result: ExerciseResult) -> set[str]:
        return {one.diagnosis for one in result.checks if one.diagnosis}


def seeds(exercise: Exercise) -> range:
    """The draws on which an exercise's mistakes are tried."""
    long = exercise.kind in ("learn", "tune") or any(check.play for check in exercise.checks)
    return range(PLAYED_DRAWS if long else DRAWS)


@cache
def examined(name: str) -> tuple[list[ExerciseResult], list[Found]]:
    """What `examine` says of an exercise of the course, computed once."""
    return examine(EXERCISES[name], seeds(EXERCISES[name]))


def examine(exercise: Exercise, seeds: Iterable[int]) -> tuple[list[ExerciseResult], list[Found]]:
    """The results of the course's own answer, and of each known mistake, on each draw."""
    known, right = mutants(exercise), InProcess(solution(exercise))
    draws = [Examination(exercise, seed, known) for seed in seeds]
    return [_judge(draw, right) for draw in draws], [
        Found(words, tuple(_judge(draw, InProcess(wrong)) for draw in draws))
        for words, wrong in known.items()
        if words != START
    ]


def _judge(draw: Examination, answer: InProcess) -> ExerciseResult:
    """With the answer's own randomness, such as a network's first weights, from the same seed: the page is the same."""
    with torch.random.fork_rng():
        torch.manual_seed(draw.seed)
        return draw.judge(answer)


def faults(exercise: Exercise, own: Iterable[ExerciseResult], found: Sequence[Found]) -> Iterator[str]:
    """What is wrong with an exercise: its own answer fails, or a mistake is not found, or called by another name."""
    for result in own:
        for check in result.checks:
            if not check.passed:
                yield f"{exercise.name}: the solution fails {check.check.name!r}: {check.message}"
    for one in found:
        if not one.caught:
            yield f"{exercise.name}: this mistake gets full points: {one.words}"
        elif any("NameError" in check.message for result in one.results for check in result.checks):
            yield f"{exercise.name}: this mistake is made with a name that is not there: {one.words}"
        elif one.misnamed:
            yield f"{exercise.name}: this mistake: {one.words} is called: {'; '.join(sorted(one.misnamed))}"
        elif one.named < 0.9 * len(one.results) and not one.played:
            yield f"{exercise.name}: named on {one.named} of {len(one.results)} draws only: {one.words}"
    for name in [check.name for check in exercise.checks if not any(check.name in one.failed for one in found)]:
        yield f"{exercise.name}: no known mistake fails the check {name!r}"


def page(exercises: Iterable[Exercise]) -> str:
    """The page, as Markdown."""
    return "\n".join(_lines(exercises))


def _lines(exercises: Iterable[Exercise]) -> Iterator[str]:
    yield "# Mistakes that the exercises find"
    yield ""
    yield f"Made by `python -m pgcourse.grading.table`. Each known wrong answer meets {DRAWS} draws of the inputs,"
    yield f"and {PLAYED_DRAWS} where a check trains or plays with the answer."
    yield "*Fails* are the checks that it fails on every draw; *named* says on how many the learner reads"
    yield "these words and no others; *played*: the check plays with the answer, and says what came of it."
    for exercise in exercises:
        yield ""
        yield f"## {exercise.name}: {exercise.title}"
        yield ""
        yield f"{exercise.kind}, {exercise.points} points, {exercise.minutes} minutes: {exercise.goal}"
        yield ""
        yield "| mistake | fails | named |"
        yield "| --- | --- | --- |"
        for one in examined(exercise.name)[1]:
            words = one.words.replace("|", "\\|")
            named = "played" if one.played else f"{one.named} of {len(one.results)}"
            yield f"| {words} | {', '.join(one.failed)} | {named} |"
    yield ""


def main(arguments: list[str]) -> int:
    """Write the page; with --check write nothing, and return 1 if it differs from what would be written."""
    if arguments not in ([], ["--check"]) or not PAGE.parent.is_dir():
        print("usage, in a clone of the course: python -m pgcourse.grading.table [--check]")
        return 2
    text = page(EXERCISES.values())
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if arguments:
        print(f"{PAGE}: differs from the exercises; run python -m pgcourse.grading.table")
        return 1
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    print(f"{PAGE}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
