"""The diagnostics of anybody's run: each number in its panel, and jumps where there are some."""

import numpy as np
import pandas as pd
import pytest

from pgcourse import plots
from pgcourse.plots import style
from pgcourse.plots.from_rewards import PANELS
from pgcourse.rlhf.trainer import Metrics


@pytest.fixture
def table():
    """What `pgcourse rlhf train` keeps in metrics.csv: 20 iterations, each metric a line of its own; no gold."""
    kept = [name for name in Metrics._fields if name not in ("gold", "value_loss", "explained_variance")]
    numbers = {name: np.linspace(0.1, 0.2 + 0.03 * k, 20) for k, name in enumerate(kept)}
    jumped = np.full(20, 0.01)
    jumped[12] = 0.2
    return pd.DataFrame(
        {"iteration": range(20), "responses": range(256, 257 * 20, 256), **numbers, "update_kl": jumped}
    )


def test_every_panel_has_its_metrics(table):
    first, *panels = plots.rlhf_diagnostics(table)
    (proxy,) = first.get_lines()
    np.testing.assert_allclose(proxy.get_xdata(), np.sqrt(table["kl"]))
    np.testing.assert_array_equal(proxy.get_ydata(), table["proxy"])
    assert len(panels) == len(PANELS)
    for ax, (title, metrics) in zip(panels, PANELS.items(), strict=True):
        assert ax.get_title(loc="left") == title
        lines = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
        for line, metric in zip(lines, metrics, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), table[metric])
            np.testing.assert_array_equal(line.get_xdata(), table["responses"])


def test_an_update_that_jumped_is_marked_where_it_shows(table):
    panels = {ax.get_title(loc="left"): ax for ax in plots.rlhf_diagnostics(table)[1:]}
    marked = [name for name, ax in panels.items() if any(line.get_linestyle() == ":" for line in ax.get_lines())]
    assert marked == ["KL from the reference, nats", "KL of an update, nats a token", "largest ratio of a token"]
    (mark,) = [line for line in panels[marked[0]].get_lines() if line.get_linestyle() == ":"]
    assert mark.get_xdata()[0] == table["responses"][12]


def test_gold_stands_beside_the_proxy_where_it_is_known_and_seeds_are_told_apart(table):
    curves = pd.concat(
        [table.assign(seed=seed, step=table["responses"], gold=seed - table["proxy"]) for seed in (0, 1)]
    )
    first, kl, *_ = plots.rlhf_diagnostics(curves)
    gold = [line for line in first.get_lines() if line.get_color() == style.VERMILION]
    for seed, line in enumerate(gold):
        np.testing.assert_array_equal(line.get_ydata(), seed - table["proxy"])
    assert len(gold) == 2
    assert sum(line.get_linestyle() == "-" for line in kl.get_lines()) == 3  # two seeds and their mean
    assert "2 seeds" in first.figure.get_supxlabel()


def test_curves_of_something_else_are_refused(table):
    with pytest.raises(ValueError, match="no metrics of a training from rewards: largest_ratio, entropy missing"):
        plots.rlhf_diagnostics(table.drop(columns=["largest_ratio", "entropy"]))
    with pytest.raises(ValueError, match="one of step, responses, iteration missing"):
        plots.rlhf_diagnostics(table.drop(columns=["responses", "iteration"]))
