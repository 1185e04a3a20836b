"""`pgcourse study` under SIGKILL; benchmarks/sigkill.py does the same a hundred times."""

import os

import numpy as np
import pytest

from benchmarks.sigkill import torture


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_twenty_kills_lose_tear_and_change_nothing(tmp_path):
    figures = torture(tmp_path, 20, np.random.default_rng(7))
    assert figures.kills.total() == 20
    assert figures.resumptions > 0  # checkpoints were in fact gone on from
    assert figures.to_json() | {"sound": True} == figures.to_json()
