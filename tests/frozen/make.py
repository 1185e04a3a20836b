"""Makes the numbers of other libraries that test_frozen.py holds ours against; the tests themselves do not need them.

    python tests/frozen/make.py        (with the extra `bench`: Stable-Baselines3 and sb3-contrib 2.7 or later)

For a world with choices and one with numbers as actions: θ, φ, a rollout and the orders of the minibatches, and what

* Stable-Baselines3's `PPO.train` and `A2C.train` (with Adam, `use_rms_prop=False`) make of them in one update,
* CleanRL's PPO makes of them, written out here as its `ppo.py` and `ppo_continuous_action.py` have it,
* sb3-contrib's `TRPO` says of a Fisher-vector product and of its conjugate gradients, and what one update comes to,

all in float64. Four places of theirs are exchanged: the conversion of observations to float32, the permutations of
minibatches, the random start of the conjugate gradients, here 0, and the 1e-6 that torch adds to a gradient's norm
before it clips, here 0, too. (That one makes a difference of 1e-7 of what an update changes.)

The loss of the critic is ours, half of the mean squared error: `vf_coef` is 0.5 in Stable-Baselines3, whose loss has no
half, and 1 in CleanRL, whose loss has it. TRPO's critic there has no coefficient at all. Under Adam twice the gradient
with twice the ε is the same step, so that theirs with ε = 1e-5 is ours with 5e-6.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import sb3_contrib.trpo.trpo
import stable_baselines3.common.policies
import torch
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.logger import configure
from torch import nn
from torch.distributions import Categorical, Normal
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import pgcourse as pg
from pgcourse.algorithms import default_critic, default_policy, rollout

HERE = Path(__file__).parent
ENVS, STEPS, HIDDEN = 4, 32, (8, 8)
GAMMA, LAM, CLIP, ENTROPY, LR, MAX_NORM, ADAM_EPS = 0.97, 0.9, 0.1, 0.01, 3e-3, 0.5, 1e-5
EPOCHS, MINIBATCHES = 3, 4
MAX_KL, DAMPING, CG_STEPS, TRIES, SHRINK, CRITIC_STEPS = 0.02, 0.05, 4, 11, 0.8, 5
WORLDS = {"choices": "CartPole-v1", "numbers": "Pendulum-v1"}


def setting(world: str) -> dict[str, np.ndarray]:
    """θ and φ away from where they begin, and a rollout with ends of both kinds."""
    streams = pg.Streams([7], dtype=torch.float64)
    env = pg.make(world, ENVS, dtype=torch.float64)
    env.time_limit = 13
    policy, critic = default_policy(env, HIDDEN), default_critic(env, HIDDEN)
    theta, phi = policy.init(streams.child("theta")), critic.init(streams.child("phi"))
    theta = theta + 0.3 * streams.child("move").normal(policy.size)
    batch, _ = rollout(policy, theta, env, env.reset(streams), STEPS, streams.child("play"))
    columns = {name: getattr(batch, name)[0].numpy() for name in vars(batch) if name != "mask"}
    if columns["action"].dtype == np.float64:  # theirs are kept in float32
        columns["action"] = columns["action"].astype(np.float32).astype(np.float64)
    random = np.random.default_rng(0)
    orders = np.stack([random.permutation(ENVS * STEPS) for _ in range(EPOCHS)])
    return columns | {"theta": theta[0].numpy(), "phi": phi[0].numpy(), "orders": orders}


def clip_exactly(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """`clip_grad_norm_` without the 1e-6."""
    gradients = [each.grad for each in parameters if each.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    CLIPPED.append(bool(norm > max_norm))
    for gradient in gradients:
        gradient.mul_((max_norm / norm).clamp(max=1.0))


CLIPPED: list[bool] = []


# Stable-Baselines3 and sb3-contrib


def model(kind: Any, world: str, given: dict[str, np.ndarray], **options: Any) -> Any:
    """A model of theirs with our θ and φ, and our rollout in its buffer."""
    network = {"net_arch": {"pi": list(HIDDEN), "vf": list(HIDDEN)}, "optimizer_kwargs": {"eps": ADAM_EPS}}
    env = [lambda: gymnasium.make(world)] * ENVS
    made = kind(
        "MlpPolicy",
        stable_baselines3.common.vec_env.DummyVecEnv(env),
        n_steps=STEPS,
        gamma=GAMMA,
        gae_lambda=LAM,
        learning_rate=LR,
        policy_kwargs=network,
        device="cpu",
        **options,
    )
    made.set_logger(configure(None, []))
    made.policy.double()
    theta, phi = (torch.tensor(given[name]) for name in ("theta", "phi"))
    vector_to_parameters(theta, actor(made.policy))
    vector_to_parameters(phi, critic(made.policy))
    fill(made, given)
    return made


def actor(policy: Any) -> list[nn.Parameter]:
    own = [policy.log_std] if hasattr(policy, "log_std") else []
    return [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters(), *own]


def critic(policy: Any) -> list[nn.Parameter]:
    return [*policy.mlp_extractor.value_net.parameters(), *policy.value_net.parameters()]


def fill(made: Any, given: dict[str, np.ndarray]) -> None:
    """The buffer as `collect_rollouts` leaves it, in float64: v(s') of a truncated step is added to its reward."""
    buffer, policy = made.rollout_buffer, made.policy
    flat = {name: torch.tensor(given[name]).flatten(0, 1) for name in ("obs", "next_obs", "action")}
    with torch.no_grad():
        value, log_prob, _ = policy.evaluate_actions(flat["obs"], flat["action"])
        after = policy.predict_values(flat["next_obs"]).view(STEPS, ENVS).numpy()
    done = given["terminated"] | given["truncated"]
    only_truncated = given["truncated"] & ~given["terminated"]
    buffer.observations = given["obs"]
    buffer.actions = given["action"].reshape(STEPS, ENVS, -1)
    buffer.rewards = given["reward"] + GAMMA * after * only_truncated
    buffer.values, buffer.log_probs = value.view(STEPS, ENVS).numpy(), log_prob.view(STEPS, ENVS).numpy()
    buffer.episode_starts = np.concatenate([np.ones((1, ENVS)), done[:-1]])
    buffer.advantages, buffer.full, buffer.generator_ready = np.zeros((STEPS, ENVS)), True, False
    buffer.compute_returns_and_advantage(torch.tensor(after[-1]), done[-1].astype(np.float64))


def trained(made: Any, prefix: str) -> dict[str, np.ndarray]:
    made.train()
    found = {"theta": parameters_to_vector(actor(made.policy)), "phi": parameters_to_vector(critic(made.policy))}
    return {f"{prefix}_{name}": vector.detach().numpy() for name, vector in found.items()}


def by_env(order: np.ndarray) -> np.ndarray:
    """Our sample t · envs + i is their i · steps + t."""
    return order % ENVS * STEPS + order // ENVS


def sb3(world: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    shared: dict[str, Any] = {"ent_coef": ENTROPY, "vf_coef": 0.5, "max_grad_norm": MAX_NORM}
    passes: dict[str, Any] = {"n_epochs": EPOCHS, "batch_size": ENVS * STEPS // MINIBATCHES, "clip_range": CLIP}
    orders, drawn = iter(given["orders"]), np.random.permutation
    np.random.permutation = lambda size: by_env(next(orders))  # type: ignore[assignment]
    found = trained(model(PPO, world, given, **shared, **passes), "sb3_ppo")
    np.random.permutation = drawn
    return found | trained(model(A2C, world, given, **shared, use_rms_prop=False), "sb3_a2c")


def trpo(world: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    search = {"line_search_max_iter": TRIES, "line_search_shrinking_factor": SHRINK}
    region = {"target_kl": MAX_KL, "cg_damping": DAMPING, "cg_max_steps": CG_STEPS}
    critic_options = {"n_critic_updates": CRITIC_STEPS, "batch_size": ENVS * STEPS}
    made = model(TRPO, world, given, **search, **region, **critic_options)
    found: dict[str, np.ndarray] = {}
    solve = sb3_contrib.trpo.trpo.conjugate_gradient_solver

    def watched(product: Any, b: torch.Tensor, **options: Any) -> torch.Tensor:
        vector = torch.linspace(-1, 1, len(b), dtype=torch.float64)
        begin = torch.randn_like
        torch.randn_like = torch.zeros_like  # type: ignore[assignment]
        x = solve(product, b, **options)
        torch.randn_like = begin
        names = {"gradient": b, "vector": vector, "fisher": product(vector) - DAMPING * vector, "x": x}
        # Theirs has the parameters in the order of the modules; ours in that of the network, log σ last.
        found.update({f"trpo_{name}": ours(made.policy, each).detach().numpy() for name, each in names.items()})
        return x

    sb3_contrib.trpo.trpo.conjugate_gradient_solver = watched
    result = trained(made, "trpo")
    sb3_contrib.trpo.trpo.conjugate_gradient_solver = solve
    return result | found


def ours(policy: Any, vector: torch.Tensor) -> torch.Tensor:
    """A vector over their actor's parameters, `named_parameters` in its order, in the order of our θ."""
    names = [parameter for name, parameter in policy.named_parameters() if "value" not in name]
    pieces = dict(zip(map(id, names), vector.split([each.numel() for each in names]), strict=True))
    return torch.cat([pieces[id(parameter)] for parameter in actor(policy)])


# CleanRL


class Agent(nn.Module):
    """Of ppo.py and ppo_continuous_action.py."""

    def __init__(self, given: dict[str, np.ndarray]) -> None:
        super().__init__()
        inputs, numbers = given["obs"].shape[-1], given["action"].ndim == 3
        outputs = given["action"].shape[-1] if numbers else 2
        self.critic, self.actor_mean = self.net(inputs, 1), self.net(inputs, outputs)
        self.actor_logstd = nn.Parameter(torch.zeros(1, outputs)) if numbers else None
        self.double()
        own = [] if self.actor_logstd is None else [self.actor_logstd]
        self.theta = [*self.actor_mean.parameters(), *own]
        vector_to_parameters(torch.tensor(given["theta"]), self.theta)
        vector_to_parameters(torch.tensor(given["phi"]), self.critic.parameters())

    def net(self, inputs: int, outputs: int) -> nn.Sequential:
        first, second = HIDDEN
        return nn.Sequential(
            nn.Linear(inputs, first), nn.Tanh(), nn.Linear(first, second), nn.Tanh(), nn.Linear(second, outputs)
        )

    def get_action_and_value(self, x: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.actor_logstd is None:
            probs = Categorical(logits=self.actor_mean(x))
            return probs.log_prob(action), probs.entropy(), self.critic(x)
        mean = self.actor_mean(x)
        normal = Normal(mean, torch.exp(self.actor_logstd.expand_as(mean)))
        return normal.log_prob(action).sum(1), normal.entropy().sum(1), self.critic(x)


def cleanrl(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One update. A time limit counts as the end of the world there."""
    agent = Agent(given)
    optimizer = torch.optim.Adam(agent.parameters(), lr=LR, eps=ADAM_EPS)
    obs, actions, rewards = (torch.tensor(given[name]) for name in ("obs", "action", "reward"))
    done = torch.tensor(given["terminated"] | given["truncated"]).double()
    with torch.no_grad():
        logprobs, _, values = agent.get_action_and_value(obs.flatten(0, 1), actions.flatten(0, 1))
        logprobs, values = logprobs.view(STEPS, ENVS), values.view(STEPS, ENVS)
        next_value = agent.critic(torch.tensor(given["next_obs"][-1])).view(-1)
        advantages, lastgaelam = torch.zeros_like(rewards), torch.zeros(ENVS, dtype=torch.float64)
        for t in reversed(range(STEPS)):
            nextvalues = next_value if t == STEPS - 1 else values[t + 1]
            delta = rewards[t] + GAMMA * nextvalues * (1 - done[t]) - values[t]
            advantages[t] = lastgaelam = delta + GAMMA * LAM * (1 - done[t]) * lastgaelam
        returns = advantages + values
    b_obs, b_actions = obs.flatten(0, 1), actions.flatten(0, 1)
    b_logprobs, b_advantages, b_returns = logprobs.flatten(), advantages.flatten(), returns.flatten()
    minibatch_size = ENVS * STEPS // MINIBATCHES
    for b_inds in given["orders"]:
        for start in range(0, ENVS * STEPS, minibatch_size):
            mb_inds = b_inds[start : start + minibatch_size]
            newlogprob, entropy, newvalue = agent.get_action_and_value(b_obs[mb_inds], b_actions[mb_inds])
            ratio = (newlogprob - b_logprobs[mb_inds]).exp()
            mb_advantages = b_advantages[mb_inds]
            mb_advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + 1e-8)
            pg_loss1 = -mb_advantages * ratio
            pg_loss2 = -mb_advantages * torch.clamp(ratio, 1 - CLIP, 1 + CLIP)
            pg_loss = torch.max(pg_loss1, pg_loss2).mean()
            v_loss = 0.5 * ((newvalue.view(-1) - b_returns[mb_inds]) ** 2).mean()
            loss = pg_loss - ENTROPY * entropy.mean() + 1.0 * v_loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
            optimizer.step()
    found = {"theta": parameters_to_vector(agent.theta), "phi": parameters_to_vector(agent.critic.parameters())}
    return {f"cleanrl_{name}": vector.detach().numpy() for name, vector in found.items()}


def main() -> None:
    torch.set_num_threads(1)
    torch.nn.utils.clip_grad_norm_ = clip_exactly  # type: ignore[assignment]
    stable_baselines3.common.policies.preprocess_obs = lambda obs, *_, **__: obs.double()
    for name, world in WORLDS.items():
        given = setting(world)
        assert given["truncated"].any()
        results = sb3(world, given) | cleanrl(given) | trpo(world, given)
        assert any(CLIPPED)
        np.savez_compressed(HERE / f"{name}.npz", **given, **results)
        print(name, {key: float(np.abs(each).mean().round(6)) for key, each in results.items()})


if __name__ == "__main__":
    main()
