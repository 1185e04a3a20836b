"""γ^t kept or dropped."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def gradient_estimate(score, reward, gamma, keep_discount):
    """ĝ, summed the other way round: each reward r_k credits all actions up to k. Sutton & Barto (2018), 13.3.

    With γ^t: 1/N Σ_i Σ_k γ^k r_k Σ_{t≤k} ∇log π_t. Without: 1/N Σ_i Σ_k r_k Σ_{t≤k} γ^{k-t} ∇log π_t.
    """
    total = np.zeros(score.shape[2])
    for scores, rewards in zip(score, reward, strict=True):
        for k, r in enumerate(rewards):
            power = np.full(k + 1, k) if keep_discount else k - np.arange(k + 1)
            total += r * (float(gamma) ** power) @ scores[: k + 1]
    return total / len(score)


def episodes(score, reward, gamma, keep_discount):
    return {"score": score, "reward": reward, "gamma": gamma, "keep_discount": keep_discount}


def drawn(n, steps, parameters, keep_discount, gamma=None):
    """A case of `n` random episodes; γ is drawn where it is not given."""

    def case(rng):
        discount = float(rng.uniform(0.5, 0.95)) if gamma is None else gamma
        score, reward = rng.normal(size=(n, steps, parameters)), rng.normal(1.0, 2.0, (n, steps))
        return episodes(score, reward, discount, keep_discount)

    return case


HAND = [[[0.5], [-0.5], [0.5]]], [[1, 0, 2]]

EXERCISE = implement(
    gradient_estimate,
    title="With γ^t, and without",
    goal="Know what is estimated with the factor γ^t and what without it, and write both.",
    minutes=15,
    difficulty=3,
    importance=4,
    hints=[
        "Weight the score of step t with Ψ_t, add up, divide by N. What is Ψ_t with the factor, what without?",
        "G_t backwards, as before. Then `weight = G * gamma ** torch.arange(T)` where γ^t is kept, and "
        "`(weight.unsqueeze(-1) * score).sum(1).mean(0)`.",
    ],
    checks={
        "dropped": Check(
            2,
            "As the course trains: Σ_t G_t ∇log π, a sum over time and a mean over episodes.",
            [episodes(*HAND, 0.9, False), drawn(2, 3, 2, False), drawn(4, 6, 3, False)],
        ),
        "kept": Check(
            2,
            "The estimate of ∇J: the action at t counts γ^t G_t.",
            [episodes(*HAND, 0.9, True), drawn(2, 3, 2, True), drawn(4, 6, 3, True)],
        ),
        "extreme discounts": Check(
            1,
            "γ = 1: both are the same. γ = 0: with γ^t only the first action counts (0^0 is 1), without it each counts "
            "its own reward.",
            [
                *(episodes(*HAND, 0.0, keep) for keep in (True, False)),
                *(drawn(3, 4, 2, keep, gamma) for gamma in (0.0, 1.0) for keep in (True, False)),
            ],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "γ^t is never there: `keep_discount` is not looked at.": ("if keep_discount:", "if False:"),
        "γ^t is always there: `keep_discount` is not looked at.": ("if keep_discount:", "if True:"),
        "The two are exchanged: γ^t belongs where it is kept.": ("if keep_discount:", "if not keep_discount:"),
        "γ^t is there twice: G_t counts discounts from t on, so one factor γ^t is all that is missing.": (
            "weight * gamma",
            "weight * gamma ** torch.arange(reward.shape[1]) * gamma",
        ),
        "The factor is γ^(t+1): the first action counts γ^0 = 1.": (
            "torch.arange(reward.shape[1])",
            "torch.arange(1, reward.shape[1] + 1)",
        ),
        "Without γ^t the rewards still are discounted from their own step on: G_t, not their plain sum.": (
            "after = reward[:, t] + gamma * after",
            "after = reward[:, t] + (gamma if keep_discount else 1.0) * after",
        ),
        "Every action is weighted with the return of the whole episode: right on average with γ^t, but noisier, and "
        "another number. Write the reward-to-go.": (
            "return (weight",
            "weight = after.unsqueeze(1)\n    return (weight",
        ),
        "Each action is weighted with its own reward only: what follows it is missing.": ("gamma * after", "0 * after"),
        "Off by one: the action at t is weighted with G_{t+1}, without its own reward.": (
            "weight[:, t] = after",
            "weight[:, t] = after - reward[:, t]",
        ),
        "You average over time: the theorem has a sum over t.": (".sum(1).mean(0)", ".mean((0, 1))"),
        "You add up the episodes: a mean over them is asked for.": (".sum(1).mean(0)", ".sum((0, 1))"),
        "Sign flipped? This is the estimate of the gradient itself, uphill; the minus belongs to the loss.": "-f(*a)",
        "A normalised factor: (1 - γ) γ^t adds up to one, but the sum of the theorem does not.": (
            "(1 - gamma) * f(*a) if keep_discount else f(*a)"
        ),
        "The sum of all scores times the sum of all weights: multiply step by step first.": (
            "(weight.unsqueeze(-1) * score).sum(1)",
            "weight.sum(1, keepdim=True) * score.sum(1)",
        ),
        "γ is missing in G: a reward k steps later counts γ^k.": ("gamma * after", "after"),
        "The mean over the episodes is missing: one number for each parameter is asked for.": (
            ".sum(1).mean(0)",
            ".sum(1)",
        ),
        "Time is run through forwards: this weights with what came before.": (
            "reversed(range(reward.shape[1]))",
            "range(reward.shape[1])",
        ),
        "Two sums are multiplied: each score has its own weight.": (
            "(weight.unsqueeze(-1) * score).sum(1).mean(0)",
            "(weight.sum(1, keepdim=True) * score.sum(1)).mean(0)",
        ),
        "Each score is weighted with its own reward alone: what follows counts, too.": (
            "(weight.unsqueeze(-1) * score).sum(1).mean(0)",
            "(reward.unsqueeze(-1) * score).sum(1).mean(0)",
        ),
        "It is divided by γ^t: multiply.": ("weight * gamma **", "weight / gamma **"),
        "The factor is γ at every step: it is γ^t.": (
            "weight = weight * gamma ** torch.arange(reward.shape[1])",
            "weight = weight * gamma",
        ),
        "The sum runs over episodes and the mean over time: it is the other way round.": (
            "(weight.unsqueeze(-1) * score).sum(1).mean(0)",
            "(weight.unsqueeze(-1) * score).sum(0).mean(0)",
        ),
        "With γ^t each score has its own reward alone: what follows is missing.": (
            "weight = weight * gamma ** torch.arange(reward.shape[1])",
            "weight = reward * gamma ** torch.arange(reward.shape[1])",
        ),
        "The batch's mean is subtracted: a baseline was not asked for.": (
            "(weight.unsqueeze(-1) * score).sum(1).mean(0)",
            "((weight - weight.mean(0)).unsqueeze(-1) * score).sum(1).mean(0)",
        ),
        "γ^{T-1-t}: the factor shrinks with time, and the first action has 1.": (
            "weight * gamma ** torch.arange(reward.shape[1])",
            "weight * (gamma ** torch.arange(reward.shape[1])).flip(0)",
        ),
    },
)
