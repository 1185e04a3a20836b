"""A mask, and a mean over the steps that are real."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, gradient


def mean_over_real_steps(x, over):
    """The mean of x over the steps up to and with the first at which an episode is over; one step after the other."""
    real = []
    for row, flags in zip(x, over, strict=True):
        for value, flag in zip(row, flags, strict=True):
            real.append(value)
            if flag:
                break
    return torch.stack(real).mean()


def batch(x, over, padding=np.nan):
    """A case: `padding` stands behind the first True of a row, in x; in `over` anything may."""
    over = np.array(over, bool)
    behind = np.cumsum(over, 1) - over > 0
    return {"x": np.where(behind, padding, x), "over": over}


def drawn(n, steps, padding, noise=0.0):
    """A case of `n` episodes, half of which end; behind the end a flag is set with the probability `noise`."""

    def case(rng):
        last = np.where(np.arange(n) % 2 == 0, rng.integers(0, steps - 1, n), steps)[:, None]
        t = np.arange(steps)
        over = (t == last) | ((t > last) & (rng.random((n, steps)) < noise))
        return batch(rng.normal(3.0, 2.0, over.shape), over, padding)

    return case


EXERCISE = gradient(
    mean_over_real_steps,
    title="A mask that ends where the episode does",
    goal="Know which steps of a padded batch are real, and let no other touch a mean or its gradient.",
    minutes=15,
    difficulty=2,
    importance=5,
    hints=[
        "A step is real if no step before it was the last one. How many flags stood *before* t?",
        "`before = over.int().cumsum(1) - over.int()`, `mask = before == 0`; then `x.where(mask, 0.0)`, summed, over "
        "`mask.sum()`.",
    ],
    checks={
        "value": Check(
            2,
            "The step at which the episode ends was played: it counts. The next one does not.",
            [
                batch([[1, 2, 9], [3, 4, 5]], [[False, True, False], [False, False, False]], 9.0),
                batch([[4, 7, 8, 9]], [[True, False, False, False]], 7.0),
                drawn(4, 6, 7.0),
                drawn(5, 8, -7.0),
            ],
            leaves_input_alone=True,
        ),
        "flags behind the end": Check(
            1,
            "A world may go on reporting after its end: only the first True of a row counts.",
            [
                batch([[1, 2, 9, 9]], [[False, True, True, False]], 9.0),
                drawn(4, 8, 7.0, noise=0.6),
                drawn(5, 9, -7.0, noise=0.6),
            ],
            requires="behind the first True of `over` there may be others",
        ),
        "broken padding": Check(
            2,
            "0 · NaN is NaN. `where` chooses instead of multiplying.",
            [
                batch([[1, 2, 9], [3, 4, 5]], [[False, True, False], [False, False, False]]),
                drawn(4, 6, np.nan),
                drawn(4, 6, np.inf),
            ],
            requires="behind the end `x` may be NaN or infinite",
        ),
        "gradient": Check(
            2,
            "A real step's derivative is 1 over the number of real steps, that of padding is 0 and never NaN.",
            [
                batch([[1, 2, 9], [3, 4, 5]], [[False, True, False], [False, False, False]], 9.0),
                drawn(4, 6, 7.0),
                drawn(4, 6, np.nan),
            ],
            gradient=("x",),
        ),
    },
    mistakes={
        "The last step of an episode is left out: at t the flag says that *this* step ends it, and its reward counts. "
        "Ask for flags before t.": ("before == 0", "(over.int().cumsum(1) == 0)"),
        "The step behind the end is counted, too: count all flags before t, also that of t - 1.": (
            "before == 0",
            "((before == 0) | (torch.nn.functional.pad(before, (1, 0))[:, :-1] == 0))",
        ),
        "The mask is inverted: it should be True on real steps.": ("before == 0", "(before > 0)"),
        "`~over` is False at one step only: everything behind the end must be False, too.": (
            "before == 0",
            "(~over)",
        ),
        "Only as many steps as there are ends are left out: from an end on, all steps of its row are padding.": (
            "/ mask.sum()",
            "/ (~over).sum()",
        ),
        "Padding is counted in the divisor: divide by the number of real steps.": ("/ mask.sum()", "/ mask.numel()"),
        "You average over each episode first: then a step of a short episode weighs more than one of a long episode.": (
            "x.where(mask, 0.0).sum() / mask.sum()",
            "(x.where(mask, 0.0).sum(1) / mask.sum(1)).mean()",
        ),
        "You divide by the number of episodes: that is a mean of sums. A mean over steps is asked for.": (
            "/ mask.sum()",
            "/ len(mask)",
        ),
        "Each flag turns the mask over: behind a second True steps are real again. Did *any* flag stand before?": (
            "before == 0",
            "(before % 2 == 0)",
        ),
        "An episode's end is sought from the last flag of its row on: it is the first True that counts.": (
            "before == 0",
            "((over.int().flip(1).cumsum(1).flip(1) > 0) | ~over.any(1, keepdim=True))",
        ),
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `x.where(mask, 0.0)`.": (
            "x.where(mask, 0.0)",
            "(x * mask)",
        ),
        "The ends are counted down the batch (dim 0): time is dim 1.": (
            "over.int().cumsum(1)",
            "over.int().cumsum(0)",
        ),
        "The value is right, but x was detached, or turned into a number: no gradient is left.": "f(x.detach(), over)",
        "Only the ending steps are counted: real is each step up to and with the first True.": ("before == 0", "over"),
        "One is subtracted from the count of ends: then the steps before the end are out, and those from it on are"
        " in.": ("before = over.int().cumsum(1) - over.int()", "before = over.int().cumsum(1) - 1"),
        "One number for each episode: one mean over all real steps is asked for.": (
            "x.where(mask, 0.0).sum() / mask.sum()",
            "x.where(mask, 0.0).sum(1) / mask.sum(1)",
        ),
        "The sum is not divided by the number of real steps.": (
            "x.where(mask, 0.0).sum() / mask.sum()",
            "x.where(mask, 0.0).sum()",
        ),
        "This is the mean over everything, padding included.": ("x.where(mask, 0.0).sum() / mask.sum()", "x.mean()"),
        "Flags are counted from the end: what counts is whether one stands before t.": (
            "over.int().cumsum(1)",
            "over.int().flip(1).cumsum(1).flip(1)",
        ),
        "The episode goes on to its second True: the first ends it.": ("before == 0", "before <= 1"),
        "A row goes on until its second True: the first one ends the episode, and nothing behind it is real.": (
            "before == 0",
            "over.int().cumsum(1) <= 1",
        ),
        "A row without a True has no end, and `argmax` says 0 for it: all of its steps are real.": (
            "before == 0",
            "torch.arange(x.shape[1]) <= over.int().argmax(1, keepdim=True)",
        ),
        "The median of the real steps: the mean is asked for.": (
            "x.where(mask, 0.0).sum() / mask.sum()",
            "x[mask].median()",
        ),
        "The divisor is one too large.": (
            "x.where(mask, 0.0).sum() / mask.sum()",
            "x.where(mask, 0.0).sum() / (mask.sum() + 1)",
        ),
    },
)
