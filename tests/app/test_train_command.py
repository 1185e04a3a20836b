"""`pgcourse train` and `pgcourse evaluate`: every option of every algorithm, runs that are kept, errors that help."""

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from io import StringIO

import gymnasium
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from rich.console import Console
from small_study import SMALL as SMALL_STUDY

import pgcourse as pg
from pgcourse.algorithms import ALGORITHMS, Architecture, find
from pgcourse.app import blocks
from pgcourse.app import train as command
from pgcourse.app.console import main
from pgcourse.course import watched
from pgcourse.lab import Study, compute, configurations, engines, personal, store

FEW = ["--seeds", "3", "--steps", "600", "--evaluation-episodes", "4", "--hidden", "8"]
SMALL = ["train", "a2c", "--env", "CartPole-v1", *FEW, "--lr", "2e-3"]
NAME = "a2c-CartPole-v1-1"


def pgcourse(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def document(*arguments: str) -> dict:
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def declared(runs, monkeypatch):
    """The runs that the command declares, none of which is computed."""
    studies: list[Study] = []
    monkeypatch.setattr(command, "finish", studies.append)
    return studies


@pytest.fixture
def here(monkeypatch):
    """Tasks in this process: most of what a small one takes is the start of its own."""

    def local(function, tasks, workers):
        for number, task in enumerate(tasks):
            try:
                yield engines.Done(number, function(task, lambda fraction, value=None: None))
            except Exception:
                yield engines.Failed(number, traceback.format_exc().strip())

    monkeypatch.setattr(blocks, "local", local)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with one run, trained by the command, and what the command said."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGCOURSE_RUNS", str(folder))
        status, output = pgcourse(*SMALL)
    assert status == 0, output
    return folder, output


@pytest.fixture
def kept(trained, runs, monkeypatch):
    monkeypatch.setenv("PGCOURSE_RUNS", str(trained[0]))
    return personal.find(NAME)


# Options


MINE = '''
from dataclasses import dataclass

from pgcourse.algorithms import A2C, option


@dataclass(frozen=True)
class MyA2C(A2C):
    """A2C whose critic learns faster."""

    critic_lr: float = option(5e-3, "step size for φ", above=0)


@dataclass(frozen=True)
class Undecided(A2C):
    critic_lr: float | None = None
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The working folder holds a module with algorithms of one's own."""
    (tmp_path / "handmade.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("handmade", None)


def test_an_algorithm_of_ones_own_is_trained_without_a_word_in_the_package(mine, declared, here, monkeypatch):
    status, output = pgcourse("train", "handmade:MyA2C", "--help")
    assert (status, "A2C whose critic learns faster." in output, "[default: 0.005]" in output) == (0, True, True)
    status, output = pgcourse("train", "handmade:MyA2C", "--env", "CartPole-v1", *FEW, "--critic-lr", "0.004")
    assert (status, output) == (0, "")
    (study,) = declared
    (block,) = study.blocks()
    assert study.name == "MyA2C-CartPole-v1-1"
    assert Study.at(study.folder) == study  # `handmade:MyA2C` in study.toml means the same
    assert (type(block.algorithm).__name__, block.algorithm.critic_lr) == ("MyA2C", 0.004)
    store(block, compute(block))
    assert personal.results(study).evaluations["mean_return"].notna().all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pppo", "algorithm must be one of reinforce, a2c, natural, trpo, ppo, recurrent-ppo, dqn, or module:Class"),
        ("nowhere:MyPPO", "No module named 'nowhere'; a module of your own is looked for in the working folder"),
        ("handmade:Nobody", "the module handmade has no 'Nobody'"),
        ("handmade:option", "handmade:option is no frozen dataclass of options"),
        ("handmade:Undecided", "Undecided: critic_lr must have a number, a word or a tuple of sizes as its default"),
    ],
)
def test_what_is_no_algorithm_is_refused_by_name(mine, name, message):
    status, output = pgcourse("train", name, "--env", "CartPole-v1")
    assert status == 2
    assert message in " ".join(output.split())


def test_the_list_of_algorithms_says_what_their_modules_say():
    assert list(command.SUMMARIES) == list(ALGORITHMS)
    for name, summary in command.SUMMARIES.items():
        module = sys.modules[find(name).__module__]
        assert summary.lower() in module.__doc__.partition(".")[0].lower()


def test_the_list_of_algorithms_waits_for_none_of_them():
    code = "import sys; from pgcourse.app.console import main; main(['train', '--help'], standalone_mode=False)"
    code += "; print({'torch', 'numpy', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "Proximal policy optimisation" in done.stdout


def test_help_lists_the_algorithms_and_all_that_each_has():
    status, output = pgcourse("train", "--help")
    assert status == 0
    for name in ALGORITHMS:
        kind = find(name)
        assert f"{name}  " in output
        status, own = pgcourse("train", name, "--help")
        assert status == 0
        assert f"pgcourse train {name} --env" in own
        for field in [*dataclasses.fields(kind), *dataclasses.fields(Architecture)]:
            assert f"--{field.name.replace('_', '-')}" in own


@pytest.mark.parametrize("name", ALGORITHMS)
def test_without_options_a_run_has_the_defaults(declared, name):
    assert pgcourse("train", name, "--env", "CartPole-v1", "--seeds", "2") == (0, "")
    (study,) = declared
    ((variant,),) = (envs.values() for envs in study.variants.values())
    assert variant.algorithm == find(name)()
    assert variant.network == Architecture()
    assert (study.env, study.seeds, study.steps, study.keep_policies) == ("CartPole-v1", 2, 100_000, True)
    again = Study.at(study.folder)  # what study.toml says, infinities included
    assert again == study


def other(default):
    """Another value for an option with this default, as written on the command line and as it is meant."""
    match default:
        case bool():
            return None, not default
        case int():
            value = max(2, default + 1)  # 0 may mean "none", and then 1 is nothing
            return str(value), value
        case float():
            value = {0.0: 0.5, math.inf: 1.5}.get(default, default / 2)
            return str(value), value
        case tuple():
            return "12,7", (12, 7)


REFUSED = {
    "dqn": ("mask_actions",),
    "recurrent-ppo": ("envs", "normalize_observation", "mask_actions", "shared"),
}  # the values below, not the options


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_option_arrives(declared, name):
    """One after the other: the value that was given, all others by default. Words are left to the next test."""
    kind = find(name)
    for number, field in enumerate([*dataclasses.fields(kind), *dataclasses.fields(Architecture)]):
        if isinstance(field.default, str) or field.name in ("search", "minibatches", *REFUSED.get(name, ())):
            continue
        text, value = ("0.995", 0.995) if field.name == "final_gamma" else other(field.default)  # from gamma on
        flag = field.name.replace("_", "-")
        given = [f"--{flag}" if value is True else f"--no-{flag}"] if text is None else [f"--{flag}", text]
        env = "Pendulum-v1" if field.name == "final_std" else "CartPole-v1"  # where there is a σ
        beside = {"normalize_reward": True} if field.name == "clip_reward" else {}  # what it is for
        given += ["--normalize-reward"] * bool(beside)
        run = ["train", name, "--env", env, "--seeds", "2", "--name", f"run{number}", *given]
        status, output = pgcourse(*run)
        assert status == 0, output
        ((variant,),) = (envs.values() for envs in declared[-1].variants.values())
        own = {field.name: value, **beside}
        in_network = field.name in {each.name for each in dataclasses.fields(Architecture)}
        assert variant.algorithm == (kind() if in_network else kind(**own))
        assert variant.network == (Architecture(**own) if in_network else Architecture())


def test_words_and_layers_arrive(declared):
    options = ["--objective", "penalty", "--activation", "relu", "--std", "state", "--hidden", "64,32"]
    options += ["--lr", "3e-4", "--minibatches", "8"]
    assert pgcourse("train", "ppo", "--env", "Pendulum-v1", *options)[0] == 0
    ((variant,),) = (envs.values() for envs in declared[0].variants.values())
    assert variant.algorithm == pg.PPO(objective="penalty", lr=3e-4, minibatches=8)
    assert variant.network == Architecture(hidden=(64, 32), activation="relu", std="state")


def test_a_run_is_the_same_computation_as_a_study(declared, declare):
    declare(
        text='title = "x"\nenv = "CartPole-v1"\nsteps = 9000\nseeds = 4\nseeds_per_block = 2\n'
        '[variants.any]\nalgorithm = "trpo"\nmax_kl = 0.02'
    )
    options = ["--steps", "9000", "--seeds", "4", "--workers", "2", "--max-kl", "0.02"]
    assert pgcourse("train", "trpo", "--env", "CartPole-v1", *options)[0] == 0
    assert [block.configuration for block in declared[0].blocks()] == [
        block.configuration for block in Study.read("small").blocks()
    ]


# Runs


def test_a_run_is_what_training_in_python_gives(kept):
    network = Architecture((8,))
    world = pg.make("CartPole-v1")
    run = pg.train(pg.A2C(lr=2e-3), "CartPole-v1", 3, 600, network.policy(world), network.critic(world))
    results = personal.results(kept)
    assert torch.equal(results.policy("a2c").theta, run.policy.theta)
    pd.testing.assert_frame_equal(results.curves.drop(columns="variant"), run.curves, check_dtype=False)


def test_what_is_said_is_what_is_kept(kept, trained):
    output = trained[1]
    results = personal.results(kept)
    estimate, low, high = pg.stats.mean_interval(results.evaluations["mean_return"].to_numpy())
    said = next(line for line in output.splitlines() if line.startswith("evaluation:"))
    numbers = re.fullmatch(
        r"evaluation:  mean return (\S+) ± (\S+) \(95 % interval over 3 seeds: (\S+) to (\S+)\); 4 episodes .*", said
    )
    half = high - estimate
    expected = (estimate, half, low, high)
    assert [float(number) for number in numbers.groups()] == pytest.approx(expected, abs=0.05 * half)
    assert "actions sampled" in said
    assert f"figure: {kept.folder / 'curves.png'}" in output
    with Image.open(kept.folder / "curves.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("L").getcolors()) > 20
    assert f"pgcourse watch {NAME}" in output


def test_the_same_command_again_computes_nothing(kept):
    before = personal.results(kept).manifests
    for again in (SMALL, ["train", "--resume", NAME]):
        status, output = pgcourse(*again)
        assert status == 0
        assert "evaluation:  mean return" in output
        assert "finished before: nothing is computed" in output
        assert personal.run_names() == [NAME]
        assert personal.results(kept).manifests == before


def test_other_options_are_another_run(declared):
    first = ["train", "ppo", "--env", "CartPole-v1", "--seeds", "2"]
    for lr in ("1e-3", "2e-3", "1e-3"):
        assert pgcourse(*first, "--lr", lr)[0] == 0
    assert [study.name for study in declared] == ["ppo-CartPole-v1-1", "ppo-CartPole-v1-2", "ppo-CartPole-v1-1"]
    assert pgcourse("train", "ppo", "--env", "gymnasium:CartPole-v1")[0] == 0
    assert declared[-1].name == "ppo-gymnasium-CartPole-v1-1"


def test_a_name_belongs_to_one_run(declared):
    begin = ["train", "ppo", "--env", "CartPole-v1", "--name", "mine"]
    assert pgcourse(*begin)[0] == 0
    assert pgcourse(*begin)[0] == 0
    status, output = pgcourse(*begin, "--lr", "0.5", "--activation", "relu", "--seeds", "4")
    assert status == 1
    for difference in ("lr is 0.001 there, 0.5 here", "activation is tanh there, relu", "seeds is 10 there, 4 here"):
        assert difference in output
    assert "Choose another --name" in output
    assert "gamma" not in output


def test_a_run_may_not_be_called_like_a_study_or_leave_the_folder(declared, declare):
    declare("taken")
    for name, why in (("taken", "is a study"), ("../up", "cannot be a run's name"), (".hidden", "cannot be")):
        status, output = pgcourse("train", "ppo", "--env", "CartPole-v1", "--name", name)
        assert status == 1
        assert why in output
    assert not declared


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_the_mean_return_of_all_processes(runs, monkeypatch, terminal):
    def local(function, tasks, workers):
        assert workers == len(tasks) == 2
        yield engines.Advanced(0, 0.25)
        yield engines.Advanced(0, 0.5, 12.0)
        yield engines.Advanced(1, 0.25, 15.0)
        raise KeyboardInterrupt

    algorithm = pg.A2C()
    options = {"seeds": 2, "steps": 4000, "workers": 2, "checkpoint_steps": 1000, "evaluation_episodes": 2}
    study = personal.begin(personal.declaration(algorithm, Architecture(), "CartPole-v1", **options))
    monkeypatch.setattr(blocks, "local", local)
    monkeypatch.setattr(watched, "PATIENCE", 0)
    monkeypatch.setattr(blocks, "A_MINUTE", 0)
    screen = Console(file=StringIO(), width=160, force_terminal=terminal, color_system=None)
    assert blocks.compute_run(screen, study) == 130
    said = screen.file.getvalue()
    assert f"1,500 of 4,000 steps{'' if terminal else ','} mean return 13.5" in said
    assert terminal or "stopped at 1,500 of 4,000 steps" in said
    assert f"pgcourse train --resume {study.name}" in said


@pytest.mark.parametrize("terminal", [False, True])
def test_what_has_failed_is_not_counted_as_done(runs, monkeypatch, terminal):
    def local(function, tasks, workers):
        yield engines.Advanced(0, 0.25)
        yield engines.Failed(0, "its process ended with exit code -9")

    options = {"seeds": 2, "steps": 4000, "workers": 1, "checkpoint_steps": 1000, "evaluation_episodes": 2}
    study = personal.begin(personal.declaration(pg.A2C(), Architecture(), "CartPole-v1", **options))
    monkeypatch.setattr(blocks, "local", local)
    monkeypatch.setattr(watched, "PATIENCE", 0)
    monkeypatch.setattr(blocks, "A_MINUTE", 0)
    screen = Console(file=StringIO(), width=160, force_terminal=terminal, color_system=None)
    assert blocks.compute_run(screen, study) == 1
    said = screen.file.getvalue()
    assert "1,000 of 4,000 steps" in said
    assert "4,000 of 4,000" not in said
    assert "its process ended with exit code -9" in said


def test_a_run_reports_its_latest_mean_return(runs):
    """Every episode of this world returns 1, of the other one at most 1 and at least 0."""
    reports = {}
    for env in ("ProbeConstant-v0", "ProbeState-v0"):
        options = {"seeds": 2, "steps": 400, "workers": 1, "checkpoint_steps": 1000, "evaluation_episodes": 2}
        study = personal.begin(personal.declaration(pg.A2C(), Architecture(), env, **options))
        reports[env] = []
        curves = compute(study.blocks()[0], lambda fraction, value: reports[env].append((fraction, value)))  # noqa: B023
        assert reports[env][-1][0] == 1.0
    assert {value for _, value in reports["ProbeConstant-v0"]} == {1.0}
    steps = curves.tables["curves"].groupby("step")["return"].mean()  # one report an update: 128 steps, 2 each
    assert [value for _, value in reports["ProbeState-v0"]] == pytest.approx(steps.tolist())


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT to a process group")
def test_an_interrupted_run_goes_on_and_gives_the_same_bits(runs, here):
    options = "--env CartPole-v1 --seeds 2 --steps 16000 --checkpoint-steps 500 --evaluation-episodes 3 --hidden 8"
    arguments = [sys.executable, "-m", "pgcourse.app.console", "train", "a2c", *options.split(), "--name", "stopped"]
    process = subprocess.Popen(
        arguments, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not list((runs / "stopped" / ".checkpoints").glob("*.pt")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)  # ends when no process holds the pipes any more
    assert process.returncode == 130, output + errors
    assert "pgcourse train --resume stopped" in output
    assert "Traceback" not in errors
    study = personal.find("stopped")
    (block,) = study.blocks()
    assert block.find() is None
    status, said = pgcourse("evaluate", "stopped")
    assert (status, "stopped is not finished" in said) == (1, True)

    status, said = pgcourse("train", "--resume", "stopped")
    assert status == 0, said
    assert "% done" in said
    resumed = block.record().manifest
    assert resumed["resumed"] == 1
    store(block, compute(block), replace=True)  # without checkpoints, at one go
    whole = block.record().manifest
    assert whole["resumed"] == 0
    assert (resumed["metrics"], resumed["tensors"]) == (whole["metrics"], whole["tensors"])


ROOM = """
import gymnasium
from odd_worlds import Odd

class Room(Odd):
    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, 1.0 * reward, *rest

gymnasium.register("Room-v0", Room, max_episode_steps=20, disable_env_checker=True)
"""


@pytest.fixture
def room(runs, here, tmp_path, monkeypatch):
    """A world of one's own, made anew by `room(reward=100)`, as a command of its own would find it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(reward: int) -> None:
        (tmp_path / "own_room.py").write_text(ROOM.replace("1.0", f"{reward}.0"), "utf-8")
        sys.modules.pop("own_room", None)
        gymnasium.registry.pop("Room-v0", None)
        configurations._made.cache_clear()

    yield write
    write(0)


def test_a_finished_run_in_a_world_that_has_changed_since_is_not_shown_as_one_in_it(room):
    options = ["train", "a2c", "--env", "own_room:Room-v0", *FEW, "--name", "roomy"]
    room(1)
    status, output = pgcourse(*options)
    assert (status, "mean return 10.0" in output) == (0, True), output
    room(100)
    for again in (options, ["train", "--resume", "roomy"], ["evaluate", "roomy"]):
        status, output = pgcourse(*again)
        assert status == 1
        assert "is not the world of this record any more: own_room.py has been changed" in output
        assert "delete that folder, then: pgcourse train --resume roomy; or keep it, and begin another run" in output
        assert "mean return" not in output
    room(1)
    assert pgcourse(*options)[0] == 0


def test_a_stopped_run_does_not_go_on_in_another_world(room, monkeypatch):
    options = ["train", "a2c", "--env", "own_room:Room-v0", *FEW, "--name", "roomy", "--checkpoint-steps", "100"]
    room(1)
    with monkeypatch.context() as patch:

        def stop(*arguments):
            raise KeyboardInterrupt

        patch.setattr("pgcourse.lab.runs.evaluate", stop)
        assert pgcourse(*options)[0] == 130
    (checkpoint,) = (personal.runs_folder() / "roomy" / ".checkpoints").glob("*.pt")
    before = checkpoint.read_bytes()
    room(100)
    for again in (options, ["train", "--resume", "roomy"]):
        status, output = pgcourse(*again)
        assert status == 1
        assert "its checkpoint is of another own_room:Room-v0: own_room.py has been changed; have the old one" in output
        assert checkpoint.read_bytes() == before
    room(1)
    status, output = pgcourse(*options)
    assert (status, "% done" in output, "mean return 10.0" in output) == (0, True, True), output


def test_a_finished_run_of_an_algorithm_of_ones_own_that_has_changed_since_is_not_shown_as_one_of_it(
    runs, here, tmp_path, monkeypatch
):
    """Also where the change is in a module that it imports."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_method.py").write_text(
        "from dataclasses import dataclass\nfrom own_factor import factor\nfrom pgcourse.algorithms import *\n"
        "@dataclass(frozen=True)\nclass Mine(A2C):\n    factor = factor\n",
        "utf-8",
    )
    factor = tmp_path / "own_factor.py"
    factor.write_text("factor = 1\n", "utf-8")
    options = ["train", "own_method:Mine", "--env", "CartPole-v1", *FEW, "--name", "mine"]
    status, output = pgcourse(*options)
    assert status == 0, output
    for text, changed in (("factor = 1  # one\n", False), ("factor = 2\n", True)):
        factor.write_text(text, "utf-8")
        status, output = pgcourse(*options)
        assert status == changed, output
        said = "Mine is not the algorithm of this record any more: own_factor.py has been changed; delete that folder"
        assert (said in output, "mean return" in output) == (changed, not changed)


# Errors


BAD = {
    "unknown environment": ("ppo", ["--env", "Pendulm-v1"], ["unknown environment 'Pendulm-v1'", "Pendulum-v1"]),
    "observation space": (
        "ppo",
        ["--env", "odd_worlds:DictObservation-v0"],
        ["Dict", "camera = Box", "is an image", "FilterObservation"],
    ),
    "no time limit": ("ppo", ["--env", "odd_worlds:Endless-v0"], ["no time limit", "max_episode_steps"]),
    "range": ("ppo", ["--env", "CartPole-v1", "--gamma", "1.5"], ["gamma must be", "at most 1", "got 1.5"]),
    "NaN": ("a2c", ["--env", "CartPole-v1", "--lr", "nan"], ["lr must be above 0", "got nan"]),
    "word": (
        "ppo",
        ["--env", "CartPole-v1", "--std", "wide"],
        ["'wide' is not one of 'global', 'state', 'squashed'"],
    ),
    "minibatches": ("ppo", ["--env", "CartPole-v1", "--minibatches", "7"], ["divide envs · horizon = 256", "got 7"]),
    "layers": ("ppo", ["--env", "CartPole-v1", "--hidden", "8,x"], ["'8,x' is no list of sizes such as 64,64"]),
    "empty layer": ("ppo", ["--env", "CartPole-v1", "--hidden", "8,0"], ["hidden must list sizes of 1 or more"]),
    "type": ("ppo", ["--env", "CartPole-v1", "--epochs", "ten"], ["--epochs", "'ten' is not a valid integer"]),
    "no seeds": ("ppo", ["--env", "CartPole-v1", "--seeds", "0"], ["--seeds", "0 is not in the range"]),
    "workers": ("ppo", ["--env", "CartPole-v1", "--workers", "4"], ["10 seeds", "take one of 1, 2, 5, 10 workers"]),
    "large": ("ppo", ["--env", "CartPole-v1", "--hidden", "600,600"], ["θ of one seed takes", "--hidden"]),
    "many": ("ppo", ["--env", "CartPole-v1", "--seeds", "80"], ["θ of 80 seeds takes", "--workers 2"]),
    "actions": ("dqn", ["--env", "Arm6-v0", "--bins", "9"], ["9^6 = 531,441 actions", "Take fewer bins"]),
    "no such option": ("a2c", ["--env", "CartPole-v1", "--epochs", "3"], ["No such option", "--epochs"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_named_with_its_remedy_before_anything_is_computed(declared, runs, case):
    algorithm, options, said = BAD[case]
    status, output = pgcourse("train", algorithm, *options)
    assert status in (1, 2)
    for words in said:
        assert words in output
    assert "Traceback" not in output
    assert not declared
    assert not list(runs.glob("*"))


def test_the_remedies_help(declared):
    options = ["--env", "CartPole-v1", "--seeds", "80", "--workers", "2"]
    assert pgcourse("train", "ppo", *options)[0] == 0
    assert pgcourse("train", "ppo", "--env", "CartPole-v1", "--hidden", "400,400", "--seeds", "1")[0] == 0


def test_a_world_that_returns_nan_is_named_by_the_process_that_trains(runs):
    status, output = pgcourse("train", "ppo", "--env", "odd_worlds:NaNReward-v0", *FEW)
    assert status == 1
    assert "NaNReward-v0 returned a reward that is NaN or infinite" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(("world", "what"), [("NaNReward", "a reward"), ("NaNObservation", "an observation")])
def test_a_world_that_returns_nan_is_named(runs, here, world, what):
    status, output = pgcourse("train", "ppo", "--env", f"odd_worlds:{world}-v0", "--name", "odd", *FEW)
    assert status == 1
    assert f"{world}-v0 returned {what} that is NaN or infinite" in output
    assert "Traceback" not in output
    status, output = pgcourse("evaluate", "odd")
    assert (status, "`pgcourse train --resume odd` goes on" in output) == (1, True)


def test_training_that_diverges_says_so(runs, here):
    status, output = pgcourse("train", "a2c", "--env", "CartPole-v1", "--lr", "3e38", *FEW)
    assert status == 1
    assert "is NaN or infinite" in output
    assert "lower the learning rate" in output
    assert "Traceback" not in output


def test_a_damaged_record_is_not_used(kept, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(kept.folder, tmp_path / "runs" / NAME)
    monkeypatch.setenv("PGCOURSE_RUNS", str(tmp_path / "runs"))
    (block,) = kept.blocks()
    folder = tmp_path / "runs" / NAME / block.name
    (folder / "curves.csv").write_text("seed\n", encoding="utf-8")
    for command_ in (["train", "--resume", NAME], ["evaluate", NAME]):
        status, output = pgcourse(*command_)
        assert status == 1
        assert str(folder) in output
        assert "curves.csv differs from its digest" in output
        assert f"delete that folder, then: pgcourse train --resume {NAME}" in output


@pytest.mark.parametrize("command_", [["train", "--resume"], ["evaluate"], ["watch"]])
def test_an_unknown_run_is_named_with_the_nearest(kept, command_):
    status, output = pgcourse(*command_, NAME[:-1] + "2")
    assert status == 1
    assert f"{NAME[:-1]}2" in output
    assert f"did you mean {NAME}?" in output


def test_resume_takes_a_run_as_it_was_begun(kept):
    status, output = pgcourse("train", "--resume", NAME, "ppo", "--env", "CartPole-v1")
    assert (status, "without an algorithm" in output) == (2, True)


# Evaluation


def test_a_run_before_it_has_learned(kept):
    (before,) = document("evaluate", NAME, "--episodes", "4", "--checkpoint", "0")["evaluations"]
    assert before["checkpoint"] == 0
    untrained = personal.policy(NAME, 0)
    assert (untrained.theta != personal.policy(NAME).theta).any(1).all()
    played = pg.evaluate(untrained, 4).groupby("seed")["return"].mean()
    assert [row["mean_return"] for row in before["seeds"]] == played.tolist()
    status, output = pgcourse("evaluate", NAME, "--episodes", "2", "--checkpoint", "0")
    assert (status, "policies as they were after 0 of their training" in output) == (0, True)
    status, output = pgcourse("watch", NAME, "--checkpoint", "0.5")
    assert (status, "keeps no policies after 0.5 of the steps, but after 0 and 1" in output) == (1, True)
    status, output = pgcourse("watch", NAME, "--checkpoint", "0", "--seed", "1")
    assert (status, "seed-1-at-0.gif" in output.replace("\n", "")) == (0, True)


def test_evaluation_plays_the_kept_policies(kept):
    """Sampled, in as many episodes, it is the evaluation in the record; otherwise what `pg.evaluate` gives."""
    (sampled,) = document("evaluate", NAME, "--episodes", "4")["evaluations"]
    recorded = personal.results(kept).evaluations
    assert [row["mean_return"] for row in sampled["seeds"]] == recorded["mean_return"].tolist()
    assert [row["sd"] for row in sampled["seeds"]] == pytest.approx(recorded["sd"].tolist())
    assert sampled["checkpoint"] == 1
    names = ["study", "variant", "env", "episodes", "deterministic", "seed", "checkpoint"]
    assert list(sampled) == [*names, "max_episode_steps", "seeds"]
    assert (sampled["study"], sampled["episodes"], sampled["deterministic"], sampled["seed"]) == (NAME, 4, False, 0)
    (others,) = document("evaluate", NAME, "--episodes", "4", "--seed", "7")["evaluations"]
    assert others["seed"] == 7
    played = pg.evaluate(personal.policy(NAME), 4, seed=7).groupby("seed")["return"].mean()
    assert [row["mean_return"] for row in others["seeds"]] == played.tolist() != recorded["mean_return"].tolist()

    (best,) = document("evaluate", NAME, "--episodes", "5", "--deterministic")["evaluations"]
    played = pg.evaluate(personal.policy(NAME), 5, deterministic=True).groupby("seed")["length"].mean()
    assert [row["length"] for row in best["seeds"]] == played.tolist()
    assert best["deterministic"]


def test_the_table_says_which_actions(kept):
    status, output = pgcourse("evaluate", NAME, "--episodes", "2")
    assert status == 0
    assert "actions sampled, as in training" in output
    assert "2 episodes of each seed" in output
    assert "mean return over 3 seeds" in output
    status, output = pgcourse("evaluate", NAME, "--episodes", "1", "--deterministic")
    assert status == 0
    assert "the most probable action" in output


def test_studies_that_keep_their_policies_are_evaluated(runs, declare):
    declare(text=SMALL_STUDY.replace("seeds = 4", "seeds = 2"))
    for block in Study.read("small").blocks():
        store(block, compute(block))
    both = document("evaluate", "small", "--episodes", "3")["evaluations"]
    assert [(each["study"], each["variant"]) for each in both] == [("small", "plain"), ("small", "critic")]
    assert document("evaluate", "small/critic", "--episodes", "3")["evaluations"] == both[1:]
    status, output = pgcourse("watch", "small")
    assert (status, "choose one of 'small/plain', 'small/critic'" in output) == (1, True)
    status, output = pgcourse("evaluate", "small/actor")
    assert (status, "it has plain, critic" in output) == (1, True)
    declare(text=SMALL_STUDY.replace("seeds = 4", "seeds = 2").replace("keep_policies = true", ""))
    for block in Study.read("small").blocks():
        store(block, compute(block), replace=True)
    status, output = pgcourse("evaluate", "small")
    assert (status, "keep_policies = true" in output) == (1, True)
