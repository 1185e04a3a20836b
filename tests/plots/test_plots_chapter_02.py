"""Figures of chapter 02 hold the data they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from pgcourse import plots
from pgcourse.core import Streams
from pgcourse.exact import GradientMoments
from pgcourse.plots import style


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_sampled_gradients_lie_where_their_means_and_errors_are():
    exact = torch.tensor([3.0, 0.0, -1.0, 2.0], dtype=torch.float64)  # the second belongs to a terminal state
    noise = Streams(5, dtype=torch.float64).normal(64, 4) * (exact != 0)
    sample, bias = exact + noise, torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    part = torch.tensor([1.0])
    right_moments = GradientMoments(exact.unsqueeze(0), start=part, actions=part, dynamics=part)
    wrong_moments = GradientMoments((exact + bias).unsqueeze(0), start=part, actions=part, dynamics=part)
    left, right = plots.gradient_by_sampling(
        {"right": sample, "wrong": sample + bias}, exact, {"right": right_moments, "wrong": wrong_moments}
    )

    bars = [segment[0][1] for segment in left.collections[0].get_segments()]
    assert bars == [-1.0, 2.0, 3.0]
    dots = np.array([line.get_ydata() for line in left.get_lines()[:5]])  # [seed, component] of the first estimator
    np.testing.assert_allclose(dots, sample.mean(1)[:, [2, 3, 0]])

    *seeds, root_mean_square, theory = right.get_lines()[:7]
    assert list(theory.get_xdata()) == [1, 2, 4, 8, 16, 32, 64]
    np.testing.assert_allclose(theory.get_ydata(), np.sqrt(3 / theory.get_xdata()) / exact.norm().item())
    batches = sample.unflatten(1, (16, 4)).mean(2) - exact
    measured = batches.square().sum(-1).mean(1).sqrt() / exact.norm()
    np.testing.assert_allclose([line.get_ydata()[2] for line in seeds], measured)
    np.testing.assert_allclose(root_mean_square.get_ydata()[2], measured.square().mean().sqrt())
    wrong_theory = right.get_lines()[13].get_ydata()
    np.testing.assert_allclose(wrong_theory[-1], np.sqrt(1 + 3 / 64) / exact.norm().item())
    assert words(right)[:2] == ["right", "wrong"]
    assert "5 seeds" in words(right)[-1]


def test_credit_shows_rewards_down_and_actions_across():
    matrix = np.array([[0.5, 0.0], [0.25, 1.0]])
    ax = plots.credit(matrix)
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), matrix)
    assert words(ax) == ["0.500", "0", "0.250", "1.000"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time $t$ of the action", "time $k$ of the reward")


def test_right_and_wrong_estimators_keep_their_colours():
    exact = torch.ones(1, dtype=torch.float64)
    sample = exact + Streams(3, dtype=torch.float64).normal(8, 1)
    part = torch.tensor([1.0])
    moments = GradientMoments(exact.unsqueeze(0), start=part, actions=part, dynamics=part)
    names = ("own reward only", r"$\gamma^t$ dropped", "reward-to-go")
    left, _ = plots.gradient_by_sampling(dict.fromkeys(names, sample), exact, dict.fromkeys(names, moments))
    colors = [line.get_color() for line in left.get_lines()[:9:3]]
    assert colors == [style.VERMILION, style.PURPLE, style.BLUE]
