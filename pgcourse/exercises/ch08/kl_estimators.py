"""Three estimators of the KL divergence."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def kl_estimators(log_ratio):
    """k1, k2, k3 from r = π_θ(a|s) / π_old(a|s). Schulman (2020), "Approximating KL divergence"."""
    ratio = np.exp(log_ratio)
    each = {"k1": np.log(1 / ratio), "k2": np.log(ratio) ** 2 / 2, "k3": ratio - 1 - np.log(ratio)}
    return each | {"unbiased": {"k1": True, "k2": False, "k3": True}}


def drawn(*shape):
    return lambda rng: {"log_ratio": rng.uniform(-1.0, 1.0, shape)}


def policies(rng):
    """Two policies of four actions, whose mean under the old one is a sum over all actions."""
    old, new = rng.dirichlet(np.ones(4), 2) * 0.8 + 0.05
    return {"log_ratio": np.log(new / old), "old": old}


def divergence(value, arguments, rng):
    """KL(π_old ‖ π_θ) = Σ_a π_old log(π_old / π_θ), in place of the estimators' means."""
    old = np.float64(arguments["old"])
    new = old * np.exp(np.float64(arguments["log_ratio"]))
    wanted = np.sum(old * np.log(old / new))
    try:
        given = float(value)
    except (TypeError, ValueError):
        return "not a number"
    return "" if abs(given - wanted) < 1e-4 else f"mean over the old policy {given:.4g}, KL divergence {wanted:.4g}"


NUMBERS = [{"log_ratio": [np.log(2), -np.log(2), 0]}, drawn(5), drawn(3, 4)]
BIASED = {
    f"{name}, biased or not": Check(
        1,
        "Take the mean under the old policy, Σ π_old k, on paper. What is Σ π_old r?",
        [{"log_ratio": [0.5, -0.5]}],
        through=f'f(log_ratio)["unbiased"]["{name}"]',
    )
    for name in ("k1", "k2", "k3")
}

EXERCISE = implement(
    kl_estimators,
    title="Three estimators of the KL divergence",
    goal="Measure how far an update went, from samples, and know which of the measures is right on average.",
    minutes=15,
    difficulty=2,
    importance=3,
    hints=[
        "The actions are the old policy's; r is the new policy's probability over the old one's. What is r's mean?",
        "k1 is `-log_ratio`, k2 is `0.5 * log_ratio**2`, k3 is `log_ratio.exp() - 1 - log_ratio`. r has mean 1, so k3 "
        "has the mean of k1; k2 has it to second order only.",
    ],
    checks={
        "k1": Check(1, "k1 = -log r.", NUMBERS, through='f(log_ratio)["k1"]', leaves_input_alone=True),
        "k2": Check(1, "k2 = ½ (log r)².", NUMBERS, through='f(log_ratio)["k2"]'),
        "k3": Check(1, "k3 = r - 1 - log r, never negative.", NUMBERS, through='f(log_ratio)["k3"]'),
        "mean": Check(
            1,
            "Over all actions, weighted with π_old, k1 and k3 give KL(π_old ‖ π_θ).",
            [policies],
            through='(old * f(log_ratio)["k3"]).sum()',
            accept=divergence,
        ),
        **BIASED,
    },
    mistakes={
        "k1 has the wrong sign: KL(π_old ‖ π_θ) is the mean of log π_old - log π_θ, and the log-ratio is the other way "
        "round.": ("k1 = -log_ratio", "k1 = log_ratio"),
        "The ½ of k2 is missing.": ("0.5 * log_ratio", "log_ratio"),
        "k2 squares r - 1: it is the logarithm that is squared.": ("log_ratio.square()", "log_ratio.expm1().square()"),
        "k3 is that of the inverse ratio, 1/r - 1 + log r: its mean under the old policy is not the KL divergence. "
        "With actions of π_old it is r - 1 - log r.": (
            "log_ratio.expm1() - log_ratio",
            "(-log_ratio).expm1() + log_ratio",
        ),
        "k3 has the sign of the logarithm wrong: r - 1 + log r can be negative.": (
            "log_ratio.expm1() - log_ratio",
            "log_ratio.expm1() + log_ratio",
        ),
        "The -1 of k3 is missing: it should be 0 where r = 1.": ("log_ratio.expm1()", "log_ratio.exp()"),
        "The log-ratio is taken for r: exponentiate it first.": [
            ("k1 = -log_ratio", "k1 = -log_ratio.log()"),
            ("0.5 * log_ratio", "0.5 * log_ratio.log()"),
            ("log_ratio.expm1() - log_ratio", "log_ratio - 1 - log_ratio.log()"),
        ],
        "These are means: one number for each sample is asked for.": (
            "{name: x if name == 'unbiased' else x.mean() for name, x in f(*a).items()}"
        ),
        "k1 is unbiased: its mean is the definition of the divergence. That single ones are negative is variance, not "
        "bias.": ('"k1": True', '"k1": False'),
        "k2 is biased: it agrees with the divergence to second order only. Try two policies that are far apart.": (
            '"k2": False',
            '"k2": True',
        ),
        "k3 is unbiased: r - 1 has mean 0 under the old policy, so that k3 has the mean of k1.": (
            '"k3": True',
            '"k3": False',
        ),
        "k2 squares the ratio: it is half the square of its logarithm.": (
            "k2 = 0.5 * log_ratio.square()",
            "k2 = 0.5 * log_ratio.exp().square()",
        ),
        "k1 is minus the ratio: it is minus its logarithm.": ("k1 = -log_ratio", "k1 = -log_ratio.exp()"),
        "k1 is averaged: one number for each sample is asked for.": ("k1 = -log_ratio", "k1 = -(log_ratio.mean())"),
        "k3 is r log r - (r - 1), which estimates the other direction: r - 1 - log r.": (
            "k3 = log_ratio.expm1() - log_ratio",
            "k3 = log_ratio.exp() * log_ratio - log_ratio.expm1()",
        ),
        "k1 is weighted with the ratio: that is for actions of the new policy.": (
            "k1 = -log_ratio",
            "k1 = log_ratio.exp() * log_ratio",
        ),
        "k1 lost its sign: a single sample's may be below 0, only the mean is not.": (
            "k1 = -log_ratio",
            "k1 = log_ratio.abs()",
        ),
        "k2 lacks the square.": ("k2 = 0.5 * log_ratio.square()", "k2 = 0.5 * log_ratio"),
        "k3 has 1 - r where r - 1 belongs.": ("log_ratio.expm1() - log_ratio", "1 - log_ratio.exp() - log_ratio"),
        "k3 has the wrong sign: it is never below 0.": (
            "log_ratio.expm1() - log_ratio",
            "-(log_ratio.expm1() - log_ratio)",
        ),
        "k1 and k3 are exchanged.": ('{"k1": k1, "k2": k2, "k3": k3,', '{"k1": k3, "k2": k2, "k3": k1,'),
        "k3 lacks - log r.": ("log_ratio.expm1() - log_ratio", "log_ratio.expm1()"),
        "The log-ratio is exponentiated twice: ℓ is what is given.": ("f(log_ratio.exp())"),
        "k1 is cut off at 0: a single sample's may be below 0, only the mean is not.": (
            "k1 = -log_ratio",
            "k1 = (-log_ratio).clamp(min=0)",
        ),
        "k1 takes another logarithm: ℓ is log r already.": (
            "k1 = -log_ratio",
            "k1 = -log_ratio.log()",
        ),
        "k3 takes ℓ for r: ℓ is log r already, and r is its exponential.": (
            "log_ratio.expm1() - log_ratio",
            "log_ratio - 1 - log_ratio.log()",
        ),
        "k2 has the ½ inside the square, where it becomes ¼.": (
            "0.5 * log_ratio.square()",
            "(0.5 * log_ratio).square()",
        ),
        "k1 and k2 are exchanged.": (
            '{"k1": k1, "k2": k2,',
            '{"k1": k2, "k2": k1,',
        ),
        "k2 and k3 are exchanged.": (
            '"k2": k2, "k3": k3,',
            '"k2": k3, "k3": k2,',
        ),
        "`unbiased` is a list: it is a dictionary, with True or False for each of the three.": (
            '{"k1": True, "k2": False, "k3": True}',
            '["k1", "k3"]',
        ),
        "`unbiased` is missing in what is returned.": (
            ', "unbiased": {"k1": True, "k2": False, "k3": True}',
            "",
        ),
    },
)
