"""Details that are options, each against what it says: Adam's ε, which norm is clipped, how actions are scaled."""

import math
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.distributions import AffineTransform, Independent, Normal, TransformedDistribution

import pgcourse as pg
from pgcourse.algorithms import DQN, Architecture, iterate, rollout, train
from pgcourse.core import MLP, GaussianPolicy, Streams
from pgcourse.envs.base import TensorWorld

SMALL = {"envs": 4, "horizon": 16}
ONE_STEP = {
    "reinforce": (pg.REINFORCE(envs=4, baseline="value", critic_updates=1), ("theta", "phi")),
    "a2c": (pg.A2C(**SMALL, max_grad_norm=math.inf), ("theta", "phi")),
    "ppo": (pg.PPO(**SMALL, epochs=1, minibatches=1, max_grad_norm=math.inf), ("theta", "phi")),
    "trpo": (pg.TRPO(**SMALL, critic_steps=1), ("phi",)),
    "dqn": (DQN(**SMALL, updates=1, max_grad_norm=math.inf), ("phi",)),
}


def after_one(algorithm):
    """θ and φ before and after the first update, and its gradients: Adam's first mean is a tenth of them."""
    streams = Streams(3, dtype=torch.float64)
    (it,) = islice(iterate(algorithm, "CartPole-v1", streams), 1)
    world = pg.make("CartPole-v1", algorithm.envs, dtype=torch.float64)
    first = algorithm.init(Architecture().policy(world), Architecture().critic(world), streams.child("init"))
    adam = {part: getattr(it.state, f"{part}_adam", None) for part in ("theta", "phi")}
    gradients = {part: state.mean / 0.1 for part, state in adam.items() if state}
    return first, it.state, gradients


@pytest.mark.parametrize("name", ONE_STEP)
@pytest.mark.parametrize("eps", [1e-8, 1e-5, 1e-2, 10.0])
def test_the_first_step_of_adam_says_its_epsilon(name, eps):
    """Both corrections of the bias undo the averaging: θ - lr · g / (|g| + ε). Kingma & Ba (2015)."""
    algorithm, parts = ONE_STEP[name]
    first, last, gradients = after_one(replace(algorithm, adam_eps=eps))
    rates = {"theta": getattr(algorithm, "lr", None), "phi": getattr(algorithm, "critic_lr", None)}
    if name == "dqn":
        rates["phi"] = algorithm.lr
    for part in parts:
        g = gradients[part]
        expected = -rates[part] * g / (g.abs() + eps)
        torch.testing.assert_close(
            getattr(last, part) - getattr(first, part), expected, rtol=0, atol=1e-9 * expected.abs().max().item()
        )
        assert g.abs().max() > 1e-3


@pytest.mark.parametrize("name", ["a2c", "ppo"])
@pytest.mark.parametrize("norm", [0.01, 0.3])
def test_which_norm_is_clipped(name, norm):
    """Each: θ's gradient and φ's to the norm each. Jointly: both together as one vector, by one factor."""
    algorithm, _ = ONE_STEP[name]
    _, _, free = after_one(algorithm)
    lengths = {part: g.norm(dim=1, keepdim=True) for part, g in free.items()}
    together = torch.cat([free["theta"], free["phi"]], 1).norm(dim=1, keepdim=True)
    for jointly in (False, True):
        _, _, clipped = after_one(replace(algorithm, max_grad_norm=norm, clip_jointly=jointly))
        for part in ("theta", "phi"):
            scale = (norm / (together if jointly else lengths[part])).clamp(max=1.0)
            torch.testing.assert_close(clipped[part], scale * free[part])
    assert (together > norm).all()
    assert not torch.allclose(norm / together, norm / lengths["theta"])


def test_metrics_are_norms_before_clipping():
    algorithm, _ = ONE_STEP["ppo"]
    _, _, free = after_one(algorithm)
    (it,) = islice(iterate(replace(algorithm, max_grad_norm=0.01), "CartPole-v1", Streams(3, dtype=torch.float64)), 1)
    torch.testing.assert_close(it.metrics.grad_norm, free["theta"].norm(dim=1))
    torch.testing.assert_close(it.metrics.critic_grad_norm, free["phi"].norm(dim=1))


# Actions in units of their bounds

BOUNDS = {"large": ([0.0], [1000.0]), "off the middle": ([-3.0], [-1.0]), "both": ([0.0, -3.0], [1000.0, -1.0])}


def boxed(name):
    low, high = (np.array(each, dtype=np.float32) for each in BOUNDS[name])
    return SimpleNamespace(name=name, observation_space=spaces.Box(-1, 1, (3,)), action_space=spaces.Box(low, high))


def sampled(architecture, world, number=4000):
    policy = architecture.policy(world)
    obs, streams = Streams(2).uniform(number, 3), Streams(2)
    return policy(policy.init(streams), obs).sample(policy.noise(streams.child("act"), number))


@pytest.mark.parametrize("name", BOUNDS)
def test_rescaled_actions_cover_their_bounds(name):
    """σ = 1 is half the width: two thirds of the actions lie inside, in the outer tenths e^-½ times as many as in the
    middle ones; without rescaling there are tenths that are hardly ever reached."""
    world = boxed(name)
    low, high = (torch.tensor(each) for each in BOUNDS[name])

    def tenths(architecture):
        place = (sampled(architecture, world) - low) / (high - low)
        inside = ((place >= 0) & (place <= 1)).double().mean((0, 1))
        return inside, [place[..., i].histc(10, 0, 1) for i in range(len(low))]

    inside, counts = tenths(Architecture(rescale_action=True))
    torch.testing.assert_close(inside, torch.full_like(inside, math.erf(1 / math.sqrt(2))), rtol=0, atol=0.02)
    assert all(each.min() > 0.5 * each.max() for each in counts)
    _, counts = tenths(Architecture())
    assert all(each.min() < 0.05 * each.max() for each in counts)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("std", ["global", "state"])
def test_densities_of_rescaled_actions_are_those_of_the_change_of_variables(name, std):
    """Against torch's own transformed distribution; entropy by Monte Carlo, E[-log π], and by + log h."""
    world = boxed(name)
    low, high = (torch.tensor(each, dtype=torch.float64) for each in BOUNDS[name])
    center, scale = (low + high) / 2, (high - low) / 2
    architecture = Architecture((16,), std=std, log_std=-0.5)
    plain, scaled = architecture.policy(world), replace(architecture, rescale_action=True).policy(world)
    streams = Streams(2, dtype=torch.float64)
    theta = plain.init(streams) + 0.3 * streams.child("move").normal(plain.size)
    assert scaled.size == plain.size
    obs = streams.uniform(5000, 3)
    unit, dist = plain(theta, obs), scaled(theta, obs)
    noise = plain.noise(streams.child("act"), 5000)
    action = dist.sample(noise)
    torch.testing.assert_close(action, center + scale * unit.sample(noise))
    reference = TransformedDistribution(
        Independent(Normal(unit.mean, unit.std), 1), [AffineTransform(center, scale, event_dim=1)]
    )
    torch.testing.assert_close(dist.log_prob(action), reference.log_prob(action))
    torch.testing.assert_close(dist.entropy(), unit.entropy() + scale.log().sum())
    surprise = -dist.log_prob(action)
    spread = surprise.std(1) / math.sqrt(5000)
    assert ((surprise.mean(1) - dist.entropy().mean(1)).abs() < 4 * spread).all()
    torch.testing.assert_close(dist.mode, center + scale * unit.mean)
    other = plain(1.1 * theta, obs), scaled(1.1 * theta, obs)
    torch.testing.assert_close(dist.kl(other[1]), unit.kl(other[0]))  # no change of variables changes it


class Aim(TensorWorld):
    """Episodes of one step; the reward is how near the action comes to 700 in a Box of 0 to 1000."""

    name, time_limit = "Aim", 1
    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Box(0, 1000, (1,))
    initial_noise = 1

    def initial(self, noise):
        return noise

    def transition(self, state, action, noise):
        reward = -(action[..., 0].clamp(0, 1000) - 700).abs() / 1000
        return state, reward, torch.ones_like(reward, dtype=torch.bool)


def test_with_it_an_aim_far_away_is_learnt_and_without_not():
    def last(rescale):
        policy = Architecture((16,), rescale_action=rescale).policy(Aim())
        run = train(pg.A2C(envs=16, horizon=8, lr=3e-2), Aim, 3, 15_000, policy=policy)
        return run.curves.groupby("seed")["return"].last()

    assert (last(True) > -0.12).all()
    assert (last(False) < -0.6).all()


def test_what_cannot_be_rescaled_is_refused():
    unbounded = SimpleNamespace(
        name="Open", observation_space=spaces.Box(-1, 1, (3,)), action_space=spaces.Box(-np.inf, np.inf, (1,))
    )
    with pytest.raises(ValueError, match="Open: rescale_action takes finite bounds of actions, got Box"):
        Architecture(rescale_action=True).policy(unbounded)
    with pytest.raises(ValueError, match="Architecture: rescale_action is for Gaussians"):
        Architecture(std="squashed", rescale_action=True)
    assert Architecture().policy(unbounded) == GaussianPolicy(MLP((3, 64, 64, 1), last_gain=0.01))


def test_rescaled_actions_are_what_the_world_is_given():
    world = Aim(4)
    policy = Architecture((16,), rescale_action=True).policy(world)
    streams = Streams(2)
    batch, _ = rollout(policy, policy.init(streams), world, world.reset(streams), 50, streams.child("act"))
    assert batch.action.mean() == pytest.approx(500, abs=150)
    assert batch.action.std() == pytest.approx(500, rel=0.2)


def test_a_bound_on_sigma_falls_geometrically_and_touches_nothing_else():
    """With steps of size 0 for σ to fall by, it is the bound itself: σ₀^(1-p) σ_end^p after an update at progress p."""
    algorithm = pg.PPO(**SMALL, final_std=0.1, lr=1e-9)
    world, streams = pg.make("Pendulum-v1", 4), Streams(2)
    network = Architecture((8,), log_std=-0.5)
    state = algorithm.init(network.policy(world), network.critic(world), streams.child("init"))
    batch, _ = rollout(state.policy, state.theta, world, world.reset(streams), 16, streams)
    for progress in (0.0, 0.25, 1.0):
        after, _ = algorithm.update(state, batch, progress, streams)
        expected = math.exp(-0.5) ** (1 - progress) * 0.1**progress
        torch.testing.assert_close(after.theta[:, -1].exp(), torch.full((2,), expected), rtol=1e-5, atol=0)
        torch.testing.assert_close(after.theta[:, :-1], state.theta[:, :-1], rtol=0, atol=1e-5)
    low = state._replace(theta=state.theta.clone())
    low.theta[:, -1] = -9.0  # a σ below the bound stays
    after, _ = algorithm.update(low, batch, 0.5, streams)
    torch.testing.assert_close(after.theta[:, -1], low.theta[:, -1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("progress", "gamma"), [(0.0, 0.9), (0.5, 1 - 0.1 * 16 ** (-1 / 4)), (1.0, 1 - 0.1 / 16)])
def test_an_update_with_a_growing_discount_is_one_with_the_discount_of_its_time(progress, gamma):
    """Factor 16, so 1/(1-γ) is 10 steps, twice as many in the middle of the training, and 160 at its end."""
    growing, fixed = pg.PPO(**SMALL, gamma=0.9, final_gamma=1 - 0.1 / 16), pg.PPO(**SMALL, gamma=gamma)
    assert growing.discount(progress) == pytest.approx(gamma, abs=1e-15)
    world, streams = pg.make("CartPole-v1", 4), Streams(2)
    state = growing.init(Architecture((8,)).policy(world), Architecture((8,)).critic(world), streams.child("init"))
    batch, _ = rollout(state.policy, state.theta, world, world.reset(streams), 16, streams)
    fixed = replace(fixed, gamma=growing.discount(progress))
    for one, other in zip(
        *(x.update(state, batch, progress, Streams(2))[0][2:4] for x in (growing, fixed)), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("final", [0.5, 1.0])
def test_a_discount_that_would_shrink_or_reach_one_is_refused(final):
    with pytest.raises(ValueError, match=rf"final_gamma must be 0 or from gamma = 0\.9 to below 1, got {final}"):
        pg.PPO(gamma=0.9, final_gamma=final)


def test_without_a_bound_every_bit_is_as_it_was():
    def trained(final_std):
        return train(pg.PPO(**SMALL, final_std=final_std), "Pendulum-v1", seeds=2, steps=640).policy.theta

    assert torch.equal(trained(math.inf), trained(1e9))  # a bound that is never reached computes the same
    assert not torch.equal(trained(math.inf), trained(0.5))


@pytest.mark.parametrize(("env", "network"), [("CartPole-v1", {}), ("Pendulum-v1", {"std": "state"})])
def test_a_bound_on_what_has_no_sigma_is_refused(env, network):
    world = pg.make(env)
    with pytest.raises(ValueError, match=r"final_std is for Gaussians whose σ is the same in all states, got 0\.1 "):
        pg.PPO(final_std=0.1).init(Architecture(**network).policy(world), Architecture().critic(world), Streams(1))
