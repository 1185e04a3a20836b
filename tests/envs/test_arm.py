"""The arm against closed forms, textbook equations and Lagrangians by automatic differentiation."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, hessian, jacrev

from pgcourse.core import Streams
from pgcourse.envs import Arm, make

JOINTS = [1, 2, 3, 5]
F64 = torch.float64


class Frictionless(Arm):
    """No damping, and with it no inertia of the motors: rods and hinges alone."""

    no_load_speed = math.inf


def arm(joints, gravity=0.0, world=Arm, envs=1):
    return world(envs, joints=joints, gravity=gravity, dtype=F64)


def random_motion(joints, seed=0, count=20):
    """Joint angles of a few turns, velocities and torques: three [count, n]."""
    streams = Streams([seed], dtype=F64)
    q, speed, torque = streams.normal(3, count, joints)[0]
    return 3 * q, 4 * speed, torque


def joint_acceleration(world, q, speed, torque):
    """q̈, from the world's equations for the rods' angles φ = cumsum(q)."""
    turn = world.acceleration(q.cumsum(-1), speed.cumsum(-1), torque)
    return torch.cat([turn[..., :1], turn.diff()], -1)


def rods(q):
    """Centres [n, 2] and angles [n] of n rods, together 1 m long, one hinged to the other."""
    length, base, angle = 1 / len(q), torch.zeros(2, dtype=q.dtype), 0.0
    centres, angles = [], []
    for joint in q:
        angle = angle + joint
        along = length * torch.stack([angle.cos(), angle.sin()])
        centres.append(base + along / 2)
        angles.append(angle)
        base = base + along
    return torch.stack(centres), torch.stack(angles)


def kinetic(q, speed):
    """½ Σ (m |v|² + m l²/12 ω²), together 1 kg; velocities by differentiating `rods`."""
    velocity, rate = (jacobian @ speed for jacobian in jacrev(rods)(q))
    mass, length = 1 / len(q), 1 / len(q)
    return 0.5 * mass * (velocity.square().sum() + length**2 / 12 * rate.square().sum())


def potential(q, gravity):
    return gravity / len(q) * rods(q)[0][:, 1].sum()


def mass_matrix(q):
    return hessian(kinetic, argnums=1)(q, torch.zeros_like(q))


def coriolis(q, speed):
    """C(q, q̇) q̇ by Christoffel's symbols: Σ_jk ½ (∂_k M_ij + ∂_j M_ik - ∂_i M_jk) q̇_j q̇_k."""
    d = jacrev(mass_matrix)(q)  # [i, j, k] = ∂_k M_ij
    christoffel = (d + d.transpose(1, 2) - d.permute(2, 0, 1)) / 2
    return torch.einsum("ijk,j,k->i", christoffel, speed, speed)


def motors(joints):
    """Stall torques, damping and inertia as the docstring of `Arm` defines them."""
    stall = 6 * mass_matrix(torch.zeros(joints, dtype=F64))[:, 0]
    return stall, stall / 8, 0.1 * stall / 8


@pytest.mark.parametrize("gravity", [0.0, 9.81])
@pytest.mark.parametrize("joints", JOINTS)
def test_accelerations_are_those_of_the_lagrangian(joints, gravity):
    world = arm(joints, gravity)
    _, damping, inertia = motors(joints)
    for q, speed, torque in zip(*random_motion(joints), strict=True):
        matrix = mass_matrix(q) + inertia.diag()
        weight = grad(potential)(q, gravity)
        expected = torch.linalg.solve(matrix, torque - damping * speed - coriolis(q, speed) - weight)
        actual = joint_acceleration(world, q, speed, torque)
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("joints", JOINTS)
def test_stall_torque_swings_the_stretched_arm_at_6_rad_per_s2(joints):
    stall, _, _ = motors(joints)
    torch.testing.assert_close(arm(joints).stall_torque, stall, rtol=1e-12, atol=0)
    rest = torch.zeros(joints, dtype=F64)
    without_motors = arm(joints, world=Frictionless)
    swing = joint_acceleration(without_motors, rest, rest, without_motors.stall_torque)
    torch.testing.assert_close(swing, torch.tensor([6.0] + [0.0] * (joints - 1), dtype=F64), rtol=0, atol=1e-9)


def test_one_joint_is_the_textbook_pendulum():
    """(m L²/3 + J) q̈ = τ - d q̇ - m g L/2 cos q with m = L = 1."""
    q, speed, torque = random_motion(1)
    expected = (torque - 0.25 * speed - 9.81 / 2 * q.cos()) / (1 / 3 + 0.025)
    torch.testing.assert_close(joint_acceleration(arm(1, 9.81), q, speed, torque), expected, rtol=1e-12, atol=1e-12)


def test_two_joints_are_the_textbook_arm():
    """The two-link planar arm of Murray, Li & Sastry (1994), chapter 4: α, β, δ for rods with m = l = ½ and r = ¼."""
    world = arm(2, world=Frictionless)
    m = length = 0.5
    moment, r = m * length**2 / 12, length / 2
    alpha = 2 * moment + m * r**2 + m * (length**2 + r**2)
    beta, delta = m * length * r, moment + m * r**2
    for q, v, torque in zip(*random_motion(2), strict=True):
        c, s = q[1].cos(), q[1].sin()
        matrix = torch.stack([alpha + 2 * beta * c, delta + beta * c, delta + beta * c, torch.full_like(c, delta)])
        centrifugal = torch.stack([-beta * s * v[1] * (2 * v[0] + v[1]), beta * s * v[0] ** 2])
        expected = torch.linalg.solve(matrix.view(2, 2), torque - centrifugal)
        torch.testing.assert_close(joint_acceleration(world, q, v, torque), expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.sampled_from([Arm, Frictionless]))
def test_the_inverse_mass_matrix_is_symmetric_and_positive_definite(q, world):
    """Its columns are what unit torques add to q̈; a positive definite inverse is that of a positive definite M."""
    n = len(q)
    world, q = arm(n, world=world), torch.tensor(q, dtype=F64).expand(n, n)
    rest = torch.zeros(n, n, dtype=F64)
    inverse = joint_acceleration(world, q, rest, torch.eye(n, dtype=F64)) - joint_acceleration(world, q, rest, rest)
    scale = inverse.abs().max()
    torch.testing.assert_close(inverse, inverse.T, rtol=0, atol=1e-9 * scale.item())
    assert torch.linalg.eigvalsh(inverse)[0] > 1e-6 * scale


@pytest.mark.parametrize("gravity", [0.0, 9.81])
@pytest.mark.parametrize("joints", JOINTS)
def test_power_is_torque_times_velocity_less_friction(joints, gravity):
    """dE/dt = Σ (τ_i - d_i q̇_i) q̇_i: gravity and centrifugal forces only exchange energy."""
    world = arm(joints, gravity)
    _, damping, inertia = motors(joints)

    def energy(q, speed):
        return kinetic(q, speed) + 0.5 * (inertia * speed.square()).sum() + potential(q, gravity)

    for q, speed, torque in zip(*random_motion(joints, count=5), strict=True):
        by_q, by_speed = grad(energy, argnums=(0, 1))(q, speed)
        power = by_q @ speed + by_speed @ joint_acceleration(world, q, speed, torque)
        torch.testing.assert_close(power, (torque - damping * speed) @ speed, rtol=1e-8, atol=1e-8)


def glide(world, steps, angle, rate):
    """φ and φ̇ after 0.4 s of `steps` steps without torque."""
    world.tau = 0.4 / steps
    for _ in range(steps):
        angle, rate = world._step(angle, rate, torch.zeros_like(angle))
    return angle, rate


@pytest.mark.parametrize(("joints", "gravity"), [(1, 9.81), (2, 0.0), (2, 9.81), (3, 9.81)])
def test_fourth_order_in_motion_and_energy(joints, gravity):
    """Halving the step divides the error by 2⁴; so it does what is lost of the energy, or better."""
    world = arm(joints, gravity, Frictionless)
    start = torch.linspace(0.3, 1.5, joints, dtype=F64), torch.linspace(1.0, 2.0, joints, dtype=F64)

    def energy(angle, rate):
        q, speed = torch.cat([angle[:1], angle.diff()]), torch.cat([rate[:1], rate.diff()])
        return kinetic(q, speed) + potential(q, gravity)

    exact = torch.cat(glide(world, 1000, *start))
    motion, lost = [], []
    for steps in (50, 100, 200):
        end = glide(world, steps, *start)
        motion.append((torch.cat(end) - exact).abs().max())
        lost.append((energy(*end) - energy(*start)).abs())
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(motion)]
    assert orders == pytest.approx([4, 4], abs=0.3)
    assert all(math.log2(coarse / fine) > 3.7 for coarse, fine in pairwise(lost))
    assert lost[-1] < 1e-6


def test_one_joint_approaches_its_no_load_speed_exponentially():
    """q̇ = ω₀ u (1 - exp(-t/T)) with T = I/d: the exact solution in the horizontal plane."""
    world = arm(1)
    world.reset(Streams(1, dtype=F64))
    action = torch.full((1, 1, 1), 0.5, dtype=F64)
    for step in range(1, 101):
        seen = world.step(action, world.noise(Streams(1, dtype=F64), 1)[:, 0])
        expected = 8 * 0.5 * (1 - math.exp(-0.05 * step * 0.25 / (1 / 3 + 0.025)))
        assert seen.next_obs[0, 0, 2].item() == pytest.approx(expected, rel=1e-6)


def test_a_hanging_arm_hangs():
    world = arm(3, 9.81)
    angle, rest = torch.full((3,), -math.pi / 2, dtype=F64), torch.zeros(3, dtype=F64)
    assert world.acceleration(angle, rest, rest).abs().max() < 1e-12
    assert world.acceleration(-angle + 0.01, rest, rest).abs().max() > 0.1  # upright, it falls


@pytest.mark.parametrize("joints", JOINTS)
def test_forward_kinematics(joints):
    world = arm(joints)
    q, _, _ = random_motion(joints)
    turned = torch.polar(torch.full_like(q, 1 / joints), q.cumsum(-1)).cumsum(-1)
    skeleton = world.skeleton(q.cumsum(-1))
    torch.testing.assert_close(torch.view_as_complex(skeleton[..., 1:, :].contiguous()), turned)
    torch.testing.assert_close(skeleton[..., -1, :], world.tip(q.cumsum(-1)))
    assert not skeleton[..., 0, :].any()


@pytest.mark.parametrize("joints", JOINTS)
def test_observation_and_start(joints):
    world = make(f"Arm{joints}-v0", 4000)
    obs = world.reset(Streams(1))
    assert obs.shape == (1, 4000, 3 * joints + 4)
    assert all(world.observation_space.contains(one) for one in obs[0].numpy())
    cos, sin, speed, target, gap = obs[0].split([joints, joints, joints, 2, 2], -1)
    q = torch.atan2(sin, cos)
    torch.testing.assert_close(cos.square() + sin.square(), torch.ones_like(cos))
    torch.testing.assert_close(gap, world.tip(q.cumsum(-1)) - target, rtol=0, atol=1e-5)
    assert not speed.any()
    assert q.abs().max() < 0.1 + 1e-6
    assert q.mean(0).abs().max() < 0.005
    # A sum of n independent directions of length 1/n: mean 0, mean square 1/n.
    assert target.norm(dim=-1).max() < 1 + 1e-5
    assert target.mean(0).abs().max() < 0.06
    assert target.square().sum(-1).mean().item() == pytest.approx(1 / joints, rel=0.06)


def test_velocities_seen_are_those_of_the_joints():
    world = arm(3)
    world.reset(Streams(1, dtype=F64))
    action = Streams(1, dtype=F64).normal(1, 3)
    noise = world.noise(Streams(1, dtype=F64), 1)[:, 0]
    world.tau = 1e-4
    world.step(action, noise)
    before = world.observe(world.current)
    after = world.step(action, noise).next_obs
    angles = [torch.atan2(obs[..., 3:6], obs[..., :3]) for obs in (before, after)]
    mean_speed = (before[..., 6:9] + after[..., 6:9]) / 2
    torch.testing.assert_close((angles[1] - angles[0]) / 1e-4, mean_speed, rtol=1e-6, atol=1e-6)


def test_reward_is_distance_and_effort_after_the_step():
    world = arm(2, envs=50)
    world.reset(Streams(2, dtype=F64))
    action = 2 * Streams(2, dtype=F64).normal(50, 2)
    step = world.step(action, world.noise(Streams(2, dtype=F64), 1)[:, 0])
    effort = action.clamp(-1, 1).square().sum(-1) / 2
    torch.testing.assert_close(step.reward, -step.next_obs[..., -2:].norm(dim=-1) - 0.01 * effort)
    assert not step.terminated.any()


def test_actions_beyond_the_bounds_are_those_at_the_bounds():
    wild, bounded = arm(2, envs=5), arm(2, envs=5)
    wild.reset(Streams(2, dtype=F64))
    bounded.reset(Streams(2, dtype=F64))
    action = 3 * Streams(2, dtype=F64).normal(5, 2)
    noise = wild.noise(Streams(2, dtype=F64), 1)[:, 0]
    ours, theirs = wild.step(action, noise), bounded.step(action.clamp(-1, 1), noise)
    assert (action.abs() > 1).any()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("joints", [2, 5])
def test_a_seed_beside_others_gives_what_it_gives_alone(joints):
    def play(seeds):
        world, streams = Arm(3, joints=joints), Streams(seeds)
        first = world.reset(streams)
        actions, noise = streams.normal(120, 3, joints), world.noise(streams, 120)
        steps = [world.step(actions[:, t], noise[:, t]) for t in range(120)]
        assert [t for t, step in enumerate(steps) if step.truncated.any()] == [99]
        return [first, *(column for step in steps for column in step)]

    together = play([0, 3, 8])
    for row, seed in enumerate([0, 3, 8]):
        assert all(torch.equal(one[0], all_[row]) for one, all_ in zip(play([seed]), together, strict=True))


@pytest.mark.parametrize("joints", JOINTS)
def test_a_hand_written_controller_reaches_the_target(joints):
    """u = Jᵀ(target - tip)·4/τ̂ - 0.3 q̇: a spring between tip and target, with friction in the joints.

    Doing nothing costs the first distance a hundred times over; the spring ends at the target.
    """

    def play(stiffness):
        world = arm(joints, envs=200)
        obs = world.reset(Streams(1, dtype=F64))
        noise, total = world.noise(Streams(1, dtype=F64), 100), torch.zeros(1, 200, dtype=F64)
        for t in range(100):
            angle = obs[..., joints : 2 * joints].atan2(obs[..., :joints]).cumsum(-1)
            gap, speed = -obs[..., -2:], obs[..., 2 * joints : 3 * joints]
            along = (gap[..., 1:] * angle.cos() - gap[..., :1] * angle.sin()) / joints
            pull = along.flip(-1).cumsum(-1).flip(-1)  # joint i moves all rods from the i-th on
            step = world.step(stiffness * (pull / world.stall_torque - 0.075 * speed), noise[:, t])
            obs, total = step.obs, total + step.reward
        return total.mean().item(), step.next_obs[..., -2:].norm(dim=-1).median().item()

    idle, _ = play(0)
    reached, distance = play(4)
    assert idle < -90
    assert reached > -32
    assert distance < 0.03


@pytest.mark.parametrize("joints", [0, 7])
def test_too_few_or_too_many_joints_are_refused(joints):
    with pytest.raises(ValueError, match=f"joints must be from 1 to 6, got {joints}"):
        Arm(joints=joints)
