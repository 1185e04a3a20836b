"""PPO with a memory: what acting carries on, what an update replays, and a world in which only memory helps."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from gymnasium import spaces

import pgcourse as pg
from pgcourse.algorithms import PPO, RecurrentPPO, episodes, evaluate, iterate
from pgcourse.algorithms.architecture import default_critic, default_policy
from pgcourse.core import memory, replayed
from pgcourse.envs import TensorWorld

SMALL = RecurrentPPO(envs=4, horizon=16, minibatches=2, epochs=2, units=8)
WORLD = "CartPolePositions-v0"
F64 = torch.float64


class Echo(TensorWorld):
    """Shows -1 or 1, then 0; the reward is 1 where the second action says what was shown, after which it terminates."""

    name, time_limit, initial_noise = "Echo", 10, 1
    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(2)

    def initial(self, noise):
        return torch.cat([(noise > 0.5).to(noise.dtype), torch.zeros_like(noise)], -1)

    def transition(self, state, action, noise):
        shown, time = state.unbind(-1)
        return torch.stack([shown, time + 1], -1), ((time == 1) & (action == shown)).to(state.dtype), time == 1

    def observe(self, state):
        return torch.where(state[..., 1:] == 0, 2 * state[..., :1] - 1, 0.0)


def played(algorithm=SMALL, world=WORLD, number=3, seeds=2):
    """Iterations in float64."""
    return list(islice(iterate(algorithm, world, pg.Streams(seeds, dtype=F64)), number))


def test_a_memory_is_carried_on_within_episodes_across_rollouts_and_not_beyond():
    """Step by step, against the cell."""
    algorithm = replace(SMALL, horizon=40)
    first, second, *_ = played(algorithm)
    batch, policy = second.batch, first.state.policy
    remembered = memory(policy).memory(first.state.theta[:, : policy.network.size])(batch.obs)
    assert batch.obs.shape == batch.next_obs.shape == (2, 40, 4, 2 + 8)
    torch.testing.assert_close(batch.next_obs[..., 2:], remembered)
    over = batch.done[:, :-1].unsqueeze(-1)
    assert over.any()
    torch.testing.assert_close(batch.obs[:, 1:, :, 2:], remembered[:, :-1].masked_fill(over, 0.0))
    assert torch.equal(batch.obs[:, 0], first.obs)
    assert (batch.obs[:, 0, :, 2:] != 0).any()
    assert (played(algorithm)[0].batch.obs[:, 0, :, 2:] == 0).all()


def test_before_any_step_the_replayed_policy_is_the_one_that_acted():
    *_, before, it = played()
    algorithm, state, flat = SMALL, before.state, it.batch.obs.flatten(1, 2)
    policy = state.policy
    step_by_step = policy(state.theta, flat).log_probs
    through_time = replayed(policy, algorithm.horizon)(state.theta, flat).log_probs
    torch.testing.assert_close(through_time, step_by_step, rtol=0, atol=1e-12)
    moved = state.theta + 0.1
    assert not torch.allclose(replayed(policy, 16)(moved, flat).log_probs, policy(moved, flat).log_probs)


def test_minibatches_take_whole_copies_time_by_time():
    order = SMALL.order(pg.Streams(3))
    assert torch.equal(order.sort(1).values, torch.arange(64).expand(3, -1))
    for part in order.chunk(2, 1):
        time, copy = part.view(3, 16, 2) // 4, part.view(3, 16, 2) % 4
        assert torch.equal(time, torch.arange(16).view(16, 1).expand(3, 16, 2))
        assert torch.equal(copy, copy[:, :1].expand_as(copy))
    assert not torch.equal(order[0], order[1])


def test_a_step_is_ppos_on_the_gradient_through_time():
    """One pass over the whole rollout, against PPO's loss by automatic differentiation through the cell."""
    algorithm = replace(SMALL, epochs=1, minibatches=1, max_grad_norm=1e9)
    first, second, *_ = played(algorithm)
    state, batch = first.state, second.batch
    after, metrics = algorithm.update(state, batch, 0.1, pg.Streams(2, dtype=F64))
    samples, _ = algorithm.samples(state, batch)
    theta = state.theta.clone().requires_grad_()
    network, h, outputs = state.policy.network, batch.obs[:, 0, :, 2:], []
    for t in range(algorithm.horizon):
        if t > 0:
            h = h.where(~batch.done[:, t - 1].unsqueeze(-1), 0.0)
        x = torch.cat([batch.obs[:, t, :, :2], h], -1)
        outputs.append(network(theta, x))
        h = network.memory(theta)(x)
    dist = state.policy.distribution(torch.stack(outputs, 1).flatten(1, 2))
    advantage = samples.advantage
    advantage = (advantage - advantage.mean(1, keepdim=True)) / (advantage.std(1, keepdim=True) + 1e-8)
    log_prob = dist.log_prob(samples.action)
    (g,) = torch.autograd.grad(-(advantage * (log_prob - log_prob.detach()).exp()).mean(1).sum(), theta)
    torch.testing.assert_close(after.theta_adam.mean - 0.9 * state.theta_adam.mean, 0.1 * g)
    torch.testing.assert_close(metrics.kl, torch.zeros(2, dtype=F64), rtol=0, atol=1e-12)
    assert after.policy == state.policy


def test_only_memory_helps_where_the_answer_is_shown_before_the_question():
    options = {"envs": 32, "horizon": 16, "epochs": 4, "lr": 1e-2}
    seeds, steps = [0, 1, 2], 15_000
    for algorithm, low, high in ((RecurrentPPO(**options), 0.95, 1.0), (PPO(**options), 0.4, 0.6)):
        run = pg.train(algorithm, Echo, seeds, steps)
        reached = evaluate(run.policy, 200).groupby("seed")["return"].mean()
        assert (reached >= low).all()
        assert (reached <= high).all()


def test_it_learns_continuous_actions_too_and_resumes_bit_for_bit():
    algorithm = replace(SMALL, objective="penalty", normalize_reward=True)
    arguments = (algorithm, "Pendulum-v1", [3, 5], 400)
    seen = list(pg.training(*arguments, checkpoint_steps=150))
    checkpoints = [each.checkpoint for each in seen if each.checkpoint]
    assert checkpoints
    for checkpoint in checkpoints:
        *_, last = pg.training(*arguments, checkpoint_steps=150, resume=checkpoint)
        assert torch.equal(last.policy.theta, seen[-1].policy.theta)


def test_episodes_start_with_an_empty_memory():
    world = pg.make(WORLD, 3)
    policy, critic = default_policy(world), default_critic(world)
    state = SMALL.init(policy, critic, pg.Streams(2))
    batch = episodes(state.policy, state.theta, world, pg.Streams(2).child("play"))
    assert (batch.obs[:, 0, :, 2:] == 0).all()
    assert (batch.obs[:, 1, :, 2:] != 0).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"envs": 6, "minibatches": 4}, "minibatches must divide envs = 6"),
        ({"normalize_observation": True}, "normalize_observation must be False"),
        ({"units": 0}, "units must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RecurrentPPO(**options)
