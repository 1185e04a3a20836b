"""Configurations of runs and descriptions of their worlds: how they are stored, and where two of them differ.

A field that a stored configuration does not have counts as that option's *neutral* value, under which the option did
not exist (`pgcourse.algorithms.options.option`). So an option that is added later loses no record.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import json
import math
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium

from pgcourse.algorithms import Algorithm, Architecture
from pgcourse.algorithms.curves import REPORTS
from pgcourse.envs import WORLDS, make
from pgcourse.envs.registry import own
from pgcourse.lab.provenance import PACKAGE, SIMULATORS, file_digest, package_version, tree_of

# Options that were renamed or taken away, by class, with the value under which things are as they are without.
GONE: Mapping[str, Mapping[str, Any]] = MappingProxyType({"Architecture": {"bins": 0}})
INSTALLED = ("purelib", "platlib", "stdlib")  # where packages are, which have versions, and Python's own


@dataclass(frozen=True)
class Configuration:
    """One run: an algorithm with its networks in a world, and a block of seeds that train side by side.

    The seeds are part of it, because floating-point sums differ between blocks of different size. The names of study
    and variant are not.
    """

    algorithm: Algorithm
    network: Architecture
    env: str
    arguments: Mapping[str, Any]  # of the world
    seeds: tuple[int, ...]
    steps: int
    checkpoint_steps: int
    evaluation_episodes: int
    reports: int = dataclasses.field(default=REPORTS, metadata={"neutral": 100})  # of a curve, about


def nondefault(options: Any) -> dict[str, Any]:
    """Those fields of a dataclass, such as an algorithm, that are not at their defaults, as `plain` has them."""
    fields = dataclasses.fields(options)
    return {
        each.name: plain(getattr(options, each.name)) for each in fields if getattr(options, each.name) != each.default
    }


def plain(value: Any) -> Any:
    """A configuration as JSON values: a dataclass becomes {"type": its name, **fields}, an infinity {"float": "inf"}.

    Raises:
        ValueError: NaN.
        TypeError: a key that is no string, or a value that JSON has no form for.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **plain(fields)}
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"a configuration's keys must be strings, got {bad[0]!r}")
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise ValueError("a configuration may not contain NaN")
        return {"float": repr(float(value))}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a configuration holds numbers, strings, lists, mappings and dataclasses, got {value!r}")


def canonical(config: Any) -> str:
    """The one JSON text of a configuration: keys sorted, no spaces, floats as their shortest exact decimals."""
    return json.dumps(plain(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def differences(stored: Any, declared: Any, name: str = "configuration") -> list[str]:
    """Where a stored configuration, in JSON values, is not the declared one, field by field; empty where it is."""
    if not dataclasses.is_dataclass(declared) or _type(stored) != type(declared).__name__:
        same = canonical(stored) == canonical(declared)
        return [] if same else [f"{name} is {_short(stored)} there, {_short(plain(declared))} here"]
    fields = {field.name: field for field in dataclasses.fields(declared)}
    within = "" if name == "configuration" else f"{name}."
    gone = GONE.get(type(declared).__name__, {})
    found = [
        f"{within}{each} is not an option any more"
        for each in stored
        if each not in fields and each != "type" and not (each in gone and stored[each] == plain(gone[each]))
    ]
    for each, field in fields.items():
        value = getattr(declared, each)
        if each in stored:
            found += differences(stored[each], value, within + each)
        elif "neutral" not in field.metadata:
            found.append(f"{within}{each} is not stored there, and declares no neutral value")
        else:
            found += differences(plain(field.metadata["neutral"]), value, within + each)
    return found


def describe_world(env: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """A world's `observations` and `actions` (its spaces), `time_limit` and `source`; errors as `make`."""
    return dict(_made(env, canonical(arguments))[1])


def world_kind(env: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> type:
    """The class of a world; errors as `make`."""
    return _made(env, canonical(arguments))[0]


def world_source(env: str) -> dict[str, str | None]:
    """Where a world's code comes from: {file: digest of its code}, or of packages {name: version, None without it}.

    One's own module counts with all of one's own that it imports, and with the one that registers an id. What such a
    world reads when it runs, such as a file of its scene, does not.

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
    if kind := own(env):
        return _files(kind.__module__)
    package, _, name = env.rpartition(":")
    if package:
        importlib.import_module(package)
    entry = gymnasium.spec(name).entry_point
    of_world = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", package)
    registering = own_files(package) if package else {}
    return _files(of_world) | registering


def world_changes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """How a world differs from its earlier description, in what both say."""
    said = [
        f"{name.replace('_', ' ')} was {then[name]}, is {now[name]}"
        for name in ("observations", "actions", "time_limit")
        if name in now and now[name] != then[name]
    ]
    return said + file_changes(then["source"], now["source"])


def file_changes(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[str]:
    """What differs between {file: digest of its code} or {package: version}, before and after."""
    said = []
    for name in sorted({*before, *after}):
        was, new = before.get(name), after.get(name)
        if was != new and name.endswith(".py"):
            said.append(f"{name} has been changed" if was and new else f"{name} is {'new' if new else 'gone'}")
        elif was != new:
            said.append(f"{name} was {was or 'not there'}, is {new or 'not there'}")
    return said


def _type(stored: Any) -> str | None:
    return stored.get("type") if isinstance(stored, dict) else None


def _short(value: Any) -> str:
    return _type(value) or canonical(value)


def _infinity(value: dict[str, Any]) -> Any:
    """What `plain` has made of an infinity, as it was; any other mapping as it is."""
    return float(value["float"]) if value in ({"float": "inf"}, {"float": "-inf"}) else value


@cache
def _made(env: str, arguments: str) -> tuple[type, dict[str, Any]]:
    world = make(env, 1, **json.loads(arguments, object_hook=_infinity))
    said = {
        "observations": str(world.observation_space),
        "actions": str(world.action_space),
        "time_limit": world.time_limit,
        "source": world_source(env),
    }
    return type(world), said


def _files(module: str) -> dict[str, str | None]:
    """The file of a module, or, where it is installed, its package and the simulators that it speaks of."""
    package = module.partition(".")[0]
    if package != PACKAGE and (own := own_files(module)):
        return own
    file = _file(module)
    if file and not _installed(file):
        return {file.name: file_digest(file)}
    simulators = {name: package_version(*names) for name, names in SIMULATORS.items() if name in module}
    return {package: package_version(package), **simulators}


def own_files(module: str) -> dict[str, str | None]:
    """{file: digest} of a module that is neither installed nor ours, and of all such modules that it imports."""
    found: dict[str, str | None] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        package = name.partition(".")[0]
        around = _file(package)  # looked at first: to find a module in a package, Python imports the package
        if package == PACKAGE or around is None or _installed(around):
            continue
        file = _file(name)
        if file is None or file.suffix != ".py":
            continue
        inside = file.stem == "__init__"
        key = f"{name.replace('.', '/')}{'/__init__' * inside}.py"
        if key not in found:
            found[key] = file_digest(file)
            todo += _imported(file, name if inside else name.rpartition(".")[0])
    return found


def _imported(file: Path, package: str) -> list[str]:
    """What a module in this package may import: modules, and names that may be modules."""
    names = []
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(base, package) if node.level and package else base.lstrip(".")
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name]


def _file(module: str) -> Path | None:
    """The file of a module; None where there is none, nor such a module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve() if spec and spec.origin and spec.has_location else None


def _installed(file: Path) -> bool:
    return any(file.is_relative_to(Path(sysconfig.get_path(name)).resolve()) for name in INSTALLED)
