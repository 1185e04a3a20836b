"""The interface of worlds, and what all tensor worlds share.

    env = CartPole(envs=8)
    obs = env.reset(streams)                            # [seed, env, *observation]
    noise = env.noise(streams, steps)                   # [seed, time, env, k]
    step = env.step(action, noise[:, t])

A world steps all seeds' copies at once. When an episode ends the copy starts its next one within the same step:
`next_obs` is the true successor, `obs` is what the policy sees next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from gymnasium import spaces
from torch import Tensor

from pgcourse.core import Streams


class Step(NamedTuple):
    """One step of every copy; all [seed, env, ...]."""

    obs: Tensor  # what the policy sees next: after a reset where the episode ended
    reward: Tensor
    next_obs: Tensor  # the true successor, before any reset
    terminated: Tensor  # the world ended
    truncated: Tensor  # the time limit was reached


class Env(Protocol):
    """A world with `envs` copies for each seed."""

    @property
    def name(self) -> str: ...

    @property
    def envs(self) -> int: ...

    @property
    def observation_space(self) -> spaces.Space: ...

    @property
    def action_space(self) -> spaces.Space: ...

    @property
    def time_limit(self) -> int | None:
        """Steps after which an episode is truncated; None: never."""

    def reset(self, streams: Streams) -> Tensor:
        """Start a new episode in every copy; as many seeds as there are streams."""

    def noise(self, streams: Streams, steps: int) -> Tensor:
        """All the randomness of the next `steps` steps, [seed, time, env, k]; k is 0 where the world draws its own."""

    def step(self, action: Tensor, noise: Tensor) -> Step: ...

    @property
    def restorable(self) -> bool:
        """Whether `state` and `load` work; a simulator that keeps its memory to itself is not restorable."""

    def state(self) -> dict[str, Tensor]:
        """Everything but actions and noise that determines the next steps; tensors [seed, env, ...] by name."""

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave, also that of another object: the same steps follow, bit for bit."""


class TensorWorld(ABC):
    """A world whose dynamics are torch expressions over [seed, env, state].

    A subclass says how a state begins (`initial`), what follows (`transition`) and what is seen of it (`observe`), all
    three pure; resets, time limits and shapes are handled here, once.

    States, observations and rewards that are not integers have the type `dtype`, and the streams that a world is given
    draw in the same.

    Raises:
        ValueError: `envs` below 1; streams of another dtype.
    """

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    time_limit: int | None = None
    initial_noise: int = 0  # how many random numbers a new episode takes
    transition_noise: int = 0  # and how many a step
    gaussian: bool = False  # standard normal noise instead of uniform
    restorable: bool = True

    def __init__(self, envs: int = 1, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> None:
        if envs < 1:
            raise ValueError(f"envs must be 1 or more, got {envs}")
        self.envs = envs
        self.dtype = dtype
        self.device = torch.device(device)

    @abstractmethod
    def initial(self, noise: Tensor) -> Tensor:
        """The first state of an episode: [..., initial_noise] to [..., state]."""

    @abstractmethod
    def transition(self, state: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(next state, reward, terminated)."""

    def observe(self, state: Tensor) -> Tensor:
        """What the policy sees of a state."""
        return state

    def reset(self, streams: Streams) -> Tensor:
        noise = self._draw(streams, self.envs, self.initial_noise)
        self.current = self.initial(noise)
        self.elapsed = torch.zeros(len(streams), self.envs, dtype=torch.int64, device=self.device)
        return self.observe(self.current)

    def noise(self, streams: Streams, steps: int) -> Tensor:
        return self._draw(streams, steps, self.envs, self.transition_noise + self.initial_noise)

    def step(self, action: Tensor, noise: Tensor) -> Step:
        state, reward, terminated = self.transition(self.current, action, noise[..., : self.transition_noise])
        self.elapsed = self.elapsed + 1  # a new tensor, so that what `state` gave stays as it is
        if self.time_limit is None:
            truncated = torch.zeros_like(terminated)
            done = terminated
        else:
            truncated = self.elapsed >= self.time_limit
            done = terminated | truncated
        next_obs = obs = self.observe(state)
        if done.any():
            fresh = self.initial(noise[..., self.transition_noise :])
            state = fresh.where(done.view(*done.shape, *(1,) * (state.ndim - done.ndim)), state)
            self.elapsed = self.elapsed.masked_fill(done, 0)
            obs = self.observe(state)
        self.current = state
        return Step(obs, reward, next_obs, terminated, truncated)

    def state(self) -> dict[str, Tensor]:
        return {"current": self.current, "elapsed": self.elapsed}

    def load(self, state: dict[str, Tensor]) -> None:
        if state["elapsed"].shape[1:] != (self.envs,):
            raise ValueError(
                f"a state of {state['elapsed'].shape[1]} copies a seed does not fit a world of {self.envs}"
            )
        self.current, self.elapsed = state["current"].to(self.device), state["elapsed"].to(self.device)

    def constant(self, value: float | Sequence[float]) -> Tensor:
        """Numbers of the dynamics as a tensor: an operation with it costs less than one with a Python number."""
        return torch.tensor(value, dtype=self.dtype, device=self.device)

    def _draw(self, streams: Streams, *shape: int) -> Tensor:
        if streams.dtype != self.dtype:
            raise ValueError(
                f"{self.name} computes in {self.dtype}, its streams draw in {streams.dtype}; give both one"
            )
        draw = streams.normal if self.gaussian else streams.uniform
        return draw(*shape).to(self.device)
