"""A clone of the course, for tests that run its commands as a learner does."""

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
