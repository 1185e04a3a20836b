"""Sandboxes for submissions' processes: bubblewrap, which hides files and the network, or none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pgcourse
from pgcourse.grading import worker

PROBE = """
import os, socket, sys
assert not any(os.path.isdir(p) and os.listdir(p) for p in sys.argv[1:]), "the course's folders can be seen"
assert not os.path.exists("/etc/passwd"), "files of this computer can be seen"
assert [name for _, name in socket.if_nameindex()] in ([], ["lo"]), "the network can be reached"
print("isolated")
"""

FILES = [Path(module.__file__ or "") for module in (worker, worker.collect, worker.syscalls)]
INSIDE = "/grader"  # where these are inside a sandbox


class CannotGrade(Exception):
    """What was asked for cannot be done here; the message says why and what to do. No fault of a submission's."""


@dataclass(frozen=True)
class Sandbox:
    """A way to start Python, isolated from its environment variables and the user's own packages.

    `prefix` is the command in front of Python's, and `worker` where the process finds worker.py.
    """

    name: str
    guarantee: str
    prefix: tuple[str, ...] = ()
    worker: str = worker.__file__

    def command(self, *args: str) -> list[str]:
        return [*self.prefix, sys.executable, "-I", *args]


NONE = Sandbox(
    "none",
    "No sandbox: ordinary Python tampering cannot change the score, but the submission runs with your rights and can "
    "read your files, the course's solutions among them. Use it for code you trust.",
)
BWRAP_GUARANTEE = (
    "bubblewrap: the submission had no network, no files of yours, no place to write to and no view of the course. Fit "
    "for strangers' code, barring bugs of the kernel."
)
ALWAYS = "The submission sees the inputs of the checks, never the expected values. Nothing here proves who wrote it."


def find(name: str, several: bool = False, trusted: bool = False) -> Sandbox:
    """The sandbox called "none", "bwrap" or "auto": bwrap where it works, otherwise none.

    `several`: submissions of more than one person, which "none" is refused for unless they are `trusted`.

    Raises:
        CannotGrade: bwrap does not work here, or none was refused.
    """
    problem = ""
    if name in ("bwrap", "auto"):
        try:
            return _bwrap()
        except CannotGrade as error:
            if name == "bwrap":
                raise
            problem = f" Why not bubblewrap: {error}."
    if several and not trusted:
        raise CannotGrade(
            f"Several people's submissions are not graded without a sandbox.{problem} If you trust them all, say "
            "--i-trust-these-submissions."
        )
    return replace(NONE, guarantee=NONE.guarantee + problem)


def _bwrap() -> Sandbox:
    program = shutil.which("bwrap")
    if program is None:
        raise CannotGrade("bubblewrap (bwrap) is not installed; on Debian and Ubuntu: apt install bubblewrap")
    sandbox = Sandbox("bwrap", BWRAP_GUARANTEE, (program, *_bwrap_options()), f"{INSIDE}/worker.py")
    command = sandbox.command("-S", "-c", PROBE, *map(str, _hidden()))
    try:
        probe = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotGrade(f"bubblewrap is installed but does not start on this computer: {error}") from None
    if probe.stdout.strip() != b"isolated":
        reason = (probe.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise CannotGrade(f"bubblewrap is installed but does not isolate on this computer: {reason}")
    return sandbox


def _bwrap_options() -> Iterator[str]:
    """An empty, read-only file system with Python and the system's libraries in it, and nothing else."""
    yield from ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--chdir", "/")
    yield from ("--proc", "/proc", "--dev", "/dev")
    roots = _roots()
    for root in roots:
        yield from ("--ro-bind", str(root), str(root))
    for folder in ("/bin", "/lib", "/lib64"):
        if os.path.islink(folder):
            yield from ("--symlink", os.readlink(folder), folder)
        else:
            yield from ("--ro-bind-try", folder, folder)
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
    for file in FILES:
        yield from ("--ro-bind", str(file), f"{INSIDE}/{file.name}")
    for hidden in _hidden():
        if any(hidden.is_relative_to(root) for root in roots):
            yield from ("--tmpfs", str(hidden), "--remount-ro", str(hidden))
    yield from ("--remount-ro", "/dev", "--remount-ro", "/")


def _roots() -> list[Path]:
    """The folders that Python and its packages live in, links on the way included; none inside another."""
    found = {Path("/usr"), Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()}
    return [root for root in sorted(found) if not any(root.is_relative_to(other) and root != other for other in found)]


def _hidden() -> list[Path]:
    """The course's own folders: pgcourse contains the answers, and so do the solutions beside it."""
    package = Path(pgcourse.__file__).resolve().parent
    return [package, *(path for name in ("solutions", "tests") if (path := package.parent / name).is_dir())]


def environment(home: str = "/") -> dict[str, str]:
    """The environment of a submission's process: no secrets in it, and one thread for each numerical library."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    needed = ("SYSTEMROOT", "PATH") if sys.platform == "win32" else ()
    windows = {name: os.environ[name] for name in needed if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": home, **threads, **windows}
