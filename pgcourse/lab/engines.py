"""Where tasks are computed. An engine yields what happens to its tasks as it happens."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, TypeAlias

import torch

REPORT_EVERY = 0.2  # seconds between two reports of a task's progress


class Progress(NamedTuple):
    task: int
    fraction: float


class Done(NamedTuple):
    task: int
    result: Any


class Failed(NamedTuple):
    task: int
    error: str


Event: TypeAlias = Progress | Done | Failed
Task: TypeAlias = Callable[[Any, Callable[[float], None]], Any]


def local(function: Task, arguments: Sequence[Any], workers: int) -> Iterator[Event]:
    """Call `function(argument, report)` for every argument, each in a fresh process with one torch thread.

    At most `workers` processes run at a time; `report(fraction)` tells how far a task has come. A task that raises, or
    whose process dies, is `Failed` and costs no other. Closing the iterator, or an interrupt in it, ends the processes;
    they also end on their own when this one is gone.

    Raises:
        ValueError: `workers` below 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}")
    context = multiprocessing.get_context("spawn")
    waiting = list(enumerate(arguments))[::-1]
    running: dict[Connection, tuple[int, SpawnProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                task, argument = waiting.pop()
                receive, send = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(send, function, task, argument), daemon=True)
                with _interrupts_ignored():
                    process.start()
                send.close()
                running[receive] = task, process
            ready = wait(list(running))
            for receive in [each for each in running if each in ready]:
                task, process = running[receive]
                try:
                    event = receive.recv()
                except (EOFError, OSError):
                    process.join()
                    event = Failed(task, f"its process ended with exit code {process.exitcode}")
                yield event
                if not isinstance(event, Progress):
                    process.join()
                    receive.close()
                    del running[receive]
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(10)
            process.kill()
            process.join()


def _work(send: Connection, function: Task, task: int, argument: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` still runs
    torch.set_num_threads(1)
    last = time.monotonic()

    def report(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_EVERY:
            send.send(Progress(task, fraction))
            last = time.monotonic()

    with suppress(BrokenPipeError):  # the parent is gone: so is this process
        try:
            event: Event = Done(task, function(argument, report))
        except BrokenPipeError:
            raise
        except Exception:
            event = Failed(task, traceback.format_exc().strip())
        send.send(event)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process started in here ignores Ctrl-C from its first moment on, where it could only print a traceback."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
