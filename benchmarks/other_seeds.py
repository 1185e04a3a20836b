"""Claims on live runs, tried on other seeds: would a chapter's sentence be true of another reader's numbers?

    python -m benchmarks.other_seeds                             all chapters, 20 other sets of seeds, hours
    python -m benchmarks.other_seeds 03 08 --sets 5              two chapters, five sets
    python -m benchmarks.other_seeds 03 --json benchmarks/other_seeds.json   and keep the table

Each chapter is executed anew, in the quick profile, with every random stream's seeds moved by a thousand for each set;
its figures are not drawn. A claim of order (above, below, inconclusive) that rests on no record and whose number moved
is one of a live run; how often it held is the table. What fails once needs more seeds or steps, a record, or weaker
words; the exit status is 1 then.

    python -m benchmarks.other_seeds --since HEAD~1 --json benchmarks/other_seeds.json   what is shown has changed

All chapters get their first set, then all their second, and so on. With --json the file is written after every set and
its other chapters stay as they are: what was stopped goes on where it was, and a chapter begins anew only if its code
has changed. So five sets today and --sets 20 tomorrow are twenty. On another processor's rounding (set
ATEN_CPU_CAPABILITY and MKL_CBWR), keep another file.

A figure or a table that looks different is a change of code, too. With --since COMMIT a chapter whose tries are of that
commit's code is executed as it was and as it is, with its own seeds and one other set. If all claims have the same
numbers, to the last bit, its tries stand.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from pgcourse.course import expected, runner
from pgcourse.course.claims import Claim

ROOT = Path(__file__).resolve().parents[1]
SETS = 20
STEP = 1000  # between the seeds of two sets; a chapter's own are below
SHIFT = """\
import torch as _torch
from matplotlib import pyplot as _pyplot
from pgcourse.core import streams as _streams

_entropy, _manual_seed = _streams._entropy, _torch.manual_seed
_streams._entropy = lambda seed, path: _entropy(seed + {shift}, path)
_torch.manual_seed = lambda seed: _manual_seed(seed + {shift})
get_ipython().run_line_magic("matplotlib", "agg")  # figures are made, and thrown away undrawn
get_ipython().events.register("post_run_cell", lambda result: _pyplot.close("all"))
"""


def digest(notebook: Path) -> str:
    """SHA-256 of the code of a chapter: prose, and figures that draw what is known, may change without another try."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    tried = [
        cell for cell in cells if cell["cell_type"] == "code" and "explorable" not in cell["metadata"].get("tags", [])
    ]
    code = ["".join(cell["source"]) for cell in tried]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def shifted(notebook: Path, shift: int, folder: Path) -> Path:
    """A copy of the chapter, all of whose streams have other seeds."""
    content = json.loads(notebook.read_text("utf-8"))
    cell: dict[str, Any] = {"cell_type": "code", "id": "shift", "metadata": {}, "outputs": [], "execution_count": None}
    tried = [each for each in content["cells"] if "explorable" not in each["metadata"].get("tags", [])]
    content["cells"] = [cell | {"source": SHIFT.format(shift=shift)}, *tried]
    copy = folder / f"{shift}" / notebook.name
    expectations = expected.path_for(copy)
    expectations.parent.mkdir(parents=True, exist_ok=True)  # a set's chapters share it
    shutil.copy(expected.path_for(notebook), expectations)
    copy.write_text(json.dumps(content), "utf-8")
    return copy


def live(claim: Claim) -> bool:
    """Whether it is of an order, and rests on what the chapter itself has run."""
    return claim.is_order and not claim.rests_on


@dataclass
class Tries:
    """What became of a chapter's claims of order in its other sets of seeds, 1 to `sets`, by name.

    A claim's entry: how often it was `made` and `held`, and whether its number ever `moved` from the chapter's own. One
    that did not is no claim about a live run.
    """

    code: str
    sets: int = 0
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    own: dict[str, Claim] | None = None  # with the chapter's own seeds, set 0
    early: dict[int, tuple[Claim, ...]] = field(default_factory=dict)  # of sets whose predecessors are still running

    @classmethod
    def of(cls, notebook: Path, entry: Mapping[str, Any] | None) -> Tries:
        """Those in a table's entry, if they are of this code."""
        code = digest(notebook)
        return cls(**entry) if entry and entry["code"] == code else cls(code)

    def add(self, number: int, claims: tuple[Claim, ...]) -> None:
        """Count a set; sets may end in another order than they began in."""
        self.early[number] = claims
        if self.own is None and 0 in self.early:
            self.own = {claim.name: claim for claim in self.early.pop(0)}
            for name in filter(lambda name: live(self.own[name]), sorted(self.own)):  # type: ignore[index]
                self.claims.setdefault(name, {"made": 0, "held": 0, "moved": False})
        while self.own is not None and self.sets + 1 in self.early:
            self.sets += 1
            for claim in filter(live, self.early.pop(self.sets)):
                tried = self.claims.setdefault(claim.name, {"made": 0, "held": 0, "moved": False})
                tried["made"] += 1
                tried["held"] += claim.objection() is None
                before = self.own.get(claim.name)
                tried["moved"] |= before is None or claim.samples != before.samples

    @property
    def entry(self) -> dict[str, Any]:
        return {"code": self.code, "sets": self.sets, "claims": dict(sorted(self.claims.items()))}


def moved(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The claims of live runs, by name."""
    return {name: tried for name, tried in entry["claims"].items() if tried["moved"]}


def fallen(table: Mapping[str, Any]) -> list[str]:
    """Claims that did not hold, or were not made, in every set."""
    return [
        f"{chapter}: {name} held in {tried['held']} of {entry['sets']}"
        for chapter, entry in table.items()
        for name, tried in moved(entry).items()
        if tried["held"] < entry["sets"]
    ]


def show(table: Mapping[str, Any], console: Console) -> None:
    """The table: a line a claim."""
    lines = Table("chapter", "claim", "sets", "held")
    for chapter, entry in table.items():
        for name, tried in moved(entry).items():
            lines.add_row(chapter, name, str(entry["sets"]), str(tried["held"]))
    console.print(lines)


def write(table: Mapping[str, Any], file: Path | None) -> None:
    """Keep the table, if there is a file for it."""
    if file:
        file.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n", "utf-8")


def attempt(
    chapters: list[Path], table: dict[str, Any], sets: int, workers: int | None, file: Path | None
) -> list[str]:
    """Bring the chapters' entries of the table to so many sets; returns why runs failed, other than by a number."""
    tries = {notebook: Tries.of(notebook, table.get(notebook.stem)) for notebook in chapters}
    wanted = {n: [0, *range(each.sets + 1, sets + 1)] for n, each in tries.items() if each.sets < sets}
    broken = []
    with (
        tempfile.TemporaryDirectory(dir=ROOT / "_build", prefix="other-seeds-") as folder,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn()) as progress,
    ):
        tasks = {notebook: progress.add_task(notebook.stem, total=len(numbers)) for notebook, numbers in wanted.items()}
        pairs = sorted((number, notebook) for notebook, numbers in wanted.items() for number in numbers)
        copies = {shifted(notebook, STEP * k, Path(folder)).resolve(): (k, notebook) for k, notebook in pairs}
        for result in runner.run([*copies], Path(folder) / "build", workers=workers, results=ROOT / "results"):
            number, notebook = copies[result.notebook]
            if result.failure:
                broken.append(f"{notebook.stem}, set {number}, cell {result.failure.cell}: {result.failure.reason}")
            tries[notebook].add(number, result.claims)
            table[notebook.stem] = tries[notebook].entry
            progress.advance(tasks[notebook])
            write(table, file)
    return broken


def as_it_was(notebook: Path, commit: str, folder: Path) -> Path:
    """A copy of the chapter of a commit, beside what was expected of it."""

    def text(path: Path) -> str:
        name = f"{commit}:./{path.relative_to(ROOT).as_posix()}"
        return subprocess.run(["git", "show", name], cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout

    copy = folder / notebook.name
    expected.path_for(copy).parent.mkdir(parents=True, exist_ok=True)
    expected.path_for(copy).write_text(text(expected.path_for(notebook)), "utf-8")
    copy.write_text(text(notebook), "utf-8")
    return copy


def carry_over(chapters: list[Path], table: dict[str, Any], commit: str, workers: int | None) -> list[str]:
    """Let tries of a commit's code stand for the code as it is where both make the same claims; says where they do.

    Both are executed in sets 0 and 1, with the package as it is.
    """
    said = []
    with tempfile.TemporaryDirectory(dir=ROOT / "_build", prefix="other-seeds-") as folder:
        changed = [each for each in chapters if each.stem in table and table[each.stem]["code"] != digest(each)]
        before = {each: as_it_was(each, commit, Path(folder) / "was") for each in changed}
        for other in [each for each in changed if table[each.stem]["code"] != digest(before[each])]:
            said.append(f"{other.stem}: the table's tries are of another code than that of {commit}")
            del before[other]
        made: dict[tuple[Path, int, str], tuple[Claim, ...] | None] = {}
        for when, chosen in (("then", before), ("now", {each: each for each in before})):
            own = Path(folder) / when  # both have chapters and sets of the same names
            copies = {shifted(each, STEP * k, own).resolve(): (n, k) for k in (0, 1) for n, each in chosen.items()}
            for result in runner.run([*copies], own / "build", workers=workers, results=ROOT / "results"):
                made[*copies[result.notebook], when] = None if result.failure else result.claims
        for notebook in before:
            if all(made[notebook, k, "then"] == made[notebook, k, "now"] is not None for k in (0, 1)):
                table[notebook.stem] |= {"code": digest(notebook)}
                said.append(f"{notebook.stem}: the same claims as in {commit}, its tries stand")
            else:
                said.append(f"{notebook.stem}: other claims than in {commit}, it is tried anew")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="NN", help="number or name; default all")
    parser.add_argument("--sets", type=int, default=SETS, help=f"other sets of seeds (default {SETS})")
    parser.add_argument("--workers", type=int, help="notebooks at a time; default as many as there are processors")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table, to read and to write")
    parser.add_argument("--since", metavar="COMMIT", help="tries of this commit's code stand where no claim changed")
    given = parser.parse_args()
    if given.sets < 1:
        parser.error(f"--sets must be 1 or more, got {given.sets}")
    table = json.loads(given.json.read_text("utf-8")) if given.json and given.json.is_file() else {}
    chosen = runner.find_chapters(ROOT, given.chapters)
    console = Console()
    (ROOT / "_build").mkdir(exist_ok=True)
    broken, stopped = [], False
    try:
        if given.since:
            for line in carry_over(chosen, table, given.since, given.workers):
                console.print(line)
            write(table, given.json)
        broken = attempt(chosen, table, given.sets, given.workers, given.json)
    except KeyboardInterrupt:
        stopped = True
    mine = {each.stem: table[each.stem] for each in chosen if each.stem in table}
    show(mine, console)
    for line in [*broken, *fallen(mine)]:
        console.print(line)
    if stopped:
        console.print(
            "stopped; what the table counts are complete sets" + (", and they are kept" if given.json else "")
        )
    return 1 if broken or stopped or fallen(mine) else 0


if __name__ == "__main__":
    raise SystemExit(main())
