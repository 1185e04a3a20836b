"""Environments that are not what they declare: named by environment, method, declared and given."""

import re
import traceback

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation

from pgcourse.core import Streams
from pgcourse.envs import GymnasiumEnv
from pgcourse.envs.adapters.declared import Declared

OBS = np.zeros(2, np.float32)


class Told(gymnasium.Env):
    """Its reset and step return what they are told, or raise it."""

    def __init__(self, space=None, **told):
        self.observation_space = space or spaces.Box(-1.0, 1.0, (2,))
        self.action_space = spaces.Discrete(2)
        self.returned = {"reset": (OBS, {}), "step": (OBS, 0.0, False, False, {})} | told

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._give("reset")

    def step(self, action):
        return self._give("step")

    def _give(self, method):
        if isinstance(self.returned[method], Exception):
            raise self.returned[method]
        return self.returned[method]


gymnasium.register("Told-v0", Told, max_episode_steps=10, disable_env_checker=True)


def play(**told):
    with GymnasiumEnv("Told-v0", 2, **told) as world:
        obs = world.reset(Streams(1))
        return world.step(obs.new_zeros(1, 2).long(), world.noise(Streams(1), 1)[:, 0])


def step(obs=OBS, reward=0.0, terminated=False, truncated=False, info=None):
    return obs, reward, terminated, truncated, {} if info is None else info


CASES = {
    "observation alone": ({"reset": OBS}, "reset() returned array([0., 0.], dtype=float32); it must return (obs"),
    "two numbers": ({"reset": [OBS, {}]}, "reset() returned [array("),
    "an old step": ({"step": (OBS, 0.0, False, {})}, "step() did not return (observation, reward, terminated, trunc"),
    "a step of six": ({"step": (*step(), 0)}, "step() did not return"),
    "no step": ({"step": None}, "step() did not return"),
    "another shape": ({"step": step(np.zeros(3))}, "step() returned an observation of shape (3,) and type float64; "),
    "another shape at first": ({"reset": (np.zeros((1, 2)), {})}, "reset() returned an observation of shape (1, 2)"),
    "no numbers": ({"step": step(None)}, "step() returned an observation of shape () and type object"),
    "floats for bytes": (
        {"space": spaces.Box(0, 255, (2,), np.uint8), "reset": (np.full(2, 0.5), {})},
        "type float64; declared is observation_space = Box(0, 255, (2,), uint8)",
    ),
    "beyond the last": ({"space": spaces.Discrete(3), "reset": (3, {})}, "observation 3; declared is observation_spac"),
    "before the first": (
        {"space": spaces.Discrete(3, start=5), "reset": (4, {})},
        "reset() returned the observation 4",
    ),
    "a float for a number": ({"space": spaces.Discrete(3), "reset": (1.0, {})}, "the observation 1.0; declared is"),
    "no reward": ({"step": step(reward=None)}, "step() returned reward = None; it must be a number"),
    "two rewards": (
        {"step": step(reward=np.zeros(2))},
        "step() returned reward = array([0., 0.]); it must be a number",
    ),
    "a word": ({"step": step(reward="1")}, "step() returned reward = '1'; it must be a number"),
    "nobody knows": ({"step": step(terminated=None)}, "step() returned terminated = None; it must be True or False"),
    "truncated twice": ({"step": step(truncated=[True, True])}, "step() returned truncated = [True, True]"),
    "info at last": ({"step": step(info=[])}, "step() returned info = []; it must be a dictionary"),
    "no info": ({"reset": (OBS, None)}, "reset() returned info = None; it must be a dictionary"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_as_declared_is_named(case):
    told, message = CASES[case]
    with pytest.raises(ValueError, match=rf"^Told-v0: .*{re.escape(message)}"):
        play(**told)


@pytest.mark.parametrize(
    ("obs", "space"),
    [
        ([0.5, -0.5], None),
        (np.float64([0.5, -0.5]), None),
        ([True, False], spaces.MultiBinary(2)),
        ([3, 4], spaces.Box(0, 9, (2,), np.int64)),
        (np.int64(4), spaces.Discrete(3, start=2)),
    ],
)
@pytest.mark.parametrize(("reward", "over"), [(1, np.True_), (np.float32(1), 1), (np.ones(()), np.array(True))])
def test_what_numpy_takes_for_the_declared_is_left_alone(obs, space, reward, over):
    told = play(space=space, reset=(obs, {}), step=step(obs, reward, over))
    assert told.reward.tolist() == [[1, 1]]
    assert told.terminated.all()
    expected = np.asarray(obs, float) - (space.start if isinstance(space, spaces.Discrete) else 0)
    np.testing.assert_allclose(told.next_obs[0, 1], expected)


@pytest.mark.parametrize("method", ["reset", "step"])
@pytest.mark.parametrize("error", [KeyError("x"), ValueError("my own"), FileNotFoundError("scene.xml")])
def test_an_error_of_its_own_stays_what_it_is_and_says_where_it_was_raised(method, error):
    with pytest.raises(type(error)) as raised:
        play(**{method: error})
    assert raised.value is error
    said = "".join(traceback.format_exception(raised.value))
    assert f"(raised by {method}() of Told-v0)" in said
    assert "test_declared.py" in said


def test_an_observation_outlives_the_array_that_the_next_reset_overwrites():
    """At the end of an episode a copy is reset within the step; the true successor is the one before."""

    class Overwriting(Told):
        def reset(self, **options):
            obs, info = super().reset(**options)
            obs[:] = 0.0
            return obs, info

        def step(self, action):
            obs, *rest = super().step(action)
            obs += 0.25
            return obs, *rest

    gymnasium.register("Overwriting-v0", Overwriting, max_episode_steps=2, disable_env_checker=True)
    with GymnasiumEnv("Overwriting-v0", 1) as world:
        obs = world.reset(Streams(1))
        seen = [world.step(obs.new_zeros(1, 1).long(), obs) for _ in range(2)]
    assert [each.next_obs[0, 0, 0].item() for each in seen] == [0.25, 0.5]
    assert seen[1].obs[0, 0, 0].item() == 0.0


class TakesNothing(Told):
    def reset(self):
        return OBS, {}


class TakesASeed(Told):
    def reset(self, seed=None):
        return OBS, {}


class TakesMore(Told):
    def reset(self, start, *, seed=None, options=None):
        return OBS, {}


@pytest.mark.parametrize("old", [TakesNothing, TakesASeed, TakesMore])
def test_a_reset_of_an_old_gym_is_told_what_it_has_to_take(old):
    for made in (old(), gymnasium.wrappers.TimeLimit(old(), 3)):
        with pytest.raises(ValueError, match=r"^Old: reset\(\) does not take what .* must be reset\(self, \*, seed="):
            Declared(made, "Old").reset(seed=3)


def test_a_call_that_fails_within_a_reset_is_the_environments_own():
    class Calls(Told):
        def reset(self, *, seed=None, options=None):
            return Told().reset(nothing=seed)

    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'") as raised:
        Declared(Calls(), "Calls").reset()
    assert raised.value.__notes__ == ["(raised by reset() of Calls)"]


def test_a_wrapper_that_cannot_unpack_what_reset_returned_is_put_in_our_words():
    class Bare(gymnasium.Env):
        observation_space, action_space = spaces.Dict(a=spaces.Box(-1, 1, (3,))), spaces.Discrete(2)

        def reset(self, seed=None, options=None):
            return {"a": np.zeros(3, np.float32)}

    world = Declared(FlattenObservation(Bare()), "Bare-v0")
    with pytest.raises(ValueError, match=r"^Bare-v0: reset\(\) did not return \(observation, info\), as it must: "):
        world.reset()
