"""benchmarks/other_seeds.py tries a chapter again when its code has changed, and only then."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from benchmarks import other_seeds

TRIED = [new_markdown_cell("Ten learners."), new_code_cell("run = train(seeds=10)")]


@pytest.fixture
def digest(tmp_path):
    def of(cells):
        nbformat.write(new_notebook(cells=cells), tmp_path / "x.ipynb")
        return other_seeds.digest(tmp_path / "x.ipynb")

    return of


@pytest.mark.parametrize(
    "cell", [new_markdown_cell("More."), new_code_cell("explore()", metadata={"tags": ["explorable"]})]
)
def test_prose_and_figures_to_move_need_no_other_try(digest, cell):
    assert digest([*TRIED, cell]) == digest(TRIED)


def test_any_other_code_does(digest):
    assert digest([*TRIED, new_code_cell("explore()")]) != digest(TRIED)
