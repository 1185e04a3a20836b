import math
from dataclasses import replace

import pytest
import torch

from pgcourse.core import Streams
from pgcourse.rl.selection import best_of_n, best_of_n_kl_bound
from pgcourse.rlhf import DirectAlignment, compared, pool, prompts
from pgcourse.rlhf.corpus import EOS
from pgcourse.rlhf.direct import log_prob_of


def early(prompt, response):
    return 4 * ((response < 50) & (response > EOS)).float().mean(-1)


@pytest.fixture
def short(policy):
    """A policy to which all words are alike, of ten words at most."""
    return replace(policy, longest=10, start=policy.start / 20, gold=early)


@pytest.mark.parametrize("loss", ["dpo", "ipo", "kto"])
def test_what_was_chosen_becomes_more_probable_than_what_was_rejected(loss, short):
    streams = Streams(2)
    theta = short.init(streams)
    pairs, other = (compared(short, theta, 128, streams.child(name), hot_share=0.0) for name in "ab")
    steps = list(DirectAlignment(loss, epochs=2, batch=32, lr=1e-2).training(short, theta, pairs, streams))
    assert len(steps) == 8
    torch.testing.assert_close(steps[0].chosen, torch.zeros(2), atol=1e-5, rtol=0)
    with torch.no_grad():
        learned, before = (
            [log_prob_of(short, each, other.prompt, y) for y in (other.chosen, other.rejected)]
            for each in (steps[-1].theta, theta)
        )
    gained = [a - b for a, b in zip(learned, before, strict=True)]
    right = gained[0] - gained[1]
    assert ((right > 0) == (other.margin > 0)).double().mean() > 0.6  # of pairs that it has not seen


def test_the_first_dpo_loss_is_log_2(short):
    streams = Streams(1)
    theta = short.init(streams)
    pairs = compared(short, theta, 16, streams)
    first = next(DirectAlignment(batch=8).training(short, theta, pairs, streams))
    assert first.loss.item() == pytest.approx(math.log(2), abs=1e-5)
    with pytest.raises(ValueError, match="batch must divide the 16 comparisons, got 5"):
        next(DirectAlignment(batch=5).training(short, theta, pairs, streams))


def test_a_pool_is_of_its_prompts_and_blocks_do_not_change_its_kind(short):
    streams = Streams(2)
    theta = short.init(streams)
    found = pool(short, theta, early, (3, 8), streams, block=10)
    assert found.response.shape == (2, 3, 8, 10)
    assert torch.equal(found.prompt, prompts(Streams(2).child("prompt").uniform(3)))
    torch.testing.assert_close(found.score, early(None, found.response))
    torch.testing.assert_close(found.gold, found.score)
    assert len(found.response[0].flatten(0, 1).unique(dim=0)) == 24  # no two blocks are of the same noise
    assert pool(replace(short, gold=None), theta, early, (2, 2), streams).gold is None


def test_the_best_of_more_is_better_and_farther_away(short):
    streams = Streams(1)
    found = pool(short, short.init(streams), early, (16, 16), streams)
    best = [best_of_n(found.score, found.gold, n).mean().item() for n in (1, 2, 4, 16)]
    assert best == sorted(best)
    assert best[0] == pytest.approx(found.gold.mean().item(), abs=1e-5)
    assert best[-1] == pytest.approx(found.gold.amax(-1).mean().item(), abs=1e-5)
    assert [best_of_n_kl_bound(n) for n in (1, 4)] == [0, math.log(4) - 0.75]
