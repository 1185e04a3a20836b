"""EnvPool's simulators, written in C++, behind the interface of `pgcourse.envs.base`."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping
from os import environ
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from torch import Tensor

from pgcourse.envs.adapters.gymnasium import GymnasiumEnv, _actions, _observations

FOREVER = 2**31 - 1  # what EnvPool calls no time limit
LARGE = {"envpool.mujoco.playground_envpool": 20}  # copies that an evaluation runs at a time: each takes about 80 MB


class EnvPoolEnv(GymnasiumEnv):
    """`envpool.make(id, **options)`, seed × `envs` copies of it, stepped by `threads` threads. Weng et al. (2022).

        with pg.make("envpool:BipedalWalker-v3", envs=8) as env:
            obs = env.reset(streams)

    Spaces, clipping of actions and errors are those of `GymnasiumEnv`, and so is every `Step`: EnvPool begins an
    episode one step late, in a step that ignores its action; here the copies whose episode has ended are reset, and
    only they, within the step that ended it.

    Observations in a Dict of numbers are flattened, its parts in the order of their names, unless `observe` names the
    one part that is seen. Machines such as that of Go1JoystickFlatTerrain-v1 have a `state`, which their sensors give,
    and a `privileged_state`, which only a simulator knows: what is trained with `observe="state"` could act in the
    machine. `unseen` has the other parts.

    EnvPool calls an episode that ends by itself in the very step in which the time limit is reached truncated. Here it
    is both, as with Gymnasium: the time limit (`max_episode_steps`; by default the environment's own) is counted here.

    EnvPool takes seeds only when a pool is built. So every `reset` builds one, each copy with a number from its seed's
    stream; results do not depend on which other seeds run beside it, nor on `threads`.

    Raises:
        gymnasium.error.DependencyNotInstalled: EnvPool is not installed.
        ValueError: EnvPool does not have `id`; several players; unsupported spaces; no such part to `observe`;
            `threads` or `envs` below 1.
    """

    restorable = False

    def __init__(
        self,
        id: str,
        envs: int = 1,
        threads: int = 1,
        max_episode_steps: int | None = None,
        dtype: torch.dtype = torch.float32,
        observe: str | None = None,
        **options: Any,
    ) -> None:
        for option, value in (("envs", envs), ("threads", threads), ("max_episode_steps", max_episode_steps)):
            if value is not None and value < 1:
                raise ValueError(f"{option} must be 1 or more, got {value}")
        envpool = _library()
        if id not in envpool.list_all_envs():
            near = difflib.get_close_matches(id, envpool.list_all_envs(), n=3)
            raise ValueError(
                f"EnvPool has no environment {id!r}"
                + (f"; did you mean {' or '.join(near)}?" if near else "; envpool.list_all_envs() lists what it has")
            )
        self.name = f"envpool:{id}"
        self.envs = envs
        self.dtype = dtype
        self._copies = None
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of bounds cast to float32
            spec = envpool.make_spec(id, num_envs=1, **options)
            observation_space, action_space = spec.gymnasium_observation_space, spec.gymnasium_action_space
        self.source = type(spec).__mro__[1]  # the one below is made when it is asked for
        if self.source.__module__ in LARGE:
            self.most_copies = LARGE[self.source.__module__]
        if spec.config.max_num_players != 1:
            raise ValueError(f"{self.name} has {spec.config.max_num_players} players; only one is supported")
        self.settings: Mapping[str, Any] = spec.config._asdict()
        seen, self._array = _seen(self.name, observation_space, observe)
        self._left_out = tuple(part for part in observation_space if part != observe) if observe else ()
        flat = spaces.flatten_space(seen) if isinstance(seen, spaces.Dict) else seen
        self.observation_space, self._to_obs = _observations(self.name, flat, dtype)
        self.action_space, self._to_action = _actions(self.name, _unbounded(action_space))
        self.spaces = (self.observation_space if flat is seen else seen, self.action_space)
        self._action_shape = action_space.shape or ()
        limit = max_episode_steps or spec.config.max_episode_steps
        self.time_limit = None if limit == FOREVER else limit

        def build(seeds: list[int]) -> Any:
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                pool = envpool.make_gymnasium(
                    id, num_envs=len(seeds), seed=seeds, num_threads=threads, max_episode_steps=FOREVER, **options
                )
                _ = pool.observation_space  # computed, with the same warnings, when it is first asked for
            return pool

        self._build = build

    @property
    def told(self) -> dict[str, Tensor]:
        """What EnvPool tells of the last step beside observations, [seed, env, ...] each: parts of the reward, say."""
        info = self._running("told").info
        return {name: self._by_seed(told) for name, told in info.items() if isinstance(told, np.ndarray)}

    @property
    def unseen(self) -> dict[str, Tensor]:
        """The parts of the present observation that `observe` leaves out, [seed, env, ...] each; none without it."""
        return {name: self._by_seed(part) for name, part in self._running("unseen").unseen.items()}

    @property
    def elapsed(self) -> Tensor:
        """[seed, env], how many steps the present episodes have had."""
        return self._by_seed(self._running("elapsed").elapsed)

    def _running(self, asked: str) -> _Pool:
        if self._copies is None:
            raise RuntimeError(f"{self.name} has no running copies: call reset(streams) before {asked}")
        copies: _Pool = self._copies
        return copies

    def _by_seed(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).view(-1, self.envs, *values.shape[1:])

    def _start(self, copies: int) -> Any:
        return _Pool(self._build, copies, self.time_limit or FOREVER, self._array, self._left_out)


class _Pool:
    """What `GymnasiumEnv` needs of Gymnasium's `SyncVectorEnv`, autoreset mode SAME_STEP, made of pools."""

    def __init__(
        self,
        build: Callable[[list[int]], Any],
        copies: int,
        limit: int,
        array: Callable[[Any], np.ndarray],
        left_out: tuple[str, ...],
    ) -> None:
        self.num_envs = copies
        self.info: dict[str, Any] = {}
        self.unseen: dict[str, np.ndarray] = {}
        self._build = build
        self._limit = limit
        self._array = array
        self._left_out = left_out
        self._pool: Any = None

    def reset(self, seed: list[int] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self.close()
            # Seeds are C++ ints, and 2**31 - 1 is not one of them.
            self._pool = self._build([min(one, FOREVER - 1) for one in seed])
        self.elapsed = np.zeros(self.num_envs, np.int64)
        obs, self.info = self._pool.reset()
        self.unseen = {part: obs[part] for part in self._left_out}
        return self._array(obs), self.info

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        parts, reward, terminated, truncated, self.info = self._pool.step(actions)
        self.unseen = {part: parts[part] for part in self._left_out}
        obs = self._array(parts)
        self.elapsed += 1
        truncated = truncated | (self.elapsed >= self._limit)
        done = terminated | truncated
        info = {}
        if done.any():
            info["final_obs"] = obs
            obs = obs.copy()
            begun = self._pool.reset(np.flatnonzero(done))[0]
            obs[done] = self._array(begun)
            for part in self._left_out:
                self.unseen[part] = self.unseen[part].copy()
                self.unseen[part][done] = begun[part]
            self.elapsed[done] = 0
        return obs, reward, terminated, truncated, info

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _library() -> Any:
    before = dict(environ)
    try:
        import envpool
    except ImportError as error:
        raise DependencyNotInstalled('EnvPool is not installed: pip install "pgcourse[fast]", on Linux') from error
    finally:  # the import sets MPLBACKEND: figures of this process, and of all that it starts, would not be shown
        for name in environ.keys() - before.keys():
            del environ[name]
    return envpool


def _seen(name: str, space: spaces.Space, part: str | None) -> tuple[spaces.Space, Callable[[Any], np.ndarray]]:
    """The space of what is seen, and how a batch of observations becomes one array of it."""
    if not isinstance(space, spaces.Dict):
        if part is not None:
            raise ValueError(f"{name}: observations in {space} have no parts, of which observe={part!r} could be one")
        return _unbounded(space), lambda obs: obs
    if part is not None:
        if part not in space.spaces:
            raise ValueError(f"{name}: observe must be one of {', '.join(space)}, got {part!r}")
        return _unbounded(space[part]), lambda obs: obs[part]
    if not all(
        isinstance(each, spaces.Box) and each.dtype.kind == "f" and len(each.shape) < 3 for each in space.values()
    ):
        raise ValueError(
            f"{name}: observations in {space} are not supported; choose one part of them: observe={' or '.join(space)}"
        )
    parts = spaces.Dict({key: _unbounded(each) for key, each in space.items()})
    return parts, lambda obs: np.concatenate([obs[key].reshape(len(obs[key]), -1) for key in parts], 1)


def _unbounded(space: spaces.Space) -> spaces.Space:
    """Where EnvPool knows no bounds it gives the smallest *positive* number and the largest; here, -∞ and ∞."""
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        return space
    tiny, huge = (np.finfo(np.float32).tiny, np.finfo(np.float64).tiny), np.finfo(np.float32).max
    low = np.where(np.isin(space.low, tiny), -np.inf, space.low)
    return spaces.Box(
        low.astype(space.dtype), np.where(space.high >= huge, np.inf, space.high).astype(space.dtype), dtype=space.dtype
    )
