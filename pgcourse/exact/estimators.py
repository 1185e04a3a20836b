"""Gradient estimators, each defined by the weight Ψ_t that it gives to the score ∇log π(a_t|s_t).

    ĝ = 1/N Σ_i g_i,    g_i = Σ_t Ψ_t ∇log π_θ(a_t|s_t)                              Schulman et al. (2016), eq. 1

All of them are functions of the same rollouts: whole episodes, one a column, time 0 at their start (as
`TabularMDP.rollouts` makes them). Weights are [seed, time, env]; what they hold on padding does not count.

For J = E[Σ_t γ^t r_t] the weight of step t carries γ^t. `keep_discount=False` drops it, as practice does, and then
estimates something else (`TabularMDP.gradient_without_discount`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pgcourse.core import Policy, SoftmaxPolicy, Table
from pgcourse.rl.advantages import gae, n_step_advantage
from pgcourse.rl.returns import discounted_return, reward_to_go
from pgcourse.rl.trajectory import Trajectory

ROWS = 4096  # episodes differentiated at a time


def scores(policy: Policy, theta: Tensor, trajectory: Trajectory) -> Tensor:
    """∇_θ log π_θ(a_t|s_t) of every step, [seed, time, env, parameter], by automatic differentiation; 0 on padding.

    Seeds share nothing, so one backward pass with θ repeated for every step gives every step's own gradient. The result
    is as large as it looks: for sums over an episode use `episode_gradients`.
    """
    mask = trajectory.mask
    rows = theta.detach().repeat_interleave(mask[0].numel(), 0).requires_grad_()
    obs, action = (x.flatten(0, 2).unsqueeze(1) for x in (trajectory.obs, trajectory.action))
    with torch.enable_grad():
        (score,) = torch.autograd.grad(policy(rows, obs).log_prob(action).sum(), rows)
    return score.view(*mask.shape, -1).where(mask.unsqueeze(-1), 0.0)


def episode_gradients(policy: Policy, theta: Tensor, trajectory: Trajectory, weight: Tensor) -> Tensor:
    """g_i = Σ_t Ψ_t ∇log π_θ(a_t|s_t) of every episode, [seed, env, parameter].

    Raises:
        ValueError: the weight is not [seed, time, env] like the trajectory's mask.
    """
    if weight.shape != trajectory.mask.shape:
        raise ValueError(f"weight must have shape {list(trajectory.mask.shape)}, got {list(weight.shape)}")
    if isinstance(policy, SoftmaxPolicy) and isinstance(policy.network, Table):
        return _tabular_softmax(policy.network, theta, trajectory, weight)
    real = [_zero_padding(x, trajectory.mask).split(ROWS, 2) for x in (trajectory.obs, trajectory.action, weight)]
    return torch.cat([_by_autograd(policy, theta, *part) for part in zip(*real, strict=True)], 1)


def _tabular_softmax(table: Table, theta: Tensor, trajectory: Trajectory, weight: Tensor) -> Tensor:
    """∇log π(a|s) = e_{s,a} - Σ_b π(b|s) e_{s,b}: all it takes is the weight that fell on each (s, a)."""
    mask = trajectory.mask
    seeds, _, envs = mask.shape
    seed, _, env = mask.nonzero(as_tuple=True)
    cell = ((seed * envs + env) * table.rows + trajectory.obs[mask]) * table.outputs + trajectory.action[mask]
    total = weight.new_zeros(seeds * envs * table.size).index_add_(0, cell, weight[mask])
    total = total.view(seeds, envs, table.rows, table.outputs)
    pi = theta.detach().to(weight.dtype).view(seeds, 1, table.rows, table.outputs).softmax(-1)
    return (total - pi * total.sum(-1, keepdim=True)).flatten(2)


def _by_autograd(policy: Policy, theta: Tensor, obs: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """As in `scores`, with θ repeated for every episode."""
    seeds, _, envs = weight.shape
    rows = theta.detach().repeat_interleave(envs, 0).requires_grad_()
    obs, action, weight = (x.transpose(1, 2).flatten(0, 1) for x in (obs, action, weight))
    with torch.enable_grad():
        objective = (weight.detach() * policy(rows, obs).log_prob(action)).sum()
        (gradient,) = torch.autograd.grad(objective, rows)
    return gradient.view(seeds, envs, -1)


def _zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    return x.where(mask.view(*mask.shape, *(1,) * (x.ndim - mask.ndim)), 0)


# Weights.


def total_return_weight(trajectory: Trajectory, gamma: float, baseline: Tensor | float = 0.0) -> Tensor:
    """Ψ_t = G_0 - b for all t: an action answers for the whole episode. Williams (1992). `baseline` is [seed, env]."""
    ret = discounted_return(trajectory.reward, gamma, trajectory.mask) - baseline
    return ret.unsqueeze(1).expand_as(trajectory.reward)


def reward_to_go_weight(
    trajectory: Trajectory, gamma: float, baseline: Tensor | float = 0.0, keep_discount: bool = True
) -> Tensor:
    """Ψ_t = γ^t (G_t - b_t): an action answers for what follows it. Sutton & Barto (2018), eq. 13.8 and 13.11.

    Any `baseline` [seed, time, env] that does not depend on the episode's own actions from t on keeps the mean.
    """
    ret = reward_to_go(trajectory.reward, trajectory.terminated, trajectory.truncated, gamma)
    return _discounted(ret - baseline, gamma, keep_discount)


def gae_weight(
    trajectory: Trajectory, gamma: float, lam: float, value: Tensor, next_value: Tensor, keep_discount: bool = True
) -> Tensor:
    """Ψ_t = γ^t Σ_l (γλ)^l δ_{t+l} with a critic's values of s_t and s_{t+1}. Schulman et al. (2016), eq. 16.

    λ = 0 is the actor-critic of the TD residual; λ = 1 is the reward-to-go with the critic as a baseline, and unbiased.
    """
    t = trajectory
    advantage = gae(t.reward, value, next_value, t.terminated, t.truncated, gamma, lam)
    return _discounted(advantage, gamma, keep_discount)


def n_step_weight(
    trajectory: Trajectory, gamma: float, n: int, value: Tensor, next_value: Tensor, keep_discount: bool = True
) -> Tensor:
    """Ψ_t = γ^t (r_t + ... + γ^(n-1) r_{t+n-1} + γ^n v(s_{t+n}) - v(s_t)). Mnih et al. (2016), section 4."""
    t = trajectory
    advantage = n_step_advantage(t.reward, value, next_value, t.terminated, t.truncated, gamma, n)
    return _discounted(advantage, gamma, keep_discount)


def table_weight(trajectory: Trajectory, gamma: float, table: Tensor, keep_discount: bool = True) -> Tensor:
    """Ψ_t = γ^t f(s_t, a_t) for a table f, [seed, state, action]: q_π or A_π, as if we knew them."""
    cell = trajectory.obs * table.shape[2] + trajectory.action
    return _discounted(at(table.flatten(1), cell), gamma, keep_discount)


def at(table: Tensor, index: Tensor) -> Tensor:
    """Each seed's table [seed, entry] at its own indices [seed, ...]."""
    return table.gather(1, index.flatten(1)).view(index.shape)


def _discounted(weight: Tensor, gamma: float, keep_discount: bool) -> Tensor:
    if not keep_discount:
        return weight
    return weight * gamma ** torch.arange(weight.shape[1], dtype=weight.dtype, device=weight.device).view(1, -1, 1)


# Baselines of least variance. Fitted on a pilot batch, they are constants for every other batch, hence unbiased there.


def optimal_return_baseline(
    policy: Policy, theta: Tensor, pilot: Trajectory, gamma: float, per_component: bool = False
) -> Tensor:
    """The constant b* that minimises the variance of S (G_0 - b), where S = Σ_t ∇log π(a_t|s_t) is an episode's score.

        b* = E[‖S‖² G_0] / E[‖S‖²],  [seed, 1];      per component  b*_j = E[S_j² G_0] / E[S_j²],  [seed, parameter]

    d/db E‖S (G_0 - b)‖² = 0, and the mean does not move because E[S] = 0. Greensmith et al. (2004); the form per
    component in Peters & Schaal (2008). Chapter 04 derives it. A component whose score is always 0 gets b = 0.
    """
    score = episode_gradients(policy, theta, pilot, torch.ones_like(pilot.reward))
    ret = discounted_return(pilot.reward, gamma, pilot.mask).unsqueeze(-1)
    square = score.square() if per_component else score.square().sum(-1, keepdim=True)
    weight = square.sum(1)
    return (square * ret).sum(1) / weight.where(weight > 0, 1.0)


def optimal_baseline(policy: Policy, theta: Tensor, pilot: Trajectory, gamma: float, features: Tensor) -> Tensor:
    """Coefficients w of the baseline b_t = Σ_k w_k f_k(s_t) of least variance, [seed, k]; `features` are [..., env, k].

    Subtracting b from the reward-to-go subtracts Σ_k w_k X_k from an episode's gradient g, where

        X_k = Σ_t γ^t f_k(s_t) ∇log π(a_t|s_t),    E[X_k] = 0.

    So b is a control variate, and E‖g - Σ_k w_k X_k‖² is least where E[X_j·X_k] w_k = E[X_j·g]: a regression of the
    noise on the X. Constant f gives the best constant, one-hot states the best state-dependent baseline. Greensmith et
    al. (2004). Chapter 04 derives it. A feature that the pilot never meets gets w = 0.
    """
    gradient = episode_gradients(policy, theta, pilot, reward_to_go_weight(pilot, gamma))
    features = features.expand(*pilot.mask.shape, -1).to(gradient.dtype)
    controls = torch.stack(
        [episode_gradients(policy, theta, pilot, _discounted(f, gamma, True)) for f in features.unbind(-1)], 2
    )
    gram = torch.einsum("nijp,nikp->njk", controls, controls)
    return torch.einsum("njk,nikp,nip->nj", torch.linalg.pinv(gram, hermitian=True), controls, gradient)
