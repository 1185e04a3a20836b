import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcourse.lab import records
from pgcourse.lab.records import CorruptRecord, MissingRecord, Store, UnknownSchema

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")


CONFIG = {"algorithm": {"type": "A2C", "lr": 0.1}, "env": "CartPole-v1", "seeds": [0, 1], "note": "ε ≤ 0.1"}
NAME = "A2C.seeds-0-1"


# Tables and tensors


def curves(rows: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "seed": np.repeat([0, 1], rows // 2),
            "step": np.arange(rows) * 100,
            "return": np.where(np.arange(rows) == 2, np.nan, rng.normal(size=rows)),
            "entropy": rng.normal(size=rows).astype(np.float32),
        }
    )


def evaluations() -> pd.DataFrame:
    return pd.DataFrame({"seed": [0, 0, 1, 1], "episode": [0, 1, 0, 1], "return": np.float32([500, 9.1, 1e-38, -0.0])})


def tables() -> dict[str, pd.DataFrame]:
    return {"curves": curves(), "evaluations": evaluations()}


def write(store: Store, config=CONFIG, **options) -> records.Record:
    theta = torch.linspace(0, 1, 14).view(2, 7)
    return store.write(config, options.pop("name", NAME), tables(), {"seconds": 1.5}, {"theta": theta}, **options)


def bits(table: pd.DataFrame) -> dict:
    return {name: (column.dtype, column.to_numpy().tobytes()) for name, column in table.items()}


def test_a_record_comes_back_bit_for_bit(tmp_path):
    store = Store(tmp_path / "study")
    written = write(store)
    assert written.name == NAME in store
    assert store.names() == [NAME]
    record = store.read(NAME)
    assert bits(record.tables["curves"]) == bits(curves()) == bits(written.tables["curves"])
    assert bits(record.tables["evaluations"]) == bits(evaluations())
    assert torch.equal(record.tensors["theta"], torch.linspace(0, 1, 14).view(2, 7))
    assert record.config == written.config == CONFIG
    assert record.manifest["seconds"] == 1.5
    assert sorted(file.name for file in (tmp_path / "study" / NAME).iterdir()) == [
        "config.json", "curves.csv", "evaluations.csv", "manifest.json", "policy.pt",
    ]  # fmt: skip


def test_a_record_without_a_policy(tmp_path):
    store = Store(tmp_path)
    record = store.write(CONFIG, NAME, tables(), {})
    assert store.read(record.name).tensors == {}
    assert not (tmp_path / record.name / "policy.pt").exists()


@pytest.mark.parametrize(("dtype", "unsigned"), [(np.float32, np.uint32), (np.float64, np.uint64)])
def test_csv_gives_back_every_bit(dtype, unsigned):
    rng = np.random.default_rng(0)
    random = rng.integers(np.iinfo(unsigned).max, size=100_000, dtype=unsigned, endpoint=True).view(dtype)
    info = np.finfo(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, 0.1], dtype)
    neighbours = np.nextafter(np.ldexp(dtype(1), np.arange(-100, 100)), dtype(0))
    values = np.concatenate([random, special, neighbours])
    values = np.where(np.isnan(values), dtype(np.nan), values)  # a NaN comes back as the NaN, whatever its payload
    back = records._from_csv(records._to_csv(pd.DataFrame({"x": values})), {"x": str(np.dtype(dtype))})
    assert back["x"].to_numpy().tobytes() == values.tobytes()


@given(st.lists(st.floats(width=32), min_size=1), st.lists(st.floats(), min_size=1))
def test_csv_gives_back_every_number(single, double):
    n = min(len(single), len(double))
    table = pd.DataFrame({"a": np.float32(single[:n]), "b": np.float64(double[:n])})
    back = records._from_csv(records._to_csv(table), {"a": "float32", "b": "float64"})
    for name, column in table.items():
        nan = column.isna()
        assert (back[name].isna() == nan).all()
        assert back[name][~nan].to_numpy().tobytes() == column[~nan].to_numpy().tobytes()


@pytest.mark.parametrize("dtype", ["str", "object", "bool", "Int64", "datetime64[ns]", "complex128"])
def test_tables_hold_numbers_only(tmp_path, dtype):
    with pytest.raises(TypeError, match="column 'x'"):
        Store(tmp_path).write({}, NAME, {"x": pd.DataFrame({"x": pd.Series([1, 0], dtype=dtype)})}, {})
    assert list(tmp_path.iterdir()) == []


def test_column_names_are_words(tmp_path):
    with pytest.raises(ValueError, match="mean return, sd"):
        Store(tmp_path).write({}, NAME, {"x": pd.DataFrame({"mean return, sd": [1.0]})}, {})


def test_a_policy_over_the_limit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="1,000,004 bytes of parameters: a record holds 1,000,000 at most"):
        Store(tmp_path).write({}, NAME, tables(), {}, {"theta": torch.zeros(1, 250_001)})
    assert list(tmp_path.iterdir()) == []


# What can go wrong


def test_a_missing_record_names_the_command_that_computes_it(tmp_path):
    with pytest.raises(MissingRecord, match="pgcourse study my-study"):
        Store(tmp_path / "my-study").read(NAME)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("pristine"))
    write(store)
    return store


def damaged(pristine: Store, folder: Path) -> Path:
    shutil.copytree(pristine.root, folder / "study")
    return folder / "study" / NAME


FILES = ["config.json", "curves.csv", "evaluations.csv", "manifest.json", "policy.pt"]


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(FILES), data=st.data())
def test_a_flipped_bit_is_found(pristine, name, data):
    path = pristine.root / NAME / name
    whole = path.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1), label="position")
    flipped = bytearray(whole)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    try:
        path.write_bytes(flipped)
        with pytest.raises((CorruptRecord, UnknownSchema), match=NAME):
            pristine.read(NAME)
    finally:
        path.write_bytes(whole)
    assert pristine.read(NAME)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 1, 0.5, -1])
def test_a_torn_file_is_found(pristine, tmp_path, name, keep):
    folder = damaged(pristine, tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(keep * len(content)) if keep == 0.5 else keep])
    with pytest.raises(CorruptRecord, match=name) as error:
        Store(folder.parent).read(folder.name)
    assert error.value.path == folder
    assert "pgcourse study study --refresh" in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(pristine, tmp_path, name):
    folder = damaged(pristine, tmp_path)
    (folder / name).unlink()
    with pytest.raises(CorruptRecord, match=f"{name} is missing"):
        Store(folder.parent).read(folder.name)


def test_a_renamed_record_is_the_same_record(pristine, tmp_path):
    folder = damaged(pristine, tmp_path)
    folder.rename(folder.parent / "called otherwise")
    store = Store(folder.parent)
    assert store.find(CONFIG, NAME) == "called otherwise"
    assert store.read("called otherwise").config == CONFIG
    assert write(store).name == "called otherwise"  # it is there


def test_a_record_is_found_by_its_configuration_among_others(tmp_path):
    store, other = Store(tmp_path), CONFIG | {"note": "another"}
    assert store.find(CONFIG, NAME) is None
    assert write(store, other).name == NAME
    assert store.find(CONFIG, NAME) is None
    assert write(store).name == f"{NAME}.2"  # the name belongs to another configuration's
    assert (store.find(CONFIG, NAME), store.find(other, NAME)) == (f"{NAME}.2", NAME)
    assert write(store, replace=True).name == f"{NAME}.2"
    assert store.names() == [NAME, f"{NAME}.2"]


@pytest.mark.parametrize("name", ["config.json", "manifest.json"])
def test_where_a_records_configuration_cannot_be_read_nothing_takes_its_place(pristine, tmp_path, name):
    folder = damaged(pristine, tmp_path)
    (folder / name).write_bytes(
        (folder / name).read_bytes().replace(b"0.1", b"0.2").replace(b'"columns"', b'"colunms"')
    )
    store = Store(folder.parent)
    with pytest.raises(CorruptRecord, match=name):
        store.find(CONFIG, NAME)
    with pytest.raises(CorruptRecord, match=name):
        write(store)
    assert store.find(CONFIG, "elsewhere") is None
    assert write(store, replace=True).name == NAME
    assert store.names() == [NAME]


def test_a_record_of_another_schema_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA", 4)
    record = write(Store(tmp_path))
    monkeypatch.undo()
    with pytest.raises(UnknownSchema, match=r"format version 4; this version of pgcourse reads 3.*update pgcourse"):
        Store(tmp_path).read(record.name)


@pytest.mark.parametrize("manifest", [b"[]", b"{}", b"null", b"\xff\xfe", b"1"])
def test_what_is_no_manifest_is_corrupt(pristine, tmp_path, manifest):
    folder = damaged(pristine, tmp_path)
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CorruptRecord, match="no manifest"):
        Store(folder.parent).read(folder.name)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    other = write(Store(tmp_path), {"another": "run"}, name="other")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(Store(tmp_path))
    assert [folder.name for folder in tmp_path.iterdir()] == [other.name]
    with pytest.raises(OSError, match="No space left"):
        write(Store(tmp_path), {"another": "run"}, name="other", replace=True)
    assert Store(tmp_path).read(other.name)


def test_the_second_writer_loses_and_a_replacement_wins(tmp_path):
    store = Store(tmp_path)
    first = store.write(CONFIG, NAME, tables(), {"attempt": 1})
    assert store.write(CONFIG, NAME, tables(), {"attempt": 2}).manifest["attempt"] == 1
    assert store.write(CONFIG, NAME, tables(), {"attempt": 3}, replace=True).manifest["attempt"] == 3
    assert store.read(first.name).manifest["attempt"] == 3
    (tmp_path / first.name / "curves.csv").write_bytes(b"torn")
    assert store.write(CONFIG, NAME, tables(), {"attempt": 4}, replace=True).manifest["attempt"] == 4
    store.remove(first.name)
    assert list(tmp_path.iterdir()) == []


def test_sweep_deletes_abandoned_staging_only(tmp_path):
    store = Store(tmp_path)
    record = write(store)
    old, young = tmp_path / f"{records.STAGING}old", tmp_path / f"{records.STAGING}young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "curves.csv").write_text("half", encoding="utf-8")
    os.utime(old, (time.time() - 2 * records.ABANDONED,) * 2)
    store.sweep()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == [young.name, record.name]
    assert store.names() == [record.name]


# Real processes

WRITER = """
    import os, signal, sys
    import numpy as np, pandas as pd, torch
    from pgcourse.lab.records import Store

    def table(rows):
        return pd.DataFrame({"seed": 0, "step": np.arange(rows), "return": np.random.default_rng(0).normal(size=rows)})

    def write(config, rows=50, **options):
        tensors = {"theta": torch.zeros(2, 100)}
        tables = {"curves": table(rows), "evaluations": table(5)}
        name, manifest = f"run-{config['run']}", {"pid": os.getpid()}
        return Store(sys.argv[1]).write(config, name, tables, manifest, tensors, **options)
"""


def writer(folder: Path, body: str, *arguments: str) -> subprocess.Popen:
    program = textwrap.dedent(WRITER) + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", program, str(folder), *arguments], stdout=subprocess.PIPE, text=True)


@posix
@pytest.mark.parametrize("replace", [False, True])
def test_a_writer_killed_at_any_system_call_leaves_a_whole_record_or_none(tmp_path, replace):
    """The nth child is killed at its nth call that opens, makes, renames or removes; until one gets through."""
    body = """
    replace = sys.argv[2] == "True"
    CALLS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.fsync")
    if replace:
        write({"run": 0})
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            left = kills
            def audit(event, arguments):
                global left
                if event in CALLS:
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left -= 1
            fsync = os.fsync
            os.fsync = lambda handle: (sys.audit("os.fsync"), fsync(handle))
            sys.addaudithook(audit)
            write({"run": 0 if replace else kills}, replace=replace)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        store = Store(sys.argv[1])
        for name in store.names():
            store.read(name)
        if replace and not store.names():
            write({"run": 0})
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        kills += 1
    print(kills, len(store.names()))
    """
    process = writer(tmp_path, body, str(replace))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    kills, kept = map(int, output.split())
    assert kills > 12  # five files opened and flushed, folders made, flushed and renamed
    assert 1 <= kept < kills
    leftovers = [folder for folder in tmp_path.iterdir() if folder.name.startswith(records.STAGING)]
    assert leftovers  # they were killed in the middle
    for folder in leftovers:
        os.utime(folder, (0, 0))
    Store(tmp_path).sweep()
    assert len(list(tmp_path.iterdir())) == kept


@posix
def test_a_writer_killed_at_a_random_moment_leaves_whole_records(tmp_path):
    body = """
    print("ready", flush=True)
    for run in range(1_000_000):
        write({"run": run}, rows=5_000)
    """
    rng = np.random.default_rng()
    for _ in range(3):
        process = writer(tmp_path, body)
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.1, 0.6))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        store = Store(tmp_path)
        for run in store.names():
            assert len(store.read(run).tables["curves"]) == 5_000
    assert len(store.names()) > 0


def test_two_processes_writing_the_same_runs_end_with_one_record_each(tmp_path):
    body = """
    print("ready", flush=True)
    sys.stdin.readline()
    for run in range(40):
        record = write({"run": run})
        assert len(record.tables["curves"]) == 50
    """
    program = textwrap.dedent(WRITER) + textwrap.dedent(body)
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    store = Store(tmp_path)
    assert store.names() == sorted(f"run-{run}" for run in range(40))
    writers = [store.read(run).manifest["pid"] for run in store.names()]
    assert set(writers) <= {process.pid for process in processes}
    assert len(list(tmp_path.iterdir())) == 40
