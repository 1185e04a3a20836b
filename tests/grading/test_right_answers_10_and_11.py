"""Right answers to the exercises of chapters 10 and 11, as learners write them: none loses a point."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from right_answers import loses_no_point
from submissions import Answers

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.solutions import notebook

RIGHT = Answers()
right = RIGHT.to


def to_np(*xs):
    return [(x.detach().double() if x.is_floating_point() else x.detach()).numpy() for x in xs]


@right("10.token_clip")
def token_clip_loops(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    B, T = mask.shape
    clipped = torch.zeros(B, T, dtype=torch.bool)
    rows = []
    for i in range(B):
        gains = []
        for t in range(T):
            if mask[i, t]:
                r = torch.exp(log_prob[i, t] - old_log_prob[i, t].detach())
                a = advantage[i, t].detach()
                if a > 0 and r > 1 + clip_high:
                    g = (1 + clip_high) * a
                    clipped[i, t] = True
                elif a < 0 and r < 1 - clip:
                    g = (1 - clip) * a
                    clipped[i, t] = True
                else:
                    g = r * a
                gains.append(g)
        rows.append(gains)
    if by == "token":
        every = [g for gains in rows for g in gains]
        loss = -sum(every) / len(every)
    else:
        loss = -sum(sum(gains) / len(gains) for gains in rows) / len(rows)
    return loss, clipped


@right("10.token_clip")
def token_clip_numpy(log_prob, old_log_prob, advantage, mask, clip, clip_high, by):
    lp = log_prob[mask]
    ratio = (lp - old_log_prob[mask].detach()).exp()
    adv = advantage[mask].detach()
    lo, hi = 1 - clip, 1 + clip_high
    unclipped = ratio * adv
    clipped = ratio.clamp(lo, hi) * adv
    gain = torch.min(unclipped, clipped)
    n = mask.sum(1)
    rows = torch.repeat_interleave(torch.arange(len(mask)), n)
    w = {"token": torch.full((len(lp),), 1 / len(lp)), "sequence": 1.0 / (n[rows] * len(mask))}[by]
    out = torch.zeros_like(mask)
    out[mask] = torch.where(adv > 0, ratio > hi, ratio < lo)
    return -(w * gain).sum(), out


@right("10.kl_estimators")
def kl_estimators_vectorised(log_probs, ref_log_probs):
    result = {}
    ref = ref_log_probs.detach()
    z = log_probs.detach().clone().requires_grad_(True)
    logp = torch.log_softmax(z, -1)
    d = logp - ref
    for name, k in {"k1": d, "k2": 0.5 * d**2, "k3": torch.exp(-d) - 1 + d}.items():
        (g,) = torch.autograd.grad((logp.detach().exp() * k).sum(), z, retain_graph=True)
        result[name] = {"value": k.detach(), "gradient": g}
    return result


@right("10.kl_estimators")
def kl_estimators_numpy(log_probs, ref_log_probs):
    lp, lq = log_probs.detach().double(), ref_log_probs.detach().double()
    p = lp.exp()
    d = lp - lq
    # score: d log p(v) / dz_j = 1[v=j] - p_j
    A = lp.shape[-1]
    score = torch.eye(A, dtype=torch.float64) - p.unsqueeze(-2)  # [..., v, j]
    factor = {"k1": torch.ones_like(d), "k2": d, "k3": 1 - (-d).exp()}
    value = {"k1": d, "k2": d.square() / 2, "k3": (-d).exp() - 1 + d}
    return {k: {"value": value[k], "gradient": torch.einsum("...v,...vj->...j", p * factor[k], score)} for k in value}


@right("10.best_of_n")
def best_of_n_loops(score, gold, n):
    from math import comb

    def one(s, g):
        N = len(s)
        total = 0.0
        for x in set(s):
            group = [g[i] for i in range(N) if s[i] == x]
            hi = sum(1 for y in s if y <= x)
            lo = sum(1 for y in s if y < x)
            total += (comb(hi, n) - comb(lo, n)) / comb(N, n) * sum(group) / len(group)
        return total

    s = score.reshape(-1, score.shape[-1]).tolist()
    g = gold.reshape(-1, score.shape[-1]).tolist()
    return torch.tensor([one(a, b) for a, b in zip(s, g, strict=True)]).reshape(score.shape[:-1])


@right("10.best_of_n")
def best_of_n_numpy(score, gold, n):
    s, g = to_np(score, gold)
    shape = s.shape[:-1]
    N = s.shape[-1]
    s, g = s.reshape(-1, N), g.reshape(-1, N)
    lg = [math.lgamma(i + 1) for i in range(N + 1)]

    def share(r):
        if r < n:
            return 0.0
        return math.exp(lg[r] - lg[r - n] - lg[N] + lg[N - n])

    out = []
    for si, gi in zip(s, g, strict=True):
        order = np.argsort(si)
        w = np.array([share(r) - share(r - 1) for r in range(1, N + 1)])
        _, inv = np.unique(si[order], return_inverse=True)
        wsum = np.bincount(inv, weights=w)
        cnt = np.bincount(inv)
        gs = np.bincount(inv, weights=gi[order])
        out.append((wsum * gs / cnt).sum())
    return torch.tensor(np.array(out)).reshape(shape)


@right("10.group_advantage")
def group_advantage_vectorised(score, eps):
    G = score.size(-1)
    others = (score.sum(-1, keepdim=True) - score) / (G - 1)
    rloo = score - others
    same = (score == score[..., :1]).all(-1, keepdim=True)
    grpo = (score - score.mean(-1, keepdim=True)) / (score.std(-1, keepdim=True) + eps)
    return rloo, torch.where(same, torch.zeros_like(grpo), grpo)


@right("10.group_advantage")
def group_advantage_numpy(score, eps):
    s = score.double().numpy()
    G = s.shape[-1]
    off = (np.ones((G, G)) - np.eye(G)) / (G - 1)
    rloo = s - s @ off
    c = s - s.mean(-1, keepdims=True)
    c[np.abs(c) < 1e-9] = 0
    sd = np.sqrt((c**2).sum(-1, keepdims=True) / (G - 1))
    return torch.from_numpy(rloo).float(), torch.from_numpy(c / (sd + eps)).float()


@right("10.dpo_gradient")
def dpo_gradient_vectorised(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    c = chosen.detach().clone().requires_grad_()
    r = rejected.detach().clone().requires_grad_()
    hc = (c - ref_chosen)[chosen_mask]
    hc = torch.zeros(len(c)).index_add(0, chosen_mask.nonzero()[:, 0], hc)
    hr = torch.zeros(len(c)).index_add(0, rejected_mask.nonzero()[:, 0], (r - ref_rejected)[rejected_mask])
    L = torch.nn.functional.softplus(-beta * (hc - hr)).mean()
    L.backward()
    return dict(loss=L.item(), chosen=c.grad, rejected=r.grad)


@right("10.dpo_gradient")
def dpo_gradient_numpy(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    c, r, rc, rr, cm, rm = to_np(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask)
    n = c.shape[0]
    L = 0.0
    dc, dr = np.zeros(c.shape), np.zeros(r.shape)
    for i in range(n):
        m = beta * ((c[i][cm[i]] - rc[i][cm[i]]).sum() - (r[i][rm[i]] - rr[i][rm[i]]).sum())
        L += np.logaddexp(0, -m) / n
        sig = 1 / (1 + np.exp(m))
        dc[i][cm[i]] = -beta * sig / n
        dr[i][rm[i]] = beta * sig / n
    return {"loss": L, "chosen": dc, "rejected": dr}


@right("10.repair_grpo")
def repaired_vectorised(score, log_prob, ref_log_prob, mask, beta):
    kl = torch.where(mask, log_prob.detach() - ref_log_prob, torch.tensor(0.0)).sum(dim=2)
    R = score - beta * kl
    return (R - R.mean(dim=1, keepdim=True)) / (R.std(dim=1, keepdim=True) + 1e-4)


def scaled(x, eps=1e-4):
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps)


@right("10.repair_grpo")
def repaired_numpy(score, log_prob, ref_log_prob, mask, beta):
    per_token = log_prob - ref_log_prob
    per_token = per_token.detach().clone()
    per_token[~mask] = 0
    penalised = score - beta * torch.einsum("prt->pr", per_token)
    return scaled(penalised)


@right("10.token_reward")
def token_reward_loops(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    B, T = mask.shape
    out = torch.zeros(B, T)
    for i in range(B):
        n = int(mask[i].sum())
        for t in range(n):
            r = -beta * (float(log_prob[i, t]) - float(ref_log_prob[i, t]))
            if t == n - 1:
                r += float(score[i])
                if not ended[i]:
                    r -= eos_penalty
            out[i, t] = r
    return out


@right("10.masked_gae")
def masked_gae_vectorised(reward, value, mask, gamma, lam):
    reward = torch.where(mask, reward, torch.zeros_like(reward))
    value = torch.where(mask, value, torch.zeros_like(value))
    nxt = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)
    delta = reward + gamma * nxt - value
    T = delta.shape[1]
    t = torch.arange(T)
    k = t[:, None] - t[None, :]
    W = torch.where(k >= 0, torch.tensor(float(gamma * lam)) ** k.clamp(min=0), torch.tensor(0.0))  # W[k, t]
    adv = torch.einsum("bk,kt->bt", delta, W) * mask
    good = adv[mask]
    white = torch.zeros_like(adv)
    white[mask] = (good - good.mean()) / (good.std() + 1e-8)
    return adv, white


@right("10.masked_gae")
def masked_gae_numpy(reward, value, mask, gamma, lam):
    R, V, M = to_np(reward, value, mask)
    R, V = np.where(M, R, 0), np.where(M, V, 0)
    A = np.zeros_like(R)
    a = np.zeros(len(R))
    v = np.zeros(len(R))
    for t in reversed(range(R.shape[1])):
        a = np.where(M[:, t], R[:, t] + gamma * v - V[:, t] + gamma * lam * a, 0)
        v = V[:, t]
        A[:, t] = a
    W = np.where(M, (A - A[M].mean()) / (A[M].std(ddof=1) + 1e-8), 0)
    return A, W


@right("11.seeds_for")
def seeds_for_loops(first, second, alpha, power):
    z = NormalDist().inv_cdf
    x, y = first.tolist(), second.tolist()
    mx, my = sum(x) / len(x), sum(y) / len(y)
    vx = sum((a - mx) ** 2 for a in x) / (len(x) - 1)
    vy = sum((a - my) ** 2 for a in y) / (len(y) - 1)
    return math.ceil((z(1 - alpha / 2) + z(power)) ** 2 * (vx + vy) / (mx - my) ** 2)


@right("11.seeds_for")
def seeds_for_vectorised(first, second, alpha, power):
    def z(p):
        return torch.special.ndtri(torch.tensor(p, dtype=torch.float64))

    n = (z(1 - alpha / 2) + z(power)) ** 2 * (first.var() + second.var()) / (first.mean() - second.mean()) ** 2
    return int(torch.ceil(n))


def bisected(p):
    lo, hi = -10.0, 10.0
    for _ in range(200):
        mid = (lo + hi) / 2
        if 0.5 * (1 + math.erf(mid / math.sqrt(2))) < p:
            lo = mid
        else:
            hi = mid
    return (lo + hi) / 2


@right("11.seeds_for")
def seeds_for_numpy(first, second, alpha, power):
    x, y = first.numpy().astype(float), second.numpy().astype(float)
    n = (bisected(1 - alpha / 2) + bisected(power)) ** 2 * (np.var(x, ddof=1) + np.var(y, ddof=1))
    return np.ceil(n / (x.mean() - y.mean()) ** 2)


@right("11.stratified_bootstrap")
def stratified_bootstrap_loops(scores, chosen, level):
    N, M = scores.shape
    agg = []
    for b in range(len(chosen)):
        runs = []
        for i in range(N):
            for m in range(M):
                runs.append(float(scores[int(chosen[b, i, m]), m]))
        runs.sort()
        cut = N * M // 4
        kept = runs[cut : N * M - cut]
        agg.append(sum(kept) / len(kept))
    agg = torch.tensor(agg)
    return torch.quantile(agg, (1 - level) / 2), torch.quantile(agg, (1 + level) / 2)


@right("11.stratified_bootstrap")
def stratified_bootstrap_vectorised(scores, chosen, level):
    B = chosen.shape[0]
    picked = torch.stack([scores[chosen[:, :, m], m] for m in range(scores.shape[1])], -1)
    x = picked.reshape(B, -1).sort(1).values
    k = x.shape[1] // 4
    iqm = x[:, k : x.shape[1] - k].mean(1)
    return torch.quantile(iqm, torch.tensor([(1 - level) / 2, (1 + level) / 2]))


@right("11.stratified_bootstrap")
def stratified_bootstrap_numpy(scores, chosen, level):
    x = scores.numpy()
    c = chosen.numpy()
    drawn = np.take_along_axis(np.broadcast_to(x, c.shape), c, axis=1).reshape(len(c), -1)
    drawn = np.sort(drawn, axis=-1)
    cut = int(np.floor(drawn.shape[1] / 4))
    iqm = drawn[:, cut : drawn.shape[1] - cut].mean(axis=1)
    lo, hi = np.quantile(iqm, [(1 - level) / 2, (1 + level) / 2])
    return [lo, hi]


@right("11.honest_band")
def honest_band_loops(curves, quantile):
    mean = curves.mean(0)
    half = quantile * curves.std(0) / curves.shape[0] ** 0.5
    return torch.stack([mean, mean - half, mean + half])


@right("11.honest_band")
def honest_band_vectorised(curves, quantile):
    n = len(curves)
    m = sum(curves) / n
    s = torch.sqrt(sum((c - m) ** 2 for c in curves) / (n - 1))
    return torch.stack((m, m - quantile * s / math.sqrt(n), m + quantile * s / math.sqrt(n)))


@right("11.honest_band")
def honest_band_numpy(curves, quantile):
    c = curves.numpy()
    m = c.mean(axis=0)
    h = quantile * c.std(axis=0, ddof=1) / np.sqrt(c.shape[0])
    return np.array([m, m - h, m + h])


@right("11.ranking")
def ranges():
    low_high = {"PPO, A2C": (0, 0.1), "TRPO, A2C": (0.05, 0.2), "TRPO, natural gradient": [0.3, 0.45]}
    return {"PPO": 1, "A2C": np.int64(5), **low_high}


@right("11.ranking")
def by_the_formula_of_false_winners():
    """With the effects of chapter 11's table, and one of 3 for the first against the last."""
    effects = {"PPO, A2C": 3.0, "TRPO, A2C": 0.8, "TRPO, natural gradient": 0.27}
    return {"PPO": 1, "A2C": 5} | {pair: NormalDist().cdf(-d * 1.5**0.5) for pair, d in effects.items()}


@pytest.mark.parametrize(("name", "answer"), [(name, one) for name, some in RIGHT.items() for one in some])
def test_a_right_answer_loses_no_point(name, answer):
    loses_no_point(name, answer)


@pytest.mark.parametrize(
    ("prediction", "problem", "diagnosis"),
    [
        (None, "neither a number nor a pair (low, high)", "a number is asked for, or a pair (low, high)."),
        (
            (0.2, 0.05),
            "the pair (0.2, 0.05) is the other way round: (low, high)",
            "of a pair the lower end stands first, (low, high).",
        ),
        (
            (0.0, 1.0),
            "the range is 1 wide, more than 0.2",
            "a range as wide as that says too little: narrow it down, or give one number.",
        ),
    ],
)
def test_a_prediction_that_is_none_is_explained(prediction, problem, diagnosis):
    exercise = EXERCISES["11.ranking"]
    result = Examination(exercise, 0).judge(InProcess(lambda: {**ranges(), "TRPO, A2C": prediction}))
    failed = [(one.message, one.diagnosis) for one in result.checks if not one.passed]
    assert failed == [(f"TRPO, A2C: {problem}", f"TRPO, A2C: {diagnosis}")]


@pytest.mark.parametrize(
    ("item", "prediction", "problem"),
    [
        ("PPO", (1, 2), "the range is 1 wide, more than 0.8"),
        ("PPO", 1.5, "its place is an earlier one"),
        ("PPO, A2C", -0.05, "impossible, it lies between 0 and 1"),
        ("PPO, A2C", (-0.1, 0.05), "impossible, it lies between 0 and 1"),
    ],
)
def test_a_hedged_place_and_a_share_below_0_are_no_predictions(item, prediction, problem):
    result = Examination(EXERCISES["11.ranking"], 0).judge(InProcess(lambda: {**ranges(), item: prediction}))
    (failed,) = (one for one in result.checks if not one.passed)
    assert failed.message == f"{item}: {problem}"
    assert failed.diagnosis.startswith((item, "PPO is first", "A share lies between 0 and 1"))


@pytest.mark.parametrize(("item", "share"), [("PPO, A2C", 0.99), ("TRPO, A2C", 0.88), ("TRPO, natural gradient", 0.65)])
def test_a_share_of_right_orders_is_told_that_it_is_one(item, share):
    result = Examination(EXERCISES["11.ranking"], 0).judge(InProcess(lambda: {**ranges(), item: share}))
    (failed,) = (one for one in result.checks if not one.passed)
    assert failed.diagnosis.endswith("More than one half would be the share of *right* orders.")


def test_a_place_that_is_wrong_is_said_to_be_later_or_earlier_and_not_lower():
    result = Examination(EXERCISES["11.ranking"], 0).judge(InProcess(lambda: {**ranges(), "A2C": 4}))
    assert [one.message for one in result.checks if not one.passed] == ["A2C: its place is a later one"]


@pytest.mark.parametrize(
    ("item", "width"), [("PPO, A2C", "0.16"), ("TRPO, A2C", "0.2"), ("TRPO, natural gradient", "0.24")]
)
def test_the_widths_that_the_text_of_the_ranking_allows_are_those_that_are_judged(item, width):
    text = notebook("11").read_text("utf-8")
    assert "at most 0.16, 0.2 and 0.24 wide" in text
    result = Examination(EXERCISES["11.ranking"], 0).judge(InProcess(lambda: {**ranges(), item: (0.0, 0.9)}))
    assert f"{item}: the range is 0.9 wide, more than {width}" in [one.message for one in result.checks]


def test_writing_into_an_argument_is_seen_although_the_result_is_right():
    def writes(score, eps):
        score -= score[..., :1].clone()
        return group_advantage_vectorised(score, eps)

    result = Examination(EXERCISES["10.group_advantage"], 0).judge(InProcess(writes))
    assert [(one.check.name, one.message) for one in result.checks if not one.passed] == [
        ("many prompts", "`score` was changed in place: it must stay as it is")
    ]
