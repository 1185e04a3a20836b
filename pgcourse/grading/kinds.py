"""The kinds of exercises: each function here makes one, and a file of pgcourse/exercises/ calls one of them.

docs/adding.md says when to take which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pgcourse.grading.exercise import Change, Check, Exercise, Limits, Mistake, Player, Rng
from pgcourse.grading.worker import Code

__all__ = [
    "Check",
    "Limits",
    "Player",
    "code",
    "derive",
    "diagnose",
    "gradient",
    "implement",
    "learn",
    "letters",
    "predict",
    "repair",
    "swapped",
]


def code(source: str, **scope: Any) -> Code:
    """An argument that only code can make, such as a function: `code("lambda v: A @ v", A=[[2, 0], [0, 1]])`."""
    return Code(source, scope)


def implement(
    reference: Callable[..., Any],
    *,
    title: str,
    goal: str,
    minutes: int,
    difficulty: int,
    importance: int,
    hints: Sequence[str],
    checks: Mapping[str, Check],
    mistakes: Mapping[str, Change] | None = None,
    entry: str = "",
    arrays: str = "torch",
    limits: Limits | None = None,
    evidence: Callable[[], Any] | None = None,
    kind: str = "implement",
    start: Change = "",
    choices: Sequence[str] = (),
) -> Exercise:
    """A function or a class to be written.

    Args:
        reference: the formula: NumPy arrays of float64 in, numbers, arrays, texts, or lists and dictionaries of these
            out. NaN in an array stands for "anything goes here". Its name is that of the answer, its docstring has the
            equation with its source.
        title: of the exercise, as a heading.
        goal: what a learner can do afterwards, one sentence.
        minutes: that it takes.
        difficulty: from 1 to 5.
        importance: from 1 to 5.
        hints: two: a nudge, and nearly the answer.
        checks: by name; see `Check`.
        mistakes: what a learner reads whose answer gives the same numbers, and the change of the solution that makes
            them: ("old", "new"), where old stands exactly once in the solution's cell; a list of such edits; or an
            expression of the right answer `f` and its arguments, by name or all of them as `*a`.
        entry: what the answer is called, if not as the reference.
        arrays: "torch" or "numpy", what the answer is given.
        limits: of time and memory, where the ordinary ones do not do.
        evidence: draws or prints what the exercise is about; shown in the notebook by `evidence(name)`.
    """
    return Exercise(
        kind=kind,
        title=title,
        goal=goal,
        entry=entry or reference.__name__,
        reference=reference,
        checks=tuple(replace(check, name=name) for name, check in checks.items()),
        mistakes=tuple(Mistake(words, change) for words, change in (mistakes or {}).items()),
        hints=tuple(hints),
        minutes=minutes,
        difficulty=difficulty,
        importance=importance,
        arrays=arrays,
        start=start,
        choices=tuple(choices),
        evidence=evidence,
        shows=BROKEN_POLICY if kind == "learn" else {},
        limits=limits or Limits(),
    )


def gradient(reference: Callable[..., Any], **fields: Any) -> Exercise:
    """A function whose derivative counts: judged by its value and by autograd's gradient, see `Check.gradient`.

    The reference takes and returns torch tensors of float64; its own gradient is the expected one. As in training, the
    answer is given no leaves.
    """
    return implement(reference, kind="gradient", **fields)


def derive(reference: Callable[..., Any], **fields: Any) -> Exercise:
    """A formula found on paper, written as a function. The reference is no formula: autograd, or an enumeration."""
    return implement(reference, kind="derive", **fields)


def repair(reference: Callable[..., Any], *, start: Change, **fields: Any) -> Exercise:
    """A function with a bug, to be found: the solution with the change `start`. Points are for passing all checks.

    Where a check asks for a gradient, the reference is as `gradient` wants it.
    """
    return implement(reference, kind="repair", start=start, **fields)


def learn(entry: str, **fields: Any) -> Exercise:
    """A class that learns; the parent plays (`Check.play`), so that a return cannot be forged. No formula is right.

    Where a threshold is asked for, how often a right answer misses it and a wrong one does not is published beside it.
    """
    return implement(lambda: None, entry=entry, kind="learn", **fields)


def diagnose(
    entry: str,
    truth: Mapping[str, str],
    *,
    choices: Sequence[str],
    shows: Mapping[str, str] | None = None,
    **fields: Any,
) -> Exercise:
    """What is wrong with each of some runs or functions that are shown by numbers or curves.

    The answer is a function without arguments that returns a dictionary: for each of `truth`, one of `choices`. A
    check's `items` count only if all of them are right; without any, the check judges all. `shows` has a sentence for
    each choice, on how it shows: it is what a learner reads who chooses that where it does not belong.
    """
    if shows and set(shows) != set(choices):
        raise ValueError(f"a sentence for some of the choices only, or for others: {set(shows) ^ set(choices)}")
    if unknown := set(truth.values()) - set(choices):
        raise ValueError(f"not among the choices: {unknown}")
    checks = {
        name: replace(check, items=check.items or tuple(truth), cases=({},))
        for name, check in fields.pop("checks").items()
    }
    exercise = implement(lambda: dict(truth), entry=entry, kind="diagnose", choices=choices, checks=checks, **fields)
    return replace(exercise, shows=dict(shows or {}))


def letters(truth: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Of the letters in a diagnosis' `truth`, those that stand for these names."""
    return tuple(letter for letter, name in truth.items() if name in names)


def swapped(truth: Mapping[str, str], one: str, other: str) -> Change:
    """The changes of a diagnosis' solution that put two names in each other's place."""
    of = {name: letter for letter, name in truth.items()}
    pairs = (one, other), (other, one)
    return [(f'"{of[name]}": "{name}"', f'"{of[name]}": "{instead}"') for name, instead in pairs]


def predict(
    entry: str,
    truth: Callable[[], Mapping[str, float]],
    *,
    within: Mapping[str, float],
    possible: Mapping[str, tuple[float, float]] | None = None,
    shows: Mapping[str, tuple[str, ...]] | None = None,
    far: Mapping[str, tuple[str, str]] | None = None,
    **fields: Any,
) -> Exercise:
    """Numbers to commit to before they are measured.

    The answer is a function without arguments that returns a dictionary: for each of `truth`, read from a committed
    record when it is judged, a number `within` that distance of it, or a pair (low, high) that holds it and is at most
    twice as wide. What cannot be is wrong however near: `possible` has the least and the largest number of an item,
    such as 0 and 1 of a share. A check's `items` count only if all of them are right. `shows` has two sentences for an
    item, for who is too low and for who is too high, and may have a third, for what is impossible; what is no
    prediction at all is told apart by itself. `far` has other words for "too low" and "too high" of an item, such as of
    a place, where low is early.
    """

    def accept(items: tuple[str, ...]) -> Callable[[Any, Mapping[str, Any], Rng], str]:
        def judge(value: Any, args: Mapping[str, Any], rng: Rng) -> str:
            if not isinstance(value, dict):
                return "not a dictionary"
            true = truth()
            for item in items:
                if item not in value:
                    return f"{item} is missing"
                limits = bounds.get(item, (-np.inf, np.inf))
                if problem := _prediction(value[item], true[item], within[item], limits, ends.get(item, FAR)):
                    return f"{item}: {problem}"
            return ""

        return judge

    bounds, ends = possible or {}, far or {}
    checks = {}
    for name, check in fields.pop("checks").items():
        items = check.items or tuple(within)
        near = {item: within[item] / 20 for item in items}  # as near as rounding leaves it
        checks[name] = replace(check, cases=({},), accept=accept(items), items=items, near=near)
    exercise = implement(lambda: dict(truth()), entry=entry, kind="predict", checks=checks, **fields)
    unfit = {item + how: item + words for item in within for how, words in UNFIT.items()}
    said = {
        f"{item}: {how}": words
        for item, some in (shows or {}).items()
        for how, words in zip((*ends.get(item, FAR), IMPOSSIBLE), some, strict=len(some) > 2)
    }
    return replace(exercise, shows=unfit | said)


# How torch's errors begin where a policy's numbers are NaN, and what is said of it.
BROKEN_POLICY = dict.fromkeys(
    ("ValueError: Expected parameter logits", "RuntimeError: probability tensor contains"),
    "Your policy's logits are NaN or infinite. Look at what was divided last: 0/0 is NaN, and so is the standard "
    "deviation of one number.",
)
FAR = "too low", "too high"
IMPOSSIBLE = "impossible"
UNFIT = {  # how the problem begins behind the item's name, and what is said of it
    " is missing": " is missing: it needs its name, too.",
    ": the pair": ": of a pair the lower end stands first, (low, high).",
    ": the range": ": a range as wide as that says too little: narrow it down, or give one number.",
    ": not a number": ": a number is asked for, or a pair (low, high).",
    f": {IMPOSSIBLE}": ": that cannot be, however near it is.",
    ": neither a number": ": a number is asked for, or a pair (low, high).",
}


def _prediction(
    value: Any, true: float, within: float, possible: tuple[float, float], far: tuple[str, str] = FAR
) -> str:
    """What is wrong with a prediction, "" if nothing is. What cannot be comes before what is wide or far."""
    try:
        if np.asarray(value).dtype.kind in "US":  # "5" looks like a number, and is none
            return "not a number"
        ends = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return "not a number"
    if ends.shape not in ((), (2,)) or not np.isfinite(ends).all():
        return "neither a number nor a pair (low, high)"
    low, high = (ends, ends) if ends.ndim == 0 else ends
    if low > high:
        return f"the pair ({low:.4g}, {high:.4g}) is the other way round: (low, high)"
    least, most = possible
    if low < least or high > most:
        return f"{IMPOSSIBLE}, it lies between {least:g} and {most:g}"
    if ends.ndim and high - low > 2 * within:
        return f"the range is {high - low:.4g} wide, more than {2 * within:.4g}"
    slack = within if ends.ndim == 0 else 0.0
    if low - slack <= true <= high + slack:
        return ""
    return far[int(high > true)]
