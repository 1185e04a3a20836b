"""Probe worlds: each is solved only if one more part of a learner is right. Chapter 03 runs them in this order.

All are tensor worlds of a few steps; `optimal_return` is the largest undiscounted return of an episode. The observation
is the state itself, a whole number.
"""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class Probe(TensorWorld):
    """What the probes share: states 0, 1, ... seen as they are, two actions, a new episode in state 0."""

    initial_noise = 1
    observation_space = spaces.Discrete(1)
    action_space = spaces.Discrete(2)
    optimal_return: float

    def initial(self, noise: Tensor) -> Tensor:
        return noise.new_zeros(noise.shape[:-1], dtype=torch.int64)


class ProbeConstant(Probe):
    """One step, reward 1 whatever is done. A learner that crashes here, or a critic that does not find 1, is broken."""

    name = "ProbeConstant-v0"
    time_limit = 1
    optimal_return = 1.0

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reward = torch.ones_like(state, dtype=self.dtype)
        return state, reward, torch.ones_like(state, dtype=torch.bool)


class ProbeAction(Probe):
    """One step, reward 1 for action 1. Localises a wrong sign of the loss, or a weight that ignores the action."""

    name = "ProbeAction-v0"
    time_limit = 1
    optimal_return = 1.0

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, action.to(self.dtype), torch.ones_like(state, dtype=torch.bool)


class ProbeState(Probe):
    """One step, reward 1 for the action that equals the state. Localises a policy that does not see what it acts on."""

    name = "ProbeState-v0"
    time_limit = 1
    optimal_return = 1.0
    observation_space = spaces.Discrete(2)

    def initial(self, noise: Tensor) -> Tensor:
        return (noise[..., 0] < 0.5).long()

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, (action == state).to(self.dtype), torch.ones_like(state, dtype=torch.bool)


class ProbeDelay(Probe):
    """Only the first of five actions counts, and its reward, 1 for action 1, comes with the last step.

    Localises returns that do not reach back, or reach back to the wrong step. The state is the step until the first
    action is taken and tells afterwards which it was: 0, then 2t - 1 + a.
    """

    name = "ProbeDelay-v0"
    steps = 5
    time_limit = steps
    optimal_return = 1.0
    observation_space = spaces.Discrete(2 * steps + 1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        following = torch.where(state == 0, 1 + action, state + 2)
        terminated = following >= 2 * self.steps - 1
        return following, (terminated & (following == 2 * self.steps)).to(self.dtype), terminated


class ProbeDiscount(Probe):
    """Action 1 at once pays 1 and ends; action 0 waits for a 2 that comes `delay` steps later.

    With γ = 0.8 the 2 is worth 2 · 0.8^5 = 0.66 and taking the 1 is right; without discounting waiting is. Localises a
    γ that is forgotten or applied at the wrong power. Once waiting, both actions wait.
    """

    name = "ProbeDiscount-v0"
    delay = 5
    time_limit = delay + 1
    gamma = 0.8
    optimal_return = 1.0  # of the policy that is best under γ
    observation_space = spaces.Discrete(delay + 2)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        takes = (state == 0) & (action == 1)
        arrives = state == self.delay
        reward = takes.to(self.dtype) + 2 * arrives.to(self.dtype)
        return state + 1, reward, takes | arrives


class Forever(Probe):
    """Reward 1, for ever; watched for ten steps at a time. Its value is 1/(1-γ) in every state.

    Localises truncation treated as termination: that bug finds Σ_{t<10} γ^t, or less.
    """

    name = "Forever-v0"
    time_limit = 10
    optimal_return = 10.0

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, torch.ones_like(state, dtype=self.dtype), torch.zeros_like(state, dtype=torch.bool)


PROBES = (ProbeConstant, ProbeAction, ProbeState, ProbeDelay, ProbeDiscount)
