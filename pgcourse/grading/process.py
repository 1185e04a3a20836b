"""Control of the process that runs a submission: messages, limits and termination."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import queue
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

import psutil

from pgcourse.grading import worker
from pgcourse.grading.collect import Cell, Submission, Unreadable
from pgcourse.grading.exercise import AnswerError, AnswerStopped, Call, Limits, Reply, answer_error, plain
from pgcourse.grading.sandbox import CannotGrade, Sandbox, environment

# Folders of the processes on this computer; the number of the grader's own process comes next in their names.
FOLDERS = "pgcourse-grade-" + re.sub(r"\W", "_", platform.node()) + "-"
START_SECONDS = 120.0  # importing torch on a slow, busy computer, by the clock; no line of the submission runs yet
READ_SECONDS = 10.0  # CPU time for reading the notebook
LOAD_SECONDS = 30.0  # CPU time for executing one statement that an answer needs
LOADS_SECONDS = 90.0  # and all of them, also when they are executed again
CLOCK = 10  # times the CPU time that a submission may use, it may take by the clock
FIRST_LOOK, LOOK = 0.25, 0.2  # seconds until a process at work is looked at, and between two looks
METERED = 0.05  # seconds by the clock between two readings of what quick calls take: reading costs more than they do
CPU_SECONDS = 600  # after which the system ends a process that nobody was left to end
WAIT_SECONDS = 5.0  # in which a process does nothing; nothing comes that it could wait for
LEAST_WAIT = 1.0  # granted to the last call within a limit, too: on a busy computer a process may have to wait its turn
WRITTEN_SECONDS = 10.0  # by the clock, for the end of writing a question that was answered
LOG_BYTES = 64 << 10  # that are kept
PREPARED = "prepared"  # among the replies: whether the answer was there
THREADS = 256  # of all that it starts; numerical libraries start as many as there are cores
PRINT_BYTES = 32 << 20  # after which it is stopped
RETURN_BYTES = 32 << 20  # of all replies to an exercise, which are kept


class Process:
    """One worker process. Whatever it writes is bytes from a stranger: limited, checked, never executed.

    Threads wait on its pipes, because only POSIX can wait for a pipe with a time limit.
    """

    def __init__(self, sandbox: Sandbox, limits: Limits, nursery: Nursery | None = None) -> None:
        self.memory = limits.memory
        self.folder = tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-")
        config: dict[str, Any] = {"memory": limits.memory, "cpu_seconds": CPU_SECONDS, "alone": bool(sandbox.prefix)}
        config["folder"] = "/" if sandbox.prefix else self.folder
        try:
            self.source: _Started | _Forked = (
                _Forked(nursery, config) if nursery else _Started(sandbox, config, self.folder)
            )
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.spent = 0.0  # seconds of CPU time, or of waiting if these are more, at the last reading
        self.log, self.printed = b"", 0
        self.wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False ends the reading
        self.frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.threads = [_thread(self._read_log), _thread(self._read_frames)]
        self.writer: threading.Thread | None = None
        self.measured = not sandbox.container
        self.meter = _Meter(self.source.pid)
        self.before = self.meter.seconds()
        self.metered, self.metered_at = self.before, time.monotonic()  # the meter, and when
        self.seen, self.unseen = self.before, 0.0  # the meter at the last look; seconds of waiting since, call by call
        self.seconds = 0.0  # CPU time of all that it did, when it is over
        self.replied = 0  # bytes of the last reply

    def ask(
        self, request: dict[str, Any] | str, seconds: float, limit: str, content: bytes | None = None
    ) -> dict[str, Any]:
        """Send a request, or its JSON, with `content` behind it, and wait for its reply. What it takes is added to
        `spent`.

        Raises:
            AnswerStopped: the process ended, wrote rubbish, or went over the limit of seconds, which `limit` puts into
                words. It is of no use after that.
        """
        own: dict[str, Any] = {"id": secrets.token_hex(8)}
        if content is not None:
            own["bytes"] = len(content)
        text = request if isinstance(request, str) else json.dumps(request)
        message = f"{text[:-1]}, {json.dumps(own)[1:]}".encode()
        self.wanted.put(True)
        self._write(struct.pack(">I", len(message)) + message + (content or b""))
        frame = self._wait(seconds, limit)
        self.replied = len(frame)
        if len(frame) == 0:
            raise AnswerStopped(self._ending())
        if len(frame) > worker.REPLY_BYTES:
            raise AnswerStopped("protocol violation: a reply that is too large")
        try:
            reply = json.loads(frame)
        except (ValueError, RecursionError):
            raise AnswerStopped("protocol violation: not JSON") from None
        if not isinstance(reply, dict) or reply.get("id") != own["id"]:
            raise AnswerStopped("protocol violation: an answer to no question")
        if time.monotonic() - self.metered_at > METERED and self.measure() > seconds:
            raise AnswerStopped(f"over the limit of CPU time ({limit})")
        return reply

    def measure(self) -> float:
        """Read the meter: what was used since the last reading, which is added to `spent`."""
        used = max(0.0, self.meter.seconds() - self.metered)
        self.spent += used
        self.metered, self.metered_at = self.metered + used, time.monotonic()
        return used

    def _wait(self, seconds: float, limit: str) -> bytes:
        """The next frame. CPU time decides; waiting for nothing, and ten times that by the clock, stop it, too.

        Many short calls are looked at as one long one would be: what they wait for nothing is added to `spent`.
        """
        start = looked = time.monotonic()
        idle, pause, look = 0.0, FIRST_LOOK - self.unseen, self.meter.seconds
        while True:
            with contextlib.suppress(queue.Empty):
                frame = self.frames.get(timeout=max(0.001, min(pause, seconds)))
                self.unseen += time.monotonic() - looked
                self.spent += idle
                return frame
            pause = LOOK
            now, total = time.monotonic(), look()
            waited = self.unseen + now - looked
            if self.measured and total - self.seen < 0.05 * waited and not self.meter.busy():
                idle += waited
            self.unseen, self.seen, looked, look = 0.0, total, now, self.meter.look
            used, over = total - self.metered, ""
            if used > seconds:
                over = f"over the limit of CPU time ({limit})"
            elif idle > min(max(seconds, LEAST_WAIT), WAIT_SECONDS):
                over = f"waited {idle:.0f} s for nothing"
            elif now - start > CLOCK * seconds + 1:
                over = f"over {CLOCK} times the limit of CPU time by the clock ({limit})"
            elif self.meter.threads() > THREADS:
                over = f"started more than {THREADS} threads"
            elif self.printed > PRINT_BYTES:
                over = f"printed more than {PRINT_BYTES >> 20} MB"
            if over:
                self.spent += min(seconds, max(used, idle))
                raise AnswerStopped(over)

    def close(self) -> None:
        """End the process and all of its group."""
        self.seconds = max(0.0, self.meter.look() - self.before)
        self.source.end()
        self.wanted.put(False)
        for thread in self.threads:  # they end with the pipes, unless a process outside the group holds these open
            thread.join(1)
        if not any(thread.is_alive() for thread in self.threads):
            for pipe in (self.source.stdin, self.source.stdout, self.source.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, message: bytes) -> None:
        """Write at once what fits into the pipe, and the rest in a thread."""
        if self.writer:
            self.writer.join(WRITTEN_SECONDS)  # on a busy computer a thread whose pipe was emptied may wait its turn
            if self.writer.is_alive():
                raise AnswerStopped("protocol violation: an answer to a question that was not read")
        if os.name == "posix":
            os.set_blocking(self.source.stdin.fileno(), False)
            with contextlib.suppress(OSError):  # the process is gone: whoever reads will notice
                message = message[self.source.stdin.write(message) or 0 :]
            os.set_blocking(self.source.stdin.fileno(), True)
        if message:
            self.writer = _thread(self._write_rest, memoryview(message))
            self.threads.append(self.writer)

    def _write_rest(self, message: memoryview) -> None:
        with contextlib.suppress(OSError):
            while message:
                message = message[self.source.stdin.write(message) :]

    def _read_frames(self) -> None:
        """A frame whenever one is wanted: b"" at the end, and of one that is too large one byte more than the limit."""
        while self.wanted.get():
            header = self._read(4)
            size = struct.unpack(">I", header)[0] if len(header) == 4 else 0
            self.frames.put(self._read(min(size, worker.REPLY_BYTES + 1)))

    def _read(self, size: int) -> bytes:
        content = bytearray()
        with contextlib.suppress(OSError):
            while len(content) < size and (part := self.source.stdout.read(min(size - len(content), 1 << 16))):
                content += part
        return bytes(content)

    def _read_log(self) -> None:
        with contextlib.suppress(OSError):
            while part := self.source.stderr.read(1 << 16):
                self.log += part[: LOG_BYTES - len(self.log)]
                self.printed += len(part)

    def _ending(self) -> str:
        status = self.source.ended()
        if status is None:
            return "the process closed its connection"
        code = -status if status < 0 else status - 128  # bubblewrap reports the second way
        with contextlib.suppress(ValueError):
            if code > 0:
                return f"the process exited, killed by {signal.Signals(code).name}"
        return f"the process exited with status {status}"


class _Started:
    """A worker that was started for one submission."""

    def __init__(self, sandbox: Sandbox, config: dict[str, Any], folder: str) -> None:
        self.container = [sandbox.prefix[0], "kill", f"pgcourse-{secrets.token_hex(8)}"] if sandbox.container else []
        self.popen = subprocess.Popen(
            sandbox.command(sandbox.worker, json.dumps(config), name=self.container[-1] if self.container else ""),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(os.environ) if self.container else environment("/" if sandbox.prefix else folder),
            start_new_session=True,
            bufsize=0,
        )
        assert self.popen.stdin
        assert self.popen.stdout
        assert self.popen.stderr
        self.pid = self.popen.pid
        self.stdin, self.stdout, self.stderr = self.popen.stdin, self.popen.stdout, self.popen.stderr

    def ended(self) -> int | None:
        """Its exit status; None if it lives still."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.popen.wait(5)
        return None

    def end(self) -> None:
        if self.container:
            subprocess.run(self.container, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _kill(self.popen)


class _Forked:
    """A worker that a `Nursery` forked for one submission."""

    def __init__(self, nursery: Nursery, config: dict[str, Any]) -> None:
        self.nursery = nursery
        self.pid = nursery.popen.pid
        self.over = False
        self.status: int | None = None
        (theirs_in, ours_in), (ours_out, theirs_out), (ours_err, theirs_err) = os.pipe(), os.pipe(), os.pipe()
        self.stdin = cast(BinaryIO, os.fdopen(ours_in, "wb", buffering=0))
        self.stdout = cast(BinaryIO, os.fdopen(ours_out, "rb", buffering=0))
        self.stderr = cast(BinaryIO, os.fdopen(ours_err, "rb", buffering=0))
        theirs = [theirs_in, theirs_out, theirs_err]
        try:
            socket.send_fds(nursery.control, [json.dumps(config).encode()], theirs)
        except OSError:
            raise CannotGrade(f"the process that starts the others is gone. {nursery.last_words()}") from None
        finally:
            for pipe in theirs:
                os.close(pipe)

    def ended(self) -> int | None:
        """Its exit status; None if it lived still, and was ended by this."""
        self.end()
        return self.status

    def end(self) -> None:
        if not self.over:
            self.over = True
            self.status = self.nursery.end()


class Nursery:
    """A process in the sandbox that has imported torch and forks a worker for one submission after the other.

    What one submission could leave to the next: memory (each has its own), files (it can write none), other processes
    (the filter of system calls lets it start none). Where one of these does not hold, there is no nursery.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.folder = tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-")
        self.control, theirs = socket.socketpair()
        self.errors = os.fdopen(os.open(Path(self.folder) / "errors", os.O_RDWR | os.O_CREAT), "w+b")
        with theirs:
            self.popen = subprocess.Popen(
                sandbox.command(sandbox.worker, "serve"),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                cwd=self.folder,
                env=environment("/" if sandbox.prefix else self.folder),
                start_new_session=True,
            )
        self.control.settimeout(START_SECONDS)
        try:
            ready = self.control.recv(16)
        except OSError:
            ready = b""
        if ready != b"ready":
            words = self.last_words()
            self.close()
            raise CannotGrade(f"the grading process does not start. {words}")

    @staticmethod
    def possible() -> bool:
        return worker.syscalls.known()

    def end(self) -> int | None:
        """End the worker; its exit status if it had ended by itself."""
        try:
            self.control.send(b"!")
            status = json.loads(self.control.recv(4096))["status"]
        except (OSError, ValueError, KeyError):
            self.close()  # gone itself: whoever is next starts another
            return -signal.SIGKILL
        return status if isinstance(status, int) else None

    def lives(self) -> bool:
        return self.popen.poll() is None

    def last_words(self) -> str:
        self.errors.seek(0)
        return plain(self.errors.read()[-500:].decode(errors="replace"))

    def close(self) -> None:
        _kill(self.popen)
        self.control.close()
        if not self.errors.closed:
            self.errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _kill(popen: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(popen.pid, signal.SIGKILL)
        else:
            popen.kill()
    popen.wait()


class _Meter:
    """What a process and all below it use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.tree: list[psutil.Process] = []
        self._find()

    def _find(self) -> None:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self.pid)
            self.tree = [root, *root.children(recursive=True)]

    def seconds(self) -> float:
        """CPU seconds of those processes that were there at the last look."""
        total = 0.0
        for process in self.tree:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def look(self) -> float:
        self._find()
        return self.seconds()

    def threads(self) -> int:
        total = 0
        for process in self.tree:
            with contextlib.suppress(psutil.Error):
                total += process.num_threads()
        return total

    def busy(self) -> bool:
        """Whether one of them computes, or would if it were its turn, or waits for a disk."""
        for process in self.tree:
            with contextlib.suppress(psutil.Error):
                if process.status() in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP):
                    return True
        return False


def _thread(function: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def remove_leftovers() -> None:
    """Remove the folders of graders that were killed."""
    living = {str(pid) for pid in psutil.pids()}
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*"):
        grader = folder.name.removeprefix(FOLDERS).partition("-")[0]
        if grader.isdecimal() and grader not in living:
            shutil.rmtree(folder, ignore_errors=True)


class Host:
    """Where submissions' processes come from, one after the other."""

    def __init__(self, sandbox: Sandbox) -> None:
        remove_leftovers()
        self.sandbox = sandbox
        self.nursery: Nursery | None = None
        self.ended = False

    def process(self, limits: Limits) -> Process:
        """Raises `CannotGrade` where it does not start, or after `end`."""
        if self.ended:
            raise CannotGrade("the grading was ended")
        if self.sandbox.container or not Nursery.possible():
            return Process(self.sandbox, limits)
        if self.nursery is None or not self.nursery.lives():
            if self.nursery:
                self.nursery.close()
            self.nursery = Nursery(self.sandbox)
            if self.ended:  # while it was started
                self.close()
                raise CannotGrade("the grading was ended")
        return Process(self.sandbox, limits, self.nursery)

    def end(self) -> None:
        """Close, and start nothing any more."""
        self.ended = True
        self.close()

    def close(self) -> None:
        if self.nursery:
            self.nursery.close()
            self.nursery = None

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """A notebook as an answer to one exercise after another: a process, and a new one when that dies.

    The notebook is read, and its process started, when they are first needed.
    """

    def __init__(self, host: Host, content: bytes, entries: Sequence[str]) -> None:
        self.host = host
        self.process: Process | None = None
        self.failed: dict[str, str] = {}
        self.bound: set[str] = set()  # names that some statement has bound or changed without failing
        self.fatal: dict[tuple[str, int], str] = {}  # statements that ended the process: left out from then on
        self.defined: set[str] = set()
        self.loaded = False
        self.loading = LOADS_SECONDS
        self.used = 0.0  # seconds of the answers' calls
        self.seconds = 0.0  # and of all that its processes did
        self.broken = ""
        self.log = ""
        self.content = content
        self.entries = tuple(entries)

    @cached_property
    def submission(self) -> Submission:
        """What the notebook defines.

        Raises:
            Unreadable: it is no notebook, or reading it goes over the limits.
            CannotGrade: the process does not start.
        """
        process = self._start(Limits())
        try:
            request = {"do": "read", "entries": list(self.entries)}
            reply = process.ask(request, READ_SECONDS, f"{READ_SECONDS:g} s for reading it", self.content)
            if "error" in reply:
                raise Unreadable(plain(str(reply["error"]["message"])))
            return Submission(
                tuple(
                    Cell(
                        str(cell["name"]),
                        str(cell["source"]),
                        tuple((int(index), tuple(map(str, names))) for index, names in cell["keep"]),
                    )
                    for cell in reply["cells"]
                ),
                {str(name): plain(str(reason)) for name, reason in reply["missing"].items()},
                tuple(plain(str(note)) for note in reply["notes"]),
                tuple(plain(str(line)) for line in reply["left_out"]),
            )
        except AnswerStopped as error:
            self.stop()
            raise Unreadable(str(error)) from None
        except Unreadable:
            self.stop()
            raise

    def answer(self, entry: str, limits: Limits, replies: dict[str, Any] | None = None) -> SessionAnswer:
        return SessionAnswer(self, entry, limits, replies)

    def start(self, limits: Limits) -> Process:
        """The process, with the submission's definitions in it. Raises `AnswerStopped`, from then on always."""
        submission = self.submission
        if self.process and self.process.memory != limits.memory:
            self.stop()
        while self.process is None or not self.loaded:
            if self.broken:
                raise AnswerStopped(self.broken)
            self._load(submission, self.process or self._start(limits))
        return self.process

    def _start(self, limits: Limits) -> Process:
        self.loaded = False
        process = self.process = self.host.process(limits)
        try:
            words = f"{START_SECONDS / CLOCK:g} s for its start"
            process.ask({"do": "ping"}, START_SECONDS / CLOCK, words)
        except AnswerStopped as error:
            self.stop()
            log = plain(process.log.decode(errors="replace")[-500:])
            raise CannotGrade(f"the grading process does not start: {error}. {log}") from None
        process.meter.look()
        return process

    def _load(self, submission: Submission, process: Process) -> None:
        """Execute the statements. One that ends the process is left out when the next process gets them."""
        place, names = ("", 0), tuple[str, ...]()
        try:
            for cell in submission.cells:
                for index, names in cell.keep:
                    place = (cell.name, index)
                    if place in self.fatal:
                        self._note(names, self.fatal[place])
                        continue
                    request = {"do": "execute", "name": cell.name, "source": cell.source, "index": index}
                    seconds = min(LOAD_SECONDS, self.loading)
                    limit = f"{LOAD_SECONDS:g} s for a statement, {LOADS_SECONDS:g} s for all"
                    before = process.spent
                    reply = process.ask(request, seconds, limit)
                    self.loading -= process.spent - before
                    problem = ""
                    if "error" in reply:
                        problem = f"{cell.name}: {answer_error(reply['error'])}"
                    self._note(names, problem)
            place = ("", 0)
            reply = process.ask({"do": "defined", "names": list(self.entries)}, LOAD_SECONDS, "the list of names")
            self.defined = {name for name in reply["defined"] if name in self.entries}
            process.measure()  # none of this is the answers' time
            self.loaded = True
        except (AttributeError, KeyError, TypeError):
            self.broken = "while loading: protocol violation"
            self.stop()
        except AnswerStopped as error:
            self.stop()
            self.fatal[place] = f"{place[0]}: {error}"
            self.loading -= LOAD_SECONDS
            if place == ("", 0) or self.loading <= 0:
                self.broken = f"while loading: {error}"

    def _note(self, names: Sequence[str], problem: str) -> None:
        for name in names:
            if problem:
                self.failed[name] = plain(problem)
            else:
                self.failed.pop(name, None)
                self.bound.add(name)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """A remark for each name whose last statement failed after an earlier one had bound it."""
        return tuple(
            f"{name} keeps its earlier value: {reason}" for name, reason in self.failed.items() if name in self.bound
        )

    def missing(self, name: str) -> str:
        """Why a name that the notebook seems to define is not there; "" if that is not known."""
        return self.failed.get(name) or self.submission.missing.get(name, "")

    def stop(self) -> None:
        if self.process:
            self.process.close()
            self.seconds += self.process.seconds
            self.log += self.process.log.decode(errors="replace")
            self.log = self.log[:LOG_BYTES]
            self.process = None


class SessionAnswer:
    """One function of a submission, as the checks see it.

    `replies` are those that were kept when the same notebook was graded before: what was asked then is not asked
    again. Those to come are added.
    """

    def __init__(self, session: Session, entry: str, limits: Limits, replies: dict[str, Any] | None = None) -> None:
        self.session = session
        self.entry = entry
        self.limits = limits
        self.replies = {} if replies is None else replies
        self.known = frozenset(self.replies)
        self.chain = ""  # of calls that depend on those before them
        self.behind: list[Call] = []  # calls of the chain that this process has not seen
        self.times: Counter[str] = Counter()
        self.returned = 0  # bytes

    def prepare(self) -> None:
        self.chain, self.behind = "", []
        if PREPARED not in self.known:
            self.replies.pop(PREPARED, None)
            try:
                self.session.start(self.limits)
                if self.entry not in self.session.defined:
                    reason = self.session.missing(self.entry) or f"there is no function {self.entry}"
                    raise AnswerStopped(f"not defined: {reason}")
            except AnswerStopped as error:
                self.replies[PREPARED] = {"stopped": str(error)}
                raise
            self.replies[PREPARED] = {}
        elif "stopped" in self.replies[PREPARED]:
            raise AnswerStopped(self.replies[PREPARED]["stopped"])

    def clock(self) -> float:
        return self.session.used

    def ask(self, call: Call, deadline: float) -> Reply:
        request = call.request(self.entry)
        text = json.dumps(request, sort_keys=True)
        key = hashlib.sha256((self.chain + text).encode()).hexdigest()
        self.times[key] += 1
        if request.get("keep") or request.get("on"):
            self.chain = key
        key = f"{key}-{self.times[key]}"
        if key not in self.known:
            before = [json.dumps(one.request(self.entry)) for one in self.behind]
            self.replies[key] = self._asked([*before, text], deadline)
            self.behind = []
        elif self.chain:
            self.behind.append(call)
        content = self.replies[key]
        if "stopped" in content:
            raise AnswerStopped(content["stopped"])
        try:
            if "error" not in content:
                return Reply.parse(call, content)
            raise self._error(content["error"], content.get("missing", ""))
        except AnswerStopped:
            self.session.stop()
            raise

    def _asked(self, requests: list[str], deadline: float) -> dict[str, Any]:
        """The reply to the last of these requests in JSON, as it is kept."""
        try:
            process = self.session.start(self.limits)
        except AnswerStopped as error:
            return {"stopped": str(error)}
        before = process.spent
        limit = f"{self.limits.check_seconds:g} s a check, {self.limits.exercise_seconds:g} s an exercise"
        content: dict[str, Any] = {}
        try:
            for request in requests:
                left = deadline - self.session.used - (process.spent - before)
                if left <= 0:
                    raise AnswerStopped(f"over the limit of CPU time ({limit}), waiting included")
                content = process.ask(request, left, limit)
                self.returned += process.replied
                if self.returned > RETURN_BYTES:
                    raise AnswerStopped(f"returned more than {RETURN_BYTES >> 20} MB in all")
        except AnswerStopped as error:
            self.session.stop()
            return {"stopped": str(error)}
        finally:
            self.session.used += process.spent - before
        content.pop("id")
        if isinstance(info := content.get("error"), dict):
            content["missing"] = self.session.missing(str(info.get("name")))
        return content

    def _error(self, info: object, missing: str) -> AnswerError | AnswerStopped:
        fields = ("type", "message", "where", "name")
        if not isinstance(info, dict) or not all(isinstance(info.get(field), str) for field in fields):
            return AnswerStopped("protocol violation: an error without words")
        if info["type"] == "MemoryError" or "can't allocate memory" in info["message"]:
            return AnswerStopped(f"over the memory limit of {self.limits.memory / 2**30:g} GiB")
        return answer_error(info, f": {missing}" if missing else "")
