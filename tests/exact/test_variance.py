"""Exact mean and variance, and where the variance comes from, against the list of all episodes."""

import math

import pytest
import torch
from enumeration import all_episodes, as_trajectory, expected_score, layered_mdp, variance_by_source

from pgcourse.core import Streams
from pgcourse.exact import TabularMDP, corridor, episode_gradients, random_mdp, two_state_chain
from pgcourse.exact.estimators import at, gae_weight, reward_to_go_weight, table_weight, total_return_weight
from pgcourse.exact.variance import (
    gae_moments,
    least_variance_baseline,
    table_moments,
    total_return_moments,
    variance_ratio,
)

F64 = torch.float64
SMALL = layered_mdp(seed=4)
GAMMA = SMALL.gamma
THETA = Streams(2, dtype=F64).child("theta").normal(SMALL.policy.size)
CRITIC = SMALL.v(THETA) + Streams(2, dtype=F64).child("error").normal(SMALL.states)
TABLE = Streams(2, dtype=F64).child("table").normal(SMALL.states, SMALL.actions)


def critic_at(seed, t):
    critic = CRITIC[seed : seed + 1] * ~SMALL.terminal
    return at(critic, t.obs), at(critic, t.next_obs)


CASES = {
    "total return": (
        lambda seed, t: total_return_weight(t, GAMMA),
        lambda: total_return_moments(SMALL, THETA),
    ),
    "total return - constant": (
        lambda seed, t: total_return_weight(t, GAMMA, [1.5, -2.0][seed]),
        lambda: total_return_moments(SMALL, THETA, torch.tensor([1.5, -2.0])),
    ),
    "reward-to-go": (
        lambda seed, t: reward_to_go_weight(t, GAMMA),
        lambda: gae_moments(SMALL, THETA),
    ),
    "reward-to-go - b(s)": (
        lambda seed, t: reward_to_go_weight(t, GAMMA, critic_at(seed, t)[0]),
        lambda: gae_moments(SMALL, THETA, CRITIC),
    ),
    "reward-to-go, γ^t dropped": (
        lambda seed, t: reward_to_go_weight(t, GAMMA, keep_discount=False),
        lambda: gae_moments(SMALL, THETA, keep_discount=False),
    ),
    "GAE(0.6)": (
        lambda seed, t: gae_weight(t, GAMMA, 0.6, *critic_at(seed, t)),
        lambda: gae_moments(SMALL, THETA, CRITIC, 0.6),
    ),
    "GAE(0.6), γ^t dropped": (
        lambda seed, t: gae_weight(t, GAMMA, 0.6, *critic_at(seed, t), keep_discount=False),
        lambda: gae_moments(SMALL, THETA, CRITIC, 0.6, keep_discount=False),
    ),
    "TD": (
        lambda seed, t: gae_weight(t, GAMMA, 0.0, *critic_at(seed, t)),
        lambda: gae_moments(SMALL, THETA, CRITIC, 0.0),
    ),
    "table": (
        lambda seed, t: table_weight(t, GAMMA, TABLE[seed : seed + 1]),
        lambda: table_moments(SMALL, THETA, TABLE),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_against_all_episodes(name):
    weight, exact = CASES[name]
    moments = exact()
    for seed in range(2):
        theta = THETA[seed : seed + 1]
        episodes = all_episodes(SMALL, theta[0])
        trajectory, probability = as_trajectory(SMALL, episodes)
        gradients = episode_gradients(SMALL.policy, theta, trajectory, weight(seed, trajectory))[0]
        mean, parts = variance_by_source(episodes, gradients)
        torch.testing.assert_close(moments.mean[seed], mean)
        for source, variance in parts.items():
            assert getattr(moments, source)[seed].item() == pytest.approx(variance, rel=1e-9), source
        total = (probability * (gradients - mean).square().sum(-1)).sum().item()
        assert moments.trace[seed].item() == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("keep_discount", [True, False])
def test_total_variance_where_states_come_back(seed, lam, keep_discount):
    """E‖Y‖² by iterating its own backward recursion, from W = x + κW' and Y = W ∇log π + γY'. No list of episodes here:
    in a world whose every episode can be listed no state is met twice."""
    mdp = random_mdp(states=3, actions=2, seed=seed, termination=0.2)
    theta = Streams(1, dtype=F64).child("theta").normal(mdp.policy.size)
    critic = (mdp.v(theta) + Streams(1, dtype=F64).child("error").normal(mdp.states)) * ~mdp.terminal
    carry, discount = mdp.gamma * lam, mdp.gamma if keep_discount else 1.0
    step = mdp.pi(theta)[0].unsqueeze(-1) * mdp.transition * (~mdp.terminal).view(-1, 1, 1)  # Pr(a, s'|s)
    x = mdp.reward.unsqueeze(-1) + mdp.gamma * critic[0] - critic[0].view(-1, 1, 1)
    score = mdp.score(theta)[0].unsqueeze(2)  # [s, a, 1, p]
    w, w_square, y_square = torch.zeros(3, mdp.states, dtype=F64)
    y, w_y = torch.zeros(2, mdp.states, mdp.policy.size, dtype=F64)
    for _ in range(300):
        after = x + carry * w  # E[W|s, a, s']
        after_square = x**2 + 2 * carry * x * w + carry**2 * w_square
        after_y = x.unsqueeze(-1) * y + carry * w_y  # E[W Y'|s, a, s']
        whole_y = after.unsqueeze(-1) * score + discount * y
        whole_w_y = after_square.unsqueeze(-1) * score + discount * after_y
        whole_square = (
            after_square * score.square().sum(-1) + 2 * discount * (score * after_y).sum(-1) + discount**2 * y_square
        )
        w, w_square, y_square = ((step * each).sum((1, 2)) for each in (after, after_square, whole_square))
        y, w_y = ((step.unsqueeze(-1) * each).sum((1, 2)) for each in (whole_y, whole_w_y))
    mean = mdp.start @ y
    moments = gae_moments(mdp, theta, critic, lam, keep_discount)
    torch.testing.assert_close(moments.mean[0], mean)
    torch.testing.assert_close(moments.trace[0], mdp.start @ y_square - mean.square().sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("baseline", [0.0, 1.5])
def test_total_variance_of_the_total_return_where_states_come_back(seed, baseline):
    """E[(G - b)² ‖S‖²] from the joint moments of G = r + γG' and S = ∇log π + S', by iterating their recursions."""
    mdp = random_mdp(states=3, actions=2, seed=seed, termination=0.2)
    theta = Streams(1, dtype=F64).child("theta").normal(mdp.policy.size)
    step = mdp.pi(theta)[0].unsqueeze(-1) * mdp.transition * (~mdp.terminal).view(-1, 1, 1)  # Pr(a, s'|s)
    r = mdp.reward.unsqueeze(-1)
    score = mdp.score(theta)[0].unsqueeze(2)  # [s, a, 1, p]
    one = torch.ones(mdp.states, dtype=F64)
    g = [one, 0 * one, 0 * one]  # E[G^k]
    gs = [torch.zeros(mdp.states, mdp.policy.size, dtype=F64)] * 3  # E[G^k S]
    gss = [0 * one] * 3  # E[G^k ‖S‖²]
    for _ in range(300):
        with_s = [score * g[j][:, None] + gs[j] for j in range(3)]
        with_ss = [score.square().sum(-1) * g[j] + 2 * (score * gs[j]).sum(-1) + gss[j] for j in range(3)]
        terms = [[math.comb(k, j) * r ** (k - j) * mdp.gamma**j for j in range(k + 1)] for k in range(3)]
        g = [one, *((step * sum(c * g[j] for j, c in enumerate(terms[k]))).sum((1, 2)) for k in (1, 2))]
        gs = [sum((step * c).unsqueeze(-1) * with_s[j] for j, c in enumerate(term)).sum((1, 2)) for term in terms]
        gss = [sum(step * c * with_ss[j] for j, c in enumerate(term)).sum((1, 2)) for term in terms]
    moments = total_return_moments(mdp, theta, baseline)
    torch.testing.assert_close(moments.mean[0], mdp.start @ gs[1])
    square = mdp.start @ (gss[2] - 2 * baseline * gss[1] + baseline**2 * gss[0])
    torch.testing.assert_close(moments.trace[0], square - moments.mean.square().sum())


@pytest.mark.parametrize("seed", range(5))
def test_baselines_and_causality_remove_only_what_the_actions_add(seed):
    """The surprises of the start and of the dynamics are the same for every unbiased estimator from whole returns."""
    mdp = random_mdp(seed=seed)
    theta = Streams(3, dtype=F64).child("theta").normal(mdp.policy.size)
    plain = gae_moments(mdp, theta)
    for other in (
        total_return_moments(mdp, theta, 2.0),
        gae_moments(mdp, theta, mdp.v(theta)),
        gae_moments(mdp, theta, least_variance_baseline(mdp, theta)),
    ):
        torch.testing.assert_close(other.mean, mdp.gradient(theta))
        torch.testing.assert_close(other.start, plain.start)
        torch.testing.assert_close(other.dynamics, plain.dynamics)
        assert (other.actions - plain.actions).abs().min() > 1e-3


@pytest.mark.parametrize("constant", [False, True])
def test_no_baseline_has_less_variance_than_the_least(constant):
    mdp = random_mdp(seed=2)
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    best = least_variance_baseline(mdp, theta, constant)
    if constant:
        assert (best[:, :1] == best[:, :5]).all()
    least = gae_moments(mdp, theta, best).trace
    directions = torch.ones(1, 6) if constant else torch.eye(6)[:5]
    for direction in directions.double():
        for step in (-0.1, 0.1):
            assert (gae_moments(mdp, theta, best + step * direction).trace > least).all()
    assert (least < gae_moments(mdp, theta, None if constant else mdp.v(theta)).trace).all()


def test_the_value_is_not_always_better_than_nothing():
    """v_π minimises the spread of the return, not of the gradient."""
    mdp = random_mdp(seed=13)
    theta = Streams(1, dtype=F64).child("theta").normal(mdp.policy.size)
    assert gae_moments(mdp, theta, mdp.v(theta)).trace > gae_moments(mdp, theta).trace


def test_a_reward_to_go_may_have_more_variance_than_the_total_return():
    """A loan: what is borrowed in step 0 is paid back in step 1, so the total return is always 0. Chapter 04."""
    leads_to = torch.tensor([[1, 2], [3, 3], [3, 3], [3, 3]])
    loan = TabularMDP(
        transition=torch.nn.functional.one_hot(leads_to),
        reward=[[1, 0], [-1, -1], [0, 0], [0, 0]],
        start=[1, 0, 0, 0],
        gamma=1.0,
        terminal=[False, False, False, True],
    )
    theta = torch.zeros(1, loan.policy.size)
    assert total_return_moments(loan, theta).trace.item() == 0
    assert gae_moments(loan, theta).trace.item() == pytest.approx(0.25)


def test_dynamics_without_dice_add_no_variance():
    world = corridor(length=5)
    assert gae_moments(world, torch.zeros(1, world.policy.size)).dynamics.max() < 1e-12


def test_a_baseline_of_the_action_moves_the_mean_as_the_formula_says():
    """-Σ_s d_π(s) Σ_a b(s, a) ∇π(a|s); and for b = q_π by the whole gradient."""
    mdp = random_mdp(seed=12)
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    q, exact = mdp.q(theta), mdp.gradient(theta)
    b = Streams(1, dtype=F64).child("action").normal(mdp.states, mdp.actions)[0]
    predicted = -torch.einsum("ns,nsp->np", mdp.occupancy(theta), expected_score(mdp, theta, b))
    torch.testing.assert_close(table_moments(mdp, theta, q - b).mean - exact, predicted)
    for seed in range(2):
        one = theta[seed : seed + 1]
        moved = -torch.einsum("ns,nsp->np", mdp.occupancy(one), expected_score(mdp, one, q[seed]))
        torch.testing.assert_close(moved, -exact[seed : seed + 1])


def test_the_bias_of_a_wrong_critic_vanishes_with_its_error_and_with_lambda_to_one():
    mdp = random_mdp()
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    v, error = mdp.v(theta), Streams(2, dtype=F64).child("error").normal(mdp.states)

    def bias(scale, lam):
        return (gae_moments(mdp, theta, v + scale * error, lam).mean - mdp.gradient(theta)).norm(dim=1)

    torch.testing.assert_close(bias(2.0, 0.5), 2 * bias(1.0, 0.5))  # linear in the error
    along = torch.stack([bias(1.0, lam) for lam in (0.0, 0.3, 0.6, 0.9, 1.0)])
    assert (along.diff(dim=0) < 0).all()
    assert along[-1].max() < 1e-12
    assert bias(0.0, 0.0).max() < 1e-12


def _slope_of(mdp, theta, x):
    """Σ_s d_π(s) Σ_a ∇π(a|s) x(s, a) for tabular softmax."""
    pi = mdp.pi(theta)
    return (mdp.occupancy(theta).unsqueeze(-1) * pi * (x - (pi * x).sum(-1, keepdim=True))).flatten(1)


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.95, 1.0])
def test_the_bias_along_lambda_has_a_closed_form(lam):
    """γ (1-λ) Σ_s d_π(s) Σ_a ∇π(a|s) Σ_s' P(s'|s, a) [(I - γλ P_π)⁻¹ e](s'), of chapter 05."""
    mdp = random_mdp()
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    error = Streams(2, dtype=F64).child("error").normal(mdp.states) * ~mdp.terminal
    system = torch.eye(mdp.states, dtype=F64) - mdp.gamma * lam * mdp.dynamics(theta)
    after = torch.einsum("sat,nt->nsa", mdp.transition, torch.linalg.solve(system, error))
    bias = gae_moments(mdp, theta, mdp.v(theta) + error, lam).mean - mdp.gradient(theta)
    torch.testing.assert_close(bias, mdp.gamma * (1 - lam) * _slope_of(mdp, theta, after))

    def n_step(n):
        """γ^n Σ_s d_π(s) Σ_a ∇π(a|s) Σ_s' P(s'|s, a) [P_π^(n-1) e](s')."""
        ahead = (torch.linalg.matrix_power(mdp.dynamics(theta), n - 1) @ error.unsqueeze(-1)).squeeze(-1)
        return mdp.gamma**n * _slope_of(mdp, theta, torch.einsum("sat,nt->nsa", mdp.transition, ahead))

    mean = (1 - lam) * sum(lam ** (n - 1) * n_step(n) for n in range(1, 400))
    torch.testing.assert_close(bias, mean)


def test_an_error_that_is_the_same_in_all_states_is_a_baseline_where_all_actions_end_alike():
    mdp = random_mdp()
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    for lam in (0.0, 0.5):
        found = gae_moments(mdp, theta, mdp.v(theta) + 100, lam).mean
        torch.testing.assert_close(found, mdp.gradient(theta))


def test_less_lambda_is_not_less_variance_with_any_critic():
    """Chapter 05: a coin leads to X or Y, both worth 0; u(X) = 10 and u(Y) = -10 are noise where λ < 1."""
    transition = torch.zeros(4, 2, 4, dtype=F64)
    transition[0, :, 1:3] = 0.5
    transition[1:, :, 3] = 1.0
    mdp = TabularMDP(transition, torch.zeros(4, 2, dtype=F64), torch.eye(4, dtype=F64)[0], 0.9, torch.arange(4) == 3)
    theta = torch.zeros(1, mdp.policy.size, dtype=F64)
    critic = torch.tensor([[0.0, 10.0, -10.0, 0.0]], dtype=F64)

    def first_score(lam):
        """What δ_0 + γλ δ_1 adds in s_0; the score of softmax at θ = 0 has the squared length 1/2."""
        return 0.5 * (0.9 * (1 - lam) * 10) ** 2

    baseline = gae_moments(mdp, theta, critic, 1.0).trace  # -u(s_1) as a baseline of the second step
    for lam in (0.0, 0.5, 0.9):
        torch.testing.assert_close(gae_moments(mdp, theta, critic, lam).trace, baseline + first_score(lam))


def test_variances_are_compared_between_estimators_of_the_same_thing():
    """The reward-to-go without its γ^t has another mean than the total return: that ratio is refused."""
    mdp = random_mdp(seed=12)
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    total, kept = total_return_moments(mdp, theta), gae_moments(mdp, theta)
    torch.testing.assert_close(variance_ratio(kept, total), kept.trace / total.trace)
    dropped = gae_moments(mdp, theta, keep_discount=False)
    with pytest.raises(ValueError, match=r"the means differ by .* of their length"):
        variance_ratio(dropped, total)
    with pytest.raises(ValueError, match="the means differ by nan"):
        variance_ratio(table_moments(mdp, theta, torch.full((2, 6, 3), math.nan, dtype=F64)), total)


def test_refusals():
    chain = two_state_chain()
    for function in (gae_moments, total_return_moments):
        with pytest.raises(ValueError, match="need not end"):
            function(chain, torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"value must have shape \[2, 7\], \[seed, state\], got \[7\]"):
        gae_moments(SMALL, THETA, CRITIC[0])
