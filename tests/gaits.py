"""Gaits whose every number is known: legs that swing as sinusoids under a trunk of constant speed."""

import dataclasses

import numpy as np

from pgcourse.gait import Recording


def walk(
    *,
    period=0.8,
    speed=1.5,
    duty=(0.6, 0.6),
    phase=0.5,
    strides=10,
    dt=0.01,
    end="time limit",
    lean=0.0,
    amplitude=0.4,
    reach=0.3,
    ahead=0.0,
):
    """A recording of legs of 1 m: each foot is down in the first `duty` part of its period, the right one later.

    Feet swing `reach` (m) to both sides of the trunk, the left one `ahead` of that: with a phase of ½ its steps are
    2 reach + ahead long, the right one's 2 reach - ahead.
    The joints turn as `amplitude` sin(2π t / period), the torque of their motors is 2 cos(2π t / period).
    """
    time = np.arange(round(strides * period / dt)) * dt
    turns = np.round(time[:, None] / period - [0.0, phase], 9) % 1.0
    x = speed * time
    circle = 2 * np.pi * time / period
    joints = np.ones((len(time), 2, 2))
    still = np.zeros((len(time), 2))
    feet = x[:, None] + [ahead, 0.0] + reach * np.cos(2 * np.pi * turns)
    touching = turns < np.array(duty) - 1e-9
    return Recording(
        trunk=np.stack([x, np.ones_like(x), np.full_like(x, lean)], 1),
        velocity=np.stack([np.full_like(x, speed), *still.T], 1),
        angle=amplitude * np.sin(circle)[:, None, None] * joints,
        speed=amplitude * 2 * np.pi / period * np.cos(circle)[:, None, None] * joints,
        torque=2 * np.cos(circle)[:, None, None] * joints,
        contact=touching,
        foot=np.stack([feet, 0 * feet], 2),
        reward=np.ones_like(x),
        dt=dt,
        joints=("hip", "knee"),
        weight=100.0,
        leg_length=1.0,
        gravity=10.0,
        end=end,
        pose=np.zeros((len(time), 0, 3)),
        bodies=(),
        ground=(),
    )


def mirrored(recording):
    """The same with left and right exchanged."""
    names = ("angle", "speed", "torque", "contact", "foot")
    return dataclasses.replace(recording, **{name: getattr(recording, name)[:, ::-1] for name in names})


def slower(recording, factor):
    """The same in slow motion."""
    return dataclasses.replace(
        recording,
        dt=recording.dt * factor,
        speed=recording.speed / factor,
        velocity=recording.velocity / factor,
        gravity=recording.gravity / factor**2,  # the same motion under a weaker gravity: Froude's scaling
    )
