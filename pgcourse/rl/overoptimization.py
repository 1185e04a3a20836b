"""The curves of Gao et al. (2022): gold reward against the divergence that optimising a proxy has cost."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

FORMS = ("best_of_n", "rl")


class OveroptimizationFit(NamedTuple):
    """R(d) = d (α - β d) of best-of-n, or d (α - β log d) of reinforcement learning, with d = √KL."""

    form: str
    alpha: float
    beta: float
    r2: float  # 1 - Σ(R - R̂)² / Σ(R - mean R)² over the points of the fit

    def gold(self, kl: Tensor) -> Tensor:
        """R̂ at these divergences, in nats."""
        return _features(kl, self.form) @ kl.new_tensor([self.alpha, self.beta], dtype=torch.float64)

    @property
    def peak_kl(self) -> float:
        """Where R̂ is highest: d = α/(2β), or exp(α/β - 1); infinity where β ≤ 0, for a curve that only rises."""
        if self.beta <= 0:
            return math.inf
        d = self.alpha / (2 * self.beta) if self.form == "best_of_n" else math.exp(self.alpha / self.beta - 1)
        return max(d, 0.0) ** 2


def overoptimization_fit(kl: Tensor, gold: Tensor, form: str) -> OveroptimizationFit:
    """The least-squares fit of α and β. Gao et al. (2022), section 3.1.

    Args:
        kl: KL(π ‖ π_ref) of each point, in nats, [point].
        gold: gold reward, counted from that of π_ref, so that R = 0 at KL = 0, [point].
        form: `best_of_n` or `rl`.

    Raises:
        ValueError: fewer than three points, unlike shapes, a negative KL or another form.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    if kl.ndim != 1 or kl.shape != gold.shape or len(kl) < 3:
        raise ValueError(f"kl and gold must be [point] alike, three or more; got {list(kl.shape)}, {list(gold.shape)}")
    if bool((kl < 0).any()):
        raise ValueError(f"kl must not be negative, got {kl.min().item():.3g}; take the exact KL, not a mean of k1")
    features, gold = _features(kl, form), gold.double()
    alpha, beta = torch.linalg.lstsq(features, gold.unsqueeze(1)).solution[:, 0].tolist()
    error = gold - features @ torch.tensor([alpha, beta], dtype=torch.float64, device=gold.device)
    r2 = 1 - (error.square().sum() / (gold - gold.mean()).square().sum()).item()
    return OveroptimizationFit(form, alpha, beta, r2)


def _features(kl: Tensor, form: str) -> Tensor:
    """What α and β are multiplied with, [point, 2]."""
    d = kl.double().sqrt()
    return torch.stack([d, -d.square() if form == "best_of_n" else -torch.xlogy(d, d)], 1)
