"""Statistics over runs, held against rliable, closed forms, enumeration and simulation."""

import contextlib
import io
import itertools
import json
import math
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from pgcourse.stats import (
    bootstrap,
    bootstrap_interval,
    effects,
    iqm,
    mean_interval,
    mean_over_training,
    on_common_steps,
    optimality_gap,
    paired_power,
    paired_test,
    performance_profile,
    permutation_test,
    probability_of_improvement,
    sample_efficiency,
    score_matrix,
    seeds_needed,
    stratified_interval,
    task_median,
    welch_power,
    welch_test,
)

RLIABLE = json.loads((Path(__file__).parent / "fixtures" / "rliable.json").read_text(encoding="utf-8"))
AGGREGATES = {"mean": np.mean, "task_median": task_median, "iqm": iqm, "optimality_gap": optimality_gap}
MATRICES, PAIRS = list(RLIABLE["matrices"]), list(RLIABLE["pairs"])


def generator(seed=0):
    return np.random.default_rng(seed)


# One task: intervals over seeds


def test_mean_interval_is_the_t_interval_of_scipy():
    values = np.random.default_rng(0).normal(3, 2, (10, 4))
    estimate, low, high = mean_interval(values, 0.9)
    ci = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(low, ci.low, rtol=1e-12)
    np.testing.assert_allclose(high, ci.high, rtol=1e-12)
    np.testing.assert_allclose(estimate, values.mean(0), rtol=1e-14)


def test_mean_interval_of_two_seeds_in_closed_form():
    # With one degree of freedom t is Cauchy: the half width is |a - b|/2 · tan(π level / 2).
    estimate, low, high = mean_interval([1.0, 3.0], 0.95)
    assert estimate == 2
    np.testing.assert_allclose([low, high], [2 - np.tan(0.475 * np.pi), 2 + np.tan(0.475 * np.pi)], rtol=1e-10)


@pytest.mark.parametrize("seeds", [3, 10])
def test_mean_interval_covers_as_often_as_it_says(seeds):
    experiments = 20_000
    values = np.random.default_rng(seeds).normal(5, 3, (seeds, experiments))
    _, low, high = mean_interval(values, 0.8)
    covered = int(((low < 5) & (high > 5)).sum())
    assert stats.binomtest(covered, experiments, 0.8).pvalue > 1e-4
    narrow = 0.9  # an interval a tenth too narrow is found out
    middle = (low + high) / 2
    covered = int((abs(middle - 5) < narrow * (high - middle)).sum())
    assert stats.binomtest(covered, experiments, 0.8).pvalue < 1e-4


def test_bootstrap_interval_of_the_mean_has_the_bootstraps_exact_moments():
    # The standard deviation of a resampled mean is s/√n, with divisor n in s; large samples have its normal quantiles.
    values = np.random.default_rng(1).exponential(size=400)
    estimate, low, high = bootstrap_interval(values, np.random.default_rng(2))
    sd = values.std() / np.sqrt(len(values))
    assert estimate == values.mean()
    np.testing.assert_allclose([low, high], values.mean() + np.array([-1.96, 1.96]) * sd, atol=0.1 * sd)


def test_bootstrap_interval_covers():
    rng = np.random.default_rng(3)
    experiments = 400
    intervals = [bootstrap_interval(rng.normal(size=30), rng, iqm, 0.9, 500) for _ in range(experiments)]
    covered = np.mean([low < 0 < high for _, low, high in intervals])
    assert 0.80 < covered < 0.96


def test_bootstrap_is_a_function_of_its_generator():
    values = np.random.default_rng(4).normal(size=(10, 3))
    first, again, other = (bootstrap_interval(values, np.random.default_rng(seed), iqm) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first.low, other.low)
    assert first.low.shape == (3,)


def test_bootstrap_of_seeds_that_agree_is_a_point():
    assert bootstrap_interval(np.full(10, 500.0), np.random.default_rng(0)) == (500, 500, 500)


def test_iqm_by_hand():
    assert iqm([100, 1, 2, 3, 4, 5, 6, -100]) == 3.5  # two fall at either end: 2, 3, 4, 5 remain
    assert iqm([[1.0, 10.0], [2.0, 20.0]], axis=None) == 6  # 2 and 10
    np.testing.assert_array_equal(iqm([[1.0, 10.0], [2.0, 20.0]]), [1.5, 15.0])


@given(npst.arrays(float, st.integers(4, 30), elements=st.floats(-1e3, 1e3)), st.data())
def test_iqm_ignores_outliers_and_order(values, data):
    shuffled = data.draw(st.permutations(list(values)))
    assert iqm(shuffled) == pytest.approx(iqm(values))
    wild = values.copy()
    wild[np.argmax(wild)] = 1e9
    assert iqm(wild) == pytest.approx(iqm(values))
    assert values.min() - 1e-9 <= iqm(values) <= values.max() + 1e-9


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ([1.0], 0.95, "two seeds"),
        (3.0, 0.95, "two seeds"),
        ([1.0, np.nan], 0.95, "NaN"),
        ([1.0, np.inf], 0.95, "NaN or infinity"),
        ([1.0, 2.0], 95, "level must lie between 0 and 1, got 95"),
    ],
)
def test_intervals_refuse_what_has_no_interval(values, level, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values, level)
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, np.random.default_rng(0), level=level)


def test_iqm_pools_axes_and_refuses_what_it_would_cut_off_unseen():
    values = generator().normal(size=(5, 3, 4))
    np.testing.assert_allclose(iqm(values, axis=(0, 2)), [iqm(values[:, k].ravel()) for k in range(3)])
    assert iqm(values, axis=(2, 0, 1)) == pytest.approx(iqm(values, axis=None), rel=1e-12)
    with pytest.raises(ValueError, match=r"NaN.*got \[ 1\. +2\. +3\. nan\]"):
        iqm([1, 2, 3, np.nan])
    with pytest.raises(ValueError, match="or of none"):
        iqm([])


TAKES_SCORES = {
    "mean_interval": mean_interval,
    "bootstrap_interval": lambda x: bootstrap_interval(x, generator()),
    "stratified_interval": lambda x: stratified_interval(x, generator()),
    "performance_profile": lambda x: performance_profile(x, [0.5], generator()),
    "probability_of_improvement": lambda x: probability_of_improvement([[1.0], [2.0]], x, generator()),
    "welch_test": lambda x: welch_test([[1.0], [2.0]], x),
    "paired_test": lambda x: paired_test([[1.0], [2.0]], x),
    "permutation_test": lambda x: permutation_test([1.0, 2.0], x[:, 0], generator()),
    "iqm": iqm,
    "task_median": task_median,
    "optimality_gap": optimality_gap,
}


@pytest.mark.parametrize("name", TAKES_SCORES)
@pytest.mark.parametrize("missing", [np.nan, np.ma.masked])
def test_a_score_that_is_missing_is_never_averaged(name, missing):
    scores = np.ma.masked_array([[1.0], [2.0], [1000.0]])
    scores[2] = missing
    with pytest.raises(ValueError, match="masked" if missing is np.ma.masked else "NaN"):
        TAKES_SCORES[name](scores if missing is np.ma.masked else scores.data)


@pytest.mark.parametrize("aggregate", [iqm, task_median, optimality_gap])
def test_of_no_scores_there_is_no_aggregate(aggregate):
    with pytest.raises(ValueError, match="or of none"):
        aggregate(np.empty((0, 2)))


def test_a_mask_that_masks_nothing_changes_nothing():
    assert mean_interval(np.ma.masked_array([1.0, 2.0, 4.0], mask=False)) == mean_interval([1.0, 2.0, 4.0])


# Several tasks, as rliable has them


@pytest.mark.parametrize("name", MATRICES)
def test_aggregates_and_profiles_are_those_of_rliable(name):
    fixture = RLIABLE["matrices"][name]
    ours = [aggregate(fixture["scores"], axis=(0, 1)) for aggregate in map(AGGREGATES.get, RLIABLE["aggregates"])]
    np.testing.assert_allclose(ours, fixture["aggregates"]["estimate"], rtol=0, atol=1e-12)
    profile = performance_profile(fixture["scores"], RLIABLE["thresholds"], generator(), resamples=2)
    np.testing.assert_allclose(profile.estimate, fixture["profile"]["estimate"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_probability_of_improvement_is_that_of_rliable(name):
    fixture = RLIABLE["pairs"][name]
    average, by_task = probability_of_improvement(fixture["x"], fixture["y"], generator(), resamples=2)
    np.testing.assert_allclose([average.estimate], fixture["improvement"]["estimate"], rtol=0, atol=1e-12)
    for task, value in enumerate(by_task.estimate):
        x, y = np.array(fixture["x"])[:, [task]], np.array(fixture["y"])[:, [task]]
        assert probability_of_improvement(x, y, generator(), resamples=2).average.estimate == value


def monte_carlo_errors(interval, fixture, columns=slice(None)):
    """How many standard errors the mean bounds of our bootstraps lie from the mean bounds of rliable's.

    Both sides repeat a bootstrap of as many resamples, as many times. If they draw from one distribution, mean bounds
    differ by a variance of (sd² + sd²)/repeats. Bounds that never vary must agree to 1e-12.
    """
    ours = np.array([interval(generator(seed))[1:] for seed in range(RLIABLE["repeats"])])
    theirs, sd = np.array(fixture["mean"])[:, columns], np.array(fixture["sd"])[:, columns]
    error = np.sqrt((sd**2 + ours.std(0, ddof=1) ** 2) / RLIABLE["repeats"])
    difference = np.abs(ours.mean(0) - theirs)
    return np.where(difference < 1e-12, 0, difference / np.maximum(error, 1e-300)).max()


TOLERANCE = 5  # standard errors of some 200 bounds: a false alarm in 10,000 generators


@pytest.mark.parametrize("name", MATRICES)
def test_intervals_are_those_of_rliable_within_monte_carlo_error(name):
    fixture, resamples = RLIABLE["matrices"][name], RLIABLE["resamples"]
    for column, aggregate in enumerate(map(AGGREGATES.get, RLIABLE["aggregates"])):
        interval = partial(stratified_interval, fixture["scores"], statistic=aggregate, resamples=resamples)
        assert monte_carlo_errors(interval, fixture["aggregates"], column) < TOLERANCE, aggregate
    profile = partial(performance_profile, fixture["scores"], RLIABLE["thresholds"], resamples=resamples)
    assert monte_carlo_errors(profile, fixture["profile"]) < TOLERANCE


@pytest.mark.parametrize("name", PAIRS)
def test_intervals_of_improvement_are_those_of_rliable_within_monte_carlo_error(name):
    fixture = RLIABLE["pairs"][name]

    def interval(rng):
        return probability_of_improvement(fixture["x"], fixture["y"], rng, resamples=RLIABLE["resamples"]).average

    assert monte_carlo_errors(interval, fixture["improvement"], 0) < TOLERANCE


def runs_pooled(scores, rng):
    return bootstrap_interval(np.ravel(scores), rng, resamples=1000)


def at_another_level(scores, rng):
    return stratified_interval(scores, rng, np.mean, level=0.92, resamples=1000)


@pytest.mark.parametrize("other", [runs_pooled, at_another_level])
def test_the_oracle_tells_other_bootstraps_apart(other):
    fixture = RLIABLE["matrices"]["ten runs, five tasks"]
    assert monte_carlo_errors(partial(other, fixture["scores"]), fixture["aggregates"], 0) > 2 * TOLERANCE


# The theorems behind them


def test_the_stratified_mean_has_the_bootstraps_exact_variance():
    # Var = Σ_t s_t²/n / T², with divisor n in s_t: what tasks differ by does not enter. Many tasks: normal quantiles.
    scores = generator(1).exponential(size=(6, 200)) + 100 * np.arange(200)
    estimate, low, high = stratified_interval(scores, generator(2), np.mean)
    sd = np.sqrt((scores.var(0) / 6).sum()) / 200
    assert estimate == scores.mean()
    np.testing.assert_allclose([low, high], estimate + np.array([-1.96, 1.96]) * sd, rtol=0, atol=0.1 * sd)


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_stratified_interval_covers_as_often_as_theory_says(seeds):
    # For T normal tasks of equal spread the bounds are x̄ ± z √((n-1)/n) s/√(nT), and (x̄ - μ)/(s/√(nT)) is t(T(n-1)).
    tasks, experiments = 30, 1500
    theory = 2 * stats.t.cdf(stats.norm.isf(0.025) * np.sqrt((seeds - 1) / seeds), tasks * (seeds - 1)) - 1
    truth = np.arange(tasks)[:, None]
    scores = truth + generator(seeds).normal(size=(seeds, tasks, experiments))
    _, low, high = stratified_interval(scores, generator(0), np.mean, resamples=1000)
    middle, narrow = (low + high) / 2, 0.85
    covered = int(((low < truth.mean()) & (truth.mean() < high)).sum())
    assert stats.binomtest(covered, experiments, theory).pvalue > 1e-4
    covered = int((abs(middle - truth.mean()) < narrow * (high - middle)).sum())
    assert stats.binomtest(covered, experiments, theory).pvalue < 1e-4


def test_on_one_task_the_bootstrap_of_few_seeds_covers_less_than_on_many():
    scores = generator(3).normal(size=(3, 1, 4_000))
    _, low, high = stratified_interval(scores, generator(0), np.mean, resamples=1000)
    assert ((low < 0) & (high > 0)).mean() < 0.85  # on many tasks 0.89


@given(npst.arrays(int, (5, 3), elements=st.integers(0, 20)), st.data())
def test_aggregates_do_not_depend_on_the_order_of_seeds(scores, data):
    shuffled = np.stack([data.draw(st.permutations(list(task))) for task in scores.T], 1)
    for aggregate in AGGREGATES.values():
        assert aggregate(shuffled, axis=(0, 1)) == pytest.approx(aggregate(scores, axis=(0, 1)), abs=1e-12)


@pytest.mark.parametrize("aggregate", [np.mean, iqm, task_median])
def test_intervals_move_with_the_scores(aggregate):
    scores = generator(3).normal(size=(5, 4))
    interval = stratified_interval(scores, generator(), aggregate, resamples=500)
    moved = stratified_interval(7 + 2 * scores, generator(), aggregate, resamples=500)
    np.testing.assert_allclose(moved, 7 + 2 * np.array(interval), rtol=1e-12)


def test_a_run_is_drawn_with_its_whole_curve():
    # Two steps that hold the same scores get the same interval; steps drawn apart would not.
    step = generator(4).normal(size=(4, 3, 1))
    _, low, high = stratified_interval(np.concatenate([step, step], 2), generator(), resamples=50)
    assert low[0] == low[1]
    assert high[0] == high[1]


def test_the_median_is_over_tasks_of_the_mean_over_seeds():
    scores = [[0.0, 10, 5], [4.0, 30, 5]]
    assert task_median(scores) == 5  # of 2, 20, 5
    assert np.median(scores) == 5
    assert task_median([[0.0], [9], [0]]) == 3  # one task: the mean


def test_the_optimality_gap_counts_what_is_missing_only():
    assert optimality_gap([[0.5, 3.0], [1.0, 0.0]]) == 0.375
    assert optimality_gap([400, 500], target=475) == 37.5


@given(npst.arrays(int, (4, 3), elements=st.integers(0, 30)))
def test_the_area_under_the_profile_is_the_mean_and_over_it_the_optimality_gap(twentieths):
    # E X = ∫ P(X > τ) dτ for X >= 0, exact here as the profile is constant between twentieths.
    scores, thresholds = twentieths / 20, (np.arange(30) + 0.5) / 20
    profile = performance_profile(scores, thresholds, generator(), resamples=20)
    assert profile.estimate.sum() / 20 == pytest.approx(scores.mean())
    assert (1 - profile.estimate[thresholds < 1]).sum() / 20 == pytest.approx(optimality_gap(scores))
    for line in profile:
        assert (np.diff(line) <= 0).all()


def test_the_profile_of_one_task_has_binomial_intervals():
    # k of n runs lie above τ: in a resample their number is Binomial(n, k/n), exactly.
    n, resamples = 12, 20_000
    scores, thresholds = np.arange(n)[:, None] / n, np.array([0.2, 0.5, 0.9])
    estimate, low, high = performance_profile(scores, thresholds, generator(5), resamples=resamples)
    error = 4 * np.sqrt(0.025 * 0.975 / resamples)
    for bound, tail in ((low, 0.025), (high, 0.975)):
        assert (stats.binom.ppf(tail - error, n, estimate) <= n * bound).all()
        assert (n * bound <= stats.binom.ppf(tail + error, n, estimate)).all()


def test_the_interval_of_improvement_by_enumeration():
    # All 3³ · 2² resamples of a small pair, each as likely as the other; two tasks alike but drawn apart.
    x, y, resamples = np.array([0.0, 2, 4]), np.array([1.0, 2]), 40_000
    draws = [
        np.mean([(a > b) + (a == b) / 2 for a in xs for b in ys])
        for xs in itertools.product(x, repeat=3)
        for ys in itertools.product(y, repeat=2)
    ]
    averages = np.add.outer(draws, draws).ravel() / 2
    average, by_task = probability_of_improvement(
        np.stack([x, x], 1), np.stack([y, y], 1), generator(6), level=0.8, resamples=resamples
    )
    error = 4 * np.sqrt(0.1 * 0.9 / resamples)
    for interval, exact in ((average, averages), (by_task, draws)):
        for bound, tail in ((interval.low, 0.1), (interval.high, 0.9)):
            low, high = np.quantile(exact, [tail - error, tail + error], method="inverted_cdf")
            assert low - 1e-12 <= np.min(bound)
            assert np.max(bound) <= high + 1e-12


@given(npst.arrays(int, (4, 2), elements=st.integers(0, 5)), npst.arrays(int, (3, 2), elements=st.integers(0, 5)))
def test_improvement_and_its_reverse_sum_to_one_whatever_the_scale(x, y):
    forth = probability_of_improvement(x, y, generator(), resamples=5)
    back = probability_of_improvement(y, x, generator(), resamples=5)
    np.testing.assert_allclose(forth.by_task.estimate + back.by_task.estimate, 1)
    stretched = probability_of_improvement(np.exp(x), np.exp(y), generator(), resamples=5)
    np.testing.assert_array_equal(np.array(stretched.by_task), np.array(forth.by_task))
    for task in range(2):
        u = stats.mannwhitneyu(x[:, task], y[:, task]).statistic
        assert forth.by_task.estimate[task] == pytest.approx(u / 12)


def test_the_interval_of_improvement_covers():
    truth, rng, experiments = stats.norm.cdf(0.5 / np.sqrt(2)), generator(7), 500
    found = [
        probability_of_improvement(rng.normal(0.5, 1, (15, 4)), rng.normal(0, 1, (15, 4)), rng, resamples=500).average
        for _ in range(experiments)
    ]
    covered = int(sum(low < truth < high for _, low, high in found))
    assert stats.binomtest(covered, experiments, 0.95, alternative="less").pvalue > 1e-3
    assert covered < experiments


def test_resamples_are_as_many_as_asked_for_however_they_are_batched(monkeypatch):
    seen = []

    def counting(x, axis):
        seen.append(x.shape[2:])
        return np.mean(x, axis=axis)

    monkeypatch.setattr(bootstrap, "BATCH", 64)
    stratified_interval(np.eye(4), generator(), counting, resamples=10)
    assert seen == [(), (4,), (4,), (2,)]


# Tables


def curves(slope=2.0, seeds=3, **columns):
    """Straight learning curves, reported at steps of each seed's own."""
    rows = [(seed, step, slope * step + seed) for seed in range(seeds) for step in range(10 * seed, 400, 30 + seed)]
    return pd.DataFrame(rows, columns=["seed", "step", "return"]).assign(**columns)


def test_scores_are_laid_out_by_seed_and_task():
    table = pd.DataFrame(
        {"seed": [1, 0, 5, 4], "env": ["walker", "walker", "ant", "ant"], "score": [11.0, 10.0, 25.0, 24.0]}
    )
    np.testing.assert_array_equal(score_matrix(table, "score", "env"), [[10, 24], [11, 25]])
    np.testing.assert_array_equal(score_matrix(table[:2], "score"), [[10], [11]])


def test_straight_curves_are_straight_on_common_steps():
    table = pd.concat([curves(task="a"), curves(slope=3, task="b")])
    steps, values = on_common_steps(table, task="task", steps=50)
    last = table.groupby("seed")["step"].max()
    np.testing.assert_array_equal(steps[[0, -1]], [20, last.min()])
    seeds = np.arange(3)[:, None]
    np.testing.assert_allclose(values[:, 0], 2 * steps + seeds)
    np.testing.assert_allclose(values[:, 1], 3 * steps + seeds)


def test_curves_keep_their_reports_and_are_straight_between_them():
    table = pd.DataFrame({"seed": [0] * 4, "step": [30, 0, 10, 20], "return": [9.0, 0.0, 4.0, np.nan]})
    _, values = on_common_steps(table, steps=[0, 5, 10, 20, 30])  # nothing was reported at 20
    np.testing.assert_allclose(values[0, 0], [0, 2, 4, 6.5, 9])


def test_sample_efficiency_is_the_stratified_interval_at_every_step():
    table = pd.concat([curves(variant="PPO", env=env, slope=s) for env, s in (("a", 1), ("b", 5))])
    table = pd.concat([table, table.assign(variant="A2C", **{"return": 0.0})])
    found = sample_efficiency(table, generator(8), task="env", steps=[100, 200], statistic=np.mean)
    assert list(found) == ["variant", "step", "estimate", "low", "high"]
    assert found["variant"].tolist() == ["PPO", "PPO", "A2C", "A2C"]
    _, values = on_common_steps(table[table["variant"] == "PPO"], task="env", steps=[100, 200])
    expected = stratified_interval(values, generator(8), np.mean, resamples=2_000)
    np.testing.assert_array_equal(found.loc[:1, ["estimate", "low", "high"]].T, expected)
    assert found.loc[0, "estimate"] == pytest.approx(301)  # (1 + 5)/2 · 100 + the mean seed
    assert (found.loc[2:, "high"] == 0).all()
    assert list(sample_efficiency(curves(), generator(), steps=3, resamples=9)) == ["step", "estimate", "low", "high"]


def test_tables_that_cannot_be_laid_out_are_refused():
    two = pd.concat([curves(task="a"), curves(task="b", seeds=2)])
    with pytest.raises(ValueError, match=r"same number of seeds, got \{'a': 3, 'b': 2\}"):
        on_common_steps(two, task="task")
    with pytest.raises(ValueError, match="no column 'reward'; it has seed, step, return"):
        on_common_steps(curves(), "reward")
    with pytest.raises(ValueError, match=r"from step 20 to .* asked from 0 to 100, and curves are not extrapolated"):
        on_common_steps(curves(), steps=[0, 100])
    with pytest.raises(ValueError, match="no step at which every run reports: one begins at 900, another ends at 372"):
        on_common_steps(pd.concat([curves(), pd.DataFrame({"seed": [7], "step": [900], "return": [1.0]})]))
    with pytest.raises(ValueError, match="seed 0 reports twice at one step: choose one variant"):
        on_common_steps(pd.concat([curves(), curves()]))
    with pytest.raises(ValueError, match="seed 2 has no value of 'return'"):
        on_common_steps(curves().assign(**{"return": lambda t: t["return"].where(t["seed"] < 2)}))
    with pytest.raises(ValueError, match="seed 0 has several rows: choose one variant"):
        score_matrix(curves(), "return")
    with pytest.raises(ValueError, match="an empty table"):
        score_matrix(curves()[:0], "return", "seed")


# Tests of a difference


def test_welchs_test_from_its_formulas():
    x, y = generator(9).normal(1, 1, (7, 3)), generator(10).normal(0, 4, (4, 3))
    (difference, low, high), p_value = welch_test(x, y, level=0.9)
    u, v = x.var(0, ddof=1) / 7, y.var(0, ddof=1) / 4
    df = (u + v) ** 2 / (u**2 / 6 + v**2 / 3)
    np.testing.assert_allclose(difference, x.mean(0) - y.mean(0))
    np.testing.assert_allclose(p_value, 2 * stats.t.sf(abs(difference) / np.sqrt(u + v), df))
    half = stats.t.ppf(0.95, df) * np.sqrt(u + v)
    np.testing.assert_allclose([low, high], [difference - half, difference + half])


def test_welchs_interval_covers_where_students_does_not():
    rng, experiments = generator(11), 20_000
    x, y = rng.normal(3, 5, (5, experiments)), rng.normal(1, 1, (15, experiments))
    (_, low, high), p_value = welch_test(x, y, level=0.95)
    misses = int(((low > 2) | (high < 2)).sum())
    # Welch's approximation is off by less than half a percent here; Student's test misses three times as often.
    assert 0.045 < misses / experiments < 0.056
    students = stats.ttest_ind(x, y).confidence_interval(0.95)
    assert ((students.low > 2) | (students.high < 2)).mean() > 0.1
    np.testing.assert_array_equal(p_value < 0.05, (low > 0) | (high < 0))


def test_pairs_cover_where_what_they_share_would_fool_welchs_test():
    """Seeds that share their luck: Welch's interval is too wide. Seeds whose luck is opposite: it is too narrow."""
    rng, experiments = generator(12), 20_000
    luck, x, y = (
        rng.normal(0, 2, (6, experiments)),
        rng.normal(3, 1, (6, experiments)),
        rng.normal(1, 1, (6, experiments)),
    )
    for sign, misses_of_welch in ((1, (0, 0.01)), (-1, (0.1, 0.2))):
        a, b = x + luck, y + sign * luck
        (_, low, high), p_value = paired_test(a, b)
        assert 0.045 < ((low > 2) | (high < 2)).mean() < 0.055
        np.testing.assert_array_equal(p_value < 0.05, (low > 0) | (high < 0))
        interval = welch_test(a, b).difference
        low_share, high_share = misses_of_welch
        assert low_share <= ((interval.low > 2) | (interval.high < 2)).mean() < high_share
    found, theirs = paired_test(a[:, 0], b[:, 0], 0.9), stats.ttest_rel(a[:, 0], b[:, 0])
    assert found.p_value == pytest.approx(theirs.pvalue)
    np.testing.assert_allclose(found.difference[1:], theirs.confidence_interval(0.9))


def share_of_splits(x, y):
    """The permutation test's p-value by going through all splits, in exact arithmetic: x and y hold integers."""
    pooled, n = [int(v) for v in (*x, *y)], len(x)

    def distance(chosen):  # |mean difference| times n (N - n), an integer
        inside = sum(pooled[k] for k in chosen)
        return abs((len(pooled) - n) * inside - n * (sum(pooled) - inside))

    distances = [distance(chosen) for chosen in itertools.combinations(range(len(pooled)), n)]
    return np.mean(np.array(distances) >= distance(range(n)))


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=5),
    st.lists(st.integers(-5, 5), min_size=2, max_size=4),
    st.sampled_from([1.0, 0.1, 1e-6, 1e9]),
    st.sampled_from([0.0, 0.3, 1e6]),
)
@example([-1, -2, -4], [-1, -2, -2, -2], 0.1, 1e6)
def test_the_permutation_test_by_enumeration_whatever_unit_and_origin(x, y, scale, origin):
    origin *= scale
    p_value = permutation_test(origin + scale * np.array(x), origin + scale * np.array(y), generator())
    assert p_value == pytest.approx(share_of_splits(x, y), abs=1e-12)


def test_exact_permutation_p_values_are_uniform_under_the_null():
    # 4 against 4: 70 splits in pairs of one distance, so p is one of 1/35, ..., 35/35, each equally likely.
    rng = generator(12)
    values = rng.exponential(size=(2_000, 2, 4))
    p_values = np.array([permutation_test(x, y, rng) for x, y in values])
    counts = np.bincount(np.rint(35 * p_values).astype(int), minlength=36)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-4


def test_sampled_permutation_p_values_are_uniform_under_the_null():
    # With m = 19 splits drawn, p = (b + 1)/20; b/19 would call a twentieth of all null results impossible.
    rng = generator(13)
    values = rng.normal(size=(2_000, 24))
    p_values = np.array([permutation_test(x[:10], x[10:], rng, resamples=19) for x in values])
    counts = np.bincount(np.rint(20 * p_values).astype(int), minlength=21)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-4


def test_seeds_that_all_agree_do_not_differ():
    assert permutation_test([500, 500, 500], [500, 500], generator()) == 1
    with pytest.raises(ValueError, match=r"agree on both sides: .* permutation_test does not"):
        welch_test([500, 500], [500, 500])


# How many seeds


@pytest.mark.parametrize(
    ("seeds", "difference", "sd"),
    [(2, 3.0, (1.0, 1.0)), (3, 2.0, (0.5, 2.0)), (5, 1.5, (1.0, 1.0)), (10, 30.0, (10.0, 40.0)), (8, 0.0, (1.0, 3.0))],
)
def test_power_by_simulation(seeds, difference, sd):
    experiments, rng = 40_000, generator(seeds)
    x, y = rng.normal(difference, sd[0], (seeds, experiments)), rng.normal(0, sd[1], (seeds, experiments))
    found = int((welch_test(x, y).p_value < 0.05).sum())
    assert stats.binomtest(found, experiments, welch_power(seeds, difference, sd)).pvalue > 1e-4
    for wrong in (seeds - 1, seeds + 1):  # a degree of freedom too few or too many is found out
        if wrong > 1 and difference:
            assert stats.binomtest(found, experiments, welch_power(wrong, difference, sd)).pvalue < 1e-4


@pytest.mark.parametrize(
    ("seeds", "difference", "sd"), [(2, 3.0, 1.0), (3, -2.0, 1.5), (10, 30.0, 40.0), (60, 0.4, 1.0)]
)
def test_power_of_pairs_is_noncentral_students_t(seeds, difference, sd):
    theirs = stats.nct(seeds - 1, abs(difference) / sd * np.sqrt(seeds))
    critical = stats.t.isf(0.025, seeds - 1)
    assert paired_power(seeds, difference, sd) == pytest.approx(theirs.sf(critical) + theirs.cdf(-critical), abs=2e-4)
    rng, experiments, shared = generator(seeds), 20_000, 7.0
    luck = rng.normal(0, shared, (seeds, experiments))
    noise = rng.normal(0, sd / np.sqrt(2), (2, seeds, experiments))
    found = int((paired_test(difference + luck + noise[0], luck + noise[1]).p_value < 0.05).sum())
    assert stats.binomtest(found, experiments, paired_power(seeds, difference, sd)).pvalue > 1e-4


def test_pairs_needed_are_those_of_published_tables():
    # G*Power and statsmodels (TTestPower) for d = 0.5 and 0.8, two-sided 5 %, power 80 %: 34 and 15 pairs.
    assert [seeds_needed(d, 1, paired=True) for d in (0.8, 0.5)] == [15, 34]
    assert paired_power(34, 0.5, 1) >= 0.8 > paired_power(33, 0.5, 1)


def test_power_against_published_values():
    # SAS/STAT, "The POWER procedure", example of the Satterthwaite t test, one-sided at 5 %: power 0.924, size 0.0499.
    assert welch_power(25, 12, (12, 15), alpha=0.1) == pytest.approx(0.924, abs=5e-4)
    assert welch_power(25, 0, (12, 15), alpha=0.1) / 2 == pytest.approx(0.0499, abs=5e-5)
    # Cohen's large, medium and small effects: the sample sizes of G*Power and statsmodels, for equal variances.
    assert [seeds_needed(d, 1) for d in (0.8, 0.5, 0.2)] == [26, 64, 394]


def test_power_approaches_students_and_is_never_above_it():
    for n in (3, 10, 30, 100):
        students = stats.nct(2 * n - 2, 0.7 * np.sqrt(n / 2))
        critical = stats.t.isf(0.025, 2 * n - 2)
        exact = students.sf(critical) + students.cdf(-critical)
        assert exact - 1 / n**2 < welch_power(n, 0.7, 1) < exact


@settings(max_examples=20)
@given(
    st.floats(0.3, 4),
    st.floats(0.5, 2),
    st.sampled_from([0.7, 0.8, 0.95]),
    st.sampled_from([0.01, 0.05]),
)
def test_seeds_needed_is_the_fewest_that_suffice(difference, sd, power, alpha):
    n = seeds_needed(difference, (1, sd), alpha, power)
    assert welch_power(n, difference, (1, sd), alpha) >= power
    assert n == 2 or welch_power(n - 1, difference, (1, sd), alpha) < power
    assert seeds_needed(-100 * difference, (100 * sd, 100), alpha, power) == n  # another unit, the other way round


def scores_of(*shape):
    return np.arange(float(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda rng: stratified_interval([1.0, 2.0], rng),
            r"\[seed, task, ...\], got shape \(2,\); .*scores\[:, None\]",
        ),
        (lambda rng: stratified_interval(scores_of(1, 5), rng), r"two seeds or more, got values of shape \(1, 5\)"),
        (lambda rng: stratified_interval([[1.0], [np.nan]], rng), "NaN or infinity"),
        (lambda rng: stratified_interval(scores_of(3, 2), rng, level=95), "level must lie between 0 and 1, got 95"),
        (lambda rng: stratified_interval(scores_of(3, 2), rng, resamples=0), "resamples must be positive, got 0"),
        (lambda rng: performance_profile(scores_of(3, 2), [], rng), r"list of finite numbers, got \[\]"),
        (lambda rng: performance_profile(scores_of(3, 2), 0.5, rng), "list of finite numbers, got 0.5"),
        (lambda rng: probability_of_improvement(scores_of(3, 2), scores_of(3, 4), rng), r"\(3, 2\) and \(3, 4\)"),
        (lambda rng: welch_test(scores_of(3, 2), scores_of(4, 1)), r"shapes \(3, 2\) and \(4, 1\)"),
        (lambda rng: welch_test([1.0], [2.0, 3.0]), "two seeds or more"),
        (lambda rng: paired_test([1.0, 2.0, 4.0], [2.0, 3.0]), r"not pairs: shapes \(3,\) and \(2,\)"),
        (lambda rng: paired_test([1.0, 2.0], [2.0, 3.0]), "the same difference"),
        (lambda rng: permutation_test(scores_of(3, 2), scores_of(3, 2), rng), "lists of seeds, got shapes"),
        (lambda rng: permutation_test([1, 2], [3, 4], rng, resamples=0), "resamples must be positive"),
        (lambda rng: welch_power(1, 1, 1), "2 or more, got 1"),
        (lambda rng: welch_power(2.5, 1, 1), "2 or more, got 2.5"),
        (lambda rng: welch_power(5, np.nan, 1), "difference must be finite, got nan"),
        (lambda rng: welch_power(5, 1, 0), "positive number, or one for each side, got 0"),
        (lambda rng: welch_power(5, 1, (1, 2, 3)), r"got \(1, 2, 3\)"),
        (lambda rng: welch_power(5, 1, 1, alpha=5), "alpha must lie between 0 and 1, got 5"),
        (lambda rng: paired_power(1, 1, 1), "2 or more, got 1"),
        (lambda rng: paired_power(5, 1, (1, 2)), r"that of the differences, a positive number, got \(1, 2\)"),
        (lambda rng: seeds_needed(1, 1, power=0.03), "between alpha = 0.05 and 1, got 0.03"),
        (lambda rng: seeds_needed(0, 1), "a difference of 0 at sd 1 needs over a million seeds"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(generator())


def test_the_tables_of_the_page_are_what_its_code_prints():
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
    blocks = re.findall(r"((?:\|.*\n)+)\n```python run\n((?:(?!```).*\n)+)```", page)
    assert len(blocks) == page.count("```python") == 2
    for table, code in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {})
        assert table.split("\n", 2)[2] == printed.getvalue()  # without its head


def test_the_page_says_what_three_against_three_and_a_pilot_of_five_can_show():
    assert permutation_test([4, 5, 6], [1, 2, 3], generator()) == 2 / 20
    assert np.sqrt(4 / stats.chi2.ppf(0.05, 4)) > 2


def test_mean_over_training_is_the_area_under_a_seeds_curve():
    rows = [(0, 0, 1.0), (0, 10, 3.0), (0, 30, 3.0), (1, 5, 2.0), (1, 15, math.nan), (1, 25, 4.0)]
    table = pd.DataFrame(rows, columns=["seed", "step", "return"])
    assert mean_over_training(table).to_dict() == {0: (20 + 60) / 30, 1: 3.0}
    both = pd.concat([table.assign(variant="b"), table.assign(variant="a", **{"return": 7.0})])
    assert mean_over_training(both).to_dict() == {"b": {0: (20 + 60) / 30, 1: 3.0}, "a": {0: 7.0, 1: 7.0}}
    with pytest.raises(ValueError, match="fewer than two reports"):
        mean_over_training(table[table["step"] != 5])
    pd.testing.assert_series_equal(mean_over_training(table[::-1]), mean_over_training(table))
    with pytest.raises(ValueError, match="seed 0 reports twice at one step: choose one variant"):
        mean_over_training(pd.concat([table, table]))


def test_effects_say_which_intervals_leave_zero_out_before_and_after_the_correction():
    rng = generator(13)
    base, noise = rng.normal(0, 5, 10), rng.normal(0, 1, 10)
    p_of = {shift: paired_test(base + noise + shift, base).p_value for shift in np.linspace(0, 2, 401)}
    between = next(shift for shift, p in p_of.items() if 0.05 / 40 < p < 0.05)
    nothing = next(shift for shift, p in p_of.items() if p > 0.5)
    changes = {"much": 5, "some": between, "none": nothing}
    found = effects({name: (base + noise + shift, base) for name, shift in changes.items()}, comparisons=40)
    assert found["verdict"].tolist() == ["clear", "not clear after correction", "no detectable effect"]
    assert found.loc["some", ["change", "low", "high"]].tolist() == pytest.approx(
        list(paired_test(base + noise + between, base).difference)
    )
    assert effects({"some": (base + noise + between, base)})["verdict"].item() == "clear"
