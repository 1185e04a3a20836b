"""A learner's day, in JupyterLab as `pgcourse lab` opens it, in a real browser.

Slow for what it asserts, so it is one test: everything that may get in a learner's way happens to one clone.
"""

import json
import re
import subprocess
import sys
from urllib.parse import urlsplit

from browsing import (
    browser,
    cells,
    environment,
    git,
    lab,
    needs_a_browser,
    nothing_unsaved,
    opened,
    outputs,
    pgcourse,
    run_all,
    saved,
    shown,
    text,
)

from pgcourse.course.copies import changed

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

pytestmark = needs_a_browser


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
    shown(page, "Not yet: first solve reward-to-go, the loss and the baseline.")  # of the last code cell
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
