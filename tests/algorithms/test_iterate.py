"""The loop: the same numbers as training's, on for as long as it is asked, and on from where it was."""

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import pytest
import torch
from leaves import assert_same, copied

import pgcourse as pg
from pgcourse.algorithms import Iteration, episodes, iterate, rollout, training
from pgcourse.algorithms.architecture import default_critic, default_policy
from pgcourse.envs import CartPole, Pendulum

ALGORITHMS = {
    "ppo": pg.PPO(envs=2, horizon=16, epochs=2),
    "reinforce": pg.REINFORCE(envs=2, baseline="value"),
    "dqn": pg.algorithms.DQN(envs=2, updates=2, batch=8, capacity=100),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_training_is_iterate_with_counting_around_it(name):
    algorithm = ALGORITHMS[name]
    loop = list(iterate(algorithm, "CartPole-v1", pg.Streams([3, 5]), steps=600))
    trained = list(training(algorithm, "CartPole-v1", [3, 5], 600))
    assert [it.number for it in loop] == [each.number for each in trained] == list(range(len(loop)))
    for it, each in zip(loop, trained, strict=True):
        assert torch.equal(it.steps, each.steps)
        present = {name: metric for name, metric in it.metrics._asdict().items() if metric is not None}
        assert_same(present, each.metrics)
        assert torch.equal(it.state.theta[each.active], each.policy.theta[each.active])
        ended = (it.batch.done & it.batch.mask).sum((1, 2))
        if algorithm.horizon is None:
            assert torch.equal(torch.where(each.active, ended, each.episodes), each.episodes)
            returns = it.batch.reward.where(it.batch.mask, 0.0).sum((1, 2))
            assert torch.equal(returns[each.active], each.total_return[each.active])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_is_the_loop_written_out(name):
    """Reset, act, update, with streams that depend on the iteration's number only."""
    algorithm, streams, world = ALGORITHMS[name], pg.Streams(2), CartPole(2)
    state = algorithm.init(default_policy(world), default_critic(world), streams.child("init"))
    obs = None if algorithm.horizon is None else world.reset(streams.child("reset"))
    steps, total = torch.zeros(2, dtype=torch.int64), 200
    for it in islice(iterate(algorithm, CartPole, pg.Streams(2), total), 4):
        noise = streams.child(it.number)
        if algorithm.horizon is None:
            batch = episodes(state.policy, state.theta, world, noise)
        else:
            batch, obs = rollout(state.policy, state.theta, world, obs, algorithm.horizon, noise)
            assert_same(it.obs, obs)
        state, metrics = algorithm.update(state, batch, int(steps.min()) / total, noise.child("update"))
        steps = steps + batch.mask.sum((1, 2))
        for one, other in ((it.batch, batch), (it.state, state), (it.metrics, metrics), (it.steps, steps)):
            assert_same(one, other)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("at", [0, 2])
def test_it_goes_on_from_an_iteration_bit_for_bit(name, at):
    whole = list(islice(iterate(ALGORITHMS[name], "Pendulum-v1", pg.Streams(2)), at + 3))
    world = Pendulum(2)
    *_, last = islice(iterate(ALGORITHMS[name], world, pg.Streams(2)), at + 1)
    assert_same(last, copied(whole[at]))
    further = islice(iterate(ALGORITHMS[name], world, pg.Streams(2), after=last), 2)
    for one, other in zip(further, whole[-2:], strict=True):
        assert_same(one, other)


def test_going_on_takes_the_world_itself():
    (it,) = islice(iterate(ALGORITHMS["ppo"], "CartPole-v1", pg.Streams(1)), 1)
    for world in ("CartPole-v1", CartPole):
        with pytest.raises(ValueError, match="after goes on in the world that it was played in"):
            next(iterate(ALGORITHMS["ppo"], world, pg.Streams(1), after=it))


class NoMetrics(NamedTuple):
    progress: torch.Tensor


class Nothing(NamedTuple):
    policy: object
    critic: object
    theta: torch.Tensor


@dataclass(frozen=True)
class Idle:
    """Learns nothing, and tells what it was given."""

    envs: int = 2
    horizon: int | None = 5

    def init(self, policy, critic, streams):
        return Nothing(policy, critic, policy.init(streams))

    def update(self, state, batch, progress, streams):
        return state, NoMetrics(torch.full((len(batch.reward),), progress, dtype=torch.float64))


def test_without_steps_it_goes_on_for_as_long_as_it_is_asked():
    seen = list(islice(iterate(Idle(), "CartPole-v1", pg.Streams(1)), 300))
    assert [it.number for it in seen] == list(range(300))
    assert [it.steps.item() for it in seen] == list(range(10, 3001, 10))
    assert not any(it.metrics.progress.item() for it in seen)


def test_it_ends_with_the_iteration_that_uses_up_the_steps():
    for steps, iterations in ((1, 1), (10, 1), (11, 2), (40, 4), (41, 5)):
        seen = list(iterate(Idle(), "CartPole-v1", pg.Streams(2), steps))
        assert len(seen) == iterations
        assert [it.metrics.progress[0].item() for it in seen] == [10 * i / steps for i in range(iterations)]
    assert not list(iterate(Idle(), CartPole(2), pg.Streams(2), 40, after=seen[3]))
    with pytest.raises(ValueError, match="steps must be 1 or more, got 0"):
        next(iterate(Idle(), "CartPole-v1", pg.Streams(1), 0))


def test_progress_is_that_of_the_slowest_seed_and_never_above_one():
    seen = list(iterate(Idle(horizon=None), "CartPole-v1", pg.Streams(4), 300))
    before = torch.zeros(4)
    for it in seen:
        assert it.metrics.progress[0].item() == before.min().item() / 300
        before = it.steps
    assert (seen[-1].steps >= 300).all()
    assert seen[-1].steps.max() > 300


def test_who_has_used_up_its_steps_waits_in_episodes_of_one_step():
    seen = list(iterate(Idle(horizon=None), "CartPole-v1", pg.Streams(4), 300))
    before = torch.zeros(4)
    waited = 0
    for it in seen:
        idle = before >= 300
        assert (it.batch.mask[idle].sum(1) == 1).all()
        waited += int(idle.sum())
        before = it.steps
    assert waited > 0


def test_an_iteration_says_what_it_is():
    (it,) = islice(iterate(Idle(), "CartPole-v1", pg.Streams(3)), 1)
    assert isinstance(it, Iteration)
    assert it.batch.reward.shape == (3, 5, 2)
    assert it.obs.shape == (3, 2, 4)
