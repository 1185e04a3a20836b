"""Any Gymnasium environment behind the interface of `pgcourse.envs.base`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.envs.adapters import memory
from pgcourse.envs.adapters.declared import Declared
from pgcourse.envs.base import Step


class GymnasiumEnv:
    """`gymnasium.make(id, **kwargs)`, seed × `envs` copies of it, stepped one after the other in this process.

    `wrapper`, such as one of gymnasium.wrappers, is put around each copy; what it remembers cannot be restored.

        with GymnasiumEnv("MountainCarContinuous-v0", envs=8) as env:
            obs = env.reset(streams)

    Observations: Discrete (int64, from 0), MultiBinary, or a Box of floats, integers or truth values (given in `dtype`,
    shape kept). A Box of integers with three axes is an image, and given as [channel, height, width]: the shorter one
    of the first and the last axis is the channels', and bytes are scaled to 0 ... 1.

    Actions: Discrete (from 0), MultiDiscrete (each from 0) and MultiBinary, both as vectors, or a Box of floats,
    clipped to its bounds on the way to the environment: the log-probability of a policy remains that of the *unclipped*
    action. Rewards are given in `dtype`. What an environment computes in float64 (MuJoCo's do) arrives unrounded where
    `dtype` is float64; an action is rounded to the type of its space.

    The copies draw their own randomness. Each is seeded at `reset` with a number from its seed's stream and goes on
    from there at automatic resets, so that a seed's episodes do not depend on which other seeds run beside it.

    Raises:
        gymnasium.error.Error: `id` is unknown or something that it needs is not installed.
        ValueError: unsupported spaces; something else returned than declared (see `Declared`); NaN or infinity in an
            observation, a reward or an action.
    """

    def __init__(
        self,
        id: str,
        envs: int = 1,
        dtype: torch.dtype = torch.float32,
        wrapper: Callable[[gymnasium.Env], gymnasium.Env] | None = None,
        **kwargs: Any,
    ) -> None:
        if envs < 1:
            raise ValueError(f"envs must be 1 or more, got {envs}")
        self.name = id
        self.envs = envs
        self.dtype = dtype
        self._make = partial(_make, id, kwargs, wrapper)
        self._copies: Any = None  # a vector environment, as `_start` makes them
        with self._make() as sample:
            self.observation_space, self._to_obs = _observations(id, sample.observation_space, dtype)
            self.action_space, self._to_action = _actions(id, sample.action_space)
            self._action_shape = sample.action_space.shape or ()
            self.time_limit = sample.spec.max_episode_steps if sample.spec else None
            self.restorable = wrapper is None and memory.known(sample)
            self.source: type = type(sample.unwrapped)

    def reset(self, streams: Streams) -> Tensor:
        obs = self._begin(streams.integers(2**31, self.envs).flatten().tolist())
        return self._tensor(self._to_obs(obs), "observation")

    def noise(self, streams: Streams, steps: int) -> Tensor:
        return torch.empty(len(streams), steps, self.envs, 0, dtype=self.dtype)

    def step(self, action: Tensor, noise: Tensor) -> Step:
        if self._copies is None:
            raise RuntimeError(f"{self.name} has no running copies: call reset(streams) before step")
        if not action.isfinite().all():
            raise ValueError(f"{self.name} was given an action that is NaN or infinite: the policy has diverged")
        batch = self._to_action(action.cpu().numpy().reshape(-1, *self._action_shape))
        obs, reward, terminated, truncated, info = self._copies.step(batch)
        next_obs = obs
        done = terminated | truncated
        if done.any():
            next_obs = obs.copy()
            next_obs[done] = np.stack(info["final_obs"][done])
        return Step(
            self._tensor(self._to_obs(obs), "observation"),
            self._tensor(reward.astype(_numpy(self.dtype)), "reward"),
            self._tensor(self._to_obs(next_obs), "observation"),
            self._tensor(terminated, "terminated"),
            self._tensor(truncated, "truncated"),
        )

    def state(self) -> dict[str, Tensor]:
        if not self.restorable or self._copies is None:
            raise RuntimeError(f"{self.name} {'is not running' if self.restorable else 'does not give its state back'}")
        return {
            "copies": memory.pack([memory.recall(copy) for copy in self._copies.envs]).unflatten(0, (-1, self.envs))
        }

    def load(self, state: dict[str, Tensor]) -> None:
        if not self.restorable:
            raise RuntimeError(f"{self.name} does not take a state back")
        if state["copies"].shape[1] != self.envs:
            raise ValueError(f"a state of {state['copies'].shape[1]} copies a seed does not fit a world of {self.envs}")
        memories = memory.unpack(state["copies"].flatten(0, 1))
        self._begin([0] * len(memories))
        for copy, remembered in zip(self._copies.envs, memories, strict=True):
            memory.restore(copy, remembered)

    def render(self) -> list[np.ndarray]:
        """A picture [height, width, 3] of every copy, seed by seed, where `render_mode="rgb_array"` was given."""
        if self._copies is None:
            raise RuntimeError(f"{self.name} has no running copies: call reset(streams) before render")
        return list(self._copies.render())

    @property
    def simulators(self) -> list[gymnasium.Env]:
        """The running environments themselves, seed by seed, for what observations leave out."""
        if self._copies is None:
            raise RuntimeError(f"{self.name} has no running copies: call reset(streams) before simulators")
        return [copy.unwrapped for copy in self._copies.envs]

    def close(self) -> None:
        """Close every copy; `reset` makes new ones."""
        if self._copies is not None:
            self._copies.close()
            self._copies = None

    def __enter__(self) -> GymnasiumEnv:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _begin(self, seeds: list[int]) -> np.ndarray:
        """A new episode in as many copies as there are seeds."""
        if self._copies is None or self._copies.num_envs != len(seeds):
            self.close()
            self._copies = self._start(len(seeds))
        obs, _ = self._copies.reset(seed=seeds)
        return obs

    def _start(self, copies: int) -> Any:
        """Copies that begin their next episode within the step that ended the last one."""
        return SyncVectorEnv([self._make] * copies, autoreset_mode=AutoresetMode.SAME_STEP)

    def _tensor(self, array: np.ndarray, what: str) -> Tensor:
        if not np.isfinite(array).all():
            raise ValueError(f"{self.name} returned a {what} that is NaN or infinite: {array[~np.isfinite(array)][0]}")
        return torch.from_numpy(array).view(-1, self.envs, *array.shape[1:])


def _make(
    id: str, kwargs: dict[str, Any], wrapper: Callable[[gymnasium.Env], gymnasium.Env] | None = None
) -> gymnasium.Env:
    env = gymnasium.make(id, **kwargs)
    return Declared(env if wrapper is None else wrapper(env), id)


Convert = Callable[[np.ndarray], np.ndarray]


def _observations(id: str, space: spaces.Space, dtype: torch.dtype) -> tuple[spaces.Space, Convert]:
    """The space that a policy sees, and how the environment's observations come to lie in it."""
    kind = _numpy(dtype)
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n)), lambda obs: obs - space.start
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        return spaces.Box(low, high), lambda obs: obs.astype(kind)
    if isinstance(space, spaces.MultiBinary):
        return spaces.Box(0, 1, space.shape), lambda obs: obs.astype(kind)
    if isinstance(space, spaces.Box) and _exact_in_float32(space):
        return _integers(space, kind)
    raise ValueError(
        f"{id}: observations in {space} are not supported; they must be Discrete, MultiBinary or a Box of floats or of "
        "integers up to 2**24. "
        "Register a version of it that is wrapped in gymnasium.wrappers.FlattenObservation or TransformObservation"
    )


def _numpy(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype


def _exact_in_float32(space: spaces.Box) -> bool:
    return max(abs(float(space.low.min())), abs(float(space.high.max()))) <= 2**24


def _integers(space: spaces.Box, kind: np.dtype) -> tuple[spaces.Space, Convert]:
    image = len(space.shape) == 3
    channels_last = image and space.shape[-1] < space.shape[0]
    scale = kind.type(255 if image and space.dtype == np.uint8 else 1)

    def convert(obs: np.ndarray) -> np.ndarray:
        return (np.moveaxis(obs, -1, -3) if channels_last else obs).astype(kind) / scale

    low, high = (convert(bound).astype(np.float32) for bound in (space.low, space.high))
    return spaces.Box(low, high), convert


def _actions(id: str, space: spaces.Space) -> tuple[spaces.Space, Convert]:
    """The space that a policy acts in, and how its actions become the environment's."""
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n)), lambda action: action + space.start
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return space, lambda action: action.clip(space.low, space.high).astype(space.dtype)
    if isinstance(space, spaces.MultiDiscrete):
        flat = spaces.MultiDiscrete(space.nvec.flatten())
        return flat, lambda action: (action + space.start).astype(space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return spaces.MultiBinary(math.prod(space.shape)), lambda action: action.astype(space.dtype)
    raise ValueError(
        f"{id}: actions in {space} are not supported; they must be Discrete, MultiDiscrete, MultiBinary or a Box of "
        "floats. "
        "Register a version of it that is wrapped in gymnasium.wrappers.TransformAction"
    )
