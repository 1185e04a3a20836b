"""Options: out of range they are refused by name, with what is allowed; and what their metadata says."""

import dataclasses
import math
import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.algorithms import ALGORITHMS, Architecture, check, find, option


@dataclass(frozen=True)
class Kettle:
    """Every kind of option."""

    cups: int = option(2, "how many", low=1, high=8)
    heat: float = option(90.0, "degrees", above=0, high=100)
    patience: float = option(math.inf, "seconds", above=0, infinite=True)
    slope: float = option(0.0, "any number")
    lid: bool = option(True, "whether it is closed", neutral=True)
    tea: str = option("black", "of which kind", choices=("black", "green"))
    name: str = "kettle"  # no option

    def __post_init__(self):
        check(self)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cups": 0}, "Kettle: cups must be at least 1 and at most 8, got 0"),
        ({"cups": 9}, "Kettle: cups must be at least 1 and at most 8, got 9"),
        ({"cups": 2.0}, "Kettle: cups must be an integer and at least 1 and at most 8, got 2.0"),
        ({"cups": True}, "Kettle: cups must be an integer and at least 1 and at most 8, got True"),
        ({"heat": 0}, "Kettle: heat must be above 0 and at most 100, got 0"),
        ({"heat": "hot"}, "Kettle: heat must be a number and above 0 and at most 100, got 'hot'"),
        ({"heat": False}, "Kettle: heat must be a number and above 0 and at most 100, got False"),
        ({"patience": math.nan}, "Kettle: patience must be above 0, got nan"),
        ({"slope": math.nan}, "Kettle: slope must be a number, got nan"),
        ({"slope": -math.inf}, "Kettle: slope must be a number and finite, got -inf"),
        ({"lid": 1}, "Kettle: lid must be True or False, got 1"),
        ({"tea": "red"}, "Kettle: tea must be one of black, green, got 'red'"),
    ],
)
def test_what_is_refused_and_how(given, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011, the whole message is compared
        Kettle(**given)
    assert str(error.value) == message


@given(st.floats(), st.integers(-3, 12))
def test_the_range_is_what_it_says(number, cups):
    for name, value, allowed in (
        ("heat", number, 0 < number <= 100),
        ("patience", number, number > 0),
        ("slope", number, math.isfinite(number)),
        ("cups", cups, 1 <= cups <= 8),
    ):
        if allowed:
            assert getattr(Kettle(**{name: value}), name) == value
        else:
            with pytest.raises(ValueError, match=f"Kettle: {name} must be"):
                Kettle(**{name: value})


def test_numbers_of_numpys_are_pythons():
    given = Kettle(cups=np.int64(3), heat=np.float32(0.5), lid=np.True_, tea=np.str_("green"))
    assert given == Kettle(3, 0.5, lid=True, tea="green")
    assert [type(getattr(given, name)) for name in ("cups", "heat", "lid", "tea")] == [int, float, bool, str]
    with pytest.raises(ValueError, match=r"cups must be at least 1 and at most 8, got 9"):
        Kettle(cups=np.int64(9))
    assert Architecture(hidden=np.array([8, 4])).hidden == (8, 4)


@pytest.mark.parametrize("hidden", [64, "64", None, [8.0], [0], [True], [[8]]])
def test_layers_are_a_list_of_sizes(hidden):
    with pytest.raises(ValueError, match=re.escape(f"hidden must list sizes of 1 or more, got {hidden!r}")):
        Architecture(hidden=hidden)


def test_metadata():
    lid, slope = Kettle.__dataclass_fields__["lid"], Kettle.__dataclass_fields__["slope"]
    assert (lid.metadata["help"], lid.metadata["neutral"]) == ("whether it is closed", True)
    assert "neutral" not in slope.metadata
    assert Kettle(name=3).name == 3


@pytest.mark.parametrize("kind", [*map(find, ALGORITHMS), Architecture], ids=lambda kind: kind.__name__)
def test_every_option_of_ours_is_explained_and_its_default_allowed(kind):
    """And a neutral value, too: a record made before the option existed has it."""
    for field in dataclasses.fields(kind):
        assert field.metadata["help"]
        dataclasses.replace(kind(), **{field.name: field.metadata.get("neutral", field.default)})
        if field.name != "hidden":
            with pytest.raises(ValueError, match=f"{kind.__name__}: {field.name} must be .*, got None"):
                dataclasses.replace(kind(), **{field.name: None})
