"""Trained policies at play in environments themselves, as files, and as modules of torch's."""

import errno
import io
import pickle
import subprocess
import sys
import zipfile
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

import pgcourse as pg
from pgcourse.algorithms import Architecture, TrainedPolicy
from pgcourse.core import (
    MLP,
    BinsPolicy,
    Conv,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    Module,
    MultiDiscretePolicy,
    Normalized,
    Outputs,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Streams,
    Table,
    recurrent,
    to_module,
)


class Seen(gymnasium.Env):
    """Shows what it is told to, and remembers which actions it was given."""

    def __init__(self, observations=None, actions=None):
        self.observation_space = observations or spaces.Box(-1, 1, (3,))
        self.action_space = actions or spaces.Discrete(2)
        self.observation_space.seed(0)
        self.taken = []

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.taken.append(action)
        return self.observation_space.sample(), 1.0, len(self.taken) % 5 == 0, False, {}


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 8), nn.Linear(8, 2)
        self.register_buffer("offset", torch.full((3,), 0.5))

    def forward(self, x):
        return self.two((self.one(x - self.offset)).sin())


BOX = spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 4.0]), dtype=np.float64)
CUT = spaces.Discrete(3, start=5)
PICTURE = spaces.Box(0, 255, (12, 10, 3), np.uint8)
SENSORS = spaces.Dict({"place": spaces.Box(-1, 1, (2,)), "where": spaces.Discrete(4, start=1)})
HAND = spaces.MultiDiscrete([2, 3], start=[1, 2])


def trained(observations=None, actions=None, network=None, seeds=(3, 4), **options):
    env = partial(Seen, observations, actions)
    world = pg.make(env)
    policy = network or Architecture((8,), **options).policy(world)
    theta = policy.init(Streams(seeds))
    theta = theta + 0.3 * Streams(seeds, ("noise",)).normal(policy.size)
    return TrainedPolicy(policy, theta, seeds, env)


OF_SPACES = {
    "discrete from 5": (None, CUT),
    "box": (None, BOX),
    "picture": (PICTURE, CUT),
    "dict": (SENSORS, BOX),
    "tuple": (spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))), CUT),
    "a number from 2 on": (spaces.Discrete(4, start=2), HAND),
    "switches": (None, spaces.MultiBinary(3)),
}


@pytest.mark.parametrize("name", OF_SPACES)
def test_an_agent_acts_in_the_environment_itself(name):
    """`Seen` refuses an action that is not in its space."""
    env, policy = Seen(*OF_SPACES[name]), trained(*OF_SPACES[name])
    for agent in policy:
        obs, _ = env.reset()
        for deterministic in (False, True) * 6:
            obs, *_ = env.step(agent.act(obs, deterministic))
    assert len(env.taken) == 24


@pytest.mark.parametrize("env", ["gymnasium:CartPole-v1", "gymnasium:Pendulum-v1"])
def test_an_agent_takes_the_actions_of_an_evaluation(env):
    """What an adapter with many copies does, one copy and plain arrays do, too."""
    run = pg.train(pg.A2C(envs=1), env, seeds=2, steps=200)
    table = pg.evaluate(run.policy, episodes=1, deterministic=True)
    for seed, expected in zip((0, 1), table["return"], strict=True):
        raw = gymnasium.make(env)
        start = Streams((seed,), ("evaluate",)).integers(2**31, 1).item()
        obs, _ = raw.reset(seed=start)
        total, over = 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = raw.step(run.policy[seed].act(obs, deterministic=True))
            total, over = total + float(reward), terminated or truncated
        assert total == pytest.approx(expected, rel=1e-5)


def test_a_batch_is_many_observations():
    policy = trained(actions=BOX)
    obs = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    agent = policy[4]
    batch = agent.act(obs, deterministic=True)
    assert batch.shape == (7, 2)
    one_by_one = np.stack([agent.act(each, deterministic=True) for each in obs])
    np.testing.assert_allclose(batch, one_by_one, rtol=1e-5)
    assert type(trained(actions=CUT)[3].act(obs[0])) is int
    assert agent.act(obs.tolist(), deterministic=True).shape == (7, 2)


def test_samples_are_of_the_distribution_and_differ_from_call_to_call():
    policy = trained(actions=spaces.Discrete(2))
    obs = np.zeros(3, np.float32)
    expected = policy.policy(policy.theta[:1], torch.zeros(1, 1, 3)).logits.softmax(-1)[0, 0, 1].item()
    drawn = [policy[3].act(obs) for _ in range(2000)]  # the same agent each time: it goes on
    assert np.mean(drawn) == pytest.approx(expected, abs=4 * (0.25 / 2000) ** 0.5)
    assert [policy.agent(3).act(obs) for _ in range(20)] == [policy.agent(3).act(obs)] * 20
    first, other = policy.agent(3), policy.agent(3, draw=1)
    assert [first.act(obs) for _ in range(50)] != [other.act(obs) for _ in range(50)]


def test_an_agent_with_a_memory_remembers_until_it_is_reset():
    world = pg.make("CartPolePositions-v0")
    policy, _ = recurrent(Architecture().policy(world), Architecture().critic(world), 8)
    policy = TrainedPolicy(policy, 2 * policy.init(Streams(1)), (0,), "CartPolePositions-v0")
    agent, obs = policy[0], np.array([0.5, -0.2], np.float32)
    first = [agent.act(obs, True) for _ in range(5)]
    memory = agent._memory.clone()
    agent.reset()
    assert [agent.act(obs, True) for _ in range(5)] == first
    assert torch.equal(agent._memory, memory)
    with pytest.raises(ValueError, match=r"shown 1 observations at a time, now 4: call reset\(\)"):
        agent.act(np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match="a policy with a memory is no function of an observation alone"):
        policy.to_module(0)


def test_wrong_observations_and_seeds_are_refused():
    policy = trained()
    with pytest.raises(ValueError, match=r"must have the shape \(3,\), or \[batch, ...\] in front .* got \(4,\)"):
        policy[3].act([0.0] * 4)
    with pytest.raises(ValueError, match="must be finite numbers"):
        policy[3].act([0.0, np.nan, 0.0])
    number = trained(spaces.Discrete(4, start=2), CUT)[3]
    for wrong in (1, 6, 99, 3.0, True, [2, 6]):
        with pytest.raises(ValueError, match=r"an observation must be an integer from 2 to 5, .* got "):
            number.act(wrong)
    assert number.act(np.uint8(5)) in range(5, 8)
    sensors = trained(SENSORS, BOX)[3]
    one = SENSORS.sample()
    batch = {name: np.stack([each, each]) for name, each in one.items()}
    for wrong in (batch, {name: one[name] for name in list(one)[1:]}, None, 5):
        with pytest.raises(ValueError, match=r"an observation must be one of Dict\(.*, one at a time; got "):
            sensors.act(wrong)
    with pytest.raises(IndexError, match="there is no seed 0; there are 3, 4"):
        policy[0]
    assert [agent.seed for agent in policy] == [3, 4]


POLICIES = {
    "softmax": (SoftmaxPolicy(MLP((3, 8, 2))), (3,)),
    "relu": (SoftmaxPolicy(MLP((3, 8, 8, 2), "relu")), (3,)),
    "masked": (MaskedSoftmaxPolicy(MLP((3, 8, 3))), (3,)),
    "table": (SoftmaxPolicy(Table(5, 3)), ()),
    "images": (SoftmaxPolicy(Conv((2, 9, 8), 3, ((4, 3, 2),), (6,))), (2, 9, 8)),
    "gaussian": (GaussianPolicy(MLP((3, 8, 2))), (3,)),
    "rescaled": (GaussianPolicy(MLP((3, 8, 1)), center=(5.0,), scale=(2.0,)), (3,)),
    "σ of the state": (GaussianPolicy(MLP((3, 8, 2)), state_dependent_std=True), (3,)),
    "squashed": (SquashedGaussianPolicy(GaussianPolicy(MLP((3, 8, 1))), (-2.0,), (7.0,)), (3,)),
    "bins": (BinsPolicy(MLP((3, 8, 10)), 5, (-1.0, 0.0), (1.0, 2.0)), (3,)),
    "choices": (MultiDiscretePolicy(MLP((3, 8, 5)), (2, 3)), (3,)),
    "normalised": (GaussianPolicy(Normalized(MLP((3, 8, 2)), 3)), (3,)),
    "shared": (SoftmaxPolicy(Outputs(MLP((3, 8, 3)), 0, 2)), (3,)),
    "one's own": (SoftmaxPolicy(Module(Small, (3,), 2)), (3,)),
}


def parameters_and_observations(name):
    policy, shape = POLICIES[name]
    streams = Streams((5, 6))
    theta = policy.init(streams) + 0.5 * streams.normal(policy.size)
    if not shape:
        return policy, theta, streams.integers(5, 20)
    obs = streams.normal(20, *shape)
    if name == "masked":
        obs = (obs > 0).float()
        obs[..., 0] = 1.0
    if name == "normalised":
        theta = policy.observe(theta, 3 + 50 * obs, torch.ones(obs.shape[:2], dtype=torch.bool))
    return policy, theta, obs


@pytest.mark.parametrize("name", POLICIES)
def test_a_module_takes_the_policys_most_probable_actions(name):
    policy, theta, obs = parameters_and_observations(name)
    expected = policy(theta, obs).mode
    before = torch.get_rng_state()
    for row in (0, 1):
        module = to_module(policy, theta[row])
        torch.testing.assert_close(module(obs[row]), expected[row])
        torch.testing.assert_close(module(obs[row][:1]), expected[row][:1])
        assert sum(each.numel() for each in module.parameters()) > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_a_module_goes_where_pgcourse_is_not(tmp_path):
    """`torch.export` writes a file that a Python without this package computes the same from."""
    policy, theta, obs = parameters_and_observations("normalised")
    module = to_module(policy, theta[1])
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(module, (obs[1],), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "policy.pt2")
    torch.save((obs[1], module(obs[1])), tmp_path / "pair.pt")
    code = (
        "import sys, torch\nx, y = torch.load('pair.pt')\nmodule = "
        "torch.export.load('policy.pt2').module()\ntorch.testing.assert_close(module(x), y); "
        "torch.testing.assert_close(module(x[:3]), y[:3])\nassert not any(name.startswith('pgcourse') for name in "
        "sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", POLICIES)
def test_a_file_gives_the_policy_back(name, tmp_path):
    policy, theta, obs = parameters_and_observations(name)
    saved = TrainedPolicy(policy, theta, (5, 6), "Acrobot-v1", {"max_episode_steps": 30})
    saved.save(tmp_path / "policy.pt")
    loaded = pg.load(tmp_path / "policy.pt", module=Small if name == "one's own" else None)
    assert (loaded.seeds, loaded.env, loaded.env_args) == ((5, 6), "Acrobot-v1", {"max_episode_steps": 30})
    assert torch.equal(loaded.theta, theta)
    assert torch.equal(loaded.policy(theta, obs).mode, policy(theta, obs).mode)
    if name != "one's own":
        assert loaded.policy == policy


@pytest.mark.parametrize("name", OF_SPACES)
def test_a_loaded_policy_acts_without_its_world(name, tmp_path):
    policy = trained(*OF_SPACES[name])
    policy.save(tmp_path / "policy.pt")
    loaded = pg.load(tmp_path / "policy.pt")
    obs = Seen(*OF_SPACES[name]).reset()[0]
    for _ in range(5):
        np.testing.assert_array_equal(loaded[4].act(obs), policy[4].act(obs))
    with pytest.raises(ValueError, match=r"cannot hold its world, partial, .* pg.load\(path, env=...\) takes it"):
        pg.evaluate(loaded, episodes=1)
    with_world = pg.load(tmp_path / "policy.pt", env=policy.env)
    assert with_world.world().reset(Streams(1)).shape[1] == 1


def test_a_class_is_found_again_by_its_name(tmp_path):
    policy = trained()
    TrainedPolicy(policy.policy, policy.theta, policy.seeds, Seen).save(tmp_path / "policy.pt")
    assert pg.load(tmp_path / "policy.pt").env == f"{Seen.__module__}:Seen"


def test_nothing_in_a_file_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    policy = trained()
    policy.save(tmp_path / "good.pt")
    torch.save({"format": "pgcourse policy 1", "policy": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match=r"evil.pt is no file that `run.policy.save` has written"):
        pg.load(tmp_path / "evil.pt")
    assert torch.load(tmp_path / "good.pt", weights_only=True)["seeds"] == [3, 4]
    with zipfile.ZipFile(tmp_path / "good.pt") as archive:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        assert b"pgcourse." not in archive.read(names[0])


def test_files_that_cannot_be_written_or_read_say_why(tmp_path):
    class Own(SoftmaxPolicy):
        pass

    policy = trained(network=Own(MLP((3, 2))))
    with pytest.raises(ValueError, match=r"the policy holds .*Own.* a file that is safe to load holds numbers, words"):
        policy.save(tmp_path / "policy.pt")
    mine = trained(network=SoftmaxPolicy(Module(Small, (3,), 2)))
    mine.save(tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=r"module of somebody's own, Small, .* pg.load\(path, module=Small\)"):
        pg.load(tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=r"the module has the parameters \{'weight': \[2, 3\]"):
        pg.load(tmp_path / "mine.pt", module=lambda: nn.Linear(3, 2))
    torch.save({"theta": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt is no file of a policy"):
        pg.load(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no archive", encoding="utf-8")
    with pytest.raises(ValueError, match=r"text.pt is no file that"):
        pg.load(tmp_path / "text.pt")
    with pytest.raises(FileNotFoundError):
        pg.load(tmp_path / "none.pt")


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    policy, path = trained(), tmp_path / "policy.pt"
    policy.save(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pgcourse.algorithms.files.replace", full)
        with pytest.raises(OSError, match="No space left"):
            trained(seeds=(8, 9)).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["policy.pt"]
    for nowhere in (tmp_path / "none" / "policy.pt", tmp_path):
        with pytest.raises(OSError, match="directory"):
            policy.save(nowhere)
    kept = io.BytesIO()
    policy.save(kept)
    kept.seek(0)
    assert torch.equal(pg.load(kept).theta, policy.theta)


def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_policies_are_sent_to_other_processes():
    policy = TrainedPolicy(trained().policy, trained().theta, (3, 4), "CartPole-v1")
    policy._agents[3] = object()
    again = pickle.loads(pickle.dumps(policy))
    assert torch.equal(again.theta, policy.theta)
    assert again._agents == {}
