"""`pgcourse rlhf train`, on a random model of twenty words."""

import json
import shutil
import sys

import pandas as pd
import pytest
import torch
from checkpoints import checkpoint
from click.testing import CliRunner

from pgcourse.app.console import main

pytest.importorskip("transformers")

REWARD = """
import pathlib
calls = pathlib.Path("calls")

def reward(prompts, responses):
    calls.write_text((calls.read_text() if calls.exists() else "") + ".")
    if calls.read_text() == pathlib.Path("stop").read_text():
        raise KeyboardInterrupt
    return [len(response.split()) for response in responses]

def short(prompts, responses):
    return [0.0]

def nan(prompts, responses):
    return [0.0] * (len(responses) - 1) + [float("nan")]

def nothing(prompts, responses):
    pass

def one(prompts, responses):
    return 1.0

def fails(prompts, responses):
    return [1 / 0 for response in responses]

def of_one(response):
    return 1.0
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(options)` in a folder with a model, prompts, and a reward whose n-th call is Ctrl-C, n dots in `stop`."""
    monkeypatch.chdir(tmp_path)
    checkpoint(tmp_path / "small")
    written = {"prompts.txt": "w0 w1 w2\n\nw7\n", "my.py": REWARD, "stop": "", "empty.txt": "\n"}
    written |= {"broken.py": "import nowhere\n", "wrong.py": "def reward(:\n"}
    for name, text in written.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("größer".encode("latin-1"))
    (tmp_path / "bare").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tmp_path / "small" / name, tmp_path / "bare")

    def run(options="", reward="my.py:reward"):
        asked = f"rlhf train --model small --reward {reward} --prompts prompts.txt --envs 16 --longest 6 {options}"
        return CliRunner().invoke(main, asked.split())

    return run


def test_a_stopped_run_goes_on_as_if_nothing_had_happened(run, tmp_path):
    whole = run("--iterations 4 --out whole --algorithm PPO --lr 1e-2")
    assert whole.exit_code == 0, whole.output
    assert whole.output.count("KL") == 4
    (tmp_path / "calls").unlink()
    (tmp_path / "stop").write_text("...")
    stopped = run("--iterations 4 --out parts --algorithm PPO --lr 1e-2")
    assert stopped.exit_code == 1
    assert "stopped after 2 of 4 iterations: the same command goes on" in stopped.output
    again = run("--iterations 4 --out parts --algorithm PPO --lr 1e-2")
    assert again.exit_code == 0, again.output
    assert "3/4" in again.output
    assert "2/4" not in again.output
    one, two = (pd.read_csv(tmp_path / name / "metrics.csv").drop(columns="seconds") for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(one, two)
    assert one["iteration"].tolist() == [0, 1, 2, 3]
    one, two = (torch.load(tmp_path / name / "state.pt")["state"]["theta"] for name in ("whole", "parts"))
    assert torch.equal(one, two)
    assert "has 4 iterations: ask for more" in run("--iterations 4 --out whole --algorithm PPO --lr 1e-2").output


def test_the_kept_model_is_one_to_train_and_its_samples_are_those_that_were_scored(run, tmp_path):
    assert run("--iterations 2 --out one").exit_code == 0
    samples = pd.read_csv(tmp_path / "one" / "samples.csv", keep_default_na=False)
    assert len(samples) == 8
    assert samples["prompt"].isin(["w0 w1 w2", "w7"]).all()
    assert (samples["response"].str.split().str.len() == samples["score"]).all()
    settings = (tmp_path / "one" / "settings.json").read_text(encoding="utf-8")
    assert '"baseline": "group"' in settings
    again = run("--model one/model --iterations 1 --out two")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("options", "reward", "message"),
    [
        ("", "my.py:best", "my.py has no function best; it has reward, short, nan, nothing, one, fails, of_one"),
        ("", "mine.py:reward", "there is no file mine.py"),
        ("", "reward", "'reward' is no FILE.py:NAME, such as my.py:reward"),
        ("", "my.py:short", "the reward must give a number for each of 16 responses, got 1"),
        ("", "my.py:nan", "the reward of a response is nan, and must be a finite number. Prompt: 'w"),
        ("", "my.py:nothing", "the reward must give a list of numbers, one for each response; got None"),
        ("", "my.py:one", "the reward must give a list of numbers, one for each response; got 1.0"),
        ("", "my.py:fails", "the reward failed: ZeroDivisionError: division by zero ("),
        ("", "my.py:of_one", "the reward failed: TypeError: of_one() takes 1 positional argument but 2 were given"),
        ("", "broken.py:reward", "broken.py cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("", "wrong.py:reward", "wrong.py cannot be imported: SyntaxError"),
        ("--prompts empty.txt", "my.py:reward", "empty.txt has no prompts: write one a line"),
        ("--prompts latin.txt", "my.py:reward", "latin.txt is not a text in UTF-8"),
        ("--pad 20", "my.py:reward", "pad = 20 is no token of this model, which has 0 to 19: give another, or enlarge"),
        ("--model bare", "my.py:reward", "this checkpoint has no tokenizer: save one beside it"),
        ("--algorithm DPPO", "my.py:reward", "algorithm must be one of PPO, RLOO, GRPO"),
        ("--beta -1", "my.py:reward", "beta must be"),
        ("--longest 40", "my.py:reward", "the model reads 24 tokens, prompts and responses have up to 43"),
        (
            "--pad 1",
            "my.py:reward",
            "padding needs a token apart from 1, which ends a response: give as pad one that your prompts and "
            "responses can do without, 0 to 19, such as 19, 'w17'",
        ),
        (
            "--model nowhere",
            "my.py:reward",
            "there is no checkpoint nowhere on this machine: no folder with config.json and",
        ),
    ],
)
def test_what_is_wrong_is_said(run, options, reward, message):
    done = run(options, reward)
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.output.split())


def test_a_run_goes_on_with_its_own_reward_only(run, tmp_path):
    assert run("--iterations 1 --out one").exit_code == 0
    for text, reward in ((REWARD, "my.py:short"), (REWARD.replace("len(response.split())", "1.0"), "my.py:reward")):
        (tmp_path / "my.py").write_text(text, encoding="utf-8")
        other = run("--iterations 2 --out one", reward)
        assert other.exit_code == 1
        assert "one has a run with other settings (reward): give another --out" in " ".join(other.output.split())
    (tmp_path / "my.py").write_text("# what it is worth\n" + REWARD, encoding="utf-8")
    settings = tmp_path / "one" / "settings.json"
    asked = json.loads(settings.read_text(encoding="utf-8"))
    del asked["reward"]  # as in runs of before
    settings.write_text(json.dumps(asked), encoding="utf-8")
    assert run("--iterations 2 --out one").exit_code == 0
    assert json.loads(settings.read_text(encoding="utf-8"))["reward"]["name"] == "reward"


def test_a_folder_belongs_to_one_run(run):
    assert run("--iterations 1").exit_code == 0
    other = run("--iterations 2 --beta 0.5")
    assert "runs/rlhf has a run with other settings (trainer): give another --out" in " ".join(other.output.split())


def test_what_went_wrong_before_anything_was_learned_does_not_keep_its_folder(run):
    assert run("--iterations 1", "my.py:nan").exit_code == 1
    other = run("--iterations 1 --beta 0.5")
    assert other.exit_code == 0, other.output


def test_a_reward_may_import_what_stands_beside_it_and_be_a_dataclass(run, tmp_path):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "rule_of_mine.py").write_text("WORDS = 3\n", encoding="utf-8")
    text = """
from __future__ import annotations
from dataclasses import dataclass
from rule_of_mine import WORDS

@dataclass
class Length:
    wanted: int

    def __call__(self, prompts, responses):
        return [-abs(len(response.split()) - self.wanted) for response in responses]

reward = Length(WORDS)
"""
    (tmp_path / "beside" / "mine.py").write_text(text, encoding="utf-8")
    path = list(sys.path)
    try:
        done = run("--iterations 1", "beside/mine.py:reward")
    finally:
        sys.path[:] = path
    assert done.exit_code == 0, done.output


def test_a_run_says_what_it_trains_and_draws_its_diagnostics(run, tmp_path):
    done = run("--iterations 2 --out one")
    assert "2 prompts, 16 responses an iteration, each of 6 tokens at most" in done.output
    assert (tmp_path / "one" / "diagnostics.png").read_bytes().startswith(b"\x89PNG")
    assert "read next: " in done.output


def test_more_memory_than_there_is_is_said_before_it_is_asked_for(run, monkeypatch):
    import psutil

    memory = psutil.virtual_memory()._replace(available=1_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert "this may need 0.0 GiB of memory, and 0.0 are free: fewer --envs or a shorter --longest" in " ".join(
        run("--iterations 1").output.split()
    )
