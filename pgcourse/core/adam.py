"""Adam, gradients and gradient clipping for batches of parameter vectors; rows are independent problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class AdamState(NamedTuple):
    """Adam's running means of gradients and squared gradients, and its step count."""

    mean: Tensor  # [seed, parameter]
    square: Tensor  # [seed, parameter]
    count: Tensor  # type: ignore[assignment]  # steps taken, [seed, 1]


class NotFinite(FloatingPointError):
    """Something is NaN or infinite in these rows of θ. Whoever knows whose they are says more: see `iterate`."""

    def __init__(self, what: str, rows: list[int]) -> None:
        super().__init__(f"the {what} of rows {rows} of θ is NaN or infinite")
        self.what, self.rows = what, rows


@dataclass(frozen=True)
class Adam:
    """Gradient descent on θ [seed, parameter]: with the gradient g of step t,

        m ← β₁ m + (1 - β₁) g,    v ← β₂ v + (1 - β₂) g²,    θ ← θ - lr · m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + ε).

    Kingma & Ba (2015), algorithm 1. All of it is elementwise, so the rows never meet. Nothing is changed in place.
    """

    lr: float
    eps: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.999

    def init(self, theta: Tensor) -> AdamState:
        zero = torch.zeros_like(theta)
        return AdamState(zero, zero, theta.new_zeros(len(theta), 1))

    @torch.no_grad()
    def step(
        self, theta: Tensor, grad: Tensor, state: AdamState, rate: float = 1.0, rows: Tensor | None = None
    ) -> tuple[Tensor, AdamState]:
        """θ after one step, and what Adam knows then.

        `rate` scales the step size, for schedules. Where `rows` [seed] is False nothing moves, not even the count.
        """
        count = state.count + 1
        mean = state.mean.lerp(grad, 1 - self.beta1)
        square = (self.beta2 * state.square).addcmul_(grad, grad, value=1 - self.beta2)
        # Both corrections of the bias are put into the denominator: numbers [seed, 1] instead of vectors.
        first, second = 1 - self.beta1**count, 1 - self.beta2**count
        denominator = square.sqrt().mul_(first / second.sqrt()).add_(self.eps * first)
        moved = theta.addcdiv(mean, denominator, value=-rate * self.lr)
        if rows is None or rows.all():
            return moved, AdamState(mean, square, count)
        where = rows.unsqueeze(1)
        kept = (new.where(where, old) for new, old in zip((mean, square, count), state, strict=True))
        return moved.where(where, theta), AdamState(*kept)


def gradient(loss: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
    """∂ loss_i / ∂ parameters_i of every row i: loss [seed], each of the parameters and gradients [seed, parameter]."""
    return torch.autograd.grad(loss.sum(), parameters)


def clipped(
    gradients: Sequence[Tensor], max_norm: float, jointly: bool = False
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The gradients [seed, parameter], none longer than `max_norm`; and the norms [seed] that they had.

    Each row of each gradient is clipped by itself, or, `jointly`, the same row of all gradients as one vector.

    Raises:
        NotFinite: a gradient that is NaN or infinite, naming the rows.
    """
    norms = tuple(torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients)
    joint = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    if not math.isfinite(joint.sum().item()):
        raise NotFinite("gradient", (~joint.isfinite()).nonzero().flatten().tolist())
    if max_norm == math.inf:
        return tuple(gradients), norms
    lengths = [joint] * len(norms) if jointly else norms
    scales = [(max_norm / length.clamp_min(1e-12)).clamp_max(1.0).unsqueeze(1) for length in lengths]
    return tuple(gradient * scale for gradient, scale in zip(gradients, scales, strict=True)), norms
