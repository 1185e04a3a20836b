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
