"""Exercises, and the checks by which an answer to one is judged.

An answer is a function. A check sends it inputs and compares what comes back, as plain numbers, with what a reference
says; where the answer runs (in the learner's notebook, in a sandboxed process) is no concern of a check.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import numpy as np

from pgcourse.grading import worker

RTOL = {"float32": 1e-4, "float64": 1e-9}
ATOL = {"float32": 1e-5, "float64": 1e-10}
MESSAGE_LENGTH = 300

Argument = np.ndarray | float


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds of CPU time for a check and for all checks of an exercise, and bytes.

    As long as it may compute, it may also wait, and ten times as long it may take by the clock: on a busy computer
    a slow answer is as right as on an idle one.
    """

    check_seconds: float = 5.0
    exercise_seconds: float = 20.0
    memory: int = 1 << 30  # beyond what importing torch takes


@dataclass(frozen=True)
class Call:
    """What an answer is asked: its arguments by name, in the order of its signature.

    `gradient` names the arguments by which the (summed) result is differentiated. `times` calls the answer more than
    once on the same tensors.
    """

    args: Mapping[str, Argument]
    gradient: tuple[str, ...] = ()
    times: int = 1

    def request(self, entry: str) -> dict[str, Any]:
        names = list(self.args)
        return {
            "do": "call",
            "entry": entry,
            "args": [worker.encode(arg) if isinstance(arg, np.ndarray) else arg for arg in self.args.values()],
            "gradient": [names.index(name) for name in self.gradient],
            "times": self.times,
        }


@dataclass(frozen=True)
class Reply:
    """What came back: a value for every time, and the last one's gradients. A gradient that does not exist is None.

    In an expected reply NaN stands for "anything goes here", and the gradient None for "none, or zero".
    """

    values: tuple[np.ndarray, ...]
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, call: Call, content: dict[str, Any]) -> Reply:
        """The reply in a worker's message. Raises `AnswerStopped` for one that does not fit the call."""
        try:
            values, gradients = content["values"], content["gradients"]
            if len(values) != call.times or len(gradients) != len(call.gradient):
                raise ValueError("not as many values as asked for")
            return cls(
                tuple(worker.decode(value) for value in values),
                {
                    name: None if gradient is None else worker.decode(gradient)
                    for name, gradient in zip(call.gradient, gradients, strict=True)
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerStopped(f"protocol violation: {error}") from None


class AnswerError(Exception):
    """The answer raised, or returned what cannot be sent. The next call may go well."""

    def __init__(self, message: str, attempted: bool = True) -> None:
        super().__init__(message)
        self.attempted = attempted


class AnswerStopped(Exception):
    """The answer's process is gone, or over its limits: this check is over. `Answer.prepare` starts another one."""


class Answer(Protocol):
    """Where an answer runs."""

    def prepare(self) -> None:
        """Get ready for calls; this costs the answer no time. Raises `AnswerStopped` where none can be made."""

    def clock(self) -> float:
        """The seconds that its calls have used so far."""

    def ask(self, call: Call, deadline: float) -> Reply:
        """One call, over by `deadline` (of `clock`). Raises `AnswerError`, `AnswerStopped`."""


@dataclass(frozen=True)
class Trial:
    """One call of a check: what was expected, what came back, and what is wrong with it ("" if nothing is)."""

    call: Call
    expected: Reply
    reply: Reply | None
    problem: str
    attempted: bool = True


@dataclass(frozen=True)
class Check:
    """One property of a right answer, worth its points wholly or not at all.

    `calls` are what an answer is asked, the simplest first, with all their randomness from the generator.
    """

    name: str
    points: int
    calls: Callable[[np.random.Generator], Iterable[Call]]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """An exercise: `name` as in `check(name, answer)`, and `entry`, what the answer is called in a notebook.

    The reference says what a right answer replies to a call. Each mutant is a wrong answer that people really write;
    its docstring is the diagnosis. Difficulty and importance run from 1 to 5.
    """

    name: str
    entry: str
    reference: Callable[[Call], Reply]
    checks: tuple[Check, ...]
    mutants: tuple[Callable[..., Any], ...]
    difficulty: int
    importance: int
    minutes: int
    limits: Limits = Limits()

    @property
    def chapter(self) -> str:
        return self.name.partition(".")[0]

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)


@dataclass(frozen=True)
class CheckResult:
    check: Check
    message: str = ""  # why there are no points
    diagnosis: str = ""  # the known mistake that gives the same numbers
    trial: Trial | None = None  # the simplest one that failed

    @property
    def passed(self) -> bool:
        return not self.message

    @property
    def points(self) -> int:
        return self.check.points if self.passed else 0


@dataclass(frozen=True)
class ExerciseResult:
    exercise: Exercise
    checks: tuple[CheckResult, ...]
    attempted: bool = True

    @classmethod
    def zero(cls, exercise: Exercise, reason: str) -> ExerciseResult:
        return cls(exercise, tuple(CheckResult(check, reason) for check in exercise.checks))

    @property
    def points(self) -> int:
        return sum(result.points for result in self.checks)

    @property
    def state(self) -> str:
        if not self.attempted:
            return "not attempted"
        passed = sum(result.passed for result in self.checks)
        return "solved" if passed == len(self.checks) else f"{passed} of {len(self.checks)} checks"


def difference(reply: Reply, expected: Reply) -> str:
    """What tells a reply from the expected one: shape, dtype, NaN, value; "" if nothing does."""
    for time_number, (value, wanted) in enumerate(zip(reply.values, expected.values, strict=True)):
        if problem := _array_difference(value, wanted):
            return problem if time_number == 0 else f"called again on the same input: {problem}"
    for name, wanted_gradient in expected.gradients.items():
        gradient = reply.gradients[name]
        if wanted_gradient is None:
            if gradient is not None and (gradient != 0).any():  # NaN is not zero either
                return f"a gradient flows into {name}"
        elif gradient is None:
            return f"no gradient reaches {name} (was it detached, or turned into a number?)"
        elif problem := _array_difference(gradient, wanted_gradient):
            return f"gradient by {name}: {problem}"
    return ""


def _array_difference(value: np.ndarray, wanted: np.ndarray) -> str:
    if value.shape != wanted.shape:
        return f"shape {list(value.shape)}, expected {list(wanted.shape)}"
    if value.dtype != wanted.dtype:
        return f"dtype {value.dtype}, expected {wanted.dtype}"
    judged = ~np.isnan(wanted)
    for test, what in ((np.isnan, "NaN"), (np.isinf, "infinite")):
        if (bad := judged & test(value)).any():
            return f"{what}{_position(bad)}"
    error = np.where(judged, np.abs(value - wanted), 0.0)
    allowed = ATOL[str(wanted.dtype)] + RTOL[str(wanted.dtype)] * np.abs(wanted)
    if (error[judged] <= allowed[judged]).all():
        return ""
    worst = error == error.max()
    index = tuple(np.argwhere(worst)[0])
    return f"{_instead(float(value[index]), float(wanted[index]))}{_position(worst)}"


def _instead(value: float, wanted: float) -> str:
    """Both numbers, with as many digits as it takes to tell them apart."""
    pairs = ((f"{value:.{digits}g}", f"{wanted:.{digits}g}") for digits in (4, 8, 17))
    return next(f"{a} instead of {b}" for a, b in pairs if a != b)


def _position(where: np.ndarray) -> str:
    return f" at {[int(i) for i in np.argwhere(where)[0]]}" if where.ndim else ""


def draws(seed: int, exercise: Exercise, check: Check) -> np.random.Generator:
    """The randomness of one check: it depends on no other check, nor on how many numbers those draw."""
    return np.random.default_rng([seed, *f"{exercise.name}/{check.name}".encode()])


class InProcess:
    """An answer called right here: for the learner's own notebook, and for mutants."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def prepare(self) -> None:
        pass

    def clock(self) -> float:
        return 0.0  # the learner's own time

    def ask(self, call: Call, deadline: float = np.inf) -> Reply:
        try:
            content = worker.perform(self.function, call.request(""))
        except (Exception, SystemExit) as error:
            raise answer_error(worker.describe(error)) from None
        return Reply.parse(call, content)


def answer_error(info: dict[str, str], note: str = "") -> AnswerError:
    """What `worker.describe` put into words, as the error it is; `note` is what else is known about it."""
    if info["type"] == "NotImplementedError":
        return AnswerError("not attempted", attempted=False)
    words = [info["message"]] if info["type"] == worker.Refused.__name__ else [info["type"], info["message"]]
    where = f" ({info['where']})" if info["where"] else ""
    return AnswerError(plain(": ".join(word for word in words if word) + where + note))


def plain(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Text from a submission made harmless: one line, no control or invisible characters, cut to a length."""
    text = " ".join(text[: 4 * limit].split())
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def judge(exercise: Exercise, answer: Answer, seed: int) -> ExerciseResult:
    """Run every check. One that ends the answer's process, or takes too long, costs no other check's points."""
    trials: dict[Check, list[Trial]] = {}
    stopped: dict[Check, str] = {}
    end = answer.clock() + exercise.limits.exercise_seconds
    for check in exercise.checks:
        trials[check] = []
        try:
            answer.prepare()
            deadline = min(end, answer.clock() + exercise.limits.check_seconds)
            for call in check.calls(draws(seed, exercise, check)):
                trials[check].append(_try(answer, call, exercise.reference(call), deadline))
        except AnswerStopped as error:
            stopped[check] = str(error)
    every = list(chain.from_iterable(trials.values()))
    mistake = diagnose(exercise, every)
    results = []
    for check in exercise.checks:
        failed = next((trial for trial in trials[check] if trial.problem), None)
        if failed:
            results.append(CheckResult(check, failed.problem, mistake or diagnose(exercise, trials[check]), failed))
        else:
            results.append(CheckResult(check, stopped.get(check, "")))
    attempted = not every or any(trial.attempted for trial in every)
    return ExerciseResult(exercise, tuple(results), attempted)


def _try(answer: Answer, call: Call, expected: Reply, deadline: float = np.inf) -> Trial:
    try:
        reply = answer.ask(call, deadline)
    except AnswerError as error:
        return Trial(call, expected, None, str(error), error.attempted)
    return Trial(call, expected, reply, difference(reply, expected))


def diagnose(exercise: Exercise, trials: list[Trial]) -> str:
    """The first known mistake that behaves as the answer did in every one of the trials; "" if there is none."""
    if not any(trial.problem for trial in trials) or not all(trial.attempted for trial in trials):
        return ""
    for mutant in exercise.mutants:
        if all(_behaves_alike(_try(InProcess(mutant), trial.call, trial.expected), trial) for trial in trials):
            return inspect.cleandoc(mutant.__doc__ or "").replace("\n", " ")
    return ""


def _behaves_alike(one: Trial, other: Trial) -> bool:
    """Whether both are right or both are wrong, and with the same numbers."""
    if one.reply is None or other.reply is None:
        return one.reply is other.reply
    return bool(one.problem) == bool(other.problem) and _same(one.reply, other.reply)


def _same(a: Reply, b: Reply) -> bool:
    pairs = zip((*a.values, *a.gradients.values()), (*b.values, *b.gradients.values()), strict=True)
    return all(
        x is y
        if x is None or y is None
        else x.shape == y.shape
        and x.dtype == y.dtype
        and np.allclose(x, y, rtol=RTOL["float32"], atol=ATOL["float32"], equal_nan=True)
        for x, y in pairs
    )
