"""Six gaits and their contact diagrams."""

from functools import partial

import numpy as np

from pgcourse.grading import kinds
from pgcourse.grading.kinds import Check, diagnose

DT = 0.02  # s, a step of BipedalWalker
TRUTH = {
    "A": "limps",
    "B": "hops on both legs",
    "C": "walks",
    "D": "drags a leg",
    "E": "runs",
    "F": "hops on one leg",
}
# Of each kind: the stride (s), the parts of it in which left and right foot are down, when the right one comes down.
GAITS = {
    "limps": (0.72, (0.72, 0.40), 0.42),
    "hops on both legs": (0.56, (0.46, 0.42), 0.03),
    "walks": (0.80, (0.60, 0.58), 0.51),
    "drags a leg": (0.70, (0.97, 0.44), 0.50),
    "runs": (0.60, (0.32, 0.34), 0.48),
    "hops on one leg": (0.48, (0.62, 0.0), 0.50),
}
SCATTER = 0.025  # of a stride, in every touchdown and every duty factor


def contacts(kind, seconds=12.0):
    """[time, leg], whether a foot is on the ground: strides of a kind, no two exactly alike."""
    rng = np.random.default_rng(sorted(GAITS).index(kind))
    period, duties, phase = GAITS[kind]
    time = np.arange(0.0, seconds, DT)
    touching = np.zeros((len(time), 2), bool)
    for k in range(-1, round(seconds / period) + 1):
        for leg, duty in enumerate(duties):
            if duty:
                down = (k + phase * leg + rng.normal(0.0, SCATTER)) * period
                stays = (duty + (rng.normal(0.0, SCATTER) if duty < 0.9 else 0.0)) * period
                touching[(time >= down) & (time < down + stays), leg] = True
    return touching


def evidence(start=4.0, seconds=4.0):
    """Draw a diagram for each letter: a bar is a foot on the ground."""
    import matplotlib.pyplot as plt

    from pgcourse.gait import LEGS, stances
    from pgcourse.plots.chapter_09 import LEG_COLORS

    _, axes = plt.subplots(len(TRUTH), 1, figsize=(8, 6.4), sharex=True, layout="constrained")
    for ax, (letter, kind) in zip(axes, TRUTH.items(), strict=True):
        for leg, name in enumerate(LEGS):
            spans = (stances(contacts(kind)[:, leg], DT) - start).clip(0, seconds)
            bars = [(down, up - down) for down, up in spans if up > down]
            ax.broken_barh(bars, (0.62 - leg, 0.76), facecolors=LEG_COLORS[name], linewidth=0)
        ax.set(yticks=[1, 0], yticklabels=LEGS, ylim=(-0.5, 1.5), xlim=(0, seconds))
        ax.set_ylabel(letter, rotation=0, fontsize=14, labelpad=14, va="center")
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
    axes[-1].set_xlabel("time (s)")


swapped, group = partial(kinds.swapped, TRUTH), partial(kinds.letters, TRUTH)

EXERCISE = diagnose(
    "gaits",
    TRUTH,
    choices=sorted(TRUTH.values()),
    evidence=evidence,
    shows={
        "drags a leg": "a leg that is dragged hardly ever leaves the ground: a row that is nearly one bar.",
        "hops on both legs": "who hops on both legs has bars that begin together in both rows.",
        "hops on one leg": "who hops on one leg has one row without bars.",
        "limps": "who limps puts the feet down in turn, and one row's bars are clearly longer.",
        "runs": "who runs puts the feet down in turn, with moments in which neither row has a bar.",
        "walks": "who walks puts the feet down in turn, equally long, and in every moment one row has a bar.",
    },
    title="Six gaits",
    goal="Tell from nothing but the contacts of its feet how a robot gets on.",
    minutes=15,
    difficulty=2,
    importance=4,
    hints=[
        "Look along each row first: in which part of the time is this foot on the ground? Then compare the two rows: "
        "do the feet come down in turn or together, and is there a moment at which neither is down?",
        "A row without bars, and a row that hardly ends: these two are told by one leg. Of the others one has both "
        "feet coming down together, one has moments without any foot on the ground although feet alternate, and one "
        "has bars of clearly different lengths.",
    ],
    checks={
        "one leg does the work": Check(
            2,
            "One leg never comes down, or hardly ever leaves the ground. The two are different faults.",
            items=group("hops on one leg", "drags a leg"),
        ),
        "in turn or together": Check(
            2,
            "The phase: where in the left foot's stride does the right one come down, near 0 or near one half?",
            items=group("hops on both legs", "runs"),
        ),
        "even or uneven": Check(
            2,
            "Compare the two feet's parts of a stride: bars of one length, or long ones above short ones.",
            items=group("walks", "limps"),
        ),
    },
    mistakes={
        "Two are swapped: in a walk one foot is always down, and sometimes both; in a run there are moments without "
        "any.": swapped("walks", "runs"),
        "Two are swapped: a limp spends longer on one leg than on the other; in a walk the bars are of one length.": (
            swapped("walks", "limps")
        ),
        "Two are swapped: a foot that is dragged hardly ever leaves the ground; a foot that never comes down is "
        "carried by the other one, which hops.": swapped("drags a leg", "hops on one leg"),
        "Two are swapped: hopping on both legs they come down together; on one leg, the other has no bars at all.": (
            swapped("hops on both legs", "hops on one leg")
        ),
        "Two are swapped: a hop and a run both leave the ground, but a runner's feet come down in turn.": swapped(
            "hops on both legs", "runs"
        ),
        "Two are swapped: a leg that is dragged is down in more than nine tenths of the time; one that limps has a "
        "swing in each stride.": swapped("drags a leg", "limps"),
        "Everything walks, you say. Compare the rows of each diagram again.": "dict.fromkeys(f(), 'walks')",
    },
)
