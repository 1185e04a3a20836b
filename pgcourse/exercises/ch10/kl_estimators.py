"""Three estimators of a divergence from the reference, and what each does as a loss."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, derive


def kl_estimators(log_probs, ref_log_probs):
    """k1, k2, k3 of Schulman (2020), "Approximating KL divergence", and Σ_v sg(π(v)) ∇_z k(v), z the logits of π.

    The gradients are autograd's, through the softmax; the values are written with the ratio π_ref / π.
    """
    z = torch.tensor(log_probs, requires_grad=True)  # log-probabilities are logits, too
    log_pi = torch.log_softmax(z, -1)
    ratio = torch.exp(torch.tensor(ref_log_probs) - log_pi)
    each = {"k1": -ratio.log(), "k2": ratio.log() ** 2 / 2, "k3": ratio - 1 - ratio.log()}
    gradients = {
        name: torch.autograd.grad((log_pi.detach().exp() * k).sum(), z, retain_graph=True)[0]
        for name, k in each.items()
    }
    return {name: {"value": k, "gradient": gradients[name]} for name, k in each.items()}


def policies(log_ratio, ref):
    """A case: a policy that is the reference times exp(log_ratio), which must have the sum 1."""
    prob = np.array(ref) * np.exp(log_ratio)
    return {"log_probs": np.log(prob), "ref_log_probs": np.log(np.array(ref))}


def drawn(*shape):
    """A case of random policies and references, each probability 1/50 or more."""

    def case(rng):
        tokens = shape[-1]
        pi, ref = (rng.dirichlet(np.ones(tokens), shape[:-1]) * (1 - tokens / 50) + 1 / 50 for _ in range(2))
        return {"log_probs": np.log(pi), "ref_log_probs": np.log(ref)}

    return case


NUMBERS = [policies([np.log(2), np.log(2 / 3)], [0.25, 0.75]), drawn(4), drawn(3, 5)]


def part(points, hint, estimator, what):
    return Check(points, hint, NUMBERS, through=f'f(log_probs, ref_log_probs)["{estimator}"]["{what}"]')


K2, K3 = "prob * (d - (prob * d).sum(-1, keepdim=True))", "prob - ref_log_probs.exp()"

EXERCISE = derive(
    kl_estimators,
    title="Which gradient is it?",
    goal="Know of an estimate of the divergence not only what it is on average, but what it does as a loss.",
    minutes=30,
    difficulty=4,
    importance=4,
    hints=[
        "With the sample held fixed, k depends on z only through log π(v), and ∂ log π(v) / ∂z_u is [u = v] - π(u). "
        "What is the mean of that over v?",
        "With k'(d) the derivative of k by d, the mean gradient is π(u) (k'(d_u) - Σ_v π(v) k'(d_v)). k' is 1, d and "
        "1 - exp(-d); the mean of the last one is 0.",
    ],
    checks={
        "k1": part(1, "k1 = log π - log π_ref, of either sign.", "k1", "value"),
        "k2": part(1, "k2 = ½ k1².", "k2", "value"),
        "k3": part(1, "k3 = r - 1 - log r with r = π_ref / π: never negative, and 0 where both agree.", "k3", "value"),
        "gradient of k1": part(2, "What is the mean of ∇ log π over the policy's own tokens?", "k1", "gradient"),
        "gradient of k2": part(
            2,
            "The tokens are drawn and stay what they are. Raising one logit lowers all other probabilities.",
            "k2",
            "gradient",
        ),
        "gradient of k3": part(
            2, "The derivative of exp(-d) - 1 + d by d is 1 - π_ref / π. Multiply with π.", "k3", "gradient"
        ),
        "any axes": Check(
            1,
            "Tokens are the last axis: `sum(-1, keepdim=True)`.",
            [drawn(2, 3)],
            leading_axes=("log_probs", "ref_log_probs"),
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "k1 has the wrong sign: it is log π - log π_ref, positive where the policy likes a token more than the "
        "reference does.": (
            '"value": d, "gradient": torch.zeros_like(d)',
            '"value": -d, "gradient": torch.zeros_like(d)',
        ),
        "The ½ of k2 is missing.": ("d.square() / 2", "d.square()"),
        "k2 squares the ratio less 1: it is the logarithm that is squared.": (
            "d.square() / 2",
            "torch.expm1(-d).square() / 2",
        ),
        "k3 has the ratio inverted: exp(d) - 1 - d is never negative, too, but its mean under π is not the divergence, "
        "and large where π has left the reference. With tokens of π it is π_ref / π.": (
            "torch.expm1(-d) + d",
            "torch.expm1(d) - d",
        ),
        "k3 has the sign of the logarithm wrong: with r = π_ref / π, r - 1 + log r can be negative.": (
            "torch.expm1(-d) + d",
            "torch.expm1(-d) - d",
        ),
        "The -1 of k3 is missing: it should be 0 where both policies agree.": (
            "torch.expm1(-d) + d",
            "torch.exp(-d) + d",
        ),
        "k3 takes log r for r: it is exp(-d) - 1 + d.": ("torch.expm1(-d) + d", "-d - 1 - (-d).log()"),
        "The two policies are in each other's place: tokens come from π, and the divergence is that of π from the "
        "reference.": "f(ref_log_probs, log_probs)",
        "The values are means: one number for each token is asked for.": (
            "{k: {'value': (a[0].exp() * x['value']).sum(-1), 'gradient': x['gradient']} for k, x in f(*a).items()}"
        ),
        "k1's gradient is 0. The value of k1 is right on average, but as a loss, with the tokens held fixed, its mean "
        "gradient is that of log π alone, E[∇ log π] = 0: it holds the policy nowhere.": (
            "torch.zeros_like(d)",
            K2,
        ),
        "k1's gradient is 0, and not π: raising a logit lowers the probabilities of all other tokens, and in the mean "
        "that cancels.": ("torch.zeros_like(d)", "prob"),
        "The gradient of k2 is not π d: raising a logit lowers the probabilities of all other tokens. Take the mean of "
        "d away.": (K2, "prob * d"),
        "The gradient of k3 is not that of KL(π ‖ π_ref), which is k2's. That k3 is unbiased says nothing of its "
        "gradient: with the tokens held fixed that is π - π_ref, the gradient of KL(π_ref ‖ π).": (K3, K2),
        "The gradient of k3 has the wrong sign: it lowers what π has too much of, so as something to be made small it "
        "is π - π_ref.": (K3, "ref_log_probs.exp() - prob"),
        "The gradient of k2 has the wrong sign.": (K2, f"-{K2}"),
        "The gradient of k2 is taken for that of k3, π - π_ref: the two agree only near the reference.": (K2, K3),
        "The gradients of k2 and k3 are swapped.": [(K2, "@"), (K3, K2), ("@", K3)],
        "The gradient of k3 is that of exp(d) - 1 - d, with the ratio inverted: it is the one of ½ χ², and pulls the "
        "harder the further π is away.": (K3, "prob * (d.exp() - (prob * d.exp()).sum(-1, keepdim=True))"),
        "The tokens' probabilities were differentiated, too: these are the gradients of the estimators' means. A "
        "program holds the drawn tokens fixed.": [
            (K2, "prob * (d + d**2 / 2 - (prob * (d + d**2 / 2)).sum(-1, keepdim=True))"),
            ("torch.zeros_like(d)", K2),
            (K3, K2),
        ],
        "These are the gradients of the single tokens' estimates: multiply with the probability of each token, and "
        "count the others.": [
            ("torch.zeros_like(d)", "torch.ones_like(d)"),
            (K2, "d"),
            (K3, "1 - (-d).exp()"),
        ],
        "Softmax and log are left out: these are derivatives by log π(v), as if every token's could be moved alone.": [
            ("torch.zeros_like(d)", "prob"),
            (K2, "prob * d"),
        ],
        "Gradients are summed along the wrong axis: tokens are the last one.": [
            (K2, "prob * (d - (prob * d).sum(0, keepdim=True))"),
        ],
        "The gradient of k1 is not 1: that is ∂k/∂log π(v), and the chain rule goes on to the logits.": (
            '"value": d, "gradient": torch.zeros_like(d)',
            '"value": d, "gradient": torch.ones_like(d)',
        ),
        "The gradient of k2 is not 0: only that of k1 is.": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "torch.zeros_like(d)",
        ),
        "The gradient of k2 is twice too large: the ½ cancels the 2 of the square.": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "2 * prob * (d - (prob * d).sum(-1, keepdim=True))",
        ),
        "The gradient of k2 lacks π in front.": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "d - (prob * d).sum(-1, keepdim=True)",
        ),
        "The gradient of k3 is not 0: only that of k1 is.": ("prob - ref_log_probs.exp()", "torch.zeros_like(d)"),
        "The gradient of k3 lacks π: this is ∂k/∂log π(v), before the mean.": (
            "prob - ref_log_probs.exp()",
            "1 - (-d).exp()",
        ),
        "The mean of d as if all tokens were equally probable: weight it with π.": (
            "(prob * d).sum(-1, keepdim=True)",
            "d.mean(-1, keepdim=True)",
        ),
        "The mean of d runs over all positions: each has its own.": (
            "(prob * d).sum(-1, keepdim=True)",
            "(prob * d).sum()",
        ),
        "π (1 - π) d is the part of the token's own logit only.": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "prob * (1 - prob) * d",
        ),
        "d has the wrong sign throughout: it is log π - log π_ref.": (
            "d = log_probs.exp(), log_probs - ref_log_probs",
            "d = log_probs.exp(), ref_log_probs - log_probs",
        ),
        "The reference's probabilities stand in front: the policy draws the token.": (
            "d = log_probs.exp(), log_probs - ref_log_probs",
            "d = ref_log_probs.exp(), log_probs - ref_log_probs",
        ),
        "k1 is weighted with π: its value for each token is asked for.": (
            '"value": d, "gradient": torch.zeros_like(d)',
            '"value": prob * d, "gradient": torch.zeros_like(d)',
        ),
        "k2 lacks the square.": ("d.square() / 2", "d / 2"),
        "The gradient of k3 has a π too many: the mean over tokens has used it up.": (
            "prob - ref_log_probs.exp()",
            "prob * (prob - ref_log_probs.exp())",
        ),
        "k2 is averaged: its value for each token is asked for.": ("d.square() / 2", "(prob * d.square()).sum(-1) / 2"),
        "k1 lost its sign: a single one may be negative.": (
            '"value": d, "gradient": torch.zeros_like(d)',
            '"value": d.abs(), "gradient": torch.zeros_like(d)',
        ),
        "The ½ of k2 is missing, in its value and in its gradient.": [
            ("d.square() / 2", "d.square()"),
            ("prob * (d - (prob * d).sum(-1, keepdim=True))", "2 * prob * (d - (prob * d).sum(-1, keepdim=True))"),
        ],
        "k2 is weighted with π: its value for each token is asked for.": ("d.square() / 2", "prob * d.square() / 2"),
        "k3 is weighted with π: its value for each token is asked for.": (
            "torch.expm1(-d) + d",
            "prob * (torch.expm1(-d) + d)",
        ),
        "k3 has the wrong sign: r - 1 - log r is never negative.": ("torch.expm1(-d) + d", "-(torch.expm1(-d) + d)"),
        "The logarithm in k3 is missing: r - 1 alone has the mean 0.": ("torch.expm1(-d) + d", "torch.expm1(-d)"),
        "k3 has the ratio inverted, in its value and in its gradient: with tokens of π it is π_ref / π.": [
            ("torch.expm1(-d) + d", "torch.expm1(d) - d"),
            ("prob - ref_log_probs.exp()", "prob * (d.exp() - (prob * d.exp()).sum(-1, keepdim=True))"),
        ],
        "1 - π is what one token does to its own logit: take the mean over tokens, and count what each does to all "
        "logits.": (
            "torch.zeros_like(d)",
            "1 - prob",
        ),
        "π (1 - π) counts each token's own logit only: all other tokens move it, too, and together that is 0.": (
            "torch.zeros_like(d)",
            "prob * (1 - prob)",
        ),
        "In all three gradients each token moves its own logit only: through the softmax it moves all.": [
            ("torch.zeros_like(d)", "prob * (1 - prob)"),
            ("prob * (d - (prob * d).sum(-1, keepdim=True))", "prob * (1 - prob) * d"),
            ("prob - ref_log_probs.exp()", "prob * (1 - prob) * (1 - (-d).exp())"),
        ],
        "The gradient of k2 is not d: that is ∂k/∂log π(v), and the chain rule goes on to the logits.": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "d",
        ),
        "The sum of d over the tokens lacks its weights π(v).": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "prob * (d - d.sum(-1, keepdim=True))",
        ),
        "The gradient of k2 is half of what it should be: the 2 of the square cancels the ½.": (
            "prob * (d - (prob * d).sum(-1, keepdim=True))",
            "prob * (d - (prob * d).sum(-1, keepdim=True)) / 2",
        ),
        "The gradients are added up: a number for every logit is asked for.": "{k: {**x, 'gradient': "
        "x['gradient'].sum(-1)} for k, x in f(*a).items()}",
        "All gradients have the wrong sign: asked for is the gradient itself, not the step against it.": "{k: {**x, "
        "'gradient': -x['gradient']} for k, x in f(*a).items()}",
        "π - π_ref is the gradient of k3: that of k1 is 0.": ("torch.zeros_like(d)", "prob - ref_log_probs.exp()"),
        "d is the difference of the probabilities here: it is that of their logarithms.": (
            "log_probs.exp(), log_probs - ref_log_probs",
            "log_probs.exp(), log_probs.exp() - ref_log_probs.exp()",
        ),
    },
)
