import numpy as np
import pandas as pd
import pytest
import torch
from small_study import SMALL

import pgcourse as pg
from pgcourse.core import MLP, Critic, SoftmaxPolicy
from pgcourse.lab import CorruptRecord, MissingRecord, Study, compute, fingerprint, load
from pgcourse.lab.runs import PREFIX, Prefix

NETWORKS = SoftmaxPolicy(MLP((4, 8, 2), last_gain=0.01)), Critic(MLP((4, 8, 1), last_gain=1.0))


@pytest.fixture
def computed(declare):
    """A small study, computed in this process."""
    folder = declare()
    for block in Study.read("small").blocks():
        compute(block)
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
    pd.testing.assert_frame_equal(results.curves[expected.columns], expected, check_exact=True, check_dtype=False)


def test_a_kept_policy_plays_as_it_was_evaluated(computed):
    results = load("small")
    for variant in ("plain", "critic"):
        again = pg.evaluate(results.policy(variant), 3)
        stored = results.episodes.query("variant == @variant").reset_index(drop=True)
        pd.testing.assert_frame_equal(again, stored[again.columns], check_exact=True)


def test_a_run_computed_again_has_the_same_digests(computed):
    """In this process and others, alone or among other runs: `metrics` and `tensors` are equal bit for bit."""
    study = Study.read("small")
    for block in study.blocks():
        first = study.store.read(block.run_id).manifest
        compute(block, replace=True)
        second = study.store.read(block.run_id).manifest
        for key in ("metrics", "tensors", "prefix", "files"):
            assert second[key] == first[key]
        assert second["machine"] == fingerprint()
        assert second["cpu_seconds"] > 0


def test_prefix_digests_are_those_of_a_run_that_stops_early(computed):
    def digests(algorithm, iterations):
        prefix = Prefix()
        for iteration in pg.training(algorithm, "CartPole-v1", [2, 3], 600, *NETWORKS):
            prefix.add(iteration)
            if iteration.number + 1 == iterations:
                break
        return prefix.digests

    (_, manifest) = load("small").manifests["critic"]
    assert manifest["iterations"] == 10  # 600 steps in rollouts of 16 steps of 4 copies
    assert manifest["prefix"].keys() == {"1", "2", "4", "8"}
    early = digests(pg.A2C(envs=4), 4)
    assert early == {count: manifest["prefix"][count] for count in ("1", "2", "4")}
    drifted = digests(pg.A2C(envs=4, lam=0.94), 4)
    assert drifted.keys() == early.keys()
    assert all(drifted[count] != early[count] for count in drifted)


def test_prefix_digests_end_with_the_first_few_iterations():
    prefix = Prefix()
    for iteration in pg.training(pg.A2C(envs=1, rollout=4), "CartPole-v1", 1, 5 * PREFIX[-1], *NETWORKS):
        prefix.add(iteration)
    assert tuple(map(int, prefix.digests)) == PREFIX


def test_missing_and_corrupt_records_are_errors(computed):
    study = Study.read("small")
    (computed / study.blocks()[1].run_id / "curves.csv").write_bytes(b"seed,step\n")
    with pytest.raises(CorruptRecord, match=r"curves\.csv"):
        load("small")
    study.store.remove(study.blocks()[1].run_id)
    with pytest.raises(MissingRecord, match="`pgcourse study small` computes it"):
        load("small")


def test_policies_that_were_not_kept(declare):
    declare(text=SMALL.replace("keep_policies = true", "keep_policies = false"))
    for block in Study.read("small").blocks():
        compute(block)
    results = load("small")
    with pytest.raises(MissingRecord, match=r"keeps no policies; .*pgcourse study small --refresh"):
        results.policy("plain")
    with pytest.raises(KeyError, match="no variant 'other'; it has plain, critic"):
        results.policy("other")


def test_describe_is_one_line_with_the_history(computed):
    results = load("small")
    line = results.describe()
    assert "\n" not in line
    for part in ("small: CartPole-v1, 2 variants × 4 seeds × 600 steps", torch.__version__, fingerprint()["cpu_model"]):
        assert part in line
    (commit,) = {manifest["commit"] for blocks in results.manifests.values() for manifest in blocks}
    assert (commit or "unknown")[:7] in line
