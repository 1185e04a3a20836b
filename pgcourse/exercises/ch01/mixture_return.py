"""A coin for each episode, or a coin for each step."""

import numpy as np

from pgcourse.grading.kinds import Check, predict

TIMID, BOLD = 0.05, 0.95


def walk(p):
    """The chapter's corridor: v of its first cell, by a linear solve."""
    return np.linalg.solve([[p, -p, 0], [-p, 1, p - 1], [0, p - 1, 1]], [-1, -1, -1])[0]


def dive(p):
    """Two dives, graded 8 and 3."""
    return 8 * p + 3 * (1 - p)


def truth():
    exact = {}
    for name, value in {"dive": dive, "corridor": walk}.items():
        exact[f"{name}: a coin each episode"] = (value(TIMID) + value(BOLD)) / 2
        exact[f"{name}: a coin each step"] = value((TIMID + BOLD) / 2)
    return exact


EXERCISE = predict(
    "mixture_return",
    truth,
    within={
        "dive: a coin each episode": 0.05,
        "dive: a coin each step": 0.05,
        "corridor: a coin each episode": 2.0,
        "corridor: a coin each step": 0.2,
    },
    title="Which coin is thrown when?",
    goal="Tell a mixture of policies from a policy that mixes, and say when the two earn the same.",
    minutes=10,
    difficulty=2,
    importance=3,
    hints=[
        "With a coin each episode, one policy plays half of the episodes from beginning to end. With a coin each step, "
        "what is the probability of the action in any one step?",
        "Each episode: the mean of the two returns, J(0.05) and J(0.95). Each step: the return of the policy with the "
        "mean probability, J(0.5). The chapter has the formula of J and its table.",
    ],
    checks={
        "one decision": Check(
            1,
            "A dive is one step, so an episode and a step are the same.",
            items=("dive: a coin each episode", "dive: a coin each step"),
        ),
        "a coin each step": Check(
            2, "In every step, right has the probability ½ · 0.05 + ½ · 0.95.", items=("corridor: a coin each step",)
        ),
        "a coin each episode": Check(
            2, "Half of all episodes return J(0.05), half return J(0.95).", items=("corridor: a coin each episode",)
        ),
    },
    mistakes={
        "The corridor with a coin each episode is no walk at p = ½: whoever has drawn 0.05 keeps it to the end.": (
            "{**f(), 'corridor: a coin each episode': f()['corridor: a coin each step']}"
        ),
        "The corridor with a coin each step does not average two returns: every step is taken with p = ½.": (
            "{**f(), 'corridor: a coin each step': f()['corridor: a coin each episode']}"
        ),
        "The corridor's two are exchanged.": (
            "{**f(), 'corridor: a coin each step': f()['corridor: a coin each episode'], "
            "'corridor: a coin each episode': f()['corridor: a coin each step']}"
        ),
        "A return is minus the number of steps.": ("{key: abs(value) for key, value in f().items()}"),
        "The best random policy earns -11.7, at p = 0.59. A fair coin has p = ½.": (
            "{**f(), 'corridor: a coin each step': -(6 + 4 * 2**0.5)}"
        ),
        "This counts steps from the best policy that sees its cell, which ends after three.": (
            "{**f(), 'corridor: a coin each step': -3.0, 'corridor: a coin each episode': -3.0}"
        ),
        "A dive is one step: the coin decides between the same two dives, whenever it is thrown.": (
            "{**f(), 'dive: a coin each episode': 8.0}"
        ),
        "A dive with a coin each step: the mean of two probabilities is ½, and pays 8 as often as 3.": (
            "{**f(), 'dive: a coin each step': 4.0}"
        ),
        "The corridor's return with a coin each step has the wrong sign: every step costs 1.": (
            "{**f(), 'corridor: a coin each step': 12.0}"
        ),
        "The corridor's return with a coin each episode has the wrong sign: every step costs 1.": (
            "{**f(), 'corridor: a coin each episode': 63.16}"
        ),
        "That is the return of p = 0.05 alone: half of the episodes are played with p = 0.95.": (
            "{**f(), 'corridor: a coin each episode': -82.105}"
        ),
        "That is the return of p = 0.95 alone: half of the episodes are played with p = 0.05.": (
            "{**f(), 'corridor: a coin each episode': -44.2105}"
        ),
        "All signs are flipped: a dive pays, and a step in the corridor costs.": ("{k: -v for k, v in f().items()}"),
        "The two dives need not differ: a dive is one step, and the coin has been thrown before it either way.": (
            "{**f(), 'dive: a coin each episode': 5.0, 'dive: a coin each step': 6.0}"
        ),
        "That range is too wide: it holds more than one answer.": ("{**f(), 'dive: a coin each step': (5.0, 6.0)}"),
    },
)
