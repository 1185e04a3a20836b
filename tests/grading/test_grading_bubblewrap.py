"""Inside bubblewrap a submission reaches nothing of this computer."""

import itertools
import os
import socket
import sys

import pytest
from submissions import EXERCISE, RIGHT, SOLUTION, TO_GO, function, grade_file, reasons, submit, write
from tracked import ROOT

from pgcourse.grading import sandbox
from pgcourse.grading.catalogue import EXERCISES

MARK = f"pgcourse-test-daemon-{os.getpid()}"


@pytest.fixture(scope="module")
def docker():
    try:
        return sandbox.find("docker")
    except sandbox.CannotGrade as error:
        pytest.skip(f"this needs docker: {error}")


@pytest.fixture(scope="module")
def server():
    """A port of this computer that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        yield port


ATTEMPTS = {
    "imports_the_course": ("import pgcourse", "ModuleNotFoundError: pgcourse is not available while grading"),
    "imports_the_course_s_parts": (
        f"import sys; sys.meta_path.clear(); sys.path.append({str(ROOT)!r})\n"
        "from importlib.machinery import PathFinder; sys.meta_path.append(PathFinder)\n"
        "import pgcourse.grading.catalogue",
        "ModuleNotFoundError: No module named 'pgcourse",
    ),
    "reads_the_solutions": (f"open({str(SOLUTION)!r})", "FileNotFoundError"),
    "reads_the_checks": (f"open({str(ROOT / 'pgcourse' / 'cli.py')!r})", "FileNotFoundError"),
    "reads_other_submissions": ("open(NEIGHBOUR)", "FileNotFoundError"),
    "reads_passwords": ("open('/etc/passwd')", "FileNotFoundError"),
    "reads_the_environment": ("import os; os.environ['PGCOURSE_TEST_SECRET']", "KeyError"),
    "sees_other_processes": (
        "import os; assert len([pid for pid in os.listdir('/proc') if pid.isdigit()]) > 3, 'alone'",
        "AssertionError: alone",
    ),
    "signals_the_grader": (f"import os; os.kill({os.getpid()}, 0)", "PermissionError"),
    "connects": ("import socket; socket.create_connection(('127.0.0.1', PORT), timeout=5)", "ConnectionRefusedError"),
    "connects_far_away": ("import socket; socket.create_connection(('192.0.2.1', 9), timeout=5)", "OSError"),
    "starts_a_daemon": ("import subprocess; subprocess.Popen(['/bin/sleep', '99'])", "PermissionError"),
    "becomes_another": ("import os; os.execv('/bin/true', ['true'])", "PermissionError"),
    "hides_memory": ("import os; os.memfd_create('x')", "PermissionError"),
    "kills_all": ("import os; os.kill(-1, 9)", "PermissionError"),
    "kills_the_first": ("import os; os.kill(1, 9)", "PermissionError"),
    "kills_its_parent": ("import os; os.kill(os.getppid(), 9)", "PermissionError"),
    "limits_its_parent": ("import os, resource as r; r.prlimit(os.getppid(), r.RLIMIT_CPU, (0, 0))", "PermissionError"),
    "writes_its_parent_s_memory": ("import os; open(f'/proc/{os.getppid()}/mem', 'rb+')", "Error: [Errno"),
    "writes_the_first_one_s_memory": ("open('/proc/1/mem', 'rb+')", "Error: [Errno"),
    "reads_the_first_one_s_memory": ("open('/proc/1/mem', 'rb')", "PermissionError"),
    "writes_to_the_first_one_s_files": ("open('/proc/1/fd/2', 'r+')", "PermissionError"),
    "asks_the_hypervisor": ("import socket; socket.socket(socket.AF_VSOCK)", "PermissionError"),
    "changes_the_kernel": ("open('/proc/sys/kernel/core_pattern', 'r+')", "Error: [Errno"),  # which one: as who one is
    "is_spared_when_memory_is_short": ("open('/proc/self/oom_score_adj', 'w')", "Read-only file system"),
    "maps_shared_memory": (
        "import ctypes; assert ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) >= 0, 'refused'",
        "AssertionError: refused",
    ),
    "takes_a_namespace": (
        "import ctypes; assert ctypes.CDLL(None).unshare(0x10020000) == 0, 'refused'",
        "AssertionError: refused",
    ),
    "writes_here": (f"open({MARK!r}, 'w')", "Read-only file system"),
    "writes_to_tmp": (f"open('/tmp/{MARK}', 'w')", "Error: [Errno"),  # there may be none
    "writes_to_memory": (f"open('/dev/shm/{MARK}', 'w')", "Read-only file system"),
}
HOOKS = """
import ast
def to_the_right_one(lines): return ['hooked = right']
get_ipython().input_transformers_cleanup.append(to_the_right_one)
class Rewrites(ast.NodeTransformer):
    def visit_Return(self, node): return ast.parse('return right(reward, gamma)').body[0]
get_ipython().ast_transformers.append(Rewrites())
"""


@pytest.fixture(scope="module")
def attempts(tmp_path_factory, bubblewrap, server):
    folder = tmp_path_factory.mktemp("attempts")
    constants = f"NEIGHBOUR = {str(write(folder / 'neighbour.ipynb', RIGHT))!r}\nPORT = {server}"
    cells = [function(name, f"{body}\nraise RuntimeError('got through')") for name, (body, _) in ATTEMPTS.items()]
    cells += [HOOKS, function("hooked", "return reward"), RIGHT]
    cells += [function("draws", "import matplotlib; matplotlib.get_cachedir(); return right(reward, gamma)")]
    os.environ["PGCOURSE_TEST_SECRET"] = "secret"
    try:
        return submit(folder, constants, *cells, entries=[*ATTEMPTS, "hooked", "right", "draws"], where=bubblewrap)[1]
    finally:
        del os.environ["PGCOURSE_TEST_SECRET"]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_of_this_computer_is_reached(attempts, name):
    found = reasons(attempts[name])
    assert set(found) == {check.name for check in TO_GO.checks}
    for reason in found.values():
        assert ATTEMPTS[name][1] in reason
        assert "got through" not in reason


def test_hooks_of_ipython_change_nothing(attempts):
    assert "values" in reasons(attempts["hooked"])


@pytest.mark.parametrize("name", ["right", "draws"])
def test_a_right_answer_among_them_gets_all_points(attempts, name):
    assert reasons(attempts[name]) == {}


def test_of_a_clone_inside_what_is_shown_everything_is_hidden_but_python(tmp_path, monkeypatch):
    """Such as /usr/src/app: records tell what a prediction should be, and the history has the solutions."""
    for name in ("pgcourse", "solutions", "results", "chapters", ".git", ".venv"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sandbox.pgcourse, "__file__", str(tmp_path / "pgcourse" / "__init__.py"))
    monkeypatch.setattr(sandbox.sys, "prefix", str(tmp_path / ".venv"))
    hidden = {path.name for path in sandbox._hidden()}
    assert hidden == {"pgcourse", "solutions", "results", "chapters", ".git"}
    (tmp_path / "pyproject.toml").unlink()
    assert {path.name for path in sandbox._hidden()} == {"pgcourse"}  # beside other packages


def test_it_grades_as_no_sandbox_does(bubblewrap):
    exercises = EXERCISES.of("03")
    assert grade_file(SOLUTION, exercises, bubblewrap, seed=5).percent == 100
    assert grade_file(EXERCISE, exercises, bubblewrap, seed=5).percent == 0


def test_docker_grades_as_no_sandbox_does(docker, tmp_path):
    exercises = EXERCISES.of("03")
    assert grade_file(SOLUTION, exercises, docker, seed=5).percent == 100
    body = "import os; raise RuntimeError(sorted(os.listdir('/')))"
    reason = reasons(submit(tmp_path, function("looks", body), entries=["looks"], where=docker)[1]["looks"])["values"]
    assert "'grader'" in reason
    assert "'home'" not in reason


def test_what_docker_is_asked_for(tmp_path, monkeypatch):
    """Where there is no daemon, at least what it would be told: no network, nothing to write to, no rights, a limit of
    memory and of processes, and of this computer's files only Python and libraries, read-only, without the course."""
    fake = tmp_path / "docker"
    fake.write_text("#!/bin/sh\ncat > /dev/null\necho isolated\n", encoding="utf-8")  # believes itself
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    docker = sandbox.find("docker")
    command = docker.command(docker.worker, "{}", name="pgcourse-x")
    image = command.index(sandbox.IMAGE)
    assert command[:2] == [str(fake), "run"]
    assert command[image + 1 :] == [sys.executable, "-I", "/grader/worker.py", "{}"]
    options = command[2:image]
    assert options.count("--rm") == options.count("--read-only") == options.count("--interactive") == 1
    pairs = list(itertools.pairwise(options))
    for name, value in {
        "--name": "pgcourse-x",
        "--network": "none",
        "--cap-drop": "ALL",
        "--security-opt": "no-new-privileges",
        "--user": "65534:65534",
        "--ipc": "none",
        "--memory": "6g",
        "--memory-swap": "6g",
        "--pids-limit": "64",
        "--log-driver": "none",
    }.items():
        assert [given for option, given in pairs if option == name] == [value]
    mounts = [dict(part.partition("=")[::2] for part in value.split(",")) for name, value in pairs if name == "--mount"]
    bound = [mount for mount in mounts if mount["type"] == "bind"]
    assert all("readonly" in mount for mount in bound)
    places = {mount["target"] for mount in bound}
    assert {"/usr", sys.prefix, "/grader/worker.py", "/grader/collect.py", "/grader/syscalls.py"} <= places
    assert not {"/", "/etc", "/home", "/root", "/tmp", str(ROOT)} & places
    # The course's folder lies outside what is bound, or an empty folder lies on it.
    hidden = {mount["target"] for mount in mounts if mount["type"] == "tmpfs"}
    package = ROOT / "pgcourse"
    assert str(package) in hidden or not any(package.is_relative_to(place) for place in places)
    variables = [value.partition("=")[0] for name, value in pairs if name == "--env"]
    assert sorted(variables) == sorted(sandbox.environment())
    assert not {"--privileged", "--volume", "-v", "--pid", "--device"} & set(options)


def test_docker_that_cannot_isolate_is_never_used(tmp_path, monkeypatch):
    """A program called docker that runs what it is given after its options, and isolates from nothing."""
    fake = tmp_path / "docker"
    fake.write_text(
        f"#!/bin/sh\ncase $1 in import) exit 0;; esac\nexec {sys.executable} -I -S -c 'print(1)'\n", encoding="utf-8"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(sandbox.CannotGrade, match="docker is installed but does not isolate on this computer"):
        sandbox.find("docker")
    fake.write_text("#!/bin/sh\necho Cannot connect >&2\nexit 1\n", encoding="utf-8")
    with pytest.raises(sandbox.CannotGrade, match="docker is installed but does not run on this computer: Cannot conn"):
        sandbox.find("docker")


def test_a_sandbox_that_cannot_isolate_is_never_used(tmp_path, monkeypatch):
    """A program called bwrap that runs what it is given, and isolates from nothing."""
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S -c 'import os' \n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sandbox.CannotGrade, match="does not isolate on this computer"):
        sandbox.find("bwrap")
    with pytest.raises(sandbox.CannotGrade, match=r"not graded without a sandbox.*does not isolate"):
        sandbox.find("auto", several=True)
    assert sandbox.find("auto").name == "none"
    assert "does not isolate" in sandbox.find("auto").guarantee
