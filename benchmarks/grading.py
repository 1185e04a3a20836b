"""A class of submissions, right, wrong and hostile, graded: the right gradebook, and what it costs.

    python -m benchmarks.grading [SUBMISSIONS] [--jobs 2] [--sandbox bwrap] [--out FILE]

Half of them are right, in many styles. The others spoil one exercise each, all in turn: with a mistake that is known,
with one that is not, or with an attack; some are no notebooks. What a wrong answer should get is computed in this
process, with the same seed. It prints CPU seconds, of all processes together, besides seconds by the clock, as these
depend on what else the computer does; and the largest memory of all processes together. It fails where a submission
got other points than it should. The latest figures are in grading.json. Ctrl-C ends it with the figures of those that
were graded.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import platform
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import psutil

from pgcourse.grading import report, sandbox, solutions
from pgcourse.grading.batch import Batch, find
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.collect import statements_of
from pgcourse.grading.exercise import Examination, Exercise, InProcess
from pgcourse.grading.worker import Notebook

CHAPTER = EXERCISES.of("03")
SOLUTION = nbformat.read(solutions.notebook("03"), as_version=4)
FIRST = next(cell.source for cell in SOLUTION.cells if cell.cell_type == "code") + "\nimport numpy as np"
# What the agent of chapter 03 gets for its mistakes depends on what it draws itself: only its attacks are exact.
FUNCTIONS = [exercise for exercise in CHAPTER if exercise.kind != "learn"]
MISTAKES = [(exercise, mistake.change) for exercise in FUNCTIONS for mistake in exercise.mistakes]
POINTS = sum(exercise.points for exercise in CHAPTER)


def indented(source: str) -> str:
    return "    " + source.replace("\n", "\n    ")


STYLES = [
    lambda source: [source],
    lambda source: [f"%%time\n{source}"],
    lambda source: ["if True:\n" + indented(source)],
    lambda source: ["SCALE = 0.0\nSCALE += 1.0", source, "while True: pass"],
    lambda source: ["%matplotlib inline\n!echo hello", source, "print('x' * 1000)", "def oops(:"],
    lambda source: ["try:\n    import no_such_module\nexcept ImportError:\n" + indented(source)],
    lambda source: [source.replace("def ", "def draft_of_", 1), source, source + "\n\nx = 1 / 0"],
]
WRONG = [  # of the first argument, `x`
    "return x",
    "return -1.0 * x",
    "raise NotImplementedError()",
    "return None",
    "return x[..., :1]",
    "return float(x.sum()) / 0",
]
HOSTILE = [
    "import os; os._exit(0)",
    "while True: pass",
    "import time; time.sleep(99)",
    "y = []\n    while True: y.append(bytearray(1 << 24))",
    "import ctypes; ctypes.string_at(0)",
    "import os; os.write(1, b'\\0\\0\\0\\2{}' * 99); return x",
    "return type('Equal', (float,), {'__eq__': lambda *_: True})()",
    "raise ValueError('</script>\\x1b[2J' + 'z' * 10**6)",
]


def body(exercise: Exercise, words: str) -> str:
    rest = "".join(f", {name}=None" for name in exercise.arguments[1:])
    return f"def {exercise.entry}(x{rest}):\n    {words}"


def mistaken(exercise: Exercise, change: Any) -> str:
    """A known mistake as a learner would hand it in."""
    text = solutions.source(exercise)
    if not isinstance(change, str):
        return solutions.edited(exercise, text, change)
    names = ", ".join(exercise.arguments)
    around = f"def {exercise.entry}({names}, f={exercise.entry}):\n    a = ({names},)\n    return {change}"
    return f"{text}\n\n{around}"


def spoilt(number: int) -> tuple[Exercise, str] | None:
    """The exercise that a submission has wrong, and its answer; None of a right one."""
    round_, kind = divmod(number, 10)
    if kind in (5, 6, 7):
        exercise, change = MISTAKES[(3 * round_ + kind) % len(MISTAKES)]
        return exercise, mistaken(exercise, change)
    if kind == 8:
        exercise = FUNCTIONS[round_ % len(FUNCTIONS)]
        return exercise, body(exercise, WRONG[round_ % len(WRONG)])
    if kind == 9:
        exercise = CHAPTER[round_ % len(CHAPTER)]
        return exercise, body(exercise, HOSTILE[round_ % len(HOSTILE)])
    return None


def write(folder: Path, number: int) -> None:
    path = folder / f"s{number:03d}_03_reinforce.ipynb"
    if number % 50 == 49:
        path.symlink_to("/etc/passwd")
    elif number % 50 == 48:
        path.write_text("{" * 1000, encoding="utf-8")
    else:
        wrong, cells = spoilt(number), [FIRST]
        for exercise in CHAPTER:
            own = wrong[1] if wrong and wrong[0] is exercise else solutions.source(exercise)
            cells += STYLES[number % len(STYLES)](own)
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)


def points(number: int, seed: int) -> int | None:
    """What a submission should get; None where it is to be refused."""
    if number % 50 in (48, 49):
        return 0 if number % 50 == 48 else None
    if (wrong := spoilt(number)) is None:
        return POINTS
    exercise, source = wrong
    if number % 10 == 9:
        return POINTS - exercise.points
    notebook = Notebook()
    for name, cell in (("imports", FIRST), ("own", source)):
        for index in range(len(statements_of(cell))):
            notebook.execute(name, cell, index)
    answer = InProcess(getattr(notebook.module, exercise.entry))
    return POINTS - exercise.points + Examination(exercise, seed, {}).judge(answer).points


class Memory(threading.Thread):
    """The largest memory of this process and all below it; pages that they share count once. And what looking costs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest, self.cost = 0, 0.0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(1.0):
            total = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += getattr(process.memory_full_info(), "pss", 0) or process.memory_info().rss
            self.largest, self.cost = max(self.largest, total), time.thread_time()


def adopt() -> None:
    """Whose parent dies becomes this process's child, so that what it used is counted (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def cpu_seconds() -> float:
    """Of this process, and of all below it that are over."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0]:
            pass
    every = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=int, nargs="?", default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--out", type=Path, help="a file for the figures")
    options = parser.parse_args()
    where = sandbox.find(options.sandbox, several=True, trusted=True)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.submissions):
            write(Path(folder), number)
        batch = Batch(find([Path(folder)]), where)
        memory = Memory()
        memory.start()
        adopt()
        start, before = time.monotonic(), cpu_seconds()
        rows = []
        with contextlib.suppress(KeyboardInterrupt):
            for row in batch.run(options.jobs):
                rows.append(row)
                result = f"{row['student']} {row.get('points', '-'):>3} {report.state(row)}"
                print(f"{time.monotonic() - start:6.0f} s  {result}", flush=True)
        seconds, used = time.monotonic() - start, cpu_seconds() - before
        memory.over.set()
        memory.join()
    got = {row["student"]: row["points"] if row["state"] == "graded" else None for row in rows}
    wanted = {f"s{number:03d}": points(number, batch.seed) for number in range(options.submissions)}
    wanted = {student: points for student, points in wanted.items() if student in got}
    unexpected = {student: (got[student], points) for student, points in wanted.items() if got[student] != points}
    right = [row["seconds"] for row in rows if row.get("points") == POINTS]
    figures = {
        "submissions": len(rows),
        "points": {str(points): count for points, count in sorted(Counter(got.values()).items(), key=str)},
        "unexpected": unexpected,
        "seed": batch.seed,
        "sandbox": where.name,
        "jobs": options.jobs,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used - memory.cost, 1),
        "cpu_seconds_each": round((used - memory.cost) / len(rows), 3),
        "of_a_right_one_in_its_process": round(sum(right) / len(right), 3),
        "memory_mb": memory.largest >> 20,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[2],
        "python": platform.python_version(),
    }
    print("\n".join(report.summary(rows)))
    print(text := json.dumps(figures, indent=1))
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    assert not unexpected, unexpected


if __name__ == "__main__":
    main()
