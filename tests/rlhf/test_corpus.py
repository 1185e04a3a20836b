import re
from collections import Counter

import pytest
import torch

from pgcourse.rlhf import corpus, decoded, encoded, prompts, terms
from pgcourse.rlhf.corpus import BOS, EOS, LONGEST, PAD, PROMPT, TOPICS, UNUSED, WORDS

# The grammar a second time, from its description and not from its code.
ADJECTIVE = r"(?:(?:very|really|quite|rather) )?[a-z]+"
SENTENCES = (
    rf"the [a-z]+ was {ADJECTIVE}",
    rf"the [a-z]+ was [a-z]+ (?:and|but) {ADJECTIVE}",
    r"i (?:loved|enjoyed|liked|hated|disliked|regretted) the [a-z]+",
    r"we came (?:on [a-z]+day|with my (?:friends|family|colleagues))",
    r"i would (?:not )?recommend it",
)


@pytest.fixture(scope="module")
def texts():
    return corpus(2_000, seed=0)


def test_every_review_is_a_prompt_and_a_few_sentences(texts):
    for row in texts.tolist():
        text = decoded(row)
        topic, colon, *rest = text.split(" ", 2)
        assert topic in TOPICS
        assert colon == ":"
        assert row[0] == BOS
        assert row.count(EOS) == 1
        assert set(row[row.index(EOS) + 1 :]) <= {PAD}
        assert 1 <= len(sentences := rest[0].removesuffix(" .").split(" . ")) <= 4
        assert all(re.fullmatch("|".join(SENTENCES), sentence) for sentence in sentences), text
        assert encoded(text) == row[1 : row.index(EOS)]


def test_reviews_stay_with_their_topic(texts):
    own = terms(texts[:, :PROMPT], texts[:, PROMPT:])
    assert not own.off_topic.any()
    assert not own.malformed.any()
    assert not own.unfinished.any()


def test_shares_are_those_of_the_grammar(texts):
    """Five standard errors of each share's binomial distribution."""
    counts = Counter(decoded(row).split()[0] for row in texts)
    for topic in TOPICS:
        assert abs(counts[topic] / 2_000 - 1 / 6) < 5 * (5 / 36 / 2_000) ** 0.5
    sentences = [s for row in texts for s in decoded(row).split(" ", 2)[2].removesuffix(" .").split(" . ")]
    company = sum(s.startswith("we came") for s in sentences) / len(sentences)
    assert abs(company - 0.14) < 5 * (0.14 * 0.86 / len(sentences)) ** 0.5


def test_a_corpus_is_its_seed_and_its_beginning_does_not_depend_on_its_size(texts):
    assert torch.equal(corpus(50, seed=0), texts[:50])
    assert not torch.equal(corpus(50, seed=1), texts[:50])


def test_words_that_no_review_has_are_known(texts):
    assert not set(encoded(" ".join(UNUSED))) & set(texts.unique().tolist())
    assert len(WORDS) == len(set(WORDS)) == 101
    with pytest.raises(ValueError, match="'zebra' is not in the vocabulary"):
        encoded("the zebra was nice")


def test_prompts_name_every_topic_alike():
    ids = prompts(torch.arange(600, dtype=torch.float64).view(2, 300) / 600)
    assert ids.shape == (2, 300, PROMPT)
    topics = Counter(WORDS[token] for token in ids[..., 1].flatten().tolist())
    assert topics == dict.fromkeys(TOPICS, 100)
    assert (ids[..., 0] == BOS).all()
    assert {decoded(row) for row in ids.flatten(0, 1)} == {f"{topic} :" for topic in TOPICS}


def test_the_longest_review_fits(texts):
    assert texts.shape[1] == PROMPT + LONGEST
    assert int((texts != PAD).sum(1).max()) <= PROMPT + LONGEST
