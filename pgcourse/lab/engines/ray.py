"""The engine that computes on a Ray cluster: a fresh process for each task, on any node with a free processor."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import re
import socket
import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from pgcourse.lab.engines.events import Advanced, Done, Event, Failed, Task
from pgcourse.lab.provenance import package_digest

ATTEMPTS = 4  # how often a task may begin, where the first processes that had it were lost
IN_FLIGHT = 10_000  # tasks that Ray is given at a time, by default
REPORTS = 500  # of progress a second, at most about, from all tasks together
GRACE = 10.0  # seconds that cancelled tasks have to clean up
REACH = 10.0  # seconds in which a head node must answer
STARTS = 3  # of Ray on this machine: one fails where an agent of its needs over 15 s (ray-project/ray#65983)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of the tracebacks that Ray passes on

# Nothing is sent to Ray's makers, and nothing of the cluster's own printed among what the caller prints: events say it.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}


class RayMissing(ModuleNotFoundError):
    """Ray is not installed."""


def ray(
    function: Task, arguments: Sequence[Any], address: str | None = None, workers: int | None = None
) -> Generator[Event, None, None]:
    """Call `function(argument, report)` for every argument on a Ray cluster, as `local` does on this machine.

    Each call has one processor, one torch thread and a fresh process. At most `workers` tasks run at a time, by default
    as many as the cluster has processors. `address` is the head node's, such as "10.0.0.1:6379", or "auto" on a node of
    the cluster; by default $RAY_ADDRESS. Without either, or with "local", Ray is started for this machine alone and
    stopped in the end. A process that is connected to Ray already uses that connection and keeps it.

    A task whose process or node is lost begins anew, `ATTEMPTS` times in all, before it is `Failed`. A task that raises
    is `Failed` at once, and so is one on a node whose pgcourse or torch is not the one here. Closing the iterator, or
    an interrupt in it, ends the tasks.

    Raises:
        RayMissing: Ray is not installed.
        ValueError: `workers` below 1; an address for a process that is connected already.
        ConnectionError: no cluster at the address, or one that does not let this process in; the address of a Ray
            client ("ray://...").
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}")
    limit = min(workers or IN_FLIGHT, len(arguments))
    every = max(1.0, limit / REPORTS)
    waiting = list(range(len(arguments)))[::-1]
    attempts = [0] * len(arguments)
    running: dict[Future[bytes], tuple[int, Any]] = {}  # with the task and its ObjectRef
    ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    def follow(reference: Any) -> Future[Any]:
        """A future that joins the queue when it has ended: `ray.wait` would look at every task each time."""
        future: Future[Any] = reference.future()
        future.add_done_callback(ended.put)
        return future

    with _connection(address, workers) as api, _board(api) as board:
        work = api.remote(num_cpus=1, max_calls=1, max_retries=0)(_work)  # max_calls: no process is used twice
        here = _versions()
        reading, due = None, time.monotonic() + every
        try:
            while waiting or running:
                while waiting and len(running) < limit:
                    task = waiting.pop()
                    attempts[task] += 1
                    reference = work.remote(function, task, arguments[task], here, board, every)
                    running[follow(reference)] = task, reference
                if reading is None and time.monotonic() >= due:
                    reading = follow(board.read.remote())
                try:
                    future = ended.get(timeout=every)
                except queue.Empty:
                    continue
                if future is reading:
                    reading, due = None, time.monotonic() + every
                    told = {} if future.exception() else future.result()
                    tasks = {task for task, _ in running.values()}
                    yield from (Advanced(task, *each) for task, each in told.items() if task in tasks)
                    continue
                task, _ = running.pop(future)
                error = future.exception()
                if error is None:
                    yield pickle.loads(future.result())
                elif isinstance(error, api.exceptions.RayTaskError):
                    yield Failed(task, COLOURS.sub("", str(error)).strip())
                elif attempts[task] < ATTEMPTS:
                    waiting.append(task)
                else:
                    yield Failed(task, f"its process or node was lost {ATTEMPTS} times, last with: {error}")
        finally:
            for force in (False, True):  # first an interrupt, so that every `finally` in the tasks runs
                for future, (_, reference) in running.items():
                    if not future.done():
                        api.cancel(reference, force=force)
                wait(running, timeout=GRACE)


def _work(function: Task, task: int, argument: Any, versions: dict[str, str], board: Any, every: float) -> bytes:
    """An event, pickled: what Ray unpickles itself is read-only and stays in its object store."""
    from ray import cloudpickle

    torch.set_num_threads(1)
    last = time.monotonic()

    def report(fraction: float, value: float | None = None) -> None:
        nonlocal last
        if time.monotonic() - last > every:
            board.tell.remote(task, fraction, value)
            last = time.monotonic()

    if (here := _versions()) != versions:
        error = f"node {socket.gethostname()} has {here}, the head {versions}; install the same on both"
        return cloudpickle.dumps(Failed(task, error))
    try:
        return cloudpickle.dumps(Done(task, function(argument, report)))
    except Exception:
        return cloudpickle.dumps(Failed(task, traceback.format_exc().strip()))


def _versions() -> dict[str, str]:
    return {"pgcourse source": package_digest()[:12], "torch": torch.__version__}


@contextmanager
def _board(api: Any) -> Iterator[Any]:
    """An actor beside the caller, where tasks write how far they are."""

    class Board:  # in here, Ray sends it as it is, and its process need not import this package and torch
        def __init__(self) -> None:
            self.told: dict[int, tuple[float, float | None]] = {}

        def tell(self, task: int, fraction: float, value: float | None) -> None:
            self.told[task] = fraction, value

        def read(self) -> dict[int, tuple[float, float | None]]:
            """What is new since the last reading."""
            told, self.told = self.told, {}
            return told

    node = api.get_runtime_context().get_node_id()
    beside = api.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    board = api.remote(num_cpus=0, scheduling_strategy=beside)(Board).remote()
    try:
        yield board
    finally:
        api.kill(board)


@contextmanager
def _connection(address: str | None, workers: int | None) -> Iterator[Any]:
    """The module `ray`, connected."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)  # Ray reads them when it is imported
    try:
        api = import_module("ray")
        import_module("ray.util.scheduling_strategies")
    except ModuleNotFoundError as error:
        raise RayMissing('Ray is not installed; remedy: pip install "pgcourse[ray]"') from error
    if api.is_initialized():
        if address is not None:
            raise ValueError(f"this process is connected to Ray already, so not to {address!r}; call ray.shutdown()")
        yield api
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        if address == "local":
            options = {"num_cpus": workers, "num_gpus": 0, "include_dashboard": False}
        else:
            _reach(address)
            options = {}
        _start(api, address, options)
        yield api
    finally:
        api.shutdown()


def _start(api: Any, address: str, options: dict[str, Any]) -> None:
    """Connect; where Ray has to be started and takes too long, again."""
    for left in reversed(range(STARTS)):
        try:
            api.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
            return
        except Exception as error:  # a start that takes too long has no class of its own
            late = "timed out during startup" in str(error)
            if not (late or isinstance(error, RuntimeError | ConnectionError)):
                raise
            api.shutdown()
            if late and left:
                continue
            remedy = (
                "it needs the same Python and Ray there and here, and RAY_AUTH_MODE=token where it asks for a token"
            )
            if late:
                remedy = "try again when the processors are less busy, or compute without Ray"
            raise ConnectionError(f"no connection to Ray at {address!r} ({error}); {remedy}") from error


def _reach(address: str) -> None:
    """Fail now where Ray would wait for minutes."""
    if address.startswith("ray://"):
        raise ConnectionError(f"{address!r} is for a Ray client; run on the head node, with address 'auto'")
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except (OSError, ValueError, OverflowError) as error:
        remedy = "an address is HOST:PORT of a node started with `ray start --head`"
        raise ConnectionError(f"no Ray cluster answers at {address!r} ({error}); {remedy}") from error
