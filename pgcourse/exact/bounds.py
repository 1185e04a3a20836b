"""The surrogate objective, bounds on its error and its curvature, computed exactly on finite MDPs. See chapter 07.

θ and θ' are [seed, state·action] as in `pgcourse.exact.mdp`, π and π' their policies; J, d_π and A_π are unnormalised
as there: every factor 1/(1-γ) of a normalised occupancy is inside d_π.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.exact.mdp import TabularMDP


def performance_difference(mdp: TabularMDP, theta: Tensor, new: Tensor) -> Tensor:
    """J(θ') - J(θ) = Σ_s d_π'(s) Σ_a π'(a|s) A_π(s, a), [seed].

    Kakade & Langford (2002), lemma 6.1 (d normalised there). Visits of the new policy, advantages of the old one.
    """
    return (mdp.occupancy(new) * expected_advantage(mdp, theta, new)).sum(1)


def surrogate_gain(mdp: TabularMDP, theta: Tensor, new: Tensor) -> Tensor:
    """L_π(θ') - J(θ) = Σ_s d_π(s) Σ_a π'(a|s) A_π(s, a), [seed]: the visits are those of the *old* policy.

    Schulman et al. (2015), eq. 3. Its gradient in θ' at θ' = θ is ∇J(θ).
    """
    return (mdp.occupancy(theta) * expected_advantage(mdp, theta, new)).sum(1)


def expected_advantage(mdp: TabularMDP, theta: Tensor, new: Tensor) -> Tensor:
    """Ā(s) = E_{a~π'}[A_π(s, a)], [seed, state]; 0 for π' = π."""
    return (mdp.pi(new) * mdp.advantage(theta)).sum(-1)


def total_variation(mdp: TabularMDP, theta: Tensor, new: Tensor) -> Tensor:
    """D_TV(s) = ½ Σ_a |π'(a|s) - π(a|s)|, [seed, state]; 0 where the episode is over and nobody acts."""
    return 0.5 * (mdp.pi(new) - mdp.pi(theta)).abs().sum(-1) * ~mdp.terminal


def kl(mdp: TabularMDP, theta: Tensor, new: Tensor) -> Tensor:
    """Mean of KL(π(·|s) ‖ π'(·|s)) over the visits of π, in nats, [seed]: Σ_s d_π(s) KL(s) / Σ_s d_π(s)."""
    occupancy = mdp.occupancy(theta)
    pi, log_ratio = mdp.pi(theta), mdp.pi(theta).log() - mdp.pi(new).log()
    return (occupancy * (pi * log_ratio).sum(-1)).sum(1) / occupancy.sum(1)


def fisher(mdp: TabularMDP, theta: Tensor) -> Tensor:
    """F = Σ_s d_π(s) Σ_a π(a|s) ∇log π ∇log πᵀ / Σ_s d_π(s), [seed, parameter, parameter]: the Hessian of `kl` at θ.

    Kakade (2002), section 3. Singular: a constant added to all logits of a state changes nothing.
    """
    occupancy, score = mdp.occupancy(theta), mdp.score(theta)
    weight = (occupancy / occupancy.sum(1, keepdim=True)).unsqueeze(-1) * mdp.pi(theta)
    return torch.einsum("nsa,nsap,nsaq->npq", weight, score, score)


class Penalty(NamedTuple):
    """Upper bounds on |J(θ') - J(θ) - surrogate_gain|, each [seed]; `worst_case` is never below `visited`.

        worst_case = 4 ε γ α² / (1-γ)²,    visited = 2 γ max_s |Ā(s)| Σ_s d_π(s) D_TV(s) / (1-γ)

    with ε = max |A_π(s, a)| and α = max_s D_TV(s). The first is theorem 1 of Schulman et al. (2015), the second
    corollary 1 of Achiam et al. (2017) (d normalised there).
    """

    worst_case: Tensor
    visited: Tensor


def surrogate_penalty(mdp: TabularMDP, theta: Tensor, new: Tensor) -> Penalty:
    """Both bounds on |J(θ') - J(θ) - surrogate_gain|: subtracted from `surrogate_gain` they are guarantees.

    Raises:
        ValueError: γ = 1, where there is no bound.
    """
    if mdp.gamma == 1:
        raise ValueError("gamma must be below 1: the bounds grow as 1/(1 - gamma)²")
    acting = ~mdp.terminal
    variation = total_variation(mdp, theta, new)
    epsilon = (mdp.advantage(theta) * acting.unsqueeze(-1)).abs().amax((1, 2))
    reach = mdp.gamma / (1 - mdp.gamma)
    worst = 4 * epsilon * reach / (1 - mdp.gamma) * variation.amax(1).square()
    shift = (expected_advantage(mdp, theta, new) * acting).abs().amax(1)
    return Penalty(worst, 2 * reach * shift * (mdp.occupancy(theta) * variation).sum(1))
