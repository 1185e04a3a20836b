"""What several tests of the course share: its chapters as they ran, and a browser without a network."""

import shutil

import pytest
from tracked import ROOT, notebooks

from pgcourse.course import runner

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Where all chapters were executed, in one run that shares the cores."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="session")
def results(build):
    """What came of each chapter."""
    chapters = list(notebooks("chapters").values())
    return {result.notebook: result for result in runner.run(chapters, build, results=ROOT / "results")}


@pytest.fixture(scope="session")
def chromium():
    """A browser; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A page without a network that notes what it asks for in `asked`, and its scripts' errors in `errors`."""
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()
