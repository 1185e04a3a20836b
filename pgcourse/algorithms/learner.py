"""What learns: a policy and a critic with their parameters, for every seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from pgcourse.core import Critic, Normalized, Policy, Streams
from pgcourse.core.adam import Adam as AdamRule, clipped, gradient
from pgcourse.rl import Trajectory


class Adam:
    def __init__(self, parameters, lr, max_norm=math.inf):
        self.parameters = parameters.detach().clone().requires_grad_()
        self.rule, self.max_norm = AdamRule(lr), max_norm
        self.adam = self.rule.init(self.parameters.detach())

    def minimize(self, loss, rate=1.0, rows=None):
        (grad,), (norm,) = clipped(gradient(loss, self.parameters), self.max_norm)
        theta, self.adam = self.rule.step(self.parameters.detach(), grad, self.adam, rate, rows)
        self.parameters = theta.requires_grad_()
        return norm

    def state(self):
        return {"parameters": self.parameters.detach().clone(), **self.adam._asdict()}

    def load(self, state):
        state = dict(state)
        self.parameters = state.pop("parameters").clone().requires_grad_()
        self.adam = type(self.adam)(**state)


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
        for part, opt in ((self.policy, self.policy_optimizer), (self.critic, self.critic_optimizer)):
            if hasattr(part, "observe"):
                opt.parameters = part.observe(opt.parameters.detach(), batch.obs, batch.mask).requires_grad_(opt.parameters.requires_grad)

    @property
    def theta(self) -> Tensor:
        return self.policy_optimizer.parameters

    @property
    def phi(self) -> Tensor:
        return self.critic_optimizer.parameters


def _part(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
