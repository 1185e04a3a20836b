"""CartPole without velocities: a world that shows only a part of its state."""

from __future__ import annotations

from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.worlds.cartpole import CartPole


class CartPolePositions(CartPole):
    """`CartPole-v1` of which the policy sees only the position x (m) and the angle θ (rad), not how fast they change.

    Whether a pole that stands at 3° is falling or rising cannot be seen from one observation, only from two: to do well
    a policy has to remember. Everything else is CartPole's.
    """

    name = "CartPolePositions-v0"
    observation_space = spaces.Box(-CartPole.high[::2], CartPole.high[::2])

    def observe(self, state: Tensor) -> Tensor:
        return state[..., ::2]
