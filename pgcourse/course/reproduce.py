"""Recomputes committed records on this machine and compares the results with them.

`pgcourse.lab.reproduction` says what the verdicts mean. What a run's fingerprint is, is computed only where its first
iterations are not the record's bit for bit.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from pgcourse.course.runner import Result, find_chapters
from pgcourse.lab import (
    Block,
    Checkpoints,
    Record,
    RecordError,
    Study,
    compute,
    compute_prefix,
    engines,
    machine,
    repeat_fingerprint,
    store,
)
from pgcourse.lab.configurations import canonical
from pgcourse.lab.provenance import constraints_hash, machine_differences
from pgcourse.lab.reproduction import (
    Comparison,
    compare,
    explanations,
    first_difference,
    study_verdict,
)
from pgcourse.lab.runs import NUDGE

Follow: TypeAlias = Callable[
    [Generator[engines.Event, None, None], Sequence[str], Sequence[float], str],
    Iterable[engines.Done | engines.Failed],
]
RunChapters: TypeAlias = Callable[[Sequence[Path], Path, Path], Sequence[Result]]
TOGETHER = 20.0  # seconds of prefixes that one process computes: most are shorter than its start


@dataclass
class Verdict:
    """On one study. `problems` says of each run that could not be compared why; both are by the run's title."""

    study: Study
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    claims: dict[str, str] | None = None  # those that rest on the study: "" or why they do not hold; None if not asked

    @property
    def verdict(self) -> str:
        return study_verdict([*self.comparisons.values()], [*self.problems], self.claims)

    @property
    def elsewhere(self) -> dict[str, tuple[Any, Any]]:
        return {what: pair for each in self.comparisons.values() for what, pair in each.elsewhere.items()}

    @property
    def unequal(self) -> dict[str, Comparison]:
        return {run: each for run, each in self.comparisons.items() if each.unequal}

    def to_json(self) -> dict[str, Any]:
        document = {
            "study": self.study.name,
            "runs": len(self.study.blocks()),
            "verdict": self.verdict,
            "unequal": {run: each.unequal for run, each in self.unequal.items()},
            "distance": {run: _number(each.distance) for run, each in self.unequal.items()},
            "problems": self.problems,
            "elsewhere": {what: {"here": here, "there": there} for what, (here, there) in self.elsewhere.items()},
        }
        return document if self.claims is None else document | {"claims": self.claims}


def reproduce(
    studies: Sequence[Study],
    root: Path,
    follow: Follow,
    run_chapters: RunChapters,
    workers: int | None = None,
    *,
    full: bool = False,
) -> list[Verdict]:
    """Compute the studies again, by default the first iterations of each run, and hold them against their records.

    With `full` whole runs are computed, in `root`/_build/reproduce; an interrupted reproduction goes on from there.

    Args:
        follow: shows an engine's events on their way.
        run_chapters: executes notebooks, given with a folder for the copies and the folder of studies.
    """
    verdicts = {study.name: Verdict(study) for study in studies}
    found: list[tuple[Block, Record]] = []
    for block in (block for study in studies for block in study.blocks()):
        try:
            found.append((block, block.record()))
        except RecordError as error:
            verdicts[block.study.name].problems[block.title] = f"{type(error).__name__}: {error}"
    repeat = partial(_whole_runs, build=root / "_build" / "reproduce") if full else _prefixes
    for block, outcome in repeat(found, follow, workers):
        verdict = verdicts[block.study.name]
        if isinstance(outcome, str):
            verdict.problems[block.title] = outcome
        else:
            verdict.comparisons[block.title] = outcome
    if full:
        _ask_the_claims([each for each in verdicts.values() if each.unequal and not each.problems], root, run_chapters)
    return list(verdicts.values())


def _number(distance: float | None) -> float | None:
    """JSON knows no infinity."""
    return None if distance is None else min(distance, 1e300)


Found: TypeAlias = tuple[Block, Record]
Outcome: TypeAlias = Comparison | str  # or why a run could not be computed


def _prefixes(found: Sequence[Found], follow: Follow, workers: int | None) -> Iterable[tuple[Block, Outcome]]:
    """Each run's first iterations beside its record. A run that several studies have is computed once."""
    alike: dict[str, list[Found]] = {}
    for block, record in found:
        alike.setdefault(canonical(block.configuration), []).append((block, record))
    groups = _grouped(list(alike.values()))
    sizes = [sum(map(_seconds, group)) for group in groups]
    names = [" and ".join(dict.fromkeys(block.study.name for run in group for block, _ in run)) for group in groups]
    events = engines.local(_compare_prefixes, groups, workers)
    for event in follow(events, names, sizes, f"{len(found)} runs"):
        blocks = [block for run in groups[event.task] for block, _ in run]
        outcomes = [event.error] * len(blocks) if isinstance(event, engines.Failed) else event.result
        yield from zip(blocks, outcomes, strict=True)


def _grouped(runs: Sequence[list[Found]]) -> list[list[list[Found]]]:
    """Neighbours that take about `TOGETHER`; the longest groups come first, so that no processor waits in the end."""
    groups: list[list[list[Found]]] = []
    full = True
    for run in runs:
        if full:
            groups.append([])
        groups[-1].append(run)
        full = sum(map(_seconds, groups[-1])) >= TOGETHER
    return sorted(groups, key=lambda group: -sum(map(_seconds, group)))


def _seconds(run: list[Found]) -> float:
    """About how long its first iterations take, by its record."""
    record = run[0][1]
    kept, last = record.tables["prefix"], record.tables["fingerprint"]["iteration"].max()
    steps = kept.loc[kept["iteration"] <= last, "step"].max()
    return float(record.manifest["cpu_seconds"] * steps / record.config["steps"])


def _compare_prefixes(group: Sequence[list[Found]], report: engines.Report) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for done, run in enumerate(group, 1):
        try:
            outcomes += _compare_prefix(run)
        except Exception:  # of whatever kind: the other runs are to be compared all the same
            outcomes += [traceback.format_exc().strip()] * len(run)
        report(done / len(group))
    return outcomes


def _compare_prefix(run: list[Found]) -> list[Comparison]:
    """Where bits differ from the first iteration on, further ones tell nothing that the fingerprint does not.

    Where that differs, too, a twin tells whether rounding has grown so far.
    """
    block, _ = run[0]

    def differs(table: pd.DataFrame) -> bool:
        return any(first_difference(record.tables["prefix"], table) for _, record in run)

    def compared(tables: Mapping[str, pd.DataFrame], twin: pd.DataFrame | None = None) -> list[Comparison]:
        here = machine(), block.code, block.world
        return [compare(record, tables, explanations(record, *here), twin) for _, record in run]

    prefix = compute_prefix(block, differs)
    if not differs(prefix):
        return compared({"prefix": prefix})
    iterations = max(record.tables["fingerprint"]["iteration"].max() for _, record in run)
    tables = {"prefix": prefix, "fingerprint": repeat_fingerprint(block, iterations)}
    found = compared(tables)
    if any(each.verdict == "drifted" for each in found):
        found = compared(tables, repeat_fingerprint(block, iterations, NUDGE))
    return found


def _whole_runs(
    found: Sequence[tuple[Block, Record]], follow: Follow, workers: int | None, build: Path
) -> Iterable[tuple[Block, Outcome]]:
    """Each run, computed into studies of the same names under `build`, beside its record."""
    copies = [_elsewhere(block, build / "results") for block, _ in found]
    tasks = [(copy, Checkpoints(build / "checkpoints" / copy.study.name)) for copy in copies if not _is_current(copy)]
    names = [f"{copy.study.name}: {copy.title}" for copy, _ in tasks]
    sizes = [copy.environment.steps * len(copy.seeds) for copy, _ in tasks]
    problems: dict[tuple[str, str], str] = {}
    events = engines.local(_compute_run, tasks, workers)
    for event in follow(events, names, sizes, f"{len(tasks)} runs"):
        copy, checkpoints = tasks[event.task]
        if isinstance(event, engines.Failed):
            problems[copy.study.name, copy.title] = event.error
        else:
            store(copy, event.result, checkpoints, replace=True)
    for (block, record), copy in zip(found, copies, strict=True):
        if problem := problems.get((copy.study.name, copy.title)):
            yield block, problem
        else:
            again = copy.record()
            made = again.manifest
            yield (
                block,
                compare(
                    record,
                    again.tables,
                    explanations(record, made["machine"], made["source"], made["world"]),
                    twin=again.tables["fingerprint"],  # what is not told there is not compared
                ),
            )


def _compute_run(task: tuple[Block, Checkpoints], report: engines.Report) -> Any:
    block, checkpoints = task
    return compute(block, report, checkpoints)


def _elsewhere(block: Block, results: Path) -> Block:
    """The same run of a study of the same name in another results folder."""
    folder = results / block.study.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(block.study.folder / "study.toml", folder / "study.toml")
    return dataclasses.replace(block, study=dataclasses.replace(block.study, folder=folder))


def _is_current(block: Block) -> bool:
    """Whether the run is there from an earlier attempt, by the same code on the same machine in the same world."""
    try:
        manifest = block.record().manifest
    except RecordError:
        return False
    made = (manifest["source"], manifest["constraints"], manifest["world"])
    return made == (block.code, constraints_hash(), block.world) and not machine_differences(
        machine(), manifest["machine"]
    )


def _ask_the_claims(verdicts: Sequence[Verdict], root: Path, run_chapters: RunChapters) -> None:
    """Execute the chapters that use the studies on their new records, and note which claims hold."""
    chapters = [
        chapter
        for chapter in find_chapters(root)
        if any(json.dumps(verdict.study.name)[1:-1] in chapter.read_text("utf-8") for verdict in verdicts)
    ]
    if not chapters:
        return
    build = root / "_build" / "reproduce"
    results = run_chapters(chapters, build, build / "results")
    for verdict in verdicts:
        verdict.claims = _claims_on(verdict.study.name, results)


def _claims_on(study: str, results: Sequence[Result]) -> dict[str, str]:
    return {
        f"{result.chapter}: {claim.name}": result.claims_failed.get(claim.name, "")
        for result in results
        for claim in result.claims
        if study in claim.rests_on
    }
