"""Strides of gaits whose duty factor, phase and asymmetry are known; symmetry under mirrors and slow motion."""

import numpy as np
import pytest
from gaits import mirrored, slower, walk
from hypothesis import given
from hypothesis import strategies as some

from pgcourse.gait import asymmetry, at_phases, bridged, limb_phase, mean_phase, measure, stances, strides, touchdowns

PARTS = some.floats(0.2, 0.8)
GAITS = some.builds(
    lambda period, speed, left, right, phase, reach, ahead: walk(
        period=period, speed=speed, duty=(left, right), phase=phase, reach=reach, ahead=ahead
    ),
    some.floats(0.5, 2.0), some.floats(0.5, 4.0), PARTS, PARTS, PARTS, PARTS, PARTS,
)  # fmt: skip


@pytest.mark.parametrize(("duty", "phase"), [((0.6, 0.6), 0.5), ((0.7, 0.4), 0.5), ((0.3, 0.35), 0.25)])
def test_strides_of_a_known_gait(duty, phase):
    period, speed, dt = 0.8, 1.5, 0.01
    table = walk(period=period, speed=speed, duty=duty, phase=phase, dt=dt).strides()
    assert table["duration"].to_numpy() == pytest.approx(period, abs=1.5 * dt)
    assert table["length"].to_numpy() == pytest.approx(period * speed, abs=1.5 * speed * dt)
    assert set(table["leg"].value_counts()) <= {8, 9}  # of ten periods, the first and last touchdown may be cut
    for leg, part, later in (("left", duty[0], phase), ("right", duty[1], 1 - phase)):
        own = table[table["leg"] == leg]
        assert own["duty_factor"].to_numpy() == pytest.approx(part, abs=2.5 * dt / period)
        assert own["phase"].to_numpy() == pytest.approx(later, abs=2.5 * dt / period)


def test_step_lengths_say_which_foot_is_ahead():
    for reach, ahead in ((0.3, 0.0), (0.3, 0.2), (0.1, 0.5)):  # in the last, the right foot never gets past the left
        gait = walk(reach=reach, ahead=ahead)
        table = gait.strides()
        left, right = 2 * reach + ahead, 2 * reach - ahead
        assert table[table["leg"] == "left"]["step_length"].to_numpy() == pytest.approx(left, abs=0.01)
        assert table[table["leg"] == "right"]["step_length"].to_numpy() == pytest.approx(right, abs=0.01)
        expected = -ahead / max(2 * reach, ahead)
        assert measure([gait])["step_asymmetry"].item() == pytest.approx(expected, abs=0.02)


@given(GAITS)
def test_a_mirror_exchanges_the_legs_and_nothing_else(gait):
    (one,), (other,) = ([row for _, row in measure([each]).iterrows()] for each in (gait, mirrored(gait)))
    for name in ("duty", "step"):
        assert one[f"{name}_asymmetry"] == pytest.approx(-other[f"{name}_asymmetry"])
    assert one["duty_factor_left"] == pytest.approx(other["duty_factor_right"])
    turns = one["phase"] + other["phase"]
    assert abs(turns - round(turns)) < 0.05  # φ becomes 1 - φ, up to a row
    for name in ("stride_length", "stride_frequency", "speed", "cost_of_transport", "torque_frequency"):
        assert one[name] == pytest.approx(other[name])
    assert one["kind"] == other["kind"]


@given(GAITS, some.sampled_from([2.0, 4.0]))
def test_slow_motion_changes_frequencies_and_no_part_of_a_stride(gait, factor):
    (one,), (other,) = ([row for _, row in measure([each]).iterrows()] for each in (gait, slower(gait, factor)))
    for name in ("stride_frequency", "speed", "torque_frequency"):
        assert one[name] == pytest.approx(factor * other[name])
    for name in ("duty_factor_left", "duty_factor_right", "phase", "stride_length", "dimensionless_speed"):
        assert one[name] == pytest.approx(other[name])
    assert one["kind"] == other["kind"]


def test_flicker_is_bridged_and_steps_are_not():
    dt = 0.02
    clean = np.array([0] * 10 + [1] * 20 + [0] * 10 + [1] * 20, bool)
    broken = clean.copy()
    broken[[15, 16, 45]] = False  # the ground is lost for two steps, and for one
    broken[5] = True  # and touched for one
    assert (bridged(broken, dt) == clean).all()
    assert (bridged(clean, dt) == clean).all()
    broken[15:19] = False  # four steps are 0.08 s
    assert len(touchdowns(bridged(broken, dt))) == 3
    assert len(strides(np.stack([broken, broken], 1), np.arange(60), np.zeros((60, 2)), dt, shortest=0.1)) == 2


@given(some.lists(some.booleans(), min_size=2, max_size=60))
def test_stances_are_the_time_on_the_ground(contact):
    spans = stances(contact, 0.5)
    assert np.diff(spans, axis=1).sum() == pytest.approx(0.5 * sum(contact))
    starts = spans[:, 0] / 0.5
    assert {int(start) for start in starts if start > 0} == set(touchdowns(contact).tolist())
    assert (touchdowns(bridged(contact, 0.5)) == touchdowns(contact)).all()  # 0.5 s is no flicker


@given(some.floats(-5, 5), some.floats(-5, 5))
def test_asymmetry_is_bounded_and_odd(left, right):
    value = asymmetry(left, right)
    if left == right == 0:
        assert np.isnan(value)
    else:
        assert -1 <= value <= 1
        assert asymmetry(right, left) == -value
        assert asymmetry(3 * left, 3 * right) == pytest.approx(value)


def test_asymmetry_where_one_leg_does_all():
    assert asymmetry(0.0, 0.7) == 1
    assert asymmetry(0.2, 0.6) == pytest.approx(0.5)


def test_phases_are_averaged_on_the_circle():
    assert min(mean_phase([0.98, 0.02]), 1 - mean_phase([0.98, 0.02])) < 1e-9
    assert mean_phase([0.2, np.nan, 0.4]) == pytest.approx(0.3)
    assert np.isnan(mean_phase([np.nan]))


@pytest.mark.parametrize("phase", [0.2, 0.5, 0.7])
def test_both_legs_tell_the_same_phase(phase):
    table = walk(phase=phase).strides()
    for own in (table, table[table["leg"] == "left"], table[table["leg"] == "right"]):
        assert limb_phase(own) == pytest.approx(phase, abs=0.01)


def test_values_at_phases_of_a_stride():
    contact = np.tile([True] * 4 + [False] * 6, 5)
    cycles = at_phases(np.arange(50) % 10, contact, points=11)
    assert cycles.shape == (3, 11)  # the first touchdown is not seen
    assert cycles[:, :10] == pytest.approx(np.tile(np.arange(10), (3, 1)))
    assert at_phases(np.arange(5), np.ones(5, bool)).shape == (0, 50)
