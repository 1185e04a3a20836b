"""A small world whose every episode can be written down, and everything that follows from the list."""

from collections import defaultdict

import numpy as np
import torch

from pgcourse.exact import TabularMDP
from pgcourse.rl import Trajectory


def layered_mdp(seed=0, gamma=0.8):
    """Three layers of two states, then the end; any step may end the episode early. 2 actions, at most 3 steps."""
    rng = np.random.default_rng(seed)
    transition = np.zeros((7, 2, 7))
    for s in range(6):
        following = [6] if s >= 4 else [2 * (s // 2) + 2, 2 * (s // 2) + 3, 6]
        transition[s][:, following] = rng.dirichlet(np.ones(len(following)), 2)
    transition[6, :, 6] = 1
    start = np.append(rng.dirichlet(np.ones(2)), np.zeros(5))
    return TabularMDP(transition, rng.normal(size=(7, 2)), start, gamma, np.arange(7) == 6)


def expected_score(mdp, theta, weight):
    """E_{a~π}[w(s, a) ∇log π(a|s)] of every state, [seed, state, state·action]; w is [state, action]."""
    return torch.einsum("nsa,nsap->nsp", mdp.pi(theta) * weight, mdp.score(theta))


def all_episodes(mdp, theta):
    """[(probability, [(s, a, s'), ...])] of one policy θ, [parameter]."""
    pi = theta.view(mdp.states, mdp.actions).softmax(-1).tolist()
    transition = mdp.transition.tolist()

    def follow(state, probability, steps):
        for action in range(mdp.actions):
            for following in range(mdp.states):
                p = probability * pi[state][action] * transition[state][action][following]
                if p > 0:
                    longer = [*steps, (state, action, following)]
                    if mdp.terminal[following]:
                        yield p, longer
                    else:
                        yield from follow(following, p, longer)

    return [episode for s in range(mdp.states) if mdp.start[s] for episode in follow(s, mdp.start[s].item(), [])]


def as_trajectory(mdp, episodes):
    """Every episode once, as the columns of a Trajectory of one seed; and their probabilities, [env]."""
    length = max(len(steps) for _, steps in episodes)
    obs, action, following = torch.zeros(3, 1, length, len(episodes), dtype=torch.int64)
    mask = torch.zeros(1, length, len(episodes), dtype=torch.bool)
    for i, (_, steps) in enumerate(episodes):
        for t, (s, a, s_next) in enumerate(steps):
            obs[0, t, i], action[0, t, i], following[0, t, i], mask[0, t, i] = s, a, s_next, True
    reward = torch.where(mask, mdp.reward[obs, action], 0.0)
    trajectory = Trajectory(
        obs, action, reward, following, mdp.terminal[following] & mask, torch.zeros_like(mask), mask
    )
    return trajectory, torch.tensor([p for p, _ in episodes], dtype=torch.float64)


def variance_by_source(episodes, gradients):
    """Mean [parameter] and E‖surprise‖² of the start, of the actions and of the dynamics; gradients [env, parameter].

    From conditional means over all episodes that share a history: s_0; s_0 a_0; s_0 a_0 s_1; ...
    """
    groups = defaultdict(list)
    for i, (_, steps) in enumerate(episodes):
        history = [("start", steps[0][0])]
        groups[()].append(i)
        groups[tuple(history)].append(i)
        for _, action, following in steps:
            for draw in (("actions", action), ("dynamics", following)):
                history.append(draw)
                groups[tuple(history)].append(i)
    p = torch.tensor([p for p, _ in episodes], dtype=torch.float64)
    mean = {h: (p[i, None] * gradients[i]).sum(0) / p[i].sum() for h, i in groups.items()}
    parts = {"start": 0.0, "actions": 0.0, "dynamics": 0.0}
    for history, i in groups.items():
        if history:
            surprise = mean[history] - mean[history[:-1]]
            parts[history[-1][0]] += (p[i].sum() * surprise.square().sum()).item()
    return mean[()], parts
