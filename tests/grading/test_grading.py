"""Grades are computed outside the submission's process: whatever a submission does, it cannot earn more."""

import inspect
import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from pgcourse.cli import main
from pgcourse.grading import build, sandbox
from pgcourse.grading.check import CheckFailed, check, examine
from pgcourse.grading.checks import EXERCISES
from pgcourse.grading.exercise import InProcess, Limits, judge
from pgcourse.grading.grade import grade

ROOT = Path(__file__).resolve().parents[2]
SOLUTION = ROOT / "solutions" / "03_reinforce.ipynb"
EXERCISE = ROOT / "exercises" / "03_reinforce.ipynb"
TO_GO = EXERCISES["03.reward_to_go"]
MUTANTS = [
    pytest.param(exercise, mutant, id=f"{exercise.name}-{mutant.__name__.strip('_')}")
    for exercise in EXERCISES.values()
    for mutant in exercise.mutants
]

RIGHT = """
import torch
def reward_to_go(reward, gamma):
    ret = torch.empty_like(reward)
    after = torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = reward[..., t] + gamma * after
        ret[..., t] = after
    return ret
"""
WRONG = "import torch\ndef reward_to_go(reward, gamma):\n    return torch.zeros_like(reward)\n"


def submit(folder, *cells, exercises=(TO_GO,), limits=None):
    """Grade a notebook of these cells without a sandbox."""
    path = folder / "03_reinforce.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    nbformat.write(notebook, path)
    if limits is not None:
        exercises = [replace(exercise, limits=limits) for exercise in exercises]
    return grade(path, list(exercises), sandbox.NONE, seed=7)


def messages(graded):
    return " | ".join(one.message for result in graded.exercises for one in result.checks)


# ------------------------------------------------------------------------------------------ the course's own


def test_the_solution_scores_everything_and_the_stub_nothing():
    exercises = list(EXERCISES.values())
    assert grade(SOLUTION, exercises, sandbox.NONE, seed=3).percent == 100
    stub = grade(EXERCISE, exercises, sandbox.NONE, seed=3)
    assert stub.points == 0
    assert set(messages(stub).split(" | ")) == {"not attempted"}


def test_the_exercise_notebook_is_the_one_built_from_the_solution():
    assert build.build(SOLUTION.read_text(encoding="utf-8")) == EXERCISE.read_text(encoding="utf-8")


def test_the_exercise_notebook_gives_nothing_away():
    text = EXERCISE.read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    assert "empty_like" not in text


def test_points_in_the_notebook_are_the_points_of_the_checks():
    notebook = nbformat.read(SOLUTION, 4)
    points = [
        cell.metadata.nbgrader.points for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")
    ]
    assert points == [exercise.points for exercise in EXERCISES.values()]


# ---------------------------------------------------------------------------------------------------- mutants


@pytest.mark.parametrize(("exercise", "mutant"), MUTANTS)
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_every_mutant_fails_a_check_on_any_draw(exercise, mutant, seed):
    result = judge(exercise, InProcess(mutant), seed)
    assert result.points < exercise.points
    assert inspect.getdoc(mutant), "a mutant's docstring is its diagnosis"


@pytest.mark.parametrize(("exercise", "mutant"), MUTANTS)
def test_the_notebook_names_every_mutant(exercise, mutant):
    """On the public draw the diagnosis is this mutant's own, or that of one that nothing here tells from it."""
    result = examine(exercise.name, mutant)
    diagnoses = {one.diagnosis for one in result.checks if not one.passed}
    assert inspect.cleandoc(mutant.__doc__).replace("\n", " ") in diagnoses


def test_mutants_fail_in_a_process_of_their_own_as_well(tmp_path):
    shifted = RIGHT.replace("after = reward[..., t] + gamma * after", "after = gamma * (reward[..., t] + after)")
    graded = submit(tmp_path, shifted)
    assert 0 <= graded.points < TO_GO.points
    assert "instead of" in messages(graded)


# ---------------------------------------------------------------------------------- submissions that are honest


def test_noise_and_unrelated_mistakes_cost_nothing(tmp_path):
    noisy = RIGHT.replace(
        "    ret = ",
        "    import sys, warnings; warnings.warn('w'); print('x'); print('y', file=sys.stderr)\n    ret = ",
    )
    graded = submit(
        tmp_path, "def oops(:", "while True: pass", "raise SystemExit", "%matplotlib inline\n!echo hi", noisy
    )
    assert graded.points == TO_GO.points
    assert any("cell 1" in note for note in graded.notes), graded.notes


def test_an_answer_that_crashes_on_an_edge_case_loses_that_check_only(tmp_path):
    graded = submit(tmp_path, RIGHT.replace("    ret = ", "    assert reward.shape[-1] < 100\n    ret = "))
    failed = [one.check.name for one in graded.exercises[0].checks if not one.passed]
    assert failed == ["long episodes"]
    assert "AssertionError" in messages(graded)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["def reward_to_go(reward, gamma:\n    return reward"], "not defined"),
        (["def something_else(reward, gamma):\n    return reward"], "not defined: there is no function reward_to_go"),
        (["def reward_to_go(reward, gamma):\n    raise NotImplementedError()"], "not attempted"),
        ([RIGHT.replace("return ret", "return ret * float('nan')")], "nan"),
        ([RIGHT.replace("return ret", "return ret.to(torch.complex64)")], "complex"),
        ([RIGHT.replace("return ret", "return ret[..., :1]")], "shape"),
        ([RIGHT.replace("return ret", "return 'ten'")], "str"),
        ([RIGHT.replace("return ret", "return ret.double() if ret.dtype == torch.float32 else ret.float()")], "float"),
        (["def reward_to_go(reward, gamma):\n    return reward_to_go(reward, gamma)"], "RecursionError"),
    ],
    ids=["syntax", "renamed", "stub", "nan", "complex", "shape", "text", "dtype", "recursion"],
)
def test_a_wrong_answer_gets_a_reason(tmp_path, cells, message):
    graded = submit(tmp_path, *cells)
    assert graded.points == 0
    assert message.lower() in messages(graded).lower()


# ------------------------------------------------------------------------------- submissions that are not honest
# Nothing here touches the machine beyond its own process; what would, belongs inside bubblewrap.


@pytest.mark.parametrize(
    "tampering",
    [
        "import numpy as np, torch, builtins\n"
        "np.testing.assert_allclose = np.allclose = torch.allclose = torch.equal = lambda *a, **k: True\n"
        "builtins.all = builtins.any = lambda x: True\nbuiltins.AssertionError = ValueError\n",
        "class Equal(float):\n    def __eq__(self, other): return True\n    __hash__ = None\n",
        "import torch\nclass Same(torch.Tensor):\n    def __eq__(self, other): return True\n",
        "import sys\nsys.modules['pgcourse'] = sys.modules['json'] = None\n",
    ],
    ids=["patches", "equal-to-everything", "tensor-subclass", "modules"],
)
def test_tampering_earns_nothing(tmp_path, tampering):
    body = "    return Same(torch.zeros_like(reward))" if "Same" in tampering else "    return torch.zeros_like(reward)"
    body = "    return Equal()" if "Equal" in tampering else body
    executed = "import torch\ndef reward_to_go(reward, gamma):\n" + textwrap.indent(tampering, "    ") + body
    assert submit(tmp_path, tampering + WRONG).points == 0
    assert submit(tmp_path, executed).points == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os; os._exit(0)", "exited"),
        ("import sys; sys.exit(0)", "exited"),
        ("import time; time.sleep(99)", "time limit"),
        ("while True:\n        try:\n            while True: pass\n        except BaseException: pass", "time limit"),
        ("import ctypes; ctypes.string_at(0)", "exited"),
        ("import os, struct\n    for fd in range(3, 64):\n        try: os.write(fd, struct.pack('>I', 2) + b'{}')\n"
         "        except OSError: pass\n    os._exit(0)", ""),
        ("return torch.zeros(8_000_000)", "large"),
        ("import numpy; return numpy.array([object()], dtype=object)", "object"),
    ],
    ids=["os-exit", "sys-exit", "sleep", "loop", "segfault", "forged-frames", "huge", "object-dtype"],
)  # fmt: skip
def test_a_process_that_misbehaves_gets_nothing_and_leaves_nothing(tmp_path, body, message):
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    answer = f"import torch\ndef reward_to_go(reward, gamma):\n    {body}\n"
    graded = submit(tmp_path, answer, limits=Limits(check_seconds=2, exercise_seconds=4))
    assert graded.points == 0
    assert message in messages(graded)
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
def test_a_memory_bomb_is_stopped_inside_its_budget(tmp_path):
    bomb = "def reward_to_go(reward, gamma):\n    x = []\n    while True: x.append(bytearray(1 << 26))\n"
    graded = submit(tmp_path, bomb, limits=Limits(memory=1 << 29))
    assert graded.points == 0
    assert "memory" in messages(graded).lower()


def test_one_answer_that_dies_leaves_the_others_their_points(tmp_path):
    solution = nbformat.read(SOLUTION, 4)
    loss = next(cell.source for cell in solution.cells if "def reinforce_loss" in cell.source)
    dies = "def reward_to_go(reward, gamma):\n    import os; os._exit(1)\n"
    graded = submit(tmp_path, "import torch", dies, loss, exercises=(TO_GO, EXERCISES["03.loss"]))
    assert [result.points for result in graded.exercises] == [0, EXERCISES["03.loss"].points]


def test_changing_its_inputs_fails_the_check_for_it_and_no_other(tmp_path):
    graded = submit(tmp_path, RIGHT.replace("    return ret", "    reward.zero_()\n    return ret"))
    assert [one.check.name for one in graded.exercises[0].checks if not one.passed] == ["input and dtype"]


def test_exception_text_is_cut_and_made_harmless(tmp_path):
    graded = submit(
        tmp_path, "def reward_to_go(reward, gamma):\n    raise ValueError('\\x1b[31m</script>' + 'x' * 10**6)"
    )
    assert len(messages(graded)) < 10_000
    assert "\x1b" not in messages(graded)


@pytest.mark.parametrize("content", ["", "not a notebook", '{"cells": 3}', '{"nbformat": 4}'])
def test_a_file_that_is_no_notebook_gets_a_reason(tmp_path, content):
    path = tmp_path / "03_x.ipynb"
    path.write_text(content, encoding="utf-8")
    graded = grade(path, [TO_GO], sandbox.NONE, seed=0)
    assert graded.points == 0
    assert messages(graded)


# ------------------------------------------------------------------------------------------------- bubblewrap


def bubblewrap():
    try:
        return sandbox.find("bwrap")
    except sandbox.CannotGrade as error:
        pytest.skip(f"no bubblewrap: {error}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import pgcourse", "not available"),
        (
            "import socket; assert [n for _, n in socket.if_nameindex()] == ['lo'], 'NETWORK'; raise OSError('none')",
            "none",
        ),
        ("open('/etc/passwd').read()", "No such file"),
        (f"open({str(SOLUTION)!r}).read()", "No such file"),
        ("open('/tmp/x', 'w')", ""),
    ],
    ids=["pgcourse", "network", "files", "solutions", "writing"],
)
def test_bubblewrap_shows_nothing_of_this_computer(tmp_path, body, message):
    path = tmp_path / "03_x.ipynb"
    cell = nbformat.v4.new_code_cell(
        f"def reward_to_go(reward, gamma):\n    {body}\n    raise RuntimeError('got through')"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    graded = grade(path, [TO_GO], bubblewrap(), seed=0)
    assert graded.points == 0
    assert message in messages(graded)
    assert "got through" not in messages(graded)


def test_bubblewrap_grades_as_no_sandbox_does(tmp_path):
    assert grade(SOLUTION, list(EXERCISES.values()), bubblewrap(), seed=5).percent == 100


# ------------------------------------------------------------------------------------------------ the notebook


def test_check_displays_and_raises_only_when_strict(capsys, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    check("03.reward_to_go", lambda reward, gamma: -reward)
    assert "✗" in capsys.readouterr().out
    with pytest.raises(CheckFailed):
        check("03.reward_to_go", lambda reward, gamma: -reward, strict=True)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(CheckFailed):
        check("03.reward_to_go", lambda reward, gamma: -reward)


def test_a_stub_never_raises(capsys):
    def stub(reward, gamma):
        raise NotImplementedError

    check("03.reward_to_go", stub, strict=True)
    assert "not attempted" in capsys.readouterr().out


def test_feedback_is_escaped():
    def evil(reward, gamma):
        raise ValueError("<script>alert(1)</script>")

    from pgcourse.grading.check import Feedback

    html = Feedback(examine("03.reward_to_go", evil))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_check_names_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"no exercise is called '03.nothing'; there are: 03.reward_to_go"):
        check("03.nothing", np.sum)
    with pytest.raises(TypeError, match="takes the function itself"):
        check("03.reward_to_go", 3.0)


# ------------------------------------------------------------------------------------------------- the command


def test_the_json_document():
    result = CliRunner().invoke(main, ["grade", str(EXERCISE), "--json", "--seed", "4", "--sandbox", "none"])
    assert result.exit_code == 0, result.output
    (submission,) = json.loads(result.stdout)["submissions"]
    assert [exercise["exercise"] for exercise in submission["exercises"]] == list(EXERCISES)
    one = submission["exercises"][0]["checks"][0]
    assert one == {"check": "values", "points": 0, "max_points": 2, "message": "not attempted"}


def test_a_folder_of_strangers_is_refused_without_a_sandbox(tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "03_reinforce.ipynb").write_text(EXERCISE.read_text(encoding="utf-8"), encoding="utf-8")
    result = CliRunner().invoke(main, ["grade", str(tmp_path), "--sandbox", "none"])
    assert result.exit_code != 0
    assert "--i-trust-these-submissions" in result.output


def test_a_path_that_is_not_there_is_named():
    result = CliRunner().invoke(main, ["grade", "nowhere.ipynb"])
    assert result.exit_code != 0
    assert "nowhere.ipynb" in result.output


def test_the_command_runs_as_a_process():
    command = [sys.executable, "-m", "pgcourse.cli", "grade", str(SOLUTION), "--sandbox", "none", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    checks = [one for exercise in json.loads(done.stdout)["submissions"][0]["exercises"] for one in exercise["checks"]]
    assert all(one["points"] == one["max_points"] for one in checks)
