"""Digests of code: in copies of the package, so that what must not matter can be changed."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pgcourse.algorithms import A2C, DQN, PPO
from pgcourse.envs import Arm, CartPole, GymnasiumEnv
from pgcourse.lab import provenance

PACKAGE = Path(provenance.__file__).resolve().parents[1]
KINDS = {"ppo on cartpole": (PPO, CartPole), "ppo on the arm": (PPO, Arm), "a2c on the arm": (A2C, Arm)}
SCRIPT = f"""
from pgcourse.algorithms import *
from pgcourse.envs import *
from pgcourse.lab.provenance import code_digest
print([code_digest(*kinds) for kinds in ({", ".join(f"({a.__name__}, {w.__name__})" for a, w in KINDS.values())})])
"""


def module(kind: type) -> Path:
    return Path(sys.modules[kind.__module__].__file__).relative_to(PACKAGE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    package = tmp_path_factory.mktemp("copy") / "pgcourse"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def digests(package: Path) -> dict[str, str]:
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    told = subprocess.check_output([sys.executable, "-c", SCRIPT], env=environment, text=True, cwd=package.parent)
    return dict(zip(KINDS, ast.literal_eval(told), strict=True))


def changed(package: Path, file: Path, change) -> set[str]:
    """Which digests change with a file."""
    path = package / file
    before = path.read_bytes()
    try:
        path.write_bytes(change(before.decode()).encode())
        assert path.read_bytes() != before
        now = digests(package)
    finally:
        path.write_bytes(before)
    return {name for name, kinds in KINDS.items() if now[name] != provenance.code_digest(*kinds)}


def test_comments_docstrings_and_line_ends_do_not_matter(copy):
    def comment(text: str) -> str:
        tree = ast.parse(text)
        return text.replace(ast.get_docstring(tree, clean=False), "Another docstring.") + "\n\n\n# a comment\n"

    assert changed(copy, module(Arm), comment) == set()
    assert changed(copy, module(PPO), lambda text: text.replace("\n", "\r\n")) == set()


def test_a_run_depends_on_its_own_algorithm_and_world_and_on_what_they_share(copy):
    def statement(text: str) -> str:
        return f"{text}\nCHANGED = 1\n"

    assert changed(copy, module(Arm), statement) == {"ppo on the arm", "a2c on the arm"}
    assert changed(copy, module(PPO), statement) == {"ppo on cartpole", "ppo on the arm"}
    assert changed(copy, Path("core/networks.py"), statement) == set(KINDS)
    assert changed(copy, Path("lab/records.py"), statement) == set()


def test_what_is_followed():
    found = provenance.modules(PPO.__module__, GymnasiumEnv.__module__)
    assert {"pgcourse.core.networks", "pgcourse.core.streams", "pgcourse.envs.base"} <= found
    assert not {DQN.__module__, CartPole.__module__, Arm.__module__} & found
    assert not any(name.startswith(("pgcourse.lab", "pgcourse.course", "pgcourse.plots")) for name in found)


def test_code_of_ones_own_counts(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("from pgcourse.algorithms import PPO\nclass MyPPO(PPO):\n    '''Mine.'''\n    gain = 1\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from mine import MyPPO  # type: ignore[import-not-found]

    def digest() -> str:
        provenance._digest_of.cache_clear()
        return provenance.code_digest(MyPPO, CartPole)

    first = digest()
    assert first != provenance.code_digest(PPO, CartPole)
    file.write_text(file.read_text("utf-8").replace("Mine.", "Still mine."), "utf-8")
    assert digest() == first
    file.write_text(file.read_text("utf-8").replace("gain = 1", "gain = 2"), "utf-8")
    assert digest() != first


def test_a_star_means_all_that_a_switchboard_gives(tmp_path, monkeypatch):
    for name, given in {"starred": "*", "listed": "MLP"}.items():
        (tmp_path / f"{name}.py").write_text(f"from pgcourse.core import {given}", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert provenance.modules("starred") >= provenance.modules("listed") - {"listed"}
    assert "pgcourse.core.distributions" in provenance.modules("starred") - provenance.modules("listed")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1  # one", "x = (\n    1\n)", True),
        ("def f():\n    '''Doc.'''\n    return 1", "def f():\n    return 1", True),
        ("x = 1", "x = 1.0", False),
        ("x = 1", "x = True", False),
        ("x = 'a'", "x = b'a'", False),
        ("f(x, y)", "f(y, x)", False),
        ("a - b", "a + b", False),
        ("if x:\n    y()\nelse:\n    z()", "if x:\n    y()\nz()", False),
        ("def f(a, b=1): pass", "def f(a=1, b=1): pass", False),
    ],
)
def test_the_form_of_code(one, other, same):
    assert (provenance._form(ast.parse(one)) == provenance._form(ast.parse(other))) is same


def test_an_import_that_cannot_be_followed_is_an_error():
    with pytest.raises(LookupError, match=r"__init__\.py does not say where Nobody comes from"):
        provenance._defining("pgcourse.core", "Nobody")
