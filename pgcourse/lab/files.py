"""Files that are there whole or not at all, on disk and not in a cache, whenever this process or the machine stops."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

STAGING = ".staging-"
ABANDONED = 3600.0  # seconds after which something staged is a dead writer's: writing takes less than one


def staging(folder: Path) -> Path:
    """A name in `folder` that nobody else uses, for what is not finished yet."""
    return folder / f"{STAGING}{uuid.uuid4().hex}"


def sweep(folder: Path) -> None:
    """Delete what killed writers have left behind."""
    for path in folder.glob(f"{STAGING}*"):
        try:
            if time.time() - path.stat().st_mtime < ABANDONED:
                continue
        except FileNotFoundError:  # its writer lives, and has just finished
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_through(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the disk has what was created and renamed in `folder`."""
    if os.name == "nt":  # Windows cannot open a folder, and needs no flush for a rename to last
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
