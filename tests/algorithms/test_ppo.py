"""PPO against the policy gradient, against the clip's definition, and against another implementation."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence

from pgcourse.algorithms import PPO, rollout, training
from pgcourse.algorithms.architecture import default_critic, default_policy
from pgcourse.algorithms.ppo import scaled_reward
from pgcourse.core import Streams
from pgcourse.envs import make
from pgcourse.rl.objectives import adapted_penalty, clipped_surrogate, clipped_value_loss

WORLDS = ["CartPole-v1", "Pendulum-v1"]


def setting(algorithm, world, seeds=3, hidden=(16, 16)):
    """A learner whose θ and φ are not where they began, and a rollout of it."""
    env, streams = make(world, algorithm.envs), Streams(seeds)
    learner = algorithm.start(default_policy(env, hidden), default_critic(env, hidden), streams.child("init"))
    with torch.no_grad():
        learner.theta.add_(0.3 * streams.child("θ").normal(learner.policy.size))
        learner.phi.add_(0.3 * streams.child("φ").normal(learner.critic.size))
    batch, _ = rollout(learner.policy, learner.theta, env, env.reset(streams), algorithm.rollout, streams.child("play"))
    return learner, batch, streams.child("update")


# The objective


@given(
    ratio=st.floats(0, 3).filter(lambda r: min(abs(r - 0.8), abs(r - 1.2)) > 1e-6),
    advantage=st.floats(-10, 10).filter(lambda a: abs(a) > 1e-6),
)
def test_the_clip_stops_the_gradient_where_it_should_and_nowhere_else(ratio, advantage):
    """Not where moving back is what the advantage asks for: the clip is a bound from below, not a fence."""
    r = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    value = clipped_surrogate(r, torch.tensor(advantage, dtype=torch.float64), 0.2)
    value.backward()
    beyond = ratio > 1.2 if advantage > 0 else ratio < 0.8
    assert r.grad.item() == (0.0 if beyond else advantage)
    assert value.item() <= ratio * advantage  # pessimistic
    if not beyond:
        assert value.item() == ratio * advantage


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_the_clipped_value_loss_is_the_larger_error(old, target, moved):
    value = torch.tensor(old + moved, dtype=torch.float64, requires_grad=True)
    loss = clipped_value_loss(value, torch.tensor(old), torch.tensor(target), 0.5)
    near = old + min(max(old + moved - old, -0.5), 0.5)
    errors = (old + moved - target) ** 2 / 2, (near - target) ** 2 / 2
    assert loss.item() == pytest.approx(max(errors), abs=1e-5)
    loss.backward()
    if abs(moved) > 0.51 and errors[1] > errors[0] + 1e-5:
        assert value.grad.item() == 0


@pytest.mark.parametrize("world", WORLDS)
def test_at_the_old_policy_the_gradient_is_the_policy_gradient(world):
    """r = 1, ∇r = ∇log π: the first step of PPO is that of the score function, whatever the clip."""
    for clip in (0.2, 1e-3):
        algorithm = PPO(envs=4, rollout=16, clip=clip, normalize_advantage="never", max_grad_norm=math.inf)
        learner, batch, _ = setting(algorithm, world)
        samples = algorithm.samples(learner, batch)
        log_prob = learner.policy(learner.theta, samples.obs).log_prob(samples.action)
        (expected,) = torch.autograd.grad((samples.advantage * log_prob).mean(1).sum(), learner.theta)
        algorithm.step(learner, samples, learner.theta.detach(), 0.0, torch.ones(3, dtype=torch.bool))
        torch.testing.assert_close(-learner.theta.grad, expected, rtol=1e-5, atol=1e-6)
        assert expected.norm() > 0.1


@given(st.floats(1e-3, 1e3), st.floats(0, 1), st.floats(1e-3, 1))
def test_the_penalty_adapts_as_in_the_paper(beta, kl, target):
    (new,) = adapted_penalty(torch.tensor([beta]), torch.tensor([kl]), target).tolist()
    if kl < 0.66 * target:
        assert new == pytest.approx(beta / 2)
    elif kl > 1.51 * target:
        assert new == pytest.approx(2 * beta)
    elif 0.67 * target < kl < 1.49 * target:
        assert new == pytest.approx(beta)


# The update


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalize_advantage": "batch", "value_clip": 0.2, "entropy": 0.01, "max_grad_norm": 0.1},
        {"normalize_advantage": "never", "bootstrap": False, "anneal_clip": True, "clip": 0.02},
        {"objective": "penalty", "kl_target": 0.01},
        {"objective": "surrogate"},
    ],
    ids=["defaults", "more", "less", "penalty", "surrogate"],
)
def test_update_for_update_the_numbers_of_another_implementation(world, options):
    """`torch.nn` modules, `torch.optim`, `torch.distributions`, loops over time and seeds; the same minibatches."""
    algorithm = PPO(envs=4, rollout=16, epochs=3, **options)
    learner, batch, streams = setting(algorithm, world)
    others = [Other(algorithm, learner, row) for row in range(3)]
    for number in range(2):  # twice: Adam's moments are carried on
        progress, noise = number / 4, streams.child(number)
        drawn = Streams(noise.seeds, noise.path)  # the same numbers, for the other implementation
        orders = [drawn.uniform(64).argsort(1) for _ in range(3)]
        algorithm.update(learner, batch, progress, noise)
        for row, other in enumerate(others):
            other.update(row, batch, progress, [order[row] for order in orders])
            assert (learner.theta[row] - other.flat(other.actor)).abs().max() < 1e-5
            assert (learner.phi[row] - other.flat(other.critic)).abs().max() < 1e-5
    if algorithm.objective == "penalty":
        assert learner.memory["beta"].tolist() == [other.beta for other in others]
        assert learner.memory["beta"].max() != 1
    assert (learner.theta.grad.norm(dim=1) > 1e-4).all()


class Other:
    """One seed of PPO, as people write it."""

    def __init__(self, options, learner, row):
        self.options = options
        inputs, *hidden, outputs = learner.policy.network.sizes
        self.actor, self.critic = net(inputs, *hidden, outputs), net(inputs, *hidden, 1)
        self.log_std = None
        self.beta = 1.0
        theta, phi = learner.theta[row].detach(), learner.phi[row].detach()
        if len(theta) > count(self.actor):
            self.log_std = nn.Parameter(theta[count(self.actor) :].clone())
        load(self.actor, theta)
        load(self.critic, phi)
        parameters = [*self.actor.parameters(), *([] if self.log_std is None else [self.log_std])]
        self.parameters = parameters, list(self.critic.parameters())
        self.adams = [
            torch.optim.Adam(each, lr=lr, eps=1e-5)
            for each, lr in zip(self.parameters, (options.lr, options.critic_lr), strict=True)
        ]

    def flat(self, module):
        pieces = [piece for layer in linear(module) for piece in (layer.weight.T.flatten(), layer.bias)]
        return torch.cat([*pieces, *([self.log_std] if module is self.actor and self.log_std is not None else [])])

    def distribution(self, obs):
        if self.log_std is None:
            return Categorical(logits=self.actor(obs))
        return Normal(self.actor(obs), self.log_std.exp())

    def log_prob(self, obs, action):
        log_prob = self.distribution(obs).log_prob(action)
        return log_prob if self.log_std is None else log_prob.sum(-1)

    def update(self, row, batch, progress, orders):
        o = self.options
        obs, action = batch.obs[row], batch.action[row]
        with torch.no_grad():
            value, after = self.critic(obs)[..., 0], self.critic(batch.next_obs[row])[..., 0]
            advantage = torch.zeros_like(value)
            for env in range(o.envs):
                carried = 0.0
                for t in reversed(range(o.rollout)):
                    terminated = bool(batch.terminated[row, t, env])
                    ended = terminated or bool(batch.truncated[row, t, env])
                    worth = 0.0 if terminated or (ended and not o.bootstrap) else after[t, env]
                    delta = batch.reward[row, t, env] + o.gamma * worth - value[t, env]
                    carried = delta + (0.0 if ended else o.gamma * o.lam * carried)
                    advantage[t, env] = carried
            target = advantage + value
            old = self.log_prob(obs, action)
            self.before = self.distribution(obs.flatten(0, 1))
        obs, action = obs.flatten(0, 1), action.flatten(0, 1)
        advantage, target, old, value = (x.flatten() for x in (advantage, target, old, value))
        if o.normalize_advantage == "batch":
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        rate = 1 - progress
        clip = o.clip * rate if o.anneal_clip else o.clip
        for order in orders:
            for index in order.chunk(o.minibatches):
                a = advantage[index]
                if o.normalize_advantage == "minibatch":
                    a = (a - a.mean()) / (a.std() + 1e-8)
                ratio = (self.log_prob(obs[index], action[index]) - old[index]).exp()
                policy_loss = -(a * ratio).mean()
                if o.objective == "clip":
                    policy_loss = -torch.min(a * ratio, a * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
                if o.objective == "penalty":
                    policy_loss = policy_loss + self.beta * self.divergence(obs)[index].mean()
                entropy = self.distribution(obs[index]).entropy()
                entropy = entropy if self.log_std is None else entropy.sum(-1)
                new = self.critic(obs[index])[:, 0]
                error = (new - target[index]) ** 2
                if o.value_clip < math.inf:
                    near = value[index] + torch.clamp(new - value[index], -o.value_clip, o.value_clip)
                    error = torch.max(error, (near - target[index]) ** 2)
                for adam, loss, parameters, lr in zip(
                    self.adams,
                    (policy_loss - o.entropy * entropy.mean(), 0.5 * error.mean()),
                    self.parameters,
                    (o.lr, o.critic_lr),
                    strict=True,
                ):
                    adam.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(parameters, o.max_grad_norm)
                    adam.param_groups[0]["lr"] = rate * lr
                    adam.step()
        moved = self.divergence(obs).mean().item()
        if moved < o.kl_target / 1.5:
            self.beta /= 2
        if moved > o.kl_target * 1.5:
            self.beta *= 2

    def divergence(self, obs):
        kl = kl_divergence(self.before, self.distribution(obs))
        return kl if self.log_std is None else kl.sum(-1)


def net(*sizes):
    layers = [each for n, m in pairwise(sizes) for each in (nn.Linear(n, m), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def linear(module):
    return [layer for layer in module if isinstance(layer, nn.Linear)]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def load(module, flat):
    with torch.no_grad():
        for layer in linear(module):
            n, m = layer.in_features, layer.out_features
            layer.weight.copy_(flat[: n * m].view(n, m).T)
            layer.bias.copy_(flat[n * m : n * m + m])
            flat = flat[n * m + m :]


def test_every_sample_is_used_once_in_every_epoch_in_an_order_of_its_seed():
    seen = []

    class Watched(PPO):
        def step(self, learner, samples, old, progress, going):
            seen.append(samples)
            return super().step(learner, samples, old, progress, going)

    algorithm = Watched(envs=4, rollout=16, epochs=2, minibatches=8)
    learner, batch, streams = setting(algorithm, "CartPole-v1")
    whole = algorithm.samples(learner, batch)
    algorithm.update(learner, batch, 0.0, streams)
    assert len(seen) == 16
    assert {samples.advantage.shape for samples in seen} == {(3, 8)}
    orders = []
    for epoch in (seen[:8], seen[8:]):
        together = torch.cat([samples.log_prob for samples in epoch], 1)
        assert torch.equal(together.sort(1).values, whole.log_prob.sort(1).values)
        orders.append(torch.cat([samples.obs[..., 0] for samples in epoch], 1))
        for samples in epoch:  # the parts of a sample stay together
            again = learner.policy(learner.theta, samples.obs)
            assert again.logits.shape == (3, 8, 2)
            row = (whole.obs[1].unsqueeze(0) == samples.obs[1].unsqueeze(1)).all(-1).float().argmax(1)
            assert torch.equal(whole.target[1][row], samples.target[1])
    assert not torch.equal(orders[0], orders[1])


def test_a_seed_that_has_moved_too_far_stops_and_others_go_on():
    """Bit for bit where it was, Adam's moments too; its neighbours do not notice."""
    algorithm = PPO(envs=4, rollout=16, max_kl=3e-3, lr=3e-3)
    learner, batch, streams = setting(algorithm, "CartPole-v1")
    before = learner.state()
    metrics = algorithm.update(learner, batch, 0.0, streams)
    assert ((metrics["stopped"] > 0) & (metrics["stopped"] < 1)).all()
    assert len(metrics["stopped"].unique()) > 1  # not all at the same minibatch
    for row in range(3):
        steps = round(40 * (1 - metrics["stopped"][row].item()))
        alone, _, noise = setting(algorithm, "CartPole-v1")
        alone.load(before)
        unlimited = dataclasses.replace(algorithm, max_kl=math.inf)
        samples, going = unlimited.samples(alone, batch), torch.ones(3, dtype=torch.bool)
        order = torch.cat([noise.uniform(64).argsort(1) for _ in range(algorithm.epochs)], 1)
        for index in order.split(16, 1)[:steps]:
            unlimited.step(alone, samples.take(index), before["policy.parameters"], 0.0, going)
        assert torch.equal(alone.theta[row], learner.theta[row])
        for name in ("policy.exp_avg", "policy.exp_avg_sq", "critic.exp_avg"):
            assert torch.equal(alone.state()[name][row], learner.state()[name][row])


def test_without_bootstrapping_the_time_limit_is_an_end():
    algorithm = PPO(envs=2, rollout=210)
    learner, batch, _ = setting(algorithm, "Pendulum-v1")  # cut after 200 steps, never terminated
    with_, without = (
        each.samples(learner, batch).target.view(3, 210, 2)
        for each in (algorithm, dataclasses.replace(algorithm, bootstrap=False))
    )
    assert batch.truncated[:, 199].all()
    assert torch.equal(with_[:, 200:], without[:, 200:])
    torch.testing.assert_close(without[:, 199], batch.reward[:, 199])
    value = learner.critic(learner.phi, batch.next_obs)[:, 199].detach()
    torch.testing.assert_close(with_[:, 199], batch.reward[:, 199] + 0.99 * value)


def played(algorithm, world, number, seeds=3):
    """A learner after `number` iterations of training, and what it had seen until then."""
    env, streams, batches = make(world, algorithm.envs), Streams(seeds), []
    learner = algorithm.start(default_policy(env), default_critic(env), streams.child("init"))
    obs = env.reset(streams)
    for iteration in range(number):
        noise = streams.child(iteration)
        batch, obs = rollout(learner.policy, learner.theta, env, obs, algorithm.rollout, noise)
        batches.append(batch)
        algorithm.update(learner, batch, 0.0, noise.child("update"))
        learner.observe(batch)
    return learner, batches


def test_rewards_are_divided_by_the_deviation_of_discounted_sums_so_far():
    """Followed in numpy through the ends of episodes, with numbers that all rollouts together give."""
    algorithm = PPO(envs=2, rollout=150, normalize_reward=True, gamma=0.9, bootstrap=False, lam=0.0)
    learner, batches = played(algorithm, "Pendulum-v1", 3)
    before = {name: tensor.clone() for name, tensor in learner.memory.items()}
    scaled = scaled_reward(learner, batches[0], 0.9)
    for row in range(3):
        carried, sums = np.zeros(2), []
        for batch in [*batches, batches[0]]:
            for reward, done in zip(batch.reward[row].numpy(), batch.done[row].numpy(), strict=True):
                carried = 0.9 * carried + reward
                sums.append(carried)
                carried = np.where(done, 0.0, carried)
        np.testing.assert_allclose(before["variance"][row], np.var(sums[:450]), rtol=1e-4)
        np.testing.assert_allclose(scaled[row], batches[0].reward[row] / np.std(sums), rtol=1e-4)


def test_networks_see_observations_standardised_by_all_that_their_seed_has_seen():
    algorithm = PPO(envs=2, rollout=64, normalize_observation=True)
    learner, batches = played(algorithm, "Pendulum-v1", 3)
    mlp = learner.policy.network.network
    for row in range(3):
        seen = np.concatenate([batch.obs[row].flatten(0, 1) for batch in batches]).astype(np.float64)
        x = batches[0].obs[row].flatten(0, 1).numpy()
        standard = torch.tensor((x - seen.mean(0)) / seen.std(0), dtype=torch.float32).clamp(-10, 10)
        theta, phi = learner.theta[row : row + 1], learner.phi[row : row + 1]
        torch.testing.assert_close(
            learner.policy(theta, batches[0].obs[row : row + 1]).mean.flatten(1, 2),
            mlp(theta[:, : mlp.size], standard.unsqueeze(0)), rtol=1e-3, atol=1e-4,
        )  # fmt: skip
        critic = learner.critic.network.network
        torch.testing.assert_close(
            learner.critic(phi, batches[0].obs[row : row + 1]).flatten(1),
            critic(phi[:, : critic.size], standard.unsqueeze(0)).squeeze(-1), rtol=1e-3, atol=1e-4,
        )  # fmt: skip


def test_the_policy_that_acted_is_the_one_that_the_update_begins_with():
    """Moments that changed in between would make ratios differ from 1 before anything was learnt."""
    algorithm = PPO(envs=2, rollout=64, epochs=1, minibatches=1, lr=1e-12, normalize_observation=True)
    *_, last = training(algorithm, "Pendulum-v1", 2, 512)
    assert last.metrics["kl"].abs().max() < 1e-6


def test_metrics_say_what_they_mean():
    algorithm = PPO(envs=4, rollout=32, epochs=1, minibatches=1, lr=1e-9)
    learner, batch, streams = setting(algorithm, "CartPole-v1")
    samples = algorithm.samples(learner, batch)
    metrics = algorithm.update(learner, batch, 0.0, streams)
    assert metrics["kl"].abs().max() < 1e-6
    assert (metrics["clip_fraction"] == 0).all()
    assert (metrics["stopped"] == 0).all()
    probs = learner.policy(learner.theta, samples.obs).probs
    np.testing.assert_allclose(metrics["entropy"], -(probs * probs.log()).sum(-1).mean(1).detach(), rtol=1e-5)
    error = samples.target - samples.value
    np.testing.assert_allclose(metrics["explained_variance"], 1 - error.var(1) / samples.target.var(1), rtol=1e-4)
    np.testing.assert_allclose(metrics["value_loss"], error.square().mean(1) / 2, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minibatches": 3}, r"minibatches must divide envs · rollout = 256 into parts of 2 samples or more, got 3"),
        ({"minibatches": 256}, r"into parts of 2 samples or more, got 256"),
        ({"clip": 0.0}, r"PPO: clip must be above 0, got 0.0"),
        ({"normalize_advantage": "yes"}, r"normalize_advantage must be one of minibatch, batch, never; got 'yes'"),
        ({"objective": "kl"}, r"objective must be one of clip, penalty, surrogate; got 'kl'"),
        ({"epochs": 0}, r"epochs must be at least 1, got 0"),
    ],
)
def test_bad_hyper_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PPO(**options)


def test_ppo_learns_cartpole():
    iterations = list(training(PPO(minibatches=1), "CartPole-v1", 3, 25_000))
    early, late = (
        sum(each.total_return for each in part) / sum(each.episodes for each in part)
        for part in (iterations[:8], iterations[-16:])
    )
    assert (late > 4 * early).all()
