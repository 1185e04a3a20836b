"""A baseline that keeps the mean."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def leave_one_out_baseline(ret, mask):
    """b_{i,t}: mean G_t of the other episodes that still run at t; 0 where there is none. Padding is not judged.

    Kool, van Hoof & Welling (2019), "Buy 4 REINFORCE Samples, Get a Baseline for Free!", for each step of its own.
    """
    baseline = np.full(ret.shape, np.nan)
    for i, t in np.argwhere(mask):
        others = mask[:, t] & (np.arange(len(mask)) != i)
        baseline[i, t] = ret[others, t].mean() if others.any() else 0.0
    return baseline


def returns(ret, mask=True, padding=0.0):
    """A case: `padding` stands where the mask is False."""
    mask = np.broadcast_to(mask, np.shape(ret))
    return {"ret": np.where(mask, ret, padding), "mask": mask.copy()}


def drawn(n, steps, padding=None):
    """A case of `n` random episodes: all of them `steps` long, or with padding and of unequal lengths."""

    def case(rng):
        lengths = rng.permutation([steps, *rng.integers(1, steps, n - 1)]) if padding is not None else np.full(n, steps)
        mask = np.arange(steps) < lengths[:, None]
        return returns(rng.normal(5.0, 3.0, mask.shape), mask, padding or 0.0)

    return case


EXERCISE = implement(
    leave_one_out_baseline,
    title="A baseline that keeps the mean",
    goal="Compare an action with what others got from the same step on, without touching the expected gradient.",
    minutes=15,
    difficulty=3,
    importance=4,
    hints=[
        "The mean over the others is the sum over all minus the own return, divided by one less. Who still runs at t?",
        "Replace padding with 0. `ret.sum(0) - ret` is the others' sum, `mask.sum(0) - mask.int()` their number; "
        "`clamp(min=1)` avoids 0/0.",
    ],
    checks={
        "values": Check(
            3,
            "Sum over all episodes (dim 0), take the own return away, divide by the rest.",
            [returns([[1, 2], [5, 4]]), returns([[1], [2], [6]]), drawn(3, 3), drawn(5, 4)],
        ),
        "finished episodes": Check(
            2,
            "At step t only episodes whose mask is True at t take part, in the sum and in the count.",
            [
                returns([[1, 0], [3, 4], [8, 6]], [[True, False], [True, True], [True, True]]),
                drawn(4, 5, -7.0),
                drawn(6, 8, -7.0),
            ],
        ),
        "alone": Check(
            1,
            "Where no other episode runs, b is 0: `clamp(min=1)` on the count avoids 0/0.",
            [
                returns([[3, 2], [5, 0]], [[True, True], [True, False]]),
                lambda rng: returns(rng.normal(5.0, 3.0, (2, 4)), np.arange(4) < np.array([[1], [4]])),
                drawn(1, 3),
            ],
        ),
        "broken padding": Check(
            1,
            "0 · NaN is NaN: replace padding with `masked_fill` before you sum.",
            [
                returns([[3, 2], [5, 0], [4, 8]], [[True, True], [True, False], [True, True]], np.nan),
                drawn(4, 5, np.nan),
                drawn(4, 5, np.inf),
            ],
            requires="padding may be NaN or infinite, and what is returned there does not matter",
        ),
    },
    mistakes={
        "The mean includes the episode's own return: b then depends on the actions it is subtracted for, and "
        "E[score · b] is no longer 0. Leave it out of the sum and of the count.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "(ret.sum(0) / mask.sum(0).clamp_min(1)).expand_as(ret)",
        ),
        "The own return is left out of the sum but still counted: divide by the number of the others.": (
            "others.clamp_min(1)",
            "mask.sum(0).clamp_min(1)",
        ),
        "Finished episodes are counted as returns of 0: count only those whose mask is True at t.": (
            "others.clamp_min(1)",
            "max(len(ret) - 1, 1)",
        ),
        "Padding enters the mean: what stands behind the end of an episode is not a return.": (
            "(ret.sum(0) - ret) / max(len(ret) - 1, 1)"
        ),
        "This averages an episode's own returns over time: b then depends on the actions it is subtracted for. Average "
        "over the other episodes at the same t.": (
            "(ret.where(mask, 0.0).sum(1, keepdim=True) / mask.sum(1, keepdim=True)).expand_as(ret)"
        ),
        "This leaves one step out of an episode's own returns, over time: leave one episode out, at the same t.": (
            "(lambda x: (x.sum(1, keepdim=True) - x) / (mask.sum(1, keepdim=True) - 1).clamp_min(1))"
            "(ret.where(mask, 0.0))"
        ),
        "One number for all steps: a return-to-go shrinks towards the end of an episode, so compare at the same t.": (
            "(lambda total, steps: ((total.sum() - total) / (steps.sum() - steps).clamp(min=1)).expand_as(ret))"
            "(ret.where(mask, 0.0).sum(1, keepdim=True), mask.sum(1, keepdim=True))"
        ),
        "You use the others' return of the first step at every step: use what they still got from t on, `ret[:, t]`.": (
            "((ret[:, :1].sum(0) - ret[:, :1]) / max(len(ret) - 1, 1)).expand_as(ret)"
        ),
        "This is the median of the others: a mean is asked for.": (
            "torch.stack([torch.where(mask & (torch.arange(len(ret)) != i)[:, None], ret, torch.nan)"
            ".nanmedian(0).values.nan_to_num() for i in range(len(ret))])"
        ),
        "The sum of the others, not their mean: divide by how many of them still run.": (" / others.clamp_min(1)", ""),
        "Where an episode runs alone you divide 0 by 0: b is 0 there.": (".clamp_min(1)", ""),
        "An episode that runs alone becomes its own baseline: b is 0 there.": (
            "return (ret.sum(0) - ret) / others.clamp_min(1)",
            "return torch.where(others > 0, (ret.sum(0) - ret) / others.clamp_min(1), ret)",
        ),
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `ret.masked_fill(~mask, 0.0)`.": (
            "ret.where(mask, 0.0)",
            "ret * mask",
        ),
        "The mask is inverted: it is True on real steps.": "f(ret, ~mask)",
        "Sign flipped? The baseline is subtracted later, outside.": "-f(*a)",
        "This is the advantage G - b already: return b alone.": "ret - f(*a)",
        "Zero everywhere is a baseline, but not the others' mean.": "torch.zeros_like(ret)",
        "The own return is in the sum but not in the count.": ("(ret.sum(0) - ret)", "ret.sum(0)"),
        "You sum over time: b compares with the other episodes at the same step.": (
            "ret.sum(0) - ret",
            "ret.sum(1, keepdim=True) - ret",
        ),
        "The number of the episode's steps stands in the divisor: count the episodes that run at t.": (
            "mask.sum(0)",
            "mask.sum(1, keepdim=True)",
        ),
        "Padding is not left out at all.": ("ret = ret.where(mask, 0.0)", "pass"),
        "The mean over all, finished ones counted as 0, its own included: b is that of the others that still run.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "ret.mean(0, keepdim=True).expand_as(ret)",
        ),
        "One number for all steps: b is that of each step.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "ret.sum() / mask.sum() + 0 * ret",
        ),
        "The mean over all other steps of the batch: b compares at the same step.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "(ret.sum() - ret) / (mask.sum() - 1).clamp_min(1)",
        ),
        "The median of all: the mean of the others is asked for.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "ret.median(0).values + 0 * ret",
        ),
        "The mean return of the first step stands everywhere: b is that of each step.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "ret[:, :1].mean() + 0 * ret",
        ),
        "The neighbour's return is one of the others: take the mean over all of them.": (
            "(ret.sum(0) - ret) / others.clamp_min(1)",
            "ret.roll(1, 0)",
        ),
        "Finished episodes are counted and running ones are not: the mask is inverted in the divisor.": (
            "mask.sum(0) - mask.to(ret.dtype)",
            "(~mask).sum(0) - (~mask).to(ret.dtype)",
        ),
    },
)
