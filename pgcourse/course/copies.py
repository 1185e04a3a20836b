"""One's own copies of the notebooks: what `pgcourse lab` opens, to be written in without a second thought.

The folder my/ beside chapters/ and exercises/ holds a copy of every notebook in them. git ignores it, so the course can
be brought up to date at any time. A copy in which no cell was changed follows the course. One that was changed stays as
it is, and the course's newer version is put beside it, as NAME.new.ipynb.

What counts as a change is a cell's text, kind or tags: a notebook that was run and saved is as untouched as before.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pgcourse.lab.provenance import MINE, is_copies_folder

FOLDERS = ("chapters", "exercises")
MANIFEST = ".copied.json"  # {copy: digest of what was copied}, in my/
NEWER = re.compile(r"\.new[0-9]*$")
LINK = re.compile(r"(?<=\]\()\.\./[^)\s]+")

Event = Literal["refreshed", "offered", "removed", "unreadable"]


@dataclass(frozen=True)
class News:
    """Something about a copy that its owner should know. `path` is relative to the repository."""

    event: Event
    path: PurePosixPath
    beside: str = ""

    def __str__(self) -> str:
        match self.event:
            case "refreshed":
                return f"{self.path}: brought up to date (you had not changed it)"
            case "offered":
                return f"{self.path}: yours, and stays; the course's newer version is beside it: {self.beside}"
            case "removed":
                return f"{self.path}: removed (you had not changed it, and the course no longer has it)"
            case "unreadable":
                return f"{self.path}: not a notebook (a merge that was not finished?), so your copy is as it was"


def original(notebook: Path) -> Path:
    """The course's notebook of which this one is a copy, or a newer version beside it; any other notebook as it is."""
    folder = notebook.parent
    if not (folder.name in FOLDERS and is_copies_folder(folder.parent)):
        return notebook
    return folder.parents[1] / folder.name / f"{NEWER.sub('', notebook.stem)}.ipynb"


def copy_of(root: Path, notebook: Path) -> Path:
    """Where the copy of one of the course's notebooks is; any other notebook, a copy included, as it is."""
    notebook = notebook.resolve()
    if notebook.parent in [root / folder for folder in FOLDERS]:
        return root / MINE / notebook.relative_to(root)
    return notebook


def update(root: Path) -> list[News]:
    """Make the copies that are missing, bring those up to date that are untouched, offer newer versions of the others.

    Raises:
        OSError: the folder my/ cannot be written.
    """
    mine = root / MINE
    mine.mkdir(exist_ok=True)
    copied, news = _manifest(mine), []
    paths = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.ipynb"))]
    names = [path.relative_to(root).as_posix() for path in paths]
    for path, name in zip(paths, names, strict=True):
        try:
            text = _adapted(path, name, names)
        except (ValueError, TypeError, KeyError):
            news.append(News("unreadable", PurePosixPath(name)))
            continue
        news += _follow(mine, name, text, copied)
    for name in sorted(copied):
        if _course_name(name) not in names and digest(mine / name) == copied.pop(name):
            (mine / name).unlink()
            news.append(News("removed", PurePosixPath(MINE, name)))
    _write(mine / MANIFEST, json.dumps(copied, indent=1, sort_keys=True) + "\n")
    return news


def changed(root: Path, folder: str) -> list[Path]:
    """The notebooks of my/`folder` that are one's own work: copies that were changed, and notebooks of one's own."""
    mine = root / MINE
    copied = _manifest(mine)
    notebooks = sorted((mine / folder).glob("*.ipynb"))
    return [path for path in notebooks if digest(path) != copied.get(path.relative_to(mine).as_posix())]


def digest(notebook: Path) -> str | None:
    """SHA-256 of what counts as a notebook's text; None where the file is no notebook."""
    try:
        return _digest(json.loads(notebook.read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _follow(mine: Path, name: str, text: str, copied: dict[str, str]) -> Iterator[News]:
    """Bring one copy up to date, or else the first of its newer versions that was not changed, too."""
    current = _digest(json.loads(text))
    for candidate in _candidates(name):
        path, before = mine / candidate, copied.get(candidate)
        found = digest(path)
        if found != current:
            if before == current:
                if path.exists() or candidate != name:
                    return  # changed since; or offered before, and taken away
            elif path.exists() and (before is None or found != before):
                continue
            path.parent.mkdir(exist_ok=True)
            _write(path, text)
            if candidate != name:
                yield News("offered", PurePosixPath(MINE, name), PurePosixPath(candidate).name)
            elif before and before != current:
                yield News("refreshed", PurePosixPath(MINE, name))
        copied[candidate] = current
        if candidate == name:
            _withdraw(mine, name, copied)
        return


def _withdraw(mine: Path, name: str, copied: dict[str, str]) -> None:
    """The copy is up to date: newer versions that were put beside it go, unless they were changed."""
    for candidate in [each for each in copied if each != name and _course_name(each) == name]:
        if digest(mine / candidate) == copied.pop(candidate):
            (mine / candidate).unlink()


def _candidates(name: str) -> Iterator[str]:
    """The copy, and where newer versions may stand beside it."""
    stem = name.removesuffix(".ipynb")
    yield name
    yield f"{stem}.new.ipynb"
    for number in count(2):
        yield f"{stem}.new{number}.ipynb"


def _course_name(candidate: str) -> str:
    return f"{NEWER.sub('', candidate.removesuffix('.ipynb'))}.ipynb"


def _manifest(mine: Path) -> dict[str, str]:
    try:
        manifest = json.loads((mine / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # every copy that is there counts as changed, unless it is the course's of today
    return manifest if isinstance(manifest, dict) else {}


def _adapted(path: Path, name: str, copied: Sequence[str]) -> str:
    """The text of a copy: its links lead where the course's lead, and it names the Python that is here.

    Raises:
        ValueError, TypeError, KeyError: not a notebook.
    """
    notebook = json.loads(path.read_text("utf-8"))

    def deeper(link: re.Match[str]) -> str:
        return link[0] if link[0].removeprefix("../").partition("#")[0] in copied else f"../{link[0]}"

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(deeper, "".join(cell["source"])).splitlines(keepends=True)
    if "language_info" in notebook["metadata"]:  # as Jupyter would write it on opening, which then changes nothing
        notebook["metadata"]["language_info"]["version"] = platform.python_version()
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _digest(notebook: dict[str, Any]) -> str:
    cells = [
        [cell["cell_type"], "".join(cell["source"]), sorted(cell["metadata"].get("tags", []))]
        for cell in notebook["cells"]
    ]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """All or nothing: a notebook that is open is never read half."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8", newline="\n")
    partial.replace(path)
