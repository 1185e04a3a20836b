"""What tests of commands share: a clone of the course as a learner has it, and folders of runs."""

import pytest


@pytest.fixture
def upstream(tmp_path):
    """A repository of the course as it is here."""
    from browsing import repository

    return repository(tmp_path / "upstream")


@pytest.fixture
def learner(upstream, tmp_path):
    """A clone of it."""
    from browsing import git

    git(tmp_path, "clone", "--quiet", str(upstream), "learner")
    return tmp_path / "learner"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """An empty folder of runs, and one of studies."""
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("PGCOURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PGCOURSE_RESULTS", str(tmp_path / "results"))
    return tmp_path / "runs"
