"""`pgcourse rlhf train`, on a random model of twenty words."""

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
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(options)` in a folder with a model, prompts, and a reward whose n-th call is Ctrl-C, n dots in `stop`."""
    monkeypatch.chdir(tmp_path)
    checkpoint(tmp_path / "small")
    for name, text in (("prompts.txt", "w0 w1 w2\n\nw7\n"), ("my.py", REWARD), ("stop", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")

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
        ("", "my.py:best", "my.py has no function best"),
        ("", "mine.py:reward", "there is no file mine.py"),
        ("", "reward", "'reward' is no FILE.py:NAME, such as my.py:reward"),
        ("", "my.py:short", "the reward must give a number for each of 16 responses, got 1"),
        ("--algorithm DPPO", "my.py:reward", "algorithm must be one of PPO, RLOO, GRPO"),
        ("--beta -1", "my.py:reward", "beta must be"),
        ("--longest 40", "my.py:reward", "the model reads 24 tokens, prompts and responses have up to 43"),
        ("--pad 1", "my.py:reward", "padding needs a token apart from 1"),
        ("--model nowhere", "my.py:reward", "there is no checkpoint nowhere on this machine"),
    ],
)
def test_what_is_wrong_is_said(run, options, reward, message):
    done = run(options, reward)
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.output.split())


def test_a_folder_belongs_to_one_run(run):
    assert run("--iterations 1").exit_code == 0
    other = run("--iterations 2 --beta 0.5")
    assert "runs/rlhf has a run with other settings (trainer): give another --out" in " ".join(other.output.split())
