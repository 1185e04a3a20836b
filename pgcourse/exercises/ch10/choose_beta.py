"""β and where to stop, chosen without gold.

What is shown are seeds 0 and 1 of the record `rlhf-frontier`; what counts is gold on seeds 2, 3 and 4, at the iteration
at which the answer stops. The threshold was set on the two that are shown.

`python -m pgcourse.exercises.ch10.choose_beta` prints gold for 44 settings on both, and on how many of the ten choices
of three of the five seeds each would pass. The course's own answer and all others with β of 0.1 or 0.3 that stop at 3
nats or later, or never, pass on ten of ten, and none of the mistakes that stop early, late or never on any. Between
them is a border: β = 0.03 stopped at 8 nats passes on 6, β = 0 stopped at 5 on 4.

The hidden seeds are always the same, so an answer has one verdict. How three *other* reward models would judge it, five
can tell as far as a t-distribution with four degrees of freedom goes (the column `chance`, of passing): .991 for the
course's own answer, .96 or more for all others of the kind above. Of the mistakes .002 to .009 for stopping at half a
nat, or at 10 or 20 without a price. Of others five seeds do not suffice to say that it is below .01, it is .07 to .21:
no price and no stop (one seed ends at -13, which widens the distribution), β = 0.03 and no stop, β = 0.3 stopped at one
nat, no price and a stop at three.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations, product

import numpy as np
import pandas as pd

from pgcourse.exercises import _drawing as drawing
from pgcourse.grading.kinds import Check, implement

RECORD = "rlhf-frontier"
BETAS = 0.0, 0.03, 0.1, 0.3
SHOWN, HIDDEN = (0, 1), (2, 3, 4)
LEAST = 0.9
FALLEN, EARLY = 0.3, 3.0  # how much gold was lost, and below how many nats little has been learned
PANELS = {
    "proxy": "proxy",
    "kl": "KL, nats",
    "entropy": "entropy, nats",
    "unique": "part unique",
    "update_kl": "KL of an update",
}


@cache
def curves():
    """The record's iterations, with `beta` and `iteration`."""
    from pgcourse.lab import load

    table = load(RECORD).curves
    beta = table["variant"].str.removeprefix("β = ").astype(float)
    return table.assign(beta=beta, iteration=table.groupby(["variant", "seed"]).cumcount())


def runs():
    """Draw what a practitioner sees of two seeds: a row for each β."""
    table = curves()
    table = table[table["seed"].isin(SHOWN)].sort_values(["beta", "seed", "iteration"])
    grid = drawing.runs(table.assign(run="β = " + table["beta"].astype(str)), "iteration", PANELS, "iteration")
    grid[0, list(PANELS).index("kl")].set_yscale("log")
    for row in grid:
        row[0].yaxis.labelpad = 36


class NoRun(ValueError):
    """There is none with that β."""


def settings(value):
    """β and the KL to stop at, ∞ for never. Raises ValueError, in words for the learner."""
    if not isinstance(value, dict) or set(value) != {"beta", "stop_kl"}:
        raise ValueError('not a dictionary with the keys "beta" and "stop_kl"')
    numbers = {}
    for name, given in value.items():
        number = np.asarray(np.inf if given is None and name == "stop_kl" else given)
        if isinstance(given, str | bool) or number.shape != () or number.dtype.kind not in "iuf":
            raise ValueError(f"{name} = {given!r} is not a number")
        numbers[name] = float(number)
    beta, stop = numbers["beta"], numbers["stop_kl"]
    if not any(np.isclose(beta, one) for one in BETAS):
        raise NoRun(f"beta = {beta:g}: there are runs with {', '.join(f'{one:g}' for one in BETAS)}")
    if not stop > 0:
        raise ValueError(f"stop_kl = {stop:g} is not above 0: every run begins with a divergence of 0")
    return min(BETAS, key=lambda one: abs(one - beta)), stop


def shipped(beta, stop, seed):
    """The row of the policy that is used: the first whose KL is `stop` or more, or the last."""
    table = curves()
    run = table[(table["beta"] == beta) & (table["seed"] == seed)]
    reached = np.flatnonzero(run["kl"] >= stop)
    return run.iloc[reached[0] if len(reached) else -1]


def _until(beta, row):
    """The iterations of a policy's run up to it."""
    table = curves()
    return table[(table["beta"] == beta) & (table["seed"] == row["seed"]) & (table["iteration"] <= row["iteration"])]


def outcome(beta, stop):
    """Gold and KL where the hidden seeds stop, and the most gold that there was on the way, each a mean over them."""
    rows = [shipped(beta, stop, seed) for seed in HIDDEN]
    most = [_until(beta, row)["gold"].max() for row in rows]
    return tuple(float(np.mean(x)) for x in ([row["gold"] for row in rows], [row["kl"] for row in rows], most))


def good(value, arguments, rng):
    """What the policies of seeds that nobody has seen are really worth."""
    try:
        beta, stop = settings(value)
    except ValueError as error:
        return str(error)
    gold, kl, best = outcome(beta, stop)
    if gold >= LEAST:
        return ""
    way = f"; on the way it was {best:.2f}" if best > gold + FALLEN else "; it was still rising" if kl < EARLY else ""
    return f"gold {gold:.2f} at a KL of {kl:.1f} nats, at least {LEAST} is asked for{way}"


def allowed(value, arguments, rng):
    try:
        settings(value)
    except ValueError as error:
        return str(error)
    return ""


def reason(value):
    """Why a choice is wrong, in the words of a mistake."""
    try:
        beta, stop = settings(value)
    except NoRun:
        return NO_RUN
    except ValueError:
        return NO_NUMBER
    gold, kl, best = outcome(beta, stop)
    if kl < EARLY:
        return CAREFUL
    if beta > 0:
        return SLOW
    return FOOLED if stop == np.inf else PAST if best > gold + FALLEN else NO_PRICE


def with_reason(judge):
    """The judge, who also says in which mistake's words an answer is wrong."""

    def accept(value, arguments, rng):
        problem = judge(value, arguments, rng)
        return (problem, reason(value)) if problem else ""

    return accept


def choose_beta():
    """No formula: the record says what comes of it."""
    return {"beta": 0.1, "stop_kl": 6.0}


FOOLED = "Nothing holds the policy back, and nobody stops it: the proxy is the highest of all, and gold the lowest."
PAST = (
    "Without a price, that is past the peak: the proxy still rises there, and gold has been falling. What is written "
    "there was never among the comparisons."
)
NO_PRICE = "A stop does not make up for a price: at the same divergence, gold is lower without one than with one."
SLOW = (
    "At β = 0.03 the divergence ends at ten nats and more: that price slows the way down, and does not end it in time. "
    "Look at the part of the responses that is unique, too."
)
CAREFUL = (
    "Stopped after so few nats, the policy is still close to the pretrained model: that is safe, and learns too little."
)
NO_RUN = "There is no run with that β: choose one of the four that you have seen."
NO_NUMBER = "Two settings are asked for: `beta`, one of the four, and `stop_kl`, a number above 0, or None for never."
EXERCISE = implement(
    choose_beta,
    kind="tune",
    evidence=runs,
    title="β, chosen without gold",
    goal="Choose the price of divergence, and where to stop, from what a practitioner sees.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "The proxy is what is being optimised, so it goes up whatever happens. Which curve says how far the reward "
        "model has been left behind by what is written?",
        "Look where the divergence settles by itself, at a few nats, while the proxy has risen: there nothing has to "
        "be stopped. At 0.03 it does not: stop there at 4 to 6 nats. Without a price no stop is enough. Chapter 10 "
        "shows texts at 4, 12 and 40.",
    ],
    checks={
        "settings": Check(
            1,
            "One of the four β, and a divergence above 0 (or None).",
            [{}],
            accept=with_reason(allowed),
            requires="`beta` is one of 0, 0.03, 0.1 and 0.3, `stop_kl` a number above 0, or None for never",
        ),
        "gold": Check(
            4,
            "Too far: the proxy is high and its judge has been fooled. Not far enough: nothing has been learned yet.",
            [{}],
            accept=with_reason(good),
            requires="a mean gold reward of 0.9 on three seeds that are not shown (the pretrained model has 0)",
        ),
    },
    mistakes={
        FOOLED: ('"beta": 0.1, "stop_kl": 6.0', '"beta": 0.0, "stop_kl": None'),
        PAST: ('"beta": 0.1, "stop_kl": 6.0', '"beta": 0.0, "stop_kl": 20.0'),
        NO_PRICE: ('"beta": 0.1, "stop_kl": 6.0', '"beta": 0.0, "stop_kl": 3.0'),
        SLOW: ('"beta": 0.1, "stop_kl": 6.0', '"beta": 0.03, "stop_kl": None'),
        CAREFUL: ('"stop_kl": 6.0', '"stop_kl": 0.5'),
        NO_RUN: ('"beta": 0.1', '"beta": 1.0'),
        NO_NUMBER: ('"stop_kl": 6.0', '"stop_kl": 0'),
    },
)


def chance(gold):
    """The probability that the mean of three new seeds is enough, from those of these: a t-distribution."""
    from scipy import stats

    error = gold.std(ddof=1) * np.sqrt(1 / len(HIDDEN) + 1 / len(gold))
    return float(stats.t.sf((LEAST - gold.mean()) / error, len(gold) - 1))


def calibration() -> Iterator[tuple[float, float, float, float, int, float]]:
    """β, stop, gold on the shown and the hidden seeds, how many choices of three of the five pass, `chance`."""
    stops = 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, np.inf
    for beta, stop in product(BETAS, stops):
        gold = np.array([shipped(beta, stop, seed)["gold"] for seed in (*SHOWN, *HIDDEN)])
        passed = sum(np.mean(three) >= LEAST for three in combinations(gold, 3))
        yield beta, stop, gold[:2].mean(), gold[2:].mean(), int(passed), chance(gold)


if __name__ == "__main__":
    columns = ["β", "stop", "gold, shown", "gold, hidden", "passes of 10", "chance"]
    print(pd.DataFrame(list(calibration()), columns=columns).round(3).to_string(index=False))
