"""Best-of-n and pass@k against every subset, and against every sequence of draws."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgcourse.rl.divergences import full_kl
from pgcourse.rl.selection import best_of_n, best_of_n_kl, best_of_n_kl_bound, best_of_n_log_probs, pass_at_k

F64 = torch.float64
scores = st.lists(st.integers(0, 4), min_size=1, max_size=7)  # few values, so that many are equal


def best(answers):
    """(probability, answer) of the best of these (score, ...) answers, equals sharing it."""
    top = max(answer[0] for answer in answers)
    kept = [answer for answer in answers if answer[0] == top]
    return [(1 / len(kept), answer) for answer in kept]


@given(scores, st.data())
def test_best_of_n_is_the_mean_over_all_subsets(score, data):
    n = data.draw(st.integers(1, len(score)))
    value = data.draw(st.lists(st.integers(-9, 9), min_size=len(score), max_size=len(score)))
    subsets = list(itertools.combinations(zip(score, value, strict=True), n))
    expected = sum(share * answer[1] for subset in subsets for share, answer in best(subset)) / len(subsets)
    found = best_of_n(torch.tensor([score]), torch.tensor([value], dtype=F64), n)
    assert found.tolist() == pytest.approx([expected], abs=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(correct, data):
    k = data.draw(st.integers(1, len(correct)))
    expected = sum(map(any, itertools.combinations(correct, k))) / math.comb(len(correct), k)
    found = pass_at_k(torch.tensor([correct, correct]), k)
    assert found.tolist() == pytest.approx([expected] * 2)
    score = torch.tensor([correct] * 2, dtype=F64)
    torch.testing.assert_close(best_of_n(score, score, k), found, rtol=0, atol=1e-12)


def test_pass_at_k_is_unbiased_and_the_plain_formula_is_not():
    """Pools of six answers, each right with probability 0.3; how many are right is binomial."""
    right, k = 0.3, 3
    estimate = plain = 0.0
    for c in range(7):
        probability = math.comb(6, c) * right**c * (1 - right) ** (6 - c)
        estimate += probability * pass_at_k(torch.arange(6) < c, k).item()
        plain += probability * (1 - (1 - c / 6) ** k)
    assert estimate == pytest.approx(1 - 0.7**3)
    assert plain < 1 - 0.7**3 - 0.04


@pytest.mark.parametrize("score", [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 0.0]], ids=["different", "equal"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_best_of_n_draws_as_in_an_enumeration_of_all_draws(score, n):
    log_probs = torch.tensor([0.1, 0.4, 0.2, 0.3], dtype=F64).log()
    expected = torch.zeros(4, dtype=F64)
    for draws in itertools.product(range(4), repeat=n):
        probability = log_probs[list(draws)].sum().exp()
        for share, (_, answer) in best([(score[i], i) for i in draws]):
            expected[answer] += share * probability
    found = best_of_n_log_probs(log_probs, torch.tensor(score, dtype=F64), n)
    torch.testing.assert_close(found.exp(), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        best_of_n_kl(log_probs, torch.tensor(score, dtype=F64), n), full_kl(found, log_probs), rtol=0, atol=0
    )


@given(st.integers(0, 1000), st.integers(1, 200), st.booleans())
def test_log_n_minus_n_minus_1_over_n_is_an_upper_bound(seed, n, equals):
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.randn(3, 20, generator=generator, dtype=F64).log_softmax(1)
    score = torch.rand(3, 20, generator=generator, dtype=F64)
    score = (3 * score).floor() if equals else score
    log_best = best_of_n_log_probs(log_probs, score, n)
    torch.testing.assert_close(log_best.logsumexp(1), torch.zeros(3, dtype=F64), rtol=0, atol=1e-10)
    assert (best_of_n_kl(log_probs, score, n) <= best_of_n_kl_bound(n) + 1e-12).all()


@pytest.mark.parametrize("n", [2, 16, 64])
def test_the_bound_is_reached_where_no_answer_counts(n):
    size = 200_000
    log_probs = torch.full((size,), -math.log(size), dtype=F64)
    exact = best_of_n_kl(log_probs, torch.arange(size), n).item()
    assert exact == pytest.approx(best_of_n_kl_bound(n), abs=1e-3)
    few = best_of_n_kl(log_probs[:4].log_softmax(0), torch.arange(4), n).item()
    assert few < min(best_of_n_kl_bound(n), math.log(4))  # four answers cannot be further from uniform than log 4


def test_what_is_wrong_is_named():
    pool = torch.zeros(2, 5)
    with pytest.raises(ValueError, match="of a pool of 5 answers 1 to 5 can be taken, got 6"):
        best_of_n(pool, pool, 6)
    with pytest.raises(ValueError, match="of a pool of 5 answers 1 to 5 can be taken, got 0"):
        pass_at_k(pool, 0)
    with pytest.raises(ValueError, match=r"value must have the shape of score, \[2, 5\]; got \[5\]"):
        best_of_n(pool, pool[0], 1)
    with pytest.raises(ValueError, match="n must be 1 or more, got 0"):
        best_of_n_log_probs(pool, pool, 0)
