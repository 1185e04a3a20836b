"""The theorem's check holds where the theorem does, and fails for each mistake that is planted."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcourse.core import Streams
from pgcourse.exact import TabularMDP, check_policy_gradient, corridor, random_mdp, two_state_chain
from pgcourse.exact.estimators import reward_to_go_weight, table_weight, total_return_weight

F64 = torch.float64
MDP = random_mdp(seed=1)
THETA = Streams(2, dtype=F64).child("theta").normal(MDP.policy.size)


@settings(max_examples=10, deadline=None, derandomize=True)  # a sampled check may fail by chance: always the same draws
@given(
    states=st.integers(1, 5),
    actions=st.integers(2, 4),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([0.5, 0.9, 0.99, 1.0]),
)
def test_it_holds_on_random_mdps(states, actions, seed, gamma):
    mdp = random_mdp(states, actions, seed, gamma, termination=0.2)
    theta = Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    result = check_policy_gradient(mdp, theta, Streams(2), episodes=5000)
    assert result.autograd_error < 1e-12
    assert result.difference_error < 1e-8
    assert result.holds


@pytest.mark.parametrize("mdp", [corridor(slip=0.1), two_state_chain(termination=0.1)], ids=["corridor", "chain"])
def test_it_holds_on_the_textbooks_worlds(mdp):
    theta = 0.3 * Streams(2, dtype=F64).child("theta").normal(mdp.policy.size)
    assert check_policy_gradient(mdp, theta, Streams(2), episodes=10_000).holds


@pytest.mark.parametrize("form", ["total return", "q", "advantage"])
def test_equivalent_forms(form):
    weight = {
        "total return": total_return_weight,
        "q": partial(table_weight, table=MDP.q(THETA)),
        "advantage": partial(table_weight, table=MDP.advantage(THETA)),
    }[form]
    assert check_policy_gradient(MDP, THETA, Streams(2), weight=weight).holds


def test_the_error_falls_as_one_over_the_root_of_n():
    result = check_policy_gradient(MDP, THETA, Streams(2), episodes=100_000)
    assert result.slope == pytest.approx(-0.5, abs=3 * result.slope_error)
    assert result.slope_error < 0.02
    # where the line lies: the mean square error of n episodes is tr Cov / n
    per_episode = result.error.square() * result.batch_sizes
    variance = result.standard_error.square().sum(1) * 100_000 / result.exact.square().sum(1)
    torch.testing.assert_close(per_episode[:, 0], variance, rtol=0.05, atol=0)


class NormalisedOccupancy(TabularMDP):
    """d_π that sums to 1, while J stays E[Σ γ^t r_t]: off by the factor 1/(1-γ)."""

    def occupancy(self, theta):
        occupancy = super().occupancy(theta)
        return occupancy / occupancy.sum(1, keepdim=True)


class MissingDiscount(TabularMDP):
    """The occupancy without its γ^t."""

    def occupancy(self, theta):
        return self.visits(theta)


class ActionValues(TabularMDP):
    """q in the place of the advantage: right in expectation over actions, not for each ∂J/∂θ_{s,a}."""

    def advantage(self, theta):
        return self.q(theta)


@pytest.mark.parametrize("mistake", [NormalisedOccupancy, MissingDiscount, ActionValues])
def test_a_wrong_gradient_is_seen(mistake):
    fields = {name: getattr(MDP, name) for name in ("transition", "reward", "start", "gamma", "terminal")}
    result = check_policy_gradient(mistake(**fields), THETA, Streams(2), episodes=5000)
    assert not result.exact_holds
    assert not result.sampling_holds
    assert not result.holds


def test_a_wrong_objective_is_seen_by_sampling_alone():
    """Exact roads agree on a world with other rewards: only episodes of the true world can tell."""

    class Flattered(TabularMDP):
        @property
        def _reward(self):
            return super()._reward + torch.arange(self.actions)

    fields = {name: getattr(MDP, name) for name in ("transition", "reward", "start", "gamma", "terminal")}
    result = check_policy_gradient(Flattered(**fields), THETA, Streams(2), episodes=5000)
    assert result.exact_holds
    assert not result.sampling_holds


@pytest.mark.parametrize(
    "mistake",
    [
        partial(reward_to_go_weight, keep_discount=False),
        lambda trajectory, gamma: -reward_to_go_weight(trajectory, gamma),
        lambda trajectory, gamma: reward_to_go_weight(trajectory, gamma).roll(-1, 1),
        lambda trajectory, gamma: trajectory.reward,
    ],
    ids=["no discount", "sign", "off by one", "reward only"],
)
def test_a_wrong_estimator_is_seen(mistake):
    result = check_policy_gradient(MDP, THETA, Streams(2), weight=mistake)
    assert result.exact_holds
    assert result.max_z > 2 * result.z_threshold
    assert abs(result.slope + 0.5) > 3 * result.slope_error


def test_single_precision_parameters_lose_nothing_but_digits():
    result = check_policy_gradient(MDP, THETA.float(), Streams(2), episodes=2000)
    assert result.exact_holds


def test_too_few_episodes():
    with pytest.raises(ValueError, match="episodes must be 1024 or more for a slope over batch sizes, got 1000"):
        check_policy_gradient(MDP, THETA, Streams(2), episodes=1000)


def test_holds_needs_all_parts():
    good = check_policy_gradient(MDP, THETA, Streams(2), episodes=5000)
    assert good.holds
    for change in ({"autograd_error": 1e-3}, {"difference_error": 1e-3}, {"max_z": 9.0}, {"slope": 0.0}):
        assert not replace(good, **change).holds
