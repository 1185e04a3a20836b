"""The numbers behind a figure that misleads."""

import numpy as np

from pgcourse.grading.kinds import Check, repair


def honest_band(curves, quantile):
    """Mean over all seeds ± t s/√n at every report, [3, report], no smoothing. Student (1908)."""
    n = len(curves)
    half = quantile * np.std(curves, axis=0, ddof=1) / np.sqrt(n)
    return np.stack([curves.mean(0), curves.mean(0) - half, curves.mean(0) + half])


def drawn(seeds, reports, quantile=2.0):
    """Learning curves that rise; a seed's level is its own, so the best seeds are best all along."""

    def case(rng):
        level = rng.normal(0, 40, (seeds, 1))
        rise = np.linspace(0, 300, reports) + rng.normal(0, 10, (seeds, reports))
        return {"curves": 100 + level + rise, "quantile": quantile}

    return case


EXERCISE = repair(
    honest_band,
    start=[
        (
            "    mean = curves.mean(0)",
            "    curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
        ),
        ("quantile * curves.std(0) / len(curves) ** 0.5", "curves.std(0) / curves.numel() ** 0.5"),
    ],
    title="A misleading figure",
    goal="Find what a band hides.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "Ask of each line: which seeds go in? What is n, the number of independent trainings? What is promised?",
        "All seeds; `quantile * curves.std(0) / len(curves) ** 0.5`, where `curves` is [seed, report], its length the "
        "number of seeds.",
    ],
    checks={
        "centre": Check(
            2,
            "The mean of all seeds, at every report.",
            [{"curves": [[0, 4], [2, 4]], "quantile": 12.7}, drawn(10, 4), drawn(3, 5, 4.3)],
            through="f(curves, quantile)[0]",
        ),
        "band": Check(
            3,
            "mean ± t s/√n with n the number of seeds.",
            [{"curves": [[0, 4], [2, 8]], "quantile": 12.7}, drawn(10, 4), drawn(4, 6, 3.2), drawn(20, 3, 2.1)],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "Only the best five seeds are shown. The bad ones are part of the result.": (
            "    mean = curves.mean(0)",
            "    curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
        ),
        "Reports of one seed are not independent: n is the number of seeds, not seeds times reports.": (
            "len(curves) ** 0.5",
            "curves.numel() ** 0.5",
        ),
        "One standard error: that covers about two thirds. Multiply by the quantile.": (
            "quantile * curves.std(0)",
            "curves.std(0)",
        ),
        "The standard deviation of the seeds, which says how they scatter, not how sure the mean is: divide by √n.": (
            "quantile * curves.std(0) / len(curves) ** 0.5",
            "quantile * curves.std(0)",
        ),
        "One width for all reports, from all numbers together: at each report the seeds scatter in their own way.": (
            "curves.std(0)",
            "curves.std()",
        ),
        "The spread along a curve, not between seeds: `std` over axis 0.": ("curves.std(0)", "curves.std(1).mean()"),
        "The standard deviation divides by n: with few seeds that is too small.": (
            "curves.std(0)",
            "curves.std(0, unbiased=False)",
        ),
        "The best seed so far in place of the mean: a maximum is no average.": (
            "mean = curves.mean(0)",
            "mean = curves.max(0).values",
        ),
        "The median is in the middle, with a band that belongs to the mean.": (
            "mean = curves.mean(0)",
            "mean = curves.median(0).values",
        ),
        "Divided by n, not by √n: the band is far too narrow.": ("len(curves) ** 0.5", "len(curves)"),
        "The mean runs over the reports: seeds are the first axis.": ("curves.mean(0)", "curves.mean(1)"),
        "The worst seed is left out: the mean is over all.": (
            "curves.mean(0)",
            "curves[curves.mean(1).argsort()[1:]].mean(0)",
        ),
        "The variance stands in the place of the standard deviation.": ("curves.std(0)", "curves.var(0)"),
        "Divided by the root of n - 1: the n - 1 belongs inside the standard deviation only.": (
            "len(curves) ** 0.5",
            "(len(curves) - 1) ** 0.5",
        ),
        "This is the normal distribution's 1.96: the quantile of Student's t is given.": ("quantile * ", "1.96 * "),
        "The band is twice as wide as it should be.": ("quantile * ", "2 * quantile * "),
        "The ends are exchanged: the lower one comes first.": ("mean - half, mean + half", "mean + half, mean - half"),
        "The band is half as wide as it should be.": ("mean - half, mean + half", "mean - half / 2, mean + half / 2"),
        "The band goes from the worst to the best seed: where seeds lie, not where their mean does.": (
            "mean - half, mean + half",
            "curves.min(0).values, curves.max(0).values",
        ),
        "These are quantiles of the seeds: where seeds lie, not where their mean does.": (
            "mean - half, mean + half",
            "torch.quantile(curves, 0.025, 0), torch.quantile(curves, 0.975, 0)",
        ),
        "The result is [report, 3]: asked is [3, report].": (
            "[mean, mean - half, mean + half]",
            "[mean, mean - half, mean + half], 1",
        ),
        "The mean stands between the ends: it comes first.": (
            "[mean, mean - half, mean + half]",
            "[mean - half, mean, mean + half]",
        ),
        "The curves are added up along the reports: each report by itself is asked for.": (
            "curves.mean(0)",
            "curves.cumsum(1).mean(0)",
        ),
        "The lower end is cut off at 0: then it is no interval any more.": (
            "mean - half, mean + half",
            "(mean - half).clamp(min=0), mean + half",
        ),
        "The half width stands in the place of the mean.": (
            "[mean, mean - half, mean + half]",
            "[half, mean - half, mean + half]",
        ),
        "Divided by the root of the number of reports: n counts seeds.": (
            "len(curves) ** 0.5",
            "curves.shape[1] ** 0.5",
        ),
        "One width for all reports, the mean of their standard deviations.": ("curves.std(0)", "curves.std(0).mean()"),
        "All seeds are shown now. Two things are left: what n counts, and how far 95 % reach.": (
            "quantile * curves.std(0) / len(curves) ** 0.5",
            "curves.std(0) / curves.numel() ** 0.5",
        ),
        "n is right now. Two things are left: which seeds are shown, and how far 95 % reach.": [
            (
                "    mean = curves.mean(0)",
                "    curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
            ),
            ("quantile * curves.std(0) / len(curves) ** 0.5", "curves.std(0) / len(curves) ** 0.5"),
        ],
        "The quantile is there now. Two things are left: which seeds are shown, and what n counts.": [
            (
                "    mean = curves.mean(0)",
                "    curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    mean = curves.mean(0)",
            ),
            ("quantile * curves.std(0) / len(curves) ** 0.5", "quantile * curves.std(0) / curves.numel() ** 0.5"),
        ],
        "One standard deviation of the seeds: divide by √n, and multiply by the quantile.": (
            "quantile * curves.std(0) / len(curves) ** 0.5",
            "curves.std(0)",
        ),
        "Mean and deviation run along the reports: seeds are the first axis.": [
            ("curves.mean(0)", "curves.mean(1)"),
            ("curves.std(0)", "curves.std(1)"),
        ],
        "The first five seeds are shown: all of them belong in.": (
            "    mean = curves.mean(0)",
            "    curves = curves[:5]\n    mean = curves.mean(0)",
        ),
        "The line is that of all seeds, the band that of the best five.": (
            "    half = ",
            "    curves = curves[curves.mean(1).argsort(descending=True)[:5]]\n    half = ",
        ),
        "n is 5 whatever is given: it is the number of seeds.": ("len(curves) ** 0.5", "5**0.5"),
        "The half width stands in the place of the ends: they are mean ± half.": (
            "[mean, mean - half, mean + half]",
            "[mean, half, half]",
        ),
        "The worst five seeds are shown: all of them belong in.": (
            "    mean = curves.mean(0)",
            "    curves = curves[curves.mean(1).argsort()[:5]]\n    mean = curves.mean(0)",
        ),
        "The best five seeds are left out: all of them belong in.": (
            "    mean = curves.mean(0)",
            "    curves = curves[curves.mean(1).argsort(descending=True)[5:]]\n    mean = curves.mean(0)",
        ),
        "One width for all reports, the spread of the seeds' means: at each report they scatter in their own way.": (
            "curves.std(0)",
            "curves.mean(1).std()",
        ),
        "The root is taken of the quantile, too: it is t times s, divided by √n.": (
            "quantile * curves.std(0) / len(curves) ** 0.5",
            "curves.std(0) * (quantile / len(curves)) ** 0.5",
        ),
        "Divided by the quantile: multiply by it.": ("quantile * curves.std(0)", "curves.std(0) / quantile"),
    },
)
