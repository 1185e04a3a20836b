"""Deep Q-learning on discrete or discretised actions. Mnih et al. (2015), van Hasselt et al. (2016). Chapter 06."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from pgcourse.algorithms.options import check, option
from pgcourse.algorithms.replay import Replay
from pgcourse.core import (
    MLP,
    Categorical,
    Conv,
    Critic,
    GaussianPolicy,
    MaskedSoftmaxPolicy,
    Network,
    Policy,
    SoftmaxPolicy,
    Streams,
    Table,
)
from pgcourse.core.adam import Adam, AdamState, clipped, gradient
from pgcourse.rl import Trajectory

MOST_ACTIONS = 2**16  # outputs of one network that are worth holding: with 64 hidden units 4 million parameters a seed


@dataclass(frozen=True)
class ActionGrid:
    """`bins` values of each of `joints` numbers, evenly spaced from -bound to bound: bins^joints actions in all.

    Action i is the vector whose digits are those of i to the base `bins`, the first joint's digit the lowest.

    Raises:
        ValueError: fewer than two bins, a bound that is not positive, more than `MOST_ACTIONS` actions.
    """

    bins: int
    joints: int
    bound: float = 1.0

    def __post_init__(self) -> None:
        if self.bins < 2 or self.joints < 1 or not 0 < self.bound < math.inf:
            raise ValueError(f"a grid takes 2 bins or more, 1 joint or more and a positive bound, got {self}")
        if self.actions > MOST_ACTIONS:
            raise ValueError(
                f"{self.bins} bins on {self.joints} joints are {self.bins}^{self.joints} = {self.actions:,} actions, "
                f"each an output of the network; at most {MOST_ACTIONS:,} are held. Take fewer bins, or a policy "
                "gradient: a Gaussian needs one output a joint"
            )

    @property
    def actions(self) -> int:
        return self.bins**self.joints

    def vector(self, index: Tensor) -> Tensor:
        """Actions [..., joint] for their indices [...]."""
        digit = index.unsqueeze(-1) // self._places(index) % self.bins
        return self.bound * (2 * digit / (self.bins - 1) - 1)

    def index(self, vector: Tensor) -> Tensor:
        """The inverse of `vector`; of other vectors, the index of the nearest action."""
        digit = ((vector / self.bound + 1) / 2 * (self.bins - 1)).round().long().clamp(0, self.bins - 1)
        return (digit * self._places(digit)).sum(-1)

    def _places(self, like: Tensor) -> Tensor:
        return torch.tensor([self.bins**joint for joint in range(self.joints)], device=like.device)


@dataclass(frozen=True)
class EpsilonGreedy:
    """The action with the largest q with probability 1 - ε; with probability ε any one, all equally likely.

    q has shape [..., action] and ε [...]; noise is uniform on [0, 1), [...]. Actions are int64 [...], or vectors
    [..., joint] where there is a `grid`. Of equal values the first is the greedy one. Nothing here has a gradient that
    would be of use: the greedy action jumps where q changes smoothly.
    """

    q: Tensor
    epsilon: Tensor
    grid: ActionGrid | None = None

    def log_prob(self, action: Tensor) -> Tensor:
        return self._categorical.log_prob(action if self.grid is None else self.grid.index(action))

    def sample(self, noise: Tensor) -> Tensor:
        """The greedy action where noise ≥ ε, else a uniformly random one, the action number ⌊noise / ε · actions⌋."""
        actions = self.q.shape[-1]
        anywhere = (noise / self.epsilon.clamp_min(1e-12) * actions).long().clamp_max(actions - 1)
        return self._act(anywhere.where(noise < self.epsilon, self.q.argmax(-1)))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def kl(self, other: EpsilonGreedy) -> Tensor:
        return self._categorical.kl(other._categorical)

    @property
    def mode(self) -> Tensor:
        return self._act(self.q.argmax(-1))

    @property
    def _categorical(self) -> Categorical:
        actions, epsilon = self.q.shape[-1], self.epsilon.unsqueeze(-1)
        greedy = torch.nn.functional.one_hot(self.q.argmax(-1), actions)
        return Categorical(((1 - epsilon) * greedy + epsilon / actions).log())

    def _act(self, index: Tensor) -> Tensor:
        return index if self.grid is None else self.grid.vector(index).to(self.q.dtype)


@dataclass(frozen=True)
class EpsilonGreedyPolicy:
    """ε-greedy in q(s, ·) = network(θ, s). A row of θ is the network's parameters followed by ε, which starts at 1."""

    network: Network
    grid: ActionGrid | None = None

    @property
    def size(self) -> int:
        return self.network.size + 1

    def init(self, streams: Streams) -> Tensor:
        return self.theta(self.network.init(streams), 1.0)

    def theta(self, phi: Tensor, epsilon: float) -> Tensor:
        """θ from the parameters of q and ε."""
        return torch.cat([phi, torch.full_like(phi[:, :1], epsilon)], 1)

    def __call__(self, theta: Tensor, obs: Tensor) -> EpsilonGreedy:
        return self.at(theta)(obs)

    def at(self, theta: Tensor) -> Callable[[Tensor], EpsilonGreedy]:
        weights, epsilon = theta.split([self.network.size, 1], 1)
        network = self.network.at(weights)

        def act(obs: Tensor) -> EpsilonGreedy:
            q = network(obs)
            return EpsilonGreedy(q, epsilon.view(len(q), *(1,) * (q.ndim - 2)).expand(q.shape[:-1]), self.grid)

        return act

    def observe(self, theta: Tensor, obs: Tensor, mask: Tensor) -> Tensor:
        return theta

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape)


class State(NamedTuple):
    """What lasts from update to update."""

    policy: EpsilonGreedyPolicy
    critic: Critic  # q, with the architecture of the policy
    theta: Tensor  # [seed, parameter], φ and ε
    phi: Tensor  # [seed, parameter] of q
    phi_adam: AdamState
    target: Tensor  # φ', [seed, parameter]
    minibatches: int  # so far
    replay: Replay


class Metrics(NamedTuple):
    """Each [seed], a mean over the minibatches unless it says otherwise."""

    value_loss: Tensor  # Huber's loss of y - q
    td_error: Tensor  # the mean of |y - q|
    q: Tensor  # at the actions taken
    critic_grad_norm: Tensor  # of φ, before clipping
    epsilon: Tensor  # of the policy after the update


@dataclass(frozen=True)
class DQN:
    """Learn action values and act ε-greedily in them. Act for a few steps, then fit q_φ to

        y = r + γ (1 - terminated) q_φ'(s', argmax_a q_φ(s', a))

    on minibatches from a replay memory, with a frozen copy φ' of φ. A step at which the time limit cut the
    episode bootstraps like any other.

    One action at a time can be looked at only where actions can be counted: where they are numbers, as the torques of
    an arm, each joint's are restricted to `bins` values, and q has bins^joints outputs. docs/dqn.md explains every
    option and metric.
    """

    envs: int = option(8, "N, copies of the world that run side by side", low=1)
    horizon: int = option(8, "T, steps of each copy between the updates", low=1)
    bins: int = option(3, "where actions are numbers, how many values each takes, evenly spaced", low=2)
    bound: float = option(1.0, "where actions are numbers, they lie between -bound and bound", above=0)
    capacity: int = option(
        50_000, "steps of each seed that the replay memory holds; newer ones take the oldest's place", low=1
    )
    updates: int = option(8, "minibatches for each rollout", low=1)
    batch: int = option(64, "steps in each minibatch, drawn from the memory evenly", low=1)
    target_every: int = option(50, "minibatches after which the target network φ' becomes φ", low=1)
    double: bool = option(
        True, "as above (van Hasselt et al., 2016); without it, the target is the maximum of q_φ'(s', ·)"
    )
    huber: float = option(
        10.0,
        "errors count quadratically up to this size, linearly beyond. Where errors are often larger, q tends to the "
        "median of y and not to its mean: rare ends of episodes are overlooked, and values grow far too large",
        above=0,
        infinite=True,
    )
    lr: float = option(1e-3, "Adam's step size for φ", above=0)
    gamma: float = option(0.99, "discount γ", low=0, high=1)
    epsilon: float = option(0.02, "where ε ends, after a linear fall from 1", low=0, high=1)
    exploration: float = option(0.3, "the part of the training in which ε falls", above=0, high=1)
    max_grad_norm: float = option(10.0, "clip each seed's gradient to this norm", above=0, infinite=True)
    anneal: bool = option(True, "let the step size fall linearly to 0 over the training")
    adam_eps: float = option(1e-5, "ε of Adam, which bounds its steps where gradients are small", above=0, neutral=1e-5)

    def __post_init__(self) -> None:
        check(self)
        if self.capacity < self.envs * self.horizon:
            raise ValueError(
                f"DQN: capacity must hold a rollout of envs · horizon = {self.envs * self.horizon} steps, "
                f"got {self.capacity}"
            )

    def init(self, policy: Policy, critic: Critic, streams: Streams) -> State:
        """The first state; its critic is q with the given policy's architecture. The given critic is not used.

        Raises:
            ValueError: a policy that is neither softmax nor Gaussian, a Gaussian in units of its own
                (`rescale_action`), or too many actions: see `ActionGrid`.
        """
        acting = self.policy(policy)
        phi = acting.network.init(streams.child("phi"))
        adam = Adam(self.lr, self.adam_eps).init(phi)
        return State(acting, Critic(acting.network), acting.theta(phi, 1.0), phi, adam, phi, 0, Replay(self.capacity))

    def policy(self, policy: Policy) -> EpsilonGreedyPolicy:
        """The ε-greedy policy over the actions of another one, with its network."""
        if isinstance(policy, MaskedSoftmaxPolicy):
            raise ValueError("DQN knows no invalid actions: leave mask_actions False, or take a policy gradient method")
        if isinstance(policy, SoftmaxPolicy):
            return EpsilonGreedyPolicy(policy.network)
        if isinstance(policy, GaussianPolicy):
            if policy.scale:
                raise ValueError(
                    f"DQN: rescale_action must be False: its actions lie between ±{self.bound:g}; set bound"
                )
            grid = ActionGrid(self.bins, policy.actions, self.bound)
            return EpsilonGreedyPolicy(_with_outputs(policy.network, grid.actions), grid)
        raise ValueError(
            f"DQN takes the place of a softmax policy or of a Gaussian one, got {policy!r}: take PPO, which trains any"
        )

    def update(self, state: State, batch: Trajectory, progress: float, streams: Streams) -> tuple[State, Metrics]:
        """Remember a fixed-length rollout, then fit `updates` minibatches from the memory."""
        network, adam = state.policy.network, Adam(self.lr, self.adam_eps)
        rate = 1 - progress if self.anneal else 1.0
        replay = state.replay.added(self.steps(state.policy, batch))
        phi, phi_adam, target, minibatches = state.phi, state.phi_adam, state.target, state.minibatches
        seen = []
        for index in streams.integers(len(replay), self.updates, self.batch).unbind(1):
            phi = phi.detach().requires_grad_()
            loss, y, q = self.loss(network, phi, target, replay.take(index))
            (g,), (norm,) = clipped(gradient(loss, phi), self.max_grad_norm)
            phi, phi_adam = adam.step(phi.detach(), g, phi_adam, rate)
            minibatches += 1
            target = phi if minibatches % self.target_every == 0 else target
            seen.append((loss.detach(), (y - q).abs().mean(1), q.mean(1), norm))
        epsilon = max(self.epsilon, 1 - (1 - self.epsilon) * progress / self.exploration)
        theta = state.policy.theta(phi, epsilon)
        loss, td_error, q, norm = (torch.stack(column).mean(0) for column in zip(*seen, strict=True))
        state = State(state.policy, state.critic, theta, phi, phi_adam, target, minibatches, replay)
        return state, Metrics(
            loss, td_error, q, norm, theta[:, -1].clone()
        )  # a view would keep θ as long as the curves

    def steps(self, policy: EpsilonGreedyPolicy, batch: Trajectory) -> dict[str, Tensor]:
        """The steps of a rollout in the replay memory's layout, [seed, sample, ...]."""
        action = batch.action if policy.grid is None else policy.grid.index(batch.action)
        columns = {"obs": batch.obs, "action": action, "reward": batch.reward, "next_obs": batch.next_obs}
        return {name: x.flatten(1, 2) for name, x in (columns | {"terminated": batch.terminated}).items()}

    def loss(
        self, network: Network, phi: Tensor, target: Tensor, steps: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Huber's loss of y - q, [seed]; with y and q [seed, sample], for the metrics."""
        y = self.target(network, phi, target, steps)
        q = _at(network(phi, steps["obs"]), steps["action"])
        return huber_loss(q, y, reduction="none", delta=self.huber).mean(1), y, q.detach()

    @torch.no_grad()
    def target(self, network: Network, phi: Tensor, target: Tensor, steps: Mapping[str, Tensor]) -> Tensor:
        """The targets y of the taken actions' values; `target` is φ'."""
        later = network(target, steps["next_obs"])
        chosen = network(phi, steps["next_obs"]) if self.double else later
        return steps["reward"] + self.gamma * _at(later, chosen.argmax(-1)).where(~steps["terminated"], 0.0)


def _at(q: Tensor, action: Tensor) -> Tensor:
    return q.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def _with_outputs(network: Network, outputs: int) -> Network:
    """The same architecture with another number of outputs."""
    if isinstance(network, MLP):
        return replace(network, sizes=(*network.sizes[:-1], outputs))
    if isinstance(network, Conv | Table):
        return replace(network, outputs=outputs)
    raise ValueError(f"DQN does not know how to give {network!r} {outputs} outputs; pass a policy with an MLP")
