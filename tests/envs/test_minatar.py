"""The games of the library, and our Breakout against MinAtar's, step for step."""

import importlib.util
import sys

import gymnasium
import numpy as np
import pytest
import torch

from pgcourse.core import Streams
from pgcourse.envs import Breakout, MinAtar, make

installed = pytest.mark.skipif(
    importlib.util.find_spec("minatar") is None, reason='MinAtar is not installed (pip install "pgcourse[game]")'
)
CHANNELS = {"Asterix": 4, "Breakout": 4, "Freeway": 7, "Seaquest": 10, "SpaceInvaders": 6}
MINIMAL = {"Asterix": 5, "Breakout": 3, "Freeway": 3, "Seaquest": 6, "SpaceInvaders": 4}


class Told:
    """Random numbers that are given to MinAtar instead of drawn."""

    def rand(self):
        return self.sticky

    def randint(self, _):
        return int(self.side >= 0.5)


class Original:
    """MinAtar's own Breakout, driven by our noise."""

    def __init__(self, side):
        from minatar import Environment

        self.game, self.told = Environment("breakout"), Told()
        self.game.random = self.game.env.random = self.told
        self.reset(side)

    def reset(self, side):
        self.told.side = side
        self.game.reset()
        self.game.last_action = 0

    def step(self, action, sticky):
        self.told.sticky = sticky
        return self.game.act([0, 1, 3][action])

    def image(self):
        return np.moveaxis(self.game.state(), -1, 0).astype(np.float32)


def follow(obs, streams):
    """Towards the ball's column, with mistakes: long episodes, through several walls of bricks, of different ends."""
    columns = torch.arange(10.0)
    paddle, ball = ((obs[..., channel, :, :].sum(-2) * columns).sum(-1) for channel in (0, 1))
    towards = torch.where(ball < paddle, 1, torch.where(ball > paddle, 2, 0))
    return torch.where(streams.uniform(obs.shape[1]) < 0.04, streams.integers(3, obs.shape[1]), towards)


@installed
@pytest.mark.parametrize("sticky", [0.0, 0.1])
@pytest.mark.parametrize("policy", ["follow", "random"])
def test_our_breakout_is_minatars_step_for_step(policy, sticky):
    streams, envs, steps = Streams([4]), 4, 500
    world = Breakout(envs, sticky=sticky, time_limit=None)
    obs = world.reset(streams)
    originals = [Original(float(obs[0, j, 1, 3, 9])) for j in range(envs)]
    noise = world.noise(streams.child("noise"), steps)
    total = ends = 0
    for t in range(steps):
        action = follow(obs, streams) if policy == "follow" else streams.integers(3, envs)
        step = world.step(action, noise[:, t])
        for j, original in enumerate(originals):
            draw, side = noise[0, t, j].tolist()
            reward, terminated = original.step(int(action[0, j]), draw if sticky else 1.0)
            np.testing.assert_array_equal(step.next_obs[0, j].numpy(), original.image())
            assert (step.reward[0, j].item(), step.terminated[0, j].item()) == (reward, terminated)
            if terminated:
                original.reset(side)
            np.testing.assert_array_equal(step.obs[0, j].numpy(), original.image())
            total, ends = total + reward, ends + terminated
        obs = step.obs
    assert ends >= 5
    assert total >= 10


@installed
def test_one_step_from_thousands_of_states_is_minatars():
    """Also from states that play seldom reaches: hardly any bricks, a ball among them, one that just met one."""
    count, rng, original = 4000, np.random.default_rng(0), Original(0.0)
    x, y, paddle, last, action = (rng.integers(0, high, count) for high in (10, 9, 10, 3, 3))
    heading, struck, draw = rng.integers(0, 4, count), rng.integers(0, 2, count), rng.random(count)
    walls = rng.random((count, 30)) < rng.choice([0, 0.05, 0.9], (count, 1))
    walls[y == 0] = rng.random((int((y == 0).sum()), 30)) < 0.5
    across, down = np.array([-1, 1, 1, -1])[heading], np.array([-1, -1, 1, 1])[heading]
    states = np.column_stack([x, y, across, down, paddle, last, struck, x, y, walls])
    world = Breakout(sticky=0.1)
    following, reward, terminated = world.transition(
        torch.from_numpy(states), torch.from_numpy(action), torch.from_numpy(draw).unsqueeze(1)
    )
    again = world.transition(following, torch.from_numpy(action), torch.ones(count, 1))
    images, refills = world.observe(following).numpy(), 0
    for k in range(count):
        game = original.game.env
        game.ball_x, game.ball_y, game.ball_dir, game.pos = int(x[k]), int(y[k]), int(heading[k]), int(paddle[k])
        game.strike, game.terminal, game.brick_map = bool(struck[k]), False, np.zeros((10, 10))
        game.brick_map[1:4] = walls[k].reshape(3, 10)
        original.game.last_action = [0, 1, 3][last[k]]
        assert original.step(action[k], draw[k]) == (reward[k], terminated[k])
        np.testing.assert_array_equal(images[k], original.image())
        refills += game.brick_map.sum() > walls[k].sum()
        if not terminated[k]:  # what is not in the picture shows one step later
            assert original.step(action[k], 1.0) == (again[1][k], again[2][k])
            np.testing.assert_array_equal(world.observe(again[0][k]).numpy(), original.image())
    assert refills > 10
    assert 0.02 < reward.mean() < 0.9
    assert 0.02 < terminated.float().mean() < 0.9


@installed
@pytest.mark.filterwarnings("ignore:.*is out of date")
@pytest.mark.parametrize("game", CHANNELS)
def test_all_games_run(game):
    for version, actions in (("v0", 6), ("v1", MINIMAL[game])):
        with MinAtar(f"MinAtar/{game}-{version}", 2, max_episode_steps=30) as env:
            assert env.action_space.n == actions
            obs = env.reset(Streams(2))
            for t in range(1, 31):
                step = env.step(Streams(2).child(t).integers(actions, 2), env.noise(Streams(2), 1)[:, 0])
                for seen in (obs, step.obs, step.next_obs):
                    assert seen.shape == (2, 2, CHANNELS[game], 10, 10)
                    assert seen.dtype == torch.float32
                    assert all(env.observation_space.contains(one) for one in seen.flatten(0, 1).numpy())
            assert env.time_limit == 30


@installed
@pytest.mark.parametrize("game", CHANNELS)
def test_what_was_played_before_does_not_matter(game):
    """Nor which seeds run beside it. `sticky_action_prob` is high, so that a remembered action would show."""

    def play(env, seeds):
        streams = Streams(seeds)
        first = env.reset(streams)
        actions, noise = streams.integers(MINIMAL[game], 40, 2), env.noise(streams, 1)[:, 0]
        steps = [env.step(actions[:, t], noise) for t in range(40)]
        return [first, *(column for step in steps for column in step)]

    with MinAtar(f"MinAtar/{game}-v1", 2, sticky_action_prob=0.7) as env:
        once, again, alone = play(env, [1, 6]), play(env, [1, 6]), play(env, [6])
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert all(torch.equal(a[1], b[0]) for a, b in zip(once, alone, strict=True))


@installed
@pytest.mark.filterwarnings("ignore:.*is out of date")
def test_names():
    assert isinstance(make("MinAtar/Breakout-v1"), Breakout)
    assert isinstance(make("MinAtar/Breakout-v0"), MinAtar)
    assert make("MinAtar/Seaquest-v1", 3).envs == 3
    with pytest.raises(ValueError, match="unknown environment 'MinAtar/Pong-v1'"):
        make("MinAtar/Pong-v1")


def test_where_it_is_not_installed_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "minatar.gym", None)
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=r'pip install "pgcourse\[game\]"'):
        make("MinAtar/Asterix-v1")
    assert isinstance(make("MinAtar/Breakout-v1"), Breakout)
