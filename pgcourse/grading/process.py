"""Control of the process that runs a submission: messages, deadlines and termination."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pgcourse.grading import worker
from pgcourse.grading.collect import Submission
from pgcourse.grading.exercise import AnswerError, AnswerStopped, Call, Limits, Reply, answer_error, plain
from pgcourse.grading.sandbox import CannotGrade, Sandbox, environment

START_SECONDS = 120.0  # importing torch on a slow, busy computer; no line of the submission runs in this time
LOAD_SECONDS = 20.0  # executing the submission's imports and definitions
CPU_SECONDS = 300  # after which the system ends a process that nobody was left to end
LOG_BYTES = 64 << 10


class Process:
    """One worker process. Whatever it writes is bytes from a stranger: limited, checked, never executed.

    Threads wait on its pipes, because only POSIX can wait for a pipe with a time limit.
    """

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self.folder = tempfile.mkdtemp(prefix="pgcourse-grade-")
        self.memory = limits.memory
        config = {"memory": limits.memory, "cpu_seconds": CPU_SECONDS, "alone": bool(sandbox.prefix)}
        self.popen = subprocess.Popen(
            sandbox.command(sandbox.worker, json.dumps(config)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=environment("/" if sandbox.prefix else self.folder),
            start_new_session=True,
            bufsize=0,
        )
        self.log = b""
        self.threads = [_thread(self._read_log)]

    def ask(self, request: dict[str, Any], deadline: float, limit: str) -> dict[str, Any]:
        """Send a request and wait for its reply. Raises `AnswerStopped`; the process is of no use after that."""
        request = {**request, "id": secrets.token_hex(8)}
        frames: queue.Queue[bytes] = queue.Queue()
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        self.threads.append(_thread(self._write, json.dumps(request).encode()))
        self.threads.append(_thread(self._read_frame, frames))
        try:
            frame = frames.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise AnswerStopped(f"over the time limit of {limit}") from None
        if len(frame) == 0:
            raise AnswerStopped(self._ending())
        if len(frame) > worker.REPLY_BYTES:
            raise AnswerStopped("protocol violation: a reply that is too large")
        try:
            reply = json.loads(frame)
        except (ValueError, RecursionError):
            raise AnswerStopped("protocol violation: not JSON") from None
        if not isinstance(reply, dict) or reply.get("id") != request["id"]:
            raise AnswerStopped("protocol violation: an answer to no question")
        return reply

    def close(self) -> None:
        """End the process and all of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.popen.pid, signal.SIGKILL)
            else:
                self.popen.kill()
        self.popen.wait()
        for thread in self.threads:  # they end with the pipes, unless a process outside the group holds these open
            thread.join(1)
        if not any(thread.is_alive() for thread in self.threads):
            for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
                assert pipe
                pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, content: bytes) -> None:
        assert self.popen.stdin
        content = struct.pack(">I", len(content)) + content
        with contextlib.suppress(OSError):  # the process is gone: whoever reads will notice
            while content:
                content = content[self.popen.stdin.write(content) :]

    def _read_frame(self, frames: queue.Queue[bytes]) -> None:
        """Put one frame, or one byte more than the limit of one that is too large, or nothing at the end."""
        header = self._read(4)
        size = struct.unpack(">I", header)[0] if len(header) == 4 else 0
        frames.put(self._read(min(size, worker.REPLY_BYTES + 1)))

    def _read(self, size: int) -> bytes:
        assert self.popen.stdout
        content = bytearray()
        while len(content) < size and (part := self.popen.stdout.read(min(size - len(content), 1 << 16))):
            content += part
        return bytes(content)

    def _read_log(self) -> None:
        assert self.popen.stderr
        while part := self.popen.stderr.read(1 << 16):
            self.log += part[: LOG_BYTES - len(self.log)]

    def _ending(self) -> str:
        try:
            status = self.popen.wait(5)
        except subprocess.TimeoutExpired:
            return "the process closed its connection"
        code = -status if status < 0 else status - 128  # bubblewrap reports the second way
        with contextlib.suppress(ValueError):
            if code > 0:
                return f"the process exited, killed by {signal.Signals(code).name}"
        return f"the process exited with status {status}"


def _thread(function: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


class Session:
    """A submission as an answer to one exercise after another: a process, and a new one when that dies."""

    def __init__(self, submission: Submission, sandbox: Sandbox) -> None:
        self.submission = submission
        self.sandbox = sandbox
        self.process: Process | None = None
        self.failed: dict[str, str] = {}
        self.broken = ""
        self.log = ""

    def answer(self, entry: str, limits: Limits) -> SessionAnswer:
        return SessionAnswer(self, entry, limits)

    def start(self, limits: Limits) -> Process:
        """The process, with the submission's definitions in it. Raises `AnswerStopped`, from then on always."""
        if self.broken:
            raise AnswerStopped(self.broken)
        if self.process and self.process.memory != limits.memory:
            self.stop()
        if self.process is None:
            process = self.process = Process(self.sandbox, limits)
            try:
                self._boot(process)
                request = {"do": "load", "cells": [asdict(cell) for cell in self.submission.cells]}
                reply = process.ask(request, time.monotonic() + LOAD_SECONDS, f"{LOAD_SECONDS:g} s")
                if "error" in reply:
                    raise AnswerStopped(f"{answer_error(reply['error'])}")
                self.failed = {str(name): plain(str(reason)) for name, reason in reply["failed"].items()}
            except (AttributeError, KeyError, TypeError):
                self.broken = "while loading: protocol violation"
            except AnswerStopped as error:
                self.broken = f"while loading: {error}"
            if self.broken:
                self.stop()
                raise AnswerStopped(self.broken)
        return self.process

    def _boot(self, process: Process) -> None:
        try:
            process.ask({"do": "ping"}, time.monotonic() + START_SECONDS, f"{START_SECONDS:g} s")
        except AnswerStopped as error:
            log = plain(process.log.decode(errors="replace")[-500:])
            raise CannotGrade(f"the grading process does not start: {error}. {log}") from None

    def stop(self) -> None:
        if self.process:
            self.process.close()
            self.log += self.process.log.decode(errors="replace")
            self.process = None


class SessionAnswer:
    """One function of a submission, as the checks see it."""

    def __init__(self, session: Session, entry: str, limits: Limits) -> None:
        self.session = session
        self.entry = entry
        self.limits = limits

    def prepare(self) -> None:
        self.session.start(self.limits)
        if self.entry in self.session.failed:
            raise AnswerStopped(f"not defined: {self.session.failed[self.entry]}")

    def ask(self, call: Call, deadline: float) -> Reply:
        process = self.session.start(self.limits)
        try:
            limit = f"{self.limits.check_seconds:g} s a check, {self.limits.exercise_seconds:g} s an exercise"
            content = process.ask(call.request(self.entry), deadline, limit)
            if "error" not in content:
                return Reply.parse(call, content)
            raise self._error(content["error"])
        except AnswerStopped:
            self.session.stop()
            raise

    def _error(self, info: object) -> AnswerError | AnswerStopped:
        fields = ("type", "message", "where", "name")
        if not isinstance(info, dict) or not all(isinstance(info.get(field), str) for field in fields):
            return AnswerStopped("protocol violation: an error without words")
        if info["type"] == "MemoryError" or "can't allocate memory" in info["message"]:
            return AnswerStopped(f"over the memory limit of {self.limits.memory / 2**30:g} GiB")
        reason = self.session.failed.get(info["name"]) or self.session.submission.missing.get(info["name"], "")
        return answer_error(info, f": {reason}" if reason else "")
