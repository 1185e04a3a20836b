"""Recordings against what the simulators themselves observe; pictures against where the robot is."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.box2d.bipedal_walker import BipedalWalkerHeuristics

import pgcourse as pg
from pgcourse import film, gait
from pgcourse.algorithms import Architecture, TrainedPolicy, play
from pgcourse.core import Streams
from pgcourse.envs import GymnasiumEnv
from pgcourse.gait.drawing import ABOVE, BELOW, COLORS, WIDTH


class Chosen:
    """A distribution that gives one action."""

    def __init__(self, mode):
        self.mode = mode

    def sample(self, noise):
        return self.mode


class ByHand:
    """Gymnasium's own hand-written controller of BipedalWalker, as a policy."""

    size = 1

    def noise(self, streams, *shape):
        return torch.zeros(len(streams), *shape, 1)

    def at(self, theta):
        controller = BipedalWalkerHeuristics()
        controller.a = np.zeros(4)
        return lambda obs: Chosen(torch.tensor(controller.step_heuristic(obs[0, 0].numpy())).float()[None, None])


def by_hand(env="envpool:BipedalWalker-v3"):
    return TrainedPolicy(ByHand(), torch.zeros(1, 1), (0,), env)


def untrained(env, seeds=(4, 5)):
    policy = Architecture((8,)).policy(pg.make(env.removeprefix("envpool:")))
    return TrainedPolicy(policy, policy.init(Streams(seeds)), seeds, env)


@pytest.fixture(scope="module")
def walking():
    (recording,) = gait.record(by_hand())
    return recording


def test_a_walk_to_the_end_of_the_track(walking):
    assert walking.end == "arrived"
    assert walking.reward.sum() > 280
    (row,) = [each for _, each in gait.measure([walking]).iterrows()]
    assert row["kind"] in ("walks", "runs", "limps")
    assert row["phase"] == pytest.approx(0.5, abs=0.15)  # it moves one leg after the other
    assert row["distance"] == pytest.approx(row["stride_length"] * row["stride_frequency"] * row["seconds"], rel=0.1)
    assert 0.05 < row["cost_of_transport"] < 2
    assert walking.weight == pytest.approx(10 * (5.4222 + 2 * (0.3022 + 0.2418)), rel=1e-3)
    assert walking.seconds == pytest.approx(len(walking) / 50)


def test_strides_that_contacts_tell_are_those_that_joints_and_feet_tell(walking):
    """Two other ways to the same numbers: the spectrum of a hip's angle, and feet that stand still on the ground."""
    (row,) = [each for _, each in gait.measure([walking]).iterrows()]
    steady = slice(50, None)  # after the start
    for leg, name in enumerate(gait.LEGS):
        angle = walking.angle[steady, leg, 0]
        power = np.abs(np.fft.rfft((angle - angle.mean()) * np.hanning(len(angle)))) ** 2
        peak = np.fft.rfftfreq(len(angle), walking.dt)[power.argmax()]
        assert row["stride_frequency"] == pytest.approx(peak, rel=0.1)
        pace = np.diff(walking.foot[steady, leg, 0]) / walking.dt
        still = np.mean(np.abs(pace) < row["speed"] / 2)
        assert row[f"duty_factor_{name}"] == pytest.approx(still, abs=0.15)


def test_bipedal_walker_is_recorded_as_it_observes_itself():
    trained = untrained("BipedalWalker-v3")
    seen = []
    with GymnasiumEnv("BipedalWalker-v3") as world:
        list(play(world, trained, 5, look=lambda obs: seen.append(obs[0, 0].numpy())))
    (recording,) = gait.record(trained, 5, deterministic=False)
    obs = np.array(seen)
    assert recording.seed == 5
    assert recording.trunk[:, 2] == pytest.approx(obs[:, 0], abs=1e-6)
    assert 0.3 * recording.velocity[:, 0] * (600 / 30) / 50 == pytest.approx(obs[:, 2], abs=1e-6)
    for leg, first in enumerate((4, 9)):
        assert recording.angle[:, leg] == pytest.approx(obs[:, [first, first + 2]] - [0, 1], abs=1e-6)
        assert recording.speed[:, leg] == pytest.approx(obs[:, [first + 1, first + 3]] * [4, 6], abs=1e-5)
        assert (recording.contact[:, leg] == obs[:, first + 4]).all()
    assert np.abs(recording.torque).max() <= 80 + 1e-3


def test_walker2d_is_recorded_as_it_observes_itself():
    trained = untrained("envpool:Walker2d-v5")
    seen, pushed = [], []
    with GymnasiumEnv("Walker2d-v5") as world:
        for step in play(world, trained, look=lambda obs: seen.append(obs[0, 0].numpy())):
            pushed.append(step.action[0, 0].clamp(-1, 1).numpy())
    (recording,) = gait.record(trained, deterministic=False)
    obs = np.array(seen)
    assert recording.end == "fell"
    assert recording.trunk[:, 1:] == pytest.approx(obs[:, :2] * [1, -1], abs=1e-6)
    assert recording.angle[:, 1] == pytest.approx(obs[:, 2:5], abs=1e-6)  # MuJoCo has the right leg first
    assert recording.angle[:, 0] == pytest.approx(obs[:, 5:8], abs=1e-6)
    torque = 100 * np.array(pushed)[:-1]
    assert recording.torque[1:, 1] == pytest.approx(torque[:, :3], rel=1e-5)
    assert recording.torque[1:, 0] == pytest.approx(torque[:, 3:], rel=1e-5)
    assert recording.dt == pytest.approx(1 / 125)


@pytest.mark.filterwarnings("ignore:.*The environment Walker2d-v4 is out of date")
@pytest.mark.parametrize(("id", "even"), [("Walker2d-v4", False), ("Walker2d-v5", True)])
def test_walker2d_has_even_feet_from_v5_on(id, even):
    """Exchanged torques give the exchanged motion, row for row, unless feet differ: before v5 they do, in friction."""
    simulator = gymnasium.make(id).unwrapped
    torques = np.random.default_rng(0).uniform(-1, 1, (60, 6))
    seen = []
    for swapped in (torques, np.roll(torques, 3, 1)):
        simulator.reset(seed=0)
        simulator.set_state(simulator.init_qpos, simulator.init_qvel)
        states = []
        for torque in swapped:
            simulator.step(torque)
            states.append(gait.ROBOTS[id].state(simulator))
        seen.append(states)
    simulator.close()
    slid = 0.0
    for one, other in zip(*seen, strict=True):
        assert np.array_equal(one.contact, other.contact[::-1]) or not even
        for name in ("angle", "torque", "foot"):
            slid = max(slid, np.abs(getattr(one, name) - getattr(other, name)[::-1]).max())
    assert any(state.contact.any() for state in seen[0])
    assert (slid < 1e-6) == even


def test_one_episode_is_recorded_and_filmed():
    trained = untrained("envpool:Walker2d-v5")
    recordings = gait.record(trained, 5, episodes=3, deterministic=False)
    shot = film.shoot(trained, 5, episodes=3)
    assert [each.reward.sum() for each in recordings] == pytest.approx(shot.returns, rel=1e-6)
    others = gait.record(trained, 5, deterministic=False, draw=1)
    assert len(others[0]) != len(recordings[0]) or others[0].reward.sum() != recordings[0].reward.sum()
    (first, *_) = recordings
    assert (film.replay(first).frames[0] == shot.frames[0]).all()
    assert film.replay(first).returns == [pytest.approx(shot.returns[0])]


def test_what_is_no_robot_is_refused():
    with pytest.raises(gait.NotARobot, match=r"CartPole-v1 is no robot .* BipedalWalker-v3"):
        gait.record(untrained("CartPole-v1"))
    with pytest.raises(ValueError, match="no seed 3; there are 4, 5"):
        gait.record(untrained("Walker2d-v5"), 3)


def middle(picture, color):
    """Mean [row, column] of the pixels of a colour."""
    found = np.argwhere(np.abs(picture.astype(float) - color).max(-1) < 12)
    return found.mean(0) if len(found) else None


def test_the_robot_is_drawn_where_it_is(walking):
    t, width = 300, 360
    picture = gait.picture(walking, t, width)
    scale = width / (WIDTH * walking.leg_length)
    assert picture.shape == (round((BELOW + ABOVE) * walking.leg_length * scale), width, 3)
    for leg, name in enumerate(gait.LEGS):
        of_leg = np.array([body.leg == name for body in walking.bodies])
        across = walking.pose[t, of_leg, 0].mean() - walking.trunk[t, 0]
        assert middle(picture, COLORS[name])[1] == pytest.approx(width / 2 + across * scale, abs=12), leg
    later = gait.picture(walking, t + 20, width)
    assert (later != picture).any()


def test_a_strip_shows_the_way(walking):
    times = [100, 200, 300]
    picture = gait.strip(walking, times, 900)
    x = walking.trunk[times, 0]
    margin = 1.2 * walking.leg_length
    scale = 900 / (x[-1] - x[0] + 2 * margin)
    last = middle(picture, COLORS[""])  # earlier ones are paler
    assert last[1] == pytest.approx((x[-1] - x[0] + margin) * scale, abs=0.2 * walking.leg_length * scale)
    wide = gait.strip(walking, times, 900, left=0.0, right=60.0)
    assert wide.shape[1] == 900
    assert wide.shape[0] < picture.shape[0]


def test_obstacles_are_drawn(walking):
    t = 50
    x = walking.trunk[t, 0] + 2.5
    box = np.array([[x, 6.0], [x + 1, 6.0], [x + 1, 7.0], [x, 7.0]])
    hardcore = dataclasses.replace(walking, ground=(*walking.ground, box))
    changed = np.argwhere((gait.picture(hardcore, t) != gait.picture(walking, t)).any(-1))
    assert len(changed)
    assert changed[:, 1].min() > 180
