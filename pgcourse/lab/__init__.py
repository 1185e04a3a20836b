"""What is kept: declared studies and their records with their history."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

# Every public name is listed once, in __init__.pyi, which says to type checkers where it stands. It is resolved on
# first use: who looks for the course's folder should not wait for torch.
_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8"))
_HOME = {alias.name: node.module for node in _STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names}

__all__ = sorted(name for name, home in _HOME.items() if home != __name__)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pgcourse.lab' has no attribute {name!r}; it has {', '.join(__all__)}")
    home = _HOME[name]
    return import_module(f"{home}.{name}") if home == __name__ else getattr(import_module(str(home)), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
