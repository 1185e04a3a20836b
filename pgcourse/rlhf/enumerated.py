"""A language model so small that all its responses can be written down: what is estimated elsewhere is exact here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.rl.divergences import full_kl
from pgcourse.rlhf.language import LanguagePolicy

MOST = 20_000  # responses


def all_responses(vocabulary: int, longest: int, eos: int, pad: int) -> Tensor:
    """Every response of at most `longest` tokens that ends with `eos` or at the limit, [response, longest].

    Raises:
        ValueError: more than 20,000 of them.
    """
    words = [token for token in range(vocabulary) if token not in (eos, pad)]
    if (count := sum(len(words) ** k for k in range(longest)) + len(words) ** longest) > MOST:
        raise ValueError(f"{count:,} responses are too many to enumerate, {MOST:,} are the most")
    rows = [
        [*begun, eos, *[pad] * (longest - len(begun) - 1)]
        for length in range(longest)
        for begun in itertools.product(words, repeat=length)
    ]
    return torch.tensor(rows + [list(full) for full in itertools.product(words, repeat=longest)])


class GradientError(NamedTuple):
    """How an estimate of the policy gradient from one response errs, in units of the gradient's norm."""

    kl: float  # KL(sampler ‖ learner) of whole responses, in nats
    bias: float  # ‖E ĝ - g‖ / ‖g‖
    cosine: float  # between E ĝ and g
    std: float  # √(E ‖ĝ - E ĝ‖²) / ‖g‖; of a mean over n responses it is smaller by √n


Weight = Callable[[Tensor, Tensor, Tensor], Tensor]  # log π_learner, log π_sampler, mask to w, [seed, response, token]


class Enumerated:
    """All responses of a policy to one prompt, and ∇log π_θ of each of their tokens.

    Args:
        policy: of a vocabulary and a length that can be enumerated.
        theta: θ of the learner, [1, parameter].
        prompt: one prompt, [token].

    Attributes:
        prompt, response: all responses, each behind the prompt, [1, response, token].
        mask: where the responses have tokens.
        log_prob: log π_θ of each token, 0 on padding, [1, response, token].
        slopes: its gradient, [response, token, parameter].
    """

    def __init__(self, policy: LanguagePolicy, theta: Tensor, prompt: Tensor) -> None:
        vocabulary: int = policy.network.vocabulary  # type: ignore[attr-defined]
        self.response = all_responses(vocabulary, policy.longest, policy.eos, policy.pad).unsqueeze(0)
        self.prompt = prompt.expand(1, self.response.shape[1], -1)
        self.mask = self.response != policy.pad
        theta = theta.detach().requires_grad_()
        log_prob = policy.tokens(theta, self.prompt, self.response).log_prob.where(self.mask, 0.0)
        tokens = log_prob[self.mask]
        rows = torch.eye(len(tokens), dtype=log_prob.dtype)
        (slopes,) = torch.autograd.grad(tokens, theta, rows, is_grads_batched=True)
        self.log_prob = log_prob.detach()
        self.slopes = log_prob.new_zeros(*log_prob.shape[1:], theta.shape[1])
        self.slopes[self.mask[0]] = slopes[:, 0]

    def gradient_error(self, sampler: Tensor, score: Tensor, weight: Weight) -> GradientError:
        """Bias and spread of ĝ = Σ_t w_t A ∇log π_θ(y_t | x, y_<t), where y was drawn by a sampler that is not π_θ.

        The sum goes over every response with its probability, so that nothing is estimated. g = ∇E_π[score], and A is
        the score less its mean under π_θ.

        Args:
            sampler: log-probabilities of the sampler at each token, [1, response, token].
            score: of each response, [response].
            weight: w of each token, such as `mismatch_weight` of a log-ratio.
        """
        sampler = sampler.where(self.mask, 0.0)
        prob, drawn = (x.sum(2)[0].exp() for x in (self.log_prob, sampler))
        advantage = score - prob @ score
        weights = weight(self.log_prob, sampler, self.mask)[0].where(self.mask[0], 0.0)
        estimate = advantage.unsqueeze(1) * torch.einsum("rt,rtp->rp", weights, self.slopes)
        gradient = (prob * advantage) @ self.slopes.sum(1)
        mean, size = drawn @ estimate, gradient.norm()
        return GradientError(
            kl=full_kl(sampler.sum(2)[0], self.log_prob.sum(2)[0]).item(),
            bias=((mean - gradient).norm() / size).item(),
            cosine=(mean @ gradient / (mean.norm() * size)).item(),
            std=((drawn @ (estimate - mean).square().sum(1)).sqrt() / size).item(),
        )
