"""Conversion of tidy tables to arrays [seed, task, ...], and aggregates of learning curves at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcourse.stats.bootstrap import stratified_interval
from pgcourse.stats.iqm import iqm

if TYPE_CHECKING:
    import pandas as pd


def score_matrix(table: pd.DataFrame, y: str, task: str | None = None) -> NDArray[np.float64]:
    """Scores [seed, task] from a tidy table, a row per seed and task; `task` names the column that tells tasks apart.

    Tasks come in the order of the table, seeds are sorted within each.

    Raises:
        ValueError: a missing column, a seed that occurs twice, tasks with different numbers of seeds.
    """
    tasks = _by_task(table, y, task)
    for name, rows in tasks.items():
        if rows["seed"].duplicated().any():
            seed = rows["seed"][rows["seed"].duplicated()].iloc[0]
            raise ValueError(
                f"seed {seed} has several rows{_on(name)}: choose one variant, and average the episodes of a seed first"
            )
    return np.stack([rows.sort_values("seed")[y] for rows in tasks.values()], 1).astype(np.float64)


def on_common_steps(
    curves: pd.DataFrame, y: str = "return", *, task: str | None = None, steps: ArrayLike | int = 200
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(steps [step], values [seed, task, step]): every seed's learning curve on one axis of steps.

    Seeds report at steps of their own. Between two reports a curve is a straight line; reports without a value (no
    episode ended) are left out; nothing is extrapolated. `steps` is the axis itself, or how many equal steps to divide
    the range in which every run has reports.

    Raises:
        ValueError: a missing column, no common range, given steps outside it, a run that reports twice at one step.
    """
    tasks = {name: _runs(rows, y, name) for name, rows in _by_task(curves, y, task).items()}
    runs = [run for seeds in tasks.values() for run in seeds]
    first, last = max(x[0] for x, _ in runs), min(x[-1] for x, _ in runs)
    if first > last:
        raise ValueError(f"no step at which every run reports: one begins at {first:g}, another ends at {last:g}")
    if isinstance(steps, int | np.integer):
        axis = np.linspace(first, last, int(steps))
    else:
        axis = np.asarray(steps, dtype=np.float64)
    if axis.min() < first or axis.max() > last:
        raise ValueError(
            f"every run has reports from step {first:g} to {last:g}; steps were asked from {axis.min():g} to "
            f"{axis.max():g}, and curves are not extrapolated"
        )
    values = [[np.interp(axis, x, values) for x, values in seeds] for seeds in tasks.values()]
    return axis, np.stack(values, 1)


def sample_efficiency(
    curves: pd.DataFrame,
    rng: np.random.Generator,
    y: str = "return",
    *,
    task: str | None = None,
    steps: ArrayLike | int = 200,
    statistic: Callable[..., Any] = iqm,
    level: float = 0.95,
    resamples: int = 2_000,
) -> pd.DataFrame:
    """An aggregate over runs against environment steps: variant, step, estimate, low, high.

    Pointwise stratified bootstrap intervals (Agarwal et al., 2021), a run's whole curve drawn at once. Curves meet on
    the steps of `on_common_steps`, each variant in its own range. Without a column `variant` there is none.

    Raises:
        ValueError: as `on_common_steps` and `stratified_interval`.
    """
    import pandas as pd

    def aggregate(table: pd.DataFrame) -> pd.DataFrame:
        at, values = on_common_steps(table, y, task=task, steps=steps)
        interval = stratified_interval(values, rng, statistic, level, resamples)
        return pd.DataFrame({"step": at, **interval._asdict()})

    if "variant" not in curves:
        return aggregate(curves)
    variants = {name: aggregate(table) for name, table in curves.groupby("variant", sort=False)}
    return pd.concat(variants, names=["variant"]).reset_index("variant").reset_index(drop=True)


def mean_over_training(curves: pd.DataFrame, y: str = "return") -> pd.Series | pd.DataFrame:
    """Each seed's mean of `y` over its training, so that learning early counts: [seed].

    It is the area under the seed's curve, reports joined by straight lines, divided by the steps that it covers. With a
    column `variant` a table [seed, variant], in the table's order.

    Raises:
        ValueError: a missing column, a run without two reports of `y`, or with two at one step.
    """
    import pandas as pd

    if "variant" in curves:
        groups = curves.groupby("variant", sort=False)
        columns = {name: mean_over_training(rows.drop(columns="variant"), y) for name, rows in groups}
        return pd.DataFrame(columns).rename_axis(index="seed", columns="variant")
    rows = _by_task(curves, y, None)[None]
    means = {}
    for seed, reports in _reports(rows, y, None):
        if len(reports) < 2:
            raise ValueError(f"seed {seed} has fewer than two reports of {y!r}")
        means[seed] = np.trapezoid(reports[y], reports["step"]) / np.ptp(reports["step"])
    return pd.Series(means, name=y).rename_axis("seed")


def _by_task(table: pd.DataFrame, y: str, task: str | None) -> dict[Any, pd.DataFrame]:
    """The table of each task, in the table's order; each with the same number of seeds."""
    missing = [name for name in ("seed", y, task) if name is not None and name not in table]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}")
    tasks = {None: table} if task is None else dict(iter(table.groupby(task, sort=False)))
    seeds = {name: rows["seed"].nunique() for name, rows in tasks.items()}
    if len(set(seeds.values())) != 1 or not all(seeds.values()):
        raise ValueError(f"every task needs the same number of seeds, got {seeds or 'an empty table'}")
    return tasks


def _runs(rows: pd.DataFrame, y: str, task: Any) -> list[tuple[NDArray, NDArray]]:
    """(steps, values) of every seed's reports, in the order of the seeds."""
    return [
        (reports["step"].to_numpy(np.float64), reports[y].to_numpy(np.float64))
        for _, reports in _reports(rows, y, task)
    ]


def _reports(rows: pd.DataFrame, y: str, task: Any) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Every seed's reports that have a value, in the order of the steps."""
    for seed, reports in rows.groupby("seed"):
        reports = reports.dropna(subset=[y]).sort_values("step")
        if reports.empty:
            raise ValueError(f"seed {seed} has no value of {y!r}{_on(task)}: leave the seed out, or train it longer")
        if reports["step"].duplicated().any():
            raise ValueError(f"seed {seed} reports twice at one step{_on(task)}: choose one variant")
        yield seed, reports


def _on(task: Any) -> str:
    return "" if task is None else f" on {task}"
