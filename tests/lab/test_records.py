import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcourse.lab import files, records
from pgcourse.lab.configurations import canonical
from pgcourse.lab.records import CorruptRecord, MissingRecord, Store, UnknownSchema

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")


@dataclass(frozen=True)
class Options:
    lr: float = 0.1
    clip: float = float("inf")
    sizes: tuple[int, ...] = (64, 64)


CONFIG = {"algorithm": Options(), "env": "CartPole-v1", "seeds": [0, 1], "steps": 1000, "note": "ε ≤ 0.1"}


# Configurations


def test_run_id_is_a_committed_constant():
    """A change of this id orphans every committed record: raise the schema version if that is meant."""
    text = (
        '{"config":{"algorithm":{"clip":{"float":"inf"},"lr":0.1,"sizes":[64,64],"type":"Options"},"env":"CartPole-v1",'
        '"note":"\\u03b5 \\u2264 0.1","seeds":[0,1],"steps":1000},"schema":2}'
    )
    assert canonical({"schema": 2, "config": CONFIG}) == text
    assert run_id(CONFIG) == "79e222a5a8134930"


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
configs = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    min_size=1,
    max_size=5,
)


def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


@given(configs)
def test_key_order_does_not_matter(config):
    assert run_id(reordered(config)) == run_id(config)


@given(configs, leaves, st.data())
def test_any_changed_value_changes_the_id(config, value, data):
    key = data.draw(st.sampled_from(sorted(config)))
    changed = config | {key: value}
    # As Python compares, but 1, 1.0 and True are three values, and so are 0.0 and -0.0.
    assert (run_id(changed) == run_id(config)) == (plain_repr(changed) == plain_repr(config))


def plain_repr(value):
    if isinstance(value, dict):
        return sorted((key, plain_repr(each)) for key, each in value.items())
    return [plain_repr(each) for each in value] if isinstance(value, list) else repr(value)


@given(configs)
def test_a_configuration_survives_its_file(config):
    assert run_id(json.loads(canonical(config))) == run_id(config)


def test_dataclasses_count_by_name_and_fields():
    @dataclass
    class Other:
        lr: float = 0.1
        clip: float = float("inf")
        sizes: tuple[int, ...] = (64, 64)

    ids = {run_id(each) for each in (Options(), Other(), Options(clip=-float("inf")), Options(sizes=(64,)))}
    assert len(ids) == 4
    assert run_id(Options(sizes=[64, 64])) == run_id(Options())


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"lr": float("nan")}, ValueError, "NaN"),
        ({1: 2}, TypeError, "keys must be strings, got 1"),
        ({"env": object}, TypeError, "got <class 'object'>"),
        ({"seeds": {1, 2}}, TypeError, "got {1, 2}"),
    ],
)
def test_what_has_no_canonical_form_is_refused(config, error, message):
    with pytest.raises(error, match=message):
        run_id(config)


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
    return store.write(config, tables(), {"seconds": 1.5}, {"theta": theta}, **options)


def bits(table: pd.DataFrame) -> dict:
    return {name: (column.dtype, column.to_numpy().tobytes()) for name, column in table.items()}


def test_a_record_comes_back_bit_for_bit(tmp_path):
    store = Store(tmp_path / "study")
    written = write(store)
    assert written.run_id == run_id(CONFIG) in store
    assert store.run_ids() == [written.run_id]
    record = store.read(written.run_id)
    assert bits(record.tables["curves"]) == bits(curves()) == bits(written.tables["curves"])
    assert bits(record.tables["evaluations"]) == bits(evaluations())
    assert torch.equal(record.tensors["theta"], torch.linspace(0, 1, 14).view(2, 7))
    assert run_id(record.config) == record.run_id
    assert record.manifest["seconds"] == 1.5
    assert sorted(file.name for file in (tmp_path / "study" / written.run_id).iterdir()) == [
        "config.json", "curves.csv", "evaluations.csv", "manifest.json", "policy.pt",
    ]  # fmt: skip


def test_a_record_without_a_policy(tmp_path):
    store = Store(tmp_path)
    record = store.write(CONFIG, tables(), {})
    assert store.read(record.run_id).tensors == {}
    assert not (tmp_path / record.run_id / "policy.pt").exists()


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
        Store(tmp_path).write({}, {"x": pd.DataFrame({"x": pd.Series([1, 0], dtype=dtype)})}, {})
    assert list(tmp_path.iterdir()) == []


def test_column_names_are_words(tmp_path):
    with pytest.raises(ValueError, match="mean return, sd"):
        Store(tmp_path).write({}, {"x": pd.DataFrame({"mean return, sd": [1.0]})}, {})


def test_a_policy_over_the_limit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="1,000,004 bytes of parameters: a record holds 1,000,000 at most"):
        Store(tmp_path).write({}, tables(), {}, {"theta": torch.zeros(1, 250_001)})
    assert list(tmp_path.iterdir()) == []


# What can go wrong


def test_a_missing_record_names_the_command_that_computes_it(tmp_path):
    with pytest.raises(MissingRecord, match="pgcourse study my-study"):
        Store(tmp_path / "my-study").read("0123456789abcdef")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("pristine"))
    write(store)
    return store


def damaged(pristine: Store, folder: Path) -> Path:
    shutil.copytree(pristine.root, folder / "study")
    return folder / "study" / run_id(CONFIG)


FILES = ["config.json", "curves.csv", "evaluations.csv", "manifest.json", "policy.pt"]


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(FILES), data=st.data())
def test_a_flipped_bit_is_found(pristine, name, data):
    path = pristine.root / run_id(CONFIG) / name
    whole = path.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1), label="position")
    flipped = bytearray(whole)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    try:
        path.write_bytes(flipped)
        with pytest.raises((CorruptRecord, UnknownSchema), match=run_id(CONFIG)):
            pristine.read(run_id(CONFIG))
    finally:
        path.write_bytes(whole)
    assert pristine.read(run_id(CONFIG))


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


def test_a_renamed_record_is_found(pristine, tmp_path):
    folder = damaged(pristine, tmp_path)
    folder.rename(folder.parent / "0123456789abcdef")
    with pytest.raises(CorruptRecord, match=f"manifest.json is that of run {run_id(CONFIG)}"):
        Store(folder.parent).read("0123456789abcdef")


def test_a_record_of_another_schema_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA", 3)
    record = write(Store(tmp_path))
    monkeypatch.undo()
    with pytest.raises(UnknownSchema, match=r"format version 3; this version of pgcourse reads 2.*update pgcourse"):
        Store(tmp_path).read(record.run_id)


@pytest.mark.parametrize("manifest", [b"[]", b"{}", b"null", b"\xff\xfe", b"1"])
def test_what_is_no_manifest_is_corrupt(pristine, tmp_path, manifest):
    folder = damaged(pristine, tmp_path)
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CorruptRecord, match="no manifest"):
        Store(folder.parent).read(folder.name)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    other = write(Store(tmp_path), {"another": "run"})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(Store(tmp_path))
    assert [folder.name for folder in tmp_path.iterdir()] == [other.run_id]
    with pytest.raises(OSError, match="No space left"):
        write(Store(tmp_path), {"another": "run"}, replace=True)
    assert Store(tmp_path).read(other.run_id)


def test_the_second_writer_loses_and_a_replacement_wins(tmp_path):
    store = Store(tmp_path)
    first = store.write(CONFIG, tables(), {"attempt": 1})
    assert store.write(CONFIG, tables(), {"attempt": 2}).manifest["attempt"] == 1
    assert store.write(CONFIG, tables(), {"attempt": 3}, replace=True).manifest["attempt"] == 3
    assert store.read(first.run_id).manifest["attempt"] == 3
    (tmp_path / first.run_id / "curves.csv").write_bytes(b"torn")
    assert store.write(CONFIG, tables(), {"attempt": 4}, replace=True).manifest["attempt"] == 4
    store.remove(first.run_id)
    assert list(tmp_path.iterdir()) == []


def test_sweep_deletes_abandoned_staging_only(tmp_path):
    store = Store(tmp_path)
    record = write(store)
    old, young = tmp_path / f"{files.STAGING}old", tmp_path / f"{files.STAGING}young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "curves.csv").write_text("half", encoding="utf-8")
    os.utime(old, (time.time() - 2 * files.ABANDONED,) * 2)
    store.sweep()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == [young.name, record.run_id]
    assert store.run_ids() == [record.run_id]


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
        return Store(sys.argv[1]).write(config, tables, {"pid": os.getpid()}, tensors, **options)
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
        for run_id in store.run_ids():
            store.read(run_id)
        if replace and not store.run_ids():
            write({"run": 0})
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        kills += 1
    print(kills, len(store.run_ids()))
    """
    process = writer(tmp_path, body, str(replace))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    kills, kept = map(int, output.split())
    assert kills > 12  # five files opened and flushed, folders made, flushed and renamed
    assert 1 <= kept < kills
    leftovers = [folder for folder in tmp_path.iterdir() if folder.name.startswith(files.STAGING)]
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
        for run in store.run_ids():
            assert len(store.read(run).tables["curves"]) == 5_000
    assert len(store.run_ids()) > 0


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
    assert store.run_ids() == sorted(run_id({"run": run}) for run in range(40))
    writers = [store.read(run).manifest["pid"] for run in store.run_ids()]
    assert set(writers) <= {process.pid for process in processes}
    assert len(list(tmp_path.iterdir())) == 40
