"""Does a run still give the numbers of its record?

*repeated*: the first iterations are the record's bit for bit. *reproduced*: they are not, but computed in float64 they
agree with the record's fingerprint up to rounding; or, of whole runs, every claim that rests on them holds. *drifted*:
neither. *failed*: a record cannot be read, or a run not be computed.

Rounding on another processor grows from iteration to iteration, in float32 to the size of the numbers themselves within
six iterations of PPO: no tolerance tells it from a changed program there. In float64 it is far below one for as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pgcourse.lab.configurations import world_changes
from pgcourse.lab.provenance import constraints_hash, machine_differences
from pgcourse.lab.records import Record, metrics_digest
from pgcourse.lab.runs import INDEX, column_sizes, determined

VERDICTS = ("repeated", "reproduced", "drifted", "failed")  # from best to worst
LATER = ("clipped_actions",)  # metrics that the first records do not have
TOLERANCE = 1e-6  # between fingerprints, in units of the largest number of a column


@dataclass(frozen=True)
class Comparison:
    """A repetition of a run beside its record.

    `unequal` says where the first float32 numbers differ, and by how much; it is empty where all are equal bit for bit.
    `distance` is that of the fingerprints, and `farthest` the column that has it; None where they were not compared.
    `elsewhere` holds what may explain differences, {what: (here, when the record was made)}: machine, versions,
    constraints, code, world.
    """

    unequal: str
    elsewhere: dict[str, tuple[Any, Any]]
    distance: float | None = None
    farthest: str = ""

    @property
    def verdict(self) -> str:
        if not self.unequal:
            return "repeated"
        return "reproduced" if self.distance is not None and self.distance <= TOLERANCE else "drifted"


def study_verdict(
    comparisons: Sequence[Comparison], problems: Sequence[str] = (), claims: Mapping[str, str] | None = None
) -> str:
    """The verdict on a study: that of its worst run.

    Args:
        problems: why records could not be read or runs not be computed.
        claims: of whole runs, the claims that rest on the study: "" or why they do not hold. Where there are any, they
            decide about runs that are not repeated.
    """
    if problems:
        return "failed"
    worst = max((comparison.verdict for comparison in comparisons), key=VERDICTS.index, default="repeated")
    if worst == "repeated" or not claims:
        return worst
    return "drifted" if any(claims.values()) else "reproduced"


def compare(
    record: Record,
    tables: Mapping[str, pd.DataFrame],
    explanations: Mapping[str, tuple[Any, Any]] | None = None,
    twin: pd.DataFrame | None = None,
) -> Comparison:
    """Hold tables of a repetition, among them the `prefix` and perhaps the `fingerprint`, against those of a record.

    `twin` is as in `fingerprint_distance`. A metric that came later is in no older record, and says nothing against it.
    """
    tables = {name: _as_then(table, record.tables[name]) for name, table in tables.items()}
    kept = record.tables["prefix"]
    unequal = first_difference(kept, tables["prefix"]) or next(
        (
            f"{name}.csv differs, the first {kept['iteration'].max()} iterations do not"
            for name, table in tables.items()
            if name not in ("prefix", "fingerprint") and metrics_digest(table) != record.manifest["metrics"][name]
        ),
        "",
    )
    if "fingerprint" not in tables:
        return Comparison(unequal, dict(explanations or {}))
    apart = fingerprint_distance(record.tables["fingerprint"], tables["fingerprint"], twin)
    return Comparison(unequal, dict(explanations or {}), *apart)


def _as_then(now: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """A table without the metrics that came after a record was made."""
    return now.drop(columns=[name for name in LATER if name in now and name not in kept])


def fingerprint_distance(kept: pd.DataFrame, now: pd.DataFrame, twin: pd.DataFrame | None = None) -> tuple[float, str]:
    """max |x - y| over the numbers x that a fingerprint tells and a repetition's y, and the column where that is.

    In units of a column's largest |x| or |y|, compared or not: what is compared may be the rounding of 0. Infinite
    where there are other columns or rows, or nothing to compare. With a `twin` of the repetition, what comes out
    otherwise there, because rounding decides it, is not compared.
    """
    if sorted(kept.columns) != sorted(now.columns):
        return math.inf, ", ".join(sorted(set(kept.columns) ^ set(now.columns)))
    told, numbers = kept.set_index(INDEX), now.set_index(INDEX).reindex(kept.set_index(INDEX).index)
    sizes = column_sizes(pd.concat([told, numbers[told.columns]]))
    if twin is not None:
        other = twin.set_index(INDEX).reindex(told.index)[told.columns]
        told = told.where(determined(numbers[told.columns], other))
    if not told.notna().any(axis=None):
        return math.inf, "nothing is told"
    apart = (told - numbers[told.columns]).abs() / sizes
    worst = apart.fillna(math.inf).where(told.notna(), 0.0).max().to_dict()
    name = max(worst, key=lambda name: worst[name])
    return float(worst[name]), str(name)


def explanations(
    record: Record, machine: Mapping[str, Any], code: str, world: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What differs from when the record was made, {what: (here, then)}; the arguments are those of a repetition."""
    found = machine_differences(dict(machine), record.manifest["machine"])
    if changes := world_changes(record.manifest["world"], dict(world)):
        found["world"] = ("; ".join(changes), record.config["env"])
    digests = {"constraints": constraints_hash(), "source": code}
    changed = {name: digest for name, digest in digests.items() if digest != record.manifest[name]}
    return found | {name: (_short(digest), _short(record.manifest[name])) for name, digest in changed.items()}


def first_difference(kept: pd.DataFrame, now: pd.DataFrame) -> str:
    """Of two `prefix` tables, as far as the shorter one goes; "" where they are equal bit for bit.

    A metric that came after the first was made says nothing against it.
    """
    now = _as_then(now, kept)
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


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "unknown"
