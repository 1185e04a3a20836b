"""The entropy of a Gaussian policy."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, gradient

POINTS, WEIGHTS = (torch.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(8))


def gaussian_entropy(log_std):
    """H = -E[log π(a)], the sum over joints: by Gauss-Hermite quadrature of torch's density, not by the formula."""
    normal = torch.distributions.Normal(torch.zeros_like(log_std).unsqueeze(-1), log_std.exp().unsqueeze(-1))
    log_prob = normal.log_prob(log_std.exp().unsqueeze(-1) * POINTS)
    return -(log_prob * WEIGHTS / WEIGHTS.sum()).sum((-2, -1))


def drawn(shape, low=-1.0, high=1.0):
    return lambda rng: {"log_std": rng.uniform(low, high, shape)}


EXERCISE = gradient(
    gaussian_entropy,
    title="The entropy and its gradient",
    goal="Know what an entropy bonus does to a Gaussian policy.",
    minutes=10,
    difficulty=2,
    importance=3,
    hints=[
        "H = -E[log N(a)]. What is the mean of z² = ((a - μ)/σ)²?",
        "One joint has log σ + ½ log(2π) + ½. Sum over the last axis, constant included.",
    ],
    checks={
        "one joint": Check(
            2,
            "H = -E[-z²/2 - log σ - ½ log 2π], and E[z²] = 1.",
            [{"log_std": [0]}, {"log_std": [-2]}, drawn((1,))],
        ),
        "many joints": Check(
            2,
            "Independent joints: entropies add up, the constant of each included. Sum over the last axis only.",
            [{"log_std": [0, 0]}, drawn((3,)), drawn((4, 2)), drawn((2, 3, 4))],
            leaves_input_alone=True,
        ),
        "gradient": Check(
            2,
            "∂H/∂log σ_i = 1 for each joint, however wide or narrow the policy is.",
            [drawn((1,)), drawn((3,)), drawn((4, 2)), drawn((2, 2), -8.0, -5.0)],
            gradient=("log_std",),
        ),
    },
    mistakes={
        "The ½ from E[z²]/2 is missing: H has ½ log(2πe), not ½ log(2π).": ("2 * math.pi * math.e", "2 * math.pi"),
        "The ½ before the logarithm is missing.": ("0.5 * math.log", "math.log"),
        "σ stands where log σ belongs.": ("log_std +", "log_std.exp() +"),
        "log σ is taken for log σ²: half of it is added.": ("log_std +", "0.5 * log_std +"),
        "log σ² stands where log σ belongs: twice too much.": ("log_std +", "2 * log_std +"),
        "The logarithm is taken twice: log σ is given.": ("log_std +", "log_std.log() +"),
        "The constant counts once for each joint, not once for all.": (
            "(log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)",
            "log_std.sum(-1) + 0.5 * math.log(2 * math.pi * math.e)",
        ),
        "The constant is missing: log σ alone is not the entropy.": " log_std.sum(-1)".strip(),
        "The joints are averaged: entropies of independent joints add up.": (".sum(-1)", ".mean(-1)"),
        "The sum runs over everything: only over the joints, the last axis.": (".sum(-1)", ".sum()"),
        "The joints are not summed.": (".sum(-1)", ""),
        "Entropies add up, they do not multiply.": (".sum(-1)", ".prod(-1)"),
        "Sign flipped? A wide policy has a high entropy.": "-f(*a)",
        "No gradient is left: a bonus made of this number trains nothing, silently.": "f(log_std.detach())",
        "log σ is clamped here: a collapsed σ then gets no gradient, and never comes "
        "back.": "f(log_std.clamp(-4.0, 4.0))",
        "In bits: the course measures in nats.": "f(*a) / math.log(2)",
        "The constant is subtracted: H = log σ + ½ log(2πe).": ("(log_std + 0.5", "(log_std - 0.5"),
        "log σ is subtracted: a wider policy has a higher entropy.": ("log_std + 0.5", "-log_std + 0.5"),
        "The constant is in base 10: take the natural logarithm.": (
            "0.5 * math.log(2 * math.pi * math.e)",
            "0.5 * math.log10(2 * math.pi * math.e)",
        ),
        "log σ is squared.": ("log_std + 0.5", "log_std.square() + 0.5"),
        "The constant lacks a factor 2: it is ½ log(2πe).": (
            "0.5 * math.log(2 * math.pi * math.e)",
            "0.5 * math.log(math.pi * math.e)",
        ),
        "The sum runs along the first axis: joints are the last one.": (".sum(-1)", ".sum(0)"),
        "A log σ below 0 counts as 0: an entropy of numbers may be negative.": (
            "log_std + 0.5",
            "log_std.clamp(min=0) + 0.5",
        ),
        "The constant has 1 where ½ belongs: E[z²]/2 = ½.": (
            "0.5 * math.log(2 * math.pi * math.e)",
            "0.5 * math.log(2 * math.pi) + 1",
        ),
        "The result has an axis more: the joints are summed away.": (".sum(-1)", ".sum(-1, keepdim=True)"),
        "It is multiplied by the number of joints: their entropies are added up already.": ("f(*a) * a[0].shape[-1]"),
        "The ½ before log 2π is missing.": ("0.5 * math.log(2 * math.pi * math.e)", "math.log(2 * math.pi) + 0.5"),
        "½ log 2π is subtracted: it is added to the ½ from E[z²]/2.": (
            "0.5 * math.log(2 * math.pi * math.e)",
            "0.5 - 0.5 * math.log(2 * math.pi)",
        ),
        "The logarithm of 2π is missing: the constant is ½ log(2πe).": (
            "0.5 * math.log(2 * math.pi * math.e)",
            "0.5 * (2 * math.pi + 1)",
        ),
        "e stands where its logarithm, 1, belongs: the constant is ½ (log 2π + 1).": (
            "0.5 * math.log(2 * math.pi * math.e)",
            "0.5 * (math.log(2 * math.pi) + math.e)",
        ),
        "σ² stands where log σ belongs.": ("log_std + 0.5", "(2 * log_std).exp() + 0.5"),
        "The joints' log σ are averaged: entropies of independent joints add up.": (
            "(log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)",
            "log_std.mean(-1) + log_std.shape[-1] * 0.5 * math.log(2 * math.pi * math.e)",
        ),
        "The log σ of all states are added up: only those of one state's joints.": (
            "(log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)",
            "log_std.sum() + log_std.shape[-1] * 0.5 * math.log(2 * math.pi * math.e)",
        ),
        "log σ is summed along the first axis: joints are the last one.": (
            "(log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)",
            "log_std.sum(0) + log_std.shape[-1] * 0.5 * math.log(2 * math.pi * math.e)",
        ),
        "An entropy below 0 is cut off: a narrow Gaussian has one, and there the gradient would be gone.": (
            "f(*a).clamp(min=0)"
        ),
        "log σ is taken for σ: its logarithm is given.": (
            "log_std + 0.5 * math.log(2 * math.pi * math.e)",
            "0.5 * (2 * math.pi * math.e * log_std.square()).log()",
        ),
    },
)
