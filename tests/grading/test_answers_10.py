"""Chapter 10's exercises: right answers in other styles, wrong ones in other words, and truths from elsewhere."""

from itertools import combinations
from math import comb, inf, nan

import numpy as np
import pytest
import torch
from right_answers import loses_no_point
from submissions import Answers

import pgcourse as pg
from pgcourse.exercises.ch10 import best_of_n, group_advantage, kl_estimators, masked_gae, token_clip, token_reward
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.rl import divergences, objectives, selection, tokens

RIGHT, WRONG = Answers(), Answers()
right = RIGHT.to


def wrong(name, words):
    """A wrong answer, and words of the diagnosis; None where none is known."""

    def keep(answer):
        WRONG.setdefault(name, []).append((answer, words))
        return answer

    return keep


# ------------------------------------------------------------------------------------------------- token_reward


@right("10.token_reward")
def token_by_token(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    result = torch.zeros(mask.shape)
    for i in range(mask.shape[0]):
        for t in range(mask.shape[1]):
            if not mask[i, t]:
                continue
            result[i, t] = -beta * (log_prob[i, t].item() - ref_log_prob[i, t].item())
            if t + 1 == mask.shape[1] or not mask[i, t + 1]:
                result[i, t] += float(score[i]) - (0.0 if ended[i] else eos_penalty)
    return result


@right("10.token_reward")
def rewards_in_numpy(score, log_prob, ref_log_prob, mask, ended, beta=0.1, eos_penalty=1.0):
    score, new, ref = (x.detach().numpy().astype(np.float64) for x in (score, log_prob, ref_log_prob))
    mask, ended = mask.numpy(), ended.numpy()
    result = np.where(mask, -beta * np.where(mask, new, 0) + beta * np.where(mask, ref, 0), 0.0)
    result[np.arange(len(mask)), mask.sum(1) - 1] += np.where(ended, score, score - eos_penalty)
    return result


@right("10.token_reward")
@torch.no_grad()
def with_scatter(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    reward = torch.zeros_like(log_prob)
    reward[mask] = beta * (ref_log_prob[mask] - log_prob[mask])
    end = score.clone()
    end[~ended] -= eos_penalty
    return reward.scatter_add(1, (mask.long().sum(1, keepdim=True) - 1), end.unsqueeze(1))


@right("10.token_reward")
def with_the_end_marked(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    last = mask & (mask.flip(1).cumsum(1).flip(1) == 1)
    kl = torch.where(mask, (log_prob - ref_log_prob).detach(), torch.tensor(0.0))
    paid = (score.detach() - eos_penalty * (1 - ended.float()))[:, None]
    return last * paid - beta * kl


@wrong("10.token_reward", "wrong sign")
def paid_for_leaving(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    return with_scatter(score, ref_log_prob, log_prob, mask, ended, beta, eos_penalty)


@wrong("10.token_reward", "last column")
def at_minus_one(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    reward = (-beta * (log_prob - ref_log_prob).detach()).masked_fill(~mask, 0)
    reward[:, -1] += torch.where(ended, score.detach(), score.detach() - eos_penalty)
    return reward


@wrong("10.token_reward", "Every token is paid the score")
def everywhere(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    end = torch.where(ended, score, score - eos_penalty).detach()
    return torch.where(mask, end[:, None] - beta * (log_prob - ref_log_prob).detach(), 0.0)


@wrong("10.token_reward", "overwritten")
def set_instead_of_added(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    reward = token_by_token(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty)
    for i in range(len(mask)):
        reward[i, int(mask[i].sum()) - 1] = float(score[i].detach()) - eos_penalty * (not ended[i])
    return reward


@wrong("10.token_reward", "The divergence is missing")
def the_score_alone(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    return with_the_end_marked(score, log_prob, log_prob, mask, ended, beta, eos_penalty)


@wrong("10.token_reward", "The penalty is missing")
def no_penalty(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    return with_the_end_marked(score, log_prob, ref_log_prob, mask, ended, beta, 0.0)


@wrong("10.token_reward", "`ended` is True for them")
def the_wrong_ones(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    return with_the_end_marked(score, log_prob, ref_log_prob, mask, ~ended, beta, eos_penalty)


@wrong("10.token_reward", "Full rows")
def cut_by_length(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    cut = mask.sum(1) == mask.shape[1]
    return with_the_end_marked(score, log_prob, ref_log_prob, mask, ~cut, beta, eos_penalty)


@wrong("10.token_reward", "0 · NaN")
def times_the_mask(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    last = mask & (mask.flip(1).cumsum(1).flip(1) == 1)
    paid = torch.where(ended, score, score - eos_penalty).detach()[:, None]
    return mask * (last * paid - beta * (log_prob - ref_log_prob).detach())


@wrong("10.token_reward", "flows into the log-probabilities")
def with_its_gradient(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    last = mask & (mask.flip(1).cumsum(1).flip(1) == 1)
    paid = torch.where(ended, score, score - eos_penalty).detach()[:, None]
    return torch.where(mask, last * paid - beta * (log_prob - ref_log_prob), 0.0)


@wrong("10.token_reward", None)
def a_tenth_more(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    return with_the_end_marked(1.1 * score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty)


# --------------------------------------------------------------------------------------------------- masked_gae


@right("10.masked_gae")
def response_by_response(reward, value, mask, gamma, lam):
    advantage = torch.zeros_like(reward)
    for i, length in enumerate(mask.sum(1).tolist()):
        ahead, after = 0.0, 0.0
        for t in range(length - 1, -1, -1):
            ahead = reward[i, t] + gamma * after - value[i, t] + gamma * lam * ahead
            after = value[i, t]
            advantage[i, t] = ahead
    whitened = torch.zeros_like(reward)
    whitened[mask] = (advantage[mask] - advantage[mask].mean()) / (advantage[mask].std() + 1e-8)
    return advantage, whitened


@right("10.masked_gae")
def with_powers_in_numpy(reward, value, mask, gamma, lam):
    m = mask.numpy()
    r, v = (np.where(m, x.numpy(), 0).astype(np.float64) for x in (reward, value))
    delta = r - v
    delta[:, :-1] += gamma * v[:, 1:]
    steps = np.arange(m.shape[1])
    lag = steps[:, None] - steps[None, :]
    power = np.where(lag >= 0, float(gamma * lam) ** np.maximum(lag, 0), 0.0)  # [later, t]
    advantage = (delta @ power) * m
    x = advantage[m]
    return [advantage, np.where(m, (advantage - x.mean()) / np.sqrt(x.var(ddof=1)), 0)]


@right("10.masked_gae")
def as_the_books_program_does(rewards, values, mask, gamma, lam):
    rewards, values = torch.where(mask, rewards, 0.0), torch.where(mask, values, 0.0)
    lastgaelam, reversed_advantages = 0, []
    for t in reversed(range(rewards.size(1))):
        nextvalues = values[:, t + 1] if t < rewards.size(1) - 1 else 0.0
        delta = rewards[:, t] + gamma * nextvalues - values[:, t]
        lastgaelam = delta + gamma * lam * lastgaelam
        reversed_advantages.append(lastgaelam)
    advantages = torch.stack(reversed_advantages[::-1], 1) * mask
    count = mask.sum()
    mean = (advantages * mask).sum() / count
    variance = ((advantages - mean) ** 2 * mask).sum() / count * count / (count - 1)
    return advantages, (advantages - mean) * torch.rsqrt(variance + 1e-8) * mask


@wrong("10.masked_gae", "critic's word on padding")
def bootstrapped_from_padding(reward, value, mask, gamma, lam):
    reward, ahead = torch.where(mask, reward, 0.0), 0.0
    later = torch.nn.functional.pad(value[:, 1:], (0, 1))
    delta = torch.where(mask, reward, 0.0) + gamma * later - value
    columns = []
    for t in reversed(range(mask.shape[1])):
        ahead = delta[:, t] + gamma * lam * ahead
        columns.insert(0, ahead)
    advantage = torch.where(mask, torch.stack(columns, 1), 0.0)
    real = advantage[mask]
    return advantage, torch.where(mask, (advantage - real.mean()) / (real.std() + 1e-8), 0.0)


@wrong("10.masked_gae", "as advantages of 0")
def whitened_with_padding(reward, value, mask, gamma, lam):
    advantage = response_by_response(reward, value, mask, gamma, lam)[0]
    return advantage, torch.where(mask, (advantage - advantage.mean()) / (advantage.std() + 1e-8), 0.0)


@wrong("10.masked_gae", "divides by n")
def biased(reward, value, mask, gamma, lam):
    advantage = response_by_response(reward, value, mask, gamma, lam)[0]
    x = advantage[mask].numpy()
    return advantage, torch.where(mask, (advantage - float(x.mean())) / (float(x.std()) + 1e-8), 0.0)


@wrong("10.masked_gae", "λ is missing")
def reward_to_go_less_value(reward, value, mask, gamma, lam):
    return response_by_response(reward, value, mask, gamma, 1.0)


@wrong("10.masked_gae", "residuals δ alone")
def residuals(reward, value, mask, gamma, lam):
    return response_by_response(reward, value, mask, gamma, 0.0)


@wrong("10.masked_gae", "Each response is whitened by itself")
def one_by_one(reward, value, mask, gamma, lam):
    advantage = response_by_response(reward, value, mask, gamma, lam)[0]
    rows = [
        torch.cat([(x[m] - x[m].mean()) / (x[m].std() + 1e-8), x[~m]]) for x, m in zip(advantage, mask, strict=True)
    ]
    return advantage, torch.stack(rows)


@wrong("10.masked_gae", "critic's target")
def targets(reward, value, mask, gamma, lam):
    advantage = response_by_response(reward, value, mask, gamma, lam)[0] + torch.where(mask, value, 0.0)
    real = advantage[mask]
    return advantage, torch.where(mask, (advantage - real.mean()) / (real.std() + 1e-8), 0.0)


@wrong("10.masked_gae", "set it to 0 after all else")
def padding_left(reward, value, mask, gamma, lam):
    advantage = response_by_response(reward, value, mask, gamma, lam)[0]
    return advantage, (advantage - advantage[mask].mean()) / (advantage[mask].std() + 1e-8)


# --------------------------------------------------------------------------------------------------- token_clip


@right("10.token_clip")
def on_the_real_tokens(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    good = advantage.detach()[mask]
    r = torch.exp(log_prob[mask] - old_log_prob.detach()[mask])
    each = torch.max(-good * r, -good * torch.clamp(r, 1.0 - clip, 1.0 + clip_high))
    clipped = torch.zeros_like(mask)
    clipped[mask] = torch.where(good > 0, r > 1 + clip_high, r < 1 - clip)
    if by == "sequence":
        weight = (1 / mask.sum(1, keepdim=True) / len(mask)).expand(mask.shape)[mask]
        return (each * weight).sum(), clipped
    return each.mean(), clipped


@right("10.token_clip")
def loss_token_by_token(log_prob, old_log_prob, advantage, mask, clip=0.2, clip_high=0.2, by="token"):
    with torch.no_grad():
        old, good = old_log_prob.clone(), advantage.clone()
    rows, flags = [], []
    for i in range(len(mask)):
        losses = []
        for t in range(mask.shape[1]):
            flag = False
            if mask[i, t]:
                r, a = torch.exp(log_prob[i, t] - old[i, t]), good[i, t]
                held = max(min(r, torch.tensor(1 + clip_high)), torch.tensor(1 - clip))
                losses.append(-min(r * a, held * a))
                flag = bool(r * a > held * a)
            flags.append(flag)
        rows.append(losses)
    if by == "sequence":
        loss = sum(sum(x) / len(x) for x in rows) / len(rows)
    else:
        loss = sum(sum(x) for x in rows) / sum(len(x) for x in rows)
    return loss, torch.tensor(flags).reshape(mask.shape)


@right("10.token_clip")
def by_the_gradient(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    log_r = torch.where(mask, log_prob - old_log_prob.detach(), 0.0)
    A = torch.where(mask, advantage.detach(), 0.0)

    def gain(ratio):
        return torch.minimum(ratio * A, torch.clip(ratio, 1 - clip, 1 + clip_high) * A)

    leaf = log_r.detach().exp().requires_grad_()
    clipped = (torch.autograd.grad(gain(leaf).sum(), leaf)[0] == 0) & mask
    counts = mask.sum(-1)
    loss = {
        "token": lambda g: -g.sum() / counts.sum(),
        "sequence": lambda g: -(g.sum(-1) / counts).sum() / len(counts),
    }[by](gain(log_r.exp()))
    return [loss, clipped.float()]


@wrong("10.token_clip", "Sign flipped")
def gain_instead_of_loss(*a):
    loss, clipped = on_the_real_tokens(*a)
    return -loss, clipped


@wrong("10.token_clip", "clip_fraction")
def outside(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    r = torch.where(mask, log_prob - old_log_prob, 0.0).exp()
    loss = on_the_real_tokens(log_prob, old_log_prob, advantage, mask, clip, clip_high, by)[0]
    return loss, ((r - 1 > clip_high) | (1 - r > clip)) & mask


@wrong("10.token_clip", "on the other sides")
def turned_round(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    loss = on_the_real_tokens(log_prob, old_log_prob, advantage, mask, clip, clip_high, by)[0]
    return loss, on_the_real_tokens(log_prob, old_log_prob, -advantage, mask, clip, clip_high, by)[1]


@wrong("10.token_clip", "over all tokens whatever is asked for")
def always_tokens(*a):
    return on_the_real_tokens(*a[:-1], "token")


@wrong("10.token_clip", "two means are swapped")
def other_mean(*a):
    return on_the_real_tokens(*a[:-1], "sequence" if a[-1] == "token" else "token")


@wrong("10.token_clip", "ε_high is not used at all")
def symmetric(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    return on_the_real_tokens(log_prob, old_log_prob, advantage, mask, clip, clip, by)


@wrong("10.token_clip", "inverted")
def the_other_ratio(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    inverse = 2 * old_log_prob.detach() - log_prob
    return on_the_real_tokens(inverse, old_log_prob, advantage, mask, clip, clip_high, by)


@wrong("10.token_clip", "old log-probability")
def old_policy_trained(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    detached = torch.zeros_like(old_log_prob)
    return on_the_real_tokens(log_prob - old_log_prob, detached, advantage, mask, clip, clip_high, by)


@wrong("10.token_clip", None)
def dr_grpo(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    loss, clipped = on_the_real_tokens(log_prob, old_log_prob, advantage, mask, clip, clip_high, "token")
    return loss * mask.sum() / (len(mask) * 28), clipped


# ------------------------------------------------------------------------------------------------ kl_estimators


@right("10.kl_estimators")
def by_autograd(log_probs, ref_log_probs):
    def both(name):
        z = log_probs.detach().clone().requires_grad_()
        d = z.log_softmax(-1) - ref_log_probs
        k = {"k1": d, "k2": 0.5 * d**2, "k3": torch.exp(-d) - 1 + d}[name]
        (gradient,) = torch.autograd.grad((log_probs.exp() * k).sum(), z)
        return {"value": k.detach(), "gradient": gradient}

    return {name: both(name) for name in ("k1", "k2", "k3")}


@right("10.kl_estimators")
def with_the_jacobian(log_probs, ref_log_probs):
    p, q = (x.double().exp().numpy() for x in (log_probs, ref_log_probs))
    r = q / p
    slopes = {"k1": np.ones_like(r), "k2": -np.log(r), "k3": 1 - r}
    values = {"k1": -np.log(r), "k2": np.log(r) ** 2 / 2, "k3": r - 1 - np.log(r)}
    jacobian = np.eye(p.shape[-1]) - p[..., None, :]  # [..., v, u]: of log p(v) by z(u)
    gradients = {k: np.einsum("...v,...v,...vu->...u", p, slope, jacobian) for k, slope in slopes.items()}
    return {k: dict(value=values[k], gradient=gradients[k]) for k in values}


@right("10.kl_estimators")
def from_the_two_divergences(log_probs, ref_log_probs):
    d = log_probs - ref_log_probs
    kl = torch.sum(log_probs.exp() * d, dim=-1, keepdim=True)
    p, q = torch.exp(log_probs), torch.exp(ref_log_probs)
    return {
        "k3": {"gradient": p - q, "value": q / p - 1 - torch.log(q / p)},
        "k2": {"gradient": p * d - p * kl, "value": d * d * 0.5},
        "k1": {"gradient": d * 0, "value": d},
    }


def changed(name, **parts):
    def answer(log_probs, ref_log_probs):
        found = from_the_two_divergences(log_probs, ref_log_probs)
        p, d = log_probs.exp(), log_probs - ref_log_probs
        found[name] |= {part: f(p, d) for part, f in parts.items()}
        return found

    return answer


wrong("10.kl_estimators", "ratio inverted: exp(d)")(changed("k3", value=lambda p, d: d.exp() - 1 - d))
wrong("10.kl_estimators", "½ of k2")(changed("k2", value=lambda p, d: d * d))
wrong("10.kl_estimators", "wrong sign: it is log π")(changed("k1", value=lambda p, d: -d))
wrong("10.kl_estimators", "k1's gradient is 0. The value")(
    changed("k1", gradient=lambda p, d: p * d - p * (p * d).sum(-1, keepdim=True))
)
wrong("10.kl_estimators", "k1's gradient is 0, and not π")(changed("k1", gradient=lambda p, d: p))
wrong("10.kl_estimators", "is not π d")(changed("k2", gradient=lambda p, d: p * d))
wrong("10.kl_estimators", "not that of KL(π ‖ π_ref)")(
    changed("k3", gradient=lambda p, d: p * d - p * (p * d).sum(-1, keepdim=True))
)
wrong("10.kl_estimators", "of k3 has the wrong sign")(changed("k3", gradient=lambda p, d: p * (-d).exp() - p))
wrong("10.kl_estimators", None)(changed("k3", gradient=lambda p, d: p + p * (-d).exp()))


# ---------------------------------------------------------------------------------------------------- best_of_n


@right("10.best_of_n")
def by_all_subsets_or_by_counting(score, gold, n):
    """Whole numbers of Python: they never overflow."""
    answers = score.shape[-1]
    result = []
    for s, g in zip(score.reshape(-1, answers).tolist(), gold.reshape(-1, answers).tolist(), strict=True):
        total = 0.0
        for one, worth in zip(s, g, strict=True):
            below, same = sum(x < one for x in s), sum(x == one for x in s)
            total += worth * (comb(below + same, n) - comb(below, n)) / comb(answers, n) / same
        result.append(total)
    return torch.tensor(result).reshape(score.shape[:-1])


@right("10.best_of_n")
def with_logarithms_in_float32(score, gold, n):
    """Sorted, with the gold of equal scores replaced by their mean."""
    answers = score.shape[-1]
    same = (score.unsqueeze(-1) == score.unsqueeze(-2)).to(gold.dtype)
    shared = (same @ gold.unsqueeze(-1)).squeeze(-1) / same.sum(-1)
    ordered = shared.gather(-1, score.argsort(-1))
    b = torch.arange(answers, dtype=torch.float32)  # how many stand below
    possible = b >= n - 1

    def log_choose(of, some):
        some = torch.as_tensor(float(some))
        return torch.lgamma(of + 1) - torch.lgamma(some + 1) - torch.lgamma(of - some + 1)

    log_weight = log_choose(b.clamp(min=n - 1), n - 1) - log_choose(torch.tensor(float(answers)), n)
    return (torch.where(possible, log_weight.exp(), 0.0) * ordered).sum(-1)


@right("10.best_of_n")
def in_numpy_from_the_top(score, gold, n):
    """The best is the j-th from above if the j - 1 before it are not drawn, and it is."""
    s, g = np.asarray(score, np.float64), np.asarray(gold, np.float64)
    total = np.zeros(s.shape[:-1])
    for index in np.ndindex(s.shape[:-1]):
        left, missed = s.shape[-1], 1.0
        for level in sorted(set(s[index]), reverse=True):
            same = s[index] == level
            none = 1.0
            for j in range(int(same.sum())):  # none of them among the n, which are from the left ones
                none *= max(left - j - n, 0) / (left - j)
            total[index] += missed * (1 - none) * g[index][same].mean()
            missed, left = missed * none, left - int(same.sum())
    return total


@wrong("10.best_of_n", "more than once")
def with_replacement(score, gold, n):
    upto = (score.unsqueeze(-2) <= score.unsqueeze(-1)).sum(-1) / score.shape[-1]
    below = (score.unsqueeze(-2) < score.unsqueeze(-1)).sum(-1) / score.shape[-1]
    share = (upto - below) * score.shape[-1]
    return ((upto**n - below**n) / share * gold).sum(-1)


@wrong("10.best_of_n", "Only the first n")
def the_first_ones(score, gold, n):
    return gold[..., :n].gather(-1, score[..., :n].max(-1, keepdim=True).indices)[..., 0]


@wrong("10.best_of_n", "largest gold is taken")
def gold_known(score, gold, n):
    return by_all_subsets_or_by_counting(gold, gold, n)


@wrong("10.best_of_n", "asked for is its gold")
def score_of_the_best(score, gold, n):
    return in_numpy_from_the_top(score, score, n).astype(np.float32)


@wrong("10.best_of_n", "best of the whole pool")
def the_pool_s_best(score, gold, n):
    best = score == score.amax(-1, keepdim=True)
    return (gold * best).sum(-1) / best.sum(-1)


@wrong("10.best_of_n", "worst of n")
def ascending(score, gold, n):
    return by_all_subsets_or_by_counting(-score, gold, n)


@wrong("10.best_of_n", "mean of the n best")
def the_n_best(score, gold, n):
    return gold.take_along_dim(score.argsort(-1, descending=True), -1)[..., :n].mean(-1)


@wrong("10.best_of_n", "overflow")
def choose_in_float32(score, gold, n):
    answers, same = score.shape[-1], (score.unsqueeze(-1) == score.unsqueeze(-2)).to(gold.dtype)
    shared = (same @ gold.unsqueeze(-1)).squeeze(-1) / same.sum(-1)
    falls = torch.tensor([[float(r - j) for j in range(n)] for r in range(answers + 1)]).prod(1)
    return ((falls[1:] - falls[:-1]) / falls[-1] * shared.gather(-1, score.argsort(-1))).sum(-1)


# ---------------------------------------------------------------------------------------------- group_advantage


@right("10.group_advantage")
def prompt_by_prompt(score, eps):
    flat, first, second = score.reshape(-1, score.shape[-1]), [], []
    for s in flat.double():
        total = s.sum()
        first.append(torch.stack([x - (total - x) / (len(s) - 1) for x in s]))
        second.append((s - s.mean()) / (s.std() + eps))
    return torch.stack(first).reshape(score.shape), torch.stack(second).reshape(score.shape)


@right("10.group_advantage")
def asked_before_it_divides(score, eps):
    size = score.shape[-1]
    others = (score.sum(-1, keepdim=True) - score) / (size - 1)
    grpo = (score - score.mean(-1, keepdim=True)) / (score.std(-1, keepdim=True) + eps)
    equal = score.amax(-1, keepdim=True) == score.amin(-1, keepdim=True)
    return score - others, grpo.masked_fill(equal, 0.0)


@right("10.group_advantage")
def with_a_matrix(score, eps=1e-4):
    s = score.numpy().astype(np.float64)
    size = s.shape[-1]
    away = np.eye(size) - (1 - np.eye(size)) / (size - 1)
    spread = s.std(axis=-1, ddof=1, keepdims=True)
    return s @ away, np.where(np.ptp(s, -1, keepdims=True) > 0, (s - s.mean(-1, keepdims=True)) / (spread + eps), 0)


@wrong("10.group_advantage", "contains the response itself")
def less_the_mean(score, eps):
    return score - score.mean(-1, keepdim=True), asked_before_it_divides(score, eps)[1]


@wrong("10.group_advantage", "Equal scores do not give 0")
def as_it_is_printed(score, eps):
    others = (score.sum(-1, keepdim=True) - score) / (score.shape[-1] - 1)
    return score - others, (score - score.mean(-1, keepdim=True)) / (score.std(-1, keepdim=True) + eps)


@wrong("10.group_advantage", "mean and σ are those of the others")
def others_spread(score, eps):
    columns = []
    for i in range(score.shape[-1]):
        keep = [j for j in range(score.shape[-1]) if j != i]
        x = score[..., keep]
        columns.append((score[..., i] - x.mean(-1)) / (x.std(-1) + eps))
    return asked_before_it_divides(score, eps)[0], torch.stack(columns, -1)


@wrong("10.group_advantage", "σ divides by G")
def numpy_s_std(score, eps):
    s = score.numpy()
    away, spread = s - s[..., :1], s.std(-1, keepdims=True) * (np.ptp(s, -1, keepdims=True) > 0)
    grpo = (away - away.mean(-1, keepdims=True)) / (spread + np.float32(eps))
    return asked_before_it_divides(score, eps)[0], torch.from_numpy(grpo)


@wrong("10.group_advantage", "rounding error of the mean over 0")
def no_eps(score, eps):
    return asked_before_it_divides(score, eps)[0], (score - score.mean(-1, keepdim=True)) / score.std(-1, keepdim=True)


@wrong("10.group_advantage", "0/0 is NaN")
def no_eps_and_asked(score, eps):
    apart = score - score[..., :1]
    spread = score.std(-1, keepdim=True)
    return asked_before_it_divides(score, eps)[0], (apart - apart.mean(-1, keepdim=True)) / spread


@wrong("10.group_advantage", "not divided by σ")
def not_divided(score, eps):
    apart = score - score[..., :1]
    return asked_before_it_divides(score, eps)[0], apart - apart.mean(-1, keepdim=True)


@wrong("10.group_advantage", "other order")
def the_other_way_round(score, eps):
    one, other = asked_before_it_divides(score, eps)
    return other, one


# ---------------------------------------------------------------------------------------------------- judged


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "answer"), [(name, one) for name, some in RIGHT.items() for one in some])
def test_a_right_answer_loses_no_point(name, answer):
    loses_no_point(name, answer, draws=3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_called_by_its_name_and_by_no_other(name):
    draw = Examination(EXERCISES[name], seed=11)
    for answer, words in WRONG[name]:
        result = draw.judge(InProcess(answer))
        said = {one.diagnosis for one in result.checks if one.diagnosis}  # of a second mistake nothing is said
        assert result.state != "solved", answer.__name__
        assert len(said) == (words is not None), (answer.__name__, said)
        assert all(words in one for one in said), (answer.__name__, said)


# ------------------------------------------------------------------------------------------ truths from elsewhere


def draw_of(name, check, number=-1):
    """The arguments of a case of a check."""
    exercise = EXERCISES[name]
    one = next(one for one in exercise.checks if one.name == check)
    return list(exercise.calls(one, np.random.default_rng(5)))[number].args


def library(*arrays):
    """Arrays as tensors with a seed in front."""
    return [torch.as_tensor(x).unsqueeze(0) for x in arrays]


def test_a_response_is_paid_its_score_less_its_divergence():
    for check in ("equal lengths", "padding", "a response that was cut"):
        args = draw_of("10.token_reward", check)
        paid = token_reward.token_reward(**args)
        score, new, ref, mask, ended = library(*list(args.values())[:5])
        wanted = tokens.token_reward(score, new - ref, mask, args["beta"], ended, args["eos_penalty"])[0]
        np.testing.assert_allclose(paid, wanted, rtol=1e-5, atol=1e-6)
        total = args["score"] - args["eos_penalty"] * ~args["ended"]
        kl = np.where(args["mask"], args["log_prob"] - args["ref_log_prob"], 0).sum(1)
        np.testing.assert_allclose(paid.sum(1), total - args["beta"] * kl, rtol=1e-5, atol=1e-5)


def test_the_advantages_are_those_that_train_the_language_model():
    args = draw_of("10.masked_gae", "Â, padding")
    advantage, whitened = masked_gae.masked_gae(**args)
    reward, value, mask = library(args["reward"], args["value"], args["mask"])
    wanted = tokens.token_gae(reward, value, mask, args["gamma"], args["lam"])
    np.testing.assert_allclose(advantage, wanted[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whitened, pg.rl.standardized(wanted, mask)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("by", ["token", "sequence"])
def test_the_loss_and_what_it_clips_are_those_that_train_the_language_model(by):
    args = {
        name: torch.as_tensor(x).double() if getattr(x, "dtype", None) == np.float32 else x
        for name, x in draw_of("10.token_clip", f'by="{by}"').items()
    }
    args["mask"] = torch.as_tensor(args["mask"])
    loss, clipped = token_clip.token_clip(**args)
    ratio = torch.where(args["mask"], args["log_prob"] - args["old_log_prob"], 0.0).exp()
    bounds = args["advantage"], args["clip"], args["clip_high"]
    gain = objectives.clipped_surrogate(ratio, *bounds)
    wanted = tokens.aggregated(-gain.unsqueeze(0), args["mask"].unsqueeze(0), by)[0]
    torch.testing.assert_close(loss, wanted)
    assert torch.equal(clipped, objectives.clip_binds(ratio, *bounds) & args["mask"])


def test_gradients_of_the_estimators_are_those_of_the_divergences():
    args = kl_estimators.drawn(3, 5)(np.random.default_rng(2))
    found = kl_estimators.kl_estimators(**args)
    ref = torch.tensor(args["ref_log_probs"])
    z = torch.tensor(args["log_probs"], requires_grad=True)
    pi = z.log_softmax(-1)
    for name, kl in {"k2": divergences.full_kl(pi, ref), "k3": divergences.full_kl(ref, pi)}.items():
        torch.testing.assert_close(found[name]["gradient"], torch.autograd.grad(kl.sum(), z, retain_graph=True)[0])
    assert found["k1"]["gradient"].abs().max() < 1e-15
    prob = torch.tensor(args["log_probs"]).exp()
    for name, estimator in divergences.ESTIMATORS.items():
        torch.testing.assert_close(found[name]["value"].detach(), estimator(pi.detach(), ref))
    for name in ("k1", "k3"):
        mean = (prob * found[name]["value"].detach()).sum(-1)
        torch.testing.assert_close(mean, divergences.full_kl(pi, ref).detach())


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_best_of_n_is_the_mean_over_all_subsets(n):
    args = best_of_n.equal(2, 7, n, 3)(np.random.default_rng(n))
    score, gold = args["score"], args["gold"]
    rows = []
    for s, g in zip(score, gold, strict=True):
        means = []
        for some in combinations(range(7), n):
            best = [i for i in some if s[i] == max(s[j] for j in some)]
            means.append(np.mean([g[i] for i in best]))
        rows.append(np.mean(means))
    np.testing.assert_allclose(best_of_n.best_of_n(score, gold, n), rows)
    np.testing.assert_allclose(selection.best_of_n(torch.tensor(score), torch.tensor(gold), n), rows)
    right_ones = score == 2
    passed = best_of_n.best_of_n(right_ones.astype(float), right_ones.astype(float), n)
    np.testing.assert_allclose(passed, selection.pass_at_k(torch.tensor(right_ones), n))


def test_the_advantages_without_a_critic_are_the_library_s():
    for check in ("RLOO", "many prompts", "nothing to tell apart"):
        args = draw_of("10.group_advantage", check)
        score = torch.as_tensor(args["score"]).double()
        found = group_advantage.group_advantage(score.numpy(), args["eps"])
        for advantage, names in zip(found, (("leave_one_out", "none"), ("group", "group")), strict=True):
            wanted = pg.rl.group_advantage(score.reshape(1, -1, score.shape[-1]), *names, args["eps"])
            np.testing.assert_allclose(advantage, wanted.reshape(score.shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_broken_padding_reaches_no_reference(value):
    args = token_reward.drawn(4, 6, [6, 1, 3, 5], padding=value)(np.random.default_rng(0))
    assert np.isfinite(token_reward.token_reward(**args)).all()
    args = masked_gae.drawn(4, 6, [6, 1, 3, 5], padding=(value, value))(np.random.default_rng(0))
    assert np.isfinite(masked_gae.masked_gae(**args)).all()
