"""What stands in the way of BipedalWalkerHardcore's robot, and what it gets past: pits, stumps and stairs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pgcourse.gait.recording import Recording

OBSTACLES = ("pit", "stump", "stairs")
GRID = 14 / 30  # m, on which Gymnasium builds the track
NEAR = 1.5  # m from the middle of the trunk, whose half is 1.1 m long: closer, a leg is on the obstacle, or could be


def obstacles(recording: Recording) -> pd.DataFrame:
    """The obstacles of an episode's track from left to right: `kind`, one of `OBSTACLES`, `left` and `right` (m).

    They are told apart by the boxes of which Gymnasium makes them, in units of `GRID`: a pit has two walls, 1 wide and
    4 high, a stump is a square of 1 or 2, a stair is 4 wide and 1 high. A flight of stairs is one obstacle.
    """
    rows: list[tuple[str, float, float]] = []
    walls: list[float] = []
    for piece in recording.ground:
        if len(piece) < 4:  # an edge of the ground
            continue
        (left, low), (right, high) = piece.min(0), piece.max(0)
        size = round((right - left) / GRID), round((high - low) / GRID)
        if size == (1, 4):
            walls += [left, right]
            if len(walls) == 4:
                rows.append(("pit", walls[0], walls[3]))
                walls = []
        elif size == (4, 1):
            if rows and rows[-1][0] == "stairs" and np.isclose(rows[-1][2], left):
                left = rows.pop()[1]
            rows.append(("stairs", left, right))
        else:
            rows.append(("stump", left, right))
    return pd.DataFrame(rows, columns=["kind", "left", "right"])


def encounters(recording: Recording) -> pd.DataFrame:
    """The obstacles that the robot came to, as `obstacles` lists them, and whether each was `passed`.

    It came to one when the middle of its trunk was `NEAR` its left edge, and passed it when it was as far beyond the
    right one, even if it fell there.
    """
    table, farthest = obstacles(recording), recording.trunk[:, 0].max()
    reached = table[table["left"] - NEAR < farthest].reset_index(drop=True)
    return reached.assign(passed=reached["right"] + NEAR < farthest)
