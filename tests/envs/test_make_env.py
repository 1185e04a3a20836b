from importlib import metadata, util

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit, TransformObservation

from pgcourse.core import Streams
from pgcourse.envs import WORLDS, CartPole, GymnasiumEnv, Pendulum, make, names, origin


@pytest.mark.parametrize("name", WORLDS)
def test_own_names(name):
    env = make(name, 3)
    assert (env.name, env.envs) == (name, 3)
    assert env.reset(Streams(2)).shape == (2, 3, *env.observation_space.shape)


def test_tensor_worlds_stand_for_gymnasiums():
    assert isinstance(make("CartPole-v1"), CartPole)
    assert isinstance(make("Pendulum-v1"), Pendulum)


def test_a_module_before_the_id_gives_gymnasiums_own():
    with make("gymnasium:CartPole-v1", 2) as env:
        assert isinstance(env, GymnasiumEnv)
        assert env.time_limit == 500
        assert env.reset(Streams(1)).shape == (1, 2, 4)


def test_options_reach_the_world():
    streams = Streams(1, dtype=torch.float64)
    assert make("CartPole-v1", dtype=torch.float64).reset(streams).dtype == torch.float64
    assert make("Acrobot-v1", max_episode_steps=7).time_limit == 7


class Unrecorded(gymnasium.Wrapper):
    """A wrapper whose arguments Gymnasium does not know."""


def test_a_function_builds_the_world():
    built = CartPole(4)
    assert make(lambda envs: built, 4) is built
    assert make(CartPole, 5).envs == 5
    with pytest.raises(TypeError, match=r"a name, a class or a function .* give its class, CartPole"):
        make(built)


class Heavy(gymnasium.Env):
    """Observation: its gravity."""

    observation_space = spaces.Box(-10, 10, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, gravity=1.0):
        self.gravity = gravity

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(1, self.gravity, np.float32), {}

    def step(self, action):
        return np.full(1, self.gravity, np.float32), 0.0, False, False, {}


def made_by(gravity=1.0):
    return Heavy(gravity)


def limited(envs):
    return TimeLimit(Heavy(3.0), 7)


class Sized(Heavy):
    def __init__(self, *, size):
        super().__init__(size)


class Spaceless(gymnasium.Env):
    action_space = spaces.Discrete(2)


class Numbered(Heavy):
    action_space = 2


gymnasium.register("test_make_env-Heavy-v3", Heavy, max_episode_steps=9)
gymnasium.register("test_make_env-Sized-v0", Sized, max_episode_steps=9)


@pytest.mark.parametrize(
    ("env", "options", "gravity", "limit"),
    [
        (Heavy, {}, 1, None),
        (Heavy, {"gravity": 5.0, "max_episode_steps": 4}, 5, 4),
        (lambda: Heavy(2.0), {}, 2, None),
        (made_by, {"gravity": 5.0}, 5, None),
        (limited, {}, 3, 7),
        (lambda *_: Heavy(4.0), {"max_episode_steps": 3}, 4, 3),
        ("test_make_env-Heavy-v3", {"gravity": 5.0}, 5, 9),
        ("test_make_env-Heavy", {}, 1, 9),
        (f"{__name__}:Heavy", {"gravity": 5.0}, 5, None),
        (gymnasium.make("test_make_env-Heavy-v3", gravity=6.0), {}, 6, 9),
        (TransformObservation(gymnasium.make("test_make_env-Heavy-v3"), np.negative, None), {}, -1, 9),
    ],
)
def test_a_world_of_ones_own_is_a_class_a_function_an_environment_or_an_id(env, options, gravity, limit):
    world = make(env, 3, **options)
    assert isinstance(world, GymnasiumEnv)
    assert (world.envs, world.time_limit) == (3, limit)
    assert (world.reset(Streams(2)) == gravity).all()
    assert make(env, 2, dtype=torch.float64, **options).reset(Streams(1, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("env", "options", "error", "said"),
    [
        (Heavy(), {}, TypeError, r"which gymnasium.make has not made; give its class, or .* `lambda: Heavy\(...\)`"),
        (Unrecorded(gymnasium.make("test_make_env-Heavy-v3")), {}, TypeError, "copies are needed .* give its class"),
        (gymnasium.make_vec("CartPole-v1", 2), {}, TypeError, "one environment, of which copies are made here"),
        (lambda: 3, {}, ValueError, "makes 3, which is no environment"),
        (lambda envs: 3, {}, TypeError, "made 3, which is neither"),
        (3, {}, TypeError, "a name, a class or a function that makes a world, got 3"),
        (Heavy, {"g": 5.0}, ValueError, "Heavy takes no argument 'g': "),
        (Sized, {}, ValueError, r"^Sized needs the argument 'size': .* env_args=\{'size': \.\.\.\}, .*--env-arg size="),
        ("test_make_env-Sized-v0", {}, ValueError, "^test_make_env-Sized-v0 needs the argument 'size': "),
        (Spaceless, {}, ValueError, "^Spaceless: its observation_space is None; it must be one of gymnasium.spaces"),
        (Numbered, {}, ValueError, "^Numbered: its action_space is 2; it must be one of gymnasium.spaces"),
        ("Acrobot-v1", {"g": 5.0}, ValueError, "Acrobot-v1 takes no argument 'g': "),
        ("Pendulum-v1", {"g": 5.0}, ValueError, "it takes none. .* Gymnasium's own is 'gymnasium:Pendulum-v1'"),
        ("ScalarLQR-v0", {"g": 5.0}, ValueError, "unexpected keyword argument 'g'$"),
        ("GridWorld-v0", {"g": 5.0}, ValueError, "unexpected keyword argument 'g'; among others it takes time_limit$"),
        ("Arm2-v0", {"g": 5.0}, ValueError, "Arm2-v0 takes no argument 'g': .*; it takes joints, "),
        (
            "nowhere:Heavy-v0",
            {},
            ValueError,
            "nowhere:Heavy-v0: No module named 'nowhere'; a module of your own is looked",
        ),
        ("nowhere:Heavy", {}, ValueError, "nowhere:Heavy: No module named 'nowhere'; a module of your own is looked"),
        ("ale_py:ALE/Pong-v5", {}, ValueError, "No module named 'ale_py'; `pip install ale-py`"),
        ("Pong-v5", {}, ValueError, "comes with the package ale-py: .* and call it 'ale_py:ALE/Pong-v5'"),
        ("PongNoFrameskip-v4", {}, ValueError, "call it 'ale_py:PongNoFrameskip-v4'"),
        ("MiniGrid-Empty-5x5-v0", {}, ValueError, "call it 'minigrid:MiniGrid-Empty-5x5-v0'"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_world_is_refused_with_what_to_write(env, options, error, said):
    with pytest.raises(error, match=said):
        make(env, 3, **options)


def test_an_error_of_ones_own_world_keeps_its_place():
    class Wrong(Heavy):
        def __init__(self):
            self.table = sorted(key=3)

    with pytest.raises(TypeError, match="sorted expected 1 argument") as raised:
        make(Wrong)
    assert raised.value.__notes__ == ["(raised where Wrong is made)"]

    class Inner(Heavy):
        def __init__(self):
            self.other = Sized()

    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'size'"):  # nobody can give it
        make(Inner)


def test_every_copy_is_an_environment_of_its_own():
    one = Heavy()
    world = make(lambda: one, 2)
    with pytest.raises(ValueError, match=r"makes the same environment each time, .* `lambda: Heavy\(...\)`"):
        world.reset(Streams(2))


def test_names_can_be_made():
    assert names()[: len(WORLDS)] == list(WORLDS)
    assert set(gymnasium.registry) <= set(names())
    assert len(names()) == len(set(names()))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CartPol-v1", "did you mean CartPole-v1"),
        ("Pendullum-v1", "did you mean Pendulum-v1"),
        ("quite something else", "Our own are .*CartPole-v1"),
        ("NoSuchSpace/Pong-v5", "Have you installed the proper package"),
    ],
)
def test_unknown_names_get_an_answer(name, hint):
    with pytest.raises(ValueError, match=f"unknown environment '{name}'; .*{hint}"):
        make(name)


@pytest.mark.parametrize("name", WORLDS)
def test_tensor_worlds_come_from_their_modules(name):
    found = origin(make(name))
    module, _, kind = found["source"].partition(":")
    assert (found["kind"], found["packages"]) == ("module", {})
    assert module.startswith("pgcourse.envs.worlds.")
    assert kind in {"Arm", type(make(name)).__name__}


@pytest.mark.parametrize(
    ("name", "source", "packages"),
    [
        ("gymnasium:CartPole-v1", "gymnasium.envs.classic_control.cartpole:CartPoleEnv", ["gymnasium"]),
        ("Reacher-v5", "gymnasium.envs.mujoco.reacher_v5:ReacherEnv", ["gymnasium", "mujoco"]),
        ("LunarLander-v3", "gymnasium.envs.box2d.lunar_lander:LunarLander", ["Box2D", "gymnasium"]),
        ("MinAtar/Seaquest-v1", "minatar.gym:BaseEnv", ["MinAtar", "gymnasium"]),
        ("envpool:CartPole-v1", "envpool.classic_control.classic_control_envpool:_CartPoleEnvSpec", ["envpool"]),
    ],
)
def test_others_come_from_packages(name, source, packages):
    for library in ("minatar", "envpool"):
        if name.lower().startswith(library) and util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    found = origin(make(name))
    assert found["source"].startswith(source)
    assert (found["kind"], found["packages"]) == (
        "package",
        {package: metadata.version(package) for package in packages},
    )


class Slow(CartPole):
    tau = 0.01


class Own(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Discrete(2)


def test_ones_own_worlds_come_from_their_modules():
    assert origin(make(Slow)) == {"kind": "module", "source": f"{__name__}:Slow", "packages": {}}
    gymnasium.register("pgcourse-test/Own-v0", Own)
    found = origin(make("pgcourse-test/Own-v0"))
    del gymnasium.registry["pgcourse-test/Own-v0"]
    packages = {"gymnasium": gymnasium.__version__}
    assert found == {"kind": "module", "source": f"{__name__}:Own", "packages": packages}


def test_a_world_of_ones_own_is_module_and_class(tmp_path, monkeypatch):
    code = "from pgcourse.envs import CartPole\n\n\nclass Long(CartPole):\n    time_limit = 700\n"
    (tmp_path / "a_world_of_mine.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    world = make("a_world_of_mine:Long", 3, dtype=torch.float64)
    assert (world.envs, world.time_limit, world.dtype) == (3, 700, torch.float64)
    with pytest.raises(ValueError, match=r"no_such_module:World: No module named 'no_such_module'"):
        make("no_such_module:World")
