"""What a steered machine earns by standing still."""

import numpy as np

from pgcourse.grading.kinds import Check, derive


def standing_pay(width, moves, s):
    """E exp(-|v*|²/s) over commands v*, by the midpoint rule; a machine that stands is |v*| away from what is asked.

    The reward for following of MuJoCo Playground's joystick tasks (Zakka et al. 2025). Each of two speeds is uniform
    between ±width with probability `moves`, and else 0, independently.
    """
    middles = (np.arange(20_000) + 0.5) / 20_000  # of the upper half; the lower one is paid the same
    pay = 0.0
    for first in (0, 1):
        for second in (0, 1):
            chance = [moves[k] if on else 1 - moves[k] for k, on in enumerate((first, second))]
            parts = [np.exp(-((on * width[k] * middles) ** 2) / s).mean() for k, on in enumerate((first, second))]
            pay += np.prod(chance) * np.prod(parts)
    return pay


def asked(width, moves, s=0.25):
    return {"width": width, "moves": moves, "s": s}


def drawn(rng):
    return asked(rng.uniform(0.3, 2.0, 2), rng.uniform(0.2, 0.9, 2), float(rng.uniform(0.1, 0.6)))


UNIFORM = "torch.pi**0.5 * root / (2 * width) * torch.erf(width / root)"

EXERCISE = derive(
    standing_pay,
    title="What standing still earns",
    goal="Work out what a reward pays for doing nothing, before a machine finds it out.",
    minutes=20,
    difficulty=3,
    importance=4,
    hints=[
        "The square of a length is a sum, so the exponential is a product, and the two speeds are independent. What is "
        "the mean of exp(-v²/s) over one of them, where it moves?",
        "A uniform density is 1/(2a) between ±a. With u = v/√s the integral of exp(-v²/s) over it is √(πs)/(2a) "
        "erf(a/√s). Where the speed is 0 the factor is 1: mix the two with `moves`, then multiply the axes.",
    ],
    checks={
        "one speed": Check(
            2,
            "The second speed is never asked for: the mean of exp(-v²/s) over a uniform v between ±width[0]. Near, but "
            "with the scatter of draws? The integral is asked for.",
            [asked([1.5, 0.8], [1, 0]), asked([0.4, 1.0], [1, 0], 0.5), asked([0.9, 2.0], [1, 0], 0.1)],
        ),
        "sometimes": Check(
            2,
            "With probability 1 - moves the speed that is asked for is 0, and standing still is paid in full.",
            [asked([1.5, 0.8], [0.5, 0]), asked([1.0, 0.8], [0.2, 0], 0.4), asked([1.0, 0.8], [0, 0])],
        ),
        "two speeds": Check(
            2,
            "The two are independent, and exp(-(v² + w²)/s) is a product.",
            [asked([1.5, 0.8], [1, 1]), drawn, drawn, drawn],
        ),
        "the machine's own": Check(
            1,
            "Go1's joystick, redrawn: up to 1.5 m/s ahead in nine of ten cases, up to 0.8 m/s aside in a quarter.",
            [asked([1.5, 0.8], [0.9, 0.25])],
            leaves_input_alone=True,
        ),
        "narrow and wide": Check(
            1,
            "Where hardly anything is asked for, standing is worth 1; where very much is, √(πs)/(2a).",
            [asked([0.01, 0.8], [1, 0]), asked([20.0, 0.8], [1, 0]), asked([20.0, 0.01], [1, 1], 1.0)],
        ),
    },
    mistakes={
        "The two speeds' factors are added: they are independent, and the exponential of a sum is a product.": (
            ".prod()",
            ".sum()",
        ),
        "This is the mean of the two speeds' factors: they are to be multiplied.": (".prod()", ".mean()"),
        "Both factors are returned: what is paid is their product.": (".prod()", ""),
        "Where a speed is 0 nothing is paid here: standing still is exactly right then, and paid 1.": (
            "1 - moves + moves",
            "moves",
        ),
        "`moves` is the probability that a speed is asked for, not that it is 0.": (
            "1 - moves + moves * uniform",
            "moves + (1 - moves) * uniform",
        ),
        "`moves` is not used: with probability 1 - moves a speed is 0.": ("1 - moves + moves * uniform", "uniform"),
        "The density of a uniform number between ±a is 1/(2a), not 1/a.": ("(2 * width)", "width"),
        "Only the upper half of the commands is integrated: they reach from -width to width.": (
            "(2 * width)",
            "(4 * width)",
        ),
        "The exponent is -v²/s, not -v²/(2s): this is not the density of a normal distribution.": (
            "root = s**0.5",
            "root = (2 * s) ** 0.5",
        ),
        "s stands where √s belongs: u = v/√s.": ("root = s**0.5", "root = s"),
        "The erf lacks the root: erf(a/√s).": ("erf(width / root)", "erf(width / s)"),
        "The erf is that of the normal distribution function, with √2: here it is erf(a/√s).": (
            "erf(width / root)",
            "erf(width / (root * 2**0.5))",
        ),
        "√π is missing: the integral of exp(-u²) from 0 to x is √π/2 erf(x).": ("torch.pi**0.5 * ", ""),
        "π stands where √π belongs.": ("torch.pi**0.5", "torch.pi"),
        "√s is missing in front: dv = √s du.": ("torch.pi**0.5 * root", "torch.pi**0.5"),
        "The erf is missing: that holds only where commands reach far beyond √s.": (" * torch.erf(width / root)", ""),
        "The mean square of the commands is put into the exponential: the mean of a function is not the function "
        "of the mean.": "torch.exp(-(moves * width**2 / 3).sum() / s)",
        "This is the pay at the largest commands: take the mean over all of them.": (
            UNIFORM,
            "torch.exp(-(width**2) / s)",
        ),
        "This is the pay at the mean size of the commands: take the mean of the pay.": (
            UNIFORM,
            "torch.exp(-((width / 2) ** 2) / s)",
        ),
        "Only the first speed counts here.": (".prod()", "[0]"),
        "Only the second speed counts here.": (".prod()", "[1]"),
        "This is what standing loses: 1 minus its pay.": "1 - f(*a)",
        "The two are mixed by a power: with probability `moves` the factor is the integral, else 1.": (
            "1 - moves + moves * uniform",
            "uniform**moves",
        ),
        "One throw decides for both speeds here: each has its own.": (
            "(1 - moves + moves * uniform).prod()",
            "1 - moves[0] + moves[0] * uniform.prod()",
        ),
        "The root of the product is taken: |v|² is v² + w² already.": "f(*a) ** 0.5",
        "The pay falls with the error's size here, exp(-|v|/s): it falls with its square.": (
            UNIFORM,
            "s / width * (1 - torch.exp(-width / s))",
        ),
        "The erf's argument is upside down: erf(a/√s).": ("erf(width / root)", "erf(root / width)"),
        "The widths of the two speeds, or their probabilities, are swapped.": "f(width, moves.flip(0), s)",
        "Both speeds are as wide as the first.": "f(width[[0, 0]], moves, s)",
        "s is 0.25 whatever was given: use the argument.": "f(width, moves, 0.25)",
        "This is half the pay.": "f(*a) / 2",
        "This is twice the pay.": "2 * f(*a)",
        "Both speeds move here, or none does: one may be 0 while the other is not.": (
            "(1 - moves + moves * uniform).prod()",
            "moves.prod() * uniform.prod() + (1 - moves).prod()",
        ),
    },
)
