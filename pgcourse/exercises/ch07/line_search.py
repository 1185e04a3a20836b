"""The search along the step."""

import numpy as np

from pgcourse.grading.kinds import Check, code, implement


def line_search(objective, theta, step, delta, backtracks, shrink):
    """The first of θ + c^k s, k = 0, …, K, with a higher gain than θ and a KL divergence of at most δ; else θ.

    Schulman et al. (2015), appendix C. All of them are tried, then the first good one is taken.
    """
    start, _ = objective(theta)
    tried = [theta + shrink**k * step for k in range(backtracks + 1)]
    good = [gain > start and kl <= delta for gain, kl in map(objective, tried)]
    return tried[good.index(True)] if any(good) else theta


# The gain of a move m along each axis is Σ slope m - bend m², the divergence ½ Σ fisher m², both from `at` on.
OBJECTIVE = "lambda x: (high + (slope * (x - at) - bend * (x - at) ** 2).sum(), 0.5 * (fisher * (x - at) ** 2).sum())"
WAVE = "lambda x: (high + table[max(0, min(13, round(8 * float(x[0] - at[0]))))], 0.5 * fisher * ((x - at) ** 2).sum())"


def parabola(slope, bend, fisher, step, at=(0.0,), high=0.0, delta=0.5, backtracks=4, shrink=0.5):
    numbers = {"slope": np.full(len(at), slope), "bend": bend, "fisher": fisher, "at": np.array(at), "high": high}
    return {
        "objective": code(OBJECTIVE, **numbers),
        "theta": np.array(at),
        "step": np.full(len(at), step),
        "delta": delta,
        "backtracks": backtracks,
        "shrink": shrink,
    }


def table(gains, fisher, at=0.5, high=2.0, delta=0.5, backtracks=3, beyond=0.0):
    """A case of one parameter whose gain over θ is written down for the steps 1, ½, ¼ and ⅛, and for 3/2."""
    row = np.zeros(14)  # no gain anywhere else
    row[[8, 4, 2, 1, 12]] = [*gains, beyond]
    return {
        "objective": code(WAVE, table=row, fisher=fisher, at=np.array([at]), high=high),
        "theta": [at],
        "step": [1],
        "delta": delta,
        "backtracks": backtracks,
        "shrink": 0.5,
    }


def drawn(rng):
    """A case whose full step costs too much, and whose half lowers the gain."""
    return parabola(
        rng.uniform(0.5, 1.0), 1.5, rng.uniform(1.2, 1.6), rng.uniform(0.9, 1.1), rng.normal(size=2), rng.normal(), 0.3
    )


EXERCISE = implement(
    line_search,
    title="The search along the step",
    goal="Take the first step that keeps both promises, and none where nothing does.",
    minutes=15,
    difficulty=2,
    importance=4,
    hints=[
        "For which k do you stop, and what do you return if you never do? What is the gain compared with?",
        "start = objective(theta)[0]; for k in range(backtracks + 1): tried = theta + shrink**k * step; return it if "
        "gain > start and kl <= delta. After the loop return theta.",
    ],
    checks={
        "the full step": Check(
            1,
            "If the whole step is good, it is taken: k starts at 0.",
            [
                table([1, 1, 1, 1], 0.5),
                table([1, 3, 5, 7], 0.5),
                table([0.3, 0.4, 0.5, 0.6], 0.8),
                table([1, 1, 1, 1], 0.1, beyond=2),
            ],
        ),
        "too far": Check(
            2,
            "A step whose KL divergence is above δ is shortened, however much it gains; exactly δ is allowed.",
            [
                table([9, 8, 7, 6], 2.0),
                table([9, 8, 7, 6], 16.0),
                table([9, 8, 7, 6], 4.0),
                table([9, 8, 7, 6], 1.0),
                parabola(1.0, 0.1, 1.3, 1.0, shrink=0.8),
            ],
        ),
        "no gain": Check(
            2,
            "A step that gains nothing is shortened, however little it costs. Compare with the gain at θ, which "
            "need not be 0.",
            [
                table([-1, -1, 2, 3], 0.5),
                table([0, 1, 2, 3], 0.5),
                table([-1, -1, 2, 3], 0.1, beyond=9),
                table([-1, -0.5, 2, 3], 0.5, high=-3.0),
                table([-1, -1, -1, 5], 0.5, backtracks=4),
                drawn,
            ],
        ),
        "both": Check(
            1,
            "One and the same step has to keep both promises.",
            [table([5, -1, 4, 6], 2.0), table([-1, 4, -1, 3], 8.0), table([-1, 3, 1, 1], 2.0)],
        ),
        "nothing passes": Check(
            2,
            "After the last try, k = `backtracks`, stay at θ.",
            [
                table([-1, -2, -3, -4], 0.5),
                table([1, 1, 1, 1], 500.0),
                table([-1, -2, -3, -4], 500.0),
                table([-1, -1, -1, 5], 0.5),
                table([-1, -1, -1, 5], 0.5, backtracks=2),
                table([-1, -1, -1, 5], 0.5, backtracks=1),
                table([-1, 5, 5, 5], 0.5, backtracks=0),
            ],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "A step beyond δ is accepted: both conditions must hold.": ("gain > start and kl <= delta", "gain > start"),
        "A step that lowers the gain is accepted: both conditions must hold.": (
            "gain > start and kl <= delta",
            "kl <= delta",
        ),
        "One condition is enough for you: both must hold.": ("gain > start and kl", "gain > start or kl"),
        "The step is never shortened.": ("shrink**k * step", "step"),
        "The first try is shortened already: k starts at 0.": ("shrink**k", "shrink ** (k + 1)"),
        "One try too few: k runs to `backtracks`, and that one counts.": ("range(backtracks + 1)", "range(backtracks)"),
        "One try too many: k runs to `backtracks`.": ("range(backtracks + 1)", "range(backtracks + 2)"),
        "The search has no end: k runs to `backtracks`.": ("range(backtracks + 1)", "range(100)"),
        "The search goes on only while both promises are broken: shorten the step as long as one of them is.": (
            "        if gain > start and kl <= delta:\n            return tried\n    return theta",
            "        if gain > start or kl <= delta:\n            break\n    return tried",
        ),
        "Where nothing passes the last try is returned: stay at the old θ. An update that keeps no promise is what the "
        "search is there to prevent.": ("    return theta\n", "    return tried\n"),
        "Where nothing passes the full step is returned: stay at the old θ.": (
            "    return theta\n",
            "    return theta + step\n",
        ),
        "The step is returned, not the new θ.": "f(*a) - theta",
        "The gain is compared with 0: compare with what it is at θ.": ("gain > start", "gain > 0"),
        "A step that gains nothing passes: the gain must be higher than at θ.": ("gain > start", "gain >= start"),
        "Exactly δ is allowed.": ("kl <= delta", "kl < delta"),
        "The sign of the comparison: the gain is to rise, it is no loss.": ("gain > start", "gain < start"),
        "The best of all tries is returned: the first good one is asked for, and it is the longest.": (
            "max([theta] + [x for k in range(backtracks + 1) for x in [theta + shrink**k * step]"
            " if objective(x)[1] <= delta], key=lambda x: float(objective(x)[0]))"
        ),
        "The last good try is returned: stop at the first, the longest.": (
            "([theta] + [x for k in range(backtracks + 1) for x in [theta + shrink**k * step]"
            " if objective(x)[1] <= delta and objective(x)[0] > objective(theta)[0]])[-1]"
        ),
        "Downhill: the step is added to θ.": ("theta + shrink", "theta - shrink"),
        "The tries add up: each starts at θ, not where the last one ended.": (
            "tried = theta + shrink**k * step",
            "tried = (theta if k == 0 else tried) + shrink**k * step",
        ),
        "The step is shortened from the one that was shortened already: the tries are at 1, c, c³, c⁶ of it. Multiply "
        "the step as it was given.": (
            "tried = theta + shrink**k * step",
            "step = shrink**k * step; tried = theta + step",
        ),
        "The step shrinks linearly, s/(k + 1): it is multiplied by `shrink` each time.": (
            "shrink**k * step",
            "step / (k + 1)",
        ),
        "θ is changed in place: who calls still needs the old one.": (
            "tried = theta + shrink**k * step",
            "tried = theta.add_(shrink**k * step) if k == 0 else theta.sub_((shrink ** (k - 1) - shrink**k) * step)",
        ),
        "The sign of the comparison with δ: the divergence is to be δ at most.": (
            "gain > start and kl <= delta",
            "gain > start and kl >= delta",
        ),
        "The full step is never tried: k starts at 0.": ("range(backtracks + 1)", "range(1, backtracks + 1)"),
        "θ is shrunk, too: tried is θ + c^k s.": ("theta + shrink**k * step", "shrink**k * (theta + step)"),
        "The step shrinks linearly, 1 - c k: it is multiplied by c each time.": ("shrink**k", "(1 - shrink * k)"),
        "The step is halved whatever `shrink` is.": ("shrink**k", "0.5**k"),
        "The gain is compared with that of the full step: compare with what it is at θ.": (
            "start, _ = objective(theta)",
            "start, _ = objective(theta + step)",
        ),
        "What is returned is the step, without θ.": (
            "            return tried\n    return theta",
            "            return shrink**k * step\n    return theta",
        ),
        "The gain has to exceed the divergence, too: higher than at θ is all that is asked.": (
            "gain > start and kl <= delta",
            "gain > start + kl and kl <= delta",
        ),
        "Gain and divergence are exchanged: `objective` returns the gain first.": (
            "gain, kl = objective(tried)",
            "kl, gain = objective(tried)",
        ),
        "Half as much again as δ is accepted: δ is the most.": (
            "gain > start and kl <= delta",
            "gain > start and kl <= 1.5 * delta",
        ),
        "The steps add up: each try starts at θ.": (
            "tried = theta + shrink**k * step",
            "theta = theta + shrink**k * step; tried = theta",
        ),
        "Where nothing passes 0 is returned: stay at the old θ.": (
            "            return tried\n    return theta",
            "            return tried\n    return torch.zeros_like(theta)",
        ),
        "After a step that passes the search goes on from there: return the first one.": (
            "            return tried",
            "            theta = tried",
        ),
        "Twice δ is accepted: δ is the most.": ("kl <= delta", "kl <= 2 * delta"),
        "The root of the divergence is compared with δ: it is the divergence itself.": (
            "kl <= delta",
            "kl**0.5 <= delta",
        ),
        "Every step is accepted: both conditions must hold.": ("gain > start and kl <= delta", "True"),
        "The step is multiplied with c k: it is shrunk k times, c^k.": ("shrink**k", "shrink * k"),
        "The step shrinks to 0.8 of itself whatever `shrink` is.": ("shrink**k", "0.8**k"),
        "The step shrinks by 1 - c: it is multiplied by c each time.": ("shrink**k", "(1 - shrink) ** k"),
        "The step is shrunk twice from try to try: c^k, not c^(2k).": ("shrink**k", "shrink ** (2 * k)"),
        "What is tried and returned is the step, without θ.": ("theta + shrink**k * step", "shrink**k * step"),
        "Where nothing passes nothing is returned: after the loop `return theta`.": (
            "    return theta\n",
            "    return None\n",
        ),
        "The gain is compared with that of the try before: compare with what it is at θ.": (
            "            return tried\n",
            "            return tried\n        start = gain\n",
        ),
    },
)
