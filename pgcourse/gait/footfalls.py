"""When feet are on the ground: stances, strides and what they tell of a gait.

A *stride* of a leg begins when its foot touches down and ends when it touches down again; it is a *stance*, foot on the
ground, and a *swing*. Its terms are those of Alexander (2003), Principles of Animal Locomotion, ch. 7, and of Perry &
Burnfield (2010), Gait Analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pgcourse.gait.robots import LEGS

FLICKER = 0.06  # s: a foot that rolls over an edge of the terrain loses the ground for a step or two


def bridged(contact: ArrayLike, dt: float, shortest: float = FLICKER) -> NDArray[np.bool_]:
    """Contacts [time] of one foot without flicker: first swings below `shortest` (s) are filled, then stances removed.

    What the recording cuts, at its beginning and end, stays as it is.
    """
    touching = np.asarray(contact, bool).copy()
    for state in (False, True):
        edges = np.flatnonzero(np.diff(touching)) + 1
        for first, after in pairwise(edges):
            if touching[first] == state and (after - first) * dt < shortest - 1e-9:
                touching[first:after] = not state
    return touching


def touchdowns(contact: ArrayLike) -> NDArray[np.int64]:
    """The rows at which a foot [time] touches the ground that it did not touch a row before."""
    touching = np.asarray(contact, bool)
    return np.flatnonzero(touching[1:] & ~touching[:-1]) + 1


def stances(contact: ArrayLike, dt: float) -> NDArray[np.float64]:
    """[stance, 2]: when a foot [time] came down and left the ground (s); first and last may be cut by the recording."""
    padded = np.pad(np.asarray(contact, bool), 1).astype(int)
    rows = np.stack([np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)], 1)
    return np.asarray(rows * dt, np.float64)


def strides(
    contact: ArrayLike, forward: ArrayLike, foot: ArrayLike, dt: float, shortest: float = FLICKER
) -> pd.DataFrame:
    """Every whole stride of both legs: a row a stride.

    Args:
        contact: [time, leg], whether the foot touches the ground; legs in the order of `LEGS`.
        forward: [time], how far the trunk is (m).
        foot: [time, leg], how far the foot is (m).
        dt: s between rows.
        shortest: see `bridged`.

    Returns:
        `leg`; `start` (s); `duration` (s), its inverse is the stride frequency; `length`, how far the trunk gets (m);
        `duty_factor`, the part of the stride in which the foot is on the ground (0 to 1; above ½ in a walk, below in a
        run: Alexander 2003); `phase`, when the other foot comes down first, as a part of the stride (½ where legs
        alternate, 0 where they strike together: Hildebrand 1965; NaN where it does not come down); `step_length`, how
        far this foot is ahead of the other when it comes down (m; negative where it stays behind).
    """
    touching = np.stack([bridged(each, dt, shortest) for each in np.asarray(contact, bool).T], 1)
    forward, foot = np.asarray(forward, float), np.asarray(foot, float)
    down = [touchdowns(each) for each in touching.T]
    rows = []
    for leg, name in enumerate(LEGS):
        for first, last in pairwise(down[leg]):
            others = down[1 - leg][(down[1 - leg] >= first) & (down[1 - leg] < last)]
            rows.append(
                {
                    "leg": name,
                    "start": first * dt,
                    "duration": (last - first) * dt,
                    "length": forward[last] - forward[first],
                    "duty_factor": touching[first:last, leg].mean(),
                    "phase": (others[0] - first) / (last - first) if len(others) else np.nan,
                    "step_length": foot[first, leg] - foot[first, 1 - leg],
                }
            )
    columns = ["leg", "start", "duration", "length", "duty_factor", "phase", "step_length"]
    return pd.DataFrame(rows, columns=columns).astype({name: float for name in columns[1:]})


def asymmetry(left: float, right: float) -> float:
    """(right - left) / (|right| + |left|): 0 where both legs do the same, ±1 where only one does it; NaN for 0 and 0.

    Half the symmetry index of Robinson, Herzog & Nigg (1987), with absolute values: quantities may be negative.
    """
    size = abs(left) + abs(right)
    return (right - left) / size if size else np.nan


def mean_phase(phases: Sequence[float] | NDArray[np.float64]) -> float:
    """The mean direction of phases in [0, 1) on the circle, where 0.99 and 0.01 are close; NaN without any."""
    known = np.asarray(phases, float)
    known = known[~np.isnan(known)]
    if not len(known):
        return np.nan
    return float(np.angle(np.exp(2j * np.pi * known).mean()) / (2 * np.pi) % 1.0)


def limb_phase(table: pd.DataFrame) -> float:
    """When the right foot comes down, as a part of the left one's stride: the mean over the `strides` of both legs.

    In a stride of the right leg the left foot's phase is 1 minus that.
    """
    return mean_phase(table["phase"].where(table["leg"] == LEGS[0], 1 - table["phase"]).to_numpy())


def at_phases(values: ArrayLike, contact: ArrayLike, points: int = 50) -> NDArray[np.float64]:
    """[stride, point]: values [time] of each whole stride of a foot's contact [time], at equally spaced parts of it.

    The last point is the touchdown that ends the stride. Between rows, values are interpolated linearly.
    """
    down, values = touchdowns(contact), np.asarray(values, float)
    times = np.arange(len(values))
    cycles = [np.interp(np.linspace(a, b, points), times, values) for a, b in pairwise(down)]
    return np.array(cycles).reshape(-1, points)
