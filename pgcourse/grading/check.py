"""Feedback in the learner's notebook: which checks an answer passes and which known mistake it resembles."""

from __future__ import annotations

import difflib
import os
import re
import textwrap
import time
from collections.abc import Callable
from typing import Any

import jinja2
import numpy as np
from IPython.display import display
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from pgcourse.grading import progress, rehearsal, solutions
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Call, Examination, Exercise, ExerciseResult, InProcess, Reply, Trial
from pgcourse.grading.worker import Code

PUBLIC_SEED = 0
SLOW = 0.5  # part of the time limit, beyond which an answer may miss it on another computer


class CheckFailed(AssertionError):
    """In continuous integration: an answer that was attempted is wrong."""


def check(name: str, answer: Callable[..., Any], strict: bool | None = None) -> None:
    """Check an answer on a public draw of inputs and display what was found, with hints and a diagnosis.

        check("03.reward_to_go", reward_to_go)

    This is for you and proves nothing: it runs in your own notebook. A wrong answer is displayed and does not raise,
    so that the notebook runs from top to bottom. With `strict` it raises; so it does by default where the environment
    variable CI is set to anything but "", "0" or "false", as continuous-integration services do. An answer that was
    not attempted never raises. What was found is noted for `pgcourse progress`.

    Raises:
        ValueError: there is no exercise of that name.
        TypeError: the answer is not a function.
        CheckFailed: the answer is wrong, and `strict`.
    """
    result = examine(name, answer)
    if result.attempted:
        progress.note(result)
    display(Feedback(result, warning(result)))
    if strict is None:
        strict = os.environ.get("CI", "").lower() not in ("", "0", "false")
    if strict and result.attempted and result.state != "solved":
        raise CheckFailed(str(Feedback(result)))


def solved(name: str, answer: Callable[..., Any]) -> bool:
    """Whether an answer passes all checks of the public draw. Displays nothing; raises as `check`."""
    return examine(name, answer).state == "solved"


def examine(name: str, answer: Callable[..., Any]) -> ExerciseResult:
    """The result behind `check`."""
    exercise = find(name)
    if not callable(answer):
        raise TypeError(f"check({name!r}, ...) takes the function itself, not what it returned: {answer!r:.80}")
    return Examination(exercise, PUBLIC_SEED).judge(InProcess(answer))


def find(name: str) -> Exercise:
    """The exercise of that name. Raises ValueError, with names that are like it."""
    try:
        return EXERCISES[name]
    except KeyError:
        names = list(EXERCISES)
        alike = difflib.get_close_matches(name, names, n=3) or [one for one in names if one[:2] == name[:2]] or names
        raise ValueError(f"no exercise is called {name!r}; there are: {', '.join(alike)}") from None


def evidence(name: str) -> Any:
    """What an exercise is about: draws or prints it.

    Raises:
        ValueError: there is no exercise of that name, or it shows nothing.
    """
    exercise = find(name)
    if exercise.evidence is None:
        raise ValueError(f"the exercise {name} has nothing to show")
    return exercise.evidence()


def hint(name: str, number: int = 1) -> None:
    """Print the first hint of an exercise, a nudge, or the second one, which is nearly the answer.

    Raises:
        ValueError: no such exercise, or no such hint.
    """
    hints = find(name).hints
    if number not in range(1, len(hints) + 1):
        raise ValueError(f"hints of {name} are numbered 1 to {len(hints)}, not {number}")
    print(hints[number - 1])
    if number < len(hints):
        print(f"(Nearly the answer: hint({name!r}, {number + 1}))")


def warning(result: ExerciseResult) -> str:
    """Where the grader would give fewer points than this result, or might, and why; "" where it would not.

    It is asked only where there are points to lose, and where a notebook's cells are known.
    """
    if not result.points or not rehearsal.executed_cells():
        return ""
    entry = result.exercise.entry
    answer, missing = rehearsal.rebuilt(entry)
    if answer is None:
        reason = missing.get(entry, f"no cell defines {entry}")
        return f"The grader would give no points: it takes what the cells define as {entry}, and {reason}."
    timed = Timed(answer)
    graded = Examination(result.exercise, PUBLIC_SEED).judge(timed)
    if graded.points >= result.points:
        return slowness(result.exercise, timed.seconds)
    passed = {one.check.name for one in result.checks if one.passed}
    lost = next(one for one in graded.checks if not one.passed and one.check.name in passed)
    name = re.search(r"name '(\w+)' is not defined", lost.message)
    why = f" ({missing.get(name[1], f'no cell defines {name[1]}')})" if name else ""
    return (
        f"The grader would give {graded.points} of {graded.exercise.points} points: it starts from what the cells "
        f"define as {entry}, without what else this kernel knows. There, {lost.check.name}: {lost.message}{why}."
    )


def slowness(exercise: Exercise, seconds: list[float]) -> str:
    """What to say of an answer that took so many seconds of CPU time for each check; "" where that is fast enough."""
    limit, slowest = exercise.limits.check_seconds, int(np.argmax(seconds))
    if seconds[slowest] <= SLOW * limit:
        return ""
    took = f"{seconds[slowest]:.1f} s for {exercise.checks[slowest].name}"
    return f"The grader stops an answer after {limit:g} s of computing for a check. This one took {took}."


class Timed(InProcess):
    """An answer, with the seconds of CPU time that it took for each check."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.seconds: list[float] = []

    def prepare(self) -> None:
        self.seconds.append(0.0)

    def ask(self, call: Call, deadline: float = np.inf) -> Reply:
        begin = time.process_time()
        try:
            return super().ask(call, deadline)
        finally:
            self.seconds[-1] += time.process_time() - begin


FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.S)
PARAGRAPHS = MarkdownIt("commonmark", {"html": False})
WORDS = MarkdownIt("zero", {"html": False}).enable("backticks")  # the rest of Markdown is common in formulas


def marked(text: str) -> Markup:
    """A line of ours as HTML, with `code` in it."""
    return Markup(WORDS.renderInline(text))


def paragraphs(text: str) -> Markup:
    """Markdown as HTML. Formulas stay as they are: the notebook typesets them in what is displayed."""
    place = "\ufffc"
    html = PARAGRAPHS.render(FORMULA.sub(place, text))
    for formula in FORMULA.findall(text):
        html = html.replace(place, str(escape(formula)), 1)
    return Markup(html)


# As in `pgcourse.course.claims`; neither of the two imports the other.
COLORS = {"✓": "#2da44e", "✗": "#e5534b"}
TEMPLATES = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
TEMPLATES.filters |= {"marked": marked, "paragraphs": paragraphs}
TEMPLATE = TEMPLATES.from_string("""\
{% set top = "text-align:left;vertical-align:top" %}
{% set fold = "margin:.2em 0 .4em 1.2em" %}
{% macro mark(sign) %}<b style="color:{{ colors[sign] }}">{{ sign }}</b>{% endmacro %}
<p><b>{{ title }}</b>{% if not attempted %} Fill in <code>{{ entry }}</code> and check again.{% endif %}</p>
{% if warning %}
<p>⚠ {{ warning }}</p>
{% endif %}
{% for diagnosis in diagnoses %}
<p style="border-left:3px solid {{ colors["✗"] }};padding-left:.6em">{{ diagnosis | marked }}</p>
{% endfor %}
{% if attempted %}
<table>
{% for one in checks %}
<tr>
<td style="{{ top }}">{{ mark("✓" if one.passed else "✗") }}</td>
<td style="{{ top }}">{{ one.check.name }}</td>
<td style="{{ top }}">{{ one.points }}/{{ one.check.points }}</td>
<td style="{{ top }}">{{ one.message }}
{% if not one.passed %}
{% if one.trial and case(one.trial) %}
<details{% if one is sameas failed[0] %} open{% endif %}><summary>smallest failing case</summary>
<pre>{{ case(one.trial) }}</pre></details>
{% endif %}
{% if not one.diagnosis %}
<details><summary>what to look at</summary><div>{{ one.check.hint | marked }}</div></details>
{% endif %}
{% endif %}
</td>
</tr>
{% endfor %}
</table>
{% endif %}
{% if solution %}
<details><summary>the course's own answer</summary>
<div style="{{ fold }}"><pre>{{ solution }}</pre>{{ explanation | paragraphs }}</div>
</details>
{% elif hints %}
<details><summary>a nudge</summary>
<div style="{{ fold }}">{{ hints[0] | marked }}
<details><summary>nearly the answer</summary><div style="{{ fold }}">{{ hints[1] | marked }}</div></details>
</div>
</details>
{% endif %}
""")


class Feedback:
    """A result as the learner sees it: HTML in a notebook, plain text in a terminal."""

    def __init__(self, result: ExerciseResult, warning: str = "") -> None:
        self.result = result
        self.warning = warning  # where the grade would be another
        self.entry = result.exercise.entry
        self.title = f"{result.exercise.name}: {result.state}, {result.points} of {result.exercise.points} points."
        self.solved = result.state == "solved"
        self.failed = [one for one in result.checks if not one.passed]
        self.diagnoses = list(dict.fromkeys(one.diagnosis for one in self.failed if one.diagnosis))

    def _repr_html_(self) -> str:
        return TEMPLATE.render(
            colors=COLORS,
            title=self.title,
            warning=self.warning,
            entry=self.entry,
            attempted=self.result.attempted,
            checks=self.result.checks,
            failed=self.failed,
            diagnoses=self.diagnoses,
            case=self._case,
            solution=solutions.source(self.result.exercise) if self.solved else "",
            explanation=solutions.explanation(self.result.exercise) if self.solved else "",
            hints=self.result.exercise.hints if self.result.attempted else (),
        )

    def _case(self, trial: Trial) -> str:
        return case(trial, self.result.exercise.secret)

    def __repr__(self) -> str:
        if not self.result.attempted:
            return f"{self.title} Fill in {self.entry} and check again."
        lines = [self.title, *([f"⚠ {self.warning}"] if self.warning else []), *self.diagnoses]
        for one in self.result.checks:
            mark = "✓" if one.passed else "✗"
            lines.append(f"  {mark} {one.check.name} ({one.points}/{one.check.points})  {one.message}".rstrip())
            if one in self.failed[:1]:
                lines += textwrap.indent(self._case(one.trial), "      ").splitlines() if one.trial else []
                lines += [] if one.diagnosis else [f"      hint: {one.check.hint}"]
        if self.solved and (solution := solutions.source(self.result.exercise)):
            lines += ["The course's own answer:", solution, solutions.explanation(self.result.exercise)]
        if not self.solved:
            lines.append(f"More help: hint({self.result.exercise.name!r})")
        return "\n".join(lines).rstrip()


def case(trial: Trial, secret: bool = False) -> str:
    """A call as a small table: the arguments, what came back, what was expected unless that is a secret."""
    rows = [(name, _show(value)) for name, value in trial.call.args.items()]
    if trial.reply and trial.reply.values:
        rows.append(("yours", _show(trial.reply.values[-1])))
        if trial.expected and not secret:
            rows.append(("expected", _show(trial.expected.values[-1], nan="·")))
            for name, wanted in trial.expected.gradients.items():
                rows += [(f"∂/∂{name}, yours", _show(trial.reply.gradients[name])), ("expected", _show(wanted))]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _show(value: Any, nan: str = "nan") -> str:
    if value is None:
        return "none"
    if isinstance(value, Code):
        return f"{value.source}, {', '.join(f'{name} = {_show(x)}' for name, x in value.scope.items())}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_show(item, nan)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_show(item, nan) for item in value[:20]) + ("…]" if len(value) > 20 else "]")
    if isinstance(value, str | bool):
        return repr(value)[:200]
    if not isinstance(value, np.ndarray):
        return f"{value:.4g}"
    nearly = (np.abs(value) > 0.5) & (value != np.rint(value)) & (np.abs(value - np.rint(value)) < 5e-4)
    digits = 8 if nearly.any() else 3  # 0.99999994 is not 1
    with np.printoptions(precision=digits, suppress=True, threshold=40, edgeitems=2, nanstr=nan, linewidth=1000):
        return " ".join(np.array2string(value, separator=", ").split())
