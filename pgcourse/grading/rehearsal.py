"""Would the grader see in this notebook what its kernel sees? The cells that were executed are collected as it does.

The kernel knows more than the grader: what a deleted cell bound, what the course's package computed, what a training
changed. So the answer that the grader would call is made again from the cells alone, in a namespace of its own.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from IPython import get_ipython

from pgcourse.grading import worker
from pgcourse.grading.collect import collect
from pgcourse.grading.exercise import plain

Statements = tuple[tuple[str, str, int], ...]
_made: dict[Statements, tuple[dict[str, Any], dict[str, str]]] = {}  # the last one, as its statements may take long


def executed_cells() -> list[tuple[str, str]]:
    """(name, source) of the cells that this kernel has executed, in that order; none where there is no kernel."""
    shell = get_ipython()  # type: ignore[no-untyped-call]
    history = getattr(shell, "history_manager", None)
    sources = getattr(history, "input_hist_raw", [])[1:]
    return [(f"cell [{number}]", str(source)) for number, source in enumerate(sources, 1)]


def rebuilt(entry: str) -> tuple[Any, Mapping[str, str]]:
    """The answer called `entry` as the grader would find it, made from the cells alone.

    Statements of the notebook run again in making it, with the states of the random generators put back behind them.

    Returns:
        It, or None; and why names are missing, by name.
    """
    submission = collect(executed_cells(), [entry])
    statements = tuple((cell.name, cell.source, index) for cell in submission.cells for index, _ in cell.keep)
    names = {(cell.name, index): bound for cell in submission.cells for index, bound in cell.keep}
    if statements not in _made:
        _made.clear()
        _made[statements] = _execute(statements, names)
    namespace, failed = _made[statements]
    return namespace.get(entry), {**submission.missing, **failed}


def _execute(
    statements: Statements, names: Mapping[tuple[str, int], tuple[str, ...]]
) -> tuple[dict[str, Any], dict[str, str]]:
    notebook = worker.Notebook()
    notebook.module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
    failed: dict[str, str] = {}
    with _unchanged_generators(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for name, source, index in statements:
            try:
                notebook.execute(name, source, index)
            except (Exception, SystemExit) as error:
                info = worker.describe(error)
                words = plain(f"{name}: {info['type']}: {info['message']}")
                failed.update(dict.fromkeys(names[name, index], words))
    return notebook.module.__dict__, failed


def _import(name: str, *args: Any, **kwargs: Any) -> Any:
    level = args[3] if len(args) > 3 else kwargs.get("level", 0)
    if level == 0 and name.partition(".")[0] == "pgcourse":
        raise ModuleNotFoundError(f"pgcourse {worker.ABSENT}", name=name)
    return builtins.__import__(name, *args, **kwargs)


@contextlib.contextmanager
def _unchanged_generators() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
