"""`nbgrader autograde` with the course's grader: in nbgrader_config.py,

    from pgcourse.grading.nbgrader_plugin import configure
    configure(get_config())

nbgrader by itself executes a notebook and believes what its cells say. Here none of its cells is executed by nbgrader:
`Grade` takes the place of its `Execute`, and writes into each check cell the points that `pgcourse grade` computes.
"""

from __future__ import annotations

import atexit
import re
import secrets
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.apps import AutogradeApp  # noqa: F401  (without it, the converters do not find each other)
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Bool, Enum, Integer

from pgcourse.grading import report, sandbox
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import ExerciseResult
from pgcourse.grading.grade import grade
from pgcourse.grading.process import Host

CHECK = re.compile(r"\bcheck\(\s*[\"']([\w.]+)[\"']")
_hosts: dict[str, Host] = {}


def configure(config: Any) -> None:
    """Let `nbgrader autograde` grade by `Grade`, check cells that were deleted included."""
    usual = Autograde().autograde_preprocessors
    config.Autograde.autograde_preprocessors = [Grade if one is Execute else one for one in usual]
    config.OverwriteCells.add_missing_cells = True


class Grade(NbGraderPreprocessor):  # type: ignore[misc]
    """Writes the grader's points into the check cells, as outputs that nbgrader reads its scores from."""

    isolation = Enum(["auto", "none", "bwrap", "docker"], "auto", help="As `pgcourse grade --sandbox`.").tag(
        config=True
    )
    trusted = Bool(False, help="Grade without a sandbox where there is none.").tag(config=True)
    seed = Integer(None, allow_none=True, help="Draws the inputs of the checks; by default at random.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        # nbgrader has put back the check cells' own text, so what they check is not the student's choice.
        cells = [cell for cell in nb.cells if utils.is_grade(cell) and not utils.is_solution(cell)]
        named = [(cell, match[1] if (match := CHECK.search(cell.source)) else "") for cell in cells]
        exercises = [EXERCISES[name] for name in dict.fromkeys(name for _, name in named) if name in EXERCISES]
        seed = secrets.randbelow(2**31) if self.seed is None else self.seed
        self.log.info("pgcourse grades %d exercises, seed %d", len(exercises), seed)
        graded = grade(nbformat.writes(nb).encode(), exercises, self._host(), seed)
        results = {result.exercise.name: result for result in graded.exercises}
        for cell, name in named:
            cell.outputs = [_output(results.get(name), float(cell.metadata.nbgrader.points))]
        return nb, resources

    def _host(self) -> Host:
        if self.isolation not in _hosts:
            host = _hosts[self.isolation] = Host(sandbox.find(self.isolation, several=True, trusted=self.trusted))
            atexit.register(host.close)
        return _hosts[self.isolation]


def _output(result: ExerciseResult | None, points: float) -> NotebookNode:
    """The output from which nbgrader reads a score: an error is none, a number part, and a text all of the points."""
    if result is None:
        return _error("this cell is none of the course's checks, and nothing else is executed")
    lines = [
        f"{'✓' if one.passed else '✗'} {one.check.name} ({one.points}/{one.check.points})  "
        f"{report.message({'message': one.message, 'diagnosis': one.diagnosis})}".rstrip()
        for one in result.checks
    ]
    if result.points == 0:
        return _error("\n".join(lines))
    if result.points == result.exercise.points:
        return nbformat.v4.new_output("stream", name="stdout", text="\n".join(lines))
    score = points * result.points / result.exercise.points
    shown = "\n".join(lines)
    return nbformat.v4.new_output("execute_result", {"text/plain": f"{score}", "text/markdown": f"```\n{shown}\n```"})


def _error(text: str) -> NotebookNode:
    return nbformat.v4.new_output("error", ename="NoPoints", evalue=text, traceback=[text])
