"""Responses as episodes: rewards, advantages, ratios and means per token, against loops and CartPole's functions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from responses import F64, lengths_to_mask, random_mask, random_tokens, rows

from pgcourse.rl import reward_to_go, standardized
from pgcourse.rl.objectives import (
    clip_binds,
    clipped_surrogate,
    masked_mean,
    mismatch_weight,
    truncated_score_function,
)
from pgcourse.rl.tokens import aggregated, last_token, policy_log_ratio, token_gae, token_reward

seeds = st.integers(0, 10_000)
EXACT = {"rtol": 0, "atol": 1e-12}


@given(seeds, st.sampled_from([0.0, 0.1, 2.0]), st.sampled_from([0.0, 1.5]))
def test_rewards_are_those_of_a_loop_over_tokens(seed, beta, penalty):
    mask = random_mask(seed)
    kl = random_tokens(mask, seed)
    generator = torch.Generator().manual_seed(seed)
    score = torch.randn(mask.shape[:2], generator=generator, dtype=F64)
    ended = torch.rand(mask.shape[:2], generator=generator) < 0.5
    found = token_reward(score, kl, mask, beta, ended, penalty)
    assert torch.equal(found[~mask], torch.zeros_like(found[~mask]))
    for s, (own, divergences) in enumerate(zip(rows(found, mask), rows(kl, mask), strict=True)):
        for i, (reward, k) in enumerate(zip(own, divergences, strict=True)):
            expected = [-beta * x for x in k]
            expected[-1] += score[s, i].item() - (0.0 if ended[s, i] else penalty)
            assert reward == pytest.approx(expected)


def test_a_whole_responses_reward_is_its_score_less_its_divergence():
    mask = random_mask(3)
    kl, score = random_tokens(mask, 3), torch.randn(mask.shape[:2], dtype=F64)
    total = token_reward(score, kl, mask, 0.3).sum(-1)
    torch.testing.assert_close(total, score - 0.3 * kl.where(mask, 0.0).sum(-1), **EXACT)


def test_no_gradient_flows_through_rewards():
    mask = random_mask(0)
    kl, score = random_tokens(mask, 0, 0.0).requires_grad_(), torch.zeros(mask.shape[:2], dtype=F64, requires_grad=True)
    assert not token_reward(score, kl, mask, 0.1).requires_grad


@given(seeds, st.sampled_from([0.0, 0.5, 0.95, 1.0]), st.sampled_from([0.9, 1.0]))
def test_advantages_are_gae_of_each_response_alone(seed, lam, gamma):
    """Schulman et al. (2016), eq. 16, over the tokens of one response, whatever stands in the padding."""
    mask = random_mask(seed)
    reward, value = random_tokens(mask, seed), random_tokens(mask, seed + 1)
    found = token_gae(reward, value, mask, gamma, lam)
    assert torch.equal(found[~mask], torch.zeros_like(found[~mask]))
    for own in zip(rows(found, mask), rows(reward, mask), rows(value, mask), strict=True):
        for advantage, r, v in zip(*own, strict=True):
            delta = [r[t] + gamma * (v[t + 1] if t + 1 < len(v) else 0.0) - v[t] for t in range(len(r))]
            expected = [sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, len(r))) for t in range(len(r))]
            assert advantage == pytest.approx(expected)


def test_without_values_advantages_are_the_reward_to_go_of_cartpole():
    mask = random_mask(5)
    reward = random_tokens(mask, 5, 0.0)
    ends = last_token(mask).transpose(1, 2)
    expected = reward_to_go(reward.transpose(1, 2), ends, torch.zeros_like(ends), 0.9).transpose(1, 2)
    found = token_gae(reward, torch.zeros_like(reward), mask, 0.9, 1.0)
    torch.testing.assert_close(found, expected.where(mask, 0.0), **EXACT)


@given(seeds)
def test_standardized_tokens_are_standardized_samples_of_the_same_numbers(seed):
    mask = random_mask(seed, seeds=1)
    x = random_tokens(mask, seed, math.inf)
    if mask.sum() < 2:
        return
    found = standardized(x, mask)
    torch.testing.assert_close(found[mask].unsqueeze(0), standardized(x[mask].unsqueeze(0)), **EXACT)
    assert torch.equal(found[~mask], torch.zeros_like(found[~mask]))


def test_standardized_with_a_full_mask_is_the_function_of_cartpole():
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(0), dtype=F64)
    torch.testing.assert_close(standardized(x, torch.ones_like(x, dtype=torch.bool)), standardized(x), **EXACT)


@given(seeds, st.sampled_from(["token", "sequence", "product"]))
def test_ratios_of_tokens_of_their_mean_and_of_the_response(seed, level):
    mask = random_mask(seed)
    new, old = random_tokens(mask, seed), random_tokens(mask, seed + 1)
    found = policy_log_ratio(new, old, mask, level)
    assert torch.equal(found[~mask], torch.zeros_like(found[~mask]))
    for own in zip(rows(found, mask), rows(new, mask), rows(old, mask), strict=True):
        for ratio, a, b in zip(*own, strict=True):
            d = [x - y for x, y in zip(a, b, strict=True)]
            expected = {"token": d, "sequence": [sum(d) / len(d)] * len(d), "product": [sum(d)] * len(d)}[level]
            assert ratio == pytest.approx(expected)


@given(seeds)
def test_aggregation_is_that_of_a_loop(seed):
    mask = random_mask(seed)
    loss = random_tokens(mask, seed)
    for s, own in enumerate(rows(loss, mask)):
        total, count = sum(map(sum, own)), sum(map(len, own))
        expected = {
            "token": total / count,
            "sequence": sum(sum(row) / len(row) for row in own) / len(own),
            "constant": total / (len(own) * 9),
        }
        found = {by: aggregated(loss, mask, by, longest=9)[s].item() for by in expected}
        assert found == pytest.approx(expected)


def test_weights_of_a_token_are_in_the_ratio_of_lengths():
    """Responses of 2 and of 8 tokens: GRPO's mean of means gives the short one's tokens four times the weight."""
    mask = lengths_to_mask(torch.tensor([[2, 8]]))
    weight = {}
    for by in ("token", "sequence", "constant"):
        loss = torch.zeros(mask.shape, dtype=F64, requires_grad=True)
        (g,) = torch.autograd.grad(aggregated(loss, mask, by, longest=10).sum(), loss)
        weight[by] = (g[0, 0, 0] / g[0, 1, 0]).item()
    assert weight == pytest.approx({"token": 1, "sequence": 4, "constant": 1})


@given(seeds, st.integers(1, 6))
def test_all_aggregations_agree_at_equal_lengths(seed, length):
    """Dr. GRPO, DAPO and GRPO differ by nothing but the lengths of responses."""
    mask = lengths_to_mask(torch.full((2, 4), length))
    loss = random_tokens(mask, seed)
    token = aggregated(loss, mask, "token")
    torch.testing.assert_close(aggregated(loss, mask, "sequence"), token, **EXACT)
    torch.testing.assert_close(aggregated(loss, mask, "constant", longest=length), token, **EXACT)


def clipped_loss(new, old, advantage, mask, level, by):
    ratio = policy_log_ratio(new, old, mask, level).exp()
    return -aggregated(clipped_surrogate(ratio, advantage.unsqueeze(-1), 0.2), mask, by)


@given(seeds)
def test_gspo_is_grpo_at_the_first_update(seed):
    """All ratios are 1, so that the mean of a response's ratios has the gradient of the mean of its tokens."""
    mask = random_mask(seed)
    old = random_tokens(mask, seed, 0.0)
    advantage = torch.randn(mask.shape[:2], generator=torch.Generator().manual_seed(seed), dtype=F64)
    gradients = []
    for level in ("token", "sequence"):
        new = old.clone().requires_grad_()
        loss = clipped_loss(new, old, advantage, mask, level, "sequence")
        torch.testing.assert_close(loss, -advantage.mean(1), **EXACT)
        gradients += torch.autograd.grad(loss.sum(), new)
    torch.testing.assert_close(*gradients, **EXACT)


@given(seeds)
def test_at_the_first_update_every_form_has_the_policy_gradient(seed):
    """Clipped, CISPO and one ratio for the whole response: Σ_t A ∇log π where nothing has moved yet."""
    mask = random_mask(seed)
    old = random_tokens(mask, seed, 0.0)
    advantage = torch.randn(mask.shape[:2], generator=torch.Generator().manual_seed(seed), dtype=F64).unsqueeze(-1)

    def gradient(objective):
        new = old.clone().requires_grad_()
        return torch.autograd.grad(aggregated(objective(new), mask, "token").sum(), new)[0]

    def ratio(new, level="token"):
        return policy_log_ratio(new, old, mask, level).exp()

    expected = gradient(lambda new: advantage * new)
    for objective in (
        lambda new: clipped_surrogate(ratio(new), advantage, 0.2, 0.28),
        lambda new: truncated_score_function(new, ratio(new), advantage, 5.0),
    ):
        torch.testing.assert_close(gradient(objective), expected, **EXACT)
    first = last_token(mask)  # one entry a response, as RLOO counts it
    whole = gradient(lambda new: clipped_surrogate(ratio(new, "product"), advantage, 0.2).where(first, 0.0))
    torch.testing.assert_close(whole, expected, **EXACT)


numbers = st.floats(-3, 3, allow_subnormal=False)


@given(st.floats(0.01, 5), numbers, st.sampled_from([(0.2, None), (0.2, 0.28), (0.1, 0.5)]))
def test_the_clip_binds_where_autograd_finds_no_slope(ratio, advantage, clip):
    r = torch.tensor(ratio, dtype=F64, requires_grad=True)
    A = torch.tensor(advantage, dtype=F64)
    value = clipped_surrogate(r, A, *clip)
    low, high = clip[0], clip[0] if clip[1] is None else clip[1]
    if ratio in (1 - low, 1 + high):  # on the corner autograd may take either side
        return
    (slope,) = torch.autograd.grad(value, r)
    assert value.item() == min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)
    assert bool(clip_binds(r, A, *clip)) == (slope.item() == 0 and advantage != 0)


@given(st.floats(0.01, 50), numbers)
def test_cispo_cuts_no_token_off(ratio, advantage):
    log_prob = torch.tensor(-1.0, dtype=F64, requires_grad=True)
    r = torch.tensor(ratio, dtype=F64, requires_grad=True)
    value = truncated_score_function(log_prob, r, torch.tensor(advantage, dtype=F64), 5.0)
    slope, through_ratio = torch.autograd.grad(value, (log_prob, r), allow_unused=True)
    assert through_ratio is None
    assert slope.item() == pytest.approx(min(ratio, 5.0) * advantage)


def test_the_mean_over_tokens_is_the_mean_over_steps():
    mask = random_mask(8)
    x = random_tokens(mask, 8)
    assert torch.equal(aggregated(x, mask, "token"), masked_mean(x, mask))


def test_what_is_wrong_is_named():
    mask = random_mask(1)
    x = random_tokens(mask, 1)
    score = torch.zeros(mask.shape[:2], dtype=F64)
    with pytest.raises(ValueError, match=r"value must have the mask's shape \[2, 4, 6\], got \[2, 4, 1\]"):
        token_gae(x, x[..., :1], mask, 1.0, 0.95)
    with pytest.raises(ValueError, match=r"mask must be boolean \[seed, response, token\], got torch.float64"):
        token_gae(x, x, mask.double(), 1.0, 0.95)
    with pytest.raises(ValueError, match=r"lam must be in \[0, 1\], got 1.5"):
        token_gae(x, x, mask, 1.0, 1.5)
    with pytest.raises(ValueError, match="response 2 of seed 1 has none"):
        aggregated(x, mask & ~(torch.arange(8).view(2, 4, 1) == 6))
    with pytest.raises(ValueError, match=r"score must be \[seed, response\], \[2, 4\]; got \[2, 4, 1\]"):
        token_reward(score.unsqueeze(-1), x, mask, 0.1)
    with pytest.raises(ValueError, match="ended must say which responses came to their end"):
        token_reward(score, x, mask, 0.1, eos_penalty=1.0)
    with pytest.raises(ValueError, match="level must be one of token, sequence, product, got 'word'"):
        policy_log_ratio(x, x, mask, "word")
    with pytest.raises(ValueError, match="by must be one of token, sequence, constant, got 'mean'"):
        aggregated(x, mask, "mean")
    with pytest.raises(ValueError, match=r"longest must be the limit of a response's length, \d or more; got None"):
        aggregated(x, mask, "constant")


@pytest.mark.parametrize("correction", ["none", "truncated", "masked"])
def test_weights_of_a_mismatch_make_the_mean_right_or_err_in_a_known_way(correction):
    """Σ π_sampler w f is Σ π_learner f with the full weight; what is cut off is what the bound says."""
    learner, sampler, f = torch.randn(3, 8, generator=torch.Generator().manual_seed(1), dtype=F64)
    p, q = learner.softmax(0), sampler.softmax(0)
    ratio = p / q
    found = (q * mismatch_weight(ratio.log(), correction, high=2.0) * f).sum()
    expected = {
        "none": (q * f).sum(),
        "truncated": (p * f).sum() - ((p - 2 * q) * f)[ratio > 2].sum(),
        "masked": (p * f)[ratio <= 2].sum(),
    }[correction]
    assert (ratio > 2).any()
    torch.testing.assert_close(found, expected, **EXACT)
    full = (q * mismatch_weight(ratio.log(), "truncated", high=math.inf) * f).sum()
    torch.testing.assert_close(full, (p * f).sum(), **EXACT)


def test_a_mismatch_weight_is_data_and_has_two_sides():
    log_ratio = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=F64).log().requires_grad_()
    assert mismatch_weight(log_ratio, "masked", 2.0, 0.4).tolist() == pytest.approx([0.0, 0.5, 1.0, 0.0])
    assert mismatch_weight(log_ratio, "truncated", 2.0, 0.4).tolist() == pytest.approx([0.4, 0.5, 1.0, 2.0])
    assert not mismatch_weight(log_ratio, "masked", 2.0).requires_grad
    with pytest.raises(ValueError, match="correction must be one of none, truncated, masked, got 'clip'"):
        mismatch_weight(log_ratio, "clip", 2.0)
