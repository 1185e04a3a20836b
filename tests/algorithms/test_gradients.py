"""The gradient an algorithm steps along, against the exact one of a known MDP."""

import math

import pytest
import torch

from pgcourse.algorithms import REINFORCE
from pgcourse.core import Critic, Streams, Table
from pgcourse.core.adam import Adam
from pgcourse.exact.builders import random_mdp
from pgcourse.stats import z_threshold

SEEDS = 400  # independent gradients at the same θ
MDP = random_mdp(states=4, actions=3, seed=5)


def gradients(algorithm):
    """ĝ of every seed, at a θ and φ that are the same for all."""
    streams = Streams(SEEDS)
    state = algorithm.init(MDP.policy, Critic(Table(MDP.states, 1)), streams)
    theta = Streams([7]).normal(MDP.policy.size).expand_as(state.theta)
    phi = Streams([8]).normal(MDP.states).expand_as(state.phi)
    exact = MDP.gradient(theta[:1].double())[0]
    batch = MDP.rollouts(theta.double(), streams.child("play"), algorithm.envs)
    after, _ = algorithm.update(state._replace(theta=theta, phi=phi), batch)
    return -after.theta_adam.mean.double() / (1 - Adam(1.0).beta1), exact  # Adam's first mean is a part of the gradient


def max_z(sample, exact):
    """The largest |z| over the components that any sample touches; elsewhere the gradient must be exactly 0."""
    std = sample.std(0)
    touched = std > 0
    assert (exact[~touched] == 0).all()
    return ((sample.mean(0) - exact)[touched] / (std[touched] / math.sqrt(len(sample)))).abs().max()


@pytest.mark.parametrize("weight", ["reward_to_go", "return"])
@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "value"])
def test_reinforce_steps_along_the_policy_gradient(weight, baseline):
    """γ^t kept, every weight and baseline is unbiased: E[ĝ] = ∇J. Even with a critic that knows nothing."""
    keep = weight == "reward_to_go"  # G_0 = Σ γ^t r_t has its discount inside
    algorithm = REINFORCE(envs=32, gamma=MDP.gamma, weight=weight, baseline=baseline, keep_discount=keep)
    sample, exact = gradients(algorithm)
    assert max_z(sample, exact) < z_threshold(exact.numel())


def test_the_test_sees_a_dropped_discount():
    sample, exact = gradients(REINFORCE(envs=32, gamma=MDP.gamma, baseline="none", keep_discount=False))
    assert max_z(sample, exact) > 2 * z_threshold(exact.numel())
    dropped = MDP.gradient_without_discount(Streams([7]).normal(MDP.policy.size).double())[0]
    assert max_z(sample, dropped) < z_threshold(exact.numel())


def test_a_baseline_lowers_the_variance():
    def spread(baseline):
        sample, _ = gradients(REINFORCE(envs=32, gamma=MDP.gamma, baseline=baseline, keep_discount=True))
        return sample.var(0).sum()

    assert spread("leave_one_out") < spread("none")


def test_padding_may_hold_anything():
    """Neither the loss nor its gradient sees it: masked before the product, for 0 · NaN would be NaN."""
    algorithm = REINFORCE(envs=8)
    batch = MDP.rollouts(MDP.policy.init(Streams(2, dtype=torch.float64)), Streams(2), 8)
    assert (~batch.mask).any()
    log_prob = torch.full(batch.mask.shape, -0.5)
    weight = torch.ones_like(log_prob)

    def loss_and_gradient(log_prob, weight):
        log_prob = log_prob.clone().requires_grad_()
        loss = algorithm.loss(log_prob, weight, batch.mask)
        return loss, torch.autograd.grad(loss.sum(), log_prob)[0]

    clean = loss_and_gradient(log_prob, weight)
    poisoned = (x.masked_fill(~batch.mask, float("nan")) for x in (log_prob, weight))
    for expected, found in zip(clean, loss_and_gradient(*poisoned), strict=True):
        assert torch.equal(found, expected)
