"""A policy with invalid actions."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, gradient


def masked_policy(logits, valid):
    """π(a|s) ∝ m_a e^{z_a}, state by state over the valid actions alone. Huang & Ontañón (2022), section 3."""
    log_prob, entropy = torch.full_like(logits, -torch.inf), torch.zeros_like(logits[..., 0])
    for at in np.ndindex(*logits.shape[:-1]):
        some = logits[at][valid[at]]
        each = some - some.logsumexp(0)
        row = log_prob[at].clone()
        row[valid[at]] = each
        log_prob = _put(log_prob, at, row)
        entropy = _put(entropy, at, -(each.exp() * each).sum())
    return log_prob, entropy


def _put(into, at, value):
    into = into.clone()
    into[at] = value
    return into


def case(logits, valid, action=None):
    valid = np.asarray(valid, bool)
    return {"logits": logits, "valid": valid} | ({} if action is None else {"action": np.asarray(action)})


def drawn(*shape, action=False, scale=1.0):
    """Random logits and masks with at least one valid action; and a valid action."""

    def draw(rng):
        valid, first = rng.random(shape) < 0.5, rng.integers(shape[-1], size=(*shape[:-1], 1))
        np.put_along_axis(valid, first, True, -1)
        if shape[:-1]:
            np.put_along_axis(valid[0], (first[0] + 1) % shape[-1], False, -1)
        return case(rng.normal(0.0, 2.0, shape) * scale, valid, first if action else None)

    return draw


HAND = case([[1, 2, 0]], [[True, True, False]])
ONE = case([[1, 2, 0], [3, 1, 2]], [[False, True, False], [True, True, True]])
TAKEN = "f(logits, valid)[0].gather(-1, action)"

EXERCISE = gradient(
    masked_policy,
    title="A policy that knows what is not allowed",
    goal="Make invalid actions impossible, without a NaN and without a gradient.",
    minutes=15,
    difficulty=3,
    importance=3,
    hints=[
        "Which logit gives the probability 0? And what is 0 · log 0 to a computer?",
        "`logits.masked_fill(~valid, -torch.inf).log_softmax(-1)`. For the entropy replace the log-probabilities of "
        "invalid actions with 0 first, and multiply the probabilities with the mask.",
    ],
    checks={
        "probabilities": Check(
            2,
            "The softmax runs over the valid actions alone: an invalid one has probability 0, the others sum to 1.",
            [HAND, drawn(3, 4), drawn(2, 3, 5), drawn(4)],
            through="f(logits, valid)[0].exp()",
            tolerance=(1e-4, 1e-12),  # what is invalid is impossible, not rare
            leaves_input_alone=True,
        ),
        "score": Check(
            2,
            "The gradient of a valid action's log-probability is e - π: at invalid logits it is 0, and nowhere NaN.",
            [
                HAND | {"action": np.array([[1]])},
                case([[0, -100, 5]], [[True, True, False]], [[1]]),
                drawn(3, 4, action=True),
                drawn(2, 3, 5, action=True),
            ],
            through=TAKEN,
            gradient=("logits",),
        ),
        "entropy": Check(
            2,
            "0 · (-∞) is NaN, in the value and again in the gradient: replace before you multiply.",
            [HAND, drawn(3, 4), drawn(2, 3, 5)],
            through="f(logits, valid)[1]",
            gradient=("logits",),
        ),
        "one action left": Check(
            1,
            "Where a single action is valid, its probability is 1 and the entropy 0.",
            [ONE],
            through="f(logits, valid)[1]",
            gradient=("logits",),
        ),
        "large logits": Check(
            1,
            "`exp` of a large logit overflows: `log_softmax` takes the greatest away first.",
            [
                case([[300, 298, 500]], [[True, True, False]]),
                case([[-300, -298, 0]], [[True, True, False]]),
                drawn(3, 4, scale=100.0),
            ],
            through="f(logits, valid)[0].exp()",
        ),
    },
    mistakes={
        "A tiny number is added before the logarithm: nothing is then less probable than that, and what is invalid is "
        "not impossible. `log_softmax` needs no such help.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "(logits.masked_fill(~valid, -torch.inf).softmax(-1) + 1e-20).log()",
        ),
        "The mask is not used: invalid actions keep their probability.": ("f(logits, torch.ones_like(valid))"),
        "The mask is inverted: it is True on valid actions.": ("logits.masked_fill(~valid", "logits.masked_fill(valid"),
        "An invalid logit of 0 is a logit like others, e⁰ = 1: it takes -∞ to get the probability 0.": (
            "masked_fill(~valid, -torch.inf)",
            "masked_fill(~valid, 0.0)",
        ),
        "A penalty on the logit leaves a small probability: invalid actions are taken, seldom. Use -∞.": (
            "logits.masked_fill(~valid, -torch.inf)",
            "(logits - 10.0 * ~valid)",
        ),
        "The probabilities of invalid actions are set to 0 after the softmax: the others no longer sum to 1.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "logits.log_softmax(-1).masked_fill(~valid, -torch.inf)",
        ),
        "The softmax runs over the wrong axis: actions are the last one.": ("log_softmax(-1)", "log_softmax(0)"),
        "The entropy is NaN: an invalid action's 0 · (-∞). Replace its log-probability with 0 before you multiply.": (
            "log_prob.masked_fill(~valid, 0.0)",
            "log_prob",
        ),
        "The entropy's value is right and its gradient NaN: masked after the product, 0 · ∞ is still met on the way "
        "back. Replace the log-probabilities before multiplying.": (
            "-(safe.exp() * valid * safe).sum(-1)",
            "-(log_prob.exp() * log_prob).masked_fill(~valid, 0.0).sum(-1)",
        ),
        "Sign flipped? The entropy is -Σ π log π, never negative.": "(f(*a)[0], -f(*a)[1])",
        "The entropy is that of the policy without its mask: it can never fall where most actions are invalid.": (
            "(f(*a)[0], f(logits, torch.ones_like(valid))[1])"
        ),
        "This is a mean over actions: the entropy is a sum.": ("(f(*a)[0], f(*a)[1] / logits.shape[-1])"),
        "exp before taking the maximum away: it overflows for large logits. Use `log_softmax`.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "(logits.exp() * valid / (logits.exp() * valid).sum(-1, keepdim=True)).masked_fill(~valid, 1.0).log()"
            ".masked_fill(~valid, -torch.inf)",
        ),
        "No gradient is left: the log-probabilities were detached.": "tuple(x.detach() for x in f(*a))",
        "e^-10 is small but not 0: an invalid action is drawn at times.": ("-torch.inf", "-10.0"),
        "e^-1 is far from 0: an invalid action is drawn often.": ("-torch.inf", "-1.0"),
        "The mask is not looked at in the probabilities.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "logits.log_softmax(-1)",
        ),
        "Probabilities stand in the place of their logarithms.": ("log_softmax(-1)", "softmax(-1)"),
        "The entropies of all states are added up.": (
            "-(safe.exp() * valid * safe).sum(-1)",
            "-(safe.exp() * valid * safe).sum()",
        ),
        "Invalid actions get the log-probability 0: that is probability 1.": ("return log_prob, -", "return safe, -"),
        "The entropy was detached: a bonus made of it trains nothing, silently.": (
            "-(safe.exp() * valid * safe).sum(-1)",
            "-(safe.exp() * valid * safe).sum(-1).detach()",
        ),
        "The entropy is divided by the number of valid actions: it is a sum.": (
            "-(safe.exp() * valid * safe).sum(-1)",
            "-(safe.exp() * valid * safe).sum(-1) / valid.sum(-1)",
        ),
        "The probabilities are not normalised again: those of the valid actions add up to 1.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "(logits.softmax(-1) * valid).log()",
        ),
        "log of 0 has an infinite slope, and 0 · ∞ is NaN: mask the logits, then take `log_softmax`.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "(logits.softmax(-1) * valid / (logits.softmax(-1) * valid).sum(-1, keepdim=True)).log()",
        ),
        "The two results are in the other order.": (
            "return log_prob, -(safe.exp() * valid * safe).sum(-1)",
            "return -(safe.exp() * valid * safe).sum(-1), log_prob",
        ),
        "Invalid actions get the lowest logit: that is not impossible, and it may be the only other one's.": (
            "logits.masked_fill(~valid, -torch.inf)",
            "logits.masked_fill(~valid, logits.min().item())",
        ),
        "Probabilities are returned in the place of their logarithms.": ("return log_prob,", "return log_prob.exp(),"),
        "The entropy is in bits: take the natural logarithm.": (
            "-(safe.exp() * valid * safe).sum(-1)",
            "-(safe.exp() * safe).sum(-1) / 0.6931471805599453",
        ),
        "-100 is not low where valid logits are lower still: use -∞.": ("-torch.inf", "-100.0"),
        "Invalid actions keep a tiny probability, as by log(p + 1e-8): they are to be impossible. Mask the logits.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "(logits.masked_fill(~valid, -torch.inf).softmax(-1) + 1e-8).log()",
        ),
        "The logits are masked and not normalised: `log_softmax` is missing.": (
            ".log_softmax(-1)",
            "",
        ),
        "π is missing in the entropy: it is a mean of -log π, with the probabilities as weights.": (
            "(safe.exp() * valid * safe)",
            "safe",
        ),
        "The entropy is divided by the logarithm of the number of valid actions: that was not asked for.": (
            "return log_prob, -(safe.exp() * valid * safe).sum(-1)",
            "return log_prob, -(safe.exp() * valid * safe).sum(-1) / valid.sum(-1).log()",
        ),
        "Only the entropy is returned: the log-probabilities are asked for, too.": (
            "return log_prob, ",
            "return ",
        ),
        "The logarithm of a sum of exponentials overflows for large logits: `log_softmax` takes the greatest away "
        "first.": (
            "logits.masked_fill(~valid, -torch.inf).log_softmax(-1)",
            "logits.masked_fill(~valid, -torch.inf); log_prob = log_prob - log_prob.exp().sum(-1, keepdim=True).log()",
        ),
    },
)
