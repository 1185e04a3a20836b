import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pgcourse.lab import provenance
from pgcourse.lab.provenance import commit, constraints_hash, machine, machine_differences
from pgcourse.lab.records import metrics_digest, tensor_digest


def test_machine_describes_this_process():
    threads = torch.get_num_threads()
    here = machine()
    assert here["torch"] == torch.__version__
    assert here["numpy"] == np.__version__
    assert here["threads"] == threads
    assert here["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert set(provenance.SUSPECTS) <= set(here)
    assert machine_differences(here, machine()) == {}
    assert machine_differences(here, here | {"pandas": "another", "python": "another"}) == {}
    assert machine_differences(here, here | {"threads": threads + 1}) == {"threads": (threads, threads + 1)}


def git(folder: Path, *arguments: str) -> str:
    author = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | author | {"GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A small repository in the place of the course's own."""
    (tmp_path / "pgcourse").mkdir()
    (tmp_path / "pgcourse" / "code.py").write_text("gamma = 0.99\n")
    (tmp_path / "constraints.txt").write_bytes(b"torch==2.13.0\n")
    (tmp_path / "README.md").write_text("read me\n")
    monkeypatch.setattr(provenance, "code_repository", lambda: tmp_path)
    return tmp_path


def test_commit_and_dirty_flag(clone):
    assert commit() == {"commit": None, "dirty": None}  # not a repository yet
    git(clone, "init")
    git(clone, "add", ".")
    git(clone, "commit", "-m", "start")
    head = git(clone, "rev-parse", "HEAD")
    assert commit() == {"commit": head, "dirty": False}
    (clone / "README.md").write_text("text that computes nothing\n")
    assert commit() == {"commit": head, "dirty": False}
    (clone / "pgcourse" / "new.py").write_text("gamma = 0.9\n")
    assert commit() == {"commit": head, "dirty": True}


def test_commit_without_git_or_repository(clone, monkeypatch):
    git(clone, "init")
    monkeypatch.setenv("PATH", "")
    assert commit() == {"commit": None, "dirty": None}
    monkeypatch.setattr(provenance, "code_repository", lambda: None)
    assert commit() == {"commit": None, "dirty": None}
    assert constraints_hash() is None


def test_constraints_hash_is_that_of_the_text(clone):
    first = constraints_hash()
    (clone / "constraints.txt").write_bytes(b"torch==2.13.0\r\n")
    assert constraints_hash() == first
    (clone / "constraints.txt").write_bytes(b"torch==2.13.1\n")
    assert constraints_hash() != first


def test_tensor_digest_is_a_committed_constant():
    tensor = torch.tensor([[1.0, -0.5, float("nan")]])
    assert tensor_digest(tensor) == "1edfb5f221cced7d15dd5dd4b3c852875eb0ceec04e93cfb4f1e1b2570c1007e"
    assert tensor_digest(tensor.numpy()) == tensor_digest(tensor)


arrays = npst.arrays(st.sampled_from([np.float32, np.float64, np.int64, np.bool_]), npst.array_shapes(max_dims=3))


@given(arrays, st.data())
def test_tensor_digest_sees_every_element(array, data):
    assert (
        tensor_digest(array)
        == tensor_digest(array.copy(order="F"))
        == tensor_digest(array.astype(array.dtype.newbyteorder(">")))
    )
    index = tuple(data.draw(st.integers(0, n - 1)) for n in array.shape)
    changed = array.copy()
    changed[index] = ~changed[index] if array.dtype == np.bool_ else np.nan_to_num(changed[index]) / 2 + 1
    same = np.array_equal(changed, array, equal_nan=array.dtype.kind == "f")
    assert (tensor_digest(changed) == tensor_digest(array)) == same


def test_tensor_digest_sees_dtype_shape_and_sign_of_zero():
    zeros = torch.zeros(2, 3)
    others = [zeros.double(), zeros.T, zeros.flatten(), -zeros, torch.zeros(())]
    assert len({tensor_digest(each) for each in [zeros, *others]}) == 6
    assert tensor_digest(torch.zeros(())) != tensor_digest(torch.zeros(1))


def test_all_nans_are_one():
    bits = np.array([0x7FC00000, 0xFFC00000, 0x7FC00001], dtype=np.uint32).view(np.float32)
    assert len({tensor_digest(bits[i : i + 1]) for i in range(3)}) == 1


def test_metrics_digest_goes_by_column_name():
    frame = pd.DataFrame({"step": [1, 2], "return": [0.1, np.nan]})
    assert metrics_digest(frame) == metrics_digest(frame[["return", "step"]].set_axis([7, 9]))
    assert metrics_digest(frame) != metrics_digest(frame.rename(columns={"return": "length"}))
    assert metrics_digest(frame) != metrics_digest(frame.iloc[::-1])
    assert metrics_digest(frame) != metrics_digest(frame.astype({"return": "float32"}))
    with pytest.raises(TypeError, match="numbers"):
        metrics_digest(pd.DataFrame({"variant": ["a"]}))
