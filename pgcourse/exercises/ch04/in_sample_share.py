"""How much of ∇J is left by a baseline that contains the episode itself."""

from itertools import product

import numpy as np

from pgcourse.grading.kinds import Check, derive


def remaining_share(n, own):
    """E[ĝ] / ∇J, over all 2^n batches of a bandit with two arms, π(right) = 0.3, that pay 1 and 3. No formula."""
    pi, pay, score = np.array([0.7, 0.3]), np.array([1.0, 3.0]), np.array([-0.3, 0.7])
    mean = 0.0
    for batch in map(list, product((0, 1), repeat=n)):
        r = pay[batch]
        others = (r.sum() - r) / max(n - 1, 1)
        mean += pi[batch].prod() * ((r - own * r - (1 - own) * others) * score[batch]).mean()
    return float(mean / (pi @ (pay * score)))


CASES = [{"n": 4, "own": 0.25}, {"n": 2, "own": 0.5}, {"n": 3, "own": 1 / 3}, {"n": 10, "own": 0.1}]

EXERCISE = derive(
    remaining_share,
    title="The share that is left",
    goal="Say by how much a baseline shrinks the gradient if it contains the episode that it is subtracted from.",
    minutes=15,
    difficulty=3,
    importance=3,
    hints=[
        "E[R_j ∇log π_i] is zero for every other episode j: the lemma. What does that leave of the baseline?",
        "R_i - b_i = (1 - own) R_i - (1 - own) (mean of the others). The second part has mean zero under the score.",
    ],
    checks={
        "the batch's mean": Check(2, "With own = 1/n the baseline is the mean of the batch.", CASES),
        "any weight": Check(
            2,
            "Leave one out has own = 0. With own = 1 nothing is left.",
            [
                {"n": 4, "own": 0.0},
                {"n": 4, "own": 1.0},
                {"n": 3, "own": -0.5},
                {"n": 5, "own": 2.0},
                lambda rng: {"n": 5, "own": float(rng.uniform(0.3, 0.9))},
            ],
        ),
        "a batch of one": Check(1, "One episode is its own mean: what is left?", [{"n": 1, "own": 1.0}]),
    },
    mistakes={
        "That is 1 - 1/n, whatever the weight: right for the batch's mean, but `own` decides.": "1 - 1 / n",
        "That is the share that is lost. What is left?": "own",
        "The weight is taken twice: b_i contains own · R_i, no more.": "(1 - own) ** 2",
        "n comes in once too often: `own` says already how much of R_i stands in b_i.": "1 - own / n",
        "A baseline keeps the mean only if it does not depend on the episode's own actions; this one does.": "1.0",
        "This is the factor that would repair it: the share is its inverse.": "1 / (1 - own) if own != 1 else np.inf",
        "n - 1 over n on top: own = 1/n has it already.": "(1 - own) * (n - 1) / n if n > 1 else 0.5",
        "Too much is left: R_i enters with +1 and with -own, not with +own.": "1 + own",
        "It is divided by n: the mean over the batch is in ∇J already.": ("1.0 - own", "(1.0 - own) / n"),
        "The weight is squared: R_i enters b_i once.": ("1.0 - own", "1.0 - own**2"),
        "n/(n-1) would undo it: that is what the leave-one-out mean does to the batch's mean, here `own` is given.": (
            "1.0 - own",
            "(1.0 - own) * n / max(n - 1, 1)",
        ),
        "Sign flipped? R_i enters with 1, and own is taken away.": ("1.0 - own", "own - 1.0"),
        "All n episodes are taken away: the others' returns have nothing to do with S_i.": (
            "1.0 - own",
            "1.0 - n * own",
        ),
        "The share of one of the others is taken away: these are independent of S_i, their products have mean zero.": (
            "1.0 - own",
            "1.0 - (1 - own) / max(n - 1, 1)",
        ),
        "It is multiplied by n: ĝ is a mean.": ("1.0 - own", "n * (1 - own)"),
        "The gradient is not lost: only the part that R_i has in its own baseline is.": ("1.0 - own", "0.0"),
        "That is the share that the batch's mean takes away: and `own` decides.": ("1.0 - own", "1.0 / n"),
        "It is multiplied by n - 1: the others' returns have mean zero beside S_i.": (
            "1.0 - own",
            "(n - 1) * (1 - own)",
        ),
        "For one episode there are no others, w = 1, and nothing is left: 0.": (
            "1.0 - own",
            "1 - own if n > 1 else 1.0",
        ),
        "This is the factor by which to correct, one over c.": ("1.0 - own", "1 / (1 - own) if own < 1 else 0.0"),
        "R_i keeps 1 - own of itself: the others' mean is independent of S_i, and no (n-1)/n belongs to `own`.": (
            "1.0 - own",
            "1.0 - own * (n - 1) / n",
        ),
        "The batch's mean is taken away besides: own is all of the weight.": ("1.0 - own", "(1 - own) * (n - 1) / n"),
    },
)
