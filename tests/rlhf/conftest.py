import pytest

from pgcourse.core import Streams
from pgcourse.rlhf import GPT, WORDS, LanguageCritic, LanguagePolicy, Rubric, ScalarHead
from pgcourse.rlhf.corpus import LONGEST, PROMPT


@pytest.fixture(scope="session")
def small():
    """A GPT too small to be good at anything, with the course's vocabulary."""
    return GPT(len(WORDS), PROMPT + LONGEST, width=8, layers=2, heads=2)


@pytest.fixture(scope="session")
def policy(small):
    """Its policy, with weights large enough that words are not all alike."""
    start = 20 * small.init(Streams(1).child("weights"))[0]
    return LanguagePolicy(small, start, gold=Rubric())


@pytest.fixture(scope="session")
def critic(small, policy):
    head = ScalarHead(small)
    return LanguageCritic(head, head.on(policy.start.unsqueeze(0))[0])
