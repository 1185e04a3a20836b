"""A learner's day, in JupyterLab as `pgcourse lab` opens it, in a real browser.

Slow for what it asserts, so it is one test: everything that may get in a learner's way happens to one clone.
"""

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from tracked import ROOT, listed, notebooks

from pgcourse.course.copies import changed

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
PATIENCE = 120_000  # milliseconds for what takes a few seconds on a quiet machine
EXERCISE = "exercises/03_reinforce.ipynb"
CHAPTER = "chapters/00_start_here.ipynb"
ANSWER = """def reward_to_go(reward, gamma):
    ret, after = torch.empty_like(reward), torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = reward[..., t] + gamma * after
        ret[..., t] = after
    return ret
"""
CORRECTION = "\n\nA sentence that was not there before."
# What a learner writes keeps no rule of the house.
SCRIBBLE = "\n".join(["import os", "x = {  'a':1 }", *["x"] * 40])

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
    pytest.mark.skipif(listed("ls-files") is None, reason="a clone is made of what git has, and this is none"),
]
playwright = pytest.importorskip("playwright.sync_api")


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def upstream(tmp_path):
    """A repository of the course as it is here."""
    folder = tmp_path / "upstream"
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


@pytest.fixture
def learner(upstream, tmp_path):
    """A clone of it, and the environment that its commands run in."""
    git(tmp_path, "clone", "--quiet", str(upstream), "learner")
    return tmp_path / "learner"


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


def correct(folder, *names):
    """Add a sentence to the first cell of notebooks."""
    for name in names:
        content = json.loads((folder / name).read_text("utf-8"))
        first = content["cells"][0]
        first["source"] = (text(first) + CORRECTION).splitlines(keepends=True)
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def test_a_learner_s_day(upstream, learner):
    mine = learner / "my"
    with lab(learner) as (address, _), browser(learner.parent) as page:
        read_the_first_chapter(page, address, mine / CHAPTER)
        assert changed(learner, "chapters") == [], "running and saving is no change"
        answer_an_exercise(page, address.replace(CHAPTER, EXERCISE), mine / EXERCISE)
    assert changed(learner, "exercises") == [mine / EXERCISE]
    assert git(learner, "status", "--porcelain") == ""

    correct(upstream, EXERCISE, EXERCISE.replace("exercises", "solutions"), CHAPTER)
    git(upstream, "commit", "--all", "--quiet", "--message=A correction")
    git(learner, "pull", "--quiet")
    newer = mine / EXERCISE.replace(".ipynb", ".new.ipynb")
    before = (mine / EXERCISE).read_bytes()
    with lab(learner, EXERCISE) as (address, said):
        assert urlsplit(address).path == f"/lab/tree/my/{EXERCISE}"
    assert f"my/{EXERCISE}: yours, and stays; the course's newer version is beside it: {newer.name}\n" in said
    assert f"my/{CHAPTER}: brought up to date" in said
    assert (mine / EXERCISE).read_bytes() == before
    assert ANSWER.strip() in [text(cell).strip() for cell in cells(mine / EXERCISE).values()]
    assert CORRECTION.strip() in newer.read_text("utf-8")
    assert "raise NotImplementedError()" in newer.read_text("utf-8")
    assert CORRECTION.strip() in (mine / CHAPTER).read_text("utf-8")

    (submission,) = json.loads(pgcourse(learner, "grade", "--json", "--sandbox", "none"))["submissions"]
    assert {one["exercise"] for one in submission["exercises"] if one["state"] == "solved"} == {"03.reward_to_go"}
    assert re.search(r"\b1 of \d+ exercises solved, 6 of \d+ points", pgcourse(learner, "progress"))

    scribble(mine / CHAPTER, learner / EXERCISE)
    the_house_s_tests_pass(learner)


def read_the_first_chapter(page, address, chapter):
    """Run all; see the training's progress; stop it; and find its curve."""
    opened(page, address)
    nothing_unsaved(page)
    run_all(page)
    shown(page, r"/REINFORCE on CartPole-v1: [\d,]+ of 30,000 steps, mean return [\d.]+, \d+ s left/")
    page.click("[data-command='notebook:interrupt-kernel']")
    stopped = shown(page, r"/REINFORCE on CartPole-v1: stopped at [\d,]+ of 30,000 steps/")
    done = int(re.search(r"stopped at ([\d,]+)", stopped.text_content())[1].replace(",", ""))
    assert 0 < done < 30_000
    stopped.scroll_into_view_if_needed()
    assert stopped.is_visible()
    shown(page, "03.reward_to_go: ")  # of the last code cell
    assert page.locator("text=get notified about official Jupyter news").count() == 0
    saved(page)
    ran = cells(chapter)
    assert f"stopped at {done:,} of 30,000 steps" in outputs(ran["live-run"])
    assert "image/png" in outputs(ran["live-figure"])
    assert "Traceback" not in "".join(map(outputs, (cell for cell in ran.values() if "outputs" in cell)))
    assert "in the course's text" not in outputs(ran["anecdote-claims"])
    assert outputs(ran["anecdote-claims"]).count("✓") >= 2


def answer_an_exercise(page, address, exercise):
    """Write into the cell of the first exercise, run the notebook, see that the answer is right."""
    opened(page, address)
    page.click("text=def reward_to_go(")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(ANSWER)
    run_all(page)
    shown(page, "03.reward_to_go: solved, 6 of 6 points.")
    shown(page, "Not yet: first solve the three exercises above.")  # of the last code cell
    saved(page)
    assert ANSWER.strip() in [text(cell).strip() for cell in cells(exercise).values()]


def scribble(*paths):
    """Write into notebooks what breaks every rule that the house has for them."""
    for path in paths:
        content = json.loads(path.read_text("utf-8"))
        content["cells"][1] |= {"cell_type": "code", "source": SCRIBBLE, "execution_count": 7, "outputs": []}
        content["cells"][0] = {"cell_type": "markdown", "metadata": {}, "source": "[nowhere](no/such/file.md)"}
        path.write_text(json.dumps(content), "utf-8")


def the_house_s_tests_pass(learner):
    """Those about notebooks; the rest of the suite does not look at any."""
    tests = ["tests/test_house.py", "tests/course/test_form.py", "tests/course/test_chapters.py"]
    tests += ["tests/grading/test_exercises.py::test_the_exercise_notebook_is_the_one_built_from_the_solution"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not chapters", *tests]
    command += ["--deselect=tests/test_house.py::test_types_hold"]  # a third of the time, for no notebook
    done = subprocess.run(command, cwd=learner, env=environment(learner), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert f"{EXERCISE} was changed since `git add`" in done.stdout
