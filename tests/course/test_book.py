"""The web book, made from two tiny executed chapters in a folder of their own."""

import ast
import base64
import io
import json
import re
import subprocess
import sys
import tomllib
from html import unescape
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from pgcourse.app import book as command
from pgcourse.app.console import main
from pgcourse.course import book, pages
from pgcourse.plots.explorable import Explorable, Number, Slider

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not all(map(book.find_spec, book.NEEDED)) or not book.mathjax(),
    reason="needs the extra [book]",
)


def picture(kind):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def display(**data):
    return new_output("display_data", {key.replace("_", "/"): value for key, value in data.items()})


EXPLORABLE = Explorable("Half of k.", [Slider("k", "012")], [], [Number("half of k", [0, 0.5, 1])])
FILM = f'<img src="data:image/gif;base64,{picture("gif")}" alt="an agent at play">'
FIRST = [
    new_markdown_cell(
        "# 00 · First\n\n**What is a zebrafish?**\n\nLet $x^2$ be.\n\n"
        "| | |\n| --- | --- |\n| **Time** | 5 minutes to read |\n"
    ),
    new_code_cell('profile = "quick"', execution_count=1, metadata={"tags": ["parameters"]}),
    new_code_cell('# Parameters\nprofile = "quick"\n', execution_count=2, metadata={"tags": ["injected-parameters"]}),
    new_markdown_cell(
        "## A section of it\n\n$$\\sum_t r_t$$\n\nGo [on](01_second.ipynb), see [a page](../docs/page.md#a-part), "
        "[`scaled`](../pgcourse/small/sums.py), [all](../pgcourse/small/) and `[no](link.md)`."
    ),
    new_code_cell("plot()", execution_count=3, outputs=[display(image_png=picture("png"), text_plain="<Figure>")]),
    new_code_cell(
        "bookkeeping()",
        execution_count=4,
        metadata={"tags": ["claims", "hide-input"]},
        outputs=[display(text_plain="✓ first/claim: 1")],
    ),
    new_code_cell("play()", execution_count=5, outputs=[display(text_html=FILM, text_plain="<Shot>")]),
    new_code_cell(
        "explore()",
        execution_count=6,
        metadata={"tags": ["explorable"]},
        outputs=[display(text_html=EXPLORABLE._repr_html_(), text_plain=repr(EXPLORABLE))],
    ),
]
SECOND = [
    new_markdown_cell(
        "# 01 · Second\n\n<details><summary>Answer</summary>\n\n$y$\n\n</details>\n\n> It is\n> $$z.$$ So."
    ),
    new_code_cell(
        "film",
        execution_count=1,
        metadata={"alt": "a red square"},
        outputs=[display(image_gif=picture("gif"), text_plain="<Gif>")],
    ),
]


def write_notebook(path, cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)


def stripped(cells):
    """The cells as they are committed: without outputs, and without the one that papermill adds."""
    kept = [cell.copy() for cell in cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    return [
        nbformat.from_dict({**cell, "outputs": [], "execution_count": None}) if cell.cell_type == "code" else cell
        for cell in kept
    ]


def make_repository(root, first=FIRST, second=SECOND):
    for name, cells in (("00_first", first), ("01_second", second)):
        write_notebook(root / f"chapters/{name}.ipynb", stripped(cells))
        write_notebook(root / f"_build/chapters/{name}.ipynb", cells)
    write_notebook(root / "exercises/01_second.ipynb", [new_markdown_cell("# Exercises 01"), new_code_cell("answer()")])
    for path, text in {
        "docs/page.md": "# A page\n\n## A part\n\nBack to [00](../chapters/00_first.ipynb).\n\n"
        '```mermaid\nflowchart BT\n    low["low: the ground"]\n    high["high"]\n    low --> high\n```\n',
        "pgcourse/__init__.py": '"""A package."""\n',
        "pgcourse/small/__init__.py": '"""Small things."""\n',
        "pgcourse/small/sums.py": '"""Sums."""\n\n\ndef scaled(x, by):\n    """`by`s of |x|."""\n    return x\n',
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Made in a process of its own that finds the tiny package for the reference, and the real one for the making."""
    root = make_repository(tmp_path_factory.mktemp("tiny"))
    code = (
        "import sys; from pathlib import Path; from pgcourse.course import book\n"
        "for name in [name for name in sys.modules if name.split('.')[0] == 'pgcourse']: del sys.modules[name]\n"
        "sys.path.insert(0, sys.argv[1]); book.make(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, root], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root / "_build" / "book"


def page(site, name):
    return (site / name).read_text(encoding="utf-8")


def test_equations_are_set_by_a_script_of_the_site(site):
    text = page(site, "chapters/00_first.html")
    assert r"\(x^2\)" in text
    assert (site / "_static" / book.MATHJAX).stat().st_size > 1_000_000
    assert re.search(rf'<script[^>]+src="\.\./_static/{book.MATHJAX}', text)


def test_parameters_and_bookkeeping_are_folded_and_the_rest_is_not(site):
    text = page(site, "chapters/00_first.html")
    folded = re.findall(r"<details class=.*?</details>", text, re.S)
    assert len(folded) == 2  # papermill's own cell says the same again and is left out
    assert "profile" in folded[0]
    assert "bookkeeping" in folded[1]
    assert "✓ first/claim: 1" in re.sub(r"<details class=.*?</details>", "", text, flags=re.S)


def test_films_and_figures_are_there_with_alternative_text(site):
    first, second = (page(site, f"chapters/{name}.html") for name in ("00_first", "01_second"))
    assert FILM in first
    assert 'alt="Figure 1, in the section “A section of it”"' in first
    assert re.search(r'<img alt="a red square"[^>]*src="\.\./_images/\w+\.gif"', second)


def test_links_lead_to_pages_of_the_site(site):
    text = page(site, "chapters/00_first.html")
    for target in ("01_second.html", "../docs/page.html#a-part", "../source/pgcourse/small/sums.py.html#L-4"):
        assert f'href="{target}"' in text
    assert 'href="../source/pgcourse/small/index.html"' in text
    assert 'id="L-4"' in page(site, "source/pgcourse/small/sums.py.html")
    assert "[no](link.md)" in text
    assert 'href="../exercises/01_second.html"' in page(site, "chapters/01_second.html")
    assert 'href="../source/pgcourse/small/sums.py.html#L-4"' in page(site, "reference/pgcourse.small.html")
    assert "<svg" in page(site, "docs/page.html")
    assert list(book.faults(site)) == []


def test_the_first_page_lists_chapters_with_question_and_time(site):
    text = page(site, "index.html")
    assert "What is a zebrafish?" in text
    assert re.search(r"minutes to read.*zebrafish.*<p>5</p>", text, re.S)


def test_the_search_index_holds_the_words(site):
    assert "zebrafish" in page(site, "searchindex.js")


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<script src="https://cdn.test/x.js"></script>', "asks for https://cdn.test/x.js"),
        ('<link rel="stylesheet" href="//cdn.test/x.css">', "asks for //cdn.test/x.css"),
        ('<img alt="" src="http://pics.test/x.png">', "asks for http://pics.test/x.png"),
        ('<a href="gone.html">x</a>', "links to gone.html, which is not there"),
        ("<p>so $$x$$</p><code>$$</code>", "shows TeX: $$x$$</p>"),
        ('<a href="#gone">x</a>', "links to #gone, and there is no such place"),
    ],
)
def test_what_a_site_must_not_have_is_seen(tmp_path, html, fault):
    (tmp_path / "index.html").write_text(f'<a href="https://x.test">fine</a>{html}', encoding="utf-8")
    assert list(book.faults(tmp_path)) == [f"index.html {fault}"]


def test_chapters_that_are_not_ready_are_named_with_what_to_do(tmp_path):
    root = make_repository(tmp_path)
    (root / "_build/chapters/00_first.ipynb").unlink()
    executed = root / "_build/chapters/01_second.ipynb"
    executed.write_text(executed.read_text("utf-8").replace("Second", "Old"), "utf-8")
    with pytest.raises(book.NotExecuted, match="pgcourse run 00 01") as failure:
        book.make(root)
    assert "00_first: has not run" in str(failure.value)
    assert "01_second: has changed since it ran" in str(failure.value)
    broken = json.loads((root / "chapters/00_first.ipynb").read_text("utf-8"))
    (root / "_build/chapters/00_first.ipynb").write_text(json.dumps(broken), "utf-8")
    assert "did not run to its end" in book.not_ready([root / "chapters/00_first.ipynb"], root / "_build").values()


def test_a_dead_link_stops_the_making(tmp_path):
    root = make_repository(tmp_path, second=[new_markdown_cell("# 01\n\nSee [it](../docs/gone.md).")])
    with pytest.raises(book.BookError, match=r"01_second\.ipynb links to \.\./docs/gone\.md"):
        book.make(root)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(book.BookError, match="something else than a book"):
        book.make(make_repository(tmp_path / "r"), out=tmp_path / "out")


def test_pictures_of_other_machines_become_links(tmp_path):
    repository = pages.Repository(tmp_path, set())
    assert pages.relinked("![badge](https://x.test/b.svg)", "README.md", repository) == "[badge](https://x.test/b.svg)"


def test_every_link_of_the_real_pages_holds(tmp_path):
    """And all sources of the site can be put together; Sphinx itself is not run."""
    book.assemble(ROOT, ROOT / "_build", tmp_path)
    assert (tmp_path / "reference" / "pgcourse.rl.md").is_file()


def test_docstrings_keep_their_lists_and_code_and_lose_other_marks():
    lines = ["* a `b` *c*", "  d", "2 * 3 = |x|", "", "  * `nudge`d"]
    book._read_as_markdown(None, "module", "", None, None, lines)
    assert lines == ["* a ``b`` \\*c\\*", "  d", "2 \\* 3 = \\|x\\|", "", "  * ``nudge``\\ d"]


def test_what_only_an_extra_brings_is_stood_in_for_where_a_page_reads_docstrings():
    """A learner's environment has the extra `book` and no other: a module imported at once would be missing there."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    brought = {re.match(r"[\w-]+", line)[0] for name, lines in extras.items() if name != "book" for line in lines} - {
        "pgcourse"
    }
    found = {}
    for path in (ROOT / "pgcourse").rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name.split(".")[0]: path for name in names}
    assert "nbgrader" in found  # so there is something to find
    assert {name for name in found if name in brought} <= set(book.MODULES_OF_OTHERS)


def test_the_command_has_help_with_examples():
    done = CliRunner().invoke(main, ["book", "--help"])
    assert "pgcourse book --run --open" in done.output


def test_what_has_not_run_is_executed_first_but_not_for_a_draft(tmp_path, monkeypatch):
    root, executed = make_repository(tmp_path), []
    (root / "_build/chapters/00_first.ipynb").unlink()
    monkeypatch.setattr(command, "find_root", lambda: root)
    monkeypatch.setattr(command, "execute", lambda chapters, *_: (executed.extend(chapters), 1))
    monkeypatch.setattr(book, "make", lambda root, **options: book.Book(root, pages=1, size=1, seconds=0.0))
    assert CliRunner().invoke(main, ["book", "--run", "--draft"]).exit_code == 0
    assert executed == []
    assert CliRunner().invoke(main, ["book", "--run"]).exit_code == 1  # a chapter failed
    assert [path.stem for path in executed] == ["00_first"]


# In a browser


def seen(tab, site, name):
    """What is wrong with a page of the site as a reader without a network sees it."""
    tab.goto((site / name).as_uri())
    equations = tab.locator(".math").count()
    if equations:
        tab.wait_for_function(f"document.querySelectorAll('.math mjx-container').length == {equations}")
    tab.evaluate("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
    tab.wait_for_function("[...document.images].every(each => each.complete)")
    faults = [f"an equation with an error: {each}" for each in tab.locator("mjx-merror").all_inner_texts()]
    for picture in tab.locator("article img").all():
        width, words = picture.evaluate("each => each.naturalWidth"), picture.get_attribute("alt")
        faults += [f"a picture that does not load: {words}"] * (width == 0)
        faults += ["a picture without words"] * (not words)
    wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    faults += [f"scrolls sideways, by {wide} pixels"] * (wide > 0)
    faults += [f"cuts an equation off: {each}" for each in tab.evaluate(CUT)]
    faults += [f"shows TeX: {each}" for each in TEX.findall(tab.evaluate(PROSE))]
    faults += [f"asks for {url}" for url in tab.asked if not url.startswith(("file:", "data:"))]
    return faults + tab.errors


TEX = re.compile(r"\$[^$\n]+\$|\\[(\[].{,40}|\\(?:frac|sum|nabla|begin)\b.{,40}")
# Equations of which a part can be reached neither by scrolling the page nor by scrolling what they are in.
CUT = """() => [...document.querySelectorAll('article mjx-container')].filter(each => {
    if (each.closest('table, details:not([open])')) return false;
    const box = each.querySelector('svg').getBoundingClientRect();
    const scrolls = /auto|scroll/.test(getComputedStyle(each).overflowX);
    return box.right > each.closest('article').getBoundingClientRect().right + 1 && !scrolls;
}).map(each => each.parentElement.textContent.slice(0, 60))"""
# Text outside of code and of set equations.
PROSE = """() => {
    const copy = document.querySelector('article').cloneNode(true);
    copy.querySelectorAll('pre, code, mjx-container, script, style, svg').forEach(each => each.remove());
    return copy.textContent;
}"""


def found(tab, site, word):
    """The text of the page with what a search finds."""
    tab.goto((site / "search.html").as_uri() + f"?q={word}")
    summary = "document.querySelector('#search-results .search-summary')?.innerText"
    tab.wait_for_function(f"/finished|did not match/.test({summary} ?? '')")  # results come one after the other
    return tab.inner_text("#search-results")


def test_in_a_browser_without_network_equations_pictures_and_search_work(site, tab):
    for name in ("chapters/00_first", "chapters/01_second", "docs/page"):
        assert seen(tab, site, f"{name}.html") == []
    tab.goto((site / "chapters/00_first.html").as_uri())
    tab.get_by_role("slider").press("ArrowRight")
    assert tab.locator(".pg-explorable dd").text_content() == "0.50"
    assert "00 · First" in found(tab, site, "zebrafish")


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<img src="no.png" alt="x">', "a picture that does not load: x"),
        (f'<img src="data:image/png;base64,{picture("png")}">', "a picture without words"),
        ('<mjx-container><svg width="5000"></svg></mjx-container>', "cuts an equation off"),
        (r"<p>so \(x_t\) is</p>", r"shows TeX: \(x_t\) is"),
        ("<p>so $x_t$ is</p>", "shows TeX: $x_t$"),
        ("<pre>$x$</pre>", None),
        ('<div style="width: 5000px">-</div>', "scrolls sideways"),
        ('<img src="http://pics.test/x.png" alt="x">', "asks for http://pics.test/x.png"),
        ("<script>gone()</script>", "gone is not defined"),
    ],
)
def test_what_a_reader_must_not_see_is_seen(tab, tmp_path, html, fault):
    (tmp_path / "a.html").write_text(f"<!doctype html><article>{html}</article>", encoding="utf-8")
    faults = seen(tab, tmp_path, "a.html")
    assert any(fault in each for each in faults) if fault else faults == []


@pytest.mark.parametrize("path", ["pgcourse/algorithms/ppo.py", "README.md", "environment.yml", "pyproject.toml"])
def test_the_page_of_a_source_shows_the_file_and_marks_only_what_has_a_colour(path):
    made = pages.source_page(path, pages.Repository(ROOT, set()), "index.html")
    shown = re.search(r"<pre>(.*)</pre>", made, re.S)[1]
    assert unescape(re.sub(r"<[^>]*>", "", shown)) == (ROOT / path).read_text("utf-8").removesuffix("\n")
    assert not set(re.findall(r'class="(\w+)"', shown)) & {"w", "p", "n", ""}
    assert 'class="' in shown
