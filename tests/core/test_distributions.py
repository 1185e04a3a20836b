"""Distributions against torch.distributions, quadrature and goodness-of-fit tests."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chisquare, kstest, norm
from torch.distributions import AffineTransform, Independent, Normal, TanhTransform, TransformedDistribution

from pgcourse.core import Bernoulli, Bins, Categorical, Gaussian, MultiDiscrete, SquashedGaussian, Streams

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

    def test_logits_in_any_order_of_memory(self):
        """Networks return a transposed view; the numbers do not depend on it."""
        logits, noise = Streams(3).normal(5, 7, 4), Streams(3).uniform(5, 7)
        views = (
            logits.movedim(-1, 1).contiguous().movedim(1, -1),
            logits.flatten(1, 2).mT.contiguous().mT.view_as(logits),
        )
        dist = Categorical(logits)
        for other in map(Categorical, views):
            action = dist.sample(noise)
            assert torch.equal(other.sample(noise), action)
            for one, two in ((dist.log_prob(action), other.log_prob(action)), (dist.entropy(), other.entropy())):
                assert torch.equal(one, two)

    @pytest.mark.parametrize("logit", [-800.0, -math.inf])
    def test_gradients_of_entropy_and_kl_are_finite_where_an_action_has_no_probability(self, logit):
        z = torch.tensor([0.0, logit, 1.0], dtype=F64, requires_grad=True)
        other = Categorical(torch.tensor([0.5, logit, -1.0], dtype=F64))
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


def squashed(mean, log_std, low=-2.0, high=3.0):
    """A SquashedGaussian from whatever makes tensors; all with the bounds of `mean`'s dtype."""
    mean, log_std = torch.as_tensor(mean), torch.as_tensor(log_std)
    bounds = (torch.as_tensor(bound, dtype=mean.dtype).expand(mean.shape[-1:]) for bound in (low, high))
    return SquashedGaussian(Gaussian(mean, log_std), *bounds)


def exact_log_prob(action, mean, std, low, high):
    """log π(a) of a single number, in 60 digits."""
    with mpmath.workdps(60):
        action, mean, std, low, high = map(mpmath.mpf, (action, mean, std, low, high))
        half, middle = (high - low) / 2, (high + low) / 2
        u = mpmath.atanh((action - middle) / half)
        slope = half * (1 - mpmath.tanh(u) ** 2)
        return float(mpmath.log(mpmath.npdf(u, mean, std) / slope))


BOUNDS = [(-2.0, 2.0), (0.0, 1.0), (-3.0, 5.0), (100.0, 101.0), (-0.125, 1000.0)]


class TestSquashedGaussian:
    @settings(max_examples=30, deadline=None)
    @given(gaussians(count=2), st.integers(0, 100), st.sampled_from(BOUNDS))
    def test_against_torch(self, parameters, seed, bounds):
        low, high = bounds
        ours, other = (squashed(*p, low, high) for p in parameters)
        transforms = [TanhTransform(cache_size=1), AffineTransform((low + high) / 2, (high - low) / 2, cache_size=1)]
        theirs, their_other = (
            Independent(TransformedDistribution(Normal(mean, log_std.exp()), transforms), 1)
            for mean, log_std in parameters
        )
        noise = torch.randn(ours.gaussian.mean.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
        u = (1.5 * noise).clamp(-4, 4)  # further out, theirs loses digits
        action = (high + low) / 2 + (high - low) / 2 * torch.tanh(u)
        torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action), rtol=1e-8, atol=1e-8)
        their_kl = [torch.distributions.kl_divergence(a.base_dist, b.base_dist) for a, b in [(theirs, their_other)]]
        torch.testing.assert_close(ours.kl(other), their_kl[0].sum(-1))
        expected = (high + low) / 2 + (high - low) / 2 * torch.tanh(ours.gaussian.mean)
        torch.testing.assert_close(ours.mode, expected)

    @pytest.mark.parametrize("bounds", BOUNDS)
    @pytest.mark.parametrize("u", [-40.0, -9.0, -8.0, -6.0, -3.0, -0.5, 0.0, 1e-3, 2.0, 5.0, 7.0, 8.5, 40.0])
    def test_a_stored_sample_has_its_exact_density(self, bounds, u):
        """In single precision, right up to the bounds: what `sample` gives back is all that `log_prob` knows."""
        mean, log_std = torch.tensor([0.5]), torch.tensor([0.25])
        dist = squashed(mean, log_std, *bounds)
        action = dist.sample((torch.tensor([u]) - mean) / log_std.exp())
        assert action.dtype == torch.float32
        assert bounds[0] < action.item() < bounds[1]
        expected = exact_log_prob(action.item(), 0.5, math.exp(0.25), *bounds)
        assert dist.log_prob(action).item() == pytest.approx(expected, rel=3e-6, abs=3e-6)

    @pytest.mark.parametrize("bounds", [*BOUNDS, (-1.0, 1.0), (-1.0001, 1.0001), (-1.9999, 1.9999)])
    def test_the_outermost_samples(self, bounds):
        """They are the numbers next to the bounds, which tanh reaches at |u| = ½ log(width / spacing)."""
        low, high = map(np.float32, bounds)
        lowest, highest = np.nextafter(low, high), np.nextafter(high, low)
        dist = squashed(torch.zeros(1), torch.zeros(1), *bounds)
        assert [dist.sample(torch.tensor([u])).item() for u in (-60.0, 60.0)] == [lowest, highest]
        width = float(high) - float(low)
        u = 0.5 * math.log(width / (float(high) - float(highest)))
        assert width * (1 - math.tanh(u)) / 2 == pytest.approx(float(high) - float(highest), rel=1e-4)
        assert u > 8.3 or bounds[0] != -bounds[1]

    @pytest.mark.parametrize(("mean", "std"), [(0.0, 0.5), (1.0, 1.0), (-2.0, 0.3), (0.5, 2.0)])
    def test_the_density_integrates_to_one_and_its_logarithm_to_the_entropy(self, mean, std):
        low, high = -2.0, 3.0
        dist = squashed(torch.tensor([mean], dtype=F64), torch.tensor([math.log(std)], dtype=F64), low, high)

        def log_density(action):
            return dist.log_prob(torch.tensor([action], dtype=F64)).item()

        def integral(f):  # the density of a wide Gaussian rises steeply towards the bounds: there the ends are finer
            knots = [low + (high - low) * x for x in (1e-15, 1e-9, 1e-6, 1e-3, 0.1, 0.5)]
            knots += [high + low - knot for knot in knots[-2::-1]]
            return sum(quad(f, a, b, limit=200, epsabs=1e-12)[0] for a, b in itertools.pairwise(knots))

        assert integral(lambda a: math.exp(log_density(a))) == pytest.approx(1, abs=1e-7)
        entropy = -integral(lambda a: math.exp(log_density(a)) * log_density(a))
        assert dist.entropy().item() == pytest.approx(entropy, abs=2e-5)

    @pytest.mark.parametrize(("log_std", "error"), [(-3.0, 1e-10), (0.0, 1e-8), (1.0, 1e-3), (2.0, 0.05)])
    def test_the_error_of_the_entropy(self, log_std, error):
        std = math.exp(log_std)
        for mean in (0.0, 0.4, 1.0, -2.0, 5.0):
            dist = squashed(torch.tensor([mean], dtype=F64), torch.tensor([log_std], dtype=F64), -2, 3)

            def term(z, mean=mean):
                u = mean + std * z
                return norm.pdf(z) * 2 * (math.log(2) - u - np.logaddexp(0, -2 * u))

            expected = quad(term, -10, 10, points=[-mean / std] if abs(mean) < 9 * std else None, limit=500)[0]
            expected += math.log(2.5) + log_std + 0.5 * math.log(2 * math.pi * math.e)
            assert abs(dist.entropy().item() - expected) < error

    def test_entropy_and_kl_against_monte_carlo(self):
        noise = Streams([3], dtype=F64).normal(200_000, 2)[0]
        ours = squashed(torch.tensor([0.4, -1.0], dtype=F64), torch.tensor([-0.3, 0.2], dtype=F64))
        other = squashed(torch.tensor([0.0, -0.6], dtype=F64), torch.tensor([0.1, -0.1], dtype=F64))
        action = ours.sample(noise)
        log_prob = ours.log_prob(action)
        for estimates, exact in ((-log_prob, ours.entropy()), (log_prob - other.log_prob(action), ours.kl(other))):
            error = (estimates.mean() - exact) / (estimates.std() / math.sqrt(len(estimates)))
            assert abs(error) < 4

    def test_samples_have_the_right_distribution(self):
        mean, log_std, low, high = 0.6, -0.2, -1.0, 4.0
        dist = squashed(torch.full((20_000, 1), mean), torch.full((20_000, 1), log_std), low, high)
        action = dist.sample(Streams(1).normal(20_000, 1)[0]).flatten()

        def cdf(a):
            return norm.cdf(np.arctanh((a - (high + low) / 2) / ((high - low) / 2)), mean, math.exp(log_std))

        assert kstest(action.double().numpy(), cdf).pvalue > 0.01
        assert (action < dist.mode[0]).double().mean().item() == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(20_000))

    @settings(max_examples=30, deadline=None)
    @given(gaussians(count=2), st.sampled_from(BOUNDS))
    def test_score_and_ratio_are_the_gaussians(self, parameters, bounds):
        (mean, log_std), other = parameters
        mean, log_std = mean.requires_grad_(), log_std.requires_grad_()
        u = mean.detach() + 0.3
        dist, gaussian = squashed(mean, log_std, *bounds), Gaussian(mean, log_std)
        action = dist.sample((u - mean) / log_std.exp()).detach()
        ours = torch.autograd.grad(dist.log_prob(action).sum(), (mean, log_std))
        theirs = torch.autograd.grad(gaussian.log_prob(u).sum(), (mean, log_std))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        ratio = dist.log_prob(action) - squashed(*other, *bounds).log_prob(action)
        torch.testing.assert_close(ratio, gaussian.log_prob(u) - Gaussian(*other).log_prob(u), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("action", [2.0, -2.0, 2.5, -7.0, math.nan])
    def test_actions_that_are_not_inside_are_errors(self, action):
        dist = squashed(torch.zeros(2), torch.zeros(2), -2, 2)
        with pytest.raises(ValueError, match=rf"not strictly between the bounds: {action:.9g}; pass actions as"):
            dist.log_prob(torch.tensor([0.5, action]))

    def test_kl_between_other_bounds_is_an_error(self):
        one, other = (squashed(torch.zeros(1), torch.zeros(1), -2, high) for high in (2, 3))
        with pytest.raises(ValueError, match=r"different bounds: \[\[-2.0\], \[2.0\]\] and \[\[-2.0\], \[3.0\]\]"):
            one.kl(other)


@st.composite
def multi_discretes(draw):
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), sum(sizes))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    return sizes, *(3 * torch.randn(2, *shape, generator=generator, dtype=F64))


class TestMultiDiscrete:
    @settings(max_examples=30, deadline=None)
    @given(multi_discretes())
    def test_against_torch(self, problem):
        sizes, *logits = problem
        ours, other = (MultiDiscrete(z, sizes) for z in logits)
        ends = [0, *itertools.accumulate(sizes)]
        theirs, their_other = (
            [torch.distributions.Categorical(logits=z[..., a:b]) for a, b in itertools.pairwise(ends)] for z in logits
        )
        for action in itertools.product(*map(range, sizes)):
            a = torch.tensor(action).expand(*logits[0].shape[:-1], -1)
            expected = sum(dist.log_prob(a[..., i]) for i, dist in enumerate(theirs))
            torch.testing.assert_close(ours.log_prob(a), expected)
        torch.testing.assert_close(ours.entropy(), sum(dist.entropy() for dist in theirs))
        kl = sum(torch.distributions.kl_divergence(p, q) for p, q in zip(theirs, their_other, strict=True))
        torch.testing.assert_close(ours.kl(other), kl)
        assert torch.equal(ours.mode, torch.stack([dist.mode for dist in theirs], -1))

    def test_samples_have_the_right_joint_frequencies(self):
        """Over all combinations: the choices are independent of each other, too."""
        sizes, logits = (2, 3, 2), torch.tensor([0.3, -0.5, 1.0, 0.0, -1.0, 0.2, 0.7])
        dist = MultiDiscrete(logits.expand(20_000, -1), sizes)
        action = dist.sample(Streams(1).uniform(20_000, 3)[0])
        assert action.dtype == torch.int64
        combinations = torch.tensor(list(itertools.product(*map(range, sizes))))
        probs = MultiDiscrete(logits.expand(12, -1), sizes).log_prob(combinations).double().exp()
        assert probs.sum().item() == pytest.approx(1)
        counts = (action.unsqueeze(1) == combinations).all(-1).sum(0)
        assert chisquare(counts, 20_000 * probs / probs.sum()).pvalue > 0.01

    def test_bad_sizes_and_actions(self):
        with pytest.raises(ValueError, match=r"choices among \(2, 3\) take 5 logits, got 4"):
            MultiDiscrete(torch.zeros(4), (2, 3))
        dist = MultiDiscrete(torch.zeros(5), (2, 3))
        for action in ([2, 0], [0, -1]):
            with pytest.raises((RuntimeError, IndexError)):
                dist.log_prob(torch.tensor(action))


class TestBins:
    def test_numbers_are_the_bins_values_and_have_their_probabilities(self):
        streams = Streams(2, dtype=F64)
        choices = MultiDiscrete(streams.normal(6, 6), (3, 3))
        low, high = torch.tensor([-1.0, 0.0], dtype=F64), torch.tensor([1.0, 4.0], dtype=F64)
        dist, noise = Bins(choices, low, high), streams.uniform(6, 2)
        values = torch.tensor([[-1.0, 0.0, 1.0], [0.0, 2.0, 4.0]], dtype=F64)
        index = choices.sample(noise)
        expected = torch.stack([values[i][index[..., i]] for i in range(2)], -1)
        torch.testing.assert_close(dist.sample(noise), expected)
        near = expected + 0.9 * (high - low) / 4 * (2 * streams.uniform(6, 2) - 1)  # the nearest value is the same
        for action in (expected, near):
            assert torch.equal(dist.log_prob(action), choices.log_prob(index))

    @pytest.mark.parametrize("bins", [2, 3, 7, 11, 100])
    def test_rounding_loses_no_bin(self, bins):
        """In single precision low + k · width does not divide back to k exactly."""
        index = torch.arange(bins).unsqueeze(-1)
        choices = MultiDiscrete(torch.randn(bins, bins, generator=torch.Generator().manual_seed(bins)), (bins,))
        dist = Bins(choices, torch.tensor([-0.1]), torch.tensor([1e-3]))
        assert torch.equal(dist.log_prob(dist._values(index)), choices.log_prob(index))


class TestBernoulli:
    @settings(max_examples=30, deadline=None)
    @given(categoricals(count=2))
    def test_against_torch(self, logits):
        ours, other = map(Bernoulli, logits)
        theirs = Independent(torch.distributions.Bernoulli(logits=logits[0]), 1)
        action = torch.randint(2, logits[0].shape, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action.double()))
        torch.testing.assert_close(ours.entropy(), theirs.entropy())
        torch.testing.assert_close(ours.probs, theirs.mean)
        # torch's own KL of Bernoullis is infinite where a probability rounds to 1
        pairs = [torch.distributions.Categorical(logits=torch.stack([-z / 2, z / 2], -1)) for z in logits]
        torch.testing.assert_close(ours.kl(other), torch.distributions.kl_divergence(*pairs).sum(-1))
        assert torch.equal(ours.mode, (logits[0] > 0).long())

    def test_samples_have_the_right_joint_frequencies(self):
        logits = torch.tensor([-1.0, 0.0, 0.7])
        action = Bernoulli(logits.expand(20_000, -1)).sample(Streams(1).uniform(20_000, 3)[0])
        p = logits.double().sigmoid().tolist()
        combinations = list(itertools.product((0, 1), repeat=3))
        probs = [math.prod(q if on else 1 - q for q, on in zip(p, c, strict=True)) for c in combinations]
        counts = (action.unsqueeze(1) == torch.tensor(combinations)).all(-1).sum(0)
        assert chisquare(counts, 20_000 * np.array(probs)).pvalue > 0.01

    def test_a_switch_that_is_forbidden_stays_off(self):
        dist = Bernoulli(torch.tensor([-math.inf, 0.0]))
        assert dist.sample(torch.tensor([1 - 2**-24, 0.75])).tolist() == [0, 1]
        assert dist.entropy().item() == pytest.approx(math.log(2))
        assert dist.log_prob(torch.tensor([0, 1])).item() == pytest.approx(-math.log(2))

    @pytest.mark.parametrize("action", [2, -1])
    def test_bad_actions(self, action):
        with pytest.raises((RuntimeError, IndexError)):
            Bernoulli(torch.zeros(2)).log_prob(torch.tensor([0, action]))


# Every family as a function of one flat parameter vector, with all its actions and their probabilities: exactly where
# they can be counted, at the nodes of a quadrature where not.

NODES, WEIGHTS = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(9))
NOISE = torch.cartesian_prod(NODES, NODES)
NOISE_WEIGHT = torch.cartesian_prod(WEIGHTS, WEIGHTS).prod(-1) / (2 * math.pi)


def counted(*sizes):
    actions = torch.tensor(list(itertools.product(*map(range, sizes))))
    return lambda dist: (actions, torch.stack([dist.log_prob(a) for a in actions]).detach().exp())


FAMILIES = {
    "categorical": (4, Categorical, lambda dist: (torch.arange(4), dist.probs.detach())),
    "multi-discrete": (5, lambda p: MultiDiscrete(p, (2, 3)), counted(2, 3)),
    "bins": (
        5,
        lambda p: Bins(MultiDiscrete(p, (2, 3)), torch.tensor([-1.0, 2.0], dtype=F64), torch.tensor(5.0, dtype=F64)),
        lambda dist: (
            torch.cartesian_prod(torch.tensor([-1.0, 5.0]), torch.tensor([2.0, 3.5, 5.0])).double(),
            counted(2, 3)(dist.bins)[1],
        ),
    ),
    "bernoulli": (3, Bernoulli, counted(2, 2, 2)),
    "gaussian": (4, lambda p: Gaussian(p[:2], p[2:]), lambda dist: (dist.sample(NOISE).detach(), NOISE_WEIGHT)),
    "squashed": (4, lambda p: squashed(p[:2], p[2:]), lambda dist: (dist.sample(NOISE).detach(), NOISE_WEIGHT)),
}


@pytest.fixture(params=FAMILIES)
def family(request):
    size, make, actions = FAMILIES[request.param]
    theta = 0.5 * torch.randn(2, size, generator=torch.Generator().manual_seed(5), dtype=F64)
    return make, actions, theta[0], theta[1]


def test_the_mean_score_is_zero_and_its_square_the_hessian_of_kl(family):
    """E[∇log π] = 0, and ∇² KL(π_θ ‖ π_θ') at θ' = θ is E[∇log π ∇log πᵀ]: what natural gradients rest on."""
    make, actions, theta, _ = family
    action, weight = actions(make(theta))
    assert weight.sum().item() == pytest.approx(1)
    scores = torch.stack(
        [torch.autograd.functional.jacobian(lambda t, a=a: make(t).log_prob(a), theta) for a in action]
    )
    torch.testing.assert_close(weight @ scores, torch.zeros_like(theta), rtol=0, atol=1e-9)
    fisher = torch.einsum("k,ki,kj->ij", weight, scores, scores)
    hessian = torch.autograd.functional.hessian(lambda other: make(theta).kl(make(other)), theta)
    torch.testing.assert_close(hessian, fisher, rtol=1e-8, atol=1e-9)
    assert fisher.abs().max() > 0.1
    split = (2, 2) if isinstance(make(theta), Gaussian | SquashedGaussian) else (len(theta),)
    products = torch.stack([torch.cat(make(theta).fisher(*v.split(split))) for v in torch.eye(len(theta), dtype=F64)])
    torch.testing.assert_close(products, fisher, rtol=1e-8, atol=1e-9)


def test_kl_is_the_mean_logarithm_of_the_ratio(family):
    make, actions, theta, other = family
    action, weight = actions(make(theta))
    ratio = torch.stack([make(theta).log_prob(a) - make(other).log_prob(a) for a in action])
    assert make(theta).kl(make(other)).item() == pytest.approx((weight @ ratio).item(), rel=1e-7)
    assert make(theta).kl(make(other)).item() > 0.01
    assert abs(make(theta).kl(make(theta)).item()) < 1e-15


def test_derivatives_of_first_and_second_order(family):
    make, actions, theta, other = family
    action = actions(make(theta))[0][1]
    theta = theta.clone().requires_grad_()
    for value in (
        lambda t: make(t).log_prob(action),
        lambda t: make(t).entropy(),
        lambda t: make(t).kl(make(other)),
        lambda t: make(other).kl(make(t)),
    ):
        assert torch.autograd.gradcheck(value, theta)
        assert torch.autograd.gradgradcheck(value, theta)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_numbers_keep_their_dtype_and_batch_axes(family, dtype):
    make, actions, theta, other = family
    action = actions(make(theta))[0][0]
    ours, theirs = make(theta.to(dtype)), make(other.to(dtype))
    action = action if action.dtype == torch.int64 else action.to(dtype)
    for value in (ours.log_prob(action), ours.entropy(), ours.kl(theirs)):
        assert value.dtype == dtype
        assert value.shape == ()
    assert ours.mode.shape == action.shape
