"""`pgcourse reproduce`, as a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pgcourse.lab import load, machine
from pgcourse.lab.provenance import SUSPECTS
from pgcourse.lab.studies import study_names

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "pgcourse.app.console"]

STUDY = """
title = "A small study"
env = "CartPole-v1"
steps = 600
seeds = 4
network = { hidden = [8] }
evaluation_episodes = 3
checkpoint_steps = 200
keep_policies = true

[variants.NAME]
algorithm = "NAME"
envs = 4
"""


def pgcourse(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    variables = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=variables, capture_output=True, text=True)


def verdicts(done: subprocess.CompletedProcess) -> dict[str, dict]:
    assert done.stdout, done.stderr
    return {each["study"]: each for each in json.loads(done.stdout)["studies"]}


def test_every_committed_study_is_repeated_on_the_kind_of_machine_that_made_it():
    done = pgcourse("reproduce", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = verdicts(done)
    assert set(found) == set(study_names())
    here = machine() | {"threads": 1}
    for name, verdict in found.items():
        manifests = [manifest for blocks in load(name).manifests.values() for manifest in blocks]
        assert verdict["runs"] == len(manifests)
        if all(manifest["machine"][key] == here[key] for manifest in manifests for key in SUSPECTS):
            assert verdict["verdict"] == "repeated"
        assert not verdict["problems"]


@pytest.fixture(scope="module")
def course(tmp_path_factory, write_chapter) -> Path:
    """A course of one chapter, with two studies of which it makes claims."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("reinforce", "a2c"):
        (folder / "results" / name).mkdir(parents=True)
        (folder / "results" / name / "study.toml").write_text(STUDY.replace("NAME", name), encoding="utf-8")
    claims = [
        f'pg.claim("{name}/final", pg.lab.load("{name}").evaluations["mean_return"], rests_on="{name}")'
        for name in ("reinforce", "a2c")
    ]
    write_chapter(folder, "01_one", ["import pgcourse as pg", *claims])
    results = {"PGCOURSE_RESULTS": str(folder / "results")}
    done = pgcourse("study", "reinforce", "a2c", folder=folder, **results)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "chapters" / "expected").mkdir()
    assert pgcourse("run", "--accept", folder=folder, **results).returncode == 0
    return folder


def reproduce(course: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, dict], str]:
    results = {"PGCOURSE_RESULTS": str(course / "results")}
    done = pgcourse("reproduce", "--json", *arguments, folder=course, **results, **environment)
    return done.returncode, verdicts(done), done.stderr


PLANTED = {  # file, what stands there, what is planted
    "a sign": ("rl/objectives.py", "return weight.detach() * log_prob", "return -weight.detach() * log_prob"),
    "a γ": ("rl/advantages.py", "return reward + gamma * next_value", "return reward + 0.999 * gamma * next_value"),
    "a λ": ("rl/advantages.py", "carry = gamma * lam *", "carry = 0.999 * gamma * lam *"),
}
ROUNDINGS = {
    "as it is": {},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "no vectors": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
}


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the package."""
    package = tmp_path / "pgcourse"
    shutil.copytree(ROOT / "pgcourse", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_another_processors_rounding_is_no_drift(course, rounding):
    status, found, shown = reproduce(course, **ROUNDINGS[rounding])
    assert status == 0, shown
    for verdict in found.values():
        assert verdict["verdict"] == "repeated" or is_other(ROUNDINGS[rounding])
        assert verdict["verdict"] in ("repeated", "reproduced")
        assert all(distance < 1e-8 for distance in verdict["distance"].values())


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_change_is_drift_with_every_rounding(course, copy, planted, rounding):
    """In a copy of the package: A2C has drifted, and REINFORCE where it uses what was changed."""
    file, sound, drifted = PLANTED[planted]
    path = copy / "pgcourse" / file
    text = path.read_text("utf-8")
    assert text.count(sound) == 1
    path.write_text(text.replace(sound, drifted), encoding="utf-8")
    before = {path: path.read_bytes() for path in (course / "results").rglob("*") if path.is_file()}
    status, found, shown = reproduce(course, PYTHONPATH=str(copy), **ROUNDINGS[rounding])
    assert status == 1
    assert found["a2c"]["verdict"] == "drifted"
    assert found["a2c"]["distance"]["a2c, seeds 0 to 3"] > 1e-5
    assert "a2c, seeds 0 to 3: iteration " in shown
    assert "more than rounding" in shown
    assert "source: " in shown
    assert found["reinforce"]["verdict"] in (["drifted"] if planted == "a sign" else ["repeated", "reproduced"])
    assert {path: path.read_bytes() for path in (course / "results").rglob("*") if path.is_file()} == before


def is_other(environment: dict[str, str]) -> bool:
    """Whether torch computes in another way there than here."""
    there = environment.get("ATEN_CPU_CAPABILITY", torch.backends.cpu.get_cpu_capability())
    return there.upper() != torch.backends.cpu.get_cpu_capability()


def test_whole_runs_are_repeated_and_kept_for_the_next_time(course):
    status, found, _ = reproduce(course, "--full")
    assert status == 0
    assert [verdict["verdict"] for verdict in found.values()] == ["repeated", "repeated"]
    manifests = {path: path.read_bytes() for path in (course / "_build" / "reproduce").rglob("manifest.json")}
    assert len(manifests) == 2
    status, found, _ = reproduce(course, "--full", "a2c")
    assert status == 0
    assert {path: path.read_bytes() for path in manifests} == manifests


@pytest.mark.skipif(
    not is_other({"ATEN_CPU_CAPABILITY": "default"}), reason="this processor has no vector instructions to do without"
)
def test_elsewhere_the_claims_decide(course):
    status, found, shown = reproduce(course, "--full", ATEN_CPU_CAPABILITY="default")
    assert status == 0, shown
    for name, verdict in found.items():
        assert verdict["verdict"] == "reproduced"
        assert verdict["claims"] == {f"01_one: {name}/final": ""}
        assert verdict["elsewhere"]["cpu_capability"]["here"] == "DEFAULT"
        assert verdict["unequal"]
    expected = course / "chapters" / "expected" / "01_one.toml"
    committed = expected.read_text("utf-8")
    try:
        (mean,) = [line for line in committed.split("[quick.")[2].splitlines() if line.startswith("mean")]
        expected.write_text(committed.replace(mean, "mean = 400.0"), encoding="utf-8")
        status, found, shown = reproduce(course, "--full", ATEN_CPU_CAPABILITY="default")
    finally:
        expected.write_text(committed, encoding="utf-8")
    assert status == 1
    assert found["reinforce"]["verdict"] == "reproduced"
    assert found["a2c"]["verdict"] == "drifted"
    assert "claim 01_one: a2c/final: mean" in shown


def test_a_record_that_is_damaged_or_missing_fails_alone(course, tmp_path):
    damaged = tmp_path / "course"
    shutil.copytree(course, damaged)
    (curves,) = (damaged / "results" / "a2c").rglob("curves.csv")
    curves.write_bytes(curves.read_bytes()[:-9])
    status, found, shown = reproduce(damaged)
    assert status == 1
    assert found["reinforce"]["verdict"] == "repeated"
    assert found["a2c"]["verdict"] == "failed"
    assert "CorruptRecord" in shown
    assert "curves.csv differs from its digest" in shown
    shutil.rmtree(curves.parent)
    status, found, shown = reproduce(damaged, "a2c")
    assert (status, found["a2c"]["verdict"]) == (1, "failed")
    assert "MissingRecord" in shown


def test_an_unknown_study_is_one_line():
    done = pgcourse("reproduce", "no-such-study")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no study 'no-such-study'; there are: a2c-cartpole")
