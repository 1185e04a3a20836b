"""The difference of two variants that were trained with the same seeds."""

import numpy as np
from scipy import stats

from pgcourse.grading.kinds import Check, implement


def paired_difference(seed_a, a, seed_b, b):
    """95 % interval of the mean of A - B over the seeds that both have, pair by pair: Student's paired t."""
    shared, at_a, at_b = np.intersect1d(seed_a, seed_b, return_indices=True)
    if len(shared) < 2:
        return [-np.inf, np.inf]
    low, high = stats.ttest_rel(a[at_a], b[at_b]).confidence_interval(0.95)
    return [low, high]


def case(a, b, seed_a=None, seed_b=None):
    """Returns of both variants, by default for seeds 0, 1, ..."""
    seeds = [np.arange(len(x)) if given is None else np.array(given) for x, given in ((a, seed_a), (b, seed_b))]
    return {"seed_a": seeds[0], "a": np.asarray(a, float), "seed_b": seeds[1], "b": np.asarray(b, float)}


def drawn(n, shuffled=False, missing=0):
    """A case: some seeds are easy for both variants, so the two go up and down together."""

    def one(rng):
        seeds, easy = rng.permutation(100)[:n], rng.normal(200, 60, n)
        a, b = easy + rng.normal(20, 10, n), easy + rng.normal(0, 10, n)
        at_a, at_b = np.arange(n), rng.permutation(n) if shuffled else np.arange(n)
        if missing:
            at_a, at_b = at_a[missing:], at_b[at_b < n - missing]
        return case(a[at_a], b[at_b], seeds[at_a], seeds[at_b])

    return one


EXERCISE = implement(
    paired_difference,
    title="A difference, seed by seed",
    goal="Compare two variants on the same seeds without counting what is merely a lucky seed for both.",
    minutes=12,
    difficulty=2,
    importance=4,
    hints=[
        "What varies between seeds but cancels in A - B of the same seed? Take the difference first.",
        "Collect `d`, the differences of the seeds that both have; then mean ± `T_975[n - 1] * d.std(correction=1) / "
        "n**0.5`, where n is how many pairs there are.",
    ],
    checks={
        "the same order": Check(
            3,
            "One difference for each seed; then the interval of one mean, with n - 1 degrees of freedom.",
            [case([2, 4, 6], [1, 2, 3]), case([5, 1, 6, 2], [3, 4, 4, 1]), drawn(5), drawn(10)],
            tolerance=(1e-3, 0.05),
        ),
        "another order": Check(
            2,
            "Which return of B belongs to a return of A? The one with the same seed number.",
            [case([2, 4, 6], [3, 1, 2], None, [2, 0, 1]), drawn(4, shuffled=True), drawn(9, shuffled=True)],
            tolerance=(1e-3, 0.05),
            requires="records may list their seeds in any order",
        ),
        "a seed is missing": Check(
            1,
            "A seed that only one variant has makes no pair: leave it out, also of n.",
            [
                case([2, 4, 6, 9], [1, 2, 3], [0, 1, 2, 3], [0, 1, 2]),
                drawn(7, shuffled=True, missing=1),
                drawn(9, shuffled=True, missing=2),
            ],
            tolerance=(1e-3, 0.05),
            requires="seeds that only one of the two has are left out",
            leaves_input_alone=True,
        ),
        "too few pairs": Check(
            1,
            "With fewer than two pairs nothing is known about how differences vary.",
            [
                case([5], [3]),
                case([5, 6, 7], [3, 4], [0, 1, 2], [2, 3]),
                case([5, 6], [3, 4], [0, 1], [2, 3]),
                case([5, 6, 8], [3, 4], [0, 1, 2], [1, 2]),  # two pairs are enough
            ],
            tolerance=(1e-3, 0.05),
            requires="with fewer than two pairs the interval is `(-inf, inf)`",
        ),
    },
    mistakes={
        "Two pairs are enough: their differences have a spread, and t for one degree of freedom is 12.7.": (
            "if n < 2",
            "if n <= 2",
        ),
        "Seeds that both have are picked, and then paired by their position: B's may stand in another order.": (
            "y = b[[theirs[seed] for seed in shared]]",
            "y = b[[i for i, seed in enumerate(seed_b) if seed in seed_a]]",
        ),
        "Returns are paired by their position: the same place in two records need not be the same seed.": (
            "y = b[[theirs[seed] for seed in shared]]",
            "y = b[:n]",
        ),
        "This is B - A: asked is how much more A earns.": ("return low, high", "return -high, -low"),
        "The two are treated as unrelated samples: then the luck of a seed, which both share, counts as noise.": (
            "d.std(correction=1)",
            "(x.var(correction=1) + y.var(correction=1)).sqrt()",
        ),
        "Two intervals are compared end against end: that is far too wide, and their overlap decides nothing.": (
            "d.std(correction=1)",
            "(x.std(correction=1) + y.std(correction=1))",
        ),
        "The differences lost their signs: where B wins, d is negative.": (
            "d = x - y",
            "d = (x - y).abs()",
        ),
        "This is the normal distribution's 1.96: with few pairs t is larger.": ("T_975[n - 1]", "1.96"),
        "2n - 2 degrees of freedom belong to two separate samples: there are n differences, so n - 1.": (
            "T_975[n - 1]",
            "T_975[2 * n - 2]",
        ),
        "t is taken for n degrees of freedom: n - 1 are left.": ("T_975[n - 1]", "T_975[n]"),
        "The standard deviation is divided by n: use n - 1.": ("d.std(correction=1)", "d.std(correction=0)"),
        "n counts both variants' returns: a pair is one observation.": (
            "/ n**0.5",
            "/ (2 * n) ** 0.5",
        ),
        "√n is missing: this says where single differences lie.": (" / n**0.5", ""),
        "This is mean ± one standard error, not a 95 % interval.": ("T_975[n - 1] * ", ""),
        "The interval is relative, in units of B: asked is the difference in return.": (
            "d = x - y",
            "d = (x - y) / y",
        ),
        "With fewer than two pairs you return NaN: any mean is possible then, (-inf, inf).": (
            "-math.inf, math.inf",
            "math.nan, math.nan",
        ),
        "±2 standard errors is a rule for many pairs: with three, t is 4.30.": ("T_975[n - 1]", "2.0"),
        "One pair has no spread, and there is no t for 0 degrees of freedom: with fewer than two pairs return "
        "(-inf, inf).": ("if n < 2", "if n < 1"),
        "With fewer than two pairs you return an interval without width: nothing is known then, (-inf, inf).": (
            "-math.inf, math.inf",
            "0.0, 0.0",
        ),
        "With fewer than two pairs the ends are in the wrong order: the lower one, -inf, comes first.": (
            "-math.inf, math.inf",
            "math.inf, -math.inf",
        ),
        "n counts A's seeds, also those that B does not have: count the pairs.": ("n = len(shared)", "n = len(seed_a)"),
        "Divided by the root of n - 1: the n - 1 belongs inside the standard deviation only.": (
            "n**0.5",
            "(n - 1) ** 0.5",
        ),
        "Divided by n where √n belongs: four times the pairs halve the interval, not quarter it.": ("n**0.5", "n"),
        "These are the mean and the half width: asked are the two ends, low and high.": (
            "return low, high",
            "return d.mean(), half",
        ),
        "The ends are in the wrong order: the lower one comes first.": ("return low, high", "return high, low"),
        "The interval lies around the median of the differences: it is one of their mean.": (
            "low, high = d.mean() - half, d.mean() + half",
            "low, high = d.median() - half, d.median() + half",
        ),
        "Both lists of returns are sorted by size, so the best of A meets the best of B: pair them by seed.": (
            "d = x - y",
            "d = x.sort().values - y.sort().values",
        ),
        "Twice too wide: the half width goes to either side of the mean.": ("half = ", "half = 2 * "),
        "A's returns stand in A's order and B's in that of the sorted seeds: both need the same order.": (
            "[theirs[seed] for seed in shared]",
            "[theirs[seed] for seed in sorted(shared)]",
        ),
        "This takes the variance of the differences for their standard deviation: take its root.": (
            "d.std(correction=1)",
            "d.var(correction=1)",
        ),
        "Seeds are taken to be 0, 1, 2, ...: their numbers stand in `seed_a` and `seed_b`.": (
            "shared = [seed for seed in seed_a if seed in theirs]",
            "shared = list(range(min(len(seed_a), len(seed_b))))",
        ),
        "This is from the smallest to the largest difference: where single differences lie, not their mean.": (
            "low, high = d.mean() - half, d.mean() + half",
            "low, high = d.min(), d.max()",
        ),
        "The middle is the difference of the two means over all seeds: a seed that only one variant has makes no "
        "pair.": (
            "low, high = d.mean() - half, d.mean() + half",
            "low, high = a.mean() - b.mean() - half, a.mean() - b.mean() + half",
        ),
    },
)
