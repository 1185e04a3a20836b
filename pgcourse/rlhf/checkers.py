"""Rewards that can be verified: 1 for a response that is right and 0 for others, with nobody's taste in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgcourse.algorithms.options import check, option
from pgcourse.rlhf.corpus import ASPECTS, COLD, DISLIKED, LIKED, TOKENS, WARM
from pgcourse.rlhf.rubric import terms


@dataclass(frozen=True)
class BalancedReview:
    """Is it a review that weighs its topic: so many warm words, so many cold ones, and so many things, all different?

    Every sentence has to be well-formed and about the topic, no word with a meaning may stand there twice, and the
    response has to end. By default 0.5 % of the pretrained model's responses are right: it knows how to, and rarely
    does.
    """

    warm: int = option(2, "warm adjectives and verbs, exactly", low=0)
    cold: int = option(2, "cold adjectives and verbs, exactly", low=0)
    aspects: int = option(3, "things of the topic, at least", low=0)

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, prompt: Tensor, response: Tensor) -> Tensor:
        """1.0 or 0.0 for each response: [..., token] and [..., token] to [...]; a judge for `Writing`."""
        found = terms(prompt, response)
        faults = found.off_topic + found.repetition + found.malformed + found.empty + found.unfinished
        right = (
            (faults == 0)
            & (_count(response, (*WARM, *LIKED)) == self.warm)
            & (_count(response, (*COLD, *DISLIKED)) == self.cold)
            & (_count(response, ASPECTS) >= self.aspects)
        )
        return right.to(torch.get_default_dtype())


def _count(response: Tensor, words: tuple[str, ...]) -> Tensor:
    return torch.isin(response, torch.tensor([TOKENS[word] for word in words], device=response.device)).sum(-1)
