"""Would the grader see in this notebook what its kernel sees? The cells that were executed are collected as it does.

The kernel knows more than the grader: what a deleted cell bound, what the course's package computed, what a training
changed. So the answer that the grader would call is made again from the cells alone, in a namespace of its own.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import io
import random
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
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
    notebook.module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importer(Path.cwd())}
    failed: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_unchanged_generators())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        # The grader has the notebook, and none of the files beside it.
        stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))
        for name, source, index in statements:
            try:
                notebook.execute(name, source, index)
            except (Exception, SystemExit) as error:
                info = worker.describe(error)
                words = plain(f"{name}: {info['type']}: {info['message']}")
                failed.update(dict.fromkeys(names[name, index], words))
    return notebook.module.__dict__, failed


def _importer(folder: Path) -> Callable[..., Any]:
    """The import that the grader has, for a notebook in that folder: neither the course nor the learner's own files."""

    def imported(name: str, *args: Any, **kwargs: Any) -> Any:
        level = args[3] if len(args) > 3 else kwargs.get("level", 0)
        top = name.partition(".")[0]
        if level == 0 and top == "pgcourse":
            raise ModuleNotFoundError(f"pgcourse {worker.ABSENT}", name=name)
        if level == 0 and any(path.is_relative_to(folder) for path in _own_files(top)):
            raise ModuleNotFoundError(f"{top} is a file of yours, and the grader has the notebook alone", name=name)
        return builtins.__import__(name, *args, **kwargs)

    return imported


def _own_files(module: str) -> list[Path]:
    """Where a module that is not installed comes from; nothing for one that is."""
    try:
        spec = getattr(sys.modules.get(module), "__spec__", None) or importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    file = [spec.origin] if spec.has_location and spec.origin else []  # "built-in" and "frozen" are no files
    places = [Path(place).absolute() for place in (*file, *(spec.submodule_search_locations or ()))]
    # Packages may be installed below the notebook's folder: for a user, whose home it is, or in an environment there.
    libraries = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return [
        place
        for place in places
        if not {"site-packages", "dist-packages"} & {*place.parts} and not any(map(place.is_relative_to, libraries))
    ]


@contextlib.contextmanager
def _unchanged_generators() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
