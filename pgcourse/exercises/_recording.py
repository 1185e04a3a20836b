"""Shared by scripts that record the anonymous runs of an exercise, whose faults learners find by their symptoms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

Sign = Callable[[pd.DataFrame], bool]  # what tells a run from the others, in the table of one seed


def record(
    names: Iterable[str],
    table: Callable[[str, Iterable[int]], pd.DataFrame],
    signs: Mapping[str, Sign],
    path: Path,
    seeds: list[int],
) -> None:
    """Write the runs of seeds 0 to 2 to `path`; with `seeds`, print of how many of them each run shows which sign."""
    tables = pd.concat([table(name, seeds or range(3)) for name in names])
    if seeds:
        for run, rows in tables.groupby("run"):
            print(run, {sign: sum(bool(shows(t)) for _, t in rows.groupby("seed")) for sign, shows in signs.items()})
    else:
        tables.round(3).to_csv(path, index=False)
