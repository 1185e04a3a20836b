"""`pgcourse lab`: what it opens, and what it says."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from tracked import notebooks

from pgcourse.app import lab
from pgcourse.app.console import main
from pgcourse.course.runner import find_root


@pytest.fixture
def course(tmp_path, monkeypatch, write_chapter):
    """A folder with two chapters and an exercise; JupyterLab is not started."""
    for name in ("00_first", "03_other"):
        write_chapter(tmp_path, name, ["x = 1"])
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "03_other.ipynb").write_bytes((tmp_path / "chapters" / "03_other.ipynb").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS")
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """The arguments that JupyterLab is started with."""
    from jupyterlab.labapp import LabApp

    arguments = []
    monkeypatch.setattr(LabApp, "launch_instance", classmethod(lambda cls, argv: arguments.extend(argv)))
    return arguments


def run(*arguments):
    return CliRunner().invoke(main, ["lab", *arguments])


@pytest.mark.parametrize(
    ("arguments", "opens"),
    [
        ([], "my/chapters/00_first.ipynb"),
        (["03"], "my/chapters/03_other.ipynb"),
        (["exercises/03_other.ipynb"], "my/exercises/03_other.ipynb"),
        (["--originals", "03"], "chapters/03_other.ipynb"),
        (["03", "--originals"], "chapters/03_other.ipynb"),
    ],
)
def test_it_opens_copies_and_for_authors_the_originals(course, started, arguments, opens):
    done = run(*arguments, "--no-browser", "--port=1")
    assert (done.exit_code, done.output) == (0, "")
    assert f"--ServerApp.root_dir={course}" in started
    assert f"--LabApp.default_url=/lab/tree/{opens}" in started
    assert started[-2:] == ["--no-browser", "--port=1"]
    assert (course / "my").exists() is opens.startswith("my")


def test_kernels_show_their_figures_and_use_one_thread(course, started, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    run("--no-browser")
    assert (os.environ.get("MPLBACKEND"), os.environ["OMP_NUM_THREADS"]) == (None, "1")


def test_a_copy_can_be_named_as_well(course, started):
    run()
    assert run("my/exercises/03_other.ipynb").exit_code == 0
    assert started[-1] == "--LabApp.default_url=/lab/tree/my/exercises/03_other.ipynb"


def test_copies_for_another_editor(course, started):
    done = run("--copies-only")
    assert (done.exit_code, done.output) == (0, f"your copies are in {course / 'my'}\n")
    assert (course / "my" / "exercises" / "03_other.ipynb").is_file()
    assert run("--copies-only", "--originals").exit_code == 2
    assert started == []


def test_what_cannot_be_opened_is_said_in_a_line(course, started):
    assert "Error: no chapter or notebook '17'" in run("17").output
    (course / "my").write_text("a file", "utf-8")
    done = run()
    assert done.exit_code == 1
    assert "Error: your copies cannot be written: " in done.output
    assert started == []


@pytest.mark.parametrize(
    ("root", "options", "told"), [(True, [], True), (False, [], False), (True, ["--allow-root"], False)]
)
def test_root_is_told_what_to_do(course, monkeypatch, root, options, told):
    from jupyterlab.labapp import LabApp

    monkeypatch.setattr(LabApp, "launch_instance", classmethod(lambda cls, argv: sys.exit(1)))
    monkeypatch.setattr(lab, "_is_root", lambda: root)
    done = run("00", *options)
    assert done.exit_code == 1
    assert ("pgcourse lab --allow-root --ip=0.0.0.0 --no-browser" in done.output) is told


def test_the_course_s_own_notebooks_are_all_opened_by_their_path():
    root = find_root()
    for name in notebooks("chapters", "exercises"):
        assert lab.copy_of(root, root / name) == root / "my" / name


def test_help_by_way_of_start_py_names_the_command_that_one_types():
    command = [sys.executable, "-m", "pgcourse.app.console", "lab", "--help"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.startswith("Usage: pgcourse lab ")
