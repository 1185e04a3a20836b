"""Architectures over a flat parameter vector θ.

An architecture holds no weights. `init(streams)` makes θ of shape [seed, parameter]; calling it with θ and inputs
evaluates all seeds' networks at once, each row of θ on its own row of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, pad

from pgcourse.core.moments import RunningMoments
from pgcourse.core.streams import Streams


class Network(Protocol):
    """An architecture: `size` parameters, inputs [seed, ..., *input] to outputs [seed, ..., outputs]."""

    @property
    def size(self) -> int: ...

    @property
    def outputs(self) -> int: ...

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size], drawn in the streams' dtype."""

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor: ...

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ network(θ, x), for many x and one θ: θ is cut into its pieces once."""


class Linearized(NamedTuple):
    """A function of θ at one θ: its value y and its Jacobian J = ∂y/∂θ, without the matrix."""

    value: Any
    push: Callable[[Tensor], Any]  # v ↦ J v
    pull: Callable[[Any], Tensor]  # u ↦ Jᵀ u


def linearized(network: Network, theta: Tensor, x: Tensor) -> Linearized:
    """y = network(θ, x) with its Jacobian: J v, like y, is [seed, ..., output], and Jᵀ u, like v, [seed, parameter].

    In closed form where the network has one; else by automatic differentiation: Jᵀ u is linear in u, and its
    derivative along v is J v.
    """
    if hasattr(network, "linearized"):
        return network.linearized(theta, x)
    with torch.enable_grad():
        theta = theta.detach().requires_grad_()
        y = network(theta, x)
        u = torch.zeros_like(y, requires_grad=True)
        (pulled,) = torch.autograd.grad(y, theta, u, create_graph=True)
    return Linearized(
        y.detach(),
        lambda v: torch.autograd.grad(pulled, u, v, retain_graph=True)[0],
        lambda u: torch.autograd.grad(y, theta, u, retain_graph=True)[0],
    )


def pieces(theta: Tensor, layout: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """θ [seed, parameter] cut into tensors [seed, *shape], one for each shape of the layout."""
    flat = theta.split_with_sizes([math.prod(shape) for shape in layout], 1)
    return [piece.view(-1, *shape) if len(shape) > 1 else piece for piece, shape in zip(flat, layout, strict=True)]


class Activation(NamedTuple):
    function: Callable[[Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor], Tensor]  # ∂L/∂y and y = act(x) to ∂L/∂x
    back_in_place: Callable[[Tensor, Tensor], Tensor]  # the same, into the tensor that held ∂L/∂y

    def back_through(self) -> Callable[[Tensor, Tensor], Tensor]:
        """`back`, in place unless somebody may differentiate it."""
        return self.back if torch.is_grad_enabled() else self.back_in_place


def tanh(x: Tensor) -> Tensor:
    """tanh x = 2 σ(2x) - 1: on CPUs, torch's sigmoid is vectorised several times better than its tanh."""
    return _Tanh.apply(x) if torch.is_grad_enabled() else tanh_(x.clone())


_MINUS_ONE = -torch.ones(())


def tanh_(x: Tensor) -> Tensor:
    y = x.add_(x).sigmoid_()
    return torch.add(_MINUS_ONE, y, alpha=2, out=y)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = tanh_(x.clone())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return torch.ops.aten.tanh_backward(grad, *ctx.saved_tensors)


ACTIVATIONS = {
    "tanh": Activation(
        tanh,
        tanh_,
        torch.ops.aten.tanh_backward,
        lambda grad, y: torch.ops.aten.tanh_backward.grad_input(grad, y, grad_input=grad),
    ),
    "relu": Activation(
        torch.relu,
        torch.relu_,
        lambda grad, y: torch.ops.aten.threshold_backward(grad, y, 0),
        lambda grad, y: torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=grad),
    ),
}

# Matrix products are quick as W[out, in] @ x[in, sample], unless there are few samples: then as x[sample, in] @ Wᵀ.
FEW = 16


@dataclass(frozen=True)
class MLP:
    """Fully connected network: x ← act(W_l x + b_l) for the hidden layers, a linear last layer.

    `MLP((4, 64, 64, 2))` has 4 inputs, two hidden layers of 64 units and 2 outputs. Its row of θ is W_1, b_1, W_2, b_2,
    ... flattened, each W of shape [out, in] as in `torch.nn.Linear`. By default weights start orthogonal with gain √2
    in hidden layers and `last_gain` in the last, one number or one for each output, and biases at 0; a small
    `last_gain` makes the first policy nearly uniform. With `start` "uniform" all weights and biases of a layer start
    uniform in ±1/√in, as those of `torch.nn.Linear`, and `last_gain` does not matter.

    Raises:
        ValueError: fewer than two sizes, a size below 1, gains that are not one for each output, an unknown
            activation or start.
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"
    last_gain: float | tuple[float, ...] = 1.0
    start: str = "orthogonal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(f"sizes must name at least inputs and outputs, each 1 or more; got {self.sizes}")
        if isinstance(self.last_gain, tuple) and len(self.last_gain) != self.outputs:
            raise ValueError(
                f"last_gain must be one number or one for each of {self.outputs} outputs, got {self.last_gain}"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {self.activation!r}")
        if self.start not in ("orthogonal", "uniform"):
            raise ValueError(f"start must be 'orthogonal' or 'uniform', got {self.start!r}")

    @property
    def outputs(self) -> int:
        return self.sizes[-1]

    @cached_property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pieces of θ in their order: W_1, b_1, W_2, b_2, ..."""
        return tuple(
            shape
            for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False)
            for shape in ((n_out, n_in), (n_out,))
        )

    @cached_property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.layout)

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size]."""
        theta = torch.zeros(len(streams), self.size, dtype=streams.dtype)
        parameters = pieces(theta, self.layout)
        if self.start == "uniform":
            bound = [1 / math.sqrt(n_in) for n_in in self.sizes[:-1] for _ in ("W", "b")]
            for piece, each in zip(parameters, bound, strict=True):
                piece.copy_((2 * streams.uniform(*piece.shape[1:]) - 1) * each)
            return theta.to(streams.device)
        *hidden, last = parameters[::2]
        gain = torch.tensor(self.last_gain, dtype=streams.dtype).view(-1, 1)
        for row, generator in enumerate(streams.generators()):
            for weight in hidden:
                torch.nn.init.orthogonal_(weight[row], math.sqrt(2), generator=generator)
            torch.nn.init.orthogonal_(last[row], generator=generator).mul_(gain)
        return theta.to(streams.device)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (theta.requires_grad or x.requires_grad):
            return _ClosedForm.apply(theta, x, self)
        return self.at(theta)(x)

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ network(θ, x), for many x and one θ."""
        if torch.is_grad_enabled() and theta.requires_grad:
            return lambda x: self(theta, x)
        parameters, act = pieces(theta, self.layout), ACTIVATIONS[self.activation].in_place
        by_samples = [(W.mT, b.unsqueeze(1)) for W, b in zip(parameters[::2], parameters[1::2], strict=True)]

        def network(x: Tensor) -> Tensor:
            y = x.reshape(len(x), -1, self.sizes[0])
            if x.requires_grad and torch.is_grad_enabled():
                return self(theta, x)
            if y.shape[1] >= FEW:
                y = _layers(parameters, self.samples_last(x), act)[-1].mT
            else:
                *hidden, (last, shift) = by_samples
                for W, b in hidden:
                    y = act(torch.baddbmm(b, y, W))
                y = torch.baddbmm(shift, y, last)
            return y.view(*x.shape[:-1], self.outputs)

        return network

    def samples_last(self, x: Tensor) -> Tensor:
        """[seed, ..., input] as [seed, input, sample]."""
        return x.reshape(len(x), -1, self.sizes[0]).mT.contiguous()

    def linearized(self, theta: Tensor, x: Tensor) -> Linearized:
        """In closed form: J v by the chain rule from the first layer on, Jᵀ u from the last one back."""
        parameters, act = pieces(theta.detach(), self.layout), ACTIVATIONS[self.activation]
        weights = parameters[::2]
        *seen, y = _layers(parameters, self.samples_last(x), act.in_place)

        def push(v: Tensor) -> Tensor:
            changes = pieces(v, self.layout)
            change = torch.baddbmm(changes[1].unsqueeze(2), changes[0], seen[0])
            for h, W, dW, db in zip(seen[1:], weights[1:], changes[2::2], changes[3::2], strict=True):
                change = torch.baddbmm(torch.baddbmm(db.unsqueeze(2), dW, h), W, act.back_through()(change, h))
            return change.mT.view(*x.shape[:-1], self.outputs)

        def pull(u: Tensor) -> Tensor:
            return _gradients(weights, seen, u.reshape(len(u), -1, self.outputs).mT, act.back_through())[0]

        return Linearized(y.mT.view(*x.shape[:-1], self.outputs), push, pull)


def _layers(parameters: Sequence[Tensor], x: Tensor, act: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """What enters each layer, and what leaves the last one, [seed, feature, sample]."""
    seen = [x]
    for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        seen.append(act(torch.baddbmm(b.unsqueeze(2), W, seen[-1])))
    return [*seen, torch.baddbmm(parameters[-1].unsqueeze(2), parameters[-2], seen[-1])]


def _gradients(
    weights: Sequence[Tensor], seen: Sequence[Tensor], g: Tensor, back: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """∂L/∂θ and ∂L/∂(W_1 x + b_1). With g = ∂L/∂(W h + b) of a layer,

    ∂L/∂W = g hᵀ,    ∂L/∂b = Σ g,    and of the layer before it g ← Wᵀ g · act'.
    """
    found = [g.sum(2), torch.bmm(g, seen[-1].mT).flatten(1)]
    for W, h, before in zip(weights[:0:-1], seen[:0:-1], seen[-2::-1], strict=True):
        g = back(torch.bmm(W.mT, g), h)
        found += [g.sum(2), torch.bmm(g, before.mT).flatten(1)]
    return torch.cat(found[::-1], 1), g


class _ClosedForm(torch.autograd.Function):
    """An MLP whose gradient needs no graph. Derivatives of the gradient are autograd's, through the same formula."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, x: Tensor, network: MLP) -> Tensor:
        parameters, act = pieces(theta, network.layout), ACTIVATIONS[network.activation]
        *seen, y = _layers(parameters, network.samples_last(x), act.in_place)
        ctx.save_for_backward(theta, x)
        ctx.network, ctx.kept = network, (parameters, seen)
        return y.mT.view(*x.shape[:-1], network.outputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (theta, x), network, (parameters, seen) = ctx.saved_tensors, ctx.network, ctx.kept
        act = ACTIVATIONS[network.activation]
        if torch.is_grad_enabled():  # derivatives of what follows need to know how it depends on θ and x
            parameters = pieces(theta, network.layout)
            *seen, _ = _layers(parameters, network.samples_last(x), act.function)
        g = grad.reshape(len(x), -1, network.outputs).mT
        gradient, g = _gradients(parameters[::2], seen, g, act.back_through())
        return gradient, torch.bmm(g.mT, parameters[0]).view_as(x) if ctx.needs_input_grad[1] else None, None


@dataclass(frozen=True)
class Conv:
    """Convolutional network: x ← act(W_l * x + b_l) for each of the `filters`, then an MLP on the flattened result.

    `Conv((4, 10, 10), 6)` takes images [seed, ..., channel, height, width] of that shape, has 16 filters of 3 × 3
    pixels and a hidden layer of 128 units, as the network of MinAtar (Young & Tian 2019), and 6 outputs. `filters` is
    a tuple of (channels, kernel size, stride), one for each layer, without padding. A row of θ is W_1, b_1, ...
    flattened, each W of shape [out, in, height, width] as in `torch.nn.Conv2d`, followed by the MLP's row. Weights
    start as the MLP's do.

    Raises:
        ValueError: a shape, a filter or a layer below 1, a kernel larger than what it is laid on, an unknown
            activation, images of another shape.
    """

    shape: tuple[int, int, int]
    outputs: int
    filters: tuple[tuple[int, int, int], ...] = ((16, 3, 1),)
    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    last_gain: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "filters", tuple(tuple(layer) for layer in self.filters))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be (channels, height, width), each 1 or more; got {self.shape}")
        if not self.filters or any(len(layer) != 3 or min(layer) < 1 for layer in self.filters):
            raise ValueError(
                f"filters must be one or more of (channels, kernel size, stride), each 1 or more; got {self.filters}"
            )
        for (_, height, width), (_, kernel, _) in zip(self._images, self.filters, strict=False):
            if kernel > min(height, width):
                raise ValueError(
                    f"filters {self.filters} on shape {self.shape}: a kernel of {kernel} does not fit on "
                    f"{height} × {width}; take fewer or smaller ones"
                )
        _ = self.head  # raises what an MLP raises

    @property
    def _images(self) -> tuple[tuple[int, int, int], ...]:
        """Shapes of the input and of what each layer makes of it."""
        shapes = [self.shape]
        for channels, kernel, stride in self.filters:
            _, height, width = shapes[-1]
            shapes.append((channels, (height - kernel) // stride + 1, (width - kernel) // stride + 1))
        return tuple(shapes)

    @cached_property
    def head(self) -> MLP:
        """The fully connected layers."""
        return MLP((math.prod(self._images[-1]), *self.hidden, self.outputs), self.activation, self.last_gain)

    @cached_property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pieces of θ before the head's: W_1, b_1, W_2, b_2, ..."""
        channels = (self.shape[0], *(channels for channels, _, _ in self.filters))
        return tuple(
            shape
            for n_in, (n_out, kernel, _) in zip(channels, self.filters, strict=False)
            for shape in ((n_out, n_in, kernel, kernel), (n_out,))
        )

    @cached_property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.layout) + self.head.size

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size]."""
        theta = torch.zeros(len(streams), self.size - self.head.size, dtype=streams.dtype)
        for weight in pieces(theta, self.layout)[::2]:
            for row, generator in zip(weight, streams.generators(), strict=True):
                torch.nn.init.orthogonal_(row, math.sqrt(2), generator=generator)
        return torch.cat([theta.to(streams.device), self.head.init(streams)], 1)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        return self.at(theta)(x)

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ network(θ, x), for many x and one θ."""
        weights, head = theta.split([self.size - self.head.size, self.head.size], 1)
        parameters, act = pieces(weights, self.layout), ACTIVATIONS[self.activation].function
        head = self.head.at(head)

        def network(x: Tensor) -> Tensor:
            if x.shape[-3:] != self.shape:
                raise ValueError(f"images must be [seed, ..., *{self.shape}], got {list(x.shape)}")
            features = []
            # One seed after another: on CPUs quicker for whole batches than one convolution with groups, or vmap.
            for row, image in enumerate(x.reshape(len(x), -1, *self.shape)):
                for W, b, (_, _, stride) in zip(parameters[::2], parameters[1::2], self.filters, strict=True):
                    image = act(conv2d(image, W[row], b[row], stride))
                features.append(image.flatten(1))
            return head(torch.stack(features)).view(*x.shape[:-3], self.outputs)

        return network


@dataclass(frozen=True)
class Outputs:
    """Some outputs of a network, from `first` up to `last`: policy and critic that share their network are two such.

    A row of θ is the whole network's.

    Raises:
        ValueError: no outputs, or some that the network does not have.
    """

    network: Network
    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.last <= self.network.outputs:
            raise ValueError(
                f"first and last must be 0 ≤ first < last ≤ {self.network.outputs}, the network's outputs; got "
                f"{self.first} and {self.last}"
            )

    @property
    def size(self) -> int:
        return self.network.size

    @property
    def outputs(self) -> int:
        return self.last - self.first

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size], of the whole network."""
        return self.network.init(streams)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        return self.network(theta, x)[..., self.first : self.last]

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ these outputs of network(θ, x), for many x and one θ."""
        network = self.network.at(theta)
        return lambda x: network(x)[..., self.first : self.last]


@dataclass(frozen=True)
class GRU:
    """Gated recurrent unit with a linear last layer: its output y depends on an input x and a memory h of earlier ones.

        r = σ(W_ir x + b_ir + W_hr h + b_hr),    z = σ(W_iz x + b_iz + W_hz h + b_hz),
        n = tanh(W_in x + b_in + r (W_hn h + b_hn)),    h' = (1 - z) n + z h,    y = W h' + b.

    Cho et al. (2014), as `torch.nn.GRUCell` computes it. As a network its input is [x, h], `inputs` + `units` numbers,
    and its output y; `memory` gives h', which stands beside the next x. An episode starts with a memory of zeros, and a
    memory of zeros is that of a start. A row of θ is W_i, W_h, b_i, b_h, each with the rows of r, z and n one after
    another, then W and b.

    Raises:
        ValueError: inputs, units or outputs below 1.
    """

    inputs: int
    units: int
    outputs: int
    last_gain: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        if min(self.inputs, self.units, self.outputs) < 1:
            raise ValueError(f"inputs, units and outputs must be 1 or more, got {self}")

    @cached_property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pieces of θ in their order."""
        gates = 3 * self.units
        cell = ((gates, self.inputs), (gates, self.units), (gates,), (gates,))
        return (*cell, (self.outputs, self.units), (self.outputs,))

    @cached_property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.layout)

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size]: the cell uniform in ±1/√units as torch's, W orthogonal, b at 0."""
        theta = (2 * streams.uniform(self.size) - 1) / math.sqrt(self.units)
        *_, last, bias = pieces(theta, self.layout)
        gain = torch.tensor(self.last_gain, dtype=streams.dtype).view(-1, 1)
        for row, generator in zip(last, streams.generators(), strict=True):
            torch.nn.init.orthogonal_(row, generator=generator).mul_(gain)
        bias.zero_()
        return theta.to(streams.device)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        return self.at(theta)(x)

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """[x, h] ↦ y, for many inputs and one θ."""
        *_, W, b = self._pieces(theta)
        memory = self.memory(theta)
        return lambda x: _affine(b, W, memory(x))

    def memory(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """[x, h] ↦ h', for many inputs and one θ."""
        W_i, W_h, b_i, b_h, *_ = self._pieces(theta)

        def remembered(x: Tensor) -> Tensor:
            x, h = x.split([self.inputs, self.units], -1)
            return _gated(_affine(b_i, W_i, x), _affine(b_h, W_h, h), h)

        return remembered

    def begun(self, x: Tensor) -> Tensor:
        """Inputs with the memory of a start behind them; as they are, where they have one."""
        return pad(x, (0, self.inputs + self.units - x.shape[-1]))

    def replay(self, theta: Tensor, x: Tensor) -> Tensor:
        """y of sequences [seed, time, sequence, input + unit], whose memories are computed anew from the first one on.

        At a later step the memory in x only says whether an episode starts there. So the gradient goes back through
        time, to the beginning of the sequence or of the episode.
        """
        W_i, W_h, b_i, b_h, W, b = self._pieces(theta)
        x, h = x.split([self.inputs, self.units], -1)
        kept = (h != 0).any(-1).to(h.dtype).unsqueeze(1)
        gates = _affine(b_i, W_i, x).movedim(-1, 1)
        memories = _ThroughTime.apply(gates, kept, h[:, 0].mT, W_h, b_h)
        return _affine(b, W, memories.movedim(1, -1))

    def _pieces(self, theta: Tensor) -> list[Tensor]:
        return pieces(theta, self.layout)


def _affine(b: Tensor, W: Tensor, x: Tensor) -> Tensor:
    """W x + b for x [seed, ..., in]; in memory the samples come last, as matrix products like it."""
    y = torch.baddbmm(b.unsqueeze(2), W, x.reshape(len(x), -1, x.shape[-1]).mT)
    return y.mT.unflatten(1, x.shape[1:-1]) if x.ndim > 2 else y.squeeze(2)


def _gated(of_x: Tensor, of_h: Tensor, h: Tensor) -> Tensor:
    """h' from W_i x + b_i and W_h h + b_h, [..., 3 · unit]."""
    units = h.shape[-1]
    r, z = (of_x[..., : 2 * units] + of_h[..., : 2 * units]).sigmoid().chunk(2, -1)
    n = (of_x[..., 2 * units :] + r * of_h[..., 2 * units :]).tanh()
    return torch.lerp(n, h, z)


class _ThroughTime(torch.autograd.Function):
    """The memories h' of all steps, [seed, unit, time, sequence], with the gradient through time in closed form.

    From `gates` = W_i x + b_i [seed, 3 · unit, time, sequence], the memory h [seed, unit, sequence] before the first
    step, and `kept` [seed, 1, time, sequence], which is 0 where an episode starts.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, kept: Tensor, h: Tensor, W_h: Tensor, b_h: Tensor) -> Tensor:
        units, bias, steps, memories = h.shape[1], b_h.unsqueeze(2), [], []
        for for_x, keep in zip(gates.unbind(2), kept.unbind(2), strict=True):
            h = h * keep
            for_h = torch.baddbmm(bias, W_h, h)
            r, z = (for_x[:, : 2 * units] + for_h[:, : 2 * units]).sigmoid_().chunk(2, 1)
            n = tanh_(torch.addcmul(for_x[:, 2 * units :], r, for_h[:, 2 * units :]))
            steps.append((h, r, z, n, for_h[:, 2 * units :]))
            h = torch.lerp(n, h, z)
            memories.append(h)
        ctx.save_for_backward(W_h, kept)
        ctx.steps = steps
        return torch.stack(memories, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (W_h, kept), of_x, of_h = ctx.saved_tensors, [], []
        back = W_h.mT
        later = torch.zeros_like(grad[:, :, 0])
        for g, keep, (h, r, z, n, n_h) in zip(
            reversed(grad.unbind(2)), reversed(kept.unbind(2)), reversed(ctx.steps), strict=True
        ):
            g = g + later
            of_n = torch.ops.aten.tanh_backward(g - g * z, n)
            of_r = torch.ops.aten.sigmoid_backward(of_n * n_h, r)
            of_z = torch.ops.aten.sigmoid_backward(g * (h - n), z)
            of_x.append(torch.cat([of_r, of_z, of_n], 1))
            of_h.append(torch.cat([of_r, of_z, of_n * r], 1))
            later = torch.baddbmm(g * z, back, of_h[-1]) * keep
        for_x, for_h = (torch.stack(x[::-1], 2) for x in (of_x, of_h))
        h = torch.stack([step[0] for step in ctx.steps], 2).flatten(2)
        return for_x, None, later, torch.bmm(for_h.flatten(2), h.mT), for_h.sum((2, 3))


@dataclass(frozen=True)
class Replayed:
    """A GRU over rollouts: its inputs [seed, sample, input + unit] are those of `steps` steps, each of all copies."""

    network: GRU
    steps: int

    @property
    def size(self) -> int:
        return self.network.size

    @property
    def outputs(self) -> int:
        return self.network.outputs

    def init(self, streams: Streams) -> Tensor:
        return self.network.init(streams)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        return self.network.replay(theta, x.unflatten(1, (self.steps, -1))).flatten(1, 2)

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: self(theta, x)


@dataclass(frozen=True)
class Normalized:
    """A network that sees standardised inputs, with the moments of all inputs that it was shown:

        x̂ = clip((x - mean) / √(variance + 1e-8), -10, 10)

    A row of θ is the network's, followed by mean and variance of each of the `inputs` and by how many have been shown.
    So the moments are each seed's own, and are kept, saved and restored wherever θ is. No gradient moves them; only
    `observe` does. As long as nothing has been shown, x̂ = clip(x).
    """

    network: Network
    inputs: int

    @property
    def outputs(self) -> int:
        return self.network.outputs

    @property
    def size(self) -> int:
        return self.network.size + 2 * self.inputs + 1

    def init(self, streams: Streams) -> Tensor:
        theta = self.network.init(streams)
        mean, count = theta.new_zeros(len(theta), self.inputs), theta.new_zeros(len(theta), 1)
        return torch.cat([theta, mean, torch.ones_like(mean), count], 1)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        weights, *moments = self._split(theta)
        return self.network(weights, _standardised(x, *moments))

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ network(θ, x), for many x and one θ."""
        weights, *moments = self._split(theta)
        network = self.network.at(weights)
        return lambda x: network(_standardised(x, *moments))

    def linearized(self, theta: Tensor, x: Tensor) -> Linearized:
        """The linearization of the inner network; J is 0 in the columns of the moments."""
        weights, *moments = self._split(theta)
        value, push, pull = linearized(self.network, weights, _standardised(x, *moments))
        return Linearized(
            value, lambda v: push(v[:, : self.network.size]), lambda u: pad(pull(u), (0, 2 * self.inputs + 1))
        )

    @torch.no_grad()
    def observe(self, theta: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """θ with the inputs [seed, ..., inputs] added to the moments, where mask [seed, ...]."""
        weights, *moments = self._split(theta)
        return torch.cat([weights, *RunningMoments(*moments).merged(x.flatten(1, -2), mask.flatten(1))], 1)

    def _split(self, theta: Tensor) -> tuple[Tensor, ...]:
        return theta.split([self.network.size, self.inputs, self.inputs, 1], 1)


def _standardised(x: Tensor, mean: Tensor, variance: Tensor, _: Tensor) -> Tensor:
    shape = (len(x), *(1,) * (x.ndim - 2), -1)
    scaled = (x - mean.detach().view(shape)) * (variance.detach() + 1e-8).rsqrt().view(shape)
    return scaled.clamp(-10, 10)


@dataclass(frozen=True)
class Table:
    """The tabular case: one row of `outputs` for each of `rows` inputs, which are int64, [seed, ...]. Starts at 0."""

    rows: int
    outputs: int

    @property
    def size(self) -> int:
        return self.rows * self.outputs

    def init(self, streams: Streams) -> Tensor:
        return torch.zeros(len(streams), self.size, dtype=streams.dtype, device=streams.device)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        return self.at(theta)(x)

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ network(θ, x), for many x and one θ."""
        table = theta.view(len(theta), self.rows, self.outputs)

        def network(x: Tensor) -> Tensor:
            index = x.reshape(len(x), -1, 1).expand(-1, -1, self.outputs)
            return table.gather(1, index).view(*x.shape, self.outputs)

        return network
