"""The linear-quadratic regulator: continuous control with an exact optimum, an exact return and its exact gradient.

Policies here are u = -K x + σ ε with ε ~ N(0, I): a gain K of shape [..., action, state] and log σ of shape
[..., action], any batch axes in front. Exact quantities are in float64, over an infinite horizon, and differentiable.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import ArrayLike
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class PolicyGradient(NamedTuple):
    """∂J/∂K and ∂J/∂log σ."""

    gain: Tensor  # [..., action, state]
    log_std: Tensor  # [..., action]


class LQR(TensorWorld):
    """x' = A x + B u + w with w ~ N(0, W), x_0 ~ N(0, S), and reward -(xᵀQx + uᵀRu) for the step from x by u.

    State and observation x, action u, both unbounded; never terminated. An episode is truncated after `time_limit`
    steps; J below is that of an episode which goes on.

    Args:
        A, B: dynamics, [state, state] and [state, action].
        Q, R: cost of state and action; symmetric, Q positive semidefinite, R positive definite.
        W, S: covariances of the process noise and of the start; positive semidefinite.

    Raises:
        ValueError: naming the matrix that is not as above.
    """

    name = "LQR"
    gaussian = True

    def __init__(
        self,
        A: ArrayLike,
        B: ArrayLike,
        Q: ArrayLike,
        R: ArrayLike,
        W: ArrayLike,
        S: ArrayLike,
        envs: int = 1,
        time_limit: int | None = 100,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(envs, dtype, device)
        if time_limit is not None and time_limit < 1:
            raise ValueError(f"time_limit must be 1 or more, or None, got {time_limit}")
        self.time_limit = time_limit
        self.B = _matrix("B", B)
        states, actions = self.B.shape
        self.A = _matrix("A", A, states)
        self.Q, self.W, self.S = (_covariance(name, m, states) for name, m in (("Q", Q), ("W", W), ("S", S)))
        self.R = _covariance("R", R, actions)
        if torch.linalg.eigvalsh(self.R)[0] <= 0:
            raise ValueError(f"R must be positive definite (actions must cost something), got {self.R.tolist()}")
        self.observation_space = spaces.Box(-np.inf, np.inf, (states,))
        self.action_space = spaces.Box(-np.inf, np.inf, (actions,))
        self.initial_noise = self.transition_noise = states
        self._world = [m.to(self.device, dtype) for m in (self.A, self.B, self.Q, self.R, _root(self.W))]
        self._start = _root(self.S).to(self.device, dtype)

    def initial(self, noise: Tensor) -> Tensor:
        return noise @ self._start.T

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        A, B, Q, R, root_W = self._world
        cost = ((state @ Q) * state).sum(-1) + ((action @ R) * action).sum(-1)
        following = state @ A.T + action @ B.T + noise @ root_W.T
        return following, -cost, torch.zeros_like(cost, dtype=torch.bool)

    def optimal_gain(self, gamma: float) -> Tensor:
        """K* = γ (R + γ BᵀPB)⁻¹ BᵀPA, [action, state]: the best gain that `exact_return` accepts, whatever σ is.

            P = Q + γ AᵀPA - γ² AᵀPB (R + γ BᵀPB)⁻¹ BᵀPA,

        the Riccati equation of Bertsekas (2005), volume I, section 4.1, for √γ A and √γ B.

        Raises:
            ValueError: γ outside (0, 1); no gain makes the return finite.
        """
        from scipy.linalg import solve_discrete_are  # takes 0.1 s to import

        _require_discount(gamma)
        A, B, Q, R = (m.numpy() for m in (gamma**0.5 * self.A, gamma**0.5 * self.B, self.Q, self.R))
        try:
            P = torch.from_numpy(solve_discrete_are(A, B, Q, R))
        except np.linalg.LinAlgError as error:
            raise ValueError(f"no gain makes the return finite at gamma = {gamma}: {error}") from error
        BP = gamma * self.B.T @ P
        return torch.linalg.solve(self.R + BP @ self.B, BP @ self.A)

    def exact_return(self, gain: Tensor, log_std: Tensor, gamma: float) -> Tensor:
        """The discounted return over an infinite horizon, shape [...].

            J = E[Σ_t γ^t r_t] = -tr(P_K S) - (γ tr(P_K W) + Σ_i σ_i² (R + γ BᵀP_K B)_ii) / (1-γ)
            P_K = Q + KᵀRK + γ (A - BK)ᵀ P_K (A - BK)

        The Lyapunov equation says that xᵀ P_K x, but for a constant, is the cost from x on. Fazel et al. (2018),
        section 2, with discount and Gaussian actions.

        Raises:
            ValueError: shapes; γ outside (0, 1); a gain whose return is not finite.
        """
        gain, log_std = self._policy(gain, log_std, gamma)
        P = self._cost_to_go(gain, gamma)
        noise = gamma * (P * self.W).sum((-2, -1)) + (self._action_cost(P, gamma) * (2 * log_std).exp()).sum(-1)
        return -(P * self.S).sum((-2, -1)) - noise / (1 - gamma)

    def exact_gradient(self, gain: Tensor, log_std: Tensor, gamma: float) -> PolicyGradient:
        """The policy gradient in closed form. Errors as `exact_return`.

            ∂J/∂K = -2 ((R + γ BᵀP_K B) K - γ BᵀP_K A) Σ_K,    ∂J/∂log σ_i = -2 σ_i² (R + γ BᵀP_K B)_ii / (1-γ)

        with Σ_K = Σ_t γ^t E[x_t x_tᵀ]. Fazel et al. (2018), lemma 1, with discount and Gaussian actions.
        """
        gain, log_std = self._policy(gain, log_std, gamma)
        variance = (2 * log_std).exp()
        P = self._cost_to_go(gain, gamma)
        BP = gamma * self.B.T @ P
        covariance = self._covariance(gain, variance, gamma)
        gradient = -2 * ((self.R + BP @ self.B) @ gain - BP @ self.A) @ covariance
        return PolicyGradient(gradient, -2 * variance * self._action_cost(P, gamma) / (1 - gamma))

    def _cost_to_go(self, gain: Tensor, gamma: float) -> Tensor:
        closed = self.A - self.B @ gain
        return _lyapunov(closed.mT, self.Q + gain.mT @ self.R @ gain, gamma)

    def _covariance(self, gain: Tensor, variance: Tensor, gamma: float) -> Tensor:
        """Σ_K = S + γ ((A - BK) Σ_K (A - BK)ᵀ + (W + B diag(σ²) Bᵀ) / (1-γ))."""
        noise = self.W + self.B @ variance.diag_embed() @ self.B.T
        return _lyapunov(self.A - self.B @ gain, self.S + gamma / (1 - gamma) * noise, gamma)

    def _action_cost(self, P: Tensor, gamma: float) -> Tensor:
        """What a unit of variance of each action costs now and later, (R + γ BᵀPB)_ii, [..., action]."""
        return (self.R + gamma * self.B.T @ P @ self.B).diagonal(dim1=-2, dim2=-1)

    def _policy(self, gain: Tensor, log_std: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
        """The policy in float64, after everything about it was found in order."""
        _require_discount(gamma)
        states, actions = self.B.shape
        if gain.shape[-2:] != (actions, states):
            raise ValueError(f"gain must have shape [..., {actions}, {states}], got {list(gain.shape)}")
        if log_std.shape != gain.shape[:-1]:
            raise ValueError(f"log_std must have shape {list(gain.shape[:-1])} to fit gain, got {list(log_std.shape)}")
        gain, log_std = gain.double(), log_std.double()
        radius = gamma**0.5 * torch.linalg.eigvals(self.A - self.B @ gain.detach()).abs().amax(-1)
        if not (radius < 1).all():
            raise ValueError(
                f"gain must keep √γ times the spectral radius of A - BK below 1, or the return is not finite; "
                f"got {radius.max().item():g} at gamma = {gamma}"
            )
        return gain, log_std


class ScalarLQR(LQR):
    """x' = x + 0.5 u + w in one dimension: a random walk to be held at 0."""

    name = "ScalarLQR-v0"

    def __init__(self, envs: int = 1, **options: Any) -> None:
        A, B, Q, R, W, S = ([[x]] for x in (1.0, 0.5, 1.0, 0.1, 0.01, 1.0))
        super().__init__(A, B, Q, R, W, S, envs, **options)


class DoubleIntegrator(LQR):
    """A unit mass on a line, to be brought to rest at 0: state (position, velocity), action a force, 0.1 s a step."""

    name = "DoubleIntegrator-v0"
    tau = 0.1

    def __init__(self, envs: int = 1, **options: Any) -> None:
        A = [[1.0, self.tau], [0.0, 1.0]]
        B = [[self.tau**2 / 2], [self.tau]]
        Q, R = np.diag([1.0, 0.1]), [[0.1]]
        W, S = np.diag([0.0, 0.05**2]), np.diag([1.0, 0.25])
        super().__init__(A, B, Q, R, W, S, envs, **options)


def _lyapunov(F: Tensor, M: Tensor, gamma: float) -> Tensor:
    """X = M + γ F X Fᵀ as a linear system: (I - γ F⊗F) vec X = vec M, row by row."""
    states = F.shape[-1]
    kronecker = torch.einsum("...ij,...kl->...ikjl", F, F).flatten(-4, -3).flatten(-2, -1)
    eye = torch.eye(states**2, dtype=F.dtype)
    return torch.linalg.solve(eye - gamma * kronecker, M.expand_as(F).flatten(-2)).unflatten(-1, (states, states))


def _matrix(name: str, matrix: ArrayLike, size: int | None = None) -> Tensor:
    """A float64 matrix, [size, size] where a size is given."""
    m = torch.from_numpy(np.array(matrix, dtype=np.float64))
    if m.ndim != 2 or 0 in m.shape or (size is not None and m.shape != (size, size)):
        wanted = "a matrix" if size is None else f"of shape [{size}, {size}] to fit B"
        raise ValueError(f"{name} must be {wanted}, got shape {list(m.shape)}")
    if not m.isfinite().all():
        raise ValueError(f"{name} must be finite, got {m.tolist()}")
    return m


def _covariance(name: str, matrix: ArrayLike, size: int) -> Tensor:
    m = _matrix(name, matrix, size)
    if not torch.allclose(m, m.T, rtol=1e-9, atol=1e-12) or torch.linalg.eigvalsh(m)[0] < -1e-12 * m.abs().max():
        raise ValueError(f"{name} must be symmetric and positive semidefinite, got {m.tolist()}")
    return m


def _root(m: Tensor) -> Tensor:
    """M with M Mᵀ = m, also where m is singular."""
    values, vectors = torch.linalg.eigh(m)
    return vectors * values.clamp_min(0).sqrt()


def _require_discount(gamma: float) -> None:
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must be above 0 and below 1, got {gamma}")
