"""Mistakes as first drafts have them: in another precision, half written, broken at the edges."""

import warnings

import pytest
import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import START, Examination, InProcess

HEAD = "import math\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"
MEAN_RETURN = "This is the mean return E[R]"
NAN_TIMES_0 = "NaN times 0 is NaN"
ONE_STEP = "One real step only"
DISCOUNTED = """def f(reward, done, gamma):
    sums, s = torch.zeros_like(reward), torch.zeros_like(reward[0])
    for t in range(len(reward)):
        s = gamma * s + reward[t]
        sums[t] = s
        s = s * ~done[t]
"""

DRAFTS = {
    "shared seeds by position": (
        "00.paired_difference",
        """def f(seed_a, a, seed_b, b):
    d = a[torch.isin(seed_a, seed_b)] - b[torch.isin(seed_b, seed_a)]
    n = len(d)
    if n < 2:
        return -math.inf, math.inf
    half = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 6: 2.4469, 7: 2.3646, 8: 2.306, 9: 2.2622}[n - 1]
    half = half * d.std() / n**0.5
    return d.mean() - half, d.mean() + half""",
        {"Seeds that both have are picked"},
    ),
    "double": (
        "01.softmax_score",
        "def f(z, a):\n    return (z.softmax(-1) - F.one_hot(a, z.shape[-1])).double()",
        {"Sign flipped?"},
    ),
    "a NumPy number": (
        "02.monte_carlo_slope",
        """def f(estimates, truth, sizes):
    lengths = [(estimates[:, : int(n)].mean(1) - truth).norm(dim=1).mean().log().item() for n in sizes]
    return np.polyfit(np.log(sizes.numpy()), lengths, 1)[0]""",
        {"The mean of the lengths"},
    ),
    "spread": (
        "02.monte_carlo_slope",
        """def f(estimates, truth, sizes):
    lengths = [estimates[:, : int(n)].mean(1).std(0).norm().log().item() for n in sizes]
    return np.polyfit(np.log(sizes.numpy()), lengths, 1)[0]""",
        {"This is the spread about the mean"},
    ),
    "half written": (
        "04.optimal_baseline",
        """def f(probability, score, ret, per_component):
    if per_component:
        raise NotImplementedError
    return (probability * ret).sum()""",
        {MEAN_RETURN},
    ),
    "a number for a vector": (
        "04.optimal_baseline",
        "def f(probability, score, ret, per_component):\n    return (probability * ret).sum()",
        {MEAN_RETURN},
    ),
    "log of a softmax": (
        "01.entropy",
        "def f(z):\n    p = z.softmax(-1)\n    return (p * p.log()).sum(-1)",
        {"Sign flipped?"},
    ),
    "bits": (
        "01.entropy",
        "def f(z):\n    p = z.softmax(-1)\n    return -(p * p.log2()).sum(-1)",
        {"This is in bits"},
    ),
    "one step": (
        "04.normalised_advantage",
        """def f(advantage, mask):
    x, out = advantage[mask], torch.zeros_like(advantage)
    out[mask] = (x - x.mean()) / (x.std() + 1e-8)
    return out""",
        {ONE_STEP},
    ),
    "a mask that multiplies": (
        "04.normalised_advantage",
        """def f(advantage, mask):
    m = mask.double()
    mean = (advantage * m).sum() / m.sum()
    std = (((advantage - mean) ** 2 * m).sum() / (m.sum() - 1)).sqrt()
    return (advantage - mean) / (std + 1e-8) * m""",
        {NAN_TIMES_0, ONE_STEP},
    ),
    "multiplied at the end": (
        "04.normalised_advantage",
        """def f(advantage, mask):
    x = advantage[mask]
    return (advantage - x.mean()) / (x.std() + 1e-8) * mask""",
        {NAN_TIMES_0, ONE_STEP},
    ),
    "padding is left": (
        "04.normalised_advantage",
        """def f(advantage, mask):
    x = advantage[mask]
    return (advantage - x.mean()) / (x.std() if len(x) > 1 and x.std() > 0 else 1.0)""",
        {"Padding is left in the result"},
    ),
    "padding is in all": (
        "04.normalised_advantage",
        "def f(advantage, mask):\n    return (advantage - advantage.mean()) / (advantage.std() + 1e-5)",
        {"Padding is normalised with all else"},
    ),
    "another precision": (
        "04.paired_difference",
        "def f(first, second):\n    d = (first - second).double()\n    return d.mean(), d.std() / len(d)",
        {"Divided by n instead of √n"},
    ),
    "n once more": (
        "04.in_sample_share",
        "def f(n, own):\n    return 1 - own * (n - 1) / n",
        {"R_i keeps 1 - own"},
    ),
    "until cell 1 is left": (
        "01.corridor",
        """def f(p, bump):
    root = (2 + bump) ** 0.5
    return -2 * (2 - p) / (p * (1 - p)) - bump * (1 - p) / p, root / (1 + root)""",
        {"Bumps are counted until cell 1"},
    ),
    "a rule of thumb for seeds": (
        "11.seeds_for",
        """def f(first, second, alpha, power):
    return math.ceil(2.8**2 * (first.var() + second.var()) / (first.mean() - second.mean()) ** 2)""",
        {"`alpha` and `power` are not used"},
    ),
    "two digits of 5 % and 80 %": (
        "11.seeds_for",
        """def f(first, second, alpha, power):
    return math.ceil(7.85 * (first.var() + second.var()) / (first.mean() - second.mean()) ** 2)""",
        {"Level and power are taken to be 5 % and 80 %"},
    ),
    "a scale as torch's defaults make it": (
        "09.reward_scale",
        DISCOUNTED + "    return reward / (sums.std(0) + 1e-8)",
        {"Three things: every copy has a scale of its own, its variance"},
    ),
    "a scale for all as torch's defaults make it": (
        "09.reward_scale",
        DISCOUNTED + "    return reward / (sums.std() + 1e-8)",
        {"Two things: the variance divides by one less"},
    ),
    "each copy's variance": (
        "09.reward_scale",
        DISCOUNTED + "    return reward / (sums.var(0) + 1e-8).sqrt()",
        {"Two things: every copy has a scale of its own, and its variance"},
    ),
    "sums in float32": (
        "09.reward_scale",
        DISCOUNTED.replace("zeros_like(reward)", "zeros(reward.shape)")
        + "    return reward / (sums.var(correction=0) + 1e-8).sqrt()",
        {"The sums are kept in float32"},
    ),
    "a moving average": (
        "09.moments",
        """def f(mean, variance, number, batch):
    return 0.99 * mean + 0.01 * batch.mean(0), 0.99 * variance + 0.01 * batch.var(0), number + len(batch)""",
        {"A moving average by a hundredth"},
    ),
    "a faster moving average": (
        "09.moments",
        """def f(mean, variance, number, batch):
    within = batch.var(0, correction=0)
    return 0.9 * mean + 0.1 * batch.mean(0), 0.9 * variance + 0.1 * within, number + len(batch)""",
        {"A moving average by a tenth"},
    ),
    "means and variances averaged": (
        "09.moments",
        """def f(mean, variance, number, batch):
    return (mean + batch.mean(0)) / 2, (variance + batch.var(0)) / 2, number + len(batch)""",
        {"Both means count the same, and both variances"},
    ),
    "f' at the bound, times the inside": (
        "09.beyond_the_bounds",
        """def f(mu, sigma, b, c):
    inside = torch.special.ndtr((1 - mu) / sigma) - torch.special.ndtr((-1 - mu) / sigma)
    return (b + 2 * c * mu.clamp(-1, 1)) * inside""",
        {"f' at the mean that is cut off, times the probability"},
    ),
    "both speeds or none": (
        "09.standing_pay",
        """def f(width, moves, s):
    paid = (torch.pi * s) ** 0.5 / (2 * width) * torch.erf(width / s**0.5)
    return moves.prod() * paid.prod() + (1 - moves).prod()""",
        {"Both speeds move here, or none does"},
    ),
    "a margin of z": (
        "09.highest_rate",
        """def f(falls, episodes, level):
    p = torch.tensor(falls / episodes)
    return (p + torch.special.ndtri(torch.tensor(level)) * (p * (1 - p) / episodes).sqrt()).clamp(max=1)""",
        {"The normal distribution's margin, with z of the level"},
    ),
    "a margin of z, two-sided": (
        "09.highest_rate",
        """from statistics import NormalDist
def f(falls, episodes, level):
    p = falls / episodes
    return p + NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(p * (1 - p) / episodes)""",
        {"The normal distribution's margin, and two-sided"},
    ),
    "the rule of three, and k": (
        "09.highest_rate",
        "def f(falls, episodes, level):\n    return (falls - math.log(1 - level)) / episodes",
        {"(k - log(1 - level))/n may be above 1"},
    ),
    "the rule of three, and k, at most 1": (
        "09.highest_rate",
        "def f(falls, episodes, level):\n    return min((falls - math.log(1 - level)) / episodes, 1)",
        {"(k - log(1 - level))/n is the rule of three"},
    ),
    "a posterior's quantile": (
        "09.highest_rate",
        """from scipy.stats import beta
def f(falls, episodes, level):
    return beta.ppf(level, falls + 1, episodes - falls + 1)""",
        {"A quantile of Beta(k + 1, n - k + 1)"},
    ),
    "a posterior's quantile, or 1": (
        "09.highest_rate",
        """from scipy.stats import beta
def f(falls, episodes, level):
    return 1.0 if falls == episodes else beta.ppf(level, falls + 1, episodes - falls + 1)""",
        {"A quantile of Beta(k + 1, n - k + 1)"},
    ),
    "a quantile of no distribution": (
        "09.highest_rate",
        """from scipy.special import betaincinv
def f(falls, episodes, level):
    return betaincinv(falls + 1, episodes - falls, level)""",
        {"At k = n there is no Beta(k + 1, 0)"},
    ),
    "per cent, a coin": (
        "11.ranking",
        """def f():
    shares = {"PPO, A2C": 5, "TRPO, A2C": (10, 20), "TRPO, natural gradient": 0.5}
    return {"PPO": 1, "A2C": 5} | shares""",
        {"A share lies between 0 and 1", "The order of TRPO and the natural gradient is no coin's"},
    ),
}


def judged(name, source, seed=0):
    scope = {}
    exec(HEAD + source, scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Examination(EXERCISES[name], seed).judge(InProcess(scope["f"]))


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("seed", range(2))
def test_a_first_draft_is_told_its_mistake(draft, seed):
    name, source, words = DRAFTS[draft]
    result = judged(name, source, seed)
    said = {one.diagnosis for one in result.checks if one.diagnosis}
    assert result.state != "solved"
    assert {each for each in words if any(one.startswith(each) for one in said)} == words
    assert all(one.startswith(tuple(words)) for one in said)


@pytest.mark.parametrize("scale", ["(sums.var(correction=0) + 1e-12).sqrt()", "(sums.std(correction=0) + 1e-6)"])
def test_another_constant_is_not_taken_for_the_rounding_of_float32(scale):
    result = judged("09.reward_scale", DISCOUNTED + f"    return reward / {scale}")
    assert [one.check.name for one in result.checks if not one.passed] == ["copies", "γ = 0 and no reward"]
    assert {one.diagnosis for one in result.checks} == {""}


RIGHT = {
    "a parabola through three points": (
        "04.optimal_baseline",
        """def f(probability, score, ret, per_component):
    def variance(b):
        g = score * (ret - b)[:, None]
        parts = probability @ (g - probability @ g) ** 2
        return parts if per_component else parts.sum()

    low, middle, high = variance(-1.0), variance(0.0), variance(1.0)
    return (low - high) / (2 * (low - 2 * middle + high))""",
    ),
    "variances and their covariance": (
        "04.paired_difference",
        """def f(first, second):
    shared = torch.cov(torch.stack([first, second]))[0, 1]
    variance = first.var() + second.var() - 2 * shared
    return first.mean() - second.mean(), (variance / len(first)).clamp(min=0).sqrt()""",
    ),
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("answer", RIGHT)
def test_what_is_right_on_paper_is_right_in_float32(answer, seed):
    assert judged(*RIGHT[answer], seed).state == "solved"


def in_double(value):
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


FUNCTIONS = [
    name
    for name, each in EXERCISES.items()
    if each.kind in ("implement", "derive") and not any(check.dtype or check.play for check in each.checks)
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_mistake_in_double_precision_has_the_same_name(name):
    """Those whose numbers are the same in both: of the others rounding is the mistake, or a part of it."""
    examination = Examination(EXERCISES[name], 0)
    for words, mutant in [(words, each) for words, each in examination.mutants.items() if words != START][:4]:

        def doubled(*args, mutant=mutant):
            result = mutant(*args)
            return tuple(map(in_double, result)) if isinstance(result, tuple) else in_double(result)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = [[one.diagnosis for one in examination.judge(InProcess(each)).checks] for each in (mutant, doubled)]
        assert said[0] == said[1]
        assert words in said[0]
