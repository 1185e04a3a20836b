"""Networks over a flat θ against torch.nn with the same weights."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pgcourse.core import GRU, MLP, Conv, Module, Normalized, Outputs, Streams, Table
from pgcourse.core.networks import ACTIVATIONS, FEW, linearized, pieces

F64 = torch.float64
TORCH = {"tanh": nn.Tanh, "relu": nn.ReLU}


def sequential(mlp, row):
    """A torch module with the weights of one row of θ, which are in torch's own order."""
    layers = []
    for n_in, n_out in zip(mlp.sizes, mlp.sizes[1:], strict=False):
        layers += [nn.Linear(n_in, n_out, dtype=row.dtype), TORCH[mlp.activation]()]
    module = nn.Sequential(*layers[:-1])
    assert sum(parameter.numel() for parameter in module.parameters()) == len(row) == mlp.size
    nn.utils.vector_to_parameters(row, module.parameters())
    return module


def flat_gradient(module):
    return nn.utils.parameters_to_vector([parameter.grad for parameter in module.parameters()])


def random_theta(mlp, seeds=3):
    return Streams(seeds, dtype=F64).child("theta").normal(mlp.size)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("sizes", [(4, 2), (3, 8, 1), (5, 16, 16, 4)])
@pytest.mark.parametrize("batch", [(), (7,), (2, 5)])
def test_against_torch_modules(sizes, activation, batch):
    mlp = MLP(sizes, activation)
    theta = random_theta(mlp)
    x = Streams(3, dtype=F64).normal(*batch, sizes[0])
    y = mlp(theta, x)
    assert y.shape == (3, *batch, sizes[-1])
    for i in range(3):
        torch.testing.assert_close(y[i], sequential(mlp, theta[i])(x[i]), rtol=1e-10, atol=1e-12)


def test_gradients_against_torch_modules():
    mlp = MLP((3, 8, 8, 2))
    theta = random_theta(mlp).requires_grad_()
    x = Streams(3, dtype=F64).normal(6, 3)
    (gradient,) = torch.autograd.grad(mlp(theta, x).square().sum(), theta)
    for i in range(3):
        module = sequential(mlp, theta[i].detach())
        module(x[i]).square().sum().backward()
        torch.testing.assert_close(gradient[i], flat_gradient(module))


def test_outputs_are_a_part_of_a_network_and_its_gradient():
    mlp = MLP((3, 8, 5))
    theta, x = random_theta(mlp).requires_grad_(), Streams(3, dtype=F64).normal(6, 3)
    part = Outputs(mlp, 1, 3)
    assert (part.size, part.outputs) == (mlp.size, 2)
    torch.testing.assert_close(part.at(theta.detach())(x), mlp(theta, x)[..., 1:3])
    (gradient,) = torch.autograd.grad(part(theta, x).square().sum(), theta)
    for i in range(3):
        module = sequential(mlp, theta[i].detach())
        module(x[i])[:, 1:3].square().sum().backward()
        torch.testing.assert_close(gradient[i], flat_gradient(module))
    with pytest.raises(ValueError, match="0 ≤ first < last ≤ 5"):
        Outputs(mlp, 3, 6)


def test_each_output_may_start_with_a_gain_of_its_own():
    mlp = MLP((3, 8, 2), last_gain=(0.5, 2.0))
    last = mlp.init(Streams(4, dtype=F64))[:, -18:-2].view(4, 2, 8)
    torch.testing.assert_close(last @ last.mT, torch.diag(torch.tensor([0.25, 4.0], dtype=F64)).expand(4, 2, 2))
    with pytest.raises(ValueError, match="one for each of 2 outputs"):
        MLP((3, 8, 2), last_gain=(0.5, 2.0, 1.0))


def test_the_gradient_and_its_gradient_by_finite_differences():
    mlp = MLP((2, 3, 1))
    theta = random_theta(mlp, 1).requires_grad_()
    x = Streams(1, dtype=F64).normal(2, 2)
    assert torch.autograd.gradcheck(lambda t: mlp(t, x), theta)
    assert torch.autograd.gradgradcheck(lambda t: mlp(t, x), theta)


def composed(mlp, theta, x):
    """The same network of torch's own functions, each with torch's own derivatives."""
    parameters = pieces(theta, mlp.layout)
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = getattr(torch, mlp.activation)(torch.einsum("s...i,soi->s...o", x, weight) + over(x, bias))
    return torch.einsum("s...i,soi->s...o", x, parameters[-2]) + over(x, parameters[-1])


def over(x, bias):
    return bias.view(len(bias), *(1,) * (x.ndim - 2), -1)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("batch", [(), (FEW - 1,), (FEW,), (3, 10)])
@pytest.mark.parametrize("sizes", [(4, 2), (3, 8, 5, 2)])
def test_derivatives_of_first_and_second_order_against_autograd(sizes, batch, activation):
    """With respect to θ and x together, and the derivative of that gradient along a vector."""
    mlp, streams = MLP(sizes, activation), Streams(2, dtype=F64)
    theta, x = streams.normal(mlp.size).requires_grad_(), streams.normal(*batch, sizes[0]).requires_grad_()
    along = streams.normal(mlp.size), streams.normal(*batch, sizes[0])

    def derivatives(network):
        y = network(theta, x)
        first = torch.autograd.grad((y**3).sum(), (theta, x), create_graph=True)
        inner = sum((gradient * v).sum() for gradient, v in zip(first, along, strict=True))
        return y, *first, *torch.autograd.grad(inner, (theta, x))

    expected = derivatives(lambda theta, x: composed(mlp, theta, x))
    torch.testing.assert_close(derivatives(mlp), expected, rtol=1e-10, atol=1e-10)


NETWORKS = {
    "tanh": MLP((3, 8, 8, 2)),
    "relu": MLP((3, 8, 2), "relu"),
    "normalized": Normalized(MLP((3, 8, 2)), 3),
    "table": Table(5, 2),
    "convolutional": Conv((1, 3, 3), 2, filters=((2, 2, 1),), hidden=(3,)),
    "module": Module(lambda: nn.Linear(3, 2), (3,), 2),
}


@pytest.fixture(params=NETWORKS)
def net(request):
    return NETWORKS[request.param]


def inputs_of(net, streams, *batch):
    if isinstance(net, Table):
        return streams.integers(5, *batch)
    return streams.normal(*batch, *(net.shape if isinstance(net, Conv) else (3,)))


@pytest.mark.parametrize("batch", [(), (4,), (5, 20)])
def test_a_network_cut_once_is_the_network(net, batch):
    """`at`, without gradients and with them."""
    streams = Streams(2, dtype=F64)
    theta, x = net.init(streams) + streams.normal(net.size).square(), inputs_of(net, streams, *batch)
    y = net.at(theta)(x)
    torch.testing.assert_close(y, net(theta, x), rtol=1e-12, atol=1e-12)
    leaf = theta.clone().requires_grad_()
    cut, whole = (torch.autograd.grad(f.square().sum(), leaf)[0] for f in (net.at(leaf)(x), net(leaf, x)))
    torch.testing.assert_close(cut, whole, rtol=1e-12, atol=1e-12)
    assert whole.abs().max() > 0.01


def test_the_jacobian_of_a_network_and_its_transpose(net):
    """J v and Jᵀ u against the whole Jacobian."""
    streams = Streams(2, dtype=F64)
    theta, x = net.init(streams) + streams.normal(net.size).square(), inputs_of(net, streams, 4, 3)
    y, push, pull = linearized(net, theta, x)
    torch.testing.assert_close(y, net(theta, x))
    v, u = streams.normal(net.size), torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=F64)
    for row in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda t, row=row: net(t, x[row : row + 1])[0], theta[row : row + 1]
        )[..., 0, :]
        torch.testing.assert_close(push(v)[row], jacobian @ v[row])
        torch.testing.assert_close(pull(u)[row], torch.einsum("abo,abop->p", u[row], jacobian))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_theta_is_drawn_in_the_streams_dtype(net, dtype):
    theta = net.init(Streams(2, dtype=dtype))
    assert theta.shape == (2, net.size)
    assert theta.dtype == dtype
    assert dtype == torch.float32 or isinstance(net, Table) or (theta.float() != theta).any()


class TestTanh:
    tanh = staticmethod(ACTIVATIONS["tanh"].function)

    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (F64, 5e-16)])
    def test_values(self, dtype, tolerance):
        x = torch.linspace(-20, 20, 4001, dtype=dtype)
        torch.testing.assert_close(self.tanh(x), torch.tanh(x), rtol=0, atol=tolerance)
        extremes = torch.tensor([-math.inf, -1000.0, 0.0, 1000.0, math.inf], dtype=dtype)
        assert self.tanh(extremes).tolist() == [-1, -1, 0, 1, 1]

    def test_first_and_second_derivative(self):
        x = torch.linspace(-4, 4, 33, dtype=F64, requires_grad=True)
        y = torch.tanh(x.detach())
        (first,) = torch.autograd.grad(self.tanh(x).sum(), x, create_graph=True)
        torch.testing.assert_close(first.detach(), 1 - y**2)
        (second,) = torch.autograd.grad(first.sum(), x)
        torch.testing.assert_close(second, -2 * y * (1 - y**2))
        assert torch.autograd.gradcheck(self.tanh, x)
        assert torch.autograd.gradgradcheck(self.tanh, x)

    def test_the_input_is_left_alone(self):
        x = torch.tensor([0.5, -0.5])
        self.tanh(x)
        assert x.tolist() == [0.5, -0.5]


class TestInit:
    mlp = MLP((6, 32, 16, 3), last_gain=0.01)

    def test_weights_are_orthogonal_and_biases_zero(self):
        theta = self.mlp.init(Streams(3, dtype=F64))
        assert theta.shape == (3, self.mlp.size)
        for row in theta:
            linears = [layer for layer in sequential(self.mlp, row) if isinstance(layer, nn.Linear)]
            for layer, gain in zip(linears, (math.sqrt(2), math.sqrt(2), 0.01), strict=True):
                w = layer.weight.detach()
                short = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
                torch.testing.assert_close(short, gain**2 * torch.eye(len(short), dtype=F64))
                assert (layer.bias == 0).all()

    def test_a_seed_does_not_depend_on_its_neighbours(self):
        both, alone = self.mlp.init(Streams([2, 8])), self.mlp.init(Streams([8]))
        assert torch.equal(both[1], alone[0])
        assert not torch.equal(both[0], both[1])

    def test_each_row_of_theta_is_its_own_network(self):
        theta = random_theta(self.mlp).requires_grad_()
        x = Streams(3, dtype=F64).normal(4, 6)
        (gradient,) = torch.autograd.grad(self.mlp(theta, x)[1].sum(), theta)
        assert (gradient[0] == 0).all()
        assert (gradient[2] == 0).all()
        assert gradient[1].abs().sum() > 0


def convolutional(conv, row):
    """A torch module with the weights of one row of θ, in torch's own order of parameters where that is ours."""
    layers = []
    channels = conv.shape[0]
    for n_out, kernel, stride in conv.filters:
        layers += [nn.Conv2d(channels, n_out, kernel, stride, dtype=row.dtype), TORCH[conv.activation]()]
        channels = n_out
    filters = nn.Sequential(*layers)
    count = sum(parameter.numel() for parameter in filters.parameters())
    nn.utils.vector_to_parameters(row[:count], filters.parameters())
    return nn.Sequential(filters, nn.Flatten(), sequential(conv.head, row[count:]))


class TestConv:
    nets = (
        Conv((4, 10, 10), 6),
        Conv((2, 9, 7), 3, filters=((5, 3, 2), (4, 2, 1)), hidden=(8, 6), activation="tanh"),
        Conv((1, 4, 5), 2, filters=((3, 4, 1),), hidden=()),
    )

    @pytest.mark.parametrize("net", nets)
    @pytest.mark.parametrize("batch", [(), (7,), (2, 3)])
    def test_values_and_gradients_against_torch_modules(self, net, batch):
        theta = random_theta(net).requires_grad_()
        x = Streams(3, dtype=F64).normal(*batch, *net.shape)
        y = net(theta, x)
        assert y.shape == (3, *batch, net.outputs)
        (gradient,) = torch.autograd.grad(y.square().sum(), theta)
        for i in range(3):
            module = convolutional(net, theta[i].detach())
            expected = module(x[i].reshape(-1, *net.shape)).view(*batch, net.outputs)
            torch.testing.assert_close(y[i], expected, rtol=1e-10, atol=1e-10)
            expected.square().sum().backward()
            torch.testing.assert_close(gradient[i], flat_gradient(module))

    def test_the_gradient_and_its_gradient_by_finite_differences(self):
        net = Conv((1, 3, 3), 2, filters=((2, 2, 1),), hidden=(3,), activation="tanh")
        theta = random_theta(net, 2).requires_grad_()
        x = Streams(2, dtype=F64).normal(2, *net.shape)
        assert torch.autograd.gradcheck(lambda t: net(t, x), theta)
        assert torch.autograd.gradgradcheck(lambda t: net(t, x), theta)

    def test_filters_start_orthogonal_and_biases_zero(self):
        net = Conv((4, 10, 10), 6, filters=((16, 3, 1), (8, 3, 2)), last_gain=0.01)
        theta = net.init(Streams([4, 9], dtype=F64))
        assert theta.shape == (2, net.size)
        for row in theta:
            filters, _, head = convolutional(net, row)
            layers = [layer for layer in (*filters, *head) if hasattr(layer, "weight")]
            for layer, gain in zip(layers, (math.sqrt(2),) * 3 + (0.01,), strict=True):
                w = layer.weight.detach().flatten(1)
                short = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
                torch.testing.assert_close(short, gain**2 * torch.eye(len(short), dtype=F64))
                assert (layer.bias == 0).all()
        assert torch.equal(theta[1], net.init(Streams([9], dtype=F64))[0])
        assert not torch.equal(theta[0], theta[1])

    def test_each_row_of_theta_is_its_own_network(self):
        net = self.nets[0]
        theta = random_theta(net).requires_grad_()
        (gradient,) = torch.autograd.grad(net(theta, Streams(3, dtype=F64).normal(2, *net.shape))[1].sum(), theta)
        assert (gradient[0] == 0).all()
        assert (gradient[2] == 0).all()
        assert gradient[1].abs().sum() > 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"shape": (10, 10)}, r"shape must be \(channels, height, width\), each 1 or more; got \(10, 10\)"),
            ({"filters": ()}, r"filters must be one or more of .*; got \(\)"),
            ({"filters": ((16, 3, 0),)}, r"each 1 or more; got \(\(16, 3, 0\),\)"),
            ({"filters": ((16, 8, 1), (16, 4, 1))}, "a kernel of 4 does not fit on 3 × 3"),
            ({"activation": "selu"}, "activation must be one of"),
            ({"outputs": 0}, "each 1 or more; got"),
        ],
    )
    def test_bad_architectures(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Conv(**{"shape": (4, 10, 10), "outputs": 6} | arguments)

    def test_images_of_another_shape(self):
        net = self.nets[0]
        with pytest.raises(ValueError, match=r"images must be \[seed, ..., \*\(4, 10, 10\)\], got \[1, 2, 10, 10, 4\]"):
            net(net.init(Streams(1)), torch.zeros(1, 2, 10, 10, 4))


@pytest.mark.parametrize("batch", [(), (6,), (2, 3)])
def test_table_looks_up_rows(batch):
    table = Table(5, 2)
    theta = Streams(3, dtype=F64).normal(table.size)
    index = Streams(3).integers(5, *batch)
    result = table(theta, index)
    assert result.shape == (3, *batch, 2)
    for i in range(3):
        torch.testing.assert_close(result[i], theta[i].view(5, 2)[index[i]])
    assert (table.init(Streams(3)) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4,),), r"at least inputs and outputs, each 1 or more; got \(4,\)"),
        (((4, 0, 2),), r"got \(4, 0, 2\)"),
        (((4, 2), "selu"), r"activation must be one of \['relu', 'tanh'\], got 'selu'"),
    ],
)
def test_bad_architectures(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(*arguments)


@pytest.mark.parametrize("network", [MLP((3, 8, 2), start="uniform"), MLP((3, 8, 2), "relu")])
def test_standardised_inputs(network):
    """Moments of everything shown, in parts of any size, are numpy's; no gradient reaches them."""
    standard, streams = Normalized(network, 3), Streams([4, 7], dtype=F64)
    theta = standard.init(streams)
    x = 3 * streams.normal(50, 3) + torch.tensor([100.0, 0.0, -2.0], dtype=F64)
    torch.testing.assert_close(
        standard(theta, x), network(theta[:, : network.size], x.clamp(-10, 10)), rtol=1e-6, atol=1e-6
    )
    shown = torch.ones(2, 50, dtype=torch.bool)
    shown[0, 17:20] = False
    for part in (slice(0, 1), slice(1, 16), slice(16, 50)):
        before = theta.clone()
        after = standard.observe(theta, x[:, part], shown[:, part])
        assert torch.equal(theta, before)
        theta = after
    for row in range(2):
        seen = x[row][shown[row]].numpy()
        np.testing.assert_allclose(theta[row, network.size :], [*seen.mean(0), *seen.var(0), len(seen)], rtol=1e-10)
        scaled = torch.tensor((x[row].numpy() - seen.mean(0)) / np.sqrt(seen.var(0) + 1e-8)).clamp(-10, 10)
        expected = network(theta[row : row + 1, : network.size], scaled.unsqueeze(0))
        torch.testing.assert_close(standard(theta, x)[row], expected[0])
    theta.requires_grad_()
    (grad,) = torch.autograd.grad(standard(theta, x).square().sum(), theta)
    assert (grad[:, network.size :] == 0).all()
    assert (grad[:, : network.size] != 0).any(0).sum() > network.size / 2


def test_a_uniform_start_is_that_of_torch_nn_linear():
    """Bounds ±1/√in for weights and biases; a seed's numbers are its own."""
    network = MLP((100, 400, 5), start="uniform")
    theta = network.init(Streams([1, 2]))
    for piece, n_in in zip(pieces(theta, network.layout), (100, 100, 400, 400), strict=True):
        linear = torch.nn.Linear(n_in, 400).weight
        bound = 1 / math.sqrt(n_in)
        assert piece.abs().max() <= bound
        if piece[0].numel() > 1000:
            assert piece.abs().max() > 0.99 * bound
            assert abs(piece.std() / linear.std() - 1) < 0.02
    assert torch.equal(network.init(Streams([2]))[0], theta[1])
    with pytest.raises(ValueError, match="start must be 'orthogonal' or 'uniform', got 'zero'"):
        MLP((1, 1), start="zero")


# Memory


def gated(gru, row):
    """torch's cell and last layer with the weights of one row of θ, which are in torch's own order."""
    parts = nn.GRUCell(gru.inputs, gru.units, dtype=row.dtype), nn.Linear(gru.units, gru.outputs, dtype=row.dtype)
    nn.utils.vector_to_parameters(row, nn.ModuleList(parts).parameters())
    return parts


@pytest.mark.parametrize("batch", [(), (7,), (2, 5)])
def test_a_step_of_a_gru_against_torch(batch):
    gru = GRU(3, 5, 2)
    theta = random_theta(gru)
    x = Streams(3, dtype=F64).normal(*batch, 8)
    h, y = gru.memory(theta)(x), gru(theta, x)
    assert (h.shape, y.shape) == ((3, *batch, 5), (3, *batch, 2))
    for i in range(3):
        cell, last = gated(gru, theta[i])
        flat = x[i].reshape(-1, 8)
        expected = cell(flat[:, :3], flat[:, 3:])
        torch.testing.assert_close(h[i].reshape(-1, 5), expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(y[i].reshape(-1, 2), last(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("starts", [[], [(3, 1)], [(0, 2), (3, 1), (4, 1), (5, 0)]])
def test_sequences_of_a_gru_and_their_gradient_against_torch(starts):
    """Episodes start at `starts`, (time, sequence); elsewhere of the memories given only the first matter."""
    gru = GRU(3, 5, 2)
    theta, streams = random_theta(gru).requires_grad_(), Streams(3, dtype=F64)
    x, weight = streams.normal(6, 4, 8), streams.child("weight").normal(6, 4, 2)
    for time, sequence in starts:
        x[:, time, sequence, 3:] = 0
    y = gru.replay(theta, x)
    (gradient,) = torch.autograd.grad((weight * y).sum(), theta)
    for i in range(3):
        cell, last = gated(gru, theta[i].detach())
        h, total = x[i, 0, :, 3:], 0
        for t in range(6):
            h = cell(x[i, t, :, :3], h * (x[i, t, :, 3:] != 0).any(-1, keepdim=True))
            torch.testing.assert_close(y[i, t], last(h), rtol=1e-10, atol=1e-12)
            total = total + (weight[i, t] * last(h)).sum()
        total.backward()
        expected = torch.cat([flat_gradient(part) for part in (cell, last)])
        torch.testing.assert_close(gradient[i], expected, rtol=1e-9, atol=1e-11)


def test_a_gru_forgets_at_a_start_and_starts_as_torch_does():
    gru, streams = GRU(3, 64, 2, last_gain=0.01), Streams(4, dtype=F64)
    theta = gru.init(streams)
    assert gru.begun(torch.ones(4, 7, 3)).shape == (4, 7, 67)
    assert torch.equal(gru.begun(torch.ones(4, 7, 67)), torch.ones(4, 7, 67))
    cell = theta[:, : -gru.outputs * (gru.units + 1)]
    assert 0.97 / 8 < cell.abs().max() <= 1 / 8
    assert cell.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.02)
    assert gru(theta, gru.begun(streams.normal(9, 3))).abs().max() < 0.05
    with pytest.raises(ValueError, match="units and outputs must be 1 or more"):
        GRU(3, 0, 2)
