"""House rules that a program can check: code, notebooks, links, the command line's help."""

import ast
import re
import statistics
import subprocess
import sys
from html.parser import HTMLParser

import click
import nbformat
import pytest
from click.testing import CliRunner
from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt
from tracked import ROOT, not_as_tracked, notebooks, pages

from pgcourse.app.console import VERBS, main

CHAPTERS = list(notebooks("chapters").values())
NOTEBOOKS = list(notebooks().values())
PAGES = pages()
STRIP = ["--keep-id", "--extra-keys", "metadata.papermill cell.metadata.papermill"]  # as in CONTRIBUTING.md

LONGEST_CELL, MEDIAN_CELL, IMPORT_CELL, CELLS_IN_A_ROW = 25, 10, 8, 2  # lines, lines, lines, code cells


def tool(*arguments, text=None, folder=ROOT):
    """Run one of the installed tools; returns (exit status, what it said)."""
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, input=text, cwd=folder, capture_output=True, text=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


# Code


def ruff(*command):
    """ruff on everything, and on what git has of the notebooks that were changed."""
    mine = not_as_tracked()
    yield tool("ruff", *command, ".", *(f"--exclude={name}" for name in mine))
    for name in {*mine} & notebooks().keys():
        yield tool("ruff", *command, "--stdin-filename", name, "-", text=notebooks()[name].read_text(encoding="utf-8"))


def test_ruff_finds_nothing():
    for status, said in ruff("check"):
        assert status == 0, f"ruff check .\n{said}"


def test_code_is_formatted():
    for status, said in ruff("format", "--check"):
        assert status == 0, f"put right by: ruff format .\n{said}"


def test_types_hold():
    status, said = tool("mypy")
    assert status == 0, f"mypy\n{said}"


@pytest.mark.parametrize(
    ("arguments", "bad"),
    [
        (["check"], "import os\n"),
        (["check"], 'open("x", encoding=None) if open("x") else 0\n'),
        (["format", "--check"], "x = {  'a':1 }\n"),
    ],
)
def test_ruff_sees_what_is_bad(arguments, bad):
    status, _ = tool("ruff", *arguments, "--stdin-filename", "pgcourse/bad.py", "-", text=bad)
    assert status == 1


def test_mypy_sees_what_is_bad(tmp_path):
    (tmp_path / "bad.py").write_text("def f(x: int) -> str:\n    return x\n", encoding="utf-8")
    status, said = tool("mypy", "--config-file", ROOT / "pyproject.toml", tmp_path / "bad.py")
    assert (status, "Incompatible return value" in said) == (1, True)


# Notebooks


def imports_something(source):
    tree = ast.parse(TransformerManager().transform_cell(source))
    return any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)


def style_faults(notebook):
    """Where a chapter breaks the rules for code cells: their lengths, their imports, prose between them.

    papermill's one cell of parameters does not count.
    """
    shown = [cell for cell in notebook.cells if "parameters" not in cell.metadata.get("tags", [])]
    cells = [cell for cell in shown if cell.cell_type == "code"]
    lines = [len(cell.source.splitlines()) for cell in cells]
    faults = [f"cell {cell.id} has {n} lines" for cell, n in zip(cells, lines, strict=True) if n > LONGEST_CELL]
    if lines and statistics.median(lines) > MEDIAN_CELL:
        faults.append(f"its code cells have {statistics.median(lines)} lines in the median")
    importing = [cell for cell in cells if imports_something(cell.source)]
    faults += [f"cell {cell.id} imports, too: one import cell a chapter" for cell in importing[1:]]
    first = [(cell.id, sum(map(bool, cell.source.splitlines()))) for cell in importing[:1]]
    faults += [f"import cell {name} is long" for name, lines_of_it in first if lines_of_it > IMPORT_CELL]
    kinds = "".join(cell.cell_type[0] for cell in shown)  # "mccmc": Markdown and code
    if "c" * (CELLS_IN_A_ROW + 1) in kinds:
        at = shown[kinds.index("c" * (CELLS_IN_A_ROW + 1))]
        faults.append(f"from cell {at.id} on, more than {CELLS_IN_A_ROW} code cells without prose between them")
    return faults


def test_there_are_notebooks():
    assert CHAPTERS
    assert {path.parent.name for path in NOTEBOOKS} == {"chapters", "exercises", "solutions"}


def test_notebooks_hold_no_outputs():
    status, said = tool("nbstripout", "--verify", *STRIP, *NOTEBOOKS)
    assert status == 0, f"put right by: {strip_command()}\n{said}"


def strip_command():
    *options, keys = STRIP
    return f'nbstripout {" ".join(options)} "{keys}" chapters/*.ipynb exercises/*.ipynb solutions/*.ipynb'


def test_contributing_names_the_same_command():
    assert strip_command() in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_cells_keep_their_ids():
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        ids = [cell.get("id") for cell in notebook.cells]
        assert all(ids), f"{path.name}: a cell without an id"
        assert len(set(ids)) == len(ids), f"{path.name}: two cells with one id"


def test_chapters_keep_to_the_style():
    faults = [f"{path.name}: {f}" for path in CHAPTERS for f in style_faults(nbformat.read(path, as_version=4))]
    assert not faults, "\n".join(faults)


def make_notebook(*cells):
    new = {"c": nbformat.v4.new_code_cell, "m": nbformat.v4.new_markdown_cell}
    return nbformat.v4.new_notebook(cells=[new[kind](source) for kind, source in cells])


def lines(n):
    return "x = 1\n" * n


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ([("c", lines(26)), ("c", "x"), ("m", "."), ("c", "x")], "has 26 lines"),
        ([("c", lines(11))], "11 lines in the median"),
        ([("c", "import a"), ("m", "."), ("c", "%matplotlib inline\nimport b")], "imports, too"),
        ([("c", "import a\n" * 9)], "is long"),
        ([("m", "."), ("c", "x"), ("c", "x"), ("c", "x")], "more than 2 code cells"),
    ],
)
def test_a_breach_of_style_is_seen(cells, fault):
    faults = style_faults(make_notebook(*cells))
    assert len(faults) == 1
    assert fault in faults[0]


def test_good_style_passes():
    cells = [("c", "import a\n" * 8), ("c", lines(25)), ("m", "."), ("c", lines(10)), ("c", "!ls\nx"), ("m", ".")]
    assert style_faults(make_notebook(*cells)) == []


def executed(notebook):
    notebook.cells[0].update(execution_count=1, outputs=[nbformat.v4.new_output("stream", text="1")])


def run_by_papermill(notebook):
    notebook.metadata.papermill = {"duration": 1.0}


def cell_run_by_papermill(notebook):
    notebook.cells[0].metadata.papermill = {"status": "completed"}


@pytest.mark.parametrize("soil", [executed, run_by_papermill, cell_run_by_papermill])
def test_a_notebook_that_was_run_is_seen(tmp_path, soil):
    path = tmp_path / "x.ipynb"
    notebook = make_notebook(("c", "print(1)"))
    nbformat.write(notebook, path)
    assert tool("nbstripout", "--verify", *STRIP, path)[0] == 0
    soil(notebook)
    nbformat.write(notebook, path)
    assert tool("nbstripout", "--verify", *STRIP, path)[0] == 1


# Links


class HtmlLinks(HTMLParser):
    """Gathers href and src of HTML inside Markdown."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src") and value]


def links(markdown):
    """Every link and picture of a Markdown text, code left out."""
    html = HtmlLinks()
    html.feed(MarkdownIt("commonmark").enable("table").render(markdown))
    return html.found


def dead_links(markdown, folder):
    """Relative links of a text in `folder` that lead to no file, or out of the repository."""
    relative = [link for link in links(markdown) if not re.match(r"[a-z]+:|#|//", link)]
    targets = [(link, (folder / link.partition("#")[0]).resolve()) for link in relative]
    return [link for link, target in targets if not (target.exists() and target.is_relative_to(ROOT))]


def test_relative_links_lead_somewhere():
    texts = [(page, page.read_text(encoding="utf-8")) for page in PAGES]
    for name, path in notebooks().items():
        notebook = nbformat.read(path, as_version=4)
        texts += [(ROOT / name, cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    assert {path.name for path, _ in texts} >= {"README.md", "CONTRIBUTING.md"}
    dead = [f"{path.relative_to(ROOT)}: {link}" for path, text in texts for link in dead_links(text, path.parent)]
    assert not dead, "\n".join(dead)


def test_a_dead_link_is_seen():
    text = "[a](no/such.md) ![b](none.png) <img src='gone.png'> [out](../elsewhere.md) [ref]\n\n[ref]: lost.md"
    assert dead_links(text, ROOT) == ["no/such.md", "none.png", "gone.png", "../elsewhere.md", "lost.md"]
    assert dead_links("[a](README.md#x) [b](https://x.org/y) [c](#here) `[d](none.md)`\n\n    [e](none)", ROOT) == []


# The command line


@pytest.mark.parametrize("name", VERBS)
def test_every_command_shows_an_example(name):
    """And the list of commands says of each what the command itself says."""
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert f"pgcourse {name}" in shown.output.partition("Examples:")[2], f"pgcourse {name} --help has no example"
    assert main.get_command(click.Context(main), name).help.partition("\n")[0] == VERBS[name]


def test_the_pages_name_commands_that_exist():
    for page in PAGES:
        for name in re.findall(r"(?<!import )\bpgcourse ([a-z]+)\b", page.read_text(encoding="utf-8")):
            assert name in VERBS, f"{page.name} names `pgcourse {name}`; there are {', '.join(VERBS)}"
