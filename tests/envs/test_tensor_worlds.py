"""What every tensor world must keep to: shapes, spaces, automatic resets, time limits, seeds that do not mix."""

from collections.abc import Callable

import pytest
import torch
from gymnasium import spaces
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pgcourse import envs
from pgcourse.core import Streams
from pgcourse.envs import (
    PROBES,
    CartPole,
    CartPolePositions,
    Diver,
    DoubleIntegrator,
    Forever,
    GridWorld,
    Pendulum,
    ScalarLQR,
    Step,
    TabularWorld,
    TensorWorld,
    Tour,
)
from pgcourse.exact import random_mdp

WORLDS: dict[str, Callable[[int], TensorWorld]] = {
    "CartPole": CartPole,
    "CartPolePositions": CartPolePositions,
    "Pendulum": Pendulum,
    "Tour": Tour,
    "Diver": Diver,
    "TabularWorld": lambda envs: TabularWorld(random_mdp(), envs),
    "GridWorld": GridWorld,
    "ScalarLQR": ScalarLQR,
    "DoubleIntegrator": DoubleIntegrator,
    **{probe.__name__: probe for probe in (*PROBES, Forever)},
}
TIME = 230  # beyond Pendulum's limit, and some ten episodes of CartPole under random actions


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())
def build(request):
    return request.param


def random_actions(world: TensorWorld, streams: Streams, steps: int) -> Tensor:
    if isinstance(world.action_space, spaces.Discrete):
        return streams.integers(int(world.action_space.n), steps, world.envs)
    return streams.normal(steps, world.envs, *world.action_space.shape)


def play(build, seeds, envs=3, steps=TIME) -> tuple[Tensor, list[Step], TensorWorld]:
    world, streams = build(envs), Streams(seeds)
    first = world.reset(streams)
    actions, noise = random_actions(world, streams.child("actions"), steps), world.noise(streams.child("noise"), steps)
    return first, [world.step(actions[:, t], noise[:, t]) for t in range(steps)], world


def test_shapes_and_dtypes(build):
    first, steps, world = play(build, 2)
    space = world.observation_space
    shape = (2, 3, *space.shape)
    dtype = torch.int64 if isinstance(space, spaces.Discrete) else torch.float32
    assert first.shape == shape
    assert first.dtype == dtype
    for step in steps:
        assert step.obs.shape == step.next_obs.shape == shape
        assert step.obs.dtype == step.next_obs.dtype == dtype
        assert step.reward.shape == step.terminated.shape == step.truncated.shape == (2, 3)
        assert (step.reward.dtype, step.terminated.dtype, step.truncated.dtype) == (
            torch.float32,
            torch.bool,
            torch.bool,
        )


def test_observations_lie_in_the_space(build):
    first, steps, world = play(build, 2)
    for obs in [first] + [obs for step in steps for obs in (step.obs, step.next_obs)]:
        for value in obs.flatten(0, 1).numpy():
            assert world.observation_space.contains(value)


def test_steps_chain_until_an_episode_ends(build):
    """Between ends `obs` is `next_obs`, and the world goes on from it: what a step returns stays as it was."""
    _, steps, _ = play(build, 3)
    for step in steps:
        ends = step.terminated | step.truncated
        assert torch.equal(step.obs[~ends], step.next_obs[~ends])


def test_time_limit_counts_from_each_start(build):
    """`truncated` comes exactly `time_limit` steps after the episode's start, never without a limit."""
    _, steps, world = play(build, 3)
    age = torch.zeros(3, 3, dtype=torch.int64)
    ends = torch.zeros(3, 3, dtype=torch.bool)
    for step in steps:
        age = torch.where(ends, 1, age + 1)
        assert torch.equal(step.truncated, age == (world.time_limit or -1))
        ends = step.terminated | step.truncated


def test_a_new_episode_starts_as_a_reset_does(build):
    """After an end, `obs` is a start: `initial` of the step's own noise, and `next_obs` is left alone."""
    world, streams = build(4), Streams(2)
    world.reset(streams)
    actions, noise = random_actions(world, streams, TIME), world.noise(streams, TIME)
    found = False
    for t in range(TIME):
        before = world.current.clone()
        step = world.step(actions[:, t], noise[:, t])
        successor, reward, terminated = world.transition(
            before, actions[:, t], noise[:, t, :, : world.transition_noise]
        )
        start = world.observe(world.initial(noise[:, t, :, world.transition_noise :]))
        ends = step.terminated | step.truncated
        assert torch.equal(step.next_obs, world.observe(successor))
        assert torch.equal(step.reward, reward)
        assert torch.equal(step.terminated, terminated)
        assert torch.equal(step.obs[ends], start[ends])
        assert torch.equal(world.observe(world.current), step.obs)
        found |= bool(ends.any())
    assert found or world.time_limit is None or world.time_limit > TIME


def test_seeds_do_not_mix(build):
    """Each seed beside others gives bit for bit what it gives alone."""
    first, together, _ = play(build, 5, envs=7)
    for seed in range(5):
        alone_first, alone, _ = play(build, [seed], envs=7)
        assert torch.equal(alone_first[0], first[seed])
        for one, all_ in zip(alone, together, strict=True):
            for column, columns in zip(one, all_, strict=True):
                assert torch.equal(column[0], columns[seed])


def test_repeats_bit_for_bit(build):
    _, once, _ = play(build, 2)
    _, again, _ = play(build, 2)
    assert all(torch.equal(x, y) for a, b in zip(once, again, strict=True) for x, y in zip(a, b, strict=True))


def test_no_copies_is_refused(build):
    with pytest.raises(ValueError, match="envs must be 1 or more, got 0"):
        build(0)


class NoSingles(TorchDispatchMode):
    """Refuses every float32 tensor that an operation makes."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert not any(x.dtype == torch.float32 for x in tree_leaves(made) if isinstance(x, Tensor)), func
        return made


@pytest.mark.parametrize("name", envs.WORLDS)
def test_in_float64_nothing_is_float32(name):
    with NoSingles():
        world, streams = envs.make(name, 3, dtype=torch.float64), Streams(2, dtype=torch.float64)
        world.reset(streams)
        actions, noise = random_actions(world, streams.child("actions"), 120), world.noise(streams, 120)
        ends = [world.step(actions[:, t], noise[:, t])[3:] for t in range(120)]
    assert any(end.any() for pair in ends for end in pair) or world.time_limit > 120


def test_streams_of_another_dtype_are_refused():
    with pytest.raises(ValueError, match=r"CartPole-v1 computes in torch\.float64, its streams draw in torch\.float32"):
        CartPole(dtype=torch.float64).reset(Streams(1))
