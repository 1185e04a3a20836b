"""Policy gradient methods: a course whose every number is measured.

import pgcourse as pg

run = pg.train(pg.REINFORCE(), "CartPole-v1", seeds=10, steps=100_000)
pg.plots.learning_curves(run.curves)
pg.evaluate(run.policy, episodes=100)
"""

import ast
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# Every public name is listed once, in __init__.pyi, which says to editors and type checkers where it stands. It is
# imported on first use: `import pgcourse` and `pgcourse --help` do not wait for torch.
_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
_HOME = {alias.name: node.module for node in _STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pgcourse' has no attribute {name!r}; it has {', '.join(__all__)}")
    home = _HOME[name]
    return import_module(f"{home}.{name}") if home == __name__ else getattr(import_module(str(home)), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})


def _one_thread_in_a_notebook() -> None:
    """Faster for tensors of this size, and repeatable; whoever has set OMP_NUM_THREADS knows better.

    `pgcourse` sets it for what it starts. Here it is for kernels that others start: VS Code, Colab, Binder.
    """
    ipython = sys.modules.get("IPython")
    if "OMP_NUM_THREADS" in os.environ or not hasattr(ipython and ipython.get_ipython(), "kernel"):
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # for a torch that is still to come, and for processes that the notebook starts
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


_one_thread_in_a_notebook()
