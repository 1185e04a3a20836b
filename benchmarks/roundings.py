"""Records under the rounding of other processors: is every study reproduced, and a changed program seen?

    python -m benchmarks.roundings                          every study, an hour of one processor
    python -m benchmarks.roundings a2c-cartpole reacher     these
    python -m benchmarks.roundings --json FILE              and keep the table, written after every study

torch and MKL are told to do without this processor's vector instructions, or with older ones. Every run's first
iterations are computed so in float64 and held against the record's fingerprint, as `pgcourse reproduce` does where
bits differ: the study must be reproduced. Then in a copy of the package a number of GAE is changed, a sign, γ by a
thousandth, λ by a thousandth: each study that learns with GAE must have drifted, which one of its runs decides. The
exit status is 0 only if all is as it must be.

With --json, rows that stand in the file are not computed again, so what was stopped goes on; delete the file to begin
anew. Each row names the commit that it was measured at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from pgcourse.lab import Block, Study, machine, repeat_fingerprint, study_names
from pgcourse.lab.provenance import commit
from pgcourse.lab.reproduction import TOLERANCE, compare
from pgcourse.lab.runs import NUDGE

ROOT = Path(__file__).resolve().parents[1]
ROUNDINGS = {
    "no vectors": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "as it is": {},
}
NOTHING = "nothing"
CHANGES = {  # in rl/advantages.py: what stands there once, and what is put in its place
    NOTHING: ("", ""),
    "a sign": ("where(~terminated, 0.0) - value", "where(~terminated, 0.0) + value"),
    "γ": ("return reward + gamma * next_value", "return reward + 0.999 * gamma * next_value"),
    "λ": ("carry = gamma * lam *", "carry = 0.999 * gamma * lam *"),
}


def package(change: str, folder: Path) -> Path:
    """A folder with the package, in which this is changed."""
    if change == NOTHING:
        return ROOT
    old, new = CHANGES[change]
    copy = folder / str(list(CHANGES).index(change))
    shutil.copytree(ROOT / "pgcourse", copy / "pgcourse", ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "pgcourse" / "rl" / "advantages.py"
    text = file.read_text("utf-8")
    if text.count(old) != 1:
        raise SystemExit(f"{file.relative_to(copy)} has {text.count(old)} times, not once: {old}")
    file.write_text(text.replace(old, new), encoding="utf-8")
    return copy


def learns_with_gae(block: Block) -> bool:
    algorithm = block.algorithm
    return hasattr(algorithm, "lam") and getattr(algorithm, "baseline", "critic") == "critic"


def measured(study: Study, changed: bool) -> dict[str, Any]:
    """How far a study's runs are from their fingerprints; of a changed program's up to the first that is too far."""
    begun, runs = time.process_time(), 0
    farthest = ("", -1.0, "")  # a run, its distance, the column that has it
    for block in study.blocks():
        if changed and not learns_with_gae(block):
            continue
        record = block.record()
        again = repeat_fingerprint(block, record.tables["fingerprint"]["iteration"].max())
        found = compare(record, {"prefix": record.tables["prefix"], "fingerprint": again})
        if found.distance is not None and found.distance > TOLERANCE:  # a twin tells whether rounding has grown so far
            twin = repeat_fingerprint(block, again["iteration"].max(), NUDGE)
            found = compare(record, {"prefix": record.tables["prefix"], "fingerprint": again}, twin=twin)
        assert found.distance is not None
        runs += 1
        farthest = max(farthest, (block.title, found.distance, found.farthest), key=lambda each: each[1])
        if changed and found.distance > TOLERANCE:
            break
    title, distance, column = farthest
    return {
        "runs": runs,
        "verdict": "reproduced" if distance <= TOLERANCE else "drifted",
        "distance": min(distance, 1e300),  # JSON knows no infinity
        "farthest": f"{title}: {column}",
        "cpu_seconds": round(time.process_time() - begun, 1),
    }


def measure(names: Sequence[str], change: str, rounding: str, folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of these studies, computed by the changed package with this rounding in a process of its own."""
    place = package(change, folder)
    variables = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]),
        "PGCOURSE_RESULTS": str(ROOT / "results"),
        **ROUNDINGS[rounding],
    }
    command = [sys.executable, "-P", "-m", "benchmarks.roundings", *names, "--as", change]
    told = {"changed": change, "rounding": rounding, "commit": commit()["commit"]}
    told["cpu_capability"] = machine()["cpu_capability"]  # of the processor, which is not always the first rows' one
    with subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from (json.loads(line) | told for line in process.stdout)
    if process.returncode:
        raise SystemExit(f"{change} changed, {rounding}: exit status {process.returncode}")


def as_it_must_be(row: dict[str, Any]) -> bool:
    return row["verdict"] == ("reproduced" if row["changed"] == NOTHING else "drifted")


def show(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """A line for each study and change; of each rounding how far fingerprints are apart, red where that is wrong."""
    table = Table("study", "changed", *ROUNDINGS, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    of = {(each["study"], each["changed"], each["rounding"]): each for each in rows}
    for study, change in dict.fromkeys((each["study"], each["changed"]) for each in rows):
        found = [of.get((study, change, rounding)) for rounding in ROUNDINGS]
        table.add_row(study, change, *("" if each is None else told(each) for each in found))
    console.print(table)


def told(row: dict[str, Any]) -> str:
    text = f"{row['verdict']}, {row['distance']:.0e}"
    return text if as_it_must_be(row) else f"[red]{text}[/red]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--as", dest="change", choices=CHANGES, help=argparse.SUPPRESS)  # of a process that computes
    arguments = parser.parse_args()
    names = arguments.studies or study_names()
    if arguments.change:
        torch.set_num_threads(1)
        for name in names:
            row = {"study": name} | measured(Study.read(name), arguments.change != NOTHING)
            print(json.dumps(row), flush=True)
        return
    console = Console()
    document: dict[str, Any] = {"machine": machine() | {"threads": 1}, "rows": []}
    if arguments.json and arguments.json.is_file():
        document = json.loads(arguments.json.read_text("utf-8"))
    rows = document["rows"]
    there = {(each["study"], each["changed"], each["rounding"]) for each in rows}
    with_gae = {name for name in names if any(map(learns_with_gae, Study.read(name).blocks()))}
    for change in CHANGES:
        for rounding in ROUNDINGS:
            kept = [name for name in names if change == NOTHING or name in with_gae]
            missing = [name for name in kept if (name, change, rounding) not in there]
            with tempfile.TemporaryDirectory() as folder:
                for row in measure(missing, change, rounding, Path(folder)) if missing else ():
                    rows.append(row)
                    console.print(f"{row['study']}, {change} changed, {rounding}: {told(row)}")
                    if arguments.json:
                        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
                        arguments.json.write_text(text, encoding="utf-8")
    show(rows, console)
    sys.exit(not all(map(as_it_must_be, rows)))


if __name__ == "__main__":
    main()
