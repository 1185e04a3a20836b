"""One algorithm, one file: a frozen dataclass of hyper-parameters and its update."""

from pgcourse.algorithms.actor_critic import A2C
from pgcourse.algorithms.evaluate import evaluate
from pgcourse.algorithms.learner import Learner, default_critic, default_policy
from pgcourse.algorithms.reinforce import REINFORCE
from pgcourse.algorithms.rollout import episodes, rollout
from pgcourse.algorithms.train import Algorithm, Checkpoint, Curves, Iteration, Run, TrainedPolicy, train, training

ALGORITHMS: dict[str, type] = {"reinforce": REINFORCE, "a2c": A2C}

__all__ = [
    "A2C",
    "ALGORITHMS",
    "REINFORCE",
    "Algorithm",
    "Checkpoint",
    "Curves",
    "Iteration",
    "Learner",
    "Run",
    "TrainedPolicy",
    "default_critic",
    "default_policy",
    "episodes",
    "evaluate",
    "rollout",
    "train",
    "training",
]
