"""Mean and variance of gradient estimators on a TabularMDP, exactly, and how much variance each random draw adds.

An episode is a sequence of draws: its start state, an action, the successor state, the next action, and so on. Let F_k
be what is known after k draws. The estimate g of one episode is E[g] plus the surprises E[g|F_k] - E[g|F_{k-1}], the
changes of its conditional mean at each draw. They are uncorrelated (Doob's martingale), so that the variance splits:

    tr Cov(g) = E‖surprise of s_0‖² + Σ_t E‖surprise of a_t‖² + Σ_t E‖surprise of s_{t+1}‖².

All three sums are solutions of linear systems. Write g = Σ_t γ^t W_t ∇log π(a_t|s_t), where the weights follow from a
signal x_t = x(s_t, a_t, s_{t+1}) by W_t = x_t + κ W_{t+1}: rewards and κ = γ give the reward-to-go, TD residuals and
κ = γλ give GAE(λ). A draw at time t moves two parts of g: the terms from t on, γ^t Y_t, and the weights of the earlier
terms, which contain W_t with the coefficients Z_t:

    Y_t = W_t ∇log π(a_t|s_t) + γ Y_{t+1},    Z_t = Σ_{k<t} γ^k κ^(t-k) ∇log π(a_k|s_k),
    E[g|F_k] - E[g|F_{k-1}] = Z_t ΔW + γ^t ΔY,

where ΔW and ΔY are the changes of the conditional means of W_t and Y_t. Means of W and Y are solved for backwards in
time, moments of Z forwards. Chapter 04 derives the law and shows which estimator reduces which of the three sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.exact.mdp import TabularMDP

SAME_MEAN = 1e-9  # relative distance below which two exact means are one; rounding stays below 1e-12


@dataclass(frozen=True)
class GradientMoments:
    """Mean and variance of the gradient estimate g of one episode; that of N episodes has 1/N of the variance.

    Attributes:
        mean: E[g], [seed, parameter].
        start, actions, dynamics: the parts of tr Cov(g) that the draws of s_0, of the actions and of the successor
            states add, each [seed].
    """

    mean: Tensor
    start: Tensor
    actions: Tensor
    dynamics: Tensor

    @property
    def trace(self) -> Tensor:
        """tr Cov(g) = E‖g - E[g]‖², [seed]."""
        return self.start + self.actions + self.dynamics


def variance_ratio(a: GradientMoments, b: GradientMoments) -> Tensor:
    """tr Cov of a over that of b, [seed]: how many episodes of a are worth one of b.

    That is a fair question only between estimators of the same thing, for half of an estimate has a quarter of the
    variance.

    Raises:
        ValueError: the two means differ.
    """
    gap = ((a.mean - b.mean).norm(dim=-1) / b.mean.norm(dim=-1)).max().item()
    if not gap < SAME_MEAN:
        raise ValueError(
            f"the means differ by {gap:.3g} of their length, so the ratio of the variances compares unlike with unlike"
        )
    return a.trace / b.trace


def gae_moments(
    mdp: TabularMDP, theta: Tensor, value: Tensor | None = None, lam: float = 1.0, keep_discount: bool = True
) -> GradientMoments:
    """Moments of the estimator with Ψ_t = γ^t Σ_l (γλ)^l δ_{t+l} with a critic `value` [seed, state], `gae_weight`.

    λ = 1 gives the reward-to-go with `value` as its baseline, or with none where `value` is left out; λ = 0 gives the
    TD actor-critic. The bias of a wrong critic is the returned mean minus `mdp.gradient(theta)`.

    Raises:
        ValueError: the MDP's episodes need not end; `value` is not [seed, state].
    """
    _require_episodic(mdp)
    pi = mdp.pi(theta)
    value = torch.zeros(pi.shape[:2], dtype=pi.dtype) if value is None else value
    if value.shape != pi.shape[:2]:
        raise ValueError(f"value must have shape {list(pi.shape[:2])}, [seed, state], got {list(value.shape)}")
    value = value.to(pi.dtype) * ~mdp.terminal
    residual = mdp.reward.unsqueeze(-1) + mdp.gamma * value[:, None, None, :] - value[:, :, None, None]
    return _moments(mdp, theta, residual, mdp.gamma * lam, mdp.gamma if keep_discount else 1.0)


def table_moments(mdp: TabularMDP, theta: Tensor, table: Tensor, keep_discount: bool = True) -> GradientMoments:
    """Moments of the estimator with Ψ_t = γ^t f(s_t, a_t) for a table f [seed, state, action], `table_weight`."""
    _require_episodic(mdp)
    signal = table.unsqueeze(-1).expand(-1, -1, -1, mdp.states)
    return _moments(mdp, theta, signal, 0.0, mdp.gamma if keep_discount else 1.0)


def total_return_moments(mdp: TabularMDP, theta: Tensor, baseline: Tensor | float = 0.0) -> GradientMoments:
    """Moments of the estimator with Ψ_t = G_0 - b for a constant b [seed], `total_return_weight`.

    G_0 - b is γ^t G_t plus the rewards before t and -b: G_t is the weight W_t, the rest is R_t with R_0 = -b.
    """
    _require_episodic(mdp)
    signal = mdp.reward.unsqueeze(-1).expand(len(theta), -1, -1, mdp.states)
    baseline = torch.as_tensor(baseline, dtype=torch.float64).expand(len(theta))
    return _moments(mdp, theta, signal, mdp.gamma, mdp.gamma, earlier=-baseline)


def least_variance_baseline(mdp: TabularMDP, theta: Tensor, constant: bool = False) -> Tensor:
    """The baseline b(s) of the reward-to-go with the least tr Cov, exactly, [seed, state]; or the best constant.

    The variance is quadratic in b, and in tabular softmax states share no parameters, so that each b(s) has its own
    optimum: b(s) = E[X_s·g] / E‖X_s‖² with X_s as in `pgcourse.exact.estimators.optimal_baseline`.
    """
    value = torch.zeros(len(theta), mdp.states, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        trace = gae_moments(mdp, theta.detach(), value).trace.sum()
        (slope,) = torch.autograd.grad(trace, value)  # -2 E[X_s·g] at b = 0
    chain = _Chain(mdp, theta)
    visits = chain.forward(mdp.gamma**2, chain.start)
    size = visits * torch.einsum("nsa,nsap->ns", chain.pi, chain.score.square())  # E‖X_s‖²
    gain = -slope / 2
    if constant:
        gain, size = (x.sum(-1, keepdim=True).expand(-1, mdp.states) for x in (gain, size))
    return (gain / size.where(size > 0, 1.0)) * ~mdp.terminal


class _Chain:
    """The states that a policy visits, as a Markov chain, with linear systems to be solved on it.

    Attributes:
        pi, score: π(a|s), [seed, state, action], and ∇log π(a|s), [seed, state, action, parameter].
        move: P(s'|s, a) of the steps that are taken, [state, action, next state]; 0 where s is terminal.
        step: π(a|s) P(s'|s, a) of the steps after which an action follows; 0 where s or s' is terminal.
        matrix: P_π(s'|s) of those steps, [seed, state, next state].
    """

    def __init__(self, mdp: TabularMDP, theta: Tensor) -> None:
        live = (~mdp.terminal).to(torch.float64)
        self.pi, self.score = mdp.pi(theta), mdp.score(theta)
        self.start = mdp.start.expand(len(theta), -1)
        self.move = mdp.transition * live.view(-1, 1, 1)
        self.step = torch.einsum("nsa,sat->nsat", self.pi, self.move * live)
        self.matrix = self.step.sum(2)
        self.identity = torch.eye(mdp.states, dtype=torch.float64)

    def backward(self, discount: float, x: Tensor) -> Tensor:
        """f(s) = x(s) + discount · E[f(s')|s]; x is [seed, state] or [seed, state, k]."""
        return torch.linalg.solve(self.identity - discount * self.matrix, x)

    def forward(self, discount: float, x: Tensor) -> Tensor:
        """f(s') = x(s') + discount · Σ_s f(s) P_π(s'|s); x is [seed, state] or [seed, state, k]."""
        return torch.linalg.solve(self.identity - discount * self.matrix.mT, x)

    def arrive(self, x: Tensor) -> Tensor:
        """Σ_{s,a} x(s, a) Pr(a, s'|s); x is [seed, state, action, ...]."""
        return torch.einsum("nsat,nsa...->nt...", self.step, x)


def _moments(
    mdp: TabularMDP, theta: Tensor, signal: Tensor, carry: float, discount: float, earlier: Tensor | None = None
) -> GradientMoments:
    """Mean and variance of g = Σ_t γ^t W_t ∇log π(a_t|s_t), with the letters of the module's docstring.

    `signal` is x [seed, state, action, next state], `carry` κ and `discount` γ. With `earlier` [seed] the weight of
    step t is γ^t W_t + R_t instead, with R_t = earlier + Σ_{k<t} γ^k r_k.
    """
    chain = _Chain(mdp, theta)
    w = _weights(chain, signal, carry)
    y = _gradients_to_come(chain, w, discount)
    past = _past(chain, carry, discount)
    by_action = past.mean_square(w.surprise_of_action, y.surprise_of_action)
    by_dynamics = past.mean_square(w.surprise_of_dynamics, y.surprise_of_dynamics)
    if earlier is not None:
        by_action = by_action + _earlier_rewards(chain, mdp, past, w, y, earlier)
    mean = torch.einsum("s,nsp->np", mdp.start, y.state)
    return GradientMoments(
        mean=mean,
        start=torch.einsum("s,nsp->n", mdp.start, (y.state - mean.unsqueeze(1)).square()),
        actions=torch.einsum("nsa,nsa->n", chain.pi, by_action),
        dynamics=torch.einsum("nsa,sat,nsat->n", chain.pi, chain.move, by_dynamics),
    )


class _Means(NamedTuple):
    """Means of a quantity X_t of the steps from t on, given what has been drawn.

    state: E[X_t|s_t], [seed, state, ...].
    action: E[X_t|s_t, a_t], [seed, state, action, ...].
    successor: E[X_t|s_t, a_t, s_{t+1}], [seed, state, action, next state, ...].
    """

    state: Tensor
    action: Tensor
    successor: Tensor

    @property
    def surprise_of_action(self) -> Tensor:
        """ΔX at the draw of a_t: E[X_t|s_t, a_t] - E[X_t|s_t]."""
        return self.action - self.state.unsqueeze(2)

    @property
    def surprise_of_dynamics(self) -> Tensor:
        """ΔX at the draw of s_{t+1}: E[X_t|s_t, a_t, s_{t+1}] - E[X_t|s_t, a_t]."""
        return self.successor - self.action.unsqueeze(3)


def _weights(chain: _Chain, signal: Tensor, carry: float) -> _Means:
    """Means of W_t = x_t + κ W_{t+1}."""
    state = chain.backward(carry, torch.einsum("nsa,sat,nsat->ns", chain.pi, chain.move, signal))
    successor = signal + carry * state[:, None, None, :]
    return _Means(state, torch.einsum("sat,nsat->nsa", chain.move, successor), successor)


def _gradients_to_come(chain: _Chain, w: _Means, discount: float) -> _Means:
    """Means of Y_t = W_t ∇log π(a_t|s_t) + γ Y_{t+1}; the last axis is the parameter."""
    state = chain.backward(discount, torch.einsum("nsa,nsa,nsap->nsp", chain.pi, w.action, chain.score))
    successor = w.successor.unsqueeze(-1) * chain.score.unsqueeze(3) + discount * state[:, None, None]
    return _Means(state, torch.einsum("sat,nsatp->nsap", chain.move, successor), successor)


class _Past(NamedTuple):
    """Moments of Z_t, each summed over time and split by the state at that time, Σ_t E[·; s_t = s].

    visits: of γ^2t, [seed, state].
    z: of γ^t Z_t, [seed, state, parameter].
    square: of ‖Z_t‖², [seed, state].
    """

    visits: Tensor
    z: Tensor
    square: Tensor

    def mean_square(self, dw: Tensor, dy: Tensor) -> Tensor:
        """Σ_t E[‖Z_t ΔW + γ^t ΔY‖²; s_t = s], [seed, state, ...], for ΔW of that shape and ΔY with a parameter axis."""
        visits, square = (x.view(*x.shape, *(1,) * (dw.ndim - x.ndim)) for x in (self.visits, self.square))
        cross = torch.einsum("nsp,ns...p->ns...", self.z, dy)
        return square * dw.square() + 2 * dw * cross + visits * dy.square().sum(-1)


def _past(chain: _Chain, carry: float, discount: float) -> _Past:
    """Moments of Z_{t+1} = κ (Z_t + γ^t ∇log π(a_t|s_t)), from Z_0 = 0 on."""
    visits = chain.forward(discount**2, chain.start)
    z = chain.forward(discount * carry, discount * carry * chain.arrive(visits[..., None, None] * chain.score))
    cross = torch.einsum("nsp,nsap->nsa", z, chain.score)
    growth = 2 * cross + visits.unsqueeze(-1) * chain.score.square().sum(-1)
    return _Past(visits, z, chain.forward(carry**2, carry**2 * chain.arrive(growth)))


def _earlier_rewards(chain: _Chain, mdp: TabularMDP, past: _Past, w: _Means, y: _Means, earlier: Tensor) -> Tensor:
    """What R_t = earlier + Σ_{k<t} γ^k r_k adds to the variance of the actions, [seed, state, action].

    The draw of a_t moves g by R_t ∇log π(a_t|s_t) as well, so that the mean square of the surprise grows by

        Σ_t E[R_t² ‖∇log π‖² + 2 R_t ∇log π · (Z_t ΔW + γ^t ΔY); s_t = s].

    Here κ = γ, so that R_{t+1} = R_t + γ^t r_t and Z_{t+1} = γ (Z_t + γ^t ∇log π) give the moments of γ^t R_t, R_t²
    and R_t Z_t.
    """
    gamma, score, reward = mdp.gamma, chain.score, mdp.reward
    visits, first = past.visits.unsqueeze(-1), earlier.unsqueeze(-1)
    r = chain.forward(gamma, first * chain.start + gamma * chain.arrive(visits * reward))
    growth = 2 * (r.unsqueeze(-1) * reward) + visits * reward.square()
    square = chain.forward(1.0, first**2 * chain.start + chain.arrive(growth))
    with_score = (r.unsqueeze(-1) + visits * reward).unsqueeze(-1) * score
    rz = chain.forward(gamma, gamma * chain.arrive(with_score + reward.unsqueeze(-1) * past.z.unsqueeze(2)))
    dw, dy = w.surprise_of_action, y.surprise_of_action
    cross = dw * torch.einsum("nsp,nsap->nsa", rz, score) + r.unsqueeze(-1) * (dy * score).sum(-1)
    return square.unsqueeze(-1) * score.square().sum(-1) + 2 * cross


def _require_episodic(mdp: TabularMDP) -> None:
    if not mdp.episodic:
        raise ValueError("episodes of this MDP need not end, so estimates from whole ones have no moments")
