"""`pgcourse run`: chapters executed, with live bars or plain lines, then failures, then a table."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pgcourse.course import runner
from pgcourse.course.copies import original
from pgcourse.course.runner import Result, find_chapters, find_root

COLOURS = {"passed": "green", "failed": "red", "not run": "yellow"}


@click.command(
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

    CHAPTER is a number, a name or a path to a notebook; without one, all chapters run, but for those that need what is
    not installed. Executed copies are left in _build/chapters, as notebooks and as web pages.
    """
    try:
        root = find_root()
        notebooks = find_chapters(root, chapters)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    if accept and (copies := [path.name for path in notebooks if original(path) != path]):
        raise click.ClickException(
            f"--accept writes down what the course's own chapters measure; {', '.join(copies)} is a copy in my/"
        )
    results, status = execute(
        notebooks,
        root / "_build",
        Console(stderr=as_json),
        profile=profile,
        workers=workers,
        timeout=timeout,
        accept=accept,
    )
    if chapters and not status:  # what was asked for by name is to run
        status = int(any(result.lacking for result in results))
    if as_json:
        click.echo(json.dumps({"chapters": [result.to_json() for result in results]}, indent=2))
    sys.exit(status)


def execute(notebooks: Sequence[Path], build: Path, console: Console, **options: Any) -> tuple[list[Result], int]:
    """`runner.run` with its progress, failures and final table on `console`.

    Returns:
        The results in the order of `notebooks`, and the exit status: 0 if all passed, 1 if not, 128 + signal number
        (130 for Ctrl-C) if it was interrupted; then the results are those of the chapters that had ended.
    """
    results: list[Result] = []
    status = 0
    try:
        with _interruptible(), Display(console) as display:
            for result in runner.run(notebooks, build, progress=display.progress, **options):
                results.append(result)
                display.ended(result)
    except _Interrupted as interrupt:
        status = 128 + interrupt.signal
        console.print("\nInterrupted; what had not ended was stopped.")
    results.sort(key=lambda result: notebooks.index(result.notebook))
    for result in results:
        explain(console, result)
    console.print()
    console.print(table(results, notebooks))
    failed = any(result.verdict == "failed" for result in results)
    return results, status or int(failed)


class _Interrupted(KeyboardInterrupt):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C, `kill` and a closed terminal all end the run in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Interrupted(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none, and under nohup it is ignored
    if hang_up and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Display:
    """Progress while chapters run: a bar of cells for each on a terminal, otherwise a line as it starts and ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._tasks: dict[Path, TaskID] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("cell {task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def progress(self, notebook: Path, done: int, cells: int) -> None:
        """For `runner.run`."""
        if notebook not in self._tasks:
            self._tasks[notebook] = self._bars.add_task(notebook.stem, total=0)
            if not self.console.is_terminal:
                self.console.print(f"{notebook.stem} started", highlight=False)
        self._bars.update(self._tasks[notebook], completed=done, total=cells)

    def ended(self, result: Result) -> None:
        if result.notebook in self._tasks:
            self._bars.remove_task(self._tasks[result.notebook])
        line = Text(f"{result.chapter} ").append(result.verdict, COLOURS[result.verdict])
        said = result.lacking or f"{result.seconds:.1f} s, {_claims(result)} held"
        self.console.print(line.append(f", {said}"), soft_wrap=True)


def explain(console: Console, result: Result) -> None:
    """Why a chapter failed, with the cell and the end of its traceback; what `--accept` changed."""
    if result.verdict == "failed":
        console.print(Text(f"\n{result.chapter} failed", COLOURS["failed"]))
    failure = result.failure
    if failure:
        where = f" (code cell {failure.cell})" if failure.cell else ""
        _indent(console, f"{failure.reason}{where}")
        _indent(console, failure.source, 6, "| ")
        _indent(console, failure.traceback, 6)
        if failure.timeout:
            _indent(console, f"a slow or busy machine: pgcourse run {result.chapter} --timeout {2 * failure.timeout:g}")
    made = {claim.name for claim in result.claims}
    unreached = [name for name in result.claims_failed if failure and name not in made]
    for name, why in result.claims_failed.items():
        if name not in unreached:
            _indent(console, f"claim {name}: {why}")
    if unreached:
        _indent(console, f"expected claims that were not reached: {', '.join(unreached)}")
    if result.verdict == "failed" and result.executed.is_file():
        _indent(console, f"as far as it went: {_short(result.html)}")
    if result.changes is not None:
        counts = Counter(result.changes.values())
        summary = ", ".join(f"{counts[kind]} {kind}" for kind in sorted(counts)) or "nothing changed"
        console.print(f"\n{result.chapter}, expected claims: {summary}", highlight=False)
        for name, kind in result.changes.items():
            _indent(console, f"{kind:<8} {name}")


def table(results: Sequence[Result], notebooks: Sequence[Path]) -> Table:
    """Chapter, seconds, claims held and verdict, in the order of `notebooks`."""
    of = {result.notebook: result for result in results}
    drawn = Table("chapter", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("seconds", "claims held"):
        drawn.add_column(heading, justify="right")
    drawn.add_column("verdict")
    for notebook in notebooks:
        result = of.get(notebook)
        verdict = result.verdict if result else "not run"
        columns = [f"{result.seconds:.1f}", _claims(result)] if result and not result.lacking else ["", ""]
        drawn.add_row(notebook.stem, *columns, Text(verdict, COLOURS[verdict]))
    return drawn


def _claims(result: Result) -> str:
    failed = len(result.claims_failed)
    return f"{result.claims_held} of {result.claims_held + failed} claims"


def _indent(console: Console, text: str, columns: int = 2, prefix: str = "") -> None:
    for line in text.splitlines():
        console.print(Text(" " * columns + prefix + line), soft_wrap=True)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
