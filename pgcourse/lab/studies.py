"""Studies: declared in results/STUDY/study.toml, with what each of their runs is to compute.

title = "REINFORCE on CartPole"
env = "CartPole-v1"
steps = 200_000                 # environment steps of each seed
seeds = 10                      # 0 to 9
seeds_per_block = 10            # seeds that train side by side as one run; all of them, if not given
checkpoint_steps = 100_000      # steps of each seed after which a run keeps its state and starts its worlds anew
network = { hidden = [64, 64] } # fields of `pgcourse.algorithms.Architecture`, of policy and critic
evaluation_episodes = 100       # of each seed's final policy
keep_policies = false           # store θ beside the curves

[variants.baseline]
algorithm = "reinforce"         # a key of `pgcourse.algorithms.ALGORITHMS`
baseline = "value"              # and the hyper-parameters that differ from its defaults
network = { activation = "relu" } # and what differs from the study's network

A table `defaults`, written like a variant, holds what the variants do not say themselves.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch

from pgcourse.algorithms import ALGORITHMS, Algorithm, Architecture
from pgcourse.core import Critic, Policy, Streams
from pgcourse.envs import make
from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.provenance import repository
from pgcourse.lab.records import POLICY_LIMIT, Store, plain, run_id

DEFAULTS = {
    "checkpoint_steps": 100_000,
    "network": {},
    "defaults": {},
    "evaluation_episodes": 100,
    "keep_policies": False,
}


Options = TypeVar("Options")


class StudyError(ValueError):
    """A study is not declared, or its declaration makes no sense."""


@dataclass(frozen=True)
class Variant:
    """What distinguishes some runs of a study from others: the algorithm, and the networks that it trains."""

    algorithm: Algorithm
    network: Architecture


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
    evaluation_episodes: int
    keep_policies: bool
    variants: Mapping[str, Variant]

    @classmethod
    def read(cls, name: str) -> Study:
        """The study declared in results/NAME/study.toml.

        Raises:
            StudyError: no such study, or an unknown key, algorithm or hyper-parameter, or a value out of range: naming
                the file, the key, the value and what is allowed.
        """
        folder = results_folder() / name
        if not (folder / "study.toml").is_file():
            raise StudyError(f"no study {name!r}; there are: {', '.join(study_names()) or 'none'}")
        return cls.at(folder)

    @classmethod
    def at(cls, folder: Path) -> Study:
        """The study declared in FOLDER/study.toml. Raises as `read`, but for a missing file `FileNotFoundError`."""
        file = folder / "study.toml"
        try:
            return parse(folder, tomllib.loads(file.read_text("utf-8")))
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

    def check(self) -> None:
        """Fail now where computing or storing would fail later.

        Raises:
            StudyError: as `Block.networks`; or policies too large to keep.
        """
        for block in self.blocks():
            size = len(block.seeds) * block.policy().size * torch.float32.itemsize
            if self.keep_policies and size > POLICY_LIMIT:
                raise StudyError(
                    f"{self.name}: keep_policies: θ takes {size:,} bytes a block, {POLICY_LIMIT:,} at most"
                )


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
        return self.study.variants[self.variant].algorithm

    def networks(self) -> tuple[Policy, Critic]:
        """What the run trains.

        Raises:
            StudyError: the environment cannot be made, or its spaces are not supported.
        """
        network = self.study.variants[self.variant].network
        try:
            world = make(self.study.env, 1)
            return network.policy(world), network.critic(world)
        except Exception as error:  # simulators raise all sorts of errors when asked for a world they do not have
            raise StudyError(f"{self.study.name}: env = {self.study.env!r}: {error}") from error

    @property
    def config(self) -> dict[str, Any]:
        """All that decides the numbers. The names of study and variant do not."""
        return {
            "algorithm": self.algorithm,
            "env": self.study.env,
            "seeds": self.seeds,
            "steps": self.study.steps,
            "checkpoint_steps": self.study.checkpoint_steps,
            "network": self.study.variants[self.variant].network,
            "evaluation_episodes": self.study.evaluation_episodes,
        }

    def policy(self) -> Policy:
        """What θ belongs to: the algorithm may have wrapped the policy that it was given. Raises as `networks`."""
        return self.algorithm.start(*self.networks(), Streams(1)).policy

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


def parse(folder: Path, declared: dict[str, Any]) -> Study:
    """The study that a study.toml with this content would declare.

    Raises:
        StudyError: as `Study.read`, without the file.
    """
    fields = {field.name for field in dataclasses.fields(Study)} - {"folder"} | {"network", "defaults"}
    if unknown := sorted(set(declared) - fields):
        raise StudyError(f"unknown key {unknown[0]!r}; a study has {', '.join(sorted(fields))}")
    values: dict[str, Any] = DEFAULTS | {"seeds_per_block": declared.get("seeds")} | declared
    if missing := sorted(fields - set(values)):
        raise StudyError(f"{missing[0]} is missing")
    for name, kind in {
        "title": str,
        "env": str,
        "network": dict,
        "defaults": dict,
        "keep_policies": bool,
        "variants": dict,
    }.items():
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
    if not values["variants"]:
        raise StudyError("no variants")
    network, common = values.pop("network"), values.pop("defaults")
    _options("network", Architecture, network)
    variants = {
        name: _variant(f"variants.{name}", options, common, network) for name, options in values["variants"].items()
    }
    study = Study(folder, **values | {"variants": variants})
    names: dict[str, str] = {}
    for block in study.blocks():
        if names.setdefault(block.run_id, block.variant) != block.variant:
            raise StudyError(f"variants {names[block.run_id]!r} and {block.variant!r} are the same configuration")
    return study


def _variant(where: str, declared: Any, common: dict[str, Any], network: dict[str, Any]) -> Variant:
    if not isinstance(declared, dict):
        raise StudyError(f"{where} must be a table, got {declared!r}")
    options = common | declared
    name = options.pop("algorithm", None)
    if name not in ALGORITHMS:
        raise StudyError(f"{where}: algorithm must be one of {', '.join(ALGORITHMS)}; got {name!r}")
    own = options.pop("network", {})
    if not isinstance(own, dict):
        raise StudyError(f"{where}.network must be a table, got {own!r}")
    return Variant(
        _options(where, ALGORITHMS[name], options), _options(f"{where}.network", Architecture, network | own)
    )


def _options(where: str, kind: type[Options], declared: dict[str, Any]) -> Options:
    """A dataclass of options with some of them declared, the types being those of the defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    options = {}
    for option, value in declared.items():
        if option not in defaults:
            raise StudyError(f"{where}: {kind.__name__} has no option {option!r}; it has {', '.join(defaults)}")
        default = defaults[option]
        if type(default) is float and type(value) is int:
            value = float(value)  # 1 and 1.0 are one configuration
        if type(value) is not (list if isinstance(default, tuple) else type(default)):
            raise StudyError(f"{where}: {option} must be like {plain(default)!r}, got {value!r}")
        options[option] = value
    try:
        return kind(**options)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None
