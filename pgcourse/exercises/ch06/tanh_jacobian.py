"""The density of a squashed Gaussian."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, gradient


def squashed_log_prob(u, mean, log_std):
    """Σ_i log N(u_i) - log |da_i/du_i| with a = tanh u, whose derivative is written as 4/(e^u + e^-u)².

    Haarnoja et al. (2018), appendix C, eq. 21, which writes it as 1 - tanh² u.
    """
    log_slope = 2 * (np.log(2) - torch.logaddexp(u, -u))
    return (torch.distributions.Normal(mean, log_std.exp()).log_prob(u) - log_slope).sum(-1)


def drawn(shape, middle=0.0, spread=1.0):
    """A case of u around ± middle, near their means."""

    def case(rng):
        mean = middle * rng.choice([-1.0, 1.0], shape) + rng.normal(0.0, spread, shape)
        log_std = rng.uniform(-0.5, 0.3, shape[-1])
        return {"u": mean + np.exp(log_std) * rng.normal(size=shape), "mean": mean, "log_std": log_std}

    return case


def policy(rng):
    """A case for the integral: one joint's policy, and a grid of actions between the limits."""
    u = np.linspace(-9, 9, 3001)[:, None]
    return {"u": u, "mean": rng.normal(0.0, 0.5, 1), "log_std": rng.uniform(-0.5, 0.0, 1)}


JACOBIAN = "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))"

NAIVE = (JACOBIAN, "(1 - u.tanh() ** 2).log()")
WITH_EPSILON = (JACOBIAN, "(1 - u.tanh() ** 2 + 1e-6).log()")

EXERCISE = gradient(
    squashed_log_prob,
    title="The Jacobian of tanh",
    goal="Write the log-density of a squashed Gaussian that stays right where tanh is 1 to the last digit.",
    minutes=20,
    difficulty=3,
    importance=4,
    hints=[
        "Probability is conserved: π(a) da = N(u) du. And 1 - tanh² u rounds to 0 from about u = 9 on in float32: "
        "rewrite it before you take the logarithm.",
        "1 - tanh² u = 4 e^(-2u) / (1 + e^(-2u))², so its logarithm is 2 (log 2 - u - softplus(-2u)), which never "
        "overflows. Subtract it from log N(u), and sum over the joints.",
    ],
    checks={
        "values": Check(
            2,
            "log π(a) = log N(u; μ, σ²) - log(1 - tanh² u).",
            [{"u": [0], "mean": [0], "log_std": [0]}, {"u": [1], "mean": [0], "log_std": [0]}, drawn((5, 1))],
        ),
        "joints": Check(
            1,
            "Sum over the last axis, the joints: probabilities multiply.",
            [drawn((4, 3)), drawn((3, 3)), drawn((2, 3, 2))],
            leaves_input_alone=True,
        ),
        "far out": Check(
            2,
            "From about u = 9 on tanh u is 1 in float32, and log(1 - tanh² u) is log 0. Write tanh with exponentials, "
            "and simplify before you take the logarithm.",
            [
                {"u": [20, -20], "mean": [19, -19], "log_std": [0, 0]},
                {"u": [6.5, -6.5], "mean": [6, -6], "log_std": [0, 0]},
                drawn((4, 2), 12.0),
                drawn((4, 2), 100.0),
            ],
            requires="u may be ±100",
        ),
        "gradient": Check(
            2,
            "The gradient by u is -(u - μ)/σ² + 2 tanh u for each joint, far out as well.",
            [drawn((4, 2)), drawn((4, 2), 12.0), drawn((4, 2), 100.0)],
            gradient=("u", "mean", "log_std"),
        ),
        "a density": Check(
            1,
            "Over a from -1 to 1 the density must integrate to 1.",
            [policy, policy],
            through="torch.trapezoid(f(u, mean, log_std).exp(), torch.as_tensor(u)[:, 0].tanh())",
            tolerance=(2e-3, 2e-3),
        ),
    },
    mistakes={
        "The Jacobian is missing: this is the density of u, not of a.": ("log_prob - log_slope", "log_prob"),
        "The Jacobian is added: where tanh is flat, much u falls on little a, and the density is high.": (
            "log_prob - log_slope",
            "log_prob + log_slope",
        ),
        "The Jacobian is added, and it is log 0 far out: subtract it, and rewrite 1 - tanh² u first.": [
            ("log_prob - log_slope", "log_prob + log_slope"),
            NAIVE,
        ],
        "The Jacobian is added, and an ε is all that is left of it far out: subtract it, and rewrite 1 - tanh² u.": [
            ("log_prob - log_slope", "log_prob + log_slope"),
            WITH_EPSILON,
        ],
        "The constant ½ log 2π is missing, and far out the Jacobian is log 0: rewrite 1 - tanh² u.": [
            (" - 0.5 * math.log(2 * math.pi)", ""),
            NAIVE,
        ],
        "log σ is missing in the Gaussian's density, and far out the Jacobian is log 0: rewrite 1 - tanh² u.": [
            (" - log_std -", " -"),
            NAIVE,
        ],
        "Far out 1 - tanh² u is 0, and its logarithm -∞: rewrite it before taking the logarithm.": (NAIVE),
        "An ε in the logarithm hides the -∞, but far out the density is log ε whatever u is, and its gradient is "
        "gone.": (WITH_EPSILON),
        "A clamp hides the -∞, but far out the density is wrong and its gradient gone.": (
            JACOBIAN,
            "(1 - u.tanh() ** 2).clamp(min=1e-6).log()",
        ),
        "1 - tanh u in place of 1 - tanh² u: the derivative of tanh has a square.": (
            JACOBIAN,
            "(math.log(2) - 2 * u - torch.nn.functional.softplus(-2 * u))",
        ),
        "The exponential overflows from u = -45 on: softplus does not.": (
            JACOBIAN,
            "(math.log(4) - 2 * u - 2 * (1 + (-2 * u).exp()).log())",
        ),
        "float64 only moves the limit: from about |u| = 19 on tanh u is 1 there, too. Rewrite the logarithm.": (
            JACOBIAN,
            "(1 - u.double().tanh() ** 2).log()",
        ),
        "cosh overflows from u = 90 on: write it with softplus.": (JACOBIAN, "-2 * u.cosh().log()"),
        "The sign in softplus: 1 - tanh² u is the same for u and -u, yours is not.": (
            "softplus(-2 * u)",
            "softplus(2 * u)",
        ),
        "Half the Jacobian: 1 - tanh² u has (1 + e^(-2u)) squared.": (JACOBIAN, f"0.5 * {JACOBIAN}"),
        "The Jacobian is taken at z = (u - μ)/σ: it belongs to u.": [
            (JACOBIAN, JACOBIAN.replace("u -", "z -").replace("* u", "* z"))
        ],
        "The Jacobian is taken at the mean: it belongs to u.": [
            (JACOBIAN, JACOBIAN.replace("u -", "mean -").replace("* u", "* mean"))
        ],
        "The joints are averaged: probabilities multiply, so their logarithms are summed.": (".sum(-1)", ".mean(-1)"),
        "The joints are not summed: an action has one log-probability.": (".sum(-1)", ""),
        "The result has an axis more: the joints are summed away.": (".sum(-1)", ".sum(-1, keepdim=True)"),
        "The sum runs over everything: only over the joints.": (".sum(-1)", ".sum()"),
        "log σ is taken for σ: use its exponential.": ("log_std.exp()", "log_std"),
        "log σ is missing in the Gaussian's density.": (" - log_std -", " -"),
        "The constant ½ log 2π is missing: a density integrates to 1.": (" - 0.5 * math.log(2 * math.pi)", ""),
        "This is the density, not its logarithm.": "f(*a).exp()",
        "No gradient is left: u was detached.": "f(u.detach(), mean, log_std)",
        "The Jacobian is detached: it has no part in the score, but u's gradient goes through it.": (
            "log_prob - log_slope",
            "log_prob - log_slope.detach()",
        ),
        "The softplus is missing: log(1 - tanh² u) = 2 (log 2 - u - softplus(-2u)).": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "2 * (math.log(2) - u)",
        ),
        "tanh is missing in the Jacobian: it is 1 - tanh² u, not 1 - u².": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "(1 - u.square() + 1e-6).log()",
        ),
        "The square is missing: the slope of tanh is 1 - tanh² u.": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "(1 - u.tanh()).log()",
        ),
        "softplus of -u: it is that of -2u.": ("softplus(-2 * u)", "softplus(-u)"),
        "u has the wrong sign in the Jacobian.": ("math.log(2) - u", "math.log(2) + u"),
        "log 2 is missing in the Jacobian: at u = 0 its logarithm is 0.": ("math.log(2) - u", "-u"),
        "log σ is added: a narrow policy has a high density.": ("- log_std - 0.5", "+ log_std - 0.5"),
        "The ½ before z² is missing.": ("-0.5 * z.square()", "-z.square()"),
        "The Jacobian is averaged over the joints: its logarithms add up.": (
            "(log_prob - log_slope).sum(-1)",
            "log_prob.sum(-1) - log_slope.mean(-1)",
        ),
        "tanh u is measured against μ: the Gaussian is that of u.": (
            "(u - mean) / log_std.exp()",
            "(u.tanh() - mean) / log_std.exp()",
        ),
        "u is clamped in the Jacobian: beyond the limit it does not grow any more, and has no gradient.": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "2 * (math.log(2) - u.clamp(-10, 10) - torch.nn.functional.softplus(-2 * u.clamp(-10, 10)))",
        ),
        "The slope is clamped before the logarithm: far out it stops growing, and has no gradient.": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "(1 - u.tanh().square()).clamp(min=1e-30).log()",
        ),
        "μ is squashed: the Gaussian has the mean μ.": ("(u - mean)", "(u - mean.tanh())"),
        "|u| stands in one place only: put it in both, or in neither, where softplus does right by both signs.": (
            "softplus(-2 * u)",
            "softplus(-2 * u.abs())",
        ),
        "The sum runs along the first axis: joints are the last one.": (".sum(-1)", ".sum(0)"),
        "u is recovered from tanh u: far out that is ±1, whose atanh is infinite. u itself is given.": (
            "(u - mean)",
            "(u.tanh().atanh() - mean)",
        ),
        "u is recovered from a clamped tanh u: far out it is then another u. u itself is given.": (
            "(u - mean)",
            "(u.tanh().clamp(-1 + 1e-6, 1 - 1e-6).atanh() - mean)",
        ),
        "z is divided by σ²: it is (u - μ)/σ.": ("/ log_std.exp()", "/ (2 * log_std).exp()"),
        "`where` hides the -∞ in the value, and not in the gradient: 0 times infinity is NaN. Rewrite the logarithm.": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "torch.where(u.abs() < 8, (1 - u.tanh().square()).log(), 2 * math.log(2) - 2 * u.abs())",
        ),
        "The logarithm of the slope is missing.": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "(1 - u.tanh().square())",
        ),
        "This is right far out only: near u = 0 the rest, softplus(-2|u|), is not small.": (
            "2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))",
            "2 * (math.log(2) - u.abs())",
        ),
    },
)
