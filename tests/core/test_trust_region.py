"""Conjugate gradients, Fisher-vector products and trust-region steps, against dense algebra."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.functional import hessian, jacobian

from pgcourse.core import (
    MLP,
    BernoulliPolicy,
    BinsPolicy,
    Conv,
    GaussianPolicy,
    Module,
    MultiDiscretePolicy,
    Normalized,
    Policy,
    SoftmaxPolicy,
    SquashedGaussianPolicy,
    Streams,
    Table,
)
from pgcourse.core.trust_region import (
    backtracking,
    conjugate_gradient,
    fisher_product,
    hessian_product,
    trust_region_step,
)

F64 = torch.float64


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def positive_definite(seed, rows, size):
    """Random matrices with eigenvalues from 0.1 to 10."""
    basis = torch.linalg.qr(random(seed, rows, size, size)).Q
    eigenvalues = 10 ** torch.linspace(-1, 1, size, dtype=F64)
    return basis @ (eigenvalues.unsqueeze(1) * basis.mT)


def times(matrices):
    return lambda v: (matrices @ v.unsqueeze(2)).squeeze(2)


# Conjugate gradients


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 5), size=st.integers(1, 12))
@settings(max_examples=50)
def test_conjugate_gradients_solve_the_system(seed, rows, size):
    a, b = positive_definite(seed, rows, size), random(seed + 1, rows, size)
    x, residual = conjugate_gradient(times(a), b, 4 * size, tolerance=1e-12)
    torch.testing.assert_close(x, torch.linalg.solve(a, b), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(residual, b - times(a)(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("iterations", [1, 3, 6])
def test_after_k_steps_x_is_the_best_of_the_krylov_space(iterations):
    """Of span(b, Ab, ..., A^(k-1) b) it is the x with the least ½ xᵀAx - bᵀx. Nocedal & Wright (2006), theorem 5.3."""
    a, b = positive_definite(3, 1, 10), random(4, 1, 10)
    x, _ = conjugate_gradient(times(a), b, iterations, tolerance=0)
    powers = [b[0]]
    for _ in range(iterations - 1):
        powers.append(a[0] @ powers[-1])
    basis = torch.linalg.qr(torch.stack(powers, 1)).Q
    best = basis @ torch.linalg.solve(basis.T @ a[0] @ basis, basis.T @ b[0])
    torch.testing.assert_close(x[0], best, rtol=1e-8, atol=1e-9)


def test_every_row_is_its_own_problem_with_its_own_end():
    """A row that is solved at once, one with b = 0 and one that never ends: each as if it were alone."""
    a = torch.stack([torch.eye(6, dtype=F64), positive_definite(1, 1, 6)[0], positive_definite(0, 1, 6)[0]])
    b = torch.stack([random(2, 6), torch.zeros(6, dtype=F64), random(3, 6)])
    together, residual = conjugate_gradient(times(a), b, 4, tolerance=1e-6)
    assert torch.equal(together[0], b[0])
    assert not together[1].any()
    assert residual[2].norm() > 1e-6 * b[2].norm(), "no row was cut short: the test tests nothing"
    for row in range(3):
        alone, _ = conjugate_gradient(times(a[row : row + 1]), b[row : row + 1], 4, tolerance=1e-6)
        torch.testing.assert_close(together[row], alone[0], rtol=1e-12, atol=1e-12)


def test_a_row_stops_at_the_tolerance_and_no_sooner():
    a, b = positive_definite(5, 8, 30), random(6, 8, 30)
    x, residual = conjugate_gradient(times(a), b, 100, tolerance=1e-2)
    relative = residual.norm(dim=1) / b.norm(dim=1)
    assert (relative <= 1e-2).all()
    assert (relative > 1e-4).all(), "went on long after the tolerance was reached"
    torch.testing.assert_close(b - times(a)(x), residual, rtol=0, atol=1e-12)


def test_no_step_where_there_is_no_curvature():
    """A singular A, as without damping: b outside its range must not make x infinite."""
    a = torch.diag(torch.tensor([1.0, 0.0], dtype=F64)).expand(2, 2, 2)
    b = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=F64)
    x, residual = conjugate_gradient(times(a), b, 5)
    assert x.tolist() == [[0, 0], [1, 0]]
    assert residual.tolist() == [[0, 1], [0, 0]]


# The Fisher information


def softmax_problem():
    policy = SoftmaxPolicy(MLP((3, 4, 3)))
    return policy, lambda dist: (torch.arange(3), dist.probs[0, 0])  # every action and its probability


def gaussian_problem():
    """Gauss-Hermite quadrature with 5 nodes an action is exact here: the scores are quadratic in the noise."""
    policy = GaussianPolicy(MLP((3, 4, 2)), log_std=-0.3)
    nodes, weights = (torch.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(5))
    noise = torch.cartesian_prod(nodes, nodes)
    weight = torch.cartesian_prod(weights, weights).prod(1) / (2 * torch.pi)
    return policy, lambda dist: ((dist.mean + dist.std * noise)[0], weight)


@pytest.mark.parametrize("problem", [softmax_problem, gaussian_problem])
def test_the_hessian_of_the_kl_is_the_fisher_information(problem):
    """F = E[∇log π ∇log πᵀ], summed over actions; F = ∇²KL; and the products with it. All to 1e-8."""
    policy, actions = problem()
    rows, states = 2, 7
    theta = policy.init(Streams(rows, dtype=F64)) + 0.3 * random(0, rows, policy.size)
    obs = random(1, rows, states, 3)
    theta.requires_grad_()
    with torch.no_grad():
        old = policy(theta, obs)
    products = (
        hessian_product(old.kl(policy(theta, obs)).mean(1), theta),
        fisher_product(policy, theta, obs, torch.ones(rows, states, dtype=torch.bool)),
    )
    v = random(2, rows, policy.size)
    for row in range(rows):
        row_theta = theta[row : row + 1].detach()
        from_scores = torch.zeros(policy.size, policy.size, dtype=F64)
        for s in obs[row]:
            with torch.no_grad():
                every, probability = actions(policy(row_theta, s.view(1, 1, 3)))
            at = s.expand(1, len(every), 3)
            scores = jacobian(lambda t, at=at, a=every: policy(t, at).log_prob(a.unsqueeze(0))[0], row_theta)[:, 0]
            from_scores += torch.einsum("a,ai,aj->ij", probability, scores, scores) / states
        one = obs[row : row + 1]
        before = policy(row_theta, one)
        from_kl = hessian(lambda t, one=one, before=before: before.kl(policy(t, one)).mean(), row_theta)[0, :, 0]
        assert from_scores.abs().max() > 0.01
        torch.testing.assert_close(from_kl, from_scores, rtol=0, atol=1e-8)
        for product in products:
            torch.testing.assert_close(product(v)[row], from_scores @ v[row], rtol=0, atol=1e-8)


def test_a_kl_that_is_differentiated_through_both_policies_has_no_curvature():
    """The mistake of chapter 07: F = 0, and what is left of the step is damping."""
    policy = SoftmaxPolicy(MLP((3, 4, 3)))
    theta = (policy.init(Streams(2, dtype=F64)) + 0.3 * random(0, 2, policy.size)).requires_grad_()
    obs, v = random(1, 2, 7, 3), random(2, 2, policy.size)
    attached, right = policy(theta, obs), policy(theta.detach(), obs)
    assert hessian_product(attached.kl(policy(theta, obs)).mean(1), theta)(v).abs().max() < 1e-12
    assert hessian_product(right.kl(policy(theta, obs)).mean(1), theta)(v).abs().max() > 0.01


@dataclass(frozen=True)
class Opaque:
    """A policy that tells nothing but its distribution."""

    policy: Policy

    def __call__(self, theta, obs):
        return self.policy(theta, obs)


POLICIES = {
    "softmax": SoftmaxPolicy(MLP((3, 16, 16, 4))),
    "relu": SoftmaxPolicy(MLP((3, 16, 4), "relu")),
    "linear": SoftmaxPolicy(MLP((3, 4))),
    "table": SoftmaxPolicy(Table(5, 3)),
    "module": SoftmaxPolicy(Module(lambda: torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.SiLU()), (3,), 6)),
    "convolutional": SoftmaxPolicy(Conv((1, 3, 3), 2, filters=((2, 2, 1),), hidden=(3,), activation="tanh")),
    "normalized": SoftmaxPolicy(Normalized(MLP((3, 8, 4)), 3)),
    "multi-discrete": MultiDiscretePolicy(MLP((3, 8, 5)), (2, 3)),
    "bins": BinsPolicy(MLP((3, 8, 6)), 3, (-2, 0), (2, 1)),
    "bernoulli": BernoulliPolicy(MLP((3, 8, 3))),
    "gaussian": GaussianPolicy(MLP((3, 8, 2)), -0.3),
    "gaussian, rescaled": GaussianPolicy(MLP((3, 8, 2)), -0.3, center=(1, -2), scale=(3, 0.5)),
    "gaussian, std of the state": GaussianPolicy(
        MLP((3, 8, 4)), state_dependent_std=True, log_std_range=(-0.2, 0.3), center=(1, -2), scale=(3, 0.5)
    ),
    "squashed": SquashedGaussianPolicy(GaussianPolicy(MLP((3, 8, 2))), (-2, 0), (2, 1)),
}


@pytest.mark.parametrize("batch", [(5, 4), (30,)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (F64, 1e-13)])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_fisher_product_is_pearlmutters(policy, dtype, tolerance, batch):
    """Jᵀ M J v against the derivative of the gradient of the KL, over the states of the mask."""
    streams = Streams(2, dtype=dtype)
    theta = policy.init(streams) + 0.3 * streams.normal(policy.size)
    network = policy.network
    if isinstance(network, Table):
        obs = streams.integers(5, *batch)
    else:
        obs = streams.normal(*batch, *((1, 3, 3) if isinstance(network, Conv) else (3,)))
    if isinstance(network, Normalized):
        theta = policy.observe(theta, obs + 1, torch.ones(obs.shape[:-1], dtype=torch.bool))
    mask = streams.uniform(*batch) < 0.7
    given, v = theta.clone(), streams.normal(policy.size)
    product, oracle = (fisher_product(each, theta, obs, mask) for each in (policy, Opaque(policy)))
    expected = oracle(v)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(product(v), expected, rtol=0, atol=tolerance * expected.abs().max().item())
    assert torch.equal(theta, given)
    one = fisher_product(policy, theta[1:], obs[1:, :, None], mask[1:, :, None])
    torch.testing.assert_close(one(v[1:]), expected[1:], rtol=0, atol=tolerance * expected.abs().max().item())


# The search


def quadratic(seed, rows, size, curvature):
    """L(θ) = gᵀθ - ½ c |θ|² and KL(θ) = ½ |θ|² for θ_old = 0, each row with its own c."""
    g = random(seed, rows, size)

    def objective(theta):
        square = theta.square().sum(1)
        return (g * theta).sum(1) - 0.5 * curvature * square, 0.5 * square

    return g, objective


@given(
    seed=st.integers(0, 10**6), rows=st.integers(1, 6), max_kl=st.floats(1e-4, 10), backtracks=st.integers(0, 6),
    shrink=st.floats(0.2, 0.95),
)  # fmt: skip
@settings(max_examples=100)
def test_backtracking_takes_the_first_try_that_is_allowed(seed, rows, max_kl, backtracks, shrink):
    """Against a loop over single rows and tries. Rows refused keep θ to the bit."""
    curvature = 10 ** (1.5 * random(seed + 1, rows))
    gradient, objective = quadratic(seed, rows, 4, curvature)
    step = gradient.clone()
    step[rows // 2] *= -1  # against the gradient of a concave L: every try must be refused
    theta = torch.zeros(rows, 4, dtype=F64)
    taken = backtracking(theta, torch.zeros(rows, dtype=F64), step, objective, max_kl, backtracks, shrink)
    for row in range(rows):
        wanted = None
        for k in range(backtracks + 1):
            value, kl = objective((shrink**k * step[row]).expand(rows, 4))
            if wanted is None and value[row] > 0 and kl[row] <= max_kl:
                wanted = k
        assert taken.accepted[row] == (wanted is not None)
        assert taken.backtracks[row] == (backtracks if wanted is None else wanted)
        expected = torch.zeros(4, dtype=F64) if wanted is None else shrink**wanted * step[row]
        assert torch.equal(taken.theta[row], expected)
        value, kl = objective(taken.theta)
        assert torch.equal(taken.improvement[row], value[row])
        assert torch.equal(taken.kl[row], kl[row])
    assert not taken.accepted[rows // 2]


def test_a_try_whose_kl_is_not_a_number_is_refused():
    theta = torch.zeros(1, 2, dtype=F64)

    def objective(candidate):
        far = candidate.norm(dim=1) > 0.5
        return candidate.sum(1), torch.where(far, torch.nan, 0.0)

    taken = backtracking(theta, theta.sum(1), torch.ones_like(theta), objective, 1.0, 5, 0.5)
    assert taken.backtracks.item() == 2
    assert taken.theta.tolist() == [[0.25, 0.25]]


# The step


@dataclass(frozen=True)
class Problem:
    """A surrogate and a mean KL over given states, for a policy in each row."""

    policy: Policy
    old: torch.Tensor
    obs: torch.Tensor
    action: torch.Tensor
    advantage: torch.Tensor

    @classmethod
    def softmax(cls, seed, rows=3, samples=40, spread=1.0, size=1.0):
        policy = SoftmaxPolicy(MLP((3, 5, 4)))
        theta = policy.init(Streams(rows, dtype=F64)) + spread * random(seed, rows, policy.size)
        obs = random(seed + 1, rows, samples, 3)
        noise = torch.rand(rows, samples, generator=torch.Generator().manual_seed(seed), dtype=F64)
        return cls(policy, theta, obs, policy(theta, obs).sample(noise), size * random(seed + 2, rows, samples))

    @classmethod
    def gaussian(cls, seed, rows=2, samples=200):
        """A linear policy, of which the Fisher information is regular."""
        policy = GaussianPolicy(MLP((3, 2)))
        theta = policy.init(Streams(rows, dtype=F64)) + 0.5 * random(seed, rows, policy.size)
        obs = random(seed + 1, rows, samples, 3)
        action = policy(theta, obs).sample(random(seed + 2, rows, samples, 2))
        return cls(policy, theta, obs, action, random(seed + 3, rows, samples))

    def row(self, index):
        pick = slice(index, index + 1)
        return Problem(self.policy, self.old[pick], self.obs[pick], self.action[pick], self.advantage[pick])

    def objective(self, theta):
        old, new = self.policy(self.old, self.obs), self.policy(theta, self.obs)
        ratio = (new.log_prob(self.action) - old.log_prob(self.action)).exp()
        return (ratio * self.advantage).mean(1), self.divergence(theta)

    def divergence(self, theta):
        return self.policy(self.old, self.obs).kl(self.policy(theta, self.obs)).mean(1)

    def step(self, max_kl=0.01, damping=0.1, cg_steps=10, search=True, backtracks=10, shrink=0.8):
        taken = trust_region_step(
            self.old, self.objective, self.product(), max_kl, damping, cg_steps, search, backtracks, shrink
        )
        return taken.theta, taken._asdict()

    def product(self):
        return fisher_product(self.policy, self.old, self.obs, torch.ones(self.obs.shape[:-1], dtype=torch.bool))

    def gradient(self):
        theta = self.old.clone().requires_grad_()
        return torch.autograd.grad(self.objective(theta)[0].sum(), theta)[0]

    def fisher(self, row):
        one = self.row(row)
        return hessian(lambda t: one.divergence(t).sum(), one.old)[0, :, 0]


@given(
    seed=st.integers(0, 10**6),
    max_kl=st.floats(1e-4, 5),
    damping=st.sampled_from([0.0, 1e-3, 0.1]),
    cg_steps=st.integers(1, 10),
    backtracks=st.integers(0, 10),
    spread=st.floats(0, 3),
    size=st.sampled_from([1e-3, 1.0, 1e3]),
)
@settings(max_examples=100)
def test_the_constraint_is_never_violated(seed, max_kl, damping, cg_steps, backtracks, spread, size):
    """KL(π_old ‖ π_θ) ≤ δ and L higher than before, both by torch.distributions; or θ as it was, to the bit."""
    problem = Problem.softmax(seed, spread=spread, size=size)
    theta, metrics = problem.step(max_kl, damping, cg_steps, backtracks=backtracks, shrink=0.5)
    old, new = (
        torch.distributions.Categorical(logits=problem.policy(t, problem.obs).logits) for t in (problem.old, theta)
    )
    kl = torch.distributions.kl_divergence(old, new).mean(1)
    ratio = (new.log_prob(problem.action) - old.log_prob(problem.action)).exp()
    improvement = ((ratio - 1) * problem.advantage).mean(1)
    for row, accepted in enumerate(metrics["accepted"]):
        if accepted:
            assert kl[row] <= max_kl * (1 + 1e-9) + 1e-12
            assert improvement[row] > -1e-12 * size
        else:
            assert torch.equal(theta[row], problem.old[row])
    torch.testing.assert_close(metrics["kl"], kl, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(metrics["improvement"], improvement, rtol=1e-6, atol=1e-12 * size)


@pytest.mark.parametrize("damping", [0.05, 0.3])
def test_the_step_is_the_dense_solution_at_the_edge(damping):
    """√(2δ / gᵀ(F + d I)⁻¹g) (F + d I)⁻¹g with F from the KL's Hessian, and what the metrics say of it."""
    problem = Problem.softmax(1)
    theta, metrics = problem.step(max_kl=0.02, damping=damping, cg_steps=100, search=False)
    gradient = problem.gradient()
    for row in range(3):
        damped = problem.fisher(row) + damping * torch.eye(problem.policy.size, dtype=F64)
        x = torch.linalg.solve(damped, gradient[row])
        step = (2 * 0.02 / (gradient[row] @ x)).sqrt() * x
        torch.testing.assert_close(theta[row] - problem.old[row], step, rtol=0, atol=1e-5)
        torch.testing.assert_close(metrics["predicted_improvement"][row], gradient[row] @ step, rtol=1e-4, atol=0)
        torch.testing.assert_close(metrics["step_norm"][row], step.norm(), rtol=1e-4, atol=0)
    assert (metrics["cg_residual"] <= 1e-5).all()
    assert (metrics["cg_residual"] > 0).all()


@pytest.mark.parametrize("max_kl", [1e-3, 1e-5, 1e-7])
def test_without_damping_a_small_step_has_the_kl_it_was_meant_to_have(max_kl):
    """Up to the third order of the KL: relatively, up to a multiple of the step, √δ."""
    _, metrics = Problem.gaussian(2).step(max_kl, damping=0.0, cg_steps=100, search=False)
    torch.testing.assert_close(metrics["kl"], torch.full((2,), max_kl, dtype=F64), rtol=3 * max_kl**0.5, atol=0)


def test_the_search_takes_the_natural_gradient_step_where_that_is_allowed():
    """One code: with a step that passes at once, TRPO and the natural gradient agree to the bit."""
    searched, natural = Problem.softmax(5).step(), Problem.softmax(5).step(search=False)
    assert searched[1]["backtracks"].tolist() == [0, 0, 0]
    assert torch.equal(searched[0], natural[0])
    assert all(torch.equal(searched[1][name], natural[1][name]) for name in natural[1])


def test_every_row_steps_as_if_it_were_alone():
    problem = Problem.softmax(7, rows=4)
    together, metrics = problem.step(max_kl=0.5, damping=1e-3)
    assert len(set(metrics["backtracks"].tolist())) > 1, "all rows searched alike: the test tests nothing"
    for row in range(4):
        alone, own = problem.row(row).step(max_kl=0.5, damping=1e-3)
        torch.testing.assert_close(together[row], alone[0], rtol=1e-9, atol=1e-9)
        assert metrics["backtracks"][row] == own["backtracks"][0]


def test_the_step_does_not_depend_on_the_scale_of_the_advantages():
    for search in (True, False):
        small, large = (Problem.softmax(12, size=size).step(search=search) for size in (1e-3, 1e3))
        torch.testing.assert_close(large[0], small[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(large[1]["improvement"], 1e6 * small[1]["improvement"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("search", [True, False])
def test_where_nothing_can_be_gained_nothing_moves(search):
    problem = Problem.softmax(8)
    problem.advantage[1] = 0
    theta, metrics = problem.step(search=search)
    assert torch.equal(theta[1], problem.old[1])
    assert not torch.equal(theta[0], problem.old[0])
    assert all(values.isfinite().all() for values in metrics.values())
    assert metrics["cg_residual"][1] == metrics["step_norm"][1] == metrics["kl"][1] == 0


def test_a_failed_search_keeps_theta_to_the_bit():
    """An objective that is worse wherever one goes; its gradient says otherwise."""
    problem = Problem.softmax(9)

    def objective(theta):
        value, kl = problem.objective(theta)
        return value - 1e3 * (theta != problem.old).any(1).to(F64) * torch.tensor([0, 1, 0], dtype=F64), kl

    taken = trust_region_step(problem.old, objective, problem.product(), 0.01, 0.1, 10)
    metrics = taken._asdict()
    assert metrics["accepted"].tolist() == [True, False, True]
    assert metrics["backtracks"].tolist() == [0, 10, 0]
    assert torch.equal(taken.theta[1], problem.old[1])
    assert all(metrics[name][1] == 0 for name in ("kl", "improvement", "predicted_improvement", "step_norm"))


def test_a_gradient_that_is_nan_names_its_rows():
    problem = Problem.softmax(10)
    problem.advantage[2, 0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"rows \[2\] of θ is NaN or infinite"):
        problem.step()


def test_a_curvature_that_is_nan_names_its_rows():
    """As of a policy that forbids an action: 0 · ∞ in the derivatives of its KL."""
    problem = Problem.softmax(10)
    nan, product = torch.tensor([[1], [torch.nan], [1]]), problem.product()
    with pytest.raises(FloatingPointError, match=r"rows \[1\] of θ is NaN or infinite"):
        trust_region_step(problem.old, problem.objective, lambda v: nan * product(v), 0.01, 0.1, 10, search=False)


@dataclass(frozen=True)
class Reparameterised:
    """The same policies under other parameters ψ: θ = M ψ."""

    policy: Policy
    matrix: torch.Tensor

    def __call__(self, psi, obs):
        return self.policy(psi @ self.matrix.T, obs)


def test_the_natural_gradient_does_not_depend_on_the_parameters_and_the_plain_one_does():
    """θ = M ψ with M's condition number 10: the steps in ψ, taken to θ by M, against those in θ."""
    here = Problem.gaussian(0)
    size = here.policy.size
    u, v = (torch.linalg.qr(random(seed, size, size)).Q for seed in (4, 5))
    matrix = u @ torch.diag(10 ** torch.linspace(-0.5, 0.5, size, dtype=F64)) @ v
    psi = torch.linalg.solve(matrix, here.old.T).T
    there = replace(here, policy=Reparameterised(here.policy, matrix), old=psi)

    def natural(problem):
        return problem.step(damping=0.0, cg_steps=100, search=False)[0] - problem.old

    torch.testing.assert_close(natural(there) @ matrix.T, natural(here), rtol=1e-4, atol=1e-6)
    plain = torch.nn.functional.normalize(here.gradient())
    mapped = torch.nn.functional.normalize(there.gradient() @ matrix.T)
    assert (torch.cosine_similarity(plain, mapped) < 0.9).all()


def test_what_is_given_stays_as_it_was():
    problem = Problem.softmax(11)
    before = problem.old.clone()
    theta, _ = problem.step()
    assert torch.equal(problem.old, before)
    assert not problem.old.requires_grad
    assert not theta.requires_grad
