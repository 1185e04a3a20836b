"""pyproject.toml, constraints.txt and environment.yml say the same, and what they say can be installed."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from pgcourse.course import doctor

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[0-9][0-9a-z.]*)(?: ; (?P<marker>.+))?")
GPU = re.compile(r"^(nvidia|cuda|triton)\b")


def declared():
    """Every requirement of pyproject.toml: of the build, of the package and of its extras."""
    project = PYPROJECT["project"]
    lines = [*PYPROJECT["build-system"]["requires"], *project["dependencies"]]
    lines += [line for extra in project["optional-dependencies"].values() for line in extra]
    return [need for need in map(Requirement, lines) if need.name != project["name"]]


def badly_pinned(constraints):
    """Lines of a constraints file that are not one exact pin of a package that every machine can install."""
    lines = [line for line in constraints.splitlines() if line and not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    return [
        line
        for line, name in zip(lines, names, strict=True)
        if not PIN.fullmatch(line) or GPU.match(line) or names.count(name) > 1 or canonicalize_name(name) != name
    ]


def unpinned(needs, constraints):
    """Requirements without a pin, or with one outside their range."""
    pins = {match["name"]: match["version"] for match in map(PIN.fullmatch, constraints.splitlines()) if match}
    return [
        f"{need} (pinned: {pins.get(canonicalize_name(need.name))})"
        for need in needs
        if not need.specifier.contains(pins.get(canonicalize_name(need.name), "0"), prereleases=True)
        or canonicalize_name(need.name) not in pins
    ]


def test_every_line_of_the_constraints_is_a_pin_for_all_machines():
    assert len(CONSTRAINTS.splitlines()) > 100
    assert badly_pinned(CONSTRAINTS) == []


@pytest.mark.parametrize(
    "line",
    ["numpy>=2.0", "torch==2.13.0+cpu", "nvidia-cublas==13.0", "triton==3.0", "-e .", "Jinja2==3.1", "x==1\nx==2"],
)
def test_a_line_that_is_no_pin_is_seen(line):
    assert badly_pinned(f"{line}\n")


def test_every_requirement_is_pinned_inside_its_range():
    assert unpinned(declared(), CONSTRAINTS) == []


def test_a_requirement_that_no_pin_meets_is_seen():
    assert unpinned([Requirement("numpy>=2"), Requirement("scipy>=1.15")], "numpy==1.26\n") == [
        "numpy>=2 (pinned: 1.26)",
        "scipy>=1.15 (pinned: None)",
    ]


def test_all_that_the_course_and_its_extras_install_is_pinned():
    needed = doctor.requirements("pgcourse", PYPROJECT["project"]["optional-dependencies"])
    names = {canonicalize_name(need.name) for need in needed} - {"pgcourse"}
    assert {"torch", "nbgrader", "pluggy"} <= names  # required, of an extra, required by a requirement of an extra
    assert names - doctor.read_pins(CONSTRAINTS).keys() == set()


def test_conda_brings_python_and_pip_and_pip_the_rest():
    *conda, pip = CONDA["dependencies"]
    assert [spec.partition("=")[0] for spec in conda] == ["python", "pip"]
    index, constraints, project = pip["pip"]
    assert (index, constraints) == (f"--extra-index-url {cpu_torch()}", "-c constraints.txt")
    extras = re.fullmatch(r"-e \.\[([\w,]+)\]", project)[1].split(",")
    assert set(extras) <= PYPROJECT["project"]["optional-dependencies"].keys()
    python = conda[0].partition("=")[2]
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(python)
    assert python in supported()


def cpu_torch():
    """Where torch without CUDA is, by start.py."""
    return (ROOT / "start.py").read_text(encoding="utf-8").partition('CPU_TORCH = "')[2].partition('"')[0]


def supported():
    """The Pythons that pyproject.toml names."""
    python = "Programming Language :: Python :: "
    return [line.removeprefix(python) for line in PYPROJECT["project"]["classifiers"] if line.startswith(python)]


def test_all_files_speak_of_the_same_pythons():
    oldest, newest = (".".join(map(str, version)) for version in doctor.PYTHONS)
    assert [oldest, newest] == [supported()[0], supported()[-1]]
    assert PYPROJECT["project"]["requires-python"] == f">={oldest}"
    start = (ROOT / "start.py").read_text(encoding="utf-8")
    assert f"OLDEST = ({oldest.replace('.', ', ')})" in start
    assert f"CPython {oldest} to {newest}" in start


def resolve(folder, requirements):
    """pip's own resolution of a requirements file, into nothing, out of what is installed here.

    Each installed package stands in by a wheel with its metadata alone: the resolver reads nothing else, and torch
    need not be downloaded again. Where a pin is not what is installed, there is no such wheel and pip fails.
    """
    wheels = folder / "wheels"
    wheels.mkdir()
    for package in metadata.distributions():
        name = re.sub(r"[-_.]+", "_", package.name)
        info = f"{name}-{package.version}.dist-info"
        with zipfile.ZipFile(wheels / f"{name}-{package.version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", package.read_text("METADATA") or "")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    report = folder / "report.json"
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-build-isolation", "--quiet"]
    pip += ["--no-index", "--find-links", wheels, "--report", report, "--requirement", folder / "requirements.txt"]
    done = subprocess.run(pip, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return done.stderr, {}
    chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    return "", {canonicalize_name(each["metadata"]["name"]): each["metadata"]["version"] for each in chosen}


def pip_section(constraints=ROOT / "constraints.txt"):
    section = CONDA["dependencies"][-1]["pip"]
    return (
        "\n".join(section)
        .replace("-c constraints.txt", f"-c {constraints.as_posix()}")
        .replace("-e .", f"-e {ROOT.as_posix()}")
    )


def test_condas_pip_section_resolves_to_the_pins(tmp_path):
    error, chosen = resolve(tmp_path, pip_section())
    assert not error, f"{error}\nIs this environment as pinned? python3 start.py setup test"
    pins = doctor.read_pins(CONSTRAINTS)
    extras = PYPROJECT["project"]["optional-dependencies"]
    apart = {Requirement(line).name for line in extras["bench"]}  # large, and tests do without
    assert {need.name for need in declared()} - apart <= chosen.keys() | {"setuptools"}
    differ = {name: version for name, version in chosen.items() if Version(version).public != pins.get(name)}
    assert differ == {"pgcourse": metadata.version("pgcourse")}


def test_what_binder_installs_resolves_to_the_pins(tmp_path):
    asked = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
    assert "--constraint ../constraints.txt\n--editable .\n" in asked
    assert f"--extra-index-url {cpu_torch()}\n" in asked
    asked, apart = asked.removesuffix("notebook\n"), "notebook"  # which the image has; here only graders need it
    assert unpinned([Requirement(apart)], CONSTRAINTS) == []
    here = asked.replace("../constraints.txt", (ROOT / "constraints.txt").as_posix())
    error, chosen = resolve(tmp_path, here.replace("--editable .", f"--editable {ROOT.as_posix()}"))
    assert not error
    pins = doctor.read_pins(CONSTRAINTS)
    differ = {name: version for name, version in chosen.items() if Version(version).public != pins.get(name)}
    assert differ == {"pgcourse": metadata.version("pgcourse")}


def test_the_package_is_found_from_the_folder_that_holds_the_clone(tmp_path):
    """The clone is called pgcourse, too: a folder without a package in it, which must not hide the package."""
    clone, wheels, site = (tmp_path / name for name in ("pgcourse", "wheels", "site"))
    (clone / "pgcourse").mkdir(parents=True)
    (clone / "pgcourse" / "__init__.py").write_text("HERE = True\n", encoding="utf-8")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (clone / name).write_bytes((ROOT / name).read_bytes())
    build = f"from setuptools import build_meta; build_meta.build_editable({str(wheels)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for wheel in wheels.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(site)
    look = f"import site; site.addsitedir({str(site)!r}); import pgcourse; assert pgcourse.HERE"
    done = subprocess.run([sys.executable, "-S", "-E", "-c", look], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pins_that_contradict_the_project_do_not_resolve(tmp_path):
    wrong = tmp_path / "constraints.txt"
    wrong.write_text(re.sub("(?m)^numpy==.*", "numpy==1.26.4", CONSTRAINTS), encoding="utf-8")
    error, _ = resolve(tmp_path, pip_section(wrong))
    assert "conflicting dependencies" in error
