"""How fast the mean of a Gaussian learns whose actions are cut to their bounds."""

import numpy as np

from pgcourse.grading.kinds import Check, derive


def slope(mu, sigma, b, c):
    """d/dμ E f(clip(x)) for x ~ N(μ, σ²), f(a) = b a + c a², by the score function on a fine grid of x."""
    e = np.linspace(-9.0, 9.0, 36_001)
    density = np.exp(-(e**2) / 2) / np.sqrt(2 * np.pi) * (e[1] - e[0])
    a = np.clip(mu[..., None] + sigma[..., None] * e, -1.0, 1.0)
    at_mean = np.clip(mu, -1.0, 1.0)[..., None]  # a baseline: it takes away what the grid's error would multiply
    worth = b[..., None] * (a - at_mean) + c[..., None] * (a**2 - at_mean**2)
    return (worth * e * density).sum(-1) / sigma


def given(mu, sigma, b, c):
    return {"mu": mu, "sigma": sigma, "b": b, "c": c}


def drawn(b=1.0, c=1.0, wide=1.5):
    """Five Gaussians with means from -`wide` to `wide`; worths of the size of b and c."""

    def case(rng):
        signs = rng.choice([-1.0, 1.0], (2, 5)) * rng.uniform(0.5, 2.0, (2, 5))
        return given(rng.uniform(-wide, wide, 5), rng.uniform(0.1, 0.8, 5), b * signs[0], c * signs[1])

    return case


INSIDE = "torch.special.ndtr(high) - torch.special.ndtr(low)"
MEAN = "mu * inside + sigma * (density(low) - density(high))"

EXERCISE = derive(
    slope,
    title="A mean beyond the bounds",
    goal="Work out how fast a mean learns that lies where the world cuts its actions off.",
    minutes=25,
    difficulty=3,
    importance=4,
    hints=[
        "Write x = μ + σε and differentiate under the expectation. What is the derivative of f(clip(x)) where x is "
        "outside the bounds? And what is it inside?",
        "It is E[(b + 2c x) 1{|x| < 1}]. The first part is b (Φ(h) - Φ(l)) with h = (1 - μ)/σ and l = (-1 - μ)/σ; for "
        "the second, x = μ + σε, and ∫ ε φ(ε) dε from l to h is φ(l) - φ(h).",
    ],
    checks={
        "a straight line": Check(
            2,
            "With c = 0 the slope is b times the probability of being inside. Near, but with the scatter of draws? The "
            "integral is asked for.",
            [given([0.0], [0.5], [1.0], [0.0]), given([1.0, -1.0], [0.2, 0.3], [1.0, 2.0], [0.0, 0.0]), drawn(c=0.0)],
        ),
        "a parabola": Check(
            3,
            "With b = 0: inside, the derivative of c a² is 2c x, and x is not μ.",
            [given([0.0], [0.5], [0.0], [1.0]), given([0.9], [0.4], [0.0], [-1.0]), drawn(b=0.0), drawn(b=0.0)],
        ),
        "both": Check(
            1,
            "Each Gaussian has its own μ, σ, b and c.",
            [drawn(), drawn(wide=0.5)],
            leaves_input_alone=True,
        ),
        "far beyond": Check(
            1,
            "Three σ beyond the bound hardly a thousandth of the slope is left, on either side.",
            [
                given([1.6, -1.6], [0.2, 0.2], [1.0, 1.0], [0.0, 0.0]),
                given([1.4, -1.4], [0.2, 0.2], [0.0, 0.0], [1.0, 1.0]),
            ],
            tolerance=(2e-3, 1e-7),
        ),
        "narrow and wide": Check(
            1,
            "Where σ is tiny the slope is f'(μ), as if there were no bounds. Where it is large, little is inside.",
            [given([0.3, -0.5], [0.02, 0.02], [1.0, -1.0], [0.5, 2.0]), given([0.3], [6.0], [1.0], [0.5])],
        ),
    },
    mistakes={
        "The slope is f' at the mean here: where x is cut off, nothing depends on μ any more.": "b + 2 * c * mu",
        "f' at the mean times the probability of being inside: inside, the mean of x is not μ.": (MEAN, "mu * inside"),
        "f' is taken at the mean that is cut off: the cut comes after the noise.": "b + 2 * c * mu.clamp(-1, 1)",
        "This is the probability of being outside: there nothing depends on μ.": (INSIDE, f"1 - ({INSIDE})"),
        "Only the upper bound cuts here: the lower one does, too.": [
            (INSIDE, "torch.special.ndtr(high)"),
            ("density(low) - density(high)", "-density(high)"),
        ],
        "Only the lower bound cuts here: the upper one does, too.": [
            (INSIDE, "1 - torch.special.ndtr(low)"),
            ("density(low) - density(high)", "density(low)"),
        ],
        "What is cut off counts with the slope at the bound: it does not move with μ.": (
            "b * inside + 2 * c * mean_inside",
            "b + 2 * c * (mean_inside + torch.special.ndtr(-high) - torch.special.ndtr(low))",
        ),
        "The derivative of c a² is 2c a: the 2 is missing.": ("2 * c *", "c *"),
        "∫ ε φ(ε) dε from l to h is φ(l) - φ(h), with l = (-1 - μ)/σ: it stands the other way round.": (
            "density(low) - density(high)",
            "density(high) - density(low)",
        ),
        "The σ in front of φ(l) - φ(h) is missing: x = μ + σε.": (MEAN, "mu * inside + density(low) - density(high)"),
        "σ² stands in front of φ(l) - φ(h): x = μ + σε has one σ.": ("+ sigma *", "+ sigma**2 *"),
        "1/σ stands in front of φ(l) - φ(h): x = μ + σε.": (
            "sigma * (density(low) - density(high))",
            "(density(low) - density(high)) / sigma",
        ),
        "The bounds are not brought to the noise's scale: ε is inside from (-1 - μ)/σ to (1 - μ)/σ.": (
            "(-1 - mu) / sigma, (1 - mu) / sigma",
            "-1 - mu, 1 - mu",
        ),
        "The bounds are divided by σ²: ε = (x - μ)/σ.": (
            "(-1 - mu) / sigma, (1 - mu) / sigma",
            "(-1 - mu) / sigma**2, (1 - mu) / sigma**2",
        ),
        "μ is not taken away from the bounds: ε = (x - μ)/σ.": (
            "(-1 - mu) / sigma, (1 - mu) / sigma",
            "-1 / sigma, 1 / sigma",
        ),
        "The lower bound is 0 here: it is -1.": ("(-1 - mu) / sigma", "-mu / sigma"),
        "This is the mean of f' over what is inside: the probability of being inside belongs to it.": (
            "return b * inside + 2 * c * mean_inside",
            "return b + 2 * c * mean_inside / inside",
        ),
        "The densities at the bounds stand where the probability does: Φ(h) - Φ(l).": (
            INSIDE,
            "density(high) - density(low)",
        ),
        "φ lacks 1/√(2π).": (" / (2 * torch.pi) ** 0.5", ""),
        "The exponent of φ is -z²/2, not -z².": ("torch.exp(-(z**2) / 2)", "torch.exp(-(z**2))"),
        "erf is not Φ: Φ(z) = (1 + erf(z/√2))/2.": (INSIDE, "(torch.erf(high) - torch.erf(low)) / 2"),
        "erf is not Φ: Φ(z) = (1 + erf(z/√2))/2, and the ½ is missing.": (
            INSIDE,
            "torch.erf(high / 2**0.5) - torch.erf(low / 2**0.5)",
        ),
        "The logistic function is not Φ.": (INSIDE, "torch.sigmoid(high) - torch.sigmoid(low)"),
        "The bounds are swapped: Φ(h) - Φ(l).": (INSIDE, "torch.special.ndtr(low) - torch.special.ndtr(high)"),
        "The slope has the wrong sign: a larger mean makes a larger action.": "-f(*a)",
        "This is by log σ: the slope by μ is asked for.": "sigma * f(*a)",
        "This is by (μ/σ): the slope by μ is asked for.": "f(*a) / sigma",
        "b and c are swapped: f(a) = b a + c a².": "f(mu, sigma, c, b)",
        "b is not used: f(a) = b a + c a².": "f(mu, sigma, 0 * b, c)",
        "c is not used: f(a) = b a + c a².": "f(mu, sigma, b, 0 * c)",
        "The sum over the Gaussians: each has a slope of its own.": "f(*a).sum().expand_as(mu)",
        "One Gaussian's slope for all: each has its own.": "f(*a)[:1].expand_as(mu)",
        "f' at the mean that is cut off, times the probability of being inside: inside, the mean of x is neither μ nor "
        "the bound.": (MEAN, "mu.clamp(-1, 1) * inside"),
    },
)
