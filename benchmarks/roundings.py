"""Records under the rounding of other processors: is every study reproduced, and a changed program seen?

    python -m benchmarks.roundings                          every study, hours
    python -m benchmarks.roundings a2c-cartpole reacher     these
    python -m benchmarks.roundings --json FILE              and keep the table, written after every study
    python -m benchmarks.roundings --without-changes        the programs as they are only, half an hour

torch and MKL are told to do without this processor's vector instructions, or with older ones, and `pgcourse reproduce`
computes each study's first iterations so: it must call the study repeated or reproduced. In a copy of the package a
number of GAE is changed, a sign, γ by a thousandth, λ by a thousandth: a study that learns with GAE must have drifted.
The exit status is 0 only if all that was computed is as it must be.

With --json, rows that stand in the file are not computed again, so what was stopped goes on; delete the file to begin
anew. Each row names the commit that it was measured at.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pgcourse.lab import Study, machine, study_names
from pgcourse.lab.provenance import commit

ROOT = Path(__file__).resolve().parents[1]
ROUNDINGS = {
    "as it is": {},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "no vectors": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
}
NOTHING = "nothing"
CHANGES = {  # in rl/advantages.py: what stands there once, and what is put in its place
    NOTHING: ("", ""),
    "a sign": ("where(~terminated, 0.0) - value", "where(~terminated, 0.0) + value"),
    "γ": ("return reward + gamma * next_value", "return reward + 0.999 * gamma * next_value"),
    "λ": ("carry = gamma * lam *", "carry = 0.999 * gamma * lam *"),
}
SOUND = ("repeated", "reproduced")


def package(change: str, folder: Path) -> Path:
    """A folder with the package, in which this is changed."""
    old, new = CHANGES[change]
    if change == NOTHING:
        return ROOT
    copy = folder / str(list(CHANGES).index(change))
    if not copy.is_dir():
        shutil.copytree(ROOT / "pgcourse", copy / "pgcourse", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, copy)
        file = copy / "pgcourse" / "rl" / "advantages.py"
        text = file.read_text("utf-8")
        if text.count(old) != 1:
            raise SystemExit(f"{file} has {text.count(old)} times, not once: {old}")
        file.write_text(text.replace(old, new), encoding="utf-8")
    return copy


def learns_with_gae(study: Study) -> bool:
    algorithms = (block.algorithm for block in study.blocks())
    return any(hasattr(each, "lam") and getattr(each, "baseline", "critic") == "critic" for each in algorithms)


def row(study: Study, change: str, rounding: str, folder: Path) -> dict[str, Any]:
    """`pgcourse reproduce STUDY` by the changed package, with this rounding."""
    place = package(change, folder)
    variables = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(place),
        "PGCOURSE_RESULTS": str(ROOT / "results"),
        **ROUNDINGS[rounding],
    }
    command = [sys.executable, "-m", "pgcourse.app.console", "reproduce", study.name, "--json", "--workers", "1"]
    before = _cpu_seconds()
    done = subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True)
    if not done.stdout:
        raise SystemExit(f"{study.name}, {change}, {rounding}: {done.stderr}")
    (found,) = json.loads(done.stdout)["studies"]
    distances = [distance for distance in found["distance"].values() if distance is not None]
    wanted = SOUND if change == NOTHING else ("drifted",)
    return {
        "study": study.name,
        "changed": change,
        "rounding": rounding,
        "verdict": found["verdict"],
        "as it must be": found["verdict"] in wanted and done.returncode == (change != NOTHING),
        "runs": found["runs"],
        "runs with other bits": len(found["unequal"]),
        "distance": max(distances, default=None),  # of fingerprints; none where all bits are the record's
        "cpu_seconds": round(_cpu_seconds() - before, 1),
        "commit": commit()["commit"],
    }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def todo(studies: list[Study], changes: bool) -> Iterator[tuple[Study, str, str]]:
    """Programs as they are first, and of these other processors' roundings: for this one's there is a test."""
    for change in CHANGES if changes else [NOTHING]:
        for rounding in reversed(ROUNDINGS):
            for study in studies:
                if change == NOTHING or learns_with_gae(study):
                    yield study, change, rounding


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """A line for each study and change; of each rounding the verdict and how far fingerprints are apart."""
    table = Table("study", "changed", *ROUNDINGS, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    of = {(each["study"], each["changed"], each["rounding"]): each for each in rows}
    for study, change in dict.fromkeys((each["study"], each["changed"]) for each in rows):
        found = [of.get((study, change, rounding)) for rounding in ROUNDINGS]
        table.add_row(study, change, *("" if each is None else _told(each) for each in found))
    console.print(table)


def _told(found: dict[str, Any]) -> str:
    distance = "" if found["distance"] is None else f" {found['distance']:.0e}"
    told = f"{found['verdict']}{distance}"
    return told if found["as it must be"] else f"[red]{told}[/red]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--without-changes", action="store_true")
    arguments = parser.parse_args()
    console = Console()
    document: dict[str, Any] = {"machine": machine() | {"threads": 1}, "rows": []}
    if arguments.json and arguments.json.is_file():
        document = json.loads(arguments.json.read_text("utf-8"))
    rows = document["rows"]
    there = {(each["study"], each["changed"], each["rounding"]) for each in rows}
    studies = [Study.read(name) for name in arguments.studies or study_names()]
    with tempfile.TemporaryDirectory() as folder:
        for study, change, rounding in todo(studies, not arguments.without_changes):
            if (study.name, change, rounding) in there:
                continue
            rows.append(row(study, change, rounding, Path(folder)))
            console.print(f"{study.name}, {change} changed, {rounding}: {_told(rows[-1])}")
            if arguments.json:
                arguments.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(rows, console)
    sys.exit(not all(each["as it must be"] for each in rows))


if __name__ == "__main__":
    main()
