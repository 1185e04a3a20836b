"""PPO: the clip, how far an update goes, what details are worth, symptoms of broken runs, and settings as curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from pgcourse.plots import style
from pgcourse.plots.explorable import MINUS, Choice, Curve, Dot, Explorable, Mark, Number, Panel, Segment, Slider, Text
from pgcourse.plots.learning import on_common_steps, thousands
from pgcourse.rl.objectives import clipped_surrogate
from pgcourse.stats import mean_interval, paired_test


def clip_cases(clip: float = 0.2) -> list[Axes]:
    """The clipped surrogate of one sample against its ratio, for an advantage of 1 and of -1."""
    panels = plt.subplots(1, 2, figsize=(7.2, 3.0), sharey=True)[1]
    ratio = np.linspace(0, 2, 401)
    for ax, advantage in zip(panels, (1.0, -1.0), strict=True):
        plain, clipped = ratio * advantage, np.clip(ratio, 1 - clip, 1 + clip) * advantage
        flat = ratio > 1 + clip if advantage > 0 else ratio < 1 - clip
        ax.plot(ratio, plain, color=style.GREY, lw=1.2, ls="--")
        ax.plot(ratio, np.minimum(plain, clipped), color=style.BLUE, lw=2.2)
        ax.fill_between(ratio, -2.2, 2.2, where=flat, color=style.VERMILION, alpha=0.10, lw=0)
        ax.plot(1, advantage, "o", color=style.BLACK, ms=5)
        ax.text(*((1.6, 1.85) if advantage > 0 else (0.12, 0.1)), r"$rA$", color=style.GREY)
        sign = "> 0: the action was better than usual" if advantage > 0 else "< 0: it was worse than usual"
        ax.set(xlabel=r"ratio $r$", title=rf"$A$ {sign}", ylim=(-2.2, 2.2))
        middle = (1 + clip + 2) / 2 if advantage > 0 else (1 - clip) / 2
        ax.text(middle, -1.9 * advantage, "no gradient", color=style.VERMILION, ha="center", va="center", fontsize=9)
    panels[0].set_ylabel(r"$\min(rA,\ \mathrm{clip}(r)A)$")
    return list(panels)


def explore_clip(advantages: Sequence[float] = (2.0, -2.0), clip: float = 0.2) -> Explorable:
    """One sample of PPO's objective: its reader drags the ratio and chooses the advantage.

    Objective and slope are those of `rl.clipped_surrogate` and of autograd. The ratios are sixteenths, so that none is
    one of the two kinks at 1 ± `clip`, where there is no slope.
    """
    ratio = torch.linspace(0, 2, 33, dtype=torch.float64).unsqueeze(1).repeat(1, len(advantages)).requires_grad_()
    A = torch.tensor(advantages, dtype=torch.float64)
    objective = clipped_surrogate(ratio, A, clip)
    (gradient,) = torch.autograd.grad(objective.sum(), ratio)
    r, plain, limited = ratio.detach(), ratio.detach() * A, ratio.detach().clamp(1 - clip, 1 + clip) * A
    x, y, slope = r.numpy(), objective.detach().numpy(), gradient.numpy()  # [ratio, advantage]
    pushes = np.where(
        slope == 0, "no: it has gone far enough", np.where(slope > 0, "yes, up: likelier", "yes, down: rarer")
    )
    fine = torch.linspace(0, 2, 201, dtype=torch.float64)
    lines = [(fine * a, clipped_surrogate(fine, torch.as_tensor(a), clip)) for a in A]
    dashed, solid = (torch.stack([each[k] for each in lines])[None].numpy() for k in (0, 1))  # [1, advantage, point]
    most = 2.2 * max(map(abs, advantages))
    reach = 0.3 * np.sign(slope)  # of the line uphill
    words = np.where(slope == 0, "no gradient", np.where(slope > 0, "pushes r up →", "← pushes r down"))
    marks: list[Mark] = [
        *[Segment(edge, -most, edge, most, style.GREY, width=1, dashed=True) for edge in (1 - clip, 1 + clip)],
        Curve(fine.numpy(), dashed, style.GREY, "rA", width=1.5, dashed=True),
        Curve(fine.numpy(), solid, style.BLUE, "min(rA, clip(r)A)", width=2.5),
        Segment(x, y, x + reach, y + reach * slope, style.VERMILION, width=4),
        Dot(x, y, style.VERMILION, "the sample", radius=7),
        Text(1.6, np.sign(A.numpy())[None] * -0.7 * most, words.astype(object), style.VERMILION),
    ]
    ticks = {0.0: "0", 1 - clip: f"{1 - clip:g}", 1.0: "1", 1 + clip: f"{1 + clip:g}", 2.0: "2"}
    panel = Panel("The objective of one sample", marks, (0, 2), (-most, most), "ratio r", "objective", xticks=ticks)
    numbers = [
        Number("rA", plain.numpy()),
        Number("clip(r)A", limited.numpy()),
        Number("minimum", y),
        Number("slope in r", slope, "{:g}"),
        Number("still pushes", pushes.astype(object)),
    ]
    return Explorable(
        "A slider sets the probability ratio r of one sample, a choice its advantage A. A curve shows the clipped "
        "objective against r; a dot and a short line show where the sample is and which way it pushes, if it does.",
        [
            Slider("ratio r", [f"{value:.4g}" for value in x[:, 0]], int(np.abs(x[:, 0] - 1).argmin())),
            Choice("advantage A", [f"{a:g}".replace("-", MINUS) for a in advantages]),
        ],
        [panel],
        numbers,
    )


def against_passes(runs: Mapping[str, Mapping[int, ArrayLike]], ylabel: str) -> list[Axes]:
    """After so many passes over one rollout: {name: {passes: [seed]}}, a panel each, on logarithmic axes."""
    figure, grid = plt.subplots(1, len(runs), figsize=(8.0, 3.1), sharey=True, squeeze=False)
    color = style.colors(runs)
    for ax, (name, given) in zip(grid[0], runs.items(), strict=True):
        passes, values = list(given), np.stack([np.asarray(each, dtype=float) for each in given.values()])
        ax.plot(passes, values, color=color[name], lw=0.6, alpha=0.4)
        ax.plot(passes, np.median(values, 1), "o-", color=color[name], lw=2.2, ms=4)
        ax.set(title=name, xscale="log", yscale="log")
        ax.set_xticks(passes, [f"{each:g}" for each in passes])
        ax.minorticks_off()
    grid[0, 0].set_ylabel(ylabel)
    seeds = values.shape[1]
    figure.supxlabel(f"passes over the rollout ({seeds} seeds, each a thin line; thick: their median)", fontsize=9)
    return list(grid[0])


def details(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    xlabel: str,
    families: Mapping[str, Sequence[str]] | None = None,
) -> list[Axes]:
    """What changing one detail does: {environment: {detail: (with the change, without)}}, one value a seed.

    A dot is the mean difference, seed by seed; the thick line its 95 % interval (`paired_test`), the thin one with
    Bonferroni's correction for all comparisons shown. Grey is what the plain interval does not tell from zero. A full
    dot is clear of zero even after the correction, an empty one is not. Panels share their rows: a detail that one of
    them lacks stays empty there.

    Rows stand under the name of their family, the worst first: by the difference in units of its interval's half width,
    averaged over the panels.

    Raises:
        ValueError: a detail that is in no family, or in two.
    """
    families = families or {"": _merged(panels.values())}
    named = [name for names in families.values() for name in names]
    if sorted(named) != sorted(_merged(panels.values())):
        raise ValueError(f"every detail belongs to one family: {sorted(_merged(panels.values()))}, got {sorted(named)}")
    comparisons = sum(map(len, panels.values()))
    labels: list[tuple[str, bool]] = []  # and whether it is a family's
    for family, names in families.items():
        labels += [(family, True)] if family else []
        labels += [(name, False) for name in sorted(names, key=lambda name: _size(name, panels))]
    rows = {label: row for row, label in enumerate(reversed(labels))}
    figure, grid = plt.subplots(1, len(panels), figsize=(8.4, 0.9 + 0.25 * len(rows)), sharey=True, squeeze=False)
    for ax, (title, pairs) in zip(grid[0], panels.items(), strict=True):
        for name, (a, b) in pairs.items():
            row = rows[name, False]
            thick, thin = (paired_test(a, b, level).difference for level in (0.95, 1 - 0.05 / comparisons))
            unclear = thin.low <= 0 <= thin.high
            color = style.BLUE if thick.low > 0 else style.VERMILION if thick.high < 0 else style.GREY
            ax.plot([thin.low, thin.high], [row] * 2, color=color, lw=0.9)
            ax.plot([thick.low, thick.high], [row] * 2, color=color, lw=2.6)
            ax.plot(thick.estimate, row, "o", color=color, ms=5, mfc="white" if unclear else color)
        ax.axvline(0, color=style.BLACK, lw=0.8, ls="--")
        ax.grid(axis="y", visible=False)
        ax.set(title=title, ylim=(-0.6, len(rows) - 0.4))
    ticks = grid[0, 0].set_yticks(list(rows.values()), [style.mathtext(label) for label, _ in rows])
    for tick, (_, is_family) in zip(ticks, rows, strict=True):
        tick.label1.set(fontweight="bold" if is_family else "normal", fontsize=9)
        tick.tick1line.set_visible(not is_family)
    seeds = sorted({np.size(sample) for pairs in panels.values() for pair in pairs.values() for sample in pair})
    note = (
        f"{' or '.join(map(str, seeds))} seeds, each with and without; thick: 95 %; thin: 95 % for all {comparisons} "
        "together; full dot: clear even then; grey: not clear of zero"
    )
    figure.supxlabel(f"{xlabel}\n{note}", fontsize=9)
    return list(grid[0])


def crossing(panels: Mapping[str, Mapping[str, Mapping[float, ArrayLike]]], xlabel: str, ylabel: str) -> list[Axes]:
    """Two settings crossed: {environment: {line: {x: a score for each seed}}}, dots are seeds, bars 95 % intervals."""
    figure, grid = plt.subplots(1, len(panels), figsize=(8.0, 3.4), squeeze=False)
    for ax, (title, lines) in zip(grid[0], panels.items(), strict=True):
        color = style.colors(lines)
        for shift, (name, scores) in zip((0.985, 1.015), lines.items(), strict=False):
            x = np.array(list(scores)) * shift
            _points(ax, x, list(scores.values()), color[name], name)
        ticks = list(next(iter(lines.values())))
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set(title=title, xlabel=xlabel)
    grid[0, 0].set_ylabel(ylabel)
    grid[0, 0].legend(loc="best", fontsize=9)
    seeds = sorted({np.size(each) for lines in panels.values() for line in lines.values() for each in line.values()})
    figure.supxlabel(f"{' or '.join(map(str, seeds))} seeds, each a dot; bars: 95 % t-intervals", fontsize=8)
    return list(grid[0])


def settings(
    panels: Mapping[str, Mapping[str, ArrayLike]], ylabel: str, baseline: str, columns: int = 3, high: float = np.inf
) -> list[Axes]:
    """One setting a panel: {setting: {label of a value: a score for each seed}}, in the order given.

    The value that all other panels have is labelled `baseline` and drawn in black.
    """
    height = -(-len(panels) // columns)
    figure, grid = plt.subplots(height, columns, figsize=(8.4, 0.5 + 2.3 * height), sharey=True, squeeze=False)
    for ax, (title, scores) in zip(grid.flat, panels.items(), strict=False):
        x = np.arange(len(scores))
        values = [np.asarray(each, dtype=float) for each in scores.values()]
        _points(ax, x, values, style.COLORS["PPO"], high=high)
        own = [i for i, label in enumerate(scores) if baseline in label]
        ax.plot(own, [values[i].mean() for i in own], "o", color=style.BLACK, ms=7, zorder=4)
        ax.set_xticks(x, [label.replace(baseline, "").strip() for label in scores])
        ax.set_title(title, fontsize=10)
        ax.margins(x=0.1)
    for ax in list(grid.flat)[len(panels) :]:
        ax.set_axis_off()
    for ax in grid[:, 0]:
        ax.set_ylabel(ylabel, fontsize=9)
    seeds = sorted({np.size(each) for scores in panels.values() for each in scores.values()})
    note = f"{' or '.join(map(str, seeds))} seeds, each a small dot; line: their mean; bars: 95 % t-intervals"
    figure.supxlabel(f"{note}; black: the setting of all other panels", fontsize=9)
    return list(grid.flat)[: len(panels)]


def symptoms(
    runs: Mapping[str, pd.DataFrame],
    healthy: pd.DataFrame,
    metrics: Mapping[str, str],
    limits: Mapping[str, tuple[float, float]],
    logarithmic: Iterable[str] = (),
    steps_of: str = "environment steps of one seed",
    algorithm: str = "PPO",
) -> list[Axes]:
    """Learning curves of several runs, a column each, one metric a row; behind them in grey the range of a healthy run.

    `metrics` maps columns to labels; of those in `limits` only that range is shown. Grey reaches from the least to the
    greatest of the healthy seeds at each step; a run's seeds are thin lines in the colour of `algorithm`, their median
    is thick. `steps_of` is what the horizontal axis counts.
    """
    logarithmic = set(logarithmic)
    figure, grid = plt.subplots(
        len(metrics), len(runs), figsize=(9.0, 0.5 + 1.15 * len(metrics)), sharex=True, sharey="row", squeeze=False
    )
    for row, (metric, label) in zip(grid, metrics.items(), strict=True):
        band_steps, band = on_common_steps(healthy, metric)
        for ax, table in zip(row, runs.values(), strict=True):
            steps, values = on_common_steps(table, metric)
            ax.fill_between(band_steps, band.min(0), band.max(0), color=style.GREY, alpha=0.35, lw=0)
            ax.plot(steps, values.T, color=style.COLORS[algorithm], lw=0.4, alpha=0.4)
            ax.plot(steps, np.median(values, 0), color=style.COLORS[algorithm], lw=1.6)
            ax.tick_params(labelsize=7)
            ax.xaxis.set_major_formatter(thousands)
            ax.margins(x=0)
            if metric in logarithmic:
                ax.set_yscale("log")
            if metric in limits:
                ax.set_ylim(limits[metric])
        row[0].set_ylabel(label, fontsize=8)
    for ax, name in zip(grid[0], runs, strict=True):
        ax.set_title(name, fontsize=10, loc="center", fontweight="bold")
    seeds, band_seeds = max(table["seed"].nunique() for table in runs.values()), healthy["seed"].nunique()
    note = f"{seeds} seeds, thin; thick: their median; grey: {band_seeds} seeds of a healthy run"
    figure.supxlabel(f"{steps_of} ({note})", fontsize=9)
    return list(grid.flat)


def film_strips(
    films: Mapping[str, Sequence[ArrayLike]], pictures: int = 8, legend: Mapping[str, str] | None = None
) -> list[Axes]:
    """A row for each film [height, width, 3]: pictures from its first to its last, with their numbers, none twice.

    `legend` says what the colours mean: {what: colour}.
    """
    figure, panels = plt.subplots(len(films), pictures, figsize=(8.4, 1.25 * len(films) + 0.5), squeeze=False)
    for row, (name, frames) in zip(panels, films.items(), strict=True):
        shown = np.unique(np.linspace(0, len(frames) - 1, pictures).round().astype(int))
        for ax in row[len(shown) :]:
            ax.set_axis_off()
        for ax, t in zip(row, shown, strict=False):
            ax.imshow(frames[t], interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.set_title(f"step {t}", fontsize=8)
        row[0].set_ylabel(name, fontsize=9)
    if legend:
        patches = [Patch(facecolor=color, edgecolor=style.GREY, label=what) for what, color in legend.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=8)
    return list(panels.flat)


def _points(
    ax: Axes, x: ArrayLike, samples: Sequence[ArrayLike], color: str, label: str | None = None, high: float = np.inf
) -> None:
    """Each sample's values as small dots at its x, means joined, with 95 % t-intervals cut at what is possible."""
    means = [float(np.asarray(sample, dtype=float).mean()) for sample in samples]
    for at, sample in zip(np.asarray(x, dtype=float), samples, strict=True):
        interval = mean_interval(np.asarray(sample, dtype=float))
        ax.plot(np.full(np.size(sample), at), sample, ".", color=color, ms=3, alpha=0.45)
        ax.plot([at, at], [float(interval.low), min(float(interval.high), high)], color=color, lw=2.4, alpha=0.8)
    ax.plot(x, means, "o-", color=color, lw=1.4, ms=4.5, label=label)


def _size(name: str, panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]]) -> float:
    """A detail's difference in units of its interval's half width, averaged over the panels that have it."""
    tests = [paired_test(*pairs[name]).difference for pairs in panels.values() if name in pairs]
    return float(np.mean([test.estimate / (test.high - test.estimate) for test in tests]))


def _merged(lists: Iterable[Iterable[str]]) -> list[str]:
    """All names once, each as far as possible behind the one that it follows in its own list."""
    merged: list[str] = []
    for names in lists:
        last = -1
        for name in names:
            if name not in merged:
                merged.insert(last + 1, name)
            last = merged.index(name)
    return merged
