import pytest
import torch

from pgcourse.core import Streams
from pgcourse.rlhf import LanguagePolicy, prompts
from pgcourse.rlhf.corpus import EOS, LONGEST, PAD


class Bigrams:
    """A language model whose next word depends on the last one alone: a table [word, next] of log-probabilities."""

    def __init__(self, table):
        self.table = table
        self.size = table.numel()

    def __call__(self, theta, ids):
        return theta.view(-1, *self.table.shape)[torch.arange(len(ids)).view(-1, 1, 1), ids]

    def reader(self, theta):
        return lambda ids: self(theta, ids[:, :, -1:])[:, :, 0]


def uncached(policy, theta, prompt, noise):
    """Generation that reads everything anew for every token."""
    ids = prompt
    for t in range(policy.longest):
        logits = policy.network(theta, ids)[:, :, -1]
        logits[..., PAD] = -torch.inf
        p = logits.softmax(-1).cumsum(-1)
        token = (noise[..., t : t + 1] * p[..., -1:] >= p).sum(-1)
        over = (ids[:, :, prompt.shape[2] :] == EOS).any(-1)
        ids = torch.cat([ids, token.where(~over, PAD).unsqueeze(-1)], 2)
    return ids[:, :, prompt.shape[2] :]


def test_cached_generation_is_uncached_generation(policy):
    streams = Streams(2, dtype=torch.float64)
    theta, prompt, noise = policy.init(streams), prompts(streams.uniform(6)), policy.noise(streams, 6)
    written = policy(theta, prompt).sample(noise)
    assert torch.equal(written, uncached(policy, theta, prompt, noise))
    assert len(written.flatten(0, 1).unique(dim=0)) > 6


def test_nothing_stands_behind_the_end(policy):
    streams = Streams(1)
    prompt = prompts(streams.uniform(40))
    written = policy(policy.init(streams), prompt).sample(policy.noise(streams, 40))
    assert written.shape == (1, 40, LONGEST)
    for row in written[0].tolist():
        end = row.index(EOS) if EOS in row else LONGEST
        assert PAD not in row[:end]
        assert set(row[end + 1 :]) <= {PAD}


def test_a_seed_writes_the_same_whichever_seeds_are_beside_it(policy):
    texts = []
    for seeds in ([3], [1, 3]):
        streams = Streams(seeds)
        prompt = prompts(streams.uniform(5))
        texts.append(policy(policy.init(streams), prompt).sample(policy.noise(streams, 5))[-1])
    assert torch.equal(*texts)


def test_samples_have_the_probabilities_that_log_prob_says():
    """Over all responses of a model with three words: chi-squared, against the exact probabilities."""
    table = torch.tensor([[0.0, 0.0, 0.0], [-1e9, 0.2, 0.0], [0.0, 0.0, 0.0]])  # word 0 is padding, 1 goes on, 2 ends
    policy = LanguagePolicy(Bigrams(table), table.flatten(), longest=4, eos=2, pad=0)
    streams, n = Streams(1), 20_000
    theta, prompt = policy.init(streams), torch.ones(1, n, 1, dtype=torch.int64)
    written = policy(theta, prompt).sample(policy.noise(streams, n))
    every = torch.tensor([[2, 0, 0, 0], [1, 2, 0, 0], [1, 1, 2, 0], [1, 1, 1, 2], [1, 1, 1, 1]])
    p = policy(theta, prompt[:, :5]).log_prob(every.unsqueeze(0)).exp()[0]
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))
    going_on = torch.tensor(0.2).exp() / (torch.tensor(0.2).exp() + 1)
    torch.testing.assert_close(p[2], going_on**2 * (1 - going_on))
    counts = torch.tensor([(written[0] == row).all(-1).sum() for row in every])
    assert counts.sum() == n
    assert ((counts - n * p).square() / (n * p)).sum() < 23.5  # 4 degrees of freedom, one in ten thousand


def test_temperature_sharpens_and_the_mode_is_its_limit(policy):
    streams = Streams(1, dtype=torch.float64)
    prompt = prompts(streams.uniform(8))
    responses = policy(policy.init(streams), prompt)
    cold = responses.sample(policy.noise(streams, 8), temperature=1e-6)
    assert torch.equal(cold, responses.mode)


def test_tokens_are_those_of_the_response(policy):
    streams = Streams(2, dtype=torch.float64)
    theta, prompt = policy.init(streams), prompts(streams.uniform(3))
    response = policy(theta, prompt).sample(policy.noise(streams, 3))
    tokens = policy.tokens(theta, prompt, response)
    assert tokens.log_prob.shape == response.shape
    torch.testing.assert_close(tokens.log_probs.exp().sum(-1), torch.ones_like(tokens.log_prob))
    for place in (0, 5):  # against the model asked for one token at a time
        ids = torch.cat([prompt, response[:, :, :place]], 2)
        last = policy.allowed(policy.network(theta, ids)[:, :, -1]).log_softmax(-1)
        expected = last.gather(-1, response[:, :, place : place + 1]).squeeze(-1)
        torch.testing.assert_close(tokens.log_prob[:, :, place], expected)
    total = tokens.log_prob.where(response != PAD, 0.0).sum(-1)
    torch.testing.assert_close(policy(theta, prompt).log_prob(response), total)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 2)])
def test_axes_between_seed_and_token_are_kept(policy, shape):
    streams = Streams(2)
    prompt = prompts(streams.uniform(*shape))
    responses = policy(policy.init(streams), prompt)
    written = responses.sample(policy.noise(streams, *shape))
    assert written.shape == (2, *shape, LONGEST)
    assert responses.log_prob(written).shape == (2, *shape)
