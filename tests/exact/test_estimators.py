"""Gradient estimators: their exact expectation by enumeration, and the per-episode gradients by other roads."""

import pytest
import torch
from enumeration import all_episodes, as_trajectory, layered_mdp

from pgcourse.core import MLP, GaussianPolicy, SoftmaxPolicy, Streams
from pgcourse.exact import episode_gradients, independent_batches, random_mdp, scores
from pgcourse.exact.estimators import (
    at,
    gae_weight,
    n_step_weight,
    optimal_baseline,
    optimal_return_baseline,
    reward_to_go_weight,
    table_weight,
    total_return_weight,
)
from pgcourse.exact.variance import gae_moments, least_variance_baseline, total_return_moments
from pgcourse.rl import Trajectory

F64 = torch.float64
SMALL = layered_mdp()
THETA = Streams(1, dtype=F64).child("theta").normal(SMALL.policy.size)
GAMMA = SMALL.gamma
TRAJECTORY, PROBABILITY = as_trajectory(SMALL, all_episodes(SMALL, THETA[0]))
V, Q, GRADIENT = SMALL.v(THETA), SMALL.q(THETA), SMALL.gradient(THETA)
CRITIC = (V + Streams(1, dtype=F64).child("error").normal(SMALL.states)) * ~SMALL.terminal
ANY = Streams(1, dtype=F64).child("baseline").normal(SMALL.states)


def expectation(weight):
    """E[g] over all episodes there are."""
    gradients = episode_gradients(SMALL.policy, THETA, TRAJECTORY, weight)
    return torch.einsum("i,nip->np", PROBABILITY, gradients)


def values(critic):
    return at(critic, TRAJECTORY.obs), at(critic, TRAJECTORY.next_obs)


UNBIASED = {
    "total return": total_return_weight(TRAJECTORY, GAMMA),
    "total return, constant": total_return_weight(TRAJECTORY, GAMMA, 3.0),
    "reward-to-go": reward_to_go_weight(TRAJECTORY, GAMMA),
    "reward-to-go, constant": reward_to_go_weight(TRAJECTORY, GAMMA, 3.0),
    "reward-to-go, v": reward_to_go_weight(TRAJECTORY, GAMMA, at(V, TRAJECTORY.obs)),
    "reward-to-go, any b(s)": reward_to_go_weight(TRAJECTORY, GAMMA, at(ANY, TRAJECTORY.obs)),
    "reward-to-go, any b(t)": reward_to_go_weight(TRAJECTORY, GAMMA, torch.tensor([1.0, -2.0, 5.0]).view(1, 3, 1)),
    "q": table_weight(TRAJECTORY, GAMMA, Q),
    "advantage": table_weight(TRAJECTORY, GAMMA, Q - V.unsqueeze(-1)),
    "TD, v known": gae_weight(TRAJECTORY, GAMMA, 0.0, *values(V)),
    "GAE(0.7), v known": gae_weight(TRAJECTORY, GAMMA, 0.7, *values(V)),
    "GAE(1), wrong critic": gae_weight(TRAJECTORY, GAMMA, 1.0, *values(CRITIC)),
    "2 steps, v known": n_step_weight(TRAJECTORY, GAMMA, 2, *values(V)),
    "all steps, wrong critic": n_step_weight(TRAJECTORY, GAMMA, 3, *values(CRITIC)),
}
BIASED = {
    "TD": gae_weight(TRAJECTORY, GAMMA, 0.0, *values(CRITIC)),
    "GAE(0.7)": gae_weight(TRAJECTORY, GAMMA, 0.7, *values(CRITIC)),
    "2 steps": n_step_weight(TRAJECTORY, GAMMA, 2, *values(CRITIC)),
    "γ^t dropped": reward_to_go_weight(TRAJECTORY, GAMMA, keep_discount=False),
    "b(s, a)": reward_to_go_weight(TRAJECTORY, GAMMA) - table_weight(TRAJECTORY, GAMMA, Q),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_expectation_is_the_gradient(name):
    torch.testing.assert_close(expectation(UNBIASED[name]), GRADIENT, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", BIASED)
def test_expectation_is_something_else(name):
    assert (expectation(BIASED[name]) - GRADIENT).norm() > 0.01 * GRADIENT.norm()


def test_what_the_biased_ones_estimate():
    close = {"rtol": 1e-11, "atol": 1e-13}
    torch.testing.assert_close(expectation(BIASED["γ^t dropped"]), SMALL.gradient_without_discount(THETA), **close)
    torch.testing.assert_close(expectation(BIASED["b(s, a)"]), torch.zeros_like(GRADIENT), **close)
    torch.testing.assert_close(expectation(BIASED["TD"]), gae_moments(SMALL, THETA, CRITIC, 0.0).mean, **close)


def test_everybodys_weight_leaves_one_nth_of_the_gradient():
    """[N] against [N, 1]: every action is weighted by the mean over all N episodes, its own among them. E[ĝ] = ∇J/N."""
    own = UNBIASED["reward-to-go"].where(TRAJECTORY.mask, 0.0)
    others = torch.einsum("i,nti->nt", PROBABILITY, own).unsqueeze(-1)
    for n in (1, 8, 16):
        found = expectation((own + (n - 1) * others) / n)
        torch.testing.assert_close(found, GRADIENT / n, rtol=1e-11, atol=1e-13)


def test_batches_in_rows_are_the_episodes_of_one_stream():
    batches = independent_batches(SMALL, THETA, Streams(1, dtype=F64), batches=5, episodes=3)
    played = SMALL.rollouts(THETA, Streams(1, dtype=F64), 15)
    assert batches.mask.shape == (5, played.mask.shape[1], 3)
    for row in range(5):
        torch.testing.assert_close(batches.reward[row], played.reward[0][:, 3 * row : 3 * row + 3], rtol=0, atol=0)


def test_td_is_the_one_step_advantage():
    assert torch.equal(n_step_weight(TRAJECTORY, GAMMA, 1, *values(CRITIC)), BIASED["TD"])


def test_tabular_gradients_are_sums_of_scores():
    """The closed form against automatic differentiation of every step, several seeds at once."""
    mdp = random_mdp()
    theta = Streams(3, dtype=F64).child("theta").normal(mdp.policy.size)
    trajectory = mdp.rollouts(theta, Streams(3), 20)
    weight = Streams(3, dtype=F64).normal(*trajectory.mask.shape[1:])
    by_step = scores(mdp.policy, theta, trajectory)
    assert (by_step[~trajectory.mask] == 0).all()
    expected = torch.einsum("nti,ntip->nip", weight, by_step)
    torch.testing.assert_close(episode_gradients(mdp.policy, theta, trajectory, weight), expected)
    exact = mdp.score(theta)[torch.arange(3).view(3, 1, 1), trajectory.obs, trajectory.action]
    torch.testing.assert_close(by_step, exact.where(trajectory.mask.unsqueeze(-1), 0.0))


@pytest.mark.parametrize("kind", ["softmax", "gaussian"])
def test_gradients_of_any_policy(kind, monkeypatch):
    """One episode, one seed at a time, by plain autograd; the library takes all at once, in several parts."""
    monkeypatch.setattr("pgcourse.exact.estimators.ROWS", 2)
    policy = SoftmaxPolicy(MLP((3, 5, 4))) if kind == "softmax" else GaussianPolicy(MLP((3, 5, 2)))
    seeds, steps, envs = 2, 6, 5
    streams = Streams(seeds, dtype=F64)
    theta = policy.init(streams.child("init"))
    obs = streams.normal(steps, envs, 3)
    action = policy(theta, obs).sample(policy.noise(streams, steps, envs))
    mask = torch.arange(steps).view(1, -1, 1) < torch.tensor([[1, 6, 3, 4, 2], [6, 5, 4, 3, 2]]).unsqueeze(1)
    obs = obs.where(mask.unsqueeze(-1), torch.inf)  # padding may hold anything
    weight = streams.normal(steps, envs).where(mask, torch.nan)
    flags = torch.zeros_like(mask)
    trajectory = Trajectory(obs, action, torch.zeros_like(weight), obs, flags, flags, mask)
    result = episode_gradients(policy, theta, trajectory, weight)
    for i in range(seeds):
        for e in range(envs):
            row = theta[i : i + 1].clone().requires_grad_()
            n = int(mask[i, :, e].sum())
            log_prob = policy(row, obs[i : i + 1, :n, e]).log_prob(action[i : i + 1, :n, e])
            (expected,) = torch.autograd.grad((log_prob[0] * weight[i, :n, e]).sum(), row)
            torch.testing.assert_close(result[i, e], expected[0])


def test_a_weight_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"weight must have shape \[1, 3, \d+\], got \[3, \d+\]"):
        episode_gradients(SMALL.policy, THETA, TRAJECTORY, torch.zeros(TRAJECTORY.mask.shape[1:]))


class TestOptimalBaselines:
    mdp = random_mdp(seed=12)
    theta = Streams(1, dtype=F64).child("theta").normal(mdp.policy.size)
    pilot = mdp.rollouts(theta, Streams(1).child("pilot"), 20_000)
    score = episode_gradients(mdp.policy, theta, pilot, torch.ones_like(pilot.reward))

    def second_moment(self, weight):
        return episode_gradients(self.mdp.policy, self.theta, self.pilot, weight).square().sum(-1).mean()

    @pytest.mark.parametrize("features", ["constant", "state"])
    def test_no_other_coefficients_do_better_on_the_pilot(self, features):
        f = torch.ones(1) if features == "constant" else torch.nn.functional.one_hot(self.pilot.obs, 6)
        f = f.double().expand(*self.pilot.mask.shape, -1)
        best = optimal_baseline(self.mdp.policy, self.theta, self.pilot, self.mdp.gamma, f)
        assert best.shape == (1, f.shape[-1])

        def moment(coefficients):
            return self.second_moment(reward_to_go_weight(self.pilot, self.mdp.gamma, f @ coefficients))

        least = moment(best[0])
        live = f.flatten(0, 2).any(0)
        for k in range(f.shape[-1]):
            for step in (-0.1, 0.1):
                other = best[0].clone()
                other[k] += step
                assert (moment(other) > least) == live[k]

    def test_they_converge_to_the_exact_ones(self):
        """Five independent pilots: the exact optimum lies within their spread."""
        exact = least_variance_baseline(self.mdp, self.theta)[0, :5]
        fits = []
        for i in range(5):
            pilot = self.mdp.rollouts(self.theta, Streams(1).child(i), 20_000)
            one_hot = torch.nn.functional.one_hot(pilot.obs, 6)
            fits.append(optimal_baseline(self.mdp.policy, self.theta, pilot, self.mdp.gamma, one_hot)[0])
        fits = torch.stack(fits)[:, :5]
        t = (fits.mean(0) - exact) / (fits.std(0) / 5**0.5)
        assert t.abs().max() < 8  # 0.07 % a component with 4 degrees of freedom
        assert (fits.mean(0) - exact).abs().max() < 0.05

    def test_total_return(self):
        ret = (self.pilot.reward * self.mdp.gamma ** torch.arange(self.pilot.mask.shape[1]).view(1, -1, 1)).sum(1)

        def moment(baseline):
            return (self.score * (ret.unsqueeze(-1) - baseline)).square().mean(1)

        scalar = optimal_return_baseline(self.mdp.policy, self.theta, self.pilot, self.mdp.gamma)
        for step in (-0.1, 0.1):
            assert moment(scalar).sum() < moment(scalar + step).sum()
        each = optimal_return_baseline(self.mdp.policy, self.theta, self.pilot, self.mdp.gamma, per_component=True)
        assert (moment(each) <= moment(scalar)).all()
        live = self.score.square().sum(1) > 0
        for step in (-0.1, 0.1):
            assert ((moment(each) < moment(each + step)) == live).all()

    def test_total_return_against_the_exact_optimum(self):
        """The exact variance is a parabola in b; three points give its vertex."""
        f = [total_return_moments(self.mdp, self.theta, b).trace for b in (-1.0, 0.0, 1.0)]
        vertex = (f[0] - f[2]) / (2 * (f[0] - 2 * f[1] + f[2]))
        fitted = optimal_return_baseline(self.mdp.policy, self.theta, self.pilot, self.mdp.gamma)
        assert fitted.item() == pytest.approx(vertex.item(), abs=0.1)
