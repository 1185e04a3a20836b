"""How often answers pass an exercise: `python -m pgcourse.grading.calibration 08.agent [SEEDS [WORDS]]`.

For exercises whose checks train or play, where a right answer may be unlucky and a wrong one lucky. For the course's
own answer, and for each known mistake whose words contain WORDS, it prints on how many draws all checks and each of
them passed, and what was said. The draws are not those of the tests. What it printed stands in the exercise's file.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping

import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Change, Examination, InProcess
from pgcourse.grading.solutions import mutant

FIRST = 1_000  # of the seeds, which no test uses


def calibrate(name: str, changes: Mapping[str, Change], seeds: int) -> None:
    """Print a line for each change of the course's own answer, as it is measured."""
    exercise = EXERCISES[name]
    torch.set_num_threads(1)
    for words, change in changes.items():
        answer, results = mutant(exercise, change), []
        for seed in range(FIRST, FIRST + seeds):
            torch.manual_seed(seed)  # for what the answer draws itself
            results.append(Examination(exercise, seed, {}).judge(InProcess(answer)))
        passed = Counter(one.check.name for result in results for one in result.checks if one.passed)
        said = Counter(one.diagnosis for result in results for one in result.checks if one.diagnosis)
        checks = ", ".join(f"{check.name} {passed[check.name]}" for check in exercise.checks)
        solved = sum(result.state == "solved" for result in results)
        print(f"{words}\n  solved on {solved} of {seeds} draws: {checks}", flush=True)
        for diagnosis, times in said.most_common():
            print(f"  said {times} times: {diagnosis}", flush=True)


def main(name: str, seeds: str = "32", words: str = "") -> None:
    mistakes = {one.words: one.change for one in EXERCISES[name].mistakes if words in one.words}
    calibrate(name, {"the course's own": [], **mistakes}, int(seeds))


if __name__ == "__main__":
    main(*sys.argv[1:])
