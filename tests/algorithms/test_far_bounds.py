"""Bounds of actions that a Gaussian does not reach, or lies all outside of."""

import warnings
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import pgcourse as pg
from pgcourse.algorithms import Architecture, FarBounds
from pgcourse.algorithms.trial import bounds_of
from pgcourse.core import Streams


class Dial(gymnasium.Env):
    """One step: the reward is -|a - best| / width of the bounds."""

    observation_space = spaces.Box(-1, 1, (1,))

    def __init__(self, low=0.0, high=1000.0, best=700.0):
        self.action_space, self.best = spaces.Box(low, high, (1,)), best

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        width = self.action_space.high[0] - self.action_space.low[0]
        return np.zeros(1, np.float32), -abs(float(action[0]) - self.best) / width, True, False, {}


def policy(rescale, **arguments):
    return Architecture((8,), rescale_action=rescale).policy(pg.make(Dial, **arguments))


@pytest.mark.parametrize("arguments", [{}, {"high": 0.001, "best": 0.0007}, {"low": 100.0, "high": 102.0}])
def test_bounds_far_from_the_policys_size_are_warned_of(arguments):
    train = {"seeds": 1, "steps": 16, "env_args": arguments}
    algorithm = pg.A2C(envs=2, horizon=8)
    with pytest.warns(FarBounds, match=r"Dial: actions are bounded by .* rescale_action=True .*RescaleAction"):
        pg.train(algorithm, Dial, **train)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pg.train(algorithm, Dial, policy=policy(True, **arguments), **train)
        pg.train(algorithm, Dial, policy=Architecture(std="squashed").policy(pg.make(Dial, **arguments)), **train)


def test_what_counts_is_the_policy_that_acts_and_iterating_warns_too():
    """Of the Gaussian that it is given DQN makes bins between the bounds: it reaches them, and nothing clips them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FarBounds)
        run = pg.train(pg.DQN(envs=2), Dial, seeds=1, steps=16)
    assert "clipped_actions" not in run.curves
    with pytest.warns(FarBounds, match="Dial: actions are bounded by 0 and 1000"):
        next(pg.iterate(pg.A2C(envs=2, horizon=8), Dial, Streams(1)))


@pytest.mark.parametrize(("low", "high"), [(0.0, np.inf), (-np.inf, 1000.0), (-np.inf, np.inf)])
def test_an_open_side_is_not_warned_of(low, high):
    """Of it the remedy would be refused: an infinite range has no middle."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FarBounds)
        next(pg.iterate(pg.A2C(envs=2, horizon=8), partial(Dial, low, high), Streams(1)))
    limits = bounds_of(policy(False, low=low, high=high), pg.make(Dial, low=low, high=high))
    assert (limits is None) == (low == -high)  # what one side clips is counted all the same


def test_worlds_of_the_course_and_of_gymnasium_are_not_warned_of():
    warned = []
    for name in [*pg.envs.WORLDS, "MountainCarContinuous-v0", "BipedalWalker-v3"]:
        world = pg.make(name)
        limits = bounds_of(Architecture().policy(world), world)
        warned += [name] if limits is not None and limits.far() else []
    assert warned == []


def test_rescaled_actions_reach_what_others_do_not():
    """The return of the lower bound is -0.7, that of the best action 0."""
    algorithm, train = pg.PPO(envs=4, horizon=64), {"seeds": 1, "steps": 4_000}
    rescaled = pg.train(algorithm, Dial, policy=policy(True), **train)
    with pytest.warns(FarBounds):
        plain = pg.train(algorithm, Dial, **train)
    mean = {name: run.curves.query("step > 3000")["return"].mean() for name, run in (("yes", rescaled), ("no", plain))}
    assert mean["yes"] > -0.3
    assert mean["no"] == pytest.approx(-0.7, abs=0.02)


def test_the_share_of_clipped_actions_is_a_metric():
    """Held against the actions themselves, and against the normal distribution: P(|a| > 2) where σ = 1 and μ = 0."""
    run = pg.train(pg.A2C(envs=8, horizon=125, lr=1e-12), "Pendulum-v1", seeds=2, steps=4000)
    exact = 2 * (1 - torch.distributions.Normal(0, 1).cdf(torch.tensor(2.0)).item())
    assert run.curves["clipped_actions"].mean() == pytest.approx(exact, abs=4 * (exact / 8000) ** 0.5)
    world = pg.make("Pendulum-v1", 8)
    limits = bounds_of(Architecture().policy(world), world)
    action = 2 * Streams(3).normal(5, 8, 1)
    mask = torch.ones(3, 5, 8, dtype=torch.bool)
    mask[:, 3:] = False
    expected = (action[:, :3, :, 0].abs() > 2).float().mean((1, 2))
    torch.testing.assert_close(limits.clipped(action, mask), expected)


@pytest.mark.parametrize("env", ["CartPole-v1", "ScalarLQR-v0"])
def test_where_nothing_is_clipped_there_is_no_metric(env):
    assert "clipped_actions" not in pg.train(pg.A2C(), env, seeds=1, steps=200).curves
