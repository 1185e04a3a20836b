"""Actions drawn from a softmax policy by given uniform numbers."""

from math import fsum

import numpy as np

from pgcourse.grading.kinds import Check, implement


def sample(z, u):
    """The smallest a with u < π_0 + ... + π_a; the last action where rounding leaves none. Devroye (1986), III.2."""
    actions = np.empty(u.shape)
    for index in np.ndindex(u.shape):
        weight = np.exp(z[index] - z[index].max()).tolist()
        left = u[index] * fsum(weight)
        actions[index] = next((a for a in range(len(weight)) if left < fsum(weight[: a + 1])), len(weight) - 1)
    return actions


def drawn(*shape):
    """A case whose u are not so close to a border between two actions that rounding decides."""

    def case(rng):
        z = rng.normal(0, 1.5, shape)
        borders = (np.exp(z) / np.exp(z).sum(-1, keepdims=True)).cumsum(-1)
        u = rng.uniform(size=(50, *shape[:-1]))
        far = (np.abs(u[..., None] - borders).min(-1) > 1e-3) & (u < 0.999)
        return {"z": z, "u": np.array(np.take_along_axis(u, far.argmax(0)[None], 0)[0])}

    return case


PAPER = np.log([[0.5, 0.3, 0.2]]).tolist()
EXERCISE = implement(
    sample,
    title="From uniform numbers to actions",
    goal="Draw actions with the policy's probabilities, reproducibly.",
    minutes=12,
    difficulty=2,
    importance=3,
    hints=[
        "Lay the probabilities side by side on the line from 0 to 1. In which piece does u lie?",
        "`(u.unsqueeze(-1) >= z.softmax(-1).cumsum(-1)).sum(-1)` counts the pieces that end before u. Rounding can "
        "make the last piece end before 1: `clamp(max=z.shape[-1] - 1)`.",
    ],
    checks={
        "values": Check(
            3,
            "Add up probabilities until the sum exceeds u: the action whose piece of the line holds u.",
            [
                *({"z": PAPER, "u": [u]} for u in (0.4, 0.6, 0.9)),
                {"z": np.log([[0.2, 0.3, 0.5]]).tolist(), "u": [0.6]},
                drawn(20, 3),
                drawn(20, 6),
            ],
        ),
        "axes": Check(
            1,
            "The actions are the last axis of z, and each policy has a number u of its own.",
            [drawn(3), drawn(3, 3), drawn(4, 5, 3)],
            requires="`z` is `[..., action]` and `u` is `[...]`, with any number of leading axes or none",
            leaves_input_alone=True,
        ),
        "impossible actions": Check(
            1,
            "u can be exactly 0. An action whose piece has no length must not be drawn even then.",
            [
                {"z": [[-1000, 0, 0]], "u": [0.0]},
                {"z": [[-1000, -1000, 0]], "u": [0.0]},
                {"z": [[0, -1000, 0]], "u": [0.75]},
            ],
        ),
        "large logits": Check(
            1,
            "exp(1000) is infinite: take the largest logit away first, or use a softmax that does.",
            [
                {"z": [[0, 1000]], "u": [0.3]},
                {"z": [[-1000, -1000]], "u": [0.7]},
                {"z": [[900, 900, 0]], "u": [0.25]},
                {"z": [[0, 1], [-1000, -999]], "u": [0.5, 0.5]},
            ],
            requires="logits may be as large as ±1000",
        ),
        "the end of the line": Check(
            1,
            "In float32 probabilities need not add up to 1: what is left over belongs to the last action.",
            [lambda rng: {"z": rng.normal(0, 1.5, (300, 4)), "u": np.full(300, 1 - 2.0**-24)}],
            requires="every result is an action, from 0 to A - 1: the last where rounding leaves u beyond the last end",
        ),
    },
    mistakes={
        "This is the most probable action, whatever u is: a policy that only does that never tries anything else.": (
            "z.argmax(-1) + 0 * f(*a)"
        ),
        "u is compared with the probabilities one by one: add them up first.": (".cumsum(-1)", ""),
        "The softmax is missing: logits are not probabilities.": ("z.softmax(-1)", "z"),
        "exp of the logits is not yet divided by its sum: these are no probabilities.": ("z.softmax(-1)", "z.exp()"),
        "The pieces are laid out from the other end: u near 0 belongs to the first action.": "f(z, 1 - u)",
        "This counts from 1: actions start at 0.": "f(*a) + 1",
        "One too low: this is the number of the last piece that ends before u; the next one holds it.": (
            "(f(*a) - 1).clamp(min=0)"
        ),
        "The pieces that end after u are counted: those before it give the action.": ("z.shape[-1] - 1 - f(*a)"),
        "Each action is as probable as the others here: u must be compared with the policy's probabilities.": (
            "(u * z.shape[-1]).long()"
        ),
        "One u decides for all policies: each has its own.": "f(z, u.flatten()[0].expand(u.shape))",
        "The softmax runs along the first axis: the actions are the last one.": ("z.softmax(-1)", "z.softmax(0)"),
        "With u = 0 an action of probability 0 is drawn: a piece holds its left end and not its right one, so u >= sum "
        "goes on.": ("u.unsqueeze(-1) >= ", "u.unsqueeze(-1) > "),
        "Add the probabilities up first: u is compared with their cumulative sum.": (
            "(u.unsqueeze(-1) >= ends).sum(-1)",
            "(u.unsqueeze(-1) < z.softmax(-1)).int().argmax(-1)",
        ),
        "The largest logit of the whole batch is subtracted: take each row's own.": (
            "z.softmax(-1)",
            "((z - z.max()).exp() / (z - z.max()).exp().sum(-1, keepdim=True))",
        ),
        "Rounding: the probabilities add up to a little less than 1, u lies beyond, and there is no action A.": (
            ".clamp(max=z.shape[-1] - 1)",
            "",
        ),
        "Where rounding leaves u beyond the last end, no piece holds it, and `argmax` of nothing is 0: take the last "
        "action.": (
            "(u.unsqueeze(-1) >= ends).sum(-1)",
            "(u.unsqueeze(-1) < ends).int().argmax(-1)",
        ),
        "The pieces that end after u are counted, among them the one that holds it: those before it give the action.": (
            ">= ends",
            "< ends",
        ),
        "`sigmoid` looks at each logit alone: these do not add up to 1. Take `softmax`.": (
            "z.softmax(-1)",
            "z.sigmoid()",
        ),
        "The pieces that end after u are counted, and the one that ends at u: count those that end at u or before.": (
            "u.unsqueeze(-1) >= ends",
            "u.unsqueeze(-1) <= ends",
        ),
        "u is compared with sums of log-probabilities: the line is divided by the probabilities themselves.": (
            "z.softmax(-1)",
            "z.log_softmax(-1)",
        ),
        "This is one action too far: as many pieces end at u or before as there are actions before the drawn one.": (
            "(u.unsqueeze(-1) >= ends).sum(-1)",
            "(u.unsqueeze(-1) >= ends).sum(-1).add(1)",
        ),
        "The probabilities are added up along the first axis: the actions are the last one.": (
            "cumsum(-1)",
            "cumsum(0)",
        ),
        "exp of a large logit is infinite, and ∞/∞ is NaN: `softmax` subtracts the largest logit first.": (
            "z.softmax(-1)",
            "(z.exp() / z.exp().sum(-1, keepdim=True))",
        ),
        "This finds the first piece that ends at u or before, mostly number 0: the first that ends after u is "
        "asked for.": ("(u.unsqueeze(-1) >= ends).sum(-1)", "(u.unsqueeze(-1) >= ends).float().argmax(-1)"),
        "This is the piece whose end is nearest to u: asked is the first that ends after u.": (
            "(u.unsqueeze(-1) >= ends).sum(-1)",
            "(u.unsqueeze(-1) - ends).abs().argmin(-1)",
        ),
    },
)
