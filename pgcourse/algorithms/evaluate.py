"""Trained policies at play: whole episodes with θ held fixed, evaluated or watched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pgcourse.algorithms.acting import Transition, act, step_by_step
from pgcourse.algorithms.train import Run
from pgcourse.algorithms.trained import TrainedPolicy
from pgcourse.algorithms.trial import require_fit
from pgcourse.core import Streams
from pgcourse.envs import Env, GymnasiumEnv, close

if TYPE_CHECKING:
    import pandas as pd

COPIES = 250  # of a simulator that are evaluated at a time


def evaluate(
    trained: TrainedPolicy | Run,
    episodes: int = 100,
    deterministic: bool = False,
    seed: int = 0,
    max_episode_steps: int | None = None,
) -> pd.DataFrame:
    """Play `episodes` whole episodes with every seed's policy; one row an episode: seed, episode, return, length.

    `trained` is a run, or its policy. An episode that still runs after `max_episode_steps` is cut: a world without a
    time limit of its own needs it.

    Actions are sampled, as in training, or the mode where `deterministic`. Returns are undiscounted. The episodes'
    randomness is that of each seed's own evaluation stream, so that calling again gives the same numbers; another
    `seed` gives other episodes. Those of a study's records are of seed 0.

    Simulators are an object a copy, and some are large: of them no more than `COPIES` run at a time, or what they say
    themselves, `most_copies`. The numbers of up to that many episodes do not depend on which seeds are evaluated
    together.

    Raises:
        ValueError: fewer than one episode or step; a world without a time limit; a policy that does not fit the world.
    """
    import pandas as pd

    for name, value in (("episodes", episodes), ("max_episode_steps", max_episode_steps)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
            raise ValueError(f"{name} must be an integer, 1 or more, got {value!r}")
    trained = trained.policy if isinstance(trained, Run) else trained
    table = []
    for some, parts in portions(trained, episodes, seed):
        played = [_evaluated(some, size, deterministic, path, max_episode_steps) for size, path in parts]
        returns, lengths = (torch.cat(each, 1) for each in zip(*played, strict=True))
        index = pd.MultiIndex.from_product([some.seeds, range(episodes)], names=["seed", "episode"])
        columns = {name: x.flatten().cpu().numpy() for name, x in (("return", returns), ("length", lengths))}
        table.append(pd.DataFrame(columns, index=index).reset_index())
    return pd.concat(table, ignore_index=True)


def portions(
    trained: TrainedPolicy, episodes: int, seed: int = 0
) -> Iterator[tuple[TrainedPolicy, list[tuple[int, tuple[str, ...]]]]]:
    """As many seeds as can be evaluated at once, and in which parts: how many episodes, and their streams' path."""
    world = trained.world()
    simulated = isinstance(world, GymnasiumEnv)
    most = min(COPIES, getattr(world, "most_copies", COPIES))
    sizes = [min(most, episodes - first) for first in range(0, episodes, most)] if simulated else [episodes]
    together = max(1, most // episodes) if simulated else len(trained.seeds)
    path = ("evaluate", str(seed)) if seed else ("evaluate",)
    parts = [(size, path if part == 0 else (*path, f"part {part}")) for part, size in enumerate(sizes)]
    for first in range(0, len(trained.seeds), together):
        rows = slice(first, first + together)
        yield replace(trained, theta=trained.theta[rows], seeds=trained.seeds[rows]), parts


def _evaluated(
    trained: TrainedPolicy, episodes: int, deterministic: bool, path: tuple[str, ...], most: int | None
) -> list[Tensor]:
    """Returns and lengths, [seed, episode] each."""
    world = trained.world(episodes)
    require_fit(world, trained.policy, trained.theta)
    streams = Streams(trained.seeds, path, trained.theta.device, trained.theta.dtype)
    steps = step_by_step(trained.policy, trained.theta, world, streams, deterministic, most=most)
    try:
        rewards, masks = zip(*((step.reward, running) for step, running in steps), strict=True)
    finally:
        close(world)
    reward, mask = torch.stack(rewards, 1), torch.stack(masks, 1)
    return [reward.where(mask, 0.0).sum(1), mask.sum(1)]


def play(
    world: Env,
    trained: TrainedPolicy,
    seed: int | None = None,
    episodes: int = 1,
    deterministic: bool = False,
    look: Callable[[Tensor], None] = lambda obs: None,
    draw: int = 0,
) -> Iterator[Transition]:
    """The steps of whole episodes of one seed's policy, the first one's unless given, in a world of one copy.

    `look` is called with the observation before each step, while the world is in the state that is seen.
    Episodes follow one another; another `draw` gives others.

    Raises:
        ValueError: no such seed, fewer than one episode; a world that computes in another type than θ.
    """
    seed = trained.seeds[0] if seed is None else seed
    if seed not in trained.seeds:
        raise ValueError(f"there is no seed {seed}; there are {', '.join(map(str, trained.seeds))}")
    if episodes < 1:
        raise ValueError(f"episodes must be 1 or more, got {episodes}")
    require_fit(world, trained.policy, trained.theta)
    row, theta = trained.seeds.index(seed), trained.theta
    if (kind := getattr(world, "dtype", theta.dtype)) != theta.dtype:
        raise ValueError(
            f"{world.name} computes in {kind}, the policy's θ is {theta.dtype}: make the world with "
            f"dtype={theta.dtype}, as trained.world() does"
        )
    streams = Streams((seed,), ("watch", str(draw)) if draw else ("watch",), theta.device, theta.dtype)
    obs = world.reset(streams)
    steps = act(trained.policy, theta[row : row + 1], world, obs, streams, sys.maxsize, deterministic, block=1)
    while episodes:
        look(obs)
        step = next(steps)
        obs = step.after
        episodes -= bool((step.terminated | step.truncated).item())
        yield step
