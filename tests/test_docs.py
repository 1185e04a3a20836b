"""The pages in docs/ say what the code does: their programs run, and what they name is there."""

import ast
import csv
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt
from tracked import notebook, notebooks

import pgcourse as pg
from pgcourse.app.console import main
from pgcourse.course.runner import find_chapters
from pgcourse.grading import sandbox

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TEACHING = DOCS / "teaching.md"
NOTEBOOKS = [*notebooks("chapters", "exercises", "solutions").values()]
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(markdown):
    """(language, mark, content) of every fenced block, those in lists included: ```python run, ```toml file=a.toml."""
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "fence":
            language, _, mark = token.info.partition(" ")
            yield language, mark, token.content


# Programs


def execute(page, folder):
    """Do what a page says, in `folder`: write the files, run the commands, and run all Python as one program.

    A program's rows of a table, lines that begin with |, must stand in the page.
    """
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PGCOURSE_RUNS": str(folder / "runs"),
        "PGCOURSE_RESULTS": str(folder / "results"),
        "OMP_NUM_THREADS": "1",
    }
    program = ""

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, f"{page.name}: {' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def flush():
        (folder / "page.py").write_text(program, encoding="utf-8")
        for line in run("page.py").splitlines() if program else ():
            shown = not line.startswith("|") or line in text_of(page).splitlines()
            assert shown, f"{page.name} does not show {line!r}"

    for language, mark, content in blocks(text_of(page)):
        if mark.startswith("file="):
            file = folder / mark.removeprefix("file=")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        elif mark == "run" and language == "python":
            program += content + "\n"
        elif mark == "run":
            for line in content.splitlines():
                name, *arguments = shlex.split(line)
                assert name == "pgcourse", f"{page.name}: only `pgcourse` can be run, not {line!r}"
                # -P: as for an installed command, Python's path does not begin with the working folder.
                run("-P", "-c", "from pgcourse.app.console import main; main()", *arguments)
    flush()


def hand_in(folder):
    """A class of two: one answers everything, the other only in a second version."""
    name = "05_actor_critic_and_gae.ipynb"
    solution, stub = (notebook(f"{where}/{name}") for where in ("solutions", "exercises"))
    for source, target in ((solution, f"ann/{name}"), (stub, f"ben_{name}"), (solution, f"ben_{name[:-6]}-2.ipynb")):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / target)


RUNNABLE = [page for page in PAGES if any(mark == "run" for _, mark, _ in blocks(text_of(page)))]


@pytest.mark.parametrize("page", [page for page in RUNNABLE if page != TEACHING], ids=lambda page: page.stem)
def test_the_programs_of_a_page_run(page, tmp_path):
    execute(page, tmp_path)


def test_a_class_is_graded_as_the_page_for_teachers_says(tmp_path):
    try:
        sandbox.find("bwrap")
    except sandbox.CannotGrade as error:
        pytest.skip(str(error))
    hand_in(tmp_path / "submissions")
    execute(TEACHING, tmp_path)
    with (tmp_path / "grades" / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {Path(row["submission"]).name: row for row in csv.DictReader(file)}
    kept = [(row["student"], row["counts"], row["05.n_step: n beyond the end"]) for _, row in sorted(rows.items())]
    assert kept == [("ann", "yes", "2"), ("ben", "yes", "2"), ("ben", "no", "0")]

    autograder = tmp_path / "autograder"
    (autograder / "results").mkdir(parents=True)
    (autograder / "submission").mkdir()
    (autograder / "source").mkdir()
    shutil.copyfile(notebook("solutions/05_actor_critic_and_gae.ipynb"), autograder / "submission" / "mine.ipynb")
    script = (tmp_path / "run_autograder").read_text(encoding="utf-8").replace("/autograder", str(autograder))
    script = script.replace(".venv/bin/pgcourse", f"{sys.executable} -m pgcourse.app.console")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((autograder / "results" / "results.json").read_text(encoding="utf-8"))
    assert results["score"] == sum(test["max_score"] for test in results["tests"]) > 0


def test_a_program_that_fails_is_seen(tmp_path):
    page = tmp_path / "bad.md"
    page.write_text("```python run\nassert False\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"bad\.md"):
        execute(page, tmp_path)
    page.write_text("```python run\nprint('| 1 |')\n```\n\n| 2 |\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="does not show"):
        execute(page, tmp_path)


def test_the_cell_that_gets_the_course_clones_and_installs_it_where_it_is_missing(tmp_path, monkeypatch):
    (cell,) = (text for _, mark, text in blocks(text_of(DOCS / "anywhere.md")) if mark == "cell=get-the-course")
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    exec(cell, {})
    assert commands == []  # it is here
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(cell, {})
    (git, *cloning), (python, *installing) = commands
    assert (git, cloning[0], cloning[-1]) == ("git", "clone", str(tmp_path / "course"))
    assert (python, installing[:3]) == (sys.executable, ["-m", "pip", "install"])
    assert sys.path[0] == installing[-1] == str(tmp_path / "course")
    (tmp_path / "course").mkdir()
    exec(cell, {})
    assert [program for program, *_ in commands[2:]] == [sys.executable]  # a clone that is there is kept


STOPPED_WHILE_IT_INSTALLED = """
import pathlib, subprocess, sys

def run(command, check):
    print(command[0])
    if command[0] == "git":
        (pathlib.Path(command[-1]) / "pgcourse").mkdir(parents=True)
    else:
        raise KeyboardInterrupt

subprocess.run = run
for _ in range(2):
    try:
        exec(sys.argv[1])
    except KeyboardInterrupt:
        pass
"""


def test_a_clone_whose_installing_was_stopped_is_not_taken_for_the_package(tmp_path):
    (cell,) = (text for _, mark, text in blocks(text_of(DOCS / "anywhere.md")) if mark == "cell=get-the-course")
    bare = [sys.executable, "-S", "-E", "-c", STOPPED_WHILE_IT_INSTALLED, cell]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["git", sys.executable, sys.executable], done.stderr


# Names


def defined(file):
    """The names that a Python file defines, those in classes with the class before them."""
    names = set()

    def visit(body, prefix=""):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse(text_of(file)).body)
    return names


def missing_names(markdown, folder):
    """Links [`name`](file.py) to a file that does not define the name."""
    found = re.findall(r"\[`([\w.]+)`\]\(([^)#]+\.py)\)", markdown)
    return [f"{name} in {file}" for name, file in found if name not in defined(folder / file)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_linked_names_are_defined_where_the_link_leads(page):
    assert missing_names(text_of(page), page.parent) == []


def test_a_name_that_is_gone_is_seen():
    page = "[`PPO.loss`](pgcourse/algorithms/ppo.py) [`PPO.lost`](pgcourse/algorithms/ppo.py)"
    assert missing_names(page, ROOT) == ["PPO.lost in pgcourse/algorithms/ppo.py"]


def missing_attributes(markdown):
    """`pg.a.b` in a page that pgcourse does not have."""
    missing = []
    for name in re.findall(r"(?<![\w.])pg\.([\w.]*\w)", markdown):
        where = pg
        for part in name.split("."):
            where = getattr(where, part, None)
            if where is None:
                missing.append(f"pg.{name}")
                break
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_pages_take_from_the_package_is_there(page):
    assert missing_attributes(text_of(page)) == []


def test_an_attribute_that_is_gone_is_seen():
    assert missing_attributes("`pg.train`, `pg.lab.load` and `pg.start.x`") == ["pg.start.x"]


def imported(floor):
    """The floors that the files of one import."""
    place = ROOT / "pgcourse" / floor
    source = "".join(map(text_of, place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]))
    together = ",".join(re.findall(r"^ *from pgcourse import ([\w, ]+)", source, re.MULTILINE))
    return {*re.findall(r"(?:from|import) pgcourse\.(\w+)", source), *re.split(r"[, ]+", together)}


def test_the_drawn_floors_stand_on_those_that_they_import():
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", text_of(DOCS / "architecture.md"), re.MULTILINE)
    assert [f"{low} --> {high}" for low, high in arrows if low not in imported(high)] == []
    package = (ROOT / "pgcourse").iterdir()
    floors = {path.stem for path in package if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}
    assert {floor for arrow in arrows for floor in arrow} == floors


# Commands


def known_options(verb, *arguments):
    """Of `pgcourse VERB`, those of the algorithm's command included; None for an algorithm of one's own."""
    command = main.get_command(None, verb)
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    if verb == "train" and arguments and ":" in arguments[0]:
        return None
    if verb in ("train", "rlhf") and arguments and not arguments[0].startswith("-"):
        own = command.get_command(None, arguments[0])
        given = own.get_params(click.Context(own))
        options |= {name for option in given for name in (*option.opts, *option.secondary_opts)}
    return {*options, "--help"}


def unknown_options(markdown):
    """`pgcourse VERB --option` in a shell block, or in a sentence, where the verb has no such option."""
    shell = "".join(content for language, _, content in blocks(markdown) if language in ("sh", ""))
    inline = re.findall(r"`(pgcourse [a-z]+ [^`]+)`", markdown)
    unknown = []
    for line in [*re.findall(r"^pgcourse .*", shell, re.MULTILINE), *inline]:
        _, *arguments = shlex.split(line, comments=True)
        if (known := known_options(*arguments)) is not None:
            unknown += [word for word in arguments if word.startswith("--") and word not in known]
    return unknown


def sentences(notebook):
    cells = json.loads(text_of(notebook))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_commands_have_the_options_that_pages_give_them(page):
    assert unknown_options(text_of(page) if page in PAGES else sentences(page)) == []


def test_an_option_that_is_gone_is_seen():
    assert unknown_options("```sh\npgcourse train ppo --clip 0.1 --rollout 8  # --not this\n```\n") == ["--rollout"]
    assert unknown_options("Train it: `pgcourse train ppo --rollout 8`.") == ["--rollout"]


# Options and metrics


def tables_module():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_in_the_pages_are_those_of_the_dataclasses(page):
    assert tables_module().written(text_of(page)) == text_of(page), "put right by: python docs/tables.py"


def test_a_wrong_default_is_seen():
    text = text_of(DOCS / "ppo.md")
    assert tables_module().written(text.replace("| `clip` | 0.2 |", "| `clip` | 0.3 |")) == text


@pytest.mark.parametrize(
    ("true", "false"),
    [("| 45 | [7](exercises/03", "| 44 | [7](exercises/03"), ("[7](ex", "[40](ex"), ("Can we", "Do we")],
)
def test_a_wrong_number_or_question_of_a_chapter_is_seen(true, false):
    text = text_of(ROOT / "README.md")
    assert tables_module().written(text) == text
    assert text.replace(true, false) != text
    assert tables_module().written(text.replace(true, false)) == text


def test_wrong_minutes_of_a_plan_are_seen():
    text = text_of(TEACHING)
    true = re.search(r"\| 05, 06 \| \d+ \|", text)[0]
    assert tables_module().written(text.replace(true, "| 05, 06 | 1 |")) == text


def test_the_plan_for_six_weeks_has_every_chapter_once():
    plan = text_of(TEACHING).partition("<!-- plan -->\n")[2].partition("\n\n")[0]
    named = [chapter for row in plan.splitlines()[2:-1] for chapter in row.split("|")[2].strip().split(", ")]
    assert named == [path.stem.partition("_")[0] for path in find_chapters(ROOT)]


def algorithm_pages():
    """{page: (module, its classes)} of the course's algorithms; some share the metrics of another one, and its page."""
    pages = {}
    for where in pg.algorithms.ALGORITHMS.values():
        name, _, kind = where.partition(":")
        module = importlib.import_module(name)
        if module.Metrics.__module__ == name:
            pages.setdefault(name.rpartition(".")[2], (module, []))[1].append(kind)
    return pages


@pytest.mark.parametrize("name", algorithm_pages())
def test_an_algorithms_page_explains_every_option_and_every_metric(name):
    page = text_of(DOCS / f"{name}.md")
    module, kinds = algorithm_pages()[name]
    assert any(f"<!-- options: {kind} -->" in page for kind in kinds)
    section = page.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(module.Metrics._fields)
