"""Tensors: distributions, networks over a flat θ, random streams. Knows no reinforcement learning."""

from pgcourse.core.distributions import Categorical, Distribution, Gaussian
from pgcourse.core.networks import MLP, Network, Table
from pgcourse.core.policies import Critic, GaussianPolicy, Policy, SoftmaxPolicy
from pgcourse.core.streams import Streams

__all__ = [
    "MLP",
    "Categorical",
    "Critic",
    "Distribution",
    "Gaussian",
    "GaussianPolicy",
    "Network",
    "Policy",
    "SoftmaxPolicy",
    "Streams",
    "Table",
]
