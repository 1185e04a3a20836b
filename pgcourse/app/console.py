"""The `pgcourse` command: a verb is a module of its name beside this one, imported when it is used."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

VERBS = {
    "run": "Execute chapters and check every number they claim.",
    "train": "Train agents of your own, several seeds at once.",
    "rlhf": "Train a language model of your own with a reward of your own, or the course's own models.",
    "evaluate": "Play whole episodes with kept policies, every seed's.",
    "watch": "Watch a kept policy act, as a GIF or in a window.",
    "study": "Compute the studies declared in results/NAME/study.toml.",
    "reproduce": "Compute committed studies again and compare with their records.",
    "grade": "Grade exercise notebooks, or all notebooks in folders.",
    "progress": "Show which exercises are solved.",
    "exercise": "Make exercises, and test them: for authors.",
    "doctor": "Check this machine: Python, packages, torch, the notebook kernel, disk.",
    "lab": "Open JupyterLab on a chapter.",
    "book": "Make a web site of the course from the executed chapters.",
}


class Verbs(click.Group):
    """Commands that are imported when they are used; the list of them needs none."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # None without a console, or something of a notebook's
                stream.reconfigure(errors="replace")  # a Windows code page has no θ: a ? instead of a traceback
        return super().main(*arguments, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return getattr(import_module(f"pgcourse.app.{name}"), name) if name in VERBS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgcourse")
def main() -> None:
    """Policy gradient methods: a course whose every number is measured."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # for algorithms and worlds of one's own: `pgcourse train mine:MyPPO`


if __name__ == "__main__":
    main(prog_name="pgcourse")  # as start.py calls it, whose users are told to say `pgcourse`
