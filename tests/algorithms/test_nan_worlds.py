"""No algorithm goes on silently where a world returns NaN."""

import pytest
import torch

from pgcourse.algorithms import ALGORITHMS, find, training
from pgcourse.envs import CartPole


class NaNReward(CartPole):
    """Once one pole of one copy leans to the right by more than its start allows, its reward is NaN."""

    name = "NaNReward-v0"

    def transition(self, state, action, noise):
        following, reward, terminated = super().transition(state, action, noise)
        return following, reward.where(following[..., 2] < 0.1, torch.nan), terminated


class NaNObservation(CartPole):
    """The same for what is seen of its position; the state itself is as it should be."""

    name = "NaNObservation-v0"

    def observe(self, state):
        position = state[..., :1].where(state[..., 2:3] < 0.1, torch.nan)
        return torch.cat([position, state[..., 1:]], -1)


class NaNAtTheLimit(CartPole):
    """The true successor is NaN where the time limit cuts; what the policy sees next is as it should be."""

    name = "NaNAtTheLimit-v0"
    time_limit = 8

    def step(self, action, noise):
        step = super().step(action, noise)
        return step._replace(next_obs=step.next_obs.masked_fill(step.truncated.unsqueeze(-1), torch.nan))


class NaNBehindTheEnd(CartPole):
    """A state in which the world has ended is NaN, as of a simulator that ends where its numbers overflow."""

    name = "NaNBehindTheEnd-v0"

    def step(self, action, noise):
        step = super().step(action, noise)
        return step._replace(next_obs=step.next_obs.masked_fill(step.terminated.unsqueeze(-1), torch.nan))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("world", "what"), [(NaNReward, "reward"), (NaNObservation, "observation"), (NaNAtTheLimit, "observation")]
)
def test_nan_ends_training(algorithm, world, what):
    with pytest.raises(FloatingPointError, match=f"NaN.*{what}|{what}.*NaN"):
        for _ in training(find(algorithm)(), lambda envs: world(envs), seeds=2, steps=20_000):
            pass


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_seen_where_the_world_has_ended_changes_no_bit(algorithm):
    def learned(world):
        *_, last = training(find(algorithm)(), lambda envs: world(envs), seeds=2, steps=2_000)
        return last.policy.theta

    assert torch.equal(learned(NaNBehindTheEnd), learned(CartPole))
