"""Notebooks handed in, and what became of them."""

import atexit
import textwrap
from dataclasses import replace
from functools import cache

import nbformat
from tracked import notebook

from pgcourse.grading import sandbox
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Limits
from pgcourse.grading.grade import grade, read_file
from pgcourse.grading.process import Host

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
