"""KL estimators by enumeration: every token with its probability, so that means and gradients are exact."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.rl.divergences import ESTIMATORS, WRONG_FORMS, full_kl, k1, k2, k3, kl_loss, kl_optimum

F64 = torch.float64
EXACT = {"rtol": 0, "atol": 1e-12}
seeds = st.integers(0, 10_000)


def world(seed, tokens=5):
    """log π_θ with its logits, log π_ref and log π_old over a small vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    theta, ref, old = torch.randn(3, tokens, generator=generator, dtype=F64)
    theta.requires_grad_()
    return theta, theta.log_softmax(0), ref.log_softmax(0), old.log_softmax(0)


def mean(x, log_prob):
    """Over tokens of this policy, which is held fixed: what an average over samples tends to."""
    return (log_prob.detach().exp() * x).sum()


def slope(value, theta):
    return torch.autograd.grad(value, theta, retain_graph=True)[0]


@given(seeds)
def test_full_kl_is_that_of_torch_distributions(seed):
    _, lp, ref, _ = world(seed)
    expected = torch.distributions.kl_divergence(*(torch.distributions.Categorical(logits=x) for x in (lp, ref)))
    torch.testing.assert_close(full_kl(lp, ref), expected, **EXACT)


def test_full_kl_with_impossible_tokens():
    lp = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=F64).log()
    ref = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.5, 0.5]], dtype=F64).log()
    assert full_kl(lp, ref).tolist() == pytest.approx([0.5 * math.log(2) + 0.5 * math.log(2 / 3), math.inf])


@given(seeds)
def test_k1_and_k3_have_the_mean_kl_and_k2_has_not(seed):
    _, lp, ref, _ = world(seed)
    exact = full_kl(lp, ref)
    torch.testing.assert_close(mean(k1(lp, ref), lp), exact, **EXACT)
    torch.testing.assert_close(mean(k3(lp, ref), lp), exact, **EXACT)
    d = lp - ref
    torch.testing.assert_close(mean(k2(lp, ref), lp), (lp.exp() * d * d).sum() / 2, **EXACT)
    assert (k2(lp, ref) >= 0).all()
    assert (k3(lp, ref) >= 0).all()
    assert k1(lp, ref).min() < 0 < k1(lp, ref).max()


@given(seeds)
def test_gradients_on_policy(seed):
    """k1: 0. k2: that of KL(π_θ ‖ π_ref). k3: that of KL(π_ref ‖ π_θ)."""
    theta, lp, ref, _ = world(seed)
    gradient = {name: slope(mean(kl_loss(lp, ref, name), lp), theta) for name in ESTIMATORS}
    torch.testing.assert_close(gradient["k1"], torch.zeros_like(theta), **EXACT)
    torch.testing.assert_close(gradient["k2"], slope(full_kl(lp, ref), theta), **EXACT)
    torch.testing.assert_close(gradient["k3"], slope(full_kl(ref, lp), theta), **EXACT)


@given(seeds)
def test_weighted_by_the_ratio_every_estimator_has_the_right_gradient_after_further_passes(seed):
    theta, lp, ref, old = world(seed)
    exact = full_kl(lp, ref)
    for name in ESTIMATORS:
        loss = mean(kl_loss(lp, ref, name, ratio=(lp - old).exp()), old)
        torch.testing.assert_close(slope(loss, theta), slope(exact, theta), **EXACT)
        if name != "k2":
            torch.testing.assert_close(loss, exact, **EXACT)


@given(seeds)
def test_unweighted_none_has_it_once_the_policy_has_moved(seed):
    theta, lp, ref, old = world(seed)
    exact = slope(full_kl(lp, ref), theta)
    for name in ESTIMATORS:
        off = slope(mean(kl_loss(lp, ref, name), old), theta)
        assert (off - exact).norm() > 1e-6 * exact.norm()


@given(seeds)
def test_wrong_forms_do_what_is_said_of_them(seed):
    theta, lp, ref, _ = world(seed)
    kl, chi_squared = full_kl(lp, ref), (2 * lp - ref).exp().sum() - 1
    inverted = WRONG_FORMS["inverted"](lp, ref)
    torch.testing.assert_close(mean(inverted, lp), chi_squared - kl, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(slope(mean(inverted, lp), theta), slope(chi_squared / 2, theta), rtol=1e-12, atol=1e-12)
    assert (inverted >= 0).all()
    torch.testing.assert_close(mean(WRONG_FORMS["sign"](lp, ref), lp), -kl, **EXACT)
    number = WRONG_FORMS["no_grad"](lp, ref)
    torch.testing.assert_close(mean(number, lp), kl, **EXACT)
    assert not number.requires_grad


def test_which_of_k1_and_k3_spreads_less_depends_on_how_far_the_policy_is():
    """Two tokens, π_θ = (1-p, p) and π_ref = (½, ½): near, k3 is the quieter; far on a rare token, it is the louder."""

    def spread(kind, prob, ref_prob):
        lp, ref = (torch.tensor([1 - p, p], dtype=F64).log() for p in (prob, ref_prob))
        k = kind(lp, ref)
        return (mean(k * k, lp) - mean(k, lp) ** 2).sqrt().item()

    assert spread(k3, 0.55, 0.5) < 0.1 * spread(k1, 0.55, 0.5)
    assert spread(k3, 1e-4, 0.5) > 5 * spread(k1, 1e-4, 0.5)


def test_another_estimator_is_refused():
    with pytest.raises(ValueError, match="estimator must be one of k1, k2, k3, got 'k4'"):
        kl_loss(torch.zeros(1), torch.zeros(1), "k4")


@given(seeds, st.floats(0.05, 5))
def test_the_optimum_in_closed_form_is_the_best_of_all(seed, beta):
    """Gibbs' inequality: any other policy falls short of its value by β KL to it."""
    generator = torch.Generator().manual_seed(seed)
    reward, ref, other = torch.randn(3, 2, 6, generator=generator, dtype=F64)
    ref, other = ref.log_softmax(1), other.log_softmax(1)

    def objective(log_probs):
        return (log_probs.exp() * reward).sum(1) - beta * full_kl(log_probs, ref)

    best, value = kl_optimum(ref, reward, beta)
    torch.testing.assert_close(best.logsumexp(1), torch.zeros(2, dtype=F64), rtol=0, atol=1e-12)
    torch.testing.assert_close(objective(best), value, rtol=0, atol=1e-11)
    torch.testing.assert_close(value - objective(other), beta * full_kl(other, best), rtol=0, atol=1e-10)


def test_no_price_has_no_optimum():
    with pytest.raises(ValueError, match=r"beta must be above 0, got 0\.0"):
        kl_optimum(torch.zeros(3), torch.zeros(3), 0.0)
