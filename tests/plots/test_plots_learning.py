"""Figures hold the data they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from scipy import stats

from pgcourse import plots
from pgcourse.plots import style
from pgcourse.plots.learning import on_common_steps, t_interval


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def table(seeds=4, variant="A2C", slope=2.0):
    rows = [
        {"variant": variant, "seed": seed, "step": step + seed, "return": slope * (step + seed) + seed}
        for seed in range(seeds)
        for step in range(0, 1000, 50)
    ]
    return pd.DataFrame(rows)


def test_every_seed_and_the_mean_are_drawn():
    curves = table()
    ax = plots.learning_curves(curves, target=475)
    *seeds, mean, target = ax.get_lines()
    _, values = on_common_steps(curves, "return")
    assert len(seeds) == 4
    for line, expected in zip(seeds, values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
    np.testing.assert_allclose(mean.get_ydata(), values.mean(0))
    assert list(target.get_ydata()) == [475, 475]
    assert "4 seeds" in " ".join(text.get_text() for text in ax.texts)


def test_common_steps_lie_where_all_seeds_have_data_and_interpolate():
    steps, values = on_common_steps(table(), "return")
    assert steps[0] == 3  # the last seed's first report
    assert steps[-1] == 950  # the first seed's last
    np.testing.assert_allclose(values, [2 * steps + seed for seed in range(4)])


def test_reports_without_an_ended_episode_are_left_out():
    curves = table(seeds=2)
    curves.loc[curves["step"] == 100, "return"] = float("nan")
    _, values = on_common_steps(curves, "return")
    assert np.isfinite(values).all()


def test_a_table_in_any_order_is_drawn_alike():
    shuffled = table().sample(frac=1, random_state=0)
    for one, other in zip(on_common_steps(table(), "return"), on_common_steps(shuffled, "return"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("draw", [plots.learning_curves, lambda curves: plots.learning_curve_grid(curves, 1)])
def test_what_is_no_one_curve_is_refused(draw):
    worlds = pd.concat([table().assign(env="CartPole-v1"), table(slope=9.0).assign(env="Pendulum-v1")])
    with pytest.raises(ValueError, match=r"CartPole-v1, Pendulum-v1: choose one, results\.on\('CartPole-v1'\)\.curves"):
        draw(worlds)
    named = worlds.assign(variant=worlds["variant"] + " in " + worlds["env"])
    draw(named)  # each with a curve of its own
    with pytest.raises(ValueError, match="no step at which every run reports"):
        draw(pd.concat([table(), table().assign(seed=7, step=lambda t: t["step"] + 5000)]).drop_duplicates())
    with pytest.raises(ValueError, match="reports twice at one step"):
        draw(pd.concat([table(), table(slope=9.0)]))


def test_the_band_is_the_t_interval():
    values = np.random.default_rng(0).normal(size=(10, 3))
    mean, half = t_interval(values)
    low, high = stats.t.interval(0.95, 9, loc=values.mean(0), scale=stats.sem(values, axis=0))
    np.testing.assert_allclose((mean - half, mean + half), (low, high))


def test_an_algorithm_keeps_its_colour():
    both = pd.concat([table(variant="REINFORCE"), table(variant="A2C")])
    alone = plots.learning_curves(table(variant="A2C")).get_lines()[-1].get_color()
    together = plots.learning_curves(both).get_lines()[-1].get_color()
    assert alone == together == plots.style.COLORS["A2C"]


def test_what_begins_with_an_algorithms_name_has_its_colour():
    for name in ("PPO", "PPO, velocities hidden", "PPO with a GRU, velocities hidden"):
        assert style.color_of(name, style.BLACK) == style.COLORS["PPO"]
    assert style.color_of("PPO, KL penalty", style.BLACK) == style.COLORS["PPO, KL penalty"]
    assert style.color_of("PPOX", style.BLACK) == style.BLACK
    (ax,) = plots.learning_curve_grid(table(variant="PPO, all seen"), columns=1)
    assert ax.get_lines()[-1].get_color() == style.COLORS["PPO"]
    curves = pd.concat([table(variant="TRPO"), table(variant="one epoch")])
    of_its_own, of_the_others = plots.learning_curve_grid(curves, columns=2, algorithm="PPO")
    assert of_its_own.get_lines()[-1].get_color() == style.COLORS["TRPO"]
    assert of_the_others.get_lines()[-1].get_color() == style.COLORS["PPO"]


@pytest.mark.parametrize("target", [1850, 1900, 1901.5, 1950, None])
def test_names_at_the_ends_touch_neither_one_another_nor_the_target(target):
    curves = pd.concat([table(variant=name, slope=2 + k / 500) for k, name in enumerate("abc")])
    ax = plots.learning_curves(curves, target=target)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text() in "abc"]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    if target is not None:
        height = ax.transData.transform((0, target))[1]
        assert not any(box.y0 < height < box.y1 for box in boxes)


def test_strangers_get_colours_of_their_own():
    colors = plots.style.colors(["REINFORCE", "one", "two", "three"])
    assert len(set(colors.values())) == 4


def test_small_multiples_share_axes_and_keep_the_order():
    curves = pd.concat([table(variant=name, slope=k) for k, name in enumerate("cab")])
    axes = plots.learning_curve_grid(curves, columns=2, target=100)
    assert [ax.get_title(loc="left") for ax in axes] == ["c", "a", "b"]
    assert len({ax.get_ylim() for ax in axes}) == 1


def test_each_paper_shows_its_own_seeds_only():
    first, second = plots.papers(table(seeds=6), {"A": [0, 1, 2], "B": [3, 4, 5]}, target=475)
    _, values = on_common_steps(table(seeds=6).query("seed in [3, 4, 5]"), "return")
    for line, expected in zip(second.get_lines()[:3], values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
    _, everything = on_common_steps(table(seeds=6), "return")
    np.testing.assert_array_equal(second.get_lines()[4].get_ydata(), everything.mean(0))
    assert len(first.get_lines()) == len(second.get_lines()) == 6  # three seeds, their mean, that of all, the target


def test_the_band_of_a_paper_ends_at_what_an_episode_can_earn():
    (ax,) = plots.papers(table(seeds=3, slope=10), {"A": [0, 1, 2]})
    assert ax.collections[0].get_paths()[0].vertices[:, 1].max() <= 500


def test_intervals_that_miss_the_truth_are_counted_and_coloured():
    axes = plots.coverage([0.0, 3.0, -2.0, 1.0], {"narrow": [1, 1, 1, 2], "wide": [4, 4, 4, 4]}, shown=3)
    assert [ax.get_title(loc="left") for ax in axes] == ["narrow: 50.0% miss", "wide: 0.0% miss"]
    narrow, wide = (ax.collections[0] for ax in axes)
    assert len(narrow.get_segments()) == len(wide.get_segments()) == 3
    np.testing.assert_allclose(narrow.get_segments()[1][:, 1], (2, 4))
    assert [tuple(color) == to_rgba(style.VERMILION) for color in narrow.get_colors()] == [False, True, True]


def test_the_spread_of_choices_counts_every_choice():
    ax = plots.spread_of_choices([10.0, 12.0, 480.0], 200.0, "three seeds")
    assert sum(bar.get_height() for bar in ax.patches) == 3
    assert "3 choices" in " ".join(text.get_text() for text in ax.texts)


@pytest.fixture
def metrics(reports):
    return reports("GRPO", "β = 0.1")


def test_metric_curves_are_seeds_and_their_mean_smoothed_if_asked(metrics):
    kl, gold = plots.metric_curves(metrics, {"kl": "KL", "gold": "gold"}, smooth=2)
    *seeds, mean = gold.get_lines()[:4]
    np.testing.assert_allclose([line.get_ydata()[0] for line in seeds], np.arange(3) + 0.5)
    np.testing.assert_allclose(mean.get_ydata(), 1.5)
    np.testing.assert_allclose(kl.get_lines()[3].get_ydata(), [1, *np.arange(1.5, 10)])
    assert to_rgba(mean.get_color()) == to_rgba(style.COLORS["GRPO"])
    assert gold.figure.get_supxlabel().endswith("(thin: 3 seeds; thick: their mean; running means of 2 reports)")


def test_metric_curves_of_one_seed_are_a_line_in_the_variants_colour_in_every_panel(metrics):
    of_one = metrics[metrics["seed"] == 1]
    panels = plots.metric_curves(of_one, {"kl": "KL", "gold": "gold"}, "iterations", columns=1)
    for ax, column in zip(panels, ("kl", "gold"), strict=True):
        for line, (name, table) in zip(ax.get_lines(), of_one.groupby("variant", sort=False), strict=True):
            assert line.get_label() == style.mathtext(name)
            assert to_rgba(line.get_color()) == to_rgba(style.COLORS[name])
            np.testing.assert_array_equal(line.get_ydata(), table[column])
    assert panels[0].figure.get_supxlabel() == "iterations (one seed)"
    assert panels[0].get_position().y0 > panels[1].get_position().y0
