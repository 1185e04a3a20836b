import pytest
import torch

from pgcourse.algorithms import Architecture
from pgcourse.algorithms.acting import rollout
from pgcourse.core import Streams
from pgcourse.rlhf import RewardModel, ScalarHead, Writing


def lengths(prompt, response):
    return (response != 0).sum(-1).float()


@pytest.fixture
def world(policy, critic):
    return lambda envs, judge=lengths, **options: Writing(envs, judge=judge, policy=policy, critic=critic, **options)


def test_an_episode_is_a_response_and_its_reward_the_score(world, policy):
    streams = Streams(2)
    env = world(6, group=3)
    obs = env.reset(streams.child("reset"))
    batch, after = rollout(policy, policy.init(streams), env, obs, 2, streams)
    assert batch.action.shape == (2, 2, 6, 28)
    assert torch.equal(batch.reward, lengths(None, batch.action))
    assert batch.terminated.all()
    assert torch.equal(batch.obs[:, 0], obs)
    assert torch.equal(batch.next_obs, batch.obs)  # the prompt that was answered
    assert not torch.equal(after, batch.obs[:, 1])


def test_copies_of_a_group_get_one_prompt(world):
    env = world(10, group=4)  # the last group is what is left
    prompt = env.reset(Streams(3))
    for first, last in ((0, 4), (4, 8), (8, 10)):
        assert (prompt[:, first:last] == prompt[:, first : first + 1]).all()
    topics = world(4_000, group=4).reset(Streams(1))[0, ::4, 1].bincount()
    assert len(topics[topics > 0]) == 6
    with pytest.raises(ValueError, match="group must be 1 or more, got 0"):
        world(4, group=0)


def test_each_seed_has_its_own_reward_model(world, small, policy):
    head = ScalarHead(small)
    psi = torch.zeros(3, head.size)
    psi[:, -1] = torch.tensor([10.0, 20.0, 30.0])  # the bias alone: a constant reward
    streams = Streams([2, 0])
    env = world(4, judge=RewardModel(head, psi))
    batch, _ = rollout(policy, policy.init(streams), env, env.reset(streams), 1, streams)
    assert batch.reward[:, 0].tolist() == [[30.0] * 4, [10.0] * 4]
    with pytest.raises(ValueError, match="none of 5"):
        env.reset(Streams([5]))
    other = world(4, judge=RewardModel(head, psi))  # a world that goes on from another's state judges as that one
    other.load(env.state())
    again, _ = rollout(policy, policy.init(streams), other, env.current, 1, streams)
    assert torch.equal(again.reward, batch.reward)


def test_the_networks_are_the_worlds_own(world, policy, critic):
    assert Architecture().policy(world(2)) is policy
    assert Architecture().critic(world(2)) is critic
