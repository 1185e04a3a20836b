"""What few seeds would have found, held against enumeration of all experiments, scipy, and known coverage."""

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pgcourse.stats import (
    adastop,
    coverage,
    disagreeing,
    effects,
    false_winners,
    few_seeds,
    holm,
    iqm,
    mean_share,
    order_weights,
    paired_power,
    plan,
    right_rankings,
    tuning_optimism,
    welch_power,
    welch_test,
)

STATISTICS = {"mean": np.mean, "median": np.median, "iqm": iqm}
FEW = np.array([0.0, 1.0, 3.0, 8.0])  # all experiments with it can be enumerated
ADASTOP = json.loads((Path(__file__).parent / "fixtures" / "adastop.json").read_text("utf-8"))


def experiments(population, seeds):
    return np.array(list(itertools.product(population, repeat=seeds)))


def close(found, exact):
    """Within 4.5 standard errors: one failure in 150,000 seeds of the generator."""
    assert abs(found.share - exact) <= 4.5 * max(found.error, 1e-4), (found, exact)


@pytest.mark.parametrize("statistic", STATISTICS)
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=25))
def test_statistics_are_sums_over_ordered_values(statistic, values):
    found = np.sort(values) @ order_weights(statistic, len(values))
    assert found == pytest.approx(STATISTICS[statistic](np.array(values)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_a_resample_is_a_row_of_weights(statistic, n):
    values = np.sort(np.random.default_rng(n).normal(size=n))
    weights, chances = few_seeds._resampled_weights(n, np.random.default_rng(1), statistic, 50)
    if n <= 3:  # all of them, of which some are alike
        expected = [STATISTICS[statistic](each) for each in experiments(values, n)]
        each, counts = np.unique(np.round(expected, 12), return_counts=True)
        found = np.round(weights @ values, 12)
        assert set(found) == set(each)
        np.testing.assert_allclose([chances[found == value].sum() for value in each], counts / n**n)
    else:
        counts = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), 50)
        expected = [STATISTICS[statistic](np.repeat(values, each)) for each in counts]
        np.testing.assert_allclose(weights @ values, expected, atol=1e-12)
        assert set(chances) == {1 / 50}


@pytest.mark.filterwarnings("ignore:Precision loss")  # of experiments whose seeds agree
@pytest.mark.parametrize("seeds", [2, 3])
def test_coverage_of_students_interval_is_that_of_all_experiments(seeds):
    drawn = experiments(FEW, seeds)
    ends = stats.ttest_1samp(drawn, 0, axis=1).confidence_interval(0.8)
    same = np.ptp(drawn, axis=1) == 0
    low, high = np.where(same, drawn[:, 0], ends.low), np.where(same, drawn[:, 0], ends.high)
    close(coverage(FEW, seeds, np.random.default_rng(0), level=0.8), ((low <= 3) & (high >= 3)).mean())


@pytest.mark.parametrize("statistic", STATISTICS)
def test_coverage_of_the_bootstrap_is_that_of_all_experiments_with_all_their_resamples(statistic):
    """Of three seeds the 2.5 % quantile of 27 equally likely resamples is the smallest, which one in 27 is."""
    function = STATISTICS[statistic]
    truth, covered = function(FEW), []
    for drawn in experiments(FEW, 3):
        found = [function(each) for each in experiments(drawn, 3)]
        covered.append(min(found) <= truth <= max(found))
    found = coverage(FEW, 3, np.random.default_rng(0), "percentile", statistic, redraws=4_000)
    close(found, np.mean(covered))


def test_strata_are_resampled_one_by_one():
    """Two tasks of two seeds: the 5 % and 95 % quantiles of 16 equally likely resamples are their ends."""
    tasks = np.array([[0.0, 10.0], [1.0, 30.0], [5.0, 20.0]])
    covered = []
    for first, second in itertools.product(experiments(tasks[:, 0], 2), experiments(tasks[:, 1], 2)):
        low, high = (first.min() + second.min()) / 2, (first.max() + second.max()) / 2
        covered.append(low <= tasks.mean() <= high)
    found = coverage(tasks, 2, np.random.default_rng(0), "percentile", level=0.9, redraws=4_000, resamples=400)
    close(found, np.mean(covered))


@pytest.mark.parametrize("level", [0.95, 0.9, 0.8])
def test_the_percentile_interval_of_three_seeds_ends_where_one_in_twentyseven_says(level):
    """The smallest of 27 resamples has the chance 1/27 = 3.7 %: below it there is 2.5 %, but not 5 % and not 10 %."""
    drawn = np.array([[1.0], [2.0], [6.0]])
    low, high = few_seeds._intervals(drawn[None], np.random.default_rng(0), "percentile", "mean", level, 100)
    means = np.sort(experiments(drawn[:, 0], 3).mean(1))
    tail = (1 - level) / 2
    expected = [next(x for x in means if (means <= x + 1e-9).mean() >= share - 1e-9) for share in (tail, 1 - tail)]
    np.testing.assert_allclose([low[0], high[0]], expected)
    assert (expected == [1.0, 6.0]) == (level == 0.95)


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_bca_is_that_of_scipy(statistic):
    x = np.random.default_rng(3).lognormal(size=9)
    low, high = few_seeds._intervals(x[None, :, None], np.random.default_rng(0), "bca", statistic, 0.9, 20_000)
    theirs = stats.bootstrap(
        (x,),
        STATISTICS[statistic],
        n_resamples=20_000,
        confidence_level=0.9,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    plain = np.quantile(
        STATISTICS[statistic](np.random.default_rng(2).choice(x, (20_000, 9)), axis=1), [0.05, 0.95]
    )  # what BCa corrects, by more than it may differ from scipy's
    assert abs(plain[1] - theirs.high) > 0.05
    np.testing.assert_allclose([low[0], high[0]], theirs, atol=0.05)


@pytest.mark.parametrize(("scale", "origin"), [(1.0, 0.0), (0.1, 0.0), (1 / 3, 1e3)])
def test_bca_of_three_seeds_by_hand_whatever_unit_and_origin(scale, origin):
    """Of 27 resamples 6 are the sample itself, of which ties are made: rounding must not take them for less or more."""
    x = np.array([1.0, 2.0, 6.0])
    means = np.sort(experiments(x, 3).mean(1))
    bias = stats.norm.ppf(((means < 3 - 1e-9).sum() + (means < 3 + 1e-9).sum()) / 54)
    away = np.array([3 - 4.0, 3 - 3.5, 3 - 1.5])  # the mean less the mean without one
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([0.1, 0.9])
    shares = stats.norm.cdf(bias + z / (1 - acceleration * z))
    expected = [next(mean for mean in means if (means <= mean + 1e-9).mean() >= share) for share in shares]
    drawn = origin + scale * x[None, :, None]
    low, high = few_seeds._intervals(drawn, np.random.default_rng(0), "bca", "mean", 0.8, 100)
    np.testing.assert_allclose([low[0], high[0]], origin + scale * np.array(expected))


def test_bca_of_seeds_that_agree_is_their_number():
    low, high = few_seeds._intervals(np.full((1, 4, 1), 500.0), np.random.default_rng(0), "bca", "mean", 0.95, 100)
    assert (low, high) == (500, 500)


def test_intervals_cover_what_theory_says_of_normal_seeds():
    """t is exact; the percentile bootstrap of many seeds' mean is z times the uncorrected standard deviation."""
    population = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    rng = np.random.default_rng(0)
    close(coverage(population, 5, rng, redraws=20_000), 0.95)
    found = coverage(population, 20, rng, "percentile", redraws=4_000, resamples=2_000)
    exact = 2 * stats.t(19).cdf(stats.norm.ppf(0.975) * np.sqrt(19 / 20)) - 1
    assert found.share == pytest.approx(exact, abs=4.5 * found.error + 0.003)  # what is left of skewness in resamples


def test_the_error_of_a_mean_share_is_that_of_all_experiments_together():
    parts = [few_seeds.Share(p, np.sqrt(p * (1 - p) / 100)) for p in (0.2, 0.5, 0.9)]
    drawn = np.random.default_rng(3).binomial(100, [part.share for part in parts], (100_000, 3)) / 100
    found = mean_share(parts)
    assert found.share == pytest.approx(np.mean([part.share for part in parts]))
    assert found.error == pytest.approx(drawn.mean(1).std(), rel=0.02)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_false_winners_are_counted_over_all_experiments(statistic):
    better, worse = FEW, np.array([0.0, 2.0, 2.5])
    function = STATISTICS[statistic]
    a, b = function(experiments(better, 3), axis=1), function(experiments(worse, 3), axis=1)
    exact = ((b > a[:, None]) + 0.5 * (b == a[:, None])).mean()
    for pair in ((better, worse), (worse, better)):
        close(false_winners(*pair, 3, np.random.default_rng(0), statistic), exact)


def test_a_ranking_of_two_is_right_unless_the_winner_is_false():
    a, b = np.array([0.0, 1.0, 7.0]), np.array([-1.0, 0.5, 2.0])
    right = right_rankings({"b": b, "a": a}, 2, np.random.default_rng(0))
    wrong = false_winners(a, b, 2, np.random.default_rng(1))
    assert right.share == pytest.approx(1 - wrong.share, abs=5 * (right.error + wrong.error))


def test_rankings_of_three_are_counted_over_all_experiments():
    populations = {"a": np.array([0.0, 5.0]), "b": np.array([1.0, 2.0]), "c": np.array([0.0, 1.2])}
    means = [experiments(each, 2).mean(1) for each in populations.values()]
    exact = np.mean([a > b > c for a, b, c in itertools.product(*means)])
    close(right_rankings(populations, 2, np.random.default_rng(0)), exact)


def test_papers_that_disagree_are_experiments_with_other_winners():
    populations = {"a": np.arange(10.0), "b": np.arange(10.0) + 0.5, "c": np.arange(8.0) + 1}
    papers = disagreeing(populations, 3, np.random.default_rng(0))
    winners = [max(each, key=lambda name: populations[name][each[name]].mean()) for each in papers]
    assert sorted(winners) == ["a", "b", "c"]
    for paper in papers:
        assert all(len(set(seeds)) == 3 for seeds in paper.values())
    with pytest.raises(ValueError, match="only 1 winners, b; 2 were asked for"):
        disagreeing({"a": np.arange(4.0), "b": np.arange(4.0) + 9}, 2, np.random.default_rng(0), 2, tries=50)


def test_tuning_optimism_by_hand():
    # Seed 0 chooses setting 0, reports 3, and others get 0 and 1 of it; seed 1 chooses setting 1, and so on.
    scores = np.array([[3.0, 1.0], [0.0, 2.0], [1.0, 4.0]])
    found = tuning_optimism(scores, 1)
    assert found.on_tuning_seeds == (3 + 2 + 4) / 3
    assert found.on_other_seeds == ((0 + 1) / 2 + (1 + 4) / 2 + (1 + 2) / 2) / 3


def test_one_setting_leaves_nothing_to_choose():
    scores = np.random.default_rng(0).normal(size=(6, 1))
    found = tuning_optimism(scores, 3)
    assert found.on_tuning_seeds == pytest.approx(scores.mean())
    assert found.on_other_seeds == pytest.approx(scores.mean())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(max_examples=50)
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """Corrected p = the largest, over all sets of hypotheses that hold this one, of m · min p (Marcus et al., 1976)."""
    p = np.array(p_values)
    sets = [list(s) for k in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), k)]
    expected = [max(min(1.0, len(s) * p[s].min()) for s in sets if i in s) for i in range(len(p))]
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


def test_a_plan_is_the_power_of_welchs_test_at_what_was_measured():
    x, y = np.array([4.0, 5.0, 6.0, 9.0]), np.array([1.0, 3.0, 5.0, 6.0])
    row = plan({"x": (x, y)}).loc["x"]
    sd = (x.std(ddof=1), y.std(ddof=1))
    assert row["change"] == effects({"x": (x, y)}).loc["x", "change"] == 2.25
    assert row["effect"] == pytest.approx(2.25 / np.sqrt((sd[0] ** 2 + sd[1] ** 2) / 2))
    assert row["found"] == welch_power(4, 2.25, sd)
    assert welch_power(int(row["seeds"]), 2.25, sd) >= 0.8 > welch_power(int(row["seeds"]) - 1, 2.25, sd)
    rng = np.random.default_rng(0)
    a, b = rng.normal(2.25, sd[0], (int(row["seeds"]), 4_000)), rng.normal(0, sd[1], (int(row["seeds"]), 4_000))
    assert (welch_test(a, b).p_value < 0.05).mean() == pytest.approx(0.8, abs=0.04)


def test_a_plan_for_pairs_is_the_power_of_the_paired_test():
    x, y = np.array([4.0, 5.0, 6.0, 9.0]), np.array([1.0, 3.0, 5.0, 6.0])
    row = plan({"x": (x, y)}, paired=True).loc["x"]
    sd = (x - y).std(ddof=1)
    assert (row["change"], row["effect"]) == (2.25, pytest.approx(2.25 / sd))
    assert row["found"] == paired_power(4, 2.25, sd)
    assert paired_power(int(row["seeds"]), 2.25, sd) >= 0.8 > paired_power(int(row["seeds"]) - 1, 2.25, sd)


def test_adastop_decides_as_its_package():
    """At the package's α/2: benchmarks/adastop_fixtures.py says why."""
    signs = Counter()
    for case in ADASTOP["cases"]:
        scores = {"x": case["x"], "y": case["y"]}
        found = adastop(scores, case["block"], case["looks"], np.random.default_rng(0), ADASTOP["alpha"])
        assert found == {("x", "y"): (case["sign"], case["seeds"])}
        signs[case["sign"]] += 1
    assert min(signs[">"], signs["="]) > 20
    assert ADASTOP["doubled"] > 1.8 * ADASTOP["alpha"]


def test_adastop_errs_with_alpha_over_all_relabellings():
    """Seeds of equal algorithms are as likely in any order: over all of them, what is called different is α at most."""
    values, alpha, different = np.random.default_rng(0).normal(size=(2, 6)), 0.2, 0
    splits = list(itertools.combinations(range(6), 3))
    for chosen in itertools.product(splits, repeat=2):
        mask = np.array([np.isin(np.arange(6), each) for each in chosen])
        scores = {"x": values[mask], "y": values[~mask]}
        ((sign, _),) = adastop(scores, 3, 2, np.random.default_rng(0), alpha).values()
        different += sign != "="
    assert alpha / 2 <= different / len(splits) ** 2 <= alpha + 1e-9


def test_adastop_errs_with_alpha_over_the_family():
    rng, alpha, trials = np.random.default_rng(0), 0.2, 300
    wrong = 0
    for _ in range(trials):
        scores = dict(zip("abc", rng.normal(size=(3, 8)), strict=True))
        found = adastop(scores, 4, 2, rng, alpha, resamples=300)
        wrong += any(decision.sign != "=" for decision in found.values())
    assert wrong / trials <= alpha + 3.5 * np.sqrt(alpha * (1 - alpha) / trials)


def test_adastop_stops_early_and_goes_on_where_it_must():
    rng = np.random.default_rng(0)
    scores = {"good": rng.normal(10, 1, 5), "bad": rng.normal(0, 1, 5), "worse": rng.normal(-0.2, 1, 5)}
    found = adastop(scores, 5, 4, rng)
    assert found["good", "bad"] == found["good", "worse"] == (">", 5)
    assert found["bad", "worse"] == ("?", 5)  # only these two need more seeds
    more = {name: np.append(x, rng.normal(0, 1, 15)) if name != "good" else x for name, x in scores.items()}
    found = adastop(more, 5, 4, rng)
    assert found["good", "bad"] == (">", 5)
    assert found["bad", "worse"] == ("=", 20)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: order_weights("mode", 3), "one of mean, median, iqm"),
        (lambda: order_weights("mean", 0), "1 or more"),
        (lambda: coverage(FEW, 3, None, "z"), "one of t, percentile, bca"),
        (lambda: coverage(FEW, 3, None, "t", "iqm"), "not of the iqm"),
        (lambda: coverage(FEW, 1, None), "two seeds or more, got 1"),
        (lambda: coverage(np.ones((4, 2)), 3, None, "bca"), "stratified percentile"),
        (lambda: right_rankings({"a": FEW}, 3, None), "two populations"),
        (lambda: tuning_optimism(FEW, 2), "[seed, setting]"),
        (lambda: tuning_optimism(np.ones((4, 2)), 4), "from 1 to 3"),
        (lambda: holm([0.1, 1.2]), "from 0 to 1"),
        (lambda: plan({"a": ([1, 1], [2, 2])}), "a: the seeds agree"),
        (lambda: plan({"a": ([1, 2, 3], [2, 2])}, paired=True), "a: x and y are not pairs"),
        (lambda: adastop({"a": FEW, "b": FEW}, 1, 2, None), "2 seeds or more"),
        (lambda: adastop({"a": FEW, "b": FEW}, 2, 1, None), "too few relabellings"),
        (lambda: adastop({"a": FEW, "b": FEW}, 4, 1, None, 0.0), "alpha"),
        (lambda: adastop({"a": FEW, "b": FEW}, 4, 1, None, comparisons=[("a", "c")]), "no scores of 'c'"),
        (lambda: adastop({"a": FEW, "b": FEW[:3]}, 4, 1, None), "scores of b"),
    ],
)
def test_wrong_use_is_named(call, said):
    with pytest.raises(ValueError, match=said.replace("[", r"\[").replace("]", r"\]")):
        call()
