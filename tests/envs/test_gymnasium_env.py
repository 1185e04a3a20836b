"""The adapter against single Gymnasium environments stepped by hand, over the ends of episodes."""

import contextlib
import functools

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from pgcourse.core import Streams
from pgcourse.envs import GymnasiumEnv


class Countdown(gymnasium.Env):
    """Adds up its actions and ends by chance. It hands out its own buffer, and its spaces do not begin at 0."""

    observation_space = spaces.Box(-np.inf, np.inf, (2, 2), np.float64)
    action_space = spaces.Discrete(3, start=-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros((2, 2))
        self.buffer[:] = self.np_random.uniform(size=(2, 2))
        return self.buffer, {"note": "a start"}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.buffer += action
        return self.buffer, float(action), bool(self.np_random.uniform() < 0.2), False, {"action": action}


class Ring(gymnasium.Env):
    """Ten rooms in a circle, numbered from 5."""

    observation_space = spaces.Discrete(10, start=5)
    action_space = spaces.Box(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.room = int(self.np_random.integers(10))
        return 5 + self.room, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.room = int(self.room + np.rint(action.sum())) % 10
        return 5 + self.room, float(action[1]), self.room == 0, False, {}


class Broken(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, observation=0.0, reward=0.0):
        self.observation, self.reward = observation, reward

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.full(1, self.observation, np.float32), self.reward, False, False, {}


class Dictionary(Broken):
    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-2, 2, (2,), np.float64),
            "eyes": spaces.Dict({"left": spaces.Box(0, 255, (8, 8, 3), np.uint8)}),
        }
    )


class Letters(Broken):
    observation_space = spaces.Tuple((spaces.Discrete(2), spaces.Sequence(spaces.Discrete(2))))


class Sensors(gymnasium.Env):
    """What it shows is a dictionary with parts of every kind."""

    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-2, 2, (2,), np.float64),
            "where": spaces.Discrete(3, start=4),
            "lamps": spaces.Tuple((spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3]))),
        }
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.shown = self._show()
        return self.shown, {}

    def step(self, action):
        self.shown = self._show()
        return self.shown, 1.0, False, False, {}

    def _show(self):
        place, where = self.np_random.uniform(-2, 2, 2), self.np_random.integers(4, 7)
        lamps = self.np_random.integers(0, 2, 2).astype(np.int8), self.np_random.integers(0, [2, 3])
        return {"place": place, "where": where, "lamps": lamps}


class Counter(Broken):
    observation_space = spaces.Box(0, 2**24 + 1, (1,), np.int32)


class Sentence(Broken):
    action_space = spaces.Text(5)


class Camera(gymnasium.Env):
    """A picture in bytes, channels last; a 2 × 2 field of buttons, each of which adds light to one of its rows."""

    observation_space = spaces.Box(0, 255, (5, 4, 3), np.uint8)
    action_space = spaces.MultiBinary((2, 2))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.picture = self.np_random.integers(200, size=(5, 4, 3), dtype=np.uint8)
        return self.picture.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.picture[:4] += action.reshape(4, 1, 1).astype(np.uint8)
        return self.picture.copy(), float(action.sum()), bool(self.picture.max() > 204), False, {}


class Dials(gymnasium.Env):
    """Dials that do not begin at 0 turn a field of small integers."""

    observation_space = spaces.Box(-300, 300, (2, 3), np.int16)
    action_space = spaces.MultiDiscrete([[2, 3, 4], [5, 1, 2]], start=[[-1, 0, 2], [-3, 7, 0]])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.field = self.np_random.integers(-9, 10, size=(2, 3), dtype=np.int16)
        return self.field.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.field = ((self.field + action) % 256).astype(np.int16)
        return self.field.copy(), float(action.sum()), bool(self.np_random.uniform() < 0.1), False, {}


class Lamps(gymnasium.Env):
    """Truth values seen as images of three channels, and as a row of switches where `flat`."""

    action_space = spaces.Discrete(2)

    def __init__(self, flat=False):
        self.observation_space = spaces.MultiBinary(4) if flat else spaces.Box(0, 1, (3, 4, 4), np.bool_)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation(), {}

    def observation(self):
        dtype, shape = self.observation_space.dtype, self.observation_space.shape
        return (self.np_random.uniform(size=shape) < 0.5).astype(dtype)

    def step(self, action):
        return self.observation(), 1.0, bool(self.np_random.uniform() < 0.1), False, {}


IDS = {
    "Countdown": (Countdown, 50),
    "Ring": (Ring, 7),
    "Broken": (Broken, None),
    "Dictionary": (Dictionary, 5),
    "Letters": (Letters, 5),
    "Sensors": (Sensors, 5),
    "Counter": (Counter, 5),
    "Sentence": (Sentence, 5),
    "Camera": (Camera, 9),
    "Dials": (Dials, 9),
    "Lamps": (Lamps, 9),
    "Switches": (functools.partial(Lamps, flat=True), 9),
}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    for name, (entry, limit) in IDS.items():
        gymnasium.register(f"pgcourse-test/{name}-v0", entry, max_episode_steps=limit)
    yield
    for name in IDS:
        del gymnasium.registry[f"pgcourse-test/{name}-v0"]


def act(env, streams, steps):
    if isinstance(env.action_space, spaces.Discrete):
        return streams.integers(int(env.action_space.n), steps, env.envs)
    if isinstance(env.action_space, spaces.MultiBinary):
        return streams.integers(2, steps, env.envs, env.action_space.n)
    if isinstance(env.action_space, spaces.MultiDiscrete):
        return streams.integers(60, steps, env.envs, len(env.action_space.nvec)) % torch.tensor(env.action_space.nvec)
    return 3 * streams.normal(steps, env.envs, *env.action_space.shape)


def to_gymnasium(action, space):
    """What the adapter promises to send, written for one action."""
    if isinstance(space, spaces.Discrete):
        return space.start + action
    if isinstance(space, spaces.MultiBinary):
        return action.reshape(space.shape).astype(np.int8)
    if isinstance(space, spaces.MultiDiscrete):
        return action.reshape(space.shape) + space.start
    return np.clip(action, space.low, space.high).astype(space.dtype)


def seen(observation, space):
    """What the adapter promises to give of one observation."""
    if isinstance(space, spaces.Discrete):
        return observation - space.start
    if space.shape == (5, 4, 3):
        return np.stack([observation[:, :, channel] for channel in range(3)]).astype(np.float32) / np.float32(255)
    return np.float32(observation)


@pytest.mark.parametrize(
    "id",
    ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0", "FrozenLake-v1", "Acrobot-v1"]
    + [f"pgcourse-test/{name}-v0" for name in ("Countdown", "Ring", "Camera", "Dials", "Lamps", "Switches")],
)
@pytest.mark.filterwarnings("ignore:.*share an object")  # Countdown does, on purpose
def test_agrees_with_single_environments_step_for_step(id):
    seeds, envs, steps = [0, 4], 3, 220
    reset_seeds = Streams(seeds).integers(2**31, envs)
    with GymnasiumEnv(id, envs) as env:
        obs = env.reset(Streams(seeds))
        actions, noise = act(env, Streams(seeds).child("actions"), steps), env.noise(Streams(seeds), steps)
        taken = [env.step(actions[:, t], noise[:, t]) for t in range(steps)]
    ends = {"terminated": 0, "truncated": 0}
    for i, j in np.ndindex(2, envs):
        single = gymnasium.make(id)
        expected, _ = single.reset(seed=int(reset_seeds[i, j]))
        np.testing.assert_array_equal(obs[i, j].numpy(), seen(expected, single.observation_space))
        for t in range(steps):
            action = to_gymnasium(actions[i, t, j].numpy(), single.action_space)
            expected, reward, terminated, truncated, _ = single.step(action)
            step = taken[t]
            np.testing.assert_array_equal(step.next_obs[i, j].numpy(), seen(expected, single.observation_space))
            assert step.reward[i, j] == np.float32(reward)
            assert (step.terminated[i, j].item(), step.truncated[i, j].item()) == (terminated, truncated)
            if terminated or truncated:
                expected, _ = single.reset()
            np.testing.assert_array_equal(step.obs[i, j].numpy(), seen(expected, single.observation_space))
            ends["terminated"] += terminated
            ends["truncated"] += truncated
        single.close()
    assert sum(ends.values()) > 0 or id in ("MountainCarContinuous-v0", "Acrobot-v1")
    if id == "pgcourse-test/Ring-v0":
        assert min(ends.values()) > 0


def test_time_limit_of_one_step_truncates_every_step():
    with GymnasiumEnv("Acrobot-v1", 2, max_episode_steps=1) as env:
        env.reset(Streams(1))
        step = env.step(torch.zeros(1, 2, dtype=torch.int64), env.noise(Streams(1), 1)[:, 0])
    assert env.time_limit == 1
    assert step.truncated.all()
    assert not step.terminated.any()
    assert not torch.equal(step.obs, step.next_obs)


@pytest.mark.parametrize("id", ["CartPole-v1", "pgcourse-test/Ring-v0"])
def test_seeds_do_not_mix(id):
    def play(seeds):
        streams = Streams(seeds)
        with GymnasiumEnv(id, 2) as env:
            first = env.reset(streams)
            actions = act(env, streams.child("actions"), 60)
            steps = [env.step(actions[:, t], env.noise(streams, 1)[:, 0]) for t in range(60)]
        return [first, *(column for step in steps for column in step)]

    together = play([1, 5, 8])
    for row, seed in enumerate([1, 5, 8]):
        assert all(torch.equal(one[0], all_[row]) for one, all_ in zip(play([seed]), together, strict=True))


@pytest.mark.parametrize(
    "id",
    ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"]
    + [f"pgcourse-test/{name}-v0" for name in ("Ring", "Camera", "Dials", "Lamps", "Switches")],
)
def test_shapes_dtypes_and_spaces(id):
    with GymnasiumEnv(id, 3) as env:
        obs = env.reset(Streams(2))
        step = env.step(act(env, Streams(2), 1)[:, 0], env.noise(Streams(2), 1)[:, 0])
        assert env.noise(Streams(2), 5).shape == (2, 5, 3, 0)
        for seen in (obs, step.obs, step.next_obs):
            assert seen.shape == (2, 3, *env.observation_space.shape)
            assert all(env.observation_space.contains(value) for value in seen.flatten(0, 1).numpy())
    assert step.reward.shape == step.terminated.shape == step.truncated.shape == (2, 3)
    assert (step.reward.dtype, step.terminated.dtype, step.truncated.dtype) == (torch.float32, torch.bool, torch.bool)


def test_spaces_that_a_policy_sees():
    """Vectors of choices from 0 on, and images with the channels first, from 0 to 1."""
    with GymnasiumEnv("pgcourse-test/Camera-v0") as env:
        assert env.observation_space == spaces.Box(0, 1, (3, 5, 4))
        assert env.action_space == spaces.MultiBinary(4)
    with GymnasiumEnv("pgcourse-test/Dials-v0") as env:
        assert env.observation_space == spaces.Box(-300, 300, (2, 3))
        assert env.action_space == spaces.MultiDiscrete([2, 3, 4, 5, 1, 2])
    with GymnasiumEnv("pgcourse-test/Lamps-v0") as env:
        assert env.observation_space == spaces.Box(0, 1, (3, 4, 4))
    with GymnasiumEnv("pgcourse-test/Switches-v0") as env:
        assert env.observation_space == spaces.Box(0, 1, (4,))


def test_mujoco_in_float64_is_not_rounded():
    streams = Streams(1, dtype=torch.float64)
    single = gymnasium.make("Reacher-v5")
    with GymnasiumEnv("Reacher-v5", dtype=torch.float64) as env:
        first = env.reset(streams)
        step = env.step(torch.tensor([[[0.5, -0.25]]]), env.noise(streams, 1)[:, 0])
    expected = single.reset(seed=int(Streams(1).integers(2**31, 1)))[0]
    np.testing.assert_array_equal(first[0, 0].numpy(), expected)
    obs, reward, *_ = single.step(np.array([0.5, -0.25], np.float32))
    np.testing.assert_array_equal(step.obs[0, 0].numpy(), obs)
    assert (step.reward.dtype, step.reward.item()) == (torch.float64, reward)


@pytest.mark.parametrize("name", ["Camera", "Dials", "Lamps", "Switches"])
def test_integers_in_float64_are_as_exact_as_in_float32(name):
    single, double = (
        GymnasiumEnv(f"pgcourse-test/{name}-v0", 2, dtype=dtype).reset(Streams(1))
        for dtype in (torch.float32, torch.float64)
    )
    assert double.dtype == torch.float64
    assert torch.equal(double.float(), single)


def test_number_of_seeds_may_change_at_a_reset():
    with GymnasiumEnv("CartPole-v1", 2) as env:
        assert env.reset(Streams(3)).shape == (3, 2, 4)
        assert env.reset(Streams(1)).shape == (1, 2, 4)


def test_a_second_reset_starts_other_episodes():
    streams = Streams(2)
    with GymnasiumEnv("CartPole-v1", 2) as env:
        assert not torch.equal(env.reset(streams), env.reset(streams))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Dictionary", r"eyes.left = Box\(.*\) is an image"),
        ("Letters", r"1 = Sequence\(.*\) has no fixed number of entries"),
    ],
)
def test_what_cannot_be_flattened_is_named(name, reason):
    with pytest.raises(ValueError, match=f"pgcourse-test/{name}-v0: observations in .* cannot be flattened: {reason}"):
        GymnasiumEnv(f"pgcourse-test/{name}-v0")


def test_dictionaries_are_flattened_as_gymnasium_does():
    with GymnasiumEnv("pgcourse-test/Sensors-v0", envs=2) as env:
        obs = env.reset(Streams(3))
        assert env.observation_space.shape == (2 + 3 + 2 + 2 + 3,) == obs.shape[2:]
        for _ in range(12):  # over two automatic resets
            shown = [spaces.flatten(Sensors.observation_space, each.shown) for each in env.simulators]
            np.testing.assert_allclose(obs.flatten(0, 1), np.stack(shown), rtol=1e-6)
            obs = env.step(torch.zeros(3, 2, dtype=torch.int64), env.noise(Streams(3), 1)[:, 0]).obs
        assert env.spaces == (Sensors.observation_space, Sensors.action_space)


class Floats(gymnasium.Env):
    """A picture [height, width, channel] of floats from 0 to 255."""

    observation_space = spaces.Box(0.0, 255.0, (6, 5, 3))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full((6, 5, 3), 51.0, np.float32) * [1, 2, 3], {}


def test_pictures_of_floats_are_scaled_as_those_of_bytes():
    with GymnasiumEnv(Floats) as env:
        obs = env.reset(Streams(1))
        assert env.observation_space == spaces.Box(0.0, 1.0, (3, 6, 5))
        np.testing.assert_allclose(obs[0, 0].mean((1, 2)), [0.2, 0.4, 0.6], rtol=1e-6)


@pytest.mark.parametrize("name", ["Counter", "Sentence"])
def test_unsupported_spaces_are_named(name):
    with pytest.raises(
        ValueError, match=f"pgcourse-test/{name}-v0: .* are not supported; they must be Discrete, Multi"
    ):
        GymnasiumEnv(f"pgcourse-test/{name}-v0")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("article", "what"), [("an", "observation"), ("a", "reward")])
@pytest.mark.filterwarnings("ignore")
def test_nan_and_infinity_are_errors(article, what, value):
    with GymnasiumEnv("pgcourse-test/Broken-v0", **{what: value}) as env:
        env.reset(Streams(1))
        with pytest.raises(ValueError, match=f"Broken-v0 returned {article} {what} that is NaN or infinite: {value}"):
            env.step(torch.zeros(1, 1, dtype=torch.int64), env.noise(Streams(1), 1)[:, 0])


def test_too_many_choices_to_flatten_are_counted():
    class Wide(Vast):
        observation_space = spaces.MultiDiscrete([2**30, 2**30])

    with pytest.raises(
        ValueError, match=r"Wide: .* cannot be flattened: they would be 2,147,483,648 numbers\. .*Transf"
    ):
        GymnasiumEnv(Wide)


class Vast(gymnasium.Env):
    observation_space, action_space = spaces.Box(-np.inf, np.inf, (2,), np.float64), spaces.Discrete(2)

    def __init__(self, observation=0.0, reward=0.0):
        self.observation, self.reward = np.array([1.0, observation]), reward

    def reset(self, *, seed=None, options=None):
        return np.zeros(2), {}

    def step(self, action):
        return self.observation, self.reward, False, False, {}


@pytest.mark.parametrize(("what", "wrapper"), [("observation", "Observation"), ("reward", "Reward")])
def test_a_number_that_is_finite_in_float64_only_is_told_as_it_was(what, wrapper):
    said = rf"^Vast returned the {what} 1e\+300, which is too large for torch.float32: scale it .*Transform{wrapper}"
    with GymnasiumEnv(Vast, **{what: 1e300}) as env:
        env.reset(Streams(1))
        with pytest.raises(ValueError, match=said):
            env.step(torch.zeros(1, 1, dtype=torch.int64), env.noise(Streams(1), 1)[:, 0])


def test_a_nan_action_is_an_error():
    with GymnasiumEnv("Pendulum-v1") as env:
        env.reset(Streams(1))
        with pytest.raises(ValueError, match="policy has diverged"):
            env.step(torch.full((1, 1, 1), torch.nan), env.noise(Streams(1), 1)[:, 0])


def test_step_before_reset_and_after_close():
    env = GymnasiumEnv("CartPole-v1")
    action, noise = torch.zeros(1, 1, dtype=torch.int64), env.noise(Streams(1), 1)[:, 0]
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(action, noise)
    env.reset(Streams(1))
    env.close()
    env.close()
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(action, noise)


def test_close_closes_the_copies(monkeypatch):
    closed = []
    monkeypatch.setattr(Ring, "close", lambda self: closed.append(self))
    with contextlib.suppress(KeyError), GymnasiumEnv("pgcourse-test/Ring-v0", 4) as env:
        env.reset(Streams(2))
        closed.clear()
        raise KeyError
    assert len(set(map(id, closed))) == 8


def test_unknown_ids_are_named():
    with pytest.raises(gymnasium.error.Error, match="Zork"):
        GymnasiumEnv("Zork-v1")
    with pytest.raises(ValueError, match="envs must be 1 or more, got 0"):
        GymnasiumEnv("CartPole-v1", 0)
