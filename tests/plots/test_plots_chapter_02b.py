"""Figures of chapter 02b hold the data they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh
from matplotlib.quiver import Quiver

from pgcourse import plots
from pgcourse.exact import cliff_gridworld
from pgcourse.plots import style

KEPT, DROPPED = r"$\gamma^t$ kept", r"$\gamma^t$ dropped"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def artists(ax, kind):
    return [child for child in ax.get_children() if isinstance(child, kind)]


def words(ax):
    return [text.get_text() for text in ax.texts]


AXIS = np.linspace(-3, 3, 25)


def test_a_landscape_has_arrows_uphill_and_paths_as_given():
    height = np.add.outer(2 * AXIS, -AXIS)  # J = 2x - y
    field = np.broadcast_to([2.0, -1.0], (25, 25, 2))
    path = np.array([[[0.0, 0.0], [1.0, -0.5]], [[1.0, 1.0], [2.0, 0.5]]])
    ax = plots.landscape(AXIS, height, field, {"exact": path})
    (arrows,) = artists(ax, Quiver)
    assert len(arrows.U) > 100
    np.testing.assert_allclose(arrows.V / arrows.U, -0.5)
    assert (arrows.U > 0).all()
    lines = [line.get_xydata().tolist() for line in ax.get_lines()]
    assert path[0].tolist() in lines
    assert path[1].tolist() in lines
    assert path[1, :1].tolist() in lines  # its start
    assert "2 seeds" in " ".join(words(ax))


def test_a_path_may_not_leave_the_landscape():
    field, path = np.zeros((25, 25, 2)), np.array([[[0.0, 0.0], [3.5, 0.0]]])
    with pytest.raises(ValueError, match=r"path 'exact' reaches 3.5, the axes end at 3"):
        plots.landscape(AXIS, np.zeros((25, 25)), field, {"exact": path})


def test_arrows_stand_where_their_vectors_belong():
    field = np.zeros((25, 25, 2))
    field[..., 0] = AXIS[:, None]  # F = (x, 0): left of the middle to the left, right of it to the right
    ax = plots.landscape(AXIS, np.add.outer(AXIS**2, 0 * AXIS), field)
    (arrows,) = artists(ax, Quiver)
    assert (np.sign(arrows.U) == np.sign(np.round(arrows.XY[:, 0], 9))).all()
    assert not arrows.V.any()


def test_curls_share_one_scale():
    flat, turning = np.zeros((25, 25)), np.add.outer(AXIS, 2 * AXIS)
    field = np.ones((25, 25, 2))
    left, right = plots.curl(AXIS, {"a gradient": (flat, field), "none": (turning, field)})
    meshes = [artists(ax, QuadMesh)[0] for ax in (left, right)]
    assert [mesh.get_clim() for mesh in meshes] == [(-9, 9), (-9, 9)]
    assert not meshes[0].get_array().any()
    np.testing.assert_array_equal(meshes[1].get_array(), turning.T)  # the first parameter runs across
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["a gradient", "none"]


def test_policies_are_arrows_on_the_grid():
    world = cliff_gridworld("..\nSG")
    pi = torch.tensor([[0.1, 0.7, 0.2, 0.0], [0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.25] * 4], dtype=torch.float64)
    occupancy = torch.tensor([0.5, 1e-9, 2.0, 0.0], dtype=torch.float64)
    (ax,) = plots.grid_policies(world, {"one": (pi, occupancy)})
    up, right, down, left = artists(ax, Quiver)
    length = right.U[0] / 0.7
    np.testing.assert_allclose(up.V, -length * pi[:3, 0], atol=1e-12)  # rows are counted downwards
    np.testing.assert_allclose(right.U, length * pi[:3, 1], atol=1e-12)
    np.testing.assert_allclose(down.V, length * pi[:3, 2], atol=1e-12)
    np.testing.assert_allclose(left.U, -length * pi[:3, 3], atol=1e-12)
    assert up.XY.tolist() == [[0, 0], [1, 0], [0, 1]]  # (column, row); nobody acts in the goal
    shade = ax.get_images()[0].get_array()
    assert shade[0, 0] == 0.5
    assert shade[1, 0] == 2.0
    assert 0 < shade[0, 1] < 1e-4  # drawn as empty
    assert np.ma.getmaskarray(shade)[1, 1]
    assert {"S", "G"} <= set(words(ax))


def test_ascents_show_every_seed_their_median_and_the_levels():
    gap = np.array([[3.0, 1.0], [2.0, 0.1], [1.0, 0.2]])
    ax = plots.ascents([1, 10], {"start at S": gap}, levels={"a plateau": 1.5})
    *seeds, middle, level = ax.get_lines()
    np.testing.assert_array_equal([line.get_ydata() for line in seeds], gap)
    assert list(middle.get_ydata()) == [2.0, 0.2]
    assert list(level.get_ydata()) == [1.5, 1.5]
    assert {"start at S", "a plateau"} <= set(words(ax))
    assert "3 seeds" in words(ax)[-1]


def test_angles_have_a_panel_for_each_world():
    first, second = np.array([[30.0, 3.0], [10.0, 1.0]]), np.array([[9.0, 0.9], [1.0, 0.1]])
    panels = plots.angles([0.9, 0.99], {"a world": first, "another": second})
    assert [ax.get_title(loc="left") for ax in panels] == ["a world", "another"]
    for ax, degrees in zip(panels, (first, second), strict=True):
        *seeds, mean, right_angle = ax.get_lines()
        np.testing.assert_array_equal([line.get_ydata() for line in seeds], degrees)
        np.testing.assert_allclose(mean.get_ydata(), degrees.mean(0))
        np.testing.assert_allclose(mean.get_xdata(), [0.1, 0.01])
        assert list(right_angle.get_ydata()) == [90, 90]
        assert mean.get_color() == style.PURPLE
    low, high = panels[0].get_xlim()
    assert low > high  # γ grows to the right


def test_objectives_have_a_panel_each():
    up, down = np.array([[0.0, 1.0], [0.5, 1.0]]), np.array([[0.0, -1.0], [0.5, -1.0]])
    first, second = plots.objectives({"J": {KEPT: up, DROPPED: down}, "J_1": {KEPT: 2 * up}})
    np.testing.assert_array_equal([line.get_ydata() for line in first.get_lines()], [*up, *down])
    np.testing.assert_array_equal([line.get_ydata() for line in second.get_lines()], 2 * up)
    assert (first.get_ylabel(), second.get_ylabel()) == ("J", "J_1")
    assert words(first) == [KEPT, DROPPED]


def test_kept_and_dropped_keep_their_colours():
    values = np.zeros((2, 3))
    (ax,) = plots.objectives({"J": {DROPPED: values, KEPT: values}})
    assert [line.get_color() for line in ax.get_lines()] == [style.PURPLE] * 2 + [style.BLUE] * 2
