"""Probe worlds: each is solved only if one more part of an agent is right, so the first that fails localises the bug.

After Jones (2021), "Debugging RL, Without the Agonizing Pain". Run them in the order of `PROBES`, as chapter 03 does:
they take seconds, and each of their few states is an observation. `Forever` is for critics: it is only ever cut off.
"""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.envs.base import TensorWorld


class Probe(TensorWorld):
    """States 0, 1, ... seen as they are, two actions, a start in state 0.

    `optimal_return` is what the best policy collects in an episode, undiscounted, as learning curves show it.
    """

    observation_space = spaces.Discrete(1)
    action_space = spaces.Discrete(2)
    optimal_return = 1.0

    def initial(self, noise: Tensor) -> Tensor:
        return noise.new_zeros(noise.shape[:-1], dtype=torch.int64)


class ProbeConstant(Probe):
    """One step, reward 1 whatever is done: the critic must come to 1, and the policy has no reason to move.

    A value other than 1 points at the critic's loss or target. A policy that grows confident points at the baseline:
    one that is subtracted as it should be makes every weight 0 here.
    """

    name = "ProbeConstant-v0"
    time_limit = 2  # never reached: the one step terminates

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, torch.ones_like(state, dtype=self.dtype), torch.ones_like(state, dtype=torch.bool)


class ProbeAction(Probe):
    """One step, reward 1 for action 1, 0 for action 0.

    An agent that finds action 0 has a sign wrong. One that finds neither pairs log-probabilities with other actions'
    weights ([N] against [N, 1] does that), or no gradient arrives at θ.
    """

    name = "ProbeAction-v0"
    time_limit = 2  # never reached

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, action.to(self.dtype), torch.ones_like(state, dtype=torch.bool)


class ProbeState(Probe):
    """One step, started in state 0 or 1 with equal probability; reward 1 for the action that equals the state.

    A policy that does not see its state gets ½ on average: observations are lost on the way to the network, or the one
    that is stored with an action is not the one it was chosen on. The step leads to state 2.
    """

    name = "ProbeState-v0"
    observation_space = spaces.Discrete(3)
    time_limit = 2  # never reached
    initial_noise = 1

    def initial(self, noise: Tensor) -> Tensor:
        return (noise[..., 0] < 0.5).long()

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reward = (action == state).to(self.dtype)
        return torch.full_like(state, 2), reward, torch.ones_like(state, dtype=torch.bool)


class ProbeDelay(Probe):
    """The first of five actions decides: 1 is worth 1, paid with the last step; 0 is worth `lure` = 0.2, paid at once.

    The actions in between do nothing. Right for every γ above 0.2^(1/4) ≈ 0.67. An agent that falls for the lure has
    returns that are summed over the past instead of the future, shifted against the actions, or not summed at all.

    State: 0, then 2t - 1 + (first action) after t steps.
    """

    name = "ProbeDelay-v0"
    steps = 5
    lure = 0.2
    observation_space = spaces.Discrete(2 * steps + 1)
    time_limit = steps + 1  # never reached

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        following = torch.where(state == 0, 1 + action, state + 2)
        terminated = following >= 2 * self.steps - 1
        lured = (state == 0) & (action == 0)
        return following, self.lure * lured.to(self.dtype) + (following == 2 * self.steps), terminated


class ProbeDiscount(Probe):
    """Action 1 takes 1 and ends the episode; after action 0 nothing matters any more, and ten steps later 2 is paid.

    Waiting is worth 2 γ¹⁰: less than 1, and so a mistake, for γ below `indifference` = 2^(-1/10) ≈ 0.933. That is what
    `optimal_return` refers to; above, `late` is optimal. An agent on the wrong side for its γ forgets it, applies it
    twice, or counts from the wrong end. State: the steps gone.
    """

    name = "ProbeDiscount-v0"
    now = 1.0
    late = 2.0
    wait = 10
    indifference = (now / late) ** (1 / wait)
    optimal_return = now
    observation_space = spaces.Discrete(wait + 2)
    time_limit = wait + 2  # never reached

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        taken = (state == 0) & (action == 1)
        waited = state == self.wait
        return state + 1, self.now * taken.to(self.dtype) + self.late * waited.to(self.dtype), taken | waited


class Forever(Probe):
    """Reward 1 for ever, whatever is done; watched for `time_limit` steps at a time. Chapter 05.

        v = 1 + γ + γ² + ... = 1/(1-γ),

    because to be cut off (`truncated`) is not to end. A critic that takes it for an end learns less: by TD(0),
    v = 1 + γ (1 - 1/time_limit) v, as if every step were the last with probability 1/time_limit.
    """

    name = "Forever-v0"
    time_limit = 10
    optimal_return = float(time_limit)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return state, torch.ones_like(state, dtype=self.dtype), torch.zeros_like(state, dtype=torch.bool)


PROBES = (ProbeConstant, ProbeAction, ProbeState, ProbeDelay, ProbeDiscount)
