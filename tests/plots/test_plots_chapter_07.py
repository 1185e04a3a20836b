"""Figures of chapter 07 hold the data they were given, and what they compute themselves is right."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from torch.distributions import Categorical, Normal, kl_divergence

from pgcourse import plots
from pgcourse.plots import style
from pgcourse.plots.simplex import CORNERS


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def words(ax):
    return [text.get_text() for text in ax.texts]


def in_color(ax, color):
    return [line for line in ax.get_lines() if to_hex(line.get_color()) == to_hex(color)]


def test_one_step_too_far_shows_promise_and_truth():
    kl = np.array([0.001, 0.01, 0.1])
    truth, surrogate = np.array([[1.0, 2.0, -5.0], [1.0, 0.0, -1.0], [1.0, 1.0, -3.0]]), np.array([[1.0, 2.0, 3.0]] * 3)
    left, right = plots.one_step_too_far(
        {"one": (kl, truth[:1], surrogate[:1]), "three": (kl, truth, surrogate)}, delta=0.02
    )
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("one, one policy", "three, 3 policies")
    *seeds, mean = in_color(right, style.BLACK)[:4]
    np.testing.assert_array_equal([line.get_ydata() for line in seeds], truth)
    np.testing.assert_allclose(mean.get_ydata(), [1, 1, -3])
    np.testing.assert_array_equal(in_color(right, style.SKY)[-1].get_ydata(), [1, 2, 3])
    low, high = right.get_ylim()
    assert low < -3
    assert high > 3
    assert words(left) == [r"$\delta=0.02$"]
    assert left.get_xscale() == "log"


def test_penalties_stand_against_the_error():
    error, bound = np.geomspace(1e-6, 1, 50), np.geomspace(1e-3, 30, 50)
    ax = plots.penalties(error, {"loose": bound, "tight": error})
    loose, _, tight, _, diagonal = ax.get_lines()
    np.testing.assert_array_equal(loose.get_xydata(), np.stack([error, bound], 1))
    np.testing.assert_array_equal(tight.get_ydata(), error)
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert words(ax) == ["a tight bound", "50 pairs of policies"]


def test_kl_balls_have_their_radius_and_euclidean_balls_theirs():
    delta, policies, gaussians = 0.05, [(1 / 3, 1 / 3, 1 / 3), (0.7, 0.2, 0.1)], [(0.0, -0.3), (1.0, 0.5)]
    left, right = plots.policy_balls(policies, gaussians, delta)

    to_policy = np.linalg.inv(np.vstack([CORNERS.T, np.ones(3)]))  # barycentric coordinates

    def reached(ax, line):
        if ax is right:
            return torch.from_numpy(np.asarray(line.get_xydata()))
        return torch.from_numpy((to_policy @ np.vstack([np.asarray(line.get_xydata()).T, np.ones(181)])).T)

    for centre, line in zip(policies, in_color(left, style.COLORS["natural gradient"]), strict=True):
        there, here = Categorical(reached(left, line)), Categorical(torch.tensor(centre, dtype=torch.float64))
        torch.testing.assert_close(kl_divergence(here, there), torch.full((181,), delta, dtype=torch.float64))
    for (mean, log_std), line in zip(gaussians, in_color(right, style.COLORS["natural gradient"]), strict=True):
        mu, log_sigma = reached(right, line).T
        here = Normal(torch.tensor(mean).double(), torch.tensor(log_std).double().exp())
        kl = kl_divergence(here, Normal(mu, log_sigma.exp()))
        torch.testing.assert_close(kl, torch.full((181,), delta, dtype=torch.float64))
    sizes = []
    for centre, line in zip(gaussians, in_color(right, style.BLUE), strict=True):
        distance = (reached(right, line) - torch.tensor(centre)).norm(dim=1)
        sizes.append(distance)
    torch.testing.assert_close(torch.stack(sizes), torch.full_like(torch.stack(sizes), float(sizes[0][0])))
    logits = [reached(left, line).log() for line in in_color(left, style.BLUE)]
    from_centre = torch.stack([z - torch.tensor(pi).log() for z, pi in zip(logits, policies, strict=True)])
    lengths = (from_centre - from_centre.mean(-1, keepdim=True)).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, float(lengths[0, 0])))


def test_gradient_paths_are_drawn_as_given():
    simplex = {"plain gradient": np.array([[[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.0, 1.0, 0.0]]])}
    one, other, natural = (np.array([[[1.0, 0.0], end]]) for end in ([0.5, -0.5], [0.2, -0.1], [0.3, 0.4]))
    gaussian = {"plain gradient": {"one": one, "another": other}, "natural gradient": {"one": natural}}
    left, right = plots.gradient_paths([0, 0.5, 1], simplex, gaussian, np.zeros((4, 5)), (-1, 2, -1, 1), marks=2)
    path, dots, _ = left.get_lines()
    np.testing.assert_allclose(path.get_xydata(), simplex["plain gradient"][0] @ CORNERS)
    np.testing.assert_allclose(dots.get_xydata(), simplex["plain gradient"][0, ::2] @ CORNERS)
    drawn = [line for line in right.get_lines() if len(line.get_xdata()) == 2]
    assert [line.get_xydata().tolist() for line in drawn] == [x[0].tolist() for x in (one, other, natural)]
    assert to_hex(drawn[2].get_color()) == to_hex(style.COLORS["natural gradient"])
    assert to_hex(drawn[0].get_color()) == to_hex(drawn[1].get_color()) != to_hex(drawn[2].get_color())
    assert drawn[0].get_linestyle() == drawn[2].get_linestyle() != drawn[1].get_linestyle()
    assert words(left) == ["reward 0", "reward 0.5", "reward 1"]


def test_residuals_have_seeds_and_their_median():
    curves = {"much": np.array([[1, 0.1, 0.01], [1, 0.3, 0.03], [1, 0.2, 0.05]])}
    ax = plots.residuals(curves, mark=1)
    *seeds, median, mark = ax.get_lines()
    np.testing.assert_array_equal([line.get_ydata() for line in seeds], curves["much"])
    np.testing.assert_allclose(median.get_ydata(), [1, 0.2, 0.03])
    assert list(mark.get_xdata()) == [1, 1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["much"]


def test_step_lengths_are_distribution_functions():
    kl = {"TRPO": np.array([[0.01, 0.004], [0.008, 0.002]]), "A2C": np.array([[1e-4, 1e-2], [1e-3, 0.5]])}
    ax = plots.step_lengths(kl, delta=0.01)
    trpo, a2c, mark = ax.get_lines()
    np.testing.assert_array_equal(trpo.get_xdata(), [0.002, 0.004, 0.008, 0.01])
    np.testing.assert_array_equal(trpo.get_ydata(), [0.25, 0.5, 0.75, 1])
    assert to_hex(a2c.get_color()) == to_hex(style.COLORS["A2C"])
    assert list(mark.get_xdata()) == [0.01, 0.01]
    assert words(ax)[0] == r"$\delta=0.01$"
    assert ax.get_xlim()[1] > 0.5


def test_learning_panels_have_their_algorithms_colours_and_nothing_above_the_most():
    steps = np.arange(0, 1000, 100)
    table = [
        pd.DataFrame({"variant": name, "seed": seed, "step": steps, "return": np.clip(steps * (1 + seed), 0, 500)})
        for name in ("TRPO", "natural gradient")
        for seed in range(3)
    ]
    panels = plots.learning_panels(pd.concat(table), target=475, most=500)
    assert [ax.get_title(loc="left") for ax in panels] == ["TRPO, 3 seeds", "natural gradient, 3 seeds"]
    for ax, name in zip(panels, ("TRPO", "natural gradient"), strict=True):
        *seeds, mean = in_color(ax, style.COLORS[name])
        assert len(seeds) == 3
        np.testing.assert_allclose(mean.get_ydata(), np.mean([line.get_ydata() for line in seeds], axis=0))
        band = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert band.max() == 500
