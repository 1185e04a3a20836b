"""More answers to 03.agent: `python -m pgcourse.exercises.ch03._agents [SEEDS [NAME ...]]` says how often each passes.

Right agents that differ in taste, and wrong ones that raise no error.
"""

import sys

from pgcourse.grading.calibration import calibrate
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Change

NETWORK = "nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)"
RIGHT: dict[str, Change] = {
    "the solution": [],
    "step size 0.002": ("0.005", "0.002"),
    "step size 0.001": ("0.005", "0.001"),
    "step size 0.01": ("0.005", "0.01"),
    "step size 0.02": ("0.005", "0.02"),
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

if __name__ == "__main__":
    for some in (RIGHT, WRONG):
        chosen = {name: change for name, change in some.items() if name in sys.argv[2:] or not sys.argv[2:]}
        calibrate("03.agent", chosen, int(sys.argv[1]) if len(sys.argv) > 1 else 30, wrong=some is WRONG)
