"""TabularMDP against enumeration, iteration, finite differences, linear programming and the textbooks' numbers."""

import dataclasses
import math

import gymnasium
import numpy as np
import pytest
import torch
from enumeration import all_episodes, as_trajectory, expected_score, layered_mdp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import chisquare

from pgcourse.core import Streams
from pgcourse.exact import TabularMDP, cliff_gridworld, corridor, random_mdp, two_state_chain
from pgcourse.rl import discounted_return

F64 = torch.float64


def random_theta(mdp, seeds=2, scale=1.0):
    return scale * Streams(seeds, dtype=F64).child("theta").normal(mdp.policy.size)


mdps = st.builds(
    random_mdp,
    states=st.integers(1, 5),
    actions=st.integers(2, 4),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([0.0, 0.5, 0.9, 0.99]),
    termination=st.sampled_from([0.0, 0.1, 0.5]),
)


class TestAgainstEnumeration:
    """Every episode of a small world, with its probability."""

    mdp = layered_mdp()
    theta = random_theta(mdp, 1)
    episodes = all_episodes(mdp, theta[0])
    trajectory, probability = as_trajectory(mdp, episodes)

    def mean(self, values):
        return (self.probability * values).sum(-1)

    def test_the_list_is_complete(self):
        assert self.probability.sum().item() == pytest.approx(1, abs=1e-14)

    def test_objective(self):
        ret = discounted_return(self.trajectory.reward, self.mdp.gamma, self.trajectory.mask)
        torch.testing.assert_close(self.mdp.objective(self.theta), self.mean(ret))

    @pytest.mark.parametrize("quantity", ["occupancy", "visits"])
    def test_occupancy_and_visits(self, quantity):
        discount = self.mdp.gamma if quantity == "occupancy" else 1.0
        expected = torch.zeros(self.mdp.states, dtype=F64)
        for p, steps in self.episodes:
            for t, (s, _, _) in enumerate(steps):
                expected[s] += p * discount**t
        torch.testing.assert_close(getattr(self.mdp, quantity)(self.theta)[0], expected)

    def test_action_values(self):
        """q(s, a) is the mean of γ^-t times what follows a visit of (s, a) at time t."""
        total, weight = torch.zeros(2, self.mdp.states, self.mdp.actions, dtype=F64)
        for p, steps in self.episodes:
            rewards = [self.mdp.reward[s, a].item() for s, a, _ in steps]
            for t, (s, a, _) in enumerate(steps):
                total[s, a] += p * sum(self.mdp.gamma**k * r for k, r in enumerate(rewards[t:]))
                weight[s, a] += p
        met = weight > 0
        torch.testing.assert_close(self.mdp.q(self.theta)[0][met], (total / weight)[met])


@settings(max_examples=25, deadline=None)
@given(mdps)
def test_values_solve_bellmans_equation_by_iteration(mdp):
    theta = random_theta(mdp)
    v = torch.zeros(2, mdp.states, dtype=F64)
    for _ in range(4000):
        q = mdp.reward + mdp.gamma * torch.einsum("sat,nt->nsa", mdp.transition, v)
        v = (mdp.pi(theta) * q).sum(-1) * ~mdp.terminal
    torch.testing.assert_close(mdp.v(theta), v)
    torch.testing.assert_close(mdp.objective(theta), v @ mdp.start)
    live = ~mdp.terminal
    torch.testing.assert_close(mdp.q(theta)[:, live], q[:, live])
    torch.testing.assert_close((mdp.pi(theta) * mdp.advantage(theta)).sum(-1), torch.zeros_like(v))


@settings(max_examples=25, deadline=None)
@given(mdps)
def test_gradient_is_the_derivative_of_the_objective(mdp):
    theta = random_theta(mdp).requires_grad_()
    (expected,) = torch.autograd.grad(mdp.objective(theta).sum(), theta)
    torch.testing.assert_close(mdp.gradient(theta), expected, rtol=1e-9, atol=1e-11)
    assert torch.autograd.gradcheck(mdp.objective, theta)


@settings(max_examples=25, deadline=None)
@given(mdps)
def test_total_occupancy(mdp):
    """1/(1-γ) where nothing ends; with a chance of the end at every step the horizon is that of both together."""
    survival = 1.0 if not mdp.episodic else 1 - mdp.transition[0, 0, -1].item()
    total = mdp.occupancy(random_theta(mdp)).sum(1)
    torch.testing.assert_close(total, torch.full_like(total, 1 / (1 - mdp.gamma * survival)))


@settings(max_examples=25, deadline=None)
@given(mdps)
def test_the_objective_is_what_the_visits_are_paid(mdp):
    """ρ₀ᵀ (I - γP_π)⁻¹ r_π from the left is d_π, from the right v_π."""
    theta = random_theta(mdp)
    paid = (mdp.occupancy(theta) * (mdp.pi(theta) * mdp.reward).sum(-1)).sum(1)
    torch.testing.assert_close(paid, mdp.objective(theta), rtol=1e-10, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(mdps)
def test_scores(mdp):
    theta = random_theta(mdp)
    for s in range(mdp.states):
        for a in range(mdp.actions):
            leaf = theta.clone().requires_grad_()
            (expected,) = torch.autograd.grad(mdp.pi(leaf)[:, s, a].log().sum(), leaf)
            torch.testing.assert_close(mdp.score(theta)[:, s, a], expected)


def test_the_score_has_mean_zero_unless_the_weight_depends_on_the_action():
    """The lemma on which every baseline rests."""
    mdp = random_mdp()
    theta = random_theta(mdp)
    of_state = torch.arange(mdp.states, dtype=F64).unsqueeze(1)
    of_action = torch.arange(mdp.actions, dtype=F64)
    assert expected_score(mdp, theta, 1.0).abs().max() < 1e-15
    assert expected_score(mdp, theta, of_state).abs().max() < 1e-14
    assert expected_score(mdp, theta, of_action).abs().max() > 0.1


def test_without_the_discount_it_is_no_gradient():
    """A gradient's Jacobian is symmetric. Nota & Thomas (2020): the direction that drops γ^t has one that is not."""
    mdp = random_mdp(states=3, actions=2)
    theta = random_theta(mdp, 1)

    def asymmetry(direction):
        jacobian = torch.autograd.functional.jacobian(lambda row: direction(row.unsqueeze(0))[0], theta[0])
        return ((jacobian - jacobian.T).norm() / jacobian.norm()).item()

    assert asymmetry(mdp.gradient) < 1e-14
    assert asymmetry(mdp.gradient_without_discount) > 0.05


def test_without_a_discount_nothing_is_dropped():
    mdp = random_mdp(gamma=1.0)
    theta = random_theta(mdp)
    torch.testing.assert_close(mdp.gradient_without_discount(theta), mdp.gradient(theta))
    torch.testing.assert_close(mdp.visits(theta), mdp.occupancy(theta))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gamma", [0.3, 0.9])
def test_without_the_discount_a_table_never_goes_downhill(seed, gamma):
    """g̃·∇J = Σ_s n(s) d(s) Σ_a π² A², with n the visits and d the occupancy."""
    mdp = random_mdp(seed=seed, gamma=gamma)
    theta = random_theta(mdp)
    product = (mdp.gradient_without_discount(theta) * mdp.gradient(theta)).sum(1)
    square = (mdp.pi(theta) * mdp.advantage(theta)).square().sum(-1)
    torch.testing.assert_close(product, (mdp.visits(theta) * mdp.occupancy(theta) * square).sum(1))
    assert (product > 0).all()


def test_two_state_chain_on_paper():
    """Chapter 02: p = q = 1/2 and γ = 0.9 give v = (4.5, 5.5), d = (5.5, 4.5), J = 4.5 and these slopes."""
    mdp = two_state_chain()
    theta = torch.zeros(1, 4, dtype=F64)
    torch.testing.assert_close(mdp.v(theta)[0], torch.tensor([4.5, 5.5], dtype=F64))
    torch.testing.assert_close(mdp.occupancy(theta)[0], torch.tensor([5.5, 4.5], dtype=F64))
    torch.testing.assert_close(mdp.gradient(theta)[0], torch.tensor([-1.2375, 1.2375, 1.0125, -1.0125], dtype=F64))


@pytest.mark.parametrize("termination", [0.0, 0.2])
def test_two_state_chain_in_closed_form(termination):
    gamma = 0.9
    mdp = two_state_chain(gamma, termination)
    theta = random_theta(mdp, 5)
    p, q = mdp.pi(theta)[:, 0, 1], mdp.pi(theta)[:, 1, 1]
    g = gamma * (1 - termination)
    torch.testing.assert_close(mdp.objective(theta), g * p / ((1 - g) * (1 - g * (1 - p - q))))
    # d = ρ₀ (I - gP)⁻¹ of a 2×2 matrix
    occupancy = torch.stack([1 - g * (1 - q), g * p], 1) / ((1 - g) * (1 - g * (1 - p - q))).unsqueeze(1)
    torch.testing.assert_close(mdp.occupancy(theta)[:, :2], occupancy)
    # dJ/dp and dJ/dq, times dp/dθ = ±p(1-p)
    determinant = 1 - g * (1 - p - q)
    slope_p = g * (1 - g * (1 - q)) / ((1 - g) * determinant**2) * p * (1 - p)
    slope_q = -g * g * p / ((1 - g) * determinant**2) * q * (1 - q)
    torch.testing.assert_close(mdp.gradient(theta)[:, :4], torch.stack([-slope_p, slope_p, -slope_q, slope_q], 1))


class TestOptimum:
    @settings(max_examples=20, deadline=None)
    @given(mdps)
    def test_against_linear_programming(self, mdp):
        """v* is the least v with v(s) >= r(s, a) + γ Σ P v. Puterman (1994), section 6.9."""
        live = (~mdp.terminal).numpy()
        transition = (mdp.transition * ~mdp.terminal).numpy()[live][:, :, live]
        bound = np.concatenate([mdp.gamma * transition[:, a] - np.eye(live.sum()) for a in range(mdp.actions)])
        reward = mdp.reward.numpy()[live].T.reshape(-1)
        solution = linprog(np.ones(live.sum()), A_ub=bound, b_ub=-reward, bounds=(None, None))
        best = mdp.optimal()
        np.testing.assert_allclose(best.v.numpy()[live], solution.x, rtol=1e-7, atol=1e-7)
        assert best.objective == pytest.approx(float(mdp.start @ best.v))

    @settings(max_examples=20, deadline=None)
    @given(mdps)
    def test_the_greedy_policy_attains_it(self, mdp):
        best = mdp.optimal()
        greedy = 1e3 * torch.nn.functional.one_hot(best.action, mdp.actions).double().flatten().unsqueeze(0)
        assert mdp.objective(greedy).item() == pytest.approx(best.objective, rel=1e-10, abs=1e-10)
        assert (mdp.objective(random_theta(mdp, 20)) <= best.objective + 1e-12).all()

    def test_the_shortest_way_along_the_cliff_takes_13_steps(self):
        """Sutton & Barto (2018), example 6.6."""
        assert cliff_gridworld(gamma=1.0).optimal().objective == -13

    @pytest.mark.parametrize("length", [2, 5, 9])
    def test_corridor(self, length):
        best = corridor(length, gamma=0.9).optimal()
        assert best.objective == pytest.approx(0.9 ** (length - 2), rel=1e-14)
        assert best.action[:-1].tolist() == [1] * (length - 1)

    def test_no_optimum_without_a_bound(self):
        world = corridor(4, gamma=1.0)
        paid = dataclasses.replace(world, reward=torch.ones(4, 2))
        with pytest.raises(ValueError, match="did not converge in 100 sweeps"):
            paid.optimal(max_iterations=100)


class TestGridworld:
    def test_against_gymnasium(self):
        """The default world is Gymnasium's CliffWalking, but for cells that nobody can stand on."""
        table = gymnasium.make("CliffWalking-v1").unwrapped.P
        world = cliff_gridworld()
        assert world.action_names == ("up", "right", "down", "left")
        number = {row * 12 + column: s for s, (row, column) in enumerate(world.cells)}
        assert len(number) == 48 - 10
        for theirs, ours in number.items():
            if world.terminal[ours]:
                continue
            for action, outcomes in table[theirs].items():
                ((probability, following, reward, terminated),) = outcomes
                assert probability == 1
                assert world.transition[ours, action, number[following]] == 1
                assert world.reward[ours, action] == reward
                assert bool(world.terminal[number[following]]) == terminated

    def test_a_slip_is_one_of_the_other_actions(self):
        world = cliff_gridworld("S.G", slip=0.3, actions=("left", "right"), step_reward=0.0, goal_reward=1.0)
        np.testing.assert_allclose(world.transition[1, 1].numpy(), [0.3, 0, 0.7])
        np.testing.assert_allclose(world.reward[1].numpy(), [0.3, 0.7])
        four = cliff_gridworld("S.G", slip=0.3)
        np.testing.assert_allclose(four.transition[1, 1].numpy(), [0.1, 0.2, 0.7])

    def test_walls_and_several_starts(self):
        world = cliff_gridworld("S#G\nS..")
        assert world.cells == ((0, 0), (0, 2), (1, 0), (1, 1), (1, 2))
        assert world.start.tolist() == [0.5, 0, 0.5, 0, 0]
        right, up = 1, 0
        assert world.transition[0, right, 0] == 1
        assert world.transition[3, up, 3] == 1

    def test_a_grid_of_values(self):
        world = cliff_gridworld("S#G\nSC.")
        grid = world.grid(torch.arange(8.0).view(2, 4))
        np.testing.assert_array_equal(grid.numpy()[1], [[4, np.nan, 5], [6, np.nan, 7]])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"picture": "S.\nG"}, r"rows of one length, got lengths \[2, 1\]"),
            ({"picture": "S?G"}, r"got \['\?'\]"),
            ({"picture": "S.."}, r"missing: \['G'\]"),
            ({"slip": 1.5}, "slip must be in .* got 1.5"),
            ({"actions": ("up", "jump")}, r"got \['jump'\]"),
        ],
    )
    def test_bad_pictures(self, options, message):
        with pytest.raises(ValueError, match=message):
            cliff_gridworld(**options)


class TestRollouts:
    mdp = random_mdp(seed=3)
    theta = random_theta(mdp)

    def test_an_episode_is_a_walk_from_a_start_to_an_end(self):
        trajectory = self.mdp.rollouts(self.theta, Streams(2), 500)
        mask, terminated = trajectory.mask, trajectory.terminated
        length = mask.sum(1)
        assert (length >= 1).all()
        assert (mask == (torch.arange(mask.shape[1]).view(1, -1, 1) < length.unsqueeze(1))).all()
        assert (terminated.sum(1) == 1).all()
        assert terminated.gather(1, length.unsqueeze(1) - 1).all()
        assert not trajectory.truncated.any()
        goes_on = mask[:, 1:]
        assert (trajectory.obs[:, 1:][goes_on] == trajectory.next_obs[:, :-1][goes_on]).all()
        assert (trajectory.reward[mask] == self.mdp.reward[trajectory.obs, trajectory.action][mask]).all()
        assert (trajectory.reward[~mask] == 0).all()

    def test_frequencies(self):
        """Starts, actions and successors by chi-square; fixed streams, so that the p-values are what they are."""
        trajectory = self.mdp.rollouts(self.theta, Streams(2), 20_000)
        mask = trajectory.mask[0]
        obs, action, following = (x[0][mask] for x in (trajectory.obs, trajectory.action, trajectory.next_obs))

        def fits(outcomes, probabilities):
            possible = probabilities > 0
            counts = torch.bincount(outcomes, minlength=len(probabilities))
            assert counts[~possible].sum() == 0
            return chisquare(counts[possible], probabilities[possible] * len(outcomes)).pvalue

        p_values = [fits(trajectory.obs[0, 0], self.mdp.start)]
        for s in range(5):
            p_values.append(fits(action[obs == s], self.mdp.pi(self.theta)[0, s]))
            for a in range(3):
                p_values.append(fits(following[(obs == s) & (action == a)], self.mdp.transition[s, a]))
        assert min(p_values) > 0.01 / len(p_values)

    def test_mean_return_is_the_objective(self):
        trajectory = self.mdp.rollouts(self.theta, Streams(2), 20_000)
        ret = discounted_return(trajectory.reward, self.mdp.gamma, trajectory.mask)
        z = (ret.mean(1) - self.mdp.objective(self.theta)) / (ret.std(1) / math.sqrt(20_000))
        assert z.abs().max() < 3.5

    def test_a_seed_does_not_depend_on_its_neighbours(self):
        both = self.mdp.rollouts(self.theta, Streams([4, 9]), 50)
        alone = self.mdp.rollouts(self.theta[1:], Streams([9]), 50)
        steps = alone.mask.shape[1]
        for name in ("obs", "action", "reward", "next_obs", "terminated", "mask"):
            assert torch.equal(getattr(both, name)[1:, :steps], getattr(alone, name))
        assert not both.mask[1, steps:].any()

    def test_the_same_streams_go_on(self):
        streams = Streams(2)
        first, second = (self.mdp.rollouts(self.theta, streams, 200) for _ in range(2))
        again = self.mdp.rollouts(self.theta, Streams(2), 200)
        assert torch.equal(first.obs, again.obs)
        assert not torch.equal(first.obs[:, 0], second.obs[:, 0])

    def test_refusals(self):
        with pytest.raises(ValueError, match="outlast max_steps=3; raise it"):
            self.mdp.rollouts(self.theta, Streams(2), 100, max_steps=3)
        with pytest.raises(ValueError, match="need not end"):
            two_state_chain().rollouts(torch.zeros(1, 4), Streams(1), 10)
        with pytest.raises(ValueError, match="theta has 2 rows and streams has 3 seeds"):
            self.mdp.rollouts(self.theta, Streams(3), 10)
        with pytest.raises(ValueError, match="episodes must be 1 or more, got 0"):
            self.mdp.rollouts(self.theta, Streams(2), 0)
        with pytest.raises(ValueError, match="expected number of visits is infinite"):
            two_state_chain().visits(torch.zeros(1, 4))


def test_the_corridor_with_switched_actions_in_closed_form():
    """Sutton & Barto (2018), example 13.1 and exercise 13.1: J = -2 (2 - p) / (p (1 - p)), best at p = 2 - √2."""
    after = torch.tensor([[0, 1], [2, 0], [1, 3], [3, 3]])
    terminal = torch.tensor([False, False, False, True])
    mdp = TabularMDP(torch.eye(4)[after], -torch.ones(4, 2), torch.eye(4)[0], 1.0, terminal)
    p = torch.tensor([0.05, 0.5, 2 - math.sqrt(2), 0.95], dtype=F64)
    theta = torch.stack([1 - p, p], -1).log().repeat(1, 4)
    expected = -2 * (2 - p) / (p * (1 - p))
    torch.testing.assert_close(mdp.objective(theta), expected)
    assert expected[2].item() == pytest.approx(-(6 + 4 * math.sqrt(2)))
    slope = mdp.gradient(theta).view(-1, 4, 2).sum(1)  # of logits that all cells share
    torch.testing.assert_close(slope[2], torch.zeros(2, dtype=F64), rtol=0, atol=1e-9)
    assert slope[1, 1] > 0 > slope[3, 1]
    assert mdp.optimal().objective == -3  # of a policy that sees its cell


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("transition", torch.ones(2, 2), r"transition must have shape \[state, action, state\], got \[2, 2\]"),
        ("transition", torch.full((3, 2, 3), 0.5), "transition must be probabilities; .* worst sum 1.5"),
        ("transition", torch.tensor([2.0, -1, 0]).expand(3, 2, 3), "transition must be .* smallest entry -1"),
        ("reward", torch.zeros(3, 3), r"reward must have shape \[3, 2\] to fit transition, got \[3, 3\]"),
        ("reward", torch.full((3, 2), torch.nan), "reward must be finite, got nan"),
        ("start", torch.tensor([0.5, 0.0, 0.0]), "start must be probabilities"),
        ("start", torch.tensor([0.5, 0.0, 0.5]), "start must have no mass on terminal states"),
        ("gamma", 1.1, r"gamma must be in \[0, 1\], got 1.1"),
        ("terminal", torch.zeros(2), r"terminal must have shape \[3\]"),
        ("action_names", ("one",), "action_names must have 2 entries, got 1"),
    ],
)
def test_bad_fields_are_named(field, value, message):
    world = random_mdp(states=2, actions=2)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(world, **{field: value})


def test_an_endless_world_needs_a_discount():
    with pytest.raises(ValueError, match="gamma = 1 needs a terminal state within reach"):
        two_state_chain(gamma=1.0)


def test_theta_must_fit():
    with pytest.raises(ValueError, match=r"theta must have shape \[seed, 18\], got \[1, 15\]"):
        random_mdp().objective(torch.zeros(1, 15))


def test_lists_will_do():
    mdp = TabularMDP([[[0.5, 0.5]], [[0, 1]]], [[1], [0]], [1, 0], 0.9, [False, True])
    assert mdp.v(torch.zeros(1, 2))[0].tolist() == pytest.approx([1 / (1 - 0.45), 0])
