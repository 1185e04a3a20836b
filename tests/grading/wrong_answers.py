"""Wrong answers to exercises, and what is said of them."""

import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.solutions import mutant

SEED = 23  # of the draw, which no known mistake was tried on


def found(name, wrong):
    """For each (change, words) whether the answer that it makes loses points, and what is said of it."""
    draw = Examination(EXERCISES[name], SEED)
    for change, words in wrong:
        answer = InProcess(mutant(EXERCISES[name], change))
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            result = draw.judge(answer)
        yield change, words, result.state != "solved", {one.diagnosis for one in result.checks if one.diagnosis}


def all_are_named(name, wrong):
    """Each loses points. Of nine in ten the words are said, and of none others; those with None are left unnamed."""
    named = silent = 0
    for change, words, lost, said in found(name, wrong):
        assert lost, change
        for one in said:
            assert words is not None, (change, one)
            assert words in one, (change, one)
        named += bool(said)
        silent += words is not None and not said
    assert 9 * silent <= named
