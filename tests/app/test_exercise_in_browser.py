"""How a learner solves an exercise, in JupyterLab as `pgcourse lab` opens it, in a real browser."""

import re

from browsing import browser, lab, needs_a_browser, opened, pgcourse, playwright, saved

from pgcourse.grading.catalogue import EXERCISES

NOTEBOOK = "exercises/03_reinforce.ipynb"
EXERCISE = EXERCISES["03.reward_to_go"]
ANSWER = """\
def reward_to_go(reward, gamma):
    ret, after = torch.empty_like(reward), torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = reward[..., t] + gamma * after
        ret[..., t] = after
    return ret"""
MISTAKE, DIAGNOSIS = ("gamma * after", "after"), "γ is missing: a reward k steps later must count γ^k."
PROGRESS = "from pgcourse.grading import progress\n\nprogress()"

pytestmark = needs_a_browser


def test_a_wrong_answer_is_explained_mended_and_counted(learner):
    folder = learner.parent

    def look(page, name):
        page.screenshot(path=folder / f"{name}.png")

    assert count(pgcourse(learner, "progress")) == (0, 0)
    with lab(learner, NOTEBOOK) as (address, _), browser(folder) as page:
        opened(page, address)
        run(cell(page, "from pgcourse.grading import check, solved"))
        answer, check = cell(page, "def reward_to_go(reward, gamma):"), cell(page, f'check("{EXERCISE.name}"')

        write(answer, ANSWER.replace(*MISTAKE))
        run(answer)
        run(check)
        said = check.locator(".jp-OutputArea-output")
        look_at(
            said.get_by_text(f"{EXERCISE.name}: 0 of {len(EXERCISE.checks)} checks, 0 of {EXERCISE.points} points.")
        )
        assert said.get_by_text(DIAGNOSIS).is_visible()
        look(page, "diagnosis")
        the_hints_unfold_one_after_the_other(said)
        look(page, "hints")
        dark(page)
        look(page, "dark")
        assert "the course's own" not in said.inner_text()

        write(answer, ANSWER)
        run(answer)
        run(check)
        look_at(said.get_by_text(f"{EXERCISE.name}: solved, {EXERCISE.points} of {EXERCISE.points} points."))
        assert DIAGNOSIS not in said.inner_text()
        own = said.get_by_text("the course's own answer")
        solution = said.locator("pre", has_text="def reward_to_go(")
        assert not solution.is_visible()
        own.click()
        assert solution.is_visible()
        look_at(solution)
        look(page, "solved")

        new = added_below(page, check)
        write(new, PROGRESS)
        run(new)
        counted = new.locator(".jp-OutputArea-output")
        look_at(counted.get_by_text("exercises solved"))
        assert count(counted.inner_text()) == (1, EXERCISE.points)
        look(page, "progress")
        saved(page)
    assert count(pgcourse(learner, "progress")) == (1, EXERCISE.points)


def cell(page, text):
    return page.locator(".jp-Notebook .jp-Cell", has=page.locator(".jp-InputArea", has_text=text))


def write(cell, text):
    cell.locator(".cm-content").click()
    cell.page.keyboard.press("Control+a")
    cell.page.keyboard.insert_text(text)


def run(cell):
    """Run a cell and wait until it has ended."""
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    cell.locator(".cm-content").click()
    cell.page.keyboard.press("Control+Enter")
    playwright.expect(prompt).to_have_text(re.compile(rf"^(?!{re.escape(before)}$)\[\d+\]:$"))


def added_below(page, above):
    above.locator(".jp-InputPrompt").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    return page.locator(".jp-Notebook .jp-Cell.jp-mod-active")


def look_at(place):
    place.first.wait_for()
    place.first.scroll_into_view_if_needed()


def the_hints_unfold_one_after_the_other(said):
    first, second = (
        said.get_by_text(hint.replace("`", "")).last for hint in EXERCISE.hints
    )  # the innermost element with the text
    nudge, nearly = said.get_by_text("a nudge"), said.get_by_text("nearly the answer")
    assert nudge.is_visible()
    assert not any(each.is_visible() for each in (first, nearly, second))
    nudge.click()
    assert first.is_visible()
    assert nearly.is_visible()
    assert not second.is_visible()
    nearly.click()
    assert second.is_visible()


def count(text):
    """Exercises solved and points, of a text that tells the progress."""
    solved, points = re.search(r"(\d+) of \d+ exercises solved, (\d+) of \d+ points", text).groups()
    return int(solved), int(points)


def dark(page):
    page.locator(".lm-MenuBar-item", has_text="Settings").click()
    page.hover(".lm-Menu-itemLabel >> text=Theme")
    page.click(".lm-Menu-itemLabel >> text=JupyterLab Dark")
    playwright.expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
