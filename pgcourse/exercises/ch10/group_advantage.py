"""Advantages from the other responses to the same prompt."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def group_advantage(score, eps):
    """[RLOO's, GRPO's] advantages. Kool et al. (2019); Shao et al. (2024), section 4.1.2.

    From all differences between two responses s_i - s_j to a prompt: their mean over j ≠ i is RLOO's advantage, and
    the mean square of them all is twice the variance.
    """
    size = score.shape[-1]
    pairs = score[..., :, None] - score[..., None, :]
    leave_one_out = pairs.sum(-1) / (size - 1)
    variance = (pairs**2).sum((-2, -1)) / (2 * size * (size - 1))
    return [leave_one_out, pairs.sum(-1) / size / (np.sqrt(variance) + eps)[..., None]]


def group(score, eps=0.0001):
    return {"score": score, "eps": eps}


def drawn(prompts, responses, eps=0.1):
    """A case of prompts that are not equally hard, each with another spread."""

    def case(rng):
        level, spread = rng.normal(0.0, 3.0, (prompts, 1)), rng.uniform(0.5, 2.0, (prompts, 1))
        return group(level + spread * rng.normal(size=(prompts, responses)), eps)

    return case


def nothing_apart(size, prompts, responses, eps):
    """A case of prompts, all of whose responses score the same."""
    return lambda rng: group(np.repeat(size * rng.uniform(0.5, 1.5, (prompts, 1)), responses, 1), eps)


def some_apart(rng):
    """A case that mixes prompts whose responses score the same with others, on which RLOO and GRPO agree: their σ is
    (G - 1)/G. So who returns the two in the other order is told that, and nothing about equal scores."""
    same, x = np.arange(30) < 24, rng.normal(size=(30, 7))
    x *= 6 / 7 / x.std(1, ddof=1, keepdims=True)
    return group(rng.permutation(rng.uniform(0.5, 1.5, (30, 1)) + ~same[:, None] * x), 1e-8)


RLOO, GRPO = "f(score, eps)[0]", "f(score, eps)[1]"
LEAVE_ONE_OUT = "centred * size / (size - 1)"
STD = "apart.std(-1, keepdim=True)"

EXERCISE = implement(
    group_advantage,
    title="Each other's baseline",
    goal="Replace the critic by the other responses to the same prompt, also where they have nothing to say.",
    minutes=20,
    difficulty=2,
    importance=5,
    hints=[
        "What do two responses of the same score tell about each other, and does your program say so exactly? In "
        "float32 a mean of seven equal numbers need not be that number.",
        "Take the first response's score away from all of them: then equal scores are exactly 0, and so is their mean. "
        "`centred = apart - apart.mean(-1, keepdim=True)`; RLOO is `centred * G / (G - 1)`, GRPO is "
        "`centred / (apart.std(-1, keepdim=True) + eps)`.",
    ],
    checks={
        "RLOO": Check(
            2,
            "From each score take the mean of the *other* responses' scores to the same prompt.",
            [group([[6, 0, 0]]), group([[1, 2, 6]]), drawn(1, 4), drawn(1, 7)],
            through=RLOO,
        ),
        "GRPO": Check(
            2,
            "Take the mean of all of them away, and divide by σ + ε; torch's `std` divides by G - 1.",
            [group([[6, 0, 0]]), group([[1, 2, 6]], 0.5), group([[0.1, 0.2, 0.3]], 0.5), drawn(1, 4), drawn(1, 7)],
            through=GRPO,
        ),
        "many prompts": Check(
            1,
            "Only responses to the same prompt are compared: the last axis, with `keepdim=True`.",
            [group([[1, 2, 6], [20, 10, 0]]), group([[1, 2, 6], [5, 5, 5]]), drawn(3, 4), drawn(4, 3)],
            leading_axes=("score",),
            leaves_input_alone=True,
        ),
        "one success": Check(
            1,
            "A single success of four has an advantage of about 1.5, whatever ε is.",
            [
                group([[1, 0, 0, 0]], 1e-6),
                group([[0.002, 0.001, 0.001, 0.001]], 1e-8),
                group([[2e-5, 1e-5, 1e-5, 1e-5]], 1e-8),
                group([[0, 0, 1, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1, 1, 1]], 1e-8),
            ],
            through=GRPO,
        ),
        "nothing to tell apart": Check(
            2,
            "Equal scores must give exactly 0: a rounding error of 10^-5, divided by a tiny ε, is a large advantage.",
            [
                group([[2, 2, 2, 2], [0, 0, 0, 0]]),
                nothing_apart(1000.0, 12, 7, 1e-8),
                nothing_apart(-1000.0, 12, 6, 1e-8),
                nothing_apart(1.0, 12, 7, 1e-8),
                some_apart,
            ],
            through=GRPO,
            tolerance=(1e-4, 1e-6),
            requires="where all responses to a prompt score the same, GRPO's advantages are exactly 0, also for scores "
            "near ±1,000 in float32 and `eps` of 1e-8",
        ),
    },
    mistakes={
        "RLOO's baseline contains the response itself: this is s less the mean of all. Its advantages are too small by "
        "the factor (G - 1)/G.": (LEAVE_ONE_OUT, "centred"),
        "RLOO's advantage has the factor (G - 1)/G the wrong way round: less the mean of the others it is G/(G - 1) "
        "times as large as less the mean of all.": (LEAVE_ONE_OUT, "centred * (size - 1) / size"),
        "The others' scores are added up and divided by G: there are G - 1 of them.": (
            LEAVE_ONE_OUT,
            "score - (score.sum(-1, keepdim=True) - score) / size",
        ),
        "The others' scores are added up and not divided: take their mean.": (
            LEAVE_ONE_OUT,
            "score - (score.sum(-1, keepdim=True) - score)",
        ),
        "RLOO is divided by σ, too: that is GRPO's. RLOO keeps the scale of the scores.": (
            LEAVE_ONE_OUT,
            f"centred * size / (size - 1) / ({STD} + eps)",
        ),
        "The baseline is the best of the others: it is their mean.": (
            "(score - torch.stack([torch.cat([score[..., :i], score[..., i + 1 :]], -1).amax(-1) for i in "
            "range(score.shape[-1])], -1), f(*a)[1])"
        ),
        "GRPO is not divided by σ: that is Dr. GRPO's.": (f"centred / ({STD} + eps)", "centred"),
        "GRPO's mean and σ are those of the others: on scores (1, 0, 0, 0) that σ is 0, and the one success has an "
        "advantage of 1/ε. Take them of all responses.": (
            "(f(*a)[0], torch.stack([(score[..., i] - x.mean(-1)) / (x.std(-1) + eps) for i in range(score.shape[-1]) "
            "for x in [torch.cat([score[..., :i], score[..., i + 1 :]], -1)]], -1))"
        ),
        "GRPO's mean is that of the others: take that of all responses, here.": (
            f"centred / ({STD} + eps)",
            f"centred * size / (size - 1) / ({STD} + eps)",
        ),
        "σ divides by G: torch's default is G - 1, and that is what is asked for.": (
            STD,
            "apart.std(-1, keepdim=True, correction=0)",
        ),
        "Divided by the variance: take the standard deviation.": (STD, "apart.var(-1, keepdim=True)"),
        "ε is missing: 0/0 is NaN where all score the same.": (f"({STD} + eps)", STD),
        "ε is missing: where all score the same σ is 0, and a rounding error of the mean over 0 is infinite.": [
            (f"({STD} + eps)", STD),
            ("score - score[..., :1]", "score"),
        ],
        "ε is 0.0001 whatever was asked for: use the argument.": (f"({STD} + eps)", f"({STD} + 1e-4)"),
        "ε is added to the variance: it stands beside σ, outside the root.": (
            f"({STD} + eps)",
            "(apart.var(-1, keepdim=True) + eps).sqrt()",
        ),
        "ε is a lower bound of σ here: add it.": (f"({STD} + eps)", f"{STD}.clamp(min=eps)"),
        "Mean and σ are those of all prompts together: an easy prompt's responses would all be praised. Compare those "
        "to the same prompt.": [
            ("apart.mean(-1, keepdim=True)", "apart.mean()"),
            ("score - score[..., :1]", "score - score.flatten()[0]"),
            (STD, "apart.std()"),
        ],
        "σ is that of all prompts together: GRPO's is of the responses to one prompt.": (STD, "score.std()"),
        "You compare along the first axis, over prompts: responses are the last one.": (
            "tuple(x.movedim(-1, 0) for x in f(score.movedim(0, -1), eps))"
        ),
        "The median is taken away: it is the mean.": (
            "apart.mean(-1, keepdim=True)",
            "apart.median(-1, keepdim=True)[0]",
        ),
        "Signs flipped? What is above the others is positive.": "tuple(-x for x in f(*a))",
        "The two results are in the other order: first RLOO's, then GRPO's.": "f(*a)[::-1]",
        "Equal scores do not give 0: in float32 their mean is off by a rounding error, and divided by a tiny ε that is "
        "no longer small. Take one of the scores away from all first, or ask whether they are all equal.": (
            "score - score[..., :1]",
            "score",
        ),
        "One σ for all prompts: each group has its own.": ("apart.std(-1, keepdim=True)", "apart.std()"),
        "GRPO's advantage is measured from the first response: take the group's mean away.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "apart / (apart.std(-1, keepdim=True) + eps)",
        ),
        "GRPO's mean is not taken away.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "score / (score.std(-1, keepdim=True) + eps)",
        ),
        "One mean for all prompts: each group has its own.": ("apart.mean(-1, keepdim=True)", "apart.mean()"),
        "The mean runs over the prompts: responses to one prompt are the last axis.": (
            "apart.mean(-1, keepdim=True)",
            "apart.mean(0, keepdim=True)",
        ),
        "RLOO's baseline is the sum of all over G - 1: the response itself belongs out of it.": (
            "centred * size / (size - 1)",
            "score - score.sum(-1, keepdim=True) / (size - 1)",
        ),
        "This is RLOO's baseline itself: take it away from the score.": (
            "centred * size / (size - 1)",
            "(score.sum(-1, keepdim=True) - score) / (size - 1)",
        ),
        "Divided by the largest distance: take the standard deviation.": (
            "apart.std(-1, keepdim=True) + eps",
            "apart.abs().amax(-1, keepdim=True) + eps",
        ),
        "GRPO's advantages below 0 are cut off: what is worse than the mean becomes less likely.": (
            "return leave_one_out, grpo",
            "return leave_one_out, grpo.clamp(min=0)",
        ),
        "σ is 1 at least: small deviations are to be brought to size, too.": (
            "apart.std(-1, keepdim=True) + eps",
            "apart.std(-1, keepdim=True).clamp(min=1)",
        ),
        "ε multiplies σ: it is added.": ("apart.std(-1, keepdim=True) + eps", "eps * apart.std(-1, keepdim=True)"),
        "RLOO's baseline is the best of the group: it is the mean of the others.": (
            "centred * size / (size - 1)",
            "score - score.amax(-1, keepdim=True)",
        ),
        "GRPO's advantages are 1 and 0: divide the distance from the mean by σ.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "(centred > 0).to(score.dtype)",
        ),
        "Divided by the length of the vector, not by σ: √(G - 1) is missing.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "centred / (centred.norm(dim=-1, keepdim=True) + eps)",
        ),
        "RLOO's baseline is one neighbour: it is the mean of all others.": (
            "centred * size / (size - 1)",
            "leave_one_out_ if False else score - score.roll(1, -1)",
        ),
        "Divided by the mean distance from the mean: take the standard deviation.": (
            "apart.std(-1, keepdim=True)",
            "centred.abs().mean(-1, keepdim=True)",
        ),
        "RLOO's advantages are returned twice.": ("return leave_one_out, grpo", "return leave_one_out, leave_one_out"),
        "RLOO's sign is flipped: what is above the others is positive.": (
            "centred * size / (size - 1)",
            "-centred * size / (size - 1)",
        ),
        "GRPO's σ is that of the others: on scores (1, 0, 0, 0) it is 0, and the one success has an advantage of "
        "1/ε.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "centred / (torch.stack([torch.cat([score[..., :i], score[..., i + 1 :]], -1).std(-1) for i in "
            "range(size)], -1) + eps)",
        ),
        "GRPO's mean and σ are those of all prompts together: each group has its own.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "(score - score.mean()) / (score.std() + eps)",
        ),
        "GRPO's mean and σ run over the prompts: responses to one prompt are the last axis.": (
            "centred / (apart.std(-1, keepdim=True) + eps)",
            "(score - score.mean(0, keepdim=True)) / (score.std(0, keepdim=True) + eps)",
        ),
        "Whether there is nothing to tell apart is decided by how small σ is, and an honest σ may be small, too: ask "
        "whether the scores are equal.": [
            ("score - score[..., :1]", "score"),
            (
                "centred / (apart.std(-1, keepdim=True) + eps)",
                "torch.where(apart.std(-1, keepdim=True) < eps, torch.zeros_like(centred), centred / (apart.std(-1, "
                "keepdim=True) + eps))",
            ),
        ],
        "ε is missing, and NaN replaced: where the mean of equal scores is off by a rounding error that makes the "
        "largest number there is.": [
            ("score - score[..., :1]", "score"),
            ("centred / (apart.std(-1, keepdim=True) + eps)", "(centred / apart.std(-1, keepdim=True)).nan_to_num()"),
        ],
        "The best of the group is taken away, in both: it is a mean.": (
            "apart.mean(-1, keepdim=True)",
            "apart.amax(-1, keepdim=True)",
        ),
        "Divided by the range, the largest score less the least: take the standard deviation.": (
            "apart.std(-1, keepdim=True)",
            "(apart.amax(-1, keepdim=True) - apart.amin(-1, keepdim=True))",
        ),
        "RLOO's baseline is the mean of all other responses, to whatever prompt: compare those to the same prompt.": (
            "centred * size / (size - 1)",
            "score - (score.sum() - score) / (score.numel() - 1)",
        ),
        "Small differences are taken for none: where σ is below 1/1,000 it may be honest, too. Ask whether the scores "
        "are equal.": [
            ("score - score[..., :1]", "score"),
            (
                "centred / (apart.std(-1, keepdim=True) + eps)",
                "torch.where(apart.std(-1, keepdim=True) < 1e-3, torch.zeros_like(centred), centred / (apart.std(-1, "
                "keepdim=True) + eps))",
            ),
        ],
        "Whether there is nothing to tell apart is asked of all prompts together: ask each group.": [
            ("score - score[..., :1]", "score if (score != score[..., :1]).any() else 0 * score")
        ],
    },
)
