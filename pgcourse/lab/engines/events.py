"""What an engine tells of its tasks. A task is called with its argument and with a function to report progress to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias


class Progress(NamedTuple):
    task: int  # the argument's place in the sequence that the engine was given
    fraction: float


class Done(NamedTuple):
    task: int
    result: Any


class Failed(NamedTuple):
    task: int
    error: str


Event: TypeAlias = Progress | Done | Failed
Task: TypeAlias = Callable[[Any, Callable[[float], None]], Any]
