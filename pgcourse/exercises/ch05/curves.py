"""Six runs of A2C."""

import pandas as pd

from pgcourse.exercises import _drawing as drawing
from pgcourse.exercises.ch05._runs import PATH
from pgcourse.grading.kinds import Check, diagnose

FAULTS = {
    "A": "the critic does not learn",
    "B": "gamma is 0.5",
    "C": "nothing",
    "D": "theta is never changed",
    "E": "the sign of the policy's loss",
    "F": "lambda is 0",
}
PANELS = {
    "return": "return of an episode",
    "entropy": "entropy of $\\pi$, nats",
    "mean_u": "mean of $u(s)$",
    "explained_variance": "explained variance (from -1)",
}


def runs():
    """Draw the six runs: three seeds a panel, a row a run."""
    table = pd.read_csv(PATH)
    table["thousands"] = table["step"] / 1000
    grid = drawing.runs(table, "thousands", PANELS, "thousand steps")
    for row, (_, run) in zip(grid, table.groupby("run", sort=False), strict=True):
        last = run.groupby("seed")["mean_u"].last().mean()
        row[list(PANELS).index("mean_u")].text(0, 30, f" ends at {last:.1f}", fontsize=9)
    grid[0, 0].set_yscale("log")
    grid[0, -1].set_ylim(-1, 1)


EXERCISE = diagnose(
    "diagnosis",
    FAULTS,
    choices=[
        "nothing",
        "lambda is 0",
        "gamma is 0.5",
        "gamma is 0",
        "theta is never changed",
        "the critic does not learn",
        "the sign of the policy's loss",
    ],
    evidence=runs,
    shows={
        "nothing": "a healthy run learns best on average, and its critic's word keeps growing with the episodes.",
        "lambda is 0": (
            "with λ = 0 a critic that knows little is believed: after a first rise the return falls below that of "
            "random actions, and recovers only in part."
        ),
        "gamma is 0.5": "with γ = 0.5 no value is above 2, where every step pays 1.",
        "gamma is 0": "with γ = 0 no value is above 1: the critic's word ends at 1 exactly.",
        "theta is never changed": "if nobody changes θ the entropy stays at log 2 to the last digit.",
        "the critic does not learn": "if nobody changes φ the mean of u stays where it began, near 0.",
        "the sign of the policy's loss": (
            "with the wrong sign the return falls below that of random actions, and stays there."
        ),
    },
    title="Six runs of A2C",
    goal="Read from return, entropy and the critic's words what is wrong with an actor-critic that runs without an "
    "error.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "Four questions. Does the entropy fall, stay, or collapse? Is the return below that of random actions, "
        "which is about 22? Does the critic's word grow with the episodes? And what is the largest value that a "
        "discount allows?",
        "With a reward of 1 in every step no value is above 1/(1-γ): 100, 2, or 1. An entropy that stays at log 2 "
        "to the last digit: nobody changes θ. A mean of u that stays at 0: nobody changes φ. TD alone believes its "
        "critic from the first update on.",
    ],
    checks={
        "the healthy one": Check(
            1, "One run learns best on average, and its critic's word keeps growing.", items=("C",)
        ),
        "trains nothing, silently": Check(
            2, "In which run does the entropy never move, and in which one the critic's word?", items=("A", "D")
        ),
        "the wrong way": Check(1, "Which run gets worse than random actions, and stays there?", items=("E",)),
        "what the critic believes": Check(
            2,
            "No value is above 1/(1-γ) where every step pays 1. And whose return rises at first, falls below 22, and "
            "then climbs part of the way?",
            items=("B", "F"),
        ),
    },
    mistakes={
        "A and D are confused: with a critic that does not learn the policy still learns from the rewards.": (
            "{**f(), 'A': 'theta is never changed', 'D': 'the critic does not learn'}"
        ),
        "B and F are confused: with γ = 0.5 no value can be above 2.": (
            "{**f(), 'B': 'lambda is 0', 'F': 'gamma is 0.5'}"
        ),
        "A is not healthy: its policy learns, but what does its critic say?": (
            "{**f(), 'A': 'nothing', 'C': 'the critic does not learn'}"
        ),
        "D does not learn the wrong way: it learns nothing. E gets worse.": (
            "{**f(), 'D': \"the sign of the policy's loss\", 'E': 'theta is never changed'}"
        ),
        "A and B are confused: one critic never leaves 0, the other soon stands at the largest value that γ = 0.5 "
        "allows.": ("{**f(), 'A': 'gamma is 0.5', 'B': 'the critic does not learn'}"),
        "B's values settle near 2, not 1, so γ is not 0; and with γ = 0 all actions look alike, and nothing is "
        "learned.": ("{**f(), 'B': 'gamma is 0'}"),
        "A's values are 0, not 1: with γ = 0 the critic learns the next reward.": "{**f(), 'A': 'gamma is 0'}",
        "E does not suffer from λ: with λ = 0 it would learn slowly, but not the opposite.": (
            "{**f(), 'E': 'lambda is 0', 'F': \"the sign of the policy's loss\"}"
        ),
        "D's entropy never moves: even with λ = 0 it "
        "would.": "{**f(), 'D': 'lambda is 0', 'F': 'theta is never changed'}",
        "C and F are confused: after a first rise F's return falls below 22, and it ends well below C's.": (
            "{**f(), 'C': 'lambda is 0', 'F': 'nothing'}"
        ),
        "You call every run healthy.": "dict.fromkeys(f(), 'nothing')",
    },
)
