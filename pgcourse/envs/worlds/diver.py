"""A diver and seven judges: one decision, one score, no gradient."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class Dive(NamedTuple):
    """What the diver decides, in physical units."""

    angle: Tensor  # of the take-off from the vertical, rad
    momentum: Tensor  # angular momentum about the somersault axis, kg m²/s
    release: Tensor  # when the tuck is opened, s after take-off


class Entry(NamedTuple):
    """How the diver reaches the water."""

    time: Tensor  # s after take-off
    distance: Tensor  # from the platform's edge, m
    tilt: Tensor  # how far the body has turned beyond head-first and vertical, rad
    line_up: Tensor  # time since the tuck was opened, s


class Flight(NamedTuple):
    """A dive as samples over time; all [..., sample]."""

    time: Tensor  # s after take-off
    x: Tensor  # centre of mass, m in front of the platform's edge
    z: Tensor  # centre of mass, m above the water
    angle: Tensor  # of the body: 0 is upright, a somersault 2π, rad
    tucked: Tensor  # bool


class Diver(TensorWorld):
    """A forward 2½ somersaults, tucked, from the 10 m platform. The judges' score comes back, and nothing else.

    One step is one dive: the observation is always 0, the episode terminates. An action is three numbers in units of
    which 1 is a natural first variation; they map to the take-off angle (from the vertical), the angular momentum L and
    the moment at which the tuck is opened:

        angle = 11° + 3° a_0      L = 54 + 3 a_1  kg m²/s      release = 1.15 + 0.08 a_2  s

    *Physics.* Take-off at 4.5 m/s; the centre of mass falls freely over 10 m, from 1 m above the platform until the
    hands touch. L is conserved, and the body turns at L/I with I = 16 kg m² stretched and 4 kg m² tucked; the tuck
    begins 0.3 s after take-off, and changes of shape are instantaneous. Speed and moments of inertia are round numbers
    of a human size, not measurements.

    *Technique*, from 0 to 10, is what a flawless eye would see: `technique`.

    *Judging*, after the rules of World Aquatics (formerly FINA). Each of seven judges sees the technique with an error
    of standard deviation 0.5 and gives 0 to 10 in half points; unsafely close to the platform (here: entering less
    than 0.8 m from its edge) at most 2; 0 for a failed dive, where the feet enter first (rule D 6.19.1; here: a tilt
    beyond 90°). The two highest and the two lowest marks are cancelled. The reward is the mean of the other three; the
    official score is their sum times the dive's degree of difficulty. Rounded to half points it is flat almost
    everywhere: its gradient with respect to the action is 0, and J(θ) = E[score] is all there is to learn from.
    """

    name = "Diver-v0"
    time_limit = 2  # never reached: every dive ends with its one step
    transition_noise = 7  # the judges'
    gaussian = True

    observation_space = spaces.Discrete(1)
    action_space = spaces.Box(-np.inf, np.inf, (3,))

    gravity = 9.81
    drop = 10.0
    speed = 4.5
    height = 11.0  # of the centre of mass above the water at take-off
    stretched = 16.0
    tuck = 4.0
    tuck_start = 0.3
    somersaults = 2.5

    best_distance = 1.3
    best_line_up = 0.7
    unsafe_distance = 0.8
    judges_error = 0.5

    def initial(self, noise: Tensor) -> Tensor:
        return noise.new_zeros(noise.shape[:-1], dtype=torch.int64)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, self.score(self.marks(action, noise)), torch.ones_like(state, dtype=torch.bool)

    @classmethod
    def dive(cls, action: Tensor) -> Dive:
        """The action in physical units; [..., 3] to [...]."""
        angle, momentum, release = action.unbind(-1)
        return Dive(torch.deg2rad(11 + 3 * angle), 54 + 3 * momentum, 1.15 + 0.08 * release)

    @classmethod
    def entry(cls, action: Tensor) -> Entry:
        """Where, when and how the diver enters the water; [..., 3] to [...]."""
        dive = cls.dive(action)
        upward = cls.speed * dive.angle.cos()
        time = (upward + (upward.square() + 2 * cls.gravity * cls.drop).sqrt()) / cls.gravity
        tilt = cls._rotation(dive, time) - 2 * math.pi * cls.somersaults
        return Entry(time, cls.speed * dive.angle.sin() * time, tilt, time - dive.release)

    @classmethod
    def technique(cls, action: Tensor) -> Tensor:
        """10 / (1 + (tilt/40°)² + ((distance - 1.3 m)/0.5 m)² + ((line-up - 0.7 s)/0.25 s)²); [..., 3] to [...].

        Vertical into the water, clear of the platform but not far out, the tuck opened in time for a straight line but
        not before the turn is made. Smooth, without noise, differentiable; 10 at exactly one action.
        """
        entry = cls.entry(action)
        faults = (
            (entry.tilt / math.radians(40)).square()
            + ((entry.distance - cls.best_distance) / 0.5).square()
            + ((entry.line_up - cls.best_line_up) / 0.25).square()
        )
        return 10 / (1 + faults)

    @classmethod
    def marks(cls, action: Tensor, noise: Tensor) -> Tensor:
        """What the seven judges show, 0 to 10 in half points: [..., 3] and noise [..., 7] to [..., 7]."""
        entry = cls.entry(action)
        unsafe, failed = entry.distance < cls.unsafe_distance, entry.tilt.abs() > math.pi / 2
        seen = cls.technique(action).unsqueeze(-1) + cls.judges_error * noise
        marks = (2 * seen).round() / 2
        marks = marks.clamp(0, 10).where(~unsafe.unsqueeze(-1), marks.clamp(0, 2))
        return marks.where(~failed.unsqueeze(-1), 0.0)

    @staticmethod
    def score(marks: Tensor) -> Tensor:
        """The mean of the three marks in the middle: [..., 7] to [...]."""
        return marks.sort(-1).values[..., 2:5].mean(-1)

    @classmethod
    def flight(cls, action: Tensor, samples: int = 61) -> Flight:
        """The dive from take-off to entry, at evenly spaced times; [..., 3] to [..., samples]."""
        dive = Dive(*(quantity.unsqueeze(-1) for quantity in cls.dive(action)))
        time = cls.entry(action).time.unsqueeze(-1) * torch.linspace(0, 1, samples, dtype=action.dtype)
        x = cls.speed * dive.angle.sin() * time
        z = cls.height + cls.speed * dive.angle.cos() * time - cls.gravity / 2 * time.square()
        return Flight(time, x, z, cls._rotation(dive, time), (time >= cls.tuck_start) & (time < dive.release))

    @classmethod
    def _rotation(cls, dive: Dive, time: Tensor) -> Tensor:
        """How far the body has turned by `time`, rad: the time spent in each shape, times L/I."""
        tucked = (torch.minimum(time, dive.release) - cls.tuck_start).clamp_min(0)
        return dive.momentum * (tucked / cls.tuck + (time - tucked) / cls.stretched)
