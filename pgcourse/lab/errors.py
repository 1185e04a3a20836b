"""How errors are reported: our own by their message, which names the remedy; others with their type and place."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from pathlib import Path

import gymnasium

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def is_ours(error: BaseException) -> bool:
    """Whether a `raise` of this package made the error."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _raised(frames[-1].filename, frames[-1].lineno or 0)


def message(error: BaseException) -> str:
    """An error in one line: our words or Gymnasium's, of all others' the kind and the place, too."""
    if is_ours(error) or isinstance(error, gymnasium.error.Error):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*LIBRARIES, str(PACKAGE), "<"))]
    place = (own or frames)[-1:]
    where = "".join(f" ({frame.filename}, line {frame.lineno}, in {frame.name})" for frame in place)
    return f"{type(error).__name__}: {error}{where}"


def reason(error: str) -> str:
    """Of a traceback of ours only the message, of any other all of it."""
    last = error.rpartition("Traceback (most recent call last):\n")[2]
    frames = re.findall(r'^  File "(.+?)", line (\d+), in ', last, re.MULTILINE)
    said = re.search(r"^(?:\w+\.)*\w+(?:Error|Exception)?: (.*)\Z", last, re.DOTALL | re.MULTILINE)
    return said[1] if said and frames and _raised(frames[-1][0], int(frames[-1][1])) else error


def _raised(file: str, line: int) -> bool:
    """Whether a line of this package is a `raise`."""
    return Path(file).is_relative_to(PACKAGE) and linecache.getline(file, line).lstrip().startswith("raise ")
