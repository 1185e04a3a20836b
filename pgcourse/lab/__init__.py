"""What is kept: declared studies, their records with their history, statistics over seeds."""

from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.provenance import fingerprint
from pgcourse.lab.records import CorruptRecord, MissingRecord, Record, RecordError, Store, UnknownSchema
from pgcourse.lab.results import Results, load, percentile, published
from pgcourse.lab.runs import Computed, compute, compute_prefix, store
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

__all__ = [
    "Block",
    "Checkpoints",
    "Comparison",
    "Computed",
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
    "compute_prefix",
    "fingerprint",
    "iqm",
    "load",
    "mean_interval",
    "on_common_steps",
    "optimality_gap",
    "percentile",
    "performance_profile",
    "permutation_test",
    "probability_of_improvement",
    "published",
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
