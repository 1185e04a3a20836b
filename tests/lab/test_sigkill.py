"""`pgcourse study` under SIGKILL; benchmarks/sigkill.py does the same a hundred times."""

import os

import pytest

from benchmarks.sigkill import torture


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_twenty_kills_lose_tear_and_change_nothing(tmp_path):
    figures = torture(tmp_path, kills=20, seed=7, lanes=2)
    assert len(figures.kills) == 20
    assert figures.records >= 2 * 6
    assert figures.resumed > 0  # checkpoints were in fact gone on from
    assert (figures.lost, figures.torn, figures.changed, figures.foreign, figures.orphans) == (0, 0, 0, 0, 0)
