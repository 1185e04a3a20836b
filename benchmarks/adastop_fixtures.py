"""What AdaStop's own package decides, as an oracle for the tests of pgcourse.stats.

    python3 -m venv adastop && adastop/bin/pip install "adastop==0.1.3" numpy pandas matplotlib
    adastop/bin/python benchmarks/adastop_fixtures.py > tests/stats/fixtures/adastop.json

The package compares |T| with a quantile of the *signed* T over the relabellings. Of two equal algorithms its level is
therefore 2α: with three seeds, one look and α = 0.1 it calls a fifth of equal pairs different (`doubled`). T is
symmetric, so the package at α/2 is the paper's test at α: that is what is kept, with few enough seeds that it takes all
relabellings.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from adastop import MultipleAgentsComparator

ALPHA = 0.1
DESIGNS = [(4, 1), (3, 2), (3, 3), (4, 2)]  # seeds a look, looks
EFFECTS = [0.0, 1.0, 2.0, 4.0]
REPEATS = 6
SIGNS = {"larger": ">", "smaller": "<", "equal": "="}


def decide(x: np.ndarray, y: np.ndarray, block: int, looks: int, alpha: float) -> tuple[str, int]:
    """The decision on two samples of `block` times `looks` seeds, and after how many seeds it fell."""
    test = MultipleAgentsComparator(n=block, K=looks, B=100_000, alpha=alpha, seed=0)
    for look in range(1, looks + 1):
        test.partial_compare({"x": x[: look * block], "y": y[: look * block]}, verbose=False)
        if test.is_finished:
            break
    (decision,) = test.decisions.values()
    return SIGNS[decision], look * block


def main() -> None:
    rng = np.random.default_rng(2024)
    cases: list[dict[str, Any]] = []
    for block, looks in DESIGNS:
        for effect in EFFECTS:
            for _ in range(REPEATS):
                x, y = rng.normal(effect, 1, block * looks).round(6), rng.normal(0, 1, block * looks).round(6)
                sign, seeds = decide(x, y, block, looks, ALPHA / 2)
                cases.append(
                    {"block": block, "looks": looks, "x": x.tolist(), "y": y.tolist(), "sign": sign, "seeds": seeds}
                )
    wrong = [decide(*rng.normal(size=(2, 3)), 3, 1, ALPHA)[0] != "=" for _ in range(2_000)]
    found = {"adastop": version("adastop"), "alpha": ALPHA, "doubled": float(np.mean(wrong)), "cases": cases}
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
