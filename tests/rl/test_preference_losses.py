"""Losses of comparisons: likelihoods, closed forms, gradients as in the papers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.rl.divergences import kl_optimum
from pgcourse.rl.preference_losses import bradley_terry_loss, dpo_loss, ipo_loss, kto_loss, kto_reference

F64 = torch.float64
EXACT = {"rtol": 0, "atol": 1e-12}
seeds = st.integers(0, 10_000)


def numbers(seed, n, shape=(2, 5)):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@given(seeds, st.floats(-1, 1))
def test_bradley_terry_is_minus_a_bernoulli_log_likelihood(seed, margin):
    chosen, rejected = numbers(seed, 2)
    expected = -torch.distributions.Bernoulli(logits=chosen - rejected - margin).log_prob(torch.ones_like(chosen))
    torch.testing.assert_close(bradley_terry_loss(chosen, rejected, margin), expected, **EXACT)


def test_bradley_terry_finds_the_rewards_that_made_the_comparisons():
    """With every pair weighted by its true probability the minimum is at the true differences, and nowhere else."""
    truth = torch.tensor([0.0, 1.0, -0.7], dtype=F64)
    reward = torch.zeros(3, dtype=F64, requires_grad=True)
    i, j = (~torch.eye(3, dtype=torch.bool)).nonzero().T
    probability = (truth[i] - truth[j]).sigmoid()
    optimizer = torch.optim.LBFGS([reward], max_iter=200, tolerance_grad=1e-12, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        loss = (probability * bradley_terry_loss(reward[i], reward[j], centering=0.0)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(reward.detach() - reward[0].item(), truth, rtol=0, atol=1e-6)


@given(seeds)
def test_only_centering_sees_the_level(seed):
    chosen, rejected = numbers(seed, 2)
    plain = bradley_terry_loss(chosen, rejected)
    torch.testing.assert_close(bradley_terry_loss(chosen + 3, rejected + 3), plain, **EXACT)
    expected = plain + 0.01 * (chosen + rejected + 6) ** 2
    torch.testing.assert_close(bradley_terry_loss(chosen + 3, rejected + 3, centering=0.01), expected, **EXACT)


@given(seeds, st.floats(0.01, 2))
def test_dpos_gradient_is_that_of_the_paper(seed, beta):
    """Rafailov et al. (2023), section 4: -β σ(r̂_rejected - r̂_chosen) (∇log π(chosen) - ∇log π(rejected))."""
    chosen, rejected, ref_chosen, ref_rejected = numbers(seed, 4)
    chosen.requires_grad_(), rejected.requires_grad_()
    loss = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta)
    up, down = torch.autograd.grad(loss.sum(), (chosen, rejected))
    reward, worse = beta * (chosen - ref_chosen).detach(), beta * (rejected - ref_rejected).detach()
    weight = beta * (worse - reward).sigmoid()
    torch.testing.assert_close(up, -weight, **EXACT)
    torch.testing.assert_close(down, weight, **EXACT)


@given(seeds, st.floats(0, 0.5))
def test_smoothed_dpo_is_the_cross_entropy_with_smoothed_labels(seed, smoothing):
    chosen, rejected, ref_chosen, ref_rejected = numbers(seed, 4)
    logit = 0.3 * ((chosen - ref_chosen) - (rejected - ref_rejected))
    label = torch.full_like(logit, 1 - smoothing)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
    found = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, 0.3, smoothing)
    torch.testing.assert_close(found, expected, **EXACT)


@given(seeds, st.floats(0.05, 2))
def test_ipo_is_smallest_at_its_margin_and_dpo_has_no_smallest(seed, beta):
    chosen, rejected, ref_chosen, ref_rejected = numbers(seed, 4)
    target = rejected - ref_rejected + ref_chosen + 1 / (2 * beta)
    torch.testing.assert_close(
        ipo_loss(target, rejected, ref_chosen, ref_rejected, beta), torch.zeros_like(chosen), **EXACT
    )
    for step in (-1.0, 1.0):
        near = ipo_loss(target + step, rejected, ref_chosen, ref_rejected, beta)
        torch.testing.assert_close(near, torch.ones_like(chosen), rtol=0, atol=1e-10)
    further = [dpo_loss(target + step, rejected, ref_chosen, ref_rejected, beta) for step in (0.0, 1.0, 10.0)]
    assert (further[0] > further[1]).all()
    assert (further[1] > further[2]).all()


@given(seeds, st.floats(0.05, 2))
def test_kto_is_a_value_function_around_the_reference(seed, beta):
    """λ - λ σ(± β (h - z)): losses below one half above the reference for the desirable, above it for the others."""
    log_prob, ref = numbers(seed, 2)
    desirable = numbers(seed + 1, 1)[0] > 0
    z = torch.tensor(0.4, dtype=F64)
    loss = kto_loss(log_prob, ref, desirable, z, beta, 1.0, 1.0)
    for good, a, b, found in zip(*(x.flatten().tolist() for x in (desirable, log_prob, ref, loss)), strict=True):
        gap = beta * (a - b - 0.4)
        assert found == pytest.approx(1 - 1 / (1 + math.exp(-gap if good else gap)))
    weighted = kto_loss(log_prob, ref, desirable, z, beta, 1.5, 0.5)
    torch.testing.assert_close(weighted, loss * torch.where(desirable, 1.5, 0.5), **EXACT)


def test_ktos_reference_is_a_number_that_is_never_negative():
    log_prob = torch.tensor([[1.0, 3.0], [-1.0, -3.0]], dtype=F64, requires_grad=True)
    z = kto_reference(log_prob, torch.zeros(2, 2, dtype=F64))
    assert z.tolist() == [[2.0], [0.0]]
    assert not z.requires_grad
    other = kto_loss(log_prob, torch.zeros(2, 2, dtype=F64), torch.ones(2, 2, dtype=torch.bool), z - 5, 1.0)
    torch.testing.assert_close(other, 1 - log_prob.sigmoid(), **EXACT)  # an estimate below 0 counts as 0


def test_the_reference_is_data():
    chosen, rejected, ref_chosen, ref_rejected = (x.requires_grad_() for x in numbers(0, 4))
    for loss in (dpo_loss, ipo_loss):
        total = loss(chosen, rejected, ref_chosen, ref_rejected, 0.1).sum()
        gradients = torch.autograd.grad(total, (ref_chosen, ref_rejected), allow_unused=True)
        assert gradients == (None, None)


def test_what_is_wrong_is_named():
    a, b = torch.zeros(2, 5), torch.zeros(2, 1)
    with pytest.raises(ValueError, match=r"rejected must have the shape of chosen, \[2, 5\]; got \[2, 1\]"):
        bradley_terry_loss(a, b)
    with pytest.raises(ValueError, match="ref_rejected must have the shape of chosen"):
        dpo_loss(a, a, a, b, 0.1)
    with pytest.raises(ValueError, match="desirable must have the shape of log_prob"):
        kto_loss(a, a, b > 0, torch.zeros(()), 0.1)


@given(seeds, st.floats(0.1, 2))
def test_dpo_on_all_comparisons_is_smallest_at_the_closed_form_optimum(seed, beta):
    """Every pair of four answers with its Bradley-Terry probability under r: DPO's slope is 0 at π* of r and β."""
    reward, ref = torch.randn(2, 4, generator=torch.Generator().manual_seed(seed), dtype=F64)
    ref = ref.log_softmax(0)
    logits = kl_optimum(ref, reward, beta)[0].requires_grad_()
    log_prob = logits.log_softmax(0)
    i, j = (~torch.eye(4, dtype=torch.bool)).nonzero().T
    probability = (reward[i] - reward[j]).sigmoid()
    loss = (probability * dpo_loss(log_prob[i], log_prob[j], ref[i], ref[j], beta)).sum()
    (slope,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-12)
