"""A planar robot arm with any number of joints, as a tensor world."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class Arm(TensorWorld):
    """Reach a point in the plane with the tip of an arm of n joints: `Arm2-v0` has two, like MuJoCo's `Reacher-v5`.

    The arm is n equal uniform rods, together 1 m long and 1 kg heavy, the first one hinged at the origin. Its plane is
    horizontal; with `gravity` (m/s²) it is vertical, and gravity points along -y.

    *Observation* [3n + 4]: cos q, sin q, q̇, target, tip - target, with the joint angles q (rad, of each rod against the
    one before, the first against the x-axis) and their velocities q̇ (rad/s). *State*: the same, in the rods' angles
    against the x-axis, φ_i = q_1 + ... + q_i (not wrapped), their velocities φ̇, and the target (m).

    *Action*: u, one number a joint, clipped here to ±1, so that a policy's log-probability is that of the unclipped
    action. Each joint has a motor with a straight torque-speed line: its torque is τ̂ (u - q̇/ω₀), with the stall torque
    τ̂ and the no-load speed ω₀ = 8 rad/s. The second part is viscous damping, d = τ̂/ω₀. The motor's own inertia is
    0.1 s · d: alone, it would reach its speed with this time constant, and so no motion of the arm is damped faster,
    however many joints there are. τ̂_i = 6 rad/s² · M_i1(0) (N m), with the rods' mass matrix M at q = 0: the motors can
    swing the stretched arm about its base at 6 rad/s² without it bending.

    *Dynamics*: `acceleration`; u is held for 0.05 s, one step of the classical Runge-Kutta method. *Reward*, after the
    step: -|tip - target| - 0.01 |u|²/n. Never terminated; truncated after 100 steps.

    A new episode starts at rest, every q uniform in ±0.1. The target is the tip of an arm in a random posture, every
    angle uniform in ±π: it can be reached, whatever n is.

    Raises:
        ValueError: `joints` outside 1 to 6: the outer rods of a longer arm move too fast for this step size.
    """

    time_limit = 100

    length = 1.0
    mass = 1.0
    tau = 0.05
    stall_acceleration = 6.0
    no_load_speed = 8.0
    motor_time = 0.1
    effort = 0.01
    most_joints = 6

    def __init__(
        self,
        envs: int = 1,
        joints: int = 2,
        gravity: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(envs, dtype, device)
        if not 1 <= joints <= self.most_joints:
            raise ValueError(f"joints must be from 1 to {self.most_joints}, got {joints}")
        self.name = f"Arm{joints}-v0"
        self.joints = joints
        self.gravity = gravity
        self.initial_noise = 2 * joints
        high = np.array([1.0] * 2 * joints + [np.inf] * joints + [self.length] * 2 + [2 * self.length] * 2, np.float32)
        self.observation_space = spaces.Box(-high, high)
        self.action_space = spaces.Box(-1.0, 1.0, (joints,))

        rod, mass = self.length / joints, self.mass / joints
        # How far the centre of rod k moves when rod j turns: its whole length where k is further out, half for itself.
        lever = rod * (np.tri(joints, k=-1) + np.eye(joints) / 2)
        inertia = mass * lever.T @ lever + mass * rod**2 / 12 * np.eye(joints)
        stall = self.stall_acceleration * inertia.sum(1)[::-1].cumsum()[::-1]
        difference = np.eye(joints) - np.eye(joints, k=-1)  # q = difference @ φ
        damping = difference.T @ np.diag(stall / self.no_load_speed) @ difference
        self._inertia = self.constant(inertia.tolist())
        self._damping = self.constant(damping.tolist())
        self._motors = self.constant((self.motor_time * damping).tolist())
        self._weight = self.constant((gravity * mass * lever.sum(0)).tolist())
        self._rod = self.constant(rod)
        self._start = self.constant([0.1] * joints + [math.pi] * joints)
        self.stall_torque = self.constant(stall.tolist())

    def acceleration(self, angle: Tensor, rate: Tensor, torque: Tensor) -> Tensor:
        """φ̈ for φ, φ̇ and the motors' stall torques τ = τ̂ u; all [..., n].

        Lagrange's equations in φ, where no velocities are mixed. The centre of rod k is at Σ_j l_kj (cos φ_j, sin φ_j);
        c_ij = Σ_k m l_ki l_kj + δ_ij m l²/12, with m and l of one rod:

            Σ_j (c_ij cos(φ_i - φ_j) + r_ij) φ̈_j + Σ_j (c_ij sin(φ_i - φ_j) φ̇_j + d_ij) φ̇_j + w_i cos φ_i
                = τ_i - τ_(i+1)

        A motor turns its rod one way and the rod before it the other; r and d are the motors' inertia and damping seen
        from φ, w_i = Σ_k m g l_ki. With M_ij(q) = Σ_(a≥i, b≥j) (c_ab cos(φ_a - φ_b) + r_ab) this is the manipulator
        equation M(q) q̈ + C(q, q̇) q̇ + g(q) = torque, see Murray, Li & Sastry (1994), chapter 4.
        """
        difference = angle.unsqueeze(-1) - angle.unsqueeze(-2)
        inertia = torch.addcmul(self._motors, self._inertia, difference.cos())
        rates = rate.unsqueeze(-2)
        load = (torch.addcmul(self._damping, self._inertia * difference.sin(), rates) * rates).sum(-1)
        if self.gravity:
            load = torch.addcmul(load, self._weight, angle.cos())
        push = torch.cat([-torque.diff(), torque[..., -1:]], -1)
        turn: Tensor = torch.linalg.solve_ex(inertia, push - load)[0]
        return turn

    def skeleton(self, angle: Tensor) -> Tensor:
        """Where the base, every joint and at last the tip are (m), for pictures: φ [..., n] to [..., n + 1, 2]."""
        points = self._rod * torch.stack([angle.cos(), angle.sin()], -1).cumsum(-2)
        return torch.cat([torch.zeros_like(points[..., :1, :]), points], -2)

    def tip(self, angle: Tensor) -> Tensor:
        """Where the tip is (m): φ [..., n] to [..., 2]."""
        return self._rod * torch.stack([angle.cos().sum(-1), angle.sin().sum(-1)], -1)

    def initial(self, noise: Tensor) -> Tensor:
        angle, posture = (self._start * (2 * noise - 1)).unflatten(-1, (2, self.joints)).cumsum(-1).unbind(-2)
        return torch.cat([angle, torch.zeros_like(angle), self.tip(posture)], -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        angle, rate, target = state.split([self.joints, self.joints, 2], -1)
        drive = action.clamp(-1.0, 1.0)
        angle, rate = self._step(angle, rate, self.stall_torque * drive)
        distance = (self.tip(angle) - target).square().sum(-1).sqrt()
        reward = -distance.add(drive.square().mean(-1), alpha=self.effort)
        return torch.cat([angle, rate, target], -1), reward, torch.zeros_like(distance, dtype=torch.bool)

    def observe(self, state: Tensor) -> Tensor:
        motion, target = state.split([2 * self.joints, 2], -1)
        motion = motion.unflatten(-1, (2, self.joints))
        q, speed = torch.cat([motion[..., :1], motion.diff()], -1).unbind(-2)
        return torch.cat([q.cos(), q.sin(), speed, target, self.tip(motion[..., 0, :]) - target], -1)

    def _step(self, angle: Tensor, v1: Tensor, torque: Tensor) -> tuple[Tensor, Tensor]:
        """φ and φ̇ one Runge-Kutta step later."""
        h = self.tau
        a1 = self.acceleration(angle, v1, torque)
        v2 = v1.add(a1, alpha=h / 2)
        a2 = self.acceleration(angle.add(v1, alpha=h / 2), v2, torque)
        v3 = v1.add(a2, alpha=h / 2)
        a3 = self.acceleration(angle.add(v2, alpha=h / 2), v3, torque)
        v4 = v1.add(a3, alpha=h)
        a4 = self.acceleration(angle.add(v3, alpha=h), v4, torque)
        return angle.add(v1 + 2 * (v2 + v3) + v4, alpha=h / 6), v1.add(a1 + 2 * (a2 + a3) + a4, alpha=h / 6)
