"""The runner against real papermill runs of small notebooks; the notebooks of one fixture share a run to save time."""

from __future__ import annotations

import html
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.manager import start_new_kernel
from rich.console import Console

from pgcourse.app.run import explain
from pgcourse.course import book, expected, runner
from pgcourse.course.runner import find_chapters, find_root
from pgcourse.lab import provenance

IMPORT = "from pgcourse import claim"

MANY = 6  # more than a cell shows one by one
SOUND = [
    IMPORT,
    "claim('a/close', 0.25)\nclaim('a/order', 1e-16, below=1e-8)",
    "",
    "claim('b/interval', [1.0, 2.0, 3.0])",
]
ORPHANS = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
done = pathlib.Path("pids.partial")
done.write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
done.rename("pids")
time.sleep(600)
"""
TRAPS = {
    "10_exit": ["1 + 1", "import sys\nsys.exit(0)", "2 + 2"],
    "11_exit_in_the_last_cell": ["1 + 1", "import sys\nsys.exit()"],
    "12_killed": ["1 + 1", "import os, psutil\npsutil.Process(os.getpid()).kill()", "2 + 2"],
    "13_process_exit": ["1 + 1", "import os\nos._exit(0)"],
    "15_raises": ["def f():\n    return 1 / 0", "f()", "2 + 2"],
    "16_raises_with_leave": ["1 / 0  # tagged", IMPORT],
    "17_twice": [IMPORT, "claim('a/same', 1.0)", "claim('a/same', 1.0)"],
    "18_twice_in_a_cell": [IMPORT, "claim('a/same', 1.0)\nclaim('a/same', 1.0)"],
    "19_nan": [IMPORT, "claim('a/nan', float('nan'))"],
    "20_never_measured": [IMPORT, "claim('a/new', 1.0)"],
}


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def repository(tmp_path_factory, write_chapter):
    root = tmp_path_factory.mktemp("repository")
    for name, cells in TRAPS.items():
        write_chapter(root, name, cells)
    tagged = root / "chapters" / "16_raises_with_leave.ipynb"
    content = json.loads(tagged.read_text("utf-8"))
    content["cells"][2]["metadata"]["tags"] = ["raises-exception"]
    tagged.write_text(json.dumps(content), "utf-8")
    write_chapter(root, "21_unknown_parameter", ["1 + 1"], parameters='profil = "quick"')
    write_chapter(root, "22_no_parameters", ["1 + 1"], parameters=None)
    (root / "chapters" / "23_not_a_notebook.ipynb").write_text("nothing", "utf-8")
    (root / "chapters" / "expected").mkdir()
    for name, cells in {"24_malformed": ["1 + 1"], "25_malformed": [IMPORT, "claim('a/b', 1)"]}.items():
        write_chapter(root, name, cells)
        (root / "chapters" / "expected" / f"{name}.toml").write_text("[quick\n", "utf-8")
    for name in TRAPS:
        if name not in ("17_twice", "18_twice_in_a_cell", "20_never_measured"):
            expected.accept(root / "chapters" / "expected" / f"{name}.toml", "quick", [])
    for name in ("17_twice", "18_twice_in_a_cell"):
        (root / "chapters" / "expected" / f"{name}.toml").write_text(
            '[quick."a/same"]\nkind = "close"\nvalue = 1.0\n\n[quick."a/other"]\nkind = "close"\nvalue = 1.0\n', "utf-8"
        )
    return root


@pytest.fixture(scope="module")
def trapped(repository):
    results = runner.run(find_chapters(repository), repository / "_build", workers=2)
    return {result.chapter: result for result in results}


@pytest.mark.parametrize(
    ("chapter", "cell", "words"),
    [
        ("10_exit", 3, "ended the kernel (SystemExit: 0)"),
        ("11_exit_in_the_last_cell", 3, "ended the kernel (SystemExit)"),
        ("12_killed", 3, "the kernel died in this cell"),
        ("13_process_exit", 3, "the kernel died in this cell"),
        ("15_raises", 3, "ZeroDivisionError: division by zero"),
        ("16_raises_with_leave", 2, "ZeroDivisionError: division by zero"),
        ("19_nan", 3, "ValueError: claim 'a/nan': its numbers must be finite"),
        ("20_never_measured", None, "says nothing of profile 'quick': run with --accept"),
        ("21_unknown_parameter", None, "unknown parameter 'profile'"),
        ("22_no_parameters", None, "0 cells are tagged 'parameters'"),
        ("23_not_a_notebook", None, "not a notebook"),
        ("24_malformed", None, "24_malformed.toml is not TOML"),
        ("25_malformed", 3, "25_malformed.toml is not TOML"),
    ],
)
def test_what_papermill_lets_through_is_a_failure_that_says_why(trapped, chapter, cell, words):
    result = trapped[chapter]
    assert result.verdict == "failed"
    assert words in result.failure.reason
    assert result.failure.cell == cell


def test_a_failure_shows_the_cell_and_the_end_of_the_traceback(trapped):
    failure = trapped["15_raises"].failure
    assert failure.source == "f()"
    assert "return 1 / 0" in failure.traceback
    assert "\x1b" not in failure.traceback


@pytest.mark.parametrize("chapter", ["17_twice", "18_twice_in_a_cell"])
def test_a_claim_made_twice_fails_by_name(trapped, chapter):
    assert trapped[chapter].failure is None
    assert trapped[chapter].claims_failed["a/same"] == "made twice in the chapter"
    assert "missing" in trapped[chapter].claims_failed["a/other"]


def test_the_executed_copy_of_a_failed_chapter_is_left_to_be_read(trapped):
    assert "ZeroDivisionError" in trapped["15_raises"].html.read_text("utf-8")


def test_the_time_limit_stops_the_chapter_and_leaves_no_process(write_chapter, tmp_path):
    """Neither papermill, nor the kernel, nor a daemon that it started in a session of its own."""
    notebook = write_chapter(tmp_path, "01_endless", ["1 + 1", ORPHANS, "2 + 2"])
    pids = notebook.with_name("pids")
    for timeout in (8, 16, 32, 64):  # the machine may be too busy to reach the cell in time
        (result,) = runner.run([notebook], tmp_path / "_build", timeout=timeout)
        assert (result.verdict, result.seconds >= timeout) == ("failed", True)
        if pids.exists():
            break
    assert result.failure.reason == f"stopped at the time limit of {timeout} s, in this cell"
    assert (result.failure.cell, result.failure.source) == (3, ORPHANS)
    said = Console(file=io.StringIO(), width=200)
    explain(said, result)
    assert f"pgcourse run 01_endless --timeout {2 * timeout}" in said.file.getvalue()
    assert len(pids.read_text("utf-8").split()) == 3
    assert not [pid for pid in pids.read_text("utf-8").split() if alive(int(pid))]


@pytest.mark.parametrize(
    ("log", "where"),
    [
        ("Executing:  25%|##5       | 1/4 [00:03<00:09]", "in cell 2 of 4"),
        ("Executing:   0%|          | 0/4 [00:00<?]", "in its first cell or before it"),
        ("", "in its first cell or before it"),
    ],
)
def test_the_cell_at_the_time_limit_is_told_where_the_executed_copy_cannot_be_read(log, where):
    """As where 60,000 printed lines are being written into it: then nothing is known but papermill's progress."""
    failure = runner._execution_failure([], None, 4.0, log)
    assert failure == runner.Failure(f"stopped at the time limit of 4 s, {where}", timeout=4.0)


def test_a_cell_whose_error_could_not_be_sent_is_told():
    """A message with a lone surrogate: papermill marks the cell, and there is no output."""
    papermill = {"papermill": {"start_time": "now", "exception": True}}
    cell = {"source": "raise ValueError(chr(0xD800))", "outputs": [], "execution_count": None, "metadata": papermill}
    failure = runner._execution_failure([cell], 1, 4.0, "")
    assert (failure.cell, failure.source) == (1, cell["source"])
    assert "raised an error whose message could not be sent" in failure.reason


def test_a_notebook_need_not_say_in_what_language_it_is(write_chapter, tmp_path):
    path = write_chapter(tmp_path, "01_bare", ["assert 1 + 1 == 2"])
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["kernelspec"]
    nbformat.write(notebook, path)
    (result,) = runner.run([path], tmp_path / "_build", timeout=60)
    assert result.failure.reason.startswith("expected/01_bare.toml says nothing")  # it ran to its end


def test_papermills_own_cell_timeout_is_a_failure(write_chapter, tmp_path):
    """papermill --execution-timeout marks the cell as completed; whoever runs it that way is judged the same."""
    notebook = write_chapter(tmp_path, "01_slow", ["import time\ntime.sleep(60)", "2 + 2"])
    executed = tmp_path / "executed.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook), str(executed), "-p", "profile", "quick"]
    done = subprocess.run([*command, "--execution-timeout", "1"], capture_output=True, text=True, timeout=60)
    cells = runner._code_cells(executed)
    assert [cell["metadata"]["papermill"]["status"] for cell in cells[1:]] == ["completed", "completed"]
    failure = runner._execution_failure(cells, done.returncode, 60, done.stderr)
    assert (failure.reason, failure.cell) == ("KeyboardInterrupt", 2)
    # even if papermill had swallowed both the error and its status
    cells[1]["outputs"] = []
    assert runner._execution_failure(cells, 0, 60, "").reason == "this cell was not executed"
    assert runner._execution_failure(cells, 1, 60, "a\nlast words").traceback.endswith("last words")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, write_chapter):
    """A sound chapter after `--accept`, and the result of that run."""
    root = tmp_path_factory.mktemp("measured")
    notebook = write_chapter(root, "01_sound", SOUND)
    exact = write_chapter(root, "02_exact", [IMPORT, "claim('b/exact', 0.1, exact=True)"])
    results = {result.notebook: result for result in runner.run([notebook, exact], root / "_build", accept=True)}
    assert results[exact].verdict == "passed"
    return root, notebook, results[notebook]


def test_accept_writes_what_the_chapter_measured(measured):
    _, notebook, result = measured
    assert (result.failure, result.claims_failed, result.verdict) == (None, {}, "passed")
    assert result.changes == dict.fromkeys(["a/close", "a/order", "b/interval"], "new")
    expectations = expected.load(expected.path_for(notebook), "quick")
    assert [entry.kind for entry in expectations.values()] == ["close", "order", "interval"]
    exact = expected.load(expected.path_for(notebook.with_stem("02_exact")), "quick")["b/exact"]
    assert exact.value == 0.1
    assert exact.platform.endswith("threads 1")


def test_the_executed_copy_is_a_notebook_and_a_page_that_reads_offline(measured):
    root, _, result = measured
    assert result.executed == root / "_build" / "chapters" / "01_sound.ipynb"
    page = result.html.read_text("utf-8")
    assert "✓</b> a/close: 0.25" in page
    assert "\\theta" in page
    # nothing that a browser waits for, or fetches, before it shows the page
    sources = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[^>]*>", page)
    assert len(sources) == 1
    assert "defer" in sources[0]
    assert "mathjax" in sources[0]
    assert "import(" not in page


def test_folded_claims_are_found_and_their_page_folds_those_that_hold(write_chapter, tmp_path):
    cell = f"print('before')\nfor i in range({MANY}):\n    claim(f'a/number{{i}}', i, below={MANY})"
    notebook = write_chapter(tmp_path, "01_many", [IMPORT, cell, "claim('b/alone', 1)"])
    (result,) = runner.run([notebook], tmp_path / "_build", accept=True)
    assert result.verdict == "passed"
    assert [claim.name for claim in result.claims] == [*(f"a/number{i}" for i in range(MANY)), "b/alone"]
    assert f"✓</b> {MANY} of {MANY} hold</summary>" in result.html.read_text("utf-8")


@pytest.fixture(scope="module")
def edited(measured, tmp_path_factory, write_chapter):
    """Chapters whose numbers were edited, against the expectations of the sound ones."""
    _, sound, _ = measured
    root = tmp_path_factory.mktemp("edited")
    numbers = ["claim('a/close', 0.26)\nclaim('a/order', 1e-6, below=1e-8)", "claim('b/interval', [1e4, 2.0, 3.0])"]
    statements = ["claim('a/order', 1e-16, below=1e-7)\nclaim('a/new', 1)", "claim('b/interval', [1.0, 2.0, 3.0, 2.0])"]
    chapters = {
        "01_unedited": (sound, SOUND),
        "02_numbers": (sound, [IMPORT, *numbers]),
        "03_statements": (sound, [IMPORT, *statements]),
        "04_exact": (sound.with_stem("02_exact"), [IMPORT, "claim('b/exact', 0.1 + 2 ** -56, exact=True)"]),
    }
    notebooks = []
    for name, (original, cells) in chapters.items():
        notebooks.append(write_chapter(root, name, cells))
        path = expected.path_for(notebooks[-1])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(expected.path_for(original).read_bytes())
    return {result.chapter: result for result in runner.run(notebooks, root / "_build", workers=2)}


@pytest.mark.parametrize(
    ("chapter", "held", "failed"),
    [
        ("01_unedited", 3, {}),
        (
            "02_numbers",
            0,
            {"a/close": "0.26 is not 0.25", "a/order": "not below 1e-08: 1e-06", "b/interval": "lies outside"},
        ),
        (
            "03_statements",
            0,
            {
                "a/order": "the notebook says below=1e-07, the file below=1e-08",
                "a/new": "unexpected",
                "b/interval": "4 seeds recorded, 3 committed",
                "a/close": "missing",
            },
        ),
        ("04_exact", 0, {"b/exact": "0.10000000000000002 is not exactly 0.1, on the same platform"}),
    ],
)
def test_a_wrong_number_of_any_kind_fails_the_chapter_and_names_the_claim(edited, chapter, held, failed):
    result = edited[chapter]
    assert result.failure is None
    assert result.verdict == ("failed" if failed else "passed")
    assert result.claims_held == held
    assert list(result.claims_failed) == list(failed)
    for name, words in failed.items():
        assert words in result.claims_failed[name]


def test_the_executed_page_says_whether_a_number_is_as_in_the_text(edited):
    assert "✓</b> a/close: 0.25" in edited["01_unedited"].html.read_text("utf-8")
    page = html.unescape(edited["02_numbers"].html.read_text("utf-8"))
    assert "✗</b> a/close: 0.26; not as in the course's text: 0.26 is not 0.25" in page


def test_accept_refuses_a_chapter_that_failed_and_a_claim_that_does_not_hold(write_chapter, tmp_path):
    notebooks = [
        write_chapter(tmp_path, "01_raises", [IMPORT, "claim('a/good', 1.0)", "1 / 0"]),
        write_chapter(tmp_path, "02_untrue", [IMPORT, "claim('a/good', 1.0)\nclaim('a/untrue', 1.0, above=2)"]),
    ]
    results = {r.chapter: r for r in runner.run(notebooks, tmp_path / "_build", accept=True)}
    assert "ZeroDivisionError" in results["01_raises"].failure.reason
    assert results["02_untrue"].claims_failed == {"a/untrue": "not above 2: 1"}
    assert [result.verdict for result in results.values()] == ["failed", "failed"]
    assert not (tmp_path / "chapters" / "expected").exists()


def test_the_kernel_is_this_interpreter_and_nothing_of_the_users_set_up(write_chapter, tmp_path, monkeypatch):
    jupyter, ipython = tmp_path / "jupyter", tmp_path / "ipython"
    kernel = jupyter / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "Python 3", "language": "python"}), "utf-8"
    )
    startup = ipython / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-mine.py").write_text("meddled = True", "utf-8")
    (tmp_path / "mine.py").write_text("also_meddled = True", "utf-8")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(jupyter))
    monkeypatch.setenv("JUPYTER_PATH", str(jupyter))
    monkeypatch.setenv("IPYTHONDIR", str(ipython))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "mine.py"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    cells = [
        f"import os, sys\nassert sys.executable == {sys.executable!r}, sys.executable",
        "assert 'meddled' not in globals() and 'also_meddled' not in globals()",
        "import torch\nassert torch.get_num_threads() == 1",
        "assert 'inline' in os.environ['MPLBACKEND']",
        f"assert os.getcwd() == {str(tmp_path / 'chapters')!r}",
        "assert profile == 'full'",
    ]
    notebook = write_chapter(tmp_path, "01_who", cells)
    path = expected.path_for(notebook)
    path.parent.mkdir()
    path.write_text("[full]\n", "utf-8")
    (result,) = runner.run([notebook], tmp_path / "_build", profile="full")
    assert (result.failure, result.verdict) == (None, "passed")


@pytest.fixture
def clone(tmp_path, write_chapter):
    write_chapter(tmp_path, "00_start", ["1"])
    write_chapter(tmp_path, "02_gradient", ["1"])
    write_chapter(tmp_path, "02b_ascent", ["1"])
    write_chapter(tmp_path, "12_gradient", ["1"])
    (tmp_path / "chapters" / "notes.ipynb").write_text("{}", "utf-8")
    return tmp_path


def test_the_repository_is_found_from_any_folder_inside(clone, monkeypatch):
    deep = clone / "chapters" / "expected" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_root() == clone


def test_an_installation_without_chapters_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "site-packages" / "pgcourse" / "lab" / "provenance.py"))
    with pytest.raises(FileNotFoundError, match="clone of the course's repository"):
        find_root(tmp_path)


def test_chapters_by_number_name_and_path(clone, monkeypatch):
    everything = ["00_start", "02_gradient", "02b_ascent", "12_gradient"]
    monkeypatch.chdir(clone / "chapters")
    for names, stems in {
        (): everything,
        ("2",): ["02_gradient"],
        ("02", "0"): ["02_gradient", "00_start"],
        ("02b", "2b", "ascent", "02b_ascent"): ["02b_ascent"],
        ("start",): ["00_start"],
        ("12_gradient", "12"): ["12_gradient"],
        ("notes.ipynb", "../chapters/00_start.ipynb"): ["notes", "00_start"],
    }.items():
        assert [path.stem for path in find_chapters(clone, names)] == stems


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("3", "no chapter or notebook '3'; chapters are 00_start, 02_gradient"),
        ("2c", "no chapter or notebook '2c'"),
        ("gradient", "more than one chapter fits 'gradient'"),
        ("nowhere.ipynb", "no chapter or notebook 'nowhere.ipynb'"),
        ("", "no chapter or notebook ''"),
    ],
)
def test_an_unknown_chapter_is_refused(clone, name, words):
    with pytest.raises(FileNotFoundError) as error:
        find_chapters(clone, [name])
    assert words in str(error.value)


@pytest.mark.parametrize("options", [{"profile": "slow"}, {"workers": 0}, {"timeout": 0}, {"timeout": float("nan")}])
def test_senseless_options_are_refused(options, tmp_path):
    with pytest.raises(ValueError, match=str(next(iter(options)))):
        runner.run([], tmp_path, **options)


# The command itself, as a process


def pgcourse(*arguments, cwd, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "pgcourse.app.console", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    )


def test_json_is_one_document_on_stdout_and_a_wrong_number_makes_the_exit_status_1(measured, write_chapter):
    root, notebook, _ = measured
    wrong = write_chapter(root, "03_wrong", [SOUND[0], SOUND[1].replace("0.25", "0.5"), *SOUND[2:]])
    expected.path_for(wrong).write_bytes(expected.path_for(notebook).read_bytes())
    process = pgcourse("run", "--json", "sound", "3", cwd=root / "chapters")
    out, err = process.communicate(timeout=120)
    document = json.loads(out)
    assert [list(chapter) for chapter in document["chapters"]] == [
        ["chapter", "seconds", "claims_held", "claims_failed", "verdict"]
    ] * 2
    for chapter in document["chapters"]:
        assert chapter.pop("seconds") > 0
    assert document == {
        "chapters": [
            {"chapter": "01_sound", "claims_held": 3, "claims_failed": [], "verdict": "passed"},
            {"chapter": "03_wrong", "claims_held": 2, "claims_failed": ["a/close"], "verdict": "failed"},
        ]
    }
    assert process.returncode == 1
    assert "claim a/close: 0.5 is not 0.25" in err
    assert "2 of 3 claims" in err


def test_one_chapter_by_number_prints_a_table_and_exits_with_0(measured):
    root, _, _ = measured
    process = pgcourse("run", "1", cwd=root)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert re.search(r"^01_sound +\d+\.\d +3 of 3 claims +passed", out, re.MULTILINE)


def test_what_needs_an_extra_that_is_missing_is_not_run_unless_asked_for_and_says_how_to_get_it(
    write_chapter, tmp_path
):
    sound, bound = write_chapter(tmp_path, "01_sound", ["1 + 1"]), write_chapter(tmp_path, "01b_bound", ["1 / 0"])
    expected.accept(expected.path_for(sound), "quick", [])
    content = json.loads(bound.read_text("utf-8"))
    content["metadata"]["pgcourse"] = {"needs": {"no_such_module": "pip install none-such", "json": "it is there"}}
    bound.write_text(json.dumps(content), "utf-8")
    for names, status in ([], 0), (["1b", "1"], 1):
        process = pgcourse("run", *names, cwd=tmp_path)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == status
        assert re.search(r"^01b_bound +not run", out, re.MULTILINE)
        assert "01b_bound not run, needs no_such_module: pip install none-such\n" in out
    (result,) = runner.run([bound], tmp_path / "_build")
    said = result.to_json()
    assert (said["verdict"], said["lacking"]) == ("not run", "needs no_such_module: pip install none-such")
    assert list(book.not_ready([sound, bound], tmp_path / "elsewhere")) == [sound]


def test_an_unknown_chapter_is_an_error_without_a_traceback(measured):
    process = pgcourse("run", "99", cwd=measured[0])
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "Error: no chapter or notebook '99'" in err
    assert "Traceback" not in err


def wait_for(path: Path, process: subprocess.Popen[str]) -> list[int]:
    for _ in range(1200):
        if path.exists():
            return [int(pid) for pid in path.read_text("utf-8").split()]
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


@pytest.mark.skipif(os.name == "nt", reason="signals to a process are POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_leaves_no_process_and_reports_what_was_done(write_chapter, tmp_path, name):
    quick = write_chapter(tmp_path, "00_quick", ["1 + 1"])
    expected.accept(expected.path_for(quick), "quick", [])
    endless = write_chapter(tmp_path, "01_endless", [ORPHANS])
    process = pgcourse("run", "--json", "--workers", "1", cwd=tmp_path)
    pids = wait_for(endless.with_name("pids"), process)
    assert len(pids) == 3
    assert all(alive(pid) for pid in pids)
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert not [pid for pid in pids if alive(pid)]
    assert [(c["chapter"], c["verdict"]) for c in json.loads(out)["chapters"]] == [("00_quick", "passed")]
    assert "Interrupted" in err
    assert re.search(r"01_endless +not run", err)


# A kernel as JupyterLab drives it


@pytest.fixture(scope="module")
def lab(measured):
    _, notebook, _ = measured
    manager, client = start_new_kernel(env={**os.environ, "JPY_SESSION_NAME": str(notebook)})

    def execute(code: str, cell: str) -> str:
        """What the cell shows, its error or the line that it displays."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        client.shell_channel.send(client.session.msg("execute_request", content, metadata={"cellId": cell}))
        shown = []
        while True:
            message = client.get_iopub_msg(timeout=60)
            body = message["content"]
            if message["msg_type"] == "error":
                shown.append(f"{body['ename']}: {body['evalue']}")
            elif message["msg_type"] in ("display_data", "execute_result"):
                shown.append(body["data"]["text/plain"])
            elif message["msg_type"] == "update_display_data":
                shown[-1] = body["data"]["text/plain"]
            elif message["msg_type"] == "status" and body["execution_state"] == "idle":
                return "\n".join(shown)

    execute(f'{IMPORT}\nprofile = "quick"', "imports")
    yield execute
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_reader_sees_whether_the_number_is_that_of_the_text(lab):
    assert lab("claim('a/close', 0.25)", "one") == "✓ a/close: 0.25"
    assert "✗ a/close: 0.3; not as in the course's text: 0.3 is not 0.25" in lab("claim('a/close', 0.3)", "one")
    assert lab("claim('b/interval', [2.1, 1.9, 2.2])", "two").endswith("3 seeds)")
    assert lab("claim('a/order', 1e-12, below=1e-8)", "three") == "✓ a/order: 1e-12, below 1e-08"
    assert lab("claim('a/mine', 3)", "four") == "✓ a/mine: 3"


def test_a_cell_may_run_again_be_copied_and_be_split(lab):
    assert lab("claim('c/again', 1)", "five") == "✓ c/again: 1"
    assert lab("claim('c/again', 2)", "five") == "✓ c/again: 2"
    assert lab("claim('c/again', 2)", "six") == "✓ c/again: 2"
    assert lab("claim('c/again', 1)\nclaim('c/again', 1)", "seven") == "✓ c/again: 1\n✓ c/again: 1"


def test_many_claims_of_a_cell_are_one_output_that_says_how_many_hold(lab):
    said = lab("for i in range(6): claim(f'd/number{i}', i, below=5)", "eight").splitlines()
    assert said[0] == "5 of 6 hold"
    assert said[1:] == [f"✓ d/number{i}: {i}, below 5" for i in range(5)] + ["✗ d/number5: 5, NOT below 5"]
