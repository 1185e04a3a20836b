"""The 95 % interval of a mean over seeds."""

import numpy as np
from scipy import stats

from pgcourse.grading.kinds import Check, implement


def mean_interval(returns):
    """Where the mean over all seeds lies, from `returns` [seed, episode]: mean ± t s/√n over the seeds' own means.

    Student (1908), "The Probable Error of a Mean".
    """
    means = returns.mean(1)
    if len(means) == 1:
        return [-np.inf, np.inf]
    low, high = stats.ttest_1samp(means, 0.0).confidence_interval(0.95)
    return [low, high]


def drawn(seeds, episodes):
    """A case: the mean differs from seed to seed, and episodes differ around it."""
    return lambda rng: {"returns": rng.normal(200, 40, (seeds, 1)) + rng.normal(0, 30, (seeds, episodes))}


EXERCISE = implement(
    mean_interval,
    title="An interval for a mean over seeds",
    goal="Say what a handful of seeds knows about the mean over all seeds, and not more.",
    minutes=10,
    difficulty=2,
    importance=5,
    hints=[
        "What is one independent training here: an episode or a seed? How many of them are there?",
        "Take each seed's mean first, `returns.mean(1)`. Then the half width is "
        "`T_975[n - 1] * means.std(correction=1) / n**0.5`.",
    ],
    checks={
        "one episode a seed": Check(
            3,
            "mean ± t · s/√n, with s from n - 1 and t for n - 1 degrees of freedom.",
            [{"returns": [[1], [2], [3]]}, drawn(3, 1), drawn(5, 1), drawn(10, 1)],
            tolerance=(1e-3, 0.05),
            requires="the lower end comes first",
        ),
        "several episodes a seed": Check(
            2,
            "Episodes of one seed share its policy: they are one observation, their mean.",
            [{"returns": [[0, 2], [0, 4], [2, 4]]}, drawn(2, 9), drawn(5, 4), drawn(10, 3)],
            tolerance=(1e-3, 0.05),
            leaves_input_alone=True,
        ),
        "one seed": Check(
            1,
            "One seed says nothing about how far seeds lie apart: any mean is possible.",
            [{"returns": [[475]]}, drawn(1, 5)],
            requires="with one seed the interval is `(-inf, inf)`",
        ),
    },
    mistakes={
        "This is the normal distribution's 1.96: s is estimated, too, and with few seeds t is much larger.": (
            "T_975[n - 1]",
            "1.96",
        ),
        "t is taken for n degrees of freedom: the mean used up one, n - 1 are left.": ("T_975[n - 1]", "T_975[n]"),
        "A two-sided 95 % interval leaves 2.5 % out on each side; this t leaves out 5 %.": (
            "T_975[n - 1]",
            "{1: 6.3138, 2: 2.92, 4: 2.1318, 9: 1.8331}[n - 1]",
        ),
        "±2 standard errors is a rule for many seeds: with three, t is 4.30.": ("T_975[n - 1]", "2.0"),
        "This is mean ± one standard error: it promises less than 95 %.": (
            "T_975[n - 1] * ",
            "",
        ),
        "The standard deviation is divided by n: that describes these seeds. Of all seeds, n - 1 estimates it.": (
            "correction=1",
            "correction=0",
        ),
        "Divided by n where √n belongs: four times the seeds halve the interval, not quarter it.": ("n**0.5", "n"),
        "√n is missing: this says where single seeds lie, not where their mean does.": (" / n**0.5", ""),
        "Episodes are counted as if they were seeds: those of one seed share its policy, and more of them say nothing "
        "about other seeds.": ("means = returns.mean(1)", "means = returns.flatten()"),
        "The spread is measured over all episodes: it must be that of the seeds' means.": (
            "means.std(correction=1)",
            "returns.std(correction=1)",
        ),
        "You average over seeds and count episodes: the first axis is the seed.": (
            "means = returns.mean(1)",
            "means = returns.mean(0)",
        ),
        "Only the first episode of each seed is used: take the mean over all of them.": (
            "means = returns.mean(1)",
            "means = returns[:, 0]",
        ),
        "Twice too wide: the half width goes to either side of the mean.": ("half = ", "half = 2 * "),
        "Half too narrow: t · s/√n goes to either side of the mean.": ("half = ", "half = 0.5 * "),
        "This is from the worst to the best seed: where seeds lie, not where their mean does.": (
            "mean - half, mean + half",
            "means.min(), means.max()",
        ),
        "The interval lies around 0: the mean is missing.": ("mean - half, mean + half", "-half, half"),
        "The ends are in the wrong order: the lower one comes first.": (
            "mean - half, mean + half",
            "mean + half, mean - half",
        ),
        "With one seed you return an interval without width: one seed says nothing about the others.": (
            "-math.inf, math.inf",
            "returns.mean(), returns.mean()",
        ),
        "With one seed this is NaN: 0/0 in the standard deviation. Any mean is possible: return (-inf, inf).": (
            "-math.inf, math.inf",
            "math.nan, math.nan",
        ),
        "Divided by the square root of n - 1: the n - 1 belongs inside the standard deviation only.": (
            "n**0.5",
            "(n - 1) ** 0.5",
        ),
        "This takes the variance for the standard deviation: take its root.": (
            "means.std(correction=1)",
            "means.var(correction=1)",
        ),
        "The median of each seed's episodes: the mean over them is asked for.": (
            "means = returns.mean(1)",
            "means = returns.median(1).values",
        ),
        "The median of the seeds: the interval lies around their mean.": (
            "mean = means.mean()",
            "mean = means.median()",
        ),
        "The episodes of a seed are added up: take their mean.": (
            "means = returns.mean(1)",
            "means = returns.sum(1)",
        ),
        "Only the last episode of each seed is used: take the mean over all of them.": (
            "means = returns.mean(1)",
            "means = returns[:, -1]",
        ),
        "Divided by the root of the number of episodes: n counts seeds.": (
            "n**0.5",
            "returns.numel() ** 0.5",
        ),
        "These are the mean and the half width: asked are the two ends, low and high.": (
            "mean - half, mean + half",
            "mean, half",
        ),
        "With one seed the ends are in the wrong order: the lower one, -inf, comes first.": (
            "-math.inf, math.inf",
            "math.inf, -math.inf",
        ),
    },
)
