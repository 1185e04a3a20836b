"""Chapters, results and code come from one clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgcourse.course.runner import find_root
from pgcourse.lab import provenance, studies
from pgcourse.lab.provenance import OtherClone
from pgcourse.lab.studies import StudyError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other(tmp_path):
    """Another clone, with a package of its own."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "pgcourse"\n', "utf-8")
    (tmp_path / "pgcourse" / "lab").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    return tmp_path


def test_the_clone_around_the_working_folder_or_else_around_the_package(monkeypatch, tmp_path):
    for folder in (ROOT, ROOT / "chapters", tmp_path):
        monkeypatch.chdir(folder)
        assert provenance.repository() == find_root() == ROOT
        assert studies.results_folder() == ROOT / "results"
    assert provenance.code_repository() == ROOT


def test_a_folder_with_chapters_is_worked_in_without_a_package_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "01_mine.ipynb").write_text("{}", "utf-8")
    monkeypatch.chdir(tmp_path / "chapters")
    assert provenance.repository() == find_root() == tmp_path


def test_another_clone_with_its_own_package_is_refused(monkeypatch, other):
    monkeypatch.chdir(other / "results")
    said = f"{other} is a clone of the course, but pgcourse is imported from {ROOT}"
    with pytest.raises(OtherClone, match=said):
        provenance.repository()
    with pytest.raises(FileNotFoundError, match=said):
        find_root()
    with pytest.raises(StudyError, match=said):
        studies.results_folder()


@pytest.mark.parametrize("command", [["run", "00"], ["reproduce"], ["study", "list"], ["evaluate", "a2c-cartpole"]])
def test_every_command_refuses_it_in_one_line(other, command):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    program = "import sys; sys.path.remove(''); from pgcourse.app.console import main; main()"
    arguments = [sys.executable, "-c", program, *command]
    done = subprocess.run(arguments, cwd=other, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "is a clone of the course, but pgcourse is imported from" in done.stderr


def test_who_looks_for_the_clone_does_not_wait_for_torch():
    code = "import sys; from pgcourse.course.runner import find_root; find_root(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).strip() == "False"
