"""Deep Q-learning on discrete or discretised actions. Mnih et al. (2015), van Hasselt et al. (2016). Chapter 06."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from pgcourse.algorithms.learner import Learner
from pgcourse.algorithms.options import in_range
from pgcourse.core import MLP, Categorical, Conv, Critic, GaussianPolicy, Network, Policy, SoftmaxPolicy, Streams, Table
from pgcourse.core.optimizer import Adam
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
        """Noise below ε explores, and its place between 0 and ε says where."""
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

    def init(self, streams: Streams, dtype: torch.dtype | None = None) -> Tensor:
        weights = self.network.init(streams, dtype)
        return torch.cat([weights, weights.new_ones(len(weights), 1)], 1)

    def __call__(self, theta: Tensor, obs: Tensor) -> EpsilonGreedy:
        weights, epsilon = theta.split([self.network.size, 1], 1)
        q = self.network(weights, obs)
        return EpsilonGreedy(q, epsilon.view(len(q), *(1,) * (q.ndim - 2)).expand(q.shape[:-1]), self.grid)

    def noise(self, streams: Streams, *shape: int) -> Tensor:
        return streams.uniform(*shape)


class ReadOff:
    """θ of a policy that has nothing of its own to learn: it is the critic's parameters and ε."""

    def __init__(self, parameters: Tensor) -> None:
        self.parameters = parameters

    def follow(self, phi: Tensor, epsilon: float) -> None:
        self.parameters = torch.cat([phi.detach(), torch.full_like(phi[:, :1], epsilon)], 1)

    def state(self) -> dict[str, Tensor]:
        return {"parameters": self.parameters.clone()}

    def load(self, state: dict[str, Tensor]) -> None:
        self.parameters = state["parameters"].clone()


@dataclass(frozen=True)
class DQN:
    """Learn what each action is worth, and take the one that is worth most. Act for a few steps, then fit q_φ to

        y = r + γ (1 - terminated) q_φ'(s', argmax_a q_φ(s', a))

    on minibatches from all that was lately seen, with a frozen copy φ' of φ. A step at which the time limit cut the
    episode bootstraps like any other.

    One action at a time can be looked at only where actions can be counted: where they are numbers, as the torques of
    an arm, each joint's are restricted to `bins` values, and q has bins^joints outputs. docs/dqn.md explains every
    option and metric.

    Options:
        envs, rollout: N copies of the world, T steps of each between the updates.
        bins, bound: where actions are numbers, each takes `bins` values, evenly spaced from -bound to bound.
        capacity: steps of each seed that the replay memory holds; newer ones take the oldest's place.
        updates, batch: minibatches for each rollout, and steps in each of them, drawn from the memory evenly.
        target_every: minibatches after which the target network φ' becomes φ.
        double: as above (van Hasselt et al., 2016); without it, the maximum of q_φ'(s', ·).
        huber: errors count quadratically up to this size, linearly beyond. Where errors are often larger, q tends to
            the median of y and not to its mean: rare ends of episodes are overlooked, and values grow far too large.
        lr: Adam's step size for φ.
        gamma: γ.
        epsilon, exploration: ε falls linearly from 1 to `epsilon` in this part of the training, and stays there.
        max_grad_norm: clip each seed's gradient to this norm.
        anneal: let the step size fall linearly to 0 over the training.

    Metrics, means over the minibatches: `value_loss`, Huber's loss of y - q; `td_error`, the mean of |y - q|; `q`, the
    mean of q at the actions taken; `critic_grad_norm` of φ before clipping. Of the policy after the update: `epsilon`.
    """

    envs: int = 8
    rollout: int = 8
    bins: int = 3
    bound: float = 1.0
    capacity: int = 50_000
    updates: int = 8
    batch: int = 64
    target_every: int = 50
    double: bool = True
    huber: float = 10.0
    lr: float = 1e-3
    gamma: float = 0.99
    epsilon: float = 0.02
    exploration: float = 0.3
    max_grad_norm: float = 10.0
    anneal: bool = True

    def __post_init__(self) -> None:
        for name in ("envs", "rollout", "updates", "batch", "target_every"):
            in_range(self, name, 1)
        in_range(self, "bins", 2)
        in_range(self, "gamma", 0, 1)
        in_range(self, "epsilon", 0, 1)
        in_range(self, "exploration", 0, 1, exclusive=True)
        for name in ("bound", "lr"):
            in_range(self, name, 0, exclusive=True)
        for name in ("huber", "max_grad_norm"):
            in_range(self, name, 0, exclusive=True, infinite=True)
        if self.capacity < self.envs * self.rollout:
            raise ValueError(
                f"DQN: capacity must hold a rollout of envs · rollout = {self.envs * self.rollout} steps, "
                f"got {self.capacity}"
            )

    def start(self, policy: Policy, critic: Critic, streams: Streams) -> Learner[ReadOff]:
        """A learner whose critic is q, with the architecture of the policy given; that of the critic is not used.

        Raises:
            ValueError: a policy that is neither softmax nor Gaussian, or too many actions: see `ActionGrid`.
        """
        acting = self.policy(policy)
        phi = acting.network.init(streams.child("phi"))
        held = ReadOff(phi)
        held.follow(phi, 1.0)
        memory = {"target": phi.clone(), "seen": torch.tensor(0), "minibatches": torch.tensor(0)}
        return Learner(acting, Critic(acting.network), held, Adam(phi, self.lr, self.max_grad_norm), memory)

    def policy(self, policy: Policy) -> EpsilonGreedyPolicy:
        """The ε-greedy policy over the actions of another one, with its network."""
        if isinstance(policy, SoftmaxPolicy):
            return EpsilonGreedyPolicy(policy.network)
        if isinstance(policy, GaussianPolicy):
            grid = ActionGrid(self.bins, policy.actions, self.bound)
            return EpsilonGreedyPolicy(_with_outputs(policy.network, grid.actions), grid)
        raise ValueError(f"DQN takes the place of a softmax policy or of a Gaussian one, got {policy!r}")

    def update(
        self, learner: Learner[ReadOff], batch: Trajectory, progress: float, streams: Streams
    ) -> dict[str, Tensor]:
        """Remember a fixed-length rollout, then `updates` minibatches from the memory; metrics [seed]."""
        self.remember(learner, batch)
        rate = 1 - progress if self.anneal else 1.0
        held = min(int(learner.memory["seen"]), self.capacity)
        reports = [
            self.step(learner, index, rate) for index in streams.integers(held, self.updates, self.batch).unbind(1)
        ]
        epsilon = max(self.epsilon, 1 - (1 - self.epsilon) * progress / self.exploration)
        learner.policy_optimizer.follow(learner.phi, epsilon)
        means = {name: torch.stack([report[name] for report in reports]).mean(0) for name in reports[0]}
        return means | {"epsilon": learner.theta[:, -1].clone()}  # a view would keep all of θ as long as the curves

    def remember(self, learner: Learner[ReadOff], batch: Trajectory) -> None:
        """Put every step of a rollout into the memory, in the place of the oldest ones once it is full."""
        grid, memory = learner.policy.grid, learner.memory  # type: ignore[attr-defined]
        action = batch.action if grid is None else grid.index(batch.action)
        steps = {
            "obs": batch.obs,
            "action": action,
            "reward": batch.reward,
            "next_obs": batch.next_obs,
            "terminated": batch.terminated,
        }
        place = (memory["seen"] + torch.arange(self.envs * self.rollout)) % self.capacity
        for name, values in steps.items():
            rows = values.flatten(1, 2)
            if name not in memory:
                memory[name] = rows.new_zeros(len(rows), self.capacity, *rows.shape[2:])
            memory[name][:, place] = rows
        memory["seen"] = memory["seen"] + len(place)

    def step(self, learner: Learner[ReadOff], index: Tensor, rate: float = 1.0) -> dict[str, Tensor]:
        """One minibatch, the steps with these indices [seed, minibatch] of the memory; metrics [seed]."""
        memory = learner.memory
        flat = (index + self.capacity * torch.arange(len(index), device=index.device).unsqueeze(1)).flatten()
        names = ("obs", "action", "reward", "next_obs", "terminated")
        obs, action, reward, next_obs, terminated = (
            memory[name].flatten(0, 1).index_select(0, flat).view(*index.shape, *memory[name].shape[2:])
            for name in names
        )
        target = self.target(learner, reward, next_obs, terminated)
        q = _at(learner.critic.network(learner.phi, obs), action)
        loss = huber_loss(q, target, reduction="none", delta=self.huber).mean(1)
        norm = learner.critic_optimizer.minimize(loss, rate)
        memory["minibatches"] = memory["minibatches"] + 1
        if memory["minibatches"] % self.target_every == 0:
            memory["target"] = learner.phi.detach().clone()
        q = q.detach()
        return {
            "value_loss": loss.detach(),
            "td_error": (target - q).abs().mean(1),
            "q": q.mean(1),
            "critic_grad_norm": norm,
        }

    @torch.no_grad()
    def target(self, learner: Learner[ReadOff], reward: Tensor, next_obs: Tensor, terminated: Tensor) -> Tensor:
        """y, what the taken actions are to be worth."""
        network = learner.critic.network
        later = network(learner.memory["target"], next_obs)
        chosen = network(learner.phi, next_obs) if self.double else later
        return reward + self.gamma * _at(later, chosen.argmax(-1)).where(~terminated, 0.0)


def _at(q: Tensor, action: Tensor) -> Tensor:
    return q.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def _with_outputs(network: Network, outputs: int) -> Network:
    """The same architecture with another number of outputs."""
    if isinstance(network, MLP):
        return replace(network, sizes=(*network.sizes[:-1], outputs))
    if isinstance(network, Conv | Table):
        return replace(network, outputs=outputs)
    raise ValueError(f"DQN does not know how to give {network!r} {outputs} outputs; pass a policy with an MLP")
