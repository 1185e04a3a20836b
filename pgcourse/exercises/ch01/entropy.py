"""The entropy of a softmax policy, with its gradient."""

from pgcourse.grading.kinds import Check, gradient


def entropy(z):
    """H = log Σ_a e^{z_a} - Σ_a π_a z_a, in nats. Shannon (1948), for π = softmax(z)."""
    return z.logsumexp(-1) - (z.softmax(-1) * z).sum(-1)


def drawn(*shape):
    return lambda rng: {"z": rng.normal(0, 1.5, shape)}


EXERCISE = gradient(
    entropy,
    title="How undecided is a policy?",
    goal="Measure how undecided a policy is, in a way that can still be differentiated.",
    minutes=10,
    difficulty=2,
    importance=4,
    hints=[
        "Both factors of π log π depend on z. What is the gradient of each alone, and which of the two is zero on "
        "average?",
        "`log_pi = z.log_softmax(-1)`, then `-(log_pi.exp() * log_pi).sum(-1)`, without detaching anything.",
    ],
    checks={
        "value": Check(
            2,
            "Sum π log π over the actions of each policy, with the natural logarithm, and mind the sign.",
            [{"z": [[0, 0]]}, {"z": [[2, 0, -1]]}, drawn(4, 3), drawn(5, 7)],
        ),
        "gradient": Check(
            3,
            "A bonus that is right and has no gradient, or a wrong one, looks fine in every plot and does nothing.",
            [{"z": [[1, 0]]}, drawn(1, 4), drawn(4, 3), drawn(5, 7)],
            gradient=("z",),
        ),
        "axes": Check(
            1,
            "The actions are the last axis, whatever stands before it.",
            [drawn(3, 3), drawn(2, 5)],
            leading_axes=("z",),
            gradient=("z",),
            leaves_input_alone=True,
        ),
        "nearly certain": Check(
            2,
            "π becomes 0 before its logarithm is taken, and 0 · log 0 is NaN. Get log π from `log_softmax`.",
            [
                {"z": [[1000, 0]]},
                {"z": [[500, 500]]},
                {"z": [[-900, 0, 0]]},
                lambda rng: {"z": rng.normal(0, 1, (3, 4)) * 400},
            ],
            gradient=("z",),
            tolerance=(1e-3, 1e-3),
            requires="logits may be as large as ±1000",
        ),
    },
    mistakes={
        "Sign flipped? The logarithm of a probability is negative, and entropy is not.": "-f(*a)",
        "This is in bits: take the natural logarithm, for nats.": "f(*a) / torch.log(torch.tensor(2.0))",
        "The mean over the actions: entropy is their sum, weighted with π already.": (".sum(-1)", ".mean(-1)"),
        "The entropies of all policies are added up: one number for each is asked for.": (
            "(log_pi.exp() * log_pi).sum(-1)",
            "(log_pi.exp() * log_pi).sum()",
        ),
        "The entropies of all policies are averaged: one number for each is asked for.": "f(*a).mean()",
        "π is missing: every action counts the same here, however improbable it is.": (
            "(log_pi.exp() * log_pi)",
            "log_pi",
        ),
        "The logarithm is missing: Σ π z is the mean logit.": ("(log_pi.exp() * log_pi)", "(log_pi.exp() * z)"),
        "The softmax is missing: logits are not logarithms of probabilities yet.": ("z.log_softmax(-1)", "z"),
        "The softmax runs along the first axis: the actions are the last one.": ("log_softmax(-1)", "log_softmax(0)"),
        "This is -log of the most probable action's probability: entropy is the mean over all actions.": (
            "(log_pi.exp() * log_pi).sum(-1)",
            "log_pi.amax(-1)",
        ),
        "This is exp(H), how many actions are in use: entropy is its logarithm.": "f(*a).exp()",
        "This is 1 - Σ π², another measure of how undecided a policy is.": (
            "-(log_pi.exp() * log_pi).sum(-1)",
            "1 - log_pi.exp().square().sum(-1)",
        ),
        "Divided by log A: asked is the entropy in nats, not its share of the largest one.": (
            "f(*a) / torch.log(torch.tensor(float(z.shape[-1])))"
        ),
        "The value is right and the gradient is zero: with π detached only E[∇ log π] is left, and that is 0 by the "
        "lemma. Such a bonus trains nothing, silently.": ("log_pi.exp() * log_pi", "log_pi.exp().detach() * log_pi"),
        "No gradient is left: the result was detached, or its logits were.": "f(z.detach())",
        "0 · log 0 is NaN where π becomes 0: take log π from `log_softmax`, not as the logarithm of `softmax`.": (
            "z.log_softmax(-1)",
            "z.softmax(-1).log()",
        ),
        "The value is right and its gradient is NaN: the slope of π log π at π = 0 is infinite, and ∞ · 0 is NaN.": (
            "-(log_pi.exp() * log_pi).sum(-1)",
            "torch.special.entr(z.softmax(-1)).sum(-1)",
        ),
        "exp of a large logit is infinite: use `log_softmax`, which takes the largest logit away first.": (
            "z.log_softmax(-1)",
            "z - z.exp().sum(-1, keepdim=True).log()",
        ),
        "exp of a large logit is infinite, and ∞/∞ is NaN: take log π from `log_softmax`, which never gets there.": (
            "z.log_softmax(-1)",
            "(z.exp() / z.exp().sum(-1, keepdim=True)).log()",
        ),
        "The mean of -log π as if all actions were equally probable: weight each with π.": (
            "-(log_pi.exp() * log_pi).sum(-1)",
            "-log_pi.mean(-1)",
        ),
        "`sigmoid` looks at each logit alone: these do not add up to 1. Take `log_softmax`.": (
            "z.log_softmax(-1)",
            "z.sigmoid().log()",
        ),
        "The logits are divided by their sum, as it were: what normalises is the logarithm of Σ exp z.": (
            "z.log_softmax(-1)",
            "z - z.sum(-1, keepdim=True)",
        ),
        "The result has an axis more: the last one is summed away.": (
            "-(log_pi.exp() * log_pi).sum(-1)",
            "-(log_pi.exp() * log_pi).sum(-1, keepdim=True)",
        ),
        "The logarithm is squared: one of the two factors is π itself.": (
            "-(log_pi.exp() * log_pi).sum(-1)",
            "-(log_pi * log_pi).sum(-1)",
        ),
        "Logits are clamped: beyond the limit they become equal, although one action is certain.": (
            "z.log_softmax(-1)",
            "z.clamp(-20, 20).log_softmax(-1)",
        ),
    },
)
