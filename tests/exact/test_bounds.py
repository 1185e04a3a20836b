"""The surrogate, its error and its curvature, against written-out episodes, autograd and numbers found by hand."""

import math
from dataclasses import replace

import pytest
import torch
from enumeration import all_episodes, as_trajectory, layered_mdp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from pgcourse.core import Streams
from pgcourse.exact import bounds, ledge, random_mdp, two_state_chain

F64 = torch.float64
WORLDS = {"ends": random_mdp(seed=3), "no end": random_mdp(seed=4, termination=0), "layers": layered_mdp()}
worlds = pytest.mark.parametrize("mdp", WORLDS.values(), ids=WORLDS)


def pair(mdp, seeds=3, distance=1.0):
    """θ and θ', [seed, parameter]."""
    theta, direction = (Streams(seeds, dtype=F64).child(name).normal(mdp.policy.size) for name in ("old", "new"))
    return theta, theta + distance * direction


@worlds
def test_the_performance_difference_is_the_difference_of_two_values(mdp):
    theta, new = pair(mdp)
    difference = mdp.objective(new) - mdp.objective(theta)
    assert difference.abs().min() > 1e-3
    torch.testing.assert_close(bounds.performance_difference(mdp, theta, new), difference)
    torch.testing.assert_close(bounds.performance_difference(mdp, new, theta), -difference)


def test_the_surrogate_is_a_mean_over_the_old_policys_episodes():
    """E_π[Σ_t γ^t π'(a_t|s_t)/π(a_t|s_t) A_π(s_t, a_t)], over every episode there is."""
    mdp = layered_mdp()
    theta, new = pair(mdp, seeds=1)
    game, probability = as_trajectory(mdp, all_episodes(mdp, theta[0]))
    ratio = (mdp.pi(new) / mdp.pi(theta))[0, game.obs[0], game.action[0]]
    advantage = mdp.advantage(theta)[0, game.obs[0], game.action[0]]
    discount = mdp.gamma ** torch.arange(len(ratio), dtype=F64).unsqueeze(1)
    mean = ((discount * ratio * advantage).where(game.mask[0], 0.0).sum(0) * probability).sum()
    torch.testing.assert_close(bounds.surrogate_gain(mdp, theta, new)[0], mean)
    assert (mean - bounds.performance_difference(mdp, theta, new)[0]).abs() > 1e-3  # the surrogate is not the truth


@worlds
def test_the_surrogate_has_the_gradient_of_the_objective(mdp):
    theta, _ = pair(mdp)
    x, y = (theta.clone().requires_grad_() for _ in range(2))
    (of_surrogate,) = torch.autograd.grad(bounds.surrogate_gain(mdp, theta, x).sum(), x)
    (of_objective,) = torch.autograd.grad(mdp.objective(y).sum(), y)
    torch.testing.assert_close(of_surrogate, of_objective)


@worlds
def test_kl_is_that_of_torch_weighted_by_visits(mdp):
    theta, new = pair(mdp)
    divergence = kl_divergence(Categorical(probs=mdp.pi(theta)), Categorical(probs=mdp.pi(new)))
    weight = mdp.occupancy(theta) / mdp.occupancy(theta).sum(1, keepdim=True)
    torch.testing.assert_close(bounds.kl(mdp, theta, new), (weight * divergence).sum(1))


@worlds
def test_the_fisher_matrix_is_the_hessian_of_the_kl_divergence(mdp):
    theta, _ = pair(mdp, seeds=2)
    for row, fisher in zip(theta.split(1), bounds.fisher(mdp, theta), strict=True):
        hessian = torch.autograd.functional.hessian(lambda x, row=row: bounds.kl(mdp, row, x).sum(), row)[0, :, 0]
        torch.testing.assert_close(fisher, hessian)
        assert fisher.abs().max() > 1e-3


@worlds
def test_the_natural_gradient_of_a_table_is_the_advantage(mdp):
    """F A_π Σ_s d_π(s) = ∇J."""
    theta, _ = pair(mdp)
    product = torch.einsum("npq,nq->np", bounds.fisher(mdp, theta), mdp.advantage(theta).flatten(1))
    torch.testing.assert_close(product * mdp.occupancy(theta).sum(1, keepdim=True), mdp.gradient(theta))


@settings(max_examples=60, deadline=None)
@given(
    states=st.integers(1, 6),
    actions=st.integers(2, 4),
    seed=st.integers(0, 10_000),
    gamma=st.sampled_from([0.0, 0.3, 0.9, 0.99]),
    termination=st.sampled_from([0.0, 0.3]),
    distance=st.sampled_from([1e-3, 0.1, 3.0]),
)
def test_the_penalties_bound_the_surrogates_error(states, actions, seed, gamma, termination, distance):
    mdp = random_mdp(states, actions, seed, gamma, termination)
    theta, new = pair(mdp, distance=distance)
    error = (bounds.performance_difference(mdp, theta, new) - bounds.surrogate_gain(mdp, theta, new)).abs()
    worst_case, visited = bounds.surrogate_penalty(mdp, theta, new)
    slack = 1e-12 * (1 + worst_case)
    assert (error <= visited + slack).all()
    assert (visited <= worst_case + slack).all()


def test_the_penalties_of_a_chain_by_hand():
    """Policies that stay or switch with probability 1/2, and with 3/4 on staying; γ = 1/2, state 1 pays 1.

    v(1) - v(0) = 1 (the reward now; the next state is either, whatever the state), d_π = (3/2, 1/2) and
    A = ± γ/2 (v(1) - v(0)) = ± 1/4. So ε = 1/4, D_TV = 1/4 everywhere and Ā = (-1/8, 1/8).
    """
    mdp = two_state_chain(gamma=0.5)
    theta, new = torch.zeros(1, 4, dtype=F64), torch.tensor([[math.log(3), 0, math.log(3), 0]], dtype=F64)
    torch.testing.assert_close(bounds.total_variation(mdp, theta, new), torch.full((1, 2), 0.25, dtype=F64))
    torch.testing.assert_close(bounds.expected_advantage(mdp, theta, new), torch.tensor([[-1, 1]], dtype=F64) / 8)
    torch.testing.assert_close(bounds.surrogate_gain(mdp, theta, new), torch.tensor([-1 / 8], dtype=F64))
    worst_case, visited = bounds.surrogate_penalty(mdp, theta, new)
    assert worst_case.item() == pytest.approx(4 * 0.25 * 0.5 * 0.25**2 / 0.5**2)
    assert visited.item() == pytest.approx(2 * 0.5 * (1 / 8) * (2 * 0.25) / 0.5)


def test_surrogate_and_truth_of_the_chain_in_chapter_07():
    """Switching with 1/2, then with 1/2 + u: by hand, for u = 1/4.

    d_π' = (1.4, 0.6), Ā = (1/8, -1/8), so J' - J = 0.1; the surrogate says 1/8, and the penalty is 1/8.
    """
    mdp = two_state_chain(gamma=0.5)
    theta, new = torch.zeros(1, 4, dtype=F64), torch.tensor([[0, math.log(3), 0, math.log(3)]], dtype=F64)
    torch.testing.assert_close(mdp.occupancy(new), torch.tensor([[1.4, 0.6]], dtype=F64))
    assert bounds.performance_difference(mdp, theta, new).item() == pytest.approx(0.1)
    assert bounds.surrogate_gain(mdp, theta, new).item() == pytest.approx(1 / 8)
    assert bounds.surrogate_penalty(mdp, theta, new).worst_case.item() == pytest.approx(1 / 8)


@worlds
def test_in_a_table_no_step_along_the_exact_gradient_lowers_the_objective(mdp):
    """Proved in chapter 07; where states share a parameter, as on the ledge, a long step does."""
    theta, _ = pair(mdp)
    slope = mdp.gradient(theta)
    for eta in torch.logspace(-2, 3, 26).tolist():
        assert (mdp.objective(theta + eta * slope) >= mdp.objective(theta) - 1e-12).all()
    edge, alike = ledge(), torch.tensor([0.0, 1.0], dtype=F64).repeat(8)
    hesitant = -0.5 * alike.unsqueeze(0)
    uphill = (edge.gradient(hesitant) @ alike).sign()
    assert edge.objective(hesitant + 2 * uphill * alike) < edge.objective(hesitant)


def test_terminal_states_do_not_count():
    """Nobody acts there: other parameters there change nothing, and are no distance."""
    mdp = random_mdp(seed=3)
    theta, new = pair(mdp)
    elsewhere = new.clone().view(3, mdp.states, mdp.actions)
    elsewhere[:, mdp.terminal] += torch.tensor([50.0, 0.0, -50.0], dtype=F64)
    for one, other in zip(
        bounds.surrogate_penalty(mdp, theta, new),
        bounds.surrogate_penalty(mdp, theta, elsewhere.flatten(1)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(bounds.kl(mdp, theta, new), bounds.kl(mdp, theta, elsewhere.flatten(1)))


def test_without_a_discount_there_is_no_penalty():
    mdp = replace(random_mdp(seed=3), gamma=1.0)
    with pytest.raises(ValueError, match="gamma must be below 1"):
        bounds.surrogate_penalty(mdp, *pair(mdp))


def test_the_ledge():
    """Always on: a cycle of length - 1 rewards of 1 and a fall; always back: nothing."""
    mdp, always = ledge(length=4, fall=-7.0, gamma=0.9), 100 * torch.tensor([0.0, 1.0], dtype=F64).repeat(4)
    on, back = mdp.objective(torch.stack([always, -always])).tolist()
    assert on == pytest.approx((1 + 0.9 + 0.9**2 - 7 * 0.9**3) / (1 - 0.9**4))
    assert back == pytest.approx(0, abs=1e-12)
    assert mdp.action_names == ("back", "on")
    assert not mdp.episodic
    with pytest.raises(ValueError, match="length must be 2 or more, got 1"):
        ledge(length=1)
