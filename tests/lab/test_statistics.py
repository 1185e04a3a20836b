import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats

from pgcourse.lab.statistics import bootstrap_interval, iqm, mean_interval


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
