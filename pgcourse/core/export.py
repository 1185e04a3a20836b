"""Policies as `torch.nn.Module`, for those who do not have pgcourse: robots, ONNX, colleagues."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init, vector_to_parameters

from pgcourse.core.distributions import SquashedGaussian
from pgcourse.core.modules import Module
from pgcourse.core.networks import GRU, MLP, Conv, Network, Normalized, Outputs, Table, pieces
from pgcourse.core.policies import GaussianPolicy, Logits, MaskedSoftmaxPolicy, Policy, SquashedGaussianPolicy

LAYERS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def to_module(policy: Policy, theta: Tensor) -> nn.Module:
    """A policy with one row of θ [parameter], as a module that maps observations to the most probable actions.

        module = to_module(policy, theta[0])
        module(obs)            # [batch, *observation] to [batch, *action]
        module.network(obs)    # to the parameters of the distribution: logits, or the mean

    `module.network` is made of torch's own layers, so that `state_dict` has their names; running moments of
    observations are in it. What torch can export it can export: `torch.export.save` makes a file that needs torch
    alone, `torch.onnx.export` one for ONNX.

    Raises:
        ValueError: a policy with a memory, whose action depends on more than an observation; a policy that is not one
            of `pgcourse.core`; θ of another shape.
    """
    if theta.shape != (policy.size,):
        raise ValueError(f"theta must be one row of θ, [{policy.size}], got {list(theta.shape)}")
    gaussian = policy.gaussian if isinstance(policy, SquashedGaussianPolicy) else policy
    if not isinstance(gaussian, Logits | GaussianPolicy):
        raise ValueError(f"only policies of pgcourse.core become modules, got {policy!r}")
    own = gaussian.network.size
    with torch.no_grad():
        network = _layers(gaussian.network, theta[:own].detach().clone())
    return PolicyModule(policy, network, theta[own:].detach().clone())


class PolicyModule(nn.Module):
    """Observations [batch, *observation] to the most probable actions. See `to_module`."""

    log_std: Tensor

    def __init__(self, policy: Policy, network: nn.Module, own: Tensor) -> None:
        super().__init__()
        self.policy = policy
        self.network = network
        self.register_buffer("log_std", own)  # empty where the distribution has no parameter but the network's outputs

    def forward(self, obs: Tensor) -> Tensor:
        outputs = self.network(obs).unsqueeze(0)
        return self._distribution(outputs, obs.unsqueeze(0)).mode.squeeze(0)

    def _distribution(self, outputs: Tensor, obs: Tensor) -> Any:
        policy: Any = self.policy
        if isinstance(policy, MaskedSoftmaxPolicy):
            return policy.masked(outputs, obs)
        if isinstance(policy, Logits):
            return policy.distribution(outputs)
        if isinstance(policy, SquashedGaussianPolicy):
            inner = policy.gaussian.distribution(outputs, self.log_std.unsqueeze(0))
            return SquashedGaussian(inner, outputs.new_tensor(policy.low), outputs.new_tensor(policy.high))
        return policy.distribution(outputs, self.log_std.unsqueeze(0))


class Standardize(nn.Module):
    """x ↦ clip((x - mean) / √(variance + 1e-8), -10, 10), as `pgcourse.core.Normalized`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, variance: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", (variance + 1e-8).rsqrt())

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) * self.scale).clamp(-10, 10)


class Part(nn.Module):
    """Some of the outputs."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last

    def forward(self, x: Tensor) -> Tensor:
        return x[..., self.first : self.last]


class Flat(nn.Module):
    """A network of somebody's own, over its row of θ."""

    def __init__(self, network: Any, theta: Tensor) -> None:
        super().__init__()
        self.of: Callable[[Tensor, Tensor], Tensor] = network
        self.theta = nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        return self.of(self.theta.unsqueeze(0), x.unsqueeze(0)).squeeze(0)


def _layers(network: Network, theta: Tensor) -> nn.Module:
    """A network with its row of θ."""
    match network:
        case MLP():
            return nn.Sequential(*_mlp(network, theta))
        case Conv():
            own = network.size - network.head.size
            made: list[nn.Module] = []
            parts = [part[0] for part in pieces(theta[None, :own], network.layout)]
            for W, b, (_, _, stride) in zip(parts[::2], parts[1::2], network.filters, strict=True):
                layer = skip_init(nn.Conv2d, W.shape[1], W.shape[0], (W.shape[2], W.shape[3]), stride, dtype=W.dtype)
                made += [_set(layer, W, b), LAYERS[network.activation]()]
            return nn.Sequential(*made, nn.Flatten(), *_mlp(network.head, theta[own:]))
        case Table():
            return nn.Embedding.from_pretrained(theta.view(network.rows, network.outputs), freeze=False)
        case Normalized():
            weights, mean, variance, _ = theta.split([network.network.size, network.inputs, network.inputs, 1])
            return nn.Sequential(Standardize(mean, variance), _layers(network.network, weights))
        case Outputs():
            return nn.Sequential(_layers(network.network, theta), Part(network.first, network.last))
        case Module():
            module = deepcopy(network.template).to(theta.dtype)
            vector_to_parameters(theta, module.parameters())
            return module
        case GRU():
            raise ValueError(
                "a policy with a memory is no function of an observation alone: use `policy[seed].act`, which remembers"
            )
    return Flat(network, theta)


def _mlp(network: MLP, theta: Tensor) -> list[nn.Module]:
    parts = [part[0] for part in pieces(theta.unsqueeze(0), network.layout)]
    made: list[nn.Module] = []
    for W, b in zip(parts[::2], parts[1::2], strict=True):
        layer = skip_init(nn.Linear, W.shape[1], W.shape[0], dtype=W.dtype)
        made += [_set(layer, W, b), LAYERS[network.activation]()]
    return made[:-1]


def _set(layer: Any, W: Tensor, b: Tensor) -> nn.Module:
    layer.weight.copy_(W)
    layer.bias.copy_(b)
    return layer
