import json
import os
import shutil
from itertools import islice

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pgcourse.app.rlhf import rlhf
from pgcourse.core import Streams
from pgcourse.lab import CorruptRecord, MissingRecord, anew, compute, compute_prefix, store
from pgcourse.lab.reproduction import compare
from pgcourse.lab.reviews import MODELS, language_policy, models, read_model, reward_model
from pgcourse.lab.runs import train
from pgcourse.lab.studies import parse
from pgcourse.rlhf import Rubric, compared, pair_accuracy
from pgcourse.rlhf.trainer import Metrics


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A copy of the models in another results folder."""
    shutil.copytree(models().root, tmp_path / "rlhf-models")
    monkeypatch.setenv("PGCOURSE_RESULTS", str(tmp_path))
    read_model.cache_clear()
    yield tmp_path / "rlhf-models"
    read_model.cache_clear()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_models_record_is_whole_small_and_says_how_it_came_to_be(model):
    record = read_model(model)  # every file is held against its digest
    folder = models().root / record.name
    assert sum(file.stat().st_size for file in folder.iterdir()) < 300_000
    assert record.config == json.loads((folder / "config.json").read_text("utf-8"))
    assert {"commit", "source", "constraints", "machine", "cpu_seconds"} <= set(record.manifest)
    assert record.manifest["command"] == "pgcourse rlhf models"
    assert len(record.tables["losses"]) == model.steps
    assert record.tensors["theta"].shape == (1, 62_976 + 49 * (model is not MODELS[0]))


def test_the_first_losses_of_pretraining_are_the_records():
    """Up to the rounding of another processor; `pgcourse rlhf models --check` compares everything, bit for bit."""
    kept = read_model(MODELS[0]).tables["losses"]["loss"]
    losses = [step.loss.item() for step in islice(MODELS[0].learn(), 4)]
    np.testing.assert_allclose(losses, kept[:4], rtol=1e-5)


def test_the_models_do_what_they_were_trained_for():
    """The language is learned, its reference responses are the rubric's measure, and the rewards know good from bad."""
    policy, streams = language_policy(), Streams([0, 4]).child("test")
    theta = policy.init(streams)
    pairs = compared(policy, theta, 150, streams, hot_share=0.0)
    accuracy = pair_accuracy(reward_model().of([0, 4]), pairs, clean=True)
    assert (accuracy > 0.7).all(), accuracy
    gold = torch.cat([policy.gold(pairs.prompt, y) for y in (pairs.chosen, pairs.rejected)], 1)
    assert gold.mean().abs() < 4 / gold.numel() ** 0.5
    assert abs(gold.std() - 1) < 0.25
    raw = Rubric()(pairs.prompt, pairs.chosen)
    torch.testing.assert_close(policy.gold(pairs.prompt, pairs.chosen), (raw - policy.gold.mean) / policy.gold.std)


def test_a_damaged_model_is_no_model(elsewhere):
    record = elsewhere / "reward.seed-2" / "policy.pt"
    content = bytearray(record.read_bytes())
    content[5_000] ^= 1
    record.write_bytes(content)
    with pytest.raises(CorruptRecord, match=r"policy\.pt differs from its digest"):
        reward_model()


def test_a_model_that_is_missing_is_named_with_the_command(elsewhere):
    shutil.rmtree(elsewhere / "reward.seed-1")
    with pytest.raises(MissingRecord, match="`pgcourse rlhf models` computes it"):
        reward_model()
    shutil.rmtree(elsewhere / "pretrained")
    with pytest.raises(MissingRecord, match="pretrained"):
        language_policy()


def test_the_command_trains_what_is_missing_and_nothing_else(elsewhere, monkeypatch):
    before = read_model(MODELS[3]).manifest["metrics"], read_model(MODELS[3]).manifest["tensors"]
    said = CliRunner().invoke(rlhf, ["models"])
    assert said.exit_code == 0
    assert said.output.count("is there") == len(MODELS)
    asked = CliRunner().invoke(rlhf, ["models", "--check", "--refresh"])
    assert asked.exit_code == 2
    assert "give one of them" in asked.output
    assert before == (read_model(MODELS[3]).manifest["metrics"], read_model(MODELS[3]).manifest["tensors"])


def test_a_check_says_where_a_training_is_another_one(monkeypatch):
    from pgcourse.lab import reviews

    def other(self):
        first, *_ = islice(learn(self), 1)
        yield first
        yield first

    learn = reviews.PretrainedModel.learn
    monkeypatch.setattr(reviews.PretrainedModel, "learn", other)
    monkeypatch.setattr("pgcourse.lab.reviews.MODELS", MODELS[:1])
    said = CliRunner().invoke(rlhf, ["models", "--check"])
    assert said.exit_code == 1
    assert "the loss of step 2 was" in said.output
    assert "not repeated: pretrained" in said.output


SMALL = {
    "title": "A short one",
    "env": "pgcourse.lab.reviews:Reviews",
    "steps": 64,
    "seeds": 2,
    "checkpoint_steps": 32,
    "evaluation_episodes": 4,
    "defaults": {"algorithm": "pgcourse.rlhf.trainer:RLHF", "envs": 16, "minibatches": 1, "epochs": 1},
    "variants": {"PPO": {}, "GRPO": {"baseline": "group", "scale": "group", "aggregate": "sequence", "kl": "k3"}},
}


def test_a_study_of_language_models_is_declared_computed_and_repeated(tmp_path):
    """As one of CartPole is: its record holds the metrics, and its first iterations are repeated bit for bit."""
    study = parse(tmp_path / "small", SMALL)
    study.check()
    block = study.blocks()[1]
    assert (block.variant, block.world["time_limit"]) == ("GRPO", 1)
    record = store(block, compute(block))
    assert block.find() == record.name
    assert record.manifest["iterations"] == 4
    assert set(Metrics._fields) - set(record.tables["curves"]) == {"value_loss", "explained_variance"}
    again = compare(record, {"prefix": compute_prefix(block)})
    assert again.verdict == "repeated", again.unequal
    assert record.tables["fingerprint"]["gold"].notna().any()


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    block = parse(tmp_path / "small", SMALL).blocks()[0]
    whole = list(train(block))
    (saved,) = (it.checkpoint for it in whole if it.checkpoint)
    *_, last = train(block, resume=saved)
    assert torch.equal(last.policy.theta, whole[-1].policy.theta)


def test_models_trained_anew_are_used_by_this_process_and_kept_nowhere(monkeypatch):
    """The training itself is `compute_model`'s; here it writes what can be told from the records."""
    kept = {model.name: read_model(model) for model in MODELS}
    before = os.environ.get("PGCOURSE_RESULTS")

    def computed(model, report):
        assert models().root.parent != of_the_course
        report(1, 0.5)
        old = kept[model.name]
        tensors = {name: 2 * x for name, x in old.tensors.items()}
        return models().write(model, model.name, old.tables, {"commit": None}, tensors)

    of_the_course, told = models().root.parent, []
    monkeypatch.setattr(anew, "compute_model", computed)
    try:
        made = anew.train_models(lambda model, step, loss: told.append((model.name, step, loss)))
        assert told == [(model.name, 1, 0.5) for model in MODELS]
        assert models().root.parent == of_the_course
        assert os.environ.get("PGCOURSE_RESULTS") == before
        theta = kept["pretrained"].tensors["theta"]
        assert torch.equal(language_policy().start, 2 * theta[0])
        assert torch.equal(reward_model().psi[3], 2 * kept["reward.seed-3"].tensors["theta"][0])
        assert set(made) == {model.name for model in MODELS}
    finally:
        read_model.cache_clear()
    assert torch.equal(language_policy().start, theta[0])


def test_a_training_anew_that_fails_leaves_the_records(monkeypatch):
    def fails(model, report):
        raise KeyboardInterrupt

    monkeypatch.setattr(anew, "compute_model", fails)
    before, theta = models().root, language_policy().start
    with pytest.raises(KeyboardInterrupt):
        anew.train_models()
    assert models().root == before
    assert torch.equal(language_policy().start, theta)
