"""Finite MDPs as tensor worlds: sampled episodes of the MDPs that `pgcourse.exact.mdp` solves exactly."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld
from pgcourse.exact import Gridworld, TabularMDP, cliff_gridworld


class TabularWorld(TensorWorld):
    """A `TabularMDP` to act in. The observation is the state; entering a terminal state terminates the episode.

    Rewards are r(s, a), as in `TabularMDP.rollouts`. A world does not discount: `mdp.gamma` is for the algorithm to
    take over, and `mdp.objective(theta)` then is the exact value of what it estimates.

    `time_limit`: steps after which an episode is truncated; algorithms that play whole episodes ask for one.

    Raises:
        ValueError: `time_limit` below 1.
    """

    name = "TabularWorld"
    initial_noise = 1
    transition_noise = 1

    def __init__(
        self,
        mdp: TabularMDP,
        envs: int = 1,
        time_limit: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(envs, dtype, device)
        if time_limit is not None and time_limit < 1:
            raise ValueError(f"time_limit must be 1 or more, or None, got {time_limit}")
        self.mdp = mdp
        self.time_limit = time_limit
        self.observation_space = spaces.Discrete(mdp.states)
        self.action_space = spaces.Discrete(mdp.actions)
        self._start = self._cumulative(mdp.start)
        self._transition = self._cumulative(mdp.transition.flatten(0, 1))
        self._reward = mdp.reward.flatten().to(self.device, dtype)
        self._terminal = mdp.terminal.to(self.device)

    def initial(self, noise: Tensor) -> Tensor:
        return (noise >= self._start).sum(-1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        row = state * self.mdp.actions + action
        following = (noise >= self._transition[row]).sum(-1)
        return following, self._reward[row], self._terminal[following]

    def _cumulative(self, p: Tensor) -> Tensor:
        """Distribution functions without their last entry, so that counting those at or below u inverts them.

        Relative to the rounded total: u close to 1 would else fall through to an outcome of probability 0.
        """
        cumulative = p.cumsum(-1)
        return (cumulative / cumulative[..., -1:])[..., :-1].to(self.device, self.dtype)


class GridWorld(TabularWorld):
    """`cliff_gridworld(**options)` to act in; by default the cliff of Sutton & Barto (2018), example 6.6.

        pg.make("GridWorld-v0", envs=8, picture="S..\\n.#.\\n..G", slip=0.1, time_limit=50)

    `world.mdp` is the gridworld with its exact values, its map and its `grid` for pictures.
    """

    name = "GridWorld-v0"
    mdp: Gridworld

    def __init__(
        self,
        envs: int = 1,
        time_limit: int | None = 100,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        **options: Any,
    ) -> None:
        super().__init__(cliff_gridworld(**options), envs, time_limit, dtype, device)
