"""Notebooks handed in, and what became of them."""

import textwrap
from dataclasses import replace
from pathlib import Path

import nbformat

from pgcourse.grading import sandbox
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Limits
from pgcourse.grading.grade import grade

ROOT = Path(__file__).resolve().parents[1]
SOLUTION = ROOT / "solutions" / "03_reinforce.ipynb"
EXERCISE = ROOT / "exercises" / "03_reinforce.ipynb"
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


def submit(folder, *cells, entries, where=sandbox.NONE, limits=None):
    """Grade a notebook as if each of its functions called `entries` were an answer to the exercise reward-to-go.

    `limits` holds those that are not the ordinary ones, by entry. Returns what was graded, and the results by entry.
    """
    limits = limits or {}
    exercises = [replace(TO_GO, entry=entry, limits=limits.get(entry, Limits())) for entry in entries]
    graded = grade(write(folder / "03_x.ipynb", *cells), exercises, where, seed=7)
    return graded, dict(zip(entries, graded.exercises, strict=True))


def reasons(result):
    """Why the checks that failed did, by check."""
    return {one.check.name: one.message for one in result.checks if not one.passed}
