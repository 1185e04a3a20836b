"""The drawn diver is where the flight is; the moving picture moves."""

import base64
import io
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from pgcourse import plots
from pgcourse.envs import Diver
from pgcourse.envs.worlds.diver import Flight
from pgcourse.plots import style
from pgcourse.plots.chapter_01 import BODY, TUCKED, body

ACTIONS = torch.tensor([[0.0, 0.0, 0.0], [-0.8, -0.6, 1.3]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def still(angle, tucked=False):
    """A body at (3, 5) at rest."""
    at = [torch.tensor([value], dtype=torch.float64) for value in (0.0, 3.0, 5.0, angle)]
    return Flight(*at, torch.tensor([tucked]))


@pytest.mark.parametrize(
    ("angle", "feet", "hands"),
    [
        (0, (3, 5 - BODY / 2), (3, 5 + BODY / 2)),  # upright
        (np.pi, (3, 5 + BODY / 2), (3, 5 - BODY / 2)),  # head first
        (np.pi / 2, (3 - BODY / 2, 5), (3 + BODY / 2, 5)),  # a quarter forward: the hands point away from the platform
    ],
)
def test_feet_and_hands(angle, feet, hands):
    np.testing.assert_allclose(body(still(float(angle)), 0), (feet, hands), atol=1e-12)


def test_the_tuck_is_short():
    feet, hands = body(still(1.0, tucked=True), 0)
    assert np.linalg.norm(hands - feet) == pytest.approx(TUCKED)
    np.testing.assert_allclose((feet + hands) / 2, (3, 5))


def test_a_dive_is_drawn_pose_by_pose():
    axes = plots.dives(ACTIONS, ["first", "second"], samples=9)
    assert [ax.get_title(loc="left") for ax in axes] == ["first", "second"]
    for ax, action in zip(axes, ACTIONS, strict=True):
        flight = Diver.flight(action, 9)
        _, path, *poses = ax.get_lines()  # platform, centre of mass, then stick and head of each pose
        np.testing.assert_allclose(path.get_xydata(), torch.stack([flight.x, flight.z], 1))
        sticks, heads = poses[::2], poses[1::2]
        assert len(sticks) == len(heads) == 9
        for k, (stick, head) in enumerate(zip(sticks, heads, strict=True)):
            centre = stick.get_xydata().mean(0)
            np.testing.assert_allclose(centre, (flight.x[k], flight.z[k]))
            np.testing.assert_allclose(head.get_xydata()[0], stick.get_xydata()[1])
            assert to_rgb(stick.get_color()) == to_rgb(style.ORANGE if flight.tucked[k] else style.BLUE)
        assert 0 < sum(to_rgb(stick.get_color()) == to_rgb(style.ORANGE) for stick in sticks) < 9


def test_a_title_for_every_dive():
    with pytest.raises(ValueError, match="shorter"):
        plots.dives(ACTIONS, ["only one"])


def test_the_film_is_a_small_gif_that_moves_and_then_rests():
    samples, seconds = 6, 2.0
    picture = plots.animate_dives(ACTIONS[None], ["two dives"], "two dives & water", samples, seconds)
    assert len(picture.data) < 200_000
    assert not plt.get_fignums(), "the figure stays open and would be shown a second time"
    with Image.open(io.BytesIO(picture.data)) as gif:
        assert gif.format == "GIF"
        durations, frames = [], []
        for k in range(gif.n_frames):
            gif.seek(k)
            durations.append(gif.info["duration"])
            frames.append(np.asarray(gif.convert("RGB")))
    assert len(frames) == samples
    assert durations[-1] == 3 * durations[0]
    for before, after in itertools.pairwise(frames):
        assert (before != after).any()


def test_a_page_shows_the_film_and_says_what_it_shows():
    picture = plots.animate_dives(ACTIONS[None, :1], ["a dive"], 'a "dive" & water', samples=4)
    data, words = re.fullmatch(r'<img src="data:image/gif;base64,(.*)" alt="(.*)">', picture._repr_html_()).groups()
    assert base64.b64decode(data) == picture.data
    assert words == "a &quot;dive&quot; &amp; water"
    assert repr(picture) == '[a "dive" & water]'


def test_spread_holds_means_and_bands_of_every_seed():
    generator = np.random.default_rng(0)
    mean, std = (torch.from_numpy(generator.uniform(0.1, 1, size=(5, 3, 2))) for _ in range(2))
    axes = plots.spread_over_updates(mean, std, ["angle", "release"])
    assert [ax.get_title(loc="left") for ax in axes] == ["angle", "release"]
    for j, ax in enumerate(axes):
        assert len(ax.get_lines()) == len(ax.collections) == 3
        for seed, (line, band) in enumerate(zip(ax.get_lines(), ax.collections, strict=True)):
            mu, sigma = mean[:, seed, j].numpy(), std[:, seed, j].numpy()
            np.testing.assert_array_equal(line.get_ydata(), mu)
            vertices = band.get_paths()[0].vertices
            for update in range(5):
                there = vertices[vertices[:, 0] == update, 1]
                np.testing.assert_allclose(
                    (there.min(), there.max()), (mu[update] - sigma[update], mu[update] + sigma[update])
                )
    assert "3 seeds" in axes[-1].texts[0].get_text()


def test_step_sizes_have_grades_above_and_spreads_below():
    lines = torch.arange(1.0, 7.0).view(3, 2)
    axes = plots.step_sizes({"small": lines, "large": 2 * lines}, {"small": 3 * lines, "large": 4 * lines}, marked=2)
    assert [ax.get_title(loc="left") for ax in axes] == ["small", "large", "", ""]
    for ax, factor in zip(axes, (1, 2, 3, 4), strict=True):
        first, second, mark = ax.get_lines()
        np.testing.assert_array_equal(first.get_xydata(), [(k + 1, factor * y) for k, y in enumerate((1, 3, 5))])
        np.testing.assert_array_equal(second.get_ydata(), factor * lines[:, 1])
        assert set(mark.get_xdata()) == {2}
    assert "2 seeds" in axes[-1].texts[-1].get_text()


def test_learners_begin_and_end_on_the_corridors_curve():
    p = torch.tensor([0.2, 0.5, 0.8])
    value = torch.tensor([-20.0, -10.0, -30.0])
    paths = torch.tensor([[0.2, 0.8], [0.4, 0.6], [0.5, 0.5]])
    left, right = plots.corridor_learners(p, value, paths, -20 * paths)
    curve, begins, ends = left.get_lines()
    np.testing.assert_array_equal(curve.get_ydata(), value)
    np.testing.assert_array_equal(begins.get_xdata(), paths[0])
    np.testing.assert_array_equal(ends.get_xdata(), paths[-1])
    assert "$p = 0.50$, $J = -10.0$" in left.texts[0].get_text()
    assert [line.get_ydata()[0] for line in right.get_lines()] == pytest.approx([0.2, 0.8, 0.5])
