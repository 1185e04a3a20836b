"""Figures of chapter 10: proxy and gold, what over-optimisation does to texts, the price of divergence, the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pgcourse.plots import style
from pgcourse.plots.explorable import BAR, Curve, Dot, Explorable, Mark, Number, Panel, Segment, Slider, Text
from pgcourse.plots.learning import band, on_common_steps
from pgcourse.rl.overoptimization import OveroptimizationFit
from pgcourse.stats import mean_interval

PROXY, GOLD = style.BLUE, style.VERMILION


def _in_units(what: str) -> str:
    return f"{what},\nin standard deviations of the pretrained model"


def proxy_and_gold(curves: pd.DataFrame, variants: Sequence[str], responses: int) -> list[Axes]:
    """The reward that is optimised and the one that is wanted, against iterations of `responses`: a panel a variant."""
    figure, panels = plt.subplots(1, len(variants), figsize=(8.4, 3.5), sharey=True, squeeze=False)
    for ax, variant in zip(panels[0], variants, strict=True):
        table = curves[curves["variant"] == variant]
        for name, column, color in (("proxy", "proxy", PROXY), ("gold", "gold", GOLD)):
            steps, values = on_common_steps(table, column)
            mean, low, high = band(values)
            ax.plot(steps / responses, values.T, color=color, lw=0.6, alpha=0.45)
            ax.fill_between(steps / responses, low, high, color=color, alpha=0.15, lw=0)
            ax.plot(steps / responses, mean, color=color, lw=2.2, label=name)
        ax.axhline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.set(title=style.mathtext(variant), xlabel=f"iterations of {responses} responses")
    panels[0, 0].set_ylabel(_in_units("mean reward of the responses"), fontsize=9)
    panels[0, 0].legend(loc="lower left", fontsize=9)
    seeds = curves["seed"].nunique()
    figure.supxlabel(f"{seeds} seeds (thin), each with its own reward model; thick: mean, band: 95 %", fontsize=8)
    return list(panels[0])


def rubric_terms(terms: pd.DataFrame, kl: ArrayLike, shown: float = 0.25) -> Axes:
    """The mean of each of the rubric's terms in points, a column each, against √KL.

    Terms that never move by `shown` points are grey and have no label.
    """
    ax = style.axes(figsize=(7.6, 4.0))
    d = np.sqrt(np.clip(np.asarray(kl, dtype=float), 0, None))
    moved = [str(name) for name in terms if float(terms[name].max() - terms[name].min()) >= shown]
    color = dict(zip(moved, style.CYCLE, strict=False))
    order = np.argsort(d)
    for name in map(str, terms):
        values = terms[name].to_numpy()[order]
        ax.plot(d[order], values, color=color.get(name, style.GREY), lw=1.8 if name in color else 0.9)
    low, high = ax.get_ylim()
    at = -np.inf
    for name in sorted(map(str, moved), key=lambda name: terms[name].iloc[-1]):
        at = max(float(terms[name].iloc[-1]), at + 0.06 * (high - low))
        ax.annotate(
            name.replace("_", " "), (d.max(), at), (6, 0), textcoords="offset points", va="center",
            color=color[name], annotation_clip=False,
        )  # fmt: skip
    ax.axhline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    ax.margins(x=0)
    ax.set(xlabel=r"$\sqrt{\mathrm{KL}}$ from the pretrained model", ylabel="points of a response, mean")
    style.note(ax, "one run; 256 responses a point; grey: terms that hardly move")
    return ax


def overoptimization(curves: pd.DataFrame, fits: Mapping[int, OveroptimizationFit], columns: int = 3) -> list[Axes]:
    """Gold against √KL, a panel a seed: dots are iterations, the line the fit, triangles where each is highest.

    Args:
        curves: seed, kl and gold of every iteration, gold counted from the pretrained model's.
        fits: of each seed.
    """
    rows = -(-len(fits) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(8.6, 0.5 + 2.3 * rows), squeeze=False)
    for ax, (seed, fit) in zip(grid.flat, fits.items(), strict=False):
        table = curves[curves["seed"] == seed]
        d, gold = np.sqrt(table["kl"].clip(lower=0)).to_numpy(), table["gold"].to_numpy()
        kl = torch.linspace(0, float(d.max()), 200, dtype=torch.float64).square()
        ax.plot(d, gold, ".", color=GOLD, ms=4)
        ax.plot(kl.sqrt(), fit.gold(kl), color=style.BLACK, lw=1.4)
        ax.plot(d[gold.argmax()], gold.max(), "^", color=GOLD, ms=9, label="highest gold")
        peak = torch.tensor([fit.peak_kl], dtype=torch.float64)
        if np.isfinite(fit.peak_kl):
            ax.plot(peak.sqrt(), fit.gold(peak), "v", color=style.BLACK, ms=9, mfc="none", label="the fit's highest")
        ax.axhline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.set_title(f"seed {seed}: $R^2$ = {fit.r2:.2f}", fontsize=10)
    empty = list(grid.flat)[len(fits) :]
    for ax in empty:
        ax.set_axis_off()
    handles, labels = grid.flat[0].get_legend_handles_labels()
    place = {"loc": "center"} if empty else {"loc": "lower left"}
    (empty[0] if empty else grid.flat[0]).legend(handles, labels, fontsize=10, **place)
    figure.supxlabel(
        r"$\sqrt{\mathrm{KL}}$ from the pretrained model; a dot is an iteration of 256 responses", fontsize=9
    )
    figure.supylabel(_in_units("gold"), fontsize=9, ha="center")
    return list(grid.flat)[: len(fits)]


def against_distance(ways: Mapping[str, pd.DataFrame], furthest: float) -> list[Axes]:
    """Proxy and gold of several ways away from one policy, against √KL up to `furthest` nats: kl, proxy, gold."""
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.5), sharey=True)
    color = dict(zip(ways, (style.BLACK, style.BLUE, style.VERMILION), strict=False))
    for ax, column in zip(panels, ("proxy", "gold"), strict=True):
        for name, table in ways.items():
            near = table[table["kl"] <= furthest]
            d = np.sqrt(near["kl"].clip(lower=0))
            ax.plot(d, near[column], "o-", color=color[name], ms=3.5, lw=1.3, label=style.mathtext(name))
        ax.axhline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
        ax.set(title=column, xlabel=r"$\sqrt{\mathrm{KL}}$ from the pretrained model")
    panels[0].set_ylabel(_in_units("reward"), fontsize=9)
    panels[0].legend(fontsize=9, loc="upper left")
    figure.supxlabel("one seed; a dot of PPO is an iteration of 256 responses", fontsize=8)
    return list(panels)


def at_equal_kl(gold: Mapping[str, Mapping[float, ArrayLike]], baseline: str) -> list[Axes]:
    """Gold at given divergences, one line a variant, and each variant less the baseline, paired by seed, with 95 %.

    `gold` maps variants to {KL: a number for each seed}, NaN for seeds that did not get there. Differences of fewer
    than three seeds are left out.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6))
    color = style.colors(gold)
    pairs = 0
    for shift, (name, levels) in enumerate(gold.items()):
        label, x = style.mathtext(name), np.array(list(levels))
        values = np.array([np.asarray(each, dtype=float) for each in levels.values()])  # [level, seed]
        there = np.isfinite(values).any(1)
        left.plot(x[there] + 0.05 * shift, values[there], ".", color=color[name], ms=4, alpha=0.6)
        means = [np.nanmean(each) for each in values[there]]
        left.plot(x[there] + 0.05 * shift, means, "o-", color=color[name], lw=1.6, ms=4.5, label=label)
        if name == baseline:
            continue
        for level, mine, other in zip(x, values, np.array(list(gold[baseline].values()), dtype=float), strict=True):
            difference = (mine - other)[np.isfinite(mine - other)]
            if len(difference) < 3:
                continue
            interval, place, pairs = mean_interval(difference), level + 0.1 * (shift - 2), pairs + 1
            right.plot(np.full(len(difference), place), difference, ".", color=color[name], ms=3, alpha=0.5)
            right.plot([place] * 2, [float(interval.low), float(interval.high)], color=color[name], lw=2.2)
            right.plot(place, difference.mean(), "o", color=color[name], ms=5)
    right.axhline(0, color=style.BLACK, lw=0.8, ls="--", zorder=0)
    for ax in (left, right):
        ax.set(xlabel="KL from the pretrained model, nats", xticks=list(next(iter(gold.values()))))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=9, loc="outside upper center", ncols=len(labels))
    left.set_title("gold")
    left.set_ylabel(_in_units("gold"), fontsize=9)
    right.set(title=f"less that of {style.mathtext(baseline)}, seed by seed")
    seeds = max(len(np.atleast_1d(each)) for levels in gold.values() for each in levels.values())
    figure.supxlabel(f"up to {seeds} seeds, each a small dot; bars: 95 % t-intervals of paired differences", fontsize=8)
    return [left, right]


def clip_and_passes(
    panels: Mapping[str, Mapping[str, Mapping[int, ArrayLike]]], logarithmic: Sequence[str] = ()
) -> list[Axes]:
    """A line a seed from few passes to many, with the clip and without: {title: {line: {passes: seeds}}}.

    Three seeds are too few for an interval that stays within what is possible, so every seed is shown.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(8.2, 3.2), squeeze=False)
    for ax, (title, lines) in zip(grid[0], panels.items(), strict=True):
        color = style.colors(lines)
        for name, scores in lines.items():
            places = range(len(scores))
            values = np.array([np.asarray(each, dtype=float) for each in scores.values()])  # [passes, seed]
            ax.plot(places, values, "o-", color=color[name], ms=4, lw=0.8, alpha=0.6)
            ax.plot(places, values.mean(1), color=color[name], lw=2.4, label=name)
        ticks = list(next(iter(lines.values())))
        ax.set_xticks(range(len(ticks)), [f"{k} pass{'es' * (k > 1)}" for k in ticks])
        ax.margins(x=0.12)
        ax.set_title(title)
        if title in logarithmic:
            ax.set_yscale("log")
    grid[0, 0].legend(loc="lower left", fontsize=9)
    seeds = {np.size(each) for lines in panels.values() for line in lines.values() for each in line.values()}
    figure.supxlabel(f"{max(seeds)} seeds, each a thin line; thick: their mean", fontsize=8)
    return list(grid[0])


def explore_samples(
    kl: ArrayLike, proxy: ArrayLike, gold: ArrayLike, terms: pd.DataFrame, samples: Sequence[Sequence[str]]
) -> Explorable:
    """A slider over iterations: where the policy is, what it writes, and which of the rubric's terms pay or cost.

    Args:
        kl, proxy, gold: of each iteration.
        terms: the mean of each term, a row an iteration.
        samples: two texts of each iteration.
    """
    d, proxy, gold = (
        np.asarray(x, dtype=float) for x in (np.sqrt(np.clip(np.asarray(kl, float), 0, None)), proxy, gold)
    )
    low, high = min(proxy.min(), gold.min()) - 0.4, max(proxy.max(), gold.max()) + 0.4
    course: list[Mark] = [
        Curve(d, proxy, PROXY, "proxy"),
        Curve(d, gold, GOLD, "gold"),
        Dot(d, proxy, PROXY),
        Dot(d, gold, GOLD),
    ]
    names = [str(name) for name in terms]
    least = min(-1.0, float(terms.to_numpy().min())) - 0.2
    most = max(3.0, float(terms.to_numpy().max())) + 0.2
    bars: list[Mark] = [Segment(0, -0.6, 0, len(names) - 0.4, style.GREY, width=1)]
    for row, name in enumerate(reversed(names)):
        values = terms[name].to_numpy(dtype=float)
        up = values.mean() > 0
        bars.append(Segment(0, row, values, row, PROXY if up else GOLD, width=BAR + 2))
        place = -0.15 if up else 0.15
        bars.append(Text(place, row - 0.14, name.replace("_", " "), anchor="end" if up else "start"))
    texts = np.array(samples, dtype=object)  # [iteration, response]
    told = [Number(label, texts[:, k]) for k, label in enumerate(("a response", "another"))]
    return Explorable(
        "A slider chooses an iteration of the training without a price of divergence. One panel shows proxy and gold "
        "against the root of the KL divergence with a dot for that iteration, the other the rubric's terms as bars; "
        "two of the responses are told.",
        [Slider("iteration", [str(k) for k in range(len(d))])],
        [
            Panel("Where the policy is", course, (0, float(d.max()) * 1.04), (low, high), "√KL", "reward"),
            Panel("What the rubric says", bars, (least, most), (-0.6, len(names) - 0.4), "points, mean", yticks={}),
        ],
        [Number("KL", d**2, "{:.1f}"), Number("proxy", proxy), Number("gold", gold), *told],
    )
