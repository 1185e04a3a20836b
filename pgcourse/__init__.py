"""Policy gradient methods: a course whose every number is measured.

import pgcourse as pg

run = pg.train(pg.REINFORCE(), "CartPole-v1", seeds=10, steps=100_000)
pg.plots.learning_curves(run.curves)
pg.evaluate(run.policy, episodes=100)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgcourse import core, envs, exact, film, lab, plots, rl, stats
    from pgcourse.algorithms import A2C, PPO, REINFORCE, TRPO, NaturalGradient, Run, evaluate, iterate, train, training
    from pgcourse.core import Streams
    from pgcourse.course.claims import claim
    from pgcourse.course.doctor import doctor
    from pgcourse.envs import make

# Resolved on first use: `pgcourse --help` should not wait for torch.
_HOME = {
    "A2C": "pgcourse.algorithms",
    "NaturalGradient": "pgcourse.algorithms",
    "PPO": "pgcourse.algorithms",
    "REINFORCE": "pgcourse.algorithms",
    "Run": "pgcourse.algorithms",
    "Streams": "pgcourse.core",
    "TRPO": "pgcourse.algorithms",
    "claim": "pgcourse.course.claims",
    "doctor": "pgcourse.course.doctor",
    "evaluate": "pgcourse.algorithms",
    "iterate": "pgcourse.algorithms",
    "make": "pgcourse.envs",
    "train": "pgcourse.algorithms",
    "training": "pgcourse.algorithms",
}
_MODULES = ("algorithms", "core", "envs", "exact", "film", "lab", "plots", "rl", "stats")

__all__ = [
    "A2C",
    "PPO",
    "REINFORCE",
    "TRPO",
    "NaturalGradient",
    "Run",
    "Streams",
    "claim",
    "core",
    "doctor",
    "envs",
    "evaluate",
    "exact",
    "film",
    "iterate",
    "lab",
    "make",
    "plots",
    "rl",
    "stats",
    "train",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"pgcourse.{name}")
    raise AttributeError(f"module 'pgcourse' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
