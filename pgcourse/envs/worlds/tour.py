"""A round trip through random cities: a world where most actions soon become invalid."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class Tour(TensorWorld):
    """Visit every one of n cities once and return, on a short way: the travelling salesman's problem.

    The cities are drawn anew for each episode, uniformly in the unit square; the tour starts in city 0. Action a goes
    straight to city a, and the reward is minus the way. The last city is left for city 0 at once, and the episode
    terminates: its undiscounted return is minus the tour's length. An action is *invalid* if its city has been visited:
    the traveller stays where he is and pays `penalty`. Truncated after 4 n steps.

    State: the places of all cities and of the traveller, and which cities are still to be visited. Observation: how far
    each city is from here, n numbers, and which actions are valid, n numbers 0 or 1.

    Raises:
        ValueError: fewer than 2 cities, a negative penalty.
    """

    action_space: spaces.Discrete

    def __init__(
        self,
        envs: int = 1,
        cities: int = 10,
        penalty: float = 1.0,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(envs, dtype, device)
        if cities < 2 or penalty < 0:
            raise ValueError(f"cities must be 2 or more and penalty not negative, got {cities} and {penalty}")
        self.cities, self.penalty = cities, penalty
        self.name, self.time_limit, self.initial_noise = f"Tour{cities}-v0", 4 * cities, 2 * cities
        high = np.array([math.sqrt(2)] * cities + [1.0] * cities, np.float32)
        self.observation_space, self.action_space = spaces.Box(np.zeros_like(high), high), spaces.Discrete(cities)

    def initial(self, noise: Tensor) -> Tensor:
        open_ = torch.ones_like(noise[..., : self.cities])
        open_[..., 0] = 0.0
        return torch.cat([noise, noise[..., :2], open_], -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places, here, still = state.split([2 * self.cities, 2, self.cities], -1)
        cities, which = places.unflatten(-1, (self.cities, 2)), action.unsqueeze(-1)
        valid = still.gather(-1, which) > 0
        there = cities.gather(-2, which.unsqueeze(-1).expand(*which.shape, 2)).squeeze(-2).where(valid, here)
        still = still.scatter(-1, which, 0.0)
        over = (still == 0).all(-1)
        home = (there - cities[..., 0, :]).norm(dim=-1).where(over, 0.0)
        reward = torch.where(valid.squeeze(-1), -(there - here).norm(dim=-1) - home, -self.penalty)
        return torch.cat([places, there, still], -1), reward, over

    def observe(self, state: Tensor) -> Tensor:
        places, here, still = state.split([2 * self.cities, 2, self.cities], -1)
        way = places.unflatten(-1, (self.cities, 2)) - here.unsqueeze(-2)
        return torch.cat([way.norm(dim=-1), still], -1)
