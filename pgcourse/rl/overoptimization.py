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
        """Where R̂ is highest: d = α/(2β), or exp(α/β - 1); infinity where β ≤ 0, for a curve that only rises.

        So it is where β is so small that no float is as large as d².
        """
        if self.beta <= 0:
            return math.inf
        try:
            d = self.alpha / (2 * self.beta) if self.form == "best_of_n" else math.exp(self.alpha / self.beta - 1)
            return max(d, 0.0) ** 2
        except OverflowError:
            return math.inf


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


def gold_at(kl: Tensor, gold: Tensor, at: float, pooled: int = 8) -> float:
    """Gold where a training is `at` nats from its reference; NaN where it never came so far.

    One iteration is a noisy reading, and none has exactly this divergence. So a parabola in √KL is put through the
    `pooled` iterations that are nearest, and read at `at`.

    Args:
        kl: KL(π ‖ π_ref) of each iteration, in nats, [iteration].
        gold: mean gold reward of each iteration's responses, [iteration].
        at: the divergence asked for, in nats.
        pooled: how many iterations, four or more.

    Raises:
        ValueError: fewer than four iterations to pool, or unlike shapes.
    """
    if kl.ndim != 1 or kl.shape != gold.shape or not 4 <= pooled <= len(kl):
        raise ValueError(
            f"kl and gold must be [iteration] alike, with 4 to {len(kl)} to pool; got {list(kl.shape)}, "
            f"{list(gold.shape)} and pooled = {pooled}"
        )
    off = kl.double().clamp_min(0).sqrt() - math.sqrt(at)
    near = off.abs().argsort()[:pooled]
    x = off[near]
    if x.min() > 0 or x.max() < 0:
        return math.nan
    parabola = torch.stack([torch.ones_like(x), x, x.square()], 1)
    return torch.linalg.lstsq(parabola, gold.double()[near].unsqueeze(1)).solution[0].item()


def _features(kl: Tensor, form: str) -> Tensor:
    """What α and β are multiplied with, [point, 2]."""
    d = kl.double().sqrt()
    return torch.stack([d, -d.square() if form == "best_of_n" else -torch.xlogy(d, d)], 1)
