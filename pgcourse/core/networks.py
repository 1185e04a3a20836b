"""Architectures over a flat parameter vector θ.

An architecture holds no weights. `init(streams)` makes θ of shape [seed, parameter]; calling it with θ and inputs
evaluates all seeds' networks at once, each row of θ on its own row of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from pgcourse.core.streams import Streams


class Network(Protocol):
    """An architecture: `size` parameters, inputs [seed, ..., in] to outputs [seed, ..., outputs]."""

    @property
    def size(self) -> int: ...

    @property
    def outputs(self) -> int: ...

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor: ...

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor: ...


class _Tanh(torch.autograd.Function):
    """tanh x = 2 σ(2x) - 1: on CPUs, torch's sigmoid is vectorised several times better than its tanh."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[override]
        y = (x * 2).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad, y)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": _Tanh.apply, "relu": torch.relu}


@dataclass(frozen=True)
class MLP:
    """Fully connected network: x ← act(x W_l + b_l) for the hidden layers, a linear last layer.

    `MLP((4, 64, 64, 2))` has 4 inputs, two hidden layers of 64 units and 2 outputs. Its row of θ is W_1, b_1, W_2, b_2,
    ... flattened, each W of shape [in, out]. Weights start orthogonal with gain √2 in hidden layers and `last_gain` in
    the last; biases start at 0. A small `last_gain` makes the first policy nearly uniform.

    Raises:
        ValueError: fewer than two sizes, a size below 1, or an unknown activation.
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"
    last_gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(f"sizes must name at least inputs and outputs, each 1 or more; got {self.sizes}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {self.activation!r}")

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

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor:
        """θ of shape [seed, size]."""
        theta = torch.zeros(len(streams), self.size, dtype=dtype)
        weights = [piece for piece in self._pieces(theta) if piece.ndim == 3]
        for row, generator in enumerate(streams.generators()):
            for layer, weight in enumerate(weights):
                gain = self.last_gain if layer == len(weights) - 1 else math.sqrt(2)
                torch.nn.init.orthogonal_(weight[row], gain, generator=generator)
        return theta

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        seeds, *batch, _ = x.shape
        x = x.reshape(seeds, -1, self.sizes[0])
        pieces = list(self._pieces(theta))
        activation = ACTIVATIONS[self.activation]
        for weight, bias in zip(pieces[:-2:2], pieces[1:-2:2], strict=True):
            x = activation(torch.baddbmm(bias.unsqueeze(1), x, weight))
        x = torch.baddbmm(pieces[-1].unsqueeze(1), x, pieces[-2])
        return x.view(seeds, *batch, self.outputs)

    def _pieces(self, theta: Tensor) -> Iterator[Tensor]:
        flat = theta.split([math.prod(shape) for shape in self.layout], dim=1)
        return (piece.view(-1, *shape) for piece, shape in zip(flat, self.layout, strict=True))


@dataclass(frozen=True)
class Table:
    """The tabular case: one row of `outputs` for each of `rows` inputs, which are int64, [seed, ...]. Starts at 0."""

    rows: int
    outputs: int

    @property
    def size(self) -> int:
        return self.rows * self.outputs

    def init(self, streams: Streams, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(len(streams), self.size, dtype=dtype)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        seeds, *batch = x.shape
        table = theta.view(seeds, self.rows, self.outputs)
        index = x.reshape(seeds, -1, 1).expand(-1, -1, self.outputs)
        return table.gather(1, index).view(seeds, *batch, self.outputs)
