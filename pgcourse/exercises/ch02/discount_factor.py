"""The weights of the theorem, and those of practice."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def weights(reward, gamma, keep):
    """Ψ_t = Σ_{k≥t} γ^k r_k, reward by reward; without γ^t each is discounted from t on: Σ_{k≥t} γ^{k-t} r_k."""
    steps = reward.shape[-1]
    psi = np.zeros_like(reward)
    for t in range(steps):
        for k in range(t, steps):
            psi[..., t] += gamma ** (k if keep else k - t) * reward[..., k]
    return psi


def drawn(shape, gamma, keep):
    return lambda rng: {"reward": rng.normal(size=shape), "gamma": gamma, "keep": keep}


BOTH = (True, False)
EXERCISE = implement(
    weights,
    title="The factor that practice drops",
    goal="Write the weight beside each score with the theorem's γ^t and without it, and tell the two apart.",
    minutes=12,
    difficulty=2,
    importance=4,
    hints=[
        "Which sum stands beside the score at t after step 3 of the first proof? From when does it discount?",
        "With γ^t: discount every reward from the start, γ^k r_k, and add up those from t on, "
        "`x.flip(-1).cumsum(-1).flip(-1)`. Without it: the reward-to-go of chapter 02, G_t = r_t + γ G_{t+1}.",
    ],
    checks={
        "the theorem's": Check(
            2,
            "With `keep`, Ψ_t = γ^t G_t: a reward counts γ^k, by its own time, wherever the action stands.",
            [
                {"reward": [[0, 1, 1]], "gamma": 0.5, "keep": True},
                drawn((2, 5), 0.9, True),
                drawn((3, 8), 0.7, True),
            ],
        ),
        "practice's": Check(
            2,
            "Without `keep`, Ψ_t = G_t, which counts its discount from t on.",
            [
                {"reward": [[0, 1, 1]], "gamma": 0.5, "keep": False},
                drawn((2, 5), 0.9, False),
                drawn((3, 8), 0.7, False),
            ],
        ),
        "extreme discounts": Check(
            1,
            "For γ = 1 both are the same. For γ = 0 the theorem keeps r_0 only, practice every own reward.",
            [drawn((2, 4), gamma, keep) for gamma in (0.0, 1.0) for keep in BOTH],
        ),
        "long episodes": Check(
            1,
            "γ^400 is 0 in float32 for γ = 0.5: multiply by γ^t, and never divide by it.",
            [drawn((2, 400), gamma, keep) for gamma in (0.9, 0.5) for keep in BOTH],
            requires="episodes may be 400 steps long",
        ),
        "axes and dtype": Check(
            1,
            "Time is the last axis, whatever stands before it. `0.9 ** torch.arange(5)` is float32: say which dtype.",
            [drawn((2, 4), 0.9, keep) for keep in BOTH],
            leading_axes=("reward",),
            dtype="as input",
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "γ^t is dropped although it is to be kept.": "f(reward, gamma, False)",
        "γ^t is there although it is to be dropped.": "f(reward, gamma, True)",
        "`keep` is understood the wrong way round.": "f(reward, gamma, not keep)",
        "γ^t twice: the sum Σ γ^k r_k has it inside already.": (
            "return discount * ret if keep else ret",
            "return discount**2 * ret if keep else ret",
        ),
        "This is γ^t in front of the total return: past rewards are in it, and the discount is counted twice.": (
            "return discount * ret if keep else ret",
            "return discount * ret[..., :1] if keep else ret",
        ),
        "This is the total return at every step: rewards before the action drop out.": (
            "return discount * ret if keep else ret",
            "return ret[..., :1].expand_as(ret) if keep else ret",
        ),
        "Each reward is discounted by γ^t, but G itself is not: both discounts are needed.": (
            "return discount * ret if keep else ret",
            "return discount * reward.flip(-1).cumsum(-1).flip(-1) if keep else ret",
        ),
        "Without γ^t the discount inside G_t stays: this is the undiscounted sum.": (
            "return discount * ret if keep else ret",
            "return discount * ret if keep else reward.flip(-1).cumsum(-1).flip(-1)",
        ),
        "Only the own reward: what follows belongs to the action, too.": (
            "return discount * ret if keep else ret",
            "return discount * reward if keep else reward",
        ),
        "The own reward is missing: the sum starts at k = t.": (
            "return discount * ret if keep else ret",
            "return (discount * ret if keep else ret) - (discount * reward if keep else reward)",
        ),
        "γ^{t+1}: the first action has the factor γ^0 = 1.": (
            "return discount * ret if keep else ret",
            "return gamma * discount * ret if keep else ret",
        ),
        "γ^{T-t}: the factor shrinks with time, it does not grow.": (
            "return discount * ret if keep else ret",
            "return discount.flip(-1) * ret if keep else ret",
        ),
        "Dividing by γ^t loses all digits once γ^t is small, and is 0/0 for γ = 0. Recurse backwards instead.": (
            "return discount * ret if keep else ret",
            "return discount * ret if keep else (discount * reward).flip(-1).cumsum(-1).flip(-1) / discount",
        ),
        "γ^t was computed in float32: give `torch.arange` the rewards' dtype.": (
            "return discount * ret if keep else ret",
            "return discount.float() * ret if keep else ret",
        ),
        "Time is taken to be the first axis: it is the last one.": (
            "f(reward.movedim(0, -1), gamma, keep).movedim(-1, 0)"
        ),
        "The result is always float32.": "f(*a).float()",
        "γ^t stands beside the reward alone: what follows the action is missing where γ^t is kept.": (
            "discount * ret if keep else ret",
            "discount * reward if keep else ret",
        ),
        "Without γ^t every action gets the first one's return: each has its own.": (
            "discount * ret if keep else ret",
            "discount * ret if keep else ret[..., :1].expand_as(ret)",
        ),
        "γ is missing in G: a reward k steps later counts γ^k.": ("gamma * after", "after"),
        "Time is run through forwards: this adds up what came before.": (
            "reversed(range(reward.shape[-1]))",
            "range(reward.shape[-1])",
        ),
        "γ is applied once too often: γ G_t stands in the place of G_t.": (
            "ret[..., t] = after",
            "ret[..., t] = gamma * after",
        ),
        "Where γ^t is to be dropped, it is divided out: G_t does not have it.": (
            "discount * ret if keep else ret",
            "discount * ret if keep else ret / discount",
        ),
        "It is divided by γ^t: multiply.": ("discount * ret if keep else ret", "ret / discount if keep else ret"),
        "The rewards are overwritten in place: whoever uses them afterwards reads returns.": (
            "torch.empty_like(reward)",
            "reward",
        ),
        "With γ^t, what came before is added up: the sum runs over k ≥ t.": (
            "discount * ret if keep else ret",
            "(discount * reward).cumsum(-1) if keep else ret",
        ),
        "γ is 0.99 whatever is given.": ("f(reward, 0.99, keep)"),
    },
)
