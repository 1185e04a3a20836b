"""`pgcourse book`: the web book, made from the executed chapters."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pgcourse.app.run import execute
from pgcourse.course import book as making
from pgcourse.course.runner import find_chapters, find_root


@click.command(
    epilog="""\b
Examples:
  pgcourse book                make the site from the chapters that `pgcourse run` executed
  pgcourse book --run --open   execute first what has not run or has changed; open the site
  pgcourse book --draft        show chapters that have not run, too, without outputs
  pgcourse book --out public   into a folder of your choice, to be put on a server"""
)
@click.option("--run", "run_first", is_flag=True, help="Execute chapters that have not run as they stand.")
@click.option("--draft", is_flag=True, help="Take chapters that have not run as they are.")
@click.option("--open", "open_it", is_flag=True, help="Open the site in the browser.")
@click.option("--fresh", is_flag=True, help="Make every page anew, not only those that changed.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="[default: _build/book]"
)
def book(run_first: bool, draft: bool, open_it: bool, fresh: bool, out: Path | None) -> None:
    """Make a web site of the course from the executed chapters.

    Chapters as they were executed, exercises, the pages of docs/, the commands and the reference of the package, with
    search. It is made and read without a network: open its index.html, or put the folder on any server.
    """
    screen = Console()
    try:
        root = find_root()
        making.require()
        if run_first and not draft and (reasons := making.not_ready(find_chapters(root), root / "_build")):
            _, status = execute(list(reasons), root / "_build", screen)
            if status:
                sys.exit(status)
        with Steps(screen) as display:
            made = making.make(root, out=out, draft=draft, fresh=fresh, commands=_help(), progress=display.progress)
    except (making.BookError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    screen.print(f"{made.pages} pages, {made.size / 1e6:.0f} MB, {made.seconds:.0f} s", highlight=False, soft_wrap=True)
    screen.print(f"open {_short(made.index)}", highlight=False, soft_wrap=True, markup=False)
    if open_it:
        _open(made.index)


class Steps:
    """A bar on a terminal; elsewhere a line as a step begins, and one a while later if it is still going on."""

    every = 20.0  # seconds between lines where there is no terminal

    def __init__(self, console: Console) -> None:
        self.console = console
        self._what, self._spoke = "", time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=100)

    def __enter__(self) -> Steps:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def progress(self, what: str, percent: int) -> None:
        """For `book.make`."""
        self._bar.update(self._task, description=what, completed=percent)
        now = time.monotonic()
        if not self.console.is_terminal and (what != self._what or now - self._spoke >= self.every):
            self.console.print(f"{what}" + (f", {percent} %" if what == self._what else ""), highlight=False)
            self._spoke = now
        self._what = what


def _help() -> dict[str, str]:
    """What `pgcourse VERB --help` says, by verb."""
    from pgcourse.app.console import VERBS

    texts = {}
    for verb in VERBS:
        command = getattr(import_module(f"pgcourse.app.{verb}"), verb)
        texts[verb] = click.Context(command, info_name=f"pgcourse {verb}", max_content_width=88).get_help()
    return texts


def _open(page: Path) -> None:
    """In the browser, where there is a screen; a browser of the terminal would hold up the command."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    webbrowser.open(page.resolve().as_uri())


def _short(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
