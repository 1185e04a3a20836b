"""PPO's loss for several seeds, with a bug."""

import numpy as np

from pgcourse.grading.kinds import Check, repair


def ppo_loss(log_prob, old_log_prob, advantage, value, target, clip):
    """-mean min(r Â, clip(r) Â) + mean ½ (v - y)², seed by seed, Â standardised. Schulman et al. (2017), eq. 9."""
    losses = []
    for new, old, raw, v, y in zip(log_prob, old_log_prob, advantage, value, target, strict=True):
        good = (raw - raw.mean()) / (raw.std(ddof=1) + 1e-8)
        ratio = np.exp(new - old)
        gain = np.where(good > 0, np.minimum(ratio, 1 + clip), np.maximum(ratio, 1 - clip)) * good
        losses.append(np.mean((v - y) ** 2 / 2) - np.mean(gain))
    return np.array(losses)


def drawn(seeds, samples, scale=1.0, equal=False):
    """Seeds whose advantages differ: the second one's are larger by `scale`, and by 10. All `equal`: of deviation 0."""

    def draw(rng):
        shape = seeds, samples
        wide, shifted = scale ** np.arange(seeds)[:, None], 10.0 * np.arange(seeds)[:, None]
        return {
            "log_prob": np.log(rng.uniform(0.1, 0.9, shape)),
            "old_log_prob": np.log(rng.uniform(0.3, 0.6, shape)),
            "advantage": np.full(shape, 2.0) if equal else rng.normal(0.5, 1.0, shape) * wide + shifted,
            "value": rng.normal(size=shape),
            "target": rng.normal(1.0, 1.0, shape),
            "clip": 0.2,
        }

    return draw


EXERCISE = repair(
    ppo_loss,
    start=("torch.std_mean(advantage, 1, keepdim=True)", "torch.std_mean(advantage)"),
    title="One seed's luck",
    goal="Keep learners that are trained side by side independent of each other.",
    minutes=10,
    difficulty=2,
    importance=4,
    hints=[
        "Change the advantages of the second seed only. Which entries of the loss should change, and which do?",
        "`torch.std_mean(advantage, 1, keepdim=True)`: mean and deviation along the samples, one of each for a seed.",
    ],
    checks={
        "one seed": Check(
            1,
            "With a single seed the function is right as it is given.",
            [drawn(1, 4), drawn(1, 8)],
            leaves_input_alone=True,
        ),
        "several seeds": Check(
            2,
            "Each seed's loss is what it would be if the other seeds were not there.",
            [drawn(2, 3), drawn(2, 6, 10.0), drawn(4, 4, 3.0)],
        ),
        "no difference": Check(
            1, "Where all advantages of a seed are equal, they are 0 and not 0/0.", [drawn(2, 3, equal=True)]
        ),
    },
    mistakes={
        "Dim 0 is the seeds: this standardises over the learners, sample by sample.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "torch.std_mean(advantage, 0, keepdim=True, correction=0)",
        ),
        "The mean is each seed's own now, the deviation still that of all seeds together.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "(advantage.std(), advantage.mean(1, keepdim=True))",
        ),
        "The deviation is each seed's own now, the mean still that of all seeds together.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "(advantage.std(1, keepdim=True), advantage.mean())",
        ),
        "Without `keepdim=True` mean and deviation are [seed] and meet [seed, sample]: where both are equal, each "
        "sample gets another seed's.": ("1, keepdim=True", "1"),
        "The advantages are not standardised any more: that removes the feature with the bug.": (
            "(advantage - mean) / (std + 1e-8)",
            "advantage",
        ),
        "The loss is one number for all seeds: it should be one for each.": (
            "(error - gain).mean(1)",
            "(error - gain).mean()",
        ),
        "The 1e-8 is no longer in the divisor: equal advantages are 0/0 now.": (" + 1e-8", ""),
        "The mean and the standard deviation run over the seeds: each seed has its own, along dim 1.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "torch.std_mean(advantage, 0, keepdim=True)",
        ),
        "The standard deviation is divided by n. That was right, but for the seeds.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "torch.std_mean(advantage, 1, keepdim=True, correction=0)",
        ),
        "The advantages are not divided by their standard deviation: each seed has its own.": (
            "good = (advantage - mean) / (std + 1e-8)",
            "good = (advantage - mean)",
        ),
        "The mean is not subtracted: each seed has its own.": (
            "good = (advantage - mean) / (std + 1e-8)",
            "good = advantage / (std + 1e-8)",
        ),
        "The gain is added to the error: a loss has its minus. That line was right.": ("error - gain", "error + gain"),
        "The mean runs over the seeds. That line was right.": (".mean(1)", ".mean(0)"),
        "The samples are added up. That line was right.": (".mean(1)", ".sum(1)"),
        "The ½ is missing. That line was right.": ("0.5 * (value", "(value"),
        "The larger of the two is taken. That line was right.": ("torch.minimum", "torch.maximum"),
        "The ratio is upside down. That line was right.": ("(log_prob - old_log_prob)", "(old_log_prob - log_prob)"),
        "All seeds get the mean of all losses: each has its own.": (
            "(error - gain).mean(1)",
            "(error - gain).mean(1).mean().expand(len(error))",
        ),
        "The critic's error is missing. That line was right.": ("error - gain", "-gain"),
        "The clip is gone. That line was right.": ("ratio.clamp(1 - clip, 1 + clip) * good", "ratio * good"),
        "The standard deviation is averaged over the seeds: each has its own.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "torch.std_mean(advantage, 1, keepdim=True); std = std.mean()",
        ),
        "The constant in the divisor is 1: it is 10⁻⁸.": ("+ 1e-8", "+ 1.0"),
        "The critic's error is that of all seeds: each has its own.": (
            "(error - gain).mean(1)",
            "error.mean() - gain.mean(1)",
        ),
        "The gain is that of all seeds: each has its own.": ("(error - gain).mean(1)", "error.mean(1) - gain.mean()"),
        "The advantages are divided by their variance: take the standard deviation.": (
            "good = (advantage - mean) / (std + 1e-8)",
            "good = (advantage - mean) / (std**2 + 1e-8)",
        ),
        "The whole loss has the other sign. That line was right.": (
            "(error - gain)",
            "(gain - error)",
        ),
        "The mean over the samples is gone. That line was right.": (
            ".mean(1)",
            "",
        ),
        "The ratio is clipped around 0: it is 1 for the old policy. That line was right.": (
            "clamp(1 - clip, 1 + clip)",
            "clamp(-clip, clip)",
        ),
        "All seeds get the first one's mean and deviation: each has its own.": (
            "torch.std_mean(advantage, 1, keepdim=True)",
            "torch.std_mean(advantage[:1])",
        ),
        "`keepdim=True` stands at the loss: it is the mean and deviation of the advantages that have to keep their "
        "axis.": [
            (
                "torch.std_mean(advantage, 1, keepdim=True)",
                "torch.std_mean(advantage)",
            ),
            (
                ".mean(1)",
                ".mean(1, keepdim=True)",
            ),
        ],
    },
)
