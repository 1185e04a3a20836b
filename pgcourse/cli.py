"""The `pgcourse` command: one thin function per verb."""

import json
import os
import sys
from pathlib import Path

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgcourse")
def main() -> None:
    """Policy gradient methods: a course whose every number is measured."""


@main.command(
    epilog="""\b
Examples:
  pgcourse run                     all chapters, quick profile
  pgcourse run 02 variance         two chapters
  pgcourse run 02 --accept         write down what chapter 02 measured, for review
  pgcourse run --json > run.json"""
)
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")
@click.option("--profile", type=click.Choice(["quick", "full"]), default="quick", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
@click.option("--accept", is_flag=True, help="Rewrite chapters/expected/ with the numbers that were measured.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Chapters at a time.  [default: cores]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Time limit of each chapter.  [default: 600 quick, 7200 full]",
)
def run(
    chapters: tuple[str, ...], profile: str, as_json: bool, accept: bool, workers: int | None, timeout: float | None
) -> None:
    """Execute chapters and check every number they claim.

    CHAPTER is a number, a name or a path to a notebook; without one, all chapters run. Executed copies are left in
    _build/chapters, as notebooks and as web pages.
    """
    from rich.console import Console

    from pgcourse.course import report
    from pgcourse.course.runner import find_chapters, find_root

    try:
        root = find_root()
        notebooks = find_chapters(root, chapters)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    results, status = report.run(
        notebooks,
        root / "_build",
        Console(stderr=as_json),
        profile=profile,
        workers=workers,
        timeout=timeout,
        accept=accept,
    )
    if as_json:
        click.echo(json.dumps({"chapters": [result.to_json() for result in results]}, indent=2))
    sys.exit(status)


@main.command(
    epilog="""\b
Examples:
  pgcourse study list                          every study and how much of it is there
  pgcourse study reinforce-cartpole --dry-run  what would be computed
  pgcourse study reinforce-cartpole            compute what is missing
  pgcourse study a2c-cartpole --engine ray --address 10.0.0.1:6379 --checkpoints /shared/checkpoints"""
)
@click.argument("names", nargs=-1, required=True, metavar="list | NAME...")
@click.option("--dry-run", is_flag=True, help="Show the state of every run and compute nothing.")
@click.option("--refresh", is_flag=True, help="Compute again what is there, too.")
@click.option("--prune", is_flag=True, help="Delete records that no variant leads to any more.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Runs at a time.  [default: as many as fit]")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--address", help="Of a Ray cluster; without one, Ray runs on this machine.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="For the state of unfinished runs, seen by all nodes.  [default: beside the records; none with Ray]",
)
def study(
    names: tuple[str, ...],
    dry_run: bool,
    refresh: bool,
    prune: bool,
    workers: int | None,
    engine: str,
    address: str | None,
    checkpoints: Path | None,
) -> None:
    """Compute the studies declared in results/NAME/study.toml.

    A run whose record is there is not computed again. Ctrl-C keeps every finished run, and of the others what they had
    computed up to their last checkpoint.
    """
    from functools import partial

    import torch
    from rich.console import Console

    from pgcourse.lab import Checkpoints, Study, StudyError, console, engines

    if address is not None and engine != "ray":
        raise click.UsageError("--address is that of a Ray cluster: add --engine ray")
    torch.set_num_threads(1)  # as in the processes that compute: what they left is compared with this one
    screen = Console()
    try:
        if names == ("list",):
            console.overview(screen)
            return
        studies = [Study.read(name) for name in dict.fromkeys(names)]
        for each in studies:
            each.check()
        if engine == "ray":
            from pgcourse.lab.engines.ray import ray

            compute = partial(ray, address=address, workers=workers)
        else:
            compute = partial(engines.local, workers=workers)

        def kept(each: Study) -> Checkpoints | None:
            if checkpoints:
                return Checkpoints(checkpoints.resolve())
            return each.checkpoints if engine == "local" else None

        status = console.compute(
            screen,
            studies,
            compute,
            kept,
            dry_run=dry_run,
            refresh=refresh,
            prune=prune,
        )
    except (StudyError, ConnectionError, ModuleNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(status)


@main.command(
    epilog="""\b
Examples:
  pgcourse reproduce                        the first iterations of every committed run
  pgcourse reproduce a2c-cartpole --full    every run of one study, to its end
  pgcourse reproduce --json > verdicts.json"""
)
@click.argument("names", nargs=-1, metavar="[STUDY]...")
@click.option("--full", is_flag=True, help="Compute whole runs, not only their first iterations.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes at a time.  [default: cores]")
def reproduce(names: tuple[str, ...], full: bool, as_json: bool, workers: int | None) -> None:
    """Compute committed studies again and compare with their records; without a STUDY, all of them.

    \b
    repeated    the same numbers, bit for bit
    reproduced  on another kind of machine: the same up to rounding, or, with
                --full, every claim that rests on the study holds
    drifted     neither
    failed      a record cannot be read, or a run cannot be computed

    Records are not touched. The exit status is 0 if every study is repeated or reproduced.
    """
    import torch
    from rich.console import Console

    from pgcourse.course.reproduce import reproduce, show
    from pgcourse.course.runner import find_root
    from pgcourse.lab import Study, StudyError, study_names

    torch.set_num_threads(1)  # as in the processes that compute
    screen = Console(stderr=as_json)
    try:
        root = find_root()
        studies = [Study.read(name) for name in dict.fromkeys(names or study_names())]
    except (FileNotFoundError, StudyError) as error:
        raise click.ClickException(str(error)) from None
    try:
        verdicts = reproduce(studies, root, screen, workers, full=full)
    except KeyboardInterrupt:
        screen.print("Stopped." + " The same command goes on from here." * full)
        sys.exit(130)
    show(verdicts, screen)
    if as_json:
        click.echo(json.dumps({"studies": [verdict.to_json() for verdict in verdicts]}, indent=2))
    sys.exit(any(verdict.verdict in ("drifted", "failed") for verdict in verdicts))


class Algorithms(click.Group):
    """A command for every algorithm; torch is not imported before one is looked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from pgcourse.algorithms import ALGORITHMS

        return list(ALGORITHMS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from pgcourse.course.train import TrainCommand

        return TrainCommand(name) if name in self.list_commands(ctx) else None


@main.group(
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
        from pgcourse.course.train import resume as go_on

        go_on(resume)
    elif not context.invoked_subcommand:
        click.echo(context.get_help())


@main.command(
    epilog="""\b
Examples:
  pgcourse evaluate ppo-Pendulum-v1-1
  pgcourse evaluate ppo-Pendulum-v1-1 --deterministic --episodes 500
  pgcourse evaluate a2c-cartpole/A2C --json > evaluation.json"""
)
@click.argument("name", metavar="RUN | STUDY[/VARIANT]")
@click.option("--episodes", type=click.IntRange(min=1), metavar="N", default=100, show_default=True)
@click.option("--deterministic", is_flag=True, help="Take the most probable action; without, actions are sampled.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
def evaluate(name: str, episodes: int, deterministic: bool, as_json: bool) -> None:
    """Play whole episodes with kept policies, every seed's.

    RUN is a run of `pgcourse train`; STUDY one of those in results/ that keep their policies.
    """
    import torch
    from rich.console import Console

    from pgcourse.course.evaluate import Evaluation, show
    from pgcourse.lab import RecordError, StudyError, personal

    torch.set_num_threads(1)  # faster for tensors of this size, and repeatable
    screen = Console(stderr=as_json)
    evaluations = []
    try:
        for each, policy in personal.policies(name).items():
            with screen.status(f"{each}: {episodes} episodes of each seed"):
                evaluations.append(Evaluation.of(each, policy, episodes, deterministic))
            show(evaluations[-1], screen)
    except (StudyError, RecordError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"evaluations": [each.to_json() for each in evaluations]}, indent=2))


@main.command(
    epilog="""\b
Examples:
  pgcourse watch ppo-Pendulum-v1-1
  pgcourse watch ppo-Pendulum-v1-1 --seed 3 --deterministic --out best.gif
  pgcourse watch a2c-cartpole/A2C --episodes 2 --window"""
)
@click.argument("name", metavar="RUN | STUDY/VARIANT")
@click.option("--seed", type=int, metavar="S", help="Whose policy.  [default: the first]")
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
    name: str, seed: int | None, episodes: int, deterministic: bool, window: bool, out: Path | None, most_bytes: int
) -> None:
    """Watch a kept policy act, as a GIF or in a window.

    Gymnasium's environments draw themselves; the arm and MinAtar's games are drawn here.
    """
    import torch
    from rich.console import Console

    from pgcourse import film
    from pgcourse.lab import RecordError, StudyError, personal

    if out is not None and out.suffix.lower() != ".gif":
        raise click.UsageError(f"--out writes a GIF: {out} must end in .gif")
    if window and out is not None:
        raise click.UsageError("--window writes no file: leave out --out")
    torch.set_num_threads(1)
    screen = Console()
    try:
        policy = personal.policy(name)
        if window:
            returns = film.show(policy, seed, episodes, deterministic)
        else:
            with screen.status("Playing and drawing"):
                shot = film.shoot(policy, seed, episodes, deterministic)
                content = film.gif(shot, most_bytes)
            returns = shot.returns
            out = out or personal.picture(name, policy.seeds[0] if seed is None else seed)
            out.write_bytes(content)
    except (StudyError, RecordError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    shown = "  ".join(f"{each:,.4g}" for each in returns)
    screen.print(f"return{'s' * (len(returns) > 1)}: {shown}", highlight=False)
    if not window:
        screen.print(f"{out}  ({len(shot.frames)} pictures, {len(content):,} bytes)", highlight=False, soft_wrap=True)


@main.command(
    epilog="""\b
Examples:
  pgcourse grade exercises/03_reinforce.ipynb
  pgcourse grade submissions/ --seed 8231 --out grades/
  pgcourse grade exercises/03_reinforce.ipynb --require 100 --json"""
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Draws the inputs of the checks."
)
@click.option("--sandbox", "isolation", type=click.Choice(["auto", "none", "bwrap"]), default="auto", show_default=True)
@click.option("--i-trust-these-submissions", "trusted", is_flag=True, help="Several submissions without a sandbox.")
@click.option("--chapter", metavar="NN", help="The chapter to grade.  [default: from each notebook's name]")
@click.option("--require", type=click.FloatRange(0, 100), metavar="PERCENT", help="Exit with 1 if a score is below.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Write grades there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
def grade(
    paths: tuple[Path, ...],
    seed: int,
    isolation: str,
    trusted: bool,
    chapter: str | None,
    require: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Grade exercise notebooks, or all notebooks in folders.

    A notebook's definitions are read without executing its cells, its answers run in a process of their own, and what
    they return is judged outside of it, on inputs drawn from --seed: choose one and keep it to yourself. Ids and points
    in the notebook do not matter.

    With --sandbox auto a submission runs in bubblewrap where that works (on Linux). Where it does not, a single
    notebook is graded without a sandbox, and that is said; several are refused.

    --out writes grades.json and gradebook.csv. The exit status is 0 when everything was graded, whatever the scores,
    and all of them reach --require if that is given.
    """
    from rich.console import Console

    from pgcourse.grading import report
    from pgcourse.grading.sandbox import CannotGrade

    screen = Console(stderr=as_json)
    try:
        submissions, sandbox, finished = report.run(paths, screen, isolation, trusted, chapter, seed)
    except CannotGrade as error:
        raise click.ClickException(str(error)) from None
    report.show(screen, submissions, sandbox)
    if out:
        report.write(out, submissions, sandbox, seed)
        screen.print(f"written: {out / 'grades.json'}, {out / 'gradebook.csv'}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps(report.document(submissions, sandbox, seed), indent=2))
    if not finished:
        sys.exit(130)
    if require is not None and (below := [graded for graded in submissions if graded.percent < require]):
        screen.print(f"Below {require:g} %: {len(below)} of {len(submissions)}.")
        sys.exit(1)


@main.command(
    epilog="""\b
Examples:
  pgcourse doctor
  pgcourse doctor --json > machine.json"""
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
def doctor(as_json: bool) -> None:
    """Check this machine: Python, packages, torch, the notebook kernel, disk.

    Where something is wrong, the remedy stands under it. The exit status is 0 unless there is a problem.
    """
    from rich.console import Console

    from pgcourse.course.doctor import doctor as examine

    screen = Console(stderr=as_json)
    with screen.status("Checking this machine"):
        diagnosis = examine()
    screen.print(diagnosis)
    if as_json:
        click.echo(json.dumps(diagnosis.to_json(), indent=2))
    sys.exit(diagnosis.status == "problem")


@main.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  pgcourse lab               chapter 00
  pgcourse lab 03            chapter 03
  pgcourse lab 03 --no-browser --port 9000""",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[CHAPTER] [JUPYTER OPTION]...")
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on a chapter.

    CHAPTER is a number, a name or a path to a notebook. Everything after it goes to JupyterLab.
    """
    from jupyterlab.labapp import LabApp

    from pgcourse.course.runner import find_chapters, find_root

    named = arguments[:1] if arguments and not arguments[0].startswith("-") else ()
    options = arguments[len(named) :]
    try:
        root = find_root()
        notebook = find_chapters(root, named or ("00",))[0].resolve().relative_to(root).as_posix()
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the kernels: faster for small tensors, and repeatable
    LabApp.launch_instance([f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{notebook}", *options])


if __name__ == "__main__":
    main()
