"""The course's language models trained from nothing, for a process that shall read no record of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

from pgcourse.lab.records import Record
from pgcourse.lab.reviews import MODELS, Model, compute_model, read_model

RESULTS = "PGCOURSE_RESULTS"  # where `results_folder` looks first
ReportLoss = Callable[[Model, int, float], None]  # the model, its step, from 1, and the loss


def train_models(report: ReportLoss = lambda model, step, loss: None) -> dict[str, Record]:
    """Train all of `MODELS` now, each on the ones before it, and have this process use these instead of the records.

    From then on `language_policy`, `reward_model` and the world `Reviews` are of what has just been trained. Nothing is
    kept on disk, and the records stay as they are. On a machine like theirs it is the same to the last bit. Some 80
    seconds of one processor core. Returned are the models by name, with the losses of every step in their tables.
    """
    before = os.environ.get(RESULTS)
    read_model.cache_clear()
    try:
        with tempfile.TemporaryDirectory(prefix="pgcourse-models-") as folder:
            os.environ[RESULTS] = folder
            for model in MODELS:
                compute_model(model, lambda step, loss, of=model: report(of, step, loss))  # type: ignore[misc]
            return {model.name: read_model(model) for model in MODELS}  # which remembers them
    except BaseException:
        read_model.cache_clear()
        raise
    finally:
        os.environ.pop(RESULTS, None)
        if before is not None:
            os.environ[RESULTS] = before
