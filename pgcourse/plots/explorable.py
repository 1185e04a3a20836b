"""Figures with sliders, for a notebook and its web page: every number comes from Python, a short script selects.

A figure's controls span a grid: a slider with 51 values and a choice between 3 give 51 × 3 positions. Whatever moves
has a value for each position, an array whose first axes are the controls'; an axis along which nothing changes has
length 1, as in broadcasting. Python turns the values into the attributes of an SVG. The script, which needs no library,
no network and no kernel, sets those of the position that is chosen. Where scripts do not run, a picture of the first
position stays.
"""

from __future__ import annotations

import hashlib
import json
import math
import textwrap
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT = (
    360,
    270,
)  # of a panel; its text has 12 units, so that it can be read on a phone, where 1 unit is 1 pixel
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 36, 44  # margins of the axes inside a panel
INK = "currentColor"  # of the page, light or dark
BAR = 10  # a segment that is wider is a bar or a band
FAINT = 0.25  # opacity of what is not chosen
MINUS = "\N{MINUS SIGN}"

Grid: TypeAlias = tuple[int, ...]
Words: TypeAlias = "NDArray[Any]"
"""Strings, one for each position of the controls."""


# Controls


@dataclass(frozen=True)
class Slider:
    """A range of values; `values` are as they are shown."""

    label: str
    values: Sequence[str]
    start: int = 0

    @property
    def grid(self) -> Grid:
        return (len(self.values),)

    @property
    def starts(self) -> Grid:
        return (self.start,)

    @property
    def first(self) -> str:
        return self.values[self.start]


@dataclass(frozen=True)
class Choice(Slider):
    """One of a few values: radio buttons."""


@dataclass(frozen=True)
class Boxes:
    """Boxes to tick, each an axis of its own of length 2; `ticked` are those that are ticked at first."""

    label: str
    names: Sequence[str]
    ticked: Sequence[int] = ()

    @property
    def grid(self) -> Grid:
        return (2,) * len(self.names)

    @property
    def starts(self) -> Grid:
        return tuple(int(k in self.ticked) for k in range(len(self.names)))

    @property
    def first(self) -> str:
        return ", ".join(self.names[k] for k in self.ticked)


Control: TypeAlias = Slider | Boxes


# What a panel shows. Coordinates are in the panel's units: [...] or [*grid, ...].


@dataclass(frozen=True)
class Curve:
    """A line through points, [point] or [*grid, point]; `closed` fills what it encloses."""

    x: ArrayLike
    y: ArrayLike
    color: str = INK
    label: str = ""
    width: float = 2
    dashed: bool = False
    closed: bool = False
    opacity: float = 1


@dataclass(frozen=True)
class Dot:
    """A point, a number each or [*grid]; one that is hollow has an outline only."""

    x: ArrayLike
    y: ArrayLike
    color: str = INK
    label: str = ""
    radius: float = 6
    hollow: bool = False
    opacity: ArrayLike = 1


@dataclass(frozen=True)
class Segment:
    """A line from (x0, y0) to (x1, y1), numbers or [*grid]; a wide one is a bar."""

    x0: ArrayLike
    y0: ArrayLike
    x1: ArrayLike
    y1: ArrayLike
    color: str = INK
    label: str = ""
    width: float = 2
    dashed: bool = False
    opacity: ArrayLike = 1


@dataclass(frozen=True)
class Text:
    """Words at a point; `text` is one string or [*grid]."""

    x: ArrayLike
    y: ArrayLike
    text: ArrayLike
    color: str = INK
    anchor: str = "middle"


Mark: TypeAlias = Curve | Dot | Segment | Text


@dataclass(frozen=True)
class Panel:
    """Axes and what they show. Where `y` is logarithmic, curves end below the limits, other marks stay at them.

    Attributes:
        title: says what is seen; also for those who cannot see it.
        x, y: the limits.
        xticks, yticks: {place: text}; found where left out.
        bare: no axes, and the same length for a unit of x and of y.
    """

    title: str
    marks: Sequence[Mark]
    x: tuple[float, float]
    y: tuple[float, float]
    xlabel: str = ""
    ylabel: str = ""
    xticks: dict[float, str] | None = None
    yticks: dict[float, str] | None = None
    log: bool = False
    bare: bool = False


@dataclass(frozen=True)
class Number:
    """A value that is told beside the figure: numbers [*grid] in the given form, or strings [*grid]."""

    label: str
    values: ArrayLike
    form: str = "{:.2f}"


@dataclass(frozen=True)
class Explorable:
    """A figure that its reader moves; the last expression of a cell shows it.

    Attributes:
        alt: what is to be seen and moved, for those who cannot see it.

    Raises:
        ValueError: when shown, for an array whose first axes do not fit the controls.
    """

    alt: str
    controls: Sequence[Control]
    panels: Sequence[Panel]
    numbers: Sequence[Number]

    def __repr__(self) -> str:
        return f"[{self.alt}]"

    @property
    def grid(self) -> Grid:
        return sum((control.grid for control in self.controls), ())

    @property
    def starts(self) -> Grid:
        return sum((control.starts for control in self.controls), ())

    def payload(self) -> dict[str, Any]:
        """What the script is given: controls, told numbers, and the attributes that move. All values are strings.

        The value at a position p is values[Σ_k p_k · stride_k], where an axis of `grid` that has length 1 has stride 0.
        """
        drawn = [self._drawn(panel, mark) for panel in self.panels for mark in panel.marks]
        moves = [
            {"mark": mark, "attribute": name, **_packed(words)}
            for mark, (_, attributes) in enumerate(drawn)
            for name, words in attributes.items()
            if words.size > 1
        ]
        return {
            "alt": self.alt,
            "controls": [_described(control) for control in self.controls],
            "numbers": [{"label": each.label, **_packed(self._told(each))} for each in self.numbers],
            "moves": moves,
        }

    def svg(self) -> str:
        """The first position as one picture: the panels, each an <svg> of its own, and the numbers below."""
        count = max(1, len(self.panels))
        said = ["; ".join(f"{control.label}: {control.first}" for control in self.controls)]
        said += [f"{each.label}: {self._first(self._told(each))}" for each in self.numbers]
        lines = [line for part in said for line in textwrap.wrap(part, 58 * count)]
        width, height = WIDTH * count, HEIGHT + 18 * len(lines) + 8
        below = "".join(
            f'<text x="{LEFT}" y="{HEIGHT + 18 * (k + 1)}" fill="#222" font-size="12" font-family="sans-serif">'
            f"{escape(line)}</text>"
            for k, line in enumerate(lines)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" color="#222"><rect width="{width}" height="{height}" fill="#fff"/>'
            + "".join(self._panel_svg(panel, WIDTH * k) for k, panel in enumerate(self.panels))
            + below
            + "</svg>"
        )

    def _repr_html_(self) -> str:
        # The script finds the figure by what it holds, not by an id: the same cell may have run twice on a page.
        payload = json.dumps(self.payload(), ensure_ascii=False, separators=(",", ":")).replace("</", r"<\/")
        picture = b64encode(self.svg().encode()).decode()
        name = hashlib.sha256((payload + picture).encode()).hexdigest()[:16]
        return (
            f'<div data-explorable="{name}"><img src="data:image/svg+xml;base64,{picture}" alt="{escape(self.alt)}">'
            f"</div><script>{SCRIPT.replace('__NAME__', name).replace('__PAYLOAD__', payload)}</script>"
        )

    def _drawn(self, panel: Panel, mark: Mark) -> tuple[str, dict[str, Words]]:
        """A mark's tag and its attributes, each [*grid] with axes of length 1; the attribute "" is the text."""
        px, py = _scales(panel)

        def number(values: ArrayLike, scale: Callable[[NDArray], NDArray] = lambda x: x) -> Words:
            return _formatted(scale(self._on_grid(values)), "{:.5g}")

        def fixed(**words: Any) -> dict[str, Words]:
            return {name.replace("_", "-"): self._on_grid(np.array(str(word))) for name, word in words.items()}

        dash = {"stroke_dasharray": "5 4"}
        match mark:
            case Curve():
                x, y = np.broadcast_arrays(self._on_grid(mark.x, 1), self._on_grid(mark.y, 1))
                joined = np.empty(x.shape[:-1], dtype=object)
                for at in np.ndindex(joined.shape):
                    inside = y[at] >= panel.y[0] if panel.log else np.full(y[at].shape, fill_value=True)
                    pairs = zip(px(x[at][inside]), py(y[at][inside]), strict=True)
                    joined[at] = " ".join(f"{left:.5g} {down:.5g}" for left, down in pairs)
                fill = mark.color if mark.closed else "none"
                style = {"stroke": mark.color, "stroke_width": mark.width, "fill": fill, "fill_opacity": 0.12}
                more = dash if mark.dashed else {}
                return "polyline", {"points": joined, **fixed(**style, opacity=mark.opacity, **more)}
            case Dot():
                style = {"r": mark.radius, "fill": "none" if mark.hollow else mark.color, "stroke": mark.color}
                place = {"cx": number(mark.x, px), "cy": number(mark.y, py), "opacity": number(mark.opacity)}
                return "circle", {**place, **fixed(**style, stroke_width=2)}
            case Segment():
                place = {"x1": number(mark.x0, px), "y1": number(mark.y0, py)}
                place |= {"x2": number(mark.x1, px), "y2": number(mark.y1, py), "opacity": number(mark.opacity)}
                more = dash if mark.dashed else {}
                return "line", {**place, **fixed(stroke=mark.color, stroke_width=mark.width, **more)}
            case Text():
                style = {"fill": mark.color, "text_anchor": mark.anchor}
                words = self._on_grid(np.asarray(mark.text, dtype=object))
                return "text", {"x": number(mark.x, px), "y": number(mark.y, py), **fixed(**style), "": words}

    def _panel_svg(self, panel: Panel, x: int) -> str:
        parts = [] if panel.bare else list(_axes(panel))
        parts += _legend(panel)
        for mark in panel.marks:
            tag, attributes = self._drawn(panel, mark)
            first = {name: self._first(words) for name, words in attributes.items()}
            text = escape(first.pop("", ""))
            said = "".join(f' {name}="{escape(word)}"' for name, word in first.items())
            parts.append(f'<{tag} data-mark=""{said}>{text}</{tag}>')
        title = f'<text x="12" y="14" font-weight="600">{escape(panel.title)}</text>'
        return (
            f'<svg x="{x}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" fill="{INK}" '
            f'font-size="12" font-family="sans-serif" role="img" aria-label="{escape(panel.title)}">'
            f"{title}{''.join(parts)}</svg>"
        )

    def _told(self, number: Number) -> Words:
        values = np.asarray(number.values)
        if values.dtype.kind in "OUS":
            return self._on_grid(_objects(values))
        words = _formatted(self._on_grid(values), number.form)
        return _objects(np.char.replace(words.astype(str), "-", MINUS))

    def _first(self, words: Words) -> str:
        at = tuple(start if n > 1 else 0 for start, n in zip(self.starts, words.shape, strict=True))
        return str(words[at])

    def _on_grid(self, values: ArrayLike, own: int = 0) -> NDArray[Any]:
        """Values with all axes of the grid first, of length 1 where they do not depend on it; `own` axes follow."""
        array = np.asarray(values)
        if array.ndim == own:
            return array.reshape((1,) * len(self.grid) + array.shape)
        axes = array.shape[: array.ndim - own]
        if len(axes) != len(self.grid) or any(n not in (1, m) for n, m in zip(axes, self.grid, strict=True)):
            raise ValueError(
                f"an array of shape {list(array.shape)} does not fit controls of {list(self.grid)} positions: it "
                f"needs as many first axes, each of that length or 1, then {own} of its own"
            )
        return array


def _described(control: Control) -> dict[str, Any]:
    if isinstance(control, Boxes):
        return {"kind": "boxes", "label": control.label, "names": list(control.names), "start": list(control.starts)}
    kind = "choice" if isinstance(control, Choice) else "slider"
    return {"kind": kind, "label": control.label, "values": list(control.values), "start": control.start}


def _packed(words: Words) -> dict[str, Any]:
    return {"grid": list(words.shape), "values": words.ravel().tolist()}


def _objects(array: NDArray[Any]) -> Words:
    return array.astype(object)


def _formatted(values: NDArray[Any], form: str) -> Words:
    words = np.empty(values.shape, dtype=object)
    for at in np.ndindex(values.shape):
        word = form.format(values[at])
        words[at] = word.lstrip("-") if not word.strip("-0.") else word  # no "-0.00"
    return words


def _scales(panel: Panel) -> tuple[Callable[[NDArray], NDArray], Callable[[NDArray], NDArray]]:
    """From the panel's units to those of the SVG, rounded to a tenth."""
    (x0, x1), (y0, y1) = panel.x, panel.y
    wide, high = float(WIDTH - LEFT - RIGHT), float(HEIGHT - TOP - BOTTOM)
    left, bottom = float(LEFT), float(HEIGHT - BOTTOM)
    if panel.bare:
        scale = min((WIDTH - 2 * RIGHT) / (x1 - x0), (HEIGHT - TOP - RIGHT) / (y1 - y0))
        left, bottom = (WIDTH - scale * (x1 - x0)) / 2, HEIGHT - RIGHT
        wide, high = scale * (x1 - x0), scale * (y1 - y0)

    def px(x: NDArray) -> NDArray:
        return np.round(left + wide * (x - x0) / (x1 - x0), 1)

    def py(y: NDArray) -> NDArray:
        part = (y - y0) / (y1 - y0)
        if panel.log:
            part = np.log(np.clip(y, y0, y1) / y0) / math.log(y1 / y0)
        return np.round(bottom - high * part, 1)

    return px, py


def _axes(panel: Panel) -> Iterator[str]:
    px, py = _scales(panel)
    left, right = px(np.array(panel.x)).tolist()
    bottom, top = py(np.array(panel.y)).tolist()
    xticks = panel.xticks if panel.xticks is not None else _ticks(*panel.x)
    yticks = panel.yticks if panel.yticks is not None else (_decades if panel.log else _ticks)(*panel.y)
    for value, text in yticks.items():
        y = float(py(np.array(value)))
        yield f'<path d="M{left} {y}H{right}" stroke="{INK}" opacity="0.15"/>'
        yield f'<text x="{left - 7}" y="{y + 4}" text-anchor="end">{escape(text)}</text>'
    for value, text in xticks.items():
        x = float(px(np.array(value)))
        yield f'<path d="M{x} {bottom}v5" stroke="{INK}"/>'
        yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{escape(text)}</text>'
    yield f'<path d="M{left} {top}V{bottom}H{right}" stroke="{INK}" fill="none"/>'
    yield f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(panel.xlabel)}</text>'
    middle = (top + bottom) / 2
    yield (
        f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">'
        f"{escape(panel.ylabel)}</text>"
    )


def _legend(panel: Panel) -> list[str]:
    """Names of marks in one line below the title."""
    parts, x = [], 12.0
    for mark in panel.marks:
        if isinstance(mark, Text) or not mark.label:
            continue
        if isinstance(mark, Dot):
            fill = "none" if mark.hollow else mark.color
            parts.append(f'<circle cx="{x + 8}" cy="26" r="4.5" fill="{fill}" stroke="{mark.color}" stroke-width="2"/>')
        else:
            more = ' stroke-dasharray="5 3"' if mark.dashed else ""
            more += ' opacity="0.3"' if mark.width > BAR else ""
            width = min(mark.width, BAR)
            parts.append(f'<path d="M{x} 26h16" stroke="{mark.color}" stroke-width="{width}"{more}/>')
        parts.append(f'<text x="{x + 20}" y="30" font-size="11">{escape(mark.label)}</text>')
        x += 30 + 6.5 * len(mark.label)
    return parts


def _ticks(low: float, high: float) -> dict[float, str]:
    places = [float(at) for at in MaxNLocator(5).tick_values(low, high) if low - 1e-9 <= at <= high + 1e-9]
    return {at: f"{at + 0.0:g}".replace("-", MINUS) for at in places}


def _decades(low: float, high: float) -> dict[float, str]:
    return {10.0**k: f"{10.0**k:g}" for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)}


SCRIPT = r"""
(() => {
  const spec = __PAYLOAD__;
  const make = (tag, parent, set = {}, text = "") => {
    const made = Object.assign(document.createElement(tag), set);
    made.append(text);
    parent.append(made);
    return made;
  };
  const look = `
    .pg-explorable { margin: 0.5rem 0; max-width: 60rem; font-size: 0.95rem; line-height: 1.5; }
    .pg-explorable .pg-panels { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; }
    .pg-explorable svg { flex: 1 1 300px; min-width: 0; max-width: 480px; height: auto; font-family: inherit; }
    .pg-explorable label { display: block; }
    .pg-explorable fieldset { border: 0; padding: 0; margin: 0.35rem 0; min-width: 0; }
    .pg-explorable legend { float: left; padding: 0 0.8rem 0 0; margin: 0; width: auto; font-size: inherit; }
    .pg-explorable fieldset label { display: inline-block; margin-right: 0.9rem; white-space: nowrap; }
    .pg-explorable input[type=range] { display: block; width: 100%; max-width: 40rem; height: 1.6rem; margin: 0; }
    .pg-explorable output { font-weight: 600; font-variant-numeric: tabular-nums; }
    .pg-explorable dl { display: flex; flex-wrap: wrap; gap: 0.1rem 1.4rem; margin: 0.4rem 0; padding: 0; }
    .pg-explorable dt, .pg-explorable dd { display: inline; float: none; width: auto; margin: 0 0.3rem 0 0; }
    .pg-explorable dt { font-weight: 400; }
    .pg-explorable dd { font-weight: 600; font-variant-numeric: tabular-nums; }`;
  const bring = (box) => {
    box.dataset.live = "";
    box.className = "pg-explorable";
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", spec.alt);
    const bytes = Uint8Array.from(atob(box.querySelector("img").src.split(",")[1]), (c) => c.charCodeAt(0));
    const picture = new DOMParser().parseFromString(new TextDecoder().decode(bytes), "image/svg+xml").documentElement;
    box.replaceChildren();
    make("style", box, {}, look);
    const position = [];
    const unique = Math.random().toString(36).slice(2);
    spec.controls.forEach((control, k) => {
      const at = position.length;
      const choose = (axis, value) => { position[axis] = value; show(); };
      if (control.kind === "slider") {
        position.push(control.start);
        const label = make("label", box, {}, control.label + ": ");
        const output = make("output", label);
        const input = make("input", label,
          { type: "range", min: 0, max: control.values.length - 1, step: 1, value: control.start });
        const say = () => {
          output.textContent = control.values[input.value];
          input.setAttribute("aria-valuetext", output.textContent);
        };
        input.addEventListener("input", () => { say(); choose(at, Number(input.value)); });
        say();
        return;
      }
      const set = make("fieldset", box);
      make("legend", set, {}, control.label + ":");
      const boxes = control.kind === "boxes";
      boxes ? position.push(...control.start) : position.push(control.start);
      (boxes ? control.names : control.values).forEach((name, j) => {
        const label = make("label", set);
        const input = make("input", label, boxes
          ? { type: "checkbox", checked: control.start[j] === 1 }
          : { type: "radio", name: `pg-${unique}-${k}`, checked: control.start === j });
        label.append(" " + name);
        input.addEventListener("change", () => boxes ? choose(at + j, Number(input.checked)) : choose(at, j));
      });
    });
    for (const input of box.querySelectorAll("input")) {
      input.setAttribute("data-lm-suppress-shortcuts", "true");  // JupyterLab would take the arrow keys for itself
    }
    const panels = make("div", box, { className: "pg-panels" });
    for (const panel of picture.querySelectorAll(":scope > svg")) {
      for (const name of ["x", "width", "height"]) panel.removeAttribute(name);
      panels.append(document.importNode(panel, true));
    }
    const marks = panels.querySelectorAll("[data-mark]");
    const list = make("dl", box);
    list.setAttribute("aria-live", "polite");
    const numbers = spec.numbers.map(({ label }) => {
      const line = make("div", list);
      make("dt", line, {}, label);
      return make("dd", line);
    });
    const value = ({ grid, values }) => {
      let at = 0;
      grid.forEach((n, k) => { at = at * n + (n > 1 ? position[k] : 0); });
      return values[at];
    };
    const show = () => {
      spec.numbers.forEach((number, k) => { numbers[k].textContent = value(number); });
      for (const move of spec.moves) {
        const mark = marks[move.mark];
        if (move.attribute) mark.setAttribute(move.attribute, value(move));
        else mark.textContent = value(move);
      }
    };
    show();
  };
  const around = document.currentScript ? document.currentScript.parentNode : document;
  const sought = '[data-explorable="__NAME__"]:not([data-live])';
  const found = around.querySelectorAll(sought);
  (found.length ? found : document.querySelectorAll(sought)).forEach(bring);
})();
"""
