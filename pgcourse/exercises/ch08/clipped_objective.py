"""The clipped objective."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, gradient


def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
    """L = mean over real samples of min(r Â, clip(r, 1-ε, 1+ε) Â). Schulman et al. (2017), eq. 7.

    Written by the sign of Â: Â min(r, 1+ε) where Â > 0, Â max(r, 1-ε) elsewhere.
    """
    ratio = (log_prob - old_log_prob.detach())[mask].exp()
    good = advantage.detach()[mask]
    return torch.where(good > 0, good * ratio.clamp(max=1 + clip), good * ratio.clamp(min=1 - clip)).sum() / mask.sum()


def samples(ratio, advantage, mask=True, padding=(0.0, 0.0), clip=0.2, old=0.5):
    """A case; `old` is π_old(a|s), and padding that of the log-probabilities and of Â."""
    mask = np.broadcast_to(mask, np.shape(ratio))
    old_log_prob = np.log(np.broadcast_to(old, mask.shape))
    return {
        "log_prob": np.where(mask, old_log_prob + np.log(ratio), padding[0]),
        "old_log_prob": np.where(mask, old_log_prob, padding[0]),
        "advantage": np.where(mask, advantage, padding[1]),
        "mask": mask.copy(),
        "clip": clip,
    }


def drawn(n, steps, padding=None, clip=0.2):
    """A case of `n` random episodes, with ratios from 0.5 to 2: of equal lengths, or with padding."""

    def case(rng):
        lengths = rng.permutation([steps, *rng.integers(1, steps, n - 1)]) if padding is not None else np.full(n, steps)
        mask = np.arange(steps) < lengths[:, None]
        ratio, advantage = np.exp(rng.uniform(-0.7, 0.7, mask.shape)), rng.normal(0.5, 2.0, mask.shape)
        return samples(ratio, advantage, mask, padding or (0.0, 0.0), clip, rng.uniform(0.2, 0.45, mask.shape))

    return case


BROKEN = [(np.nan, 0.0), (0.0, np.nan), (np.inf, np.inf), (-np.inf, -np.inf), (np.nan, np.nan)]
FIRST_ENDS = [[True, False], [True, True]]
WHOLE = [
    samples([[1.1]], [[2]]),
    samples([[1.5, 0.5, 1.1]], [[2, 2, 2]]),
    samples([[0.5, 1.5, 0.9]], [[-2, -2, -2]]),
    samples([[1.1, 0.5]], [[2, -1]], old=1e-50),
    samples([[12.0, 0.05]], [[-2, 2]], old=0.05),  # far outside, on the side that is not clipped
    *(drawn(n, steps, clip=clip) for n, steps, clip in ((2, 3, 0.2), (3, 5, 0.1), (6, 5, 0.3))),
]

EXERCISE = gradient(
    clipped_objective,
    title="The clipped objective",
    goal="Write PPO's line so that its value, its gradient and its data are right.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "Three steps: the ratio from two logarithms, two products with Â, the worse of them. Which of the arguments "
        "are data that no gradient may reach?",
        "`ratio = (log_prob - old_log_prob.detach()).where(mask, 0.0).exp()`, advantages detached and masked in "
        "the same way, `torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)`, its sum over `mask.sum()`.",
    ],
    checks={
        "value": Check(
            2,
            "Do the table of chapter 08 by hand: Â = 2 and r = 1.5 give 2.4, Â = -2 and r = 1.5 give -3.",
            WHOLE,
            requires="log-probabilities may be as low as -120",
        ),
        "gradient": Check(
            2,
            "The gradient of r is r ∇log π. It is 0 only for samples that have gone far enough where Â rewards it.",
            WHOLE,
            gradient=("log_prob",),
        ),
        "data": Check(
            1,
            "The old policy and the advantages were there before this update: `.detach()` both.",
            [samples([[1.1, 0.9]], [[2, -1]]), drawn(3, 4)],
            gradient=("log_prob",),
            no_gradient=("old_log_prob", "advantage"),
        ),
        "padding": Check(
            2,
            "Sum over the real samples and divide by how many there are: `mask.sum()`.",
            [
                samples([[1.1, 1], [1.5, 0.5]], [[2, 1], [1, 2]], FIRST_ENDS, (-3.0, -3.0)),
                drawn(3, 5, (-3.0, -3.0)),
                drawn(5, 6, (-3.0, -3.0)),
            ],
            gradient=("log_prob",),
            leaves_input_alone=True,
        ),
        "broken padding": Check(
            1,
            "0 · NaN is NaN: replace padding with `where` before you take exp or multiply.",
            [samples([[1.1, 1], [1.5, 0.5]], [[2, 1], [1, 2]], FIRST_ENDS, padding) for padding in BROKEN]
            + [drawn(3, 5, padding) for padding in BROKEN],
            gradient=("log_prob",),
            requires="padding may be NaN or infinite",
        ),
    },
    mistakes={
        "A quotient of probabilities: both may be 0 in float32, and 0/0 is NaN. Subtract the logarithms, then `exp`.": (
            "ratio = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
            "ratio = torch.ones_like(log_prob)\n"
            "    ratio[mask] = log_prob[mask].exp() / old_log_prob.detach()[mask].exp()",
        ),
        "Sign flipped? This is the objective, to be raised. The minus comes where it becomes a loss.": "-f(*a)",
        "The minimum is missing: clip(r) Â alone takes the gradient also from samples that have gone the wrong way, "
        "and nothing brings them back.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "ratio.clamp(1 - clip, 1 + clip) * good",
        ),
        "Nothing is clipped: this is the plain surrogate r Â.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "ratio * good",
        ),
        "Minimum and maximum are swapped, or the sides of the clip: take the worse of the two values, so that going "
        "too far does not pay.": (
            "torch.minimum",
            "torch.maximum",
        ),
        "Â stands outside the minimum: for Â < 0 the product turns smaller into larger. Multiply first, then take the "
        "minimum.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "ratio.clamp(max=1 + clip) * good",
        ),
        "The ratio is inverted: it is the new policy's probability over the old one's.": (
            "log_prob - old_log_prob.detach()",
            "old_log_prob.detach() - log_prob",
        ),
        "The ratio's exp is missing: a difference of logarithms is log r.": (".exp()", ""),
        "The ratio is taken of the logarithms: log π / log π_old is not π / π_old. Subtract, then take exp.": (
            "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
            "(log_prob / old_log_prob.detach()).masked_fill(~mask, 0.0)",
        ),
        "log r is clipped to ±ε: it is r that is clipped, to 1-ε and 1+ε.": (
            "ratio.clamp(1 - clip, 1 + clip)",
            "ratio.log().clamp(-clip, clip).exp()",
        ),
        "r is clipped to ±ε: the interval lies around 1.": ("clamp(1 - clip, 1 + clip)", "clamp(-clip, clip)"),
        "The clip is 0.2 whatever was asked for: use the argument.": (
            "clamp(1 - clip, 1 + clip)",
            "clamp(0.8, 1.2)",
        ),
        "Every ratio is 1: the old log-probability must be the one stored when the action was taken. The clip then "
        "never has anything to do.": "f(log_prob, log_prob, advantage, mask, clip)",
        "A gradient flows into the old log-probability. In training both come from one network, and the two gradients "
        "cancel: nothing is learned, silently.": ("old_log_prob.detach()", "old_log_prob"),
        "A gradient flows into the advantage: it is data, `.detach()` it.": ("advantage.detach()", "advantage"),
        "No gradient is left: log_prob was detached, and there is nothing else to differentiate.": (
            "f(log_prob.detach(), *a[1:])"
        ),
        "Padding is counted: divide by the number of real samples.": ("gain.sum() / mask.sum()", "gain.mean()"),
        "This is a sum: the mean over the real samples is asked for, else twice the samples would give twice the "
        "step.": ("gain.sum() / mask.sum()", "gain.sum()"),
        "This is a mean over episodes of each one's mean: every real sample counts the same.": (
            "gain.sum() / mask.sum()",
            "(gain.sum(-1) / mask.sum(-1)).mean()",
        ),
        "The advantages are standardised in here: that is a step of its own, before the objective.": (
            "f(log_prob, old_log_prob, (advantage - advantage[mask].mean()) / (advantage[mask].std() + 1e-8), "
            "mask, clip)"
        ),
        "The mask is inverted: it is True on real samples.": "f(log_prob, old_log_prob, advantage, ~mask, clip)",
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead, in both factors: `masked_fill`.": [
            (".masked_fill(~mask, 0.0).exp()", ".exp()"),
            ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach()"),
            ("gain.sum() / mask.sum()", "(gain * mask).sum() / mask.sum()"),
        ],
        "Only the advantages are masked: the ratio of padding is NaN, and 0 · NaN is NaN.": (
            ".masked_fill(~mask, 0.0).exp()",
            ".exp()",
        ),
        "Only the log-probabilities are masked: the ratio of padding is 1 then, and NaN · 1 is NaN. Mask Â, too.": (
            "advantage.detach().masked_fill(~mask, 0.0)",
            "advantage.detach()",
        ),
        "The lower bound is missing: for Â < 0 the ratio is held at 1-ε from below.": (
            "clamp(1 - clip, 1 + clip)",
            "clamp(max=1 + clip)",
        ),
        "The upper bound is missing: for Â > 0 the ratio is held at 1+ε from above.": (
            "clamp(1 - clip, 1 + clip)",
            "clamp(min=1 - clip)",
        ),
        "The lower bound is 1/(1+ε): it is 1-ε.": (
            "clamp(1 - clip, 1 + clip)",
            "clamp(1 / (1 + clip), 1 + clip)",
        ),
        "Divided by the number of episodes: the mean over the real samples is asked for.": (
            "mask.sum()\n",
            "len(mask)\n",
        ),
        "r - 1 in place of r: its gradient is the same, its clip and its value are not.": (
            "masked_fill(~mask, 0.0).exp()",
            "masked_fill(~mask, 0.0).expm1()",
        ),
        "exp is taken before the difference: r is the exponential of a difference of logarithms.": (
            "f(log_prob.exp(), old_log_prob.exp(), *a[2:])"
        ),
        "The product r Â is clipped: clip the ratio first, then multiply.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "torch.minimum(ratio * good, (ratio * good).clamp(1 - clip, 1 + clip))",
        ),
        "The clipped ratio lacks its factor Â: both of the two values are products with it.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip))",
        ),
        "Samples outside 1 ± ε are left out altogether: those that went the wrong way keep their gradient, and the "
        "others their value.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good)",
            "ratio * good * ((ratio - 1).abs() <= clip)",
        ),
        "log π_old is not taken away: this is a probability in the place of the ratio.": (
            "(log_prob - old_log_prob.detach())",
            "log_prob",
        ),
        "The mask is not looked at: padding is counted as if it were real.": [
            (
                ".masked_fill(~mask, 0.0).exp()",
                ".exp()",
            ),
            (
                "advantage.detach().masked_fill(~mask, 0.0)",
                "advantage.detach()",
            ),
            (
                "gain.sum() / mask.sum()",
                "gain.mean()",
            ),
        ],
        "The value is right and the gradient NaN: padding is left out after exp and product only, and on the way "
        "back 0 meets NaN. Replace it in the log-probabilities and in Â, before.": [
            (
                ".masked_fill(~mask, 0.0).exp()",
                ".exp()",
            ),
            (
                "advantage.detach().masked_fill(~mask, 0.0)",
                "advantage.detach()",
            ),
            (
                "gain.sum() / mask.sum()",
                "gain.masked_fill(~mask, 0.0).sum() / mask.sum()",
            ),
        ],
        "Real samples are set to 0 and padding is kept: `masked_fill` fills where its mask is True.": [
            (
                "(log_prob - old_log_prob.detach()).masked_fill(~mask",
                "(log_prob - old_log_prob.detach()).masked_fill(mask",
            ),
            (
                "advantage.detach().masked_fill(~mask",
                "advantage.detach().masked_fill(mask",
            ),
        ],
    },
)
