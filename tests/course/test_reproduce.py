"""Which runs are computed again, and how far; tests/app/test_reproduce_command.py asks the command."""

import dataclasses

import numpy as np
import pytest
from small_study import SMALL

from pgcourse.course import reproduce as module
from pgcourse.lab import Study, compute, runs, store
from pgcourse.lab.engines import Done


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies with records; the second has one variant of the first, under another name, and one of its own."""
    folder = tmp_path_factory.mktemp("results")
    small = SMALL.replace("seeds_per_block = 2\n", "")
    other = small.replace("[variants.plain]", '[variants."the same"]').replace('"a2c"\nenvs = 4', '"a2c"\nenvs = 8')
    for name, text in (("small", small), ("other", other)):
        (folder / name).mkdir()
        (folder / name / "study.toml").write_text(text, encoding="utf-8")
        for block in Study.at(folder / name).blocks():
            store(block, compute(block))
    return [Study.at(folder / name) for name in ("small", "other")]


@pytest.fixture
def counted(monkeypatch):
    """The iterations that trainings of this process have made since, one list a training."""
    trained, train = [], runs.train

    def counting(block, **options):
        numbers = []
        trained.append(numbers)
        for iteration in train(block, **options):
            numbers.append(iteration.number)
            yield iteration

    monkeypatch.setattr(runs, "train", counting)
    return trained


def test_a_run_that_two_studies_have_is_computed_once(studies, counted, monkeypatch):
    def here(function, arguments, workers):
        for task, argument in enumerate(arguments):
            yield Done(task, function(argument, lambda fraction, value=None: None))

    monkeypatch.setattr(module.engines, "local", here)
    verdicts = module.reproduce(studies, None, lambda events, *_: events, None)
    assert [verdict.verdict for verdict in verdicts] == ["repeated", "repeated"]
    assert [list(verdict.comparisons) for verdict in verdicts] == [
        [block.title for block in study.blocks()] for study in studies
    ]
    assert len(counted) == 3  # of four runs


def test_neighbours_share_a_process_and_the_longest_come_first(studies, monkeypatch):
    alone = [[(block, block.record())] for study in studies for block in study.blocks()]
    took = dict(zip(map(id, alone), (5.0, 12.0, 30.0, 1.0), strict=True))
    monkeypatch.setattr(module, "_seconds", lambda run: took[id(run)])
    monkeypatch.setattr(module, "TOGETHER", 15.0)
    assert module._grouped(alone) == [[alone[2]], alone[:2], [alone[3]]]


@pytest.mark.parametrize(("iteration", "trained"), [(1, 1), (2, 10)])
def test_bits_that_differ_from_the_start_are_not_computed_to_the_end(studies, counted, iteration, trained):
    """The fingerprint decides, which is computed as far as ever."""
    block = studies[0].blocks()[1]
    record = block.record()
    prefix = record.tables["prefix"]
    factor = np.float32(1) + np.float32(1e-6) * (prefix["iteration"] >= iteration).astype(np.float32)
    other = dataclasses.replace(
        record, tables=record.tables | {"prefix": prefix.assign(entropy=prefix["entropy"] * factor)}
    )
    (comparison,) = module._compare_prefix([(block, other)])
    assert comparison.unequal.startswith(f"iteration {iteration}, seed 0: entropy was")
    assert comparison.verdict == "reproduced"
    assert [len(numbers) for numbers in counted] == [trained, record.tables["fingerprint"]["iteration"].max()]
