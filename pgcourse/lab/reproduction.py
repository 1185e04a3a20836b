"""Does a run still give the numbers of its record? A record's own machine decides by bits; another one by rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pgcourse.lab.provenance import constraints_hash, differences, metrics_digest
from pgcourse.lab.records import Record

INDEX = ["seed", "iteration"]
# Between two kinds of machine the first iterations differ by rounding, before training has made it grow: by less than
# 1e-4 of the largest number where torch computes with or without vector instructions. What has changed in an update
# shows from its second iteration on.
EARLY = 3
ROUNDING = 1e-3


@dataclass(frozen=True)
class Comparison:
    """A repetition of a run beside its record.

    `unequal` says where the first numbers differ, and by how much; it is empty where all are equal bit for bit.
    `elsewhere` holds what may explain that, {what: (here, when the record was made)}: machine, versions, constraints.
    `rounding` is the largest difference in the first `EARLY` iterations, relative to the largest of like numbers.
    """

    unequal: str
    elsewhere: dict[str, tuple[Any, Any]]
    rounding: float

    @property
    def repeated(self) -> bool:
        return not self.unequal

    @property
    def agrees(self) -> bool:
        """The numbers are those of the record, up to the rounding of another kind of machine: at most `ROUNDING`."""
        return self.repeated or (bool(self.elsewhere) and self.rounding <= ROUNDING)


def compare(record: Record, tables: Mapping[str, pd.DataFrame], machine: Mapping[str, Any]) -> Comparison:
    """Hold tables of a repetition, among them the `prefix`, against those of a record.

    Args:
        machine: the fingerprint of the process that computed them.
    """
    elsewhere = differences(dict(machine), record.manifest["machine"])
    constraints = constraints_hash()
    if constraints != record.manifest["constraints"]:
        elsewhere["constraints"] = (_short(constraints), _short(record.manifest["constraints"]))
    kept = record.tables["prefix"]
    unequal = _first_difference(kept, tables["prefix"]) or next(
        (
            f"{name}.csv differs, the first {kept['iteration'].max()} iterations do not"
            for name, table in tables.items()
            if name != "prefix" and metrics_digest(table) != record.manifest["metrics"][name]
        ),
        "",
    )
    return Comparison(unequal, elsewhere, _rounding(kept, tables["prefix"]))


def _first_difference(kept: pd.DataFrame, now: pd.DataFrame) -> str:
    """Of two `prefix` tables, as far as the shorter one goes."""
    if list(kept.columns) != list(now.columns):
        changed = sorted(set(kept.columns) ^ set(now.columns))
        return f"other numbers are reported: {', '.join(changed) or 'in another order'}"
    both = kept.merge(now, on=INDEX, suffixes=("", " now")).sort_values(["iteration", "seed"], ignore_index=True)
    if both.empty:
        return "no iteration in common"
    names = kept.columns.drop(INDEX)
    before, after = both[names].to_numpy(np.float64), both[[f"{name} now" for name in names]].to_numpy(np.float64)
    rows, columns = np.nonzero((before != after) & ~(np.isnan(before) & np.isnan(after)))
    if not len(rows):
        return ""
    row, column = rows[0], columns[0]
    where = f"iteration {both['iteration'][row]}, seed {both['seed'][row]}"
    return f"{where}: {names[column]} was {before[row, column]:.9g}, is {after[row, column]:.9g}"


def _rounding(kept: pd.DataFrame, now: pd.DataFrame) -> float:
    """max |x - y| over the early iterations, in units of the largest |x| or |y| of the same column and iteration."""
    one, other = (table[table["iteration"] <= EARLY].set_index(INDEX) for table in (kept, now))
    if list(one.columns) != list(other.columns) or not one.index.equals(other.index):
        return np.inf
    if not one.isna().equals(other.isna()):
        return np.inf
    size = one.abs().combine(other.abs(), np.fmax).groupby("iteration").transform("max")
    return float(((one - other).abs() / size.where(size > 0, 1.0)).max().max())


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "unknown"
