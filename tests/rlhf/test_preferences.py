from dataclasses import replace

import pytest
import torch

from pgcourse.core import Streams
from pgcourse.rlhf import (
    RewardModel,
    RewardModelling,
    ScalarHead,
    compared,
    decoded,
    pair_accuracy,
    standardized_reward,
)
from pgcourse.rlhf.corpus import EOS, LONGEST, PAD, encoded


def pair(policy, gold, pairs, temperature, **options):
    policy = replace(policy, gold=gold, longest=12)
    streams = Streams(2)
    return compared(policy, policy.init(streams), pairs, streams, temperature, **options)


def lengths(prompt, response):
    """A gold reward that is easily told: tokens / 10."""
    return (response != PAD).sum(-1) / 10


def test_raters_prefer_as_bradley_and_terry_say(policy):
    """Their choices against σ(difference / temperature): the standardised sum of all choices is within 4."""
    pairs = pair(policy, lengths, 1_000, temperature=0.7)
    p = (pairs.margin.abs() / 0.7).sigmoid()
    right = (pairs.margin > 0).float().where(pairs.margin != 0, 0.5)
    z = (right - p).sum(1) / (p * (1 - p)).sum(1).sqrt()
    assert (z.abs() < 4).all()
    assert (right < 1).any()


def test_margins_are_of_the_pair(policy):
    pairs = pair(policy, lengths, 50, temperature=0.5)
    torch.testing.assert_close(pairs.margin, lengths(None, pairs.chosen) - lengths(None, pairs.rejected))
    assert pairs.prompt.shape == (2, 50, 3)


def test_without_temperature_raters_do_not_err(policy):
    pairs = pair(policy, lengths, 200, temperature=1e-9)
    assert (pairs.margin >= 0).all()
    assert (pair_accuracy(lengths, pairs, clean=True) == 1).all()


def test_accuracy_by_hand():
    scores = {1: 0.3, 2: 0.2, 3: 0.2, 4: 0.9}

    def score(prompt, response):
        return torch.tensor([[scores[row[0]] for row in response[0].tolist()]])

    from pgcourse.rlhf.preferences import Comparisons

    chosen, rejected = torch.tensor([[[1], [2], [2], [4]]]), torch.tensor([[[2], [1], [3], [1]]])
    pairs = Comparisons(torch.zeros(1, 4, 1), chosen, rejected, torch.tensor([[1.0, 1.0, 1.0, 0.0]]))
    assert pair_accuracy(score, pairs).tolist() == [0.5]
    assert pair_accuracy(score, pairs, clean=True).tolist() == pytest.approx([1 / 3])


def test_a_rater_without_gold_is_refused(policy):
    with pytest.raises(ValueError, match="this policy has none"):
        pair(policy, None, 4, 0.5)
    with pytest.raises(ValueError, match=r"hot_share in \[0, 1\], got 0.5, 1.5, 2"):
        pair(policy, lengths, 4, 0.5, hot_share=2)


def test_a_reward_is_what_the_head_says_at_the_last_token(small):
    head = ScalarHead(small)
    psi = Streams(2, dtype=torch.float64).normal(head.size) / 3
    rows = [[*encoded("the room was great ."), EOS], [*encoded("i would recommend it . we came"), EOS], [EOS]]
    response = torch.tensor([row + [PAD] * (LONGEST - len(row)) for row in rows]).expand(2, -1, -1)
    prompt = torch.tensor([1, *encoded("hotel :")]).expand(2, 3, 3)
    found = RewardModel(head, psi)(prompt, response)
    for number, row in enumerate(rows):
        ids = torch.tensor([[1, *encoded("hotel :"), *row]]).expand(2, 1, -1)
        torch.testing.assert_close(found[:, number], head(psi, ids)[:, 0, -1])
    level = standardized_reward(RewardModel(head, psi), prompt, response)(prompt, response)
    std, mean = torch.std_mean(level, 1)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-12, rtol=0)
    torch.testing.assert_close(std, torch.ones_like(std))


def test_a_reward_model_learns_what_raters_value(policy, small):
    """Raters who want it short, without error: most pairs are told apart that it has not seen."""
    short = replace(policy, gold=lambda prompt, response: -lengths(prompt, response))
    streams = Streams(2)
    theta = short.init(streams)
    seen, other = (compared(short, theta, 256, streams.child(name), 1e-9) for name in ("seen", "other"))
    modelling = RewardModelling(pairs=256, epochs=3, lr=1e-2)
    steps = list(modelling.training(theta, seen, streams, small))
    assert len(steps) == modelling.steps == 24
    losses = torch.stack([step.loss for step in steps])
    assert (losses[-8:].mean(0) < losses[:3].mean(0) - 0.1).all()
    with torch.no_grad():
        accuracy = pair_accuracy(RewardModel(ScalarHead(small), steps[-1].theta), other, clean=True)
    assert (accuracy > 0.75).all(), decoded(seen.chosen[0, 0])


def test_a_seed_without_a_reward_model_is_named(small):
    rewards = RewardModel(ScalarHead(small), torch.zeros(3, ScalarHead(small).size))
    assert rewards.of([2, 0], dtype=torch.float64).psi.shape == (2, ScalarHead(small).size)
    with pytest.raises(ValueError, match="reward models of seeds 0 to 2, none of 7"):
        rewards.of([1, 7])
