"""`pgcourse train`: a command for each algorithm, made from the options that its dataclass declares."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from pgcourse.lab import Study

# A line for each, so that the list of algorithms waits for none of them.
SUMMARIES = {
    "reinforce": "REINFORCE, the Monte Carlo policy gradient",
    "a2c": "Advantage actor-critic, synchronous",
    "natural": "The natural gradient",
    "trpo": "Trust region policy optimisation",
    "ppo": "Proximal policy optimisation",
    "recurrent-ppo": "PPO with a memory",
    "dqn": "Deep Q-learning on discrete or discretised actions",
}


LARGEST = 10**12  # of whatever is counted


class Algorithms(click.Group):
    """A command for every algorithm, ours by name and anybody's as module:Class; made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        from pgcourse.algorithms import find

        try:
            return TrainCommand(name, find(name))
        except ValueError as error:
            raise click.UsageError(str(error), ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Algorithms"):
            formatter.write_dl([*SUMMARIES.items(), ("MODULE:CLASS", "One of your own: see docs/adding.md")])


@click.group(
    cls=Algorithms,
    invoke_without_command=True,
    subcommand_metavar="ALGORITHM [OPTION]...",
    epilog="""\b
Examples:
  pgcourse train ppo --env Pendulum-v1 --seeds 10 --steps 200000
  pgcourse train a2c --env LunarLander-v3 --workers 2 --hidden 128,128 --activation relu
  pgcourse train mine:MyPPO --env CartPole-v1
  pgcourse train ppo --env mine:Mine --env-arg gravity=5 --env-arg max_episode_steps=200
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


def go_on(name: str) -> None:
    """`pgcourse train --resume NAME`."""
    from pgcourse.lab import personal
    from pgcourse.lab.studies import StudyError

    try:
        study = personal.find(name)
    except StudyError as error:
        raise click.ClickException(str(error)) from None
    finish(study)


def finish(study: Study) -> None:
    """Compute what is missing of a run, say what came out, draw its curves; ends the command where that fails."""
    import torch
    from rich.console import Console

    from pgcourse.app.blocks import compute_run
    from pgcourse.app.outcome import show
    from pgcourse.lab import personal
    from pgcourse.lab.studies import StudyError

    torch.set_num_threads(1)  # as in the processes that compute: what they left is compared with this one
    screen = Console()
    try:
        if status := compute_run(screen, study):
            raise SystemExit(status)
        results = personal.results(study)
    except (StudyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    show(screen, results)


class TrainCommand(click.Command):
    """`pgcourse train ALGORITHM`: its help shows the options in groups.

    Raises:
        ValueError: an option of the algorithm has no default that could be given on the command line.
    """

    def __init__(self, name: str, kind: type) -> None:
        from pgcourse.algorithms import Architecture

        self.kinds = (kind, Architecture)
        self.groups = {
            "Run": run_options(),
            f"Hyper-parameters of {kind.__name__}": settings(kind),
            "Networks": settings(Architecture),
        }
        super().__init__(
            name,
            params=[option for group in self.groups.values() for option in group],
            callback=self.train,
            help="\n\n".join(paragraphs(kind)),
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
        from pgcourse.lab import personal
        from pgcourse.lab.errors import message

        try:
            algorithm, network = (
                kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
                for kind in self.kinds
            )
            arguments = arguments_of(values.pop("env_args"))
            study = personal.begin(personal.declaration(algorithm, network, **values, arguments=arguments), name)
        except ValueError as error:
            raise click.ClickException(message(error)) from None
        finish(study)


class Count(click.IntRange):
    """An integer, also as people write large ones: 200000, 200_000, 2e5."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and re.fullmatch(r"[0-9.]+[eE]\+?[0-9]+", value):
            number = Decimal(value)
            value = int(number) if number == number.to_integral_value() else value
        return super().convert(value, param, ctx)


class Argument(click.ParamType):
    """NAME=VALUE: a number, true, false, a list or table in JSON, else a word."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        name, sign, text = value.partition("=")
        if not (sign and name.isidentifier()):
            self.fail(f"{value!r} is not like gravity=5", param, ctx)

        def refused(number: str) -> NoReturn:
            self.fail(f"{value!r}: {number} cannot be recorded; give a finite number", param, ctx)

        def finite(number: str) -> float:
            return float(number) if math.isfinite(float(number)) else refused(number)

        try:
            given = json.loads(text, parse_constant=refused, parse_float=finite)
        except ValueError:
            given = text
        if given is None:
            self.fail(f"{value!r}: an argument that is not given is left out", param, ctx)
        return name, given


def arguments_of(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """All arguments of the environment. Raises `ValueError` for one that is given twice, or is none."""
    from pgcourse.envs.registry import require_arguments

    arguments: dict[str, Any] = {}
    for name, value in given:
        if name in arguments:
            raise ValueError(f"--env-arg {name} is given twice, {arguments[name]!r} and {value!r}: give one of them")
        arguments[name] = value
    require_arguments(arguments)
    return arguments


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


def settings(kind: type) -> list[click.Option]:
    """An option for every field of a dataclass: its type is that of the default, its help what the field declares."""
    return [_setting(kind, field) for field in dataclasses.fields(kind)]


def _setting(kind: type, field: dataclasses.Field) -> click.Option:
    default, choices = field.default, field.metadata.get("choices")
    if not isinstance(default, bool | int | float | str | tuple):
        raise ValueError(f"{kind.__name__}: {field.name} must have a number, a word or a tuple of sizes as its default")
    flag = f"--{field.name.replace('_', '-')}"
    return click.Option(
        [f"{flag}/--no{flag[1:]}" if isinstance(default, bool) else flag, field.name],
        type=click.Choice(choices) if choices else Sizes() if isinstance(default, tuple) else type(default),
        default=",".join(map(str, default)) if isinstance(default, tuple) else default,
        show_default=True,
        help=field.metadata.get("help"),
    )


def run_options() -> list[click.Option]:
    """The options of a run, whatever is trained."""
    from pgcourse.lab.studies import DEFAULTS

    def count(flag: str, default: int, help: str, least: int = 1) -> click.Option:
        kind = Count(least, LARGEST)
        return click.Option([flag], type=kind, metavar="N", default=default, show_default=True, help=help)

    return [
        click.Option(
            ["--env"],
            required=True,
            metavar="ID",
            help="One of our worlds, any Gymnasium id, or MODULE:ID or MODULE:CLASS of your own.",
        ),
        click.Option(
            ["--env-arg", "env_args"],
            type=Argument(),
            multiple=True,
            help="An argument of the environment, such as gravity=5; may be given several times.",
        ),
        count("--seeds", 10, "Independent trainings, side by side."),
        count("--steps", 100_000, "Environment steps of each seed."),
        click.Option(["--name"], help="Of the run, kept in runs/NAME.  [default: ALGORITHM-ENV-1, -2, ...]"),
        count("--workers", 1, "Processes that share the seeds. The last digits of the numbers depend on it."),
        count(
            "--checkpoint-steps",
            DEFAULTS["checkpoint_steps"],
            "Steps of each seed after which the state is kept. Worlds that cannot give theirs back start anew.",
        ),
        count("--evaluation-episodes", DEFAULTS["evaluation_episodes"], "Episodes that each final policy plays.", 2),
    ]


def paragraphs(kind: type) -> Iterator[str]:
    """A class's docstring as far as its errors, formulas left as they are."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\nRaises:")[0]
    for paragraph in text.split("\n\n"):
        yield f"\b\n{paragraph}" if paragraph.startswith(" ") else paragraph
