"""Sandboxes for submissions' processes: bubblewrap or docker, which hide files and the network, or none."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
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
assert not os.access("/proc/sys/kernel/core_pattern", os.W_OK), "settings of this computer can be changed"
print("isolated")
"""

FILES = [Path(module.__file__ or "") for module in (worker, worker.collect, worker.syscalls)]
INSIDE = "/grader"  # where these are inside a sandbox


class CannotGrade(Exception):
    """What was asked for cannot be done here; the message says why and what to do. No fault of a submission's."""


@dataclass(frozen=True)
class Sandbox:
    """A way to start Python, isolated from its environment variables and the user's own packages.

    `prefix` is the command in front of Python's, and `worker` where the process finds worker.py. The processes of a
    `container` are children of another program: they can be neither measured nor forked from one that has torch, and
    are ended by their name.
    """

    name: str
    guarantee: str
    prefix: tuple[str, ...] = ()
    worker: str = worker.__file__
    container: bool = False

    def command(self, *args: str, name: str = "") -> list[str]:
        prefix = [name if part == NAME else part for part in self.prefix]
        return [*prefix, sys.executable, "-I", *args]


NONE = Sandbox(
    "none",
    "No sandbox: ordinary Python tampering cannot change the score, but the submission runs with your rights and can "
    "read your files, the course's solutions among them. Use it for code you trust.",
)
BWRAP_GUARANTEE = (
    "bubblewrap: the submission had no network, no files of yours, no place to write to and no view of the course. Fit "
    "for strangers' code, barring bugs of the kernel."
)
UNFILTERED = (
    " On this processor there is no filter of system calls: memory outside the address space (memfd_create) and, for "
    "root, further processes are not limited."
)
DOCKER_GUARANTEE = (
    "docker: the submission had no network, no files of yours, no place to write to and no view of the course. Fit for "
    "strangers' code, barring bugs of the kernel. Its time is measured by the clock, so a busy computer may be unfair."
)
IMAGE = "pgcourse-empty:1"
NAME = "NAME OF THE CONTAINER"
CONTAINER_MEMORY = "6g"  # for torch, too; a submission's own limit is smaller
ALWAYS = "The submission sees the inputs of the checks, never the expected values. Nothing here proves who wrote it."


def find(name: str, several: bool = False, trusted: bool = False) -> Sandbox:
    """The sandbox called "none", "bwrap", "docker" or "auto": bwrap where it works, otherwise none.

    `several`: submissions of more than one person, which "none" is refused for unless they are `trusted`.

    Raises:
        CannotGrade: bwrap or docker does not work here, or none was refused.
    """
    problem = ""
    if name == "docker":
        return _docker()
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
    guarantee = BWRAP_GUARANTEE + ("" if worker.syscalls.known() else UNFILTERED)
    sandbox = Sandbox("bwrap", guarantee, (program, *_bwrap_options()), f"{INSIDE}/worker.py")
    return _probed(sandbox, "bubblewrap", environment())


def _probed(sandbox: Sandbox, program: str, env: dict[str, str]) -> Sandbox:
    """The sandbox, after it was seen to isolate."""
    command = sandbox.command("-S", "-c", PROBE, *map(str, _hidden()), name=f"pgcourse-probe-{os.getpid()}")
    try:
        probe = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotGrade(f"{program} is installed but does not start on this computer: {error}") from None
    if probe.stdout.strip() != b"isolated":
        reason = (probe.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise CannotGrade(f"{program} is installed but does not isolate on this computer: {reason}")
    return sandbox


def _docker() -> Sandbox:
    program = shutil.which("docker")
    if program is None:
        raise CannotGrade("docker is not installed")
    if sys.platform != "linux":
        raise CannotGrade("docker is used on Linux only: elsewhere its containers cannot run this computer's Python")
    try:
        made = subprocess.run([program, "import", "-", IMAGE], input=_empty_system(), capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotGrade(f"docker is installed but does not start on this computer: {error}") from None
    if made.returncode:
        reason = made.stderr.decode(errors="replace").strip()
        raise CannotGrade(f"docker is installed but does not run on this computer: {reason}")
    sandbox = Sandbox("docker", DOCKER_GUARANTEE, (program, *_docker_options()), f"{INSIDE}/worker.py", container=True)
    return _probed(sandbox, "docker", dict(os.environ))


def _empty_system() -> bytes:
    """An image with nothing in it but the links that programs expect, as a tar file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder in ("/bin", "/lib", "/lib64"):
            if os.path.islink(folder):
                link = tarfile.TarInfo(folder.strip("/"))
                link.type, link.linkname = tarfile.SYMTYPE, os.readlink(folder)
                tar.addfile(link)
        root = tarfile.TarInfo("tmp")  # it must not be empty
        root.type, root.mode = tarfile.DIRTYPE, 0o555
        tar.addfile(root)
    return content.getvalue()


def _docker_options() -> Iterator[str]:
    """As in bubblewrap: Python and the system's libraries, read-only, and nothing else."""
    yield from ("run", "--rm", "--interactive", "--name", NAME, "--network", "none", "--read-only", "--workdir", "/")
    yield from ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534", "--ipc", "none")
    yield from ("--memory", CONTAINER_MEMORY, "--memory-swap", CONTAINER_MEMORY, "--pids-limit", "64")
    yield from ("--log-driver", "none", "--stop-timeout", "0")
    for name, value in environment().items():
        yield from ("--env", f"{name}={value}")
    roots = _roots()
    plain = [folder for folder in ("/bin", "/lib", "/lib64") if os.path.isdir(folder) and not os.path.islink(folder)]
    cache = [path for path in ("/etc/ld.so.cache",) if os.path.exists(path)]
    for path in (*map(str, roots), *plain, *cache):
        yield from ("--mount", f"type=bind,source={path},target={path},readonly")
    for file in FILES:
        yield from ("--mount", f"type=bind,source={file},target={INSIDE}/{file.name},readonly")
    for hidden in _hidden():
        if any(hidden.is_relative_to(root) for root in roots):
            yield from ("--mount", f"type=tmpfs,target={hidden},tmpfs-size=4096,tmpfs-mode=0555")
    yield IMAGE


def _bwrap_options() -> Iterator[str]:
    """An empty, read-only file system with Python and the system's libraries in it, and nothing else."""
    yield from ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--chdir", "/")
    # Otherwise bubblewrap's own process stays inside, unfiltered and with the grader's socket: whose memory can be
    # written (/proc/1/mem) can be made to do anything.
    yield "--as-pid-1"
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
    # Root's settings of the whole computer (/proc/sys) are root's also in here, where it has no capability.
    yield from ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")


def _roots() -> list[Path]:
    """The folders that Python and its packages live in, links on the way included; none inside another."""
    found = {Path("/usr"), Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()}
    return [root for root in sorted(found) if not any(root.is_relative_to(other) and root != other for other in found)]


def _hidden() -> list[Path]:
    """The course's own folders: pgcourse contains the answers, and so do the solutions beside it, the records, and the
    history of a clone; all but the one in which Python itself may live."""
    package = Path(pgcourse.__file__).resolve().parent
    if not (package.parent / "pyproject.toml").is_file():  # no clone: other packages are beside it
        return [package]
    lives = [Path(sys.prefix), Path(sys.base_prefix).resolve()]
    beside = [path for path in sorted(package.parent.iterdir()) if path.is_dir() and not path.is_symlink()]
    return [
        package,
        *(path for path in beside if path != package and not any(one.is_relative_to(path) for one in lives)),
    ]


def environment(home: str = "/") -> dict[str, str]:
    """The environment of a submission's process: no secrets in it, and one thread for each numerical library."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    needed = ("SYSTEMROOT", "PATH") if sys.platform == "win32" else ()
    windows = {name: os.environ[name] for name in needed if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": home, **threads, **windows}
