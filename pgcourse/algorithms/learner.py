"""What learns: a policy and a critic with their parameters, for every seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gymnasium import spaces
from torch import Tensor

from pgcourse.core import (
    MLP,
    BernoulliPolicy,
    Conv,
    Critic,
    GaussianPolicy,
    MultiDiscretePolicy,
    Network,
    Policy,
    SoftmaxPolicy,
    Streams,
    Table,
)
from pgcourse.core.optimizer import Adam
from pgcourse.envs import Env


class Optimizer(Protocol):
    """Holds rows of parameters and whatever it takes to go on moving them."""

    parameters: Tensor

    def state(self) -> dict[str, Tensor]: ...

    def load(self, state: dict[str, Tensor]) -> None: ...


OptimizerT = TypeVar("OptimizerT", bound=Optimizer)


@dataclass(frozen=True)
class Learner(Generic[OptimizerT]):
    """A policy π_θ, a critic v_φ, and the optimisers that hold θ and φ."""

    policy: Policy
    critic: Critic
    policy_optimizer: OptimizerT
    critic_optimizer: Adam

    @classmethod
    def start(
        cls,
        policy: Policy,
        critic: Critic,
        streams: Streams,
        lr: float,
        critic_lr: float,
        max_grad_norm: float = math.inf,
    ) -> Learner[Adam]:
        """A learner with freshly drawn θ and φ, both moved by Adam."""
        return Learner(
            policy,
            critic,
            Adam(policy.init(streams.child("theta")), lr, max_grad_norm),
            Adam(critic.init(streams.child("phi")), critic_lr, max_grad_norm),
        )

    def state(self) -> dict[str, Tensor]:
        """A copy of all that has been learnt, step sizes' statistics included: see `load`."""
        return {
            f"{name}.{key}": tensor
            for name, optimizer in self._optimizers.items()
            for key, tensor in optimizer.state().items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned for a learner of the same kind."""
        for name, optimizer in self._optimizers.items():
            prefix = f"{name}."
            optimizer.load({key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)})

    @property
    def _optimizers(self) -> dict[str, Optimizer]:
        return {"policy": self.policy_optimizer, "critic": self.critic_optimizer}

    @property
    def theta(self) -> Tensor:
        return self.policy_optimizer.parameters

    @property
    def phi(self) -> Tensor:
        return self.critic_optimizer.parameters


# (channels, kernel size, stride) of each layer.
MINATAR = ((16, 3, 1),)
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


def default_policy(env: Env, hidden: tuple[int, ...] = (64, 64)) -> Policy:
    """The usual policy for the environment's spaces.

    Actions: softmax for `Discrete` and `MultiDiscrete`, Bernoulli for `MultiBinary`, a Gaussian with one σ for all
    states for a one-dimensional `Box`. Observations: a table for `Discrete`, an MLP for a one-dimensional `Box`, a
    convolutional network for images [channel, height, width]: one layer of 16 filters of 3 × 3 pixels on small ones
    (Young & Tian 2019), the three layers of Mnih et al. (2015) from 36 × 36 pixels on. Hidden layers are `hidden`.

    Raises:
        ValueError: another observation or action space.
    """
    space: Any = env.action_space
    if isinstance(space, spaces.Discrete):
        return SoftmaxPolicy(_network(env, hidden, int(space.n), last_gain=0.01))
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return GaussianPolicy(_network(env, hidden, space.shape[0], last_gain=0.01))
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        sizes = tuple(space.nvec.tolist())
        return MultiDiscretePolicy(_network(env, hidden, sum(sizes), last_gain=0.01), sizes)
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        return BernoulliPolicy(_network(env, hidden, space.shape[0], last_gain=0.01))
    raise ValueError(f"{env.name}: no default policy for actions in {space}; pass `policy=`")


def default_critic(env: Env, hidden: tuple[int, ...] = (64, 64)) -> Critic:
    """One value per observation, by the kind of network that `default_policy` has. Raises as `default_policy`."""
    return Critic(_network(env, hidden, 1, last_gain=1.0))


def _network(env: Env, hidden: tuple[int, ...], outputs: int, last_gain: float) -> Network:
    space: Any = env.observation_space
    if isinstance(space, spaces.Discrete):
        return Table(int(space.n), outputs)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return MLP((space.shape[0], *hidden, outputs), last_gain=last_gain)
    if isinstance(space, spaces.Box) and len(space.shape) == 3 and space.shape[0] <= min(space.shape[1:]) >= 3:
        filters = NATURE if min(space.shape[1:]) >= 36 else MINATAR
        return Conv(space.shape, outputs, filters, hidden, last_gain=last_gain)
    raise ValueError(f"{env.name}: no default network for observations in {space}; pass `policy=` and `critic=`")
