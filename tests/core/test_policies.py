"""Policies: the right distribution from the right part of θ."""

import math

import pytest
import torch

from pgcourse.core import MLP, Critic, GaussianPolicy, SoftmaxPolicy, Streams, Table

F64 = torch.float64


def test_softmax_policy_is_the_softmax_of_the_network():
    network = MLP((3, 8, 4))
    policy = SoftmaxPolicy(network)
    streams = Streams(2)
    theta = policy.init(streams.child("init"), F64)
    obs = streams.normal(5, 3, dtype=F64)
    assert theta.shape == (2, policy.size)
    torch.testing.assert_close(policy(theta, obs).probs, network(theta, obs).softmax(-1))
    noise = policy.noise(streams, 5)
    assert noise.shape == (2, 5)
    assert policy(theta, obs).sample(noise).dtype == torch.int64


@pytest.mark.parametrize("batch", [(), (5,), (5, 6)])
def test_gaussian_policy_learns_its_mean_and_one_spread_an_action(batch):
    network = MLP((3, 8, 2))
    policy = GaussianPolicy(network, log_std=-0.5)
    streams = Streams(2)
    theta = policy.init(streams.child("init"), F64)
    assert theta.shape == (2, network.size + 2)
    theta[1, -2:] = torch.tensor([0.0, math.log(3.0)])
    obs = streams.normal(*batch, 3, dtype=F64)
    dist = policy(theta, obs)
    torch.testing.assert_close(dist.mean, network(theta[:, : network.size], obs))
    assert dist.std.shape == (2, *batch, 2)
    torch.testing.assert_close(dist.std[0], torch.full((*batch, 2), math.exp(-0.5), dtype=F64))
    torch.testing.assert_close(dist.std[1], torch.tensor([1.0, 3.0], dtype=F64).expand(*batch, 2))
    assert policy.noise(streams, *batch).shape == (2, *batch, 2)
    assert dist.log_prob(dist.sample(policy.noise(streams, *batch).double())).shape == (2, *batch)


def test_a_small_last_gain_makes_the_first_policy_nearly_uniform():
    policy = SoftmaxPolicy(MLP((4, 64, 64, 3), last_gain=0.01))
    streams = Streams(5)
    dist = policy(policy.init(streams.child("init")), streams.normal(100, 4))
    assert (dist.probs - 1 / 3).abs().max() < 0.02


def test_critic_gives_one_number_a_state():
    critic = Critic(Table(4, 1))
    phi = torch.arange(8.0).view(2, 4)
    assert critic(phi, torch.tensor([[3, 0, 0], [1, 2, 3]])).tolist() == [[3, 0, 0], [5, 6, 7]]
    assert critic.init(Streams(2)).shape == (2, critic.size)
