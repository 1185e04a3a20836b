"""CartPole without velocities against CartPole, and the round trip against its story told in plain Python."""

import itertools
import math

import pytest
import torch

import pgcourse as pg
from pgcourse.core import Streams
from pgcourse.envs import CartPole, CartPolePositions, Tour

F64 = torch.float64


def test_what_is_hidden_is_all_that_differs():
    shown, hidden = CartPole(5), CartPolePositions(5)
    first, seen = shown.reset(Streams(2)), hidden.reset(Streams(2))
    assert torch.equal(seen, first[..., [0, 2]])
    assert hidden.observation_space.contains(seen[0, 0].numpy())
    actions, noise = Streams(2).integers(2, 100, 5), shown.noise(Streams(2), 100)
    for t in range(100):
        a, b = shown.step(actions[:, t], noise[:, t]), hidden.step(actions[:, t], noise[:, t])
        assert torch.equal(b.obs, a.obs[..., [0, 2]])
        assert torch.equal(b.next_obs, a.next_obs[..., [0, 2]])
        assert all(map(torch.equal, (a.reward, a.terminated, a.truncated), (b.reward, b.terminated, b.truncated)))


def told(cities, actions, penalty):
    """Rewards of one episode, by the story; it ends where the list does."""
    here, visited, rewards = 0, {0}, []
    for action in actions:
        if action in visited:
            rewards.append(-penalty)
            continue
        rewards.append(-math.dist(cities[here], cities[action]))
        here = action
        visited.add(action)
        if len(visited) == len(cities):
            rewards[-1] -= math.dist(cities[here], cities[0])
            break
    return rewards


@pytest.mark.parametrize(("cities", "penalty"), [(2, 0.0), (5, 1.0), (9, 0.3)])
def test_a_round_trip_against_its_story(cities, penalty):
    world, streams = Tour(6, cities, penalty, dtype=F64), Streams(2, dtype=F64)
    obs = world.reset(streams)
    first = world.state()
    time = world.time_limit
    actions, noise = streams.integers(cities, time, 6), world.noise(streams.child("noise"), time)
    for seed, env in itertools.product(range(2), range(6)):
        world.load(first)
        places = first["current"][seed, env, : 2 * cities].view(cities, 2).tolist()
        expected = told(places, actions[seed, :, env].tolist(), penalty)
        masks, rewards = [obs[seed, env, -cities:]], []
        for t in range(len(expected)):
            step = world.step(actions[:, t], noise[:, t])
            rewards.append(step.reward[seed, env].item())
            masks.append(step.next_obs[seed, env, -cities:])
        assert rewards == pytest.approx(expected)
        assert step.terminated[seed, env] == (masks[-1].sum() == 0)
        assert step.truncated[seed, env] == (len(expected) == time)
        valid = [masks[t][a].item() for t, a in enumerate(actions[seed, : len(expected), env].tolist())]
        assert [reward == -penalty for reward in rewards] == [v == 0 for v in valid] or penalty == 0


def test_a_round_trip_shows_how_far_it_is_from_here_and_where_one_has_been():
    world, streams = Tour(1, 4, dtype=F64), Streams(1, dtype=F64)
    before = world.reset(streams)[0, 0]
    places = world.state()["current"][0, 0, :8].view(4, 2)
    after = world.step(torch.tensor([[2]]), world.noise(streams, 1)[:, 0]).obs[0, 0]
    far = torch.cdist(places, places)
    torch.testing.assert_close(before, torch.cat([far[0], torch.tensor([0, 1, 1, 1], dtype=F64)]))
    torch.testing.assert_close(after, torch.cat([far[2], torch.tensor([0, 1, 0, 1], dtype=F64)]))
    assert world.observation_space.contains(after.float().numpy())


def test_a_masked_policy_never_pays_the_penalty_and_a_free_one_does():
    world = pg.make("Tour10-v0", 20)
    for mask, paid in ((True, False), (False, True)):
        policy = pg.algorithms.Architecture(mask_actions=mask).policy(world)
        theta = policy.init(Streams(3))
        batch = pg.algorithms.episodes(policy, theta, world, Streams(3).child("play"))
        assert ((batch.reward == -world.penalty) & batch.mask).any() == paid
        assert mask <= bool((batch.mask.sum(1) == 9).all())


def test_what_makes_no_tour_or_no_mask_is_refused():
    with pytest.raises(ValueError, match="cities must be 2 or more"):
        Tour(cities=1)
    for name in ("Pendulum-v1", "GridWorld-v0"):
        with pytest.raises(ValueError, match=f"{name}: mask_actions takes discrete actions and an observation"):
            pg.algorithms.Architecture(mask_actions=True).policy(pg.make(name))
