"""One thread a process: faster for tensors of this size, and the same on every machine."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for the processes that tests start
os.environ.setdefault("PGCOURSE_PROGRESS", os.devnull)  # what a test checks is nobody's progress

import nbformat
import pytest
import torch
from hypothesis import settings
from small_study import SMALL

torch.set_num_threads(1)

# No deadline: how long an example takes says something of the machine. CI repeats the same examples; elsewhere new ones
# are drawn, and a failure found is kept in .hypothesis.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

if "PYTEST_XDIST_WORKER" in os.environ:  # what a test interrupts can be interrupted, however the suite was started
    signal.signal(signal.SIGINT, signal.default_int_handler)


WriteChapter = Callable[..., Path]


@pytest.fixture(scope="session")
def write_chapter() -> WriteChapter:
    """`write(folder, "01_name", ["a cell", "another"])` makes folder/chapters/01_name.ipynb."""

    def write(folder: Path, name: str, cells: Sequence[str], parameters: str | None = 'profile = "quick"') -> Path:
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.cells.append(nbformat.v4.new_markdown_cell("# A chapter\n\nwith $\\theta$"))
        if parameters is not None:
            cell = nbformat.v4.new_code_cell(parameters)
            cell.metadata["tags"] = ["parameters"]
            notebook.cells.append(cell)
        notebook.cells += [nbformat.v4.new_code_cell(source) for source in cells]
        path = folder / "chapters" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return write


@pytest.fixture(autouse=True)
def environment():
    """A test leaves the environment's variables as they were: EnvPool's import sets one that keeps figures of kernels
    started afterwards from showing."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Declares a study in an empty results folder: `declare("name", text)`, with `text` a small study unless given."""
    monkeypatch.setenv("PGCOURSE_RESULTS", str(tmp_path))

    def declare(name: str = "small", text: str = SMALL) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "study.toml").write_text(text, encoding="utf-8")
        return folder

    return declare


@pytest.fixture(scope="module")
def chromium():
    """A browser; the test is skipped where there is none. No longer than a module: while it is open, its event loop is
    that of this thread, and neither another browser nor `asyncio.run` would start."""
    from browsing import CHROMIUM, FLAGS, playwright

    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
