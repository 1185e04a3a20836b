"""CartPole-v1 as a tensor world."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class CartPole(TensorWorld):
    """Balance a pole on a cart. Barto, Sutton & Anderson (1983); step for step Gymnasium's `CartPole-v1`.

    State and observation: position (m), velocity (m/s), angle (rad), angular velocity (rad/s). Actions: 0 pushes left,
    1 right, with 10 N for 0.02 s (explicit Euler). Reward 1 a step; terminated beyond ±2.4 m or ±12°; truncated after
    500 steps.
    """

    name = "CartPole-v1"
    time_limit = 500
    initial_noise = 4

    gravity = 9.8
    masscart = 1.0
    masspole = 0.1
    length = 0.5  # half the pole's length
    force = 10.0
    tau = 0.02
    max_position = 2.4
    max_angle = 12 * 2 * math.pi / 360

    high = np.array([2 * max_position, np.inf, 2 * max_angle, np.inf], dtype=np.float32)
    observation_space = spaces.Box(-high, high)
    action_space = spaces.Discrete(2)

    def initial(self, noise: Tensor) -> Tensor:
        return 0.1 * noise - 0.05

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, x_dot, angle, angle_dot = state.unbind(-1)
        cos, sin = angle.cos(), angle.sin()
        total = self.masscart + self.masspole
        polemass_length = self.masspole * self.length
        force = (2 * action - 1) * self.force
        push = (force + polemass_length * angle_dot.square() * sin) / total
        angle_acc = (self.gravity * sin - cos * push) / (
            self.length * (4.0 / 3.0 - self.masspole * cos.square() / total)
        )
        x_acc = push - polemass_length * angle_acc * cos / total
        state = torch.stack(
            [
                x + self.tau * x_dot,
                x_dot + self.tau * x_acc,
                angle + self.tau * angle_dot,
                angle_dot + self.tau * angle_acc,
            ],
            -1,
        )
        terminated = (state[..., 0].abs() > self.max_position) | (state[..., 2].abs() > self.max_angle)
        return state, torch.ones_like(x), terminated
