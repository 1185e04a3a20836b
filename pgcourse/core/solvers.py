"""Steps inside a trust region: conjugate gradients, curvature without matrices, backtracking. Each row its own problem.

All vectors are [row, parameter], all numbers about them [row]; the rows are the seeds of θ and never meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]  # v -> A v
Objective = Callable[[Tensor], tuple[Tensor, Tensor]]  # θ -> L(θ) to be improved, KL(θ_old, θ); both [row]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """aᵀb of each row."""
    return (a * b).sum(1)


def conjugate_gradient(product: Product, b: Tensor, iterations: int, tolerance: float = 1e-5) -> tuple[Tensor, Tensor]:
    """x with A x ≈ b for a symmetric positive definite A, and the residual b - A x. Hestenes & Stiefel (1952).

    `product(v)` is A v. At most `iterations` products; a row stops as soon as its residual's norm is at most
    `tolerance` times that of b, or where rounding has left vᵀA v ≤ 0. Where b = 0, x = 0.
    """
    x, residual, direction = torch.zeros_like(b), b, b
    square = dot(b, b)
    enough = tolerance**2 * square
    for _ in range(iterations):
        going = square > enough
        if not going.any():
            break
        image = product(direction)
        curvature = dot(direction, image)
        going = going & ~(curvature <= 0)  # NaN is not hidden: it goes on into x
        length = torch.where(going, square / curvature, 0.0).unsqueeze(1)
        x = x + length * direction
        residual = residual - length * image
        before, square = square, dot(residual, residual)
        turn = torch.where(going, square / before, 0.0).unsqueeze(1)
        direction = torch.where(going.unsqueeze(1), residual + turn * direction, direction)
    return x, residual


def hessian_product(f: Tensor, theta: Tensor) -> Product:
    """v ↦ ∇²f v without the matrix, ∇(∇fᵀv): Pearlmutter (1994). `f` [row] must come from `theta` by autograd.

    Where f(θ') is a mean of KL(π_θ ‖ π_θ') over states, its Hessian at θ' = θ is the Fisher information
    E[∇log π ∇log πᵀ] of θ, and this the Fisher-vector product of Schulman et al. (2015), appendix C.
    """
    (gradient,) = torch.autograd.grad(f.sum(), theta, create_graph=True)
    return lambda v: torch.autograd.grad(gradient, theta, v, retain_graph=True)[0]


class Step(NamedTuple):
    """A step of every row, and what became of it. All but θ are [row], and 0 where nothing moved."""

    theta: Tensor  # [row, parameter]
    accepted: Tensor  # bool
    backtracks: Tensor  # how often the step was shrunk; as often as was allowed where every try was refused
    improvement: Tensor  # L(θ) - L(θ_old)
    kl: Tensor  # KL(θ_old, θ)


@torch.no_grad()
def backtracking(
    theta: Tensor, start: Tensor, step: Tensor, objective: Objective, max_kl: float, backtracks: int, shrink: float
) -> Step:
    """θ + shrinkᵏ step with the least k ≤ `backtracks` for which L is above `start`, L(θ), and KL(θ_old, θ) ≤ `max_kl`.

    Rows for which there is none keep θ to the bit. Schulman et al. (2015), appendix C.
    """
    taken = Step(theta, *(torch.zeros_like(start, dtype=kind) for kind in (torch.bool, None, None, None)))
    for k in range(backtracks + 1):
        candidate = theta + shrink**k * step
        value, kl = objective(candidate)
        improvement = value - start
        now = ~taken.accepted & (improvement > 0) & (kl <= max_kl)
        taken = Step(
            candidate.where(now.unsqueeze(1), taken.theta),
            taken.accepted | now,
            taken.backtracks.where(taken.accepted, float(k)),
            improvement.where(now, taken.improvement),
            kl.where(now, taken.kl),
        )
        if taken.accepted.all():
            break
    return taken


@torch.no_grad()
def whole_step(theta: Tensor, start: Tensor, step: Tensor, objective: Objective) -> Step:
    """θ + step, whatever comes of it."""
    value, kl = objective(theta + step)
    return Step(theta + step, torch.ones_like(start, dtype=torch.bool), torch.zeros_like(start), value - start, kl)


class TrustRegion:
    """Ascent on θ [seed, parameter] by steps that change the policy by a KL divergence of δ, each row its own problem:

        x = (F + damping · I)⁻¹ ∇L,    step = √(2δ / xᵀ(F + damping · I)x) · x,

    the maximiser of ∇Lᵀstep subject to ½ stepᵀ(F + damping · I) step ≤ δ, with F the Hessian of the KL divergence.
    Schulman et al. (2015), appendix C; Kakade (2002) for F⁻¹∇L, the natural gradient.

    `max_kl` is δ, in nats; `cg_steps` limits the conjugate gradients that solve for x. With `search`, steps are shrunk
    as in `backtracking`; without it every step is taken whole.
    """

    def __init__(
        self,
        parameters: Tensor,
        max_kl: float,
        damping: float,
        cg_steps: int,
        search: bool,
        backtracks: int,
        shrink: float,
    ) -> None:
        self.parameters = parameters.detach().clone().requires_grad_()
        self.max_kl = max_kl
        self.damping = damping
        self.cg_steps = cg_steps
        self.search = search
        self.backtracks = backtracks
        self.shrink = shrink

    def maximize(self, objective: Objective, divergence: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """One step up L; `objective(θ)` is L(θ) and KL(θ_old, θ), both [row]. Metrics [row]: see `pgcourse.TRPO`.

        `divergence(θ)` [row] is the KL whose Hessian is F: the same, or its estimate from fewer states.

        Raises:
            FloatingPointError: a gradient or a step that is NaN or infinite, naming the rows.
        """
        theta = self.parameters
        value, _ = objective(theta)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        fisher = hessian_product(divergence(theta), theta)
        x, residual = conjugate_gradient(lambda v: fisher(v) + self.damping * v, gradient, self.cg_steps)
        curvature = dot(x, gradient - residual)
        step = torch.where(curvature > 0, 2 * self.max_kl / curvature, 0.0).sqrt().unsqueeze(1) * x
        broken = (~(gradient + step).isfinite().all(1)).nonzero().flatten().tolist()
        if broken:
            raise FloatingPointError(
                f"the gradient or the step of rows {broken} of θ is NaN or infinite: look for NaN in observations or "
                "rewards, and for actions that the policy forbids"
            )
        taken = (
            backtracking(theta, value, step, objective, self.max_kl, self.backtracks, self.shrink)
            if self.search
            else whole_step(theta, value, step, objective)
        )
        moved = taken.theta - theta.detach()
        self.load({"parameters": taken.theta})
        return {
            "kl": taken.kl,
            "improvement": taken.improvement,
            "predicted_improvement": dot(gradient, moved),
            "accepted": taken.accepted.to(theta.dtype),
            "backtracks": taken.backtracks,
            "step_norm": moved.norm(dim=1),
            "cg_residual": residual.norm(dim=1) / gradient.norm(dim=1).clamp_min(1e-12),
        }

    def state(self) -> dict[str, Tensor]:
        """A copy of the parameters, which are all that it knows: see `load`."""
        return {"parameters": self.parameters.detach().clone()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.parameters = state["parameters"].clone().requires_grad_()  # not in place: distributions are views of θ
