"""The acting loop: a policy chooses actions in all copies of a world, for all seeds at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.core import Policy, Streams, memory
from pgcourse.envs import Env, Step
from pgcourse.rl import Trajectory

BLOCK = 64  # steps whose noise is drawn together: large enough to be cheap, small against a long episode


class Transition(NamedTuple):
    """One step of every copy, [seed, env, ...]."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor  # the true successor, before any reset
    terminated: Tensor
    truncated: Tensor
    after: Tensor  # what the policy sees next: of a new episode, where one has ended


@torch.no_grad()
def act(
    policy: Policy,
    theta: Tensor,
    env: Env,
    obs: Tensor,
    streams: Streams,
    steps: int,
    deterministic: bool = False,
    block: int = BLOCK,
) -> Iterator[Transition]:
    """At most `steps` steps from `obs` on, episodes following one another, with θ held fixed.

    The noise of `block` steps is drawn together. `deterministic` takes the distribution's mode instead of a sample.
    What a policy with a memory sees is [o, h]: its memory h stands behind the world's observation, all zeros at first.
    """
    at_theta, network = policy.at(theta), memory(policy)
    if network is not None:
        obs, remember = network.begun(obs), network.memory(theta[:, : network.size])
    for first in range(0, steps, block):
        action_noise = policy.noise(streams, block, env.envs).unbind(1)
        env_noise = env.noise(streams, block).unbind(1)
        for for_action, for_env in list(zip(action_noise, env_noise, strict=True))[: steps - first]:
            dist = at_theta(obs)
            action = dist.mode if deterministic else dist.sample(for_action)
            step = env.step(action, for_env)
            if network is not None:
                step = _remembered(step, remember(obs))
            yield Transition(obs, action, step.reward, step.next_obs, step.terminated, step.truncated, step.obs)
            obs = step.obs


def _remembered(step: Step, h: Tensor) -> Step:
    """A step as a policy with the memory h [seed, env, unit] sees it."""
    over = (step.terminated | step.truncated).unsqueeze(-1)
    return step._replace(
        obs=torch.cat([step.obs, h.masked_fill(over, 0.0)], -1), next_obs=torch.cat([step.next_obs, h], -1)
    )


def rollout(
    policy: Policy, theta: Tensor, env: Env, obs: Tensor, steps: int, streams: Streams
) -> tuple[Trajectory, Tensor]:
    """`steps` steps of every copy from `obs` on; and the observation to go on from."""
    transitions = list(act(policy, theta, env, obs, streams, steps, block=steps))
    *columns, after = zip(*transitions, strict=True)
    obs, action, reward, next_obs, terminated, truncated = (torch.stack(column, 1) for column in columns)
    mask = torch.ones_like(terminated)
    return Trajectory(obs, action, reward, next_obs, terminated, truncated, mask), after[-1]


def episodes(
    policy: Policy,
    theta: Tensor,
    env: Env,
    streams: Streams,
    deterministic: bool = False,
    active: Tensor | None = None,
) -> Trajectory:
    """One whole episode in every copy, from a fresh reset; shorter episodes are padded (see `Trajectory.mask`).

    `deterministic` takes the distribution's mode instead of a sample. The episodes of seeds that are
    not `active` [seed] are cut after one step.

    Raises:
        ValueError: the world has no time limit, so that an episode might never end.
    """
    played, masks = zip(*step_by_step(policy, theta, env, streams, deterministic, active), strict=True)
    *columns, _ = zip(*played, strict=True)
    return Trajectory(*(torch.stack(column, 1) for column in [*columns, masks]))


def step_by_step(
    policy: Policy,
    theta: Tensor,
    env: Env,
    streams: Streams,
    deterministic: bool = False,
    active: Tensor | None = None,
    most: int | None = None,
) -> Iterator[tuple[Transition, Tensor]]:
    """Yield the steps of `episodes` one by one, each with its mask [seed, env]. Arguments and errors as `episodes`.

    Saves memory where not all steps are needed at once, as with images of long episodes. With `most`, no more than so
    many: episodes that still run then are cut.
    """
    limits = [limit for limit in (env.time_limit, most) if limit is not None]
    if not limits:
        raise ValueError(
            f"{env.name} has no time limit: whole episodes may never end. Give one, max_episode_steps, to the world or "
            "the evaluation; or train with fixed-length rollouts"
        )
    obs = env.reset(streams)
    running = torch.ones(obs.shape[:2], dtype=torch.bool, device=obs.device)
    for step in act(policy, theta, env, obs, streams, min(limits), deterministic):
        yield step, running
        running = running & ~(step.terminated | step.truncated)
        if active is not None:
            running = running & active.unsqueeze(1)
        if not running.any():
            break
