import numpy as np
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


def test_details_show_welch_intervals_and_colour_what_is_clear_after_bonferroni():
    rng = np.random.default_rng(1)
    base = rng.normal(0, 1, 10)
    pairs = {"better": (base + 5, base), "worse": (base - 5, base), "nothing": (rng.normal(0, 1, 10), base)}
    there = {"worse": pairs["worse"], "only there": pairs["nothing"]}
    alone, other = plots.details({"here": pairs, "there": there}, "change")
    assert [label.get_text() for label in alone.get_yticklabels()] == ["nothing", "only there", "worse", "better"]
    clear = stats.ttest_ind(*pairs["better"], equal_var=False)
    for color, name in ((style.BLUE, "better"), (style.VERMILION, "worse"), (style.GREY, "nothing")):
        thin, thick, dot = drawn(alone, color)
        assert dot.get_xdata() == pytest.approx(np.mean(pairs[name][0]) - np.mean(pairs[name][1]))
        assert thin.get_xdata()[0] < thick.get_xdata()[0] < dot.get_xdata()[0] < thick.get_xdata()[1]
    thin = drawn(alone, style.BLUE)[0]
    np.testing.assert_allclose(thin.get_xdata(), clear.confidence_interval(1 - 0.05 / 5))
    assert len(drawn(other, style.GREY)) == 3


def test_passes_show_each_seed_and_their_mean():
    values = np.arange(12.0).reshape(3, 4)
    ax = plots.against_passes({"clip": values, "penalty": 2 * values}, "KL", target=3.0)
    lines = [line.get_ydata() for line in drawn(ax, ax.lines[0].get_color())]
    np.testing.assert_array_equal(lines[:3], values)
    np.testing.assert_array_equal(lines[3], values.mean(0))


def test_film_strips_show_the_first_and_the_last_picture_and_some_between():
    film = [np.full((2, 3, 3), t, np.uint8) for t in range(30)]
    panels = plots.film_strips({"long": film, "short": film[:2]}, pictures=4)
    shown = [ax.images[0].get_array()[0, 0, 0] for ax in panels]
    assert shown == [0, 10, 19, 29, 0, 0, 1, 1]
    assert [ax.get_title("left") for ax in panels[:4]] == ["step 0", "step 10", "step 19", "step 29"]
    assert [panels[0].get_ylabel(), panels[4].get_ylabel()] == ["long", "short"]
