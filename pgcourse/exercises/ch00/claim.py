"""Six sentences, and the returns that they rest on."""

import pandas as pd

from pgcourse.grading.kinds import Check, diagnose

RETURNS = {
    "A": [412, 388, 431, 297, 405, 366, 420, 352, 341, 398],
    "B": [500, 500, 212, 500, 148, 500, 500, 331, 500, 187],
    "C": [438, 461, 452],
    "D: X": [310, 122, 455, 268, 391, 204, 337, 480, 150, 289],
    "D: Y": [288, 109, 431, 260, 352, 190, 325, 447, 139, 262],
    "E": [301, 322, 289, 310, 295, 330, 284, 307, 316, 298],
    "F: seed 0": [455, 470, 462, 480, 466, 474, 459, 471],
    "F: seed 1": [401, 396, 410, 388, 405, 399, 392, 407],
}
TRUTH = {"A": "holds", "B": "inconclusive", "C": "inconclusive", "D": "holds", "E": "refuted", "F": "inconclusive"}


def tables():
    """The returns, a column for each group: seeds 0, 1, ... in its rows; of F, episodes."""
    return pd.DataFrame({name: pd.Series(values, dtype=float) for name, values in RETURNS.items()})


EXERCISE = diagnose(
    "verdicts",
    TRUTH,
    choices=["holds", "inconclusive", "refuted"],
    evidence=tables,
    shows={
        "holds": "the sentence would hold if its whole interval, not only its mean, were above what it says.",
        "inconclusive": "it would be inconclusive if the interval reached to both sides of what it says.",
        "refuted": "it would be refuted if its whole interval lay below what it says.",
    },
    title="Six sentences",
    goal="Tell what a table of returns shows from what it leaves open.",
    minutes=15,
    difficulty=3,
    importance=5,
    hints=[
        "For each sentence: what is one observation, how many are there, and where does their 95 % interval lie?",
        "Use `mean_interval` for A, B, C and E, with one episode a seed. In a cell of its own: "
        '`mean_interval(torch.tensor(t["C"].dropna().to_numpy(float))[:, None])` with `t = evidence("00.claim")`; '
        "`paired_difference` for D; and for F `mean_interval` again, with eight episodes for each of two seeds. Return "
        "the six words as text: `evidence` is not at hand while grading.",
    ],
    checks={
        "interval and limit": Check(
            3,
            "The whole interval on the right side: holds. The whole interval on the wrong side: refuted. Both sides: "
            "inconclusive.",
            items=("A", "B", "E"),
        ),
        "few seeds": Check(2, "How many trainings are there, and how large is t then?", items=("C", "F")),
        "pairs": Check(1, "Rows are seeds, and both columns have the same ones.", items=("D",)),
    },
    mistakes={
        "A: single seeds lie below the limit, and the sentence is about the mean: look at the interval.": (
            "{**f(), 'A': 'inconclusive'}"
        ),
        "B: the mean is above the limit, but part of the interval is not: other seeds could have given less.": (
            "{**f(), 'B': 'holds'}"
        ),
        "B: not shown is not refuted: part of the interval is above the limit.": "{**f(), 'B': 'refuted'}",
        "C: that is the band of one standard error, or of the normal distribution. With three seeds t is 4.30.": (
            "{**f(), 'C': 'holds'}"
        ),
        "C: three seeds are too few to refute it: the interval reaches above the limit.": "{**f(), 'C': 'refuted'}",
        "D: the two intervals overlap, which decides nothing. Take the difference on each seed.": (
            "{**f(), 'D': 'inconclusive'}"
        ),
        "E: single seeds lie above the limit; the whole interval of the mean lies below.": (
            "{**f(), 'E': 'inconclusive'}"
        ),
        "E: the other side: the sentence says above, and the whole interval lies below.": "{**f(), 'E': 'holds'}",
        "F: sixteen episodes are not sixteen observations: two seeds were trained.": "{**f(), 'F': 'holds'}",
        "F: two seeds are too few to refute it: the interval is hundreds wide, to both sides.": (
            "{**f(), 'F': 'refuted'}"
        ),
        "B, C and F: a sentence that is not shown is not yet refuted. Part of each interval is above the limit.": (
            "{**f(), 'B': 'refuted', 'C': 'refuted', 'F': 'refuted'}"
        ),
        "C and F: with so few seeds t is large, 4.30 with three and 12.7 with two, and n counts trainings.": (
            "{**f(), 'C': 'holds', 'F': 'holds'}"
        ),
    },
)
