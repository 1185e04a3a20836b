"""What decides a run's numbers, as it is stored; and whether a stored configuration is the declared one.

A field that a stored configuration does not have counts as that option's *neutral* value, under which the option did
not exist (`pgcourse.algorithms.options.option`). So an option that is added later loses no record.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgcourse.algorithms import Algorithm, Architecture


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
    found = [f"{within}{each} is not an option any more" for each in stored if each not in fields and each != "type"]
    for each, field in fields.items():
        value = getattr(declared, each)
        if each in stored:
            found += differences(stored[each], value, within + each)
        elif "neutral" not in field.metadata:
            found.append(f"{within}{each} is not stored there, and declares no neutral value")
        else:
            found += differences(plain(field.metadata["neutral"]), value, within + each)
    return found


def _type(stored: Any) -> str | None:
    return stored.get("type") if isinstance(stored, dict) else None


def _short(value: Any) -> str:
    return _type(value) or canonical(value)
