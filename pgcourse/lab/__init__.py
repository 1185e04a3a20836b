"""What is kept: declared studies, their records with their history, statistics over seeds."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgcourse.lab.beginning import compute_fingerprint, compute_prefix, repeat_fingerprint
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
    from pgcourse.lab.results import Results, load, percentile, published
    from pgcourse.lab.runs import Computed, compute, store
    from pgcourse.lab.statistics import (
        Comparison,
        Improvement,
        Interval,
        bootstrap_interval,
        iqm,
        mean_interval,
        on_common_steps,
        optimality_gap,
        performance_profile,
        permutation_test,
        probability_of_improvement,
        sample_efficiency,
        score_matrix,
        seeds_needed,
        stratified_interval,
        task_median,
        welch_power,
        welch_test,
    )
    from pgcourse.lab.studies import Block, Study, StudyError, study_names

# Resolved on first use: who looks for the course's folder should not wait for torch.
_HOME = {
    "Block": "studies",
    "ChangedWorld": "records",
    "Checkpoints": "checkpoints",
    "Comparison": "statistics",
    "Computed": "runs",
    "Configuration": "configurations",
    "CorruptRecord": "records",
    "Improvement": "statistics",
    "Interval": "statistics",
    "MissingRecord": "records",
    "Record": "records",
    "RecordError": "records",
    "Results": "results",
    "Store": "records",
    "Study": "studies",
    "StudyError": "studies",
    "UnknownSchema": "records",
    "bootstrap_interval": "statistics",
    "compute": "runs",
    "compute_fingerprint": "beginning",
    "compute_prefix": "beginning",
    "iqm": "statistics",
    "load": "results",
    "machine": "provenance",
    "mean_interval": "statistics",
    "on_common_steps": "statistics",
    "optimality_gap": "statistics",
    "percentile": "results",
    "performance_profile": "statistics",
    "permutation_test": "statistics",
    "probability_of_improvement": "statistics",
    "published": "results",
    "repeat_fingerprint": "beginning",
    "sample_efficiency": "statistics",
    "score_matrix": "statistics",
    "seeds_needed": "statistics",
    "store": "runs",
    "stratified_interval": "statistics",
    "study_names": "studies",
    "task_median": "statistics",
    "welch_power": "statistics",
    "welch_test": "statistics",
}
_MODULES = ("console", "engines", "personal", "statistics")

__all__ = [
    "Block",
    "ChangedWorld",
    "Checkpoints",
    "Comparison",
    "Computed",
    "Configuration",
    "CorruptRecord",
    "Improvement",
    "Interval",
    "MissingRecord",
    "Record",
    "RecordError",
    "Results",
    "Store",
    "Study",
    "StudyError",
    "UnknownSchema",
    "bootstrap_interval",
    "compute",
    "compute_fingerprint",
    "compute_prefix",
    "iqm",
    "load",
    "machine",
    "mean_interval",
    "on_common_steps",
    "optimality_gap",
    "percentile",
    "performance_profile",
    "permutation_test",
    "probability_of_improvement",
    "published",
    "repeat_fingerprint",
    "sample_efficiency",
    "score_matrix",
    "seeds_needed",
    "store",
    "stratified_interval",
    "study_names",
    "task_median",
    "welch_power",
    "welch_test",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"pgcourse.lab.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"pgcourse.lab.{name}")
    raise AttributeError(f"module 'pgcourse.lab' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
