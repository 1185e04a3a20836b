"""Training: seeds that do not know of each other, curves that add up, errors before wrong numbers."""

from dataclasses import replace
from importlib import import_module

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from gymnasium import spaces

import pgcourse as pg
from pgcourse.algorithms import (
    A2C,
    PPO,
    REINFORCE,
    TRPO,
    Architecture,
    NaturalGradient,
    TrainedPolicy,
    evaluate,
    train,
    training,
)
from pgcourse.core import MLP, Critic, GaussianPolicy, SoftmaxPolicy, Streams
from pgcourse.envs import CartPole, GymnasiumEnv, make

ALGORITHMS = [
    REINFORCE(envs=4),
    REINFORCE(envs=4, baseline="value"),
    A2C(envs=4, horizon=8),
    PPO(envs=4, horizon=8, max_kl=0.01, lr=1e-2),
]
ids = ["reinforce", "reinforce-value", "a2c", "ppo"]


def first(iterations, algorithm, seeds):
    progress = training(algorithm, "CartPole-v1", seeds, steps=10**9)
    return [next(progress) for _ in range(iterations)]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=ids)
def test_a_seed_does_not_depend_on_its_neighbours(algorithm):
    """Sums are taken in another order in another block, so equality is to 1e-5, not to the bit."""
    alone = first(5, algorithm, [3])
    together = first(5, algorithm, [0, 3, 11, 4, 5])
    for one, many in zip(alone, together, strict=True):
        torch.testing.assert_close(many.policy.theta[1:2], one.policy.theta, rtol=0, atol=1e-5)
        assert many.steps[1] == one.steps[0]
        assert many.total_return[1] == one.total_return[0]
        for name in one.metrics:
            torch.testing.assert_close(many.metrics[name][1], one.metrics[name][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=ids)
def test_the_same_block_repeats_bit_for_bit(algorithm):
    a, b = first(4, algorithm, 3)[-1], first(4, algorithm, 3)[-1]
    assert torch.equal(a.policy.theta, b.policy.theta)
    assert all(torch.equal(a.metrics[name], b.metrics[name]) for name in a.metrics)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=ids)
def test_seeds_differ(algorithm):
    theta = first(2, algorithm, 3)[-1].policy.theta
    assert not torch.allclose(theta[0], theta[1])


def test_curves_add_up():
    run = train(A2C(envs=4, horizon=8), "CartPole-v1", seeds=[2, 7], steps=5000)
    iterations = list(training(A2C(envs=4, horizon=8), "CartPole-v1", seeds=[2, 7], steps=5000))
    curves = run.curves
    assert sorted(curves["seed"].unique()) == [2, 7]
    assert (curves.groupby("seed")["step"].max() >= 5000).all()
    assert (curves.groupby("seed")["step"].diff().dropna() > 0).all()
    for row, seed in enumerate([2, 7]):
        table = curves[curves["seed"] == seed]
        total = (table["return"] * table["episodes"]).sum()
        np.testing.assert_allclose(total, sum(i.total_return[row].item() for i in iterations), rtol=1e-5)
        assert table["episodes"].sum() == sum(int(i.episodes[row]) for i in iterations)
        np.testing.assert_array_equal(table["length"], table["return"])  # CartPole pays 1 a step


def test_a_seed_that_used_up_its_steps_keeps_its_policy():
    """Longer episodes use up a seed's steps sooner; what it learned then must not depend on how long others go on."""
    algorithm = REINFORCE(envs=4)
    together = list(training(algorithm, "CartPole-v1", seeds=4, steps=3000))
    last_active = torch.stack([i.active for i in together]).sum(0)
    assert last_active.min() < last_active.max(), "all seeds ended together: the test tests nothing"
    quickest = int(last_active.argmin())
    alone = list(training(algorithm, "CartPole-v1", seeds=[quickest], steps=3000))
    assert len(alone) == last_active[quickest]
    torch.testing.assert_close(together[-1].policy.theta[quickest], alone[-1].policy.theta[0], rtol=0, atol=1e-4)


def test_evaluation_repeats_and_is_tidy():
    run = train(REINFORCE(envs=8), "CartPole-v1", seeds=2, steps=4000)
    table = evaluate(run.policy, episodes=20)
    pd.testing.assert_frame_equal(table, evaluate(run.policy, episodes=20))
    assert table.groupby("seed")["episode"].count().tolist() == [20, 20]
    assert (table["return"] == table["length"]).all()
    assert evaluate(run.policy, 20, deterministic=True)["return"].mean() > table["return"].mean()


def test_simulators_are_evaluated_in_batches_of_bounded_size(monkeypatch):
    """The same numbers whichever seeds play together; never more copies than allowed at once."""
    policy = Architecture((8,)).policy(make("CartPole-v1"))
    trained = TrainedPolicy(policy, 30 * policy.init(Streams(3)), (0, 1, 2), "gymnasium:CartPole-v1")
    running = []
    start = GymnasiumEnv._start

    def counted(world, copies):
        running.append(copies)
        return start(world, copies)

    monkeypatch.setattr(GymnasiumEnv, "_start", counted)
    whole = evaluate(trained, 6)
    assert running == [18]
    for most, expected in ((6, [6, 6, 6]), (13, [12, 6]), (4, [4, 2] * 3)):
        running.clear()
        monkeypatch.setattr(import_module("pgcourse.algorithms.evaluate"), "COPIES", most)
        table = evaluate(trained, 6)
        assert running == expected
        assert table[["seed", "episode"]].equals(whole[["seed", "episode"]])
        if most >= 6:
            pd.testing.assert_frame_equal(table, whole)
    first = table[table["episode"] < 4].reset_index(drop=True)  # where one seed's do not fit, parts follow one another
    pd.testing.assert_frame_equal(first, evaluate(trained, 4))
    again = table["return"].to_numpy().reshape(3, 6)
    assert (again[:, 4:] != again[:, :2]).any()  # and do not repeat the first


def test_reinforce_and_a2c_learn_cartpole():
    """Real learning: 9 of 10 seeds end at a mean return of 475 or more over 100 episodes of the sampled policy."""
    for algorithm, steps in ((REINFORCE(), 100_000), (A2C(), 200_000)):
        run = train(algorithm, "CartPole-v1", seeds=10, steps=steps)
        final = evaluate(run.policy, episodes=100).groupby("seed")["return"].mean()
        assert (final >= 475).sum() >= 9, (algorithm, final.round(0).tolist())


class Broken(CartPole):
    """Gives a reward that is not a number on its third step."""

    def transition(self, state, action, noise):
        state, reward, terminated = super().transition(state, action, noise)
        return state, torch.full_like(reward, float("nan")) if (self.elapsed == 2).any() else reward, terminated


def test_a_reward_that_is_nan_stops_training():
    with pytest.raises(
        FloatingPointError, match=r"CartPole-v1 gave a reward that is NaN or infinite in iteration 0, to "
    ):
        train(A2C(envs=2, horizon=4), Broken, seeds=2, steps=100)


def test_an_observation_that_is_nan_names_its_seed():
    class Blind(CartPole):
        def observe(self, state):
            state = state.clone()
            state[1:2] = float("nan")  # of the second seed, where there is one
            return state

    with pytest.raises(FloatingPointError, match=r"gave an observation that is NaN .* in iteration 0, to seeds \[5\]"):
        train(REINFORCE(envs=2), Blind, seeds=[3, 5, 7], steps=100)


@pytest.mark.parametrize(
    ("algorithm", "options", "message"),
    [
        (REINFORCE, {"envs": 0}, r"REINFORCE: envs must be at least 1, got 0"),
        (REINFORCE, {"gamma": 1.5}, r"gamma must be at least 0 and at most 1, got 1.5"),
        (REINFORCE, {"lr": 0.0}, r"lr must be above 0, got 0.0"),
        (REINFORCE, {"lr": float("nan")}, r"lr must be above 0, got nan"),
        (REINFORCE, {"lr": float("inf")}, r"lr must be above 0 and finite, got inf"),
        (REINFORCE, {"baseline": "mean"}, r"baseline must be one of none, leave_one_out, value, got 'mean'"),
        (REINFORCE, {"keep_discount": True, "weight": "return"}, r"keep_discount belongs to weight='reward_to_go'"),
        (A2C, {"lam": -0.1}, r"A2C: lam must be at least 0 and at most 1, got -0.1"),
        (A2C, {"horizon": 0}, r"horizon must be at least 1, got 0"),
        (A2C, {"entropy": -1.0}, r"entropy must be at least 0, got -1.0"),
    ],
)
def test_bad_hyper_parameters_are_named(algorithm, options, message):
    with pytest.raises(ValueError, match=message):
        algorithm(**options)


def scaled(what, factor):
    """A CartPole whose rewards or observations are far from 1."""

    class Scaled(CartPole):
        def transition(self, state, action, noise):
            state, reward, terminated = super().transition(state, action, noise)
            return state, reward * (factor if what == "rewards" else 1), terminated

        def observe(self, state):
            return state * (factor if what == "observations" else 1)

    return Scaled


LINEAR = {"policy": SoftmaxPolicy(MLP((4, 2))), "critic": Critic(MLP((4, 1)))}
DIVERGING = {
    "rewards": (A2C(envs=2, horizon=4), scaled("rewards", 1e30), {}, r"rewards reach 1e\+30: scale them to about 1"),
    "observations": (
        A2C(envs=2, horizon=4),
        scaled("observations", 1e30),
        LINEAR,
        r"observations reach \S+: scale them to about 1",
    ),
    "parameters": (A2C(envs=2, horizon=4, lr=3e38), CartPole, {}, r"parameters reach 3e\+38: lower the learning rate"),
}


@pytest.mark.parametrize("cause", DIVERGING)
def test_what_diverges_names_the_seeds_and_the_largest_number_that_it_was_computed_from(cause):
    algorithm, world, parts, message = DIVERGING[cause]
    kind = type(algorithm).__name__
    said = rf"^{kind} on CartPole-v1, iteration \d: the gradient of seeds \[5, 7\] is NaN or infinite\. {message}"
    with pytest.raises(FloatingPointError, match=said):
        train(algorithm, world, seeds=[5, 7], steps=10_000, **parts)


def test_of_several_seeds_those_are_named_that_diverge():
    class Rich(CartPole):
        def transition(self, state, action, noise):
            state, reward, terminated = super().transition(state, action, noise)
            rich = torch.tensor([1.0, 1e30, 1.0])[: len(reward), None]
            return state, reward * rich, terminated

    with pytest.raises(FloatingPointError, match=r"the gradient of seeds \[5\] is NaN or infinite. rewards reach 1e"):
        train(A2C(envs=2, horizon=4), Rich, seeds=[3, 5, 7], steps=100)


def test_where_nothing_is_large_it_is_the_loss_that_is_suspected():
    class Broken(A2C):
        def loss(self, policy, theta, samples):
            loss, entropy = super().loss(policy, theta, samples)
            return loss + 0 * loss.detach().sub(loss).abs().sqrt(), entropy

    with pytest.raises(
        FloatingPointError, match=r"is beyond ±\d.*: lower the learning rate; in a policy or loss of your"
    ):
        train(Broken(envs=2, horizon=4), "CartPole-v1", seeds=2, steps=100)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [(A2C, {"envs": 1, "horizon": 1}), (TRPO, {"envs": 1, "horizon": 1}), (NaturalGradient, {"envs": 1, "horizon": 1})],
)
def test_one_sample_has_no_spread(algorithm, options):
    with pytest.raises(ValueError, match="one sample has no spread"):
        algorithm(**options, normalize_advantage=True)


def test_a_sigma_beyond_all_numbers_is_refused():
    for make_it in (lambda: Architecture(log_std=1000.0), lambda: GaussianPolicy(MLP((3, 1)), log_std=1000.0)):
        with pytest.raises(ValueError, match=r"log_std must .*20.*, got 1000.0"):
            make_it()


@pytest.mark.parametrize("steps", [0, -1, 2.5, "5", None, True, float("nan")])
def test_bad_steps_are_refused_by_name(steps):
    for use in (lambda: train(A2C(), "CartPole-v1", 1, steps), lambda: pg.train(A2C(), "CartPole-v1", 1, steps)):
        with pytest.raises(ValueError, match=f"steps must be 1 or more, got {steps!r}"):
            use()


def test_steps_may_be_written_as_floats_and_end():
    run = train(A2C(envs=1, horizon=2), "CartPole-v1", seeds=1, steps=4.0)
    assert run.curves["step"].tolist() == [2, 4]
    with pytest.raises(ValueError, match=r"a training needs a number of steps; pgcourse.iterate is the loop"):
        train(A2C(), "CartPole-v1", steps=np.inf)


def test_what_the_training_says_itself_is_no_argument_of_the_world():
    with pytest.raises(ValueError, match="'envs' is no argument of an environment"):
        train(A2C(), "Acrobot-v1", env_args={"envs": 3})


def test_a_run_says_in_five_lines_what_it_is():
    run = train(A2C(envs=4, horizon=8), "CartPole-v1", seeds=[2, 7], steps=1000)
    latest = [table["return"].dropna().iloc[-1] for _, table in run.curves.groupby("seed")]
    assert repr(run).splitlines() == [
        "<Run: A2C on CartPole-v1",
        "  seeds    2: 2, 7",
        "  steps    1,024 each",
        f"  returns  {np.mean(latest):.4g}, from {min(latest):.4g} to {max(latest):.4g} over seeds",
        f"  policy   {run.policy.policy}, {run.policy.theta.shape[1]:,} parameters each>",
    ]
    unfinished = repr(replace(run, curves=run.curves.assign(**{"return": np.nan}))).splitlines()
    assert unfinished[3] == "  returns  no episode of every seed has ended"
    assert len(unfinished) == 5


def test_a_run_is_evaluated_as_its_policy_is():
    run = train(A2C(envs=2, horizon=4), "CartPole-v1", seeds=2, steps=8)
    pd.testing.assert_frame_equal(evaluate(run, 3), evaluate(run.policy, 3))


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnasium:CartPole-v1"])
def test_an_evaluation_cuts_episodes_where_it_is_told_to(env):
    """CartPole pays 1 a step: what is cut loses the rest, what has ended before loses nothing."""
    policy = Architecture((8,)).policy(make("CartPole-v1"))
    trained = TrainedPolicy(policy, policy.init(Streams(2)), (0, 1), env)
    whole = evaluate(trained, 20)
    cut = evaluate(trained, 20, max_episode_steps=18)
    assert (whole["length"] > 18).any()
    assert (whole["length"] < 18).any()
    assert cut["length"].tolist() == whole["length"].clip(upper=18).tolist()
    assert cut["return"].tolist() == cut["length"].tolist()


class Timeless(CartPole):
    time_limit = None


def test_a_world_without_a_time_limit_is_evaluated_if_episodes_are_cut():
    run = train(A2C(envs=2, horizon=4), Timeless, seeds=2, steps=8)
    with pytest.raises(ValueError, match=r"has no time limit: .*Give one, max_episode_steps, to the world or the eval"):
        evaluate(run, 2)
    assert (evaluate(run, 30, max_episode_steps=12)["length"] <= 12).all()
    limited = make(Timeless, 2, max_episode_steps=12)
    assert limited.time_limit == 12
    run = train(REINFORCE(envs=2), lambda envs: make(Timeless, envs, max_episode_steps=12), seeds=2, steps=8)
    assert (evaluate(run, 30)["length"] <= 12).all()
    for bad in (0, 2.5, "3", True):
        with pytest.raises(ValueError, match=f"max_episode_steps must be an integer, 1 or more, got {bad!r}"):
            make("CartPole-v1", 1, max_episode_steps=bad)


@pytest.mark.parametrize(("name", "value"), [("episodes", 0), ("episodes", 2.5), ("episodes", "3"), ("episodes", True)])
def test_bad_numbers_of_episodes_are_refused_by_name(name, value):
    run = train(A2C(envs=2, horizon=4), "CartPole-v1", seeds=1, steps=8)
    with pytest.raises(ValueError, match=f"{name} must be an integer, 1 or more, got {value!r}"):
        evaluate(run, **{name: value})


def test_bad_steps_are_named():
    with pytest.raises(ValueError, match="steps must be 1 or more, got 0"):
        train(A2C(), "CartPole-v1", seeds=1, steps=0)


def test_training_needs_no_gradients_switched_on():
    """Within `torch.no_grad()` the numbers are the same; inference mode is refused by name."""
    usual = pg.train(pg.PPO(horizon=32), "CartPole-v1", seeds=2, steps=600)
    with torch.no_grad():
        within = pg.train(pg.PPO(horizon=32), "CartPole-v1", seeds=2, steps=600)
    assert torch.equal(usual.policy.theta, within.policy.theta)
    with torch.inference_mode(), pytest.raises(RuntimeError, match=r"torch.inference_mode\(\) has none: leave it"):
        pg.train(pg.A2C(), "CartPole-v1", seeds=1, steps=100)


@pytest.mark.parametrize("given", ["ppo", None, 3])
def test_what_is_no_algorithm_is_told_what_comes_first(given):
    for begin in (lambda: train(given, "CartPole-v1"), lambda: next(pg.iterate(given, "CartPole-v1", pg.Streams(1)))):
        with pytest.raises(TypeError, match=rf"an algorithm with its options comes first, such as .*; got {given!r}"):
            begin()


def test_the_class_of_an_algorithm_is_not_one():
    with pytest.raises(TypeError, match=r"PPO is the class of an algorithm: give one with its options, PPO\(\)"):
        pg.train(pg.PPO, "CartPole-v1", seeds=1, steps=100)


class Held(gymnasium.Env):
    """Counts how many of it are open."""

    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(2)
    opened = 0

    def __init__(self):
        Held.opened += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, False, {}

    def close(self):
        Held.opened -= 1


def test_what_training_and_evaluation_open_they_close():
    run = pg.train(pg.A2C(), Held, seeds=2, steps=200, env_args={"max_episode_steps": 5})
    assert Held.opened == 0
    pg.evaluate(run.policy, episodes=3)
    assert Held.opened == 0
    for _ in pg.training(pg.A2C(), Held, seeds=2, steps=200):
        break
    assert Held.opened == 0
