"""Chapter 09's exercises: right answers in other styles, and truths that come from elsewhere."""

import dataclasses
import math

import gymnasium
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
import torch
from gaits import walk
from right_answers import loses_no_point
from submissions import Answers

from pgcourse.core import Streams
from pgcourse.envs import make
from pgcourse.exercises.ch09 import beyond_the_bounds, contact_diagram, gamma, standing_pay
from pgcourse.exercises.ch09.episode_pay import episode_pay
from pgcourse.gait import kind
from pgcourse.grading.catalogue import EXERCISES

RIGHT = Answers()
right = RIGHT.to


@right("09.moments")
def by_welford(mean, variance, number, batch):
    mean, squares, number = mean.clone(), variance * number, float(number)
    for row in batch:
        number += 1
        change = row - mean
        mean = mean + change / number
        squares = squares + change * (row - mean)
    return mean, squares / number, number


@right("09.moments")
def in_numpy(mean, variance, number, batch):
    x = np.asarray(batch, np.float64)
    m, v = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    n = float(number) + len(x)
    new = (float(number) * m + x.sum(0)) / n
    spread = (float(number) * (v + (m - new) ** 2) + ((x - new) ** 2).sum(0)) / n
    return torch.from_numpy(new), torch.from_numpy(spread), n


@right("09.moments")
def of_all_at_once(mean, variance, number, batch):
    """Two values with the moments so far, each counted number / 2 times."""
    deviation = variance.double().sqrt()
    values = torch.cat([(mean - deviation).unsqueeze(0), (mean + deviation).unsqueeze(0), batch.double()])
    weights = torch.tensor([number / 2, number / 2] + [1.0] * len(batch), dtype=torch.float64).unsqueeze(1)
    total = weights.sum()
    centre = (weights * values).sum(0) / total
    return [centre, (weights * (values - centre) ** 2).sum(0) / total, total]


@right("09.reward_scale")
def with_a_matrix(reward, done, gamma):
    episode = done.long().cumsum(0) - done.long()
    same = episode.unsqueeze(1) == episode.unsqueeze(0)  # [t, k, copy]
    lag = torch.arange(len(reward)).unsqueeze(1) - torch.arange(len(reward))
    power = torch.full(lag.shape, float(gamma), dtype=torch.float64) ** lag.clamp(min=0)
    weight = torch.where(same & (lag >= 0).unsqueeze(-1), power.unsqueeze(-1), 0.0)
    sums = (weight * reward.double().unsqueeze(0)).sum(1)
    return (reward.double() / (sums.var(unbiased=False) + 1e-8) ** 0.5).to(reward.dtype)


@right("09.reward_scale")
def copy_by_copy(reward, done, gamma):
    sums = []
    for one, ends in zip(reward.double().T.tolist(), done.T.tolist(), strict=True):
        s = 0.0
        for r, end in zip(one, ends, strict=True):
            s = r + gamma * s
            sums.append(s)
            if end:
                s = 0.0
    return reward / np.sqrt(np.var(sums) + 1e-8)


@right("09.time_limit")
def with_the_limit_in_the_reward(reward, value, last_value, final_value, terminated, truncated, gamma, lam):
    cut = truncated & ~terminated
    reward = reward + torch.where(cut, gamma * final_value, torch.zeros_like(reward))
    done = (terminated | truncated).to(reward.dtype)
    result, ahead = torch.zeros_like(reward), torch.zeros_like(last_value)
    for t in range(len(reward) - 1, -1, -1):
        after = value[t + 1] if t + 1 < len(reward) else last_value
        delta = reward[t] + gamma * after * (1 - done[t]) - value[t]
        ahead = delta + gamma * lam * (1 - done[t]) * ahead
        result[t] = ahead
    return result


@right("09.time_limit")
def in_numpy_copy_by_copy(reward, value, last_value, final_value, terminated, truncated, gamma, lam):
    r, v, f = (x.double().numpy() for x in (reward, value, final_value))
    result = np.zeros_like(r)
    for copy in range(r.shape[1]):
        ahead = 0.0
        for t in reversed(range(len(r))):
            over, cut = bool(terminated[t, copy]), bool(truncated[t, copy])
            if over:
                after = 0.0
            elif cut:
                after = f[t, copy]
            else:
                after = v[t + 1, copy] if t + 1 < len(r) else float(last_value[copy])
            ahead = r[t, copy] + gamma * after - v[t, copy] + (0.0 if over or cut else gamma * lam * ahead)
            result[t, copy] = ahead
    return torch.from_numpy(result).to(reward.dtype)


@right("09.episode_pay")
def step_by_step(x, lean, action, fell):
    paid = 0.0
    for t in range(len(action)):
        if fell and t == len(action) - 1:
            paid -= 100
        else:
            paid += 130 / 30 * float(x[t + 1] - x[t]) - 5 * float(lean[t + 1].abs() - lean[t].abs())
            paid -= 0.00035 * 80 * float(action[t].abs().clamp(0, 1).sum())
    return paid


@right("09.episode_pay")
def in_two_cases(x, lean, action, fell):
    a = np.minimum(np.abs(action.numpy()), 1)
    if fell:
        return -100 + 13 / 3 * (x[-2] - x[0]) - 5 * (abs(lean[-2]) - abs(lean[0])) - 0.028 * a[:-1].sum()
    return 13 / 3 * (x[-1] - x[0]) - 5 * (abs(lean[-1]) - abs(lean[0])) - 0.028 * a.sum()


@right("09.time_limit")
def by_returns(reward, value, last_value, final_value, terminated, truncated, gamma, lam):
    """Â = G^λ - v with G^λ_t = r + γ ((1-λ) v' + λ G^λ_{t+1}), cut at both ends."""
    ended = terminated | truncated
    after = torch.cat((value[1:], last_value[None]))
    after = (final_value.nan_to_num(0.0) * ended + after * ~ended) * ~terminated
    rows, ahead = [], last_value
    for t in reversed(range(len(reward))):
        ahead = reward[t] + gamma * torch.where(ended[t], after[t], (1 - lam) * after[t] + lam * ahead)
        rows.insert(0, ahead - value[t])
    return torch.stack(rows)


@right("09.reward_scale")
def on_a_copy_in_place(reward, done, gamma):
    sums, keep = reward.clone(), (~done).to(reward.dtype)
    for t in range(1, len(sums)):
        sums[t] += gamma * keep[t - 1] * sums[t - 1]
    return reward.div((((sums - sums.mean()) ** 2).mean() + 1e-8).sqrt())


class Moments:
    def __init__(self, mean, squares, count):
        self.mean, self.squares, self.count = mean, squares, count

    def __add__(self, other):
        count, change = self.count + other.count, other.mean - self.mean
        between = change * change * (self.count * other.count / count)
        return Moments(self.mean + change * (other.count / count), self.squares + other.squares + between, count)


@right("09.moments")
def with_a_class(mean, variance, number, batch):
    own = batch.mean(0)
    both = Moments(mean, variance * number, number) + Moments(own, ((batch - own) ** 2).sum(0), len(batch))
    return both.mean, both.squares / both.count, both.count


@right("09.best_checkpoint")
def seed_by_seed(returns):
    scores = []
    for seed in returns.numpy():
        tried, fresh = seed[:, : seed.shape[1] // 2], seed[:, seed.shape[1] // 2 :]
        scores.append(fresh[np.argmax(tried.mean(axis=1))].mean())
    return np.array(scores)


@right("09.best_checkpoint")
def in_pure_python(returns):
    result = []
    for seed in returns.tolist():
        best, score = None, None
        for episodes in seed:
            half = len(episodes) // 2
            mean = sum(episodes[:half]) / half
            if best is None or mean > best:
                best, score = mean, sum(episodes[half:]) / (len(episodes) - half)
        result.append(score)
    return torch.tensor(result, dtype=returns.dtype)


@right("09.best_checkpoint")
def with_a_mask(returns):
    number = returns.size(-1)
    first = torch.arange(number) < number // 2
    sums = torch.where(first, returns, torch.zeros_like(returns)).sum(-1)
    best = torch.nn.functional.one_hot(sums.max(dim=1).indices, returns.size(1)).to(returns.dtype)
    kept = torch.einsum("sc,sce->se", best, returns)
    return kept[:, ~first].mean(-1)


@right("09.standing_pay")
def with_scipys_normal_distribution(width, moves, s):
    """exp(-v²/s) is √(πs) times the density of a normal number with variance s/2."""
    density = scipy.stats.norm(scale=float(s / 2) ** 0.5)
    pay = 1.0
    for a, m in zip(width.tolist(), moves.tolist(), strict=True):
        inside = (density.cdf(a) - density.cdf(-a)) / (2 * a) * (np.pi * float(s)) ** 0.5
        pay *= 1 - m + m * inside
    return pay


@right("09.standing_pay")
def by_quadrature(width, moves, s):
    means = [scipy.integrate.quad(lambda v: np.exp(-(v**2) / s), 0, a)[0] / a for a in width.numpy()]
    first, second = (1 + m * (mean - 1) for m, mean in zip(moves.numpy(), means, strict=True))
    return torch.tensor(first * second)


@right("09.standing_pay")
def by_a_fine_grid(width, moves, s):
    """Simpson's rule, both speeds at once."""
    grid = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    weights = torch.full_like(grid, 2.0)
    weights[1::2], weights[0], weights[-1] = 4.0, 1.0, 1.0
    each = [(weights * torch.exp(-((a * grid) ** 2) / s)).sum() / weights.sum() for a in width.double()]
    return torch.stack(
        [torch.lerp(torch.ones(()).double(), x, m.double()) for x, m in zip(each, moves, strict=True)]
    ).prod()


@right("09.beyond_the_bounds")
def by_autograd_on_the_quantiles_of_the_noise(mu, sigma, b, c):
    e = torch.special.ndtri((torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000)
    mean = mu.double().clone().requires_grad_()
    a = (mean + sigma * e[:, None]).clamp(-1, 1)
    return torch.autograd.grad((b * a + c * a**2).mean(0).sum(), mean)[0].float()


@right("09.beyond_the_bounds")
def by_scipys_truncated_normal_distribution(mu, sigma, b, c):
    found = []
    for m, s, one, two in zip(*(each.double().tolist() for each in (mu, sigma, b, c)), strict=True):
        low, high = (-1 - m) / s, (1 - m) / s
        inside = scipy.stats.norm.cdf(high) - scipy.stats.norm.cdf(low)
        found.append(inside * (one + 2 * two * scipy.stats.truncnorm.mean(low, high, m, s)))
    return torch.tensor(found)


@right("09.beyond_the_bounds")
def by_parts(mu, sigma, b, c):
    """∫ f'(x) p(x) dx over the inside, by quadrature."""
    normal = scipy.stats.norm

    def one(m, s, first, second):
        near = [m + k * s for k in range(-8, 9) if abs(m + k * s) < 1]
        return scipy.integrate.quad(lambda x: (first + 2 * second * x) * normal.pdf(x, m, s), -1, 1, points=near)[0]

    return np.array([one(*each) for each in zip(*(x.double().numpy() for x in (mu, sigma, b, c)), strict=True)])


@right("09.highest_rate")
def by_whole_numbers_and_bisection(falls, episodes, level):
    def few(p):
        return sum(math.comb(episodes, j) * p**j * (1 - p) ** (episodes - j) for j in range(falls + 1))

    def logarithmic(p):
        parts = [
            math.log(math.comb(episodes, j)) + j * math.log(p) + (episodes - j) * math.log(1 - p)
            for j in range(falls + 1)
        ]
        most = max(parts)
        return math.exp(most) * sum(math.exp(part - most) for part in parts)

    if falls == episodes:
        return 1
    low, high = 1e-12, 1 - 1e-12
    while high - low > 1e-9:
        middle = (low + high) / 2
        if (few if episodes < 100 else logarithmic)(middle) >= 1 - level:
            low = middle
        else:
            high = middle
    return torch.tensor(high)


@right("09.highest_rate")
def by_scipys_test(falls, episodes, level):
    return scipy.stats.binomtest(falls, episodes).proportion_ci(2 * level - 1).high if level > 0.5 else 0.5


@right("09.highest_rate")
def by_a_root_of_the_distribution_function(falls, episodes, level):
    if falls == episodes:
        return torch.ones(())
    surprise = scipy.optimize.brentq(lambda p: scipy.stats.binom.cdf(falls, episodes, p) - (1 - level), 0, 1)
    return np.float64(surprise)


def test_the_numbers_of_the_explanation_of_a_mean_beyond_the_bounds():
    at, beyond = beyond_the_bounds.slope(*np.array([[1.0, 1.4], [0.2, 0.2], [1.0, 1.0], [0.0, 0.0]]))
    assert at == pytest.approx(0.5, abs=1e-4)
    assert beyond == pytest.approx(scipy.stats.norm.cdf(-2), abs=1e-4)
    assert round(float(beyond), 3) == 0.023


def test_the_numbers_of_the_explanation_of_what_standing_earns():
    def each(*moves):
        return [standing_pay.standing_pay([a, 1.0], [m, 0.0], 0.25) for a, m in zip((1.5, 0.8), moves, strict=True)]

    assert np.round(each(0.9, 0.25), 3) == pytest.approx([0.366, 0.885])
    assert round(standing_pay.standing_pay([1.5, 0.8], [0.9, 0.25], 0.25), 3) == 0.324
    assert np.round(each(1.0, 1.0), 3) == pytest.approx([0.295, 0.541])
    assert round(standing_pay.standing_pay([1.5, 0.8], [1.0, 1.0], 0.25), 2) == 0.16


def test_the_machines_commands_are_those_of_the_exercise():
    pytest.importorskip("envpool")
    with make("envpool:Go1JoystickFlatTerrain-v1", 4, observe="state") as env:
        said = env.settings
        assert [said[f"command_a{k}"] for k in (0, 1)] == [1.5, 0.8]
        assert [said[f"command_b{k}"] for k in (0, 1)] == [0.9, 0.25]
        assert said["tracking_sigma"] == 0.25
        env.reset(Streams(2))
        first = env.told["command"][..., :2].abs()
    assert (first > 0).all()  # an episode's first command asks for both speeds
    assert (first.amax((0, 1)) <= torch.tensor([1.5, 0.8])).all()


@right("09.comparable")
def out_of_the_table():
    """Rows that differ are named by the first column that does; the others by Welch's interval."""
    table, said = EXERCISES["09.comparable"].evidence().data, {}
    for pair, rows in table.groupby("pair"):
        new, old = rows.loc[(pair, "new")], rows.loc[(pair, "old")]
        error = np.hypot(new["sd over seeds"], old["sd over seeds"]) / new["seeds"] ** 0.5
        t = scipy.stats.t.ppf(0.975, 2 * new["seeds"] - 2)
        sure = new["score"] - old["score"] > t * error
        if new["robot"] != old["robot"]:
            said[pair] = "another robot"
        elif new["million steps"] != old["million steps"]:
            said[pair] = "more practice"
        elif new["seeds"] != old["seeds"]:
            said[pair] = "the luckiest seed"
        elif new["score of"] != old["score of"]:
            said[pair] = "the luckiest moment"
        else:
            said[pair] = "nothing" if sure else "too few seeds"
    return said


@right("09.gamma")
def as_a_horizon():
    return 1 - 1 / (4 * 25)


@right("09.gamma")
def as_a_tensor():
    return torch.tensor(0.992)


@pytest.mark.parametrize(("name", "answer"), [(name, one) for name, some in RIGHT.items() for one in some])
def test_a_right_answer_loses_no_point(name, answer):
    loses_no_point(name, answer, draws=1 if name == "09.gamma" else 4)


@pytest.mark.parametrize("letter", contact_diagram.TRUTH)
def test_the_rules_of_the_taxonomy_call_each_diagram_by_its_name(letter):
    name = contact_diagram.TRUTH[letter]
    contact = contact_diagram.contacts(name)
    recording = dataclasses.replace(walk(dt=contact_diagram.DT, strides=15, speed=2.0), contact=contact)
    assert len(recording) == len(contact)
    assert kind(recording) == name.removesuffix(" on both legs").removesuffix(" on one leg")


def test_the_pay_is_that_of_the_simulator():
    with gymnasium.make("BipedalWalker-v3") as env:
        for seed, most in ((1, 400), (2, 20)):
            env.reset(seed=seed)
            rng, robot, done = np.random.default_rng(seed), env.unwrapped, False
            x, lean, actions, paid = [robot.hull.position.x], [robot.hull.angle], [], 0.0
            while not done and len(actions) < most:
                actions.append(1.5 * rng.standard_normal(4))
                _, reward, done, _, _ = env.step(actions[-1])
                paid += reward
                x.append(robot.hull.position.x)
                lean.append(robot.hull.angle)
            fell = done and reward == -100
            assert fell == (most == 400)
            assert episode_pay(np.array(x), np.array(lean), np.array(actions), fell) == pytest.approx(paid, abs=1e-3)


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99, 1.0])
def test_what_a_lunge_seems_to_be_worth(discount):
    """1 - 2 γ^25, as the exercise's text says, and -1 in truth."""
    lunge = np.zeros((1, 1, 60))
    lunge[..., 10] = 1.0
    paid = gamma.pay(lunge, np.zeros_like(lunge))[0, 0]
    assert sum(discount ** (t - 10) * paid[t] for t in range(10, 60)) == pytest.approx(1 - 2 * discount**25)
    assert paid.sum() == pytest.approx(-1.0)
