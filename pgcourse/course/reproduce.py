"""Are the committed records still what this code gives, on this machine?

A study is *repeated* where every run gives its record bit for bit. Elsewhere than on the kind of machine that made the
record it is *reproduced* where the difference is rounding: in the first iterations of every run, or, of whole runs, as
far as every claim that rests on the study holds. Otherwise it has *drifted*. Where a record cannot be read or a run not
be computed it has *failed*.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from pgcourse.course.runner import Result, find_chapters
from pgcourse.lab import Block, Checkpoints, Record, RecordError, Study, compute, compute_prefix, engines, store
from pgcourse.lab.provenance import constraints_hash, differences, fingerprint, source_digest
from pgcourse.lab.reproduction import Comparison, compare

VERDICTS = ("repeated", "reproduced", "drifted", "failed")  # from best to worst
Follow: TypeAlias = Callable[
    [Generator[engines.Event, None, None], Sequence[str], Sequence[float], str],
    Iterable[engines.Done | engines.Failed],
]
RunChapters: TypeAlias = Callable[[Sequence[Path], Path, Path], Sequence[Result]]
TOGETHER = 8  # prefixes that one process computes: most are shorter than its start


class Repetition(NamedTuple):
    """What a run gave when it was computed again, and on what."""

    tables: dict[str, pd.DataFrame]
    machine: dict[str, Any]


@dataclass
class Verdict:
    """On one study. `problems` says of each run that is not repeated why; `elsewhere` what may explain differences."""

    study: Study
    full: bool
    comparisons: dict[str, Comparison] = field(default_factory=dict)  # by run id
    problems: dict[str, str] = field(default_factory=dict)  # by run id
    claims: dict[str, str] | None = None  # those that rest on the study: "" or why they do not hold; None if not asked

    @property
    def verdict(self) -> str:
        if self.problems:
            return "failed"
        if all(comparison.repeated for comparison in self.comparisons.values()):
            return "repeated"
        if not all(comparison.repeated or comparison.elsewhere for comparison in self.comparisons.values()):
            return "drifted"  # on the very machine that made the record
        if self.full:
            return "reproduced" if self.claims and not any(self.claims.values()) else "drifted"
        return "reproduced" if all(each.agrees for each in self.comparisons.values()) else "drifted"

    @property
    def elsewhere(self) -> dict[str, tuple[Any, Any]]:
        return {what: pair for each in self.comparisons.values() for what, pair in each.elsewhere.items()}

    def to_json(self) -> dict[str, Any]:
        unequal = {run: each.unequal for run, each in self.comparisons.items() if each.unequal}
        document = {
            "study": self.study.name,
            "runs": len(self.study.blocks()),
            "verdict": self.verdict,
            "unequal": unequal,
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
    verdicts = [Verdict(study, full) for study in studies]
    records: dict[tuple[str, str], Record] = {}
    for verdict in verdicts:
        for block in verdict.study.blocks():
            try:
                records[verdict.study.name, block.run_id] = block.study.store.read(block.run_id)
            except RecordError as error:
                verdict.problems[block.run_id] = f"{type(error).__name__}: {error}"
    of = {verdict.study.name: verdict for verdict in verdicts}
    blocks = [block for study in studies for block in study.blocks() if (study.name, block.run_id) in records]
    repeat = partial(_whole_runs, build=root / "_build" / "reproduce") if full else _prefixes
    for block, outcome in repeat(blocks, follow, workers):
        verdict = of[block.study.name]
        if isinstance(outcome, str):
            verdict.problems[block.run_id] = outcome
        else:
            record = records[block.study.name, block.run_id]
            verdict.comparisons[block.run_id] = compare(record, outcome.tables, outcome.machine)
    if full:
        _ask_the_claims([verdict for verdict in verdicts if verdict.verdict == "drifted"], root, run_chapters)
    return verdicts


def _prefixes(blocks: Sequence[Block], follow: Follow, workers: int | None) -> Iterable[tuple[Block, Repetition | str]]:
    """Each run's first iterations, or why they could not be computed."""
    groups = [blocks[first : first + TOGETHER] for first in range(0, len(blocks), TOGETHER)]
    names = [" and ".join(dict.fromkeys(block.study.name for block in group)) for group in groups]
    events = engines.local(_compute_prefixes, groups, workers)
    for event in follow(events, names, [len(group) for group in groups], f"{len(blocks)} runs"):
        group = groups[event.task]
        outcomes = [event.error] * len(group) if isinstance(event, engines.Failed) else event.result
        yield from zip(group, outcomes, strict=True)


def _compute_prefixes(blocks: Sequence[Block], report: engines.Report) -> list[Repetition | str]:
    outcomes: list[Repetition | str] = []
    for block in blocks:
        try:
            outcomes.append(Repetition({"prefix": compute_prefix(block)}, fingerprint()))
        except Exception:  # of whatever kind: the other runs are to be compared all the same
            outcomes.append(traceback.format_exc().strip())
        report(len(outcomes) / len(blocks))
    return outcomes


def _whole_runs(
    blocks: Sequence[Block], follow: Follow, workers: int | None, build: Path
) -> Iterable[tuple[Block, Repetition | str]]:
    """Each run, computed into studies of the same names under `build`, or why it could not be."""
    here = [_elsewhere(block, build / "results") for block in blocks]
    todo = [block for block in here if not _is_of_this_code(block)]
    tasks = [(block, Checkpoints(build / "checkpoints")) for block in todo]
    names = [f"{block.study.name}: {block.variant}, seeds from {block.seeds[0]}" for block in todo]
    sizes = [block.study.steps * len(block.seeds) for block in todo]
    problems: dict[tuple[str, str], str] = {}
    events = engines.local(_compute_run, tasks, workers)
    for event in follow(events, names, sizes, f"{len(todo)} runs"):
        block, checkpoints = tasks[event.task]
        if isinstance(event, engines.Failed):
            problems[block.study.name, block.run_id] = event.error
        else:
            store(block, event.result, checkpoints, replace=True)
    for original, block in zip(blocks, here, strict=True):
        if problem := problems.get((block.study.name, block.run_id)):
            yield original, problem
        else:
            record = block.study.store.read(block.run_id)
            yield original, Repetition(record.tables, record.manifest["machine"])


def _compute_run(task: tuple[Block, Checkpoints], report: engines.Report) -> Any:
    block, checkpoints = task
    return compute(block, report, checkpoints)


def _elsewhere(block: Block, results: Path) -> Block:
    """The same run of a study of the same name in another results folder."""
    folder = results / block.study.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(block.study.folder / "study.toml", folder / "study.toml")
    return Block(dataclasses.replace(block.study, folder=folder), block.variant, block.seeds)


def _is_of_this_code(block: Block) -> bool:
    """Whether the run is there from an earlier attempt, by the same code on the same machine."""
    try:
        manifest = block.study.store.read(block.run_id).manifest
    except RecordError:
        return False
    same = (manifest["source"], manifest["constraints"]) == (source_digest(), constraints_hash())
    return same and not differences(fingerprint(), manifest["machine"])


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
