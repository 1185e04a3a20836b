"""The value loss, clipped."""

import numpy as np

from pgcourse.grading.kinds import Check, gradient


def value_loss(value, old_value, target, clip):
    """½ mean max(|v - y|, |v_clipped - y|)². OpenAI Baselines (Dhariwal et al., 2017); not in the paper."""
    value = value[:, 0]
    near = value.minimum(old_value + clip).maximum(old_value - clip)
    return ((value - target).abs().maximum((near - target).abs()) ** 2).mean() / 2


def case(value, old_value, target, clip=0.5):
    return {
        "value": np.reshape(np.array(value, float), (-1, 1)),
        "old_value": old_value,
        "target": target,
        "clip": clip,
    }


def drawn(n, clip, scale=1.0):
    """Values that moved by up to three times ε, towards the target and away from it."""

    def draw(rng):
        old = rng.normal(1.0, 2.0, n) * scale
        return case(old + rng.uniform(-3, 3, n) * min(clip, scale), old, old + rng.normal(0.5, 2.0, n) * scale, clip)

    return draw


PLAIN = [case([2], [1], [3], np.inf), case([2, 5], [1, 5], [3, 4], np.inf), drawn(5, np.inf)]
CLIPPED = [
    case([0], [1], [3]),
    case([4, 1.2], [1, 1], [3, 3]),
    case([-2, 0.8], [1, 1], [-1, -1]),
    drawn(6, 0.5),
    drawn(12, 0.2),
]

EXERCISE = gradient(
    value_loss,
    title="The value loss, clipped and not",
    goal="Train a critic as PPO's programs do, and know what is clipped, in which units.",
    minutes=15,
    difficulty=3,
    importance=3,
    hints=[
        "What shape has `value - target`? And what is limited: the value, how far it moved, or the error?",
        "`value.squeeze(-1)`, `near = old_value + (value - old_value).clamp(-clip, clip)`, then `torch.maximum` of the "
        "two squared errors, its mean, times ½. Detach what is data.",
    ],
    checks={
        "without clipping": Check(
            2, "With ε = inf this is ½ mean (v - y)², with v and y of the same shape.", PLAIN, gradient=("value",)
        ),
        "clipped": Check(
            3,
            "The moved value is held within ε of the old one, and the larger of the two squared errors counts.",
            CLIPPED,
            gradient=("value",),
        ),
        "data": Check(
            1,
            "Target and old value were computed before the update: `.detach()` both.",
            [case([1.2], [1], [3]), case([4, -1], [1, 1], [3, 3]), drawn(6, 0.5)],
            gradient=("value",),
            no_gradient=("old_value", "target"),
        ),
        "large rewards": Check(
            1,
            "ε has the units of reward, whatever the size of the values.",
            [drawn(6, 0.5, 100.0), drawn(6, 150.0, 100.0)],
            gradient=("value",),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "[n, 1] against [n]: the difference is [n, n], and every value is compared with every target. The critic then "
        "learns one constant, silently. Squeeze the value.": ("value.squeeze(-1), ", "value, "),
        "The ½ is missing.": ("0.5 * ", ""),
        "This is a sum: the mean is asked for, so that the step does not grow with the minibatch.": (
            "error.mean()",
            "error.sum()",
        ),
        "The minimum of the two errors is the optimistic one: nothing holds a value back, and one that moved away has "
        "no gradient to return. Take the maximum.": ("torch.maximum", "torch.minimum"),
        "The plain error is missing: a value that has moved away from its target by more than ε then has no gradient "
        "to come back. Take the larger of the two.": (
            "torch.maximum((value - target).square(), (near - target).square())",
            "(near - target).square()",
        ),
        "Nothing is clipped: the plain error always counts. What is limited is how far the value moved, v - v_old, and "
        "not how far it is from the target.": (
            "torch.maximum((value - target).square(), (near - target).square())",
            "(value - target).square()",
        ),
        "The value itself is clipped to ±ε: what is limited is how far it moved from the old one.": (
            "old_value + (value - old_value).clamp(-clip, clip)",
            "value.clamp(-clip, clip)",
        ),
        "The old value is not added back: v_old + clip(v - v_old) is a value, the clip alone is a difference.": (
            "old_value + (value - old_value)",
            "(value - old_value)",
        ),
        "The value is held between (1-ε) and (1+ε) times the old one, as a ratio is: here ε is a distance, in units of "
        "reward.": (
            "old_value + (value - old_value).clamp(-clip, clip)",
            "torch.where(old_value.abs() > 0, old_value * (value / old_value).clamp(1 - clip, 1 + clip), old_value)",
        ),
        "Absolute errors, not squared ones.": [
            ("(value - target).square()", "(value - target).abs()"),
            ("(near - target).square()", "(near - target).abs()"),
        ],
        "Sign flipped? An error is to become smaller: no minus here.": "-f(*a)",
        "A gradient flows into the target: it is data. With it, the target would move towards the value.": (
            "target.detach()",
            "target",
        ),
        "A gradient flows into the old value: it belongs to the critic before the update, `.detach()` it.": (
            "old_value.detach()",
            "old_value",
        ),
        "No gradient is left: the value was detached, and there is nothing else to learn.": (
            "f(value.detach(), old_value, target, clip)"
        ),
        "Four times as much: the factor is ½, not 2.": (
            "0.5 * ",
            "2.0 * ",
        ),
        "The difference is clipped the wrong way round: v_old + clip(v - v_old).": (
            "(value - old_value).clamp",
            "(old_value - value).clamp",
        ),
        "The clip alone is squared, as if old value and target were one: v_old + clip(v - v_old) is compared with y.": (
            "near = old_value + (value",
            "near = target + (value",
        ),
        "The clip is 0.2 whatever was asked for: use the argument.": (
            "clamp(-clip, clip)",
            "clamp(-0.2, 0.2)",
        ),
        "The clip is that of a ratio, around 1: here a difference is clipped, around 0.": (
            "clamp(-clip, clip)",
            "clamp(1 - clip, 1 + clip)",
        ),
        "Clipped on one side only: a value may neither rise nor fall by more than ε.": (
            "clamp(-clip, clip)",
            "clamp(max=clip)",
        ),
        "The larger difference is squared: take the larger one of the squares, a difference may be negative.": (
            "torch.maximum((value - target).square(), (near - target).square())",
            "torch.maximum(value - target, near - target).square()",
        ),
        "The average of the two errors: the larger one counts.": (
            "torch.maximum((value - target).square(), (near - target).square())",
            "0.5 * ((value - target).square() + (near - target).square())",
        ),
        "The root of the mean: a mean of squares is asked for.": (
            "error.mean()",
            "error.mean().sqrt()",
        ),
        "One error for each sample: their mean is asked for.": (
            "error.mean()",
            "error",
        ),
        "The larger of two means: which of the errors is larger is decided sample by sample.": (
            "error = torch.maximum((value - target).square(), (near - target).square())",
            "error = torch.maximum((value - target).square().mean(), (near - target).square().mean())",
        ),
        "Half of what it should be: the ½ stands there twice.": (
            "0.5 * ",
            "0.25 * ",
        ),
        "The error is clipped: what is limited is how far the value moved from the old one.": (
            "error = torch.maximum((value - target).square(), (near - target).square())",
            "error = (value - target).clamp(-clip, clip).square()",
        ),
        "The clipped value is a constant here: where it has not been clipped, half of the gradient is lost with it.": (
            "old_value + (value - old_value).clamp(-clip, clip)",
            "(old_value + (value - old_value).clamp(-clip, clip)).detach()",
        ),
        "Old value and target are exchanged.": "f(value, target, old_value, clip)",
        "The target alone is [n], and against [n, 1] the error becomes [n, n]: squeeze the value, and all three are "
        "[n].": (
            "value.squeeze(-1), old_value.detach()",
            "value, old_value.detach().unsqueeze(-1)",
        ),
    },
)
