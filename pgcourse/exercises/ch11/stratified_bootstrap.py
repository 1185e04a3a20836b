"""The stratified bootstrap interval of an interquartile mean, from given draws."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def stratified_bootstrap(scores, chosen, level):
    """Quantiles of the IQM over resamples, runs drawn within each task. Agarwal et al. (2021), section 4.1."""
    found = []
    for draw in chosen.astype(int):
        runs = sorted(scores[draw[i, m], m] for i in range(draw.shape[0]) for m in range(draw.shape[1]))
        cut = len(runs) // 4
        found.append(np.mean(runs[cut : len(runs) - cut]))
    return [np.quantile(found, (1 - level) / 2), np.quantile(found, (1 + level) / 2)]


def drawn(seeds, tasks, resamples, level=0.9, apart=5.0):
    """Tasks whose scores lie `apart`, so that a run of one task is never taken for one of another."""

    def case(rng):
        return {
            "scores": rng.lognormal(0, 1, (seeds, tasks)) + apart * np.arange(tasks),
            "chosen": rng.integers(seeds, size=(resamples, seeds, tasks)),
            "level": level,
        }

    return case


BY_HAND = {"scores": [[1, 10], [3, 20]], "chosen": np.array([[[0, 0], [0, 0]], [[0, 1], [1, 1]]]), "level": 0.5}

EXERCISE = implement(
    stratified_bootstrap,
    title="The stratified bootstrap",
    goal="Give an aggregate over tasks the interval that other seeds would fill.",
    minutes=20,
    difficulty=3,
    importance=4,
    hints=[
        "One resample is a table like the scores: place (i, m) holds the score of seed chosen[b, i, m] on task m. "
        "What does an index for the second axis have to be, so that it broadcasts against `chosen`?",
        "`runs = scores[chosen, torch.arange(M)].flatten(1).sort(1).values`, cut a quarter off at either end, mean "
        "over axis 1, then `torch.quantile` at (1 - level)/2 and (1 + level)/2.",
    ],
    checks={
        "one task": Check(
            2,
            "One task, where it is the plain bootstrap.",
            [drawn(4, 1, 40), drawn(8, 1, 60, 0.95), drawn(3, 1, 30)],
        ),
        "several tasks": Check(
            3,
            "Each task's runs are drawn by its own indices, and all runs of a resample are pooled.",
            [BY_HAND, drawn(4, 2, 40), drawn(5, 3, 50, 0.8, -5.0), drawn(3, 4, 60, 0.95, 0.0)],
        ),
        "level": Check(
            1,
            "The level is the part of the resamples inside, half of the rest on either side.",
            [drawn(10, 4, 30, 0.5), drawn(4, 2, 30, 0.99)],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "Whole rows are drawn: every task gets the seeds of the first. Each task has its own draws.": (
            "scores[chosen, torch.arange(scores.shape[1])]",
            "scores[chosen[..., :1], torch.arange(scores.shape[1])]",
        ),
        "The mean of all runs: a quarter is to be cut off at either end first.": ("runs[:, cut : len_ - cut]", "runs"),
        "Half of the runs is cut off at either end: that is the median. It is a quarter.": (
            "cut = len_ // 4",
            "cut = (len_ - 1) // 2",
        ),
        "Only the worst quarter is cut off: that is a mean of the better runs.": ("cut : len_ - cut", "cut :"),
        "Only the best quarter is cut off: that is a mean of the worse runs.": ("cut : len_ - cut", ": len_ - cut"),
        "The runs are cut before they are sorted: what goes is a matter of place, not of size.": (
            ".sort(1).values",
            "",
        ),
        "Both ends are off: 1 - level is the part outside on both sides together, half of it on each.": (
            "[(1 - level) / 2, (1 + level) / 2]",
            "[1 - level, level]",
        ),
        "This is mean ± z·sd of the resamples, which assumes a bell curve: take their quantiles.": (
            "torch.quantile(found, levels)",
            "found.mean() + found.std() * torch.special.ndtri(levels)",
        ),
        "The interval is of the single runs, not of the aggregate: average within each resample first.": (
            "found = runs[:, cut : len_ - cut].mean(1)",
            "found = runs[:, cut : len_ - cut].flatten()",
        ),
        "The IQM of each task by itself, then their mean: the runs of all tasks are pooled first.": (
            "found = runs[:, cut : len_ - cut].mean(1)",
            "found = torch.stack([scores[chosen[..., m], m].sort(1).values[:, len(scores) // 4 : len(scores) - "
            "len(scores) // 4].mean(1) for m in range(scores.shape[1])]).mean(0)",
        ),
        "The ends are the wrong way round: the lower one comes first.": (
            "[(1 - level) / 2, (1 + level) / 2]",
            "[(1 + level) / 2, (1 - level) / 2]",
        ),
        "All but the middle runs are cut off: a quarter at either end goes.": (
            "cut = len_ // 4",
            "cut = len_ // 2 - 1",
        ),
        "A quarter of the seeds of one task is cut off: it is a quarter of all runs.": (
            "cut = len_ // 4",
            "cut = scores.shape[0] // 4",
        ),
        "The level is 95 % whatever is given.": ("(1 - level) / 2, (1 + level) / 2", "0.025, 0.975"),
        "This is the median of the runs: the mean of the middle half is asked for.": (
            ".mean(1)\n",
            ".median(1).values\n",
        ),
        "This is a normal interval around the mean of the aggregates: take their quantiles.": (
            "torch.quantile(found, levels)",
            "torch.stack([found.mean() - 1.96 * found.std(), found.mean() + 1.96 * found.std()])",
        ),
        "These are the least and the largest aggregate: take the quantiles.": (
            "torch.quantile(found, levels)",
            "torch.stack([found.min(), found.max()])",
        ),
        "Both cuts are rounded down: at the upper end ⌊NM/4⌋ runs go, too.": (
            "found = runs[:, cut : len_ - cut].mean(1)",
            "found = runs[:, len_ // 4 : 3 * len_ // 4].mean(1)",
        ),
        "One run too many is cut off at either end.": ("cut = len_ // 4", "cut = len_ // 4 + 1"),
        "This is the interquartile range: a mean of the middle half is asked for.": (
            "found = runs[:, cut : len_ - cut].mean(1)",
            "found = torch.quantile(runs, 0.75, 1) - torch.quantile(runs, 0.25, 1)",
        ),
        "The quantiles are the nearest aggregates: `torch.quantile` takes a weighted mean of two.": (
            "torch.quantile(found, levels)",
            "torch.quantile(found, levels, interpolation='nearest')",
        ),
        "The middle is cut off and the ends are kept.": (
            "found = runs[:, cut : len_ - cut].mean(1)",
            "found = torch.cat([runs[:, :cut], runs[:, len_ - cut :]], 1).mean(1)",
        ),
        "The number to be cut off is not rounded down: ⌊NM/4⌋.": ("cut = len_ // 4", "cut = -(-len_ // 4)"),
        "The tasks are averaged before the runs are sorted: sort all NM runs.": (
            "scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values",
            "scores[chosen, torch.arange(scores.shape[1])].mean(2).sort(1).values",
        ),
        "The seeds are averaged before the runs are sorted: sort all NM runs.": (
            "scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values",
            "scores[chosen, torch.arange(scores.shape[1])].mean(1).sort(1).values",
        ),
        "These are quantiles of the scores themselves, without any resample.": (
            "torch.quantile(found, levels)",
            "torch.quantile(scores.flatten(), levels)",
        ),
        "The interval is mirrored at the mean: plain quantiles are asked for.": (
            "torch.quantile(found, levels)",
            "2 * found.mean() - torch.quantile(found, levels.flip(0))",
        ),
        "A tenth is cut off at either end: it is a quarter.": ("cut = len_ // 4", "cut = len_ // 10"),
        "The interval holds half of the aggregates whatever level is given.": (
            "torch.quantile(found, levels)",
            "torch.quantile(found, torch.tensor([0.25, 0.75]))",
        ),
        "A fifth is cut off at either end: it is a quarter.": ("len_ // 4", "len_ // 5"),
        "`chosen` counts seeds of its own task; here it counts through the whole table of scores.": (
            "scores[chosen, torch.arange(scores.shape[1])]",
            "scores.flatten()[chosen]",
        ),
        "A quarter is cut off in all, an eighth at either end: it is a quarter at either end.": (
            "len_ // 4",
            "len_ // 8",
        ),
        "The lower end lies at 1 - level: half of what is outside is below it.": (
            "[(1 - level) / 2, (1 + level) / 2]",
            "[1 - level, (1 + level) / 2]",
        ),
        "The upper end lies at level: half of what is outside is above it.": (
            "[(1 - level) / 2, (1 + level) / 2]",
            "[(1 - level) / 2, level]",
        ),
        "The runs of each task are sorted by themselves: put all NM together, then sort.": (
            ".flatten(1).sort(1).values",
            ".sort(1).values.flatten(1)",
        ),
        "Sorted along the resamples: each resample's own runs are sorted.": (".sort(1).values", ".sort(0).values"),
        "Nothing is resampled: these are the scores' own runs, so both ends are the same.": (
            "scores[chosen, torch.arange(scores.shape[1])].flatten(1).sort(1).values",
            "scores.flatten()[None].sort(1).values",
        ),
        "What lies between two values, the quartiles, is averaged: cut off ⌊NM/4⌋ runs at either end.": (
            "found = runs[:, cut : len_ - cut].mean(1)",
            "found = torch.stack([r[(r >= r.quantile(0.25)) & (r <= r.quantile(0.75))].mean() for r in runs])",
        ),
        "The middle half is added up: take its mean.": (".mean(1)\n", ".sum(1)\n"),
        "The middle half is divided by the number of all runs: take its mean.": (".mean(1)\n", ".sum(1) / len_\n"),
        "The quantiles are the next lower aggregates: `torch.quantile` takes a weighted mean of two.": (
            "torch.quantile(found, levels)",
            "torch.quantile(found, levels, interpolation='lower')",
        ),
        "The interval is of all single runs, not of the aggregate: average within each resample first.": (
            "torch.quantile(found, levels)",
            "torch.quantile(runs.flatten(), levels)",
        ),
        "The interval is mirrored at the scores' own aggregate, the basic bootstrap: plain quantiles are asked for.": (
            "torch.quantile(found, levels)",
            "2 * scores.flatten().sort().values[cut : len_ - cut].mean() - torch.quantile(found, levels.flip(0))",
        ),
        "Only the first task's runs are there: those of all tasks are pooled.": (
            "scores[chosen, torch.arange(scores.shape[1])].flatten(1)",
            "scores[chosen[..., 0], 0]",
        ),
        "The tasks are averaged before anything is drawn: each task has its own draws, and all NM runs are sorted.": (
            "scores[chosen, torch.arange(scores.shape[1])].flatten(1)",
            "scores.mean(1)[chosen[..., 0]]",
        ),
        "This is the middle between the quartiles: the mean of all runs between them is asked for.": (
            "runs[:, cut : len_ - cut].mean(1)",
            "(runs.quantile(0.25, 1) + runs.quantile(0.75, 1)) / 2",
        ),
        "These are the interval's middle and its half width: return the two ends.": (
            "(lambda low, high: torch.stack([(low + high) / 2, (high - low) / 2]))(*f(*a))"
        ),
        "One run too few is cut off where NM divides by 4: ⌊NM/4⌋.": ("cut = len_ // 4", "cut = (len_ - 1) // 4"),
        "How much is cut off depends on the level: it is a quarter, whatever the level.": (
            "cut = len_ // 4",
            "cut = int(len_ * level / 4)",
        ),
        "Where nothing is cut off, `[cut : -cut]` is `[0 : -0]`, which is empty: cut at `len - cut`.": (
            "cut : len_ - cut",
            "cut : -cut",
        ),
        "`scores[chosen]` takes whole rows, for each place the scores of a seed on all tasks: name the task, too.": (
            "scores[chosen, torch.arange(scores.shape[1])]",
            "scores[chosen]",
        ),
        "Sizes are compared without their signs: where scores are below 0 that is another order.": (
            "runs = scores[",
            "runs = scores.abs()[",
        ),
    },
)
