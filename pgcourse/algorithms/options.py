"""Options of algorithms and architectures: dataclass fields with a help text, a range and a neutral value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

NO_NEUTRAL = dataclasses.MISSING


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    infinite: bool = False,
    choices: Sequence[str] = (),
    neutral: Any = NO_NEUTRAL,
) -> Any:
    """A field of a frozen dataclass whose `__post_init__` calls `check`.

    Args:
        help: what the option does, for docs and `--help`.
        low, above, high: the value is at least `low`, above `above` and at most `high`.
        infinite: whether infinity is in range.
        choices: the names that are allowed.
        neutral: for an option that did not exist in an earlier version, the value under which it does nothing: records
            made before are those of this value. See docs/adding.md.
    """
    bounds = {"low": low, "above": above, "high": high, "infinite": infinite, "choices": tuple(choices)}
    history = {} if neutral is NO_NEUTRAL else {"neutral": neutral}
    return dataclasses.field(default=default, metadata={"help": help, **bounds, **history})


def check(options: Any) -> None:
    """Hold every option of a dataclass against its type and range; a number of numpy's becomes Python's.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """
    for field in dataclasses.fields(options):
        if "help" in field.metadata:
            _check(options, field)


def _check(options: Any, field: dataclasses.Field) -> None:
    value, bounds = getattr(options, field.name), field.metadata
    if isinstance(value, np.generic):
        value = value.item()
        object.__setattr__(options, field.name, value)

    def refuse(*allowed: str) -> None:
        wanted = " and ".join(words for words in allowed if words)
        raise ValueError(f"{type(options).__name__}: {field.name} must be {wanted}, got {value!r}")

    inside = _range(bounds)
    if bounds["choices"]:
        if value not in bounds["choices"]:
            refuse(f"one of {', '.join(bounds['choices'])}")
    elif isinstance(field.default, bool):
        if not isinstance(value, bool):
            refuse("True or False")
    elif isinstance(field.default, int):
        integer = isinstance(value, int) and not isinstance(value, bool)
        if not integer or not _inside(value, bounds):
            refuse("" if integer else "an integer", inside)
    elif isinstance(field.default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not _inside(value, bounds):
            infinite = number and math.isinf(value) and not bounds["infinite"]
            refuse("" if number and inside else "a number", inside, "finite" if infinite else "")


def _inside(value: float, bounds: Any) -> bool:
    """NaN never is, infinity where it is allowed."""
    low, above, high = bounds["low"], bounds["above"], bounds["high"]
    inside = (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)
    return inside and not math.isnan(value) and (math.isfinite(value) or bounds["infinite"])


def _range(bounds: Any) -> str:
    words = {"low": "at least", "above": "above", "high": "at most"}
    return " and ".join(f"{word} {bounds[name]:g}" for name, word in words.items() if bounds[name] is not None)
