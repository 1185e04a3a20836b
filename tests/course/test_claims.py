import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import pgcourse
from pgcourse.course.claims import COLORS, Claim, claim, figures, html, plain
from pgcourse.grading.check import COLORS as OF_CHECK

SEEDS = np.random.default_rng(3).normal(5.0, 2.0, 10)
OTHERS = np.random.default_rng(4).normal(1.0, 0.5, 8)


@pytest.mark.parametrize(
    "value",
    [
        0.1,
        np.float64(0.1),
        np.array(0.1),
        np.array([[0.1]]),
        torch.tensor(0.1, dtype=torch.float64),
        torch.tensor([0.1], dtype=torch.float64, requires_grad=True),
        [0.1],
        pd.Series([0.1]),
    ],
)
def test_one_number_in_any_clothes(value):
    made = claim("topic/number", value)
    assert (made.kind, made.value, made.seeds) == ("close", 0.1, (1,))
    assert (made.lower, made.upper) == (0.1, 0.1)


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True)])
def test_booleans_stay_booleans(value):
    assert claim("topic/truth", value).value is True


def test_integers_stay_integers():
    assert repr(claim("topic/count", torch.tensor(2**53 + 1)).value) == str(2**53 + 1)


@pytest.mark.parametrize(
    "per_seed",
    [SEEDS, list(SEEDS), tuple(SEEDS), torch.tensor(SEEDS), pd.Series(SEEDS), [torch.tensor(x) for x in SEEDS]],
)
def test_one_number_per_seed_makes_an_interval(per_seed):
    made = claim("topic/per_seed", per_seed)
    assert (made.kind, made.seeds) == ("interval", (10,))
    assert made.value == pytest.approx(SEEDS.mean(), rel=1e-14)
    assert made.sd == pytest.approx(SEEDS.std(ddof=1), rel=1e-14)


def test_interval_of_a_mean_are_those_of_the_t_test():
    made = claim("topic/gain", SEEDS, above=0)
    interval = stats.ttest_1samp(SEEDS, 0).confidence_interval(0.95)
    assert (made.lower, made.upper) == pytest.approx(tuple(interval), rel=1e-10)


def test_interval_of_a_difference_are_those_of_welchs_test():
    made = claim("topic/gain", (SEEDS, OTHERS), above=0)
    interval = stats.ttest_ind(SEEDS, OTHERS, equal_var=False).confidence_interval(0.95)
    assert made.value == pytest.approx(SEEDS.mean() - OTHERS.mean())
    assert (made.lower, made.upper) == pytest.approx(tuple(interval), rel=1e-10)


def test_equal_seeds_have_their_mean_as_bounds():
    assert claim("topic/saturated", [500.0] * 5, above=475).lower == 500.0


@pytest.mark.parametrize(
    ("value", "statement", "holds"),
    [
        (2.0, {"above": 1.0}, True),
        (1.0, {"above": 1.0}, False),
        (0.5, {"below": 1.0}, True),
        (1.0, {"below": 1.0}, False),
        (0.5, {"above": 0, "below": 1}, True),
        (1.5, {"above": 0, "below": 1}, False),
        ([1.0, 2.0, 3.0], {"above": -0.485}, True),  # lower end 2 - 4.303 / √3 = -0.484
        ([1.0, 2.0, 3.0], {"above": -0.483}, False),
        ([1.0, 2.0, 3.0], {"below": 4.485}, True),  # upper end 4.484
        ([1.0, 2.0, 3.0], {"below": 4.483}, False),
        ([1.0, 2.0, 3.0], {"inconclusive": True}, True),
        ([2.0, 3.0, 4.0], {"inconclusive": True}, False),
        ([-1.0, 2.0, 3.0], {"inconclusive": True}, True),
        (([1.0, 2.0, 3.0], [1.1, 2.1, 2.9]), {"inconclusive": True}, True),
        (([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]), {"inconclusive": True}, False),
        (([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]), {"below": 0}, True),
        (([1.0, 2.0, 3.0], [1.1, 2.1, 2.9]), {"above": 0}, False),
    ],
)
def test_an_order_is_decided_by_the_whole_interval(value, statement, holds, capsys):
    made = claim("topic/order", value, **statement)
    assert made.kind == "order"
    assert (made.objection() is None) == holds
    assert ("NOT " in capsys.readouterr().out) == (not holds)


TABLE = pd.DataFrame(
    {"mean": [1.5, np.nan], "seeds": [10, 3], "verdict": ["better", "–"]},
    index=pd.MultiIndex.from_tuples([("CartPole", "PPO"), ("CartPole", "DQN")]),
)


def test_of_a_table_every_entry_is_claimed():
    made = claim("topic/table", TABLE, atol=0.5, rests_on="a2c-cartpole")
    assert (made.kind, made.columns, made.rows) == (
        "table",
        ("mean", "seeds", "verdict"),
        ("CartPole, PPO", "CartPole, DQN"),
    )
    assert made.entries == (1.5, 10, "better", None, 3, "–")
    assert made.line() == "✓ topic/table: a table of 6 entries"
    again = Claim.from_metadata(json.loads(json.dumps(made.to_metadata(), allow_nan=False)))
    assert again == made
    assert repr(again) == repr(made)


@pytest.mark.parametrize(
    ("table", "statement", "words"),
    [
        (TABLE, {"above": 0}, "every entry is claimed"),
        (TABLE, {"exact": True}, "every entry is claimed"),
        (TABLE, {"atol": -1.0}, "atol must not be negative"),
        (TABLE.assign(mean=math.inf), {}, "got inf"),
        (TABLE.assign(mean=[[1], [2]]), {}, r"got \[1\]"),
        (TABLE[:0], {}, "the table is empty"),
    ],
)
def test_a_table_that_makes_no_sentence_is_refused(table, statement, words):
    with pytest.raises(ValueError, match=f"topic/refused.*{words}"):
        claim("topic/refused", table, **statement)


@pytest.mark.parametrize(
    "name", ["", "topic", "Topic/name", "topic/name/more", "topic/", "to pic/name", "topic/näme", 3]
)
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="topic/name") as error:
        claim(name, 1.0)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("value", "statement", "words"),
    [
        (math.nan, {}, "finite numbers, got nan"),
        (math.inf, {"above": 0}, "finite numbers, got inf"),
        ([1.0, math.nan, 2.0], {}, "finite numbers, got nan"),
        ([], {}, "none empty"),
        (torch.zeros(0), {}, "none empty"),
        ((SEEDS, []), {"above": 0}, "none empty"),
        ([1.0, 2.0], {}, "at least 3 seeds"),
        ((SEEDS, [1.0, 2.0]), {"above": 0}, "at least 3 seeds"),
        ((SEEDS, [1.0]), {"above": 0}, "at least 3 seeds"),
        ((SEEDS, OTHERS), {}, "two samples need above="),
        (np.zeros((3, 4)), {}, "more than one dimension"),
        ("0.1", {}, "'0.1'"),
        (None, {}, "None"),
        (1j, {}, "1j"),
        ([1.0, 2.0, "3"], {}, "'3'"),
        (SEEDS, {"exact": True}, "exact=True compares one number, got 10"),
        (1.0, {"exact": True, "above": 0}, "exclude exact"),
        (1.0, {"above": 0, "rtol": 0.1}, "exclude exact, rtol"),
        (1.0, {"above": 1, "below": 1}, "nothing is above 1 and below 1"),
        (SEEDS, {"inconclusive": True, "above": 0}, "contradicts above"),
        (1.0, {"inconclusive": True}, "needs one number per seed"),
        (SEEDS, {"rtol": 0.1}, "their own spread"),
        (1.0, {"rtol": -0.1}, "rtol must not be negative"),
        (1.0, {"atol": math.nan}, "atol must be a finite number"),
        (1.0, {"above": math.inf}, "above must be a finite number"),
        (1.0, {"below": "2"}, "below must be a finite number"),
        (1.0, {"below": True}, "below must be a finite number"),
        (True, {"above": 0}, "have no order"),
    ],
)
def test_numbers_and_arguments_that_make_no_sentence_are_refused(value, statement, words):
    with pytest.raises(ValueError, match="topic/refused") as error:
        claim("topic/refused", value, **statement)
    assert words in str(error.value)


def test_metadata_survives_json_bit_for_bit():
    rng = np.random.default_rng(0)
    for made in (
        claim("topic/a", rng.random() * 1e-300),
        claim("topic/b", rng.random(5)),
        claim("topic/c", (rng.random(4), rng.random(3)), above=-10, below=10.5),
        claim("topic/d", -0.0, exact=True),
        claim("topic/e", torch.rand(6, generator=torch.Generator().manual_seed(0)), inconclusive=True),
        claim("topic/f", False),
        claim("topic/g", 3, rtol=0.0, atol=0.5),
        claim("topic/h", 1.0, above=0),
    ):
        again = Claim.from_metadata(json.loads(json.dumps(made.to_metadata())))
        assert again == made
        assert repr(again) == repr(made)


def test_foreign_metadata_is_refused():
    with pytest.raises(ValueError, match="keys"):
        Claim.from_metadata({"name": "a/b", "value": 1.0})
    with pytest.raises(ValueError, match="keys"):
        Claim.from_metadata({"name": "a/b", "samples": [[1.0]], "verdict": "held"})


@pytest.mark.parametrize(
    ("value", "statement", "line"),
    [
        (1 / 3, {}, "✓ a/b: 0.3333"),
        (123456.7, {}, "✓ a/b: 123457"),
        (12, {}, "✓ a/b: 12"),
        (True, {}, "✓ a/b: True"),
        ([1.0, 2.0, 3.0], {}, "✓ a/b: 2 (standard deviation 1, 3 seeds)"),
        (2.2e-16, {"below": 1e-8}, "✓ a/b: 2.2e-16, below 1e-08"),
        (2, {"above": 1, "below": 3}, "✓ a/b: 2, above 1 and below 3"),
        ([1.0, 2.0, 3.0], {"above": 1}, "✗ a/b: 2 (95 % interval -0.4841 to 4.484, 3 seeds), NOT above 1"),
    ],
)
def test_the_line_that_a_reader_sees(value, statement, line, capsys):
    assert claim("a/b", value, **statement).value == pytest.approx(np.mean(value))
    assert capsys.readouterr().out == line + "\n"


def test_in_a_notebook_marks_are_coloured_and_text_is_escaped():
    assert html(["✗ a/b: 1 < 2"]) == f'<div><b style="color:{COLORS["✗"]}">✗</b> a/b: 1 &lt; 2</div>'
    assert COLORS == OF_CHECK  # one look


def test_many_claims_fold_but_for_those_that_do_not_hold():
    lines = [f"✓ a/b{i}: 1" for i in range(5)]
    assert plain(lines) == "5 of 5 hold\n" + "\n".join(lines)
    assert plain(lines[:4]) == "\n".join(lines[:4])
    assert "<details>" not in html(lines[:4])
    assert html(lines).startswith("<details>")
    shown, _, folded = html([*lines, "✗ a/c: 2"]).partition("<details>")
    assert "a/c" in shown
    assert "a/b" not in shown
    assert "5 of 6 hold" in folded
    assert folded.count("a/b") == 5
    assert "a/c" not in folded


def test_figures_keep_four_digits():
    assert [figures(x) for x in (0.0, 1e-9 / 3, 9999.4, 10000.4, 1e12)] == ["0", "3.333e-10", "9999", "10000", "1e+12"]


def test_claim_is_at_the_top_of_the_package():
    assert pgcourse.claim is claim


def test_importing_claim_does_not_wait_for_torch():
    code = "import sys; from pgcourse import claim; claim('a/b', 1.5); claim('a/c', [1., 2., 3.], above=0)"
    code += "; print(sorted({'torch', 'pandas', 'scipy.stats', 'papermill'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_claim_names_the_studies_that_it_rests_on():
    class Results:  # as `pg.lab.load` returns them
        class study:
            name = "a2c-cartpole"

    for rests_on, names in [
        ((), ()),
        ("reinforce-grid", ("reinforce-grid",)),
        (Results(), ("a2c-cartpole",)),
        ([Results(), "reinforce-grid"], ("a2c-cartpole", "reinforce-grid")),
    ]:
        made = claim("topic/number", 0.1, above=0, rests_on=rests_on)
        assert made.rests_on == names
        assert Claim.from_metadata(json.loads(json.dumps(made.to_metadata()))) == made
