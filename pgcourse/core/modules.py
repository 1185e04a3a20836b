"""Any `torch.nn.Module` as an architecture over a flat θ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode

from pgcourse.core.networks import pieces
from pgcourse.core.streams import Streams


@dataclass(frozen=True)
class Module:
    """The network that `make` builds, evaluated for all seeds at once.

        Module(lambda: nn.Sequential(nn.Linear(4, 32), nn.SiLU(), nn.Linear(32, 2)), inputs=(4,), outputs=2)

    `make()` returns a new module each time. The module maps a batch [batch, *inputs] to [batch, outputs]; `inputs` is
    the shape of one observation, `()` for the int64 numbers of discrete ones. A row of θ is `module.parameters()`
    flattened one after another, as by `torch.nn.utils.parameters_to_vector`.

    Every seed starts as the module does by itself, with random numbers from the seed's own stream. Buffers are
    constants, the same for all seeds. The module computes under `torch.func.vmap`, which needs operations that neither
    branch on values nor draw random numbers.

    For networks to be sent to other processes, `make` must be a function that pickles: one defined in a module, or a
    `functools.partial` of one.

    Raises:
        ValueError: a module with batch normalisation, a changing buffer, dropout, a frozen parameter or parameters
            that are not real numbers; a `make` that returns a module it has returned before; outputs of another shape.
    """

    make: Callable[[], nn.Module]
    inputs: tuple[int, ...]
    outputs: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        _check(self.template)

    @cached_property
    def template(self) -> nn.Module:
        """The forward computation and the buffers; its parameters are not used."""
        with _Draws(torch.Generator().manual_seed(0)):
            return self.make()

    @cached_property
    def layout(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the pieces of θ in their order."""
        return {name: tuple(parameter.shape) for name, parameter in self.template.named_parameters()}

    @cached_property
    def size(self) -> int:
        return sum(parameter.numel() for parameter in self.template.parameters())

    def init(self, streams: Streams) -> Tensor:
        """θ of shape [seed, size]."""
        made = [self.template]
        for generator in streams.generators():
            with _Draws(generator), _default_dtype(streams.dtype):
                module = self.make()
            if any(module is other for other in made):
                raise ValueError("make() returned the same module twice, so that seeds would share their parameters")
            made.append(module)
        rows = [torch.cat([piece.detach().flatten() for piece in module.parameters()]) for module in made[1:]]
        return torch.stack(rows).to(streams.device, streams.dtype)

    def at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """x ↦ network(θ, x), for many x and one θ."""
        return lambda x: self(theta, x)

    def __call__(self, theta: Tensor, x: Tensor) -> Tensor:
        batch = x.shape[1 : x.ndim - len(self.inputs)]
        if x.shape[x.ndim - len(self.inputs) :] != self.inputs:
            raise ValueError(f"observations must be [seed, ..., *{self.inputs}], got {list(x.shape)}")
        parameters = dict(zip(self.layout, pieces(theta, list(self.layout.values())), strict=True))
        buffers = {name: _cast(buffer, theta) for name, buffer in self.template.named_buffers()}
        versions = [buffer._version for buffer in buffers.values()]

        def forward(own: dict[str, Tensor], obs: Tensor) -> Tensor:
            return functional_call(self.template, {**own, **buffers}, (obs,))

        try:
            y = vmap(forward)(parameters, x.reshape(len(x), -1, *self.inputs))
        except RuntimeError as error:
            raise ValueError(
                f"{self._name} failed under torch.func.vmap: {error}. It must neither draw random numbers (dropout) "
                "nor change its buffers, nor branch on values"
            ) from error
        if versions != [buffer._version for buffer in buffers.values()]:
            raise ValueError(f"{self._name} changes a buffer as it computes: a policy is a function of θ and s alone")
        if y.shape[2:] != (self.outputs,):
            raise ValueError(f"{self._name} returned {list(y.shape[1:])}, expected [batch, {self.outputs}]")
        return y.view(len(x), *batch, self.outputs)

    @property
    def _name(self) -> str:
        return type(self.template).__name__


class _Draws(TorchDispatchMode):
    """Within it, every random number that torch draws comes from `generator` instead of torch's global state."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in func.tags:
            if not _takes_generator(func):  # torch.randn(3) and torch.randn(3, generator=g) are two overloads of one
                suffix = "" if func._overloadname == "default" else f"{func._overloadname}_"
                func = getattr(func.overloadpacket, f"{suffix}generator", func)
            if not _takes_generator(func):
                raise ValueError(f"make() draws random numbers by {func}, which takes no generator: use another one")
            kwargs = {**kwargs, "generator": kwargs.get("generator") or self.generator}
        return func(*args, **kwargs)


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _takes_generator(func: torch._ops.OpOverload) -> bool:
    return any(argument.name == "generator" for argument in func._schema.arguments)


def _check(module: nn.Module) -> None:
    """Raise ValueError where a module's output would not be a function of θ and its input alone."""
    for name, part in module.named_modules():
        where = f"{type(module).__name__}.{name}" if name else type(module).__name__
        if isinstance(part, _BatchNorm) and (part.training or part.running_mean is None):
            raise ValueError(
                f"{where} = {part}: batch normalisation makes the action in one state depend on the batch's other "
                "states; use nn.LayerNorm or nn.GroupNorm"
            )
        if isinstance(part, _DropoutNd) and part.training and part.p > 0:
            raise ValueError(f"{where} = {part}: π_θ(a|s) would change from call to call; leave dropout out")
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise ValueError(f"{name} is not initialised: give lazy layers their sizes")
        if not parameter.is_floating_point():
            raise ValueError(f"{name} is {parameter.dtype}: parameters must be real numbers")
        if not parameter.requires_grad:
            raise ValueError(f"{name} is frozen; all parameters belong to θ: register constants as buffers")


def _cast(buffer: Tensor, like: Tensor) -> Tensor:
    return buffer.to(like.device, like.dtype if buffer.is_floating_point() else buffer.dtype)
