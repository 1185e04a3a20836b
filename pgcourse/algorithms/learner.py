"""What learns: a policy and a critic with their parameters, for every seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from pgcourse.core import Critic, Normalized, Policy, Streams
from pgcourse.core.optimizer import Adam
from pgcourse.rl import Trajectory


class Optimizer(Protocol):
    """Holds rows of parameters and whatever it takes to go on moving them."""

    parameters: Tensor

    def state(self) -> dict[str, Tensor]: ...

    def load(self, state: dict[str, Tensor]) -> None: ...


OptimizerT = TypeVar("OptimizerT", bound=Optimizer)


@dataclass(frozen=True)
class Learner(Generic[OptimizerT]):
    """A policy π_θ, a critic v_φ, the optimisers that hold θ and φ, and what else lasts from update to update."""

    policy: Policy
    critic: Critic
    policy_optimizer: OptimizerT
    critic_optimizer: Adam
    memory: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        policy: Policy,
        critic: Critic,
        streams: Streams,
        lr: float,
        critic_lr: float,
        max_grad_norm: float = math.inf,
    ) -> Learner[Adam]:
        """A learner with freshly drawn θ and φ, both moved by Adam."""
        return Learner(
            policy,
            critic,
            Adam(policy.init(streams.child("theta")), lr, max_grad_norm),
            Adam(critic.init(streams.child("phi")), critic_lr, max_grad_norm),
        )

    def state(self) -> dict[str, Tensor]:
        """A copy of all that has been learnt, step sizes' statistics included: see `load`."""
        return {
            f"{name}.{key}": tensor
            for name, optimizer in self._optimizers.items()
            for key, tensor in optimizer.state().items()
        } | {f"memory.{key}": tensor.clone() for key, tensor in self.memory.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned for a learner of the same kind."""
        for name, optimizer in self._optimizers.items():
            optimizer.load(_part(state, name))
        self.memory.update({key: tensor.clone() for key, tensor in _part(state, "memory").items()})

    @property
    def _optimizers(self) -> dict[str, Optimizer]:
        return {"policy": self.policy_optimizer, "critic": self.critic_optimizer}

    @torch.no_grad()
    def observe(self, batch: Trajectory) -> None:
        """Show a batch's observations to the networks that standardise theirs."""
        for part, parameters in ((self.policy, self.theta), (self.critic, self.phi)):
            network = getattr(part, "network", None)
            if isinstance(network, Normalized):
                network.observe(parameters[:, : network.size], batch.obs, batch.mask)

    @property
    def theta(self) -> Tensor:
        return self.policy_optimizer.parameters

    @property
    def phi(self) -> Tensor:
        return self.critic_optimizer.parameters


def _part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
