"""Probe worlds: their optima by value iteration, agents that solve them, and bugs that fail first where they should."""

import dataclasses
import math

import pytest
import torch

from pgcourse.algorithms import A2C, REINFORCE, default_policy, episodes, evaluate, iterate, train
from pgcourse.core import Streams
from pgcourse.envs import PROBES, Forever, ProbeAction, ProbeConstant, ProbeDelay, ProbeDiscount, ProbeState
from pgcourse.exact import TabularMDP
from pgcourse.rl import reward_to_go

GAMMA = 0.9


def as_mdp(build, gamma):
    """The world as a table, one more state for the end: every action tried in every state, starts counted."""
    states, actions = int(build.observation_space.n), int(build.action_space.n)
    world = build(envs=actions)
    transition = torch.zeros(states + 1, actions, states + 1)
    reward = torch.zeros(states + 1, actions)
    transition[-1, :, -1] = 1
    for state in range(states):
        before = torch.full((1, actions), state)
        after, earned, terminated = world.transition(before, torch.arange(actions).unsqueeze(0), torch.empty(1, 2, 0))
        after = torch.where(terminated, states, after.clamp_max(states))[0]
        transition[state, torch.arange(actions), after] = 1
        reward[state] = earned[0]
    starts = build(envs=10_000).reset(Streams(1))[0].bincount(minlength=states + 1).double() / 10_000
    return TabularMDP(transition, reward, starts, gamma, torch.arange(states + 1) == states)


def undiscounted(mdp, actions):
    """The return of a deterministic policy."""
    theta = 100.0 * torch.nn.functional.one_hot(actions, mdp.actions).double().view(1, -1)
    return dataclasses.replace(mdp, gamma=1.0).objective(theta).item()


@pytest.mark.parametrize("gamma", [0.8, 0.9, 0.93])
@pytest.mark.parametrize("probe", PROBES)
def test_optimal_return(probe, gamma):
    mdp = as_mdp(probe, gamma)
    assert undiscounted(mdp, mdp.optimal().action) == pytest.approx(probe.optimal_return)


def test_patience_pays_beyond_indifference():
    below, above = (as_mdp(ProbeDiscount, ProbeDiscount.indifference + step).optimal() for step in (-0.001, 0.001))
    assert (below.action[0], above.action[0]) == (1, 0)
    assert undiscounted(as_mdp(ProbeDiscount, 0.9), above.action) == ProbeDiscount.late


def test_the_lure_is_right_for_the_myopic_only():
    least = ProbeDelay.lure ** (1 / (ProbeDelay.steps - 1))
    below, above = (as_mdp(ProbeDelay, least + step).optimal() for step in (-0.001, 0.001))
    assert (below.action[0], above.action[0]) == (0, 1)


@pytest.mark.parametrize("probe", PROBES)
def test_episodes_end_by_themselves(probe):
    world, streams = probe(64), Streams(2)
    policy = default_policy(world)
    batch = episodes(policy, policy.init(streams), world, streams.child("play"))
    assert torch.equal((batch.terminated & batch.mask).sum(1), torch.ones(2, 64, dtype=torch.int64))
    assert not (batch.truncated & batch.mask).any()


def test_states_of_the_state_probe_are_as_likely():
    starts = ProbeState(10_000).reset(Streams(1)).double()
    assert abs(starts.mean() - 0.5) < 3 * 0.5 / math.sqrt(10_000)


# Agents. Returns are those of the sampled policy after training; "solved" is within a tenth of the optimum.


def solved(algorithm, probe, steps=3000):
    """Which seeds solve the probe, bool [seed]."""
    run = train(algorithm, probe, seeds=5, steps=steps)
    returns = evaluate(run.policy, episodes=200).groupby("seed")["return"].mean()
    return (returns - probe.optimal_return).abs() < 0.1


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "value"])
def test_reinforce_solves_the_probe(probe, baseline):
    assert solved(REINFORCE(lr=0.1, critic_lr=0.1, gamma=GAMMA, baseline=baseline), probe, steps=6000).all()


@pytest.mark.parametrize("probe", PROBES)
def test_a2c_solves_the_probe(probe):
    assert solved(A2C(lr=0.1, critic_lr=0.1, gamma=GAMMA), probe, steps=10_000).all()


def test_a_larger_gamma_waits():
    run = train(REINFORCE(lr=0.1, gamma=0.99), ProbeDiscount, seeds=5, steps=5000)
    returns = evaluate(run.policy, episodes=200).groupby("seed")["return"].mean()
    assert (returns > 0.95 * ProbeDiscount.late).all()


class WrongSign(REINFORCE):
    def loss(self, log_prob, weight, mask):
        return -super().loss(log_prob, weight, mask)


class Broadcast(REINFORCE):
    """Every log-probability meets every episode's weight, as [N] times [N, 1] does."""

    def loss(self, log_prob, weight, mask):
        everyone = weight.where(mask, 0.0).mean(2, keepdim=True).expand_as(weight)
        return super().loss(log_prob, everyone, mask)


class NextObservation(REINFORCE):
    """Stores what was seen after the action in the place of what it was chosen on."""

    def update(self, state, batch, progress=0.0, streams=None):
        return super().update(state, dataclasses.replace(batch, obs=batch.next_obs), progress)


class RewardAlone(REINFORCE):
    def returns(self, state, batch):
        return batch.reward


class SumOfThePast(REINFORCE):
    def returns(self, state, batch):
        return batch.reward.cumsum(1)


class Undiscounted(REINFORCE):
    def returns(self, state, batch):
        return reward_to_go(batch.reward, batch.terminated, batch.truncated, 1.0)


@pytest.mark.parametrize(
    ("bug", "probe"),
    [
        (WrongSign, ProbeAction),
        (Broadcast, ProbeAction),
        (NextObservation, ProbeState),
        (RewardAlone, ProbeDelay),
        (SumOfThePast, ProbeDelay),
        (Undiscounted, ProbeDiscount),
    ],
)
def test_a_bug_fails_first_where_it_should(bug, probe):
    """Solved by all seeds before this probe, by none at it."""
    algorithm = bug(lr=0.1, gamma=GAMMA)
    for earlier in PROBES[: PROBES.index(probe)]:
        assert solved(algorithm, earlier).all(), earlier.name
    assert not solved(algorithm, probe).any()


def test_no_sight_of_the_future_fails_the_delay():
    assert not solved(REINFORCE(lr=0.1, gamma=0.0), ProbeDelay).any()


class AddedBaseline(REINFORCE):
    def weights(self, state, batch, ret):
        return 2 * ret - super().weights(state, batch, ret)


def test_constant_reward_moves_nobody_but_a_wrong_baseline():
    """With it the policy takes a random walk, and most walks lead to a corner."""

    def entropy(algorithm):
        return train(algorithm, ProbeConstant, seeds=20, steps=5000).curves.groupby("seed")["entropy"].last()

    assert (entropy(REINFORCE(lr=0.1)) > math.log(2) - 1e-6).all()
    assert entropy(AddedBaseline(lr=0.1)).median() < math.log(2) / 2


class DecideLast(ProbeDelay):
    """Rewards of pure noise, and the last action is the one that counts."""

    transition_noise = 1
    gaussian = True

    def transition(self, state, action, noise):
        over = state == self.steps - 1
        return state + 1, noise[..., 0] + (over & (action == 1)), over


def test_the_whole_return_is_slower_than_reward_to_go():
    """The past's noise hides what the last action did."""

    def right(weight):
        algorithm = REINFORCE(lr=0.1, gamma=1.0, weight=weight, baseline="none")
        run = train(algorithm, DecideLast, seeds=40, steps=800)
        last = torch.full((40, 1), ProbeDelay.steps - 1)
        return run.policy.policy(run.policy.theta, last).probs[:, 0, 1]

    difference = right("reward_to_go") - right("return")
    assert difference.mean() > 3 * difference.std() / math.sqrt(len(difference))


# What critics say.


def learned_value(algorithm, world, steps):
    """v_φ of the start after `steps` steps of each copy, [seed]."""
    streams = Streams(3)
    start = world.reset(streams.child("reset"))
    for it in iterate(algorithm, world, streams, steps * world.envs):
        state = it.state
    return state.critic(state.phi, start)[:, 0].detach()


class EndsAtTheLimit(Forever):
    """The usual bug: being cut off is reported as an end."""

    def step(self, action, noise):
        step = super().step(action, noise)
        return step._replace(terminated=step.terminated | step.truncated)


def test_the_critic_finds_a_constant_reward():
    value = learned_value(A2C(critic_lr=0.05, gamma=GAMMA), ProbeConstant(8), steps=3200)
    torch.testing.assert_close(value, torch.ones(3), rtol=0, atol=0.01)


@pytest.mark.parametrize(("gamma", "lam"), [(0.5, 0.0), (0.9, 0.95), (0.95, 0.0)])
def test_the_critic_finds_the_value_of_living_for_ever(gamma, lam):
    algorithm = A2C(critic_lr=0.3, gamma=gamma, lam=lam, horizon=Forever.time_limit)
    value = learned_value(algorithm, Forever(8), steps=4000)
    torch.testing.assert_close(value, torch.full((3,), 1 / (1 - gamma)), rtol=0.01, atol=0)


@pytest.mark.parametrize("gamma", [0.5, 0.95])
def test_the_critic_that_takes_truncation_for_an_end_does_not(gamma):
    algorithm = A2C(critic_lr=0.3, gamma=gamma, lam=0.0, horizon=Forever.time_limit)
    value = learned_value(algorithm, EndsAtTheLimit(8), steps=4000)
    wrong = 1 / (1 - gamma * (1 - 1 / Forever.time_limit))
    assert wrong < 0.92 / (1 - gamma)
    torch.testing.assert_close(value, torch.full((3,), wrong), rtol=0.01, atol=0)
