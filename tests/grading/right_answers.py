"""Right answers to exercises, which must lose no point, whatever their style."""

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess


def loses_no_point(name, answer, draws=4):
    """Judge a function as the answer to an exercise, on so many draws of its checks."""
    for seed in range(draws):
        result = Examination(EXERCISES[name], seed, mutants={}).judge(InProcess(answer))
        assert [(one.check.name, one.message) for one in result.checks if not one.passed] == []
