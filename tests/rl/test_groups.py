"""Advantages of groups of responses: definitions, equalities between methods, and unbiasedness by enumeration."""

import itertools
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.rl.groups import group_advantage

F64 = torch.float64
EXACT = {"rtol": 0, "atol": 1e-12}


def scores(seed, seeds=2, prompts=3, responses=4):
    return torch.randn(seeds, prompts, responses, generator=torch.Generator().manual_seed(seed), dtype=F64)


def by_definition(score, baseline, scale, eps):
    result = torch.zeros_like(score)
    for s, p, i in itertools.product(*map(range, score.shape)):
        group, everything = score[s, p].tolist(), score[s].flatten().tolist()
        others = group[:i] + group[i + 1 :]
        b = statistics.fmean({"leave_one_out": others, "group": group, "batch": everything}[baseline])
        sigma = 1.0 if scale == "none" else statistics.stdev(group if scale == "group" else everything) + eps
        result[s, p, i] = (score[s, p, i] - b) / sigma
    return result


@given(
    st.integers(0, 10_000),
    st.sampled_from(["leave_one_out", "group", "batch"]),
    st.sampled_from(["none", "group", "batch"]),
)
def test_advantages_are_those_of_the_definition(seed, baseline, scale):
    score = scores(seed)
    torch.testing.assert_close(
        group_advantage(score, baseline, scale), by_definition(score, baseline, scale, 1e-4), **EXACT
    )


@given(st.integers(0, 10_000), st.integers(2, 8))
def test_rloo_is_grpo_without_sigma_times_g_over_g_minus_1(seed, responses):
    score = scores(seed, responses=responses)
    rloo, grpo = group_advantage(score, "leave_one_out"), group_advantage(score, "group")
    torch.testing.assert_close(rloo, grpo * responses / (responses - 1), **EXACT)


@pytest.mark.parametrize(("baseline", "part"), [("leave_one_out", 1.0), ("group", 2 / 3)])
def test_the_mean_over_all_groups_is_the_policy_gradient_or_a_known_part_of_it(baseline, part):
    """Over every group of three responses out of four, by its probability: E[Σ A_i ∇log π(y_i)] / 3 = part · ∇E[r]."""
    logits = torch.tensor([0.3, -0.5, 1.0, 0.1], dtype=F64, requires_grad=True)
    reward = torch.tensor([1.0, 0.0, -2.0, 0.5], dtype=F64)
    log_prob = logits.log_softmax(0)
    (wanted,) = torch.autograd.grad(log_prob.exp() @ reward, logits, retain_graph=True)
    estimate = torch.zeros((), dtype=F64)
    for group in itertools.product(range(4), repeat=3):
        own = log_prob[list(group)]
        advantage = group_advantage(reward[list(group)].view(1, 1, 3), baseline).flatten()
        estimate = estimate + own.detach().sum().exp() * (advantage * own).mean()
    (found,) = torch.autograd.grad(estimate, logits)
    torch.testing.assert_close(found, part * wanted, **EXACT)


@pytest.mark.parametrize("baseline", ["leave_one_out", "group", "batch"])
@pytest.mark.parametrize("scale", ["none", "group", "batch"])
@pytest.mark.parametrize("value", [0.1, 1 / 3, -1e6])
def test_equal_scores_give_exactly_nothing_in_single_precision(baseline, scale, value):
    """The mean of seven times 0.1 is not 0.1 in float32: what remains, over its own σ, would look like an advantage."""
    advantage = group_advantage(torch.full((1, 3, 7), value), baseline, scale, eps=0.0 if scale == "none" else 1e-8)
    assert torch.equal(advantage, torch.zeros(1, 3, 7))


def test_a_group_of_equal_scores_is_silent_beside_others():
    score = torch.tensor([[[0.1] * 5, [0.0, 1.0, 0.0, 0.0, 0.0]]])
    for baseline, scale in itertools.product(("leave_one_out", "group"), ("none", "group", "batch")):
        advantage = group_advantage(score, baseline, scale)
        assert torch.equal(advantage[0, 0], torch.zeros(5))
        assert (advantage[0, 1] != 0).all()


def test_sigma_takes_the_scale_of_scores_away_and_with_it_the_weight_of_a_penalty_beside_them():
    """GRPO is the same for scores times 10: next to it β KL in the loss counts a tenth. Without σ it is not."""
    score = scores(4)
    for scale, factor in (("group", 1), ("batch", 1), ("none", 10)):
        ten = group_advantage(10 * score, "group", scale, eps=0.0)
        torch.testing.assert_close(ten, factor * group_advantage(score, "group", scale, eps=0.0), rtol=1e-12, atol=0)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"score must be \[seed, prompt, response\], got shape \[2, 3\]"):
        group_advantage(torch.zeros(2, 3))
    with pytest.raises(
        ValueError, match=r"baseline must be one of leave_one_out, group, batch .* got 'mean' and 'none'"
    ):
        group_advantage(scores(0), "mean")
    with pytest.raises(ValueError, match="two responses to a prompt or more are needed to compare, got 1"):
        group_advantage(scores(0, responses=1))
    assert group_advantage(scores(0, responses=1), "batch", "batch").shape == (2, 3, 1)  # REINFORCE++ needs no groups
