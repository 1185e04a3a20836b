"""Many responses to each prompt: what best-of-n, pass@k and the KL estimators are computed from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.rlhf.corpus import prompts
from pgcourse.rlhf.language import LanguagePolicy
from pgcourse.rlhf.writing import Judge


class Pool(NamedTuple):
    """Responses [seed, prompt, response, token] to prompts [seed, prompt, token], with their scores."""

    prompt: Tensor
    response: Tensor
    score: Tensor  # the judge's, [seed, prompt, response]
    gold: Tensor | None  # where it is known, [seed, prompt, response]


@torch.no_grad()
def pool(
    policy: LanguagePolicy, theta: Tensor, judge: Judge, size: tuple[int, int], streams: Streams, block: int = 2_048
) -> Pool:
    """`size` says how many prompts, and how many responses to each. `block` responses are written at a time.

    What n responses would have given is then a matter of arithmetic: `pgcourse.rl.selection.best_of_n` of the score,
    with the score or gold as value.
    """
    asked, answers = size
    prompt = prompts(streams.child("prompt").uniform(asked))
    rows = prompt.repeat_interleave(answers, 1)
    parts = []
    for number, some in enumerate(rows.split(block, 1)):
        response = policy(theta, some).sample(policy.noise(streams.child(number), some.shape[1]))
        gold = policy.gold(some, response) if policy.gold else torch.empty(0)
        parts.append((response, judge(some, response), gold))
    response, score, gold = (torch.cat(part, 1 if part[0].numel() else 0) for part in zip(*parts, strict=True))
    shape = (len(prompt), asked, answers)
    return Pool(prompt, response.view(*shape, -1), score.view(shape), gold.view(shape) if policy.gold else None)
