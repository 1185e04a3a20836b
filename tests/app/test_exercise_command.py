"""`pgcourse exercise`, as an author uses it: in a course of their own, from the command to the built notebooks."""

import os
import shutil
import subprocess
import sys

import pytest
from tracked import ROOT

from pgcourse.app.exercise import KINDS

NAMES = [f"05.try_{kind}" for kind in KINDS]
LEFT_OUT = shutil.ignore_patterns("__pycache__")


class Course:
    """A copy of what exercises are made of; the package that is imported there is the copy."""

    def __init__(self, folder):
        self.folder = folder
        for part in ("pgcourse", "exercises", "solutions"):
            shutil.copytree(ROOT / part, folder / part, ignore=LEFT_OUT)
        (folder / "chapters").mkdir()
        (folder / "chapters" / "99_of_ones_own.ipynb").write_text("{}", encoding="utf-8")

    def python(self, *arguments):
        env = os.environ | {"PYTHONPATH": str(self.folder), "COLUMNS": "160", "PGCOURSE_RESULTS": str(ROOT / "results")}
        return subprocess.run(
            [sys.executable, "-m", *arguments], cwd=self.folder, env=env, capture_output=True, text=True, timeout=600
        )

    def exercise(self, *arguments):
        return self.python("pgcourse.app.console", "exercise", *arguments)

    def file(self, name):
        return self.folder / "pgcourse" / "exercises" / f"ch{name[:2]}" / f"{name[3:]}.py"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """With a new exercise of each kind in chapter 05, and one in a chapter that had none."""
    course = Course(tmp_path_factory.mktemp("course"))
    for name, kind in [*zip(NAMES, KINDS, strict=True), ("99.first", "implement")]:
        done = course.exercise("new", name, "--kind", kind)
        assert done.returncode == 0, done.stderr
        assert f"now: python -m pgcourse.grading.build; pgcourse exercise test {name}" in done.stdout
    done = course.python("pgcourse.grading.build")
    assert done.returncode == 0, done.stderr
    return course


def test_a_new_exercise_of_each_kind_is_one_that_works(course):
    done = course.exercise("test", *NAMES, "99.first")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert done.stdout.count("5 of 5") == 2 * (len(KINDS) + 1)


def test_it_is_in_the_notebooks_and_in_the_list(course):
    for name in (*NAMES, "99.first"):
        (notebook,) = (course.folder / "exercises").glob(f"{name[:2]}_*.ipynb")
        assert f"check('{name}', {name[3:]})".replace("'", '\\"') in notebook.read_text("utf-8")
    listed = course.exercise("list", "5").stdout
    assert all(name in listed for name in NAMES)


def test_a_mistake_that_gets_full_points_is_a_fault(course):
    file = course.file("05.try_implement")
    whole = file.read_text("utf-8")
    try:
        file.write_text(whole.replace('"-f(*a)"', '"1.0 * f(*a)"'), "utf-8")
        done = course.exercise("test", "05.try_implement")
    finally:
        file.write_text(whole, "utf-8")
    assert done.returncode == 1
    assert "✗ 05.try_implement: this mistake gets full points: Sign flipped?" in done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("05.gae", "there is one already"),
        ("5.GAE", "is no name of an exercise: say the chapter and a name in lower case, such as 05.gae"),
        ("98.first", "there is no chapter 98"),
    ],
)
def test_what_cannot_be_made_changes_nothing(course, name, words):
    def content():
        files = [path for path in course.folder.rglob("*") if path.suffix in (".py", ".ipynb")]
        return {path: path.stat().st_mtime_ns for path in files}

    before = content()
    done = course.exercise("new", name)
    assert done.returncode == 1
    assert words in done.stderr
    assert content() == before
