"""Chapter 03, REINFORCE: reward-to-go, the loss, a baseline.

Tensors are [episode, time]; `mask` is True on real steps and False on padding behind an episode that ended early.
References are the formulas in NumPy and float64. The mistakes below them are wrong answers in torch: each must fail a
check, and its docstring is what a learner reads whose answer gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pgcourse.grading.exercise import Call, Check, Exercise, Reply

Rng = np.random.Generator
Array = np.ndarray


def _float(values: ArrayLike) -> Array:
    return np.asarray(values, np.float32)


def _lengths(rng: Rng, episodes: int, steps: int) -> Array:
    """A mask of episodes of unequal lengths, one of them `steps` long and at least one shorter."""
    lengths = rng.permutation([steps, *rng.integers(1, steps, episodes - 1)])
    return np.arange(steps) < lengths[:, None]


def _padded(mask: Array, padding: float, **values: ArrayLike) -> Call:
    """The values and the mask, with `padding` where the mask is False."""
    return Call({name: np.where(mask, _float(x), np.float32(padding)) for name, x in values.items()} | {"mask": mask})


# ---------------------------------------------------------------------------------------------- reward-to-go


def _reward_to_go(call: Call) -> Reply:
    """G_t = Σ_{k≥t} γ^{k-t} r_k. Sutton & Barto (2018), eq. 3.8."""
    reward, gamma = np.asarray(call.args["reward"]), float(call.args["gamma"])
    t = np.arange(reward.shape[-1])
    discount = np.triu(gamma ** np.maximum(t - t[:, None], 0))  # [t, k]
    ret = reward.astype(np.float64) @ discount.T
    return Reply((ret.astype(reward.dtype),) * call.times)


def _rewards(reward: ArrayLike, gamma: float) -> Call:
    return Call({"reward": _float(reward), "gamma": gamma})


def _few_steps(rng: Rng) -> Iterator[Call]:
    yield _rewards([[0, 0, 1]], 0.5)
    yield _rewards([[1, 2, 4]], 0.5)
    for _ in range(4):
        episodes, steps = rng.integers(2, 5), rng.integers(3, 9)
        yield _rewards(rng.normal(size=(episodes, steps)), float(rng.uniform(0.5, 0.95)))


def _extreme_discounts(rng: Rng) -> Iterator[Call]:
    yield _rewards([[3]], 0.5)
    yield _rewards([[1, 2, 4]], 0.0)
    yield _rewards([[1, 2, 4]], 1.0)
    yield _rewards(rng.normal(size=(3, 6)), 0.0)
    yield _rewards(rng.normal(size=(3, 6)), 1.0)


def _leading_axes(rng: Rng) -> Iterator[Call]:
    for shape in ((4,), (1, 4), (4, 4), (2, 3, 4)):
        yield _rewards(rng.normal(size=shape), 0.9)


def _long_episodes(rng: Rng) -> Iterator[Call]:
    yield _rewards(np.ones((1, 300)), 0.9)
    for gamma in (0.5, 0.99):
        yield _rewards(rng.normal(size=(2, 300)), gamma)


def _same_input_twice(rng: Rng) -> Iterator[Call]:
    yield replace(_rewards([[1, 2, 4]], 0.5), times=2)
    yield Call({"reward": rng.normal(size=(3, 5)), "gamma": 0.9}, times=2)  # float64


def _backwards(reward: Tensor, step: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """ret_t = step(r_t, ret_{t+1}): the right answer, and some wrong ones."""
    ret, after = torch.empty_like(reward), torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = step(reward[..., t], after)
        ret[..., t] = after
    return ret


def _right(reward: Tensor, gamma: float) -> Tensor:
    return _backwards(reward, lambda now, after: now + gamma * after)


def _starts_one_step_late(reward: Tensor, gamma: float) -> Tensor:
    """Your answer equals the right one shifted by one step: the sum starts at t, so r_t itself belongs to G_t."""
    return torch.nn.functional.pad(_right(reward, gamma)[..., 1:], (0, 1))


def _stops_one_step_early(reward: Tensor, gamma: float) -> Tensor:
    """The last reward is missing: off by one at the end of the episode."""
    return _right(torch.nn.functional.pad(reward[..., :-1], (0, 1)), gamma)


def _return_at_every_step(reward: Tensor, gamma: float) -> Tensor:
    """This is the return G_0 of the whole episode, written at every step: rewards before t must drop out."""
    return _right(reward, gamma)[..., :1].expand_as(reward)


def _discounted_once_too_often(reward: Tensor, gamma: float) -> Tensor:
    """γ is applied once too often: r_t counts in full, r_{t+1} is discounted once."""
    return _backwards(reward, lambda now, after: gamma * (now + after))


def _gamma_missing(reward: Tensor, gamma: float) -> Tensor:
    """γ is missing: a reward k steps later must count γ^k."""
    return _right(reward, 1.0)


def _discounted_from_the_start(reward: Tensor, gamma: float) -> Tensor:
    """Rewards are discounted from the start of the episode (γ^k): G_t discounts them from t on (γ^{k-t})."""
    return _right(reward * gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype), 1.0)


def _past_instead_of_future(reward: Tensor, gamma: float) -> Tensor:
    """You add up the rewards before t. Reward-to-go looks forward: run through time backwards."""
    return _right(reward.flip(-1), gamma).flip(-1)


def _reward_to_go_sign(reward: Tensor, gamma: float) -> Tensor:
    """Sign flipped? Returns are what we want more of; the minus belongs to the loss."""
    return -_right(reward, gamma)


def _time_on_the_first_axis(reward: Tensor, gamma: float) -> Tensor:
    """You run along the first axis. Time is the last one."""
    return _right(reward.movedim(0, -1), gamma).movedim(-1, 0)


def _two_axes_only(reward: Tensor, gamma: float) -> Tensor:
    """Time is taken to be the second axis. It is the last one, however many stand before it."""
    return _right(reward.movedim(1, -1), gamma).movedim(-1, 1)


def _one_step_only(reward: Tensor, gamma: float) -> Tensor:
    """Only the next reward is added: the sum runs to the end of the episode."""
    return reward + gamma * torch.nn.functional.pad(reward[..., 1:], (0, 1))


def _divides_by_discount(reward: Tensor, gamma: float) -> Tensor:
    """Dividing by γ^t loses all digits once γ^t is small, and is 0/0 for γ = 0. Recurse backwards instead."""
    discount = gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype)
    return (discount * reward).flip(-1).cumsum(-1).flip(-1) / discount


def _overwrites_its_input(reward: Tensor, gamma: float) -> Tensor:
    """The rewards are overwritten in place: whoever uses them afterwards reads returns. Write into a new tensor."""
    return reward.copy_(_right(reward, gamma))


def _always_float32(reward: Tensor, gamma: float) -> Tensor:
    """The result is always float32: `torch.zeros_like(reward)` keeps the dtype, `torch.zeros(...)` does not."""
    return _right(reward, gamma).float()


REWARD_TO_GO = Exercise(
    name="03.reward_to_go",
    entry="reward_to_go",
    reference=_reward_to_go,
    checks=(
        Check("values", 2, _few_steps, "G_t = r_t + γ G_{t+1}: go backwards from the last step."),
        Check(
            "extreme discounts",
            1,
            _extreme_discounts,
            "With γ = 0 only r_t is left; with γ = 1 all later rewards count in full; the last step has no successor.",
        ),
        Check(
            "leading axes",
            1,
            _leading_axes,
            "`reward[..., t]` is step t whatever stands before the time axis, even if nothing does.",
        ),
        Check("long episodes", 1, _long_episodes, "γ^300 is 10^-14 for γ = 0.9: never divide by it."),
        Check(
            "input and dtype",
            1,
            _same_input_twice,
            "The rewards must be the same before and after the call, and float64 rewards give float64 returns.",
        ),
    ),
    mutants=(
        _starts_one_step_late,
        _stops_one_step_early,
        _return_at_every_step,
        _discounted_once_too_often,
        _gamma_missing,
        _discounted_from_the_start,
        _past_instead_of_future,
        _reward_to_go_sign,
        _time_on_the_first_axis,
        _two_axes_only,
        _one_step_only,
        _divides_by_discount,
        _overwrites_its_input,
        _always_float32,
    ),
    difficulty=2,
    importance=5,
    minutes=10,
)

# --------------------------------------------------------------------------------------------------- the loss


def _loss(call: Call) -> Reply:
    """L = -1/N Σ_i Σ_t mask log π(a_t|s_t) G_t: its gradient is minus Williams' (1992) estimator, without γ^t."""
    log_prob, ret, mask = (np.asarray(call.args[name]) for name in ("log_prob", "ret", "mask"))
    weight = np.where(mask, ret, 0.0) / -len(mask)
    value = np.sum(weight * np.where(mask, log_prob, 0.0))
    gradients = {"log_prob": weight.astype(log_prob.dtype), "ret": None}
    return Reply((np.asarray(value, log_prob.dtype),), {name: gradients[name] for name in call.gradient})


def _episodes(
    log_prob: ArrayLike, ret: ArrayLike, mask: ArrayLike = True, padding: float = 0.0, gradient: tuple[str, ...] = ()
) -> Call:
    mask = np.broadcast_to(np.asarray(mask), np.shape(ret))
    return replace(_padded(mask, padding, log_prob=log_prob, ret=ret), gradient=gradient)


def _random_episodes(rng: Rng, mask: Array, padding: float = 0.0, gradient: tuple[str, ...] = ("log_prob",)) -> Call:
    log_prob, ret = np.log(rng.uniform(0.1, 0.9, mask.shape)), rng.normal(1.0, 2.0, mask.shape)
    return _episodes(log_prob, ret, mask, padding, gradient)


def _equal_lengths(rng: Rng, gradient: tuple[str, ...] = ()) -> Iterator[Call]:
    yield _episodes([[-1, -2]], [[10, 1]], gradient=gradient)
    yield _episodes([[-1, -2], [-3, -4]], [[2, 1], [4, 3]], gradient=gradient)
    for shape in ((2, 3), (3, 3), (5, 4)):
        yield _random_episodes(rng, np.ones(shape, bool), gradient=gradient)


def _equal_lengths_gradient(rng: Rng) -> Iterator[Call]:
    yield from _equal_lengths(rng, ("log_prob",))


def _unequal_lengths(rng: Rng) -> Iterator[Call]:
    yield _episodes([[-1, -9], [-2, -3]], [[5, 9], [4, 2]], [[True, False], [True, True]], -9.0, ("log_prob",))
    for episodes, steps in ((2, 3), (4, 6)):
        yield _random_episodes(rng, _lengths(rng, episodes, steps), padding=-7.0)


def _returns_with_gradient(rng: Rng) -> Iterator[Call]:
    yield _episodes([[-1, -2]], [[10, 1]], gradient=("log_prob", "ret"))
    yield _random_episodes(rng, np.ones((3, 4), bool), gradient=("log_prob", "ret"))


def _broken_padding(rng: Rng) -> Iterator[Call]:
    for padding in (np.nan, np.inf, -np.inf):
        yield _episodes([[-1, 0], [-2, -3]], [[5, 0], [4, 2]], [[True, False], [True, True]], padding, ("log_prob",))
        yield _random_episodes(rng, _lengths(rng, 3, 5), padding)


def _terms(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """G_t log π(a_t|s_t), 0 on padding: what the right answer puts together, and some wrong ones."""
    return log_prob.masked_fill(~mask, 0.0) * ret.detach().masked_fill(~mask, 0.0)


def _loss_sign(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """Sign flipped? An optimiser goes downhill, and we want the return to go up: the loss needs a minus."""
    return _terms(log_prob, ret, mask).sum(1).mean()


def _mean_over_padded_time(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """You average over time: the theorem has a sum over t. A mean makes a step of a long episode count for less."""
    return -_terms(log_prob, ret, mask).mean()


def _mean_over_steps(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """You divide by the number of steps: the theorem has a sum over t and a mean over episodes only."""
    return -_terms(log_prob, ret, mask).sum() / mask.sum()


def _mean_over_each_episode(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """You divide each episode by its length: long episodes, the good ones on CartPole, then count for less."""
    return -(_terms(log_prob, ret, mask).sum(1) / mask.sum(1)).mean()


def _sum_over_episodes(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """The mean over episodes is missing: twice the episodes would give twice the step."""
    return -_terms(log_prob, ret, mask).sum()


def _first_return_for_every_step(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """Every action is weighted with the return of the first step: each has its own, `ret[:, t]`."""
    return -_terms(log_prob, ret[:, :1].expand_as(ret), mask).sum(1).mean()


def _broadcast_square(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """[N] against [N, 1]: broadcasting pairs every episode's log-probability with every episode's return."""
    log_prob, ret = log_prob.masked_fill(~mask, 0.0), ret.detach().masked_fill(~mask, 0.0)
    return -(log_prob.unsqueeze(0) * ret.unsqueeze(1)).sum(2).mean()


def _sums_before_product(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """You multiply two sums. Multiply step by step first, then sum over time."""
    log_prob, ret = log_prob.masked_fill(~mask, 0.0), ret.detach().masked_fill(~mask, 0.0)
    return -(log_prob.sum(1) * ret.sum(1)).mean()


def _shifted_returns(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """Off by one: the action at t is weighted with the return that starts at t + 1."""
    log_prob, ret = log_prob.masked_fill(~mask, 0.0), ret.detach().masked_fill(~mask, 0.0)
    return -(log_prob[:, :-1] * ret[:, 1:]).sum(1).mean()


def _probability(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """You weight probabilities: the score is the gradient of the log-probability."""
    return -_terms(log_prob.masked_fill(~mask, 0.0).exp(), ret, mask).sum(1).mean()


def _standardised_returns(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """The returns are standardised inside the loss: that changes the gradient. Use them as they are."""
    real = ret.detach()[mask]
    return -_terms(log_prob, (ret - real.mean()) / (real.std() + 1e-8), mask).sum(1).mean()


def _padding_counted(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """Padding is counted: leave out the steps where the mask is False."""
    return -(log_prob * ret.detach()).sum(1).mean()


def _returns_not_detached(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """A gradient flows into the returns: they are data. `ret.detach()` says so."""
    return -(log_prob.masked_fill(~mask, 0.0) * ret.masked_fill(~mask, 0.0)).sum(1).mean()


def _log_prob_detached(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """No gradient is left: the log-probabilities were detached, and they are all there is to differentiate."""
    return -_terms(log_prob.detach(), ret, mask).sum(1).mean()


def _padding_times_zero(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `log_prob.masked_fill(~mask, 0.0)`."""
    return -(log_prob * ret.detach() * mask).sum(1).mean()


def _padding_masked_too_late(log_prob: Tensor, ret: Tensor, mask: Tensor) -> Tensor:
    """The value is right, its gradient is not: masked after the product, the padding still meets the gradient's 0 as
    0 · NaN. Replace padding in both factors before multiplying."""
    return -(log_prob * ret.detach()).where(mask, 0.0).sum(1).mean()


LOSS = Exercise(
    name="03.loss",
    entry="reinforce_loss",
    reference=_loss,
    checks=(
        Check(
            "value",
            2,
            _equal_lengths,
            "Multiply step by step, sum over time (dim 1), then take the mean over episodes, and mind the sign.",
        ),
        Check(
            "gradient",
            2,
            _equal_lengths_gradient,
            "The loss must stay a tensor that knows where it came from: no `.item()`, no `.detach()` on log_prob.",
        ),
        Check(
            "unequal lengths",
            1,
            _unequal_lengths,
            "Padding adds nothing. N is the number of episodes, whatever their lengths.",
        ),
        Check(
            "returns are data",
            1,
            _returns_with_gradient,
            "Returns were measured; the derivative of the loss by θ goes through log π only.",
        ),
        Check(
            "broken padding",
            2,
            _broken_padding,
            "0 · NaN is NaN, in the value and again in the gradient: `masked_fill` both factors before multiplying.",
        ),
    ),
    mutants=(
        _loss_sign,
        _mean_over_padded_time,
        _mean_over_steps,
        _mean_over_each_episode,
        _sum_over_episodes,
        _first_return_for_every_step,
        _broadcast_square,
        _sums_before_product,
        _shifted_returns,
        _probability,
        _standardised_returns,
        _padding_counted,
        _returns_not_detached,
        _log_prob_detached,
        _padding_times_zero,
        _padding_masked_too_late,
    ),
    difficulty=3,
    importance=5,
    minutes=15,
)

# ------------------------------------------------------------------------------------------------ the baseline


def _baseline(call: Call) -> Reply:
    """b_{i,t}: mean G_t of the other episodes that still run at t; 0 where there is none. Padding is not judged."""
    ret, mask = np.asarray(call.args["ret"]), np.asarray(call.args["mask"], bool)
    baseline = np.full(ret.shape, np.nan)
    for i, t in np.argwhere(mask):
        others = mask[:, t] & (np.arange(len(mask)) != i)
        baseline[i, t] = ret[others, t].astype(np.float64).mean() if others.any() else 0.0
    return Reply((baseline.astype(ret.dtype),))


def _returns(ret: ArrayLike, mask: ArrayLike = True, padding: float = 0.0) -> Call:
    return _padded(np.broadcast_to(np.asarray(mask), np.shape(ret)), padding, ret=ret)


def _random_returns(rng: Rng, mask: Array, padding: float = 0.0) -> Call:
    return _returns(rng.normal(5.0, 3.0, mask.shape), mask, padding)


def _all_running(rng: Rng) -> Iterator[Call]:
    yield _returns([[1, 2], [5, 4]])
    yield _returns([[1], [2], [6]])
    for shape in ((3, 3), (5, 4)):
        yield _random_returns(rng, np.ones(shape, bool))


def _some_finished(rng: Rng) -> Iterator[Call]:
    yield _returns([[1, 0], [3, 4], [8, 6]], [[True, False], [True, True], [True, True]])
    for episodes, steps in ((4, 5), (6, 8)):
        yield _random_returns(rng, _lengths(rng, episodes, steps), padding=-7.0)


def _alone(rng: Rng) -> Iterator[Call]:
    yield _returns([[3, 2], [5, 0]], [[True, True], [True, False]])
    yield _random_returns(rng, np.arange(4) < np.array([[1], [4]]))
    yield _random_returns(rng, np.ones((1, 3), bool))


def _padding_is_nan(rng: Rng) -> Iterator[Call]:
    yield _returns([[3, 2], [5, 0], [4, 8]], [[True, True], [True, False], [True, True]], np.nan)
    for padding in (np.nan, np.inf):
        yield _random_returns(rng, _lengths(rng, 4, 5), padding)


def _sum_of_the_others(ret: Tensor, mask: Tensor) -> Tensor:
    """The sum of the others, not their mean: divide by how many of them still run."""
    ret = ret.masked_fill(~mask, 0.0)
    return ret.sum(0) - ret


def _others(mask: Tensor) -> Tensor:
    return mask.sum(0) - mask.int()


def _own_episode_included(ret: Tensor, mask: Tensor) -> Tensor:
    """The mean includes the episode's own return: b then depends on the actions it is subtracted for, and E[score · b]
    is no longer 0. Leave it out of the sum and of the count."""
    return (ret.masked_fill(~mask, 0.0).sum(0) / mask.sum(0).clamp(min=1)).expand_as(ret)


def _own_episode_counted(ret: Tensor, mask: Tensor) -> Tensor:
    """The own return is left out of the sum but still counted: divide by the number of the others."""
    return _sum_of_the_others(ret, mask) / mask.sum(0).clamp(min=1)


def _finished_episodes_counted(ret: Tensor, mask: Tensor) -> Tensor:
    """Episodes that have finished are counted as returns of 0: count only those whose mask is True at t."""
    return _sum_of_the_others(ret, mask) / max(len(ret) - 1, 1)


def _padding_in_the_baseline(ret: Tensor, mask: Tensor) -> Tensor:
    """Padding enters the mean: what stands behind the end of an episode is not a return."""
    return (ret.sum(0) - ret) / max(len(ret) - 1, 1)


def _own_time_average(ret: Tensor, mask: Tensor) -> Tensor:
    """This averages an episode's own returns over time: b then depends on the actions it is subtracted for. Average
    over the other episodes at the same t."""
    return (ret.masked_fill(~mask, 0.0).sum(1, keepdim=True) / mask.sum(1, keepdim=True)).expand_as(ret)


def _mean_over_others_and_time(ret: Tensor, mask: Tensor) -> Tensor:
    """One number for all steps: a return-to-go shrinks towards the end of an episode, so compare at the same t."""
    total, steps = ret.masked_fill(~mask, 0.0).sum(1, keepdim=True), mask.sum(1, keepdim=True)
    return ((total.sum() - total) / (steps.sum() - steps).clamp(min=1)).expand_as(ret)


def _first_return_of_the_others(ret: Tensor, mask: Tensor) -> Tensor:
    """You use the others' return of the first step at every step: use what they still got from t on, `ret[:, t]`."""
    first = ret[:, :1]
    return ((first.sum(0) - first) / max(len(ret) - 1, 1)).expand_as(ret)


def _nothing_over_nothing(ret: Tensor, mask: Tensor) -> Tensor:
    """Where an episode runs alone you divide 0 by 0: b is 0 there."""
    return _sum_of_the_others(ret, mask) / _others(mask)


def _alone_against_itself(ret: Tensor, mask: Tensor) -> Tensor:
    """An episode that runs alone becomes its own baseline: b is 0 there."""
    return torch.where(_others(mask) > 0, _sum_of_the_others(ret, mask) / _others(mask).clamp(min=1), ret)


def _baseline_times_mask(ret: Tensor, mask: Tensor) -> Tensor:
    """Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `ret.masked_fill(~mask, 0.0)`."""
    return ((ret * mask).sum(0) - ret * mask) / _others(mask).clamp(min=1)


def _baseline_sign(ret: Tensor, mask: Tensor) -> Tensor:
    """Sign flipped? The baseline is subtracted later, outside."""
    return -_sum_of_the_others(ret, mask) / _others(mask).clamp(min=1)


def _already_subtracted(ret: Tensor, mask: Tensor) -> Tensor:
    """This is the advantage G - b already: return b alone."""
    return ret - _sum_of_the_others(ret, mask) / _others(mask).clamp(min=1)


BASELINE = Exercise(
    name="03.baseline",
    entry="leave_one_out_baseline",
    reference=_baseline,
    checks=(
        Check(
            "values", 3, _all_running, "Sum over all episodes (dim 0), take the own return away, divide by the rest."
        ),
        Check(
            "finished episodes",
            2,
            _some_finished,
            "At step t only episodes whose mask is True at t take part, in the sum and in the count.",
        ),
        Check("alone", 1, _alone, "Where no other episode runs, b is 0: `clamp(min=1)` on the count avoids 0/0."),
        Check(
            "broken padding", 1, _padding_is_nan, "0 · NaN is NaN: replace padding with `masked_fill` before you sum."
        ),
    ),
    mutants=(
        _own_episode_included,
        _own_episode_counted,
        _finished_episodes_counted,
        _padding_in_the_baseline,
        _own_time_average,
        _mean_over_others_and_time,
        _first_return_of_the_others,
        _sum_of_the_others,
        _nothing_over_nothing,
        _alone_against_itself,
        _baseline_times_mask,
        _baseline_sign,
        _already_subtracted,
    ),
    difficulty=3,
    importance=4,
    minutes=15,
)

EXERCISES = (REWARD_TO_GO, LOSS, BASELINE)
