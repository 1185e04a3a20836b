"""Feedback in the learner's notebook: which checks an answer passes and which known mistake it resembles."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from IPython.display import display

import pgcourse
from pgcourse.grading import rehearsal
from pgcourse.grading.checks import EXERCISES
from pgcourse.grading.exercise import Exercise, ExerciseResult, InProcess, Trial, judge

PUBLIC_SEED = 0
SOLUTIONS = Path(pgcourse.__file__).resolve().parents[1] / "solutions"


class CheckFailed(AssertionError):
    """In continuous integration: an answer that was attempted is wrong."""


def check(name: str, answer: Callable[..., Any], strict: bool | None = None) -> None:
    """Check an answer on a public draw of inputs and display what was found, with hints and a diagnosis.

        check("03.reward_to_go", reward_to_go)

    This is for you and proves nothing: it runs in your own notebook. A wrong answer is displayed and does not raise,
    so that the notebook runs from top to bottom. With `strict` it raises; so it does by default where the environment
    variable CI is set to anything but "", "0" or "false", as continuous-integration services do. An answer that was
    not attempted never raises.

    Raises:
        ValueError: there is no exercise of that name.
        TypeError: the answer is not a function.
        CheckFailed: the answer is wrong, and `strict`.
    """
    result = examine(name, answer)
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
    if name not in EXERCISES:
        raise ValueError(f"no exercise is called {name!r}; there are: {', '.join(EXERCISES)}")
    if not callable(answer):
        raise TypeError(f"check({name!r}, ...) takes the function itself, not what it returned: {answer!r:.80}")
    return judge(EXERCISES[name], InProcess(answer), PUBLIC_SEED)


def warning(result: ExerciseResult) -> str:
    """Where the grader would give fewer points than this result, and why; "" where it would not.

    It is asked only where there are points to lose, and where a notebook's cells are known.
    """
    if not result.points or not rehearsal.executed_cells():
        return ""
    entry = result.exercise.entry
    answer, missing = rehearsal.rebuilt(entry)
    if answer is None:
        reason = missing.get(entry, f"no cell defines {entry}")
        return f"The grader would give no points: it takes what the cells define as {entry}, and {reason}."
    graded = judge(result.exercise, InProcess(answer), PUBLIC_SEED)
    if graded.points >= result.points:
        return ""
    passed = {one.check.name for one in result.checks if one.passed}
    lost = next(one for one in graded.checks if not one.passed and one.check.name in passed)
    name = re.search(r"name '(\w+)' is not defined", lost.message)
    why = f" ({missing.get(name[1], f'no cell defines {name[1]}')})" if name else ""
    return (
        f"The grader would give {graded.points} of {graded.exercise.points} points: it starts from what the cells "
        f"define as {entry}, without what else this kernel knows. There, {lost.check.name}: {lost.message}{why}."
    )


# As in `pgcourse.course.claims`; neither of the two imports the other.
COLORS = {"✓": "#2da44e", "✗": "#e5534b"}
TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
{% macro mark(sign) %}<b style="color:{{ colors[sign] }}">{{ sign }}</b>{% endmacro %}
<p><b>{{ title }}</b>{% if not attempted %} Fill in <code>{{ entry }}</code> and check again.{% endif %}</p>
{% if warning %}
<p>⚠ {{ warning }}</p>
{% endif %}
{% for diagnosis in diagnoses %}
<p>{{ diagnosis }}</p>
{% endfor %}
{% if attempted %}
<table>
{% for one in checks %}
<tr>
<td>{{ mark("✓" if one.passed else "✗") }}</td>
<td style="text-align:left">{{ one.check.name }}</td>
<td>{{ one.points }}/{{ one.check.points }}</td>
<td style="text-align:left">{{ one.message }}
{% if not one.passed %}
{% if one.trial %}
<details{% if one is sameas failed[0] %} open{% endif %}><summary>smallest failing case</summary>
<pre>{{ case(one.trial) }}</pre></details>
{% endif %}
<details><summary>hint</summary>{{ one.check.hint }}</details>
{% endif %}
</td>
</tr>
{% endfor %}
</table>
{% endif %}
{% if solution %}
<details><summary>the course's own</summary><pre>{{ solution }}</pre></details>
{% endif %}
""")


class Feedback:
    """A result as the learner sees it: HTML in a notebook, plain text in a terminal."""

    def __init__(self, result: ExerciseResult, warning: str = "") -> None:
        self.result = result
        self.warning = warning  # where the grade would be another
        self.entry = result.exercise.entry
        self.title = f"{result.exercise.name}: {result.state}, {result.points} of {result.exercise.points} points."
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
            case=case,
            solution="" if self.failed else reference_solution(self.result.exercise),
        )

    def __repr__(self) -> str:
        if not self.result.attempted:
            return f"{self.title} Fill in {self.entry} and check again."
        lines = [self.title, *([f"⚠ {self.warning}"] if self.warning else []), *self.diagnoses]
        for one in self.result.checks:
            mark = "✓" if one.passed else "✗"
            lines.append(f"  {mark} {one.check.name} ({one.points}/{one.check.points})  {one.message}".rstrip())
            if one in self.failed[:1]:
                lines += textwrap.indent(case(one.trial), "      ").splitlines() if one.trial else []
                lines.append(f"      hint: {one.check.hint}")
        if not self.failed and (solution := reference_solution(self.result.exercise)):
            lines += ["The course's own:", solution]
        return "\n".join(lines)


def case(trial: Trial) -> str:
    """A call as a small table: the arguments, what came back, what was expected."""
    rows = [(name, _show(value)) for name, value in trial.call.args.items()]
    if trial.reply:
        rows += [("yours", _show(trial.reply.values[-1])), ("expected", _show(trial.expected.values[-1], nan="·"))]
        for name, wanted in trial.expected.gradients.items():
            rows += [(f"∂/∂{name}, yours", _show(trial.reply.gradients[name])), ("expected", _show(wanted))]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _show(value: np.ndarray | float | None, nan: str = "nan") -> str:
    if value is None:
        return "none"
    if not isinstance(value, np.ndarray):
        return f"{value:.4g}"
    with np.printoptions(precision=3, suppress=True, threshold=40, edgeitems=2, nanstr=nan, linewidth=1000):
        return " ".join(np.array2string(value, separator=", ").split())


def reference_solution(exercise: Exercise) -> str:
    """The function in the course's own solution notebook; "" where that is not at hand."""
    for path in SOLUTIONS.glob(f"{exercise.chapter}_*.ipynb"):
        # nbformat would take longer to be imported than all else that a check does.
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and f"def {exercise.entry}(" in source:
                return re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", source, flags=re.M).rstrip()
    return ""
