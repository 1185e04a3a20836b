"""Architectures over a flat parameter vector θ.

An architecture holds no weights. `init(streams)` makes θ of shape [seed, parameter]; calling it with θ and inputs
evaluates all seeds' networks at once, each row of θ on its own row of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pgcourse.core.moments import Moments
from pgcourse.core.streams import Streams


class Network(Protocol):
    """An architecture: `size` parameters, inputs [seed, ..., *input] to outputs [seed, ..., outputs]."""

    @property
    def size(self) -> int: ...

    @property
    def outputs(self) -> int: ...

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor: ...

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor: ...


_ONE = torch.ones(())  # an operation with it costs less than one with a Python number


def tanh(x: Tensor) -> Tensor:
    """tanh x = 2 σ(2x) - 1: on CPUs, torch's sigmoid is vectorised several times better than its tanh."""
    return _Tanh.apply(x) if torch.is_grad_enabled() else _tanh(x)


def _tanh(x: Tensor) -> Tensor:
    y = (x + x).sigmoid_()
    return y.add_(y).sub_(_ONE)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[override]
        y = _tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad, y)


def pieces(theta: Tensor, layout: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """θ [seed, parameter] cut into tensors [seed, *shape], one for each shape of the layout."""
    flat = theta.split_with_sizes([math.prod(shape) for shape in layout], 1)
    return [piece.view(-1, *shape) if len(shape) > 1 else piece for piece, shape in zip(flat, layout, strict=True)]


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": tanh, "relu": torch.relu}


@dataclass(frozen=True)
class MLP:
    """Fully connected network: x ← act(x W_l + b_l) for the hidden layers, a linear last layer.

    `MLP((4, 64, 64, 2))` has 4 inputs, two hidden layers of 64 units and 2 outputs. Its row of θ is W_1, b_1, W_2, b_2,
    ... flattened, each W of shape [in, out]. By default weights start orthogonal with gain √2 in hidden layers and
    `last_gain` in the last, and biases at 0; a small `last_gain` makes the first policy nearly uniform. With `start`
    "uniform" all weights and biases of a layer start uniform in ±1/√in, as those of `torch.nn.Linear`, and `last_gain`
    does not matter.

    Raises:
        ValueError: fewer than two sizes, a size below 1, an unknown activation or start.
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"
    last_gain: float = 1.0
    start: str = "orthogonal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(f"sizes must name at least inputs and outputs, each 1 or more; got {self.sizes}")
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
            for shape in ((n_in, n_out), (n_out,))
        )

    @cached_property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.layout)

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        """θ of shape [seed, size]."""
        theta = torch.zeros(len(streams), self.size, dtype=dtype or streams.dtype)
        if self.start == "uniform":
            bound = [1 / math.sqrt(n_in) for n_in in self.sizes[:-1] for _ in ("W", "b")]
            for piece, each in zip(pieces(theta, self.layout), bound, strict=True):
                piece.copy_((2 * streams.uniform(*piece.shape[1:], dtype=dtype or streams.dtype) - 1) * each)
            return theta.to(streams.device)
        weights = pieces(theta, self.layout)[::2]
        for row, generator in enumerate(streams.generators()):
            for layer, weight in enumerate(weights):
                gain = self.last_gain if layer == len(weights) - 1 else math.sqrt(2)
                torch.nn.init.orthogonal_(weight[row], gain, generator=generator)
        return theta.to(streams.device)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        seeds, *batch, _ = x.shape
        x = x.reshape(seeds, -1, self.sizes[0])
        parameters = pieces(theta, self.layout)
        activation = ACTIVATIONS[self.activation]
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = activation(torch.baddbmm(bias.unsqueeze(1), x, weight))
        x = torch.baddbmm(parameters[-1].unsqueeze(1), x, parameters[-2])
        return x.view(seeds, *batch, self.outputs)


@dataclass(frozen=True)
class Conv:
    """Convolutional network: x ← act(W_l * x + b_l) for each of the `filters`, then an MLP on what they leave.

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
    last_gain: float = 1.0

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

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        """θ of shape [seed, size]."""
        theta = torch.zeros(len(streams), self.size - self.head.size, dtype=dtype or streams.dtype)
        for weight in pieces(theta, self.layout)[::2]:
            for row, generator in zip(weight, streams.generators(), strict=True):
                torch.nn.init.orthogonal_(row, math.sqrt(2), generator=generator)
        return torch.cat([theta.to(streams.device), self.head.init(streams, dtype)], 1)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        if x.shape[-3:] != self.shape:
            raise ValueError(f"images must be [seed, ..., *{self.shape}], got {list(x.shape)}")
        batch = x.shape[1:-3]
        weights, head = theta.split([self.size - self.head.size, self.head.size], 1)
        parameters = pieces(weights, self.layout)
        activation = ACTIVATIONS[self.activation]
        features = []
        # One seed after another: on CPUs quicker for whole batches than one convolution with groups, or vmap.
        for row, image in enumerate(x.reshape(len(x), -1, *self.shape)):
            for weight, bias, (_, _, stride) in zip(parameters[::2], parameters[1::2], self.filters, strict=True):
                image = activation(conv2d(image, weight[row], bias[row], stride))
            features.append(image.flatten(1))
        return self.head(head, torch.stack(features)).view(len(x), *batch, self.outputs)


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

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        theta = self.network.init(streams, dtype)
        mean, count = theta.new_zeros(len(theta), self.inputs), theta.new_zeros(len(theta), 1)
        return torch.cat([theta, mean, torch.ones_like(mean), count], 1)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        weights, mean, variance, _ = self._split(theta)
        shape = (len(theta), *(1,) * (x.ndim - 2), self.inputs)
        scaled = (x - mean.detach().view(shape)) * (variance.detach() + 1e-8).rsqrt().view(shape)
        return self.network(weights, scaled.clamp(-10, 10))

    @torch.no_grad()
    def observe(self, theta: Tensor, x: Tensor, mask: Tensor) -> None:
        """Add inputs [seed, ..., inputs] to the moments in θ, in place, where mask [seed, ...]."""
        kept = Moments(*self._split(theta)[1:])
        for old, new in zip(kept, kept.merged(x.flatten(1, -2), mask.flatten(1)), strict=True):
            old.copy_(new)

    def _split(self, theta: Tensor) -> tuple[Tensor, ...]:
        return theta.split([self.network.size, self.inputs, self.inputs, 1], 1)


@dataclass(frozen=True)
class Table:
    """The tabular case: one row of `outputs` for each of `rows` inputs, which are int64, [seed, ...]. Starts at 0."""

    rows: int
    outputs: int

    @property
    def size(self) -> int:
        return self.rows * self.outputs

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(len(streams), self.size, dtype=dtype or streams.dtype, device=streams.device)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        seeds, *batch = x.shape
        table = theta.view(seeds, self.rows, self.outputs)
        index = x.reshape(seeds, -1, 1).expand(-1, -1, self.outputs)
        return table.gather(1, index).view(seeds, *batch, self.outputs)
