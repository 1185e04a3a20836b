"""One whole update against the numbers of other libraries, in float64; make.py made them, and says how.

Equal to 1e-12 of the largest change. Both sides clip the norm of the gradients of θ and φ jointly, as those libraries
do, and weigh the critic's loss alike (half of the mean squared error; see make.py).
"""

from pathlib import Path

import numpy as np
import pytest
import torch

import pgcourse as pg
from pgcourse.algorithms import default_critic, default_policy
from pgcourse.core.trust_region import conjugate_gradient, fisher_product
from pgcourse.rl import Trajectory

HERE = Path(__file__).parent
WORLDS = {"choices": "CartPole-v1", "numbers": "Pendulum-v1"}
SHARED = {"envs": 4, "horizon": 32, "gamma": 0.97, "lam": 0.9}
ONE_LOSS = {"lr": 3e-3, "critic_lr": 3e-3, "entropy": 0.01, "max_grad_norm": 0.5, "clip_jointly": True, "anneal": False}
PPO = pg.PPO(**SHARED, **ONE_LOSS, epochs=3, minibatches=4, clip=0.1)
TRPO = pg.TRPO(
    **SHARED, max_kl=0.02, damping=0.05, fisher_every=1, cg_steps=4, backtracks=10, shrink=0.8, critic_lr=3e-3,
    critic_steps=5, adam_eps=5e-6,
)  # fmt: skip


@pytest.fixture(params=WORLDS)
def frozen(request):
    with np.load(HERE / f"{request.param}.npz") as file:
        return {name: torch.tensor(each) for name, each in file.items()} | {"world": WORLDS[request.param]}


class Ordered:
    """Streams that draw the minibatches in given orders."""

    def __init__(self, orders):
        self.orders = iter(orders)

    def uniform(self, size):
        return (next(self.orders).argsort() / size).unsqueeze(0)


def batch_of(frozen):
    names = ("obs", "action", "reward", "next_obs", "terminated", "truncated")
    columns = {name: frozen[name].unsqueeze(0) for name in names}
    return Trajectory(**columns, mask=torch.ones_like(columns["terminated"]))


def update(algorithm, frozen):
    world = pg.make(frozen["world"], 4, dtype=torch.float64)
    policy, critic = default_policy(world, (8, 8)), default_critic(world, (8, 8))
    state = algorithm.init(policy, critic, pg.Streams(1, dtype=torch.float64))
    state = state._replace(theta=frozen["theta"].unsqueeze(0), phi=frozen["phi"].unsqueeze(0))
    return algorithm.update(state, batch_of(frozen), 0.0, Ordered(frozen["orders"]))


def assert_equal(found, expected):
    assert found.dtype == expected.dtype == torch.float64
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * expected.abs().max().item())


def moves(frozen, name):
    """What an update changed, so that equality is not that of what was there before."""
    return frozen[f"{name}_theta"] - frozen["theta"], frozen[f"{name}_phi"] - frozen["phi"]


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("sb3_ppo", PPO),
        ("cleanrl", pg.PPO(**vars(PPO) | {"bootstrap": False})),
        ("sb3_a2c", pg.A2C(**SHARED, **ONE_LOSS)),
        ("trpo", TRPO),
    ],
)
def test_one_update(frozen, name, algorithm):
    state, metrics = update(algorithm, frozen)
    theta, phi = moves(frozen, name)
    assert theta.abs().max() > 1e-3
    assert phi.abs().max() > 1e-3
    assert_equal(state.theta[0] - frozen["theta"], theta)
    assert_equal(state.phi[0] - frozen["phi"], phi)
    assert name != "trpo" or metrics.accepted == 1
    assert (frozen["truncated"] & ~frozen["terminated"]).any()


def test_clipped_each_on_its_own_the_numbers_are_others(frozen):
    state, _ = update(pg.PPO(**vars(PPO) | {"clip_jointly": False}), frozen)
    assert (state.theta[0] - frozen["sb3_ppo_theta"]).abs().max() > 1e-5


def test_fisher_vector_product_and_conjugate_gradients(frozen):
    policy = default_policy(pg.make(frozen["world"], 4, dtype=torch.float64), (8, 8))
    batch = batch_of(frozen)
    fisher = fisher_product(policy, frozen["theta"].unsqueeze(0), batch.obs, batch.mask)
    assert_equal(fisher(frozen["trpo_vector"].unsqueeze(0))[0], frozen["trpo_fisher"])
    x, _ = conjugate_gradient(lambda v: fisher(v) + 0.05 * v, frozen["trpo_gradient"].unsqueeze(0), 4)
    assert_equal(x[0], frozen["trpo_x"])
