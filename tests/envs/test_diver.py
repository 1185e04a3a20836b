"""The diver's physics against numerical integration, the judges against the rules, and that it can be learned."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve

from pgcourse.core import GaussianPolicy, Streams, Table
from pgcourse.envs import Diver, make

RANDOM = Streams(1, dtype=torch.float64).normal(40, 3)[0]


def best_action():
    """The action without a fault, by solving its three equations."""

    def faults(action):
        entry = Diver.entry(torch.tensor(action))
        return [entry.tilt.item(), entry.distance.item() - 1.3, entry.line_up.item() - 0.7]

    return torch.tensor(fsolve(faults, np.zeros(3)))


def integrate(action):
    """The dive as a differential equation, in stages of one shape each, until the centre of mass is 10 m lower."""
    angle, momentum, release = (quantity.item() for quantity in Diver.dive(action))
    state, now = [0.0, 11.0, 4.5 * math.sin(angle), 4.5 * math.cos(angle), 0.0], 0.0

    def water(t, y):
        return y[1] - 1.0

    water.terminal, water.direction = True, -1
    for until, inertia in [(0.3, 16.0), (max(release, 0.3), 4.0), (10.0, 16.0)]:
        if until <= now:
            continue
        stage = solve_ivp(
            lambda t, y, inertia=inertia: [y[2], y[3], 0.0, -9.81, momentum / inertia],
            (now, until),
            state,
            events=water,
            rtol=1e-11,
            atol=1e-11,
        )
        state, now = stage.y[:, -1], stage.t[-1]
        if stage.t_events[0].size:
            break
    return now, state[0], state[4]


@pytest.mark.parametrize(
    "action", [*RANDOM[:10], *(torch.tensor([0.0, 0.0, a], dtype=torch.float64) for a in (-15, 15))]
)
def test_entry_is_what_integration_gives(action):
    """Also where the tuck is opened before it began, and where it is never opened."""
    entry = Diver.entry(action)
    time, distance, rotation = integrate(action)
    assert entry.time.item() == pytest.approx(time, rel=1e-9)
    assert entry.distance.item() == pytest.approx(distance, rel=1e-9)
    assert entry.tilt.item() + 5 * math.pi == pytest.approx(rotation, rel=1e-9)
    assert entry.line_up.item() == pytest.approx(time - Diver.dive(action).release.item(), rel=1e-9)


def test_flight_starts_on_the_platform_and_ends_at_the_entry():
    flight, entry = Diver.flight(RANDOM, samples=50), Diver.entry(RANDOM)
    assert all(samples.shape == (40, 50) for samples in flight)
    torch.testing.assert_close(flight.z[:, 0], torch.full((40,), 11.0, dtype=torch.float64))
    torch.testing.assert_close(flight.z[:, -1], torch.ones(40, dtype=torch.float64))
    torch.testing.assert_close(flight.x[:, -1], entry.distance)
    torch.testing.assert_close(flight.angle[:, -1], entry.tilt + 5 * math.pi)
    assert not flight.angle[:, 0].any()


def test_flight_falls_freely_and_conserves_angular_momentum():
    flight = Diver.flight(RANDOM, samples=400)
    step = flight.time[:, 1:2]
    falling = flight.z.diff(n=2) / step**2
    torch.testing.assert_close(falling, torch.full_like(falling, -9.81), rtol=1e-6, atol=0)
    inertia = torch.where(flight.tucked, 4.0, 16.0)
    momentum = inertia[:, 1:] * flight.angle.diff() / step
    same_shape = flight.tucked[:, 1:] == flight.tucked[:, :-1]
    expected = (54 + 3 * RANDOM[:, 1:2]).expand_as(momentum)
    torch.testing.assert_close(momentum[same_shape], expected[same_shape], rtol=1e-9, atol=0)
    assert ((~same_shape).sum(1) == 2).all()


def test_technique_is_differentiable():
    action = RANDOM.clone().requires_grad_()
    assert torch.autograd.gradcheck(Diver.technique, action)


def test_best_technique_is_one_action_well_inside():
    best = best_action()
    assert Diver.technique(best).item() == pytest.approx(10, abs=1e-12)
    assert best.abs().min() > 0.4
    assert best.abs().max() < 1.5
    axis = torch.linspace(-6, 6, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis, axis)
    technique = Diver.technique(grid)
    assert (grid[technique.argmax()] - best).abs().max() < 0.2
    far = (grid - best).norm(dim=-1) > 3
    assert technique[far].max() < 8
    assert technique[grid.abs().amax(-1) == 6].max() < 4


opinions = st.lists(st.floats(-4, 4), min_size=7, max_size=7)


@settings(max_examples=200, deadline=None)
@given(opinions, st.tuples(*[st.floats(-2, 2)] * 3))
def test_judging_follows_the_rules(errors, action):
    """The rules once more, in words of plain Python."""
    action = torch.tensor(action, dtype=torch.float64)
    marks = Diver.marks(action, torch.tensor(errors, dtype=torch.float64))
    entry, technique = Diver.entry(action), Diver.technique(action).item()
    for mark, error in zip(marks.tolist(), errors, strict=True):
        highest = 2.0 if entry.distance < 0.8 else 10.0
        assert mark in [half / 2 for half in range(21)]
        if abs(entry.tilt) > math.pi / 2:
            assert mark == 0
        else:
            assert abs(mark - min(highest, max(0.0, technique + 0.5 * error))) <= 0.25 + 1e-12
            assert mark <= highest
    kept = sorted(marks.tolist())[2:-2]
    assert Diver.score(marks).item() == pytest.approx(sum(kept) / 3)


def test_unsafe_and_failed_dives():
    best = best_action()
    steep = best - torch.tensor([1.2, 0, 0])
    over = best + torch.tensor([0, 2.5, 0])
    noise = torch.zeros(7, dtype=torch.float64)
    assert Diver.score(Diver.marks(best, noise)) == 10
    assert 0 < Diver.entry(steep).distance < 0.8
    assert Diver.technique(steep) > 3
    assert Diver.score(Diver.marks(steep, noise)) == 2
    assert Diver.entry(over).tilt > math.pi / 2
    assert Diver.score(Diver.marks(over, noise)) == 0


def test_the_score_has_no_gradient_and_its_mean_has():
    """Flat almost everywhere; but moving towards the best action raises the expected score."""
    noise = Streams(1, dtype=torch.float64).normal(20_000, 7)[0]
    action = RANDOM.clone().requires_grad_()
    Diver.score(Diver.marks(action, noise[:40])).sum().backward()
    assert not action.grad.any()
    halfway = best_action() / 2
    means = [Diver.score(Diver.marks(a.expand(20_000, 3), noise)).mean() for a in (0 * halfway, halfway, 2 * halfway)]
    assert means[0] < means[1] < means[2]


def test_episodes_are_one_dive_long():
    world, streams = make("Diver-v0", 5), Streams(2)
    assert torch.equal(world.reset(streams), torch.zeros(2, 5, dtype=torch.int64))
    noise = world.noise(streams, 1)
    assert noise.shape == (2, 1, 5, 7)
    step = world.step(streams.normal(5, 3), noise[:, 0])
    assert step.terminated.all()
    assert not step.truncated.any()


def test_reinforce_learns_to_dive():
    """From N(0, 1) to good dives in 150 updates of 64 dives, by ∇J = E[(score - mean score) ∇log π]."""
    world, streams = make("Diver-v0", 64), Streams(5)
    policy = GaussianPolicy(Table(1, 3))
    theta, obs = policy.init(streams).requires_grad_(), world.reset(streams)
    scores = []
    for _ in range(150):
        dist = policy(theta, obs)
        action = dist.sample(policy.noise(streams, 64)).detach()
        score = world.step(action, world.noise(streams, 1)[:, 0]).reward
        objective = ((score - score.mean(1, keepdim=True)) * dist.log_prob(action)).mean(1).sum()
        (gradient,) = torch.autograd.grad(objective, theta)
        theta = (theta + 0.02 * gradient).detach().requires_grad_()
        scores.append(score.mean(1))
    assert 2 < scores[0].mean() < 4
    assert torch.stack(scores[-10:]).mean(0).min() > 8
    mean, log_std = policy(theta, obs).mean[:, 0], policy(theta, obs).log_std[:, 0]
    assert (mean - best_action()).abs().max() < 0.5
    assert (log_std < -1).all()
