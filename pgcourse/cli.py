"""The `pgcourse` command: one thin function per verb."""

import json
import sys

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
  pgcourse study reinforce-cartpole            compute what is missing"""
)
@click.argument("names", nargs=-1, required=True, metavar="list | NAME...")
@click.option("--dry-run", is_flag=True, help="Show the state of every run and compute nothing.")
@click.option("--refresh", is_flag=True, help="Compute again what is there, too.")
@click.option("--prune", is_flag=True, help="Delete records that no variant leads to any more.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Runs at a time.  [default: cores]")
def study(names: tuple[str, ...], dry_run: bool, refresh: bool, prune: bool, workers: int | None) -> None:
    """Compute the studies declared in results/NAME/study.toml.

    A run whose record is there is not computed again. Ctrl-C keeps every finished run.
    """
    from rich.console import Console

    from pgcourse.lab import Study, StudyError, console

    screen = Console()
    try:
        if names == ("list",):
            console.overview(screen)
            return
        studies = [Study.read(name) for name in dict.fromkeys(names)]
        for each in studies:
            each.check()
    except StudyError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(console.compute(screen, studies, workers, dry_run=dry_run, refresh=refresh, prune=prune))


if __name__ == "__main__":
    main()
