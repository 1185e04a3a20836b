"""A study's records as tables: `pg.lab.load("reinforce-cartpole").curves`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import torch

from pgcourse.algorithms import Run, TrainedPolicy
from pgcourse.core import Streams
from pgcourse.lab.configurations import canonical, world_changes, world_source
from pgcourse.lab.records import MissingRecord, Record
from pgcourse.lab.runs import single
from pgcourse.lab.studies import Block, Study, results_folder, stage_name, study_names


@dataclass(frozen=True)
class Results:
    """The records of a study, verified: for each variant a list, one record an environment and block of seeds.

    Tables have a column `env` where the study has several environments.
    """

    study: Study
    records: dict[str, list[Record]]

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Learning curves: variant, seed, step, episodes, return, length and the algorithm's metrics.

        A row per variant, seed and report. `step` counts the seed's environment steps so far; `return` and `length` are
        means over the episodes that ended since the report before, undiscounted, and NaN where none did.
        """
        return self._table("curves")

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """Every episode of the final evaluation: variant, seed, episode, return, length."""
        return self._table("evaluations")

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """The final policy of each seed: variant, seed, episodes, mean_return, sd (between the seed's episodes)."""
        returns = self.episodes.groupby([*self._names, "seed"], sort=False)["return"]
        return returns.agg(episodes="size", mean_return="mean", sd="std").reset_index()

    @property
    def manifests(self) -> dict[str, list[dict[str, Any]]]:
        """How each record came to be: commit, machine, versions, seconds, digests."""
        return {variant: [record.manifest for record in records] for variant, records in self.records.items()}

    def on(self, env: str) -> Results:
        """The results in one environment of several, as if the study had no other. Raises `StudyError` without it."""
        study = self.study.on(env)
        kept = {name: [each for each in self.records[name] if each.config["env"] == env] for name in study.variants}
        return Results(study, kept)

    def policy(self, variant: str, env: str | None = None, at: float = 1.0) -> TrainedPolicy:
        """The policies of a variant, a row of θ for each seed, as `evaluate` takes them; the final ones by default.

        Those of an EnvPool simulator act in Gymnasium's where EnvPool is not installed.

        Args:
            env: in which environment, where the study has several.
            at: after which part of the training: 0 is before it began, which follows from the seeds and is there for
                every study; others are the study's `stages`.

        Raises:
            KeyError: the study has no such variant.
            StudyError: it has no such environment, or several and none is named.
            MissingRecord: its policies were not kept, or not those of that stage.
            ChangedWorld: the world is not the one any more in which they were trained; the message says what differs.
        """
        if variant not in self.records:
            raise KeyError(f"{self.study.name} has no variant {variant!r}; it has {', '.join(self.records)}")
        results = self.on(env or self.study.env)
        records = results.records.get(variant, [])
        if not records:
            raise MissingRecord(f"{self.study.name} has no run of {variant!r} in {results.study.env!r}")
        if at != 0 and not all("theta" in record.tensors for record in records):
            remedy = f"set keep_policies = true in its study.toml, then: pgcourse study {self.study.name} --refresh"
            raise MissingRecord(f"{self.study.name} keeps no policies; {remedy}")
        block = next(block for block in results.study.blocks() if block.variant == variant)
        where = block.played_in
        for record in records if where == block.environment else ():
            block.check_world(record)
        seeds = tuple(seed for record in records for seed in record.config["seeds"])
        name = "theta" if at == 1 else stage_name(at)
        if at == 0:
            theta = block.algorithm.init(*block.networks(where.name), Streams(seeds).child("init")).theta
        elif all(name in record.tensors for record in records):
            theta = torch.cat([record.tensors[name] for record in records])
        else:
            stages = [each.removeprefix(stage_name("")) for each in records[0].tensors if each != "theta"]
            raise MissingRecord(
                f"{self.study.name} keeps no policies after {at:g} of the steps, but after {', '.join(['0', *stages])} "
                "and 1; others are kept where its study.toml lists them among stages when it is computed"
            )
        return TrainedPolicy(block.policy(where.name), theta, seeds, where.name, where.arguments)

    def describe(self) -> str:
        """Where the numbers come from, in one line."""
        study, manifests = self.study, [each for blocks in self.manifests.values() for each in blocks]
        machines = [each["machine"] for each in manifests]
        commit = _listed((each["commit"] or "unknown")[:7] + " (changed)" * bool(each["dirty"]) for each in manifests)
        torch_version = _listed(machine["torch"] for machine in machines)
        cpu = _listed(f"{machine['cpu_model']} ({machine['cpu_capability']})" for machine in machines)
        seconds = sum(each["cpu_seconds"] for each in manifests)
        steps = _listed(f"{environment.steps:,}" for environment in study.environments.values())
        variants = f"{len(self.records)} variants × " if len(self.records) > 1 else ""
        return (
            f"{study.name}: {', '.join(study.environments)}, {variants}{study.seeds} seeds × {steps} steps; "
            f"commit {commit}, torch {torch_version}, {cpu}, {seconds:.0f} s of CPU"
        )

    @property
    def _names(self) -> list[str]:
        """The columns that say of which run a row is."""
        return ["variant", "env"] if len(self.study.environments) > 1 else ["variant"]

    def _table(self, name: str) -> pd.DataFrame:
        tables = []
        for variant, records in self.records.items():
            for record in records:
                names = {"variant": variant, "env": record.config["env"]}
                tables.append(record.tables[name].assign(**names))
        table = pd.concat(tables, ignore_index=True)
        return table[[*self._names, *table.columns.drop(["variant", "env"])]]


def load(name: str) -> Results:
    """The records of a study. Where one is of a world that has changed since, a warning says so.

    Raises:
        StudyError: no such study.
        MissingRecord, CorruptRecord, UnknownSchema: naming the record and the remedy.
    """
    results = collect(Study.read(name))
    for said in changed_worlds(results):
        warnings.warn(said, stacklevel=2)
    return results


def collect(study: Study) -> Results:
    """The records of a study, wherever it is. Raises as `load`."""
    records: dict[str, list[Record]] = {variant: [] for variant in study.variants}
    for block in study.blocks():
        records[block.variant].append(block.record())
    return Results(study, records)


def changed_worlds(results: Results) -> Iterator[str]:
    """What differs in the sources of worlds; nothing is said of those that are not installed here."""
    for env in results.study.environments:
        try:
            now = {"source": world_source(env)}
        except (ImportError, gymnasium.error.Error):
            continue
        kept = {canonical(each.manifest["world"]): each for each in chain(*results.records.values())
                if each.config["env"] == env}  # fmt: skip
        for record in kept.values():
            if None not in now["source"].values() and (said := world_changes(record.manifest["world"], now)):
                yield f"{results.study.name}: {env} has changed since these records were made: {'; '.join(said)}"


def published(env: str | None = None, algorithm: str | None = None) -> pd.DataFrame:
    """What others report: environment, algorithm, env_steps, score, spread, spread_kind, seeds, metric, source.

    `metric` says what the score is a mean of; scores of different metrics are not alike. `env` selects all versions of
    an environment: "Reacher-v5" and "envpool:Reacher-v5" find the rows of Reacher-v2. `algorithm` is that of the table,
    such as "PPO".

    Raises:
        StudyError: the folder of studies is not there.
    """
    table = pd.read_csv(results_folder() / "published.csv")
    if env is not None:
        name = env.rpartition(":")[2].partition("-v")[0]
        table = table[table["environment"].str.partition("-v")[0] == name]
    if algorithm is not None:
        table = table[table["algorithm"] == algorithm]
    return table.reset_index(drop=True)


def beside_published(*ours: tuple[Results, str]) -> pd.DataFrame:
    """Our records' variants, each followed by what others report of its algorithm and environment: a table to show.

    Our score is the mean over seeds of the final policies' returns, actions sampled, with its standard deviation. What
    a source does not say is said to be so.
    """
    rows: list[tuple[Any, ...]] = []
    for results, variant in ours:
        (env,) = results.study.environments
        score = results.evaluations.query("variant == @variant")["mean_return"]
        algorithm = type(results.study.variants[variant][env].algorithm).__name__
        mine = (env, f"{algorithm}, here: {variant}" if variant != algorithm else f"{algorithm}, here")
        what = "final policies, actions sampled"
        rows.append((*mine, results.study.steps, score.mean(), score.std(), len(score), what, results.study.name))
        for other in published(env, algorithm).itertuples():
            spread = other.spread if other.spread_kind == "sd" else None
            theirs = (other.env_steps, other.score, spread, other.seeds, other.metric, other.source)
            rows.append((other.environment, algorithm, *theirs))
    columns = ["environment", "algorithm", "steps", "score", "sd", "seeds", "score of", "source"]
    table = pd.DataFrame(rows, columns=columns)
    said = {"steps": "{:,.0f}", "score": "{:.4g}", "sd": "{:.3g}", "seeds": "{:.0f}"}
    for column, form in said.items():
        table[column] = [form.format(x) if pd.notna(x) else "not said" for x in table[column]]
    return table


def percentile(run: Run, study: str | None = None, variant: str | None = None) -> pd.DataFrame:
    """Where each seed of a run of your own lies among the reference seeds of a record.

    Compared is the mean return of the training episodes in the last tenth of the steps that both have seen; where step
    sizes are annealed, only runs of equal length are alike. A row for each seed: `seed`, `return`, `better_than` (how
    many of the `of` reference seeds did worse; a tie counts half) and `percentile` (that share, in %).

    Args:
        run: what `pg.train` returned.
        study, variant: with what to compare. Without them: the variant with the run's own environment and
            hyper-parameters, or else the only one with its environment and algorithm.

    Raises:
        ValueError: no variant is meant, or more than one (the message lists them), or the study's environment is
            another one, or too few episodes have ended to compare.
        StudyError, RecordError: as `load`.
    """
    name, variant = _reference(run, study, variant)
    results = load(name).on(str(run.policy.env))
    curves = results.curves[results.curves["variant"] == variant]
    steps = min(table.groupby("seed")["step"].max().min() for table in (run.curves, curves))
    own, reference = late_returns(single(run.curves), steps), late_returns(curves, steps)
    better = np.array([(reference < each).sum() + (reference == each).sum() / 2 for each in own])
    table = pd.DataFrame(
        {
            "seed": own.index,
            "return": own.to_numpy(),
            "better_than": better,
            "of": len(reference),
            "percentile": 100 * better / len(reference),
        }
    )
    return table.rename_axis(columns=f"beside {name}: {variant}")


def _reference(run: Run, study: str | None, variant: str | None) -> tuple[str, str]:
    """The study and the variant that a run is to be compared with."""
    env = str(run.policy.env)
    found: dict[tuple[str, str], list[Block]] = {}
    for name in study_names() if study is None else [study]:
        declared = Study.read(name)
        if study is not None and env not in declared.environments:
            envs = ", ".join(map(repr, declared.environments))
            raise ValueError(f"the run is of {env!r}, study {study} of {envs}")
        for block in declared.blocks():
            if block.env == env and variant in (None, block.variant):
                found.setdefault((name, block.variant), []).append(block)
    alike = {name: blocks for name, blocks in found.items() if type(blocks[0].algorithm) is type(run.algorithm)}
    equal = {name: blocks for name, blocks in alike.items() if blocks[0].algorithm == run.algorithm}
    for fitting in (found, equal, alike):
        # A record may belong to several studies.
        if len({tuple(canonical(block.configuration) for block in blocks) for blocks in fitting.values()}) == 1:
            return next(iter(fitting))
    choices = "; ".join(f"study={name!r}, variant={each!r}" for name, each in equal or alike or found)
    problem = "more than one record fits" if choices else "no record fits"
    raise ValueError(
        f"{problem} {type(run.algorithm).__name__} on {run.policy.env!r}; "
        + (f"choose one: {choices}" if choices else f"studies: {', '.join(study_names())}")
    )


def late_returns(curves: pd.DataFrame, steps: int) -> pd.Series:
    """For each seed the mean return of the episodes reported in the last tenth of `steps`, else in the last before.

    Raises:
        ValueError: a seed has ended no episode.
    """
    ended = curves[(curves["step"] <= steps) & (curves["episodes"] > 0)]
    if missing := sorted(set(curves["seed"].tolist()) - set(ended["seed"])):
        raise ValueError(f"seeds {missing} have ended no episode in {steps:,} steps: train for longer")
    last = ended.groupby("seed")["step"].transform("max")
    late = ended[ended["step"] > np.minimum(0.9 * steps, last - 1)]
    total = (late["return"] * late["episodes"]).groupby(late["seed"]).sum()
    return total / late.groupby("seed")["episodes"].sum()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
