"""Tensors: distributions, networks over a flat θ, random streams; no reinforcement learning."""

from pgcourse.core.distributions import (
    Bernoulli,
    Bins,
    Categorical,
    Distribution,
    Gaussian,
    MultiDiscrete,
    SquashedGaussian,
)
from pgcourse.core.export import to_module
from pgcourse.core.modules import Module
from pgcourse.core.moments import RunningMoments
from pgcourse.core.networks import GRU, MLP, Conv, Network, Normalized, Outputs, Table
from pgcourse.core.policies import (
    BernoulliPolicy,
    BinsPolicy,
    Critic,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    MultiDiscretePolicy,
    Policy,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    memory,
    normalized,
    recurrent,
    replayed,
    shared,
)
from pgcourse.core.streams import Streams

__all__ = [
    "GRU",
    "MLP",
    "Bernoulli",
    "BernoulliPolicy",
    "Bins",
    "BinsPolicy",
    "Categorical",
    "Conv",
    "Critic",
    "Distribution",
    "Gaussian",
    "GaussianPolicy",
    "MaskedSoftmaxPolicy",
    "Module",
    "MultiDiscrete",
    "MultiDiscretePolicy",
    "Network",
    "Normalized",
    "Outputs",
    "Policy",
    "RunningMoments",
    "SoftmaxPolicy",
    "SquashedGaussian",
    "SquashedGaussianPolicy",
    "Streams",
    "Table",
    "memory",
    "normalized",
    "recurrent",
    "replayed",
    "shared",
    "to_module",
]
