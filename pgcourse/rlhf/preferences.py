"""Which of two responses a rater prefers. Bradley & Terry (1952)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.core import Streams
from pgcourse.rlhf.corpus import prompts
from pgcourse.rlhf.language import LanguagePolicy, Responses


class Comparisons(NamedTuple):
    """Pairs of responses to one prompt each, [seed, pair, ...]."""

    prompt: Tensor  # [seed, pair, token]
    chosen: Tensor  # [seed, pair, token]
    rejected: Tensor  # [seed, pair, token]
    margin: Tensor  # gold of the chosen less gold of the rejected one, [seed, pair]: negative where the rater erred


@torch.no_grad()
def compared(
    policy: LanguagePolicy,
    theta: Tensor,
    pairs: int,
    streams: Streams,
    temperature: float = 0.5,
    hot_share: float = 0.25,
    hot_temperature: float = 1.5,
) -> Comparisons:
    """Two responses of θ to each of `pairs` prompts, and a rater's choice between them:

        P(a ≻ b) = σ((gold(a) - gold(b)) / temperature).

    A share `hot_share` of the pairs is sampled at a higher temperature of the model: they show the rater, and so the
    reward model, what the model writes rarely, malformed sentences among it.

    Raises:
        ValueError: a policy without a gold reward; a temperature that is not positive; a share outside [0, 1].
    """
    if policy.gold is None:
        raise ValueError("the rater judges by the policy's gold reward, and this policy has none")
    if temperature <= 0 or hot_temperature <= 0 or not 0 <= hot_share <= 1:
        raise ValueError(
            f"temperatures must be above 0 and hot_share in [0, 1], got {temperature}, {hot_temperature}, {hot_share}"
        )
    prompt = prompts(streams.child("prompt").uniform(pairs))
    hot = int(pairs * hot_share)
    a, b = (
        torch.cat(
            [
                Responses(policy, theta, prompt[:, rows]).sample(policy.noise(draws, count), heat)
                for rows, count, heat in ((slice(hot), hot, hot_temperature), (slice(hot, None), pairs - hot, 1.0))
                if count
            ],
            1,
        )
        for draws in (streams.child("a"), streams.child("b"))
    )
    difference = policy.gold(prompt, a) - policy.gold(prompt, b)
    first = streams.child("rater").uniform(pairs) < (difference / temperature).sigmoid()
    chosen, rejected = a.where(first.unsqueeze(-1), b), b.where(first.unsqueeze(-1), a)
    return Comparisons(prompt, chosen, rejected, difference.where(first, -difference))


def pair_accuracy(score: Callable[[Tensor, Tensor], Tensor], pairs: Comparisons, clean: bool = False) -> Tensor:
    """The part of the pairs whose chosen response has the higher score, [seed].

    Of `clean` labels: whose better response by gold has it, pairs of equal gold left out. No score can agree with the
    raters always, because they do not agree with themselves.
    """
    higher = score(pairs.prompt, pairs.chosen) > score(pairs.prompt, pairs.rejected)
    if not clean:
        return higher.double().mean(1)
    differ = pairs.margin != 0
    return ((higher == (pairs.margin > 0)) & differ).sum(1) / differ.sum(1)
