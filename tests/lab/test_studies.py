import dataclasses
import json

import pytest
from small_study import SMALL

from pgcourse.algorithms import A2C, REINFORCE, Architecture
from pgcourse.lab import repository, studies
from pgcourse.lab.configurations import canonical
from pgcourse.lab.studies import Study, StudyError, Variant, study_names


def ids(study: Study) -> list[str]:
    return [canonical(block.configuration) for block in study.blocks()]


def test_a_declaration_becomes_runs(declare):
    declare()
    study = Study.read("small")
    assert study.name == "small"
    small = Architecture(hidden=(8,))
    assert study.variants == {
        "plain": {"CartPole-v1": Variant(REINFORCE(envs=4, baseline="none"), small)},
        "critic": {"CartPole-v1": Variant(A2C(envs=4), small)},
    }
    blocks = [(block.variant, block.seeds) for block in study.blocks()]
    assert blocks == [("plain", (0, 1)), ("plain", (2, 3)), ("critic", (0, 1)), ("critic", (2, 3))]
    assert json.loads(ids(study)[3]) == {
        "type": "Configuration",
        "algorithm": {"type": "A2C"} | dataclasses.asdict(A2C(envs=4)),
        "env": "CartPole-v1",
        "arguments": {},
        "seeds": [2, 3],
        "steps": 600,
        "checkpoint_steps": 100_000,
        "network": {"type": "Architecture"} | dataclasses.asdict(Architecture()) | {"hidden": [8]},
        "evaluation_episodes": 3,
    }
    assert len(set(ids(study))) == 4
    study.check()


def test_defaults(declare):
    declare(text='title = "x"\nenv = "Pendulum-v1"\nsteps = 10\nseeds = 3\n[variants.a]\nalgorithm = "a2c"\n')
    study = Study.read("small")
    assert study.variants == {"a": {"Pendulum-v1": Variant(A2C(), Architecture(hidden=(64, 64)))}}
    assert (study.evaluation_episodes, study.keep_policies) == (100, False)
    assert [block.seeds for block in study.blocks()] == [(0, 1, 2)]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('title = "A small study"', 'title = "Another title"', True),
        ("variants.critic", "variants.renamed", True),
        ("keep_policies = true", "keep_policies = false", True),
        ('"a2c"\nenvs = 4', '"a2c"\nenvs = 4\ngamma = 0.99', True),  # the default, said aloud
        ("steps = 600", "steps = 601", False),
        ("seeds_per_block = 2", "seeds_per_block = 4", False),
        ("hidden = [8]", "hidden = [8, 8]", False),
        ("evaluation_episodes = 3", "evaluation_episodes = 4", False),
        ('"a2c"\nenvs = 4', '"a2c"\nenvs = 5', False),
        ('"a2c"\nenvs = 4', '"a2c"\nenvs = 4\nnetwork = { activation = "relu" }', False),
        ('"a2c"\nenvs = 4', '"a2c"\nenvs = 4\nnetwork = { hidden = [8] }', True),  # the study's, said aloud
        ('env = "CartPole-v1"', 'env = "gymnasium:CartPole-v1"', False),
    ],
)
def test_what_makes_another_run(declare, old, new, same):
    declare()
    declare("other", SMALL.replace(old, new))
    assert SMALL.replace(old, new) != SMALL
    assert (ids(Study.read("small"))[-1] == ids(Study.read("other"))[-1]) is same


def test_what_all_variants_share_is_said_once(declare):
    declare("long", SMALL)
    shared = SMALL.replace("envs = 4\n", "").replace("[variants.plain]", "[defaults]\nenvs = 4\n\n[variants.plain]")
    assert shared.count("envs") == 1
    declare("short", shared)
    assert ids(Study.read("short")) == ids(Study.read("long"))
    declare("own", shared.replace('"a2c"', '"a2c"\nenvs = 5'))
    assert [block.algorithm.envs for block in Study.read("own").blocks()] == [4, 4, 5, 5]


def test_whole_numbers_are_numbers(declare):
    declare("one", SMALL + "gamma = 1")
    declare("float", SMALL + "gamma = 1.0")
    assert ids(Study.read("one")) == ids(Study.read("float"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"a2c"', '"a3c"', "variants.critic: algorithm must be one of reinforce, a2c, .*; got 'a3c'"),
        ('algorithm = "a2c"', "", "variants.critic: algorithm must be one of .* got None"),
        (
            '"a2c"',
            '"a2c"\nlearning_rate = 0.1',
            "variants.critic: A2C has no option 'learning_rate'; it has .*lr",
        ),
        ('"a2c"', '"a2c"\nlr = "0.1"', "variants.critic: lr must be like 0.003, got '0.1'"),
        ('"a2c"', '"a2c"\nnormalize_advantage = 1', "normalize_advantage must be like False, got 1"),
        ('"a2c"', '"a2c"\nrollout = 16.5', "rollout must be like 16, got 16.5"),
        ('"a2c"', '"a2c"\ngamma = 1.5', "variants.critic: A2C: gamma must be .*, got 1.5"),
        ('"none"', '"mean"', "variants.plain: REINFORCE: baseline must be one of .*got 'mean'"),
        ("network", "netwerk", "unknown key 'netwerk'; a study has .*network"),
        ("hidden", "hiden", "network: Architecture has no option 'hiden'; it has hidden, .*"),
        (
            '"a2c"',
            '"a2c"\nnetwork = { std = "own" }',
            "variants.critic.network: Architecture: std must be one of .* got 'own'",
        ),
        ('"a2c"', '"a2c"\nnetwork = "relu"', "variants.critic.network must be a table, got 'relu'"),
        ('env = "CartPole-v1"', "", "env is missing"),
        ("steps = 600", "", "steps is missing"),
        ("seeds = 4\nseeds_per_block = 2", "", "seeds is missing"),
        ("steps = 600", "steps = 0", "steps must be an integer, 1 or more, got 0"),
        ("steps = 600", "steps = 6e2", "steps must be an integer, 1 or more, got 600.0"),
        ("seeds = 4", "seeds = true", "seeds must be an integer, 1 or more, got True"),
        ("seeds_per_block = 2", "seeds_per_block = 3", "seeds_per_block = 3 does not divide seeds = 4"),
        ("hidden = [8]", "hidden = 8", r"network: hidden must be like \[64, 64\], got 8"),
        (
            "hidden = [8]",
            "hidden = [8, 0]",
            r"network: Architecture: hidden must list sizes of 1 or more, got \[8, 0\]",
        ),
        ("keep_policies = true", 'keep_policies = "yes"', "keep_policies must be of type bool, got 'yes'"),
        ("steps = 600", "steps = = 600", "Invalid value"),
        (
            '"reinforce"\nenvs = 4\nbaseline = "none"',
            '"a2c"\nenvs = 4',
            "'plain' and 'critic' are the same configuration",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(declare, old, new, message):
    file = declare(text=SMALL.replace(old, new)) / "study.toml"
    assert SMALL.replace(old, new) != SMALL
    with pytest.raises(StudyError, match=message) as error:
        Study.read("small")
    assert str(file) in str(error.value)


def test_no_variants(declare):
    declare(text=SMALL.partition("[variants")[0] + "[variants]")
    with pytest.raises(StudyError, match="no variants"):
        Study.read("small")


@pytest.mark.parametrize("env", ["CartPole-v9", "gymnasium:CartPole-v9", "no-such-module:World-v0"])
def test_an_unknown_environment_is_found_before_anything_starts(declare, env):
    declare(text=SMALL.replace("CartPole-v1", env))
    with pytest.raises(StudyError, match=f"small: env = '{env}'"):
        Study.read("small").check()


def test_policies_too_large_to_keep_are_found_before_anything_starts(declare):
    declare(text=SMALL.replace("[8]", "[400, 400]"))
    with pytest.raises(StudyError, match=r"keep_policies: θ takes 1,\d{3},\d{3} bytes a block, 1,000,000 at most"):
        Study.read("small").check()


def test_an_unknown_study_is_named_beside_those_there_are(declare):
    declare("b")
    declare("a")
    assert study_names() == ["a", "b"]
    with pytest.raises(StudyError, match="no study 'c'; there are: a, b"):
        Study.read("c")


def test_results_are_found_in_the_repository_or_not_at_all(monkeypatch, tmp_path):
    monkeypatch.delenv("PGCOURSE_RESULTS", raising=False)
    assert studies.results_folder() == repository.repository() / "results"
    monkeypatch.setattr(studies, "repository", lambda: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="set PGCOURSE_RESULTS"):
        studies.results_folder()
    monkeypatch.setenv("PGCOURSE_RESULTS", str(tmp_path / "missing"))
    with pytest.raises(StudyError, match="missing"):
        studies.results_folder()


def test_committed_declarations_are_valid(monkeypatch):
    monkeypatch.delenv("PGCOURSE_RESULTS", raising=False)
    names = study_names()
    assert {"a2c-cartpole", "cartpole-gymnasium", "reinforce-cartpole"} <= set(names)
    for name in names:
        Study.read(name).check()
