"""Animations of a policy's episodes, as a GIF or in a window."""

from __future__ import annotations

import base64
import html
import io
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pgcourse import gait
from pgcourse.algorithms import TrainedPolicy, Transition, play
from pgcourse.envs import WORLDS, Arm, Env, GymnasiumEnv, close, make, name_of, own

FPS = 20.0  # pictures a second, at most
PACES = (0.1, 1000.0)  # steps a second, between which a world's pace is believed
WIDTH = 480  # pixels of a GIF, at most
SMALLEST = 32  # pixels to which a GIF's shorter side is brought down, at least
COLORS = 64  # of each picture of a GIF
PAUSE = 1.0  # seconds that the last picture stays
GYMNASIUM = ("CartPole-v1", "Pendulum-v1")  # tensor worlds that Gymnasium has, too, and can draw
# White for the background, then a colour for each channel of a small image (Okabe & Ito's).
PALETTE = ("#FFFFFF", "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#000000")


class CannotDraw(ValueError):
    """A world cannot be drawn, here or anywhere; the message says why, and what to do."""


@dataclass(frozen=True)
class Film:
    """Episodes as pictures [height, width, 3], all of one size, and what each episode's return was.

    A notebook that has it as the last expression of a cell shows it.
    """

    frames: list[NDArray[np.uint8]] = field(repr=False)
    fps: float
    returns: list[float]
    title: str = ""

    def titled(self, title: str) -> Film:
        """The same with a line of text above it."""
        width = self.frames[0].shape[1]
        letters = max(12, width // 18)  # pixels, readable after the picture was made smaller
        strip = Image.new("RGB", (width, 3 * letters // 2), "white")
        ImageDraw.Draw(strip).text((letters // 2, letters // 8), title, "black", ImageFont.load_default(letters))
        above = np.asarray(strip, np.uint8)
        return replace(self, frames=[np.concatenate([above, frame]) for frame in self.frames], title=title)

    def beside(self, *others: Film) -> Film:
        """Films of one height and pace as one, from left to right; one that ends keeps its last picture."""
        films = (self, *others)
        if len({(each.frames[0].shape[0], each.fps) for each in films}) > 1:
            raise ValueError("films side by side need pictures of one height and as many of them a second")
        longest = max(len(each.frames) for each in films)
        rows = [[*each.frames, *each.frames[-1:] * (longest - len(each.frames))] for each in films]
        frames = [np.concatenate(pictures, 1) for pictures in zip(*rows, strict=True)]
        returns = [ret for each in films for ret in each.returns]
        return Film(frames, self.fps, returns, ", ".join(each.title for each in films if each.title))

    def _repr_html_(self) -> str:
        data = base64.b64encode(gif(self)).decode()
        returns = ", ".join(f"{ret:g}" for ret in self.returns)
        words = f"film: {self.title}; return {returns}" if self.title else f"film of episodes with return {returns}"
        return f'<img src="data:image/gif;base64,{data}" alt="{html.escape(words)}">'


@dataclass(frozen=True)
class Stage:
    """A world of one copy, and how to draw it as it is: from the world itself or from what the policy sees."""

    world: Env
    draw: Callable[[Tensor], NDArray[np.uint8]]
    fps: float  # steps a second


def shoot(trained: TrainedPolicy, seed: int | None = None, episodes: int = 1, deterministic: bool = False) -> Film:
    """Play episodes with one seed's policy, the first one's unless given, and draw every step in the world's own pace.

    Where a world has more than `FPS` steps a second, only every second, third, ... one is kept.

    Raises:
        CannotDraw: see `stage`.
        ValueError: no such seed, fewer than one episode.
    """
    scene = stage(trained.env, trained.env_args)
    every = math.ceil(scene.fps / FPS)
    frames: list[NDArray[np.uint8]] = []

    t = itertools.count()

    def look(obs: Tensor) -> None:
        if next(t) % every == 0:
            frames.append(_drawn(scene, obs))

    with _off_screen():
        try:
            returns = _returns(play(scene.world, trained, seed, episodes, deterministic, look))
        finally:
            close(scene.world)  # a window that is opened later needs another driver
    return Film(frames, scene.fps / every, returns)


@contextmanager
def _off_screen() -> Iterator[None]:
    """Pygame draws into memory: it needs no display, and does not complain on stderr where there is none."""
    name = "SDL_VIDEODRIVER"
    if name in os.environ:
        yield
        return
    os.environ[name] = "dummy"
    try:
        yield
    finally:
        os.environ.pop(name, None)


def replay(recording: gait.Recording | gait.Ride, width: int = 360) -> Film:
    """A recorded episode of a robot as a film, in its own pace; see `pgcourse.gait.record` and `ride`."""
    fps = 1 / recording.dt
    every = math.ceil(fps / FPS)
    frames = [gait.picture(recording, t, width) for t in range(0, len(recording), every)]
    return Film(frames, fps / every, [float(recording.reward.sum())])


def show(
    trained: TrainedPolicy, seed: int | None = None, episodes: int = 1, deterministic: bool = False
) -> list[float]:
    """Show episodes in a window and return their returns.

    Raises:
        CannotDraw: a world that has no window, or a machine without display.
        ValueError: as `shoot`.
    """
    id, arguments = _drawing_itself(trained.env), trained.env_args
    if id is None or "human" not in _modes(_metadata(id, arguments)):
        raise CannotDraw(f"{name_of(trained.env)} has no window; leave out --window for a GIF")
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"))):
        raise CannotDraw("this machine has no display for a window; leave out --window for a GIF")
    with _made(id, {**arguments, "render_mode": "human"}) as world:
        return _returns(play(world, trained, seed, episodes, deterministic))


def stage(env: str | Callable[..., Any], env_args: Mapping[str, Any] = MappingProxyType({})) -> Stage:
    """A world that can be drawn.

    Gymnasium's environments draw themselves, CartPole-v1 and Pendulum-v1 by their originals, EnvPool's by Gymnasium's.
    The arm, MinAtar's games, walking robots (`pgcourse.gait.ROBOTS`) and EnvPool's machines (`pgcourse.gait.MACHINES`)
    are drawn here, without OpenGL.

    Raises:
        CannotDraw: there is no way to draw the world.
    """
    id = _drawing_itself(env)
    if isinstance(id, str) and id in gait.ROBOTS:
        robot, robots = gait.ROBOTS[id], _made(id, env_args)
        return Stage(robots, lambda obs: gait.live(robot, robots.simulators[0]), _fps(robots.metadata))
    if id is not None:
        metadata = _metadata(id, env_args)
        if "rgb_array" not in _modes(metadata):
            raise CannotDraw(f"{name_of(env)} draws no pictures: its metadata names no render mode 'rgb_array'")
        world = _made(id, {**env_args, "render_mode": "rgb_array"})
        return Stage(world, lambda obs: _picture(world.render()[0]), _fps(metadata))
    if isinstance(env, str):
        if env in gait.MACHINES and env_args.get("observe") != "state":
            raise CannotDraw(f"{env} can be drawn where a policy was trained with observe='state'")
        drawable: Any = make(env, **env_args)
        if env in gait.MACHINES:
            return Stage(drawable, gait.riding(drawable), 1 / drawable.settings["ctrl_dt"])
        if isinstance(drawable, Arm):
            return Stage(drawable, lambda obs: arm(drawable, drawable.current[0, 0]), 1 / drawable.tau)
        if env.startswith("MinAtar/"):
            return Stage(drawable, lambda obs: cells(obs[0, 0]), 10.0)
    raise CannotDraw(
        f"{name_of(env)} cannot be drawn; what can: Gymnasium's environments, {', '.join(GYMNASIUM)}, Arm1-v0 to "
        f"Arm{Arm.most_joints}-v0, MinAtar's games and {', '.join(gait.MACHINES)}"
    )


def gif(pictures: Film, most_bytes: int = 1_000_000) -> bytes:
    """A film as GIF, made smaller until it has at most so many bytes.

    Raises:
        ValueError: it does not fit, however small.
    """
    height, width, _ = pictures.frames[0].shape
    scale = min(1.0, WIDTH / width)
    starts = [10 * round(100 * k / pictures.fps) for k in range(len(pictures.frames))]  # GIFs count in 10 ms
    duration = [*np.diff(starts).tolist(), round(1000 * PAUSE)]
    while True:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        images = [
            Image.fromarray(frame).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
            for frame in pictures.frames
        ]
        indexed = [image.quantize(COLORS, dither=Image.Dither.NONE) for image in images]
        buffer = io.BytesIO()
        indexed[0].save(buffer, "GIF", save_all=True, append_images=indexed[1:], duration=duration, loop=0)
        if buffer.tell() <= most_bytes:
            return buffer.getvalue()
        scale *= 0.8
        if min(width, height) * scale < SMALLEST:
            raise ValueError(
                f"{len(pictures.frames)} pictures do not fit into {most_bytes:,} bytes: take fewer episodes, or allow "
                "more bytes"
            )


def arm(world: Arm, state: Tensor, size: int = 240) -> NDArray[np.uint8]:
    """The arm and its target, seen from above: a picture [size, size, 3] of a state [2n + 2]."""
    large = 4 * size  # drawn larger, then averaged: smooth edges
    image = Image.new("RGB", (large, large), PALETTE[0])
    draw = ImageDraw.Draw(image)

    def place(point: Tensor) -> tuple[float, float]:
        x, y = (point / (2.2 * world.length)).tolist()
        return large * (0.5 + x), large * (0.5 - y)

    def disc(point: Tensor, radius: float, color: str) -> None:
        x, y = place(point)
        r = radius * large
        draw.ellipse((x - r, y - r, x + r, y + r), color)

    disc(state[-2:], 0.028, PALETTE[2])
    joints = world.skeleton(state[: world.joints])
    draw.line([place(joint) for joint in joints], PALETTE[1], width=large // 50)
    for joint in joints:
        disc(joint, 0.016, PALETTE[1])
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def cells(obs: Tensor, size: int = 16) -> NDArray[np.uint8]:
    """A small image [channel, height, width] of 0 and 1, every cell in the colour of the first channel that is set."""
    colors = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in PALETTE], np.uint8)
    first = torch.where(obs.bool().any(0), obs.bool().int().argmax(0) % (len(PALETTE) - 1) + 1, 0)
    return colors[first.numpy()].repeat(size, 0).repeat(size, 1)


def _returns(steps: Iterable[Transition]) -> list[float]:
    """Of each episode that the steps end."""
    returns, total = [], 0.0
    for step in steps:
        total += step.reward.item()
        if (step.terminated | step.truncated).item():
            returns.append(total)
            total = 0.0
    return returns


def _drawn(scene: Stage, obs: Tensor) -> NDArray[np.uint8]:
    """A picture, or why there is none: environments fail in ways of their own where a graphics library is missing."""
    try:
        return scene.draw(obs)
    except Exception as error:
        mujoco = any("mujoco" in each.__module__ for each in type(error).__mro__)
        remedy = "; on a machine without display, set MUJOCO_GL=egl or MUJOCO_GL=osmesa" if mujoco else ""
        what = f"{type(error).__name__}: {error}"
        raise CannotDraw(f"{scene.world.name} cannot be drawn on this machine ({what}){remedy}") from error


def _drawing_itself(env: Any) -> str | Callable[..., Any] | None:
    """An environment of Gymnasium's as `GymnasiumEnv` takes it; None for worlds that are drawn here or not at all."""
    if not isinstance(env, str):
        return env if isinstance(env, type) and issubclass(env, gymnasium.Env) else None
    if env.startswith("MinAtar/") or env in gait.MACHINES or (env in WORLDS and env not in GYMNASIUM):
        return None
    return _drawing_itself(kind) if (kind := own(env)) else env.removeprefix("envpool:")


def _made(id: str | Callable[..., Any], arguments: Mapping[str, Any]) -> GymnasiumEnv:
    """An environment, or why there is none: each refuses in a way of its own what it does not know."""
    try:
        return GymnasiumEnv(id, **arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        what = f"{type(error).__name__}: {error}"
        raise CannotDraw(f"{name_of(id)} cannot be drawn: it cannot be made with {given} ({what})") from error


def _metadata(id: str | Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an environment says of how it is drawn."""
    return _made(id, arguments).metadata


def _fps(metadata: Mapping[str, Any]) -> float:
    """Steps a second; 30 where an environment does not say it in a number that makes sense."""
    said = metadata.get("render_fps")
    sensible = isinstance(said, int | float | np.number) and PACES[0] <= said <= PACES[1]
    return float(said) if sensible else 30.0  # type: ignore[arg-type]


def _modes(metadata: Mapping[str, Any]) -> tuple[Any, ...]:
    """In which ways an environment says that it can be drawn."""
    said = metadata.get("render_modes")
    return tuple(said) if isinstance(said, list | tuple | set | frozenset) else ()


def _picture(drawn: Any) -> NDArray[np.uint8]:
    """[height, width, 3] of what an environment draws: grey pictures, too, those with transparency, and floats to 1."""
    picture = np.asarray(drawn)
    if picture.ndim == 3 and picture.shape[-1] == 1:
        picture = picture[..., 0]
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, -1)
    if picture.ndim != 3 or picture.shape[-1] not in (3, 4) or picture.dtype.kind not in "biuf" or not picture.size:
        raise ValueError(
            f"render() gives {drawn if drawn is None else f'an array {picture.shape} of {picture.dtype}'}, and not "
            "[height, width, 3] or [height, width]"
        )
    if picture.dtype.kind in "bf" and picture.max(initial=0) <= 1:
        picture = 255.0 * picture
    return picture[..., :3].clip(0, 255).astype(np.uint8)
