"""Passes and the clip, predicted."""

from functools import cache

import numpy as np

from pgcourse.grading.kinds import Check, predict


@cache
def measured():
    """Means over seeds and training of the record `ppo-passes`, CartPole."""
    from pgcourse.lab import load

    curves = load("ppo-passes").on("CartPole-v1").curves
    kl, outside = (curves.groupby("variant")[column].mean() for column in ("kl", "clip_fraction"))
    return {
        "outside, 1 pass": float(outside["1 pass, clip"]),
        "outside, 30 passes": float(outside["30 passes, clip"]),
        "growth": float(kl["30 passes, clip"] / kl["1 pass, clip"]),
        "powers of ten": float(np.log10(kl["10 passes, no clip"] / kl["10 passes, clip"])),
    }


EXERCISE = predict(
    "prediction",
    measured,
    within={"outside, 1 pass": 0.02, "outside, 30 passes": 0.08, "growth": 4.0, "powers of ten": 0.8},
    shows={
        "outside, 1 pass": (
            "Some samples are outside after a single pass: it takes a step for each minibatch, and the ratio is 1 in "
            "the first one only.",
            "With one pass few samples get beyond the clip: it takes a handful of steps, and begins with ratios of 1.",
        ),
        "outside, 30 passes": (
            "The clip is no fence: it takes away a sample's reason to go further, and all samples share one θ, so that "
            "others drag it along.",
            "So many are not outside: who is outside pushes no further, and most samples never get there.",
        ),
        "growth": (
            "More passes do go further, even with the clip: it bounds the incentive, not the distance.",
            "Thirty passes do not go thirty times as far: most of the last ones find samples without a gradient.",
        ),
        "powers of ten": (
            "Without the clip ten passes go further by powers of ten, and x is above 0: ratios are exponentials.",
            "That would be a policy of another world. Asked is the exponent x, of the order of two, and not 10^x.",
        ),
    },
    title="What passes do, with the clip and without",
    goal="Know in numbers how far the clip lets an update go, and how far it would go without.",
    minutes=10,
    difficulty=2,
    importance=3,
    hints=[
        "The clip takes away a sample's reason to go on; it does not bring it back, and all samples share one θ. So is "
        "the part outside 0? And where most samples have lost their gradient, how much do more passes add?",
        "Read CartPole's table of details in chapter 08: the clip fraction at 1, 4 (the row PPO) and 10 passes, the KL "
        "divergence of these rows, and that of the row without a clip, which has 4 passes.",
    ],
    checks={
        "outside": Check(
            2,
            "A clip fraction of 0 would be a fence, and one that grows with the passes would be no clip at all.",
            items=("outside, 1 pass", "outside, 30 passes"),
        ),
        "growth": Check(
            2,
            "Samples that have gone far enough stop pushing: the distance grows more slowly than the passes.",
            items=("growth",),
        ),
        "without": Check(
            1,
            "Ratios are exponentials: without a clip a policy that has moved moves on faster.",
            items=("powers of ten",),
        ),
    },
    mistakes={
        "The clip is no fence: no sample outside 1 ± ε would be one. It takes away the reason to go further, and all "
        "samples share one θ.": ('"outside, 30 passes": 0.2', '"outside, 30 passes": 0.0'),
        "Thirty times the passes do not put thirty times as many samples outside: who is outside pushes no further.": (
            '"outside, 30 passes": 0.2',
            '"outside, 30 passes": 0.9',
        ),
        "An update of thirty passes does not go thirty times as far as one of one pass: most of its last passes find "
        "samples without a gradient.": ('"growth": 10.0', '"growth": 30.0'),
        "More passes do go further, even with the clip: it bounds the incentive, not the distance.": (
            '"growth": 10.0',
            '"growth": 1.0',
        ),
        "Without the clip an update does not go twice as far, but several powers of ten.": (
            '"powers of ten": 2.2',
            '"powers of ten": 0.3',
        ),
        "With one pass few samples get beyond the clip: the ratio is 1 in its first minibatch.": (
            "{**f(), 'outside, 1 pass': 0.2}"
        ),
        "Half outside is too much: the clip takes away what would push these samples further.": (
            "{**f(), 'outside, 30 passes': 0.5}"
        ),
        "With 30 passes more are outside than with one: the samples drag each other along.": (
            "{**f(), 'outside, 30 passes': 0.03}"
        ),
        "A hundredfold is what no clip does: with it the KL divergence stays within limits.": (
            "{**f(), 'growth': 100.0}"
        ),
        "Without the clip ten passes go further, by powers of ten.": ("{**f(), 'powers of ten': 0.0}"),
        "It is more than tenfold: without the clip nothing stops the ratio.": ("{**f(), 'powers of ten': 1.0}"),
        "That many powers of ten would be a policy of another world: of the order of two.": (
            "{**f(), 'powers of ten': 10.0}"
        ),
        "The sign: without the clip it goes further, so x is above 0.": ("{**f(), 'powers of ten': -2.0}"),
        "These are per cent: a fraction lies between 0 and 1.": (
            "{**f(), 'outside, 1 pass': 3.0, 'outside, 30 passes': 20.0}"
        ),
        "That range is too wide: it would hold almost any growth.": ("{**f(), 'growth': (1.0, 30.0)}"),
        "Not all can be outside: most samples never leave the interval.": ("{**f(), 'outside, 30 passes': 1.0}"),
        "A fraction is never below 0.": ("{**f(), 'outside, 1 pass': -0.1}"),
    },
)
