"""A trained policy: played, saved, or taken elsewhere as a module of torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pgcourse.algorithms.files import save
from pgcourse.algorithms.iterate import placed
from pgcourse.core import Policy, Streams, memory, to_module
from pgcourse.envs import Env, make, name_of, spaces_of
from pgcourse.envs.adapters.gymnasium import FLATTENED, converters

# An observation as the environment gives it: an array, or a dict or tuple of arrays.
Observation = ArrayLike | Mapping[str, Any] | tuple[Any, ...]


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy with its parameters: one row of θ for each seed.

    trained = pg.train(pg.PPO(), "CartPole-v1").policy
    action = trained[3].act(obs)        # seed 3's, for one observation of the environment or a batch of them
    trained.save("cartpole.pt")         # pg.load("cartpole.pt") gives it back
    module = trained.to_module(3)       # a torch.nn.Module
    """

    policy: Policy
    theta: Tensor
    seeds: tuple[int, ...]
    env: str | Callable[..., Any]
    env_args: Mapping[str, Any] = field(default_factory=dict)
    # Of observations and actions, as the environment gives and takes them; those of `env`, where they are not given.
    spaces: tuple[spaces.Space, spaces.Space] | None = None

    def world(self, envs: int = 1, **options: Any) -> Env:
        """The world that it was trained in, with `envs` copies, in θ's type of numbers and on its device.

        Arguments and errors as `pgcourse.make`.
        """
        return make(self.env, envs, **self.env_args, **{**placed(self.theta), **options})

    def __getitem__(self, seed: int) -> Agent:
        """The policy of one seed, as it acts: the same agent each time, which goes on drawing where it was.

        Raises:
            IndexError: no such seed.
        """
        if seed not in self._agents:
            self._agents[seed] = self.agent(seed)
        return self._agents[seed]

    def __iter__(self) -> Iterator[Agent]:
        return (self[seed] for seed in self.seeds)

    def __len__(self) -> int:
        return len(self.seeds)

    def agent(self, seed: int, draw: int = 0) -> Agent:
        """One seed's policy with noise of its own from the start; another `draw` samples other actions.

        Raises:
            IndexError: no such seed.
        """
        return Agent(self, self._row(seed), draw)

    def to_module(self, seed: int) -> nn.Module:
        """One seed's policy as a `torch.nn.Module`: see `pgcourse.core.to_module`.

        It takes what the policy sees: of an image [channel, height, width] from 0 to 1, of a Dict or Tuple the
        flattened numbers.

        Raises:
            IndexError: no such seed.
            ValueError: a policy with a memory.
        """
        return to_module(self.policy, self.theta[self._row(seed)])

    def save(self, path: Any) -> None:
        """Write configuration, θ, seeds and spaces into a file, from which `pg.load` makes the policy again.

        Raises:
            ValueError: a policy that is not one of `pgcourse.core`.
            OSError: the file cannot be written; one that was there before still is.
        """
        save(self, path)

    @cached_property
    def _agents(self) -> dict[int, Agent]:
        return {}

    def _row(self, seed: int) -> int:
        if seed not in self.seeds:
            raise IndexError(f"there is no seed {seed}; there are {', '.join(map(str, self.seeds))}")
        return self.seeds.index(seed)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_agents"}


class Agent:
    """One seed's policy at play: from what an environment shows to what its `step` takes.

        env = gymnasium.make("Pendulum-v1")
        obs, _ = env.reset(seed=0)
        agent.reset()
        obs, reward, *_ = env.step(agent.act(obs))

    Observations are converted as in training (images, discrete numbers that do not start at 0, dicts), and actions are
    clipped to their bounds. Samples come from a stream of the agent's own.
    """

    def __init__(self, trained: TrainedPolicy, row: int, draw: int = 0) -> None:
        self.seed = trained.seeds[row]
        self._policy, self._theta = trained.policy, trained.theta[row : row + 1].detach()
        self._streams = Streams((self.seed,), ("act", str(draw)), dtype=self._theta.dtype)
        self._seen, to_actions = trained.spaces or spaces_of(trained.world())
        self._flat = isinstance(self._seen, FLATTENED)
        seen = spaces.flatten_space(self._seen) if self._flat else self._seen
        self._shape = seen.shape or ()
        self._to_obs, self._to_action = converters(name_of(trained.env), seen, to_actions, self._theta.dtype)
        self._action_shape = to_actions.shape or ()
        self._distribution, self._network = self._policy.at(self._theta), memory(self._policy)
        self._memory: Tensor | None = None

    def reset(self) -> None:
        """An episode begins: a policy with a memory forgets. Others need not be told."""
        self._memory = None

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False) -> Any:
        """An action for one observation, or an action each for a batch [batch, *observation].

        Those of a Dict, Tuple or MultiDiscrete are taken one at a time.

        Sampled, as in training, or the most probable one where `deterministic`. An int for a discrete action, an array
        for others, and for a batch.

        Raises:
            ValueError: an observation of another shape, or one that is NaN or infinite; of a Discrete space, one that
                is no integer in it; a batch of another size than before for a policy with a memory, unless `reset` was
                called.
        """
        if self._flat:
            batch, single = self._flattened(obs)[np.newaxis], True
        else:
            array = np.asarray(obs)
            single = array.shape == self._shape
            if not single and array.shape[1:] != self._shape:
                raise ValueError(
                    f"an observation must have the shape {self._shape}, or [batch, ...] in front of it, as in "
                    f"{self._seen}; got {array.shape}"
                )
            batch = array[np.newaxis] if single else array
        if batch.dtype.kind not in "biuf" or not np.isfinite(batch).all():
            raise ValueError(f"an observation must be finite numbers, got {obs!r}")
        if isinstance(self._seen, spaces.Discrete):
            first, last = int(self._seen.start), int(self._seen.start + self._seen.n - 1)
            if batch.dtype.kind not in "iu" or (batch < first).any() or (batch > last).any():
                raise ValueError(
                    f"an observation must be an integer from {first} to {last}, as in {self._seen}; got {obs!r}"
                )
            batch = batch.astype(np.int64)
        x = torch.from_numpy(np.ascontiguousarray(self._to_obs(batch))).unsqueeze(0)
        dist = self._distribution(self._remembering(x))
        action = dist.mode if deterministic else dist.sample(self._policy.noise(self._streams, len(batch)))
        chosen = self._to_action(action.numpy().reshape(-1, *self._action_shape))
        if not single:
            return chosen
        return int(chosen[0]) if not self._action_shape and chosen.dtype.kind in "iu" else chosen[0]

    def _flattened(self, obs: Observation) -> NDArray:
        """One observation of several parts as one row of numbers."""
        wrong = f"an observation must be one of {self._seen}, one at a time; got {obs!r}"
        try:
            flat = np.asarray(spaces.flatten(self._seen, obs))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(wrong) from error
        if flat.shape != self._shape:
            raise ValueError(wrong)
        return flat

    def _remembering(self, x: Tensor) -> Tensor:
        """What a policy with a memory sees, which is then kept for the next observation."""
        if self._network is None:
            return x
        if self._memory is None:
            seen = self._network.begun(x)
        elif self._memory.shape[1] != x.shape[1]:
            raise ValueError(
                f"a policy with a memory was shown {self._memory.shape[1]} observations at a time, now {x.shape[1]}: "
                "call reset() where episodes begin"
            )
        else:
            seen = torch.cat([x, self._memory], -1)
        self._memory = self._network.memory(self._theta[:, : self._network.size])(seen)
        return seen
