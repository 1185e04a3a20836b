"""Digests of source code that stay the same where only comments, docstrings or the layout of lines change."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pgcourse.algorithms import Architecture, evaluate, training

PACKAGE = __name__.partition(".")[0]
SWITCHBOARDS = ("__init__", "registry")  # modules that import every alternative, and compute nothing


def code_digest(*kinds: type) -> str:
    """SHA-256 of the code that decides the numbers of a run with these classes: its algorithm and its world.

    That is the modules where they and their bases are defined, those of training and evaluation, and of this package
    all that these import, directly or not. Other algorithms and other worlds are not among them.

    Raises:
        LookupError: an import that cannot be followed; the message names it.
    """
    bases = {base.__module__ for kind in kinds for base in kind.__mro__ if base.__module__.startswith(PACKAGE)}
    own = {kind.__module__ for kind in kinds}
    return _digest_of(*sorted(own | bases | {each.__module__ for each in (Architecture, evaluate, training)}))


def modules(*start: str) -> set[str]:
    """These modules, and those of this package that they import, directly or not."""
    found: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += _imports(name)
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a Python file's code, without comments and docstrings."""
    return hashlib.sha256(_form(ast.parse(path.read_text("utf-8"))).encode()).hexdigest()


def package_digest() -> str:
    """SHA-256 of the text of all modules of this package; line ends do not matter."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\n{file.read_text('utf-8')}\n".encode())
    return digest.hexdigest()


@cache
def _digest_of(*start: str) -> str:
    digests = [f"{name} {file_digest(_file(name))}\n" for name in sorted(modules(*start))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _imports(module: str) -> Iterator[str]:
    """The modules of this package that a module imports names from, wherever in it, but not for type checkers only."""
    for node in _statements(ast.parse(_file(module).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            found = [_defining(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if _is_ours(alias.name) and not _is_switchboard(alias.name)]
        else:
            continue
        yield from (name for name in found if name)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")):
            yield node
            yield from _statements(node)


def _defining(module: str, name: str) -> str | None:
    """Where a name that is imported from a module is defined; None where that is a switchboard itself."""
    if not _is_switchboard(module):
        return module
    if (_file(module).parent / f"{name}.py").is_file() and _file(module).name == "__init__.py":
        return None if name in SWITCHBOARDS else f"{module}.{name}"
    tree = ast.parse(_file(module).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _defining(node.module or "", alias.name)
    if name in _names(tree):
        return None
    raise LookupError(f"{_file(module)} does not say where {name} comes from: import it there with `from ... import`")


def _names(tree: ast.Module) -> set[str]:
    """What a module defines itself."""
    defined = {getattr(node, "name", "") for node in tree.body}
    return defined | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _is_ours(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == PACKAGE


def _is_switchboard(module: str) -> bool:
    return _file(module).stem in SWITCHBOARDS


@cache
def _file(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"module {module} has no file")
    return Path(spec.origin)


def _form(node: Any) -> str:
    """A syntax tree as text. That of `ast.dump` would differ between versions of Python, by fields that are empty."""
    if isinstance(node, list):
        return f"[{','.join(map(_form, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, _body(value) if name == "body" else value) for name, value in ast.iter_fields(node)]
    kept = ",".join(f"{name}={_form(value)}" for name, value in fields if value not in (None, []))
    return f"{type(node).__name__}({kept})"


def _body(statements: Any) -> Any:
    """Without the docstring. Strings that are statements compute nothing, wherever they stand."""
    if not isinstance(statements, list):
        return statements
    return [
        node
        for node in statements
        if not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
    ]
