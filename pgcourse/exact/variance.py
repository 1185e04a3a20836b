"""Mean and variance of gradient estimators on a TabularMDP, exactly, and where the variance comes from.

An episode reveals its start, then an action, then the successor that the dynamics choose, then an action, and so on.
With F_0 ⊂ F_1 ⊂ ... what has been seen after each of these draws, the estimate g of one episode is its mean plus the
surprises E[g|F_k] - E[g|F_{k-1}], which are uncorrelated (Doob's martingale). So the law of total variance reads

    tr Cov(g) = E‖surprise of the start‖² + Σ_t E‖surprise of a_t‖² + Σ_t E‖surprise of s_{t+1}‖².

All three sums are solutions of linear systems. Let W_t be the weight of step t without its γ^t, W_t = x_t + κ W_{t+1}
for a signal x_t = x(s_t, a_t, s_{t+1}): rewards and κ = γ give the reward-to-go, TD residuals and κ = γλ give GAE(λ).
A draw at time t still can change the gradient to come, Y_t = W_t ∇log π(a_t|s_t) + γ Y_{t+1}, and the weights of
all earlier steps, whose scores add up to Z_t = Σ_{k<t} γ^k κ^(t-k) ∇log π(a_k|s_k): E[g|F] moves by
Z_t ΔE[W_t|F] + γ^t ΔE[Y_t|F]. Means of W and Y follow backwards in time, moments of Z forwards. Chapter 04 derives the
law and shows which estimator touches which source.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgcourse.exact.mdp import TabularMDP


@dataclass(frozen=True)
class GradientMoments:
    """Of the estimate of one episode: `mean` [seed, parameter], and the parts of tr Cov that come from the start state,
    from the actions and from the dynamics, each [seed]. The mean of N episodes has 1/N of the variance."""

    mean: Tensor
    start: Tensor
    actions: Tensor
    dynamics: Tensor

    @property
    def trace(self) -> Tensor:
        """tr Cov(g) = E‖g - E[g]‖², [seed]."""
        return self.start + self.actions + self.dynamics


def gae_moments(
    mdp: TabularMDP, theta: Tensor, value: Tensor | None = None, lam: float = 1.0, keep_discount: bool = True
) -> GradientMoments:
    """Of Ψ_t = γ^t Σ_l (γλ)^l δ_{t+l} with a critic `value` [seed, state]; see `pgcourse.exact.estimators.gae_weight`.

    With λ = 1 it is the reward-to-go with `value` as its baseline, without a `value` the reward-to-go alone; λ = 0 is
    the TD actor-critic. The mean's distance from `mdp.gradient(theta)` is the bias of a wrong critic.

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
    """Of Ψ_t = γ^t f(s_t, a_t) for a table f [seed, state, action]; see `pgcourse.exact.estimators.table_weight`."""
    _require_episodic(mdp)
    signal = table.unsqueeze(-1).expand(-1, -1, -1, mdp.states)
    return _moments(mdp, theta, signal, 0.0, mdp.gamma if keep_discount else 1.0)


def total_return_moments(mdp: TabularMDP, theta: Tensor, baseline: Tensor | float = 0.0) -> GradientMoments:
    """Of Ψ_t = G_0 - b with a constant b, [seed]; see `pgcourse.exact.estimators.total_return_weight`."""
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
    pi, score = mdp.pi(theta), mdp.score(theta)
    visits = _Chain(mdp, theta).forward(mdp.gamma**2, mdp.start.expand(len(theta), -1))
    size = visits * torch.einsum("nsa,nsap->ns", pi, score.square())  # E‖X_s‖²
    gain = -slope / 2
    if constant:
        gain, size = (x.sum(-1, keepdim=True).expand(-1, mdp.states) for x in (gain, size))
    return (gain / size.where(size > 0, 1.0)) * ~mdp.terminal


class _Chain:
    """P_π between non-terminal states, solved for from either end."""

    def __init__(self, mdp: TabularMDP, theta: Tensor) -> None:
        live = (~mdp.terminal).to(torch.float64)
        self.step = torch.einsum("nsa,sat->nsat", mdp.pi(theta), mdp.transition * live.view(-1, 1, 1) * live)
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
    """The module's text in code: x = `signal` [seed, state, action, next state], κ = `carry`, γ = `discount`.

    With `earlier` [seed] the rewards before time t count in Ψ_t as well, on top of that number.
    """
    chain = _Chain(mdp, theta)
    pi, score = mdp.pi(theta), mdp.score(theta)
    score_square = score.square().sum(-1)
    move = mdp.transition * (~mdp.terminal).view(-1, 1, 1)
    start = mdp.start.expand(len(theta), -1)

    # Backwards: E[W_t|·] and E[Y_t|·], given s; s and a; s, a and s'.
    w = chain.backward(carry, torch.einsum("nsa,sat,nsat->ns", pi, move, signal))
    w_next = signal + carry * w[:, None, None, :]
    w_action = torch.einsum("sat,nsat->nsa", move, w_next)
    y = chain.backward(discount, torch.einsum("nsa,nsa,nsap->nsp", pi, w_action, score))
    y_next = w_next.unsqueeze(-1) * score.unsqueeze(3) + discount * y[:, None, None]
    y_action = torch.einsum("sat,nsatp->nsap", move, y_next)

    # Forwards: Σ_t E[·; s_t = s] of γ^2t, of γ^t Z_t and of ‖Z_t‖².
    seen = chain.forward(discount**2, start)
    z = chain.forward(discount * carry, discount * carry * chain.arrive(seen[..., None, None] * score))
    z_score = torch.einsum("nsp,nsap->nsa", z, score)
    z_square = chain.forward(carry**2, carry**2 * chain.arrive(2 * z_score + seen.unsqueeze(-1) * score_square))

    def surprise(dw: Tensor, dy: Tensor) -> Tensor:
        """Σ_t E[‖Z_t ΔW + γ^t ΔY‖²; s_t = s], [seed, state, ...]."""
        over = (slice(None), slice(None), *(None,) * (dw.ndim - 2))
        cross = torch.einsum("nsp,ns...p->ns...", z, dy)
        return z_square[over] * dw.square() + 2 * dw * cross + seen[over] * dy.square().sum(-1)

    dw, dy = w_action - w.unsqueeze(-1), y_action - y.unsqueeze(2)
    by_action = surprise(dw, dy)
    by_dynamics = surprise(w_next - w_action.unsqueeze(-1), y_next - y_action.unsqueeze(3))
    if earlier is not None:
        # What the action moves has a third term, R_t ∇log π(a_t|s_t) with R_t = earlier + Σ_{k<t} γ^k r_k. Moments of
        # γ^t R_t, R_t² and R_t Z_t follow forwards like those of Z.
        reward, visit, before = mdp.reward, seen.unsqueeze(-1), earlier.unsqueeze(-1)
        r = chain.forward(discount, before * start + discount * chain.arrive(visit * reward))
        r_reward = r.unsqueeze(-1) * reward
        r_square = chain.forward(1.0, before**2 * start + chain.arrive(2 * r_reward + visit * reward.square()))
        with_score = (r.unsqueeze(-1) + visit * reward).unsqueeze(-1) * score
        rz = chain.forward(carry, carry * chain.arrive(with_score + reward.unsqueeze(-1) * z.unsqueeze(2)))
        cross = dw * torch.einsum("nsp,nsap->nsa", rz, score) + r.unsqueeze(-1) * (dy * score).sum(-1)
        by_action = by_action + r_square.unsqueeze(-1) * score_square + 2 * cross

    mean = torch.einsum("s,nsp->np", mdp.start, y)
    return GradientMoments(
        mean=mean,
        start=torch.einsum("s,nsp->n", mdp.start, (y - mean.unsqueeze(1)).square()),
        actions=torch.einsum("nsa,nsa->n", pi, by_action),
        dynamics=torch.einsum("nsa,sat,nsat->n", pi, move, by_dynamics),
    )


def _require_episodic(mdp: TabularMDP) -> None:
    if not mdp.episodic:
        raise ValueError("episodes of this MDP need not end, so estimates from whole ones have no moments")
