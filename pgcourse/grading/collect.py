"""Extracts the definitions that an answer needs from a submitted notebook's syntax tree, without executing any.

Cell metadata is not looked at, so moved, copied or deleted check cells, points and ids change nothing. Top-level
imports, definitions and literal constants are kept where an answer needs them; all else, such as a training loop, is
skipped.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

NOTEBOOK_BYTES = 50 << 20
CODE_CHARACTERS = 1 << 20


class Unreadable(Exception):
    """The file is no notebook that can be graded; the message says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell, and the statements of it to execute: their indices, and the names that each binds."""

    name: str
    source: str
    keep: tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Submission:
    """What a notebook defines. `missing` says, name by name, why something that it seems to define is not here."""

    cells: tuple[Cell, ...]
    defined: frozenset[str]
    missing: dict[str, str]
    notes: tuple[str, ...]


def collect(path: Path, entries: Iterable[str]) -> Submission:
    """Read a notebook and keep what `entries`, the names of the answers, need.

    Raises:
        Unreadable: not a notebook, or too large.
    """
    cells: list[tuple[str, str, list[ast.stmt]]] = []
    missing: dict[str, str] = {}
    notes: list[str] = []
    for name, source in _code_cells(path):
        try:
            code = TransformerManager().transform_cell(source)
            body = ast.parse(code).body
        except Exception as error:  # SyntaxError, or whatever else a stranger's text does to a parser
            line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
            problem = f"{name}: {type(error).__name__}{line}: {getattr(error, 'msg', error)}"
            notes.append(problem)
            missing.update(dict.fromkeys(_seem_defined(source), problem))
            continue
        if source.lstrip().startswith("%%"):
            problem = f"{name}: starts with a cell magic ({source.split()[0]}); what it defines is not seen"
            notes.append(problem)
            missing.update(dict.fromkeys(_seem_defined(source), problem))
        cells.append((name, code, body))
        for statement in body:
            if not _kept(statement):
                reason = f"{name}: only imports, definitions and literal constants are kept"
                missing.update(dict.fromkeys(_bound(statement), reason))
    kept = [(cell, index, s) for cell, (_, _, body) in enumerate(cells) for index, s in enumerate(body) if _kept(s)]
    needed = _needed([statement for _, _, statement in kept], entries)
    return Submission(
        tuple(
            Cell(name, code, keep)
            for number, (name, code, _) in enumerate(cells)
            if (keep := tuple((i, tuple(_bound(s))) for cell, i, s in kept if cell == number and s in needed))
        ),
        frozenset(name for statement in needed for name in _bound(statement)),
        missing,
        tuple(notes),
    )


def _code_cells(path: Path) -> list[tuple[str, str]]:
    """(name, source) of each code cell; "cell 3" is the third cell of the notebook, text cells included."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    if size > NOTEBOOK_BYTES:
        limit = f"{NOTEBOOK_BYTES >> 20} MB"
        raise Unreadable(f"the notebook has {size >> 20} MB, more than {limit}: clear its outputs and try again")
    try:
        content = json.loads(path.read_bytes())
        cells = [(f"cell {number}", cell) for number, cell in enumerate(content["cells"], 1)]
        code = [(name, "".join(cell["source"])) for name, cell in cells if cell["cell_type"] == "code"]
    except Exception as error:  # not JSON, or not a notebook, in one of the many ways that a stranger may find
        raise Unreadable(f"not a valid notebook (nbformat 4): {type(error).__name__}") from None
    if (length := sum(len(source) for _, source in code)) > CODE_CHARACTERS:
        raise Unreadable(f"the notebook has {length} characters of code, more than {CODE_CHARACTERS}")
    return code


def _seem_defined(source: str) -> list[str]:
    """The functions and classes in code that has no syntax tree."""
    return re.findall(r"^(?:async +)?(?:def|class) +(\w+)", source, re.M)


def _kept(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Assign(value=ast.Lambda()):
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            try:
                ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                return False
            return True
    return False


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a top-level statement binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name.partition(".")[0] for alias in aliases]
    names = []
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
    return names


def _needed(statements: list[ast.stmt], entries: Iterable[str]) -> set[ast.stmt]:
    """The statements that bind a name which the entries refer to, directly or through others."""
    binders: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        for name in _bound(statement):
            binders.setdefault(name, []).append(statement)
    needed = set(binders.get("*", []))  # `from x import *` may bind anything
    names = list(entries)
    while names:
        for statement in binders.get(names.pop(), []):
            if statement not in needed:
                needed.add(statement)
                names.extend(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
    return needed
