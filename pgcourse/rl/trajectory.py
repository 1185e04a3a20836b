"""Trajectories: observations, actions, rewards and ends of episodes, as tensors [seed, time, env]."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True)
class Trajectory:
    """Experience over [seed, time, env].

    `obs` is what the policy saw at time t, `next_obs` the true successor of that step, before any automatic reset.
    `terminated`: the world ended and no reward can follow. `truncated`: somebody stopped watching a world that goes on.
    An episode ends where either is true, and the two are never merged.
    `mask` is True on real steps and False on padding behind an episode that ended earlier than others.

    Raises:
        ValueError: a field whose first three axes are not those of the reward.
    """

    obs: Tensor  # [seed, time, env, *observation]
    action: Tensor  # [seed, time, env, *action]
    reward: Tensor  # [seed, time, env]
    next_obs: Tensor  # [seed, time, env, *observation]
    terminated: Tensor  # [seed, time, env], bool
    truncated: Tensor  # [seed, time, env], bool
    mask: Tensor  # [seed, time, env], bool

    def __post_init__(self) -> None:
        for field in fields(self):
            shape, wanted = getattr(self, field.name).shape, self.reward.shape
            if len(wanted) != 3 or shape[:3] != wanted:
                raise ValueError(
                    f"{field.name} must be [seed, time, env, ...] like reward, {list(wanted)}; got {list(shape)}"
                )

    @property
    def done(self) -> Tensor:
        """Where an episode ends, for either reason."""
        return self.terminated | self.truncated


def require(reward: Tensor, **others: Tensor | float | None) -> None:
    """Raise ValueError for tensors not shaped like the reward and for numbers outside [0, 1]."""
    if reward.ndim != 3:
        raise ValueError(f"rewards and returns must be [seed, time, env], got shape {list(reward.shape)}")
    for name, other in others.items():
        if isinstance(other, Tensor):
            if other.shape != reward.shape:
                raise ValueError(f"{name} must have shape {list(reward.shape)}, got {list(other.shape)}")
        elif other is not None and not 0 <= other <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {other}")
