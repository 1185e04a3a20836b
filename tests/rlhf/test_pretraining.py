import math

import torch

from pgcourse.core import Streams
from pgcourse.rlhf import Pretraining, corpus, next_token_loss
from pgcourse.rlhf.corpus import PAD


def test_the_loss_is_the_mean_over_real_tokens():
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.tensor([[1, 2, 0, 0], [3, 0, 0, 0], [4, 4, 4, 4]]).expand(2, -1, -1)
    expected = [
        sum(
            -math.log(logits[s, r, t].softmax(-1)[targets[s, r, t]])
            for r in range(3)
            for t in range(4)
            if targets[s, r, t]
        )
        / 7
        for s in range(2)
    ]
    torch.testing.assert_close(next_token_loss(logits, targets), torch.tensor(expected, dtype=torch.float64))


def test_a_model_learns_its_language(small):
    """From the entropy of a uniform choice to below that of the words' frequencies, which needs context."""
    *_, last = steps = list(Pretraining(reviews=500, steps=60, batch=32, lr=2e-2, warmup=5).training(Streams(1), small))
    assert abs(steps[0].loss.item() - math.log(101)) < 0.05
    tokens = corpus(500, 0)[:, 1:]
    frequency = torch.bincount(tokens[tokens != PAD]) / (tokens != PAD).sum()
    frequency = frequency[frequency > 0]
    assert last.loss.item() < -(frequency * frequency.log()).sum().item() - 0.5


def test_seeds_learn_by_themselves(small):
    options = Pretraining(reviews=100, steps=2, batch=8)
    together, alone = (list(options.training(Streams(seeds), small))[-1].theta[-1] for seeds in ([0, 4], [4]))
    torch.testing.assert_close(together, alone)
