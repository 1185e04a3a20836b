"""Figures about bias and variance along λ hold the numbers they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pgcourse import plots
from pgcourse.plots.style import VERMILION

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
        assert bias.get_color() == VERMILION
        for n, variance, error in zip((1, 10), lines(ax, ":"), lines(ax, "-"), strict=True):
            np.testing.assert_allclose(variance.get_ydata(), (1 + 2 * LAMS) / n)
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
        assert names == ["error, 4 episodes", "error, 32 episodes", "bias²", "variance"]
        assert "2 policies and critics" in " ".join(text.get_text() for text in axes[-1].texts)

    def test_all_errors_are_in_sight_though_the_bias_vanishes(self):
        axes = plots.sweet_spots(LAMS, {"good": (BIAS, VARIANCE), "bad": (9 * BIAS, VARIANCE)}, (4, 32))
        low, high = axes[0].get_ylim()
        drawn = np.concatenate([line.get_ydata() for ax in axes for style in ("-", ":") for line in lines(ax, style)])
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
