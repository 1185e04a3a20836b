"""Claims on live runs, tried on other seeds: would a chapter's sentence be true of another reader's numbers?

    python -m benchmarks.other_seeds                             all chapters, 20 other sets of seeds, hours
    python -m benchmarks.other_seeds 03 08 --sets 5              two chapters, five sets
    python -m benchmarks.other_seeds 03 --json benchmarks/other_seeds.json   and keep the table

Each chapter is executed anew, in the quick profile, with every random stream's seeds moved by a thousand for each set.
A claim of order (above, below, inconclusive) that rests on no record and whose number moved is one of a live run; how
often it held is the table. What fails once needs more seeds or steps, a record, or weaker words; the exit status is 1
then. With --json the file's other chapters stay as they are, and a chapter is tried again only if it, or the number of
sets, has changed. Ctrl-C keeps the chapters that are complete.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
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
from pgcourse.core import streams as _streams

_entropy, _manual_seed = _streams._entropy, _torch.manual_seed
_streams._entropy = lambda seed, path: _entropy(seed + {shift}, path)
_torch.manual_seed = lambda seed: _manual_seed(seed + {shift})
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
    content["cells"].insert(0, cell | {"source": SHIFT.format(shift=shift)})
    copy = folder / f"{shift}" / notebook.name
    expectations = expected.path_for(copy)
    expectations.parent.mkdir(parents=True)
    shutil.copy(expected.path_for(notebook), expectations)
    copy.write_text(json.dumps(content), "utf-8")
    return copy


def tries(runs: Sequence[runner.Result]) -> dict[str, dict[str, int]]:
    """How often each claim of a live run was made and held, by name; the first run has the chapter's own seeds."""
    every: dict[str, list[Claim]] = {}
    for run in runs:
        for claim in run.claims:
            every.setdefault(claim.name, []).append(claim)
    return {
        name: {"made": len(claims) - 1, "held": sum(claim.objection() is None for claim in claims[1:])}
        for name, claims in sorted(every.items())
        if claims[0].is_order and not claims[0].rests_on and len({claim.samples for claim in claims}) > 1
    }


def attempt(notebook: Path, sets: int, workers: int | None, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """The table's entry of a chapter, and why runs failed, other than by a claim's number."""
    task = progress.add_task(notebook.stem, total=sets + 1)
    with tempfile.TemporaryDirectory(dir=ROOT / "_build", prefix="other-seeds-") as folder:
        copies = [shifted(notebook, STEP * k, Path(folder)) for k in range(sets + 1)]
        results = {}
        for result in runner.run(copies, Path(folder) / "build", workers=workers, results=ROOT / "results"):
            results[result.notebook] = result
            progress.advance(task)
        runs = [results[copy.resolve()] for copy in copies]
    failures = [f"set {k}, cell {run.failure.cell}: {run.failure.reason}" for k, run in enumerate(runs) if run.failure]
    return {"code": digest(notebook), "sets": sets, "claims": tries(runs)}, failures


def fallen(table: Mapping[str, Any]) -> list[str]:
    """Claims that did not hold, or were not made, in every set."""
    return [
        f"{chapter}: {name} held in {tried['held']} of {entry['sets']}"
        for chapter, entry in table.items()
        for name, tried in entry["claims"].items()
        if tried["held"] < entry["sets"]
    ]


def show(table: Mapping[str, Any], console: Console) -> None:
    """The table: a line a claim."""
    lines = Table("chapter", "claim", "sets", "held")
    for chapter, entry in table.items():
        for name, tried in entry["claims"].items():
            lines.add_row(chapter, name, str(entry["sets"]), str(tried["held"]))
    console.print(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="NN", help="number or name; default all")
    parser.add_argument("--sets", type=int, default=SETS, help=f"other sets of seeds (default {SETS})")
    parser.add_argument("--workers", type=int, help="notebooks at a time; default as many as there are processors")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table, to read and to write")
    given = parser.parse_args()
    if given.sets < 1:
        parser.error(f"--sets must be 1 or more, got {given.sets}")
    table = json.loads(given.json.read_text("utf-8")) if given.json and given.json.is_file() else {}
    chosen = runner.find_chapters(ROOT, given.chapters)
    console = Console()
    (ROOT / "_build").mkdir(exist_ok=True)
    broken: list[str] = []
    try:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
            for notebook in chosen:
                before = table.get(notebook.stem, {})
                if (before.get("code"), before.get("sets")) == (digest(notebook), given.sets):
                    continue
                table[notebook.stem], failures = attempt(notebook, given.sets, given.workers, progress)
                broken += [f"{notebook.stem}, {failure}" for failure in failures]
                if given.json:
                    given.json.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n", "utf-8")
    except KeyboardInterrupt:
        console.print("stopped; the chapters that are complete stand in the table")
    mine = {chapter: entry for chapter, entry in table.items() if chapter in {each.stem for each in chosen}}
    show(mine, console)
    for line in [*broken, *fallen(mine)]:
        console.print(line)
    return 1 if broken or fallen(mine) else 0


if __name__ == "__main__":
    raise SystemExit(main())
