"""Fourteen logs of language models that learn from rewards."""

from functools import partial
from pathlib import Path

from pgcourse.grading import kinds
from pgcourse.grading.kinds import Check, diagnose

TRUTH = {
    "A": "KL with the wrong sign",
    "B": "clip fraction counts the inside",
    "C": "k3 with the ratio inverted",
    "D": "no KL",
    "E": "padding counted",
    "F": "nothing",
    "G": "KL counted twice",
    "H": "no clip",
    "I": "KL term without gradient",
    "J": "ratio of whole responses",
    "K": "rounding divided by rounding",
    "L": "no price of unfinished responses",
    "M": "a constant reward",
    "N": "divided by the others' deviation",
}
PPO, GRPO = list(TRUTH)[:10], list(TRUTH)[10:]
RESPONSES = 64  # of an iteration
ROWS = {
    "proxy": "proxy",
    "kl": "KL (nats)",
    "paid": "paid for\nKL",
    "entropy": "entropy\n(nats)",
    "tokens": "length\n(tokens)",
    "finished": "part\nfinished",
    "unique": "part\nunique",
    "group_std": "group's σ",
    "silent_groups": "part of\nsilent groups",
    "clip_fraction": "clip\nfraction",
    "largest_ratio": "largest\nratio",
    "update_kl": "KL of an\nupdate",
    "grad_norm": "gradient\nnorm",
}
LIMITS = {"kl": (0.1, 100), "clip_fraction": (-0.02, 1), "finished": (0, 1.05), "unique": (0, 1.05)}
LIMITS |= {"largest_ratio": (1, 1000), "update_kl": (1e-3, 10), "grad_norm": (0.1, 1000)}
LIMITS |= {"silent_groups": (-0.02, 1.05), "tokens": (4, 16.5), "entropy": (0, 2.6), "paid": (-2, 2)}
LOGARITHMIC = "kl", "largest_ratio", "update_kl", "grad_norm"


def runs():
    """The table made by `_runs`."""
    import pandas as pd

    table = pd.read_csv(Path(__file__).with_name("logs.csv"))
    return table.assign(step=RESPONSES * (table["iteration"] + 1))


def evidence():
    """Draw the runs above healthy ones, and print what their last iterations come to; all made by `_runs`."""
    import pandas as pd

    from pgcourse.plots import symptoms

    table = runs()
    of = {name: some for name, some in table.groupby("run", sort=False)}
    high = LIMITS | {"grad_norm": (0.01, 1e6)}
    for letters, name, limits in ((PPO[:5], "PPO", LIMITS), (PPO[5:], "PPO", LIMITS), (GRPO, "GRPO", high)):
        shown = {one: of[TRUTH[one]] for one in letters}
        symptoms(shown, of[f"healthy {name}"], ROWS, limits, LOGARITHMIC, steps_of="responses of one seed")
    rows = {"healthy PPO": "healthy PPO", **TRUTH, "healthy GRPO": "healthy GRPO"}
    late = table[table["iteration"] >= table["iteration"].max() - 3].groupby("run")[list(ROWS)].mean()
    print("Means over the last four iterations:")
    with pd.option_context("display.width", 250, "display.max_columns", None, "display.float_format", "{:.3g}".format):
        print(late.loc[list(rows.values())].set_axis(list(rows)).rename(columns=str.strip))


swapped, group = partial(kinds.swapped, TRUTH), partial(kinds.letters, TRUTH)

EXERCISE = diagnose(
    "diagnosis",
    TRUTH,
    choices=sorted(TRUTH.values()),
    evidence=evidence,
    shows={
        "KL counted twice": "counted twice, paid over KL is 0.2, steadily, and the KL is below the band.",
        "KL term without gradient": "without a gradient the KL is paid for, and grows as if nothing were paid.",
        "KL with the wrong sign": "with the wrong sign the policy is paid for going away: what is paid is below 0.",
        "a constant reward": "with a constant reward all groups are silent, and nothing moves, to the last digit.",
        "clip fraction counts the inside": (
            "where the inside is counted the clip fraction is far above one half, and the ratios and the KL of an "
            "update are as ever."
        ),
        "divided by the others' deviation": (
            "the others' deviation is 0 where all of them failed alike: the gradient's norm jumps by powers of "
            "ten, and not all groups are silent."
        ),
        "k3 with the ratio inverted": (
            "with the ratio inverted what is paid is no fixed multiple of the KL, and gradients jump into the tens."
        ),
        "no KL": "without a price nothing is paid: 0 over any KL.",
        "no clip": "without a clip no ratio is ever outside: the clip fraction is 0, and the largest ratio is huge.",
        "no price of unfinished responses": (
            "where a cut costs nothing, responses that do not finish score as well: the part that finishes falls."
        ),
        "nothing": "a healthy run has nothing odd in any panel, and pays what its kind pays.",
        "padding counted": "where padding is counted all responses are as long as the longest, and yet they finish.",
        "ratio of whole responses": (
            "a product of a response's ratios is really outside: the clip fraction is large, and so is the KL of an "
            "update."
        ),
        "rounding divided by rounding": (
            "rounding divided by rounding makes an advantage out of nothing: all groups are silent, and the "
            "policy moves."
        ),
    },
    title="Fourteen logs",
    goal="Name what is wrong with a model that learns from rewards, from the numbers that a practitioner sees.",
    minutes=45,
    difficulty=4,
    importance=5,
    hints=[
        "Begin with what cannot be: no ratio outside the clip, and a largest ratio of a hundred; a length that never "
        "moves; groups that are all silent, and a policy that moves. Then divide what is paid by the KL: that is β.",
        "Paid over KL is 0.1 in a healthy run. 0: there is no price. Below 0: it is a bonus. 0.2: it is counted twice. "
        "Paid, and the KL grows as if nothing were paid: the term has no gradient. Paid a hundred times over at times, "
        "with gradients whose norm is then in the tens: the ratio is inverted.",
    ],
    checks={
        "what cannot be": Check(
            4,
            "Hold the clip fraction against the largest ratio and the KL of an update, and the length against the part "
            "that finished.",
            items=group("no clip", "clip fraction counts the inside", "ratio of whole responses", "padding counted"),
        ),
        "the price, read off": Check(
            3,
            "Divide what is paid by the KL.",
            items=group("no KL", "KL with the wrong sign", "KL counted twice"),
        ),
        "paid, and yet": Check(
            2,
            "Both pay for the KL in the loss. In one it moves nothing; in the other it is another quantity, which "
            "explodes where the KL does not.",
            items=group("KL term without gradient", "k3 with the ratio inverted"),
        ),
        "what is not paid for": Check(
            2,
            "In one run the proxy is the best there can be: read how its responses end. And one run has nothing that "
            "is odd.",
            items=group("nothing", "no price of unfinished responses"),
        ),
        "groups": Check(
            3,
            "Where all groups are silent there is nothing to learn. Who moves all the same, and whose gradient has a "
            "norm of another power of ten?",
            items=group("rounding divided by rounding", "a constant reward", "divided by the others' deviation"),
        ),
    },
    mistakes={
        "Two are swapped: without a price nothing is paid; where the term has no gradient it is paid, the log says so, "
        "and nothing else differs.": swapped("no KL", "KL term without gradient"),
        "Two are swapped: a term without gradient holds nobody back, so the KL grows as without a price. The inverted "
        "ratio does hold back, with gradients whose norm jumps into the tens.": swapped(
            "KL term without gradient", "k3 with the ratio inverted"
        ),
        "Two are swapped: the wrong sign pays the policy for going away, so what is paid is below 0.": swapped(
            "KL with the wrong sign", "no KL"
        ),
        "Two are swapped: counted twice, the KL is low and paid over KL is 0.2, steadily. With the ratio inverted what "
        "is paid follows no fixed multiple of the KL.": swapped("KL counted twice", "k3 with the ratio inverted"),
        "Two are swapped: without a clip nothing is ever outside, for the interval is infinite, and the ratios are "
        "huge. Where the inside is counted the fraction is large, and the ratios are as ever.": swapped(
            "no clip", "clip fraction counts the inside"
        ),
        "Two are swapped: both have a large clip fraction. The product of a response's ratios is really outside, and "
        "the KL of an update says so; where the inside is counted everything else is healthy.": swapped(
            "ratio of whole responses", "clip fraction counts the inside"
        ),
        "Two are swapped: where padding is counted all responses are as long as the longest, and yet they finish. "
        "Where the cut costs nothing they are long because they do not.": swapped(
            "padding counted", "no price of unfinished responses"
        ),
        "Two are swapped: counted twice, the KL is below the band, and paid over KL is 0.2. The healthy run pays "
        "0.1.": swapped("nothing", "KL counted twice"),
        "Two are swapped: only the metric is wrong where the inside is counted, but it is wrong; a healthy run's clip "
        "fraction is in the band.": swapped("nothing", "clip fraction counts the inside"),
        "Two are swapped: all groups are silent in both. With a constant reward nothing moves, to the last digit; "
        "rounding divided by rounding makes an advantage out of nothing.": swapped(
            "rounding divided by rounding", "a constant reward"
        ),
        "Two are swapped: the deviation of the others is 0 where they all failed, and 1/10⁻⁶ shows in the gradient's "
        "norm; its groups are not all silent.": swapped(
            "rounding divided by rounding", "divided by the others' deviation"
        ),
    },
)
