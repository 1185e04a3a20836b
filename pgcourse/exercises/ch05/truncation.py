"""A time limit that is taken for the end of the world."""

import numpy as np

from pgcourse.grading.kinds import Check, repair


def settled_value(reward, state, next_state, terminated, truncated, gamma):
    """u(s) = mean of r + γ u(s') over the steps from s, u(s') = 0 where terminated: as linear equations.

    Where TD settles on a batch (Sutton & Barto, 2018, section 6.3: batch TD finds the value of the likeliest MDP).
    """
    system, right = np.zeros((state.max() + 1,) * 2), np.zeros(state.max() + 1)
    for r, s, after, ended in zip(reward, state, next_state, terminated, strict=True):
        right[s] += r
        system[s, s] += 1.0
        system[s, after] -= 0.0 if ended else gamma
    return np.linalg.solve(system, right)


def steps(reward, state, next_state, gamma, terminated=(), truncated=()):
    """A case; the ends are given by their numbers."""
    flags = {name: np.isin(np.arange(len(reward)), x) for name, x in (("t", terminated), ("c", truncated))}
    return {
        "reward": np.array(reward, float),
        "state": np.array(state),
        "next_state": np.array(next_state),
        "terminated": flags["t"],
        "truncated": flags["c"],
        "gamma": gamma,
    }


def walk(limit, terminates):
    """A case: 60 steps of a random walk over four states, cut after `limit` steps; state 3 may end it."""

    def case(rng):
        state, after, ended = [], [], []
        here = 0
        for t in range(60):
            there = int(rng.integers(4))
            state.append(here)
            after.append(there)
            ended.append(bool(terminates and here == 3 and rng.uniform() < 0.5))
            here = t % 4 if ended[-1] or (t + 1) % limit == 0 else there  # a new episode begins anywhere
        cut = [t for t in range(60) if (t + 1) % limit == 0 and not ended[t]]
        # every state is left at least once, and once at a time limit
        state, after = [*state, 0, 1, 2, 3], [*after, 3, 2, 1, 0]
        return steps(
            rng.normal(1.0, 1.0, 64),
            state,
            after,
            rng.uniform(0.5, 0.85),
            np.flatnonzero(ended),
            [*cut, 60, 61, 62, 63],
        )

    return case


KEPT = "\n    reward, state, next_state, ended = reward[keep], state[keep], next_state[keep], terminated[keep]"

EXERCISE = repair(
    settled_value,
    start=("ended = terminated", "ended = terminated | truncated"),
    title="The limit that ended the world",
    goal="Tell the end of the world from the end of the recording, in code that runs without complaint.",
    minutes=10,
    difficulty=2,
    importance=5,
    hints=[
        "The world of the chapter pays 1 for ever, and γ = 0.9. What does the function say its value is, and why does "
        "that depend on how long you watch?",
        "A step that was only cut off still has a successor: its target is r + γ u(s'). `ended` must not contain "
        "`truncated`.",
    ],
    checks={
        "a reward for ever": Check(
            2,
            "One state, reward 1 for ever: u = 1/(1 - γ), however long it is watched.",
            [
                steps([1, 1], [0, 0], [0, 0], 0.5, truncated=[1]),
                steps([1] * 10, [0] * 10, [0] * 10, 0.8, truncated=[9]),
                steps([1] * 10, [0] * 10, [0] * 10, 0.8, truncated=[1, 3, 5, 7, 9]),
            ],
        ),
        "the world ends": Check(
            1,
            "Where `terminated`, nothing follows: the target is r alone.",
            [
                steps([1, 2], [0, 1], [1, 0], 0.5, terminated=[1]),
                steps([1, 2], [0, 1], [1, 0], 0.5, terminated=[1], truncated=[1]),
            ],
            leaves_input_alone=True,
        ),
        "both": Check(
            2,
            "One flag for each ending: only `terminated` sets what follows to 0, and every step counts in the mean.",
            [steps([1, 2, 4], [0, 1, 1], [1, 0, 1], 0.5, [1], [2]), walk(7, True), walk(11, False)],
        ),
    },
    mistakes={
        "Now nothing ends the world: where `terminated`, the target is the reward alone.": (
            "ended = terminated",
            "ended = torch.zeros_like(terminated)",
        ),
        "The flags are swapped: `terminated` is the end of the world, `truncated` that of the recording.": (
            "ended = terminated",
            "ended = truncated",
        ),
        "Only steps with both flags end the world: `terminated` is enough.": (
            "ended = terminated",
            "ended = terminated & truncated",
        ),
        "A step with both flags goes on here: if the world has terminated, it does not matter who stopped watching.": (
            "ended = terminated",
            "ended = terminated & ~truncated",
        ),
        "Steps that were cut off are thrown away: their reward and their successor are real, and count.": (
            "ended = terminated",
            "keep = ~truncated" + KEPT,
        ),
        "After a time limit the value of the state itself is put in place of its successor's.": (
            "f(reward, state, torch.where(truncated, state, next_state), terminated, truncated, gamma)"
        ),
        "The successor is read from the next row: after a cut that is another episode's first state.": (
            "f(reward, state, torch.cat([state[1:], next_state[-1:]]), terminated, truncated, gamma)"
        ),
        "A cut step's reward is dropped: only what follows it is unseen.": (
            "f(reward.masked_fill(truncated, 0.0), *a[1:])"
        ),
        "The flag is inverted: what follows counts where the world has *not* terminated.": (
            "ended = terminated",
            "ended = ~terminated",
        ),
        "γ is missing: without it a reward for ever is worth infinitely much. That was right.": (
            "gamma * u[next_state]",
            "u[next_state]",
        ),
        "The state's own value is taken for its successor's. That line was right.": ("u[next_state]", "u[state]"),
        "The mean over a state's steps is missing. That line was right.": (" / visits", ""),
        "The mean reward alone: what follows never counts. Does every step end the world, or is one pass all?": (
            "range(200)",
            "range(1)",
        ),
        "The reward is missing. That line was right.": ("reward + gamma", "gamma"),
        "What follows is subtracted. That line was right.": ("reward + gamma", "reward - gamma"),
        "Targets are credited to the next state. That line was right.": ("0, state, target", "0, next_state, target"),
        "Both flags are inverted: what follows counts unless the world has *terminated*.": (
            "ended = terminated",
            "ended = ~(terminated | truncated)",
        ),
        "Ten passes do not settle where γ is near 1. That line was right.": ("range(200)", "range(10)"),
        "The divisor is the number of all steps: each state has its own. That line was right.": (
            "/ visits",
            "/ len(state)",
        ),
        "The values are normalised by 1 - γ: they were right as they were.": (
            "f(reward, state, next_state, terminated, truncated, gamma) * (1 - gamma)"
        ),
        "γ is squared. That line was right.": ("gamma * u[next_state]", "gamma**2 * u[next_state]"),
        "Where the world has ended 1 follows: it is 0. That line was right.": (
            "masked_fill(ended, 0.0)",
            "masked_fill(ended, 1.0)",
        ),
        "Steps at which an episode stopped are thrown away, either way: their rewards are real, and count.": (
            "ended = terminated",
            "keep = ~(terminated | truncated)" + KEPT,
        ),
        "Where the world has ended the reward is dropped, too: the target is r alone.": (
            "reward + gamma * u[next_state].masked_fill(ended, 0.0)",
            "(reward + gamma * u[next_state]).masked_fill(ended, 0.0)",
        ),
        "What follows counts only where a time limit cut: it counts wherever the world has not ended.": (
            "ended = terminated",
            "ended = ~truncated",
        ),
        "Only a time limit ends the world here: that is what `terminated` says.": (
            "ended = terminated",
            "ended = truncated & ~terminated",
        ),
        "Steps that were cut off are missing in the divisor: they are visits like all others. That line was right.": (
            "bincount(state,",
            "bincount(state[~truncated],",
        ),
        "This is 1/(1-γ) whatever was paid: the value of a reward of 1 for ever only.": (
            "    return u",
            "    return torch.full_like(u, 1 / (1 - gamma))",
        ),
        "After a time limit 1/(1-γ) follows, the value of a reward of 1 for ever: it is u of the successor.": (
            "masked_fill(ended, 0.0)",
            "masked_fill(truncated, 1 / (1 - gamma)).masked_fill(ended, 0.0)",
        ),
    },
)
