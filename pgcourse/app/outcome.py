"""The outcome of a run of one's own: a summary in words, and its learning curves as a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console

from pgcourse import film, plots
from pgcourse.envs import close
from pgcourse.lab import Results
from pgcourse.lab.results import late_returns
from pgcourse.stats import mean_interval


def show(screen: Console, results: Results) -> None:
    """Say what came out, draw the learning curves, and tell how to see the policies act."""
    study = results.study
    for line in summary(results):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        figure = draw(results, study.folder / "curves.png")
    except (ValueError, OSError) as error:
        screen.print(f"no figure: {error}", markup=False, highlight=False, soft_wrap=True)
    else:
        screen.print(f"figure: {figure}", markup=False, highlight=False, soft_wrap=True)
    with suppress(film.CannotDraw):
        close(film.stage(study.env, study.environments[study.env].arguments).world)
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
