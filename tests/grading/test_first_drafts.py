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

DRAFTS = {
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
