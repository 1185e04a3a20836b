"""Modules of torch's as policies and critics, just as they are."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import pgcourse as pg
from pgcourse.core import BernoulliPolicy, GaussianPolicy, MultiDiscretePolicy, SoftmaxPolicy


class World(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (3,))

    def __init__(self, actions):
        self.action_space = actions

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), 1.0, False, False, {}


@pytest.mark.parametrize(
    ("actions", "outputs", "kind"),
    [
        (spaces.Discrete(4, start=2), 4, SoftmaxPolicy),
        (spaces.Box(-1, 1, (2,)), 2, GaussianPolicy),
        (spaces.Box(-1, 1, (2,)), 4, GaussianPolicy),
        (spaces.MultiDiscrete([2, 3]), 5, MultiDiscretePolicy),
        (spaces.MultiBinary(3), 3, BernoulliPolicy),
    ],
)
def test_a_module_is_trained_as_it_is(actions, outputs, kind):
    module, critic = nn.Linear(3, outputs), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    before = torch.cat([each.detach().flatten() for each in module.parameters()])
    algorithm = pg.A2C(envs=2, horizon=4, lr=1e-9)
    run = pg.train(algorithm, lambda: World(actions), seeds=2, steps=8, policy=module, critic=critic)
    assert type(run.policy.policy) is kind
    # Every seed begins with the module's own parameters, and the module keeps them.
    torch.testing.assert_close(run.policy.theta[:, : len(before)], before.expand(2, -1), atol=1e-6, rtol=0)
    assert torch.equal(before, torch.cat([each.detach().flatten() for each in module.parameters()]))
    if isinstance(run.policy.policy, GaussianPolicy):
        assert run.policy.policy.state_dependent_std == (outputs == 4)


def test_what_makes_modules_gives_each_seed_its_own():
    run = pg.train(pg.A2C(lr=1e-9), "CartPole-v1", seeds=2, steps=100, policy=lambda: nn.Linear(4, 2))
    assert (run.policy.theta[0] - run.policy.theta[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            nn.Linear(4, 3),
            r"CartPole-v1: the policy's module has 3 outputs, and actions in Discrete\(2\) take 2, a logit",
        ),
        (
            nn.Linear(5, 2),
            r"Linear as the policy of CartPole-v1 does not take a batch of observations \[2, 4\] of float32",
        ),
        (nn.Unflatten(1, (2, 2)), r"must give \[batch, outputs\] for \[batch, ...\], got \[2, 2, 2\]"),
        (nn.GRU(4, 2), "GRU as the policy of CartPole-v1: it has a memory, .*RecurrentPPO trains one"),
        (3, "the policy must be one of pgcourse.core or a torch.nn.Module, got 3"),
        (lambda obs: obs, "must be a function without arguments that makes a module"),
        (lambda: 3, "must be one of pgcourse.core or a torch.nn.Module, got 3"),
        (nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5)), "dropout"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_write(policy, said):
    with pytest.raises(ValueError, match=said):
        pg.train(pg.A2C(), "CartPole-v1", seeds=1, steps=100, policy=policy)


def test_a_critic_has_one_output():
    with pytest.raises(ValueError, match="the critic's module has 2 outputs, and a value is one"):
        pg.train(pg.A2C(), "CartPole-v1", seeds=1, steps=100, critic=nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"the critic must be one of pgcourse.core or a torch.nn.Module, got 'v'"):
        pg.train(pg.A2C(), "CartPole-v1", seeds=1, steps=100, critic="v")
