"""Runs of one's own: runs/NAME/ is a study of one variant, declared by a command and kept where git does not look."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tomlkit

from pgcourse.algorithms import Algorithm, Architecture, TrainedPolicy
from pgcourse.algorithms.registry import name_of
from pgcourse.envs import versioned
from pgcourse.lab.errors import message
from pgcourse.lab.provenance import OtherClone, repository
from pgcourse.lab.records import (
    POLICY_LIMIT,
    Changed,
    ChangedWorld,
    CorruptRecord,
    MissingRecord,
    RecordError,
    write_whole,
)
from pgcourse.lab.results import Results, collect
from pgcourse.lab.studies import Study, StudyError, parse, study_names

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST_NAME = 100  # letters of a run: file systems allow 255 bytes, Windows 260 for a whole path
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file of Windows' may be called so
SPARE = 20_000_000  # bytes of disk that a run needs beside its policies: curves, a figure, evaluations


class RunError(StudyError):
    """A run cannot be begun, or cannot be used; the message says why, and what to do."""


def runs_folder() -> Path:
    """$PGCOURSE_RUNS, or runs/ in the course's repository, else in the working directory. It need not be there.

    Raises:
        RunError: the repository is not that of this package; a file is in the way.
    """
    try:
        folder = Path(os.environ.get("PGCOURSE_RUNS") or (repository() or Path()) / "runs")
    except OtherClone as error:
        raise RunError(str(error)) from None
    for each in (folder, *folder.parents):
        if each.exists():
            if not each.is_dir():
                raise RunError(f"runs are kept in {folder}, but {each} is a file: set PGCOURSE_RUNS to a folder")
            break
    return folder


def run_names() -> list[str]:
    """All runs that were begun."""
    return sorted(file.parent.name for file in runs_folder().glob("*/study.toml"))


def declaration(
    algorithm: Algorithm,
    network: Architecture,
    env: str,
    *,
    seeds: int,
    steps: int,
    workers: int,
    checkpoint_steps: int,
    evaluation_episodes: int,
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The content of a run's study.toml, every option written out. See `pgcourse.lab.studies`.

    Args:
        env: an id without a version is that of the newest one here, which is written down.
        workers: processes among which the seeds are divided.
        arguments: of the environment.

    Raises:
        RunError: `workers` does not divide `seeds`.
    """
    if seeds % workers:
        divisors = [n for n in range(1, seeds + 1) if seeds % n == 0]
        raise RunError(
            f"{workers} workers cannot share {seeds} seeds equally; take one of {', '.join(map(str, divisors))} workers"
        )
    kind, env = name_of(type(algorithm)), versioned(env)
    given = f" ({', '.join(f'{name}={value}' for name, value in arguments.items())})" if arguments else ""
    of_world = {"environments": {env: {"arguments": dict(arguments)}}} if arguments else {}
    return {
        "title": f"{type(algorithm).__name__} on {env}{given}",
        "env": env,
        "steps": steps,
        "seeds": seeds,
        "seeds_per_block": seeds // workers,
        "checkpoint_steps": checkpoint_steps,
        "evaluation_episodes": evaluation_episodes,
        "keep_policies": True,
        "network": _options(network),
        **of_world,
        "variants": {kind: {"algorithm": kind, **_options(algorithm)}},
    }


def begin(declared: dict[str, Any], name: str | None = None) -> Study:
    """The run with this declaration: the one that is there, else a new one, checked, with its study.toml written.

    Without a `name`, a new run is called by its algorithm and environment and the first number that is free.

    Raises:
        RunError: naming what is wrong and the remedy: a name that is no folder's or that of a study, or of a run with
            other options; an environment that is unknown, not supported or without a time limit; policies that are too
            large to be kept.
    """
    folder = _free_folder(declared) if name is None else _named_folder(declared, name)
    study = parse(folder, declared)
    if not (folder / "study.toml").is_file():
        _check(study)
        try:
            write_whole(folder / "study.toml", tomlkit.dumps(declared).encode())
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error}; set PGCOURSE_RUNS to a folder to write in") from error
    _check_disk(study)
    return study


def find(name: str) -> Study:
    """The run of this name.

    Raises:
        RunError: there is none, with the nearest names.
        StudyError: its declaration makes no sense to this version of pgcourse.
    """
    if name not in run_names():
        raise RunError(f"no run {name!r} in {runs_folder()}; {_near(name, run_names())}")
    return Study.at(runs_folder() / name)


def results(study: Study) -> Results:
    """The records of a run.

    Raises:
        RunError: it is not finished, or a record cannot be read; with the remedy.
    """
    again = f"pgcourse train --resume {study.name}"
    try:
        return collect(study)
    except MissingRecord:
        raise RunError(f"{study.name} is not finished; `{again}` goes on") from None
    except CorruptRecord as error:
        raise RunError(f"{error.path}: {error.what}; {anew(study, error)}") from None
    except RecordError as error:
        raise RunError(str(error)) from None


def anew(study: Study, error: RecordError) -> str:
    """What to do where a record of a run cannot be used, which the error tells."""
    keep = "; or keep it, and begin another run with --name" * isinstance(error, Changed)
    return f"delete that folder, then: pgcourse train --resume {study.name}{keep}"


def policies(name: str, at: float = 1.0) -> dict[str, TrainedPolicy]:
    """The policies that a name means, each by its name: RUN, or STUDY/VARIANT[/ENV]; STUDY stands for all of it.

    Those after the part `at` of the training: see `pgcourse.lab.Results.policy`.

    Raises:
        RunError: no such run, study, variant or environment, with the nearest names; a run that is not finished.
        StudyError, RecordError: as `pgcourse.lab.load`; a study that keeps no policies; a world that has changed.
    """
    if name in run_names():
        study = find(name)
        try:
            return {name: results(study).policy(next(iter(study.variants)), at=at)}
        except ChangedWorld as error:
            raise RunError(f"{error.path}: {error.what}; {anew(study, error)}") from None
    study_name, _, rest = name.partition("/")
    if study_name not in _studies():
        raise RunError(f"no run and no study {name!r}; {_near(name, [*run_names(), *_studies()])}")
    kept = collect(Study.read(study_name))
    several = len(kept.study.environments) > 1
    of = {
        f"{variant}/{env}" if several else variant: (variant, env)
        for variant, envs in kept.study.variants.items()
        for env in envs
    }
    chosen = {each: pair for each, pair in of.items() if rest in ("", each, pair[0])}
    if not chosen:
        raise RunError(f"{study_name} has no variant {rest!r}; it has {', '.join(of)}")
    return {f"{study_name}/{each}": kept.policy(*pair, at) for each, pair in chosen.items()}


def policy(name: str, at: float = 1.0) -> TrainedPolicy:
    """The one policy, of all its seeds, that a name means. Raises as `policies`, and where it means several."""
    found = policies(name, at)
    if len(found) > 1:
        raise RunError(f"{name} has several variants: choose one of {', '.join(map(repr, found))}")
    return next(iter(found.values()))


def picture(name: str, seed: int, at: float = 1.0) -> Path:
    """Where a film of a policy goes: into the run's folder; one of a study into the working directory."""
    which = f"seed-{seed}" if at == 1 else f"seed-{seed}-at-{at:g}"
    if name in run_names():
        return runs_folder() / name / f"{which}.gif"
    return Path(f"{re.sub('[^A-Za-z0-9._-]+', '-', name)}-{which}.gif")


def _options(options: Any) -> dict[str, Any]:
    values = dataclasses.asdict(options)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _free_folder(declared: dict[str, Any]) -> Path:
    """Of the folders called by algorithm, environment and number the first that holds this run or nothing."""
    (variant,) = declared["variants"]
    stem = re.sub("[^A-Za-z0-9._-]+", "-", f"{variant.rpartition(':')[2]}-{declared['env']}")[:LONGEST_NAME]
    number = 1
    while (folder := runs_folder() / f"{stem}-{number}").exists() and _differences(folder, declared) != []:
        number += 1
    return folder


def _named_folder(declared: dict[str, Any], name: str) -> Path:
    if not NAME.fullmatch(name):
        raise RunError(
            f"{name!r} cannot be a run's name: it is a folder's, of letters, digits, dots, - and _, and begins with a "
            "letter or digit"
        )
    if len(name) > LONGEST_NAME:
        raise RunError(f"a run's name has {LONGEST_NAME} letters at most, got {len(name)}: {name[:20]}...")
    if DEVICES.fullmatch(name) or name.endswith("."):
        raise RunError(f"{name!r} cannot be a run's name: on Windows no folder can be called so; choose another --name")
    if name in _studies():
        raise RunError(f"{name!r} is a study in results/; choose another --name")
    folder = runs_folder() / name
    differences = _differences(folder, declared) if (folder / "study.toml").is_file() else []
    if differences is None:
        raise RunError(f"{folder / 'study.toml'} is no declaration of a run; choose another --name")
    if differences:
        raise RunError(f"there is a run {name!r} with other options: {'; '.join(differences)}. Choose another --name")
    return folder


def _differences(folder: Path, declared: dict[str, Any]) -> list[str] | None:
    """Where what a folder declares differs from `declared`; None where it declares nothing that can be read."""
    try:
        there = dict(_flat(tomllib.loads((folder / "study.toml").read_text("utf-8-sig"))))
    except (OSError, ValueError):
        return None
    here = dict(_flat(declared))
    names = [name for name in {**there, **here} if name != "title" and there.get(name) != here.get(name)]
    return [f"{name} is {there.get(name, 'not given')} there, {here.get(name, 'not given')} here" for name in names]


def _flat(declared: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Options by their own names, without those of the tables around them; arguments of the environment apart."""
    for name, value in declared.items():
        if name == "arguments":
            yield from ((f"env-arg {each}", given) for each, given in value.items())
        elif isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value


def _check(study: Study) -> None:
    """Fail now where training, storing or the final evaluation would fail later."""
    (block, *_) = study.blocks()
    try:
        _check_size(study, block.networks()[0].size)  # before anything of that size is made
        policy = block.policy()
    except ValueError as error:
        raise RunError(message(error.__cause__ or error)) from error
    if block.world["time_limit"] is None:
        raise RunError(
            f"{study.env} has no time limit, so episodes may never end, those of the final evaluation neither; "
            "give it one with --env-arg max_episode_steps=1000"
        )
    _check_size(study, policy.size)


def _check_size(study: Study, parameters: int) -> None:
    """Whether the policies, with so many parameters a seed, can be kept."""
    (block, *_), size = study.blocks(), parameters * 4
    if size > POLICY_LIMIT:
        raise RunError(
            f"θ of one seed takes {size:,} bytes, and a record holds {POLICY_LIMIT:,} at most: take smaller layers "
            "with --hidden, or use `pg.train` in Python and keep the policy yourself with `run.policy.save`"
        )
    if len(block.seeds) * size > POLICY_LIMIT:
        workers = next(
            n for n in range(1, study.seeds + 1) if study.seeds % n == 0 and study.seeds // n * size <= POLICY_LIMIT
        )
        raise RunError(
            f"θ of {len(block.seeds)} seeds takes {len(block.seeds) * size:,} bytes, and a record holds "
            f"{POLICY_LIMIT:,} at most: divide the seeds with --workers {workers}"
        )


def _check_disk(study: Study) -> None:
    """A disk that is full loses what came after the last checkpoint: better not to begin."""
    needed = SPARE + 2 * POLICY_LIMIT * len(study.blocks())
    try:
        free = shutil.disk_usage(study.folder).free
    except OSError:  # a file system that does not say
        return
    if free < needed:
        raise RunError(
            f"the disk of {study.folder} has {free:,} bytes left, and a run should find {needed:,}: make room, or set "
            "PGCOURSE_RUNS to a folder on another disk"
        )


def _studies() -> list[str]:
    with suppress(StudyError):  # there need be no results folder
        return study_names()
    return []


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are: {', '.join(known)}" if known else "`pgcourse train` makes one"
