"""Builders of small MDPs: random ones, the two-state chain, gridworlds drawn as text, the ledge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pgcourse.exact.mdp import TabularMDP


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


def ledge(length: int = 8, fall: float = -20.0, gamma: float = 0.95) -> TabularMDP:
    """A row of cells before an edge, for policies that act alike in all of them. No episode ends.

    The actions are back, to the first cell for nothing, and on, one cell further for a reward of 1; on from the last
    cell is worth `fall` and leads to the first. Who hesitates in every cell hardly ever sees the edge.

    Raises:
        ValueError: a length below 2.
    """
    if length < 2:
        raise ValueError(f"length must be 2 or more, got {length}")
    cells = torch.arange(length)
    transition = torch.zeros(length, 2, length, dtype=torch.float64)
    transition[:, 0, 0] = 1
    transition[cells, 1, (cells + 1) % length] = 1
    reward = torch.zeros(length, 2, dtype=torch.float64)
    reward[:, 1] = 1
    reward[-1, 1] = fall
    start = (cells == 0).to(torch.float64)
    return TabularMDP(transition, reward, start, gamma, torch.zeros(length, dtype=torch.bool), (), ("back", "on"))


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
