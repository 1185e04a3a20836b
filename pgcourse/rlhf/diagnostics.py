"""What to look at while a language model learns from rewards; every number counts tokens, never padding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.rl.divergences import full_kl, k1
from pgcourse.rl.objectives import masked_mean
from pgcourse.rlhf.language import Tokens


class Diagnostics(NamedTuple):
    """Of a policy's own responses, each [seed]."""

    kl: Tensor  # KL(π_θ ‖ π_ref) of whole responses in nats: the sum over tokens, the one to come averaged out exactly
    kl_k1: Tensor  # the same from the sampled tokens alone: unbiased as well, with more noise, and perhaps negative
    entropy: Tensor  # of the next token, in nats: the mean over tokens
    tokens: Tensor  # of a response, <eos> included
    finished: Tensor  # the part of the responses that end with <eos>, and not at the limit
    unique: Tensor  # the part of the responses that are different from all before them in the batch


@torch.no_grad()
def diagnosed(own: Tokens, reference: Tokens, response: Tensor, mask: Tensor, eos: int) -> Diagnostics:
    """`own` and `reference` say what the policy and its reference think of `response` [seed, row, token]."""
    kl = full_kl(own.log_probs, reference.log_probs)
    entropy = -(own.log_probs.exp() * own.log_probs).sum(-1)
    return Diagnostics(
        kl=_a_response(kl, mask),
        kl_k1=_a_response(k1(own.log_prob, reference.log_prob), mask),
        entropy=masked_mean(entropy, mask),
        tokens=mask.sum(-1).to(kl.dtype).mean(1),
        finished=(response == eos).any(-1).to(kl.dtype).mean(1),
        unique=kl.new_tensor([len(seed.unique(dim=0)) / len(seed) for seed in response]),
    )


def spikes(x: Tensor, times: float = 3.0, window: int = 8) -> Tensor:
    """Where x is more than `times` the median of the `window` values before it, [iteration] to [iteration].

    For the KL divergence of an update, whose size changes over a training: what counts is a jump. The first `window`
    iterations have too little before them and are none.
    """
    if x.ndim != 1 or window < 1:
        raise ValueError(f"x must be [iteration] and window 1 or more, got {list(x.shape)} and {window}")
    found = torch.zeros(len(x), dtype=torch.bool)
    if len(x) > window:
        usual = x.unfold(0, window, 1)[:-1].median(1).values
        found[window:] = x[window:] > times * usual
    return found


def _a_response(x: Tensor, mask: Tensor) -> Tensor:
    """The mean over responses of the sum over their tokens, [seed]."""
    return x.where(mask, 0.0).sum(-1).mean(1)
