"""Figures of steered machines: what is drawn is what was given."""

from dataclasses import replace

import numpy as np
import pytest

from pgcourse import gait, plots
from pgcourse.gait.rides import POSTURE


def trotting(strides=10, rows=25, fell=False, seed=0):
    """Diagonal feet come down together, half a stride apart, and stay down for .6 of it; 0.5 m/s are asked for."""
    turn = (np.arange(strides * rows)[:, None] / rows - np.array([0, 0.48, 0.48, 0])) % 1
    time = len(turn)
    asked = np.tile([0.5, 0.0, 0.1], (time, 1))
    legs = np.broadcast_to(POSTURE, (time, 4, 3)).copy()
    down = np.tile([0.0, 0.0, -1.0], (time, 1))
    return gait.Ride(
        command=asked, velocity=asked - 0.1, down=down, angle=legs, speed=0 * legs, target=legs, torque=0 * legs,
        contact=turn < 0.599, reward=np.zeros(time), parts={}, dt=0.02, fell=fell, seed=seed,
    )  # fmt: skip


def test_what_was_asked_for_and_what_was_done():
    axes = plots.steered({"before": trotting(fell=True), "after": trotting(20)})
    assert len(axes) == 6
    done, asked, *crosses = axes[0].get_lines()
    assert done.get_ydata() == pytest.approx(0.4)
    assert asked.get_ydata() == pytest.approx(0.5)
    assert [cross.get_marker() for cross in crosses] == ["x"]  # it falls
    assert len(axes[3].get_lines()) == 2
    assert axes[3].get_lines()[0].get_xdata()[-1] == pytest.approx(499 * 0.02)
    assert axes[2].get_lines()[1].get_ydata() == pytest.approx(0.1)
    assert [ax.get_title("left") for ax in axes[::3]] == ["before", "after"]
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == ["asked for", "done", "falls"]


def test_stances_of_four_feet():
    (ax,) = plots.four_feet({"trot": trotting()}, seconds=2.0, start=1.0)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "hind right",
        "front right",
        "front left",
        "hind left",
    ]
    spans = [[path.get_extents().x0 for path in bars.get_paths()] for bars in ax.collections]
    hind_right, front_right, front_left, hind_left = spans
    assert hind_left == pytest.approx(front_right)
    assert hind_right == pytest.approx(front_left)
    assert hind_left == pytest.approx([1.0, 1.5, 2.0, 2.5])
    assert front_left[-1] == pytest.approx(2.74)
    assert ax.get_xlim() == (1.0, 3.0)
    assert ax.texts[0].get_text() == "60%, phase 0.48"


def test_what_was_asked_against_what_was_done():
    rides = []
    for seed, slope in {0: 1.0, 3: 0.2}.items():
        ride = trotting(seed=seed)
        asked = np.linspace(-1, 1, len(ride))[:, None] * [1.5, 0.8, 1.2]
        rides.append(replace(ride, command=asked, velocity=0.1 + slope * asked))
    axes = plots.asked_and_done(rides, every=0.1)
    assert [ax.get_xlabel() for ax in axes] == [
        "speed ahead (m/s), asked",
        "speed to the left (m/s), asked",
        "turning (rad/s), asked",
    ]
    for ax, most in zip(axes, (1.5, 0.8, 1.2), strict=True):
        dots, first, _, second, one = ax.get_lines()
        assert len(dots.get_xdata()) == 50  # each fifth of 250
        np.testing.assert_allclose(first.get_xdata(), [-most, most])
        np.testing.assert_allclose(first.get_ydata(), [0.1 - most, 0.1 + most])
        np.testing.assert_allclose(second.get_ydata(), [0.1 - 0.2 * most, 0.1 + 0.2 * most])
        np.testing.assert_allclose(one.get_xdata(), one.get_ydata())
        said = [text.get_text() for text in ax.get_legend().get_texts()]
        assert said == ["seed 0: slope 1.00", "seed 3: slope 0.20", "follows: slope 1"]
