"""Smoothness, energy and orbits of signals whose answers are known; and every rule of the taxonomy."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from gaits import walk
from hypothesis import given
from hypothesis import strategies as some

from pgcourse.gait import (
    KINDS,
    cost_of_transport,
    counts,
    dimensionless_speed,
    dominant_frequency,
    kind,
    measure,
    phase_portrait,
)


@pytest.mark.parametrize("frequency", [0.5, 2.0, 11.0])
def test_a_sinusoid_has_its_own_frequency(frequency):
    dt = 0.01
    time = np.arange(2000) * dt
    swing = np.sin(2 * np.pi * frequency * time + 0.3)
    assert dominant_frequency(swing, dt) == pytest.approx(frequency, rel=0.02)
    assert dominant_frequency(np.stack([swing, 5 - 3 * swing], 1), dt) == pytest.approx(frequency, rel=0.02)


def test_noise_has_a_quarter_of_the_sampling_rate_and_switching_half():
    noise = np.random.default_rng(0).normal(size=100_000)
    assert dominant_frequency(noise, 0.02) == pytest.approx(12.5, rel=0.01)
    assert dominant_frequency(np.tile([1.0, -1.0], 50), 0.02) == pytest.approx(25.0)
    assert np.isnan(dominant_frequency(np.ones((5, 2)), 0.02))


def test_what_it_costs_to_push_a_cart():
    """A motor of 2 N m at 3 rad/s for 4 s does 24 J; 100 N over 8 m: 0.03."""
    torque, speed = np.full(400, 2.0), np.full(400, 3.0)
    assert cost_of_transport(torque, speed, 0.01, 100.0, 8.0) == pytest.approx(0.03)
    assert cost_of_transport(torque, -speed, 0.01, 100.0, 8.0) == 0  # brakes give nothing back, and take nothing
    assert cost_of_transport(torque, speed, 0.01, 100.0, -1.0) == np.inf


def test_the_cost_of_a_known_gait():
    """Each of 4 joints: ∫ 2 cos · 0.4 (2π/T) cos dt = 0.4 · 2π a stride; 10 strides over 12 m with 100 N."""
    (row,) = [each for _, each in measure([walk(amplitude=0.4, period=0.8, speed=1.5, strides=10)]).iterrows()]
    assert row["cost_of_transport"] == pytest.approx(4 * 0.4 * 2 * np.pi * 10 / (100 * 12), rel=0.01)
    assert row["torque_frequency"] == pytest.approx(1 / 0.8, rel=0.02)
    assert row["dimensionless_speed"] == pytest.approx(1.5 / np.sqrt(10))
    assert dimensionless_speed(3.0, 0.9, 10.0) == pytest.approx(1.0)


def test_the_orbit_of_a_sinusoid_is_an_ellipse():
    amplitude, period = 0.3, 0.8
    orbit = phase_portrait(walk(amplitude=amplitude, period=period), points=40)
    radius = np.hypot(orbit["angle"] / amplitude, orbit["speed"] / (amplitude * 2 * np.pi / period))
    assert radius.to_numpy() == pytest.approx(1.0, abs=0.01)
    assert set(orbit["leg"]) == {"left", "right"}
    assert set(orbit["joint"]) == {"hip", "knee"}
    first, last = (orbit[orbit["phase"] == phase]["angle"].to_numpy() for phase in (0.0, 1.0))
    assert first == pytest.approx(last, abs=1e-6)  # closed
    assert orbit.groupby(["leg", "joint", "stride"]).size().unique().tolist() == [40]


FALLS = {"end": "fell", "strides": 1}
RULES = [
    ("falls forward", {**FALLS, "lean": -0.4}),
    ("falls back", {**FALLS, "lean": 0.4}),
    ("stands still", {"speed": 0.1}),
    ("stands still", {"speed": -2.0}),
    ("hops", {"phase": 0.03}),
    ("hops", {"phase": 0.97, "duty": (0.4, 0.4)}),
    ("hops", {"duty": (0.5, 0.0)}),
    ("drags a leg", {"duty": (0.5, 1.0)}),
    ("drags a leg", {"duty": (0.95, 0.6)}),
    ("shuffles", {"duty": (0.95, 0.95)}),
    ("shuffles", {"duty": (1.0, 1.0)}),
    ("shuffles", {"period": 0.3, "speed": 1.2}),
    ("limps", {"duty": (0.7, 0.3)}),
    ("limps", {"ahead": 0.2}),
    ("walks", {}),
    ("walks", {"phase": 0.2}),
    ("walks", {"phase": 0.85}),
    ("walks", {"duty": (0.55, 0.6), "end": "arrived"}),
    ("runs", {"duty": (0.35, 0.4)}),
]


@pytest.mark.parametrize(("expected", "gait"), RULES)
def test_each_rule(expected, gait):
    assert kind(walk(**gait)) == expected


def test_every_kind_has_its_gait():
    assert {name for name, _ in RULES} == set(KINDS)


def test_kinds_are_counted_over_seeds():
    gaits = [({}, 0), ({}, 0), ({"speed": 0.0}, 0), ({"duty": (0.3, 0.3)}, 7)]
    table = counts(dataclasses.replace(walk(**gait), seed=seed) for gait, seed in gaits)
    assert list(table.columns) == list(KINDS)
    assert table.loc[0, ["walks", "stands still", "runs"]].tolist() == [2, 1, 0]
    assert table.loc[7].to_dict() == {name: int(name == "runs") for name in KINDS}


@given(some.integers(1, 40), some.integers(0, 2**32 - 1), some.sampled_from(["fell", "arrived", "time limit"]))
def test_any_recording_has_a_kind_and_numbers(length, seed, end):
    rng = np.random.default_rng(seed)
    gait = walk(strides=length / 80, end=end)
    odd = dataclasses.replace(
        gait,
        contact=rng.random(gait.contact.shape) < rng.random(),
        trunk=rng.normal(size=gait.trunk.shape),
        foot=rng.normal(size=gait.foot.shape),
    )
    (row,) = [each for _, each in measure([odd]).iterrows()]
    assert row["kind"] in KINDS
    assert (row["kind"].startswith("falls")) == (end == "fell")
    assert pd.isna(row["phase"]) or 0 <= row["phase"] <= 1
