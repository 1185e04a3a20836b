import numpy as np
import pandas as pd
import pytest

from pgcourse.lab import Study, compute, compute_prefix, fingerprint, reproduction, store
from pgcourse.lab.reproduction import EARLY, ROUNDING, compare


@pytest.fixture
def record(declare):
    declare()
    block = Study.read("small").blocks()[2]
    return store(block, compute(block))


@pytest.fixture
def again(record):
    return {"prefix": compute_prefix(Study.read("small").blocks()[2])}


ELSEWHERE = fingerprint() | {"cpu_capability": "OTHER"}


def test_the_same_bits_are_repeated_wherever(record, again):
    for machine in (fingerprint(), ELSEWHERE):
        comparison = compare(record, again, machine)
        assert comparison.repeated
        assert comparison.agrees
        assert comparison.rounding == 0
    assert comparison.elsewhere == {"cpu_capability": ("OTHER", fingerprint()["cpu_capability"])}


def test_a_shorter_repetition_is_held_against_the_rows_it_has(record, again):
    short = again["prefix"].query("iteration <= 4").reset_index(drop=True)
    assert compare(record, {"prefix": short}, fingerprint()).repeated
    short.loc[short["iteration"] == 4, "entropy"] *= 2
    assert compare(record, {"prefix": short}, fingerprint()).unequal.startswith("iteration 4, seed 0: entropy was")


def test_the_first_difference_is_named(record, again):
    table = again["prefix"]
    table.loc[(table["iteration"] == 7) & (table["seed"] == 1), "entropy"] *= 2
    table.loc[(table["iteration"] == 5) & (table["seed"] == 0), "grad_norm"] = 0.5
    was = record.tables["prefix"].query("iteration == 5 and seed == 0")["grad_norm"].item()
    assert compare(record, again, fingerprint()).unequal == f"iteration 5, seed 0: grad_norm was {was:.9g}, is 0.5"


@pytest.mark.parametrize("iteration", range(1, EARLY + 2))
def test_on_the_same_machine_the_last_bit_counts_elsewhere_rounding_does(record, again, iteration):
    table = again["prefix"]
    row = (table["iteration"] == iteration) & (table["seed"] == 1)
    for factor, rounds in ((np.float32(1 + 2e-7), True), (np.float32(1 + 5 * ROUNDING), iteration > EARLY)):
        changed = table.copy()
        changed.loc[row, "entropy"] = (table.loc[row, "entropy"] * factor).astype(table["entropy"].dtype)
        assert not compare(record, {"prefix": changed}, fingerprint()).agrees
        assert compare(record, {"prefix": changed}, ELSEWHERE).agrees == rounds


def test_other_constraints_may_explain_a_difference(record, again, monkeypatch):
    again["prefix"]["entropy"] *= np.float32(1 + 2e-7)
    assert not compare(record, again, fingerprint()).agrees
    monkeypatch.setattr(reproduction, "constraints_hash", lambda: "0" * 64)
    comparison = compare(record, again, fingerprint())
    assert comparison.agrees
    assert list(comparison.elsewhere) == ["constraints"]
    assert comparison.elsewhere["constraints"][0] == "000000000000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.rename(columns={"entropy": "surprise"}), "other numbers are reported: entropy, surprise"),
        (lambda table: table[table["seed"] == 0].assign(seed=9), "no iteration in common"),
        (lambda table: table.assign(value_loss=np.nan), "iteration 1, seed 0: value_loss was .* is nan"),
    ],
)
def test_what_is_no_rounding_is_drift_everywhere(record, again, change, said):
    comparison = compare(record, {"prefix": change(again["prefix"])}, ELSEWHERE)
    assert not comparison.agrees
    assert pd.Series(comparison.unequal).str.fullmatch(f"{said}.*").all()


def test_a_whole_run_is_compared_to_its_end(record):
    tables = {name: table.copy() for name, table in record.tables.items()}
    assert compare(record, tables, fingerprint()).repeated
    tables["evaluations"].loc[5, "return"] += 1
    assert compare(record, tables, fingerprint()).unequal == ("evaluations.csv differs, the first 10 iterations do not")
