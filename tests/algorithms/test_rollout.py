"""Rollouts: what the policy sees, what it is told, and where episodes end."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.algorithms import episodes, rollout
from pgcourse.algorithms.architecture import default_policy
from pgcourse.algorithms.curves import Episodes
from pgcourse.core import Streams
from pgcourse.envs import CartPole
from pgcourse.rl import Trajectory


def play(seeds=3, envs=4, steps=120):
    streams, world = Streams(seeds), CartPole(envs)
    policy = default_policy(world)
    theta = policy.init(streams.child("theta"))
    obs = world.reset(streams.child("reset"))
    return *rollout(policy, theta, world, obs, steps, streams.child(0)), policy, theta


def test_the_next_observation_is_the_successor_except_after_an_end():
    batch, last, _, _ = play()
    seen_next = torch.cat([batch.obs[:, 1:], last.unsqueeze(1)], 1)
    running = ~batch.done
    assert batch.done.any()
    assert torch.equal(seen_next[running], batch.next_obs[running])
    # After an end the policy sees a fresh start, within ±0.05, while the successor lies beyond a limit.
    assert seen_next[batch.done].abs().max() <= 0.05
    position, _, angle, _ = batch.next_obs[batch.terminated].unbind(-1)
    assert ((position.abs() > 2.4) | (angle.abs() > np.radians(12))).all()


def test_going_on_from_the_last_observation_is_one_long_rollout():
    streams, world = Streams(2), CartPole(3)
    policy = default_policy(world)
    theta = policy.init(streams.child("theta"))
    first, obs = rollout(policy, theta, world, world.reset(streams.child("reset")), 7, streams.child("a"))
    second, _ = rollout(policy, theta, world, obs, 7, streams.child("b"))
    running = ~first.done[:, -1]
    assert torch.equal(second.obs[:, 0], obs)
    assert torch.equal(second.obs[:, 0][running], first.next_obs[:, -1][running])


def test_whole_episodes_end_where_the_mask_ends():
    streams, world = Streams(3), CartPole(16)
    policy = default_policy(world)
    batch = episodes(policy, policy.init(streams.child("theta")), world, streams.child(0))
    length = batch.mask.sum(1)
    assert batch.mask[:, 0].all()
    assert length.max() == batch.mask.shape[1]  # nobody waits for longer than the longest episode
    ends = (batch.done & batch.mask).sum(1)
    assert (ends == 1).all()
    assert batch.done.gather(1, (length - 1).unsqueeze(1)).all()
    # The mask is a prefix: once over, an episode stays over.
    assert (batch.mask[:, 1:] <= batch.mask[:, :-1]).all()


def test_whole_episodes_are_refused_where_they_may_never_end():
    world = CartPole(2)
    world.time_limit = None
    policy = default_policy(world)
    with pytest.raises(ValueError, match=r"CartPole-v1 has no time limit"):
        episodes(policy, policy.init(Streams(1)), world, Streams(1))


def test_deterministic_episodes_take_the_mode():
    streams, world = Streams(2), CartPole(4)
    policy = default_policy(world)
    theta = 5 * policy.init(streams.child("theta"))
    batch = episodes(policy, theta, world, streams.child(0), deterministic=True)
    assert torch.equal(batch.action, policy(theta, batch.obs).mode)


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 4))
def test_episode_bookkeeping_is_what_a_loop_counts(seed, steps, cuts):
    """Returns of episodes that run across several rollouts, against a plain Python loop."""
    rng = np.random.default_rng(seed)
    shape = (2, steps * cuts, 3)
    reward = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    terminated, truncated = (torch.from_numpy(rng.random(shape) < 0.2) for _ in range(2))
    expected = np.zeros((3, cuts, 2))  # number, return, length by rollout and seed
    for s in range(2):
        for e in range(3):
            total = length = 0
            for t in range(steps * cuts):
                total, length = total + reward[s, t, e].item(), length + 1
                if terminated[s, t, e] or truncated[s, t, e]:
                    expected[:, t // steps, s] += 1, total, length
                    total = length = 0
    tracker = Episodes.start(reward[:, 0])
    for cut in range(cuts):
        part = slice(cut * steps, (cut + 1) * steps)
        batch = Trajectory(
            obs=reward[:, part], action=reward[:, part], reward=reward[:, part], next_obs=reward[:, part],
            terminated=terminated[:, part], truncated=truncated[:, part],
            mask=torch.ones_like(terminated[:, part]),
        )  # fmt: skip
        tracker, counted = tracker.follow(batch)
        np.testing.assert_allclose(np.stack([c.numpy() for c in counted]), expected[:, cut], atol=1e-4)
