"""The clipped loss over tokens, and which of them it leaves without a gradient."""

import numpy as np
import torch

from pgcourse.exercises.ch08.clipped_objective import samples
from pgcourse.grading.kinds import Check, gradient


def token_clip(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    """[-mean of min(r Â, clip(r, 1-ε, 1+ε_high) Â), where it is flat]. Schulman et al. (2017), eq. 7; Yu et al. (2025).

    Token by token and by the sign of Â; a token is clipped where a slightly other r changes nothing.
    """

    def gain(r, good):
        return good * r.clamp(max=1 + clip_high) if good > 0 else good * r.clamp(min=1 - clip)

    clipped = torch.zeros(mask.shape, dtype=torch.bool)
    rows: list[list[torch.Tensor]] = [[] for _ in mask]
    for i, row in enumerate(mask):
        for t in range(int(row.sum())):
            ratio, good = (log_prob[i, t] - old_log_prob[i, t].detach()).exp(), advantage[i, t].detach()
            clipped[i, t] = gain(ratio + 1e-6, good) == gain(ratio - 1e-6, good)
            rows[i].append(gain(ratio, good))
    means = [torch.stack(row).mean() for row in rows]
    counts = [len(row) if by == "token" else 1 for row in rows]
    return [-sum(n * x for n, x in zip(counts, means, strict=True)) / sum(counts), clipped]


def responses(ratio, advantage, mask=True, by="token", padding=(0.0, 0.0), clip=0.2, clip_high=0.4, old=0.5):
    """A case, as of `08.clipped_objective`, with a bound of its own above, and what the mean is over."""
    return samples(ratio, advantage, mask, padding, clip, old) | {"clip_high": clip_high, "by": by}


def drawn(lengths, by="token", padding=(-3.0, -3.0), clip=0.2, clip_high=0.4):
    """A case of random responses of these lengths in a random order, with ratios on all sides of both bounds."""

    def case(rng):
        mask = np.arange(max(lengths)) < rng.permutation(lengths)[:, None]
        bounds = [1 - clip, 1 / (1 + clip), 1 + clip, 1 + clip_high]
        near = [0.3, 3.0, 1.0, *(x + d for x in bounds for d in (-0.02, 0.02))]
        ratio = rng.choice(near, mask.shape) * np.exp(rng.uniform(-0.003, 0.003, mask.shape))
        advantage = rng.uniform(0.5, 2.5, mask.shape) * rng.choice([-1.0, 1.0], mask.shape)
        old = rng.uniform(0.1, 0.3, mask.shape)
        return responses(ratio, advantage, mask, by, padding, clip, clip_high, old)

    return case


def four(clip=0.2, clip_high=0.4):
    """A case that has both signs of Â on each side of each bound, and between 1-ε and 1/(1+ε)."""
    low, high = 1 - clip, 1 + clip_high
    ratio = [low - 0.02, low + 0.01, 1 + clip + 0.02, high - 0.02, high + 0.02, 1 / high - 0.01, 0.05, 4.0]
    return responses([ratio, ratio], [[2.0] * len(ratio), [-1.0] * len(ratio)], clip=clip, clip_high=clip_high)


LOSS, CLIPPED = (f"f(log_prob, old_log_prob, advantage, mask, clip, clip_high, by)[{i}]" for i in (0, 1))
FIRST_ENDS = [[True, False, False], [True, True, True]]
UNLIKE = ([[1.1, 1, 1], [1.8, 1.2, 0.5]], [[3, 1, 1], [1, 2, -2]], FIRST_ENDS)
BROKEN = [(np.nan, 0.0), (0.0, np.nan), (np.inf, np.inf), (-np.inf, np.nan)]
GAIN = "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)"
TOKENS, SEQUENCES = "gain.sum() / mask.sum()", "(gain.sum(1) / mask.sum(1)).mean()"

EXERCISE = gradient(
    token_clip,
    title="The clip, token by token",
    goal="Write the loss of PPO and GRPO over tokens, and say which tokens the clip silences.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "For Â > 0 the loss asks for a larger r: at which end does that stop paying? And who counts more in a mean "
        "over responses, a token of a long one or of a short one?",
        "`gain = torch.minimum(r * A, r.clamp(1 - clip, 1 + clip_high) * A)` with padding replaced by 0; minus "
        "`gain.sum() / mask.sum()`, or minus `(gain.sum(1) / mask.sum(1)).mean()`. Clipped is "
        "`(A > 0) & (r > 1 + clip_high) | (A < 0) & (r < 1 - clip)`.",
    ],
    checks={
        "the loss": Check(
            2,
            "Do a token by hand: Â = 2 and r = 1.5 gain min(3, 2.8). The loss is minus the mean.",
            [
                responses([[1.1]], [[2]]),
                responses([[1.5, 0.5, 1.1]], [[2, 2, 2]]),
                responses([[0.5, 1.5, 0.9]], [[-2, -2, -2]]),
                four(),
                responses([[12.0, 0.05]], [[-2, 2]], old=0.05),  # far outside, on the side that is not clipped
                drawn([5, 5], clip=0.1, clip_high=0.3),
            ],
            through=LOSS,
            gradient=("log_prob",),
        ),
        "which are clipped": Check(
            2,
            "Write the table: r above and below, Â positive and negative. Two of the four are True.",
            [
                responses([[1.5]], [[2]]),
                responses([[1.5]], [[-2]]),
                responses([[0.5]], [[2]]),
                responses([[0.5]], [[-2]]),
                four(),
                four(0.1, 0.3),
                responses(*UNLIKE, padding=(0.0, -1.0)),
                drawn([6, 3, 5, 2]),
            ],
            through=CLIPPED,
            requires="the second result is True or False for every token, and False on padding",
        ),
        'by="token"': Check(
            2,
            "Every token of the batch counts the same: sum over all, divide by `mask.sum()`.",
            [responses(*UNLIKE), drawn([6, 2, 4]), drawn([2, 5], clip=0.3, clip_high=0.3)],
            through=LOSS,
            gradient=("log_prob",),
        ),
        'by="sequence"': Check(
            2,
            "First the mean over the tokens of each response, then the mean over responses.",
            [
                responses(*UNLIKE, by="sequence"),
                drawn([6, 2, 4], by="sequence"),
                drawn([2, 5], by="sequence", clip=0.3, clip_high=0.3),
            ],
            through=LOSS,
            gradient=("log_prob",),
        ),
        "broken padding": Check(
            1,
            "0 · NaN is NaN, also in the gradient: replace padding with `masked_fill` before exp and products.",
            [responses(*UNLIKE, padding=x) for x in BROKEN]
            + [drawn([4, 2, 6], "sequence", padding=x) for x in BROKEN[:2]],
            through=LOSS,
            gradient=("log_prob",),
            requires="padding may be NaN or infinite",
            leaves_input_alone=True,
        ),
        "data": Check(
            1,
            "The old policy and the advantages were there before this update: `.detach()` both.",
            [responses([[1.1, 0.9]], [[2, -1]]), drawn([4, 4, 4])],
            through=LOSS,
            gradient=("log_prob",),
            no_gradient=("old_log_prob", "advantage"),
        ),
    },
    mistakes={
        "Sign flipped? This is a loss, to be made small: minus the gain.": ("-means[by]", "means[by]"),
        "The minimum is missing: clip(r) Â alone takes the gradient also from tokens that have gone the wrong way, and "
        "nothing brings them back.": (GAIN, "ratio.clamp(1 - clip, 1 + clip_high) * good"),
        "Nothing is clipped in the loss: this is r Â.": (GAIN, "ratio * good"),
        "The larger of the two is taken: going too far pays, and going the wrong way costs nothing.": (
            "torch.minimum",
            "torch.maximum",
        ),
        "Â stands outside the minimum: for Â < 0 the product turns smaller into larger. Multiply first.": (
            GAIN,
            "ratio.clamp(max=1 + clip_high) * good",
        ),
        "ε_high is not used in the loss: the upper bound is 1 + clip_high.": (
            "ratio.clamp(1 - clip, 1 + clip_high)",
            "ratio.clamp(1 - clip, 1 + clip)",
        ),
        "The two ε are swapped: `clip` is below 1 and `clip_high` above it.": (
            "f(log_prob, old_log_prob, advantage, mask, clip_high, clip, by)"
        ),
        "ε_high is not used at all: the bounds are 1 - clip and 1 + clip_high.": (
            "f(log_prob, old_log_prob, advantage, mask, clip, clip, by)"
        ),
        "The ratio is inverted: it is the new policy's probability over the old one's.": (
            "log_prob - old_log_prob.detach()",
            "old_log_prob.detach() - log_prob",
        ),
        "The ratio's exp is missing: a difference of logarithms is log r.": (".exp()", ""),
        "r is of the whole response: the product of its tokens' ratios leaves the interval after a few tokens. Each "
        "token has its own.": (
            "masked_fill(~mask, 0.0).exp()",
            "masked_fill(~mask, 0.0).sum(1, keepdim=True).exp().expand(mask.shape)",
        ),
        "r is the geometric mean of the response's ratios, as in GSPO: here each token has its own.": (
            "masked_fill(~mask, 0.0).exp()",
            "masked_fill(~mask, 0.0).sum(1, keepdim=True).div(mask.sum(1, keepdim=True)).exp().expand(mask.shape)",
        ),
        "Clipped is not everything outside the interval, as a log's `clip_fraction` counts it: where r has gone the "
        "wrong way the token pulls back with full force. Look at the sign of Â.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "(ratio > 1 + clip_high) | (ratio < 1 - clip)",
        ),
        "Clipped are the tokens on the other sides: a good one that has become likely enough, and a bad one that has "
        "become rare enough.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "(good < 0) & (ratio > 1 + clip_high) | (good > 0) & (ratio < 1 - clip)",
        ),
        "True is asked for where a token has no gradient left, not where it has one.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "~((good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip))",
        ),
        "Only good tokens are looked at: a bad one that has become rare enough is clipped, too.": (
            " | (good < 0) & (ratio < 1 - clip)",
            "",
        ),
        "Only bad tokens are looked at: a good one that has become likely enough is clipped, too.": (
            "(good > 0) & (ratio > 1 + clip_high) | ",
            "",
        ),
        "ε_high is not used in telling which are clipped: the upper bound is 1 + clip_high.": (
            "ratio > 1 + clip_high",
            "ratio > 1 + clip",
        ),
        "Padding is called clipped: it is no token.": (
            "means[by], clipped",
            "means[by], clipped | ~mask",
        ),
        "The mean is over all tokens whatever is asked for: look at `by`.": ("means[by]", 'means["token"]'),
        "The mean is over responses whatever is asked for: look at `by`.": ("means[by]", 'means["sequence"]'),
        'The two means are swapped: "token" is the one in which every token counts the same.': (
            "means[by]",
            'means["token" if by == "sequence" else "sequence"]',
        ),
        "Over tokens, padding is counted: divide by the number of real tokens.": (TOKENS, "gain.mean()"),
        "Over responses, padding is counted: each response is divided by its own length.": (
            SEQUENCES,
            "gain.mean(1).mean()",
        ),
        "Padding is counted in both means: divide by the number of real tokens.": [
            (TOKENS, "gain.mean()"),
            (SEQUENCES, "gain.mean(1).mean()"),
        ],
        "Over responses this is a mean of sums: each response is divided by its length first.": (
            SEQUENCES,
            "gain.sum(1).mean()",
        ),
        "Over responses this is a sum: take the mean over them, too.": (
            SEQUENCES,
            "(gain.sum(1) / mask.sum(1)).sum()",
        ),
        "Over tokens this is a sum: divide by the number of tokens.": (TOKENS, "gain.sum()"),
        "Over tokens, the sum is divided by the number of responses: divide by the number of tokens.": (
            TOKENS,
            "gain.sum(1).mean()",
        ),
        "A gradient flows into the old log-probability. In training both come from one network, and the two gradients "
        "cancel: nothing is learned, silently.": ("old_log_prob.detach()", "old_log_prob"),
        "A gradient flows into the advantage: it is data, `.detach()` it.": ("advantage.detach()", "advantage"),
        "No gradient is left: log_prob was detached, or the loss was turned into a plain number.": (
            "f(log_prob.detach(), *a[1:])"
        ),
        "Every ratio is 1: the old log-probability must be the one stored when the token was written. The clip then "
        "never has anything to do.": "f(log_prob, log_prob, *a[2:])",
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead, in both factors: `masked_fill`.": [
            ("(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0)", "(log_prob - old_log_prob.detach())"),
            ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach()"),
            (GAIN, f"{GAIN} * mask"),
        ],
        "Only the advantages are masked: the ratio of padding is NaN, and 0 · NaN is NaN.": (
            "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0)",
            "(log_prob - old_log_prob.detach())",
        ),
        "Only the log-probabilities are masked: the ratio of padding is 1 then, and NaN · 1 is NaN. Mask Â, too.": [
            ("advantage.detach().masked_fill(~mask, 0.0)", "advantage.detach()"),
            (GAIN, f"{GAIN} * mask"),
        ],
        "ε and ε_high are exchanged: the upper bound is 1 + clip_high, the lower one 1 - clip.": (
            "1 - clip, 1 + clip_high) * good)\n",
            "1 - clip_high, 1 + clip) * good)\n",
        ),
        "The flags are inverted: True where the clip silences a token.": (
            "return -means[by], clipped",
            "return -means[by], ~clipped & mask",
        ),
        "One share for all tokens: True or False for each is asked for.": (
            "return -means[by], clipped",
            "return -means[by], clipped.float().mean()",
        ),
        "The ratio is clipped to between ε and ε_high: the interval lies around 1.": (
            "ratio.clamp(1 - clip, 1 + clip_high) * good",
            "ratio.clamp(clip, clip_high) * good",
        ),
        "The lower bound is 1/(1 + ε_high): it is 1 - ε.": (
            "ratio.clamp(1 - clip, 1 + clip_high) * good)",
            "ratio.clamp(1 / (1 + clip_high), 1 + clip_high) * good)",
        ),
        "The two results are in the other order: first the loss.": (
            "return -means[by], clipped",
            "return clipped, -means[by]",
        ),
        "One clipped token makes its whole response clipped: each token by itself.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "((good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)).any(1, keepdim=True) & mask",
        ),
        "Padding is replaced after exp: the value is right, but the gradient on its way back meets exp of NaN, and 0 "
        "· NaN is NaN. Replace it before.": (
            "(log_prob - old_log_prob.detach()).masked_fill(~mask, 0.0).exp()",
            "(log_prob - old_log_prob.detach()).exp().masked_fill(~mask, 0.0)",
        ),
        "The share of clipped tokens is one number: True or False for each is asked for.": (
            "-means[by], clipped",
            "-means[by], clipped.sum() / mask.sum()",
        ),
        "Within the interval both products are the same, and g follows r there: that is not clipped. Ask for a strict "
        "inequality.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "(ratio.clamp(1 - clip, 1 + clip_high) * good <= ratio * good) & mask",
        ),
        "Within the interval, and on padding, both products are the same: that is not clipped. Ask for a strict "
        "inequality.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "(gain == ratio.clamp(1 - clip, 1 + clip_high) * good)",
        ),
        "The logarithm of r is clipped: it is r that stays between 1 - ε and 1 + ε_high.": (
            "ratio.clamp(1 - clip, 1 + clip_high) * good",
            "ratio.log().clamp(-clip, clip_high).exp() * good",
        ),
        "The ratio is clipped to between -ε and ε_high: the interval lies around 1.": (
            "ratio.clamp(1 - clip, 1 + clip_high) * good",
            "ratio.clamp(-clip, clip_high) * good",
        ),
        "There is no ratio here: log π Â is REINFORCE's, and a clip needs r.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)",
            "(log_prob * good).masked_fill(~mask, 0.0)",
        ),
        "This is CISPO's, a clipped weight times log π: here the gradient goes through the ratio, and ends where it "
        "is clipped.": (
            "torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip_high) * good)",
            "ratio.clamp(max=1 + clip_high).detach() * good * log_prob.masked_fill(~mask, 0.0)",
        ),
        "The loss is one number: take the mean of the gains.": ("return -means[by], ", "return -gain, "),
        "The lower bound is missing: r is clipped above only.": (
            "ratio.clamp(1 - clip, 1 + clip_high) * good",
            "ratio.clamp(max=1 + clip_high) * good",
        ),
        "One result only: the loss and the flags are asked for.": "f(*a)[0]",
        "Clipped is not |r - 1| > ε, as a log's `clip_fraction` counts it: the bound above is 1 + clip_high, and where "
        "r has gone the wrong way the token pulls back with full force.": (
            "(good > 0) & (ratio > 1 + clip_high) | (good < 0) & (ratio < 1 - clip)",
            "((ratio - 1).abs() > clip)",
        ),
    },
)
