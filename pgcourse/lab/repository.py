"""Where the course is: its chapters, results and runs, and the code that computes."""

from __future__ import annotations

import tomllib
from pathlib import Path


class OtherClone(Exception):
    """The working folder belongs to another clone of the course than the package that was imported."""


def repository(start: Path | None = None) -> Path | None:
    """The clone of the course that is worked in: around `start` (the working folder), else around this package.

    Chapters, results and runs are this one's. A folder with chapters counts as well as a whole clone.

    Raises:
        OtherClone: it is a clone with a package of its own, and the one that was imported is another clone's.
    """
    start = (start or Path.cwd()).resolve()
    package = Path(__file__).resolve().parents[1]
    for folder in (start, *start.parents):
        if _is_clone(folder) or any((folder / "chapters").glob("[0-9][0-9]_*.ipynb")):
            own = folder / package.name
            if _is_clone(package.parent) and (own / "lab").is_dir() and not own.samefile(package):
                raise OtherClone(
                    f"{folder} is a clone of the course, but pgcourse is imported from {package.parent}: use the "
                    f"environment of {folder} (`python3 start.py setup` makes one), or work in {package.parent}"
                )
            return folder
    return package.parent if _is_clone(package.parent) else None


def code_repository() -> Path | None:
    """The clone that this package is in; None for an installed one, of which git knows nothing."""
    package = Path(__file__).resolve().parents[1]
    return package.parent if _is_clone(package.parent) else None


def _is_clone(folder: Path) -> bool:
    declaration = folder / "pyproject.toml"
    try:
        return tomllib.loads(declaration.read_text("utf-8")).get("project", {}).get("name") == "pgcourse"
    except (OSError, ValueError):
        return False
