"""What a world was when a run was computed, and whether it is still the same."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sysconfig
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium

from pgcourse.envs import WORLDS, make
from pgcourse.lab.code import file_digest
from pgcourse.lab.configurations import canonical
from pgcourse.lab.provenance import SIMULATORS, package_version

INSTALLED = ("purelib", "platlib")  # where packages are, which have versions


def describe(env: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """A world's `observations` and `actions` (its spaces), `time_limit` and `source`; errors as `make`."""
    return dict(_made(env, canonical(arguments))[1])


def kind(env: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> type:
    """The class of a world; errors as `make`."""
    return _made(env, canonical(arguments))[0]


def source(env: str) -> dict[str, str | None]:
    """Where a world's code comes from: {file: digest of its code}, or of packages {name: version, None without it}.

    Raises:
        ImportError, gymnasium.error.Error: there is no such world.
    """
    if env in WORLDS:
        world = WORLDS[env]
        return _files((world.func if isinstance(world, partial) else world).__module__)
    if env.startswith("envpool:"):
        return {"envpool": package_version("envpool")}
    if env.startswith("MinAtar/"):
        return {"minatar": package_version("minatar")}
    package, _, name = env.rpartition(":")
    if package:
        importlib.import_module(package)
    entry = gymnasium.spec(name).entry_point
    return _files(entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", package))


def changes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """How a world differs from its earlier description, in what both say."""
    said = [
        f"{name.replace('_', ' ')} was {then[name]}, is {now[name]}"
        for name in ("observations", "actions", "time_limit")
        if name in now and now[name] != then[name]
    ]
    before, after = then["source"], now["source"]
    for name in sorted({*before, *after}):
        was, new = before.get(name), after.get(name)
        if was != new and name.endswith(".py"):
            said.append(f"{name} has been changed" if was and new else f"{name} is {'new' if new else 'gone'}")
        elif was != new:
            said.append(f"{name} was {was or 'not there'}, is {new or 'not there'}")
    return said


@cache
def _made(env: str, arguments: str) -> tuple[type, dict[str, Any]]:
    world = make(env, 1, **json.loads(arguments))
    said = {
        "observations": str(world.observation_space),
        "actions": str(world.action_space),
        "time_limit": world.time_limit,
        "source": source(env),
    }
    return type(world), said


def _files(module: str) -> dict[str, str | None]:
    """The file of a module, or, where it is installed, its package and the simulators that it speaks of."""
    spec = importlib.util.find_spec(module)
    file = Path(spec.origin).resolve() if spec and spec.origin else None
    if file and not any(file.is_relative_to(Path(sysconfig.get_path(name)).resolve()) for name in INSTALLED):
        return {file.name: file_digest(file)}
    package = module.partition(".")[0]
    simulators = {name: package_version(*names) for name, names in SIMULATORS.items() if name in module}
    return {package: package_version(package), **simulators}
