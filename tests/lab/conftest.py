from pathlib import Path

import pytest
import torch
from small_study import SMALL


@pytest.fixture(autouse=True)
def one_thread():
    """As in the workers of a study: a second thread changes the bits, and makes small tensors slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Declares a study in an empty results folder: `declare("name", text)`, with `text` a small study unless given."""
    monkeypatch.setenv("PGCOURSE_RESULTS", str(tmp_path))

    def declare(name: str = "small", text: str = SMALL) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "study.toml").write_text(text, encoding="utf-8")
        return folder

    return declare
