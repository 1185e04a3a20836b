"""Training that resumes from any of its checkpoints gives the bits of training that never stopped."""

import copy

import pandas as pd
import pytest
import torch

import pgcourse as pg
from pgcourse.algorithms import Curves
from pgcourse.envs import CartPole

WORLDS = [
    "CartPole-v1",
    "Pendulum-v1",
    "gymnasium:CartPole-v1",
    "BipedalWalker-v3",
    "LunarLander-v3",
    "Reacher-v5",
    "Hopper-v5",
]
ALGORITHMS = {
    "a2c": pg.A2C(envs=2),
    "ppo": pg.PPO(envs=2, horizon=16, epochs=2, max_kl=0.01),
    "ppo with memory": pg.PPO(
        envs=2, horizon=16, epochs=2, objective="penalty", normalize_observation=True, normalize_reward=True
    ),
    "reinforce": pg.REINFORCE(envs=2, baseline="value"),
}


def follow(curves, *arguments, **options):
    """Drain training; its last iteration and all its checkpoints, each with what had been reported until then."""
    checkpoints = []
    for iteration in pg.training(*arguments, **options):
        curves.add(iteration)
        if iteration.checkpoint:
            checkpoints.append((iteration.checkpoint, curves.iterations()))
    return iteration, checkpoints


@pytest.mark.parametrize(
    ("algorithm", "world"),
    [
        *((name, world) for name in ("a2c", "reinforce") for world in WORLDS),
        ("ppo", "CartPole-v1"),
        ("ppo", "Reacher-v5"),
        ("ppo with memory", "Pendulum-v1"),
    ],
)
def test_resumed_from_any_checkpoint_training_gives_the_same_bits(algorithm, world):
    steps = 3000 if algorithm == "reinforce" else 1000
    arguments, every = (ALGORITHMS[algorithm], world, [3, 5], steps), steps // 4 - 10
    whole = Curves(steps)
    last, checkpoints = follow(whole, *arguments, checkpoint_steps=every)
    assert len(checkpoints) >= (1 if algorithm == "reinforce" else 4)
    for checkpoint, before in checkpoints:
        resumed = Curves(steps, before)
        again, _ = follow(resumed, *arguments, checkpoint_steps=every, resume=checkpoint)
        assert torch.equal(again.policy.theta, last.policy.theta)
        assert torch.equal(again.steps, last.steps)
        pd.testing.assert_frame_equal(resumed.frame([3, 5]), whole.frame([3, 5]), check_exact=True)


def test_a_checkpoint_is_not_changed_by_what_follows():
    iterations = pg.training(pg.A2C(envs=2), "CartPole-v1", 2, 1000, checkpoint_steps=300)
    checkpoint = next(iteration.checkpoint for iteration in iterations if iteration.checkpoint)
    before = copy.deepcopy(checkpoint)
    list(iterations)
    for name in ("steps", "final", "obs", "state", "episodes", "world"):
        torch.testing.assert_close(getattr(checkpoint, name), getattr(before, name), rtol=0, atol=0)
    assert checkpoint.state["theta_adam"]["square"].max() > 0


def test_worlds_are_made_anew_at_checkpoints_only():
    made = []

    def world(envs):
        made.append(envs)
        return CartPole(envs)

    _, checkpoints = follow(Curves(1000), pg.A2C(envs=2), world, 2, 1000, checkpoint_steps=300)
    assert [int(checkpoint.steps.min()) for checkpoint, _ in checkpoints] == [320, 608, 928]
    assert len(made) == 1 + len(checkpoints)


def test_no_checkpoint_at_the_end_and_none_unless_asked_for():
    iterations = list(pg.training(pg.A2C(envs=2), "CartPole-v1", 2, 960, checkpoint_steps=480))
    assert [bool(each.checkpoint) for each in iterations].index(True) == 14
    assert iterations[-1].checkpoint is None
    assert not any(each.checkpoint for each in pg.training(pg.A2C(envs=2), "CartPole-v1", 2, 960))
    with pytest.raises(ValueError, match="checkpoint_steps must be 1 or more, got 0"):
        next(pg.training(pg.A2C(), "CartPole-v1", 1, 100, checkpoint_steps=0))
