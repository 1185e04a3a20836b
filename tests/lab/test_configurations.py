"""What a configuration is, and that a record is found again after an option has been added."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.algorithms import ALGORITHMS, Architecture, find
from pgcourse.algorithms.options import option
from pgcourse.lab import Study, configurations, studies, study_names
from pgcourse.lab.configurations import Configuration, canonical, differences, plain

ROOT = Path(__file__).resolve().parents[2]
FROZEN = json.loads((Path(__file__).parent / "neutral.json").read_text("utf-8"))
RLHF = "pgcourse.rlhf.trainer:RLHF"  # no algorithm of `pgcourse train`, but of four studies
KINDS = {kind.__name__: kind for kind in (*map(find, [*ALGORITHMS, RLHF]), Architecture, Configuration)}


@dataclass(frozen=True)
class Options:
    lr: float = 0.1
    clip: float = float("inf")
    sizes: tuple[int, ...] = (64, 64)


CONFIG = {"algorithm": Options(), "env": "CartPole-v1", "seeds": [0, 1], "steps": 1000, "note": "ε ≤ 0.1"}


def test_the_canonical_form_is_a_committed_constant():
    """A change of it orphans every committed record: raise the schema version if that is meant."""
    assert canonical(CONFIG) == (
        '{"algorithm":{"clip":{"float":"inf"},"lr":0.1,"sizes":[64,64],"type":"Options"},"env":"CartPole-v1",'
        '"note":"\\u03b5 \\u2264 0.1","seeds":[0,1],"steps":1000}'
    )


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
configs = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    min_size=1,
    max_size=5,
)


def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(each) for each in value] if isinstance(value, list) else value


@given(configs)
def test_key_order_does_not_matter(config):
    assert not differences(reordered(config), config)


@given(configs, leaves, st.data())
def test_any_changed_value_is_a_difference(config, value, data):
    key = data.draw(st.sampled_from(sorted(config)))
    changed = config | {key: value}
    # As Python compares, but 1, 1.0 and True are three values, and so are 0.0 and -0.0.
    assert (not differences(plain(changed), config)) == (plain_repr(changed) == plain_repr(config))


def plain_repr(value):
    if isinstance(value, dict):
        return sorted((key, plain_repr(each)) for key, each in value.items())
    return [plain_repr(each) for each in value] if isinstance(value, list) else repr(value)


@given(configs)
def test_a_configuration_survives_its_file(config):
    assert not differences(json.loads(canonical(config)), config)


def test_dataclasses_count_by_name_and_fields():
    @dataclass
    class Other:
        lr: float = 0.1
        clip: float = float("inf")
        sizes: tuple[int, ...] = (64, 64)

    stored = plain(Options())
    assert differences(stored, Other()) == ["configuration is Options there, Other here"]
    assert differences(stored, Options(clip=-float("inf"))) == ['clip is {"float":"inf"} there, {"float":"-inf"} here']
    assert differences(stored, Options(sizes=(64,))) == ["sizes is [64,64] there, [64] here"]
    assert not differences(stored, Options(sizes=[64, 64]))


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"lr": float("nan")}, ValueError, "NaN"),
        ({1: 2}, TypeError, "keys must be strings, got 1"),
        ({"env": object}, TypeError, "got <class 'object'>"),
        ({"seeds": {1, 2}}, TypeError, "got {1, 2}"),
    ],
)
def test_what_has_no_canonical_form_is_refused(config, error, message):
    with pytest.raises(error, match=message):
        canonical(config)


# Options that are added


def grown(kind: type, **options) -> type:
    """The dataclass as it will be with another option."""
    fields = [("added", float, option(**options, help="what is new"))]
    return dataclasses.make_dataclass(kind.__name__, fields, bases=(kind,), frozen=True)


def test_an_absent_field_counts_as_neutral_and_only_then():
    stored, New = plain(Options()), grown(Options, default=0.5, neutral=0.0)
    assert not differences(stored, New(added=0.0))
    assert differences(stored, New()) == ["added is 0.0 there, 0.5 here"]
    (said,) = differences(stored, grown(Options, default=0.5)(added=0.5))
    assert said == "added is not stored there, and declares no neutral value"
    assert differences(plain(New(added=0.0)), Options()) == ["added is not an option any more"]


def test_an_option_that_is_gone_counts_at_its_neutral_value_as_if_it_had_never_been(monkeypatch):
    New = grown(Options, default=0.0, neutral=0.0)
    monkeypatch.setattr(configurations, "GONE", {"Options": {"added": 0.0}})
    assert not differences(plain(New(added=0.0)), Options())
    assert differences(plain(New(added=0.5)), Options()) == ["added is not an option any more"]


def test_neutral_options_may_be_dataclasses():
    New = dataclasses.make_dataclass(
        "Options",
        [("inner", Options, option(Options(), "what is new", neutral=Options()))],
        bases=(Options,),
        frozen=True,
    )
    assert not differences(plain(Options()), New())
    assert differences(plain(Options()), New(inner=Options(lr=0.2))) == ["inner.lr is 0.1 there, 0.2 here"]


@pytest.mark.parametrize("name", KINDS)
def test_an_option_added_to_any_dataclass_loses_no_record(name, monkeypatch):
    """Every committed record is found with it at its neutral value, which is its default; at another one none is."""
    kind = KINDS[name]
    new, other = grown(kind, default=0.0, neutral=0.0), grown(kind, default=0.5, neutral=0.0)
    for each, found in ((new, True), (other, False)):
        with monkeypatch.context() as patch:
            patch.setattr(
                studies, "find_algorithm", lambda name, kind=kind, each=each: each if find(name) is kind else find(name)
            )
            for module_name in ("Architecture", "Configuration"):
                if kind.__name__ == module_name:
                    patch.setattr(studies, module_name, each)
            blocks = [block for study in map(Study.read, study_names()) for block in study.blocks()]
            of_this = [isinstance(part(block, name), each) for block in blocks]
            there = [bool(block.find()) for block in blocks]
        assert there == [found or not this for this in of_this]
    assert any(of_this), f"no committed record is of {name}: declare a study, see docs/adding.md"


def part(block, name):
    if name == "Configuration":
        return block.configuration
    return block.network if name == "Architecture" else block.algorithm


@pytest.mark.parametrize("name", KINDS)
def test_neutral_values_are_frozen(name):
    """neutral.json: of each dataclass, the fields that records have always held, and the neutral values of all others.

    A new option needs a neutral value, and a line here. One that is renamed or gone is a migration of the records, and
    needs a line in CHANGELOG.md with its name as `Kind.option`.
    """
    fields = {field.name: field.metadata.get("neutral") for field in dataclasses.fields(KINDS[name])}
    assert name in FROZEN, f"neutral.json does not know {name}: see docs/adding.md"
    always, neutral = FROZEN[name]["always"], FROZEN[name]["neutral"]
    added = {field: value for field, value in fields.items() if field not in always}
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for gone in {*always, *neutral} - set(fields):
        assert f"`{name}.{gone}`" in changelog
    assert {field: plain(value) for field, value in added.items()} == {
        field: value for field, value in neutral.items() if field in fields
    }
    assert all("neutral" in field.metadata for field in dataclasses.fields(KINDS[name]) if field.name in added)
