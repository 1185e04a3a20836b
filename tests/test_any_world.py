"""Worlds as people write them, right and wrong: what becomes of a training in one is a finished run, or an error of
ours that names the world and says what to do, or the world's own error where it was raised.

`PGCOURSE_FUZZ=20000 pytest tests/test_any_world.py` tries more of them.
"""

import os
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pgcourse as pg
from pgcourse.algorithms import RecurrentPPO
from pgcourse.lab.errors import is_ours

EXAMPLES = int(os.environ.get("PGCOURSE_FUZZ", "500"))
# What an error of ours tells to do, in whole instructions. One that has none of these is new: look at it, then add it.
REMEDY = re.compile(
    r"it must (be|return) |as it must: |they must be |return one of these, or declare |"
    r"(Give|give) (a function that makes|one, max_episode_steps|those that)|pass `policy=`|take a `policy=`|"
    r"take PPO, which trains any|[Tt]ake fewer bins|scale (it|them) to about 1|lower the learning rate|bring σ down"
)


class TheirOwn(Exception):
    """What a world raises itself."""


@dataclass(frozen=True)
class Plan:
    """A world: its spaces, and what it gives."""

    observations: spaces.Space
    actions: spaces.Space
    reward: Any = 1.0
    ends: int = 5  # steps of an episode; 0: it never ends
    truncates: bool = False
    fault: str = ""  # what is wrong with it
    at: int = 0  # from which step on; 0: at the reset, too


class Fuzzed(gymnasium.Env):
    def __init__(self, plan: Plan):
        self.plan, self.observation_space, self.action_space = plan, plan.observations, plan.actions

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.t = 0
        return self._returned(self._seen(), {})

    def step(self, action):
        self.t += 1
        over = self.t == self.plan.ends
        terminated, truncated = over and not self.plan.truncates, over and self.plan.truncates
        return self._returned(self._seen(), self.plan.reward, terminated, truncated, {})

    def _seen(self):
        return self.observation_space.sample()

    def _returned(self, obs, *rest):
        if not self.plan.fault or self.t < self.plan.at:
            return (obs, *rest)
        match self.plan.fault:
            case "raises":
                raise TheirOwn("out of fuel")
            case "raises ValueError":
                raise ValueError("out of fuel")
            case "old Gym":
                return obs if len(rest) == 1 else (obs, rest[0], rest[1] or rest[2], {})
            case "nothing":
                return None
            case "no observation":
                return (None, *rest)
            case "another shape":
                return (np.zeros((7, 3), np.float32), *rest)
            case "other numbers":
                return (np.full(self.observation_space.shape or (), np.nan), *rest)
            case "infinite":
                return (np.full(self.observation_space.shape or (), np.inf, np.float32), *rest)
            case "words":
                return ("left", *rest)
            case "out of bounds":
                return (np.full(self.observation_space.shape or (), 10**6, np.int64), *rest)
            case "no info":
                return (obs, *rest[:-1], None)
            case "no truth value":
                return (obs, rest[0], "no", None, rest[-1]) if len(rest) == 4 else (obs, *rest)
        raise AssertionError(self.plan.fault)


FAULTS = ["raises", "raises ValueError", "old Gym", "nothing", "no observation", "another shape", "other numbers"]
FAULTS += ["infinite", "words", "out of bounds", "no info", "no truth value"]


@st.composite
def boxes(draw, most_axes=3):
    shape = draw(st.lists(st.integers(1, 4), max_size=most_axes).map(tuple))
    if draw(st.integers(0, 9)) == 0:
        shape = draw(st.sampled_from([(8, 9, 3), (3, 8, 9), (1, 6, 6), (2, 40, 40), (6, 6, 1)]))
    kind = draw(st.sampled_from([np.float32, np.float64, np.uint8, np.int64, np.int8, np.float16]))
    if np.issubdtype(kind, np.integer):
        limits = draw(st.sampled_from([(0, 1), (0, 255), (0, 100)])) if kind == np.uint8 else draw(
            st.sampled_from([(0, 1), (-5, 5), (0, 127)] + ([(0, 2**30)] if kind == np.int64 else []))
        )  # fmt: skip
    else:
        limits = draw(
            st.sampled_from([(-1, 1), (0, 1), (-2, 2), (-np.inf, np.inf), (0, np.inf), (0, 1000), (-1e-3, 0), (3, 3)])
        )
    return spaces.Box(*limits, shape, kind)


starts = st.integers(-3, 3)
discrete = st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 6), starts)
several = st.builds(spaces.MultiDiscrete, st.lists(st.integers(1, 4), min_size=1, max_size=3))
grids = st.just(spaces.MultiDiscrete([[2, 3], [1, 2]]))
switches = st.builds(spaces.MultiBinary, st.one_of(st.integers(1, 4), st.just([2, 2])))
words = st.sampled_from([spaces.Text(4), spaces.Sequence(spaces.Discrete(3)), spaces.Discrete(2**31)])
simple = st.one_of(boxes(), discrete, several, switches)
nested = st.one_of(
    st.dictionaries(st.sampled_from("abc"), simple, min_size=1).map(spaces.Dict),
    st.lists(simple, min_size=1, max_size=3).map(spaces.Tuple),
    st.dictionaries(st.sampled_from("ab"), words, min_size=1).map(spaces.Dict),
    st.dictionaries(st.sampled_from("ab"), st.lists(discrete, min_size=1).map(spaces.Tuple), min_size=1).map(
        spaces.Dict
    ),
)
rewards = st.sampled_from([1.0, 0, -1, True, np.float32(2), np.float64(0.5), np.array([1.0]), np.array(3)])
bad_rewards = st.sampled_from([np.nan, np.inf, 1e30, -1e38, 1e300, None, "much", np.zeros(2), [1.0], 1j])


right_observations = st.one_of(boxes(most_axes=1).filter(lambda box: box.shape), discrete, several, switches, nested)
right_actions = st.one_of(discrete, boxes(most_axes=1).filter(lambda box: box.shape), several, grids, switches)
any_observations = st.one_of(boxes(), discrete, several, switches, nested, words)
any_actions = st.one_of(discrete, boxes(), several, grids, switches, nested, words)


@st.composite
def plans(draw):
    """Two of three worlds have spaces that are supported, two of three give what they should."""
    fits, sound = draw(st.integers(0, 2)) > 0, draw(st.integers(0, 2)) > 0
    observations = draw(right_observations if fits else any_observations)
    actions = draw(right_actions if fits else any_actions)
    reward = draw(rewards if sound else st.one_of(rewards, bad_rewards))
    fault = "" if sound else draw(st.sampled_from(FAULTS))
    return Plan(
        observations, actions, reward, draw(st.integers(0, 6)), draw(st.booleans()), fault, draw(st.integers(0, 9))
    )


@st.composite
def algorithms(draw):
    """Small ones of every kind, with options from all over their ranges, some of which do not go together."""
    envs, gamma = draw(st.integers(1, 4)), draw(st.sampled_from([0.0, 0.9, 1.0]))
    horizon, normalize = draw(st.integers(1, 8)), draw(st.booleans())
    kind = draw(st.sampled_from([pg.REINFORCE, pg.A2C, pg.PPO, pg.TRPO, pg.NaturalGradient, pg.DQN, RecurrentPPO]))
    options: dict[str, Any] = {"envs": envs, "gamma": gamma}
    if kind is pg.REINFORCE:
        options |= {"baseline": draw(st.sampled_from(["none", "value"]))}
    elif kind is pg.DQN:
        options |= {"horizon": horizon}
    elif kind is RecurrentPPO:
        options |= {"horizon": horizon, "epochs": 2, "minibatches": 1}
    else:
        options |= {
            "horizon": horizon,
            "lam": draw(st.sampled_from([0.0, 0.95, 1.0])),
            "normalize_advantage": normalize,
        }
    if kind is pg.PPO:
        options |= {"epochs": 2, "minibatches": draw(st.integers(1, 3)), "normalize_observation": draw(st.booleans())}
        options |= {"lr": draw(st.sampled_from([1e-3, 10.0, 1e20]))}
    return kind, options


def outcome(plan, kind, options, seeds, steps, limit):
    """What becomes of a training: "finished", "refused", or the world's own error."""
    arguments = {"plan": plan} | ({} if limit is None else {"max_episode_steps": limit})
    run: Any = None
    try:
        algorithm = kind(**options)
    except ValueError as error:  # of options that do not go together: no world is meant
        assert str(error).startswith(tuple(f"{each.__name__}: " for each in kind.__mro__))  # noqa: PT017
        return "options"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = pg.train(algorithm, Fuzzed, seeds=seeds, steps=steps, env_args=arguments, show=False)
    except Exception as error:
        said = error
    if run is None:
        return _refusal(said)
    assert np.isfinite(run.policy.theta.numpy()).all()
    assert (run.curves.groupby("seed")["step"].max() >= steps).all()
    assert (run.curves["seed"].unique() == list(run.policy.seeds)).all()
    _acts(run, Fuzzed(plan))
    return "finished"


def _refusal(error):
    """An error of the world's own has a note that says where it was raised; all others are ours, and help."""
    if isinstance(error, TheirOwn) or str(error) == "out of fuel":
        assert any("of Fuzzed)" in note for note in error.__notes__)
        return "its own error"
    assert is_ours(error), f"a foreign error: {type(error).__name__}: {error}"
    assert "Fuzzed" in str(error), f"no world is named: {error}"
    assert REMEDY.search(str(error)), f"no remedy is named: {error}"
    return "refused"


def _acts(run, world):
    """What was trained acts in the environment itself, where that is sound."""
    if world.plan.fault:
        return
    obs, _ = world.reset(seed=0)
    for deterministic in (True, False):
        action = run.policy[0].act(obs, deterministic)
        assert world.action_space.contains(action), (world.action_space, action)
        obs, *_ = world.step(action)


def test_any_world_is_trained_in_or_refused():
    seen = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(plans(), algorithms(), st.integers(1, 2), st.integers(1, 12), st.sampled_from([None, 1, 4]))
    def each(plan, algorithm, seeds, steps, limit):
        seen[outcome(plan, *algorithm, seeds, steps, limit)] += 1

    each()
    print(dict(seen))
    assert sum(seen.values()) >= EXAMPLES
    assert min(seen[what] for what in ("finished", "refused", "its own error")) >= EXAMPLES // 50  # none is rare


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seen(fault):
    """Each of them in a world that is right otherwise."""
    plan = Plan(spaces.Box(-1, 1, (2,)), spaces.Discrete(2), fault=fault)
    became = outcome(plan, pg.A2C, {"envs": 2, "horizon": 4}, 1, 16, None)
    assert became == ("its own error" if "raises" in fault else "finished" if fault == "out of bounds" else "refused")
