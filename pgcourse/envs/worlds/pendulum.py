"""Pendulum-v1 as a tensor world."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class Pendulum(TensorWorld):
    """Swing a pendulum up with a motor too weak to lift it at once; step for step Gymnasium's `Pendulum-v1`.

    State: angle θ from upright (rad, not wrapped) and angular velocity ω (rad/s); observation (cos θ, sin θ, ω).
    Action: torque u (N m), clipped here to ±2, so that a policy's log-probability is that of the unclipped action.
    Reward -(θ² + 0.1 ω² + 0.001 u²) with θ wrapped to ±π: between -(π² + 6.404) and 0. Never terminated;
    truncated after 200 steps. A new episode starts with θ uniform in ±π and ω in ±1.
    """

    name = "Pendulum-v1"
    time_limit = 200
    initial_noise = 2

    gravity = 10.0
    mass = 1.0
    length = 1.0
    tau = 0.05
    max_speed = 8.0
    max_torque = 2.0

    high = np.array([1.0, 1.0, max_speed], dtype=np.float32)
    observation_space = spaces.Box(-high, high)
    action_space = spaces.Box(-max_torque, max_torque, (1,))

    def __init__(self, envs: int = 1, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> None:
        super().__init__(envs, dtype, device)
        self._low, self._high = self.constant([-math.pi, -1.0]), self.constant([math.pi, 1.0])
        self._pi, self._turn = self.constant(math.pi), self.constant(2 * math.pi)
        self._pull = 3 * self.gravity / (2 * self.length) * self.tau
        self._drive = 3 / (self.mass * self.length**2) * self.tau

    def initial(self, noise: Tensor) -> Tensor:
        return torch.lerp(self._low, self._high, noise)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """θ'' = 3g/(2l) sin θ + 3/(m l²) u: a rod turning about its end; semi-implicit Euler."""
        angle, speed = state.unbind(-1)
        torque = action[..., 0].clamp(-self.max_torque, self.max_torque)
        wrapped = (angle + self._pi).remainder(self._turn) - self._pi
        cost = wrapped.square().add(speed.square(), alpha=0.1).add(torque.square(), alpha=0.001)
        speed = speed.add(angle.sin(), alpha=self._pull).add(torque, alpha=self._drive)
        speed = speed.clamp(-self.max_speed, self.max_speed)
        angle = angle.add(speed, alpha=self.tau)
        return torch.stack([angle, speed], -1), -cost, torch.zeros_like(angle, dtype=torch.bool)

    def observe(self, state: Tensor) -> Tensor:
        angle, speed = state.unbind(-1)
        return torch.stack([angle.cos(), angle.sin(), speed], -1)
