"""Adam and clipping against torch.optim and torch.nn.utils, one seed after another."""

import math

import pytest
import torch

from pgcourse.core.adam import Adam, clipped, gradient

F64 = torch.float64
SEEDS, SIZE = 3, 7


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize(
    "options", [{}, {"eps": 1e-8}, {"beta1": 0.5, "beta2": 0.9}, {"eps": 0.1, "beta1": 0.0}], ids=str
)
def test_against_torch(options):
    """Twelve steps of a falling size, along gradients of very different sizes."""
    adam = Adam(0.03, **options)
    theta = random(0, SEEDS, SIZE)
    state = adam.init(theta)
    theirs = [row.clone().requires_grad_() for row in theta]
    betas = (adam.beta1, adam.beta2)
    optimizers = [torch.optim.Adam([row], lr=0.03, betas=betas, eps=adam.eps) for row in theirs]
    for k in range(12):
        grad, rate = 10.0 ** (k % 5 - 3) * random(k + 1, SEEDS, SIZE), 1 - k / 12
        theta, state = adam.step(theta, grad, state, rate)
        for row, own, optimizer in zip(theirs, grad, optimizers, strict=True):
            row.grad = own.clone()
            optimizer.param_groups[0]["lr"] = rate * 0.03
            optimizer.step()
    torch.testing.assert_close(theta, torch.stack(theirs).detach(), rtol=0, atol=1e-12)
    assert state.count.tolist() == [[12]] * SEEDS


def test_the_first_step_has_the_size_of_the_learning_rate():
    """m̂ / √v̂ = ±1 at the first step, whatever the gradient (Kingma & Ba 2015, section 2.1)."""
    adam, theta = Adam(0.1, eps=0.0), random(0, SEEDS, SIZE)
    grad = 1e3 * random(1, SEEDS, SIZE)
    moved, _ = adam.step(theta, grad, adam.init(theta))
    torch.testing.assert_close(moved, theta - 0.1 * grad.sign(), rtol=0, atol=1e-12)


def test_what_is_given_stays_as_it_was():
    adam, theta = Adam(0.1), random(0, SEEDS, SIZE)
    theta, state = adam.step(theta, random(1, SEEDS, SIZE), adam.init(theta))
    given = [theta, *state]
    before = [each.clone() for each in given]
    adam.step(theta, random(2, SEEDS, SIZE), state)
    adam.step(theta, random(2, SEEDS, SIZE), state, rows=torch.tensor([True, False, True]))
    assert all(map(torch.equal, given, before))


def test_rows_that_rest_go_on_as_if_nothing_had_been():
    """A row that rests in some steps ends where it ends without them, and what its gradient is then does not matter."""
    adam, theta = Adam(0.1), random(0, 2, SIZE)
    ours, alone = (theta, adam.init(theta)), (theta, adam.init(theta))
    for k in range(6):
        grad = random(k + 1, 2, SIZE)
        if k % 2:
            alone = adam.step(alone[0], grad, alone[1])
            ours = adam.step(ours[0], grad, ours[1])
        else:
            grad[0] = torch.nan
            before = ours
            ours = adam.step(ours[0], grad, ours[1], rows=torch.tensor([False, True]))
            assert all(torch.equal(old[0], new[0]) for old, new in zip(before[1], ours[1], strict=True))
            assert not torch.equal(before[0][1], ours[0][1])
    assert torch.equal(ours[0][0], alone[0][0])
    assert torch.equal(ours[1].mean[0], alone[1].mean[0])
    assert ours[1].count.tolist() == [[3], [6]]


def test_every_row_gets_the_gradient_of_its_own_loss():
    theta, phi = random(0, SEEDS, SIZE).requires_grad_(), random(1, SEEDS, 4).requires_grad_()
    grads = gradient((theta**3).sum(1) + phi.square().sum(1), theta, phi)
    torch.testing.assert_close(grads, (3 * theta.detach() ** 2, 2 * phi.detach()))


@pytest.mark.parametrize("max_norm", [0.5, 3.0, math.inf])
@pytest.mark.parametrize("jointly", [False, True])
def test_clipping_against_torch(jointly, max_norm):
    gradients = tuple(random(i, SEEDS, size) for i, size in enumerate((SIZE, 4)))
    ours, norms = clipped(gradients, max_norm, jointly)
    for row in range(SEEDS):
        theirs = [torch.zeros_like(each[row]).requires_grad_() for each in gradients]
        for parameter, each in zip(theirs, gradients, strict=True):
            parameter.grad = each[row].clone()
        for group in [theirs] if jointly else [[parameter] for parameter in theirs]:
            torch.nn.utils.clip_grad_norm_(group, max_norm)
        for our, parameter in zip(ours, theirs, strict=True):
            torch.testing.assert_close(our[row], parameter.grad, rtol=1e-5, atol=1e-12)  # theirs adds 1e-6 to the norm
    torch.testing.assert_close(norms, tuple(each.norm(dim=1) for each in gradients))


@pytest.mark.parametrize("fault", [math.nan, math.inf])
@pytest.mark.parametrize("jointly", [False, True])
def test_a_gradient_that_is_not_finite_names_its_rows(jointly, fault):
    gradients = (random(0, SEEDS, SIZE), random(1, SEEDS, 4))
    gradients[1][1, 2] = fault
    with pytest.raises(FloatingPointError, match=r"rows \[1\] of θ is NaN or infinite"):
        clipped(gradients, 1.0, jointly)


def test_a_gradient_of_zero_stays_zero():
    ours, _ = clipped((torch.zeros(2, 3),), 1.0)
    assert torch.equal(ours[0], torch.zeros(2, 3))
