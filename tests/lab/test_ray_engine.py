"""The Ray engine on a cluster of a head and two nodes, all on this machine; the last test kills one of the nodes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

import pgcourse as pg
from pgcourse.lab.engines import Advanced, Done, Failed, local
from pgcourse.lab.engines import ray as engine
from pgcourse.lab.engines.ray import RayMissing, ray
from pgcourse.lab.records import metrics_digest, tensor_digest

try:
    import ray as library
    from ray.cluster_utils import Cluster
except ModuleNotFoundError:
    library = None

needs_ray = pytest.mark.skipif(
    library is None or sys.platform != "linux", reason='needs Linux and pip install "pgcourse[ray]"'
)
ROOT = Path(__file__).resolve().parents[2]
MARK = "PGCOURSE_TEST_RAY"  # an environment variable that everything started here inherits
AGENTS = frozenset(
    {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
)  # idle, they wait a minute for a head that is killed


def living(mark: str, within: float, besides: frozenset[str] = frozenset()) -> set[str]:
    """The processes that inherited a mark, once they had some time to end."""
    until = time.monotonic() + within
    while (found := set(marked(mark)) - besides) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def marked(mark: str) -> list[str]:
    """Not by psutil's environ(): Ray's processes write their titles over its beginning, and then it is empty."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        with suppress(OSError):
            variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            if f"{MARK}={mark}".encode() in variables and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.info["cmdline"]).strip())
    return found


def environment(mark: str) -> dict[str, str]:
    """For nodes that are to know this file, and to be found again."""
    return {MARK: mark, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def cluster():
    mark, started = uuid.uuid4().hex, None
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("RAY_ADDRESS", raising=False)
            patch.setenv("RAY_health_check_period_ms", "500")  # a lost node is noticed after five of them
            for name, value in environment(mark).items():
                patch.setenv(name, value)
            started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
            for _ in range(2):
                started.add_node(num_cpus=1)
        yield started
    finally:
        if started:
            started.shutdown()
    assert not living(mark, within=20)


def odd(what, report):
    if what == "raise":
        raise ValueError("refused")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "lock":
        return threading.Lock()
    return np.zeros(50_000), torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], os.getpid()


def slow(folder: Path, report):
    """Leaves a file with its process id, and takes it away when it is told to end."""
    mark = folder / str(os.getpid())
    mark.touch()
    try:
        for _ in range(6000):
            time.sleep(0.05)
            report(0.5)
    finally:
        mark.unlink()


def train(argument, report):
    """Digests of a small training, not begun before there is a file `go`; with a mark of each beginning."""
    folder, seed = argument
    (folder / f"{seed} {os.getpid()} {os.getppid()}").touch()
    until = time.monotonic() + 300
    while not (folder / "go").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
        report(0.0)
    run = pg.train(pg.A2C(envs=4), "CartPole-v1", seeds=[seed], steps=400)
    return metrics_digest(run.curves), tensor_digest(run.policy.theta)


def ends(events) -> dict[int, Done | Failed]:
    """How each task ended; none twice, and no word of it afterwards."""
    found: dict[int, Done | Failed] = {}
    with closing(events):
        for event in events:
            assert event.task not in found
            if not isinstance(event, Advanced):
                found[event.task] = event
    return found


@needs_ray
def test_each_task_has_its_process_and_fails_alone(cluster, monkeypatch):
    monkeypatch.setattr(engine, "ATTEMPTS", 2)
    found = ends(ray(odd, ["die", "raise", "fine", "lock", "fine"], cluster.address))
    assert {task: type(end) for task, end in found.items()} == dict(enumerate([Failed, Failed, Done, Failed, Done])), (
        found
    )
    assert found[0].error.startswith("its process or node was lost 2 times, last with: ")
    assert found[1].error.startswith("Traceback")
    assert found[1].error.endswith("ValueError: refused")
    assert "cannot pickle '_thread.lock' object" in found[3].error
    arrays, threads, omp, pids = zip(found[2].result, found[4].result, strict=True)
    assert (threads, omp) == ((1, 1), ("1", "1"))
    assert len(set(pids)) == 2
    arrays[0][0] = 1.0  # the caller's own, not a page of Ray's store
    assert not library.is_initialized()


@needs_ray
def test_a_connection_that_was_there_stays_and_closing_ends_the_tasks(cluster, tmp_path):
    library.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        with pytest.raises(ValueError, match="connected to Ray already"):
            next(ray(slow, [tmp_path], cluster.address))
        events = ray(slow, [tmp_path] * 3, workers=1)
        assert next(events) == Advanced(0, 0.5)
        (mark,) = tmp_path.iterdir()  # one at a time
        assert psutil.pid_exists(int(mark.name))
        events.close()
        assert not mark.exists()
        assert library.is_initialized()
        assert library.cluster_resources()["CPU"] == 2
    finally:
        library.shutdown()


@needs_ray
def test_another_version_on_a_node_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(engine, "_versions", lambda: {"pgcourse source": "older", "torch": "1.0"})
    found = ends(ray(odd, ["fine"], cluster.address))
    assert isinstance(found[0], Failed)
    assert found[0].error.startswith(f"node {socket.gethostname()} has ")
    assert found[0].error.endswith("the head {'pgcourse source': 'older', 'torch': '1.0'}; install the same on both")


@needs_ray
def test_a_lost_node_costs_nothing_but_time(cluster, tmp_path):
    """One of two nodes is killed while each holds a run; all runs end, once, with the bits of the local engine."""
    arguments = [(tmp_path, seed) for seed in range(3)]
    raylet = next(iter(cluster.worker_nodes)).all_processes["raylet"][0].process.pid

    def begun() -> list[list[str]]:
        return [path.name.split() for path in tmp_path.iterdir() if path.name != "go"]

    lost: list[str] = []
    found: dict[int, Done | Failed] = {}
    with closing(ray(train, arguments, cluster.address)) as events:
        for event in events:
            assert event.task not in found
            if not isinstance(event, Advanced):
                assert isinstance(event, Done), event
                found[event.task] = event
            if not lost and len({parent for _, _, parent in begun()}) == 2:
                (held,) = [(seed, int(pid)) for seed, pid, parent in begun() if int(parent) == raylet]
                lost.append(held[0])
                for process in (raylet, held[1]):  # the whole node: its run might still end, and be told
                    os.kill(process, signal.SIGKILL)
                (tmp_path / "go").touch()
    assert Counter(seed for seed, _, _ in begun()) == Counter(["0", "1", "2", *lost])
    assert found == ends(local(train, arguments, workers=2))
    assert len({event.result for event in found.values()}) == len(arguments)


PARENT = """
import sys
from pathlib import Path
from test_ray_engine import slow
from pgcourse.lab.engines.ray import ray

if __name__ == "__main__":
    try:
        for event in ray(slow, [Path(sys.argv[1])] * 2, workers=1):
            print("running", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@needs_ray
def test_no_orphans_when_a_ray_of_this_machine_alone_is_interrupted_or_killed(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    script, parents = tmp_path / "parent.py", {}
    script.write_text(PARENT, encoding="utf-8")
    for how in (signal.SIGINT, signal.SIGKILL):
        (folder := tmp_path / str(how)).mkdir()
        mark = uuid.uuid4().hex
        home = {"HOME": str(tmp_path)}  # where Ray leaves a token
        options = {"env": os.environ | environment(mark) | home, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, str(script), str(folder)]
        parents[how] = mark, folder, subprocess.Popen(command, text=True, start_new_session=True, **options)
        # One after the other: Ray's agents have 15 s to start, which is short where others are at work.
        assert parents[how][2].stdout.readline() == "running\n", parents[how][2].communicate()[1]
    for how, (mark, folder, parent) in parents.items():
        assert len(list(folder.iterdir())) == 1
        if how == signal.SIGINT:
            os.killpg(parent.pid, how)  # as the terminal does: to everybody
        else:
            parent.send_signal(how)
        assert parent.wait(timeout=60) == (130 if how == signal.SIGINT else -how)
        assert not living(mark, within=20, besides=AGENTS if how == signal.SIGKILL else frozenset())
        if how == signal.SIGINT:
            assert not list(folder.iterdir())
        said, errors = parent.communicate()
        assert (set(said.splitlines()) <= {"running"}, errors) == (True, "")


def test_without_ray_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayMissing, match=r'pip install "pgcourse\[ray\]"'):
        next(ray(odd, ["fine"]))


def test_without_workers_nothing_is_started():
    with pytest.raises(ValueError, match="workers must be 1 or more, got 0"):
        next(ray(odd, ["fine"], workers=0))


@needs_ray
@pytest.mark.parametrize(("late", "fits"), [(1, True), (2, True), (3, False)])
def test_a_start_that_takes_too_long_is_tried_again(monkeypatch, late, fits):
    tried = []

    def init(*given, **options):
        tried.append(given)
        if len(tried) <= late:
            raise Exception("The current node timed out during startup. This could happen because")
        raise RuntimeError("and now it starts")

    monkeypatch.setattr(library, "init", init)
    with pytest.raises(ConnectionError, match="it starts.*the same Python" if fits else "timed out.*less busy"):
        next(ray(odd, ["fine"], "local"))
    assert len(tried) == min(late + 1, engine.STARTS)


@needs_ray
def test_an_address_without_a_cluster_is_named_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and not listening
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"no Ray cluster answers at '{address}'.*ray start --head"):
            next(ray(odd, ["fine"], address))
    with pytest.raises(ConnectionError, match="HOST:PORT"):
        next(ray(odd, ["fine"], "nonsense"))
    with pytest.raises(ConnectionError, match="for a Ray client"):
        next(ray(odd, ["fine"], "ray://127.0.0.1:10001"))
    assert not library.is_initialized()


def test_the_page_shows_what_was_measured():
    command = [sys.executable, "-m", "benchmarks.ray_costs", "--from", "benchmarks/ray_costs.json"]
    tables = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    assert tables.count("\n| ") > 20
    assert tables in (ROOT / "docs" / "ray.md").read_text(encoding="utf-8")
