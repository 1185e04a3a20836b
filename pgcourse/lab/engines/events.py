"""Events that an engine yields about its tasks; a task is a function of an argument, which may report its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias


class Advanced(NamedTuple):
    task: int  # the argument's place in the sequence that the engine was given
    fraction: float
    value: float | None = None  # what the task is after, as it is now


class Done(NamedTuple):
    task: int
    result: Any


class Failed(NamedTuple):
    task: int
    error: str


class Report(Protocol):
    """Told the fraction that is done, and perhaps how good the result would be now."""

    def __call__(self, fraction: float, value: float | None = None) -> None: ...


Event: TypeAlias = Advanced | Done | Failed
Task: TypeAlias = Callable[[Any, Report], Any]
