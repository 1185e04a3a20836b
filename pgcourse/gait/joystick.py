"""Robots that are steered: how far their velocity is from the commanded one, and how often they fall."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pgcourse.algorithms import TrainedPolicy, require_fit
from pgcourse.algorithms.acting import step_by_step
from pgcourse.algorithms.evaluate import portions
from pgcourse.core import Streams
from pgcourse.envs import EnvPoolEnv, close
from pgcourse.gait.robots import NotARobot

PARTS = ("tracking_lin_vel", "tracking_ang_vel")  # of the reward
HALF, RARELY = 0.5, 1.0  # of the error of a robot that stands still; falls a minute


def tracking(trained: TrainedPolicy, episodes: int = 10, deterministic: bool = True, seed: int = 0) -> pd.DataFrame:
    """How every seed's policy follows its joystick, in EnvPool's Go1JoystickFlatTerrain-v1 and its like: a row each.

    `seed`; `minutes` that were played; `speed_error`, the root mean square of |v - v*| over all steps (m/s), of the
    horizontal velocity in the trunk's own frame; `turn_error`, the same of the angular speed about the trunk's axis
    (rad/s); `speed_commanded`, the root mean square of |v*|, which is the error of a robot that stands still;
    `falls_per_minute`, where an episode that the world ended is a fall; `follows`, whether the speed error is below
    half of that of standing still with less than one fall a minute. The two thresholds are ours.

    Errors are free of the noise of the sensors. They are read off the reward, one part of which is
    w exp(-|v - v*|² / s) (Zakka et al. 2025, MuJoCo Playground), with w and s from the world's settings. The episodes
    are those of `pgcourse.evaluate`, to whose arguments these are equal.

    Raises:
        NotARobot: a world whose reward has no such parts.
        ValueError: fewer than one episode.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be 1 or more, got {episodes}")
    sums = []
    for some, parts in portions(trained, episodes, seed):
        played = [_played(some, size, deterministic, path) for size, path in parts]
        sums.append(torch.stack(played).sum(0))
    speed, turn, commanded, minutes, falls = torch.cat(sums, 1).numpy()
    table = pd.DataFrame(
        {
            "seed": trained.seeds,
            "minutes": minutes,
            "speed_error": np.sqrt(speed / minutes),
            "turn_error": np.sqrt(turn / minutes),
            "speed_commanded": np.sqrt(commanded / minutes),
            "falls_per_minute": falls / minutes,
        }
    )
    near = table["speed_error"] < HALF * table["speed_commanded"]
    return table.assign(follows=near & (table["falls_per_minute"] < RARELY))


def _played(trained: TrainedPolicy, episodes: int, deterministic: bool, path: tuple[str, ...]) -> Tensor:
    """[5, seed]: integrals over the minutes played of both squared errors, the squared command and 1; and falls."""
    world: Any = trained.world(episodes)
    try:
        if any(f"{part}_scale" not in getattr(world, "settings", {}) for part in PARTS):
            raise NotARobot(f"{world.name} has no joystick; envpool:Go1JoystickFlatTerrain-v1 has one, for instance")
        require_fit(world, trained.policy, trained.theta)
        streams = Streams(trained.seeds, path)
        rows = []
        for step, running in step_by_step(trained.policy, trained.theta, world, streams, deterministic):
            told = world.told
            squared = [_squared(world, part, told[f"reward_{part}"]) for part in PARTS]
            squared.append((told["command"][..., :2] ** 2).sum(-1))
            rows.append([*(running * each for each in squared), running, running & step.terminated])
    finally:
        close(world)
    sums = torch.stack([torch.stack(column).double().sum((0, 2)) for column in zip(*rows, strict=True)])
    sums[:-1] *= world.settings["ctrl_dt"] / 60
    return sums


def _squared(world: EnvPoolEnv, part: str, paid: Tensor) -> Tensor:
    """|v - v*|² of each copy, from what was paid for it. Finite also where that is too little for a float."""
    tiny = torch.finfo(paid.dtype).tiny
    return -world.settings["tracking_sigma"] * (paid / world.settings[f"{part}_scale"]).clamp(tiny, 1.0).log()
