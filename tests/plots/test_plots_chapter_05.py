"""Figures about bias and variance along λ hold the numbers they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import same_color

from pgcourse import plots
from pgcourse.exact import GradientMoments
from pgcourse.plots.style import BLACK, COLORS, GREY, PURPLE

LAMS = np.linspace(0, 1, 11)
BIAS = np.stack([(1 - LAMS) ** 2, 3 * (1 - LAMS) ** 2])
VARIANCE = np.stack([1 + LAMS, 1 + 3 * LAMS])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def lines(ax, style):
    return [line for line in ax.get_lines() if line.get_linestyle() == style and len(line.get_xdata()) > 1]


class TestSweetSpots:
    def test_lines_are_means_over_seeds(self):
        (ax,) = plots.sweet_spots(LAMS, {"critic": (BIAS, VARIANCE)}, (1, 10))
        (bias,) = lines(ax, "--")
        np.testing.assert_allclose(bias.get_ydata(), 2 * (1 - LAMS) ** 2)
        assert bias.get_color() == BLACK
        for n, error in zip((1, 10), lines(ax, "-"), strict=True):
            np.testing.assert_allclose(error.get_ydata(), 2 * (1 - LAMS) ** 2 + (1 + 2 * LAMS) / n)

    def test_a_dot_at_the_lowest_error_of_each_batch_size(self):
        # The mean error is 2 (1-λ)² + (1+2λ)/n, least at λ = 1 - 1/(2n).
        (ax,) = plots.sweet_spots(LAMS, {"critic": (BIAS, VARIANCE)}, (1, 5))
        dots = [line.get_xydata()[0] for line in ax.get_lines() if len(line.get_xdata()) == 1]
        np.testing.assert_allclose([x for x, _ in dots], [0.5, 0.9])
        np.testing.assert_allclose([y for _, y in dots], [2 * 0.25 + 2, 2 * 0.01 + 2.8 / 5])

    def test_a_panel_a_critic_a_legend_entry_a_batch_size(self):
        axes = plots.sweet_spots(LAMS, {"good": (BIAS, VARIANCE), "bad": (9 * BIAS, VARIANCE)}, (4, 32))
        assert [ax.get_title(loc="left") for ax in axes] == ["good", "bad"]
        (legend,) = axes[0].figure.legends
        names = [text.get_text() for text in legend.get_texts()]
        assert names == ["error, 4 episodes", "error, 32 episodes", "bias$^2$ alone"]
        assert "2 policies and critics" in " ".join(text.get_text() for text in axes[-1].texts)

    def test_all_errors_are_in_sight_though_the_bias_vanishes(self):
        axes = plots.sweet_spots(LAMS, {"good": (BIAS, VARIANCE), "bad": (9 * BIAS, VARIANCE)}, (4, 32))
        low, high = axes[0].get_ylim()
        drawn = np.concatenate([line.get_ydata() for ax in axes for line in lines(ax, "-")])
        assert 0 < low < drawn.min()
        assert drawn.max() < high

    def test_more_batch_sizes_than_colours_are_refused(self):
        with pytest.raises(ValueError, match="4 batch sizes"):
            plots.sweet_spots(LAMS, {"critic": (BIAS, VARIANCE)}, (1, 2, 3, 4, 5))


def test_values_are_dots_on_the_line_of_their_theory():
    limits = [2, 10, 100]
    learned = {"two flags": [10.0, 9.9, 10.1], "one flag": [1.8, 5.2, 9.2]}
    theory = {"two flags": [10.0, 10.0, 10.0], "one flag": [1.82, 5.26, 9.17]}
    ax = plots.value_against_time_limit(limits, learned, theory)
    for name, (line, dots) in zip(learned, zip(ax.get_lines()[::2], ax.get_lines()[1::2], strict=True), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([limits, theory[name]]))
        np.testing.assert_array_equal(dots.get_xydata(), np.column_stack([limits, learned[name]]))
        (label,) = (text for text in ax.texts if text.get_text() == name)
        assert label.get_color() == dots.get_color() == line.get_color()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "10", "100"]


def test_biases_are_dots_beside_the_discount_alone():
    fast, slow = np.array([[1, 0.2, 0.1], [1, 0.4, 0.3]]), np.array([[1, 0.9, 0.8]])
    ax = plots.bias_against_steps([1, 2, 3], {"fast": fast, "slow": slow}, gamma=0.95)
    dotted = [line.get_ydata() for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(dotted, [[1, 0.3, 0.2], [1, 0.9, 0.8]])
    (discount,) = lines(ax, "--")
    np.testing.assert_allclose(discount.get_ydata(), [1, 0.95, 0.95**2])


def test_sources_of_variance_are_stacked_and_rising_critics_counted():
    sources = [GradientMoments(torch.zeros(2, 1), *torch.tensor([[0.0, 0.0], a, d])) for a, d in zip(
        ([1.0, 1.0], [2.0, 2.0], [4.0, 4.0]), ([1.0, 1.0], [3.0, 3.0], [6.0, 6.0]), strict=True)]  # fmt: skip
    ratio = [[1.5, 1.2, 1.0], [0.2, 0.6, 1.0]]
    left, right = plots.variance_along_lambda([0, 0.5, 1], sources, ratio, "large")
    tops = [patch.get_paths()[0].vertices[:, 1].max() for patch in left.collections]
    np.testing.assert_allclose(tops, [0.4, 1.0, 1.0])
    assert right.get_title(loc="left") == "large: 1 of 2 rise at once"
    colors = [line.get_color() for line in right.get_lines()[:2]]
    assert colors == [PURPLE, GREY]


def curves(level):
    """Two seeds, one at `level`, one higher by 400, so that their interval is wider than any return."""
    return pd.concat([pd.DataFrame({"seed": s, "step": [0, 100], "return": [level + 400 * s] * 2}) for s in (0, 1)])


def test_panels_side_by_side_show_one_table_each_and_no_interval_beyond_the_possible():
    axes = plots.side_by_side({"A2C": curves(100), "REINFORCE": curves(50)})
    assert [ax.get_title(loc="left") for ax in axes] == ["A2C", "REINFORCE"]
    for ax, name, mean, other in zip(axes, ("A2C", "REINFORCE"), (300, 250), (250, 300), strict=True):
        (thick,) = (line for line in ax.get_lines() if line.get_linewidth() == 2)
        assert same_color(thick.get_color(), COLORS[name])
        assert set(thick.get_ydata()) == {mean}
        assert set(ax.get_lines()[0].get_ydata()) == {other}
        (band,) = ax.collections
        height = band.get_paths()[0].vertices[:, 1]
        assert (height.min(), height.max()) == (0, 500)
    assert "2 seeds" in axes[0].figure.get_supxlabel()


def test_directions_have_a_dot_a_learner_in_the_order_given():
    ax = plots.directions({"first": [0.1, -0.5, 0.7], "second": [0.9, 0.8, 1.0]})
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["second", "first"]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_array_equal(dots[0].get_xydata(), [[0.9, 0], [0.8, 0], [1.0, 0]])
    np.testing.assert_array_equal(dots[1].get_xydata(), [[0.1, 1], [-0.5, 1], [0.7, 1]])
