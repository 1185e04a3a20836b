import os

import pandas as pd
import pytest
import torch
from small_study import SMALL

from pgcourse.lab import Block, Checkpoints, Study, checkpoints, compute, records, store
from pgcourse.lab.checkpoints import UnusableCheckpoint

RESTARTING = SMALL.replace("steps = 600", "steps = 600\ncheckpoint_steps = 130")


class Killed(Exception):
    pass


def killed_at(fraction: float):
    """A progress report that ends the run, as far as Python can, once it has come so far."""

    def report(done: float, value: float | None = None) -> None:
        if done > fraction:
            raise Killed

    return report


@pytest.fixture(params=["plain", "critic"])
def block(request, declare) -> Block:
    declare(text=RESTARTING)
    return next(block for block in Study.read("small").blocks() if block.variant == request.param)


def stopped(block: Block, fraction: float = 0.6) -> Checkpoints:
    kept = block.study.checkpoints
    with pytest.raises(Killed):
        compute(block, killed_at(fraction), kept)
    return kept


def assert_same(computed, reference):
    for name, table in reference.tables.items():
        pd.testing.assert_frame_equal(computed.tables[name], table, check_exact=True)
    assert torch.equal(computed.tensors["theta"], reference.tensors["theta"])
    assert computed.manifest["iterations"] == reference.manifest["iterations"]


def test_a_run_stopped_twice_is_the_run_that_was_not(block):
    reference = compute(block)
    assert reference.manifest["resumed"] == 0
    kept = stopped(block, 0.3)
    first = kept.load(block)
    stopped(block, 0.8)
    second = kept.load(block)
    assert 0 < first.checkpoint.number < second.checkpoint.number < reference.manifest["iterations"]
    assert second.wall_seconds > first.wall_seconds > 0
    again = compute(block, checkpoints=kept)
    assert_same(again, reference)
    assert again.manifest["resumed"] == 2
    assert again.manifest["wall_seconds"] > second.wall_seconds
    assert again.manifest["cpu_seconds"] > second.cpu_seconds


def test_stages_of_a_stopped_run_are_those_of_one_that_was_not(declare):
    declare(text=RESTARTING.replace("keep_policies = true", "keep_policies = true\nstages = [0.2, 0.9]"))
    block = next(block for block in Study.read("small").blocks() if block.variant == "critic")
    reference = compute(block)
    assert set(reference.tensors) == {"theta", "theta at 0.2", "theta at 0.9"}
    assert len({each.norm().item() for each in reference.tensors.values()}) == 3
    kept = stopped(block, 0.6)
    assert set(kept.load(block).stages) == {"theta at 0.2"}
    again = compute(block, checkpoints=kept)
    assert_same(again, reference)
    for name, theta in reference.tensors.items():
        assert torch.equal(again.tensors[name], theta)


def test_what_is_resumed_is_not_computed_again(block):
    kept = stopped(block)
    seen = []
    compute(block, lambda done, value=None: seen.append(done), kept)
    saved = kept.load(block)
    assert min(seen) > 130 / 600
    assert saved.resumed == 1


@pytest.mark.parametrize(("world", "same"), [("CartPole-v1", True), ("BipedalWalker-v3", False)])
def test_where_checkpoints_are_decides_the_numbers_of_worlds_that_start_anew_there(declare, world, same):
    curves = []
    for text in (SMALL, RESTARTING):
        declare(text=text.replace("CartPole-v1", world).replace('"reinforce"\nenvs = 4\nbaseline = "none"', '"a2c"'))
        curves.append(compute(Study.read("small").blocks()[2]).tables["curves"])
    assert curves[0].equals(curves[1]) == same


def test_a_stored_run_leaves_no_checkpoint(block):
    kept = stopped(block)
    assert [file.name for file in kept.folder.iterdir()] == [f"{block.name}.pt"]
    store(block, compute(block, checkpoints=kept), kept)
    assert list(kept.folder.iterdir()) == []
    assert kept.load(block) is None
    assert block.study.store.names() == [block.name]  # and the folder of checkpoints is no record


def test_a_damaged_checkpoint_is_named_and_not_used(block):
    reference = compute(block)
    kept = stopped(block)
    path = kept.folder / f"{block.name}.pt"
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 50)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UnusableCheckpoint, match="torn or changed"):
            kept.load(block)
    for keep in (0, 1, 64, 65, len(whole) // 2, -1):
        path.write_bytes(whole[:keep])
        with pytest.raises(UnusableCheckpoint, match="torn or changed"):
            kept.load(block)
    computed = compute(block, checkpoints=kept)
    assert computed.manifest["resumed"] == 0
    assert_same(computed, reference)


@pytest.mark.parametrize(
    ("what", "name"), [("code", "source code"), ("machine", "cpu_capability"), ("SCHEMA", "format")]
)
def test_a_checkpoint_of_other_code_or_another_machine_is_named_and_not_used(block, monkeypatch, what, name):
    kept = stopped(block)
    here = checkpoints.machine()
    if what == "code":
        monkeypatch.setattr(Block, "code", "0" * 64)
    else:
        other = {"machine": lambda: here | {"cpu_capability": "OTHER"}, "SCHEMA": checkpoints.SCHEMA + 1}
        monkeypatch.setattr(checkpoints, what, other[what])
    with pytest.raises(UnusableCheckpoint, match=f"written elsewhere: .*{name}"):
        kept.load(block)
    assert compute(block, checkpoints=kept).manifest["resumed"] == 0


def test_a_checkpoint_under_another_runs_name_is_not_used(block):
    kept = stopped(block)
    other = next(each for each in block.study.blocks() if each.variant != block.variant)
    (kept.folder / f"{block.name}.pt").rename(kept.folder / f"{other.name}.pt")
    with pytest.raises(UnusableCheckpoint, match="configuration"):
        kept.load(other)


def test_a_checkpoint_of_a_world_that_has_changed_is_named_and_not_used(block, monkeypatch):
    kept = stopped(block)
    monkeypatch.setattr(Block, "world", block.world | {"time_limit": 200, "source": {"cartpole.py": "0" * 64}})
    said = "of another CartPole-v1: time limit was 500, is 200; cartpole.py has been changed"
    with pytest.raises(UnusableCheckpoint, match=said):
        kept.load(block)
    assert compute(block, checkpoints=kept).manifest["resumed"] == 0


def test_a_full_disk_keeps_the_checkpoint_before(block, monkeypatch):
    kept = stopped(block, 0.3)
    before = kept.load(block).checkpoint.number

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            compute(block, checkpoints=kept)
    assert kept.load(block).checkpoint.number == before
    assert [file.name for file in kept.folder.iterdir()] == [f"{block.name}.pt"]


def test_what_killed_writers_left_is_swept(tmp_path):
    kept = Checkpoints(tmp_path)
    old, young = tmp_path / f"{records.STAGING}old", tmp_path / f"{records.STAGING}young"
    for path in (old, young):
        path.write_bytes(b"half a checkpoint")
    long_ago = old.stat().st_mtime - 2 * records.ABANDONED
    os.utime(old, (long_ago, long_ago))
    kept.discard("plain.seeds-0-1")
    assert list(tmp_path.iterdir()) == [young]
