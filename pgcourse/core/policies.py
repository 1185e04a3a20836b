"""A policy is an architecture and a distribution family; it holds no weights.

`policy.init(streams) -> theta` and `policy(theta, obs) -> Distribution`, for all seeds at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from pgcourse.core.distributions import (
    Bernoulli,
    Bins,
    Categorical,
    Distribution,
    Gaussian,
    MultiDiscrete,
    SquashedGaussian,
)
from pgcourse.core.networks import GRU, MLP, Linearized, Network, Normalized, Outputs, Replayed, linearized
from pgcourse.core.streams import Streams


class Policy(Protocol):
    """π_θ(a|s): θ of shape [seed, size], observations [seed, ..., *observation] to a distribution over [seed, ...].

    One of your own inherits from it, and has `size`, `init`, `__call__` and `noise`.
    """

    @property
    def size(self) -> int: ...

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size], drawn in the streams' dtype."""

    def __call__(self, theta: Tensor, obs: Tensor) -> Distribution: ...

    def at(self, theta: Tensor) -> Callable[[Tensor], Distribution]:
        """s ↦ π_θ(·|s), for many observations and one θ: for acting."""
        return lambda obs: self(theta, obs)

    def observe(self, theta: Tensor, obs: Tensor, mask: Tensor) -> Tensor:
        """θ with its running moments of observations, where it has some, brought up to date with `obs` where `mask`."""
        return theta

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        """The noise that sampling an action at each of [seed, *shape] observations takes."""


class OneNetwork:
    """The common base of policies and critics with one network: a row of θ begins with the row of their one network."""

    network: Network

    @property
    def size(self) -> int:
        return self.network.size

    def init(self, streams: Streams) -> Tensor:
        return self.network.init(streams)

    def observe(self, theta: Tensor, obs: Tensor, mask: Tensor) -> Tensor:
        if not isinstance(self.network, Normalized):
            return theta
        weights, own = theta.tensor_split([self.network.size], 1)
        return torch.cat([self.network.observe(weights, obs, mask), own], 1)


class Logits(OneNetwork):
    """A policy whose distribution's only parameters are the network's outputs."""

    def distribution(self, logits: Tensor) -> Any:
        raise NotImplementedError

    def __call__(self, theta: Tensor, obs: Tensor) -> Any:
        return self.distribution(self.network(theta, obs))

    def at(self, theta: Tensor) -> Callable[[Tensor], Any]:
        network = self.network.at(theta)
        return lambda obs: self.distribution(network(obs))

    def linearized(self, theta: Tensor, obs: Tensor) -> Linearized:
        """The distribution, and the Jacobian of its parameters: see `pgcourse.core.trust_region.fisher_product`."""
        logits, push, pull = linearized(self.network, theta, obs)
        return Linearized(self.distribution(logits), lambda v: (push(v),), lambda changes: pull(*changes))


@dataclass(frozen=True)
class SoftmaxPolicy(Logits):
    """π_θ(a|s) = softmax(network(θ, s))_a over discrete actions."""

    network: Network

    def distribution(self, logits: Tensor) -> Categorical:
        return Categorical(logits)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape)


@dataclass(frozen=True)
class MaskedSoftmaxPolicy(SoftmaxPolicy):
    """A softmax over the valid actions alone. An observation's last numbers, one for each action, say which ones are:

        π_θ(a|s) = softmax(network(θ, s) + log mask(s))_a    with mask(s) in {0, 1}.

    Invalid actions have the logit -∞: probability 0, and no gradient flows into their outputs. Huang & Ontañón (2022).
    At least one action has to be valid in every state.
    """

    def __call__(self, theta: Tensor, obs: Tensor) -> Categorical:
        return self.masked(self.network(theta, obs), obs)

    def at(self, theta: Tensor) -> Callable[[Tensor], Categorical]:
        network = self.network.at(theta)
        return lambda obs: self.masked(network(obs), obs)

    def linearized(self, theta: Tensor, obs: Tensor) -> Linearized:
        """As that of `SoftmaxPolicy`; what the Jacobian says of invalid actions meets probabilities of 0."""
        logits, push, pull = linearized(self.network, theta, obs)
        return Linearized(self.masked(logits, obs), lambda v: (push(v),), lambda changes: pull(*changes))

    def masked(self, logits: Tensor, obs: Tensor) -> Categorical:
        """The distribution over the actions that an observation calls valid."""
        return Categorical(logits.masked_fill(obs[..., -logits.shape[-1] :] == 0, -math.inf))


@dataclass(frozen=True)
class MultiDiscretePolicy(Logits):
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

    def distribution(self, logits: Tensor) -> MultiDiscrete:
        return MultiDiscrete(logits, self.sizes)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape, len(self.sizes))


@dataclass(frozen=True)
class BinsPolicy(Logits):
    """Each number of an action is one of `bins` evenly spaced values from `low` to `high`, chosen independently.

    The network has `bins` outputs for each number, not one for each combination of them (Tang & Agrawal, 2020).

    Raises:
        ValueError: fewer than two bins; bounds that are not finite, in the wrong order, or not `bins` outputs for each.
    """

    network: Network
    bins: int
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(map(float, self.low)))
        object.__setattr__(self, "high", tuple(map(float, self.high)))
        if self.bins < 2:
            raise ValueError(f"bins must be 2 or more, got {self.bins}")
        if not self.bins * len(self.low) == self.bins * len(self.high) == self.network.outputs:
            raise ValueError(
                f"{self.bins} bins take as many of the network's {self.network.outputs} outputs for each number, got "
                f"bounds {self.low} and {self.high}"
            )
        if not all(-math.inf < low < high < math.inf for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"bounds must be finite and low below high, got {self.low} and {self.high}")

    def distribution(self, logits: Tensor) -> Bins:
        bins = MultiDiscrete(logits, (self.bins,) * len(self.low))
        return Bins(bins, logits.new_tensor(self.low), logits.new_tensor(self.high))

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape, len(self.low))


@dataclass(frozen=True)
class BernoulliPolicy(Logits):
    """Independent switches, P(a_i = 1|s) = σ(network(θ, s)_i)."""

    network: Network

    def distribution(self, logits: Tensor) -> Bernoulli:
        return Bernoulli(logits)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape, self.network.outputs)


@dataclass(frozen=True)
class GaussianPolicy(OneNetwork):
    """π_θ(a|s) = N(μ, diag σ²): the mean depends on the state, and both are learned.

    By default σ does not depend on the state: θ is the network's parameters followed by log σ, one per action; log σ
    starts at `log_std`.

    With `state_dependent_std` the network has twice as many outputs as there are actions, and

        μ = first half,    log σ = clip(log_std + second half, lowest, highest)

    with `log_std_range` = (lowest, highest). It keeps one bad update from leaving a σ of 0 or ∞. Where it holds, the
    gradient of log σ is 0, so it should be wider than what is wanted.

    With `center` c and `scale` h, a number for each action, an action is c + h (μ + σ · noise): μ and log σ are then
    measured in units of h, such as half the width of the actions' bounds, and the distribution is that of the action.

    Raises:
        ValueError: a `log_std` beyond ±20; an odd number of outputs where σ depends on the state; a range that does not
            contain `log_std`; center and scale that are not finite, not one for each action, or a scale that is not
            positive.
    """

    network: Network
    log_std: float = 0.0
    state_dependent_std: bool = False
    log_std_range: tuple[float, float] = (-5.0, 2.0)
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", tuple(map(float, self.center)))
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))
        if not abs(self.log_std) <= 20:  # σ² is then far from the ends of float32
            raise ValueError(f"log_std must lie between -20 and 20, got {self.log_std}")
        if self.state_dependent_std:
            if self.network.outputs % 2:
                raise ValueError(
                    f"state_dependent_std takes two outputs of the network for each action, got {self.network.outputs}"
                )
            lowest, highest = self.log_std_range
            if not lowest < self.log_std < highest:
                raise ValueError(f"log_std = {self.log_std} must lie inside log_std_range = {self.log_std_range}")
        if (self.center or self.scale) and not len(self.center) == len(self.scale) == self.actions:
            raise ValueError(
                f"{self.actions} actions need as many numbers in center and scale, got {self.center} and {self.scale}"
            )
        if not all(map(math.isfinite, self.center + self.scale)) or not all(scale > 0 for scale in self.scale):
            raise ValueError(f"center must be finite and scale positive, got {self.center} and {self.scale}")

    @property
    def actions(self) -> int:
        """Numbers that make one action."""
        return self.network.outputs // 2 if self.state_dependent_std else self.network.outputs

    @property
    def size(self) -> int:
        return self.network.size + (0 if self.state_dependent_std else self.actions)

    def init(self, streams: Streams) -> Tensor:
        weights = self.network.init(streams)
        own = self.size - self.network.size
        return torch.cat([weights, weights.new_full((len(weights), own), self.log_std)], 1)

    def __call__(self, theta: Tensor, obs: Tensor) -> Gaussian:
        weights, log_std = theta.tensor_split([self.network.size], 1)
        return self.distribution(self.network(weights, obs), log_std)

    def at(self, theta: Tensor) -> Callable[[Tensor], Gaussian]:
        weights, log_std = theta.tensor_split([self.network.size], 1)
        network = self.network.at(weights)
        return lambda obs: self.distribution(network(obs), log_std)

    def distribution(self, outputs: Tensor, log_std: Tensor) -> Gaussian:
        """That of the network's outputs [seed, ..., output] and θ's own log σ [seed, action], if it has one."""
        if self.state_dependent_std:
            mean, change = outputs.chunk(2, -1)
            log_std = (self.log_std + change).clamp(*self.log_std_range)
        else:
            mean, between = outputs, (1,) * (outputs.ndim - 2)
            log_std = log_std.view(len(log_std), *between, -1).expand_as(mean)
        if self.scale:
            center, scale = mean.new_tensor(self.center), mean.new_tensor(self.scale)
            mean, log_std = center + scale * mean, log_std + scale.log()
        return Gaussian(mean, log_std)

    def linearized(self, theta: Tensor, obs: Tensor) -> Linearized:
        """The distribution, and the Jacobian of μ and log σ: see `pgcourse.core.trust_region.fisher_product`."""
        weights, log_std = theta.detach().tensor_split([self.network.size], 1)
        outputs, push, pull = linearized(self.network, weights, obs)
        dist = self.distribution(outputs, log_std)
        scale = outputs.new_tensor(self.scale or 1.0)
        if self.state_dependent_std:
            lowest, highest = self.log_std_range
            raw = self.log_std + outputs[..., self.actions :]
            inside = (raw >= lowest) & (raw <= highest)

            def push_both(v: Tensor) -> tuple[Tensor, Tensor]:
                mean, change = push(v).chunk(2, -1)
                return scale * mean, inside * change

            def pull_both(changes: tuple[Tensor, Tensor]) -> Tensor:
                mean, change = changes
                return pull(torch.cat([scale * mean, inside * change], -1))

        else:

            def push_both(v: Tensor) -> tuple[Tensor, Tensor]:
                weights, own = v.tensor_split([self.network.size], 1)
                return scale * push(weights), own.view(len(v), *(1,) * (outputs.ndim - 2), -1).expand_as(outputs)

            def pull_both(changes: tuple[Tensor, Tensor]) -> Tensor:
                mean, own = changes
                return torch.cat([pull(scale * mean), own.flatten(1, -2).sum(1)], 1)

        return Linearized(dist, push_both, pull_both)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.normal(*shape, self.actions)

    def narrowed(self, theta: Tensor, log_std: float) -> Tensor:
        """θ with no log σ above `log_std`. Raises `ValueError` where σ depends on the state."""
        if self.state_dependent_std:
            raise ValueError("σ depends on the state here: θ holds none that could be bounded")
        weights, own = theta.tensor_split([self.network.size], 1)
        return torch.cat([weights, own.clamp_max(log_std)], 1)


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

    def init(self, streams: Streams) -> Tensor:
        return self.gaussian.init(streams)

    def observe(self, theta: Tensor, obs: Tensor, mask: Tensor) -> Tensor:
        return self.gaussian.observe(theta, obs, mask)

    def __call__(self, theta: Tensor, obs: Tensor) -> SquashedGaussian:
        return self.at(theta)(obs)

    def at(self, theta: Tensor) -> Callable[[Tensor], SquashedGaussian]:
        gaussian, low, high = self.gaussian.at(theta), theta.new_tensor(self.low), theta.new_tensor(self.high)
        return lambda obs: SquashedGaussian(gaussian(obs), low, high)

    def linearized(self, theta: Tensor, obs: Tensor) -> Linearized:
        """The distribution, and the Jacobian of the Gaussian's parameters."""
        gaussian, push, pull = self.gaussian.linearized(theta, obs)
        return Linearized(
            SquashedGaussian(gaussian, theta.new_tensor(self.low), theta.new_tensor(self.high)), push, pull
        )

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return self.gaussian.noise(streams, *shape)


@dataclass(frozen=True)
class Critic(OneNetwork):
    """A state-value function v_φ(s): observations [seed, ...] to values [seed, ...]."""

    network: Network

    def __call__(self, phi: Tensor, obs: Tensor) -> Tensor:
        return self.network(phi, obs).squeeze(-1)

    def at(self, phi: Tensor) -> Callable[[Tensor], Tensor]:
        """s ↦ v_φ(s), for many observations and one φ."""
        network = self.network.at(phi)
        return lambda obs: network(obs).squeeze(-1)


def shared(policy: Any, critic: Any) -> bool:
    """Whether policy and critic are outputs of one network: φ is then the beginning of θ."""
    one, other = getattr(policy, "network", None), getattr(critic, "network", None)
    return isinstance(one, Outputs) and isinstance(other, Outputs) and one.network == other.network


PolicyOrCritic = TypeVar("PolicyOrCritic")


def normalized(part: PolicyOrCritic) -> PolicyOrCritic:
    """The same policy or critic with its network seeing standardised observations: see `Normalized`.

    Raises:
        ValueError: its network is no MLP: images and tables need no scale; put another one into `Normalized` yourself.
    """
    network = getattr(part, "network", None)
    if isinstance(network, Normalized):
        return part
    if not isinstance(network, MLP):
        raise ValueError(
            f"observations are normalised for an MLP, not for {network!r}: put the network into "
            "pgcourse.core.Normalized, or do without"
        )
    return _with(part, Normalized(network, network.sizes[0]))


def recurrent(policy: Policy, critic: Critic, units: int) -> tuple[Policy, Critic]:
    """The same policy with a `GRU` in place of its MLP, and a critic that sees what the policy remembers.

    For both an observation is then [o, h], the world's and the policy's memory, which the acting loop carries on.

    Raises:
        ValueError: their networks are no MLPs.
    """
    of_policy, of_critic = getattr(policy, "network", None), critic.network
    if isinstance(of_policy, GRU):
        return policy, critic
    no_mask = not isinstance(policy, MaskedSoftmaxPolicy)
    if not (no_mask and isinstance(of_policy, MLP) and isinstance(of_critic, MLP)):
        raise ValueError(
            f"a GRU takes the place of an MLP, beside an MLP as critic, and knows no mask; got {policy!r}: take PPO, "
            "which trains any"
        )
    inputs, *hidden = of_critic.sizes
    gru = GRU(of_policy.sizes[0], units, of_policy.outputs, of_policy.last_gain)
    return _with(policy, gru), _with(critic, replace(of_critic, sizes=(inputs + units, *hidden)))


def replayed(policy: Policy, steps: int) -> Policy:
    """The same recurrent policy for rollouts of so many steps as a whole: see `Replayed`."""
    return _with(policy, Replayed(policy.network, steps))  # type: ignore[attr-defined]


def memory(policy: Any) -> GRU | None:
    """The network of a policy that has a memory; None for others."""
    network = getattr(policy, "network", None)
    return network if isinstance(network, GRU) else None


def _with(part: Any, network: Network) -> Any:
    """A policy or critic with another network."""
    if isinstance(part, SquashedGaussianPolicy):
        return replace(part, gaussian=replace(part.gaussian, network=network))
    return replace(part, network=network)
