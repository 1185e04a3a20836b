"""Studies: declared in results/STUDY/study.toml, with what each of their runs is to compute.

title = "REINFORCE on two worlds"
envs = ["CartPole-v1", "Pendulum-v1"]   # or env = "CartPole-v1"
steps = 200_000                 # environment steps of each seed
seeds = 10                      # 0 to 9
seeds_per_block = 10            # seeds that train side by side as one run; all of them, if not given
checkpoint_steps = 100_000      # steps of each seed after which a run keeps its state
network = { hidden = [64, 64] } # fields of `pgcourse.algorithms.Architecture`, of policy and critic
evaluation_episodes = 100       # of each seed's final policy
reports = 100                   # rows of each seed's learning curve, about
question = "…"                  # for `pgcourse study report`: what is asked, how it will be answered (both said before
analysis = "…"                  # the runs), and how the settings were chosen, on which seeds
tuning = "…"
keep_policies = false           # store θ beside the curves
stages = [0.02, 0.1, 0.5]       # and θ as it was after these parts of the steps

[defaults]                      # written like a variant: what the variants do not say themselves
algorithm = "reinforce"         # one of `pgcourse.algorithms.ALGORITHMS`, or module:Class

[environments."Pendulum-v1"]    # what is different in one of several environments
steps = 300_000                 # or checkpoint_steps
arguments = { }                 # for `pgcourse.make`
defaults = { gamma = 0.9 }      # goes before those above

[variants."value baseline"]     # the hyper-parameters that differ from the algorithm's defaults
baseline = "value"
network = { activation = "relu" } # and what differs from the study's network
only = ["CartPole-v1"]          # where the variant is not for all environments

Every variant is computed in every environment. A run has a folder named by them, by which people find it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from pgcourse.algorithms import Algorithm, Architecture
from pgcourse.algorithms import find as find_algorithm
from pgcourse.algorithms.curves import REPORTS
from pgcourse.core import Critic, Policy, Streams
from pgcourse.envs import Env, make
from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.configurations import (
    Configuration,
    canonical,
    describe_world,
    file_changes,
    own_files,
    plain,
    world_changes,
    world_kind,
)
from pgcourse.lab.errors import message
from pgcourse.lab.provenance import OtherClone, code_digest, repository
from pgcourse.lab.records import POLICY_LIMIT, ChangedAlgorithm, ChangedWorld, MissingRecord, Record, Store

DEFAULTS: dict[str, Any] = {
    "steps": None,  # may be said of each environment instead
    "checkpoint_steps": 100_000,
    "network": {},
    "defaults": {},
    "environments": {},
    "evaluation_episodes": 100,
    "reports": REPORTS,
    "keep_policies": False,
    "stages": [],
    "question": "",
    "analysis": "",
    "tuning": "",
}
KINDS = {
    "title": str, "network": dict, "defaults": dict, "environments": dict, "keep_policies": bool, "variants": dict,
    "question": str, "analysis": str, "tuning": str,
}  # fmt: skip
SAID = ("question", "analysis", "tuning")  # in words, for the report
LEAST = {
    "steps": 1, "seeds": 1, "seeds_per_block": 1, "checkpoint_steps": 1, "evaluation_episodes": 2, "reports": 1,
}  # fmt: skip


Options = TypeVar("Options")


class StudyError(ValueError):
    """A study is not declared, or its declaration makes no sense."""


@dataclass(frozen=True)
class Variant:
    """What distinguishes some runs of a study from others: the algorithm, and the networks that it trains."""

    algorithm: Algorithm
    network: Architecture


@dataclass(frozen=True)
class Environment:
    """A world of a study, and for how long its runs train in it."""

    name: str
    steps: int
    checkpoint_steps: int
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def make(self) -> str | Callable[..., Env]:
        """As `pgcourse.algorithms.training` takes it."""
        return partial(make, self.name, **self.arguments) if self.arguments else self.name


@dataclass(frozen=True)
class Study:
    """A declaration: variants of algorithms, each in one environment or several, with the same seeds.

    `variants[name][env]` is a variant as it is in an environment, by default in all of `environments`.
    """

    folder: Path
    title: str
    environments: Mapping[str, Environment]
    seeds: int
    seeds_per_block: int
    evaluation_episodes: int
    keep_policies: bool
    variants: Mapping[str, Mapping[str, Variant]]
    stages: tuple[float, ...] = ()
    reports: int = REPORTS
    question: str = ""
    analysis: str = ""
    tuning: str = ""

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
            return parse(folder, tomllib.loads(file.read_text("utf-8-sig")))  # Windows' editors begin with a mark
        except ValueError as error:
            raise StudyError(f"{file}: {error}") from None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def env(self) -> str:
        """The environment of a study that has one. Raises `StudyError` where there are several."""
        if len(self.environments) > 1:
            raise StudyError(f"{self.name} has several environments: {', '.join(self.environments)}; choose one")
        return next(iter(self.environments))

    @property
    def steps(self) -> int:
        """Environment steps of each seed, where they are the same everywhere. Raises `StudyError` where not."""
        steps = {environment.steps for environment in self.environments.values()}
        if len(steps) > 1:
            raise StudyError(f"{self.name} trains for different numbers of steps in its environments; choose one")
        return next(iter(steps))

    @property
    def store(self) -> Store:
        return Store(self.folder)

    @property
    def checkpoints(self) -> Checkpoints:
        """Where its runs keep their state on this machine."""
        return Checkpoints(self.folder / ".checkpoints")

    def on(self, env: str) -> Study:
        """The part of it that is in one environment. Raises `StudyError` where it is not among them."""
        if env not in self.environments:
            raise StudyError(f"{self.name} has no environment {env!r}; it has {', '.join(self.environments)}")
        variants = {name: {env: each[env]} for name, each in self.variants.items() if env in each}
        return dataclasses.replace(self, environments={env: self.environments[env]}, variants=variants)

    def blocks(self) -> list[Block]:
        """Every run of the study: variants in their order, each in its environments."""
        return [
            Block(self, variant, env, tuple(range(first, first + self.seeds_per_block)))
            for variant, envs in self.variants.items()
            for env in envs
            for first in range(0, self.seeds, self.seeds_per_block)
        ]

    def check(self) -> None:
        """Fail now where computing or storing would fail later.

        Raises:
            StudyError: as `Block.networks`; or policies too large to keep.
        """
        for block in self.blocks():
            kept = 1 + len(self.stages)
            size = kept * len(block.seeds) * block.policy().size * torch.float32.itemsize
            if self.keep_policies and size > POLICY_LIMIT:
                raise StudyError(
                    f"{self.name}: keep_policies: θ takes {size:,} bytes a block, {POLICY_LIMIT:,} at most"
                    + f": that is {kept} times, with stages; take smaller blocks of seeds" * bool(self.stages)
                )


@dataclass(frozen=True)
class Block:
    """One run: a variant in an environment, with the seeds that train side by side."""

    study: Study
    variant: str
    env: str
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of its record's folder: VARIANT.seeds-0-9, or VARIANT.ENV.seeds-0-9 where there are several environments."""
        span = f"seeds-{self.seeds[0]}-{self.seeds[-1]}" if len(self.seeds) > 1 else f"seed-{self.seeds[0]}"
        where = [slug(self.env)] if len(self.study.environments) > 1 else []
        return ".".join([slug(self.variant), *where, span])

    @property
    def title(self) -> str:
        """The run among those of its study, for people."""
        seeds = f"seeds {self.seeds[0]} to {self.seeds[-1]}" if len(self.seeds) > 1 else f"seed {self.seeds[0]}"
        return ", ".join([self.variant, *([self.env] if len(self.study.environments) > 1 else []), seeds])

    @property
    def environment(self) -> Environment:
        return self.study.environments[self.env]

    @property
    def algorithm(self) -> Algorithm:
        return self.study.variants[self.variant][self.env].algorithm

    @property
    def network(self) -> Architecture:
        return self.study.variants[self.variant][self.env].network

    @property
    def configuration(self) -> Configuration:
        """All that decides the numbers. The names of study and variant do not."""
        return Configuration(
            self.algorithm,
            self.network,
            self.env,
            self.environment.arguments,
            self.seeds,
            self.environment.steps,
            self.environment.checkpoint_steps,
            self.study.evaluation_episodes,
            self.study.reports,
        )

    def networks(self, env: str | None = None) -> tuple[Policy, Critic]:
        """What the run trains; `env` is another world of the same spaces.

        Raises:
            StudyError: the environment cannot be made, or its spaces are not supported.
        """
        try:
            world = make(env or self.env, 1, **self.environment.arguments)
            return self.network.policy(world), self.network.critic(world)
        except Exception as error:  # simulators raise all sorts of errors when asked for a world they do not have
            raise StudyError(f"{self.study.name}: env = {self.env!r}: {message(error)}") from error

    def policy(self, env: str | None = None) -> Policy:
        """What θ belongs to: the algorithm may have wrapped the policy that it was given. As `networks`."""
        return self.algorithm.init(*self.networks(env), Streams(1)).policy

    @property
    def played_in(self) -> Environment:
        """Where kept policies act: where they were trained, or in Gymnasium's simulator if EnvPool is not installed."""
        if self.env.startswith("envpool:") and importlib.util.find_spec("envpool") is None:
            return dataclasses.replace(self.environment, name=self.env.removeprefix("envpool:"))
        return self.environment

    @property
    def world(self) -> dict[str, Any]:
        """What the world is now: see `pgcourse.lab.configurations.describe_world`."""
        return describe_world(self.env, self.environment.arguments)

    @property
    def own_algorithm(self) -> dict[str, str | None]:
        """The files of an algorithm of one's own, with the digests of their code; none of ours."""
        return own_files(type(self.algorithm).__module__)

    @property
    def code(self) -> str:
        """The digest of the code that decides the run's numbers."""
        return code_digest(type(self.algorithm), world_kind(self.env, self.environment.arguments))

    def find(self) -> str | None:
        """The name of the run's record, None where there is none. Raises as `Store.find`."""
        return self.study.store.find(self.configuration, self.name)

    def record(self) -> Record:
        """The run's record. Raises as `Store.find` and `Store.read`."""
        name = self.find()
        if name is None:
            remedy = f"`pgcourse study {self.study.name}` computes it"
            raise MissingRecord(f"no record {self.study.folder / self.name}; {remedy}")
        return self.study.store.read(name)

    def check_world(self, record: Record) -> None:
        """Raises `ChangedWorld` where the record is of another state of the world than the one here."""
        if changes := world_changes(record.manifest["world"], self.world):
            raise ChangedWorld(
                self.study.folder / record.name,
                f"{self.env} is not the world of this record any more: {'; '.join(changes)}",
            )

    def check(self, record: Record) -> None:
        """Raises as `check_world`, and `ChangedAlgorithm` where an algorithm of one's own is another one by now."""
        self.check_world(record)
        then = record.manifest.get("algorithm", {})
        if then and (changes := file_changes(then, self.own_algorithm)):
            name = type(self.algorithm).__name__
            raise ChangedAlgorithm(
                self.study.folder / record.name,
                f"{name} is not the algorithm of this record any more: {'; '.join(changes)}",
            )


def stage_name(stage: float | str) -> str:
    """Under which name a record keeps θ as it was after this part of the steps."""
    return f"theta at {stage}"


def slug(name: str) -> str:
    """A name as a part of a folder's: letters, digits and `._+=-`; Greek letters written out."""
    spelt = "".join(_spelt(letter) for letter in re.sub(r"\s*=\s*", "=", name))
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", spelt).strip("-.")


def _spelt(letter: str) -> str:
    """ "lambda" for λ; of letters with accents the letter."""
    found = re.match(r"GREEK (?:SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)$", unicodedata.name(letter, ""))
    if found:
        return found[1].lower().replace("lamda", "lambda")
    return unicodedata.normalize("NFKD", letter)[0]


def results_folder() -> Path:
    """The folder of all studies: $PGCOURSE_RESULTS, or results/ in the course's repository.

    Raises:
        StudyError: neither is there; or the repository is not that of this package.
    """
    given = os.environ.get("PGCOURSE_RESULTS")
    folder = Path(given) if given else (_repository() or Path()) / "results"
    if not folder.is_dir():
        remedy = "work inside a clone of the course, or set PGCOURSE_RESULTS to its results/"
        raise StudyError(f"no folder {folder.absolute()}; {remedy}")
    return folder


def _repository() -> Path | None:
    try:
        return repository()
    except OtherClone as error:
        raise StudyError(str(error)) from None


def study_names() -> list[str]:
    """All declared studies."""
    return sorted(file.parent.name for file in results_folder().glob("*/study.toml"))


def parse(folder: Path, declared: dict[str, Any]) -> Study:
    """The study that a study.toml with this content would declare.

    Raises:
        StudyError: as `Study.read`, without the file.
    """
    values = _complete(declared)
    _check_values(values)
    environments = {name: _environment(name, values) for name in values["envs"]}
    variants = {name: _variants(name, options, values) for name, options in values["variants"].items()}
    names = ("title", "seeds", "seeds_per_block", "evaluation_episodes", "keep_policies", "reports", *SAID)
    stages = tuple(map(float, values["stages"]))
    given = {name: values[name] for name in names}
    study = Study(folder, environments=environments, variants=variants, stages=stages, **given)
    _check_names(study)
    return study


def _complete(declared: dict[str, Any]) -> dict[str, Any]:
    """The declaration with its defaults, `env` as one of several; with nothing missing and nothing unknown."""
    known = {"title", "env", "envs", "seeds", "seeds_per_block", "variants", *DEFAULTS}
    if unknown := sorted(set(declared) - known):
        raise StudyError(f"unknown key {unknown[0]!r}; a study has {', '.join(sorted(known))}")
    values = DEFAULTS | {"seeds_per_block": declared.get("seeds")} | declared
    if ("env" in values) == ("envs" in values):
        raise StudyError("env and envs cannot both be given" if "env" in values else "env is missing")
    if "env" in values:
        values["envs"] = [values.pop("env")]
    if missing := sorted(known - {"env"} - set(values)):
        raise StudyError(f"{missing[0]} is missing")
    return values


def _check_values(values: dict[str, Any]) -> None:
    for name, kind in KINDS.items():
        if not isinstance(values[name], kind):
            raise StudyError(f"{name} must be of type {kind.__name__}, got {values[name]!r}")
    _check_numbers("", values)
    envs = values["envs"]
    if not (isinstance(envs, list) and envs and all(type(env) is str for env in envs) and len({*envs}) == len(envs)):
        raise StudyError(f"envs must list the names of environments, each once, got {envs!r}")
    if values["seeds"] % values["seeds_per_block"]:
        raise StudyError(f"seeds_per_block = {values['seeds_per_block']} does not divide seeds = {values['seeds']}")
    if not values["variants"]:
        raise StudyError("no variants")
    _check_stages(values)
    if strange := sorted(set(values["environments"]) - set(envs)):
        raise StudyError(f"environments.{strange[0]!r} is not among envs: {', '.join(envs)}")
    _options("network", Architecture, values["network"])


def _check_numbers(where: str, values: Mapping[str, Any]) -> None:
    for name, low in LEAST.items():
        if values.get(name) is not None and (type(values[name]) is not int or values[name] < low):
            raise StudyError(f"{where}{name} must be an integer, {low} or more, got {values[name]!r}")


def _check_stages(values: dict[str, Any]) -> None:
    stages = values["stages"]
    parts = isinstance(stages, list) and all(type(each) is float and 0 < each < 1 for each in stages)
    if not parts or sorted({*stages}) != stages:
        raise StudyError(f"stages must list parts of the steps between 0 and 1, from small to large, got {stages!r}")
    if stages and not values["keep_policies"]:
        raise StudyError("stages are of policies that are kept: add keep_policies = true")


def _check_names(study: Study) -> None:
    """No two runs may be the same, nor folders called the same, on systems for which A and a are one letter either."""
    runs: dict[str, str] = {}
    folders: dict[str, str] = {}
    for block in study.blocks():
        if not slug(block.variant):
            raise StudyError(f"variants.{block.variant!r} has no letter or digit that a folder could be named by")
        if (other := runs.setdefault(canonical(block.configuration), block.variant)) != block.variant:
            raise StudyError(f"variants {other!r} and {block.variant!r} are the same configuration")
        if (other := folders.setdefault(block.name.casefold(), block.title)) != block.title:
            raise StudyError(f"{other!r} and {block.title!r} would both be kept in {block.name}: call one differently")


def _environment(name: str, values: dict[str, Any]) -> Environment:
    own = _table(f"environments.{name}", values["environments"].get(name, {}))
    allowed = ("steps", "checkpoint_steps", "arguments", "defaults")
    if unknown := sorted(set(own) - set(allowed)):
        raise StudyError(f"environments.{name}: unknown key {unknown[0]!r}; it may have {', '.join(allowed)}")
    _check_numbers(f"environments.{name}: ", own)
    steps, checkpoint_steps = (own.get(each, values[each]) for each in ("steps", "checkpoint_steps"))
    if steps is None:
        raise StudyError("steps is missing")
    arguments = _table(f"environments.{name}.arguments", own.get("arguments", {}))
    return Environment(name, steps, checkpoint_steps, arguments)


def _variants(name: str, declared: Any, values: dict[str, Any]) -> dict[str, Variant]:
    """A variant in each of its environments."""
    where = f"variants.{name}"
    own = dict(_table(where, declared))
    envs = own.pop("only", values["envs"])
    if not isinstance(envs, list) or not envs or set(map(str, envs)) - set(values["envs"]):
        raise StudyError(f"{where}: only must list some of {', '.join(values['envs'])}, got {envs!r}")
    common = _table("defaults", values["defaults"])
    local = {env: values["environments"].get(env, {}).get("defaults", {}) for env in envs}
    return {
        env: _variant(where, [common, _table(f"environments.{env}.defaults", local[env]), own], values["network"])
        for env in values["envs"]
        if env in envs
    }


def _variant(where: str, layers: Iterable[dict[str, Any]], network: dict[str, Any]) -> Variant:
    """Options said in several places, the later ones going before the earlier."""
    options: dict[str, Any] = {}
    for layer in layers:
        network = network | _table(f"{where}.network", layer.get("network", {}))
        options |= {name: value for name, value in layer.items() if name != "network"}
    try:
        kind = find_algorithm(str(options.pop("algorithm", None)))
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from error
    return Variant(_options(where, kind, options), _options(f"{where}.network", Architecture, network))


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StudyError(f"{where} must be a table, got {value!r}")
    return value


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
