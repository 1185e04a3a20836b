"""start.py on a small project whose packages lie in a folder of wheels: real virtual environments, a real pip."""

import ast
import contextlib
import http.server
import importlib.util
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "start.py"
posix = pytest.mark.skipif(os.name == "nt", reason="signals and links of POSIX")

specification = importlib.util.spec_from_file_location("start", START)
start = importlib.util.module_from_spec(specification)
specification.loader.exec_module(start)

PYPROJECT = """\
[build-system]
requires = ["tinytool>=1"]
build-backend = "tinytool"
[project]
name = "tiny"
version = "1.0"
dependencies = ["torch>=1", "tinydep>=1"]
[project.optional-dependencies]
extra = ["tinyextra>=1"]
"""
# A build backend in a few lines: it makes the wheel of an editable install.
BACKEND = """\
import pathlib, tomllib, zipfile
def get_requires_for_build_editable(config_settings=None):
    return []
def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    lines = ["Metadata-Version: 2.1", "Name: tiny", "Version: 1.0"]
    lines += [f"Requires-Dist: {each}" for each in project["dependencies"]]
    for extra, needs in project["optional-dependencies"].items():
        lines += [f"Provides-Extra: {extra}", *(f"Requires-Dist: {need}; extra == '{extra}'" for need in needs)]
    with zipfile.ZipFile(pathlib.Path(wheel_directory, "tiny-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.pth", str(pathlib.Path().resolve()))
        wheel.writestr("tiny-1.0.dist-info/METADATA", "\\n".join(lines))
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return "tiny-1.0-py3-none-any.whl"
"""


def make_wheel(folder, name, version, code=""):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", code)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make_project(folder):
    """A project with start.py and its wheels; returns the environment variables that let pip use only those."""
    wheels = folder.parent / "wheels"
    wheels.mkdir(exist_ok=True)
    make_wheel(wheels, "tinytool", "1.0", BACKEND)
    make_wheel(wheels, "torch", "2.0+cpu")
    for name, version in [("tinydep", "1.0"), ("tinydep", "1.1"), ("tinydep", "1.2"), ("tinyextra", "1.0")]:
        make_wheel(wheels, name, version)
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    pins = "tinytool==1.0\ntorch==2.0\ntinydep==1.1\ntinyextra==1.0\n"
    (folder / "constraints.txt").write_text(pins, encoding="utf-8")
    shutil.copy(START, folder)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(root, environment variables) of a project that start.py has set up."""
    root = tmp_path_factory.mktemp("made") / "a project"  # a space in the path, as people have them
    variables = make_project(root)
    done = run_start(root, variables, "setup")
    assert done.returncode == 0, done.stdout + done.stderr
    return root, variables


@pytest.fixture
def ready(made, monkeypatch):
    """The environment of the set-up project, ready at the test's beginning; pip in this process uses its wheels."""
    root, variables = made
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment = start.Environment(root)
    environment.ensure()
    assert environment.diagnose([])[0] == "ready"
    return environment


def run_start(root, variables, *arguments):
    command = [sys.executable, str(root / "start.py"), *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=300)


@contextlib.contextmanager
def moved_away(path):
    """A file, folder or link that is not there for a while."""
    aside = path.with_name(path.name + ".aside")
    os.rename(path, aside)
    try:
        yield
    finally:
        os.replace(aside, path)


@contextlib.contextmanager
def rewritten(path, change):
    """A text file with other content for a while."""
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


@contextlib.contextmanager
def leading_nowhere(link):
    """A link whose target does not exist for a while; where a virtual environment has no links, an empty file."""
    with moved_away(link):
        link.symlink_to("/nowhere/python3") if os.name == "posix" else link.touch()
        yield


def site_packages(environment):
    return next(environment.home.rglob("site-packages"))


# The file itself


def test_start_parses_on_old_pythons():
    source = START.read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    with pytest.raises(SyntaxError):
        ast.parse(source + "\nif (n := 1): pass\n", feature_version=(3, 6))


def test_start_needs_the_standard_library_only():
    tree = ast.parse(START.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert "pathlib" in imported


def test_an_old_python_is_told_so():
    pretend = f"import sys; sys.version_info = (3, 8, 10); exec(open({str(START)!r}, encoding='utf-8').read())"
    told = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert told.returncode == 1
    assert "needs Python 3.11 or newer; this is Python 3.8" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("command", ["lab", "course"])
def test_help_of_a_command_sets_nothing_up(tmp_path, command):
    shutil.copy(START, tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    told = subprocess.run([sys.executable, tmp_path / "start.py", command, "--help"], capture_output=True, text=True)
    assert told.returncode == 0
    assert f"Once the course is set up, start.py {command} --help shows what this command takes." in told.stdout
    assert not (tmp_path / ".venv").exists()


def test_help_names_every_command_with_examples():
    told = subprocess.run([sys.executable, START, "--help"], capture_output=True, text=True)
    assert told.returncode == 0
    for line in ("start.py course", "start.py test -m", "start.py lab", "start.py setup --fresh"):
        assert line in told.stdout
    nothing = subprocess.run([sys.executable, START], capture_output=True, text=True)
    assert (nothing.returncode, nothing.stdout) == (2, told.stdout)


# What a set-up leaves


def test_set_up_installs_the_pins_and_nothing_of_an_extra(ready):
    packages = ready.probe()["packages"]
    assert (packages["tinydep"], packages["torch"], packages["tiny"]) == ("1.1", "2.0+cpu", "1.0")
    assert "tinyextra" not in packages


def test_a_second_call_changes_nothing(made):
    root, variables = made
    stamp = root / ".venv" / "setup.json"
    before = stamp.stat().st_mtime_ns
    again = run_start(root, variables | {"PIP_FIND_LINKS": os.devnull}, "setup")  # pip would find nothing
    assert (again.returncode, again.stdout.splitlines()[:-1], again.stderr) == (0, [], "")
    assert stamp.stat().st_mtime_ns == before


def test_an_extra_is_added_in_place_and_stays(ready):
    (ready.home / "not rebuilt").touch()
    need, reason = ready.diagnose(["extra"])
    assert (need, "[extra]" in reason) == ("install", True)
    ready.ensure(["extra"])
    assert ready.probe()["packages"]["tinyextra"] == "1.0"
    assert (ready.home / "not rebuilt").exists()
    with rewritten(ready.root / "constraints.txt", lambda pins: pins.replace("tinydep==1.1", "tinydep==1.2")):
        assert ready.diagnose([])[0] == "install"
        ready.ensure()
        assert ready.probe()["packages"]["tinydep"] == "1.2"
        assert ready.diagnose(["extra"])[0] == "ready"
    assert ready.diagnose([])[0] == "install"


def test_an_unknown_extra_is_named(made):
    root, variables = made
    done = run_start(root, variables, "setup", "gpu")
    assert done.returncode == 1
    assert "No such extra: gpu. There are: extra." in done.stderr


# What is found broken


def edited_stamp(key, value):
    return lambda text: json.dumps(json.loads(text) | {key: value})


BREAKAGES = {
    "the environment's Python is gone": ("build", lambda e: moved_away(e.bin)),
    "an installation was cut off": ("build", lambda e: moved_away(e.stamp)),
    "half a stamp was written": ("build", lambda e: rewritten(e.stamp, lambda text: text[:40])),
    "the stamp has another form": ("build", lambda e: rewritten(e.stamp, lambda text: "[]")),
    "the folder was moved": ("build", lambda e: rewritten(e.stamp, edited_stamp("root", "/elsewhere"))),
    "the base Python is another now": ("build", lambda e: rewritten(e.stamp, edited_stamp("python", "3.9"))),
    "the base Python is deleted": ("build", lambda e: leading_nowhere(e.python)),
    "pyvenv.cfg is gone": ("build", lambda e: moved_away(e.home / "pyvenv.cfg")),
    "pip is gone": ("build", lambda e: moved_away(next(site_packages(e).glob("pip-*.dist-info")))),
    "a package is gone": ("install", lambda e: moved_away(next(site_packages(e).glob("tinydep-*.dist-info")))),
    "a package is of another version": (
        "install",
        lambda e: rewritten(
            next(site_packages(e).glob("tinydep-*.dist-info")) / "METADATA",
            lambda text: text.replace("Version: 1.1", "Version: 1.2"),
        ),
    ),
    "a pin changed": ("install", lambda e: rewritten(e.root / "constraints.txt", lambda text: text + "\n")),
    "the project changed": ("install", lambda e: rewritten(e.root / "pyproject.toml", lambda text: text + "\n")),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_a_broken_environment_is_found_out(ready, what):
    need, breakage = BREAKAGES[what]
    with breakage(ready):
        assert ready.diagnose([])[0] == need
    assert ready.diagnose([])[0] == "ready"


def test_a_lost_package_is_installed_again(ready):
    shutil.rmtree(next(site_packages(ready).glob("tinydep-*.dist-info")))
    ready.ensure()
    assert ready.probe()["packages"]["tinydep"] == "1.1"


def test_a_moved_folder_is_set_up_anew(made, tmp_path):
    root, variables = made
    moved = tmp_path / "moved"
    shutil.copytree(root, moved, symlinks=True)
    done = run_start(moved, variables, "setup")
    assert (done.returncode, "was moved here from" in done.stdout) == (0, True), done.stdout + done.stderr
    where = [moved / ".venv" / start.Environment(moved).bin.name / "python", "-c", "import sys; print(sys.prefix)"]
    assert Path(subprocess.check_output(where, text=True).strip()) == moved / ".venv"


# Failing and being stopped


def closed_port():
    """A local port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_without_network_it_says_so_and_keeps_what_is_there(ready, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    shutil.rmtree(next(site_packages(ready).glob("tinydep-*.dist-info")))
    with pytest.raises(start.SetupError) as failure:
        ready.ensure()
    assert "No network" in str(failure.value)
    assert "PIP_INDEX_URL" in str(failure.value)
    assert str(ready.log) in str(failure.value)
    assert "Retrying" in ready.log.read_text(encoding="utf-8")
    assert ready.diagnose([])[0] == "install"  # pip had not begun to write: no need to build anew


def test_a_missing_package_is_not_taken_for_a_missing_network(ready):
    with (
        rewritten(ready.root / "constraints.txt", lambda pins: pins.replace("tinydep==1.1", "tinydep==9.9")),
        pytest.raises(start.SetupError) as failure,
    ):
        ready.ensure()
    assert "is not to be had" in str(failure.value)
    assert "No network" not in str(failure.value)
    assert ready.diagnose([])[0] == "install"


def test_any_other_failure_shows_what_was_said():
    told = start.explain(["Collecting x\n", "ERROR: the moon is in the wrong phase\n", "see above\n"])
    assert "the moon is in the wrong phase" in told
    assert "setup --fresh" in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ensurepip is not available.  On Debian/Ubuntu systems, you need to install the python3-venv", "python3-venv"),
        ("connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='x', port=443)", "No network"),
        ("Failed to establish a new connection: [Errno 11001] getaddrinfo failed", "No network"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied", "could not be written"),
        ("ERROR: Failed building wheel for numpy", f"Python {platform.python_version()}"),
    ],
)
def test_a_failure_is_explained(said, told):
    assert told in start.explain(["Collecting x\n", said + "\n"])


@posix
def test_control_c_while_pip_waits_for_the_network(ready):
    """A server that takes the connection and never answers; then Ctrl-C, as a terminal sends it: to the whole group."""
    shutil.rmtree(next(site_packages(ready).glob("tinydep-*.dist-info")))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        index = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_DEFAULT_TIMEOUT": "100"}
        index |= {"PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple"}
        command = [sys.executable, ready.root / "start.py", "setup"]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running = subprocess.Popen(command, env=os.environ | index, start_new_session=True, **streams)
        connection, _ = silent.accept()  # pip has asked
        os.killpg(running.pid, signal.SIGINT)
        _, error = running.communicate(timeout=60)
        connection.close()
    assert running.returncode == 130
    assert "Stopped." in error
    assert "Traceback" not in error
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)  # pip is gone, too
    assert ready.diagnose([])[0] == "install"


@posix
def test_an_installation_that_fails_while_it_writes_leaves_no_stamp(ready, tmp_path):
    before = ready.stamp.read_text(encoding="utf-8")
    pip = tmp_path / "python"
    pip.write_text(f"#!{sys.executable}\nprint('Installing collected packages: x', flush=True)\nraise SystemExit(1)\n")
    pip.chmod(0o755)
    ready.log.parent.mkdir(exist_ok=True)
    own, ready.python = ready.python, pip
    with pytest.raises(start.SetupError):
        ready._pip(start.Progress(1), "x")
    ready.python = own
    assert ready.diagnose([])[0] == "build"
    ready.stamp.write_text(before, encoding="utf-8")


def test_one_set_up_at_a_time(ready):
    with ready._lock():
        command = [sys.executable, "-u", str(ready.root / "start.py"), "setup"]
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert "Another start.py is setting this folder up" in second.stdout.readline()
        assert second.poll() is None
    rest, _ = second.communicate(timeout=60)
    assert (second.returncode, "Ready" in rest) == (0, True)


# The pieces


@pytest.mark.parametrize(("code", "status"), [("", 0), ("raise SystemExit(7)", 7)])
def test_the_exit_status_is_passed_on(code, status):
    assert start.hand_over([sys.executable, "-c", code], ROOT) == status


@posix
def test_a_killed_child_counts_as_failed():
    assert start.hand_over([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], ROOT) == 137


def test_no_other_pythons_settings_reach_the_children(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONHOME", str(ROOT))
    monkeypatch.setenv("PIP_USER", "1")
    child = start.child_environment()
    assert (child.get("PYTHONPATH"), child.get("PYTHONHOME"), child["PIP_USER"]) == (None, None, "0")


def test_a_page_is_found_or_not_in_time():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert start.answers(f"{address}/", seconds=30)
        assert not start.answers(f"{address}/nothing/here", seconds=30)
        server.shutdown()
    assert not start.answers(f"http://127.0.0.1:{closed_port()}/")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not start.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2)


def test_a_cpu_build_in_a_folder_of_wheels_is_noticed(made, tmp_path, monkeypatch):
    root, variables = made
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    environment = start.Environment(root)
    monkeypatch.setattr(environment, "probe", lambda: {"packages": {}})  # as before torch is installed
    assert environment._has_cpu_torch("2.0")
    assert not environment._has_cpu_torch("2.1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert not environment._has_cpu_torch("2.0")
