"""A policy is an architecture and a distribution family; it holds no weights.

`policy.init(streams) -> theta` and `policy(theta, obs) -> Distribution`, for all seeds at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from pgcourse.core.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gaussian,
    MultiDiscrete,
    SquashedGaussian,
)
from pgcourse.core.networks import MLP, Network, Normalized
from pgcourse.core.streams import Streams


class Policy(Protocol):
    """π_θ(a|s): θ of shape [seed, size], observations [seed, ..., *observation] to a distribution over [seed, ...]."""

    @property
    def size(self) -> int: ...

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor: ...

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

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        return self.network.init(streams, dtype)

    def __call__(self, theta: Tensor, obs: Tensor) -> Categorical:
        return Categorical(self.network(theta, obs))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape)


@dataclass(frozen=True)
class MultiDiscretePolicy:
    """Independent choices, the i-th among `sizes[i]` actions: softmax of its own part of the network's outputs.

    Raises:
        ValueError: a network whose outputs are not as many as the sizes together.
    """

    network: Network
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if not self.sizes or min(self.sizes) < 1 or self.network.outputs != sum(self.sizes):
            raise ValueError(
                f"sizes must be 1 or more and sum to the network's {self.network.outputs} outputs, got {self.sizes}"
            )

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        return self.network.init(streams, dtype)

    def __call__(self, theta: Tensor, obs: Tensor) -> MultiDiscrete:
        return MultiDiscrete(self.network(theta, obs), self.sizes)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape, len(self.sizes))


@dataclass(frozen=True)
class BernoulliPolicy:
    """Independent switches, P(a_i = 1|s) = σ(network(θ, s)_i)."""

    network: Network

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        return self.network.init(streams, dtype)

    def __call__(self, theta: Tensor, obs: Tensor) -> Bernoulli:
        return Bernoulli(self.network(theta, obs))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape, self.network.outputs)


@dataclass(frozen=True)
class GaussianPolicy:
    """π_θ(a|s) = N(μ, diag σ²): the mean depends on the state, and both are learned.

    By default σ does not depend on the state: θ is the network's parameters followed by log σ, one per action; log σ
    starts at `log_std`.

    With `state_dependent_std` the network has twice as many outputs as there are actions, and

        μ = first half,    log σ = clip(log_std + second half, lowest, highest)

    with `log_std_range` = (lowest, highest). It keeps one bad update from leaving a σ of 0 or ∞. Where it holds, the
    gradient of log σ is 0, so it should be wider than what is wanted.

    Raises:
        ValueError: an odd number of outputs where σ depends on the state; a range that does not contain `log_std`.
    """

    network: Network
    log_std: float = 0.0
    state_dependent_std: bool = False
    log_std_range: tuple[float, float] = (-5.0, 2.0)

    def __post_init__(self) -> None:
        if not self.state_dependent_std:
            return
        if self.network.outputs % 2:
            raise ValueError(
                f"state_dependent_std takes two outputs of the network for each action, got {self.network.outputs}"
            )
        lowest, highest = self.log_std_range
        if not lowest < self.log_std < highest:
            raise ValueError(f"log_std = {self.log_std} must lie inside log_std_range = {self.log_std_range}")

    @property
    def actions(self) -> int:
        """Numbers that make one action."""
        return self.network.outputs // 2 if self.state_dependent_std else self.network.outputs

    @property
    def size(self) -> int:
        return self.network.size + (0 if self.state_dependent_std else self.actions)

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        weights = self.network.init(streams, dtype)
        if self.state_dependent_std:
            return weights
        log_std = torch.full(
            (len(streams), self.actions), self.log_std, dtype=dtype or streams.dtype, device=streams.device
        )
        return torch.cat([weights, log_std], 1)

    def __call__(self, theta: Tensor, obs: Tensor) -> Gaussian:
        if self.state_dependent_std:
            mean, change = self.network(theta, obs).chunk(2, -1)
            return Gaussian(mean, (self.log_std + change).clamp(*self.log_std_range))
        weights, log_std = theta.split([self.network.size, self.actions], 1)
        mean = self.network(weights, obs)
        between = (1,) * (mean.ndim - 2)
        return Gaussian(mean, log_std.view(len(log_std), *between, -1).expand_as(mean))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.normal(*shape, self.actions)


@dataclass(frozen=True)
class SquashedGaussianPolicy:
    """A Gaussian policy whose actions are squashed by tanh into `low` ... `high`, the bounds of the action space.

        SquashedGaussianPolicy(GaussianPolicy(network), low=(-2.0,), high=(2.0,))

    Raises:
        ValueError: bounds that are not finite, in the wrong order, or not one for each action.
    """

    gaussian: GaussianPolicy
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(map(float, self.low)))
        object.__setattr__(self, "high", tuple(map(float, self.high)))
        if not len(self.low) == len(self.high) == self.gaussian.actions:
            raise ValueError(f"{self.gaussian.actions} actions need as many bounds, got {self.low} and {self.high}")
        if not all(-math.inf < low < high < math.inf for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"bounds must be finite and low below high, got {self.low} and {self.high}")

    @property
    def network(self) -> Network:
        return self.gaussian.network

    @property
    def size(self) -> int:
        return self.gaussian.size

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        return self.gaussian.init(streams, dtype)

    def __call__(self, theta: Tensor, obs: Tensor) -> SquashedGaussian:
        return SquashedGaussian(self.gaussian(theta, obs), theta.new_tensor(self.low), theta.new_tensor(self.high))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return self.gaussian.noise(streams, *shape)


@dataclass(frozen=True)
class Critic:
    """A state-value function v_φ(s): observations [seed, ...] to values [seed, ...]."""

    network: Network

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        return self.network.init(streams, dtype)

    def __call__(self, phi: Tensor, obs: Tensor) -> Tensor:
        return self.network(phi, obs).squeeze(-1)


PolicyOrCritic = TypeVar("PolicyOrCritic")


def normalized(part: PolicyOrCritic) -> PolicyOrCritic:
    """The same policy or critic with its network seeing standardised observations: see `Normalized`.

    Raises:
        ValueError: its network is no MLP: images and tables need no scale; put another one into `Normalized` yourself.
    """
    if isinstance(part, SquashedGaussianPolicy):
        return replace(part, gaussian=normalized(part.gaussian))
    network = getattr(part, "network", None)
    if isinstance(network, Normalized):
        return part
    if not isinstance(network, MLP):
        raise ValueError(
            f"observations are normalised for an MLP, not for {network!r}: put the network into "
            "pgcourse.core.Normalized, or do without"
        )
    return replace(part, network=Normalized(network, network.sizes[0]))  # type: ignore[type-var]
