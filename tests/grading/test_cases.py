"""Notebooks that were handed in to earlier versions of the grader: right ones that lost points, and attacks.

They lie in the folder cases as they were, two hostile ones excepted whose only matter is their length.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from submissions import TO_GO, grade_file, reasons, write

from pgcourse.grading import process
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.collect import read
from pgcourse.grading.exercise import InProcess, Limits, judge
from pgcourse.grading.worker import Notebook

CASES = Path(__file__).parent / "cases"
CORRECT = sorted((CASES / "correct").glob("*.ipynb"))
ASKED = ("03.reward_to_go", "03.loss", "03.baseline")
# These two were counted among the right ones. The text says otherwise: the last definition counts, as in a notebook
# that is run from top to bottom, and is named among the notes; and asked for is the loss, not a number whose gradient
# is the loss's.
LOSES = {
    "03_cell_scratch_redefined_below": {f"03.reward_to_go: {check.name}" for check in TO_GO.checks},
    "03_loss_surrogate_same_grad": {f"03.loss: {check.name}" for check in EXERCISES["03.loss"].checks},
}


@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_a_right_answer_gets_all_points(path):
    exercises = [EXERCISES[name] for name in ASKED]
    submission = read(path.read_bytes(), [exercise.entry for exercise in exercises])
    notebook = Notebook()
    try:
        for cell in submission.cells:
            for index, _ in cell.keep:
                with contextlib.suppress(Exception):  # such as imports of the course
                    notebook.execute(cell.name, cell.source, index)
        lost = set()
        for exercise in exercises:
            result = judge(exercise, InProcess(getattr(notebook.module, exercise.entry)), seed=11)
            lost |= {f"{exercise.name}: {check}" for check in reasons(result)}
        assert lost == LOSES.get(path.stem, set())
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)


HOSTILE = {  # what is said of the first check, one of several where chance decides; "" where the answer is right
    "bidi_exception": "ValueError: ��[2J�]0;owned�</script><img src=x onerror=alert(1)> (cell 1, line 4)",
    "binop": "not defined: there is no function reward_to_go",
    "breaks_neighbours": "0 instead of",
    "colab": "0 instead of 0.5",
    "decorator_exec": "TypeError: 'int' object is not callable",
    "default_device_meta": "0 instead of",
    "disk_fill": "Read-only file system",
    "environment": "'PATH', 'PWD', 'TORCHINDUCTOR_CACHE_DIR'] parent:",  # nothing of the grader's
    "fork_30": "fork refused after 0: [Errno 1] Operation not permitted",
    "fork_setsid": "PermissionError",
    "frames_ahead": "protocol violation: an answer to no question",
    "guess_float_subclass": "returned an object of type F",
    "import_time_bomb": "cell 1: waited 1 s for nothing",
    # It kills all only where its own process has a number below 50, and then may not; otherwise it ends itself.
    "kill_all": ("PermissionError", "killed by SIGTERM"),
    "magics": "not defined: there is no function reward_to_go",
    "memo_default_seed": "0 instead of",
    "nbformat3": "a notebook in the format of before 2015",
    "patch_encode": "0 instead of",
    "public_memo": "0 instead of",
    "silent_augassign": "",
    "sleep_in_import": "0 instead of",
    "stderr_flood": "printed more than 32 MB",
    "stop_self": "waited 1 s for nothing",
    "userns": "unshare -1 (Operation not permitted), mount -9",
    "utf16": "0 instead of 0.5",  # it is read, and wrong
    "vscode": "0 instead of 0.5",
}
LENGTHS = {"binop": "x = 1" + "+1" * 200_000, "magics": "%a\n" * 19_823}
PART = replace(TO_GO, checks=TO_GO.checks[:1], limits=Limits(check_seconds=1.0, exercise_seconds=3.0))


def test_each_attack_has_its_line():
    assert set(HOSTILE) == {path.stem.removeprefix("03_") for path in (CASES / "hostile").iterdir()} | set(LENGTHS)


@pytest.fixture(scope="module")
def others():
    """The processes that earlier tests keep, such as the server that forks the engine's workers."""
    return set(psutil.Process().children(recursive=True))


@pytest.mark.parametrize("name", HOSTILE)
def test_an_attack_gets_what_it_earns_and_leaves_nothing(name, others, bubblewrap, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "WAIT_SECONDS", 1.0)
    path = CASES / "hostile" / f"03_{name}.ipynb"
    if name in LENGTHS:
        path = write(tmp_path / "03_x.ipynb", LENGTHS[name])
    graded = grade_file(path, [PART], bubblewrap, seed=8231)
    (result,) = graded.exercises
    if words := HOSTILE[name]:
        said = reasons(result)["values"]
        assert any(one in said for one in ([words] if isinstance(words, str) else words))
        assert result.points == 0
    else:
        assert result.state == "solved"
    left = set(psutil.Process().children(recursive=True)) - others
    assert len(left) <= 2  # bubblewrap, and in it the process that forks the others
    assert not any(Path(folder, f"pgfill{i}").exists() for folder in (os.curdir, "/tmp", "/dev/shm") for i in range(5))
