"""Saves and restores the state of Gymnasium environments as bytes: numbers, lists, arrays and the random generator.

It is read off the attributes of the environment and of the wrappers around it, and so only where it is known that
nothing else matters: Gymnasium's classic control, toy text and MuJoCo environments, and MinAtar's games.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import wrappers
from torch import Tensor

from pgcourse.envs.adapters.declared import Declared

KNOWN = ("gymnasium.envs.classic_control.", "gymnasium.envs.toy_text.", "gymnasium.envs.mujoco.", "minatar.gym")
WRAPPERS = (Declared, wrappers.TimeLimit, wrappers.OrderEnforcing, wrappers.PassiveEnvChecker)
LAGGING = ("xpos", "xipos")  # positions in MuJoCo's data that are those of one substep before, and read as they are


def known(env: gymnasium.Env) -> bool:
    """Whether `recall` finds all that an environment remembers."""
    *around, inner = _wrapped(env)
    return type(inner).__module__.startswith(KNOWN) and all(type(wrapper) in WRAPPERS for wrapper in around)


def recall(env: gymnasium.Env) -> dict[str, Any]:
    """What `restore` needs to make another copy of `env` go on as this one does."""
    layers = [{name: value for name, value in vars(layer).items() if _plain(value)} for layer in _layers(env)]
    return {"layers": layers, "random": _generator(env).state, "physics": _physics(env)}


def restore(env: gymnasium.Env, remembered: dict[str, Any]) -> None:
    """Make a copy that has been reset go on from what `recall` found."""
    for layer, values in zip(_layers(env), remembered["layers"], strict=True):
        vars(layer).update(values)
    _generator(env).state = remembered["random"]
    if remembered["physics"]:
        import mujoco

        model, data = env.unwrapped.model, env.unwrapped.data  # type: ignore[attr-defined]
        mujoco.mj_setState(model, data, remembered["physics"]["state"], mujoco.mjtState.mjSTATE_INTEGRATION)
        for name in LAGGING:
            getattr(data, name)[:] = remembered["physics"][name]


def pack(memories: list[dict[str, Any]]) -> Tensor:
    """As JSON in UTF-8, [copy, byte], filled up with spaces."""
    texts = [json.dumps(memory, default=_encode).encode() for memory in memories]
    length = max(map(len, texts))
    return torch.from_numpy(np.stack([np.frombuffer(text.ljust(length), np.uint8) for text in texts]))


def unpack(packed: Tensor) -> list[dict[str, Any]]:
    return [json.loads(row.numpy().tobytes(), object_hook=_decode) for row in packed]


def _wrapped(env: gymnasium.Env) -> Iterator[gymnasium.Env]:
    """The outermost wrapper first, at last the environment itself."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def _layers(env: gymnasium.Env) -> Iterator[Any]:
    """All objects whose attributes are remembered. MinAtar's environment holds a game with sticky actions, which holds
    the game itself."""
    yield from _wrapped(env)
    if game := getattr(env.unwrapped, "game", None):
        yield from (game, game.env)


def _generator(env: gymnasium.Env) -> Any:
    game = getattr(env.unwrapped, "game", None)
    return game.random._bit_generator if game else env.np_random.bit_generator


def _physics(env: gymnasium.Env) -> dict[str, np.ndarray]:
    """Positions, velocities, forces and the solver's warm start of a MuJoCo environment; empty for others."""
    data = getattr(env.unwrapped, "data", None)
    if data is None:
        return {}
    import mujoco

    model, what = env.unwrapped.model, mujoco.mjtState.mjSTATE_INTEGRATION  # type: ignore[attr-defined]
    state = np.empty(mujoco.mj_stateSize(model, what))
    mujoco.mj_getState(model, data, state, what)
    return {"state": state, **{name: getattr(data, name).copy() for name in LAGGING}}


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf"
    return value is None or isinstance(value, bool | int | float)


def _encode(value: Any) -> dict[str, Any]:
    return {"dtype": str(value.dtype), "shape": value.shape, "values": value.tolist()}


def _decode(value: dict[str, Any]) -> Any:
    return np.array(value["values"], value["dtype"]).reshape(value["shape"])[()] if "dtype" in value else value
