"""The benchmark beside peers compares the same work by the same clock and statistics, and judges by its targets."""

import dataclasses
import io
import json
import math

import pytest
import torch
from rich.console import Console

import pgcourse as pg
from benchmarks import peers
from pgcourse.algorithms import rollout
from pgcourse.algorithms.architecture import default_critic, default_policy
from pgcourse.lab import Study

# Our name of an option, and theirs: of the argument, and of the model's attribute.
SHARED = {"horizon": "n_steps", "gamma": "gamma", "lam": "gae_lambda"}
PPO = {"epochs": "n_epochs", "clip": "clip_range", "entropy": "ent_coef", "max_grad_norm": "max_grad_norm"}
TRPO = {
    "max_kl": "target_kl",
    "damping": "cg_damping",
    "cg_steps": "cg_max_steps",
    "fisher_every": "sub_sampling_factor",
    "shrink": "line_search_shrinking_factor",
    "critic_steps": "n_critic_updates",
    "normalize_advantage": "normalize_advantage",
}


def same_names(work):
    return SHARED | (PPO if work.algorithm == "ppo" else TRPO)


@pytest.mark.parametrize("name", peers.WORK)
def test_both_sides_are_given_the_same_options(name):
    work = peers.WORK[name]
    here, there = peers.ours(work), peers.theirs(work)
    for ours, theirs in same_names(work).items():
        assert getattr(here, ours) == there[theirs], ours
    assert there["policy_kwargs"]["net_arch"] == {"pi": [64, 64], "vf": [64, 64]}
    if work.algorithm == "ppo":
        assert there["batch_size"] == here.envs * here.horizon / here.minibatches
    else:
        assert there["batch_size"] == here.envs * here.horizon  # so that one of their updates is one step
        assert there["line_search_max_iter"] == here.backtracks + 1  # tries


@pytest.mark.parametrize("name", peers.WORK)
def test_the_model_of_the_peer_has_our_options(name):
    """The names above mean what they say: attributes of the model, the optimiser and the networks that come of them."""
    for package in ("stable_baselines3", "sb3_contrib"):
        pytest.importorskip(package, reason=f'{package} is not installed: pip install "pgcourse[bench]"')
    work = peers.WORK[name]
    here, model = peers.ours(work), peers.peer_model(work, 0)
    for ours, attribute in same_names(work).items():
        value = getattr(model, attribute)
        assert getattr(here, ours) == (value(1.0) if callable(value) else value), ours
    assert model.n_envs == here.envs
    done = torch.arange(0, work.steps, work.iteration).tolist()  # before each rollout; they look after it
    step_sizes = [here.critic_lr * (1 - steps / work.steps if work.anneal else 1) for steps in done]
    assert [model.lr_schedule(1 - (steps + work.iteration) / work.steps) for steps in done] == pytest.approx(step_sizes)

    world = pg.make(work.env, work.envs)
    policy, critic = default_policy(world), default_critic(world)
    # The critic's loss of TRPO is twice ours: twice the gradient and twice the ε of Adam are the same step.
    assert model.policy.optimizer.defaults["eps"] == here.adam_eps * (2 if work.algorithm == "trpo" else 1) == 1e-5
    assert model.policy.activation_fn is torch.nn.Tanh
    assert policy.network.activation == "tanh"
    assert sum(p.numel() for p in model.policy.parameters()) == policy.size + critic.size
    if work.algorithm == "ppo":
        assert not here.clip_jointly
        assert peers.ours(work, jointly=True) == dataclasses.replace(here, clip_jointly=True)
        assert here.lr == here.critic_lr
        assert here.anneal == work.anneal
        assert model.normalize_advantage
        assert here.normalize_advantage == "minibatch"
        assert (model.vf_coef, model.target_kl, model.clip_range_vf) == (0.5, None, None)
        assert (here.max_kl, here.value_clip, here.anneal_clip) == (math.inf, math.inf, False)


def test_the_time_to_475_is_that_of_the_committed_study():
    work, study = peers.WORK["cartpole-475"], Study.read("ppo-cartpole")
    assert peers.ours(work) == study.variants["PPO"][study.env].algorithm
    assert (work.env, work.steps) == (study.env, study.steps)


def test_episodes_are_counted_in_the_iteration_in_which_they_end():
    # Two copies, 4 steps of each in an iteration. The first one's episodes end at its steps 4, 5 and 12, the second
    # one's at 9.
    episodes, total = peers.binned([[4, 1, 7], [9]], [[1.0, 2.0, 4.0], [8.0]], rollout=4, iterations=4)
    assert episodes.tolist() == [1, 1, 2, 0]
    assert total.tolist() == [1, 2, 12, 0]


def test_late_return_is_the_mean_over_seeds_of_the_mean_over_episodes():
    curve = peers.Curve(
        episodes=torch.tensor([[2, 0, 1, 1], [1, 1, 1, 0]]),
        total_return=torch.tensor([[20.0, 0.0, 40.0, 60.0], [30.0, 50.0, 70.0, 0.0]]),
        seconds=torch.arange(4) + 1.0,
    )
    # Seed 0: 20 / 2, 20 / 2, 40 / 1, 100 / 2; seed 1: 30 / 1, 80 / 2, 120 / 2, 70 / 1.
    assert curve.late_return(2).tolist() == [20, 25, 50, 60]
    assert curve.late_return(9).tolist()[-1] == (120 / 4 + 150 / 3) / 2  # no longer than there is
    by_itself = curve.late_return(1)
    assert by_itself[[0, 2]].tolist() == [20, 55]
    assert by_itself[[1, 3]].isnan().all()  # a seed has no episode there


def test_a_goal_is_reached_after_the_first_iteration_with_that_mean():
    work = peers.Work("CartPole-v1", "ppo", steps=40_000, envs=2, horizon=2_500, goal=475)  # the window: one iteration
    returns = [[400, 500, 460, 500, 100, 100, 0, 0], [400, 449, 495, 500, 100, 100, 0, 400]]
    curve = peers.Curve(torch.ones(2, 8), torch.tensor(returns), torch.arange(8) + 0.5)
    assert curve.measured(work) == peers.Measured(80_000, 7.5, 200.0, goal_steps=15_000, goal_seconds=2.5)
    slower = curve._replace(total_return=curve.total_return - 26)
    assert slower.measured(work) == peers.Measured(80_000, 7.5, 174.0)
    assert peers.goal_lines(work, {"someone": peers.medians([slower.measured(work)] * 3)}) == [
        "someone: mean return of 475 not reached in 80,000 steps of all seeds"
    ]


def test_the_same_episodes_give_the_same_curve_on_both_sides():
    """What this library reports of a rollout, and what a Monitor's lists would have said of the same episodes."""
    work = peers.Work("CartPole-v1", "ppo", steps=200, envs=2, horizon=100)
    algorithm, streams, world = peers.ours(work), pg.Streams(1), pg.make("CartPole-v1", work.envs)
    (reported,) = pg.training(algorithm, "CartPole-v1", 1, work.steps)
    state = algorithm.init(default_policy(world), default_critic(world), streams.child("init"))
    obs = world.reset(streams.child("reset"))
    batch, _ = rollout(state.policy, state.theta, world, obs, work.horizon, streams.child(0))
    ends = [copy.nonzero().flatten() + 1 for copy in batch.done[0].unbind(1)]
    lengths = [end.diff(prepend=torch.tensor([0])).tolist() for end in ends]
    episodes, total = peers.binned(lengths, lengths, work.horizon, 1)  # a return of CartPole is a length
    assert episodes.tolist() == reported.episodes.tolist() > [1]
    assert total.tolist() == reported.total_return.tolist()


def test_what_is_counted_are_environment_steps_of_all_seeds():
    work = peers.Work("CartPole-v1", "ppo", steps=2_500, envs=4, horizon=64)
    trained, stepped, raw = peers.train_here(work, 3), peers.step_here(work, 3), peers.step_raw(work, "gymnasium")
    assert trained.steps == stepped.steps == 3 * 2_560  # whole rollouts
    assert raw.steps == 2_560
    assert math.isfinite(trained.rate)
    assert 8 < trained.last_return < 100  # hardly learnt yet, and an episode's return
    assert stepped.last_return is None


@pytest.mark.parametrize("algorithm", ["ppo", "trpo"])
def test_the_peer_trains_as_many_steps_and_reports_a_return(algorithm):
    package = peers.PEERS[algorithm][1]
    pytest.importorskip(package, reason=f'{package} is not installed: pip install "pgcourse[bench]"')
    trained = peers.train_there(peers.Work("CartPole-v1", algorithm, steps=1_000, envs=2, horizon=128), 2)
    assert trained.steps == 2 * 1_024
    assert 8 < trained.last_return < 100


def test_envpool_alone():
    pytest.importorskip("envpool", reason='envpool is not installed: pip install "pgcourse[fast]"')
    work = peers.Work("BipedalWalker-v3", "ppo", 100, 2, 32, envpool=True)
    assert peers.step_raw(work, "envpool").steps == 128
    assert peers.step_raw(work, "envpool", seeds=3).steps == 3 * 128


@pytest.mark.parametrize("name", peers.WORK)
def test_targets_speak_of_rows_that_there_are(name):
    work = peers.WORK[name]
    rows = peers.contestants(work)
    assert next(iter(rows)) == work.peer
    assert {target.row for target in work.targets} <= set(rows)
    assert {target.beside for target in work.targets} <= {None, *rows}


def test_a_training_in_envpool_is_compared_with_as_many_copies():
    rows, copies = peers.contestants(peers.WORK["walker-ppo"]), set()
    for target in peers.WORK["walker-ppo"].targets:
        alone, trained = (rows[row].measure.keywords["seeds"] for row in (target.beside, target.row))
        assert alone == trained
        copies.add(alone)
    assert copies == {1, 10}


def test_gradients_are_clipped_both_ways_where_returns_differ_by_it():
    for name in ("cartpole-ppo", "reacher-ppo"):
        rows = peers.contestants(peers.WORK[name])
        assert rows[peers.JOINTLY].measure.keywords == {"seeds": 10, "jointly": True}
        assert rows[peers.TEN].measure.keywords == {"seeds": 10}


def test_verdicts():
    rows = {"fast": {"rate": 300.0}, "slow": {"rate": 20.0}}
    for target, measured, reached, said in [
        (peers.Target("fast", 15, "slow"), 15, True, "fast: 15.00, target 15 × slow: reached"),
        (peers.Target("fast", 15.1, "slow"), 15, False, "fast: 15.00, target 15.1 × slow: not reached"),
        (peers.Target("slow", 0.6, "fast"), 20 / 300, False, "slow: 0.07, target 0.6 × fast: not reached"),
        (peers.Target("fast", 300), 300, True, "fast: 300, target 300 steps / CPU s: reached"),
        (peers.Target("slow", 95_000), 20, False, "slow: 20, target 95,000 steps / CPU s: not reached"),
        (peers.Target("fast", 3, "absent"), None, None, "fast: target 3 × absent: not measured"),
        (peers.Target("absent", 3, "fast"), None, None, "absent: target 3 × fast: not measured"),
        (peers.Target("absent", 3), None, None, "absent: target 3 steps / CPU s: not measured"),
    ]:
        judged = peers.verdict(target, rows)
        assert (judged["measured"], judged["reached"]) == (measured, reached), target
        assert peers.verdict_line(judged) == said


def test_who_is_missing_is_said_and_the_others_are_measured(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(peers, "measure", lambda *_: peers.Measured(100, 2.0, 5.0))
    screen = io.StringIO()
    found, interrupted = peers.compare("walker-ppo", 1.0, 3, Console(file=screen, width=200))
    said = screen.getvalue()
    assert (
        'Stable-Baselines3, 3 seeds: not measured, stable_baselines3 is not installed: pip install "pgcourse[bench]"'
        in said
    )
    assert 'EnvPool alone, 10 seeds: not measured, envpool is not installed: pip install "pgcourse[fast]"' in said
    kinds = ("pgcourse, 1 seed", "pgcourse, 10 seeds", "our world alone, 1 seed", "our world alone, 10 seeds")
    assert set(found) == {*kinds, "Gymnasium alone"}
    assert found["pgcourse, 1 seed"]["rates"] == [50.0] * 3
    assert found["pgcourse, 1 seed"]["last_return"] == 5.0
    assert not interrupted


def test_ctrl_c_leaves_what_was_measured(monkeypatch, tmp_path, capsys):
    rates = iter([100.0, 250.0])

    def measure(name, row, share):
        if (rate := next(rates, None)) is None:
            raise KeyboardInterrupt
        return peers.Measured(round(rate), 1.0, 5.0)

    monkeypatch.setattr(peers, "measure", measure)
    monkeypatch.setattr(peers.Contestant, "missing", False)
    assert peers.main(["cartpole-ppo", "cartpole-trpo", "--json", str(tmp_path / "a.json")]) == 130
    said = capsys.readouterr().out
    assert "pgcourse, 1 seed: 2.50, target 2.3 × Stable-Baselines3, 3 seeds: reached" in said
    assert "pgcourse, 32 seeds: target 90,000 steps / CPU s: not measured" in said
    assert "Interrupted" in said
    results = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["results"]
    assert list(results) == ["cartpole-ppo"]
    assert {row: each["rate"] for row, each in results["cartpole-ppo"]["rows"].items()} == {
        "Stable-Baselines3, 3 seeds": 100.0,
        "pgcourse, 1 seed": 250.0,
    }
    assert [target["reached"] for target in results["cartpole-ppo"]["targets"]] == [None, True, None]


def test_a_measurement_is_a_process_and_says_why_it_failed():
    measured = peers.measure("cartpole-ppo", "pgcourse, 1 seed", 0.01)
    assert measured.steps == 2 * 512
    with pytest.raises(RuntimeError, match="nobody ended with status 1"):
        peers.measure("cartpole-ppo", "nobody", 0.01)
