"""How often verdicts are false: limits against the binomial distribution itself, scores against sums by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pgcourse.exercises.ch08 import _configurations, configuration
from pgcourse.exercises.ch09 import gamma
from pgcourse.grading import calibration
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess


@pytest.mark.parametrize(("times", "draws"), [(0, 32), (0, 300), (1, 100), (7, 40)])
def test_as_few_false_verdicts_as_were_seen_are_improbable_above_the_limit(times, draws):
    assert stats.binom.cdf(times, draws, calibration.limit(times, draws)) == pytest.approx(0.05)


def test_who_always_fails_has_no_limit():
    assert calibration.limit(8, 8) == 1.0


def test_a_line_counts_what_is_false():
    line = "solved on 299 of 300 draws; {} with 95 % confidence"
    assert calibration.counted(299, 300, False) == line.format("false fails below 1.58 %")
    assert calibration.counted(299, 300, True) == line.format("false passes below 99.99 %")
    assert "false fails below 1.00 %" in calibration.counted(300, 300, False)


def test_regrouped_draws_are_as_often_false_as_the_binomial_says():
    # A tenth of the seeds has 0 and the others 1: a mean of three is below 0.5 with two of them, or three.
    few = np.repeat([0.0, 1.0], [30, 270])
    estimate, most = calibration.regrouped(few, 3, 0.5, wrong=False)
    error = np.sqrt(0.028 / calibration.GROUPS)
    assert estimate == pytest.approx(stats.binom.sf(1, 3, 0.1), abs=4 * error)
    share = stats.binom.ppf(0.95, 300, 0.1) / 300
    assert most == pytest.approx(stats.binom.sf(1, 3, share), abs=0.15 * 0.028)
    passes, _ = calibration.regrouped(few, 3, 0.5, wrong=True)
    assert passes == pytest.approx(stats.binom.cdf(1, 3, 0.1), abs=4 * error)


def test_seeds_without_a_score_count_in_no_mean(capsys):
    nan = np.nan
    scores = np.array([[1.0, nan, 0.8], [0.2, 0.9, 1.0], [nan, nan, nan], [0.1, 0.2, nan]])
    calibration.measure("some", scores, 0.5, wrong=False)
    said = capsys.readouterr().out
    assert "solved on 2 of 4 draws" in said
    assert "a seed has 0.6 ± 0.41, from 0.1 to 1" in said


def test_a_measured_draw_is_that_of_the_exercise(monkeypatch):
    """Seeds of several draws at once are judged as the exercise judges them one draw after the other."""

    def train(algorithm, env, seeds, steps):
        # By the seed's last digit, with an early row that does not count, and none where it is 9.
        late = [np.nan if seed % 10 == 9 else 60.0 * (seed % 10) for seed in seeds]
        rows = [(seed, step, value) for seed, value in zip(seeds, late, strict=True) for step in (9_000, 20_480)]
        table = pd.DataFrame(rows, columns=["seed", "step", "return"]).sort_values("step", kind="stable")
        table.loc[table["step"] == 9_000, "return"] = 1e6
        return type("Run", (), {"curves": table})

    monkeypatch.setattr("pgcourse.algorithms.train", train)
    configuration.score.cache_clear()
    exercise, some = EXERCISES["08.configuration"], range(calibration.FIRST, calibration.FIRST + 20)
    judged = [Examination(exercise, draw, {}).judge(InProcess(configuration.configuration)) for draw in some]
    configuration.score.cache_clear()
    ppo = configuration.algorithm(configuration.configuration())
    scores = configuration.scores(ppo, _configurations.seeds(20)).to_numpy().reshape(20, -1)
    verdicts = [bool(np.nanmean(row) >= configuration.LEAST) for row in scores]
    assert verdicts == [result.checks[1].passed for result in judged]
    assert len(set(verdicts)) == 2


def test_a_verdict_on_a_discount_is_the_mean_of_its_runs():
    runs = gamma.ends(0.99, 5)
    assert runs.shape == (gamma.SEEDS,)
    assert gamma.steady(0.99, 5) == pytest.approx(sum(runs.tolist()) / 12)


def test_all_measured_settings_keep_to_the_budget():
    for options in (_configurations.RIGHT | _configurations.WRONG).values():
        assert configuration.allowed(_configurations.OWN | options, {}, None) == ""
