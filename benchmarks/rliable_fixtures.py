"""What rliable computes, as an oracle for the tests of pgcourse.stats.

rliable does not import with pandas 3 and pulls in a good deal, so this runs in an environment of its own, in minutes:

    python3 -m venv rliable && rliable/bin/pip install "rliable==1.2.0" "pandas<3"
    rliable/bin/python benchmarks/rliable_fixtures.py > tests/stats/fixtures/rliable.json

Bootstrap intervals are computed many times over; kept are mean and standard deviation of their bounds, so a test can
tell Monte Carlo error from a mistake.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from rliable import library, metrics

RESAMPLES, REPEATS = 1_000, 40
THRESHOLDS = np.linspace(-0.5, 2.5, 13)
AGGREGATES = {
    "mean": metrics.aggregate_mean,
    "task_median": metrics.aggregate_median,
    "iqm": metrics.aggregate_iqm,
    "optimality_gap": metrics.aggregate_optimality_gap,
}


def score_matrices() -> dict[str, np.ndarray]:
    """Scores [run, task]: the shapes, ties and outliers that a study may have."""
    rng = np.random.default_rng(2021)
    tasks = np.array([0.1, 0.5, 0.9, 1.3, 2.0])
    return {
        "ten runs, five tasks": tasks + 0.2 * rng.normal(size=(10, 5)),
        "three runs, six tasks": rng.normal(0.6, 0.4, (3, 6)),
        "five runs, three tasks, ties": rng.integers(0, 5, (5, 3)) / 4,
        "eight runs, four tasks, skewed": rng.lognormal(-0.3, 1.0, (8, 4)),
        "twenty runs, one task": rng.beta(2, 1, (20, 1)),
        "seven runs, two tasks, one solved": np.column_stack([np.ones(7), rng.uniform(0, 1, 7)]),
    }


def score_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of X and Y, [run, task] each."""
    rng = np.random.default_rng(1947)
    same = rng.integers(0, 4, (6, 3)) / 3
    return {
        "ten runs against seven": (rng.normal(0.3, 1, (10, 4)), rng.normal(0, 1, (7, 4))),
        "ties": (rng.integers(1, 6, (5, 3)) / 5, rng.integers(0, 5, (8, 3)) / 5),
        "the same runs": (same, same.copy()),
        "always better": (rng.uniform(1, 2, (4, 2)), rng.uniform(0, 1, (4, 2))),
    }


def bounds(scores, function: Callable) -> dict[str, list]:
    """Mean and standard deviation of the interval's bounds over repeated bootstraps: [low or high, statistic]."""
    found = []
    for repeat in range(REPEATS):
        np.random.seed(repeat)  # noqa: NPY002  rliable draws from the global state, random_state or not
        _, intervals = library.get_interval_estimates({"": scores}, function, reps=RESAMPLES)
        found.append(intervals[""])
    return {"mean": np.mean(found, 0).tolist(), "sd": np.std(found, 0, ddof=1).tolist()}


def aggregate_all(scores: np.ndarray) -> np.ndarray:
    return np.array([aggregate(scores) for aggregate in AGGREGATES.values()])


def profile(scores: np.ndarray) -> np.ndarray:
    return library.score_distributions(scores, THRESHOLDS)


def improvement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([metrics.probability_of_improvement(x, y)])


def fixture(function: Callable, *scores: np.ndarray) -> dict[str, list]:
    """The statistic of these scores, and its interval's bounds."""
    data = scores[0] if len(scores) == 1 else list(scores)
    return {"estimate": function(*scores).tolist(), **bounds(data, function)}


def main() -> None:
    packages = ("rliable", "arch", "numpy", "scipy", "pandas")
    document = {
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in packages}},
        "resamples": RESAMPLES,
        "repeats": REPEATS,
        "level": 0.95,
        "thresholds": THRESHOLDS.tolist(),
        "aggregates": list(AGGREGATES),
        "matrices": {
            name: {
                "scores": scores.tolist(),
                "aggregates": fixture(aggregate_all, scores),
                "profile": fixture(profile, scores),
            }
            for name, scores in score_matrices().items()
        },
        "pairs": {
            name: {"x": x.tolist(), "y": y.tolist(), "improvement": fixture(improvement, x, y)}
            for name, (x, y) in score_pairs().items()
        },
    }
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
