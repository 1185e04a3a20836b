"""The exercises: their notebooks, and the mistakes that their checks must find and name."""

import sys

import nbformat
import pandas as pd
import pytest
import torch
from nbclient import NotebookClient
from submissions import EXERCISE, RIGHT, SOLUTION, grade_file, reasons
from tracked import ROOT, notebooks

import pgcourse as pg
from pgcourse.grading import build, check, solutions, solved, table
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.check import CheckFailed, Feedback, examine, marked, paragraphs

NAMES = list(EXERCISES)
ALL = EXERCISES.of("03")
REPAIR = EXERCISES["03.broadcasting"]


def diagnoses(result):
    return {one.diagnosis for one in result.checks if not one.passed}


# ---------------------------------------------------------------------------------------------- known mistakes


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_passes_and_each_known_mistake_fails_and_is_named(name):
    exercise = EXERCISES[name]
    assert list(table.faults(exercise, *table.examined(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_is_whole(name):
    one = EXERCISES[name]
    assert len(one.hints) == 2
    assert len(one.mistakes) >= 2
    assert one.points > 0
    assert one.minutes > 0
    assert {one.difficulty, one.importance} <= {1, 2, 3, 4, 5}
    assert one.goal.endswith(".")


def test_the_table_of_mistakes_is_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert table.main(["--check"]) == 0


def test_an_edit_that_does_not_match_once_is_an_error():
    one = EXERCISES["03.reward_to_go"]
    for old in ("no such text", "reward"):
        with pytest.raises(solutions.BadEdit, match=r"stands \d+ times in the solution of reward_to_go"):
            solutions.mutant(one, (old, ""))


def test_a_mistake_that_no_mutant_makes_gets_no_diagnosis():
    """Right but for its digits: it must not be taken for a mutant that is right on the same inputs."""
    scope = {}
    exec(RIGHT, scope)
    result = examine("03.reward_to_go", lambda reward, gamma: 1.001 * scope["right"](reward, gamma))
    assert diagnoses(result) == {""}


def test_two_mistakes_at_once_are_named_each_at_the_check_it_fails():
    result = examine("03.loss", lambda log_prob, ret, mask: -(log_prob * ret * mask).sum(1).mean())
    found = {one.check.name: one.diagnosis for one in result.checks if not one.passed}
    assert found["returns are data"].startswith("A gradient flows into the returns")
    assert found["broken padding"].startswith("Padding is multiplied with 0")
    assert len(found) == 2


# ------------------------------------------------------------------------------------- the library's own answers


def test_the_library_s_own_functions_solve_the_exercises():
    """They were written for other shapes and other tests."""

    def reward_to_go(reward, gamma):
        flat = reward.reshape(-1, reward.shape[-1]).T.unsqueeze(0)  # [1, time, env]
        never = torch.zeros_like(flat, dtype=torch.bool)
        return pg.rl.reward_to_go(flat, never, never, gamma)[0].T.reshape(reward.shape)

    def loss(log_prob, ret, mask):
        shown = (x.T.unsqueeze(0) for x in (log_prob, ret, mask))
        return pg.REINFORCE().loss(*shown).squeeze(0)

    def baseline(ret, mask):
        return pg.rl.leave_one_out_mean(ret.T.unsqueeze(0), mask.T.unsqueeze(0))[0].T

    assert solved("03.reward_to_go", reward_to_go)
    assert solved("03.baseline", baseline)
    assert set(reasons(examine("03.loss", loss))) <= {"broken padding"}  # the library's padding is never NaN


# ------------------------------------------------------------------------------------------------ the notebooks


def test_the_solution_scores_everything_and_the_untouched_exercise_nothing():
    assert grade_file(SOLUTION, ALL, seed=3).percent == 100
    untouched = grade_file(EXERCISE, ALL, seed=3)
    assert untouched.points == 0
    assert [result.state for result in untouched.exercises] == ["not attempted"] * len(ALL)
    messages = {one.message for result in untouched.exercises for one in result.checks}
    assert messages == {"not attempted", "not attempted: this does what the function did as it was given"}


def run(path, monkeypatch):
    """Execute a notebook from top to bottom in a kernel; its outputs by cell."""
    monkeypatch.setenv("CI", "true")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, iopub_timeout=60, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    return {cell.id: str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"}


def test_the_solution_runs_from_top_to_bottom_and_trains(monkeypatch):
    outputs = run(SOLUTION, monkeypatch)
    for part in ("reward-to-go", "loss", "baseline"):
        assert f"03.{part.replace('-', '_')}: solved" in outputs[f"check-{part}"]
    assert "image/png" in outputs["train-run"]


def test_the_untouched_exercise_runs_from_top_to_bottom(monkeypatch):
    outputs = run(EXERCISE, monkeypatch)
    for part in ("reward-to-go", "loss", "baseline"):
        assert "not attempted" in outputs[f"check-{part}"]
    assert "first solve reward-to-go, the loss and the baseline" in outputs["train-run"]


def test_the_three_functions_train_exactly_as_the_library_does():
    scope = {}
    for cell in nbformat.read(SOLUTION, as_version=4).cells:
        if cell.cell_type == "code" and cell.id.startswith(("imports", "answer-", "plug-in")):
            exec(cell.source, scope)
    mine, library = (pg.train(cls(), "CartPole-v1", seeds=3, steps=4000) for cls in (scope["Mine"], pg.REINFORCE))
    pd.testing.assert_frame_equal(mine.curves, library.curves, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_says_what_is_asked(name):
    one = EXERCISES[name]
    cells = {cell.id: cell for cell in nbformat.read(solutions.notebook(one.chapter), as_version=4).cells}
    assert cells[build.cell_id("check", one)].metadata.nbgrader.points == one.points
    text = cells[build.cell_id("about", one)].source
    assert f"{one.minutes} minutes, difficulty {one.difficulty} of 5, importance {one.importance} of 5" in text
    for part in one.checks:
        for requirement in part.requirements():
            assert requirement in text
    if one.evidence:
        assert cells[build.cell_id("evidence", one)].source == f'evidence("{name}")'


# ------------------------------------------------------------------------- from the solution to the exercise


def test_the_exercise_notebook_is_the_one_built_from_the_solution(tmp_path, monkeypatch, capsys):
    for name, path in notebooks("exercises", "solutions").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert build.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_the_exercise_notebook_gives_nothing_away():
    cells = {cell.id: cell.source for cell in nbformat.read(EXERCISE, as_version=4).cells}
    answers = [source for name, source in cells.items() if name.startswith("answer-")]
    assert len(answers) == len(ALL)
    for source in answers:
        if source.startswith("class "):
            assert source.count("raise NotImplementedError()") == source.count("def ")
            continue
        if source == solutions.edited(REPAIR, solutions.source(REPAIR), REPAIR.start):
            continue
        signature, docstring, *rest = source.splitlines()
        assert (signature[:4], docstring[:7]) == ("def ", '    """')
        assert rest == ["    # YOUR CODE HERE", "    raise NotImplementedError()"]
    assert "SOLUTION" not in "".join(cells.values())


def test_building_writes_what_is_stale_and_checking_only_names_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert build.main([]) == 2
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "03_x.ipynb").write_text(SOLUTION.read_text(encoding="utf-8"), encoding="utf-8")
    built = tmp_path / "exercises" / "03_x.ipynb"
    assert build.main(["--check"]) == 1
    assert not built.exists()
    assert build.main([]) == 0
    assert built.read_text(encoding="utf-8") == EXERCISE.read_text(encoding="utf-8")
    assert build.main(["--check"]) == 0
    built.write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert build.main(["--check"]) == 1
    assert "03_x.ipynb: differs from what is built; run python -m pgcourse.grading.build" in capsys.readouterr().out


def test_building_without_nbgrader_says_what_installs_it(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    assert build.main(["--check"]) == 1
    assert "python3 start.py setup instructor" in capsys.readouterr().out


# ------------------------------------------------------------------------------------ feedback in the notebook


def flipped(reward, gamma):
    return -reward


def test_a_wrong_answer_is_shown_and_raises_only_where_strict(capsys, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    check("03.reward_to_go", flipped)
    shown = capsys.readouterr().out
    assert "0 of 5 checks, 0 of 6 points" in shown
    assert "✗ values (0/2)" in shown
    assert "expected  [[0.25, 0.5 , 1. ]]" in shown
    with pytest.raises(CheckFailed, match="0 of 5 checks"):
        check("03.reward_to_go", flipped, strict=True)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(CheckFailed):
        check("03.reward_to_go", flipped)
    check("03.reward_to_go", flipped, strict=False)


def test_a_stub_never_raises(capsys):
    def stub(reward, gamma):
        raise NotImplementedError

    check("03.reward_to_go", stub, strict=True)
    assert "not attempted, 0 of 6 points. Fill in reward_to_go and check again." in capsys.readouterr().out


def test_the_solution_is_shown_once_the_exercise_is_solved_and_not_before():
    scope = {}
    exec(RIGHT, scope)
    answer = Feedback(examine("03.reward_to_go", scope["right"]))
    assert "The course's own answer:\ndef reward_to_go(reward, gamma):" in repr(answer)
    assert "<pre>def reward_to_go(reward, gamma):" in answer._repr_html_()
    for text in (repr(answer), answer._repr_html_()):
        assert "SOLUTION" not in text
    wrong = Feedback(examine("03.reward_to_go", flipped))
    assert "empty_like" not in repr(wrong) + wrong._repr_html_()


def test_html_is_escaped():
    def evil(reward, gamma):
        raise ValueError("<script>alert(1)</script>")

    html = Feedback(examine("03.reward_to_go", evil))._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_what_cannot_be_checked_is_named():
    with pytest.raises(ValueError, match=r"no exercise is called '03.nothing'; there are: 03\."):
        check("03.nothing", flipped)
    with pytest.raises(TypeError, match=r"takes the function itself, not what it returned: 3.0"):
        check("03.reward_to_go", 3.0)


def test_an_explanation_is_markdown_whose_formulas_stay_as_they_are():
    shown = paragraphs("**Why.** `a_b` is $\\bar w\\cdot x_{i,t} * y_*$, <b>not</b>\n\n$$\\sum_t\\,r_t < 1$$")
    assert "<strong>Why.</strong> <code>a_b</code> is $\\bar w\\cdot x_{i,t} * y_*$, &lt;b&gt;not&lt;/b&gt;" in shown
    assert "$$\\sum_t\\,r_t &lt; 1$$" in shown


def test_a_hint_has_code_in_it_and_nothing_else_of_markdown():
    assert marked("`x < 1`: *a*, G_t [x](y)") == "<code>x &lt; 1</code>: *a*, G_t [x](y)"
