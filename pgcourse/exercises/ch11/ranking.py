"""Five algorithms ranked before anybody looks, and how sure three seeds are of it."""

from functools import cache
from itertools import combinations

import numpy as np

from pgcourse.grading.kinds import Check, predict

SOURCES = {
    "REINFORCE": "a2c-cartpole",
    "A2C": "a2c-cartpole",
    "natural gradient": "trpo-cartpole",
    "TRPO": "trpo-cartpole",
    "PPO": "ppo-cartpole",
}
PAIRS = (("PPO", "A2C"), ("TRPO", "A2C"), ("TRPO", "natural gradient"))


def wrong_orders(better, worse, n=3):
    """The share of all choices of n seeds of either in which the worse one has the higher mean."""
    first, second = (np.array([np.mean(each) for each in combinations(x, n)]) for x in (better, worse))
    return float((first[:, None] < second).mean())


@cache
def measured():
    """Places by the mean return over the training, from the committed records."""
    from pgcourse.lab import load
    from pgcourse.stats import mean_over_training

    scores = {}
    for name, study in SOURCES.items():
        curves = load(study).curves
        scores[name] = mean_over_training(curves[curves["variant"] == name].drop(columns="variant")).to_numpy()
    order = sorted(scores, key=lambda name: -scores[name].mean())
    places = {name: float(1 + order.index(name)) for name in ("PPO", "A2C")}
    ordered = {pair: sorted(pair, key=order.index) for pair in PAIRS}
    return places | {", ".join(pair): wrong_orders(*(scores[name] for name in ordered[pair])) for pair in PAIRS}


PPO = "PPO is first by far: it uses every step many times."
A2C = "A2C learns latest here: its batches are small, and some of its seeds stay low for long."
EXCHANGED = "PPO and A2C are exchanged: who uses each step more often?"
LATER, EARLIER = "its place is a later one", "its place is an earlier one"
FROM_ONE = "Places count from 1, the best, to 5."
NO_SHARE = "A share lies between 0 and 1: 5 % are 0.05."
RIGHT_ORDERS = (
    "In more than one half? Then the worse one would be the better one. The share of wrong orders is asked for."
)
OTHER_SHARE = " More than one half would be the share of *right* orders."
FAR_APART = "Three seeds hardly ever miss a difference as large as that between PPO and A2C."
BETWEEN = (
    "TRPO and A2C are apart by about one standard deviation between seeds: three seeds see that most of the time, but "
    "not always."
)
CLOSE = "TRPO and the natural gradient differ in a line search only, and three seeds hardly tell them apart."
NO_COIN = (
    "The order of TRPO and the natural gradient is no coin's: they lie about a quarter of a standard deviation apart. "
    "Put that d into Φ(-d√(n/2))."
)


EXERCISE = predict(
    "ranking",
    measured,
    shows={
        "PPO": (FROM_ONE, PPO),
        "A2C": (A2C, FROM_ONE),
        "PPO, A2C": (FAR_APART, FAR_APART + OTHER_SHARE, NO_SHARE),
        "TRPO, A2C": (BETWEEN, BETWEEN + OTHER_SHARE, NO_SHARE),
        "TRPO, natural gradient": (CLOSE, NO_COIN + OTHER_SHARE, NO_SHARE),
    },
    possible=dict.fromkeys(map(", ".join, PAIRS), (0.0, 1.0)),
    within={"PPO": 0.4, "A2C": 0.4, "PPO, A2C": 0.08, "TRPO, A2C": 0.1, "TRPO, natural gradient": 0.12},
    far={"PPO": (LATER, EARLIER), "A2C": (LATER, EARLIER)},
    title="A ranking, predicted",
    goal="Know which differences between algorithms three seeds can see.",
    minutes=10,
    difficulty=2,
    importance=4,
    hints=[
        "A mean over the whole training counts how early an algorithm learns. Who uses each step more than once? Whose "
        "updates are smallest? And which two differ in a line search only?",
        "Chapter 07 draws A2C, TRPO and the natural gradient, chapter 05 A2C and REINFORCE, chapter 08 PPO and TRPO.",
    ],
    checks={
        "first and last": Check(2, "Who learns earliest, and who has seeds that stay low?", items=("PPO", "A2C")),
        "a large difference": Check(1, "First against last.", items=("PPO, A2C",)),
        "one between": Check(1, "Twenty points of return, and seeds that scatter by as much.", items=("TRPO, A2C",)),
        "a small difference": Check(
            1, "Two algorithms that are nearly the same one.", items=("TRPO, natural gradient",)
        ),
    },
    mistakes={
        PPO: "{**f(), 'PPO': 3}",
        A2C: "{**f(), 'A2C': 3}",
        EXCHANGED: "{**f(), 'PPO': 5, 'A2C': 1}",
        FROM_ONE: "{**f(), 'PPO': 0, 'A2C': 4}",
        NO_SHARE: "{**f(), 'PPO, A2C': 2, 'TRPO, A2C': 15, 'TRPO, natural gradient': 40}",
        RIGHT_ORDERS: "{**f(), 'PPO, A2C': 0.98, 'TRPO, A2C': 0.85, 'TRPO, natural gradient': 0.7}",
        FAR_APART: "{**f(), 'PPO, A2C': 0.4}",
        BETWEEN: "{**f(), 'TRPO, A2C': 0.45}",
        CLOSE: "{**f(), 'TRPO, natural gradient': 0.05}",
        NO_COIN: "{**f(), 'TRPO, natural gradient': 0.5}",
    },
)
