"""Which networks a world gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

from pgcourse.algorithms.options import one_of
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
    SquashedGaussianPolicy,
    Table,
)
from pgcourse.envs import Env

# (channels, kernel size, stride) of each layer.
MINATAR = ((16, 3, 1),)
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


@dataclass(frozen=True)
class Architecture:
    """The usual policy and critic for a world's spaces.

    Actions: softmax for `Discrete` and `MultiDiscrete`, Bernoulli for `MultiBinary`, a Gaussian for a one-dimensional
    `Box`. Observations: a table for `Discrete`, an MLP for a one-dimensional `Box`, a convolutional network for images
    [channel, height, width]: one layer of 16 filters of 3 × 3 pixels on small ones (Young & Tian 2019), the three
    layers of Mnih et al. (2015) from 36 × 36 pixels on. Policy and critic share nothing.

    Options:
        hidden: units of each hidden layer.
        activation: of the MLP, `tanh` or `relu`. Convolutional networks have ReLU.
        start: weights of the MLP start `orthogonal`, those of the policy's last layer with gain 0.01, or `uniform`, as
            `torch.nn.Linear` does.
        std: a Gaussian's σ is the same in all states (`global`), or the network's (`state`), or the same in all states
            while actions are squashed by tanh into the bounds (`squashed`).
        log_std: where log σ starts.

    Raises:
        ValueError: an option that is not among these; another observation or action space.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    start: str = "orthogonal"
    std: str = "global"
    log_std: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if not all(type(units) is int and units >= 1 for units in self.hidden):
            raise ValueError(f"Architecture: hidden must list sizes of 1 or more, got {list(self.hidden)}")
        one_of(self, "activation", ("tanh", "relu"))
        one_of(self, "start", ("orthogonal", "uniform"))
        one_of(self, "std", ("global", "state", "squashed"))

    def policy(self, env: Env) -> Policy:
        space: Any = env.action_space
        if isinstance(space, spaces.Discrete):
            return SoftmaxPolicy(self._network(env, int(space.n), 0.01))
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return self._gaussian(env, space)
        if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
            sizes = tuple(space.nvec.tolist())
            return MultiDiscretePolicy(self._network(env, sum(sizes), 0.01), sizes)
        if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
            return BernoulliPolicy(self._network(env, space.shape[0], 0.01))
        raise ValueError(f"{env.name}: no default policy for actions in {space}; pass `policy=`")

    def critic(self, env: Env) -> Critic:
        """One value per observation, by the same kind of network."""
        return Critic(self._network(env, 1, 1.0))

    def _gaussian(self, env: Env, space: spaces.Box) -> Policy:
        (actions,) = space.shape
        if self.std == "state":
            return GaussianPolicy(self._network(env, 2 * actions, 0.01), self.log_std, state_dependent_std=True)
        gaussian = GaussianPolicy(self._network(env, actions, 0.01), self.log_std)
        if self.std == "squashed":
            return SquashedGaussianPolicy(gaussian, tuple(space.low.tolist()), tuple(space.high.tolist()))
        return gaussian

    def _network(self, env: Env, outputs: int, last_gain: float) -> Network:
        space: Any = env.observation_space
        if isinstance(space, spaces.Discrete):
            return Table(int(space.n), outputs)
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return MLP((space.shape[0], *self.hidden, outputs), self.activation, last_gain, self.start)
        if isinstance(space, spaces.Box) and len(space.shape) == 3 and space.shape[0] <= min(space.shape[1:]) >= 3:
            filters = NATURE if min(space.shape[1:]) >= 36 else MINATAR
            return Conv(space.shape, outputs, filters, self.hidden, last_gain=last_gain)
        raise ValueError(f"{env.name}: no default network for observations in {space}; pass `policy=` and `critic=`")


def default_policy(env: Env, hidden: tuple[int, ...] = (64, 64)) -> Policy:
    """`Architecture(hidden).policy(env)`."""
    return Architecture(hidden).policy(env)


def default_critic(env: Env, hidden: tuple[int, ...] = (64, 64)) -> Critic:
    """`Architecture(hidden).critic(env)`."""
    return Architecture(hidden).critic(env)
