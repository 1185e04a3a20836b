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
from submissions import EXERCISE, SOLUTION, function, host_of, write

from pgcourse.app.console import main
from pgcourse.course import copies
from pgcourse.grading import batch
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.process import Process

FULL = sum(one.points for one in EXERCISES.of("03"))


@pytest.fixture(autouse=True)
def lasting_hosts(monkeypatch):
    monkeypatch.setattr(batch, "Host", lambda where: host_of(where.name))


def run(*arguments):
    return CliRunner().invoke(main, ["grade", "--jobs", "1", *map(str, arguments)])


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
    assert (submission["points"], submission["max_points"]) == (0, FULL)
    assert [exercise["exercise"] for exercise in submission["exercises"]] == [one.name for one in EXERCISES.of("03")]
    one = submission["exercises"][0]["checks"][0]
    first = EXERCISES.of("03")[0].checks[0]
    assert one == {
        "check": first.name,
        "points": 0,
        "max_points": first.points,
        "message": "not attempted",
        "diagnosis": "",
        "hint": "",
    }
    shown = words(done.stderr)
    assert "No sandbox: ordinary Python tampering cannot change the score, but the submission runs with your" in shown
    assert "Nothing here proves who wrote it." in shown


def test_what_is_required_is_required_of_the_versions_that_count(tmp_path):
    folder = tmp_path / "class"
    copy(SOLUTION, folder / "ann_03_x_2.ipynb")
    write(folder / "ann_03_x.ipynb", "")
    options = ("--sandbox", "none", "--i-trust-these-submissions", "--seed", 1, "--require", 100)
    done = run(folder, *options)
    assert done.exit_code == 0, done.output
    write(folder / "bob_03_x.ipynb", "")
    done = run(folder, *options)
    assert done.exit_code == 1
    assert "Below 100 %: 1 of 2." in words(done.output)


def test_a_table_for_one_notebook(tmp_path):
    answer = function("reward_to_go", "return reward.flip(-1).cumsum(-1).flip(-1)")
    done = run(write(tmp_path / "03_x.ipynb", answer), "--sandbox", "none", "--require", 50)
    assert done.exit_code == 1
    shown = words(done.output)
    assert "1 instead of 0.25 at [0, 0]. γ is missing: a reward k steps later must count γ^k." in shown
    assert shown.count("γ is missing") == 1
    assert "not defined: there is no function reinforce_loss" in shown
    assert shown.count("not defined: there is no function reinforce_loss") == 1
    assert "as above" in shown
    assert f"0/{FULL}" in shown
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
    assert done.exit_code == 3, done.output
    assert "not graded: a web page (HTML)" in words(done.output)
    with (out / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert {student: (row["state"], row["points"], row["percent"]) for student, row in rows.items()} == {
        "ann": ("solved", f"{FULL}", "100.0"),
        "bob": ("not attempted", "0", "0.0"),
        "03_cara": ("not graded: a web page (HTML), not a notebook: hand in the .ipynb file itself", "", ""),
    }
    assert rows["ann"]["03.loss: broken padding"] == "2"
    assert len(json.loads((out / "grades.json").read_text(encoding="utf-8"))["submissions"]) == 3
    shown = words(done.output)
    assert "2 graded: 1 with all points, median 50 %" in shown
    assert "1 of 2 get no points: not attempted" in shown
    assert "1 not graded" in shown
    assert "fail 03." not in shown  # nobody whose answers were judged failed a check
    page = (out / "feedback" / "03_cara_03_cara.html").read_text(encoding="utf-8")
    assert page.count("a web page (HTML)") == 1


def odd(folder):
    """Files that look like submissions and are none, and a good one among them."""
    copy(SOLUTION, folder / "ann" / "03_reinforce.ipynb")
    copy(SOLUTION, folder / "__MACOSX" / "._03_reinforce.ipynb")
    copy(SOLUTION, folder / "mine.ipynb")
    (folder / "03_folder.ipynb").mkdir()
    with (folder / "03_large.ipynb").open("wb") as file:
        file.truncate(100 << 20)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "03_fifo.ipynb")
        (folder / "03_link.ipynb").symlink_to(SOLUTION)
        (folder / "03_dead.ipynb").symlink_to("nowhere")
        (folder / "03_device.ipynb").symlink_to("/dev/zero")
        (folder / "linked").symlink_to(SOLUTION.parent)


def test_what_is_no_submission_is_a_row_and_costs_nobody_a_grade(tmp_path):
    odd(tmp_path)
    done = run(tmp_path, "--sandbox", "none", "--i-trust-these-submissions", "--json")
    assert done.exit_code == 3, done.output
    document = json.loads(done.stdout)
    states = {row["path"].removeprefix(f"{tmp_path}{os.sep}"): row["state"] for row in document["submissions"]}
    assert states.pop(os.path.join("ann", "03_reinforce.ipynb")) == "graded"
    assert all(state.startswith("not graded: ") for state in states.values())
    assert "a folder" in states["03_folder.ipynb"]
    assert "100 MB, more than 50 MB" in states["03_large.ipynb"]
    assert "which chapter is it?" in states["mine.ipynb"]
    if hasattr(os, "mkfifo"):
        assert "a FIFO" in states["03_fifo.ipynb"]
        assert {states[name].split(":")[1] for name in ("03_link.ipynb", "03_dead.ipynb", "linked")} == {" a link"}
        assert len(states) == 9


def test_several_have_a_seed_that_nobody_knew(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}_03_x.ipynb", "x = 1")
    options = (tmp_path, "--sandbox", "none", "--i-trust-these-submissions", "--json")
    seeds = {json.loads(run(*options).stdout)["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_grades_are_gone_on_with(tmp_path, monkeypatch):
    """What was graded is not run again; what it answered is judged again when a check is added."""
    handed_in = tmp_path / "handed_in"
    copy_to = handed_in / "ann" / "03_reinforce.ipynb"
    copy_to.parent.mkdir(parents=True)
    copy(SOLUTION, copy_to)
    out = tmp_path / "grades"
    options = (handed_in, "--sandbox", "none", "--i-trust-these-submissions", "--out", out)
    assert run(*options, "--seed", 5).exit_code == 0
    assert "go on with it by --resume" in run(*options).output
    assert "were drawn with --seed 5, not 6" in run(*options, "--resume", "--seed", 6).output

    private = tmp_path / "mine.py"
    private.write_text(PRIVATE, encoding="utf-8")
    write(handed_in / "bob_03_x.ipynb", "x = 1")
    asked = []
    ask = Process.ask

    def listen(self, request, *rest):
        asked.append(json.loads(request) if isinstance(request, str) else request)
        return ask(self, request, *rest)

    monkeypatch.setattr(Process, "ask", listen)
    done = run(*options, "--resume", "--private-checks", private, "--json")
    assert done.exit_code == 0, done.output
    ann, bob = json.loads(done.stdout)["submissions"][::-1]
    assert (ann["student"], ann["points"], ann["max_points"]) == ("ann", FULL + 1, FULL + 1)
    assert (bob["student"], bob["points"]) == ("bob", 0)
    (to_go,) = (one["checks"] for one in ann["exercises"] if one["exercise"] == "03.reward_to_go")
    assert (to_go[-1]["check"], to_go[-1]["points"]) == ("mine", 1)
    calls = [request for request in asked if request["do"] == "call"]
    assert len(calls) == 1  # the one that had not been asked: the others' replies were kept

    asked.clear()
    again = run(*options, "--resume", "--private-checks", private, "--json")
    assert not asked
    assert json.loads(again.stdout)["submissions"] == json.loads(done.stdout)["submissions"]

    private.write_text(PRIVATE.replace("0.25", "0.75"), encoding="utf-8")  # a case is corrected, under the same name
    assert run(*options, "--resume", "--private-checks", private).exit_code == 0
    assert [request["do"] for request in asked].count("call") == 1  # it alone is asked; the other replies were kept


PRIVATE = """
from pgcourse.grading.kinds import Check
CHECKS = {"03.reward_to_go": {"mine": Check(1, "", [{"reward": [[7, 7]], "gamma": 0.25}])}}
"""


def test_of_several_versions_one_counts(tmp_path):
    copy(SOLUTION, tmp_path / "ann" / "03_x.ipynb")
    copy(EXERCISE, tmp_path / "ann" / "03_x (1).ipynb")
    copy(EXERCISE, tmp_path / "lee_03_x-2.ipynb")
    options = (tmp_path, "--sandbox", "none", "--i-trust-these-submissions", "--json")
    for which, points in (("latest", [0, 0]), ("best", [0, FULL])):
        rows = json.loads(run(*options, "--resubmissions", which).stdout)["submissions"]
        assert sorted(row["points"] for row in rows if row["counts"]) == points
        assert {row["student"] for row in rows} == {"ann", "lee"}


def test_results_for_gradescope(tmp_path):
    answer = function("reward_to_go", "return reward.flip(-1).cumsum(-1).flip(-1)")
    file = tmp_path / "results.json"
    run(write(tmp_path / "03_x.ipynb", answer), "--sandbox", "none", "--gradescope", file)
    results = json.loads(file.read_text(encoding="utf-8"))
    assert results["score"] == sum(test["score"] for test in results["tests"])
    assert sum(test["max_score"] for test in results["tests"]) == FULL
    (values,) = (test for test in results["tests"] if test["name"] == "03.reward_to_go: values")
    assert "γ is missing" in values["output"]


def test_a_page_shows_what_strangers_wrote_and_executes_none_of_it(tmp_path):
    answer = function("reward_to_go", "raise ValueError('<script>alert(1)</script>' + 'x' * 10**6)")
    noise = "def setup():\n    print('<img src=x onerror=alert(2)>')\n    global X\n    X = 1\nsetup()\n"
    body = function("reinforce_loss", "return X")
    run(write(tmp_path / "03_<b>.ipynb", noise + answer, body), "--sandbox", "none", "--out", tmp_path / "grades")
    (page,) = (tmp_path / "grades" / "feedback").iterdir()
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;img src=x" in text
    assert not any(tag in text for tag in ("<script", "<img", "03_<b>"))
    assert len(text) < 20_000


def test_the_gradebook_holds_no_formula(tmp_path, monkeypatch):
    copy(EXERCISE, tmp_path / "=cmd_03_x.ipynb")
    monkeypatch.chdir(tmp_path)
    assert run("=cmd_03_x.ipynb", "--sandbox", "none", "--out", "grades").exit_code == 0
    assert "\n'=cmd,'=cmd_03_x.ipynb,03," in (tmp_path / "grades" / "gradebook.csv").read_text(encoding="utf-8")


def test_without_a_path_one_s_own_answers_are_graded(tmp_path, monkeypatch, write_chapter):
    write_chapter(tmp_path, "03_x", [])
    copy(EXERCISE, tmp_path / "exercises" / "03_x.ipynb")
    copy(EXERCISE, tmp_path / "exercises" / "03_y.ipynb")
    copies.update(tmp_path)
    monkeypatch.chdir(tmp_path / "my")
    done = run("--sandbox", "none")
    assert done.exit_code == 1
    assert "no answer has been written in " in done.output
    assert "`pgcourse lab exercises/03_x.ipynb` opens an exercise" in done.output
    copy(SOLUTION, tmp_path / "my" / "exercises" / "03_x.ipynb")
    write(tmp_path / "my" / "exercises" / "03_notes_of_mine.ipynb", "x")
    (submission,) = json.loads(run("--sandbox", "none", "--json").stdout)["submissions"]
    assert (submission["path"], submission["points"]) == ("exercises/03_x.ipynb", FULL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.ipynb"], "no such file or folder: nowhere.ipynb"),
        (["empty"], "no notebook (*.ipynb) in the folder empty"),
        (["mine.ipynb"], "mine.ipynb: not graded: which chapter is it? Give the file its name"),
        (["mine.ipynb"], "Where a name does not say the chapter, --chapter NN does."),
        (["mine.ipynb", "--resume"], "say which, with --out"),
        (["mine.ipynb", "empty", "--gradescope", "x"], "no notebook (*.ipynb) in the folder empty"),
        (["mine.ipynb", "--private-checks", "bad.py"], "bad.py: NameError"),
        (["mine.ipynb", "--chapter", "99"], "say --chapter with one of: 00"),
    ],
)
def test_what_cannot_be_graded_is_named(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.py").write_text("CHECKS = x", encoding="utf-8")
    copy(EXERCISE, tmp_path / "mine.ipynb")
    done = run(*arguments)
    assert done.exit_code != 0
    assert message in words(done.output)


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


def in_the_second_submission(folder, words):
    """A batch that has graded a right answer, and is in a function that does this; and its workers."""
    copy(SOLUTION, folder / "03_a.ipynb")
    write(folder / "03_b.ipynb", function("reward_to_go", words))
    command = [sys.executable, "-m", "pgcourse.app.console", "grade", str(folder), "--json", "--sandbox", "none"]
    out = folder / "grades"
    process = subprocess.Popen(
        [*command, "--i-trust-these-submissions", "--jobs", "1", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    watched = psutil.Process(process.pid)
    rows, deadline = out / "grades.jsonl", time.monotonic() + 100
    while not (rows.exists() and rows.read_text("utf-8").count("\n") == 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)  # into the second submission
    workers = watched.children(recursive=True)
    assert workers
    return process, workers


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")
def test_a_grader_that_is_killed_takes_an_endless_answer_with_it(tmp_path):
    process, workers = in_the_second_submission(tmp_path, "while True: pass")
    process.kill()
    process.communicate(timeout=60)
    left = psutil.wait_procs(workers, timeout=10)[1]
    for one in left:
        one.kill()
    assert left == []


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a process group in another way there")
def test_ctrl_c_keeps_what_was_graded_and_leaves_no_process(tmp_path):
    process, workers = in_the_second_submission(tmp_path, "import time; time.sleep(99)")
    os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [one["points"] for one in json.loads(stdout)["submissions"]] == [FULL]
    assert "Interrupted: 1 of 2 notebooks were graded." in words(stderr)
    assert not psutil.wait_procs(workers, timeout=10)[1]
