"""Figures of gaits whose footfalls and orbits are known."""

import numpy as np
import pandas as pd
import pytest
from gaits import walk
from matplotlib.colors import to_hex

from pgcourse import plots
from pgcourse.gait import KINDS, phase_portrait
from pgcourse.plots.chapter_09 import KIND_COLORS, LEG_COLORS


def bars(ax, color):
    """[bar, 2]: where the bars of a colour begin and end."""
    paths = [
        path for each in ax.collections if to_hex(each.get_facecolor()[0]) == color.lower() for path in each.get_paths()
    ]
    return np.array([[path.vertices[:, 0].min(), path.vertices[:, 0].max()] for path in paths])


def test_bars_are_stances():
    upper, lower = plots.footfalls({"even": walk(duty=(0.6, 0.6)), "uneven": walk(duty=(0.7, 0.3))}, 3.2, start=1.5)
    for ax, duty in ((upper, (0.6, 0.6)), (lower, (0.7, 0.3))):
        left, right = (bars(ax, LEG_COLORS[leg]) for leg in ("left", "right"))
        assert np.diff(left, axis=1).sum() == pytest.approx(3.2 * duty[0], abs=0.03)  # four strides
        assert np.diff(right, axis=1).sum() == pytest.approx(3.2 * duty[1], abs=0.03)
        assert left[:, 0] == pytest.approx([0.1, 0.9, 1.7, 2.5], abs=0.02)
        said = " ".join(text.get_text() for text in ax.texts)
        assert f"{duty[0]:.0%} of a stride" in said
        assert ax.get_title(loc="left").endswith("phase 0.50")
        assert ax.get_xlim() == (0, 3.2)


def test_a_foot_that_never_comes_down_has_no_bars():
    (ax,) = plots.footfalls({"one leg": walk(duty=(0.5, 0.0))}, 2.0)
    assert not len(bars(ax, LEG_COLORS["right"]))
    assert ax.get_title(loc="left") == "one leg"


def test_the_orbit_is_the_ellipse_of_its_angle():
    portrait = phase_portrait(walk(amplitude=0.3, period=0.8))
    hip, knee = plots.phase_portraits({"even": portrait})
    assert (hip.get_title(loc="left"), knee.get_title(loc="left")) == ("even: hip", "even: knee")
    (mean, *_) = (line for line in hip.get_lines() if line.get_linewidth() == 2)
    x, y = mean.get_data()
    assert np.hypot(np.asarray(x) / 0.3, np.asarray(y) / (0.3 * 2 * np.pi / 0.8)) == pytest.approx(1, abs=0.02)
    thin = [line for line in hip.get_lines() if line.get_linewidth() == 0.5]
    assert len(thin) == portrait.groupby(["leg", "stride"]).ngroups


def test_bars_of_kinds_are_their_parts():
    table = pd.DataFrame([[0] * len(KINDS)] * 2, columns=list(KINDS), index=[0, 1])
    first, last = table.copy(), table.copy()
    first["falls forward"], first["stands still"] = [3, 2], [0, 3]
    last["walks"] = 4
    ax = plots.kinds({"at first": first, "at last": last})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["at first", "at last"]
    parts = {}
    for bar in ax.patches:
        if bar.get_width():
            parts[to_hex(bar.get_facecolor()).upper(), round(bar.get_y() + 0.35)] = (bar.get_x(), bar.get_width())
    assert parts == {
        (KIND_COLORS["falls forward"], 1): (0, pytest.approx(5 / 8)),
        (KIND_COLORS["stands still"], 1): (pytest.approx(5 / 8), pytest.approx(3 / 8)),
        (KIND_COLORS["walks"], 0): (0, 1),
    }
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["falls forward", "stands still", "walks"]
    assert len(set(KIND_COLORS.values())) == len(KINDS)


def test_strips_stand_below_each_other():
    first, second = np.zeros((20, 90, 3), np.uint8), np.full((30, 90, 3), 255, np.uint8)
    upper, lower = plots.pose_strips({"falls": first, "walks": second})
    assert (upper.get_title(loc="left"), lower.get_title(loc="left")) == ("falls", "walks")
    assert (upper.get_images()[0].get_array() == first).all()
    assert (lower.get_images()[0].get_array() == second).all()


def test_measures_stand_over_their_stage_with_the_interval_of_their_mean():
    table = pd.DataFrame({"stage": ["early"] * 4 + ["late"] * 4, "seed": [0, 1, 2, 3] * 2})
    table["speed"] = [0.0, 1.0, 2.0, np.nan, 4.0, 4.0, 5.0, 7.0]
    (ax,) = plots.gait_measures(table, {"speed": "speed (m/s)"})
    assert [label.get_text() for label in ax.get_xticklabels()] == ["early", "late"]
    seeds = [line.get_ydata() for line in ax.get_lines() if line.get_markersize() == 3]
    assert [sorted(values) for values in seeds] == [[0, 1, 2], [4, 4, 5, 7]]
    (low, high), _ = (line.get_ydata() for line in ax.get_lines() if line.get_marker() == "None")
    half = 4.3027 / 3**0.5  # t with two degrees of freedom times the standard error of 0, 1, 2
    assert (low, high) == (pytest.approx(1 - half, abs=1e-3), pytest.approx(1 + half, abs=1e-3))


def test_returns_stand_over_the_strength_of_their_disturbance():
    rows = [(kind, s, seed, 300 - 100 * s) for kind in ("push", "noise") for s in (0.0, 1.0) for seed in (0, 0, 1, 2)]
    table = pd.DataFrame(rows, columns=["kind", "strength", "seed", "return"])
    push, noise = plots.disturbances(table, {"push": "push (m/s)", "noise": "noise"})
    assert [ax.get_xlabel() for ax in (push, noise)] == ["push (m/s)", "noise"]
    assert [label.get_text() for label in push.get_xticklabels()] == ["0", "1"]
    means = [
        line.get_ydata()[0] for line in push.get_lines() if line.get_linewidth() == 1.5 and len(line.get_xdata()) == 2
    ]
    assert means == [300, 200]
    assert "2 episodes of each of 3 seeds" in push.figure.get_suptitle()
