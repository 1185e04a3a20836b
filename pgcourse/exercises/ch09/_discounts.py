"""Answers to 09.gamma: `python -m pgcourse.exercises.ch09._discounts [DRAWS [γ ...]]` measures run by run."""

import sys

import numpy as np

from pgcourse.exercises.ch09 import gamma as asked
from pgcourse.grading.calibration import generators, measure

RIGHT = 0.99, 0.985, 0.988, 0.992, 0.995
WRONG = 0.97, 0.9995, 1.0, 0.9, 0.5


def main(number: int, chosen: list[float]) -> None:
    for some in (RIGHT, WRONG):
        for discount in some:
            if discount in chosen or not chosen:
                of = generators("09.gamma", "learns", number)
                scores = np.stack([asked.ends(discount, asked.hidden(rng)) for rng in of])
                measure(f"γ = {discount}", scores, asked.LEAST, wrong=some is WRONG)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30, [float(one) for one in sys.argv[2:]])
