"""What several tests of the course share: its chapters as they ran, and a tab without a network."""

import pytest
from tracked import ROOT, notebooks

from pgcourse.course import runner


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Where all chapters were executed, in one run that shares the cores."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="session")
def results(build):
    """What came of each chapter."""
    chapters = list(notebooks("chapters").values())
    return {result.notebook: result for result in runner.run(chapters, build, results=ROOT / "results")}


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
