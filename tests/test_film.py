"""Episodes as pictures: what is drawn is what happens; and `pgcourse watch`."""

import base64
import io
import math
import os
import re

import gymnasium
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gymnasium import spaces
from matplotlib.colors import to_rgb
from PIL import Image

import pgcourse as pg
from pgcourse import film
from pgcourse.algorithms import Architecture, TrainedPolicy
from pgcourse.app.console import main
from pgcourse.core import MLP, SoftmaxPolicy, Streams
from pgcourse.envs import Arm, GymnasiumEnv
from pgcourse.lab import compute, personal, store


def untrained(env, seeds=2) -> TrainedPolicy:
    policy = Architecture((8,)).policy(pg.make(env))
    return TrainedPolicy(policy, policy.init(Streams(seeds)), tuple(range(seeds)), env)


def near(picture, color):
    """[row, column] of all pixels that have this colour."""
    rgb = np.array(to_rgb(color)) * 255
    return np.argwhere(np.abs(picture.astype(float) - rgb).max(-1) < 8)


@pytest.mark.parametrize(
    "env", ["CartPole-v1", "Pendulum-v1", "gymnasium:CartPole-v1", "Arm3-v0", "MinAtar/Breakout-v1"]
)
def test_a_film_has_its_worlds_pace(env):
    trained = untrained(env)
    scene = film.stage(env)
    shot = film.shoot(trained, seed=1, episodes=2)
    assert shot.fps <= film.FPS
    every = scene.fps / shot.fps
    assert every == int(every)
    assert shot.fps * (every + 1) > scene.fps  # no fewer pictures than they have to be
    assert len(shot.returns) == 2
    assert len({frame.shape for frame in shot.frames}) == 1
    assert any((shot.frames[0] != frame).any() for frame in shot.frames[1:])  # it moves
    if "CartPole" in env:  # whose return is its length
        assert len(shot.frames) == math.ceil(sum(shot.returns) / every)
    assert film.shoot(trained, seed=1, episodes=2).returns == shot.returns


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_a_film_is_quiet_without_a_display_and_leaves_the_environment_as_it_was(env, monkeypatch, capfd):
    for name in ("SDL_VIDEODRIVER", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    film.shoot(untrained(env))
    assert capfd.readouterr().err == ""
    assert dict(os.environ) == before


def test_a_film_shows_the_seed_that_was_asked_for():
    trained = untrained("CartPole-v1")
    left = TrainedPolicy(trained.policy, trained.theta.clone(), (3, 4), trained.env)
    left.theta[1, -1] = -100.0  # the last bias, that of a push to the right
    (fallen,) = film.shoot(left, seed=4, deterministic=True).returns
    assert fallen < 12  # pushed to the left only
    with pytest.raises(ValueError, match="no seed 0; there are 3, 4"):
        film.shoot(left, seed=0)
    with pytest.raises(ValueError, match="episodes must be 1 or more, got 0"):
        film.shoot(left, episodes=0)


def test_the_arm_is_where_its_state_says():
    world = Arm(joints=3)
    world.reset(Streams(1))
    state = torch.tensor([0.3, 1.9, 2.6, 0.0, 0.0, 0.0, -0.5, -0.7])
    picture = film.arm(world, state, size=200)

    def pixel(point):
        return [100 - 200 * float(point[1]) / 2.2, 100 + 200 * float(point[0]) / 2.2]

    target = near(picture, film.PALETTE[2])
    assert target.mean(0) == pytest.approx(pixel(state[-2:]), abs=1.0)
    blue = near(picture, film.PALETTE[1])
    for point in (torch.zeros(2), world.tip(state[:3]), world.skeleton(state[:3])[1]):
        assert np.abs(blue - pixel(point)).max(1).min() <= 1
    low, high = blue.min(0), blue.max(0)
    ends = np.array([pixel(joint) for joint in world.skeleton(state[:3])])
    assert np.all(low >= ends.min(0) - 6)
    assert np.all(high <= ends.max(0) + 6)


def test_cells_have_the_colour_of_their_channel():
    obs = torch.zeros(4, 10, 10)
    obs[0, 9, 4] = obs[1, 3, 0] = obs[3, 1, :] = 1.0
    obs[2, 9, 4] = 1.0  # behind the first channel
    picture = film.cells(obs, size=5)
    assert picture.shape == (50, 50, 3)
    for channel, row, column in ((0, 9, 4), (1, 3, 0), (3, 1, 7)):
        found = {tuple(each) for each in near(picture, film.PALETTE[channel + 1])}
        assert {(5 * row + i, 5 * column + j) for i in range(5) for j in range(5)} <= found
    assert len(near(picture, film.PALETTE[3])) == 0
    assert len(near(picture, "white")) == 50 * 50 - 25 * 12


def test_a_gif_keeps_time_and_fits():
    rng = np.random.default_rng(3)
    frames = [rng.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(20)]
    shot = film.Film(frames, 15.0, [0.0])
    large = film.gif(shot)
    image = Image.open(io.BytesIO(large))
    assert (image.format, image.n_frames, image.size, image.info["loop"]) == ("GIF", 20, (80, 60), 0)
    starts = 0
    for k in range(19):
        image.seek(k)
        starts += image.info["duration"]
        assert starts == pytest.approx(1000 * (k + 1) / 15.0, abs=5)
    small = film.gif(shot, len(large) // 2)
    assert len(small) <= len(large) // 2
    assert Image.open(io.BytesIO(small)).width < 80
    with pytest.raises(ValueError, match="20 pictures do not fit into 2,000 bytes"):
        film.gif(shot, 2000)


def test_copies_are_drawn_as_gymnasium_draws_them():
    with GymnasiumEnv("CartPole-v1", 2, render_mode="rgb_array") as world:
        with pytest.raises(RuntimeError, match="call reset"):
            world.render()
        world.reset(Streams(3))
        pictures = world.render()
        assert [picture.shape for picture in pictures] == [(400, 600, 3)] * 6
        for _ in range(5):
            world.step(torch.tensor([[0, 0], [1, 1], [0, 1]]), torch.empty(0))
        moved = world.render()

    def cart(picture):
        return near(picture, "black")[:, 1].mean()

    for k, push in enumerate((-1, -1, 1, 1, -1, 1)):
        assert np.sign(cart(moved[k]) - cart(pictures[k])) == push


# The command


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run, barely trained, of the world that is asked for: `run("CartPole-v1")` gives its name."""
    monkeypatch.setenv("PGCOURSE_RUNS", str(tmp_path))
    options = {"seeds": 2, "steps": 100, "workers": 1, "checkpoint_steps": 1000, "evaluation_episodes": 2}

    def begin(env: str) -> str:
        algorithm = pg.PPO(envs=2, horizon=8, epochs=1)
        study = personal.begin(personal.declaration(algorithm, Architecture((8,)), env, **options))
        (block,) = study.blocks()
        store(block, compute(block))
        return study.name

    return begin


def watch(*arguments):
    result = CliRunner().invoke(main, ["watch", *map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_watch_writes_a_gif(run, tmp_path):
    name = run("CartPole-v1")
    status, output = watch(name, "--seed", 1)
    assert status == 0
    path = tmp_path / name / "seed-1.gif"
    assert str(path) in output
    (expected,) = film.shoot(personal.policy(name), 1).returns
    assert f"return: {expected:g}" in output
    with Image.open(path) as image:
        assert (image.format, image.width) == ("GIF", film.WIDTH)
    status, output = watch(
        name, "--deterministic", "--episodes", 3, "--out", tmp_path / "mine.gif", "--most-bytes", 20000
    )
    assert status == 0
    assert "returns: " in output
    assert 0 < (tmp_path / "mine.gif").stat().st_size <= 20000
    assert personal.results(personal.find(name))  # the pictures are no records


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("GridWorld-v0", "GridWorld-v0 cannot be drawn; what can: Gymnasium's environments"),
        ("odd_worlds:Untold-v0", "names no render mode 'rgb_array'"),
        ("odd_worlds:Odd-v0", "cannot be drawn on this machine (RuntimeError: no graphics library)"),
    ],
)
def test_what_cannot_be_drawn_is_said(run, monkeypatch, env, said):
    monkeypatch.syspath_prepend("tests")
    name = run(env)
    status, output = watch(name)
    assert status == 1
    assert said in output


def test_mistakes_are_named(run, monkeypatch):
    name = run("CartPole-v1")
    for display in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(display, raising=False)
    monkeypatch.setattr(film.sys, "platform", "linux")
    for arguments, said in (
        (["--seed", 5], "no seed 5; there are 0, 1"),
        (["--out", "film.mp4"], "must end in .gif"),
        (["--window", "--out", "film.gif"], "leave out --out"),
        (["--window"], "no display for a window; leave out --window"),
        (["--most-bytes", 100], "do not fit into 100 bytes"),
    ):
        status, output = watch(name, *arguments)
        assert status in (1, 2)
        assert said in output
    status, output = watch(run("Arm1-v0"), "--window")
    assert (status, "Arm1-v0 has no window" in output) == (1, True)


def test_a_window_shows_the_same_episode(run, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    name = run("CartPole-v1")
    status, output = watch(name, "--window")
    assert status == 0
    (expected,) = film.shoot(personal.policy(name)).returns
    assert output == f"return: {expected:g}\n"


def test_films_stand_side_by_side_and_show_themselves_in_a_notebook():
    trained = untrained("CartPole-v1")
    left, right = (film.shoot(trained, seed).titled(f"seed {seed} & more") for seed in (0, 1))
    both = left.beside(right)
    assert len(both.frames) == max(len(left.frames), len(right.frames))
    assert both.returns == left.returns + right.returns
    width = left.frames[0].shape[1]
    for k, picture in enumerate(both.frames):  # the shorter one keeps its last picture
        assert (picture[:, :width] == left.frames[min(k, len(left.frames) - 1)]).all()
        assert (picture[:, width:] == right.frames[min(k, len(right.frames) - 1)]).all()
    page = both._repr_html_()
    data, words = re.fullmatch(r'<img src="data:image/gif;base64,(.*)" alt="(.*)">', page).groups()
    assert Image.open(io.BytesIO(base64.b64decode(data))).n_frames == len(both.frames)
    assert words == f"film: seed 0 &amp; more, seed 1 &amp; more; return {both.returns[0]:g}, {both.returns[1]:g}"
    with pytest.raises(ValueError, match="one height"):
        left.beside(film.shoot(trained, 0))


class Drawn(gymnasium.Env):
    """One step an episode; draws what it is told to."""

    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(2)

    def __init__(self, picture=None, fps=None, render_mode=None, **other):
        self.metadata = other.get("metadata", {"render_modes": ["rgb_array"], "render_fps": fps})
        self.picture, self.render_mode = picture, render_mode

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, True, False, {}

    def render(self):
        return self.picture


@pytest.mark.parametrize("size", [(1, 1), (10, 10), (2, 900)])
def test_small_pictures_fit(size):
    pictures = [np.full((*size, 3), 255 * k, np.uint8) for k in (0, 1)]
    shown = Image.open(io.BytesIO(film.gif(film.Film(pictures, 10.0, [0.0]))))
    assert shown.n_frames == 2
    assert shown.size[0] == min(size[1], film.WIDTH)


class Windowless(Drawn):
    def __init__(self):
        super().__init__()


GREY = np.arange(64 * 48, dtype=np.uint8).reshape(64, 48)


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        (GREY, np.stack([GREY] * 3, -1)),
        (GREY[..., np.newaxis], np.stack([GREY] * 3, -1)),
        (np.dstack([GREY] * 4), np.stack([GREY] * 3, -1)),
        (np.full((64, 48, 3), 0.5), np.full((64, 48, 3), 127, np.uint8)),
        (np.full((64, 48, 3), 254.0), np.full((64, 48, 3), 254, np.uint8)),
    ],
    ids=["grey", "grey with an axis", "transparent", "floats to 1", "floats to 255"],
)
@pytest.mark.parametrize("fps", [None, 0, float("nan"), "fast", 1e-9, 1e9])
def test_pictures_and_paces_of_every_kind_are_shown(picture, shown, fps):
    policy = SoftmaxPolicy(MLP((1, 2)))
    trained = TrainedPolicy(policy, policy.init(Streams(1)), (0,), Drawn, {"picture": picture, "fps": fps})
    shot = film.shoot(trained)
    assert np.array_equal(shot.frames[0], shown)
    assert shot.fps == 15  # 30 a second where nothing sensible is said, and every second one is kept


@pytest.mark.parametrize(
    ("env", "arguments", "said"),
    [
        (Drawn, {}, r"Drawn cannot be drawn on this machine \(ValueError: render\(\) gives None"),
        (Drawn, {"picture": np.zeros(5)}, r"an array \(5,\) of float64"),
        (Drawn, {"picture": np.zeros((0, 4, 3))}, r"an array \(0, 4, 3\) of float64"),
        (Drawn, {"metadata": {"render_modes": None}}, "names no render mode 'rgb_array'"),
        (Drawn, {"metadata": {"render_modes": 5}}, "names no render mode 'rgb_array'"),
        (Drawn, {"metadata": None}, "names no render mode 'rgb_array'"),
        (Drawn, {"metadata": ["rgb_array"]}, "names no render mode 'rgb_array'"),
        (Windowless, {}, "Windowless cannot be drawn: it cannot be made with render_mode='rgb_array'"),
    ],
)
def test_what_draws_in_no_way_that_was_foreseen_cannot_be_drawn(env, arguments, said):
    policy = SoftmaxPolicy(MLP((1, 2)))
    with pytest.raises(film.CannotDraw, match=said):
        film.shoot(TrainedPolicy(policy, policy.init(Streams(1)), (0,), env, arguments))
