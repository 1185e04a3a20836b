"""Q-learning: targets worked out by hand, the exact values of a small MDP, and memories that forget nothing."""

from dataclasses import fields, replace

import pandas as pd
import pytest
import torch

import pgcourse as pg
from pgcourse.algorithms import DQN, Curves
from pgcourse.algorithms.dqn import MOST_ACTIONS, ActionGrid, EpsilonGreedy
from pgcourse.algorithms.replay import Replay
from pgcourse.core import (
    MLP,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Streams,
    Table,
)
from pgcourse.core.policies import Critic
from pgcourse.envs import TabularWorld
from pgcourse.exact import random_mdp
from pgcourse.rl import Trajectory

SEEDS = 2


def started(algorithm, states=3, actions=2):
    table = Table(states, actions)
    return algorithm.init(SoftmaxPolicy(table), Critic(Table(states, 1)), Streams(SEEDS))


def rollout(algorithm, **columns):
    """A rollout [seed, time, env] of zeros, but for what is given."""
    shape = (SEEDS, algorithm.horizon, algorithm.envs)
    types = {"obs": torch.int64, "action": torch.int64, "reward": torch.float32, "next_obs": torch.int64}
    frames = {field.name: torch.zeros(shape, dtype=types.get(field.name, torch.bool)) for field in fields(Trajectory)}
    return Trajectory(**frames | {"mask": torch.ones(shape, dtype=torch.bool)} | columns)


def optimal_values(mdp):
    """q* [state, action] by value iteration."""
    q = torch.zeros_like(mdp.reward)
    for _ in range(3000):
        q = mdp.reward + mdp.gamma * mdp.transition @ (q.max(-1).values * ~mdp.terminal)
    return q


class TestActionGrid:
    def test_every_index_is_one_vector_and_back(self):
        grid = ActionGrid(bins=3, joints=3, bound=2.0)
        vectors = grid.vector(torch.arange(grid.actions))
        wanted = [[x, y, z] for z in (-2.0, 0.0, 2.0) for y in (-2.0, 0.0, 2.0) for x in (-2.0, 0.0, 2.0)]
        assert vectors.tolist() == wanted
        assert torch.equal(grid.index(vectors), torch.arange(27))

    @pytest.mark.parametrize(("bins", "joints"), [(2, 1), (5, 2), (9, 4), (7, 5)])
    def test_the_way_back_in_single_precision(self, bins, joints):
        grid = ActionGrid(bins, joints, bound=0.7)
        index = torch.arange(grid.actions)
        vectors = grid.vector(index).float()
        assert torch.equal(grid.index(vectors), index)
        assert (vectors.min(), vectors.max()) == pytest.approx((-0.7, 0.7))
        assert len(vectors.unique()) == bins

    def test_the_nearest_action(self):
        grid = ActionGrid(bins=3, joints=2)
        assert grid.index(torch.tensor([[0.4, -0.6], [7.0, 0.1]])).tolist() == [1, 5]

    def test_too_many_actions_are_refused_with_their_number(self):
        with pytest.raises(ValueError, match=r"9 bins on 6 joints are 9\^6 = 531,441 actions.*at most 65,536"):
            ActionGrid(bins=9, joints=6)
        assert ActionGrid(bins=2, joints=16).actions == MOST_ACTIONS
        with pytest.raises(ValueError, match="531,441"):
            next(pg.training(DQN(bins=9), "Arm6-v0", 2, 100))

    @pytest.mark.parametrize("bad", [{"bins": 1}, {"joints": 0}, {"bound": 0.0}, {"bound": float("inf")}])
    def test_grids_without_sense_are_refused(self, bad):
        with pytest.raises(ValueError, match="2 bins or more, 1 joint or more and a positive bound"):
            ActionGrid(**{"bins": 3, "joints": 2} | bad)


class TestEpsilonGreedy:
    q = torch.tensor([0.1, 0.5, 0.2, 0.4])

    def dist(self, epsilon, shape=()):
        return EpsilonGreedy(self.q.expand(*shape, 4), torch.full(shape, epsilon))

    def test_samples_have_the_probabilities_that_log_prob_says(self):
        noise = torch.linspace(0, 1, 4001)[:-1]
        drawn = self.dist(0.2, (4000,)).sample(noise)
        share = torch.bincount(drawn, minlength=4) / 4000
        torch.testing.assert_close(share, torch.tensor([0.05, 0.85, 0.05, 0.05]), rtol=0, atol=5e-4)
        torch.testing.assert_close(self.dist(0.2, (4,)).log_prob(torch.arange(4)).exp(), share, rtol=0, atol=5e-4)

    def test_its_ends(self):
        noise = torch.linspace(0, 1, 101)[:-1]
        assert (self.dist(0.0, (100,)).sample(noise) == 1).all()
        assert torch.bincount(self.dist(1.0, (100,)).sample(noise)).tolist() == [25] * 4
        assert self.dist(0.9).mode == 1
        greedy = self.dist(0.0)
        assert greedy.entropy() == 0
        assert self.dist(1.0).entropy() == pytest.approx(torch.tensor(4.0).log().item())
        assert greedy.kl(self.dist(0.2)) == pytest.approx(-torch.tensor(0.85).log().item(), rel=1e-5)

    def test_on_a_grid_it_acts_in_vectors(self):
        grid = ActionGrid(bins=2, joints=2)
        dist = EpsilonGreedy(self.q, torch.tensor(0.2), grid)
        assert dist.mode.tolist() == [1.0, -1.0]  # action 1: the first joint's digit is the lowest
        assert dist.log_prob(dist.mode).exp() == pytest.approx(0.85)
        assert dist.sample(torch.tensor(0.01)).tolist() == [-1.0, -1.0]
        assert dist.sample(torch.tensor(0.199)).tolist() == [1.0, 1.0]


class TestTarget:
    """q_φ(1, ·) = (3, 2) chooses action 0; q_φ'(1, ·) = (1, 5) values it at 1, and has its own maximum at 5."""

    phi, frozen = (torch.tensor([0.0, 0, *q, 0, 0]).expand(SEEDS, -1) for q in ((3, 2), (1, 5)))

    @pytest.mark.parametrize(("double", "bootstrap"), [(True, 1.0), (False, 5.0)])
    def test_by_hand(self, double, bootstrap):
        steps = {
            "reward": torch.tensor([[0.25, 0.25]]).expand(SEEDS, -1),
            "next_obs": torch.ones(SEEDS, 2, dtype=torch.int64),
            "terminated": torch.tensor([[False, True]]).expand(SEEDS, -1),
        }
        target = DQN(gamma=0.5, double=double).target(Table(3, 2), self.phi, self.frozen, steps)
        assert target.tolist() == [[0.25 + 0.5 * bootstrap, 0.25]] * SEEDS

    def test_truncation_bootstraps(self):
        """What is remembered of a step does not depend on whether the time limit cut the episode there."""
        algorithm = DQN(envs=1, horizon=1, capacity=4)
        kept = []
        for truncated in (False, True):
            batch = rollout(algorithm, truncated=torch.full((SEEDS, 1, 1), truncated))
            kept.append(remembered(algorithm, started(algorithm), batch))
        assert len(kept[0]) == 5
        assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def remembered(algorithm, state, *batches):
    """What the memory holds after these rollouts."""
    for number, batch in enumerate(batches):
        state, _ = algorithm.update(state, batch, 0.0, Streams(SEEDS).child(number))
    return state.replay.columns()


class TestMemory:
    def test_the_oldest_steps_make_room(self):
        algorithm = DQN(envs=2, horizon=2, capacity=6)
        rewards = [first + torch.arange(4.0).view(1, 2, 2).expand(SEEDS, -1, -1) for first in (0, 4, 8)]
        batches = [rollout(algorithm, reward=reward) for reward in rewards]
        assert (
            remembered(algorithm, started(algorithm), *batches)["reward"].tolist() == [[6.0, 7, 8, 9, 10, 11]] * SEEDS
        )

    def test_minibatches_come_from_what_was_seen(self):
        """Room not yet filled holds zeros; drawn by mistake, they would pull q towards 0."""
        algorithm = DQN(envs=2, horizon=2, capacity=1000, updates=50, lr=0.1, gamma=0.0, max_grad_norm=1e9)
        batch = rollout(algorithm, reward=torch.ones(SEEDS, 2, 2))
        state, metrics = algorithm.update(started(algorithm), batch, 0.0, Streams(SEEDS))
        assert (state.phi[:, 0] - 1).abs().max() < 0.05
        assert metrics.q.shape == (SEEDS,)

    def test_actions_are_remembered_by_index(self):
        algorithm = DQN(envs=1, horizon=2, capacity=2, bins=3)
        policy = GaussianPolicy(MLP((3, 4, 2)))
        state = algorithm.init(policy, Critic(MLP((3, 4, 1))), Streams(SEEDS))
        action = torch.tensor([[-1.0, 1.0], [0.0, 0.0]]).view(1, 2, 1, 2).expand(SEEDS, -1, -1, -1)
        obs = torch.zeros(SEEDS, 2, 1, 3)
        batch = rollout(algorithm, action=action, obs=obs, next_obs=obs)
        assert remembered(algorithm, state, batch)["action"].tolist() == [[6, 4]] * SEEDS

    def test_an_old_memory_is_read_however_many_were_added_since(self):
        versions = [Replay(3)]
        for number in range(1100):  # more than Python's functions may call one another
            versions.append(versions[-1].added({"reward": torch.full((SEEDS, 1), float(number))}))
        assert versions[2].columns()["reward"].tolist() == [[0.0, 1.0, 0.0]] * SEEDS
        assert versions[5].columns()["reward"].tolist() == [[3.0, 4.0, 2.0]] * SEEDS
        assert versions[1].columns()["reward"].tolist() == [[0.0, 0.0, 0.0]] * SEEDS
        assert versions[-1].columns()["reward"].tolist() == [[1098.0, 1099.0, 1097.0]] * SEEDS
        assert sum(bool(each._columns) for each in versions) == 4  # who is read keeps columns, those between do not


def test_the_target_network_follows_every_so_many_minibatches():
    algorithm = DQN(envs=1, horizon=1, capacity=10, updates=1, target_every=3, anneal=False)
    first = state = started(algorithm)
    batch = rollout(algorithm, reward=torch.ones(SEEDS, 1, 1))
    equal = []
    for number in range(6):
        state, _ = algorithm.update(state, batch, 0.0, Streams(SEEDS).child(number))
        equal.append(torch.equal(state.target, state.phi))
        if number < 2:
            assert torch.equal(state.target, first.target)
    assert equal == [False, False, True, False, False, True]


def test_epsilon_falls_in_its_part_of_the_training_and_stays():
    algorithm = DQN(envs=1, horizon=1, capacity=10, epsilon=0.1, exploration=0.5)
    state = started(algorithm)
    assert (state.theta[:, -1] == 1).all()
    for progress, epsilon in ((0.0, 1.0), (0.25, 0.55), (0.5, 0.1), (0.9, 0.1)):
        state, metrics = algorithm.update(state, rollout(algorithm), progress, Streams(SEEDS))
        assert metrics.epsilon.tolist() == pytest.approx([epsilon] * SEEDS)
        assert torch.equal(state.theta[:, -1], metrics.epsilon)
        assert metrics.epsilon.untyped_storage().nbytes() == 4 * SEEDS  # curves keep it, and should not keep θ
        assert torch.equal(state.theta[:, :-1], state.phi)


@pytest.mark.parametrize("double", [True, False])
def test_on_a_small_mdp_q_becomes_the_optimal_one(double):
    """With truncation after 5 steps: bootstrapping from it as from an end would leave q far below."""
    mdp = random_mdp(states=3, actions=2, seed=3, gamma=0.8, termination=0.1)
    algorithm = DQN(updates=8, batch=128, target_every=20, lr=0.03, gamma=0.8, epsilon=1.0, double=double, huber=100.0)
    run = pg.train(algorithm, lambda envs: TabularWorld(mdp, envs, time_limit=5), 3, 25_000)
    q = run.policy.theta[:, :-1].view(3, mdp.states, mdp.actions)[:, ~mdp.terminal].double()
    exact = optimal_values(mdp)[~mdp.terminal]
    assert exact.abs().max() > 1
    assert (q - exact).abs().max() < 0.12
    assert torch.equal(q.argmax(-1), exact.argmax(-1).expand(3, -1))


def test_a_small_huber_makes_rare_ends_invisible():
    """One step is worth 1 and one in twenty ends the episode: v = 1 / (1 - 0.95 γ). Medians do not see the ends."""
    mdp = random_mdp(states=1, actions=1, seed=0, gamma=0.9, termination=0.05)
    exact = optimal_values(mdp)[0, 0]
    found = {}
    for huber in (0.1, 100.0):
        algorithm = DQN(target_every=20, lr=0.03, gamma=0.9, huber=huber, capacity=5000)
        run = pg.train(algorithm, lambda envs: TabularWorld(mdp, envs), 2, 8_000)
        found[huber] = run.policy.theta[:, 0] / exact
    assert (found[100.0] - 1).abs().max() < 0.05
    assert (found[0.1] > 1.2).all()


@pytest.mark.parametrize("world", ["CartPole-v1", "Arm2-v0"])
def test_resumed_training_gives_the_same_bits(world):
    algorithm, steps, every = DQN(envs=2, capacity=300, updates=2, batch=16, target_every=7), 1000, 240
    whole, checkpoints = Curves(steps), []
    *_, undisturbed = pg.training(algorithm, world, [3, 5], steps)
    for last in pg.training(algorithm, world, [3, 5], steps, checkpoint_steps=every):
        whole.add(last)
        if last.checkpoint:
            checkpoints.append((last.checkpoint, whole.iterations()))
    assert len(checkpoints) >= 3
    assert torch.equal(undisturbed.policy.theta, last.policy.theta)
    for checkpoint, before in checkpoints:
        resumed = Curves(steps, before)
        for again in pg.training(algorithm, world, [3, 5], steps, checkpoint_steps=every, resume=checkpoint):
            resumed.add(again)
        assert torch.equal(again.policy.theta, last.policy.theta)
        pd.testing.assert_frame_equal(resumed.frame([3, 5]), whole.frame([3, 5]), check_exact=True)


def test_a_seed_does_not_depend_on_its_neighbours():
    algorithm = DQN(envs=2, updates=2, batch=16)
    ends = {}
    for seeds in ([3], [0, 3, 7]):
        for iteration in pg.training(algorithm, "Arm2-v0", seeds, 300):
            ends[len(seeds)] = iteration
    torch.testing.assert_close(ends[3].policy.theta[1:2], ends[1].policy.theta, rtol=0, atol=1e-5)
    assert ends[3].total_return[1] == pytest.approx(ends[1].total_return[0].item(), abs=1e-3)


def test_architectures_keep_their_kind():
    grid = DQN(bins=5).policy(GaussianPolicy(MLP((7, 32, 2), "relu")))
    assert (grid.network.sizes, grid.network.activation, grid.grid.actions) == ((7, 32, 25), "relu", 25)
    squashed = SquashedGaussianPolicy(GaussianPolicy(MLP((3, 8, 1))), (-2.0,), (2.0,))
    with pytest.raises(ValueError, match="takes the place of a softmax policy or of a Gaussian one"):
        DQN().policy(squashed)
    rescaled = GaussianPolicy(MLP((3, 8, 1)), center=(1.0,), scale=(2.0,))
    with pytest.raises(ValueError, match=r"rescale_action must be False.*between ±1.*set bound"):
        DQN().policy(rescaled)
    with pytest.raises(ValueError, match="knows no invalid actions"):  # it would play them, silently
        DQN().policy(MaskedSoftmaxPolicy(MLP((7, 8, 3))))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"bins": 1}, "bins must be at least 2, got 1"),
        ({"epsilon": 1.5}, "epsilon must be at least 0 and at most 1, got 1.5"),
        ({"exploration": 0.0}, "exploration must be above 0 and at most 1, got 0.0"),
        ({"huber": 0.0}, "huber must be above 0, got 0.0"),
        ({"capacity": 63}, "capacity must hold a rollout of envs · horizon = 64 steps, got 63"),
    ],
)
def test_options_out_of_range_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        replace(DQN(), **bad)
