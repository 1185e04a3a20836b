"""Tests see notebooks as git has them, whatever a learner has written into the files."""

import subprocess

import nbformat
import pytest
import tracked

NAME = "exercises/01_x.ipynb"


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def write(folder, source, name=NAME):
    (folder / name).parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source, id="x")]), folder / name)


def source(path):
    return nbformat.read(path, as_version=4).cells[0].source


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "as committed")
    (tmp_path / "page.md").write_text("page", encoding="utf-8")
    return tmp_path


@pytest.fixture
def repository(folder):
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--message=x")
    return folder


def test_a_notebook_that_was_not_changed_is_the_file_itself(repository):
    assert tracked.notebooks(root=repository) == {NAME: repository / NAME}
    assert tracked.notebook(NAME, root=repository) == repository / NAME
    assert tracked.not_as_tracked(root=repository) == []


def test_one_that_was_changed_is_read_as_git_has_it_and_that_is_said(repository):
    write(repository, "my answer")
    write(repository, "my notes", "exercises/01_x-Copy1.ipynb")
    (repository / "mine.md").write_text("[nowhere](x)", encoding="utf-8")
    with pytest.warns(UserWarning, match=f"{NAME} was changed since `git add`"):
        (path,) = tracked.notebooks(root=repository).values()
    assert source(path) == "as committed"
    assert path.relative_to(path.parents[1]).as_posix() == NAME
    assert sorted(tracked.not_as_tracked(root=repository)) == ["exercises/01_x-Copy1.ipynb", NAME]
    assert tracked.pages(root=repository) == [repository / "page.md"]
    assert source(repository / NAME) == "my answer"


def test_an_author_s_change_counts_once_it_is_added(repository):
    write(repository, "a better text")
    git(repository, "add", "--all")
    assert source(tracked.notebook(NAME, root=repository)) == "a better text"


def test_one_that_was_deleted_is_read_as_git_has_it(repository):
    (repository / NAME).unlink()
    with pytest.warns(UserWarning, match="was changed"):
        assert source(tracked.notebook(NAME, root=repository)) == "as committed"


def test_without_git_files_are_what_they_are(folder, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    assert tracked.notebooks(root=folder) == {NAME: folder / NAME}
    assert tracked.pages(root=folder) == [folder / "page.md"]
    assert tracked.not_as_tracked(root=folder) == []
