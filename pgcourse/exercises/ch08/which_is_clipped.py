"""Which samples the clip leaves without a gradient."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def which_is_clipped(ratio, advantage, clip):
    """Where the slope of min(r Â, clip(r) Â) in r is 0, by differences. Schulman et al. (2017), eq. 7 and figure 1."""

    def gain(r):
        return np.minimum(r * advantage, np.clip(r, 1 - clip, 1 + clip) * advantage)

    return np.abs(gain(ratio + 1e-6) - gain(ratio - 1e-6)) < 1e-7 * np.abs(advantage)


def case(ratio, advantage, clip=0.2):
    return {"ratio": ratio, "advantage": advantage, "clip": clip}


def drawn(shape, clip):
    """Ratios on both sides of both ends of the interval, at a distance from them, and between 1-ε and 1/(1+ε)."""

    def draw(rng):
        low, high = 1 - clip, 1 + clip
        near = [low - 0.01, low + 0.01, high - 0.01, high + 0.01, 1 / high + 0.002, 1 / high - 0.002, 0.05, 1.0, 4.0]
        ratio, sign = rng.choice(near, shape), rng.choice([-1.0, 1.0], shape)
        ratio.flat[: 2 * len(near)], sign.flat[: 2 * len(near)] = near * 2, [1.0] * len(near) + [-1.0] * len(near)
        return case(ratio, sign * rng.uniform(0.1, 3.0, shape), clip)

    return draw


EXERCISE = implement(
    which_is_clipped,
    title="Which samples are clipped?",
    goal="Say of any sample whether it still has a gradient.",
    minutes=10,
    difficulty=2,
    importance=4,
    hints=[
        "For Â > 0 the objective rewards a larger r. On which side has r gone far enough? And for Â < 0?",
        "`(advantage > 0) & (ratio > 1 + clip) | (advantage < 0) & (ratio < 1 - clip)`.",
    ],
    checks={
        "inside": Check(
            1,
            "Between 1-ε and 1+ε every sample has a gradient.",
            [case([1.1, 0.9, 1.0], [2, -2, 1]), case([1.05, 0.95], [1, -1])],
            leaves_input_alone=True,
        ),
        "four cases": Check(
            2,
            "Write the table: r above and below the interval, Â positive and negative. Two of the four are True.",
            [
                case([1.5], [2]),
                case([1.5], [-2]),
                case([0.5], [2]),
                case([0.5], [-2]),
                case([1.3], [3]),
                drawn((20,), 0.2),
            ],
            leaves_input_alone=True,
        ),
        "any shape and ε": Check(
            1,
            "Use the argument `clip`, and nothing that depends on the number of axes.",
            [drawn((4, 6), 0.1), drawn((5, 6), 0.3)],
            leading_axes=("ratio", "advantage"),
        ),
    },
    mistakes={
        "This asks only whether r is outside 1 ± ε, as the metric `clip_fraction` does: where r has gone the wrong way "
        "the sample pulls back with full force. Look at the sign of Â.": "(ratio < 1 - clip) | (ratio > 1 + clip)",
        "The sides are swapped: these are the samples that have gone the wrong way, and they keep their gradient.": (
            "rewarded > clip",
            "rewarded < -clip",
        ),
        "This is the opposite: True is asked for where the gradient is 0.": "~f(*a)",
        "Only samples with Â > 0 are looked at: a bad action that has become rare enough is clipped, too.": (
            "f(*a) & (advantage > 0)"
        ),
        "Only samples with Â < 0 are looked at: a good action that has become likely enough is clipped, too.": (
            "f(*a) & (advantage < 0)"
        ),
        "The sign of Â is not looked at: r > 1+ε ends the gradient of good actions only.": "ratio > 1 + clip",
        "The sign of Â is not looked at: r < 1-ε ends the gradient of bad actions only.": "ratio < 1 - clip",
        "The lower end is 1-ε, not 1/(1+ε): the clip is symmetric in r, not in log r.": (
            "torch.where(advantage > 0, ratio > 1 + clip, ratio < 1 / (1 + clip))"
        ),
        "log r is compared with ±ε: the interval is that of r, from 1-ε to 1+ε.": (
            "torch.where(advantage > 0, ratio.log() > clip, ratio.log() < -clip)"
        ),
        "r is compared with ±ε: the interval lies around 1.": (
            "torch.where(advantage > 0, ratio > clip, ratio < -clip)"
        ),
        "The clip is 0.2 whatever was asked for: use the argument.": "f(ratio, advantage, 0.2)",
        "r - 1 is compared with 1 + ε: compare r with 1 + ε, or r - 1 with ε.": (
            "rewarded > clip",
            "rewarded > 1 + clip",
        ),
        "One answer for all samples: each has its own.": ("rewarded > clip", "(rewarded > clip).any()"),
        "Any step in the direction that Â rewards is called clipped: it has to be further than ε.": (
            "rewarded > clip",
            "rewarded > 0",
        ),
        "The size of the product r Â is compared with ε: the clip is of the ratio.": (
            "rewarded > clip",
            "(ratio * advantage).abs() > clip",
        ),
        "The difference of the two products is compared with ε: they have to differ, that is all.": (
            "rewarded > clip",
            "ratio * advantage > ratio.clamp(1 - clip, 1 + clip) * advantage + clip",
        ),
        "All samples with Â > 0 are called clipped: their ratio has to be above 1 + ε.": (
            "rewarded > clip",
            "advantage > 0",
        ),
        "Nothing is ever clipped here.": ("rewarded > clip", "torch.zeros_like(rewarded, dtype=torch.bool)"),
        "The interval is half as wide as it should be.": ("rewarded > clip", "rewarded > clip / 2"),
        "The interval is twice as wide as it should be.": ("rewarded > clip", "rewarded > 2 * clip"),
        "Inside 1 ± ε the two products are equal, and nothing is clipped: ask where the minimum differs from r Â.": (
            "rewarded > clip",
            (
                "torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage) == "
                "ratio.clamp(1 - clip, 1 + clip) * advantage"
            ),
        ),
        "(r - 1) Â is compared with ε: of Â only the sign counts.": (
            "rewarded > clip",
            "(ratio - 1) * advantage > clip",
        ),
        "For Â > 0 a ratio below 1 - ε is called clipped, too: a good action that became rarer is brought back.": (
            "((ratio - 1).abs() > clip) & (advantage > 0)"
        ),
        "For Â < 0 a ratio above 1 + ε is called clipped, too: a bad action that became likelier is brought back.": (
            "((ratio - 1).abs() > clip) & (advantage < 0)"
        ),
        "Only bad actions that became likelier are called clipped: these are brought back.": (
            "(ratio > 1 + clip) & (advantage < 0)"
        ),
        "Samples inside 1 ± ε are called clipped: there every sample has its gradient.": "(ratio - 1).abs() < clip",
        "All samples are called clipped.": (
            "rewarded > clip",
            "torch.ones_like(rewarded, dtype=torch.bool)",
        ),
        "This is the slope itself: asked is where it is 0.": (
            "rewarded > clip",
            "advantage * ~(rewarded > clip)",
        ),
        "For Â < 0 the inequality is turned round: clipped is what is below 1 - ε.": (
            "(ratio > 1 + clip) & (advantage > 0) | (ratio > 1 - clip) & (advantage < 0)"
        ),
        "`and`, `or` and `if` want one truth value: for all samples at once write & and |, with brackets.": (
            "(ratio > 1 + clip and advantage > 0) or (ratio < 1 - clip and advantage < 0)"
        ),
        "r Â is compared with 1 + ε: it is r that is, and of Â only the sign counts.": (
            "rewarded > clip",
            "ratio * advantage > 1 + clip",
        ),
    },
)
