"""Figures of chapter 11: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pgcourse import plots

SCORES = {"A2C": np.array([100.0, 200.0, 480.0, 500.0]), "PPO": np.array([500.0, 500.0, 490.0, 300.0])}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_papers_name_their_winner_and_stay_below_the_most():
    picks = [{"A2C": [0, 1, 2], "PPO": [0, 1, 2]}, {"A2C": [2, 3, 1], "PPO": [3, 3, 3]}]
    first, second = plots.conclusions(SCORES, picks, most=500)
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("paper 1: PPO wins", "paper 2: A2C wins")
    dots = [line.get_ydata() for line in first.get_lines() if line.get_marker() == "o"]
    np.testing.assert_array_equal(dots, [[100, 200, 480], [500, 500, 490]])
    for ax in (first, second):
        assert max(np.max(line.get_ydata()) for line in ax.get_lines()) <= 500


def test_every_seed_is_a_dot_and_the_line_their_mean():
    (ax,) = plots.every_seed({"CartPole": SCORES})
    dots = [line.get_ydata() for line in ax.get_lines() if line.get_marker() == "."]
    means = [line.get_ydata()[0] for line in ax.get_lines() if line.get_marker() == "None"]
    np.testing.assert_array_equal(dots, [np.sort(x) for x in SCORES.values()])
    assert means == [x.mean() for x in SCORES.values()]


def test_shares_are_lines_over_the_numbers_of_seeds():
    table = pd.DataFrame({"t": [0.9, 0.95], "percentile": [0.7, 0.9]}, index=[3, 20])
    (ax,) = plots.shares_against_seeds({"CartPole": table}, "covered", promised=0.95)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert lines["percentile"].get_ydata().tolist() == [0.7, 0.9]
    assert lines["t"].get_xdata().tolist() == [3, 20]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["3", "20"]
    assert ax.get_xscale() == "log"
