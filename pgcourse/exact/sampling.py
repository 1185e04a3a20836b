"""Statistics of sampled gradients: z-scores of their mean, and means and errors of batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields

from torch import Tensor

from pgcourse.core import Streams
from pgcourse.exact.mdp import TabularMDP
from pgcourse.rl.trajectory import Trajectory

EPISODES_AT_ONCE = 20_000


def rollouts_in_parts(mdp: TabularMDP, theta: Tensor, streams: Streams, episodes: int) -> Iterator[Trajectory]:
    """`episodes` episodes a seed in trajectories of bounded size, however many there are."""
    for done in range(0, episodes, EPISODES_AT_ONCE):
        yield mdp.rollouts(theta, streams, min(EPISODES_AT_ONCE, episodes - done))


def independent_batches(mdp: TabularMDP, theta: Tensor, streams: Streams, batches: int, episodes: int) -> Trajectory:
    """Many batches of `episodes` whole episodes at one θ [1, parameter], each in a row: [batch, time, env].

    The same as as many seeds of `TabularMDP.rollouts`, and much quicker: all episodes come from one stream.
    """
    played = mdp.rollouts(theta, streams, batches * episodes)
    columns = (getattr(played, field.name)[0] for field in fields(played))
    return Trajectory(*(x.unflatten(1, (batches, episodes)).movedim(1, 0) for x in columns))


def z_scores(sample: Tensor, truth: Tensor) -> Tensor:
    """(mean - truth) / standard error, [seed, sample, parameter] against [seed, parameter].

    A component that never varies has z = 0 where it equals the truth and ±∞ elsewhere.
    """
    error = sample.mean(1) - truth
    z = error / (sample.std(1) / math.sqrt(sample.shape[1]))
    return z.where(error != 0, 0.0)


def batch_means(sample: Tensor, size: int) -> Tensor:
    """Means over successive batches, [seed, sample, parameter] to [seed, batch, parameter]; a remainder is dropped."""
    batches = sample.shape[1] // size
    return sample[:, : batches * size].unflatten(1, (batches, size)).mean(2)


def batch_errors(sample: Tensor, truth: Tensor, size: int) -> Tensor:
    """‖ĝ - g‖ / ‖g‖ of every batch mean ĝ, [seed, batch]."""
    return (batch_means(sample, size) - truth.unsqueeze(1)).norm(dim=-1) / truth.norm(dim=-1, keepdim=True)
