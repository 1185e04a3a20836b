"""Any torch module over a flat θ: against the module itself, one seed after another."""

import copy
import pickle

import pytest
import torch
from torch import nn

from pgcourse.core import MLP, Critic, GaussianPolicy, Module, SoftmaxPolicy, Streams

F64 = torch.float64


class Residual(nn.Module):
    """Tied weights, a parameter of its own, a constant buffer, normalisation: what a person's own network may have."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.again = self.first
        self.norm = nn.LayerNorm(4)
        self.scale = nn.Parameter(torch.randn(4))
        self.last = nn.Linear(4, 3)
        self.register_buffer("offset", torch.arange(4.0))

    def forward(self, x):
        x = x + nn.functional.gelu(self.again(self.first(x)))
        return self.last(self.norm(x) * self.scale + self.offset)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        x, _ = self.attention(x, x, x)
        return self.last(x.mean(1))


def perceptron():
    return nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 2))


def convolutional():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.GroupNorm(1, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2))


def embedding():
    return nn.Sequential(nn.Embedding(5, 4), nn.Tanh(), nn.Linear(4, 2))


MODULES = {
    "perceptron": Module(perceptron, (4,), 2),
    "residual": Module(Residual, (4,), 3),
    "convolutional": Module(convolutional, (2, 4, 4), 2),
    "attention": Module(Attention, (3, 4), 2),
    "embedding": Module(embedding, (), 2),
}


@pytest.fixture(params=MODULES)
def net(request):
    return MODULES[request.param]


def inputs(net, streams, *batch):
    return streams.integers(5, *batch) if net.inputs == () else streams.normal(*batch, *net.inputs)


def filled(net, row):
    """The module itself, with one row of θ."""
    module = net.make().to(row.dtype)
    nn.utils.vector_to_parameters(row, module.parameters())
    return module


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_values_and_gradients_against_the_module(net, batch):
    theta = Streams(3, dtype=F64).child("theta").normal(net.size).requires_grad_()
    x = inputs(net, Streams(3, dtype=F64), *batch)
    y = net(theta, x)
    assert y.shape == (3, *batch, net.outputs)
    (gradient,) = torch.autograd.grad(y.square().sum(), theta)
    for i in range(3):
        module = filled(net, theta[i].detach())
        expected = module(x[i].reshape(-1, *net.inputs)).view(*batch, net.outputs)
        torch.testing.assert_close(y[i], expected)
        grads = torch.autograd.grad(expected.square().sum(), list(module.parameters()))
        torch.testing.assert_close(gradient[i], nn.utils.parameters_to_vector(grads))


def test_hessian_vector_products_against_the_module(net):
    """As natural gradients take them: the derivative of the gradient along v, for all seeds at once."""
    theta = Streams(2, dtype=F64).child("theta").normal(net.size).requires_grad_()
    v = Streams(2, dtype=F64).child("v").normal(net.size)
    x = inputs(net, Streams(2, dtype=F64), 3)
    (gradient,) = torch.autograd.grad(net(theta, x).square().sum(), theta, create_graph=True)
    (product,) = torch.autograd.grad((gradient * v).sum(), theta)
    for i in range(2):
        module = filled(net, theta[i].detach())
        parameters = list(module.parameters())
        grads = torch.autograd.grad(module(x[i]).square().sum(), parameters, create_graph=True)
        inner = nn.utils.parameters_to_vector(grads) @ v[i]
        expected = torch.autograd.grad(inner, parameters, materialize_grads=True)
        torch.testing.assert_close(product[i], nn.utils.parameters_to_vector(expected))


class TestInit:
    def test_every_seed_has_its_own_and_depends_on_no_other(self, net):
        theta = net.init(Streams([2, 8, 5]))
        assert theta.shape == (3, net.size)
        assert theta.dtype == torch.float32
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert (theta[i] != theta[j]).float().mean() > 0.3  # all that is random differs
        assert torch.equal(net.init(Streams([8]))[0], theta[1])
        assert net.init(Streams(2, dtype=F64)).dtype == F64

    def test_global_random_state_is_neither_used_nor_changed(self, net):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        fresh = Module(net.make, net.inputs, net.outputs)
        theta = fresh.init(Streams(2))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        assert torch.equal(Module(net.make, net.inputs, net.outputs).init(Streams(2)), theta)

    def test_it_is_the_modules_own(self):
        """nn.Linear starts uniform on ±1/√in, nn.LayerNorm at 1 and 0, torch.randn(4) normal."""
        net = MODULES["residual"]
        theta = net.init(Streams(400))
        rows = dict(zip(net.layout, theta.split([torch.Size(s).numel() for s in net.layout.values()], 1), strict=True))
        weight = rows["first.weight"]
        assert weight.abs().max() <= 0.5
        assert weight.abs().max() > 0.49
        assert abs(weight.double().mean()) < 4 * 0.5 / 3**0.5 / weight.numel() ** 0.5
        assert (rows["norm.weight"] == 1).all()
        assert (rows["norm.bias"] == 0).all()
        assert rows["scale"].var().item() == pytest.approx(1, abs=4 * (2 / rows["scale"].numel()) ** 0.5)

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: torch.rand(3, 3),
            lambda: torch.randint(2, 5, (3, 3)).float(),
            lambda: torch.randn_like(torch.zeros(3, 3)),
            lambda: torch.randperm(9).view(3, 3).float(),
            lambda: nn.init.orthogonal_(torch.empty(3, 3)),
            lambda: nn.init.trunc_normal_(torch.empty(3, 3)),
            lambda: torch.bernoulli(torch.full((3, 3), 0.5)),
            lambda: nn.functional.dropout(torch.ones(3, 3)),
        ],
    )
    def test_all_ways_to_draw_take_from_the_seeds_stream(self, draw):
        class Drawn(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(draw())

            def forward(self, x):
                return x @ self.weight

        before = torch.get_rng_state()
        net = Module(Drawn, (3,), 3)
        theta = net.init(Streams(20))
        assert torch.equal(torch.get_rng_state(), before)
        assert len({tuple(row) for row in theta.tolist()}) > 10
        assert torch.equal(theta[7], net.init(Streams([7]))[0])


def test_policies_and_critics_take_modules():
    net = MODULES["residual"]
    streams = Streams(2)
    obs = streams.normal(3, 5, 4)
    softmax, gaussian, critic = (
        SoftmaxPolicy(net),
        GaussianPolicy(net),
        Critic(Module(lambda: nn.Linear(4, 1), (4,), 1)),
    )
    assert softmax(softmax.init(streams), obs).probs.shape == (2, 3, 5, 3)
    assert gaussian.init(streams).shape == (2, net.size + 3)
    assert gaussian(gaussian.init(streams), obs).mean.shape == (2, 3, 5, 3)
    assert critic(critic.init(streams), obs).shape == (2, 3, 5)


def test_a_module_with_the_weights_of_an_mlp_is_the_mlp():
    mlp, net = MLP((4, 8, 2)), Module(lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), (4,), 2)
    theta = mlp.init(Streams(2, dtype=F64))
    x = Streams(2, dtype=F64).normal(6, 4)
    torch.testing.assert_close(net(theta, x), mlp(theta, x))


def test_it_travels_to_other_processes():
    net = MODULES["convolutional"]
    theta, x = net.init(Streams(2)), Streams(2).normal(3, *net.inputs)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert other == net
        assert torch.equal(other(theta, x), net(theta, x))


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.linear(x)


class Branching(nn.Linear):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + torch.randn(2)


def frozen():
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    module[0].weight.requires_grad_(False)
    return module


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), r"Sequential.1 = BatchNorm1d.*use nn.LayerNorm"),
        (lambda: nn.BatchNorm1d(4, track_running_stats=False).eval(), "depend on the batch's other states"),
        (lambda: nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.1)), r"Sequential.1 = Dropout.*change from call to call"),
        (lambda: nn.LazyLinear(2), "weight is not initialised: give lazy layers their sizes"),
        (lambda: nn.Linear(4, 2, dtype=torch.complex64), "weight is torch.complex64: parameters must be real"),
        (frozen, "0.weight is frozen; all parameters belong to θ: register constants as buffers"),
    ],
)
def test_modules_that_are_no_function_of_theta_and_the_state(make, message):
    with pytest.raises(ValueError, match=message):
        Module(make, (4,), 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Counting, "Counting changes a buffer as it computes"),
        (lambda: Branching(4, 2), "Branching failed under torch.func.vmap: .* nor branch on values"),
        (lambda: Noisy(4, 2), "Noisy failed under torch.func.vmap: .* draw random numbers"),
        (lambda: nn.Linear(4, 3), r"Linear returned \[5, 3\], expected \[batch, 2\]"),
        (lambda: nn.Linear(3, 2), "Linear failed under torch.func.vmap: .*size"),
    ],
)
def test_modules_that_fail_as_they_compute(make, message):
    net = Module(make, (4,), 2)
    with pytest.raises(ValueError, match=message):
        net(net.init(Streams(2)), torch.ones(2, 5, 4))


def test_inactive_normalisation_and_dropout_are_fine():
    net = Module(lambda: nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).eval(), (4,), 2)
    theta, x = net.init(Streams(2)), Streams(2).normal(6, 4)
    torch.testing.assert_close(net(theta, x)[:, 3:4], net(theta, x[:, 3:4]))


def test_one_module_for_all_seeds_is_an_error():
    shared = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="returned the same module twice, so that seeds would share"):
        Module(lambda: shared, (4,), 2).init(Streams(2))


def test_observations_of_another_shape():
    net = MODULES["perceptron"]
    with pytest.raises(ValueError, match=r"observations must be \[seed, ..., \*\(4,\)\], got \[2, 5\]"):
        net(net.init(Streams(2)), torch.zeros(2, 5))
