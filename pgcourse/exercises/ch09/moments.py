"""Running moments, exact."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def merged(mean, variance, number, batch):
    """Mean, variance and number of all values: sums and sums of squares are what adds up. Pébay (2008), section 2."""
    total = number + len(batch)
    sums = number * mean + batch.sum(0)
    squares = number * (variance + mean**2) + (batch**2).sum(0)
    new = sums / total
    return [new, squares / total - new**2, total]


def so_far(rng, number, features, offset=0.0, size=(4,)):
    """Moments of `number` values and batches of values that are not like them, by name."""
    seen = offset + rng.normal(0.0, 2.0, (max(number, 1), features))
    batches = {f"batch_{k}": offset + rng.normal(1.5, 1.0, (n, features)) for k, n in enumerate(size)}
    mean, variance = (seen.mean(0), seen.var(0)) if number else (np.zeros(features), np.zeros(features))
    return {"mean": mean, "variance": variance, "number": float(number), **batches}


def drawn(number, features, offset=0.0, size=(4,)):
    def case(rng):
        given = so_far(rng, number, features, offset, size)
        return {"batch" if len(size) == 1 and name == "batch_0" else name: x for name, x in given.items()}

    return case


EXERCISE = implement(
    merged,
    title="Running moments, exact",
    goal="Standardise what a robot senses with the moments of all that it has sensed, and not of the last batch.",
    minutes=20,
    difficulty=3,
    importance=5,
    hints=[
        "A mean of means is right only if both count by how many values they are of. A variance of two groups has "
        "three parts: within the first, within the second, and between the two means.",
        "With p = n_batch / n_all and d = batch mean - mean: the new mean is mean + p d, the new variance "
        "(1 - p) variance + p batch variance + p (1 - p) d².",
    ],
    checks={
        "the first batch": Check(
            1,
            "Of nothing so far, number = 0, the batch's own moments are all there is. Variances divide by the count.",
            [
                {"mean": [0.0], "variance": [0.0], "number": 0.0, "batch": [[1.0], [3.0]]},
                drawn(0, 3),
            ],
        ),
        "the second batch": Check(
            3,
            "Both count by their numbers, and the distance between the two means is spread, too.",
            [
                {"mean": [2.0], "variance": [1.0], "number": 2.0, "batch": [[5.0], [6.0], [7.0], [6.0]]},
                drawn(10, 3),
                drawn(3, 2, size=(20,)),
            ],
            leaves_input_alone=True,
        ),
        "many batches": Check(
            2,
            "Merged one after the other, batches of any size give the moments of all values together.",
            [drawn(0, 2, size=(3, 5, 2)), drawn(50, 2, size=(1, 1, 1))],
            through="f(*f(*f(mean, variance, number, batch_0), batch_1), batch_2)",
            requires="a batch may hold a single value, and what is returned is what the next call is given",
        ),
        "far from zero": Check(
            2,
            "In float32 a mean of squares minus a squared mean has no digits left where values are 1,000 ± 1.",
            [drawn(20, 6, offset=1000.0, size=(10,))],
            tolerance=(1e-3, 1e-3),
            requires="values may lie around 1,000 with a standard deviation of 1, in float32",
        ),
        "what never varies": Check(
            1,
            "A sensor that always says the same has the variance 0, and not NaN.",
            [{"mean": [1.0, 0.0], "variance": [0.0, 0.0], "number": 3.0, "batch": [[1.0, 0.0], [1.0, 0.0]]}],
        ),
    },
    mistakes={
        "This is the mean of the two means: each counts by how many values it is of.": (
            "part = added / total",
            "part = 0.5 if number else 1.0",
        ),
        "This is a moving average: old values fade, and a batch counts the same however large it is.": (
            "part = added / total",
            "part = 0.1 if number else 1.0",
        ),
        "The spread between the means is missing: two groups without any variance of their own have one together.": (
            " + part * (1 - part) * change**2",
            "",
        ),
        "The spread between the means counts p (1 - p) d², not p d²: that is what comes out, too, if the batch's "
        "squares are taken around the old mean.": ("part * (1 - part) * change", "part * change"),
        "The new mean is used for the distance between the old mean and the batch's.": (
            "change = batch.mean(0) - mean",
            "change = batch.mean(0) - (mean + part * (batch.mean(0) - mean))",
        ),
        "Variances are divided by the count less one: a batch of one value then has none, and parts do not add up.": (
            "correction=0",
            "correction=1",
        ),
        "A mean of squares minus a squared mean: in float32 nothing is left of it where values are far from zero.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = (1 - part) * (variance + mean**2) + part * (batch**2).mean(0) - (mean + part * change) ** 2",
        ),
        "Batches are counted, and not the values in them.": ("added = len(batch)", "added = 1"),
        "The number is not carried on: the next batch is weighed against too few values.": (
            "return mean + part * change, spread, total",
            "return mean + part * change, spread, added",
        ),
        "This is the standard deviation: variances are what is merged.": ("spread, total", "spread**0.5, total"),
        "One mean for all sensors: each has its own.": "f(*a[:3], batch.mean(1, keepdim=True) + 0 * batch)",
        "Only the last batch counts: what was seen before is forgotten.": ("part = added / total", "part = 1.0"),
        "The new mean is that of the last batch: what came before belongs to it, too.": (
            "return mean + part * change",
            "return batch.mean(0)",
        ),
        "The variances are added up: each counts by its share of the values.": (
            "(1 - part) * variance + part * within + part * (1 - part) * change**2",
            "variance + within",
        ),
        "The distance between the means is not squared.": ("change**2", "change"),
        "The mean moves by a hundredth whatever the numbers are: each value counts the same.": (
            "part = added / total",
            "part = 0.01",
        ),
        "Old and new count half each: they count by their numbers.": ("part = added / total", "part = 0.5"),
        "A batch counts as one value: it has as many as it has rows.": ("number + added", "number + 1"),
        "The mean of the two means: they count by their numbers.": (
            "mean + part * change",
            "(mean + batch.mean(0)) / 2",
        ),
        "The spread between the means counts p (1 - p) d², not (1 - p) d².": (
            "part * (1 - part) * change**2",
            "(1 - part) * change**2",
        ),
        "The spread between the means counts p (1 - p) d², not d².": ("part * (1 - part) * change**2", "change**2"),
        "The mean runs over all sensors: each has its own.": ("batch.mean(0)", "batch.mean()"),
        "The variance runs over all sensors: each has its own.": (
            "batch.var(0, correction=0)",
            "batch.var(correction=0)",
        ),
        "The mean runs over the sensors: samples are the first axis.": ("batch.mean(0)", "batch.mean(1)"),
        "The variance is that of the last batch alone.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = within",
        ),
        "The variance stays as it was.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = variance",
        ),
        "The two shares are exchanged: the batch counts by its own number.": (
            "part = added / total",
            "part = number / total",
        ),
        "The mean moves away from the batch.": ("batch.mean(0) - mean", "mean - batch.mean(0)"),
        "The variance of the batch is E[x²] - E[x]²: far from zero all digits cancel.": (
            "within = batch.var(0, correction=0)",
            "within = batch.square().mean(0) - batch.mean(0).square()",
        ),
        "Mean and variance are exchanged.": (
            "return mean + part * change, spread, total",
            "return spread, mean + part * change, total",
        ),
        "The spread between the means is taken away: it adds to the variance.": (
            "part * (1 - part) * change**2",
            "-part * (1 - part) * change**2",
        ),
        "The variance is kept above a least: what never varies has 0.": (
            "spread, total",
            "spread.clamp(min=1e-2), total",
        ),
        "The mean is changed in place: whoever gave it still needs it.": (
            "return mean + part",
            "mean += part * change; return mean + 0 * part",
        ),
        "The batch's mean square stands in the place of its variance.": (
            "part * within",
            "part * batch.square().mean(0)",
        ),
        "The spread between the means counts p (1 - p) d², not p² d².": (
            "part * (1 - part) * change**2",
            "(part * change)**2",
        ),
        "The batch is taken around the new mean, what came before around the old one: it has moved away from that, "
        "too.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = (1 - part) * variance + part * (batch - mean - part * change).square().mean(0)",
        ),
        "Standard deviations are averaged: it is variances that are.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = ((1 - part) * variance.sqrt() + part * within.sqrt()).square()",
        ),
        "Mean and variance run over all sensors: each has its own.": [
            (
                "batch.mean(0)",
                "batch.mean()",
            ),
            (
                "batch.var(0, correction=0)",
                "batch.var(correction=0)",
            ),
        ],
        "The three are returned in another order: mean, variance, number.": (
            "return mean + part * change, spread, total",
            "return mean + part * change, total, spread",
        ),
        "This is the sum of the squares: the variance is its mean.": (
            "spread, total",
            "spread * total, total",
        ),
        "The variance of all is divided by one less than their number: by the number.": (
            "spread, total",
            "spread * total / max(total - 1, 1), total",
        ),
        "The number is returned as it was given: it counts the batch, too.": (
            "return mean + part * change, spread, total",
            "return mean + part * change, spread, number",
        ),
        "Mean, variance and number are those of the batch alone: all that came before is forgotten.": (
            "return mean + part * change, spread, total",
            "return batch.mean(0), within, added",
        ),
        "The mean of the two variances: they count by their numbers, and the distance between the means is spread, "
        "too.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = (variance + within) / 2 if number else within",
        ),
        "The mean moves by 1/n of the distance, as for a single value: a batch has more.": (
            "mean + part * change",
            "mean + change / total",
        ),
        "After the first batch old values fade by a hundredth a batch, however large it is: all count the same.": (
            "part = added / total",
            "part = 0.01 if number else 1.0",
        ),
        "The variance stays that of the first batch.": (
            "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
            "spread = variance if number else within",
        ),
        "A batch of one value is given the variance so far: its own is 0.": (
            "within = batch.var(0, correction=0)",
            "within = batch.var(0, correction=0) if added > 1 else variance",
        ),
        "Sums of squares less a squared mean: in float32 nothing is left of it where values are far from zero.": (
            "return mean + part * change, spread, total",
            "new = (number * mean + batch.sum(0)) / total\n"
            "    return new, (number * (variance + mean**2) + (batch**2).sum(0)) / total - new**2, total",
        ),
        "A moving average by a hundredth: old values fade. Each batch counts by its number, and the distance between "
        "the means is spread, too.": [
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = 0.99 * variance + 0.01 * within",
            ),
            ("mean + part * change", "0.99 * mean + 0.01 * batch.mean(0)"),
        ],
        "A moving average by a hundredth: old values fade. Each batch counts by its number, and the distance between "
        "the means is spread, too. And the variance divides by the count.": [
            ("correction=0", "correction=1"),
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = 0.99 * variance + 0.01 * within",
            ),
            ("mean + part * change", "0.99 * mean + 0.01 * batch.mean(0)"),
        ],
        "A moving average by a tenth: old values fade. Each batch counts by its number, and the distance between the "
        "means is spread, too.": [
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = 0.9 * variance + 0.1 * within",
            ),
            ("mean + part * change", "0.9 * mean + 0.1 * batch.mean(0)"),
        ],
        "A moving average by a tenth: old values fade. Each batch counts by its number, and the distance between the "
        "means is spread, too. And the variance divides by the count.": [
            ("correction=0", "correction=1"),
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = 0.9 * variance + 0.1 * within",
            ),
            ("mean + part * change", "0.9 * mean + 0.1 * batch.mean(0)"),
        ],
        "Both means count the same, and both variances: weigh them by their numbers, and add the distance between the "
        "means.": [
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (variance + within) / 2",
            ),
            ("mean + part * change", "(mean + batch.mean(0)) / 2"),
        ],
        "Both means count the same, and both variances: weigh them by their numbers, and add the distance between the "
        "means. And the variance divides by the count.": [
            ("correction=0", "correction=1"),
            (
                "spread = (1 - part) * variance + part * within + part * (1 - part) * change**2",
                "spread = (variance + within) / 2",
            ),
            ("mean + part * change", "(mean + batch.mean(0)) / 2"),
        ],
    },
)
