"""Figures of the ledger hold the numbers they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgcourse import plots
from pgcourse.core import Streams
from pgcourse.exact import gae_moments, ledger, random_mdp, total_return_moments
from pgcourse.plots.chapter_04 import FAMILY, spread
from pgcourse.plots.style import mathtext

MDP = random_mdp(seed=12)
THETA = Streams(1, dtype=torch.float64).child("theta").normal(MDP.policy.size)


@pytest.fixture(scope="module")
def found():
    return ledger(MDP, THETA, Streams(1), episodes=2000, batch_sizes=(1, 10, 100), pilot_episodes=2000)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text().strip() for text in ax.texts]


def points(ax):
    """Of single markers."""
    return {tuple(line.get_xydata()[0]) for line in ax.get_lines() if len(line.get_xdata()) == 1}


class TestLedger:
    def test_a_row_for_every_estimator_with_its_variance_and_exact_bias(self, found):
        left, right = plots.ledger(found)
        table = found.table.sort_values("trace")
        relative, rows = table.trace / table.gradient_norm**2, np.arange(len(table))
        np.testing.assert_allclose(left.collections[0].get_offsets(), np.stack([relative, rows], 1))
        np.testing.assert_allclose(right.collections[0].get_offsets(), np.stack([table.exact_bias, rows], 1))
        assert [label.get_text() for label in left.get_yticklabels()] == [mathtext(name) for name in table.estimator]
        assert texts(left) == [f"{each:.1f}" for each in relative]
        assert "2,000 episodes" in left.figure.get_supxlabel()
        assert "exact" in right.get_xlabel()

    def test_nothing_touches_or_leaves_the_figure(self, found):
        left, right = plots.ledger(found)
        left.figure.canvas.draw()
        names = [each.get_window_extent() for each in (*left.get_yticklabels(), *left.texts)]
        assert not any(a.overlaps(b) for i, a in enumerate(names) for b in names[:i])
        whole = left.figure.bbox
        inside = [*names, left.xaxis.label.get_window_extent(), right.xaxis.label.get_window_extent()]
        assert all(whole.x0 <= box.x0 and box.x1 <= whole.x1 for box in inside)
        assert all(box.x1 <= right.get_window_extent().x0 for box in names)

    def test_every_family_has_a_colour(self, found):
        assert set(found.table.family) == set(FAMILY)


def test_symbols_are_set_as_mathematics():
    assert mathtext("reward-to-go, γ^t dropped") == r"reward-to-go, $\gamma^t$ dropped"
    assert mathtext("reward-to-go - b*(s)") == "reward-to-go - $b^*(s)$"
    assert mathtext("total return - b* per component") == "total return - $b^*$ per component"
    assert mathtext("A(s,a) known") == "$A(s,a)$ known"
    assert mathtext("λ = 1") == r"$\lambda$ = 1"
    assert mathtext("σ depends on the state") == r"$\sigma$ depends on the state"


class TestErrorAgainstBatchSize:
    NAMES = ("total return", "TD", "reward-to-go - leave-one-out mean")

    def test_dots_are_the_measured_numbers(self, found):
        ax = plots.error_against_batch_size(found, self.NAMES)
        for name, bars in zip(self.NAMES, ax.containers, strict=True):
            rows = found.batches[found.batches.estimator == name]
            np.testing.assert_array_equal(bars.lines[0].get_xydata(), rows[["batch_size", "relative_error"]])

    def test_lines_are_exact_and_biased_ones_level_out(self, found):
        ax = plots.error_against_batch_size(found, self.NAMES)
        size = MDP.gradient(THETA).norm().item()
        total, td, _ = (line.get_xydata().T for line in ax.get_lines() if len(line.get_xdata()) == 200)
        exact = total_return_moments(MDP, THETA).trace.item() ** 0.5 / size
        np.testing.assert_allclose(total[1], exact / np.sqrt(total[0]))
        bias = found.table.set_index("estimator").exact_bias["TD"]
        assert td[1][-1] == pytest.approx(bias, rel=0.1)
        assert td[1][-1] > bias

    def test_every_estimator_is_named_in_a_colour_of_its_own(self, found):
        ax = plots.error_against_batch_size(found, self.NAMES)
        colors = {text.get_text(): text.get_color() for text in ax.texts if text.get_text() in self.NAMES}
        assert set(colors) == set(self.NAMES)
        assert len(set(colors.values())) == 3


class TestSpread:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20).map(sorted), st.floats(0.01, 0.2))
    def test_neighbours_are_apart_in_order_and_the_middle_stays(self, values, gap):
        moved = spread(values, gap)
        assert (np.diff(moved) >= gap - 1e-12).all()
        assert moved.mean() == pytest.approx(np.mean(values))

    def test_what_is_apart_stays_where_it_is(self):
        np.testing.assert_allclose(spread([0.0, 0.5, 0.7], 0.2), [0.0, 0.5, 0.7])


def test_variance_sources_are_dots_and_their_sum_a_ring():
    parts = {"total return": total_return_moments(MDP, THETA), "reward-to-go": gae_moments(MDP, THETA)}
    ax = plots.variance_sources(parts)
    *drawn, rings = [line.get_xydata() for line in ax.get_lines()]
    for source, dots in zip(("start", "actions", "dynamics"), drawn, strict=True):
        np.testing.assert_allclose(dots[:, 0], [getattr(part, source).item() for part in parts.values()])
    np.testing.assert_allclose(rings[:, 0], [part.trace.item() for part in parts.values()])
    assert not ax.patches  # a bar on a logarithmic axis would have an arbitrary length
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(parts)


def test_the_parabola_and_its_marks():
    b = np.linspace(-1, 3, 41)
    ax = plots.variance_against_baseline(b, (b - 1) ** 2 + 2, {"b = 0": (0, 3), "b*": (1, 2), "2": (2, 3)})
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), (b - 1) ** 2 + 2)
    assert points(ax) == {(0, 3), (1, 2), (2, 3)}
    assert [text.get_ha() for text in ax.texts] == ["right", "center", "left"]  # away from the curve


def test_ratios_are_counted_on_either_side_of_one():
    ratios = {"a / b": [0.25, 0.5, 0.999, 1.001, 2.0], "c / d": [0.3, 0.4, 0.9, 0.9, 0.9]}
    axes = plots.variance_ratios(ratios)
    assert [ax.get_title(loc="left") for ax in axes] == ["a / b: less in 3 of 5", "c / d: less in 5 of 5"]
    for ax, values in zip(axes, ratios.values(), strict=True):
        below = sum(bar.get_height() for bar in ax.patches if bar.get_x() + bar.get_width() <= 1 + 1e-9)
        assert sum(bar.get_height() for bar in ax.patches) == 5
        assert below == sum(value < 1 for value in values)


def test_a_critics_fit_shows_every_seed_and_the_known_value():
    explained, variance = np.arange(6.0).reshape(2, 3) / 10, np.arange(6.0).reshape(2, 3)[:, ::-1]
    left, right = plots.critic_fit(range(3), explained, variance, (0.4, 1.5))
    for ax, values, level in ((left, explained, 0.4), (right, variance, 1.5)):
        *seeds, mean, known = (line.get_ydata() for line in ax.get_lines())
        np.testing.assert_array_equal(seeds, values)
        np.testing.assert_allclose(mean, values.mean(0))
        assert set(known) == {level}
    assert "2 seeds" in " ".join(texts(right))


def test_normalisation_shows_angles_and_intervals():
    angle = {"uniform": {2: 10.0, 4: 5.0}, "committed": {2: 20.0, 4: 18.0}}
    learned = {"plain": {0.1: [0.0, 0.1, 0.2], 1.0: [1.0, 1.0, 1.0]}, "normalised": {0.1: [0.5] * 3, 1.0: [0.5] * 3}}
    left, right = plots.normalisation(angle, learned)
    for line, expected in zip(left.get_lines(), angle.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), list(expected.items()))
    plain, normalised = (bars.lines[0].get_ydata() for bars in right.containers)
    np.testing.assert_allclose(plain, [0.1, 1.0])
    np.testing.assert_allclose(normalised, [0.5, 0.5])
    half = stats.t.ppf(0.975, 2) * 0.1 / 3**0.5
    (segment, _) = right.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], [0.1 - half, 0.1 + half])


def test_paired_differences_have_the_interval_of_their_mean():
    rng = np.random.default_rng(0)
    clear, unclear = rng.normal(5, 1, 10), rng.normal(0, 3, 10)
    ax = plots.paired_differences({"a - b": clear, "b - c": unclear}, "difference")
    intervals = [line for line in ax.get_lines() if len(line.get_xdata()) == 2][:2]
    for line, values in zip(intervals, (clear, unclear), strict=True):
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        np.testing.assert_allclose(line.get_xdata(), (expected.low, expected.high))
    assert points(ax) == {(clear.mean(), 1), (unclear.mean(), 0)}
    assert [line.get_color() for line in intervals] == [plots.style.BLUE, plots.style.GREY]
    assert "10 seeds" in " ".join(texts(ax))


def test_differences_have_welchs_interval():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(5, 1, 10), rng.normal(0, 3, 10), rng.normal(0, 3, 10)
    ax = plots.differences({"a - b": (a, b), "b - c": (b, c)}, "difference")
    intervals = [line for line in ax.get_lines() if len(line.get_xdata()) == 2][:2]
    for line, (x, y) in zip(intervals, ((a, b), (b, c)), strict=True):
        expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
        np.testing.assert_allclose(line.get_xdata(), (expected.low, expected.high))
    assert points(ax) == {(a.mean() - b.mean(), 1), (b.mean() - c.mean(), 0)}
    assert [line.get_color() for line in intervals] == [plots.style.BLUE, plots.style.GREY]
    assert "10 seeds each" in " ".join(texts(ax))
