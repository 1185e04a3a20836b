#!/usr/bin/env python3
"""Set the course up and run it.

  python3 start.py course     set up, execute every chapter, check every number in the text
  python3 start.py test       set up, run the whole test suite
  python3 start.py lab        set up, open JupyterLab on chapter 00
  python3 start.py book       set up, make the course's web site from the executed chapters, open it
  python3 start.py setup      set up, nothing else

Everything is installed into the folder .venv beside this file, at the versions of constraints.txt; deleting that
folder undoes it all. The first call takes minutes, later calls find the set-up done.
"""

import sys

OLDEST = (3, 11)
if sys.version_info < OLDEST:  # the file must parse on an old Python, so that this can be said there
    sys.exit(
        "The course needs Python {}.{} or newer; this is Python {}.{} ({}).\n"
        "Install a newer one from https://www.python.org/downloads/, then run this command with it,\n"
        "for example: python3.13 start.py course".format(*(OLDEST + sys.version_info[:2] + (sys.executable,)))
    )

import argparse
import contextlib
import hashlib
import json
import os
import platform
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
import tomllib
import urllib.request
from pathlib import Path

EXAMPLES = """\
examples:
  python3 start.py course                        the whole course, quick profile
  python3 start.py course 03_reinforce           one chapter
  python3 start.py test -m "not chapters"        the tests without the chapters' execution
  python3 start.py setup --fresh                 throw .venv away and make it anew
  python3 start.py setup instructor              with the instructor's packages
"""
CPU_TORCH = "https://download.pytorch.org/whl/cpu"


class SetupError(Exception):
    """Set-up cannot go on; the message says why and what to do."""


class Progress:
    """Numbered, timed steps: one live line on a terminal, a plain line now and then elsewhere."""

    every = 20.0  # seconds between lines where there is no terminal

    def __init__(self, steps):
        self.steps, self.number, self.title = steps, 0, ""
        self.live = sys.stdout.isatty()
        self.began = self.spoke = time.monotonic()

    def step(self, title):
        self.number += 1
        self.began = self.spoke = time.monotonic()
        self.rename(title)

    def rename(self, title):
        self.title = title
        self._say("" if self.live else "...")

    def update(self, detail):
        if self.live:
            self._say(f"  {self._elapsed()}  {detail}")
        elif time.monotonic() - self.spoke >= self.every:
            self.spoke = time.monotonic()
            self._say(f": {detail} ({self._elapsed()})")

    def done(self):
        self._say(f"  done in {self._elapsed()}")
        self.end_line()

    def end_line(self):
        if self.live:
            print()

    def _elapsed(self):
        seconds = int(time.monotonic() - self.began)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _say(self, text):
        line = f"[{self.number}/{self.steps}] {self.title}{text}"
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + line[:width].ljust(width), end="", flush=True)
        else:
            print(line, flush=True)


# What pip printed -> what went wrong and what helps. The first match counts: a full disk also breaks connections.
REMEDIES = [
    (
        r"No space left on device|Errno 28|not enough space on the disk",
        "The disk is full.",
        "Free at least 2 GB (pip's downloads are kept in `python3 -m pip cache dir`), then run the same command again.",
    ),
    (
        r"ensurepip is not available|No module named '?(ensurepip|venv)",
        "This Python has no venv module.",
        "On Debian and Ubuntu: sudo apt install python3-venv; then run the same command again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError",
        "The package index's certificate is not trusted here; a company's proxy is the usual reason.",
        "Set PIP_CERT to the file of your organisation's certificates, then run the same command again.",
    ),
    (
        r"connection broken by|Max retries exceeded|NewConnectionError|ConnectTimeout|ReadTimeoutError|"
        r"Temporary failure in name resolution|getaddrinfo failed|Network is unreachable|ProxyError",
        "No network: the package index does not answer.",
        "Connect this machine, or name your proxy (HTTPS_PROXY) or mirror (PIP_INDEX_URL); then run the same command\n"
        "again. Without any network, put the wheels into a folder and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER.",
    ),
    (
        r"Permission denied|PermissionError|Access is denied|WinError 5\b|WinError 32\b",
        "A file could not be written.",
        "Close the programs that use .venv (JupyterLab, an editor), make sure that this folder is yours, then run the\n"
        "same command again.",
    ),
    (
        r"No matching distribution found|Cannot install .* because|Failed building wheel|metadata-generation-failed",
        "A package of constraints.txt is not to be had for Python {python} on {machine}.",
        "The course runs on 64-bit CPython 3.11 to 3.14 on Linux (glibc), Windows and Macs with Apple silicon.\n"
        "Run this command with such a Python, for example python3.13 start.py course.",
    ),
]


def explain(lines):
    """Why a step of the set-up failed, what helps, and the lines it printed that say so."""
    for pattern, reason, remedy in REMEDIES:
        telling = [line.strip() for line in lines if re.search(pattern, line)]
        if telling:
            reason = reason.format(
                python=platform.python_version(), machine=f"{platform.system()} {platform.machine()}"
            )
            return "\n".join([reason, remedy, "", telling[-1]])
    last = [line.strip() for line in lines if "error" in line.lower()] or lines
    return "\n".join(["Set-up failed. To begin from nothing: python3 start.py setup --fresh", "", *last[-5:]])


PROBE = """
import importlib.metadata, json, sys
print(json.dumps({
    "prefix": sys.prefix,
    "python": "%d.%d" % sys.version_info[:2],
    "packages": {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()},
}))
"""


class Environment:
    """The .venv of one project folder.

    Its stamp (.venv/setup.json) describes the last state in which an installation left it whole. pip works with the
    stamp taken away, so an environment without one was cut off in the middle and is made anew.
    """

    def __init__(self, root):
        self.root = Path(root).resolve()
        self.home = self.root / ".venv"
        self.stamp = self.home / "setup.json"
        self.bin = self.home / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")
        self.log = self.root / "_build" / "setup.log"

    def project(self):
        """Digest of the two files that say what is installed."""
        digest = hashlib.sha256()
        for name in ("constraints.txt", "pyproject.toml"):
            digest.update((self.root / name).read_bytes() + b"\0")
        return digest.hexdigest()

    def declared(self):
        """(build requirements, names of the extras) of pyproject.toml."""
        pyproject = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        return pyproject["build-system"]["requires"], set(pyproject["project"].get("optional-dependencies", {}))

    def pinned(self, package):
        """The version of a package in constraints.txt, or None."""
        text = (self.root / "constraints.txt").read_text(encoding="utf-8")
        pin = re.search(rf"^{re.escape(package)}==([^\s;]+)", text, re.MULTILINE)
        return pin and pin.group(1)

    def probe(self):
        """What the environment's own Python says of itself, or None when it does not start or is not this one's."""
        try:
            # -I: neither PYTHONPATH nor the user's site-packages count
            answer = subprocess.run([self.python, "-I", "-c", PROBE], capture_output=True, timeout=60, check=True)
            facts = json.loads(answer.stdout)
            return facts if Path(facts["prefix"]).samefile(self.home) else None
        except (OSError, ValueError, subprocess.SubprocessError):
            return None

    def read_stamp(self):
        """The stamp, or None where there is no whole one."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
            return stamp if stamp.keys() >= {"root", "project", "extras", "python", "packages"} else None
        except (OSError, ValueError, AttributeError):
            return None

    def diagnose(self, extras):
        """("ready" | "install" | "build", the reason) for an environment with these extras."""
        if not self.home.is_dir():
            return "build", "there is no .venv yet"
        stamp = self.read_stamp()
        if stamp is None:
            return "build", ".venv was left half-made"
        if stamp["root"] != str(self.root):
            return "build", f"the folder was moved here from {stamp['root']}"
        facts = self.probe()
        if facts is None:
            return "build", "the Python of .venv does not start, or its packages cannot be read"
        if facts["python"] != stamp["python"]:
            return "build", f".venv was made for Python {stamp['python']} and now finds {facts['python']}"
        lost = sorted(name for name in stamp["packages"] if name not in facts["packages"])
        if "pip" in lost:
            return "build", ".venv has lost its pip"
        if lost:
            return "install", f".venv has lost {', '.join(lost[:5])}"
        changed = sorted(name for name, version in stamp["packages"].items() if facts["packages"][name] != version)
        if changed:
            return "install", f"another version than the pinned one is installed of {', '.join(changed[:5])}"
        if stamp["project"] is None:
            return "install", "not all packages are installed yet"
        if stamp["project"] != self.project():
            return "install", "constraints.txt or pyproject.toml changed"
        missing = sorted(set(extras) - set(stamp["extras"]))
        if missing:
            return "install", f"the packages of [{', '.join(missing)}] are not installed yet"
        return "ready", ""

    def ensure(self, extras=(), fresh=False):
        """Bring the environment to a whole one with at least these extras; instant when it is one."""
        known = self.declared()[1]
        unknown = sorted(set(extras) - known)
        if unknown:
            raise SetupError(f"No such extra: {', '.join(unknown)}. There are: {', '.join(sorted(known))}.")
        with self._lock():
            need, reason = ("build", "asked to begin anew") if fresh else self.diagnose(extras)
            if need == "ready":
                return
            print(f"Setting up {self.home}: {reason}.", flush=True)
            self.log.parent.mkdir(exist_ok=True)
            self.log.write_text("", encoding="utf-8")
            progress = Progress(steps=3 if need == "build" else 2)
            if need == "build":
                self._build(progress)
            self._install(progress, extras)
            print(flush=True)

    def _build(self, progress):
        progress.step("Making .venv")
        try:
            self.stamp.unlink(missing_ok=True)
            self.home.unlink() if self.home.is_symlink() else shutil.rmtree(self.home)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise SetupError(f"The old .venv cannot be removed: {error}.\nClose the programs that use it.") from None
        # the base interpreter: this very file may be run by the Python of the .venv that has just been removed
        base = getattr(sys, "_base_executable", None) or sys.executable
        self._run([base, "-m", "venv", self.home], progress)
        self._write_stamp(extras=[], finished=False)
        progress.done()

    def _install(self, progress, extras):
        tools, known = self.declared()
        kept = self.read_stamp()["extras"]
        extras = sorted({*extras, *kept} & known)
        torch, source = self.pinned("torch"), []
        if torch:
            progress.step(f"Installing torch {torch}")
            tools = [*tools, "torch"]
            if not self._has_cpu_torch(torch):
                if answers(CPU_TORCH + "/torch/"):
                    source = ["--extra-index-url", CPU_TORCH]  # 2.0.0+cpu counts as newer than 2.0.0: it is taken
                else:
                    progress.rename(f"Installing torch {torch} with GPU libraries (the CPU build does not answer)")
        else:
            progress.step("Installing the build tools")
        self._pip(progress, *source, *tools)
        self._write_stamp(kept, finished=False)
        progress.done()
        progress.step("Installing the course" + (f" with [{', '.join(extras)}]" if extras else ""))
        self._pip(progress, "--no-build-isolation", "--editable", f".[{','.join(extras)}]" if extras else ".")
        self._write_stamp(extras, finished=True)
        progress.done()

    def _has_cpu_torch(self, version):
        """True where nothing but the ordinary `pip install torch` is needed to get a build without GPU packages."""
        if sys.platform != "linux":
            return True  # elsewhere the ordinary build is the CPU build
        facts = self.probe()
        if facts and facts["packages"].get("torch", "").partition("+")[0] == version:
            return True
        # offline: what pip's own configuration offers in folders of wheels
        command = [self.python, "-m", "pip", "index", "versions", "torch", "--no-index"]
        with contextlib.suppress(subprocess.SubprocessError):
            offered = subprocess.run(command, env=child_environment(), capture_output=True, text=True, timeout=60)
            return f"{version}+cpu" in offered.stdout
        return False

    def _pip(self, progress, *arguments):
        """pip install under the constraints, the stamp away; it comes back if pip fails before it began to write."""
        before = self.stamp.read_text(encoding="utf-8")
        self.stamp.unlink()
        begun = []  # pip's line saying that it starts to write

        def watch(line):
            if line.startswith("Installing collected packages"):
                begun.append(line)

        pip = [self.python, "-m", "pip", "install", "--progress-bar", "off", "--constraint", "constraints.txt"]
        try:
            self._run([*pip, *arguments], progress, watch)
        except BaseException:
            if not begun:
                self.stamp.write_text(before, encoding="utf-8")
            raise

    def _run(self, command, progress, watch=lambda line: None):
        """Run a step of the set-up; its output goes to the log, its last line to the progress display."""
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=self.root,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        lines, output = queue.Queue(), []

        def read():
            for line in process.stdout:
                lines.put(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        detail = "starting"
        with self.log.open("a", encoding="utf-8") as log:

            def take(line):
                output.append(line)
                log.write(line)
                watch(line.strip())

            try:
                log.write(f"$ {' '.join(map(str, command))}\n")
                while reader.is_alive() or not lines.empty():
                    with contextlib.suppress(queue.Empty):
                        line = lines.get(timeout=0.3)
                        take(line)
                        detail = in_short(line) or detail
                    progress.update(detail)
                status = process.wait()
            except BaseException:
                progress.end_line()
                stop(process)
                reader.join(timeout=5)
                while not lines.empty():  # what pip still did decides whether the environment is whole
                    take(lines.get())
                raise
        if status != 0:
            progress.end_line()
            raise SetupError(f"{explain(output)}\n\nThe whole log: {self.log}")

    def _write_stamp(self, extras, finished):
        facts = self.probe()
        if facts is None:
            raise SetupError(
                f"The Python of {self.home} does not start.\nMake a new one: python3 start.py setup --fresh"
            )
        stamp = {"root": str(self.root), "project": self.project() if finished else None, "extras": extras, **facts}
        new = self.stamp.with_suffix(".new")
        new.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
        new.replace(self.stamp)

    @contextlib.contextmanager
    def _lock(self):
        """One set-up of a folder at a time; the operating system gives the lock back when the process ends."""
        path = self.root / "_build" / "setup.lock"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            if not locked(file):
                print("Another start.py is setting this folder up; waiting for it (Ctrl-C stops waiting).", flush=True)
                while not locked(file):
                    time.sleep(0.3)
            yield


def locked(file):
    """Take the lock on an open file if nobody has it."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def child_environment():
    """The environment for Pythons of .venv: nothing of another Python leaks into it."""
    foreign = {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"}
    ours = {"PYTHONUNBUFFERED": "1", "PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**{name: value for name, value in os.environ.items() if name not in foreign}, **ours}


def answers(url, seconds=3):
    """Whether a web page is there, found out within some seconds even where name resolution hangs."""
    found = []

    def ask():
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=seconds) as reply:
            found.append(reply.status == 200)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return found == [True]


def in_short(line):
    """pip's line as a few words for the progress display."""
    line = line.strip()
    if "Retrying (" in line:
        return "the package index does not answer, pip tries again"
    if line.startswith("Installing collected packages"):
        return f"unpacking {line.count(',') + 1} packages"
    if line.startswith(("Collecting", "Downloading", "Building", "Preparing", "Processing")):
        return line[:80]
    return ""


def stop(process):
    """End a child gently, then firmly."""
    for end in (process.terminate, process.kill):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
        end()
    process.wait()


def hand_over(command, root):
    """Run a command as if it had been typed: Ctrl-C is its own affair and its exit status becomes ours."""
    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: lambda *_: process.terminate()}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        process = subprocess.Popen([str(part) for part in command], cwd=root, env=child_environment())
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status


def where_next(environment, status):
    """What to do after the chapters have run."""
    command = (environment.bin / "pgcourse").relative_to(environment.root)
    if status == 0:
        print("\nWhere to go next")
        print("  python3 start.py lab        open chapter 00 and learn; your copies are in my/")
        print("  python3 start.py book       the course as a web site with search, readable without a network")
        print(f"  {f'{command} --help':<26}  everything the command line does")
        pages = sorted((environment.root / "_build" / "chapters").glob("*.html"))
        if pages:
            print(f"\nTo read what ran, open {pages[0]}")
    elif status == 1:
        print(f"\nIs it this machine? {command} doctor examines it.")


def main(arguments=None, root=Path(__file__).parent):
    parser = argparse.ArgumentParser(
        prog="start.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["course", "test", "lab", "book", "setup"], help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="passed on to what the command runs")
    if not (arguments if arguments is not None else sys.argv[1:]):
        parser.print_help()
        return 2
    options = parser.parse_args(arguments)
    environment = Environment(root)
    extras, fresh = [options.command] if options.command in ("test", "book") else [], False
    if options.command == "setup":
        setup = argparse.ArgumentParser(prog="start.py setup")
        setup.add_argument("extras", nargs="*", metavar="EXTRA", help="an optional group of pyproject.toml, e.g. test")
        setup.add_argument("--fresh", action="store_true", help="throw .venv away first")
        chosen = setup.parse_args(options.rest)
        extras, fresh = chosen.extras, chosen.fresh
    elif {"-h", "--help"} & {*options.rest} and environment.diagnose(extras)[0] != "ready":
        parser.print_help()
        print(f"\nOnce the course is set up, start.py {options.command} --help shows what this command takes.")
        return 0

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that pip is stopped with us
    try:
        environment.ensure(extras, fresh)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"\nSet-up failed: {error}\nMake sure that {environment.root} is whole and can be written to.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command takes it up again.", file=sys.stderr)
        return 130

    if options.command == "setup":
        print(f"Ready: {environment.home}. Next: python3 start.py lab, to learn, or python3 start.py course, to verify")
        return 0
    python = environment.python
    if options.command == "test":
        shared = ["--numprocesses", "2", "--dist", "loadfile"]
        return hand_over([python, "-m", "pytest", *shared, *options.rest], environment.root)
    if options.command == "lab":
        return hand_over([python, "-m", "pgcourse.app.console", "lab", *options.rest], environment.root)
    if options.command == "book":
        making = [python, "-m", "pgcourse.app.console", "book", "--run", "--open", *options.rest]
        return hand_over(making, environment.root)
    status = hand_over(
        [python, "-m", "pgcourse.app.console", "run", "--profile", "quick", *options.rest], environment.root
    )
    where_next(environment, status)
    return status


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
