"""How robots walk: recorded episodes, and what their footfalls, joints and torques tell. Nothing here learns."""

from pgcourse.gait.disturbances import Disturbance, disturbed, robustness
from pgcourse.gait.drawing import live, picture, strip
from pgcourse.gait.footfalls import asymmetry, at_phases, bridged, limb_phase, mean_phase, stances, strides, touchdowns
from pgcourse.gait.joystick import tracking
from pgcourse.gait.measures import (
    cost_of_transport,
    dimensionless_speed,
    dominant_frequency,
    measure,
    phase_portrait,
)
from pgcourse.gait.obstacles import OBSTACLES, encounters, obstacles
from pgcourse.gait.recording import ENDS, Recording, record
from pgcourse.gait.rides import FEET, MACHINES, POSTURE, VELOCITIES, Ride, following, footwork, ride, riding
from pgcourse.gait.robots import LEGS, ROBOTS, Body, NotARobot, Robot
from pgcourse.gait.taxonomy import KINDS, counts, kind

__all__ = [
    "ENDS",
    "FEET",
    "KINDS",
    "LEGS",
    "MACHINES",
    "OBSTACLES",
    "POSTURE",
    "ROBOTS",
    "VELOCITIES",
    "Body",
    "Disturbance",
    "NotARobot",
    "Recording",
    "Ride",
    "Robot",
    "asymmetry",
    "at_phases",
    "bridged",
    "cost_of_transport",
    "counts",
    "dimensionless_speed",
    "disturbed",
    "dominant_frequency",
    "encounters",
    "following",
    "footwork",
    "kind",
    "limb_phase",
    "live",
    "mean_phase",
    "measure",
    "obstacles",
    "phase_portrait",
    "picture",
    "record",
    "ride",
    "riding",
    "robustness",
    "stances",
    "strides",
    "strip",
    "touchdowns",
    "tracking",
]
