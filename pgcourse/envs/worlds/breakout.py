"""MinAtar's Breakout as a tensor world."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld

SIZE = 10
BRICKS = slice(SIZE, 4 * SIZE)  # the cells of rows 1 to 3


class Breakout(TensorWorld):
    """Break bricks with a ball, and do not miss it; step for step `MinAtar/Breakout-v1`. Young & Tian (2019).

    *Observation* [4, 10, 10], 0 or 1, a channel each for the paddle (in row 9), the ball, its trail (where it was one
    step ago) and the bricks (rows 1 to 3, 30 of them); row 0 is at the top. *Actions*: 0 stays, 1 moves the paddle to
    the left, 2 to the right: MinAtar's minimal action set (its version v1; v0 has three more that do nothing). They are
    sticky: with probability `sticky` the last action is repeated instead. In the first step of an episode that is 0, in
    MinAtar it is the last of the episode before. The game has no ramp of difficulty.

    *Dynamics*: the ball moves by one cell along a diagonal. It turns at the walls and at a brick, which disappears:
    reward 1. (Only if it met none in the step before; else it goes through.) At the paddle it turns up: straight on
    across where the paddle is below it, back the way it came where the paddle is below the cell it was heading for.
    Once all bricks are gone, new ones are there when the ball comes down. The episode terminates when the ball passes
    the paddle. A new one begins with the ball at the left or right end of row 3, with equal probability, on its way
    down and inwards, and the paddle in column 4.

    *State* [39], int64: the ball's column and row, its direction (±1 across, ±1 down), the paddle's column, the last
    action, whether the ball met a brick in the last step, the trail's column and row, the 30 bricks.

    `time_limit`: steps after which an episode is truncated. MinAtar has none; 1000 is that of gymnax.

    Raises:
        ValueError: `sticky` outside 0 to 1, `time_limit` below 1.
    """

    name = "MinAtar/Breakout-v1"
    initial_noise = 1
    transition_noise = 1

    observation_space = spaces.Box(0.0, 1.0, (4, 10, 10), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(
        self,
        envs: int = 1,
        sticky: float = 0.1,
        time_limit: int | None = 1000,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(envs, dtype, device)
        if not 0 <= sticky <= 1:
            raise ValueError(f"sticky is a probability, from 0 to 1, got {sticky}")
        if time_limit is not None and time_limit < 1:
            raise ValueError(f"time_limit must be 1 or more, or None, got {time_limit}")
        self.sticky = sticky
        self.time_limit = time_limit

    def initial(self, noise: Tensor) -> Tensor:
        right = (noise >= 0.5).long()
        column = 9 * right
        three, four, zero, one = (torch.full_like(column, value) for value in (3, 4, 0, 1))
        parts = [column, three, 1 - 2 * right, one, four, zero, zero, column, three]
        return torch.cat([*parts, one.expand(*one.shape[:-1], 30)], -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, y, across, down, paddle, last, struck = state[..., :7].unbind(-1)
        bricks = state[..., 9:]
        action = torch.where(noise[..., 0] < self.sticky, last, action)
        paddle = (paddle + (action == 2).long() - (action == 1).long()).clamp(0, SIZE - 1)

        column, row = x + across, y + down
        across = torch.where(column.clamp(0, SIZE - 1) == column, across, -across)
        column = column.clamp(0, SIZE - 1)
        top = row < 0
        row = row.clamp_min(0)

        wall = (row >= 1) & (row <= 3)
        cell = torch.where(wall, SIZE * (row - 1) + column, 0).unsqueeze(-1)
        there = bricks.gather(-1, cell)
        met = wall & (there[..., 0] == 1)
        broken = met & (struck == 0)
        bricks = bricks.scatter(-1, cell, there - broken.long().unsqueeze(-1))

        low = row == SIZE - 1
        cleared = low & ~bricks.any(-1)
        bricks = bricks | cleared.long().unsqueeze(-1)
        over = low & (x == paddle)
        ahead = low & ~over & (column == paddle)
        caught = over | ahead

        across = torch.where(ahead, -across, across)
        turned = top | broken | caught
        down = torch.where(turned, -down, down)
        row = torch.where(broken | caught, y, row)
        parts = [column, row, across, down, paddle, action, met.long(), x, y]
        following = torch.cat([torch.stack(parts, -1), bricks], -1)
        return following, broken.to(self.dtype), low & ~caught

    def observe(self, state: Tensor) -> Tensor:
        cells = SIZE * SIZE
        x, y, paddle = state[..., 0], state[..., 1], state[..., 4]
        lit = torch.stack(
            [cells - SIZE + paddle, cells + SIZE * y + x, 2 * cells + SIZE * state[..., 8] + state[..., 7]], -1
        )
        image = torch.zeros(*state.shape[:-1], 4 * cells, dtype=self.dtype, device=state.device)
        image.scatter_(-1, lit, 1.0)
        image[..., 3 * cells :][..., BRICKS] = state[..., 9:].to(self.dtype)
        return image.unflatten(-1, (4, SIZE, SIZE))
