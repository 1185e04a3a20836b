"""Training on another device, on machines that have none: fake tensors compute shapes, types and devices only, and
raise where tensors of two devices meet."""

import itertools

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import pgcourse as pg
from pgcourse.algorithms import Architecture
from pgcourse.algorithms.dqn import DQN
from pgcourse.core import Conv, Critic, SoftmaxPolicy

DEVICE = "lazy:0"  # one that fake tensors take without support for it; the program does not know which one it is


@pytest.fixture
def fake(monkeypatch):
    """Fake tensors have no values; what a program asks for on its way is answered as in an uneventful training."""
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: True)
    monkeypatch.setattr(torch.Tensor, "item", lambda self: 1)
    monkeypatch.setattr(torch.Tensor, "nonzero", lambda self: self.new_empty(0, self.ndim))
    with FakeTensorMode(allow_non_fake_inputs=True):  # constants from when the package was imported
        yield


def test_the_check_can_fail(fake):
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(2, device=DEVICE) + torch.ones(2)


@pytest.mark.parametrize(
    ("algorithm", "env"),
    [
        (pg.PPO(envs=2, horizon=4, minibatches=2, epochs=2), "CartPole-v1"),
        (pg.PPO(envs=2, horizon=4, minibatches=2, epochs=2, normalize_reward=True), "Pendulum-v1"),
        (pg.PPO(envs=2, horizon=4, minibatches=2, epochs=2, objective="penalty"), "MinAtar/Breakout-v1"),
        (pg.REINFORCE(envs=2), "CartPole-v1"),
        (pg.A2C(envs=2, horizon=4), "CartPole-v1"),
        (pg.TRPO(envs=2, horizon=4, cg_steps=2, critic_steps=2, backtracks=1), "Pendulum-v1"),
        (DQN(envs=2, horizon=4, batch=4, capacity=100), "CartPole-v1"),
    ],
)
def test_all_tensors_of_a_training_are_on_its_device(fake, algorithm, env):
    for iteration in itertools.islice(pg.training(algorithm, env, 3, 1000, device=DEVICE), 2):
        assert iteration.policy.theta.device == torch.device(DEVICE)
        for tensor in (iteration.steps, iteration.total_return, *iteration.metrics.values()):
            assert tensor.device == torch.device(DEVICE)


@pytest.mark.parametrize("start", ["orthogonal", "uniform"])
def test_parameters_start_on_the_device_of_their_streams(fake, start):
    streams = pg.Streams(2, device=DEVICE)
    world = pg.make("Pendulum-v1", 1)
    networks = Architecture(start=start).policy(world), Architecture(start=start).critic(world)
    image = Conv((4, 10, 10), 2)
    for part in (*networks, SoftmaxPolicy(image), Critic(image)):
        assert part.init(streams.child("init")).device == torch.device(DEVICE)


def test_the_numbers_of_a_stream_do_not_depend_on_its_device():
    here, there = pg.Streams(2), pg.Streams(2, device="meta").child("a")
    assert there.uniform(3).device.type == there.normal(3).device.type == there.integers(5, 3).device.type == "meta"
    assert here.child("a").uniform(3).device.type == "cpu"


def test_worlds_of_the_cpu_say_so():
    with pytest.raises(ValueError, match=r"Acrobot-v1 is computed on the CPU, not on lazy:0; there, take CartPole-v1"):
        next(pg.training(pg.PPO(), "Acrobot-v1", device=DEVICE))
