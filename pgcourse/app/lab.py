"""`pgcourse lab`: JupyterLab, opened on one's own copy of a chapter."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pgcourse.course.copies import copy_of, update
from pgcourse.course.runner import find_chapters, find_root
from pgcourse.lab.provenance import MINE

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

NEWS = "@jupyterlab/apputils-extension:announcements"  # asks every new user whether they want Jupyter's news
ROOT = """
You are root, as in a container, and JupyterLab does not start for root unless it is told to:
  pgcourse lab --allow-root
and in a container, to be opened from a browser outside of it:
  pgcourse lab --allow-root --ip=0.0.0.0 --no-browser"""


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  pgcourse lab                               chapter 00
  pgcourse lab 03                            chapter 03
  pgcourse lab exercises/03_reinforce.ipynb
  pgcourse lab 03 --no-browser --port=9000
  pgcourse lab --copies-only                 for notebooks that you open in VS Code""",
)
@click.option("--copies-only", is_flag=True, help="Bring your copies up to date and open nothing.")
@click.option("--originals", is_flag=True, help="For authors: open the course's own notebooks, not copies.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[CHAPTER] [JUPYTER OPTION]...")
def lab(arguments: tuple[str, ...], originals: bool, copies_only: bool) -> None:
    """Open JupyterLab on a chapter.

    CHAPTER is a number, a name or a path to a notebook. Everything after it goes to JupyterLab.

    What opens is your own copy, in the folder my/: write in it what you like. Copies that you did not change follow the
    course when it is updated. One that you changed stays as it is, and the newer version is put beside it.
    """
    if originals and copies_only:
        raise click.UsageError("--originals opens the course's own notebooks, --copies-only opens nothing: say one")
    named = arguments[:1] if arguments and not arguments[0].startswith("-") else ()
    options = arguments[len(named) :]
    try:
        root = find_root()
        notebook = find_chapters(root, named or ("00",))[0].resolve()
        if not originals:
            notebook = copy_of(root, notebook)
            for news in update(root):
                click.echo(news)
        opened = notebook.relative_to(root).as_posix()
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"your copies cannot be written: {error}. Make {root} yours, or clone the course anew."
        ) from None
    if copies_only:
        click.echo(f"your copies are in {root / MINE}")
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the kernels: faster for small tensors, and repeatable
    os.environ.pop("MPLBACKEND", None)  # theirs shows figures in the notebook; a shell's would not
    from jupyterlab.labapp import LabApp  # heavy: not before it is asked for

    settings = [f"--ServerApp.root_dir={root}", f"--ServerApp.jpserver_extensions={__name__}=True"]
    try:
        LabApp.launch_instance([*settings, f"--LabApp.default_url=/lab/tree/{opened}", *options])
    except SystemExit as end:
        if end.code and not any("allow-root" in option or "allow_root" in option for option in options) and _is_root():
            click.echo(ROOT, err=True)
        raise


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    server.contents_manager.register_pre_save_hook(keep_python_version)
    server.web_app.settings["page_config_hook"] = without_news


def without_news(handler: Any, page: dict[str, Any]) -> dict[str, Any]:
    return page | {"disabledExtensions": [*page.get("disabledExtensions", []), NEWS]}


def keep_python_version(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """A notebook that is opened with another Python than it was last saved with is not changed by that alone."""
    if model["type"] != "notebook":
        return
    try:
        saved = json.loads(Path(contents_manager.root_dir, path).read_text("utf-8"))
        before, now = (each["metadata"].get("language_info", {}) for each in (saved, model["content"]))
    except (OSError, ValueError, TypeError, KeyError):
        return  # a new notebook, or none so far
    if now | {"version": None} == before | {"version": None} and "version" in before:
        now["version"] = before["version"]
