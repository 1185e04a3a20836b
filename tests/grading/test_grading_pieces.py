"""What grading is made of: arrays on the wire, code from notebooks, one number against another."""

import base64
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from submissions import TO_GO

from pgcourse.grading import batch, report, sandbox
from pgcourse.grading.exercise import AnswerStopped, Check, Examination, InProcess, Reply, difference, draws, plain
from pgcourse.grading.kinds import code
from pgcourse.grading.worker import DTYPES, Refused, decode, encode, pack, perform

# ------------------------------------------------------------------------------------------ arrays on the wire


@given(
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda dtype: arrays.arrays(np.dtype(dtype), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0))
    )
)
def test_an_array_comes_back_as_it_was_sent(array):
    back = decode(encode(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    back[...] = 0  # its own memory, writable


def test_a_view_comes_back_as_what_it_shows():
    array = np.arange(12.0).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(decode(encode(array)), array)


@pytest.mark.parametrize("array", [np.array([print]), np.array([1j]), np.array(["a"]), np.zeros(2**20 + 1, "<f4")])
def test_what_cannot_be_sent_is_refused(array):
    with pytest.raises(Refused, match=r"dtype .* is not one of|4 MB is too large to send"):
        encode(array)


FOUR_BYTES = base64.b64encode(bytes(4)).decode()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1.0],
        {},
        {"dtype": "<f4", "shape": [1]},
        {"dtype": "<f4", "shape": [1], "data": FOUR_BYTES, "more": 1},
        {"dtype": "|O", "shape": [1], "data": FOUR_BYTES},
        {"dtype": ["<f4"], "shape": [1], "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": 1, "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [True], "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [1.0], "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [-1, -1], "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [1] * 9, "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [2], "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [10**30], "data": FOUR_BYTES},
        {"dtype": "<f4", "shape": [1], "data": "!!!!"},
        {"dtype": "<f4", "shape": [1], "data": 4},
    ],
)
def test_what_is_no_array_is_not_decoded(value):
    with pytest.raises(ValueError, match=r"not an array|not allowed|disagree|base64"):
        decode(value)


def test_an_argument_that_is_code_arrives_as_what_it_makes():
    args = [pack(code("lambda v: A @ v", A=np.eye(2) * 3)), pack(np.array([1.0, 2.0]))]
    request = {"args": args, "arrays": "torch", "gradient": [], "on": "", "through": "", "times": 1, "keep": ""}
    (value,) = perform(lambda product, v: product(v), request)["values"]
    np.testing.assert_array_equal(decode(value), [3, 6])


# --------------------------------------------------------------------------------- one number against another


def found(value, wanted):
    """The difference where the input's dtype is that of what is wanted, and asked for."""
    wanted = np.asarray(wanted)
    asked = Check(1, "", dtype="as input")
    return difference(Reply((np.asarray(value),)), Reply((wanted,)), asked, str(wanted.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_forgiven_and_no_more_than_that(dtype):
    wanted = np.array([3.0, -7.0], dtype)
    rounding = {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert found(wanted * (1 + rounding), wanted) == ""
    assert found((wanted * np.array([1, 1 + 10_000 * rounding])).astype(dtype), wanted).endswith(" at [1]")


@pytest.mark.parametrize(
    ("value", "wanted", "reason"),
    [
        ([1.0, 2.5], [1.0, 2.0], "2.5 instead of 2 at [1]"),
        (1.5, 2.0, "1.5 instead of 2"),
        ([[1.0], [np.nan]], [[1.0], [2.0]], "NaN at [1, 0]"),
        (-np.inf, 2.0, "infinite"),
        ([1.0], 1.0, "shape [1], expected []"),
        (np.float32(1), np.float64(1), "dtype float32, expected float64"),
        ([True], [1.0], "dtype bool, expected float64"),
        ([np.nan, np.inf, 5.0], [np.nan, np.nan, 5.0], ""),  # NaN is wanted where anything will do
        (1 + 1e-7, 1.0, "1.0000001 instead of 1"),
        ([np.inf, 5.0], [np.inf, np.inf], "5 instead of inf at [1]"),
        (-np.inf, -np.inf, ""),
        (0.4505, -7.768e-17, "0.4505 instead of 0"),
        (3e-12, np.inf, "0 instead of inf"),
        (2e-9, 1e-9, "2e-09 instead of 1e-09"),
    ],
)
def test_a_difference_is_put_into_words(value, wanted, reason):
    assert found(value, wanted) == reason


@pytest.mark.parametrize("value", [np.ones(2), np.array([True, False]), {"a": np.ones(3)}, None, 10**18])
def test_whatever_an_item_is_it_is_compared(value):
    check = Check(1, "", items=("a", "b"))
    wanted = Reply(({"a": "sign", "b": "scale"},))
    assert difference(Reply(({"a": value, "b": "scale"},)), wanted, check) == "not all of a, b are right"
    assert difference(wanted, wanted, check) == ""
    one = difference(Reply(({"a": value, "b": "scale"},)), wanted, Check(1, "", items=("a",)))
    assert one == "a is not right"


@pytest.mark.parametrize(("place", "named"), [(0, "first value"), (2, "third value"), (8, "value number 9")])
def test_one_of_several_values_is_named_by_an_ordinal(place, named):
    wanted = [np.zeros(2)] * 9
    value = [np.arange(2.0) if i == place else one for i, one in enumerate(wanted)]
    assert difference(Reply((value,)), Reply((wanted,)), Check(1, "")) == f"{named}: 1 instead of 0 at [1]"


def test_what_is_wrong_is_said_shortly_whatever_is_returned():
    result = Examination(TO_GO, 0, {}).judge(InProcess(lambda *a: {"\u202e" * 9000 + str(i): i for i in range(99)}))
    assert all(one.message.isprintable() and len(one.message) <= 300 for one in result.checks)


def test_a_number_that_no_array_holds_is_against_the_protocol():
    call = next(TO_GO.calls(TO_GO.checks[0], np.random.default_rng(0)))
    with pytest.raises(AnswerStopped, match="protocol violation: a number that is too large"):
        Reply.parse(call, {"values": [{"items": [["x", 10**400]]}], "gradients": []})


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        (OrderedDict(a=Fraction(1, 4)), {"items": [["a", 0.25]]}),
        (defaultdict(int, {1: Decimal("2.5")}), {"items": [[1, 2.5]]}),
        (Counter("aa"), {"items": [["a", 2]]}),
        (deque([np.str_("sign")]), ["sign"]),
        (torch.ones(2, 3).shape, [2, 3]),
        (range(3), [0, 1, 2]),
        ([StrEnum("Sign", ["minus"]).minus], ["minus"]),
    ],
)
def test_other_kinds_of_lists_dictionaries_and_numbers_are_results(value, packed):
    assert pack(value) == packed
    assert all(type(one) is type(other) for one, other in zip(pack(value), packed, strict=True))


def test_gradients_are_compared():
    one = np.ones(2)

    def compare(gradient, wanted):
        return difference(Reply((one,), {"x": gradient}), Reply((one,), {"x": wanted}), Check(1, ""))

    assert compare(one, one) == compare(None, None) == compare(0 * one, None) == ""
    assert compare(2 * one, one) == "gradient by x: 2 instead of 1 at [0]"
    assert compare(one, None) == compare(one * np.nan, None) == "a gradient flows into x"
    wrong = difference(Reply((2 * one,), {"x": one}), Reply((one,), {"x": one}), Check(1, ""))
    assert wrong == "the value, before any gradient: 2 instead of 1 at [0]"
    assert compare(None, one) == "no gradient reaches x (was it detached, or turned into a number?)"


def test_every_check_has_draws_of_its_own():
    def numbers(check, seed):
        return [call.args["reward"].tolist() for call in TO_GO.calls(check, draws(seed, TO_GO, check))]

    values = TO_GO.checks[0]
    assert numbers(values, 3) == numbers(values, 3) != numbers(values, 4)
    first = {draws(3, TO_GO, check).random() for check in TO_GO.checks}
    assert len(first) == len(TO_GO.checks)


def test_what_a_known_mistake_warns_of_is_not_shown_to_the_learner():
    def loud(reward, gamma):
        warnings.warn("loud", stacklevel=1)
        return -reward

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = Examination(TO_GO, 0, mutants={"wrong": loud}).judge(InProcess(lambda reward, gamma: -reward))
    assert {one.diagnosis for one in result.checks if not one.passed} == {"wrong"}


@given(st.text(max_size=2000))
def test_text_of_strangers_is_one_short_printable_line(text):
    assert plain(text).isprintable()
    assert len(plain(text)) <= 300
    assert plain(plain(text)) == plain(text)


def test_grades_that_cannot_be_written_are_a_reason_and_no_traceback(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(sandbox.CannotGrade, match=r"nothing can be written to --out .*: Not a directory"):
        batch.Batch([], sandbox.NONE, folder=tmp_path / "file" / "grades")


def test_what_was_not_attempted_is_one_line_of_a_class_s_summary():
    def exercise(name, state, *messages):
        checks = [{"check": f"check {i}", "message": text, "diagnosis": ""} for i, text in enumerate(messages)]
        return {"exercise": name, "state": state, "checks": checks}

    untried = exercise("03.loss", "not attempted", *["not attempted"] * 3)
    rows = [
        {"state": "graded", "points": 1, "max_points": 4, "exercises": [exercise("03.reward_to_go", "", *said), rest]}
        for said, rest in [(("1 instead of 2",), untried), (("",), untried), (("",), exercise("03.loss", "", "0 inst"))]
    ]
    assert report.summary(rows) == [
        "3 graded: 0 with all points, median 25 %",
        "1 of 1 fail 03.loss, check 0",
        "1 of 3 fail 03.reward_to_go, check 0",
        "2 of 3 have not attempted 03.loss",
    ]
