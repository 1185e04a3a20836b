"""Breakout by its rules; test_minatar.py compares it with MinAtar's, where that is installed."""

import pytest
import torch

from pgcourse.core import Streams
from pgcourse.envs import Breakout, make

PADDLE, BALL, TRAIL, BRICKS = range(4)


def where(image):
    """(row, column) of the one cell that is lit."""
    ((row, column),) = image.nonzero().tolist()
    return row, column


def started(side, **options):
    """One copy whose ball begins at the left (0) or right (1)."""
    world = Breakout(**options)
    world.reset(Streams(1))
    world.current = world.initial(torch.full((1, 1, 1), 0.25 + 0.5 * side))
    return world


def move(world, action, sticky=0.99):
    return world.step(torch.tensor([[action]]), torch.tensor([[[sticky, 0.25]]]))


def chase(world, steps):
    """Follow the ball; the steps' observations, rewards and ends."""
    obs, played = world.observe(world.current), []
    for _ in range(steps):
        ball, paddle = where(obs[0, 0, BALL])[1], where(obs[0, 0, PADDLE])[1]
        step = move(world, 0 if ball == paddle else 1 if ball < paddle else 2)
        played.append(step)
        obs = step.obs
    return played


@pytest.mark.parametrize("side", [0, 1])
def test_the_start(side):
    world = started(side)
    image = world.observe(world.current)[0, 0]
    assert where(image[BALL]) == where(image[TRAIL]) == (3, 9 * side)
    assert where(image[PADDLE]) == (9, 4)
    assert image[BRICKS].sum(1).tolist() == [0, 10, 10, 10, 0, 0, 0, 0, 0, 0]
    image = move(world, 0).next_obs[0, 0]
    assert where(image[BALL]) == (4, 8 if side else 1)
    assert where(image[TRAIL]) == (3, 9 * side)


def test_both_sides_are_as_likely():
    right = Breakout(4000).reset(Streams(1))[0, :, BALL, 3, 9]
    assert right.mean().item() == pytest.approx(0.5, abs=0.04)


def test_the_paddle_stays_in_the_picture():
    for action, end in ((1, 0), (2, 9)):
        world = started(0)
        for _ in range(5):
            step = move(world, action)
        assert where(step.next_obs[0, 0, PADDLE]) == (9, end)


def test_an_unmoved_paddle_misses_the_ball():
    """From (3, 0) it comes down to (8, 5) and, the paddle being in column 4, leaves through (9, 6)."""
    world = started(0)
    steps = [move(world, 0) for _ in range(6)]
    assert [step.terminated.item() for step in steps] == [False] * 5 + [True]
    assert where(steps[-1].next_obs[0, 0, BALL]) == (9, 6)
    assert where(steps[-1].obs[0, 0, BALL])[0] == 3
    assert sum(step.reward.item() for step in steps) == 0


@pytest.mark.parametrize(("paddle", "next_column"), [(5, 7), (6, 5)])
def test_the_ball_turns_at_the_paddle(paddle, next_column):
    """Above the paddle's cell it goes on across, beside it back: the column is that after the turn."""
    world = started(0)
    steps = [move(world, 2 if t < paddle - 4 else 0) for t in range(7)]
    assert not steps[-1].terminated
    assert where(steps[5].next_obs[0, 0, BALL]) == (8, 6)
    assert where(steps[6].next_obs[0, 0, BALL]) == (7, next_column)


def test_bricks_are_worth_one_each_and_come_back():
    """Every reward is one brick less, until none is left; the next 30 are there when the ball comes down."""
    world = started(0, time_limit=None)
    bricks, total, refilled = 30, 0, 0
    for step in chase(world, 3000):
        now = int(step.next_obs[0, 0, BRICKS].sum())
        assert not step.terminated
        if now != bricks - int(step.reward):
            assert (bricks, now, step.reward.item()) == (0, 30, 0)
            refilled += 1
        bricks = now
        total += int(step.reward)
    assert total == 30 * refilled + 30 - bricks
    assert refilled or bricks < 30


def test_sticky_actions():
    """The last action, and in an episode's first step 0, is repeated with probability `sticky`."""
    world = started(0)
    columns = [where(move(world, action, draw).next_obs[0, 0, PADDLE])[1] for action, draw in
               ((2, 0.05), (2, 0.95), (0, 0.05), (0, 0.95), (1, 0.05))]  # fmt: skip
    assert columns == [4, 5, 6, 6, 6]
    never = started(0, sticky=0.0)
    assert where(move(never, 2, 0.0).next_obs[0, 0, PADDLE]) == (9, 5)


def test_time_limit():
    assert make("MinAtar/Breakout-v1").time_limit == 1000
    world = started(0, time_limit=3)
    assert [move(world, 0).truncated.item() for _ in range(6)] == [False, False, True] * 2


def test_observations_lie_in_the_space_and_seeds_do_not_mix():
    def play(seeds):
        world, streams = make("MinAtar/Breakout-v1", 3), Streams(seeds)
        first = world.reset(streams)
        actions, noise = streams.integers(3, 200, 3), world.noise(streams, 200)
        steps = [world.step(actions[:, t], noise[:, t]) for t in range(200)]
        assert all(world.observation_space.contains(obs) for obs in steps[-1].obs.flatten(0, 1).numpy())
        return [first, *(column for step in steps for column in step)]

    together = play([0, 3, 8])
    for row, seed in enumerate([0, 3, 8]):
        assert all(torch.equal(one[0], all_[row]) for one, all_ in zip(play([seed]), together, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sticky": 1.5}, "sticky is a probability, from 0 to 1, got 1.5"),
        ({"time_limit": 0}, "time_limit must be 1 or more, or None, got 0"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Breakout(**options)
