"""Options of algorithms: how they are declared and checked; an error names the field, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, field
from typing import Any


def option(default: Any, help: str = "", *, neutral: Any = MISSING) -> Any:
    """A field of a dataclass of options. `neutral` is the value under which things are as if it did not exist.

    A record made before the option is found where the option has that value: every option that is added needs one.
    """
    return field(default=default, metadata={"help": help} | ({} if neutral is MISSING else {"neutral": neutral}))


def in_range(
    options: object, name: str, low: float, high: float = math.inf, *, exclusive: bool = False, infinite: bool = False
) -> None:
    """`low` ≤ field ≤ `high`, or `low` < field where exclusive. NaN is never in range, infinity where `infinite`."""
    value = getattr(options, name)
    inside = low < value <= high if exclusive else low <= value <= high
    if not inside or (value == math.inf and not infinite):
        bounds = f"{'above' if exclusive else 'at least'} {low:g}"
        if high < math.inf:
            bounds += f" and at most {high:g}"
        elif value == math.inf:
            bounds += " and finite"
        raise ValueError(f"{type(options).__name__}: {name} must be {bounds}, got {value!r}")


def one_of(options: object, name: str, allowed: Sequence[str]) -> None:
    value = getattr(options, name)
    if value not in allowed:
        raise ValueError(f"{type(options).__name__}: {name} must be one of {', '.join(allowed)}; got {value!r}")
