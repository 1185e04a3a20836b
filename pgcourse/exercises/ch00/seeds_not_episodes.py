"""A verdict that counts episodes as if they were seeds."""

from scipy import stats

from pgcourse.grading.kinds import Check, repair


def judged(returns, limit):
    """The claim "the mean over seeds is above the limit": its interval, and whether all of it is above."""
    low, high = stats.ttest_1samp(returns.mean(1), 0.0).confidence_interval(0.95)
    return {"low": low, "high": high, "verdict": "holds" if low > limit else "does not hold"}


def drawn(seeds, episodes, between, within, gap):
    """A case: the limit lies `gap` true standard errors below the mean."""

    def case(rng):
        returns = rng.normal(300, between, (seeds, 1)) + rng.normal(0, within, (seeds, episodes))
        means = returns.mean(1)
        return {"returns": returns, "limit": float(means.mean() - gap * means.std(ddof=1) / seeds**0.5)}

    return case


EXERCISE = repair(
    judged,
    start=("values = returns.mean(1)", "values = returns.flatten()"),
    title="Seeds, not episodes",
    goal="Notice where a table has counted the same training many times.",
    minutes=8,
    difficulty=2,
    importance=5,
    hints=[
        "For five seeds and six episodes each, which n does the function use? How many trainings were there?",
        "The episodes of a seed are averaged first: `returns.mean(1)`. Everything after that line is right.",
    ],
    checks={
        "interval": Check(
            2,
            "One number for each seed, then the interval of their mean.",
            [{"returns": [[0, 2], [1, 3], [2, 4]], "limit": 0.0}, drawn(5, 6, 60, 10, 1), drawn(3, 10, 60, 30, 9)],
            tolerance=(1e-3, 0.05),
        ),
        "verdict": Check(
            2,
            "A claim holds only if the whole interval is on the right side of the limit.",
            [
                {"returns": [[9, 11], [10, 12], [14, 10]], "limit": 9.5},
                {"returns": [[9, 11], [10, 12], [14, 10]], "limit": 5.0},
                drawn(5, 6, 60, 10, 1.5),
                drawn(5, 6, 60, 10, 4),
                drawn(10, 3, 60, 10, 2.1),
                drawn(10, 3, 60, 10, 2.5),
                drawn(4, 7, 60, 10, -1),
                drawn(4, 7, 60, 10, -5),
            ],
            tolerance=(1e-3, 0.05),
        ),
        "noisy episodes": Check(
            1,
            "Where episodes differ much and seeds hardly, averaging them still comes first.",
            [drawn(4, 7, 1, 80, 1), drawn(6, 5, 1, 80, 9)],
            tolerance=(1e-3, 0.05),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "The spread of single episodes is divided by the root of the number of seeds: take it over the seeds' means.": (
            "values.std(correction=1)",
            "returns.std(correction=1)",
        ),
        "This averages over seeds and counts episodes: the first axis is the seed.": (
            "values = returns.mean(1)",
            "values = returns.mean(0)",
        ),
        "Only the first episode of each seed is used: their mean says more about the seed.": (
            "values = returns.mean(1)",
            "values = returns[:, 0]",
        ),
        "Only the best episode of each seed is used: that is a mean of lucky episodes, not of returns.": (
            "values = returns.mean(1)",
            "values = returns.amax(1)",
        ),
        "This is each seed's median: the claim is about means.": (
            "values = returns.mean(1)",
            "values = returns.median(1).values",
        ),
        "The verdict looks at the mean: part of the interval may still be below the limit.": (
            "low > limit",
            "values.mean() > limit",
        ),
        "The verdict looks at the upper end: the lower one has to be above the limit, too.": (
            "low > limit",
            "high > limit",
        ),
        "The verdict is inverted.": ("low > limit", "low <= limit"),
        "The factor is the normal distribution's: with few seeds t is larger. That line was right.": (
            "T_975[n - 1]",
            "1.96",
        ),
        "n counts episodes now: it was right as the number of seeds' means.": (
            "n = len(values)",
            "n = returns.numel()",
        ),
        "t is taken for n degrees of freedom: the mean used up one. That line was right.": ("T_975[n - 1]", "T_975[n]"),
        "The standard deviation is divided by n: n - 1 estimates that of all seeds. That was right.": (
            "correction=1",
            "correction=0",
        ),
        "Divided by n where √n belongs. That was right.": ("n**0.5", "n"),
        "√n is missing: this says where single seeds lie. That was right.": (" / n**0.5", ""),
        "The verdict compares with 0: the sentence has a limit of its own.": ("low > limit", "low >= 0"),
        "The episodes of a seed are added up: take their mean.": ("returns.mean(1)", "returns.sum(1)"),
        "`low` and `high` are exchanged.": ('"low": low, "high": high', '"low": high, "high": low'),
        "Divided by the root of the number of episodes: n counts seeds.": ("n**0.5", "returns.numel() ** 0.5"),
        "The factor t is missing: this is mean ± one standard error.": ("T_975[n - 1] * ", ""),
        "This takes the variance for the standard deviation. That was right.": (
            "values.std(correction=1)",
            "values.var(correction=1)",
        ),
        'The verdict has another wording than asked: "does not hold".': ('"does not hold"}', '"refuted"}'),
        "t is that of as many degrees of freedom as there are episodes: there are n - 1, of seeds.": (
            "T_975[n - 1]",
            "T_975[min(30, returns.numel() - 1)]",
        ),
    },
)
