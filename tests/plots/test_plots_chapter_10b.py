"""Figures of chapter 10b: what is drawn is what was given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from pgcourse import plots
from pgcourse.plots import style


@pytest.fixture
def curves(reports):
    return reports("GRPO", "PPO")


def test_planes_show_the_mean_path_and_where_each_seed_ends(curves):
    grpo, ppo = plots.family_planes(curves, {"loss": ["GRPO"], "reward": ["PPO"]}, columns=2)
    for ax, name, bonus, color in ((grpo, "GRPO", 0.5, style.CYCLE[0]), (ppo, "PPO", -0.5, style.CYCLE[1])):
        assert ax.get_title(loc="left") == name
        grey, path, ends = ax.get_lines()
        assert to_hex(path.get_color()) == to_hex(ends.get_color()) == to_hex(color) != to_hex(grey.get_color())
        np.testing.assert_allclose(path.get_ydata(), 1 + bonus)
        np.testing.assert_allclose(path.get_xdata(), np.arange(1, 11))
        np.testing.assert_allclose(ends.get_xdata(), 8)  # the mean of 6 to 10
        np.testing.assert_allclose(ends.get_ydata(), np.arange(3) + bonus)
    assert "mean over 3 seeds" in grpo.figure.get_supxlabel()


def test_a_trend_is_the_power_of_the_points():
    x = np.array([4.0, 9.0, 16.0])
    ax = plots.family_spreads({"mean": (x, 2 / np.sqrt(x))}, "length", "spread", "note", trend=True)
    line, dots = ax.get_lines()
    np.testing.assert_allclose(dots.get_ydata(), [1, 2 / 3, 0.5])
    np.testing.assert_allclose(line.get_ydata(), [1, 0.5])
    assert dots.get_label() == "mean: power \N{MINUS SIGN}0.50"


def test_gradients_stand_at_the_places_of_their_panel():
    cosines = {"k2": {0: [1, 1, 1], 4: [0.9, 0.8, 0.1]}, "k1": {4: [-0.5, -0.4, -0.9]}}
    (ax,) = plots.family_gradients({"bare": cosines}, "steps")
    medians = {line.get_label(): line for line in ax.get_lines() if line.get_label() in cosines}
    np.testing.assert_allclose(medians["k2"].get_ydata(), [1, 0.8])
    np.testing.assert_allclose(medians["k1"].get_ydata(), [-0.5])
    assert abs(medians["k1"].get_xdata()[0] - medians["k2"].get_xdata()[1]) < 0.2
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "4"]


def test_passes_go_as_far_as_each_is_known():
    ax = plots.pass_curves({1: 0.1, 2: 0.2, 4: 0.4}, {"GRPO": {1: [0.2, 0.4, 0.6], 2: [0.5, 0.6, 0.7]}})
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["pretrained model"].get_xdata(), [1, 2, 4])
    np.testing.assert_allclose(lines["GRPO"].get_ydata(), [0.4, 0.6])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "4"]
