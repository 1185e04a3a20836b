"""Verdicts, from tables and from comparisons alone; tests/course/test_reproduce.py asks the command."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from gymnasium import spaces

import pgcourse as pg
from pgcourse.envs import Breakout, TensorWorld
from pgcourse.lab import Study, compute, compute_fingerprint, compute_prefix, machine, repeat_fingerprint, store
from pgcourse.lab.reproduction import (
    TOLERANCE,
    Comparison,
    compare,
    explanations,
    fingerprint_distance,
    first_difference,
    study_verdict,
)
from pgcourse.lab.runs import COUNTS, INDEX, NUDGE, _Nudged


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """The third run of the small study and its record."""
    from small_study import SMALL

    folder = tmp_path_factory.mktemp("results") / "small"
    folder.mkdir()
    (folder / "study.toml").write_text(SMALL, encoding="utf-8")
    block = Study.at(folder).blocks()[2]
    return block, store(block, compute(block))


@pytest.fixture
def record(computed):
    return computed[1]


@pytest.fixture
def again(computed):
    return {"prefix": compute_prefix(computed[0])}


def test_a_shorter_repetition_is_held_against_the_rows_it_has(record, again):
    assert compare(record, again).verdict == "repeated"
    short = again["prefix"].query("iteration <= 4").reset_index(drop=True)
    assert compare(record, {"prefix": short}).verdict == "repeated"
    short.loc[short["iteration"] == 4, "entropy"] *= 2
    assert compare(record, {"prefix": short}).unequal.startswith("iteration 4, seed 0: entropy was")


def test_the_first_difference_is_named(record, again):
    table = again["prefix"]
    table.loc[(table["iteration"] == 7) & (table["seed"] == 1), "entropy"] *= 2
    table.loc[(table["iteration"] == 5) & (table["seed"] == 0), "grad_norm"] = 0.5
    was = record.tables["prefix"].query("iteration == 5 and seed == 0")["grad_norm"].item()
    assert compare(record, again).unequal == f"iteration 5, seed 0: grad_norm was {was:.9g}, is 0.5"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.rename(columns={"entropy": "surprise"}), "other numbers are reported: entropy, surprise"),
        (lambda table: table[table["seed"] == 0].assign(seed=9), "no iteration in common"),
        (lambda table: table.assign(value_loss=np.nan), "iteration 1, seed 0: value_loss was .* is nan"),
    ],
)
def test_any_difference_is_seen(record, again, change, said):
    comparison = compare(record, {"prefix": change(again["prefix"])})
    assert comparison.verdict == "drifted"
    assert pd.Series(comparison.unequal).str.fullmatch(f"{said}.*").all()


def test_where_bits_differ_the_fingerprint_decides(computed, again):
    block, record = computed
    again["prefix"]["entropy"] *= np.float32(1 + 2e-7)
    kept = record.tables["fingerprint"]
    now = repeat_fingerprint(block, kept["iteration"].max())
    assert compare(record, again | {"fingerprint": now}).distance == 0
    assert compare(record, again | {"fingerprint": now}).verdict == "reproduced"
    column = now["grad_norm"]
    for size, verdict in ((0.9, "reproduced"), (1.1, "drifted")):
        changed = now.assign(grad_norm=column + (now["seed"] == 1) * size * TOLERANCE * column.max())
        comparison = compare(record, again | {"fingerprint": changed})
        assert (comparison.verdict, comparison.farthest) == (verdict, "grad_norm")


def test_a_whole_run_is_compared_to_its_end(record):
    tables = {name: table.copy() for name, table in record.tables.items()}
    assert compare(record, tables).verdict == "repeated"
    tables["evaluations"].loc[5, "return"] += 1
    assert compare(record, tables).unequal == "evaluations.csv differs, the first 10 iterations do not"
    assert compare(record, tables).verdict == "reproduced"  # by its first iterations


def test_what_may_explain_differences(record):
    block_machine, code, world = (record.manifest[name] for name in ("machine", "source", "world"))
    assert explanations(record, machine(), code, world) == {}
    other = explanations(record, block_machine | {"threads": 9}, "0" * 64, world | {"time_limit": 7})
    assert other["threads"] == (9, 1)
    assert other["source"] == ("0" * 12, code[:12])
    assert other["world"] == ("time limit was 500, is 7", "CartPole-v1")


# The fingerprint


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame({"seed": [0, 0], "iteration": [1, 2], **columns})


def test_distance_is_in_units_of_a_columns_largest_number():
    kept = table(kl=[1.0, -4.0], zero=[0.0, 0.0])
    assert fingerprint_distance(kept, kept) == (0.0, "kl")
    assert fingerprint_distance(kept, table(kl=[1.5, -4.0], zero=[0.0, 0.0])) == (0.125, "kl")
    assert fingerprint_distance(kept, table(kl=[1.0, -8.0], zero=[0.0, 0.0])) == (0.5, "kl")
    assert fingerprint_distance(kept, table(kl=[1.0, -4.0], zero=[0.0, 0.25])) == (1.0, "zero")
    collapsed = table(grad_norm=[np.nan, 5e-14])  # the rounding of a gradient that is 0
    assert fingerprint_distance(collapsed, table(grad_norm=[0.1, 6e-14]))[0] < TOLERANCE


def test_what_is_not_told_is_not_compared_and_what_is_must_be_there():
    kept = table(kl=[1.0, np.nan])
    assert fingerprint_distance(kept, table(kl=[1.0, 7.0]))[0] == 0
    assert fingerprint_distance(kept, table(kl=[1.0, np.nan]))[0] == 0
    assert fingerprint_distance(kept, table(kl=[np.nan, 7.0]))[0] == math.inf
    assert fingerprint_distance(kept, kept[:0])[0] == math.inf
    assert fingerprint_distance(kept[:0], kept)[0] == math.inf
    assert fingerprint_distance(kept, table(entropy=[1.0, 7.0]))[0] == math.inf


def test_what_a_twin_has_otherwise_is_not_compared_and_something_must_be_left():
    kept = table(kl=[1.0, 4.0])
    drifted, grown = table(kl=[1.001, 4.0]), table(kl=[1.0, 4.1])
    twin = table(kl=[1.0 + 1e-12, 4.3])
    assert fingerprint_distance(kept, grown)[0] > TOLERANCE
    assert fingerprint_distance(kept, grown, twin)[0] < TOLERANCE
    assert fingerprint_distance(kept, drifted, drifted + twin * 1e-12)[0] > TOLERANCE
    assert fingerprint_distance(kept, grown, table(kl=[2.0, 4.3]))[0] == math.inf
    short = table(kl=[1.0, np.nan])  # a fingerprint is its own twin: what it does not tell, nobody compares
    assert fingerprint_distance(kept, short, short) == (0.0, "kl")


def test_what_is_equal_on_another_path_is_so_by_chance():
    """Episodes are whole numbers: two trainings that parted long ago may both have ended three."""
    index = {"seed": [0, 0, 0, 1, 1, 1], "iteration": [1, 2, 3] * 2}
    kept = pd.DataFrame(index | {"kl": [1.0, 2.0, 3.0] * 2, "episodes": [1.0, 4.0, 3.0] * 2})
    now, twin, late = kept.copy(), kept.copy(), kept.copy()
    now.loc[2, ["kl", "episodes"]] = 2.5, 2.0
    twin.loc[[1, 2], "kl"] = 2.2, 2.9
    twin.loc[2, "episodes"] = 2.0
    assert fingerprint_distance(kept, now, twin) == (0.0, "kl")
    twin.loc[1, "kl"] = 2.0  # and now they part later than the numbers do
    twin.loc[2, "kl"] = 2.5
    assert fingerprint_distance(kept, now, twin) == (0.25, "episodes")
    late.loc[[4, 5], "episodes"] = 3.0, 2.0  # of another seed the first one's path says nothing
    assert fingerprint_distance(kept, late, late.assign(kl=[1.0, 9.0, 9.0, 1.0, 2.0, 3.0]))[0] == 0.25


class Logistic(TensorWorld):
    """x ← 4x(1 - x) from x in [0, 1): an error doubles with every step. All rewards are x."""

    name, initial_noise = "Logistic", 1
    observation_space, action_space = spaces.Box(0.0, 1.0, (1,)), spaces.Discrete(2)

    def initial(self, noise):
        return noise

    def transition(self, state, action, noise):
        state = 4 * state * (1 - state)
        return state, state[..., 0], torch.zeros_like(state[..., 0], dtype=torch.bool)


def played(world, steps):
    streams = pg.Streams(3, dtype=torch.float64)
    world.reset(streams)
    actions, noise = streams.child("actions").integers(2, steps, world.envs), world.noise(streams, steps)
    return [world.step(actions[:, t], noise[:, t]) for t in range(steps)]


def test_a_twin_shows_rounding_that_grows_inside_the_world():
    """Changed observations alone would show nothing: the actions are the same."""
    plain, twin = (played(make(4, dtype=torch.float64), 60) for make in (Logistic, nudged(Logistic)))
    apart = [(a.reward - b.reward).abs().max().item() for a, b in zip(plain, twin, strict=True)]
    assert apart[4] < 1e-9
    assert apart[-1] > 1e-3


def test_places_on_a_grid_are_the_same_for_a_twin():
    plain, twin = (played(make(4, dtype=torch.float64), 200) for make in (Breakout, nudged(Breakout)))
    assert sum(step.terminated.sum() for step in plain) > 10
    for a, b in zip(plain, twin, strict=True):
        assert torch.equal(a.terminated, b.terminated)
        torch.testing.assert_close(a.next_obs, b.next_obs, rtol=1e-11, atol=0)


def nudged(kind):
    return lambda envs, **options: _Nudged(kind(envs, **options), NUDGE)


def test_a_fingerprint_is_in_float64_and_of_the_first_iterations(computed):
    block, record = computed
    kept, prefix = record.tables["fingerprint"], record.tables["prefix"]
    assert set(kept.columns) == {*prefix.columns, "theta_norm"}
    assert set(kept.drop(columns=INDEX).dtypes) == {np.dtype("float64")}
    assert set(kept["seed"]) == {0, 1}
    assert kept["iteration"].max() == prefix["iteration"].max() == 10
    options = {"policy": block.networks()[0], "critic": block.networks()[1], "dtype": torch.float64}
    first = next(pg.training(block.algorithm, block.env, [0, 1], block.environment.steps, **options))
    rows = kept.query("iteration == 1")
    for name, metric in first.metrics.items():
        assert metric.dtype == torch.float64
        np.testing.assert_array_equal(rows[name], metric)
    np.testing.assert_array_equal(rows["theta_norm"], first.policy.theta.norm(dim=1))
    pd.testing.assert_frame_equal(compute_fingerprint(block), kept, check_exact=True)


def test_what_rounding_decides_is_left_out(declare):
    declare(
        text='title = "x"\nenv = "Pendulum-v1"\nsteps = 6000\nseeds = 2\nevaluation_episodes = 2\n'
        '[variants.a]\nalgorithm = "trpo"\ngamma = 0.9\nlam = 0.9\nhorizon = 256\ncritic_steps = 5\n'
    )
    (block,) = Study.read("small").blocks()
    kept = compute_fingerprint(block)
    assert kept[COUNTS].notna().all(axis=None)
    first = kept.query("iteration == 1")
    assert first["value_loss"].notna().all()
    assert first["cg_residual"].isna().all()  # conjugate gradients amplify rounding by ten orders of magnitude


# Verdicts on studies

REPEATED = Comparison("", {})
REPRODUCED = Comparison("iteration 3 ...", {}, 1e-9, "kl")
DRIFTED = Comparison("iteration 1 ...", {}, 1e-2, "kl")
UNKNOWN = Comparison("iteration 1 ...", {})  # nothing to compare with


@pytest.mark.parametrize(
    ("comparisons", "problems", "claims", "verdict"),
    [
        ([REPEATED, REPEATED], [], None, "repeated"),
        ([REPEATED, REPRODUCED], [], None, "reproduced"),
        ([DRIFTED, REPRODUCED], [], None, "drifted"),
        ([UNKNOWN], [], None, "drifted"),
        ([REPEATED], ["CorruptRecord"], None, "failed"),
        ([DRIFTED], ["CorruptRecord"], {"claim": ""}, "failed"),
        ([DRIFTED], [], {"claim": ""}, "reproduced"),
        ([REPRODUCED], [], {"one": "", "other": "0.4 is not above 0.5"}, "drifted"),
        ([REPEATED], [], {"other": "0.4 is not above 0.5"}, "repeated"),
        ([REPRODUCED], [], {}, "reproduced"),  # no claim rests on it
        ([DRIFTED], [], {}, "drifted"),
        ([], [], None, "repeated"),
    ],
)
def test_the_verdict_on_a_study(comparisons, problems, claims, verdict):
    assert study_verdict(comparisons, problems, claims) == verdict


def test_a_metric_that_came_later_says_nothing_against_a_record(record, again):
    tables = {name: table.assign(clipped_actions=np.float32(0.5)) for name, table in again.items()}
    assert compare(record, tables) == compare(record, again)
    assert first_difference(record.tables["prefix"], tables["prefix"]) == ""
    with_it = dataclasses.replace(record, tables=record.tables | {"prefix": tables["prefix"]})
    assert "other numbers are reported: clipped_actions" in compare(with_it, again).unequal
