"""What the ledger has to show, on one world and enough episodes to see it."""

import math

import pytest
import torch

from pgcourse.core import Streams
from pgcourse.exact import ledger, random_mdp
from pgcourse.exact.sampling import batch_errors, batch_means, z_scores
from pgcourse.exact.variance import gae_moments
from pgcourse.stats import z_threshold

F64 = torch.float64
MDP = random_mdp(seed=12)
THETA = Streams(1, dtype=F64).child("theta").normal(MDP.policy.size)


@pytest.fixture(scope="module")
def found():
    return ledger(MDP, THETA, Streams(1), episodes=100_000, batch_sizes=(1, 10, 100, 1000))


@pytest.fixture(scope="module")
def table(found):
    return found.table.set_index("estimator")


def test_the_verdict_on_bias_is_that_of_theory(table):
    assert (table.unbiased == table.unbiased_in_theory).all()
    assert table.unbiased.sum() == 14
    assert set(table.index[~table.unbiased]) == {
        "TD",
        "GAE(0.5)",
        "GAE(0.9)",
        "reward-to-go, γ^t dropped",
        "reward-to-go - q(s,a)",
    }
    assert table.z_threshold.iloc[0] == z_threshold(19 * 15)


def test_measured_and_exact_numbers_agree(table):
    known = table[table.exact_trace.notna()]
    assert len(known) == 16
    z = (known.trace - known.exact_trace) / known.trace_error
    assert z.abs().max() < 4
    assert (known.exact_bias[known.unbiased_in_theory] < 1e-12).all()
    # ‖measured - exact‖ is of the size of the noise: √(tr Cov / n) / ‖∇J‖
    assert ((table.bias - table.exact_bias).abs() < 3 * table.bias_noise).all()
    assert known.gradient_norm.unique() == pytest.approx(MDP.gradient(THETA).norm().item())
    noise = (known.trace / known.episodes) ** 0.5 / known.gradient_norm
    assert (known.bias_noise / noise).to_numpy() == pytest.approx(1, abs=1e-4)


def test_an_action_dependent_baseline_can_remove_the_gradient_itself(table):
    """E[Σ γ^t (G_t - q) ∇log π] = 0: all that is left is noise, and the bias is the whole gradient."""
    row = table.loc["reward-to-go - q(s,a)"]
    assert row.exact_bias == 1
    assert row.bias == pytest.approx(1, abs=4 * row.bias_noise)


def test_the_exact_bias_is_zero_where_theory_says_so_and_nowhere_else(table):
    assert ((table.exact_bias < 1e-12) == table.unbiased_in_theory).all()


def test_without_a_lambda_there_is_no_critic():
    names = ledger(MDP, THETA, Streams(1), 100, (10,), lams=(), pilot_episodes=100).table.estimator
    assert len(names) == 14
    assert not names.str.contains("TD|GAE").any()


def test_variances_come_in_the_order_of_theory(found):
    ordering = found.pairs[found.pairs.kind == "ordering"]
    assert ordering.holds.all()
    chain = list(zip(ordering.smaller, ordering.larger, strict=True))
    assert ("reward-to-go - v(s)", "reward-to-go") in chain
    assert ("reward-to-go", "total return") in chain
    assert [pair for pair in chain if pair[0] in ("TD", "GAE(0.5)", "GAE(0.9)")] == [
        ("TD", "GAE(0.5)"),
        ("GAE(0.5)", "GAE(0.9)"),
        ("GAE(0.9)", "GAE(1)"),
    ]


def test_the_best_baseline_is_the_lowest_of_its_class(found):
    least = found.pairs[found.pairs.kind == "least of its class"]
    assert least.groupby("smaller").size().to_dict() == {
        "total return - b*": 2,
        "total return - b* per component": 3,
        "reward-to-go - b*": 2,
        "reward-to-go - b*(s)": 4,
    }
    assert least.holds.all()


def test_pairing_sharpens_the_comparison(found, table):
    row = found.pairs.set_index(["smaller", "larger"]).loc[("reward-to-go - b*(s)", "reward-to-go - v(s)")]
    traces = table.trace[["reward-to-go - b*(s)", "reward-to-go - v(s)"]]
    assert row.difference == pytest.approx(traces.diff().iloc[-1], rel=1e-3)
    assert row.difference_error < 0.5 * table.trace_error["reward-to-go - v(s)"]


def test_larger_batches_come_closer(found, table):
    batches = found.batches.set_index(["estimator", "batch_size"])
    size = MDP.gradient(THETA).norm().item()
    for name in table.index[table.unbiased_in_theory]:
        rows = batches.loc[name]
        assert rows.cosine.is_monotonic_increasing
        expected = (table.trace[name] / rows.index.to_series()) ** 0.5 / size  # √(tr Cov / n) / ‖∇J‖
        assert ((rows.relative_error - expected).abs() < 4 * rows.relative_error_error).all()
    plain, best = batches.loc["total return"].cosine, batches.loc["A(s,a) known"].cosine
    assert (best > plain).all()


def test_seeds_do_not_depend_on_each_other():
    theta = Streams([3, 5], dtype=F64).child("theta").normal(MDP.policy.size)
    options = {"episodes": 200, "batch_sizes": (10,), "pilot_episodes": 200}
    both = ledger(MDP, theta, Streams([3, 5]), **options)
    alone = ledger(MDP, theta[1:], Streams([5]), **options)
    assert set(both.table.seed) == {3, 5}
    for name, other in (("table", alone.table), ("batches", alone.batches), ("pairs", alone.pairs)):
        frame = getattr(both, name)
        mine = frame[frame.seed == 5].reset_index(drop=True).drop(columns="z_threshold", errors="ignore")
        assert mine.equals(other.drop(columns="z_threshold", errors="ignore"))


def test_a_perfect_critic_has_no_bias():
    error = torch.zeros(MDP.states, dtype=F64)
    table = ledger(MDP, THETA, Streams(1), 5000, (10,), error, pilot_episodes=1000).table.set_index("estimator")
    assert table.exact_bias["TD"] < 1e-12
    assert table.unbiased["TD"]
    assert table.trace["TD"] == table.trace["TD, v known"]


def test_the_critics_error_is_the_given_one():
    error = torch.arange(MDP.states, dtype=F64)
    table = ledger(MDP, THETA, Streams(1), 100, (10,), error, (0.3,), 100).table.set_index("estimator")
    exact = gae_moments(MDP, THETA, MDP.v(THETA) + error, 0.3)
    assert table.exact_trace["GAE(0.3)"] == pytest.approx(exact.trace.item())


def test_refusals():
    with pytest.raises(ValueError, match=r"batch_sizes must be from 1 to episodes / 2 = 50, got \[10, 60\]"):
        ledger(MDP, THETA, Streams(1), 100, (10, 60))
    with pytest.raises(ValueError, match="theta has 1 rows and streams has 2 seeds"):
        ledger(MDP, THETA, Streams(2), 100, (10,))


class TestStatistics:
    def test_z_threshold(self):
        """Bonferroni: with m comparisons the largest exceeds it as rarely as one alone exceeds 3 sigmas."""
        assert z_threshold(1) == pytest.approx(3)
        assert 2 * 100 * 0.5 * math.erfc(z_threshold(100) / math.sqrt(2)) == pytest.approx(math.erfc(3 / math.sqrt(2)))

    def test_z_scores(self):
        sample = torch.tensor([[[0.0, 2.0, 2.0], [2.0, 2.0, 2.0]]], dtype=F64)
        truth = torch.tensor([[0.0, 2.0, 3.0]], dtype=F64)
        assert z_scores(sample, truth).tolist() == [[pytest.approx(1.0), 0.0, -math.inf]]

    def test_batches(self):
        sample = torch.arange(14.0).view(1, 7, 2)
        assert batch_means(sample, 3).tolist() == [[[2, 3], [8, 9]]]
        assert batch_errors(sample, torch.tensor([[3.0, 4.0]]), 3)[0].tolist() == pytest.approx(
            [math.sqrt(2) / 5, math.sqrt(50) / 5]
        )
