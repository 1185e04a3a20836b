"""How often right and wrong answers pass: python -m pgcourse.exercises.ch08._calibration 08.agent [SEEDS [WORDS]].

For the solution, and for each known mistake whose words contain WORDS, the share of draws on which each check passes.
The draws are not those of the tests. What it printed stands in the exercises' files.
"""

import sys

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.solutions import mutants, solution

FIRST = 1_000  # seeds that no test uses


def main(name: str, seeds: str = "32", words: str = "") -> None:
    exercise = EXERCISES[name]
    known = mutants(exercise)
    answers = {"the solution": solution(exercise)} | {said: known[said] for said in known if words in said}
    for said, answer in answers.items():
        draws = [Examination(exercise, FIRST + i, {}).judge(InProcess(answer)) for i in range(int(seeds))]
        passed = {
            check.name: sum(draw.checks[number].passed for draw in draws)
            for number, check in enumerate(exercise.checks)
        }
        print(f"{', '.join(f'{check} {n}/{seeds}' for check, n in passed.items())}: {said}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
