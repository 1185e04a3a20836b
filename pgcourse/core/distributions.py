"""Action distributions as values: parameters in, log-probabilities, samples, entropies and divergences out.

The last axis of the parameters is the distribution's own; all axes before it are batch axes. Sampling takes its noise
as an argument (see `pgcourse.core.streams`), so a distribution holds no randomness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import torch
from torch import Tensor

D = TypeVar("D", bound="Distribution")


class Distribution(Protocol):
    """What every policy returns."""

    def log_prob(self, action: Tensor) -> Tensor:
        """log π(a), one number per distribution."""

    def sample(self, noise: Tensor) -> Tensor:
        """An action, as a deterministic function of the noise."""

    def entropy(self) -> Tensor:
        """-E[log π(a)], in nats."""

    def kl(self: D, other: D) -> Tensor:
        """KL(self ‖ other) = E_self[log self(a) - log other(a)], in nats."""

    @property
    def mode(self) -> Tensor:
        """The most probable action."""


@dataclass(frozen=True)
class Categorical:
    """π(a) = exp(z_a) / Σ_b exp(z_b) for logits `z` of shape [..., action].

    Actions are int64 of shape [...]; noise is uniform on [0, 1) of shape [...]. The score is ∇_z log π(a) = e_a - π;
    chapter 01 derives it.
    """

    logits: Tensor

    @cached_property
    def log_probs(self) -> Tensor:
        """log π of every action, [..., action]."""
        return self.logits.log_softmax(-1)

    @property
    def probs(self) -> Tensor:
        return self.log_probs.exp()

    def log_prob(self, action: Tensor) -> Tensor:
        return self.log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """Inverse of the distribution function: the first a with Σ_{b≤a} π(b) > noise."""
        below = self.logits.softmax(-1).cumsum(-1)
        # Relative to the rounded total: noise close to 1 would else fall through to an action of probability 0.
        return (noise.unsqueeze(-1) * below[..., -1:] >= below[..., :-1]).sum(-1)

    def entropy(self) -> Tensor:
        # A logit of -inf is a forbidden action: its log-probability is finite here so that 0 · log 0 is 0, not NaN.
        log_probs = self.log_probs.clamp_min(torch.finfo(self.logits.dtype).min)
        return -(self.probs * log_probs).sum(-1)

    def kl(self, other: Categorical) -> Tensor:
        """Σ_a π(a) (log π(a) - log π'(a)); infinite where `other` forbids an action that `self` takes."""
        terms = self.probs * (self.log_probs - other.log_probs)
        return terms.where(self.probs > 0, 0.0).sum(-1)

    @property
    def mode(self) -> Tensor:
        return self.logits.argmax(-1)


@dataclass(frozen=True)
class Gaussian:
    """Independent normals N(μ_i, σ_i²) with `mean` μ and `log_std` log σ of shape [..., action].

    Actions and noise have shape [..., action]; noise is standard normal. The density is that of the sampled action:
    where an environment clips actions at its bounds, the log-probability stays that of the *unclipped* action.

    The scores are (a - μ)/σ² for μ and (a - μ)²/σ² - 1 for log σ; chapter 01 derives them.
    """

    mean: Tensor
    log_std: Tensor

    @property
    def std(self) -> Tensor:
        return self.log_std.exp()

    def log_prob(self, action: Tensor) -> Tensor:
        """Σ_i [ -(a_i - μ_i)² / 2σ_i² - log σ_i - ½ log 2π ]."""
        z = (action - self.mean) / self.std
        return -(0.5 * z.square() + self.log_std + 0.5 * math.log(2 * math.pi)).sum(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """μ + σ · noise."""
        return self.mean + self.std * noise

    def entropy(self) -> Tensor:
        """Σ_i [ log σ_i + ½ log 2πe ]."""
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).expand_as(self.mean).sum(-1)

    def kl(self, other: Gaussian) -> Tensor:
        """Σ_i [ log σ'_i/σ_i + (σ_i² + (μ_i - μ'_i)²) / 2σ'_i² - ½ ]."""
        log_ratio = self.log_std - other.log_std
        distance = ((self.mean - other.mean) / other.std).square()
        return (-log_ratio + 0.5 * ((2 * log_ratio).exp() + distance - 1)).sum(-1)

    @property
    def mode(self) -> Tensor:
        return self.mean
