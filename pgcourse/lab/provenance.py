"""Where a number comes from: the clone of the course, its commit, the code that computed, the machine.

Digests of code stay the same where only comments, docstrings or the layout of lines change.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import platform
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# torch, and what needs it, is imported where it is used: who looks for the course's folder should not wait for it.

# What floating-point results depend on. Between machines that agree on these, the same run gives the same bits.
ARITHMETIC = ("system", "machine", "libc", "torch", "numpy", "gymnasium", "cpu_capability", "threads")
# What else may explain different bits: libraries choose their kernels by processor, and simulators are libraries.
SUSPECTS = (*ARITHMETIC, "cpu_model", "box2d", "mujoco")
SIMULATORS = {"box2d": ("box2d", "box2d-py"), "mujoco": ("mujoco",)}

PACKAGE = __name__.partition(".")[0]
MINE = "my"  # the folder, beside chapters/, of a learner's own copies of the notebooks: see pgcourse.course.copies
SWITCHBOARDS = ("__init__", "registry")  # modules that import every alternative, and compute nothing


class OtherClone(Exception):
    """The working folder belongs to another clone of the course than the package that was imported."""


def repository(start: Path | None = None) -> Path | None:
    """The clone of the course that is worked in: around `start` (the working folder), else around this package.

    Chapters, results and runs are this one's. A folder with chapters counts as well as a whole clone, but not the
    folder my/ of a clone, which has copies of its chapters.

    Raises:
        OtherClone: it is a clone with a package of its own, and the one that was imported is another clone's.
    """
    start = (start or Path.cwd()).resolve()
    package = Path(__file__).resolve().parents[1]
    for folder in (start, *start.parents):
        if _holds_the_course(folder) and not is_copies_folder(folder):
            own = folder / package.name
            if _is_clone(package.parent) and (own / "lab").is_dir() and not own.samefile(package):
                raise OtherClone(
                    f"{folder} is a clone of the course, but pgcourse is imported from {package.parent}: use the "
                    f"environment of {folder} (`python3 start.py setup` makes one), or work in {package.parent}"
                )
            return folder
    return package.parent if _is_clone(package.parent) else None


def is_copies_folder(folder: Path) -> bool:
    """Whether this is the folder my/ of a clone: its chapters are a learner's copies."""
    return folder.name == MINE and _holds_the_course(folder.parent)


def code_repository() -> Path | None:
    """The clone that this package is in; None for an installed one, of which git knows nothing."""
    package = Path(__file__).resolve().parents[1]
    return package.parent if _is_clone(package.parent) else None


def machine() -> dict[str, Any]:
    """The machine and the versions that compute in this process.

    Keys: `system`, `machine`, `libc`, `python`, `torch`, `numpy`, `gymnasium`, `pandas`, `box2d`, `mujoco` (None if not
    installed), `cpu_model`, `cpu_capability` (the vector instructions that torch uses) and `threads` (torch's, in this
    process).
    """
    import torch

    return _machine() | {"threads": torch.get_num_threads()}


def machine_differences(here: dict[str, Any], there: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Where two machines differ in what may change bits, as {key: (here, there)}; empty where they are expected."""
    return {key: (here.get(key), there.get(key)) for key in SUSPECTS if here.get(key) != there.get(key)}


def commit() -> dict[str, Any]:
    """Git commit and whether the package or its constraints differ from it; both None where git cannot tell."""
    root = code_repository()
    head = root and _git(root, "rev-parse", "HEAD")
    changes = root and _git(root, "status", "--porcelain", "--", "pgcourse", "constraints.txt")
    return {"commit": head or None, "dirty": None if changes is None else changes != ""}


def file_at(commit: str, path: Path) -> str | None:
    """The text that a file had at a commit of the repository around it; None where git does not know."""
    return _git(path.parent, "show", f"{commit}:./{path.name}")


def constraints_hash() -> str | None:
    """SHA-256 of constraints.txt, None where there is none; line ends do not matter."""
    root = code_repository()
    if root is None or not (root / "constraints.txt").is_file():
        return None
    return hashlib.sha256((root / "constraints.txt").read_text("utf-8").encode()).hexdigest()


def package_version(*packages: str) -> str | None:
    """Of the first of these packages that is installed."""
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            pass
    return None


def code_digest(*kinds: type) -> str:
    """SHA-256 of the code that decides the numbers of a run with these classes: its algorithm and its world.

    That is the modules where they and their bases are defined, those of training and evaluation, and of this package
    all that these import, directly or not. Other algorithms and other worlds are not among them.

    Raises:
        LookupError: an import that cannot be followed; the message names it.
    """
    from pgcourse.algorithms import Architecture, evaluate, training

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
    return hashlib.sha256(_form(tree_of(path)).encode()).hexdigest()


def tree_of(path: Path) -> ast.Module:
    """A Python file as Python reads it: in the encoding that it declares, with or without a byte order mark."""
    return ast.parse(path.read_bytes(), str(path))


def package_digest() -> str:
    """SHA-256 of the text of all modules of this package; line ends do not matter."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\n{file.read_text('utf-8')}\n".encode())
    return digest.hexdigest()


def _holds_the_course(folder: Path) -> bool:
    return _is_clone(folder) or any((folder / "chapters").glob("[0-9][0-9]_*.ipynb"))


def _is_clone(folder: Path) -> bool:
    declaration = folder / "pyproject.toml"
    try:
        return tomllib.loads(declaration.read_text("utf-8")).get("project", {}).get("name") == "pgcourse"
    except (OSError, ValueError):
        return False


@cache
def _machine() -> dict[str, Any]:
    """What stays the same as long as this process lives."""
    import torch

    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "gymnasium", "pandas")},
        **{name: package_version(*packages) for name, packages in SIMULATORS.items()},
        "cpu_model": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _git(root: Path, *arguments: str) -> str | None:
    environment = os.environ | {
        "GIT_OPTIONAL_LOCKS": "0"
    }  # `git status` must not take a lock that a user's git waits for
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    try:
        sysctl = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(sysctl, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return platform.processor()


@cache
def _digest_of(*start: str) -> str:
    digests = [f"{name} {file_digest(_file(name))}\n" for name in sorted(modules(*start))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _imports(module: str) -> Iterator[str]:
    """The modules of this package that a module imports names from, wherever in it, but not for type checkers only."""
    for node in _statements(tree_of(_file(module))):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            names = [name for alias in node.names for name in _meant(node.module or "", alias.name)]
            found = [_defining(node.module or "", name) for name in names]
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


def _meant(module: str, name: str) -> list[str]:
    """A name that is imported from a module of this package; of a switchboard `*` means all that it imports."""
    if name != "*" or not _is_switchboard(module):
        return [name]
    nodes = [node for node in ast.walk(tree_of(_declaring(module))) if isinstance(node, ast.ImportFrom)]
    return [alias.asname or alias.name for node in nodes if _is_ours(node.module) for alias in node.names]


def _declaring(module: str) -> Path:
    """The file that lists what a switchboard gives: its stub, where there is one."""
    stub = _file(module).with_suffix(".pyi")
    return stub if stub.is_file() else _file(module)


def _defining(module: str, name: str) -> str | None:
    """Where a name that is imported from a module is defined; None where that is a switchboard itself."""
    if not _is_switchboard(module):
        return module
    if (_file(module).parent / f"{name}.py").is_file() and _file(module).name == "__init__.py":
        return None if name in SWITCHBOARDS else f"{module}.{name}"
    tree = tree_of(_declaring(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module) and node.module != module:
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
