"""Figures of chapter 11: what is drawn is what was given."""

import numpy as np
import pandas as pd

from pgcourse import plots, stats

SCORES = {"A2C": np.array([100.0, 200.0, 480.0, 500.0]), "PPO": np.array([500.0, 500.0, 490.0, 300.0])}


def test_papers_name_their_winner_and_stay_below_the_most():
    picks = [{"A2C": [0, 1, 2], "PPO": [0, 1, 2]}, {"A2C": [2, 3, 1], "PPO": [3, 3, 3]}]
    first, second = plots.conclusions(SCORES, picks, most=500)
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("paper 1: PPO wins", "paper 2: A2C wins")
    dots = [line.get_ydata() for line in first.get_lines() if line.get_marker() == "o"]
    np.testing.assert_array_equal(dots, [[100, 200, 480], [500, 500, 490]])
    for ax in (first, second):
        assert max(np.max(line.get_ydata()) for line in ax.get_lines()) <= 500


def test_one_algorithm_under_two_names_has_one_colour():
    picks = [{"A": [0, 1], "B": [2, 3]}]
    twice = {"A": SCORES["A2C"], "B": SCORES["A2C"]}
    (ax,) = plots.conclusions(twice, picks, most=500, algorithm="A2C")
    assert {line.get_color() for line in ax.get_lines()} == {plots.style.COLORS["A2C"]}
    (ax,) = plots.conclusions(twice, picks, most=500)
    assert len({line.get_color() for line in ax.get_lines()}) == 2


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


def test_a_column_has_one_colour_in_all_panels():
    one = pd.DataFrame({"t": [0.9, 0.95], "percentile": [0.7, 0.9]}, index=[3, 20])
    two = pd.DataFrame({"percentile": [0.8, 0.9], "stratified": [0.8, 0.85]}, index=[3, 20])
    first, second = plots.shares_against_seeds({"CartPole": one, "Arm2": two}, "covered")
    left, right = ({line.get_label(): line.get_color() for line in ax.get_lines()} for ax in (first, second))
    assert left["percentile"] == right["percentile"]
    assert len({*left.values(), *right.values()}) == 3
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["t", "percentile", "stratified"]


def runs(seeds=4):
    """Finals and curves of two algorithms on two tasks; every curve is a straight line from 0 to its final score."""
    rng = np.random.default_rng(0)
    final = pd.DataFrame(
        [
            (v, env, s, rng.normal(mean))
            for v, mean in (("A2C", 0.0), ("PPO", 5.0))
            for env in "ab"
            for s in range(seeds)
        ],
        columns=["variant", "env", "seed", "score"],
    )
    parts = [final.assign(step=part, score=part * final["score"]) for part in (0.1, 0.4, 1.0)]
    return final, pd.concat(parts, ignore_index=True)


def test_profiles_and_curves_are_those_of_the_statistics():
    final, curves = runs()
    axes = plots.profiles_and_curves(final, curves, np.random.default_rng(1))
    assert [ax.get_title(loc="left") for ax in axes] == ["A2C", "PPO", "", ""]
    for column, variant in enumerate(("A2C", "PPO")):
        matrix = stats.score_matrix(final[final["variant"] == variant], "score", "env")
        profile, learned = (ax.get_lines()[-1] for ax in (axes[column], axes[2 + column]))
        assert profile.get_color() == learned.get_color() == plots.style.COLORS[variant]
        above = [(matrix > tau).mean() for tau in profile.get_xdata()]
        np.testing.assert_allclose(profile.get_ydata(), above)
        np.testing.assert_allclose(learned.get_ydata(), learned.get_xdata() * stats.iqm(matrix, (0, 1)), atol=1e-12)
        assert (learned.get_xdata()[0], learned.get_xdata()[-1]) == (0.1, 1.0)


def test_improvements_put_the_better_first_and_the_undecided_in_grey():
    final, _ = runs()
    twin = final[final["variant"] == "A2C"].assign(variant="twin")
    ax = plots.improvements(pd.concat([final, twin]), np.random.default_rng(2))
    names = [label.get_text() for label in ax.get_yticklabels()]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    drawn = {name: (dot.get_xdata()[0], dot.get_color()) for name, dot in zip(names, dots, strict=True)}
    assert set(drawn) == {"PPO > A2C", "A2C > twin", "PPO > twin"}
    assert drawn["A2C > twin"] == (0.5, plots.style.GREY)
    assert drawn["PPO > A2C"] == drawn["PPO > twin"]
    assert drawn["PPO > A2C"][0] > 0.9
    assert drawn["PPO > A2C"][1] == plots.style.BLUE
