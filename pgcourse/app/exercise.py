"""`pgcourse exercise`: for authors of exercises."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from pgcourse.grading.catalogue import EXERCISES, path

KINDS = ("implement", "gradient", "derive", "repair", "diagnose", "predict")

TOP = '''"""{title}."""

{imports}from pgcourse.grading.kinds import Check, {kind}
{reference}
EXERCISE = {kind}({first}
    title="{title}",
    goal="What one can do afterwards, in one sentence.",
    minutes=10,
    difficulty=2,
    importance=4,
    hints=["A nudge.", "Nearly the answer."],
    checks={{
{checks}    }},
    mistakes={{
{mistakes}    }},
)
'''

NUMPY = "import numpy as np\n\n"
REFERENCE = '''

def {short}(x, gamma):
    """Σ_t γ^t x_t. Author (year), eq. 1."""
    return {formula}

'''
CHECKS = """\
        "values": Check(
            2,
            "What to look at again.",
            [{{"x": [1, 2, 4], "gamma": 0.5}}, lambda rng: {{"x": rng.normal(size=5), "gamma": rng.uniform(0.5, 0.9)}}],
{more}        ),
"""
MISTAKES = """\
        "γ is missing: a later number counts less.": ("gamma ** ", "1.0 ** "),
        "Sign flipped?": "-f(*a)",
"""
ITEMS = """\
        "{name}": Check(2, "What to look at again.", items=("a",)),
        "the other": Check(1, "What to look at again.", items=("b",)),
"""


def skeleton(name: str, kind: str) -> str:
    """The text of a new exercise's file."""
    short = name.partition(".")[2]
    title = short.replace("_", " ").capitalize()
    torch = kind == "gradient"
    if kind in ("diagnose", "predict"):
        truth = '{"a": "one fault", "b": "another"}' if kind == "diagnose" else 'lambda: {"a": 1.0, "b": 2.0}'
        last = 'choices=["one fault", "another", "a third"]' if kind == "diagnose" else 'within={"a": 0.1, "b": 0.1}'
        first = f'\n    "{short}",\n    {truth},\n    {last},'
        wrong = "'a third'" if kind == "diagnose" else "9.0"
        mistakes = f'        "a is not that.": "{{**f(), \'a\': {wrong}}}",\n'
        mistakes += f'        "b is not that.": "{{**f(), \'b\': {wrong}}}",\n'
        checks = ITEMS.format(name="the first")
        return TOP.format(
            title=title, imports="", kind=kind, reference="", first=first, checks=checks, mistakes=mistakes
        )
    formula = f"(gamma ** {'torch' if torch else 'np'}.arange(x.shape[-1]) * x).sum(-1)"
    more = '            gradient=("x",),\n' if torch else ""
    first = f"\n    {short}," + ('\n    start=("gamma ** ", "gamma * "),' if kind == "repair" else "")
    return TOP.format(
        title=title,
        imports="import torch\n\n" if torch else NUMPY,
        kind=kind,
        reference=REFERENCE.format(short=short, formula=formula),
        first=first,
        checks=CHECKS.format(more=more),
        mistakes=MISTAKES,
    )


def answer(name: str, kind: str) -> str:
    """The text of a first answer's cell."""
    short = name.partition(".")[2]
    if kind in ("diagnose", "predict"):
        body = '{"a": "one fault", "b": "another"}' if kind == "diagnose" else '{"a": 1.0, "b": 2.0}'
        return (
            f'def {short}():\n    """What each is."""\n    ### BEGIN SOLUTION\n    return {body}\n    ### END SOLUTION'
        )
    return (
        f'def {short}(x, gamma):\n    """Σ_t γ^t x_t over the last axis."""\n    ### BEGIN SOLUTION\n'
        "    t = torch.arange(x.shape[-1], dtype=x.dtype)\n    return (gamma ** t * x).sum(-1)\n    ### END SOLUTION"
    )


@click.group(
    epilog="""\b
Examples:
  pgcourse exercise list 03                   which there are
  pgcourse exercise new 05.td_residual        begin one
  pgcourse exercise test 05.td_residual       is it what it should be?"""
)
def exercise() -> None:
    """Make exercises, and test them: for authors.

    docs/adding.md explains what is in one.
    """


@exercise.command(
    "list",
    epilog="""\b
Examples:
  pgcourse exercise list
  pgcourse exercise list 03""",
)
@click.argument("chapter", required=False, metavar="[NN]")
def list_(chapter: str | None) -> None:
    """List the exercises of the course, or of one chapter.

    With kind, title, points, minutes, difficulty and importance.
    """
    try:
        listed = list(EXERCISES.values()) if chapter is None else EXERCISES.of(EXERCISES.chapter(chapter))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    table = Table("exercise", "kind", "title", "points", "min", "diff.", "imp.")
    table.columns[0].no_wrap = True
    for column in table.columns[3:]:
        column.justify = "right"
    for one in listed:
        numbers = (one.points, one.minutes, one.difficulty, one.importance)
        table.add_row(one.name, one.kind, one.title, *map(str, numbers))
    console = Console()
    console.print(table)
    minutes = sum(one.minutes for one in listed)
    console.print(
        f"{len(listed)} exercises, {sum(one.points for one in listed)} points, {minutes} minutes. "
        "diff.: difficulty, imp.: importance, both from 1 to 5.",
        highlight=False,
    )


@exercise.command(
    epilog="""\b
Examples:
  pgcourse exercise new 05.td_residual
  pgcourse exercise new 05.td_residual --kind gradient

\b
Kinds:
  implement   a function or a class
  gradient    a function that autograd differentiates
  derive      a formula found on paper
  repair      the bug in a function
  diagnose    what is wrong with each of some runs
  predict     numbers, before they are measured

\b
Where an agent learns or a configuration is tuned, begin with a copy of 03.agent or 08.configuration."""
)
@click.argument("name", metavar="NN.NAME")
@click.option("--kind", type=click.Choice(KINDS), default="implement", show_default=True, help="What is asked for.")
def new(name: str, kind: str) -> None:
    """Begin an exercise: its file, and its answer in the chapter's solution notebook.

    NN is the chapter and NAME a name in lower case. What is made is small and works; the notebook is made where there
    is none yet. Change both, then run `python -m pgcourse.grading.build` and `pgcourse exercise test NN.NAME`.
    """
    if not re.fullmatch(r"\d\d[a-z]?\.[a-z][a-z0-9_]*", name):
        raise click.ClickException(
            f"{name!r} is no name of an exercise: say the chapter and a name in lower case, such as 05.gae"
        )
    file = path(name)
    if file.exists():
        raise click.ClickException(f"there is one already: {file}. Change that file, or choose another name")
    target, text = _solution_with(name, kind)
    file.parent.mkdir(exist_ok=True)
    file.write_text(skeleton(name, kind), encoding="utf-8", newline="\n")
    target.write_text(text, encoding="utf-8", newline="\n")
    click.echo(f"{file}\n{target}\nnow: python -m pgcourse.grading.build; pgcourse exercise test {name}")


def _solution_with(name: str, kind: str) -> tuple[Path, str]:
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    from pgcourse.grading.solutions import SOLUTIONS, notebook

    chapter, _, short = name.partition(".")
    target = notebook(chapter)
    if target:
        content = nbformat.read(target, as_version=4)
    else:
        chapters = sorted((SOLUTIONS.parent / "chapters").glob(f"{chapter}_*.ipynb"))
        if not chapters:
            raise click.ClickException(
                f"there is no chapter {chapter}: no {chapter}_NAME.ipynb in {SOLUTIONS.parent / 'chapters'}. Write it "
                "first, or choose another chapter"
            )
        target = SOLUTIONS / chapters[0].name
        heading = chapters[0].stem.partition("_")[2].replace("_", " ").capitalize()
        content = new_notebook(
            cells=[
                new_markdown_cell(f"# Exercises {chapter} · {heading}", id="title"),
                new_code_cell("import torch\n\nfrom pgcourse.grading import check", id="imports"),
            ]
        )
    content.cells.append(
        new_markdown_cell("What is asked, in the author's words.", id=f"prose-{short.replace('_', '-')}")
    )
    content.cells.append(new_code_cell(answer(name, kind), id=f"answer-{short.replace('_', '-')}"))
    return target, nbformat.writes(content) + "\n"


@exercise.command(
    epilog="""\b
Examples:
  pgcourse exercise test 05.gae
  pgcourse exercise test        all of them

\b
In the table: the checks that a mistake fails, and on how many of the draws it is called by its name.
Exit status: 0 all as it should be; 1 something is not, and it is said what."""
)
@click.argument("names", nargs=-1, metavar="[NN.NAME]...")
def test(names: tuple[str, ...]) -> None:
    """Test exercises, by default all.

    The solution passes, and every known mistake fails and is called by its name, on inputs of several draws.
    """
    from pgcourse.grading.check import find
    from pgcourse.grading.table import examined, faults

    console, wrong = Console(), 0
    for name in names or list(EXERCISES):
        try:
            one = find(name)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        table = Table("mistake", "fails", "named", title=f"{name}: {one.title}", title_justify="left")
        own, found = examined(one.name)
        for mistake in found:
            table.add_row(mistake.words, ", ".join(mistake.failed), f"{mistake.named} of {len(mistake.results)}")
        console.print(table)
        for fault in faults(one, own, found):
            wrong += 1
            console.print(f"[red]✗[/red] {fault}", highlight=False)
    if wrong:
        sys.exit(1)
