"""`nbgrader autograde`, by nbgrader itself, with the course's grader in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from submissions import EXERCISE, SOLUTION
from tracked import ROOT

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook

PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
CONFIG = re.search(r"^```python file=nbgrader_config.py\n(.+?)^```", PAGE, re.M | re.S)[1] + "c.Grade.trusted = True\n"
FOOLS_THE_CELLS = "check = solved = lambda *args, **kwargs: True"
FOOLS_THE_KERNEL = """
import sys
from IPython import get_ipython
def nothing(lines): return []
get_ipython().input_transformers_cleanup.append(nothing)
sys.excepthook = get_ipython().showtraceback = lambda *args, **kwargs: None
"""
WRONG = "def {name}(*args):\n    return args[0] * 0 + 3"


def notebook(*changes, answers=None):
    """The exercise as handed out, cells put in front, with answers in the cells for them."""
    nb = nbformat.read(EXERCISE, as_version=4)
    for cell in nb.cells:
        if cell.metadata.get("nbgrader", {}).get("solution") and answers:
            name = cell.source.split("def ")[1].split("(")[0]
            cell.source = answers.format(name=name)
    nb.cells[1:1] = [nbformat.v4.new_code_cell(change) for change in changes]
    return nb


def half(nb):
    """The solution with one wrong answer in it, and its check cell deleted."""
    nb.cells = [cell for cell in nb.cells if cell.id != "check-baseline"]
    for cell in nb.cells:
        cell.source = cell.source.replace("others = mask.sum(0) - mask", "others = mask.sum(0) - 0 * mask")
    return nb


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:  # nbgrader calls a program of its environment
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        return course, scores_of(course)


def scores_of(course):
    (course / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")

    def put(folder, nb):
        (course / folder / "reinforce").mkdir(parents=True)
        nbformat.write(nb, course / folder / "reinforce" / "03_reinforce.ipynb")

    def nbgrader(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments], cwd=course, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr[-3000:]

    solution = nbformat.read(SOLUTION, as_version=4)
    put("source", solution)
    nbgrader("generate_assignment", "reinforce")
    put("submitted/stub", notebook())
    put("submitted/wrong", notebook(answers=WRONG))
    put("submitted/correct", solution)
    put("submitted/half", half(nbformat.read(SOLUTION, as_version=4)))
    put("submitted/cells", notebook(FOOLS_THE_CELLS, answers=WRONG))
    put("submitted/kernel", notebook(FOOLS_THE_KERNEL, answers=WRONG))
    nbgrader("autograde", "reinforce")
    nbgrader("generate_feedback", "reinforce")
    shutil.rmtree(course / "source")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        submissions = gradebook.assignment_submissions("reinforce")
        return {one.student.id: (one.score, one.max_score) for one in submissions}


@pytest.mark.parametrize(
    ("student", "points"), [("stub", 0), ("wrong", 0), ("correct", 21), ("cells", 0), ("kernel", 0)]
)
def test_the_score_is_that_of_the_grader(scores, student, points):
    assert scores[1][student] == (points, 21)


def test_part_of_an_answer_earns_part_of_the_points(scores):
    points, _ = scores[1]["half"]
    assert 14 <= points < 21


def test_the_feedback_says_why(scores):
    page = (scores[0] / "feedback" / "wrong" / "reinforce" / "03_reinforce.html").read_text(encoding="utf-8")
    assert "3 instead of 0.25" in page
