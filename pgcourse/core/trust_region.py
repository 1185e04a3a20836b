"""Steps inside a trust region: conjugate gradients, matrix-free curvature products, backtracking.

All vectors are [row, parameter], all numbers about them [row]; the rows are the seeds of θ and never meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.core.adam import NotFinite
from pgcourse.core.policies import Policy

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


@torch.no_grad()
def fisher_product(policy: Policy, theta: Tensor, obs: Tensor, mask: Tensor) -> Product:
    """v ↦ F v for the mean Fisher information of θ over the states [seed, ...] where `mask` [seed, ...]:

        F = E_s[ Jᵀ M J ],    J = ∂z/∂θ,    M = E_a[∇_z log π ∇_z log πᵀ],

    with z(θ, s) the distribution's own parameters. It is the Hessian of E_s[ KL(π_θ ‖ π_θ') ] at θ' = θ, which is taken
    instead for a policy that does not tell its J.
    """
    weight = mask.to(theta.dtype) / mask.flatten(1).sum(1).view(-1, *(1,) * (mask.ndim - 1))
    if not hasattr(policy, "linearized"):
        with torch.enable_grad():
            other = theta.detach().requires_grad_()
            kl = policy(theta.detach(), obs).kl(policy(other, obs))  # type: ignore[attr-defined]
            return hessian_product((weight * kl).flatten(1).sum(1), other)
    dist, push, pull = policy.linearized(theta, obs)
    weight = weight.unsqueeze(-1)
    return lambda v: pull(tuple(weight * change for change in dist.fisher(*push(v))))


class Move(NamedTuple):
    """The outcome of a step for every row. All fields but θ are [row], and 0 for rows that did not move."""

    theta: Tensor  # [row, parameter]
    accepted: Tensor  # bool
    backtracks: Tensor  # how often the step was shrunk; as often as was allowed where every try was refused
    improvement: Tensor  # L(θ) - L(θ_old)
    kl: Tensor  # KL(θ_old, θ)


@torch.no_grad()
def backtracking(
    theta: Tensor, start: Tensor, step: Tensor, objective: Objective, max_kl: float, backtracks: int, shrink: float
) -> Move:
    """θ + shrinkᵏ step with the least k ≤ `backtracks` for which L is above `start`, L(θ), and KL(θ_old, θ) ≤ `max_kl`.

    Rows for which there is none keep θ to the bit. Schulman et al. (2015), appendix C.
    """
    taken = Move(theta, *(torch.zeros_like(start, dtype=kind) for kind in (torch.bool, None, None, None)))
    for k in range(backtracks + 1):
        candidate = theta + shrink**k * step
        value, kl = objective(candidate)
        improvement = value - start
        now = ~taken.accepted & (improvement > 0) & (kl <= max_kl)
        taken = Move(
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
def whole_step(theta: Tensor, start: Tensor, step: Tensor, objective: Objective) -> Move:
    """θ + step without any check of L or of the KL divergence."""
    value, kl = objective(theta + step)
    return Move(theta + step, torch.ones_like(start, dtype=torch.bool), torch.zeros_like(start), value - start, kl)


@torch.no_grad()
def natural_step(
    gradient: Tensor, fisher: Product, max_kl: float, damping: float, cg_steps: int
) -> tuple[Tensor, Tensor]:
    """The step that a KL divergence of δ allows to second order, and the residual [row] of its conjugate gradients:

        x = (F + damping · I)⁻¹ ∇L,    step = √(2δ / xᵀ(F + damping · I)x) · x,

    the maximiser of ∇Lᵀstep subject to ½ stepᵀ(F + damping · I) step ≤ δ. Schulman et al. (2015), appendix C; Kakade
    (2002) for F⁻¹∇L, the natural gradient. `max_kl` is δ, in nats; `cg_steps` limits the conjugate gradients that solve
    for x. The residual is that norm relative to the gradient's.

    Raises:
        NotFinite: a gradient or a step that is NaN or infinite, naming the rows.
    """
    x, residual = conjugate_gradient(lambda v: fisher(v) + damping * v, gradient, cg_steps)
    curvature = dot(x, gradient - residual)
    step = torch.where(curvature > 0, 2 * max_kl / curvature, 0.0).sqrt().unsqueeze(1) * x
    broken = (~(gradient + step).isfinite().all(1)).nonzero().flatten().tolist()
    if broken:
        raise NotFinite("gradient or the step", broken)
    return step, residual.norm(dim=1) / gradient.norm(dim=1).clamp_min(1e-12)


class TrustRegionStep(NamedTuple):
    """A `Move`, and how it was found. All but θ are [row]."""

    theta: Tensor  # [row, parameter]
    accepted: Tensor
    backtracks: Tensor
    improvement: Tensor
    kl: Tensor
    predicted_improvement: Tensor  # ∇Lᵀ(θ - θ_old)
    step_norm: Tensor  # |θ - θ_old|
    cg_residual: Tensor  # |∇L - (F + damping · I) x| / |∇L|


def trust_region_step(
    theta: Tensor,
    objective: Objective,
    fisher: Product,
    max_kl: float,
    damping: float,
    cg_steps: int,
    search: bool = True,
    backtracks: int = 10,
    shrink: float = 0.8,
) -> TrustRegionStep:
    """One step up L inside the trust region: the natural gradient's, and with `search` shrunk by `backtracking`.

    `objective(θ)` is L(θ) and KL(θ_old, θ), both [row]; `fisher` is v ↦ F v: see `fisher_product`. θ stays as it is.

    Raises:
        NotFinite: a gradient or a step that is NaN or infinite, naming the rows.
    """
    at = theta.detach().requires_grad_()
    value, _ = objective(at)
    (gradient,) = torch.autograd.grad(value.sum(), at)
    theta, value = theta.detach(), value.detach()
    step, residual = natural_step(gradient, fisher, max_kl, damping, cg_steps)
    move = (
        backtracking(theta, value, step, objective, max_kl, backtracks, shrink)
        if search
        else whole_step(theta, value, step, objective)
    )
    moved = move.theta - theta
    return TrustRegionStep(*move, dot(gradient, moved), moved.norm(dim=1), residual)
