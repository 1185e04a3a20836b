"""Checks before anything learns: whether policy, critic and world fit together, and whether a world repeats itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.algorithms.acting import act
from pgcourse.algorithms.architecture import parts
from pgcourse.algorithms.dqn import EpsilonGreedy
from pgcourse.core import (
    Bernoulli,
    Categorical,
    Critic,
    GaussianPolicy,
    MultiDiscrete,
    Policy,
    Streams,
    memory,
)
from pgcourse.envs import Env, close

STEPS = 3  # of a trial
FAR = 10.0  # how many σ the bounds of actions may be apart, or how many times narrower they may be than it
TAKEN: dict[str, tuple[type[spaces.Space], ...]] = {  # as actions in these spaces
    "numbers": (spaces.Box,),
    "switches": (spaces.MultiBinary,),
    "integers": (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
}


class NotRepeatable(UserWarning):
    """A world gives other numbers where it is asked the same again: so will trainings in it."""


class FarBounds(UserWarning):
    """The bounds of the actions are not of the size of what the policy does."""


def trial(
    algorithm: Any,
    begin: Callable[[int], Env],
    streams: Streams,
    policy: Policy | None = None,
    critic: Critic | None = None,
) -> Policy:
    """Play a world's first steps twice, each time in one copy of it that `begin(1)` makes; the policy that acted.

    What does not fit is told before anything is computed: of bounds of actions far from what the policy does warns
    `FarBounds`, of a world that gives other numbers the second time `NotRepeatable`. The trial's numbers are drawn from
    streams of its own: a training is the same with it and without.

    Raises:
        ValueError: as `require_fit`; a world that returns something else than it declares.
    """
    own = Streams(streams.seeds[:1], (*streams.path, "trial"), streams.device, streams.dtype)
    state: Any = None
    plays = []
    for _ in range(2):
        world = begin(1)
        try:
            state = _fitting_state(algorithm, world, own, policy, critic) if state is None else state
            plays.append(list(_played(world, state, own)))
        finally:
            close(world)
    on_cpu = streams.device.type == "cpu"  # elsewhere a sum's order, and with it its last digits, may change
    if on_cpu and (what := _first_difference(*plays)):
        warnings.warn(
            f"{world.name} does not repeat itself: made anew and reset with the same seed, it gave {what} otherwise. "
            "So trainings in it cannot be repeated. Let the seed determine all its random numbers: an environment of "
            "Gymnasium's draws from self.np_random after super().reset(seed=seed), which goes on where seed is None, a "
            "tensor world from the noise it is given, and none from np.random, random or a space's sample(), which "
            "know nothing of the seed",
            NotRepeatable,
            stacklevel=1,  # one place, so that a process that trains in it several times says it once
        )
    return state.policy


def require_ready(algorithm: Any) -> None:
    """Raises `TypeError` for what is no algorithm, `RuntimeError` where gradients are switched off for good."""
    if isinstance(algorithm, type):
        name = algorithm.__name__
        raise TypeError(f"{name} is the class of an algorithm: give one with its options, {name}()")
    if not all(hasattr(algorithm, each) for each in ("envs", "horizon", "init", "update")):
        raise TypeError(f"an algorithm with its options comes first, such as pgcourse.PPO(); got {algorithm!r}")
    if torch.is_inference_mode_enabled():
        raise RuntimeError("training needs gradients, and torch.inference_mode() has none: leave it")


def require_fit(
    world: Env, policy: Policy, theta: Tensor, critic: Critic | None = None, phi: Tensor | None = None
) -> None:
    """Hold what policy and critic take and give against the spaces of a world.

    Raises:
        ValueError: naming the world, its space and what does not fit.
    """
    seen, taken = world.observation_space, world.action_space
    for name, part, parameters in (("policy", policy, theta), ("critic", critic, phi)):
        size = getattr(part, "size", None)
        if parameters is not None and isinstance(size, int) and parameters.shape[-1] != size:
            raise ValueError(
                f"{world.name}: the {name} {part} has {size:,} parameters for each seed, but it is given "
                f"{parameters.shape[-1]:,}: give those that were trained with it"
            )
    obs = _an_observation(seen, theta)
    network = memory(policy)
    obs = obs if network is None else network.begun(obs)
    with torch.no_grad():
        dist = _of(obs, policy.at(theta), f"the policy {policy}", world)
        if given := _misfit(dist, taken):
            raise ValueError(
                f"{world.name} takes actions in {taken}, but the policy {policy} gives {given}: leave it out, or build "
                "it for the world's spaces, as pgcourse.algorithms.Architecture does"
            )
        if critic is None or phi is None:
            return
        value = _of(obs, critic.at(phi), f"the critic {critic}", world)
        of_actions = getattr(critic, "network", None) is getattr(policy, "network", critic)  # q, of DQN
        if value.shape != obs.shape[:2] and not of_actions:
            raise ValueError(
                f"{world.name}: a critic gives one number for an observation, but {critic} gives an array of shape "
                f"{list(value.shape[2:])}; its network should have one output"
            )


@dataclass(frozen=True)
class Bounds:
    """Where a world clips the actions of a Gaussian; `center` and `sigma` are where the policy starts, [action]."""

    low: Tensor
    high: Tensor
    center: Tensor
    sigma: Tensor

    def clipped(self, action: Tensor, mask: Tensor) -> Tensor:
        """The share of actions [seed, time, env, action] of which a number lies outside, where mask, [seed]."""
        low, high = (bound.to(action.device, action.dtype) for bound in (self.low, self.high))
        outside = ((action < low) | (action > high)).any(-1) & mask
        return outside.sum((1, 2)) / mask.sum((1, 2))

    def far(self) -> str:
        """What is wrong with the bounds, and the remedy; "" where nothing is.

        A mean learns to go as far as some σ; where it has to go farther the return tells it nothing for long. Where the
        bounds lie much closer than σ nearly all actions are clipped, and say nothing of the mean.
        """
        half, middle = (self.high - self.low) / 2, (self.high + self.low) / 2
        apart = torch.maximum(half, (middle - self.center).abs()) > FAR * self.sigma
        narrow = half < self.sigma / FAR
        both = self.low.isfinite() & self.high.isfinite()  # else there are no units of the bounds to measure in
        at = next(iter(((apart | narrow) & both).nonzero().flatten().tolist()), None)
        if at is None:
            return ""
        low, high, center, sigma = (each[at].item() for each in (self.low, self.high, self.center, self.sigma))
        means = "hardly ever reach them" if apart[at] else "are nearly all clipped"
        return (
            f"actions are bounded by {low:g} and {high:g}, and those of the policy, which begins at {center:g} with "
            f"σ = {sigma:g}, {means}. Let actions be measured in units of the bounds: rescale_action=True of "
            "Architecture (--rescale-action), or gymnasium.wrappers.RescaleAction"
        )


def bounds_of(policy: Any, world: Env) -> Bounds | None:
    """The bounds that clip a policy's actions; None where nothing is clipped."""
    space = world.action_space
    if not (isinstance(policy, GaussianPolicy) and isinstance(space, spaces.Box) and len(space.shape) == 1):
        return None
    low, high = (torch.as_tensor(bound, dtype=torch.float64) for bound in (space.low, space.high))
    if policy.actions != len(low) or (low.isinf() & high.isinf()).all():
        return None
    center, scale = policy.center or (0.0,) * len(low), policy.scale or (1.0,) * len(low)
    sigma = math.exp(policy.log_std) * torch.tensor(scale, dtype=torch.float64)
    return Bounds(low, high, torch.tensor(center, dtype=torch.float64), sigma)


def _fitting_state(algorithm: Any, world: Env, streams: Streams, policy: Policy | None, critic: Critic | None) -> Any:
    """The algorithm's first state, its parts held against the world. Raises and warns as `trial`."""
    fitting = parts(world, policy, critic)
    try:
        state = algorithm.init(*fitting, streams.child("init"))
    except ValueError as error:
        raise ValueError(f"{world.name}: {error}") from error
    learned = (getattr(state, name, None) for name in ("critic", "phi"))  # some learn no critic
    require_fit(world, state.policy, state.theta, *learned)
    limits = bounds_of(state.policy, world)
    if limits is not None and (said := limits.far()):
        warnings.warn(f"{world.name}: {said}", FarBounds, stacklevel=1)
    return state


def _first_difference(one: list[tuple[str, Tensor]], other: list[tuple[str, Tensor]]) -> str:
    """What the first of two plays' numbers that differ are of; "" where all are equal."""
    pairs = zip(one, other, strict=True)
    return next((what for (what, x), (_, y) in pairs if not torch.equal(x.nan_to_num(), y.nan_to_num())), "")


def _of(obs: Tensor, part: Callable[[Tensor], Any], name: str, world: Env) -> Any:
    try:
        return part(obs)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{world.name} gives observations in {world.observation_space}, which {name} cannot take: {error}"
        ) from error


def _an_observation(space: spaces.Space, like: Tensor) -> Tensor:
    """One in the space for each seed, [seed, 1, ...]; of those with numbers the last one."""
    if isinstance(space, spaces.Discrete):
        return torch.full((len(like), 1), int(space.n) - 1, device=like.device)
    if isinstance(space, spaces.MultiDiscrete):
        return torch.tensor(space.nvec - 1, device=like.device).expand(len(like), 1, *space.shape)
    return like.new_zeros(len(like), 1, *(space.shape or ()))


def _misfit(dist: Any, space: spaces.Space) -> str:
    """What a distribution [seed, 1] draws, where that is not an action of the space; "" where it is."""
    choices = dist.logits.shape[-1] if isinstance(dist, Categorical) else None
    if isinstance(dist, EpsilonGreedy) and dist.grid is None:
        choices = dist.q.shape[-1]
    if choices is not None:
        return "" if isinstance(space, spaces.Discrete) and space.n == choices else f"one of {choices} choices"
    if isinstance(dist, MultiDiscrete):
        fits = isinstance(space, spaces.MultiDiscrete) and tuple(space.nvec.flatten()) == tuple(dist.sizes)
        return "" if fits else f"choices of {dist.sizes}"
    action = dist.mode[0, 0]
    what = "switches" if isinstance(dist, Bernoulli) else "numbers" if action.is_floating_point() else "integers"
    fits = isinstance(space, TAKEN[what]) and action.shape == space.shape
    return "" if fits else f"{what} of shape {list(action.shape)}"


def _played(world: Env, state: Any, streams: Streams) -> Iterator[tuple[str, Tensor]]:
    """What a world gives, step by step, each with its name. Raises `ValueError` where it is not what it declares."""
    space, copies = world.observation_space, (len(streams), world.envs)
    shape = (*copies, *(space.shape or ()))
    numbered = isinstance(space, spaces.Discrete | spaces.MultiDiscrete)
    kind = torch.int64 if numbered else state.theta.dtype
    obs = world.reset(streams.child("reset"))
    _require(world, "reset() returned observations", obs, shape, kind)
    yield "its first observation", obs
    if (network := memory(state.policy)) is not None:
        shape = (*shape[:-1], shape[-1] + network.units)  # beside them stands what the policy remembers
    steps = act(state.policy, state.theta, world, obs, streams.child("act"), STEPS, block=STEPS)
    for number, step in enumerate(steps, 1):
        _require(world, "step() returned next_obs", step.next_obs, shape, kind)
        _require(world, "step() returned obs", step.after, shape, kind)
        _require(world, "step() returned reward", step.reward, copies, state.theta.dtype)
        _require(world, "step() returned terminated", step.terminated, copies, torch.bool)
        _require(world, "step() returned truncated", step.truncated, copies, torch.bool)
        yield f"the observation of step {number}", step.next_obs
        yield f"the reward of step {number}", step.reward
        yield f"the end of an episode in step {number}", step.terminated | step.truncated
        yield f"the observation after step {number}", step.after
    if (renewed := getattr(world, "renewed", None)) is not None:
        yield "the first observation of its next episode", renewed()


def _require(world: Env, what: str, x: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if isinstance(x, Tensor) and x.shape == shape and x.dtype == dtype:
        return
    given = f"of shape {list(x.shape)} and type {x.dtype}" if isinstance(x, Tensor) else f"as {type(x).__name__}"
    raise ValueError(
        f"{world.name}: {what} {given}; with observation_space = {world.observation_space} it must be a tensor "
        f"[seed, env, ...] of shape {list(shape)} and type {dtype}"
    )
