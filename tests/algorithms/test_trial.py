"""Before a training: parts that fit, a world that is what it declares and repeats itself."""

import random
import re
import warnings
from dataclasses import replace
from importlib import import_module

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import pgcourse as pg
from pgcourse.algorithms import Architecture, NotRepeatable, RecurrentPPO, TrainedPolicy, require_fit, train, trial
from pgcourse.core import MLP, Critic, GaussianPolicy, Module, SoftmaxPolicy, Streams, Table
from pgcourse.envs import WORLDS, CartPole, make

# Worlds that repeat themselves, and worlds that do not


class Line(gymnasium.Env):
    """Ten steps; repeats itself."""

    observation_space, action_space = spaces.Box(0.0, 1.0, (2,)), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.random(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return self.np_random.random(2, np.float32), self.np_random.random(), self.t == 10, False, {}


class GlobalGenerator(Line):
    def reset(self, **options):
        super().reset(**options)
        return np.random.rand(2).astype(np.float32), {}  # noqa: NPY002


class RandomModule(Line):
    def step(self, action):
        obs, _, *rest = super().step(action)
        return obs, random.random(), *rest


class ForgetsTheSeed(Line):
    def reset(self, **options):
        return super().reset()


class SamplesItsSpace(Line):
    def step(self, action):
        _, *rest = super().step(action)
        return self.observation_space.sample(), *rest


class EndsAnywhere(Line):
    def step(self, action):
        obs, reward, _, *rest = super().step(action)
        return obs, reward, np.random.default_rng().random() < 0.5, *rest


class GeneratorOfEachEpisode(Line):
    """Its first episode is the seed's; where the seed is None, as after the end of an episode, it is anybody's."""

    def reset(self, *, seed=None, options=None):
        self.t, self._np_random = 0, np.random.default_rng(seed)
        return self.np_random.random(2, np.float32), {}


KINDS = [Line, GlobalGenerator, RandomModule, ForgetsTheSeed, SamplesItsSpace, EndsAnywhere, GeneratorOfEachEpisode]
for kind in KINDS:
    gymnasium.register(f"Trial{kind.__name__}-v0", kind, max_episode_steps=20, disable_env_checker=True)


class Drawing(CartPole):
    """A tensor world that draws beside the noise it is given."""

    def initial(self, noise):
        return super().initial(noise) + 1e-3 * torch.rand(noise.shape)


WHAT = {
    "TrialGlobalGenerator-v0": "its first observation",
    "TrialRandomModule-v0": "the reward of step 1",
    "TrialForgetsTheSeed-v0": "its first observation",
    "TrialSamplesItsSpace-v0": "the observation of step 1",
    "TrialEndsAnywhere-v0": r"the (end of an episode in|observation after) step \d",
    "TrialGeneratorOfEachEpisode-v0": "the first observation of its next episode",
    Drawing: "its first observation",
}


@pytest.mark.parametrize("env", WHAT)
def test_a_world_that_does_not_repeat_itself_is_warned_of(env):
    for _ in range(20):  # what one play shows by chance, 20 show
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            next(pg.training(pg.A2C(envs=1, horizon=1), env, 1, 1))
        found = [str(each.message) for each in told if each.category is NotRepeatable]
        if found:
            break
    (said,) = found
    assert re.search(rf"does not repeat itself: .* it gave {WHAT[env]} otherwise", said)
    assert "self.np_random after super().reset(seed=seed)" in said


@pytest.mark.filterwarnings("error::pgcourse.algorithms.NotRepeatable")
@pytest.mark.parametrize(
    "env", [*WORLDS, "TrialLine-v0", "gymnasium:CartPole-v1", "Reacher-v5", "FrozenLake-v1", "MinAtar/Seaquest-v1"]
)
def test_no_world_of_the_course_is_warned_of_and_all_fit_what_is_made_for_them(env):
    """Also where the last play of the same process left it in another state."""
    world = make(env)
    network = Architecture((8,), mask_actions=env.startswith("Tour"))
    policy, critic = network.policy(world), network.critic(world)
    trial(pg.A2C(), lambda envs: make(env, envs), Streams(3), policy, critic)


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnasium:CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize(
    "algorithm", [pg.A2C(envs=2, horizon=4), pg.REINFORCE(envs=2), RecurrentPPO(envs=4, horizon=8, epochs=1)]
)
def test_a_training_is_the_same_with_and_without_a_trial(monkeypatch, env, algorithm):
    def three():
        progress = pg.training(algorithm, env, [4, 2], 10**6)
        return [next(progress) for _ in range(3)]

    tried, trials = three(), []
    monkeypatch.setattr(import_module("pgcourse.algorithms.train"), "trial", lambda *parts: trials.append(parts))
    for with_trial, without in zip(tried, three(), strict=True):
        assert torch.equal(with_trial.policy.theta, without.policy.theta)
        assert torch.equal(with_trial.total_return, without.total_return)
    assert len(trials) == 1


# Parts that fit, and parts that do not


def softmax(*sizes):
    return SoftmaxPolicy(MLP(sizes))


MISFITS = {
    "a choice for numbers": ("Pendulum-v1", softmax(3, 16, 2), r"takes actions in Box.* gives one of 2 choices"),
    "two numbers for one": ("Pendulum-v1", GaussianPolicy(MLP((3, 2))), r"gives numbers of shape \[2\]"),
    "numbers for a choice": ("CartPole-v1", GaussianPolicy(MLP((4, 1))), r"in Discrete\(2\), but .* gives numbers of"),
    "too many actions": (
        "CartPole-v1",
        softmax(4, 3),
        r"takes actions in Discrete\(2\), but .* gives one of 3 choices",
    ),
    "too few actions": ("Acrobot-v1", softmax(6, 2), r"takes actions in Discrete\(3\), but .* gives one of 2 choices"),
    "other observations": ("CartPole-v1", softmax(6, 2), r"CartPole-v1 gives observations in Box.* cannot take: "),
    "an observation too long": ("Acrobot-v1", softmax(3, 3), r"which the policy .*sizes=\(3, 3\).* cannot take"),
    "numbers in a table": ("CartPole-v1", SoftmaxPolicy(Table(4, 2)), "Table.* cannot take"),
    "a table too short": ("FrozenLake-v1", SoftmaxPolicy(Table(15, 4)), r"in Discrete\(16\), which .* cannot take"),
    "a module": (
        "CartPole-v1",
        SoftmaxPolicy(Module(lambda: torch.nn.Linear(3, 2), (3,), 2)),
        r"cannot take: observations must be \[seed, \.\.\., \*\(3,\)\]",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_policy_that_does_not_fit_is_refused_before_anything_is_computed(name):
    env, policy, message = MISFITS[name]
    trained = TrainedPolicy(policy, policy.init(Streams(2)), (0, 1), env)
    for use in (
        lambda: train(pg.PPO(), env, seeds=2, steps=1, policy=policy),
        lambda: next(pg.iterate(pg.PPO(), env, Streams(2), policy=policy)),
        lambda: pg.evaluate(trained, 2),
        lambda: next(pg.algorithms.play(make(env), trained)),
    ):
        with pytest.raises(ValueError, match=message):
            use()


def test_parameters_of_another_network_are_refused():
    policy = SoftmaxPolicy(MLP((4, 8, 2)))
    trained = TrainedPolicy(policy, policy.init(Streams(2))[:, :-1], (0, 1), "CartPole-v1")
    with pytest.raises(ValueError, match="has 58 parameters for each seed, but it is given 57: give those that were"):
        pg.evaluate(trained, 2)


@pytest.mark.parametrize(
    ("critic", "message"),
    [
        (Critic(MLP((4, 8, 2))), r"a critic gives one number for an observation, but .* gives an array of shape \[2\]"),
        (Critic(MLP((5, 1))), r"which the critic .*sizes=\(5, 1\).* cannot take"),
    ],
)
@pytest.mark.parametrize("algorithm", [pg.PPO(), pg.A2C(), pg.REINFORCE(baseline="value"), pg.TRPO()])
def test_a_critic_that_does_not_fit_is_refused(algorithm, critic, message):
    with pytest.raises(ValueError, match=message):
        train(algorithm, "CartPole-v1", seeds=1, steps=1, critic=critic)


def test_a_world_that_has_changed_since_the_training_is_refused_by_its_evaluation():
    run = train(pg.A2C(envs=2, horizon=2), "CartPole-v1", seeds=2, steps=4)
    for other in ("Acrobot-v1", "Pendulum-v1"):
        with pytest.raises(ValueError, match=rf"^{other} gives observations in Box"):
            pg.evaluate(replace(run.policy, env=other), 2)


ACTIONS = st.one_of(
    st.integers(1, 4).map(spaces.Discrete),
    st.lists(st.integers(1, 3), min_size=1, max_size=3).map(spaces.MultiDiscrete),
    st.integers(1, 4).map(spaces.MultiBinary),
    st.integers(1, 4).map(lambda n: spaces.Box(-1.0, 1.0, (n,))),
)
OBSERVATIONS = st.one_of(
    st.integers(1, 4).map(spaces.Discrete), st.integers(1, 4).map(lambda n: spaces.Box(0, 1, (n,)))
)


class Spaces:
    """As much of a world as parts are made for and held against."""

    name = "Spaces-v0"

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


@settings(max_examples=150)
@given(st.builds(Spaces, OBSERVATIONS, ACTIONS), st.builds(Spaces, OBSERVATIONS, ACTIONS))
def test_parts_fit_a_world_exactly_where_its_spaces_are_those_they_were_made_for(made_for, world):
    """The only freedom is a table with more rows than needed."""
    network = Architecture((3,))
    policy, critic = network.policy(made_for), network.critic(made_for)
    theta, phi = policy.init(Streams(2)), critic.init(Streams(2))
    require_fit(made_for, policy, theta, critic, phi)
    seen, own = made_for.observation_space, world.observation_space
    rows = isinstance(seen, spaces.Discrete) and isinstance(own, spaces.Discrete) and seen.n >= own.n
    if (seen == own or rows) and made_for.action_space == world.action_space:
        require_fit(world, policy, theta, critic, phi)
    else:
        with pytest.raises(ValueError, match=r"^Spaces-v0 "):
            require_fit(world, policy, theta, critic, phi)


# Tensor worlds that are not what they declare


class Long(CartPole):
    def observe(self, state):
        return torch.cat([state, state[..., :1]], -1)


class LongLater(CartPole):
    def step(self, action, noise):
        step = super().step(action, noise)
        return step._replace(next_obs=step.next_obs[..., :3])


class OneReward(CartPole):
    def transition(self, state, action, noise):
        state, reward, terminated = super().transition(state, action, noise)
        return state, reward.unsqueeze(-1), terminated


class Double(CartPole):
    def observe(self, state):
        return state.double()


class Whole(CartPole):
    def transition(self, state, action, noise):
        state, reward, terminated = super().transition(state, action, noise)
        return state, reward, terminated.int()


class Listed(CartPole):
    def reset(self, streams):
        return super().reset(streams).tolist()


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (Long, r"reset\(\) returned observations of shape \[1, 1, 5\] and type torch.float32; .* of shape \[1, 1, 4\]"),
        (LongLater, r"step\(\) returned next_obs of shape \[1, 1, 3\]"),
        (OneReward, r"step\(\) returned reward of shape \[1, 1, 1\] .* of shape \[1, 1\] and type torch.float32"),
        (Double, r"reset.* of shape \[1, 1, 4\] and type torch.float64; .* and type torch.float32"),
        (Whole, r"step\(\) returned terminated of shape \[1, 1\] and type torch.int32; .* type torch.bool"),
        (Listed, r"reset\(\) returned observations as list"),
    ],
)
def test_a_tensor_world_is_held_to_its_spaces(world, message):
    with pytest.raises(ValueError, match=rf"^CartPole-v1: {message}"):
        train(pg.A2C(envs=3), world, seeds=2, steps=1)
