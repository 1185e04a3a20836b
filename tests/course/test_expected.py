import math
import tomllib

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pgcourse.course import expected
from pgcourse.course.claims import Claim, claim
from pgcourse.course.expected import Close, Exact, Order, OverSeeds

SEEDS = [1.0, 2.0, 3.0, 4.0]


def recorded(value, name="topic/name", **statement):
    return claim(name, value, **statement)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "expected" / "01_chapter.toml"


def reload(path, claims, profile="quick"):
    return expected.failures(claims, expected.load(path, profile))


@pytest.mark.parametrize(
    ("expectation", "holds", "fails"),
    [
        (Close(2.0, rtol=1e-3, atol=0.0), [2.0, 2.0019, 1.9981, 2], [2.0021, 1.997, -2.0]),
        (Close(0.0, rtol=1.0, atol=1e-8), [0.0, 1e-9, -1e-8], [1.1e-8]),
        (Close(1), [1, 1.0], [2, True]),
        (Close(True), [True], [False, 1]),
        (
            OverSeeds(2.5, 1.0, 4),
            [SEEDS, [x + 9.1 for x in SEEDS]],
            [[x + 9.2 for x in SEEDS], [x - 9.2 for x in SEEDS]],
        ),
    ],
)
def test_what_close_and_interval_let_through(expectation, holds, fails):
    # The half-width for 4 seeds and sd 1 is t(0.9995; 3) √(2/4) = 12.924 · 0.7071 = 9.139 (tables of Student's t).
    assert [expectation.objection(recorded(value)) for value in holds] == [None] * len(holds)
    assert all(expectation.objection(recorded(value)) for value in fails)


def test_exact_is_bit_for_bit_on_the_same_platform_and_close_elsewhere():
    made = recorded(0.1, exact=True)
    same = Exact(0.1, made.platform)
    nearly = Exact(math.nextafter(0.1, 1), made.platform)
    assert same.objection(made) is None
    assert "not exactly" in nearly.objection(made)
    assert "not exactly" in Exact(-0.0, made.platform).objection(recorded(0.0, exact=True))
    elsewhere = Exact(math.nextafter(0.1, 1), "another machine")
    assert elsewhere.objection(made) is None
    assert "rtol" in Exact(0.1 + 2e-6, "another machine").objection(made)


@pytest.mark.parametrize("n", [3, 10])
def test_two_runs_differ_by_more_than_the_interval_once_in_a_thousand(n):
    rng = np.random.default_rng(11)
    runs = 20_000
    first = rng.normal(7.0, 3.0, (runs, n))
    second = rng.normal(7.0, 3.0, (runs, n)).mean(1)
    entries = [OverSeeds(*row, n) for row in np.stack([first.mean(1), first.std(1, ddof=1)], 1).tolist()]
    outside = sum(abs(mean - entry.mean) > entry.half_width for mean, entry in zip(second, entries, strict=True))
    assert 5 <= outside <= 38  # 20 expected, standard deviation 4.5


def test_a_changed_number_of_seeds_is_a_changed_statement():
    assert "3 seeds recorded, 4 committed" in OverSeeds(2.5, 1.0, 4).objection(recorded(SEEDS[:3]))
    order = Order.accept(recorded(SEEDS, above=0), {})
    assert "[3] seeds recorded, [4] committed" in order.objection(recorded(SEEDS[1:], above=0))


def test_an_order_fails_by_its_bound_and_by_an_edited_statement():
    order = Order(2.5, above=0, n=[4])
    assert order.objection(recorded(SEEDS, above=0)) is None
    assert "not above 0" in order.objection(recorded([x - 2.5 for x in SEEDS], above=0))
    assert "the notebook says above=-9, the file above=0" in order.objection(recorded(SEEDS, above=-9))
    assert "below=9" in order.objection(recorded(SEEDS, above=0, below=9))
    assert "inconclusive" in order.objection(recorded([-1.0, 0.0, 1.0, 0.0], inconclusive=True))
    undecided = Order(0.0, inconclusive=True, n=[4])
    assert undecided.objection(recorded([-1.0, 0.0, 1.0, 0.0], inconclusive=True)) is None
    assert "excludes 0" in undecided.objection(recorded(SEEDS, inconclusive=True))


def test_a_tolerance_in_the_notebook_must_be_the_files():
    assert Close(1.0, rtol=0.1).objection(recorded(1.05, rtol=0.1)) is None
    assert "rtol=0.2, the file 0.1" in Close(1.0, rtol=0.1).objection(recorded(1.05, rtol=0.2))


def test_missing_unexpected_repeated_and_restated_claims_all_fail():
    expectations = {"a/held": Close(1.0), "a/missing": Close(1.0), "a/restated": OverSeeds(1.0, 1.0, 4)}
    claims = [recorded(1.0, "a/held"), recorded(1.0, "a/restated"), recorded(2.0, "a/new")]
    failures = expected.failures(claims, expectations)
    assert set(failures) == {"a/missing", "a/restated", "a/new"}
    assert "missing" in failures["a/missing"]
    assert "unexpected" in failures["a/new"]
    assert "'close', the file 'interval'" in failures["a/restated"]
    assert "twice" in expected.failures([claims[0], claims[0]], {"a/held": Close(1.0)})["a/held"]


TABLE = pd.DataFrame({"mean": [1.5, np.nan], "seeds": [12, 3], "is": ["better", "worse"]}, index=["PPO", "DQN"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (TABLE, None),
        (TABLE + pd.DataFrame({"mean": [0.24, 0], "seeds": 0, "is": ""}, index=TABLE.index), None),
        (TABLE.assign(mean=[1.76, np.nan]), "1 of 6 entries differ, first PPO, mean: 1.76 is not 1.5"),
        (TABLE.assign(mean=[1.5, 0.0]), "1 of 6 entries differ, first DQN, mean: 0.0 is not ''"),
        (TABLE.assign(mean=np.nan), "1 of 6 entries differ, first PPO, mean: None is not 1.5"),
        (TABLE.assign(**{"is": ["worse", "better"]}), "2 of 6 entries differ, first PPO, is: 'worse' is not 'better'"),
        (TABLE.assign(seeds=["12", 3]), "1 of 6 entries differ, first PPO, seeds: '12' is not 12"),
        (TABLE[::-1], "the table's rows are DQN, PPO; in the file PPO, DQN"),
        (TABLE[["seeds", "mean", "is"]], "the table's columns are seeds, mean, is; in the file mean, seeds, is"),
    ],
)
def test_a_table_is_held_against_the_files_entry_by_entry(path, changed, said):
    assert expected.accept(path, "quick", [recorded(TABLE, atol=0.25)]) == {}
    found = reload(path, [recorded(changed, atol=0.25)]).get("topic/name")
    assert found == said or found.startswith(said)
    assert "atol=0.1, the file 0.25" in reload(path, [recorded(TABLE, atol=0.1)])["topic/name"]


def test_rows_of_one_label_cannot_be_committed(path):
    refused = expected.accept(path, "quick", [recorded(TABLE.set_axis(["PPO", "PPO"]))])
    assert refused == {"topic/name": "two rows of the table have one label"}


CLAIMS = [
    recorded(1 / 3, "a/close"),
    recorded(True, "a/truth"),
    recorded(7, "a/count", rtol=0.0, atol=0.0),
    recorded(0.1, "b/exact", exact=True),
    recorded([0.1, 0.2, 0.7], "b/interval"),
    recorded(1e-16, "c/scalar", below=1e-8),
    recorded(SEEDS, "c/seeds", above=0, below=9.5),
    recorded((SEEDS, [0.0, 0.1, 0.2]), "c/pair", above=0),
    recorded([-1.0, 0.0, 1.5], "c/undecided", inconclusive=True),
    recorded(TABLE, "d/table", atol=0.25),
]


def test_what_is_accepted_is_expected(path):
    assert expected.load(path, "quick") is None
    assert expected.accept(path, "quick", CLAIMS) == {}
    assert reload(path, CLAIMS) == {}
    assert list(expected.load(path, "quick")) == [made.name for made in CLAIMS]
    assert expected.load(path, "full") is None
    first = path.read_bytes()
    assert expected.accept(path, "quick", CLAIMS) == {}
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_every_kind_fails_after_its_number_is_edited_in_the_file(path):
    expected.accept(path, "quick", CLAIMS)
    edits = {
        "value = 0.3333333333333333\n": ("value = 0.34\n", "a/close"),
        "value = true": ("value = false", "a/truth"),
        "value = 7": ("value = 8", "a/count"),
        "value = 0.1\n": ("value = 0.10000000000000002\n", "b/exact"),
        "mean = 0.3333333333333333": ("mean = 100.0", "b/interval"),
        "below = 1e-08": ("below = 1e-07", "c/scalar"),
        "below = 9.5": ("below = 9.0", "c/seeds"),
        "n = [4, 3]": ("n = [3, 4]", "c/pair"),
        "inconclusive = true": ("above = -5", "c/undecided"),
        "PPO = [1.5, 12,": ("PPO = [1.5, 13,", "d/table"),
    }
    text = path.read_text("utf-8")
    for old, (new, name) in edits.items():
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), "utf-8")
        assert list(reload(path, CLAIMS)) == [name]


def test_accept_keeps_comments_tolerances_and_the_other_profile(path):
    path.parent.mkdir()
    path.write_text(
        "# why this chapter has numbers\n\n"
        '[quick."a/close"]  # an aside\n'
        "# float32 on some machines\n"
        'kind = "close"\nvalue = 99.0  # measured\nrtol = 1e-3\natol = 0.5\n\n'
        '[quick."a/gone"]\nkind = "close"\nvalue = 1\n\n'
        '[full."a/close"]\nkind = "close"\nvalue = 5.0\nrtol = 0.25\n',
        "utf-8",
    )
    assert expected.accept(path, "quick", [recorded(3, "a/new", above=1), recorded(2.5, "a/close")]) == {}
    assert path.read_text("utf-8") == (
        "# why this chapter has numbers\n\n"
        '[quick."a/new"]\nkind = "order"\nvalue = 3\nabove = 1\n\n'
        '[quick."a/close"]  # an aside\n'
        "# float32 on some machines\n"
        'kind = "close"\nvalue = 2.5  # measured\nrtol = 0.001\natol = 0.5\n\n'
        '[full."a/close"]\nkind = "close"\nvalue = 5.0\nrtol = 0.25\n'
    )


def test_accept_takes_the_notebooks_tolerance_over_the_files(path):
    expected.accept(path, "quick", [recorded(1.0, rtol=0.1)])
    expected.accept(path, "quick", [recorded(1.0, rtol=0.2)])
    assert expected.load(path, "quick")["topic/name"].rtol == 0.2


def test_accept_changes_the_kind_of_a_restated_claim(path):
    expected.accept(path, "quick", [recorded(1.0)])
    expected.accept(path, "quick", [recorded(1.0, above=0)])
    assert tomllib.loads(path.read_text("utf-8"))["quick"]["topic/name"] == {"kind": "order", "value": 1.0, "above": 0}


def test_a_chapter_without_claims_has_an_empty_section(path):
    assert expected.accept(path, "full", []) == {}
    assert expected.load(path, "full") == {}
    assert expected.load(path, "quick") is None


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ([recorded(1.0, above=2)], "not above 2"),
        ([recorded(SEEDS, inconclusive=True)], "excludes 0"),
        ([recorded([500.0] * 10)], "no spread"),
        ([recorded(1.0), recorded(1.0)], "twice"),
    ],
)
def test_accept_refuses_what_does_not_hold_by_itself_and_leaves_the_file(path, claims, words):
    expected.accept(path, "quick", [recorded(9.0, "a/before")])
    before = path.read_bytes()
    refused = expected.accept(path, "quick", [recorded(1.0, "a/good"), *claims])
    assert list(refused) == ["topic/name"]
    assert words in refused["topic/name"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[quick", "is not TOML"),
        ("[slow]\n", "unknown profile 'slow'"),
        ('[quick."a/b"]\nvalue = 1\n', "kind must be one of"),
        ('[quick."a/b"]\nkind = "closs"\nvalue = 1\n', "kind must be one of"),
        ('[quick]\n"a/b" = 1\n', "kind must be one of"),
        ('[quick."a/b"]\nkind = "close"\nvalue = 1\nrtoll = 1\n', "has no key 'rtoll'"),
        ('[quick."a/b"]\nkind = "interval"\nmean = 1\nn = 3\n', "'sd' is missing"),
    ],
)
def test_a_malformed_file_is_named(path, text, words):
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"01_chapter\.toml") as error:
        expected.load(path, "quick")
    assert words in str(error.value)


numbers = st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-12)
samples = st.lists(numbers, min_size=3, max_size=12).filter(lambda xs: np.std(xs) > 1e-9)


@given(value=numbers | st.integers(-(10**9), 10**9) | st.booleans() | samples)
def test_any_number_can_be_accepted_and_a_wrong_one_is_seen(value, tmp_path_factory):
    path = tmp_path_factory.mktemp("expected") / "01.toml"
    made = Claim("topic/name", tuple([tuple(value) if isinstance(value, list) else (value,)]))
    # A spread at the level of rounding is none: nothing that could be measured lies just outside of it.
    assume(not isinstance(value, list) or made.sd > 1e-9 * max(map(abs, value)))
    assert expected.accept(path, "quick", [made]) == {}
    assert reload(path, [made]) == {}
    if isinstance(value, bool):
        wrong = [not value]
    elif isinstance(value, list):
        entry = expected.load(path, "quick")["topic/name"]
        wrong = [x + 1.001 * entry.half_width for x in value]
    else:
        wrong = [value + 1e-4 * max(abs(value), 1)]
    assert list(reload(path, [Claim("topic/name", (tuple(wrong),))])) == ["topic/name"]
