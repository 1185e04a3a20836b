"""The loss with `[n]` against `[n, 1]`."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, repair


def surrogate_loss(logits, action, weight):
    """L = -1/n Σ_k weight_k log π(a_k|s_k), term by term. Williams (1992), section 4."""
    total = torch.zeros((), dtype=logits.dtype)
    for row, a, w in zip(logits, action, weight.detach(), strict=True):
        total = total - w * (row[a] - row.logsumexp(0))
    return total / len(action)


def steps(logits, action, weight):
    return {"logits": logits, "action": np.array(action), "weight": weight}


def drawn(n, actions, spread=2.0):
    """A case of `n` random steps."""
    return lambda rng: steps(rng.normal(size=(n, actions)), rng.integers(0, actions, n), rng.normal(1.0, spread, n))


CASES = [
    steps([[0, 0]], [1], [3]),
    steps([[0, 2], [1, 0]], [1, 0], [10, -1]),
    drawn(2, 2),
    drawn(3, 3),
    drawn(6, 4),
]

EXERCISE = repair(
    surrogate_loss,
    start=("weight.unsqueeze(1) * ", "weight * "),
    title="Learns almost nothing, and no error",
    goal="Find the bug that pairs every action with everybody's weight, and repair it.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "Print the shape of everything that is multiplied, for a batch of two steps.",
        "`gather` keeps its axis: log_prob is [n, 1]. Against weight [n] it becomes [n, n], every pair of an action "
        "and a weight. Take the axis away with `.squeeze(1)`, or give the weight one with `.unsqueeze(1)`.",
    ],
    checks={
        "value": Check(
            3,
            "Compute the second case by hand: two products, their mean, a minus.",
            CASES,
        ),
        "gradient": Check(
            2,
            "The gradient by the logits of a step contains that step's weight and no other's; weights are data.",
            CASES,
            gradient=("logits",),
            no_gradient=("weight",),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "The n² pairs are still there, now divided by n instead of n².": (
            "(weight.unsqueeze(1) * log_prob).mean()",
            "(weight * log_prob).sum() / len(action)",
        ),
        "Every action gets the first step's weight: each has its own.": ("weight.unsqueeze(1) * ", "weight[0] * "),
        "You take every action's log-probability: only that of the action taken counts. Where did `gather` go?": (
            "gather(1, action.unsqueeze(1))",
            "mul(1)",
        ),
        "Other rows' actions are picked: `[:, action]` takes all n actions in every row.": (
            ".gather(1, action.unsqueeze(1))",
            "[:, action].mean(1, keepdim=True)",
        ),
        "The products are right, but summed: the mean over the steps is missing.": (
            "(weight.unsqueeze(1) * log_prob).mean()",
            "(weight.unsqueeze(1) * log_prob).sum()",
        ),
        "The minus is gone: an optimiser goes downhill.": ("-(weight", "(weight"),
        "The logits are taken for log-probabilities: they have to be normalised, with `log_softmax`.": (
            "logits.log_softmax(1)",
            "logits",
        ),
        "Normalised over the steps of the batch: each step's probabilities add up to one, along dim 1.": (
            "log_softmax(1)",
            "log_softmax(0)",
        ),
        "These are probabilities: the score is the gradient of the log-probability.": ("log_softmax(1)", "softmax(1)"),
        "A gradient flows into the weights: they are data, so keep `detach`.": ("weight.detach()", "weight"),
        "No gradient is left: the log-probabilities were detached, and they are all there is to differentiate.": (
            "f(logits.detach(), action, weight)"
        ),
        "The weights are in another order than the actions: step k's weight belongs to step k's action.": (
            "f(logits, action, weight.flip(0))"
        ),
        "Another action's log-probability is taken: that of the action that was played was right.": (
            "gather(1, action.unsqueeze(1))",
            "gather(1, 1 - action.unsqueeze(1).clamp(max=1))",
        ),
        "One number for each step: the mean over them is asked for.": (
            "-(weight.unsqueeze(1) * log_prob).mean()",
            "-(weight.unsqueeze(1) * log_prob).mean(1)",
        ),
        "The weights' mean is subtracted: a baseline was not asked for.": (
            "weight.detach()",
            "(weight - weight.mean()).detach()",
        ),
        "The weights are standardised: with one step that is 0/0, and it was not asked for.": (
            "weight.detach()",
            "((weight - weight.mean()) / (weight.std() + 1e-8)).detach()",
        ),
        "Divided by the sum of the weights: then twice the weights change nothing. The mean over steps was right.": (
            "-(weight.unsqueeze(1) * log_prob).mean()",
            "-(weight.unsqueeze(1) * log_prob).sum() / weight.sum()",
        ),
        "`sigmoid` looks at each logit alone: `log_softmax` was right.": (
            "logits.log_softmax(1)",
            "logits.sigmoid().log()",
        ),
        "Divided by the number of actions, too: the mean is over the steps.": (
            "-(weight.unsqueeze(1) * log_prob).mean()",
            "-(weight.unsqueeze(1) * log_prob).mean() / logits.shape[1]",
        ),
        "The weights are gone: every action is made more probable alike.": (
            "-(weight.unsqueeze(1) * log_prob).mean()",
            "-log_prob.mean()",
        ),
        "Weights and log-probabilities are added: they multiply.": (
            "-(weight.unsqueeze(1) * log_prob).mean()",
            "-(weight.unsqueeze(1) + log_prob).mean()",
        ),
    },
)
