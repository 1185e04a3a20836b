"""Reward-to-go."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def reward_to_go(reward, gamma):
    """G_t = Σ_{k≥t} γ^{k-t} r_k. Sutton & Barto (2018), eq. 3.8."""
    t = np.arange(reward.shape[-1])
    return reward @ np.triu(gamma ** np.maximum(t - t[:, None], 0)).T


def drawn(shape, low, high):
    return lambda rng: {"reward": rng.normal(size=shape), "gamma": float(rng.uniform(low, high))}


EXERCISE = implement(
    reward_to_go,
    title="Reward-to-go",
    goal="Weight an action with what follows it, and compute that in one pass.",
    minutes=10,
    difficulty=2,
    importance=5,
    hints=[
        "What is the reward-to-go of the last step? And of the step before, once you have that one?",
        "G_t = r_t + γ G_{t+1}. Start with zeros of the shape of `reward[..., 0]`, run through `reversed(range(T))`, "
        "and write each result to `ret[..., t]`.",
    ],
    checks={
        "values": Check(
            2,
            "G_t = r_t + γ G_{t+1}: go backwards from the last step.",
            [
                {"reward": [[0, 0, 1]], "gamma": 0.5},
                {"reward": [[1, 2, 4]], "gamma": 0.5},
                drawn((2, 3), 0.5, 0.95),
                drawn((4, 8), 0.5, 0.95),
            ],
        ),
        "extreme discounts": Check(
            1,
            "With γ = 0 only r_t is left; with γ = 1 all later rewards count in full; the last step has no successor.",
            [
                {"reward": [[3]], "gamma": 0.5},
                {"reward": [[1, 2, 4]], "gamma": 0.0},
                {"reward": [[1, 2, 4]], "gamma": 1.0},
                drawn((3, 6), 0, 0),
                drawn((3, 6), 1, 1),
            ],
        ),
        "leading axes": Check(
            1,
            "`reward[..., t]` is step t whatever stands before the time axis, even if nothing does.",
            [drawn((1, 4), 0.9, 0.9), drawn((4, 4), 0.9, 0.9), drawn((2, 3, 4), 0.9, 0.9)],
            leading_axes=("reward",),
        ),
        "long episodes": Check(
            1,
            "γ^300 is 10^-14 for γ = 0.9: never divide by it.",
            [{"reward": np.ones((1, 300)), "gamma": 0.9}, drawn((2, 300), 0.5, 0.5), drawn((2, 300), 0.99, 0.99)],
            requires="episodes may be 300 steps long",
            tolerance=(1e-4, 3e-4),  # of sums up to 20, in float32: where they cancel, 2e-5 is left of rounding
        ),
        "input and dtype": Check(
            1,
            "The rewards must be the same before and after the call, and float64 rewards give float64 returns.",
            [{"reward": [[1, 2, 4]], "gamma": 0.5}, drawn((3, 5), 0.9, 0.9)],
            dtype="as input",
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "γ is missing: a reward k steps later must count γ^k.": ("gamma * after", "after"),
        "γ is applied once too often: r_t counts in full, r_{t+1} is discounted once.": (
            "reward[..., t] + gamma * after",
            "gamma * (reward[..., t] + after)",
        ),
        "You add up the rewards before t. Reward-to-go looks forward: run through time backwards.": (
            "reversed(range(reward.shape[-1]))",
            "range(reward.shape[-1])",
        ),
        "Sign flipped? Returns are what we want more of; the minus belongs to the loss.": "-f(*a)",
        "r_t itself is missing: this is γ G_{t+1}.": "f(*a) - reward",
        "The list is backwards: it was built from the last step on, and has to be reversed.": "f(*a).flip(-1)",
        "The first step is left out: `range` stops before its end.": [
            ("reversed(range(reward.shape[-1]))", "range(reward.shape[-1] - 1, 0, -1)"),
            ("empty_like", "zeros_like"),
        ],
        "The sum runs on from one episode to the next: start each with zero.": (
            "torch.cat([f(reward[i:].reshape(1, -1), gamma)[:, : reward.shape[1]] for i in range(len(reward))])"
            " if reward.ndim == 2 else f(*a)"
        ),
        "Later rewards count (1 - γ): reward-to-go is a sum, not an average.": "(1 - gamma) * f(*a)",
        "The rewards are overwritten in place: whoever uses them afterwards reads returns. Write into a new tensor.": (
            "torch.empty_like(reward)",
            "reward",
        ),
        "The result is always float32: `torch.zeros_like(reward)` keeps the dtype, `torch.zeros(...)` does not.": (
            "f(*a).float()"
        ),
        "Computed in float32 on the way: keep the rewards' dtype.": "f(reward.float(), gamma).to(reward.dtype)",
        "Your answer equals the right one shifted by one step: the sum starts at t, so r_t itself belongs to G_t.": (
            "torch.nn.functional.pad(f(*a)[..., 1:], (0, 1))"
        ),
        "The last reward is missing: off by one at the end of the episode.": (
            "f(torch.nn.functional.pad(reward[..., :-1], (0, 1)), gamma)"
        ),
        "This is the return G_0 of the whole episode, written at every step: rewards before t must drop out.": (
            "f(*a)[..., :1].expand_as(reward)"
        ),
        "You run along the first axis. Time is the last one.": "f(reward.movedim(0, -1), gamma).movedim(-1, 0)",
        "Time is taken to be the second axis. It is the last one, however many stand before it.": (
            "f(reward.movedim(1, -1), gamma).movedim(-1, 1)"
        ),
        "Rewards are discounted from the start of the episode (γ^k): G_t discounts them from t on (γ^{k-t}).": (
            "f(reward * gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype), 1.0)"
        ),
        "Only the next reward is added: the sum runs to the end of the episode.": (
            "reward + gamma * torch.nn.functional.pad(reward[..., 1:], (0, 1))"
        ),
        "Dividing by γ^t loses all digits once γ^t is small, and is 0/0 for γ = 0. Recurse backwards instead.": (
            "(lambda d: (d * reward).flip(-1).cumsum(-1).flip(-1) / d)"
            "(gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype))"
        ),
        "γ is added: it multiplies what follows.": ("reward[..., t] + gamma * after", "reward[..., t] + gamma"),
        "The rewards are missing: only γ G_{t+1} is left, and the last one is 0.": (
            "reward[..., t] + gamma * after",
            "gamma * after",
        ),
        "γ^t stands in the recursion: each step back is discounted by γ once, whatever t is.": (
            "reward[..., t] + gamma * after",
            "reward[..., t] + gamma**t * after",
        ),
        "The result is always float64.": ("f(*a).double()"),
        "The mean is subtracted: that is a baseline, and comes later.": ("f(*a) - f(*a).mean()"),
        "The returns are standardised in each episode: asked are the sums themselves.": (
            "(f(*a) - f(*a).mean(-1, keepdim=True)) / (f(*a).std(-1, keepdim=True) + 1e-8)"
        ),
        "You add up the rewards before t, without a discount.": ("reward.cumsum(-1)"),
        "With two axes time and episodes are exchanged: time is the last axis.": (
            "f(reward.T, gamma).T if reward.ndim == 2 else f(*a)"
        ),
        "γ is 0.99 whatever is given.": ("f(reward, 0.99)"),
    },
)
