"""One algorithm, one file: a frozen dataclass of options and its update."""

from pgcourse.algorithms.a2c import A2C
from pgcourse.algorithms.acting import Transition, act, episodes, rollout
from pgcourse.algorithms.architecture import Architecture, default_critic, default_policy
from pgcourse.algorithms.curves import Curves, LatestReturn
from pgcourse.algorithms.dqn import DQN
from pgcourse.algorithms.evaluate import evaluate, play
from pgcourse.algorithms.files import load
from pgcourse.algorithms.iterate import Algorithm, Iteration, iterate
from pgcourse.algorithms.options import check, option
from pgcourse.algorithms.ppo import PPO
from pgcourse.algorithms.recurrent_ppo import RecurrentPPO
from pgcourse.algorithms.registry import ALGORITHMS, find
from pgcourse.algorithms.reinforce import REINFORCE
from pgcourse.algorithms.train import Checkpoint, Progress, Run, train, training
from pgcourse.algorithms.trained import Agent, TrainedPolicy
from pgcourse.algorithms.trial import FarBounds, NotRepeatable, require_fit, trial
from pgcourse.algorithms.trpo import TRPO, NaturalGradient

__all__ = [
    "A2C",
    "ALGORITHMS",
    "DQN",
    "PPO",
    "REINFORCE",
    "TRPO",
    "Agent",
    "Algorithm",
    "Architecture",
    "Checkpoint",
    "Curves",
    "FarBounds",
    "Iteration",
    "LatestReturn",
    "NaturalGradient",
    "NotRepeatable",
    "Progress",
    "RecurrentPPO",
    "Run",
    "TrainedPolicy",
    "Transition",
    "act",
    "check",
    "default_critic",
    "default_policy",
    "episodes",
    "evaluate",
    "find",
    "iterate",
    "load",
    "option",
    "play",
    "require_fit",
    "rollout",
    "train",
    "training",
    "trial",
]
