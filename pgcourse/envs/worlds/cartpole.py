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

    State and observation: position x (m), velocity (m/s), angle θ (rad), angular velocity ω (rad/s). Actions: 0 pushes
    left, 1 right, with 10 N for 0.02 s (explicit Euler). Reward 1 a step; terminated beyond ±2.4 m or ±12°; truncated
    after 500 steps. A new episode starts with all four uniform in ±0.05.
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

    def __init__(self, envs: int = 1, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> None:
        super().__init__(envs, dtype, device)
        total = self.masscart + self.masspole
        self._push = self.constant([-self.force / total, self.force / total])
        self._gravity = self.constant(self.gravity)
        self._inertia = self.constant(4.0 / 3.0 * self.length)
        self._pole = self.masspole * self.length / total
        self._limits = self.constant([self.max_position, math.inf, self.max_angle, math.inf])
        self._low, self._high = self.constant(-0.05), self.constant(0.05)

    def initial(self, noise: Tensor) -> Tensor:
        return torch.lerp(self._low, self._high, noise)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Florian (2007), eqs. 23 and 24, without friction; M is the mass of cart and pole, m the pole's, l `length`.

        θ'' = (g sin θ - p cos θ) / (l (4/3 - m cos² θ / M)) with p = (F + m l ω² sin θ) / M, and
        x'' = p - m l θ'' cos θ / M.
        """
        _, x_dot, angle, angle_dot = state.unbind(-1)
        cos, sin = angle.cos(), angle.sin()
        push = torch.addcmul(self._push.take(action), angle_dot * angle_dot, sin, value=self._pole)
        angle_acc = (self._gravity * sin - cos * push) / torch.addcmul(self._inertia, cos, cos, value=-self._pole)
        x_acc = torch.addcmul(push, angle_acc, cos, value=-self._pole)
        rate = torch.stack([x_dot, x_acc, angle_dot, angle_acc], -1)
        state = torch.add(state, rate, alpha=self.tau)
        terminated = (state.abs() > self._limits).any(-1)
        return state, torch.ones_like(angle), terminated
