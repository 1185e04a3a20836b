import re
from importlib.metadata import version

import gymnasium
import pytest

import pgcourse as pg
from pgcourse.lab import ChangedWorld, Study, compute, configurations, load, store
from pgcourse.lab.provenance import file_digest

ODD = """
title = "x"
env = "own_world:Own-v0"
steps = 200
seeds = 2
evaluation_episodes = 2
keep_policies = true
network = { hidden = [4] }

[variants.a]
algorithm = "a2c"
"""
OWN = """
import gymnasium
from odd_worlds import Odd

class Own(Odd):
    '''A world of one's own.'''

gymnasium.register("Own-v0", Own, max_episode_steps=20, disable_env_checker=True)
"""


def test_a_tensor_world_is_its_file():
    said = configurations.describe_world("CartPole-v1")
    assert said["time_limit"] == 500
    assert said["actions"] == "Discrete(2)"
    assert said["observations"].startswith("Box(")
    (name, digest), *others = said["source"].items()
    assert (name, others) == ("cartpole.py", [])
    import sys

    from pgcourse.envs import CartPole

    assert digest == file_digest(configurations.Path(sys.modules[CartPole.__module__].__file__))
    assert configurations.describe_world("Arm2-v0")["source"].keys() == {"arm.py"}


def test_a_world_is_described_with_infinite_arguments_as_they_are(monkeypatch):
    given, infinity = {}, float("inf")
    world = configurations.make("CartPole-v1")
    monkeypatch.setattr(configurations, "make", lambda env, envs, **arguments: given.update(arguments) or world)
    arguments = {"reach": infinity, "limits": [-infinity, 1.0], "of": {"arm": {"reach": infinity, "float": "inf?"}}}
    configurations.describe_world("CartPole-v1", arguments)
    assert given == arguments


def test_an_installed_world_is_its_package_and_simulator():
    assert configurations.world_source("gymnasium:CartPole-v1") == {"gymnasium": version("gymnasium")}
    assert configurations.world_source("Acrobot-v1") == {"gymnasium": version("gymnasium")}
    assert configurations.world_source("BipedalWalker-v3").keys() == {"gymnasium", "box2d"}
    assert configurations.world_source("Reacher-v5").keys() == {"gymnasium", "mujoco"}
    assert configurations.world_source("MinAtar/Seaquest-v1").keys() == {"minatar"}
    with pytest.raises(gymnasium.error.Error):
        configurations.world_source("CartPole-v9")


def test_changes_are_named():
    now = configurations.describe_world("CartPole-v1")
    assert configurations.world_changes(now, now) == []
    then = now | {"time_limit": 200, "actions": "Discrete(3)", "source": {"cartpole.py": "0" * 64}}
    assert configurations.world_changes(then, now) == [
        "actions was Discrete(3), is Discrete(2)",
        "time limit was 200, is 500",
        "cartpole.py has been changed",
    ]
    assert configurations.world_changes({"source": {"gymnasium": "1.0"}}, {"source": {"gymnasium": "1.1"}}) == [
        "gymnasium was 1.0, is 1.1"
    ]


@pytest.fixture
def own(declare, tmp_path, monkeypatch):
    """A study in a world of one's own, whose file can be changed."""
    (tmp_path / "modules").mkdir()
    file = tmp_path / "modules" / "own_world.py"
    file.write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(file.parent)
    monkeypatch.delitem(__import__("sys").modules, "own_world", raising=False)
    declare(text=ODD)
    configurations._made.cache_clear()
    (block,) = Study.read("small").blocks()
    store(block, compute(block))
    yield file
    configurations._made.cache_clear()
    gymnasium.registry.pop("Own-v0", None)


def test_a_policy_is_not_evaluated_in_a_world_that_has_changed(own):
    pg.evaluate(load("small").policy("a"), 2)
    own.write_text(OWN.replace("A world of", "The world of"), "utf-8")
    configurations._made.cache_clear()
    pg.evaluate(load("small").policy("a"), 2)
    own.write_text(OWN + "\nOwn.wind = 1\n", "utf-8")
    configurations._made.cache_clear()
    said = "own_world:Own-v0 has changed since these records were made: own_world.py has been changed"
    with pytest.warns(UserWarning, match=re.escape(said)):
        results = load("small")
    assert len(results.curves) > 0  # what is only shown again is shown
    with pytest.raises(ChangedWorld, match=r"own_world:Own-v0 is not the world of this record any more: own_world\.py"):
        results.policy("a")


def test_a_time_limit_that_was_registered_anew_is_another_world(own):
    gymnasium.registry["Own-v0"].max_episode_steps = 5
    configurations._made.cache_clear()
    with pytest.raises(ChangedWorld, match="time limit was 20, is 5"):
        load("small").policy("a")


def test_what_a_world_of_ones_own_is_made_of(tmp_path, monkeypatch):
    """All of one's own that it imports, wherever in the file, by whichever name, and the module that registers it."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "yard"
    package.mkdir()
    texts = {
        "yard/__init__.py": "import gymnasium\n"
        "gymnasium.register('Yard-v0', entry_point='yard.world:Yard', max_episode_steps=9)\n",
        "yard/world.py": "from . import physics\nfrom .walls import Wall as W\n",
        "yard/physics.py": "def step():\n    import yard_numbers\n",
        "yard/walls.py": "import numpy as np, json\nclass Wall: pass\n",
        "yard_numbers.py": "wind = 1\n",
        "yard_unused.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    before = configurations.world_source("yard:Yard-v0")
    assert set(before) == {*texts} - {"yard_unused.py"}
    for name in before:
        file = tmp_path / name
        text = file.read_text("utf-8")
        file.write_text(text + "# a comment\n", "utf-8")
        assert configurations.world_source("yard:Yard-v0") == before
        file.write_text(text + "more = 1\n", "utf-8")
        after = configurations.world_source("yard:Yard-v0")
        assert configurations.world_changes({"source": before}, {"source": after}) == [f"{name} has been changed"]
        file.write_text(text, "utf-8")
    gymnasium.registry.pop("Yard-v0")


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"# -*- coding: latin-1 -*-\n# caf\xe9\n"])
def test_a_module_is_read_in_the_encoding_in_which_python_reads_it(head, tmp_path, monkeypatch):
    """As Windows' editors begin it, and as older ones wrote it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "garden.py").write_bytes(head + b"import hedge\n")
    (tmp_path / "hedge.py").write_bytes(head + b"height = 1\n")
    said = configurations.own_files("garden")
    assert set(said) == {"garden.py", "hedge.py"}
    (tmp_path / "plain.py").write_bytes(b"height = 1\n")
    assert said["hedge.py"] == file_digest(tmp_path / "plain.py")
