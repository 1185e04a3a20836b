"""`pgcourse train`: a command for each algorithm, made from its dataclass, and what is said of a finished run."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure
from rich.console import Console

from pgcourse import film, plots
from pgcourse.algorithms import ALGORITHMS, Architecture
from pgcourse.lab import Results, Study, StudyError, console, personal
from pgcourse.lab.results import late_returns
from pgcourse.lab.studies import DEFAULTS
from pgcourse.stats import mean_interval

SECTION = re.compile(r"^Options:\n((?:    .*\n|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def option_texts(kind: type) -> dict[str, str]:
    """What the docstring says of each option of a dataclass; where it has no section "Options:", that of its base."""
    for each in kind.__mro__:
        if section := SECTION.search(inspect.cleandoc(each.__doc__ or "") + "\n"):
            return {
                name: " ".join(text.split()) for names, text in ENTRY.findall(section[1]) for name in names.split(", ")
            }
    raise ValueError(f"the docstring of {kind.__name__} has no section 'Options:'")


def one_line(kind: type) -> str:
    """The first sentence of a class's docstring, as far as its first colon."""
    return re.split(r"[.:]\s", " ".join(inspect.getdoc(kind).split()) + " ")[0]  # type: ignore[union-attr]


class Sizes(click.ParamType):
    """Numbers with commas between them: "64,64"; none at all: ""."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if not isinstance(value, str):
            return tuple(value)
        try:
            return tuple(int(size) for size in value.split(",") if value.strip())
        except ValueError:
            self.fail(f"{value!r} is no list of sizes such as 64,64", param, ctx)


class Setting(click.Option):
    """An option of a dataclass."""

    def __init__(self, field: dataclasses.Field, text: str) -> None:
        flag, default = field.name.replace("_", "-"), field.default
        declared = f"--{flag}/--no-{flag}" if isinstance(default, bool) else f"--{flag}"
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        kind = Sizes() if isinstance(default, tuple) else type(default)
        super().__init__([declared, field.name], type=kind, default=shown, show_default=True, help=text)


class TrainCommand(click.Command):
    """`pgcourse train ALGORITHM`: its help shows the options in groups."""

    def __init__(self, name: str) -> None:
        self.kind = ALGORITHMS[name]
        self.groups = {
            "Run": run_options(),
            f"Hyper-parameters of {self.kind.__name__}": settings(self.kind),
            "Networks": settings(Architecture),
        }
        super().__init__(
            name,
            params=[option for group in self.groups.values() for option in group],
            callback=self.train,
            help="\n\n".join(paragraphs(self.kind)),
            short_help=one_line(self.kind),
            epilog=(
                f"\b\nExamples:\n  pgcourse train {name} --env CartPole-v1 --seeds 10 --steps 200000\n"
                f"  pgcourse train {name} --env Acrobot-v1 --gamma 0.98 --hidden 32,32 --activation relu --name try"
            ),
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        help_option = self.get_help_option(ctx)
        for title, group in self.groups.items():
            shown = [*group, help_option] if title == "Run" and help_option else group
            with formatter.section(title):
                formatter.write_dl([record for option in shown if (record := option.get_help_record(ctx))])

    def train(self, name: str | None, **values: Any) -> None:
        try:
            algorithm, network = (
                kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
                for kind in (self.kind, Architecture)
            )
            study = personal.begin(personal.declaration(algorithm, network, **values), name)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        finish(study)


def run_options() -> list[click.Option]:
    """The options of a run, whatever is trained."""
    many = click.IntRange(min=1)
    return [
        click.Option(["--env"], required=True, metavar="ID", help="One of our worlds, or any Gymnasium id."),
        click.Option(
            ["--seeds"],
            type=many,
            metavar="N",
            default=10,
            show_default=True,
            help="Independent trainings, side by side.",
        ),
        click.Option(
            ["--steps"],
            type=many,
            metavar="N",
            default=100_000,
            show_default=True,
            help="Environment steps of each seed.",
        ),
        click.Option(["--name"], help="Of the run, kept in runs/NAME.  [default: ALGORITHM-ENV-1, -2, ...]"),
        click.Option(
            ["--workers"],
            type=many,
            metavar="N",
            default=1,
            show_default=True,
            help="Processes that share the seeds. The last digits of the numbers depend on it.",
        ),
        click.Option(
            ["--checkpoint-steps"],
            type=many,
            metavar="N",
            default=DEFAULTS["checkpoint_steps"],
            show_default=True,
            help="Steps of each seed after which the state is kept, and the worlds start anew.",
        ),
        click.Option(
            ["--evaluation-episodes"],
            type=click.IntRange(min=2),
            metavar="N",
            default=DEFAULTS["evaluation_episodes"],
            show_default=True,
            help="Episodes that each final policy plays.",
        ),
    ]


def settings(kind: type) -> list[click.Option]:
    """An option for every field of a dataclass."""
    texts = option_texts(kind)
    return [Setting(field, texts.get(field.name, "")) for field in dataclasses.fields(kind)]


def paragraphs(kind: type) -> Iterator[str]:
    """A class's docstring as far as its options, formulas left as they are."""
    text = inspect.cleandoc(kind.__doc__ or "")
    for paragraph in re.split(r"^(?:Options|Metrics)\b", text, maxsplit=1, flags=re.MULTILINE)[0].strip().split("\n\n"):
        yield f"\b\n{paragraph}" if paragraph.startswith(" ") else paragraph


def resume(name: str) -> None:
    """`pgcourse train --resume NAME`."""
    try:
        study = personal.find(name)
    except StudyError as error:
        raise click.ClickException(str(error)) from None
    finish(study)


def finish(study: Study) -> None:
    """Compute what is missing of a run, say what came out, draw its curves; ends the command where that fails."""
    import torch

    torch.set_num_threads(1)  # as in the processes that compute: what they left is compared with this one
    screen = Console()
    try:
        if status := console.train(screen, study):
            raise SystemExit(status)
        results = personal.results(study)
    except (StudyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for line in summary(results):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        figure = draw(results, study.folder / "curves.png")
    except ValueError as error:
        screen.print(f"no figure: {error}", markup=False, highlight=False, soft_wrap=True)
    else:
        screen.print(f"figure: {figure}", markup=False, highlight=False, soft_wrap=True)
    with suppress(film.CannotDraw):
        film.stage(study.env)
        screen.print(f"see it act: pgcourse watch {study.name}", markup=False, highlight=False)


def summary(results: Results) -> Iterator[str]:
    """The mean return at the end of training, and that of the final policies."""
    study = results.study
    try:
        late = late_returns(results.curves, results.curves["step"].max()).to_numpy()
    except ValueError as error:
        yield f"training:    {error}"
    else:
        yield f"training:    mean return {interval(late)}; episodes of the last tenth of the steps"
    evaluated = results.evaluations["mean_return"].to_numpy()
    yield (
        f"evaluation:  mean return {interval(evaluated)}; {study.evaluation_episodes} episodes of each final policy, "
        "actions sampled"
    )


def interval(values: Any) -> str:
    """The mean over seeds with its 95 % t-interval, to two digits of the interval's half-width."""
    if len(values) < 2:
        return f"{values.mean():,.4g} (one seed: no interval)"
    estimate, low, high = mean_interval(values)
    half = float(high - estimate)
    places = max(0, 1 - math.floor(math.log10(half))) if half > 0 else 1
    numbers = [f"{number:,.{places}f}" for number in (estimate, half, low, high)]
    return "{} ± {} (95 % interval over {n} seeds: {} to {})".format(*numbers, n=len(values))


def draw(results: Results, path: Path) -> Path:
    """The learning curves of a run, as a PNG file.

    Raises:
        ValueError: a seed has ended no episode, so that there is no curve.
    """
    late_returns(results.curves, results.curves["step"].max())
    figure = Figure()  # no window's, whatever this machine has
    plots.learning_curves(results.curves, title=results.study.title, ax=figure.subplots())
    figure.savefig(path)
    return path
