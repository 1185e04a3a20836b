"""How often answers pass an exercise: `python -m pgcourse.grading.calibration 08.agent [SEEDS [WORDS]]`.

For exercises whose checks train or play, where a right answer may be unlucky and a wrong one lucky. For the course's
own answer it prints on how many draws all checks and each of them passed; for each known mistake whose words contain
WORDS, on how many it passed all of them, and which one it failed first. With every count stands how frequent a false
verdict may be at most, by Clopper & Pearson (1934). The draws are not those of the tests. What it printed stands in the
exercise's file.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Change, CheckResult, Examination, Exercise, InProcess, judging
from pgcourse.grading.solutions import mutant

FIRST = 2_000  # of the draws: no test uses them, and no threshold was set by them
SURE = 0.95
GROUPS, RESAMPLED = 10_000, 200


def calibrate(name: str, changes: Mapping[str, Change], seeds: int, wrong: bool) -> None:
    """Print a line for each change of the course's own answer, as it is measured; a wrong one is left at its first
    failure, as it cannot be solved any more."""
    exercise = EXERCISES[name]
    torch.set_num_threads(1)
    for words, change in changes.items():
        results = [list(_results(exercise, change, seed, wrong)) for seed in range(FIRST, FIRST + seeds)]
        solved = sum(all(one.passed for one in some) for some in results)
        print(f"{words}\n  {counted(solved, seeds, wrong)}", flush=True)
        failed = Counter(one.check.name for some in results for one in some if not one.passed)
        said = Counter(one.diagnosis for some in results for one in some if one.diagnosis)
        for check, times in failed.most_common():
            print(f"  failed {'first ' if wrong else ''}{check}: {times}", flush=True)
        for diagnosis, times in said.most_common():
            print(f"  said {times} times: {diagnosis}", flush=True)


def limit(times: int, draws: int) -> float:
    """What the probability of an event that was seen so many times does not exceed, with the confidence `SURE`."""
    from scipy import stats

    return float(stats.beta.ppf(SURE, times + 1, draws - times)) if times < draws else 1.0


def counted(solved: int, draws: int, wrong: bool) -> str:
    """On how many draws an answer passed, and the limit of false verdicts: a wrong one that passes, a right one that
    fails."""
    verdicts, times = ("false passes", solved) if wrong else ("false fails", draws - solved)
    most = np.ceil(1e4 * limit(times, draws)) / 100
    return f"solved on {solved} of {draws} draws; {verdicts} below {most:.2f} % with {100 * SURE:.0f} % confidence"


def generators(name: str, check: str, draws: int) -> Iterator[np.random.Generator]:
    """What the `accept` of a check is given in each draw."""
    exercise = EXERCISES[name]
    (asked,) = (one for one in exercise.checks if one.name == check)
    return (judging(seed, exercise, asked) for seed in range(FIRST, FIRST + draws))


def measure(words: str, scores: np.ndarray, least: float, wrong: bool) -> None:
    """Print what scores [draw, seed] say of a check that asks for a mean over seeds of `least`; NaN is no score.

    Every seed counts in one draw only, so that draws are independent. `regrouped` says more of the same seeds: how
    often a draw of any of them would be false, and the limit of that by Efron's percentile bootstrap. Where it is 0, so
    is that limit, and only the one of the draws counts.
    """
    solved = int((_means(scores) >= least).sum())
    few, size = scores.ravel(), scores.shape[1]
    estimate, most = (100 * one for one in regrouped(few, size, least, wrong))
    mean, deviation = np.nanmean(few), np.nanstd(few, ddof=1)
    away = (mean - least) / (deviation / np.sqrt(size)) if deviation else np.inf
    print(
        f"{words}\n  {counted(solved, len(scores), wrong)}\n"
        f"  regrouped: {estimate:.2f} % of draws are false, resampled up to {most:.2f} %\n"
        f"  a seed has {mean:.4g} ± {deviation:.2g}, from {np.nanmin(few):.4g} to {np.nanmax(few):.4g}; "
        f"the mean of {size} is {away:+.1f} standard deviations from {least:g}",
        flush=True,
    )


def regrouped(few: np.ndarray, size: int, least: float, wrong: bool) -> tuple[float, float]:
    """The share of false verdicts among random draws of `size` of these scores, and its limit."""
    rng = np.random.default_rng(FIRST)

    def false(some: np.ndarray) -> float:
        return float(np.mean((_means(rng.choice(some, (GROUPS, size))) >= least) == wrong))

    return false(few), float(np.quantile([false(rng.choice(few, few.shape)) for _ in range(RESAMPLED)], SURE))


def _means(scores: np.ndarray) -> np.ndarray:
    """Over those seeds that have a score; NaN where none has."""
    given = ~np.isnan(scores)
    return np.where(given.any(1), np.nansum(scores, 1) / np.maximum(given.sum(1), 1), np.nan)


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
