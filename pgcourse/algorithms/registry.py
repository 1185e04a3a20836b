"""Look-up of algorithms by name: the course's own, or `module:Class` for others."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

ALGORITHMS = {
    "reinforce": "pgcourse.algorithms.reinforce:REINFORCE",
    "a2c": "pgcourse.algorithms.a2c:A2C",
    "natural": "pgcourse.algorithms.trpo:NaturalGradient",
    "trpo": "pgcourse.algorithms.trpo:TRPO",
    "ppo": "pgcourse.algorithms.ppo:PPO",
    "recurrent-ppo": "pgcourse.algorithms.recurrent_ppo:RecurrentPPO",
    "dqn": "pgcourse.algorithms.dqn:DQN",
}


def find(name: str) -> type[Any]:
    """The class of an algorithm: a name of `ALGORITHMS`, or `module:Class` for one of your own.

    Raises:
        ValueError: no such name, module or class, or a class that is no algorithm, saying what is missing.
    """
    where = ALGORITHMS.get(name, name)
    module, colon, attribute = where.partition(":")
    if not (module and colon and attribute):
        raise ValueError(
            f"algorithm must be one of {', '.join(ALGORITHMS)}, or module:Class for one of your own; got {name!r}"
        )
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: {error}; a module of your own is looked for in the working folder") from error
    except AttributeError:
        raise ValueError(f"{name}: the module {module} has no {attribute!r}") from None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"{name} is no frozen dataclass of options: see docs/adding.md")
    if missing := [part for part in ("envs", "horizon", "init", "update") if not hasattr(kind, part)]:
        raise ValueError(f"{name} is no algorithm: it has no {' and no '.join(missing)}; see docs/adding.md")
    return kind


def name_of(kind: type[Any]) -> str:
    """The name under which `find` finds a class."""
    where = f"{kind.__module__}:{kind.__qualname__}"
    return next((name for name, ours in ALGORITHMS.items() if ours == where), where)
