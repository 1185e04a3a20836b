"""The KL divergence between two softmax policies, old to new."""

import torch

from pgcourse.grading.kinds import Check, gradient


def kl_direction(old_logits, new_logits):
    """KL(π_old ‖ π_new) = Σ_a π_old log(π_old / π_new), by torch.distributions. Schulman et al. (2015), section 4."""
    old, new = (torch.distributions.Categorical(logits=x) for x in (old_logits.detach(), new_logits))
    return torch.distributions.kl_divergence(old, new)


def drawn(shape, scale=1.0):
    return lambda rng: dict(zip(("old_logits", "new_logits"), scale * rng.normal(size=(2, *shape)), strict=True))


LOG_3 = 1.0986122886681098
HALF = {"old_logits": [0, 0], "new_logits": [0, LOG_3]}

EXERCISE = gradient(
    kl_direction,
    title="Which way round?",
    goal="Write KL(old ‖ new) so that it is the mean over what the old policy did, and only the new one is trained.",
    minutes=10,
    difficulty=2,
    importance=5,
    hints=[
        "Whose data is in the rollout? The mean is over that policy's actions; and which of the two is differentiated?",
        "old, new = old_logits.detach().log_softmax(-1), new_logits.log_softmax(-1); (old.exp() * (old - "
        "new)).sum(-1).",
    ],
    checks={
        "values": Check(
            2,
            "From ½ to ¾ it is ½ ln ⅔ + ½ ln 2 = 0.144; from ¾ to ½ it is 0.131.",
            [HALF, {"old_logits": [0, LOG_3], "new_logits": [0, 0]}, drawn((4,))],
        ),
        "many states": Check(
            1,
            "Sum over actions, the last axis, for each state.",
            [drawn((5, 3)), drawn((3, 3)), drawn((2, 4, 3))],
            leaves_input_alone=True,
        ),
        "logits": Check(
            1,
            "Logits need not be normalised: a constant added to all of them is the same policy. Nor may exp overflow.",
            [
                {"old_logits": [5, 5], "new_logits": [-3, -3]},
                {"old_logits": [200, 200], "new_logits": [300, 301]},
                {"old_logits": [0, 0, 0], "new_logits": [0, -60, 0]},
                {"old_logits": [0, -200], "new_logits": [0, 0]},
                {"old_logits": [[500, 501], [-500, -499]], "new_logits": [[501, 500], [-499, -500]]},
            ],
            gradient=("new_logits",),
            requires="logits may be in the hundreds",
        ),
        "gradient": Check(
            2,
            "By the new logits it is π_new - π_old. The old policy is data.",
            [HALF, drawn((4,)), drawn((3, 3))],
            gradient=("new_logits",),
            no_gradient=("old_logits",),
        ),
    },
    mistakes={
        "Swapped: this is KL(new ‖ old), a mean over actions of a policy that has not acted "
        "yet.": "f(new_logits, old_logits)",
        "Swapped, although the new policy is the one that is differentiated: the mean is over the old policy's "
        "actions.": [("(old.exp() * (old - new))", "(new.exp() * (new - old))")],
        "Sign flipped? It is old minus new log-probability; a KL divergence is never negative.": "-f(*a)",
        "The log-ratio is weighted with the new policy: the old one acted.": ("old.exp()", "new.exp()"),
        "The log-ratio is not weighted: weight it with π_old(a|s).": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old - new).sum(-1)",
        ),
        "A mean over actions: the expectation is a sum, weighted with π_old.": (".sum(-1)", ".mean(-1)"),
        "The sum runs over the states as well.": (".sum(-1)", ".sum()"),
        "This is the cross-entropy: log π_old is missing.": ("(old - new)", "(-new)"),
        "The mean of both directions: only old to new is asked for.": (
            "(old.exp() * (old - new))",
            "(0.5 * (old.exp() - new.exp()) * (old - new))",
        ),
        "The logits are taken for log-probabilities: normalise them with log_softmax.": [
            ("old_logits.detach().log_softmax(-1)", "old_logits.detach()"),
            ("new_logits.log_softmax(-1)", "new_logits"),
        ],
        "The logarithm of a softmax: where a probability is 0 in float32, that is log 0. Take `log_softmax`.": [
            ("old_logits.detach().log_softmax(-1)", "old_logits.detach().softmax(-1).log()"),
            ("new_logits.log_softmax(-1)", "new_logits.softmax(-1).log()"),
        ],
        "Exponentials of logits overflow: log_softmax takes the largest away first.": [
            ("new_logits.log_softmax(-1)", "(new_logits - new_logits.exp().sum(-1, keepdim=True).log())"),
        ],
        "The largest logit of the whole batch is subtracted: take each row's own.": [
            (
                "old, new = old_logits.detach().log_softmax(-1), new_logits.log_softmax(-1)",
                "x, y = old_logits.detach() - old_logits.detach().max(), new_logits - new_logits.max(); "
                "old, new = (each - each.exp().sum(-1, keepdim=True).log() for each in (x, y))",
            ),
        ],
        "A gradient flows into the old policy. With old and new from one network KL's two gradients cancel, and F = "
        "0.": (
            ".detach()",
            "",
        ),
        "No gradient reaches the new policy: this penalty trains nothing, silently.": (
            "f(old_logits, new_logits.detach())"
        ),
        "This is the total variation, not the KL "
        "divergence.": "0.5 * (old_logits.softmax(-1) - new_logits.softmax(-1)).abs().sum(-1)",
        "This is the squared difference of the log-probabilities over two, an approximation for close policies.": (
            "(old - new))",
            "0.5 * (old - new).square())",
        ),
        "This is in bits: take the natural logarithm, for nats.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old.exp() * (old - new)).sum(-1) / 0.6931471805599453",
        ),
        "This is half the sum of absolute differences, the total variation distance.": (
            "(old.exp() * (old - new)).sum(-1)",
            "((old.exp() - new.exp()).abs()).sum(-1) / 2",
        ),
        "The mean over the states is taken: one number for each state is asked for.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old.exp() * (old - new)).sum(-1).mean()",
        ),
        "The old policy is normalised along the first axis: the actions are the last one.": (
            "log_softmax(-1), new",
            "log_softmax(0), new",
        ),
        "The difference of the probabilities stands in the place of that of their logarithms.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old.exp() * (old.exp() - new.exp())).sum(-1)",
        ),
        "The log-ratio is weighted with the old logits: weight it with π_old(a|s).": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old_logits.detach() * (old - new)).sum(-1)",
        ),
        "The log-ratios lost their signs: KL is their mean, not that of their sizes.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old.exp() * (old - new).abs()).sum(-1)",
        ),
        "log π_new is missing: this is minus the entropy of the old policy.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old.exp() * old).sum(-1)",
        ),
        "The logarithm of the ratio is missing.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old.exp() * (old.exp() / new.exp())).sum(-1)",
        ),
        "The largest log-ratio is taken: KL is the mean under π_old.": (
            "(old.exp() * (old - new)).sum(-1)",
            "(old - new).amax(-1)",
        ),
        "`kl_div` takes probabilities of the old policy there, no logarithms, unless `log_target` is True.": (
            "(old.exp() * (old - new)).sum(-1)",
            "torch.nn.functional.kl_div(new, old, reduction='none').sum(-1)",
        ),
        "`batchmean` divides by the first axis and leaves one number: one for each state is asked for.": (
            "(old.exp() * (old - new)).sum(-1)",
            "torch.nn.functional.kl_div(new, old.exp(), reduction='batchmean')",
        ),
        "The log-ratio is weighted with log π_old: weight it with π_old(a|s).": (
            "old.exp() * (old - new)",
            "old * (old - new)",
        ),
        "The weights are right, but the log-ratio is one of logits: normalise them with log_softmax.": (
            "(old - new)",
            "(old_logits - new_logits)",
        ),
        "The wrong one is detached: the old policy is data, the new one is trained.": [
            ("old_logits.detach()", "old_logits"),
            ("new_logits.log_softmax", "new_logits.detach().log_softmax"),
        ],
        "The sum runs along the first axis: actions are the last one.": (".sum(-1)", ".sum(0)"),
        "Both policies are normalised along the first axis: the actions are the last one.": [
            ("detach().log_softmax(-1)", "detach().log_softmax(0)"),
            ("new_logits.log_softmax(-1)", "new_logits.log_softmax(0)"),
        ],
        "An ε in the logarithm: as the new policy's probability of an action vanishes, KL has to grow without end.": [
            ("old_logits.detach().log_softmax(-1)", "(old_logits.detach().softmax(-1) + 1e-8).log()"),
            ("new_logits.log_softmax(-1)", "(new_logits.softmax(-1) + 1e-8).log()"),
        ],
        "exp of the logits overflows, and ∞/∞ is NaN: log_softmax takes the largest away first.": [
            (
                "old_logits.detach().log_softmax(-1)",
                "(old_logits.detach().exp() / old_logits.detach().exp().sum(-1, keepdim=True)).log()",
            ),
            ("new_logits.log_softmax(-1)", "(new_logits.exp() / new_logits.exp().sum(-1, keepdim=True)).log()"),
        ],
        "`kl_div` averages over all entries unless told otherwise: `reduction='none'`, and sum over the actions.": (
            "(old.exp() * (old - new)).sum(-1)",
            "torch.nn.functional.kl_div(new, old.exp(), reduction='mean')",
        ),
        "This is the ratio of the logarithms: it is the logarithm of the ratio, a difference.": (
            "(old - new)",
            "(old / new)",
        ),
    },
)
