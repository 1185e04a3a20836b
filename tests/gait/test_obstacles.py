"""Obstacles against what Gymnasium drew as it built the track, and what was passed on a way of known length."""

from __future__ import annotations

import dataclasses

import gymnasium
import numpy as np
import pytest
from test_recording import untrained

from pgcourse import gait
from pgcourse.gait.obstacles import GRID, NEAR, OBSTACLES
from pgcourse.gait.robots import robot

DRAWN = {1: "stump", 2: "stairs", 3: "pit"}  # Gymnasium's numbers


class Overheard:
    """Random numbers of an environment, and which of them said what comes next."""

    def __init__(self, generator):
        self.generator, self.kinds = generator, []

    def __getattr__(self, name):
        return getattr(self.generator, name)

    def integers(self, low, high):
        drawn = self.generator.integers(low, high)
        if (low, high) == (1, 4):
            self.kinds.append(DRAWN[int(drawn)])
        return drawn


@pytest.fixture(scope="module")
def short():
    return gait.record(untrained("BipedalWalkerHardcore-v3"))[0]


@pytest.fixture(scope="module", params=range(5))
def track(request, short):
    """A recording on a track of its own, and the kinds of obstacle that were drawn for it."""
    with gymnasium.make("BipedalWalkerHardcore-v3") as world:
        world.reset(seed=request.param)
        overheard = world.unwrapped.np_random = Overheard(world.unwrapped.np_random)
        world.reset()
        ground = robot("BipedalWalkerHardcore-v3")[1].ground(world.unwrapped)
    return dataclasses.replace(short, ground=ground), overheard.kinds


def test_the_obstacles_are_those_that_were_drawn_in_their_order(track):
    recording, drawn = track
    found = gait.obstacles(recording)
    # What was drawn last may have no room left; two obstacles never touch, so none are taken for one.
    assert len(drawn) - 1 <= len(found) <= len(drawn)
    assert found["kind"].tolist() == drawn[: len(found)]
    assert (found["right"] > found["left"]).all()
    assert (found["left"].to_numpy()[1:] > found["right"].to_numpy()[:-1]).all()
    widths = ((found["right"] - found["left"]) / GRID).round().groupby(found["kind"]).agg(lambda some: set(some))
    for kind, sizes in {"pit": {4, 5}, "stump": {1, 2}, "stairs": {12, 16}}.items():
        assert widths.get(kind, set()) <= sizes


def test_all_kinds_were_among_them(short):
    kinds = set()
    for seed in range(3):
        with gymnasium.make("BipedalWalkerHardcore-v3") as world:
            world.reset(seed=seed)
            ground = robot("BipedalWalkerHardcore-v3")[1].ground(world.unwrapped)
        kinds |= set(gait.obstacles(dataclasses.replace(short, ground=ground))["kind"])
    assert kinds == set(OBSTACLES)


def test_what_is_reached_and_what_is_passed(track):
    recording, _ = track
    table = gait.obstacles(recording)

    def met(x):
        way = np.zeros((2, 3))
        way[0, 0] = x  # the farthest, not the last
        return gait.encounters(dataclasses.replace(recording, trunk=way))

    first, second = table.iloc[0], table.iloc[1]
    assert met(first["left"] - NEAR - 0.01).empty
    assert met(first["left"] - NEAR + 0.01)["passed"].tolist() == [False]
    assert met(first["right"] + NEAR - 0.01)["passed"].tolist()[0] is False
    assert met(first["right"] + NEAR + 0.01)["passed"].tolist()[0] is True
    assert len(met(second["left"])) >= 2
    assert met(1e3)["passed"].all()
    assert len(met(1e3)) == len(table)


def test_a_track_without_obstacles_has_none(short):
    flat = dataclasses.replace(short, ground=tuple(piece for piece in short.ground if len(piece) == 2))
    assert gait.obstacles(flat).empty
    assert gait.encounters(flat).empty
