"""GRPO's price of divergence, which shrinks with the group's deviation."""

import numpy as np

from pgcourse.grading.kinds import Check, repair


def grpo_advantage(score, log_prob, ref_log_prob, mask, beta):
    """(R - mean) / (std + 1e-4) of R = score - β Σ_t log π/π_ref, prompt by prompt. Shao et al. (2024), section 4.1."""
    result = []
    for group in range(len(score)):
        rewards = []
        for one in range(score.shape[1]):
            real = mask[group, one]
            ratio = log_prob[group, one][real] - ref_log_prob[group, one][real]
            rewards.append(score[group, one] - beta * sum(ratio))
        mean = sum(rewards) / len(rewards)
        std = (sum((x - mean) ** 2 for x in rewards) / (len(rewards) - 1)) ** 0.5
        result.append([(x - mean) / (std + 1e-4) for x in rewards])
    return np.array(result)


def drawn(prompts, responses, spread=(1.0,), lengths=False, beta=0.2, padding=0.0):
    """Groups whose scores have the deviations `spread`, in turn; of several `lengths`, with something on padding."""

    def case(rng):
        shape = prompts, responses, 6
        length = rng.integers(1, 7, shape[:2]) if lengths else np.full(shape[:2], 6)
        mask = np.arange(6) < length[..., None]
        deviation = np.resize(spread, prompts)[:, None]
        old = -rng.uniform(0.1, 3.0, shape)
        ref = old - rng.normal(0.3, 0.5, shape)
        return {
            "score": rng.normal(0.5, 1.0, shape[:2]) * deviation,
            "log_prob": np.where(mask, old, padding),
            "ref_log_prob": np.where(mask, ref, padding / 2),
            "mask": mask,
            "beta": beta,
        }

    return case


def hand(score, kl, beta):
    """One prompt, whose responses have one token, and the log-ratios `kl`."""
    ref = np.full((1, len(kl), 1), -2.0)
    mask = np.ones(ref.shape, bool)
    return {
        "score": [score],
        "log_prob": ref + np.reshape(kl, ref.shape),
        "ref_log_prob": ref,
        "mask": mask,
        "beta": beta,
    }


STD = "x.std(1, keepdim=True)"
LAST = "standardized(score - beta * kl)"

EXERCISE = repair(
    grpo_advantage,
    start=(LAST, "standardized(score) - beta * kl"),
    title="A price that shrinks",
    goal="See that dividing by the group's deviation changes what a nat of divergence costs, and repair it.",
    minutes=15,
    difficulty=3,
    importance=4,
    hints=[
        "Take a group with scores 0 and 2 and one with 0 and 0.02. What is a point of score worth in each, after the "
        "division? And what does a nat cost? How much score does a nat cost, then?",
        "Score and divergence have to be divided by the same number. So they have to be one reward before anything is "
        "subtracted or divided.",
    ],
    checks={
        "free": Check(
            1,
            "With β = 0 the function is right as it is given.",
            [hand([0, 2], [1, 2], 0.0), drawn(2, 4, beta=0.0)],
            leaves_input_alone=True,
        ),
        "one group": Check(
            2,
            "By hand: R is 2 - 0.5 · 2 = 1 and 0, their mean ½, their deviation 0.7071.",
            [hand([2, 0], [2, 0], 0.5), hand([0.02, 0], [-0.02, 0], 0.5), drawn(1, 4)],
        ),
        "several groups": Check(
            2,
            "A nat costs β units of score in every group, whatever the deviation of its scores.",
            [drawn(2, 4, (1.0, 0.05)), drawn(3, 5, (0.02, 1.0, 8.0))],
        ),
        "padding": Check(
            1,
            "Padding pays nothing.",
            [drawn(2, 4, (1.0, 0.1), lengths=True, padding=-9.0)],
            leaves_input_alone=True,
        ),
        "silent": Check(
            1,
            "Where all rewards are the same, their deviation is 0, and nothing is to be learned.",
            [hand([0.5, 0.5], [1, 1], 0.5)],
        ),
    },
    mistakes={
        "β is multiplied by the deviation once more: then a nat costs β σ². It has to be divided by it.": (
            LAST,
            "standardized(score) - beta * score.std(1, keepdim=True) * kl",
        ),
        "A nat now costs β everywhere, but the divergence has no baseline: in a group whose divergence is large, all "
        "responses are made less probable, the good ones too.": (
            LAST,
            "standardized(score) - beta * kl / (score.std(1, keepdim=True) + 1e-4)",
        ),
        "The divergence is standardised by itself: then neither has its units any more, and β no meaning.": (
            LAST,
            "standardized(score) - beta * standardized(kl)",
        ),
        "The divergence has a baseline now, and still another unit than the score.": (
            LAST,
            "standardized(score) - beta * (kl - kl.mean(1, keepdim=True))",
        ),
        "The divergence is added to the score: that pays for leaving the reference.": (
            LAST,
            "standardized(score + beta * kl)",
        ),
        "The divergence is gone: that removes the feature with the bug.": (LAST, "standardized(score)"),
        "The divergence is in the reward, but outside, too: it is counted twice.": (
            LAST,
            "standardized(score - beta * kl) - beta * kl",
        ),
        "The division is gone: Dr. GRPO does so, and a nat then costs β. Here advantages are to stay standardised.": (
            "(x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-4)",
            "(x - x.mean(1, keepdim=True))",
        ),
        "The deviation is that of the scores alone: standardise the whole reward.": (
            f"({STD} + 1e-4)",
            "(score.std(1, keepdim=True) + 1e-4)",
        ),
        "One deviation for the whole batch: a group is compared with itself alone.": (STD, "x.std()"),
        "The mean over a response's tokens is taken: its divergence is the sum.": (
            ".masked_fill(~mask, 0.0).sum(-1)",
            ".masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1)",
        ),
        "Padding pays, too.": (".masked_fill(~mask, 0.0)", ""),
        "Without the 1e-4 a group whose rewards are all the same is 0/0.": (" + 1e-4", ""),
        "Score and divergence are standardised one by one: then β costs nothing any more.": (
            "standardized(score - beta * kl)",
            "standardized(score) - standardized(beta * kl)",
        ),
        "The divergence is divided by its own deviation: it is to be in units of the score.": (
            "standardized(score - beta * kl)",
            "standardized(score) - beta * kl / (kl.std(1, keepdim=True) + 1e-4)",
        ),
        "The standardising is gone: that removes the feature with the bug.": (
            "standardized(score - beta * kl)",
            "score - beta * kl",
        ),
        "β is missing.": ("standardized(score - beta * kl)", "standardized(score - kl)"),
        "The score is standardised before the divergence is taken away: that is the price in another unit still.": (
            "standardized(score - beta * kl)",
            "standardized(standardized(score) - beta * kl)",
        ),
        "One mean for the whole batch: a group is compared with itself alone.": ("x.mean(1, keepdim=True)", "x.mean()"),
        "The deviation divides by G. That line was right.": (
            "x.std(1, keepdim=True) + 1e-4",
            "x.std(1, keepdim=True, correction=0) + 1e-4",
        ),
        "The mean over all tokens, padding included: a response's divergence is the sum.": (".sum(-1)", ".mean(-1)"),
        "The constant beside σ is 1: that is the size of the scores.": ("1e-4", "1.0"),
        "Tokens that the reference likes more cost, too: the difference keeps its sign.": (
            "(log_prob - ref_log_prob)",
            "(log_prob - ref_log_prob).abs()",
        ),
        "This is k2 of every token: the divergence of a response is the sum of its log-ratios.": (
            ".masked_fill(~mask, 0.0).sum(-1)",
            ".masked_fill(~mask, 0.0).square().sum(-1) / 2",
        ),
        "The divergence multiplies the advantage: it is taken away from the score.": (
            "standardized(score - beta * kl)",
            "standardized(score) * (1 - beta * kl)",
        ),
        "The mean runs over the prompts: a group is compared with itself alone.": (
            "x.mean(1, keepdim=True)",
            "x.mean(0, keepdim=True)",
        ),
        "Signs flipped? That line was right.": ("standardized(score - beta * kl)", "-standardized(score - beta * kl)"),
        "One mean and one deviation for the whole batch: a group is compared with itself alone.": [
            ("x.mean(1, keepdim=True)", "x.mean()"),
            ("x.std(1, keepdim=True)", "x.std()"),
        ],
        "Mean and deviation run over the prompts: a group is compared with itself alone.": [
            ("x.mean(1, keepdim=True)", "x.mean(0, keepdim=True)"),
            ("x.std(1, keepdim=True)", "x.std(0, keepdim=True)"),
        ],
        "The mask is inverted: it is True on the tokens of a response. That line was right.": (
            "masked_fill(~mask",
            "masked_fill(mask",
        ),
        "This is k3 of every token: the divergence of a response is the sum of its log-ratios.": (
            ".detach().masked_fill(~mask, 0.0).sum(-1)",
            ".neg().expm1().add(log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0).sum(-1)",
        ),
        "σ is multiplied back: then the score is centred only, and the divergence has no baseline.": (
            "standardized(score - beta * kl)",
            "standardized(score) * score.std(1, keepdim=True) - beta * kl",
        ),
        "A nat now costs β, but the divergence has no baseline, and where σ is 0 the price is infinite.": (
            "standardized(score - beta * kl)",
            "standardized(score) - beta / score.std(1, keepdim=True) * kl",
        ),
        "The mean of the others is taken away, as in RLOO: GRPO takes that of all. That line was right.": (
            "x - x.mean(1, keepdim=True)",
            "x - (x.sum(1, keepdim=True) - x) / (x.shape[1] - 1)",
        ),
        "Divided by the variance. That line was right.": ("x.std(1, keepdim=True)", "x.var(1, keepdim=True)"),
        "The divergence is standardised before it is priced: then β is not the price of a nat any more.": (
            "standardized(score - beta * kl)",
            "standardized(score - beta * standardized(kl))",
        ),
    },
)
