"""PPO against the policy gradient, against the clip's definition, and against another implementation."""

import dataclasses
import math
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from pgcourse.algorithms import A2C, PPO, TRPO, Architecture, RecurrentPPO, iterate, rollout, training
from pgcourse.core import Streams
from pgcourse.core.adam import Adam, clipped, gradient
from pgcourse.envs import make
from pgcourse.rl.objectives import adapted_penalty, clipped_surrogate, clipped_value_loss, dual_clipped_surrogate

WORLDS = ["CartPole-v1", "Pendulum-v1"]


def setting(algorithm, world, seeds=3, hidden=(16, 16), one_network=False):
    """A state whose θ and φ are not where they began, and a rollout of it."""
    env, streams, networks = make(world, algorithm.envs), Streams(seeds), Architecture(hidden, shared=one_network)
    state = algorithm.init(networks.policy(env), networks.critic(env), streams.child("init"))
    theta = state.theta + 0.3 * streams.child("θ").normal(state.policy.size)
    phi = state.phi + 0.3 * streams.child("φ").normal(state.critic.size)
    if one_network:
        phi = theta[:, : state.critic.size]
    batch, _ = rollout(state.policy, theta, env, env.reset(streams), algorithm.horizon, streams.child("play"))
    return state._replace(theta=theta, phi=phi), batch, streams.child("update")


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


@given(ratio=st.floats(0, 6).filter(lambda r: abs(r - 3) > 1e-6), advantage=st.floats(-10, 10))
def test_the_dual_clip_is_a_floor_under_negative_advantages_alone(ratio, advantage):
    """max(min(r Â, clip(r) Â), c Â) where Â < 0; beyond c no gradient, and c = ∞ is no floor."""
    r = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    A = torch.tensor(advantage, dtype=torch.float64)
    usual, value = clipped_surrogate(r, A, 0.2), dual_clipped_surrogate(r, A, 0.2, 3.0)
    assert value.item() == (max(usual.item(), 3 * advantage) if advantage < 0 else usual.item())
    assert dual_clipped_surrogate(r, A, 0.2, math.inf).item() == usual.item()
    value.backward()
    if advantage < 0 and ratio > 3:
        assert r.grad.item() == 0


def test_with_a_dual_clip_an_update_is_the_same_until_it_bites():
    """As before at c = ∞ and where no ratio is above c; another one where some are."""
    algorithm = PPO(envs=4, horizon=16, epochs=3, lr=3e-2, max_grad_norm=math.inf)
    state, batch, _ = setting(algorithm, "CartPole-v1")

    def after(c):
        return dataclasses.replace(algorithm, dual_clip=c).update(state, batch, 0.0, Streams(3))[0].theta

    assert torch.equal(after(math.inf), after(1e9))
    assert not torch.allclose(after(math.inf), after(1.01))


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
        algorithm = PPO(envs=4, horizon=16, clip=clip, normalize_advantage="never", max_grad_norm=math.inf)
        state, batch, _ = setting(algorithm, world)
        samples, _ = algorithm.samples(state, batch)
        theta = state.theta.requires_grad_()
        log_prob = state.policy(theta, samples.obs).log_prob(samples.action)
        (expected,) = torch.autograd.grad((samples.advantage * log_prob).mean(1).sum(), theta)
        loss, _ = algorithm.loss(state.policy, theta, samples, theta.detach(), state.beta, clip)
        (found,) = torch.autograd.grad(loss.sum(), theta)
        torch.testing.assert_close(-found, expected, rtol=1e-5, atol=1e-6)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_penalty_that_was_halved_for_long_comes_back(dtype):
    beta = torch.ones(1, dtype=dtype)
    for kl in (*[0.0] * 1200, *[1.0] * 20):
        beta = adapted_penalty(beta, torch.tensor([kl]), 0.01)
    assert beta.item() == 2**20 * torch.finfo(dtype).tiny


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
        {"clip_jointly": True, "max_grad_norm": 0.1, "adam_eps": 1e-3},
    ],
    ids=["defaults", "more", "less", "penalty", "surrogate", "jointly"],
)
def test_update_for_update_the_numbers_of_another_implementation(world, options):
    """`torch.nn` modules, `torch.optim`, `torch.distributions`, loops over time and seeds; the same minibatches."""
    algorithm = PPO(envs=4, horizon=16, epochs=3, **options)
    state, batch, streams = setting(algorithm, world)
    others = [Other(algorithm, state, row) for row in range(3)]
    for number in range(2):  # twice: Adam's moments are carried on
        progress, noise = number / 4, streams.child(number)
        drawn = Streams(noise.seeds, noise.path)  # the same numbers, for the other implementation
        orders = [drawn.uniform(64).argsort(1) for _ in range(3)]
        state, metrics = algorithm.update(state, batch, progress, noise)
        for row, other in enumerate(others):
            other.update(row, batch, progress, [order[row] for order in orders])
            assert (state.theta[row] - other.flat(other.actor)).abs().max() < 1e-5
            assert (state.phi[row] - other.flat(other.critic)).abs().max() < 1e-5
    if algorithm.objective == "penalty":
        assert state.beta.tolist() == [other.beta for other in others]
        assert state.beta.max() != 1
    assert (metrics.grad_norm > 1e-4).all()


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("options", [{"value_weight": 0.5, "entropy": 0.01}, {"max_grad_norm": math.inf}])
def test_with_one_network_the_numbers_of_one_loss_and_one_optimiser(world, options):
    """One `torch.nn` module with an output more, loss = policy's + w · critic's, one clip, one `torch.optim.Adam`."""
    algorithm = PPO(envs=4, horizon=16, epochs=3, critic_lr=7.0, **options)
    state, batch, streams = setting(algorithm, world, one_network=True)
    others = [OtherWithOneNetwork(algorithm, state, row) for row in range(3)]
    for number in range(2):
        progress, noise = number / 4, streams.child(number)
        drawn = Streams(noise.seeds, noise.path)
        orders = [drawn.uniform(64).argsort(1) for _ in range(3)]
        state, metrics = algorithm.update(state, batch, progress, noise)
        for row, other in enumerate(others):
            other.update(row, batch, progress, [order[row] for order in orders])
            assert (state.theta[row] - parameters_to_vector(other.parameters[0])).abs().max() < 1e-5
    assert torch.equal(state.phi, state.theta[:, : state.critic.size])
    assert torch.equal(metrics.grad_norm, metrics.critic_grad_norm)


def test_one_network_starts_as_two_do_and_goes_on_from_a_checkpoint():
    networks, env = Architecture((8,), shared=True), make("CartPole-v1", 4)
    policy, critic = networks.policy(env), networks.critic(env)
    last = policy.init(Streams(2))[:, -27:-3].view(2, 3, 8)
    torch.testing.assert_close(last @ last.mT, torch.diag(torch.tensor([1e-4, 1e-4, 1.0])).expand(2, 3, 3))
    given = (PPO(envs=4, horizon=16), "CartPole-v1", 2, 640, policy, critic, 128)
    *_, whole = training(*given)
    resume = next(each.checkpoint for each in training(*given) if each.checkpoint)
    *_, resumed = training(*given, resume=resume)
    assert torch.equal(whole.policy.theta, resumed.policy.theta)


@pytest.mark.parametrize("algorithm", [A2C(), TRPO(), RecurrentPPO(), PPO(normalize_observation=True)])
def test_one_network_is_refused_by_what_cannot_train_it(algorithm):
    networks, env = Architecture(shared=True), make("CartPole-v1", algorithm.envs)
    with pytest.raises(ValueError, match=r"shared at False|normalize_observation must be False"):
        next(iterate(algorithm, env, Streams(1), 100, networks.policy(env), networks.critic(env)))


class Other:
    """One seed of PPO, as people write it."""

    def __init__(self, options, state, row):
        self.options = options
        inputs, *hidden, outputs = state.policy.network.sizes
        self.actor, self.critic = net(inputs, *hidden, outputs), net(inputs, *hidden, 1)
        self.log_std = None
        self.beta = 1.0
        theta, phi = state.theta[row], state.phi[row]
        if len(theta) > count(self.actor):
            self.log_std = nn.Parameter(theta[count(self.actor) :].clone())
        vector_to_parameters(theta[: count(self.actor)].clone(), self.actor.parameters())
        vector_to_parameters(phi.clone(), self.critic.parameters())
        parameters = [*self.actor.parameters(), *([] if self.log_std is None else [self.log_std])]
        self.parameters = parameters, list(self.critic.parameters())
        self.rates = options.lr, options.critic_lr
        self.start()

    def start(self):
        self.adams = [torch.optim.Adam(each, eps=self.options.adam_eps) for each in self.parameters]

    def losses(self, of_policy, of_critic):
        return of_policy, of_critic

    def flat(self, module):
        return parameters_to_vector([*module.parameters(), *([self.log_std] if self._spread(module) else [])])

    def _spread(self, module):
        return module is self.actor and self.log_std is not None

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
                for t in reversed(range(o.horizon)):
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
                losses = self.losses(policy_loss - o.entropy * entropy.mean(), 0.5 * error.mean())
                for adam, loss in zip(self.adams, losses, strict=True):
                    adam.zero_grad()
                    loss.backward()
                both = [each for parameters in self.parameters for each in parameters]
                for parameters in [both] if o.clip_jointly else self.parameters:
                    nn.utils.clip_grad_norm_(parameters, o.max_grad_norm)
                for adam, lr in zip(self.adams, self.rates, strict=True):
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


class OtherWithOneNetwork(Other):
    """One seed of PPO as people write it whose policy and critic are one module."""

    def __init__(self, options, state, row):
        self.options, self.beta, self.log_std = options, 1.0, None
        inputs, *hidden, outputs = state.policy.network.network.sizes
        whole, theta = net(inputs, *hidden, outputs), state.theta[row]
        vector_to_parameters(theta[: count(whole)].clone(), whole.parameters())
        if len(theta) > count(whole):
            self.log_std = nn.Parameter(theta[count(whole) :].clone())
        self.actor = lambda obs: whole(obs)[..., :-1]
        self.critic = lambda obs: whole(obs)[..., -1:]
        self.parameters = ([*whole.parameters(), *([] if self.log_std is None else [self.log_std])],)
        self.rates = (options.lr,)
        self.start()

    def losses(self, of_policy, of_critic):
        return (of_policy + self.options.value_weight * of_critic,)


def net(*sizes):
    layers = [each for n, m in pairwise(sizes) for each in (nn.Linear(n, m), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_sample_is_used_once_in_every_epoch_in_an_order_of_its_seed():
    seen = []

    class Watched(PPO):
        def loss(self, policy, theta, samples, old, beta, clip):
            seen.append(samples)
            return super().loss(policy, theta, samples, old, beta, clip)

    algorithm = Watched(envs=4, horizon=16, epochs=2, minibatches=8)
    state, batch, streams = setting(algorithm, "CartPole-v1")
    whole, _ = algorithm.samples(state, batch)
    algorithm.update(state, batch, 0.0, streams)
    assert len(seen) == 16
    assert {samples.advantage.shape for samples in seen} == {(3, 8)}
    orders = []
    for epoch in (seen[:8], seen[8:]):
        together = torch.cat([samples.log_prob for samples in epoch], 1)
        assert torch.equal(together.sort(1).values, whole.log_prob.sort(1).values)
        orders.append(torch.cat([samples.obs[..., 0] for samples in epoch], 1))
        for samples in epoch:  # the parts of a sample stay together
            again = state.policy(state.theta, samples.obs)
            torch.testing.assert_close(again.log_prob(samples.action), samples.log_prob, rtol=1e-5, atol=1e-6)
            row = (whole.obs[1].unsqueeze(0) == samples.obs[1].unsqueeze(1)).all(-1).float().argmax(1)
            for name in ("target", "value", "advantage", "action"):
                assert torch.equal(getattr(whole, name)[1][row], getattr(samples, name)[1])
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0].argsort(1)[0], orders[0].argsort(1)[1])


def test_a_seed_that_has_moved_too_far_stops_and_others_go_on():
    """Bit for bit where it was, Adam's moments too; its neighbours do not notice."""
    algorithm = PPO(envs=4, horizon=16, max_kl=3e-3, lr=3e-3)
    before, batch, streams = setting(algorithm, "CartPole-v1")
    after, metrics = algorithm.update(before, batch, 0.0, streams)
    assert ((metrics.stopped > 0) & (metrics.stopped < 1)).all()
    assert len(metrics.stopped.unique()) > 1  # not all at the same minibatch
    for row in range(3):
        steps = round(40 * (1 - metrics.stopped[row].item()))
        alone, drawn = before, Streams(streams.seeds, streams.path)
        samples, _ = algorithm.samples(before, batch)
        parts = [
            part
            for _ in range(algorithm.epochs)
            for part in samples.shuffled(drawn.uniform(64).argsort(1), algorithm.minibatches)
        ]
        theta, phi, theta_adam, phi_adam = before.theta, before.phi, before.theta_adam, before.phi_adam
        for part in parts[:steps]:
            theta, phi = theta.detach().requires_grad_(), phi.detach().requires_grad_()
            loss, _ = algorithm.loss(alone.policy, theta, part, before.theta, before.beta, algorithm.clip)
            error = algorithm.critic_loss(alone.critic(phi, part.obs), part)
            (g, h), _ = clipped(gradient(loss + error, theta, phi), algorithm.max_grad_norm)
            theta, theta_adam = Adam(algorithm.lr).step(theta.detach(), g, theta_adam)
            phi, phi_adam = Adam(algorithm.critic_lr).step(phi.detach(), h, phi_adam)
        assert torch.equal(theta[row], after.theta[row])
        assert torch.equal(phi[row], after.phi[row])
        for one, other in zip((*theta_adam, *phi_adam), (*after.theta_adam, *after.phi_adam), strict=True):
            assert torch.equal(one[row], other[row])


def test_without_bootstrapping_the_time_limit_is_an_end():
    algorithm = PPO(envs=2, horizon=210)
    state, batch, _ = setting(algorithm, "Pendulum-v1")  # cut after 200 steps, never terminated
    with_, without = (
        each.samples(state, batch)[0].target.view(3, 210, 2)
        for each in (algorithm, dataclasses.replace(algorithm, bootstrap=False))
    )
    assert batch.truncated[:, 199].all()
    assert torch.equal(with_[:, 200:], without[:, 200:])
    torch.testing.assert_close(without[:, 199], batch.reward[:, 199])
    value = state.critic(state.phi, batch.next_obs)[:, 199]
    torch.testing.assert_close(with_[:, 199], batch.reward[:, 199] + 0.99 * value)


def played(algorithm, world, number, seeds=3):
    """The state after `number` iterations of training, and what it had seen until then."""
    iterations = list(islice(iterate(algorithm, world, Streams(seeds)), number))
    return iterations[-1].state, [it.batch for it in iterations]


def followed(batches, row, gamma):
    """The discounted sums of rewards in a seed's copies, through the ends of episodes, in numpy."""
    carried, sums = np.zeros(2), []
    for batch in batches:
        for reward, done in zip(batch.reward[row].numpy(), batch.done[row].numpy(), strict=True):
            carried = gamma * carried + reward
            sums.append(carried)
            carried = np.where(done, 0.0, carried)
    return sums


def test_rewards_are_divided_by_the_deviation_of_discounted_sums_so_far():
    """With numbers that all rollouts together give."""
    algorithm = PPO(envs=2, horizon=150, normalize_reward=True, gamma=0.9, bootstrap=False, lam=0.0)
    state, batches = played(algorithm, "Pendulum-v1", 3)
    scaled, after = state.rewards.scaled(batches[0], 0.9)
    for row in range(3):
        np.testing.assert_allclose(state.rewards.moments.variance[row], np.var(followed(batches, row, 0.9)), rtol=1e-4)
        sums = followed([*batches, batches[0]], row, 0.9)
        np.testing.assert_allclose(after.moments.variance[row], np.var(sums), rtol=1e-4)
        np.testing.assert_allclose(scaled[row], batches[0].reward[row] / np.std(sums), rtol=1e-4)


def test_rewards_are_clipped_after_they_were_divided():
    """The moments are those of the rewards as they came; what an update learns from lies within the bounds."""
    algorithm = PPO(envs=2, horizon=150, normalize_reward=True, gamma=0.9, clip_reward=0.2, lam=0.0)
    unclipped = dataclasses.replace(algorithm, clip_reward=math.inf)
    state, batches = played(unclipped, "Pendulum-v1", 2)
    for row in range(3):
        expected = (batches[0].reward[row] / np.std(followed([*batches, batches[0]], row, 0.9))).clamp(-0.2, 0.2)
        samples, after = algorithm.samples(state, batches[0])
        next_value = state.critic(state.phi, batches[0].next_obs)[row]
        target = expected + 0.9 * next_value.where(~batches[0].terminated[row], 0.0)  # λ = 0
        torch.testing.assert_close(samples.target[row].view(150, 2), target.float(), rtol=1e-4, atol=1e-5)
        assert 0.2 < (expected.abs() == 0.2).float().mean() < 1
    _, other = unclipped.samples(state, batches[0])
    assert torch.equal(after.rewards.moments.variance, other.rewards.moments.variance)


def test_networks_see_observations_standardised_by_all_that_their_seed_has_seen():
    algorithm = PPO(envs=2, horizon=64, normalize_observation=True)
    state, batches = played(algorithm, "Pendulum-v1", 3)
    mlp = state.policy.network.network
    for row in range(3):
        seen = np.concatenate([batch.obs[row].flatten(0, 1) for batch in batches]).astype(np.float64)
        x = batches[0].obs[row].flatten(0, 1).numpy()
        standard = torch.tensor((x - seen.mean(0)) / seen.std(0), dtype=torch.float32).clamp(-10, 10)
        theta, phi = state.theta[row : row + 1], state.phi[row : row + 1]
        torch.testing.assert_close(
            state.policy(theta, batches[0].obs[row : row + 1]).mean.flatten(1, 2),
            mlp(theta[:, : mlp.size], standard.unsqueeze(0)), rtol=1e-3, atol=1e-4,
        )  # fmt: skip
        critic = state.critic.network.network
        torch.testing.assert_close(
            state.critic(phi, batches[0].obs[row : row + 1]).flatten(1),
            critic(phi[:, : critic.size], standard.unsqueeze(0)).squeeze(-1), rtol=1e-3, atol=1e-4,
        )  # fmt: skip


@pytest.mark.parametrize("first", [True, False])
def test_when_observations_enter_the_moments(first):
    """In an update that moves nothing: either way the moments afterwards are the same, of all that was seen; but the
    target of the update, one reward and one value under λ = 0, was computed with those before or with those after."""
    seen = []

    class Watched(PPO):
        def samples(self, state, batch):
            samples, state = super().samples(state, batch)
            seen.append((samples, state))
            return samples, state

    algorithm = Watched(envs=2, horizon=64, normalize_observation=True, lam=0.0, lr=1e-30, moments_first=first)
    state, batches = played(algorithm, "Pendulum-v1", 3)
    rows = np.concatenate([batch.obs[0].flatten(0, 1) for batch in batches]).astype(np.float64)
    moments = state.theta[0, state.policy.network.network.size :][:3]
    np.testing.assert_allclose(moments, rows.mean(0), rtol=1e-3, atol=1e-5)
    samples, used = seen[-1]
    known = rows[: 128 * 3 if first else 128 * 2]
    x = batches[-1].next_obs[0].flatten(0, 1).numpy()
    standard = torch.tensor((x - known.mean(0)) / known.std(0), dtype=torch.float32).clamp(-10, 10)
    critic = used.critic.network.network
    value = critic(used.phi[:1, : critic.size], standard.unsqueeze(0))[0, :, 0]
    batch = batches[-1]
    target = batch.reward[0].flatten() + 0.99 * value
    torch.testing.assert_close(samples.target[0], target, rtol=1e-3, atol=1e-3)


def test_the_policy_that_acted_is_the_one_that_the_update_begins_with():
    """Moments that changed in between would make ratios differ from 1 before anything was learnt."""
    algorithm = PPO(envs=2, horizon=64, epochs=1, minibatches=1, lr=1e-12, normalize_observation=True)
    *_, last = training(algorithm, "Pendulum-v1", 2, 512)
    assert last.metrics["kl"].abs().max() < 1e-6


def test_metrics_say_what_they_mean():
    algorithm = PPO(envs=4, horizon=32, epochs=1, minibatches=1, lr=1e-9)
    state, batch, streams = setting(algorithm, "CartPole-v1")
    samples, _ = algorithm.samples(state, batch)
    after, metrics = algorithm.update(state, batch, 0.0, streams)
    assert metrics.kl.abs().max() < 1e-6
    assert (metrics.clip_fraction == 0).all()
    assert (metrics.stopped == 0).all()
    assert metrics.beta is None
    probs = after.policy(after.theta, samples.obs).probs
    np.testing.assert_allclose(metrics.entropy, -(probs * probs.log()).sum(-1).mean(1), rtol=1e-5)
    error = samples.target - samples.value
    np.testing.assert_allclose(metrics.explained_variance, 1 - error.var(1) / samples.target.var(1), rtol=1e-4)
    np.testing.assert_allclose(metrics.value_loss, error.square().mean(1) / 2, rtol=1e-4)


def test_metrics_are_means_over_all_minibatches():
    """Of steps large enough to be clipped: watched one by one."""
    seen = []

    class Watched(PPO):
        def loss(self, *arguments):
            seen.append(super().loss(*arguments))
            return seen[-1]

    algorithm = Watched(envs=4, horizon=16, epochs=3, lr=1e-2)
    state, batch, streams = setting(algorithm, "CartPole-v1")
    _, metrics = algorithm.update(state, batch, 0.0, streams)
    ratio = torch.stack([log_ratio for _, (log_ratio, _) in seen]).double().exp()
    outside = (ratio < 0.8) | (ratio > 1.2)
    np.testing.assert_allclose(metrics.clip_fraction, outside.double().mean((0, 2)), rtol=1e-6)
    assert (metrics.clip_fraction > 0.01).all()
    np.testing.assert_allclose(metrics.kl, (ratio - 1 - ratio.log()).mean((0, 2)), rtol=1e-3)
    entropy = torch.stack([entropy for _, (_, entropy) in seen])
    np.testing.assert_allclose(metrics.entropy, entropy.mean((0, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_reward": 5.0}, "clip_reward is for normalised rewards: set normalize_reward, or leave .* inf, got 5.0"),
        (
            {"objective": "penalty", "dual_clip": 3.0},
            "dual_clip is for objective = 'clip', not 'penalty': leave it at inf, got 3.0",
        ),
        ({"minibatches": 3}, r"minibatches must divide envs · horizon = 256 into parts of 2 samples or more, got 3"),
        ({"minibatches": 256}, r"into parts of 2 samples or more, got 256"),
        ({"clip": 0.0}, r"PPO: clip must be above 0, got 0.0"),
        ({"normalize_advantage": "yes"}, r"normalize_advantage must be one of minibatch, batch, never, got 'yes'"),
        ({"objective": "kl"}, r"objective must be one of clip, penalty, surrogate, got 'kl'"),
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
