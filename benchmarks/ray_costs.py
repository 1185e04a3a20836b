"""What a study on a Ray cluster costs beside its computing: constants measured on this machine, and what they imply.

    python -m benchmarks.ray_costs --json > costs.json      measure (minutes): one JSON document
    python -m benchmarks.ray_costs --from costs.json        the tables of docs/ray.md, from such a document
    python -m benchmarks.ray_costs                          both

A head that computes no runs, and a node with all of this machine's processors, are processes of this machine: what a
network adds is not in it. Nothing else should keep the machine busy; its load before is in the document.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from pgcourse.lab import Study, machine, runs
from pgcourse.lab.engines import Done, Event, Failed, local
from pgcourse.lab.engines.ray import QUIET, REPORTS, ray

STUDY = """
title = "A run of ten seeds"
env = "CartPole-v1"
steps = 20_000
seeds = 10
[variants.a2c]
algorithm = "a2c"
"""
TASKS = 20  # that compute nothing
PENDING = 10_000  # that wait
MESSAGES = 5_000  # from each of two senders
IDLE = 20  # seconds

STUDIES = ((1_000, 20), (10_000, 20), (10_000, 1))  # (runs, minutes of each)
WORKERS = (10, 100, 1_000, 5_000)


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes, of one run where nothing else is said; "cpu" is that of processes, with Ray's threads."""

    connect: float  # the engine, once, to a cluster that is there
    worker_cpu: float  # of its process before it computes: starting, imports
    worker_local_cpu: float  # the same with the local engine
    driver_cpu: float  # of the process that calls the engine: submission, the result fetched and unpickled
    store: float  # to write the record, in the same process
    control_cpu: float  # of Ray's control service on the head
    raylet_cpu: float  # of the head's raylet
    submit_cpu: float  # of the driver, of one of `PENDING` submitted at once
    pending_bytes: float  # of the head's memory, of one of them
    stop: float  # to end them all
    message_cpu: float  # of the actor that hears of progress, of a message
    result_bytes: float
    record_bytes: float

    @property
    def head(self) -> float:
        """The head's seconds for a run: those of its busiest process, as each can have a processor."""
        return max(self.driver_cpu + self.store, self.control_cpu, self.raylet_cpu)

    def wall(self, runs: int, minutes: float, workers: int) -> float:
        """Seconds of `runs` equally long runs, in waves; the first and the last wave meet the head all at once."""
        computing = math.ceil(runs / workers) * (60 * minutes + self.worker_cpu)
        return self.connect + max(computing, runs * self.head) + min(runs, workers) * self.head

    def efficiency(self, runs: int, minutes: float, workers: int) -> float:
        """The part of the workers' time that computes runs."""
        return runs * 60 * minutes / (workers * self.wall(runs, minutes, workers))

    def limit(self, minutes: float) -> float:
        """Workers that keep the head busy all the time: with more, results wait for it."""
        return (60 * minutes + self.worker_cpu) / self.head


def measure() -> Costs:
    os.environ.update(QUIET)
    import ray as library
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=os.cpu_count(), object_store_memory=2**30)
        services = cluster.head_node.all_processes
        head = {
            "driver": psutil.Process(),
            "control": psutil.Process(services["gcs_server"][0].process.pid),
            "raylet": psutil.Process(services["raylet"][0].process.pid),
        }
        connect = seconds(lambda: library.init(cluster.address, log_to_driver=False, logging_level="ERROR"))
        with tempfile.TemporaryDirectory() as name:
            sizes, store, file = one_run(Path(name))
            idle = cpu_seconds(head, lambda: time.sleep(IDLE))
            begun, workers = time.perf_counter(), []
            busy = cpu_seconds(head, lambda: workers.extend(results(ray(give, [file] * TASKS))))
            rest = (time.perf_counter() - begun) / IDLE  # Ray's services do something always: not what a run costs
            cpu = {f"{name}_cpu": (busy[name] - rest * idle[name]) / TASKS for name in head}
            workers_local = results(local(give, [file] * TASKS))
            waiting = pending(head)
        return Costs(
            connect=connect,
            worker_cpu=statistics.median(workers),
            worker_local_cpu=statistics.median(workers_local),
            store=store,
            message_cpu=message_cpu(library),
            **cpu,
            **waiting,
            **sizes,
        )
    finally:
        library.shutdown()
        cluster.shutdown()


def one_run(folder: Path) -> tuple[dict[str, float], float, Path]:
    """Sizes of a run's result and record, seconds to write the record, and a file with the result."""
    (folder / "one").mkdir()
    (folder / "one" / "study.toml").write_text(STUDY, encoding="utf-8")
    os.environ["PGCOURSE_RESULTS"] = str(folder)
    (block,) = Study.read("one").blocks()
    computed = runs.compute(block)
    store = statistics.median(seconds(lambda: runs.store(block, computed, replace=True)) for _ in range(20))
    record = sum(file.stat().st_size for file in (folder / "one" / block.name).iterdir())
    file = folder / "result"
    file.write_bytes(pickle.dumps(computed))
    return {"result_bytes": file.stat().st_size, "record_bytes": record}, store, file


def pending(head: dict[str, psutil.Process]) -> dict[str, float]:
    """Submit many tasks at once, see what they take of the head, end them."""
    blocks = Study.read("one").blocks()
    memory = sum(process.memory_info().rss for process in head.values())
    events = ray(linger, blocks * PENDING)
    cpu = cpu_seconds(head, lambda: next(events))
    memory = sum(process.memory_info().rss for process in head.values()) - memory
    return {"submit_cpu": cpu["driver"] / PENDING, "pending_bytes": memory / PENDING, "stop": seconds(events.close)}


def message_cpu(library: Any) -> float:
    """CPU seconds of an actor for one message of the kind that tells progress."""

    class Listener:
        def __init__(self) -> None:
            self.fractions: dict[int, float] = {}

        def tell(self, task: int, fraction: float) -> None:
            self.fractions[task] = fraction

        def cpu(self) -> float:
            return time.process_time()

    def send(listener: Any) -> None:
        for task in range(MESSAGES):
            listener.tell.remote(task, 0.5)
        library.get(listener.cpu.remote())  # after all of its own

    listener = library.remote(num_cpus=0)(Listener).remote()
    before = library.get(listener.cpu.remote())
    library.get([library.remote(num_cpus=0)(send).remote(listener) for _ in range(2)])
    return (library.get(listener.cpu.remote()) - before) / (2 * MESSAGES)


def give(file: Path, report: Callable[[float], None]) -> tuple[float, Any]:
    """CPU seconds of this process so far, and the result of a run that was computed before."""
    return time.process_time(), pickle.loads(file.read_bytes())


def linger(argument: Any, report: Callable[[float], None]) -> None:
    while True:
        time.sleep(0.05)
        report(0.0)


def results(events: Iterable[Event]) -> list[float]:
    """What `give` measured, task by task."""
    found = []
    for event in events:
        if isinstance(event, Failed):
            raise RuntimeError(event.error)
        if isinstance(event, Done):
            found.append(event.result[0])
    return found


def seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def cpu_seconds(processes: dict[str, psutil.Process], call: Callable[[], Any]) -> dict[str, float]:
    """What the processes use while it is called."""
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    call()
    return {name: sum(process.cpu_times()[:2]) - before[name] for name, process in processes.items()}


def tables(costs: Costs, machine: dict[str, Any], load: float) -> str:
    """What was measured and what follows from it, in Markdown."""

    def row(*cells: str) -> str:
        return f"| {' | '.join(cells)} |"

    def table(*header: str) -> list[str]:
        return ["", row(*header), row("---", *["---:"] * (len(header) - 1))]

    def ms(value: float) -> str:
        return f"{1e3 * value:,.3g} ms"

    def kb(value: float) -> str:
        return f"{value / 1e3:,.0f} kB"

    lines = [f"Measured on {machine['system']}, {machine['cpu_model']}; load of the machine before: {load:.1f}."]
    lines += table("constant", "measured")
    lines += [
        row("connecting, once", f"{costs.connect:.2f} s"),
        row("worker: CPU of a fresh process and its imports, a run", f"{costs.worker_cpu:.2f} s"),
        row("the same with the local engine", f"{costs.worker_local_cpu:.2f} s"),
        row("head: CPU of the driver, a run", ms(costs.driver_cpu)),
        row("head: writing the record, a run", ms(costs.store)),
        row("head: CPU of Ray's control service, a run", ms(costs.control_cpu)),
        row("head: CPU of its raylet, a run", ms(costs.raylet_cpu)),
        row(f"submitting {PENDING:,} runs at once, CPU for each", ms(costs.submit_cpu)),
        row("memory of the head, for each that waits", kb(costs.pending_bytes)),
        row(f"ending the {PENDING:,}", f"{costs.stop:.1f} s"),
        row("CPU for a message of progress", ms(costs.message_cpu)),
        row(f"the same for {REPORTS} a second, of a processor", f"{REPORTS * costs.message_cpu:.1%}"),
        row("a result, through Ray's object store", kb(costs.result_bytes)),
        row("a record on the head's disk", kb(costs.record_bytes)),
    ]
    lines += table("workers", *(f"{runs:,} runs × {minutes} min" for runs, minutes in STUDIES))
    for workers in WORKERS:
        cells = [
            f"{clock(costs.wall(runs, minutes, workers))}, {costs.efficiency(runs, minutes, workers):.1%}"
            for runs, minutes in STUDIES
        ]
        lines.append(row(f"{workers:,}", *cells))
    lines += table("minutes a run", "workers that keep the head busy", "runs an hour")
    for minutes in (1, 5, 20, 60):
        lines.append(row(str(minutes), f"{costs.limit(minutes):,.0f}", f"{3600 / costs.head:,.0f}"))
    return "\n".join(lines)


def clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{seconds / 60:.1f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--from", dest="file", type=Path, help="do not measure: read such a document")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.file:
        document = json.loads(arguments.file.read_text("utf-8"))
    else:
        load = psutil.getloadavg()[0]
        document = {"machine": machine(), "load_before": load, "costs": dataclasses.asdict(measure())}
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        print(tables(Costs(**document["costs"]), document["machine"], document["load_before"]))


if __name__ == "__main__":
    main()
