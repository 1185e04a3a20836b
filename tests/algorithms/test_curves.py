"""Curves: a world that has to be restarted leaves no trace in them."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from gymnasium import spaces
from test_iterate import Idle

import pgcourse as pg
from pgcourse.algorithms import Curves
from pgcourse.algorithms.curves import REPORTS, Episodes
from pgcourse.core import MLP, SoftmaxPolicy
from pgcourse.envs.base import TensorWorld
from pgcourse.rl import Trajectory


class Lasting(TensorWorld):
    """Episodes of 1 to 100 steps, all equally likely, with reward 1 a step, whatever anybody does; not restorable."""

    name, restorable = "Lasting", False
    observation_space, action_space = spaces.Box(0, 100, (1,)), spaces.Discrete(2)
    initial_noise = 1

    def initial(self, noise):
        return 1 + (100 * noise).floor()

    def transition(self, state, action, noise):
        state = state - 1
        return state, torch.ones_like(state[..., 0]), state[..., 0] <= 0


SEEDS, WINDOW, EVERY = 300, 30, 60  # iterations of 10 steps of each of 4 copies; six mean episodes in a window


def pooled(iterations):
    """The mean return of all episodes that ended in these iterations, and its standard error: seeds are independent."""
    number, total = (
        torch.stack([getattr(each, name).double() for each in iterations]).sum(0)
        for name in ("episodes", "total_return")
    )
    mean = total.sum() / number.sum()
    return mean.item(), ((total - mean * number).std() * math.sqrt(SEEDS) / number.sum()).item()


def jumps():
    """The mean after each restart minus that before it, in standard errors."""
    policy, algorithm = SoftmaxPolicy(MLP((1, 2))), Idle(envs=4, horizon=10)
    seen = list(pg.training(algorithm, Lasting, SEEDS, 40 * 3 * EVERY, policy, checkpoint_steps=40 * EVERY))
    restarts = [each.number + 1 for each in seen if each.checkpoint]
    assert restarts == [EVERY, 2 * EVERY]
    for at in restarts:
        (before, error), (after, other) = pooled(seen[at - WINDOW : at]), pooled(seen[at : at + WINDOW])
        assert before == pytest.approx(50.5, abs=4 * error)
        yield (after - before) / math.hypot(error, other)


def test_the_curve_of_a_policy_that_stays_the_same_is_flat_where_worlds_are_restarted():
    assert all(abs(z) < 2.5 for z in jumps())


def until_all_have_ended_one(episodes):
    """A rule that is too simple: at that moment one copy is at the start of an episode, and others are near."""
    return episodes._replace(
        ret=torch.zeros_like(episodes.ret),
        length=torch.zeros_like(episodes.length),
        first=torch.ones_like(episodes.first),
        wait=torch.full_like(episodes.wait, -(10**6)),
    )


@pytest.mark.parametrize(
    ("rule", "below"),
    [(lambda episodes: Episodes.start(episodes.ret), -5), (until_all_have_ended_one, -2.5)],
    ids=["count at once", "count when all have ended one"],
)
def test_that_test_sees_the_dip_of_simpler_rules(monkeypatch, rule, below):
    monkeypatch.setattr(Episodes, "restarted", rule)
    assert np.mean(list(jumps())) < below


def ends(*steps, of=5):
    """One seed, one row of steps for each copy; True where an episode ends."""
    done = torch.zeros(1, of, len(steps), dtype=torch.bool)
    for copy, at in enumerate(steps):
        done[0, at, copy] = True
    ones = torch.ones(done.shape)
    return Trajectory(ones, ones, ones, ones, done, torch.zeros_like(done), torch.ones_like(done))


def test_after_a_restart_a_seed_counts_when_all_copies_have_ended_one_and_as_long_again():
    """Batches of five steps. Copy 1 ends its first in the second batch: ten steps, then as many more."""
    episodes = Episodes.start(torch.zeros(1, 2)).restarted()
    counted = []
    for batch in (ends([1], []), ends([0], [2]), ends([1], [1]), ends([2], [3]), ends([0, 4], [2])):
        episodes, ended = episodes.follow(batch)
        counted.append((int(ended.number), int(ended.total_return), int(ended.total_length)))
    # Of copy 0 after the fourth batch: from step 3 of it to 0 of the fifth, three steps, then four. Of copy 1: 1 + 3.
    assert counted == [(0, 0, 0)] * 4 + [(3, 3 + 4 + 4, 3 + 4 + 4)]


def test_at_the_start_of_a_training_everything_counts():
    _, ended = Episodes.start(torch.zeros(1, 2)).follow(ends([1, 3], []))
    assert (int(ended.number), int(ended.total_length)) == (2, 4)


@pytest.mark.parametrize("name", ["seed", "step", "length", "return"])
def test_a_metric_may_not_be_called_as_another_column_is(name):
    """`length` of a language model's responses became the mean length of an episode, divided by 256."""
    progress = next(iter(pg.training(Idle(), "CartPole-v1", [4], 100)))
    with pytest.raises(ValueError, match=f"columns of their own called {name}; give the metrics other names"):
        Curves(100).add(replace(progress, metrics={name: torch.zeros(1)}))


def test_a_curve_has_about_a_hundred_rows_and_goes_on_from_what_was_gathered():
    steps = 20_000
    seen = list(pg.training(Idle(), "CartPole-v1", [4, 9], steps))
    whole, first = Curves(steps), Curves(steps)
    for each in seen:
        whole.add(each)
    for each in islice(seen, 700):
        first.add(each)
    second = Curves(steps, first.iterations())
    for each in seen[700:]:
        second.add(each)
    frame = whole.frame([4, 9])
    assert frame.equals(second.frame([4, 9]))
    assert frame.groupby("seed").size().tolist() == [REPORTS] * 2 == [100] * 2
    assert frame["step"].max() == steps
    one = frame[frame["seed"] == 9]
    number = torch.stack([each.episodes[1] for each in seen]).sum().item()
    total = torch.stack([each.total_return[1] for each in seen]).sum().item()
    assert one["episodes"].sum() == number
    assert (one["return"] * one["episodes"]).sum() == pytest.approx(total)
