"""How many seeds a difference needs, from a pilot."""

import math

import numpy as np

from pgcourse.grading.kinds import Check, implement


def seeds_for(first, second, alpha, power):
    """⌈(z_{1-α/2} + z_power)² (s₁² + s₂²)/Δ²⌉, Δ from the pilot. Cohen (1988), eq. 2.4.1, unequal variances."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
    difference = np.mean(first) - np.mean(second)
    return math.ceil(z**2 * (np.var(first, ddof=1) + np.var(second, ddof=1)) / difference**2)


def drawn(first, second, effect, alpha=0.05, power=0.8):
    def case(rng):
        x, y = rng.normal(100 + 30 * effect, 30, first), rng.normal(100, 20, second)
        x, y = x - x.mean() + 100 + 30 * effect, y - y.mean() + 100  # so that the difference is what it is said to be
        return {"first": x, "second": y, "alpha": alpha, "power": power}

    return case


def any_level(rng):
    """A case whose level and power stand in no table."""
    return drawn(6, 5, 0.4, float(rng.uniform(0.01, 0.2)), float(rng.uniform(0.6, 0.97)))(rng)


# Needs 100.07 seeds, and 99.96 with quantiles that are rounded to 1.96 and 0.84.
ROUNDED = {"first": [1, 2, 3], "second": [-1, 9], "alpha": 0.05, "power": 0.8}

EXERCISE = implement(
    seeds_for,
    title="How many seeds?",
    goal="Decide before the runs how many seeds a difference needs.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "The difference of two means of n seeds has the variance (s₁² + s₂²)/n. It is found if it is larger than "
        "z_{1-α/2} of its standard deviations, and that should happen with probability `power`. Solve for n.",
        "`torch.special.ndtri` (of a tensor in float64) is Φ⁻¹. Square (z_{1-α/2} + z_power), times the sum of the "
        "variances, over the squared difference; `math.ceil`.",
    ],
    checks={
        "80 %": Check(
            2,
            "At 5 % and 80 %, (1.960 + 0.842)² = 7.85.",
            [
                {"first": [1, 3], "second": [4, 8], "alpha": 0.05, "power": 0.8},
                drawn(5, 5, 0.8),
                drawn(4, 7, 1.0),
                drawn(5, 5, 0.2),
            ],
        ),
        "level and power": Check(
            2,
            "A smaller α and a larger power need more seeds; the test is two-sided.",
            [
                drawn(5, 5, 0.7, 0.01),
                drawn(5, 5, 0.6, 0.1, 0.9),
                drawn(6, 4, 0.5, 0.05, 0.95),
                any_level,
                ROUNDED,
            ],
        ),
        "whole seeds": Check(
            1,
            "A part of a seed cannot be trained: round up.",
            [{"first": [1, 3], "second": [4, 7], "alpha": 0.05, "power": 0.8}, drawn(5, 5, 2.9), drawn(4, 4, 3.7)],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "A one-sided test: α is divided between both sides.": ("1 - alpha / 2", "1 - alpha"),
        "The power is left out: at this n the difference is found in half of the experiments.": (
            "z(1 - alpha / 2) + z(power)",
            "z(1 - alpha / 2)",
        ),
        "Both sides take the seeds that you counted together: n is the number on either side.": (
            "math.ceil(needed)",
            "math.ceil(2 * needed)",
        ),
        "The mean of the two variances, which forgets that both means scatter: it is their sum.": (
            "first.var() + second.var()",
            "(first.var() + second.var()) / 2",
        ),
        "Standard deviations are added; it is variances that add.": (
            "first.var() + second.var()",
            "(first.std() + second.std()) ** 2",
        ),
        "The variances divide by n: with a small pilot that is too small. torch's default is n - 1.": (
            "first.var() + second.var()",
            "first.var(unbiased=False) + second.var(unbiased=False)",
        ),
        "The effect is not squared: half the difference needs four times the seeds.": (
            "difference**2",
            "difference.abs()",
        ),
        "The z values are squared one by one: they are added first.": (
            "(z(1 - alpha / 2) + z(power)) ** 2",
            "(z(1 - alpha / 2) ** 2 + z(power) ** 2)",
        ),
        "Rounded down: that is one seed too few.": ("math.ceil(needed)", "math.floor(needed)"),
        "The spread of `first` only: both sides scatter.": ("first.var() + second.var()", "2 * first.var()"),
        "One of the two quantiles has the wrong sign: z_{1-α/2} and z_power are both positive, and are added.": (
            "z(power)",
            "z(1 - power)",
        ),
        "The variance of one side only: both means scatter.": ("first.var() + second.var()", "first.var()"),
        "Standard deviations stand where variances belong.": (
            "first.var() + second.var()",
            "first.std() + second.std()",
        ),
        "The sum of the z values is not squared.": (") ** 2 * (", ") * ("),
        "Seeds are whole: round up.": ("math.ceil(needed)", "needed"),
        "Rounded to the nearest number: that may be one seed too few. Round up.": (
            "math.ceil(needed)",
            "round(needed.item())",
        ),
        "Both sides are counted together: the number on either side is asked for.": (
            "math.ceil(needed)",
            "2 * math.ceil(needed)",
        ),
        "One seed is added: the formula alone is asked for.": ("math.ceil(needed)", "math.ceil(needed) + 1"),
        "All scores are thrown together: their variance holds the difference itself.": (
            "first.var() + second.var()",
            "torch.cat([first, second]).var()",
        ),
        "The scores are paired: the two sides are different seeds here.": (
            "first.var() + second.var()",
            "(first - second).var()",
        ),
        "The power is taken to be 80 % whatever is given.": ("z(power)", "0.8416"),
        "The level is taken to be 5 % whatever is given.": ("z(1 - alpha / 2)", "1.96"),
        "The difference is that of the medians: the means' is asked for.": (
            "first.mean() - second.mean()",
            "first.median() - second.median()",
        ),
        "The z values are multiplied: they are added, then squared.": (
            "z(1 - alpha / 2) + z(power)",
            "z(1 - alpha / 2) * z(power)",
        ),
        "The variances are divided by the pilot's numbers of seeds: those of single seeds are asked for.": (
            "first.var() + second.var()",
            "first.var() / len(first) + second.var() / len(second)",
        ),
        "This is the root of the number of seeds.": ("math.ceil(needed)", "math.ceil(needed**0.5)"),
        "The rule of thumb 16/d² is for 5 % and 80 % only, and a little too large: use the level and power given.": (
            "(z(1 - alpha / 2) + z(power)) ** 2",
            "8",
        ),
        "Level and power are taken to be 5 % and 80 % whatever is given.": (
            "z(1 - alpha / 2) + z(power)",
            "1.96 + 0.8416",
        ),
        "The 16 of the rule of thumb goes with the variance of one side: of both together it is (z_{1-α/2} + "
        "z_power)².": (
            "(z(1 - alpha / 2) + z(power)) ** 2",
            "16",
        ),
        "The level is left out: z_{1-α/2} is how far a difference must lie to be called significant.": (
            "z(1 - alpha / 2) + z(power)",
            "z(power)",
        ),
        "The difference is not squared, and its sign is that of n.": ("difference**2", "difference"),
        "The variance of all scores together holds the difference itself: add the two sides' own.": (
            "first.var() + second.var()",
            "2 * torch.cat([first, second]).var()",
        ),
        "Φ stands in the place of its inverse: z is a quantile.": ("torch.special.ndtri", "torch.special.ndtr"),
        "The fraction is upside down: a small difference needs many seeds.": (
            "math.ceil(needed)",
            "math.ceil(1 / needed)",
        ),
        "α and power are in each other's place.": "f(first, second, 1 - power, 1 - alpha)",
        "The variances are pooled by their degrees of freedom: each side counts alike, as each gets n seeds.": (
            "first.var() + second.var()",
            "2 * ((len(first) - 1) * first.var() + (len(second) - 1) * second.var()) / (len(first) + len(second) - 2)",
        ),
        "`alpha` and `power` are not used: 2.8 = 1.96 + 0.84 belongs to 5 % and 80 %.": (
            "z(1 - alpha / 2) + z(power)",
            "2.8",
        ),
    },
)
