"""benchmarks/other_seeds.py counts complete sets, and tries a chapter anew when its code has changed, and only then."""

import json
import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from benchmarks import other_seeds
from pgcourse.course import expected
from pgcourse.course.claims import Claim
from pgcourse.course.runner import Result

TRIED = [new_markdown_cell("Ten learners."), new_code_cell("run = train(seeds=10)")]


@pytest.fixture
def digest(tmp_path):
    def of(cells):
        nbformat.write(new_notebook(cells=cells), tmp_path / "x.ipynb")
        return other_seeds.digest(tmp_path / "x.ipynb")

    return of


@pytest.mark.parametrize(
    "cell", [new_markdown_cell("More."), new_code_cell("explore()", metadata={"tags": ["explorable"]})]
)
def test_prose_and_figures_to_move_need_no_other_try(digest, cell):
    assert digest([*TRIED, cell]) == digest(TRIED)


def test_any_other_code_does(digest):
    assert digest([*TRIED, new_code_cell("explore()")]) != digest(TRIED)


def claims(live, above=0.0, exact=0.5):
    """A claim of a live run, one whose number never moves, one of a record, and one of no order."""
    return (
        Claim("run/live", ((live,),), above=above),
        Claim("run/proved", ((exact,),), below=1.0),
        Claim("run/record", ((live,),), above=0.0, rests_on=("ppo-cartpole",)),
        Claim("run/close", ((live,),)),
    )


def test_only_claims_of_order_on_live_runs_are_counted():
    tries = other_seeds.Tries("code")
    for number, value in enumerate((3.0, 2.0, -1.0)):
        tries.add(number, claims(value))
    assert other_seeds.moved(tries.entry) == {"run/live": {"made": 2, "held": 1, "moved": True}}
    assert other_seeds.fallen({"03": tries.entry}) == ["03: run/live held in 1 of 2"]


def test_a_set_counts_once_those_before_it_are_complete():
    tries = other_seeds.Tries("code")
    for number, sets in ((2, 0), (0, 0), (1, 2), (4, 2), (3, 4)):
        tries.add(number, claims(float(number)))
        assert tries.sets == sets


def test_what_was_stopped_goes_on(tmp_path):
    notebook = tmp_path / "x.ipynb"
    nbformat.write(new_notebook(cells=TRIED), notebook)
    first = other_seeds.Tries.of(notebook, None)
    first.add(0, claims(3.0))
    first.add(1, claims(3.0))  # no number has moved yet
    second = other_seeds.Tries.of(notebook, json.loads(json.dumps(first.entry)))
    second.add(0, claims(3.0))
    second.add(2, claims(-1.0))
    assert other_seeds.moved(second.entry) == {"run/live": {"made": 2, "held": 1, "moved": True}}
    assert other_seeds.Tries.of(notebook, first.entry | {"code": "another"}).sets == 0


def test_a_claim_that_a_set_does_not_make_has_fallen():
    tries = other_seeds.Tries("code")
    for number, made in enumerate((claims(3.0), claims(2.0), ())):
        tries.add(number, made)
    assert other_seeds.fallen({"03": tries.entry}) == ["03: run/live held in 1 of 2"]


def test_a_set_holds_several_chapters_each_with_what_is_expected_of_it(tmp_path):
    """Their copies once collided: the second chapter of a set found the first one's folder."""
    chapters = sorted((other_seeds.ROOT / "chapters").glob("0*.ipynb"))[:2]
    copies = [other_seeds.shifted(chapter, 1000, tmp_path) for chapter in chapters]
    for chapter, copy in zip(chapters, copies, strict=True):
        assert expected.path_for(copy).read_text("utf-8") == expected.path_for(chapter).read_text("utf-8")
        first, *rest = nbformat.read(copy, 4).cells
        assert "seed + 1000" in first.source
        assert rest


def test_tries_stand_only_where_every_claim_stays_the_same_to_the_last_bit(tmp_path, monkeypatch):
    """One chapter shows its number in another way, one has another number, of the third the table is out of date."""
    folder = tmp_path / "chapters"
    (folder / "expected").mkdir(parents=True)
    (tmp_path / "_build").mkdir()

    def write(name, *lines):
        nbformat.write(new_notebook(cells=[*TRIED, *map(new_code_cell, lines)]), folder / f"{name}.ipynb")
        (folder / "expected" / f"{name}.toml").touch()
        return folder / f"{name}.ipynb"

    folders = set()

    def executed(copies, build, **settings):
        for copy in copies:
            place = build / copy.parent.name / copy.name  # where the runner leaves what it has executed
            assert place not in folders
            folders.add(place)
            code = copy.read_text("utf-8")
            value = (1.0 if "seed + 1000" in code else 3.0) * (1 + 2**-50 if "nudge" in code else 1)
            yield Result(copy, 0.0, copy, copy, claims=(Claim("run/live", ((value,),), above=0.0),))

    def git(*command):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(other_seeds, "ROOT", tmp_path)
    monkeypatch.setattr(other_seeds.runner, "run", executed)
    chapters = [write("01_shown"), write("02_moved"), write("03_old")]
    old = [other_seeds.digest(each) for each in chapters]
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "then")
    for name, line in (("01_shown", "show(run)"), ("02_moved", "nudge(run)"), ("03_old", "show(run)")):
        write(name, line)
    entry = {"sets": 20, "claims": {"run/live": {"made": 20, "held": 20, "moved": True}}}
    codes = {"01_shown": old[0], "02_moved": old[1], "03_old": "older"}
    table = {name: entry | {"code": code} for name, code in codes.items()}
    said = other_seeds.carry_over(chapters, table, "HEAD", 1)
    assert {name: each["code"] for name, each in table.items()} == codes | {"01_shown": other_seeds.digest(chapters[0])}
    assert table["01_shown"].items() >= entry.items()
    assert [line.split(":")[0] for line in said] == ["03_old", "01_shown", "02_moved"]
