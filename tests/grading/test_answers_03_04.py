"""Right answers to the exercises of chapters 03 and 04 in the styles that people write them in: none loses a point."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn import functional as F

from pgcourse.exercises.ch03 import _agents as agents
from pgcourse.exercises.ch03 import agent
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess, Player
from pgcourse.grading.solutions import mutant

RIGHT = {}


def answers(name):
    """A decorator of a class whose functions are answers to that exercise."""

    def keep(group):
        RIGHT.update({f"{name}: {key}": (name, f) for key, f in vars(group).items() if not key.startswith("_")})
        return group

    return keep


@answers("03.broadcasting")
class Of03Broadcasting:
    @staticmethod
    def by_distribution(logits, action, weight):
        return -(weight.detach() * Categorical(logits=logits).log_prob(action)).mean()

    @staticmethod
    def by_cross_entropy(logits, action, weight):
        return (F.cross_entropy(logits, action, reduction="none") * weight.detach()).mean()

    @staticmethod
    def by_index(logits, action, weight):
        return -(weight.detach() * logits.log_softmax(1)[torch.arange(len(action)), action]).sum() / len(action)

    @staticmethod
    def squeezed(logits, action, weight):
        lp = logits.log_softmax(1).gather(1, action.unsqueeze(1)).squeeze()
        return -(weight.detach() * lp).mean()

    @staticmethod
    def diagonal(logits, action, weight):
        weight = weight.detach()
        lp = logits.log_softmax(1).gather(1, action.unsqueeze(1))
        return -torch.diagonal(weight * lp).mean()

    @staticmethod
    def matrix_product(logits, action, weight):
        lp = logits.log_softmax(1).gather(1, action.unsqueeze(1))
        return -(weight.detach() @ lp / len(weight)).squeeze()

    @staticmethod
    def loop(logits, action, weight):
        return sum(-w.detach() * z.log_softmax(0)[a] for z, a, w in zip(logits, action, weight, strict=True)) / len(
            action
        )

    @staticmethod
    def in_float64(logits, action, weight):
        return -(weight.detach().double() * logits.double().log_softmax(1).gather(1, action[:, None])[:, 0]).mean()

    @staticmethod
    def one_hot(logits, action, weight):
        return -(F.one_hot(action, logits.shape[1]) * logits.log_softmax(1) * weight.detach()[:, None]).sum(1).mean()

    @staticmethod
    def einsum(logits, action, weight):
        with torch.no_grad():
            w = weight.clone()
        return -torch.einsum("k,k->", w, logits.log_softmax(-1).gather(1, action[:, None]).flatten()) / len(w)


@answers("03.mask")
class Of03Mask:
    @staticmethod
    def survival(x, over):
        alive = torch.cat([torch.ones(len(x), 1), (1 - over.float())[:, :-1]], 1).cumprod(1).bool()
        return x[alive].mean()

    @staticmethod
    def cut_rows(x, over):
        parts = []
        for r, o in zip(x, over, strict=True):
            T = int(o.int().argmax()) + 1 if o.any() else len(r)
            parts.append(r[:T])
        return torch.cat(parts).mean()

    @staticmethod
    def argmax(x, over):
        first = torch.where(over.any(1), over.int().argmax(1), x.shape[1] - 1)
        m = torch.arange(x.shape[1]) <= first[:, None]
        return torch.where(m, x, torch.zeros_like(x)).sum() / m.sum()

    @staticmethod
    def masked_fill(x, over):
        before = over.cumsum(1) - over.long()
        return x.masked_fill(before > 0, 0).sum() / (before == 0).float().sum()

    @staticmethod
    def running_maximum(x, over):
        m = ~(torch.nn.functional.pad(over.int(), (1, 0))[:, :-1].cummax(1).values.bool())
        return torch.masked_select(x, m).double().mean()

    @staticmethod
    def two_loops(x, over):
        tot, n = 0.0, 0
        for i in range(x.shape[0]):
            for t in range(x.shape[1]):
                tot = tot + x[i, t]
                n += 1
                if over[i, t]:
                    break
        return tot / n

    @staticmethod
    def in_place_on_a_copy(x, over):
        x = x.clone()
        m = (over.cumsum(1) - over.int()) == 0
        x[~m] = 0
        return x.sum() / m.sum()

    @staticmethod
    def nanmean(x, over):
        m = (over.cumsum(1) - over.int()) == 0
        return torch.where(m, x, torch.nan).nanmean()


@answers("04.optimal_baseline")
class OfOptimalBaseline:
    @staticmethod
    def in_one_line(probability, score, ret, per_component=False):
        s2 = score**2 if per_component else (score**2).sum(1, keepdim=True)
        b = (probability[:, None] * s2 * ret[:, None]).sum(0) / (probability[:, None] * s2).sum(0)
        return b if per_component else b.item()

    @staticmethod
    def numpy(probability, score, ret, per_component=False):
        p, s, r = (np.asarray(x, dtype=np.float64) for x in (probability, score, ret))
        if per_component:
            return np.array([(p * s[:, j] ** 2 * r).sum() / (p * s[:, j] ** 2).sum() for j in range(s.shape[1])])
        w = p * (s**2).sum(1)
        return (w * r).sum() / w.sum()

    @staticmethod
    def plain_python(probability, score, ret, per_component=False):
        if per_component:
            return [
                OfOptimalBaseline.plain_python(probability, score[:, j : j + 1], ret) for j in range(score.shape[1])
            ]
        num = den = 0.0
        for p, s, r in zip(probability, score, ret, strict=True):
            n = float(s @ s)
            num += float(p) * n * float(r)
            den += float(p) * n
        return num / den

    @staticmethod
    def einsum(probability, score, ret, per_component=False):
        def m(x):
            return torch.einsum("k,kj->j", probability, x)

        a, b = m(score**2 * ret[:, None]), m(score**2)
        return a / b if per_component else a.sum() / b.sum()

    @staticmethod
    def broadcast(probability, score, ret, per_component=False):
        # subtracting the mean of g: same
        mean = probability @ score
        c = score - 0 * mean
        w = c.pow(2) * probability.unsqueeze(-1)
        return (
            torch.where(
                torch.tensor(per_component), (w * ret[:, None]).sum(0) / w.sum(0), (w * ret[:, None]).sum() / w.sum()
            )
            if per_component
            else (w * ret[:, None]).sum() / w.sum()
        )


@answers("04.normalised_advantage")
class Of04NormalisedAdvantage:
    @staticmethod
    def by_hand(advantage, mask):
        a = advantage.masked_fill(~mask, 0.0)
        n = mask.sum()
        mean = a.sum() / n
        d = (a - mean).masked_fill(~mask, 0.0)
        std = (d.square().sum() / (n - 1).clamp(min=1)).sqrt()
        same = a[mask].min() == a[mask].max()
        return d / (std + 1e-8) * ~same

    @staticmethod
    def numpy(advantage, mask):
        out = np.zeros(advantage.shape)
        r = advantage.numpy()[mask.numpy()]
        if r.size > 1 and np.ptp(r) > 0:
            out[mask.numpy()] = (r - r.mean()) / r.std(ddof=1)
        return out

    @staticmethod
    def clamped(advantage, mask):
        r = advantage[mask]
        if len(r.unique()) == 1:
            return torch.zeros_like(advantage)
        return torch.where(mask, (advantage - r.mean()) / r.std().clamp(min=1e-6), torch.tensor(0.0))

    @staticmethod
    def in_float64(advantage, mask):
        r = advantage[mask].double()
        out = torch.zeros(advantage.shape, dtype=torch.float64)
        out[mask] = (r - r.mean()) / (torch.nan_to_num(r.std()) + 1e-8)
        return out

    @staticmethod
    def scattered(advantage, mask):
        r = advantage[mask]
        out = torch.zeros_like(advantage)
        same = (r == r[0]).all()
        return out if same else out.masked_scatter(mask, (r - r.mean()) / r.std())

    @staticmethod
    def epsilon(advantage, mask):
        r = advantage[mask]
        z = (r - r.mean()) / (r.std() + 1e-5) if (r != r[0]).any() else r * 0
        out = torch.zeros_like(advantage)
        out[mask] = z
        return out


@answers("04.paired_difference")
class Of04PairedDifference:
    @staticmethod
    def numpy(first, second):
        d = (first - second).numpy()
        return float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d)))

    @staticmethod
    def stacked(first, second):
        d = first - second
        return torch.stack([d.mean(), d.std() / math.sqrt(len(d))])

    @staticmethod
    def by_covariance(first, second):
        c = torch.cov(torch.stack([first.double(), second.double()]))
        v = c[0, 0] + c[1, 1] - 2 * c[0, 1]
        return [(first.mean() - second.mean()).item(), (v.clamp(min=0) / len(first)).sqrt().item()]

    @staticmethod
    def scipy_sem(first, second):
        from scipy.stats import sem

        return (first - second).mean(), sem(first - second)

    @staticmethod
    def plain_python(first, second):
        d = [float(a) - float(b) for a, b in zip(first, second, strict=True)]
        m = sum(d) / len(d)
        return m, math.sqrt(sum((x - m) ** 2 for x in d) / (len(d) - 1) / len(d))

    @staticmethod
    def two_means(first, second):
        return first.mean() - second.mean(), (first - second).std() / len(first) ** 0.5


@answers("04.in_sample_share")
class Of04InSampleShare:
    @staticmethod
    def number(n, own):
        return 1 - own

    @staticmethod
    def tensor(n, own):
        return torch.tensor(1.0) - own

    @staticmethod
    def the_long_way(n, own):
        return (1 - own) * (n / (n - 1)) * (1 - 1 / n) if n > 1 else 1 - own

    @staticmethod
    def cases(n, own):
        return 1 - own if own else 1


@pytest.mark.parametrize("which", RIGHT)
@pytest.mark.parametrize("seed", [0, 11])
def test_a_right_answer_loses_no_point(which, seed):
    name, answer = RIGHT[which]
    result = Examination(EXERCISES[name], seed, {}).judge(InProcess(answer))
    assert {one.check.name: one.message for one in result.checks if not one.passed} == {}


class Bare(nn.Module):
    """An agent that is a module, keeps what it was given as NumPy, and returns lists."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
        self.adam = torch.optim.Adam(self.parameters(), lr=0.01)

    def act(self, obs):
        p = self.layers(obs).softmax(-1)[:, 1].detach().numpy()
        return (np.random.default_rng().random(len(p)) < p).tolist()

    def learn(self, batch):
        self.adam.zero_grad()
        for states, actions, rewards in batch:
            power = 0.99 ** torch.arange(len(rewards))
            weight = torch.stack([(rewards[t:] * power[: len(rewards) - t]).sum() for t in range(len(rewards))])
            score = self.layers(states).log_softmax(-1)[torch.arange(len(actions)), actions]
            (-(weight * score).sum() / len(batch)).backward()
        self.adam.step()
        return self


def judged(agent, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Examination(EXERCISES["03.agent"], seed).judge(InProcess(agent))


def test_an_agent_in_another_style_learns():
    assert [one.message for one in judged(Bare, 3).checks] == [""] * 4


@pytest.mark.parametrize("name", ["optimiser over a copy", "detached loss", "no step"])
def test_who_trains_nothing_without_a_word_is_told_so(name):
    result = judged(mutant(EXERCISES["03.agent"], agents.WRONG[name]), 3)
    assert result.checks[0].passed
    assert {one.diagnosis[:19] for one in result.checks[1:]} == {"Nothing is learned,"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("change", "low", "high"),
    [
        (agents.WRONG["softmax over the batch"], -0.2, agent.RISE - 0.05),
        (agents.RIGHT["16 units"], agent.RISE + 0.05, 1.0),  # of the right ones that with the smallest rise
        (agents.RIGHT["step size 0.001"], agent.RISE + 0.05, 1.0),
    ],
)
def test_what_is_praised_rises_by_much_or_by_little(change, low, high, seed):
    torch.manual_seed(seed)
    player = Player(InProcess(mutant(EXERCISES["03.agent"], change)))
    start, praised, _ = agent.turned(player, np.random.default_rng(seed))
    assert low < praised - start < high
