"""The loop that every algorithm runs in: act, update, repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor

from pgcourse.algorithms.acting import episodes, rollout
from pgcourse.algorithms.architecture import parts
from pgcourse.algorithms.trial import require_ready, trial
from pgcourse.core import Critic, Policy, Streams, shared
from pgcourse.core.adam import NotFinite
from pgcourse.envs import Env, make
from pgcourse.rl import Trajectory

LARGE = 1e6  # numbers of this size are no longer harmless: an update squares and sums them
REMEDIES = {
    "rewards": "scale them to about 1, as PPO's normalize_reward does or gymnasium.wrappers.TransformReward",
    "observations": "scale them to about 1, as PPO's normalize_observation does or "
    "gymnasium.wrappers.TransformObservation",
    "actions": "bring σ down, with a smaller log_std at the start or a lower learning rate",
    "parameters": "lower the learning rate (lr, critic_lr), or a trust region's max_kl",
}


class Algorithm(Protocol):
    """A frozen dataclass of options and its update, pure from outside: what is given in stays valid.

    Its state is a NamedTuple of tensors with `policy`, `critic`, `theta`, `phi` and whatever else lasts from update to
    update, its metrics one of tensors [seed], None where there is none.
    """

    @property
    def envs(self) -> int:
        """Copies of the world for each seed."""

    @property
    def horizon(self) -> int | None:
        """Steps between updates, or None for whole episodes."""

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> Any:
        """The state before the first update."""

    def update(self, state: Any, batch: Trajectory, progress: float, streams: Streams) -> tuple[Any, Any]:
        """The state after one update of θ and φ, and its metrics.

        `progress` is the part of the training already done, for schedules; the update's noise comes from `streams`.
        """


class Iteration(NamedTuple):
    """One round of acting and updating, of all seeds."""

    number: int  # from 0
    batch: Any  # a Trajectory
    state: Any  # the algorithm's, after the update
    metrics: Any  # the algorithm's, of the update
    steps: Tensor  # [seed], environment steps so far
    obs: Tensor  # what the policy sees next


def iterate(
    algorithm: Algorithm,
    env: str | Callable[..., Env] | Env,
    streams: Streams,
    steps: float = math.inf,
    policy: Policy | None = None,
    critic: Critic | None = None,
    after: Iteration | None = None,
) -> Iterator[Iteration]:
    """Act and update until every seed has seen `steps` environment steps, or without end if `steps` is left out.

        for it in pg.iterate(pg.PPO(), "CartPole-v1", pg.Streams(10), steps=100_000):
            it.batch, it.state.theta, it.metrics.kl

    What a seed does depends on no other seed. Where whole episodes use up one seed's steps earlier than another's, that
    seed goes on beside the others in episodes that are cut after one step.

    `after` goes on from an iteration of the same arguments, in the world as it is given: the one it was played in.

    Raises:
        ValueError: unknown environment, unsupported space, steps below 1; what does not fit or is not as declared
            (`trial`); `after` with a world that is yet to be made.
        FloatingPointError: a reward, observation or gradient that is NaN or infinite.
    """
    require_ready(algorithm)
    require_steps(steps)
    world: Any = env
    if isinstance(env, str | gymnasium.Env) or callable(env):  # yet to be made
        if after is not None:
            raise ValueError(f"after goes on in the world that it was played in: give that one, not {env!r}")
        begin: Callable[[int], Env] = partial(make, env, **placed(streams))
        world = begin(algorithm.envs)
        trial(algorithm, begin, streams, policy, critic)
    obs: Any
    if after is None:
        policy, critic = parts(world, policy, critic)
        if shared(policy, critic) and not getattr(algorithm, "shares", False):
            raise ValueError(
                f"{type(algorithm).__name__} trains a policy and a critic of their own: leave the architecture's "
                "shared at False, or train with PPO"
            )
        state = algorithm.init(policy, critic, streams.child("init"))
        done = torch.zeros(len(streams), dtype=torch.int64, device=streams.device)
        first, obs = 0, world.reset(streams.child("reset"))
    else:
        first, state, done, obs = after.number + 1, after.state, after.steps, after.obs
    for number in count(first):
        active = done < steps
        if not active.any():
            return
        noise = streams.child(number)
        if algorithm.horizon is None:
            batch = episodes(state.policy, state.theta, world, noise, active=active)
            obs = batch.next_obs[:, -1]
        else:
            batch, obs = rollout(state.policy, state.theta, world, obs, algorithm.horizon, noise)
        _require_finite(batch, world.name, number, streams)
        progress = min(1.0, done.min().item() / steps)
        try:
            with torch.enable_grad():  # somebody may train within torch.no_grad()
                state, metrics = algorithm.update(state, batch, progress, noise.child("update"))
        except NotFinite as error:
            where = f"{type(algorithm).__name__} on {world.name}, iteration {number}"
            raise _diverged(error, where, batch, state.theta, streams.seeds) from error
        done = done + batch.mask.sum((1, 2))
        yield Iteration(number, batch, state, metrics, done, obs)


def require_steps(steps: Any) -> None:
    """Raises `ValueError` for a number of steps that is not whole, or below 1; infinity is whole enough."""
    number = isinstance(steps, int | float | np.integer) and not isinstance(steps, bool)
    if not number or not steps >= 1 or steps % 1 > 0:
        raise ValueError(f"steps must be 1 or more, got {steps!r}; a whole number")


def whole_steps(steps: Any) -> int:
    """The number of steps of a training, which ends, as an integer. Raises as `require_steps`, and for infinity."""
    require_steps(steps)
    if math.isinf(steps):
        raise ValueError("a training needs a number of steps; pgcourse.iterate is the loop without end")
    return int(steps)


def placed(like: Streams | Tensor) -> dict[str, Any]:
    """The options that give a world the device and dtype of streams or θ; left out where they are the defaults."""
    usual = {"device": torch.device("cpu"), "dtype": torch.float32}
    return {name: getattr(like, name) for name in usual if getattr(like, name) != usual[name]}


def _require_finite(batch: Trajectory, world: str, number: int, streams: Streams) -> None:
    # The last observation before a time limit is nobody's `obs`; behind a true end nothing counts.
    over = batch.terminated.reshape(*batch.terminated.shape, *[1] * (batch.next_obs.ndim - batch.terminated.ndim))
    found = (
        ("an observation", batch.obs.isfinite()),
        ("an observation", batch.next_obs.isfinite() | over),
        ("a reward", batch.reward.isfinite()),
    )
    for name, fine in found:
        if not fine.all() and (seeds := _seeds_with(~fine, batch, streams.seeds)):
            raise FloatingPointError(
                f"{world} gave {name} that is NaN or infinite in iteration {number}, to seeds {seeds}"
            )


def _diverged(
    error: NotFinite, where: str, batch: Trajectory, theta: Tensor, seeds: tuple[int, ...]
) -> FloatingPointError:
    """What is NaN or infinite, of which seeds, and the largest number that it was computed from: the likely cause."""
    hit = batch.mask[error.rows]
    sizes = {
        "rewards": batch.reward[error.rows][hit],
        "observations": batch.obs[error.rows][hit],
        "actions": batch.action[error.rows][hit],
        "parameters": theta[error.rows],
    }
    largest = {name: x.abs().nan_to_num(math.inf).max().item() for name, x in sizes.items()}
    name = max(largest, key=lambda name: largest[name])
    remedy = "lower the learning rate; in a policy or loss of your own, look for 0 / 0 and log 0"
    cause = f"nothing that it is computed from is beyond ±{largest[name]:.3g}"
    if largest[name] > LARGE:
        cause, remedy = f"{name} reach {largest[name]:.3g}", REMEDIES[name]
    named = [seeds[row] for row in error.rows]
    return FloatingPointError(f"{where}: the {error.what} of seeds {named} is NaN or infinite. {cause}: {remedy}")


def _seeds_with(fault: Tensor, batch: Trajectory, seeds: tuple[int, ...]) -> list[int]:
    """The seeds that a fault [seed, time, env, ...] has hit in a step that was played."""
    hit = (fault.flatten(3).any(-1) if fault.ndim > 3 else fault) & batch.mask
    return [seed for seed, one in zip(seeds, hit.flatten(1).any(1).tolist(), strict=True) if one]
