"""`pgcourse lab`: JupyterLab, opened on a chapter."""

from __future__ import annotations

import os

import click

from pgcourse.course.runner import find_chapters, find_root


@click.command(
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
    from jupyterlab.labapp import LabApp  # heavy: not before it is asked for

    named = arguments[:1] if arguments and not arguments[0].startswith("-") else ()
    options = arguments[len(named) :]
    try:
        root = find_root()
        notebook = find_chapters(root, named or ("00",))[0].resolve().relative_to(root).as_posix()
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the kernels: faster for small tensors, and repeatable
    LabApp.launch_instance([f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{notebook}", *options])
