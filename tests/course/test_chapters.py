"""The course itself: every chapter runs, every number in it holds, and a wrong one would be seen."""

from __future__ import annotations

import json
import math
import re

import pytest
from test_book import found, seen
from test_book import pytestmark as needs_book
from tracked import ROOT, notebooks

from pgcourse.course import book, expected
from pgcourse.course.claims import Claim
from pgcourse.course.expected import Close, Entries, Exact, Order, OverSeeds
from pgcourse.lab import study_names

CHAPTERS = list(notebooks("chapters").values())
ENTRIES = [
    pytest.param(path, profile, name, id=f"{path.stem}-{profile}-{name}")
    for path in sorted((ROOT / "chapters" / "expected").glob("*.toml"))
    for profile in expected.PROFILES
    for name in expected.load(path, profile) or {}
]


def ran(results, notebook):
    """What came of a chapter that could run here."""
    if results[notebook].lacking:
        pytest.skip(results[notebook].lacking)
    return results[notebook]


@pytest.mark.chapters
@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda path: path.stem)
def test_the_chapter_runs_and_its_claims_hold(results, notebook):
    result = ran(results, notebook)
    assert result.failure is None
    assert result.claims_failed == {}
    assert result.verdict == "passed"


RAW = re.compile(r"^\s*\{|dtype|\b(tensor|array|Series)\(| at 0x[0-9a-f]+>", re.MULTILINE)


@pytest.mark.chapters
@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda path: path.stem)
def test_no_output_is_a_raw_dictionary_or_tensor_and_tables_are_styled(results, notebook):
    for cell in json.loads(ran(results, notebook).executed.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown = [*output.get("text", []), *(data["text/plain"] if set(data) == {"text/plain"} else [])]
            assert not RAW.search("".join(shown)), (cell["id"], shown)
            assert 'class="dataframe"' not in "".join(data.get("text/html", "")), cell["id"]


@pytest.mark.parametrize("shown", ["{'a': 1}", "a    1.0\ndtype: float64", "x = tensor([1.])", "<A object at 0x7f1a>"])
def test_what_counts_as_raw(shown):
    assert RAW.search(shown)


def test_the_course_makes_many_claims_in_every_chapter():
    assert len(CHAPTERS) >= 6
    counts = {path.stem: len(expected.load(expected.path_for(path), "quick") or {}) for path in CHAPTERS}
    assert min(counts.values()) >= 3, counts
    assert sum(counts.values()) >= 25, counts


def test_every_expected_file_has_its_chapter():
    expectations = {path.stem for path in (ROOT / "chapters" / "expected").glob("*.toml")}
    assert expectations <= {path.stem for path in CHAPTERS}


@pytest.mark.parametrize(("path", "profile", "name"), ENTRIES)
def test_a_wrong_number_would_be_seen(path, profile, name):
    """The smallest change that a statement of this form rules out fails; the committed number itself holds."""
    expectations = expected.load(path, profile)
    entry = {name: expectations[name]}
    for claim in right(name, expectations[name]):
        assert expected.failures([claim], entry) == {}
    for claim in wrong(name, expectations[name]):
        assert list(expected.failures([claim], entry)) == [name]
    assert list(expected.failures([], entry)) == [name]


def right(name, entry):
    """Recorded claims that hold."""
    match entry:
        case Close():
            return [Claim(name, ((entry.value,),))]
        case Exact():
            return [Claim(name, ((entry.value,),), exact=True, platform=entry.platform)]
        case OverSeeds():
            inside = 0.999 * entry.half_width
            return [Claim(name, ((entry.mean + shift,) * entry.n,)) for shift in (inside, 0.0, -inside)]
        case Entries():
            return [table(name, entry)]
        case Order(inconclusive=True):
            return [ordered(name, entry, 0.0, spread=1.0)]
        case Order():
            return [ordered(name, entry, entry.value)]


def wrong(name, entry):
    """Recorded claims of the same form that do not hold."""
    match entry:
        case Close(value=bool()):
            return [Claim(name, ((not entry.value,),))]
        case Close():
            beyond = 1.001 * (entry.atol + entry.rtol * abs(entry.value))
            numbers = [math.nextafter(entry.value + sign * beyond, sign * math.inf) for sign in (1, -1)]
            return [Claim(name, ((number,),)) for number in numbers]
        case Exact(value=bool()):
            return [Claim(name, ((not entry.value,),), exact=True, platform=entry.platform)]
        case Exact():
            neighbours = [math.nextafter(entry.value, limit) for limit in (math.inf, -math.inf)]
            return [Claim(name, ((number,),), exact=True, platform=entry.platform) for number in neighbours]
        case OverSeeds():
            outside = 1.001 * entry.half_width
            return [Claim(name, ((entry.mean + shift,) * entry.n,)) for shift in (outside, -outside)]
        case Entries():
            changed = [(row, k) for row, entries in entry.rows.items() for k in range(len(entries))]
            return [table(name, entry, place) for place in changed]
        case Order(inconclusive=True):
            return [ordered(name, entry, mean, spread=1e-3) for mean in (1.0, -1.0)]
        case Order():
            return [ordered(name, entry, bound) for bound in (entry.above, entry.below) if bound is not None]


def table(name, entry, changed=None):
    """A claim of the entry's table, or one with another entry in one place."""

    def shown(known, place):
        beyond = 0.0 if isinstance(known, str) else 1.001 * (entry.atol + entry.rtol * abs(known))
        gap = known == expected.GAP
        if place != changed:
            return None if gap else known
        return 0.0 if gap else f"{known}." if isinstance(known, str) else math.nextafter(known + beyond, math.inf)

    entries = [shown(known, (row, k)) for row, entries in entry.rows.items() for k, known in enumerate(entries)]
    return Claim(name, rows=tuple(entry.rows), columns=tuple(entry.columns), entries=tuple(entries))


def ordered(name, entry, mean, spread=0.0):
    """A claim of the entry's form whose mean, or difference of means, is `mean`, its seeds alternating around it."""

    def sample(n, centre):
        offsets = [spread * (-1) ** i for i in range(n - n % 2)] + [0.0] * (n % 2)
        return tuple(centre + offset for offset in offsets)

    centres = [mean, 0.0]
    samples = [sample(n, centre) for n, centre in zip(entry.n, centres, strict=False)] or [(mean,)]
    return Claim(name, tuple(samples), above=entry.above, below=entry.below, inconclusive=entry.inconclusive)


@pytest.mark.chapters
def test_every_study_has_claims_that_rest_on_it(results):
    """They are what `pgcourse reproduce --full` asks on another kind of machine."""
    claims = [claim for result in results.values() for claim in result.claims]
    assert {name for claim in claims for name in claim.rests_on} == set(study_names())


@needs_book
@pytest.mark.chapters
def test_the_course_itself_makes_a_book_that_reads_well_without_network(results, build, tab):
    """All of it: the chapters as they ran, exercises, pages, reference. Sphinx warns of nothing and no link is dead."""
    assert {result.verdict for result in results.values()} == {"passed"}
    made = book.make(ROOT, build=build)
    assert made.size < 40_000_000
    names = [path.relative_to(made.folder).as_posix() for path in made.folder.rglob("*.html")]
    shown = sorted(name for name in names if not name.startswith(("_static/", "source/", "search")))
    faults = {}
    for width in (1400, 390):
        tab.set_viewport_size({"width": width, "height": 900})
        faults |= {(name, width): wrong for name in shown if (wrong := seen(tab, made.folder, name))}
    assert faults == {}
    assert "05 · Actor-critic and GAE" in found(tab, made.folder, "advantage")
