"""What a walking robot does, step by step: whole episodes of a trained policy as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from pgcourse.algorithms import TrainedPolicy, play
from pgcourse.envs import GymnasiumEnv
from pgcourse.gait.footfalls import strides
from pgcourse.gait.robots import Body, Robot, State, robot

ENDS = ("fell", "arrived", "time limit")


class RecordedEpisode:
    """An episode that was recorded: a row a step, `dt` seconds apart."""

    reward: NDArray[np.float64]
    dt: float

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def seconds(self) -> float:
        return len(self) * self.dt


@dataclass(frozen=True)
class Recording(RecordedEpisode):
    """One episode of a robot in the plane: x forward, y up (m), angles counterclockwise (rad).

    Row t is the state before step t, so the state in which the episode ended is not among them. Legs stand in the order
    of `pgcourse.gait.LEGS`, joints in that of `joints`.
    """

    trunk: NDArray[np.float64] = field(repr=False)  # [time, 3]: x, y, angle; a positive angle leans back
    velocity: NDArray[np.float64] = field(repr=False)  # [time, 3], of the same
    angle: NDArray[np.float64] = field(repr=False)  # [time, leg, joint]
    speed: NDArray[np.float64] = field(repr=False)  # [time, leg, joint], rad/s
    torque: NDArray[np.float64] = field(repr=False)  # [time, leg, joint], N m, in the step before this state
    contact: NDArray[np.bool_] = field(repr=False)  # [time, leg]
    foot: NDArray[np.float64] = field(repr=False)  # [time, leg, 2]
    reward: NDArray[np.float64] = field(repr=False)  # [time], of the step from this state
    dt: float  # s between rows
    joints: tuple[str, ...]
    weight: float  # N
    leg_length: float  # m
    gravity: float  # m/s²
    end: str  # one of `ENDS`
    pose: NDArray[np.float64] = field(repr=False)  # [time, body, 3]: x, y, angle of what is drawn
    bodies: tuple[Body, ...] = field(repr=False)
    ground: tuple[NDArray[np.float64], ...] = field(repr=False)  # see `pgcourse.gait.robots.Robot`
    env: str = ""
    seed: int = 0

    def strides(self) -> pd.DataFrame:
        """Every whole stride of both legs: see `pgcourse.gait.strides`."""
        return strides(self.contact, self.trunk[:, 0], self.foot[:, :, 0], self.dt)


def record(
    trained: TrainedPolicy, seed: int | None = None, episodes: int = 1, deterministic: bool = True, draw: int = 0
) -> list[Recording]:
    """Play episodes with one seed's policy, the first one's unless given, and write down all that the robot does.

    They are played in Gymnasium's simulator, also where the policy was trained in EnvPool's: it tells positions, forces
    and terrain. `draw` = 0 gives the episodes of `pgcourse watch`, another number others.

    Raises:
        NotARobot: a world without recordings, naming those that have some.
        ValueError: no such seed, fewer than one episode.
    """
    id, kind = robot(trained.env)
    seed = trained.seeds[0] if seed is None else seed
    states: list[State] = []
    rewards: list[float] = []
    recordings: list[Recording] = []
    with GymnasiumEnv(id, **trained.env_args) as world:

        def look(obs: Tensor) -> None:
            simulator = world.simulators[0]
            if not states:
                fixed.update(_fixed(kind, simulator))  # of this episode: its terrain is its own
            states.append(kind.state(simulator))

        fixed: dict[str, Any] = {"env": id, "seed": seed}
        for step in play(world, trained, seed, episodes, deterministic, look, draw):
            rewards.append(step.reward.item())
            terminated, truncated = step.terminated.item(), step.truncated.item()
            if terminated or truncated:
                fell = terminated and kind.fell(rewards[-1])
                end = "fell" if fell else "arrived" if terminated else "time limit"
                moving: dict[str, Any] = {
                    name: np.stack(each) for name, each in zip(State._fields, zip(*states, strict=True), strict=True)
                }
                recordings.append(Recording(**moving, reward=np.array(rewards), end=end, **fixed))
                states, rewards = [], []
    return recordings


def _fixed(kind: Robot, simulator: Any) -> dict[str, Any]:
    """What does not change during an episode."""
    return {
        "dt": kind.dt(simulator),
        "joints": kind.joints,
        "weight": kind.weight(simulator),
        "leg_length": kind.leg_length,
        "gravity": kind.gravity,
        "bodies": kind.bodies(simulator),
        "ground": kind.ground(simulator),
    }
