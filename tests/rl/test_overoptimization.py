"""Gao et al.'s curves: what is made by one is found again, and its peak is where it is highest."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit, minimize_scalar

from pgcourse.rl.overoptimization import OveroptimizationFit, gold_at, overoptimization_fit

KL = torch.tensor([0.0, 0.3, 1.0, 2.5, 6.0, 11.0, 20.0], dtype=torch.float64)


def curve(form, kl, alpha, beta):
    d = kl**0.5
    return d * (alpha - beta * (d if form == "best_of_n" else torch.where(d > 0, d, 1).log()))


@given(st.sampled_from(["best_of_n", "rl"]), st.floats(-3, 3), st.floats(-2, 2))
def test_a_curve_is_found_again(form, alpha, beta):
    gold = curve(form, KL, alpha, beta)
    fit = overoptimization_fit(KL, gold, form)
    assert (fit.alpha, fit.beta) == pytest.approx((alpha, beta), abs=1e-9)
    torch.testing.assert_close(fit.gold(KL), gold, rtol=0, atol=1e-8)


@pytest.mark.parametrize("form", ["best_of_n", "rl"])
def test_with_noise_it_is_the_fit_of_scipy(form):
    gold = curve(form, KL, 1.2, 0.5) + 0.1 * torch.randn(7, generator=torch.Generator().manual_seed(2)).double()
    fit = overoptimization_fit(KL, gold, form)
    (alpha, beta), _ = curve_fit(
        lambda kl, a, b: curve(form, torch.as_tensor(kl), a, b).numpy(), KL.numpy(), gold.numpy(), p0=(1, 1)
    )
    assert (fit.alpha, fit.beta) == pytest.approx((alpha, beta), rel=1e-6)
    residual, spread = ((x**2).sum().item() for x in (gold - fit.gold(KL), gold - gold.mean()))
    assert fit.r2 == pytest.approx(1 - residual / spread)
    assert 0.5 < fit.r2 < 1


@pytest.mark.parametrize("form", ["best_of_n", "rl"])
def test_the_peak_is_where_the_curve_is_highest(form):
    fit = OveroptimizationFit(form, 1.2, 0.5, 1.0)
    found = minimize_scalar(
        lambda kl: -fit.gold(torch.tensor([kl])).item(), bounds=(0.01, 20), method="bounded", options={"xatol": 1e-10}
    )
    assert fit.peak_kl == pytest.approx(found.x, rel=1e-5)
    assert fit._replace(beta=-0.1).peak_kl == math.inf
    if form == "rl":
        for beta in (1.2 / 400, 1e-3, 5e-324):  # too far for a number
            assert fit._replace(beta=beta).peak_kl == math.inf
        assert fit._replace(alpha=-1.2, beta=1e-3).peak_kl == 0


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="form must be one of best_of_n, rl, got 'ppo'"):
        overoptimization_fit(KL, KL, "ppo")
    with pytest.raises(ValueError, match=r"three or more; got \[2\], \[2\]"):
        overoptimization_fit(KL[:2], KL[:2], "rl")
    with pytest.raises(ValueError, match=r"kl must not be negative, got -0\.1; take the exact KL"):
        overoptimization_fit(KL - 0.1, KL, "rl")


def test_gold_at_a_divergence_is_read_from_the_iterations_around_it():
    d = torch.linspace(0, 4, 41, dtype=torch.float64)
    gold = 1 + 2 * d - 0.7 * d.square()
    for at in (0.5, 2.0, 5.0, 12.0):
        expected = 1 + 2 * at**0.5 - 0.7 * at
        assert gold_at(d.square(), gold, at) == pytest.approx(expected, abs=1e-9)
        shuffled = torch.randperm(41, generator=torch.Generator().manual_seed(0))
        assert gold_at(d.square()[shuffled], gold[shuffled], at) == pytest.approx(expected, abs=1e-9)


def test_what_is_far_away_does_not_matter_for_gold_at_a_divergence():
    d = torch.linspace(0, 4, 41, dtype=torch.float64)
    assert gold_at(d.square(), d.where(d < 2.5, -99.0), 4.0) == pytest.approx(2.0)


def test_gold_where_nobody_has_been_is_not_known():
    d = torch.linspace(0, 2, 20, dtype=torch.float64)
    assert math.isnan(gold_at(d.square(), d, 4.1))
    with pytest.raises(ValueError, match=r"4 to 20 to pool; got .* pooled = 3"):
        gold_at(d.square(), d, 1.0, pooled=3)
    with pytest.raises(ValueError, match=r"\[20\], \[19\]"):
        gold_at(d.square(), d[1:], 1.0)
