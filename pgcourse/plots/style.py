"""One look for the whole course, set by importing this: an algorithm keeps its colour from chapter to chapter."""

from __future__ import annotations

import re
from collections.abc import Iterable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.rcsetup import cycler

from pgcourse.plots import words

# Okabe & Ito's colours, which every common form of colour blindness tells apart; without yellow, too pale on white.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#888888",
)  # fmt: skip
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
COLORS = {
    "REINFORCE": BLUE,
    "A2C": VERMILION,
    "TRPO": GREEN,
    "PPO": ORANGE,
    "PPO, KL penalty": SKY,
    "clip": ORANGE,
    "KL penalty": SKY,
    "no clip": GREY,
    "natural gradient": PURPLE,
    "no baseline": GREY,
    "whole return": BLACK,
    "leave-one-out mean": BLUE,
    "value baseline": GREEN,
    "exact": BLACK,
    "RLOO": BLUE,
    "GRPO": VERMILION,
    "GRPO, KL in the reward": SKY,
    "Dr. GRPO": GREEN,
    "β = 0": VERMILION,
    "β = 0.1": BLUE,
}

# Most of it is the theme "ticks" of seaborn, whose import would take longer than that of matplotlib.
_INK = ".15"
_TICKS = {"major.size": 6.0, "major.width": 1.25, "minor.size": 4.0, "minor.width": 1.0, "labelsize": 11, "color": _INK}
RC = {
    "figure.figsize": (7.0, 3.9),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 110,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.linewidth": 1.25,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler("color", [to_rgb(color) for color in CYCLE]),
    "grid.alpha": 0.25,
    "grid.color": ".8",
    "grid.linewidth": 1.0,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.title_fontsize": 12,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "text.color": _INK,
    "font.size": 10,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif"],
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in _TICKS.items()},
}


def use() -> None:
    """Set the course's look for every figure that follows; in a notebook, keep what it shows in words, too."""
    plt.style.use(RC)
    words.keep_in_notebooks()


def colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: its own where it has one, else the next of the cycle that nobody here uses."""
    names = list(dict.fromkeys(names))
    known = {name: COLORS[name] for name in names if name in COLORS}
    free = iter([c for c in CYCLE if c not in known.values()] * (1 + len(names)))
    return {name: known.get(name) or next(free) for name in names}


def color_of(name: str, otherwise: str) -> str:
    """The colour of a name, or of the algorithm that it begins with: 'PPO with a GRU, velocities hidden' is PPO."""
    known = [each for each in COLORS if re.match(rf"{re.escape(each)}($|,| with )", name)]
    return COLORS[max(known, key=len)] if known else otherwise


_SYMBOL = re.compile(r"γ\^t|b\*(\(s\))?|[vqA]\(s(,a)?\)|\bv(?= known)|[βλσ]")
_LETTERS = {"b*": "b^*", "β": r"\beta", "γ": r"\gamma", "λ": r"\lambda", "σ": r"\sigma"}


def mathtext(name: str) -> str:
    """A name with its symbols set as mathematics: 'reward-to-go, γ^t dropped', 'λ = 1'."""

    def formula(found: re.Match[str]) -> str:
        symbol = found[0]
        for plain, tex in _LETTERS.items():
            symbol = symbol.replace(plain, tex)
        return f"${symbol}$"

    return _SYMBOL.sub(formula, name)


def axes(ax: Axes | None = None, **kwargs) -> Axes:
    """The axes given, or those of a new figure."""
    return plt.subplots(**kwargs)[1] if ax is None else ax


def note(ax: Axes, text: str) -> None:
    """The small print of a figure: how many seeds, which interval."""
    ax.annotate(text, (1, 0), (0, -42), "axes fraction", "offset points", ha="right", va="top", fontsize=8, color=GREY)


use()
