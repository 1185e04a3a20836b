"""What is kept: declared studies and their records with their history."""

from pgcourse.lab.checkpoints import Checkpoints
from pgcourse.lab.provenance import fingerprint
from pgcourse.lab.records import CorruptRecord, MissingRecord, Record, RecordError, Store, UnknownSchema
from pgcourse.lab.results import Results, load, percentile, published
from pgcourse.lab.runs import Computed, compute, compute_prefix, store
from pgcourse.lab.studies import Block, Study, StudyError, study_names

__all__ = [
    "Block",
    "Checkpoints",
    "Computed",
    "CorruptRecord",
    "MissingRecord",
    "Record",
    "RecordError",
    "Results",
    "Store",
    "Study",
    "StudyError",
    "UnknownSchema",
    "compute",
    "compute_prefix",
    "fingerprint",
    "load",
    "percentile",
    "published",
    "store",
    "study_names",
]
