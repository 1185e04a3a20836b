"""Updates are pure from outside: what is given in stays valid, and the same arguments give the same bits."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import assert_same, copied, leaves

import pgcourse as pg
from pgcourse.algorithms import DQN, RecurrentPPO, iterate
from pgcourse.algorithms.replay import Replay
from pgcourse.algorithms.state import plain, rebuilt

SMALL = {"envs": 2, "horizon": 16}
PPO = SMALL | {"epochs": 2, "minibatches": 2}
ALGORITHMS = {
    **{f"reinforce {name}": pg.REINFORCE(envs=2, baseline=name) for name in ("none", "leave_one_out", "value")},
    "a2c": pg.A2C(**SMALL),
    "a2c, jointly clipped": pg.A2C(**SMALL, clip_jointly=True, max_grad_norm=0.1),
    **{f"ppo {name}": pg.PPO(**PPO, objective=name) for name in ("clip", "penalty", "surrogate")},
    **{f"ppo {name}": pg.PPO(**PPO, normalize_advantage=name) for name in ("batch", "never")},
    "ppo with moments": pg.PPO(**PPO, normalize_observation=True, normalize_reward=True, clip_reward=1.0),
    "ppo, moments first": pg.PPO(**PPO, normalize_observation=True, moments_first=True, clip_jointly=True),
    "ppo that stops": pg.PPO(**PPO, max_kl=1e-4, value_clip=0.1),
    "recurrent ppo": RecurrentPPO(**PPO, units=8),
    "trpo": pg.TRPO(**SMALL),
    "trpo with moments": pg.TRPO(**SMALL, normalize_observation=True, normalize_reward=True),
    "natural": pg.NaturalGradient(**SMALL),
    "dqn, not yet full": DQN(**SMALL, capacity=500, updates=3, batch=8, target_every=2),
    "dqn, full": DQN(**SMALL, capacity=70, updates=3, batch=8, target_every=2),
}
BEFORE = 3  # updates, so that the smaller memory has been written over


def begun(name, world="CartPole-v1", number=BEFORE):
    """An algorithm, its state after some iterations and the batches that came afterwards."""
    algorithm = ALGORITHMS[name]
    iterations = list(islice(iterate(algorithm, world, pg.Streams(2)), number + 3))
    return algorithm, iterations[number - 1].state, [it.batch for it in iterations[number:]]


def updated(algorithm, state, batch, number=0):
    return algorithm.update(state, batch, 0.1, pg.Streams(2).child(number))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_update_changes_nothing_that_it_was_given(name):
    algorithm, state, batches = begun(name)
    assert len(leaves(state)) >= 5
    given_state, given_batch = copied(state), copied(batches[0])
    after, metrics = updated(algorithm, state, batches[0])
    assert_same(state, given_state)
    assert_same(batches[0], given_batch)
    assert not torch.equal(after.theta, state.theta)
    again, metrics_again = updated(algorithm, state, batches[0])
    assert_same(after, again)
    assert_same(metrics, metrics_again)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_old_state_is_as_good_as_it_was(name):
    """After a chain of updates from its result; and what the chain holds is not disturbed by going back."""
    algorithm, state, batches = begun(name)
    chain = [state]
    for number, batch in enumerate(batches):
        chain.append(updated(algorithm, chain[-1], batch, number)[0])
    kept = [copied(each) for each in chain]
    for number in (0, 2, 1):
        again, _ = updated(algorithm, chain[number], batches[number], number)
        assert_same(again, kept[number + 1])
    for each, before in zip(chain, kept, strict=True):
        assert_same(each, before)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_branches_from_one_state_do_not_meet(name):
    """Against branches that each have a state of their own."""
    algorithm, state, (first, second, third) = begun(name)
    alone = [rebuilt(state, plain(state)) for _ in range(2)]
    a, b = updated(algorithm, state, first)[0], updated(algorithm, state, second)[0]
    a, b = updated(algorithm, a, third)[0], updated(algorithm, b, third)[0]
    for found, own, batch in zip((a, b), alone, (first, second), strict=True):
        assert_same(found, updated(algorithm, updated(algorithm, own, batch)[0], third)[0])


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_states_are_plain_data_and_back(name, world, tmp_path):
    """Through a file that may hold nothing but data; and the training goes on from it bit for bit."""
    algorithm, streams = ALGORITHMS[name], pg.Streams(2)
    made = pg.make(world, algorithm.envs)
    policy, critic = (part(made) for part in (pg.algorithms.default_policy, pg.algorithms.default_critic))
    *_, last = islice(iterate(algorithm, world, streams, policy=policy, critic=critic), 2)
    torch.save(plain(last.state), tmp_path / "state.pt")
    data = torch.load(tmp_path / "state.pt", weights_only=True)
    state = rebuilt(algorithm.init(policy, critic, pg.Streams(2).child("another")), data)
    assert type(state) is type(last.state)
    assert (state.policy, state.critic) == (last.state.policy, last.state.critic)
    assert_same(state, last.state)
    assert_same(updated(algorithm, state, last.batch)[0], updated(algorithm, last.state, last.batch)[0])


def test_a_plain_state_is_not_changed_by_what_follows():
    algorithm, state, batches = begun("dqn, full")
    saved = plain(state)
    before = copied(saved)
    for number, batch in enumerate(batches):
        state, _ = updated(algorithm, state, batch, number)
    assert_same(saved, before)


def test_the_walk_through_a_state_sees_what_there_is():
    """The tests above would pass on a walk that finds nothing."""
    _, state, _ = begun("ppo with moments")
    names = {name for name in leaves(state) if isinstance(leaves(state)[name], torch.Tensor)}
    adam = {f"{part}_adam.{field}" for part in ("theta", "phi") for field in ("mean", "square", "count")}
    moments = {f"rewards.moments.{field}" for field in ("mean", "variance", "number")}
    assert names == {"theta", "phi", "beta", "rewards.ret"} | adam | moments
    _, state, _ = begun("dqn, full")
    columns = {f"replay.{name}" for name in ("seen", "obs", "action", "reward", "next_obs", "terminated")}
    assert columns < set(leaves(state))
    with pytest.raises(AssertionError):
        assert_same(state, state._replace(theta=state.theta + 1))


# The memory


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4), st.booleans()), min_size=1, max_size=25))
def test_every_version_of_a_memory_holds_what_a_list_of_its_own_would(actions):
    """Steps are added to any version, old or new, and versions are read in between, against plain lists."""
    capacity = 4
    versions = [(Replay(capacity), [])]
    number = 0
    for which, count, read in actions:
        replay, model = versions[which % len(versions)]
        steps = [number + i for i in range(count)]
        number += count
        column = torch.tensor([steps, [1000 + step for step in steps]])
        versions.append((replay.added({"a": column, "b": column.float().unsqueeze(-1)}), model + steps))
        if read:
            check_memory(*versions[which // 2 % len(versions)], capacity)
    for version, model in reversed(versions):
        check_memory(version, model, capacity)
    for version, model in versions:
        check_memory(version, model, capacity)


def check_memory(replay, model, capacity):
    assert replay.seen == len(model)
    assert len(replay) == min(len(model), capacity)
    if model:
        index = torch.arange(len(replay)).expand(2, -1)
        held = replay.take(index)
        latest = model[-capacity:]
        assert sorted(held["a"][0].tolist()) == latest
        assert (held["a"][1] == held["a"][0] + 1000).all()
        assert torch.equal(held["b"].squeeze(-1), held["a"].float())
        again = replay.rebuilt(replay.plain())
        assert_same(again.columns(), replay.columns())
        assert again.seen == replay.seen
