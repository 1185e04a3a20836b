"""Checks of hyper-parameters: an error names the field, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence


def in_range(options: object, name: str, low: float, high: float = math.inf, *, exclusive: bool = False) -> None:
    """`low` ≤ field ≤ `high`, or `low` < field where exclusive. NaN is never in range."""
    value = getattr(options, name)
    if not (low < value <= high if exclusive else low <= value <= high):
        bounds = f"{'above' if exclusive else 'at least'} {low:g}" + (
            f" and at most {high:g}" if high < math.inf else ""
        )
        raise ValueError(f"{type(options).__name__}: {name} must be {bounds}, got {value!r}")


def one_of(options: object, name: str, allowed: Sequence[str]) -> None:
    value = getattr(options, name)
    if value not in allowed:
        raise ValueError(f"{type(options).__name__}: {name} must be one of {', '.join(allowed)}; got {value!r}")
