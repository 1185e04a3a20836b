"""Training that resumes from any of its checkpoints gives the bits of training that never stopped."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from leaves import assert_same, copied

import pgcourse as pg
from pgcourse.algorithms import Curves
from pgcourse.envs import CartPole

RESTORABLE = ["CartPole-v1", "Pendulum-v1", "Arm2-v0", "gymnasium:CartPole-v1", "Reacher-v5", "Hopper-v5"]
OTHERS = ["BipedalWalker-v3", "LunarLander-v3"]
ALGORITHMS = {
    "a2c": pg.A2C(envs=2),
    "ppo": pg.PPO(envs=2, horizon=16, epochs=2, max_kl=0.01),
    "ppo with memory": pg.PPO(
        envs=2, horizon=16, epochs=2, objective="penalty", normalize_observation=True, normalize_reward=True
    ),
    "reinforce": pg.REINFORCE(envs=2, baseline="value"),
    "dqn": pg.algorithms.DQN(envs=2, capacity=300, updates=2, batch=16, target_every=7),
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
        *((name, world) for name in ("a2c", "reinforce") for world in RESTORABLE + OTHERS),
        ("ppo", "CartPole-v1"),
        ("ppo", "Reacher-v5"),
        ("ppo with memory", "Pendulum-v1"),
        ("dqn", "Arm2-v0"),
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
        assert (checkpoint.world is not None) == (world in RESTORABLE)
    if world in RESTORABLE:  # a checkpoint is as if there had been none
        undisturbed = Curves(steps)
        without, _ = follow(undisturbed, *arguments)
        assert torch.equal(without.policy.theta, last.policy.theta)
        pd.testing.assert_frame_equal(undisturbed.frame([3, 5]), whole.frame([3, 5]), check_exact=True)


@pytest.mark.parametrize("world", RESTORABLE[:-1])
def test_a_checkpoint_is_kept_in_a_file(world, tmp_path):
    """As plain data; and an episode that was under way is gone on with and counted whole."""
    arguments = (ALGORITHMS["a2c"], world, [3, 5], 1000)
    _, [(checkpoint, _), *_] = follow(Curves(1000), *arguments, checkpoint_steps=240)
    assert (checkpoint.episodes.length > 0).any()
    torch.save(checkpoint.world, tmp_path / "world.pt")
    kept = replace(checkpoint, world=torch.load(tmp_path / "world.pt", weights_only=True))
    again, _ = follow(Curves(1000), *arguments, resume=kept)
    assert torch.equal(again.policy.theta, list(pg.training(*arguments))[-1].policy.theta)


class Unable(CartPole):
    """Cannot give its state back."""

    restorable = False


@pytest.mark.parametrize("world", [CartPole, Unable])
def test_a_checkpoint_is_not_changed_by_what_follows(world):
    iterations = pg.training(pg.A2C(envs=2), world, 2, 1000, checkpoint_steps=300)
    checkpoint = next(iteration.checkpoint for iteration in iterations if iteration.checkpoint)
    before = copied(checkpoint)
    list(iterations)
    assert_same(checkpoint, before)
    assert checkpoint.state["theta_adam"]["square"].max() > 0
    assert any(name.startswith("world.") for name in before) == (world is CartPole)


@pytest.mark.parametrize("kind", [CartPole, Unable])
def test_only_worlds_that_cannot_be_restored_are_made_anew_and_at_checkpoints_only(kind):
    made = []

    def world(envs):
        made.append(envs)
        return kind(envs)

    _, checkpoints = follow(Curves(1000), pg.A2C(envs=2), world, 2, 1000, checkpoint_steps=300)
    assert [int(checkpoint.steps.min()) for checkpoint, _ in checkpoints] == [320, 608, 928]
    assert made.count(2) == 1 + (len(checkpoints) if kind is Unable else 0)  # what has one copy was for a trial


def test_no_checkpoint_at_the_end_and_none_unless_asked_for():
    iterations = list(pg.training(pg.A2C(envs=2), "CartPole-v1", 2, 960, checkpoint_steps=480))
    assert [bool(each.checkpoint) for each in iterations].index(True) == 14
    assert iterations[-1].checkpoint is None
    assert not any(each.checkpoint for each in pg.training(pg.A2C(envs=2), "CartPole-v1", 2, 960))
    with pytest.raises(ValueError, match="checkpoint_steps must be 1 or more, got 0"):
        next(pg.training(pg.A2C(), "CartPole-v1", 1, 100, checkpoint_steps=0))
