import dataclasses
import json
from pathlib import Path

import pytest
from small_study import SMALL

from pgcourse.algorithms import A2C, REINFORCE, Architecture
from pgcourse.envs import make
from pgcourse.lab import provenance, studies
from pgcourse.lab.configurations import canonical
from pgcourse.lab.studies import Environment, Study, StudyError, Variant, study_names


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
        "reports": 100,
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
        ("evaluation_episodes = 3", "evaluation_episodes = 3\nreports = 100", True),  # the default, said aloud
        ("evaluation_episodes = 3", "evaluation_episodes = 3\nreports = 10", False),
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
        ('algorithm = "a2c"', "", "variants.critic: algorithm must be one of .* got 'None'"),
        (
            '"a2c"',
            '"a2c"\nlearning_rate = 0.1',
            "variants.critic: A2C has no option 'learning_rate'; it has .*lr",
        ),
        ('"a2c"', '"a2c"\nlr = "0.1"', "variants.critic: lr must be like 0.003, got '0.1'"),
        ('"a2c"', '"a2c"\nnormalize_advantage = 1', "normalize_advantage must be like False, got 1"),
        ('"a2c"', '"a2c"\nhorizon = 16.5', "horizon must be like 16, got 16.5"),
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
        ("keep_policies = true", "stages = [0.1]", "stages are of policies that are kept: add keep_policies = true"),
        ("seeds = 4", "seeds = 4\nstages = [0.5, 0.1]", "stages must list parts of the steps between 0 and 1, from"),
        ("seeds = 4", "seeds = 4\nstages = [1.0]", r"stages must list parts .* from small to large, got \[1.0\]"),
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


TWO = """
title = "Two worlds"
envs = ["CartPole-v1", "Pendulum-v1"]
steps = 600
seeds = 2
network = { hidden = [8] }

[defaults]
algorithm = "a2c"
gamma = 0.98
network = { activation = "relu" }

[environments."Pendulum-v1"]
steps = 900
checkpoint_steps = 300
defaults = { gamma = 0.9, lam = 0.8, network = { log_std = -1.0 } }

[variants.both]

[variants."γ = 0.5"]
gamma = 0.5

[variants."only here"]
only = ["Pendulum-v1"]
network = { std = "state" }
"""


def test_variants_are_crossed_with_environments(declare):
    declare(text=TWO)
    blocks = Study.read("small").blocks()
    assert [(block.variant, block.env) for block in blocks] == [
        ("both", "CartPole-v1"),
        ("both", "Pendulum-v1"),
        ("γ = 0.5", "CartPole-v1"),
        ("γ = 0.5", "Pendulum-v1"),
        ("only here", "Pendulum-v1"),
    ]
    assert [block.algorithm.gamma for block in blocks] == [0.98, 0.9, 0.5, 0.5, 0.9]
    assert [block.algorithm.lam for block in blocks] == [0.95, 0.8, 0.95, 0.8, 0.8]
    assert [block.network.log_std for block in blocks] == [0.0, -1.0, 0.0, -1.0, -1.0]
    assert [block.network.std for block in blocks] == ["global"] * 4 + ["state"]
    assert {(block.network.activation, block.network.hidden) for block in blocks} == {("relu", (8,))}
    assert [block.environment.steps for block in blocks] == [600, 900, 600, 900, 900]
    assert [block.environment.checkpoint_steps for block in blocks] == [100_000, 300, 100_000, 300, 300]
    assert [block.name for block in blocks[2:]] == [
        "gamma=0.5.CartPole-v1.seeds-0-1",
        "gamma=0.5.Pendulum-v1.seeds-0-1",
        "only-here.Pendulum-v1.seeds-0-1",
    ]
    assert [block.title for block in blocks[3:]] == [
        "γ = 0.5, Pendulum-v1, seeds 0 to 1",
        "only here, Pendulum-v1, seeds 0 to 1",
    ]


def test_a_run_is_the_same_in_a_study_of_its_environment_alone(declare):
    declare("two", TWO)
    declare(
        "one",
        'title = "x"\nenv = "Pendulum-v1"\nsteps = 900\nseeds = 2\ncheckpoint_steps = 300\n[variants.a]\n'
        'algorithm = "a2c"\ngamma = 0.5\nlam = 0.8\n'
        'network = { hidden = [8], activation = "relu", log_std = -1.0 }\n',
    )
    assert ids(Study.read("one")) == [ids(Study.read("two"))[3]]
    assert ids(Study.read("two").on("Pendulum-v1")) == [ids(Study.read("two"))[each] for each in (1, 3, 4)]


def test_a_study_of_several_environments_asks_which_one(declare):
    declare(text=TWO)
    study = Study.read("small")
    for what in ("env", "steps"):
        with pytest.raises(StudyError, match="choose one"):
            getattr(study, what)
    assert (study.on("Pendulum-v1").env, study.on("Pendulum-v1").steps) == ("Pendulum-v1", 900)
    with pytest.raises(StudyError, match="small has no environment 'Acrobot-v1'; it has CartPole-v1, Pendulum-v1"):
        study.on("Acrobot-v1")


def test_arguments_go_to_the_world(declare):
    given = '[environments."MinAtar/Seaquest-v1"]\narguments = { max_episode_steps = 50 }\n'
    declare(
        text=SMALL.replace("CartPole-v1", "MinAtar/Seaquest-v1").replace("[variants.plain]", f"{given}[variants.plain]")
    )
    block = Study.read("small").blocks()[0]
    assert block.world["time_limit"] == 50
    assert block.configuration.arguments == {"max_episode_steps": 50}
    assert make(block.environment.make, 3).envs == 3


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("PPO, KL penalty", "PPO-KL-penalty"),
        ("λ = 1", "lambda=1"),
        ("σ(s)", "sigma-s"),
        ("σ = 0.3, raw rewards", "sigma=0.3-raw-rewards"),
        ("große Schritte, é", "gro-e-Schritte-e"),
        ("MinAtar/Breakout-v1", "MinAtar-Breakout-v1"),
        ("..", ""),
    ],
)
def test_folders_have_names_that_people_read(name, slug):
    assert studies.slug(name) == slug


def test_folders_of_blocks():
    blocks = Study(Path("x"), "x", {"A": Environment("A", 1, 1)}, 3, 1, 2, False, {"a b": {"A": None}}).blocks()
    assert [block.name for block in blocks] == ["a-b.seed-0", "a-b.seed-1", "a-b.seed-2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[variants.both]", '[variants."γ=0.5"]', "would both be kept in gamma=0.5.CartPole-v1.seeds-0-1"),
        ("[variants.both]", '[variants."Only here"]', "Only-here.Pendulum-v1|only-here.Pendulum-v1"),
        ("[variants.both]", '[variants."?"]', r"variants.'\?' has no letter or digit"),
        ("envs = [", 'env = "CartPole-v1"\nenvs = [', "env and envs cannot both be given"),
        ('"Pendulum-v1"]\nsteps', '"CartPole-v1"]\nsteps', "envs must list .* each once"),
        (
            'only = ["Pendulum-v1"]',
            'only = ["Acrobot-v1"]',
            "variants.only here: only must list some of CartPole-v1, Pend",
        ),
        ('only = ["Pendulum-v1"]', "only = []", "only must list some of"),
        ('[environments."Pendulum-v1"]', '[environments."Acrobot-v1"]', "environments.'Acrobot-v1' is not among envs"),
        ("steps = 900", "steps = 0", "environments.Pendulum-v1: steps must be an integer, 1 or more, got 0"),
        ("steps = 900", "seeds = 9", "environments.Pendulum-v1: unknown key 'seeds'; it may have steps, "),
        ("lam = 0.8", "lamda = 0.8", "A2C has no option 'lamda'"),
        ("steps = 600", "", "steps is missing"),
    ],
)
def test_a_wrong_declaration_of_several_environments_is_refused_by_name(declare, old, new, message):
    assert TWO.replace(old, new) != TWO
    declare(text=TWO.replace(old, new, 1))
    with pytest.raises(StudyError, match=message):
        Study.read("small")


def test_steps_may_be_said_of_each_environment(declare):
    declare(
        text=TWO.replace("steps = 600", "").replace(
            "[variants.both]", '[environments."CartPole-v1"]\nsteps = 5\n[variants.both]'
        )
    )
    assert [each.steps for each in Study.read("small").environments.values()] == [5, 900]


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
    assert studies.results_folder() == provenance.repository() / "results"
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
    assert {"a2c-cartpole", "pendulum", "reinforce-cartpole"} <= set(names)
    for name in names:
        Study.read(name).check()
