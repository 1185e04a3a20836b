"""What people bring along: worlds of their own, code pages, folders and disks, names."""

import io
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest
from click.testing import CliRunner

import pgcourse as pg
from pgcourse.algorithms import Architecture
from pgcourse.app.console import main
from pgcourse.lab import Study, personal

MINE = """
import multiprocessing
import time

import gymnasium
import numpy as np
from gymnasium import spaces


class Mine(gymnasium.Env):
    'Reward: its gravity. A process runs beside it, as a simulator may have one.'

    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(2)

    def __init__(self, gravity=1.0):
        self.gravity = gravity
        self.helper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        self.helper.start()

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.helper.is_alive()
        return np.zeros(1, np.float32), float(self.gravity), False, False, {}

    def close(self):
        self.helper.kill()
"""
FEW = ["--seeds", "2", "--steps", "64", "--evaluation-episodes", "2", "--hidden", "4"]


def refused(*arguments):
    result = CliRunner().invoke(main, ["train", "a2c", "--env", "CartPole-v1", *FEW, *arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code != 0
    return " ".join(result.output.split())


@pytest.mark.skipif(sys.platform == "win32", reason="the world forks")
def test_a_world_in_the_working_folder_that_starts_processes_is_trained_with_its_arguments(runs, tmp_path):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    arguments = ["--env-arg", "gravity=5", "--env-arg", "max_episode_steps=10"]
    command = [sys.executable, "-m", "pgcourse.app.console", "train", "a2c", "--env", "mine:Mine", *FEW, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "evaluation:  mean return 50" in done.stdout
    assert "Traceback" not in done.stderr
    study = Study.at(runs / "a2c-mine-Mine-1")
    assert study.environments["mine:Mine"].arguments == {"gravity": 5, "max_episode_steps": 10}
    assert "gravity=5" in study.title


@pytest.mark.parametrize("page", ["cp1252", "cp437", "cp932"])
def test_a_code_page_without_greek_letters_ends_in_no_traceback(page, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=page)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as ended:
        main(["train", "ppo", "--help"])
    stream.flush()
    written = stream.buffer.getvalue().decode(page)
    assert ended.value.code == 0
    assert "--env-arg NAME=VALUE" in written
    assert ("ε" in written) or ("?" in written)


@pytest.mark.parametrize(
    ("given", "value"),
    [("g=5", 5), ("g=0.5", 0.5), ("g=true", True), ("g=hard", "hard"), ("g=[1, 2]", [1, 2]), ("g=a=b", "a=b")],
)
def test_an_argument_is_json_or_a_word(given, value, runs, monkeypatch):
    declared = []

    def begin(values, name):
        declared.append(values)
        raise ValueError("enough")

    monkeypatch.setattr(personal, "begin", begin)
    refused("--env", "Acrobot", "--env-arg", given, "--steps", "2e3")
    (values,) = declared
    assert values["env"] == "Acrobot-v1"  # an id without a version is the newest one's, and recorded as that
    assert values["environments"] == {"Acrobot-v1": {"arguments": {"g": value}}}
    assert values["steps"] == 2000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env-arg", "gravity"], "'gravity' is not like gravity=5"),
        (["--env-arg", "g=null"], "an argument that is not given is left out"),
        (["--env-arg", "gravity=5"], "CartPole-v1 takes no argument 'gravity'"),
        (["--env-arg", "g=NaN"], "NaN cannot be recorded; give a finite number"),
        (["--env-arg", "g=[Infinity]"], "Infinity cannot be recorded; give a finite number"),
        (["--env-arg", "g=-1e999"], "-1e999 cannot be recorded; give a finite number"),
        (["--env-arg", "g=1", "--env-arg", "g=2"], "--env-arg g is given twice, 1 and 2"),
        (["--env-arg", "envs=3"], "'envs' is no argument of an environment"),
        (["--env-arg", "dtype=float64"], "'dtype' is no argument of an environment"),
        (["--env", "Acrobot-v1", "--env-arg", "max_episode_steps=ten"], "must be an integer, 1 or more, got 'ten'"),
        (["--env", "Acrobot-v1", "--env-arg", "max_episode_steps=0"], "must be an integer, 1 or more, got 0"),
        (["--env", "Ant-v2"], "The newest one here is Ant-v5"),
        (["--env", "./odd_worlds.py:Odd"], "is written without folder and .py: odd_worlds:Odd"),
        (["--env", "odd_worlds:Old"], "odd_worlds registers no such id, and its environments are Odd, NaNReward, "),
        (["--steps", "1e400"], "is not in the range 1<=x<=1000000000000"),
        (["--steps", "1.5e0"], "is not a valid integer."),
        (["--steps", "0e5"], "0 is not in the range"),
        (["--name", "x" * 300], "a run's name has 100 letters at most, got 300"),
        (["--name", "CON"], "on Windows no folder can be called so"),
        (["--name", "lpt1.txt"], "on Windows no folder can be called so"),
        (["--name", "a."], "on Windows no folder can be called so"),
        (["--env", "Pong-v5"], "pip install ale-py"),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments, said, runs):
    assert said in refused(*arguments)
    assert not runs.exists()


def test_a_file_where_runs_should_be_is_named(runs, monkeypatch):
    runs.write_text("a file", encoding="utf-8")
    assert f"{runs} is a file: set PGCOURSE_RUNS to a folder" in refused()
    monkeypatch.setenv("PGCOURSE_RUNS", str(runs / "inside"))
    assert f"but {runs} is a file" in refused()


def test_a_full_disk_is_told_before_anything_is_computed(runs, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    assert "has 1,000 bytes left, and a run should find 22,000,000: make room" in refused()


def test_a_world_with_too_many_states_is_refused_before_they_are_made(runs, tmp_path, monkeypatch):
    (tmp_path / "vast.py").write_text(
        "import gymnasium\nfrom gymnasium import spaces\nclass Vast(gymnasium.Env):\n    observation_space, "
        "action_space = spaces.Discrete(2**31), spaces.Discrete(2)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("torch.zeros", lambda *_, **__: pytest.fail("something of that size was made"))
    said = refused("--env", "vast:Vast", "--env-arg", "max_episode_steps=5")
    assert "would have 4,294,967,296 parameters for each seed" in said


def test_a_declaration_may_begin_with_a_mark(tmp_path):
    content = 'title = "x"\nenv = "CartPole-v1"\nsteps = 10\nseeds = 1\n[variants.a]\nalgorithm = "a2c"\n'
    (tmp_path / "study.toml").write_text(content, encoding="utf-8-sig")
    assert Study.at(tmp_path).title == "x"


def test_arguments_make_another_run(runs, monkeypatch):
    monkeypatch.setattr(personal, "_check", lambda study: None)
    algorithm, network = pg.A2C(), Architecture()
    few = {"seeds": 1, "steps": 10, "workers": 1, "checkpoint_steps": 10, "evaluation_episodes": 2}
    names = []
    for arguments in ({}, {"g": 5}, {"g": 6}, {"g": 5}):
        declared = personal.declaration(algorithm, network, "Acrobot-v1", **few, arguments=arguments)
        names.append(personal.begin(declared).name)
    assert names == [f"a2c-Acrobot-v1-{n}" for n in (1, 2, 3, 2)]
