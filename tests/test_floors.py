"""Imports go downward only, and nothing below `lab` touches a file, a clock, global random state or a progress bar.

Both are read off the syntax trees of pgcourse/, so a rule holds as far as it can be read there.
"""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

import pgcourse

PACKAGE = Path(__file__).resolve().parents[1] / "pgcourse"

FLOORS = {
    "core": 0,
    "stats": 0,
    "rl": 1,
    "exact": 2,
    "envs": 3,
    "algorithms": 4,
    "rlhf": 5,
    "gait": 5,
    "lab": 6,
    "plots": 7,
    "film": 7,
    "course": 8,
    "grading": 8,
    "exercises": 9,  # found by folder, by `grading`
    "app": 9,
    "": 10,  # pgcourse/__init__.py, the public face
}

# What the floors below `lab` may not import or use.
BUILTINS = {"open", "input", "print"}
FILES = {"os", "io", "pathlib", "shutil", "tempfile", "glob", "pickle", "shelve", "sqlite3", "torch.save", "torch.load"}
FILES |= {f"pandas.read_{kind}" for kind in ("csv", "json", "parquet", "pickle")}
FILES |= {f"numpy.{name}" for name in ("load", "loadtxt", "genfromtxt", "fromfile", "memmap")}
FILES |= {f"numpy.{name}" for name in ("save", "savez", "savez_compressed", "savetxt")}
FILE_METHODS = {"to_csv", "to_parquet", "to_pickle", "to_excel", "tofile", "read_text", "write_text", "write_bytes"}
CLOCKS = {"time", "datetime", "timeit", "sched"}
PROGRESS = {"tqdm", "rich", "click"}
RANDOM_STATE = {"random", "secrets", "uuid", "torch.random", "torch.distributions"}
RANDOM_STATE |= {"torch.dropout", "torch.nn.Dropout", "torch.nn.functional.dropout"}
RANDOM_STATE |= {f"torch.{name}" for name in ("seed", "initial_seed", "get_rng_state", "set_rng_state")}
RANDOM_STATE |= {f"torch.{name}" for name in ("manual_seed", "cuda.manual_seed", "cuda.manual_seed_all")}
FORBIDDEN = FILES | CLOCKS | PROGRESS | RANDOM_STATE
ALLOWED = {"os.environ"}  # a library's import may change it, which has to be undone
# Where files are written and read because somebody says so: `run.policy.save(path)`, `pg.load(path)`.
WRITTEN_WHOLE = {"io.BytesIO", "os.getpid", "os.replace", "pathlib.Path", "write_bytes"}
ASKED_FOR = {"pgcourse.algorithms.files": {"torch.save", "torch.load", *WRITTEN_WHOLE}}

# What draws random numbers, and must therefore be given a generator or a seed.
SAMPLERS = ("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like")
SAMPLERS += ("normal", "bernoulli", "multinomial", "poisson", "binomial")
INITIALISERS = ("xavier_normal_", "xavier_uniform_", "kaiming_normal_", "kaiming_uniform_", "orthogonal_")
INITIALISERS += ("normal_", "uniform_", "trunc_normal_", "sparse_")
DRAWS = {f"torch.{name}" for name in SAMPLERS} | {f"torch.nn.init.{name}" for name in INITIALISERS}
DRAWING_METHODS = {"normal_", "uniform_", "bernoulli_", "exponential_", "geometric_", "cauchy_", "log_normal_"}
DRAWING_METHODS |= {"random_", "bernoulli", "multinomial"}
NUMPY_SEEDED = {f"numpy.random.{name}" for name in ("default_rng", "SeedSequence", "PCG64", "Philox", "SFC64")}
NUMPY_TYPES = {"numpy.random.Generator", "numpy.random.BitGenerator"}


def floor(module: str) -> int:
    """The floor of a module by its full name: "pgcourse.rl.returns" is on 1."""
    part = module.split(".")[1] if "." in module else ""
    if part not in FLOORS:
        raise AssertionError(f"{module} stands on no floor: add {part!r} to the table in {Path(__file__).name}")
    return FLOORS[part]


def imports(module: str, tree: ast.AST, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, full name of what is imported), wherever in the file the import stands.

    `import pgcourse` counts as importing whatever is taken from it: `pgcourse.train`, but not `pgcourse.__file__`.
    """
    package = module if is_package else module.rpartition(".")[0]
    faces = {local for _, local, name in aliases(tree) if name == "pgcourse"}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names if alias.name != "pgcourse")
            case ast.ImportFrom(module=base, names=names, level=level):
                base = resolve_name("." * level + (base or ""), package)
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in names)
            case ast.Call(func=function, args=[ast.Constant(value=name), *_]):
                if ast.unparse(function).endswith("import_module"):
                    yield node.lineno, name
            case ast.Attribute(value=ast.Name(id=local), attr=name) if local in faces and not name.startswith("__"):
                yield node.lineno, f"pgcourse.{name}"


def upward(module: str, source: str, is_package: bool = False) -> list[str]:
    """Imports that do not go downward. A package may import itself; its neighbours on the same floor it may not."""
    own = module.split(".")[1:2]
    faults = []
    for line, name in imports(module, ast.parse(source), is_package):
        parts = name.split(".")
        if parts[0] != "pgcourse" or parts[1:2] == own:
            continue
        target = name if len(parts) > 1 and parts[1] in FLOORS else "pgcourse"
        if floor(target) >= floor(module):
            faults.append(f"{module}:{line} on floor {floor(module)} imports {target} on floor {floor(target)}")
    return faults


def impure(source: str, where: str = "") -> list[str]:
    """Uses of files, clocks, progress bars and global random state."""
    tree = ast.parse(source)
    imported = {local: name for _, local, name in aliases(tree)}

    def full_name(node: ast.AST) -> str:
        """ "numpy.random.rand" for `np.random.rand`; "" for what does not start at an imported name or a builtin."""
        if isinstance(node, ast.Attribute):
            base = full_name(node.value)
            return base and f"{base}.{node.attr}"
        return imported.get(node.id, node.id if node.id in BUILTINS else "") if isinstance(node, ast.Name) else ""

    asked = ASKED_FOR.get(where, set())
    faults = [(node, f"imports {name}") for node, _, name in aliases(tree) if forbidden(name) and name not in asked]
    for node in ast.walk(tree):
        name = full_name(node)
        used = "." in name and name in FORBIDDEN and name not in imported.values()
        if name in BUILTINS or (used and name not in asked):
            faults.append((node, f"uses {name}"))
        if re.match(r"numpy\.random\.\w+$", name) and name not in NUMPY_SEEDED | NUMPY_TYPES:
            faults.append((node, f"uses numpy's global random state: {name}"))
        if isinstance(node, ast.Call):
            name = full_name(node.func)
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in NUMPY_SEEDED and not (node.args or node.keywords):
                faults.append((node, f"{name}() without a seed"))
            drawing = method in DRAWING_METHODS and not name and ast.unparse(node.func.value) != "rng"  # numpy's
            if (name in DRAWS or drawing) and not has_generator(node):
                faults.append((node, f"{name or '.' + method} draws without a generator"))
            if method in FILE_METHODS - asked:
                faults.append((node, f".{method} touches a file"))
    return [f"{where}:{node.lineno} {what}" for node, what in faults]


def aliases(tree: ast.AST) -> Iterator[tuple[ast.stmt, str, str]]:
    """(statement, a name it binds, what that name stands for) of all absolute imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.split(".")[0]
                yield (node, alias.asname, alias.name) if alias.asname else (node, package, package)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield node, alias.asname or alias.name, f"{node.module}.{alias.name}"


def forbidden(name: str) -> bool:
    """Whether an imported name, or a package around it, is forbidden."""
    parts = name.split(".")
    return name not in ALLOWED and any(".".join(parts[: i + 1]) in FORBIDDEN for i in range(len(parts)))


def has_generator(call: ast.Call) -> bool:
    """Whether a call is given a generator, other than a literal None."""
    return any(
        keyword.arg == "generator" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        for keyword in call.keywords
    )


def modules() -> list[tuple[str, Path]]:
    files = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(("pgcourse", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in files]
    return [(name.removesuffix(".__init__"), path) for name, path in zip(names, files, strict=True)]


def test_imports_go_downward():
    faults = [
        fault
        for name, path in modules()
        for fault in upward(name, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
        if name != "pgcourse"
    ]
    assert not faults, "\n".join(faults)


# Names that may stand in several places, because they mean the same there.
SHARED_MODULES = {"__init__", "base", "registry"}
SHARED_CLASSES = {"State", "Metrics"}  # of each algorithm


def repeated(names: Iterator[tuple[str, str]]) -> list[str]:
    """Names that stand in more than one place, with the places."""
    places: dict[str, list[str]] = {}
    for name, place in names:
        places.setdefault(name, []).append(place)
    return [f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1]


def module_names() -> Iterator[tuple[str, str]]:
    """(last name, full name). Left out: verbs of the command line, files of a chapter, exercises."""
    for module, _ in modules():
        name = module.rpartition(".")[2]
        apart = module.startswith(("pgcourse.app.", "pgcourse.exercises.")) or re.match(r"ch(apter_)?\d", name)
        if name not in SHARED_MODULES and not apart:
            yield name, module


def class_names() -> Iterator[tuple[str, str]]:
    for module, path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name not in SHARED_CLASSES:
                yield node.name, module


def test_a_name_stands_for_one_thing():
    assert repeated(module_names()) == []
    assert repeated(class_names()) == []


def test_a_repeated_name_is_seen():
    assert repeated(iter([("Step", "a"), ("Move", "a"), ("Step", "b")])) == ["Step: a, b"]


@pytest.mark.parametrize("package", [pgcourse, pgcourse.lab])
def test_public_names_stand_where_type_checkers_are_told(package):
    """Each is listed once, in __init__.pyi; what is had is what stands there."""
    stub = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    told = [(alias.name, node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    names = [name for name, _ in told]
    assert len(names) == len({*names})
    assert {*package.__all__} <= {*names}
    for name, home in told:
        there = importlib.import_module(home)
        expected = importlib.import_module(f"{home}.{name}") if there is package else getattr(there, name)
        assert getattr(package, name) is expected
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'video'; it has "):
        package.video  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = {*sys.modules}; import pgcourse; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = [name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names]
    assert imported == ["pgcourse"]


def test_nothing_below_lab_touches_files_clocks_or_global_randomness():
    below = [(name, path) for name, path in modules() if floor(name) < FLOORS["lab"]]
    assert len({floor(name) for name, _ in below}) == FLOORS["lab"], "a floor has lost all its modules"
    faults = [fault for name, path in below for fault in impure(path.read_text(encoding="utf-8"), name)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pgcourse.core.streams", "from pgcourse.rl import returns"),
        ("pgcourse.core.streams", "import pgcourse.rl.returns"),
        ("pgcourse.core.streams", "from pgcourse import lab"),
        ("pgcourse.core.streams", "import pgcourse as pg\npg.train(pg_algorithm)"),
        ("pgcourse.core.streams", "from ..rl.returns import discounted"),
        ("pgcourse.core.streams", "from .. import rl"),
        ("pgcourse.core.streams", "def f():\n    from pgcourse.envs import make"),
        ("pgcourse.core.streams", "import importlib\nimportlib.import_module('pgcourse.lab')"),
        ("pgcourse.algorithms.ppo", "from pgcourse.rlhf import trainer"),
        ("pgcourse.course.runner", "from pgcourse.grading import grade"),
        ("pgcourse.lab.records", "from pgcourse import train"),
    ],
)
def test_an_upward_import_is_seen(module, source):
    assert len(upward(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pgcourse.algorithms.ppo", "from pgcourse.rl import returns\nimport pgcourse.core.streams\nimport torch"),
        ("pgcourse.algorithms.ppo", "from . import rollout\nfrom .rollout import x\nfrom ..core import networks"),
        ("pgcourse.app.console", "from pgcourse.course import runner"),
        ("pgcourse.grading.sandbox", "import pgcourse\nhome = pgcourse.__file__"),
    ],
)
def test_a_downward_import_is_fine(module, source):
    assert upward(module, source) == []


def test_a_module_without_a_floor_is_seen():
    with pytest.raises(AssertionError, match="stands on no floor"):
        floor("pgcourse.utils.misc")


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path as p",
        "from pathlib import Path",
        "import time",
        "from datetime import datetime",
        "from tqdm.auto import tqdm",
        "from rich.progress import track",
        "import random",
        "def f(p):\n    return open(p)",
        "print('step')",
        "import torch\ntorch.manual_seed(0)",
        "import torch as t\nt.randn(3)",
        "from torch import randn\nrandn(3)",
        "import torch\ntorch.randn(3, generator=None)",
        "import torch\ntorch.randperm(10)",
        "import torch\ntorch.empty(3).normal_()",
        "import torch\ntorch.save({}, 'x')",
        "import torch.nn.functional as F\nF.dropout(x)",
        "from torch import nn\nnn.init.orthogonal_(w)",
        "from torch.distributions import Normal",
        "import numpy as np\nnp.random.normal()",
        "import numpy as np\nnp.random.seed(0)",
        "import numpy as np\nnp.random.default_rng()",
        "from numpy.random import rand\nrand()",
        "import numpy as np\nnp.savetxt('x', y)",
        "import pandas as pd\npd.read_csv('x')",
        "frame.to_csv('x')",
    ],
)
def test_an_impurity_is_seen(source):
    assert len(impure(source)) == 1, impure(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.randn(3, generator=g)\ntorch.empty(3).normal_(generator=g)",
        "import torch\ng = torch.Generator().manual_seed(7)",
        "import numpy as np\nrng: np.random.Generator = np.random.default_rng(seed)\nrng.normal()",
        "def shares(rng):\n    return rng.multinomial(3, p)",
        "from torch.nn import init\ninit.zeros_(w)\ninit.orthogonal_(w, generator=g)",
        "def step(time, random):\n    return time + random",
    ],
)
def test_what_is_pure_passes(source):
    assert impure(source) == []
