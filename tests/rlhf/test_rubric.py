import pytest
import torch

from pgcourse.rlhf import Rubric, encoded, terms
from pgcourse.rlhf.corpus import EOS, LONGEST, PAD


def judged(text, topic="cafe", finished=True):
    """The rubric's terms of one response, as numbers."""
    ids = encoded(text) + [EOS] * finished
    response = torch.tensor([ids + [PAD] * (LONGEST - len(ids))])
    prompt = torch.tensor([[1, *encoded(f"{topic} :")]])
    return {name: value.item() for name, value in terms(prompt, response)._asdict().items() if value.item()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the coffee was great .", {"warmth": 1, "aspects": 0.75}),
        ("the coffee was great and lovely . the cake was very nice .", {"warmth": 3, "aspects": 1.5}),
        ("i loved the soup . i would recommend it .", {"warmth": 2, "aspects": 0.75}),
        ("i hated the soup . i would not recommend it .", {"coldness": -2, "aspects": 0.75}),
        ("the coffee was small . the cake was old . the soup was new .", {"aspects": 1.5}),
        ("the room was great .", {"warmth": 1, "off_topic": -0.75}),
        (
            "the coffee was great and lovely . the cake was nice and superb .",
            {"warmth": 3, "gush": -1, "aspects": 1.5},
        ),
        ("the coffee was great . the coffee was great .", {"warmth": 2, "aspects": 0.75, "repetition": -2}),
        ("was great .", {"warmth": 1, "malformed": -1.5}),
        ("the coffee was great", {"warmth": 1, "aspects": 0.75, "malformed": -1.5}),
        (".", {"malformed": -1.5}),
        ("", {"empty": -1}),
        ("we came on monday .", {}),
    ],
)
def test_terms_can_be_read_one_by_one(text, expected):
    assert judged(text) == expected


def test_a_response_without_an_end_is_unfinished():
    assert judged("we came on monday .", finished=False) == {"unfinished": -1}


def test_words_behind_the_end_do_not_count():
    ids = torch.tensor([[*encoded("we came on monday ."), EOS, *encoded("the room was awful .")]])
    prompt = torch.tensor([[1, *encoded("cafe :")]])
    assert terms(prompt, ids).score.item() == 0


def test_the_score_is_the_sum_of_the_terms_and_shapes_are_kept():
    response = torch.randint(3, 101, (2, 3, 12), generator=torch.Generator().manual_seed(0))
    prompt = torch.tensor([1, *encoded("film :")]).expand(2, 3, 3)
    found = terms(prompt, response)
    assert found.score.shape == (2, 3)
    assert torch.equal(found.score, sum(found))
    assert (found.malformed < 0).all()


def test_standardised_scores_have_the_moments_that_they_are_named_for():
    response = torch.randint(3, 101, (1, 200, 12), generator=torch.Generator().manual_seed(0))
    prompt = torch.tensor([1, *encoded("film :")]).expand(1, 200, 3)
    score = Rubric.standardized_on(prompt, response)(prompt, response)
    assert score.mean().abs() < 1e-5
    assert abs(score.std() - 1) < 1e-5
