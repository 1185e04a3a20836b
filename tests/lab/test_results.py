import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_study import SMALL

import pgcourse as pg
from pgcourse.algorithms.curves import Curves
from pgcourse.core import MLP, Critic, SoftmaxPolicy
from pgcourse.lab import (
    CorruptRecord,
    MissingRecord,
    Study,
    beside_published,
    compute,
    compute_prefix,
    load,
    machine,
    percentile,
    published,
    store,
)
from pgcourse.lab.records import metrics_digest
from pgcourse.lab.runs import PREFIX, single

NETWORKS = SoftmaxPolicy(MLP((4, 8, 2), last_gain=0.01)), Critic(MLP((4, 8, 1), last_gain=1.0))


@pytest.fixture
def computed(declare):
    """A small study, computed in this process."""
    folder = declare()
    for block in Study.read("small").blocks():
        store(block, compute(block))
    return folder


def test_a_record_is_what_training_and_evaluation_give(computed):
    results = load("small")
    assert list(results.records) == ["plain", "critic"]
    tables = []
    for variant, algorithm in (("plain", pg.REINFORCE(envs=4, baseline="none")), ("critic", pg.A2C(envs=4))):
        for seeds in ([0, 1], [2, 3]):
            run = pg.train(algorithm, "CartPole-v1", seeds, 600, *NETWORKS)
            tables.append(run.curves.assign(variant=variant))
            returns = pg.evaluate(run.policy, 3).groupby("seed")["return"].agg(["mean", "std"])
            kept = results.evaluations.query("variant == @variant and seed in @seeds").set_index("seed")
            np.testing.assert_allclose(kept[["mean_return", "sd"]], returns, rtol=1e-6)
            assert (kept["episodes"] == 3).all()
            rows = [results.policy(variant).seeds.index(seed) for seed in seeds]
            assert torch.equal(results.policy(variant).theta[rows], run.policy.theta)
    expected = pd.concat(tables, ignore_index=True)
    pd.testing.assert_frame_equal(results.curves[expected.columns], single(expected), check_exact=True)


def test_a_kept_policy_plays_as_it_was_evaluated(computed):
    results = load("small")
    for variant in ("plain", "critic"):
        again = pg.evaluate(results.policy(variant), 3)
        stored = results.episodes.query("variant == @variant").reset_index(drop=True)
        pd.testing.assert_frame_equal(again, stored[again.columns], check_exact=True)


def test_policies_of_earlier_stages_are_those_of_that_training(declare):
    declare(text=SMALL.replace("keep_policies = true", "keep_policies = true\nstages = [0.2, 0.5]"))
    for block in Study.read("small").blocks():
        store(block, compute(block))
    results = load("small")
    seen = {0.0: pg.A2C(envs=4).init(*NETWORKS, pg.Streams([2, 3]).child("init")).theta}
    for it in pg.training(pg.A2C(envs=4), "CartPole-v1", [2, 3], 600, *NETWORKS):
        for stage in (0.2, 0.5, 1.0):
            if it.steps.min() >= 600 * stage:
                seen.setdefault(stage, it.policy.theta)
    for stage, theta in seen.items():
        policy = results.policy("critic", at=stage)
        assert policy.seeds == (0, 1, 2, 3)
        assert torch.equal(policy.theta[2:], theta)
    with pytest.raises(MissingRecord, match=r"no policies after 0\.3 of the steps, but after 0, 0\.2, 0\.5 and 1"):
        results.policy("critic", at=0.3)


def test_a_run_computed_again_has_the_same_digests(computed):
    """In this process and others, alone or among other runs: `metrics` and `tensors` are equal bit for bit."""
    study = Study.read("small")
    for block in study.blocks():
        first = block.record().manifest
        store(block, compute(block), replace=True)
        second = block.record().manifest
        for key in ("metrics", "tensors", "files"):
            assert second[key] == first[key]
        assert second["machine"] == machine()
        assert second["cpu_seconds"] > 0


def test_the_prefix_is_what_a_run_that_stops_early_reports(computed):
    block = Study.read("small").blocks()[3]
    record = block.record()
    kept = record.tables["prefix"]
    assert record.manifest["iterations"] == 10  # 600 steps in rollouts of 16 steps of 4 copies
    assert kept["iteration"].max() == 10
    assert metrics_digest(compute_prefix(block)) == metrics_digest(kept)
    first = next(pg.training(block.algorithm, "CartPole-v1", block.seeds, 600, *NETWORKS))
    for number, seed in enumerate(block.seeds):
        row = kept.query(f"seed == {seed} and iteration == 1").squeeze()
        assert row["return"] == first.total_return[number]
        assert np.float32(row["value_loss"]) == first.metrics["value_loss"][number]


def test_the_prefix_ends_after_a_few_iterations(declare):
    declare(text=SMALL.replace('"a2c"\nenvs = 4', '"a2c"\nenvs = 1\nhorizon = 4'))
    block = Study.read("small").blocks()[2]
    assert block.study.steps / 4 > PREFIX
    expected = [(seed, number) for seed in (0, 1) for number in range(1, PREFIX + 1)]
    table = compute(block).tables["prefix"]
    assert list(table[["seed", "iteration"]].itertuples(index=False, name=None)) == expected
    assert metrics_digest(table) == metrics_digest(compute_prefix(block))


def test_a_record_of_many_seeds_stays_small(declare):
    """Ten seeds in the prefix, and as many rows of curves as the study asks for; final returns of all."""
    declare(text=SMALL.replace("seeds_per_block = 2", "reports = 3").replace("seeds = 4", "seeds = 12"))
    block = Study.read("small").blocks()[1]
    tables = compute(block).tables
    assert tables["prefix"]["seed"].unique().tolist() == list(range(10))
    assert metrics_digest(compute_prefix(block)) == metrics_digest(tables["prefix"])
    assert tables["curves"].groupby("seed").size().between(3, 4).all()  # the last step opens a fourth
    assert tables["evaluations"]["seed"].nunique() == tables["curves"]["seed"].nunique() == 12
    fine = Curves(600)
    for iteration in pg.training(block.algorithm, "CartPole-v1", block.seeds, 600, *NETWORKS):
        fine.add(iteration)
    kept, all_reports = tables["curves"], single(fine.frame(block.seeds))
    assert kept["episodes"].sum() == all_reports["episodes"].sum()  # coarse, not cut
    total = (kept["return"] * kept["episodes"]).sum()
    assert total == pytest.approx((all_reports["return"] * all_reports["episodes"]).sum(), rel=1e-5)


def test_a_repetition_of_large_batches_ends_earlier_with_the_same_numbers(declare):
    """Rollouts of 4,000 steps: two are more than 5,000, three are the fewest that are compared."""
    declare(text=SMALL.replace("600", "24_000").replace('"a2c"\nenvs = 4', '"a2c"\nenvs = 250'))
    block = Study.read("small").blocks()[2]
    assert block.algorithm.envs * block.algorithm.horizon == 4000
    kept, again = compute(block).tables["prefix"], compute_prefix(block)
    assert (kept["iteration"].max(), again["iteration"].max()) == (6, 3)
    pd.testing.assert_frame_equal(again, kept[kept["iteration"] <= 3].reset_index(drop=True), check_exact=True)
    one = compute_prefix(block, lambda first: (first["iteration"] == 1).all())
    pd.testing.assert_frame_equal(one, kept[kept["iteration"] == 1].reset_index(drop=True), check_exact=True)


def test_tables_of_several_environments_say_which(declare):
    one, two = (
        SMALL.replace("CartPole-v1", "Pendulum-v1"),
        SMALL.replace('env = "CartPole-v1"', 'envs = ["CartPole-v1", "Pendulum-v1"]'),
    )
    declare("pendulum", one.partition("[variants.critic]")[0])
    declare(text=two.partition("[variants.critic]")[0])
    for name in ("small", "pendulum"):
        for block in Study.read(name).blocks():
            store(block, compute(block))
    results, alone = load("small"), load("pendulum")
    for table in ("curves", "episodes", "evaluations"):
        frame = getattr(results, table)
        assert list(frame.columns[:2]) == ["variant", "env"]
        of_one = frame.query("env == 'Pendulum-v1'").drop(columns="env").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_one, getattr(alone, table), check_exact=True)
        pd.testing.assert_frame_equal(
            getattr(results.on("Pendulum-v1"), table), getattr(alone, table), check_exact=True
        )
    policy = results.policy("plain", "Pendulum-v1")
    assert torch.equal(policy.theta, alone.policy("plain").theta)
    assert (policy.env, policy.seeds) == ("Pendulum-v1", (0, 1, 2, 3))
    with pytest.raises(ValueError, match="small has several environments: CartPole-v1, Pendulum-v1; choose one"):
        results.policy("plain")
    assert "small: CartPole-v1, Pendulum-v1, 4 seeds × 600 steps" in results.describe()


def test_what_is_kept_is_float32(computed):
    record = Study.read("small").blocks()[0].record()
    for name in ("curves", "evaluations", "prefix"):
        assert {str(dtype) for dtype in record.tables[name].dtypes} <= {"int64", "int32", "float32"}


def test_missing_and_corrupt_records_are_errors(computed):
    study = Study.read("small")
    (computed / study.blocks()[1].name / "curves.csv").write_bytes(b"seed,step\n")
    with pytest.raises(CorruptRecord, match=r"curves\.csv"):
        load("small")
    study.store.remove(study.blocks()[1].name)
    with pytest.raises(MissingRecord, match="`pgcourse study small` computes it"):
        load("small")


def test_policies_that_were_not_kept(declare):
    declare(text=SMALL.replace("keep_policies = true", "keep_policies = false"))
    for block in Study.read("small").blocks():
        store(block, compute(block))
    results = load("small")
    with pytest.raises(MissingRecord, match=r"keeps no policies; .*pgcourse study small --refresh"):
        results.policy("plain")
    before = results.policy("plain", at=0)  # follows from the seeds
    assert torch.equal(before.theta, before.policy.init(pg.Streams(before.seeds).child("init").child("theta")))
    assert before.seeds == (0, 1, 2, 3)
    with pytest.raises(KeyError, match="no variant 'other'; it has plain, critic"):
        results.policy("other")


def test_describe_is_one_line_with_the_history(computed):
    results = load("small")
    line = results.describe()
    assert "\n" not in line
    for part in ("small: CartPole-v1, 2 variants × 4 seeds × 600 steps", torch.__version__, machine()["cpu_model"]):
        assert part in line
    (commit,) = {manifest["commit"] for blocks in results.manifests.values() for manifest in blocks}
    assert (commit or "unknown")[:7] in line


@pytest.fixture
def reference(declare):
    """A study of ten seeds that learn CartPole for a while, computed in this process."""
    declare("reference", REFERENCE)
    for block in Study.read("reference").blocks():
        store(block, compute(block))
    return load("reference")


REFERENCE = """
title = "Reference seeds"
env = "CartPole-v1"
steps = 4000
seeds = 10
evaluation_episodes = 2

[variants.ours]
algorithm = "a2c"

[variants.slow]
algorithm = "a2c"
lr = 1e-4
"""


def test_the_references_own_seeds_have_their_own_places(reference):
    run = pg.train(pg.A2C(), "CartPole-v1", 10, 4000)
    table = percentile(run)  # found by environment and hyper-parameters
    assert table.columns.name == "beside reference: ours"
    late = reference.curves.query("variant == 'ours' and step > 3600")
    means = late.groupby("seed").apply(lambda seed: np.average(seed["return"].fillna(0), weights=seed["episodes"]))
    np.testing.assert_allclose(table["return"], means, rtol=1e-6)
    places = means.rank() - 0.5  # better than those below, and a tie, with itself, counts half
    np.testing.assert_array_equal(table["better_than"], places)
    np.testing.assert_allclose(table["percentile"], places / 10 * 100)
    assert (table["of"] == 10).all()


def test_a_run_of_another_length_is_compared_at_equal_steps(reference):
    curves = reference.curves.query("variant == 'slow'")
    run = pg.train(pg.A2C(lr=1e-4), "CartPole-v1", [20, 21], 8000)
    assert run.curves["step"].max() > curves["step"].max()
    changed = run.curves["return"].where(run.curves["step"] <= curves["step"].max(), 500.0)
    later = pg.Run(run.algorithm, run.policy, run.curves.assign(**{"return": changed}))
    np.testing.assert_array_equal(percentile(later)["return"], percentile(run)["return"])
    sooner = pg.Run(run.algorithm, run.policy, run.curves.assign(**{"return": 500.0}))
    assert (percentile(sooner)["return"] == 500).all()


def test_percentiles_need_to_know_with_what_to_compare(reference):
    run = pg.train(pg.A2C(lr=5e-3), "CartPole-v1", [20, 21], 2000)
    with pytest.raises(ValueError, match="study='reference', variant='ours'; study='reference', variant='slow'"):
        percentile(run)
    assert len(percentile(run, "reference", "slow")) == 2
    with pytest.raises(ValueError, match=r"no record fits REINFORCE on 'Pendulum-v1'; studies: reference"):
        percentile(pg.train(pg.REINFORCE(envs=2), "Pendulum-v1", 1, 400))
    pendulum = pg.train(pg.A2C(), "Pendulum-v1", 1, 4000)
    with pytest.raises(ValueError, match="the run is of 'Pendulum-v1', study reference of 'CartPole-v1'"):
        percentile(pendulum, "reference", "ours")
    short = pg.Run(run.algorithm, run.policy, run.curves.assign(episodes=0))
    with pytest.raises(ValueError, match=r"seeds \[20, 21\] have ended no episode in .* steps: train for longer"):
        percentile(short, "reference", "ours")


def test_a_record_that_several_studies_share_is_one_reference(reference, declare):
    declare("another", REFERENCE.replace("[variants.slow]", "[variants.unlike]").replace("1e-4", "2e-4"))
    run = pg.train(pg.A2C(), "CartPole-v1", [20, 21], 2000)
    store(block := Study.read("another").blocks()[0], compute(block))
    store(block := Study.read("another").blocks()[1], compute(block))
    assert percentile(run)["of"].tolist() == [10, 10]


def test_what_others_report_is_found_by_environment_and_algorithm():
    rows = published("Reacher-v5", "PPO")
    assert rows[["environment", "score", "seeds"]].values.tolist() == [["Reacher-v2", -4.1, 10.0]]
    whole = published()
    assert len(whole) == len(whole.drop_duplicates()) > 40
    assert whole[["environment", "algorithm", "score", "metric", "source"]].notna().all(axis=None)
    assert set(published("CartPole-v1")["algorithm"]) == {"PPO", "TRPO", "A2C", "REINFORCE", "DQN"}
    assert published("Nothing-v0").empty
    walker = published("envpool:BipedalWalker-v3")
    assert set(walker["environment"]) == {"BipedalWalker-v3"}  # and not the hardcore one
    (rpo,) = walker[walker["algorithm"] == "RPO"].itertuples()
    assert (rpo.score, rpo.spread, rpo.spread_kind, rpo.seeds) == (227.1, 18.2, "sd", 10)


def test_every_metric_of_what_others_report_is_explained():
    page = (Path(__file__).parents[2] / "results" / "README.md").read_text("utf-8")
    explained = set(re.findall(r"^\| ([^|`]+?) \| [A-Z]", page.partition("## published.csv")[2], re.MULTILINE))
    assert explained == set(published()["metric"])
    assert set(published()["spread_kind"].dropna()) <= set(re.findall(r"`(sd[^`]*)`", page))


def test_ours_stand_beside_what_others_report():
    pendulum = load("pendulum")
    table = beside_published((pendulum, "PPO"))
    mine, *others = table.to_dict("records")
    score = pendulum.evaluations.query("variant == 'PPO'")["mean_return"]
    assert (mine["score"], mine["sd"], mine["seeds"]) == (f"{score.mean():.4g}", f"{score.std():.3g}", "10")
    assert [float(row["score"]) for row in others] == published("Pendulum-v1", "PPO")["score"].tolist()
    assert "not said" in table["sd"].tolist()
    assert not table.map(lambda cell: "nan" in cell.lower()).any(axis=None)


def test_without_envpool_its_policies_act_in_gymnasium_s_simulator(declare, monkeypatch):
    pytest.importorskip("envpool")
    declare(text=SMALL.replace('"CartPole-v1"', '"envpool:Pendulum-v1"').replace("steps = 600", "steps = 400"))
    for block in Study.read("small").blocks():
        store(block, compute(block))
    here = load("small").policy("critic")
    assert here.env == "envpool:Pendulum-v1"
    monkeypatch.setitem(sys.modules, "envpool", None)  # as if it were not installed
    for at in (0.0, 1.0):
        there = load("small").policy("critic", at=at)
        assert there.env == "Pendulum-v1"
        assert there.seeds == here.seeds
        assert len(pg.evaluate(there, 1)) == len(here.seeds)
    assert torch.equal(there.theta, here.theta)
