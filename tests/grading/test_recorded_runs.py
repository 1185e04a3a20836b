"""The runs that exercises of the kind diagnose show: their scripts still make the committed tables, as far as is tried.

Each run is begun anew and must repeat the first rows of its table, to the digits that are written there. One of its
seeds must: another processor's rounding can decide one sampled action or word, and then that seed's rows are others. A
script that has changed changes them all.
"""

import pandas as pd
import pytest

from pgcourse.exercises.ch05 import _runs as a2c
from pgcourse.exercises.ch06 import _runs as sigma
from pgcourse.exercises.ch08 import _runs as ppo
from pgcourse.exercises.ch10 import _runs as language

CASES = [(a2c, a2c.PATH, range(3), 12), (sigma, sigma.PATH, range(3), 2), (ppo, ppo.FILE, None, 2)]


def equal(anew: pd.DataFrame, written: pd.DataFrame) -> bool:
    assert list(anew) == list(written)
    assert len(anew) == len(written) >= 1
    one, other = (table.astype(float).reset_index(drop=True) for table in (anew, written))
    try:
        pd.testing.assert_frame_equal(one, other, rtol=6e-3, atol=6e-4)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(("runs", "path", "seeds", "updates"), CASES, ids=["05.curves", "06.sigma_collapse", "08.logs"])
def test_each_run_begins_as_it_was_written_down(runs, path, seeds, updates):
    written = pd.read_csv(path)
    assert list(written["run"].unique()) == list(runs.RUNS)
    for name in runs.RUNS:
        anew = runs.table(name, seeds, updates) if seeds else runs.table(name, updates)
        own = written[written["run"] == name]
        if runs is a2c:  # its last row is the mean of what is not all there
            anew = anew.groupby("seed").head(anew.groupby("seed").size().min() - 1)
        step = anew.columns[2]
        same = []
        for seed, rows in anew.groupby("seed"):
            then = own[(own["seed"] == seed) & own[step].isin(rows[step])]
            same.append(equal(rows.drop(columns="run"), then[list(rows)].drop(columns="run")))
        assert any(same), name


LANGUAGE = "nothing", "KL counted twice", "padding counted", "divided by the others' deviation"  # half a second each


@pytest.mark.parametrize("name", LANGUAGE)
def test_each_run_of_a_language_model_begins_as_it_was_written_down(name):
    run = language.RUNS[name]
    written = pd.read_csv(language.FILE)
    firsts = {seed: written[(written["run"] == name) & (written["seed"] == seed)].head(1) for seed in run.seeds}
    anew = {seed: pd.DataFrame(run.rows(seed, 1)) for seed in run.seeds}
    assert any(equal(anew[seed], firsts[seed][list(anew[seed])]) for seed in run.seeds)
