"""Studies: declared in results/STUDY/study.toml, with what each of their runs is to compute.

title = "REINFORCE on CartPole"
env = "CartPole-v1"
steps = 200_000                 # environment steps of each seed
seeds = 10                      # 0 to 9
seeds_per_block = 10            # seeds that train side by side as one run; all of them, if not given
checkpoint_steps = 100_000      # steps of each seed after which a run keeps its state and starts its worlds anew
hidden = [64, 64]               # hidden layers of policy and critic
evaluation_episodes = 100       # of each seed's final policy
keep_policies = false           # store θ beside the curves

[variants.baseline]
algorithm = "reinforce"         # a key of `pgcourse.algorithms.ALGORITHMS`
baseline = "value"              # and the hyper-parameters that differ from its defaults
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pgcourse.algorithms import ALGORITHMS, Algorithm
from pgcourse.algorithms.learner import default_critic, default_policy
from pgcourse.core import Critic, Policy
from pgcourse.envs import make
from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.provenance import repository
from pgcourse.lab.records import POLICY_LIMIT, Store, run_id

DEFAULTS = {"checkpoint_steps": 100_000, "hidden": [64, 64], "evaluation_episodes": 100, "keep_policies": False}


class StudyError(ValueError):
    """A study is not declared, or its declaration makes no sense."""


@dataclass(frozen=True)
class Study:
    """A declaration: variants of algorithms on one environment, with the same seeds and steps."""

    folder: Path
    title: str
    env: str
    steps: int
    seeds: int
    seeds_per_block: int
    checkpoint_steps: int
    hidden: tuple[int, ...]
    evaluation_episodes: int
    keep_policies: bool
    variants: Mapping[str, Algorithm]

    @classmethod
    def read(cls, name: str) -> Study:
        """The study declared in results/NAME/study.toml.

        Raises:
            StudyError: no such study, or an unknown key, algorithm or hyper-parameter, or a value out of range: naming
                the file, the key, the value and what is allowed.
        """
        file = results_folder() / name / "study.toml"
        if not file.is_file():
            raise StudyError(f"no study {name!r}; there are: {', '.join(study_names()) or 'none'}")
        try:
            return _parse(file.parent, tomllib.loads(file.read_text("utf-8")))
        except ValueError as error:
            raise StudyError(f"{file}: {error}") from None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def store(self) -> Store:
        return Store(self.folder)

    @property
    def checkpoints(self) -> Checkpoints:
        """Where its runs keep their state on this machine."""
        return Checkpoints(self.folder / ".checkpoints")

    def blocks(self) -> list[Block]:
        """Every run of the study, variants in their order."""
        firsts = range(0, self.seeds, self.seeds_per_block)
        return [
            Block(self, variant, tuple(range(first, first + self.seeds_per_block)))
            for variant in self.variants
            for first in firsts
        ]

    def networks(self) -> tuple[Policy, Critic]:
        """The architectures that all variants train: the environment's default ones with the declared hidden layers.

        Raises:
            StudyError: the environment cannot be made, or has no default architecture.
        """
        try:
            world = make(self.env, 1)
            return default_policy(world, self.hidden), default_critic(world, self.hidden)
        except Exception as error:  # simulators raise all sorts of errors when asked for a world they do not have
            raise StudyError(f"{self.name}: env = {self.env!r}: {error}") from error

    def check(self) -> None:
        """Fail now where computing or storing would fail later.

        Raises:
            StudyError: as `networks`; or policies too large to keep.
        """
        policy, _ = self.networks()
        size = self.seeds_per_block * policy.size * torch.float32.itemsize
        if self.keep_policies and size > POLICY_LIMIT:
            raise StudyError(f"{self.name}: keep_policies: θ takes {size:,} bytes a block, {POLICY_LIMIT:,} at most")


@dataclass(frozen=True)
class Block:
    """One run: a variant with the seeds that train side by side.

    The seeds are part of what is computed, because floating-point sums differ between blocks of different size.
    """

    study: Study
    variant: str
    seeds: tuple[int, ...]

    @property
    def algorithm(self) -> Algorithm:
        return self.study.variants[self.variant]

    @property
    def config(self) -> dict[str, Any]:
        """All that decides the numbers. The names of study and variant do not."""
        return {
            "algorithm": self.algorithm,
            "env": self.study.env,
            "seeds": self.seeds,
            "steps": self.study.steps,
            "checkpoint_steps": self.study.checkpoint_steps,
            "hidden": self.study.hidden,
            "evaluation_episodes": self.study.evaluation_episodes,
        }

    @cached_property
    def run_id(self) -> str:
        return run_id(self.config)


def results_folder() -> Path:
    """The folder of all studies: $PGCOURSE_RESULTS, or results/ in the course's repository.

    Raises:
        StudyError: neither is there.
    """
    root = repository()
    folder = Path(os.environ.get("PGCOURSE_RESULTS") or (root / "results" if root else "results"))
    if not folder.is_dir():
        remedy = "work inside a clone of the course, or set PGCOURSE_RESULTS to its results/"
        raise StudyError(f"no folder {folder.absolute()}; {remedy}")
    return folder


def study_names() -> list[str]:
    """All declared studies."""
    return sorted(file.parent.name for file in results_folder().glob("*/study.toml"))


def _parse(folder: Path, declared: dict[str, Any]) -> Study:
    fields = {field.name for field in dataclasses.fields(Study)} - {"folder"}
    if unknown := sorted(set(declared) - fields):
        raise StudyError(f"unknown key {unknown[0]!r}; a study has {', '.join(sorted(fields))}")
    values: dict[str, Any] = DEFAULTS | {"seeds_per_block": declared.get("seeds")} | declared
    if missing := sorted(fields - set(values)):
        raise StudyError(f"{missing[0]} is missing")
    for name, kind in {"title": str, "env": str, "hidden": list, "keep_policies": bool, "variants": dict}.items():
        if not isinstance(values[name], kind):
            raise StudyError(f"{name} must be of type {kind.__name__}, got {values[name]!r}")
    for name, low in {
        "steps": 1,
        "seeds": 1,
        "seeds_per_block": 1,
        "checkpoint_steps": 1,
        "evaluation_episodes": 2,
    }.items():
        if type(values[name]) is not int or values[name] < low:
            raise StudyError(f"{name} must be an integer, {low} or more, got {values[name]!r}")
    if values["seeds"] % values["seeds_per_block"]:
        raise StudyError(f"seeds_per_block = {values['seeds_per_block']} does not divide seeds = {values['seeds']}")
    if not all(type(size) is int and size >= 1 for size in values["hidden"]):
        raise StudyError(f"hidden must list sizes of 1 or more, got {values['hidden']}")
    if not values["variants"]:
        raise StudyError("no variants")
    variants = {name: _algorithm(name, options) for name, options in values["variants"].items()}
    study = Study(folder, **values | {"hidden": tuple(values["hidden"]), "variants": variants})
    names: dict[str, str] = {}
    for block in study.blocks():
        if names.setdefault(block.run_id, block.variant) != block.variant:
            raise StudyError(f"variants {names[block.run_id]!r} and {block.variant!r} are the same configuration")
    return study


def _algorithm(variant: str, options: Any) -> Algorithm:
    where = f"variants.{variant}"
    if not isinstance(options, dict):
        raise StudyError(f"{where} must be a table, got {options!r}")
    options = dict(options)
    name = options.pop("algorithm", None)
    if name not in ALGORITHMS:
        raise StudyError(f"{where}: algorithm must be one of {', '.join(ALGORITHMS)}; got {name!r}")
    defaults = {field.name: field.default for field in dataclasses.fields(ALGORITHMS[name])}
    for option, value in options.items():
        if option not in defaults:
            raise StudyError(f"{where}: {name} has no hyper-parameter {option!r}; it has {', '.join(defaults)}")
        if type(defaults[option]) is float and type(value) is int:
            options[option] = float(value)  # 1 and 1.0 are one configuration
        elif type(value) is not type(defaults[option]):
            raise StudyError(f"{where}: {option} must be like {defaults[option]!r}, got {value!r}")
    try:
        return ALGORITHMS[name](**options)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None
