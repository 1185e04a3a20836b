"""Finite Markov decision processes in float64: values, occupancies and policy gradients by linear algebra.

A policy is θ of shape [seed, state·action], the parameters of a tabular softmax π_θ(a|s) = softmax(θ_s)_a. Everything
that takes θ is batched over its rows and differentiable in it.

The occupancy is *unnormalised* throughout: d_π(s) = Σ_t γ^t Pr(s_t = s), so that Σ_s d_π(s) = 1/(1-γ) where no episode
ends. Entering a terminal state ends the episode: nobody acts there, its value and its occupancy are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pgcourse.core import SoftmaxPolicy, Streams, Table
from pgcourse.rl.trajectory import Trajectory


@dataclass(frozen=True)
class Optimum:
    """The best stationary policy: `v` [state], `q` [state, action], the greedy `action` [state], J* = ρ₀ᵀ v."""

    v: Tensor
    q: Tensor
    action: Tensor
    objective: float


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """States 0..S-1 and actions 0..A-1 with known dynamics.

    Args:
        transition: P(s'|s, a), [state, action, next state].
        reward: r(s, a), the expected reward, [state, action].
        start: ρ₀, the distribution of s_0, [state]; no mass on terminal states.
        gamma: discount γ in [0, 1]; γ = 1 only where an end can be reached from every state.
        terminal: where an episode is over, [state], bool.
        state_names, action_names: for tables and plots; numbers where left out.

    Raises:
        ValueError: naming the field that is not as above.
    """

    transition: Tensor
    reward: Tensor
    start: Tensor
    gamma: float
    terminal: Tensor
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("transition", "reward", "start"):
            object.__setattr__(self, name, torch.as_tensor(getattr(self, name), dtype=torch.float64))
        object.__setattr__(self, "terminal", torch.as_tensor(self.terminal, dtype=torch.bool))
        shape = tuple(self.transition.shape)
        if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
            raise ValueError(f"transition must have shape [state, action, state], got {list(shape)}")
        states, actions, _ = shape
        for name, wanted in (("reward", (states, actions)), ("start", (states,)), ("terminal", (states,))):
            if (found := tuple(getattr(self, name).shape)) != wanted:
                raise ValueError(f"{name} must have shape {list(wanted)} to fit transition, got {list(found)}")
        for name in ("transition", "start"):
            _require_distribution(name, getattr(self, name))
        if not self.reward.isfinite().all():
            raise ValueError(f"reward must be finite, got {self.reward[~self.reward.isfinite()][0].item()}")
        if self.start[self.terminal].any():
            raise ValueError("start must have no mass on terminal states: an episode begins with an action")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], got {self.gamma}")
        if self.gamma == 1 and not self.episodic:
            raise ValueError("gamma = 1 needs a terminal state within reach of every state; make gamma < 1")
        for name, count in (("state_names", states), ("action_names", actions)):
            names = tuple(getattr(self, name)) or tuple(str(i) for i in range(count))
            if len(names) != count:
                raise ValueError(f"{name} must have {count} entries, got {len(names)}")
            object.__setattr__(self, name, names)

    @property
    def states(self) -> int:
        return self.transition.shape[0]

    @property
    def actions(self) -> int:
        return self.transition.shape[1]

    @cached_property
    def policy(self) -> SoftmaxPolicy:
        """The tabular softmax that all θ here belong to."""
        return SoftmaxPolicy(Table(self.states, self.actions))

    @cached_property
    def episodic(self) -> bool:
        """Whether an end is within reach of every state, so that under any softmax policy every episode ends."""
        reaches = self.terminal
        moves = self.transition.sum(1) > 0
        for _ in range(self.states):
            reaches = reaches | (moves & reaches).any(1)
        return bool(reaches.all())

    # Dynamics and rewards with the end of an episode worked in: nothing leads into or out of a terminal state.

    @cached_property
    def _transition(self) -> Tensor:
        live = (~self.terminal).to(self.transition)
        return self.transition * live.view(-1, 1, 1) * live

    @cached_property
    def _reward(self) -> Tensor:
        return self.reward * ~self.terminal.unsqueeze(1)

    # Exact quantities of a policy.

    def pi(self, theta: Tensor) -> Tensor:
        """π_θ(a|s), [seed, state, action].

        Raises:
            ValueError: θ is not [seed, state·action].
        """
        if theta.ndim != 2 or theta.shape[1] != self.policy.size:
            raise ValueError(f"theta must have shape [seed, {self.policy.size}], got {list(theta.shape)}")
        return theta.to(torch.float64).view(-1, self.states, self.actions).softmax(-1)

    def dynamics(self, theta: Tensor) -> Tensor:
        """P_π(s'|s) = Σ_a π(a|s) P(s'|s, a) between non-terminal states, [seed, state, next state]."""
        return torch.einsum("nsa,sat->nst", self.pi(theta), self._transition)

    def v(self, theta: Tensor) -> Tensor:
        """v_π = (I - γ P_π)⁻¹ r_π, [seed, state]. Sutton & Barto (2018), eq. 4.4 as a linear system."""
        expected_reward = (self.pi(theta) * self._reward).sum(-1)
        return self._backward(theta, expected_reward)

    def q(self, theta: Tensor) -> Tensor:
        """q_π(s, a) = r(s, a) + γ Σ_s' P(s'|s, a) v_π(s'), [seed, state, action]."""
        return self._reward + self.gamma * torch.einsum("sat,nt->nsa", self._transition, self.v(theta))

    def advantage(self, theta: Tensor) -> Tensor:
        """A_π = q_π - v_π, [seed, state, action]."""
        return self.q(theta) - self.v(theta).unsqueeze(-1)

    def objective(self, theta: Tensor) -> Tensor:
        """J(θ) = E[Σ_t γ^t r_t] = ρ₀ᵀ v_π, [seed]."""
        return self.v(theta) @ self.start

    def occupancy(self, theta: Tensor) -> Tensor:
        """d_π(s) = Σ_t γ^t Pr(s_t = s), unnormalised: d_π = (I - γ P_πᵀ)⁻¹ ρ₀, [seed, state]."""
        return self._forward(theta, self.gamma)

    def visits(self, theta: Tensor) -> Tensor:
        """Σ_t Pr(s_t = s): how often an episode visits each state, on average, [seed, state].

        Raises:
            ValueError: the episodes of this MDP need not end, so the sum is infinite.
        """
        self._require_episodic("the expected number of visits is infinite")
        return self._forward(theta, 1.0)

    def gradient(self, theta: Tensor) -> Tensor:
        """The policy gradient theorem for tabular softmax, exactly: [seed, state·action].

            ∂J/∂θ_{s,a} = d_π(s) π(a|s) A_π(s, a)

        Sutton et al. (2000), theorem 1; Agarwal et al. (2021), lemma C.1 (with d_π normalised there).
        Chapter 02 derives it.
        """
        return self._gradient(theta, self.occupancy(theta))

    def gradient_without_discount(self, theta: Tensor) -> Tensor:
        """What dropping the factor γ^t estimates: Σ_t Pr(s_t = s) in the place of d_π, [seed, state·action].

        It is not the gradient of any function of θ (Nota & Thomas, 2020).

        Raises:
            ValueError: the episodes of this MDP need not end, so the sum is infinite.
        """
        return self._gradient(theta, self.visits(theta))

    def score(self, theta: Tensor) -> Tensor:
        """∇_θ log π(a|s) = e_{s,a} - Σ_b π(b|s) e_{s,b}, [seed, state, action, state·action]."""
        pi = self.pi(theta)
        score = torch.zeros(len(pi), self.states, self.actions, self.states, self.actions, dtype=pi.dtype)
        inner = torch.eye(self.actions, dtype=pi.dtype) - pi.unsqueeze(-2)
        rows = torch.arange(self.states)
        score[:, rows, :, rows] = inner.transpose(0, 1)
        return score.flatten(3)

    def optimal(self, tolerance: float = 1e-12, max_iterations: int = 1_000_000) -> Optimum:
        """v* by value iteration, v ← max_a [r(s, a) + γ Σ_s' P(s'|s, a) v(s')]. Sutton & Barto (2018), eq. 4.10.

        Stops when |v - v*| ≤ `tolerance` · max(1, |v|) is certain (γ < 1), or v no longer moves by that much (γ = 1).

        Raises:
            ValueError: no convergence, as where γ = 1 and an endless episode earns without bound.
        """
        v = torch.zeros(self.states, dtype=torch.float64)
        reach = self.gamma / (1 - self.gamma) if self.gamma < 1 else 1.0
        for _ in range(max_iterations):
            q = self._reward + self.gamma * self._transition @ v
            before, v = v, q.max(-1).values
            if reach * (v - before).abs().max() <= tolerance * max(1.0, v.abs().max().item()):
                q = self._reward + self.gamma * self._transition @ v
                return Optimum(v, q, q.argmax(-1), float(self.start @ v))
        raise ValueError(f"value iteration did not converge in {max_iterations} sweeps (gamma = {self.gamma})")

    # Samples.

    @torch.no_grad()
    def rollouts(self, theta: Tensor, streams: Streams, episodes: int, max_steps: int = 10_000) -> Trajectory:
        """`episodes` whole episodes for each seed, run until the last has ended; time 0 is every episode's start.

        Rewards are r(s, a). Memory grows with episodes × the longest episode: for more than some 10⁵ episodes draw
        several times from the same streams.

        Raises:
            ValueError: as many streams as rows of θ are needed; episodes that need not end; `max_steps` is too few.
        """
        if len(streams) != len(theta):
            raise ValueError(f"theta has {len(theta)} rows and streams has {len(streams)} seeds; they must be as many")
        if episodes < 1:
            raise ValueError(f"episodes must be 1 or more, got {episodes}")
        self._require_episodic("their rollouts have no last step")
        choice, move, start = (_cumulative(p) for p in (self.pi(theta), self.transition, self.start))
        steps = []
        for seed, generator in enumerate(streams.generators()):
            running = torch.arange(episodes)
            state = _draw(start.expand(episodes, -1), generator)
            for time in range(max_steps):
                action = _draw(choice[seed, state], generator)
                next_state = _draw(move[state, action], generator)
                steps.append((seed, time, running, state, action, next_state))
                goes_on = ~self.terminal[next_state]
                running, state = running[goes_on], next_state[goes_on]
                if not len(running):
                    break
            else:
                raise ValueError(f"{len(running)} of {episodes} episodes outlast max_steps={max_steps}; raise it")
        return self._trajectory(steps, len(theta), episodes)

    def _trajectory(
        self, steps: list[tuple[int, int, Tensor, Tensor, Tensor, Tensor]], seeds: int, episodes: int
    ) -> Trajectory:
        """Lay packed steps (seed, time, running episodes, s, a, s') out over [seed, time, env]."""
        shape = (seeds, 1 + max(time for _, time, *_ in steps), episodes)
        obs, action, next_obs = torch.zeros(3, *shape, dtype=torch.int64)
        mask = torch.zeros(shape, dtype=torch.bool)
        for seed, time, running, *packed in steps:
            for column, values in zip((obs, action, next_obs), packed, strict=True):
                column[seed, time, running] = values
            mask[seed, time, running] = True
        reward = self.reward[obs, action].where(mask, 0.0)
        terminated = self.terminal[next_obs] & mask
        return Trajectory(obs, action, reward, next_obs, terminated, torch.zeros_like(mask), mask)

    def _backward(self, theta: Tensor, x: Tensor) -> Tensor:
        """(I - γ P_π)⁻¹ x: values of the reward x, [seed, state]."""
        dynamics = self.dynamics(theta)
        return torch.linalg.solve(torch.eye(self.states, dtype=x.dtype) - self.gamma * dynamics, x)

    def _forward(self, theta: Tensor, discount: float) -> Tensor:
        """(I - discount · P_πᵀ)⁻¹ ρ₀: discounted visits from the start on, [seed, state]."""
        dynamics = self.dynamics(theta).mT
        system = torch.eye(self.states, dtype=dynamics.dtype) - discount * dynamics
        return torch.linalg.solve(system, self.start.expand(len(theta), -1))

    def _gradient(self, theta: Tensor, weight: Tensor) -> Tensor:
        return (weight.unsqueeze(-1) * self.pi(theta) * self.advantage(theta)).flatten(1)

    def _require_episodic(self, otherwise: str) -> None:
        if not self.episodic:
            raise ValueError(f"episodes of this MDP need not end, so {otherwise}; give it a terminal state in reach")


def _require_distribution(name: str, p: Tensor) -> None:
    if (p < 0).any() or not torch.allclose(p.sum(-1), torch.ones((), dtype=p.dtype), rtol=0, atol=1e-9):
        sums = p.sum(-1).flatten()
        worst = sums[(sums - 1).abs().argmax()].item()
        raise ValueError(f"{name} must be probabilities; smallest entry {p.min().item():g}, worst sum {worst:g}")


def _cumulative(p: Tensor) -> Tensor:
    """Distribution functions over the last axis that reach exactly 1 at the last possible outcome."""
    cumulative = p.cumsum(-1)
    return (cumulative / cumulative[..., -1:])[..., :-1]


def _draw(cumulative: Tensor, generator: torch.Generator) -> Tensor:
    """One outcome of each distribution, by inversion: the first with a distribution function above u."""
    u = torch.rand(len(cumulative), 1, generator=generator, dtype=cumulative.dtype)
    return (u >= cumulative).sum(-1)
