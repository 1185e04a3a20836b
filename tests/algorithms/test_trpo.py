"""TRPO and the natural gradient: closed forms, the constraint in real training, checkpoints, learning."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import pandas as pd
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, Normal, kl_divergence

import pgcourse as pg
from pgcourse.algorithms import Curves, default_critic, default_policy, evaluate, iterate, rollout, train, training
from pgcourse.core import (
    MLP,
    Critic,
    Gaussian,
    GaussianPolicy,
    Module,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Streams,
    Table,
)
from pgcourse.envs import Pendulum, make
from pgcourse.rl import Trajectory
from pgcourse.rl.objectives import masked_mean, score_function, surrogate

VARIANTS = {"trpo": pg.TRPO(envs=4, horizon=32), "natural": pg.NaturalGradient(envs=4, horizon=32)}


# A bandit, where everything is known


def bandit(theta, rewards, pulls):
    """Every arm pulled as often as π_θ would on average, one pull an episode."""
    action = torch.arange(len(pulls)).repeat_interleave(torch.tensor(pulls)).expand(len(theta), 1, -1).contiguous()
    zeros = torch.zeros_like(action)
    over = torch.ones_like(action, dtype=torch.bool)
    return Trajectory(zeros, action, rewards[action], zeros, over, ~over, over)


@pytest.mark.parametrize("algorithm", [pg.TRPO, pg.NaturalGradient])
def test_the_first_step_in_a_bandit_is_the_advantage(algorithm):
    """For θ the logits, F = diag π - ππᵀ and ∇L = π A, A the advantage: F⁻¹∇L is A, up to a constant in all logits.

    Its length is √(2δ / Var_π A), so that the step is √(2δ / Var_π A) (A - mean of A over the arms).
    """
    pulls, rewards = [5, 1, 3, 1], torch.tensor([11.0, 13.0, 8.0, 10.5])
    policy, critic = SoftmaxPolicy(Table(1, 4)), Critic(Table(1, 1))
    options = algorithm(damping=1e-7, cg_steps=20, max_kl=1e-4, normalize_advantage=False, fisher_every=1)
    pi = torch.tensor(pulls) / 10
    theta = pi.log().expand(3, 4)
    state = options.init(policy, critic, Streams(3))._replace(theta=theta)
    state, metrics = options.update(state, bandit(theta, rewards, pulls), 0.0)
    mean = (pi * rewards).sum()
    variance = (pi * (rewards - mean).square()).sum()
    step = (2e-4 / variance).sqrt() * (rewards - rewards.mean())
    torch.testing.assert_close(state.theta - pi.log(), step.expand(3, 4), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(metrics.kl, torch.full((3,), 1e-4), rtol=0.02, atol=0)
    torch.testing.assert_close(metrics.predicted_improvement, (2e-4 * variance).sqrt().expand(3), rtol=1e-3, atol=0)
    change = policy(state.theta, torch.zeros(3, 1, dtype=torch.int64)).probs[:, 0] - pi
    torch.testing.assert_close(metrics.improvement, change @ rewards, rtol=1e-3, atol=0)
    assert metrics.accepted.tolist() == [1, 1, 1]


def test_at_the_old_policy_the_surrogate_has_the_policy_gradient():
    policy = SoftmaxPolicy(Table(1, 4))
    theta = torch.tensor([[0.3, -0.2, 0.9, 0.0]]).requires_grad_()
    batch = bandit(theta, torch.tensor([1.0, 3.0, -2.0, 0.5]), [5, 1, 3, 1])
    log_prob = policy(theta, batch.obs).log_prob(batch.action)
    objectives = surrogate((log_prob - log_prob.detach()).exp(), batch.reward), score_function(log_prob, batch.reward)
    one, other = (
        torch.autograd.grad(masked_mean(o, batch.mask).sum(), theta, retain_graph=True)[0] for o in objectives
    )
    torch.testing.assert_close(one, other)
    assert one.norm() > 0.1


# Real rollouts


def updates(algorithm, world, seeds, number, policy=None):
    """Rollouts and updates: θ before, the batch, θ after, metrics."""
    env = make(world, algorithm.envs)
    policy = policy or default_policy(env)
    before = policy.init(Streams(seeds).child("init").child("theta"))
    for it in islice(iterate(algorithm, env, Streams(seeds), policy=policy), number):
        yield policy, before, it.batch, it.state.theta, it.metrics
        before = it.state.theta


def reference(dist):
    """The same distribution by torch."""
    if isinstance(dist, Gaussian):
        return Independent(Normal(dist.mean.double(), dist.std.double()), 1)
    return Categorical(logits=dist.logits.double())


@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_in_training_the_constraint_is_never_violated(world):
    """By torch.distributions, in double precision; with options that give the search work to do."""
    algorithm = pg.TRPO(envs=4, horizon=32, max_kl=0.03, damping=1e-3, backtracks=4, fisher_every=8)
    backtracks, refused = [], 0
    for policy, before, batch, after, metrics in updates(algorithm, world, 4, 40):
        old, new = (reference(policy(theta, batch.obs)) for theta in (before, after))
        kl = kl_divergence(old, new).mean((1, 2))
        assert (kl <= 0.03 * (1 + 1e-4)).all()
        torch.testing.assert_close(metrics.kl.double(), kl, rtol=1e-3, atol=1e-6)
        same = (before == after).all(1)
        assert torch.equal(metrics.accepted == 0, same)
        assert (metrics.improvement > 0)[~same].all()
        assert not metrics.improvement[same].any()
        torch.testing.assert_close(metrics.step_norm, (after - before).norm(dim=1))
        torch.testing.assert_close(metrics.entropy, policy(before, batch.obs).entropy().mean((1, 2)))
        backtracks.append(metrics.backtracks)
        refused += int(same.sum())
    assert torch.stack(backtracks).mean() > 0.2, "the search had no work to do: the test tests little"
    assert refused > 0, "no search failed: the test tests little"


def test_moments_of_observations_are_those_of_all_that_was_seen_and_no_step_moves_them():
    """And the constraint holds with them, for the policy that acted: they enter after the step."""
    algorithm = pg.TRPO(envs=2, horizon=64, normalize_observation=True, max_kl=0.02)
    env, seen, before = make("Pendulum-v1", 2), [], None
    for it in islice(iterate(algorithm, env, Streams(3)), 6):
        policy, theta, weights = it.state.policy, it.state.theta, it.state.policy.network.network.size
        seen.append(it.batch.obs.flatten(1, 2).double())
        x = torch.cat(seen, 1)
        standard = (it.batch.obs.flatten(1, 2) - x.mean(1, keepdim=True)) / x.std(1, correction=0, keepdim=True)
        mean = policy.network.network(theta[:, :weights], standard.float().clamp(-10, 10))
        torch.testing.assert_close(policy(theta, it.batch.obs.flatten(1, 2)).mean, mean, rtol=1e-3, atol=1e-4)
        if before is not None:
            moments = slice(weights, policy.network.size)  # σ stands behind them
            step = policy.observe(before, it.batch.obs, it.batch.mask)[:, moments]
            assert torch.equal(step, theta[:, moments])
            moved = theta.clone()
            moved[:, moments] = before[:, moments]
            kl = kl_divergence(*(reference(policy(each, it.batch.obs)) for each in (before, moved))).mean((1, 2))
            assert (kl <= 0.02 * (1 + 1e-4)).all()
            torch.testing.assert_close(it.metrics.kl.double(), kl, rtol=1e-3, atol=1e-6)
        before = theta
    assert it.metrics.accepted.any()


def test_where_rewards_are_normalised_their_unit_does_not_matter():
    """64 times as much for everything: a power of two, so that not a bit of θ differs."""

    class Dear(Pendulum):
        def transition(self, *arguments):
            state, reward, terminated = super().transition(*arguments)
            return state, 64 * reward, terminated

    for scaled in (False, True):
        algorithm = pg.TRPO(envs=2, horizon=64, normalize_reward=scaled)
        one, other = (train(algorithm, world, 2, 512) for world in (Pendulum, Dear))
        assert torch.equal(one.policy.theta, other.policy.theta) == scaled
    paid = (other.curves["return"] / one.curves["return"]).dropna()
    assert len(paid)
    assert (paid == 64).all()  # reported returns are the world's


def test_the_natural_gradient_has_no_such_constraint():
    algorithm = pg.NaturalGradient(envs=4, horizon=32, max_kl=0.03, damping=1e-3, fisher_every=8)
    metrics = [each[-1] for each in updates(algorithm, "CartPole-v1", 4, 40)]
    assert torch.stack([each.kl for each in metrics]).max() > 0.03
    assert all(each.accepted.all() for each in metrics)


def test_the_natural_gradient_is_trpo_without_the_search():
    natural = train(pg.NaturalGradient(envs=4), "CartPole-v1", [1, 2], 4000)
    unsearched = train(pg.TRPO(envs=4, search=False), "CartPole-v1", [1, 2], 4000)
    assert torch.equal(natural.policy.theta, unsearched.policy.theta)
    pd.testing.assert_frame_equal(natural.curves, unsearched.curves, check_exact=True)
    searched = train(pg.NaturalGradient(envs=4, search=True), "CartPole-v1", [1, 2], 4000)
    trpo = train(pg.TRPO(envs=4), "CartPole-v1", [1, 2], 4000)
    pd.testing.assert_frame_equal(searched.curves, trpo.curves, check_exact=True)


def test_the_critic_fits_what_it_is_given():
    """On one batch over and over: its loss falls to a fifth, and it explains what it did not."""
    env, streams = make("CartPole-v1", 4), Streams(3)
    algorithm = pg.TRPO(envs=4, horizon=64, lam=1.0)
    state = algorithm.init(default_policy(env), default_critic(env), streams)
    batch, _ = rollout(state.policy, state.theta, env, env.reset(streams), 64, streams.child("rollout"))
    # So that the target is the reward, and does not move.
    batch = replace(batch, terminated=batch.mask, reward=batch.obs[..., 2])
    seen = []
    for _ in range(20):
        state, metrics = algorithm.update(state, batch, 0.0)
        seen.append(metrics)
    first, *_, last = seen
    assert (last.value_loss < first.value_loss / 5).all()
    assert (last.explained_variance > 0.9).all()
    assert (first.explained_variance < 0.5).all()


def test_a_time_limit_is_not_the_end_of_the_world():
    """Reward 1 forever, cut by a time limit: the critic comes to say 1/(1-γ) = 10 everywhere."""
    run = list(
        training(pg.TRPO(envs=4, horizon=16, gamma=0.9), "CartPole-v1", [0], 64)
    )  # what comes out is checked below
    assert run[-1].steps.item() == 64
    shape = (1, 16, 4)
    on, off, zeros = torch.ones(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool), torch.zeros(shape)
    endless = Trajectory(
        zeros.long(), zeros.long(), torch.ones(shape), zeros.long(), terminated=off, truncated=on, mask=on
    )
    for batch, value in ((endless, 10.0), (replace(endless, terminated=on, truncated=off), 1.0)):
        algorithm = pg.TRPO(gamma=0.9, critic_lr=0.1)
        state = algorithm.init(SoftmaxPolicy(Table(1, 2)), Critic(Table(1, 1)), Streams(1))
        for _ in range(100):
            state, _ = algorithm.update(state, batch, 0.0)
        assert state.phi.item() == pytest.approx(value, abs=0.2)


# As every algorithm


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_resumed_from_any_checkpoint_training_gives_the_same_bits(name, world):
    arguments = (VARIANTS[name], world, [3, 5], 1500)
    whole, checkpoints = Curves(1500), []
    *_, undisturbed = training(*arguments)
    for last in training(*arguments, checkpoint_steps=400):
        whole.add(last)
        if last.checkpoint:
            checkpoints.append((last.checkpoint, whole.iterations()))
    assert len(checkpoints) == 3
    assert torch.equal(undisturbed.policy.theta, last.policy.theta)
    for checkpoint, before in checkpoints:
        resumed = Curves(1500, before)
        for again in training(*arguments, checkpoint_steps=400, resume=checkpoint):
            resumed.add(again)
        assert torch.equal(again.policy.theta, last.policy.theta)
        pd.testing.assert_frame_equal(resumed.frame([3, 5]), whole.frame([3, 5]), check_exact=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_seed_does_not_depend_on_its_neighbours(name):
    """Sums are taken in another order in another block, so equality is to rounding, not to the bit."""
    alone, together = (
        [each for each, _ in zip(training(VARIANTS[name], "CartPole-v1", seeds, 10**9), range(5), strict=False)]
        for seeds in ([3], [0, 3, 11, 4])
    )
    for one, many in zip(alone, together, strict=True):
        torch.testing.assert_close(many.policy.theta[1:2], one.policy.theta, rtol=0, atol=1e-4)
        assert many.total_return[1] == one.total_return[0]
        assert many.metrics["backtracks"][1] == one.metrics["backtracks"][0]


def bounded(network):
    return SquashedGaussianPolicy(GaussianPolicy(network), low=(-2.0,), high=(2.0,))


POLICIES = {
    "squashed": ("Pendulum-v1", bounded(MLP((3, 16, 1), last_gain=0.01))),
    "state-dependent spread": ("Pendulum-v1", GaussianPolicy(MLP((3, 16, 2)), state_dependent_std=True)),
    "relu": ("CartPole-v1", SoftmaxPolicy(MLP((4, 16, 2), "relu"))),
    "torch module": (
        "CartPole-v1",
        SoftmaxPolicy(Module(lambda: nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 2)), (4,), 2)),
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_every_kind_of_policy_steps_within_the_trust_region(name):
    """A small step, nearly undamped: a KL divergence near δ, and predicted and actual improvement agree."""
    world, policy = POLICIES[name]
    algorithm = pg.NaturalGradient(envs=8, horizon=64, max_kl=1e-6, damping=1e-3, cg_steps=50, fisher_every=1)
    for _, before, batch, after, metrics in updates(algorithm, world, 3, 2, policy):
        kl = policy(before, batch.obs).kl(policy(after, batch.obs)).mean((1, 2))
        torch.testing.assert_close(metrics.kl, kl, rtol=1e-4, atol=1e-9)
        assert ((kl > 0.3e-6) & (kl < 1.2e-6)).all(), kl
        torch.testing.assert_close(metrics.improvement, metrics.predicted_improvement, rtol=0.2, atol=0)


@dataclass(frozen=True)
class Threshold:
    """A policy of one's own: one parameter, the chance to push right rises with the pole's angle."""

    size: int = 1

    def init(self, streams):
        return torch.zeros(len(streams), 1)

    def __call__(self, theta, obs):
        lean = theta.view(-1, *(1,) * (obs.ndim - 2)) * (10 * obs[..., 2] + obs[..., 3])
        return pg.core.Categorical(torch.stack([-lean, lean], -1))

    def at(self, theta):
        return partial(self, theta)

    def observe(self, theta, obs, mask):
        return theta

    def noise(self, streams, *shape):
        return streams.uniform(*shape)


def test_a_policy_of_ones_own_learns():
    run = train(pg.TRPO(envs=4), "CartPole-v1", 3, 15_000, policy=Threshold())
    assert (run.policy.theta > 0.5).all()
    assert evaluate(run.policy, 20).groupby("seed")["return"].mean().min() > 150


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_kl": 0.0}, r"TRPO: max_kl must be above 0, got 0.0"),
        ({"damping": -1.0}, r"TRPO: damping must be at least 0, got -1.0"),
        ({"shrink": 1.5}, r"TRPO: shrink must be at least 0 and at most 1, got 1.5"),
        ({"cg_steps": 0}, r"TRPO: cg_steps must be at least 1, got 0"),
        ({"backtracks": -1}, r"TRPO: backtracks must be at least 0, got -1"),
        ({"critic_steps": 0}, r"TRPO: critic_steps must be at least 1, got 0"),
        ({"critic_lr": float("nan")}, r"TRPO: critic_lr must be above 0, got nan"),
        ({"fisher_every": 0}, r"TRPO: fisher_every must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        pg.TRPO(**options)


def test_cartpole_is_learnt():
    """Real learning: at least 4 of 5 seeds end at a mean return of 475 or more over 100 episodes."""
    run = train(pg.TRPO(), "CartPole-v1", seeds=5, steps=60_000)
    final = evaluate(run.policy, episodes=100).groupby("seed")["return"].mean()
    assert (final >= 475).sum() >= 4, final.round(0).tolist()
