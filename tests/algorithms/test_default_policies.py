"""Default architectures: what each space gets, and that it learns."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from pgcourse.algorithms import A2C, Architecture, default_critic, default_policy, rollout, train
from pgcourse.core import (
    MLP,
    BernoulliPolicy,
    BinsPolicy,
    Conv,
    GaussianPolicy,
    Module,
    MultiDiscretePolicy,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Streams,
    Table,
)
from pgcourse.envs.base import Step

VECTOR, NUMBER = spaces.Box(-1, 1, (3,)), spaces.Discrete(7)
IMAGE, SCREEN = spaces.Box(0, 1, (4, 10, 10)), spaces.Box(0, 1, (4, 84, 84))


def world(observation, action, name="World"):
    return SimpleNamespace(name=name, observation_space=observation, action_space=action)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (spaces.Discrete(3), SoftmaxPolicy(MLP((3, 64, 64, 3), last_gain=0.01))),
        (spaces.Box(-1, 1, (2,)), GaussianPolicy(MLP((3, 64, 64, 2), last_gain=0.01))),
        (spaces.MultiDiscrete([2, 4]), MultiDiscretePolicy(MLP((3, 64, 64, 6), last_gain=0.01), (2, 4))),
        (spaces.MultiBinary(5), BernoulliPolicy(MLP((3, 64, 64, 5), last_gain=0.01))),
    ],
)
def test_policies(action, expected):
    assert default_policy(world(VECTOR, action)) == expected


def test_variants_of_the_architecture():
    bounded = world(VECTOR, spaces.Box(np.float32([-1, 0]), np.float32([1, 4]), dtype=np.float32))
    relu = Architecture((8,), "relu", "uniform", log_std=-1.0)
    gaussian = GaussianPolicy(MLP((3, 8, 2), "relu", 0.01, "uniform"), -1.0)
    assert relu.policy(bounded) == gaussian
    assert relu.critic(bounded).network == MLP((3, 8, 1), "relu", start="uniform")
    squashed = dataclasses.replace(relu, std="squashed")
    assert squashed.policy(bounded) == SquashedGaussianPolicy(gaussian, (-1.0, 0.0), (1.0, 4.0))
    bins = Architecture((8,), "relu", "uniform", action_bins=3)
    assert bins.policy(bounded) == BinsPolicy(MLP((3, 8, 6), "relu", 0.01, "uniform"), 3, (-1.0, 0.0), (1.0, 4.0))
    by_state = dataclasses.replace(relu, std="state").policy(bounded)
    assert by_state == GaussianPolicy(MLP((3, 8, 4), "relu", 0.01, "uniform"), -1.0, state_dependent_std=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": (8, 0)}, r"hidden must list sizes of 1 or more, got \(8, 0\)"),
        ({"activation": "gelu"}, "activation must be one of tanh, relu, got 'gelu'"),
        ({"start": "zero"}, "start must be one of orthogonal, uniform, got 'zero'"),
        ({"action_bins": 1}, "action_bins must be 0, for none, or 2 or more; got 1"),
        ({"action_bins": 3, "std": "state"}, "action_bins are no Gaussian"),
        ({"std": "none"}, "std must be one of global, state, squashed, got 'none'"),
    ],
)
def test_unknown_architectures_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Architecture(**options)


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        (VECTOR, MLP((3, 32, 1))),
        (NUMBER, Table(7, 1)),
        (IMAGE, Conv((4, 10, 10), 1, ((16, 3, 1),), (32,))),
        (SCREEN, Conv((4, 84, 84), 1, ((32, 8, 4), (64, 4, 2), (64, 3, 1)), (32,))),
    ],
)
def test_networks(observation, expected):
    assert default_critic(world(observation, NUMBER), (32,)).network == expected


def test_the_small_and_the_large_network_meet_without_a_gap():
    for side in range(3, 45):
        critic = default_critic(world(spaces.Box(0, 1, (3, side, side + 1)), NUMBER), (8,))
        assert critic(critic.init(Streams(1)), torch.zeros(1, 2, 3, side, side + 1)).shape == (1, 2)


@pytest.mark.parametrize("observation", [spaces.Box(0, 1, (84, 84, 3)), spaces.Box(0, 1, (8, 8)), spaces.Text(3)])
def test_observations_without_a_default(observation):
    with pytest.raises(ValueError, match=r"World: no default network for observations in .*; pass `policy=` and"):
        default_policy(world(observation, NUMBER))


@pytest.mark.parametrize("action", [spaces.Box(-1, 1, (2, 2)), spaces.MultiDiscrete([[2, 2]]), spaces.Text(3)])
def test_actions_without_a_default(action):
    with pytest.raises(ValueError, match=r"World: no default policy for actions in .*; pass `policy=`"):
        default_policy(world(VECTOR, action))


class Match:
    """A reward of 1 for the action that answers the observation; every episode is one step.

    Switches are to copy the signs of the observation, choices its first two, numbers its values; of an image, the lit
    channel is to be named.
    """

    name, time_limit = "Match", 1

    def __init__(self, observation_space, action_space, envs):
        self.observation_space, self.action_space, self.envs = observation_space, action_space, envs

    def reset(self, streams):
        self.obs = self.observe(self.noise(streams, 1)[:, 0])
        return self.obs

    def noise(self, streams, steps):
        return 2 * streams.uniform(steps, self.envs, *self.observation_space.shape) - 1

    def observe(self, noise):
        if noise.ndim == 3:
            return noise
        lit = noise[..., 0, 0].argmax(-1)
        return torch.nn.functional.one_hot(lit, noise.shape[2])[..., None, None].float().expand_as(noise)

    def step(self, action, noise):
        signs = (self.obs > 0).long()
        match self.action_space:
            case spaces.Discrete():
                reward = (action == self.obs[..., 0, 0].argmax(-1)).float()
            case spaces.MultiBinary():
                reward = (action == signs).float().mean(-1)
            case spaces.MultiDiscrete():
                reward = (action == torch.stack([signs[..., 0], signs[..., 1] * 2], -1)).float().mean(-1)
            case _:
                reward = 1 - (action - self.obs).abs().mean(-1)
        self.obs = self.observe(noise)
        done = torch.ones(reward.shape, dtype=torch.bool)
        return Step(self.obs, reward, self.obs, done, ~done)


def own_network():
    return torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.GELU(), torch.nn.Linear(32, 3))


@pytest.mark.parametrize(
    ("observation", "action", "policy", "good"),
    [
        (spaces.Box(-1, 1, (3,)), spaces.MultiBinary(3), None, 0.85),
        (spaces.Box(-1, 1, (3,)), spaces.MultiDiscrete([2, 3]), None, 0.85),
        (spaces.Box(0, 1, (3, 5, 5)), spaces.Discrete(3), None, 0.85),
        (spaces.Box(-1, 1, (3,)), spaces.MultiBinary(3), BernoulliPolicy(Module(own_network, (3,), 3)), 0.85),
        (
            spaces.Box(-1, 1, (3,)),
            spaces.Box(-1, 1, (3,)),
            SquashedGaussianPolicy(GaussianPolicy(MLP((3, 32, 3))), (-1,) * 3, (1,) * 3),
            0.65,
        ),
        (spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (3,)), BinsPolicy(MLP((3, 32, 27)), 9, (-1,) * 3, (1,) * 3), 0.65),
        (
            spaces.Box(-1, 1, (3,)),
            spaces.Box(-1, 1, (3,)),
            GaussianPolicy(MLP((3, 32, 6), last_gain=0.01), state_dependent_std=True),
            0.85,
        ),
    ],
    ids=["switches", "choices", "images", "own-module", "squashed", "bins", "state-dependent-std"],
)
def test_every_kind_of_policy_learns(observation, action, policy, good):
    """From what chance gives, a half at most, to most of what there is to be had, in every seed."""

    def make(envs):
        return Match(observation, action, envs)

    algorithm = A2C(envs=32, horizon=4, lr=1e-2, critic_lr=1e-2)
    run = train(algorithm, make, seeds=3, steps=20_000, policy=policy)
    trained, test_world = run.policy, make(200)
    start = trained.policy.init(Streams(3).child("fresh"))
    for theta, learnt in ((start, False), (trained.theta, True)):
        obs = test_world.reset(Streams(3).child("test"))
        batch, _ = rollout(trained.policy, theta, test_world, obs, 2, Streams(3).child("act"))
        reward = batch.reward.mean((1, 2))
        assert (reward > good).all() if learnt else (reward < 0.6).all(), reward
    assert np.isfinite(run.curves["entropy"]).all()
