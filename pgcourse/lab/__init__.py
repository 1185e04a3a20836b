"""What is kept: declared studies and their records with their history."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgcourse.lab.checkpoints import Checkpoints
    from pgcourse.lab.configurations import Configuration
    from pgcourse.lab.provenance import machine
    from pgcourse.lab.records import (
        ChangedWorld,
        CorruptRecord,
        MissingRecord,
        Record,
        RecordError,
        Store,
        UnknownSchema,
    )
    from pgcourse.lab.report import comparisons
    from pgcourse.lab.results import Results, beside_published, load, percentile, published
    from pgcourse.lab.runs import Computed, compute, compute_fingerprint, compute_prefix, repeat_fingerprint, store
    from pgcourse.lab.studies import Block, Study, StudyError, study_names

# Resolved on first use: who looks for the course's folder should not wait for torch.
_HOME = {
    "Block": "studies",
    "ChangedWorld": "records",
    "Checkpoints": "checkpoints",
    "Computed": "runs",
    "Configuration": "configurations",
    "CorruptRecord": "records",
    "MissingRecord": "records",
    "Record": "records",
    "RecordError": "records",
    "Results": "results",
    "Store": "records",
    "Study": "studies",
    "StudyError": "studies",
    "UnknownSchema": "records",
    "comparisons": "report",
    "compute": "runs",
    "compute_fingerprint": "runs",
    "compute_prefix": "runs",
    "load": "results",
    "machine": "provenance",
    "beside_published": "results",
    "percentile": "results",
    "published": "results",
    "repeat_fingerprint": "runs",
    "store": "runs",
    "study_names": "studies",
}
_MODULES = ("engines", "personal")

__all__ = [
    "Block",
    "ChangedWorld",
    "Checkpoints",
    "Computed",
    "Configuration",
    "CorruptRecord",
    "MissingRecord",
    "Record",
    "RecordError",
    "Results",
    "Store",
    "Study",
    "StudyError",
    "UnknownSchema",
    "beside_published",
    "comparisons",
    "compute",
    "compute_fingerprint",
    "compute_prefix",
    "load",
    "machine",
    "percentile",
    "published",
    "repeat_fingerprint",
    "store",
    "study_names",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"pgcourse.lab.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"pgcourse.lab.{name}")
    raise AttributeError(f"module 'pgcourse.lab' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
