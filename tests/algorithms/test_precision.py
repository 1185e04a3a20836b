"""In float64 everything is: worlds, noise, parameters, updates, metrics."""

import pytest
import torch
from leaves import leaves

import pgcourse as pg
from pgcourse.algorithms import DQN, iterate, play, training

ALGORITHMS = {
    "reinforce": pg.REINFORCE(envs=2, baseline="value"),
    "a2c": pg.A2C(envs=2, horizon=8, normalize_advantage=True),
    "ppo": pg.PPO(
        envs=2, horizon=8, epochs=2, max_kl=0.01, normalize_observation=True, normalize_reward=True, clip_reward=5.0
    ),
    "ppo, penalty": pg.PPO(envs=2, horizon=8, epochs=2, objective="penalty", value_clip=0.2),
    "trpo": pg.TRPO(envs=2, horizon=8),
    "natural": pg.NaturalGradient(envs=2, horizon=8),
    "dqn": DQN(envs=2, horizon=8, updates=2, batch=8),
}


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_nothing_is_in_single_precision(name, world):
    streams = pg.Streams(2, dtype=torch.float64)
    for it in iterate(ALGORITHMS[name], world, streams, 40):
        found = {path: leaf.dtype for path, leaf in leaves(it).items() if isinstance(leaf, torch.Tensor)}
        assert {"batch.obs", "batch.reward", "state.theta", "obs"} < set(found)
        floating = {path: dtype for path, dtype in found.items() if dtype.is_floating_point}
        assert floating == dict.fromkeys(floating, torch.float64)
        assert any(path.startswith("metrics.") for path in floating)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_nor_in_what_a_training_reports_and_keeps(name):
    for each in training(ALGORITHMS[name], "CartPole-v1", 2, 60, checkpoint_steps=20, dtype=torch.float64):
        for path, leaf in (leaves(each) | leaves(each.checkpoint, "checkpoint")).items():
            if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
                assert leaf.dtype == torch.float64, path
        assert each.policy.theta.dtype == torch.float64


@pytest.mark.parametrize("world", ["CartPole-v1", "gymnasium:Pendulum-v1"])
def test_what_was_trained_in_it_is_evaluated_and_played_in_it(world):
    *_, last = training(pg.A2C(envs=2, horizon=8), world, 2, 40, dtype=torch.float64)
    played = pg.evaluate(last.policy, 2, max_episode_steps=20)
    assert (len(played), played["return"].dtype) == (4, "float64")
    assert (played["length"] <= 20).all()
    (step, *_) = play(last.policy.world(), last.policy)
    assert (step.obs.dtype, step.reward.dtype) == (torch.float64, torch.float64)
    with pytest.raises(
        ValueError, match=r"computes in torch\.float32, the policy's θ is torch\.float64: make the world"
    ):
        next(play(pg.make(world), last.policy))


def test_the_numbers_are_not_rounded_on_the_way():
    """Of single precision that was made wider the last 29 bits are zeros."""
    *_, last = iterate(ALGORITHMS["ppo"], "Pendulum-v1", pg.Streams(2, dtype=torch.float64), 40)
    for tensor in (last.state.theta, last.state.phi, last.batch.obs, last.batch.action, last.batch.reward):
        assert (tensor != tensor.float().double()).double().mean() > 0.9


def test_rounding_grows_slowly_in_it():
    """A last bit more in one weight: after five iterations still 1e-9, where single precision is off by 1e-3."""
    apart = {}
    for dtype, bit in ((torch.float32, 2e-7), (torch.float64, 4e-16)):
        ends = []
        for nudge in (0, bit):
            world = pg.make("CartPole-v1", 4, **({} if dtype == torch.float32 else {"dtype": dtype}))
            streams = pg.Streams(2, dtype=dtype)
            algorithm = pg.PPO(envs=4, horizon=32)
            (first, *_) = iterate(algorithm, world, streams, 1)
            state = first.state._replace(theta=first.state.theta * (1 + nudge))
            *_, last = iterate(algorithm, world, streams, 6 * 128, after=first._replace(state=state))
            ends.append(last.state.theta.double())
        apart[dtype] = (ends[0] - ends[1]).abs().max().item()
    assert 0 < apart[torch.float64] < 1e-9
    assert apart[torch.float32] > 1e4 * apart[torch.float64]
