"""`pgcourse watch`: a kept policy acts, as a GIF or in a window."""

from __future__ import annotations

from pathlib import Path

import click
import torch
from gymnasium.error import DependencyNotInstalled
from rich.console import Console

from pgcourse import film
from pgcourse.lab import RecordError, StudyError, personal
from pgcourse.lab.errors import is_ours


@click.command(
    epilog="""\b
Examples:
  pgcourse watch ppo-Pendulum-v1-1
  pgcourse watch ppo-Pendulum-v1-1 --seed 3 --deterministic --out best.gif
  pgcourse watch ppo-Pendulum-v1-1 --checkpoint 0        before it has learned anything
  pgcourse watch a2c-cartpole/A2C --episodes 2 --window"""
)
@click.argument("name", metavar="RUN | STUDY/VARIANT")
@click.option("--seed", type=int, metavar="S", help="Whose policy.  [default: the first]")
@click.option(
    "--checkpoint",
    "at",
    type=click.FloatRange(0, 1),
    metavar="PART",
    default=1.0,
    help="After which part of the training: 0, or one of the study's stages.  [default: 1, the final policy]",
)
@click.option("--episodes", type=click.IntRange(min=1), metavar="N", default=1, show_default=True)
@click.option("--deterministic", is_flag=True, help="Take the most probable action; without, actions are sampled.")
@click.option("--window", is_flag=True, help="Show it in a window instead of writing a file.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.gif",
    help="[default: in the run's folder; a study's, here]",
)
@click.option(
    "--most-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    default=1_000_000,
    show_default=True,
    help="Of the file: pictures are made smaller until they fit.",
)
def watch(
    name: str,
    seed: int | None,
    at: float,
    episodes: int,
    deterministic: bool,
    window: bool,
    out: Path | None,
    most_bytes: int,
) -> None:
    """Watch a kept policy act, as a GIF or in a window.

    Gymnasium's environments draw themselves; the arm, walking robots, steered machines and MinAtar's games are drawn
    here.
    """
    if out is not None and out.suffix.lower() != ".gif":
        raise click.UsageError(f"--out writes a GIF: {out} must end in .gif")
    if window and out is not None:
        raise click.UsageError("--window writes no file: leave out --out")
    torch.set_num_threads(1)
    screen = Console()
    try:
        policy = personal.policy(name, at)
        if window:
            returns = film.show(policy, seed, episodes, deterministic)
        else:
            with screen.status("Playing and drawing"):
                shot = film.shoot(policy, seed, episodes, deterministic)
                content = film.gif(shot, most_bytes)
            returns = shot.returns
            out = out or personal.picture(name, policy.seeds[0] if seed is None else seed, at)
            _write(out, content)
    except (StudyError, RecordError, ValueError, DependencyNotInstalled) as error:
        if not is_ours(error):
            raise
        raise click.ClickException(str(error)) from None
    shown = "  ".join(f"{each:,.4g}" for each in returns)
    screen.print(f"return{'s' * (len(returns) > 1)}: {shown}", highlight=False)
    if not window:
        screen.print(f"{out}  ({len(shot.frames)} pictures, {len(content):,} bytes)", highlight=False, soft_wrap=True)


def _write(out: Path, content: bytes) -> None:
    try:
        out.write_bytes(content)
    except OSError as error:
        raise click.ClickException(str(error)) from None
