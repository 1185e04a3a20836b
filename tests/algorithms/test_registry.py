"""Algorithms by name: ours, and one's own."""

import sys
from pathlib import Path

import pytest
import torch

import pgcourse as pg
from pgcourse.algorithms import ALGORITHMS, find, train
from pgcourse.algorithms.registry import name_of

OWN = '''
"""A policy gradient of one's own: REINFORCE's, one step a minibatch of steps, with a metric of its own."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from pgcourse.algorithms import check, option
from pgcourse.core.adam import gradient
from pgcourse.rl import reward_to_go


class State(NamedTuple):
    policy: object
    critic: object
    theta: torch.Tensor


class Metrics(NamedTuple):
    weight: torch.Tensor


@dataclass(frozen=True)
class Mine:
    """Plain gradient steps."""

    envs: int = option(8, "copies", low=1)
    lr: float = option(0.05, "step size", above=0)
    horizon = None

    def __post_init__(self):
        check(self)

    def init(self, policy, critic, streams):
        return State(policy, critic, policy.init(streams.child("theta")))

    def update(self, state, batch, progress, streams):
        weight = reward_to_go(batch.reward, batch.terminated, batch.truncated, 0.99)
        weight = torch.where(batch.mask, weight - weight.mean((1, 2), keepdim=True), 0.0)
        theta = state.theta.detach().requires_grad_()
        log_prob = state.policy(theta, batch.obs).log_prob(batch.action)
        (g,) = gradient((weight * log_prob).where(batch.mask, 0.0).sum((1, 2)) / self.envs, theta)
        step = self.lr * g / g.norm(dim=1, keepdim=True)
        return state._replace(theta=theta.detach() + step), Metrics(weight.abs().mean((1, 2)))


@dataclass(frozen=True)
class Half:
    """No algorithm: it does not act and does not begin."""

    envs: int = 1
    update = None


class Plain:
    envs, horizon, init, update = 1, 1, None, None
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_algorithms.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_algorithms", None)


def test_ours_have_names():
    for name in ALGORITHMS:
        kind = find(name)
        assert name_of(kind) == name
        assert kind is find(f"{kind.__module__}:{kind.__qualname__}")
        first = (sys.modules[kind.__module__].__doc__ or "").strip()
        assert Path(sys.modules[kind.__module__].__file__).is_file()
        assert first


def test_one_of_ones_own_is_found_and_trains(own):
    kind = find("my_algorithms:Mine")
    assert name_of(kind) == "my_algorithms:Mine"
    run = train(kind(), "CartPole-v1", seeds=2, steps=15_000)
    assert set(run.curves.columns) == {"seed", "step", "episodes", "return", "length", "weight"}
    first, last = (run.curves.groupby("seed")["return"].nth(row).mean() for row in (0, -1))
    assert last > 2 * first
    with pytest.raises(ValueError, match="Mine: lr must be above 0, got 0"):
        kind(lr=0.0)


def test_and_goes_on_from_a_checkpoint(own):
    algorithm = find("my_algorithms:Mine")(envs=2)
    seen = list(pg.training(algorithm, "CartPole-v1", 2, 600, checkpoint_steps=200))
    checkpoint = next(each.checkpoint for each in seen if each.checkpoint)
    *_, again = pg.training(algorithm, "CartPole-v1", 2, 600, checkpoint_steps=200, resume=checkpoint)
    assert torch.equal(again.policy.theta, seen[-1].policy.theta)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pppo", "algorithm must be one of reinforce, a2c, .*, or module:Class for one of your own; got 'pppo'"),
        ("my_algorithms:", "algorithm must be one of"),
        ("nowhere:Mine", "nowhere:Mine: No module named 'nowhere'; a module of your own is looked for in the working"),
        ("my_algorithms:Yours", "my_algorithms:Yours: the module my_algorithms has no 'Yours'"),
        ("my_algorithms:Plain", "my_algorithms:Plain is no frozen dataclass of options"),
        ("my_algorithms:Half", "my_algorithms:Half is no algorithm: it has no horizon and no init"),
    ],
)
def test_what_is_no_algorithm_is_refused_by_name(own, name, message):
    with pytest.raises(ValueError, match=message):
        find(name)
