"""Checks whether the course runs on this machine; each check reports what it found and how to repair a fault.

Nothing heavy is imported here: the checks of torch and of the kernel run in processes of their own, so that a broken
installation is reported and not crashed on.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

Status = Literal["ok", "warning", "problem"]
COLOURS: dict[Status, str] = {"ok": "green", "warning": "yellow", "problem": "red"}
PYTHONS = ((3, 11), (3, 14))  # the oldest and the newest that every pinned package has a build for
SET_UP = "python3 start.py setup"
FRESH = "python3 start.py setup --fresh"
SCARCE, LITTLE = 0.2e9, 1e9  # bytes of free disk: below the first a problem, below the second a warning
PATIENCE = 120  # seconds for a child process; a cold disk may need half a minute to load torch


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and the remedy where it is not as it should be."""

    name: str
    status: Status
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks of this machine, and what it is (None where the packages do not import)."""

    checks: tuple[Finding, ...]
    machine: dict[str, Any] | None

    @property
    def status(self) -> Status:
        """The worst status of all checks."""
        return max((check.status for check in self.checks), key=list(COLOURS).index)

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "checks": [asdict(check) for check in self.checks],
            "machine": self.machine,
        }

    def __repr__(self) -> str:
        return "\n".join(
            f"{check.name:<12}{check.status:<9}{check.found}{f' -> {check.remedy}' if check.remedy else ''}"
            for check in self.checks
        )

    def _repr_html_(self) -> str:
        dot = "<td style='color:{}; white-space:nowrap'>&#9679; {}</td>"
        left = "<td style='text-align:left'>{}</td>"
        rows = "".join(
            "<tr>"
            + left.format(escape(check.name))
            + dot.format({"warning": "darkorange"}.get(check.status, COLOURS[check.status]), check.status)
            + left.format(escape(check.found) + (f"<br><em>{escape(check.remedy)}</em>" if check.remedy else ""))
            + "</tr>"
            for check in self.checks
        )
        return f"<table>{rows}</table>"


def doctor(root: Path | None = None) -> Diagnosis:
    """Examine this machine: Python, packages, torch, the notebook kernel, disk and the folder for results.

    Args:
        root: the course's folder; by default the one around the working directory or this package.

    Returns:
        A diagnosis that shows itself as a table in a notebook.
    """
    root = root or _root()
    with ThreadPoolExecutor(1) as pool:
        kernel = pool.submit(check_kernel)  # it waits for a process, as does the next
        torch = check_torch()
        facts, machine = (None, None) if torch.status == "problem" else check_machine()
        packages = check_packages(root)
    checks = [check_python(), packages, torch, kernel.result(), check_disk(root), check_build(root), machine]
    return Diagnosis(tuple(check for check in checks if check), facts)


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """This Python against those that the pinned packages have builds for."""
    oldest, newest = ("{}.{}".format(*each) for each in PYTHONS)
    found = f"{platform.python_implementation()} {version[0]}.{version[1]} ({sys.executable})"
    if version < PYTHONS[0]:
        return Finding("Python", "problem", found, f"The course needs Python {oldest} or newer: delete .venv, {SET_UP}")
    if version > PYTHONS[1]:
        return Finding("Python", "warning", found, f"The pinned packages are made for Python {oldest} to {newest}.")
    return Finding("Python", "ok", found)


def check_packages(root: Path) -> Finding:
    """Installed packages against constraints.txt: missing ones, and versions other than the pinned."""
    try:
        pins = read_pins((root / "constraints.txt").read_text("utf-8"))
    except OSError as error:
        return Finding(
            "packages", "warning", f"not compared: {error}", "Run this in a clone of the course's repository."
        )
    missing, different, outside = compare(pins, installed(), requirements("pgcourse"))
    if missing or outside:
        found = "; ".join([f"{name} is missing" for name in missing] + outside)
        return Finding("packages", "problem", found, SET_UP)
    if different:
        found = "not as pinned: " + ", ".join(different)
        return Finding(
            "packages", "warning", found, f"Numbers may differ from the recorded ones; to pin again: {SET_UP}"
        )
    return Finding("packages", "ok", "as pinned in constraints.txt")


def read_pins(constraints: str) -> dict[str, str]:
    """{canonical package name: version} of the pins that count on this machine."""
    lines = (line.partition("#")[0].strip() for line in constraints.splitlines())
    pins = [Requirement(line) for line in lines if line]
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def installed() -> dict[str, str]:
    """{canonical name: version} of all packages that this Python finds."""
    packages: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        packages.setdefault(canonicalize_name(package.name), package.version)  # the first on sys.path is imported
    return packages


def requirements(package: str, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Every requirement of a package with these extras, and of the packages it requires, as far as installed."""
    queue, seen = deque((package, extra) for extra in ("", *extras)), set()
    while queue:
        name, extra = queue.popleft()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for need in map(Requirement, lines):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                yield need
                queue.extend((need.name, each) for each in ("", *need.extras))


def compare(
    pins: dict[str, str], versions: dict[str, str], needs: Iterable[Requirement]
) -> tuple[list[str], list[str], list[str]]:
    """What is missing, what is installed in another version than pinned, and what does not even fit a requirement.

    A local version counts as its public one: 2.0.0+cpu is 2.0.0.
    """
    needs = list(needs)
    missing = {canonicalize_name(need.name) for need in needs} - versions.keys()
    different = [
        f"{name} {versions[name]} (pinned {pin})"
        for name, pin in pins.items()
        if name in versions and Version(versions[name]).public != Version(pin).public
    ]
    outside = {
        f"{need.name} {version} does not fit {need.specifier}"
        for need in needs
        if (version := versions.get(canonicalize_name(need.name)))
        and not need.specifier.contains(Version(version).public, prereleases=True)
    }
    return sorted(missing), sorted(different), sorted(outside)


TORCH = """
import json, torch
x = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
(x**3).sum().backward()
print(json.dumps({
    "version": torch.__version__,
    "right": torch.allclose(x.grad, 3 * x.detach() ** 2),
    "vectors": torch.backends.cpu.get_cpu_capability(),
    "threads": torch.get_num_threads(),
}))
"""


def check_torch() -> Finding:
    """torch imports, differentiates x³ rightly, and uses the CPU's vector instructions."""
    facts, error = _ask(TORCH)
    if facts is None:
        return Finding("torch", "problem", f"does not work: {error}", FRESH)
    found = f"{facts['version']}, {facts['vectors']}, {facts['threads']} thread{'s' * (facts['threads'] != 1)}"
    if not facts["right"]:
        return Finding("torch", "problem", f"{found}; its derivative of x³ is wrong", FRESH)
    if facts["vectors"] == "DEFAULT" and platform.machine().lower() in ("x86_64", "amd64"):
        return Finding(
            "torch",
            "warning",
            f"{found}: no vector instructions, so all training is slow",
            "Unset ATEN_CPU_CAPABILITY; a CPU without AVX2 stays slow.",
        )
    return Finding("torch", "ok", found)


KERNEL = """
import json, jupyter_client
manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3", startup_timeout=60)
said = []
try:
    client.execute_interactive(
        "import sys; print(sys.prefix)",
        timeout=60,
        output_hook=lambda message: said.append(message["content"].get("text", "")),
    )
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
print(json.dumps({"prefix": "".join(said).strip()}))
"""


def check_kernel() -> Finding:
    """Jupyter's kernel `python3` starts, runs a cell, and is the Python that the course is installed in."""
    facts, error = _ask(KERNEL)
    if facts is None:
        return Finding("kernel", "problem", f"does not run a cell: {error}", FRESH)
    if Path(facts["prefix"]) != Path(sys.prefix):
        return Finding(
            "kernel",
            "problem",
            f"notebooks run in {facts['prefix']}, the course is in {sys.prefix}",
            f"{sys.executable} -m ipykernel install --sys-prefix",
        )
    return Finding("kernel", "ok", f"python3 starts and runs in {facts['prefix']}")


def check_disk(root: Path, free: int | None = None) -> Finding:
    """Free space on the course's disk, in bytes."""
    free = shutil.disk_usage(root).free if free is None else free
    status: Status = "problem" if free < SCARCE else "warning" if free < LITTLE else "ok"
    return Finding(
        "disk", status, f"{free / 1e9:.1f} GB free", "" if status == "ok" else f"Free {LITTLE / 1e9:.0f} GB."
    )


def check_build(root: Path) -> Finding:
    """Executed chapters can be written to _build/."""
    build = root / "_build"
    try:
        build.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=build) as file:
            file.write(b"x")
    except OSError as error:
        return Finding("_build", "problem", f"cannot be written: {error}", "Make the folder yours, or clone it anew.")
    return Finding("_build", "ok", f"{build} can be written")


def check_machine() -> tuple[dict[str, Any] | None, Finding]:
    """(machine, check): what floating-point results depend on; numbers agree to the last bit where it agrees."""
    try:
        from pgcourse.lab.provenance import ARITHMETIC, machine

        facts = machine()
    except Exception as error:
        return None, Finding(
            "machine", "problem", f"the course does not import: {type(error).__name__}: {error}", FRESH
        )
    return facts, Finding("machine", "ok", ", ".join(f"{key} {facts[key]}" for key in ARITHMETIC if facts.get(key)))


def _root() -> Path:
    from pgcourse.course.runner import find_root

    try:
        return find_root()
    except FileNotFoundError:
        return Path.cwd()


def _ask(script: str) -> tuple[dict[str, Any] | None, str]:
    """Run a script in a Python like this one: (the JSON object on its last line, "") or (None, why not)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, errors="replace", timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {PATIENCE} s"
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return None, said[-1] if said else f"the process ended with status {done.returncode}"
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer, ""
