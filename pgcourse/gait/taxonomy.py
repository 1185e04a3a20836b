"""Kinds of gait, told apart by rules: a robot falls, stands still, hops, drags a leg, shuffles, limps, walks or runs.

The rules are asked in this order, and the first that holds decides:

* falls forward, falls back: the episode ended in a fall; the trunk leant forward, or back, before it
* stands still: dimensionless speed below `STILL`
* hops: the feet come down together (phase within `TOGETHER` of 0), or one carries it alone: the other is on the ground
  in less than `CARRIES` of the time
* drags a leg: one foot is on the ground in more than `DRAGGED` of the time, and the other is not
* shuffles: both are, or strides are shorter than `SHORT` leg lengths
* limps: duty factors or step lengths differ by an asymmetry above `UNEVEN`
* walks, runs: the mean duty factor is at least ½, or below (Alexander 2003, ch. 7)

A dimensionless speed is v / √(g l), the root of the Froude number (Alexander 1989). Which words clinicians use for what
is in Perry & Burnfield (2010); the thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pgcourse.gait.footfalls import asymmetry, bridged, limb_phase
from pgcourse.gait.recording import Recording
from pgcourse.gait.robots import LEGS

KINDS = (
    "falls forward", "falls back", "stands still", "hops", "drags a leg", "shuffles", "limps", "walks", "runs",
)  # fmt: skip

STILL = 0.05  # of v / √(g l)
TOGETHER = 0.1  # of a stride
CARRIES = 0.05  # of the time
DRAGGED = 0.9  # of the time
SHORT = 0.5  # leg lengths
UNEVEN = 0.25  # asymmetry, 0 to 1


def kind(recording: Recording) -> str:
    """One of `KINDS`; the rules stand above."""
    if recording.end == "fell":
        return "falls forward" if recording.trunk[-1, 2] < 0 else "falls back"
    distance = recording.trunk[-1, 0] - recording.trunk[0, 0]
    speed = distance / recording.seconds
    if speed / np.sqrt(recording.gravity * recording.leg_length) < STILL:
        return "stands still"
    table = recording.strides()
    touching = [bridged(each, recording.dt).mean() for each in recording.contact.T]
    phase = limb_phase(table)
    if min(touching) < CARRIES or (not np.isnan(phase) and min(phase, 1 - phase) < TOGETHER):
        return "hops"
    if max(touching) > DRAGGED >= min(touching):
        return "drags a leg"
    if min(touching) > DRAGGED or table.empty or table["length"].mean() < SHORT * recording.leg_length:
        return "shuffles"
    of_legs = [table[table["leg"] == name] for name in LEGS]
    uneven = [asymmetry(*(leg[name].mean() for leg in of_legs)) for name in ("duty_factor", "step_length")]
    if max(map(abs, uneven)) > UNEVEN:
        return "limps"
    return "walks" if table["duty_factor"].mean() >= 0.5 else "runs"


def counts(recordings: Iterable[Recording]) -> pd.DataFrame:
    """How many episodes of each seed are of which kind: a row a seed, a column for each of `KINDS`."""
    found = pd.DataFrame([(each.seed, kind(each)) for each in recordings], columns=["seed", "kind"])
    table = pd.crosstab(found["seed"], found["kind"]).reindex(columns=list(KINDS), fill_value=0)
    return table.rename_axis(columns=None)
