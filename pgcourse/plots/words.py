"""A figure in words: what a reader hears who does not see it, and what stands for it where no picture can."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.registry import backend_registry
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

MOST = 8  # lines, bars or texts of one panel that are named


def in_words(figure: Figure) -> str:
    """Titles, axes, what the legend names, where named lines begin and end: `return against step. PPO: 20 to 490`.

    All of it is read from the figure, so that it cannot say something else than the picture does.
    """
    panels = [ax for ax in figure.axes if ax.get_visible() and not _is_colorbar(ax)]
    parts = [_spoken(figure.get_suptitle())]
    for number, ax in enumerate(panels, 1):
        words = ". ".join(filter(None, _panel(ax)))
        parts.append(f"Panel {number} of {len(panels)}: {words}" if len(panels) > 1 and words else words)
    around = [_spoken(label()) for label in (figure.get_supylabel, figure.get_supxlabel)]
    parts += [" against ".join(around)] if all(around) else around
    if names := [name for legend in figure.legends for name in _names(legend.get_texts())]:
        parts.append("Legend: " + ", ".join(names))
    return ". ".join(filter(None, parts)) or "A figure without words"


def keep_in_notebooks() -> None:
    """Let a notebook keep these words beside each picture, as its text/plain; elsewhere do nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        backend_registry.load_backend_module(matplotlib.get_backend())  # it forgets what was asked for figures before
        plain = shell.display_formatter.formatters["text/plain"]
        plain.for_type(Figure, lambda figure, printer, cycle: printer.text(in_words(figure)))


def _panel(ax: Axes) -> Iterator[str]:
    yield from map(_spoken, (ax.get_title("left"), ax.get_title(), ax.get_title("right")))
    x, y = (_spoken(label) for label in (ax.get_xlabel(), ax.get_ylabel()))
    yield f"{y} against {x}" if x and y else x or y
    lines = [line for line in ax.get_lines() if _spoken(line.get_label())]
    told = {_spoken(line.get_label()): _course(line) for line in lines}
    legend = ax.get_legend()
    for name in _names(legend.get_texts()) if legend else ():
        told.setdefault(name, "")
    yield "; ".join(f"{name}: {course}" if course else name for name, course in list(told.items())[:MOST])
    yield "; ".join([_spoken(text.get_text()) for text in ax.texts if text.get_visible()][:MOST])


def _course(line: Line2D) -> str:
    """Where a line begins and ends."""
    y = np.asarray(line.get_ydata(orig=False), float)
    y = y[np.isfinite(y)]
    if len(y) < 2 or line.get_transform() != line.axes.transData:  # type: ignore[union-attr]
        return ""
    return f"{y[0]:.3g} to {y[-1]:.3g}" if y.min() < y.max() else f"{y[0]:.3g} throughout"


def _names(texts: list) -> list[str]:
    return [name for text in texts if (name := _spoken(text.get_text()))]


def _is_colorbar(ax: Axes) -> bool:
    return getattr(ax, "_colorbar", None) is not None


def _spoken(label: object) -> str:
    r"""A label without TeX's marks, on one line; "" for one that Matplotlib gave itself: `$\gamma^t$` is γ^t."""
    text = str(label)
    if text.startswith("_"):
        return ""
    text = re.sub(
        r"\\(?:mathrm|mathbf|mathcal|mathbb|text|left|right|hat|!)", "", text.replace("$", "").replace(r"\|", "‖")
    )
    text = re.sub(r"\\([A-Za-z]+)", lambda match: _SIGNS.get(match[1], match[1]), text)
    text = re.sub(r"\\[ ,;:]", " ", text).replace("\\", "")
    return " ".join(re.sub(r"[{}]", "", text).split()).rstrip(".")


_SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "theta": "θ",
    "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ",
    "nabla": "∇", "infty": "∞", "cdot": "·", "times": "×", "Vert": "‖", "leq": "≤", "geq": "≥", "approx": "≈",
}  # fmt: skip
