from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
import pytest

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
