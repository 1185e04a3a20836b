"""What a recorded episode tells of a gait, in numbers: speed, strides, symmetry, smoothness, energy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pgcourse.gait.footfalls import asymmetry, at_phases, bridged, limb_phase
from pgcourse.gait.recording import Recording
from pgcourse.gait.robots import LEGS
from pgcourse.gait.taxonomy import kind


def dimensionless_speed(speed: float, leg_length: float, gravity: float) -> float:
    """v / √(g l), the root of the Froude number. Alexander (1989): animals change from walking to running near 0.7."""
    return speed / float(np.sqrt(gravity * leg_length))


def dominant_frequency(values: ArrayLike, dt: float) -> float:
    """How quickly a signal [time, ...] swings, in Hz: arccos(ρ₁) / (2π dt), with its autocorrelation ρ₁ at one step.

    A sinusoid has its own frequency, white noise a quarter of the sampling rate 1/dt; the smaller, the smoother. The
    cosine formula of Kedem (1986), Spectral analysis and discrimination by zero-crossings. Columns are pooled; NaN
    where nothing varies.
    """
    centred = np.asarray(values, float)
    centred = (centred - centred.mean(0)).reshape(len(centred), -1)
    power = (centred[1:] ** 2 + centred[:-1] ** 2).sum() / 2
    if power == 0:
        return np.nan
    rho = (centred[1:] * centred[:-1]).sum() / power
    return float(np.arccos(np.clip(rho, -1.0, 1.0)) / (2 * np.pi * dt))


def cost_of_transport(torque: ArrayLike, speed: ArrayLike, dt: float, weight: float, distance: float) -> float:
    """Positive work of the motors per weight and distance: Σ max(τ ω, 0) dt / (m g d), a number without unit.

    The mechanical cost of transport of Collins, Ruina, Tedrake & Wisse (2005): negative work is not given back. They
    give 0.05 for people and 1.6 for Honda's Asimo. Infinite where the robot does not get ahead.

    Args:
        torque, speed: [time, ...], N m and rad/s of each joint.
    """
    work = np.maximum(np.asarray(torque, float) * np.asarray(speed, float), 0.0).sum() * dt
    return float(work / (weight * distance)) if distance > 0 else np.inf


def phase_portrait(recording: Recording, points: int = 50) -> pd.DataFrame:
    """Angle against angular speed of every joint through every whole stride of its leg: the orbit of the gait.

    A row per leg, joint, stride and phase (0 to 1, from touchdown to touchdown): leg, joint, stride, phase, angle
    (rad), speed (rad/s). A gait that repeats itself draws one closed curve (a limit cycle: Strogatz 2015, ch. 7).
    """
    tables = []
    for leg, name in enumerate(LEGS):
        contact = bridged(recording.contact[:, leg], recording.dt)
        for joint, joint_name in enumerate(recording.joints):
            angle, speed = (at_phases(x[:, leg, joint], contact, points) for x in (recording.angle, recording.speed))
            index = pd.MultiIndex.from_product(
                [range(len(angle)), np.linspace(0, 1, points)], names=["stride", "phase"]
            )
            table = pd.DataFrame({"angle": angle.ravel(), "speed": speed.ravel()}, index=index).reset_index()
            tables.append(table.assign(leg=name, joint=joint_name))
    return pd.concat(tables, ignore_index=True)[["leg", "joint", "stride", "phase", "angle", "speed"]]


def measure(recordings: Iterable[Recording]) -> pd.DataFrame:
    """A row a recorded episode: how it went and how the robot walked.

    `env`, `seed`, `return`, `seconds`, `end`, `kind` (see `pgcourse.gait.kind`), `distance` (m), `speed` (m/s),
    `dimensionless_speed`, `stride_length` (m), `stride_frequency` (Hz), `duty_factor_left`, `duty_factor_right`,
    `phase`, and the asymmetries `duty_asymmetry`, `step_asymmetry` (of step lengths); `torque_frequency`, the
    torques' `dominant_frequency` (Hz); `cost_of_transport`. What is said of strides is the mean over whole ones, NaN
    where there is none.
    """
    return pd.DataFrame([_measured(recording) for recording in recordings])


def _measured(recording: Recording) -> dict[str, object]:
    table = recording.strides()
    legs = [table[table["leg"] == name] for name in LEGS]
    duty, step = ([leg[name].mean() for leg in legs] for name in ("duty_factor", "step_length"))
    distance = recording.trunk[-1, 0] - recording.trunk[0, 0]
    speed = distance / max(recording.seconds - recording.dt, recording.dt)
    return {
        "env": recording.env,
        "seed": recording.seed,
        "return": recording.reward.sum(),
        "seconds": recording.seconds,
        "end": recording.end,
        "kind": kind(recording),
        "distance": distance,
        "speed": speed,
        "dimensionless_speed": dimensionless_speed(speed, recording.leg_length, recording.gravity),
        "stride_length": table["length"].mean(),
        "stride_frequency": 1 / table["duration"].mean() if len(table) else np.nan,
        "duty_factor_left": duty[0],
        "duty_factor_right": duty[1],
        "phase": limb_phase(table),
        "duty_asymmetry": asymmetry(*duty),
        "step_asymmetry": asymmetry(*step),
        "torque_frequency": dominant_frequency(recording.torque, recording.dt),
        "cost_of_transport": cost_of_transport(
            recording.torque, recording.speed, recording.dt, recording.weight, distance
        ),
    }
