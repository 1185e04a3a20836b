"""Figures about continuous actions hold the numbers they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pgcourse import plots
from pgcourse.plots.style import VERMILION


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_bins_against_joints_shows_means_and_outputs():
    rows = [
        {
            "joints": joints,
            "variant": variant,
            "seed": seed,
            "mean_return": -10.0 * joints - seed - 100 * (variant == "b"),
        }
        for joints in (1, 2)
        for variant in ("a", "b")
        for seed in range(3)
    ]
    outputs = {"a": {1: 3, 2: 9, 3: 27}, "b": {1: 1, 2: 2}}
    left, other, right = plots.bins_against_joints(pd.DataFrame(rows), {"one": outputs, "two": {"b": outputs["b"]}})
    means = [[bars.lines[0].get_ydata().tolist() for bars in ax.containers] for ax in (left, other)]
    assert means == [[[-11.0, -21.0], [-111.0, -121.0]], [[-111.0, -121.0]]]
    low, high = left.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(4.302653 / np.sqrt(3))  # t of 2 degrees of freedom, standard deviation 1
    assert [line.get_ydata().tolist() for line in right.get_lines()] == [[3, 9, 27], [1, 2]]
    assert right.get_yscale() == "log"
    assert "3 seeds" in other.texts[-1].get_text()


def test_densities_have_their_atoms():
    x = np.linspace(-2, 2, 5)
    panels = {"free": (np.ones(5), {}), "clipped": (np.zeros(5), {-1.0: 0.25, 1.0: 0.5})}
    free, clipped = plots.action_densities(x, panels, (-1.0, 1.0))
    assert free.get_lines()[0].get_ydata().tolist() == [1] * 5
    atoms = [line.get_xydata().tolist() for line in clipped.get_lines() if line.get_color() == VERMILION]
    assert atoms == [[[-1, 0], [-1, 0.25]], [[1, 0], [1, 0.5]]]
    assert [text.get_text() for text in clipped.texts] == ["25.0%", "50.0%"]
    assert not free.texts


def test_reaches_ends_with_the_last_posture_and_marks_the_target():
    arm = np.zeros((2, 30, 3, 2))
    arm[:, :, 2, 0] = np.linspace(0, 1, 30)
    axes = plots.reaches({"before": arm, "after": arm}, [[0.5, 0.5], [0.1, 0.2]])
    assert len(axes) == 4
    postures = [line for line in axes[1].get_lines() if line.get_marker() == "o"]
    assert postures[-1].get_xydata()[-1].tolist() == [1, 0]
    assert postures[0].get_xydata()[-1].tolist() == [0, 0]
    assert postures[-1].get_alpha() == pytest.approx(1)
    (cross,) = (line for line in axes[1].get_lines() if line.get_marker() == "x")
    assert cross.get_xydata().tolist() == [[0.1, 0.2]]
    assert axes[2].get_ylabel().startswith("after")
