"""Exact gradients over all responses: against autograd, and against an average over many samples."""

import math

import pytest
import torch

import pgcourse as pg
from pgcourse.rl import policy_log_ratio
from pgcourse.rl.objectives import mismatch_weight
from pgcourse.rlhf.enumerated import Enumerated, all_responses
from pgcourse.rlhf.gpt import GPT
from pgcourse.rlhf.language import LanguagePolicy

F64 = torch.float64
PROMPT = torch.tensor([2, 3])


@pytest.fixture(scope="module")
def policy():
    network = GPT(vocabulary=5, context=6, width=4, layers=1, heads=1)
    return LanguagePolicy(network, 10 * network.init(pg.Streams(1, dtype=F64))[0], longest=3, eos=1, pad=0)


@pytest.fixture(scope="module")
def stale(policy):
    """Another θ, log-probabilities of all responses under it, and their scores."""
    noise = torch.randn(policy.size, generator=torch.Generator().manual_seed(1), dtype=F64)
    response = all_responses(5, 3, 1, 0).unsqueeze(0)
    theta = (policy.start + 0.3 * noise).unsqueeze(0)
    log_prob = policy.tokens(theta, PROMPT.expand(1, response.shape[1], -1), response).log_prob
    return theta, log_prob, torch.randn(response.shape[1], generator=torch.Generator().manual_seed(2), dtype=F64)


def weighted(level, correction, high=math.inf):
    return lambda learner, sampler, mask: mismatch_weight(
        policy_log_ratio(learner, sampler, mask, level), correction, high
    )


def test_all_responses_are_there_once_and_their_probabilities_sum_to_1(policy, stale):
    response = all_responses(5, 3, 1, 0)
    assert len(response) == 1 + 3 + 9 + 27 == len(response.unique(dim=0))
    log_prob = stale[1].where(response != 0, 0.0).sum(2)
    torch.testing.assert_close(log_prob.exp().sum(), torch.ones((), dtype=F64), rtol=0, atol=1e-12)


def test_with_the_whole_ratio_the_mean_is_the_gradient_and_nothing_else_is(policy, stale):
    theta = policy.start.unsqueeze(0)
    _, sampler, score = stale
    whole = Enumerated(policy, theta, PROMPT).gradient_error(sampler, score, weighted("product", "truncated"))
    assert whole.bias == pytest.approx(0, abs=1e-12)
    assert whole.cosine == pytest.approx(1)
    for weight in (weighted("token", "none"), weighted("token", "truncated"), weighted("product", "truncated", 1.2)):
        assert Enumerated(policy, theta, PROMPT).gradient_error(sampler, score, weight).bias > 0.01


def test_a_sampler_that_is_the_learner_needs_no_weight(policy, stale):
    theta, sampler, score = stale
    for level, correction in (("token", "none"), ("token", "masked"), ("product", "truncated")):
        error = Enumerated(policy, theta, PROMPT).gradient_error(sampler, score, weighted(level, correction, 1.5))
        assert error.kl == pytest.approx(0, abs=1e-12)
        assert error.bias == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("level", "correction"), [("token", "none"), ("product", "truncated")])
def test_bias_and_spread_are_those_of_samples(policy, stale, level, correction):
    """4,000 responses of the stale policy: the mean of their gradients, and their variance, within five errors."""
    theta, sampler, score = stale
    learner = policy.start.unsqueeze(0)
    told = Enumerated(policy, learner, PROMPT).gradient_error(sampler, score, weighted(level, correction))
    prompt = PROMPT.expand(1, 4_000, -1)
    drawn = policy(theta, prompt).sample(policy.noise(pg.Streams(1, dtype=F64), 4_000))
    every = all_responses(5, 3, 1, 0)
    at = (drawn[0].unsqueeze(1) == every).all(2).long().argmax(1)
    mask = drawn != 0
    own = torch.nn.Parameter(learner)
    new = policy.tokens(own, prompt, drawn).log_prob
    prob = policy.tokens(learner, PROMPT.expand(1, len(every), -1), every.unsqueeze(0)).log_prob
    prob = prob.where(every != 0, 0.0).sum(2)[0].exp()
    advantage = score - prob @ score
    w = weighted(level, correction)(new, sampler[:, at], mask)
    (mean,) = torch.autograd.grad((w * advantage[at].view(1, -1, 1) * new).where(mask, 0.0).sum() / 4_000, own)
    all_log_prob = policy.tokens(own, PROMPT.expand(1, len(every), -1), every.unsqueeze(0)).log_prob
    total = all_log_prob.where(every != 0, 0.0).sum(2)[0].exp() @ score
    (gradient,) = torch.autograd.grad(total, own)
    found = ((mean - gradient).norm() / gradient.norm()).item()
    assert found == pytest.approx(told.bias, abs=5 * told.std / 4_000**0.5)


def test_too_many_are_refused():
    with pytest.raises(ValueError, match="1,398,101 responses are too many to enumerate, 20,000 are the most"):
        all_responses(6, 10, 1, 0)
