"""The score of a softmax policy."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, derive


def softmax_score(z, a):
    """∇_z log π(a) by automatic differentiation."""
    logits = torch.from_numpy(z).requires_grad_()
    log_pi = torch.log_softmax(logits, -1).gather(-1, torch.from_numpy(a).unsqueeze(-1))
    return torch.autograd.grad(log_pi.sum(), logits)[0].numpy()


def drawn(*shape):
    """A case: logits of that shape, the last axis the actions."""
    return lambda rng: {"z": rng.normal(0, 1.5, shape), "a": np.array(rng.integers(0, shape[-1], shape[:-1]))}


PAPER = {"z": [np.log([0.5, 0.3, 0.2]).tolist()], "a": np.array([1])}
EXERCISE = derive(
    softmax_score,
    title="The score of softmax",
    goal="Write down in which direction logits have to move so that an action becomes more probable.",
    minutes=10,
    difficulty=2,
    importance=5,
    hints=[
        "log π_a = z_a - log Σ_b exp(z_b). What is the derivative of each of the two by z_i?",
        "A 1 at the action (`torch.nn.functional.one_hot(a, z.shape[-1])`), minus `z.softmax(-1)`.",
    ],
    checks={
        "values": Check(
            3,
            "log π_a has two terms, z_a and -log Σ_b exp(z_b): differentiate each by z_i, for i = a and for another i.",
            [PAPER, {"z": [[0, 0]], "a": np.array([0])}, drawn(4, 3), drawn(5, 6)],
        ),
        "axes": Check(
            1,
            "The actions are the last axis of z, whatever stands before it, even if nothing does.",
            [drawn(3), drawn(3, 3), drawn(2, 4, 3)],
            requires="`z` is `[..., action]` and `a` is `[...]`, with any number of leading axes or none",
            leaves_input_alone=True,
        ),
        "large logits": Check(
            1,
            "exp(1000) is infinite, and ∞/∞ is NaN. Take the largest logit away first, or use a function that does.",
            [
                {"z": [[1000, 0]], "a": np.array([1])},
                {"z": [[-1000, 0, -999]], "a": np.array([0])},
                lambda rng: {"z": rng.normal(0, 1, (3, 4)) + 900, "a": rng.integers(0, 4, 3)},
                {"z": [[0, 1], [-1000, -999]], "a": np.array([0, 1])},
            ],
            tolerance=(1e-3, 1e-4),  # near 900 float32 has steps of 6e-5
            requires="logits may be as large as ±1000",
        ),
    },
    mistakes={
        "Half of it is missing: a larger z_a also makes the others less probable, which gives the -π.": (
            "one - z.softmax(-1)",
            "one + 0.0 * z",
        ),
        "Sign flipped? This is π - e_a, the gradient of a loss; the score points towards the action.": "-f(z, a)",
        "This is the gradient of π(a), not of log π(a): divide by π(a).": (
            "one - z.softmax(-1)",
            "(one * z.softmax(-1)).sum(-1, keepdim=True) * (one - z.softmax(-1))",
        ),
        "Only the component of the action taken is there: those of the others are -π_i, not 0.": (
            "one - z.softmax(-1)",
            "one * (1 - z.softmax(-1))",
        ),
        "The others' components are missing a softmax: this is e_a - z.": ("one - z.softmax(-1)", "one - z"),
        "This is e_a - log π: the second term is the probability itself.": (
            "one - z.softmax(-1)",
            "one - z.log_softmax(-1)",
        ),
        "This subtracts 1/A: that is π only for the indifferent policy.": (
            "one - z.softmax(-1)",
            "one - torch.ones_like(z) / z.shape[-1]",
        ),
        "The other components get +π_i: if a becomes more probable, they become less probable.": (
            "one - z.softmax(-1)",
            "one * (1 - z.softmax(-1)) + (1 - one) * z.softmax(-1)",
        ),
        "1/π(a) is the derivative of log π by π. By the logits, e_a - π is all.": (
            "one - z.softmax(-1)",
            "one / z.softmax(-1)",
        ),
        "This is the score times π(a): the expectation takes care of that factor by itself.": (
            "one - z.softmax(-1)",
            "z.softmax(-1) * (one - z.softmax(-1))",
        ),
        "The softmax runs along the first axis: the actions are the last one.": ("z.softmax(-1)", "z.softmax(0)"),
        "Actions are counted from 1 here: they start at 0.": ("(a, z", "((a - 1) % z.shape[-1], z"),
        "The scores of the batch are averaged: asked is one for each action taken.": (
            "f(z, a).mean(tuple(range(z.ndim - 1)), keepdim=True).expand_as(z)"
        ),
        "exp of a large logit is infinite, and ∞/∞ is NaN: subtract the largest logit before exp.": (
            "z.softmax(-1)",
            "z.exp() / z.exp().sum(-1, keepdim=True)",
        ),
        "exp of a large logit is infinite, so log Σ exp is, too, and what is left is not π.": (
            "z.softmax(-1)",
            "(z - z.exp().sum(-1, keepdim=True).log()).exp()",
        ),
        "The largest logit of the whole batch is subtracted: take each row's own.": (
            "z.softmax(-1)",
            "(z - z.max()).exp() / (z - z.max()).exp().sum(-1, keepdim=True)",
        ),
        "Without the number of actions `one_hot` counts them by the largest in the batch: `one_hot(a, z.shape[-1])`.": (
            "one_hot(a, z.shape[-1])",
            "one_hot(a)",
        ),
        "A sigmoid in place of the softmax: the probabilities of all actions add up to 1.": (
            "z.softmax(-1)",
            "z.sigmoid()",
        ),
        "Divided by π once more: e_a - π is the derivative of log π already.": (
            "one - z.softmax(-1)",
            "(one - z.softmax(-1)) / z.softmax(-1)",
        ),
        "The one-hot vector is inverted: the 1 stands at the action taken.": (
            "one - z.softmax(-1)",
            "(1 - one) - z.softmax(-1)",
        ),
        "This is log π(a) at its place: asked is its gradient.": (
            "one - z.softmax(-1)",
            "one * z.log_softmax(-1)",
        ),
        "e_a is missing: the action taken must become more probable.": (
            "one - z.softmax(-1)",
            "0 * one - z.softmax(-1)",
        ),
        "π(a) is subtracted everywhere: each component has its own π_i.": (
            "one - z.softmax(-1)",
            "one - z.softmax(-1).gather(-1, a[..., None])",
        ),
        "exp z is not π yet: it is not normalised.": (
            "z.softmax(-1)",
            "z.exp()",
        ),
        "The logits are divided by their sum: a softmax takes exp first.": (
            "z.softmax(-1)",
            "(z / z.sum(-1, keepdim=True))",
        ),
        "The components are summed up, and that is 0: one for each logit is asked for.": "f(z, a).sum(-1)",
        "Only the component of the action taken is returned: one for each logit is asked for.": (
            "f(z, a).gather(-1, a[..., None])[..., 0]"
        ),
    },
)
