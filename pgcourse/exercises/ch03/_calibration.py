"""How often 03.agent is unfair, or fooled: `python -m pgcourse.exercises.ch03._calibration [seeds [name ...]]`.

Right agents that differ in taste, and wrong ones that raise no error; each on seeds that no threshold was set by.
"""

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Change, Examination, InProcess
from pgcourse.grading.solutions import mutant

NETWORK = "nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)"
RIGHT: dict[str, Change] = {
    "the solution": [],
    "step size 0.002": ("0.005", "0.002"),
    "step size 0.01": ("0.005", "0.01"),
    "relu": (NETWORK, NETWORK.replace("Tanh", "ReLU")),
    "one wide layer": (NETWORK, "nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 2)"),
    "γ 0.95": ("0.99 * after", "0.95 * after"),
    "normalised": (
        "-(torch.cat(returns) * log_prob)",
        "-((lambda x: (x - x.mean()) / (x.std() + 1e-8))(torch.cat(returns)) * log_prob)",
    ),
}
CHANGES = [mistake.change for mistake in EXERCISES["03.agent"].mistakes]
WRONG: dict[str, Change] = {
    **dict(
        zip(
            ("greedy", "zero_grad late", "sign", "own reward only", "own reward missing", "[N] against [N, 1]"),
            CHANGES,
            strict=True,
        )
    ),
    "optimiser over a copy": (
        "Adam(self.network.parameters()",
        "Adam([p.detach().clone().requires_grad_() for p in self.network.parameters()]",
    ),
    "no step": ("        self.optimizer.step()\n", ""),
    "detached loss": ("loss.backward()", "loss.detach().requires_grad_().backward()"),
    "a new network at each update": ("        returns = []\n", "        returns = []\n        self.__init__()\n"),
    "one weight for all": ("torch.cat(returns) * log_prob", "torch.cat(returns).mean() * log_prob"),
    "rewards summed forwards": ("reversed(range(len(rewards)))", "range(len(rewards))"),
    "the next state": ("episode[i] for", "episode[i].roll(-i, 0) for"),
    "probability instead of its logarithm": (".log_prob(actions)", ".log_prob(actions).exp()"),
}


def main(seeds: int, names: Sequence[str]) -> None:
    """Print, for each agent, on how many seeds each check and all of them were passed, and what was said how often."""
    exercise = EXERCISES["03.agent"]
    torch.set_num_threads(1)
    for name in names:
        answer = mutant(exercise, {**RIGHT, **WRONG}[name])
        passed, whole, said = np.zeros(len(exercise.checks), int), 0, Counter[str]()
        for seed in range(1000, 1000 + seeds):
            torch.manual_seed(seed)
            result = Examination(exercise, seed, {}).judge(InProcess(answer))
            passed += [one.passed for one in result.checks]
            whole += result.state == "solved"
            said[" | ".join(sorted({one.diagnosis[:12] for one in result.checks if one.diagnosis}))] += 1
        kind = "right" if name in RIGHT else "wrong"
        print(f"{kind}: {name}: solved on {whole} of {seeds} seeds, checks {passed.tolist()}; {dict(said)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30, sys.argv[2:] or [*RIGHT, *WRONG])
