"""The regulator's closed forms against recursion, finite differences, scipy, and episodes of the world itself."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from pgcourse.algorithms import episodes
from pgcourse.core import MLP, GaussianPolicy, Streams
from pgcourse.envs import LQR, DoubleIntegrator, ScalarLQR
from pgcourse.exact import z_scores
from pgcourse.rl import discounted_return, reward_to_go
from pgcourse.stats import z_threshold

GAMMA = 0.9


def random_system(seed, states, actions):
    """Generic matrices, the uncontrolled system unstable in every other case."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(states, states))
    A *= rng.uniform(0.5, 1.3) / np.abs(np.linalg.eigvals(A)).max()
    Q, W, S = (m @ m.T for m in rng.normal(size=(3, states, states)))
    R = np.eye(actions) + (lambda m: m @ m.T)(rng.normal(size=(actions, actions)))
    return LQR(A, rng.normal(size=(states, actions)), Q, R, 0.1 * W, S)


SYSTEMS = {
    "scalar": ScalarLQR(),
    "double integrator": DoubleIntegrator(),
    **{f"random {n}x{m}": random_system(seed, n, m) for seed, (n, m) in enumerate([(1, 1), (2, 1), (3, 2), (4, 3)])},
}


@pytest.fixture(params=SYSTEMS.values(), ids=SYSTEMS.keys())
def system(request):
    return request.param


def near_the_optimum(system, batch=4, spread=0.05):
    """Gains around K* that differ from row to row, and log σ of all sizes."""
    best, streams = system.optimal_gain(GAMMA), Streams(batch, dtype=torch.float64)
    gain = best + spread * streams.normal(*best.shape)
    return gain, 0.5 * streams.normal(best.shape[0])


@pytest.mark.parametrize("gamma", [0.1, 0.9, 0.99])
def test_riccati_is_where_value_iteration_ends(system, gamma):
    """P ← Q + KᵀRK + γ (A - BK)ᵀ P (A - BK) with K greedy for P, from P = 0."""
    A, B, Q, R = (m.numpy() for m in (system.A, system.B, system.Q, system.R))
    P = np.zeros_like(A)
    for _ in range(5000):
        K = np.linalg.solve(R + gamma * B.T @ P @ B, gamma * B.T @ P @ A)
        P = Q + K.T @ R @ K + gamma * (A - B @ K).T @ P @ (A - B @ K)
    np.testing.assert_allclose(system.optimal_gain(gamma).numpy(), K, rtol=1e-8, atol=1e-8)


def test_no_gain_near_the_best_is_better(system):
    best = system.optimal_gain(GAMMA)
    gain, log_std = near_the_optimum(system, batch=50)
    returns = system.exact_return(gain, log_std, GAMMA)
    assert (returns < system.exact_return(best.expand_as(gain), log_std, GAMMA)).all()


def test_the_gradient_vanishes_at_the_best_gain_whatever_sigma_is(system):
    best = system.optimal_gain(GAMMA)
    for log_std in (-2.0, 0.0, 1.0):
        gradient = system.exact_gradient(best, torch.full(best.shape[:1], log_std), GAMMA)
        nearby = system.exact_gradient(best + 0.01, torch.full(best.shape[:1], log_std), GAMMA)
        assert gradient.gain.norm() < 1e-7 * nearby.gain.norm()
        assert (gradient.log_std < 0).all()


def test_gradient_is_what_finite_differences_give(system):
    gain, log_std = near_the_optimum(system, batch=1)
    gradient, h = system.exact_gradient(gain, log_std, GAMMA), 1e-5
    for name, point in (("gain", gain), ("log_std", log_std)):
        numeric = torch.zeros_like(point)
        for index in np.ndindex(*point.shape):
            step = torch.zeros_like(point)
            step[index] = h
            ends = [
                system.exact_return(gain + sign * step, log_std, GAMMA)
                if name == "gain"
                else system.exact_return(gain, log_std + sign * step, GAMMA)
                for sign in (1, -1)
            ]
            numeric[index] = (ends[0] - ends[1]).item() / (2 * h)
        exact = getattr(gradient, name)
        assert (exact - numeric).norm() < 1e-6 * exact.norm()


def test_gradient_is_what_differentiation_through_the_return_gives(system):
    gain, log_std = (x.requires_grad_() for x in near_the_optimum(system))
    through = torch.autograd.grad(system.exact_return(gain, log_std, GAMMA).sum(), (gain, log_std))
    exact = system.exact_gradient(gain.detach(), log_std.detach(), GAMMA)
    torch.testing.assert_close(through, tuple(exact), rtol=1e-8, atol=1e-10)


def test_return_is_that_of_scipys_lyapunov_equation(system):
    """As the trace of the discounted second moments of state and action, rows one by one."""
    gains, log_stds = near_the_optimum(system)
    A, B, Q, R, W, S = (m.numpy() for m in (system.A, system.B, system.Q, system.R, system.W, system.S))
    for K, log_std, ours in zip(gains, log_stds, system.exact_return(gains, log_stds, GAMMA), strict=True):
        K, V = K.numpy(), np.diag(np.exp(2 * log_std.numpy()))
        noise = (W + B @ V @ B.T) / (1 - GAMMA)
        X = solve_discrete_lyapunov(math.sqrt(GAMMA) * (A - B @ K), S + GAMMA * noise)
        U = K @ X @ K.T + V / (1 - GAMMA)
        assert ours.item() == pytest.approx(-np.trace(Q @ X) - np.trace(R @ U), rel=1e-9)


def test_one_dimension_by_hand():
    a, b, q, r, w, s = 0.9, 0.4, 2.0, 0.3, 0.05, 1.5
    system = LQR(*([[x]] for x in (a, b, q, r, w, s)))
    k, sigma = 0.7, 0.6
    p = (q + r * k**2) / (1 - GAMMA * (a - b * k) ** 2)
    expected = -p * s - (GAMMA * p * w + sigma**2 * (r + GAMMA * p * b**2)) / (1 - GAMMA)
    ours = system.exact_return(torch.tensor([[k]]), torch.tensor([math.log(sigma)]), GAMMA)
    assert ours.item() == pytest.approx(expected, rel=1e-6)


def play(build, gamma, envs, time_limit, seeds=3):
    """Whole episodes of linear Gaussian policies: (world, gains, log σ, policy, θ, trajectory)."""
    world = build(envs, time_limit=time_limit, dtype=torch.float64)
    states, actions = world.A.shape[0], world.R.shape[0]
    streams = Streams(seeds, dtype=torch.float64)
    gain = world.optimal_gain(gamma) * (1 + 0.3 * streams.uniform(1, 1))
    log_std = -1 + streams.uniform(actions)
    policy = GaussianPolicy(MLP((states, actions)))
    theta = torch.cat([-gain.mT.flatten(1), torch.zeros(seeds, actions), log_std], 1)
    return world, gain, log_std, policy, theta, episodes(policy, theta, world, streams.child("play"))


@pytest.mark.parametrize("build", [ScalarLQR, DoubleIntegrator])
def test_return_is_the_mean_of_episodes(build):
    """Cut off where what follows weighs less than 1e-9."""
    world, gain, log_std, _, _, batch = play(build, GAMMA, envs=3000, time_limit=200)
    assert batch.truncated[:, -1].all()
    ret = discounted_return(batch.reward, GAMMA)
    z = z_scores(ret.unsqueeze(-1), world.exact_return(gain, log_std, GAMMA).unsqueeze(-1))
    assert z.abs().max() < 3


@pytest.mark.parametrize("build", [ScalarLQR, DoubleIntegrator])
def test_gradient_is_the_mean_of_score_times_return(build):
    """The policy gradient theorem, sampled: Σ_t γ^t G_t ∇log π, for K by its chain through the mean -K x."""
    gamma = 0.8
    world, gain, log_std, policy, theta, batch = play(build, gamma, envs=4000, time_limit=100)
    ret = reward_to_go(batch.reward, batch.terminated, batch.truncated, gamma)
    weight = ret * gamma ** torch.arange(100, dtype=torch.float64).view(1, -1, 1)
    dist = policy(theta, batch.obs)
    z = (batch.action - dist.mean) / dist.std
    by_gain = -torch.einsum("ste,stea,stex->seax", weight, z / dist.std, batch.obs)
    by_log_std = torch.einsum("ste,stea->sea", weight, z.square() - 1)
    sample = torch.cat([by_gain.flatten(2), by_log_std], 2)
    exact = world.exact_gradient(gain, log_std, gamma)
    scores = z_scores(sample, torch.cat([exact.gain.flatten(1), exact.log_std], 1))
    assert scores.abs().max() < z_threshold(scores.numel())


def test_starts_and_noise_have_their_covariances():
    """Correlated components: the whole matrix, each entry within four standard errors of a Gaussian's."""
    system = random_system(7, 3, 2)
    noise = Streams(1, dtype=torch.float64).normal(100_000, 3)[0]
    starts = system.initial(noise.float()).double()
    drift, _, _ = system.transition(torch.zeros(100_000, 3), torch.zeros(100_000, 2), noise.float())
    for sample, covariance in ((starts, system.S), (drift.double(), system.W)):
        measured = sample.T @ sample / len(sample)
        diagonal = covariance.diagonal()
        error = ((covariance.square() + diagonal.outer(diagonal)) / len(sample)).sqrt()
        assert ((measured - covariance).abs() < 4 * error).all()


def test_singular_noise_moves_nothing_else():
    """The double integrator's noise is a force: given state and action, the position's step is certain."""
    world, *_, batch = play(DoubleIntegrator, GAMMA, envs=100, time_limit=50)
    drift = batch.next_obs - batch.obs @ world.A.T - batch.action @ world.B.T
    assert drift[..., 0].abs().max() < 1e-9
    assert drift[..., 1].std().item() == pytest.approx(0.05, rel=0.02)


GOOD = {"A": np.eye(2), "B": np.ones((2, 1)), "Q": np.eye(2), "R": [[1.0]], "W": np.eye(2), "S": np.eye(2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": np.eye(3)}, r"A must be of shape \[2, 2\] to fit B, got shape \[3, 3\]"),
        ({"B": [1.0, 1.0]}, r"B must be a matrix, got shape \[2\]"),
        ({"Q": np.diag([1.0, -1.0])}, r"Q must be symmetric and positive semidefinite"),
        ({"S": [[1.0, 0.5], [0.0, 1.0]]}, r"S must be symmetric and positive semidefinite"),
        ({"R": [[0.0]]}, r"R must be positive definite"),
        ({"W": np.full((2, 2), np.nan)}, r"W must be finite"),
        ({"time_limit": 0}, r"time_limit must be 1 or more, or None, got 0"),
    ],
)
def test_bad_systems_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        LQR(**{**GOOD, **change})


def test_bad_policies_are_named():
    system = LQR(**GOOD)
    gain, log_std = torch.zeros(3, 1, 2), torch.zeros(3, 1)
    with pytest.raises(ValueError, match=r"gain must have shape \[..., 1, 2\], got \[3, 2\]"):
        system.exact_return(gain[:, 0], log_std, GAMMA)
    with pytest.raises(ValueError, match=r"log_std must have shape \[3, 1\] to fit gain, got \[1\]"):
        system.exact_gradient(gain, log_std[0], GAMMA)
    with pytest.raises(ValueError, match="gamma must be above 0 and below 1, got 1"):
        system.optimal_gain(1)
    away = gain - torch.tensor([1.0, 0.0])
    with pytest.raises(ValueError, match=r"√γ times the spectral radius of A - BK below 1, .* got 1\.89737 at gamma"):
        system.exact_return(away, log_std, GAMMA)


def test_what_cannot_be_held_is_said():
    runaway = LQR(**{**GOOD, "A": np.diag([2.0, 2.0]), "B": [[1.0], [0.0]]})
    with pytest.raises(ValueError, match=r"no gain makes the return finite at gamma = 0\.9"):
        runaway.optimal_gain(GAMMA)
