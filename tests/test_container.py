"""The recipe for a container does what start.py does, as a user whom JupyterLab accepts. No image is built here."""

import fnmatch
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

specification = importlib.util.spec_from_file_location("start", ROOT / "start.py")
start = importlib.util.module_from_spec(specification)
specification.loader.exec_module(start)


def steps(recipe):
    """(instruction, what it says) of a Dockerfile, in order."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", recipe, flags=re.M))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def recipe():
    return steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_it_sets_up_and_opens_the_lab_with_start_py_and_installs_nothing_itself(recipe, monkeypatch):
    """What the recipe says to start.py, start.py takes: the environment is made, then JupyterLab gets the options."""
    said = [step.partition(" && ")[0].split() for name, step in recipe if name == "RUN" and "start.py" in step]
    said += [json.loads(step) for name, step in recipe if name == "CMD"]
    done = []
    monkeypatch.setattr(start.Environment, "ensure", lambda self, extras, fresh: done.append(("ensure", [*extras])))
    monkeypatch.setattr(start, "hand_over", lambda command, root: done.append(("run", command[3:])) or 0)
    for python, file, *arguments in said:
        assert (python, file) == ("python3", "start.py")
        assert start.main(arguments, ROOT) == 0
    assert done == [("ensure", []), ("ensure", []), ("run", ["lab", "--ip=0.0.0.0", "--no-browser"])]
    assert not [step for _, step in recipe if re.search(r"\b(pip|conda|apt-get)\b (?!cache)", step)]


def test_python_is_one_that_the_course_is_made_for(recipe):
    version = re.fullmatch(r"python:(\d\.\d+)-slim", dict(recipe)["FROM"])[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    assert tuple(map(int, version.split("."))) >= start.OLDEST


def test_nothing_of_the_course_is_done_as_root(recipe):
    names = [name for name, _ in recipe]
    user = names.index("USER")
    assert recipe[user][1] != "root"
    assert names.index("COPY") > user
    assert all("--chown=" + recipe[user][1] in step for name, step in recipe if name == "COPY")
    assert [step for name, step in recipe[:user] if name == "RUN" and "start.py" in step] == []


def test_set_up_finds_what_it_reads_before_the_rest_is_copied(recipe):
    """Else every changed chapter would install the packages anew."""
    up_to = next(place for place, (name, step) in enumerate(recipe) if name == "RUN" and "start.py" in step)
    copied = {each for name, step in recipe[:up_to] if name == "COPY" for each in step.split()[1:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {"start.py", "pyproject.toml", "constraints.txt", "pgcourse", project["readme"], *project["license-files"]}
    assert copied == needed


def test_what_git_does_not_keep_is_not_copied():
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    ignored = [line for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split() if not line.startswith("#")]
    assert ".git/" in left_out
    assert [name for name in ignored if not {name, f"**/{name}"} & {*left_out}] == []


def test_the_page_shows_the_commands_of_the_recipe(recipe):
    port = dict(recipe)["EXPOSE"]
    comment = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for text in (comment, (ROOT / "docs" / "anywhere.md").read_text(encoding="utf-8")):
        assert "docker build -t pgcourse ." in text
        (command,) = re.findall(r"docker run .*", text)
        assert fnmatch.fnmatch(command, f"*:{port}:{port} *")
        assert f"-v pgcourse-my:{dict(recipe)['WORKDIR']}/my" in command
