"""Six pairs of rows out of tables, and whether they can be compared."""

from functools import partial

import pandas as pd

from pgcourse.grading import kinds
from pgcourse.grading.kinds import Check, diagnose

ROWS = [  # pair, method, robot, millions of steps, seeds, score, sd over seeds, what the score is
    ("A", "new", "Walker2d-v5", 3, 10, 3890, 360, "mean over seeds, highest point of the mean curve"),
    ("A", "old", "Walker2d-v5", 3, 10, 3410, 430, "mean over seeds, last tenth of the training"),
    ("B", "new", "Walker2d-v5", 3, 10, 4050, 330, "mean over seeds of the final policies, 100 episodes each"),
    ("B", "old", "Walker2d-v5", 3, 10, 3440, 410, "mean over seeds of the final policies, 100 episodes each"),
    ("C", "new", "Walker2d-v5", 3, 3, 3690, 520, "mean over seeds of the final policies, 100 episodes each"),
    ("C", "old", "Walker2d-v5", 3, 3, 3120, 490, "mean over seeds of the final policies, 100 episodes each"),
    ("D", "new", "Walker2d-v5", 3, 10, 3630, 410, "mean over seeds, last tenth of the training"),
    ("D", "old", "Walker2d-v4", 3, 10, 2710, 380, "mean over seeds, last tenth of the training"),
    ("E", "new", "Walker2d-v5", 3, 1, 4120, None, "final policy of seed 7, 100 episodes; seeds 0 to 9 were trained"),
    ("E", "old", "Walker2d-v5", 3, 10, 3450, 400, "mean over seeds of the final policies, 100 episodes each"),
    ("F", "new", "Walker2d-v5", 10, 10, 4290, 350, "mean over seeds of the final policies, 100 episodes each"),
    ("F", "old", "Walker2d-v5", 3, 10, 3480, 420, "mean over seeds of the final policies, 100 episodes each"),
]
TRUTH = {
    "A": "the luckiest moment",
    "B": "nothing",
    "C": "too few seeds",
    "D": "another robot",
    "E": "the luckiest seed",
    "F": "more practice",
}


def tables():
    """The rows, two of each pair."""
    columns = ["pair", "method", "robot", "million steps", "seeds", "score", "sd over seeds", "score of"]
    table = pd.DataFrame(ROWS, columns=columns).set_index(["pair", "method"])
    return table.style.format({"score": "{:,}", "sd over seeds": "{:.0f}"}, na_rep="")


swapped, group = partial(kinds.swapped, TRUTH), partial(kinds.letters, TRUTH)

EXERCISE = diagnose(
    "objections",
    TRUTH,
    choices=sorted(TRUTH.values()),
    evidence=tables,
    shows={
        "another robot": "if it were another robot, the versions would differ: look behind the name.",
        "more practice": "if it were more practice, the numbers of steps would differ.",
        "the luckiest moment": "if it were a moment, one score would be a maximum over time.",
        "the luckiest seed": "if it were a seed, more seeds would have been trained than the score is of.",
        "too few seeds": "if it were too few seeds, all else would agree, and the interval would reach below 0.",
        "nothing": "if it were nothing, all else would agree, and the interval would lie above 0.",
    },
    title="Which of these is a result?",
    goal="Find what makes two rows of a table no comparison.",
    minutes=10,
    difficulty=1,
    importance=5,
    hints=[
        "Go through the columns from left to right, and read the last one of both rows to its end. If only the scores "
        "and their spreads differ: how large is the interval of the difference?",
        "Two pairs have the same definitions in both rows. With n seeds each, the standard error of the difference is "
        "√((s² + s'²)/n), and t is 2.8 for three seeds each and 2.1 for ten.",
    ],
    checks={
        "what was trained": Check(
            2, "The robot, to its version, and how long it practised.", items=group("another robot", "more practice")
        ),
        "what is reported": Check(
            2,
            "A maximum is no mean, whether it is over moments or over seeds.",
            items=group("the luckiest moment", "the luckiest seed"),
        ),
        "how sure it is": Check(
            2,
            "The interval of the difference, from both spreads and numbers of seeds.",
            items=group("too few seeds", "nothing"),
        ),
    },
    mistakes={
        "D and F are swapped: the version belongs to the robot, the steps are the practice.": swapped(
            "another robot", "more practice"
        ),
        "A and E are swapped: one takes its maximum over time, the other over seeds.": swapped(
            "the luckiest moment", "the luckiest seed"
        ),
        "C and B are swapped: the standard errors of the differences are 413 and 166, and the interval reaches 2.8 and "
        "2.1 of them to either side.": swapped("too few seeds", "nothing"),
        "E is called a matter of few seeds: ten were trained, and one of them was chosen.": (
            "{**f(), 'E': 'too few seeds'}"
        ),
        "C is called a result: 570 ± 2.8 · 413 reaches far below 0.": "{**f(), 'C': 'nothing'}",
        "B is left out for doubt: 610 ± 2.1 · 166 stays above 0, and both rows mean the same.": (
            "{**f(), 'B': 'too few seeds'}"
        ),
        "F is called a result: the new method practised three times as long.": "{**f(), 'F': 'nothing'}",
        "D is called a result: v5 is another robot, whose right foot does not slip.": "{**f(), 'D': 'nothing'}",
        "A is called a result: the highest point of a curve is above its end, also where both are equally good.": (
            "{**f(), 'A': 'nothing'}"
        ),
        "E is called a result: the best of ten is above the mean of ten, also where both are equally good.": (
            "{**f(), 'E': 'nothing'}"
        ),
        "Everything is called a result. Compare the columns of each pair.": "dict.fromkeys(f(), 'nothing')",
        "Everything is called too few seeds. Only two pairs mean the same by their scores.": (
            "dict.fromkeys(f(), 'too few seeds')"
        ),
    },
)
