"""EnvPool against Gymnasium: the same transitions where the state can be set, the same statistics elsewhere."""

import importlib.util
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from scipy import stats

from pgcourse.algorithms import Architecture, TrainedPolicy
from pgcourse.core import Streams
from pgcourse.envs import EnvPoolEnv, make

installed = pytest.mark.skipif(
    importlib.util.find_spec("envpool") is None,
    reason='EnvPool is not installed (pip install "pgcourse[fast]", on Linux)',
)
IDS = ["CartPole-v1", "Pendulum-v1", "Reacher-v5", "BipedalWalker-v3", "FrozenLake-v1"]


def act(env, streams, steps):
    if isinstance(env.action_space, spaces.Discrete):
        return streams.integers(int(env.action_space.n), steps, env.envs)
    return streams.normal(steps, env.envs, *env.action_space.shape)


def play(id, seeds, steps=60, envs=2, **options):
    """First observation and steps, with random actions."""
    streams = Streams(seeds)
    with make(f"envpool:{id}", envs, **options) as env:
        first = env.reset(streams)
        actions, noise = act(env, streams.child("actions"), steps), env.noise(streams, steps)
        return first, actions, [env.step(actions[:, t], noise[:, t]) for t in range(steps)]


def columns(played):
    first, _, steps = played
    return [first, *(column for step in steps for column in step)]


def set_cartpole(env, obs):
    env.state = tuple(obs.double().tolist())
    env.steps_beyond_terminated = None


def set_pendulum(env, obs):
    cos, sin, speed = obs.double().tolist()
    env.state = np.array([np.arctan2(sin, cos), speed])


@installed
@pytest.mark.parametrize(("id", "put"), [("CartPole-v1", set_cartpole), ("Pendulum-v1", set_pendulum)])
def test_every_transition_is_gymnasiums(id, put):
    """From every observation, over the ends of episodes: nothing is lost, invented or paired with another action.

    But for one thing: at its highest speed EnvPool's pendulum turns by what the speed would be without that limit.
    """
    first, actions, steps = play(id, [0, 1], steps=210)
    reference = gymnasium.make(id).unwrapped
    reference.reset()
    ends = 0
    for i, j in np.ndindex(2, 2):
        obs = first[i, j]
        for t, step in enumerate(steps):
            put(reference, obs)
            action = actions[i, t, j].numpy()
            expected, reward, terminated, _, _ = reference.step(action if action.ndim else int(action))
            if id == "CartPole-v1" or abs(expected[2]) < 8:
                np.testing.assert_allclose(step.next_obs[i, j].numpy(), expected, rtol=0, atol=2e-6)
            assert step.reward[i, j].item() == pytest.approx(float(reward), abs=1e-4)
            assert step.terminated[i, j] == terminated
            done = bool(step.terminated[i, j] | step.truncated[i, j])
            assert torch.equal(step.obs[i, j], step.next_obs[i, j]) != done
            if done and id == "CartPole-v1":
                assert step.obs[i, j].abs().max() <= 0.05  # where CartPole begins
            ends += done
            obs = step.obs[i, j]
    assert ends >= 4


@installed
def test_every_transition_of_walker2d_is_gymnasiums():
    """What is observed is the whole state of the simulator but for its place, as long as no speed is cut at 10."""
    env = make("envpool:Walker2d-v5", 2, dtype=torch.float64)
    reference = gymnasium.make("Walker2d-v5").unwrapped
    reference.reset()
    streams = Streams(1, dtype=torch.float64)
    seen, compared, falls = env.reset(streams), 0, 0
    for _ in range(120):
        action = 0.3 * streams.normal(2, 6)
        step = env.step(action, env.noise(streams, 1)[:, 0])
        for j in range(2):
            obs = seen[0, j].numpy()
            if np.abs(obs[8:]).max() < 10:
                reference.set_state(np.concatenate([[0.0], obs[:8]]), obs[8:])
                expected, reward, fell, *_ = reference.step(action[0, j].clamp(-1, 1).numpy())
                np.testing.assert_allclose(step.next_obs[0, j].numpy(), expected, atol=1e-5)
                assert step.reward[0, j].item() == pytest.approx(reward, abs=1e-5)
                assert step.terminated[0, j].item() == fell
                compared, falls = compared + 1, falls + fell
        seen = step.obs
    env.close()
    assert compared > 100
    assert falls


@installed
@pytest.mark.parametrize("limit", [1, 7])
def test_the_time_limit_truncates_and_does_not_terminate(limit):
    _, _, steps = play("Pendulum-v1", 2, steps=3 * limit, max_episode_steps=limit)
    assert [bool(step.truncated.all()) for step in steps] == [(t + 1) % limit == 0 for t in range(3 * limit)]
    assert not any(step.terminated.any() or (step.truncated.any() and not step.truncated.all()) for step in steps)


@installed
def test_an_end_at_the_time_limit_is_both():
    """EnvPool alone calls it truncated only, and the critic would bootstrap from a state that has no future."""

    def push_left(**options):
        with make("envpool:CartPole-v1", **options) as env:
            env.reset(Streams(1))
            for t in range(1, 30):
                step = env.step(torch.zeros(1, 1, dtype=torch.int64), env.noise(Streams(1), 1)[:, 0])
                if step.terminated.any() or step.truncated.any():
                    return t, step.terminated.item(), step.truncated.item()

    length, *ends = push_left()
    assert ends == [True, False]
    assert push_left(max_episode_steps=length) == (length, True, True)
    assert push_left(max_episode_steps=length - 1) == (length - 1, False, True)


@installed
@pytest.mark.parametrize("id", IDS)
def test_shapes_dtypes_spaces_and_time_limits_are_gymnasiums(id):
    first, _, steps = play(id, 2, steps=5, envs=3)
    with make(f"envpool:{id}") as ours, make(f"gymnasium:{id}") as theirs:
        assert ours.time_limit == theirs.time_limit
        assert ours.action_space.shape == theirs.action_space.shape
        if isinstance(theirs.action_space, spaces.Box):
            np.testing.assert_array_equal(ours.action_space.low, theirs.action_space.low)
            np.testing.assert_array_equal(ours.action_space.high, theirs.action_space.high)
        else:
            assert ours.action_space == theirs.action_space
        assert (ours.observation_space.shape, ours.observation_space.dtype) == (
            theirs.observation_space.shape,
            theirs.observation_space.dtype,
        )
        for obs in [first] + [obs for step in steps for obs in (step.obs, step.next_obs)]:
            assert obs.shape == (2, 3, *theirs.observation_space.shape)
            assert obs.dtype == (torch.int64 if id == "FrozenLake-v1" else torch.float32)
            assert all(ours.observation_space.contains(one) for one in obs.flatten(0, 1).numpy())
    for step in steps:
        assert (step.reward.dtype, step.terminated.dtype) == (torch.float32, torch.bool)
        assert step.reward.shape == step.terminated.shape == step.truncated.shape == (2, 3)


@installed
@pytest.mark.parametrize("id", IDS)
def test_a_seed_gives_the_same_bits_alone_beside_others_and_with_threads(id):
    together = columns(play(id, [1, 5, 8]))
    threaded = columns(play(id, [1, 5, 8], threads=3))
    assert all(torch.equal(a, b) for a, b in zip(together, threaded, strict=True))
    for row, seed in enumerate([1, 5, 8]):
        alone = columns(play(id, [seed]))
        assert all(torch.equal(one[0], all_[row]) for one, all_ in zip(alone, together, strict=True))


@installed
def test_reset_depends_on_the_streams_alone():
    """Whole-episode algorithms reset for every iteration: what was played before must not matter."""
    with make("envpool:CartPole-v1", 2) as env:
        streams = Streams(3)
        first, second = env.reset(streams), env.reset(streams)
        env.step(torch.zeros(3, 2, dtype=torch.int64), env.noise(streams, 1)[:, 0])
        assert torch.equal(env.reset(Streams(3)), first)
        assert not torch.equal(first, second)
        assert len(first.flatten(0, 1).unique(dim=0)) == 6
        assert env.reset(Streams([2])).shape == (1, 2, 4)


@installed
def test_what_a_step_returned_stays_as_it_was():
    streams = Streams(2)
    with make("envpool:BipedalWalker-v3", 2) as env:
        env.reset(streams)
        actions, noise = act(env, streams, 40), env.noise(streams, 40)
        steps = [env.step(actions[:, t], noise[:, t]) for t in range(20)]
        kept = [[column.clone() for column in step] for step in steps]
        for t in range(20, 40):
            env.step(actions[:, t], noise[:, t])
    assert all(torch.equal(a, b) for one, two in zip(steps, kept, strict=True) for a, b in zip(one, two, strict=True))


def episodes(name, policy, envs, limit):
    """Return and length of one episode in each of `envs` copies."""
    with make(name, envs, max_episode_steps=limit) as env:
        streams = Streams([3])
        obs, running = env.reset(streams), torch.ones(1, envs, dtype=torch.bool)
        noise = env.noise(streams, 1)[:, 0]
        total, length = torch.zeros(1, envs), torch.zeros(1, envs)
        while running.any():
            step = env.step(policy(obs, streams), noise)
            total += step.reward * running
            length += running
            running &= ~(step.terminated | step.truncated)
            obs = step.obs
    return total[0].numpy(), length[0].numpy()


def lean(obs, streams):
    """Push under the pole, with mistakes: episodes of some tens of steps, some of which the time limit ends."""
    right = (obs[..., 2] + 0.3 * obs[..., 3] > 0).long()
    return torch.where(streams.uniform(obs.shape[1]) < 0.3, 1 - right, right)


def shake(obs, streams):
    size = {11: 2, 10: 2, 24: 4}[obs.shape[-1]]
    return streams.normal(obs.shape[1], size)


@installed
@pytest.mark.parametrize(
    ("id", "policy", "envs", "limit"),
    [("CartPole-v1", lean, 1000, 100), ("Reacher-v5", shake, 200, 50), ("BipedalWalker-v3", shake, 100, 120)],
)
def test_a_fixed_policy_has_the_same_returns_and_lengths_as_in_gymnasium(id, policy, envs, limit):
    """Kolmogorov and Smirnov's test of both, six in all: at 0.01/6 each, a false alarm for at most 1 seed in 100."""
    ours = episodes(f"envpool:{id}", policy, envs, limit)
    theirs = episodes(f"gymnasium:{id}", policy, envs, limit)
    for one, other in zip(ours, theirs, strict=True):
        assert stats.ks_2samp(one, other).pvalue > 0.01 / 6
    assert ours[0].std() > 0


@installed
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make("envpool:BipedalWaker-v3"), "no environment 'BipedalWaker-v3'; did you mean BipedalWalker-v3"),
        (lambda: make("envpool:zzz"), r"no environment 'zzz'; envpool.list_all_envs\(\)"),
        (
            lambda: make("envpool:MiniGrid-Empty-5x5-v0"),
            "observations in Dict.* are not supported; choose one part of them: observe=direction or image",
        ),
        (
            lambda: make("envpool:CheetahRun-v1", observe="sate"),
            "envpool:CheetahRun-v1: observe must be one of position, velocity, got 'sate'",
        ),
        (lambda: make("envpool:CartPole-v1", observe="state"), r"in Box\(.* have no parts, of which observe='state'"),
        (lambda: make("envpool:CartPole-v1", 0), "envs must be 1 or more, got 0"),
        (lambda: EnvPoolEnv("CartPole-v1", threads=0), "threads must be 1 or more, got 0"),
        (lambda: EnvPoolEnv("CartPole-v1", max_episode_steps=0), "max_episode_steps must be 1 or more, got 0"),
    ],
)
def test_mistakes_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@installed
def test_a_dict_of_numbers_is_flattened_or_one_part_of_it_is_seen():
    """Over automatic resets, too; and the agent that is trained takes what EnvPool itself gives."""
    whole, position, velocity = (
        columns(play("CheetahRun-v1", [4, 6], steps=7, max_episode_steps=3, observe=part))
        for part in (None, "position", "velocity")
    )
    assert whole[0].shape == (2, 2, 17)
    for all_, one, other in zip(whole, position, velocity, strict=True):
        assert torch.equal(all_, torch.cat([one, other], -1) if all_.dim() == 3 else one)
    with make("envpool:CheetahRun-v1") as env:
        policy = Architecture((8,)).policy(env)
        trained = TrainedPolicy(policy, policy.init(Streams([4])), (4,), env.name)
    sensed = {"position": np.arange(8.0), "velocity": np.arange(9.0)}
    assert trained[4].act(sensed).shape == (6,)
    assert np.isinf(env.observation_space.low).all()


@installed
def test_what_it_tells_beside_observations():
    """The parts of the reward are those that the step was paid for, in the step that ends an episode as well."""
    with make("envpool:Go1JoystickFlatTerrain-v1", 1, observe="state", max_episode_steps=4) as env:
        with pytest.raises(RuntimeError, match="call reset"):
            _ = env.told
        streams = Streams(2, dtype=torch.float64)
        assert env.reset(streams).shape == (2, 1, 48)
        assert env.told["command"].shape == (2, 1, 3)
        for _ in range(10):
            step = env.step(0.2 * streams.normal(1, 12), env.noise(streams, 1)[:, 0])
            parts = sum(each for name, each in env.told.items() if name.startswith("reward_"))
            expected = (env.settings["ctrl_dt"] * parts).clamp(min=0)
            torch.testing.assert_close(step.reward, expected.float(), rtol=1e-5, atol=1e-6)


@installed
def test_what_is_left_out_is_of_the_state_that_is_seen():
    """Also of copies whose episode has just begun: their privileged state begins with what is seen, without noise."""
    with make("envpool:Go1JoystickFlatTerrain-v1", 2, observe="state", noise_level=0.0, max_episode_steps=3) as env:
        for name in ("unseen", "elapsed"):
            with pytest.raises(RuntimeError, match=f"call reset\\(streams\\) before {name}"):
                getattr(env, name)
        streams = Streams(2, dtype=torch.float64)
        obs = env.reset(streams)
        for number in range(7):
            unseen = env.unseen["privileged_state"]
            assert unseen.shape == (2, 2, 123)
            torch.testing.assert_close(unseen[..., :48], obs.double(), rtol=0, atol=1e-6, check_dtype=False)
            assert (env.elapsed == number % 3).all()
            obs = env.step(0.2 * streams.normal(2, 12), env.noise(streams, 1)[:, 0]).obs
    with make("envpool:CartPole-v1") as env:
        env.reset(Streams(1))
        assert env.unseen == {}


@installed
def test_the_environment_variables_stay_as_they_were():
    """EnvPool's import sets MPLBACKEND, which keeps figures of all kernels started afterwards from showing."""
    code = (
        "import os; from pgcourse.envs import make; before = dict(os.environ)\n"
        "make('envpool:CartPole-v1'); assert dict(os.environ) == before, os.environ.keys() ^ before.keys()"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MPL")}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)


@installed
def test_step_before_reset_and_after_close():
    env = make("envpool:CartPole-v1")
    action, noise = torch.zeros(1, 1, dtype=torch.int64), env.noise(Streams(1), 1)[:, 0]
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(action, noise)
    env.reset(Streams(1))
    env.close()
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(action, noise)


def test_where_it_is_not_installed_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=r'pip install "pgcourse\[fast\]"'):
        make("envpool:CartPole-v1")
