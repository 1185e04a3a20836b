"""Returns and advantages against their definitions, written out step by step."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcourse.rl import (
    Trajectory,
    discounted_return,
    gae,
    leave_one_out_mean,
    n_step_advantage,
    reward_to_go,
    td_residual,
)

F64 = torch.float64


def column(*numbers, dtype=F64):
    """[1, time, 1]."""
    return torch.tensor(numbers, dtype=dtype).view(1, -1, 1)


@st.composite
def experiences(draw):
    """Random rewards and values with any pattern of ends: [seed, time, env]. Within an episode s'_t is s_{t+1}."""
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 3)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    reward, value, next_value = torch.randn(3, *shape, generator=generator, dtype=F64)
    end = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.2, 0.6]))
    next_value[:, :-1] = torch.where(end[:, :-1], next_value[:, :-1], value[:, 1:])
    for_good = torch.rand(shape, generator=generator) < 0.5
    return reward, value, next_value, end & for_good, end & ~for_good


discounts = st.sampled_from([0.0, 0.3, 0.9, 1.0])


def cells(tensor):
    seeds, steps, envs = tensor.shape
    return [(i, t, e) for i in range(seeds) for t in range(steps) for e in range(envs)]


def by_definition(reward, value, next_value, terminated, truncated, gamma, lam):
    """Schulman et al. (2016), eq. 16: Â_t = Σ_l (γλ)^l δ_{t+l}, the sum stopping at the end of t's episode."""
    result = torch.zeros_like(reward)
    for i, t, e in cells(reward):
        for k in range(t, reward.shape[1]):
            bootstrap = 0.0 if terminated[i, k, e] else next_value[i, k, e]
            delta = reward[i, k, e] + gamma * bootstrap - value[i, k, e]
            result[i, t, e] += (gamma * lam) ** (k - t) * delta
            if terminated[i, k, e] or truncated[i, k, e]:
                break
    return result


def n_step_by_definition(reward, value, next_value, terminated, truncated, gamma, n):
    """Â_t = r_t + ... + γ^(m-1) r_{t+m-1} + γ^m v - v(s_t), where m is n or what is left of the episode."""
    result = torch.zeros_like(reward)
    for i, t, e in cells(reward):
        total = -value[i, t, e]
        for k in range(t, min(t + n, reward.shape[1])):
            total = total + gamma ** (k - t) * reward[i, k, e]
            last = terminated[i, k, e] or truncated[i, k, e] or k == min(t + n, reward.shape[1]) - 1
            if last:
                total = total + gamma ** (k - t + 1) * (0.0 if terminated[i, k, e] else next_value[i, k, e])
                break
        result[i, t, e] = total
    return result


def test_a_return_by_hand():
    reward = column(1, 2, 4)
    end = column(False, False, True, dtype=torch.bool)
    never = torch.zeros_like(end)
    assert discounted_return(reward, 0.5).item() == 3
    assert reward_to_go(reward, end, never, 0.5).flatten().tolist() == [3, 4, 4]
    assert reward_to_go(reward, never, end, 0.5).flatten().tolist() == [3, 4, 4]
    assert reward_to_go(reward, never, end, 0.5, next_value=column(9, 9, 8)).flatten().tolist() == [4, 6, 8]
    assert reward_to_go(reward, end, never, 0.5, next_value=column(9, 9, 8)).flatten().tolist() == [3, 4, 4]


def test_padding_does_not_count():
    mask = column(True, True, False, dtype=torch.bool)
    assert discounted_return(column(1, 2, 1000), 0.5, mask).item() == 2


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_geometric_series(gamma):
    """Reward 1 for T steps: (1 - γ^T) / (1 - γ)."""
    reward = torch.ones(1, 50, 1, dtype=F64)
    assert discounted_return(reward, gamma).item() == pytest.approx((1 - gamma**50) / (1 - gamma), rel=1e-13)


@settings(max_examples=60, deadline=None)
@given(experiences(), discounts, discounts)
def test_gae_is_its_definition(experience, gamma, lam):
    torch.testing.assert_close(gae(*experience, gamma, lam), by_definition(*experience, gamma, lam))


@settings(max_examples=60, deadline=None)
@given(experiences(), discounts, st.integers(1, 12))
def test_n_step_is_its_definition(experience, gamma, n):
    torch.testing.assert_close(n_step_advantage(*experience, gamma, n), n_step_by_definition(*experience, gamma, n))


@settings(max_examples=40, deadline=None)
@given(experiences(), discounts, st.sampled_from([0.0, 0.4, 0.95]))
def test_gae_is_the_exponentially_weighted_mean_of_n_step_advantages(experience, gamma, lam):
    """Â = (1-λ) Σ_n λ^(n-1) Â^(n): from n = T on nothing changes, so that the tail has the weight λ^(T-1)."""
    steps = experience[0].shape[1]
    mean = lam ** (steps - 1) * n_step_by_definition(*experience, gamma, steps)
    for n in range(1, steps):
        mean = mean + (1 - lam) * lam ** (n - 1) * n_step_by_definition(*experience, gamma, n)
    torch.testing.assert_close(gae(*experience, gamma, lam), mean)


@settings(max_examples=40, deadline=None)
@given(experiences(), discounts)
def test_both_ends_of_lambda(experience, gamma):
    reward, value, next_value, terminated, truncated = experience
    residual = td_residual(reward, value, next_value, terminated, gamma)
    torch.testing.assert_close(gae(*experience, gamma, 0.0), residual)
    torch.testing.assert_close(n_step_advantage(*experience, gamma, 1), residual)
    ret = reward_to_go(reward, terminated, truncated, gamma, next_value)
    torch.testing.assert_close(gae(*experience, gamma, 1.0), ret - value)


@settings(max_examples=40, deadline=None)
@given(experiences(), st.integers(0, 8), st.booleans())
def test_nothing_crosses_the_end_of_an_episode(experience, t, for_good):
    t = t % experience[0].shape[1]
    terminated, truncated = experience[3:]
    terminated[:, t], truncated[:, t] = for_good, not for_good
    other = [x.clone() for x in experience]
    for x in other[:3]:
        x[:, t + 1 :] += 100
    for function in (gae, n_step_advantage):
        parameter = 0.9 if function is gae else 20
        before, after = function(*experience, 0.9, parameter), function(*other, 0.9, parameter)
        assert torch.equal(before[:, : t + 1], after[:, : t + 1])


def test_gradients_flow_through_gae():
    """∂Â_t/∂v(s_t) = -1 where nothing else is looked at, and what was given stays as it is."""
    end = column(False, True, False, dtype=torch.bool)
    reward, value, next_value = column(1, 2, 4), column(2, 1, 3).requires_grad_(), column(1, 3, 10)
    advantage = gae(reward, value, next_value, end, torch.zeros_like(end), 0.8, 0.5)
    assert torch.equal(advantage, gae(reward, value.detach(), next_value, end, torch.zeros_like(end), 0.8, 0.5))
    (slope,) = torch.autograd.grad(advantage[:, 0].sum(), value)
    torch.testing.assert_close(slope, column(-1.0, -0.4, 0.0))


def test_gae_by_hand():
    """The three steps of chapter 05: γ = 0.8, λ = 0.5, δ = (-0.2, 1.4, -1)."""
    end = column(False, False, True, dtype=torch.bool)
    steps = column(1, 0, 2), column(2, 1, 3), column(1, 3, 10), end, torch.zeros_like(end)
    torch.testing.assert_close(td_residual(*steps[:4], 0.8), column(-0.2, 1.4, -1.0))
    torch.testing.assert_close(gae(*steps, 0.8, 0.5), column(0.2, 1.0, -1.0))
    for n, advantage in ((1, -0.2), (2, 0.92), (3, 0.28)):
        assert n_step_advantage(*steps, 0.8, n)[0, 0, 0].item() == pytest.approx(advantage)


def test_at_lambda_one_a_rollout_that_is_cut_still_leans_on_the_last_value():
    """The last value is 10 higher: 16 advantages rise by 10 (γ + ... + γ^16) / 16 = 9.2 on average."""
    zero, never = torch.zeros(1, 16, 1, dtype=F64), torch.zeros(1, 16, 1, dtype=torch.bool)
    next_value = zero.clone()
    next_value[:, -1] = 10
    rise = gae(zero, zero, next_value, never, never, 0.99, 1.0)
    torch.testing.assert_close(rise.flatten(), 10 * 0.99 ** torch.arange(16, 0, -1, dtype=F64))
    assert rise.mean().item() == pytest.approx(9.19, abs=0.01)


class TestNeverEndingUnitReward:
    """A world with reward 1 forever, watched for ten steps at a time: V = 1/(1-γ), whatever the time limit."""

    gamma = 0.9
    reward = torch.ones(1, 10, 4, dtype=F64)
    limit = torch.zeros(1, 10, 4, dtype=torch.bool).index_fill(1, torch.tensor(9), True)
    never = torch.zeros_like(limit)

    def learned(self, terminated, truncated):
        """Fit one number to bootstrapped returns until it no longer changes."""
        value = torch.zeros(1, dtype=F64)
        for _ in range(400):
            next_value = value.expand(1, 10, 4)
            value = reward_to_go(self.reward, terminated, truncated, self.gamma, next_value).mean()
        return value.item()

    def test_truncation_bootstraps(self):
        assert self.learned(self.never, self.limit) == pytest.approx(1 / (1 - self.gamma), rel=1e-12)

    def test_truncation_treated_as_termination_learns_another_number(self):
        """It learns the mean of (1 - γ^k)/(1 - γ) over the k = 1..10 steps that are left."""
        wrong = self.learned(self.limit, self.never)
        left = torch.arange(1, 11, dtype=F64)
        assert wrong == pytest.approx(((1 - self.gamma**left) / (1 - self.gamma)).mean().item(), rel=1e-12)
        assert wrong < 0.5 / (1 - self.gamma)

    @pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
    def test_the_true_value_leaves_no_advantage(self, lam):
        true = torch.full_like(self.reward, 1 / (1 - self.gamma))
        right = gae(self.reward, true, true, self.never, self.limit, self.gamma, lam)
        wrong = gae(self.reward, true, true, self.limit, self.never, self.gamma, lam)
        torch.testing.assert_close(right, torch.zeros_like(right))
        assert wrong[:, -1].max() == pytest.approx(-self.gamma / (1 - self.gamma))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000))
def test_leave_one_out_mean(envs, steps, seed):
    generator = torch.Generator().manual_seed(seed)
    length = torch.randint(1, steps + 1, (envs,), generator=generator)
    mask = (torch.arange(steps).unsqueeze(1) < length).unsqueeze(0)
    ret = torch.randn(1, steps, envs, generator=generator, dtype=F64)
    result = leave_one_out_mean(ret, mask)
    for _, t, e in cells(ret):
        others = [ret[0, t, j] for j in range(envs) if j != e and mask[0, t, j]]
        expected = torch.stack(others).mean() if others and mask[0, t, e] else torch.zeros((), dtype=F64)
        torch.testing.assert_close(result[0, t, e], expected)


def test_arguments_that_would_broadcast_are_refused():
    reward, flag = torch.zeros(2, 5, 3), torch.zeros(2, 5, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"value must have shape \[2, 5, 3\], got \[2, 5, 3, 1\]"):
        td_residual(reward, reward.unsqueeze(-1), reward, flag, 0.9)
    with pytest.raises(ValueError, match=r"truncated must have shape \[2, 5, 3\], got \[2, 5, 1\]"):
        reward_to_go(reward, flag, flag[..., :1], 0.9)
    with pytest.raises(ValueError, match=r"\[seed, time, env\], got shape \[5, 3\]"):
        discounted_return(reward[0], 0.9)
    with pytest.raises(ValueError, match=r"mask must have shape"):
        leave_one_out_mean(reward, flag[:1])
    with pytest.raises(ValueError, match=r"next_obs must be .* \[2, 5, 3\]; got \[2, 4, 3\]"):
        Trajectory(reward, reward, reward, reward[:, 1:], flag, flag, flag)


@pytest.mark.parametrize(("gamma", "lam", "name"), [(1.5, 0.9, "gamma"), (-0.1, 0.9, "gamma"), (0.9, 2.0, "lam")])
def test_discounts_outside_the_unit_interval_are_refused(gamma, lam, name):
    reward, flag = torch.zeros(1, 2, 1), torch.zeros(1, 2, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\]"):
        gae(reward, reward, reward, flag, flag, gamma, lam)


def test_n_must_be_positive():
    reward, flag = torch.zeros(1, 2, 1), torch.zeros(1, 2, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match="n must be 1 or more, got 0"):
        n_step_advantage(reward, reward, reward, flag, flag, 0.9, 0)
