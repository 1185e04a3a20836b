"""Exercises, and the checks by which an answer to one is judged.

An answer is a function or a class. A check sends it inputs and compares what comes back, as plain numbers, with what a
reference says; where the answer runs (in the learner's notebook, in a sandboxed process) is no concern of a check.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import numpy as np
import torch

from pgcourse.grading import worker
from pgcourse.grading.worker import Code

RTOL = {"float32": 1e-4, "float64": 1e-9}
ATOL = {"float32": 1e-5, "float64": 1e-10}
MESSAGE_LENGTH = 300

Rng = np.random.Generator
Found = str | tuple[str, str]  # what is wrong, "" if nothing is; and the words of the mistake that it is
Case = Mapping[str, Any] | Callable[[Rng], Mapping[str, Any]]
Edit = tuple[str, str]  # old, new
Change = str | Edit | list[Edit]


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

    `gradient` names the arguments by which the result is differentiated. `times` calls the answer more than once on the
    same arguments. `through` is an expression of the answer `f` and the arguments, to be taken in place of a call.
    `keep` leaves the result where the answer runs, under that name; `on` and `method` call a method of what was kept.
    """

    args: Mapping[str, Any]
    gradient: tuple[str, ...] = ()
    times: int = 1
    through: str = ""
    arrays: str = "torch"
    keep: str = ""
    on: str = ""
    method: str = ""

    @property
    def precision(self) -> str:
        """That of its arrays: "float64" only if all of them are."""
        arrays = [arg for arg in self.args.values() if isinstance(arg, np.ndarray) and arg.dtype.kind == "f"]
        return "float64" if arrays and all(arg.dtype == np.float64 for arg in arrays) else "float32"

    def request(self, entry: str) -> dict[str, Any]:
        names = list(self.args)
        return {
            "do": "call",
            "entry": entry,
            "names": names,
            "args": [worker.pack(arg) for arg in self.args.values()],
            "gradient": [names.index(name) for name in self.gradient],
            "times": self.times,
            "through": self.through,
            "arrays": self.arrays,
            "keep": self.keep,
            "on": self.on,
            "method": self.method,
        }


@dataclass(frozen=True)
class Reply:
    """What came back: a value for every time, and the last one's gradients. A gradient that does not exist is None.

    In an expected reply NaN stands for "anything goes here", and the gradient None for "none, or zero".
    """

    values: tuple[Any, ...]
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, call: Call, content: dict[str, Any]) -> Reply:
        """The reply in a worker's message. Raises `AnswerStopped` for one that does not fit the call."""
        try:
            values, gradients = content["values"], content["gradients"]
            if len(values) != call.times or len(gradients) != (0 if call.keep else len(call.gradient)):
                raise ValueError("not as many values as asked for")
            return cls(
                tuple(worker.unpack(value) for value in values),
                {
                    name: None if gradient is None else worker.decode(gradient)
                    for name, gradient in zip(call.gradient, gradients, strict=True)
                },
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise AnswerStopped(f"protocol violation: {error}") from None


class AnswerError(Exception):
    """The answer raised, or returned what cannot be sent. The next call may go well.

    `kind` is what was raised, without the place.
    """

    def __init__(self, message: str, attempted: bool = True, kind: str = "") -> None:
        super().__init__(message)
        self.attempted = attempted
        self.kind = kind or message


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
class Player:
    """An answer that the parent's own code asks, call by call: for what needs an environment."""

    answer: Answer
    deadline: float = np.inf

    def make(self, name: str, *args: Any) -> None:
        """Call the answer, such as a class, and keep there what it returns."""
        self.answer.ask(Call({str(i): arg for i, arg in enumerate(args)}, keep=name), self.deadline)

    def call(self, name: str, method: str, *args: Any) -> Any:
        """The result of a method of what was kept; None where it returns nothing."""
        call = Call({str(i): arg for i, arg in enumerate(args)}, on=name, method=method)
        return self.answer.ask(call, self.deadline).values[0]

    def tell(self, name: str, method: str, *args: Any) -> None:
        """Call a method of what was kept; what it returns, if anything, stays there."""
        call = Call({str(i): arg for i, arg in enumerate(args)}, on=name, method=method, keep=f"{name}.{method}")
        self.answer.ask(call, self.deadline)


@dataclass(frozen=True)
class Trial:
    """One call of a check: what was expected, what came back, and what is wrong with it ("" if nothing is).

    `expected` is None where a rule of the check's own judges. `diagnosis` is what such a rule takes it for.
    """

    call: Call
    expected: Reply | None
    reply: Reply | None
    problem: str
    attempted: bool = True
    error: str = ""  # what the answer raised, if it did
    diagnosis: str = ""

    @property
    def comparable(self) -> bool:
        """Whether there are numbers where some are expected, right or wrong: not an error, another shape, or NaN."""
        if self.reply is None or self.expected is None:
            return self.reply is not None
        pairs = zip(self.reply.values, self.expected.values, strict=True)
        return not any(value_difference(value, wanted, (0.0, np.inf)) for value, wanted in pairs)


@dataclass(frozen=True)
class Check:
    """One property of a right answer, worth its points wholly or not at all.

    Args:
        points: what it is worth.
        hint: shown to who fails it.
        cases: what the answer is asked, the simplest first: arguments by name, or functions of a generator that draw
            them. Lists of numbers are arrays of floats, of booleans masks; whole numbers are `np.array([0, 1])`. Floats
            are sent as float32. A case without an argument is `{}`.
        dtype: "as input": each case is asked in float32 and in float64, and the result's dtype must be that.
        leaves_input_alone: the arguments are not changed, and a second call with them gives the same.
        gradient: the arguments by which the derivative of the result is judged, too.
        no_gradient: the arguments through which none may flow, although autograd watches them.
        leading_axes: arguments that may have any number of axes before the last ones: each case is asked also with an
            axis more, and with the first one taken away.
        through: an expression of the answer `f` and the arguments, taken in place of `f(*arguments)`, of the answer and
            of the reference alike: `"f(3).act(obs)"`.
        items: the keys of a dictionary that are judged, all of them together.
        near: how far a number of an item may be from that of a known mistake to be taken for it.
        tolerance: relative and absolute; by default those of `RTOL` and `ATOL`.
        accept: judges the value in the reference's place: `accept(value, arguments, rng)` says what is wrong, or "".
            With a pair it also says which of the exercise's mistakes this is, in that mistake's words.
        play: judges the answer by calls of its own: `play(player, rng)` says what is wrong, or "", or such a pair. See
            `Player`.
        requires: what else a right answer does, in words, for the notebook's text.
    """

    points: int
    hint: str
    cases: Sequence[Case] = ()
    dtype: str = ""
    leaves_input_alone: bool = False
    gradient: tuple[str, ...] = ()
    no_gradient: tuple[str, ...] = ()
    leading_axes: tuple[str, ...] = ()
    through: str = ""
    items: tuple[str, ...] = ()
    near: Mapping[str, float] = field(default_factory=dict)
    tolerance: tuple[float, float] | None = None
    accept: Callable[[Any, Mapping[str, Any], Rng], Found] | None = None
    play: Callable[[Player, Rng], Found] | None = None
    requires: str = ""
    name: str = ""

    def requirements(self) -> Iterator[str]:
        """What a right answer must do besides its values, for the notebook's text."""

        def names(some: Sequence[str]) -> str:
            return " and ".join(f"`{name}`" for name in some)

        if self.dtype == "as input":
            yield "float64 arguments give a float64 result, float32 arguments a float32 one"
        if self.leaves_input_alone:
            yield "the arguments stay as they are"
        if self.gradient:
            yield f"the result can be differentiated by {names(self.gradient)}"
        if self.no_gradient:
            yield f"no gradient flows into {names(self.no_gradient)}"
        if self.leading_axes:
            yield f"{names(self.leading_axes)} may have any number of leading axes"
        if self.requires:
            yield self.requires


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people really write: a change of the solution, and the words for who has made it."""

    words: str
    change: Change


@dataclass(frozen=True)
class Exercise:
    """An exercise. Made by the functions of `pgcourse.grading.kinds`, one a file of pgcourse/exercises/.

    `name` is as in `check(name, answer)`, and `entry` what the answer is called in a notebook. The reference is what a
    right answer computes, in float64. Difficulty and importance run from 1 to 5. `start` is what is wrong in the
    function that a learner is given to repair. Of a `secret` exercise nobody is shown what was expected. `shows` says
    of each of the `choices` what whatever it names looks like, or of how a problem begins what is wrong with it.
    """

    kind: str
    title: str
    goal: str
    entry: str
    reference: Callable[..., Any]
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]
    minutes: int
    difficulty: int
    importance: int
    arrays: str = "torch"
    start: Change = ""
    choices: tuple[str, ...] = ()
    shows: Mapping[str, str] = field(default_factory=dict)
    evidence: Callable[[], Any] | None = None
    limits: Limits = Limits()
    name: str = ""

    @property
    def chapter(self) -> str:
        return self.name.partition(".")[0]

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def secret(self) -> bool:
        return self.kind in ("diagnose", "predict")

    @property
    def arguments(self) -> list[str]:
        return list(inspect.signature(self.reference).parameters)

    def calls(self, check: Check, rng: Rng) -> Iterator[Call]:
        """What a check asks an answer, with all randomness from the generator."""
        order = self.arguments
        for case in check.cases:
            given = dict(case(rng) if callable(case) else case)
            args = {name: as_argument(given.pop(name)) for name in order if name in given}
            if not check.through and list(args) != order[: len(args)]:
                raise ValueError(f"{self.name}, check {check.name!r}: a case without {set(order) - set(args)}")
            args |= {name: as_argument(value) for name, value in given.items()}
            for variant in _axes(args, check.leading_axes):
                for dtype in ("float32", "float64") if check.dtype else ("float32",):
                    yield Call(
                        {name: cast(value, dtype) for name, value in variant.items()},
                        gradient=(*check.gradient, *check.no_gradient),
                        times=2 if check.leaves_input_alone else 1,
                        through=check.through,
                        arrays=self.arrays,
                    )

    @torch.enable_grad()  # in a learner's notebook it may be off
    def expected(self, call: Call, check: Check) -> Reply:
        """What the reference says, in float64."""
        args = {name: cast(value, "float64") for name, value in call.args.items()}
        leaves: dict[str, torch.Tensor] = {}
        if self.kind == "gradient" or any(one.gradient for one in self.checks):
            args = {name: _tensors(value) for name, value in args.items()}
            leaves = {name: args[name].requires_grad_() for name in check.gradient}
        else:
            args = {name: value.value() if isinstance(value, Code) else value for name, value in args.items()}
        if call.through:
            value = worker.run(call.through, {"f": self.reference, **args})
        else:
            value = self.reference(*args.values())
        gradients: dict[str, np.ndarray | None] = dict.fromkeys(call.gradient)
        if leaves:
            total = worker.weighted_sum(value)
            assert total is not None, f"{self.name}: the reference has no gradient"
            for name, gradient in zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True):
                gradients[name] = gradient.numpy()
        return Reply((_plain_value(value),) * call.times, gradients)


def as_argument(value: Any) -> Any:
    """An argument as it is declared, as it is sent: a list of numbers is an array of floats, one of booleans a mask."""
    if isinstance(value, list) and (array := np.asarray(value)).dtype.kind in "ifb":
        return array if array.dtype.kind == "b" else array.astype(np.float64)
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, np.generic):
        return value.item()
    return Code(value.source, {k: as_argument(v) for k, v in value.scope.items()}) if isinstance(value, Code) else value


def cast(value: Any, dtype: str) -> Any:
    """Arrays of floats in that dtype; all else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(dtype)
    if isinstance(value, Code):
        return Code(value.source, {name: cast(x, dtype) for name, x in value.scope.items()})
    return value


def _axes(args: dict[str, Any], names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    yield args
    if names:
        yield {name: value[None] if name in names else value for name, value in args.items()}
        if min(args[name].ndim for name in names) > 1:
            yield {name: value[0] if name in names else value for name, value in args.items()}


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return value.value(_tensors) if isinstance(value, Code) else value


def _plain_value(value: Any) -> Any:
    """A reference's result as it looks when it comes from an answer."""
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if isinstance(value, dict):
        return {name: _plain_value(item) for name, item in value.items()}
    return [_plain_value(item) for item in value] if isinstance(value, list | tuple) else value


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
    def zero(cls, exercise: Exercise, reason: str, attempted: bool = True) -> ExerciseResult:
        return cls(exercise, tuple(CheckResult(check, reason) for check in exercise.checks), attempted)

    @property
    def points(self) -> int:
        return sum(result.points for result in self.checks)

    @property
    def state(self) -> str:
        if not self.attempted:
            return "not attempted"
        passed = sum(result.passed for result in self.checks)
        return "solved" if passed == len(self.checks) else f"{passed} of {len(self.checks)} checks"


def difference(reply: Reply, expected: Reply, check: Check, dtype: str = "float32") -> str:
    """What tells a reply from the expected one: shape, dtype, NaN, value; "" if nothing does.

    `dtype` is that of the input: its precision is asked for, and with `check.dtype` itself.
    """
    tolerance = check.tolerance or (RTOL[dtype], ATOL[dtype])
    for time_number, (value, wanted) in enumerate(zip(reply.values, expected.values, strict=True)):
        if check.items:
            if not isinstance(value, dict):
                return "not a dictionary"
            if (name := _one_name_for_all(value)) and 2 * len({*map(str, wanted.values())}) >= len(wanted):
                return f"{name!r} for all of them: who gives all one name tells nothing apart"
            if all(not value_difference(value.get(key), wanted[key], tolerance) for key in check.items):
                return ""
            of_several = f"not all of {', '.join(map(str, check.items))} are right"
            return of_several if len(check.items) > 1 else f"{check.items[0]} is not right"
        if problem := value_difference(value, wanted, tolerance, dtype if check.dtype else ""):
            if time_number:
                return f"called again on the same input: {problem}"
            # Such a check bears the gradient's name, and its numbers would be taken for those of one.
            return f"the value, before any gradient: {problem}" if expected.gradients else problem
    for name, wanted_gradient in expected.gradients.items():
        gradient = reply.gradients[name]
        if wanted_gradient is None:
            if gradient is not None and (gradient != 0).any():  # NaN is not zero either
                return f"a gradient flows into {name}"
        elif gradient is None:
            return f"no gradient reaches {name} (was it detached, or turned into a number?)"
        elif problem := value_difference(gradient, wanted_gradient, tolerance):
            return f"gradient by {name}: {problem}"
    return ""


def _one_name_for_all(value: dict[Any, Any]) -> str:
    """The name that is given to each of three things or more; "" if there are several, or these are numbers."""
    first = next(iter(value.values()), "")
    return first if len(value) > 2 and isinstance(first, str) and all(each == first for each in value.values()) else ""


def value_difference(value: Any, wanted: Any, tolerance: tuple[float, float], dtype: str = "") -> str:
    """What tells a value from the wanted one, whatever they are made of."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return f"{_named(value)}, expected a dictionary"
        if set(value) != set(wanted):
            return f"the keys {sorted(map(str, value))}, expected {sorted(map(str, wanted))}"
        pairs = [(repr(key), value[key], wanted[key]) for key in wanted]
    elif isinstance(wanted, list):
        if not isinstance(value, list) and not (isinstance(value, np.ndarray) and value.ndim):
            return f"{_named(value)}, expected {len(wanted)} values"
        if len(value) != len(wanted):
            return f"{len(value)} values, expected {len(wanted)}"
        pairs = [(_which(i), value[i], one) for i, one in enumerate(wanted)]
    elif wanted is None or isinstance(wanted, str):
        return "" if type(value) is type(wanted) and value == wanted else f"{value!r} instead of {wanted!r}"
    else:
        return _number_difference(value, np.asarray(wanted), tolerance, dtype)
    differences = ((name, value_difference(one, other, tolerance, dtype)) for name, one, other in pairs)
    return next((f"{name}: {problem}" for name, problem in differences if problem), "")


def _number_difference(given: Any, wanted: np.ndarray, tolerance: tuple[float, float], dtype: str) -> str:
    try:
        value = np.asarray(given)
    except ValueError:
        return "lists of unequal lengths, expected an array"
    if value.dtype.kind not in "fiub":
        return f"{_named(given)}, expected {'an array' if wanted.ndim else 'a number'}"
    if value.shape != wanted.shape:
        return f"shape {list(value.shape)}, expected {list(wanted.shape)}"
    if dtype and (not isinstance(given, np.ndarray) or str(value.dtype) != dtype):
        return (
            f"dtype {value.dtype}, expected {dtype}" if isinstance(given, np.ndarray) else f"{_named(given)}, no array"
        )
    value, wanted = value.astype(np.float64), wanted.astype(np.float64)
    judged = ~np.isnan(wanted)
    for test, what in ((np.isnan, "NaN"), (np.isinf, "infinite")):
        if (bad := judged & test(value) & (value != wanted)).any():
            return f"{what}{_position(bad)}"
    with np.errstate(invalid="ignore"):
        error = np.where(judged & (value != wanted), np.abs(value - wanted), 0.0)
    rtol, atol = tolerance
    allowed = atol + rtol * np.where(np.isinf(wanted), 0.0, np.abs(wanted))  # a share of infinity would allow all
    if (error[judged] <= allowed[judged]).all():
        return ""
    worst = error == error.max()
    index = tuple(np.argwhere(worst)[0])
    return f"{_instead(float(value[index]), float(wanted[index]), atol)}{_position(worst)}"


def _named(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {list(value.shape)}"
    return {"NoneType": "None", "str": "text"}.get(type(value).__name__, f"a {type(value).__name__}")


def _which(index: int) -> str:
    """One of several values: "value 1: 1 instead of 3" could be read as what it is."""
    first = ("first", "second", "third", "fourth", "fifth", "sixth")
    return f"{first[index]} value" if index < len(first) else f"value number {index + 1}"


def _instead(value: float, wanted: float, atol: float) -> str:
    """Both numbers, with as many digits as it takes to tell them apart. What is left of a 0 by rounding is 0."""
    nothing = min(atol, ATOL["float32"] * max(abs(value), abs(wanted)))
    value, wanted = (0.0 if abs(x) <= nothing else x for x in (value, wanted))
    pairs = ((f"{value:.{digits}g}", f"{wanted:.{digits}g}") for digits in (4, 8, 17))
    return next(f"{a} instead of {b}" for a, b in pairs if a != b)


def _position(where: np.ndarray) -> str:
    return f" at {[int(i) for i in np.argwhere(where)[0]]}" if where.ndim else ""


def draws(seed: int, exercise: Exercise, check: Check) -> np.random.Generator:
    """The randomness of one check: it depends on no other check, nor on how many numbers those draw."""
    return np.random.default_rng([seed, *f"{exercise.name}/{check.name}".encode()])


def judging(seed: int, exercise: Exercise, check: Check) -> np.random.Generator:
    """The randomness of its `accept`, which does not depend on how many numbers its cases draw."""
    return draws(seed, exercise, check).spawn(1)[0]


class InProcess:
    """An answer called right here: for the learner's own notebook, and for known mistakes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.objects: dict[str, Any] = {}

    def prepare(self) -> None:
        pass

    def clock(self) -> float:
        return 0.0  # the learner's own time

    def ask(self, call: Call, deadline: float = np.inf) -> Reply:
        try:
            content = worker.perform(self.function, call.request(""), self.objects)
        except (Exception, SystemExit) as error:
            raise answer_error(worker.describe(error)) from None
        return Reply.parse(call, content)


def answer_error(info: dict[str, str], note: str = "") -> AnswerError:
    """What `worker.describe` put into words, as the error it is; `note` is what else is known about it."""
    if info["type"] == "NotImplementedError":
        return AnswerError("not attempted", attempted=False)
    words = [info["message"]] if info["type"] == worker.Refused.__name__ else [info["type"], info["message"]]
    where = f" ({info['where']})" if info["where"] else ""
    kind = plain(": ".join(word for word in words if word))
    return AnswerError(plain(kind + where + note), kind=kind)


def plain(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Text from a submission made harmless: one line, no control or invisible characters, cut to a length."""
    text = " ".join(text[: 4 * limit].split())
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


Mutants = Mapping[str, Callable[..., Any]]  # by their words; what a repair starts with by `START`
START = ""


def judge(exercise: Exercise, answer: Answer, seed: int) -> ExerciseResult:
    """Run every check on an answer. Of many answers to one draw: `Examination`."""
    return Examination(exercise, seed).judge(answer)


@dataclass(frozen=True)
class Question:
    """A call of a check, and what is expected; None where a rule of the check's own judges."""

    check: Check
    call: Call
    expected: Reply | None


class Examination:
    """An exercise with one draw of its inputs, for any number of answers.

    What is expected, and what the known mistakes reply, is computed when it is first needed and then kept. `mutants`
    are the known mistakes; by default those of the course's solutions, if these are at hand.
    """

    def __init__(self, exercise: Exercise, seed: int, mutants: Mutants | None = None) -> None:
        self.exercise = exercise
        self.seed = seed
        self.questions: dict[str, list[Question]] = {}
        self._mutants = mutants
        self._mistaken: dict[tuple[str, str, int], Trial] = {}

    @property
    def mutants(self) -> Mutants:
        if self._mutants is None:
            from pgcourse.grading.solutions import mutants  # which needs this module

            self._mutants = mutants(self.exercise)
        return self._mutants

    def ask(self, check: Check) -> list[Question]:
        """What a check asks an answer."""
        if check.name not in self.questions:
            calls = self.exercise.calls(check, draws(self.seed, self.exercise, check))
            self.questions[check.name] = [
                Question(check, call, None if check.accept else self.exercise.expected(call, check)) for call in calls
            ]
        return self.questions[check.name]

    def judge(self, answer: Answer) -> ExerciseResult:
        """Run every check. After one that ends the answer's process, or takes too long, the next ones still run."""
        exercise = self.exercise
        trials: dict[str, list[Trial]] = {check.name: [] for check in exercise.checks}
        stopped: dict[str, str] = {}
        end = np.inf
        for check in exercise.checks:
            questions = self.ask(check)
            try:
                answer.prepare()
                end = min(end, answer.clock() + exercise.limits.exercise_seconds)
                deadline = min(end, answer.clock() + exercise.limits.check_seconds)
                trials[check.name].extend(self._try(answer, question, deadline) for question in questions)
                if check.play:
                    trials[check.name].append(self._play(answer, check, deadline))
            except AnswerStopped as error:
                stopped[check.name] = str(error)
        every = list(chain.from_iterable(trials.values()))
        if every and not any(trial.attempted for trial in every):
            return ExerciseResult.zero(exercise, "not attempted", attempted=False)
        if all(not trial.problem for trial in every) and not stopped:
            return ExerciseResult(exercise, tuple(CheckResult(check) for check in exercise.checks))
        if not stopped and START in self.mutants and self._alike(START, trials):
            words = "not attempted: this does what the function did as it was given"
            return ExerciseResult.zero(exercise, words, attempted=False)
        mistake = "" if stopped else self.diagnose(trials)
        results = []
        for check in exercise.checks:
            failed = next((trial for trial in trials[check.name] if trial.problem), None)
            if failed:
                own = mistake or self.diagnose(trials, check.name)
                results.append(CheckResult(check, failed.problem, own, failed))
            else:
                # A function to repair does most things right as it is given: points are for a repaired one.
                waits = "counts once the other checks pass" if exercise.kind == "repair" else ""
                results.append(CheckResult(check, stopped.get(check.name, waits)))
        return ExerciseResult(exercise, tuple(results))

    def diagnose(self, trials: Mapping[str, Sequence[Trial]], check: str = "") -> str:
        """The words of the known mistake that behaves as the answer did in every one of the trials, by check.

        With `check`, of the one that does so in that check and in all others that it fails: the answer may have
        another mistake besides, which shows elsewhere. Where no known mistake is like it everywhere, what is unfinished
        or breaks in other checks is left out of it. "" if there is none, or more than one: then the trials do not tell
        which it is. Of a wrong diagnosis, where no known mistake is like it, what the exercise `shows`.
        """
        every = [trial for name, some in trials.items() for trial in some if check in ("", name)]
        if not any(trial.problem for trial in every) or not all(trial.attempted for trial in every):
            return ""
        if said := {trial.diagnosis for trial in every if trial.diagnosis}:
            return said.pop() if len(said) == 1 else ""
        found = self._like(trials, check)
        if check and not found:
            finished = {
                name: [trial if name == check or trial.comparable else None for trial in some]
                for name, some in trials.items()
            }
            found = self._like(finished, check)
        if check and not found:
            return self._unlike(trials, check)
        return found[0] if len(found) == 1 else ""

    def _like(self, trials: Mapping[str, Sequence[Trial | None]], check: str) -> list[str]:
        """The words of the known mistakes that behave like these trials, of other checks than `check` where they fail.

        A trial that is None is not compared.
        """
        return [
            words
            for words in self.mutants
            if words != START
            and all(
                self._alike(words, {name: some})
                for name, some in sorted(trials.items(), key=lambda item: item[0] != check)
                if check in ("", name) or self._fails(words, name)
            )
        ]

    def _unlike(self, trials: Mapping[str, Sequence[Trial]], check: str) -> str:
        """What the exercise `shows` of a problem, or of a diagnosis that is wrong: what that would look like.

        Of a diagnosis it is the first wrong item, or one that is missing, or called what is not to choose from.
        """
        shows = self.exercise.shows
        items = next(one.items for one in self.exercise.checks if one.name == check)
        for trial in trials[check] if shows else ():
            if words := next((shows[start] for start in shows if trial.problem.startswith(start)), ""):
                return words
            given: Any = trial.reply.values[-1] if trial.reply and items else None
            true: Any = trial.expected.values[-1] if trial.expected and items else {}
            for item in items if isinstance(given, dict) and true else ():
                said = given.get(item)
                if item not in given:
                    return f"{item} is missing: it needs its name, too."
                if not isinstance(said, str) or said not in self.exercise.choices:
                    return f"{item}: {plain(repr(said), 80)} is none of the names to choose from."
                if said != true[item]:
                    return f"{item}: {shows[said]}"
        return ""

    def _fails(self, words: str, check: str) -> bool:
        """Whether a known mistake fails a check, as far as that is not for the check itself to say."""
        return any(self._mistake(words, check, number).problem for number in range(len(self.questions.get(check, ()))))

    def _alike(self, words: str, trials: Mapping[str, Sequence[Trial | None]]) -> bool:
        """Whether a known mistake behaves as the answer did, in every trial. What was played is not played again."""
        return all(
            number < len(asked := self.questions[name])
            and _behaves_alike(self._mistake(words, name, number), trial, asked[number].check)
            for name, some in trials.items()
            for number, trial in enumerate(some)
            if trial
        )

    def _mistake(self, words: str, check: str, number: int) -> Trial:
        key = (words, check, number)
        if key not in self._mistaken:
            question = self.questions[check][number]
            with warnings.catch_warnings():  # not the learner's, who would read them
                warnings.simplefilter("ignore")
                self._mistaken[key] = self._try(InProcess(self.mutants[words]), question, np.inf)
        return self._mistaken[key]

    def _try(self, answer: Answer, question: Question, deadline: float) -> Trial:
        check, call, expected = question.check, question.call, question.expected
        try:
            reply = answer.ask(call, deadline)
        except AnswerError as error:
            return Trial(call, expected, None, str(error), error.attempted, error.kind)
        if expected is not None:
            return Trial(call, expected, reply, plain(difference(reply, expected, check, call.precision)))
        assert check.accept
        if deadline == np.inf:  # a known mistake: what it says is compared, and that is enough
            return Trial(call, None, reply, "")
        rng = judging(self.seed, self.exercise, check)
        problem, diagnosis = self._found(check, check.accept(reply.values[-1], call.args, rng))
        return Trial(call, None, reply, plain(problem), diagnosis=diagnosis)

    def _play(self, answer: Answer, check: Check, deadline: float) -> Trial:
        assert check.play
        try:
            found = check.play(Player(answer, deadline), draws(self.seed, self.exercise, check))
        except AnswerError as error:
            return Trial(Call({}), None, None, str(error), error.attempted, error.kind)
        problem, diagnosis = self._found(check, found)
        return Trial(Call({}), None, Reply(()), plain(problem), diagnosis=diagnosis)

    def _found(self, check: Check, found: Found) -> tuple[str, str]:
        problem, diagnosis = (found, "") if isinstance(found, str) else found
        if diagnosis and diagnosis not in [mistake.words for mistake in self.exercise.mistakes]:
            raise ValueError(f"{self.exercise.name}, check {check.name!r}: not one of its mistakes: {diagnosis}")
        return problem, diagnosis


def _behaves_alike(one: Trial, other: Trial, check: Check) -> bool:
    """Whether both are right or both are wrong, and with the same numbers where these are judged.

    Where a rule of the check's own judges some `items` of a dictionary, only these are compared, as `near` as it says.
    """
    expected = one.expected
    if one.reply is None or other.reply is None:
        return one.reply is other.reply and one.error == other.error
    if expected is None:
        both = zip(one.reply.values, other.reply.values, strict=True)
        return all(_same_items(a, b, check) for a, b in both)
    if bool(one.problem) != bool(other.problem):
        return False
    pairs = [*zip(one.reply.values, other.reply.values, expected.values, strict=True)]
    pairs += [(one.reply.gradients[name], other.reply.gradients[name], x) for name, x in expected.gradients.items()]
    return all(_same(a, b, wanted, dtype=bool(check.dtype)) for a, b, wanted in pairs)


def _same_items(a: Any, b: Any, check: Check) -> bool:
    if not check.items or not isinstance(a, dict) or not isinstance(b, dict):
        return _same(a, b, None)
    return all(_same(a.get(item), b.get(item), None, check.near.get(item, 0.0)) for item in check.items)


def _same(a: Any, b: Any, wanted: Any, near: float = 0.0, dtype: bool = False) -> bool:
    """Whether two values are the same, padding aside: where anything is right, nothing is told apart.

    With `dtype`, theirs are compared, too: elsewhere the same mistake may be made in another precision.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        parts = wanted if isinstance(wanted, dict) else {}
        return a.keys() == b.keys() and all(_same(a[key], b[key], parts.get(key), near, dtype) for key in a)
    if isinstance(a, list) != isinstance(b, list):  # a tuple of numbers is taken for the array that it could be
        a, b = (list(x) if isinstance(x, np.ndarray) and x.ndim else x for x in (a, b))
    if isinstance(a, list) and isinstance(b, list):
        each = wanted if isinstance(wanted, list) and len(wanted) == len(a) else [None] * len(a)
        return len(a) == len(b) and all(_same(*three, near, dtype) for three in zip(a, b, each, strict=True))
    if a is None or b is None or isinstance(a, str | dict | list) or isinstance(b, str | dict | list):
        return type(a) is type(b) and a == b
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape or (dtype and isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and x.dtype != y.dtype):
        return False
    judged = np.ones(x.shape, bool)
    if isinstance(wanted, np.ndarray) and wanted.shape == x.shape and wanted.dtype.kind == "f":
        judged = ~np.isnan(wanted)
    return np.allclose(x[judged], y[judged], rtol=RTOL["float32"], atol=max(near, ATOL["float32"]), equal_nan=True)
