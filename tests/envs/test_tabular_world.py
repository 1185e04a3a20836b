"""Tabular worlds: frequencies against P and ρ₀, returns against linear algebra, the cliff against Gymnasium's."""

import dataclasses
import math

import gymnasium
import pytest
import torch
from scipy import stats

from pgcourse.algorithms import episodes, rollout
from pgcourse.core import Streams
from pgcourse.envs import GridWorld, TabularWorld, make
from pgcourse.exact import TabularMDP, cliff_gridworld, corridor, random_mdp, two_state_chain
from pgcourse.rl import discounted_return

BEND = "SS..\n.#..\n.C.G"
MDPS = {
    "random": random_mdp(states=4, actions=3, seed=2),
    "endless": random_mdp(states=3, actions=2, seed=3, termination=0.0),
    "chain": two_state_chain(termination=0.05),
    "corridor": corridor(4, slip=0.3),
    "grid": cliff_gridworld(BEND, slip=0.2),
}


@pytest.fixture(params=MDPS.values(), ids=MDPS.keys())
def mdp(request):
    return request.param


def chi_square_p(counts, probs):
    """p-value of all rows' frequencies together; an outcome of probability 0 must not occur."""
    expected = counts.sum(-1, keepdim=True) * probs
    possible = probs > 0
    assert not counts[~possible].any()
    assert expected[possible].min() > 5
    statistic = ((counts - expected).square() / expected)[possible].sum().item()
    freedom = int((possible.sum(-1) - 1).sum())
    return stats.chi2.sf(statistic, freedom) if freedom else 1.0


def random_walk(mdp):
    """The first observations, 200 steps with automatic starts in between, and how often s, a led to s'."""
    world, streams = TabularWorld(mdp, envs=500, time_limit=20), Streams(2)
    first = world.reset(streams)
    batch, _ = rollout(mdp.policy, mdp.policy.init(streams), world, first, 200, streams.child("walk"))
    index = (batch.obs * mdp.actions + batch.action) * mdp.states + batch.next_obs
    counts = index.flatten().bincount(minlength=mdp.transition.numel())
    return first, batch, counts.double().view_as(mdp.transition)


def test_frequencies_are_those_of_the_mdp(mdp):
    first, batch, counts = random_walk(mdp)
    assert not counts[mdp.terminal].any()
    assert chi_square_p(counts[~mdp.terminal], mdp.transition[~mdp.terminal]) > 0.001
    starts = torch.cat([first.flatten(), batch.obs[:, 1:][batch.done[:, :-1]]])
    assert chi_square_p(starts.bincount(minlength=mdp.states).double(), mdp.start) > 0.001
    assert torch.equal(batch.terminated, mdp.terminal[batch.next_obs])
    assert torch.equal(batch.reward, mdp.reward[batch.obs, batch.action].float())


def test_the_chi_square_test_sees_a_wrong_mdp():
    mdp = MDPS["random"]
    _, _, counts = random_walk(mdp)
    wrong = 0.97 * mdp.transition + 0.03 * mdp.transition.roll(1, 0)
    assert chi_square_p(counts[:-1], wrong[:-1]) < 1e-6


def test_mean_return_is_the_objective(mdp):
    """J(θ) of three random policies; what the limit cuts off weighs less than γ^300."""
    mdp = dataclasses.replace(mdp, gamma=0.9)
    world, streams = TabularWorld(mdp, envs=4000, time_limit=300), Streams(3)
    theta = Streams(3).normal(mdp.policy.size)
    batch = episodes(mdp.policy, theta, world, streams.child("play"))
    ret = discounted_return(batch.reward, mdp.gamma, batch.mask).double()
    z = (ret.mean(1) - mdp.objective(theta)) / (ret.std(1) / math.sqrt(4000))
    assert z.abs().max() < 3


def tenths():
    """Ten times 0.1 is less than 1 in float64; the eleventh state has probability 0."""
    p = torch.cat([torch.full((10,), 0.1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])
    assert p.cumsum(0)[-1] < 1
    return TabularMDP(p.expand(11, 1, 11), torch.zeros(11, 1), p, 0.9, torch.zeros(11, dtype=torch.bool))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mdp", [*MDPS.values(), tenths()], ids=[*MDPS, "tenths"])
def test_the_ends_of_the_uniform_noise_lead_somewhere_possible(mdp, dtype):
    world = TabularWorld(mdp, dtype=dtype)
    state = torch.arange(mdp.states).repeat_interleave(mdp.actions)
    action = torch.arange(mdp.actions).repeat(mdp.states)
    largest = 1 - torch.finfo(dtype).eps / 2
    for u in (0.0, largest):
        noise = torch.full((len(state), 1), u, dtype=dtype)
        following, reward, _ = world.transition(state, action, noise)
        assert (mdp.transition[state, action, following] > 0).all()
        assert (mdp.start[world.initial(noise)] > 0).all()
        assert reward.dtype == dtype


def test_the_cliff_is_gymnasiums():
    """All states and actions of CliffWalking, which counts the cliff's own cells as states, too."""
    world = GridWorld()
    reference = gymnasium.make("CliffWalking-v1").unwrapped
    number = {cell: s for s, cell in enumerate(world.mdp.cells)}
    noise = torch.full((1, 1), 0.5)
    for cell, s in number.items():
        if world.mdp.terminal[s]:
            continue
        for action in range(4):
            ((_, following, reward, terminated),) = reference.P[cell[0] * 12 + cell[1]][action]
            ours = world.transition(torch.tensor([s]), torch.tensor([action]), noise)
            expected = (number[divmod(int(following), 12)], reward, terminated)
            assert tuple(column.item() for column in ours) == expected
    assert number[divmod(int(reference.reset()[0]), 12)] == world.reset(Streams(1)).item()


def test_options_draw_the_map():
    world = make("GridWorld-v0", 2, picture=BEND, slip=0.1, time_limit=7)
    assert (world.time_limit, world.mdp.picture) == (7, ("SS..", ".#..", ".C.G"))
    assert world.observation_space.n == world.mdp.states == 10
    with pytest.raises(ValueError, match="picture must have a start S and a goal G"):
        make("GridWorld-v0", picture="...")


def test_a_time_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="time_limit must be 1 or more, or None, got 0"):
        TabularWorld(MDPS["random"], time_limit=0)
