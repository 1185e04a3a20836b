"""Disturbed robots against mechanics: momentum, free fall, coefficients of contact, statistics of noise."""

import dataclasses

import numpy as np
import pytest
import torch

import pgcourse as pg
from pgcourse import gait
from pgcourse.algorithms import Architecture, TrainedPolicy
from pgcourse.core import Streams
from pgcourse.envs import GymnasiumEnv
from pgcourse.gait import Disturbance, disturbed, robustness


def untrained(env="envpool:BipedalWalker-v3", seeds=(4, 5)):
    policy = Architecture((8,)).policy(pg.make(env.removeprefix("envpool:")))
    return TrainedPolicy(policy, policy.init(Streams(seeds)), seeds, env)


def world(disturbance, seeds=(4,)):
    made = disturbed(untrained(seeds=seeds), disturbance).env(1)
    return made, made.reset(Streams(seeds))


def momentum(simulator):
    bodies = (simulator.hull, *simulator.legs)
    return sum(body.mass * np.array(body.linearVelocity) for body in bodies)


def limp(made, steps):
    """Let the robot move without torques."""
    return [made.step(torch.zeros(1, 1, 4), made.noise(Streams((4,)), 1)[:, 0]) for _ in range(steps)]


def test_without_a_disturbance_nothing_changes():
    streams = Streams((4, 5))
    made, plain = disturbed(untrained(), Disturbance()).env(2), GymnasiumEnv("BipedalWalker-v3", 2)
    assert (made.reset(Streams((4, 5))) == plain.reset(Streams((4, 5)))).all()
    ended = 0
    for _ in range(150):  # wild enough to fall, so that episodes begin anew
        action = 3 * streams.normal(2, 4)
        steps = [each.step(action, each.noise(streams, 1)[:, 0]) for each in (made, plain)]
        assert all((one == other).all() for one, other in zip(*steps, strict=True))
        ended += int(steps[0].terminated.sum())
    assert ended


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_in_the_air_it_falls_as_quickly_as_gravity_says(factor):
    made, _ = world(Disturbance(gravity=factor))
    (simulator,) = made.simulators
    for body in (simulator.hull, *simulator.legs):
        body.linearVelocity = (0.0, 8.0)
    limp(made, 5)
    assert not any(leg.ground_contact for leg in simulator.legs[1::2])
    before = momentum(simulator)
    limp(made, 10)
    mass = sum(body.mass for body in (simulator.hull, *simulator.legs))
    assert (momentum(simulator) - before)[1] == pytest.approx(-10 * factor * mass * 10 / 50, rel=1e-3)


def test_a_push_gives_the_trunk_its_momentum_every_two_seconds():
    strength, changes = 0.5, []
    for push in (0.0, strength):
        made, _ = world(Disturbance(push=push, gravity=0.0))  # it floats: nothing else changes its momentum
        (simulator,) = made.simulators
        for body in (simulator.hull, *simulator.legs):
            body.linearVelocity, body.angularVelocity = (0.0, 0.02), 0.0
        seen = [momentum(simulator)[0]]
        for _ in range(250):
            limp(made, 1)
            seen.append(momentum(simulator)[0])
        changes.append(np.diff(seen))
    calm, pushed = changes
    assert calm == pytest.approx(0, abs=1e-4)
    at = np.flatnonzero(np.abs(pushed) > 1e-3)
    assert at.tolist() == [99, 199]
    assert np.abs(pushed[at]) == pytest.approx(strength * simulator.hull.mass, rel=1e-3)


def test_friction_is_that_of_feet_on_the_ground():
    coefficients = []
    for factor in (1.0, 0.25):
        made, _ = world(Disturbance(friction=factor))
        (simulator,) = made.simulators
        limp(made, 30)
        coefficients.append(np.mean([each.friction for each in simulator.world.contacts if each.touching]))
    assert coefficients[1] == pytest.approx(0.25 * coefficients[0], rel=1e-3)


def test_noise_has_its_spread_and_leaves_contacts_alone():
    (calm, first), (noisy, other) = world(Disturbance()), world(Disturbance(noise=0.05))
    pairs = [(first, other), *((a.next_obs, b.next_obs) for a, b in zip(limp(calm, 40), limp(noisy, 40), strict=True))]
    difference = torch.stack([b - a for a, b in pairs])[:, 0, 0]
    contacts = [8, 13]
    assert (difference[:, contacts] == 0).all()
    rest = np.delete(difference.numpy(), contacts, 1)
    assert rest.std() == pytest.approx(0.05, rel=0.1)
    assert abs(rest.mean()) < 5 * 0.05 / rest.size**0.5


def test_a_table_of_disturbances_meets_the_same_terrain():
    trained = untrained(seeds=(4,))
    wild = dataclasses.replace(trained, theta=100 * trained.theta)  # falls soon
    kinds = {"none": Disturbance(), "again": Disturbance(), "ice": Disturbance(friction=0.1)}
    table = robustness(wild, kinds, 2, deterministic=False)
    assert list(table) == ["disturbance", "seed", "episode", "return", "length"]
    assert table.groupby("disturbance").size().to_dict() == {"none": 2, "again": 2, "ice": 2}
    wide = table.pivot(index=["seed", "episode"], columns="disturbance", values="return")
    assert (wide["none"] == wide["again"]).all()
    assert (wide["none"] != wide["ice"]).any()


def test_what_cannot_be_disturbed_is_refused():
    with pytest.raises(ValueError, match=r"Walker2d-v5 cannot be disturbed, only BipedalWalker-v3"):
        disturbed(untrained("Walker2d-v5"), Disturbance())
    with pytest.raises(gait.NotARobot):
        disturbed(TrainedPolicy(None, None, (0,), "CartPole-v1"), Disturbance())
    with pytest.raises(ValueError, match=r"friction must be 0 or more, got -1"):
        Disturbance(friction=-1)


def test_a_wrapped_simulator_does_not_claim_to_give_its_state_back():
    made, _ = world(Disturbance())
    assert not made.restorable
