"""Trained policies as files that are safe to load: they hold tensors, numbers and words, and no code."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from io import BytesIO
from os import getpid, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from pgcourse.core import (
    GRU,
    MLP,
    BernoulliPolicy,
    BinsPolicy,
    Conv,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    Module,
    MultiDiscretePolicy,
    Normalized,
    Outputs,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Table,
)
from pgcourse.envs import name_of, spaces_of

if TYPE_CHECKING:
    from pgcourse.algorithms.trained import TrainedPolicy

FORMAT = "pgcourse policy 1"
KINDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        *(SoftmaxPolicy, MaskedSoftmaxPolicy, MultiDiscretePolicy, BinsPolicy, BernoulliPolicy),
        *(GaussianPolicy, SquashedGaussianPolicy),
        *(MLP, Conv, Table, Normalized, Outputs, GRU, Module),
    )
}


def save(trained: TrainedPolicy, path: Any) -> None:
    """Write a policy into a file. See `TrainedPolicy.save`."""
    env = _env(trained.env)
    content = {
        "format": FORMAT,
        "policy": _plain(trained.policy, "the policy"),
        "theta": trained.theta.detach().cpu().clone(),
        "seeds": list(trained.seeds),
        "env": env,
        "env_name": name_of(trained.env),
        "env_args": _plain(dict(trained.env_args), "env_args"),
        "spaces": [_packed(space) for space in trained.spaces or spaces_of(trained.world())],
    }
    buffer = BytesIO()
    torch.save(content, buffer)  # into a file it would raise RuntimeError where that cannot be written
    if hasattr(path, "write"):
        path.write(buffer.getvalue())
        return
    target = Path(path).resolve()
    beside = target.with_name(f".{target.name}.{getpid()}")
    try:
        beside.write_bytes(buffer.getvalue())
        replace(beside, target)  # what was there before stays until all of the new one is
    finally:
        beside.unlink(missing_ok=True)


def load(
    path: Any,
    env: str | Callable[..., Any] | None = None,
    module: Callable[[], nn.Module] | None = None,
) -> TrainedPolicy:
    """The policy that `run.policy.save(path)` has written; nothing in the file is executed.

    Args:
        env: its world, where the file cannot name it, as with one that is a function: `act` works without.
        module: what makes the network, where that is a module of your own, such as its class.

    Raises:
        ValueError: another kind of file, or a damaged one; a module that is needed, or one that does not fit.
        FileNotFoundError: there is none.
    """
    from pgcourse.algorithms.trained import TrainedPolicy

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive raises all sorts
        raise ValueError(f"{path} is no file that `run.policy.save` has written, or it is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} is no file of a policy, {FORMAT!r}: its format is {found!r}")
    policy = _rebuilt(content["policy"], module)
    theta = content["theta"]
    if theta.shape != (len(content["seeds"]), policy.size):
        raise ValueError(
            f"{path}: θ has the shape {list(theta.shape)}, the policy {policy.size} parameters for each of "
            f"{len(content['seeds'])} seeds"
        )
    return TrainedPolicy(
        policy,
        theta,
        tuple(content["seeds"]),
        env if env is not None else content["env"] or _Elsewhere(content["env_name"]),
        _rebuilt(content["env_args"]),
        tuple(map(_unpacked, content["spaces"])),  # type: ignore[arg-type]
    )


class _Elsewhere:
    """A world that a file cannot name."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, envs: int = 1, **options: Any) -> Any:
        raise ValueError(
            f"the file of this policy cannot hold its world, {self.__name__}, which was no name: "
            "pg.load(path, env=...) takes it"
        )


def _env(env: Any) -> str | None:
    """A world as a name that can be looked up elsewhere, if it has one."""
    if isinstance(env, str):
        return env
    module, name = getattr(env, "__module__", None), getattr(env, "__qualname__", "")
    found = isinstance(env, type) and name.isidentifier() and module != "__main__"
    return f"{module}:{name}" if found else None


def _plain(value: Any, where: str) -> Any:
    """Dataclasses of `KINDS` as dicts, tuples as lists."""
    if isinstance(value, Module):
        template = value.template
        layout = {name: list(shape) for name, shape in value.layout.items()}
        fields = {"inputs": list(value.inputs), "outputs": value.outputs, "layout": layout}
        buffers = {name: buffer.detach().clone() for name, buffer in template.named_buffers()}
        return {"type": "Module", **fields, "of": type(template).__name__, "buffers": buffers}
    if dataclasses.is_dataclass(value) and KINDS.get(type(value).__name__) is type(value):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {"type": type(value).__name__, **{name: _plain(each, where) for name, each in fields.items()}}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"type": "dict", "items": {key: _plain(each, f"{where}[{key!r}]") for key, each in value.items()}}
    if isinstance(value, list | tuple):
        return [_plain(each, where) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{where} holds {value!r}, and a file that is safe to load holds numbers, words and what pgcourse.core has; "
        "torch.save(run.policy.theta, path) keeps the parameters alone"
    )


def _rebuilt(value: Any, module: Callable[[], nn.Module] | None = None) -> Any:
    if isinstance(value, list):
        return tuple(_rebuilt(each, module) for each in value)
    if not isinstance(value, dict):
        return value
    if value["type"] == "dict":
        return {key: _rebuilt(each, module) for key, each in value["items"].items()}
    if value["type"] not in KINDS:
        raise ValueError(f"a policy of this version has no {value['type']}; it has {', '.join(KINDS)}")
    if value["type"] == "Module":
        return _module(value, module)
    fields = {name: _rebuilt(each, module) for name, each in value.items() if name != "type"}
    return KINDS[value["type"]](**fields)


def _module(value: dict[str, Any], make: Callable[[], nn.Module] | None) -> Module:
    if make is None:
        raise ValueError(
            f"this policy's network is a module of somebody's own, {value['of']}, and a file that is safe to load "
            f"holds no code: pg.load(path, module={value['of']}) takes what makes it"
        )

    def made() -> nn.Module:
        new = make()
        new.load_state_dict(value["buffers"], strict=False)
        return new

    built = Module(made, tuple(value["inputs"]), value["outputs"])
    layout = {name: list(shape) for name, shape in built.layout.items()}
    if layout != value["layout"]:
        raise ValueError(f"the module has the parameters {layout}, the file those of {value['layout']}")
    return built


def _packed(space: spaces.Space) -> dict[str, Any]:
    """A space as tensors, numbers and words."""
    match space:
        case spaces.Box():
            low, high = (torch.from_numpy(np.ascontiguousarray(bound)) for bound in (space.low, space.high))
            return {"type": "Box", "low": low, "high": high, "dtype": str(space.dtype)}
        case spaces.Discrete():
            return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.MultiDiscrete():
            sizes, start = space.nvec.tolist(), space.start.tolist()
            return {"type": "MultiDiscrete", "nvec": sizes, "start": start, "dtype": str(space.dtype)}
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "shape": list(space.shape)}
        case spaces.Dict():
            return {"type": "Dict", "parts": {key: _packed(part) for key, part in space.items()}}
        case spaces.Tuple():
            return {"type": "Tuple", "parts": [_packed(part) for part in space]}
    raise ValueError(f"a file of a policy has no form for {space}")


def _unpacked(packed: dict[str, Any]) -> spaces.Space:
    match packed["type"]:
        case "Box":
            dtype: Any = np.dtype(packed["dtype"])
            return spaces.Box(packed["low"].numpy(), packed["high"].numpy(), dtype=dtype)
        case "Discrete":
            return spaces.Discrete(packed["n"], start=packed["start"])
        case "MultiDiscrete":
            kind: Any = np.dtype(packed["dtype"])
            return spaces.MultiDiscrete(packed["nvec"], kind, start=packed["start"])
        case "MultiBinary":
            shape = packed["shape"]
            return spaces.MultiBinary(shape if len(shape) > 1 else math.prod(shape))
        case "Dict":
            return spaces.Dict({key: _unpacked(part) for key, part in packed["parts"].items()})
        case "Tuple":
            return spaces.Tuple([_unpacked(part) for part in packed["parts"]])
    raise ValueError(f"a policy of this version knows no space {packed['type']!r}")
