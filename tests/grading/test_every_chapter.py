"""Each chapter's notebooks as they would be handed in, in the sandbox where there is one: the solution, the exercises
untouched, and the solution with a mistake in each answer."""

import nbformat
import numpy as np
import pytest
import torch
from submissions import grade_file, reasons

from pgcourse.grading import sandbox
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.grade import NOTEBOOKS
from pgcourse.grading.solutions import MARKER, defines, edited, edits, explanation, mutant, notebook

CHAPTERS = EXERCISES.chapters()
SEED = 7


@pytest.fixture(scope="module")
def where():
    return sandbox.find("auto", several=False, trusted=True)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solution_has_all_points(chapter, where):
    graded = grade_file(notebook(chapter), EXERCISES.of(chapter), where, SEED)
    assert {result.exercise.name: reasons(result) for result in graded.exercises if reasons(result)} == {}
    assert graded.percent == 100


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_as_they_are_handed_out_are_not_attempted(chapter, where):
    (path,) = NOTEBOOKS.glob(f"{chapter}_*.ipynb")
    graded = grade_file(path, EXERCISES.of(chapter), where, SEED)
    assert graded.points == 0
    assert {result.exercise.name for result in graded.exercises if result.attempted} == set()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_mistake_is_found_and_named_as_in_this_process(chapter, where, tmp_path):
    """The first of each exercise that is an edit of the solution; what the grader plays with is left out."""
    chosen = [
        (exercise, change)
        for exercise in EXERCISES.of(chapter)
        if not any(check.play for check in exercise.checks)
        if (change := next((one.change for one in exercise.mistakes if edits(one.change)), None))
    ]
    assert chosen
    solution = nbformat.read(notebook(chapter), as_version=4)
    for exercise, change in chosen:
        (cell,) = (one for one in solution.cells if one.cell_type == "code" and defines(one.source, exercise.entry))
        cell.source = edited(exercise, MARKER.sub("", cell.source), change)
    path = tmp_path / f"{chapter}_x.ipynb"
    nbformat.write(solution, path)
    graded = grade_file(path, [exercise for exercise, _ in chosen], where, SEED)
    for result, (exercise, change) in zip(graded.exercises, chosen, strict=True):
        alike = Examination(exercise, SEED).judge(InProcess(mutant(exercise, change)))
        assert 0 <= result.points < exercise.points
        assert result.points == alike.points
        assert [one.diagnosis for one in result.checks] == [one.diagnosis for one in alike.checks]


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_explains(name):
    assert len(explanation(EXERCISES[name])) > 100


@pytest.mark.parametrize("name", [name for name in EXERCISES if EXERCISES[name].choices])
def test_a_choice_that_is_no_text_is_wrong(name):
    """A tensor compared with a name is neither true nor false."""
    exercise = EXERCISES[name]
    examination = Examination(exercise, SEED)
    right = examination.ask(exercise.checks[0])[0].expected.values[-1]
    for odd in (torch.tensor([1.0, 2.0]), np.array(["a", "b"]), [1, 2], None):
        result = examination.judge(InProcess(lambda odd=odd: dict.fromkeys(right, odd)))
        assert result.points == 0


def test_rounding_costs_no_points():
    """Sums of 300 rewards in float32, of which some are near 0 in this draw: 2e-5 is left where 18 cancels."""
    exercise = EXERCISES["03.reward_to_go"]
    assert Examination(exercise, 110).judge(InProcess(mutant(exercise, []))).points == exercise.points
