"""A class of submissions, right, wrong and hostile, graded: the right gradebook, and what it costs.

    python -m benchmarks.grading [SUBMISSIONS] [--jobs 2] [--sandbox bwrap]

It prints CPU seconds besides seconds by the clock, as these depend on what else the computer does, and the largest
memory of all processes together. It fails where a submission got other points than it should. The latest figures are
in grading.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import nbformat
import psutil

from pgcourse.grading import report, sandbox, solutions
from pgcourse.grading.batch import Batch, find
from pgcourse.grading.catalogue import EXERCISES

SOLUTION = nbformat.read(Path(__file__).resolve().parents[1] / "solutions" / "03_reinforce.ipynb", as_version=4)
FIRST = next(cell.source for cell in SOLUTION.cells if cell.cell_type == "code")  # the imports
CHAPTER = EXERCISES.of("03")
SPOILT = EXERCISES["03.reward_to_go"]  # the exercise to which some give wrong or hostile answers
POINTS = sum(exercise.points for exercise in CHAPTER)


STYLES = [
    lambda source: [source],
    lambda source: [f"%%time\n{source}"],
    lambda source: ["if True:\n    " + source.replace("\n", "\n    ")],
    lambda source: ["SCALE = 0.0\nSCALE += 1.0", source, "while True: pass"],
    lambda source: ["%matplotlib inline\n!echo hello", source, "print('x' * 1000)", "def oops(:"],
]
WRONG = [
    "return reward",
    "return -1.0 * reward",
    "raise NotImplementedError()",
    "return None",
    "return reward[..., :1]",
]
HOSTILE = [
    "import os; os._exit(0)",
    "while True: pass",
    "import time; time.sleep(99)",
    "x = []\n    while True: x.append(bytearray(1 << 24))",
    "import ctypes; ctypes.string_at(0)",
]


def write(folder: Path, number: int) -> int | None:
    """One submission; the points that it should get, None where it is to be refused."""
    name = f"s{number:03d}_03_reinforce.ipynb"
    if number % 50 == 49:
        (folder / name).symlink_to("/etc/passwd")
        return None
    if number % 50 == 48:
        (folder / name).write_text("{" * 1000, encoding="utf-8")
        return 0
    cells = [FIRST]
    points, kind = POINTS, number % 10
    for exercise in CHAPTER:
        source = solutions.source(exercise)
        if kind >= 7 and exercise is SPOILT:
            bodies = HOSTILE if kind == 9 else WRONG
            source = f"def {exercise.entry}(reward, gamma):\n    {bodies[number // 10 % len(bodies)]}"
            points -= exercise.points
        cells += STYLES[number % len(STYLES)](source)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), folder / name)
    return points


class Memory(threading.Thread):
    """The largest memory of this process and all below it; pages that they share count once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            total = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += getattr(process.memory_full_info(), "pss", 0) or process.memory_info().rss
            self.largest = max(self.largest, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("submissions", type=int, nargs="?", default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sandbox", default="auto")
    options = parser.parse_args()
    where = sandbox.find(options.sandbox, several=True, trusted=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = {f"s{n:03d}": write(Path(folder), n) for n in range(options.submissions)}
        memory = Memory()
        memory.start()
        start, own = time.monotonic(), time.process_time()
        rows = list(Batch(find([Path(folder)]), where).run(options.jobs))
        seconds, own = time.monotonic() - start, time.process_time() - own
        memory.over.set()
    got = {row["student"]: row["points"] if row["state"] == "graded" else None for row in rows}
    unexpected = {student: (got[student], points) for student, points in wanted.items() if got[student] != points}
    typical = [row["seconds"] for row in rows if row.get("points") == POINTS]
    figures = {
        "submissions": len(rows),
        "points": {str(points): count for points, count in Counter(got.values()).items()},
        "unexpected": unexpected,
        "sandbox": where.name,
        "jobs": options.jobs,
        "seconds": round(seconds, 1),
        "grader_cpu_seconds_each": round(own / len(rows), 3),
        "correct_submission_cpu_seconds": round(sum(typical) / len(typical), 3),
        "all_submissions_cpu_seconds": round(sum(row.get("seconds", 0.0) for row in rows), 1),
        "memory_mb": memory.largest >> 20,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }
    print(json.dumps(figures, indent=1))
    print("\n".join(report.summary(rows)))
    assert not unexpected, unexpected


if __name__ == "__main__":
    main()
