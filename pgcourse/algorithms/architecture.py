"""Default policy and critic networks for a world's observations and actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from pgcourse.algorithms.options import check, option
from pgcourse.algorithms.wrapping import as_critic, as_policy
from pgcourse.core import (
    MLP,
    BernoulliPolicy,
    BinsPolicy,
    Conv,
    Critic,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    MultiDiscretePolicy,
    Network,
    Outputs,
    Policy,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Table,
)
from pgcourse.envs import Env

# (channels, kernel size, stride) of each layer.
MINATAR = ((16, 3, 1),)
LARGEST = 100_000_000  # parameters of a network that is made without being asked for
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


@dataclass(frozen=True)
class Architecture:
    """The usual policy and critic for a world's spaces.

    Actions: softmax for `Discrete` and `MultiDiscrete`, Bernoulli for `MultiBinary`, a Gaussian, or
    `action_bins`, for a one-dimensional `Box`. Observations: a table for `Discrete`, an MLP for a one-dimensional
    `Box`, a convolutional network for images [channel, height, width]: one layer of 16 filters of 3 × 3 pixels on small
    ones (Young & Tian 2019), the three layers of Mnih et al. (2015) from 36 × 36 pixels on. Policy and critic share
    nothing unless `shared` says so. A world that brings its own `policy` and `critic` gets them back: a language model
    comes pretrained.

    Raises:
        ValueError: an option that is not among these; another observation or action space.
    """

    hidden: tuple[int, ...] = option((64, 64), "units of each hidden layer")
    activation: str = option("tanh", "of the MLP; convolutional networks have ReLU", choices=("tanh", "relu"))
    start: str = option(
        "orthogonal",
        "weights of the MLP start `orthogonal`, those of the policy's last layer with gain 0.01, or `uniform`, as "
        "torch.nn.Linear does",
        choices=("orthogonal", "uniform"),
    )
    std: str = option(
        "global",
        "a Gaussian's σ is the same in all states (`global`), or the network's (`state`), or the same in all states "
        "while actions are squashed by tanh into the bounds (`squashed`)",
        choices=("global", "state", "squashed"),
    )
    log_std: float = option(0.0, "where log σ starts", low=-20, high=20)
    rescale_action: bool = option(
        False,
        "a Gaussian's mean and σ are in units of half the width of the action bounds, around their middle; without it "
        "in the units of the world, so that bounds far from ±1 are hardly ever reached",
        neutral=False,
    )
    action_bins: int = option(
        0,
        "from 2 on, a `Box`'s numbers are not a Gaussian's: each takes one of so many values, evenly spaced between "
        "the bounds, independently of the others",
        low=0,
        neutral=0,
    )
    mask_actions: bool = option(
        False,
        "the last numbers of an observation, one for each action, say which actions are valid (not 0): the others have "
        "probability 0",
        neutral=False,
    )
    shared: bool = option(
        False,
        "policy and critic are one network with one more output, v(s), and are trained by one step along both "
        "gradients: for PPO, see its `value_weight`",
        neutral=False,
    )

    def __post_init__(self) -> None:
        listed = isinstance(self.hidden, Iterable) and not isinstance(self.hidden, str)
        hidden = [size.item() if isinstance(size, np.generic) else size for size in (self.hidden if listed else ())]
        if not listed or not all(type(units) is int and units >= 1 for units in hidden):
            raise ValueError(f"Architecture: hidden must list sizes of 1 or more, got {self.hidden!r}")
        object.__setattr__(self, "hidden", tuple(hidden))
        check(self)
        if self.rescale_action and self.std == "squashed":
            raise ValueError(
                "Architecture: rescale_action is for Gaussians; std='squashed' keeps to the bounds already"
            )
        if self.action_bins == 1:
            raise ValueError("Architecture: action_bins must be 0, for none, or 2 or more; got 1")
        if self.action_bins and (self.std != "global" or self.rescale_action):
            raise ValueError(
                "Architecture: action_bins are no Gaussian; leave std and rescale_action at their defaults"
            )

    def policy(self, env: Env) -> Policy:
        if (given := getattr(env, "policy", None)) is not None:
            return given
        space: Any = env.action_space
        if self.mask_actions:
            self._require_mask(env)
        if isinstance(space, spaces.Discrete):
            softmax = MaskedSoftmaxPolicy if self.mask_actions else SoftmaxPolicy
            return softmax(self._of_policy(env, int(space.n)))
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return self._in_bins(env, space) if self.action_bins else self._gaussian(env, space)
        if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
            sizes = tuple(space.nvec.tolist())
            return MultiDiscretePolicy(self._of_policy(env, sum(sizes)), sizes)
        if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
            return BernoulliPolicy(self._of_policy(env, space.shape[0]))
        raise ValueError(f"{env.name}: no default policy for actions in {space}; pass `policy=`")

    def critic(self, env: Env) -> Critic:
        """One value per observation, by the same kind of network, or by the last output of the policy's own."""
        if (given := getattr(env, "critic", None)) is not None:
            return given
        if not self.shared:
            return Critic(self._network(env, 1, 1.0))
        policy: Any = self.policy(env)
        whole = policy.network.network
        return Critic(Outputs(whole, whole.outputs - 1, whole.outputs))

    def _gaussian(self, env: Env, space: spaces.Box) -> Policy:
        (actions,) = space.shape
        of_state = self.std == "state"
        network = self._of_policy(env, 2 * actions if of_state else actions)
        gaussian = GaussianPolicy(network, self.log_std, of_state, **self._bounds(env, space))
        if self.std == "squashed":
            return SquashedGaussianPolicy(gaussian, tuple(space.low.tolist()), tuple(space.high.tolist()))
        return gaussian

    def _in_bins(self, env: Env, space: spaces.Box) -> Policy:
        low, high = space.low.tolist(), space.high.tolist()
        return BinsPolicy(self._of_policy(env, self.action_bins * len(low)), self.action_bins, tuple(low), tuple(high))

    def _bounds(self, env: Env, space: spaces.Box) -> dict[str, Any]:
        """The middle and half the width of the action bounds, where actions are rescaled."""
        if not self.rescale_action:
            return {}
        low, high = space.low.astype(float), space.high.astype(float)
        if not np.isfinite(high - low).all():
            raise ValueError(f"{env.name}: rescale_action takes finite bounds of actions, got {space}")
        return {"center": tuple(((high + low) / 2).tolist()), "scale": tuple(((high - low) / 2).tolist())}

    def _require_mask(self, env: Env) -> None:
        seen, actions = env.observation_space.shape or (), env.action_space
        if not (isinstance(actions, spaces.Discrete) and len(seen) == 1 and seen[0] > actions.n):
            raise ValueError(
                f"{env.name}: mask_actions takes discrete actions and an observation in which a number for each of "
                f"them stands last, got {actions} and {env.observation_space}"
            )

    def _of_policy(self, env: Env, outputs: int) -> Network:
        if not self.shared:
            return self._network(env, outputs, 0.01)
        return Outputs(self._network(env, outputs + 1, (*(0.01,) * outputs, 1.0)), 0, outputs)

    def _network(self, env: Env, outputs: int, last_gain: float | tuple[float, ...]) -> Network:
        network = self._fitting(env, outputs, last_gain)
        if network.size > LARGEST:
            raise ValueError(
                f"{env.name}: a network from observations in {env.observation_space} to actions in {env.action_space} "
                f"would have {network.size:,} parameters for each seed, and {LARGEST:,} are allowed: take a "
                "`policy=` and `critic=` of your own, or give a function that makes it with a wrapper around it which "
                "brings them down"
            )
        return network

    def _fitting(self, env: Env, outputs: int, last_gain: float | tuple[float, ...]) -> Network:
        space: Any = env.observation_space
        if isinstance(space, spaces.Discrete):
            return Table(int(space.n), outputs)
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return MLP((space.shape[0], *self.hidden, outputs), self.activation, last_gain, self.start)
        if isinstance(space, spaces.Box) and len(space.shape) == 3 and space.shape[0] <= min(space.shape[1:]) >= 3:
            filters = NATURE if min(space.shape[1:]) >= 36 else MINATAR
            return Conv(space.shape, outputs, filters, self.hidden, last_gain=last_gain)
        raise ValueError(f"{env.name}: no default network for observations in {space}; pass `policy=` and `critic=`")


def parts(env: Env, policy: Any, critic: Any) -> tuple[Policy, Critic]:
    """Policy and critic as they are given, made of what is a module of torch's (`as_policy`); else the usual ones."""
    usual = Architecture()
    policy = usual.policy(env) if policy is None else policy
    critic = usual.critic(env) if critic is None else critic
    return (
        policy if hasattr(policy, "init") else as_policy(policy, env),
        critic if hasattr(critic, "init") else as_critic(critic, env),
    )


def default_policy(env: Env, hidden: tuple[int, ...] = (64, 64)) -> Policy:
    """`Architecture(hidden).policy(env)`."""
    return Architecture(hidden).policy(env)


def default_critic(env: Env, hidden: tuple[int, ...] = (64, 64)) -> Critic:
    """`Architecture(hidden).critic(env)`."""
    return Architecture(hidden).critic(env)
