"""Robots that are pushed, weigh more, slip or sense badly: what is left of a return in worlds never trained in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pgcourse.algorithms import TrainedPolicy, evaluate
from pgcourse.envs import GymnasiumEnv
from pgcourse.gait.robots import BIPEDAL_WALKER, robot

PERIOD = 2.0  # s between pushes
CONTACTS = (8, 13)  # of BipedalWalker's observation: whether a foot is down, which stays true or false


@dataclass(frozen=True)
class Disturbance:
    """How a world differs from the one in which a policy was trained; by default it does not.

    Every `PERIOD` the trunk is pushed: `push` (m/s) is by how much its speed changes at once, forward or back with
    equal probability. `gravity` and `friction` (of the feet on the ground) are multiples of the world's own. `noise` is
    the standard deviation of what is added to each sensed number, contacts apart, in the units in which it is observed.

    Raises:
        ValueError: a negative value.
    """

    push: float = 0.0
    gravity: float = 1.0
    friction: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"Disturbance: {name} must be 0 or more, got {value}")


def disturbed(trained: TrainedPolicy, disturbance: Disturbance) -> TrainedPolicy:
    """The same policies in another world, for `pgcourse.evaluate`. Their robot is BipedalWalker, or its hardcore kind.

    It is simulated by Gymnasium, also where they were trained in EnvPool's. Terrain and start of an episode are as in
    the world undisturbed.

    Raises:
        ValueError: another robot.
    """
    id, kind = robot(trained.env)
    if kind is not BIPEDAL_WALKER:
        raise ValueError(f"{id} cannot be disturbed, only BipedalWalker-v3 and BipedalWalkerHardcore-v3")
    return replace(trained, env=partial(GymnasiumEnv, partial(_made, id, disturbance)))


def robustness(
    trained: TrainedPolicy,
    disturbances: Mapping[str, Disturbance],
    episodes: int = 10,
    deterministic: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Episodes under each disturbance, a row each: disturbance (its name), seed, episode, return, length.

    Episode k of a seed has the same terrain under all of them. Arguments as `pgcourse.evaluate`; raises as `disturbed`.
    """
    tables = [
        evaluate(disturbed(trained, each), episodes, deterministic, seed).assign(disturbance=name)
        for name, each in disturbances.items()
    ]
    columns = ["disturbance", "seed", "episode", "return", "length"]
    return pd.concat(tables, ignore_index=True)[columns]


def _made(id: str, disturbance: Disturbance) -> gymnasium.Env[Any, Any]:
    return _Disturbed(gymnasium.make(id), disturbance)


class _Disturbed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Around a BipedalWalker. Its randomness is apart from the simulator's, which draws the terrain."""

    def __init__(self, env: gymnasium.Env[Any, Any], disturbance: Disturbance) -> None:
        super().__init__(env)
        self._is = disturbance
        self._rng = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self._rng = np.random.default_rng([seed, 1])
        obs, info = self.env.reset(seed=seed, options=options)
        walker: Any = self.env.unwrapped
        walker.world.gravity = (0.0, -BIPEDAL_WALKER.gravity * self._is.gravity)
        for piece in walker.terrain:
            for fixture in piece.fixtures:
                fixture.friction *= self._is.friction**2  # Box2D takes the root of foot's times ground's
        for contact in walker.world.contacts:  # that have begun already
            contact.ResetFriction()
        self._walker, self._steps = walker, 0
        return self._sensed(obs), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._steps += 1
        if self._is.push and self._steps % round(PERIOD / BIPEDAL_WALKER.dt(self._walker)) == 0:
            hull = self._walker.hull
            impulse = self._rng.choice([-1.0, 1.0]) * self._is.push * hull.mass
            hull.ApplyLinearImpulse((impulse, 0.0), hull.worldCenter, True)
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._sensed(obs), reward, terminated, truncated, info

    def _sensed(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._is.noise:
            return obs
        added = self._is.noise * self._rng.standard_normal(obs.shape)
        added[list(CONTACTS)] = 0.0
        return (obs + added).astype(obs.dtype)
