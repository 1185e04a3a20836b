"""PPO with a memory: a recurrent policy where the observation hides a part of the state. Chapter 08b."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pgcourse.algorithms.options import option
from pgcourse.algorithms.ppo import PPO, Metrics, State
from pgcourse.core import Critic, Policy, Streams, recurrent, replayed
from pgcourse.rl import Trajectory

__all__ = ["Metrics", "RecurrentPPO", "State"]


@dataclass(frozen=True)
class RecurrentPPO(PPO):
    """PPO's objective for a policy π_θ(a|o, h) that carries a memory h through an episode:

        h' = GRU_θ(o, h),    π_θ(a|o, h) = softmax(W h' + b),    h = 0 where an episode starts.

    While it acts, what policy and critic see is [o, h], so that the pair of both is the state of the problem. In the
    update each rollout of a copy is a sequence: its memories are computed anew with the θ of the minibatch, from the
    one it began with, and the gradient goes back through all of its steps (Hausknecht & Stone, 2015). Minibatches
    therefore take whole copies. The critic has an MLP; to it h is data.
    """

    units: int = option(32, "numbers in the memory", low=1)
    shares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.envs % self.minibatches:
            raise ValueError(
                f"RecurrentPPO: minibatches must divide envs = {self.envs}, since each takes the rollouts of whole "
                f"copies, got {self.minibatches}"
            )
        if self.normalize_observation:
            raise ValueError("RecurrentPPO: normalize_observation must be False: moments would be of the memory, too")

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> State:
        return super().init(*recurrent(policy, critic, self.units), streams)

    def update(self, state: State, batch: Trajectory, progress: float, streams: Streams) -> tuple[State, Metrics]:
        """PPO's, with every π_θ(a|o, h) of the rollout computed through time."""
        through_time = state._replace(policy=replayed(state.policy, self.horizon))
        after, metrics = super().update(through_time, batch, progress, streams)
        return after._replace(policy=state.policy), metrics

    def order(self, streams: Streams) -> Tensor:
        """Copies in random order, divided into minibatches; within each, time by time."""
        copies = streams.uniform(self.envs).argsort(1).view(-1, self.minibatches, 1, self.envs // self.minibatches)
        steps = torch.arange(self.horizon, device=copies.device).view(-1, 1)
        return (steps * self.envs + copies).flatten(1)
