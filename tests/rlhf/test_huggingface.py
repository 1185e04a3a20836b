"""A transformers model as a policy: against the library's own forward pass, and through the trainer. No download."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from checkpoints import EOS, PAD, WORDS, checkpoint

import pgcourse as pg
from pgcourse.rlhf.language import LanguagePolicy
from pgcourse.rlhf.trainer import VARIANTS

transformers = pytest.importorskip("transformers")

from pgcourse.rlhf.huggingface import HFCausalLM  # noqa: E402
from pgcourse.rlhf.prompted import NO_CRITIC, Prompted  # noqa: E402


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request, tmp_path_factory):
    return HFCausalLM(checkpoint(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return HFCausalLM(checkpoint(tmp_path_factory.mktemp("gpt2")))


def texts(*shape, seed=0):
    return torch.randint(2, len(WORDS), shape, generator=torch.Generator().manual_seed(seed))


def two_seeds(model):
    noise = torch.randn(2, model.size, generator=torch.Generator().manual_seed(3))
    return model.start + 0.05 * noise


def test_logits_are_the_librarys_own(model):
    ids = texts(1, 3, 7)
    wanted = model.model(input_ids=ids[0]).logits
    torch.testing.assert_close(model(model.start.unsqueeze(0), ids)[0], wanted, rtol=0, atol=1e-5)


def test_every_seed_has_its_own_parameters(model):
    theta, ids = two_seeds(model), texts(2, 3, 7)
    found = model(theta, ids)
    for seed in range(2):
        own = model.with_parameters(theta[seed])
        torch.testing.assert_close(found[seed], own(input_ids=ids[seed]).logits, rtol=0, atol=1e-5)


def test_padding_on_the_left_changes_nothing(model):
    theta, ids = two_seeds(model), texts(2, 3, 7)
    padded = torch.cat([torch.full((2, 3, 4), PAD), ids], 2)
    torch.testing.assert_close(model(theta, padded)[:, :, 4:], model(theta, ids), rtol=0, atol=1e-5)


def test_reading_on_is_reading_everything_at_once(model):
    theta, ids = two_seeds(model), texts(2, 3, 9)
    ids[:, 1, :3] = PAD
    read = model.reader(theta)
    with torch.no_grad():
        found = [read(ids[:, :, :5])] + [read(ids[:, :, t : t + 1]) for t in range(5, 9)]
    wanted = model(theta, ids)[:, :, 4:]
    torch.testing.assert_close(torch.stack(found, 2), wanted, rtol=0, atol=1e-5)


def test_the_gradient_is_the_librarys_own_tied_parameters_included(model):
    theta, ids = model.start.unsqueeze(0).requires_grad_(), texts(1, 3, 7)
    policy = LanguagePolicy(model, model.start, longest=4, eos=EOS, pad=PAD)
    (found,) = torch.autograd.grad(policy.tokens(theta, ids[:, :, :3], ids[:, :, 3:]).log_prob.sum(), theta)
    own = model.with_parameters(model.start)
    logits = own(input_ids=ids[0]).logits
    log_prob = policy.allowed(logits)[:, 2:-1].log_softmax(-1).gather(-1, ids[0, :, 3:].unsqueeze(-1))
    wanted = torch.autograd.grad(log_prob.sum(), list(own.parameters()))
    torch.testing.assert_close(found[0], torch.cat([g.flatten() for g in wanted]), rtol=0, atol=1e-4)


def test_there_is_no_dropout(gpt2):
    assert gpt2.model.config.resid_pdrop > 0
    theta, ids = gpt2.start.unsqueeze(0), texts(1, 3, 7)
    assert torch.equal(gpt2(theta, ids), gpt2(theta, ids))


def test_one_temperature_for_what_acts_and_what_is_trained(tmp_path):
    model = HFCausalLM(checkpoint(tmp_path), temperature=0.5)
    plain, ids = HFCausalLM(tmp_path), texts(1, 3, 7)
    theta = model.start.unsqueeze(0)
    wanted = (2 * plain(theta, ids)).log_softmax(-1)
    torch.testing.assert_close(model(theta, ids).log_softmax(-1), wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(model.reader(theta)(ids).log_softmax(-1), wanted[:, :, -1], rtol=0, atol=1e-4)


def test_sampled_responses_have_the_probabilities_that_the_policy_says(gpt2):
    """First tokens of 20,000 responses to one prompt against π_θ: no share is off by more than five of its errors."""
    policy = LanguagePolicy(gpt2, gpt2.start, longest=1, eos=EOS, pad=PAD)
    theta, prompt = 5 * gpt2.start.unsqueeze(0), texts(1, 1, 3)
    dist = policy(theta, prompt.expand(1, 20_000, 3))
    drawn = dist.sample(policy.noise(pg.Streams(1), 20_000)).flatten()
    share = torch.bincount(drawn, minlength=len(WORDS)) / 20_000
    wanted = policy.allowed(gpt2(theta, prompt))[0, 0, -1].softmax(0)
    assert wanted.max() > 0.15
    assert ((share - wanted).abs() <= 5 * (wanted * (1 - wanted) / 20_000).sqrt()).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"top_k": 50}, "top_k = 50 is refused: responses would come from a cut-off distribution"),
        ({"top_p": 0.9}, "top_p = 0.9 is refused"),
        ({"temperature": 0.0}, r"temperature must be above 0, got 0\.0"),
        ({"pad": EOS}, "padding needs a token apart from 1, which ends a response: give as pad one .* 0 to 19"),
    ],
)
def test_what_would_train_another_policy_is_refused(tmp_path, given, message):
    checkpoint(tmp_path)
    with pytest.raises(ValueError, match=message):
        HFCausalLM(tmp_path, **given)


def test_a_checkpoint_without_padding_of_its_own_asks_for_it(tmp_path):
    checkpoint(tmp_path, pad_token_id=EOS)
    with pytest.raises(ValueError, match="padding needs a token apart from 1"):
        HFCausalLM(tmp_path)
    assert HFCausalLM(tmp_path, pad=5).pad == 5


def test_a_checkpoint_without_a_tokenizer_has_none(tmp_path):
    """The library makes up an empty one, with an end token of its own."""
    HFCausalLM(checkpoint(tmp_path / "whole")).model.save_pretrained(tmp_path / "bare")
    model = HFCausalLM(tmp_path / "bare")
    assert (model.tokenizer, model.eos, model.pad) == (None, EOS, PAD)
    with pytest.raises(ValueError, match="has no tokenizer: save one beside it"):
        model.encode(["w0"])


def test_a_tokenizer_that_knows_more_than_the_model_is_found_out(tmp_path):
    tokenizer = HFCausalLM(checkpoint(tmp_path)).tokenizer
    tokenizer.add_special_tokens({"pad_token": "<new>"})
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"pad = 20 is no token of this model, which has 0 to 19: .*enlarge the model"):
        HFCausalLM(tmp_path)
    tokenizer.add_tokens(["more"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="the tokenizer has token 21 and the model only 20 tokens"):
        HFCausalLM(tmp_path, pad=PAD).encode(["w0 more"])


def test_texts_and_tokens(gpt2):
    ids = gpt2.encode(["w0 w1 w2", "w7"])
    assert ids.tolist() == [[2, 3, 4], [PAD, PAD, 9]]
    assert gpt2.decode(torch.tensor([[PAD, 2, 3], [4, EOS, PAD]])) == ["w0 w1", "w2"]
    with pytest.raises(ValueError, match="a prompt must have tokens"):
        gpt2.encode(["w0", ""])
    judge = gpt2.judge(lambda prompts, responses: [1.0])
    with pytest.raises(ValueError, match="a number for each of 2 responses, got 1"):
        judge(ids.unsqueeze(0), ids.unsqueeze(0))


def long(prompts, responses):
    """The reward of these tests: words of a response, w3 counts twice."""
    return [len(response.split()) + response.split().count("w3") for response in responses]


def world(model, policy, critic, group):
    judge = model.judge(long)
    prompts = model.encode(["w0 w1 w2", "w7", "w4 w5"])
    return partial(Prompted, prompts=prompts, judge=judge, policy=policy, critic=critic, group=group)


@pytest.mark.parametrize("name", ["PPO", "GRPO"])
def test_an_update_with_the_courses_trainer(model, name):
    """θ moves, where it came from stays; and what is reported is consistent with the responses themselves."""
    algorithm = replace(VARIANTS[name], envs=8, group=4, minibatches=2, epochs=2, beta=0.1)
    policy = LanguagePolicy(model, model.start, longest=5, eos=EOS, pad=PAD)
    critic = model.critic() if name == "PPO" else NO_CRITIC
    steps = pg.iterate(
        algorithm, world(model, policy, critic, 4), pg.Streams(1), steps=16, policy=policy, critic=critic
    )
    first, second = steps
    assert torch.equal(first.state.reference, model.start.unsqueeze(0))
    assert not torch.equal(first.state.theta, first.state.reference)
    assert not torch.equal(second.state.theta, first.state.theta)
    assert (first.state.phi.numel() > 0) == (name == "PPO")
    assert first.metrics.kl.item() == pytest.approx(0, abs=1e-5)
    assert second.metrics.kl.item() > 0
    response = first.batch.action.flatten(0, 2)
    assert first.metrics.proxy.item() == pytest.approx(sum(long(None, model.decode(response))) / 8)
    assert first.metrics.tokens.item() == pytest.approx((response != PAD).sum().item() / 8)
    assert 0 < first.metrics.entropy.item() < math.log(len(WORDS))
    prompts = first.batch.obs.view(2, 4, -1)
    assert (prompts == prompts[:, :1]).all()  # a group has one prompt


def test_a_model_learns_what_it_is_rewarded_for(gpt2):
    algorithm = replace(VARIANTS["GRPO"], envs=32, group=8, lr=1e-2, beta=0.0)
    policy = LanguagePolicy(gpt2, gpt2.start, longest=6, eos=EOS, pad=PAD)
    steps = pg.iterate(
        algorithm, world(gpt2, policy, NO_CRITIC, 8), pg.Streams(1), steps=32 * 12, policy=policy, critic=NO_CRITIC
    )
    scores = [it.metrics.proxy.item() for it in steps]
    assert sum(scores[-3:]) > sum(scores[:3]) + 3


def test_what_was_learned_can_be_kept_and_loaded(gpt2, tmp_path):
    theta = two_seeds(gpt2)[1]
    gpt2.with_parameters(theta).save_pretrained(tmp_path)
    gpt2.tokenizer.save_pretrained(tmp_path)
    assert torch.equal(HFCausalLM(tmp_path).start, theta)


def test_too_long_for_the_model_is_said_before_it_starts(gpt2):
    policy = LanguagePolicy(gpt2, gpt2.start, longest=22, eos=EOS, pad=PAD)
    with pytest.raises(ValueError, match="the model reads 24 tokens, prompts and responses have up to 25"):
        world(gpt2, policy, NO_CRITIC, 4)(8)
