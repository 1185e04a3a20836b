"""A language model learns its language: the next token of reviews, by maximum likelihood ("pretraining", "SFT")."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pgcourse.algorithms.options import check, option
from pgcourse.core import Streams
from pgcourse.core.adam import Adam, clipped, gradient
from pgcourse.rlhf.corpus import LONGEST, PAD, PROMPT, WORDS, corpus
from pgcourse.rlhf.gpt import GPT

REVIEWERS = GPT(len(WORDS), PROMPT + LONGEST)  # the course's model, of 62,976 parameters


class Learned(NamedTuple):
    """A step of training: what has been learned, and the loss before it."""

    theta: Tensor  # [seed, parameter]
    loss: Tensor  # [seed], in nats a token for language, in nats a pair for comparisons


@dataclass(frozen=True)
class Pretraining:
    """-log p(next token), the mean over a batch's tokens, is made small by Adam.

    The step size rises over the first `warmup` steps and then falls along half a cosine to a tenth.
    """

    reviews: int = option(20_000, "reviews in the corpus", low=1)
    steps: int = option(500, "steps of Adam", low=1)
    batch: int = option(128, "reviews of a step", low=1)
    lr: float = option(3e-3, "Adam's largest step size", above=0)
    warmup: int = option(50, "steps over which the step size rises", low=1)
    max_grad_norm: float = option(1.0, "clip gradients to this norm", above=0, infinite=True)

    def __post_init__(self) -> None:
        check(self)

    def training(self, streams: Streams, model: GPT = REVIEWERS) -> Iterator[Learned]:
        """Every step; each seed has a corpus, a start and an order of its own."""
        theta = model.init(streams.child("theta"))
        texts = [corpus(self.reviews, seed) for seed in streams.seeds]
        adam, order = Adam(self.lr, beta2=0.98), streams.child("order")
        learning = adam.init(theta)
        for number in range(self.steps):
            drawn = order.integers(self.reviews, self.batch)
            ids = _stacked([text[rows] for text, rows in zip(texts, drawn, strict=True)]).to(theta.device)
            theta = theta.detach().requires_grad_()
            loss = next_token_loss(model(theta, ids[:, :, :-1]), ids[:, :, 1:])
            (step,), _ = clipped(gradient(loss, theta), self.max_grad_norm)
            theta, learning = adam.step(theta, step, learning, self._rate(number))
            yield Learned(theta.detach(), loss.detach())

    def _rate(self, number: int) -> float:
        falling = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * number / self.steps))
        return min(1.0, (number + 1) / self.warmup) * falling


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of -log p(target) over tokens that are no padding: [seed, row, token, word] to [seed]."""
    loss = cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=PAD, reduction="none")
    real = targets != PAD
    return loss.view(targets.shape).sum((1, 2)) / real.sum((1, 2))


def _stacked(texts: list[Tensor]) -> Tensor:
    """[seed, row, token], no longer than the longest text."""
    ids = torch.stack(texts)
    return ids[:, :, : int((ids != PAD).sum(-1).max())]
