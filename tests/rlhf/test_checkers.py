import pytest
import torch

from pgcourse.core import Streams
from pgcourse.lab.reviews import language_policy
from pgcourse.rlhf import BalancedReview, encoded
from pgcourse.rlhf.corpus import EOS, LONGEST, PAD
from pgcourse.rlhf.pools import pool

GOOD = "the coffee was great but awful . i loved the soup . the cake was dull ."


def right(text, topic="cafe", end=True, **options):
    ids = encoded(text) + [EOS] * end
    response = torch.tensor([ids + [PAD] * (LONGEST - len(ids))])
    return BalancedReview(**options)(torch.tensor([[1, *encoded(f"{topic} :")]]), response).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, 1),
        (GOOD.replace("great", "small"), 0),  # one warm word is missing
        (GOOD.replace("dull", "old"), 0),  # a cold one
        (GOOD.replace("dull", "nice"), 0),  # one warm word too many
        (GOOD.replace("cake", "soup"), 0),  # two things instead of three, and one of them twice
        (GOOD.replace("cake", "pool"), 0),  # a thing of another topic
        (GOOD.replace("the cake was dull", "cake was dull"), 0),  # no sentence
        (GOOD.removesuffix(" ."), 0),
        ("", 0),
    ],
)
def test_what_is_right_is_told(text, expected):
    assert right(text) == expected


def test_other_demands_other_answers():
    assert right(GOOD, topic="hotel") == 0
    assert right(GOOD, end=False) == 0
    assert right(GOOD, aspects=4) == 0
    assert right("the coffee was great .", warm=1, cold=0, aspects=1) == 1
    with pytest.raises(ValueError, match="warm must be at least 0, got -1"):
        BalancedReview(warm=-1)


def test_seven_in_a_thousand_of_the_pretrained_models_responses_are_right():
    """The share that docstring and page say; its standard error is 0.1 %."""
    policy, streams = language_policy(), Streams(1)
    share = pool(policy, policy.init(streams.child("theta")), BalancedReview(), (1_500, 4), streams).score.mean()
    assert 0.004 < share < 0.010
