"""Notebooks as git has them: what a learner writes into the course's folder makes no test fail.

A notebook that was changed since the last `git add` is read as it was then, and a warning says so. Where there is no
git, the files are what they are.
"""

import atexit
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("chapters", "exercises", "solutions")


def git(*arguments, root=ROOT):
    """What git says, as bytes; None where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def listed(*arguments, root=ROOT):
    said = git(*arguments, "-z", "--", ".", root=root)
    return None if said is None else [name for name in said.decode().split("\0") if name]


@cache
def notebooks(*folders, root=ROOT):
    """{name in the repository: a file with what git has of it}, for the notebooks directly in these folders."""
    folders = folders or FOLDERS
    names = listed("ls-files", root=root)
    if names is None:
        names = [path.relative_to(root).as_posix() for folder in folders for path in (root / folder).glob("*.ipynb")]
        changed = set()
    else:
        changed = set(listed("diff", "--name-only", "--no-renames", root=root))
    names = [name for name in sorted(names) if Path(name).parent.as_posix() in folders and name.endswith(".ipynb")]
    return {name: as_staged(name, root) if name in changed else root / name for name in names}


def notebook(name, root=ROOT):
    """The file with what git has of one notebook, such as "chapters/03_reinforce.ipynb"."""
    return notebooks(root=root)[name]


def not_as_tracked(root=ROOT):
    """Notebooks in the repository's folder that git does not have as they are: changed ones, and others."""
    changed = listed("diff", "--name-only", "--no-renames", root=root) or []
    others = listed("ls-files", "--others", "--exclude-standard", root=root) or []
    return [name for name in [*changed, *others] if name.endswith(".ipynb")]


def pages(root=ROOT):
    """The Markdown files that git has; without git, all but those of what is made or installed."""
    names = listed("ls-files", root=root)
    if names is None:
        found = [path for path in root.rglob("*.md") if not {".venv", "_build", "my"} & set(path.parts)]
    else:
        found = [root / name for name in names if name.endswith(".md")]
    return sorted(path for path in found if path.is_file())


@cache
def as_staged(name, root):
    """A file of the same name, in a folder of the same name, with what git has."""
    warnings.warn(f"{name} was changed since `git add`: the tests look at what git has of it", stacklevel=2)
    path = scratch(root) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(git("show", f":{name}", root=root))
    expectations = root / "chapters" / "expected" / f"{path.stem}.toml"
    if path.parent.name == "chapters" and expectations.is_file():
        (path.parent / "expected").mkdir(exist_ok=True)
        shutil.copy(expectations, path.parent / "expected")
    return path


@cache
def scratch(root):
    folder = Path(tempfile.mkdtemp(prefix="pgcourse-tracked-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
