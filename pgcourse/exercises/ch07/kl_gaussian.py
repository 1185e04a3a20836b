"""The KL divergence between two Gaussian policies, old to new."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, gradient

POINTS, WEIGHTS = (torch.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(8))


def kl_gaussian(old_mean, old_log_std, new_mean, new_log_std):
    """E over old actions of log N_old - log N_new, summed over joints: by quadrature, exact for these parabolas."""
    columns = [x.unsqueeze(-1) for x in (old_mean, old_log_std.exp(), new_mean, new_log_std.exp())]
    action = (columns[0] + columns[1] * POINTS).detach()
    old, new = torch.distributions.Normal(*columns[:2]), torch.distributions.Normal(*columns[2:])
    return ((old.log_prob(action) - new.log_prob(action)) * WEIGHTS / WEIGHTS.sum()).sum((-2, -1))


def drawn(shape):
    def case(rng):
        (old, new), (old_std, new_std) = rng.normal(size=(2, *shape)), rng.uniform(-0.5, 0.5, (2, shape[-1]))
        return {"old_mean": old, "old_log_std": old_std, "new_mean": new, "new_log_std": new_std}

    return case


def joint(old_mean, old_log_std, new_mean, new_log_std):
    return {"old_mean": [old_mean], "old_log_std": [old_log_std], "new_mean": [new_mean], "new_log_std": [new_log_std]}


LOG_2 = 0.6931471805599453

EXERCISE = gradient(
    kl_gaussian,
    title="The ruler for Gaussians",
    goal="Derive how far one Gaussian policy is from another, and why a narrow one may move its mean only a little.",
    minutes=20,
    difficulty=3,
    importance=4,
    hints=[
        "Take the mean of log N_old(a) - log N_new(a) over a from N_old. E[(a - μ_old)²] = σ_old², and E[(a - "
        "μ_new)²]?",
        "Each joint has log σ_new - log σ_old + (σ_old² + (μ_old - μ_new)²) / (2 σ_new²) - ½. Sum over the joints.",
    ],
    checks={
        "the mean moves": Check(
            1,
            "With the same σ it is (μ_old - μ_new)²/(2σ²): 0.02 for a move by 0.2 at σ = 1, and 0.5 at σ = 0.2.",
            [joint(0, 0, 0.2, 0), joint(0, -1.6094379124341003, 0.2, -1.6094379124341003)],
        ),
        "the spread moves": Check(
            2,
            "From σ = 1 to 2 it is log 2 + 1/8 - 1/2 = 0.318, from 2 to 1 it is -log 2 + 2 - 1/2 = 0.807.",
            [joint(0, 0, 0, LOG_2), joint(0, LOG_2, 0, 0), joint(1, 0.3, 1, 0.3), drawn((1,))],
        ),
        "joints and states": Check(
            1,
            "Sum over joints, the last axis, for each state. Each joint has a σ of its own, the same in all states.",
            [drawn((4, 2)), drawn((3, 3)), drawn((2, 3, 2))],
            requires="means may have any number of leading axes; `log_std` has one entry a joint",
            leaves_input_alone=True,
        ),
        "gradient": Check(
            2,
            "By the new mean it is (μ_new - μ_old)/σ_new².",
            [joint(0, 0, 0.2, LOG_2), drawn((3,)), drawn((4, 2))],
            gradient=("new_mean", "new_log_std"),
        ),
    },
    mistakes={
        "Swapped: this is KL(new ‖ old).": "f(*a[2:], *a[:2])",
        "The variances stand the wrong way round: divide by the new one, whose density is measured.": (
            "/ (2 * new_var)",
            "/ (2 * old_var)",
        ),
        "The logarithms of σ stand the wrong way round: new minus old.": (
            "new_log_std - old_log_std",
            "old_log_std - new_log_std",
        ),
        "Sign flipped? A KL divergence is never negative.": "-f(*a)",
        "The -½ is missing: of a policy to itself it is 0.": (" - 0.5)", ")"),
        "The ½ counts once for each joint.": (" - 0.5).sum(-1)", ").sum(-1) - 0.5"),
        "The old variance is missing in E[(a - μ_new)²].": ("old_var + (old_mean", "0.0 * old_var + (old_mean"),
        "The distance of the means is not squared.": ("(old_mean - new_mean).square()", "(old_mean - new_mean).abs()"),
        "The 2 below the fraction is missing.": ("/ (2 * new_var)", "/ new_var"),
        "The means do not count: a moved mean is another policy.": (
            "old_var + (old_mean - new_mean).square()",
            "old_var",
        ),
        "The spreads do not count: this is right for equal σ only.": (
            "((old_mean - new_mean).square() / (2 * new_log_std.exp().square())).sum(-1)"
        ),
        "log σ is taken for σ: its exponential is wanted.": (
            "(((old_log_std.square() + (old_mean - new_mean).square()) / (2 * new_log_std.square() + 1e-12) - 0.5)"
            " + new_log_std - old_log_std).sum(-1)"
        ),
        "σ stands where its square belongs.": [
            ("(2 * old_log_std).exp()", "old_log_std.exp()"),
            ("(2 * new_log_std).exp()", "new_log_std.exp()"),
        ],
        "log σ² in place of log σ: twice too much.": (
            "new_log_std - old_log_std +",
            "2 * (new_log_std - old_log_std) +",
        ),
        "The joints are averaged: divergences of independent joints add up.": (".sum(-1)", ".mean(-1)"),
        "The joints are not summed.": (".sum(-1)", ""),
        "The result has an axis more: the joints are summed away.": (".sum(-1)", ".sum(-1, keepdim=True)"),
        "The states are summed as well.": (".sum(-1)", ".sum()"),
        "No gradient reaches the new σ: a penalty made of this does not hold the spread back.": (
            "f(*a[:3], new_log_std.detach())"
        ),
        "No gradient reaches the new policy: a penalty made of this trains nothing, silently.": (
            "f(*a[:2], *(x.detach() for x in a[2:]))"
        ),
        "+½ in place of -½: of a policy to itself it is 0.": (
            " - 0.5)",
            " + 0.5)",
        ),
        "-1 in place of -½: of a policy to itself it is 0.": (
            " - 0.5)",
            " - 1)",
        ),
        "The difference of the means is not squared, and has a sign.": (
            "(old_mean - new_mean).square()",
            "(old_mean - new_mean)",
        ),
        "Multiplied with the new variance: divide by it.": (
            "/ (2 * new_var)",
            "/ 2 * new_var",
        ),
        "The logarithms of σ are missing: a wider policy has a lower density, too.": (
            "new_log_std - old_log_std + ",
            "",
        ),
        "Half of log σ - log σ: the ½ belongs to logarithms of variances.": (
            "new_log_std - old_log_std",
            "(new_log_std - old_log_std) / 2",
        ),
        "This is in bits: take the natural logarithm, for nats.": "f(*a) / 0.6931471805599453",
        "The mean of both directions: asked is KL(old ‖ new) alone.": "0.5 * (f(*a) + f(*a[2:], *a[:2]))",
        "No gradient reaches the new mean: a penalty made of this does not hold it back.": (
            "f(*a[:2], new_mean.detach(), new_log_std)"
        ),
        "The logarithm of σ_new/σ_old is missing.": (
            "new_log_std - old_log_std +",
            "(new_log_std - old_log_std).exp() +",
        ),
        "The ½ before the bracket is missing, with the 1: it is ½ ((σ_old² + (μ_old - μ_new)²)/σ_new² - 1).": [
            ("/ (2 * new_var)", "/ new_var"),
            (" - 0.5)", " - 1)"),
        ],
        "The move of the mean is subtracted: it makes the policies more different.": (
            "old_var + (old_mean - new_mean).square()",
            "old_var - (old_mean - new_mean).square()",
        ),
        "Old and new variance are exchanged in the fraction: σ_old² stands above, σ_new² below.": (
            "old_var, new_var =",
            "new_var, old_var =",
        ),
        "The sum runs along the first axis: joints are the last one.": (".sum(-1)", ".sum(0)"),
        "The mean over the states is taken: one number for each state is asked for.": (".sum(-1)", ".sum(-1).mean()"),
        "Twice the divergence.": "2 * f(*a)",
        "This is the quadratic approximation with the Fisher matrix, right for close policies only.": (
            "((old_mean - new_mean).square() / (2 * (2 * old_log_std).exp())"
            " + (new_log_std - old_log_std).square()).sum(-1)"
        ),
        "The log-ratio is taken at the old mean alone: its expectation over the old policy's actions is wanted.": (
            "return (new_log_std - old_log_std + expected - 0.5)",
            "return (new_log_std - old_log_std + (old_mean - new_mean).square() / (2 * new_var))",
        ),
        "The means are added: it is their difference that counts.": ("(old_mean - new_mean)", "(old_mean + new_mean)"),
    },
)
