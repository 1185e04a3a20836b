"""The runs that exercises of the kind diagnose show: their scripts still make the committed tables, as far as is tried.

Each run is begun anew and must repeat the first rows of its table, to the digits that are written there.
"""

import pandas as pd
import pytest

from pgcourse.exercises.ch05 import _runs as a2c
from pgcourse.exercises.ch06 import _runs as sigma
from pgcourse.exercises.ch08 import _runs as ppo
from pgcourse.exercises.ch10 import _runs as language

CASES = [(a2c, a2c.PATH, range(3), 12), (sigma, sigma.PATH, range(3), 2), (ppo, ppo.FILE, None, 2)]


@pytest.mark.parametrize(("runs", "path", "seeds", "updates"), CASES, ids=["05.curves", "06.sigma_collapse", "08.logs"])
def test_each_run_begins_as_it_was_written_down(runs, path, seeds, updates):
    written = pd.read_csv(path)
    assert list(written["run"].unique()) == list(runs.RUNS)
    for name in runs.RUNS:
        anew = runs.table(name, seeds, updates) if seeds else runs.table(name, updates)
        own = written[written["run"] == name]
        if runs is a2c:  # its last row is the mean of what is not all there
            anew = anew.groupby("seed").head(anew.groupby("seed").size().min() - 1)
        both = anew.merge(own, on=["run", "seed", anew.columns[2]], suffixes=("", "_written"))
        assert len(both) == len(anew) >= 3
        for column in anew.columns[3:]:
            pd.testing.assert_series_equal(
                both[column].astype(float),
                both[f"{column}_written"].astype(float),
                check_names=False,
                rtol=6e-3,
                atol=6e-4,
            )


@pytest.mark.parametrize("name", language.RUNS)
def test_each_run_of_a_language_model_begins_as_it_was_written_down(name):
    run = language.RUNS[name]
    seed = run.seeds[0]
    anew = pd.DataFrame(run.rows(seed, 1))
    written = pd.read_csv(language.FILE)
    own = written[(written["run"] == name) & (written["seed"] == seed)].head(len(anew)).reset_index(drop=True)
    assert len(own) == len(anew) == 1
    pd.testing.assert_frame_equal(
        anew.astype(float), own[list(anew)].astype(float), check_names=False, rtol=6e-3, atol=6e-4
    )
