"""Wrong answers to exercises, and what is said of them."""

import math

import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.solutions import edited, mutant

SEED = 23  # of the draw, which no known mistake was tried on


def changed(exercise, source, change):
    """A right answer, written in another style than the course's own, with the edits of a change made."""
    scope = {"torch": torch, "math": math}
    exec(compile(edited(exercise, source, change), f"<{exercise.name}>", "exec"), scope)
    return scope[exercise.entry]


def found(name, wrong, source=""):
    """For each (change, words) whether the answer that it makes loses points, and what is said of it.

    The change is one of the course's solution, or of the right answer whose source is given.
    """
    exercise = EXERCISES[name]
    draw = Examination(exercise, SEED)
    for change, words in wrong:
        answer = InProcess(changed(exercise, source, change) if source else mutant(exercise, change))
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            result = draw.judge(answer)
        yield change, words, result.state != "solved", {one.diagnosis for one in result.checks if one.diagnosis}


def all_are_named(name, wrong, source=""):
    """Each loses points. Of nine in ten the words are said, and of none others; those with None are left unnamed."""
    named = silent = 0
    for change, words, lost, said in found(name, wrong, source):
        assert lost, change
        for one in said:
            assert words is not None, (change, one)
            assert words in one, (change, one)
        named += bool(said)
        silent += words is not None and not said
    assert 9 * silent <= named
