"""Pictures of final scores hold what the statistics say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pgcourse import plots, stats


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def scores(seeds=5):
    rows = [
        (variant, seed, env, rng.normal(mean))
        for rng in [np.random.default_rng(0)]
        for variant, mean in (("A2C", 0.0), ("PPO", 2.0))
        for env in "ab"
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "env", "mean_return"])


def matrix(table, variant):
    return stats.score_matrix(table[table["variant"] == variant], "mean_return", "env")


def words(ax):
    return " ".join(text.get_text() for text in ax.figure.findobj(plt.Text))


def test_a_profile_shows_each_variants_shares_and_their_intervals():
    thresholds = np.linspace(-3, 5, 30)
    ax = plots.performance_profile(scores(), np.random.default_rng(1), task="env", thresholds=thresholds)
    rng = np.random.default_rng(1)
    for line, band, variant in zip(ax.get_lines(), ax.collections, ["A2C", "PPO"], strict=False):
        estimate, low, high = stats.performance_profile(matrix(scores(), variant), thresholds, rng)
        assert line.get_label() == variant
        assert line.get_color() == plots.style.colors(["A2C", "PPO"])[variant]
        np.testing.assert_array_equal(line.get_xdata(), thresholds)
        np.testing.assert_array_equal(line.get_ydata(), estimate)
        drawn = band.get_paths()[0].vertices
        np.testing.assert_allclose([drawn[:, 1].min(), drawn[:, 1].max()], [low.min(), high.max()])
    assert "5 seeds on each of 2 tasks" in words(ax)


def test_a_profile_runs_from_all_runs_to_none():
    table = scores().query("env == 'a'")
    ax = plots.performance_profile(table, np.random.default_rng(2))
    tops = [line.get_ydata()[0] for line in ax.get_lines()[:2]]
    ends = [line.get_ydata()[-1] for line in ax.get_lines()[:2]]
    assert (tops, ends) == ([1, 1], [0, 0])
    assert "τ: mean return" in words(ax)
    assert "5 seeds;" in words(ax)


def test_runs_that_all_score_the_same_have_a_profile():
    ax = plots.performance_profile(scores().assign(mean_return=500.0), np.random.default_rng(3), task="env")
    assert set(ax.get_lines()[0].get_ydata()) == {0, 1}


def test_aggregates_show_estimates_and_intervals_row_by_row():
    chosen = {"IQM": stats.iqm, "median of tasks": stats.task_median}
    axes = plots.aggregates(scores(), np.random.default_rng(4), task="env", statistics=chosen)
    rng = np.random.default_rng(4)
    assert [ax.get_title(loc="left") for ax in axes] == list(chosen)
    for ax, statistic in zip(axes, chosen.values(), strict=True):
        drawn = [line.get_xdata() for line in ax.get_lines()]
        for variant, bar, tick in zip(["A2C", "PPO"], drawn[::2], drawn[1::2], strict=True):
            estimate, low, high = stats.stratified_interval(matrix(scores(), variant), rng, statistic)
            np.testing.assert_array_equal(bar, [low, high])
            np.testing.assert_array_equal(tick, [estimate])
    low, high = axes[0].get_ylim()
    assert low > high  # the first variant on top
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["A2C", "PPO"]


def test_a_table_with_several_rows_a_run_is_refused():
    with pytest.raises(ValueError, match="seed 0 has several rows"):
        plots.aggregates(scores(), np.random.default_rng(5))  # two tasks, and none named
