import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from scipy import stats

from pgcourse import plots
from pgcourse.plots import style


def drawn(ax, color):
    return [line for line in ax.lines if colors.same_color(line.get_color(), color)]


def test_the_clip_is_flat_where_there_is_nothing_to_gain():
    for ax, advantage in zip(plots.clip_cases(clip=0.3), (1.0, -1.0), strict=True):
        (line,) = drawn(ax, style.BLUE)
        ratio, value = line.get_data()
        expected = np.minimum(ratio * advantage, np.clip(ratio, 0.7, 1.3) * advantage)
        np.testing.assert_allclose(value, expected)
        flat = np.diff(value) == 0
        assert flat.any()
        assert not flat.all()


def test_details_show_paired_intervals_and_colour_what_the_plain_interval_tells_from_zero():
    rng = np.random.default_rng(1)
    base, noise = rng.normal(0, 5, 10), rng.normal(0, 1, 10)
    pairs = {"better": (base + noise + 5, base), "worse": (base + noise - 5, base), "nothing": (base + noise, base)}
    there = {"worse": pairs["worse"], "only there": pairs["nothing"]}
    alone, other = plots.details({"here": pairs, "there": there}, "change")
    assert [label.get_text() for label in alone.get_yticklabels()] == ["better", "nothing", "only there", "worse"]
    clear = stats.ttest_rel(*pairs["better"])
    for color, name in ((style.BLUE, "better"), (style.VERMILION, "worse"), (style.GREY, "nothing")):
        thin, thick, dot = drawn(alone, color)
        assert dot.get_xdata() == pytest.approx(np.mean(pairs[name][0]) - np.mean(pairs[name][1]))
        assert thin.get_xdata()[0] < thick.get_xdata()[0] < dot.get_xdata()[0] < thick.get_xdata()[1]
    thin = drawn(alone, style.BLUE)[0]
    np.testing.assert_allclose(thin.get_xdata(), clear.confidence_interval(1 - 0.05 / 5))
    assert len(drawn(other, style.GREY)) == 3


def test_a_dot_is_full_where_the_corrected_interval_leaves_zero_out_and_empty_where_only_the_plain_one_does():
    base, noise = np.linspace(-9, 9, 10), np.random.default_rng(2).normal(0, 1, 10)
    between = next(
        s for s in np.linspace(0, 3, 601) if s > -noise.mean() and stats.ttest_1samp(noise + s, 0).pvalue < 0.04
    )
    changed = {"a little": (base + noise + between, base), "much": (base + noise + 9, base)}
    (ax,) = plots.details({"here": changed}, "change")
    dots = {
        line.get_ydata()[0]: line.get_markerfacecolor() for line in drawn(ax, style.BLUE) if len(line.get_xdata()) == 1
    }
    assert [dots[row] == "white" for row in sorted(dots)] == [False, True]


def test_details_stand_under_their_family_the_worst_first():
    base, noise = np.random.default_rng(0).normal(0, 1, (2, 10))
    pairs = {name: (base + noise + shift, base) for name, shift in {"a": 3, "b": -3, "c": 1}.items()}
    (ax,) = plots.details({"here": pairs}, "change", {"first": ["c"], "second": ["a", "b"]})
    assert [label.get_text() for label in ax.get_yticklabels()][::-1] == ["first", "c", "second", "b", "a"]
    with pytest.raises(ValueError, match="one family"):
        plots.details({"here": pairs}, "change", {"first": ["a", "b"]})


def test_passes_show_each_seed_and_their_median():
    values = {1: np.array([1.0, 2.0, 6.0]), 10: np.array([3.0, 4.0, 5.0])}
    first, second = plots.against_passes({"clip": values, "no clip": values}, "KL")
    lines = [line.get_ydata() for line in first.lines]
    np.testing.assert_array_equal(np.stack(lines), [[1, 3], [2, 4], [6, 5], [2, 4]])
    assert (first.get_title("left"), second.get_title("left")) == ("clip", "no clip")


def test_crossed_settings_show_every_seed_and_intervals_of_their_means():
    scores = {1: np.array([1.0, 2.0, 3.0]), 10: np.array([4.0, 4.5, 5.0])}
    (ax,) = plots.crossing({"here": {"clip": scores, "no clip": scores}}, "passes", "return")
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [3, 3, 3, 3]
    means = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(means, [[2, 4.5], [2, 4.5]])


def test_settings_mark_the_baseline_and_cut_intervals_at_what_is_possible():
    panels = {
        "ε": {"0.1": np.array([400.0, 500, 500]), "0.2 *": np.array([1.0, 2, 3])},
        "γ": {"1": np.array([1.0, 2, 3])},
    }
    first, _ = plots.settings(panels, "return", baseline="*", high=500)
    assert [label.get_text() for label in first.get_xticklabels()] == ["0.1", "0.2"]
    assert max(line.get_ydata().max() for line in first.lines if len(line.get_xdata()) == 2) <= 500
    (own,) = (line for line in drawn(first, style.BLACK))
    assert (own.get_xdata(), own.get_ydata()) == ([1], [2])


def test_symptoms_show_the_range_of_the_healthy_run_behind_every_seed():
    rows = [(seed, step, seed + step) for seed in range(3) for step in (1, 2, 3)]
    table = pd.DataFrame(rows, columns=["seed", "step", "kl"])
    panels = plots.symptoms({"A": table, "B": table.assign(kl=5.0)}, table, {"kl": "KL"}, {"kl": (0, 6)})
    assert [ax.get_title() for ax in panels] == ["A", "B"]
    for ax, last in zip(panels, (4.0, 5.0), strict=True):
        edge = ax.collections[0].get_paths()[0].vertices
        assert (edge[:, 1].min(), edge[:, 1].max()) == (1, 5)
        assert (len(ax.lines), ax.lines[-1].get_ydata()[-1], ax.get_ylim()) == (4, last, (0, 6))


def test_film_strips_show_the_first_and_the_last_picture_and_some_between():
    film = [np.full((2, 3, 3), t, np.uint8) for t in range(30)]
    panels = plots.film_strips({"long": film, "short": film[:2]}, pictures=4, legend={"ball": style.BLUE})
    shown = [ax.images[0].get_array()[0, 0, 0] for ax in panels if ax.axison]
    assert shown == [0, 10, 19, 29, 0, 1]
    assert [ax.get_title("left") for ax in panels[:4]] == ["step 0", "step 10", "step 19", "step 29"]
    assert [panels[0].get_ylabel(), panels[4].get_ylabel()] == ["long", "short"]
    assert [text.get_text() for text in panels[0].figure.legends[0].get_texts()] == ["ball"]
