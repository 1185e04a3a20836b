"""Figures of chapter 03 hold the numbers they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pgcourse import plots
from pgcourse.plots.learning import t_interval


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def curves(*variants, seeds=3):
    rows = [
        {"variant": variant, "seed": seed, "step": step, "return": min(500.0, step + 100 * seed)}
        for variant in variants
        for seed in range(seeds)
        for step in range(0, 1000, 100)
    ]
    return pd.DataFrame(rows)


def test_with_and_without_a_baseline_stand_side_by_side():
    panels = plots.with_and_without_baseline(curves("no baseline", "leave-one-out mean"))
    assert [ax.get_title(loc="left") for ax in panels] == ["no baseline", "leave-one-out mean"]
    for ax in panels:
        assert len(ax.get_lines()) == 3 + 1 + 1  # seeds, their mean, the target
        (band,) = ax.collections
        assert band.get_paths()[0].vertices[:, 1].max() <= 500  # no return is higher


def test_one_learners_dots_are_episodes_and_its_line_their_means():
    ax = plots.one_learner([[10, 20], [30, 50]])
    dots, line, _ = ax.get_lines()
    assert list(dots.get_ydata()) == [10, 20, 30, 50]
    assert list(dots.get_xdata()) == [30, 30, 110, 110]
    assert list(line.get_xdata()) == [30, 110]
    assert list(line.get_ydata()) == [15, 40]


def test_several_learners_returns_are_steps_an_episode():
    ax = plots.several_learners(np.array([[80, 160], [240, 320]]), episodes=8)
    first, *_ = ax.get_lines()
    assert first.get_ydata()[-1] == 30
    assert "2 seeds" in " ".join(text.get_text() for text in ax.texts)


def test_a_grid_of_returns_ends_at_500():
    for ax in plots.returns_grid(curves("a", "b"), columns=2):
        assert ax.get_ylim() == (0, 510)


def test_agreement_is_drawn_with_the_interval_over_learners():
    learners = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5], [0.2, 0.3, 0.7]])
    ax = plots.agreement([2, 4, 8], {"early": learners.T})
    mean, half = t_interval(learners)
    (bars,) = ax.containers
    line, _, (segments,) = bars
    np.testing.assert_allclose(line.get_ydata(), mean)
    np.testing.assert_allclose([s[1, 1] - s[0, 1] for s in segments.get_segments()], 2 * half)
    assert "3 learners" in " ".join(text.get_text() for text in ax.texts)
