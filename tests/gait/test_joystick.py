"""Robots on a joystick: errors against the velocities that EnvPool itself shows, and falls against ends."""

import importlib.util

import numpy as np
import pytest
import torch

import pgcourse as pg
from pgcourse.algorithms import Architecture, TrainedPolicy
from pgcourse.core import Streams
from pgcourse.envs import EnvPoolEnv
from pgcourse.envs.adapters import envpool as envpool_adapter
from pgcourse.gait import NotARobot, tracking

installed = pytest.mark.skipif(
    importlib.util.find_spec("envpool") is None,
    reason='EnvPool is not installed (pip install "pgcourse[fast]", on Linux)',
)
GO1 = "envpool:Go1JoystickFlatTerrain-v1"
# Where Go1's privileged state, which is seen first, has them without noise: behind a state of 48 numbers.
TURNING, VELOCITY = 48 + 2, slice(48 + 9, 48 + 11)
LIMIT = 40
START = EnvPoolEnv._start


def untrained(seeds=(4, 5), env=GO1, scale=0.0, **options):
    """It does nothing but hold its posture (the mean is 0), or wild things."""
    policy = Architecture((8,)).policy(pg.make(env, **options))
    return TrainedPolicy(policy, scale * policy.init(Streams(seeds)), seeds, env, options)


@installed
def test_errors_are_those_of_the_velocities_that_only_the_simulator_knows():
    trained = untrained((4, 6), max_episode_steps=LIMIT)  # it sees the privileged state, too
    table = tracking(trained, episodes=1).set_index("seed")
    with trained.world(1) as world:
        streams = Streams(trained.seeds, ("evaluate",))
        world.reset(streams)
        aside = []
        for _ in range(LIMIT):
            command = world.told["command"]
            step = world.step(torch.zeros(2, 1, 12), world.noise(streams, 1)[:, 0])
            seen = step.next_obs.double()
            v, turn = seen[..., VELOCITY], seen[..., TURNING]
            aside.append(torch.stack([*(v - command[..., :2]).unbind(-1), turn - command[..., 2]], -1) ** 2)
    x, y, turn = torch.stack(aside).mean((0, 2)).unbind(-1)
    assert table["speed_error"].to_numpy() == pytest.approx((x + y).sqrt().numpy(), rel=1e-4)
    assert table["turn_error"].to_numpy() == pytest.approx(turn.sqrt().numpy(), rel=1e-4)
    assert table["minutes"].to_numpy() == pytest.approx(LIMIT * 0.02 / 60)
    assert (table["falls_per_minute"] == 0).all()  # it stands
    assert table["speed_error"].to_numpy() == pytest.approx(table["speed_commanded"].to_numpy(), rel=0.5)
    assert not table["follows"].any()


@installed
def test_large_simulators_are_evaluated_few_at_a_time(monkeypatch):
    """And the sums are those of all episodes."""
    trained = untrained((4, 6), observe="state", max_episode_steps=3)
    assert trained.world().most_copies < 50
    monkeypatch.setattr(EnvPoolEnv, "most_copies", 1, raising=False)
    monkeypatch.setattr(envpool_adapter, "LARGE", {})
    made = []
    monkeypatch.setattr(EnvPoolEnv, "_start", lambda env, copies: made.append(copies) or START(env, copies))
    table = tracking(trained, episodes=2)
    assert made == [1] * 4
    assert table["minutes"].to_numpy() == pytest.approx(2 * 3 * 0.02 / 60)
    assert table["seed"].tolist() == [4, 6]
    assert table["speed_error"].nunique() == 2


@installed
def test_falls_are_the_episodes_that_the_world_ended():
    trained = untrained((4,), scale=300.0, observe="state", max_episode_steps=LIMIT)
    (row,) = tracking(trained, episodes=2, deterministic=False).to_dict("records")
    played = pg.evaluate(trained, 2)
    ended = (played["length"] < LIMIT).sum()
    assert ended
    assert row["minutes"] == pytest.approx(played["length"].sum() * 0.02 / 60)
    assert row["falls_per_minute"] == pytest.approx(ended / row["minutes"])
    assert np.isfinite(row["speed_error"])


def test_what_has_no_joystick_is_refused():
    with pytest.raises(NotARobot, match=r"Pendulum-v1 has no joystick; envpool:Go1"):
        tracking(untrained(env="Pendulum-v1"))
    with pytest.raises(ValueError, match="episodes must be 1 or more, got 0"):
        tracking(untrained(env="Pendulum-v1"), episodes=0)
