"""The form that every chapter keeps, so that a reader finds the same things in the same places."""

from __future__ import annotations

import json
import re

import pytest
from tracked import notebooks

from pgcourse.course import expected

CHAPTERS = [path for path in notebooks("chapters").values() if re.match(r"[0-9][0-9]\w*_", path.name)]
MOST_CLAIMS = 20


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return request.param


@pytest.fixture
def cells(chapter):
    return [
        (cell["cell_type"], "".join(cell["source"]), cell["metadata"])
        for cell in json.loads(chapter.read_text("utf-8"))["cells"]
    ]


def test_the_first_screen_says_what_it_is_about_how_long_it_takes_and_what_one_can_do_afterwards(chapter, cells):
    (kind, first, _), *rest = cells
    number = chapter.stem.partition("_")[0]
    assert kind == "markdown"
    assert first.startswith(f"# {number} · ")
    for row in ("Time", "You need", "Afterwards you can"):
        assert f"| **{row}** |" in first
    assert re.search(r"\| \*\*Time\*\* \| [\w ]*\d+ minutes to read, [^|]*(minutes?|seconds) to run", first)
    assert "\n**" in first  # the question
    _, parameters, *_ = (source for kind, source, _ in rest if kind == "code")
    assert parameters.startswith('profile = "quick"')


def test_claims_are_few_enough_to_be_read(chapter):
    """Those that carry a sentence; a table that is checked as a whole is not read entry by entry."""
    entries = expected.load(expected.path_for(chapter), "quick").values()
    sentences = [entry for entry in entries if entry.kind != "table"]
    fewest = 3 if chapter.name.startswith("00") else 12  # chapter 00 is ten minutes
    assert fewest <= len(sentences) <= MOST_CLAIMS, len(sentences)


def test_both_profiles_claim_the_same(chapter):
    """A claim is written once: what is asked of it in one profile is what is asked in the other."""
    quick, full = (expected.load(expected.path_for(chapter), profile) for profile in ("quick", "full"))
    bounds = ("kind", "above", "below")
    asked = [
        {name: [getattr(each, bound, None) for bound in bounds] for name, each in some.items()}
        for some in (quick, full)
    ]
    assert asked[0] == asked[1]


def test_cells_that_only_keep_books_are_folded(cells):
    for kind, source, metadata in cells:
        tags = metadata.get("tags", [])
        if "claims" in tags:
            assert kind == "code"
            assert "hide-input" in tags
            assert metadata["jupyter"]["source_hidden"] is True
            assert "claim(" in source


def test_a_chapter_ends_with_what_was_shown_and_three_questions(chapter, cells):
    prose = "\n\n".join(source for kind, source, _ in cells if kind == "markdown")
    headings = re.findall(r"^## (.+)$", prose, re.MULTILINE)
    ends = ["What can go wrong", "Check yourself", "Exercises", "Further reading"]
    assert [heading for heading in headings if heading in ends] == ends
    assert prose.count("<details>") == prose.count("</details>") >= 3
    asked = prose[prose.index("## Check yourself\n") : prose.index("## Exercises\n")]
    assert asked.count("<details><summary>") == 3


def test_prose_has_no_jargon_of_the_house(cells):
    prose = "\n".join(source for kind, source, _ in cells if kind == "markdown")
    for word in ("as committed", "nan seeds", "z threshold", "obviously", "trivially", "!\n"):
        assert word not in prose, word


def test_what_a_few_seeds_do_not_see_is_not_called_no_effect(cells):
    """No detectable effect is not "no effect": chapter 08 says so."""
    prose = "\n".join(source for kind, source, _ in cells if kind == "markdown")
    assert re.findall(r'(?<!")no effect(?! (?:of it )?is detectable)', prose) == []


def test_the_map_of_chapter_00_leads_to_every_other_chapter():
    start, *others = sorted(CHAPTERS)
    prose = "\n".join("".join(cell["source"]) for cell in json.loads(start.read_text("utf-8"))["cells"])
    linked = re.findall(r"^\| \[[^\]]+\]\(([\w.]+\.ipynb)\)", prose, re.MULTILINE)
    assert linked == [path.name for path in others]
