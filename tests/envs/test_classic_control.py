"""CartPole and Pendulum against Gymnasium's own, step for step."""

import gymnasium
import numpy as np
import pytest
import torch
from scipy import stats

from pgcourse.core import Streams
from pgcourse.envs import CartPole, Pendulum

STATES = 4000


def gymnasium_step(world, state, action):
    """One step of Gymnasium's bare dynamics from a given state: (state, reward, terminated)."""
    world.state = np.array(state)
    world.steps_beyond_terminated = None
    _, reward, terminated, _, _ = world.step(action)
    return world.state, reward, terminated


def cartpole_cases(rng):
    """States all over the place, a third of them about to cross a limit."""
    states = rng.uniform([-2.4, -4, -0.21, -4], [2.4, 4, 0.21, 4], (STATES, 4))
    edge = CartPole.max_angle - rng.uniform(0, 0.05, STATES // 3)
    states[: STATES // 3, 2] = edge * rng.choice([-1, 1], STATES // 3)
    return states, rng.integers(0, 2, STATES)


def pendulum_cases(rng):
    """Angles of several turns, speeds up to the limit, torques beyond theirs."""
    states = rng.uniform([-20, -8], [20, 8], (STATES, 2))
    return states, rng.uniform(-3, 3, (STATES, 1))


@pytest.mark.parametrize(("world", "cases"), [(CartPole, cartpole_cases), (Pendulum, pendulum_cases)])
def test_one_step_from_thousands_of_states(world, cases):
    states, actions = cases(np.random.default_rng(0))
    reference = gymnasium.make(world.name).unwrapped
    expected = [gymnasium_step(reference, s, a) for s, a in zip(states, actions, strict=True)]
    next_state, reward, terminated = (np.array(column) for column in zip(*expected, strict=True))

    ours = world(dtype=torch.float64).transition(torch.tensor(states), torch.tensor(actions), torch.empty(STATES, 0))
    np.testing.assert_allclose(ours[0].numpy(), next_state, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours[1].numpy(), reward, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours[2].numpy(), terminated)
    if world is CartPole:
        assert 0.1 < terminated.mean() < 0.9

    actions32 = torch.tensor(actions) if world is CartPole else torch.tensor(actions, dtype=torch.float32)
    ours = world().transition(torch.tensor(states, dtype=torch.float32), actions32, torch.empty(STATES, 0))
    np.testing.assert_allclose(ours[0].numpy(), next_state, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours[1].numpy(), reward, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("world", [CartPole, Pendulum])
def test_observation(world):
    reference = gymnasium.make(world.name).unwrapped
    ours = world(dtype=torch.float64)
    for seed in range(20):
        expected, _ = reference.reset(seed=seed)
        np.testing.assert_array_equal(ours.observe(torch.tensor(reference.state)).float().numpy(), expected)


@pytest.mark.parametrize("world", [CartPole, Pendulum])
def test_spaces_and_time_limit(world):
    reference = gymnasium.make(world.name)
    assert world.observation_space == reference.observation_space
    assert world.action_space == reference.action_space
    assert world.time_limit == reference.spec.max_episode_steps


class Pair:
    """Gymnasium's environment with its time limit beside ours, in float64, one copy."""

    def __init__(self, world, seed):
        self.reference = gymnasium.make(world.name)
        self.reference.reset(seed=seed)
        self.bare = self.reference.unwrapped
        self.ours = world(dtype=torch.float64)
        self.streams = Streams(1, dtype=torch.float64)
        self.ours.reset(self.streams)
        self.copy_state()

    def copy_state(self):
        self.ours.current = torch.tensor(np.array(self.bare.state)).view(1, 1, -1)

    def step(self, action):
        """One step of both; the two flags, after everything else was found equal."""
        obs, reward, terminated, truncated, _ = self.reference.step(action)
        step = self.ours.step(
            torch.as_tensor(action).view(1, 1, *np.shape(action)), self.ours.noise(self.streams, 1)[:, 0]
        )
        np.testing.assert_allclose(step.next_obs[0, 0].float().numpy(), obs, rtol=1e-6, atol=1e-6)
        assert step.reward.item() == pytest.approx(reward, abs=1e-9)
        assert (step.terminated.item(), step.truncated.item()) == (terminated, truncated)
        return terminated, truncated


def balance(state):
    """A controller that keeps the pole up for as long as one likes."""
    return int(state @ np.array([0.1, 0.3, 2.0, 0.6]) > 0)


@pytest.mark.parametrize("seed", range(30))
def test_cartpole_episodes_under_random_actions(seed):
    pair, rng = Pair(CartPole, seed), np.random.default_rng(seed)
    flags = (False, False)
    while not any(flags):
        flags = pair.step(int(rng.integers(2)))
    assert flags == (True, False)


def test_cartpole_episode_to_the_time_limit():
    """The states are brought together before each step: 500 steps of a pole held upright magnify the last bit."""
    pair = Pair(CartPole, 0)
    for t in range(500):
        pair.copy_state()
        assert pair.step(balance(pair.bare.state)) == (False, t == 499)


def test_pole_that_falls_at_the_time_limit_is_both():
    pair = Pair(CartPole, 1)
    for _ in range(499):
        pair.copy_state()
        assert pair.step(balance(pair.bare.state)) == (False, False)
    pair.bare.state = np.array([0.0, 0.0, 0.2, 2.0])
    pair.copy_state()
    assert pair.step(0) == (True, True)


@pytest.mark.parametrize("seed", range(3))
def test_pendulum_episodes(seed):
    pair, rng = Pair(Pendulum, seed), np.random.default_rng(seed)
    for t in range(200):
        pair.copy_state()
        assert pair.step(rng.uniform(-3, 3, 1)) == (False, t == 199)


@pytest.mark.parametrize(("world", "high"), [(CartPole, [0.05] * 4), (Pendulum, [np.pi, 1.0])])
def test_initial_states_have_gymnasiums_distribution(world, high):
    ours = world(envs=3000, dtype=torch.float64)
    ours.reset(Streams(1, dtype=torch.float64))
    reference = gymnasium.make(world.name).unwrapped
    theirs = np.array([(reference.reset(seed=seed), reference.state)[1] for seed in range(3000)])
    for ours_, theirs_, bound in zip(ours.current[0].T.numpy(), theirs.T, high, strict=True):
        assert stats.ks_2samp(ours_, theirs_).pvalue > 0.01
        assert stats.kstest(ours_, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01
