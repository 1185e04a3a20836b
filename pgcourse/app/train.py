"""`pgcourse train`: a command for each algorithm, made from its dataclass."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

import click


class Algorithms(click.Group):
    """A command for every algorithm; torch is not imported before one is looked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from pgcourse.algorithms import ALGORITHMS

        return list(ALGORITHMS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return TrainCommand(name) if name in self.list_commands(ctx) else None


@click.group(
    cls=Algorithms,
    invoke_without_command=True,
    subcommand_metavar="ALGORITHM [OPTION]...",
    epilog="""\b
Examples:
  pgcourse train ppo --env Pendulum-v1 --seeds 10 --steps 200000
  pgcourse train a2c --env LunarLander-v3 --workers 2 --hidden 128,128 --activation relu
  pgcourse train --resume ppo-Pendulum-v1-1""",
)
@click.option("--resume", metavar="NAME", help="Go on with the run of this name.")
@click.pass_context
def train(context: click.Context, resume: str | None) -> None:
    """Train agents of your own, several seeds at once.

    pgcourse train ALGORITHM --help shows all hyper-parameters with their defaults. A run is kept in runs/NAME: what it
    computes, learning curves, final policies, a figure. One that is stopped loses at most what came after its last
    checkpoint: the same command goes on.
    """
    if resume is not None and context.invoked_subcommand:
        raise click.UsageError("--resume goes on with a run as it was begun: without an algorithm")
    if resume is not None:
        go_on(resume)
    elif not context.invoked_subcommand:
        click.echo(context.get_help())


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
        from pgcourse.algorithms import ALGORITHMS, Architecture

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
        from pgcourse.algorithms import Architecture
        from pgcourse.app.finish import finish
        from pgcourse.lab import personal

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
    from pgcourse.lab.studies import DEFAULTS

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


def go_on(name: str) -> None:
    """`pgcourse train --resume NAME`."""
    from pgcourse.app.finish import finish
    from pgcourse.lab import StudyError, personal

    try:
        study = personal.find(name)
    except StudyError as error:
        raise click.ClickException(str(error)) from None
    finish(study)
