"""`pgcourse grade`, as a new user runs it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from click.testing import CliRunner
from submissions import EXERCISE, SOLUTION, function, write

from pgcourse.app.console import main
from pgcourse.grading.catalogue import EXERCISES


def run(*arguments):
    return CliRunner().invoke(main, ["grade", *map(str, arguments)])


def copy(source, target):
    target.parent.mkdir(exist_ok=True)
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")


def words(text):
    """Text without the table's lines and line breaks."""
    return " ".join(text.replace("│", " ").split())


def test_the_document_and_the_honest_guarantee():
    done = run(EXERCISE, "--json", "--seed", 4, "--sandbox", "none")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert (document["seed"], document["sandbox"]) == (4, "none")
    (submission,) = document["submissions"]
    assert (submission["points"], submission["max_points"]) == (0, 21)
    assert [exercise["exercise"] for exercise in submission["exercises"]] == list(EXERCISES)
    one = submission["exercises"][0]["checks"][0]
    assert one == {"check": "values", "points": 0, "max_points": 2, "message": "not attempted"}
    shown = words(done.stderr)
    assert "No sandbox: ordinary Python tampering cannot change the score, but the submission runs with your" in shown
    assert "Nothing here proves who wrote it." in shown


def test_a_table_for_one_notebook(tmp_path):
    answer = function("reward_to_go", "return reward.flip(-1).cumsum(-1).flip(-1)")
    done = run(write(tmp_path / "03_x.ipynb", answer), "--sandbox", "none", "--require", 50)
    assert done.exit_code == 1
    shown = words(done.output)
    assert "1 instead of 0.25 at [0, 0]. γ is missing: a reward k steps later must count γ^k." in shown
    assert shown.count("γ is missing") == 1
    assert "not defined: there is no function reinforce_loss" in shown
    assert "as above" in shown
    assert "0/21" in shown
    assert "Below 50 %: 1 of 1." in shown


def test_a_folder_of_submissions(tmp_path):
    """Among them a file that is no notebook: the others are graded all the same."""
    copy(SOLUTION, tmp_path / "ann" / "03_reinforce.ipynb")
    copy(EXERCISE, tmp_path / "bob" / "03_reinforce.ipynb")
    copy(EXERCISE, tmp_path / "bob" / ".ipynb_checkpoints" / "03_reinforce.ipynb")
    (tmp_path / "03_cara.ipynb").write_text("</script>\x1b[31m", encoding="utf-8")
    refused = run(tmp_path, "--sandbox", "none")
    assert refused.exit_code == 1
    assert "--i-trust-these-submissions" in refused.output

    out = tmp_path / "grades"
    done = run(tmp_path, "--sandbox", "none", "--i-trust-these-submissions", "--out", out)
    assert done.exit_code == 0, done.output
    assert "not a valid notebook (nbformat 4)" in words(done.output)
    with (out / "gradebook.csv").open(encoding="utf-8", newline="") as file:
        rows = [[*row.values()][1:] for row in csv.DictReader(file)]
    assert sorted(rows, reverse=True) == [
        ["6", "8", "7", "21", "21", "100.0"],
        ["0", "0", "0", "0", "21", "0.0"],
        ["0", "0", "0", "0", "21", "0.0"],
    ]
    assert len(json.loads((out / "grades.json").read_text(encoding="utf-8"))["submissions"]) == 3


def test_the_gradebook_holds_no_formula(tmp_path, monkeypatch):
    copy(EXERCISE, tmp_path / "=cmd_03_x.ipynb")
    monkeypatch.chdir(tmp_path)
    assert run("=cmd_03_x.ipynb", "--sandbox", "none", "--out", "grades").exit_code == 0
    assert "\n'=cmd_03_x.ipynb,0" in (tmp_path / "grades" / "gradebook.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.ipynb"], "no such file or folder: nowhere.ipynb"),
        (["empty"], "no notebook (*.ipynb) in the folder empty"),
        (["mine.ipynb"], "mine.ipynb: which chapter is it?"),
        (["mine.ipynb", "--chapter", "99"], "say --chapter with one of: 03"),
        ([], "Missing argument 'PATH...'"),
    ],
)
def test_what_cannot_be_graded_is_named(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    copy(EXERCISE, tmp_path / "mine.ipynb")
    done = run(*arguments)
    assert done.exit_code != 0
    assert message in done.output


def test_bubblewrap_is_not_replaced_by_less(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    done = run(SOLUTION, "--sandbox", "bwrap")
    assert done.exit_code == 1
    assert "bubblewrap (bwrap) is not installed; on Debian and Ubuntu: apt install bubblewrap" in done.output


def test_grades_do_not_depend_on_the_seed_and_are_repeated():
    one, other, again = (
        run(SOLUTION, "--json", "--sandbox", "none", "--require", 100, "--seed", n) for n in (1, 8231, 1)
    )
    assert one.exit_code == other.exit_code == 0
    assert one.stdout == again.stdout
    assert json.loads(one.stdout)["submissions"] == json.loads(other.stdout)["submissions"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a process group in another way there")
def test_ctrl_c_keeps_what_was_graded_and_leaves_no_process(tmp_path):
    copy(SOLUTION, tmp_path / "03_a.ipynb")
    write(tmp_path / "03_b.ipynb", function("reward_to_go", "import time; time.sleep(99)"))
    command = [sys.executable, "-m", "pgcourse.app.console", "grade", str(tmp_path), "--json", "--sandbox", "none"]
    process = subprocess.Popen(
        [*command, "--i-trust-these-submissions"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    watched = psutil.Process(process.pid)
    workers = set()
    deadline = time.monotonic() + 100
    while len(workers) < 2 and time.monotonic() < deadline:  # the second submission's has started
        workers |= set(watched.children())
        time.sleep(0.02)
    assert len(workers) == 2
    os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [one["points"] for one in json.loads(stdout)["submissions"]] == [21]
    assert "Interrupted: 1 of 2 notebooks were graded." in words(stderr)
    assert not any(worker.is_running() for worker in workers)
