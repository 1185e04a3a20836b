"""Recorded robots as pictures: one moment, or several on the same ground. Drawn from numbers; no window, no OpenGL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pgcourse.gait.robots import Body, Robot

# Okabe & Ito's blue and vermilion for the legs, as in figures.
COLORS = {"left": (0, 114, 178), "right": (213, 94, 0), "": (70, 70, 70)}
SKY, SOIL, EDGE, INK = (255, 255, 255), (232, 232, 228), (90, 90, 90), (110, 110, 110)
FINE = 3  # drawn so many times larger, then averaged: smooth edges
WIDTH, BELOW, ABOVE = 3.6, 0.4, 1.75  # leg lengths in view: across, under the ground, over it
MARK = 5  # m between marks on the ground
CALM = 4.0  # m to both sides of which the camera takes the mean height, so that it does not jump


@dataclass(frozen=True)
class _View:
    """From metres to pixels: `left` and `bottom` (m) are the lower left corner of a picture of `size` pixels."""

    left: float
    bottom: float
    scale: float  # pixels per m
    size: tuple[int, int]

    def place(self, points: NDArray[np.float64]) -> list[tuple[float, float]]:
        x = (points[:, 0] - self.left) * self.scale
        y = self.size[1] - (points[:, 1] - self.bottom) * self.scale
        return list(zip(x.tolist(), y.tolist(), strict=True))

    @property
    def right(self) -> float:
        return self.left + self.size[0] / self.scale


class Scene(Protocol):
    """What does not change in an episode: of a `Recording`, or of a running simulator."""

    @property
    def bodies(self) -> tuple[Body, ...]: ...

    @property
    def ground(self) -> tuple[NDArray[np.float64], ...]: ...

    @property
    def leg_length(self) -> float: ...


class Recorded(Scene, Protocol):
    """An episode: a `Recording` or a `Ride`."""

    @property
    def trunk(self) -> NDArray[np.float64]: ...

    @property
    def pose(self) -> NDArray[np.float64]: ...


class _Running(NamedTuple):
    bodies: tuple[Body, ...]
    ground: tuple[NDArray[np.float64], ...]
    leg_length: float


def picture(recording: Recorded, time: int, width: int = 360) -> NDArray[np.uint8]:
    """The robot in row `time` of a recording, in the middle of a picture [height, width, 3] that follows it.

    The left leg is blue and behind the trunk, the right one red and before it. There is a mark on the ground every 5 m.
    """
    return moment(recording, recording.pose[time], recording.trunk[time, 0], width)


def live(robot: Robot, simulator: Any, width: int = 360) -> NDArray[np.uint8]:
    """The same of a simulator as it is now."""
    state = robot.state(simulator)
    scene = _Running(robot.bodies(simulator), robot.ground(simulator), robot.leg_length)
    return moment(scene, state.pose, state.trunk[0], width)


def strip(
    recording: Recorded, times: Sequence[int], width: int = 1000, left: float | None = None, right: float | None = None
) -> NDArray[np.uint8]:
    """The robot in several rows of a recording on one piece of ground, early ones pale: [height, width, 3].

    From `left` to `right` (m); without them, as much as the robot passes.
    """
    x = recording.trunk[list(times), 0]
    margin = 1.2 * recording.leg_length
    low = float(x.min()) - margin if left is None else left
    high = float(x.max()) + margin if right is None else right
    return _drawn(recording, recording.pose[list(times)], low, high, width)


def moment(scene: Scene, pose: NDArray[np.float64], x: float, width: int) -> NDArray[np.uint8]:
    """A picture [height, width, 3] of a scene's bodies at `pose` [body, 3], with `x` (m) in the middle."""
    half = WIDTH * scene.leg_length / 2
    return _drawn(scene, pose[None], float(x) - half, float(x) + half, width)


def _drawn(scene: Scene, poses: NDArray[np.float64], left: float, right: float, width: int) -> NDArray[np.uint8]:
    scale = FINE * width / (right - left)
    height = round((BELOW + ABOVE) * scene.leg_length * scale / FINE)
    reach = max(CALM, (right - left) / 2)
    level = float(np.mean(_height(scene, (left + right) / 2 + np.linspace(-reach, reach, 9))))
    view = _View(left, level - BELOW * scene.leg_length, scale, (FINE * width, FINE * height))
    image = Image.new("RGB", view.size, SKY)
    _ground(ImageDraw.Draw(image), view, scene)
    for pose, strength in zip(poses, np.linspace(0.35, 1.0, len(poses) + 1)[1:], strict=True):
        layer = Image.new("RGBA", view.size, (0, 0, 0, 0))
        _robot(ImageDraw.Draw(layer), view, scene.bodies, pose)
        image.paste(layer, mask=layer.getchannel("A").point(lambda a, strength=strength: round(a * strength)))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.uint8)


def _height(scene: Scene, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """How high the ground is, obstacles apart."""
    edges = np.concatenate([piece for piece in scene.ground if len(piece) == 2])
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    return np.interp(x, edges[:, 0], edges[:, 1])


def _ground(draw: ImageDraw.ImageDraw, view: _View, scene: Scene) -> None:
    deep = view.bottom - 1.0
    for piece in scene.ground:
        if piece[:, 0].max() < view.left or piece[:, 0].min() > view.right:
            continue
        if len(piece) == 2:
            down = np.array([[piece[1, 0], deep], [piece[0, 0], deep]])
            draw.polygon(view.place(np.concatenate([piece, down])), SOIL)
            draw.line(view.place(piece), EDGE, width=round(0.5 * FINE + 1))
        else:
            draw.polygon(view.place(piece), SOIL, EDGE, width=FINE)
    letters = min(max(9 * FINE, round(0.16 * scene.leg_length * view.scale)), 13 * FINE)
    font = ImageFont.load_default(letters)
    aside = letters / view.scale  # half of what is written, so that none is cut
    first, last = np.ceil((view.left + aside) / MARK), np.floor((view.right - aside) / MARK)
    for mark in range(MARK * int(first), MARK * int(last) + 1, MARK):
        ((x, y),) = view.place(np.array([[float(mark), float(_height(scene, np.array([float(mark)]))[0])]]))
        draw.line([(x, y), (x, y + letters / 2)], EDGE, width=FINE)
        draw.text((x, y + 0.6 * letters), f"{mark} m", INK, font, anchor="ma")


def _robot(draw: ImageDraw.ImageDraw, view: _View, bodies: Sequence[Body], poses: NDArray[np.float64]) -> None:
    order = {"left": 0, "": 1, "right": 2}  # from behind
    for body, (x, y, angle) in sorted(zip(bodies, poses, strict=True), key=lambda each: order[each[0].leg]):
        cosine, sine = np.cos(angle), np.sin(angle)
        points = view.place(body.points @ np.array([[cosine, sine], [-sine, cosine]]) + [x, y])
        color = COLORS[body.leg]
        if len(points) > 2:
            draw.polygon(points, color, SKY, width=FINE)
            continue
        radius = body.radius * view.scale
        for grown, paint in ((radius + FINE, SKY), (radius, color)):
            draw.line(points, paint, width=round(2 * grown))
            for px, py in points:
                draw.ellipse((px - grown, py - grown, px + grown, py + grown), paint)
