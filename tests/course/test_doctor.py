"""Each check of the doctor on this machine, and on one where what it looks at is broken."""

import json
import platform
import sys

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import pgcourse as pg
from pgcourse.app.console import main
from pgcourse.course import doctor


@pytest.fixture(scope="module")
def here():
    return pg.doctor()


def test_this_machine_can_run_the_course(here):
    assert here.status != "problem", here
    assert [check.name for check in here.checks] == [
        "Python",
        "packages",
        "torch",
        "kernel",
        "disk",
        "_build",
        "machine",
    ]
    assert here.machine["python"] == platform.python_version()


def test_a_diagnosis_shows_itself(here):
    shown = here._repr_html_()
    assert shown.count("<tr>") == len(here.checks)
    assert sys.prefix in repr(here)
    assert json.loads(json.dumps(here.to_json()))["machine"] == here.machine


def test_what_is_found_is_escaped():
    check = doctor.Finding("x", "problem", "<script>alert(1)</script>", "a & b")
    shown = doctor.Diagnosis((check,), None)._repr_html_()
    assert "<script>" not in shown
    assert "a &amp; b" in shown


def test_the_worst_check_counts():
    checks = [doctor.Finding("a", status, "") for status in ("ok", "problem", "warning")]
    assert doctor.Diagnosis(tuple(checks), None).status == "problem"
    assert doctor.Diagnosis(tuple(checks[::2]), None).status == "warning"
    assert doctor.Diagnosis(tuple(checks[:1]), None).status == "ok"


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10), "problem"), ((3, 11), "ok"), ((3, 14), "ok"), ((3, 15), "warning")]
)
def test_python(version, status):
    check = doctor.check_python(version)
    assert (check.status, f"{version[0]}.{version[1]}" in check.found) == (status, True)
    assert bool(check.remedy) == (status != "ok")


def test_packages_are_compared_with_the_pins():
    needs = [Requirement("numpy>=2"), Requirement("scipy>=1.15"), Requirement("torch>=2.6")]
    pins = {"numpy": "2.4.0", "scipy": "1.17.0", "torch": "2.13.0", "colorama": "0.4.6"}
    as_pinned = {"numpy": "2.4.0", "scipy": "1.17.0", "torch": "2.13.0+cpu", "other": "1.0"}
    assert doctor.compare(pins, as_pinned, needs) == ([], [], [])
    missing, different, outside = doctor.compare(pins, {"numpy": "2.4.1", "torch": "2.5.0"}, needs)
    assert missing == ["scipy"]
    assert different == ["numpy 2.4.1 (pinned 2.4.0)", "torch 2.5.0 (pinned 2.13.0)"]
    assert outside == ["torch 2.5.0 does not fit >=2.6"]


def test_other_versions_than_pinned_are_a_warning(tmp_path):
    (tmp_path / "constraints.txt").write_text("numpy==1.0\n", encoding="utf-8")
    check = doctor.check_packages(tmp_path)
    assert (check.status, "(pinned 1.0)" in check.found) == ("warning", True)
    (tmp_path / "constraints.txt").unlink()
    assert doctor.check_packages(tmp_path).status == "warning"


def test_a_missing_package_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "constraints.txt").write_text("numpy==1.0\n", encoding="utf-8")
    monkeypatch.setattr(doctor, "installed", lambda: {})
    check = doctor.check_packages(tmp_path)
    assert (check.status, "torch is missing" in check.found) == ("problem", True)
    assert "start.py setup" in check.remedy


def test_pins_for_another_system_do_not_count():
    assert doctor.read_pins("# pins\na==1\nB_b==2 ; sys_platform == 'nowhere'\n\nc-c==3 # why\n") == {
        "a": "1",
        "c-c": "3",
    }


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("raise ImportError('DLL load failed')", "DLL load failed"),
        ("import os; os._exit(3)", "status 3"),
        ('print(\'{"version": "0", "right": false, "vectors": "AVX2", "threads": 1}\')', "wrong"),
    ],
)
def test_a_broken_torch_is_a_problem(script, found, monkeypatch):
    monkeypatch.setattr(doctor, "TORCH", script)
    check = doctor.check_torch()
    assert (check.status, found in check.found) == ("problem", True), check


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="a setting of torch on x86")
def test_a_torch_without_vector_instructions_is_a_warning(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert doctor.check_torch().status == "warning"


def set_kernel(folder, monkeypatch, command):
    """Jupyter's kernel python3 becomes one of our own."""
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": command, "display_name": "x", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(folder))


def test_a_kernel_that_dies_is_a_problem(tmp_path, monkeypatch):
    set_kernel(tmp_path, monkeypatch, [sys.executable, "-c", "raise SystemExit(1)"])
    assert doctor.check_kernel().status == "problem"


def test_a_kernel_of_another_python_is_a_problem(tmp_path, monkeypatch):
    launch = (
        "import sys; from ipykernel.kernelapp import launch_new_instance; sys.prefix = '/other'; launch_new_instance()"
    )
    set_kernel(tmp_path, monkeypatch, [sys.executable, "-c", launch, "-f", "{connection_file}"])
    check = doctor.check_kernel()
    assert (check.status, "/other" in check.found) == ("problem", True), check


def test_a_process_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0.5)
    assert doctor._ask("import time; time.sleep(60)") == (None, "no answer in 0.5 s")


@pytest.mark.parametrize(("free", "status"), [(0, "problem"), (5e8, "warning"), (5e9, "ok")])
def test_disk(free, status, tmp_path):
    assert doctor.check_disk(tmp_path, free=free).status == status
    assert doctor.check_disk(tmp_path).found.endswith("GB free")


def test_a_folder_for_results_that_cannot_be_written_is_a_problem(tmp_path):
    assert doctor.check_build(tmp_path).status == "ok"
    (tmp_path / "_build").rmdir()
    (tmp_path / "_build").write_text("a file in its place", encoding="utf-8")
    assert doctor.check_build(tmp_path).status == "problem"


def test_the_command_prints_one_document_and_fails_on_a_problem(here, monkeypatch):
    monkeypatch.setattr("pgcourse.app.doctor.examine", lambda: here)
    well = CliRunner().invoke(main, ["doctor", "--json"])
    assert (well.exit_code, json.loads(well.stdout)) == (0, here.to_json())
    broken = doctor.Diagnosis((doctor.Finding("torch", "problem", "gone", "set up anew"),), None)
    monkeypatch.setattr("pgcourse.app.doctor.examine", lambda: broken)
    ill = CliRunner().invoke(main, ["doctor"])
    assert (ill.exit_code, "set up anew" in ill.stdout) == (1, True)
