"""What a steered machine on four legs does, step by step: whole episodes of a trained policy as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from pgcourse.algorithms import TrainedPolicy, play
from pgcourse.algorithms.acting import Transition
from pgcourse.envs import EnvPoolEnv
from pgcourse.gait.drawing import moment
from pgcourse.gait.footfalls import bridged, mean_phase, touchdowns
from pgcourse.gait.recording import RecordedEpisode
from pgcourse.gait.robots import Body, NotARobot

FEET = ("front right", "front left", "hind right", "hind left")
MACHINES = ("envpool:Go1JoystickFlatTerrain-v1",)
VELOCITIES = ("ahead", "to the left", "turning")  # of a command: m/s, m/s, rad/s
REWARD = "reward_"  # what EnvPool calls a part of the reward begins so

# Unitree's Go1, from MuJoCo Menagerie's go1.xml. Of a leg: hip (abduction), thigh, calf; lengths in m.
AHEAD, ASIDE, OUT, LONG, FOOT = 0.1881, 0.04675, 0.08, 0.213, 0.023
HIPS = np.array([[x, y, 0.0] for x in (AHEAD, -AHEAD) for y in (-ASIDE, ASIDE)])
POSTURE = np.array([[0.1, 0.9, -1.8], [-0.1, 0.9, -1.8]] * 2)  # rad, where actions and angles of joints are 0


class Told(NamedTuple):
    """What the simulator knows of a machine before a step, free of the noise of its sensors.

    A command is a speed ahead, one to the left (m/s) and a turning to the left (rad/s), all in the machine's own frame.
    `velocity` is what it asks for, measured where the inertial sensors sit, as the reward does.
    """

    command: NDArray[np.float64]  # [3]
    velocity: NDArray[np.float64]  # [3]
    down: NDArray[np.float64]  # [3], the direction of gravity in the trunk's frame
    angle: NDArray[np.float64]  # [foot, joint], rad, as the machine's maker counts them
    speed: NDArray[np.float64]  # [foot, joint], rad/s
    torque: NDArray[np.float64]  # [foot, joint], N m, of the motors: the joints' own damping is not in it
    contact: NDArray[np.bool_]  # [foot], a step late


@dataclass(frozen=True)
class Ride(RecordedEpisode):
    """One episode of a machine that is steered. Row t is the state before step t, and what that step was paid.

    Feet stand in the order of `FEET`, the joints of each from the trunk down: hip, thigh, calf.
    """

    command: NDArray[np.float64] = field(repr=False)  # [time, 3], and so on: see `Told`
    velocity: NDArray[np.float64] = field(repr=False)
    down: NDArray[np.float64] = field(repr=False)
    angle: NDArray[np.float64] = field(repr=False)
    speed: NDArray[np.float64] = field(repr=False)
    torque: NDArray[np.float64] = field(repr=False)
    contact: NDArray[np.bool_] = field(repr=False)  # in time; the last row's is that of the row before
    target: NDArray[np.float64] = field(repr=False)  # [time, foot, joint], rad: to where the action sends each joint
    reward: NDArray[np.float64] = field(repr=False)  # [time]
    parts: dict[str, NDArray[np.float64]] = field(repr=False)  # [time] each, for one second; see `ride`
    dt: float  # s between rows
    fell: bool
    env: str = ""
    seed: int = 0

    # What a picture needs: see `pgcourse.gait.picture`.

    bodies = (
        Body(np.array([[x, y] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]) * (AHEAD + 0.05, 0.055), 0.0, ""),
        *(
            Body(np.array([[0.0, 0.0], [0.0, -LONG]]), radius, foot.split()[1])
            for foot in FEET
            for radius in (0.02, 0.014)
        ),
    )
    ground = (np.array([[-1e3, 0.0], [1e3, 0.0]]),)
    leg_length = 2 * LONG

    @cached_property
    def trunk(self) -> NDArray[np.float64]:
        """[time, 3]: how far it came along its own heading and how high it is (m), and its pitch (rad), up positive.

        The way is the integral of the speed ahead. The height is such that the lowest foot touches the ground.
        """
        way = np.concatenate([[0.0], np.cumsum(self.velocity[:-1, 0])]) * self.dt
        height = FOOT - self._seen(limbs(self.angle)[:, :, -1])[..., 1].min(1)
        return np.stack([way, height, np.arcsin(np.clip(-self.down[:, 0], -1, 1))], 1)

    @cached_property
    def pose(self) -> NDArray[np.float64]:
        """[time, body, 3], the place (m) and angle of each of the `bodies`, seen from the right.

        Limbs are drawn with their whole length: those of a machine that rolls over, too long.
        """
        at = self._seen(limbs(self.angle)) + self.trunk[:, None, None, :2]
        along = np.diff(at, axis=2)
        parts = np.concatenate([at[:, :, :-1], np.arctan2(along[..., :1], -along[..., 1:])], -1)
        return np.concatenate([self.trunk[:, None], parts.reshape(len(self), -1, 3)], 1)

    def _seen(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """[time, ..., 2]: points [time, ..., 3] in the trunk's frame, ahead and up from its middle."""
        up = -self.down
        ahead = np.array([1.0, 0.0, 0.0]) - up[:, :1] * up
        axes = np.stack([ahead / np.linalg.norm(ahead, axis=1, keepdims=True), up], -1)
        return np.einsum("t...i,tij->t...j", points, axes)


def limbs(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., foot, 3, xyz]: where thigh, knee and foot are in the trunk's frame (m), at angles [..., foot, joint]."""
    hip, thigh, calf = np.moveaxis(angle, -1, 0)
    side = np.sign(HIPS[:, 1])

    def segment(turned: NDArray[np.float64]) -> NDArray[np.float64]:
        """From a joint about y to the end of what it moves, before the hip turns all about x."""
        return np.stack([-LONG * np.sin(turned), np.zeros_like(turned), -LONG * np.cos(turned)], -1)

    out = np.stack([np.zeros_like(hip), OUT * side + np.zeros_like(hip), np.zeros_like(hip)], -1)
    knee = out + segment(thigh)
    x, y, z = np.moveaxis(np.stack([out, knee, knee + segment(thigh + calf)], -2), -1, 0)
    cosine, sine = np.cos(hip)[..., None], np.sin(hip)[..., None]
    return np.stack([x, y * cosine - z * sine, y * sine + z * cosine], -1) + HIPS[:, None]


def ride(
    trained: TrainedPolicy, seed: int | None = None, episodes: int = 1, deterministic: bool = True, draw: int = 0
) -> list[Ride]:
    """Play episodes with one seed's policy, the first one's unless given, and write down all that the machine does.

    `parts` holds what each term of the reward pays for a second; a step is paid their sum times dt, and nothing where
    that is negative (Zakka et al. 2025, MuJoCo Playground). `draw` = 0 gives the episodes of `pgcourse watch`, another
    number others.

    Raises:
        NotARobot: not one of `MACHINES`, or a policy that sees what only the simulator knows.
        ValueError: no such seed, fewer than one episode.
        gymnasium.error.DependencyNotInstalled: EnvPool is not installed.
    """
    if trained.env not in MACHINES:
        raise NotARobot(f"{trained.env} is no machine whose rides can be recorded; these are: {', '.join(MACHINES)}")
    if trained.env_args.get("observe") != "state":
        raise NotARobot(
            f"{trained.env}: only the rides of a policy that was trained with observe='state' can be recorded"
        )
    seed = trained.seeds[0] if seed is None else seed
    rides: list[Ride] = []
    world: Any = trained.world()
    with world:
        states: list[Told] = []
        steps: list[tuple[Transition, dict[str, Tensor]]] = []
        for step in play(world, trained, seed, episodes, deterministic, lambda _: states.append(_known(world)), draw):
            steps.append((step, world.told))
            if step.terminated.item() or step.truncated.item():
                rides.append(_ride(states, steps, world.settings, trained.env, seed))
                states.clear()
                steps.clear()
    return rides


def riding(world: EnvPoolEnv, width: int = 360) -> Callable[[Tensor], NDArray[np.uint8]]:
    """A function that draws the machine as it is now, [height, width, 3]; it does not use its argument.

    It is called at some steps of the one copy, in their order. How far the machine came is reckoned from its speed
    at these steps.
    """
    way, before = 0.0, 0

    def draw(_: Tensor) -> NDArray[np.uint8]:
        nonlocal way, before
        told, step = _known(world), int(world.elapsed.item())
        way = way + (step - before) * world.settings["ctrl_dt"] * told.velocity[0] if step > before else 0.0
        before = step
        row: dict[str, Any] = {name: each[None] for name, each in told._asdict().items()}
        now = Ride(**row, target=row["angle"], reward=np.zeros(1), parts={}, dt=world.settings["ctrl_dt"], fell=False)
        return moment(now, now.pose[0] + (way, 0.0, 0.0), way, width)

    return draw


def footwork(ride: Ride) -> pd.DataFrame:
    """How the feet take turns, a row a foot, over its whole strides; NaN where there is none.

    `duty_factor` is the part of them in which the foot is down, `frequency` their number in a second, `phase` when the
    foot first comes down in a stride of the left hind foot, as a part of it (0 to 1, the mean on the circle).
    Hildebrand (1965), whose names for symmetrical gaits, in which the feet of a pair alternate evenly, are: *pace*
    where the feet of a side come down together, *trot* where those of a diagonal do.
    """
    touching = np.stack([bridged(each, ride.dt) for each in ride.contact.T], 1)
    down = [touchdowns(each) for each in touching.T]
    strides = list(pairwise(down[FEET.index("hind left")]))

    def phases(foot: int) -> list[float]:
        firsts = [(down[foot][(down[foot] >= a) & (down[foot] < b)][:1], a, b) for a, b in strides]
        return [float((first[0] - a) / (b - a)) for first, a, b in firsts if len(first)]

    rows = {
        foot: {
            "duty_factor": touching[down[k][0] : down[k][-1], k].mean() if len(down[k]) > 1 else np.nan,
            "frequency": (len(down[k]) - 1) / (np.ptp(down[k]) * ride.dt) if len(down[k]) > 1 else np.nan,
            "phase": mean_phase(phases(k)),
        }
        for k, foot in enumerate(FEET)
    }
    return pd.DataFrame(rows).T.rename_axis("foot")


def following(rides: Sequence[Ride]) -> pd.DataFrame:
    """How much of what the joystick asks for a machine does, a row a seed, all of its rides together.

    For each velocity the slope of the least-squares line of what was done against what was asked, over all steps: 1 for
    one that follows, 0 for one whose velocity has nothing to do with the command, NaN where the command never changed.
    The columns are `VELOCITIES`.
    """
    rows = {}
    for seed in dict.fromkeys(ride.seed for ride in rides):
        some = [ride for ride in rides if ride.seed == seed]
        asked, done = (np.concatenate([getattr(ride, name) for ride in some]) for name in ("command", "velocity"))
        asked, done = asked - asked.mean(0), done - done.mean(0)
        with np.errstate(invalid="ignore"):
            rows[seed] = (asked * done).sum(0) / (asked**2).sum(0)
    return pd.DataFrame(rows, index=VELOCITIES).T.rename_axis("seed")


def _ride(
    states: list[Told],
    steps: list[tuple[Transition, dict[str, Tensor]]],
    settings: Mapping[str, Any],
    env: str,
    seed: int,
) -> Ride:
    columns: dict[str, Any] = {
        name: np.stack(each) for name, each in zip(Told._fields, zip(*states, strict=True), strict=True)
    }
    if len(states) > 2:  # told a step late: those of the first state and of the last one never are
        columns["contact"] = np.pad(columns["contact"][2:], ((1, 1), (0, 0)), "edge")
    names = [name for name in steps[0][1] if name.startswith(REWARD)]
    return Ride(
        **columns,
        target=POSTURE + settings["action_scale"] * np.stack([_executed(step) for step, _ in steps]),
        reward=np.array([step.reward.item() for step, _ in steps]),
        parts={name.removeprefix(REWARD): np.array([told[name].item() for _, told in steps]) for name in names},
        dt=settings["ctrl_dt"],
        fell=bool(steps[-1][0].terminated.item()),
        env=env,
        seed=seed,
    )


def _executed(step: Transition) -> NDArray[np.float64]:
    """[foot, joint]: the action as the world clips it."""
    return step.action[0, 0].double().clamp(-1, 1).reshape(4, 3).numpy()


def _known(world: EnvPoolEnv) -> Told:
    """Of the one copy's `privileged_state`; its parts stand as in MuJoCo Playground's go1/joystick.py."""
    known = world.unseen["privileged_state"][0, 0].double().numpy()
    sizes = {
        "state": 48, "turning": 3, "acceleration": 3, "down": 3, "velocity": 3, "turning in the world": 3, "angle": 12,
        "speed": 12, "torque": 12, "contact": 4,
    }  # fmt: skip
    cuts = np.cumsum(list(sizes.values()))
    part = dict(zip(sizes, np.split(known, cuts)[:-1], strict=True))
    return Told(
        command=part["state"][-3:],
        velocity=np.array([*part["velocity"][:2], part["turning"][2]]),
        down=part["down"],
        angle=part["angle"].reshape(4, 3) + POSTURE,
        speed=part["speed"].reshape(4, 3),
        torque=part["torque"].reshape(4, 3),
        contact=part["contact"] > 0,
    )
