"""What an update without γ^t follows."""

import numpy as np
import torch

from pgcourse.exercises.ch02._worlds import world
from pgcourse.grading.kinds import Check, repair


def practice(transition, reward, start, theta, gamma):
    """g̃ = Σ_s n(s) Σ_a ∇π(a|s) q(s,a): visits and values added up step by step, π differentiated automatically.

    Nota & Thomas (2020), "Is the Policy Gradient a Gradient?"
    """
    pi = torch.softmax(torch.from_numpy(theta), 1).numpy()
    P = np.einsum("sa,sat->st", pi, transition)
    n, now, v = np.zeros_like(start), start, np.zeros_like(start)
    while now.sum() > 1e-13:
        n, now = n + now, now @ P
        v = (pi * (reward + gamma * transition @ v)).sum(1)
    leaf = torch.from_numpy(theta).requires_grad_()
    weight = torch.from_numpy(n[:, None] * (reward + gamma * transition @ v))
    return torch.autograd.grad((leaf.softmax(1) * weight).sum(), leaf)[0].numpy()


def two_decisions(gamma):
    """The chapter's world of two decisions, without its terminal state."""
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 1] = transition[0, 1, 2] = 1
    reward = np.array([[0.0, 0.0], [-0.5, -1.5], [1.0, 0.0]])
    return {"transition": transition, "reward": reward, "start": [1, 0, 0], "theta": np.zeros((3, 2)), "gamma": gamma}


def drawn(states, actions, gamma, ends):
    return lambda rng: {
        **world(rng, states, actions, ends),
        "theta": rng.normal(size=(states, actions)),
        "gamma": gamma,
    }


CLOSE = (1e-3, 1e-4)
EXERCISE = repair(
    practice,
    start=[("eye - gamma * P, r", "eye - P, r"), ("gamma * transition @ v", "transition @ v")],
    title="What practice follows",
    goal="Say which discount an update without γ^t drops, and which it keeps.",
    minutes=12,
    difficulty=3,
    importance=3,
    hints=[
        "γ stands in two places of the theorem: in the visits, through γ^t, and in the values. Which of them does "
        "practice drop?",
        "The visits are right as they are, undiscounted. The values need γ: in the equation of v, and in q.",
    ],
    checks={
        "values": Check(
            3,
            "n(s) counts visits without a discount; q and v keep theirs.",
            [two_decisions(0.5), drawn(3, 2, 0.9, 0.3), drawn(4, 3, 0.5, 0.2)],
            tolerance=CLOSE,
        ),
        "extreme discounts": Check(
            2,
            "With γ = 0 every visit counts in full, and only its own reward. With γ = 1 this is ∇J.",
            [two_decisions(0.0), drawn(3, 3, 0.0, 0.3), two_decisions(1.0), drawn(3, 3, 1.0, 0.3)],
            tolerance=CLOSE,
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "Now the visits are discounted, too: this is ∇J, with its γ^t.": (
            "eye - P.T",
            "eye - gamma * P.T",
        ),
        "The visits are discounted and the values are not: it is the other way round.": [
            ("eye - P.T", "eye - gamma * P.T"),
            ("eye - gamma * P, r", "eye - P, r"),
            ("gamma * transition @ v", "transition @ v"),
        ],
        "q is discounted, and the v in it is not: γ belongs there, too.": (
            "eye - gamma * P, r",
            "eye - P, r",
        ),
        "v is discounted, and q = r + γ Σ P v lacks its own γ: A is then q minus another policy's v.": (
            "gamma * transition @ v",
            "transition @ v",
        ),
        "γ stands in front of everything: the visits count in full, and q has its γ inside.": "gamma * f(*a)",
        "The visits are normalised: how long episodes are is part of n.": (
            "n[:, None] * pi",
            "(n / n.sum())[:, None] * pi",
        ),
        "The visits look ahead: their matrix is transposed. That line was right.": ("eye - P.T", "eye - P"),
        "This weights with q: the softmax's score subtracts v. That line was right.": ("pi * A", "pi * q"),
        "The whole is multiplied by 1 - γ: nothing is normalised here.": "(1 - gamma) * f(*a)",
        "The visits are missing: a state counts as often as it is visited. They were right.": (
            "n[:, None] * pi * A",
            "pi * A",
        ),
        "The probability is missing. That line was right.": ("n[:, None] * pi * A", "n[:, None] * A"),
        "Sign flipped? A is q - v, and the result points uphill.": ("n[:, None] * pi * A", "-n[:, None] * pi * A"),
        "The start distribution stands in the place of the visits: later states count, too.": (
            "n[:, None] * pi * A",
            "start[:, None] * pi * A",
        ),
        "v of the state that is left stands in q: it is that of the next states. That was right, but for γ.": (
            "gamma * transition @ v",
            "gamma * v[:, None]",
        ),
        "The policy's reward is the mean over actions as if all were equally probable. That line was right.": (
            "(pi * reward).sum(1)",
            "reward.mean(1)",
        ),
        "The softmax runs over the states. That line was right.": ("theta.softmax(1)", "theta.softmax(0)"),
        "The baseline is the mean of q as if all actions were equally probable. That line was right.": (
            "A = q - v[:, None]",
            "A = q - q.mean(1, keepdim=True)",
        ),
        "γ is squared in the equation of v: each step costs one factor.": [
            ("eye - gamma * P, r", "eye - gamma**2 * P, r")
        ],
        "γ is squared in q: v already holds what is discounted after the next state.": (
            "gamma * transition @ v",
            "gamma**2 * transition @ v",
        ),
        "[S, A] minus [S] pairs v with the actions. That line was right.": ("A = q - v[:, None]", "A = q - v"),
    },
)
