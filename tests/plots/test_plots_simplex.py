"""Figures of policies hold the data they were given, and the simplex moves as the gradient flow does."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.quiver import Quiver

from pgcourse import plots
from pgcourse.plots.simplex import CORNERS, barycentric, softmax_motion

REWARD = torch.tensor([1.0, 0.4, 0.0], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_barycentric_points_are_all_the_grid_has():
    n = 7
    points = barycentric(n)
    assert len({tuple(point) for point in np.round(n * points).astype(int)}) == (n + 1) * (n + 2) // 2 == len(points)
    assert (points >= 0).all()
    np.testing.assert_allclose(points.sum(1), 1)
    np.testing.assert_allclose(n * points, np.round(n * points), atol=1e-12)


def test_motion_is_the_derivative_of_the_policy_along_the_gradient_flow():
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3))).requires_grad_()
    reward = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad((z.softmax(1) @ reward).sum(), z)
    h = 1e-5
    with torch.no_grad():
        moved = ((z + h * gradient).softmax(1) - (z - h * gradient).softmax(1)) / (2 * h)
        motion = softmax_motion(z.softmax(1).numpy(), reward.numpy())
    np.testing.assert_allclose(motion, moved, atol=1e-9)
    assert np.abs(motion).max() > 0.01


def test_motion_keeps_the_sum_rests_in_corners_and_never_lowers_the_objective():
    points, reward = barycentric(20), REWARD.numpy()
    motion = softmax_motion(points, reward)
    np.testing.assert_allclose(motion.sum(1), 0, atol=1e-15)
    np.testing.assert_array_equal(softmax_motion(np.eye(3), reward), 0)
    assert (motion @ reward >= -1e-15).all()


def test_the_simplex_shows_paths_at_their_barycentric_places():
    pi = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float64)
    ax = plots.simplex_field(REWARD, ["a", "b", "c"], {"path": pi})
    line, start = ax.get_lines()
    x = pi[:, 1] + pi[:, 2] / 2  # corners at (0, 0), (1, 0), (1/2, √3/2)
    y = pi[:, 2] * 3**0.5 / 2
    np.testing.assert_allclose(line.get_xydata(), torch.stack([x, y], 1))
    np.testing.assert_allclose(start.get_xydata(), [[x[0], y[0]]])
    at = {text.get_text(): text.xy for text in ax.texts}
    assert {name: tuple(corner) for name, corner in zip("abc", CORNERS, strict=True)} == {
        name: tuple(at[name]) for name in "abc"
    }


def test_arrows_point_uphill_from_inside_the_triangle():
    ax = plots.simplex_field(REWARD, ["a", "b", "c"])
    (quiver,) = (artist for artist in ax.get_children() if isinstance(artist, Quiver))
    arrows = np.stack([quiver.U, quiver.V], 1)
    assert len(arrows) == 15 * 14 / 2  # the points of a grid of 16 that lie inside
    # J = π·r is linear in the plane; its slope follows from its values at the corners.
    edges = CORNERS[1:] - CORNERS[0]
    slope = np.linalg.solve(edges, (REWARD[1:] - REWARD[0]).numpy())
    assert (arrows @ slope > 0).all()


def test_over_updates_draws_what_it_was_given():
    curves = {"one": torch.tensor([0.1, 0.5, 0.9]), "two": torch.tensor([0.3, 0.2, 0.1])}
    ax = plots.over_updates(curves, "J", log=True, mark=0.25)
    *lines, mark = ax.get_lines()
    for line, (name, values) in zip(lines, curves.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2])
        assert line.get_label() == name
    assert list(mark.get_ydata()) == [0.25, 0.25]
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "J")


@pytest.mark.parametrize("exponent", [-0.5, 1.0, 3.0])
def test_slope_is_the_exponent_whatever_the_factor(exponent):
    x = [1, 2, 5, 30]
    assert plots.slope(x, 7.0 * torch.tensor(x, dtype=torch.float64) ** exponent) == pytest.approx(exponent)


def test_slope_is_the_least_squares_one():
    # log y = (0, 1, 0, 1) over log x = (0, 1, 2, 3): Σ(u - ū)(v - v̄) / Σ(u - ū)² = 1/5
    x, y = np.exp([0.0, 1, 2, 3]), torch.tensor([0.0, 1, 0, 1], dtype=torch.float64).exp()
    assert plots.slope(x, y) == pytest.approx(0.2)


def test_power_laws_draw_points_and_exact_lines_and_label_the_last_slope():
    x = [1, 2, 4, 8]
    measured = {"late cubic": torch.tensor([1.0, 1.0, 1.0, 8.0]), "linear": torch.tensor([1.0, 2.0, 4.0, 8.0])}
    exact = {"late cubic": torch.tensor([1.1, 1.1, 1.1, 8.1]), "linear": torch.tensor([1.0, 2.0, 4.0, 8.0])}
    ax = plots.power_laws(x, measured, "d", "trace", "the note", exact)
    lines = ax.get_lines()
    for points, line, name in zip(lines[::2], lines[1::2], measured, strict=True):
        np.testing.assert_array_equal(points.get_ydata(), measured[name])
        np.testing.assert_array_equal(line.get_ydata(), exact[name])
        np.testing.assert_array_equal(points.get_xdata(), x)
        assert (points.get_linestyle(), line.get_marker()) == ("None", "None")
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["late cubic\n(slope 3.0)", "linear\n(slope 1.0)", "the note"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_power_laws_join_the_points_where_nothing_exact_is_known():
    points, line = plots.power_laws([1, 10], {"a": torch.tensor([3.0, 5.0])}, "", "", "").get_lines()
    np.testing.assert_array_equal(points.get_xydata(), line.get_xydata())


def test_histograms_hold_the_data_on_common_bins():
    generator = torch.Generator().manual_seed(0)
    samples = {
        "wide": 3 * torch.randn(4000, generator=generator),
        "narrow": 1 + torch.randn(4000, generator=generator),
    }
    ax = plots.histograms(samples, "x", bins=31)
    assert len(ax.patches) == 2 * 30
    for name, bars, line in zip(samples, (ax.patches[:30], ax.patches[30:]), ax.get_lines(), strict=True):
        values = samples[name].numpy()
        edges = np.array([bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()])
        inside = ((values >= edges[0]) & (values <= edges[-1])).sum()
        counts = [bar.get_height() * bar.get_width() * inside for bar in bars]
        np.testing.assert_allclose(counts, np.histogram(values, edges)[0], atol=1)  # edges read back from bars: rounded
        assert sum(counts) == pytest.approx(inside)
        np.testing.assert_allclose(line.get_xdata(), values.mean(), rtol=1e-5)
        assert to_hex(bars[0].get_facecolor()) == to_hex(line.get_color())
    assert [bar.get_x() for bar in ax.patches[:30]] == [bar.get_x() for bar in ax.patches[30:]]
    assert "4,000 samples" in ax.texts[0].get_text()
