"""A world that was saved and loaded into another object goes on bit for bit as the first one does."""

import importlib.util

import pytest
import torch
from gymnasium import spaces

from pgcourse import envs
from pgcourse.core import Streams

CLASSIC = ["CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1", "Pendulum-v1"]
MUJOCO = ["Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum", "InvertedPendulum"]
MUJOCO += ["Pusher", "Reacher", "Swimmer", "Walker2d"]
MINATAR = ["Asterix-v1", "Breakout-v0", "Freeway-v1", "Seaquest-v1", "SpaceInvaders-v1"]
LIMITS = {
    **dict.fromkeys(envs.WORLDS),
    **{f"gymnasium:{id}": 40 for id in CLASSIC},
    **dict.fromkeys(["FrozenLake-v1", "Taxi-v4", "CliffWalking-v1"], 40),
    **{f"{name}-v5": 15 for name in MUJOCO},
    **{f"MinAtar/{game}": 90 for game in MINATAR},
}


def build(name, **options):
    if name.startswith("MinAtar/") and name not in envs.WORLDS and importlib.util.find_spec("minatar") is None:
        pytest.skip('MinAtar is not installed (pip install "pgcourse[game]")')
    limit = {} if LIMITS[name] is None else {"max_episode_steps": LIMITS[name]}
    return envs.make(name, 2, **limit, **options)


def act(world, streams, steps):
    if isinstance(world.action_space, spaces.Discrete):
        return streams.integers(int(world.action_space.n), steps, world.envs)
    return streams.normal(steps, world.envs, *world.action_space.shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LIMITS)
def test_goes_on_bit_for_bit(name, dtype):
    """Twice over: saved in the middle of an episode, and right after an end."""
    streams, steps = Streams([0, 7], dtype=dtype), LIMITS[name] or 120
    world = build(name, dtype=dtype)
    assert world.restorable
    world.reset(streams)
    actions, noise = act(world, streams.child("actions"), 3 * steps), world.noise(streams.child("noise"), 3 * steps)
    saved, taken = {}, []
    for t in range(3 * steps):
        if t in (steps // 2, steps):
            saved[t] = world.state()
        taken.append(world.step(actions[:, t], noise[:, t]))
    assert any(step.terminated.any() or step.truncated.any() for step in taken[steps:]) or (world.time_limit or 0) > 200
    for start, state in saved.items():
        again = build(name, dtype=dtype)
        again.load({key: value.clone() for key, value in state.items()})
        for t in range(start, 3 * steps):
            for now, before in zip(again.step(actions[:, t], noise[:, t]), taken[t], strict=True):
                assert torch.equal(now, before), t


@pytest.mark.parametrize("name", ["CartPole-v1", "gymnasium:CartPole-v1"])
def test_a_seed_is_a_row(name):
    world = build(name)
    world.reset(Streams(3))
    assert all(value.shape[:2] == (3, 2) for value in world.state().values())
    with pytest.raises(ValueError, match="a state of 2 copies a seed does not fit a world of 5"):
        envs.make(name, 5).load(world.state())


def test_what_is_not_restorable_says_so():
    world = envs.make("LunarLander-v3")
    world.reset(Streams(1))
    assert not world.restorable
    with pytest.raises(RuntimeError, match="LunarLander-v3 does not give its state back"):
        world.state()
    with pytest.raises(RuntimeError, match="LunarLander-v3 does not take a state back"):
        world.load({})


def test_before_reset_there_is_nothing_to_save():
    with pytest.raises(RuntimeError, match="Acrobot-v1 is not running"):
        envs.make("Acrobot-v1").state()
