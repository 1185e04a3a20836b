"""Figures of chapter 09b: what is drawn is what was given."""

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from pgcourse import plots
from pgcourse.plots import style

COLUMNS = ["environment", "algorithm", "env_steps", "score", "spread", "spread_kind", "seeds", "metric", "source"]


def test_published_scores_stand_above_our_seeds():
    others = pd.DataFrame(
        [
            ("Walker2d-v3", "PPO", 3_000_000, 2595, 418, "sd", 10, "smoothed", "Spinning Up benchmarks"),
            (
                "Walker2d-v3",
                "TRPO",
                1_000_000,
                4933,
                1452,
                "sd over evaluation episodes",
                1,
                "deterministic",
                "Zoo benchmark.md",
            ),
            ("Walker2d-v5", "PPO", 10_000_000, 4379, np.nan, np.nan, 4, "training", "SLM-Lab docs/BENCHMARKS.md"),
        ],
        columns=COLUMNS,
    )
    ax = plots.reported(others, {"PPO": [4000.0, 5000.0]}, "sampled", "return")
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [
        "Spinning Up: PPO, v3, 3M, 10 seeds",
        "Zoo: TRPO, v3, 1M, 1 seed",
        "SLM-Lab: PPO, v5, 10M, 4 seeds",
        "here: PPO, 2 seeds",
    ]
    bars = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and len(set(line.get_ydata())) == 1]
    np.testing.assert_allclose(bars[0].get_xdata(), [2177, 3013])
    assert [bar.get_linestyle() for bar in bars[:2]] == ["-", ":"]  # over seeds, over episodes
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in dots[:3]] == [2595, 4933, 4379]
    np.testing.assert_allclose(dots[3].get_xdata(), [4000, 5000])
    assert to_hex(dots[3].get_color()) == to_hex(dots[0].get_color()) == to_hex(style.colors(["PPO"])["PPO"])
    stroke = ax.get_lines()[-2]
    assert set(stroke.get_xdata()) == {4500}
    assert [text.get_text() for text in ax.texts] == ["smoothed", "deterministic", "training", "sampled"]
    assert ax.get_xlim()[0] == 0


def test_scores_below_0_are_not_cut_off():
    nobody = pd.DataFrame([], columns=COLUMNS)
    ax = plots.reported(nobody, {"PPO": [-5.0, -4.0]}, "sampled", "return")
    assert ax.get_xlim()[0] < -5
