"""Choosing among several answers to one prompt: best-of-n and pass@k, estimated without bias, and exactly.

The best of n is the answer whose score (a reward model's, a checker's) is highest; where several are, one of them at
random.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgcourse.rl.divergences import full_kl


def best_of_n(score: Tensor, value: Tensor, n: int) -> Tensor:
    """The mean value of the best of n answers, over all ways to take n of a prompt's pool: [..., answer] to [...].

    Of the C(N, n) subsets of N answers, those whose best is the i-th from below are C(i-1, n-1): Nakano et al. (2021),
    appendix I, for `value` another judgment than the score. Unbiased where the pool's answers are independent.

    Args:
        score: what decides which is best, [..., answer].
        value: what is asked of that one, [..., answer]: the score itself, or the gold reward.
        n: how many there are to choose from, 1 to N.
    """
    if score.shape != value.shape:
        raise ValueError(f"value must have the shape of score, {list(score.shape)}; got {list(value.shape)}")
    below = _all_within(score.shape[-1], n).to(score.device)
    first, last = _ranks(score)
    weight = (below[last] - below[first]) / (last - first)  # answers with equal scores share theirs
    return (weight.to(value.dtype) * value).sum(-1)


def pass_at_k(correct: Tensor, k: int) -> Tensor:
    """1 - C(N-c, k) / C(N, k), c of a prompt's N answers being right: [..., answer] to [...]. Chen et al. (2021), eq.
    1.

    The probability that one or more of k answers are right, unbiased; 1 - (1 - c/N)^k is not. It is `best_of_n` with
    the checker as score and value.
    """
    wrong = (~correct.bool()).sum(-1)
    return 1 - _all_within(correct.shape[-1], k).to(correct.device)[wrong]


def best_of_n_log_probs(log_probs: Tensor, score: Tensor, n: int) -> Tensor:
    """log-probabilities of the best of n independent draws from a model that can be enumerated, [..., answer].

    With F(s) the probability of a score of s or less and F(s⁻) of one below it, an answer of score s is p · (F(s)^n -
    F(s⁻)^n) / (F(s) - F(s⁻)) probable, which is p Σ_{k<n} F(s)^(n-1-k) F(s⁻)^k.
    """
    _positive(n, "n")
    if log_probs.shape != score.shape:
        raise ValueError(f"score must have the shape of log_probs, {list(log_probs.shape)}; got {list(score.shape)}")
    order = score.argsort(-1)
    cumulative = log_probs.exp().gather(-1, order).cumsum(-1)
    distribution = torch.cat([torch.zeros_like(cumulative[..., :1]), cumulative], -1)
    first, last = _ranks(score)
    below, upto = distribution.gather(-1, first), distribution.gather(-1, last)
    gain, power = torch.zeros_like(upto), torch.ones_like(upto)
    for _ in range(n):
        gain, power = gain * upto + power, power * below
    return log_probs + gain.log()


def best_of_n_kl(log_probs: Tensor, score: Tensor, n: int) -> Tensor:
    """KL(best of n ‖ π), exactly, on a model that can be enumerated: [..., answer] to [...]."""
    return full_kl(best_of_n_log_probs(log_probs, score, n), log_probs)


def best_of_n_kl_bound(n: int) -> float:
    """log n - (n-1)/n, which the divergence of best-of-n is often said to be.

    It is where no two answers have the same score and none has a probability that counts; else it is an upper bound:
    Beirami et al. (2025), theorem 3.1.
    """
    _positive(n, "n")
    return math.log(n) - (n - 1) / n


def _all_within(pool: int, n: int) -> Tensor:
    """C(r, n) / C(N, n) for r = 0 ... N: the probability that n of N different answers are all among r given ones."""
    if not 1 <= n <= pool:
        raise ValueError(f"of a pool of {pool} answers 1 to {pool} can be taken, got {n}")
    r, taken = torch.arange(pool + 1, dtype=torch.float64).unsqueeze(1), torch.arange(n, dtype=torch.float64)
    return ((r - taken).clamp_min(0) / (pool - taken)).prod(1)


def _ranks(score: Tensor) -> tuple[Tensor, Tensor]:
    """How many of a prompt's scores are below each, and how many are not above it."""
    ascending = score.sort(-1).values
    return torch.searchsorted(ascending, score), torch.searchsorted(ascending, score, right=True)


def _positive(n: int, name: str) -> None:
    if n < 1:
        raise ValueError(f"{name} must be 1 or more, got {n}")
