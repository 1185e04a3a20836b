"""A `torch.nn.Module` in a policy's or critic's place, made into one where its outputs say how."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from pgcourse.core import (
    BernoulliPolicy,
    Critic,
    GaussianPolicy,
    Module,
    MultiDiscretePolicy,
    Policy,
    SoftmaxPolicy,
)
from pgcourse.envs import Env


def as_policy(given: Any, env: Env) -> Policy:
    """The policy of a `torch.nn.Module` that maps observations [batch, ...] to [batch, outputs]:

        Discrete, n actions           n outputs     SoftmaxPolicy
        Box, d numbers                d outputs     GaussianPolicy
        Box, d numbers                2 d outputs   GaussianPolicy whose σ depends on the state
        MultiDiscrete, MultiBinary    as many as choices, or switches

    Every seed begins with the module's own parameters. A function or class that makes modules gives each seed another
    one.

    Raises:
        ValueError: another number of outputs, or what is no module; with what to write.
    """
    network = _network(given, env, "policy")
    space: Any = env.action_space
    outputs, wanted = network.outputs, ""
    if isinstance(space, spaces.Discrete):
        if outputs == space.n:
            return SoftmaxPolicy(network)
        wanted = f"{space.n}, a logit for each action"
    elif isinstance(space, spaces.MultiDiscrete):
        if outputs == space.nvec.sum():
            return MultiDiscretePolicy(network, tuple(space.nvec.tolist()))
        wanted = f"{space.nvec.sum()}, a logit for each choice"
    elif isinstance(space, spaces.MultiBinary):
        if outputs == space.n:
            return BernoulliPolicy(network)
        wanted = f"{space.n}, a logit for each switch"
    elif isinstance(space, spaces.Box) and len(space.shape) == 1:
        (actions,) = space.shape
        if outputs in (actions, 2 * actions):
            return GaussianPolicy(network, state_dependent_std=outputs == 2 * actions)
        wanted = f"{actions}, the mean of each number, or {2 * actions}, with changes of log σ behind them"
    else:
        raise ValueError(f"{env.name}: no distribution is known for actions in {space}; give a policy of your own")
    raise ValueError(
        f"{env.name}: the policy's module has {outputs} outputs, and actions in {space} take {wanted}. "
        "For another distribution put it into pgcourse.core.Module, and that into a policy of pgcourse.core"
    )


def as_critic(given: Any, env: Env) -> Critic:
    """The critic of a `torch.nn.Module` with one output; see `as_policy`. Raises as it does."""
    network = _network(given, env, "critic")
    if network.outputs != 1:
        raise ValueError(f"{env.name}: the critic's module has {network.outputs} outputs, and a value is one")
    return Critic(network)


def _network(given: Any, env: Env, part: str) -> Module:
    if not callable(given):
        raise ValueError(f"the {part} must be one of pgcourse.core or a torch.nn.Module, got {given!r}")
    make: Callable[[], nn.Module] = partial(deepcopy, given) if isinstance(given, nn.Module) else given
    try:
        template = make()
    except TypeError as error:
        raise ValueError(f"the {part} must be a function without arguments that makes a module: {error}") from error
    if not isinstance(template, nn.Module):
        raise ValueError(f"the {part} must be one of pgcourse.core or a torch.nn.Module, got {template!r}")
    inputs = env.observation_space.shape or ()
    outputs = _outputs(deepcopy(template), env, part)
    return Module(make, inputs, outputs)


def _outputs(module: nn.Module, env: Env, part: str) -> int:
    """How many numbers a module gives for an observation of the world."""
    name, space = type(module).__name__, env.observation_space
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        raise ValueError(
            f"{name} as the {part} of {env.name}: it has a memory, and a {part} is a function of θ and an observation "
            "alone; pgcourse.algorithms.RecurrentPPO trains one with a GRU"
        )
    parameter = next(module.parameters(), None)
    dtype = torch.float32 if parameter is None else parameter.dtype
    shape = (2, *(space.shape or ()))
    seen = torch.zeros(shape, dtype=dtype if isinstance(space, spaces.Box) else torch.int64)
    try:
        with torch.no_grad():
            given = module.eval()(seen)
    except Exception as error:  # a module fails in ways of its own
        raise ValueError(
            f"{name} as the {part} of {env.name} does not take a batch of observations {list(shape)} of "
            f"{str(seen.dtype).removeprefix('torch.')}: {error}"
        ) from error
    if not isinstance(given, Tensor) or given.ndim != 2 or len(given) != 2:
        said = list(given.shape) if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise ValueError(f"{name} as the {part} of {env.name} must give [batch, outputs] for [batch, ...], got {said}")
    return int(np.prod(given.shape[1:]))
