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
from gymnasium.wrappers import TimeLimit
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.envs.adapters import memory
from pgcourse.envs.adapters.declared import Declared
from pgcourse.envs.base import Step

FLATTENED = spaces.Dict | spaces.Tuple | spaces.MultiDiscrete
MOST_FLATTENED = 1_000_000  # numbers of an observation in a Dict or Tuple


class GymnasiumEnv:
    """`gymnasium.make(id, **kwargs)`, seed × `envs` copies of it, stepped one after the other in this process.

        with GymnasiumEnv("MountainCarContinuous-v0", envs=8) as env:
            obs = env.reset(streams)

    Instead of an id, a class or function that makes one environment from `kwargs`; its time limit is
    `max_episode_steps`, and without that there is none.

    Observations: Discrete (int64, from 0), MultiBinary, or a Box of floats, integers or truth values (given in `dtype`,
    shape kept). A Box of three axes that holds integers, or floats from 0 to 255, is an image, and given as
    [channel, height, width]: the shorter one of the first and the last axis is the channels', and 0 ... 255 is scaled
    to 0 ... 1. Dict, Tuple and MultiDiscrete are flattened by `gymnasium.spaces.flatten`, unless there are images among
    their parts.

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
        id: str | Callable[..., gymnasium.Env],
        envs: int = 1,
        dtype: torch.dtype = torch.float32,
        **kwargs: Any,
    ) -> None:
        if envs < 1:
            raise ValueError(f"envs must be 1 or more, got {envs}")
        self.name = name = _name(id)
        self.envs = envs
        self.dtype = dtype
        self._make = partial(_make, id, kwargs)
        self._copies: Any = None  # a vector environment, as `_start` makes them
        with self._make() as sample:
            inner = sample.env if isinstance(sample, _Flattened) else sample
            self.spaces = (inner.observation_space, sample.action_space)
            self.observation_space, self._to_obs = _observations(name, sample.observation_space, dtype)
            self.action_space, self._to_action = _actions(name, sample.action_space)
            self._action_shape = sample.action_space.shape or ()
            self.time_limit = _time_limit(sample)
            self.metadata: dict[str, Any] = dict(sample.metadata or {})
            self.restorable = memory.known(sample)
            self.source: type = type(sample.unwrapped)

    def reset(self, streams: Streams) -> Tensor:
        return self._seen(self._begin(streams.integers(2**31, self.envs).flatten().tolist()))

    def renewed(self) -> Tensor:
        """A new episode in every copy, with no seed, as where an episode has ended by itself."""
        return self._seen(self._copies.reset()[0])

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
        with np.errstate(over="ignore"):  # it is said in our words
            rewards = reward.astype(_numpy(self.dtype))
        return Step(
            self._seen(obs),
            self._tensor(rewards, "reward", reward),
            self._seen(next_obs),
            self._tensor(terminated, "terminated", terminated),
            self._tensor(truncated, "truncated", truncated),
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
        vector = SyncVectorEnv([self._make] * copies, autoreset_mode=AutoresetMode.SAME_STEP)
        if len({id(copy.unwrapped) for copy in vector.envs}) < copies:
            raise ValueError(
                f"{self.name} makes the same environment each time, and every copy must be one of its own: give a "
                f"function that makes a new one, such as `lambda: {type(vector.envs[0].unwrapped).__name__}(...)`"
            )
        return vector

    def _seen(self, obs: np.ndarray) -> Tensor:
        """Observations of all copies, as a policy sees them."""
        with np.errstate(over="ignore"):  # it is said in our words
            return self._tensor(self._to_obs(obs), "observation", obs)

    def _tensor(self, array: np.ndarray, what: str, given: np.ndarray) -> Tensor:
        if not np.isfinite(array).all():
            if np.isfinite(given).all():
                raise ValueError(
                    f"{self.name} returned the {what} {given.flat[np.abs(given).argmax()]:g}, which is too large for "
                    f"{self.dtype}: scale it to about 1, as gymnasium.wrappers.Transform{what.capitalize()} does"
                )
            raise ValueError(
                f"{self.name} returned {'an' if what == 'observation' else 'a'} {what} that is NaN or infinite: "
                f"{array[~np.isfinite(array)][0]}; it must be a finite number"
            )
        return torch.from_numpy(array).view(-1, self.envs, *array.shape[1:])


class _Flattened(gymnasium.ObservationWrapper):
    """Observations in a Dict or Tuple as one array, as Gymnasium flattens them."""

    def __init__(self, env: gymnasium.Env, name: str) -> None:
        super().__init__(env)
        self._name = name
        self.observation_space: Any = spaces.flatten_space(env.observation_space)

    def observation(self, observation: Any) -> np.ndarray:
        declared = self.env.observation_space
        try:
            flat = np.asarray(spaces.flatten(declared, observation))
        except Exception as error:  # what is not in the space fails in as many ways as there are
            raise ValueError(
                f"{self._name}: returned the observation {observation!r}, which is not as declared, observation_space "
                f"= {declared} ({type(error).__name__}: {error}): return one of these, or declare what it is"
            ) from error
        if flat.shape != self.observation_space.shape:
            raise ValueError(
                f"{self._name}: returned the observation {observation!r}, whose parts have other shapes than declared, "
                f"observation_space = {declared}: return one of these, or declare what it is"
            )
        return flat


def _make(id: str | Callable[..., gymnasium.Env], kwargs: dict[str, Any]) -> gymnasium.Env:
    name = _name(id)
    try:
        env = gymnasium.make(id, **kwargs) if isinstance(id, str) else _called(id, **kwargs)
    except Exception as error:
        error.add_note(f"(raised where {name} is made)")
        raise
    env = Declared(env, name)
    if isinstance(env.observation_space, FLATTENED) and not _unflattened(env.observation_space):
        return _Flattened(env, name)
    return env


def _name(id: str | Callable[..., Any]) -> str:
    return id if isinstance(id, str) else str(getattr(id, "__name__", type(id).__name__))


def _called(make: Callable[..., gymnasium.Env], max_episode_steps: int | None = None, **kwargs: Any) -> gymnasium.Env:
    env = make(**kwargs)
    if not isinstance(env, gymnasium.Env):
        raise ValueError(f"{_name(make)} makes {env!r}, which is no environment of Gymnasium's")
    return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)


def _time_limit(env: gymnasium.Env) -> int | None:
    limits = [env.spec.max_episode_steps] if env.spec else []
    while isinstance(env, gymnasium.Wrapper):
        limits += [env._max_episode_steps] if isinstance(env, TimeLimit) else []
        env = env.env
    return min((limit for limit in limits if limit is not None), default=None)


def _unflattened(space: spaces.Space, name: str = "") -> str:
    """Why observations in this space are not flattened; "" where they are."""
    if not name and space.is_np_flattenable and (numbers := spaces.flatdim(space)) > MOST_FLATTENED:
        return f"they would be {numbers:,} numbers"
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.items() if isinstance(space, spaces.Dict) else enumerate(space)
        within = f"{name}." if name else ""
        return next(filter(None, (_unflattened(part, f"{within}{key}") for key, part in parts)), "")
    if isinstance(space, spaces.Box) and (len(space.shape) == 3 or (len(space.shape) == 2 and space.dtype == np.uint8)):
        return f"{name} = {space} is an image, which a network must see as one"
    if not space.is_np_flattenable:
        return f"{name} = {space} has no fixed number of entries"
    return ""


Convert = Callable[[np.ndarray], np.ndarray]


def converters(
    name: str, observations: spaces.Space, actions: spaces.Space, dtype: torch.dtype
) -> tuple[Convert, Convert]:
    """How a batch of an environment's observations becomes what a policy sees, and its actions the environment's.

    Raises:
        ValueError: spaces that are not supported.
    """
    return _observations(name, observations, dtype)[1], _actions(name, actions)[1]


def _observations(id: str, space: spaces.Space, dtype: torch.dtype) -> tuple[spaces.Space, Convert]:
    """The space that a policy sees, and how the environment's observations come to lie in it."""
    kind = _numpy(dtype)
    if isinstance(space, spaces.Discrete):
        return spaces.Discrete(int(space.n)), lambda obs: obs - space.start
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        if _is_picture(space):
            return _numbers(space, kind)
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        return spaces.Box(low, high), lambda obs: obs.astype(kind)
    if isinstance(space, spaces.MultiBinary):
        return spaces.Box(0, 1, space.shape), lambda obs: obs.astype(kind)
    if isinstance(space, spaces.Box) and _exact_in_float32(space):
        return _numbers(space, kind)
    if isinstance(space, FLATTENED) and (reason := _unflattened(space)):
        wrappers = (
            "FilterObservation or TransformObservation" if isinstance(space, spaces.Dict) else "TransformObservation"
        )
        raise ValueError(
            f"{id}: observations in {space} cannot be flattened: {reason}. Give a function that makes it with fewer of "
            f"them, wrapped in gymnasium.wrappers.{wrappers}"
        )
    raise ValueError(
        f"{id}: observations in {space} are not supported; they must be Discrete, MultiBinary, a Box of floats or of "
        "integers up to 2**24, MultiDiscrete, or a Dict or Tuple of these. "
        "Give a function that makes it wrapped in gymnasium.wrappers.TransformObservation"
    )


def _numpy(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype


def _exact_in_float32(space: spaces.Box) -> bool:
    return max(abs(float(space.low.min())), abs(float(space.high.max()))) <= 2**24


def _is_picture(space: spaces.Box) -> bool:
    """Whether what is seen is [height, width, channel] or [channel, height, width] with values from 0 to 255."""
    return len(space.shape) == 3 and bool((space.low == 0).all() and (space.high == 255).all())


def _numbers(space: spaces.Box, kind: np.dtype) -> tuple[spaces.Space, Convert]:
    """Integers, and images of any type."""
    image = len(space.shape) == 3
    channels_last = image and space.shape[-1] < space.shape[0]
    scale = kind.type(255 if image and (space.dtype == np.uint8 or _is_picture(space)) else 1)

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
        "floats. Give a function that makes it wrapped in gymnasium.wrappers.TransformAction"
    )
