"""Five runs and their σ."""

import pandas as pd

from pgcourse.exercises import _drawing as drawing
from pgcourse.exercises.ch06._runs import PATH
from pgcourse.grading.kinds import Check, diagnose

SETTINGS = {
    "A": "an entropy bonus",
    "B": "sigma starts small",
    "C": "sigma is not trained",
    "D": "nothing",
    "E": "an entropy bonus with the wrong sign",
}
PANELS = {
    "sigma": r"$\sigma$",
    "entropy": r"entropy of $\pi$, nats",
    "gradient": "norm of the gradient",
    "distance": r"distance of the gain to $K^*$",
}


def runs():
    """Draw the five runs: three seeds a panel, a row a run."""
    grid = drawing.runs(pd.read_csv(PATH), "update", PANELS, "update")
    for column in ("sigma", "gradient"):
        grid[0, list(PANELS).index(column)].set_yscale("log")


WRONG = "an entropy bonus with the wrong sign"

EXERCISE = diagnose(
    "settings",
    SETTINGS,
    choices=[
        "nothing",
        "sigma starts small",
        "sigma starts large",
        "sigma is not trained",
        "an entropy bonus",
        "an entropy bonus with the wrong sign",
    ],
    evidence=runs,
    shows={
        "nothing": "a healthy σ starts at 1 and shrinks when the gain has come near, not before.",
        "sigma starts small": "a σ that starts small is far below 1 at the first update.",
        "sigma starts large": "a σ that starts large is far above 1 at the first update.",
        "sigma is not trained": "a σ that is not trained is flat to the last digit.",
        "an entropy bonus": "an entropy bonus drives σ up from 1, before the gain arrives.",
        "an entropy bonus with the wrong sign": (
            "with the wrong sign entropy costs, and σ falls from 1 while the gain still stands far away."
        ),
    },
    title="Whose σ collapsed, and why?",
    goal="Tell from σ, entropy and the gradient's norm which setting is behind them.",
    minutes=15,
    difficulty=2,
    importance=4,
    hints=[
        "Look at the left ends first: where does σ start? Then at its way: does it move at all, and does it move in "
        "step with the gain's arrival?",
        "σ flat: it is not trained. σ from 1 up to five, long before the gain arrives: something pays for width. σ "
        "from 1 down "
        "to a hundredth while the gain stands still: something pays for certainty, and the gradient grows like 1/σ.",
    ],
    checks={
        "A": Check(1, "Where does σ start, and where does it stand at the tenth update?", items=("A",)),
        "B and E": Check(
            2,
            "Two runs have large gradients, of the order 1/σ. One began narrow, the other became so.",
            items=("B", "E"),
        ),
        "C": Check(1, "Does σ move at all, to the last digit?", items=("C",)),
        "D": Check(1, "When does its σ shrink: before the gain has come near K*, or then?", items=("D",)),
    },
    mistakes={
        "B and E are confused: which one is narrow from the first update on?": (
            f"{{**f(), 'B': '{WRONG}', 'E': 'sigma starts small'}}"
        ),
        "A does not start wide: its σ begins near 1 and is driven up.": "{**f(), 'A': 'sigma starts large'}",
        "C and D are confused: a healthy σ shrinks by itself once the gain is near.": (
            "{**f(), 'C': 'nothing', 'D': 'sigma is not trained'}"
        ),
        "A and E are confused: a bonus for entropy widens, a price for it narrows.": (
            f"{{**f(), 'A': '{WRONG}', 'E': 'an entropy bonus'}}"
        ),
        "E is not healthy: its σ falls to a hundredth while the gain stands still.": (
            "{**f(), 'E': 'nothing', 'D': '" + WRONG + "'}"
        ),
        "B is not healthy: its gain hardly moves.": "{**f(), 'B': 'nothing', 'D': 'sigma starts small'}",
        "A is not the healthy one: the return only ever pays for less noise on this world, so what drove σ up to "
        "five?": ("{**f(), 'A': 'nothing', 'D': 'an entropy bonus'}"),
        "B's σ does move, slowly: it started small.": "{**f(), 'B': 'sigma is not trained', 'C': 'sigma starts small'}",
        "You call every run healthy.": "dict.fromkeys(f(), 'nothing')",
    },
)
