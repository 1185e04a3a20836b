"""Advantages with mean 0 and standard deviation 1, over the real steps."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def normalised_advantage(advantage, mask):
    """Â = (A - mean) / std over the real steps, std with n - 1; 0 on padding, and where all are equal."""
    real = advantage[mask]
    result = np.zeros(advantage.shape)
    if len(real) > 1 and np.ptp(real) > 0:
        result[mask] = (real - real.mean()) / real.std(ddof=1)
    return result


def batch(advantage, mask=True, padding=0.0):
    """A case: `padding` stands where the mask is False."""
    mask = np.broadcast_to(mask, np.shape(advantage))
    return {"advantage": np.where(mask, advantage, padding), "mask": mask.copy()}


def drawn(n, steps, padding=None, scale=2.0):
    def case(rng):
        lengths = rng.permutation([steps, *rng.integers(1, steps, n - 1)]) if padding is not None else np.full(n, steps)
        mask = np.arange(steps) < lengths[:, None]
        return batch(rng.normal(1.5 * scale, scale, mask.shape), mask, padding or 0.0)

    return case


EXERCISE = implement(
    normalised_advantage,
    title="Normalised advantages",
    goal="Take the scale out of the advantages without letting padding in, or dividing by zero.",
    minutes=15,
    difficulty=2,
    importance=4,
    hints=[
        "Which steps make the mean and the standard deviation? And when is the standard deviation 0?",
        "`real = advantage[mask]`; start with zeros; if there are at least two and `real.max() > real.min()`, "
        "set `result[mask] = (real - real.mean()) / real.std()`.",
    ],
    checks={
        "values": Check(
            2,
            "One mean and one standard deviation for the whole batch; torch's `std` divides by n - 1.",
            [batch([[1, 3]]), batch([[6, 6], [6, 4]]), drawn(3, 3), drawn(4, 6)],
        ),
        "padding": Check(
            2,
            "Mean, standard deviation and n are those of the real steps; on padding the result is 0.",
            [
                batch([[1, 9], [3, 5]], [[True, False], [True, True]], 9.0),
                drawn(4, 6, 7.0),
                drawn(4, 6, np.nan),
            ],
            requires="padding may be NaN; the result is 0 there",
            leaves_input_alone=True,
        ),
        "scale": Check(
            1,
            "Rewards 1000 times as large give the same result: add nothing to the divisor that is not tiny.",
            [drawn(3, 5, scale=scale) for scale in (1000.0, 1.0, 0.5, 0.1, 5e-4)],
            tolerance=(0.05, 1e-3),  # 1e-5 in the divisor is 3 % of the smallest of them
        ),
        "nothing to tell apart": Check(
            2,
            "Where all are equal, every advantage is 0, not 0/0: a solved task. And `std` of one number is NaN.",
            [
                batch([[3, 3], [3, 3]]),
                batch(np.full((2, 5), 0.7)),  # whose mean is another number in float32
                batch([[5]]),
                batch([[2, 0], [2, 2]], [[True, False], [True, True]], -7.0),
            ],
            requires="where all real steps are equal, or there is one only, it is 0 everywhere",
        ),
    },
    mistakes={
        "The standard deviation divides by n: torch's default, here and elsewhere in code, is n - 1.": (
            "real.std()\n",
            "real.std(unbiased=False)\n",
        ),
        "Divided by the variance: that leaves 1/scale behind. Take the standard deviation.": (
            "real.std()\n",
            "real.var()\n",
        ),
        "The mean is not subtracted.": ("(real - real.mean()) / ", "real / "),
        "Only the mean is subtracted: divide by the standard deviation, too.": (" / real.std()\n", "\n"),
        "Each episode is normalised by itself: then a good and a bad episode look the same. Use one mean for all.": (
            "torch.stack([f(x[None], m[None])[0] for x, m in zip(advantage, mask)])"
        ),
        "Each time step is normalised by itself: use one mean and one standard deviation for the batch.": (
            "torch.stack([f(x[None], m[None])[0] for x, m in zip(advantage.T, mask.T)]).T"
        ),
        "Padding enters the mean and the standard deviation: it is no advantage of anything.": (
            "real = advantage[mask]",
            "real = advantage.flatten()",
        ),
        "Padding counts as advantages of 0, in the mean and in the standard deviation.": (
            "f(advantage.where(mask, 0.0), torch.ones_like(mask)).where(mask, 0.0)"
        ),
        "Padding counts as advantages of 0, in the mean and in the standard deviation; and 0/0 is NaN where all are "
        "equal.": ("(lambda x: torch.where(mask, (x - x.mean()) / x.std(), 0.0))(advantage.where(mask, 0.0))"),
        "On padding stands (0 - mean) / std: set it to 0 after all else.": (
            "torch.where(mask, f(*a), -advantage[mask].mean() / advantage[mask].std())"
        ),
        "The mask is inverted: it is True on real steps.": "f(advantage, ~mask)",
        "A 1 in the divisor is not tiny: small advantages stay small, and the scale is not gone.": (
            "real.std()\n",
            "(real.std() + 1)\n",
        ),
        "0/0 where all are equal, or where there is one step: ask for that before you divide.": (
            "if len(real) > 1 and real.max() > real.min():",
            "if True:",
        ),
        "All equal, and still divided by a tiny number's worth of rounding: their mean is not exact, and `std` not 0. "
        "Ask the numbers themselves, `real.max() > real.min()`.": ("real.max() > real.min()", "real.std() > 0"),
        "A constant in the divisor does not ask whether all are equal: their mean is not exact, rounding leaves 1e-8 "
        "in `std`, and 1e-8/1e-8 is 1.": [
            (" and real.max() > real.min()", ""),
            ("real.std()\n", "(real.std() + 1e-8)\n"),
        ],
        "A constant in the divisor does not ask whether all are equal: their mean is not exact, and rounding over 1e-5 "
        "is not 0.": [(" and real.max() > real.min()", ""), ("real.std()\n", "(real.std() + 1e-5)\n")],
        "Where all are equal you return the advantages as they are: they should be 0.": (
            "f(*a) if mask.sum() > 1 and advantage[mask].max() > advantage[mask].min() else advantage.where(mask, 0.0)"
        ),
        "Where all are equal you return the advantages as they are: they should be 0. And ask the numbers, not their "
        "`std`, which is not 0 where their mean is rounded.": (
            "(lambda r: torch.where(mask, (advantage - r.mean()) / r.std() if len(r) > 1 and r.std() > 0 "
            "else advantage, 0.0))(advantage[mask])"
        ),
        "Divided by the largest value: take the standard deviation.": (
            "real.std()\n",
            "real.abs().max()\n",
        ),
        "Divided by the range, largest minus smallest: take the standard deviation.": (
            "real.std()\n",
            "(real.max() - real.min())\n",
        ),
        "The median is subtracted: it is the mean that becomes 0.": (
            "(real - real.mean())",
            "(real - real.median())",
        ),
        "Divided by the norm: that makes all numbers smaller the more there are. The standard deviation does not.": (
            "(real - real.mean()) / real.std()\n",
            "(real - real.mean()) / (real - real.mean()).norm()\n",
        ),
        "A divisor of at least 1: small advantages stay small, and the scale is not gone.": (
            "real.std()\n",
            "real.std().clamp(min=1)\n",
        ),
        "One real step only: n - 1 is 0, and torch's `std` of one number is NaN, with or without a constant in the "
        "divisor. Ask for `len(real) > 1`.": (
            "    if len(real) > 1 and real.max() > real.min():\n"
            "        result[mask] = (real - real.mean()) / real.std()",
            "    result[mask] = (real - real.mean()) / (real.std() + 1e-8)",
        ),
        "One real step only: n - 1 is 0, and the standard deviation of one number is NaN, in float64 as well. Ask for "
        "`len(real) > 1`.": (
            "    if len(real) > 1 and real.max() > real.min():\n"
            "        result[mask] = (real - real.mean()) / real.std()",
            "    real = real.double()\n"
            "    result[mask] = ((real - real.mean()) / (real.std() + 1e-8)).to(result.dtype)",
        ),
        "NaN times 0 is NaN: a mask that multiplies does not keep padding out. Select with `advantage[mask]`, or use "
        "`torch.where`.": "f(*a) + 0 * (advantage * mask).sum()",
        "NaN times 0 is NaN: at the end, too, set padding to 0 with `torch.where`, and do not multiply.": (
            "f(*a) + 0 * advantage * ~mask"
        ),
        "Padding counts as advantages of 0, in the mean and in the standard deviation; and NaN times 0 is NaN.": (
            "(lambda x: (x - x.mean()) / (x.std() + 1e-8) * mask)(advantage * mask)"
        ),
        "Padding is left in the result: it has to be 0 there.": (
            "(lambda x: torch.where(mask, f(*a), "
            "(advantage - x.mean()) / x.std() if len(x) > 1 and x.max() > x.min() else advantage - x.mean()))"
            "(advantage[mask])"
        ),
        "Padding is left in the result: it has to be 0 there. And ask the numbers whether all are equal: rounding "
        "leaves 1e-8 in their `std`.": (
            "(lambda x: (advantage - x.mean()) / (x.std() if len(x) > 1 and x.std() > 0 else 1.0))(advantage[mask])"
        ),
        "Padding is normalised with all else: mean and standard deviation are those of the real steps.": (
            "(advantage - advantage.mean()) / (advantage.std() + 1e-8)"
        ),
        "Padding is normalised with all else: mean and standard deviation are those of the real steps. And a constant "
        "in the divisor does not ask whether all are equal.": (
            "(advantage - advantage.mean()) / (advantage.std() + 1e-5)"
        ),
        "Sign flipped? What is above the mean stays above 0.": "-f(*a)",
        "These are the advantages as they came.": "advantage.clone()",
    },
)
