"""Answers to 08.configuration: `python -m pgcourse.exercises.ch08._configurations [DRAWS [NAME ...]]` measures them.

All seeds of all draws train at once. A draw is one of the exercise's own, up to rounding, which depends on how many
seeds train side by side.
"""

import sys
import warnings

import torch

from pgcourse.exercises.ch08 import configuration as asked
from pgcourse.grading.calibration import generators, measure

OWN = asked.configuration()
RIGHT: dict[str, dict[str, float]] = {
    "the course's own": {},
    "half the step size": {"lr": 0.005, "critic_lr": 0.005},
    "0.003, more passes": {"lr": 0.003, "critic_lr": 0.003, "epochs": 8},
    "8 copies, ten passes": {"envs": 8, "horizon": 128, "lr": 0.005, "critic_lr": 0.005, "epochs": 10},
    "32 copies": {"envs": 32, "horizon": 16},
    "an entropy bonus, a slower critic": {"entropy": 0.01, "critic_lr": 0.003},
}
WRONG: dict[str, dict[str, float]] = {
    "step sizes too small": {"lr": 0.0001},
    "a step size too large": {"lr": 0.1},
    "long rollouts": {"envs": 128, "horizon": 64},
    "an entropy bonus too large": {"entropy": 1.0},
}


def seeds(number: int) -> list[int]:
    """Those of so many draws, one draw after the other, as the exercise draws them."""
    return [seed for rng in generators("08.configuration", "learns", number) for seed in asked.hidden(rng)]


def main(number: int, names: list[str]) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for some in (RIGHT, WRONG):
        for name, options in some.items():
            if name in names or not names:
                scores = asked.scores(asked.algorithm(OWN | options), seeds(number)).to_numpy()
                measure(name, scores.reshape(number, asked.SEEDS), asked.LEAST, wrong=some is WRONG)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30, sys.argv[2:])
