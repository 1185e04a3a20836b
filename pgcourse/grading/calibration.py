"""How often answers pass an exercise: `python -m pgcourse.grading.calibration 08.agent [SEEDS [WORDS]]`.

For exercises whose checks train or play, where a right answer may be unlucky and a wrong one lucky. For the course's
own answer it prints on how many draws all checks and each of them passed; for each known mistake whose words contain
WORDS, on how many it passed all of them, and which one it failed first. The draws are not those of the tests. What it
printed stands in the exercise's file.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Change, CheckResult, Examination, Exercise, InProcess
from pgcourse.grading.solutions import mutant

FIRST = 1_000  # of the seeds, which no test uses


def calibrate(name: str, changes: Mapping[str, Change], seeds: int, wrong: bool) -> None:
    """Print a line for each change of the course's own answer, as it is measured; a wrong one is left at its first
    failure, as it cannot be solved any more."""
    exercise = EXERCISES[name]
    torch.set_num_threads(1)
    for words, change in changes.items():
        results = [list(_results(exercise, change, seed, wrong)) for seed in range(FIRST, FIRST + seeds)]
        solved = sum(all(one.passed for one in some) for some in results)
        print(f"{words}\n  solved on {solved} of {seeds} draws", flush=True)
        failed = Counter(one.check.name for some in results for one in some if not one.passed)
        said = Counter(one.diagnosis for some in results for one in some if one.diagnosis)
        for check, times in failed.most_common():
            print(f"  failed {'first ' if wrong else ''}{check}: {times}", flush=True)
        for diagnosis, times in said.most_common():
            print(f"  said {times} times: {diagnosis}", flush=True)


def _results(exercise: Exercise, change: Change, seed: int, wrong: bool) -> Iterator[CheckResult]:
    """What each check says; the draws of one do not depend on the others."""
    answer = InProcess(mutant(exercise, change))
    torch.manual_seed(seed)  # for what the answer draws itself
    for check in exercise.checks:
        (result,) = Examination(replace(exercise, checks=(check,)), seed, {}).judge(answer).checks
        yield result
        if wrong and not result.passed:
            return


def main(name: str, seeds: str = "32", words: str = "") -> None:
    calibrate(name, {"the course's own": []}, int(seeds), wrong=False)
    mistakes = {one.words: one.change for one in EXERCISES[name].mistakes if words in one.words}
    calibrate(name, mistakes, int(seeds), wrong=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
