"""What is kept: declared studies, their records with their history, statistics over seeds."""

from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.provenance import fingerprint
from pgcourse.lab.records import CorruptRecord, MissingRecord, Record, RecordError, Store, UnknownSchema
from pgcourse.lab.results import Results, load
from pgcourse.lab.runs import Computed, compute, compute_prefix, store
from pgcourse.lab.statistics import Interval, bootstrap_interval, iqm, mean_interval
from pgcourse.lab.studies import Block, Study, StudyError, study_names

__all__ = [
    "Block",
    "Checkpoints",
    "Computed",
    "CorruptRecord",
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
    "store",
    "study_names",
]
