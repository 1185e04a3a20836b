"""A study's records as tables: `pg.lab.load("reinforce-cartpole").curves`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import torch

from pgcourse.algorithms import TrainedPolicy
from pgcourse.lab.records import MissingRecord, Record
from pgcourse.lab.studies import Study


@dataclass(frozen=True)
class Results:
    """The records of a study, verified: for each variant a list, one record a block of seeds."""

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
        returns = self.episodes.groupby(["variant", "seed"], sort=False)["return"]
        return returns.agg(episodes="size", mean_return="mean", sd="std").reset_index()

    @property
    def manifests(self) -> dict[str, list[dict[str, Any]]]:
        """How each record came to be: commit, machine, versions, seconds, digests."""
        return {variant: [record.manifest for record in records] for variant, records in self.records.items()}

    def policy(self, variant: str) -> TrainedPolicy:
        """The final policies of a variant, a row of θ for each seed, as `evaluate` takes them.

        Raises:
            KeyError: the study has no such variant.
            MissingRecord: its policies were not kept.
        """
        if variant not in self.records:
            raise KeyError(f"{self.study.name} has no variant {variant!r}; it has {', '.join(self.records)}")
        records = self.records[variant]
        if not all("theta" in record.tensors for record in records):
            remedy = f"set keep_policies = true in its study.toml, then: pgcourse study {self.study.name} --refresh"
            raise MissingRecord(f"{self.study.name} keeps no policies; {remedy}")
        policy, _ = self.study.networks()
        theta = torch.cat([record.tensors["theta"] for record in records])
        seeds = tuple(seed for record in records for seed in record.config["seeds"])
        return TrainedPolicy(policy, theta, seeds, self.study.env)

    def describe(self) -> str:
        """Where the numbers come from, in one line."""
        study, manifests = self.study, [each for blocks in self.manifests.values() for each in blocks]
        machines = [each["machine"] for each in manifests]
        commit = _listed((each["commit"] or "unknown")[:7] + " (changed)" * bool(each["dirty"]) for each in manifests)
        torch_version = _listed(machine["torch"] for machine in machines)
        cpu = _listed(f"{machine['cpu_model']} ({machine['cpu_capability']})" for machine in machines)
        seconds = sum(each["cpu_seconds"] for each in manifests)
        return (
            f"{study.name}: {study.env}, {len(self.records)} variants × {study.seeds} seeds × {study.steps:,} steps; "
            f"commit {commit}, torch {torch_version}, {cpu}, {seconds:.0f} s of CPU"
        )

    def _table(self, name: str) -> pd.DataFrame:
        tables = {
            variant: pd.concat([block.tables[name] for block in blocks]) for variant, blocks in self.records.items()
        }
        return pd.concat(tables, names=["variant"]).reset_index("variant").reset_index(drop=True)


def load(name: str) -> Results:
    """The records of a study.

    Raises:
        StudyError: no such study.
        MissingRecord, CorruptRecord, UnknownSchema: naming the record and the remedy.
    """
    study = Study.read(name)
    records: dict[str, list[Record]] = {variant: [] for variant in study.variants}
    for block in study.blocks():
        records[block.variant].append(study.store.read(block.run_id))
    return Results(study, records)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
