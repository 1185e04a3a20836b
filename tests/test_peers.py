"""The benchmark beside peers compares the same work, and says who is missing."""

import io
import math

import pytest
from rich.console import Console

from benchmarks import peers


@pytest.mark.parametrize("name", peers.WORK)
def test_both_sides_are_given_the_same_work(name):
    work = peers.WORK[name]
    here, there = peers.ours(work), peers.theirs(work)
    assert here.rollout == there["n_steps"]
    assert here.gamma == there["gamma"]
    assert here.lam == there["gae_lambda"]
    assert here.critic_lr == there["learning_rate"]
    assert there["policy_kwargs"]["net_arch"] == {"pi": [64, 64], "vf": [64, 64]}  # and ours by default
    if work.algorithm == "ppo":
        assert here.lr == there["learning_rate"]
        assert not here.anneal
        assert here.epochs == there["n_epochs"]
        assert here.envs * here.rollout / here.minibatches == there["batch_size"]
        assert here.clip == there["clip_range"]
    else:
        assert here.max_kl == there["target_kl"]
        assert here.cg_steps == there["cg_max_steps"]
        assert here.critic_steps == there["n_critic_updates"]
        assert there["batch_size"] == here.envs * here.rollout  # so that one of their updates is one step


def test_what_is_counted_are_environment_steps_of_all_seeds():
    work = peers.Work("CartPole-v1", "ppo", steps=600, envs=2, rollout=32)
    trained, stepped = peers.train_here(work, 3), peers.step_here(work, 3)
    assert trained.steps == 3 * 640  # whole rollouts
    assert stepped.steps == 3 * 576
    assert math.isfinite(trained.rate)
    assert 8 < trained.last_return < 100  # hardly learnt yet, and an episode's return
    assert stepped.last_return is None


def test_who_is_missing_is_said_and_the_others_are_measured(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(peers, "measure", lambda *_: peers.Measured(100, 2.0, 5.0))
    screen = io.StringIO()
    found = peers.compare("walker-ppo", 1.0, 3, Console(file=screen, width=200))
    said = screen.getvalue()
    assert "Stable-Baselines3, 1 seed: not measured, stable_baselines3 is not installed" in said
    assert "EnvPool alone, 1 seed: not measured, envpool is not installed" in said
    assert set(found) == {"pgcourse, 1 seed", "pgcourse, 10 seeds", "world alone, 1 seed", "world alone, 10 seeds"}
    assert found["pgcourse, 1 seed"] == {"rate": 50.0, "rates": [50.0] * 3, "last_return": 5.0}
