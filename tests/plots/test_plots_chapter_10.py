"""Figures of chapter 10: what is drawn is what was given."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import colors
from scipy import stats

from pgcourse import plots
from pgcourse.plots import style
from pgcourse.rl.overoptimization import OveroptimizationFit


def drawn(ax, color):
    return [line for line in ax.lines if colors.same_color(line.get_color(), color)]


def test_proxy_and_gold_are_means_over_the_seeds_of_a_variant():
    rows = [
        {"variant": name, "seed": seed, "step": 256 * k, "proxy": k + seed, "gold": slope * k}
        for name, slope in (("β = 0", -1.0), ("β = 1", 0.5))
        for seed in range(3)
        for k in range(1, 5)
    ]
    free, held = plots.proxy_and_gold(pd.DataFrame(rows), ["β = 0", "β = 1"], responses=256)
    assert (free.get_title(loc="left"), held.get_title(loc="left")) == (r"$\beta$ = 0", r"$\beta$ = 1")
    for ax, slope in ((free, -1.0), (held, 0.5)):
        proxy, gold = (next(line for line in ax.lines if line.get_label() == name) for name in ("proxy", "gold"))
        np.testing.assert_allclose(proxy.get_ydata(), proxy.get_xdata() + 1)  # the mean of the seeds 0, 1, 2
        np.testing.assert_allclose(gold.get_ydata(), slope * gold.get_xdata())
        assert (proxy.get_xdata()[0], proxy.get_xdata()[-1]) == (1, 4)


def test_terms_that_hardly_move_are_grey_and_the_others_named():
    terms = pd.DataFrame({"warmth": [0.0, 3.0, 3.0], "empty": [0.0, 0.0, -0.1], "off_topic": [-1.0, -0.5, 0.0]})
    ax = plots.rubric_terms(terms, [0.0, 4.0, 9.0])
    assert {text.get_text() for text in ax.texts} >= {"warmth", "off topic"}
    assert "empty" not in {text.get_text() for text in ax.texts}
    (grey,) = drawn(ax, style.GREY)
    np.testing.assert_array_equal(grey.get_ydata(), terms["empty"])
    np.testing.assert_array_equal(grey.get_xdata(), [0, 2, 3])


def test_a_seeds_fit_is_drawn_with_its_peak_and_the_one_that_was_seen():
    curves = pd.DataFrame({"seed": [0] * 3 + [1] * 3, "kl": [0.0, 4, 16] * 2, "gold": [0, 2, -1, 0, 1, 2.0]})
    fits = {0: OveroptimizationFit("rl", 1.0, 0.5, 0.9), 1: OveroptimizationFit("rl", 1.0, -0.1, 0.8)}
    first, second = plots.overoptimization(curves, fits)
    assert first.get_title(loc="left") == "seed 0: $R^2$ = 0.90"
    seen, fitted = (next(line for line in first.lines if line.get_marker() == mark) for mark in ("^", "v"))
    assert (seen.get_xdata()[0], seen.get_ydata()[0]) == (2, 2)
    assert fitted.get_xdata()[0] == pytest.approx(np.exp(1.0 / 0.5 - 1))
    assert all(line.get_marker() != "v" for line in second.lines)  # its fit only rises
    (curve,) = [line for line in first.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 200]
    d = curve.get_xdata()
    np.testing.assert_allclose(curve.get_ydata(), d * (1.0 - 0.5 * np.log(np.maximum(d, 1e-300))), atol=1e-9)


def test_ways_are_drawn_as_far_as_asked():
    ways = {"best of n": pd.DataFrame({"kl": [0.0, 1.0], "proxy": [0.0, 1.0], "gold": [0.0, 0.5]})}
    ways["PPO"] = pd.DataFrame({"kl": [0.0, 4.0, 100.0], "proxy": [0.0, 2.0, 3.0], "gold": [0.0, 1.0, -9.0]})
    for ax, name in zip(plots.against_distance(ways, furthest=12), ("proxy", "gold"), strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        assert lines["PPO"].get_xdata().tolist() == [0, 2]
        assert lines["PPO"].get_ydata().tolist() == ways["PPO"][name].tolist()[:2]


def test_gold_at_equal_kl_is_compared_seed_by_seed():
    rng = np.random.default_rng(0)
    base = {kl: rng.normal(1, 1, 5) for kl in (2, 3)}
    more = {kl: base[kl] + [0.1, 0.2, 0.3, 0.2, 0.2] for kl in base}
    more[3][:3] = np.nan  # too few are left there
    gold, difference = plots.at_equal_kl({"β = 0": base, "β = 1": more}, baseline="β = 0")
    means = next(line for line in gold.lines if line.get_label() == r"$\beta$ = 0")
    np.testing.assert_allclose(means.get_ydata(), [base[2].mean(), base[3].mean()])
    dots = [line for line in difference.lines if line.get_marker() == "o"]
    assert [dot.get_ydata()[0] for dot in dots] == [pytest.approx(0.2)]
    bar = next(line for line in difference.lines if line.get_marker() == "None" and line.get_linewidth() > 2)
    low, high = stats.t.interval(0.95, 4, 0.2, stats.sem([0.1, 0.2, 0.3, 0.2, 0.2]))
    np.testing.assert_allclose(bar.get_ydata(), [low, high])


def test_every_seed_is_a_line_from_few_passes_to_many():
    gold = {"clip": {1: [1.0, 1.2, 0.8], 8: [1.1, 1.3, 0.9]}, "no clip": {1: [0.9, 1.0, 0.8], 8: [-6.0, -1.0, -2.0]}}
    first, second = plots.clip_and_passes({"gold": gold, "KL": {"clip": gold["clip"]}}, ["KL"])
    (mean,) = [line for line in drawn(first, style.COLORS["no clip"]) if line.get_label() == "no clip"]
    np.testing.assert_allclose(mean.get_ydata(), [0.9, -3.0])
    seeds = [line.get_ydata().tolist() for line in drawn(first, style.COLORS["no clip"]) if line is not mean]
    assert seeds == [[0.9, -6.0], [1.0, -1.0], [0.8, -2.0]]
    assert [label.get_text() for label in first.get_xticklabels()] == ["1 pass", "8 passes"]
    assert (first.get_yscale(), second.get_yscale()) == ("linear", "log")


def test_the_slider_tells_the_iterations_numbers_and_responses():
    terms = pd.DataFrame({"warmth": [0.5, 3.0], "gush": [0.0, -4.0]})
    figure = plots.explore_samples(
        torch.tensor([0.0, 9.0]), [0.0, 2.0], [0.1, -3.0], terms, [["nice .", "bad ."], ["nice nice", "nice"]]
    )
    told = {number["label"]: number["values"] for number in figure.payload()["numbers"]}
    assert told["KL"] == ["0.0", "9.0"]
    assert told["gold"] == ["0.10", "−3.00"]
    assert told["a response"] == ["nice .", "nice nice"]
    assert told["another"] == ["bad .", "nice"]
    assert "gush" in figure.svg()
    assert figure.grid == (2,)
