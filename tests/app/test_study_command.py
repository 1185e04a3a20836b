import contextlib
import os
import signal
import subprocess
import sys

import nbformat
import pytest
from click.testing import CliRunner
from small_study import SMALL as FOUR_RUNS

from pgcourse.app.blocks import tidy
from pgcourse.app.console import main
from pgcourse.lab import Study, load, runs

SMALL = FOUR_RUNS.replace("seeds = 4", "seeds = 2")  # every run pays for starting a process


def study(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["study", *arguments], env={"COLUMNS": "120"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small study, computed once by the command in processes of its own."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "small").mkdir()
    (folder / "small" / "study.toml").write_text(SMALL, encoding="utf-8")
    command = [sys.executable, "-m", "pgcourse.app.console", "study", "small", "--workers", "2"]
    done = subprocess.run(command, env=os.environ | {"PGCOURSE_RESULTS": str(folder)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done small") == 2
    return folder


@pytest.fixture
def small(folder, monkeypatch):
    monkeypatch.setenv("PGCOURSE_RESULTS", str(folder))
    return folder / "small"


def test_what_is_there_is_not_computed_again(small):
    before = load("small").manifests
    assert all(manifest["machine"]["threads"] == 1 for blocks in before.values() for manifest in blocks)
    status, output = study("small")
    assert status == 0
    assert output.count("done") == 2
    assert load("small").manifests == before


def test_list(small):
    status, output = study("list")
    assert status == 0
    assert "small  2 of 2 records" in output
    assert "A small study" in output
    assert "2 variants × 2 seeds in CartPole-v1 (600 steps)" in output


def test_only_a_missing_run_is_computed(small):
    lost, *others = [block.name for block in Study.read("small").blocks()]
    first = load("small").records["plain"][0].manifest
    before = {name: Study.read("small").store.read(name).manifest for name in others}
    Study.read("small").store.remove(lost)
    status, output = study("small", "--dry-run")
    assert status == 0
    assert output.count("missing") == 1
    assert lost not in Study.read("small").store
    status, output = study("small")
    assert status == 0
    assert output.count("done small: plain, seeds 0 to 1") == 1
    assert {name: Study.read("small").store.read(name).manifest for name in others} == before
    again = load("small").records["plain"][0].manifest
    assert again["metrics"] == first["metrics"]  # bit for bit, in another process


def test_a_corrupt_record_is_named_and_refreshed(small):
    block = Study.read("small").blocks()[1]
    curves = small / block.name / "curves.csv"
    curves.write_bytes(curves.read_bytes()[:-20])
    status, output = study("small")
    assert status == 1
    assert "CorruptRecord" in output
    assert f"{block.name}: curves.csv differs from its digest" in output
    status, output = study("small", "--refresh", "--dry-run")
    assert status == 0
    assert output.count("to be computed again") == 2
    status, output = study("small", "--refresh")
    assert status == 0
    assert load("small").curves.notna().any(axis=None)


def test_records_of_no_variant_are_shown_and_pruned(declare):
    declare(text=SMALL)
    assert study("small")[0] == 0
    old = {block.name for block in Study.read("small").blocks()}
    declare(text=SMALL.replace("envs = 4\nbaseline", "envs = 5\nbaseline"))
    status, output = study("small", "--dry-run")
    assert status == 0
    assert output.count("of no variant") == 1
    assert set(Study.read("small").store.names()) == old
    assert study("small", "--prune")[0] == 0
    assert sorted(Study.read("small").store.names()) == sorted(block.name for block in Study.read("small").blocks())


def test_one_run_that_fails_costs_no_other(declare):
    declare(text=SMALL.replace('"a2c"', '"a2c"\nlr = 3e38'))
    status, output = study("small")
    assert status == 1
    assert "failed small: critic" in output
    assert "FloatingPointError" in output
    assert "done small: plain" in output
    assert len(Study.read("small").store.names()) == 1


def test_checkpoints_of_runs_that_are_done_are_tidied_up(small):
    study_ = Study.read("small")
    done, unknown = study_.blocks()[0].name, "unknown.seeds-0-9"
    study_.checkpoints.folder.mkdir(exist_ok=True)
    for name in (done, unknown):
        (study_.checkpoints.folder / f"{name}.pt").write_bytes(b"late")
    assert study("small", "--dry-run")[0] == 0
    assert len(list(study_.checkpoints.folder.iterdir())) == 2
    assert study("small")[0] == 0
    assert [path.stem for path in study_.checkpoints.folder.iterdir()] == [unknown]


def test_studies_whose_runs_have_one_name_share_a_folder_of_checkpoints(declare, tmp_path, monkeypatch):
    """One of them is done and lets go of its checkpoints; the other's stay."""
    often = SMALL.replace("steps = 600", "steps = 600\ncheckpoint_steps = 130")
    done, begun = (Study.read(declare(name, often).name) for name in ("done", "begun"))
    asked = []
    monkeypatch.setattr("pgcourse.app.study.compute", lambda *arguments, **options: asked.append(arguments[3]) or 0)
    assert study("done", "begun", "--checkpoints", str(tmp_path / "shared"))[0] == 0
    (checkpoints,) = asked
    run, other = done.blocks()[0], begun.blocks()[0]
    assert run.name == other.name
    runs.store(run, runs.compute(run))

    def stopped(part, value=None):
        if part > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.compute(other, stopped, checkpoints(begun))
    assert checkpoints(begun).load(other)
    tidy(done, checkpoints(done))
    assert checkpoints(begun).load(other)


@pytest.mark.parametrize("arguments", [["small", "--dry-run"], ["list"], ["small"]])
def test_a_wrong_declaration_is_one_line(declare, arguments):
    declare(text=SMALL.replace('"a2c"', '"a3c"'))
    status, output = study(*arguments)
    assert status == 1
    assert "algorithm must be one of" in output
    assert "Traceback" not in output


def test_nothing_starts_where_one_study_cannot(declare):
    declare("good")
    declare("bad", SMALL.replace("CartPole-v1", "CartPole-v9"))
    status, output = study("good", "bad")
    assert status == 1
    assert "bad: env = 'CartPole-v9'" in output
    assert Study.read("good").store.names() == []


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT to a process group")
def test_interrupting_keeps_what_is_finished(declare):
    endless = SMALL.replace("steps = 600", "steps = 600_000_000")
    declare(text=SMALL)
    declare("endless", endless)
    command = [sys.executable, "-u", "-m", "pgcourse.app.console", "study", "small", "endless", "--workers", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    while not (line := process.stdout.readline()).startswith("done small: critic"):
        assert process.poll() is None
        assert not line.startswith("failed")
    os.killpg(process.pid, signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=60)  # ends when no process holds the pipes any more
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Finished runs are kept, others as their last checkpoints" in output
    assert "Traceback" not in errors
    assert len(load("small").curves) > 0
    assert Study.read("endless").store.names() == []
    assert not list(Study.read("endless").folder.glob(".staging-*"))


@pytest.mark.parametrize(("options", "again"), [((), False), (("--refresh",), True)])
def test_who_interrupts_is_told_what_the_same_command_would_do(declare, monkeypatch, options, again):
    declare(text=SMALL)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("pgcourse.app.study._run", interrupted)
    status, output = study("small", *options)
    assert status == 130
    assert ("computes the finished ones again" in " ".join(output.split())) == again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "small"], "list takes no names"),
        (["list", "--refresh"], "pgcourse study list takes no --refresh"),
        (["new", "mine", "--workers", "2"], "pgcourse study new takes no --workers"),
        (["report", "small", "--prune"], "pgcourse study report takes no --prune"),
        (["report", "small", "--address", "x"], "pgcourse study report takes no --address"),
        (["small", "--dry-run", "--test", "welch"], "--test is for reports: pgcourse study report small --test"),
        (["small", "--to", "here"], "--to is for reports: pgcourse study report small --to"),
    ],
)
def test_options_without_effect_are_refused(small, arguments, message):
    status, output = study(*arguments)
    assert status == 2
    assert message in " ".join(output.split())


def test_a_report_is_written_beside_the_study_or_elsewhere(small, tmp_path):
    status, output = study("report", "small")
    assert status == 0
    assert output.split() == [str(small / "report.md"), str(small / "report.html")]
    status, output = study("report", "small", "--to", str(tmp_path / "reports"))
    assert (tmp_path / "reports" / "small.md").read_bytes() == (small / "report.md").read_bytes()
    assert study("report", "none")[0] == 1
    assert study("report")[0] == 2


def test_a_new_study_can_be_computed_and_its_notebook_be_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("PGCOURSE_RESULTS", str(tmp_path))
    status, output = study("new", "wider-clip")
    assert status == 0
    assert "pgcourse study wider-clip" in output
    declared = Study.read("wider-clip")
    declared.check()
    assert (declared.seeds, len(declared.variants), bool(declared.question)) == (10, 2, True)
    assert study("wider-clip", "--dry-run")[1].count("missing") == 2
    notebook = nbformat.read(tmp_path / "wider-clip" / "wider-clip.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 6
    for source in code:
        assert source.startswith("!") or compile(source, "cell", "exec")
    for wrong in (["wider-clip"], ["Wider Clip"], ["report"], ["a", "b"]):
        status, output = study("new", *wrong)
        assert status == 1
        assert "Error: " in output
