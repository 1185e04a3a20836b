"""Action distributions as values: parameters in, log-probabilities, samples, entropies and divergences out.

The last axis of the parameters is the distribution's own; all axes before it are batch axes. Sampling takes its noise
as an argument (see `pgcourse.core.streams`), so a distribution holds no randomness.

`fisher` multiplies a change v of the parameters, one tensor for each of them, with their Fisher information
M = E[∇log π ∇log πᵀ], where the gradients are with respect to the distribution's own parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

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
        """The most probable action: what is played where a policy is to act without noise."""


@dataclass(frozen=True)
class Categorical:
    """π(a) = exp(z_a) / Σ_b exp(z_b) for logits `z` of shape [..., action].

    Actions are int64 of shape [...]; noise is uniform on [0, 1) of shape [...]. The score is ∇_z log π(a) = e_a - π;
    chapter 01 derives it.
    """

    logits: Tensor

    @property
    def _axis(self) -> int:
        """Where the actions' axis is put for computing: torch is slow over a short last one, and networks' outputs lie
        in memory like this."""
        return min(1, self.logits.ndim - 1)

    @cached_property
    def _log_probs(self) -> Tensor:
        return self.logits.movedim(-1, self._axis).log_softmax(self._axis)

    @cached_property
    def _probs(self) -> Tensor:
        return self._log_probs.exp()

    @property
    def log_probs(self) -> Tensor:
        """log π of every action, [..., action]."""
        return self._log_probs.movedim(self._axis, -1)

    @property
    def probs(self) -> Tensor:
        return self._probs.movedim(self._axis, -1)

    def log_prob(self, action: Tensor) -> Tensor:
        return self._log_probs.gather(self._axis, action.unsqueeze(self._axis)).squeeze(self._axis)

    def sample(self, noise: Tensor) -> Tensor:
        """Inverse of the distribution function: the first a with Σ_{b≤a} π(b) > noise."""
        up_to = self.logits.softmax(-1).cumsum(-1)
        # Relative to the rounded total: noise close to 1 would else fall through to an action of probability 0.
        return (noise.unsqueeze(-1) * up_to[..., -1:] >= up_to).sum(-1)

    def entropy(self) -> Tensor:
        # A logit of -inf is a forbidden action: its log-probability is finite here so that 0 · log 0 is 0, not NaN.
        log_probs = self._log_probs.clamp_min(torch.finfo(self.logits.dtype).min)
        return -(self._probs * log_probs).sum(self._axis)

    def kl(self, other: Categorical) -> Tensor:
        """Σ_a π(a) (log π(a) - log π'(a)); infinite where `other` forbids an action that `self` takes."""
        # Actions that `self` never takes leave here, before 0 · (-inf - -inf), whose gradient would be NaN, too.
        log_ratio = (self._log_probs - other._log_probs).where(self._probs > 0, 0.0)
        return (self._probs * log_ratio).sum(self._axis)

    def fisher(self, *changes: Tensor) -> tuple[Tensor, ...]:
        """π (v - πᵀv)."""
        (v,) = changes
        weighted = self.probs * v
        return (weighted - self.probs * weighted.sum(-1, keepdim=True),)

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

    def fisher(self, *changes: Tensor) -> tuple[Tensor, ...]:
        """v / σ² of μ, and 2 v of log σ."""
        mean, log_std = changes
        return mean * (-2 * self.log_std).exp(), 2 * log_std

    @property
    def mode(self) -> Tensor:
        return self.mean


@dataclass(frozen=True)
class SquashedGaussian:
    """a = low + (high - low) (1 + tanh u) / 2 with u ~ `gaussian`: all of it strictly inside the action bounds.

    `low` and `high` have shape [action]; actions, like the noise, have shape [..., action]. With half the width of the
    bounds h = (high - low) / 2, the density follows from da/du = h (1 - tanh² u) (Haarnoja et al. 2018, appendix C):

        log π(a) = log N(u) - Σ_i [ log h_i + log(1 - tanh² u_i) ].

    A stored action is all that `log_prob` needs. It finds u from the distances to *both* bounds, which subtraction
    gives without rounding next to a bound, so the density is that of the action as stored, and right up to the
    outermost numbers between the bounds. What is lost is lost in `sample`: numbers near a bound lie `spacing` apart,
    and a sample beyond the outermost one, |u| > ½ log((high - low) / spacing), becomes that one. With low = -high that
    is beyond 8.3 in float32; a policy with its mass out there is a constant.

    For a fixed action the Jacobian does not depend on the parameters: scores and probability ratios are those of the
    Gaussian. Only the density's value and the entropy change.
    """

    gaussian: Gaussian
    low: Tensor
    high: Tensor

    def log_prob(self, action: Tensor) -> Tensor:
        """log N(u) - Σ_i log(da_i/du_i), with da/du = (a - low)(high - a) / h.

        Raises:
            ValueError: an action that is not strictly between the bounds, where the density is 0.
        """
        below, above = action - self.low, self.high - action
        inside = (below > 0) & (above > 0)
        if not inside.all():
            raise ValueError(
                f"log_prob of an action not strictly between the bounds: {action[~inside][0].item():.9g}; "
                "pass actions as `sample` returned them, not clipped and not of another dtype"
            )
        log_below, log_above = below.log(), above.log()
        log_jacobian = log_below + log_above - self._half_width.log()
        return self.gaussian.log_prob((log_below - log_above) / 2) - log_jacobian.sum(-1)

    def sample(self, noise: Tensor) -> Tensor:
        return self._squash(self.gaussian.sample(noise))

    def entropy(self) -> Tensor:
        """H(N) + Σ_i [ log h_i + E log(1 - tanh² u_i) ], in nats.

        The expectation has no closed form; each is an integral over one normal variable, done here by the trapezoidal
        rule, so that the entropy needs no noise and has all its derivatives. `QUADRATURE` says how exact that is.
        `-log_prob(sample(noise))` is an unbiased estimate.
        """
        z = torch.linspace(-7, 7, QUADRATURE, dtype=self.low.dtype, device=self.low.device)
        weight = (-0.5 * z.square()).softmax(0)
        u = self.gaussian.mean.unsqueeze(-1) + self.gaussian.std.unsqueeze(-1) * z
        # log(1 - tanh² u) = 2 (log 2 - u - softplus(-2u)), which neither cancels nor overflows
        log_slope = 2 * (math.log(2) - u + logsigmoid(2 * u)) @ weight
        return self.gaussian.entropy() + (log_slope + self._half_width.log()).sum(-1)

    def kl(self, other: SquashedGaussian) -> Tensor:
        """The Gaussians' own KL: a = f(u) with one bijection f for both, so that the Jacobian cancels in the ratio,
        E[log π(a) - log π'(a)] = E[log N(u) - log N'(u)].

        Raises:
            ValueError: other bounds.
        """
        if not (torch.equal(self.low, other.low) and torch.equal(self.high, other.high)):
            raise ValueError(
                f"KL between different bounds: [{self.low.tolist()}, {self.high.tolist()}] and "
                f"[{other.low.tolist()}, {other.high.tolist()}]; actions that only one of them allows make it infinite"
            )
        return self.gaussian.kl(other.gaussian)

    def fisher(self, *changes: Tensor) -> tuple[Tensor, ...]:
        """The Fisher product of the underlying Gaussian."""
        return self.gaussian.fisher(*changes)

    @property
    def mode(self) -> Tensor:
        """The image of the Gaussian's mean: the median, as is usual. The density itself may peak at the bounds."""
        return self._squash(self.gaussian.mean)

    @property
    def _half_width(self) -> Tensor:
        return (self.high - self.low) / 2

    def _squash(self, u: Tensor) -> Tensor:
        # (1 + tanh u) / 2 = σ(2u); measured from the nearer bound, so that rounding is the stored number's alone.
        width = self.high - self.low
        action = torch.where(u < 0, self.low + width * (2 * u).sigmoid(), self.high - width * (-2 * u).sigmoid())
        return action.clamp(self.low.nextafter(self.high), self.high.nextafter(self.low))


# Nodes of the squashed Gaussian's entropy. The error of E log(1 - tanh² u) grows with σ: tests/core bounds it by
# 1e-8 nats for σ ≤ 1, 1e-3 for σ ≤ e and 0.05 for σ ≤ e².
QUADRATURE = 33


@dataclass(frozen=True)
class MultiDiscrete:
    """Several independent choices at once, π(a) = Π_i π_i(a_i), the i-th a `Categorical` over `sizes[i]` actions.

    `logits` of shape [..., Σ_i sizes[i]] stand in the order of the choices. Actions are int64 and noise is uniform on
    [0, 1), both [..., choice].

    Raises:
        ValueError: logits whose last axis is not the sum of the sizes.
    """

    logits: Tensor
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.logits.shape[-1] != sum(self.sizes):
            raise ValueError(
                f"choices among {self.sizes} take {sum(self.sizes)} logits, got {self.logits.shape[-1]}: "
                "give the network as many outputs"
            )

    @cached_property
    def choices(self) -> tuple[Categorical, ...]:
        return tuple(Categorical(logits) for logits in self.logits.split(self.sizes, -1))

    def log_prob(self, action: Tensor) -> Tensor:
        """Σ_i log π_i(a_i)."""
        return _total(choice.log_prob(a) for choice, a in zip(self.choices, action.unbind(-1), strict=True))

    def sample(self, noise: Tensor) -> Tensor:
        return torch.stack([choice.sample(x) for choice, x in zip(self.choices, noise.unbind(-1), strict=True)], -1)

    def entropy(self) -> Tensor:
        return _total(choice.entropy() for choice in self.choices)

    def kl(self, other: MultiDiscrete) -> Tensor:
        return _total(ours.kl(theirs) for ours, theirs in zip(self.choices, other.choices, strict=True))

    def fisher(self, *changes: Tensor) -> tuple[Tensor, ...]:
        parts = zip(self.choices, changes[0].split(self.sizes, -1), strict=True)
        return (torch.cat([part for choice, v in parts for part in choice.fisher(v)], -1),)

    @property
    def mode(self) -> Tensor:
        return torch.stack([choice.mode for choice in self.choices], -1)


@dataclass(frozen=True)
class Bins:
    """Numbers that each take one of the evenly spaced values low_i, ..., high_i, independently: `MultiDiscrete` bins.

    `low` and `high` are [number], or one for all. Actions are [..., number], noise is as for the bins. The probability
    of an action is that of the bins whose values are nearest to its numbers.
    """

    bins: MultiDiscrete
    low: Tensor
    high: Tensor

    def _values(self, index: Tensor) -> Tensor:
        return self.low + self._width * index

    @property
    def _width(self) -> Tensor:
        """Between two neighbouring values of a number."""
        return (self.high - self.low) / (self.low.new_tensor(self.bins.sizes) - 1)

    def log_prob(self, action: Tensor) -> Tensor:
        return self.bins.log_prob(((action - self.low) / self._width).round().long())

    def sample(self, noise: Tensor) -> Tensor:
        return self._values(self.bins.sample(noise))

    def entropy(self) -> Tensor:
        return self.bins.entropy()

    def kl(self, other: Bins) -> Tensor:
        return self.bins.kl(other.bins)

    def fisher(self, *changes: Tensor) -> tuple[Tensor, ...]:
        return self.bins.fisher(*changes)

    @property
    def mode(self) -> Tensor:
        return self._values(self.bins.mode)


@dataclass(frozen=True)
class Bernoulli:
    """Independent switches, P(a_i = 1) = 1 / (1 + exp(-z_i)) for logits `z` of shape [..., switch].

    Actions are int64, 0 or 1, and noise is uniform on [0, 1), both [..., switch]. The score is ∇_z log π(a) = a - p.
    """

    logits: Tensor

    @cached_property
    def switches(self) -> Categorical:
        """Each switch as a choice between 0 and 1 with logits (0, z_i), [..., switch]."""
        return Categorical(torch.stack([torch.zeros_like(self.logits), self.logits], -1))

    @property
    def probs(self) -> Tensor:
        """P(a_i = 1)."""
        return self.logits.sigmoid()

    def log_prob(self, action: Tensor) -> Tensor:
        """Σ_i [ a_i log p_i + (1 - a_i) log(1 - p_i) ]."""
        return self.switches.log_prob(action).sum(-1)

    def sample(self, noise: Tensor) -> Tensor:
        return self.switches.sample(noise)

    def entropy(self) -> Tensor:
        return self.switches.entropy().sum(-1)

    def kl(self, other: Bernoulli) -> Tensor:
        return self.switches.kl(other.switches).sum(-1)

    def fisher(self, *changes: Tensor) -> tuple[Tensor, ...]:
        """p (1 - p) v."""
        (v,) = changes
        return (self.probs * (-self.logits).sigmoid() * v,)

    @property
    def mode(self) -> Tensor:
        return self.switches.mode


def _total(terms: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum(0)
