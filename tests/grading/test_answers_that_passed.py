"""Answers that once passed although they are wrong, or that were called by another mistake's name."""

import math

import numpy as np
import pytest
import torch

from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Examination, InProcess
from pgcourse.grading.kinds import BROKEN_POLICY
from pgcourse.grading.solutions import mutant

# {exercise: (the check that fails, the answer)}
WRITES_INTO_ITS_ARGUMENTS = {
    "03.mask": (
        "value",
        """
def mean_over_real_steps(x, over):
    mask = over.int().cumsum(1) - over.int() == 0
    over[:] = False
    return x.where(mask, 0.0).sum() / mask.sum()
""",
    ),
    "04.normalised_advantage": (
        "padding",
        """
def normalised_advantage(advantage, mask):
    real = advantage[mask]
    same = len(real) < 2 or real.min() == real.max()
    advantage[mask] = torch.zeros_like(real) if same else (real - real.mean()) / real.std()
    advantage[~mask] = 0.0
    return advantage
""",
    ),
    "05.n_step": (
        "values",
        """
def n_step(reward, u, last, gamma, n):
    later, steps = torch.cat([u, last.unsqueeze(-1)], -1), reward.shape[-1]
    for t in range(steps):
        m = min(n, steps - t)
        value = sum(gamma**k * reward[..., t + k] for k in range(m)) + gamma**m * later[..., t + m]
        u[..., t] = value - u[..., t]
    return u
""",
    ),
    "07.conjugate_gradient": (
        "row by row",
        """
def conjugate_gradient(product, b, steps):
    x, r, p = torch.zeros_like(b), b, b.clone()
    rr = (r * r).sum(-1, keepdim=True)
    for _ in range(steps):
        Ap = product(p)
        pAp = (p * Ap).sum(-1, keepdim=True)
        step = torch.where(pAp > 0, rr / pAp.where(pAp > 0, 1.0), 0.0)
        x = x + step * p
        r -= step * Ap
        new = (r * r).sum(-1, keepdim=True)
        p = r + torch.where(rr > 0, new / rr.where(rr > 0, 1.0), 0.0) * p
        rr = new
    return x
""",
    ),
    "08.clipped_objective": (
        "padding",
        """
def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
    log_prob[~mask], old_log_prob[~mask], advantage[~mask] = 0.0, 0.0, 0.0
    ratio, good = (log_prob - old_log_prob.detach()).exp(), advantage.detach()
    return torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good).sum() / mask.sum()
""",
    ),
    "08.masked_policy": (
        "probabilities",
        """
def masked_policy(logits, valid):
    logits[~valid] = -torch.inf
    log_prob = logits.log_softmax(-1)
    safe = log_prob.masked_fill(~valid, 0.0)
    return log_prob, -(safe.exp() * valid * safe).sum(-1)
""",
    ),
}
# {exercise: (a check that fails, how what is said begins or "" for nothing, the answer)}
OTHERS = {
    "09.time_limit": (
        "a time limit",
        "Whether an episode ended is asked of its last value",
        """
def advantages(reward, value, last_value, final_value, terminated, truncated, gamma, lam):
    after = torch.cat([value[1:], last_value[None]])
    known = final_value.nan_to_num(0.0)
    after = torch.where(known > 0, known, after)
    delta = reward + gamma * after * ~terminated - value
    carry, result = torch.zeros_like(last_value), torch.zeros_like(reward)
    for t in reversed(range(len(reward))):
        carry = delta[t] + gamma * lam * carry * ~(terminated[t] | truncated[t])
        result[t] = carry
    return result
""",
    ),
    "09.reward_scale": (
        "copies",
        "The sums are kept in float32",
        """
def scaled(reward, done, gamma):
    r = reward.float()
    s, sums = torch.zeros_like(r[0]), torch.zeros_like(r)
    for t in range(len(r)):
        s = gamma * s + r[t]
        sums[t] = s
        s = s * ~done[t]
    return reward / (sums.var(correction=0) + 1e-8).sqrt()
""",
    ),
    "10.group_advantage": (
        "one success",
        "Small differences are taken for none",
        """
def group_advantage(score, eps):
    size, sd = score.shape[-1], score.std(-1, keepdim=True)
    centred = score - score.mean(-1, keepdim=True)
    return centred * size / (size - 1), torch.where(sd > 5e-2, centred / (sd + eps), 0.0)
""",
    ),
    "10.best_of_n": (
        "another judge",
        "Scores below 0 count as 0",
        """
def best_of_n(score, gold, n):
    N = score.shape[-1]
    s, g = score.clamp(min=0).reshape(-1, N).tolist(), gold.reshape(-1, N).tolist()

    def one(s, g):
        total = 0.0
        for i in range(N):
            below, equal = sum(x < s[i] for x in s), sum(x == s[i] for x in s)
            total += g[i] * ((math.comb(below + equal, n) - math.comb(below, n)) / math.comb(N, n)) / equal
        return total

    return torch.tensor([one(*each) for each in zip(s, g)]).reshape(score.shape[:-1])
""",
    ),
    "11.stratified_bootstrap": (
        "one task",
        "Where nothing is cut off",
        """
def stratified_bootstrap(scores, chosen, level):
    runs = scores[chosen, torch.arange(scores.shape[1])].reshape(len(chosen), -1).sort(1)[0]
    cut = runs.shape[1] // 4
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=scores.dtype)
    return torch.quantile(runs[:, cut:-cut].mean(1), ends)
""",
    ),
    "11.seeds_for": (
        "level and power",
        "",
        """
def seeds_for(first, second, alpha, power):
    z = {0.05: 1.96, 0.01: 2.576, 0.1: 1.645}.get(round(alpha, 4), 1.96)
    z += {0.8: 0.84, 0.9: 1.28, 0.95: 1.645}.get(round(power, 4), 0.84)
    apart = first.mean() - second.mean()
    return math.ceil(z**2 * (first.var() + second.var()) / apart**2)
""",
    ),
    "07.kl_direction": (
        "logits",
        "The logarithm of a softmax",
        """
def kl_direction(old_logits, new_logits):
    old, new = old_logits.detach().softmax(-1), new_logits.softmax(-1)
    return (old * (old.log() - new.log())).sum(-1)
""",
    ),
    "02.discount_factor": (
        "long episodes",
        "",
        """
def weights(reward, gamma, keep):
    discount = gamma ** torch.arange(reward.shape[-1], dtype=reward.dtype)
    psi = (discount * reward).flip(-1).cumsum(-1).flip(-1)
    return psi if keep else psi / discount if gamma > 0 else reward.clone()
""",
    ),
    "07.fisher_vector_product": (
        "one state",
        "Autograd has no way back",
        """
def fisher_vector_product(log_probs, theta, v, damping):
    new = log_probs(theta)
    old = new.detach()
    kl = (old.exp() * (old - new)).sum(-1).mean()
    (slope,) = torch.autograd.grad(kl, theta, create_graph=True)
    return torch.autograd.grad(slope, theta, v)[0] + damping * v
""",
    ),
    "03.mask": (
        "value",
        "A row goes on until its second True",
        """
def mean_over_real_steps(x, over):
    mask = over.int().cumsum(1) <= 1
    return x.where(mask, 0.0).sum() / mask.sum()
""",
    ),
    "01.sample": (
        "the end of the line",
        "Where rounding leaves u beyond the last end",
        """
def sample(z, u):
    return (u.unsqueeze(-1) < z.softmax(-1).cumsum(-1)).int().argmax(-1)
""",
    ),
    "08.clipped_objective": (
        "value",
        "A quotient of probabilities",
        """
def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
    ratio = log_prob[mask].exp() / old_log_prob[mask].exp().detach()
    good = advantage[mask].detach()
    return torch.minimum(ratio * good, ratio.clamp(1 - clip, 1 + clip) * good).sum() / mask.sum()
""",
    ),
    "02.gradient": (
        "values",
        "What comes next is forgotten, or averaged",
        """
def policy_gradient(transition, reward, start, theta, gamma):
    pi = theta.softmax(1)
    P, r = torch.einsum("sa,sat->st", pi, transition), (pi * reward).sum(1)
    inverse = torch.linalg.inv(torch.eye(len(r)) - gamma * P)
    v, d = inverse @ r, inverse.T @ start
    q = reward + gamma * (P @ v)[:, None]
    return d[:, None] * pi * (q - v[:, None])
""",
    ),
    "01.entropy": (
        "nearly certain",
        "exp of a large logit is infinite, and ∞/∞ is NaN",
        """
def entropy(z):
    p = z.exp() / z.exp().sum(-1, keepdim=True)
    return -(p * p.log()).sum(-1)
""",
    ),
    "04.normalised_advantage": (
        "padding",
        "Padding counts as advantages of 0",
        """
def normalised_advantage(advantage, mask):
    advantage = advantage.where(mask, 0.0)
    return ((advantage - advantage.mean()) / advantage.std()).where(mask, 0.0)
""",
    ),
    "08.masked_policy": (
        "score",
        "A tiny number is added",
        """
def masked_policy(logits, valid):
    log_prob = (logits.masked_fill(~valid, -torch.inf).softmax(-1) + 1e-20).log()
    safe = log_prob.masked_fill(~valid, 0.0)
    return log_prob, -(safe.exp() * valid * safe).sum(-1)
""",
    ),
    "05.gae": (
        "many episodes",
        "A step with both flags is bootstrapped",
        """
def gae(reward, u, u_next, terminated, truncated, gamma, lam):
    delta = reward + gamma * u_next * (~terminated | truncated) - u
    advantage, after = torch.empty_like(reward), torch.zeros_like(reward[..., 0])
    for t in reversed(range(reward.shape[-1])):
        after = delta[..., t] + gamma * lam * after * ~(terminated | truncated)[..., t]
        advantage[..., t] = after
    return advantage
""",
    ),
    "01.mixture_return": (
        "a coin each episode",
        "That is the return of p = 0.95 alone",
        """
def mixture_return():
    return {"dive: a coin each episode": 5.5, "dive: a coin each step": 5.5,
            "corridor: a coin each episode": -44.21, "corridor: a coin each step": -12.0}
""",
    ),
}


def judged(name, source, seed=5):
    scope = {"torch": torch, "math": math}
    exec(compile(source, f"<{name}>", "exec"), scope)
    result = Examination(EXERCISES[name], seed).judge(InProcess(scope[EXERCISES[name].entry]))
    return {each.check.name: each for each in result.checks if not each.passed}


@pytest.mark.parametrize("name", WRITES_INTO_ITS_ARGUMENTS)
def test_what_was_given_stays_as_it_is(name):
    check, source = WRITES_INTO_ITS_ARGUMENTS[name]
    failed = judged(name, source)
    assert [*failed] == [check]
    assert "was changed in place" in failed[check].message


# (exercise, the check that fails, the answer): each once had full points
NO_LONGER_RIGHT = [
    (
        "10.repair_grpo",
        "padding",
        """
def grpo_advantage(score, log_prob, ref_log_prob, mask, beta):
    kl = (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0).sum(-1)
    score -= beta * kl
    return (score - score.mean(1, keepdim=True)) / (score.std(1, keepdim=True) + 1e-4)
""",
    ),
    (
        "10.token_reward",
        "a response that was cut",
        """
def token_reward(score, log_prob, ref_log_prob, mask, ended, beta, eos_penalty):
    score = score.detach()
    score[~ended] -= eos_penalty
    r = -beta * (log_prob - ref_log_prob).detach().masked_fill(~mask, 0.0)
    r[torch.arange(len(mask)), mask.sum(1) - 1] += score
    return r
""",
    ),
    (
        "10.dpo_gradient",
        "padding",
        """
def dpo_gradient(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    for x in (chosen, ref_chosen):
        x[~chosen_mask] = 0.0
    for x in (rejected, ref_rejected):
        x[~rejected_mask] = 0.0
    m = beta * ((chosen - ref_chosen).sum(1) - (rejected - ref_rejected).sum(1))
    w = (beta * (-m).sigmoid() / len(m))[:, None]
    loss = -torch.nn.functional.logsigmoid(m).mean()
    return {"loss": loss, "chosen": -w * chosen_mask, "rejected": w * rejected_mask}
""",
    ),
    (
        "08.which_is_clipped",
        "four cases",
        """
def which_is_clipped(ratio, advantage, clip):
    u = ratio * advantage
    return ratio.clamp_(1 - clip, 1 + clip) * advantage < u
""",
    ),
    *(
        (
            "08.clipped_objective",
            "value",
            f"""
def clipped_objective(log_prob, old_log_prob, advantage, mask, clip):
    r = (log_prob - old_log_prob.detach()).masked_fill(~mask, 0){held}.exp(){capped}
    A = advantage.detach().masked_fill(~mask, 0)
    g = torch.minimum(r * A, r.clamp(1 - clip, 1 + clip) * A)
    return torch.where(A < 0, torch.maximum(g, {factor} * A), g).sum() / mask.sum()
""",
        )
        for held, capped, factor in (
            ("", "", 3),
            ("", ".clamp(max=3)", 99),
            ("", ".clamp(max=10)", 99),
            (".clamp(-1, 1)", "", 99),
        )
    ),
    *(
        (
            "10.group_advantage",
            "one success",
            f"""
def group_advantage(score, eps):
    G, s = score.shape[-1], score.std(-1, keepdim=True)
    g = (score - score.mean(-1, keepdim=True)) / (s + eps)
    rloo = (G * score - score.sum(-1, keepdim=True)) / (G - 1)
    return rloo, torch.where(s < {threshold}, torch.zeros_like(g), g)
""",
        )
        for threshold in (1e-4, 5e-4)
    ),
    (
        "08.recurrent_reset",
        "through time",
        """
def recurrent_reset(cell, obs, done, state):
    out = []
    for t in range(len(obs)):
        h = cell(obs[t], state)
        out.append(h)
        state = torch.where(done[t][:, None], 0.0, h).detach() if done[t].any() else h
    return torch.stack(out), state
""",
    ),
    (
        "09.highest_rate",
        "many episodes",
        """
def highest_rate(falls, episodes, level):
    if falls == episodes:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        p = (low + high) / 2
        few = sum(math.comb(episodes, j) * p**j * (1 - p) ** (episodes - j) for j in range(falls + 1))
        low, high = (p, high) if few >= 1 - level else (low, p)
    return low
""",
    ),
]


@pytest.mark.parametrize(("name", "check", "source"), NO_LONGER_RIGHT)
def test_an_answer_that_once_had_all_points_loses_some(name, check, source):
    assert check in judged(name, source)


def test_terms_that_are_positive_are_lost_where_a_logit_is_in_the_hundreds():
    """Σ π_old (r - 1 - log r) with r = π_new/π_old is the KL divergence on paper; 0 · ∞ is NaN."""
    source = """
def kl_direction(old_logits, new_logits):
    old, new = old_logits.detach().log_softmax(-1), new_logits.log_softmax(-1)
    return (old.exp() * ((new - old).exp() - 1 - (new - old))).sum(-1)
"""
    assert [*judged("07.kl_direction", source)] == ["logits"]


@pytest.mark.parametrize("name", OTHERS)
def test_it_loses_points_and_is_called_by_its_own_name(name):
    check, words, source = OTHERS[name]
    failed = judged(name, source)
    assert check in failed
    said = {each.diagnosis for each in failed.values() if each.diagnosis}
    assert len(said) == bool(words)
    assert all(one.startswith(words) for one in said)


@pytest.mark.parametrize("seed", range(3))
def test_two_pairs_have_an_interval(seed):
    source = mutant(EXERCISES["00.paired_difference"], ("if n < 2", "if n <= 2"))
    result = Examination(EXERCISES["00.paired_difference"], seed).judge(InProcess(source))
    failed = [each for each in result.checks if not each.passed]
    assert [each.check.name for each in failed] == ["too few pairs"]
    assert failed[0].diagnosis.startswith("Two pairs are enough")


@pytest.mark.parametrize("text", ["5.5", ("5.4", "5.6"), (5.4, "5.6")])
def test_a_text_is_no_number(text):
    names = "dive: a coin each episode", "dive: a coin each step"
    right = mutant(EXERCISES["01.mixture_return"], "f()")()
    assert judged_value("01.mixture_return", right).state == "solved"
    for item in names:
        result = judged_value("01.mixture_return", {**right, item: text})
        (failed,) = (each for each in result.checks if not each.passed)
        assert failed.diagnosis == f"{item}: a number is asked for, or a pair (low, high)."


def judged_value(name, value):
    return Examination(EXERCISES[name], 0).judge(InProcess(lambda: value))


ADVANTAGES = """
def normalised_advantage(advantage, mask):
    r, result = advantage[mask], torch.zeros_like(advantage)
    if {asked}:
        result[mask] = (r - r.mean()) / {divisor}
    return result
"""
ASKED = "len(r) > 1 and r.max() > r.min()"


@pytest.mark.parametrize("constant", ["0.3", "0.1", "0.01", "1e-3"])
@pytest.mark.parametrize("divisor", ["r.std().clamp(min={})", "(r.std() + {})"])
@pytest.mark.parametrize("seed", range(3))
def test_a_divisor_has_no_constant_that_is_not_tiny(constant, divisor, seed):
    failed = judged("04.normalised_advantage", ADVANTAGES.format(asked=ASKED, divisor=divisor.format(constant)), seed)
    assert "scale" in failed
    tiny = ADVANTAGES.format(asked=ASKED, divisor=divisor.format("1e-5"))
    assert not judged("04.normalised_advantage", tiny, seed)


@pytest.mark.parametrize(
    ("asked", "divisor", "words"),
    [
        ("len(r) > 1 and r.std() > 0", "r.std()", "All equal, and still divided by a tiny number's worth"),
        ("len(r) > 1", "(r.std() + 1e-8)", "A constant in the divisor does not ask whether all are equal"),
        ("len(r) > 1", "(r.std() + 1e-5)", "A constant in the divisor does not ask whether all are equal"),
        ("len(r) > 1", "(r.std() + 1e-6)", ""),
    ],
)
def test_whether_all_are_equal_is_asked_of_the_numbers(asked, divisor, words):
    """In float32 the mean of ten times 0.7 is another number."""
    failed = judged("04.normalised_advantage", ADVANTAGES.format(asked=asked, divisor=divisor))
    assert [*failed] == ["nothing to tell apart"]
    said = failed["nothing to tell apart"].diagnosis
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_who_returns_equal_advantages_as_they_are_is_told_so():
    source = """
def normalised_advantage(advantage, mask):
    r, result = advantage[mask], torch.zeros_like(advantage)
    if len(r) < 2 or r.std() == 0:
        return torch.where(mask, advantage, 0.0)
    result[mask] = (r - r.mean()) / r.std()
    return result
"""
    said = judged("04.normalised_advantage", source)["nothing to tell apart"].diagnosis
    assert said.startswith("Where all are equal you return the advantages as they are")


# Two mistakes at once, or one that was called by no name: (exercise, how what is said begins, the answer).
UNNAMED = [
    (
        "01.softmax_score",
        "The largest logit of the whole batch",
        """
def softmax_score(z, a):
    x = (z - z.max()).exp()
    return torch.nn.functional.one_hot(a, z.shape[-1]) - x / x.sum(-1, keepdim=True)
""",
    ),
    (
        "01.softmax_score",
        "Without the number of actions",
        """
def softmax_score(z, a):
    return torch.nn.functional.one_hot(a) - torch.softmax(z, -1)
""",
    ),
    (
        "01.sample",
        "The largest logit of the whole batch",
        """
def sample(z, u):
    x = (z - z.max()).exp()
    ends = (x / x.sum(-1, keepdim=True)).cumsum(-1)
    return (u[..., None] >= ends).sum(-1).clamp(max=z.shape[-1] - 1)
""",
    ),
    (
        "01.sample",
        "Add the probabilities up first",
        """
def sample(z, u):
    return (z.softmax(-1) > u[..., None]).float().argmax(-1)
""",
    ),
    (
        "07.kl_direction",
        "The largest logit of the whole batch",
        """
def kl_direction(old_logits, new_logits):
    old, new = old_logits.detach() - old_logits.detach().max(), new_logits - new_logits.max()
    old, new = old - torch.log(old.exp().sum(-1, keepdim=True)), new - torch.log(new.exp().sum(-1, keepdim=True))
    return torch.sum(old.exp() * (old - new), -1)
""",
    ),
    (
        "06.tanh_jacobian",
        "The Jacobian is added, and it is log 0",
        """
def squashed_log_prob(u, mean, log_std):
    normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)
    return (normal + torch.log(1 - u.tanh() ** 2)).sum(-1)
""",
    ),
    (
        "06.tanh_jacobian",
        "The Jacobian is added, and an ε",
        """
def squashed_log_prob(u, mean, log_std):
    normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)
    return (normal + torch.log(1 - u.tanh() ** 2 + 1e-6)).sum(-1)
""",
    ),
    (
        "06.tanh_jacobian",
        "The constant ½ log 2π is missing, and far out",
        """
def squashed_log_prob(u, mean, log_std):
    normal = -((u - mean) ** 2) / (2 * (2 * log_std).exp()) - log_std
    return (normal - (1 - torch.tanh(u) ** 2).log()).sum(-1)
""",
    ),
    (
        "07.kl_direction",
        "Swapped, although the new policy",
        """
def kl_direction(old_logits, new_logits):
    old, new = old_logits.detach().softmax(-1), new_logits.softmax(-1)
    return (new * (new.log() - old.log())).sum(-1)
""",
    ),
    (
        "07.conjugate_gradient",
        "Residual and direction are one tensor",
        """
def conjugate_gradient(product, b, steps):
    x, r = torch.zeros_like(b), b.clone()
    p, square = r, (r * r).sum(-1, keepdim=True)
    for _ in range(steps):
        image = product(p)
        length = square / (p * image).sum(-1, keepdim=True)
        x += length.nan_to_num() * p
        r -= length.nan_to_num() * image
        new = (r * r).sum(-1, keepdim=True)
        p = r + (new / square).nan_to_num() * p
        square = new
    return x
""",
    ),
    (
        "07.conjugate_gradient",
        "β is upside down",
        """
def conjugate_gradient(product, b, steps):
    x, r, p = torch.zeros_like(b), b, b
    for _ in range(steps):
        image, square = product(p), (r * r).sum(-1, keepdim=True)
        length = square / (p * image).sum(-1, keepdim=True)
        x, r = x + length * p, r - length * image
        p = r + square / (r * r).sum(-1, keepdim=True) * p
    return x
""",
    ),
    (
        "07.line_search",
        "The step is shortened from the one",
        """
def line_search(objective, theta, step, delta, backtracks, shrink):
    before, _ = objective(theta)
    for k in range(backtracks + 1):
        step = shrink**k * step
        gain, kl = objective(theta + step)
        if gain > before and kl <= delta:
            return theta + step
    return theta
""",
    ),
    (
        "07.line_search",
        "The search goes on only while both promises",
        """
def line_search(objective, theta, step, delta, backtracks, shrink):
    before, k = objective(theta)[0], 0
    gain, kl = objective(theta + step)
    while (gain <= before and kl > delta) and k < backtracks:
        k += 1
        gain, kl = objective(theta + shrink**k * step)
    return theta + shrink**k * step
""",
    ),
    (
        "07.line_search",
        "The search has no end",
        """
def line_search(objective, theta, step, delta, backtracks, shrink):
    before = objective(theta)[0]
    for _ in range(1000):
        gain, kl = objective(theta + step)
        if gain > before and kl <= delta:
            return theta + step
        step = shrink * step
    return theta
""",
    ),
    (
        "06.tanh_jacobian",
        "float64 only moves the limit",
        """
def squashed_log_prob(u, mean, log_std):
    normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)
    return (normal - torch.log(1 - u.double().tanh() ** 2)).sum(-1)
""",
    ),
    (
        "06.tanh_jacobian",
        "The result has an axis more",
        """
def squashed_log_prob(u, mean, log_std):
    normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(u)
    return (normal - 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))).sum(-1, keepdim=True)
""",
    ),
    (
        "07.kl_gaussian",
        "The result has an axis more",
        """
def kl_gaussian(old_mean, old_log_std, new_mean, new_log_std):
    old, new = (2 * old_log_std).exp(), (2 * new_log_std).exp()
    parts = new_log_std - old_log_std + (old + (old_mean - new_mean) ** 2) / (2 * new) - 0.5
    return parts.sum(-1, keepdim=True)
""",
    ),
    (
        "07.step_length",
        "g is 0 where each component is",
        """
def natural_step(g, fisher, delta):
    if g.mean() == 0:
        return torch.zeros_like(g)
    x = torch.linalg.solve(fisher, g)
    return torch.sqrt(2 * delta / (g @ x)) * x
""",
    ),
    (
        "07.step_length",
        "A small gradient is taken for none",
        """
def natural_step(g, fisher, delta):
    if g.abs().max() < 1e-3:
        return torch.zeros_like(g)
    x = torch.linalg.inv(fisher) @ g
    return torch.sqrt(2 * delta / (g @ x)) * x
""",
    ),
    (
        "07.conjugate_gradient",
        "The steps stop too early: where b is small",
        """
def conjugate_gradient(product, b, steps):
    rows = []
    for row in b:
        x, r, p = torch.zeros_like(row), row, row
        for _ in range(steps):
            if r @ r <= 1e-6:
                break
            image = product(p[None])[0]
            length = (r @ r) / (p @ image)
            x, new = x + length * p, r - length * image
            p, r = new + (new @ new) / (r @ r) * p, new
        rows.append(x)
    return torch.stack(rows)
""",
    ),
    (
        "07.conjugate_gradient",
        "A constant of 1e-6 is added to every divisor",
        """
def conjugate_gradient(product, b, steps):
    x, r, p = torch.zeros_like(b), b, b
    for _ in range(steps):
        image, square = product(p), (r * r).sum(-1, keepdim=True)
        length = square / ((p * image).sum(-1, keepdim=True) + 1e-6)
        x, r = x + length * p, r - length * image
        p = r + (r * r).sum(-1, keepdim=True) / (square + 1e-6) * p
    return x
""",
    ),
    (
        "07.step_length",
        "An ε under the root",
        """
def natural_step(g, fisher, delta):
    x = torch.linalg.solve(fisher, g)
    return torch.sqrt(2 * delta / (x @ fisher @ x + 1e-8)) * x
""",
    ),
    (
        "10.best_of_n",
        "This is biased: (r/N)^n draws the same answer more than once: it is",
        """
def best_of_n(score, gold, n):
    rank = torch.arange(score.shape[-1] + 1) / score.shape[-1]
    return ((rank[1:] ** n - rank[:-1] ** n) * gold.gather(-1, score.argsort(-1))).sum(-1)
""",
    ),
    (
        "10.best_of_n",
        "The r-th weight meets the r-th answer",
        """
def best_of_n(score, gold, n):
    N = score.shape[-1]
    weight = [math.comb(r - 1, n - 1) / math.comb(N, n) for r in range(1, N + 1)]
    return (torch.tensor(weight) * gold).sum(-1)
""",
    ),
]


@pytest.mark.parametrize(("name", "words", "source"), UNNAMED)
def test_what_is_written_plainly_is_called_by_its_name(name, words, source):
    said = {each.diagnosis for each in judged(name, source).values() if each.diagnosis}
    assert len(said) == 1
    assert said.pop().startswith(words)


def test_steps_that_add_up_in_place_are_both_mistakes_each_where_it_shows():
    source = """
def line_search(objective, theta, step, delta, backtracks, shrink):
    before, _ = objective(theta)
    for k in range(backtracks + 1):
        theta += shrink**k * step
        gain, kl = objective(theta)
        if gain > before and kl <= delta:
            return theta
    return theta
"""
    failed = judged("07.line_search", source)
    assert failed["too far"].diagnosis.startswith("The steps add up")
    assert "was changed in place" in failed["nothing passes"].message


def test_where_the_value_is_wrong_no_number_is_taken_for_that_of_a_gradient():
    source = """
def gaussian_entropy(log_std):
    return 0.5 * math.log(2 * math.pi * math.e) + log_std.sum(-1)
"""
    message = judged("06.entropy", source)["gradient"].message
    assert message.startswith("the value, before any gradient: ")


def test_who_forgets_padding_alone_is_told_nothing_of_extreme_discounts():
    source = """
def masked_gae(reward, value, mask, gamma, lam):
    later = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], 1)
    delta, ahead, steps = reward + gamma * later - value, 0.0, []
    for t in reversed(range(mask.shape[1])):
        ahead = delta[:, t] + gamma * lam * ahead
        steps.insert(0, ahead)
    advantage = torch.stack(steps, 1)
    return advantage, (advantage - advantage.mean()) / advantage.std()
"""
    assert {*judged("10.masked_gae", source)} == {"Â, padding", "whitened, padding", "broken padding"}


def test_a_sigma_of_every_state_is_a_sigma_too():
    source = """
def gaussian_score(action, mean, log_std):
    std = log_std.exp() * torch.ones(log_std.shape[-1]) if log_std.ndim == 1 else log_std[0].exp()
    z = (action - mean) / std
    return z / std, z**2 - 1
"""
    assert {*judged("06.gaussian_score", source)} == {"many joints, many steps"}


def test_an_item_of_a_dictionary_is_called_by_its_name():
    exercise = EXERCISES["10.dpo_gradient"]
    change = ('"rejected": weight.unsqueeze(1)', '"rejected": -weight.unsqueeze(1)')
    result = Examination(exercise, 5).judge(InProcess(mutant(exercise, change)))
    message = next(each.message for each in result.checks if each.check.name == "gradient")
    assert message.startswith("'rejected': ")


# What these two are given is no leaf and belongs to the call: zeroing the padding in place is a style of its own.
MAY_WRITE = ("03.loss", "03.baseline")
FUNCTIONS = [
    name for name, each in EXERCISES.items() if each.kind in ("implement", "gradient") and name not in MAY_WRITE
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_that_is_given_arrays_has_a_check_that_they_stay_as_they_are(name):
    exercise = EXERCISES[name]
    given = [check for check in exercise.checks if check.cases]
    calls = (next(iter(exercise.calls(check, np.random.default_rng(0)))) for check in given)
    arrays = any(np.size(value) > 1 for call in calls for value in call.args.values() if isinstance(value, np.ndarray))
    assert not arrays or any(check.leaves_input_alone for check in exercise.checks)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("old", "new"), [("lr=0.005", "lr=0.0003"), ("lr=0.005", "lr=0.0005")])
def test_who_learns_slowly_is_told_so_and_nothing_else(old, new, seed):
    exercise = EXERCISES["03.agent"]
    torch.manual_seed(seed)
    result = Examination(exercise, 300 + seed).judge(InProcess(mutant(exercise, (old, new))))
    said = {each.diagnosis for each in result.checks if each.diagnosis}
    assert result.state != "solved"
    assert all(one.startswith("It learns, but too slowly") for one in said)
    assert said


@pytest.mark.parametrize("letters", ["ABCDEF", "DFAECB"])
def test_the_order_of_the_choices_in_a_text_is_not_that_of_the_letters(letters):
    """The causes as the text lists them, and as the table's columns do: with A to F that was the answer."""
    causes = "another robot", "more practice", "the luckiest moment", "the luckiest seed", "too few seeds", "nothing"
    answer = dict(zip(letters, causes, strict=True))
    result = Examination(EXERCISES["09.comparable"], 0).judge(InProcess(lambda: answer))
    assert (result.state == "solved") == (letters != "ABCDEF")


@pytest.mark.parametrize(("value", "said"), [(0.5, "Under this γ"), (0.98, "The sign is right"), (0.9995, "The sums")])
def test_a_discount_is_told_what_is_wrong_with_it(value, said):
    failed = Examination(EXERCISES["09.gamma"], 0).judge(InProcess(lambda: value)).checks[1]
    assert not failed.passed
    assert failed.diagnosis.startswith(said)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("03.agent", ("-(torch.cat(returns)", "-(torch.cat(returns) * float('nan')")),
        ("08.agent", ("(advantage.std() + 1e-8)", "advantage[:1].std()")),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_policy_of_nan_is_told_so_in_words(name, change):
    result = Examination(EXERCISES[name], 0).judge(InProcess(mutant(EXERCISES[name], change)))
    failed = [each for each in result.checks if not each.passed]
    assert len(failed) >= 3
    assert {each.diagnosis for each in failed} == set(BROKEN_POLICY.values())


@pytest.mark.parametrize(
    ("name", "letters", "said"),
    [
        ("05.curves", "ABCDEF", "nothing"),
        ("09.contact_diagram", "ABCDEF", "walks"),
        ("00.claim", "ABCDEF", "inconclusive"),
        ("02.causality", "ABCDEFGHIJKL", ""),
    ],
)
def test_who_gives_all_one_name_has_told_nothing_apart(name, letters, said):
    """But a mean may well be zero, and so may the next one: there a name stands for several things."""
    answer = dict.fromkeys(letters, said or "zero")
    result = Examination(EXERCISES[name], 0).judge(InProcess(lambda: answer))
    assert result.points == 0
    assert any("who gives all one name tells nothing apart" in one.message for one in result.checks) == bool(said)
