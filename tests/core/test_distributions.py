"""Distributions against torch.distributions, quadrature and goodness-of-fit tests."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from pgcourse.core import Categorical, Gaussian, Streams

F64 = torch.float64


@st.composite
def categoricals(draw, count=1):
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(2, 6)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    return [scale * torch.randn(shape, generator=generator, dtype=F64) for _ in range(count)]


@st.composite
def gaussians(draw, count=1):
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 5)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    return [tuple(torch.randn(2, *shape, generator=generator, dtype=F64)) for _ in range(count)]


class TestCategorical:
    @settings(max_examples=30, deadline=None)
    @given(categoricals(count=2))
    def test_against_torch(self, logits):
        ours, other = map(Categorical, logits)
        theirs, their_other = (torch.distributions.Categorical(logits=z) for z in logits)
        for action in range(logits[0].shape[-1]):
            a = torch.full(logits[0].shape[:-1], action)
            torch.testing.assert_close(ours.log_prob(a), theirs.log_prob(a))
        torch.testing.assert_close(ours.probs, theirs.probs)
        torch.testing.assert_close(ours.entropy(), theirs.entropy())
        torch.testing.assert_close(ours.kl(other), torch.distributions.kl_divergence(theirs, their_other))
        assert torch.equal(ours.mode, theirs.mode)

    def test_samples_have_the_right_frequencies(self):
        logits = torch.tensor([[0.0, 1.0, -2.0, 3.0], [-math.inf, 0.0, 0.0, -math.inf]])
        noise = Streams(2).uniform(20_000)
        action = Categorical(logits.unsqueeze(1).expand(-1, 20_000, -1)).sample(noise)
        for row, probs in zip(action, logits.softmax(-1), strict=True):
            counts, possible = torch.bincount(row, minlength=4), probs > 0
            assert counts[~possible].sum() == 0
            assert chisquare(counts[possible], 20_000 * probs[possible].double() / probs.double().sum()).pvalue > 0.01

    def test_a_sample_is_the_inverse_of_the_distribution_function(self):
        dist = Categorical(torch.tensor([0.25, 0.5, 0.25]).log())
        for noise, action in ((0.0, 0), (0.24, 0), (0.26, 1), (0.74, 1), (0.76, 2), (0.9999, 2)):
            assert dist.sample(torch.tensor(noise)).item() == action

    @pytest.mark.parametrize("position", [0, 4, 9])
    def test_a_forbidden_action_is_never_taken(self, position):
        """Not even by the extreme noise, where single precision makes the probabilities add up to less than 1."""
        logits = Streams(500).normal(10)
        logits[:, position] = -math.inf
        for noise in (0.0, 1 - 2**-24):
            action = Categorical(logits).sample(torch.full((500,), noise))
            assert (action != position).all()

    def test_forbidden_actions(self):
        some, all_allowed = Categorical(torch.tensor([0.0, -math.inf, 0.0])), Categorical(torch.zeros(3))
        assert some.entropy().item() == pytest.approx(math.log(2))
        assert some.kl(all_allowed).item() == pytest.approx(math.log(1.5))
        assert all_allowed.kl(some).item() == math.inf
        assert some.kl(some).item() == 0

    def test_the_score_has_mean_zero(self):
        """By enumeration: Σ_a π(a) ∇_z log π(a) = 0, and ∇_z log π(a) = e_a - π."""
        z = torch.tensor([0.3, -1.0, 2.0], dtype=F64, requires_grad=True)
        dist = Categorical(z)
        scores = [torch.autograd.grad(dist.log_prob(torch.tensor(a)), z, retain_graph=True)[0] for a in range(3)]
        torch.testing.assert_close(torch.stack(scores), torch.eye(3, dtype=F64) - dist.probs.detach())
        mean = sum(p * score for p, score in zip(dist.probs.detach(), scores, strict=True))
        torch.testing.assert_close(mean, torch.zeros(3, dtype=F64), rtol=0, atol=1e-15)

    def test_gradients_of_entropy_and_kl_are_finite_where_an_action_has_no_probability(self):
        z = torch.tensor([0.0, -800.0, 1.0], dtype=F64, requires_grad=True)
        other = Categorical(torch.zeros(3, dtype=F64))
        for value in (Categorical(z).entropy(), Categorical(z).kl(other), other.kl(Categorical(z))):
            assert torch.autograd.grad(value, z)[0].isfinite().all()


class TestGaussian:
    @settings(max_examples=30, deadline=None)
    @given(gaussians(count=2), st.integers(0, 100))
    def test_against_torch(self, parameters, seed):
        ours, other = (Gaussian(*p) for p in parameters)
        theirs, their_other = (
            torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
            for mean, log_std in parameters
        )
        action = 3 * torch.randn(ours.mean.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
        torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
        torch.testing.assert_close(ours.entropy(), theirs.entropy())
        torch.testing.assert_close(ours.kl(other), torch.distributions.kl_divergence(theirs, their_other))
        assert torch.equal(ours.mode, theirs.mode)

    def test_samples_have_the_right_distribution(self):
        mean, log_std = torch.tensor([1.0, -3.0]), torch.tensor([0.5, -1.0])
        noise = Streams(1).normal(20_000, 2)
        action = Gaussian(mean.expand(1, 20_000, 2), log_std.expand(1, 20_000, 2)).sample(noise)[0]
        for i in range(2):
            assert kstest(action[:, i].numpy(), "norm", args=(mean[i].item(), log_std[i].exp().item())).pvalue > 0.01
        assert abs(np.corrcoef(action.T.numpy())[0, 1]) < 3 / math.sqrt(20_000)

    def test_the_density_integrates_to_one_and_the_score_has_mean_zero(self):
        """Gauss-Hermite quadrature of E[1], E[∇log π] and the Fisher information diag(1/σ², 2)."""
        mean = torch.tensor([0.7], dtype=F64, requires_grad=True)
        log_std = torch.tensor([-0.4], dtype=F64, requires_grad=True)
        dist = Gaussian(mean, log_std)
        nodes, weights = np.polynomial.hermite_e.hermegauss(20)
        scores = []
        for node in nodes:
            action = dist.sample(torch.tensor([node], dtype=F64)).detach()
            scores.append(torch.cat(torch.autograd.grad(dist.log_prob(action), (mean, log_std))))
        scores = torch.stack(scores)
        weights = torch.from_numpy(weights / math.sqrt(2 * math.pi))
        torch.testing.assert_close(weights @ scores, torch.zeros(2, dtype=F64), rtol=0, atol=1e-13)
        fisher = torch.einsum("k,ki,kj->ij", weights, scores, scores)
        expected = torch.diag(torch.tensor([math.exp(0.8), 2.0], dtype=F64))
        torch.testing.assert_close(fisher, expected, rtol=1e-12, atol=1e-12)
        grid = torch.linspace(-9, 9, 20_001, dtype=F64).unsqueeze(-1)
        density = Gaussian(mean.detach().expand(20_001, 1), log_std.detach().expand(20_001, 1)).log_prob(grid).exp()
        assert torch.trapezoid(density, grid.squeeze(-1)).item() == pytest.approx(1, abs=1e-12)

    def test_actions_are_independent_components(self):
        mean, log_std, action = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
        joint = Gaussian(mean, log_std).log_prob(action)
        single = sum(Gaussian(mean[i : i + 1], log_std[i : i + 1]).log_prob(action[i : i + 1]) for i in range(4))
        torch.testing.assert_close(joint, single)


@pytest.mark.parametrize("family", ["categorical", "gaussian"])
def test_kl_is_zero_only_for_the_same(family):
    if family == "categorical":
        dists = [Categorical(torch.randn(5, generator=torch.Generator().manual_seed(i), dtype=F64)) for i in range(4)]
    else:
        dists = [Gaussian(*torch.randn(2, 5, generator=torch.Generator().manual_seed(i), dtype=F64)) for i in range(4)]
    for i, j in itertools.product(range(4), repeat=2):
        kl = dists[i].kl(dists[j]).item()
        assert abs(kl) < 1e-15 if i == j else kl > 0.01


@pytest.mark.parametrize("family", ["categorical", "gaussian"])
def test_the_hessian_of_kl_is_the_fisher_information(family):
    """∇² KL(π_θ ‖ π_θ') at θ' = θ is E[∇log π ∇log πᵀ]: what natural gradients rest on."""
    theta = torch.tensor([0.2, -0.5, 0.9, 0.1], dtype=F64)

    def dist(parameters):
        return Categorical(parameters) if family == "categorical" else Gaussian(parameters[:2], parameters[2:])

    hessian = torch.autograd.functional.hessian(lambda other: dist(theta).kl(dist(other)), theta)
    if family == "categorical":
        p = theta.softmax(0)
        fisher = torch.diag(p) - torch.outer(p, p)
    else:
        fisher = torch.diag(torch.cat([(-2 * theta[2:]).exp(), torch.full((2,), 2.0, dtype=F64)]))
    torch.testing.assert_close(hessian, fisher)
