"""What a baseline that depends on the action does to the gradient."""

import torch

from pgcourse.grading.kinds import Check, derive


def bias(z, b):
    """E[(R - b(a)) ∇ log π(a)] - E[R ∇ log π(a)]: action by action, scores by automatic differentiation."""
    logits, weight = torch.from_numpy(z).requires_grad_(), torch.from_numpy(b)
    total = torch.zeros_like(logits)
    for a in range(z.shape[-1]):
        log_pi = logits.log_softmax(-1)[..., a]
        (score,) = torch.autograd.grad(log_pi.sum(), logits)
        total = total - (log_pi.exp() * weight[..., a]).unsqueeze(-1) * score
    return total.detach().numpy()


def drawn(*shape):
    return lambda rng: {"z": rng.normal(size=shape), "b": rng.normal(1, 2, shape)}


EXERCISE = derive(
    bias,
    title="The lemma, broken on purpose",
    goal="Say what exactly goes wrong when a baseline depends on the action, and when it does not.",
    minutes=12,
    difficulty=3,
    importance=4,
    hints=[
        "What is left is -E[b(a) ∇ log π(a)]. It looks like the gradient of an expected reward. Of which reward?",
        "E[b ∇ log π] is the gradient of Σ_a π_a b_a with b held fixed: component a is π_a (b_a - Σ π b). Negate it.",
    ],
    checks={
        "values": Check(
            3,
            "Write the expectation as a sum over actions. What does ∇ log π(a) have at i = a, and what at another i?",
            [{"z": [0, 0], "b": [1, 0]}, {"z": [[0, 0, 0]], "b": [[3, 0, 0]]}, drawn(4, 3), drawn(6, 5)],
        ),
        "no harm": Check(
            1,
            "A baseline that is the same for every action must give exactly this: nothing.",
            [
                {"z": [[1, 0, 2]], "b": [[5, 5, 5]]},
                lambda rng: {"z": rng.normal(size=(4, 3)), "b": rng.normal(0, 4, (4, 1)).repeat(3, 1)},
            ],
            leaves_input_alone=True,
        ),
        "axes": Check(1, "The actions are the last axis.", [drawn(3, 3), drawn(2, 4)], leading_axes=("z", "b")),
    },
    mistakes={
        "Sign flipped? The baseline is subtracted, so E[b(a) ∇log π(a)] is taken away.": "-f(*a)",
        "The mean of b is missing: the score of one action lowers the others, too.": ("(b - mean)", "b"),
        "The factor π is missing: an action's share is as large as its probability.": (
            "-pi * (b - mean)",
            "-(b - mean)",
        ),
        "The mean over actions as if all were equally probable: it is taken under π.": (
            "(pi * b).sum(-1, keepdim=True)",
            "b.mean(-1, keepdim=True)",
        ),
        "The largest b is subtracted: it has to be the policy's mean.": (
            "(pi * b).sum(-1, keepdim=True)",
            "b.amax(-1, keepdim=True)",
        ),
        "One number for each state: a bias has a component for every logit.": (
            "-pi * (b - mean)",
            "-mean.squeeze(-1)",
        ),
        "This is zero: the lemma is about weights that do not depend on the action.": "torch.zeros_like(z)",
        "π² in the place of π: the mean over actions brings one factor π, the score none in front.": (
            "-pi * (b - mean)",
            "-(pi**2) * (b - mean)",
        ),
        "A factor 1 - π too many: it is inside b - Σ π b already.": (
            "-pi * (b - mean)",
            "-pi * (1 - pi) * (b - mean)",
        ),
        "π (1 - π) b is the part of the action's own b only: the other actions' b count with -π_a π_c.": (
            "-pi * (b - mean)",
            "-pi * (1 - pi) * b",
        ),
        "The softmax is missing: z are logits.": ("z.softmax(-1)", "z"),
        "The softmax runs along the first axis: the actions are the last one.": ("z.softmax(-1)", "z.softmax(0)"),
        "The states are averaged: each has a bias of its own.": "f(*a).mean(0, keepdim=True).expand_as(z)",
        "The mean of b alone, times π: each action's own b is missing.": ("-pi * (b - mean)", "pi * mean"),
        "exp of the logits is not yet divided by its sum: these are no probabilities.": ("z.softmax(-1)", "z.exp()"),
        "Log-probabilities stand in the place of probabilities.": ("z.softmax(-1)", "z.log_softmax(-1)"),
        "The components are added up: the bias is a vector, one for each logit.": (
            "-pi * (b - mean)",
            "-(pi * (b - mean)).sum(-1)",
        ),
        "This is -Σ π b for every action: the score weights an action's own b and the others' differently.": (
            "-pi * (b - mean)",
            "-(pi * b).sum(-1, keepdim=True) + 0 * b",
        ),
        "1 - π stands in the place of π, and the other actions' b are missing.": ("-pi * (b - mean)", "-b * (1 - pi)"),
        "It is divided by the number of actions: the expectation weights with π already.": (
            "-pi * (b - mean)",
            "-pi * (b - mean) / b.shape[-1]",
        ),
        "b is summed without π: the mean is Σ π b.": ("(pi * b).sum(-1, keepdim=True)", "b.sum(-1, keepdim=True)"),
        "The mean runs over all rows: each state has its own.": ("(pi * b).sum(-1, keepdim=True)", "(pi * b).sum()"),
        "`sigmoid` looks at each logit alone: these do not add up to 1. Take `softmax`.": (
            "z.softmax(-1)",
            "z.sigmoid()",
        ),
        "1 - π stands in the place of -π, and the mean of b is missing.": ("-pi * (b - mean)", "b - pi * b"),
    },
)
