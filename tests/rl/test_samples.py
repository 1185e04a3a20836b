"""Samples, masked sums and explained variance, against loops and numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.rl import Samples, Trajectory, explained_variance, gae, judged, standardized
from pgcourse.rl.objectives import masked_mean, masked_sum

F64 = torch.float64


@pytest.mark.parametrize(
    "shape", [(2, 5, 3), (2, 4, 6), (3, 7)], ids=["seed, time, env", "seed, sample, token", "seed, sample"]
)
def test_masked_sums_are_those_of_a_loop_whatever_the_padding_holds(shape):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator, dtype=F64)
    mask = torch.rand(shape, generator=generator) < 0.6
    rows = zip(x.flatten(1).tolist(), mask.flatten(1).tolist(), strict=True)
    kept = [[value for value, real in zip(*row, strict=True) if real] for row in rows]
    for padding in (0.0, math.nan, math.inf):
        padded = x.where(mask, padding).requires_grad_()
        total, mean = masked_sum(padded, mask), masked_mean(padded, mask)
        assert total.tolist() == pytest.approx([sum(row) for row in kept])
        assert mean.tolist() == pytest.approx([sum(row) / len(row) for row in kept])
        (gradient,) = torch.autograd.grad(mean.sum(), padded)
        count = mask.flatten(1).sum(1).view(-1, *(1,) * (len(shape) - 1))
        assert torch.equal(gradient, (1 / count.double()).expand(shape).where(mask, 0.0))


def test_a_mean_counts_tokens_and_not_their_rows():
    """Rows of 1 and of 3 tokens: each token counts the same, as in a sum over all of them."""
    x = torch.tensor([[[6.0, 0, 0], [1.0, 2.0, 3.0]]])
    mask = torch.tensor([[[True, False, False], [True, True, True]]])
    assert masked_mean(x, mask).item() == 3


def test_explained_variance():
    target = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 4 + [[5.0] * 4])
    value = torch.tensor([[1.0, 2, 3, 4], [7.0, 8, 9, 10], [2.5] * 4, [4.0, 3, 2, 1], [4.0, 5, 6, 7]])
    found = explained_variance(target, value)
    # Perfect; off by a constant, which no variance sees; nothing explained; worse than nothing; nothing to explain.
    assert found[:4].tolist() == [1, 1, 0, -3]
    assert found[4].isnan()


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_explained_variance_is_numpys(seed, samples):
    random = np.random.default_rng(seed)
    target, value = random.normal(size=(2, 3, samples))
    expected = 1 - np.var(target - value, axis=1) / np.var(target, axis=1)
    np.testing.assert_allclose(explained_variance(torch.tensor(target), torch.tensor(value)), expected, rtol=1e-9)


@given(
    st.integers(0, 10_000), st.sampled_from([1, 2, 9, 640]), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e-2, 30.0])
)
def test_a_target_that_varies_by_rounding_alone_explains_nothing(seed, samples, reward, spread):
    """γ = 0 and one reward: Â + v is the reward up to rounding, whatever the critic says."""
    random = np.random.default_rng(seed)
    reward, value = (
        torch.tensor(x).expand(1, samples, 1).float() for x in (reward, random.normal(size=(1, samples, 1)))
    )
    value = reward + spread * value
    over = torch.zeros_like(reward, dtype=torch.bool)
    batch = Trajectory(value, value, reward, value, over, over, ~over)
    judgement = judged(lambda phi, obs: obs, torch.zeros(1, 0), batch, gamma=0.0, lam=0.95)
    assert explained_variance(judgement.target, judgement.value).isnan().all()


def test_a_target_that_does_vary_a_little_is_explained():
    """A spread of a thousandth of what is added to it: ten bits are left of float32's 24."""
    target = 1000 + torch.randn(1, 500, generator=torch.Generator().manual_seed(0))
    error = 0.5 * torch.randn(1, 500, generator=torch.Generator().manual_seed(1))
    expected = 1 - np.var(error.double().numpy()) / np.var(target.double().numpy())
    assert explained_variance(target, target - error).item() == pytest.approx(expected, abs=1e-3)


def test_standardized_samples_have_mean_0_and_deviation_1_in_each_seed():
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), dtype=F64) * torch.tensor([[1.0], [5.0], [0.1]])
    found = standardized(x + 7).numpy()
    np.testing.assert_allclose(found.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(1, ddof=1), 1, rtol=1e-6)
    assert torch.equal(standardized(torch.full((1, 4), 3.0)), torch.zeros(1, 4))


def trajectory(seeds=2, steps=6, envs=3):
    generator = torch.Generator().manual_seed(4)
    shape = (seeds, steps, envs)
    number = torch.arange(math.prod(shape), dtype=F64).view(shape)
    reward = torch.randn(shape, generator=generator, dtype=F64)
    ends = torch.rand(2, *shape, generator=generator) < 0.3
    return Trajectory(number, number + 0.25, reward, number + 0.5, *ends, torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("bootstrap", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_judged_steps_are_gae_with_the_critics_values(bootstrap, scaled):
    batch = trajectory()

    def critic(phi, obs):
        return phi.view(-1, 1, 1) * obs.sin()

    phi, reward = torch.tensor([1.0, -2.0], dtype=F64), 3 * batch.reward if scaled else None
    samples = judged(critic, phi, batch, 0.9, 0.8, reward, bootstrap)
    terminated = batch.terminated if bootstrap else batch.terminated | batch.truncated
    value = critic(phi, batch.obs)
    expected = gae(
        3 * batch.reward if scaled else batch.reward, value, critic(phi, batch.next_obs), terminated, batch.truncated,
        0.9, 0.8,
    )  # fmt: skip
    assert torch.equal(samples.advantage, expected.flatten(1))
    assert torch.equal(samples.target, (expected + value).flatten(1))
    assert torch.equal(samples.obs + 0.25, samples.action)
    assert samples.log_prob is None
    assert not samples.value.requires_grad


@given(st.integers(0, 1000), st.sampled_from([1, 2, 3, 6]))
def test_a_shuffled_pass_has_every_sample_once_in_the_order_given_and_its_parts_together(seed, parts):
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(2, 18, generator=generator).argsort(1)
    number = torch.arange(36.0).view(2, 18)
    samples = Samples(number.unsqueeze(-1).expand(-1, -1, 4), number, number + 0.1, number + 0.2, number + 0.3)
    passed = list(samples.shuffled(order, parts))
    assert [part.obs.shape for part in passed] == [(2, 18 // parts, 4)] * parts
    together = torch.cat([part.action for part in passed], 1)
    assert torch.equal(together, order + torch.tensor([[0.0], [18.0]]))
    for part in passed:
        assert torch.equal(part.obs, part.action.unsqueeze(-1).expand_as(part.obs))
        assert torch.equal(part.advantage, part.action + 0.1)
        assert torch.equal(part.target, part.action + 0.3)
        assert part.log_prob is None


@pytest.mark.parametrize("parts", [0, 4, 7])
def test_parts_that_do_not_divide_the_samples_are_refused(parts):
    samples = Samples(*torch.zeros(5, 2, 6))
    with pytest.raises(ValueError, match=f"parts must divide the 6 samples, got {parts}"):
        list(samples.shuffled(torch.arange(6).expand(2, -1), parts))
