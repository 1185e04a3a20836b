"""Which walking robots can be recorded, and how their states are read from the simulators that move them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEGS = ("left", "right")


class Body(NamedTuple):
    """A rigid part as it is drawn: the outline `points` [n, 2] (m) in its own frame, grown by `radius`.

    Two points and a radius are a capsule, three points or more a polygon.
    """

    points: NDArray[np.float64]
    radius: float
    leg: str  # of which leg it is a part; "" for the trunk


class State(NamedTuple):
    """A robot at one moment, in the plane: x forward, y up, angles counterclockwise. Legs in the order of `LEGS`."""

    trunk: NDArray[np.float64]  # [3], x and y of the trunk (m) and its angle (rad): positive leans back
    velocity: NDArray[np.float64]  # [3], of the same
    angle: NDArray[np.float64]  # [leg, joint], rad
    speed: NDArray[np.float64]  # [leg, joint], rad/s
    torque: NDArray[np.float64]  # [leg, joint], N m: what the motors did in the step that led here
    contact: NDArray[np.bool_]  # [leg], whether the foot touches the ground
    foot: NDArray[np.float64]  # [leg, 2], m
    pose: NDArray[np.float64]  # [body, 3], x, y, angle


@dataclass(frozen=True)
class Robot:
    """How to read a simulator, and what does not change during an episode."""

    joints: tuple[str, ...]  # of a leg, from the trunk down
    dt: Callable[[Any], float]  # s between two steps
    weight: Callable[[Any], float]  # N
    leg_length: float  # m, stretched
    gravity: float  # m/s²
    bodies: Callable[[Any], tuple[Body, ...]]
    ground: Callable[[Any], tuple[NDArray[np.float64], ...]]  # pieces [n, 2]: 2 points an edge, more an obstacle
    state: Callable[[Any], State]
    fell: Callable[[float], bool]  # whether an episode that the world ended, with this last reward, ended in a fall


class NotARobot(ValueError):
    """A world that is no robot which can be recorded; the message says which are."""


def robot(env: Any) -> tuple[str, Robot]:
    """The robot of a world, and the id under which Gymnasium has it. EnvPool's robots are Gymnasium's.

    Raises:
        NotARobot: naming those that can be recorded.
    """
    id = env.removeprefix("envpool:").removeprefix("gymnasium:") if isinstance(env, str) else ""
    if id not in ROBOTS:
        raise NotARobot(f"{env} is no robot whose gait can be recorded; these are: {', '.join(ROBOTS)}")
    return id, ROBOTS[id]


# BipedalWalker, simulated by Box2D. Lengths in the simulator's units, which are those of m, kg and s with g = 10 m/s².

THIGH_AND_SHIN = 2 * 34 / 30  # m


def _walker_state(env: Any) -> State:
    hull, legs, joints = env.hull, env.legs, env.joints
    half = THIGH_AND_SHIN / 4
    return State(
        trunk=np.array([*hull.position, hull.angle]),
        velocity=np.array([*hull.linearVelocity, hull.angularVelocity]),
        angle=np.array([joint.angle for joint in joints]).reshape(2, 2),
        speed=np.array([joint.speed for joint in joints]).reshape(2, 2),
        torque=np.array([joint.GetMotorTorque(float(_walker_rate(env))) for joint in joints]).reshape(2, 2),
        contact=np.array([legs[1].ground_contact, legs[3].ground_contact], dtype=bool),
        foot=np.array([legs[k].GetWorldPoint((0.0, -half)) for k in (1, 3)]),
        pose=np.array([[*body.position, body.angle] for body in (hull, *legs)]),
    )


def _walker_rate(env: Any) -> int:
    return int(env.metadata["render_fps"])  # steps a second: it is drawn once a step


def _walker_bodies(env: Any) -> tuple[Body, ...]:
    of = ("", "left", "left", "right", "right")
    return tuple(
        Body(np.array(body.fixtures[0].shape.vertices), 0.0, leg)
        for body, leg in zip((env.hull, *env.legs), of, strict=True)
    )


def _walker_ground(env: Any) -> tuple[NDArray[np.float64], ...]:
    """Edges from left to right, and the obstacles of the hardcore version."""
    pieces = [np.array(fixture.shape.vertices) for body in env.terrain for fixture in body.fixtures]
    return tuple(sorted(pieces, key=lambda piece: piece[:, 0].min()))


BIPEDAL_WALKER = Robot(
    joints=("hip", "knee"),
    dt=lambda env: 1 / _walker_rate(env),
    weight=lambda env: -env.world.gravity.y * sum(body.mass for body in (env.hull, *env.legs)),
    leg_length=THIGH_AND_SHIN,
    gravity=10.0,
    bodies=_walker_bodies,
    ground=_walker_ground,
    state=_walker_state,
    fell=lambda reward: reward == -100,  # the only step with this reward; at the end of the track it ends with another
)


# Walker2d, simulated by MuJoCo, whose y axis points away from the plane: z is up, and angles about y run clockwise.

PARTS = ("thigh", "leg", "foot")


def _geoms() -> list[tuple[str, str]]:
    """(name, leg) of what is drawn: the trunk, then each leg from above."""
    legs = [(f"{part}{'_left' * (leg == 'left')}_geom", leg) for leg in LEGS for part in PARTS]
    return [("torso_geom", ""), *legs]


def _feet(env: Any) -> list[int]:
    return [env.model.geom(name).id for name, _ in _geoms() if name.startswith("foot")]


def _runner_state(env: Any) -> State:
    data = env.data
    right, left = slice(0, 3), slice(3, 6)

    def by_leg(values: NDArray[np.float64]) -> NDArray[np.float64]:
        joints = values[3:]
        return np.stack([joints[left], joints[right]])

    feet = _feet(env)
    touching = {geom for contact in data.contact for geom in (contact.geom1, contact.geom2)}
    poses = []
    for name, _ in _geoms():
        geom = data.geom(name)
        along = geom.xmat.reshape(3, 3)[:, 2]
        poses.append([geom.xpos[0], geom.xpos[2], np.arctan2(-along[0], along[2])])
    return State(
        trunk=data.qpos[:3] * (1, 1, -1),
        velocity=data.qvel[:3] * (1, 1, -1),
        angle=by_leg(data.qpos),
        speed=by_leg(data.qvel),
        torque=by_leg(data.qfrc_actuator),
        contact=np.array([foot in touching for foot in feet]),
        foot=np.array([data.geom_xpos[foot][[0, 2]] for foot in feet]),
        pose=np.array(poses),
    )


def _runner_bodies(env: Any) -> tuple[Body, ...]:
    bodies = []
    for name, leg in _geoms():
        radius, half, _ = env.model.geom(name).size
        bodies.append(Body(np.array([[0.0, -half], [0.0, half]]), float(radius), leg))
    return tuple(bodies)


WALKER2D = Robot(
    joints=("hip", "knee", "ankle"),
    dt=lambda env: float(env.dt),
    weight=lambda env: float(-env.model.opt.gravity[2] * env.model.body_mass.sum()),
    leg_length=0.45 + 0.5,
    gravity=9.81,
    bodies=_runner_bodies,
    ground=lambda env: (np.array([[-1e3, 0.0], [1e3, 0.0]]),),
    state=_runner_state,
    fell=lambda reward: True,  # nothing else ends an episode
)

ROBOTS: Mapping[str, Robot] = MappingProxyType(
    {
        "BipedalWalker-v3": BIPEDAL_WALKER,
        "BipedalWalkerHardcore-v3": BIPEDAL_WALKER,
        "Walker2d-v4": WALKER2D,
        "Walker2d-v5": WALKER2D,
    }
)
