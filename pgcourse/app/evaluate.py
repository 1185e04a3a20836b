"""`pgcourse evaluate`: whole episodes of kept policies, seed by seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from gymnasium.error import DependencyNotInstalled
from rich.console import Console
from rich.table import Column, Table

from pgcourse.algorithms import TrainedPolicy
from pgcourse.algorithms import evaluate as play
from pgcourse.envs import name_of
from pgcourse.lab import RecordError, StudyError, personal
from pgcourse.lab.errors import is_ours
from pgcourse.stats import mean_interval


@click.command(
    epilog="""\b
Examples:
  pgcourse evaluate ppo-Pendulum-v1-1
  pgcourse evaluate ppo-Pendulum-v1-1 --deterministic --episodes 500 --seed 7
  pgcourse evaluate ppo-Pendulum-v1-1 --checkpoint 0        before it has learned anything
  pgcourse evaluate a2c-cartpole/A2C --json > evaluation.json"""
)
@click.argument("name", metavar="RUN | STUDY[/VARIANT]")
@click.option("--episodes", type=click.IntRange(min=1), metavar="N", default=100, show_default=True)
@click.option("--deterministic", is_flag=True, help="Take the most probable action; without, actions are sampled.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="S",
    default=0,
    show_default=True,
    help="Draws the episodes; 0: those of records.",
)
@click.option(
    "--checkpoint",
    "at",
    type=click.FloatRange(0, 1),
    metavar="PART",
    default=1.0,
    help="After which part of the training: 0, or one of the study's stages.  [default: 1, the final policy]",
)
@click.option(
    "--max-episode-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cut episodes after so many steps.  [default: the environment's own time limit]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
def evaluate(
    name: str,
    episodes: int,
    deterministic: bool,
    seed: int,
    at: float,
    max_episode_steps: int | None,
    as_json: bool,
) -> None:
    """Play whole episodes with kept policies, every seed's.

    RUN is a run of `pgcourse train`; STUDY one of those in results/ that keep their policies.
    """
    torch.set_num_threads(1)  # faster for tensors of this size, and repeatable
    screen = Console(stderr=as_json)
    evaluations = []
    try:
        for each, policy in personal.policies(name, at).items():
            with screen.status(f"{each}: {episodes} episodes of each seed"):
                evaluations.append(Evaluation.of(each, policy, episodes, deterministic, seed, at, max_episode_steps))
            show(evaluations[-1], screen)
    except (StudyError, RecordError, ValueError, DependencyNotInstalled) as error:
        if not is_ours(error):
            raise
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"evaluations": [each.to_json() for each in evaluations]}, indent=2))


@dataclass(frozen=True)
class Evaluation:
    """What kept policies give: `seeds` has a row a seed: seed, mean_return, sd (between its episodes), lowest, length.

    A run of one's own is a study of one variant, which then has no name here.
    """

    study: str
    variant: str
    env: str
    episodes: int
    deterministic: bool
    seed: int
    checkpoint: float  # the part of the training after which the policies were kept
    max_episode_steps: int | None  # after which episodes were cut, beside the environment's own time limit
    seeds: pd.DataFrame

    @classmethod
    def of(
        cls,
        name: str,
        trained: TrainedPolicy,
        episodes: int,
        deterministic: bool,
        seed: int,
        at: float,
        max_episode_steps: int | None = None,
    ) -> Evaluation:
        """Play `episodes` episodes with every seed's policy. Raises as `pgcourse.evaluate`."""
        played = play(trained, episodes, deterministic, seed, max_episode_steps).groupby("seed", sort=False)
        seeds = played.agg(
            mean_return=("return", "mean"), sd=("return", "std"), lowest=("return", "min"), length=("length", "mean")
        )
        study, _, variant = name.partition("/")
        env = name_of(trained.env)
        variant = variant.removesuffix(f"/{env}")
        return cls(study, variant, env, episodes, deterministic, seed, at, max_episode_steps, seeds.reset_index())

    @property
    def title(self) -> str:
        return f"{self.study}/{self.variant}".rstrip("/")

    @property
    def actions(self) -> str:
        return "the most probable action in every state" if self.deterministic else "actions sampled, as in training"

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % t-interval of the mean return over seeds; a single seed has none."""
        if len(self.seeds) < 2:
            return None
        _, low, high = mean_interval(self.seeds["mean_return"].to_numpy())
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `sd` is null where there was one episode."""
        rows = self.seeds.astype(object).where(self.seeds.notna(), None).to_dict("records")
        names = ("study", "variant", "env", "episodes", "deterministic", "seed", "checkpoint", "max_episode_steps")
        return {name: getattr(self, name) for name in names} | {"seeds": rows}


def show(evaluation: Evaluation, screen: Console) -> None:
    """A table with a row for every seed, and the mean over seeds with its interval below."""
    episodes = f"{evaluation.episodes} episode{'s' * (evaluation.episodes > 1)} of each seed"
    screen.print(
        f"[bold]{evaluation.title}[/bold]  {evaluation.env}, {episodes}",
        highlight=False,
    )
    screen.print(evaluation.actions, highlight=False)
    if evaluation.max_episode_steps is not None:
        screen.print(f"episodes cut after {evaluation.max_episode_steps:,} steps", highlight=False)
    if evaluation.checkpoint < 1:
        screen.print(f"policies as they were after {evaluation.checkpoint:.3g} of their training", highlight=False)
    table = Table("seed", *(Column(name, justify="right") for name in ("mean return", "sd", "lowest", "mean length")))
    for seed, *numbers in evaluation.seeds.itertuples(index=False):
        table.add_row(str(seed), *("" if np.isnan(number) else f"{number:,.2f}" for number in numbers))
    screen.print(table)
    if evaluation.interval is None:
        screen.print("one seed: no interval", highlight=False)
    else:
        mean, (low, high) = evaluation.seeds["mean_return"].mean(), evaluation.interval
        said = f"mean return over {len(evaluation.seeds)} seeds: {mean:,.2f}, 95 % interval {low:,.2f} to {high:,.2f}"
        screen.print(said, highlight=False, soft_wrap=True)
