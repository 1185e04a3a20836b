"""A policy is an architecture and a distribution family; it holds no weights.

`policy.init(streams) -> theta` and `policy(theta, obs) -> Distribution`, for all seeds at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pgcourse.core.distributions import Categorical, Distribution, Gaussian
from pgcourse.core.networks import Network
from pgcourse.core.streams import Streams


class Policy(Protocol):
    """π_θ(a|s): θ of shape [seed, size], observations [seed, ..., *observation] to a distribution over [seed, ...]."""

    @property
    def size(self) -> int: ...

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor: ...

    def __call__(self, theta: Tensor, obs: Tensor) -> Distribution: ...

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        """The noise that sampling an action at each of [seed, *shape] observations takes."""


@dataclass(frozen=True)
class SoftmaxPolicy:
    """π_θ(a|s) = softmax(network(θ, s))_a over discrete actions."""

    network: Network

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.network.init(streams, dtype)

    def __call__(self, theta: Tensor, obs: Tensor) -> Categorical:
        return Categorical(self.network(theta, obs))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape)


@dataclass(frozen=True)
class GaussianPolicy:
    """π_θ(a|s) = N(network(θ, s), diag σ²): the mean depends on the state, σ does not, both are learned.

    θ is the network's parameters followed by log σ, one per action; log σ starts at `log_std`.
    """

    network: Network
    log_std: float = 0.0

    @property
    def size(self) -> int:
        return self.network.size + self.network.outputs

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor:
        log_std = torch.full((len(streams), self.network.outputs), self.log_std, dtype=dtype)
        return torch.cat([self.network.init(streams, dtype), log_std], 1)

    def __call__(self, theta: Tensor, obs: Tensor) -> Gaussian:
        weights, log_std = theta.split([self.network.size, self.network.outputs], 1)
        mean = self.network(weights, obs)
        between = (1,) * (mean.ndim - 2)
        return Gaussian(mean, log_std.view(len(log_std), *between, -1).expand_as(mean))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.normal(*shape, self.network.outputs)


@dataclass(frozen=True)
class Critic:
    """A state-value function v_φ(s): observations [seed, ...] to values [seed, ...]."""

    network: Network

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.network.init(streams, dtype)

    def __call__(self, phi: Tensor, obs: Tensor) -> Tensor:
        return self.network(phi, obs).squeeze(-1)
