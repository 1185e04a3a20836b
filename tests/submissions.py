"""Notebooks handed in, and what became of them."""

import atexit
import contextlib
import os
import sys
import textwrap
import warnings
from dataclasses import replace
from functools import cache

import nbformat
import numpy as np
import torch
from tracked import notebook

from pgcourse.grading import sandbox
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.collect import collect
from pgcourse.grading.exercise import Examination, InProcess, Limits
from pgcourse.grading.grade import grade, read_file
from pgcourse.grading.process import Host
from pgcourse.grading.worker import Notebook

SOLUTION = notebook("solutions/03_reinforce.ipynb")
EXERCISE = notebook("exercises/03_reinforce.ipynb")
TO_GO = EXERCISES["03.reward_to_go"]

RIGHT = """
import torch
def right(reward, gamma):
    ret, after = torch.empty_like(reward), torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = reward[..., t] + gamma * after
        ret[..., t] = after
    return ret
"""


def function(name, body):
    """The source of an answer to the exercise reward-to-go, with a body of one or more lines."""
    return f"import torch\ndef {name}(reward, gamma):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"


def write(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


class Answers(dict):
    """Answers to each exercise, as functions: `@answers.to("05.gae")` adds one."""

    def to(self, name):
        def keep(answer):
            self.setdefault(name, []).append(answer)
            return answer

        return keep


class LastingHost(Host):
    """Where the processes of all tests come from: torch is imported once."""

    def close(self):
        pass

    end = close


@cache
def host_of(name):
    host = LastingHost(sandbox.find(name))
    atexit.register(super(LastingHost, host).close)
    return host


def grade_file(path, exercises, where=sandbox.NONE, seed=7):
    return grade(read_file(path), exercises, host_of(where.name), seed)


def submit(folder, *cells, entries, where=sandbox.NONE, limits=None, checks=TO_GO.checks):
    """Grade a notebook as if each of its functions called `entries` were an answer to the exercise reward-to-go.

    `limits` holds those that are not the ordinary ones, by entry; with `checks` only these are asked. Returns what was
    graded, and the results by entry.
    """
    part, limits = replace(TO_GO, checks=checks), limits or {}
    exercises = [
        replace(part, name=f"03.{entry}", entry=entry, limits=limits.get(entry, Limits())) for entry in entries
    ]
    graded = grade_file(write(folder / "03_x.ipynb", *cells), exercises, where)
    return graded, dict(zip(entries, graded.exercises, strict=True))


def reasons(result):
    """Why the checks that failed did, by check."""
    return {one.check.name: one.message for one in result.checks if not one.passed}


@contextlib.contextmanager
def unchanged():
    """What a notebook sets for its whole process is put back."""
    limit, environment = sys.getrecursionlimit(), dict(os.environ)
    modules, main = set(sys.modules), sys.modules["__main__"]
    try:
        with warnings.catch_warnings(), np.errstate():
            yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        torch.set_printoptions(profile="default")
        sys.modules["__main__"] = main
        sys.setrecursionlimit(limit)
        os.environ.clear()
        os.environ.update(environment)
        for name in set(sys.modules) - modules:
            if "." not in name and not getattr(sys.modules[name], "__spec__", None):
                del sys.modules[name]


def lost(name, cells, seeds=(3, 11)):
    """(check, reason) of each check that a notebook with these cells fails; in this process, as a grade is made."""
    exercise = EXERCISES[name]
    submission = collect([(f"cell {i}", source) for i, source in enumerate(cells, 1)], [exercise.entry])
    notebook = Notebook()
    with unchanged():
        sys.modules["__main__"] = notebook.module
        for cell in submission.cells:
            for index, _ in cell.keep:
                with contextlib.suppress(Exception):  # such as imports of the course
                    notebook.execute(cell.name, cell.source, index)
        answer = InProcess(getattr(notebook.module, exercise.entry))
        judged = [Examination(exercise, seed, {}).judge(answer) for seed in seeds]
    return [(one.check.name, one.message) for result in judged for one in result.checks if not one.passed]
