"""Two learners on the same seeds: the difference, and how sure it is."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def paired_difference(first, second):
    """The mean of first - second, and its standard error by Var[X - Y] = Var[X] + Var[Y] - 2 Cov[X, Y]."""
    covariance = np.cov(first, second)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return [first.mean() - second.mean(), np.sqrt(max(variance, 0.0) / len(first))]


def drawn(seeds, together):
    """A case: scores on the same seeds; `together` is the part of a score that is the seed's own."""

    def case(rng):
        seed = rng.normal(0, 30, seeds)
        first, second = (mean + together * seed + rng.normal(0, 30, seeds) * (1 - together) for mean in (120.0, 100.0))
        return {"first": first, "second": second}

    return case


EXERCISE = implement(
    paired_difference,
    title="Compared on the same seeds",
    goal="Use what two runs have in common, and say how sure a difference is.",
    minutes=10,
    difficulty=2,
    importance=4,
    hints=[
        "Take the difference for each seed first. What is left of a lucky start that both had?",
        "`d = first - second`; return `d.mean(), d.std() / len(d) ** 0.5`.",
    ],
    checks={
        "difference": Check(
            1,
            "The mean over the seeds of first minus second.",
            [{"first": [3, 5, 10], "second": [1, 2, 9]}, drawn(5, 0.5), drawn(10, 0.5)],
            through="f(first, second)[0]",
        ),
        "standard error": Check(
            2,
            "The spread of the differences over the root of their number; `std` divides by n - 1.",
            [{"first": [3, 5, 10], "second": [1, 2, 9]}, drawn(5, 0.0), drawn(10, 0.5)],
            through="f(first, second)[1]",
        ),
        "the same luck": Check(
            2,
            "Where both runs rise and fall with their seed, the differences hardly vary, and the error is small.",
            [
                {"first": [10, 20, 60], "second": [8, 18, 58]},
                drawn(8, 0.9),
                drawn(8, 1.0),
            ],
            tolerance=(1e-3, 1e-2),  # three variances that cancel leave so much of 30² in float32
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "The errors of two means are added as if the seeds were different ones: take the difference for each seed "
        "first.": ("d.std()", "(first.var() + second.var()).sqrt()"),
        "This is the standard deviation of the differences: that of their mean is √n times smaller.": (
            " / len(d) ** 0.5",
            "",
        ),
        "Divided by n instead of √n: variances shrink with n, their roots with √n.": ("len(d) ** 0.5", "len(d)"),
        "This is the squared standard error: take the root.": ("d.std() / len(d) ** 0.5", "d.var() / len(d)"),
        "The standard deviation divides by n: with few seeds that is too small. torch's default is n - 1.": (
            "d.std()",
            "d.std(unbiased=False)",
        ),
        "Second minus first: a gain of `first` should be positive.": ("d = first - second", "d = second - first"),
        "The size of each difference, without its sign: then two equal learners seem to differ.": (
            "d = first - second",
            "d = (first - second).abs()",
        ),
        "The scores were sorted before they were subtracted: pairs are of one seed, not of one rank.": (
            "d = first - second",
            "d = first.sort().values - second.sort().values",
        ),
        "The error of `first` alone: the difference varies in its own way.": ("d.std()", "first.std()"),
        "The covariance is added: it has to be subtracted, twice. Or take the differences first.": (
            "d.std()",
            "(first + second).std()",
        ),
        "This is the half-width of an interval: the standard error is asked for, once.": ("d.std()", "1.96 * d.std()"),
        "The median of the differences: a mean is asked for.": ("d.mean()", "d.quantile(0.5)"),
        "Divided by the root of n - 1: the n - 1 belongs inside the standard deviation only.": (
            "len(d) ** 0.5",
            "(len(d) - 1) ** 0.5",
        ),
        "The two numbers are in the other order: the mean first.": (
            "d.mean(), d.std() / len(d) ** 0.5",
            "d.std() / len(d) ** 0.5, d.mean()",
        ),
        "The median of the differences: the mean is asked for.": ("d.mean()", "d.median()"),
        "The sum of the differences: the mean is asked for.": ("d.mean()", "d.sum()"),
        "n counts both runs of a pair: a pair is one observation.": (
            "d.std() / len(d) ** 0.5",
            "d.std() / (2 * len(d)) ** 0.5",
        ),
        "Two standard errors are added: take the difference on each seed first.": (
            "d.std() / len(d) ** 0.5",
            "(first.std() + second.std()) / len(d) ** 0.5",
        ),
        "Two standard deviations are subtracted: take that of the differences.": (
            "d.std() / len(d) ** 0.5",
            "(first.std() - second.std()).abs() / len(d) ** 0.5",
        ),
        "All runs are thrown together: take the standard deviation of the differences.": (
            "d.std() / len(d) ** 0.5",
            "torch.cat([first, second]).std() / len(d) ** 0.5",
        ),
        "The mean is divided by the standard deviation: asked is the difference itself.": (
            "d.mean(), d.std()",
            "d.mean() / d.std(), d.std()",
        ),
        "The difference is relative to the second: asked is the difference of the scores.": (
            "d = first - second",
            "d = (first - second) / second",
        ),
        "Divided by n - 1 where √n belongs.": ("d.std() / len(d) ** 0.5", "d.std(correction=0) / (len(d) - 1)"),
        "Variances are subtracted: what the two have in common is their covariance. Take the differences' own "
        "variance.": ("d.std() / len(d) ** 0.5", "((first.var() - second.var()).abs() / len(d)).sqrt()"),
        "The mean size of the differences stands in the place of their standard deviation.": (
            "d.std() / len(d) ** 0.5",
            "d.abs().mean() / len(d) ** 0.5",
        ),
    },
)
