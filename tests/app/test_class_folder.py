"""`pgcourse grade` on a folder as a class leaves it: odd names, what is no notebook, a full disk, two graders.

What the notebooks hold does not matter here, so none is run: each gets no points.
"""

import csv
import errno
import itertools
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock
from tracked import notebooks

from pgcourse.app.console import main
from pgcourse.grading import batch, process, sandbox
from pgcourse.grading.exercise import ExerciseResult
from pgcourse.grading.grade import Graded, other_chapter
from pgcourse.grading.process import Host

graded = []


def nothing(content, exercises, host, seed, kept, examinations):
    graded.append(content)
    kept["replies"] = {}
    return Graded(tuple(ExerciseResult.zero(exercise, "nothing") for exercise in exercises))


@pytest.fixture(autouse=True)
def no_notebook_is_run(monkeypatch):
    graded.clear()
    monkeypatch.setattr(batch, "grade", nothing)


def grade(*arguments):
    options = ("--sandbox", "none", "--i-trust-these-submissions", "--jobs", "2")
    return CliRunner().invoke(main, ["grade", *options, *map(str, arguments)])


def put(path, content="{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def gradebook(folder):
    with (folder / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


NAMES = [
    "ann/03_x.ipynb",
    "ann/03_x-2.ipynb",  # and what a second page of hers would be called
    "ann/again/03_x.ipynb",
    "ann/again/more/03_x.ipynb",
    "two  spaces/03_x.ipynb",
    "two spaces/03_x.ipynb",
    "no\u200bwidth/03_x.ipynb",
    "no\u200cwidth/03_x.ipynb",
    "\u202eright to left/03_x.ipynb",
    "tab\tand\nline/03_x.ipynb",
    "\x1b[31mred/03_x.ipynb",
    f"{'文' * 80}/{'字' * 70}_03_x.ipynb",
    f"{'long/' * 70}03_x.ipynb",
    f"{'long/' * 70}03_y.ipynb",
    'Zoë, O\'Neill; "B"/03_x.ipynb',
    "=SUM(A1)/03_x.ipynb",
    "＝cmd/03_x.ipynb",
    "@cmd/03_x.ipynb",
    "🦊/03_reinforce.ipynb",
    "upper/03_X.IPYNB",
    "<b>bold</b>_03_x.ipynb",
    "%s{0}_03_x.ipynb",
    "-rf_03_x.ipynb",
    "nul_03_x.ipynb",
]
NOT_READ = {  # row and reason; None where nothing is said
    "bob/05.ipynb.txt": "rename it",
    "carl/05_x.zip": "an archive",
    "dora/answers.pdf": "no notebook (*.ipynb) in it",
    "joe/03_x.ipynb.txt": "rename it",
    "joe/hw.zip": "an archive",
    "upper/old.zip": "an archive",  # there is a notebook of hers, but who knows what is in this
    "upper/notes.pdf": None,
    "sue_05_x.json": "rename it",
    "rob_05_x.py": "rename it",
    "tom_05_x.pdf": "rename it",
    "uma_05_x": "rename it",
    "nul_03_x.pdf": None,  # beside the notebook
    "nul_05_x.pdf": "rename it",
    "syllabus.pdf": "rename it",  # it may be somebody's
    ".DS_Store": None,
    ".hidden/03_x.ipynb": None,
    "ann/.ipynb_checkpoints/03_x.ipynb": None,
    "__pycache__/03_x.ipynb": None,
    "old grades/grades.jsonl": None,
    "old grades/03_x.ipynb": None,
}


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere refuse such names")
def test_every_file_has_a_row_and_a_page_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, *NOT_READ):
        put(tmp_path / "class" / name)
    with open(os.path.join(os.fsencode(tmp_path), b"class", b"\xff\xfe_03_x.ipynb"), "wb") as file:
        file.write(b"{}")
    done = grade("class", "--out", "grades")
    assert done.exit_code == 3, done.output
    rows = gradebook(tmp_path / "grades")
    assert len(graded) == len(NAMES) + 1
    assert len(rows) == len(NAMES) + 1 + sum(reason is not None for reason in NOT_READ.values())
    assert len({row["submission"] for row in rows}) == len(rows)
    refused = {row["submission"]: row for row in rows if row["state"].startswith("not graded")}
    for name, reason in NOT_READ.items():
        if reason:
            row = refused["class/dora" if "dora" in name else f"class/{name}"]
            assert reason in row["state"]
            assert row["student"] == re.split("/|_0|[.]pdf", name)[0]
    assert len(list((tmp_path / "grades" / "feedback").iterdir())) == len(rows)
    assert all(value.isprintable() and value[:1] not in tuple("=+-@＝＋－＠") for row in rows for value in row.values())
    again = grade("class", "--out", "grades", "--resume")
    assert again.exit_code == 3, again.output
    assert len(graded) == len(NAMES) + 1  # none is graded twice
    assert gradebook(tmp_path / "grades") == rows


def test_a_page_stays_with_its_submission_and_goes_with_it(tmp_path):
    folder, out = tmp_path / "class", tmp_path / "grades"
    for name in ("a b/03_x.ipynb", "a_b/03_x.ipynb", "a+b/03_x.ipynb", "bob/Homework.ipynb"):
        put(folder / name)

    def pages():
        found = (out / "feedback").iterdir()
        return {path.name: re.search("<h1>(.*)</h1>", path.read_text(encoding="utf-8"))[1] for path in found}

    grade(folder, "--out", out)
    before = pages()
    assert sorted(before.values()) == ["a b", "a+b", "a_b", "bob"]
    (folder / "bob/Homework.ipynb").rename(folder / "bob/03_x.ipynb")
    (folder / "a b/03_x.ipynb").unlink()
    (folder / "a b").rmdir()
    grade(folder, "--out", out, "--resume")
    after = pages()
    assert sorted(after.values()) == ["a+b", "a_b", "bob"]
    assert all(before.get(name, student) == student for name, student in after.items())


def test_excel_sees_that_the_gradebook_is_unicode(tmp_path):
    put(tmp_path / "Zoë_03_x.ipynb")
    grade(tmp_path, "--out", tmp_path / "grades")
    assert (tmp_path / "grades" / "gradebook.csv").read_bytes().startswith(b"\xef\xbb\xbfstudent,")


def test_a_student_is_the_same_one_on_another_system(tmp_path):
    """macOS takes an accent apart from its letter."""
    for form, name in (("NFC", "03_x.ipynb"), ("NFD", "03_x-2.ipynb")):
        put(tmp_path / unicodedata.normalize(form, "José") / name)
    grade(tmp_path, "--out", tmp_path / "grades")
    assert [row["counts"] for row in gradebook(tmp_path / "grades")].count("yes") == 1


@pytest.mark.parametrize("paths", [["a/03_x.ipynb", "b/03_x.ipynb"], ["a", "b"], ["."]])
def test_students_are_told_apart_however_their_folders_are_named(tmp_path, monkeypatch, paths):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        put(tmp_path / name / "03_x.ipynb")
    done = grade(*paths, "--json")
    rows = json.loads(done.stdout)["submissions"]
    assert [(row["student"], row["counts"]) for row in rows] == [("a", True), ("b", True)]


@pytest.mark.parametrize(
    ("name", "student", "chapter"),
    [
        ("group_01_03_reinforce", "group_01", "03"),
        ("2026_11_05_ann_03_reinforce", "2026_11_05_ann", "03"),
        ("ann_03_reinforce_05", "ann", "03"),
        ("ann_10_rlhf", "ann", "10"),
        ("team_77_03_x", "team_77", "03"),
        ("group_05_05_Actor_Critic_and_GAE-2", "group_05", "05"),
        ("group_01_03_x", "group_01_03_x", ""),
        ("05_x_03_x", "05_x_03_x", ""),
    ],
)
def test_a_number_of_a_group_or_a_date_is_no_chapter(tmp_path, name, student, chapter):
    put(tmp_path / f"{name}.ipynb")
    (row,) = json.loads(grade(tmp_path, "--json").stdout)["submissions"]
    assert (row["student"], row["chapter"]) == (student, chapter)
    if not chapter:
        assert "which chapter is it, 03 or 0" in row["state"] or "which chapter is it, 01 or 03" in row["state"]
        assert str(tmp_path) not in row["state"]
        assert "--" not in row["state"]  # the student reads it, too


def test_a_chapter_that_is_given_is_cut_off_only_where_its_whole_name_stands(tmp_path):
    names = ["group_01_hw", "group_05_hw", "group-2", "group-3", "group_05_05_actor_critic_and_gae"]
    for name in names:
        put(tmp_path / f"{name}.ipynb")
    rows = json.loads(grade(tmp_path, "--chapter", "05", "--json").stdout)["submissions"]
    assert {row["student"] for row in rows} == {*names[:-1], "group_05"}
    assert all(row["counts"] and row["chapter"] == "05" for row in rows)


@pytest.mark.parametrize("which", ["latest", "best"])
def test_what_cannot_be_graded_never_takes_the_place_of_what_was(tmp_path, which):
    for name in ("ann_03_x", "bob_03_x", "cid_03_x"):
        put(tmp_path / f"{name}.ipynb")
    (tmp_path / "ann_03_x-2.ipynb").mkdir()
    (tmp_path / "bob_03_x-2.ipynb").symlink_to("bob_03_x.ipynb")
    (tmp_path / "dora_03_x.ipynb").mkdir()
    rows = json.loads(grade(tmp_path, "--json", "--resubmissions", which).stdout)["submissions"]
    assert {row["chapter"] for row in rows} == {"03"}
    counting = [(row["student"], row["state"].partition(":")[0]) for row in rows if row["counts"]]
    assert sorted(counting) == [("ann", "graded"), ("bob", "graded"), ("cid", "graded"), ("dora", "not graded")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("03_x", "03_x-Copy1"),
        ("03_x_v1", "03_x_v2"),
        ("03_x_v9", "03_x_v10"),
        ("03_x", "03_x_2"),
        ("03_x (2)", "03_x (10)"),
        ("03_x_2", "03_x-3"),
        ("03_x_2026-11-30", "03_x_2026-11-29"),  # no number, so it is the time
        ("03_x_20261130", "03_x"),
    ],
)
def test_the_latest_version_has_the_highest_number(tmp_path, earlier, later):
    numbers = "2026" not in earlier
    for name, time in ((earlier, 2e9 if numbers else 1e9), (later, 1.5e9)):
        put(tmp_path / "ann" / f"{name}.ipynb")
        os.utime(tmp_path / "ann" / f"{name}.ipynb", (time, time))
    rows = json.loads(grade(tmp_path, "--json").stdout)["submissions"]
    assert [Path(row["path"]).stem for row in rows if row["counts"]] == [later]


@pytest.mark.parametrize(
    ("student", "earlier", "later"),
    [
        ("smithann_4711", "smithann_4711_90001_03_x", "smithann_4711_90207_03_x-1"),
        ("leebob_4712", "leebob_4712_90001_03_x_2", "leebob_LATE_4712_90207_03_x"),
        ("HW5_cathy", "HW5_cathy_attempt_2026-11-30-12-00-10_03_x", "HW5_cathy_attempt_2026-12-01-09-00-10_03_x"),
        ("Bo Builder_123", "Bo Builder_123_assignsubmission_file_03_", "Bo Builder_123_assignsubmission_file/03_x-1"),
    ],
)
def test_a_platform_s_names_tell_one_student_and_the_later_version(tmp_path, student, earlier, later):
    for name, time in ((earlier, 2e9), (later, 1e9)):
        put(tmp_path / f"{name}.ipynb")
        os.utime(tmp_path / f"{name}.ipynb", (time, time))
    put(tmp_path / "HW5_cathy_attempt_2026-11-30-12-00-10.txt")
    put(tmp_path / "Bo Builder_123_assignsubmission_onlinetext" / "onlinetext.html")
    rows = json.loads(grade(tmp_path, "--json").stdout)["submissions"]
    counts = {Path(row["path"]).stem: row["counts"] for row in rows if row["student"] == student}
    assert counts == {Path(earlier).name: False, Path(later).name: True}
    assert {row["student"] for row in rows} == {student, "HW5_cathy", "Bo Builder_123"}


@pytest.mark.parametrize(
    "names", [("bob_101_90001_03_x", "bob_102_90002_03_x"), ("team_12_1234567_x", "team_12_7654321_x")]
)
def test_namesakes_and_numbers_of_students_are_told_apart(tmp_path, names):
    for name in names:
        put(tmp_path / f"{name}.ipynb")
    rows = json.loads(grade(tmp_path, "--chapter", "03", "--json").stdout)["submissions"]
    assert len({row["student"] for row in rows}) == 2


def version(path, points, modified=0.0, copy=0):
    about = {"student": "ann", "chapter": "03", "state": "graded", "path": path}
    return {**about, "points": points, "modified": modified, "copy": copy}


def test_more_points_in_a_version_that_does_not_count_are_told():
    rows = [version("a", 7, modified=1.0), version("b", 3, modified=2.0)]
    assert batch.mark_resubmissions(rows, "latest") == ["ann, 03: b counts, but a has 4 points more"]
    assert batch.mark_resubmissions(rows, "best") == []
    equal = [version("a", 7), version("b", 3)]  # nobody knows which is the later one
    assert batch.mark_resubmissions(equal, "latest") == []
    assert [row["counts"] for row in equal] == [True, False]


def test_a_number_taken_for_the_wrong_chapter_is_told(tmp_path):
    held = {"group_03_hw": "05", "ann_11_30_homework": "05", "lee_08_ppo": "10", "ida_05_x": "05"}
    for name, chapter in held.items():
        (source,) = (path for one, path in notebooks("exercises").items() if f"/{chapter}_" in one)
        put(tmp_path / f"{name}.ipynb", source.read_text(encoding="utf-8"))
    done = grade(tmp_path, "--json")
    assert done.exit_code == 3
    assert {row["student"]: row["state"] for row in json.loads(done.stdout)["submissions"]} == {
        "group": "not graded: taken for chapter 03, but it holds the answers of 05",
        "ann": "not graded: taken for chapter 11, but it holds the answers of 05",
        "lee": "not graded: taken for chapter 08, but it holds the answers of 10",
        "ida": "graded",
    }


def test_no_notebook_of_the_course_is_taken_for_another_chapter():
    for name, path in notebooks("exercises", "solutions").items():
        assert other_chapter(path.read_bytes(), Path(name).name[:2]) == ""


# ------------------------------------------------------------------------------------------- what goes wrong outside


def class_of(folder, number=3):
    for i in range(number):
        put(folder / f"s{i}_03_x.ipynb", f'{{"cells": [], "number": {i}}}')
    return folder


def test_a_full_disk_is_a_reason_and_loses_nothing(tmp_path, monkeypatch):
    folder, out, calls = class_of(tmp_path / "class"), tmp_path / "grades", itertools.count()

    def full(descriptor):  # half of the third line fits
        if next(calls) == 2:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - 20)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(batch.os, "fsync", full)
        done = grade(folder, "--out", out)
    assert done.exit_code == 1
    assert "No space left on device. What was graded there before is kept" in " ".join(done.output.split())
    assert "Traceback" not in done.output
    for _ in range(2):
        assert grade(folder, "--out", out, "--resume").exit_code == 0
    assert len(gradebook(out)) == 3
    assert len({content for content in graded[-2:]}) == 2
    lines = [json.loads(line) for line in (out / "grades.jsonl").read_text("utf-8").splitlines() if line[-1:] == "}"]
    assert len({row["path"] for row in lines if "path" in row}) == 3


def test_a_gradebook_that_cannot_be_written_is_a_reason_and_the_old_one_stays(tmp_path, monkeypatch):
    folder, out = class_of(tmp_path / "class"), tmp_path / "grades"
    grade(folder, "--out", out)
    before = (out / "gradebook.csv").read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "gradebook.csv")

    put(folder / "s9_03_x.ipynb")
    with monkeypatch.context() as patch:
        patch.setattr("pgcourse.grading.report.csv.writer", full)
        done = grade(folder, "--out", out, "--resume")
    assert done.exit_code == 1
    assert "gradebook.csv: No space left on device; what was graded is kept" in " ".join(done.output.split())
    assert (out / "gradebook.csv").read_bytes() == before
    assert not list(out.glob("*.partial"))
    assert grade(folder, "--out", out, "--resume").exit_code == 0
    assert len(gradebook(out)) == 4


def test_two_graders_do_not_write_into_one_folder(tmp_path, monkeypatch):
    folder, out = class_of(tmp_path / "class"), tmp_path / "grades"
    grade(folder, "--out", out)
    rows = (out / "grades.jsonl").read_bytes()
    with FileLock(out / ".lock"):
        done = grade(folder, "--out", out, "--resume", "--resubmissions", "best")
    assert done.exit_code == 1
    assert "somebody else is grading into --out" in " ".join(done.output.split())
    assert (out / "grades.jsonl").read_bytes() == rows
    monkeypatch.setattr(batch.Batch, "_earlier", lambda *args: None)  # both looked before one began
    done = grade(folder, "--out", out)
    assert done.exit_code == 1
    assert "somebody else has begun to grade into" in " ".join(done.output.split())
    assert (out / "grades.jsonl").read_bytes() == rows


def test_a_file_that_is_gone_while_it_is_graded_holds_up_nobody(tmp_path, monkeypatch):
    folder = class_of(tmp_path / "class")

    def removes(content, *rest):
        (folder / "s1_03_x.ipynb").unlink(missing_ok=True)
        return nothing(content, *rest)

    monkeypatch.setattr(batch, "grade", removes)
    rows = json.loads(grade(folder, "--json", "--jobs", "1").stdout)["submissions"]
    assert [row["state"].partition(":")[0] for row in rows] == ["graded", "not graded", "graded"]


@pytest.mark.parametrize("place", ["report.row", "Batch._judged_by", "Batch._keep"])
def test_a_fault_of_the_grader_is_a_row_and_holds_up_nobody(tmp_path, monkeypatch, place):
    folder, calls = class_of(tmp_path / "class"), itertools.count()
    owner, _, name = place.rpartition(".")
    owner = getattr(batch, owner)
    usual = getattr(owner, name)

    def fails_once(*arguments):
        if next(calls) == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO), "/home/teacher")
        return usual(*arguments)

    monkeypatch.setattr(owner, name, fails_once)
    done = grade(folder, "--json")
    assert done.exit_code == 3
    states = sorted(row["state"] for row in json.loads(done.stdout)["submissions"])
    assert states == ["graded", "graded", "not graded: OSError in the grader: Input/output error"]


def test_settings_are_those_of_before_until_they_are_changed(tmp_path):
    folder, out, mine = class_of(tmp_path / "class"), tmp_path / "grades", tmp_path / "mine.py"
    put(mine, CHECK.format(ONE.format("mine", "{'reward': [[7, 7]], 'gamma': 0.25}")))
    put(folder / "group_01_hw.ipynb")
    options = ("--chapter", "03", "--resubmissions", "best", "--private-checks", mine)
    assert grade(folder, "--out", out, *options).exit_code == 0
    done = grade(folder, "--out", out, "--resume", "--resubmissions", "latest")
    assert done.exit_code == 0
    assert f"as before: --chapter 03 --private-checks {mine}" in done.output
    done = grade(folder, "--out", out, "--resume")
    assert f"as before: --chapter 03 --resubmissions latest --private-checks {mine}" in done.output
    assert len(graded) == 4  # once each
    assert "03.reward_to_go: mine" in gradebook(out)[0]
    mine.unlink()
    done = grade(folder, "--out", out, "--resume")
    assert done.exit_code == 1
    assert "which is gone: name it by --private-checks" in " ".join(done.output.split())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_part_of_a_class_does_not_take_the_place_of_the_whole(tmp_path, monkeypatch, elsewhere):
    out = tmp_path / "grades"
    for name in ("ann/03_x.ipynb", "bob/03_x.ipynb", "pam/answers.pdf", "zoë/03_x.ipynb"):
        put(tmp_path / "class" / name)
    monkeypatch.chdir(tmp_path)
    grade("class", "--out", out)
    before = (out / "gradebook.csv").read_bytes()
    if elsewhere:
        monkeypatch.chdir(tmp_path / "class")
    done = grade("ann" if elsewhere else "class/ann", "--out", out, "--resume")
    assert done.exit_code == 1
    assert "3 of the submissions in" in done.output
    assert (out / "gradebook.csv").read_bytes() == before
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class/bob/03_x.ipynb").rename(tmp_path / "class/bob/03_reinforce.ipynb")
    put(tmp_path / "class/pam/03_x.ipynb")
    assert grade("class", "--out", out, "--resume").exit_code == 0
    assert {row["student"] for row in gradebook(out)} == {"ann", "bob", "pam", "zoë"}


def test_grades_of_two_sandboxes_are_not_mixed(tmp_path, monkeypatch):
    folder, out = class_of(tmp_path / "class"), tmp_path / "grades"
    grade(folder, "--out", out)
    other = sandbox.Sandbox("bwrap", "another guarantee")
    with pytest.raises(sandbox.CannotGrade, match="were made with --sandbox none, not bwrap"):
        batch.Batch(batch.find([folder]), other, folder=out, resume=True)


def test_folders_of_graders_that_were_killed_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(process.tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = [f"{process.FOLDERS}{os.getpid()}-abc", f"{process.FOLDERS}mine", "pgcourse-grade-elsewhere-1-abc"]
    for name in (*kept, f"{process.FOLDERS}{gone.pid}-abc"):
        put(tmp_path / name / "errors")
    Host(sandbox.NONE)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


def test_an_interrupt_while_a_process_starts_starts_no_submission(monkeypatch):
    closed = []

    class Slow:
        def __init__(self, sandbox):
            host.end()  # Ctrl-C, while torch is imported

        def close(self):
            closed.append(self)

    monkeypatch.setattr(process, "Nursery", Slow)
    monkeypatch.setattr(Slow, "possible", staticmethod(lambda: True), raising=False)
    host = Host(sandbox.NONE)
    for _ in range(2):
        with pytest.raises(sandbox.CannotGrade, match="the grading was ended"):
            host.process(process.Limits())
    assert len(closed) == 1


CHECK = "from pgcourse.grading.kinds import Check\nCHECKS = {{'03.reward_to_go': {{{}}}}}"
ONE = "{!r}: Check(1, '', [{}])"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("mine.py", CHECK.format(ONE.format("values", "{'reward': [[7, 7]], 'gamma': 0.25}")), "has a check 'values'"),
        ("mine.py", CHECK.format(ONE.format("mine", "{'gamma': 0.25}")), "'mine': ValueError: 03.reward_to_go, check"),
        ("mine.py", CHECK.format(ONE.format("mine", "{'reward': [[7]], 'gamma': 'a'}")), "'mine': "),
        ("mine.py", CHECK.format("'mine': 3"), "TypeError"),
        ("mine.py", CHECK.format("'mine': Check(2, 'a hint')"), "'mine' asks nothing: give it cases, or a `play`"),
        ("mine.py", CHECK.format("'mine': Check('2', '', [{}])"), "points are a whole number, got '2'"),
        ("mine.txt", "CHECKS = {}", "a file of Python is wanted, whose name ends in .py"),
    ],
)
def test_a_private_check_that_cannot_be_asked_is_told_before_anything_is_graded(tmp_path, name, content, reason):
    put(tmp_path / name, content)
    done = grade(class_of(tmp_path / "class"), "--private-checks", tmp_path / name)
    assert done.exit_code == 1
    assert reason in " ".join(done.output.split())
    assert graded == []


def test_gradescope_takes_the_notebook_among_what_else_is_there(tmp_path):
    for name in ("03_a.ipynb", "__MACOSX/._03_a.ipynb", "._03_a.ipynb", "notes.pdf", "hw.zip"):
        put(tmp_path / "submission" / name)
    results = tmp_path / "results.json"
    done = grade(tmp_path / "submission", "--chapter", "03", "--gradescope", results)
    assert done.exit_code == 0, done.output
    assert json.loads(results.read_text(encoding="utf-8"))["tests"]


@pytest.mark.parametrize("names", [["03_a.ipynb", "03_b.ipynb"], ["03.pdf"], ["__MACOSX/._03_a.ipynb"]])
def test_gradescope_tells_the_student_that_it_is_not_one_notebook(tmp_path, names):
    for name in names:
        put(tmp_path / "submission" / name)
    results = tmp_path / "results.json"
    done = grade(tmp_path / "submission", "--chapter", "03", "--gradescope", results)
    assert done.exit_code == 1
    written = json.loads(results.read_text(encoding="utf-8"))
    assert written["score"] == 0
    assert "notebook" in written["output"]
