"""Finite Markov decision processes in float64: what sampling estimates, linear algebra gives exactly.

A policy is θ of shape [seed, state·action], the parameters of a tabular softmax π_θ(a|s) = softmax(θ_s)_a. Everything
that takes θ is batched over its rows and differentiable in it.

The occupancy is *unnormalised* throughout: d_π(s) = Σ_t γ^t Pr(s_t = s), so that Σ_s d_π(s) = 1/(1-γ) where no episode
ends. Entering a terminal state ends the episode: nobody acts there, its value and its occupancy are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
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

    def expected_score(self, theta: Tensor, weight: Tensor | None = None) -> Tensor:
        """E_{a~π}[w(s, a) ∇log π(a|s)] of every state, [seed, state, state·action]; `weight` w is [state, action].

        Zero for any weight that depends on the state alone: the lemma on which every baseline rests.
        """
        pi = self.pi(theta)
        return torch.einsum("nsa,nsap->nsp", pi if weight is None else pi * weight, self.score(theta))

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


def random_mdp(
    states: int = 5, actions: int = 3, seed: int = 0, gamma: float = 0.9, termination: float = 0.1
) -> TabularMDP:
    """Uniformly random transitions (Dirichlet(1)) and start, rewards ~ N(0, 1).

    Every step ends the episode with probability `termination`, by entering one more state, "end"; with 0 there is none.
    """
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.ones(states), (states, actions))
    reward = rng.normal(size=(states, actions))
    return _ending(transition, reward, rng.dirichlet(np.ones(states)), gamma, termination)


def two_state_chain(gamma: float = 0.9, termination: float = 0.0) -> TabularMDP:
    """The textbooks' two-state Markov chain, its switching probabilities chosen by the policy.

    Actions are stay and switch; acting in state 1 is worth 1, in state 0 nothing; it starts in state 0. With
    p = π(switch|0), q = π(switch|1) and γ̄ = γ (1 - termination), J = γ̄ p / ((1 - γ̄) (1 - γ̄ (1 - p - q))).
    """
    stay, switch = np.eye(2), np.eye(2)[::-1]
    transition = np.stack([stay, switch], 1)
    reward = np.array([[0.0, 0.0], [1.0, 1.0]])
    return _ending(transition, reward, np.array([1.0, 0.0]), gamma, termination, action_names=("stay", "switch"))


CLIFF = """
............
............
............
SCCCCCCCCCCG
"""
MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}


@dataclass(frozen=True, eq=False)
class Gridworld(TabularMDP):
    """A TabularMDP whose states lie on a grid: `cells[s]` is (row, column), `picture` the rows of the map."""

    picture: tuple[str, ...] = ()
    cells: tuple[tuple[int, int], ...] = ()

    def grid(self, values: Tensor) -> Tensor:
        """Lay [..., state] out as [..., row, column] for a picture; NaN where there is no state."""
        rows, columns = zip(*self.cells, strict=True)
        canvas = values.new_full((*values.shape[:-1], len(self.picture), len(self.picture[0])), torch.nan)
        canvas[..., list(rows), list(columns)] = values
        return canvas


def cliff_gridworld(
    picture: str = CLIFF,
    gamma: float = 0.95,
    slip: float = 0.0,
    step_reward: float = -1.0,
    goal_reward: float = -1.0,
    cliff_reward: float = -100.0,
    actions: tuple[str, ...] = ("up", "right", "down", "left"),
) -> Gridworld:
    """A gridworld drawn as text. The default is Sutton & Barto (2018), example 6.6, with a discount. Walking at random
    takes long there (`visits(theta).sum()` steps): for sampled episodes draw a smaller one.

    `S` start (several: one of them at random), `G` goal (the end), `C` cliff, `#` wall, `.` free. A step into a wall or
    out of the picture stays where it is; a step over the cliff puts the walker back at a start. The reward belongs to
    the cell that is stepped on: `cliff_reward`, `goal_reward`, or `step_reward` for all others. With probability `slip`
    one of the other actions happens instead, each as likely.

    Raises:
        ValueError: a picture with uneven rows, an unknown sign, no start or no goal; slip outside [0, 1]; an unknown
            action.
    """
    rows = tuple(picture.split())
    if not rows or len({len(row) for row in rows}) != 1:
        raise ValueError(f"picture must have rows of one length, got lengths {[len(row) for row in rows]}")
    signs = {(i, j): sign for i, row in enumerate(rows) for j, sign in enumerate(row)}
    if unknown := set(signs.values()) - set("SGC#."):
        raise ValueError(f"picture may hold S, G, C, # and . only, got {sorted(unknown)}")
    if missing := {"S", "G"} - set(signs.values()):
        raise ValueError(f"picture must have a start S and a goal G; missing: {sorted(missing)}")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip must be in [0, 1], got {slip}")
    if unknown := set(actions) - set(MOVES):
        raise ValueError(f"actions must be among {list(MOVES)}, got {sorted(unknown)}")

    cells = tuple(cell for cell, sign in signs.items() if sign not in "C#")
    state = {cell: s for s, cell in enumerate(cells)}
    start = np.array([signs[cell] == "S" for cell in cells], dtype=float)
    start /= start.sum()
    rewards = {"C": cliff_reward, "G": goal_reward}
    transition = np.zeros((len(cells), len(actions), len(cells)))
    reward = np.zeros((len(cells), len(actions)))
    for cell, s in state.items():
        for a, name in enumerate(actions):
            target = (cell[0] + MOVES[name][0], cell[1] + MOVES[name][1])
            if signs.get(target, "#") == "#":
                target = cell
            sign = signs[target]
            transition[s, a] = start if sign == "C" else np.eye(len(cells))[state[target]]
            reward[s, a] = rewards.get(sign, step_reward)
    mix = np.full((len(actions), len(actions)), slip / max(1, len(actions) - 1))
    np.fill_diagonal(mix, 1 - slip)
    return Gridworld(
        transition=torch.from_numpy(np.einsum("ab,sbt->sat", mix, transition)),
        reward=torch.from_numpy(reward @ mix.T),
        start=torch.from_numpy(start),
        gamma=gamma,
        terminal=torch.tensor([signs[cell] == "G" for cell in cells]),
        state_names=tuple(f"{signs[cell]} {cell[0]},{cell[1]}".removeprefix(". ") for cell in cells),
        action_names=actions,
        picture=rows,
        cells=cells,
    )


def corridor(length: int = 5, gamma: float = 0.9, slip: float = 0.0) -> Gridworld:
    """`length` cells in a row, from the leftmost to the rightmost; the step that enters the last one is worth 1.

    Actions are left and right; with probability `slip` the other one happens. Left of the first cell is a wall.

    Raises:
        ValueError: a length below 2, or slip outside [0, 1].
    """
    if length < 2:
        raise ValueError(f"length must be 2 or more, got {length}")
    picture = "S" + "." * (length - 2) + "G"
    return cliff_gridworld(picture, gamma, slip, step_reward=0.0, goal_reward=1.0, actions=("left", "right"))


def _ending(
    transition: np.ndarray,
    reward: np.ndarray,
    start: np.ndarray,
    gamma: float,
    termination: float,
    action_names: tuple[str, ...] = (),
) -> TabularMDP:
    """The same world, each step of which leads to one more state, "end", with probability `termination`."""
    if not 0 <= termination <= 1:
        raise ValueError(f"termination must be in [0, 1], got {termination}")
    states = len(start)
    names = tuple(str(s) for s in range(states))
    if termination > 0:
        transition = np.pad((1 - termination) * transition, ((0, 1), (0, 0), (0, 1)))
        transition[:, :, -1] += termination
        transition[-1, :, -1] = 1
        reward, start, names = np.pad(reward, ((0, 1), (0, 0))), np.pad(start, (0, 1)), (*names, "end")
    return TabularMDP(
        transition=torch.from_numpy(transition.copy()),
        reward=torch.from_numpy(reward),
        start=torch.from_numpy(start),
        gamma=gamma,
        terminal=torch.arange(len(start)) == states,
        state_names=names,
        action_names=action_names,
    )


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
