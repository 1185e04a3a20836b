"""The engine that computes on this machine: a fresh process for each task."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

import torch

from pgcourse.lab.engines.events import Advanced, Done, Event, Failed, Task

REPORT_EVERY = 0.5  # seconds between two reports of a task's progress
ENDING = 10.0  # seconds that a process has to end by itself


def local(function: Task, arguments: Sequence[Any], workers: int | None = None) -> Generator[Event, None, None]:
    """Call `function(argument, report)` for every argument, each in a fresh process with one torch thread.

    At most `workers` processes run at a time, by default one for each processor. `report` tells how far a task
    has come. A task that raises, or whose process dies, is `Failed` and costs no other. Closing the iterator, or
    an interrupt in it, ends the processes; they also end on their own when this one is gone.

    Raises:
        ValueError: `workers` below 1.
    """
    workers = _processors() if workers is None else workers
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
                # No daemon: those may have no processes of their own, and a world may want some. `finally` ends it.
                process = context.Process(target=_work, args=(send, function, task, argument), daemon=False)
                with _interrupts_held_back():
                    process.start()
                    running[receive] = task, process
                send.close()
            ready = wait(list(running))
            for receive in [each for each in running if each in ready]:
                task, process = running[receive]
                try:
                    event = pickle.loads(receive.recv_bytes())
                except (EOFError, OSError):
                    process.join()
                    event = Failed(task, f"its process ended with exit code {process.exitcode}")
                if not isinstance(event, Advanced):
                    _see_out(process)
                    receive.close()
                    del running[receive]
                    process.close()  # left to the garbage collector, it would swallow an interrupt that comes then
                yield event
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            _see_out(process)


def _see_out(process: SpawnProcess) -> None:
    """Wait for a process to end, but not for those that it may have left running and waits for itself."""
    for end in (process.terminate, process.kill):
        process.join(ENDING)
        if process.exitcode is None:
            end()
    process.join()


def _processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(send: Connection, function: Task, task: int, argument: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, _end)
    torch.set_num_threads(1)
    gc.freeze()  # what was imported stays: collections that look at it took 3 % of a small training's time
    last = time.monotonic()

    def report(fraction: float, value: float | None = None) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_EVERY:
            send.send_bytes(pickle.dumps(Advanced(task, fraction, value)))
            last = time.monotonic()

    with suppress(BrokenPipeError):  # the parent is gone: so is this process
        try:
            event: Event = Done(task, function(argument, report))
        except BrokenPipeError:
            raise
        except Exception:
            event = Failed(task, traceback.format_exc().strip())
        send.send_bytes(pickle.dumps(event))  # not `send`, with which tensors are lent, and gone with this process


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    sys.exit(1)  # an exception: every `finally` still runs


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits until the block is left; processes started in it never see one, from their first moment on."""
    if threading.current_thread() is not threading.main_thread():  # Python interrupts the main thread only
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    # Not masked alone: another thread of the process may still be sent the signal, and pass it on to this one.
    handler = signal.signal(signal.SIGINT, lambda *interrupt: held.append(interrupt))
    try:
        with _masked(signal.SIGINT):
            yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held and callable(handler):
            handler(*held[0])


@contextmanager
def _masked(number: int) -> Iterator[None]:
    """Processes started in the block inherit that this signal is blocked."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # here, because starting it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
