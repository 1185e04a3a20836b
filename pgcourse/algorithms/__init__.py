"""One algorithm, one file: a frozen dataclass of hyper-parameters and its update."""

from pgcourse.algorithms.actor_critic import A2C
from pgcourse.algorithms.architecture import Architecture, default_critic, default_policy
from pgcourse.algorithms.dqn import DQN
from pgcourse.algorithms.evaluate import evaluate
from pgcourse.algorithms.learner import Learner
from pgcourse.algorithms.ppo import PPO
from pgcourse.algorithms.reinforce import REINFORCE
from pgcourse.algorithms.rollout import episodes, rollout
from pgcourse.algorithms.train import Algorithm, Checkpoint, Curves, Iteration, Run, TrainedPolicy, train, training
from pgcourse.algorithms.trpo import TRPO, NaturalGradient

ALGORITHMS: dict[str, type] = {
    "reinforce": REINFORCE,
    "a2c": A2C,
    "natural": NaturalGradient,
    "trpo": TRPO,
    "ppo": PPO,
    "dqn": DQN,
}

__all__ = [
    "A2C",
    "ALGORITHMS",
    "DQN",
    "PPO",
    "REINFORCE",
    "TRPO",
    "Algorithm",
    "Architecture",
    "Checkpoint",
    "Curves",
    "Iteration",
    "Learner",
    "NaturalGradient",
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
