"""Policies: the right distribution from the right part of θ."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.core import (
    GRU,
    MLP,
    BernoulliPolicy,
    BinsPolicy,
    Conv,
    Critic,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    MultiDiscretePolicy,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Streams,
    Table,
    memory,
    normalized,
    recurrent,
    replayed,
)
from pgcourse.core.trust_region import fisher_product

F64 = torch.float64


def test_softmax_policy_is_the_softmax_of_the_network():
    network = MLP((3, 8, 4))
    policy = SoftmaxPolicy(network)
    streams = Streams(2, dtype=F64)
    theta = policy.init(streams.child("init"))
    obs = streams.normal(5, 3)
    assert theta.shape == (2, policy.size)
    torch.testing.assert_close(policy(theta, obs).probs, network(theta, obs).softmax(-1))
    noise = policy.noise(streams, 5)
    assert noise.shape == (2, 5)
    assert policy(theta, obs).sample(noise).dtype == torch.int64


@pytest.mark.parametrize("batch", [(), (5,), (5, 6)])
def test_gaussian_policy_learns_its_mean_and_one_spread_an_action(batch):
    network = MLP((3, 8, 2))
    policy = GaussianPolicy(network, log_std=-0.5)
    streams = Streams(2, dtype=F64)
    theta = policy.init(streams.child("init"))
    assert theta.shape == (2, network.size + 2)
    theta[1, -2:] = torch.tensor([0.0, math.log(3.0)])
    obs = streams.normal(*batch, 3)
    dist = policy(theta, obs)
    torch.testing.assert_close(dist.mean, network(theta[:, : network.size], obs))
    assert dist.std.shape == (2, *batch, 2)
    torch.testing.assert_close(dist.std[0], torch.full((*batch, 2), math.exp(-0.5), dtype=F64))
    torch.testing.assert_close(dist.std[1], torch.tensor([1.0, 3.0], dtype=F64).expand(*batch, 2))
    assert policy.noise(streams, *batch).shape == (2, *batch, 2)
    assert dist.log_prob(dist.sample(policy.noise(streams, *batch))).shape == (2, *batch)


@pytest.mark.parametrize("batch", [(), (5,), (5, 6)])
def test_a_spread_that_depends_on_the_state_is_the_second_half_of_the_outputs(batch):
    network = MLP((3, 8, 4))
    policy = GaussianPolicy(network, log_std=-0.5, state_dependent_std=True, log_std_range=(-1.0, 0.5))
    streams = Streams(2, dtype=F64)
    theta = 3 * policy.init(streams.child("init"))
    assert theta.shape == (2, network.size)
    obs = streams.normal(*batch, 3)
    dist, outputs = policy(theta, obs), network(theta, obs)
    torch.testing.assert_close(dist.mean, outputs[..., :2])
    torch.testing.assert_close(dist.log_std, (outputs[..., 2:] - 0.5).clamp(-1.0, 0.5))
    assert policy.noise(streams, *batch).shape == (2, *batch, 2)


def test_a_spread_that_depends_on_the_state_starts_at_log_std_and_stays_in_its_range():
    policy = GaussianPolicy(MLP((3, 64, 2), last_gain=0.01), log_std=-0.7, state_dependent_std=True)
    theta = policy.init(Streams(3))
    obs = Streams(3).normal(50, 3)
    assert (policy(theta, obs).log_std + 0.7).abs().max() < 0.05
    wild = policy(1e4 * theta, obs).log_std
    assert (wild.min(), wild.max()) == (-5, 2)


@pytest.mark.parametrize("state_dependent", [False, True])
def test_rescaled_actions_are_center_and_scale_times_those_of_the_plain_policy(state_dependent):
    """Samples of both by the same noise; densities by the change of variables, KL unchanged by it."""
    center, scale = (-2.0, 500.0), (1.0, 1000.0)
    options = {"log_std": -0.5, "state_dependent_std": state_dependent, "log_std_range": (-0.6, 0.0)}
    plain = GaussianPolicy(MLP((3, 8, 4 if state_dependent else 2)), **options)
    policy = replace(plain, center=center, scale=scale)
    streams = Streams(2, dtype=F64)
    theta, other = (3 * policy.init(streams.child(i)) for i in range(2))
    assert torch.equal(theta, 3 * plain.init(Streams(2, dtype=F64).child(0)))
    obs, noise = streams.normal(5, 6, 3), policy.noise(streams, 5, 6)
    dist, unscaled = policy(theta, obs), plain(theta, obs)
    small = unscaled.sample(noise)
    action = torch.tensor(center, dtype=F64) + torch.tensor(scale, dtype=F64) * small
    torch.testing.assert_close(dist.sample(noise), action)
    torch.testing.assert_close(dist.log_prob(action), unscaled.log_prob(small) - math.log(1000))
    torch.testing.assert_close(dist.kl(policy(other, obs)), unscaled.kl(plain(other, obs)))
    assert dist.std.shape == (2, 5, 6, 2)


POLICIES = {
    "softmax": SoftmaxPolicy(MLP((3, 8, 4))),
    "multi-discrete": MultiDiscretePolicy(MLP((3, 8, 5)), (2, 3)),
    "bins": BinsPolicy(MLP((3, 8, 6)), 3, (-2, 0), (2, 1)),
    "bernoulli": BernoulliPolicy(MLP((3, 8, 3))),
    "gaussian": GaussianPolicy(MLP((3, 8, 2)), center=(1, 2), scale=(3, 4)),
    "gaussian, std of the state": GaussianPolicy(MLP((3, 8, 2)), state_dependent_std=True),
    "squashed": SquashedGaussianPolicy(GaussianPolicy(MLP((3, 8, 2))), (-2, 0), (2, 1)),
}


@pytest.fixture(params=POLICIES)
def policy(request):
    return POLICIES[request.param]


def test_a_policy_cut_once_is_the_policy(policy):
    streams = Streams(2, dtype=F64)
    theta, obs, noise = policy.init(streams), streams.normal(6, 3), policy.noise(streams, 6)
    here, there = policy.at(theta)(obs), policy(theta, obs)
    action = there.sample(noise)
    torch.testing.assert_close(here.sample(noise), action)
    torch.testing.assert_close(here.log_prob(action), there.log_prob(action))


def test_observing_moves_nothing_but_the_moments_of_a_normalized_network(policy):
    streams = Streams(2, dtype=F64)
    theta, obs = policy.init(streams), 2 + streams.normal(6, 4, 3)
    mask = streams.uniform(6, 4) < 0.7
    assert policy.observe(theta, obs, mask) is theta
    shown = normalized(policy)
    theta = shown.init(streams)
    before, after = theta.clone(), shown.observe(theta, obs, mask)
    assert torch.equal(theta, before)
    inner = policy.network.size
    moments = slice(inner, inner + 7)
    for row in range(2):
        seen = obs[row][mask[row]]
        expected = torch.cat([seen.mean(0), seen.var(0, correction=0), torch.tensor([len(seen)])])
        torch.testing.assert_close(after[row, moments], expected.double())
    rest = torch.ones(shown.size, dtype=torch.bool)
    rest[moments] = False
    assert torch.equal(after[:, rest], theta[:, rest])


@pytest.mark.parametrize("state_dependent", [False, True])
def test_a_squashed_policy_is_its_gaussian_between_the_bounds(state_dependent):
    gaussian = GaussianPolicy(MLP((3, 8, 4 if state_dependent else 2)), state_dependent_std=state_dependent)
    policy = SquashedGaussianPolicy(gaussian, low=(-2, 0), high=(2, 1))
    streams = Streams(2)
    theta = policy.init(streams.child("init"))
    assert torch.equal(theta, gaussian.init(Streams(2).child("init")))
    obs = streams.normal(40, 3)
    dist, noise = policy(theta, obs), policy.noise(streams, 40)
    assert torch.equal(dist.gaussian.mean, gaussian(theta, obs).mean)
    action = dist.sample(3 * noise)
    assert (action > torch.tensor([-2.0, 0.0])).all()
    assert (action < torch.tensor([2.0, 1.0])).all()
    assert action[..., 0].min() < -1.5
    assert action[..., 0].max() > 1.5
    assert dist.log_prob(action).shape == dist.entropy().shape == (2, 40)


def test_multi_discrete_and_bernoulli_policies():
    network, streams, obs = MLP((3, 8, 5)), Streams(2, dtype=F64), Streams(2, dtype=F64).normal(7, 3)
    theta = network.init(streams.child("init"))
    outputs = network(theta, obs)
    choices, switches = MultiDiscretePolicy(network, (2, 3)), BernoulliPolicy(network)
    for policy, width in ((choices, 2), (switches, 5)):
        assert torch.equal(policy.init(Streams(2, dtype=F64).child("init")), theta)
        noise = policy.noise(streams, 7)
        assert noise.shape == policy(theta, obs).sample(noise).shape == (2, 7, width)
        assert policy(theta, obs).log_prob(policy(theta, obs).sample(noise)).shape == (2, 7)
    torch.testing.assert_close(choices(theta, obs).choices[1].probs, outputs[..., 2:].softmax(-1))
    torch.testing.assert_close(switches(theta, obs).probs, outputs.sigmoid())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiDiscretePolicy(MLP((3, 4)), (2, 3)), r"sum to the network's 4 outputs, got \(2, 3\)"),
        (lambda: MultiDiscretePolicy(MLP((3, 4)), ()), r"sum to the network's 4 outputs, got \(\)"),
        (lambda: BinsPolicy(MLP((3, 5)), 3, (-1, -1), (1, 1)), "3 bins take as many of the network's 5 outputs"),
        (lambda: BinsPolicy(MLP((3, 2)), 1, (-1, -1), (1, 1)), "bins must be 2 or more, got 1"),
        (lambda: BinsPolicy(MLP((3, 2)), 2, (-1,), (math.inf,)), "bounds must be finite"),
        (lambda: GaussianPolicy(MLP((3, 3)), state_dependent_std=True), "two outputs .* for each action, got 3"),
        (
            lambda: GaussianPolicy(MLP((3, 2)), -6.0, state_dependent_std=True),
            r"log_std = -6.0 must lie inside log_std_range = \(-5.0, 2.0\)",
        ),
        (lambda: GaussianPolicy(MLP((3, 2)), center=(0,), scale=(1,)), r"2 actions need as many .* got \(0.0,\) and"),
        (lambda: GaussianPolicy(MLP((3, 1)), center=(0,)), "1 actions need as many numbers in center and scale"),
        (lambda: GaussianPolicy(MLP((3, 1)), center=(0,), scale=(0,)), "center must be finite and scale positive"),
        (
            lambda: GaussianPolicy(MLP((3, 1)), center=(math.nan,), scale=(1,)),
            "center must be finite and scale positiv",
        ),
        (lambda: SquashedGaussianPolicy(GaussianPolicy(MLP((3, 2))), (-1,), (1,)), "2 actions need as many bounds"),
        (lambda: SquashedGaussianPolicy(GaussianPolicy(MLP((3, 1))), (-1,), (math.inf,)), "bounds must be finite"),
        (lambda: SquashedGaussianPolicy(GaussianPolicy(MLP((3, 1))), (1,), (-1,)), r"low below high, got \(1.0,\)"),
    ],
)
def test_bad_policies(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_policy_of_images():
    policy = SoftmaxPolicy(Conv((4, 10, 10), 6, last_gain=0.01))
    theta = policy.init(Streams(2))
    dist = policy(theta, Streams(2).uniform(3, 5, 4, 10, 10))
    assert dist.probs.shape == (2, 3, 5, 6)
    assert (dist.probs - 1 / 6).abs().max() < 0.02


def test_a_small_last_gain_makes_the_first_policy_nearly_uniform():
    policy = SoftmaxPolicy(MLP((4, 64, 64, 3), last_gain=0.01))
    streams = Streams(5)
    dist = policy(policy.init(streams.child("init")), streams.normal(100, 4))
    assert (dist.probs - 1 / 3).abs().max() < 0.02


def test_critic_gives_one_number_a_state():
    critic = Critic(Table(4, 1))
    phi = torch.arange(8.0).view(2, 4)
    assert critic(phi, torch.tensor([[3, 0, 0], [1, 2, 3]])).tolist() == [[3, 0, 0], [5, 6, 7]]
    assert critic.at(phi)(torch.tensor([[3], [1]])).tolist() == [[3], [5]]
    assert critic.init(Streams(2)).shape == (2, critic.size)


# Invalid actions

masks = st.lists(st.lists(st.booleans(), min_size=4, max_size=4).filter(any), min_size=1, max_size=6)


def masked(rows, seed=0):
    """A masked policy, its θ and observations [2, sample, 3 + 4] that end in the masks."""
    policy, streams = MaskedSoftmaxPolicy(MLP((7, 8, 4))), Streams([seed, seed + 1], dtype=F64)
    theta = 2 * streams.child("theta").normal(policy.size)
    mask = torch.tensor(rows, dtype=F64).expand(2, -1, -1)
    return policy, theta, torch.cat([streams.normal(len(rows), 3), mask], -1), mask.bool()


@given(masks, st.integers(0, 100))
def test_an_invalid_action_has_probability_0_and_the_others_are_a_softmax_of_their_own(rows, seed):
    policy, theta, obs, valid = masked(rows, seed)
    dist, logits = policy(theta, obs), policy.network(theta, obs)
    assert (dist.probs[~valid] == 0).all()
    for where in valid.nonzero()[:: len(rows)].tolist():
        seed_, sample, _ = where
        own = logits[seed_, sample][valid[seed_, sample]]
        reference = torch.distributions.Categorical(logits=own)
        torch.testing.assert_close(dist.probs[seed_, sample][valid[seed_, sample]], reference.probs)
        torch.testing.assert_close(dist.entropy()[seed_, sample], reference.entropy())
    for noise in (torch.zeros(valid.shape[:2], dtype=F64), Streams(2, dtype=F64).uniform(len(rows)), 1 - 1e-16):
        noise = noise if torch.is_tensor(noise) else torch.full(valid.shape[:2], noise, dtype=F64)
        action = dist.sample(noise)
        assert valid.gather(-1, action.unsqueeze(-1)).all()
        assert dist.log_prob(action).isfinite().all()
    assert valid.gather(-1, dist.mode.unsqueeze(-1)).all()


@given(masks, st.integers(0, 100))
def test_no_gradient_flows_into_an_invalid_actions_output(rows, seed):
    """Of log π(a), the entropy and the KL divergence, which are finite; exactly 0, not nearly."""
    policy, theta, obs, valid = masked(rows, seed)
    logits = policy.network(theta, obs).detach().requires_grad_()
    dist, other = policy.masked(logits, obs), policy(1.1 * theta, obs)
    action = dist.sample(Streams(2, dtype=F64).uniform(len(rows)))
    for number in (dist.log_prob(action), dist.entropy(), dist.kl(other), other.kl(dist)):
        assert number.isfinite().all()
        (gradient,) = torch.autograd.grad(number.sum(), logits, retain_graph=True)
        assert (gradient[~valid] == 0).all()
        assert gradient.isfinite().all()


def test_a_mask_of_ones_changes_nothing():
    policy, theta, obs, _ = masked([[True] * 4] * 5)
    plain = SoftmaxPolicy(policy.network)
    assert torch.equal(policy(theta, obs).log_probs, plain(theta, obs).log_probs)
    assert torch.equal(policy.at(theta)(obs).log_probs, plain.at(theta)(obs).log_probs)


def test_the_fisher_product_of_a_masked_policy_is_that_of_its_valid_actions():
    """Against the mean of the KL divergence's second derivative, as for other policies."""
    policy, theta, obs, _ = masked([[True, False, True, True], [False, False, True, True], [True] * 4])
    v = Streams(2, dtype=F64).child("v").normal(policy.size)
    obs = obs.unsqueeze(1)
    found = fisher_product(policy, theta, obs, torch.ones(obs.shape[:3], dtype=torch.bool))(v)
    at = theta.clone().requires_grad_()
    kl = policy(theta, obs).kl(policy(at, obs)).mean((1, 2))
    (first,) = torch.autograd.grad(kl.sum(), at, create_graph=True)
    (expected,) = torch.autograd.grad((first * v).sum(), at)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


# Memory


def test_a_recurrent_policy_and_its_critic_see_the_memory():
    plain, critic = SoftmaxPolicy(MLP((3, 8, 4), last_gain=0.01)), Critic(MLP((3, 8, 1)))
    policy, critic = recurrent(plain, critic, 5)
    assert policy == SoftmaxPolicy(GRU(3, 5, 4, 0.01))
    assert critic == Critic(MLP((8, 8, 1)))
    assert memory(policy) == policy.network
    assert memory(plain) is None
    assert recurrent(policy, critic, 5) == (policy, critic)
    gaussian = SquashedGaussianPolicy(GaussianPolicy(MLP((3, 8, 2))), (-1.0, -1.0), (1.0, 1.0))
    assert memory(recurrent(gaussian, Critic(MLP((3, 8, 1))), 5)[0]) == GRU(3, 5, 2)
    assert replayed(policy, 7).network.steps == 7
    for other in (SoftmaxPolicy(Table(3, 2)), MaskedSoftmaxPolicy(MLP((7, 8, 4)))):
        with pytest.raises(ValueError, match="a GRU takes the place of an MLP"):
            recurrent(other, Critic(MLP((3, 8, 1))), 5)
