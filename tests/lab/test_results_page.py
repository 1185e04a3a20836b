"""results/README.md describes the committed records: every column, file and key."""

import json
import re
import sys
from pathlib import Path

import pytest

from pgcourse.lab import load, study_names
from pgcourse.lab.records import SCHEMA
from pgcourse.lab.runs import PREFIX

RESULTS = Path(__file__).resolve().parents[2] / "results"
PAGE = (RESULTS / "README.md").read_text("utf-8")
NAMED = set(re.findall(r"`(\w+)`", PAGE))


@pytest.mark.parametrize("name", study_names())
def test_what_a_record_holds_is_on_the_page(name):
    results = load(name)
    for variant, records in results.records.items():
        kind = type(next(iter(results.study.variants[variant].values())).algorithm)
        metrics = set(sys.modules[kind.__module__].Metrics._fields)
        for record in records:
            assert set(record.manifest) <= NAMED
            for table in record.tables.values():
                assert set(table.columns) <= NAMED | metrics
            files = {path.name for path in (RESULTS / name / record.name).iterdir()}
            assert files <= set(re.findall(r"\w+\.\w+", PAGE))


def test_the_example_on_the_page_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    space = {}
    exec(example, space)
    assert space["results"].study.name == "a2c-cartpole"
    assert f"first {PREFIX} iterations" in PAGE
    assert {json.loads(path.read_text("utf-8"))["schema"] for path in RESULTS.rglob("manifest.json")} == {SCHEMA}
