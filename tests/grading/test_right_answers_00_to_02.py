"""Right answers in other styles than the course's own: none may lose a point, on any draw."""

import bisect
import itertools
import math
import statistics

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
import torch.nn.functional as F
from right_answers import loses_no_point
from submissions import Answers
from torch.distributions import Categorical

from pgcourse.exercises.ch02.causality import TRUTH
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.solutions import solution
from pgcourse.stats import mean_interval

RIGHT = Answers()
right = RIGHT.to


# ---------------------------------------------------------------------------------------------------- chapter 00


@right("00.mean_interval")
def interval_by_scipy(returns):
    means = returns.numpy().mean(1)
    if means.size < 2:
        return [-np.inf, np.inf]
    return scipy.stats.t.interval(0.95, means.size - 1, loc=means.mean(), scale=scipy.stats.sem(means))


@right("00.mean_interval")
def interval_as_a_tensor(returns):
    means = returns.double().mean(dim=-1)
    n = means.numel()
    if n == 1:
        return torch.tensor([-float("inf"), float("inf")])
    t = scipy.stats.t.ppf(0.975, df=n - 1)
    half = t * ((means - means.mean()).square().sum() / (n - 1) / n).sqrt()
    return torch.stack([means.mean() - half, means.mean() + half])


@right("00.mean_interval")
def interval_of_plain_numbers(returns):
    means = [statistics.fmean(row) for row in returns.tolist()]
    if not len(means) > 1:
        return (-math.inf, math.inf)
    table = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]
    half = table[len(means) - 2] * statistics.stdev(means) / math.sqrt(len(means))
    return statistics.fmean(means) - half, statistics.fmean(means) + half


@right("00.paired_difference")
def pairs_by_dictionary(seed_a, a, seed_b, b):
    one, other = (
        dict(zip(seed_a.tolist(), a.tolist(), strict=True)),
        dict(zip(seed_b.tolist(), b.tolist(), strict=True)),
    )
    d = np.array([one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())])
    if len(d) <= 1:
        return -np.inf, np.inf
    half = scipy.stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean() - half, d.mean() + half


@right("00.paired_difference")
def pairs_by_comparison(seed_a, a, seed_b, b):
    i, j = (seed_a[:, None] == seed_b[None, :]).nonzero(as_tuple=True)
    d = a[i] - b[j]
    if d.numel() < 2:
        return torch.tensor([-torch.inf, torch.inf])
    result = scipy.stats.ttest_1samp(d.numpy(), 0)
    return tuple(result.confidence_interval())


@right("00.seeds_not_episodes")
def judged_by_scipy(returns, limit):
    m = returns.mean(-1).double().numpy()
    low, high = scipy.stats.t.interval(0.95, len(m) - 1, m.mean(), m.std(ddof=1) / len(m) ** 0.5)
    return dict(verdict=("does not hold", "holds")[int(low > limit)], high=high, low=low)


@right("00.seeds_not_episodes")
def judged_in_loops(returns, limit):
    means = [sum(row) / len(row) for row in returns.tolist()]
    half = float(scipy.stats.t.ppf(0.975, len(means) - 1)) * statistics.stdev(means) / len(means) ** 0.5
    low, high = sum(means) / len(means) - half, sum(means) / len(means) + half
    return {"low": torch.tensor(low), "high": np.float32(high), "verdict": "does not hold" if low <= limit else "holds"}


@right("00.claim")
def read_from_the_table():
    table = EXERCISES["00.claim"].evidence()
    columns = {name: table[name].dropna().to_numpy(float) for name in table}
    samples = {name: columns[name] for name in "ABCE"} | {"D": columns["D: X"] - columns["D: Y"]}
    samples["F"] = np.array([columns["F: seed 0"].mean(), columns["F: seed 1"].mean()])
    verdicts = {}
    for name, limit in {"A": 350, "B": 300, "C": 430, "D": 0, "E": 320, "F": 400}.items():
        low, high = scipy.stats.ttest_1samp(samples[name], limit).confidence_interval()
        verdicts[name] = "holds" if low > limit else "refuted" if high < limit else "inconclusive"
    return verdicts


@right("00.claim")
def read_by_the_answers_to_the_other_exercises():
    """As the second hint says it: the table's columns go into the learner's own functions, and into the course's."""
    t = EXERCISES["00.claim"].evidence()
    mean, paired = (solution(EXERCISES[f"00.{name}"]) for name in ("mean_interval", "paired_difference"))
    ends = {name: mean(torch.tensor(t[name].dropna().to_numpy(float))[:, None]) for name in "ABCE"}
    for name in "ABCE":
        assert np.allclose(mean_interval(t[name].dropna())[1:], ends[name])
    x, y, seeds = *torch.tensor(t[["D: X", "D: Y"]].dropna().to_numpy(float)).T, torch.arange(10)
    ends["D"] = paired(seeds, x, seeds, y)
    ends["F"] = mean(torch.tensor(t[["F: seed 0", "F: seed 1"]].dropna().to_numpy(float)).T)
    limits = {"A": 350, "B": 300, "C": 430, "D": 0, "E": 320, "F": 400}
    return {
        name: "holds" if low > limits[name] else "refuted" if high < limits[name] else "inconclusive"
        for name, (low, high) in ends.items()
    }


# ---------------------------------------------------------------------------------------------------- chapter 01


@right("01.softmax_score")
def score_by_scatter(z, a):
    return (-torch.softmax(z, dim=-1)).scatter_add(-1, a.unsqueeze(-1), torch.ones_like(z[..., :1]))


@right("01.softmax_score")
def score_by_comparison(z, a):
    weight = torch.exp(z - z.max(-1, keepdim=True)[0])
    return (torch.arange(z.shape[-1]) == a[..., None]).float() - weight / weight.sum(-1, keepdim=True)


@right("01.softmax_score")
def score_by_autograd(z, a):
    z = z.clone().requires_grad_()
    Categorical(logits=z).log_prob(a).sum().backward()
    return z.grad


@right("01.softmax_score")
def score_by_numpy(z, a):
    x = z.numpy()
    p = np.exp(x - x.max(-1, keepdims=True))
    return np.eye(x.shape[-1])[a.numpy()] - p / p.sum(-1, keepdims=True)


def score_by_a_logarithm(z, a):
    return torch.eye(z.shape[-1])[a] - torch.exp(z - z.logsumexp(-1, keepdim=True))


@pytest.mark.parametrize("seed", [0, 305, 346, 773])
def test_a_stable_logarithm_may_have_the_rounding_of_900(seed):
    result = Examination(EXERCISES["01.softmax_score"], seed, mutants={}).judge(InProcess(score_by_a_logarithm))
    assert result.state == "solved"


@right("01.entropy")
def entropy_by_distribution(z):
    return Categorical(logits=z).entropy()


@right("01.entropy")
def entropy_by_logsumexp(z):
    return torch.logsumexp(z, -1) - (F.softmax(z, -1) * z).sum(-1)


@right("01.entropy")
def entropy_with_detached_logarithm(z):
    """The gradient is right: what is detached has mean zero."""
    return -(z.softmax(-1) * z.log_softmax(-1).detach()).sum(-1)


@right("01.entropy")
def entropy_by_hand(z):
    x = z - z.max(dim=-1, keepdim=True).values
    log_pi = x - x.exp().sum(-1, keepdim=True).log()
    return torch.einsum("...a,...a->...", log_pi.exp(), -log_pi)


@right("01.sample")
def sample_by_search(z, u):
    ends = torch.softmax(z.double(), -1).cumsum(-1)
    found = torch.searchsorted(ends, u.double()[..., None].contiguous(), right=True)[..., 0]
    return torch.minimum(found, torch.tensor(z.shape[-1] - 1))


@right("01.sample")
def sample_by_argmax(z, u):
    ends = z.softmax(-1).cumsum(-1)
    inside = u[..., None] < ends
    return torch.where(inside.any(-1), inside.int().argmax(-1), z.shape[-1] - 1)


@right("01.sample")
def sample_in_loops(z, u):
    def one(logits, number):
        top = max(logits)
        weights = [math.exp(x - top) for x in logits]
        ends = [x / sum(weights) for x in itertools.accumulate(weights)]
        return min(bisect.bisect_right(ends, number), len(logits) - 1)

    rows, numbers = z.reshape(-1, z.shape[-1]).tolist(), u.reshape(-1).tolist()
    return torch.tensor([one(*pair) for pair in zip(rows, numbers, strict=True)]).reshape(u.shape)


@right("01.sample")
def sample_by_normalised_sums(z, u):
    sums = z.softmax(-1).cumsum(-1)
    return ((u.unsqueeze(-1) * sums[..., -1:] >= sums).sum(-1)).clamp(0, z.size(-1) - 1).float()


@right("01.corridor")
def corridor_by_solving(p, bump):
    def value(p):
        p = torch.as_tensor(p, dtype=torch.float64)
        zero, one = torch.zeros_like(p), torch.ones_like(p)
        moves = [torch.stack(row, -1) for row in ((1 - p, p, zero), (p, zero, 1 - p), (zero, 1 - p, zero))]
        cost = torch.stack([1 + (1 - p) * bump, one, one], -1)
        return -torch.linalg.solve(torch.eye(3) - torch.stack(moves, -2), cost)[..., 0]

    grid = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    return value(p), grid[value(grid).argmax()]


@right("01.corridor")
def corridor_by_fractions(p, bump):
    best = math.sqrt(2 + bump) / (1 + math.sqrt(2 + bump))
    return [bump - (4 + 2 * bump) / p - 2 / (1 - p), torch.tensor(best)]


@right("01.corridor")
def corridor_by_numpy(p, bump):
    def J(x):
        return -2 * (2 - x) / (x * (1 - x)) - bump * (2 - x) / x

    return J(p.numpy()), scipy.optimize.minimize_scalar(lambda x: -J(x), bounds=(0.01, 0.99), method="bounded").x


@right("01.mixture_return")
def mixture_by_formula():
    def J(p):
        return -2 * (2 - p) / (p * (1 - p))

    answer = {"corridor: a coin each episode": np.mean([J(0.05), J(0.95)]), "corridor: a coin each step": J(0.5)}
    return answer | {"dive: a coin each step": torch.tensor(5.5), "dive: a coin each episode": (8 + 3) / 2}


@right("01.mixture_return")
def mixture_as_ranges():
    return {
        "dive: a coin each episode": (5.46, 5.54),
        "dive: a coin each step": 5.5,
        "corridor: a coin each episode": (-65, -62),
        "corridor: a coin each step": [-12.2, -11.9],
    }


# ---------------------------------------------------------------------------------------------------- chapter 02


@right("02.occupancy")
def visits_by_inverse(transition, pi, start, gamma):
    P = (pi[:, :, None] * transition).sum(1)
    return start @ torch.inverse(torch.eye(P.shape[0]) - gamma * P)


@right("02.occupancy")
def visits_by_numpy(transition, pi, start, gamma):
    P = np.einsum("sat,sa->st", transition.numpy(), pi.numpy())
    return np.linalg.solve(np.eye(len(P)) - gamma * P.T, start.numpy())


@right("02.occupancy")
def visits_by_summing(transition, pi, start, gamma):
    P = torch.bmm(pi.unsqueeze(1), transition).squeeze(1)
    total, now = start.clone(), start.clone()
    for _ in range(3000):
        now = gamma * now @ P
        total += now
    return total


@right("02.occupancy")
def visits_in_float64_with_loops(transition, pi, start, gamma):
    n = len(start)
    matrix = torch.eye(n, dtype=torch.float64)
    for s, a, t in itertools.product(range(n), range(pi.shape[1]), range(n)):
        matrix[t, s] -= gamma * pi[s, a].item() * transition[s, a, t].item()
    return torch.linalg.solve(matrix, start.double()).tolist()


@right("02.gradient")
def gradient_by_autograd(transition, reward, start, theta, gamma):
    theta = theta.double().clone().requires_grad_()
    pi = theta.softmax(-1)
    P, r = (pi[..., None] * transition).sum(1), (pi * reward).sum(1)
    return torch.autograd.grad(start.double() @ torch.linalg.solve(torch.eye(len(P)) - gamma * P, r), theta)[0].float()


@right("02.gradient")
def gradient_by_differences(transition, reward, start, theta, gamma):
    def J(logits):
        pi = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        P, r = np.einsum("sa,sat->st", pi, transition.numpy().astype(float)), (pi * reward.numpy()).sum(1)
        return start.numpy() @ np.linalg.solve(np.eye(len(P)) - gamma * P, r)

    x, slope = theta.numpy().astype(float), np.zeros(theta.shape)
    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        slope[index] = (J(x + step) - J(x - step)) / 2e-5
    return slope


@right("02.gradient")
def gradient_by_scores(transition, reward, start, theta, gamma):
    """With q and the whole score."""
    pi = torch.softmax(theta, 1)
    S, A = pi.shape
    P = torch.einsum("sa,sat->st", pi, transition)
    M = torch.eye(S) - gamma * P
    v, d = torch.linalg.solve(M, (pi * reward).sum(1)), torch.linalg.solve(M.T, start)
    q = reward + gamma * torch.einsum("sat,t->sa", transition, v)
    score = torch.eye(A)[None] - pi[:, None, :]  # [state, action taken, logit]
    return torch.einsum("s,sa,sa,sal->sl", d, pi, q, score)


@right("02.gradient")
def gradient_in_loops(transition, reward, start, theta, gamma):
    P, R, rho, x = (y.tolist() for y in (transition, reward, start, theta))
    S, A = len(R), len(R[0])
    pi = [[math.exp(z) / sum(map(math.exp, row)) for z in row] for row in x]
    v, d = [0.0] * S, list(rho)
    for _ in range(600):
        q = [[R[s][a] + gamma * sum(P[s][a][t] * v[t] for t in range(S)) for a in range(A)] for s in range(S)]
        v = [sum(pi[s][a] * q[s][a] for a in range(A)) for s in range(S)]
        d = [rho[t] + gamma * sum(d[s] * pi[s][a] * P[s][a][t] for s in range(S) for a in range(A)) for t in range(S)]
    return torch.tensor([[d[s] * pi[s][a] * (q[s][a] - v[s]) for a in range(A)] for s in range(S)])


@right("02.causality")
def listed():
    return {letter: "zero" if letter in "ADEGHJL" else "not zero" for letter in "ABCDEFGHIJKL"}


@right("02.broken_lemma")
def bias_by_covariance(z, b):
    p = torch.softmax(z, -1)
    matrix = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    return -(matrix @ b[..., None])[..., 0]


@right("02.broken_lemma")
def bias_by_autograd(z, b):
    z = z.clone().requires_grad_()
    (-(z.softmax(-1) * b).sum()).backward()
    return z.grad


@right("02.broken_lemma")
def bias_by_numpy(z, b):
    x = z.numpy()
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return p * (np.sum(p * b.numpy(), axis=-1, keepdims=True) - b.numpy())


@right("02.monte_carlo_slope")
def slope_by_polyfit(estimates, truth, sizes):
    g, n = estimates.numpy().astype(float), sizes.numpy()
    e = [np.sqrt(((g[:, :k].mean(axis=1) - truth.numpy()) ** 2).sum(axis=1).mean()) for k in n]
    return np.polyfit(np.log10(n), np.log10(e), deg=1)[0]


@right("02.monte_carlo_slope")
def slope_by_cumsum(estimates, truth, sizes):
    means = estimates.cumsum(1) / torch.arange(1, estimates.shape[1] + 1)[None, :, None]
    e = (means - truth).norm(dim=-1).pow(2).mean(0).sqrt()[sizes - 1]
    x = torch.stack([sizes.log(), torch.ones(len(sizes))], 1)
    return torch.linalg.lstsq(x, e.log()[:, None]).solution[0, 0]


@right("02.monte_carlo_slope")
def slope_by_statistics(estimates, truth, sizes):
    points = []
    for n in sizes:
        off = estimates[:, : int(n), :].mean(dim=1) - truth[None]
        points.append((math.log2(n), 0.5 * math.log2((off**2).sum() / len(off))))
    return statistics.linear_regression(*zip(*points, strict=True)).slope


@right("02.discount_factor")
def weights_by_recursion(reward, gamma, keep):
    ret = reward.clone()
    for t in range(reward.shape[-1] - 2, -1, -1):
        ret[..., t] += gamma * ret[..., t + 1]
    if not keep:
        return ret
    for t in range(reward.shape[-1]):
        ret[..., t] *= gamma**t
    return ret


@right("02.discount_factor")
def weights_by_matrix(reward, gamma, keep=True):
    t = np.arange(reward.shape[-1])
    later = t[None, :] >= t[:, None]  # [t, k]
    power = t[None, :] + 0 * t[:, None] if keep else np.where(later, t[None, :] - t[:, None], 0)
    matrix = np.where(later, np.float64(gamma) ** power, 0.0).astype(reward.numpy().dtype)
    return reward.numpy() @ matrix.T


@right("02.discount_factor")
def weights_by_cumsum(reward, gamma, keep):
    T = reward.shape[-1]
    if keep:
        discounted = reward * torch.tensor([gamma**k for k in range(T)], dtype=reward.dtype)
        return discounted.flip(-1).cumsum(-1).flip(-1)
    out, g = [], 0
    for r in reversed(reward.unbind(-1)):
        g = r + gamma * g
        out.append(g)
    return torch.stack(out[::-1], -1)


@right("02.practice")
def practice_by_numpy(transition, reward, start, theta, gamma):
    T, R, rho, x = (y.numpy().astype(float) for y in (transition, reward, start, theta))
    pi = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    P = np.einsum("sa,sat->st", pi, T)
    v = np.linalg.inv(np.eye(len(P)) - gamma * P) @ (pi * R).sum(1)
    n = np.linalg.inv(np.eye(len(P)) - P).T @ rho
    return n[:, None] * pi * (R + gamma * T @ v - v[:, None])


@right("02.practice")
def practice_by_autograd(transition, reward, start, theta, gamma):
    theta = theta.clone().requires_grad_()
    pi = theta.softmax(1)
    with torch.no_grad():
        P, eye = torch.einsum("sa,sat->st", pi, transition), torch.eye(len(pi))
        q = reward + gamma * transition @ torch.linalg.solve(eye - gamma * P, (pi * reward).sum(1))
        n = torch.linalg.solve((eye - P).T, start)
    return torch.autograd.grad((n * (pi * q).sum(1)).sum(), theta)[0]


@right("02.advantage_by_hand")
def by_hand_rounded():
    numbers = {"v(0)": 1.25, "v(1)": 2.5, "d(0)": 3.75, "d(1)": 1.25, "A(0, switch)": 0.75, "A(1, switch)": -0.5}
    return numbers | {"slope(0)": 0.703, "slope(1)": -0.31}


@right("02.advantage_by_hand")
def by_hand_as_fractions():
    numbers = {"v(0)": 5 / 4, "v(1)": 5 / 2, "d(0)": torch.tensor(15 / 4), "d(1)": np.float32(5 / 4)}
    return numbers | {"A(0, switch)": 3 / 4, "A(1, switch)": -1 / 2, "slope(0)": 45 / 64, "slope(1)": (-0.315, -0.31)}


@pytest.mark.parametrize(("name", "answer"), [(name, one) for name, some in RIGHT.items() for one in some])
def test_a_right_answer_loses_no_point(name, answer):
    loses_no_point(name, answer)


def test_every_exercise_has_another_right_answer():
    assert set(RIGHT) == {name for name in EXERCISES if name[:2] in ("00", "01", "02")}


# ------------------------------------------------------------------------------- what is declared, by other means


def test_which_products_have_mean_zero_by_listing_trajectories():
    """A random world of two states and two actions; the weights of 02.causality beside the score at t = 1."""
    rng = np.random.default_rng(0)
    transition, reward = rng.dirichlet([1, 1], (2, 2)), rng.normal(size=(2, 2))
    pi, rho, gamma, steps, t = rng.dirichlet([2, 2], 2), rng.dirichlet([1, 1]), 0.9, 4, 1
    P = np.einsum("sa,sat->st", pi, transition)
    v = np.linalg.solve(np.eye(2) - gamma * P, (pi * reward).sum(1))
    q = reward + gamma * transition @ v
    score = np.zeros((2, 2, 2, 2))  # [state, action taken, ...]
    for s, a in np.ndindex(2, 2):
        score[s, a, s] = np.eye(2)[a] - pi[s]
    mean = dict.fromkeys("ABCDEFGHIKL", 0.0)
    for path in itertools.product(range(2), repeat=2 * steps):
        s, a = path[::2], path[1::2]
        r = reward[list(s), list(a)] * gamma ** np.arange(steps)
        p = rho[s[0]] * np.prod(pi[list(s), list(a)]) * np.prod(transition[list(s[:-1]), list(a[:-1]), list(s[1:])])
        weight = {"A": r[0], "B": r[1], "C": r[2], "D": r[:t].sum(), "E": v[s[t]], "F": v[s[t + 1]]}
        weight |= {"G": q[s[t]].max(), "H": a[t - 1], "I": r.sum() / 8, "K": np.log(pi[s[t], a[t]])}
        for letter in weight:
            mean[letter] = mean[letter] + p * weight[letter] * score[s[t], a[t]]
        mean["L"] = mean["L"] + p * np.multiply.outer(score[s[t + 1], a[t + 1]], score[s[t], a[t]])
    found = {letter: "zero" if np.abs(x).max() < 1e-14 else "not zero" for letter, x in mean.items()}
    assert found | {"J": "zero"} == TRUTH  # J: independent of the action, so a product of means
    assert all(np.abs(mean[letter]).max() > 1e-3 for letter, what in found.items() if what == "not zero")
