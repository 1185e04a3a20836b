"""Runs chapters: each by papermill in a process of its own, in a fresh kernel, its claims checked.

A chapter passes if papermill ends with status 0 within the time limit, every code cell was executed without an error,
the parameters given are parameters the notebook has, and the claims it made are exactly the expected ones, each
holding. papermill's own word is not enough: it reports success where a cell called `sys.exit(0)` or a parameter was
unknown, and marks cells as completed in which the kernel died or the time ran out.

A chapter may need a module of an extra, which not every system has: `"pgcourse": {"needs": {"envpool": "how to get
it"}}` in the notebook's metadata. Where it is missing the chapter is not run, and says so.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

import psutil

from pgcourse.course import expected
from pgcourse.course.claims import METADATA_KEY, Claim
from pgcourse.course.copies import original
from pgcourse.lab.provenance import MINE, OtherClone, repository

TIMEOUT = {"quick": 600.0, "full": 7200.0}  # seconds a chapter may take
MARK = "PGCOURSE_RUN"  # names the run in the environment of every process that belongs to it
RESULTS = "PGCOURSE_RESULTS"  # where pgcourse.lab looks for studies
POLL = 0.1  # seconds
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
TRACEBACK_LINES = 14
# papermill without jsonschema's grammar of internationalised URIs, whose compilation is most of papermill's start-up.
PAPERMILL = "import sys; sys.modules['rfc3987_syntax'] = None; from papermill.cli import papermill; papermill()"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
CHAPTER = re.compile(r"(?P<number>[0-9]{2}[a-z]?)_(?P<title>.+)")  # 02_title, and 02b_title, which goes on with it

CellsDone = Callable[[Path, int, int], None]
"""Told (chapter, cells done, cells in all) as a chapter proceeds; called from several threads."""


@dataclass(frozen=True)
class Failure:
    """Why a chapter did not pass, other than by its claims; `cell` counts the chapter's non-empty code cells from 1.

    `timeout` is the time limit in seconds, where that was the reason.
    """

    reason: str
    cell: int | None = None
    source: str = ""
    traceback: str = ""
    timeout: float | None = None


@dataclass(frozen=True)
class Result:
    """What became of one chapter.

    `claims_failed` says why, by claim; `changes` what `accept` changed ("new", "changed", "dropped"), by claim.
    `executed` and `html` are the executed copies. `lacking` says what a chapter that was not run needs.
    """

    notebook: Path
    seconds: float
    executed: Path
    html: Path
    failure: Failure | None = None
    claims: tuple[Claim, ...] = ()
    claims_failed: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str] | None = None
    lacking: str = ""

    @property
    def chapter(self) -> str:
        return self.notebook.stem

    @property
    def claims_held(self) -> int:
        return len({claim.name for claim in self.claims} - set(self.claims_failed))

    @property
    def verdict(self) -> str:
        if self.lacking:
            return "not run"
        return "failed" if self.failure or self.claims_failed else "passed"

    def to_json(self) -> dict[str, Any]:
        return {
            "chapter": self.chapter,
            "seconds": round(self.seconds, 1),
            "claims_held": self.claims_held,
            "claims_failed": sorted(self.claims_failed),
            "verdict": self.verdict,
            **({"lacking": self.lacking} if self.lacking else {}),
        }


def find_root(start: Path | None = None) -> Path:
    """The repository with the chapters: see `pgcourse.lab.provenance.repository`, where results and runs are, too.

    Raises:
        FileNotFoundError: there is none, as an installed package comes without chapters; or it is not this package's.
    """
    try:
        root = repository(start)
    except OtherClone as error:
        raise FileNotFoundError(str(error)) from None
    if root is None:
        raise FileNotFoundError(
            f"no chapters/NN_name.ipynb in or above {start or Path.cwd()}: an installed pgcourse comes without "
            "chapters; run this inside a clone of the course's repository"
        )
    return root


def find_chapters(root: Path, names: Sequence[str] = ()) -> list[Path]:
    """The notebooks meant by `names`: number ("2", "2b"), name ("02_title", "title") or path; without names, all.

    "2" is chapter 02 alone, not 02b, which goes on with it.

    Raises:
        FileNotFoundError: a name fits no chapter, or more than one; the message lists the chapters.
    """
    notebooks = sorted((root / "chapters").glob("*.ipynb"))
    parts = {path: match for path in notebooks if (match := CHAPTER.fullmatch(path.stem))}
    chapters = list(parts)
    if not names:
        return chapters
    found = []
    for name in names:
        path = Path(name)
        if path.suffix == ".ipynb" and path.is_file():
            fitting = [path.resolve()]
        elif re.fullmatch(r"[0-9]+[a-z]?", name):
            fitting = [chapter for chapter in chapters if parts[chapter]["number"].lstrip("0") == name.lstrip("0")]
        else:
            fitting = [chapter for chapter in chapters if path.stem in (chapter.stem, parts[chapter]["title"])]
        if len(fitting) != 1:
            problem = "more than one chapter fits" if fitting else "no chapter or notebook"
            known = ", ".join(chapter.stem for chapter in fitting or chapters)
            raise FileNotFoundError(f"{problem} {name!r}; chapters are {known}")
        found += fitting
    return list(dict.fromkeys(found))


def lacking(notebook: Path) -> str:
    """What the notebook needs, is not installed, and how to get it; "" where nothing is missing."""
    try:
        needs = json.loads(notebook.read_text("utf-8"))["metadata"].get("pgcourse", {}).get("needs", {})
    except (OSError, ValueError, KeyError):
        return ""  # no notebook: that is said when it is to run
    return "; ".join(f"needs {module}: {how}" for module, how in needs.items() if not find_spec(module))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    notebooks: Sequence[Path],
    build: Path,
    *,
    profile: str = "quick",
    workers: int | None = None,
    timeout: float | None = None,
    accept: bool = False,
    results: Path | None = None,
    progress: CellsDone = lambda notebook, done, cells: None,
) -> Iterator[Result]:
    """Run chapters side by side; yields each result as its chapter ends.

    Executed copies go to `build`/FOLDER/NAME.ipynb and .html, FOLDER being the notebook's (`chapters`, `my/chapters`).
    Closing the generator, or an exception such as KeyboardInterrupt inside it, ends every process it started.

    Args:
        profile: "quick" or "full", given to the notebook as its parameter `profile`.
        workers: chapters at a time; default as many as there are cores.
        timeout: wall-clock seconds a chapter may take; default `TIMEOUT[profile]`.
        accept: rewrite the chapter's expected claims with what was measured, if the chapter is sound otherwise.
        results: the folder of studies that chapters load; default the repository's.

    Raises:
        ValueError: an unknown profile, or workers or timeout not positive.
    """
    if profile not in expected.PROFILES:
        raise ValueError(f"profile must be one of {', '.join(expected.PROFILES)}, got {profile!r}")
    workers = workers if workers is not None else min(available_cores(), max(len(notebooks), 1))
    timeout = timeout if timeout is not None else TIMEOUT[profile]
    if workers < 1 or not timeout > 0:
        raise ValueError(f"workers and timeout must be positive, got workers={workers}, timeout={timeout}")
    return _run(notebooks, build, profile, workers, timeout, accept, results, progress)


def _run(
    notebooks: Sequence[Path],
    build: Path,
    profile: str,
    workers: int,
    timeout: float,
    accept: bool,
    results: Path | None,
    progress: CellsDone,
) -> Iterator[Result]:
    stopped = Event()
    with (
        tempfile.TemporaryDirectory(prefix="pgcourse-", ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        environment = _environment(Path(folder)) | ({RESULTS: str(results.resolve())} if results else {})
        jobs = [_Job(notebook.resolve(), build, profile, timeout, accept, progress, stopped) for notebook in notebooks]
        waiting: set[Future[Result]] = {
            pool.submit(job.run, environment | {MARK: f"{folder}/{number}"}, Path(folder) / f"{number}.log")
            for number, job in enumerate(jobs)
        }
        try:
            while waiting:
                # A wait without a limit could not be interrupted on Windows.
                ended, waiting = wait(waiting, timeout=POLL, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Job:
    notebook: Path
    build: Path
    profile: str
    timeout: float
    accept: bool
    progress: CellsDone
    stopped: Event

    @property
    def executed(self) -> Path:
        folder = Path(self.notebook.parent.name)
        return self.build / (folder if original(self.notebook) == self.notebook else MINE / folder) / self.notebook.name

    @property
    def html(self) -> Path:
        return self.executed.with_suffix(".html")

    def run(self, environment: Mapping[str, str], log: Path) -> Result:
        self.executed.parent.mkdir(parents=True, exist_ok=True)
        self.executed.unlink(missing_ok=True)
        self.html.unlink(missing_ok=True)
        if missing := lacking(self.notebook):
            return Result(self.notebook, 0.0, self.executed, self.html, lacking=missing)
        failure = self._parameter_failure()
        if failure:
            return Result(self.notebook, 0.0, self.executed, self.html, failure)
        start = time.monotonic()
        status = self._execute(environment, log)
        seconds = time.monotonic() - start
        cells = _code_cells(self.executed)
        failure = _execution_failure(cells, status, self.timeout, log.read_text("utf-8", "replace"))
        try:
            claims = recorded_claims(cells)
            failed, changes = self._check(claims, sound=failure is None)
        except ValueError as error:
            claims, failed, changes = (), {}, None
            failure = failure or Failure(str(error))
        if cells:
            unreadable = _write_html(self.executed, self.html)
            failure = failure or unreadable
        return Result(self.notebook, seconds, self.executed, self.html, failure, claims, failed, changes)

    def _parameter_failure(self) -> Failure | None:
        """papermill only warns of a parameter that a notebook does not have, and then runs it without."""
        try:
            content = json.loads(self.notebook.read_text("utf-8"))
            cells = [cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        except (ValueError, KeyError, TypeError) as error:
            return Failure(f"not a notebook: {error}")
        if len(cells) != 1:
            return Failure(f"{len(cells)} cells are tagged 'parameters', there must be one: profile = \"quick\"")
        source = _text(cells[0]["source"])
        if "profile" not in _assigned(source):
            return Failure("unknown parameter 'profile': the cell tagged 'parameters' does not set it", source=source)
        return None

    def _execute(self, environment: Mapping[str, str], log: Path) -> int | None:
        """papermill's exit status; None if the time ran out. No process of the chapter is left behind."""
        command = [sys.executable, "-c", PAPERMILL, str(self.notebook), str(self.executed), "--kernel", "python3"]
        command += ["--language", "python"]  # a notebook need not name one
        command += ["--parameters", "profile", self.profile, "--cwd", str(self.notebook.parent), "--progress-bar"]
        deadline = time.monotonic() + self.timeout
        self.progress(self.notebook, 0, 0)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env={**environment, "JPY_SESSION_NAME": str(self.notebook)},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
            )
        try:
            while time.monotonic() < deadline:
                if self.stopped.is_set():
                    raise CancelledError
                try:
                    return process.wait(POLL)
                except subprocess.TimeoutExpired:
                    self.progress(self.notebook, *_cells_done(log))
            return None
        finally:
            process.kill()
            process.wait()
            _kill_marked(environment[MARK])

    def _check(self, claims: Sequence[Claim], sound: bool) -> tuple[dict[str, str], dict[str, str] | None]:
        path = expected.path_for(self.notebook)
        before = expected.load(path, self.profile)
        if not (self.accept and sound):
            if before is None:
                raise ValueError(
                    f"{path.parent.name}/{path.name} says nothing of profile {self.profile!r}: "
                    "run with --accept to write down what was measured, then review the file"
                )
            return expected.failures(claims, before), None
        refused = expected.accept(path, self.profile, claims)
        if refused:
            return refused, None
        after = expected.load(path, self.profile) or {}
        before = before or {}
        changes = {name: "changed" if name in before else "new" for name in after if after[name] != before.get(name)}
        return expected.failures(claims, after), changes | {name: "dropped" for name in before if name not in after}


def recorded_claims(cells: Sequence[Mapping[str, Any]]) -> tuple[Claim, ...]:
    """The claims in the outputs' metadata, in the notebook's order; those of a cell stand in one output.

    Raises:
        ValueError: the metadata of an output is not a claim's.
    """
    outputs = (output for cell in cells for output in cell["outputs"])
    found = (output.get("metadata", {}).get(METADATA_KEY, []) for output in outputs)
    return tuple(Claim.from_metadata(data) for claims in found for data in claims)


def _execution_failure(
    cells: Sequence[Mapping[str, Any]], status: int | None, timeout: float, log: str
) -> Failure | None:
    """What went wrong in an executed notebook, judged by its cells, papermill's exit status and its log."""

    def at(number: int, reason: str, traceback: str = "") -> Failure:
        return Failure(reason, number, _text(cells[number - 1]["source"]), traceback)

    numbers = range(1, len(cells) + 1)
    # The status that papermill gives a cell says "completed" where the kernel died; that it was started is reliable.
    started = [n for n in numbers if cells[n - 1]["metadata"].get("papermill", {}).get("start_time")]
    if status is None:
        reason = f"stopped at the time limit of {timeout:g} s"
        if started:
            return replace(at(started[-1], f"{reason}, in this cell"), timeout=timeout)
        done, of_all = _progress(log)  # where the executed copy cannot be read, it was being written
        where = f"in cell {done + 1} of {of_all}" if done else "in its first cell or before it"
        return Failure(f"{reason}, {where}", timeout=timeout)
    for number in numbers:
        for output in cells[number - 1]["outputs"]:
            if output["output_type"] == "error":
                error = f"{output['ename']}: {output['evalue']}".rstrip(": ")
                if output["ename"] == "SystemExit":
                    error = f"the cell ended the kernel ({error}); a chapter runs to its last cell"
                return at(number, ANSI.sub("", error), _cut("\n".join(output["traceback"])))
    if "DeadKernelError" in log:
        return at(started[-1], "the kernel died in this cell") if started else Failure("the kernel died")
    if status != 0 and (
        raised := [n for n in numbers if cells[n - 1]["metadata"].get("papermill", {}).get("exception")]
    ):
        return at(raised[0], "the cell raised an error whose message could not be sent: it holds what is no text")
    if status != 0:
        return Failure(f"papermill ended with status {status}", traceback=_cut(log))
    skipped = [n for n in numbers if cells[n - 1]["execution_count"] is None]
    return at(skipped[0], "this cell was not executed") if skipped else None


def _code_cells(executed: Path) -> list[dict[str, Any]]:
    """The non-empty code cells, without the one that papermill adds; none where there is no executed notebook."""
    try:
        cells = json.loads(executed.read_text("utf-8"))["cells"]
    except (OSError, ValueError):
        return []
    return [
        cell
        for cell in cells
        if cell["cell_type"] == "code"
        and _text(cell["source"]).strip()
        and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]


def _environment(folder: Path) -> dict[str, str]:
    """For a kernel that is this interpreter, with one thread and nothing of the user's Jupyter or IPython set-up."""
    from ipykernel.kernelspec import write_kernel_spec

    (folder / "jupyter" / "kernels").mkdir(parents=True)
    write_kernel_spec(str(folder / "jupyter" / "kernels" / "python3"))
    foreign = re.compile(r"JUPYTER_|IPYTHON|PAPERMILL_|PYTHONSTARTUP$|MPLBACKEND$|TQDM_")
    return {
        **{name: value for name, value in os.environ.items() if not foreign.match(name)},
        **{f"{library}_NUM_THREADS": "1" for library in THREADS},
        "VECLIB_MAXIMUM_THREADS": "1",
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONIOENCODING": "utf-8",
        "TQDM_MININTERVAL": "0",  # every cell moves the progress bar
    }


def _kill_marked(mark: str) -> None:
    """Kill every process that inherited `mark`. A kernel has a session of its own: no process group holds them all."""
    for _ in range(100):  # a process may fork while we look
        found = [process for process in psutil.process_iter() if _mark_of(process) == mark]
        for process in found:
            try:
                process.kill()
            except psutil.Error:
                continue
        if not found:
            return
        time.sleep(POLL / 4)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK) if process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, OSError):
        return None  # gone, or another user's


def _cells_done(log: Path) -> tuple[int, int]:
    """Cells done and in all, from the last state of papermill's progress bar."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 400))
        return _progress(stream.read().decode("utf-8", "replace"))


def _progress(log: str) -> tuple[int, int]:
    counts = re.findall(r"(\d+)/(\d+) \[", log)
    return (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)


def _write_html(executed: Path, html: Path) -> Failure | None:
    """One file with text, code and figures in it; equations are typeset by MathJax, offline they stay in TeX."""
    from jinja2 import DictLoader
    from nbconvert.exporters import HTMLExporter

    # nbconvert's own page waits for its scripts before it shows anything, minutes where there is no network.
    template = """
        {%- extends 'lab/index.html.j2' -%}
        {%- from 'mathjax.html.j2' import mathjax -%}
        {%- block html_head_js -%}{%- endblock -%}
        {%- block html_head_js_mermaidjs -%}{%- endblock -%}
        {%- block html_head_js_mathjax -%}
        {{ mathjax(resources.mathjax_url) | string | replace("<script src=", "<script defer src=") | safe }}
        {%- endblock -%}
    """
    exporter = HTMLExporter(
        template_file="chapter.html.j2", extra_loaders=[DictLoader({"chapter.html.j2": template})], embed_images=True
    )
    try:
        body, _ = exporter.from_filename(str(executed))
    except Exception as error:
        return Failure(f"no HTML could be made: {error}")
    html.write_text(body, "utf-8")
    return None


def _assigned(source: str) -> set[str]:
    """Names assigned at the top level of `source`."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return set()
    targets = [s.targets for s in statements if isinstance(s, ast.Assign)]
    targets += [[s.target] for s in statements if isinstance(s, ast.AnnAssign)]
    return {target.id for group in targets for target in group if isinstance(target, ast.Name)}


def _cut(traceback: str) -> str:
    """The end of a traceback, without colours."""
    lines = ANSI.sub("", traceback).strip().splitlines()
    return "\n".join((["..."] if len(lines) > TRACEBACK_LINES else []) + lines[-TRACEBACK_LINES:])


def _text(source: str | list[str]) -> str:
    """A cell's source: a notebook file holds it as one string or as lines."""
    return source if isinstance(source, str) else "".join(source)
