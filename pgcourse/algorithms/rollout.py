"""Experience: a policy acts in all copies of a world, for all seeds at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pgcourse.core import Policy, Streams
from pgcourse.envs import Env
from pgcourse.rl import Trajectory

BLOCK = 64  # steps whose noise is drawn together: large enough to be cheap, small against a long episode


class Moment(NamedTuple):
    """One step of a `Trajectory`, [seed, env, ...]."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    truncated: Tensor
    mask: Tensor


@torch.no_grad()
def rollout(
    policy: Policy, theta: Tensor, env: Env, obs: Tensor, steps: int, streams: Streams
) -> tuple[Trajectory, Tensor]:
    """`steps` steps of every copy from `obs` on, episodes following one another; and the observation to go on from."""
    action_noise = policy.noise(streams, steps, env.envs)
    env_noise = env.noise(streams, steps)
    frames = []
    act = policy.at(theta)
    for for_action, for_env in zip(action_noise.unbind(1), env_noise.unbind(1), strict=True):
        action = act(obs).sample(for_action)
        step = env.step(action, for_env)
        frames.append((obs, action, step.reward, step.next_obs, step.terminated, step.truncated))
        obs = step.obs
    columns = [torch.stack(column, 1) for column in zip(*frames, strict=True)]
    columns.append(torch.ones_like(columns[-1]))  # the mask
    return Trajectory(*columns), obs


def episodes(
    policy: Policy,
    theta: Tensor,
    env: Env,
    streams: Streams,
    deterministic: bool = False,
    active: Tensor | None = None,
) -> Trajectory:
    """One whole episode in every copy, from a fresh reset; shorter ones are padded (see `Trajectory.mask`).

    `deterministic` takes the distribution's mode instead of a sample. `active` [seed] says whose episodes are wanted:
    nobody waits for the others, whose episodes are cut after one step.

    Raises:
        ValueError: the world has no time limit, so that an episode might never end.
    """
    frames = step_by_step(policy, theta, env, streams, deterministic, active)
    return Trajectory(*(torch.stack(column, 1) for column in zip(*frames, strict=True)))


@torch.no_grad()
def step_by_step(
    policy: Policy,
    theta: Tensor,
    env: Env,
    streams: Streams,
    deterministic: bool = False,
    active: Tensor | None = None,
) -> Iterator[Moment]:
    """The steps of `episodes` as they are played. Arguments and errors alike.

    For those who do not need all of them at once: images of long episodes fill the memory.
    """
    if env.time_limit is None:
        raise ValueError(f"{env.name} has no time limit: whole episodes may never end; use fixed-length rollouts")
    obs = env.reset(streams)
    running = torch.ones(len(streams), env.envs, dtype=torch.bool, device=obs.device)
    for t in range(env.time_limit):
        if t % BLOCK == 0:
            action_noise = policy.noise(streams, BLOCK, env.envs)
            env_noise = env.noise(streams, BLOCK)
        dist = policy(theta, obs)
        action = dist.mode if deterministic else dist.sample(action_noise[:, t % BLOCK])
        step = env.step(action, env_noise[:, t % BLOCK])
        yield Moment(obs, action, step.reward, step.next_obs, step.terminated, step.truncated, running)
        running = running & ~(step.terminated | step.truncated)
        if active is not None:
            running &= active.unsqueeze(1)
        obs = step.obs
        if not running.any():
            break
