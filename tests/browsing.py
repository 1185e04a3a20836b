"""A clone of the course, and JupyterLab on it as `pgcourse lab` opens it, in a real browser."""

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from tracked import ROOT, listed, notebooks

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
PATIENCE = 120_000  # milliseconds for what takes a few seconds on a quiet machine
needs_a_browser = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
    pytest.mark.skipif(listed("ls-files") is None, reason="a clone is made of what git has, and this is none"),
]
playwright = pytest.importorskip("playwright.sync_api")


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(learner):
    private = learner.parent / "jupyter"
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "PGCOURSE_PROGRESS")}
    return inherited | {name: str(private / name.lower()) for name in folders} | {"PYTHONPATH": str(learner)}


def pgcourse(learner, *arguments):
    command = [sys.executable, "-m", "pgcourse.app.console", *arguments]
    done = subprocess.run(command, cwd=learner, env=environment(learner), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def lab(learner, *arguments):
    """`pgcourse lab` without a browser: the address it names, and what it said before that."""
    command = [sys.executable, "-m", "pgcourse.app.console", "lab", *arguments, "--no-browser", "--allow-root"]
    process = subprocess.Popen(
        command, cwd=learner, env=environment(learner), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = queue.Queue()
    threading.Thread(target=lambda: [said.put(line) for line in process.stdout], daemon=True).start()
    lines = []
    try:
        while not (address := re.search(r"http://127\.0\.0\.1:\S+", "".join(lines[-1:]))):
            lines.append(said.get(timeout=PATIENCE / 1000))
        yield address[0], "".join(lines)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # Jupyter has ended its kernels, and now and then waits for a thread for ever
            process.kill()
            process.wait()


@contextmanager
def browser(folder):
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = chromium.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(PATIENCE)
            playwright.expect.set_options(timeout=PATIENCE)
            yield page
        except BaseException:
            page.screenshot(path=folder / "last_seen.png")
            raise
        finally:
            chromium.close()


def opened(page, address):
    page.goto(address.replace("?", "?reset&"))  # without the tabs that were open before
    idle(page)


def run_all(page):
    started = page.locator(".jp-InputPrompt", has_text=re.compile(r"\[(\*|\d+)\]")).first
    for _ in range(6):  # what is asked of a kernel that is just being connected may be lost
        page.click("text=Run")
        page.click("text=Run All Cells")
        try:
            return started.wait_for(state="attached", timeout=20_000)
        except playwright.TimeoutError:
            continue
    raise AssertionError("no cell is executed")


def idle(page):
    page.wait_for_selector("text=/\\| Idle/")  # in the status bar: the kernel has answered
    page.wait_for_selector(".jp-NotebookPanel-toolbar .jp-Notebook-ExecutionIndicator[data-status=idle]")


def shown(page, text):
    """The first output with this text, once it is there; the page may show another part of the notebook meanwhile."""
    return page.wait_for_selector(f".jp-OutputArea-output >> text={text}", state="attached")


def saved(page):
    idle(page)  # later outputs would be unsaved again
    page.keyboard.press("Control+s")
    nothing_unsaved(page)


def nothing_unsaved(page):
    playwright.expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)


def cells(path):
    return {cell["id"]: cell for cell in json.loads(path.read_text("utf-8"))["cells"]}


def text(cell):
    return "".join(cell["source"])


def outputs(cell):
    return json.dumps(cell["outputs"], ensure_ascii=False)


def repository(folder):
    """A repository of the course as it is here."""
    for name in listed("ls-files"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    for name, path in notebooks().items():
        shutil.copyfile(path, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=The course")
    return folder
